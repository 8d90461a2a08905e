/* SPDX-License-Identifier: Apache-2.0
 *
 * CreateDelegationToken, RenewDelegationToken, ExpireDelegationToken and
 * DescribeDelegationToken. A token is a row of the metadata; the password that
 * goes with it is its id under the server's secret, and is kept nowhere. Who logs
 * in with one (SCRAM, tokenauth) can neither make nor see tokens.
 * engine/tokens.c removes those whose time is over. */
#include <openssl/crypto.h>
#include <stdio.h>

#include "kafka/kafka_int.h"

struct token_call {
    struct meta_token token;
    int64_t expiry_ms; /* of the answer */
    uint8_t hmac[AUTH_TOKEN_HMAC_LEN];
};

static const char *
secret_of(struct kafka_request *req)
{
    const char *secret = engine_settings(kafka_engine(req))->delegation_token_secret_key;
    return secret != NULL && secret[0] != 0 ? secret : NULL;
}

/* Only over a connection that knows its client, and not from a token. */
static bool
connection_fits(const struct kafka_request *req)
{
    const struct kafka_door_config *config = &req->kc->door->config;
    bool known = config->sasl ||
        (config->tls != NULL && strcmp(req->sess->principal, "User:ANONYMOUS") != 0);
    return known && req->sess->token_id[0] == '\0';
}

static struct str
principal_text(struct kafka_request *req, struct str type, struct str name)
{
    return ox_str(ox_arena_printf(&req->arena, "%.*s:%.*s", OX_STR_ARG(type), OX_STR_ARG(name)));
}

static void
principal_split(struct str principal, struct str *type, struct str *name)
{
    const char *colon = memchr(principal.ptr, ':', principal.len);
    size_t at = colon != NULL ? (size_t)(colon - principal.ptr) : 0;
    *type = ox_str_n(principal.ptr, at);
    *name = ox_str_n(principal.ptr + at + 1, principal.len - at - 1);
}

/* One of the lines? */
static bool
names_line(struct str lines, struct str line)
{
    while (lines.len > 0) {
        const char *end = memchr(lines.ptr, '\n', lines.len);
        size_t len = end != NULL ? (size_t)(end - lines.ptr) : lines.len;
        if (ox_str_eq(ox_str_n(lines.ptr, len), line))
            return true;
        size_t skip = OX_MIN(len + 1, lines.len);
        lines = ox_str_n(lines.ptr + skip, lines.len - skip);
    }
    return false;
}

static bool
belongs_to(const struct meta_token *token, struct str principal)
{
    return ox_str_eq(token->owner, principal) || ox_str_eq(token->requester, principal) ||
        names_line(token->renewers, principal);
}

/* Renews and ends it; who asked for another's token only sees it. */
static bool
renewed_by(const struct meta_token *token, struct str principal)
{
    return ox_str_eq(token->owner, principal) || names_line(token->renewers, principal);
}

/* ---- create ---- */

typedef struct create_delegation_token_request create_in;

static ox_code
may_create(struct kafka_request *req, const create_in *request, struct meta_token *token)
{
    const char *me = req->sess->principal;
    bool other = request->owner_principal_name.ptr != NULL &&
        request->owner_principal_name.len > 0;
    token->requester = ox_str(me);
    token->owner = other ? principal_text(req, request->owner_principal_type,
                               request->owner_principal_name)
                         : ox_str(me);
    if (!connection_fits(req))
        return OX_DELEGATION_TOKEN_REQUEST_NOT_ALLOWED;
    if (!ox_str_eq(token->owner, token->requester) &&
        !kafka_may(req, ENGINE_USER, token->owner, ENGINE_CREATE_TOKENS))
        return OX_DELEGATION_TOKEN_AUTHORIZATION_FAILED;
    struct text renewers;
    ox_text_init(&renewers, &req->arena);
    for (int32_t i = 0; i < request->renewers.count; i++) {
        if (!ox_str_is(request->renewers.at[i].principal_type, "User") ||
            memchr(request->renewers.at[i].principal_name.ptr, '\n',
                request->renewers.at[i].principal_name.len) != NULL)
            return OX_INVALID_PRINCIPAL_TYPE;
        ox_text_addf(&renewers, "User:%.*s\n", OX_STR_ARG(request->renewers.at[i].principal_name));
    }
    token->renewers = renewers.len > 0 ? ox_text_str(&renewers) : OX_STR("");
    if (!ox_str_starts(token->owner, OX_STR("User:")))
        return OX_INVALID_PRINCIPAL_TYPE;
    return secret_of(req) != NULL ? OX_OK : OX_DELEGATION_TOKEN_AUTH_DISABLED;
}

