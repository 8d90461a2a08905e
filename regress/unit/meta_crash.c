/* SPDX-License-Identifier: Apache-2.0
 *
 * Power cuts, on the simulated disk: at every operation of a short life, and
 * again while the node recovers. What was acknowledged is there afterwards, the
 * directory always starts, and it starts the same twice. */
#include "base/diag.h"
#include "base/file_sim.h"
#include "base/rand.h"
#include "meta_help.h"

enum { TOPICS = 10, LIVES = 3 };

static struct meta_config
config_for_life(void)
{
    return (struct meta_config){.dir = "/d", .node_id = 1, .format = true, .manual = true,
        .cluster_id = "crash", .snapshot_threshold = 5, .snapshot_trailing = 2};
}

static ox_code
create_topic(struct meta *meta, int number)
{
    static const int32_t replicas[] = {1};
    static const struct meta_assignment assignments[] = {{replicas, 1}, {replicas, 1}};
    struct meta_config_change config = {OX_STR("retention.ms"), OX_STR("1000"), META_CONFIG_SET};
    char name[32];
    snprintf(name, sizeof(name), "topic%d", number);
    struct meta_command cmd = {.kind = META_TOPIC_CREATE, .topic_create = {.name = ox_str(name),
        .partition_count = 2, .assignments = assignments, .configs = &config,
        .config_count = 1}};
    return meta_propose_wait(meta, &cmd, NULL, NULL);
}

/* How many topics were acknowledged until the power went. */
static int
live(const struct env *env)
{
    struct meta_config config = config_for_life();
    int acked = 0;
    if (fs_mkdir(env->fs, "test", "/d", NULL) != OX_OK)
        return 0;
    if (fs_sync_dir(env->fs, "test", "/", NULL) != OX_OK)
        return 0;
    for (int life = 0; life < LIVES; life++) {
        struct meta *meta;
        struct meta_command cmd = {.kind = META_BROKER_REGISTER, .broker_register = {.node_id = 1}};
        if (meta_open(&config, env, &meta, NULL) != OX_OK)
            return acked;
        if (meta_propose_wait(meta, &cmd, NULL, NULL) == OX_OK)
            while (acked < TOPICS * (life + 1) / LIVES && create_topic(meta, acked) == OX_OK)
                acked++;
        meta_close(meta);
    }
    return acked;
}

static bool
as_promised(const struct meta_view *view, int acked)
{
    bool good = view->ready && (int)view->topic_count >= acked &&
        (int)view->topic_count <= acked + 1;
    char name[32];
    for (int i = 0; good && i < acked; i++) {
        snprintf(name, sizeof(name), "topic%d", i);
        const struct meta_topic *topic = meta_view_topic(view, ox_str(name));
        good = topic != NULL && topic->partition_count == 2 &&
            topic->config->retention_ms == 1000 && topic->oid == 16384 + (uint32_t)i;
    }
    return good;
}

static bool
starts(const struct env *env, int acked, uint64_t *index)
{
    struct meta_config config = config_for_life();
    struct meta *meta;
    fs_mkdir(env->fs, "test", "/d", NULL);
    if (meta_open(&config, env, &meta, &err) != OX_OK) {
        printf("# %s: %s\n", ox_code_facts(err.code)->name, err.message);
        return false;
    }
    const struct meta_view *view = meta_view_get(meta);
    bool good = as_promised(view, acked);
    if (!good)
        printf("# %u topics, index %llu\n", view->topic_count, (unsigned long long)view->index);
    *index = view->index;
    meta_view_put(view);
    meta_close(meta);
    return good;
}

