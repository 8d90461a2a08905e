/* SPDX-License-Identifier: Apache-2.0
 *
 * The partitions of a topic scan: which there are, where each begins and ends,
 * and those that are added while it follows. */
#include "exec/scan_parts.h"

#include <inttypes.h>

/* ---- which there are ---- */

/* A log that is damaged is readable up to the damage; one that is gone is not. */
bool
scan_part_readable(struct scan_part *part)
{
    struct partition_state state;
    partition_state(part->part, &state);
    if (state.fault == OX_OK ||
        (state.fault == OX_DATA_CORRUPTED && partition_log(part->part) != NULL))
        return true;
    const struct plan_topic *topic = &scan_plan(part->scan)->topics[part->topic];
    ox_fail(run_err(part->scan->op.run), state.fault,
        "partition %d of topic \"%.*s\" cannot be read: %s", part->index, OX_STR_ARG(topic->name),
        ox_code_facts(state.fault)->message);
    return false;
}

static bool
add_part(struct scan *scan, uint32_t topic, int32_t index, struct ox_err *err)
{
    const struct plan_topic *of = &scan_plan(scan)->topics[topic];
    struct partition *part;
    if (engine_partition(scan->op.run->config.session, of->name, &of->id, index, ENGINE_READ, &part,
            err) != OX_OK)
        return false;
    /* Not in the arena: an idle subscription is to be small. */
    if (scan->part_count == scan->part_cap) {
        scan->part_cap = OX_MAX(scan->part_cap * 2, 4u);
        scan->parts = ox_realloc(scan->parts, scan->part_cap * sizeof(*scan->parts));
    }
    struct scan_part *at = ox_calloc(1, sizeof(*at));
    *at = (struct scan_part){.scan = scan,
        .part = partition_hold(part),
        .number = scan->part_count,
        .topic = topic,
        .index = index,
        .until = INT64_MAX,
        .epoch = -1};
    scan->parts[scan->part_count++] = at;
    at->cut.stop_us = INT64_MAX;
    scan_aborted_init(&at->aborted);
    if (!scan_part_readable(at))
        return false;
    at->plog = partition_log(part);
    return true;
}

bool
scan_parts_find(struct scan *scan)
{
    const struct plan_scan_topic *plan = scan_plan(scan);
    struct op *op = &scan->op;
    for (uint32_t t = 0; t < plan->topic_count; t++) {
        uint32_t count = scan_partition_count(op->run, &plan->topics[t]);
        op->counters->partitions_total += count;
        for (uint32_t p = 0; p < count; p++)
            if (scan_bounds_partition(&scan->bounds, (int32_t)p) &&
                !add_part(scan, t, (int32_t)p, run_err(op->run)))
                return false;
    }
    op->counters->partitions += scan->part_count;
    return true;
}

void
scan_part_range(struct scan_part *part, struct exec_range *range)
{
    struct scan *scan = part->scan;
    if (!scan_plan(scan)->follow) {
        snapshot_range(
            scan->op.run, part->part, scan_uncommitted(scan->op.run, scan_plan(scan)), range);
        return;
    }
    struct partition_state state;
    partition_state(part->part, &state);
    range->start = state.log_start;
    range->end = partition_visible_end(&state, scan_isolation(scan));
}

/* First offset with a timestamp at or after us; the end if there is none. */
static bool
offset_at_time(struct scan_part *part, int64_t us, const struct exec_range *range, int64_t *out)
{
    static const int64_t epoch_ms = ROW_EPOCH_UNIX_S * 1000;
    int64_t ms = us <= -epoch_ms * 1000 ? 0 : us / 1000 + (us % 1000 > 0) + epoch_ms;
    struct log_timed_offset found;
    if (plog_offset_by_time(part->plog, ms, range->end, &found, run_err(part->scan->op.run)) !=
        OX_OK)
        return false;
    *out = found.offset < 0 ? range->end : found.offset;
    return true;
}

static bool
bad_value(struct scan *scan, const char *what)
{
    ox_fail(run_err(scan->op.run), OX_INVALID_PARAMETER_VALUE, "%s", what);
    return false;
}

