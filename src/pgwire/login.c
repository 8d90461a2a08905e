/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is it? Between the startup packet and the first "ready for query":
 *
 *   trust       -> welcome
 *   certificate -> the name it gives is the user's -> welcome
 *   SCRAM       -> SASL list, first, continue, final -> welcome
 *   password    -> asked for inside TLS alone, checked by a worker -> welcome
 *
 * A login that fails is answered after a delay, with the same words whatever was
 * wrong, and ends the connection. */
#include <stdio.h>

#include "base/check.h"
#include "pgwire/pgwire_int.h"

enum { ASK_OK = 0, ASK_CLEARTEXT = 3, ASK_SASL = 10, ASK_CONTINUE = 11, ASK_FINAL = 12 };

struct pg_login {
    struct pool_job job;
    struct pg_conn *pg; /* NULL: it has gone while a worker was busy */
    struct auth_exchange *exchange;
    bool begun;   /* the mechanism was chosen */
    bool working; /* a worker has the exchange */
    bool failed;  /* the answer is being delayed */
    struct loop_timer delay;
};

static struct pg_login *
login_new(struct pg_conn *pg)
{
    struct pg_login *login = ox_calloc(1, sizeof(*login));
    login->pg = pg;
    return pg->login = login;
}

static void
login_free(struct pg_login *login)
{
    loop_timer_stop(&login->delay);
    auth_exchange_free(login->exchange);
    ox_free(login);
}

void
pg_login_closed(struct pg_conn *pg)
{
    struct pg_login *login = pg->login;
    pg->login = NULL;
    if (login == NULL)
        return;
    login->pg = NULL;
    if (!login->working)
        login_free(login);
}

static void
ask(struct pg_conn *pg, int32_t what, struct str content)
{
    size_t begin = pg_begin(&pg->out, 'R');
    pg_put32(&pg->out, what);
    ox_text_add(&pg->out, content.ptr, content.len);
    pg_end(&pg->out, begin);
    pg_send(pg);
}

/* ---- ends ---- */

static void
note_failure(struct pg_conn *pg, const char *method, const struct ox_err *why)
{
    char user[256];
    struct str name = pg_startup_user(pg);
    snprintf(user, sizeof(user), "%.*s", OX_STR_ARG(name));
    engine_login_failed(&pg->engine, method, user, why);
}

/* Told at once, and why: no secret was asked for, or it was the right one. */
static void
turn_away(struct pg_conn *pg, const char *method, const struct ox_err *why)
{
    note_failure(pg, method, why);
    pg_fatal(pg, why);
}

static void
let_in(struct pg_conn *pg, const char *method)
{
    struct ox_err err;
    if (engine_login_done(&pg->engine, method, pg_startup_user(pg), &err) != OX_OK) {
        turn_away(pg, method, &err);
        return;
    }
    pg_login_closed(pg);
    pg_welcome(pg);
}

static void
say_failed(struct loop_timer *timer)
{
    struct pg_login *login = ox_container_of(timer, struct pg_login, delay);
    struct pg_conn *pg = login->pg;
    struct ox_err err;
    bool cert = pg->door->config.login == PGWIRE_CERT;
    ox_fail(&err, cert ? OX_INVALID_AUTHORIZATION : OX_INVALID_PASSWORD,
        "%s authentication failed for user \"%.*s\"", cert ? "certificate" : "password",
        OX_STR_ARG(pg_startup_user(pg)));
    pg_fatal(pg, &err);
}

static void
refuse(struct pg_conn *pg, const char *method, const struct ox_err *why)
{
    note_failure(pg, method, why);
    pg->login->failed = true;
    uint64_t delay = (uint64_t)engine_settings(pg->engine.engine)
                         ->connection_failed_authentication_delay_ms;
    loop_timer_start(pg->engine.loop, &pg->login->delay, delay * 1000000, say_failed);
}

/* ---- certificates ---- */

