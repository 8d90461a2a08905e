/* SPDX-License-Identifier: Apache-2.0
 *
 * Dead-letter queues of share groups (KIP-1191). What a group gives up, because a
 * member rejected it or it was delivered too often, is written to the topic that
 * the group's settings name: a record each, with headers that say where it was
 * and why it is here, and with its key and value if the group wants them.
 *
 *   look --(topic missing, may be made)--> create --> look
 *     |                                                |
 *     +--> build a batch --> append --+--> next batch, done
 *                ^                    |
 *                +----- wait <--------+ what may pass is tried again, ATTEMPTS times
 *
 * A burial always ends; what cannot be written is given up with a warning. One
 * that the server's end interrupts is begun again by its next start. All runs on
 * the loop of the burial. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/lock.h"
#include "base/map.h"
#include "engine/engine_int.h"
#include "log/log.h"
#include "share/share.h"

enum { ATTEMPTS = 5, HEADERS = 6, RECORDS_MAX = 1000, APPEND_MS = 30000 };
#define WAIT_NS UINT64_C(1000000000)
#define WAIT_MAX_NS UINT64_C(30000000000)
#define STEP_NS UINT64_C(200000000)

struct dead_letters {
    struct engine *engine;
    struct share_burial *burial;
    struct engine_session sess;
    struct engine_append append;
    struct engine_topic_create create;
    struct slice batch;
    struct loop_timer timer;
    struct str topic; /* heap; the queue */
    int64_t next, after; /* offsets: to be written next; behind those of the batch */
    uint64_t until_ns; /* waiting */
    int attempts;
    bool bare; /* one record is too large: leave its key and value behind */
};

static void look(struct dead_letters *dead);

/* ---- counts ---- */

enum { GROUPS_COUNTED = 1000 };

struct dead_letter_counts {
    struct lock lock;
    struct map groups; /* id -> struct dead_letter_count */
    struct dead_letter_count others;
};

void
engine_dead_letters_start(struct engine *engine)
{
    engine->dead_letters = ox_calloc(1, sizeof(*engine->dead_letters));
    ox_lock_init(&engine->dead_letters->lock, LOCK_DEAD_LETTERS);
    ox_map_init(&engine->dead_letters->groups);
    engine->dead_letters->others.group_id = OX_STR("");
}

void
engine_dead_letters_stop(struct engine *engine)
{
    struct dead_letter_counts *counts = engine->dead_letters;
    struct map_entry *entry;
    if (counts == NULL)
        return;
    for (uint32_t at = 0; (entry = ox_map_next(&counts->groups, &at)) != NULL;)
        ox_free(entry->value);
    ox_map_fini(&counts->groups);
    ox_lock_fini(&counts->lock);
    ox_free(counts);
    engine->dead_letters = NULL;
}

/* Under the lock. The id stands behind the numbers. */
static struct dead_letter_count *
count_of(struct dead_letter_counts *counts, struct str group_id)
{
    struct dead_letter_count *found = ox_map_get(&counts->groups, group_id);
    if (found != NULL)
        return found;
    if (counts->groups.count >= GROUPS_COUNTED)
        return &counts->others;
    found = ox_calloc(1, sizeof(*found) + group_id.len + 1);
    memcpy(found + 1, group_id.ptr, group_id.len);
    found->group_id = ox_str_n(found + 1, group_id.len);
    ox_map_put(&counts->groups, found->group_id, found);
    return found;
}

static void
count(const struct dead_letters *dead, uint64_t records, uint64_t appends, uint64_t failures)
{
    struct dead_letter_counts *counts = dead->engine->dead_letters;
    ox_lock(&counts->lock);
    struct dead_letter_count *group = count_of(counts, dead->burial->group_id);
    group->records += records;
    group->appends += appends;
    group->failures += failures;
    ox_unlock(&counts->lock);
}

