/* SPDX-License-Identifier: Apache-2.0
 *
 * The door, its connections, and what comes before the first query: encryption
 * requests, cancel requests, the startup packet, and the answers that make a
 * session.
 *
 *   opened -> PG_STARTUP --SSLRequest: 'S', TLS, or 'N'--> PG_STARTUP
 *             PG_STARTUP --a TLS hello--> TLS, PG_STARTUP
 *             PG_STARTUP --GSSENCRequest: 'N'--> PG_STARTUP
 *             PG_STARTUP --CancelRequest--> closed
 *             PG_STARTUP --StartupMessage--> PG_LOGIN --> PG_IDLE (session, key, ready)
 *
 * A CancelRequest comes on a connection of its own and names pid and secret. In
 * plain bytes it is obeyed by the thread that accepts, before it is a connection;
 * inside TLS on any loop. Both mark the statement's stop, which what computes
 * looks at, and post to its loop, which wakes what waits. */
#include <stdio.h>

#include "base/check.h"
#include "config.h"
#include "pgwire/pgwire_int.h"

static struct str
pid_key(const int32_t *pid)
{
    return ox_str_n(pid, sizeof(*pid));
}

/* ---- cancelling ---- */

struct cancel {
    struct loop_msg msg;
    struct pgwire_door *door;
    int32_t pid;
    uint32_t serial; /* of what was under way */
    bool end;        /* the session too */
};

static struct pg_conn *
find_pid(struct pgwire_door *door, int32_t pid, const int32_t *secret)
{
    ox_lock(&door->lock);
    struct pg_conn *pg = ox_map_get(&door->by_pid, pid_key(&pid));
    if (pg != NULL && secret != NULL && pg->secret != *secret)
        pg = NULL;
    ox_unlock(&door->lock);
    return pg;
}

/* On the loop of the connection that is meant, unless it is gone. */
static void
cancel_there(struct loop_msg *msg)
{
    struct cancel *cancel = ox_container_of(msg, struct cancel, msg);
    struct pg_conn *pg = find_pid(cancel->door, cancel->pid, NULL);
    if (pg != NULL && loop_is(pg->engine.loop) && pg->sql != NULL &&
        cancel->serial == ox_stop_serial(&pg->stop))
        sql_cancel(pg->sql, OX_CANCELED);
    if (pg != NULL && loop_is(pg->engine.loop) && cancel->end && pg->state != PG_CLOSING) {
        struct ox_err err;
        ox_fail(&err, OX_TERMINATED, "terminating connection due to administrator command");
        pg_fatal(pg, &err);
    }
    ox_free(cancel);
}

/* False when there is no such session, or the secret is not its own. */
static bool
post_cancel(struct pgwire_door *door, int32_t pid, const int32_t *secret, bool end)
{
    struct loop *loop = NULL;
    uint32_t serial = 0;
    ox_lock(&door->lock);
    struct pg_conn *target = ox_map_get(&door->by_pid, pid_key(&pid));
    if (target != NULL && (secret == NULL || target->secret == *secret)) {
        loop = target->engine.loop;
        serial = ox_stop_ask(&target->stop, OX_CANCELED);
    }
    ox_unlock(&door->lock);
    if (loop == NULL)
        return false;
    struct cancel *cancel = ox_calloc(1, sizeof(*cancel));
    *cancel = (struct cancel){.msg.fn = cancel_there, .door = door, .pid = pid,
        .serial = serial, .end = end};
    loop_post(loop, &cancel->msg);
    return true;
}

bool
pg_cancel(struct sql_client *client, int32_t pid, bool end)
{
    struct pg_conn *pg = ox_container_of(client, struct pg_conn, client);
    return post_cancel(pg->door, pid, NULL, end);
}

static void
request_cancel(struct pg_conn *pg, struct wire_in *in)
{
    int32_t pid = wire_get32(in), secret = wire_get32(in);
    if (!in->failed)
        post_cancel(pg->door, pid, &secret, false);
    conn_close(pg->conn);
}

/* On the door's loop: a CancelRequest, whole. */
static enum conn_early
on_early(void *arg, const uint8_t *bytes, size_t have)
{
    if (have < 8)
        return CONN_EARLY_MORE;
    if (wire_load32(bytes) != 16 || wire_load32(bytes + 4) != PG_CANCEL)
        return CONN_EARLY_SERVE;
    if (have < 16)
        return CONN_EARLY_MORE;
    int32_t secret = (int32_t)wire_load32(bytes + 12);
    post_cancel(arg, (int32_t)wire_load32(bytes + 8), &secret, false);
    return CONN_EARLY_DONE;
}

