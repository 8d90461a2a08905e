/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetch sessions: the server remembers which partitions a consumer reads, so
 * that a request names only what changed and an answer only what is new.
 *
 *   (id 0, epoch 0)   everything is named; a session is made if there is room
 *   (id n, epoch 0)   that session ends, then as above
 *   (id n, epoch -1)  that session ends, no other is made
 *   (id 0, epoch -1)  no session
 *   (id n, epoch e)   changes to session n; e must be the epoch that is next
 *
 * Sessions belong to the node, not to a connection, so the cache has a lock. A
 * request copies the list when it begins and notes what it told when it ends; in
 * between, which may be long, it holds nothing, and when the session has moved on
 * meanwhile, its note is dropped.
 *
 * All sessions together remember so many partitions and no more: one that would grow past
 * that ends, and its client goes on with whole requests. Sessions that are idle give way.
 *
 * Invariants
 *   1  0 < id; ids are unique among the sessions of the cache
 *   2  parts is the order of answering: those that returned data go to its end
 *   3  index finds every member of parts, and nothing else
 *   4  part_count is the sum of index.count of all sessions, and at most parts_max */
#include "base/check.h"
#include "base/limits.h"
#include "kafka/kafka_int.h"

enum { IDLE_MS = 120000, TOPIC_NAME_MAX = 249 };

struct session_part {
    struct fetch_part part; /* topic points into key */
    struct list link;
    size_t key_len;
    char key[]; /* topic name or id, then the partition */
};

struct session {
    int32_t id, epoch; /* epoch: the one that the next request must have */
    bool by_id;
    int64_t created_ms, used_ms;
    struct list parts;
    struct map index;
};

struct fetch_cache {
    struct lock lock;
    uint32_t slots, parts_max, part_count;
    struct map sessions; /* by id */
};

struct fetch_cache *
fetch_cache_new(uint32_t slots, uint32_t parts_max)
{
    struct fetch_cache *cache = ox_calloc(1, sizeof(*cache));
    ox_lock_init(&cache->lock, LOCK_FETCH_SESSIONS);
    cache->slots = slots;
    cache->parts_max = parts_max;
    ox_map_init(&cache->sessions);
    return cache;
}

static void
session_free(struct session *session)
{
    struct list *node;
    while ((node = ox_list_pop(&session->parts)) != NULL)
        ox_free(ox_container_of(node, struct session_part, link));
    ox_map_fini(&session->index);
    ox_free(session);
}

void
fetch_cache_free(struct fetch_cache *cache)
{
    uint32_t at = 0;
    struct map_entry *entry;
    while ((entry = ox_map_next(&cache->sessions, &at)) != NULL)
        session_free(entry->value);
    ox_map_fini(&cache->sessions);
    ox_lock_fini(&cache->lock);
    ox_free(cache);
}

uint32_t
fetch_cache_count(struct fetch_cache *cache)
{
    ox_lock(&cache->lock);
    uint32_t count = cache->sessions.count;
    ox_unlock(&cache->lock);
    return count;
}

static struct str
id_key(const int32_t *id)
{
    return ox_str_n(id, sizeof(*id));
}

static void
session_remove(struct fetch_cache *cache, int32_t id)
{
    struct session *session = ox_map_remove(&cache->sessions, id_key(&id));
    if (session == NULL)
        return;
    ox_assert(cache->part_count >= session->index.count);
    cache->part_count -= session->index.count;
    session_free(session);
}

/* Those that nobody has used for long go while there is no room for more partitions. */
static bool
parts_fit(struct fetch_cache *cache, uint64_t more, const struct session *keep, int64_t now_ms)
{
    while (cache->part_count + more > cache->parts_max) {
        uint32_t at = 0;
        struct map_entry *entry;
        const struct session *idle = NULL;
        while ((entry = ox_map_next(&cache->sessions, &at)) != NULL) {
            const struct session *session = entry->value;
            if (session != keep && (idle == NULL || session->used_ms < idle->used_ms))
                idle = session;
        }
        if (idle == NULL || now_ms - idle->used_ms <= IDLE_MS) {
            limit_met(LIMIT_FETCH_SESSION_PARTITIONS);
            return false;
        }
        session_remove(cache, idle->id);
    }
    return true;
}

/* Name or id, then the number: into a buffer of the request. */
static struct str
part_key(struct arena *arena, const struct fetch_part *part)
{
    struct str topic = part->topic.ptr != NULL
                           ? part->topic
                           : ox_str_n(part->topic_id.bytes, sizeof(part->topic_id.bytes));
    char *key = ox_arena_alloc(arena, topic.len + 4);
    if (topic.len > 0)
        memcpy(key, topic.ptr, topic.len);
    memcpy(key + topic.len, &part->partition, 4);
    return ox_str_n(key, topic.len + 4);
}

/* What is kept beyond the request has names that a topic can have: a longer one, of many
 * partitions, would be kept with each of them. */
static bool
name_fits(const struct fetch_part *part)
{
    return part->topic.len <= TOPIC_NAME_MAX;
}

