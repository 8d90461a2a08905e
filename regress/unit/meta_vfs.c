/* SPDX-License-Identifier: Apache-2.0
 *
 * The server is killed at the file operations of a short life (each with
 * OX_LONG), and started again: what was acknowledged is there. The file system below passes
 * everything on until its count runs out, and then fails everything. */
#include "base/diag.h"
#include "meta_help.h"

struct cut {
    struct file_system fs;
    int64_t left;  /* changing operations until death; -1: never */
    bool dead, torn, full;
    int64_t count; /* changing operations so far */
};

static struct cut cut;

static bool
dies(void)
{
    cut.count++;
    cut.dead |= cut.left >= 0 && cut.left-- == 0;
    return cut.dead;
}

static struct file_system *
real(void)
{
    return file_system_os();
}

#define DEAD(err) ox_fail((err), OX_IO_ERROR, "the power is off")

static ox_code
cut_open(void *fs, const char *site, const char *path, int flags, struct file **out,
    struct ox_err *why)
{
    if (flags & FILE_CREATE ? dies() : cut.dead)
        return DEAD(why);
    return fs_open(real(), site, path, flags, out, why);
}

static void
cut_close(void *fs, struct file *file)
{
    fs_close(real(), file);
}

static ox_code
cut_pread(void *fs, struct file *file, void *to, size_t len, uint64_t pos, size_t *got,
    struct ox_err *why)
{
    return cut.dead ? DEAD(why) : fs_pread(real(), file, to, len, pos, got, why);
}

static ox_code
cut_pwritev(void *fs, const char *site, struct file *file, const struct iovec *iov, int count,
    uint64_t pos, struct ox_err *why)
{
    bool was_dead = cut.dead;
    if (!dies())
        return fs_pwritev(real(), site, file, iov, count, pos, why);
    if (!was_dead && cut.torn)
        file_pwrite(real(), site, file, iov[0].iov_base, iov[0].iov_len / 2, pos, NULL);
    return DEAD(why);
}

/* A kill leaves the page cache, so nothing has to reach the disk here. */
static ox_code
cut_sync(void *fs, const char *site, struct file *file, struct ox_err *why)
{
    return dies() ? DEAD(why) : OX_OK;
}

static ox_code
cut_truncate(void *fs, const char *site, struct file *file, uint64_t size, struct ox_err *why)
{
    return dies() ? DEAD(why) : fs_truncate(real(), site, file, size, why);
}

static ox_code
cut_allocate(void *fs, const char *site, struct file *file, uint64_t size, struct ox_err *why)
{
    return dies() ? DEAD(why) : fs_allocate(real(), site, file, size, why);
}

static ox_code
cut_size(void *fs, struct file *file, uint64_t *out, struct ox_err *why)
{
    return cut.dead ? DEAD(why) : fs_size(real(), file, out, why);
}

static ox_code
cut_stat(void *fs, const char *path, struct file_stat *out, struct ox_err *why)
{
    return cut.dead ? DEAD(why) : fs_stat(real(), path, out, why);
}

static ox_code
cut_rename(void *fs, const char *site, const char *from, const char *to, struct ox_err *why)
{
    return dies() ? DEAD(why) : fs_rename(real(), site, from, to, why);
}

static ox_code
cut_unlink(void *fs, const char *site, const char *path, struct ox_err *why)
{
    return dies() ? DEAD(why) : fs_unlink(real(), site, path, why);
}

static ox_code
cut_mkdir(void *fs, const char *site, const char *path, struct ox_err *why)
{
    return dies() ? DEAD(why) : fs_mkdir(real(), site, path, why);
}

static ox_code
cut_rmdir(void *fs, const char *site, const char *path, struct ox_err *why)
{
    return dies() ? DEAD(why) : fs_rmdir(real(), site, path, why);
}

static ox_code
cut_sync_dir(void *fs, const char *site, const char *path, struct ox_err *why)
{
    return dies() ? DEAD(why) : OX_OK;
}

static ox_code
cut_list(void *fs, const char *path, struct arena *to, struct file_name **out, size_t *count,
    struct ox_err *why)
{
    return cut.dead ? DEAD(why) : fs_list(real(), path, to, out, count, why);
}

static ox_code
cut_lock(void *fs, struct file *file, struct ox_err *why)
{
    return cut.dead ? DEAD(why) : fs_lock(real(), file, why);
}

static ox_code
cut_space(void *fs, const char *path, struct file_space *out, struct ox_err *why)
{
    ox_code code = fs_space(real(), path, out, why);
    if (cut.full)
        out->usable = 1 << 20;
    return code;
}

static int
cut_fd(void *fs, struct file *file)
{
    return fs_fd(real(), file);
}

static const struct file_system_ops cut_ops = {.open = cut_open, .close = cut_close,
    .pread = cut_pread, .pwritev = cut_pwritev, .sync = cut_sync, .truncate = cut_truncate,
    .allocate = cut_allocate, .size = cut_size, .stat = cut_stat, .rename = cut_rename,
    .unlink = cut_unlink, .mkdir = cut_mkdir, .rmdir = cut_rmdir, .sync_dir = cut_sync_dir,
    .list = cut_list, .lock = cut_lock, .space = cut_space, .fd = cut_fd};

static struct env
cut_env(int64_t left, bool torn)
{
    struct env env = *env_os();
    cut = (struct cut){{&cut_ops, &cut}, left, false, torn, false, 0};
    env.fs = &cut.fs;
    return env;
}

enum { TOPICS = 8 };

