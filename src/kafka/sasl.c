/* SPDX-License-Identifier: Apache-2.0
 *
 * Logging in: SaslHandshake, SaslAuthenticate, and tokens without headers as old
 * clients send them after a handshake of version 0.
 *
 *   BEGIN --ApiVersions--> SECOND --SaslHandshake 1--> TOKENS --good--> DONE
 *     \----SaslHandshake--------/  \--SaslHandshake 0--> RAW --good------/
 *
 * Whoever is DONE may begin again on the same connection, and must before its
 * login runs out: same mechanism, same user. A failed login is answered after a
 * delay and ends the connection. */
#include "kafka/kafka_int.h"

#include <stdio.h>

#include "base/diag.h"

enum { KEY_API_VERSIONS = 18, KEY_SASL_HANDSHAKE = 17, KEY_SASL_AUTHENTICATE = 36 };
#define SECOND_NS UINT64_C(1000000000)

static const struct server_config *
settings_of(const struct kafka_conn *kc)
{
    return engine_settings(kc->door->config.engine);
}

static void
login_over(struct kafka_conn *kc)
{
    kc->login = KAFKA_LOGIN_DONE;
    if (kc->conn != NULL)
        conn_set_idle_limit(kc->conn,
            (uint64_t)OX_MAX(settings_of(kc)->connections_max_idle_ms, 0) * 1000000);
}

void
kafka_login_init(struct kafka_conn *kc)
{
    if (kc->door->config.sasl)
        kc->login = KAFKA_LOGIN_BEGIN;
    else
        login_over(kc);
}

/* Something else where a token is due: the answer says so, in the way of its API,
 * and is the last. */
static void
unexpected(struct kafka_request *req)
{
    const struct msg_struct *top = req->api->response->top;
    char *response = ox_arena_alloc(&req->arena, top->size);
    struct ox_err why;
    msg_init(top, response);
    for (uint16_t i = 0; i < top->field_count; i++)
        if (strcmp(top->fields[i].name, "error_code") == 0)
            *(int16_t *)(void *)(response + top->fields[i].offset) =
                ox_code_kafka(OX_ILLEGAL_SASL_STATE);
    ox_fail(&why, OX_ILLEGAL_SASL_STATE, "unexpected request of type %s", req->api->name);
    engine_login_failed(req->sess, auth_mechanism_name(req->kc->mechanism), "", &why);
    req->close_after = true;
    kafka_answer(req, response);
}

static void
answer_unexpected(struct kafka_request *req)
{
    struct kafka_api *api = ox_arena_copy(&req->arena, req->api, sizeof(*api));
    api->handle = unexpected;
    req->api = api;
}

bool
kafka_login_admits(struct kafka_conn *kc, struct kafka_request *req)
{
    int16_t key = req->api->key;
    switch (kc->login) {
    case KAFKA_LOGIN_BEGIN:
        if (key == KEY_API_VERSIONS && req->version <= req->api->to)
            kc->login = KAFKA_LOGIN_SECOND;
        return key == KEY_API_VERSIONS || key == KEY_SASL_HANDSHAKE;
    case KAFKA_LOGIN_SECOND:
        return key == KEY_SASL_HANDSHAKE;
    case KAFKA_LOGIN_TOKENS:
        if (key != KEY_SASL_AUTHENTICATE)
            answer_unexpected(req);
        return true;
    case KAFKA_LOGIN_RAW:
        return false;
    case KAFKA_LOGIN_DONE:
        break;
    }
    return kc->expires_ns == 0 || key == KEY_SASL_HANDSHAKE ||
        loop_now_ns(kc->sess.loop) < kc->expires_ns;
}

/* ---- SaslHandshake ---- */

_Static_assert(SERVER_SASL_ENABLED_MECHANISMS_PLAIN == 1 << AUTH_PLAIN &&
                   SERVER_SASL_ENABLED_MECHANISMS_SCRAM_SHA_256 == 1 << AUTH_SCRAM_SHA_256 &&
                   SERVER_SASL_ENABLED_MECHANISMS_SCRAM_SHA_512 == 1 << AUTH_SCRAM_SHA_512 &&
                   SERVER_SASL_ENABLED_MECHANISMS_OAUTHBEARER == 1 << AUTH_OAUTHBEARER,
    "the choices of the setting are in the order of enum auth_mechanism");