/* Opens until an open survives; the power goes a few operations into each. */
static void
stumble(struct file_sim *sim, const struct env *env, uint64_t seed)
{
    struct meta_config config = config_for_life();
    struct rand_state rand;
    struct meta *meta;
    ox_rand_seed(&rand, seed);
    for (int i = 0; i < 3; i++) {
        file_sim_crash_at(sim, file_sim_ops(sim) + 1 + ox_rand_below(&rand, 25));
        fs_mkdir(env->fs, "test", "/d", NULL);
        if (meta_open(&config, env, &meta, NULL) == OX_OK)
            meta_close(meta);
        file_sim_restart(sim);
    }
    file_sim_crash_at(sim, 0);
}

/* The life with a cut at operation op. False once it was not cut any more. */
static bool
one_cut(uint64_t op, uint64_t seed, bool again, bool *good)
{
    struct file_sim *sim = file_sim_new(seed);
    struct env env = *env_os();
    uint64_t first = 0, second = 0;
    env.fs = file_sim_fs(sim);
    file_sim_crash_at(sim, op);
    int acked = live(&env);
    bool cut = file_sim_crashed(sim);
    file_sim_restart(sim);
    if (again)
        stumble(sim, &env, seed);
    *good = starts(&env, acked, &first) && starts(&env, acked, &second) && first == second;
    if (!*good)
        printf("# cut at operation %llu, seed %llu, %d acknowledged\n", (unsigned long long)op,
            (unsigned long long)seed, acked);
    file_sim_free(sim);
    return cut;
}

static void
test_cuts(bool again, uint64_t seeds)
{
    bool good = true, all = true;
    uint64_t op = 1;
    for (; good; op++) {
        bool cut = true;
        for (uint64_t seed = 0; good && seed < seeds; seed++)
            cut = one_cut(op, op * 1000 + seed, again, &good);
        all &= good;
        if (!cut)
            break;
    }
    printf("# %llu operations, %llu seeds each\n", (unsigned long long)op,
        (unsigned long long)seeds);
    ok(all && op > 100, again ? "a cut in the life and cuts in recovery lose nothing promised"
        : "a cut at any operation loses nothing promised");
}

static void
test_full(void)
{
    struct file_sim *sim = file_sim_new(1);
    struct env env = *env_os();
    struct meta_config config = config_for_life();
    struct meta_command cmd = {.kind = META_BROKER_REGISTER, .broker_register = {.node_id = 1}};
    struct meta *meta = NULL;
    env.fs = file_sim_fs(sim);
    fs_mkdir(env.fs, "test", "/d", NULL);
    meta_open(&config, &env, &meta, &err);
    meta_propose_wait(meta, &cmd, NULL, &err);
    is_int(create_topic(meta, 0), OX_OK, "while there is room");
    file_sim_set_usable(sim, 8 << 20);
    is_int(create_topic(meta, 1), OX_DISK_FULL, "near the end of the disk commands are refused");
    file_sim_set_usable(sim, UINT64_MAX);
    is_int(create_topic(meta, 1), OX_OK, "and accepted when space is back");
    file_sim_fail(sim, "meta.wal.sync", 1, false, OX_IO_ERROR);
    ok(create_topic(meta, 2) != OX_OK, "a flush that fails is not an acknowledgement");
    ok(create_topic(meta, 3) != OX_OK, "and nothing is promised after it");
    meta_close(meta);
    uint64_t index;
    ok(starts(&env, 2, &index), "the next start has what was promised");
    file_sim_free(sim);
}

/* Topics 0..count-1, and then the power goes. */
static int
live_and_die(struct file_sim *sim, const struct env *env, int count)
{
    struct meta_config config = config_for_life();
    struct meta_command cmd = {.kind = META_BROKER_REGISTER, .broker_register = {.node_id = 1}};
    struct meta *meta;
    int acked = 0;
    if (meta_open(&config, env, &meta, NULL) == OX_OK) {
        meta_propose_wait(meta, &cmd, NULL, NULL);
        while (acked < count && create_topic(meta, acked) == OX_OK)
            acked++;
        file_sim_crash_at(sim, file_sim_ops(sim) + 1);
        meta_close(meta);
    }
    file_sim_restart(sim);
    return acked;
}

