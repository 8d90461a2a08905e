/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed tokens (RFC 7519, compact form) and the sets of keys that they are
 * signed with (RFC 7517). Signatures only with public keys: "none" and HMAC,
 * which turn a public key into a secret, are refused.
 *
 *     header "." claims "." signature       each base64url
 *     {"alg","kid"}  {"sub","iss","aud","exp","nbf","iat"} */
#include "auth/auth_int.h"

#include <jansson.h>
#include <math.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>

enum { TOKEN_MAX = 65536, KEYS_MAX = 128, JSON_MAX = 1 << 20, PART_MAX = 1024 };

struct key {
    EVP_PKEY *key;
    char kid[256];
    char alg[16]; /* "" any that fits */
};

struct auth_jwks {
    struct key keys[KEYS_MAX];
    size_t count;
};

static const struct algorithm {
    const char *name;
    const char *digest;
    bool ec;
    bool pss;
    int bits; /* of the curve */
} algorithms[] = {
    {"RS256", "SHA256", false, false, 0}, {"RS384", "SHA384", false, false, 0},
    {"RS512", "SHA512", false, false, 0}, {"PS256", "SHA256", false, true, 0},
    {"PS384", "SHA384", false, true, 0}, {"PS512", "SHA512", false, true, 0},
    {"ES256", "SHA256", true, false, 256}, {"ES384", "SHA384", true, false, 384},
    {"ES512", "SHA512", true, false, 521},
};

/* ---- keys ---- */

/* base64url of a number into out; its length, 0 when it is no such thing. */
static size_t
number(const json_t *object, const char *name, uint8_t out[PART_MAX])
{
    const char *text = json_string_value(json_object_get(object, name));
    size_t len = text != NULL ? strlen(text) : 0;
    if (len == 0 || 3 * (len / 4) + 3 > PART_MAX)
        return 0;
    ptrdiff_t got = ox_base64_decode(out, text, len);
    return got > 0 ? (size_t)got : 0;
}

static EVP_PKEY *
build(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) <= 0 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *
rsa_key(const json_t *object)
{
    uint8_t n[PART_MAX], e[PART_MAX];
    size_t n_len = number(object, "n", n), e_len = number(object, "e", e);
    if (n_len < 256 || e_len == 0 || e_len > 8) /* at least 2048 bits */
        return NULL;
    BIGNUM *modulus = BN_bin2bn(n, (int)n_len, NULL), *exponent = BN_bin2bn(e, (int)e_len, NULL);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        key = build("RSA", bld);
    OSSL_PARAM_BLD_free(bld);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

static EVP_PKEY *
ec_key(const json_t *object)
{
    static const struct {
        const char *name, *group;
        size_t len;
    } curves[] = {{"P-256", "prime256v1", 32}, {"P-384", "secp384r1", 48},
        {"P-521", "secp521r1", 66}};
    const char *name = json_string_value(json_object_get(object, "crv"));
    uint8_t x[PART_MAX], y[PART_MAX], point[2 * 66 + 1] = {4};
    size_t x_len = number(object, "x", x), y_len = number(object, "y", y);
    EVP_PKEY *key = NULL;
    for (size_t i = 0; name != NULL && i < ox_count(curves); i++) {
        size_t len = curves[i].len;
        if (strcmp(name, curves[i].name) != 0 || x_len != len || y_len != len)
            continue;
        memcpy(point + 1, x, len);
        memcpy(point + 1 + len, y, len);
        OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
        if (OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group,
                0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point,
                2 * len + 1) == 1)
            key = build("EC", bld);
        OSSL_PARAM_BLD_free(bld);
    }
    return key;
}

static void
add_key(struct auth_jwks *jwks, const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "kty"));
    const char *use = json_string_value(json_object_get(object, "use"));
    const char *kid = json_string_value(json_object_get(object, "kid"));
    const char *alg = json_string_value(json_object_get(object, "alg"));
    struct key *to = &jwks->keys[jwks->count];
    if (type == NULL || (use != NULL && strcmp(use, "sig") != 0) || jwks->count == KEYS_MAX ||
        (kid != NULL && strlen(kid) >= sizeof(to->kid)) ||
        (alg != NULL && strlen(alg) >= sizeof(to->alg)))
        return;
    to->key = strcmp(type, "RSA") == 0 ? rsa_key(object)
        : strcmp(type, "EC") == 0     ? ec_key(object)
                                      : NULL;
    if (to->key == NULL)
        return;
    strcpy(to->kid, kid != NULL ? kid : "");
    strcpy(to->alg, alg != NULL ? alg : "");
    jwks->count++;
}

