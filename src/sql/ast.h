/* SPDX-License-Identifier: Apache-2.0
 *
 * The syntax tree: what a text says, before any name is looked up. Nodes live
 * in the arena of the parse; strings borrow from it. pos is the byte offset of
 * the token an error about the node points at. Actions of grammar/sql.y only
 * call the ast_*() builders below. */
#ifndef SQL_AST_H
#define SQL_AST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

struct ast_select;
struct ast_subscribe;
struct ast_expr;

enum { AST_DEPTH_MAX = LIMIT_SQL_NESTING_VALUE };

/* A token as the scanner gives it: text is the value (a string without quotes
 * and escapes, an identifier folded). */
struct ast_token {
    struct str text;
    int pos, end; /* bytes in the statement text */
};

/* INTERVAL DAY TO SECOND(3) */
struct ast_fields {
    int mask; /* enum interval_fields; 0: none are named */
    struct ast_token precision;
};

/* Lists of anything, growing. */
struct sql_command;

struct ast_list {
    void **items;
    size_t count, cap;
};
#define ast_at(list, i, type) ((type *)(list)->items[i])

/* A word of a statement that is read word by word. */
struct ast_word {
    struct str text;
    int pos;
    char kind; /* 'w' word, 's' string, 'n' number, 'k' keyword or sign */
};

/* A possibly qualified name: last part last. */
struct ast_name {
    int pos;
    uint32_t count;
    struct str parts[4];
    bool star; /* a.* */
};

struct ast_type {
    int pos;
    struct ast_name *name; /* "timestamptz", "int4", pg_catalog.int4, ... */
    struct ast_list *mods; /* of struct ast_expr: integers; NULL: none */
    uint32_t dims;         /* [] */
};

enum ast_expr_kind {
    AST_NULL,
    AST_BOOL,    /* flag */
    AST_INTEGER, /* text: digits */
    AST_NUMBER,  /* text */
    AST_STRING,  /* text */
    AST_BITS,    /* text: 0 and 1 */
    AST_PARAM,   /* number */
    AST_DEFAULT,
    AST_STAR,    /* count(*); name->star for t.* */
    AST_COLUMN,  /* name */
    AST_OP,      /* a may be NULL; text is the operator; name its schema or NULL */
    AST_AND,     /* list */
    AST_OR,      /* list */
    AST_NOT,     /* a */
    AST_TEST,    /* a IS [NOT: flag] test */
    AST_DISTINCT_FROM, /* a IS [NOT: flag] DISTINCT FROM b */
    AST_BETWEEN,       /* a [NOT: flag] BETWEEN [SYMMETRIC: number] b AND c */
    AST_IN,            /* a [NOT: flag] IN list, or select */
    AST_LIKE,          /* a [NOT: flag] text: LIKE, ILIKE, SIMILAR b ESCAPE c */
    AST_QUANTIFIED,    /* a text ANY/ALL(flag) b, or select */
    AST_EXISTS,        /* select */
    AST_SUBQUERY,      /* select */
    AST_ARRAY_SELECT,  /* ARRAY(select) */
    AST_ARRAY,         /* list; elements may be AST_ARRAY */
    AST_ROW,           /* list */
    AST_SUBSCRIPT,     /* a[b], a[b:c] with flag */
    AST_FIELD,         /* (a).text; text "*" for all */
    AST_CAST,          /* a, type */
    AST_CASE,          /* a operand or NULL, list when, then, when, ...; b else or NULL */
    AST_CALL,          /* call */
    AST_COALESCE,      /* list, and so on */
    AST_GREATEST,
    AST_LEAST,
    AST_NULLIF,        /* list of two */
    AST_COLLATE,       /* a, name */
    AST_KEYWORD,       /* text: current_timestamp, ...; number: precision or -1 */
    AST_NAMED,         /* text => a, inside a call */
    AST_GROUPING,      /* list */
    AST_SET,           /* ROLLUP, CUBE, GROUPING SETS in GROUP BY: text, list */
    AST_TABLE_ARG,     /* TABLE t, DESCRIPTOR(c) inside a table function */
};

