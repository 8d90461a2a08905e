/* SPDX-License-Identifier: Apache-2.0
 *
 * Who are you, and may you: password exchanges, tokens, names of certificates,
 * access rules. No I/O and no state of its own: both doors and the tools share
 * it. Users and rules come from the metadata view.
 *
 * An exchange is a few messages:
 *
 *     auth_exchange_new -> auth_step --AUTH_MORE--> send reply, auth_step ...
 *                                    --AUTH_WORK--> auth_work (a pool thread),
 *                                                   auth_worked, as auth_step
 *                                    --AUTH_DONE--> send reply; who: user
 *                                    --AUTH_FAILED-> err says why, without secrets */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "base/arena.h"
#include "base/env.h"
#include "base/err.h"
#include "meta/meta.h"

/* ---- mechanisms ---- */

enum auth_mechanism {
    AUTH_PLAIN,
    AUTH_SCRAM_SHA_256,
    AUTH_SCRAM_SHA_512,
    AUTH_OAUTHBEARER,
    AUTH_MECHANISM_COUNT
};
/* As registered for SASL: "SCRAM-SHA-256". */
const char *auth_mechanism_name(enum auth_mechanism mechanism);
/* AUTH_MECHANISM_COUNT if there is none of that name. */
enum auth_mechanism auth_mechanism_find(struct str name);

/* ---- exchanges ---- */

enum auth_result { AUTH_MORE, AUTH_WORK, AUTH_DONE, AUTH_FAILED };

struct auth_jwks; /* keys that tokens are signed with */

struct auth_jwt_rules {
    const struct auth_jwks *keys; /* NULL: none are known */
    const char *audience;         /* list: one of them must be named; NULL: any */
    const char *issuer;           /* NULL: any */
    const char *unmet;            /* why no token is taken at all; NULL: tokens are */
    const char *subject_claim, *scope_claim;
    int64_t skew_ms;
};

/* What a step may look at; borrowed for the call. */
struct auth_context {
    const struct env *env;
    const struct meta_security *security;
    const char *token_secret; /* of delegation tokens; NULL: there are none */
    const char *plain_users;  /* of PLAIN, see below; NULL or "": those of security */
    const struct auth_jwt_rules *jwt;
    uint8_t salt_secret[32]; /* random: gives users that do not exist their salt */
    int64_t now_ms;
};

/* One login under way. One thread at a time, whichever; what it was given is copied.
 * PLAIN is RFC 4616, SCRAM RFC 5802 and 7677 (with delegation tokens: KIP-48), OAUTHBEARER
 * RFC 7628 (KIP-255, KIP-768). */
struct auth_exchange;

struct auth_exchange *auth_exchange_new(enum auth_mechanism mechanism);
/* The PostgreSQL door: the name of the startup packet counts, and a channel
 * binding (RFC 5929) may be asked for; binding_len 0: there is none to offer. */
void auth_exchange_for_user(struct auth_exchange *exchange, struct str user,
    const void *binding, size_t binding_len);
/* The client chose SCRAM-...-PLUS: a binding is required. */
void auth_exchange_require_binding(struct auth_exchange *exchange);
void auth_exchange_free(struct auth_exchange *exchange); /* wipes; NULL is allowed */

/* The client's next message, at most 64 KiB. *reply (in arena; null: none) is to be sent
 * with AUTH_MORE and AUTH_DONE.
 * Fails:  OX_SASL_AUTHENTICATION_FAILED, in Kafka's words; then the exchange is over */
enum auth_result auth_step(struct auth_exchange *exchange, const struct auth_context *ctx,
    struct str message, struct arena *arena, struct str *reply, struct ox_err *err);
/* Derives keys from a password: takes milliseconds. On: any thread. */
void auth_work(struct auth_exchange *exchange);
/* Goes on behind it, as auth_step() does. */
enum auth_result auth_worked(struct auth_exchange *exchange, const struct auth_context *ctx,
    struct arena *arena, struct str *reply, struct ox_err *err);

