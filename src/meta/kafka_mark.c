/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether Kafka has changed its metadata since its directory was taken over. A Kafka
 * that ran there meanwhile knows nothing of what our metadata says since then, and we
 * nothing of what it changed: to go on as if nothing had been would hide topics and bring
 * back rights that were taken away.
 *
 *   DIR/kafka.taken-over
 *     newest segment of Kafka's metadata log, and its size    (unchanged: Kafka has not run)
 *     content=<hex>                                           (of what the metadata says)
 *
 * Kafka writes to that log whenever it runs. What counts is then what the records leave:
 * all but epochs, numbers given out, the life of brokers, and delegation tokens, which run
 * out by themselves. Somebody who removes the file decides for our metadata, and it is
 * written anew: what Kafka changes after that is told of again. Somebody who moves raft.db
 * and catalog.db away decides for Kafka's. */
#include "meta/meta_int.h"

#include <stdio.h>

#include "base/crc32c.h"

enum { MARK_MAX = 4096 };

/* ---- what the metadata says ---- */

/* Sums, so that the order of entries, which a snapshot changes, makes no difference. */
struct digest {
    uint64_t sum;
    struct text text; /* of one entry */
};

static void
add_part(struct digest *digest, struct str part)
{
    ox_text_addf(&digest->text, "%zu:", part.len);
    ox_text_add(&digest->text, part.ptr, part.len);
}

static void
add_entry(struct digest *digest, int map)
{
    uint32_t low = ox_crc32c((uint32_t)map, digest->text.ptr, digest->text.len);
    uint32_t high = ox_crc32c(~(uint32_t)map, digest->text.ptr, digest->text.len);
    digest->sum += (uint64_t)high << 32 | low;
    ox_text_clear(&digest->text);
}

static void
add_topic(struct digest *digest, const void *value)
{
    const struct meta_kafka_topic *topic = value;
    add_part(digest, topic->name);
    ox_text_addf(&digest->text, "%u", topic->partition_count);
}

static void
add_config(struct digest *digest, const void *value)
{
    add_part(digest, ((const struct meta_kafka_config *)value)->value);
}

static void
add_scram(struct digest *digest, const void *value)
{
    const struct meta_scram *scram = value;
    add_part(digest, scram->salt);
    add_part(digest, scram->stored_key);
    add_part(digest, scram->server_key);
    ox_text_addf(&digest->text, "%d", scram->iterations);
}

/* A rule never changes under its id. */
static void
add_acl(struct digest *digest, const void *value)
{
    (void)digest;
    (void)value;
}

static void
add_quota(struct digest *digest, const void *value)
{
    ox_text_addf(&digest->text, "%a", ((const struct meta_quota *)value)->value);
}

static uint64_t
digest_of(const struct meta_kafka *kafka)
{
    const struct {
        const struct map *map;
        void (*add)(struct digest *digest, const void *value);
    } parts[] = {{&kafka->topics, add_topic}, {&kafka->configs, add_config},
        {&kafka->scrams, add_scram}, {&kafka->acls, add_acl}, {&kafka->quotas, add_quota}};
    struct digest digest = {0};
    ox_text_init(&digest.text, NULL);
    for (size_t i = 0; i < ox_count(parts); i++) {
        uint32_t at = 0;
        for (struct map_entry *e; (e = ox_map_next(parts[i].map, &at)) != NULL;) {
            add_part(&digest, e->key);
            parts[i].add(&digest, e->value);
            add_entry(&digest, (int)i);
        }
    }
    ox_text_fini(&digest.text);
    return digest.sum;
}

/* ---- the file ---- */

static const char *
mark_path(struct arena *arena, const char *dir)
{
    return ox_arena_printf(arena, "%s/kafka.taken-over", dir);
}

/* The newest segment and its size. */
static ox_code
log_line(struct file_system *fs, const char *dir, struct arena *arena, const char **line,
    struct ox_err *err)
{
    struct file_name *names;
    struct file_stat stat = {0};
    size_t count;
    const char *folder = ox_arena_printf(arena, "%s/__cluster_metadata-0", dir), *newest = NULL;
    ox_code code = fs_list(fs, folder, arena, &names, &count, err);
    for (size_t i = 0; i < count && code == OX_OK; i++) {
        const char *dot = strrchr(names[i].name, '.');
        if (dot != NULL && strcmp(dot, ".log") == 0) /* names are in order */
            newest = names[i].name;
    }
    if (code == OX_OK && newest != NULL)
        code = fs_stat(fs, ox_arena_printf(arena, "%s/%s", folder, newest), &stat, err);
    *line = ox_arena_printf(arena, "%s %llu\n", newest != NULL ? newest : "none",
        (unsigned long long)stat.size);
    return code;
}

