/* SPDX-License-Identifier: Apache-2.0
 *
 * Appends of one turn of a loop, written together. A client that keeps
 * many small batches on their way has several of them in one read; each alone
 * would take the lock and make a system call, which cost more than its bytes.
 *
 *   partition_append -> waiting -> write: by partition, one lock, one gathered
 *                                  write -> finished -> end of turn: done()
 *                                        \-> acks=all: the flusher answers
 *
 * Nobody waits longer for it: answers leave at the end of the turn anyway.
 *
 * Invariants
 *  1. Appends of one connection to one partition are written in their order: while
 *     any waits, whatever comes behind waits too.
 *  2. done() of a queued append runs from the tick, never from within another's
 *     partition_append().
 *  3. A queued append holds its partition. */
#include <string.h>

#include "base/check.h"
#include "replica/replica_int.h"

enum {
    /* A batch of this size is worth a write of its own: the page cache takes memory
     * in pieces as large as a write allows, and that is a third of its cost. */
    ALONE_LEN = 128 * 1024,
    /* More would not be in the cache any more when it is written. */
    WAITING_LEN = 256 * 1024,
};

static void at_tick_end(struct loop_tick *tick);

void
append_queue_init(struct append_queue *queue)
{
    memset(queue, 0, sizeof(*queue));
    ox_list_init(&queue->waiting);
    ox_list_init(&queue->finished);
    queue->tick.fn = at_tick_end;
}

static struct partition_append *
call_of(struct list *node)
{
    return ox_container_of(node, struct partition_append, link);
}

/* The first that waits, and all others of its partition. */
static void
write_first(struct append_queue *queue)
{
    struct partition_append *calls[APPENDS_TOGETHER];
    struct partition *part = call_of(queue->waiting.next)->part;
    uint32_t count = 0;
    ox_list_each(node, &queue->waiting)
    {
        struct partition_append *call = call_of(node);
        if (call->part != part)
            continue;
        if (count == APPENDS_TOGETHER)
            break;
        ox_list_remove(node);
        calls[count++] = call;
    }
    partition_append_all(part, calls, count);
    for (uint32_t i = 0; i < count; i++)
        if (calls[i]->node != NULL)
            partition_put(part);
        else
            ox_list_push(&queue->finished, &calls[i]->link);
}

static void
write_waiting(struct append_queue *queue)
{
    while (!ox_list_empty(&queue->waiting))
        write_first(queue);
    queue->waiting_len = 0;
}

static void
at_tick_end(struct loop_tick *tick)
{
    struct append_queue *queue = ox_container_of(tick, struct append_queue, tick);
    write_waiting(queue);
    for (struct list *node; (node = ox_list_pop(&queue->finished)) != NULL;) {
        struct partition_append *call = call_of(node);
        partition_put(call->part);
        call->done(call);
    }
}

bool
append_queue_take(struct append_queue *queue, struct partition_append *call)
{
    size_t len = call->append.bytes.len;
    if (len >= ALONE_LEN && ox_list_empty(&queue->waiting))
        return false;
    partition_hold(call->part);
    ox_list_push(&queue->waiting, &call->link);
    queue->waiting_len += len;
    if (queue->waiting_len >= WAITING_LEN)
        write_waiting(queue);
    loop_at_tick_end(call->loop, &queue->tick);
    return true;
}

void
append_queue_forget(struct partition_append *call)
{
    if (ox_list_empty(&call->link))
        return;
    ox_list_remove(&call->link);
    log_append_drop(&call->append);
    partition_put(call->part);
}
