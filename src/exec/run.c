/* SPDX-License-Identifier: Apache-2.0
 *
 * A run: the tree of operators of one plan, pulled by a portal.
 *
 *            exec_run_next                 DONE
 *   new ---> opened on first call ---> running ---> ended
 *                                      |   ^  \ FAIL
 *                                PARK  v   |   ---> failed (sticky), or again
 *                                     parked        running (a lost wait)
 *
 * Invariants
 *  1. wake() is called on the loop, outside of exec_run_next, only while parked.
 *  2. Messages and waiters under way count as holds; the struct is freed when
 *     exec_run_free was called and the last hold is gone.
 *  3. sync_depth > 0 means that a subquery is being driven from inside an
 *     expression: operators below must not park, so the tick budget is off. */
#include "base/limits.h"
#include "engine/engine.h"
#include "exec/exec_int.h"

#include <inttypes.h>

/* How long one exec_run_next may compute before other work gets a turn. */
static const uint64_t tick_budget_ns = 1000000;

static void run_posted(struct loop_msg *msg);
static void run_cancel_posted(struct loop_msg *msg);

static const struct op_ops *const ops_by_kind[PLAN_KIND_COUNT] = {
    [PLAN_SCAN_TOPIC] = &op_scan_topic,
    [PLAN_SCAN_HEADERS] = &op_scan_headers,
    [PLAN_SCAN_CATALOG] = &op_scan_catalog,
    [PLAN_VALUES] = &op_values,
    [PLAN_FUNCTION_SCAN] = &op_function_scan,
    [PLAN_FEED] = &op_feed,
    [PLAN_FILTER] = &op_filter,
    [PLAN_PROJECT] = &op_project,
    [PLAN_AGGREGATE] = &op_aggregate,
    [PLAN_SORT] = &op_sort,
    [PLAN_LIMIT] = &op_limit,
    [PLAN_DISTINCT] = &op_distinct,
    [PLAN_JOIN_HASH] = &op_join_hash,
    [PLAN_JOIN_LOOP] = &op_join_loop,
    [PLAN_APPEND] = &op_append,
    [PLAN_SETOP] = &op_setop,
    [PLAN_CTE_SCAN] = &op_cte_scan,
    [PLAN_RECURSIVE] = &op_recursive,
    [PLAN_WORK_SCAN] = &op_work_scan,
    [PLAN_WINDOW] = &op_window,
    [PLAN_SUBSCRIBE] = &op_subscribe,
    [PLAN_INSERT] = &op_insert,
};

/* ---- operators -------------------------------------------------------------- */

/* What every operator starts with. */
void
op_init(struct op *op, struct exec_run *run, const struct op_ops *ops, const struct plan *plan,
    struct exec_scope *scope, struct exec_counters *counters)
{
    op->ops = ops;
    op->plan = plan;
    op->run = run;
    op->scope = scope;
    op->counters = counters;
    ox_arena_init(&op->arena);
    ox_arena_init(&op->scratch);
    eval_init(&op->eval, &run->eval, &op->scratch);
    op->eval.exec = op;
    ox_list_push(&run->ops, &op->link);
}

struct op *
op_new(struct exec_run *run, const struct plan *plan, struct exec_scope *scope)
{
    const struct op_ops *ops = ops_by_kind[plan->kind];
    ox_assert(ops != NULL);
    struct op *op = ox_arena_alloc0(&run->arena, ops->size);
    op_init(op, run, ops, plan, scope, &run->counters[plan->id]);
    if (!ops->own_inputs) {
        if (plan->input != NULL)
            op->input = op_new(run, plan->input, scope);
        if (plan->input != NULL && plan->correlated)
            op->input = slice_new(run, op->input);
        if (plan->right != NULL)
            op->right = op_new(run, plan->right, scope);
    }
    if (ops->made != NULL)
        ops->made(op);
    if (plan->kind == PLAN_FEED)
        run->feed = op;
    return op;
}

bool
op_open(struct op *op)
{
    ox_assert(!op->opened);
    op->opened = true;
    op->done = false;
    op->counters->loops++;
    if (!op->ops->own_inputs) {
        if (op->input != NULL && !op_open(op->input))
            return false;
        if (op->right != NULL && !op_open(op->right))
            return false;
    }
    return op->ops->open == NULL || op->ops->open(op);
}

