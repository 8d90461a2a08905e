/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the binder: scopes, relations, and how columns are numbered.
 *
 * While a query is bound nobody knows yet at which place of which batch a column
 * will stand: scans give only what is used, joins are still to be shaped. So
 * every column has an id, EXPR_COLUMN.column holds the id, and when a plan node
 * is built over an input whose layout (ids in order) is known, the ids of its
 * expressions are replaced by places (bind_resolve). */
#ifndef SQL_BIND_INT_H
#define SQL_BIND_INT_H

#include "sql/bind.h"

enum { BIND_RELS_MAX = 64, BIND_DEPTH_MAX = 200, BIND_COLUMNS_MAX = 1664 };
/* Memory of a statement's bound expressions. */
enum { BIND_BYTES_MAX = 512 << 20 };

struct scope;

/* A column of a relation in FROM. */
struct rel_column {
    struct str name;
    struct type type;
    uint32_t id;
    bool hidden; /* a system column: not part of * */
    bool used;
    int16_t attnum;
    struct expr *merged; /* of JOIN USING: what it stands for; else NULL */
    const struct expr *shape; /* of a record: a row with its fields, or NULL */
};

enum rel_kind { REL_TOPIC, REL_CATALOG, REL_PLAN, REL_FUNCTION };

struct rel {
    enum rel_kind kind;
    uint32_t number; /* in its scope: bit of a mask */
    struct str alias, schema;
    struct rel_column *columns;
    uint32_t column_count;
    uint32_t oid; /* pg_class oid, or 0 */
    /* REL_TOPIC */
    struct plan_topic *topics;
    uint32_t topic_count;
    const struct plan_scan_topic *shape; /* follow, start, until, uncommitted; or NULL */
    struct scan_bound *bounds; /* of read_topic() and the like */
    uint32_t bound_count;
    enum scan_order order;
    uint64_t limit;
    struct expr *sample_percent, *sample_seed; /* TABLESAMPLE */
    bool sample_records;
    struct plan_scan_topic *scan; /* once built */
    /* REL_CATALOG */
    const struct syscat_relation *catalog;
    /* REL_PLAN, REL_FUNCTION: columns are the plan's, in order */
    struct plan *plan;
};

/* A reference from an inner query to a column of this scope. */
struct outer_ref {
    struct expr *node;      /* EXPR_OUTER */
    const struct expr *via; /* the subquery expression it is below; NULL: a lateral item */
    struct outer_ref *next;
};

struct bound_agg {
    struct plan_agg agg;
    uint32_t id;
};

/* A call of GROUPING(). */
struct bound_grouping {
    struct expr **args;
    uint32_t count, id;
    int pos;
};

struct bound_window {
    struct window_call call;
    struct expr **partition;
    uint32_t partition_count;
    struct plan_key *order;
    uint32_t order_count;
    uint32_t id;
    bool done;
};

struct bound_srf {
    struct expr *call;
    uint32_t id, count; /* of its first column, and how many there are */
};

/* One name of WITH. */
struct cte_entry {
    struct cte_entry *next; /* visible before it */
    struct str name;
    uint32_t depth; /* of the query that has it */
    struct plan_column *columns;
    uint32_t column_count;
    struct plan_cte *cte;                 /* finished */
    const struct plan_recursive *working; /* inside its own recursive term */
    bool not_here; /* inside the term before that, which must not read it */
};

/* Where an expression stands decides what it may hold. */
enum bind_place { PLACE_TARGET, PLACE_WHERE, PLACE_ON, PLACE_GROUP, PLACE_HAVING, PLACE_ORDER,
    PLACE_LIMIT, PLACE_VALUES, PLACE_FUNCTION, PLACE_AGG, PLACE_WINDOW, PLACE_OPTION };

/* One query level. */
struct scope {
    struct scope *parent; /* what the level's EXPR_OUTER 1 sees; NULL: none */
    uint32_t depth;
    struct rel *rels[BIND_RELS_MAX];
    uint32_t rel_count;
    struct rel_column **visible; /* for unqualified names and * */
    uint32_t visible_count;
    struct outer_ref *refs;
    struct expr *subquery; /* being bound right now, as via */
    enum bind_place place;
    bool can_aggregate;
    struct bound_agg *aggs;
    uint32_t agg_count;
    size_t agg_cap;
    struct bound_window *windows;
    uint32_t window_count;
    size_t window_cap;
    struct bound_grouping *groupings;
    uint32_t grouping_count;
    size_t grouping_cap;
    struct bound_srf *srfs;
    uint32_t srf_count;
    size_t srf_cap;
    const struct ast_list *named_windows;
};

