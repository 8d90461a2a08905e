/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions and calls of share groups. A session is a member's list of partitions
 * (as with Fetch, only what changes is sent), numbered call by call; all that
 * its member has in hand goes back when it ends.
 *
 *   call -> home loop: session -> acknowledgements -> loads, writes (pending)
 *        -> step: records? answer : park -> a waiter, a release, the timer -> step
 *        -> origin loop: done
 *
 * Invariants:
 * 1. A call is parked, pending or being run, never two of them; it is answered
 *    once.
 * 2. share->out counts calls of clients and calls to the share coordinators that
 *    have not come home; share_stop() waits for 0. */
#include <string.h>

#include "base/check.h"
#include "share/share_int.h"

enum { NS_PER_MS = 1000000, RETRIES = 16, REFUSED_MAX = 1000, UNREAD_MAX = 16 << 20,
    OUTS_FEW = 256 };

/* A partition of a session. */
struct share_read {
    struct list link;
    struct share_part *part;
    bool known; /* its topic was there when it was added */
    bool owed;  /* the next answer names it, whatever there is */
};

struct share_session {
    struct share_home *home;
    struct str key, group_id; /* heap */
    uint64_t id, conn_id;
    uint64_t owner; /* of records: the member, whichever session of it */
    int32_t epoch;
    struct list parts; /* struct share_read, as they take turns */
    struct map index;  /* of them, by the address of the partition */
    uint32_t owed;
    uint64_t left;      /* how many partitions have left it */
    struct list before; /* while it is opened again: what it read */
};

struct share_wait {
    struct partition_waiter waiter; /* first */
    struct share_call *call;
};

/* ---- sessions ---- */

static struct str
session_key(struct arena *arena, const struct share_call *call)
{
    return ox_str(ox_arena_printf(arena, "%.*s%c%.*s", OX_STR_ARG(call->group_id), 1,
        OX_STR_ARG(call->member_id)));
}

static uint64_t
hash_of(struct str s)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (uint8_t)s.ptr[i]) * 0x100000001B3u;
    return hash;
}

static struct str
heap_copy(struct str s)
{
    char *copy = ox_malloc(s.len + 1);
    memcpy(copy, s.ptr, s.len);
    return ox_str_n(copy, s.len);
}

/* How many sessions a group has. */
static uintptr_t
group_sessions(const struct share_home *home, struct str group_id)
{
    return (uintptr_t)ox_map_get(&home->groups, group_id);
}

static void
group_count(struct share_home *home, struct str group_id, uintptr_t sessions)
{
    if (sessions > 0)
        ox_map_put(&home->groups, group_id, (void *)sessions);
    else
        ox_map_remove(&home->groups, group_id);
}

/* The group whose session a connection opened last: when it is closed and the group has no
 * session then, its partitions are forgotten. */
static void
conn_opened(struct share_home *home, uint64_t conn_id, struct str group_id)
{
    int64_t key = (int64_t)conn_id;
    struct str *before = ox_map_get(&home->conns, ox_key_i64(&key));
    if (before == NULL) {
        before = ox_calloc(1, sizeof(*before));
        ox_map_put(&home->conns, ox_key_i64(&key), before);
    }
    ox_free((void *)before->ptr);
    *before = heap_copy(group_id);
}

static struct share_read *
pop_read(struct list *parts)
{
    struct list *node = ox_list_pop(parts);
    return node != NULL ? ox_container_of(node, struct share_read, link) : NULL;
}

static void
session_close(struct share_session *sess)
{
    struct share_home *home = sess->home;
    ox_map_remove(&home->sessions, sess->key);
    for (struct share_read *read; (read = pop_read(&sess->parts)) != NULL; ox_free(read)) {
        part_release(read->part, sess->owner);
        part_leave(read->part);
    }
    group_count(home, sess->group_id, group_sessions(home, sess->group_id) - 1);
    ox_map_fini(&sess->index);
    ox_free((void *)sess->key.ptr);
    ox_free((void *)sess->group_id.ptr);
    ox_free(sess);
    atomic_fetch_sub(&home->share->sessions, 1);
}

