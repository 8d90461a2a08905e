/* SPDX-License-Identifier: Apache-2.0
 *
 * EXPLAIN: the plan as text, PostgreSQL's shape: a node a line, indented, with
 * what it does below it; for scans what was pushed down, and why a count was not
 * taken from headers. With ANALYZE the counters of the run stand beside. */
#include <stdio.h>

#include "exec/exec.h"
#include "sql/bind.h"

struct explain {
    const struct bound *bound;
    const struct exec_run *run;
    bool verbose;
    struct text *out;
};

static void explain_node(struct explain *ex, const struct plan *plan, int depth, bool arrow);

static void
line(struct explain *ex, int depth, const char *label)
{
    ox_text_addf(ex->out, "%*s%s", depth * 6 + 2, "", label);
}

static void
expr_line(struct explain *ex, int depth, const char *label, const struct expr *expr)
{
    if (expr == NULL)
        return;
    line(ex, depth, label);
    ox_text_adds(ex->out, ": ");
    expr_deparse(expr, ex->out);
    ox_text_addc(ex->out, '\n');
}

static void
key_line(struct explain *ex, int depth, const char *label, const struct plan_key *keys,
    uint32_t count)
{
    line(ex, depth, label);
    for (uint32_t i = 0; i < count; i++) {
        ox_text_adds(ex->out, i == 0 ? ": " : ", ");
        expr_deparse(keys[i].expr, ex->out);
        if (keys[i].desc)
            ox_text_adds(ex->out, keys[i].nulls_first ? " DESC" : " DESC NULLS LAST");
        else if (keys[i].nulls_first)
            ox_text_adds(ex->out, " NULLS FIRST");
    }
    ox_text_addc(ex->out, '\n');
}

static void
list_line(struct explain *ex, int depth, const char *label, struct expr *const *exprs,
    uint32_t count)
{
    if (count == 0)
        return;
    line(ex, depth, label);
    for (uint32_t i = 0; i < count; i++) {
        ox_text_adds(ex->out, i == 0 ? ": " : ", ");
        expr_deparse(exprs[i], ex->out);
    }
    ox_text_addc(ex->out, '\n');
}

/* ---- scans ---- */

static void
bound_text(struct explain *ex, const struct scan_bound *bound)
{
    static const char *const whats[] = {"_partition", "_offset", "_timestamp", "_key"};
    static const char *const ops[] = {"=", "<", "<=", ">", ">=", "IN"};
    ox_text_addf(ex->out, "%s %s ", whats[bound->what], ops[bound->op]);
    if (bound->op == BOUND_IN)
        ox_text_addc(ex->out, '(');
    for (uint32_t i = 0; i < bound->value_count; i++) {
        ox_text_adds(ex->out, i > 0 ? ", " : "");
        expr_deparse(bound->values[i], ex->out);
    }
    if (bound->op == BOUND_IN)
        ox_text_addc(ex->out, ')');
}

static void
scan_lines(struct explain *ex, const struct plan_scan_topic *scan, int depth)
{
    static const char *const starts[] = {"the beginning", "the end", "offset", "offsets",
        "timestamp", "the last rows", "the last interval", "token"};
    static const char *const untils[] = {"never", "the end when it started", "offset", "offsets",
        "timestamp", "idle"};
    for (uint32_t i = 0; i < scan->bound_count; i++) {
        ox_text_addf(ex->out, "%*s%s: ", depth * 6 + 2, "", "Pushed down");
        bound_text(ex, &scan->bounds[i]);
        ox_text_addc(ex->out, '\n');
    }
    for (uint32_t i = 0; i < scan->needle_count; i++)
        ox_text_addf(ex->out, "%*sPrefilter: record contains \"%.*s\"\n", depth * 6 + 2, "",
            OX_STR_ARG(scan->needles[i]));
    if (scan->limit > 0)
        ox_text_addf(ex->out, "%*sStops after: %llu rows\n", depth * 6 + 2, "",
            (unsigned long long)scan->limit);
    if (scan->follow)
        ox_text_addf(ex->out, "%*sFrom: %s  Until: %s\n", depth * 6 + 2, "", starts[scan->start],
            untils[scan->until]);
    if (ex->verbose && scan->plan.column_count > 0) {
        line(ex, depth, "Output: ");
        for (uint32_t i = 0; i < scan->plan.column_count; i++)
            ox_text_addf(ex->out, "%s%.*s", i ? ", " : "", OX_STR_ARG(scan->plan.columns[i].name));
        ox_text_addc(ex->out, '\n');
    }
}

