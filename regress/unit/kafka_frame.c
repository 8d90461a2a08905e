/* SPDX-License-Identifier: Apache-2.0
 *
 * The Kafka door without a server: frames go in by hand, and the engine, the
 * loop and the connection behind it are fakes that this file steers. Shown: the
 * order of answers, what overlaps, what closes a connection, the quirks of
 * ApiVersions, parked fetches, fetch sessions. */
#include "kafka/kafka_int.h"

#include "base/env.h"
#include "base/file.h"
#include "coord/coord.h"
#include "share/share.h"
#include "tap.h"

/* ---- the fake world ---- */

struct loop {
    uint64_t now_ns;
    struct loop_tick *ticks;
    struct loop_timer *timer;
};
struct conn {
    void *user;
    struct text out;
    int paused;
    bool closing;
};
struct partition {
    int64_t end; /* of the log; everything is visible */
    struct partition_waiter *waiter;
};

static struct loop loop;
static struct conn the_conn;
static struct partition parts[2];
static const struct conn_handler *handler;
static void *handler_arg;
static struct engine_append *waiting_appends[8];
static int waiting_count;
static struct file_system fake_fs;
static struct env fake_env;
static int ranges_out;
static struct server_config settings;
static const struct meta_security no_security;
static struct meta_view view = {.security = &no_security};
static struct topic_config topic_config;
static struct meta_partition meta_parts[2];
static const struct meta_partition *const meta_part_list[2] = {&meta_parts[0], &meta_parts[1]};
static struct meta_topic topic;
static struct meta_broker broker;
static const struct meta_broker *const brokers[1] = {&broker};
static struct meta_listener listener;
static const int32_t one = 1;
static size_t out_max = SIZE_MAX; /* conn_full() above it */


/* Only these handlers are real; the others are not reached, nor what they call. */
#define kafka_produce real_produce
#define kafka_fetch real_fetch
#define kafka_metadata real_metadata
#define kafka_heartbeat real_heartbeat
#define kafka_api_versions real_api_versions
#define kafka_sasl_handshake real_sasl_handshake
#define kafka_sasl_authenticate real_sasl_authenticate
#define NOT_REACHED(name) \
    void name(struct kafka_request *req); \
    void name(struct kafka_request *req) { ox_unreachable(); }
KAFKA_HANDLERS(NOT_REACHED)
#undef kafka_produce
#undef kafka_fetch
#undef kafka_metadata
#undef kafka_heartbeat
#undef kafka_api_versions
#undef kafka_sasl_handshake
#undef kafka_sasl_authenticate

struct coord *
engine_coord(struct engine *engine)
{
    return NULL;
}

/* No quotas. */
bool engine_quota_applies(struct engine_session *sess, enum engine_quota kind) { return false; }
void engine_quota_changed(struct engine_session *sess) {}
bool engine_quota_fetch(struct engine_session *sess, double amount) { return true; }
size_t engine_quota_fetch_max(struct engine_session *sess, size_t most) { return most; }
void engine_quota_use(struct engine_session *sess, enum engine_quota kind, double amount) {}
uint32_t engine_throttle_take(struct engine_session *sess) { return 0; }
void engine_session_fini(struct engine_session *sess) {}
bool engine_enlist(struct engine_enlist *call) { ox_unreachable(); }
struct share *engine_share(struct engine *engine) { return NULL; }
void share_disconnected(struct share *share, uint64_t conn_id) { ox_unreachable(); }

static struct coord_call *waiting_heartbeat;
void
coord_heartbeat(struct coord *c, struct coord_heartbeat_call *call)
{
    waiting_heartbeat = &call->call;
}

bool engine_internal_topic(struct engine_topic_create *call, struct str name) { ox_unreachable(); }
void engine_admin_fini(struct engine_admin *call) { }

static int created;
bool
engine_topic_create(struct engine_topic_create *call)
{
    created++;
    call->admin.code = OX_OK;
    return true;
}

struct replica *engine_replica(struct engine *engine) { return NULL; }
const struct env *engine_env(const struct engine *engine) { return &fake_env; }
const struct meta_view *engine_view(struct engine *engine) { return &view; }
const struct server_config *engine_settings(struct engine *engine) { return &settings; }
bool
engine_allowed(struct engine_session *sess, enum engine_resource type, struct str name,
    enum engine_op op)
{
    return true;
}
int32_t
engine_allowed_mask(struct engine_session *sess, enum engine_resource type, struct str name)
{
    return 0xFF;
}

void
engine_session_init(struct engine_session *sess, struct engine *engine, struct loop *l,
    const char *door, const char *name, const char *host, uint64_t id)
{
    memset(sess, 0, sizeof(*sess));
    sess->loop = l;
    sess->listener = name;
}

