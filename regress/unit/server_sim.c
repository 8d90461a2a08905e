/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole node in a simulated world: both doors over a simulated network, logs
 * and metadata on a simulated disk, a clock that is set by hand. Loops, blocking
 * jobs, flushes and peers run in this thread, in turns; the thread of the
 * metadata is the one that is left, and only topics are made through it here.
 *
 *   - what a session of each protocol is answered does not depend on how bytes
 *     arrive: cut anywhere, late, interrupted, read slowly, among peers that
 *     reset, say half a message or nothing
 *   - limits in time are kept by the clock alone
 *   - the power goes in the middle of writing: what was acknowledged is there
 *     after the restart, where it was said to be, and nothing that nobody wrote
 *   - the power goes anywhere in a TRUNCATE: all partitions are empty, or none
 *
 * OX_SEED=n runs one seed, OX_SEEDS=n so many, OX_LONG=1 many; OX_TRACE=1 shows what the
 * node says. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/env.h"
#include "base/fault.h"
#include "base/file_sim.h"
#include "base/rand.h"
#include "base/stream_sim.h"
#include "base/wire.h"
#include "log/record_batch.h"
#include "server/server.h"
#include "tap.h"

enum { KAFKA_PORT = 9092, SQL_PORT = 9432, PEERS_MAX = 16, SEEDS = 200, WRITES_MAX = 400 };
#define MONO_START (UINT64_C(1) << 60) /* no thread's deadline comes by itself */
#define PATIENCE_S 120                 /* of real time, for one conversation */

struct peer {
    int stream, port;
    struct text out, in; /* to be put; what came */
    size_t put;
    bool slow, ended;
};

struct world {
    uint64_t seed, mono;
    struct rand_state rand, random;
    struct file_sim *disk;
    struct stream_sim *net;
    struct env env;
    struct server_options options;
    struct server *server;
    struct peer peers[PEERS_MAX];
    int peer_count;
    bool disturbed;
    char problem[400];
};

static int acked_in_all; /* before power cuts */

/* Metrics go through a library with sockets of its own: that door stays shut. */
ox_code
http_door_open(struct engine *engine, const char *address, int port, struct http_door **out,
    int *bound_port, struct ox_err *err)
{
    *out = NULL;
    *bound_port = 0;
    return OX_OK;
}

void
http_door_free(struct http_door *door)
{
}

/* ---- the world ---- */

static uint64_t
world_mono(void *self)
{
    return __atomic_load_n(&((struct world *)self)->mono, __ATOMIC_RELAXED);
}

static int64_t
world_wall(void *self)
{
    return 1790000000000; /* records of SQL have a time, which must not differ */
}

static void
world_random(void *self, void *to, size_t len)
{
    struct world *world = self;
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)to)[i] = (uint8_t)ox_rand(&world->random);
    pthread_mutex_unlock(&mutex);
}

static void
pass_time(struct world *world, uint64_t ns)
{
    __atomic_fetch_add(&world->mono, ns, __ATOMIC_RELAXED);
}

static bool
problem(struct world *world, const char *what, int64_t a, int64_t b)
{
    if (world->problem[0] == '\0')
        snprintf(world->problem, sizeof(world->problem), "seed %llu: %s (%lld, %lld)",
            (unsigned long long)world->seed, what, (long long)a, (long long)b);
    return false;
}

static void
world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){.seed = seed, .mono = MONO_START};
    ox_rand_seed(&world->rand, seed);
    ox_rand_seed(&world->random, seed + 1);
    world->disk = file_sim_new(seed + 2);
    world->env = (struct env){.clock = {world_mono, world_wall, world},
        .fs = file_sim_fs(world->disk), .random_bytes = world_random, .random_self = world};
    ox_arena_init(&world->options.arena);
    param_defaults(PARAM_SCOPE_SERVER, &world->options.config);
    world->options.dir = "/data";
    world->options.env = &world->env;
    world->options.by_hand = true;
    world->options.config.loops = 1;
}

static bool
world_start(struct world *world)
{
    struct ox_err err = {0};
    world->net = stream_sim_new(ox_rand(&world->rand));
    world->env.net = stream_sim_system(world->net);
    if (server_start(&world->options, &world->server, &err) == OX_OK)
        return true;
    world->server = NULL;
    stream_sim_free(world->net);
    return file_sim_crashed(world->disk) ? false : problem(world, err.message, 0, 0);
}