/* line: as the log was before it was read. */
static ox_code
write_mark(struct file_system *fs, const char *dir, struct arena *arena, const char *line,
    uint64_t content, struct ox_err *err)
{
    const char *mark = ox_arena_printf(arena, "%scontent=%016llx\n", line,
        (unsigned long long)content);
    return file_replace(fs, "meta.takeover", mark_path(arena, dir), mark, strlen(mark), err);
}

ox_code
meta_kafka_mark_write(const struct meta_kafka *kafka, struct file_system *fs, const char *dir,
    struct ox_err *err)
{
    struct arena arena;
    const char *line;
    ox_arena_init(&arena);
    ox_code code = log_line(fs, dir, &arena, &line, err);
    if (code == OX_OK)
        code = write_mark(fs, dir, &arena, line, digest_of(kafka), err);
    ox_arena_fini(&arena);
    return code;
}

static ox_code
read_content(struct file_system *fs, const char *dir, int32_t node_id, uint64_t *content,
    struct ox_err *err)
{
    struct meta_kafka kafka;
    meta_kafka_init(&kafka, node_id);
    ox_code code = meta_kafka_read(&kafka, fs, dir, err);
    *content = digest_of(&kafka);
    meta_kafka_fini(&kafka);
    return code;
}

static bool
says(struct str mark, uint64_t content)
{
    char text[64];
    size_t len = (size_t)snprintf(text, sizeof(text), "\ncontent=%016llx\n",
        (unsigned long long)content);
    return mark.len >= len && memcmp(mark.ptr + mark.len - len, text, len) == 0;
}

/* Kafka has run. */
static ox_code
compare_content(struct file_system *fs, const char *dir, int32_t node_id, struct arena *arena,
    const char *line, struct str mark, struct ox_err *err)
{
    uint64_t content;
    ox_code code = read_content(fs, dir, node_id, &content, err);
    if (code == OX_OK && !says(mark, content))
        code = ox_fail(err, OX_IDENTITY_MISMATCH,
            "a Kafka broker has changed its metadata in \"%s\" since the directory was taken over",
            dir);
    if (code != OX_OK) {
        ox_hint(err, "To go on with Kafka's metadata, move raft.db and catalog.db (with their -wal "
            "and -shm) away; to go on without its changes, remove kafka.taken-over. Partitions "
            "were not touched.");
        return code;
    }
    ox_info("a Kafka broker has run on the directory and changed no metadata", "dir=%s", dir);
    return write_mark(fs, dir, arena, line, content, err);
}

/* Ours counts, whatever Kafka's says. */
static ox_code
mark_again(struct file_system *fs, const char *dir, int32_t node_id, struct arena *arena,
    const char *line, struct ox_err *err)
{
    uint64_t content;
    struct ox_err why;
    if (read_content(fs, dir, node_id, &content, &why) == OX_OK)
        return write_mark(fs, dir, arena, line, content, err);
    ox_diag_err(OX_DIAG_WARN, "later changes of Kafka's metadata would not be noticed", &why);
    return OX_OK;
}

ox_code
meta_kafka_mark_check(struct file_system *fs, const char *dir, int32_t node_id,
    struct ox_err *err)
{
    struct arena arena;
    struct file_stat stat;
    const char *line;
    char *ptr;
    size_t len;
    ox_arena_init(&arena);
    ox_code code = OX_OK;
    const char *folder = ox_arena_printf(&arena, "%s/__cluster_metadata-0", dir);
    if (fs_stat(fs, folder, &stat, NULL) == OX_OK) {
        code = log_line(fs, dir, &arena, &line, err);
        bool marked = fs_stat(fs, mark_path(&arena, dir), &stat, NULL) == OX_OK;
        if (code == OX_OK && marked)
            code = file_read_all(fs, mark_path(&arena, dir), MARK_MAX, &arena, &ptr, &len, err);
        if (code == OX_OK && !marked)
            code = mark_again(fs, dir, node_id, &arena, line, err);
        else if (code == OX_OK && (len < strlen(line) || memcmp(ptr, line, strlen(line)) != 0))
            code = compare_content(fs, dir, node_id, &arena, line, ox_str_n(ptr, len), err);
    }
    ox_arena_fini(&arena);
    return code;
}
