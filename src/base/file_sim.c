/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated disk of file_sim.h.
 *
 *   names    path -> inode, as programs see it (now) and as the disk has it
 *            (durable), and the entry operations that make up the difference
 *   inode    bytes now, bytes durable, and the operations between the two
 *
 * 1. Applying all pending operations in order to the durable state gives the
 *    present one, as long as no sync has failed.
 * 2. A sync moves the file's pending operations into its durable bytes; a sync
 *    of a directory does so for the entries in it. */
#include "base/file_sim.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/rand.h"
#include "base/str.h"

enum { FAULTS_MAX = 16 };

struct bytes {
    uint8_t *ptr;
    size_t len, cap;
};

enum data_kind { DATA_WRITE, DATA_SIZE };

struct data_op {
    enum data_kind kind;
    uint64_t pos; /* or the new size */
    size_t len;
    uint8_t *ptr;
};

struct sim_inode {
    uint32_t refs; /* names in either map, entry operations, open files */
    bool is_dir, locked;
    struct bytes now, durable;
    struct data_op *ops;
    size_t op_count, op_cap;
};

enum entry_kind { ENTRY_LINK, ENTRY_UNLINK, ENTRY_RENAME };

struct entry_op {
    enum entry_kind kind;
    char *path, *to; /* to: of a rename */
    struct sim_inode *inode; /* of a link */
};

struct sim_file {
    struct sim_inode *inode;
    uint64_t life; /* of the disk when it was opened */
    bool locked;
    char path[];
};

struct sim_fault {
    char *site; /* NULL: any */
    uint64_t hit;
    bool forever;
    ox_code code;
};

struct file_sim {
    struct file_system fs;
    pthread_mutex_t mutex;
    struct rand_state rand;
    struct map now, durable; /* path -> struct sim_inode */
    struct entry_op *entries;
    size_t entry_count, entry_cap;
    struct sim_fault faults[FAULTS_MAX];
    int fault_count;
    struct map sites; /* site -> uint64_t * */
    uint64_t ops, crash_at, life, usable;
    bool crashed;
};

/* ---- bytes ---- */

static void
bytes_resize(struct bytes *bytes, size_t len, int fill)
{
    if (len > bytes->cap) {
        size_t cap = OX_MAX(bytes->cap * 2, (size_t)256);
        while (cap < len)
            cap *= 2;
        bytes->ptr = ox_realloc(bytes->ptr, cap);
        bytes->cap = cap;
    }
    if (len > bytes->len)
        memset(bytes->ptr + bytes->len, fill, len - bytes->len);
    bytes->len = len;
}

static void
bytes_write(struct bytes *bytes, uint64_t pos, const void *ptr, size_t len, int fill)
{
    if (len == 0)
        return;
    if (pos + len > bytes->len)
        bytes_resize(bytes, pos + len, fill);
    memcpy(bytes->ptr + pos, ptr, len);
}

static void
bytes_copy(struct bytes *to, const struct bytes *from)
{
    to->len = 0;
    bytes_resize(to, from->len, 0);
    if (from->len > 0)
        memcpy(to->ptr, from->ptr, from->len);
}

/* ---- inodes ---- */

static void
clear_ops(struct sim_inode *inode)
{
    for (size_t i = 0; i < inode->op_count; i++)
        ox_free(inode->ops[i].ptr);
    inode->op_count = 0;
}

static struct sim_inode *
inode_get(struct sim_inode *inode)
{
    inode->refs++;
    return inode;
}

static void
inode_put(struct sim_inode *inode)
{
    if (inode == NULL || --inode->refs > 0)
        return;
    clear_ops(inode);
    ox_free(inode->ops);
    ox_free(inode->now.ptr);
    ox_free(inode->durable.ptr);
    ox_free(inode);
}

static void
add_data_op(struct sim_inode *inode, enum data_kind kind, uint64_t pos, const void *ptr,
    size_t len)
{
    if (inode->op_count == inode->op_cap) {
        inode->op_cap = OX_MAX(inode->op_cap * 2, (size_t)8);
        inode->ops = ox_realloc(inode->ops, ox_size_mul(inode->op_cap, sizeof(*inode->ops)));
    }
    struct data_op *op = &inode->ops[inode->op_count++];
    *op = (struct data_op){kind, pos, len, NULL};
    if (len > 0) {
        op->ptr = ox_malloc(len);
        memcpy(op->ptr, ptr, len);
    }
}