static void
world_stop(struct world *world)
{
    for (int i = 0; i < world->peer_count; i++) {
        struct peer *peer = &world->peers[i];
        if (peer->stream >= 0)
            stream_sim_leave(world->net, peer->stream, true);
        ox_text_fini(&peer->in);
        ox_text_fini(&peer->out);
    }
    world->peer_count = 0;
    if (world->server == NULL)
        return;
    server_stop(world->server);
    stream_sim_free(world->net);
    world->server = NULL;
}

static void
world_fini(struct world *world)
{
    world_stop(world);
    ox_arena_fini(&world->options.arena);
    file_sim_free(world->disk);
}

static void
disturb(struct world *world, bool on)
{
    world->disturbed = on;
    stream_sim_disturb(world->net, on);
    stream_sim_set_window(world->net, on ? 200 + ox_rand_below(&world->rand, 60000) : 65536);
}

/* ---- peers ---- */

static struct peer *
dial(struct world *world, int port)
{
    ox_assert(world->peer_count < PEERS_MAX);
    struct peer *peer = &world->peers[world->peer_count++];
    *peer = (struct peer){.port = port, .stream = stream_sim_connect(world->net, port)};
    ox_text_init(&peer->in, NULL);
    ox_text_init(&peer->out, NULL);
    return peer;
}

static void
hang_up(struct world *world, struct peer *peer, bool reset)
{
    stream_sim_leave(world->net, peer->stream, reset);
    peer->stream = -1;
}

static void
move_bytes(struct world *world, struct peer *peer)
{
    uint8_t bytes[16384];
    if (peer->stream < 0)
        return;
    peer->put += stream_sim_put(world->net, peer->stream, peer->out.ptr + peer->put,
        peer->out.len - peer->put);
    if (peer->slow || (world->disturbed && ox_rand_below(&world->rand, 4) == 0))
        return;
    size_t got = stream_sim_get(world->net, peer->stream, bytes, sizeof(bytes));
    ox_text_add(&peer->in, (const char *)bytes, got);
    peer->ended = stream_sim_ended(world->net, peer->stream);
}

static void
turn(struct world *world)
{
    const struct timespec moment = {0, 20000};
    for (int i = 0; i < world->peer_count; i++)
        move_bytes(world, &world->peers[i]);
    if (!server_turn(world->server, stream_sim_poll, world->net))
        nanosleep(&moment, NULL); /* the metadata's thread may have something to do */
    pass_time(world, 20000 + (world->disturbed ? ox_rand_below(&world->rand, 300000) : 0));
}

static double
seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* How many whole answers came: frames of Kafka's, or ReadyForQuery. */
static int
answers(const struct peer *peer)
{
    const uint8_t *at = (const uint8_t *)peer->in.ptr, *end = at + peer->in.len;
    int count = 0;
    bool kafka = peer->port == KAFKA_PORT;
    while (end - at >= 5) {
        size_t len = kafka ? 4 + (size_t)wire_load32(at) : 1 + (size_t)wire_load32(at + 1);
        if ((size_t)(end - at) < len)
            break;
        count += kafka || *at == 'Z';
        at += len;
    }
    return count;
}

/* Turns until the peer has so many answers in all, or can have no more. */
static bool
await(struct world *world, struct peer *peer, int count)
{
    double until = seconds() + PATIENCE_S;
    while (answers(peer) < count) {
        if (peer->ended || file_sim_crashed(world->disk))
            return false;
        if (seconds() > until)
            return problem(world, "an answer does not come", answers(peer), count);
        turn(world);
    }
    return true;
}

/* ---- what peers say ---- */

static void
say_startup(struct peer *peer)
{
    static const char words[] = "user\0oxbow\0database\0oxbow\0";
    uint8_t head[8];
    wire_store32(head, 8 + sizeof(words));
    wire_store32(head + 4, 196608);
    ox_text_add(&peer->out, (char *)head, 8);
    ox_text_add(&peer->out, words, sizeof(words));
}

static void
say_message(struct peer *peer, char type, const void *body, size_t len)
{
    uint8_t head[5] = {(uint8_t)type};
    wire_store32(head + 1, (uint32_t)len + 4);
    ox_text_add(&peer->out, (char *)head, 5);
    ox_text_add(&peer->out, body, len);
}