ox_code
engine_partition(struct engine_session *sess, struct str name, const struct uuid *id,
    int32_t index, enum engine_op op, struct partition **out, struct ox_err *err)
{
    if (!ox_str_is(name, "t") || index < 0 || index > 1)
        return OX_UNKNOWN_TOPIC_OR_PARTITION;
    *out = &parts[index];
    return OX_OK;
}

static void
append_finish(struct engine_append *call)
{
    call->code = OX_OK;
    call->base_offset = parts[call->partition].end++;
    call->append_time_ms = call->log_start = -1;
    struct partition_waiter *waiter = parts[call->partition].waiter;
    parts[call->partition].waiter = NULL;
    if (waiter != NULL)
        waiter->fn(waiter);
}

bool
engine_append(struct engine_append *call)
{
    struct partition *part;
    call->code = engine_partition(call->sess, call->topic, NULL, call->partition, ENGINE_WRITE,
        &part, NULL);
    call->base_offset = call->append_time_ms = call->log_start = -1;
    call->err.message[0] = '\0';
    if (call->code != OX_OK)
        return true;
    if (call->acks == -1) {
        waiting_appends[waiting_count++] = call;
        return false;
    }
    append_finish(call);
    return true;
}

void
engine_read(struct engine_session *sess, struct engine_read *read)
{
    enum { BATCH = 100 };
    memset(&read->range, 0, sizeof(read->range));
    read->code = engine_partition(sess, read->topic, NULL, read->partition, ENGINE_READ,
        &read->part, NULL);
    if (read->code != OX_OK)
        return;
    int64_t end = read->part->end, count = end - read->offset;
    read->state = (struct partition_state){0, end, end, end, 0, OX_OK};
    if (count < 0) {
        read->code = OX_OFFSET_OUT_OF_RANGE;
        return;
    }
    int64_t fit = (int64_t)(read->max_bytes / BATCH);
    count = OX_MIN(count, OX_MAX(fit, read->min_one ? 1 : 0));
    if (count == 0)
        return;
    ranges_out++;
    read->range = (struct log_range){(struct log_segment *)(void *)&loop, NULL, 0,
        (size_t)count * BATCH, read->offset, read->offset + count, false};
}

void
log_range_put(struct log_range *range)
{
    ranges_out -= range->seg != NULL;
    range->seg = NULL;
}

ox_code
log_range_pread(const struct log_range *range, void *to, struct ox_err *err)
{
    memset(to, 'r', range->len);
    return OX_OK;
}

static int no_fd(void *fs, struct file *file) { return -1; }

struct plog *partition_log(struct partition *part) { return (struct plog *)(void *)part; }
struct partition *partition_hold(struct partition *part) { return part; }
void partition_put(struct partition *part) { }
void
partition_state(struct partition *part, struct partition_state *out)
{
    *out = (struct partition_state){0, part->end, part->end, part->end, 0, OX_OK};
}
int64_t
partition_visible_end(const struct partition_state *state, enum partition_isolation isolation)
{
    return state->high_watermark;
}
bool
partition_wait(struct partition *part, struct partition_waiter *waiter)
{
    if (part->end > waiter->offset)
        return false;
    part->waiter = waiter;
    return true;
}
void
partition_unwait(struct partition_waiter *waiter)
{
    for (int i = 0; i < 2; i++)
        if (parts[i].waiter == waiter)
            parts[i].waiter = NULL;
}
struct partition *
replica_partition(struct replica *replica, const struct uuid *id, int32_t index)
{
    return &parts[index];
}
int32_t replica_node_id(const struct replica *replica) { return 1; }
bool partition_offline(struct partition *part) { return false; }
void
plog_epoch_end(struct plog *plog, int32_t asked, int32_t current, int32_t *epoch, int64_t *end)
{
    *epoch = -1;
    *end = -1;
}
static ox_code aborted_code;
ox_code
plog_aborted_txns(struct plog *plog, int64_t from, int64_t to, struct arena *arena,
    struct log_aborted_txn **out, size_t *count, struct ox_err *err)
{
    *count = 0;
    return aborted_code;
}