static void
apply_all(struct sim_inode *inode)
{
    for (size_t i = 0; i < inode->op_count; i++) {
        const struct data_op *op = &inode->ops[i];
        if (op->kind == DATA_WRITE)
            bytes_write(&inode->durable, op->pos, op->ptr, op->len, 0);
        else
            bytes_resize(&inode->durable, op->pos, 0);
    }
    clear_ops(inode);
}

/* ---- names ---- */

static struct sim_inode *
find(const struct map *map, const char *path)
{
    return ox_map_get(map, ox_str(path));
}

static void
set_name(struct map *map, const char *path, struct sim_inode *inode)
{
    inode_get(inode);
    inode_put(ox_map_put(map, ox_str(path), inode));
}

static void
remove_name(struct map *map, const char *path)
{
    inode_put(ox_map_remove(map, ox_str(path)));
}

/* A directory that moves takes the names below it along. */
static void
move_below(struct map *map, const char *from, const char *to)
{
    size_t len = strlen(from);
    struct arena arena;
    ox_arena_init(&arena);
    struct map_entry *entry;
    char **found = ox_arena_array(&arena, char *, map->used + 1);
    size_t count = 0;
    uint32_t at = 0;
    while ((entry = ox_map_next(map, &at)) != NULL)
        if (entry->key.len > len && memcmp(entry->key.ptr, from, len) == 0 &&
            entry->key.ptr[len] == '/')
            found[count++] = ox_arena_strndup(&arena, entry->key.ptr, entry->key.len);
    for (size_t i = 0; i < count; i++) {
        struct sim_inode *inode = find(map, found[i]);
        set_name(map, ox_arena_printf(&arena, "%s%s", to, found[i] + len), inode);
        remove_name(map, found[i]);
    }
    ox_arena_fini(&arena);
}

static void
rename_in(struct map *map, const char *from, const char *to)
{
    struct sim_inode *inode = find(map, from);
    if (inode == NULL || strcmp(from, to) == 0)
        return;
    inode_get(inode);
    set_name(map, to, inode);
    remove_name(map, from);
    if (inode->is_dir)
        move_below(map, from, to);
    inode_put(inode);
}

static void
apply_entry(struct map *map, const struct entry_op *op)
{
    switch (op->kind) {
    case ENTRY_LINK:
        set_name(map, op->path, op->inode);
        break;
    case ENTRY_UNLINK:
        remove_name(map, op->path);
        break;
    case ENTRY_RENAME:
        rename_in(map, op->path, op->to);
        break;
    }
}

static void
free_entry(struct entry_op *op)
{
    ox_free(op->path);
    ox_free(op->to);
    inode_put(op->inode);
}

static void
add_entry(struct file_sim *sim, enum entry_kind kind, const char *path, const char *to,
    struct sim_inode *inode)
{
    if (sim->entry_count == sim->entry_cap) {
        sim->entry_cap = OX_MAX(sim->entry_cap * 2, (size_t)16);
        sim->entries =
            ox_realloc(sim->entries, ox_size_mul(sim->entry_cap, sizeof(*sim->entries)));
    }
    struct entry_op *op = &sim->entries[sim->entry_count++];
    *op = (struct entry_op){kind, ox_strdup(path), to ? ox_strdup(to) : NULL,
        inode ? inode_get(inode) : NULL};
    apply_entry(&sim->now, op);
}

static bool
is_parent(const char *dir, const char *path)
{
    size_t len = strcmp(dir, "/") == 0 ? 0 : strlen(dir);
    return strncmp(path, dir, len) == 0 && path[len] == '/' && strchr(path + len + 1, '/') == NULL;
}

static bool
parent_exists(struct file_sim *sim, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return true;
    struct sim_inode *dir =
        ox_map_get(&sim->now, ox_str_n(path, (size_t)(slash - path)));
    return dir != NULL && dir->is_dir;
}

