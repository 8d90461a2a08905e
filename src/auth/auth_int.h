/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside auth/. */
#ifndef AUTH_AUTH_INT_H
#define AUTH_AUTH_INT_H

#include <openssl/evp.h>

#include "auth/auth.h"
#include "base/check.h"

/* ---- keys.c; mechanism: enum meta_mechanism ---- */
size_t auth_md_len(int mechanism);
void auth_hmac(int mechanism, const void *key, size_t key_len, const void *data, size_t len,
    uint8_t *out);
void auth_hash(int mechanism, const void *data, size_t len, uint8_t *out);

/* ---- scram.c: messages of RFC 5802 ---- */

struct scram_first {
    char flag;              /* 'n', 'y', 'p' */
    struct str binding;     /* name of the binding with 'p' */
    struct str authzid;     /* as written, null: none */
    struct str gs2;         /* the header, up to its second comma */
    struct str bare;        /* what is behind it */
    struct str user, nonce; /* user as written: see scram_unescape() */
    bool token;             /* extension tokenauth=true */
};
bool scram_first_parse(struct str message, struct scram_first *out);

struct scram_final {
    struct str binding; /* base64 */
    struct str nonce, proof;
    struct str without_proof;
};
bool scram_final_parse(struct str message, struct scram_final *out);
/* =2C and =3D; false on another '='. */
bool scram_unescape(struct str name, struct text *out);

/* ---- pattern.c: the common part of Java's regular expressions, in time that
 * is linear in the text for a given pattern ---- */

enum { PATTERN_GROUPS_MAX = 16 };
struct pattern;
ox_code pattern_compile(struct str text, struct pattern **out, struct ox_err *err);
void pattern_free(struct pattern *pattern);
/* Does all of text match? spans[2 g], [2 g + 1]: where group g is; -1: nowhere. */
bool pattern_match(const struct pattern *pattern, struct str text, int spans[]);
int pattern_groups(const struct pattern *pattern); /* without group 0 */

#endif