static void
make_token(struct kafka_request *req, const create_in *request, struct token_call *call)
{
    const struct server_config *settings = engine_settings(kafka_engine(req));
    struct meta_token *token = &call->token;
    char id[24];
    struct uuid uuid;
    int64_t most = settings->delegation_token_max_lifetime_ms;
    if (request->max_lifetime_ms > 0)
        most = OX_MIN(request->max_lifetime_ms, most);
    env_random(engine_env(kafka_engine(req)), &uuid, sizeof(uuid));
    ox_uuid_to_base64(&uuid, id);
    token->id = ox_str_dup(&req->arena, ox_str(id));
    token->issue_ms = env_wall_ms(engine_env(kafka_engine(req)));
    token->max_ms = token->issue_ms + most;
    token->expiry_ms = OX_MIN(token->max_ms,
        token->issue_ms + settings->delegation_token_expiry_time_ms);
    auth_token_hmac(secret_of(req), token->id, call->hmac);
}

static void
answer_create(struct kafka_request *req, ox_code code, const struct ox_err *err)
{
    const struct token_call *call = req->state;
    const struct meta_token *token = &call->token;
    struct create_delegation_token_response response;
    (void)err;
    create_delegation_token_response_init(&response);
    response.error_code = ox_code_kafka(code);
    principal_split(token->owner, &response.principal_type, &response.principal_name);
    principal_split(token->requester, &response.token_requester_principal_type,
        &response.token_requester_principal_name);
    response.issue_timestamp_ms = response.expiry_timestamp_ms = response.max_timestamp_ms = -1;
    response.token_id = response.hmac = OX_STR("");
    if (code == OX_OK) {
        response.issue_timestamp_ms = token->issue_ms;
        response.expiry_timestamp_ms = token->expiry_ms;
        response.max_timestamp_ms = token->max_ms;
        response.token_id = token->id;
        response.hmac = ox_str_n((const char *)call->hmac, sizeof(call->hmac));
    }
    kafka_answer(req, &response);
}

void
kafka_create_delegation_token(struct kafka_request *req)
{
    struct token_call *call = kafka_array(req, struct token_call, 1);
    req->state = call;
    ox_code code = may_create(req, req->body, &call->token);
    if (code != OX_OK) {
        answer_create(req, code, NULL);
        return;
    }
    make_token(req, req->body, call);
    struct meta_security_change *change = kafka_array(req, struct meta_security_change, 1);
    *change = (struct meta_security_change){.kind = META_TOKEN_PUT, .token = call->token};
    kafka_change_security(req, change, 1, false, answer_create);
}

/* ---- renew, expire ---- */

/* The HMAC is what a client knows a token by. */
static const struct meta_token *
token_of(struct kafka_request *req, struct str hmac)
{
    const struct meta_security *security = kafka_view(req)->security;
    const struct meta_token *found = NULL;
    uint8_t own[AUTH_TOKEN_HMAC_LEN];
    if (hmac.len != sizeof(own))
        return NULL;
    for (uint32_t i = 0; i < security->token_count && found == NULL; i++) {
        auth_token_hmac(secret_of(req), security->tokens[i].id, own);
        if (CRYPTO_memcmp(own, hmac.ptr, sizeof(own)) == 0)
            found = &security->tokens[i];
    }
    auth_wipe(own, sizeof(own));
    return found;
}