static void
scan_title(struct explain *ex, const struct plan_scan_topic *scan)
{
    if (scan->order == SCAN_ORDER_OFFSET_DESC)
        ox_text_adds(ex->out, " Backward");
    ox_text_adds(ex->out, " on ");
    for (uint32_t i = 0; i < scan->topic_count; i++)
        ox_text_addf(ex->out, "%s%.*s", i ? ", " : "", OX_STR_ARG(scan->topics[i].name));
}

/* ---- nodes ---- */

static void
title(struct explain *ex, const struct plan *plan)
{
    static const char *const joins[] = {"", " Left", " Right", " Full", " Semi", " Anti"};
    ox_text_adds(ex->out, plan_kind_name(plan->kind));
    if (plan->kind == PLAN_SCAN_TOPIC)
        scan_title(ex, (const struct plan_scan_topic *)plan);
    else if (plan->kind == PLAN_SCAN_HEADERS)
        scan_title(ex, ((const struct plan_scan_headers *)plan)->scan);
    else if (plan->kind == PLAN_JOIN_HASH)
        ox_text_adds(ex->out, joins[((const struct plan_join_hash *)plan)->kind]);
    else if (plan->kind == PLAN_JOIN_LOOP)
        ox_text_adds(ex->out, joins[((const struct plan_join_loop *)plan)->kind]);
    else if (plan->kind == PLAN_CTE_SCAN)
        ox_text_addf(ex->out, " on %.*s",
            OX_STR_ARG(((const struct plan_cte_scan *)plan)->cte->name));
    else if (plan->kind == PLAN_INSERT)
        ox_text_addf(ex->out, " on %.*s",
            OX_STR_ARG(((const struct plan_insert *)plan)->topic.name));
    else if (plan->kind == PLAN_VALUES)
        ox_text_addf(ex->out, "  (rows=%u)", ((const struct plan_values *)plan)->row_count);
}

static void
counters(struct explain *ex, const struct plan *plan, int depth)
{
    const struct exec_counters *c = exec_run_counters(ex->run, plan->id);
    ox_text_addf(ex->out, "  (actual time=%.3f..%.3f rows=%llu loops=%llu)\n",
        (double)c->first_ns / 1e6, (double)c->time_ns / 1e6, (unsigned long long)c->rows,
        (unsigned long long)c->loops);
    if (plan->kind == PLAN_SCAN_TOPIC || plan->kind == PLAN_SCAN_HEADERS)
        ox_text_addf(ex->out,
            "%*sPartitions: %u of %u  Batches: %llu read, %llu skipped  Records: %llu read, "
            "%llu decoded  Bytes: %llu\n",
            depth * 6 + 2, "", c->partitions, c->partitions_total,
            (unsigned long long)c->batches_read, (unsigned long long)c->batches_skipped,
            (unsigned long long)c->records_read, (unsigned long long)c->records_decoded,
            (unsigned long long)c->bytes_read);
    if (c->memory_max > 0)
        ox_text_addf(ex->out, "%*sMemory: %llu kB%s", depth * 6 + 2, "",
            (unsigned long long)(c->memory_max + 1023) / 1024, c->spill_bytes ? "" : "\n");
    if (c->spill_bytes > 0)
        ox_text_addf(ex->out, "  Disk: %llu kB in %u parts\n",
            (unsigned long long)(c->spill_bytes + 1023) / 1024, c->spill_parts);
}

static void
aggregate_lines(struct explain *ex, const struct plan_aggregate *agg, int depth)
{
    list_line(ex, depth, "Group Key", agg->keys, agg->key_count);
    if (ex->bound->why_no_headers != NULL)
        ox_text_addf(ex->out, "%*sBatch headers not used: %s\n", depth * 6 + 2, "",
            ex->bound->why_no_headers);
}