size_t
kafka_login_request_max(const struct kafka_conn *kc)
{
    int64_t own = atomic_load_explicit(&kc->door->sasl_request_max, memory_order_relaxed);
    return (size_t)(own >= 0 ? own : settings_of(kc)->sasl_server_max_receive_size);
}

/* Those of the listener alone, or of the node as it is set now. */
static uint32_t
offered_now(const struct kafka_conn *kc)
{
    uint32_t own = atomic_load_explicit(&kc->door->mechanisms, memory_order_relaxed);
    return own != 0 ? own : settings_of(kc)->sasl_enabled_mechanisms;
}

static void
list_mechanisms(struct kafka_request *req, struct sasl_handshake_response *response)
{
    uint32_t offered = offered_now(req->kc);
    response->mechanisms.at = kafka_array(req, struct str, AUTH_MECHANISM_COUNT);
    for (int i = 0; i < AUTH_MECHANISM_COUNT; i++)
        if ((offered & (1u << i)) != 0)
            response->mechanisms.at[response->mechanisms.count++] =
                ox_str(auth_mechanism_name((enum auth_mechanism)i));
}

static void
begin_login(struct kafka_conn *kc, enum auth_mechanism mechanism, int version)
{
    kc->again = kc->login == KAFKA_LOGIN_DONE;
    if (kc->again)
        kc->again_ns = loop_now_ns(kc->sess.loop);
    auth_exchange_free(kc->exchange);
    kc->exchange = auth_exchange_new(mechanism);
    kc->login = version == 0 ? KAFKA_LOGIN_RAW : KAFKA_LOGIN_TOKENS;
}

void
kafka_sasl_handshake(struct kafka_request *req)
{
    const struct sasl_handshake_request *request = req->body;
    struct kafka_conn *kc = req->kc;
    struct sasl_handshake_response response;
    uint64_t now = loop_now_ns(req->sess->loop);
    sasl_handshake_response_init(&response);
    bool sasl = kc->door->config.sasl;
    /* Who may stay for ever need not log in again, and others not every second. */
    bool too_soon = kc->login == KAFKA_LOGIN_DONE && (kc->expires_ns == 0 ||
        (kc->again_ns != 0 && now - kc->again_ns < SECOND_NS));
    if (!sasl || too_soon) {
        response.error_code = ox_code_kafka(OX_ILLEGAL_SASL_STATE);
        kafka_answer(req, &response);
        return;
    }
    enum auth_mechanism mechanism = auth_mechanism_find(request->mechanism);
    bool offered = mechanism < AUTH_MECHANISM_COUNT &&
        (offered_now(kc) & (1u << mechanism)) != 0;
    bool same = kc->login != KAFKA_LOGIN_DONE || mechanism == kc->mechanism;
    list_mechanisms(req, &response);
    if (!offered || !same) {
        struct ox_err why;
        ox_fail(&why, OX_SASL_AUTHENTICATION_FAILED, "a session is renewed by its mechanism, %s",
            auth_mechanism_name(kc->mechanism));
        if (offered)
            engine_login_failed(req->sess, auth_mechanism_name(mechanism), "", &why);
        response.error_code = ox_code_kafka(offered ? OX_OK : OX_UNSUPPORTED_SASL_MECHANISM);
        req->close_after = true;
    } else {
        begin_login(kc, mechanism, req->version);
        kc->mechanism = mechanism;
    }
    kafka_answer(req, &response);
}

/* ---- a step of the exchange ---- */

struct sasl_step {
    struct pool_job job;
    struct kafka_conn *kc;
    struct kafka_request *req; /* NULL: a token without headers */
    struct auth_exchange *exchange;
    struct arena arena;
};

static int64_t
lifetime_ms(struct kafka_conn *kc, int64_t now_ms)
{
    int64_t own = atomic_load(&kc->door->reauth_ms[kc->mechanism]);
    int64_t most = own >= 0 ? own : settings_of(kc)->connections_max_reauth_ms;
    int64_t expiry = auth_exchange_expiry_ms(kc->exchange);
    int64_t left = expiry >= 0 ? OX_MAX(expiry - now_ms, (int64_t)1) : 0;
    if (most > 0)
        return left > 0 ? OX_MIN(left, most) : most;
    return left;
}