enum ast_test { AST_IS_NULL, AST_IS_TRUE, AST_IS_FALSE, AST_IS_UNKNOWN };

struct ast_call;

struct ast_expr {
    enum ast_expr_kind kind;
    int pos;
    int depth; /* of the tree below, for the nesting limit */
    bool flag;
    bool parens; /* stood in parentheses of its own */
    int32_t number;
    struct str text;
    struct ast_name *name;
    struct ast_expr *a, *b, *c;
    struct ast_list *list; /* of struct ast_expr */
    struct ast_type *type;
    struct ast_call *call;
    struct ast_select *select;
};

enum ast_frame_edge {
    AST_UNBOUNDED_PRECEDING,
    AST_PRECEDING,
    AST_CURRENT_ROW,
    AST_FOLLOWING,
    AST_UNBOUNDED_FOLLOWING,
};

struct ast_bound {
    enum ast_frame_edge edge;
    struct ast_expr *value;
};

struct ast_window {
    int pos;
    struct str name; /* in WINDOW name AS (...), or of OVER name */
    struct str base; /* OVER (base ...) */
    bool by_name;    /* OVER name */
    struct ast_list *partition; /* of expr */
    struct ast_list *order;     /* of struct ast_order */
    bool has_frame;
    char unit;    /* 'R' range, 'O' rows, 'G' groups */
    char exclude; /* 0, 'C' current row, 'G' group, 'T' ties */
    struct ast_bound start, end;
};

struct ast_call {
    struct ast_name *name;
    struct ast_list *args; /* of expr; named ones are AST_NAMED */
    bool star, distinct, variadic;
    struct ast_list *order;  /* of struct ast_order */
    bool within_group;       /* order came from WITHIN GROUP */
    struct ast_expr *filter;
    struct ast_window *over;
};

struct ast_order {
    struct ast_expr *expr;
    bool desc;
    char nulls; /* 0, 'F', 'L' */
    struct str op; /* USING op */
};

struct ast_target {
    struct ast_expr *expr;
    struct str alias; /* null: none */
    int pos;
};

enum ast_from_kind { AST_FROM_TABLE, AST_FROM_SELECT, AST_FROM_FUNCTION, AST_FROM_JOIN };
enum ast_join_kind { AST_JOIN_INNER, AST_JOIN_LEFT, AST_JOIN_RIGHT, AST_JOIN_FULL, AST_JOIN_CROSS };

struct ast_alias {
    struct str name;
    struct ast_list *columns; /* of struct ast_token; NULL: none */
    struct ast_list *types;   /* of struct ast_column_def: AS t(a int, ...) */
    int pos;
};

struct ast_from {
    enum ast_from_kind kind;
    int pos;
    int depth;
    struct ast_name *name;
    struct ast_select *select;
    struct ast_subscribe *subscribe;
    struct ast_expr *function;
    struct ast_list *functions; /* of ROWS FROM, function is its first; or NULL */
    bool lateral, ordinality;
    struct ast_alias *alias; /* or NULL */
    struct ast_expr *sample; /* TABLESAMPLE call */
    struct ast_expr *sample_seed; /* REPEATABLE */
    enum ast_join_kind join;
    bool natural;
    struct ast_from *left, *right;
    struct ast_expr *on;
    struct ast_list *using_columns; /* of struct ast_token */
};

struct ast_cte {
    struct str name;
    int pos;
    struct ast_list *columns; /* of struct ast_token */
    char materialized;        /* 0, 'Y', 'N' */
    struct ast_select *select;
};

enum ast_set_op { AST_SET_NONE, AST_UNION, AST_INTERSECT, AST_EXCEPT };

struct ast_sample {
    struct ast_expr *call, *seed;
};

struct ast_groupby {
    struct ast_list *items;
    bool distinct;
};