static void
say_query(struct peer *peer, const char *text)
{
    say_message(peer, 'Q', text, strlen(text) + 1);
}

/* Parse, describe, bind, execute in two parts, sync. */
static void
say_extended(struct peer *peer)
{
    static const char parse[] = "p\0SELECT n, $1 || n FROM generate_series(1, 9) n\0\0";
    static const char bind[] = "\0p\0\0\0\0\1\0\0\0\3abc\0";
    say_message(peer, 'P', parse, sizeof(parse));
    say_message(peer, 'D', "Sp", 3);
    say_message(peer, 'B', bind, sizeof(bind));
    say_message(peer, 'E', "\0\0\0\0\4", 5);
    say_message(peer, 'E', "\0\0\0\0\0", 5);
    say_message(peer, 'S', "", 0);
}

/* Starts a request; end_request() when its body is there. */
static size_t
begin_request(struct peer *peer, struct wire_out *out, int16_t api, int16_t version, int32_t id)
{
    size_t start = peer->out.len;
    *out = wire_out(&peer->out);
    wire_put32(out, 0);
    wire_put16(out, api);
    wire_put16(out, version);
    wire_put32(out, id);
    wire_put16(out, 3);
    wire_put_bytes(out, "sim", 3);
    return start;
}

static void
end_request(struct peer *peer, size_t start)
{
    wire_store32(peer->out.ptr + start, (uint32_t)(peer->out.len - start - 4));
}

static void
put_name(struct wire_out *out, const char *name)
{
    wire_put16(out, (int16_t)strlen(name));
    wire_put_bytes(out, name, strlen(name));
}

/* One batch of records "NUMBER.0", "NUMBER.1", ... with so many bytes behind. */
static void
say_produce(struct peer *peer, int number, int records, size_t bytes)
{
    struct record_builder builder;
    struct wire_out out;
    struct slice batch;
    char *value = calloc(1, bytes + 32);
    record_builder_init(&builder);
    record_builder_begin(&builder, &RECORD_BUILDER_PLAIN);
    for (int i = 0; i < records; i++) {
        int len = snprintf(value, 32, "%d.%d", number, i);
        memset(value + len, 'v', bytes);
        record_builder_add(&builder, 1700000000000, OX_STR("key"),
            ox_str_n(value, (size_t)len + bytes), NULL, 0);
    }
    record_builder_finish(&builder, &batch, NULL);
    size_t start = begin_request(peer, &out, 0, 7, number);
    wire_put16(&out, -1);
    wire_put16(&out, -1);
    wire_put32(&out, 30000);
    wire_put32(&out, 1);
    put_name(&out, "k");
    wire_put32(&out, 1);
    wire_put32(&out, 0);
    wire_put32(&out, (int32_t)batch.len);
    wire_put_bytes(&out, ox_slice_ptr(&batch), batch.len);
    end_request(peer, start);
    ox_buf_put(batch.buf);
    record_builder_fini(&builder);
    free(value);
}

static void
say_fetch(struct peer *peer, int64_t offset, int32_t bytes_max)
{
    struct wire_out out;
    size_t start = begin_request(peer, &out, 1, 4, 77);
    wire_put32(&out, -1);
    wire_put32(&out, 0);
    wire_put32(&out, 1);
    wire_put32(&out, bytes_max);
    wire_put8(&out, 0);
    wire_put32(&out, 1);
    put_name(&out, "k");
    wire_put32(&out, 1);
    wire_put32(&out, 0);
    wire_put64(&out, offset);
    wire_put32(&out, bytes_max);
    end_request(peer, start);
}

static void
say_metadata(struct peer *peer)
{
    struct wire_out out;
    size_t start = begin_request(peer, &out, 3, 1, 78);
    wire_put32(&out, 2);
    put_name(&out, "k");
    put_name(&out, "not-there");
    end_request(peer, start);
}

/* What a Kafka client's session of this test says; how many answers it has. */
static int
say_kafka_session(struct peer *peer)
{
    struct wire_out out;
    size_t start = begin_request(peer, &out, 18, 0, 1);
    end_request(peer, start);
    for (int i = 0; i < 12; i++)
        say_produce(peer, i, 1 + i % 4, i == 7 ? 90000 : (size_t)i * 60);
    say_metadata(peer);
    say_fetch(peer, 0, 400000);
    say_fetch(peer, 5, 500);
    say_fetch(peer, 1000000, 500);
    return 17;
}