/* Same user as before? Then the session is his, for as long as it holds. */
static bool
accept_user(struct kafka_conn *kc, struct ox_err *err)
{
    const char *user = auth_exchange_user(kc->exchange);
    char principal[sizeof(kc->sess.principal)];
    snprintf(principal, sizeof(principal), "User:%.*s", (int)sizeof(principal) - 6, user);
    if (kc->again && strcmp(principal, kc->sess.principal) != 0) {
        ox_fail(err, OX_SASL_AUTHENTICATION_FAILED,
            "Cannot change principals during re-authentication from User.%s: User.%s",
            kc->sess.principal + sizeof("User:") - 1, principal + sizeof("User:") - 1);
        return false;
    }
    if (engine_login_done(&kc->sess, auth_mechanism_name(kc->mechanism), ox_str(user), err) !=
        OX_OK)
        return false;
    snprintf(kc->sess.token_id, sizeof(kc->sess.token_id), "%s",
        auth_exchange_token_id(kc->exchange));
    return true;
}

static void
answer_token(struct kafka_request *req, ox_code code, struct str message, struct str token,
    int64_t lifetime)
{
    struct sasl_authenticate_response response;
    sasl_authenticate_response_init(&response);
    response.error_code = ox_code_kafka(code);
    response.error_message = message.ptr != NULL ? message : OX_STR(""); /* as Kafka */
    response.auth_bytes = token.ptr != NULL ? token : OX_STR("");
    response.session_lifetime_ms = lifetime;
    kafka_answer(req, &response);
}

static void
send_raw(struct kafka_conn *kc, struct str token)
{
    uint8_t len[4];
    if (kc->conn == NULL)
        return;
    wire_store32(len, (uint32_t)token.len);
    conn_write(kc->conn, len, sizeof(len));
    if (token.len > 0)
        conn_write(kc->conn, token.ptr, token.len);
}

static void
delay_over(struct loop_timer *timer)
{
    struct kafka_conn *kc = ox_container_of(timer, struct kafka_conn, delay);
    struct kafka_request *req = kc->delayed;
    kc->delayed = NULL;
    if (req == NULL) {
        if (kc->conn != NULL)
            conn_close_after_write(kc->conn);
        kafka_conn_put(kc);
        return;
    }
    req->abandoned = NULL;
    req->close_after = true;
    answer_token(req, OX_SASL_AUTHENTICATION_FAILED, ox_str(req->state), OX_STR_NULL, 0);
    kafka_conn_put(kc);
}

/* The client has gone: nobody waits for the answer. */
static void
delay_cut(struct kafka_request *req)
{
    struct kafka_conn *kc = req->kc;
    if (kc->delayed != req)
        return;
    loop_timer_stop(&kc->delay);
    delay_over(&kc->delay);
}

static void
refuse(struct kafka_conn *kc, struct kafka_request *req, const struct ox_err *why)
{
    if (!kc->failed)
        engine_login_failed(&kc->sess, auth_mechanism_name(kc->mechanism),
            auth_exchange_user(kc->exchange), why);
    kc->delayed = req;
    kafka_conn_hold(kc);
    if (req != NULL) {
        req->state = ox_arena_strdup(&req->arena, why->message);
        req->abandoned = delay_cut;
    }
    uint64_t delay = (uint64_t)settings_of(kc)->connection_failed_authentication_delay_ms;
    loop_timer_start(kc->sess.loop, &kc->delay, delay * 1000000, delay_over);
}

static void
succeed(struct kafka_conn *kc, struct kafka_request *req, struct str token)
{
    struct ox_err err;
    if (!accept_user(kc, &err)) {
        refuse(kc, req, &err);
        return;
    }
    int64_t lifetime = lifetime_ms(kc, env_wall_ms(engine_env(kc->sess.engine)));
    kc->expires_ns = lifetime > 0 /* for clients too that cannot log in again */
        ? loop_now_ns(kc->sess.loop) + (uint64_t)OX_MIN(lifetime, INT64_MAX / 2000000) * 1000000
        : 0;
    auth_exchange_free(kc->exchange);
    kc->exchange = NULL;
    login_over(kc);
    if (req != NULL)
        answer_token(req, OX_OK, OX_STR_NULL, token, lifetime);
    else
        send_raw(kc, token);
}

