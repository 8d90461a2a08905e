/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages of RFC 5802, taken apart:
 *
 *     client-first   n,[a=authzid],n=user,r=nonce[,ext=...]
 *     server-first   r=nonce,s=salt,i=iterations
 *     client-final   c=base64(gs2 header [binding]),r=nonce[,ext],p=proof
 *     server-final   v=signature */
#include "auth/auth_int.h"

#include <string.h>

/* The field up to the next comma or the end. */
static struct str
next_field(struct str *rest)
{
    const char *comma = rest->len > 0 ? memchr(rest->ptr, ',', rest->len) : NULL;
    size_t len = comma != NULL ? (size_t)(comma - rest->ptr) : rest->len;
    struct str field = ox_str_n(rest->ptr, len);
    size_t skip = len + (comma != NULL);
    *rest = ox_str_n(rest->ptr + skip, rest->len - skip);
    return field;
}

static bool
has_key(struct str field, char key, struct str *value)
{
    if (field.len < 2 || field.ptr[0] != key || field.ptr[1] != '=')
        return false;
    *value = ox_str_n(field.ptr + 2, field.len - 2);
    return true;
}

/* Printable ASCII without comma. */
static bool
nonce_valid(struct str nonce)
{
    for (size_t i = 0; i < nonce.len; i++)
        if (nonce.ptr[i] < 0x21 || nonce.ptr[i] > 0x7e || nonce.ptr[i] == ',')
            return false;
    return nonce.len > 0 && nonce.len <= 256;
}

static bool
parse_gs2(struct str *rest, struct scram_first *out)
{
    const char *begin = rest->ptr;
    struct str flag = next_field(rest);
    if (flag.len == 0 || rest->len == 0)
        return false;
    out->flag = flag.ptr[0];
    if (out->flag == 'p') {
        if (!has_key(flag, 'p', &out->binding) || out->binding.len == 0)
            return false;
    } else if (flag.len != 1 || (out->flag != 'n' && out->flag != 'y')) {
        return false;
    }
    struct str authzid = next_field(rest);
    if (authzid.len > 0 && !has_key(authzid, 'a', &out->authzid))
        return false;
    out->gs2 = ox_str_n(begin, (size_t)(rest->ptr - begin));
    return true;
}

bool
scram_first_parse(struct str message, struct scram_first *out)
{
    struct str rest = message, value;
    memset(out, 0, sizeof(*out));
    if (message.len == 0 || memchr(message.ptr, 0, message.len) != NULL ||
        !ox_utf8_valid(message.ptr, message.len) || !parse_gs2(&rest, out))
        return false;
    out->bare = rest;
    if (!has_key(next_field(&rest), 'n', &out->user) ||
        !has_key(next_field(&rest), 'r', &out->nonce) || !nonce_valid(out->nonce))
        return false;
    while (rest.len > 0) {
        struct str field = next_field(&rest);
        const char *equals = field.len > 0 ? memchr(field.ptr, '=', field.len) : NULL;
        if (equals == NULL || equals == field.ptr || has_key(field, 'm', &value))
            return false;
        out->token |= ox_str_ieq(field, OX_STR("tokenauth=true"));
    }
    return true;
}

bool
scram_final_parse(struct str message, struct scram_final *out)
{
    struct str rest = message;
    memset(out, 0, sizeof(*out));
    if (message.len == 0 || memchr(message.ptr, 0, message.len) != NULL ||
        !has_key(next_field(&rest), 'c', &out->binding) ||
        !has_key(next_field(&rest), 'r', &out->nonce))
        return false;
    while (rest.len > 0) {
        struct str field = next_field(&rest);
        if (has_key(field, 'p', &out->proof)) {
            out->without_proof = ox_str_n(message.ptr, (size_t)(field.ptr - message.ptr) - 1);
            return rest.len == 0 && out->proof.len > 0 && out->proof.len <= 128 &&
                message.ptr[message.len - 1] != ',';
        }
    }
    return false;
}

bool
scram_unescape(struct str name, struct text *out)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] != '=') {
            ox_text_addc(out, name.ptr[i]);
            continue;
        }
        struct str code = ox_str_n(name.ptr + i, OX_MIN(name.len - i, (size_t)3));
        if (ox_str_is(code, "=2C"))
            ox_text_addc(out, ',');
        else if (ox_str_is(code, "=3D"))
            ox_text_addc(out, '=');
        else
            return false;
        i += 2;
    }
    return true;
}
