/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections of the Kafka door: frames in, requests started, answers out in
 * order.
 *
 * Kafka handles one request of a connection after the other. So do we, with one
 * difference that a client cannot see: Produce requests that follow one another
 * are started at once, so that their flushes are shared; their answers leave in
 * order all the same. Anything else waits until all before it are answered:
 *
 *   kc->requests: [produce, waits] [produce, waits] ...      or one other request
 *   kc->held:     the request read behind them               then reading pauses
 *
 * Invariants
 *   1  answers leave in the order of kc->requests
 *   2  held is not in requests; while it is set, the connection is paused. A
 *      Produce is held too while the one before it is held back
 *   3  the connection is paused iff another request could not be started, or the
 *      peer does not read its answers
 *   4  kc is freed when it is closed, requests is empty and holds is 0 */
#include "base/diag.h"
#include "base/file.h"
#include "kafka/kafka_int.h"
#include "share/share.h"

static void
door_put(struct kafka_door *door)
{
    if (atomic_fetch_sub(&door->refs, 1) != 1)
        return;
    for (size_t i = 0; i < ox_count(door->spares); i++) {
        struct list *node;
        while ((node = ox_list_pop(&door->spares[i].list)) != NULL) {
            struct kafka_request *req = ox_container_of(node, struct kafka_request, link);
            ox_arena_fini(&req->arena);
            ox_free(req);
        }
    }
    fetch_cache_free(door->fetch_cache);
    ox_free(door);
}

void
kafka_conn_hold(struct kafka_conn *kc)
{
    kc->holds++;
}

static void
free_if_done(struct kafka_conn *kc)
{
    if (kc->conn != NULL || kc->request_count > 0 || kc->holds > 0)
        return;
    door_put(kc->door);
    auth_exchange_free(kc->exchange);
    engine_session_fini(&kc->sess);
    ox_free(kc);
}

void
kafka_conn_put(struct kafka_conn *kc)
{
    ox_assert(kc->holds > 0);
    kc->holds--;
    free_if_done(kc);
}

static struct kafka_request *
request_new(struct kafka_conn *kc)
{
    struct kafka_spare *spare = &kc->door->spares[loop_index(kc->sess.loop)];
    struct list *node = ox_list_pop(&spare->list);
    struct kafka_request *req;
    if (node != NULL) {
        spare->count--;
        req = ox_container_of(node, struct kafka_request, link);
        struct arena arena = req->arena;
        memset(req, 0, sizeof(*req));
        req->arena = arena;
    } else {
        req = ox_calloc(1, sizeof(*req));
        ox_arena_init(&req->arena);
    }
    ox_list_init(&req->link);
    req->kc = kc;
    req->sess = &kc->sess;
    return req;
}

static void
request_free(struct kafka_request *req)
{
    struct kafka_spare *spare = &req->kc->door->spares[loop_index(req->sess->loop)];
    ox_buf_put(req->frame.buf);
    req->frame.buf = NULL;
    ox_arena_reset(&req->arena);
    if (spare->count < KAFKA_SPARE_MAX) {
        ox_list_push(&spare->list, &req->link);
        spare->count++;
        return;
    }
    ox_arena_fini(&req->arena);
    ox_free(req);
}

/* ---- frames in ---- */

static void
opened(struct conn *conn, void *listener_arg)
{
    struct kafka_door *door = listener_arg;
    struct kafka_conn *kc = ox_calloc(1, sizeof(*kc));
    kc->door = door;
    kc->conn = conn;
    ox_list_init(&kc->requests);
    atomic_fetch_add(&door->refs, 1);
    engine_session_init(&kc->sess, door->config.engine, conn_loop(conn), "kafka",
        door->config.listener, conn_peer_host(conn), conn_id(conn));
    conn_set_user(conn, kc);
    conn_set_session(conn, &kc->sess);
    kc->sess.encrypted = door->config.tls != NULL;
    kafka_login_init(kc);
}

