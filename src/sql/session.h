/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside sql/: the session and what runs in it. */
#ifndef SQL_SESSION_H
#define SQL_SESSION_H

#include "base/lock.h"
#include "base/map.h"
#include "engine/engine.h"
#include "exec/exec.h"
#include "exec/expr.h"
#include "loop/loop.h"
#include "sql/ast.h"
#include "sql/bind.h"
#include "sql/sql.h"

struct catalog_db;

enum { CATALOG_IDLE_MAX = 8 };

struct sql_server {
    struct sql_server_config config;
    const struct env *env;
    int64_t started_us;
    struct row_names names;
    char version[128]; /* what version() says */
    struct lock lock; /* idle */
    struct catalog_db *idle[CATALOG_IDLE_MAX];
    int idle_count;
};

/* ---- settings (settings.c) ---------------------------------------------------- */

enum setting_id {
    SET_APPLICATION_NAME,
    SET_BYTEA_OUTPUT,
    SET_CLIENT_ENCODING,
    SET_CLIENT_MIN_MESSAGES,
    SET_DATESTYLE,
    SET_DEFAULT_TRANSACTION_ISOLATION,
    SET_DEFAULT_TRANSACTION_READ_ONLY,
    SET_EXTRA_FLOAT_DIGITS,
    SET_IDLE_TIMEOUT,
    SET_IDLE_SESSION_TIMEOUT,
    SET_IN_HOT_STANDBY,
    SET_INTEGER_DATETIMES,
    SET_INTERVALSTYLE,
    SET_IS_SUPERUSER,
    SET_JSON_ERRORS,
    SET_READ_UNCOMMITTED,
    SET_ROW_LIMIT,
    SET_SCAN_BYTES_LIMIT,
    SET_SEARCH_PATH,
    SET_SERVER_ENCODING,
    SET_SERVER_VERSION,
    SET_SERVER_VERSION_NUM,
    SET_SESSION_AUTHORIZATION,
    SET_STANDARD_CONFORMING_STRINGS,
    SET_STATEMENT_TIMEOUT,
    SET_STREAM_LINGER,
    SET_SYNCHRONOUS_COMMIT,
    SET_TIMEZONE,
    SET_TRANSACTION_ISOLATION,
    SET_TRANSACTION_READ_ONLY,
    SET_WORK_MEM,
    SET_OTHERS, /* accepted, without meaning here: from settings.c's table */
    SETTINGS_MAX = 64,
};

struct setting_undo {
    struct setting_undo *next;
    int id;        /* -1: a custom one, by name */
    char *name;
    char *old;     /* NULL: it was unset */
    bool local;    /* undone by COMMIT too */
};

struct settings {
    char *values[SETTINGS_MAX];   /* the fallback's own text, or heap */
    struct setting_start *starts; /* what RESET goes back to, if not to the fallback */
    struct map custom;          /* "a.b" -> char * */
    char *shown; /* heap: a setting of the server that was asked for */
    struct setting_undo *undo;  /* of the transaction, newest first */
    bool changed; /* since they were last turned into what they mean: */
    struct row_format format;
    const char **search_path; /* heap, NULL at its end */
    char *search_path_text; /* heap: search_path points into it */
    int64_t idle_block_ms, idle_session_ms;
    int64_t work_mem, statement_timeout_ms, row_limit, scan_bytes_limit;
    int64_t linger_ms;
    bool read_uncommitted;
    enum insert_acks acks;
};

ox_code settings_init(struct sql_session *sess, const struct sql_session_config *config,
    struct ox_err *err);
void settings_fini(struct sql_session *sess);
void settings_report(struct sql_session *sess);
/* value NULL: the default. Undone with the transaction. */
ox_code settings_set(struct sql_session *sess, struct str name, const char *value, bool local,
    struct ox_err *err);