static ox_code
session_open(struct share_home *home, const struct share_call *call, struct str key,
    struct share_session **out)
{
    uint32_t most = (uint32_t)replica_view(home->share->replica)
                        ->settings->group_share_max_share_sessions;
    if (atomic_fetch_add(&home->share->sessions, 1) >= most) {
        atomic_fetch_sub(&home->share->sessions, 1);
        return OX_SHARE_SESSION_LIMIT_REACHED;
    }
    struct share_session *sess = ox_calloc(1, sizeof(*sess));
    sess->home = home;
    sess->key = heap_copy(key);
    sess->group_id = heap_copy(call->group_id);
    sess->id = ++home->last_id;
    sess->owner = hash_of(key) | 1;
    sess->conn_id = call->conn_id;
    ox_list_init(&sess->parts);
    ox_list_init(&sess->before);
    ox_map_init(&sess->index);
    group_count(home, sess->group_id, group_sessions(home, sess->group_id) + 1);
    ox_map_put(&home->sessions, sess->key, sess);
    *out = sess;
    return OX_OK;
}

static int32_t
next_epoch(int32_t epoch)
{
    return epoch == INT32_MAX ? 1 : epoch + 1;
}

/* What a member has in hand stays its own when it opens its session again. */
static void
session_reopen(struct share_session *sess, const struct share_call *call)
{
    for (struct list *node; (node = ox_list_pop(&sess->parts)) != NULL;)
        ox_list_push(&sess->before, node);
    sess->left += sess->index.count;
    ox_map_fini(&sess->index);
    ox_map_init(&sess->index);
    sess->owed = 0;
    sess->conn_id = call->conn_id;
}

static void
session_leave_before(struct share_session *sess)
{
    for (struct share_read *read; (read = pop_read(&sess->before)) != NULL; ox_free(read))
        part_leave(read->part);
}

/* The session of the call; epoch 0 begins a new list of partitions. */
static ox_code
session_find(struct share_home *home, struct share_call *call)
{
    struct str key = call->session_key = session_key(call->arena, call);
    struct share_session *sess = ox_map_get(&home->sessions, key);
    if (call->session_epoch == 0) {
        if (!call->fetch)
            return OX_INVALID_SHARE_SESSION_EPOCH;
        for (size_t i = 0; i < call->part_count; i++)
            if (call->parts[i].ack_count > 0)
                return OX_INVALID_REQUEST;
        ox_code code = OX_OK;
        if (sess != NULL)
            session_reopen(call->session = sess, call);
        else
            code = session_open(home, call, key, &call->session);
        if (code == OX_OK) {
            conn_opened(home, call->conn_id, call->group_id);
            call->session->epoch = 1;
            call->session_id = call->session->id;
        }
        return code;
    }
    if (sess == NULL)
        return OX_SHARE_SESSION_NOT_FOUND;
    if (call->session_epoch != -1) {
        if (call->session_epoch != sess->epoch)
            return OX_INVALID_SHARE_SESSION_EPOCH;
        sess->epoch = next_epoch(sess->epoch);
    }
    call->session = sess;
    call->session_id = sess->id;
    return OX_OK;
}

/* Whether the call's session still is, after a wait. */
static bool
session_lives(struct share_call *call)
{
    const struct share_session *sess = ox_map_get(&call->home->sessions, call->session_key);
    return sess != NULL && sess->id == call->session_id;
}

static struct str
address_of(struct share_part *const *sp)
{
    return ox_str_n((const char *)sp, sizeof(*sp));
}

static struct share_read *
session_part(const struct share_session *sess, struct share_part *sp)
{
    return ox_map_get(&sess->index, address_of(&sp));
}

static void
owe(struct share_session *sess, struct share_read *read, bool owed)
{
    sess->owed += (uint32_t)owed - (uint32_t)read->owed;
    read->owed = owed;
}

static void
session_add(struct share_session *sess, struct share_part *sp, bool known, bool owed)
{
    if (session_part(sess, sp) != NULL)
        return;
    struct share_read *read = ox_calloc(1, sizeof(*read));
    read->part = sp;
    read->known = known;
    ox_list_push(&sess->parts, &read->link);
    ox_map_put(&sess->index, address_of(&sp), read);
    owe(sess, read, owed);
    sp->sessions++;
}