/* Does the subject's CN name the user? What PostgreSQL asks. */
static bool
common_name_is(struct str subject, struct str user)
{
    struct text name;
    bool has;
    ox_text_init(&name, NULL);
    bool same = auth_dn_common_name(subject.ptr, subject.len, &name, &has, NULL) == OX_OK &&
        has && ox_str_eq(ox_text_str(&name), user);
    ox_text_fini(&name);
    return same;
}

static bool
certificate_fits(struct pg_conn *pg, struct ox_err *err)
{
    const struct conn_tls *tls = conn_tls(pg->conn);
    struct text name;
    if (tls == NULL || tls->subject.ptr == NULL) {
        ox_fail(err, OX_INVALID_AUTHORIZATION, "no certificate was shown");
        return false;
    }
    ox_text_init(&name, NULL);
    bool fits = engine_login_subject(pg->engine.engine, pg->door->config.mapping, tls->subject,
                    &name, err) == OX_OK &&
        ox_str_eq(ox_text_str(&name), pg_startup_user(pg));
    ox_text_fini(&name);
    fits = fits || (common_name_is(tls->subject, pg_startup_user(pg)) &&
        engine_login_allowed(pg->engine.engine, pg_startup_user(pg)));
    if (!fits)
        ox_fail(err, OX_INVALID_AUTHORIZATION, "the certificate names somebody else");
    return fits;
}

/* ---- passwords ---- */

static void
ask_scram(struct pg_conn *pg)
{
    static const char both[] = "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0";
    const struct conn_tls *tls = conn_tls(pg->conn);
    size_t skip = tls != NULL && tls->end_point_len > 0 ? 0 : sizeof("SCRAM-SHA-256-PLUS");
    struct pg_login *login = login_new(pg);
    login->exchange = auth_exchange_new(AUTH_SCRAM_SHA_256);
    ask(pg, ASK_SASL, ox_str_n(both + skip, sizeof(both) - skip));
}

static void
ask_password(struct pg_conn *pg)
{
    struct ox_err err;
    if (!pg->engine.encrypted) {
        ox_fail(&err, OX_INVALID_AUTHORIZATION, "passwords are taken on encrypted connections "
            "alone");
        pg_fatal(pg, &err);
        return;
    }
    struct pg_login *login = login_new(pg);
    login->exchange = auth_exchange_new(AUTH_PLAIN);
    ask(pg, ASK_CLEARTEXT, OX_STR(""));
}

void
pg_login_begin(struct pg_conn *pg)
{
    enum pgwire_login how = pg->door->config.login;
    struct ox_err err;
    if (how == PGWIRE_TRUST && engine_login_allowed(pg->engine.engine, pg_startup_user(pg))) {
        let_in(pg, "trust");
        return;
    }
    if (how == PGWIRE_TRUST) {
        ox_fail(&err, OX_INVALID_AUTHORIZATION, "role \"%.*s\" is not permitted to log in",
            OX_STR_ARG(pg_startup_user(pg)));
        turn_away(pg, "trust", &err);
        return;
    }
    bool cert = (how == PGWIRE_CERT || how == PGWIRE_AUTO) && certificate_fits(pg, &err);
    if (cert) {
        let_in(pg, "cert");
    } else if (how == PGWIRE_CERT) {
        login_new(pg);
        refuse(pg, "cert", &err);
    } else if (how == PGWIRE_PASSWORD) {
        ask_password(pg);
    } else {
        ask_scram(pg);
    }
}

static void worked(struct pool_job *job);

static void
work(struct pool_job *job)
{
    auth_work(ox_container_of(job, struct pg_login, job)->exchange);
}