static ox_code
find_own(struct kafka_request *req, struct str hmac, const struct meta_token **out)
{
    if (!connection_fits(req))
        return OX_DELEGATION_TOKEN_REQUEST_NOT_ALLOWED;
    if (secret_of(req) == NULL)
        return OX_DELEGATION_TOKEN_AUTH_DISABLED;
    *out = token_of(req, hmac);
    return *out != NULL ? OX_OK : OX_DELEGATION_TOKEN_NOT_FOUND;
}

static bool
is_over(const struct meta_token *token, int64_t now)
{
    return token->max_ms < now || token->expiry_ms < now;
}

static void
answer_renew(struct kafka_request *req, ox_code code, const struct ox_err *err)
{
    const struct token_call *call = req->state;
    struct renew_delegation_token_response response;
    (void)err;
    renew_delegation_token_response_init(&response);
    response.error_code = ox_code_kafka(code);
    response.expiry_timestamp_ms = code == OX_OK ? call->expiry_ms : -1;
    kafka_answer(req, &response);
}

void
kafka_renew_delegation_token(struct kafka_request *req)
{
    const struct renew_delegation_token_request *request = req->body;
    int64_t now = env_wall_ms(engine_env(kafka_engine(req)));
    int64_t period = engine_settings(kafka_engine(req))->delegation_token_expiry_time_ms;
    struct token_call *call = kafka_array(req, struct token_call, 1);
    const struct meta_token *token;
    req->state = call;
    ox_code code = find_own(req, request->hmac, &token);
    if (code == OX_OK && is_over(token, now))
        code = OX_DELEGATION_TOKEN_EXPIRED;
    if (code == OX_OK && !renewed_by(token, ox_str(req->sess->principal)))
        code = OX_DELEGATION_TOKEN_OWNER_MISMATCH;
    if (code != OX_OK) {
        answer_renew(req, code, NULL);
        return;
    }
    if (request->renew_period_ms > 0)
        period = OX_MIN(request->renew_period_ms, period);
    struct meta_security_change change = {.kind = META_TOKEN_PUT, .token = *token};
    call->expiry_ms = change.token.expiry_ms = OX_MIN(token->max_ms, now + period);
    kafka_change_security(req, &change, 1, false, answer_renew);
}

static void
answer_expire(struct kafka_request *req, ox_code code, const struct ox_err *err)
{
    const struct token_call *call = req->state;
    struct expire_delegation_token_response response;
    (void)err;
    expire_delegation_token_response_init(&response);
    response.error_code = ox_code_kafka(code);
    response.expiry_timestamp_ms = code == OX_OK ? call->expiry_ms : -1;
    kafka_answer(req, &response);
}

void
kafka_expire_delegation_token(struct kafka_request *req)
{
    const struct expire_delegation_token_request *request = req->body;
    int64_t now = env_wall_ms(engine_env(kafka_engine(req)));
    struct token_call *call = kafka_array(req, struct token_call, 1);
    const struct meta_token *token;
    req->state = call;
    ox_code code = find_own(req, request->hmac, &token);
    bool at_once = request->expiry_time_period_ms < 0;
    if (code == OX_OK && !renewed_by(token, ox_str(req->sess->principal)))
        code = OX_DELEGATION_TOKEN_OWNER_MISMATCH;
    if (code == OX_OK && !at_once && is_over(token, now))
        code = OX_DELEGATION_TOKEN_EXPIRED;
    if (code != OX_OK) {
        answer_expire(req, code, NULL);
        return;
    }
    struct meta_security_change change = {.kind = at_once ? META_TOKEN_DELETE : META_TOKEN_PUT,
        .token = *token};
    call->expiry_ms = at_once ? now
        : request->expiry_time_period_ms > token->max_ms - now
            ? token->max_ms
            : now + request->expiry_time_period_ms;
    change.token.expiry_ms = call->expiry_ms;
    kafka_change_security(req, &change, 1, false, answer_expire);
}

/* ---- describe ---- */

typedef struct describe_delegation_token_response_tokens token_out;
typedef struct describe_delegation_token_response_tokens_renewers renewer_out;