void
op_close(struct op *op)
{
    if (op == NULL || !op->opened)
        return;
    op->opened = false;
    if (op->ops->close != NULL)
        op->ops->close(op);
    if (!op->ops->own_inputs) {
        op_close(op->input);
        op_close(op->right);
    }
    ox_arena_fini(&op->arena);
    ox_arena_fini(&op->scratch);
}

static inline uint32_t
selected(const struct batch *batch)
{
    return batch->sel != NULL ? batch->sel_count : batch->count;
}

static enum exec_status
op_step(struct op *op, struct batch **out)
{
    enum exec_status status;
    do {
        if (op->done)
            return EXEC_DONE;
        if (run_stopped(op->run, 0))
            return EXEC_FAIL;
        if (op->ops->leaf) {
            if (!run_check(op->run))
                return EXEC_FAIL;
            if (run_over_budget(op->run))
                return EXEC_PARK;
        }
        status = op->ops->next(op, out);
        if (ox_stop_seen() && status != EXEC_FAIL)
            return run_check(op->run), EXEC_FAIL; /* what it computed is worth nothing */
        if (status == EXEC_DONE)
            op->done = true;
    } while (status == EXEC_ROWS && selected(*out) == 0);
    if (status == EXEC_ROWS) {
        op->counters->batches++;
        op->counters->rows += selected(*out);
    }
    return status;
}

enum exec_status
op_next(struct op *op, struct batch **out)
{
    if (!op->run->config.analyze)
        return op_step(op, out);
    uint64_t start = run_now_ns(op->run);
    enum exec_status status = op_step(op, out);
    op->counters->time_ns += run_now_ns(op->run) - start;
    if (op->counters->first_ns == 0 && status == EXEC_ROWS)
        op->counters->first_ns = op->counters->time_ns;
    return status;
}

bool
op_eval(struct op *op, const struct expr *expr, const struct batch *batch, struct vector *out)
{
    return expr_eval(&op->eval, expr, batch, out, run_err(op->run)) == OX_OK;
}

bool
op_eval_one(struct op *op, const struct expr *expr, struct datum *out)
{
    struct batch batch = {.count = 1, .sel_count = 1};
    struct vector vec;
    if (!op_eval(op, expr, &batch, &vec))
        return false;
    *out = vector_get(&vec, 0);
    return true;
}

bool
op_eval_count(struct op *op, const struct expr *expr, int64_t absent, int64_t *out)
{
    struct datum value;
    *out = absent;
    if (expr == NULL)
        return true;
    if (!op_eval_one(op, expr, &value))
        return false;
    if (!value.null)
        *out = value.i;
    return true;
}

struct batch *
batch_new(struct arena *arena, uint32_t ncols)
{
    struct batch *batch = ox_arena_new(arena, struct batch);
    batch->ncols = ncols;
    batch->cols = ox_arena_alloc0(arena, OX_MAX(ncols, 1u) * sizeof(struct vector));
    return batch;
}

struct type *
plan_types(const struct plan *plan, struct arena *arena)
{
    struct type *types = ox_arena_alloc0(arena, (plan->column_count + 1) * sizeof(*types));
    for (uint32_t i = 0; i < plan->column_count; i++)
        types[i] = plan->columns[i].type;
    return types;
}

/* ---- the run ------------------------------------------------------------------ */

ox_code
exec_run_new(const struct plan_root *root, const struct exec_config *config, struct exec_run **out,
    struct ox_err *err)
{
    ox_assert(config->loop == NULL || loop_is(config->loop));
    struct exec_run *run = ox_calloc(1, sizeof(*run));
    run->root = root;
    run->config = *config;
    ox_arena_init(&run->arena);
    struct datum *params =
        ox_arena_alloc0(&run->arena, (config->param_count + 1) * sizeof(*params));
    for (uint32_t i = 0; i < config->param_count; i++)
        params[i] = datum_copy(config->param_types[i], config->params[i], &run->arena);
    run->config.params = params;
    run->counters = ox_arena_alloc0(&run->arena, (root->node_count + 1) * sizeof(*run->counters));
    run->snapshot = config->snapshot != NULL ? exec_snapshot_get(config->snapshot)
                                             : exec_snapshot_new();
    run->eval = (struct eval_config){
        .params = params,
        .param_count = config->param_count,
        .format = config->format != NULL ? config->format : &row_format_default,
        .env = config->env,
        .now_us = config->now_us,
        .session = config->session_info,
        .context = config->expr_context,
        .subquery = subquery_eval,
        .outer = subquery_outer,
    };
    ox_map_init(&run->subplans);
    ox_map_init(&run->work_tables);
    ox_list_init(&run->ops);
    run->msg.fn = run_posted;
    run->cancel_msg.fn = run_cancel_posted;
    *out = run;
    return OX_OK;
}