static void
go_on(struct pg_conn *pg, enum auth_result result, struct str reply, const struct ox_err *err)
{
    struct pg_login *login = pg->login;
    bool plain = pg->door->config.login == PGWIRE_PASSWORD;
    switch (result) {
    case AUTH_MORE:
        ask(pg, ASK_CONTINUE, reply);
        return;
    case AUTH_DONE:
        if (!plain)
            ask(pg, ASK_FINAL, reply);
        let_in(pg, plain ? "password" : "SCRAM-SHA-256");
        return;
    case AUTH_FAILED:
        refuse(pg, plain ? "password" : "SCRAM-SHA-256", err);
        return;
    case AUTH_WORK:
        break;
    }
    login->working = true;
    login->job.work = work;
    login->job.done = worked;
    conn_pause(pg->conn);
    loop_pool_submit(pg->engine.loop, &login->job);
}

static void
worked(struct pool_job *job)
{
    struct pg_login *login = ox_container_of(job, struct pg_login, job);
    struct pg_conn *pg = login->pg;
    struct engine_login context;
    struct arena arena;
    struct str reply;
    struct ox_err err = {0};
    login->working = false;
    if (pg == NULL) {
        login_free(login);
        return;
    }
    ox_arena_init(&arena);
    engine_login_begin(pg->engine.engine, &context);
    enum auth_result result = auth_worked(login->exchange, &context.ctx, &arena, &reply, &err);
    conn_resume(pg->conn);
    go_on(pg, result, reply, &err);
    engine_login_end(&context);
    ox_arena_fini(&arena);
}

/* SASLInitialResponse: mechanism, then the first message with its length. */
static bool
first_response(struct pg_conn *pg, struct wire_in *in, struct str *message)
{
    struct pg_login *login = pg->login;
    const struct conn_tls *tls = conn_tls(pg->conn);
    size_t binding_len = tls != NULL ? tls->end_point_len : 0;
    struct str name = pg_get_cstr(in);
    int32_t len = wire_get32(in);
    bool plus = ox_str_is(name, "SCRAM-SHA-256-PLUS") && binding_len > 0;
    if (in->failed || len < 0 || (size_t)len != wire_left(in) ||
        (!plus && !ox_str_is(name, "SCRAM-SHA-256")))
        return false;
    *message = ox_str_n(in->at, (size_t)len);
    auth_exchange_for_user(login->exchange, pg_startup_user(pg), tls != NULL ? tls->end_point
        : NULL, binding_len);
    if (plus)
        auth_exchange_require_binding(login->exchange);
    login->begun = true;
    return true;
}

static void
protocol_error(struct pg_conn *pg)
{
    struct ox_err err;
    ox_fail(&err, OX_PROTOCOL_VIOLATION, "malformed authentication message");
    pg_fatal(pg, &err);
}

void
pg_login_message(struct pg_conn *pg, const struct slice *message)
{
    struct pg_login *login = pg->login;
    struct wire_in in = wire_in(ox_slice_ptr(message) + 5, message->len - 5);
    struct engine_login context;
    struct arena arena;
    struct str reply = OX_STR_NULL, given = ox_str_n(in.at, wire_left(&in));
    struct ox_err err = {0};
    enum auth_result result;
    if (login == NULL || login->failed || login->working)
        return;
    bool plain = pg->door->config.login == PGWIRE_PASSWORD;
    bool good = *ox_slice_ptr(message) == 'p';
    if (good && plain)
        given = pg_get_cstr(&in);
    else if (good && !login->begun)
        good = first_response(pg, &in, &given);
    if (!good || in.failed) {
        protocol_error(pg);
        return;
    }
    ox_arena_init(&arena);
    engine_login_begin(pg->engine.engine, &context);
    if (plain)
        result = auth_step_password(login->exchange, &context.ctx, pg_startup_user(pg), given,
            &err);
    else
        result = auth_step(login->exchange, &context.ctx, given, &arena, &reply, &err);
    auth_wipe(ox_slice_ptr(message) + 5, message->len - 5);
    go_on(pg, result, reply, &err);
    engine_login_end(&context);
    ox_arena_fini(&arena);
}