static void
session_drop(struct share_session *sess, const struct uuid *topic_id, int32_t index)
{
    struct share_part *sp = part_find(sess->home, sess->group_id, topic_id, index);
    struct share_read *read = sp != NULL ? session_part(sess, sp) : NULL;
    if (read == NULL)
        return;
    owe(sess, read, false);
    ox_list_remove(&read->link);
    ox_map_remove(&sess->index, address_of(&sp));
    ox_free(read);
    sess->left++;
    part_leave(sp);
}

/* ---- answers ---- */

struct out_key {
    struct uuid topic_id;
    int32_t partition;
};
_Static_assert(sizeof(struct out_key) == 20, "without a gap");

static struct str
out_key(struct out_key *key, const struct uuid *topic_id, int32_t index)
{
    *key = (struct out_key){*topic_id, index};
    return ox_str_n((const char *)key, sizeof(*key));
}

static struct share_call_part *
out_find(const struct share_call *call, const struct uuid *topic_id, int32_t index)
{
    struct out_key key;
    if (call->out_count >= OUTS_FEW)
        return ox_map_get(&call->out_index, out_key(&key, topic_id, index));
    for (size_t i = 0; i < call->out_count; i++)
        if (call->outs[i].partition == index && ox_uuid_eq(&call->outs[i].topic_id, topic_id))
            return &call->outs[i];
    return NULL;
}

/* What the call says of a partition. Few are looked through, many have an index. */
static struct share_call_part *
out_of(struct share_call *call, const struct uuid *topic_id, int32_t index)
{
    struct out_key key;
    struct share_call_part *out = out_find(call, topic_id, index);
    if (out != NULL)
        return out;
    size_t at = call->out_count++;
    call->outs[at] = (struct share_call_part){.topic_id = *topic_id, .partition = index};
    if (call->out_count < OUTS_FEW)
        return &call->outs[at];
    for (size_t i = call->out_count == OUTS_FEW ? 0 : at; i <= at; i++)
        ox_map_put(&call->out_index, out_key(&key, &call->outs[i].topic_id,
            call->outs[i].partition), &call->outs[i]);
    return &call->outs[at];
}

static void
unpark(struct share_call *call)
{
    loop_timer_stop(&call->timer);
    for (size_t i = 0; i < call->wait_count; i++)
        partition_unwait(&call->waits[i].waiter);
    call->wait_count = 0;
    if (call->parked)
        ox_list_remove(&call->link);
    call->parked = false;
}

static void
deliver(struct loop_msg *msg)
{
    struct share_call *call = ox_container_of(msg, struct share_call, msg);
    call->done(call);
}

static void
answer(struct share_call *call, ox_code code)
{
    struct share *share = call->home->share;
    unpark(call);
    ox_map_fini(&call->out_index);
    call->code = code;
    call->msg = (struct loop_msg){.fn = deliver};
    loop_post(call->origin, &call->msg);
    atomic_fetch_sub(&share->out, 1);
}

/* ---- records ---- */

static void step(struct share_call *call);

static bool
is_open(struct share_part *sp)
{
    return sp->state == PART_READY && part_has_room(sp);
}

/* What a call reads is settled when it begins: others may add to the session while it waits.
 * What the member may not read, or is not there, is said now. */
static void
reads_begin(struct share_call *call)
{
    const struct share_session *sess = call->session;
    call->session_left = sess->left;
    call->read_count = 0;
    call->reads = ox_arena_array(call->arena, struct share_part *, sess->index.count);
    call->turn = ox_arena_array(call->arena, struct share_part *, sess->index.count);
    ox_list_each(node, &sess->parts) {
        const struct share_read *read = ox_container_of(node, struct share_read, link);
        struct share_part *sp = read->part;
        ox_code code = call->may(call, &sp->topic_id, sp->index);
        if (code == OX_UNKNOWN_TOPIC_ID && read->known)
            code = OX_UNKNOWN_TOPIC_OR_PARTITION; /* it was there */
        if (code == OX_OK)
            call->reads[call->read_count++] = sp;
        else
            out_of(call, &sp->topic_id, sp->index)->code = code;
    }
}