static ptrdiff_t
frame_len(struct conn *conn, const uint8_t *bytes, size_t have)
{
    const struct kafka_conn *kc = conn_user(conn);
    if (have < 4)
        return 0;
    int32_t len = (int32_t)wire_load32(bytes);
    size_t len_max = kc->login == KAFKA_LOGIN_DONE
        ? kc->door->config.request_bytes_max
        : kafka_login_request_max(kc);
    if (len < 0 || (size_t)len > len_max) {
        if (len > 0)
            limit_met(kc->login == KAFKA_LOGIN_DONE ? LIMIT_KAFKA_FRAME
                                                    : LIMIT_KAFKA_FRAME_BEFORE_LOGIN);
        ox_debug("kafka frame refused", "conn=%llu len=%d", (unsigned long long)conn_id(conn),
            len);
        return -1;
    }
    return (ptrdiff_t)len + 4;
}

static void
note_client_id(struct kafka_conn *kc, struct str id)
{
    char *known = kc->sess.client_id;
    const char *ptr = id.ptr ? id.ptr : "";
    size_t len = OX_MIN(id.ptr ? id.len : 0, sizeof(kc->sess.client_id) - 1);
    if (strlen(known) == len && memcmp(known, ptr, len) == 0)
        return;
    memcpy(known, ptr, len);
    known[len] = '\0';
    engine_quota_changed(&kc->sess);
}

static void
set_paused(struct kafka_conn *kc, bool paused)
{
    if (kc->paused == paused || kc->conn == NULL)
        return;
    kc->paused = paused;
    if (paused)
        conn_pause(kc->conn);
    else
        conn_resume(kc->conn);
}

static bool
may_overlap(const struct kafka_request *req)
{
    return req->api->key == 0 && !req->kc->held_back;
}

/* Could a request be started, or at least be read? */
static void
update_pause(struct kafka_conn *kc)
{
    if (kc->request_count == KAFKA_PIPELINE_MAX && !kc->paused)
        limit_met(LIMIT_REQUESTS_UNDER_WAY);
    if (kc->request_bytes >= KAFKA_PIPELINE_BYTES && !kc->paused)
        limit_met(LIMIT_BYTES_UNDER_WAY);
    bool wait = kc->held != NULL || kc->request_count >= KAFKA_PIPELINE_MAX ||
                kc->request_bytes >= KAFKA_PIPELINE_BYTES ||
                (kc->conn != NULL && conn_full(kc->conn));
    if (!wait && kc->request_count > 0)
        wait = !may_overlap(ox_container_of(kc->requests.prev, struct kafka_request, link));
    set_paused(kc, wait);
}

void
kafka_hold_back(struct kafka_conn *kc)
{
    ox_assert(!kc->held_back);
    kc->held_back = true;
}

/* Logins, and what brokers say to each other, have no quota. */
static bool
exempt(int16_t key)
{
    return key == 17 || key == 36 || key == 27 || (key >= 83 && key <= 87);
}

/* Time of this thread counts; what a request waits for costs nobody anything. */
static void
start(struct kafka_request *req)
{
    struct kafka_conn *kc = req->kc;
    ox_list_push(&kc->requests, &req->link);
    kc->request_count++;
    kc->request_bytes += req->frame.len;
    note_client_id(kc, req->client_id);
    atomic_fetch_add_explicit(&kc->sess.requests, 1, memory_order_relaxed);
    if (engine_quota_applies(&kc->sess, ENGINE_QUOTA_REQUEST) && !exempt(req->api->key)) {
        req->begun_ns = env_mono_ns(engine_env(kc->sess.engine));
        kc->running = req;
    }
    req->api->handle(req);
    if (kc->running == req) { /* it waits for something */
        kc->running = NULL;
        req->used_ns = env_mono_ns(engine_env(kc->sess.engine)) - req->begun_ns;
    }
}

void
kafka_count_time(struct kafka_request *req)
{
    if (req->begun_ns == 0)
        return;
    if (req->kc->running == req) {
        req->kc->running = NULL;
        req->used_ns = env_mono_ns(engine_env(req->sess->engine)) - req->begun_ns;
    }
    req->begun_ns = 0;
    engine_quota_use(req->sess, ENGINE_QUOTA_REQUEST, (double)req->used_ns / 1e7);
}

/* ---- throttling: the answer goes out and says so, then nothing is read ---- */