void conn_set_user(struct conn *conn, void *user) { conn->user = user; }
void *conn_user(const struct conn *conn) { return conn->user; }
void conn_set_session(struct conn *conn, void *session) { }
struct loop *conn_loop(const struct conn *conn) { return &loop; }
uint64_t conn_id(const struct conn *conn) { return 1; }
const char *conn_peer_host(const struct conn *conn) { return "127.0.0.1"; }
void conn_pause(struct conn *conn) { conn->paused++; }
void conn_resume(struct conn *conn) { conn->paused--; }
void conn_set_idle_limit(struct conn *conn, uint64_t idle_ns) { }
void conn_write(struct conn *conn, const void *ptr, size_t len) { ox_text_add(&conn->out, ptr, len); }
uint8_t *
conn_reserve(struct conn *conn, size_t len)
{
    return (uint8_t *)ox_text_reserve(&conn->out, len);
}
void conn_commit(struct conn *conn, size_t len) { conn->out.len += len; }
void
conn_write_file(struct conn *conn, int fd, uint64_t pos, size_t len, void (*release)(void *),
    void *arg)
{
    ox_unreachable();
}
void conn_close_after_write(struct conn *conn) { conn->closing = true; }
void conn_close(struct conn *conn) { conn->closing = true; }
bool
conn_full(struct conn *conn)
{
    return conn->out.len > out_max;
}
bool conn_closing(const struct conn *conn) { return conn->closing; }
void
net_serve(struct listener *l, const struct conn_handler *h, void *arg, struct net_tls *tls)
{
    handler = h;
    handler_arg = arg;
}
void net_listener_sockets(struct listener *l, int backlog, int out, int in) { }
bool net_listener_gone(const struct listener *l) { return true; }
void net_listener_loops(struct listener *l, uint32_t most) {}
const struct conn_tls *conn_tls(const struct conn *c) { return NULL; }
const char *conn_tls_refusal(const struct conn *c) { return NULL; }

/* Nobody logs in here. */
struct auth_exchange *auth_exchange_new(enum auth_mechanism m) { ox_unreachable(); }
void auth_exchange_free(struct auth_exchange *exchange) {}
const char *auth_exchange_user(const struct auth_exchange *e) { return ""; }
int64_t auth_exchange_expiry_ms(const struct auth_exchange *e) { return -1; }
const char *auth_exchange_token_id(const struct auth_exchange *e) { return ""; }
bool auth_exchange_key_unknown(const struct auth_exchange *e) { return false; }
const char *auth_mechanism_name(enum auth_mechanism m) { return ""; }
enum auth_mechanism auth_mechanism_find(struct str name) { return AUTH_MECHANISM_COUNT; }
void auth_wipe(void *ptr, size_t len) {}
void auth_work(struct auth_exchange *exchange) {}
enum auth_result
auth_worked(struct auth_exchange *exchange, const struct auth_context *ctx, struct arena *a,
    struct str *reply, struct ox_err *err)
{
    ox_unreachable();
}
enum auth_result
auth_step(struct auth_exchange *exchange, const struct auth_context *ctx, struct str message,
    struct arena *a, struct str *reply, struct ox_err *err)
{
    ox_unreachable();
}
void net_listener_rate(struct listener *l, uint32_t rate) {}
void net_listener_waits(struct listener *l, uint32_t most, bool exempt) {}
void engine_login_begin(struct engine *e, struct engine_login *login) {}
void engine_login_end(struct engine_login *login) {}
ox_code engine_login_done(struct engine_session *sess, const char *mechanism, struct str user, struct ox_err *err) { return OX_OK; }
void engine_login_key_wanted(struct engine *e) {}
void engine_login_refused(struct engine_session *sess, const char *reason) {}
void
engine_login_failed(struct engine_session *sess, const char *mechanism, const char *user,
    const struct ox_err *why)
{
}
ox_code
engine_login_subject(struct engine *e, const struct auth_mapping *mapping, struct str subject,
    struct text *out, struct ox_err *err)
{
    ox_unreachable();
}

struct loop *loop_self(void) { return &loop; }
int loop_index(const struct loop *l) { return 0; }
uint64_t loop_now_ns(const struct loop *l) { return l->now_ns; }
int64_t loop_wall_ms(const struct loop *l) { return (int64_t)(l->now_ns / 1000000); }
void
loop_timer_start(struct loop *l, struct loop_timer *timer, uint64_t delay_ns,
    void (*fn)(struct loop_timer *))
{
    timer->fn = fn;
    timer->due_ns = l->now_ns + delay_ns;
    l->timer = timer;
}
void
loop_timer_stop(struct loop_timer *timer)
{
    if (loop.timer == timer)
        loop.timer = NULL;
}
void
loop_at_tick_end(struct loop *l, struct loop_tick *tick)
{
    if (tick->waiting)
        return;
    tick->waiting = true;
    tick->next = l->ticks;
    l->ticks = tick;
}
void loop_pool_submit(struct loop *l, struct pool_job *job) { ox_unreachable(); }