/* ---- every call begins here ---- */

static void
count_site(struct file_sim *sim, const char *site)
{
    uint64_t *hits = ox_map_get(&sim->sites, ox_str(site));
    if (hits == NULL) {
        hits = ox_calloc(1, sizeof(*hits));
        ox_map_put(&sim->sites, ox_str(site), hits);
    }
    ++*hits;
}

static ox_code
injected(struct file_sim *sim, const char *site)
{
    for (int i = 0; i < sim->fault_count; i++) {
        struct sim_fault *fault = &sim->faults[i];
        if (fault->site != NULL && strcmp(fault->site, site) != 0)
            continue;
        if (fault->hit > 1) {
            fault->hit--;
        } else if (fault->hit == 1) {
            fault->hit = fault->forever;
            return fault->code;
        }
    }
    return OX_OK;
}

/* Of an operation that changes something. *half is set when the power goes
 * during it: do it, or not, and then fail with OX_IO_ERROR. */
static ox_code
enter(struct file_sim *sim, const char *site, bool *half, struct ox_err *err)
{
    *half = false;
    if (sim->crashed)
        return ox_fail(err, OX_IO_ERROR, "the power is gone");
    sim->ops++;
    count_site(sim, site);
    if (sim->crash_at != 0 && sim->ops >= sim->crash_at) {
        sim->crashed = true;
        *half = true;
        ox_fail(err, OX_IO_ERROR, "the power goes at \"%s\"", site);
        return OX_OK;
    }
    ox_code rc = injected(sim, site);
    return rc == OX_OK ? rc : ox_fail(err, rc, "injected at \"%s\"", site);
}

static ox_code
leave(struct file_sim *sim, bool half, ox_code rc)
{
    pthread_mutex_unlock(&sim->mutex);
    return half ? OX_IO_ERROR : rc;
}

static bool
coin(struct file_sim *sim)
{
    return ox_rand(&sim->rand) & 1;
}

static bool
stale(struct file_sim *sim, const struct sim_file *file)
{
    return sim->crashed || file->life != sim->life;
}

static struct sim_file *
sim_of(struct file *file)
{
    return (struct sim_file *)(void *)file;
}

/* ---- the calls ---- */

static ox_code
open_inode(struct file_sim *sim, const char *site, const char *path, int flags,
    struct sim_inode **out, bool *half, struct ox_err *err)
{
    struct sim_inode *inode = find(&sim->now, path);
    *half = false;
    if (sim->crashed)
        return ox_fail(err, OX_IO_ERROR, "the power is gone");
    if (inode != NULL && inode->is_dir)
        return ox_fail(err, OX_IO_ERROR, "\"%s\" is a directory", path);
    if (inode != NULL && (flags & FILE_CREATE) && (flags & FILE_EXCLUSIVE))
        return ox_fail(err, OX_FILE_EXISTS, "file \"%s\" exists", path);
    if (inode == NULL && (!(flags & FILE_CREATE) || !parent_exists(sim, path)))
        return ox_fail(err, OX_FILE_NOT_FOUND, "file \"%s\" does not exist", path);
    bool cut = inode != NULL && (flags & FILE_TRUNCATE) && inode->now.len > 0;
    if (inode == NULL || cut) {
        ox_code rc = enter(sim, site, half, err);
        if (rc != OX_OK || (*half && coin(sim)))
            return rc;
    }
    if (inode == NULL) {
        inode = ox_calloc(1, sizeof(*inode));
        inode_get(inode);
        add_entry(sim, ENTRY_LINK, path, NULL, inode);
        inode_put(inode);
    } else if (cut) {
        bytes_resize(&inode->now, 0, 0);
        add_data_op(inode, DATA_SIZE, 0, NULL, 0);
    }
    *out = inode;
    return OX_OK;
}