/* Without those that have left the session since. */
static void
reads_keep(struct share_call *call)
{
    const struct share_session *sess = call->session;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < call->read_count && call->session_left != sess->left; i++)
        if (session_part(sess, call->reads[i]) != NULL)
            call->reads[kept++] = call->reads[i];
    if (call->session_left != sess->left)
        call->read_count = kept;
    call->session_left = sess->left;
}

/* The call's partitions, as it goes through them: with each epoch another is first. As Kafka,
 * which need not read those whose next record it has met already to know that there is something,
 * and reads them first then. */
static void
take_turns(struct share_call *call)
{
    uint32_t many = call->read_count, count = 0;
    uint32_t first = many > 0 ? (uint32_t)call->session_epoch % many : 0;
    call->open = 0;
    for (int met = 1; met >= 0; met--)
        for (uint32_t i = 0; i < many; i++) {
            struct share_part *sp = call->reads[(first + i) % many];
            bool has = call->expired || (is_open(sp) && sp->met == runs_next(&sp->runs));
            if (has == (met > 0))
                call->turn[count++] = sp;
        }
    for (uint32_t i = 0; i < many; i++)
        if (is_open(call->turn[i])) {
            if (!call->expired)
                call->turn[i]->met = runs_next(&call->turn[i]->runs);
            call->open++;
        }
}

/* How much of max_bytes each partition has. */
static size_t
each_bytes(const struct share_call *call)
{
    size_t room = (size_t)OX_MAX(call->max_bytes, 0);
    return OX_MAX(call->open > 0 ? room / call->open : 0, (size_t)1);
}

/* Whether there are min_bytes. As with Kafka all counts that stands behind the next record to be
 * handed out, whether it may be handed out or not. */
static bool
enough(const struct share_call *call)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < call->read_count; i++)
        if (is_open(call->turn[i]) &&
            part_stock(call->turn[i], each_bytes(call), call->min_bytes > 1, &bytes))
            return true;
    return call->open > 0 && bytes >= (uint64_t)OX_MAX(call->min_bytes, 0);
}

/* What the partition has to say besides records. */
static void
collect_fault(struct share_call *call, const struct share_part *sp)
{
    if (sp->absent || sp->fault == OX_UNKNOWN_TOPIC_OR_PARTITION ||
        sp->fault == OX_STORAGE_ERROR || sp->fault == OX_OFFSET_NOT_AVAILABLE ||
        sp->fault == OX_UNKNOWN_SERVER_ERROR)
        out_of(call, &sp->topic_id, sp->index)->code = sp->fault;
}

/* Who gave records comes last the next time. */
static void
move_back(struct share_session *sess, struct share_part *sp)
{
    struct share_read *read = session_part(sess, sp);
    ox_list_remove(&read->link);
    ox_list_push(&sess->parts, &read->link);
}

/* Whether something was read. */
static bool
collect(struct share_call *call)
{
    struct share_session *sess = call->session;
    uint64_t left = (uint64_t)OX_MAX(call->max_records, 0);
    bool any = false, first = true;
    size_t room = (size_t)OX_MAX(call->max_bytes, 0), each = each_bytes(call);
    for (uint32_t i = 0; i < call->read_count && left > 0 && room > 0; i++) {
        struct share_part *sp = call->turn[i];
        struct share_call_part found = {.topic_id = sp->topic_id, .partition = sp->index};
        struct part_read read = {.max = left, .max_bytes = OX_MIN(room, each), .min_one = first,
            .owner = sess->owner};
        if (sp->state != PART_READY) {
            collect_fault(call, sp);
            continue;
        }
        uint64_t got = part_acquire(sp, call, &read, &found);
        first = first && read.bytes == 0;
        room -= OX_MIN(room, read.bytes);
        any |= read.bytes > 0 || read.cut || found.code != OX_OK;
        if (got == 0 && found.code == OX_OK)
            continue;
        struct share_call_part *out = out_of(call, &sp->topic_id, sp->index);
        out->code = found.code;
        out->range = found.range;
        out->acquired = found.acquired;
        left -= OX_MIN(left, got);
        if (got > 0 && call->session_epoch > 0)
            move_back(sess, sp);
    }
    return any;
}

