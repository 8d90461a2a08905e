/* SPDX-License-Identifier: Apache-2.0
 *
 * A Kafka node's directory on the simulated disk is taken over: whatever fails on the way, and
 * wherever the power goes, what the server then shows is all that Kafka's metadata says. */
#include "base/diag.h"
#include "base/file_sim.h"
#include "gen/disk.gen.h"
#include "log/record_batch.h"
#include "meta_help.h"

enum { TOPICS = 3 };

#define METADATA "/d/__cluster_metadata-0"
#define METADATA_LOG METADATA "/00000000000000000000.log"

static const char *const topics[TOPICS + 2] = {"a", "b", "c", "later", "last"};

/* ---- the directory ---- */

static void
add_record(struct record_builder *builder, uint32_t kind, const struct msg_type *type,
    const void *record)
{
    struct text text;
    ox_text_init(&text, NULL);
    struct wire_out out = wire_out(&text);
    wire_put_uvarint(&out, 1);
    wire_put_uvarint(&out, kind);
    wire_put_uvarint(&out, type->to);
    msg_encode(type, record, type->to, &out, NULL);
    record_builder_add(builder, 1, OX_STR_NULL, ox_text_str(&text), NULL, 0);
    ox_text_fini(&text);
}

/* Two records: topic i. */
static void
add_topic(struct text *log, int i)
{
    static int32_t own[] = {1};
    struct uuid id = {{(uint8_t)(i + 1)}};
    struct record_builder builder;
    struct slice batch;
    size_t begin = log->len;
    record_builder_init(&builder);
    record_builder_begin(&builder, &RECORD_BUILDER_PLAIN);
    add_record(&builder, 2, &topic_record_type,
        &(struct topic_record){.name = ox_str(topics[i]), .topic_id = id});
    add_record(&builder, 3, &partition_record_type,
        &(struct partition_record){.topic_id = id, .replicas = {own, 1}, .isr = {own, 1},
            .leader = 1, .leader_epoch = 4, .eligible_leader_replicas = {NULL, -1},
            .last_known_elr = {NULL, -1}});
    record_builder_finish(&builder, &batch, NULL);
    ox_text_add(log, (const char *)ox_slice_ptr(&batch), batch.len);
    record_batch_stamp((uint8_t *)log->ptr + begin, i * 2, 1);
    ox_buf_put(batch.buf);
    record_builder_fini(&builder);
}

/* A batch for each topic; where they begin in the file. */
static void
kafka_log(struct text *log, size_t *begins)
{
    for (int i = 0; i < TOPICS; i++) {
        begins[i] = log->len;
        add_topic(log, i);
    }
}

static void
kafka_dir(struct file_system *fs, struct str log)
{
    static const char properties[] =
        "cluster.id=kafka\nnode.id=1\nversion=1\ndirectory.id=AQAAAAAAAAAAAAAAAAAAAA\n";
    fs_mkdir(fs, "test", "/d", NULL);
    fs_mkdir(fs, "test", METADATA, NULL);
    file_replace(fs, "test", "/d/meta.properties", properties, strlen(properties), NULL);
    file_replace(fs, "test", METADATA_LOG, log.ptr, log.len, NULL);
    fs_sync_dir(fs, "test", METADATA, NULL);
    fs_sync_dir(fs, "test", "/d", NULL);
    fs_sync_dir(fs, "test", "/", NULL);
}

static struct file_sim *
new_disk(uint64_t seed, struct env *env)
{
    struct file_sim *sim = file_sim_new(seed);
    struct text log;
    size_t begins[TOPICS];
    ox_text_init(&log, NULL);
    kafka_log(&log, begins);
    *env = *env_os();
    env->fs = file_sim_fs(sim);
    kafka_dir(env->fs, ox_text_str(&log));
    ox_text_fini(&log);
    return sim;
}

/* ---- a start ---- */

static ox_code
open_it(const struct env *env, struct meta **out)
{
    struct meta_config config = {.dir = "/d", .node_id = 1, .format = true, .manual = true};
    *out = NULL;
    return meta_open(&config, env, out, &err);
}

static bool
is_whole(struct meta *meta)
{
    const struct meta_view *view = meta_view_get(meta);
    bool good = meta_view_broker(view, 1) != NULL;
    for (int i = 0; i < TOPICS; i++)
        good &= meta_view_topic(view, ox_str(topics[i])) != NULL;
    meta_view_put(view);
    return good;
}

static bool
starts_whole(const struct env *env)
{
    struct meta *meta;
    if (open_it(env, &meta) != OX_OK) {
        printf("# %s: %s\n", ox_code_facts(err.code)->name, err.message);
        return false;
    }
    bool good = is_whole(meta);
    meta_close(meta);
    return good;
}

/* ---- tests ---- */

