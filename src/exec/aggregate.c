/* SPDX-License-Identifier: Apache-2.0
 *
 * AGGREGATE: GROUP BY by hash. Groups get numbers (keytable.h); the states of a
 * group's aggregates lie side by side, groups in blocks of GROUPS_PER_BLOCK.
 *
 *   READ --(input ends)--> SORTED (aggregates with ORDER BY take their rows)
 *        --> GIVE --(a file is left)--> READ (of the file) ... --> end
 *
 * When groups and states outgrow the memory, no new group is added: rows of
 * unknown groups go, as they came in, to one of SPILL_PARTS files by hash, and each
 * file is a smaller problem for later. A group is therefore whole in one place.
 *
 * GROUPING SETS: every set is a key of its own (a number behind the key
 * columns, those that the set leaves out NULL); spilled rows remember the set. */
#include "exec/keytable.h"
#include "exec/spill_parts.h"
#include "exec/sorter.h"

enum { GROUPS_PER_BLOCK = 1024, LEVEL_MAX = 5 };

/* One aggregate of the node. */
struct agg_slot {
    struct agg_call call;
    const struct agg_func *func;
    const struct plan_agg *plan;
    size_t at;          /* of its state in the group's */
    struct type *types; /* args; with ORDER BY: group, args, order keys */
    struct vector *args;
    bool seen_init;
    struct keytable seen; /* DISTINCT: group, args */
    struct type *seen_types;
    struct sorter *sorter; /* ORDER BY */
    struct sorter_key *sort_keys;
    uint32_t sort_width;
};

struct aggregate {
    struct op op;
    struct agg_slot *calls;
    uint32_t call_count;
    size_t group_len;
    struct keytable table;
    struct type *key_types, *input_types;
    struct vector *keys;
    uint32_t key_width; /* key columns, and the set's number */
    char **blocks;
    uint32_t block_count, block_cap;
    uint32_t groups; /* with initialised states */
    struct arena states;
    enum { READ, SORTED, GIVE } phase;
    uint32_t at;  /* group to be given next; call whose rows are sorted */
    bool working; /* a sorter was interrupted */
    bool one;     /* no GROUP BY: one group, whatever comes */
    struct spill_parts parts;
    struct batch *waiting; /* input whose sorting was interrupted at call `at_call` */
    uint32_t ids[VECTOR_MAX];
    uint64_t hashes[VECTOR_MAX];
    char *base[VECTOR_MAX]; /* states of the group of a row, by row */
    void *states_of[VECTOR_MAX];
    uint32_t sel[VECTOR_MAX], sel2[VECTOR_MAX], all[VECTOR_MAX];
    uint32_t row_group[VECTOR_MAX];
};

static const struct plan_aggregate *
plan_of(const struct aggregate *agg)
{
    return (const struct plan_aggregate *)agg->op.plan;
}

static uint32_t
set_count(const struct aggregate *agg)
{
    return plan_of(agg)->sets != NULL ? plan_of(agg)->set_count : 1;
}

/* ---- open, close ------------------------------------------------------------------ */

static void
slot_init(struct aggregate *agg, struct agg_slot *call, const struct plan_agg *plan)
{
    struct op *op = &agg->op;
    call->plan = plan;
    call->func = plan->func->agg;
    uint32_t width = plan->arg_count + plan->order_count + 1;
    call->types = ox_arena_alloc0(&op->arena, width * sizeof(struct type));
    call->args = ox_arena_alloc0(&op->arena, width * sizeof(struct vector));
    for (uint32_t i = 0; i < plan->arg_count; i++)
        call->types[i] = plan->args[i]->type;
    call->call = (struct agg_call){.func = plan->func,
        .types = call->types,
        .nargs = plan->arg_count,
        .type = plan->type,
        .eval = &op->eval,
        .arena = &agg->states,
        .descending = plan->descending};
    call->seen_types = ox_arena_alloc0(&op->arena, width * sizeof(struct type));
    call->seen_types[0] = TYPE(TYPE_INT8);
    memcpy(call->seen_types + 1, call->types, plan->arg_count * sizeof(struct type));
    if (plan->order_count == 0)
        return;
    /* Sorted by group, then as asked: columns are group, args, order keys. */
    call->sort_width = width;
    for (uint32_t i = 0; i < plan->order_count; i++)
        call->seen_types[1 + plan->arg_count + i] = plan->order[i].expr->type;
    call->sort_keys =
        ox_arena_alloc0(&op->arena, (plan->order_count + 1) * sizeof(*call->sort_keys));
    for (uint32_t i = 0; i < plan->order_count; i++)
        call->sort_keys[i + 1] = (struct sorter_key){
            1 + plan->arg_count + i, plan->order[i].desc, plan->order[i].nulls_first};
}