struct bind {
    const struct bind_config *config;
    struct arena *arena;
    struct expr_bind eb;
    struct scope *scope;
    struct cte_entry *ctes;
    uint32_t next_id;
    uint32_t depth; /* recursion of the binder */
    bool live;
    const struct plan_scan_topic *follow; /* SUBSCRIBE (query): how its topic is read */
    const struct ast_list *follow_partitions;
    const char *why_no_headers;
    struct ox_err *err;
};

/* A plan and the ids of its columns, in order. */
struct fragment {
    struct plan *plan;
    const uint32_t *ids;
    uint32_t count;
};

/* A bound query: plan columns are its output. */
struct query {
    struct plan *plan;
    struct sql_column *columns;
    uint32_t count;
};

/* What a simple SELECT collects. */
struct simple {
    const struct ast_select *ast;
    struct scope *scope;
    struct from_item *from;
    struct expr *where, *having;
    struct expr **targets;
    struct sql_column *columns;
    uint32_t target_count;
    struct expr **group;
    uint32_t *group_ids;
    uint32_t group_count;
    size_t group_cap, group_id_cap;
    bool group_wide;      /* more keys than a mask has bits */
    uint64_t *sets;       /* GROUPING SETS: masks of keys; NULL: all keys */
    uint32_t set_count;
    struct plan_key *keys; /* ORDER BY; expr NULL: target number at key_targets */
    uint32_t *key_targets;
    uint32_t key_count;
    struct expr **distinct_on;
    uint32_t distinct_count;
    bool grouped;
};

/* ---- bind.c ---- */
void bind_init(struct bind *b, const struct bind_config *config, struct arena *arena,
    struct ox_err *err);