/* The first start meets a failure, or loses power, at each operation in turn. */
static void
test_stops(bool cut)
{
    bool good = true, met = true;
    uint64_t op = 1;
    for (; good && met; op++) {
        struct env env;
        struct file_sim *sim = new_disk(op, &env);
        struct meta *meta;
        uint64_t before = file_sim_ops(sim);
        if (cut)
            file_sim_crash_at(sim, before + op);
        else
            file_sim_fail(sim, NULL, op, false, OX_IO_ERROR);
        good = open_it(&env, &meta) != OX_OK || is_whole(meta);
        meta_close(meta);
        met = file_sim_ops(sim) - before >= op;
        file_sim_fail_clear(sim);
        if (cut)
            file_sim_restart(sim);
        good &= starts_whole(&env) && starts_whole(&env);
        if (!good)
            printf("# operation %llu\n", (unsigned long long)op);
        file_sim_free(sim);
    }
    printf("# %llu operations\n", (unsigned long long)op);
    ok(good && op > 30, cut ? "the power goes at each operation, and nothing is left out"
        : "each operation fails once, and nothing is left out");
}

/* Who is not meant is refused, and Kafka may go on with the directory. */
static void
test_another(void)
{
    struct env env;
    struct file_sim *sim = new_disk(1, &env);
    struct meta_config config = {.dir = "/d", .node_id = 2, .format = true, .manual = true};
    struct file_stat stat;
    struct meta *meta;
    is_int(meta_open(&config, &env, &meta, &err), OX_IDENTITY_MISMATCH, "another node's directory");
    is_int(fs_stat(env.fs, "/d/raft.db", &stat, NULL), OX_FILE_NOT_FOUND, "stays Kafka's");
    config.node_id = 1;
    config.cluster_id = "other";
    is_int(meta_open(&config, &env, &meta, &err), OX_IDENTITY_MISMATCH, "and another cluster's");
    is_int(fs_stat(env.fs, "/d/raft.db", &stat, NULL), OX_FILE_NOT_FOUND, "do too");
    ok(starts_whole(&env), "until it is meant");
    file_sim_free(sim);
}

/* raft.db is gone, what SQLite had beside it is not. */
static void
test_leftovers(void)
{
    struct env env;
    struct file_sim *sim = new_disk(1, &env);
    struct meta *meta;
    struct meta_command drop = {.kind = META_TOPIC_DELETE, .topic_delete = {.name = OX_STR("a")}};
    open_it(&env, &meta);
    is_int(meta_propose_wait(meta, &drop, NULL, &err), OX_OK, "a topic is deleted");
    meta_close(meta);
    fs_unlink(env.fs, "test", "/d/raft.db", NULL);
    is_int(open_it(&env, &meta), OX_DATA_CORRUPTED,
        "metadata of ours that is gone is not replaced by Kafka's old");
    meta_close(meta);
    fs_unlink(env.fs, "test", "/d/catalog.db", NULL);
    ok(starts_whole(&env), "without a catalog Kafka's is taken, and no old write-ahead log");
    file_sim_free(sim);
}

/* A batch of the last file that is not what it was. */
static void
test_damage(void)
{
    for (int at = 0; at < TOPICS; at++)
        for (int length = 0; length < 2; length++) {
            struct env env;
            struct file_sim *sim = new_disk(1, &env);
            struct text log;
            struct meta *meta;
            size_t begins[TOPICS];
            ox_text_init(&log, NULL);
            kafka_log(&log, begins);
            ox_text_fini(&log);
            file_sim_corrupt(sim, METADATA_LOG, begins[at] + (length ? 9 : 70));
            ox_code code = open_it(&env, &meta);
            meta_close(meta);
            is_int(code, at + 1 < TOPICS ? OX_DATA_CORRUPTED : OX_OK,
                at + 1 < TOPICS ? "a damaged batch before others is refused"
                                : "one at the end was never whole");
            file_sim_free(sim);
        }
}

/* A Kafka before 3.7 gave the directory no id. */
static void
test_no_id(void)
{
    static const char properties[] = "#\nversion=1\nnode.id=1\ncluster.id=kafka\n";
    struct env env;
    struct file_sim *sim = new_disk(1, &env);
    struct text log;
    struct meta *meta;
    size_t begins[TOPICS], len;
    char *ptr;
    ox_text_init(&log, NULL);
    kafka_log(&log, begins);
    file_replace(env.fs, "test", "/d/meta.properties", properties, strlen(properties), NULL);
    file_sim_corrupt(sim, METADATA_LOG, begins[0] + 70);
    is_int(open_it(&env, &meta), OX_DATA_CORRUPTED, "a takeover is refused");
    meta_close(meta);
    file_read_all(env.fs, "/d/meta.properties", 4096, &arena, &ptr, &len, NULL);
    ok(ox_str_is(ox_str_n(ptr, len), properties), "and Kafka's meta.properties is as it was");
    file_replace(env.fs, "test", METADATA_LOG, log.ptr, log.len, NULL);
    ok(starts_whole(&env) && starts_whole(&env), "it gets an id when the directory is taken over");
    file_read_all(env.fs, "/d/meta.properties", 4096, &arena, &ptr, &len, NULL);
    ok(memmem(ptr, len, "directory.id=", 13) != NULL, "which is written down");
    ox_text_fini(&log);
    file_sim_free(sim);
}