static ox_code
sim_open(void *self, const char *site, const char *path, int flags, struct file **out,
    struct ox_err *err)
{
    struct file_sim *sim = self;
    struct sim_inode *inode = NULL;
    bool half;
    pthread_mutex_lock(&sim->mutex);
    ox_code rc = open_inode(sim, site, path, flags, &inode, &half, err);
    if (rc == OX_OK && !half) {
        struct sim_file *file = ox_malloc(sizeof(*file) + strlen(path) + 1);
        file->inode = inode_get(inode);
        file->life = sim->life;
        file->locked = false;
        strcpy(file->path, path);
        *out = (struct file *)(void *)file;
    }
    return leave(sim, half, rc);
}

static void
sim_close(void *self, struct file *generic)
{
    struct file_sim *sim = self;
    struct sim_file *file = sim_of(generic);
    if (file == NULL)
        return;
    pthread_mutex_lock(&sim->mutex);
    if (file->locked && file->life == sim->life)
        file->inode->locked = false;
    inode_put(file->inode);
    pthread_mutex_unlock(&sim->mutex);
    ox_free(file);
}

static ox_code
sim_pread(void *self, struct file *generic, void *to, size_t len, uint64_t pos, size_t *got,
    struct ox_err *err)
{
    struct file_sim *sim = self;
    struct sim_file *file = sim_of(generic);
    pthread_mutex_lock(&sim->mutex);
    const struct bytes *now = &file->inode->now;
    ox_code rc = OX_OK;
    *got = 0;
    if (stale(sim, file)) {
        rc = ox_fail(err, OX_IO_ERROR, "the power is gone");
    } else if (pos < now->len) {
        *got = OX_MIN(len, now->len - pos);
        memcpy(to, now->ptr + pos, *got);
    }
    return leave(sim, false, rc);
}

/* How much of a write fits on the disk. */
static size_t
grant_space(struct file_sim *sim, const struct sim_inode *inode, uint64_t pos, size_t len)
{
    if (sim->usable == UINT64_MAX || pos + len <= inode->now.len)
        return len;
    uint64_t grow = pos + len - inode->now.len;
    if (grow <= sim->usable) {
        sim->usable -= grow;
        return len;
    }
    uint64_t short_by = grow - sim->usable;
    sim->usable = 0;
    return short_by >= len ? 0 : len - (size_t)short_by;
}

static ox_code
sim_pwritev(void *self, const char *site, struct file *generic, const struct iovec *iov,
    int count, uint64_t pos, struct ox_err *err)
{
    struct file_sim *sim = self;
    struct sim_file *file = sim_of(generic);
    bool half;
    pthread_mutex_lock(&sim->mutex);
    if (file->life != sim->life)
        return leave(sim, false, ox_fail(err, OX_IO_ERROR, "the power is gone"));
    ox_code rc = enter(sim, site, &half, err);
    for (int i = 0; i < count && rc == OX_OK; i++) {
        if (half && coin(sim))
            continue;
        size_t fits = grant_space(sim, file->inode, pos, iov[i].iov_len);
        bytes_write(&file->inode->now, pos, iov[i].iov_base, fits, 0);
        add_data_op(file->inode, DATA_WRITE, pos, iov[i].iov_base, fits);
        pos += iov[i].iov_len;
        if (fits < iov[i].iov_len)
            rc = ox_fail(err, OX_DISK_FULL, "could not write file \"%s\": disk is full",
                file->path);
    }
    return leave(sim, half, rc);
}

static ox_code
sim_sync(void *self, const char *site, struct file *generic, struct ox_err *err)
{
    struct file_sim *sim = self;
    struct sim_file *file = sim_of(generic);
    bool half;
    pthread_mutex_lock(&sim->mutex);
    if (file->life != sim->life)
        return leave(sim, false, ox_fail(err, OX_IO_ERROR, "the power is gone"));
    ox_code rc = enter(sim, site, &half, err);
    if (rc == OX_OK && (!half || coin(sim)))
        apply_all(file->inode);
    else if (rc != OX_OK && !sim->crashed)
        clear_ops(file->inode); /* the kernel forgets the dirty pages */
    return leave(sim, half, rc);
}