/* The plan is done: number it; positions of errors become characters. */
ox_code bind_finish(struct bind *b, ox_code code, const struct query *query, struct bound *out);
ox_code bind_fail(struct bind *b, ox_code code, int pos, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void bind_resolve(struct expr *expr, const struct scope *scope, const uint32_t *ids,
    uint32_t count, bool *missing);
/* Of a condition over one scope: which relations it looks at. */
uint64_t bind_rels_of(const struct scope *scope, const struct expr *expr);

/* ---- bind_query.c ---- */
ox_code bind_query(struct bind *b, const struct ast_select *select, struct scope *parent,
    struct query *out);
/* Targets over a scope: for RETURNING and SUBSCRIBE. */
ox_code bind_targets(struct bind *b, const struct ast_list *targets, struct expr ***exprs,
    struct sql_column **columns, uint32_t *count);
/* A type that has no equality cannot be grouped, made distinct or united. */
ox_code bind_check_equality(struct bind *b, struct type type, int pos);
/* total names for a plan: of the columns, then "". */
struct str *bind_column_names(struct bind *b, const struct sql_column *columns, uint32_t count,
    uint32_t total);
/* The index-th column of what a plan gives. */
struct expr *bind_output_ref(struct bind *b, uint32_t index, struct type type);
/* An item of GROUP BY: a number, an output name, an expression. */
ox_code bind_group_item(struct bind *b, struct simple *simple, const struct ast_expr *ast,
    struct expr **out);

/* ---- bind_setop.c ---- */
/* The sides are bound in the scope's parent; ORDER BY and LIMIT are the caller's. */
ox_code bind_setop(struct bind *b, const struct ast_select *ast, struct scope *scope,
    struct query *out);
/* The queries of WITH become known in the scope. */
ox_code bind_with(struct bind *b, const struct ast_select *ast, struct scope *scope);

/* ---- bind_group.c ---- */
ox_code bind_group(struct bind *b, struct simple *simple);
ox_code bind_grouping(struct bind *b, const struct ast_expr *ast, struct expr **out);
/* Of each GROUPING() for each grouping set, or for the one. */
ox_code bind_grouping_values(struct bind *b, const struct simple *simple, int32_t **out);

/* ---- bind_expr.c ---- */
ox_code bind_expr(struct bind *b, const struct ast_expr *ast, struct expr **out);
ox_code bind_condition(struct bind *b, const struct ast_expr *ast, enum bind_place place,
    const char *what, struct expr **out);
/* Each item, in the arena; NULL is an empty list. */
ox_code bind_list(struct bind *b, const struct ast_list *list, struct expr ***out,
    uint32_t *count);
/* A copy with nodes of its own, so that it can be placed elsewhere. */
struct expr *bind_copy(struct bind *b, const struct expr *expr);
/* Fields of a record: how many, and one of them as an expression with its name.
 * Without a known shape there are none. */
uint32_t bind_field_count(const struct expr *record);
struct expr *bind_field_at(struct bind *b, struct expr *record, uint32_t i, struct str *name);
/* The name an output column gets when none is given. */
struct str bind_target_name(const struct ast_expr *ast);
/* NULL: none, or ambiguous with *ambiguous set. */
struct rel_column *bind_find_column(struct scope *scope, struct str rel, struct str column,
    bool *ambiguous, bool *rel_found);
/* Fails: the name is no relation of FROM; it may be one under another name. */
ox_code bind_missing_relation(struct bind *b, int pos, struct str name);
struct expr *bind_column_ref(struct bind *b, struct rel_column *column, uint32_t level,
    struct scope *scope, int pos);

/* ---- bind_call.c ---- */
ox_code bind_call(struct bind *b, const struct ast_expr *ast, struct expr **out);
/* "WHERE", for messages. */
const char *bind_place_name(enum bind_place place);

/* ---- bind_from.c ---- */
struct from_item;
ox_code bind_from(struct bind *b, const struct ast_list *from, struct from_item **out);
/* The plan of FROM and WHERE (conjuncts of it are pushed down). */
ox_code bind_plan_from(struct bind *b, struct from_item *from, struct expr *where,
    struct fragment *out);
struct rel *bind_add_topics(struct bind *b, struct scope *scope, struct plan_topic *topics,
    uint32_t count, struct str alias, int pos);
struct rel *bind_add_topic(struct bind *b, struct scope *scope, const struct meta_topic *topic,
    struct str alias, int pos);
/* A query whose columns are a relation's. */
struct rel *bind_add_query(struct bind *b, struct scope *scope, const struct query *query,
    struct str alias, int pos);
/* A leaf over one topic relation with its filter, for SUBSCRIBE. */
ox_code bind_plan_topic(struct bind *b, struct rel *rel, struct expr *where,
    struct fragment *out);
void bind_split(struct bind *b, struct expr *condition, struct expr ***list, uint32_t *count);

/* ---- bind_record.c ---- */
bool bind_is_record_call(const struct ast_from *ast);
/* The sub-query that such a call with a column definition list stands for. */
ox_code bind_record_query(struct bind *b, const struct ast_from *ast, struct ast_from *out);

/* ---- bind_push.c ---- */
enum { BIND_IMPLIED_MAX = 3, BIND_IMPLIED_PARTITIONS = 64 };
/* Does the condition become a bound of the scan, exactly? */
bool bind_as_bound(struct bind *b, const struct rel *rel, struct expr *condition,
    struct scan_bound *out);
/* Bounds that follow from it, at most BIND_IMPLIED_MAX; the condition stays. */
uint32_t bind_implied_bounds(struct bind *b, const struct rel *rel, struct expr *condition,
    struct scan_bound *out);
/* Bytes that every record which passes must have. */
bool bind_as_needle(struct bind *b, const struct rel *rel, const struct expr *condition,
    struct str *out);
/* Why a condition on a column that scans can bound is no bound; NULL: it has none. */
const char *bind_why_not(struct bind *b, const struct rel *rel, struct expr *condition);

/* System column of a topic relation's i-th column. */
enum scan_column bind_topic_column(uint32_t index);

/* ---- bind_live.c: topic readers in FROM ---- */
/* PARTITIONS (0, 2-5) as a bound of the relation; NULL: none. */
ox_code bind_partitions(struct bind *b, const struct ast_list *ranges, struct rel *rel);
/* An expression that sees no columns, in the type wanted; evaluated at open. */
ox_code bind_value(struct bind *b, const struct ast_expr *ast, struct type type,
    struct expr **out);
/* True when the call is one of ours (subscribe, tail, read_topic, topics). */
bool bind_is_topic_function(struct str name);
ox_code bind_topic_function(struct bind *b, struct scope *scope, const struct ast_expr *call,
    struct str alias, struct rel **out);

#endif