static ox_code
quiet_create(struct meta *meta, int number)
{
    static const int32_t replicas[] = {1};
    static const struct meta_assignment assignment = {replicas, 1};
    struct meta_config_change config = {OX_STR("retention.ms"), OX_STR("1000"), META_CONFIG_SET};
    char name[32];
    snprintf(name, sizeof(name), "topic%d", number);
    struct meta_command cmd = {.kind = META_TOPIC_CREATE, .topic_create = {.name = ox_str(name),
        .partition_count = 1, .assignments = &assignment, .configs = &config,
        .config_count = 1}};
    return meta_propose_wait(meta, &cmd, NULL, NULL);
}

static const struct meta_config life_config = {.node_id = 1, .format = true, .manual = true,
    .cluster_id = "cut", .snapshot_threshold = 4, .snapshot_trailing = 2};

/* Twice open, create some topics, close. Returns how many were acknowledged. */
static int
live(const char *dir, const struct env *env)
{
    struct meta_config config = life_config;
    int acked = 0;
    config.dir = dir;
    for (int run = 0; run < 2; run++) {
        struct meta *meta;
        struct meta_command cmd = {.kind = META_BROKER_REGISTER, .broker_register = {.node_id = 1}};
        if (meta_open(&config, env, &meta, NULL) != OX_OK)
            return acked;
        if (meta_propose_wait(meta, &cmd, NULL, NULL) == OX_OK)
            for (int i = 0; i < TOPICS / 2 && quiet_create(meta, acked) == OX_OK; i++)
                acked++;
        meta_close(meta);
    }
    return acked;
}

/* The promise after a restart: acknowledged topics, at most one more. */
static bool
kept(const char *dir, int acked)
{
    struct meta_config config = life_config;
    struct meta *meta;
    struct meta_identity identity;
    struct env env = cut_env(-1, false);
    char name[32];
    config.dir = dir;
    if (meta_open(&config, &env, &meta, &err) != OX_OK) {
        printf("# %s: %s\n", ox_code_facts(err.code)->name, err.message);
        return false;
    }
    const struct meta_view *view = meta_view_get(meta);
    bool good = view->ready && (int)view->topic_count >= acked &&
        (int)view->topic_count <= acked + 1;
    for (int i = 0; i < acked; i++) {
        snprintf(name, sizeof(name), "topic%d", i);
        const struct meta_topic *topic = meta_view_topic(view, ox_str(name));
        good &= topic != NULL && topic->config->retention_ms == 1000;
    }
    good &= meta_identity_read(env_os()->fs, dir, &identity, NULL) == OX_OK &&
        strcmp(identity.cluster_id, "cut") == 0;
    good &= acked < TOPICS || view->index > 0;
    meta_view_put(view);
    meta_close(meta);
    return good;
}

static void
test_kill(bool torn)
{
    int64_t total = 0;
    bool good = true;
    int64_t step = getenv("OX_LONG") != NULL ? 1 : 3;
    for (int64_t left = torn;; left += step) {
        const char *dir = new_dir();
        struct env env = cut_env(left, torn);
        int acked = live(dir, &env);
        bool died = cut.dead;
        good &= kept(dir, acked);
        if (!good)
            printf("# killed at operation %lld, %d acknowledged, in %s\n", (long long)left, acked,
                dir);
        remove_dir(dir);
        if (!died || !good) {
            is_int(acked, good ? TOPICS : acked, "a life that is not cut short does it all");
            total = left;
            break;
        }
    }
    printf("# %lld operations\n", (long long)total);
    ok(good && total > 100, torn ? "killed in the middle of each write, nothing promised is lost"
        : "killed at each operation, nothing promised is lost");
}

/* After the first failure everything is refused, and says why. */
static void
test_failure(void)
{
    const char *dir = new_dir();
    struct env env = cut_env(-1, false);
    struct meta_config config = life_config;
    struct meta *meta;
    struct meta_command cmd = {.kind = META_BROKER_REGISTER, .broker_register = {.node_id = 1}};
    config.dir = dir;
    meta_open(&config, &env, &meta, &err);
    meta_propose_wait(meta, &cmd, NULL, &err);
    is_int(quiet_create(meta, 0), OX_OK, "a topic before the failure");
    is_int(meta_health(meta, &err), OX_OK, "healthy");
    cut.left = 0;
    ok(quiet_create(meta, 1) != OX_OK, "the command that met the failure is refused");
    ok(meta_health(meta, &err) != OX_OK, "and not healthy any more");
    cut.dead = false;
    cut.left = -1;
    ok(quiet_create(meta, 2) != OX_OK, "so is everything after it, whatever the disk says");
    const struct meta_view *view = meta_view_get(meta);
    is_int(view->topic_count, 1, "nothing unflushed is shown");
    meta_view_put(view);
    meta_close(meta);
    meta_open(&config, &env, &meta, &err);
    cut.full = true;
    is_int(quiet_create(meta, 5), OX_DISK_FULL, "on a full disk commands are refused");
    is_int(meta_health(meta, &err), OX_OK, "but nothing breaks");
    struct meta_command drop = {.kind = META_TOPIC_DELETE, .topic_delete = {.name =
        OX_STR("topic0")}};
    is_int(meta_propose_wait(meta, &drop, NULL, &err), OX_OK, "and topics may be deleted");
    cut.full = false;
    is_int(quiet_create(meta, 5), OX_OK, "until there is room again");
    meta_close(meta);
    remove_dir(dir);
}

int
main(void)
{
    ox_arena_init(&arena);
    ox_diag_set_level(OX_DIAG_ERROR + 1);
    test_kill(false);
    test_kill(true);
    test_failure();
    ox_arena_fini(&arena);
    return done();
}