static ox_code
resize_file(struct file_sim *sim, const char *site, struct sim_file *file, uint64_t size,
    bool grow_only, struct ox_err *err)
{
    bool half;
    pthread_mutex_lock(&sim->mutex);
    if (file->life != sim->life)
        return leave(sim, false, ox_fail(err, OX_IO_ERROR, "the power is gone"));
    ox_code rc = enter(sim, site, &half, err);
    struct sim_inode *inode = file->inode;
    if (rc == OX_OK && size != inode->now.len && !(grow_only && size < inode->now.len) &&
        !(half && coin(sim))) {
        if (size < inode->now.len && sim->usable != UINT64_MAX)
            sim->usable += inode->now.len - size;
        bytes_resize(&inode->now, size, 0);
        add_data_op(inode, DATA_SIZE, size, NULL, 0);
    }
    return leave(sim, half, rc);
}

static ox_code
sim_truncate(void *self, const char *site, struct file *file, uint64_t size, struct ox_err *err)
{
    return resize_file(self, site, sim_of(file), size, false, err);
}

static ox_code
sim_allocate(void *self, const char *site, struct file *file, uint64_t size, struct ox_err *err)
{
    return resize_file(self, site, sim_of(file), size, true, err);
}

static ox_code
sim_size(void *self, struct file *generic, uint64_t *out, struct ox_err *err)
{
    struct file_sim *sim = self;
    struct sim_file *file = sim_of(generic);
    pthread_mutex_lock(&sim->mutex);
    ox_code rc = OX_OK;
    if (stale(sim, file))
        rc = ox_fail(err, OX_IO_ERROR, "the power is gone");
    else
        *out = file->inode->now.len;
    return leave(sim, false, rc);
}

static ox_code
sim_stat(void *self, const char *path, struct file_stat *out, struct ox_err *err)
{
    struct file_sim *sim = self;
    pthread_mutex_lock(&sim->mutex);
    const struct sim_inode *inode = find(&sim->now, path);
    ox_code rc = OX_OK;
    if (sim->crashed)
        rc = ox_fail(err, OX_IO_ERROR, "the power is gone");
    else if (inode == NULL)
        rc = ox_fail(err, OX_FILE_NOT_FOUND, "file \"%s\" does not exist", path);
    else
        *out = (struct file_stat){inode->now.len, 0, inode->is_dir};
    return leave(sim, false, rc);
}

static ox_code
sim_rename(void *self, const char *site, const char *from, const char *to, struct ox_err *err)
{
    struct file_sim *sim = self;
    bool half;
    pthread_mutex_lock(&sim->mutex);
    if (!sim->crashed && find(&sim->now, from) == NULL)
        return leave(sim, false,
            ox_fail(err, OX_FILE_NOT_FOUND, "file \"%s\" does not exist", from));
    ox_code rc = enter(sim, site, &half, err);
    if (rc == OX_OK && !(half && coin(sim)))
        add_entry(sim, ENTRY_RENAME, from, to, NULL);
    return leave(sim, half, rc);
}

static ox_code
sim_unlink(void *self, const char *site, const char *path, struct ox_err *err)
{
    struct file_sim *sim = self;
    bool half;
    pthread_mutex_lock(&sim->mutex);
    struct sim_inode *inode = find(&sim->now, path);
    if (!sim->crashed && inode == NULL)
        return leave(sim, false,
            ox_fail(err, OX_FILE_NOT_FOUND, "file \"%s\" does not exist", path));
    ox_code rc = enter(sim, site, &half, err);
    if (rc == OX_OK && !(half && coin(sim))) {
        if (sim->usable != UINT64_MAX && !inode->is_dir)
            sim->usable += inode->now.len;
        add_entry(sim, ENTRY_UNLINK, path, NULL, NULL);
    }
    return leave(sim, half, rc);
}

static ox_code
sim_mkdir(void *self, const char *site, const char *path, struct ox_err *err)
{
    struct file_sim *sim = self;
    bool half;
    pthread_mutex_lock(&sim->mutex);
    if (!sim->crashed && find(&sim->now, path) != NULL)
        return leave(sim, false, ox_fail(err, OX_FILE_EXISTS, "file \"%s\" exists", path));
    ox_code rc = enter(sim, site, &half, err);
    if (rc == OX_OK && !(half && coin(sim))) {
        struct sim_inode *inode = ox_calloc(1, sizeof(*inode));
        inode->is_dir = true;
        inode_get(inode);
        add_entry(sim, ENTRY_LINK, path, NULL, inode);
        inode_put(inode);
    }
    return leave(sim, half, rc);
}