struct dead_letter_count *
engine_dead_letter_counts(struct engine *engine, struct arena *arena, size_t *count)
{
    struct dead_letter_counts *counts = engine->dead_letters;
    struct map_entry *entry;
    ox_lock(&counts->lock);
    struct dead_letter_count *all =
        ox_arena_array(arena, struct dead_letter_count, counts->groups.count + 1);
    *count = 0;
    for (uint32_t at = 0; (entry = ox_map_next(&counts->groups, &at)) != NULL;) {
        all[*count] = *(const struct dead_letter_count *)entry->value;
        all[*count].group_id = ox_str_dup(arena, all[*count].group_id);
        ++*count;
    }
    if (counts->others.appends + counts->others.failures > 0)
        all[(*count)++] = counts->others;
    ox_unlock(&counts->lock);
    return all;
}

/* ---- the end ---- */

static void
finish(struct dead_letters *dead, ox_code code, const char *why)
{
    struct share_burial *burial = dead->burial;
    if (code != OX_OK && code != OX_SHUTTING_DOWN) {
        count(dead, 0, 0, 1);
        ox_warn("records of a share group could not be written to its dead-letter queue",
            "group=%.*s topic=%.*s first=%lld last=%lld reason=%s", OX_STR_ARG(burial->group_id),
            OX_STR_ARG(dead->topic), (long long)dead->next, (long long)burial->last, why);
    }
    engine_session_fini(&dead->sess);
    ox_free((void *)dead->topic.ptr);
    ox_free(dead);
    burial->code = code;
    burial->done(burial);
}

static bool
ending(const struct dead_letters *dead)
{
    return atomic_load_explicit(&dead->engine->stopping, memory_order_relaxed);
}

/* The wait is in small steps, for the server's end does not wait for it. */
static void
look_again(struct loop_timer *timer)
{
    struct dead_letters *dead = ox_container_of(timer, struct dead_letters, timer);
    uint64_t now = loop_now_ns(dead->sess.loop);
    if (ending(dead) || now >= dead->until_ns)
        look(dead);
    else
        loop_timer_start(dead->sess.loop, &dead->timer, OX_MIN(dead->until_ns - now, STEP_NS),
            look_again);
}

/* Tries again later, if it makes sense. */
static void
failed(struct dead_letters *dead, const struct ox_err *err)
{
    if (ending(dead)) {
        finish(dead, OX_SHUTTING_DOWN, NULL);
        return;
    }
    if (!ox_code_facts(err->code)->retry || ++dead->attempts >= ATTEMPTS) {
        finish(dead, err->code, err->message);
        return;
    }
    uint64_t wait = WAIT_NS << (dead->attempts - 1);
    dead->until_ns = loop_now_ns(dead->sess.loop) + OX_MIN(wait, WAIT_MAX_NS);
    look_again(&dead->timer);
}

/* ---- the topic ---- */

static struct str
group_setting(const struct dead_letters *dead, const char *name)
{
    const struct meta_config_set *set =
        meta_view_config(engine_view(dead->engine), META_RESOURCE_GROUP, dead->burial->group_id);
    for (uint32_t i = 0; set != NULL && i < set->count; i++)
        if (ox_str_is(set->items[i].name, name))
            return set->items[i].value;
    return OX_STR_NULL;
}

/* Why the topic is no dead-letter queue, or NULL. found: NULL if there is none. */
static const char *
unfit(const struct dead_letters *dead, const struct meta_topic *found)
{
    const struct server_config *settings = engine_settings(dead->engine);
    struct str prefix = ox_str(settings->errors_deadletterqueue_topic_name_prefix);
    if (dead->topic.len == 0)
        return "the group has none any more";
    if (dead->topic.len >= 2 && memcmp(dead->topic.ptr, "__", 2) == 0)
        return "its name begins with __";
    if (dead->topic.len < prefix.len || memcmp(dead->topic.ptr, prefix.ptr, prefix.len) != 0)
        return "its name has not the prefix that the server asks for";
    if (found != NULL && !found->config->errors_deadletterqueue_group_enable)
        return "errors.deadletterqueue.group.enable of the topic is false";
    if (found == NULL && !settings->errors_deadletterqueue_auto_create_topics_enable)
        return "the topic does not exist";
    return NULL;
}

static void
created(struct engine_admin *call)
{
    struct dead_letters *dead =
        ox_container_of(ox_container_of(call, struct engine_topic_create, admin),
            struct dead_letters, create);
    struct ox_err err = call->err;
    err.code = call->code;
    engine_admin_fini(call);
    if (err.code == OX_OK || err.code == OX_TOPIC_EXISTS)
        look(dead);
    else
        failed(dead, &err);
}