/* The plan's start or until value; NULL is refused. */
static bool
value_of(struct scan *scan, const struct expr *expr, const char *clause, struct datum *out)
{
    if (expr == NULL) {
        *out = DATUM_NULL;
        return true;
    }
    if (!op_eval_one(&scan->op, expr, out))
        return false;
    if (out->null)
        return bad_value(scan, clause);
    *out = datum_copy(expr->type, *out, &scan->op.arena);
    return true;
}

/* Longer than any time that there is, and can be added to one. */
#define INTERVAL_US_MAX (INT64_MAX / 4)

static int64_t
interval_us(const struct datum *value)
{
    struct interval interval = datum_interval(value);
    __int128 us = interval_length(&interval);
    return (int64_t)OX_MIN(OX_MAX(us, -INTERVAL_US_MAX), INTERVAL_US_MAX);
}

static int64_t
position_in(
    const struct exec_position *positions, uint32_t count, int32_t partition, int64_t absent)
{
    for (uint32_t i = 0; i < count; i++)
        if (positions[i].partition == partition)
            return positions[i].offset;
    return absent;
}

/* A position asked for that is not in the log any more, or not yet. */
bool
scan_part_check_gap(
    struct scan_part *part, int64_t asked, const struct exec_range *range, int64_t *start)
{
    struct scan *scan = part->scan;
    const struct plan_scan_topic *plan = scan_plan(scan);
    *start = asked;
    if (asked >= range->start && asked <= range->end)
        return true;
    /* Ahead of what is visible: records that are there but not yet visible. */
    if (asked > range->end && asked <= plog_log_end(part->plog))
        return true;
    switch (plan->on_gap) {
    case SCAN_GAP_EARLIEST:
        *start = range->start;
        return true;
    case SCAN_GAP_LATEST:
        *start = range->end;
        return true;
    case SCAN_GAP_ERROR:
        break;
    }
    ox_fail(run_err(scan->op.run), OX_OFFSET_OUT_OF_RANGE,
        "offset %" PRId64 " of partition %d of topic \"%.*s\" is out of range", asked, part->index,
        OX_STR_ARG(plan->topics[part->topic].name));
    ox_detail(run_err(scan->op.run), "The partition holds offsets %" PRId64 " to %" PRId64 ".",
        range->start, range->end);
    ox_hint(run_err(scan->op.run), "Set on_gap to earliest or latest to go on from there.");
    return false;
}

/* The value of FROM or UNTIL (which: for the error), and what it says of partitions when it
 * is a list of offsets. */
struct place {
    struct datum value;
    struct exec_position *positions;
    uint32_t count;
};

static bool
read_place(struct scan *scan, const struct expr *expr, const char *clause, bool offsets,
    struct place *out)
{
    *out = (struct place){.positions = NULL};
    return value_of(scan, expr, clause, &out->value) &&
           (!offsets || scan_parse_offsets(out->value.s, &scan->op.arena, &out->positions,
                            &out->count, run_err(scan->op.run)));
}

/* Where the partition begins; FROM LAST n is scan_last.c's. */
static bool
start_part(struct scan_part *part, const struct place *from)
{
    struct scan *scan = part->scan;
    struct exec_range range;
    int64_t now = row_us_from_unix_ms(env_wall_ms(scan->op.run->config.env));
    scan_part_range(part, &range);
    switch (scan_plan(scan)->start) {
    case SCAN_FROM_EARLIEST:
        part->position = range.start;
        return true;
    case SCAN_FROM_LATEST:
        part->position = range.end;
        return true;
    case SCAN_FROM_OFFSET:
        return scan_part_check_gap(part, from->value.i, &range, &part->position);
    case SCAN_FROM_OFFSETS:
    case SCAN_FROM_TOKEN:
        return scan_part_check_gap(part,
            position_in(from->positions, from->count, part->index, range.start), &range,
            &part->position);
    case SCAN_FROM_TIMESTAMP:
        return offset_at_time(part, from->value.i, &range, &part->position);
    case SCAN_FROM_LAST_TIME:
        return offset_at_time(part, now - interval_us(&from->value), &range, &part->position);
    case SCAN_FROM_LAST_ROWS:
        break;
    }
    return true;
}