static void
turn(void)
{
    while (loop.ticks != NULL) {
        struct loop_tick *tick = loop.ticks;
        loop.ticks = tick->next;
        tick->waiting = false;
        tick->fn(tick);
    }
}

struct str
meta_listener_own(const struct meta_view *v, const char *name, const char *mechanism, int index)
{
    return OX_STR_NULL;
}
const struct meta_topic *
meta_view_topic(const struct meta_view *v, struct str name)
{
    return ox_str_is(name, "t") ? &topic : NULL;
}
const struct meta_topic *
meta_view_topic_by_id(const struct meta_view *v, const struct uuid *id)
{
    return ox_uuid_eq(id, &topic.id) ? &topic : NULL;
}
const struct meta_topic *meta_view_topic_at(const struct meta_view *v, uint32_t rank) { return &topic; }
const struct meta_broker *
meta_view_broker(const struct meta_view *v, int32_t node_id)
{
    return node_id == 1 ? &broker : NULL;
}
const struct meta_listener *
meta_broker_listener(const struct meta_broker *b, struct str name)
{
    return &listener;
}
bool meta_topic_is_internal(struct str name) { return false; }
int meta_feature_level(const struct meta_view *v, int which) { return 0; }
ox_code
meta_topic_name_check(struct str name, struct ox_err *err)
{
    return name.len > 0 && memchr(name.ptr, ' ', name.len) == NULL ? OX_OK : OX_INVALID_TOPIC;
}

/* ---- talking to it ---- */

static struct kafka_door *door;
static struct arena arena;

static void
world_start(void)
{
    static struct file_system_ops ops;
    memset(&loop, 0, sizeof(loop));
    memset(&the_conn, 0, sizeof(the_conn));
    memset(parts, 0, sizeof(parts));
    ops.fd = no_fd;
    fake_fs.ops = &ops;
    fake_env = *env_os();
    fake_env.fs = &fake_fs;
    settings.fetch_max_bytes = 1 << 20;
    settings.max_request_partition_size_limit = 2000;
    settings.auto_create_topics_enable = true;
    listener = (struct meta_listener){OX_STR("PLAINTEXT"), OX_STR("localhost"), 9092, 0};
    broker = (struct meta_broker){.node_id = 1};
    for (int i = 0; i < 2; i++)
        meta_parts[i] = (struct meta_partition){.index = i, .leader = 1, .replica_count = 1,
            .isr_count = 1, .replicas = &one, .isr = &one};
    topic = (struct meta_topic){.name = OX_STR("t"), .partition_count = 2,
        .partitions = meta_part_list, .config = &topic_config};
    topic.id.bytes[3] = 7;
    view = (struct meta_view){.security = &no_security, .cluster_id = OX_STR("cluster"),
        .topic_count = 1, .broker_count = 1, .brokers = brokers, .controller_id = 1};
    struct kafka_door_config config = {.listener = "PLAINTEXT", .request_bytes_max = 1000,
        .fetch_sessions_max = 2};
    door = kafka_door_open(&config);
    ok(door != NULL, "the door opens");
    handler->opened(&the_conn, handler_arg);
    ox_text_init(&the_conn.out, NULL);
    ox_arena_init(&arena);
}

static void
world_stop(void)
{
    handler->closed(&the_conn);
    turn();
    kafka_door_free(door);
    is_int(ranges_out, 0, "every range was let go");
    ox_text_fini(&the_conn.out);
    ox_arena_fini(&arena);
}

static void
deliver(const struct text *frame)
{
    struct buf *buf = ox_buf_new(frame->len);
    memcpy(buf->ptr, frame->ptr, frame->len);
    struct slice slice = {buf, 0, frame->len};
    ptrdiff_t len = handler->frame_len(&the_conn, buf->ptr, frame->len);
    if (len == (ptrdiff_t)frame->len)
        handler->frame(&the_conn, &slice);
    ox_buf_put(buf);
    turn();
}

static void
send_request(const struct msg_type *type, int key, int version, int32_t id, const void *msg)
{
    struct text frame;
    ox_text_init(&frame, &arena);
    struct wire_out out = wire_out(&frame);
    struct request_header header = {(int16_t)key, (int16_t)version, id, OX_STR("test")};
    wire_put32(&out, 0);
    request_header_encode(&header, version >= type->flexible ? 2 : 1, &out);
    msg_encode(type, msg, version, &out, NULL);
    wire_store32(frame.ptr, (uint32_t)(frame.len - 4));
    deliver(&frame);
}