/* Kafka's snapshots end with a record that says so. */
static void
test_snapshot(void)
{
    static const char *const names[] = {"one without an end is refused", "one that is empty too",
        "a snapshot with its end is taken"};
    for (int i = 0; i < 3; i++) {
        struct env env;
        struct file_sim *sim = new_disk(1, &env);
        struct record_builder builder;
        struct record_builder_config config = RECORD_BUILDER_PLAIN;
        struct slice batch;
        struct text bytes;
        struct meta *meta;
        size_t begins[TOPICS];
        config.control = true;
        ox_text_init(&bytes, NULL);
        kafka_log(&bytes, begins);
        record_builder_init(&builder);
        record_builder_begin(&builder, &config);
        record_builder_add(&builder, 1, ox_str_n("\0\0\0\4", 4), OX_STR("\0\0\0"), NULL, 0);
        record_builder_finish(&builder, &batch, NULL);
        if (i == 2)
            ox_text_add(&bytes, (const char *)ox_slice_ptr(&batch), batch.len);
        ox_buf_put(batch.buf);
        record_builder_fini(&builder);
        file_replace(env.fs, "test", METADATA "/00000000000000000006-0000000001.checkpoint",
            bytes.ptr, i == 0 ? begins[1] : i == 1 ? 0 : bytes.len, NULL);
        ox_text_fini(&bytes);
        ox_code code = open_it(&env, &meta);
        is_int(code, i < 2 ? OX_DATA_CORRUPTED : OX_OK, names[i]);
        ok(code != OX_OK || is_whole(meta), "and nothing is left out");
        meta_close(meta);
        file_sim_free(sim);
    }
}

/* Kafka runs on the directory again, and writes to its metadata log. */
static void
test_kafka_again(void)
{
    struct env env;
    struct file_sim *sim = new_disk(1, &env);
    struct text log;
    struct meta *meta;
    struct file_stat stat;
    size_t begins[TOPICS];
    ox_text_init(&log, NULL);
    kafka_log(&log, begins);
    ok(starts_whole(&env), "a directory is taken over");
    ox_text_add(&log, "torn", 4);
    file_replace(env.fs, "test", METADATA_LOG, log.ptr, log.len, NULL);
    ok(starts_whole(&env), "Kafka has run, and changed nothing");
    log.len -= 4;
    add_topic(&log, TOPICS);
    file_replace(env.fs, "test", METADATA_LOG, log.ptr, log.len, NULL);
    for (int i = 0; i < 2; i++) {
        is_int(open_it(&env, &meta), OX_IDENTITY_MISMATCH, "what it has changed is not passed over");
        meta_close(meta);
    }
    fs_unlink(env.fs, "test", "/d/kafka.taken-over", NULL);
    for (int i = 0; i < 2; i++) {
        is_int(open_it(&env, &meta), OX_OK, "unless that is wanted");
        const struct meta_view *view = meta_view_get(meta);
        ok(meta_view_topic(view, OX_STR("later")) == NULL, "the topic is not known");
        meta_view_put(view);
        meta_close(meta);
    }
    add_topic(&log, TOPICS + 1);
    file_replace(env.fs, "test", METADATA_LOG, log.ptr, log.len, NULL);
    is_int(open_it(&env, &meta), OX_IDENTITY_MISMATCH, "what it changes later is not passed over");
    meta_close(meta);
    fs_unlink(env.fs, "test", "/d/raft.db", NULL);
    fs_unlink(env.fs, "test", "/d/catalog.db", NULL);
    is_int(open_it(&env, &meta), OX_OK, "without our metadata the directory is taken over anew");
    const struct meta_view *view = meta_view_get(meta);
    ok(is_whole(meta) && meta_view_topic(view, OX_STR("later")) != NULL, "with that topic");
    meta_view_put(view);
    meta_close(meta);
    is_int(fs_stat(env.fs, "/d/kafka.taken-over", &stat, NULL), OX_OK, "and that is noted");
    ox_text_fini(&log);
    file_sim_free(sim);
}

META_TESTS(ox_diag_set_level(OX_DIAG_ERROR + 1), test_stops(true), test_stops(false),
    test_another(), test_leftovers(), test_damage(), test_no_id(), test_snapshot(), test_kafka_again())