/* False: there is no room for one more, or for its name. */
static bool
session_put(struct fetch_cache *cache, struct session *session, struct arena *arena,
    const struct fetch_part *part)
{
    if (!name_fits(part))
        return false;
    struct str key = part_key(arena, part);
    struct session_part *known = ox_map_get(&session->index, key);
    if (known != NULL) {
        /* What the client wants now; what it was told stays. */
        struct fetch_part old = known->part;
        known->part = *part;
        known->part.topic = old.topic;
        known->part.told_high_watermark = old.told_high_watermark;
        known->part.told_log_start = old.told_log_start;
        return true;
    }
    if (!parts_fit(cache, 1, session, session->used_ms))
        return false;
    known = ox_calloc(1, sizeof(*known) + key.len);
    known->part = *part;
    known->key_len = key.len;
    memcpy(known->key, key.ptr, key.len);
    if (part->topic.ptr != NULL)
        known->part.topic = ox_str_n(known->key, key.len - 4);
    ox_list_push(&session->parts, &known->link);
    ox_map_put(&session->index, key, known);
    cache->part_count++;
    return true;
}

static void
session_forget(struct fetch_cache *cache, struct session *session, struct str key)
{
    struct session_part *known = ox_map_remove(&session->index, key);
    if (known == NULL)
        return;
    cache->part_count--;
    ox_list_remove(&known->link);
    ox_free(known);
}

/* ---- the request ---- */

static struct fetch_part
part_of(const struct kafka_request *req, const struct fetch_request_topics *topic,
    const struct fetch_request_topics_partitions *in)
{
    return (struct fetch_part){
        .topic = req->version >= 13 ? OX_STR_NULL : topic->topic,
        .topic_id = topic->topic_id,
        .partition = in->partition,
        .current_leader_epoch = in->current_leader_epoch,
        .last_fetched_epoch = in->last_fetched_epoch,
        .max_bytes = in->partition_max_bytes,
        .offset = in->fetch_offset,
        .log_start = in->log_start_offset,
        .told_high_watermark = -1,
        .told_log_start = -1,
    };
}

static void
list_full(struct kafka_request *req, struct fetch_context *ctx)
{
    const struct fetch_request *request = req->body;
    int32_t count = 0;
    for (int32_t t = 0; t < request->topics.count; t++)
        count += request->topics.at[t].partitions.count;
    ctx->parts = kafka_array(req, struct fetch_part, count);
    for (int32_t t = 0; t < request->topics.count; t++) {
        const struct fetch_request_topics *topic = &request->topics.at[t];
        for (int32_t p = 0; p < topic->partitions.count; p++)
            ctx->parts[ctx->part_count++] = part_of(req, topic, &topic->partitions.at[p]);
    }
}

static bool
session_update(struct fetch_cache *cache, struct session *session, struct kafka_request *req)
{
    const struct fetch_request *request = req->body;
    for (int32_t t = 0; t < request->topics.count; t++) {
        const struct fetch_request_topics *topic = &request->topics.at[t];
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            struct fetch_part part = part_of(req, topic, &topic->partitions.at[p]);
            if (!session_put(cache, session, &req->arena, &part))
                return false;
        }
    }
    for (int32_t t = 0; t < request->forgotten_topics_data.count; t++) {
        const struct fetch_request_forgotten_topics_data *topic =
            &request->forgotten_topics_data.at[t];
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            struct fetch_part part = {
                .topic = req->version >= 13 ? OX_STR_NULL : topic->topic,
                .topic_id = topic->topic_id,
                .partition = topic->partitions.at[p],
            };
            if (name_fits(&part))
                session_forget(cache, session, part_key(&req->arena, &part));
        }
    }
    return true;
}

static void
copy_parts(struct session *session, struct kafka_request *req, struct fetch_context *ctx)
{
    ctx->parts = kafka_array(req, struct fetch_part, session->index.count);
    ox_list_each(node, &session->parts) {
        struct session_part *known = ox_container_of(node, struct session_part, link);
        struct fetch_part *part = &ctx->parts[ctx->part_count++];
        *part = known->part;
        part->topic = ox_str_dup(&req->arena, known->part.topic);
    }
}

/* Under the lock. */
static ox_code
begin_incremental(struct fetch_cache *cache, struct kafka_request *req,
    struct fetch_context *ctx)
{
    const struct fetch_request *request = req->body;
    struct session *session = ox_map_get(&cache->sessions, id_key(&request->session_id));
    if (session == NULL)
        return OX_FETCH_SESSION_ID_NOT_FOUND;
    if (session->epoch != request->session_epoch)
        return OX_INVALID_FETCH_SESSION_EPOCH;
    if (session->by_id != (req->version >= 13))
        return OX_FETCH_SESSION_TOPIC_ID_ERROR;
    session->used_ms = loop_wall_ms(req->sess->loop);
    if (!session_update(cache, session, req)) {
        session_remove(cache, request->session_id);
        return OX_FETCH_SESSION_ID_NOT_FOUND;
    }
    copy_parts(session, req, ctx);
    if (session->index.count == 0) {
        session_remove(cache, request->session_id);
        return OX_OK;
    }
    session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
    ctx->epoch = session->epoch;
    ctx->session_id = session->id;
    ctx->incremental = true;
    return OX_OK;
}