static void
at_tick_end(struct loop_tick *tick)
{
    struct share_call *call = ox_container_of(tick, struct share_call, tick);
    step(call);
}

static void
wake(struct share_call *call)
{
    unpark(call);
    call->tick.fn = at_tick_end;
    loop_at_tick_end(call->home->loop, &call->tick);
}

static void
moved(struct partition_waiter *waiter)
{
    wake(((struct share_wait *)(void *)waiter)->call);
}

static void
time_is_up(struct loop_timer *timer)
{
    struct share_call *call = ox_container_of(timer, struct share_call, timer);
    call->expired = true;
    wake(call);
}

static void
park_until(struct share_call *call)
{
    struct loop *loop = call->home->loop;
    uint64_t now = loop_now_ns(loop);
    call->parked = true;
    ox_list_push(&call->home->parked, &call->link);
    loop_timer_start(loop, &call->timer, call->until_ns > now ? call->until_ns - now : 0,
        time_is_up);
}

/* False: something has moved already. */
static bool
park(struct share_call *call, bool watch)
{
    if (call->waits == NULL)
        call->waits = ox_arena_array(call->arena, struct share_wait, call->read_count);
    call->wait_count = 0;
    for (uint32_t i = 0; watch && i < call->read_count; i++) {
        struct share_part *sp = call->reads[i];
        if (!is_open(sp))
            continue; /* a release wakes the group */
        struct share_wait *wait = &call->waits[call->wait_count++];
        wait->call = call;
        wait->waiter = (struct partition_waiter){.fn = moved, .loop = call->home->loop,
            .offset = sp->seen, .isolation = sp->isolation};
        if (!partition_wait(sp->part, &wait->waiter)) {
            unpark(call);
            return false;
        }
    }
    park_until(call);
    return true;
}

/* Who opens a session, or adds to it, is told of the partitions once, even if there is nothing;
 * and of each that had failed, once it has not. */
static void
list_owed(struct share_call *call)
{
    struct share_session *sess = call->session;
    bool opens = call->session_epoch == 0;
    for (uint32_t i = 0; i < call->read_count && (opens || sess->owed > 0); i++) {
        struct share_part *sp = call->reads[i];
        struct share_read *read = session_part(sess, sp);
        if (!opens && (!read->owed || sp->state != PART_READY))
            continue;
        out_of(call, &sp->topic_id, sp->index);
        owe(sess, read, false);
    }
    for (size_t i = 0; i < call->out_count && !opens; i++) {
        const struct share_call_part *out = &call->outs[i];
        struct share_part *sp = out->code == OX_OK ? NULL
                                : part_find(call->home, call->group_id, &out->topic_id,
                                      out->partition);
        struct share_read *read = sp != NULL ? session_part(sess, sp) : NULL;
        if (read != NULL)
            owe(sess, read, true);
    }
}

/* None of its partitions can be read here: the client is told at once. */
static bool
all_absent(const struct share_call *call)
{
    for (uint32_t i = 0; i < call->read_count; i++)
        if (call->reads[i]->state == PART_READY || !call->reads[i]->absent)
            return false;
    return true;
}

/* Reads, unless there is too little and time to wait for more; false: it is parked. */
static bool
read_all(struct share_call *call)
{
    reads_keep(call);
    if (call->read_count == 0 || call->max_records <= 0 || call->max_bytes <= 0)
        return true;
    call->expired |= all_absent(call);
    for (int tries = 0;; tries++) {
        take_turns(call);
        bool now = call->expired || enough(call);
        if (!now && call->until_ns <= loop_now_ns(call->home->loop)) {
            call->expired = now = true;
            take_turns(call);
        }
        if (now && (collect(call) || call->expired || call->min_bytes <= 0))
            return true;
        if (park(call, tries < RETRIES))
            return false;
    }
}

/* What a call that is over has to say besides what it found. */
static ox_code
outcome(const struct share_call *call, bool lives)
{
    if (call->home->stopping)
        return OX_SHUTTING_DOWN;
    if (call->refusal != OX_OK)
        return call->refusal;
    return call->fetch && call->session_epoch != -1 && !call->renewing && (!lives || call->gone)
               ? OX_SHARE_SESSION_NOT_FOUND
               : OX_OK;
}