static void
begin_round(struct aggregate *agg)
{
    struct op *op = &agg->op;
    keytable_fini(&agg->table);
    for (uint32_t i = 0; i < agg->block_count; i++)
        ox_free(agg->blocks[i]);
    agg->block_count = agg->groups = 0;
    ox_arena_fini(&agg->states);
    for (uint32_t i = 0; i < agg->call_count; i++) {
        struct agg_slot *call = &agg->calls[i];
        if (call->seen_init)
            keytable_fini(&call->seen);
        sorter_free(call->sorter);
        call->sorter = NULL;
        if (call->plan->distinct) {
            keytable_init(&call->seen, call->seen_types, call->plan->arg_count + 1);
            call->seen_init = true;
        }
        if (call->plan->order_count > 0)
            call->sorter = sorter_new(op, call->seen_types, call->sort_width, call->sort_keys,
                call->plan->order_count + 1, UINT64_MAX);
    }
    agg->phase = READ;
    agg->at = 0;
    agg->working = false;
}

static bool
aggregate_open(struct op *op)
{
    struct aggregate *agg = (struct aggregate *)op;
    const struct plan_aggregate *plan = plan_of(agg);
    agg->call_count = plan->agg_count;
    agg->calls = ox_arena_alloc0(&op->arena, (plan->agg_count + 1) * sizeof(*agg->calls));
    agg->group_len = 0;
    for (uint32_t i = 0; i < plan->agg_count; i++) {
        slot_init(agg, &agg->calls[i], &plan->aggs[i]);
        agg->calls[i].at = agg->group_len;
        agg->group_len += (agg->calls[i].func->state_size + 15) & ~(size_t)15;
    }
    agg->group_len = OX_MAX(agg->group_len, (size_t)16);
    agg->key_width = plan->key_count + (plan->sets != NULL);
    agg->one = plan->key_count == 0 && plan->sets == NULL;
    agg->key_types = ox_arena_alloc0(&op->arena, (agg->key_width + 1) * sizeof(struct type));
    agg->keys = ox_arena_alloc0(&op->arena, (agg->key_width + 1) * sizeof(struct vector));
    for (uint32_t i = 0; i < plan->key_count; i++)
        agg->key_types[i] = plan->keys[i]->type;
    if (plan->sets != NULL)
        agg->key_types[plan->key_count] = TYPE(TYPE_INT8);
    agg->input_types = plan_types(op->plan->input, &op->arena);
    keytable_init(&agg->table, agg->key_types, agg->key_width);
    spill_parts_init(&agg->parts, op, set_count(agg));
    agg->blocks = NULL;
    agg->block_count = agg->block_cap = 0;
    agg->waiting = NULL;
    ox_arena_init(&agg->states);
    for (uint32_t i = 0; i < VECTOR_MAX; i++)
        agg->all[i] = i;
    begin_round(agg);
    return true;
}

static void
aggregate_close(struct op *op)
{
    struct aggregate *agg = (struct aggregate *)op;
    if (agg->calls == NULL)
        return;
    for (uint32_t i = 0; i < agg->call_count; i++) {
        if (agg->calls[i].seen_init)
            keytable_fini(&agg->calls[i].seen);
        sorter_free(agg->calls[i].sorter);
    }
    keytable_fini(&agg->table);
    for (uint32_t i = 0; i < agg->block_count; i++)
        ox_free(agg->blocks[i]);
    ox_free(agg->blocks);
    spill_parts_fini(&agg->parts);
    ox_arena_fini(&agg->states);
    agg->calls = NULL;
    agg->blocks = NULL;
}