static void
create(struct dead_letters *dead)
{
    static const struct engine_config_kv configs[] = {
        {OX_STR("errors.deadletterqueue.group.enable"), OX_STR("true"), 0},
        {OX_STR("message.timestamp.type"), OX_STR("CreateTime"), 0},
    };
    if (dead->attempts++ >= ATTEMPTS) {
        finish(dead, OX_UNKNOWN_TOPIC_OR_PARTITION, "the topic cannot be made");
        return;
    }
    dead->create = (struct engine_topic_create){.admin.sess = &dead->sess,
        .admin.done = created, .name = dead->topic, .partitions = -1, .replication_factor = -1,
        .configs = configs, .config_count = ox_count(configs), .internal = true};
    if (engine_topic_create(&dead->create))
        created(&dead->create.admin);
}

/* ---- the records ---- */

/* Reads the records that are given up, by rising offset. */
struct source {
    struct log_cursor *cursor; /* NULL: nothing can be read, or nothing is wanted */
    struct record_iter iter;
    struct text plain;
    struct record record;
    size_t inflated_max;
    bool open; /* the iterator stands in a batch */
};

static void
source_open(struct source *source, const struct dead_letters *dead)
{
    struct plog_config config;
    struct plog *plog = partition_log(dead->burial->part);
    *source = (struct source){.record.offset = -1};
    ox_text_init(&source->plain, NULL);
    if (dead->bare ||
        !ox_str_is(group_setting(dead, "errors.deadletterqueue.copy.record.enable"), "true"))
        return;
    plog_get_config(plog, &config);
    source->inflated_max = (size_t)OX_MAX(config.inflated_max, 1);
    if (log_cursor_open(plog, dead->next, dead->burial->last + 1, 0, &source->cursor, NULL) !=
        OX_OK)
        source->cursor = NULL;
}

static void
source_close(struct source *source)
{
    log_cursor_close(source->cursor);
    ox_text_fini(&source->plain);
}

/* The record at the offset; false: it is not there any more, or cannot be read. */
static bool
source_at(struct source *source, int64_t offset)
{
    struct record_batch batch;
    bool more = true;
    while (source->cursor != NULL && source->record.offset < offset) {
        if (source->open && record_iter_next(&source->iter, &source->record))
            continue;
        source->open = false;
        if (log_cursor_next(source->cursor, &batch, &more, NULL) != OX_OK || !more)
            return false;
        source->open = !record_batch_is_control(&batch) &&
                       record_iter_init(&source->iter, &batch, &source->plain,
                           source->inflated_max, NULL) == OX_OK;
    }
    return source->cursor != NULL && source->record.offset == offset;
}

/* What the headers of all records of a burial share is written once. */
struct words {
    char partition[12], offset[24], count[8];
    struct record_header headers[HEADERS];
};

static void
words_init(struct words *words, const struct dead_letters *dead)
{
    const struct share_burial *burial = dead->burial;
    const struct meta_topic *topic =
        meta_view_topic_by_id(engine_view(dead->engine), &burial->topic_id);
    snprintf(words->partition, sizeof(words->partition), "%d", burial->partition);
    snprintf(words->count, sizeof(words->count), "%d", burial->count);
    const struct record_header headers[HEADERS] = {
        {OX_STR("__dlq.errors.topic"), topic != NULL ? topic->name : OX_STR("<UNKNOWN>")},
        {OX_STR("__dlq.errors.partition"), ox_str(words->partition)},
        {OX_STR("__dlq.errors.offset"), OX_STR_NULL},
        {OX_STR("__dlq.errors.group"), burial->group_id},
        {OX_STR("__dlq.errors.delivery.count"), ox_str(words->count)},
        {OX_STR("__dlq.errors.message"), burial->rejected
            ? OX_STR("Offset rejected by client.")
            : OX_STR("Offset delivery count exceeded the threshold.")},
    };
    memcpy(words->headers, headers, sizeof(headers));
}