static void
take_key(struct pg_conn *pg)
{
    struct pgwire_door *door = pg->door;
    env_random(engine_env(door->config.engine), &pg->secret, sizeof(pg->secret));
    ox_lock(&door->lock);
    /* The connection's own number, which views show, as long as it fits. */
    pg->pid = (int32_t)(conn_id(pg->conn) & INT32_MAX);
    while (pg->pid == 0 || ox_map_get(&door->by_pid, pid_key(&pg->pid)) != NULL)
        pg->pid = pg->pid == INT32_MAX ? 1 : pg->pid + 1;
    ox_map_put(&door->by_pid, pid_key(&pg->pid), pg);
    ox_unlock(&door->lock);
}

static void
forget_key(struct pg_conn *pg)
{
    if (pg->pid == 0)
        return;
    ox_lock(&pg->door->lock);
    ox_map_remove(&pg->door->by_pid, pid_key(&pg->pid));
    ox_unlock(&pg->door->lock);
    pg->pid = 0;
}

/* ---- the startup packet ---- */

enum { SETTINGS_MAX = 128, TLS_HELLO = 0x16 };

struct startup {
    struct arena arena;
    struct str user, database, unknown[SETTINGS_MAX];
    uint32_t unknown_count; /* _pq_. options that this protocol does not know */
    struct sql_setting_start settings[SETTINGS_MAX];
    uint32_t setting_count;
};

static void
add_setting(struct startup *startup, struct str name, struct str value)
{
    if (startup->setting_count < SETTINGS_MAX)
        startup->settings[startup->setting_count] = (struct sql_setting_start){name, value};
    startup->setting_count++;
}

/* The next word of "options": blanks end it unless a backslash precedes. */
static bool
next_word(struct startup *startup, struct str *rest, struct str *word)
{
    struct text text;
    while (rest->len > 0 && rest->ptr[0] == ' ')
        *rest = ox_str_n(rest->ptr + 1, rest->len - 1);
    if (rest->len == 0)
        return false;
    ox_text_init(&text, &startup->arena);
    size_t at = 0;
    for (; at < rest->len && rest->ptr[at] != ' '; at++) {
        if (rest->ptr[at] == '\\' && at + 1 < rest->len)
            at++;
        ox_text_addc(&text, rest->ptr[at]);
    }
    *rest = ox_str_n(rest->ptr + at, rest->len - at);
    *word = ox_text_str(&text);
    return true;
}

/* -c name=value and --name=value. */
static ox_code
read_options(struct startup *startup, struct str options, struct ox_err *err)
{
    struct str word;
    while (next_word(startup, &options, &word)) {
        if (ox_str_is(word, "-c") && !next_word(startup, &options, &word))
            word = OX_STR("");
        else if (ox_str_starts(word, OX_STR("--")))
            word = ox_str_n(word.ptr + 2, word.len - 2);
        else if (ox_str_starts(word, OX_STR("-c")))
            word = ox_str_n(word.ptr + 2, word.len - 2);
        const char *equals = word.len ? memchr(word.ptr, '=', word.len) : NULL;
        if (equals == NULL)
            return ox_fail(err, OX_SYNTAX_ERROR,
                "invalid command-line argument for server process: %.*s", OX_STR_ARG(word));
        size_t name_len = (size_t)(equals - word.ptr);
        add_setting(startup, ox_str_n(word.ptr, name_len),
            ox_str_n(equals + 1, word.len - name_len - 1));
    }
    return OX_OK;
}

static ox_code
take_parameter(struct startup *startup, struct str name, struct str value, struct ox_err *err)
{
    if (ox_str_is(name, "user"))
        startup->user = value;
    else if (ox_str_is(name, "database"))
        startup->database = value;
    else if (ox_str_is(name, "options"))
        return read_options(startup, value, err);
    else if (ox_str_is(name, "replication")) {
        if (!ox_str_is(value, "false") && !ox_str_is(value, "off") && !ox_str_is(value, "0"))
            return ox_fail(err, OX_FEATURE_NOT_SUPPORTED,
                "the replication protocol is not supported");
    } else if (ox_str_starts(name, OX_STR("_pq_."))) {
        if (startup->unknown_count < SETTINGS_MAX)
            startup->unknown[startup->unknown_count++] = name;
    } else {
        add_setting(startup, name, value);
    }
    return OX_OK;
}