static void
details(struct explain *ex, const struct plan *plan, int depth)
{
    switch (plan->kind) {
    case PLAN_SCAN_TOPIC: scan_lines(ex, (const struct plan_scan_topic *)plan, depth); break;
    case PLAN_SCAN_HEADERS:
        line(ex, depth, "Reads: batch headers only\n");
        scan_lines(ex, ((const struct plan_scan_headers *)plan)->scan, depth);
        break;
    case PLAN_FILTER:
        expr_line(ex, depth, "Filter", ((const struct plan_filter *)plan)->condition);
        break;
    case PLAN_PROJECT:
        if (ex->verbose)
            list_line(ex, depth, "Output", ((const struct plan_project *)plan)->exprs,
                plan->column_count);
        break;
    case PLAN_SORT:
        key_line(ex, depth, "Sort Key", ((const struct plan_sort *)plan)->keys,
            ((const struct plan_sort *)plan)->key_count);
        break;
    case PLAN_AGGREGATE: aggregate_lines(ex, (const struct plan_aggregate *)plan, depth); break;
    case PLAN_JOIN_HASH: {
        const struct plan_join_hash *join = (const struct plan_join_hash *)plan;
        list_line(ex, depth, "Left Key", join->left_keys, join->key_count);
        list_line(ex, depth, "Right Key", join->right_keys, join->key_count);
        expr_line(ex, depth, "Join Filter", join->condition);
        break;
    }
    case PLAN_JOIN_LOOP:
        expr_line(ex, depth, "Join Filter", ((const struct plan_join_loop *)plan)->condition);
        break;
    case PLAN_LIMIT:
        expr_line(ex, depth, "Limit", ((const struct plan_limit *)plan)->limit);
        expr_line(ex, depth, "Offset", ((const struct plan_limit *)plan)->offset);
        break;
    case PLAN_FUNCTION_SCAN:
        for (uint32_t i = 0; i < ((const struct plan_function_scan *)plan)->call_count; i++)
            expr_line(ex, depth, "Function Call",
                ((const struct plan_function_scan *)plan)->calls[i]);
        break;
    case PLAN_SCAN_CATALOG:
        if (ex->verbose)
            ox_text_addf(ex->out, "%*sSQLite: %.*s\n", depth * 6 + 2, "",
                OX_STR_ARG(((const struct plan_scan_catalog *)plan)->sql));
        break;
    default: break;
    }
}

static void
explain_node(struct explain *ex, const struct plan *plan, int depth, bool arrow)
{
    if (plan == NULL)
        return;
    if (!ex->verbose && plan->kind == PLAN_PROJECT) { /* says nothing to most readers */
        explain_node(ex, plan->input, depth, arrow);
        return;
    }
    if (arrow)
        ox_text_addf(ex->out, "%*s->  ", depth * 6 - 4, "");
    title(ex, plan);
    if (ex->run != NULL)
        counters(ex, plan, depth);
    else
        ox_text_addc(ex->out, '\n');
    details(ex, plan, depth);
    if (plan->kind == PLAN_APPEND)
        for (uint32_t i = 0; i < ((const struct plan_append *)plan)->input_count; i++)
            explain_node(ex, ((const struct plan_append *)plan)->inputs[i], depth + 1, true);
    explain_node(ex, plan->input, depth + 1, true);
    explain_node(ex, plan->right, depth + 1, true);
}

void
explain_plan(const struct bound *bound, const struct exec_run *run, bool verbose,
    struct text *out)
{
    struct explain ex = {bound, run, verbose, out};
    explain_node(&ex, bound->root.plan, 0, false);
    for (uint32_t i = 0; i < bound->root.cte_count; i++) {
        const struct plan_cte *cte = bound->root.ctes[i];
        ox_text_addf(out, "  CTE %.*s\n", OX_STR_ARG(cte->name));
        explain_node(&ex, cte->definition, 1, true);
    }
}