ox_code
fetch_session_begin(struct fetch_cache *cache, struct kafka_request *req,
    struct fetch_context *ctx)
{
    const struct fetch_request *request = req->body;
    *ctx = (struct fetch_context){.session_id = 0};
    if (req->version >= 7 && request->session_epoch != 0 && request->session_epoch != -1) {
        ox_lock(&cache->lock);
        ox_code code = begin_incremental(cache, req, ctx);
        ox_unlock(&cache->lock);
        return code;
    }
    if (req->version >= 7 && request->session_id != 0) {
        ox_lock(&cache->lock);
        session_remove(cache, request->session_id);
        ox_unlock(&cache->lock);
    }
    list_full(req, ctx);
    ctx->create = req->version >= 7 && request->session_epoch == 0 && ctx->part_count > 0;
    for (int32_t i = 0; i < ctx->part_count && ctx->create; i++)
        ctx->create = name_fits(&ctx->parts[i]);
    return OX_OK;
}

/* ---- the answer ---- */

/* A free slot, or one taken from a session that is idle, or old and smaller. */
static bool
make_room(struct fetch_cache *cache, uint32_t parts, int64_t now_ms)
{
    if (cache->sessions.count < cache->slots)
        return true;
    uint32_t at = 0;
    struct map_entry *entry;
    struct session *idle = NULL, *small = NULL;
    while ((entry = ox_map_next(&cache->sessions, &at)) != NULL) {
        struct session *session = entry->value;
        if (idle == NULL || session->used_ms < idle->used_ms)
            idle = session;
        if (now_ms - session->created_ms > IDLE_MS && session->index.count < parts &&
            (small == NULL || session->index.count < small->index.count))
            small = session;
    }
    struct session *victim = idle != NULL && now_ms - idle->used_ms > IDLE_MS ? idle : small;
    if (victim == NULL)
        return false;
    session_remove(cache, victim->id);
    return true;
}

static int32_t
new_id(struct fetch_cache *cache, const struct env *env)
{
    for (;;) {
        uint32_t word;
        env_random(env, &word, sizeof(word));
        int32_t id = (int32_t)(word & INT32_MAX);
        if (id > 0 && ox_map_get(&cache->sessions, id_key(&id)) == NULL)
            return id;
    }
}

static void
note_told(struct session *session, struct kafka_request *req, const struct fetch_part *part,
    const struct fetch_response_responses_partitions *row)
{
    struct session_part *known =
        ox_map_get(&session->index, part_key(&req->arena, part));
    if (known == NULL)
        return;
    /* An error is told again, until it is gone. */
    known->part.told_high_watermark = row->error_code != 0 ? -1 : row->high_watermark;
    known->part.told_log_start = row->log_start_offset;
    bool data = row->records.splice != NULL || row->records.bytes.len > 0;
    if (data && !ox_list_empty(&session->parts)) {
        ox_list_remove(&known->link);
        ox_list_push(&session->parts, &known->link);
    }
}

/* Under the lock. */
static struct session *
session_create(struct fetch_cache *cache, struct kafka_request *req,
    const struct fetch_context *ctx)
{
    int64_t now_ms = loop_wall_ms(req->sess->loop);
    if (!make_room(cache, (uint32_t)ctx->part_count, now_ms) ||
        !parts_fit(cache, (uint64_t)ctx->part_count, NULL, now_ms))
        return NULL;
    struct session *session = ox_calloc(1, sizeof(*session));
    session->id = new_id(cache, engine_env(kafka_engine(req)));
    session->epoch = 1;
    session->by_id = req->version >= 13;
    session->created_ms = session->used_ms = now_ms;
    ox_list_init(&session->parts);
    ox_map_init(&session->index);
    for (int32_t i = 0; i < ctx->part_count; i++)
        (void)session_put(cache, session, &req->arena, &ctx->parts[i]); /* there is room */
    ox_map_put(&cache->sessions, id_key(&session->id), session);
    return session;
}

void
fetch_session_end(struct fetch_cache *cache, struct kafka_request *req, struct fetch_context *ctx,
    struct fetch_response_responses_partitions *const *rows)
{
    if (!ctx->create && !ctx->incremental)
        return;
    ox_lock(&cache->lock);
    struct session *session;
    if (ctx->create) {
        session = session_create(cache, req, ctx);
        ctx->session_id = session != NULL ? session->id : 0;
    } else {
        session = ox_map_get(&cache->sessions, id_key(&ctx->session_id));
        if (session != NULL && session->epoch != ctx->epoch)
            session = NULL;
    }
    for (int32_t i = 0; session != NULL && i < ctx->part_count; i++)
        if (rows[i] != NULL)
            note_told(session, req, &ctx->parts[i], rows[i]);
    ox_unlock(&cache->lock);
}
