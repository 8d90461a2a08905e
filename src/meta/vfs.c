/* SPDX-License-Identifier: Apache-2.0
 *
 * A SQLite VFS on the file layer, so that databases see the same disk as
 * everything else: simulated, failing, full, or real.
 *
 * Connections of this process share one node for each path: one open file, the
 * lock states of all, and the shared memory of WAL mode, which is heap memory
 * here. It is lost with the process, and then SQLite rebuilds it from the log.
 * Other processes are kept out as a whole: the first connection takes the file
 * layer's exclusive lock, so that a sqlite3 shell on a live directory is told
 * that the database is locked, and cannot shorten the log under us.
 *
 *     node (path)      file, level counts, shm regions
 *      ^    ^    ^
 *     conn conn conn   own level, own shm locks
 *
 * Invariants (under the VFS's lock)
 * 1. shared counts the connections at SQLITE_LOCK_SHARED or above; reserved is
 *    the one above SHARED, or NULL; exclusive implies shared == 1.
 * 2. A shm slot has readers or one writer, never both. */
#include "meta/vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/env.h"
#include "base/file.h"
#include "base/list.h"
#include "base/lock.h"

enum { LOG_RESERVE = 8 << 20 };

struct vfs {
    sqlite3_vfs base; /* first */
    struct env env;
    char name[32];
    struct lock lock;
    struct list nodes;
};

struct node {
    struct list link;
    struct vfs *vfs;
    int refs;
    char *path;
    bool gone;      /* deleted: not to be found again */
    bool sync_dir;  /* maybe made by us, or before a kill: its name is not durable yet */
    struct file *file;
    const char *write_site, *sync_site;
    int shared;
    struct conn *reserved;
    bool pending, exclusive;
    void **regions;
    int region_count, region_size, shm_users;
    int shm_shared[SQLITE_SHM_NLOCK];
    struct conn *shm_writer[SQLITE_SHM_NLOCK];
};

/* What SQLite allocates for each open file. */
struct conn {
    sqlite3_file base; /* first */
    struct node *node;
    int level;
    bool persist_wal, uses_shm;
    uint16_t shm_shared, shm_exclusive; /* slots this connection holds */
};

static struct vfs *
vfs_of(sqlite3_vfs *base)
{
    return (struct vfs *)(void *)base;
}

static struct conn *
conn_of(sqlite3_file *base)
{
    return (struct conn *)(void *)base;
}

static struct file_system *
fs_of(struct conn *conn)
{
    return conn->node->vfs->env.fs;
}

static int
status_of(ox_code code, int otherwise)
{
    return code == OX_OK ? SQLITE_OK
        : code == OX_DISK_FULL ? SQLITE_FULL
        : code == OX_READ_ONLY_FILE_SYSTEM ? SQLITE_READONLY
        : otherwise;
}

/* The directory a path is in, for the sync that makes a name durable. */
static ox_code
sync_parent(struct file_system *fs, const char *path)
{
    char dir[4200];
    const char *slash = strrchr(path, '/');
    size_t len = slash != NULL ? (size_t)(slash - path) : 1;
    if (len >= sizeof(dir))
        return OX_IO_ERROR;
    memcpy(dir, slash != NULL ? path : ".", len);
    dir[len] = 0;
    return fs_sync_dir(fs, "meta.dir.sync", len > 0 ? dir : "/", NULL);
}

/* ---- Bytes --------------------------------------------------------------- */

static int
file_read(sqlite3_file *base, void *to, int len, sqlite3_int64 pos)
{
    struct conn *conn = conn_of(base);
    size_t got = 0;
    if (fs_pread(fs_of(conn), conn->node->file, to, (size_t)len, (uint64_t)pos, &got, NULL) !=
        OX_OK)
        return SQLITE_IOERR_READ;
    if (got == (size_t)len)
        return SQLITE_OK;
    memset((char *)to + got, 0, (size_t)len - got);
    return SQLITE_IOERR_SHORT_READ;
}