static void
mute_over(struct loop_timer *timer)
{
    struct kafka_conn *kc = ox_container_of(timer, struct kafka_conn, mute);
    if (kc->conn != NULL)
        conn_resume(kc->conn);
    kafka_conn_put(kc);
}

static void
mute(struct kafka_conn *kc, uint32_t ms)
{
    if (ms == 0 || kc->conn == NULL)
        return;
    uint64_t due = loop_now_ns(kc->sess.loop) + (uint64_t)ms * 1000000;
    if (loop_timer_running(&kc->mute)) {
        if (due > kc->mute.due_ns)
            loop_timer_start(kc->sess.loop, &kc->mute, (uint64_t)ms * 1000000, mute_over);
        return;
    }
    kafka_conn_hold(kc);
    conn_pause(kc->conn);
    loop_timer_start(kc->sess.loop, &kc->mute, (uint64_t)ms * 1000000, mute_over);
}

/* throttle_time_ms of a response, where this version has it. */
static void
tell_throttle(const struct msg_type *type, const void *response, int version, uint32_t ms)
{
    for (uint16_t i = 0; i < type->top->field_count; i++) {
        const struct msg_field *field = &type->top->fields[i];
        if (strcmp(field->name, "throttle_time_ms") != 0 || version < field->from)
            continue;
        int32_t *at = (int32_t *)((char *)(uintptr_t)response + field->offset);
        *at = OX_MAX(*at, (int32_t)OX_MIN(ms, (uint32_t)INT32_MAX));
    }
}

/* Who shows a certificate is who that says; known when the handshake is done. */
static bool
know_peer(struct kafka_conn *kc)
{
    const struct kafka_door_config *config = &kc->door->config;
    const struct conn_tls *tls = kc->named ? NULL : conn_tls(kc->conn);
    struct text name;
    struct ox_err err;
    kc->named = true;
    if (tls == NULL || config->sasl)
        return true;
    ox_text_init(&name, NULL);
    bool good = engine_login_subject(config->engine, config->mapping, tls->subject, &name,
        &err) == OX_OK;
    if (good && tls->subject.ptr != NULL)
        good = engine_login_done(&kc->sess, "SSL", ox_text_str(&name), &err) == OX_OK;
    if (!good)
        engine_login_failed(&kc->sess, "SSL", "", &err);
    ox_text_fini(&name);
    if (!good)
        conn_close(kc->conn);
    return good;
}

static void
frame(struct conn *conn, const struct slice *message)
{
    struct kafka_conn *kc = conn_user(conn);
    if (!know_peer(kc))
        return;
    if (kc->login == KAFKA_LOGIN_RAW) {
        kafka_login_raw(kc, message);
        return;
    }
    struct kafka_request *req = request_new(kc);
    req->frame = *message;
    ox_buf_get(req->frame.buf);
    /* Decoded structs take a few times the bytes on the wire. */
    req->arena.cap = message->len * 16 + (1 << 20);
    bool good = kafka_request_decode(req) && kafka_login_admits(kc, req);
    req->arena.cap = SIZE_MAX;
    if (!good) {
        ox_debug("kafka request refused", "conn=%llu api=%d version=%d",
            (unsigned long long)conn_id(conn), (int)wire_load16(ox_slice_ptr(message) + 4),
            req->version);
        request_free(req);
        conn_close_after_write(conn);
        return;
    }
    if (kc->request_count > 0 && !may_overlap(req)) {
        ox_assert(kc->held == NULL);
        kc->held = req;
    } else {
        /* kc must outlive the call: the answer may be there at once. */
        kafka_conn_hold(kc);
        start(req);
        kc->holds--;
    }
    update_pause(kc);
}

/* The peer reads its answers again. */
static void
drained(struct conn *conn)
{
    update_pause(conn_user(conn));
}

/* Who sends without waiting for answers may be gone when its quota lets us read on. */
static bool
awaits_rest(struct conn *conn)
{
    const struct kafka_conn *kc = conn_user(conn);
    return kc->silent && loop_timer_running(&kc->mute);
}

