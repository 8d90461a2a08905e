/* SPDX-License-Identifier: Apache-2.0
 *
 * EXPLAIN: the plan as text, PostgreSQL's shape, a node a line, indented, with what
 * it does below it; or the same as one JSON document. Scans say what was pushed
 * down to them, and why a condition or a count was not. With ANALYZE the counters
 * of the run stand beside. */
#include <stdarg.h>
#include <stdio.h>

#include "exec/exec.h"
#include "sql/bind.h"

struct explain {
    const struct bound *bound;
    const struct exec_run *run;
    const struct explain_form *form;
    struct text *out;
    struct text value; /* of the property that is being written */
    int depth;         /* of the node that is being written */
    uint32_t items;    /* of the list that is being written */
};

static void explain_node(struct explain *ex, const struct plan *plan, const char *role,
    const char *role_name);

/* ---- properties of a node ---- */

static int
json_indent(const struct explain *ex)
{
    return ex->depth * 4 + 6;
}

static void
begin_property(struct explain *ex, const char *label)
{
    if (ex->form->json)
        ox_text_addf(ex->out, ",\n%*s\"%s\": ", json_indent(ex), "", label);
    else
        ox_text_addf(ex->out, "%*s%s: ", ex->depth * 6 + 2, "", label);
}

/* What was gathered in ex->value. */
static void
put_value(struct explain *ex)
{
    if (ex->form->json)
        json_quote(ox_text_str(&ex->value), ex->out);
    else
        ox_text_add(ex->out, ex->value.ptr, ex->value.len);
    ex->value.len = 0;
}

static void
put_property(struct explain *ex, const char *label)
{
    begin_property(ex, label);
    put_value(ex);
    if (!ex->form->json)
        ox_text_addc(ex->out, '\n');
}

static void
property(struct explain *ex, const char *label, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ox_text_adds(&ex->value, text);
    put_property(ex, label);
}

static void
number_property(struct explain *ex, const char *label, uint64_t number)
{
    begin_property(ex, label);
    ox_text_addf(ex->out, ex->form->json ? "%llu" : "%llu\n", (unsigned long long)number);
}

/* One of several under a label: a line each, or a JSON array. */
static void
put_item(struct explain *ex, const char *label)
{
    if (!ex->form->json) {
        put_property(ex, label);
        return;
    }
    if (ex->items++ == 0) {
        begin_property(ex, label);
        ox_text_addc(ex->out, '[');
    } else {
        ox_text_adds(ex->out, ", ");
    }
    put_value(ex);
}

static void
end_items(struct explain *ex)
{
    if (ex->items > 0)
        ox_text_addc(ex->out, ']');
    ex->items = 0;
}

static void
expr_property(struct explain *ex, const char *label, const struct expr *expr)
{
    if (expr == NULL)
        return;
    expr_deparse(expr, &ex->value);
    put_property(ex, label);
}

static void
add_key(struct explain *ex, const struct plan_key *key)
{
    expr_deparse(key->expr, &ex->value);
    if (key->desc)
        ox_text_adds(&ex->value, key->nulls_first ? " DESC" : " DESC NULLS LAST");
    else if (key->nulls_first)
        ox_text_adds(&ex->value, " NULLS FIRST");
}

/* Comma-separated text, an array in JSON. */
static void
put_listed(struct explain *ex, const char *label, bool last)
{
    if (ex->form->json)
        put_item(ex, label);
    else if (last)
        put_property(ex, label);
    else
        ox_text_adds(&ex->value, ", ");
}

static void
keys_property(struct explain *ex, const char *label, const struct plan_key *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        add_key(ex, &keys[i]);
        put_listed(ex, label, i + 1 == count);
    }
    end_items(ex);
}

static void
exprs_property(struct explain *ex, const char *label, struct expr *const *exprs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        expr_deparse(exprs[i], &ex->value);
        put_listed(ex, label, i + 1 == count);
    }
    end_items(ex);
}

