/* SPDX-License-Identifier: Apache-2.0
 *
 * The conditions that a scan obeys by itself, and what it knows of aborted
 * transactions. */
#include "base/fault.h"
#include "exec/scan_int.h"

static int
compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The values of one bound; array values are taken apart. NULLs are dropped. */
static bool
bound_values(struct op *op, const struct scan_bound *bound, struct datum **out, uint32_t *count)
{
    *count = 0;
    *out = NULL;
    size_t cap = 0;
    for (uint32_t i = 0; i < bound->value_count; i++) {
        struct datum value;
        if (!op_eval_one(op, bound->values[i], &value))
            return false;
        if (value.null)
            continue;
        struct array_view view = {.count = 1};
        bool array = bound->op == BOUND_IN && bound->values[i]->type.array;
        if (array)
            array_view(value.s, &view);
        for (uint32_t k = 0; k < view.count; k++) {
            struct datum item = array ? array_get(&view, k) : value;
            if (item.null)
                continue;
            ox_arena_grow(&op->arena, (void **)out, &cap, *count + 1, sizeof(**out));
            struct type type =
                array ? type_element(bound->values[i]->type) : bound->values[i]->type;
            (*out)[(*count)++] = datum_copy(type, item, &op->arena);
        }
    }
    return true;
}

/* Narrow a half-open interval by one comparison. */
static void
narrow(enum scan_bound_op op, int64_t value, int64_t *from, int64_t *to)
{
    int64_t after = value == INT64_MAX ? value : value + 1;
    switch (op) {
    case BOUND_EQ:
        *from = OX_MAX(*from, value);
        *to = OX_MIN(*to, after);
        break;
    case BOUND_LT:
        *to = OX_MIN(*to, value);
        break;
    case BOUND_LE:
        *to = OX_MIN(*to, after);
        break;
    case BOUND_GT:
        *from = OX_MAX(*from, after);
        break;
    case BOUND_GE:
        *from = OX_MAX(*from, value);
        break;
    case BOUND_IN:
        break;
    }
}

/* Values in both sorted sets; the first bound of its kind gives its own. */
static void
intersect(
    struct op *op, const struct datum *values, uint32_t n, const int64_t **set, uint32_t *count)
{
    int64_t *sorted = ox_arena_alloc(&op->arena, OX_MAX(n, 1u) * sizeof(int64_t));
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = values[i].i;
    qsort(sorted, n, sizeof(*sorted), compare_i64);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (*set != NULL && bsearch(&sorted[i], *set, *count, sizeof(**set), compare_i64) == NULL)
            continue;
        sorted[kept++] = sorted[i];
    }
    *set = sorted;
    *count = kept;
}

static void
keys_and(struct op *op, struct scan_bounds *out, const struct datum *values, uint32_t n)
{
    struct str *keys = ox_arena_alloc(&op->arena, OX_MAX(n, 1u) * sizeof(*keys));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool in = out->keys == NULL;
        for (uint32_t k = 0; !in && k < out->key_count; k++)
            in = ox_str_eq(out->keys[k], values[i].s);
        if (in)
            keys[kept++] = values[i].s;
    }
    out->keys = keys;
    out->key_count = kept;
}

static bool
apply(struct op *op, const struct scan_bound *bound, struct scan_bounds *out)
{
    struct datum *values;
    uint32_t n;
    if (!bound_values(op, bound, &values, &n))
        return false;
    if (n == 0) {
        out->empty = true;
        return true;
    }
    switch (bound->what) {
    case BOUND_PARTITION:
        if (bound->op == BOUND_IN)
            intersect(op, values, n, &out->partitions, &out->partition_count);
        else
            narrow(bound->op, values[0].i, &out->partition_from, &out->partition_to);
        break;
    case BOUND_OFFSET:
        if (bound->op == BOUND_IN) {
            intersect(op, values, n, &out->offsets, &out->offset_count);
            out->empty |= out->offset_count == 0;
            if (out->offset_count > 0) {
                narrow(BOUND_GE, out->offsets[0], &out->offset_from, &out->offset_to);
                narrow(BOUND_LE, out->offsets[out->offset_count - 1], &out->offset_from,
                    &out->offset_to);
            }
        } else {
            narrow(bound->op, values[0].i, &out->offset_from, &out->offset_to);
        }
        break;
    case BOUND_TIMESTAMP:
        if (bound->op == BOUND_IN) {
            ox_fail(run_err(op->run), OX_FEATURE_NOT_SUPPORTED, "a scan takes no list of timestamps");
            return false;
        }
        out->timed = true;
        narrow(bound->op, values[0].i, &out->us_from, &out->us_to);
        break;
    case BOUND_KEY:
        out->keys_are_text = bound->values[0]->type.id != TYPE_BYTEA;
        keys_and(op, out, values, n);
        out->empty |= out->key_count == 0;
        break;
    }
    return true;
}

