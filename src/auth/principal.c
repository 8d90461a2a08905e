/* SPDX-License-Identifier: Apache-2.0
 *
 * From a certificate to a name: the subject as text, then the first mapping rule
 * that fits it. */
#include "auth/auth_int.h"

#include <openssl/objects.h>
#include <openssl/x509.h>
#include <string.h>

/* ---- the subject ---- */

/* Attribute types that RFC 2253 and Java spell with a word. */
static const char *
type_word(int nid)
{
    switch (nid) {
    case NID_commonName:
        return "CN";
    case NID_countryName:
        return "C";
    case NID_localityName:
        return "L";
    case NID_stateOrProvinceName:
        return "ST";
    case NID_streetAddress:
        return "STREET";
    case NID_organizationName:
        return "O";
    case NID_organizationalUnitName:
        return "OU";
    case NID_domainComponent:
        return "DC";
    case NID_userId:
        return "UID";
    }
    return NULL;
}

/* Blanks at the ends, and what means something in a name, with a backslash before it. */
static void
add_value(struct text *out, const uint8_t *value, size_t len)
{
    size_t first = 0, end = len;
    while (first < len && (value[first] == ' ' || value[first] == '\r'))
        first++;
    while (end > first && (value[end - 1] == ' ' || value[end - 1] == '\r'))
        end--;
    for (size_t i = 0; i < len; i++) {
        char c = (char)value[i];
        if (i < first || i >= end || (c != 0 && strchr(",=+<>#;\"\\", c) != NULL))
            ox_text_addc(out, '\\');
        if (c == 0)
            ox_text_adds(out, "\\00");
        else
            ox_text_addc(out, c);
    }
}

/* Types without a word: dotted numbers and the value's DER form. */
static void
add_unknown(struct text *out, const ASN1_OBJECT *type, const ASN1_STRING *value)
{
    char dotted[128];
    uint8_t *der = NULL;
    OBJ_obj2txt(dotted, sizeof(dotted), type, 1);
    ox_text_addf(out, "%s=#", dotted);
    int len = i2d_ASN1_TYPE(&(ASN1_TYPE){.type = ASN1_STRING_type(value),
                                .value.asn1_string = (ASN1_STRING *)(uintptr_t)value}, &der);
    for (int i = 0; i < len; i++)
        ox_text_addf(out, "%02x", der[i]);
    OPENSSL_free(der);
}

static void
add_entry(struct text *out, const X509_NAME_ENTRY *entry)
{
    const ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);
    const char *word = type_word(OBJ_obj2nid(type));
    uint8_t *utf8 = NULL;
    int len = word != NULL ? ASN1_STRING_to_UTF8(&utf8, value) : -1;
    if (len < 0) {
        add_unknown(out, type, value);
        return;
    }
    ox_text_addf(out, "%s=", word);
    add_value(out, utf8, (size_t)len);
    OPENSSL_free(utf8);
}

ox_code
auth_dn_print(const void *der, size_t len, struct text *out, struct ox_err *err)
{
    const uint8_t *at = der;
    X509_NAME *name = len <= 65536 ? d2i_X509_NAME(NULL, &at, (long)len) : NULL;
    if (name == NULL || at != (const uint8_t *)der + len) {
        X509_NAME_free(name);
        return ox_fail(err, OX_INVALID_REQUEST, "subject of a certificate is not well-formed");
    }
    /* The last part first; what is in one part stays in its order. */
    for (int end = X509_NAME_entry_count(name), begin; end > 0; end = begin) {
        int set = X509_NAME_ENTRY_set(X509_NAME_get_entry(name, end - 1));
        for (begin = end - 1; begin > 0; begin--)
            if (X509_NAME_ENTRY_set(X509_NAME_get_entry(name, begin - 1)) != set)
                break;
        for (int i = begin; i < end; i++) {
            add_entry(out, X509_NAME_get_entry(name, i));
            if (i + 1 < end || begin > 0)
                ox_text_addc(out, i + 1 < end ? '+' : ',');
        }
    }
    X509_NAME_free(name);
    return OX_OK;
}

ox_code
auth_dn_common_name(const void *der, size_t len, struct text *out, bool *has, struct ox_err *err)
{
    const uint8_t *at = der;
    uint8_t *utf8 = NULL;
    X509_NAME *name = len <= 65536 ? d2i_X509_NAME(NULL, &at, (long)len) : NULL;
    int index = name != NULL ? X509_NAME_get_index_by_NID(name, NID_commonName, -1) : -1;
    int text_len = index >= 0
        ? ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)))
        : -1;
    *has = text_len > 0;
    if (*has)
        ox_text_add(out, (const char *)utf8, (size_t)text_len);
    OPENSSL_free(utf8);
    X509_NAME_free(name);
    return name != NULL ? OX_OK : ox_fail(err, OX_INVALID_REQUEST, "subject of a certificate is "
        "not well-formed");
}

/* ---- rules ---- */

enum { RULES_MAX = 64 };

struct rule {
    struct pattern *pattern; /* NULL: DEFAULT */
    char *replacement;
    char fold; /* 'L', 'U' or 0 */
};

struct auth_mapping {
    struct rule rules[RULES_MAX];
    int count;
};

void
auth_mapping_free(struct auth_mapping *mapping)
{
    if (mapping == NULL)
        return;
    for (int i = 0; i < mapping->count; i++) {
        pattern_free(mapping->rules[i].pattern);
        ox_free(mapping->rules[i].replacement);
    }
    ox_free(mapping);
}