static void step_work(struct pool_job *job);
static void step_worked(struct pool_job *job);

static void
go_on(struct kafka_conn *kc, struct kafka_request *req, enum auth_result result,
    struct str token, const struct ox_err *err)
{
    switch (result) {
    case AUTH_MORE:
        if (req != NULL)
            answer_token(req, OX_OK, OX_STR_NULL, token, 0);
        else
            send_raw(kc, token);
        return;
    case AUTH_DONE:
        succeed(kc, req, token);
        return;
    case AUTH_FAILED:
        refuse(kc, req, err);
        return;
    case AUTH_WORK:
        break;
    }
    struct sasl_step *step = ox_calloc(1, sizeof(*step));
    step->job.work = step_work;
    step->job.done = step_worked;
    step->kc = kc;
    step->req = req;
    step->exchange = kc->exchange;
    kafka_conn_hold(kc);
    if (req == NULL && kc->conn != NULL)
        conn_pause(kc->conn);
    loop_pool_submit(kc->sess.loop, &step->job);
}

static void
step_work(struct pool_job *job)
{
    auth_work(ox_container_of(job, struct sasl_step, job)->exchange);
}

static void
step_worked(struct pool_job *job)
{
    struct sasl_step *step = ox_container_of(job, struct sasl_step, job);
    struct kafka_conn *kc = step->kc;
    struct engine_login login;
    struct str token;
    struct ox_err err;
    struct arena arena;
    ox_arena_init(&arena);
    engine_login_begin(kc->sess.engine, &login);
    enum auth_result result = auth_worked(kc->exchange, &login.ctx, &arena, &token, &err);
    go_on(kc, step->req, result, token, &err);
    engine_login_end(&login);
    ox_arena_fini(&arena);
    if (step->req == NULL && kc->conn != NULL)
        conn_resume(kc->conn);
    ox_free(step);
    kafka_conn_put(kc);
}

static void
take_token(struct kafka_conn *kc, struct kafka_request *req, struct str message)
{
    struct engine_login login;
    struct arena arena;
    struct str token;
    struct ox_err err = {0};
    ox_arena_init(&arena);
    engine_login_begin(kc->sess.engine, &login);
    struct str users = meta_listener_own(engine_view(kc->sess.engine), kc->door->config.listener,
        NULL, PARAM_SERVER_PLAIN_SASL_JAAS_CONFIG);
    if (users.ptr != NULL)
        login.ctx.plain_users = users.ptr;
    enum auth_result result = auth_step(kc->exchange, &login.ctx, message, &arena, &token, &err);
    auth_wipe((void *)(uintptr_t)message.ptr, message.len);
    if (result == AUTH_MORE && err.code != OX_OK) { /* said in the exchange's own way */
        engine_login_failed(&kc->sess, auth_mechanism_name(kc->mechanism), "", &err);
        kc->failed = true;
        if (auth_exchange_key_unknown(kc->exchange))
            engine_login_key_wanted(kc->sess.engine);
    }
    go_on(kc, req, result, token, &err);
    engine_login_end(&login);
    ox_arena_fini(&arena);
}

void
kafka_login_raw(struct kafka_conn *kc, const struct slice *message)
{
    if (kc->exchange == NULL || loop_timer_running(&kc->delay))
        return;
    take_token(kc, NULL, ox_str_n(ox_slice_ptr(message) + 4, message->len - 4));
}

void
kafka_sasl_authenticate(struct kafka_request *req)
{
    const struct sasl_authenticate_request *request = req->body;
    if (req->kc->login != KAFKA_LOGIN_TOKENS) {
        answer_token(req, OX_ILLEGAL_SASL_STATE,
            OX_STR("SaslAuthenticate request received after successful authentication"),
            OX_STR_NULL, 0);
        return;
    }
    take_token(req->kc, req, request->auth_bytes);
}

void
kafka_login_closed(struct kafka_conn *kc)
{
    if (kc->delayed == NULL && loop_timer_running(&kc->delay)) {
        loop_timer_stop(&kc->delay);
        delay_over(&kc->delay);
    }
}