static void
closed(struct conn *conn)
{
    struct kafka_conn *kc = conn_user(conn);
    engine_login_refused(&kc->sess, conn_tls_refusal(conn));
    kc->conn = NULL;
    kafka_conn_hold(kc);
    if (loop_timer_running(&kc->mute)) {
        loop_timer_stop(&kc->mute);
        mute_over(&kc->mute);
    }
    kafka_login_closed(kc);
    if (kc->shares)
        share_disconnected(engine_share(kc->sess.engine), kc->sess.conn_id);
    if (kc->held != NULL)
        request_free(kc->held);
    kc->held = NULL;
    ox_list_each(node, &kc->requests) {
        struct kafka_request *req = ox_container_of(node, struct kafka_request, link);
        void (*abandoned)(struct kafka_request *) = req->abandoned;
        req->abandoned = NULL;
        if (abandoned != NULL && !req->answered)
            abandoned(req);
    }
    kafka_conn_put(kc);
}

void
kafka_let_go(struct kafka_conn *kc)
{
    ox_assert(kc->held_back);
    kc->held_back = false;
    struct kafka_request *held = kc->held;
    if (held != NULL && may_overlap(held)) {
        kc->held = NULL;
        start(held);
    }
    update_pause(kc);
}

/* ---- answers out ---- */

struct sent_range {
    struct log_range range;
};

static void
sent_range_release(void *arg)
{
    struct sent_range *sent = arg;
    log_range_put(&sent->range);
    ox_free(sent);
}

struct msg_records
kafka_splice_range(struct kafka_request *req, struct log_range *range)
{
    if (range->len == 0) {
        log_range_put(range);
        return (struct msg_records){.bytes = OX_STR("")};
    }
    struct sent_range *sent = ox_calloc(1, sizeof(*sent));
    sent->range = *range;
    return (struct msg_records){.splice = sent, .splice_len = range->len};
}

enum {
    SENDFILE_MIN = 4096, /* a few KiB cost less copied than sent from a file */
    ANSWER_LARGE = 64 << 20, /* longer ones, records aside, need memory below its limit */
};

static bool
send_range(struct kafka_conn *kc, struct sent_range *sent)
{
    const struct log_range *range = &sent->range;
    const struct env *env = engine_env(kc->sess.engine);
    int fd = fs_fd(env->fs, range->file);
    if (fd >= 0 && range->len >= SENDFILE_MIN) {
        conn_write_file(kc->conn, fd, range->pos, range->len, sent_range_release, sent);
        return true;
    }
    struct ox_err err;
    uint8_t *to = conn_reserve(kc->conn, range->len);
    bool good = log_range_pread(range, to, &err) == OX_OK;
    if (good)
        conn_commit(kc->conn, range->len);
    else
        ox_diag_err(OX_DIAG_ERROR, "reading records to send failed", &err);
    sent_range_release(sent);
    return good;
}

static void
send_answer(struct kafka_request *req)
{
    struct conn *conn = req->kc->conn;
    size_t at = 0;
    bool good = !req->splices.cut;
    for (size_t i = 0; i < req->splices.count; i++) {
        const struct msg_splice *splice = &req->splices.at[i];
        struct sent_range *sent = (struct sent_range *)(uintptr_t)splice->splice;
        if (conn == NULL || !good) {
            sent_range_release(sent);
            continue;
        }
        conn_write(conn, req->out.ptr + at, splice->pos - at);
        at = splice->pos;
        good = send_range(req->kc, sent);
    }
    if (conn == NULL)
        return;
    if (good && req->out.len > at)
        conn_write(conn, req->out.ptr + at, req->out.len - at);
    if (!good)
        conn_close(conn);
    else if (req->close_after)
        conn_close_after_write(conn);
}

/* Send what is answered at the head; start what was held. */
static void
advance(struct kafka_conn *kc)
{
    kafka_conn_hold(kc);
    while (!ox_list_empty(&kc->requests)) {
        struct kafka_request *req =
            ox_container_of(kc->requests.next, struct kafka_request, link);
        if (!req->answered)
            break;
        send_answer(req);
        mute(kc, req->throttle_ms);
        ox_list_remove(&req->link);
        kc->request_count--;
        kc->request_bytes -= req->frame.len;
        request_free(req);
        if (kc->request_count == 0 && kc->held != NULL && kc->conn != NULL &&
            !conn_closing(kc->conn)) {
            struct kafka_request *held = kc->held;
            kc->held = NULL;
            start(held);
        }
    }
    update_pause(kc);
    kafka_conn_put(kc);
}