static const char *const statements[] = {
    "INSERT INTO s (_key, _value) VALUES ('a', '1'), ('b', repeat('x', 3000)) "
    "RETURNING _partition, _offset",
    "SELECT _offset, _key, length(_value) FROM s ORDER BY 1",
    "SELECT 1 / 0",
    "SELECT 'no end",
    "SELECT n, repeat('z', 400) FROM generate_series(1, 500) n",
    "BEGIN; SELECT 1; SELECT nothing; COMMIT",
    "ROLLBACK; SELECT 2",
    "SUBSCRIBE s FROM EARLIEST UNTIL LATEST",
};

static int
say_sql_session(struct peer *peer)
{
    say_startup(peer);
    for (size_t i = 0; i < ox_count(statements); i++)
        say_query(peer, statements[i]);
    say_extended(peer);
    return 2 + (int)ox_count(statements);
}

/* ---- the same whatever happens to the bytes ---- */

/* What is drawn by lot: the key that cancels a statement. */
static void
mask_cancel_key(struct text *in)
{
    uint8_t *at = (uint8_t *)in->ptr, *end = at + in->len;
    for (; end - at >= 13; at += 1 + wire_load32(at + 1))
        if (*at == 'K')
            memset(at + 5, 0, 8);
}

static bool
make_topics(struct world *world)
{
    struct peer *peer = dial(world, SQL_PORT);
    say_startup(peer);
    say_query(peer, "CREATE TOPIC k; CREATE TOPIC s");
    bool good = await(world, peer, 2);
    hang_up(world, peer, false);
    return good;
}

/* Peers that mean no good, while the others talk. */
static void
trouble(struct world *world)
{
    struct peer *half = dial(world, ox_rand_below(&world->rand, 2) ? KAFKA_PORT : SQL_PORT);
    ox_text_add(&half->out, "\0\0\1\0half", 8);
    dial(world, KAFKA_PORT); /* silent */
    struct peer *deaf = dial(world, KAFKA_PORT);
    deaf->slow = true;
    for (int i = 0; i < 3; i++)
        say_fetch(deaf, 0, 1 << 20);
    struct peer *gone = dial(world, SQL_PORT);
    say_startup(gone);
    say_query(gone, "SELECT n, repeat('z', 400) FROM generate_series(1, 500) n");
    for (uint64_t turns = ox_rand_below(&world->rand, 40); turns > 0; turns--)
        turn(world);
    hang_up(world, gone, true);
}

/* Both sessions; what they were told is left in kafka and sql. */
static bool
hold_sessions(struct world *world, struct text *kafka, struct text *sql)
{
    if (!make_topics(world))
        return false;
    disturb(world, world->seed != 0);
    if (world->disturbed)
        trouble(world);
    struct peer *one = dial(world, KAFKA_PORT), *two = dial(world, SQL_PORT);
    int of_one = say_kafka_session(one), of_two = say_sql_session(two);
    bool good = await(world, one, of_one) && await(world, two, of_two);
    if (!good)
        problem(world, "a session ended", answers(one), answers(two));
    mask_cancel_key(&two->in);
    *kafka = one->in;
    *sql = two->in;
    ox_text_init(&one->in, NULL);
    ox_text_init(&two->in, NULL);
    return good;
}

static bool
same(struct world *world, const char *what, const struct text *got, const struct text *want)
{
    size_t at = 0;
    while (at < got->len && at < want->len && got->ptr[at] == want->ptr[at])
        at++;
    return (at == got->len && at == want->len) || problem(world, what, (int64_t)at,
        (int64_t)want->len);
}

/* ---- acknowledged, then the power goes ---- */

struct written {
    int count;
    int64_t offsets[WRITES_MAX]; /* of batch i: -1 it was not acknowledged */
    int sql_acked;               /* statements */
};

static void
note_acks(const struct peer *peer, struct written *written)
{
    struct wire_in in = wire_in(peer->in.ptr, peer->in.len);
    while (wire_left(&in) >= 4) {
        uint32_t len = (uint32_t)wire_get32(&in);
        if (wire_left(&in) < len)
            return;
        struct wire_in one = wire_in(wire_skip(&in, len), len);
        int32_t number = wire_get32(&one);
        wire_skip(&one, 4 + 2 + 1 + 4 + 4); /* topics, "k", partitions, index */
        int16_t code = wire_get16(&one);
        if (code == 0 && number < WRITES_MAX)
            written->offsets[number] = wire_get64(&one);
    }
}