struct ast_select {
    int pos;
    int depth;
    /* WITH */
    bool recursive;
    struct ast_list *ctes; /* of struct ast_cte */
    /* a set operation of left and right, or a simple SELECT, or VALUES */
    enum ast_set_op op;
    bool all;
    struct ast_select *left, *right;
    struct ast_list *values; /* of struct ast_list of expr */
    bool distinct;
    struct ast_list *distinct_on; /* of expr */
    struct ast_list *targets;     /* of struct ast_target */
    struct ast_list *from;        /* of struct ast_from */
    struct ast_expr *where;
    struct ast_list *group; /* of expr */
    bool group_distinct;
    struct ast_expr *having;
    struct ast_list *windows; /* of struct ast_window */
    /* of either */
    struct ast_list *order; /* of struct ast_order */
    struct ast_expr *limit, *offset;
    bool limit_ties;
    struct ast_token locking; /* FOR UPDATE: text "" when there is none */
};

/* ---- Statements ------------------------------------------------------------- */

enum ast_stmt_kind {
    AST_SELECT_STMT,
    AST_SUBSCRIBE_STMT,
    AST_INSERT,
    AST_COPY,
    AST_EXPLAIN,
    AST_CREATE_TOPIC,
    AST_ALTER_TOPIC,
    AST_DROP_TOPIC,
    AST_TRUNCATE,
    AST_DELETE,
    AST_COMMENT,
    AST_DESCRIBE,
    AST_ALTER_SYSTEM,
    AST_CREATE_ROLE,
    AST_ALTER_ROLE,
    AST_DROP_ROLE,
    AST_ALTER_QUOTA,
    AST_GRANT,
    AST_REVOKE,
    AST_SET_VAR,
    AST_SHOW,
    AST_RESET,
    AST_DISCARD,
    AST_TRANSACTION,
    AST_PREPARE,
    AST_EXECUTE,
    AST_DEALLOCATE,
    AST_DECLARE,
    AST_FETCH,
    AST_CLOSE,
    AST_LISTEN, /* UNLISTEN is accepted, LISTEN and NOTIFY are refused */
    AST_NOOP,   /* accepted and done: ANALYZE, ... */
    AST_REFUSED, /* known words of a statement that is not served */
};

/* name = value in WITH (...) and option lists. */
struct ast_option {
    struct str name;
    int pos;
    struct ast_expr *value; /* NULL: only the name */
    struct ast_list *list;  /* of struct ast_token: FORCE_QUOTE (a, b) */
};

struct ast_insert {
    struct ast_name *table;
    struct str alias;
    struct ast_list *columns;   /* of struct ast_token, or NULL */
    struct ast_select *select;  /* NULL: DEFAULT VALUES */
    struct ast_list *returning; /* of struct ast_target */
    struct ast_token conflict;  /* ON CONFLICT, for refusal */
};

enum ast_position_kind {
    AST_AT_NONE,
    AST_AT_EARLIEST,
    AST_AT_LATEST,
    AST_AT_COMMITTED,
    AST_AT_OFFSET,
    AST_AT_OFFSETS,
    AST_AT_TIMESTAMP,
    AST_AT_LAST_ROWS,
    AST_AT_LAST_TIME,
    AST_AT_TOKEN,
    AST_AT_IDLE,
};

struct ast_position {
    enum ast_position_kind kind;
    int pos;
    struct ast_expr *value;
};

struct ast_subscribe {
    int pos;
    struct ast_name *table; /* or select */
    struct ast_list *columns; /* of struct ast_token */
    struct ast_expr *where;
    struct ast_select *select;
    struct ast_token group;    /* refused */
    struct ast_position from, until;
    struct ast_list *partitions; /* of struct ast_range */
    struct ast_token envelope;   /* text: none, diff, upsert, debezium; null: none */
    struct ast_expr *limit;
    struct ast_list *options; /* of struct ast_option */
};

struct ast_range {
    int32_t first, last;
};

struct ast_copy {
    struct ast_name *table;
    struct ast_list *columns; /* of struct ast_token */
    struct ast_select *select;
    struct ast_subscribe *subscribe;
    bool from;
    struct ast_token target; /* text null: STDIN or STDOUT; else a file, refused */
    bool program;
    struct ast_list *options; /* of struct ast_option */
    struct ast_expr *where;
};

struct ast_column_def {
    struct str name;
    int pos;
    struct ast_type *type;
};