/* ---- scans ---- */

static void
add_bound(struct text *to, const struct scan_bound *bound)
{
    static const char *const whats[] = {"_partition", "_offset", "_timestamp", "_key"};
    static const char *const ops[] = {"=", "<", "<=", ">", ">=", "IN"};
    bool array = bound->op == BOUND_IN && bound->value_count == 1 && bound->values[0]->type.array;
    ox_text_addf(to, "%s %s ", whats[bound->what], array ? "= ANY" : ops[bound->op]);
    if (bound->op == BOUND_IN)
        ox_text_addc(to, '(');
    for (uint32_t i = 0; i < bound->value_count; i++) {
        ox_text_adds(to, i > 0 ? ", " : "");
        expr_deparse(bound->values[i], to);
    }
    if (bound->op == BOUND_IN)
        ox_text_addc(to, ')');
}

/* What a bound cannot do, which is no fault of the statement. */
static const char *
limit_of_bound(const struct plan_scan_topic *scan, const struct scan_bound *bound)
{
    uint32_t partitions = 0;
    for (uint32_t i = 0; i < scan->topic_count; i++)
        partitions += scan->topics[i].partition_count;
    if (bound->what == BOUND_KEY && partitions > 1)
        return "all partitions are read for a key, since any producer may have placed it";
    if (bound->what == BOUND_TIMESTAMP && (bound->op == BOUND_LT || bound->op == BOUND_LE))
        return "the upper bound on _timestamp skips batches only where the broker gave the time";
    return NULL;
}

static void
position_property(struct explain *ex, const char *label, const char *what,
    const struct expr *value)
{
    ox_text_adds(&ex->value, what);
    if (value != NULL) {
        ox_text_addc(&ex->value, ' ');
        expr_deparse(value, &ex->value);
    }
    put_property(ex, label);
}

static void
scan_sample(struct explain *ex, const struct plan_scan_topic *scan)
{
    if (scan->sample_percent == NULL)
        return;
    ox_text_addf(&ex->value, "%s (", scan->sample_records ? "bernoulli" : "system");
    expr_deparse(scan->sample_percent, &ex->value);
    ox_text_addc(&ex->value, ')');
    if (scan->sample_seed != NULL) {
        ox_text_adds(&ex->value, " REPEATABLE (");
        expr_deparse(scan->sample_seed, &ex->value);
        ox_text_addc(&ex->value, ')');
    }
    put_property(ex, "Sampling");
}

static void
scan_details(struct explain *ex, const struct plan_scan_topic *scan)
{
    static const char *const starts[] = {"the beginning", "the end", "offset", "offsets",
        "timestamp", "the last rows", "the last interval", "token"};
    static const char *const untils[] = {"never", "the end when it started", "offset", "offsets",
        "timestamp", "idle"};
    for (uint32_t i = 0; i < scan->bound_count; i++) {
        add_bound(&ex->value, &scan->bounds[i]);
        put_item(ex, "Pushed down");
    }
    end_items(ex);
    for (uint32_t i = 0; i < scan->note_count; i++) {
        expr_deparse(scan->notes[i].condition, &ex->value);
        ox_text_addf(&ex->value, ": %s", scan->notes[i].why);
        put_item(ex, "Not pushed down");
    }
    end_items(ex);
    for (uint32_t i = 0; i < scan->bound_count && ex->form->verbose; i++) {
        const char *limit = limit_of_bound(scan, &scan->bounds[i]);
        if (limit == NULL)
            continue;
        ox_text_adds(&ex->value, limit);
        put_item(ex, "Note");
    }
    end_items(ex);
    for (uint32_t i = 0; i < scan->needle_count; i++) {
        ox_text_addf(&ex->value, "record contains \"%.*s\"", OX_STR_ARG(scan->needles[i]));
        put_item(ex, "Prefilter");
    }
    end_items(ex);
    scan_sample(ex, scan);
    if (scan->limit > 0)
        property(ex, "Stops after", "%llu rows", (unsigned long long)scan->limit);
    if (scan->follow) {
        position_property(ex, "From", starts[scan->start], scan->start_value);
        position_property(ex, "Until", untils[scan->until], scan->until_value);
    }
    if (!ex->form->verbose || scan->plan.column_count == 0)
        return;
    for (uint32_t i = 0; i < scan->plan.column_count; i++)
        ox_text_addf(&ex->value, "%s%.*s", i ? ", " : "",
            OX_STR_ARG(scan->plan.columns[i].name));
    put_property(ex, "Output");
}