static ox_code
read_startup(struct startup *startup, struct wire_in *in, struct ox_err *err)
{
    for (;;) {
        struct str name = pg_get_cstr(in);
        if (name.len == 0)
            break;
        struct str value = pg_get_cstr(in);
        if (in->failed)
            break;
        ox_code code = take_parameter(startup, name, value, err);
        if (code != OX_OK)
            return code;
    }
    if (in->failed || wire_left(in) != 0)
        return ox_fail(err, OX_PROTOCOL_VIOLATION,
            "invalid startup packet layout: expected terminator as last byte");
    if (startup->user.len == 0)
        return ox_fail(err, OX_INVALID_AUTHORIZATION,
            "no PostgreSQL user name specified in startup packet");
    if (startup->setting_count > SETTINGS_MAX)
        return ox_fail(err, OX_PROGRAM_LIMIT_EXCEEDED,
            "startup packet has %u settings, at most %d are taken", startup->setting_count,
            SETTINGS_MAX);
    ox_code code = row_check_text(startup->user, err);
    if (code == OX_OK && startup->database.len > 0)
        code = row_check_text(startup->database, err);
    return code;
}

/* NegotiateProtocolVersion: we speak 3.0 and know no _pq_. options. */
static void
send_negotiation(struct pg_conn *pg, const struct startup *startup)
{
    size_t begin = pg_begin(&pg->out, 'v');
    pg_put32(&pg->out, PG_PROTOCOL_3);
    pg_put32(&pg->out, (int32_t)startup->unknown_count);
    for (uint32_t i = 0; i < startup->unknown_count; i++)
        pg_put_str(&pg->out, startup->unknown[i]);
    pg_end(&pg->out, begin);
    pg_send(pg);
}

static void
send_welcome(struct pg_conn *pg, const struct startup *startup)
{
    size_t begin = pg_begin(&pg->out, 'R'); /* AuthenticationOk */
    pg_put32(&pg->out, 0);
    pg_end(&pg->out, begin);
    pg_send(pg);
    sql_session_report(pg->sql);
    begin = pg_begin(&pg->out, 'K');
    pg_put32(&pg->out, pg->pid);
    pg_put32(&pg->out, pg->secret);
    pg_end(&pg->out, begin);
    pg_send(pg);
    if (startup->database.len > 0 && !ox_str_is(startup->database, "oxbow") &&
        !ox_str_eq(startup->database, startup->user)) {
        struct ox_err notice = {0};
        snprintf(notice.message, sizeof(notice.message),
            "there is one database, \"oxbow\"; \"%.*s\" is another name for it",
            OX_STR_ARG(startup->database));
        pg_error(pg, "NOTICE", &notice);
    }
    pg_ready(pg, 'I');
}

static ox_code
make_session(struct pg_conn *pg, struct startup *startup, struct ox_err *err)
{
    struct sql_session_config config = {pg->door->sql, &pg->engine, pg->engine.loop, &pg->client,
        startup->user, startup->database.len ? startup->database : OX_STR("oxbow"),
        startup->settings, startup->setting_count, pg->pid, &pg->stop};
    return sql_session_new(&config, &pg->sql, err);
}

static void
free_startup(struct pg_conn *pg)
{
    if (pg->startup == NULL)
        return;
    ox_arena_fini(&pg->startup->arena);
    ox_free(pg->startup);
    pg->startup = NULL;
}

struct str
pg_startup_user(const struct pg_conn *pg)
{
    return pg->startup->user;
}

void
pg_welcome(struct pg_conn *pg)
{
    struct ox_err err;
    take_key(pg);
    if (make_session(pg, pg->startup, &err) == OX_OK) {
        pg->state = PG_IDLE;
        conn_set_idle_limit(pg->conn, 0);
        send_welcome(pg, pg->startup);
    } else {
        pg_fatal(pg, &err);
    }
    free_startup(pg);
}

