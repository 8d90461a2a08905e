/* SPDX-License-Identifier: Apache-2.0
 *
 * Bound expressions: a typed tree in the plan's arena, read-only at run time,
 * evaluated a batch at a time. The binder makes nodes with the expr_*()
 * builders, which resolve overloads and insert casts as PostgreSQL does;
 * operators call expr_eval() and expr_select(). Functions, operators and casts
 * are rows of catalog/functions.tbl. */
#ifndef EXEC_EXPR_H
#define EXEC_EXPR_H

#include "base/env.h"
#include "row/row.h"

/* ---- functions ------------------------------------------------------------ */

enum func_kind { FUNC_SCALAR, FUNC_OPERATOR, FUNC_CAST, FUNC_AGGREGATE, FUNC_WINDOW, FUNC_SET };
enum func_volatility { FUNC_IMMUTABLE, FUNC_STABLE, FUNC_VOLATILE };
enum cast_context { CAST_IMPLICIT, CAST_ASSIGNMENT, CAST_EXPLICIT };

struct eval;
struct expr;
struct agg_func; /* exec/agg.h */
struct set_func;

/* One call at run time. */
struct call {
    struct eval *eval;
    const struct expr *expr;  /* NULL when called outside of an expression */
    const struct type *types; /* of the arguments */
    uint32_t nargs;
    struct type type;    /* of the result */
    struct arena *arena; /* for the result: the eval's batch arena */
    void **state;        /* NULL at first; lives as long as the eval, see eval_slot() */
    struct ox_err *err;
};

/* One row. *out is zeroed; a strict function never sees a null. */
typedef ox_code (*func_fn)(struct call *call, const struct datum *args, struct datum *out);
/* Rows sel[0..n-1] (all of which a strict function may compute: nulls are
 * already in out->nulls, which skips them). out has room for the batch. */
typedef ox_code (*func_vec)(struct call *call, const struct vector *args, const uint32_t *sel,
    uint32_t n, struct vector *out);

#define FUNC_ARGS_MAX 7 /* declared; a variadic call may have more */

struct func {
    const char *name; /* "lower", "+", or for a cast the target type's name */
    enum func_kind kind;
    uint8_t nargs, required; /* required < nargs: the rest have defaults the code knows */
    bool variadic;           /* the last declared argument repeats (array when called VARIADIC) */
    bool strict;
    enum func_volatility volatility;
    enum cast_context context; /* of casts */
    struct type args[FUNC_ARGS_MAX];
    struct type result;
    func_fn fn;
    func_vec vec;
    const struct agg_func *agg; /* FUNC_AGGREGATE */
    const struct set_func *set; /* FUNC_SET */
    int32_t window;             /* FUNC_WINDOW: enum window_func of exec/plan.h */
    uint32_t oid;               /* 16384 + row: for pg_proc */
};

extern const struct func func_table[]; /* sorted by name */
extern const uint32_t func_count;

/* All rows of that name: *count of them from the returned one. NULL: none. */
const struct func *func_find(struct str name, uint32_t *count);

/* ---- nodes ------------------------------------------------------------------ */

enum expr_kind {
    EXPR_CONST,  /* value */
    EXPR_COLUMN, /* column: index into the input batch */
    EXPR_OUTER,  /* level (1 = next enclosing), column */
    EXPR_PARAM,  /* column: 0 for $1 */
    EXPR_CALL,   /* func, args */
    EXPR_AND,    /* args, two or more */
    EXPR_OR,
    EXPR_NOT,
    EXPR_TEST,     /* test, args[0]: IS [NOT] NULL, TRUE, FALSE, UNKNOWN */
    EXPR_DISTINCT, /* args[0] IS DISTINCT FROM args[1] */
    EXPR_CASE,     /* args: cond, value, cond, value, ..., else (CASE x WHEN is bound to x = y) */
    EXPR_COALESCE,
    EXPR_NULLIF, /* args[0], then the bound "left = right" */
    EXPR_GREATEST,
    EXPR_LEAST,
    EXPR_IN,        /* args[0] IN (args[1..]); same types; negate */
    EXPR_ARRAY,     /* args: elements; type is the array */
    EXPR_SUBSCRIPT, /* args[0][args[1]][args[2]]... */
    EXPR_SLICE,     /* args[0][args[1]:args[2]]; a NULL node is an omitted bound */
    EXPR_ANY,       /* args[0] op ANY (args[1] array); func is the operator */
    EXPR_ALL,
    EXPR_ROW,         /* args; names; type record */
    EXPR_FIELD,       /* column-th field of the record args[0] */
    EXPR_ROW_COMPARE, /* op; args: left fields, then right fields, same types */
    EXPR_CAST_TEXT,   /* args[0] to type through text (I/O conversion) */
    EXPR_SUBQUERY,    /* subkind, subplan; args: left side of IN/ANY/ALL */
};