static void
add_topics(struct text *to, const struct plan_scan_topic *scan)
{
    for (uint32_t i = 0; i < scan->topic_count; i++)
        ox_text_addf(to, "%s%.*s", i ? ", " : "", OX_STR_ARG(scan->topics[i].name));
    if (scan->topic_count == 0)
        ox_text_adds(to, "no topic");
}

/* ---- titles ---- */

static const struct plan_scan_topic *
scanned(const struct plan *plan)
{
    return plan->kind == PLAN_SCAN_TOPIC     ? (const struct plan_scan_topic *)plan
           : plan->kind == PLAN_SCAN_HEADERS ? ((const struct plan_scan_headers *)plan)->scan
                                             : NULL;
}

static const char *
join_name(const struct plan *plan)
{
    static const char *const joins[] = {"Inner", "Left", "Right", "Full", "Semi", "Anti"};
    return plan->kind == PLAN_JOIN_HASH   ? joins[((const struct plan_join_hash *)plan)->kind]
           : plan->kind == PLAN_JOIN_LOOP ? joins[((const struct plan_join_loop *)plan)->kind]
                                          : NULL;
}

static struct str
relation_of(const struct plan *plan)
{
    return plan->kind == PLAN_CTE_SCAN ? ((const struct plan_cte_scan *)plan)->cte->name
           : plan->kind == PLAN_INSERT ? ((const struct plan_insert *)plan)->topic.name
                                       : OX_STR_NULL;
}

static void
text_title(struct explain *ex, const struct plan *plan)
{
    const struct plan_scan_topic *scan = scanned(plan);
    const char *join = join_name(plan);
    struct str relation = relation_of(plan);
    ox_text_adds(ex->out, plan_kind_name(plan->kind));
    if (scan != NULL) {
        ox_text_adds(ex->out, scan->order == SCAN_ORDER_OFFSET_DESC ? " Backward on " : " on ");
        add_topics(ex->out, scan);
    }
    if (join != NULL && join[0] != 'I')
        ox_text_addf(ex->out, " %s", join);
    if (relation.ptr != NULL)
        ox_text_addf(ex->out, " on %.*s", OX_STR_ARG(relation));
    if (plan->kind == PLAN_VALUES)
        ox_text_addf(ex->out, "  (rows=%u)", ((const struct plan_values *)plan)->row_count);
}

static void
json_title(struct explain *ex, const struct plan *plan)
{
    const struct plan_scan_topic *scan = scanned(plan);
    const char *join = join_name(plan);
    struct str relation = relation_of(plan);
    ox_text_addf(ex->out, "%*s\"Node Type\": \"%s\"", json_indent(ex), "",
        plan_kind_name(plan->kind));
    if (scan != NULL) {
        property(ex, "Scan Direction",
            scan->order == SCAN_ORDER_OFFSET_DESC ? "Backward" : "Forward");
        for (uint32_t i = 0; i < scan->topic_count; i++) {
            ox_text_add(&ex->value, scan->topics[i].name.ptr, scan->topics[i].name.len);
            put_item(ex, "Topics");
        }
        end_items(ex);
    }
    if (join != NULL)
        property(ex, "Join Type", "%s", join);
    if (relation.ptr != NULL)
        property(ex, plan->kind == PLAN_CTE_SCAN ? "CTE Name" : "Relation Name", "%.*s",
            OX_STR_ARG(relation));
    if (plan->kind == PLAN_VALUES)
        number_property(ex, "Rows", ((const struct plan_values *)plan)->row_count);
}