ox_code
auth_jwks_parse(struct str text, struct auth_jwks **out, struct ox_err *err)
{
    json_error_t why;
    if (text.len > JSON_MAX)
        return ox_fail(err, OX_INVALID_JSON_TEXT, "set of keys is longer than %d bytes", JSON_MAX);
    json_t *root = json_loadb(text.len > 0 ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES,
        &why);
    if (root == NULL)
        return ox_fail(err, OX_INVALID_JSON_TEXT, "set of keys is not JSON: %s", why.text);
    struct auth_jwks *jwks = ox_calloc(1, sizeof(*jwks));
    const json_t *keys = json_object_get(root, "keys");
    for (size_t i = 0; i < json_array_size(keys); i++)
        add_key(jwks, json_array_get(keys, i));
    json_decref(root);
    if (jwks->count == 0) {
        auth_jwks_free(jwks);
        return ox_fail(err, OX_CONFIG_ERROR, "set of keys has no key that can be used");
    }
    *out = jwks;
    return OX_OK;
}

void
auth_jwks_free(struct auth_jwks *jwks)
{
    if (jwks == NULL)
        return;
    for (size_t i = 0; i < jwks->count; i++)
        EVP_PKEY_free(jwks->keys[i].key);
    ox_free(jwks);
}

size_t
auth_jwks_count(const struct auth_jwks *jwks)
{
    return jwks->count;
}

/* ---- signatures ---- */

static const struct algorithm *
find_algorithm(const char *name)
{
    for (size_t i = 0; name != NULL && i < ox_count(algorithms); i++)
        if (strcmp(algorithms[i].name, name) == 0)
            return &algorithms[i];
    return NULL;
}

static bool
key_fits(const struct key *key, const struct algorithm *algorithm, const char *kid)
{
    if (kid != NULL && key->kid[0] != 0 && strcmp(kid, key->kid) != 0)
        return false;
    if (key->alg[0] != 0 && strcmp(key->alg, algorithm->name) != 0)
        return false;
    if (EVP_PKEY_get_base_id(key->key) != (algorithm->ec ? EVP_PKEY_EC : EVP_PKEY_RSA))
        return false;
    return !algorithm->ec || EVP_PKEY_get_bits(key->key) == algorithm->bits;
}

/* r and s, each as long as the curve, as ASN.1 wants them. */
static int
ecdsa_der(const uint8_t *raw, size_t len, int bits, uint8_t **der)
{
    size_t half = (size_t)(bits + 7) / 8;
    ECDSA_SIG *sig;
    *der = NULL;
    if (len != 2 * half || (sig = ECDSA_SIG_new()) == NULL)
        return -1;
    ECDSA_SIG_set0(sig, BN_bin2bn(raw, (int)half, NULL), BN_bin2bn(raw + half, (int)half, NULL));
    int der_len = i2d_ECDSA_SIG(sig, der);
    ECDSA_SIG_free(sig);
    return der_len;
}

static bool
verifies(EVP_PKEY *key, const struct algorithm *algorithm, struct str data,
    const uint8_t *signature, size_t len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options;
    uint8_t *der = NULL;
    bool good = EVP_DigestVerifyInit_ex(ctx, &options, algorithm->digest, NULL, NULL, key,
                    NULL) == 1;
    if (good && algorithm->pss)
        good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
    if (good && algorithm->ec) {
        int der_len = ecdsa_der(signature, len, algorithm->bits, &der);
        good = der_len > 0;
        signature = der;
        len = good ? (size_t)der_len : 0;
    }
    good = good &&
        EVP_DigestVerify(ctx, signature, len, (const uint8_t *)data.ptr, data.len) == 1;
    OPENSSL_free(der);
    EVP_MD_CTX_free(ctx);
    return good;
}

/* ---- claims ---- */

static ox_code
refuse(struct ox_err *err, const char *why)
{
    return ox_fail(err, OX_SASL_AUTHENTICATION_FAILED, "token refused: %s", why);
}

static bool
list_has(const struct str *list, size_t count, const json_t *item)
{
    const char *text = json_string_value(item);
    for (size_t i = 0; text != NULL && i < count; i++)
        if (ox_str_is(list[i], text))
            return true;
    return false;
}

static bool
audience_fits(const json_t *claims, const char *wanted, struct arena *arena)
{
    const json_t *aud = json_object_get(claims, "aud");
    struct str *list;
    size_t count = param_list_items(ox_str(wanted), arena, &list);
    if (json_is_string(aud))
        return list_has(list, count, aud);
    for (size_t i = 0; i < json_array_size(aud); i++)
        if (list_has(list, count, json_array_get(aud, i)))
            return true;
    return false;
}