/* As it is spelled: "TimeZone"; NULL: it is none of the session's own. */
const char *settings_name(struct str name);
ox_code settings_get(struct sql_session *sess, struct str name, const char **value,
    struct ox_err *err);
void settings_reset_all(struct sql_session *sess);
void settings_end(struct sql_session *sess, bool commit);
/* What was set since the newest undo was that one is undone. */
void settings_back_to(struct sql_session *sess, const struct setting_undo *undo);
/* Name, value, description of the i-th; false at the end. */
bool settings_at(struct sql_session *sess, int i, const char **name, const char **value,
    const char **doc);

/* ---- prepared statements, portals (portal.c) ------------------------------------- */

struct statement {
    char *name;
    struct arena arena;
    struct ast_parse parse;
    struct ast_stmt *ast; /* NULL: an empty text */
    struct type *param_types; /* of $1.. */
    uint32_t param_count;
    uint32_t *param_oids;
    bool described; /* bound once: types are final, columns are known */
    bool has_result;
    struct sql_column *columns;
    uint32_t column_count;
    uint32_t refs; /* the name, and portals */
    bool from_sql; /* PREPARE */
    int64_t made_us;
};

enum portal_state { PORTAL_READY, PORTAL_ACTIVE, PORTAL_DONE, PORTAL_FAILED };

struct portal {
    char *name;
    struct sql_session *sess;
    struct arena arena;      /* of the plan and the parameters */
    struct statement *stmt;  /* one reference */
    struct statement *explained; /* of EXPLAIN EXECUTE: one reference */
    const struct ast_stmt *ast;
    enum portal_state state;
    struct datum *params;
    struct type *param_types;
    uint32_t param_count;
    int16_t *formats; /* one a column, or NULL: text */
    const int16_t *format_codes; /* as Bind gave them */
    uint32_t format_code_count;
    bool planned;
    bool has_result;
    bool writes; /* INSERT, also that of EXPLAIN ANALYZE */
    struct bound bound;
    struct sql_result result;
    struct exec_run *run;
    uint64_t rows; /* given so far */
    bool cursor, hold, live; /* a SQL cursor; over a SUBSCRIBE statement */
    bool in_transaction;     /* made in an explicit block */
    size_t savepoints;       /* that it is behind: ROLLBACK TO an older one ends it */
    const char *tag;         /* "SELECT" */
    int64_t made_us;
};

/* Room for one more that has a name. Fails: OX_PROGRAM_LIMIT_EXCEEDED */
ox_code statement_room(const struct sql_session *sess, struct ox_err *err);
ox_code statement_new(struct sql_session *sess, struct str name, struct str text,
    const uint32_t *oids, uint32_t oid_count, struct statement **out, struct ox_err *err);
void statement_put(struct statement *stmt);
ox_code statement_describe(struct sql_session *sess, struct statement *stmt, struct ox_err *err);
struct statement *statement_find(struct sql_session *sess, struct str name);
void statement_drop_all(struct sql_session *sess);

ox_code portal_new(struct sql_session *sess, struct str name, struct statement *stmt,
    const struct ast_stmt *ast, struct portal **out, struct ox_err *err);
struct portal *portal_find(struct sql_session *sess, struct str name);
ox_code portal_cursor(
    struct sql_session *sess, struct str name, struct portal **out, struct ox_err *err);
void portal_drop(struct sql_session *sess, struct portal *portal);
/* End of transaction: all but WITH HOLD cursors (commit) go. */
void portal_drop_transaction(struct sql_session *sess, bool commit, bool all);
/* Portals made behind the savepoint of that number, from 1, go, or are the older one's; not
 * the one that runs. */
void portal_savepoint_end(struct sql_session *sess, size_t number, bool release,
    const struct portal *running);
/* Plans it: result columns are known then. */
ox_code portal_plan(struct portal *portal, struct ox_err *err);
ox_code portal_start(struct portal *portal, bool analyze, struct ox_err *err);
/* EXECUTE: the portal has the parameters then. *prepared: what is run, borrowed;
 * *ast: its statement, NULL if it is empty. */