struct ast_create_topic {
    struct ast_name *name;
    bool if_not_exists;
    struct ast_list *columns; /* not empty: columns were declared, which is refused */
    struct ast_expr *partitions, *replicas;
    struct ast_expr *retain_for, *retain_size;
    bool retain_all;
    struct ast_list *options; /* of struct ast_option */
    struct ast_token refused; /* a clause that only typed topics have */
};

enum ast_alter_kind {
    AST_ADD_PARTITIONS,
    AST_SET_PARTITIONS,
    AST_SET_OPTIONS,
    AST_RESET_OPTIONS,
    AST_RETAIN,
    AST_ALTER_REFUSED,
};

struct ast_alter_topic {
    struct ast_name *name;
    bool if_exists;
    enum ast_alter_kind kind;
    struct ast_expr *number;
    struct ast_list *options;
    struct ast_expr *retain_for, *retain_size;
    bool retain_all;
    struct ast_token refused;
};

struct ast_explain {
    bool analyze, verbose;
    bool json, no_timing, summary, no_summary; /* of the options, once they were read */
    uint64_t plan_ns, start_ns;                /* measured */
    struct ast_list *options;
    struct ast_stmt *stmt;
};

enum ast_transaction_kind {
    AST_BEGIN,
    AST_COMMIT,
    AST_ROLLBACK,
    AST_SAVEPOINT,
    AST_RELEASE,
    AST_ROLLBACK_TO,
    AST_SET_TRANSACTION, /* modes */
    AST_SET_SESSION_CHARACTERISTICS,
};

struct ast_fetch {
    bool move;
    struct str cursor;
    int pos;
    char direction; /* 'F' forward, '*' all forward, '<' backward, 'X' absolute, 'R' relative */
    struct ast_expr *count; /* NULL: 1 */
    struct ast_list *options;
};

struct ast_stmt {
    const struct sql_command *command; /* AST_REFUSED, AST_NOOP: its row */
    enum ast_stmt_kind kind;
    int pos, end; /* its text, without the semicolon */
    int params;   /* highest $n */
    struct ast_token first_param;
    int depth;
    union {
        struct ast_select *select;
        struct ast_subscribe *subscribe;
        struct ast_insert *insert;
        struct ast_copy *copy;
        struct ast_explain *explain;
        struct ast_create_topic *create_topic;
        struct ast_alter_topic *alter_topic;
        struct ast_fetch *fetch;
        struct {
            struct ast_list *names; /* of struct ast_name */
            bool if_exists;
        } drop; /* DROP TOPIC, TRUNCATE, DESCRIBE (one) */
        struct {
            struct ast_name *name;
            struct ast_expr *where; /* or NULL */
        } delete;
        struct {
            struct ast_name *name;
            struct str text; /* null: IS NULL */
        } comment;
        struct {
            struct ast_list *names; /* of struct ast_token */
            struct ast_list *words; /* NULL: none */
            bool if_exists;
            bool user; /* the word was USER */
        } role;
        struct {
            struct ast_list *rights, *on, *whom; /* of struct ast_word; on NULL: roles */
        } grant;
        struct {
            struct str name;
            struct ast_list *values; /* of expr; NULL: DEFAULT */
            bool local, session;
            bool all; /* RESET ALL, SHOW ALL */
        } set;
        struct {
            enum ast_transaction_kind kind;
            struct str name;         /* of a savepoint */
            struct ast_list *modes;  /* of struct ast_option */
            bool chain;
        } transaction;
        struct {
            struct str name;
            struct ast_list *types; /* of struct ast_type */
            struct ast_stmt *stmt;
        } prepare;
        struct {
            struct str name; /* null: all */
            struct ast_list *args;
        } execute; /* EXECUTE, DEALLOCATE, CLOSE, DISCARD, LISTEN */
        struct {
            struct str name;
            bool hold, scroll, binary;
            struct ast_select *select;
            struct ast_subscribe *subscribe;
        } declare;
        struct str words; /* NOOP: the tag; REFUSED: "CREATE TABLE" */
    };
};

/* ---- The parse ------------------------------------------------------------------ */

