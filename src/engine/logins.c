/* SPDX-License-Identifier: Apache-2.0
 *
 * What logins of both doors share: what they look at, what becomes of them, and
 * the keys that signed tokens are checked with.
 *
 * Keys are fetched by a worker from a file or a URL, at the start, when they are
 * older than the setting says, and when a token names a key that is not among
 * them (not more often than every ten seconds). Logins use what is there and
 * never wait. A fetch that fails leaves the keys that were there and is tried again
 * after a wait that doubles, by the next login or by engine_logins_tend().
 *
 *     keys: counted; the state holds one reference, each login under way one */
#include <curl/curl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/file.h"
#include "base/late.h"
#include "base/lock.h"
#include "engine/engine_int.h"

enum { JWKS_MAX = 1 << 20, FETCH_TIMEOUT_S = 10 };
#define AGAIN_NS (UINT64_C(10) * 1000000000)
#define LOGGED_PER_SECOND 5

struct engine_keys {
    _Atomic uint32_t refs;
    struct auth_jwks *jwks;
};

struct login_state {
    _Atomic uint32_t refs; /* the engine; a look, a fetch under way */
    const struct env *env;
    uint8_t salt_secret[32];
    struct lock lock; /* what follows */
    struct engine_keys *keys;
    char url[1024]; /* that keys came from */
    uint64_t tried_ns;
    bool fetching, wanted; /* wanted: a token named an unknown key */
    uint32_t failures;     /* one after the other */
    uint64_t log_second;
    int logged;
    struct loop_msg look; /* is it time to fetch? On a loop */
    bool looking;         /* under the lock: it is on its way */
    struct engine *engine;
};

struct fetch {
    struct engine_errand errand;
    struct login_state *state;
    char url[1024];
    struct text body;
    struct auth_jwks *jwks;
    struct ox_err err;
};

static void
keys_put(struct engine_keys *keys)
{
    if (keys == NULL || atomic_fetch_sub(&keys->refs, 1) != 1)
        return;
    auth_jwks_free(keys->jwks);
    ox_free(keys);
}

static void
state_put(struct login_state *state)
{
    if (atomic_fetch_sub(&state->refs, 1) != 1)
        return;
    keys_put(state->keys);
    ox_lock_fini(&state->lock);
    auth_wipe(state, sizeof(*state));
    ox_free(state);
}

/* ---- fetching ---- */

static size_t
take_body(char *ptr, size_t size, size_t count, void *arg)
{
    struct fetch *fetch = arg;
    size_t len = size * count;
    if (fetch->body.len + len > JWKS_MAX)
        return 0;
    ox_text_add(&fetch->body, ptr, len);
    return len;
}

/* Loaded for the first fetch: it brings thirty libraries along. */
static struct {
    typeof(curl_global_init) *global_init;
    typeof(curl_easy_init) *easy_init;
    typeof((curl_easy_setopt)) *easy_setopt;
    typeof(curl_easy_perform) *easy_perform;
    typeof((curl_easy_getinfo)) *easy_getinfo;
    typeof(curl_easy_cleanup) *easy_cleanup;
    typeof(curl_easy_strerror) *easy_strerror;
} curl_lib;

static const struct late_symbol curl_symbols[] = {
    {"curl_global_init", &curl_lib.global_init},
    {"curl_easy_init", &curl_lib.easy_init},
    {"curl_easy_setopt", &curl_lib.easy_setopt},
    {"curl_easy_perform", &curl_lib.easy_perform},
    {"curl_easy_getinfo", &curl_lib.easy_getinfo},
    {"curl_easy_cleanup", &curl_lib.easy_cleanup},
    {"curl_easy_strerror", &curl_lib.easy_strerror},
};

static struct late_library curl_library = {OX_LATE_CURL, curl_symbols, ox_count(curl_symbols),
    NULL};

static void
init_curl(void)
{
    curl_lib.global_init(CURL_GLOBAL_DEFAULT);
}