/* The next answer's correlation id, or -1; its body is decoded if type is given. */
static int32_t
receive(const struct msg_type *type, int version, void *out)
{
    struct wire_in in = wire_in(the_conn.out.ptr, the_conn.out.len);
    if (the_conn.out.len < 8)
        return -1;
    uint32_t len = (uint32_t)wire_get32(&in);
    uint8_t *copy = ox_arena_copy(&arena, in.at, len);
    in = wire_in(copy, len);
    int32_t id = wire_get32(&in);
    if (type != NULL) {
        if (version >= type->flexible && type != &api_versions_response_type)
            wire_get8(&in);
        bool good = msg_decode(type, &in, version, &arena, out) && wire_left(&in) == 0;
        if (!good)
            return -2;
    }
    the_conn.out.len -= len + 4;
    memmove(the_conn.out.ptr, the_conn.out.ptr + len + 4, the_conn.out.len);
    return id;
}

/* ---- tests ---- */

static void
test_api_versions(void)
{
    struct api_versions_request request = {.client_software_name = OX_STR("a-client"),
        .client_software_version = OX_STR("1.0")};
    struct api_versions_response response;
    world_start();
    for (int version = 0; version <= 4; version++) {
        send_request(&api_versions_request_type, 18, version, 5 + version, &request);
        is_int(receive(&api_versions_response_type, version, &response), 5 + version,
            "ApiVersions is answered, without a tag byte in its header");
        is_int(response.api_keys.count, KAFKA_SERVED_COUNT, "with all that is served");
    }
    ok(response.api_keys.at[0].api_key == 0 && response.api_keys.at[0].min_version == 0,
        "Produce is offered from 0");
    request.client_software_name = OX_STR("-bad");
    send_request(&api_versions_request_type, 18, 3, 20, &request);
    is_int(receive(&api_versions_response_type, 3, &response), 20, "a bad software name");
    ok(response.error_code == 42 && response.api_keys.count == 0, "is an invalid request");

    static const uint8_t newer[] = {0, 0, 0, 14, 0, 18, 0, 99, 0, 0, 0, 9, 0, 1, 'x', 1, 2, 3};
    struct text frame = {(char *)(uintptr_t)newer, sizeof(newer), 0, NULL};
    deliver(&frame);
    is_int(receive(&api_versions_response_type, 0, &response), 9, "a version from the future");
    ok(response.error_code == 35 && response.api_keys.count == 1 &&
           response.api_keys.at[0].api_key == 18,
        "is answered in version 0, with the range of ApiVersions alone");
    ok(!the_conn.closing, "and the connection stays");
    world_stop();
}

static void
test_refusals(void)
{
    static const struct {
        const char *what;
        size_t len;
        uint8_t bytes[24];
    } bad[] = {
        {"an unknown API", 14, {0, 0, 0, 10, 0x7F, 0, 0, 0, 0, 0, 0, 1, 0xFF, 0xFF}},
        {"a version that is not served", 14, {0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 1, 0xFF, 0xFF}},
        {"Produce 0, though offered", 14, {0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF, 0xFF}},
        {"a header cut short", 9, {0, 0, 0, 5, 0, 3, 0, 1, 0}},
        {"a body cut short", 16, {0, 0, 0, 12, 0, 3, 0, 1, 0, 0, 0, 1, 0xFF, 0xFF, 0, 0}},
        {"an empty frame", 4, {0, 0, 0, 0}},
    };
    for (size_t i = 0; i < ox_count(bad); i++) {
        world_start();
        struct text frame = {(char *)(uintptr_t)bad[i].bytes, bad[i].len, 0, NULL};
        deliver(&frame);
        ok(the_conn.closing && the_conn.out.len == 0, bad[i].what);
        world_stop();
    }
    world_start();
    static const uint8_t negative[] = {0xFF, 0xFF, 0xFF, 0xFF}, large[] = {0, 0, 4, 0};
    ok(handler->frame_len(&the_conn, negative, 4) < 0, "a negative length");
    ok(handler->frame_len(&the_conn, large, 4) < 0, "a length beyond the limit");
    ok(handler->frame_len(&the_conn, large, 3) == 0, "a length that is not there yet");
    world_stop();
}

static void
produce(int32_t id, int acks, int32_t partition)
{
    static char batch[61];
    struct produce_request_topic_data_partition_data part = {.index = partition,
        .records = {.bytes = {batch, sizeof(batch)}}};
    struct produce_request_topic_data data = {.name = OX_STR("t"), .partition_data = {&part, 1}};
    struct produce_request request = {.acks = (int16_t)acks, .timeout_ms = 100,
        .topic_data = {&data, 1}, .transactional_id = OX_STR_NULL};
    send_request(&produce_request_type, 0, 9, id, &request);
}