/* A timer counts from where the turn began that started it: in a long one that is too soon. */
static void
timed_out(struct loop_timer *timer)
{
    struct exec_run *run = ox_container_of(timer, struct exec_run, timeout);
    uint64_t now = run_now_ns(run);
    if (now < run->timeout_at)
        loop_timer_start(run->config.loop, timer, run->timeout_at - now, timed_out);
    else
        run_wake(run); /* run_check sees the clock */
}

void
exec_run_time_limit(struct exec_run *run, int64_t ms)
{
    uint64_t ns = (uint64_t)OX_MAX(ms, (int64_t)0) * 1000000;
    loop_timer_stop(&run->timeout);
    run->timeout_at = ms > 0 ? run_now_ns(run) + ns : 0;
    if (ms > 0 && run->config.loop != NULL)
        loop_timer_start(run->config.loop, &run->timeout, ns + 1000000, timed_out);
}

static void
run_start(struct exec_run *run)
{
    run->started = true;
    if (run->config.statement_timeout_ms > 0)
        exec_run_time_limit(run, run->config.statement_timeout_ms);
    run->ctes = cte_states_new(run);
}

/* What subqueries read from the catalog first, then subqueries, then the plan itself. */
static enum exec_status
run_step(struct exec_run *run)
{
    if (run->top == NULL) {
        enum exec_status status = catalog_prepare(run);
        if (status == EXEC_DONE)
            status = subquery_prepare(run);
        if (status != EXEC_DONE)
            return status;
        run->top = op_new(run, run->root->plan, NULL);
        if (!op_open(run->top)) {
            run->failed = true;
            return EXEC_FAIL;
        }
    }
    return op_next(run->top, &run->rest);
}

bool
run_check(struct exec_run *run)
{
    int code = atomic_load_explicit(&run->cancel_code, memory_order_relaxed);
    if (ox_unlikely(code != 0)) {
        ox_fail_plain(run_err(run), code);
        /* Inside a subquery the rows of the enclosing batch are lost with it. */
        if (atomic_load(&run->cancel_sticky) || run->sync_depth > 0 || ox_stop_seen())
            run->failed = true;
        else
            atomic_store(&run->cancel_code, 0);
        return false;
    }
    code = run->config.stop != NULL ? ox_stop_code(run->config.stop) : OX_OK;
    if (ox_unlikely(code != OX_OK)) {
        ox_fail_plain(run_err(run), code);
        run->failed |= !run->config.stop_soft || run->sync_depth > 0 || ox_stop_seen();
        return false;
    }
    if (ox_unlikely(run->timeout_at != 0) && run_now_ns(run) >= run->timeout_at) {
        ox_fail_plain(run_err(run), OX_STATEMENT_TIMEOUT);
        run->failed = true;
        return false;
    }
    if (ox_unlikely(mem_over())) {
        limit_met(LIMIT_MEMORY);
        ox_fail(run_err(run), OX_OUT_OF_MEMORY,
            "requests and statements take more memory than \"memory_limit\" (%llu bytes)",
            (unsigned long long)mem_limit());
        run->failed = true;
        return false;
    }
    return true;
}

static void
run_post(struct exec_run *run)
{
    if (run->posted)
        return;
    run->posted = true;
    loop_post(run->config.loop, &run->msg);
}

bool
run_over_budget(struct exec_run *run)
{
    if (run->sync_depth > 0 || run->config.loop == NULL)
        return false;
    if (run_now_ns(run) - run->tick_start < tick_budget_ns)
        return false;
    run_post(run);
    return true;
}

static void
run_posted(struct loop_msg *msg)
{
    struct exec_run *run = ox_container_of(msg, struct exec_run, msg);
    run->posted = false;
    if (run->freed)
        run_release(run);
    else
        run_wake(run);
}

static void
run_cancel_posted(struct loop_msg *msg)
{
    struct exec_run *run = ox_container_of(msg, struct exec_run, cancel_msg);
    atomic_store(&run->cancel_posted, false);
    if (run->freed)
        run_release(run);
    else
        run_wake(run);
}

void
run_wake(struct exec_run *run)
{
    if (!run->parked || run->freed)
        return;
    run->parked = false;
    if (run->config.wake != NULL)
        run->config.wake(run->config.arg);
}