static void
step(struct share_call *call)
{
    bool lives = call->refusal == OX_OK && session_lives(call);
    ox_code code = outcome(call, lives);
    if (code != OX_OK) {
        answer(call, code);
        return;
    }
    if (!call->fetch || call->session_epoch == -1 || call->renewing) {
        if (call->session_epoch == -1 && lives)
            session_close(call->session);
    } else if (read_all(call)) {
        list_owed(call);
    } else {
        return;
    }
    answer(call, OX_OK);
}

void
share_waited(struct share_call *call)
{
    ox_assert(call->pending > 0);
    if (--call->pending == 0) {
        call->tick.fn = at_tick_end;
        loop_at_tick_end(call->home->loop, &call->tick);
    }
}

void
share_wake_group(struct share_home *home, struct str group_id)
{
    for (struct list *node = home->parked.next, *next; node != &home->parked; node = next) {
        struct share_call *call = ox_container_of(node, struct share_call, link);
        next = node->next;
        if (call->refusal == OX_OK && ox_str_eq(call->group_id, group_id))
            wake(call);
    }
}

/* ---- a call ---- */

static void
count_acks(struct share *share, const struct share_ack *ack)
{
    uint64_t each = (uint64_t)(ack->last - ack->first + 1) / ack->type_count;
    for (size_t i = 0; i < ack->type_count; i++)
        atomic_fetch_add(&share->acknowledged[ack->types[i]], each);
}

void
share_acknowledged(const struct share *share, uint64_t counts[SHARE_ACK_TYPES])
{
    for (int i = 0; i < SHARE_ACK_TYPES; i++)
        counts[i] = atomic_load(&share->acknowledged[i]);
}

/* Whether that can be said at all. */
static bool
makes_sense(const struct share_call *call, const struct share_call_part *part)
{
    int8_t most = call->renew ? SHARE_RENEW : SHARE_REJECT;
    int64_t before = -1;
    for (size_t i = 0; i < part->ack_count; i++) {
        const struct share_ack *ack = &part->acks[i];
        if (ack->first > ack->last || ack->first < before || ack->type_count == 0 ||
            (ack->type_count > 1 && ack->type_count - 1 != (uint64_t)(ack->last - ack->first)))
            return false;
        for (size_t j = 0; j < ack->type_count; j++)
            if (ack->types[j] < SHARE_GAP || ack->types[j] > most ||
                (ack->types[j] == SHARE_RENEW && !call->renewing))
                return false;
        before = ack->last;
    }
    return true;
}

/* Whether the member may say it of the partition, which is NULL when it is not known. */
static ox_code
check_acks(const struct share_call *call, struct share_part *sp, const struct share_call_part *part)
{
    if (part->refused == OX_UNKNOWN_TOPIC_ID)
        return part->refused;
    if (!makes_sense(call, part))
        return OX_INVALID_REQUEST;
    if (part->refused != OX_OK)
        return part->refused;
    if (sp == NULL || (sp->state == PART_NEW && sp->fault != OX_OK))
        return OX_UNKNOWN_TOPIC_OR_PARTITION;
    if (sp->state != PART_READY)
        return OX_INVALID_RECORD_STATE;
    part_settings(sp);
    ox_code code = OX_OK;
    for (size_t i = 0; i < part->ack_count && code == OX_OK; i++) {
        code = runs_check(&sp->runs, call->session->owner, &part->acks[i], sp->renew);
        if (code == OX_OK && i > 0 && part->acks[i].first == part->acks[i - 1].last)
            code = OX_INVALID_RECORD_STATE; /* it has just been spoken of */
    }
    return code;
}

/* All of a partition's acknowledgements count, or none. */
static void
acknowledge(struct share_call *call, struct share_call_part *part)
{
    struct share_call_part *out = out_of(call, &part->topic_id, part->partition);
    struct share_part *sp =
        part_find(call->home, call->group_id, &part->topic_id, part->partition);
    out->ack_code = check_acks(call, sp, part);
    if (out->ack_code != OX_OK)
        return;
    uint64_t deadline =
        loop_now_ns(call->home->loop) / NS_PER_MS + (uint64_t)sp->lock_ms;
    for (size_t i = 0; i < part->ack_count; i++) {
        runs_acknowledge(&sp->runs, &part->acks[i], sp->limit, deadline);
        count_acks(sp->home->share, &part->acks[i]);
    }
    part_wait(sp, call, &out->ack_code);
    part_write(sp);
    share_wake_group(call->home, call->group_id);
}