enum expr_test {
    TEST_NULL,
    TEST_NOT_NULL,
    TEST_TRUE,
    TEST_NOT_TRUE,
    TEST_FALSE,
    TEST_NOT_FALSE,
    TEST_UNKNOWN,
    TEST_NOT_UNKNOWN,
};
enum expr_op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE };
enum expr_subkind {
    SUBQUERY_SCALAR,
    SUBQUERY_EXISTS,
    SUBQUERY_IN,
    SUBQUERY_ANY,
    SUBQUERY_ALL,
    SUBQUERY_ROW, /* row op (select): one row of it, none gives NULL */
    SUBQUERY_ARRAY
};

struct expr {
    enum expr_kind kind;
    struct type type;
    int position; /* byte in the statement + 1, 0 unknown */
    struct expr **args;
    uint32_t nargs;
    uint32_t column; /* EXPR_COLUMN, _OUTER, _PARAM, _FIELD */
    uint32_t level;  /* EXPR_OUTER */
    const struct func *func;
    struct datum value; /* EXPR_CONST */
    bool negate;        /* EXPR_IN, EXPR_DISTINCT */
    bool variadic;      /* EXPR_CALL: the last argument is VARIADIC array */
    bool implicit;      /* EXPR_CALL of a cast nobody wrote: not deparsed */
    bool unfolded;      /* constant, but its evaluation failed: not tried again */
    bool raw;           /* EXPR_CALL of -> on text: only looked into, no normal form needed */
    enum expr_test test;
    enum expr_op op;           /* EXPR_ROW_COMPARE; SUBQUERY_ANY/ALL/ROW with several columns */
    enum expr_subkind subkind; /* EXPR_SUBQUERY */
    bool correlated;           /* EXPR_SUBQUERY: has EXPR_OUTER of this level */
    const void *subplan;       /* EXPR_SUBQUERY: struct plan * */
    const struct str *names;   /* EXPR_ROW: field names or NULL */
    const struct expr *shape;  /* of a column of type record: a row with its fields, or NULL */
    const char *label;         /* a column's name for EXPLAIN, may be NULL */
};

/* ---- building (binder) ------------------------------------------------------ */

struct expr *expr_new(struct arena *arena, enum expr_kind kind, struct type type, int position);
struct expr *expr_const(struct arena *arena, struct type type, struct datum value, int position);
/* A string literal: type unknown until something gives it a type. */
struct expr *expr_literal(struct arena *arena, struct str text, int position);
struct expr *expr_null(struct arena *arena, int position); /* NULL: unknown too */
struct expr *expr_column(
    struct arena *arena, uint32_t column, struct type type, const char *label, int position);
struct expr *expr_outer(struct arena *arena, uint32_t level, uint32_t column, struct type type,
    const char *label, int position);
/* type TYPE_UNKNOWN: the context will set it through param_types. */
struct expr *expr_param(struct arena *arena, uint32_t index, struct type type, int position);

/* What the builders need to know about the statement. */
struct expr_bind {
    struct arena *arena;             /* of the plan */
    const struct row_format *format; /* to read literals; stable literals ('now') are read now */
    /* Types of $1..$n: an unknown one is set by its first use. May be NULL. */
    struct type *param_types;
    uint32_t param_count;
};

/* Make expr of the target type (typmod included; length coercion for explicit
 * casts truncates, for assignment fails at run time). Literals are read at once.
 * Fails: OX_CANNOT_COERCE, OX_DATATYPE_MISMATCH (implicit, assignment), 22xxx of literals.
 * For assignment the message is "expression is of type ..."; name may be NULL. */
ox_code expr_coerce(const struct expr_bind *bind, struct expr *expr, struct type target,
    enum cast_context context, struct expr **out, struct ox_err *err);
/* Whether expr_coerce would find a way. */
bool cast_exists(struct type from, struct type to, enum cast_context context);

/* left NULL: prefix operator. Handles unknown literals and parameters.
 * Fails: OX_UNDEFINED_FUNCTION, OX_AMBIGUOUS_FUNCTION */
ox_code expr_operator(const struct expr_bind *bind, struct str op, struct expr *left,
    struct expr *right, int position, struct expr **out, struct ox_err *err);
/* A function of any kind by name. For FUNC_SCALAR *out is the call (its type is
 * final); for FUNC_AGGREGATE, _WINDOW, _SET *out is an EXPR_CALL whose func says
 * so: the binder lifts it out of the tree. name "count" with nargs 0 is count(*). */
ox_code expr_function(const struct expr_bind *bind, struct str name, struct expr **args,
    uint32_t nargs, bool variadic, int position, struct expr **out, struct ox_err *err);