ox_code portal_execute(struct portal *portal, const struct ast_stmt *execute,
    struct statement **prepared, const struct ast_stmt **ast, struct ox_err *err);
/* The text its statement came in. */
struct str portal_source(const struct portal *portal);
/* A portal whose result are fixed texts: rows of count cells each. */
void portal_texts(struct portal *portal, const char *const *names, uint32_t columns,
    const struct str *cells, uint32_t rows);
void bind_config_of(struct sql_session *sess, struct str text, struct type *param_types,
    uint32_t param_count, struct bind_config *out);

/* ---- the session (statement.c, session_facts.c) -------------------------------------------- */

enum task_kind {
    TASK_NONE,
    TASK_ROWS,   /* a portal gives rows */
    TASK_FETCH,  /* FETCH, MOVE from a cursor */
    TASK_ANALYZE, /* EXPLAIN ANALYZE: runs, then the portal gives its texts */
    TASK_DDL,
    TASK_HOLD,   /* an INSERT in a block: its rows are computed */
    TASK_COMMIT, /* and appended */
    TASK_COPY_OUT,
    TASK_COPY_IN,
};

enum { SAVEPOINTS_MAX = 10000 };

/* What pg_stat_activity shows of a session. */
struct session_activity {
    char *query; /* the newest statement, cut; heap, no larger than it ever had to be */
    size_t query_cap;
    int64_t query_start_us, changed_us; /* since 2000 */
};

struct copy_task; /* copy.c */
struct ddl_task;  /* ddl.c */
struct held;      /* hold.c */

struct sql_session {
    struct sql_session_config config;
    struct sql_server *server;
    struct sql_client *client;
    struct loop *loop;
    struct settings settings;
    struct session_info info;
    char *user, *database;
    int64_t started_us;
    char status; /* 'I', 'T', 'E' */
    bool explicit_block; /* BEGIN was said */
    bool implicit_block; /* several statements of one simple Query */
    bool read_only;
    int writes; /* in this transaction */
    int64_t now_us; /* of the transaction; 0 none */
    struct exec_snapshot *snapshot; /* REPEATABLE READ */
    struct savepoint {
        char *name;
        int writes; /* when it was made; so the next */
        const struct setting_undo *undo;
    } *savepoints; /* the newest last */
    size_t savepoint_count, savepoint_cap;
    struct map statements, portals;
    struct session_activity activity;
    /* The simple Query that runs. */
    bool in_query;
    struct arena query_arena;
    struct ast_parse query_parse;
    size_t query_next;
    bool in_loop; /* query_loop is on the stack */
    /* What runs now. */
    enum task_kind task;
    struct portal *portal;  /* gives the rows; of FETCH: the cursor's */
    struct portal *own;     /* the portal of the statement itself, dropped at its end */
    uint64_t max_rows, sent; /* of this Execute or FETCH; 0 all */
    bool extended;          /* started by sql_execute */
    bool full;              /* the client takes no more until it says so */
    bool parked;
    bool pumping;
    const struct batch *giving; /* rows the client had no room for, from giving_at on */
    uint32_t giving_at;
    ox_code cancel_code;
    const struct ast_fetch *fetch;
    struct portal *fetcher; /* of the FETCH itself: how its rows look */
    uint64_t fetch_deadline_ns; /* UINT64_MAX none */
    bool fetch_live;
    struct copy_task *copy;
    struct ddl_task *ddl;
    struct held *held;    /* rows that COMMIT will append */
    bool hold_lost;       /* an INSERT that was to be held failed: nothing was written */
    struct loop_timer timer; /* of a FETCH's timeout */
};