static void
answered(struct kafka_request *req)
{
    ox_assert(!req->answered);
    ox_assert(loop_is(req->sess->loop));
    req->answered = true;
    if (req->kc->running == req) /* its memory may be another's when its handler returns */
        req->kc->running = NULL;
    /* Whoever is at the head sends what became ready behind it. */
    if (req->kc->requests.next == &req->link)
        advance(req->kc);
}

void
kafka_answer_version(struct kafka_request *req, const void *response, int version)
{
    const struct msg_type *type = req->api->response;
    kafka_count_time(req);
    req->throttle_ms = engine_throttle_take(req->sess);
    if (req->throttle_ms > 0)
        tell_throttle(type, response, version, req->throttle_ms);
    ox_text_init(&req->out, &req->arena);
    req->splices = (struct msg_splices){.arena = &req->arena, .most = ANSWER_LARGE};
    req->kc->silent = false;
    struct wire_out out = wire_out(&req->out);
    wire_put32(&out, 0);
    wire_put32(&out, req->correlation_id);
    /* The header of an ApiVersions answer never has a tagged section. */
    if (version >= type->flexible && req->api->key != 18)
        wire_put8(&out, 0);
    msg_encode(type, response, version, &out, &req->splices);
    req->splices.cut |= out.len - 4 > INT32_MAX;
    if (req->splices.cut) /* the connection is closed instead */
        limit_met(LIMIT_MEMORY);
    wire_store32(req->out.ptr, (uint32_t)(out.len - 4));
    answered(req);
}

void
kafka_answer(struct kafka_request *req, const void *response)
{
    kafka_answer_version(req, response, req->version);
}

void
kafka_answer_nothing(struct kafka_request *req)
{
    req->throttle_ms = engine_throttle_take(req->sess);
    req->kc->silent = true;
    answered(req);
}

void
kafka_answer_close(struct kafka_request *req)
{
    req->close_after = true;
    answered(req);
}

/* ---- the door ---- */

static const struct conn_handler handler = {
    .protocol = "kafka",
    .opened = opened,
    .frame_len = frame_len,
    .frame = frame,
    .drained = drained,
    .awaits_rest = awaits_rest,
    .closed = closed,
};

void
kafka_door_set(struct kafka_door *door, const struct kafka_door_live *live)
{
    struct listener *listener = door->config.bound;
    atomic_store(&door->mechanisms, live->mechanisms);
    atomic_store(&door->sasl_request_max, live->sasl_request_max);
    for (int i = 0; i < AUTH_MECHANISM_COUNT; i++)
        atomic_store(&door->reauth_ms[i], live->reauth_ms[i]);
    net_listener_rate(listener, live->conns_rate_max);
    net_listener_loops(listener, live->loops_max);
    net_listener_waits(listener, live->conns_max, live->conns_exempt);
}

struct kafka_door *
kafka_door_open(const struct kafka_door_config *config)
{
    struct kafka_door *door = ox_calloc(1, sizeof(*door));
    door->config = *config;
    atomic_store(&door->refs, 1);
    for (size_t i = 0; i < ox_count(door->spares); i++)
        ox_list_init(&door->spares[i].list);
    door->fetch_cache = fetch_cache_new(config->fetch_sessions_max,
        LIMIT_FETCH_SESSION_PARTITIONS_VALUE);
    net_listener_sockets(config->bound, config->backlog, config->send_buffer,
        config->receive_buffer);
    kafka_door_set(door, &config->live);
    net_serve(config->bound, &handler, door, config->tls);
    return door;
}

bool
kafka_door_gone(const struct kafka_door *door)
{
    return net_listener_gone(door->config.bound) && atomic_load(&door->refs) == 1;
}

void
kafka_door_free(struct kafka_door *door)
{
    if (door != NULL)
        door_put(door);
}