/* Ends of INSERT statements that succeeded. */
static int
inserts_acked(const struct peer *peer)
{
    const uint8_t *at = (const uint8_t *)peer->in.ptr, *end = at + peer->in.len;
    int count = 0;
    for (; end - at >= 5 && (size_t)(end - at) > wire_load32(at + 1); at += 1 + wire_load32(at + 1))
        count += *at == 'C' && memcmp(at + 5, "INSERT", 6) == 0;
    return count;
}

static void
write_until_cut(struct world *world, struct written *written)
{
    struct peer *kafka = dial(world, KAFKA_PORT), *sql = dial(world, SQL_PORT);
    char text[100];
    *written = (struct written){0};
    for (int i = 0; i < WRITES_MAX; i++)
        written->offsets[i] = -1;
    say_startup(sql);
    await(world, sql, 1);
    file_sim_crash_at(world->disk, file_sim_ops(world->disk) + 1 + ox_rand_below(&world->rand, 60));
    for (double until = seconds() + PATIENCE_S; !file_sim_crashed(world->disk);) {
        bool behind = answers(kafka) + 4 > written->count;
        if (behind && written->count < WRITES_MAX) {
            say_produce(kafka, written->count, 1 + written->count % 3,
                ox_rand_below(&world->rand, 2000));
            snprintf(text, sizeof(text), "INSERT INTO s (_value) VALUES ('%d')", written->count++);
            say_query(sql, text);
        }
        turn(world);
        if (written->count == WRITES_MAX || seconds() > until)
            break;
    }
    for (int i = 0; i < 20; i++) /* answers that are on their way */
        turn(world);
    note_acks(kafka, written);
    written->sql_acked = inserts_acked(sql);
}

/* Records from the offset on, after those of the sessions: in the order they were
 * sent, none twice, and where they were said to be. */
static bool
check_kafka(struct world *world, int64_t first, const struct written *written)
{
    struct peer *peer = dial(world, KAFKA_PORT);
    bool seen[WRITES_MAX] = {0};
    int last = -1;
    say_fetch(peer, first, 8 << 20);
    if (!await(world, peer, 1))
        return problem(world, "fetching after the restart fails", peer->ended, 0);
    struct wire_in in = wire_in(peer->in.ptr, peer->in.len);
    wire_skip(&in, 4 + 4 + 4 + 4 + 3 + 4 + 4);
    int16_t code = wire_get16(&in);
    wire_skip(&in, 8 + 8 + 4); /* no aborted transactions */
    int32_t len = wire_get32(&in);
    const uint8_t *at = wire_skip(&in, len > 0 ? (size_t)len : 0);
    if (code != 0 || in.failed)
        return problem(world, "fetching after the restart fails", code, len);
    for (const uint8_t *end = at + len; end - at > 12; at += 12 + wire_load32(at + 8)) {
        struct record_batch batch;
        struct record_iter iter;
        struct record record;
        if (record_batch_check(at, 12 + (size_t)wire_load32(at + 8), &batch, NULL) != OX_OK ||
            record_iter_init(&iter, &batch, NULL, 0, NULL) != OX_OK ||
            !record_iter_next(&iter, &record))
            return problem(world, "a batch is broken after the restart", at - end, len);
        int number = atoi(record.value.ptr);
        if (number <= last || number >= written->count)
            return problem(world, "a batch that was not sent, or twice", number, last);
        if (written->offsets[number] >= 0 && written->offsets[number] != record.offset)
            return problem(world, "a batch elsewhere", written->offsets[number], record.offset);
        seen[last = number] = true;
    }
    for (int i = 0; i < written->count; i++)
        if (written->offsets[i] >= 0 && !seen[i])
            return problem(world, "an acknowledged batch is lost", i, written->offsets[i]);
    return true;
}