/* statement.c: a statement ended. */
void session_complete(struct sql_session *sess, const char *tag);
void session_fail(struct sql_session *sess, const struct ox_err *err);
void session_pump(struct sql_session *sess);
void session_time_limit(struct sql_session *sess);
void session_notice(struct sql_session *sess, const char *severity, ox_code code,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void session_config_run(struct portal *portal, bool analyze, struct exec_config *out);
ox_code session_begin(struct sql_session *sess, bool explicit_block);
/* COMMIT and ROLLBACK where there is no block: a warning, with AND CHAIN an error. */
ox_code session_check_end(struct sql_session *sess, const struct ast_stmt *stmt, struct ox_err *err);
/* The transaction is over, and with chain the next begun, in the modes of one that did not fail. */
void session_end_block(struct sql_session *sess, bool commit, bool chain);
void session_end(struct sql_session *sess, bool commit);
void session_savepoints_keep(struct sql_session *sess, size_t count);
int64_t session_wall_us(const struct sql_session *sess);

/* utility.c: statements that are done at once, or plan a result of texts. */
ox_code utility_plan(struct portal *portal, struct ox_err *err);
ox_code utility_run(struct portal *portal, const char **tag, struct ox_err *err);
/* The portal's result becomes its plan; run: with the counters of ANALYZE, or NULL. */
void utility_explain(struct portal *portal, const struct exec_run *run);
ox_code utility_text(const struct ast_expr *value, struct text *to);

/* ddl.c: starts; ends with session_complete or session_fail. */
ox_code ddl_start(struct sql_session *sess, const struct ast_stmt *stmt, struct ox_err *err);

/* Keys of a new password, one of each mechanism of SCRAM. A worker derives them. */
enum { ROLES_KEYS = 2 };
struct roles_keys {
    struct str password;
    uint8_t salts[ROLES_KEYS][AUTH_SALT_LEN];
    struct auth_keys keys[ROLES_KEYS];
};

/* CREATE, ALTER, DROP ROLE, GRANT, REVOKE as changes for one command (roles.c). A statement
 * that may be done but needs keys sets password, and is read again when keys has them. */
struct roles_work {
    struct sql_session *sess;
    struct engine_session *engine;
    struct arena *arena;
    const char *tag;
    struct meta_security_change *changes;
    size_t count, cap;
    struct str password;
    struct roles_keys *keys; /* or NULL */
};
ox_code roles_read(struct roles_work *work, const struct ast_stmt *stmt, struct ox_err *err);
/* On: a worker. Fails: as auth_keys_derive() */
ox_code roles_keys_derive(struct roles_keys *keys, struct ox_err *err);
void ddl_forget(struct sql_session *sess);
ox_code ddl_describe(struct portal *portal, struct ox_err *err);

/* session_facts.c */
void session_facts_init(struct sql_session *sess);
/* A statement begins; it ended and the client is told that we are ready. */
void session_active(struct sql_session *sess, struct str query);
void session_idle(struct sql_session *sess);
/* The i-th setting with its present value; false: there are no more. */
struct setting_state {
    const char *name, *value, *unit, *type, *source, *fallback, *reset, *choices, *doc;
    int64_t min, max;
    bool number, fixed;
};
bool settings_state(struct sql_session *sess, int i, struct arena *arena,
    struct setting_state *out);

/* hold.c */
bool hold_wanted(const struct sql_session *sess, const struct portal *portal);
ox_code hold_start(struct sql_session *sess, struct portal *portal, struct ox_err *err);
ox_code hold_rows(struct sql_session *sess, const struct batch *batch, struct ox_err *err);
uint64_t hold_count(const struct sql_session *sess);
/* tag: how the statement that commits will be answered. */
ox_code hold_commit(struct sql_session *sess, struct portal *portal, bool chain, const char *tag,
    struct ox_err *err);
void hold_step(struct sql_session *sess);
void hold_forget(struct sql_session *sess);

/* copy.c */
ox_code copy_start(struct sql_session *sess, struct portal *portal, struct ox_err *err);
void copy_pump(struct sql_session *sess);
void copy_forget(struct sql_session *sess);

#endif