/* ---- counters of ANALYZE ---- */

static void
text_counters(struct explain *ex, const struct plan *plan, const struct exec_counters *c)
{
    int indent = ex->depth * 6 + 2;
    ox_text_adds(ex->out, "  (actual ");
    if (ex->form->timing)
        ox_text_addf(ex->out, "time=%.3f..%.3f ", (double)c->first_ns / 1e6,
            (double)c->time_ns / 1e6);
    ox_text_addf(ex->out, "rows=%llu loops=%llu)\n", (unsigned long long)c->rows,
        (unsigned long long)c->loops);
    if (scanned(plan) != NULL)
        ox_text_addf(ex->out,
            "%*sPartitions: %u of %u  Batches: %llu read, %llu skipped  Records: %llu read, "
            "%llu decoded  Bytes: %llu\n",
            indent, "", c->partitions, c->partitions_total, (unsigned long long)c->batches_read,
            (unsigned long long)c->batches_skipped, (unsigned long long)c->records_read,
            (unsigned long long)c->records_decoded, (unsigned long long)c->bytes_read);
    if (c->memory_max > 0)
        ox_text_addf(ex->out, "%*sMemory: %llu kB%s", indent, "",
            (unsigned long long)(c->memory_max + 1023) / 1024, c->spill_bytes ? "" : "\n");
    if (c->spill_bytes > 0)
        ox_text_addf(ex->out, "  Disk: %llu kB in %u parts\n",
            (unsigned long long)(c->spill_bytes + 1023) / 1024, c->spill_parts);
}

static void
json_counters(struct explain *ex, const struct plan *plan, const struct exec_counters *c)
{
    if (ex->form->timing) {
        begin_property(ex, "Actual Startup Time");
        ox_text_addf(ex->out, "%.3f", (double)c->first_ns / 1e6);
        begin_property(ex, "Actual Total Time");
        ox_text_addf(ex->out, "%.3f", (double)c->time_ns / 1e6);
    }
    number_property(ex, "Actual Rows", c->rows);
    number_property(ex, "Actual Loops", c->loops);
    if (scanned(plan) != NULL) {
        number_property(ex, "Partitions Read", c->partitions);
        number_property(ex, "Partitions", c->partitions_total);
        number_property(ex, "Batches Read", c->batches_read);
        number_property(ex, "Batches Skipped", c->batches_skipped);
        number_property(ex, "Records Read", c->records_read);
        number_property(ex, "Records Decoded", c->records_decoded);
        number_property(ex, "Bytes Read", c->bytes_read);
    }
    if (c->memory_max > 0)
        number_property(ex, "Peak Memory Usage", (c->memory_max + 1023) / 1024);
    if (c->spill_bytes > 0)
        number_property(ex, "Disk Usage", (c->spill_bytes + 1023) / 1024);
}

/* ---- what each kind does ---- */

static void
aggregate_details(struct explain *ex, const struct plan_aggregate *agg)
{
    exprs_property(ex, "Group Key", agg->keys, agg->key_count);
    for (uint32_t set = 0; agg->sets != NULL && set < agg->set_count; set++) {
        const char *part = "(";
        for (uint32_t i = 0; i < agg->key_count; i++)
            if ((agg->sets[set] >> i & 1) != 0) {
                ox_text_adds(&ex->value, part);
                expr_deparse(agg->keys[i], &ex->value);
                part = ", ";
            }
        ox_text_adds(&ex->value, part[0] == '(' ? "()" : ")");
        put_item(ex, "Grouping Set");
    }
    end_items(ex);
    if (ex->bound->why_no_headers != NULL)
        property(ex, "Batch headers not used", "%s", ex->bound->why_no_headers);
}