/* Up to the next '/' that has no backslash before it, which is taken too. */
static bool
slash_part(struct str *rest, struct str *part)
{
    for (size_t i = 0; i < rest->len; i++) {
        if (rest->ptr[i] == '\\') {
            i++;
        } else if (rest->ptr[i] == '/') {
            *part = ox_str_n(rest->ptr, i);
            *rest = ox_str_n(rest->ptr + i + 1, rest->len - i - 1);
            return true;
        }
    }
    return false;
}

static void
skip_blanks(struct str *rest)
{
    while (rest->len > 0 && strchr(" \t\r\n", rest->ptr[0]) != NULL)
        *rest = ox_str_n(rest->ptr + 1, rest->len - 1);
}

static bool
take_word(struct str *rest, struct str word)
{
    if (!ox_str_starts(*rest, word))
        return false;
    *rest = ox_str_n(rest->ptr + word.len, rest->len - word.len);
    return true;
}

static ox_code
parse_rule(struct auth_mapping *mapping, struct str *rest, struct ox_err *err)
{
    struct rule *rule = &mapping->rules[mapping->count];
    struct str pattern, replacement;
    memset(rule, 0, sizeof(*rule));
    if (take_word(rest, OX_STR("DEFAULT"))) {
        mapping->count++;
        return OX_OK;
    }
    if (!take_word(rest, OX_STR("RULE:")) || !slash_part(rest, &pattern) ||
        !slash_part(rest, &replacement))
        return ox_fail(err, OX_CONFIG_ERROR, "\"%.*s\" in \"ssl.principal.mapping.rules\" is "
            "neither DEFAULT nor RULE:pattern/replacement/[LU]", OX_STR_ARG(*rest));
    ox_code code = pattern_compile(pattern, &rule->pattern, err);
    if (code != OX_OK)
        return code;
    rule->replacement = ox_calloc(1, replacement.len + 1);
    memcpy(rule->replacement, replacement.ptr, replacement.len);
    if (rest->len > 0 && (rest->ptr[0] == 'L' || rest->ptr[0] == 'U')) {
        rule->fold = rest->ptr[0];
        *rest = ox_str_n(rest->ptr + 1, rest->len - 1);
    }
    mapping->count++;
    return OX_OK;
}

ox_code
auth_mapping_parse(const char *rules, struct auth_mapping **out, struct ox_err *err)
{
    struct auth_mapping *mapping = ox_calloc(1, sizeof(*mapping));
    struct str rest = ox_str(rules != NULL ? rules : "DEFAULT");
    ox_code code = OX_OK;
    skip_blanks(&rest);
    while (rest.len > 0 && code == OX_OK) {
        if (mapping->count == RULES_MAX) {
            code = ox_fail(err, OX_CONFIG_ERROR, "more than %d mapping rules", RULES_MAX);
            break;
        }
        code = parse_rule(mapping, &rest, err);
        skip_blanks(&rest);
        if (code == OX_OK && rest.len > 0 && !take_word(&rest, OX_STR(",")))
            code = ox_fail(err, OX_CONFIG_ERROR, "\"%.*s\" follows a mapping rule",
                OX_STR_ARG(rest));
        skip_blanks(&rest);
    }
    if (code != OX_OK) {
        auth_mapping_free(mapping);
        return code;
    }
    *out = mapping;
    return OX_OK;
}

/* $n is what group n took; a backslash makes the next character plain. */
static void
substitute(const struct rule *rule, struct str dn, const int *spans, struct text *out)
{
    int groups = pattern_groups(rule->pattern);
    for (const char *at = rule->replacement; *at != 0; at++) {
        int g = at[0] == '$' && at[1] >= '0' && at[1] <= '9' ? at[1] - '0' : -1;
        if (g >= 0 && g <= groups) {
            if (spans[2 * g] >= 0 && spans[2 * g + 1] >= spans[2 * g])
                ox_text_add(out, dn.ptr + spans[2 * g],
                    (size_t)(spans[2 * g + 1] - spans[2 * g]));
            at++;
        } else if (at[0] == '\\' && at[1] != 0) {
            ox_text_addc(out, *++at);
        } else {
            ox_text_addc(out, *at);
        }
    }
}

static void
fold(struct text *out, size_t from, char how)
{
    for (size_t i = from; i < out->len; i++) {
        char c = out->ptr[i];
        if (how == 'L' && c >= 'A' && c <= 'Z')
            out->ptr[i] = (char)(c + 32);
        else if (how == 'U' && c >= 'a' && c <= 'z')
            out->ptr[i] = (char)(c - 32);
    }
}

ox_code
auth_mapping_apply(const struct auth_mapping *mapping, struct str dn, struct text *out,
    struct ox_err *err)
{
    int spans[PATTERN_GROUPS_MAX * 2];
    for (int i = 0; i < mapping->count; i++) {
        const struct rule *rule = &mapping->rules[i];
        size_t from = out->len;
        if (rule->pattern == NULL) {
            ox_text_add(out, dn.ptr, dn.len);
            return OX_OK;
        }
        if (!pattern_match(rule->pattern, dn, spans))
            continue;
        substitute(rule, dn, spans, out);
        if (rule->fold != 0)
            fold(out, from, rule->fold);
        return OX_OK;
    }
    return ox_fail(err, OX_SASL_AUTHENTICATION_FAILED, "no mapping rule fits \"%.*s\"",
        OX_STR_ARG(dn));
}