static ox_code
fetch_url(struct fetch *fetch)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    long status = 0;
    ox_code code = ox_late_load(&curl_library, &fetch->err);
    if (code != OX_OK)
        return code;
    pthread_once(&once, init_curl);
    CURL *curl = curl_lib.easy_init();
    if (curl == NULL)
        return ox_fail_plain(&fetch->err, OX_OUT_OF_MEMORY);
    curl_lib.easy_setopt(curl, CURLOPT_URL, fetch->url);
    curl_lib.easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_lib.easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_lib.easy_setopt(curl, CURLOPT_TIMEOUT, (long)FETCH_TIMEOUT_S);
    curl_lib.easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_lib.easy_setopt(curl, CURLOPT_WRITEDATA, fetch);
    CURLcode failed = curl_lib.easy_perform(curl);
    curl_lib.easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_lib.easy_cleanup(curl);
    if (failed != CURLE_OK)
        return ox_fail(&fetch->err, OX_IO_ERROR, "keys of tokens cannot be fetched: %s",
            curl_lib.easy_strerror(failed));
    if (status != 200)
        return ox_fail(&fetch->err, OX_IO_ERROR,
            "keys of tokens cannot be fetched: status %ld", status);
    return OX_OK;
}

static ox_code
fetch_file(struct fetch *fetch, const char *path)
{
    struct arena arena;
    char *content;
    size_t len;
    ox_arena_init(&arena);
    ox_code code = file_read_all(fetch->state->env->fs, path, JWKS_MAX, &arena, &content, &len,
        &fetch->err);
    if (code == OX_OK)
        ox_text_add(&fetch->body, content, len);
    ox_arena_fini(&arena);
    return code;
}

static void
fetch_work(struct pool_job *job)
{
    struct fetch *fetch = ox_container_of(job, struct fetch, errand.job);
    ox_text_init(&fetch->body, NULL);
    ox_code code = strncmp(fetch->url, "file://", 7) == 0 ? fetch_file(fetch, fetch->url + 7)
                                                          : fetch_url(fetch);
    if (code == OX_OK)
        code = auth_jwks_parse(ox_text_str(&fetch->body), &fetch->jwks, &fetch->err);
    if (code != OX_OK)
        fetch->jwks = NULL;
    ox_text_fini(&fetch->body);
}

static void
fetch_done(struct pool_job *job)
{
    struct fetch *fetch = ox_container_of(job, struct fetch, errand.job);
    struct login_state *state = fetch->state;
    struct engine_keys *keys = NULL, *old = NULL;
    if (fetch->jwks != NULL) {
        keys = ox_calloc(1, sizeof(*keys));
        atomic_store(&keys->refs, 1);
        keys->jwks = fetch->jwks;
        ox_info("keys of tokens were read", "count=%zu", auth_jwks_count(keys->jwks));
    } else {
        ox_diag_err(OX_DIAG_WARN, "keys of tokens were not read", &fetch->err);
    }
    ox_lock(&state->lock);
    state->fetching = false;
    state->failures = keys != NULL ? 0 : state->failures + 1;
    if (keys != NULL) {
        old = state->keys;
        state->keys = keys;
    }
    ox_unlock(&state->lock);
    keys_put(old);
    state_put(state);
    ox_free(fetch);
}

/* Until the next attempt after so many that failed. */
static uint64_t
backoff_ns(const struct server_config *settings, uint32_t failures)
{
    double most = (double)settings->sasl_oauthbearer_jwks_endpoint_retry_backoff_max_ms;
    double wait = ldexp((double)settings->sasl_oauthbearer_jwks_endpoint_retry_backoff_ms,
        (int)OX_MIN(failures, 1000u) - 1);
    return (uint64_t)(OX_MIN(OX_MIN(wait, most), 1e12) * 1e6);
}

