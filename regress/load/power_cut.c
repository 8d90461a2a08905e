/* SPDX-License-Identifier: Apache-2.0
 *
 * power_cut JOURNAL SEED FOLDER: the power is cut. A server was killed that wrote with
 * power.c; of what it had not flushed, each page of each file becomes what it was
 * at some time since the last flush, and each file as long as it was or became.
 * Prints what was taken back; the journal is empty then. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/rand.h"
#include "power.h"

enum { PAGE = 4096 };

struct cut_file {
    uint64_t flushed; /* number of the last change that is on disk */
    uint64_t size;    /* the shortest that it may be now */
    int fd;           /* -1: it is gone */
    bool touched, keep_all;
    struct map fixed; /* pages whose bytes are decided */
};

static struct map files; /* device and inode -> cut_file */
static struct rand_state rng;
static uint64_t undone_bytes, undone_files;

static struct cut_file *
file_of(const struct power_entry *entry)
{
    uint64_t key[2] = {entry->device, entry->inode};
    struct str name = ox_str_n(key, sizeof(key));
    struct cut_file *file = ox_map_get(&files, name);
    if (file != NULL)
        return file;
    file = ox_calloc(1, sizeof(*file));
    file->fd = -2;
    ox_map_init(&file->fixed);
    ox_map_put(&files, name, file);
    return file;
}

/* Where each file is now: names change. */
static struct map inodes; /* device and inode -> path */

static void
search(const char *dir)
{
    char command[4200], line[4200];
    snprintf(command, sizeof(command), "find '%s' -type f -printf '%%D %%i %%p\\n'", dir);
    FILE *in = popen(command, "r");
    while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
        unsigned long long key[2];
        int used = 0;
        if (sscanf(line, "%llu %llu %n", &key[0], &key[1], &used) != 2)
            continue;
        line[strcspn(line, "\n")] = '\0';
        uint64_t name[2] = {key[0], key[1]};
        free(ox_map_put(&inodes, ox_str_n(name, sizeof(name)), strdup(line + used)));
    }
    if (in != NULL)
        pclose(in);
}

static bool
open_file(struct cut_file *file, const struct power_entry *entry)
{
    uint64_t key[2] = {entry->device, entry->inode};
    struct stat st;
    if (file->fd != -2)
        return file->fd >= 0;
    const char *path = ox_map_get(&inodes, ox_str_n(key, sizeof(key)));
    file->fd = path != NULL ? open(path, O_RDWR) : -1;
    if (file->fd >= 0 && fstat(file->fd, &st) == 0)
        file->size = (uint64_t)st.st_size;
    file->keep_all = ox_rand_below(&rng, 3) == 0; /* all of it happened to be written */
    return file->fd >= 0;
}

/* Takes back a change, page by page; pages that were decided stay. */
static void
take_back(struct cut_file *file, const struct power_entry *entry, const uint8_t *kept)
{
    static const uint8_t zeros[PAGE];
    uint64_t end = entry->pos + entry->len;
    file->touched = true;
    if (entry->size < file->size)
        file->size = entry->size;
    for (uint64_t at = entry->pos; at < end;) {
        uint64_t page = at / PAGE, next = (page + 1) * PAGE < end ? (page + 1) * PAGE : end;
        struct str name = ox_str_n(&page, sizeof(page));
        if (ox_map_get(&file->fixed, name) == NULL) {
            if (ox_rand_below(&rng, 3) == 0) {
                ox_map_put(&file->fixed, name, file); /* the disk has it as it is now */
            } else {
                uint64_t have = entry->kept > at - entry->pos ? entry->kept - (at - entry->pos) : 0;
                size_t len = next - at, old = have < len ? have : len;
                bool good = pwrite(file->fd, kept + (at - entry->pos), old, (off_t)at) ==
                                (ssize_t)old &&
                            pwrite(file->fd, zeros, len - old, (off_t)(at + old)) ==
                                (ssize_t)(len - old);
                ox_assert(good);
                undone_bytes += len;
            }
        }
        at = next;
    }
}

/* Behind the last page that the disk has, nothing need be there. */
static void
shorten(struct cut_file *file)
{
    uint64_t least = file->size, page;
    uint32_t at = 0;
    for (struct map_entry *e; (e = ox_map_next(&file->fixed, &at)) != NULL;) {
        memcpy(&page, e->key.ptr, sizeof(page));
        if ((page + 1) * PAGE > least)
            least = (page + 1) * PAGE;
    }
    struct stat st;
    if (fstat(file->fd, &st) == 0 && least < (uint64_t)st.st_size && ox_rand_below(&rng, 2) == 0) {
        int rc = ftruncate(file->fd, (off_t)least);
        ox_assert(rc == 0);
    }
    undone_files++;
}

int
main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int fd = open(argv[1], O_RDWR);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return 2;
    ox_map_init(&files);
    ox_map_init(&inodes);
    ox_rand_seed(&rng, strtoull(argv[2], NULL, 10));
    search(argv[3]);
    size_t len = (size_t)st.st_size, count = 0, cap = 1024;
    const uint8_t *base = len > 0 ? mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0) : NULL;
    size_t *at = ox_malloc(cap * sizeof(*at));
    for (size_t pos = 0; pos + sizeof(struct power_entry) <= len;) {
        struct power_entry entry;
        memcpy(&entry, base + pos, sizeof(entry));
        if (entry.magic != POWER_MAGIC || pos + sizeof(entry) + entry.kept > len)
            break; /* the server died while it wrote this one, before the change */
        struct cut_file *file = file_of(&entry);
        bool settled = entry.kind == POWER_SYNC || (entry.kind == POWER_OPEN && entry.size == 0);
        if (settled && entry.number > file->flushed)
            file->flushed = entry.number;
        if (count == cap)
            at = ox_realloc(at, (cap *= 2) * sizeof(*at));
        at[count++] = pos;
        pos += sizeof(entry) + entry.kept;
    }
    while (count-- > 0) {
        struct power_entry entry;
        memcpy(&entry, base + at[count], sizeof(entry));
        struct cut_file *file = file_of(&entry);
        if (entry.kind == POWER_CHANGE && entry.number > file->flushed &&
            open_file(file, &entry) && !file->keep_all)
            take_back(file, &entry, base + at[count] + sizeof(entry));
    }
    uint32_t next = 0;
    for (struct map_entry *e; (e = ox_map_next(&files, &next)) != NULL;) {
        struct cut_file *file = e->value;
        if (file->touched)
            shorten(file);
        if (file->fd >= 0)
            close(file->fd);
        ox_map_fini(&file->fixed);
        ox_free(file);
    }
    next = 0;
    for (struct map_entry *e; (e = ox_map_next(&inodes, &next)) != NULL;)
        free(e->value);
    ox_map_fini(&inodes);
    ox_map_fini(&files);
    ox_free(at);
    if (base != NULL)
        munmap((void *)base, len);
    printf("%llu bytes of %llu files were not on disk\n", (unsigned long long)undone_bytes,
        (unsigned long long)undone_files);
    return ftruncate(fd, 0);
}