void
exec_run_cancel(struct exec_run *run, ox_code code, bool sticky)
{
    atomic_store(&run->cancel_sticky, sticky);
    atomic_store(&run->cancel_code, code);
    if (run->config.loop != NULL && !atomic_exchange(&run->cancel_posted, true))
        loop_post(run->config.loop, &run->cancel_msg);
}

bool
exec_run_stopped(const struct exec_run *run)
{
    return run->failed || atomic_load_explicit(&run->cancel_code, memory_order_relaxed) != 0 ||
           (run->config.stop != NULL && ox_stop_code(run->config.stop) != OX_OK);
}

static void
deadline_passed(struct loop_timer *timer)
{
    run_wake(ox_container_of(timer, struct exec_run, deadline));
}

void
exec_run_wake_at(struct exec_run *run, uint64_t mono_ns)
{
    if (mono_ns == UINT64_MAX) {
        loop_timer_stop(&run->deadline);
        return;
    }
    uint64_t now = run_now_ns(run);
    loop_timer_start(
        run->config.loop, &run->deadline, mono_ns > now ? mono_ns - now : 0, deadline_passed);
}

bool
run_count_bytes(struct exec_run *run, uint64_t bytes)
{
    run->bytes_read += bytes;
    if (run->config.session != NULL)
        engine_quota_use(run->config.session, ENGINE_QUOTA_FETCH, (double)bytes);
    if (run->config.scan_bytes_limit == 0 || run->bytes_read <= run->config.scan_bytes_limit)
        return true;
    ox_fail(run_err(run), OX_SCAN_LIMIT_EXCEEDED,
        "statement reads more than \"scan_bytes_limit\" (%" PRIu64 " bytes)",
        run->config.scan_bytes_limit);
    ox_hint(run_err(run), "Narrow the scan with conditions on _partition, _offset or _timestamp, or "
                       "raise the limit.");
    run->failed = true;
    return false;
}