static bool
eval_sample(struct op *op, const struct plan_scan_topic *plan, struct scan_bounds *out)
{
    struct datum percent, seed;
    if (!op_eval_one(op, plan->sample_percent, &percent))
        return false;
    if (percent.null) {
        ox_fail(run_err(op->run), OX_INVALID_TABLESAMPLE_ARGUMENT,
            "TABLESAMPLE parameter cannot be null");
        return false;
    }
    if (!(percent.f >= 0 && percent.f <= 100)) {
        ox_fail(run_err(op->run), OX_INVALID_TABLESAMPLE_ARGUMENT,
            "sample percentage must be between 0 and 100");
        return false;
    }
    env_random(op->run->config.env, &out->sample_seed, sizeof(out->sample_seed));
    if (plan->sample_seed != NULL) {
        if (!op_eval_one(op, plan->sample_seed, &seed))
            return false;
        if (seed.null) {
            ox_fail(run_err(op->run), OX_INVALID_TABLESAMPLE_REPEAT,
                "TABLESAMPLE REPEATABLE parameter cannot be null");
            return false;
        }
        out->sample_seed = ox_hash(&seed.f, sizeof(seed.f), 1);
    }
    uint64_t below =
        percent.f >= 100 ? UINT64_MAX : (uint64_t)(percent.f / 100 * 18446744073709551616.0);
    if (plan->sample_records)
        out->sample_records = below;
    else
        out->sample_batches = below;
    return true;
}

bool
scan_bounds_eval(struct op *op, const struct plan_scan_topic *plan, struct scan_bounds *out)
{
    *out = (struct scan_bounds){.offset_from = 0,
        .offset_to = INT64_MAX,
        .us_from = INT64_MIN,
        .us_to = INT64_MAX,
        .partition_from = 0,
        .partition_to = INT64_MAX,
        .sample_batches = UINT64_MAX,
        .sample_records = UINT64_MAX};
    if (plan->sample_percent != NULL && !eval_sample(op, plan, out))
        return false;
    for (uint32_t i = 0; i < plan->bound_count; i++)
        if (!apply(op, &plan->bounds[i], out))
            return false;
    if (out->offset_from >= out->offset_to || out->us_from >= out->us_to ||
        out->partition_from >= out->partition_to)
        out->empty = true;
    return true;
}

uint32_t
scan_partition_count(const struct exec_run *run, const struct plan_topic *topic)
{
    const struct meta_view *view = engine_view(run->config.session->engine);
    const struct meta_topic *now = meta_view_topic_by_id(view, &topic->id);
    return now != NULL ? now->partition_count : topic->partition_count;
}

bool
scan_bounds_partition(const struct scan_bounds *bounds, int32_t partition)
{
    if (bounds->empty || partition < bounds->partition_from || partition >= bounds->partition_to)
        return false;
    int64_t key = partition;
    return bounds->partitions == NULL || bsearch(&key, bounds->partitions, bounds->partition_count,
                                             sizeof(key), compare_i64) != NULL;
}

void
scan_bounds_range(const struct scan_bounds *bounds, int64_t *from, int64_t *to)
{
    *from = OX_MAX(*from, bounds->offset_from);
    *to = OX_MIN(*to, bounds->offset_to);
    if (*from > *to)
        *from = *to;
}

/* ---- aborted transactions --------------------------------------------------------- */

void
scan_aborted_init(struct scan_aborted *aborted)
{
    memset(aborted, 0, sizeof(*aborted));
    ox_arena_init(&aborted->arena);
}

void
scan_aborted_fini(struct scan_aborted *aborted)
{
    ox_arena_fini(&aborted->arena);
    aborted->txns = NULL;
    aborted->count = 0;
    aborted->from = aborted->to = 0;
}

bool
scan_aborted_has(struct scan_aborted *aborted, struct exec_run *run, struct plog *plog,
    const struct record_batch *batch, int64_t to, bool *good)
{
    *good = true;
    if (!record_batch_is_transactional(batch) || ox_fault("exec.wrong_aborted") != OX_OK)
        return false;
    if (batch->base_offset < aborted->from || record_batch_next_offset(batch) > aborted->to) {
        /* Read backward, each batch lies before what is known: ask for twice as much. */
        int64_t more = batch->base_offset < aborted->from ? aborted->to - aborted->from : 0;
        ox_arena_reset(&aborted->arena);
        aborted->from = OX_MAX(batch->base_offset - more, 0);
        aborted->to = OX_MAX(to, record_batch_next_offset(batch));
        if (plog_aborted_txns(plog, aborted->from, aborted->to, &aborted->arena, &aborted->txns,
                &aborted->count, run_err(run)) != OX_OK) {
            aborted->from = aborted->to = 0;
            *good = false;
            return false;
        }
    }
    for (size_t i = 0; i < aborted->count; i++) {
        const struct log_aborted_txn *txn = &aborted->txns[i];
        if (txn->producer_id == batch->producer_id && txn->first_offset <= batch->base_offset &&
            batch->base_offset <= txn->last_offset)
            return true;
    }
    return false;
}