/* What cannot be read is remembered too, and told of with each fetch, but not without end: a
 * client may name what it likes. */
static void
take_part(struct share_call *call, struct share_call_part *part)
{
    if (part->ack_count > 0)
        acknowledge(call, part);
    if (!call->fetch || call->session_epoch == -1)
        return;
    bool many = call->session->index.count >= REFUSED_MAX || call->home->unread >= UNREAD_MAX;
    if (part->refused != OX_OK && many) {
        out_of(call, &part->topic_id, part->partition)->code = part->refused;
        return;
    }
    session_add(call->session,
        part_get(call->home, call->group_id, &part->topic_id, part->partition),
        part->refused != OX_UNKNOWN_TOPIC_ID, call->session_epoch > 0);
}

/* Partitions that are new, or whose load or write failed, are read. */
static void
wait_for_loads(struct share_call *call)
{
    for (uint32_t i = 0; i < call->read_count; i++) {
        part_load(call->reads[i]);
        if (call->reads[i]->state == PART_LOADING)
            part_wait(call->reads[i], call, NULL);
    }
}

static void
begin(struct loop_msg *msg)
{
    struct share_call *call = ox_container_of(msg, struct share_call, msg);
    struct share_home *home = call->home;
    ox_code code = home->stopping ? OX_SHUTTING_DOWN : session_find(home, call);
    parts_sweep(home);
    call->until_ns = loop_now_ns(home->loop) + (uint64_t)OX_MAX(call->max_wait_ms, 0) * NS_PER_MS;
    if (code == OX_SHARE_SESSION_LIMIT_REACHED) { /* it comes again as soon as it hears of it */
        call->refusal = code;
        park_until(call);
        return;
    }
    if (code != OX_OK) {
        answer(call, code);
        return;
    }
    call->outs = ox_arena_array(call->arena, struct share_call_part,
        call->part_count + call->session->index.count + 1);
    call->lock_ms = part_lock_ms(replica_view(home->share->replica), call->group_id);
    call->pending = 1;
    for (size_t i = 0; i < call->part_count; i++)
        take_part(call, &call->parts[i]);
    session_leave_before(call->session);
    for (size_t i = 0; i < call->forgotten_count; i++)
        session_drop(call->session, &call->forgotten[i].topic_id, call->forgotten[i].partition);
    if (call->fetch && call->session_epoch != -1) {
        reads_begin(call);
        wait_for_loads(call);
    }
    if (--call->pending == 0)
        step(call);
}

static struct share_home *
home_of(struct share *share, struct str group_id)
{
    return &share->homes[hash_of(group_id) % (uint64_t)loop_count(share->loops)];
}

void
share_call(struct share *share, struct share_call *call)
{
    call->home = home_of(share, call->group_id);
    call->origin = loop_self();
    call->outs = NULL;
    call->out_count = 0;
    ox_map_init(&call->out_index);
    call->lock_ms = 0;
    call->waits = NULL;
    call->wait_count = 0;
    call->read_count = 0;
    call->refusal = OX_OK;
    call->parked = call->expired = call->gone = false;
    call->msg = (struct loop_msg){.fn = begin};
    atomic_fetch_add(&share->out, 1);
    loop_post(call->home->loop, &call->msg);
}

/* ---- connections ---- */

struct gone {
    struct loop_msg msg;
    struct share_home *home;
    uint64_t conn_id;
};

static void
conn_closed(struct share_home *home, uint64_t conn_id)
{
    int64_t key = (int64_t)conn_id;
    struct str *group_id = ox_map_remove(&home->conns, ox_key_i64(&key));
    if (group_id == NULL)
        return;
    if (group_sessions(home, *group_id) == 0)
        parts_forget(home, *group_id);
    ox_free((void *)group_id->ptr);
    ox_free(group_id);
}