static void
start_session(struct pg_conn *pg, struct wire_in *in, int32_t version)
{
    struct ox_err err;
    struct startup *startup = ox_calloc(1, sizeof(*startup));
    ox_arena_init(&startup->arena);
    pg->startup = startup;
    size_t len = wire_left(in);
    struct wire_in copy = wire_in(ox_arena_copy(&startup->arena, in->at, len), len);
    ox_code code = conn_is_surplus(pg->conn)
                       ? ox_fail(&err, OX_TOO_MANY_CONNECTIONS, "sorry, too many clients already")
                       : read_startup(startup, &copy, &err);
    if (code == OX_OK && pg->door->config.tls_required && !pg->engine.encrypted)
        code = ox_fail(&err, OX_INVALID_AUTHORIZATION,
            "connections of host \"%s\" must be encrypted", pg->engine.host);
    if (code != OX_OK) {
        pg_fatal(pg, &err);
        return;
    }
    if (version != PG_PROTOCOL_3 || startup->unknown_count > 0)
        send_negotiation(pg, startup);
    pg->state = PG_LOGIN;
    pg_login_begin(pg);
}

static void
answer_ssl(struct pg_conn *pg)
{
    struct net_tls *tls = pg->door->config.tls;
    if (tls == NULL || pg->engine.encrypted) {
        conn_write(pg->conn, "N", 1);
        return;
    }
    conn_write(pg->conn, "S", 1);
    pg->engine.encrypted = true;
    conn_start_tls(pg->conn, tls, NULL, 0);
}

static void
startup_message(struct pg_conn *pg, const struct slice *message)
{
    struct ox_err err;
    struct wire_in in = wire_in(ox_slice_ptr(message), message->len);
    wire_get32(&in);
    int32_t version = wire_get32(&in);
    bool *asked = version == PG_SSL ? &pg->ssl_asked : version == PG_GSSENC ? &pg->gss_asked : NULL;
    if (asked != NULL && !*asked) {
        *asked = true;
        if (version == PG_SSL) {
            answer_ssl(pg);
            return;
        }
        conn_write(pg->conn, "N", 1);
    } else if (version == PG_CANCEL) {
        request_cancel(pg, &in);
    } else if (version >> 16 == 3) {
        start_session(pg, &in, version);
    } else {
        ox_fail(&err, OX_FEATURE_NOT_SUPPORTED,
            "unsupported frontend protocol %u.%u: server supports 3.0 to 3.0",
            (uint32_t)version >> 16, (uint32_t)version & 0xFFFF);
        pg_fatal(pg, &err);
    }
}

/* ---- connections ---- */

static void
on_opened(struct conn *conn, void *arg)
{
    struct pg_conn *pg = ox_calloc(1, sizeof(*pg));
    pg->door = arg;
    pg->conn = conn;
    pg->stop.env = engine_env(pg->door->config.engine);
    conn_set_user(conn, pg);
    ox_text_init(&pg->out, NULL);
    engine_session_init(&pg->engine, pg->door->config.engine, conn_loop(conn), "sql",
        "SQL", conn_peer_host(conn), conn_id(conn));
    conn_set_session(conn, &pg->engine);
    pg_client_init(pg);
}

static ptrdiff_t
refuse_length(struct pg_conn *pg, uint32_t len)
{
    struct ox_err err;
    ox_fail(&err, OX_PROTOCOL_VIOLATION,
        pg->state == PG_STARTUP ? "invalid length of startup packet" : "invalid message length %u",
        len);
    if (pg->state == PG_STARTUP)
        ox_hint(&err, "This port speaks PostgreSQL's protocol.");
    pg_fatal(pg, &err);
    return -1;
}

/* The longest message of a type, 0 for what is no type. */
static uint32_t
message_max(uint8_t type)
{
    switch (type) {
    case 'Q': case 'P': case 'B': case 'F': case 'd':
        return PG_MESSAGE_MAX;
    case 'C': case 'D': case 'E': case 'H': case 'S': case 'X': case 'c': case 'f': case 'p':
        return PG_SHORT_MESSAGE_MAX;
    default:
        return 0;
    }
}

static ptrdiff_t
on_frame_len(struct conn *conn, const uint8_t *bytes, size_t have)
{
    struct pg_conn *pg = conn_user(conn);
    if (pg->state == PG_STARTUP && bytes[0] == TLS_HELLO && !pg->engine.encrypted &&
        pg->door->config.tls != NULL) {
        pg->engine.encrypted = true;
        conn_start_tls(conn, pg->door->config.tls, bytes, have);
        return 0;
    }
    if (pg->state == PG_STARTUP) {
        uint32_t len = have >= 4 ? wire_load32(bytes) : 8;
        if (len > PG_STARTUP_MAX)
            limit_met(LIMIT_PG_STARTUP);
        if (len < 8 || len > PG_STARTUP_MAX)
            return refuse_length(pg, len);
        return have >= 4 ? (ptrdiff_t)len : 0;
    }
    uint32_t most = message_max(bytes[0]);
    if (most == 0) {
        pg_unknown_type(pg, bytes[0]);
        return -1;
    }
    if (have < 5)
        return 0;
    uint32_t len = wire_load32(bytes + 1);
    if (len > PG_MESSAGE_MAX)
        limit_met(LIMIT_PG_MESSAGE);
    if (len < 4 || len > (pg->state == PG_LOGIN ? PG_LOGIN_MAX : most))
        return refuse_length(pg, len);
    return (ptrdiff_t)len + 1;
}

