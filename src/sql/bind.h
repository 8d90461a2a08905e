/* SPDX-License-Identifier: Apache-2.0
 *
 * From syntax to plan: names, types, overloads, then the plan that runs. */
#ifndef SQL_BIND_H
#define SQL_BIND_H

#include "engine/engine.h"
#include "exec/expr.h"
#include "exec/plan.h"
#include "sql/ast.h"
#include "sql/sql.h"
#include "sql/syscat.h"

/* What binding needs to know. All is borrowed. */
struct bind_config {
    struct engine_session *session;
    const struct row_format *format;
    const char *const *search_path; /* NULL ended, without the implicit pg_catalog */
    struct str text;                /* of the statement: error positions */
    struct type *param_types;       /* of $1..; TYPE_UNKNOWN ones are set here */
    uint32_t param_count;
    /* NOTICEs; may be NULL. */
    void (*notice)(void *arg, const char *message);
    void *arg;
};

/* A statement ready to run, in the arena it was bound in. */
struct bound {
    struct plan_root root;
    struct sql_column *columns; /* of the result; none for INSERT without RETURNING */
    uint32_t column_count;
    bool writes;
    bool live; /* a SUBSCRIBE, or a query over subscribe() */
    const char *why_no_headers; /* EXPLAIN: why a count was not taken from headers; or NULL */
};

/* All fail with the SQLSTATE PostgreSQL gives the fault, position set. On: the
 * session's loop. */
ox_code bind_select(const struct bind_config *config, const struct ast_select *select,
    struct arena *arena, struct bound *out, struct ox_err *err);
ox_code bind_subscribe(const struct bind_config *config, const struct ast_subscribe *subscribe,
    struct arena *arena, struct bound *out, struct ox_err *err);
ox_code bind_insert(const struct bind_config *config, const struct ast_insert *insert,
    struct arena *arena, struct bound *out, struct ox_err *err);
/* COPY table (columns) FROM: an INSERT over a PLAN_FEED; *feed_columns are what is fed. */
ox_code bind_copy_from(const struct bind_config *config, const struct ast_name *table,
    const struct ast_list *columns, const struct ast_expr *where, struct arena *arena,
    struct bound *out, struct ox_err *err);
/* COPY table (columns) TO: the select it stands for. */
ox_code bind_copy_to(const struct bind_config *config, const struct ast_name *table,
    const struct ast_list *columns, struct arena *arena, struct bound *out, struct ox_err *err);

/* An expression without columns, as a value of the type: option values, counts. */
ox_code bind_constant(const struct bind_config *config, const struct ast_expr *expr,
    struct type type, struct arena *arena, struct datum *out, struct ox_err *err);
/* The type a name and its modifiers mean. */
ox_code bind_type(const struct bind_config *config, const struct ast_type *type,
    struct type *out, struct ox_err *err);

/* A topic by the name a statement has: "t", public.t, or orders.v1 for a dotted
 * topic. Fails: OX_UNDEFINED_TABLE with a hint on quoting where that may be why. */
ox_code bind_topic(const struct bind_config *config, const struct ast_name *name,
    const struct meta_topic **out, struct ox_err *err);

/* ---- EXPLAIN (explain.c) ---- */

struct exec_run;
struct explain_form {
    bool verbose, json, timing, summary;
    uint64_t plan_ns, run_ns; /* of the summary */
};
/* The plan as text lines, or as one JSON document. run: counters of ANALYZE, or NULL. */
void explain_plan(const struct bound *bound, const struct exec_run *run,
    const struct explain_form *form, struct text *out);

#endif