/* The owners that are asked for; none for "all". */
static void
list_owners(struct kafka_request *req, struct map *owners)
{
    const struct describe_delegation_token_request *request = req->body;
    for (int32_t i = 0; i < request->owners.count; i++)
        ox_map_put(owners, principal_text(req, request->owners.at[i].principal_type,
            request->owners.at[i].principal_name), req);
}

/* Does it belong to one of them? */
static bool
is_asked_for(const struct meta_token *token, const struct map *owners)
{
    struct str lines = token->renewers;
    if (ox_map_get(owners, token->owner) != NULL || ox_map_get(owners, token->requester) != NULL)
        return true;
    while (lines.len > 0) {
        const char *end = memchr(lines.ptr, '\n', lines.len);
        size_t len = end != NULL ? (size_t)(end - lines.ptr) : lines.len;
        if (ox_map_get(owners, ox_str_n(lines.ptr, len)) != NULL)
            return true;
        size_t skip = OX_MIN(len + 1, lines.len);
        lines = ox_str_n(lines.ptr + skip, lines.len - skip);
    }
    return false;
}

static bool
may_describe(struct kafka_request *req, const struct meta_token *token, const struct map *owners)
{
    const struct describe_delegation_token_request *request = req->body;
    if (request->owners.count >= 0 && !is_asked_for(token, owners))
        return false;
    return belongs_to(token, ox_str(req->sess->principal)) ||
        kafka_may(req, ENGINE_DELEGATION_TOKEN, token->id, ENGINE_DESCRIBE) ||
        kafka_may(req, ENGINE_USER, token->owner, ENGINE_DESCRIBE_TOKENS);
}

static void
list_renewers(struct kafka_request *req, struct str lines, token_out *out)
{
    for (size_t i = 0; i < lines.len; i++)
        out->renewers.count += lines.ptr[i] == '\n';
    out->renewers.at = kafka_array(req, renewer_out, out->renewers.count);
    for (int32_t i = 0; i < out->renewers.count; i++) {
        size_t len = (size_t)((const char *)memchr(lines.ptr, '\n', lines.len) - lines.ptr);
        principal_split(ox_str_n(lines.ptr, len), &out->renewers.at[i].principal_type,
            &out->renewers.at[i].principal_name);
        lines = ox_str_n(lines.ptr + len + 1, lines.len - len - 1);
    }
}

static void
fill_token(struct kafka_request *req, const struct meta_token *token, token_out *out)
{
    describe_delegation_token_response_tokens_init(out);
    principal_split(token->owner, &out->principal_type, &out->principal_name);
    principal_split(token->requester, &out->token_requester_principal_type,
        &out->token_requester_principal_name);
    out->issue_timestamp = token->issue_ms;
    out->expiry_timestamp = token->expiry_ms;
    out->max_timestamp = token->max_ms;
    out->token_id = token->id;
    uint8_t *hmac = kafka_array(req, uint8_t, AUTH_TOKEN_HMAC_LEN);
    auth_token_hmac(secret_of(req), token->id, hmac);
    out->hmac = ox_str_n((const char *)hmac, AUTH_TOKEN_HMAC_LEN);
    list_renewers(req, token->renewers, out);
}

void
kafka_describe_delegation_token(struct kafka_request *req)
{
    const struct meta_security *security = kafka_view(req)->security;
    struct describe_delegation_token_response response;
    struct map owners;
    ox_code code = OX_OK;
    describe_delegation_token_response_init(&response);
    ox_map_init(&owners);
    list_owners(req, &owners);
    if (!connection_fits(req))
        code = OX_DELEGATION_TOKEN_REQUEST_NOT_ALLOWED;
    else if (secret_of(req) == NULL)
        code = OX_DELEGATION_TOKEN_AUTH_DISABLED;
    response.error_code = ox_code_kafka(code);
    response.tokens.at = kafka_array(req, token_out, security->token_count);
    for (uint32_t i = 0; i < security->token_count && code == OX_OK; i++)
        if (may_describe(req, &security->tokens[i], &owners))
            fill_token(req, &security->tokens[i], &response.tokens.at[response.tokens.count++]);
    ox_map_fini(&owners);
    kafka_answer(req, &response);
}