/* ---- groups ------------------------------------------------------------------------ */

static inline char *
group_states(const struct aggregate *agg, uint32_t id)
{
    return agg->blocks[id / GROUPS_PER_BLOCK] + (id % GROUPS_PER_BLOCK) * agg->group_len;
}

/* States for groups up to `count`. */
static void
init_groups(struct aggregate *agg, uint32_t count)
{
    while (agg->groups < count) {
        if (agg->groups % GROUPS_PER_BLOCK == 0) {
            if (agg->block_count == agg->block_cap) {
                agg->block_cap = OX_MAX(agg->block_cap * 2, 8u);
                agg->blocks = ox_realloc(agg->blocks, agg->block_cap * sizeof(*agg->blocks));
            }
            uint32_t room = agg->one ? 1 : GROUPS_PER_BLOCK;
            agg->blocks[agg->block_count++] = ox_malloc(room * agg->group_len);
        }
        char *states = group_states(agg, agg->groups++);
        memset(states, 0, agg->group_len);
        for (uint32_t i = 0; i < agg->call_count; i++)
            if (agg->calls[i].func->init != NULL)
                agg->calls[i].func->init(&agg->calls[i].call, states + agg->calls[i].at);
    }
}

static size_t
memory_used(const struct aggregate *agg)
{
    size_t bytes = keytable_bytes(&agg->table) + agg->states.used +
                   (size_t)agg->block_count * GROUPS_PER_BLOCK * agg->group_len;
    for (uint32_t i = 0; i < agg->call_count; i++)
        if (agg->calls[i].seen_init)
            bytes += keytable_bytes(&agg->calls[i].seen);
    return bytes;
}

static bool
spill_row(struct aggregate *agg, const struct batch *in, uint32_t row, uint64_t hash, uint32_t set)
{
    struct spill_part *part =
        spill_parts_of(&agg->parts, hash, set, agg->input_types, in->ncols, NULL, 0);
    return spill_add(&part->left, in->cols, NULL, row, 1);
}

/* Keys of one set over the batch; the group of each row, spilling the rows of
 * groups that find no room. agg->sel: rows that have one. */
static bool
find_groups(struct aggregate *agg, const struct batch *in, uint32_t set, uint32_t *count)
{
    const struct plan_aggregate *plan = plan_of(agg);
    uint32_t n = in->sel != NULL ? in->sel_count : in->count;
    struct vector *keys = agg->keys;
    for (uint32_t i = 0; i < plan->key_count; i++) {
        if (plan->sets != NULL && (plan->sets[set] >> i & 1) == 0)
            vector_constant(&keys[i], agg->key_types[i], DATUM_NULL, &agg->op.scratch);
        else if (!op_eval(&agg->op, plan->keys[i], in, &keys[i]))
            return false;
    }
    if (plan->sets != NULL)
        vector_constant(&keys[plan->key_count], TYPE(TYPE_INT8), datum_i64(set), &agg->op.scratch);
    bool full = agg->parts.level < LEVEL_MAX && memory_used(agg) > agg->op.run->config.work_mem;
    keytable_hash(&agg->table, keys, in->sel, n, agg->hashes);
    keytable_find(&agg->table, keys, in->sel, n, agg->hashes, !full, agg->ids);
    init_groups(agg, keytable_count(&agg->table));
    *count = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t row = batch_row(in, k);
        if (agg->ids[k] == KEYTABLE_NONE) {
            if (!spill_row(agg, in, row, agg->hashes[k], set))
                return false;
            continue;
        }
        agg->base[row] = group_states(agg, agg->ids[k]);
        agg->row_group[row] = agg->ids[k];
        agg->sel[(*count)++] = row;
    }
    return true;
}