static void
test_order(void)
{
    struct produce_response response;
    struct metadata_request request = {.topics = {NULL, -1}};
    world_start();
    produce(1, -1, 0);
    produce(2, -1, 1);
    is_int(waiting_count, 2, "Produce requests overlap");
    ok(the_conn.paused == 0, "and more may come");
    send_request(&metadata_request_type, 3, 9, 3, &request);
    ok(the_conn.paused == 1, "another request behind them stops the reading");
    append_finish(waiting_appends[1]);
    waiting_appends[1]->done(waiting_appends[1]);
    ok(the_conn.out.len == 0, "what is done first does not answer first");
    append_finish(waiting_appends[0]);
    waiting_appends[0]->done(waiting_appends[0]);
    waiting_count = 0;
    is_int(receive(&produce_response_type, 9, &response), 1, "the first answer");
    is_int(response.responses.at[0].partition_responses.at[0].error_code, 0, "without error");
    is_int(receive(&produce_response_type, 9, &response), 2, "the second");
    struct metadata_response metadata;
    is_int(receive(&metadata_response_type, 9, &metadata), 3, "then the one that was held");
    is_int(metadata.topics.count, 1, "which lists the topic");
    ok(the_conn.paused == 0, "and reading goes on");

    produce(4, 0, 0);
    ok(the_conn.out.len == 0 && !the_conn.closing, "acks=0 is silent");
    produce(5, 1, 9);
    is_int(receive(&produce_response_type, 9, &response), 5, "an unknown partition");
    is_int(response.responses.at[0].partition_responses.at[0].error_code, 3, "is error 3");
    produce(6, 0, 9);
    ok(the_conn.out.len == 0 && the_conn.closing, "with acks=0 it closes the connection");
    world_stop();
}

static void
test_abandoned(void)
{
    world_start();
    produce(1, -1, 0);
    struct heartbeat_request request = {OX_STR("g"), 1, OX_STR("m"), OX_STR_NULL};
    handler->closed(&the_conn);
    append_finish(waiting_appends[0]);
    waiting_appends[0]->done(waiting_appends[0]);
    waiting_count = 0;
    ok(the_conn.out.len == 0, "an answer to a closed connection goes nowhere");
    memset(&the_conn, 0, sizeof(the_conn));
    handler->opened(&the_conn, handler_arg);
    send_request(&heartbeat_request_type, 12, 4, 2, &request);
    ok(waiting_heartbeat != NULL && the_conn.paused == 1, "a call to the coordinator waits");
    waiting_heartbeat->code = OX_REBALANCE_IN_PROGRESS;
    waiting_heartbeat->done(waiting_heartbeat);
    struct heartbeat_response response;
    is_int(receive(&heartbeat_response_type, 4, &response), 2, "its answer comes");
    is_int(response.error_code, 27, "with the coordinator's code");
    world_stop();
}

static int8_t isolation; /* of fetch() */

static void
fetch(int32_t id, int version, int64_t offset, int wait_ms, int32_t session, int32_t epoch)
{
    struct fetch_request_topics_partitions wanted[2];
    for (int i = 0; i < 2; i++) {
        fetch_request_topics_partitions_init(&wanted[i]);
        wanted[i].partition = i;
        wanted[i].fetch_offset = offset;
        wanted[i].partition_max_bytes = 150;
    }
    struct fetch_request_topics topics = {.topic = OX_STR("t"), .topic_id = topic.id,
        .partitions = {wanted, 2}};
    struct fetch_request request;
    fetch_request_init(&request);
    request.max_wait_ms = wait_ms;
    request.min_bytes = 1;
    request.isolation_level = isolation;
    request.session_id = session;
    request.session_epoch = epoch;
    request.topics.at = &topics;
    request.topics.count = offset < 0 ? 0 : 1;
    send_request(&fetch_request_type, 1, version, id, &request);
}

