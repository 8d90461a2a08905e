/* SPDX-License-Identifier: Apache-2.0
 *
 * Proposals on their way: from any thread into the queue, and back to their
 * callers when the meta thread knows the outcome.
 *
 *     queued -> submitted (raft.c) -> answered -> told (done was called)
 *
 * Answers are told after the turn's view was published, so that whoever is told
 * finds its change in the view. */
#include <raft.h>

#include "meta/meta_int.h"

enum { QUEUE_MAX = 100000 };

/* Ids and times that the caller left to us. */
static void
complete(struct meta *meta, struct meta_command *cmd)
{
    if (cmd->time_ms == 0)
        cmd->time_ms = env_wall_ms(meta->env);
    if (cmd->kind == META_TOPIC_CREATE)
        while (ox_uuid_is_zero(&cmd->topic_create.id) ||
            cmd->topic_create.id.bytes[0] >> 2 == 62) { /* would print as '-' first */
            env_random(meta->env, cmd->topic_create.id.bytes, sizeof(cmd->topic_create.id.bytes));
            cmd->topic_create.id.bytes[6] = (cmd->topic_create.id.bytes[6] & 0x0f) | 0x40;
            cmd->topic_create.id.bytes[8] = (cmd->topic_create.id.bytes[8] & 0x3f) | 0x80;
        }
}

static ox_code
request_new(const struct meta_command *cmd, struct request **out, struct ox_err *err)
{
    struct text text;
    ox_text_init(&text, NULL);
    ox_code code = meta_command_encode(cmd, &text, err);
    void *bytes = code == OX_OK ? raft_malloc(text.len) : NULL;
    if (code == OX_OK && bytes == NULL)
        code = ox_fail(err, OX_OUT_OF_MEMORY, "no memory for a metadata command of %zu bytes",
            text.len);
    if (code == OX_OK) {
        struct request *request = ox_calloc(1, sizeof(*request));
        request->len = text.len;
        request->bytes = bytes;
        memcpy(request->bytes, text.ptr, text.len);
        *out = request;
    }
    ox_text_fini(&text);
    return code;
}

static ox_code
enqueue(struct meta *meta, struct request *request, struct ox_err *err)
{
    ox_code code = OX_OK;
    ox_lock(&meta->queue_lock);
    if (meta->closing) {
        code = ox_fail_plain(err, OX_SHUTTING_DOWN);
    } else if (meta->queued >= QUEUE_MAX) {
        code = ox_fail(err, OX_LIMIT_EXCEEDED, "%u metadata commands are waiting already",
            meta->queued);
    } else {
        meta->queued++;
        ox_list_push(&meta->queue, &request->link);
        pthread_cond_signal(&meta->queue_cond);
    }
    ox_unlock(&meta->queue_lock);
    return code;
}

ox_code
meta_propose(struct meta *meta, struct meta_call *call, const struct meta_command *cmd,
    struct ox_err *err)
{
    struct meta_command copy = *cmd;
    struct request *request;
    if (atomic_load(&meta->failed) != OX_OK)
        return meta_health(meta, err);
    complete(meta, &copy);
    ox_code code = request_new(&copy, &request, err);
    if (code != OX_OK)
        return code;
    request->call = call;
    call->meta = meta;
    call->code = OX_OK;
    code = enqueue(meta, request, err);
    if (code != OX_OK) {
        raft_free(request->bytes);
        ox_free(request);
    }
    return code;
}

void
meta_propose_done(struct meta *meta, struct request *request, ox_code code,
    const struct ox_err *err, const struct meta_result *result)
{
    struct meta_call *call = request->call;
    atomic_fetch_add(&meta->proposals, 1);
    if (code != OX_OK)
        atomic_fetch_add(&meta->refused, 1);
    if (call != NULL) {
        call->code = code;
        call->result = *result;
        if (code != OX_OK)
            call->err = *err;
        else
            memset(&call->err, 0, sizeof(call->err));
    }
    ox_list_push(&meta->answered, &request->link);
}

bool
meta_propose_tell(struct meta *meta)
{
    struct list *node;
    bool any = false;
    while ((node = ox_list_pop(&meta->answered)) != NULL) {
        struct request *request = ox_container_of(node, struct request, link);
        struct meta_call *call = request->call;
        ox_free(request);
        any = true;
        if (call != NULL)
            call->done(call);
    }
    return any;
}

enum meta_command_kind
meta_request_kind(const struct request *request)
{
    return (enum meta_command_kind)wire_load16((const char *)request->bytes + 2);
}

void
meta_propose_refuse(struct meta *meta, struct request *request, ox_code code)
{
    struct meta_result none = {0};
    struct ox_err err;
    ox_fail_plain(&err, code);
    raft_free(request->bytes);
    request->bytes = NULL;
    meta_propose_done(meta, request, code, &err, &none);
}

void
meta_propose_refuse_all(struct meta *meta, ox_code code)
{
    struct list *node;
    ox_lock(&meta->queue_lock);
    while ((node = ox_list_pop(&meta->queue)) != NULL)
        meta_propose_refuse(meta, ox_container_of(node, struct request, link), code);
    meta->queued = 0;
    ox_unlock(&meta->queue_lock);
}

/* ---- Waiting for it ------------------------------------------------------ */

struct waiter {
    struct meta_call call;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void
waiter_done(struct meta_call *call)
{
    struct waiter *waiter = ox_container_of(call, struct waiter, call);
    pthread_mutex_lock(&waiter->lock);
    waiter->done = true;
    pthread_cond_signal(&waiter->cond);
    pthread_mutex_unlock(&waiter->lock);
}

ox_code
meta_propose_wait(struct meta *meta, const struct meta_command *cmd, struct meta_result *result,
    struct ox_err *err)
{
    struct waiter waiter = {.call = {.done = waiter_done}};
    pthread_mutex_init(&waiter.lock, NULL);
    pthread_cond_init(&waiter.cond, NULL);
    ox_code code = meta_propose(meta, &waiter.call, cmd, err);
    if (code == OX_OK) {
        while (meta->manual && !waiter.done)
            meta_turn(meta);
        pthread_mutex_lock(&waiter.lock);
        while (!waiter.done)
            pthread_cond_wait(&waiter.cond, &waiter.lock);
        pthread_mutex_unlock(&waiter.lock);
        code = waiter.call.code;
        if (code != OX_OK && err != NULL)
            *err = waiter.call.err;
        if (result != NULL)
            *result = waiter.call.result;
    }
    pthread_cond_destroy(&waiter.cond);
    pthread_mutex_destroy(&waiter.lock);
    return code;
}