static struct file_sim *
new_disk(uint64_t seed, struct env *env)
{
    struct file_sim *sim = file_sim_new(seed);
    *env = *env_os();
    env->fs = file_sim_fs(sim);
    fs_mkdir(env->fs, "test", "/d", NULL);
    fs_sync_dir(env->fs, "test", "/", NULL);
    return sim;
}

/* The first start is killed at each operation: names that it made are there, and may not be
 * durable. What the second one promises is, whoever made the files. */
static void
test_killed_then_cut(void)
{
    bool good = true, met = true;
    uint64_t op = 1, index;
    for (; good && met; op++)
        for (uint64_t seed = 0; good && seed < 8; seed++) {
            struct meta_config config = config_for_life();
            struct env env;
            struct file_sim *sim = new_disk(op * 100 + seed, &env);
            struct meta *meta;
            uint64_t before = file_sim_ops(sim);
            file_sim_fail(sim, NULL, op, true, OX_IO_ERROR);
            meta_open(&config, &env, &meta, NULL);
            met = file_sim_ops(sim) - before >= op;
            meta_close(meta);
            file_sim_fail_clear(sim);
            int acked = live_and_die(sim, &env, 2);
            good = acked == 2 && starts(&env, acked, &index);
            if (!good)
                printf("# killed at operation %llu, %d acknowledged\n", (unsigned long long)op,
                    acked);
            file_sim_free(sim);
        }
    ok(good && op > 20, "names that a killed start has made are durable before a promise");
}

/* raft.db, the catalog and the names are removed, but not what SQLite had beside them. */
static void
test_leftovers(void)
{
    struct env env;
    struct file_sim *sim = new_disk(1, &env);
    uint64_t index;
    ok(starts(&env, 0, &index), "a directory");
    live_and_die(sim, &env, 2);
    ok(starts(&env, 2, &index), "with topics");
    fs_unlink(env.fs, "test", "/d/raft.db", NULL);
    fs_unlink(env.fs, "test", "/d/catalog.db", NULL);
    fs_unlink(env.fs, "test", "/d/meta.properties", NULL);
    ok(starts(&env, 0, &index), "is made anew");
    ok(live_and_die(sim, &env, 1) == 1 && starts(&env, 1, &index), "without what was in it");
    file_sim_free(sim);
}

/* A damaged catalog is made anew; the power goes at each operation of that. */
static void
test_rebuilt(void)
{
    bool good = true, cut = true;
    uint64_t op = 1, index;
    for (; good && cut; op++)
        for (uint64_t seed = 0; good && seed < 4; seed++) {
            struct meta_config config = config_for_life();
            struct env env;
            struct file_sim *sim = new_disk(op * 100 + seed, &env);
            struct meta *meta;
            int acked = live_and_die(sim, &env, 4);
            for (uint64_t pos = 0; pos < 100; pos += 7)
                file_sim_corrupt(sim, "/d/catalog.db", pos);
            file_sim_crash_at(sim, file_sim_ops(sim) + op);
            if (meta_open(&config, &env, &meta, NULL) == OX_OK &&
                create_topic(meta, acked) == OX_OK)
                acked++;
            meta_close(meta);
            cut = file_sim_crashed(sim);
            file_sim_restart(sim);
            good = starts(&env, acked, &index) && starts(&env, acked, &index);
            if (!good)
                printf("# cut at operation %llu\n", (unsigned long long)op);
            file_sim_free(sim);
        }
    ok(good && op > 20, "a cut while the catalog is made anew leaves it right");
}

int
main(void)
{
    uint64_t seeds = getenv("OX_LONG") != NULL ? 20 : 1;
    ox_arena_init(&arena);
    ox_diag_set_level(OX_DIAG_ERROR + 1);
    test_cuts(false, seeds);
    test_cuts(true, seeds);
    test_full();
    test_killed_then_cut();
    test_leftovers();
    test_rebuilt();
    ox_arena_fini(&arena);
    return done();
}