struct ast_parse {
    struct arena *arena;
    struct str text;
    struct ast_list stmts; /* of struct ast_stmt */
    int start;             /* of the current statement */
    int params;            /* highest $n of it */
    struct ast_token first_param;
    ox_code code;          /* first failure; parsing goes no further */
    struct ox_err *err;
};

/* Builders. None fails; a limit that is passed sets parse->code. */
#define AST_WINDOW_HINT "GROUP BY date_bin() or date_trunc() of _timestamp counts by window."
/* 0A000: what is not served; hint: what is. */
void ast_refuse(struct ast_parse *p, int pos, const char *what, const char *hint);
struct ast_alter_topic *ast_alter_refuse(struct ast_parse *p, struct ast_token at,
    const char *what);
struct ast_retain ast_retain_add(struct ast_parse *p, struct ast_retain all,
    struct ast_retain one);
/* At a token; at the first of a statement the hint tells which there are. */
void ast_syntax_error(struct ast_parse *p, struct ast_token token);
void ast_fail(struct ast_parse *p, ox_code code, int pos, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
struct ast_list *ast_list_new(struct ast_parse *p);
struct ast_list *ast_list_add(struct ast_parse *p, struct ast_list *list, void *item);
struct ast_list *ast_list_one(struct ast_parse *p, void *item);
struct ast_token *ast_token_copy(struct ast_parse *p, struct ast_token token);
struct ast_name *ast_name_new(struct ast_parse *p, struct ast_token token);
struct ast_name *ast_name_add(struct ast_parse *p, struct ast_name *name, struct ast_token token);
/* One name of fixed text, for types and functions that syntax stands for. */
struct ast_name *ast_name_of(struct ast_parse *p, int pos, const char *schema, const char *name);

struct ast_expr *ast_expr_new(struct ast_parse *p, enum ast_expr_kind kind, int pos);
struct ast_expr *ast_leaf(struct ast_parse *p, enum ast_expr_kind kind, struct ast_token token);
struct ast_expr *ast_bool(struct ast_parse *p, int pos, bool value);
struct ast_expr *ast_param(struct ast_parse *p, struct ast_token token);
struct ast_expr *ast_column(struct ast_parse *p, struct ast_name *name);
struct ast_expr *ast_op(struct ast_parse *p, struct ast_token op, struct ast_expr *a,
    struct ast_expr *b);
struct ast_expr *ast_negate(struct ast_parse *p, struct ast_token op, struct ast_expr *a);
struct ast_expr *ast_logic(struct ast_parse *p, enum ast_expr_kind kind, int pos,
    struct ast_expr *a, struct ast_expr *b);
struct ast_expr *ast_unary(struct ast_parse *p, enum ast_expr_kind kind, int pos,
    struct ast_expr *a);
struct ast_expr *ast_test(struct ast_parse *p, int pos, struct ast_expr *a, enum ast_test test,
    bool negated);
struct ast_expr *ast_three(struct ast_parse *p, enum ast_expr_kind kind, int pos, bool flag,
    struct ast_expr *a, struct ast_expr *b, struct ast_expr *c);
struct ast_expr *ast_like(struct ast_parse *p, int pos, const char *what, bool negated,
    struct ast_expr *a, struct ast_expr *b, struct ast_expr *escape);
struct ast_expr *ast_in(struct ast_parse *p, int pos, bool negated, struct ast_expr *a,
    struct ast_list *list, struct ast_select *select);
struct ast_expr *ast_quantified(struct ast_parse *p, struct ast_token op, bool all,
    struct ast_expr *a, struct ast_expr *b, struct ast_select *select);
struct ast_expr *ast_select_expr(struct ast_parse *p, enum ast_expr_kind kind, int pos,
    struct ast_select *select);
struct ast_expr *ast_listed(struct ast_parse *p, enum ast_expr_kind kind, int pos,
    struct ast_list *list);
struct ast_expr *ast_cast(struct ast_parse *p, int pos, struct ast_expr *a, struct ast_type *type);
struct ast_expr *ast_literal(struct ast_parse *p, struct ast_type *type, struct ast_token string);
struct ast_expr *ast_case(struct ast_parse *p, int pos, struct ast_expr *operand,
    struct ast_list *arms, struct ast_expr *otherwise);
struct ast_expr *ast_call(struct ast_parse *p, struct ast_name *name, struct ast_list *args);
/* pg_catalog.name(args), for syntax that stands for a function. */
struct ast_expr *ast_call_of(struct ast_parse *p, int pos, const char *name,
    struct ast_list *args);
struct ast_expr *ast_call_with(struct ast_parse *p, struct ast_expr *call,
    struct ast_list *within, struct ast_expr *filter, struct ast_window *over);
struct ast_expr *ast_keyword(struct ast_parse *p, struct ast_token token, int32_t precision);
struct ast_expr *ast_named(struct ast_parse *p, struct ast_token name, struct ast_expr *a);
struct ast_expr *ast_collate(struct ast_parse *p, int pos, struct ast_expr *a,
    struct ast_name *name);
struct ast_expr *ast_subscript(struct ast_parse *p, struct ast_expr *a, struct ast_expr *b,
    struct ast_expr *c, bool slice);
struct ast_expr *ast_field(struct ast_parse *p, struct ast_expr *a, struct ast_token name);

struct ast_type *ast_type_new(struct ast_parse *p, struct ast_name *name, struct ast_list *mods);
struct ast_type *ast_type_of(struct ast_parse *p, int pos, const char *name,
    struct ast_list *mods);
struct ast_type *ast_type_array(struct ast_type *type);

struct ast_target *ast_target(struct ast_parse *p, struct ast_expr *expr, struct ast_token alias);
struct ast_order *ast_order(struct ast_parse *p, struct ast_expr *expr, bool desc, char nulls);
struct ast_alias *ast_alias(struct ast_parse *p, struct ast_token name, struct ast_list *columns);
struct ast_from *ast_from_table(struct ast_parse *p, struct ast_name *name,
    struct ast_alias *alias);
struct ast_from *ast_from_select(struct ast_parse *p, int pos, struct ast_select *select,
    struct ast_alias *alias, bool lateral);
struct ast_from *ast_from_function(struct ast_parse *p, struct ast_expr *call, bool ordinality,
    struct ast_alias *alias, bool lateral);
struct ast_from *ast_from_join(struct ast_parse *p, int pos, enum ast_join_kind kind,
    struct ast_from *left, struct ast_from *right);
struct ast_select *ast_select_new(struct ast_parse *p, int pos);
struct ast_select *ast_select_set(struct ast_parse *p, int pos, enum ast_set_op op, bool all,
    struct ast_select *left, struct ast_select *right);
struct ast_window *ast_window_new(struct ast_parse *p, int pos);

/* The limit of a select: what LIMIT, OFFSET and FETCH said. */
struct ast_limit {
    struct ast_expr *limit, *offset;
    bool ties;
};
void ast_select_tail(struct ast_parse *p, struct ast_select *select, struct ast_list *order,
    struct ast_limit limit, struct ast_token locking);

struct ast_option *ast_option(struct ast_parse *p, struct ast_token name, struct ast_expr *value);
struct ast_stmt *ast_stmt_new(struct ast_parse *p, enum ast_stmt_kind kind, int pos);
void ast_stmt_add(struct ast_parse *p, struct ast_stmt *stmt, int end);

/* Y year, O month, D day, H hour, M minute, S second. */
struct ast_fields ast_fields(char from, char to, struct ast_token precision);
struct ast_type *ast_interval_type(struct ast_parse *p, int pos, struct ast_fields fields);
int32_t ast_digit(struct ast_token token);
struct ast_type *ast_type_of_call(struct ast_parse *p, struct ast_expr *call);
struct ast_select *ast_select_with(struct ast_parse *p, struct ast_select *with,
    struct ast_select *select);
struct ast_select *ast_select_simple(struct ast_parse *p, int pos, struct ast_list *targets,
    struct ast_list *from, struct ast_expr *where, struct ast_groupby group,
    struct ast_expr *having, struct ast_list *windows);
/* SELECT * FROM it */
struct ast_select *ast_select_from(struct ast_parse *p, int pos, struct ast_from *from);
struct ast_select *ast_select_table(struct ast_parse *p, struct ast_token table,
    struct ast_name *name);
struct ast_cte *ast_cte(struct ast_parse *p, struct ast_token name, struct ast_list *columns,
    char materialized, struct ast_select *select);

struct ast_join_qual {
    struct ast_expr *on;
    struct ast_list *columns;
};
void ast_from_qualify(struct ast_from *join, struct ast_join_qual qual);
struct ast_column_def *ast_column_def(struct ast_parse *p, struct ast_token name,
    struct ast_type *type);
struct ast_subscribe *ast_subscribe_new(struct ast_parse *p, int pos);
struct ast_range *ast_range(struct ast_parse *p, struct ast_token first, struct ast_token last);
/* "a.b" as one token. */
struct ast_token ast_dotted(struct ast_parse *p, struct ast_token a, struct ast_token b);
struct ast_insert *ast_insert_new(struct ast_parse *p, struct ast_list *columns,
    struct ast_select *select);
struct ast_copy *ast_copy_new(struct ast_parse *p);
struct ast_stmt *ast_copy(struct ast_parse *p, int pos, struct ast_copy *copy, bool from,
    struct ast_token target, struct ast_list *options, struct ast_expr *where);
struct ast_option *ast_option_word(struct ast_parse *p, struct ast_token at, const char *name,
    const char *value);
/* name NULL: the token's; names NULL: all columns, "*". */
struct ast_option *ast_option_list(struct ast_parse *p, struct ast_token at, const char *name,
    struct ast_list *names);

struct ast_retain {
    struct ast_expr *time, *bytes;
    bool all;
    int pos;
};
struct ast_create_topic *ast_create_topic(struct ast_parse *p);
struct ast_create_topic *ast_create_refuse(struct ast_create_topic *create,
    struct ast_token clause);
struct ast_create_topic *ast_create_format(struct ast_parse *p, struct ast_create_topic *create,
    struct ast_token format);
struct ast_word *ast_word(struct ast_parse *p, struct ast_token token, char kind);
struct ast_word *ast_word_of(struct ast_parse *p, const char *text);
struct ast_stmt *ast_role(struct ast_parse *p, int pos, enum ast_stmt_kind kind,
    struct ast_list *names, struct ast_list *words);
struct ast_stmt *ast_grant(struct ast_parse *p, int pos, enum ast_stmt_kind kind,
    struct ast_list *rights, struct ast_list *on, struct ast_list *whom);
struct ast_alter_topic *ast_alter_topic(struct ast_parse *p, enum ast_alter_kind kind);
struct ast_stmt *ast_set(struct ast_parse *p, int pos, struct ast_token name,
    struct ast_list *values, int scope);
struct ast_stmt *ast_show(struct ast_parse *p, int pos, enum ast_stmt_kind kind, struct str name);
struct ast_stmt *ast_transaction(struct ast_parse *p, int pos, enum ast_transaction_kind kind,
    struct str name, struct ast_list *modes);
struct ast_stmt *ast_named_stmt(struct ast_parse *p, enum ast_stmt_kind kind, int pos,
    struct ast_token name);
struct ast_stmt *ast_explain(struct ast_parse *p, int pos, bool analyze, bool verbose,
    struct ast_list *options, struct ast_stmt *stmt);
struct ast_stmt *ast_declare(struct ast_parse *p, int pos, struct ast_token name, int options,
    bool hold, struct ast_select *select, struct ast_subscribe *subscribe);
struct ast_fetch *ast_fetch(struct ast_parse *p, char direction, struct ast_expr *count,
    struct ast_token cursor);

/* ---- parse.c ---------------------------------------------------------------------- */

/* All statements of text, in p->stmts; empty ones are left out. text is copied
 * into the arena.
 * Fails: OX_SYNTAX_ERROR, OX_STATEMENT_TOO_COMPLEX, OX_CHARACTER_NOT_IN_REPERTOIRE,
 *        OX_PROGRAM_LIMIT_EXCEEDED (too long), with the position */
ox_code sql_parse(struct str text, struct arena *arena, struct ast_parse *p, struct ox_err *err);

/* 1-based character of a byte offset. */
int ast_position(struct str text, int pos);

#endif