static bool
start_at_last(struct scan *scan, int64_t rows)
{
    if (rows < 0)
        return bad_value(scan, "number of rows in FROM LAST must not be negative");
    if (rows > SCAN_LAST_MAX)
        return bad_value(scan, "number of rows in FROM LAST must not exceed 1000000");
    scan_last_open(scan, (size_t)rows);
    return true;
}

static bool
set_start(struct scan *scan)
{
    const struct plan_scan_topic *plan = scan_plan(scan);
    struct place from;
    if (!read_place(scan, plan->start_value, "the position in FROM must not be NULL",
            plan->start == SCAN_FROM_OFFSETS, &from))
        return false;
    if (plan->start == SCAN_FROM_TOKEN) {
        struct uuid id;
        if (exec_token_read(from.value.s, &scan->op.arena, &id, &from.positions, &from.count,
                run_err(scan->op.run)) != OX_OK)
            return false;
        if (!ox_uuid_eq(&id, &plan->topics[0].id))
            return bad_value(scan, "the token belongs to another topic");
    }
    if (plan->start == SCAN_FROM_LAST_ROWS)
        return start_at_last(scan, from.value.i);
    for (uint32_t i = 0; i < scan->part_count; i++)
        if (!start_part(scan->parts[i], &from))
            return false;
    return true;
}

static bool
set_until(struct scan *scan)
{
    const struct plan_scan_topic *plan = scan_plan(scan);
    struct place until;
    scan->stop_us = INT64_MAX;
    scan->idle_us = -1;
    if (!plan->follow)
        return true;
    if (!read_place(scan, plan->until_value, "the position in UNTIL must not be NULL",
            plan->until == SCAN_UNTIL_OFFSETS, &until))
        return false;
    if (plan->until == SCAN_UNTIL_IDLE) {
        scan->idle_us = interval_us(&until.value);
        if (scan->idle_us < 0)
            return bad_value(scan, "interval in UNTIL IDLE must not be negative");
        scan->last_row = run_now_ns(scan->op.run);
    }
    if (plan->until == SCAN_UNTIL_TIMESTAMP)
        scan->stop_us = until.value.i;
    for (uint32_t i = 0; i < scan->part_count; i++) {
        struct scan_part *part = scan->parts[i];
        struct exec_range range;
        scan_part_range(part, &range);
        part->cut.stop_us = scan->stop_us;
        switch (plan->until) {
        case SCAN_UNTIL_LATEST:
            part->until = range.end;
            break;
        case SCAN_UNTIL_OFFSET:
            part->until = until.value.i;
            break;
        case SCAN_UNTIL_OFFSETS:
            part->until = position_in(until.positions, until.count, part->index, 0);
            break;
        case SCAN_UNTIL_NEVER:
        case SCAN_UNTIL_TIMESTAMP:
        case SCAN_UNTIL_IDLE:
            break;
        }
    }
    return true;
}

/* Position, end and bounds of partitions from first_part on, once start and until are known. */
static bool
set_ranges(struct scan *scan, uint32_t first_part)
{
    const struct plan_scan_topic *plan = scan_plan(scan);
    for (uint32_t i = first_part; i < scan->part_count; i++) {
        struct scan_part *part = scan->parts[i];
        struct exec_range range;
        scan_part_range(part, &range);
        if (plan->follow) {
            part->until = OX_MIN(part->until, scan->bounds.offset_to);
            part->position = OX_MAX(part->position, scan->bounds.offset_from);
        } else {
            scan_bounds_range(&scan->bounds, &range.start, &range.end);
            part->position = OX_MAX(part->position, range.start);
        }
        /* Every record before the first one in time fails the bound. */
        if (scan->bounds.us_from != INT64_MIN) {
            int64_t first;
            if (!offset_at_time(part, scan->bounds.us_from, &range, &first))
                return false;
            part->position = OX_MAX(part->position, OX_MIN(first, range.end));
        }
        part->end = OX_MIN(range.end, part->until);
        part->position = plan->follow ? part->position : OX_MIN(part->position, part->end);
        part->start = part->position;
    }
    return true;
}

bool
scan_parts_start(struct scan *scan)
{
    return set_start(scan) && set_until(scan) && (scan->last != NULL || set_ranges(scan, 0));
}