/* As above without failing: which function would be chosen? NULL: none. */
const struct func *func_resolve(struct str name, const struct type *types, uint32_t nargs);

/* The type a UNION, CASE, VALUES, ARRAY, COALESCE, IN list settles on; context words the error.
 * Fails: OX_DATATYPE_MISMATCH */
ox_code expr_common_type(const struct expr_bind *bind, struct expr **exprs, uint32_t count,
    const char *context, struct type *out, struct ox_err *err);
/* Common type, then coerce all of them in place. */
ox_code expr_unify(const struct expr_bind *bind, struct expr **exprs, uint32_t count,
    const char *context, struct type *out, struct ox_err *err);
/* As bool; fails with OX_DATATYPE_MISMATCH "argument of WHERE must be type boolean, not type ..."
 */
ox_code expr_boolean(
    const struct expr_bind *bind, struct expr **expr, const char *what, struct ox_err *err);
/* What is unknown at the end becomes text (output columns). */
ox_code expr_settle(const struct expr_bind *bind, struct expr **expr, struct ox_err *err);

struct expr *expr_and(struct arena *arena, struct expr **args,
    uint32_t count); /* flattens; NULL args skipped; none: NULL */
struct expr *expr_or(struct arena *arena, struct expr **args, uint32_t count);
ox_code expr_not(
    const struct expr_bind *bind, struct expr *arg, struct expr **out, struct ox_err *err);
struct expr *expr_test(struct arena *arena, enum expr_test test, struct expr *arg, int position);
ox_code expr_distinct(const struct expr_bind *bind, struct expr *left, struct expr *right,
    bool negate, int position, struct expr **out, struct ox_err *err);
/* arg NULL: searched CASE. conds and values have count entries; otherwise may be NULL. */
ox_code expr_case(const struct expr_bind *bind, struct expr *arg, struct expr **conds,
    struct expr **values, uint32_t count, struct expr *otherwise, int position, struct expr **out,
    struct ox_err *err);
/* kind: EXPR_COALESCE, EXPR_GREATEST, EXPR_LEAST */
ox_code expr_choice(const struct expr_bind *bind, enum expr_kind kind, struct expr **args,
    uint32_t count, int position, struct expr **out, struct ox_err *err);
ox_code expr_nullif(const struct expr_bind *bind, struct expr *left, struct expr *right,
    int position, struct expr **out, struct ox_err *err);
/* left [NOT] IN (list...) */
ox_code expr_in(const struct expr_bind *bind, struct expr *left, struct expr **list, uint32_t count,
    bool negate, int position, struct expr **out, struct ox_err *err);
ox_code expr_array(const struct expr_bind *bind, struct expr **items, uint32_t count, int position,
    struct expr **out, struct ox_err *err);
ox_code expr_subscript(const struct expr_bind *bind, struct expr *array, struct expr *index,
    int position, struct expr **out, struct ox_err *err);
/* Bounds may be NULL (omitted). A slice that is not in parentheses is one of more
 * dimensions with the next: further. */
ox_code expr_slice(const struct expr_bind *bind, struct expr *array, struct expr *from,
    struct expr *to, bool further, int position, struct expr **out, struct ox_err *err);
/* left op ANY/ALL (array) */
ox_code expr_any_all(const struct expr_bind *bind, enum expr_kind kind, struct str op,
    struct expr *left, struct expr *array, int position, struct expr **out, struct ox_err *err);
ox_code expr_row_compare(const struct expr_bind *bind, struct str op, struct expr **left,
    struct expr **right, uint32_t count, int position, struct expr **out, struct ox_err *err);
struct expr *expr_row(struct arena *arena, struct expr **fields, const struct str *names,
    uint32_t count, int position);
/* Subquery: the binder gives the plan and the column types of the subplan.
 * For SUBQUERY_IN/ANY/ALL/ROW with one column, func is set to the comparison "left op column"
 * (after coercion; the subplan must give right_type: *right_type tells what it must be cast to). */
ox_code expr_subquery_compare(const struct expr_bind *bind, struct str op, struct expr **left,
    struct type column, struct type *right_type, const struct func **func, struct ox_err *err);

/* Evaluate what depends on nothing (immutable calls of constants), in place; errors
 * are left to run time, as a branch may never be taken. */
struct expr *expr_fold(const struct expr_bind *bind, struct expr *expr);
bool expr_is_constant(const struct expr *expr); /* EXPR_CONST */
/* The strongest volatility found inside; subqueries count as stable. */
enum func_volatility expr_volatility(const struct expr *expr);
bool expr_equal(const struct expr *a, const struct expr *b);
/* fn for every node, parents first; false stops. Not into subplans. */
bool expr_walk(struct expr *expr, bool (*fn)(struct expr *node, void *arg), void *arg);
/* A copy whose nodes may be changed: fn returns a replacement or NULL (descend). */
struct expr *expr_map(struct arena *arena, const struct expr *expr,
    struct expr *(*fn)(const struct expr *node, void *arg), void *arg);