/* Under the lock: is it time to fetch? Then the struct for it. */
static struct fetch *
want_fetch(struct engine *engine, uint64_t now_ns)
{
    struct login_state *state = engine->login;
    const struct server_config *settings = engine_settings(engine);
    const char *url = settings->sasl_oauthbearer_jwks_endpoint_url;
    if (url == NULL || url[0] == 0 || strlen(url) >= sizeof(state->url) || state->fetching)
        return NULL;
    bool other = strcmp(url, state->url) != 0;
    uint64_t age = now_ns - state->tried_ns;
    bool due = other || (state->failures > 0
        ? age >= backoff_ns(settings, state->failures)
        : ((state->wanted || state->keys == NULL) && age > AGAIN_NS) ||
            age > (uint64_t)settings->sasl_oauthbearer_jwks_endpoint_refresh_ms * 1000000);
    if (!due)
        return NULL;
    struct fetch *fetch = ox_calloc(1, sizeof(*fetch));
    strcpy(fetch->url, url);
    strcpy(state->url, url);
    fetch->state = state;
    atomic_fetch_add(&state->refs, 1);
    state->fetching = true;
    state->failures = other ? 0 : state->failures;
    state->wanted = false;
    state->tried_ns = now_ns;
    return fetch;
}

static void
fetch_if_due(struct engine *engine)
{
    ox_lock(&engine->login->lock);
    struct fetch *fetch = want_fetch(engine, env_mono_ns(engine->env));
    ox_unlock(&engine->login->lock);
    if (fetch != NULL)
        engine_errand_send(engine, &fetch->errand, fetch_work, fetch_done);
}

static void
look_for_keys(struct loop_msg *msg)
{
    struct login_state *state = ox_container_of(msg, struct login_state, look);
    ox_lock(&state->lock);
    state->looking = false;
    ox_unlock(&state->lock);
    fetch_if_due(state->engine);
    state_put(state);
}

void
engine_logins_tend(struct engine *engine)
{
    struct login_state *state = engine->login;
    ox_lock(&state->lock);
    bool look = state->failures > 0 && !state->looking;
    state->looking |= look;
    ox_unlock(&state->lock);
    if (!look)
        return;
    atomic_fetch_add(&state->refs, 1);
    loop_post(loop_at(engine->config.loops, 0), &state->look);
}

/* ---- logins ---- */

void
engine_logins_start(struct engine *engine)
{
    struct login_state *state = ox_calloc(1, sizeof(*state));
    atomic_store(&state->refs, 2); /* the first look is on its way */
    state->env = engine->env;
    env_random(engine->env, state->salt_secret, sizeof(state->salt_secret));
    ox_lock_init(&state->lock, LOCK_LOGIN_KEYS);
    engine->login = state;
    state->engine = engine;
    state->look.fn = look_for_keys;
    state->looking = true;
    loop_post(loop_at(engine->config.loops, 0), &state->look);
}

void
engine_logins_stop(struct engine *engine)
{
    state_put(engine->login);
}

const char *
engine_tokens_unmet(const struct server_config *settings)
{
    const char *audience = settings->sasl_oauthbearer_expected_audience;
    const char *issuer = settings->sasl_oauthbearer_expected_issuer;
    if ((audience == NULL || audience[0] == 0) &&
        !settings->sasl_oauthbearer_allow_unverified_audience)
        return "The OAuth validator for the broker requires "
               "\"sasl.oauthbearer.expected.audience\" to be configured so that the token's "
               "audience (\"aud\") claim can be verified, but it was not set.";
    if ((issuer == NULL || issuer[0] == 0) && !settings->sasl_oauthbearer_allow_unverified_issuer)
        return "The OAuth validator for the broker requires "
               "\"sasl.oauthbearer.expected.issuer\" to be configured so that the token's issuer "
               "(\"iss\") claim can be verified, but it was not set.";
    return NULL;
}

void
engine_login_begin(struct engine *engine, struct engine_login *login)
{
    const struct meta_view *view = engine_view(engine);
    const struct server_config *settings = view->settings;
    struct login_state *state = engine->login;
    const char *secret = settings->delegation_token_secret_key;
    memset(login, 0, sizeof(*login));
    fetch_if_due(engine);
    ox_lock(&state->lock);
    login->keys = state->keys;
    if (login->keys != NULL)
        atomic_fetch_add(&login->keys->refs, 1);
    ox_unlock(&state->lock);
    const char *audience = settings->sasl_oauthbearer_expected_audience;
    const char *issuer = settings->sasl_oauthbearer_expected_issuer;
    login->jwt = (struct auth_jwt_rules){.keys = login->keys ? login->keys->jwks : NULL,
        .audience = audience != NULL && audience[0] != 0 ? audience : NULL,
        .issuer = issuer != NULL && issuer[0] != 0 ? issuer : NULL,
        .unmet = engine_tokens_unmet(settings),
        .subject_claim = settings->sasl_oauthbearer_sub_claim_name,
        .scope_claim = settings->sasl_oauthbearer_scope_claim_name,
        .skew_ms = (int64_t)settings->sasl_oauthbearer_clock_skew_seconds * 1000};
    login->ctx = (struct auth_context){.env = engine->env, .security = view->security,
        .plain_users = settings->plain_sasl_jaas_config,
        .token_secret = secret != NULL && secret[0] != 0 ? secret : NULL, .jwt = &login->jwt,
        .now_ms = env_wall_ms(engine->env)};
    memcpy(login->ctx.salt_secret, state->salt_secret, sizeof(state->salt_secret));
}