static void
on_frame(struct conn *conn, const struct slice *message)
{
    struct pg_conn *pg = conn_user(conn);
    atomic_fetch_add_explicit(&pg->engine.requests, 1, memory_order_relaxed);
    if (pg->state == PG_STARTUP)
        startup_message(pg, message);
    else if (pg->state == PG_LOGIN)
        pg_login_message(pg, message);
    else if (pg->state != PG_CLOSING)
        pg_message(pg, message);
}

static void
on_drained(struct conn *conn)
{
    struct pg_conn *pg = conn_user(conn);
    if (pg->sql != NULL)
        sql_resume(pg->sql);
}

/* A client that closed its side may be gone altogether: only what is sent tells. While a
 * statement has nothing to say it is told what it knows, which clients take at any time;
 * a socket that nobody has any more refuses the next. */
static void
probe(struct loop_timer *timer)
{
    struct pg_conn *pg = ox_container_of(timer, struct pg_conn, probe);
    bool running = pg->state == PG_QUERY || pg->state == PG_EXECUTE;
    if (running && !conn_output_waits(pg->conn))
        pg->client.parameter(&pg->client, "integer_datetimes", "on");
    pg->probe_ms = OX_MIN(pg->probe_ms * 2, (uint64_t)PG_PROBE_LAST_MS);
    loop_timer_start(pg->engine.loop, &pg->probe, pg->probe_ms * 1000000, probe);
}

/* What it asked for before is answered, all of it. */
static bool
on_awaits_rest(struct conn *conn)
{
    struct pg_conn *pg = conn_user(conn);
    if (pg->sql == NULL)
        return false;
    if (!loop_timer_running(&pg->probe)) {
        pg->probe_ms = PG_PROBE_FIRST_MS;
        loop_timer_start(pg->engine.loop, &pg->probe, pg->probe_ms * 1000000, probe);
    }
    return true;
}

static void
on_closed(struct conn *conn)
{
    struct pg_conn *pg = conn_user(conn);
    engine_login_refused(&pg->engine, conn_tls_refusal(conn));
    loop_timer_stop(&pg->idle);
    loop_timer_stop(&pg->probe);
    forget_key(pg);
    pg_login_closed(pg);
    free_startup(pg);
    sql_session_free(pg->sql);
    engine_session_fini(&pg->engine);
    ox_text_fini(&pg->out);
    ox_free(pg);
}

/* ---- the door ---- */

static const struct conn_handler handler = {
    .protocol = "sql",
    .tells_surplus = true,
    .opened = on_opened,
    .frame_len = on_frame_len,
    .frame = on_frame,
    .drained = on_drained,
    .awaits_rest = on_awaits_rest,
    .closed = on_closed,
    .early = on_early,
};

ox_code
pgwire_door_open(const struct pgwire_door_config *config, struct pgwire_door **out,
    int *bound_port, struct ox_err *err)
{
    struct pgwire_door *door = ox_calloc(1, sizeof(*door));
    struct sql_server_config sql = {config->engine, config->temp_dir,
        "16.3 (Oxbow " PACKAGE_VERSION ")"};
    struct listener *listener;
    door->config = *config;
    ox_lock_init(&door->lock, LOCK_CANCEL_KEYS);
    ox_map_init(&door->by_pid);
    ox_code code = sql_server_new(&sql, engine_env(config->engine), &door->sql, err);
    if (code == OX_OK)
        code = net_listen(config->net, config->address, config->port, &handler, door, NULL,
            &listener, err);
    if (code != OX_OK) {
        pgwire_door_free(door);
        return code;
    }
    *bound_port = net_listener_port(listener);
    *out = door;
    return OX_OK;
}

void
pgwire_door_free(struct pgwire_door *door)
{
    if (door == NULL)
        return;
    if (door->sql != NULL)
        sql_server_free(door->sql);
    ox_map_fini(&door->by_pid);
    ox_lock_fini(&door->lock);
    ox_free(door);
}