/* ---- rows into states ------------------------------------------------------------------ */

/* Rows of sel that are the first of (group, args). */
static uint32_t
drop_seen(struct aggregate *agg, struct agg_slot *call, uint32_t *sel, uint32_t n)
{
    uint32_t width = call->plan->arg_count + 1;
    struct vector *cols = ox_arena_alloc0(&agg->op.scratch, width * sizeof(struct vector));
    vector_init(&cols[0], TYPE(TYPE_INT8), VECTOR_MAX, &agg->op.scratch);
    for (uint32_t k = 0; k < n; k++)
        cols[0].i[sel[k]] = agg->row_group[sel[k]];
    memcpy(cols + 1, call->args, call->plan->arg_count * sizeof(struct vector));
    uint32_t known = keytable_count(&call->seen), kept = 0;
    keytable_hash(&call->seen, cols, sel, n, agg->hashes);
    keytable_find(&call->seen, cols, sel, n, agg->hashes, true, agg->ids);
    for (uint32_t k = 0; k < n; k++)
        if (agg->ids[k] == known) {
            sel[kept++] = sel[k];
            known++;
        }
    return kept;
}

static bool
step(struct aggregate *agg, struct agg_slot *call, const struct vector *args, const uint32_t *sel,
    uint32_t n)
{
    struct ox_err *err = run_err(agg->op.run);
    if (n == 0)
        return true;
    if (agg->one)
        return agg_step_one(&call->call, agg->blocks[0] + call->at, args, sel, n, err) == OX_OK;
    for (uint32_t k = 0; k < n; k++)
        agg->states_of[k] = agg->base[sel[k]] + call->at;
    return call->func->step(&call->call, agg->states_of, args, sel, n, err) == OX_OK;
}

/* Rows wait in the sorter until all have come. */
static enum exec_status
keep_for_order(struct aggregate *agg, struct agg_slot *call, const struct batch *in,
    const uint32_t *sel, uint32_t n)
{
    struct op *op = &agg->op;
    struct vector *cols = ox_arena_alloc0(&op->scratch, call->sort_width * sizeof(*cols));
    vector_init(&cols[0], TYPE(TYPE_INT8), VECTOR_MAX, &op->scratch);
    for (uint32_t k = 0; k < n; k++)
        cols[0].i[sel[k]] = agg->one ? 0 : agg->row_group[sel[k]];
    memcpy(cols + 1, call->args, call->plan->arg_count * sizeof(struct vector));
    for (uint32_t i = 0; i < call->plan->order_count; i++)
        if (!op_eval(op, call->plan->order[i].expr, in, &cols[1 + call->plan->arg_count + i]))
            return EXEC_FAIL;
    return sorter_add(call->sorter, cols, sel, n);
}

static enum exec_status
take_call(struct aggregate *agg, struct agg_slot *call, const struct batch *in,
    const uint32_t *rows, uint32_t count)
{
    struct op *op = &agg->op;
    const struct plan_agg *plan = call->plan;
    struct batch part = *in;
    part.sel = (uint32_t *)(uintptr_t)rows;
    part.sel_count = count;
    uint32_t *sel = agg->sel2;
    if (plan->filter != NULL) {
        uint32_t *passed = ox_arena_alloc(&op->scratch, VECTOR_MAX * sizeof(uint32_t));
        if (expr_select(&op->eval, plan->filter, &part, passed, &count, run_err(op->run)) != OX_OK)
            return EXEC_FAIL;
        part.sel = passed;
        part.sel_count = count;
    }
    memcpy(sel, part.sel, count * sizeof(*sel));
    if (count == 0)
        return EXEC_ROWS;
    for (uint32_t i = 0; i < plan->arg_count; i++)
        if (!op_eval(op, plan->args[i], &part, &call->args[i]))
            return EXEC_FAIL;
    if (plan->distinct) {
        if (agg->one)
            for (uint32_t k = 0; k < count; k++)
                agg->row_group[sel[k]] = 0;
        count = drop_seen(agg, call, sel, count);
    }
    if (call->sorter != NULL) {
        part.sel = sel;
        part.sel_count = count;
        return keep_for_order(agg, call, &part, sel, count);
    }
    return step(agg, call, call->args, sel, count) ? EXEC_ROWS : EXEC_FAIL;
}