static int
file_write(sqlite3_file *base, const void *from, int len, sqlite3_int64 pos)
{
    struct conn *conn = conn_of(base);
    return status_of(file_pwrite(fs_of(conn), conn->node->write_site, conn->node->file, from,
        (size_t)len, (uint64_t)pos, NULL), SQLITE_IOERR_WRITE);
}

static int
file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct conn *conn = conn_of(base);
    return status_of(fs_truncate(fs_of(conn), conn->node->write_site, conn->node->file,
        (uint64_t)size, NULL), SQLITE_IOERR_TRUNCATE);
}

static int
file_sync(sqlite3_file *base, int flags)
{
    struct conn *conn = conn_of(base);
    struct node *node = conn->node;
    ox_code code = fs_sync(fs_of(conn), node->sync_site, node->file, NULL);
    if (code == OX_OK && node->sync_dir) {
        code = sync_parent(fs_of(conn), node->path);
        node->sync_dir = code != OX_OK;
    }
    return status_of(code, SQLITE_IOERR_FSYNC);
}

static int
file_size(sqlite3_file *base, sqlite3_int64 *out)
{
    struct conn *conn = conn_of(base);
    uint64_t size = 0;
    if (fs_size(fs_of(conn), conn->node->file, &size, NULL) != OX_OK)
        return SQLITE_IOERR_FSTAT;
    *out = (sqlite3_int64)size;
    return SQLITE_OK;
}

/* ---- Locks between connections ------------------------------------------- */

static int
raise_level(struct conn *conn, int level)
{
    struct node *node = conn->node;
    if (level == SQLITE_LOCK_SHARED) {
        if (node->pending || node->exclusive)
            return SQLITE_BUSY;
        node->shared++;
        return SQLITE_OK;
    }
    if (node->reserved != NULL && node->reserved != conn)
        return SQLITE_BUSY;
    node->reserved = conn;
    if (level == SQLITE_LOCK_RESERVED)
        return SQLITE_OK;
    node->pending = true;
    if (node->shared > 1) {
        conn->level = SQLITE_LOCK_PENDING;
        return SQLITE_BUSY;
    }
    node->exclusive = true;
    return SQLITE_OK;
}

static int
file_lock(sqlite3_file *base, int level)
{
    struct conn *conn = conn_of(base);
    if (conn->level >= level)
        return SQLITE_OK;
    ox_lock(&conn->node->vfs->lock);
    int status = raise_level(conn, level);
    if (status == SQLITE_OK)
        conn->level = level;
    ox_unlock(&conn->node->vfs->lock);
    return status;
}

static int
file_unlock(sqlite3_file *base, int level)
{
    struct conn *conn = conn_of(base);
    struct node *node = conn->node;
    if (conn->level <= level)
        return SQLITE_OK;
    ox_lock(&node->vfs->lock);
    if (conn->level > SQLITE_LOCK_SHARED && node->reserved == conn) {
        node->reserved = NULL;
        node->pending = node->exclusive = false;
    }
    if (level == SQLITE_LOCK_NONE)
        node->shared--;
    conn->level = level;
    ox_unlock(&node->vfs->lock);
    return SQLITE_OK;
}

static int
file_reserved(sqlite3_file *base, int *out)
{
    struct conn *conn = conn_of(base);
    ox_lock(&conn->node->vfs->lock);
    *out = conn->node->reserved != NULL;
    ox_unlock(&conn->node->vfs->lock);
    return SQLITE_OK;
}

/* ---- Shared memory of WAL mode ------------------------------------------- */

static int
shm_grow(struct node *node, int region, int size)
{
    if (node->region_size != 0 && node->region_size != size)
        return SQLITE_IOERR_SHMSIZE;
    node->region_size = size;
    node->regions = ox_realloc(node->regions, (size_t)(region + 1) * sizeof(void *));
    while (node->region_count <= region)
        node->regions[node->region_count++] = ox_calloc(1, (size_t)size);
    return SQLITE_OK;
}