static ox_code
sim_rmdir(void *self, const char *site, const char *path, struct ox_err *err)
{
    return sim_unlink(self, site, path, err);
}

static ox_code
sim_sync_dir(void *self, const char *site, const char *path, struct ox_err *err)
{
    struct file_sim *sim = self;
    bool half;
    pthread_mutex_lock(&sim->mutex);
    ox_code rc = enter(sim, site, &half, err);
    if (rc == OX_OK && !(half && coin(sim))) {
        size_t keep = 0;
        for (size_t i = 0; i < sim->entry_count; i++) {
            struct entry_op *op = &sim->entries[i];
            if (is_parent(path, op->path) || (op->to != NULL && is_parent(path, op->to))) {
                apply_entry(&sim->durable, op);
                free_entry(op);
            } else {
                sim->entries[keep++] = *op;
            }
        }
        sim->entry_count = keep;
    }
    return leave(sim, half, rc);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(((const struct file_name *)a)->name, ((const struct file_name *)b)->name);
}

static ox_code
sim_list(void *self, const char *path, struct arena *arena, struct file_name **out,
    size_t *count, struct ox_err *err)
{
    struct file_sim *sim = self;
    size_t len = strlen(path);
    struct map_entry *entry;
    uint32_t at = 0;
    pthread_mutex_lock(&sim->mutex);
    const struct sim_inode *dir = find(&sim->now, path);
    *count = 0;
    if (sim->crashed)
        return leave(sim, false, ox_fail(err, OX_IO_ERROR, "the power is gone"));
    if (dir == NULL)
        return leave(sim, false,
            ox_fail(err, OX_FILE_NOT_FOUND, "directory \"%s\" does not exist", path));
    *out = ox_arena_array(arena, struct file_name, sim->now.count + 1);
    while ((entry = ox_map_next(&sim->now, &at)) != NULL) {
        char *name = ox_arena_strndup(arena, entry->key.ptr, entry->key.len);
        if (is_parent(path, name))
            (*out)[(*count)++] = (struct file_name){name + len + 1,
                ((struct sim_inode *)entry->value)->is_dir};
    }
    if (*count > 1)
        qsort(*out, *count, sizeof(**out), compare_names);
    return leave(sim, false, OX_OK);
}

static ox_code
sim_lock(void *self, struct file *generic, struct ox_err *err)
{
    struct file_sim *sim = self;
    struct sim_file *file = sim_of(generic);
    pthread_mutex_lock(&sim->mutex);
    ox_code rc = OX_OK;
    if (stale(sim, file))
        rc = ox_fail(err, OX_IO_ERROR, "the power is gone");
    else if (file->inode->locked)
        rc = ox_fail(err, OX_LOCK_HELD, "\"%s\" is locked by another server", file->path);
    else
        file->locked = file->inode->locked = true;
    return leave(sim, false, rc);
}

static ox_code
sim_space(void *self, const char *path, struct file_space *out, struct ox_err *err)
{
    struct file_sim *sim = self;
    pthread_mutex_lock(&sim->mutex);
    *out = (struct file_space){(uint64_t)1 << 40, OX_MIN(sim->usable, (uint64_t)1 << 40)};
    return leave(sim, false, OX_OK);
}

static int
sim_fd(void *self, struct file *file)
{
    return -1;
}

static const struct file_system_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .pread = sim_pread,
    .pwritev = sim_pwritev,
    .sync = sim_sync,
    .truncate = sim_truncate,
    .allocate = sim_allocate,
    .size = sim_size,
    .stat = sim_stat,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .mkdir = sim_mkdir,
    .rmdir = sim_rmdir,
    .sync_dir = sim_sync_dir,
    .list = sim_list,
    .lock = sim_lock,
    .space = sim_space,
    .fd = sim_fd,
};

/* ---- power cuts ---- */