static bool
check_sql(struct world *world, const struct written *written)
{
    struct peer *peer = dial(world, SQL_PORT);
    char text[300];
    snprintf(text, sizeof(text), "SELECT CASE WHEN count(*) >= %d AND count(DISTINCT v) = count(*) "
        "AND bool_and(v = n - 1) THEN 'well' ELSE count(*)::text END FROM (SELECT _value::int AS v, "
        "row_number() OVER (ORDER BY _offset) AS n FROM s WHERE _offset > 1) x", written->sql_acked);
    say_startup(peer);
    say_query(peer, text);
    bool good = await(world, peer, 2);
    for (size_t i = 0; good && i + 4 <= peer->in.len; i++)
        if (memcmp(peer->in.ptr + i, "well", 4) == 0)
            return true;
    return written->sql_acked == 0 || problem(world, "acknowledged rows are lost",
        written->sql_acked, written->count);
}

/* Starts until a start survives; the power may go in them too. */
static bool
start_again(struct world *world)
{
    for (uint64_t cuts = ox_rand_below(&world->rand, 3); cuts > 0; cuts--) {
        file_sim_crash_at(world->disk,
            file_sim_ops(world->disk) + 1 + ox_rand_below(&world->rand, 40));
        if (world_start(world))
            world_stop(world);
        file_sim_restart(world->disk);
    }
    file_sim_crash_at(world->disk, 0);
    return world_start(world);
}

static bool
one_seed(uint64_t seed, const struct text *want_kafka, const struct text *want_sql)
{
    static struct world world;
    static struct written written;
    struct text kafka = {0}, sql = {0};
    world_init(&world, seed);
    bool good = world_start(&world) && hold_sessions(&world, &kafka, &sql) &&
        same(&world, "Kafka's answers differ", &kafka, want_kafka) &&
        same(&world, "SQL's answers differ", &sql, want_sql);
    if (good) {
        write_until_cut(&world, &written);
        world_stop(&world);
        file_sim_restart(world.disk);
        good = start_again(&world) && check_kafka(&world, 30, &written) &&
            check_sql(&world, &written);
    }
    if (!good)
        printf("# %s\n", world.problem);
    ox_text_fini(&kafka);
    ox_text_fini(&sql);
    world_fini(&world);
    for (int i = 0; i < written.count; i++)
        acked_in_all += written.offsets[i] >= 0;
    acked_in_all += written.sql_acked;
    return good;
}

/* ---- TRUNCATE ---- */

static bool
was_told(const struct peer *peer, const char *text)
{
    return memmem(peer->in.ptr, peer->in.len, text, strlen(text)) != NULL;
}

/* The number behind the word in what the peer was told; -1: there is none. */
static int
number_told(const struct peer *peer, const char *word)
{
    const char *at = memmem(peer->in.ptr, peer->in.len, word, strlen(word));
    return at != NULL ? atoi(at + strlen(word)) : -1; /* a message ends in a letter or NUL */
}

/* Topic a keeps what it acknowledges, b may lose it: "old" records in each. */
static struct peer *
fill_two(struct world *world)
{
    struct peer *peer = dial(world, SQL_PORT);
    say_startup(peer);
    say_query(peer, "CREATE TOPIC a PARTITIONS 3");
    say_query(peer, "CREATE TOPIC b PARTITIONS 2 WITH (flush = 'lazy')");
    say_query(peer, "INSERT INTO a (_partition, _value) VALUES (0, 'old'), (1, 'old'), (2, 'old')");
    say_query(peer, "INSERT INTO b (_partition, _value) VALUES (0, 'old'), (1, 'old')");
    return await(world, peer, 5) ? peer : NULL;
}

static bool
check_truncated(struct world *world, bool truncated, bool inserted)
{
    struct peer *peer = dial(world, SQL_PORT);
    say_startup(peer);
    say_query(peer, "SELECT 'old a ' || count(*) FILTER (WHERE _value = 'old') || '/', "
        "'new a ' || count(*) FILTER (WHERE _value = 'new') || '/' FROM a");
    say_query(peer, "SELECT 'old b ' || count(*) FILTER (WHERE _value = 'old') || '/' FROM b");
    say_query(peer, "INSERT INTO b (_partition, _value) VALUES (0, 'next') "
        "RETURNING 'next ' || _offset || '/'");
    if (!await(world, peer, 4))
        return problem(world, "there is no answer after the restart", answers(peer), 4);
    int old_a = number_told(peer, "old a "), old_b = number_told(peer, "old b ");
    int new_a = number_told(peer, "new a "), next = number_told(peer, "next ");
    if (old_a != 3 && old_a != 0)
        return problem(world, "half of a topic is gone", old_a, 3);
    if (old_a == 3 && (truncated || old_b > 2 || old_b < 0))
        return problem(world, "records that were truncated are there", old_a, old_b);
    if (old_a == 0 && (old_b != 0 || next < 1))
        return problem(world, "one topic is truncated, the other not", old_b, next);
    if (new_a < 0 || new_a > 4 || (inserted && new_a != 4))
        return problem(world, "records that came after are lost", new_a, 4);
    return true;
}