void
engine_login_end(struct engine_login *login)
{
    keys_put(login->keys);
    auth_wipe(login, sizeof(*login));
}

ox_code
engine_login_done(struct engine_session *sess, const char *mechanism, struct str user,
    struct ox_err *err)
{
    /* Cut, it would be the name of somebody else. */
    if (user.len + sizeof("User:") > sizeof(sess->principal))
        return ox_fail(err, OX_SASL_AUTHENTICATION_FAILED, "user name is longer than %zu bytes",
            sizeof(sess->principal) - sizeof("User:"));
    snprintf(sess->principal, sizeof(sess->principal), "User:%.*s", OX_STR_ARG(user));
    ox_free(sess->decisions);
    sess->decisions = NULL;
    engine_quota_changed(sess);
    atomic_fetch_add(&sess->engine->stats.logins, 1);
    ox_debug("login", "door=%s host=%s mechanism=%s principal=\"%s\"", sess->door, sess->host,
        mechanism, sess->principal);
    return OX_OK;
}

void
engine_login_key_wanted(struct engine *engine)
{
    ox_lock(&engine->login->lock);
    engine->login->wanted = true;
    ox_unlock(&engine->login->lock);
}

void
engine_login_failed(struct engine_session *sess, const char *mechanism, const char *user,
    const struct ox_err *why)
{
    struct login_state *state = sess->engine->login;
    uint64_t second = env_mono_ns(sess->engine->env) / 1000000000;
    atomic_fetch_add(&sess->engine->stats.logins_failed, 1);
    ox_lock(&state->lock);
    if (state->log_second != second) {
        state->log_second = second;
        state->logged = 0;
    }
    bool say = state->logged++ < LOGGED_PER_SECOND;
    ox_unlock(&state->lock);
    if (say)
        ox_warn("login failed", "door=%s host=%s mechanism=%s user=\"%s\" reason=\"%s\"",
            sess->door, sess->host, mechanism, user, why->message);
}

void
engine_login_refused(struct engine_session *sess, const char *reason)
{
    struct ox_err why;
    if (reason == NULL)
        return;
    ox_fail(&why, OX_INVALID_AUTHORIZATION, "TLS handshake failed: %s", reason);
    engine_login_failed(sess, "SSL", "", &why);
}

bool
engine_login_allowed(struct engine *engine, struct str user)
{
    const struct meta_role *role = meta_security_role(engine_view(engine)->security, user);
    return role == NULL || (role->flags & META_ROLE_LOGIN) != 0;
}

ox_code
engine_login_subject(struct engine *engine, const struct auth_mapping *mapping,
    struct str subject, struct text *out, struct ox_err *err)
{
    struct text dn;
    size_t begin = out->len;
    if (subject.ptr == NULL) {
        ox_text_adds(out, "ANONYMOUS");
        return OX_OK;
    }
    ox_text_init(&dn, NULL);
    ox_code code = auth_dn_print(subject.ptr, subject.len, &dn, err);
    if (code == OX_OK)
        code = auth_mapping_apply(mapping, ox_text_str(&dn), out, err);
    ox_text_fini(&dn);
    if (code == OX_OK && !engine_login_allowed(engine, ox_str_n(out->ptr + begin, out->len - begin)))
        code = ox_fail(err, OX_SASL_AUTHENTICATION_FAILED, "the role is not permitted to log in");
    return code;
}