/* How this cut treats what was not synced. */
struct cut {
    bool all, none;
    size_t sector;
    int fill; /* of bytes that were never written in a grown tail */
};

static struct cut
choose_cut(struct file_sim *sim)
{
    struct cut cut = {0};
    uint64_t kind = ox_rand_below(&sim->rand, 8);
    cut.all = kind == 0;
    cut.none = kind == 1;
    cut.sector = coin(sim) ? 512 : 4096;
    cut.fill = coin(sim) ? 0 : (int)(ox_rand(&sim->rand) & 255);
    return cut;
}

static void
keep_write(struct file_sim *sim, struct sim_inode *inode, const struct data_op *op,
    const struct cut *cut)
{
    uint64_t at = op->pos, end = op->pos + op->len;
    while (at < end) {
        uint64_t next = OX_MIN((at / cut->sector + 1) * cut->sector, end);
        if (cut->all || coin(sim))
            bytes_write(&inode->durable, at, op->ptr + (at - op->pos), (size_t)(next - at),
                cut->fill);
        at = next;
    }
}

static void
settle_inode(struct file_sim *sim, struct sim_inode *inode, const struct cut *cut)
{
    for (size_t i = 0; i < inode->op_count && !cut->none; i++) {
        const struct data_op *op = &inode->ops[i];
        bool keep = cut->all || ox_rand_below(&sim->rand, 4) != 0;
        if (keep && op->kind == DATA_WRITE)
            keep_write(sim, inode, op, cut);
        else if (keep)
            bytes_resize(&inode->durable, op->pos, cut->fill);
    }
    /* The size may have been written where the bytes were not. */
    if (inode->op_count > 0 && !cut->none && inode->now.len > inode->durable.len && coin(sim))
        bytes_resize(&inode->durable, inode->now.len, cut->fill);
    clear_ops(inode);
    inode->locked = false;
    bytes_copy(&inode->now, &inode->durable);
}

static void
settle_entries(struct file_sim *sim, const struct cut *cut)
{
    for (size_t i = 0; i < sim->entry_count; i++) {
        struct entry_op *op = &sim->entries[i];
        if (!cut->none && (cut->all || coin(sim)))
            apply_entry(&sim->durable, op);
        free_entry(op);
    }
    sim->entry_count = 0;
}

/* The directory of a path; 0 for what lies directly below the root. */
static size_t
parent_len(struct str path)
{
    const char *slash = memrchr(path.ptr, '/', path.len);
    return slash != NULL ? (size_t)(slash - path.ptr) : 0;
}

/* Names whose directory did not survive cannot be reached. */
static void
drop_unreachable(struct file_sim *sim)
{
    bool again = true;
    while (again) {
        struct map_entry *entry;
        uint32_t at = 0;
        again = false;
        while ((entry = ox_map_next(&sim->durable, &at)) != NULL) {
            size_t len = parent_len(entry->key);
            if (len == 0 || ox_map_get(&sim->durable, ox_str_n(entry->key.ptr, len)) != NULL)
                continue;
            inode_put(ox_map_remove(&sim->durable, entry->key));
            again = true;
        }
    }
}

void
file_sim_restart(struct file_sim *sim)
{
    struct map_entry *entry;
    uint32_t at = 0;
    pthread_mutex_lock(&sim->mutex);
    struct cut cut = choose_cut(sim);
    settle_entries(sim, &cut);
    drop_unreachable(sim);
    while ((entry = ox_map_next(&sim->now, &at)) != NULL)
        inode_put(entry->value);
    ox_map_fini(&sim->now);
    ox_map_init(&sim->now);
    at = 0;
    while ((entry = ox_map_next(&sim->durable, &at)) != NULL) {
        struct sim_inode *inode = entry->value;
        settle_inode(sim, inode, &cut);
        ox_map_put(&sim->now, entry->key, inode_get(inode));
    }
    sim->life++;
    sim->crashed = false;
    sim->crash_at = 0;
    pthread_mutex_unlock(&sim->mutex);
}

/* ---- the rest of the door ---- */