static void
test_fetch(void)
{
    struct fetch_response response;
    world_start();
    fetch(1, 11, 0, 500, 0, -1);
    ok(the_conn.out.len == 0 && the_conn.paused == 1, "a fetch of nothing is parked");
    ok(parts[0].waiter != NULL && parts[1].waiter != NULL, "on every partition");
    struct engine_append append = {.topic = OX_STR("t"), .partition = 1};
    append_finish(&append);
    turn();
    is_int(receive(&fetch_response_type, 11, &response), 1, "a record wakes it");
    is_int(response.responses.at[0].partitions.count, 2, "all partitions are answered");
    is_int(response.responses.at[0].partitions.at[1].records.bytes.len, 100, "the record is there");
    ok(response.responses.at[0].partitions.at[0].records.bytes.ptr != NULL, "empty is not null");
    ok(response.responses.at[0].partitions.at[0].aborted_transactions.count == -1,
        "no aborted transactions for who reads uncommitted");
    ok(parts[0].waiter == NULL, "no waiter stays");

    fetch(2, 11, 1, 500, 0, -1);
    is_int(receive(&fetch_response_type, 11, &response), 2, "an error does not wait");
    is_int(response.responses.at[0].partitions.at[0].error_code, 1, "offset out of range");
    is_int(response.responses.at[0].partitions.at[0].high_watermark, -1, "has no high watermark");

    parts[0].end = 1;
    fetch(3, 11, 1, 500, 0, -1);
    loop.now_ns += 500000000;
    ok(loop.timer != NULL, "a timer runs");
    loop.timer->fn(loop.timer);
    turn();
    is_int(receive(&fetch_response_type, 11, &response), 3, "time ends the wait");
    fetch(4, 11, 1, 500, 0, -1);
    ok(the_conn.out.len == 0, "parked again");
    world_stop(); /* closes while parked */
}

/* Which records were aborted may be unreadable. */
static void
test_committed(void)
{
    struct fetch_response response;
    world_start();
    isolation = 1;
    parts[0].end = parts[1].end = 1;
    fetch(1, 11, 0, 0, 0, -1);
    is_int(receive(&fetch_response_type, 11, &response), 1, "who reads what is committed");
    is_int(response.responses.at[0].partitions.at[0].records.bytes.len, 100, "has records");
    is_int(response.responses.at[0].partitions.at[0].aborted_transactions.count, 0,
        "of which none was aborted");
    aborted_code = OX_IO_ERROR;
    fetch(2, 11, 0, 0, 0, -1);
    is_int(receive(&fetch_response_type, 11, &response), 2, "when that cannot be known");
    is_int(response.responses.at[0].partitions.at[0].error_code, 56, "there is an error");
    is_int(response.responses.at[0].partitions.at[0].records.bytes.len, 0, "and no record");
    aborted_code = OX_OK;
    isolation = 0;
    world_stop();
}

static void
test_sessions(void)
{
    struct fetch_response response;
    world_start();
    parts[0].end = parts[1].end = 1;
    fetch(1, 12, 0, 0, 0, 0);
    is_int(receive(&fetch_response_type, 12, &response), 1, "a full fetch");
    int32_t session = response.session_id;
    ok(session > 0, "makes a session");
    is_int(fetch_cache_count(door->fetch_cache), 1, "which is kept");
    fetch(2, 12, 1, 0, session, 1);
    is_int(receive(&fetch_response_type, 12, &response), 2, "an incremental one");
    is_int(response.responses.count, 0, "leaves out what is known");
    is_int(response.session_id, session, "in the same session");
    struct engine_append append = {.topic = OX_STR("t"), .partition = 1};
    append_finish(&append);
    fetch(3, 12, -1, 0, session, 2);
    is_int(receive(&fetch_response_type, 12, &response), 3, "naming no partition");
    ok(response.responses.count == 1 && response.responses.at[0].partitions.count == 1 &&
           response.responses.at[0].partitions.at[0].partition_index == 1,
        "brings the partition that has news");
    fetch(4, 12, -1, 0, session, 2);
    receive(&fetch_response_type, 12, &response);
    is_int(response.error_code, 71, "an old epoch is refused");
    is_int(response.session_id, 0, "without a session");
    fetch(5, 12, -1, 0, session + 1, 1);
    receive(&fetch_response_type, 12, &response);
    is_int(response.error_code, 70, "an unknown session too");
    fetch(6, 13, -1, 0, session, 3);
    receive(&fetch_response_type, 13, &response);
    is_int(response.error_code, 106, "topic ids in a session of names too");
    fetch(7, 12, 0, 0, session, -1);
    receive(&fetch_response_type, 12, &response);
    ok(response.error_code == 0 && response.session_id == 0, "epoch -1 reads without a session");
    is_int(fetch_cache_count(door->fetch_cache), 0, "and ends the old one");
    for (int i = 0; i < 4; i++) {
        fetch(10 + i, 12, 0, 0, 0, 0);
        receive(&fetch_response_type, 12, &response);
    }
    is_int(response.session_id, 0, "no session when the cache is full");
    is_int(fetch_cache_count(door->fetch_cache), 2, "of two");
    loop.now_ns += 200000000000u;
    fetch(20, 12, 0, 0, 0, 0);
    receive(&fetch_response_type, 12, &response);
    ok(response.session_id > 0, "an idle one gives way");
    world_stop();
}