/* Nobody hears what these calls find: no record is handed out to them any more. */
static void
leave_calls(struct share_home *home, uint64_t conn_id)
{
    for (struct list *node = home->parked.next, *next; node != &home->parked; node = next) {
        struct share_call *call = ox_container_of(node, struct share_call, link);
        next = node->next;
        if (call->conn_id != conn_id)
            continue;
        call->gone = true;
        wake(call);
    }
}

static void
drop_sessions(struct loop_msg *msg)
{
    struct gone *gone = ox_container_of(msg, struct gone, msg);
    struct share *share = gone->home->share;
    struct map_entry *entry;
    leave_calls(gone->home, gone->conn_id);
    for (uint32_t at = 0; (entry = ox_map_next(&gone->home->sessions, &at)) != NULL;) {
        struct share_session *sess = entry->value;
        if (sess->conn_id == gone->conn_id)
            session_close(sess);
    }
    conn_closed(gone->home, gone->conn_id);
    ox_free(gone);
    atomic_fetch_sub(&share->out, 1);
}

void
share_disconnected(struct share *share, uint64_t conn_id)
{
    for (int i = 0; i < loop_count(share->loops); i++) {
        struct gone *gone = ox_calloc(1, sizeof(*gone));
        *gone = (struct gone){{.fn = drop_sessions}, &share->homes[i], conn_id};
        atomic_fetch_add(&share->out, 1);
        loop_post(share->homes[i].loop, &gone->msg);
    }
}

/* ---- life ---- */

struct share *
share_new(struct loop_group *loops, struct replica *replica, struct coord *states,
    share_bury_fn bury, void *arg)
{
    struct share *share = ox_calloc(1, sizeof(*share));
    share->loops = loops;
    share->replica = replica;
    share->states = states;
    share->bury = bury;
    share->bury_arg = arg;
    share->homes = ox_calloc((size_t)loop_count(loops), sizeof(*share->homes));
    for (int i = 0; i < loop_count(loops); i++) {
        struct share_home *home = &share->homes[i];
        home->share = share;
        home->loop = loop_at(loops, i);
        ox_map_init(&home->sessions);
        ox_map_init(&home->parts);
        ox_map_init(&home->groups);
        ox_map_init(&home->conns);
        ox_list_init(&home->parked);
    }
    return share;
}

static void
stop_home(struct loop *loop, void *arg)
{
    struct share *share = arg;
    if (loop_index(loop) >= loop_count(share->loops))
        return;
    struct share_home *home = &share->homes[loop_index(loop)];
    struct map_entry *entry;
    home->stopping = true;
    for (struct list *node; (node = ox_list_pop(&home->parked)) != NULL;) {
        struct share_call *call = ox_container_of(node, struct share_call, link);
        call->parked = false;
        answer(call, OX_SHUTTING_DOWN);
    }
    for (uint32_t at = 0; (entry = ox_map_next(&home->sessions, &at)) != NULL;)
        session_close(entry->value);
}

static void
a_turn(struct loop *loop, void *arg)
{
}

void
share_stop(struct share *share)
{
    loop_each_sync(share->loops, stop_home, share);
    while (atomic_load(&share->out) > 0)
        loop_each_sync(share->loops, a_turn, NULL);
    loop_each_sync(share->loops, a_turn, NULL); /* answers that were posted last */
}

void
share_free(struct share *share)
{
    if (share == NULL)
        return;
    for (int i = 0; i < loop_count(share->loops); i++) {
        struct share_home *home = &share->homes[i];
        struct map_entry *entry;
        for (uint32_t at = 0; (entry = ox_map_next(&home->parts, &at)) != NULL;)
            part_free(entry->value);
        for (uint32_t at = 0; (entry = ox_map_next(&home->conns, &at)) != NULL;) {
            struct str *group_id = entry->value;
            ox_free((void *)group_id->ptr);
            ox_free(group_id);
        }
        ox_map_fini(&home->sessions);
        ox_map_fini(&home->parts);
        ox_map_fini(&home->groups);
        ox_map_fini(&home->conns);
    }
    ox_free(share->homes);
    ox_free(share);
}