/* A cut at operation op from the statement on. *cut: there was one; *gone: the
 * records, though no answer had come. */
static bool
truncate_with_cut(uint64_t op, uint64_t seed, bool *cut, bool *gone)
{
    static struct world world;
    world_init(&world, seed);
    struct peer *peer = world_start(&world) ? fill_two(&world) : NULL;
    bool good = peer != NULL, truncated = false, inserted = false;
    *cut = *gone = false;
    if (good) {
        file_sim_crash_at(world.disk, file_sim_ops(world.disk) + op);
        say_query(peer, "TRUNCATE a, b");
        truncated = await(&world, peer, 6) && was_told(peer, "TRUNCATE TABLE");
        if (truncated)
            say_query(peer, "INSERT INTO a (_partition, _value) "
                "VALUES (0, 'new'), (1, 'new'), (1, 'new'), (2, 'new')");
        inserted = truncated && await(&world, peer, 7) && was_told(peer, "INSERT 0 4");
        *cut = file_sim_crashed(world.disk);
        world_stop(&world);
        file_sim_restart(world.disk);
        good = start_again(&world) && check_truncated(&world, truncated, inserted);
        *gone = !truncated && good && number_told(&world.peers[world.peer_count - 1], "old a ") == 0;
    }
    if (!good)
        printf("# cut at operation %llu: %s\n", (unsigned long long)op, world.problem);
    world_fini(&world);
    return good;
}

static void
test_truncate(uint64_t seeds)
{
    bool good = true, cut = true, gone;
    int kept = 0, early = 0;
    uint64_t op = 0;
    while (good && cut) {
        op++;
        for (uint64_t i = 0; good && i < seeds; i++) {
            good = truncate_with_cut(op, op * 1000 + i, &cut, &gone);
            kept += cut && !gone;
            early += gone;
        }
    }
    printf("# %llu operations, %llu seeds each; done, but not yet answered, in %d cases of %d\n",
        (unsigned long long)op, (unsigned long long)seeds, early, early + kept);
    ok(good && op > 3 && kept > 0, "a cut in TRUNCATE leaves all records or none, and what came after");
}

/* ---- the clock ---- */

static bool
ended_after(struct world *world, struct peer *peer, uint64_t ms)
{
    for (uint64_t step = 0; step < 20; step++) {
        pass_time(world, ms * 1000000 / 20);
        for (int i = 0; i < 4; i++)
            turn(world);
    }
    return peer->ended;
}

static void
test_clock(void)
{
    static struct world world;
    world_init(&world, 7);
    ok(world_start(&world) && make_topics(&world), "a node starts in the simulated world");
    struct peer *silent = dial(&world, SQL_PORT), *known = dial(&world, SQL_PORT);
    struct peer *begun = dial(&world, SQL_PORT);
    say_startup(known);
    say_startup(begun);
    ok(await(&world, known, 1) && await(&world, begun, 1), "two log in");
    ox_text_add(&begun->out, "Q\0\0\0\40SEL", 8);
    ok(!ended_after(&world, silent, 8000), "who says nothing is waited for");
    ok(ended_after(&world, silent, 4000), "and closed after ten seconds without a login");
    ok(!begun->ended, "half a message is waited for");
    ok(ended_after(&world, begun, 25000), "and closed after thirty");
    ok(!ended_after(&world, known, 3600000), "a session in SQL may be silent for an hour");
    say_query(known, "SELECT 1");
    ok(await(&world, known, 2), "and is answered then");
    struct peer *idle = dial(&world, KAFKA_PORT);
    struct wire_out out;
    end_request(idle, begin_request(idle, &out, 18, 0, 1));
    ok(await(&world, idle, 1) && !ended_after(&world, idle, 590000), "a Kafka client for nine minutes");
    ok(ended_after(&world, idle, 20000), "and no longer than ten");
    world_fini(&world);
}