/* Sessions of two partitions each, of which five are remembered in all. */
static void
test_session_parts(void)
{
    struct fetch_response response;
    struct fetch_request_topics_partitions wanted[2];
    struct fetch_request_topics topics = {.topic = OX_STR("other"), .partitions = {wanted, 2}};
    struct fetch_request request;
    world_start();
    fetch_cache_free(door->fetch_cache);
    door->fetch_cache = fetch_cache_new(100, 5);
    parts[0].end = parts[1].end = 1;
    fetch(1, 12, 0, 0, 0, 0);
    receive(&fetch_response_type, 12, &response);
    int32_t session = response.session_id;
    fetch(2, 12, 0, 0, 0, 0);
    receive(&fetch_response_type, 12, &response);
    ok(session > 0 && response.session_id > 0, "there is room for two sessions");
    fetch(3, 12, 0, 0, 0, 0);
    receive(&fetch_response_type, 12, &response);
    ok(response.session_id == 0 && response.responses.count == 1,
        "a third consumer reads without one");
    fetch_request_init(&request);
    for (int i = 0; i < 2; i++) {
        fetch_request_topics_partitions_init(&wanted[i]);
        wanted[i].partition = i;
    }
    request.session_id = session;
    request.session_epoch = 1;
    request.topics.at = &topics;
    request.topics.count = 1;
    send_request(&fetch_request_type, 1, 12, 4, &request);
    receive(&fetch_response_type, 12, &response);
    ok(response.error_code == 70 && response.session_id == 0,
        "one that would grow to more than there is room for ends");
    is_int(fetch_cache_count(door->fetch_cache), 1, "the other one stays");
    fetch(5, 12, 0, 0, 0, 0);
    receive(&fetch_response_type, 12, &response);
    ok(response.session_id > 0, "its room is another's");
    loop.now_ns += 200000000000u;
    fetch(6, 12, 0, 0, 0, 0);
    receive(&fetch_response_type, 12, &response);
    ok(response.session_id > 0, "and so is that of one that is idle");
    is_int(fetch_cache_count(door->fetch_cache), 2, "of which only as many went as must");
    world_stop();
}

static void
test_metadata(void)
{
    struct metadata_request_topics names[2] = {{.name = OX_STR("t")}, {.name = OX_STR("new")}};
    struct metadata_request request = {.topics = {names, 2}, .allow_auto_topic_creation = true};
    struct metadata_response response;
    world_start();
    for (int version = 0; version <= 13; version++) {
        created = 0;
        send_request(&metadata_request_type, 3, version, version + 1, &request);
        is_int(receive(&metadata_response_type, version, &response), version + 1, "metadata");
        ok(response.topics.count == 2 && response.topics.at[0].partitions.count == 2 &&
               response.topics.at[1].error_code == 3 && created == 1,
            "one topic is there, the other is being made");
    }
    request.topics.count = 0;
    send_request(&metadata_request_type, 3, 0, 1, &request);
    receive(&metadata_response_type, 0, &response);
    is_int(response.topics.count, 1, "version 0: an empty list is all");
    send_request(&metadata_request_type, 3, 1, 1, &request);
    receive(&metadata_response_type, 1, &response);
    is_int(response.topics.count, 0, "version 1: an empty list is none");
    world_stop();
}

/* An answer of 70 MB, with memory for it and without. */
static void
test_long_answer(void)
{
    enum { COUNT = 2200, LEN = 32000 };
    static struct metadata_request_topics names[COUNT];
    struct metadata_request request = {.topics = {names, COUNT}};
    static char text[COUNT + LEN];
    world_start();
    door->config.request_bytes_max = 100 << 20;
    for (int i = 0; i < COUNT + LEN; i++)
        text[i] = i % LEN == 0 ? ' ' : (char)('a' + (uint32_t)i * 2654435761u / 7 % 26);
    for (int i = 0; i < COUNT; i++)
        names[i].name = ox_str_n(text + i, LEN);
    send_request(&metadata_request_type, 3, 1, 1, &request);
    ok(the_conn.out.len > (size_t)COUNT * LEN && !the_conn.closing, "a long answer is sent");
    ox_text_fini(&the_conn.out);
    ox_text_init(&the_conn.out, NULL);
    mem_set_limit(1);
    send_request(&metadata_request_type, 3, 1, 2, &request);
    ok(the_conn.out.len == 0 && the_conn.closing, "without memory for it the connection is closed");
    mem_set_limit(0);
    world_stop();
}

int
main(void)
{
    test_api_versions();
    test_refusals();
    test_order();
    test_abandoned();
    test_fetch();
    test_committed();
    test_sessions();
    test_session_parts();
    test_metadata();
    test_long_answer();
    return done();
}