static void
window_details(struct explain *ex, const struct plan_window *window)
{
    exprs_property(ex, "Partition Key", window->partition, window->partition_count);
    keys_property(ex, "Order Key", window->order, window->order_count);
}

static void
details(struct explain *ex, const struct plan *plan)
{
    switch (plan->kind) {
    case PLAN_SCAN_TOPIC: scan_details(ex, (const struct plan_scan_topic *)plan); break;
    case PLAN_SCAN_HEADERS:
        property(ex, "Reads", "batch headers only");
        scan_details(ex, scanned(plan));
        break;
    case PLAN_FILTER:
        expr_property(ex, "Filter", ((const struct plan_filter *)plan)->condition);
        break;
    case PLAN_PROJECT:
        exprs_property(ex, "Output", ((const struct plan_project *)plan)->exprs,
            plan->column_count);
        break;
    case PLAN_SORT:
        keys_property(ex, "Sort Key", ((const struct plan_sort *)plan)->keys,
            ((const struct plan_sort *)plan)->key_count);
        expr_property(ex, "Keeps first", ((const struct plan_sort *)plan)->limit);
        break;
    case PLAN_AGGREGATE: aggregate_details(ex, (const struct plan_aggregate *)plan); break;
    case PLAN_WINDOW: window_details(ex, (const struct plan_window *)plan); break;
    case PLAN_JOIN_HASH: {
        const struct plan_join_hash *join = (const struct plan_join_hash *)plan;
        exprs_property(ex, "Left Key", join->left_keys, join->key_count);
        exprs_property(ex, "Right Key", join->right_keys, join->key_count);
        expr_property(ex, "Join Filter", join->condition);
        break;
    }
    case PLAN_JOIN_LOOP:
        expr_property(ex, "Join Filter", ((const struct plan_join_loop *)plan)->condition);
        break;
    case PLAN_DISTINCT:
        exprs_property(ex, "Distinct On", ((const struct plan_distinct *)plan)->exprs,
            ((const struct plan_distinct *)plan)->expr_count);
        break;
    case PLAN_LIMIT:
        expr_property(ex, "Limit", ((const struct plan_limit *)plan)->limit);
        if (((const struct plan_limit *)plan)->tie_count > 0)
            property(ex, "Ties", "with the last row");
        expr_property(ex, "Offset", ((const struct plan_limit *)plan)->offset);
        break;
    case PLAN_FUNCTION_SCAN:
        exprs_property(ex, "Function Call", ((const struct plan_function_scan *)plan)->calls,
            ((const struct plan_function_scan *)plan)->call_count);
        break;
    case PLAN_SCAN_CATALOG: {
        struct str sql = ((const struct plan_scan_catalog *)plan)->sql;
        if (!ex->form->verbose)
            break;
        ox_text_add(&ex->value, sql.ptr, sql.len);
        put_property(ex, "SQLite");
        break;
    }
    case PLAN_SUBSCRIBE:
        if (((const struct plan_subscribe *)plan)->limit > 0)
            number_property(ex, "Limit", ((const struct plan_subscribe *)plan)->limit);
        break;
    default: break;
    }
}

/* ---- the tree ---- */

static void
node_begin(struct explain *ex, const struct plan *plan, const char *role, const char *role_name)
{
    const struct exec_counters *c = ex->run != NULL ? exec_run_counters(ex->run, plan->id) : NULL;
    if (ex->form->json) {
        ox_text_addf(ex->out, "%*s{\n", json_indent(ex) - 2, "");
        json_title(ex, plan);
        if (role != NULL)
            property(ex, "Parent Relationship", "%s", role);
        if (role_name != NULL)
            property(ex, "Subplan Name", "%s", role_name);
        if (c != NULL)
            json_counters(ex, plan, c);
        return;
    }
    if (ex->depth > 0)
        ox_text_addf(ex->out, "%*s->  ", ex->depth * 6 - 4, "");
    text_title(ex, plan);
    if (c != NULL)
        text_counters(ex, plan, c);
    else
        ox_text_addc(ex->out, '\n');
}