static size_t
words_len(const struct words *words)
{
    size_t len = 0;
    for (int i = 0; i < HEADERS; i++)
        len += words->headers[i].key.len + words->headers[i].value.len + 4;
    return len;
}

/* As many records as fit a batch of the queue, at least one. */
static ox_code
build(struct dead_letters *dead, size_t bytes_max, struct ox_err *err)
{
    struct record_builder builder;
    struct source source;
    struct words words;
    int64_t at = dead->next, now = loop_wall_ms(dead->sess.loop);
    words_init(&words, dead);
    source_open(&source, dead);
    record_builder_init(&builder);
    record_builder_begin(&builder, &RECORD_BUILDER_PLAIN);
    for (; at <= dead->burial->last && at - dead->next < RECORDS_MAX; at++) {
        struct str key = OX_STR_NULL, value = OX_STR_NULL;
        if (source_at(&source, at)) {
            key = source.record.key;
            value = source.record.value;
        }
        snprintf(words.offset, sizeof(words.offset), "%lld", (long long)at);
        words.headers[2].value = ox_str(words.offset);
        if (at > dead->next && record_builder_len(&builder) +
                record_builder_need(key, value, words_len(&words)) > bytes_max)
            break;
        record_builder_add(&builder, now, key, value, words.headers, HEADERS);
        if (dead->bare)
            bytes_max = 0; /* alone */
    }
    dead->after = at;
    ox_code code = record_builder_finish(&builder, &dead->batch, err);
    record_builder_fini(&builder);
    source_close(&source);
    return code;
}

static void
appended(struct engine_append *append)
{
    struct dead_letters *dead = ox_container_of(append, struct dead_letters, append);
    struct ox_err err = append->err;
    err.code = append->code;
    ox_buf_put(dead->batch.buf);
    dead->batch.buf = NULL;
    if (err.code == OX_MESSAGE_TOO_LARGE && !dead->bare) {
        dead->bare = true;
        look(dead);
    } else if (err.code != OX_OK) {
        failed(dead, &err);
    } else {
        count(dead, (uint64_t)(dead->after - dead->next), 0, 0);
        dead->bare = false;
        dead->attempts = 0;
        dead->next = dead->after;
        if (dead->next > dead->burial->last)
            finish(dead, OX_OK, NULL);
        else
            look(dead);
    }
}

static void
look(struct dead_letters *dead)
{
    struct ox_err err;
    if (ending(dead)) {
        finish(dead, OX_SHUTTING_DOWN, NULL);
        return;
    }
    const struct meta_topic *topic = meta_view_topic(engine_view(dead->engine), dead->topic);
    const char *why = unfit(dead, topic);
    if (why != NULL) {
        finish(dead, OX_INVALID_CONFIG, why);
        return;
    }
    if (topic == NULL) {
        create(dead);
        return;
    }
    if (build(dead, (size_t)topic->config->max_message_bytes, &err) != OX_OK) {
        finish(dead, err.code, err.message);
        return;
    }
    dead->append = (struct engine_append){.sess = &dead->sess, .topic = dead->topic,
        .partition = dead->burial->partition % (int32_t)topic->partition_count,
        .records = dead->batch, .acks = -1, .timeout_ms = APPEND_MS,
        .produce_version = INT16_MAX, .done = appended};
    count(dead, 0, 1, 0);
    if (engine_append(&dead->append))
        appended(&dead->append);
}

void
engine_dead_letters(void *engine, struct share_burial *burial)
{
    struct dead_letters *dead = ox_calloc(1, sizeof(*dead));
    dead->engine = engine;
    dead->burial = burial;
    dead->next = burial->first;
    engine_session_init(&dead->sess, dead->engine, burial->loop, "internal", "", "", 0);
    dead->sess.internal = true;
    struct str topic = group_setting(dead, "errors.deadletterqueue.topic.name");
    char *copy = ox_malloc(topic.len + 1);
    memcpy(copy, topic.len > 0 ? topic.ptr : "", topic.len);
    copy[topic.len] = '\0';
    dead->topic = ox_str_n(copy, topic.len);
    loop_timer_start(burial->loop, &dead->timer, 0, look_again); /* never before this returns */
}