static int
shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out)
{
    struct conn *conn = conn_of(base);
    struct node *node = conn->node;
    int status = SQLITE_OK;
    *out = NULL;
    ox_lock(&node->vfs->lock);
    node->shm_users += !conn->uses_shm;
    conn->uses_shm = true;
    if (region >= node->region_count && extend)
        status = shm_grow(node, region, size);
    if (status == SQLITE_OK && region < node->region_count)
        *out = node->regions[region];
    ox_unlock(&node->vfs->lock);
    return status;
}

static void
shm_release(struct conn *conn, uint16_t slots)
{
    struct node *node = conn->node;
    for (int i = 0; i < SQLITE_SHM_NLOCK; i++) {
        if ((slots & 1 << i) == 0)
            continue;
        if (conn->shm_exclusive & 1 << i)
            node->shm_writer[i] = NULL;
        if (conn->shm_shared & 1 << i)
            node->shm_shared[i]--;
    }
    conn->shm_exclusive &= (uint16_t)~slots;
    conn->shm_shared &= (uint16_t)~slots;
}

static int
shm_take(struct conn *conn, int first, int count, bool exclusive)
{
    struct node *node = conn->node;
    for (int i = first; i < first + count; i++) {
        bool own_shared = conn->shm_shared & 1 << i;
        if (node->shm_writer[i] != NULL && node->shm_writer[i] != conn)
            return SQLITE_BUSY;
        if (exclusive && node->shm_shared[i] - own_shared > 0)
            return SQLITE_BUSY;
    }
    for (int i = first; i < first + count; i++) {
        if (exclusive) {
            node->shm_writer[i] = conn;
            conn->shm_exclusive |= (uint16_t)(1 << i);
        } else if (!(conn->shm_shared & 1 << i)) {
            node->shm_shared[i]++;
            conn->shm_shared |= (uint16_t)(1 << i);
        }
    }
    return SQLITE_OK;
}

static int
shm_lock(sqlite3_file *base, int first, int count, int flags)
{
    struct conn *conn = conn_of(base);
    int status = SQLITE_OK;
    ox_lock(&conn->node->vfs->lock);
    if (flags & SQLITE_SHM_UNLOCK)
        shm_release(conn, (uint16_t)(((1 << count) - 1) << first));
    else
        status = shm_take(conn, first, count, flags & SQLITE_SHM_EXCLUSIVE);
    ox_unlock(&conn->node->vfs->lock);
    return status;
}

static void
shm_barrier(sqlite3_file *base)
{
    struct conn *conn = conn_of(base);
    __sync_synchronize();
    ox_lock(&conn->node->vfs->lock);
    ox_unlock(&conn->node->vfs->lock);
}

/* The regions stay while any connection maps them, however it ends. */
static void
shm_leave(struct conn *conn)
{
    struct node *node = conn->node;
    if (!conn->uses_shm)
        return;
    shm_release(conn, UINT16_MAX);
    conn->uses_shm = false;
    if (--node->shm_users > 0)
        return;
    for (int i = 0; i < node->region_count; i++)
        ox_free(node->regions[i]);
    ox_free(node->regions);
    node->regions = NULL;
    node->region_count = node->region_size = 0;
}

static int
shm_unmap(sqlite3_file *base, int delete)
{
    struct conn *conn = conn_of(base);
    ox_lock(&conn->node->vfs->lock);
    shm_leave(conn);
    ox_unlock(&conn->node->vfs->lock);
    return SQLITE_OK;
}

/* ---- The rest of a file -------------------------------------------------- */

static int
file_control(sqlite3_file *base, int op, void *arg)
{
    struct conn *conn = conn_of(base);
    int *value = arg;
    switch (op) {
    case SQLITE_FCNTL_PERSIST_WAL:
        if (*value < 0)
            *value = conn->persist_wal;
        else
            conn->persist_wal = *value != 0;
        return SQLITE_OK;
    case SQLITE_FCNTL_POWERSAFE_OVERWRITE:
        *value = 1;
        return SQLITE_OK;
    case SQLITE_FCNTL_LOCKSTATE:
        *value = conn->level;
        return SQLITE_OK;
    }
    return SQLITE_NOTFOUND;
}