struct file_sim *
file_sim_new(uint64_t seed)
{
    struct file_sim *sim = ox_calloc(1, sizeof(*sim));
    sim->fs = (struct file_system){&sim_ops, sim};
    pthread_mutex_init(&sim->mutex, NULL);
    ox_rand_seed(&sim->rand, seed);
    ox_map_init(&sim->now);
    ox_map_init(&sim->durable);
    ox_map_init(&sim->sites);
    sim->usable = UINT64_MAX;
    return sim;
}

static void
free_names(struct map *map)
{
    struct map_entry *entry;
    uint32_t at = 0;
    while ((entry = ox_map_next(map, &at)) != NULL)
        inode_put(entry->value);
    ox_map_fini(map);
}

void
file_sim_free(struct file_sim *sim)
{
    struct map_entry *entry;
    uint32_t at = 0;
    for (size_t i = 0; i < sim->entry_count; i++)
        free_entry(&sim->entries[i]);
    ox_free(sim->entries);
    free_names(&sim->now);
    free_names(&sim->durable);
    while ((entry = ox_map_next(&sim->sites, &at)) != NULL)
        ox_free(entry->value);
    ox_map_fini(&sim->sites);
    file_sim_fail_clear(sim);
    pthread_mutex_destroy(&sim->mutex);
    ox_free(sim);
}

struct file_system *
file_sim_fs(struct file_sim *sim)
{
    return &sim->fs;
}

uint64_t
file_sim_ops(struct file_sim *sim)
{
    return sim->ops;
}

void
file_sim_crash_at(struct file_sim *sim, uint64_t op)
{
    sim->crash_at = op;
}

bool
file_sim_crashed(struct file_sim *sim)
{
    return sim->crashed;
}

void
file_sim_fail(struct file_sim *sim, const char *site, uint64_t hit, bool forever, ox_code code)
{
    ox_assert(sim->fault_count < FAULTS_MAX);
    sim->faults[sim->fault_count++] =
        (struct sim_fault){site ? ox_strdup(site) : NULL, hit, forever, code};
}

void
file_sim_fail_clear(struct file_sim *sim)
{
    for (int i = 0; i < sim->fault_count; i++)
        ox_free(sim->faults[i].site);
    sim->fault_count = 0;
}

void
file_sim_set_usable(struct file_sim *sim, uint64_t bytes)
{
    sim->usable = bytes;
}

uint64_t
file_sim_digest(struct file_sim *sim, const char *skip)
{
    struct map_entry *entry;
    uint32_t at = 0;
    uint64_t sum = 0;
    pthread_mutex_lock(&sim->mutex);
    while ((entry = ox_map_next(&sim->now, &at)) != NULL) {
        const struct sim_inode *inode = entry->value;
        if (skip != NULL && memmem(entry->key.ptr, entry->key.len, skip, strlen(skip)) != NULL)
            continue;
        uint64_t hash = ox_hash(entry->key.ptr, entry->key.len, 1);
        sum += ox_hash(inode->now.len > 0 ? (const void *)inode->now.ptr : "", inode->now.len,
            hash);
    }
    pthread_mutex_unlock(&sim->mutex);
    return sum;
}

ox_code
file_sim_corrupt(struct file_sim *sim, const char *path, uint64_t pos)
{
    pthread_mutex_lock(&sim->mutex);
    struct sim_inode *inode = find(&sim->now, path);
    bool there = inode != NULL && pos < inode->now.len && pos < inode->durable.len;
    if (there) {
        inode->now.ptr[pos] ^= 1;
        inode->durable.ptr[pos] ^= 1;
    }
    pthread_mutex_unlock(&sim->mutex);
    return there ? OX_OK : OX_FILE_NOT_FOUND;
}

void
file_sim_each_site(struct file_sim *sim, void (*fn)(void *arg, const char *site, uint64_t hits),
    void *arg)
{
    struct map_entry *entry;
    uint32_t at = 0;
    while ((entry = ox_map_next(&sim->sites, &at)) != NULL) {
        char site[128];
        snprintf(site, sizeof(site), "%.*s", OX_STR_ARG(entry->key));
        fn(arg, site, *(uint64_t *)entry->value);
    }
}