struct children {
    struct explain *ex;
    uint32_t count;
};

static void
child(struct children *to, const struct plan *plan, const char *role, const char *role_name)
{
    struct explain *ex = to->ex;
    if (plan == NULL)
        return;
    if (ex->form->json)
        ox_text_addf(ex->out, to->count == 0 ? ",\n%*s\"Plans\": [\n" : ",\n", json_indent(ex), "");
    else if (role_name != NULL)
        ox_text_addf(ex->out, "%*s%s\n", ex->depth * 6 + 2, "", role_name);
    to->count++;
    ex->depth++;
    explain_node(ex, plan, role, role_name);
    ex->depth--;
}

/* WITH queries and subqueries, below the topmost node. */
static void
root_children(struct children *to)
{
    const struct plan_root *root = &to->ex->bound->root;
    char name[300];
    for (uint32_t i = 0; i < root->cte_count; i++) {
        snprintf(name, sizeof(name), "CTE %.*s", OX_STR_ARG(root->ctes[i]->name));
        child(to, root->ctes[i]->definition, "InitPlan", name);
    }
    for (uint32_t i = 0; i < root->subquery_count; i++) {
        snprintf(name, sizeof(name), "InitPlan %u", i + 1);
        child(to, root->subqueries[i]->subplan, "InitPlan", name);
    }
    for (uint32_t i = 0; i < root->row_subquery_count; i++) {
        snprintf(name, sizeof(name), "SubPlan %u", root->subquery_count + i + 1);
        child(to, root->row_subqueries[i]->subplan, "SubPlan", name);
    }
}

/* A projection says nothing to most readers. */
static const struct plan *
shown(const struct explain *ex, const struct plan *plan)
{
    while (!ex->form->verbose && plan->kind == PLAN_PROJECT && plan->input != NULL)
        plan = plan->input;
    return plan;
}

static void
explain_node(struct explain *ex, const struct plan *plan, const char *role, const char *role_name)
{
    struct children children = {ex, 0};
    plan = shown(ex, plan);
    node_begin(ex, plan, role, role_name);
    details(ex, plan);
    if (plan->kind == PLAN_APPEND)
        for (uint32_t i = 0; i < ((const struct plan_append *)plan)->input_count; i++)
            child(&children, ((const struct plan_append *)plan)->inputs[i], "Member", NULL);
    child(&children, plan->input, plan->right != NULL ? "Outer" : "Member", NULL);
    child(&children, plan->right, "Inner", NULL);
    if (plan == shown(ex, ex->bound->root.plan))
        root_children(&children);
    if (!ex->form->json)
        return;
    if (children.count > 0)
        ox_text_addf(ex->out, "\n%*s]", json_indent(ex), "");
    ox_text_addf(ex->out, "\n%*s}", json_indent(ex) - 2, "");
}

void
explain_plan(const struct bound *bound, const struct exec_run *run,
    const struct explain_form *form, struct text *out)
{
    struct explain ex = {.bound = bound, .run = run, .form = form, .out = out};
    ox_text_init(&ex.value, NULL);
    if (form->json)
        ox_text_adds(out, "[\n  {\n    \"Plan\":\n");
    explain_node(&ex, bound->root.plan, NULL, NULL);
    if (form->json) {
        if (form->summary)
            ox_text_addf(out, ",\n    \"Planning Time\": %.3f", (double)form->plan_ns / 1e6);
        if (form->summary && run != NULL)
            ox_text_addf(out, ",\n    \"Execution Time\": %.3f", (double)form->run_ns / 1e6);
        ox_text_adds(out, "\n  }\n]");
    } else if (form->summary) {
        ox_text_addf(out, "Planning Time: %.3f ms\n", (double)form->plan_ns / 1e6);
        if (run != NULL)
            ox_text_addf(out, "Execution Time: %.3f ms\n", (double)form->run_ns / 1e6);
    }
    ox_text_fini(&ex.value);
}