/* After AUTH_DONE: the user's name, until when the login holds (-1: for ever),
 * the id of the delegation token that was used ("": none). */
const char *auth_exchange_user(const struct auth_exchange *exchange);
int64_t auth_exchange_expiry_ms(const struct auth_exchange *exchange);
const char *auth_exchange_token_id(const struct auth_exchange *exchange);
/* Was a signed token refused because its key is not among ours? */
bool auth_exchange_key_unknown(const struct auth_exchange *exchange);

/* A password in clear, as PLAIN and PostgreSQL's "password" send it: the
 * exchange's only message. */
enum auth_result auth_step_password(struct auth_exchange *exchange,
    const struct auth_context *ctx, struct str user, struct str password, struct ox_err *err);

/* ---- users in a setting ---- */

/* A JAAS configuration with one PlainLoginModule, whose options user_NAME="PASSWORD" are
 * the users of PLAIN.
 * Fails:  OX_INVALID_CONFIG, with nothing of the text in the message */
ox_code auth_jaas_check(struct str text, struct ox_err *err);
/* Is user in it, with that password? */
bool auth_jaas_knows(struct str text, struct str user, struct str password);

/* ---- passwords at rest ---- */

enum { AUTH_KEY_MAX = 64, AUTH_SALT_LEN = 24, AUTH_ITERATIONS = 4096 };

struct auth_keys {
    uint8_t stored_key[AUTH_KEY_MAX], server_key[AUTH_KEY_MAX];
    size_t len;
};
/* StoredKey and ServerKey of RFC 5802, by PBKDF2: takes milliseconds. mechanism: enum
 * meta_mechanism, here and below.
 * Fails:  OX_UNKNOWN_SERVER_ERROR (the cryptographic library) */
ox_code auth_keys_derive(int mechanism, struct str password, struct str salt, int iterations,
    struct auth_keys *out, struct ox_err *err);
/* From a salted password, as AlterUserScramCredentials (KIP-554) carries it.
 * Fails:  OX_UNACCEPTABLE_CREDENTIAL (empty, or over 1024 bytes) */
ox_code auth_keys_of_salted(int mechanism, struct str salted, struct auth_keys *out,
    struct ox_err *err);
/* Fills scram for a user's new password, with a random salt of AUTH_SALT_LEN bytes. Strings
 * are made in the arena, user is borrowed.
 * Fails:  as auth_keys_derive() */
ox_code auth_scram_make(const struct env *env, struct str user, int mechanism,
    struct str password, int iterations, struct arena *arena, struct meta_scram *out,
    struct ox_err *err);
/* The same of keys that were derived already, which are wiped; salt is borrowed. */
void auth_scram_of_keys(struct str user, int mechanism, int iterations, struct str salt,
    struct auth_keys *keys, struct arena *arena, struct meta_scram *out);
/* PostgreSQL's spelling: SCRAM-SHA-256$iterations:salt$stored:server.
 * Fails:  OX_INVALID_PARAMETER_VALUE; false in *is when it is no such text */
ox_code auth_scram_parse(struct str user, struct str text, struct arena *arena,
    struct meta_scram *out, bool *is, struct ox_err *err);
/* Zeroes a secret; the compiler keeps it. */
void auth_wipe(void *ptr, size_t len);

/* ---- delegation tokens ---- */

/* HMAC-SHA-512 of the token's id under the node's secret (KIP-48): in base64 it is the
 * password of the token. */
enum { AUTH_TOKEN_HMAC_LEN = 64 };
void auth_token_hmac(const char *secret, struct str id, uint8_t out[AUTH_TOKEN_HMAC_LEN]);

/* ---- signed tokens ---- */

/* A JSON web key set (RFC 7517): RSA and P-256/384/521 keys; others are passed over.
 * Fails:  OX_INVALID_JSON_TEXT, OX_CONFIG_ERROR (no usable key) */