static int
file_sector_size(sqlite3_file *base)
{
    return 4096;
}

/* A torn write harms only the bytes that were being written. */
static int
file_characteristics(sqlite3_file *base)
{
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static void
node_unref(struct node *node)
{
    struct vfs *vfs = node->vfs;
    ox_lock(&vfs->lock);
    bool last = --node->refs == 0;
    if (last)
        ox_list_remove(&node->link);
    ox_unlock(&vfs->lock);
    if (!last)
        return;
    fs_close(vfs->env.fs, node->file);
    ox_free(node->path);
    ox_free(node);
}

static int
file_close(sqlite3_file *base)
{
    struct conn *conn = conn_of(base);
    file_unlock(base, SQLITE_LOCK_NONE);
    shm_unmap(base, 0);
    node_unref(conn->node);
    conn->node = NULL;
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

/* ---- Open ---------------------------------------------------------------- */

static struct node *
find_node(struct vfs *vfs, const char *path)
{
    ox_list_each(link, &vfs->nodes) {
        struct node *node = ox_container_of(link, struct node, link);
        if (!node->gone && strcmp(node->path, path) == 0)
            return node;
    }
    return NULL;
}

static void
name_sites(struct node *node, int flags)
{
    if (flags & SQLITE_OPEN_MAIN_DB) {
        node->write_site = "meta.db.write";
        node->sync_site = "meta.db.sync";
    } else if (flags & SQLITE_OPEN_WAL) {
        node->write_site = "meta.wal.write";
        node->sync_site = "meta.wal.sync";
    } else {
        node->write_site = "meta.journal.write";
        node->sync_site = "meta.journal.sync";
    }
}

/* Room for what is committed while the disk is full: a committed command that the
 * catalog cannot take ends the metadata's work. Files are written from their
 * start again, so that the room stays. A simulated disk has its own limits. */
static void
reserve_log(struct file_system *fs, struct node *node, int flags)
{
    uint64_t size;
    if ((flags & SQLITE_OPEN_WAL) && fs_fd(fs, node->file) >= 0 &&
        fs_size(fs, node->file, &size, NULL) == OX_OK && size < LOG_RESERVE)
        fs_allocate(fs, "meta.wal.reserve", node->file, LOG_RESERVE, NULL);
}

static int
node_new(struct vfs *vfs, const char *path, int flags, struct node **out)
{
    struct file_system *fs = vfs->env.fs;
    int wanted = FILE_READ | FILE_WRITE | (flags & SQLITE_OPEN_CREATE ? FILE_CREATE : 0);
    struct node *node = ox_calloc(1, sizeof(*node));
    name_sites(node, flags);
    ox_code code = fs_open(fs, node->write_site, path, wanted, &node->file, NULL);
    if (code == OX_OK && flags & SQLITE_OPEN_MAIN_DB) {
        code = fs_lock(fs, node->file, NULL);
        if (code != OX_OK)
            fs_close(fs, node->file);
    }
    if (code != OX_OK) {
        ox_free(node);
        return code == OX_LOCK_HELD ? SQLITE_BUSY : status_of(code, SQLITE_CANTOPEN);
    }
    node->vfs = vfs;
    node->path = ox_strdup(path);
    node->sync_dir = flags & SQLITE_OPEN_CREATE;
    reserve_log(fs, node, flags);
    ox_list_push(&vfs->nodes, &node->link);
    *out = node;
    return SQLITE_OK;
}

/* Nameless temporary files are refused: connections keep those in memory. */
static int
vfs_open(sqlite3_vfs *base, const char *path, sqlite3_file *file, int flags, int *out_flags)
{
    struct vfs *vfs = vfs_of(base);
    struct conn *conn = conn_of(file);
    int status = SQLITE_OK;
    memset(conn, 0, sizeof(*conn));
    if (path == NULL)
        return SQLITE_CANTOPEN;
    ox_lock(&vfs->lock);
    struct node *node = find_node(vfs, path);
    if (node == NULL)
        status = node_new(vfs, path, flags, &node);
    if (status == SQLITE_OK)
        node->refs++;
    ox_unlock(&vfs->lock);
    if (status != SQLITE_OK)
        return status;
    conn->node = node;
    conn->base.pMethods = &methods;
    if (out_flags != NULL)
        *out_flags = flags;
    return SQLITE_OK;
}

static int
vfs_delete(sqlite3_vfs *base, const char *path, int sync_dir)
{
    struct vfs *vfs = vfs_of(base);
    ox_lock(&vfs->lock);
    struct node *node = find_node(vfs, path);
    if (node != NULL)
        node->gone = true;
    ox_unlock(&vfs->lock);
    ox_code code = fs_unlink(vfs->env.fs, "meta.unlink", path, NULL);
    if (code == OX_FILE_NOT_FOUND)
        return SQLITE_IOERR_DELETE_NOENT;
    if (code == OX_OK && sync_dir)
        code = sync_parent(vfs->env.fs, path);
    return status_of(code, SQLITE_IOERR_DELETE);
}

static int
vfs_access(sqlite3_vfs *base, const char *path, int flags, int *out)
{
    struct file_stat stat;
    *out = fs_stat(vfs_of(base)->env.fs, path, &stat, NULL) == OX_OK;
    return SQLITE_OK;
}

static int
vfs_full_path(sqlite3_vfs *base, const char *path, int len, char *out)
{
    if (strlen(path) >= (size_t)len)
        return SQLITE_CANTOPEN;
    strcpy(out, path);
    return SQLITE_OK;
}

static int
vfs_randomness(sqlite3_vfs *base, int len, char *out)
{
    env_random(&vfs_of(base)->env, out, (size_t)len);
    return len;
}

static int
vfs_sleep(sqlite3_vfs *base, int micros)
{
    sqlite3_vfs *unix_vfs = sqlite3_vfs_find("unix");
    return unix_vfs->xSleep(unix_vfs, micros);
}

/* Milliseconds of the Julian calendar, which SQLite counts. */
static int
vfs_time(sqlite3_vfs *base, sqlite3_int64 *out)
{
    *out = 210866760000000 + env_wall_ms(&vfs_of(base)->env);
    return SQLITE_OK;
}

static int
vfs_last_error(sqlite3_vfs *base, int len, char *out)
{
    return 0;
}

static struct vfs *
vfs_new(const struct env *env, const char *name)
{
    struct vfs *vfs = ox_calloc(1, sizeof(*vfs));
    ox_lock_init(&vfs->lock, LOCK_META_VFS);
    ox_list_init(&vfs->nodes);
    vfs->env = *env;
    snprintf(vfs->name, sizeof(vfs->name), "%s", name);
    vfs->base = (sqlite3_vfs){.iVersion = 2, .szOsFile = sizeof(struct conn), .mxPathname = 4096,
        .zName = vfs->name, .xOpen = vfs_open, .xDelete = vfs_delete, .xAccess = vfs_access,
        .xFullPathname = vfs_full_path, .xRandomness = vfs_randomness, .xSleep = vfs_sleep,
        .xGetLastError = vfs_last_error, .xCurrentTimeInt64 = vfs_time};
    return vfs;
}

const char *
meta_vfs_name(const struct env *env)
{
    char name[32];
    snprintf(name, sizeof(name), "oxbow-%p", (void *)env->fs);
    sqlite3_initialize();
    sqlite3_mutex *mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_APP1);
    sqlite3_mutex_enter(mutex);
    sqlite3_vfs *found = sqlite3_vfs_find(name);
    if (found == NULL) {
        found = &vfs_new(env, name)->base;
        int status = sqlite3_vfs_register(found, 0);
        ox_assert(status == SQLITE_OK);
    }
    sqlite3_mutex_leave(mutex);
    return found->zName;
}
