/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside pgwire/. */
#ifndef PGWIRE_PGWIRE_INT_H
#define PGWIRE_PGWIRE_INT_H

#include "base/limits.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/stop.h"
#include "base/wire.h"
#include "pgwire/pgwire.h"
#include "sql/sql.h"

enum {
    PG_STARTUP_MAX = LIMIT_PG_STARTUP_VALUE,
    PG_LOGIN_MAX = 65536,
    PG_MESSAGE_MAX = LIMIT_PG_MESSAGE_VALUE,
    PG_SHORT_MESSAGE_MAX = 10000, /* of messages that only name something */
    PG_PROTOCOL_3 = 196608,
    PG_CANCEL = 80877102,
    PG_SSL = 80877103,
    PG_GSSENC = 80877104,
    PG_PROBE_FIRST_MS = 100, /* of who closed its side: is it there? */
    PG_PROBE_LAST_MS = 10000,
};

struct pgwire_door {
    struct pgwire_door_config config;
    struct sql_server *sql;
    struct lock lock; /* by_pid */
    struct map by_pid; /* int32 pid -> pg_conn */
};

/* What the connection is in the middle of. */
enum pg_state {
    PG_STARTUP,  /* no session yet */
    PG_LOGIN,    /* the login is under way */
    PG_IDLE,     /* between messages */
    PG_QUERY,    /* a simple Query runs */
    PG_EXECUTE,  /* an Execute runs */
    PG_CLOSING,
};

struct pg_conn {
    struct pgwire_door *door;
    struct conn *conn;
    enum pg_state state;
    bool paused;        /* conn_pause() is in force until the statement moves on */
    bool skip_to_sync;  /* after an error in the extended protocol */
    bool copy_in;       /* the statement that runs takes CopyData */
    bool ssl_asked, gss_asked; /* each may be asked for once */
    int32_t pid, secret;
    struct startup *startup; /* until there is a session */
    struct pg_login *login;  /* login.c */
    struct engine_session engine;
    struct sql_session *sql;
    struct sql_client client;
    struct loop_timer idle; /* while PG_IDLE, if a setting limits it */
    struct loop_timer probe; /* since the client closed its side */
    uint64_t probe_ms;
    struct text out; /* messages being made; written and cleared at once */
    struct ox_stop stop; /* begun while a message is worked on */
};

/* ---- message.c ---- */

/* Begin a message in text; returns what pg_end() wants. */
size_t pg_begin(struct text *text, char type);
void pg_end(struct text *text, size_t begin);
void pg_put16(struct text *text, int16_t value);
void pg_put32(struct text *text, int32_t value);
void pg_put_cstr(struct text *text, const char *s);
void pg_put_str(struct text *text, struct str s); /* with its terminator */
/* Send what text holds and clear it. */
void pg_send(struct pg_conn *pg);

/* A NUL-terminated string; fails the reader when there is none. */
struct str pg_get_cstr(struct wire_in *in);

void pg_error(struct pg_conn *pg, const char *severity, const struct ox_err *err);
/* ErrorResponse FATAL, then close once it is sent. */
void pg_fatal(struct pg_conn *pg, const struct ox_err *err);
void pg_ready(struct pg_conn *pg, char status);
void pg_simple(struct pg_conn *pg, char type); /* a message without content */

/* ---- startup.c ---- */
/* sql_client.cancel */
bool pg_cancel(struct sql_client *client, int32_t pid, bool end);

/* The login is done: make the session and say so. */
void pg_welcome(struct pg_conn *pg);
struct str pg_startup_user(const struct pg_conn *pg);

/* ---- login.c ---- */
/* Ask who it is, or let in who need not be asked: pg_welcome() follows. */
void pg_login_begin(struct pg_conn *pg);
void pg_login_message(struct pg_conn *pg, const struct slice *message);
void pg_login_closed(struct pg_conn *pg);

/* ---- dialog.c ---- */
void pg_message(struct pg_conn *pg, const struct slice *message);
/* What a message asked for is done, or not: a cancel after this concerns the next. */
void pg_settle(struct pg_conn *pg);
/* The session waits for a message: not for ever, if a setting says so. */
void pg_idle_begin(struct pg_conn *pg);
void pg_unknown_type(struct pg_conn *pg, uint8_t type); /* ends the connection */

/* ---- result.c ---- */
void pg_client_init(struct pg_conn *pg);
void pg_row_description(struct pg_conn *pg, const struct sql_result *result);

#endif