ox_code auth_jwks_parse(struct str text, struct auth_jwks **out, struct ox_err *err);
void auth_jwks_free(struct auth_jwks *jwks);
/* How many can be used. */
size_t auth_jwks_count(const struct auth_jwks *jwks);

/* A JSON web token (RFC 7519, 7515): its signature, then what the rules ask for. *subject in
 * the arena; *expiry_ms in Unix time.
 * Fails:  OX_SASL_AUTHENTICATION_FAILED; *unknown_key: its key is not among ours */
ox_code auth_jwt_check(struct str token, const struct auth_jwt_rules *rules, int64_t now_ms,
    struct arena *arena, struct str *subject, int64_t *expiry_ms, bool *unknown_key,
    struct ox_err *err);

/* ---- names of certificates ---- */

/* The subject as Java prints it (RFC 2253) from its DER form.
 * Fails:  OX_INVALID_REQUEST */
ox_code auth_dn_print(const void *der, size_t len, struct text *out, struct ox_err *err);

/* The first common name (CN) of the subject, as it is; false: it has none.
 * Fails:  OX_INVALID_REQUEST */
ox_code auth_dn_common_name(const void *der, size_t len, struct text *out, bool *has,
    struct ox_err *err);

struct auth_mapping; /* ssl.principal.mapping.rules (KIP-371) */
/* Gives out. Fails: OX_CONFIG_ERROR */
ox_code auth_mapping_parse(const char *rules, struct auth_mapping **out, struct ox_err *err);
void auth_mapping_free(struct auth_mapping *mapping); /* NULL is allowed */
/* The name that the first rule gives. Fails: OX_SASL_AUTHENTICATION_FAILED: none does */
ox_code auth_mapping_apply(const struct auth_mapping *mapping, struct str dn, struct text *out,
    struct ox_err *err);

/* ---- access rules: KIP-11, prefixes KIP-290; decided as Kafka's StandardAuthorizer does ---- */

/* Numbers as on Kafka's wire. */
enum auth_acl_pattern { AUTH_PATTERN_ANY = 1, AUTH_PATTERN_MATCH, AUTH_PATTERN_LITERAL,
    AUTH_PATTERN_PREFIXED };
enum { AUTH_ANY = 1, AUTH_DENY = 2, AUTH_ALLOW = 3, AUTH_OP_ALL = 2 };

struct auth_question {
    struct str principal, host; /* "User:alice", "10.0.0.1" */
    int8_t resource, operation;
    struct str name;
};
enum auth_answer { AUTH_IS_ALLOWED, AUTH_IS_DENIED, AUTH_NO_RULE };
/* One rule that denies outweighs all that allow. AUTH_NO_RULE: no rule stands on the
 * resource at all. Any thread; time grows with the rules of the name and its prefixes only. */
enum auth_answer auth_ask(const struct meta_security *security,
    const struct auth_question *question);
/* May the operation be done on some resource of the type, be it there or not? question->name
 * counts for nothing. Looks at all rules. */
bool auth_ask_any(const struct meta_security *security, const struct auth_question *question);

/* The host of a rule may be a network, "10.0.0.0/8" or "2001:db8::/32". */
bool auth_network_valid(struct str text);
/* False too when text is no network, or host no address of its kind. */
bool auth_network_has(struct str text, struct str host);
/* Are both the same address, one of them with colons, however each is spelled? Java writes
 * 0:0:0:0:0:0:0:1; ::ffff:10.0.0.1 is 10.0.0.1. */
bool auth_address_same(struct str a, struct str b);

/* Which rules a filter means; null strings and ANY (1) mean all. */
struct auth_filter {
    int8_t resource, pattern, operation, permission;
    struct str name, principal, host;
};
/* Pattern types as DescribeAcls has them: MATCH takes every rule that the name meets. */
bool auth_filter_matches(const struct auth_filter *filter, const struct meta_acl *acl);
/* May an operation be granted on a resource of that type? ALL may on every one. */
bool auth_operation_fits(int resource, int operation);
/* Bits of the operations that resources of the type have. */
uint32_t auth_operations(int resource);

#endif