/* A sorter that spills may be interrupted between calls: finish it on the spot,
 * a batch's worth at a time; the budget is looked at again by the next input. */
static bool
finish_sorter(struct aggregate *agg, struct agg_slot *call)
{
    struct exec_run *run = agg->op.run;
    run->sync_depth++;
    enum exec_status status = sorter_work(call->sorter);
    run->sync_depth--;
    return status == EXEC_ROWS;
}

static bool
take(struct aggregate *agg, const struct batch *in)
{
    uint32_t first = agg->parts.reading != NULL ? agg->parts.reading->set : 0;
    uint32_t last = agg->parts.reading != NULL ? first + 1 : set_count(agg);
    ox_arena_reset(&agg->op.scratch);
    for (uint32_t set = first; set < last; set++) {
        const uint32_t *rows = in->sel != NULL ? in->sel : agg->all;
        uint32_t count = in->sel != NULL ? in->sel_count : in->count;
        if (agg->one) {
            init_groups(agg, 1);
        } else {
            if (!find_groups(agg, in, set, &count))
                return false;
            rows = agg->sel;
        }
        for (uint32_t i = 0; i < agg->call_count; i++) {
            enum exec_status status = take_call(agg, &agg->calls[i], in, rows, count);
            if (status == EXEC_PARK)
                status = finish_sorter(agg, &agg->calls[i]) ? EXEC_ROWS : EXEC_FAIL;
            if (status != EXEC_ROWS)
                return false;
        }
    }
    agg->op.counters->memory_max = OX_MAX(agg->op.counters->memory_max, memory_used(agg));
    return true;
}

/* ---- phases -------------------------------------------------------------------------- */

static enum exec_status
read_input(struct aggregate *agg)
{
    struct op *op = &agg->op;
    for (;;) {
        struct batch *in;
        enum exec_status status = agg->parts.reading == NULL ? op_next(op->input, &in)
                                                             : spill_parts_read(&agg->parts, &in);
        if (status != EXEC_ROWS)
            return status == EXEC_DONE ? EXEC_ROWS : status;
        if (!take(agg, in))
            return EXEC_FAIL;
    }
}

/* The rows that waited for their order, group by group. */
static enum exec_status
step_sorted(struct aggregate *agg)
{
    for (; agg->at < agg->call_count; agg->at++) {
        struct agg_slot *call = &agg->calls[agg->at];
        if (call->sorter == NULL)
            continue;
        for (;;) {
            struct batch *in;
            enum exec_status status = sorter_next(call->sorter, &in);
            if (status == EXEC_DONE)
                break;
            if (status != EXEC_ROWS)
                return status;
            for (uint32_t row = 0; row < in->count; row++)
                agg->base[row] = group_states(agg, (uint32_t)in->cols[0].i[row]);
            if (!step(agg, call, in->cols + 1, agg->all, in->count))
                return EXEC_FAIL;
        }
        sorter_free(call->sorter);
        call->sorter = NULL;
    }
    return EXEC_ROWS;
}

/* An empty input still gives one row without GROUP BY, or for the set (). */
static void
add_empty_groups(struct aggregate *agg)
{
    const struct plan_aggregate *plan = plan_of(agg);
    if (agg->parts.reading != NULL)
        return;
    if (agg->one)
        init_groups(agg, 1);
    if (keytable_count(&agg->table) > 0)
        return;
    for (uint32_t set = 0; plan->sets != NULL && set < plan->set_count; set++) {
        if (plan->sets[set] != 0)
            continue;
        for (uint32_t i = 0; i < plan->key_count; i++)
            vector_constant(&agg->keys[i], agg->key_types[i], DATUM_NULL, &agg->op.scratch);
        vector_constant(
            &agg->keys[plan->key_count], TYPE(TYPE_INT8), datum_i64(set), &agg->op.scratch);
        uint32_t row = 0;
        keytable_hash(&agg->table, agg->keys, &row, 1, agg->hashes);
        keytable_find(&agg->table, agg->keys, &row, 1, agg->hashes, true, agg->ids);
        init_groups(agg, keytable_count(&agg->table));
    }
}