#ifdef OX_FAULT
/* A server that acknowledges what it did not flush must be found out. */
static void
test_mutant(const struct text *kafka, const struct text *sql)
{
    int found = 0;
    ox_assert(ox_fault_set("log.wrong_flush=io_error", NULL) == OX_OK);
    for (uint64_t seed = 1; seed <= 40 && found == 0; seed++)
        found += !one_seed(seed, kafka, sql);
    ox_fault_clear();
    ok(found > 0, "a server that acknowledges what it did not flush is found out");
}
#else
static void
test_mutant(const struct text *kafka, const struct text *sql)
{
}
#endif

/* Power cuts are told as errors, hundreds of them. */
static void
hush(void)
{
    int level = ox_logger_level_find("FATAL", 5);
    for (int i = 0; i < ox_logger_count(); i++)
        ox_logger_set(i, level);
}

/* ---- a directory that cannot be read ---- */

static struct file_system *disk;
static int lists_left;

static ox_code
list_or_fail(void *self, const char *path, struct arena *arena, struct file_name **out,
    size_t *count, struct ox_err *err)
{
    if (strcmp(path, "/data") == 0 && lists_left > 0 && --lists_left == 0)
        return ox_fail(err, OX_IO_ERROR, "could not read directory \"%s\"", path);
    return disk->ops->list(self, path, arena, out, count, err);
}

/* The data directory holds a partition and is no log directory any more: no start, whichever
 * look at it fails. */
static void
test_unread_dir(void)
{
    static struct world world;
    struct ox_err err;
    world_init(&world, 1);
    disk = world.env.fs;
    struct file_system_ops ops = *disk->ops;
    struct file_system other = {&ops, disk->self};
    ops.list = list_or_fail;
    ok(world_start(&world), "a node that has partitions in its data directory");
    world_stop(&world);
    bool made = fs_mkdir(disk, "test", "/data/t-0", &err) == OX_OK &&
        file_write_whole(disk, "test", "/data/t-0/partition.metadata", "version: 0\n", 11, &err) ==
            OX_OK;
    ok(made, "and gets other log directories");
    world.env.fs = &other;
    world.options.config.log_dirs = "/data/logs";
    int started = 0;
    world.net = stream_sim_new(1);
    world.env.net = stream_sim_system(world.net);
    for (int look = 0; look < 8; look++) {
        lists_left = look;
        if (server_start(&world.options, &world.server, &err) != OX_OK)
            continue;
        started++;
        server_stop(world.server);
    }
    is_int(started, 0, "does not start, also when the directory cannot be read");
    world.server = NULL;
    stream_sim_free(world.net);
    world.env.fs = disk;
    world_fini(&world);
}

int
main(void)
{
    static struct world world;
    struct text kafka = {0}, sql = {0};
    const char *one = getenv("OX_SEED"), *many = getenv("OX_LONG"), *number = getenv("OX_SEEDS");
    int bad = 0, seeds = number != NULL ? atoi(number) : many != NULL ? SEEDS * 10 : SEEDS;
    if (getenv("OX_TRACE") == NULL)
        hush();
    world_init(&world, 0);
    bool started = world_start(&world) && hold_sessions(&world, &kafka, &sql);
    if (!started)
        printf("# %s\n", world.problem);
    ok(started, "sessions of both protocols, undisturbed");
    world_fini(&world);
    for (int seed = 1; started && seed <= seeds && bad < 5; seed++)
        bad += !one_seed(one != NULL ? strtoull(one, NULL, 10) : (uint64_t)seed, &kafka, &sql);
    printf("# %d seeds; answers of %zu and %zu bytes\n", seeds, kafka.len, sql.len);
    is_int(bad, 0, "disturbed, they are told the same; what was acknowledged is there after a power cut");
    printf("# %d writes were acknowledged before the power went\n", acked_in_all);
    ok(acked_in_all > 2 * seeds, "and that was not little");
    if (started)
        test_mutant(&kafka, &sql);
    ox_text_fini(&kafka);
    ox_text_fini(&sql);
    test_truncate(many != NULL ? 50 : 4);
    test_clock();
    test_unread_dir();
    return done();
}
