/* SPDX-License-Identifier: Apache-2.0
 *
 * Text to result: what pgwire/ sees of SQL.
 *
 * A session belongs to one loop and does one thing at a time. Prepared
 * statements, SQL cursors and protocol portals are kept here (cursors and
 * portals in one namespace), so are settings and the state of the transaction.
 *
 * Results flow to the session's client, a table of callbacks. Calls that may
 * take time (sql_query, sql_execute) report through it, from inside the call
 * or later on the same loop, and end with exactly one of the callbacks that
 * their comment names; until then no other call but sql_cancel, sql_resume, the
 * sql_copy_* that an open COPY FROM asks for, and sql_session_free is allowed. */
#ifndef SQL_SQL_H
#define SQL_SQL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "row/row.h"

struct engine;
struct engine_session;
struct ox_stop;
struct env;
struct loop;
struct sql_server;
struct sql_session;

/* ---- What is shared by all sessions --------------------------------------- */

struct sql_server_config {
    struct engine *engine;
    const char *temp_dir;    /* for spills; NULL: statements that need it fail */
    const char *version;     /* "16.3 (Oxbow 0.1)", as server_version */
};

ox_code sql_server_new(const struct sql_server_config *config, const struct env *env,
    struct sql_server **out, struct ox_err *err);
/* All sessions are gone. On: no loop. */
void sql_server_free(struct sql_server *server);

/* ---- The client of a session ------------------------------------------------ */

struct sql_column {
    struct str name;
    struct type type;
    uint32_t table_oid; /* of the relation it comes from, or 0 */
    int16_t attnum;     /* in it; negative for system columns, or 0 */
    bool unknown;       /* a literal that had no type of its own */
    const struct expr *shape; /* of a record whose fields are known: such a row; or NULL */
};

struct sql_result {
    const struct sql_column *columns;
    uint32_t count;
    const int16_t *formats; /* a column each, 0 text 1 binary; NULL: all text */
};

/* COPY as CopyInResponse, CopyOutResponse say it. */
struct sql_copy {
    bool binary;
    uint32_t columns;
};

struct sql_client {
    /* severity: NOTICE, WARNING, INFO, ... code of err gives the SQLSTATE. */
    void (*notice)(struct sql_client *client, const char *severity, const struct ox_err *err);
    /* ParameterStatus. */
    void (*parameter)(struct sql_client *client, const char *name, const char *value);
    /* RowDescription; only from sql_query. Lives until the statement ends. */
    void (*columns)(struct sql_client *client, const struct sql_result *result);
    /* Rows of the batch's selection from *at on, which it moves past those that
     * were sent; borrowed. False: the socket is full, go on after sql_resume. */
    bool (*rows)(struct sql_client *client, const struct sql_result *result,
        const struct batch *batch, uint32_t *at);
    /* The source would wait now: send what was collected. */
    void (*flush)(struct sql_client *client);
    void (*copy_out_begin)(struct sql_client *client, const struct sql_copy *copy);
    /* One or more whole lines or tuples, borrowed. False as for rows. */
    bool (*copy_out_data)(struct sql_client *client, struct str data);
    void (*copy_out_end)(struct sql_client *client);
    /* Feed sql_copy_data from now on. */
    void (*copy_in_begin)(struct sql_client *client, const struct sql_copy *copy);
    /* After sql_copy_data returned false: ask for more. */
    void (*copy_in_more)(struct sql_client *client);
    void (*complete)(struct sql_client *client, const char *tag);
    void (*suspended)(struct sql_client *client);
    void (*empty)(struct sql_client *client);
    void (*failed)(struct sql_client *client, const struct ox_err *err);
    /* The end of sql_query: status is 'I', 'T' or 'E'. */
    void (*ready)(struct sql_client *client, char status);
    /* pg_cancel_backend and pg_terminate_backend (end): false when no session has
     * that number. May be NULL. */
    bool (*cancel)(struct sql_client *client, int32_t pid, bool end);
};

/* ---- Sessions ------------------------------------------------------------------ */

struct sql_setting_start {
    struct str name, value;
};