/* Seconds of a claim as milliseconds; false when it is there and no time. */
static bool
claim_ms(const json_t *claims, const char *name, int64_t absent, int64_t *out)
{
    const json_t *claim = json_object_get(claims, name);
    *out = absent;
    if (claim == NULL)
        return true;
    double seconds = json_number_value(claim);
    if (!json_is_number(claim) || !(fabs(seconds) < 1e12))
        return false;
    *out = (int64_t)(seconds * 1000);
    return true;
}

static ox_code
check_claims(const json_t *claims, const struct auth_jwt_rules *rules, int64_t now_ms,
    struct arena *arena, struct str *subject, int64_t *expiry_ms, struct ox_err *err)
{
    int64_t not_before, issued;
    const char *issuer = json_string_value(json_object_get(claims, "iss"));
    const char *sub = json_string_value(json_object_get(claims, rules->subject_claim));
    if (!json_is_object(claims))
        return refuse(err, "claims are not an object");
    if (!claim_ms(claims, "exp", -1, expiry_ms) || *expiry_ms < 0)
        return refuse(err, "it has no expiry");
    if (!claim_ms(claims, "nbf", 0, &not_before) || !claim_ms(claims, "iat", 0, &issued))
        return refuse(err, "its times are not numbers");
    if (now_ms >= *expiry_ms + rules->skew_ms)
        return refuse(err, "it has expired");
    if (now_ms < not_before - rules->skew_ms || now_ms < issued - rules->skew_ms)
        return refuse(err, "it is not valid yet");
    if (rules->issuer != NULL && (issuer == NULL || strcmp(issuer, rules->issuer) != 0))
        return refuse(err, "it is from another issuer");
    if (rules->audience != NULL && !audience_fits(claims, rules->audience, arena))
        return refuse(err, "it is for another audience");
    if (sub == NULL || sub[0] == 0 || strlen(sub) > 200)
        return refuse(err, "it names no subject");
    *subject = ox_str(ox_arena_strdup(arena, sub));
    return OX_OK;
}

/* ---- the token ---- */

/* The part up to a dot, decoded. */
static bool
take_part(struct str *rest, bool last, struct arena *arena, struct str *out)
{
    const char *dot = rest->len > 0 ? memchr(rest->ptr, '.', rest->len) : NULL;
    if ((dot == NULL) != last)
        return false;
    size_t len = last ? rest->len : (size_t)(dot - rest->ptr);
    uint8_t *to = ox_arena_alloc(arena, 3 * (len / 4) + 3);
    ptrdiff_t got = ox_base64_decode(to, rest->ptr, len);
    if (got <= 0)
        return false;
    *out = ox_str_n(to, (size_t)got);
    *rest = ox_str_n(rest->ptr + len + !last, rest->len - len - !last);
    return true;
}

static ox_code
check_signature(const json_t *header, struct str data, struct str signature,
    const struct auth_jwks *jwks, bool *unknown_key, struct ox_err *err)
{
    const char *kid = json_string_value(json_object_get(header, "kid"));
    const struct algorithm *algorithm =
        find_algorithm(json_string_value(json_object_get(header, "alg")));
    bool tried = false;
    if (algorithm == NULL)
        return refuse(err, "its algorithm is not supported");
    if (json_object_get(header, "crit") != NULL)
        return refuse(err, "it has critical extensions");
    for (size_t i = 0; jwks != NULL && i < jwks->count; i++) {
        if (!key_fits(&jwks->keys[i], algorithm, kid))
            continue;
        tried = true;
        if (verifies(jwks->keys[i].key, algorithm, data, (const uint8_t *)signature.ptr,
                signature.len))
            return OX_OK;
    }
    *unknown_key = !tried;
    return refuse(err, tried ? "its signature is wrong" : "its key is not known");
}

ox_code
auth_jwt_check(struct str token, const struct auth_jwt_rules *rules, int64_t now_ms,
    struct arena *arena, struct str *subject, int64_t *expiry_ms, bool *unknown_key,
    struct ox_err *err)
{
    struct str rest = token, head, body, signature;
    *unknown_key = false;
    if (token.len == 0 || token.len > TOKEN_MAX || !take_part(&rest, false, arena, &head) ||
        !take_part(&rest, false, arena, &body))
        return refuse(err, "it is not a signed token");
    struct str data = ox_str_n(token.ptr, token.len - rest.len - 1);
    if (!take_part(&rest, true, arena, &signature))
        return refuse(err, "it is not a signed token");
    json_t *header = json_loadb(head.ptr, head.len, JSON_REJECT_DUPLICATES, NULL);
    json_t *claims = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL);
    ox_code code = header == NULL || claims == NULL
                       ? refuse(err, "its parts are not JSON")
                       : check_signature(header, data, signature, rules->keys, unknown_key, err);
    if (code == OX_OK)
        code = check_claims(claims, rules, now_ms, arena, subject, expiry_ms, err);
    json_decref(header);
    json_decref(claims);
    return code;
}