enum exec_status
scan_begin(struct op *op)
{
    struct scan *scan = (struct scan *)op;
    if (scan->last == NULL)
        return EXEC_DONE;
    enum exec_status status = scan_last_step(scan);
    if (status != EXEC_DONE)
        return status;
    scan_last_close(scan);
    scan->last_row = run_now_ns(op->run);
    return set_ranges(scan, 0) ? EXEC_DONE : EXEC_FAIL;
}

/* ---- partitions that are added ----
 *
 * A scan without a fixed end watches the metadata: on the meta thread it only
 * compares how many partitions its topics have; the rest is done on the loop.
 * New partitions are read from their beginning. */

static uint32_t
partitions_in(const struct scan *scan, const struct meta_view *view)
{
    const struct plan_scan_topic *plan = scan_plan(scan);
    uint32_t total = 0;
    for (uint32_t t = 0; t < plan->topic_count; t++) {
        const struct meta_topic *topic = meta_view_topic_by_id(view, &plan->topics[t].id);
        total += topic != NULL ? topic->partition_count : 0;
    }
    return total;
}

/* On: the meta thread. */
static void
view_changed(const struct meta_view *view, void *arg)
{
    struct scan *scan = arg;
    if (partitions_in(scan, view) > atomic_load(&scan->total) &&
        !atomic_exchange(&scan->view_posted, true))
        loop_post(scan->op.run->config.loop, &scan->view_msg);
}

static void
view_message(struct loop_msg *msg)
{
    struct scan *scan = ox_container_of(msg, struct scan, view_msg);
    struct exec_run *run = scan->op.run;
    atomic_store(&scan->view_posted, false);
    if (scan->unwatched) {
        run_release(run);
        return;
    }
    scan->more_parts = true;
    run_wake(run);
}

void
scan_parts_watch(struct scan *scan)
{
    const struct plan_scan_topic *plan = scan_plan(scan);
    uint32_t total = 0;
    if (plan->until != SCAN_UNTIL_NEVER && plan->until != SCAN_UNTIL_TIMESTAMP &&
        plan->until != SCAN_UNTIL_IDLE)
        return;
    scan->known = ox_calloc(plan->topic_count, sizeof(*scan->known));
    for (uint32_t t = 0; t < plan->topic_count; t++)
        total += scan->known[t] = scan_partition_count(scan->op.run, &plan->topics[t]);
    atomic_store(&scan->total, total);
    atomic_store(&scan->view_posted, false);
    scan->view_msg.fn = view_message;
    scan->watching = true;
    scan->unwatched = false;
    meta_on_view(engine_meta(scan->op.run->config.session->engine), view_changed, scan);
}

void
scan_parts_unwatch(struct scan *scan)
{
    if (!scan->watching)
        return;
    meta_off_view(engine_meta(scan->op.run->config.session->engine), view_changed, scan);
    scan->watching = false;
    scan->unwatched = true;
    if (atomic_load(&scan->view_posted))
        run_hold(scan->op.run); /* until the message has come */
    ox_free(scan->known);
    scan->known = NULL;
}

bool
scan_parts_add_new(struct scan *scan)
{
    const struct plan_scan_topic *plan = scan_plan(scan);
    const struct meta_view *view = engine_view(scan->op.run->config.session->engine);
    uint32_t first = scan->part_count;
    scan->more_parts = false;
    for (uint32_t t = 0; t < plan->topic_count; t++) {
        const struct meta_topic *topic = meta_view_topic_by_id(view, &plan->topics[t].id);
        uint32_t count = topic != NULL ? topic->partition_count : 0;
        for (; scan->known[t] < count; scan->known[t]++)
            if (scan_bounds_partition(&scan->bounds, (int32_t)scan->known[t]) &&
                !add_part(scan, t, (int32_t)scan->known[t], run_err(scan->op.run)))
                return false;
    }
    atomic_store(&scan->total, partitions_in(scan, view));
    for (uint32_t i = first; i < scan->part_count; i++)
        scan->parts[i]->cut.stop_us = scan->stop_us;
    return set_ranges(scan, first);
}