void
run_notice(struct exec_run *run, const char *fmt, ...)
{
    if (run->config.notice == NULL)
        return;
    char message[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    run->config.notice(run->config.arg, message);
}

/* ---- giving rows ---------------------------------------------------------------- */

static enum exec_status
give(struct exec_run *run, uint64_t max_rows, struct batch **out)
{
    struct batch *rest = run->rest;
    uint32_t left = selected(rest) - run->rest_at;
    if (run->rest_at == 0 && (max_rows == 0 || left <= max_rows)) {
        run->rest = NULL;
        *out = rest;
    } else {
        uint32_t take = max_rows == 0 ? left : (uint32_t)OX_MIN((uint64_t)left, max_rows);
        if (run->part_sel == NULL)
            run->part_sel = ox_arena_alloc(&run->arena, VECTOR_MAX * sizeof(uint32_t));
        for (uint32_t k = 0; k < take; k++)
            run->part_sel[k] = batch_row(rest, run->rest_at + k);
        run->part = *rest;
        run->part.sel = run->part_sel;
        run->part.sel_count = take;
        run->rest_at += take;
        if (run->rest_at == selected(rest))
            run->rest = NULL;
        *out = &run->part;
    }
    run->rows += selected(*out);
    if (run->config.row_limit > 0 && run->rows > run->config.row_limit) {
        ox_fail(run_err(run), OX_SCAN_LIMIT_EXCEEDED,
            "statement gives more than \"row_limit\" (%" PRIu64 ") rows", run->config.row_limit);
        ox_hint(run_err(run), "Add LIMIT or a narrower condition, or raise the limit.");
        run->failed = true;
        return EXEC_FAIL;
    }
    return EXEC_ROWS;
}

struct ox_err *
run_err(struct exec_run *run)
{
    if (ox_unlikely(run->err == NULL))
        run->err = ox_calloc(1, sizeof(*run->err));
    return run->err;
}

static void
drop_unused_err(struct exec_run *run)
{
    if (run->err == NULL || run->err->code != OX_OK)
        return;
    ox_free(run->err);
    run->err = NULL;
}

/* The budget is of a turn of the loop, however often the caller pulls in it. */
static void
begin_tick(struct exec_run *run)
{
    uint64_t turn = run->config.loop != NULL ? loop_now_ns(run->config.loop) : 0;
    if (turn != 0 && turn == run->turn)
        return;
    run->turn = turn;
    run->tick_start = run_now_ns(run);
}

static void
rested(struct loop_timer *timer)
{
    run_wake(ox_container_of(timer, struct exec_run, rested));
}

/* Over a quota a statement rests, as the connection of a Kafka client does. */
static bool
must_rest(struct exec_run *run)
{
    uint64_t now = run_now_ns(run);
    if (run->config.loop == NULL || run->config.session == NULL)
        return false;
    uint32_t ms = engine_throttle_take(run->config.session);
    if (ms > 0)
        run->rest_until = OX_MAX(run->rest_until, now + (uint64_t)ms * 1000000);
    if (now >= run->rest_until)
        return false;
    loop_timer_start(run->config.loop, &run->rested, run->rest_until - now, rested);
    run->parked = true;
    return true;
}

/* run_step() with the run's stop in force. */
static enum exec_status
run_step_stop(struct exec_run *run)
{
    struct ox_stop *stop = run->config.stop;
    if (stop != NULL)
        stop->deadline_ns = run->timeout_at;
    struct ox_stop *before = ox_stop_enter(stop);
    enum exec_status status = run_step(run);
    if (ox_stop_seen()) {
        run_check(run);
        run->failed = true;
        status = EXEC_FAIL;
    }
    ox_stop_leave(before);
    return status;
}

enum exec_status
exec_run_next(struct exec_run *run, uint64_t max_rows, struct batch **out)
{
    ox_assert(!run->freed);
    run->parked = false;
    if (run->failed)
        return EXEC_FAIL;
    begin_tick(run);
    if (run->rest != NULL)
        return run_check(run) ? give(run, max_rows, out) : EXEC_FAIL;
    if (run->ended)
        return EXEC_DONE;
    if (!run_check(run))
        return EXEC_FAIL;
    if (must_rest(run))
        return EXEC_PARK;
    if (run->started && run_over_budget(run)) {
        run->parked = true;
        return EXEC_PARK;
    }
    if (!run->started)
        run_start(run);
    enum exec_status status = run_step_stop(run);
    switch (status) {
    case EXEC_ROWS:
        run->rest_at = 0;
        return give(run, max_rows, out);
    case EXEC_PARK:
        run->rest = NULL;
        run->parked = true;
        drop_unused_err(run);
        break;
    case EXEC_DONE:
        run->rest = NULL;
        run->ended = true;
        break;
    case EXEC_FAIL:
        run->rest = NULL;
        ox_assert(run_err(run)->code != OX_OK);
        /* Only a lost wait can be taken up again. */
        if (run->err->code != OX_CANCELED && run->err->code != OX_STATEMENT_TIMEOUT)
            run->failed = true;
        break;
    }
    return status;
}

const struct ox_err *
exec_run_err(struct exec_run *run)
{
    return run_err(run);
}

uint64_t
exec_run_rows(const struct exec_run *run)
{
    return run->rows;
}

uint64_t
exec_run_rows_durable(const struct exec_run *run)
{
    return run->rows_durable;
}

const struct exec_counters *
exec_run_counters(const struct exec_run *run, uint32_t id)
{
    ox_assert(id < run->root->node_count);
    return &run->counters[id];
}

bool
exec_run_wants_feed(const struct exec_run *run)
{
    return run->feed != NULL && feed_wants(run->feed);
}

void
exec_run_feed(struct exec_run *run, const struct batch *batch)
{
    ox_assert(run->feed != NULL);
    feed_give(run->feed, batch);
}

/* ---- the end -------------------------------------------------------------------- */

void
run_hold(struct exec_run *run)
{
    run->holds++;
}

void
run_release(struct exec_run *run)
{
    ox_assert(run->holds > 0);
    if (--run->holds > 0 || !run->freed)
        return;
    exec_snapshot_put(run->snapshot);
    ox_arena_fini(&run->arena);
    ox_free(run->err);
    ox_free(run);
}

void
exec_run_free(struct exec_run *run)
{
    if (run == NULL)
        return;
    ox_assert(!run->freed);
    run->parked = false;
    loop_timer_stop(&run->timeout);
    loop_timer_stop(&run->deadline);
    loop_timer_stop(&run->rested);
    run_hold(run);
    op_close(run->top);
    subquery_fini(run);
    catalog_kept_fini(run);
    cte_states_fini(run);
    ox_map_fini(&run->subplans);
    ox_map_fini(&run->work_tables);
    ox_list_each(node, &run->ops) eval_fini(&ox_container_of(node, struct op, link)->eval);
    if (run->posted)
        run_hold(run);
    if (atomic_load(&run->cancel_posted))
        run_hold(run);
    run->freed = true;
    run_release(run);
}