struct sql_session_config {
    struct sql_server *server;
    struct engine_session *engine; /* who; borrowed for the session's life */
    struct loop *loop;
    struct sql_client *client;     /* borrowed */
    struct str user, database;
    /* Other startup parameters and "options", in order. */
    const struct sql_setting_start *settings;
    uint32_t setting_count;
    int32_t pid; /* as in BackendKeyData */
    struct ox_stop *stop; /* begun and entered around calls that work; borrowed, or NULL */
};

/* Fails:  OX_UNDEFINED_OBJECT, OX_INVALID_PARAMETER_VALUE (a startup setting) */
ox_code sql_session_new(const struct sql_session_config *config, struct sql_session **out,
    struct ox_err *err);
/* Ends what runs without further callbacks. NULL is allowed. */
void sql_session_free(struct sql_session *sess);

/* Calls client->parameter for each setting that is reported at start. */
void sql_session_report(struct sql_session *sess);
/* How values are written: for DataRow. */
const struct row_format *sql_session_format(const struct sql_session *sess);

/* ---- Simple protocol ------------------------------------------------------------- */

/* Runs all statements of text as one implicit transaction, unless they say
 * otherwise. Per statement: [columns] rows* complete, or empty, or failed, which
 * ends the text. Then ready. text is copied. The unnamed statement and the unnamed
 * portal are closed. */
void sql_query(struct sql_session *sess, struct str text);

/* ---- Extended protocol -------------------------------------------------------------- */

/* name empty: the unnamed statement, replaced. oids: types the client fixed, 0
 * where it did not.
 * Fails:  syntax and naming errors, OX_DUPLICATE_STATEMENT, OX_IN_FAILED_TRANSACTION */
ox_code sql_prepare(struct sql_session *sess, struct str name, struct str text,
    const uint32_t *oids, uint32_t oid_count, struct ox_err *err);

struct sql_description {
    const uint32_t *params; /* oids; only of statements */
    uint32_t param_count;
    bool has_result; /* else NoData */
    struct sql_result result;
};
/* Lives until the next call on the session. */
ox_code sql_describe_statement(struct sql_session *sess, struct str name,
    struct sql_description *out, struct ox_err *err);
ox_code sql_describe_portal(struct sql_session *sess, struct str name,
    struct sql_description *out, struct ox_err *err);

struct sql_param {
    struct str value; /* null for NULL */
    bool binary;
};
/* Formats as in Bind: none, one for all, or one each. */
ox_code sql_bind(struct sql_session *sess, struct str portal, struct str statement,
    const struct sql_param *params, uint32_t param_count, const int16_t *formats,
    uint32_t format_count, struct ox_err *err);

/* Ends with complete, suspended (only when max_rows > 0), empty or failed. */
void sql_execute(struct sql_session *sess, struct str portal, uint64_t max_rows);

void sql_close_statement(struct sql_session *sess, struct str name); /* absent is fine */
void sql_close_portal(struct sql_session *sess, struct str name);

/* Sync: ends the implicit transaction. Returns the status for ReadyForQuery. */
char sql_sync(struct sql_session *sess);
/* An error of the protocol itself (a bad message) happened: as if a statement
 * had failed. */
void sql_fail_transaction(struct sql_session *sess);

/* How long the session may now be silent, in ms, and what it then ends with; 0: as long as
 * it likes. Asked when it is ready for a query. */
int64_t sql_idle_limit_ms(const struct sql_session *sess, ox_code *code);

/* ---- While something runs ------------------------------------------------------------- */

/* The socket has room again. */
void sql_resume(struct sql_session *sess);
/* CancelRequest: what runs fails with OX_CANCELED; nothing otherwise. On: the
 * session's loop. */
void sql_cancel(struct sql_session *sess, ox_code code);
/* Whether a statement runs (its end has not been reported). */
bool sql_busy(const struct sql_session *sess);

/* ---- COPY FROM STDIN -------------------------------------------------------------------- */

/* Bytes are copied. False: wait for client->copy_in_more before the next call. */
bool sql_copy_data(struct sql_session *sess, struct str data);
void sql_copy_done(struct sql_session *sess);
/* CopyFail; the statement fails with the client's message. */
void sql_copy_fail(struct sql_session *sess, struct str message);

#endif