static void
give_groupings(struct aggregate *agg, struct batch *batch, const uint32_t *refs, uint32_t n)
{
    const struct plan_aggregate *plan = plan_of(agg);
    struct vector sets;
    if (plan->grouping_count > 0 && plan->sets != NULL)
        rows_gather(&agg->table.rows, plan->key_count, refs, n, &sets, &agg->op.scratch);
    for (uint32_t i = 0; i < plan->grouping_count; i++) {
        struct vector *col = &batch->cols[plan->key_count + plan->agg_count + i];
        const int32_t *values = plan->groupings + (size_t)i * set_count(agg);
        vector_init(col, TYPE(TYPE_INT4), n, &agg->op.scratch);
        for (uint32_t k = 0; k < n; k++)
            col->i[k] = values[plan->sets != NULL ? sets.i[k] : 0];
    }
}

static enum exec_status
give(struct aggregate *agg, struct batch **out)
{
    struct op *op = &agg->op;
    const struct plan_aggregate *plan = plan_of(agg);
    uint32_t n = OX_MIN(agg->groups - agg->at, (uint32_t)VECTOR_MAX);
    if (n == 0)
        return EXEC_DONE;
    if (run_over_budget(op->run))
        return EXEC_PARK;
    ox_arena_reset(&op->scratch);
    struct batch *batch = batch_new(&op->scratch, op->plan->column_count);
    uint32_t refs[VECTOR_MAX];
    for (uint32_t k = 0; k < n; k++)
        refs[k] = agg->at + k;
    for (uint32_t i = 0; i < plan->key_count; i++)
        rows_gather(&agg->table.rows, i, refs, n, &batch->cols[i], &op->scratch);
    for (uint32_t i = 0; i < agg->call_count; i++) {
        struct agg_slot *call = &agg->calls[i];
        struct vector *col = &batch->cols[plan->key_count + i];
        vector_init(col, call->plan->type, n, &op->scratch);
        for (uint32_t k = 0; k < n; k++) {
            struct datum value = DATUM_NULL;
            if (call->func->final(&call->call, group_states(agg, agg->at + k) + call->at, &value,
                    run_err(op->run)) != OX_OK)
                return EXEC_FAIL;
            if (value.null)
                vector_nulls(col, n, &op->scratch);
            vector_set(col, k, value);
        }
    }
    give_groupings(agg, batch, refs, n);
    batch->count = batch->sel_count = n;
    agg->at += n;
    *out = batch;
    return EXEC_ROWS;
}

static enum exec_status
aggregate_next(struct op *op, struct batch **out)
{
    struct aggregate *agg = (struct aggregate *)op;
    for (;;) {
        enum exec_status status;
        switch (agg->phase) {
        case READ:
            status = read_input(agg);
            if (status != EXEC_ROWS)
                return status;
            add_empty_groups(agg);
            agg->phase = SORTED;
            agg->at = 0;
            break;
        case SORTED:
            status = step_sorted(agg);
            if (status != EXEC_ROWS)
                return status;
            agg->phase = GIVE;
            agg->at = 0;
            op->counters->groups += agg->groups;
            break;
        case GIVE: {
            status = give(agg, out);
            if (status != EXEC_DONE)
                return status;
            bool more;
            if (!spill_parts_next(&agg->parts, &more))
                return EXEC_FAIL;
            if (!more)
                return EXEC_DONE;
            begin_round(agg);
            break;
        }
        }
    }
}

const struct op_ops op_aggregate = {
    .size = sizeof(struct aggregate),
    .open = aggregate_open,
    .next = aggregate_next,
    .close = aggregate_close,
};