/* As EXPLAIN shows it: (a + 1) > 5 */
void expr_deparse(const struct expr *expr, struct text *to);

/* ---- evaluation -------------------------------------------------------------- */

struct eval_config {
    const struct datum *params; /* of the types the EXPR_PARAM nodes have */
    uint32_t param_count;
    const struct row_format *format;
    const struct env *env;              /* clock, randomness */
    int64_t now_us;                     /* of the transaction, us since 2000 */
    int64_t statement_us;               /* statement_timestamp(); 0: now_us */
    const struct session_info *session; /* may be NULL */
    void *context;
    /* One row of an EXPR_SUBQUERY. The expression's args are given evaluated. */
    ox_code (*subquery)(struct eval *eval, const struct expr *expr, const struct batch *batch,
        uint32_t row, const struct datum *args, struct datum *out, struct ox_err *err);
    /* The current value of an EXPR_OUTER. */
    ox_code (*outer)(
        struct eval *eval, const struct expr *expr, struct datum *out, struct ox_err *err);
};

/* What functions such as current_user and current_setting answer. Any member may be NULL. */
struct session_info {
    const char *user, *session_user, *database, *version, *application_name;
    const char *client_address;
    int32_t client_port;
    int32_t backend_pid;
    int64_t started_us, server_started_us; /* us since 2000 */
    const char *const *search_path;        /* effective, NULL ended */
    /* NULL result: no such setting (*out untouched). The text lives until the next call. */
    const char *(*setting_get)(void *self, const char *name);
    ox_code (*setting_set)(
        void *self, const char *name, const char *value, bool local, struct ox_err *err);
    /* Cancel what another session runs, or end it; false: there is none of that number. */
    bool (*session_cancel)(void *self, int32_t backend_pid, bool end);
    /* May the user (null: the session's) do what a privilege ("SELECT") names to a relation? */
    bool (*may)(void *self, struct str user, uint32_t oid, const char *privilege);
    /* Facts of the session as JSON, for relations of the catalog: an array of rows. */
    void (*facts)(void *self, struct str what, struct text *to);
    void *self;
};

struct eval {
    const struct eval_config *config;
    struct arena *arena; /* results: until the owner resets it, after each batch */
    struct arena kept;   /* compiled patterns, caches: life of the eval */
    void *exec;          /* the operator, for the hooks */
    struct eval_slot *slots;
    uint32_t slot_count, slot_cap;
    uint32_t depth;
    uint64_t random; /* of random(); 0: not seeded */
};

void eval_init(struct eval *eval, const struct eval_config *config, struct arena *arena);
void eval_fini(struct eval *eval);

/* One value a selected row; entries of other rows are undefined. *out may borrow the
 * batch's columns (EXPR_COLUMN gives the column itself). Errors come only from
 * selected rows. A batch of count 1 and no columns evaluates an expression without columns. */
ox_code expr_eval(struct eval *eval, const struct expr *expr, const struct batch *batch,
    struct vector *out, struct ox_err *err);
/* The selected rows for which expr is true, into sel (room for batch->count). */
ox_code expr_select(struct eval *eval, const struct expr *expr, const struct batch *batch,
    uint32_t *sel, uint32_t *sel_count, struct ox_err *err);
/* Call a function outside of an expression (aggregates over operators, RANGE frames). */
ox_code func_call(struct eval *eval, const struct func *func, const struct type *types,
    const struct datum *args, uint32_t nargs, struct type result, struct datum *out,
    struct ox_err *err);

/* ---- set-returning functions ---------------------------------------------------- */

#define SET_COLUMNS_MAX 8

struct set_call {
    struct eval *eval;
    const struct func *func;
    struct arena *arena;      /* life of the scan: what next() returns lives here or in row_arena */
    struct arena *row_arena;  /* may be reset by the caller between batches */
    const struct type *types; /* of the arguments */
    const struct datum *args;
    uint32_t nargs;
    void *state;
    uint64_t wait_until_ns; /* set by open(): no row before that time of the clock; 0 none */
};

struct set_func {
    ox_code (*open)(struct set_call *call, struct ox_err *err);
    /* Fills row[0..columns) or sets *end. */
    ox_code (*next)(struct set_call *call, struct datum *row, bool *end, struct ox_err *err);
};

/* Columns of a call: names and types; returns how many. With strict functions
 * (func->strict) a null argument gives no rows: the caller looks. */
uint32_t set_func_columns(const struct expr *call, const char **names, struct type *types);

#endif
