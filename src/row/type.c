/* SPDX-License-Identifier: Apache-2.0
 *
 * Types by name and number, their modifiers, and the switch that reads and
 * writes values of each as text; type_binary.c does so in binary form. */
#include "row/row.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/stop.h"
#include "row/row_int.h"

const struct row_format row_format_default = {.extra_float_digits = 1};

/* ---- names -------------------------------------------------------------------- */

uint32_t
type_oid(struct type type)
{
    return type.array ? type_table[type.id].array_oid : type_table[type.id].oid;
}

int16_t
type_len(struct type type)
{
    return type.array ? -1 : type_table[type.id].len;
}

char
type_category(struct type type)
{
    return type.array ? 'A' : type_table[type.id].category;
}

bool
type_from_oid(uint32_t oid, struct type *out)
{
    for (int id = 1; oid != 0 && id < TYPE_COUNT; id++) {
        if (type_table[id].oid == oid || type_table[id].array_oid == oid) {
            *out = (struct type){(uint16_t)id, type_table[id].oid != oid, -1};
            return true;
        }
    }
    return false;
}

static bool
alias_has(const char *aliases, struct str name)
{
    while (*aliases != '\0') {
        size_t len = strcspn(aliases, "|");
        if (ox_str_eq(ox_str_n(aliases, len), name))
            return true;
        aliases += len + (aliases[len] == '|');
    }
    return false;
}

bool
type_from_name(struct str name, struct type *out)
{
    bool array = false;
    if (name.len > 11 && memcmp(name.ptr, "pg_catalog.", 11) == 0)
        name = ox_str_n(name.ptr + 11, name.len - 11);
    while (name.len > 2 && memcmp(name.ptr + name.len - 2, "[]", 2) == 0) {
        array = true;
        name.len -= 2;
    }
    if (!array && name.len > 1 && name.ptr[0] == '_') {
        array = true;
        name = ox_str_n(name.ptr + 1, name.len - 1);
    }
    if (ox_str_is(name, "\"char\""))
        name = OX_STR("char");
    for (int id = 1; id < TYPE_COUNT; id++) {
        const struct type_facts *facts = &type_table[id];
        if (!ox_str_is(name, facts->name) && !ox_str_is(name, facts->sql) &&
            !alias_has(facts->aliases, name))
            continue;
        if (array && facts->array_oid == 0)
            return false;
        *out = (struct type){(uint16_t)id, array, -1};
        return true;
    }
    return false;
}

static ox_code
set_precision(struct type *type, const char *name, int32_t precision, struct ox_err *err)
{
    if (precision < 0)
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "%s(%d) precision must not be negative",
            name, precision);
    type->typmod = OX_MIN(precision, 6);
    return OX_OK;
}

/* " day to second"; NULL: no type has these fields. */
static const char *
interval_fields_name(int fields)
{
    static const struct {
        int fields;
        const char *name;
    } known[] = {{INTERVAL_ALL_FIELDS, ""}, {INTERVAL_YEAR, " year"}, {INTERVAL_MONTH, " month"},
        {INTERVAL_DAY, " day"}, {INTERVAL_HOUR, " hour"}, {INTERVAL_MINUTE, " minute"},
        {INTERVAL_SECOND, " second"}, {INTERVAL_YEAR | INTERVAL_MONTH, " year to month"},
        {INTERVAL_DAY | INTERVAL_HOUR, " day to hour"},
        {INTERVAL_DAY | INTERVAL_HOUR | INTERVAL_MINUTE, " day to minute"},
        {INTERVAL_DAY | INTERVAL_HOUR | INTERVAL_MINUTE | INTERVAL_SECOND, " day to second"},
        {INTERVAL_HOUR | INTERVAL_MINUTE, " hour to minute"},
        {INTERVAL_HOUR | INTERVAL_MINUTE | INTERVAL_SECOND, " hour to second"},
        {INTERVAL_MINUTE | INTERVAL_SECOND, " minute to second"}};
    for (size_t i = 0; i < ox_count(known); i++)
        if (known[i].fields == fields)
            return known[i].name;
    return NULL;
}

ox_code
type_set_modifiers(struct type *type, const int32_t *mods, uint32_t count, struct ox_err *err)
{
    const char *name = type_facts(*type)->name;
    switch (type->id) {
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
        if (count != 1)
            return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "invalid type modifier");
        if (mods[0] < 1)
            return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "length for type %s must be at least 1",
                type->id == TYPE_VARCHAR ? "varchar" : "char");
        if (mods[0] > 10485760)
            return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "length for type %s cannot exceed %d",
                type->id == TYPE_VARCHAR ? "varchar" : "char", 10485760);
        type->typmod = mods[0] + 4;
        return OX_OK;
    case TYPE_NUMERIC: {
        int32_t scale = count == 2 ? mods[1] : 0;
        if (count < 1 || count > 2)
            return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "invalid NUMERIC type modifier");
        if (mods[0] < 1 || mods[0] > NUM_SCALE_MAX)
            return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
                "NUMERIC precision %d must be between 1 and %d", mods[0], NUM_SCALE_MAX);
        if (scale < -1000 || scale > 1000)
            return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
                "NUMERIC scale %d must be between %d and %d", scale, -1000, 1000);
        type->typmod = (int32_t)(((uint32_t)mods[0] << 16) | ((uint32_t)scale & 0x7FF)) + 4;
        return OX_OK;
    }
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        if (count != 1)
            return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "invalid type modifier");
        return set_precision(type, name, mods[0], err);
    case TYPE_INTERVAL:
        if (count != 1 && (count != 2 || interval_fields_name(mods[0]) == NULL))
            return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "invalid INTERVAL type modifier");
        type->typmod = INTERVAL_FULL_PRECISION;
        if (mods[count - 1] != INTERVAL_FULL_PRECISION &&
            set_precision(type, name, mods[count - 1], err) != OX_OK)
            return OX_INVALID_PARAMETER_VALUE;
        type->typmod |= (count == 2 ? mods[0] : INTERVAL_ALL_FIELDS) << 16;
        return OX_OK;
    default:
        return ox_fail(err, OX_SYNTAX_ERROR, "type modifier is not allowed for type \"%s\"", name);
    }
}

ox_code
type_parse(struct str text, struct type *out, struct ox_err *err)
{
    /* Lower case, blanks squeezed; the modifiers are cut out of the middle. */
    char name[128];
    size_t n = 0;
    int32_t mods[2];
    uint32_t count = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len && n < sizeof(name) - 1; i++) {
        char c = text.ptr[i];
        if (c == '"')
            quoted = true;
        if (c == '(') {
            for (i++; i < text.len && text.ptr[i] != ')'; i++) {
                size_t start = i;
                while (i < text.len && text.ptr[i] != ',' && text.ptr[i] != ')')
                    i++;
                char part[16];
                size_t len = i - start;
                if (len == 0 || len >= sizeof(part) || count == 2)
                    return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "invalid type modifier");
                memcpy(part, text.ptr + start, len);
                part[len] = '\0';
                mods[count++] = (int32_t)strtol(part, NULL, 10);
                if (i < text.len && text.ptr[i] == ')')
                    break;
            }
            continue;
        }
        if (c == ' ' && (n == 0 || name[n - 1] == ' ' || i + 1 == text.len))
            continue;
        name[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    while (n > 0 && name[n - 1] == ' ')
        n--;
    struct str s = ox_str_n(name, n);
    if (!quoted && (ox_str_is(s, "char") || ox_str_is(s, "char[]"))) {
        *out = (struct type){TYPE_BPCHAR, n > 4, -1};
        if (count == 0)
            mods[count++] = 1;
    } else if (!type_from_name(s, out)) {
        return ox_fail(err, OX_UNDEFINED_OBJECT, "type \"%.*s\" does not exist", OX_STR_ARG(text));
    }
    if (count == 0 && !quoted && ox_str_starts(s, OX_STR("character")) && out->id == TYPE_BPCHAR)
        mods[count++] = 1;
    return count > 0 ? type_set_modifiers(out, mods, count, err) : OX_OK;
}

void
type_format(struct type type, struct text *to)
{
    const char *sql = type_table[type.id].sql;
    int32_t mod = type.typmod;
    switch (type.id) {
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
        if (mod < 0 && type.id == TYPE_BPCHAR && !type.array) {
            ox_text_adds(to, "character");
            break;
        }
        ox_text_adds(to, sql);
        if (mod >= 4)
            ox_text_addf(to, "(%d)", mod - 4);
        break;
    case TYPE_NUMERIC:
        ox_text_adds(to, sql);
        if (mod >= 4)
            ox_text_addf(
                to, "(%d,%d)", ((mod - 4) >> 16) & 0xFFFF, (((mod - 4) & 0x7FF) ^ 1024) - 1024);
        break;
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        if (mod >= 0)
            ox_text_addf(to, "%s(%d)%s", type.id == TYPE_TIME ? "time" : "timestamp", mod,
                type.id == TYPE_TIMESTAMPTZ ? " with time zone" : " without time zone");
        else
            ox_text_adds(to, sql);
        break;
    case TYPE_INTERVAL:
        ox_text_adds(to, sql);
        if (mod >= 0 && interval_fields_name(mod >> 16) != NULL)
            ox_text_adds(to, interval_fields_name(mod >> 16));
        if (mod >= 0 && (mod & 0xFFFF) <= 6)
            ox_text_addf(to, "(%d)", mod & 0xFFFF);
        break;
    default:
        ox_text_adds(to, sql);
    }
    if (type.array)
        ox_text_adds(to, "[]");
}

const char *
type_name(struct type type, struct arena *arena)
{
    struct text text;
    ox_text_init(&text, arena);
    type.typmod = -1;
    type_format(type, &text);
    return text.ptr;
}

/* ---- text in -------------------------------------------------------------------- */

static inline bool
is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct str
trim(struct str s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        s.ptr++, s.len--;
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static ox_code
bad_text(const char *type, struct str text, struct ox_err *err)
{
    return ox_fail(err, OX_INVALID_TEXT_REPRESENTATION,
        "invalid input syntax for type %s: \"%.*s\"", type, OX_STR_ARG(text));
}

/* [+-]digits with blanks around. */
static ox_code
int_in(
    struct str text, const char *type, int64_t min, int64_t max, int64_t *out, struct ox_err *err)
{
    struct str s = trim(text);
    const char *at = s.ptr, *end = s.ptr + s.len;
    bool minus = false;
    if (at < end && (*at == '-' || *at == '+'))
        minus = *at++ == '-';
    if (at == end)
        return bad_text(type, text, err);
    uint64_t v = 0;
    bool over = false;
    for (; at < end; at++) {
        unsigned d = (unsigned)(*at - '0');
        if (d > 9)
            return bad_text(type, text, err);
        if (v > (UINT64_MAX - 9) / 10)
            over = true;
        v = v * 10 + d;
    }
    int64_t r = minus ? (int64_t)-v : (int64_t)v;
    if (over || (minus ? v > (uint64_t)INT64_MAX + 1 : v > INT64_MAX) || r < min || r > max)
        return ox_fail(err, OX_NUMERIC_VALUE_OUT_OF_RANGE,
            "value \"%.*s\" is out of range for type %s", OX_STR_ARG(text), type);
    *out = r;
    return OX_OK;
}

static ox_code
float_in(struct str text, bool narrow, double *out, struct ox_err *err)
{
    const char *type = narrow ? "real" : "double precision";
    struct str s = trim(text);
    char stack[128];
    if (s.len == 0)
        return bad_text(type, text, err);
    char *copy = s.len < sizeof(stack) ? stack : ox_malloc(s.len + 1);
    memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    char *end;
    const char *digits = copy + (*copy == '-' || *copy == '+');
    double v = narrow ? (double)strtof(copy, &end) : strtod(copy, &end);
    bool bad = end == copy || *end != '\0' || memchr(copy, '(', s.len) != NULL;
    bool infinite = (digits[0] | 32) == 'i';
    bool hex = digits[0] == '0' && (digits[1] | 32) == 'x';
    bool zero = hex || (strspn(digits, "0.") == strcspn(digits, "eE") && digits[0] != '\0');
    if (copy != stack)
        ox_free(copy);
    if (bad)
        return bad_text(type, text, err);
    if ((isinf(v) && !infinite) || (v == 0 && !zero))
        return ox_fail(err, OX_NUMERIC_VALUE_OUT_OF_RANGE, "\"%.*s\" is out of range for type %s",
            OX_STR_ARG(s), type);
    *out = v;
    return OX_OK;
}

static ox_code
bool_in(struct str text, uint8_t *out, struct ox_err *err)
{
    struct str s = trim(text);
    static const struct {
        const char *word;
        size_t min;
        uint8_t value;
    } words[] = {{"true", 1, 1}, {"false", 1, 0}, {"yes", 1, 1}, {"no", 1, 0}, {"on", 2, 1},
        {"off", 2, 0}, {"1", 1, 1}, {"0", 1, 0}};
    for (size_t i = 0; i < ox_count(words); i++)
        if (s.len >= words[i].min && s.len <= strlen(words[i].word) &&
            ox_str_ieq(s, ox_str_n(words[i].word, s.len))) {
            *out = words[i].value;
            return OX_OK;
        }
    return bad_text("boolean", text, err);
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static ox_code
bytea_in(struct str text, struct arena *arena, struct str *out, struct ox_err *err)
{
    char *to = ox_arena_alloc(arena, text.len + 1);
    size_t n = 0;
    if (text.len >= 2 && text.ptr[0] == '\\' && text.ptr[1] == 'x') {
        for (size_t i = 2; i < text.len && !ox_stopped_at(n + 1); i++) {
            if (is_blank(text.ptr[i]))
                continue;
            int high = hex_digit(text.ptr[i]);
            if (high < 0)
                return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "invalid hexadecimal digit: \"%c\"",
                    text.ptr[i]);
            if (++i >= text.len)
                return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
                    "invalid hexadecimal data: odd number of digits");
            int low = hex_digit(text.ptr[i]);
            if (low < 0)
                return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "invalid hexadecimal digit: \"%c\"",
                    text.ptr[i]);
            to[n++] = (char)(high << 4 | low);
        }
        *out = ox_str_n(to, n);
        return OX_OK;
    }
    for (size_t i = 0; i < text.len && !ox_stopped_at(n + 1); i++) {
        const char *p = text.ptr + i;
        if (*p != '\\') {
            to[n++] = *p;
        } else if (i + 1 < text.len && p[1] == '\\') {
            to[n++] = '\\';
            i++;
        } else if (i + 3 < text.len && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
                   p[3] >= '0' && p[3] <= '7') {
            to[n++] = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
            i += 3;
        } else {
            return bad_text("bytea", text, err);
        }
    }
    *out = ox_str_n(to, n);
    return OX_OK;
}

static ox_code
chars_in(
    struct type type, struct str text, struct arena *arena, struct str *out, struct ox_err *err)
{
    *out = text;
    if (type.typmod < 4)
        return OX_OK;
    size_t max = (size_t)type.typmod - 4, count = ox_utf8_count(text.ptr, text.len);
    if (count > max) {
        size_t cut = text.len;
        for (size_t drop = count - max; drop > 0; drop--) {
            if (text.ptr[cut - 1] != ' ')
                return ox_fail(err, OX_STRING_DATA_RIGHT_TRUNCATION,
                    "value too long for type %s(%zu)",
                    type.id == TYPE_VARCHAR ? "character varying" : "character", max);
            cut--;
        }
        *out = ox_str_n(text.ptr, cut);
    } else if (count < max && type.id == TYPE_BPCHAR) {
        size_t pad = max - count;
        char *to = ox_arena_alloc(arena, text.len + pad);
        memcpy(to, text.ptr, text.len);
        memset(to + text.len, ' ', pad);
        *out = ox_str_n(to, text.len + pad);
    }
    return OX_OK;
}

/* At most 63 bytes, whole characters. */
static struct str
name_cut(struct str s)
{
    if (s.len > 63) {
        s.len = 63;
        while (s.len > 0 && ((uint8_t)s.ptr[s.len] & 0xC0) == 0x80)
            s.len--;
    }
    return s;
}

static bool
reg_builtin(int kind, struct str name, uint32_t *oid)
{
    struct type type;
    if (kind == TYPE_REGTYPE && type_parse(name, &type, NULL) == OX_OK) {
        *oid = type_oid(type);
        return true;
    }
    return false;
}

static ox_code
reg_in(struct type type, struct str text, const struct row_format *format, int64_t *out,
    struct ox_err *err)
{
    struct str s = trim(text);
    if (ox_str_is(s, "-")) {
        *out = 0;
        return OX_OK;
    }
    if (s.len > 0 && s.ptr[0] >= '0' && s.ptr[0] <= '9')
        return int_in(s, "oid", 0, UINT32_MAX, out, err);
    uint32_t oid;
    const struct row_names *names = format->names;
    if ((names != NULL && names->to_oid != NULL && names->to_oid(names->self, type.id, s, &oid)) ||
        reg_builtin(type.id, s, &oid)) {
        *out = oid;
        return OX_OK;
    }
    switch (type.id) {
    case TYPE_REGCLASS:
        return ox_fail(err, OX_UNDEFINED_TABLE, "relation \"%.*s\" does not exist", OX_STR_ARG(s));
    case TYPE_REGTYPE:
        return ox_fail(err, OX_UNDEFINED_OBJECT, "type \"%.*s\" does not exist", OX_STR_ARG(s));
    case TYPE_REGNAMESPACE:
        return ox_fail(err, OX_UNDEFINED_SCHEMA, "schema \"%.*s\" does not exist", OX_STR_ARG(s));
    case TYPE_REGROLE:
        return ox_fail(err, OX_UNDEFINED_OBJECT, "role \"%.*s\" does not exist", OX_STR_ARG(s));
    default:
        return ox_fail(
            err, OX_UNDEFINED_FUNCTION, "function \"%.*s\" does not exist", OX_STR_ARG(s));
    }
}

static ox_code
oid_in(struct type type, struct str text, int64_t *out, struct ox_err *err)
{
    ox_code code = int_in(text, type_table[type.id].name, INT32_MIN, UINT32_MAX, out, err);
    *out = (uint32_t)*out;
    return code;
}

static ox_code
span_in(struct type type, struct str text, const struct row_format *format, struct arena *arena,
    struct str *out, struct ox_err *err)
{
    struct interval span = {0, 0, 0};
    ox_code code = interval_in(text, format, type.typmod, &span, err);
    *out = ox_str_n(ox_arena_copy(arena, &span, sizeof(span)), sizeof(span));
    return code;
}

static ox_code
uuid_in(struct str text, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct uuid id;
    if (!ox_uuid_from_hex(text, &id))
        return bad_text("uuid", text, err);
    *out = ox_str_n(ox_arena_copy(arena, &id, 16), 16);
    return OX_OK;
}

static ox_code
jsonb_in(struct str text, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct text to;
    ox_text_init(&to, arena);
    ox_code code = jsonb_normalise(text, &to, err);
    *out = ox_text_str(&to);
    return code;
}

/* "char": a byte, which is shown and taken as \ooo when it is no ASCII. None is zero. */
static struct str
char1_in(struct str text, struct arena *arena)
{
    uint32_t byte = 0;
    bool octal = text.len == 4 && text.ptr[0] == '\\';
    for (size_t i = 1; i < 4 && octal; i++) {
        octal = text.ptr[i] >= '0' && text.ptr[i] <= '7';
        byte = byte * 8 + (uint32_t)(text.ptr[i] - '0');
    }
    if (!octal)
        return ox_str_n(text.ptr, OX_MIN(text.len, (size_t)1));
    char *to = ox_arena_alloc(arena, 1);
    *to = (char)byte;
    return ox_str_n(to, (uint8_t)byte != 0);
}

ox_code
type_in_text(struct type type, struct str text, const struct row_format *format,
    struct arena *arena, struct datum *out, struct ox_err *err)
{
    memset(out, 0, sizeof(*out));
    if (type.array)
        return array_in_text(type, text, format, arena, out, err);
    switch (type.id) {
    case TYPE_BOOL:
        return bool_in(text, &out->b, err);
    case TYPE_INT2:
        return int_in(text, "smallint", INT16_MIN, INT16_MAX, &out->i, err);
    case TYPE_INT4:
        return int_in(text, "integer", INT32_MIN, INT32_MAX, &out->i, err);
    case TYPE_INT8:
        return int_in(text, "bigint", INT64_MIN, INT64_MAX, &out->i, err);
    case TYPE_OID:
    case TYPE_XID:
        return oid_in(type, text, &out->i, err);
    case TYPE_REGPROC:
    case TYPE_REGCLASS:
    case TYPE_REGTYPE:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
        return reg_in(type, text, format, &out->i, err);
    case TYPE_FLOAT4:
        return float_in(text, true, &out->f, err);
    case TYPE_FLOAT8:
        return float_in(text, false, &out->f, err);
    case TYPE_NUMERIC:
        return numeric_in(text, type.typmod, arena, &out->s, err);
    case TYPE_DATE:
        return date_in(text, format, &out->i, err);
    case TYPE_TIME:
        return time_in(text, format, type.typmod, &out->i, err);
    case TYPE_TIMESTAMP:
        return timestamp_in(text, false, format, type.typmod, &out->i, err);
    case TYPE_TIMESTAMPTZ:
        return timestamp_in(text, true, format, type.typmod, &out->i, err);
    case TYPE_INTERVAL:
        return span_in(type, text, format, arena, &out->s, err);
    case TYPE_UUID:
        return uuid_in(text, arena, &out->s, err);
    case TYPE_BYTEA:
        return bytea_in(text, arena, &out->s, err);
    case TYPE_JSON:
        out->s = text;
        return json_validate(text, err);
    case TYPE_JSONB:
        return jsonb_in(text, arena, &out->s, err);
    case TYPE_NAME:
        out->s = name_cut(text);
        return OX_OK;
    case TYPE_CHAR:
        out->s = char1_in(text, arena);
        return OX_OK;
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
        return chars_in(type, text, arena, &out->s, err);
    case TYPE_TEXT:
    case TYPE_UNKNOWN:
        out->s = text;
        return OX_OK;
    case TYPE_VOID:
        out->s = OX_STR("");
        return OX_OK;
    default:
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "cannot accept a value of type %s",
            type_table[type.id].sql);
    }
}

/* ---- text out -------------------------------------------------------------------- */

static const char digit_pairs[] = "0001020304050607080910111213141516171819202122232425262728293031"
                                  "3233343536373839404142434445464748"
                                  "4950515253545556575859606162636465666768697071727374757677787980"
                                  "8182838485868788899091929394959697"
                                  "9899";

static inline size_t
put_int(char *to, int64_t value)
{
    char digits[20];
    int at = 20;
    uint64_t u = value < 0 ? -(uint64_t)value : (uint64_t)value;
    while (u >= 100) {
        at -= 2;
        memcpy(digits + at, digit_pairs + u % 100 * 2, 2);
        u /= 100;
    }
    if (u >= 10) {
        at -= 2;
        memcpy(digits + at, digit_pairs + u * 2, 2);
    } else {
        digits[--at] = (char)('0' + u);
    }
    size_t n = 0;
    if (value < 0)
        to[n++] = '-';
    memcpy(to + n, digits + at, (size_t)(20 - at));
    return n + (size_t)(20 - at);
}

void
row_put_int(int64_t value, struct text *to)
{
    to->len += put_int(ox_text_reserve(to, 24), value);
    to->ptr[to->len] = '\0';
}

/* Reformats "d.ddde+XX" digits the way shortest output is shown. */
static void
float_layout(const char *sci, int fixed_max, struct text *to)
{
    char digits[32];
    int n = 0;
    const char *at = sci;
    if (*at == '-')
        ox_text_addc(to, *at++);
    for (; *at != 'e'; at++)
        if (*at != '.')
            digits[n++] = *at;
    int exp = atoi(at + 1);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    if (exp < -4 || exp >= fixed_max) {
        ox_text_addc(to, digits[0]);
        if (n > 1) {
            ox_text_addc(to, '.');
            ox_text_add(to, digits + 1, (size_t)n - 1);
        }
        ox_text_addf(to, "e%c%02d", exp < 0 ? '-' : '+', abs(exp));
        return;
    }
    if (exp < 0) {
        ox_text_adds(to, "0.");
        for (int i = -1; i > exp; i--)
            ox_text_addc(to, '0');
        ox_text_add(to, digits, (size_t)n);
        return;
    }
    for (int i = 0; i <= exp || i < n; i++) {
        if (i == exp + 1)
            ox_text_addc(to, '.');
        ox_text_addc(to, i < n ? digits[i] : '0');
    }
}

/* Reads back as v, and not by rounding from the middle between two values. */
static bool
shows_exactly(const char *sci, double v, bool narrow)
{
    if (narrow) {
        float f = (float)v, up = nextafterf(f, INFINITY), down = nextafterf(f, -INFINITY);
        double d = strtod(sci, NULL);
        return strtof(sci, NULL) == f && d != ((double)f + (double)up) / 2 &&
               d != ((double)f + (double)down) / 2;
    }
    if (strtod(sci, NULL) != v)
        return false;
    long double d = strtold(sci, NULL), up = (long double)nextafter(v, INFINITY);
    long double down = (long double)nextafter(v, -INFINITY);
    return d != ((long double)v + up) / 2 && d != ((long double)v + down) / 2;
}

static void
put_float(double v, bool narrow, int extra_digits, struct text *to)
{
    if (isnan(v)) {
        ox_text_adds(to, "NaN");
        return;
    }
    if (isinf(v)) {
        ox_text_adds(to, v > 0 ? "Infinity" : "-Infinity");
        return;
    }
    if (extra_digits <= 0) {
        int digits = (narrow ? 6 : 15) + extra_digits;
        ox_text_addf(to, "%.*g", OX_MAX(digits, 1), v);
        return;
    }
    if (v == 0) {
        ox_text_adds(to, signbit(v) ? "-0" : "0");
        return;
    }
    double a = fabs(v);
    if (a < 1e15 && !narrow && a >= 1e-4) {
        /* Up to 15 digits with few decimals need no search. */
        if (v == (double)(int64_t)v) {
            row_put_int((int64_t)v, to);
            return;
        }
        static const double scale[] = {1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
        for (int k = 0; k < 6 && a * scale[k] < 9e14; k++) {
            double m = nearbyint(v * scale[k]);
            if (m / scale[k] == v) {
                int64_t i = (int64_t)m, unit = (int64_t)scale[k];
                if (v < 0)
                    ox_text_addc(to, '-');
                i = i < 0 ? -i : i;
                row_put_int(i / unit, to);
                char *at = ox_text_reserve(to, 12);
                int64_t rest = i % unit;
                *at++ = '.';
                for (int64_t u = unit / 10; u > 0; u /= 10) {
                    *at++ = (char)('0' + rest / u);
                    rest %= u;
                }
                to->len += (size_t)k + 2;
                to->ptr[to->len] = '\0';
                return;
            }
        }
    }
    char sci[48];
    bool tiny = a < (narrow ? 1.2e-38 : 2.3e-308); /* subnormal: fewer digits may do */
    for (int digits = tiny ? 1 : narrow ? 6 : 15; digits <= (narrow ? 9 : 17); digits++) {
        snprintf(sci, sizeof(sci), "%.*e", digits - 1, v);
        if (shows_exactly(sci, v, narrow))
            break;
    }
    float_layout(sci, narrow ? 6 : 15, to);
}

static void
bytea_out(struct str s, bool escape, struct text *to)
{
    static const char hex[] = "0123456789abcdef";
    if (!escape) {
        char *at = ox_text_reserve(to, s.len * 2 + 3);
        *at++ = '\\';
        *at++ = 'x';
        for (size_t i = 0; i < s.len; i++) {
            *at++ = hex[(uint8_t)s.ptr[i] >> 4];
            *at++ = hex[(uint8_t)s.ptr[i] & 15];
        }
        to->len += s.len * 2 + 2;
        to->ptr[to->len] = '\0';
        return;
    }
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.ptr[i];
        if (c == '\\')
            ox_text_adds(to, "\\\\");
        else if (c < 0x20 || c > 0x7E)
            ox_text_addf(to, "\\%03o", c);
        else
            ox_text_addc(to, (char)c);
    }
}

static void
reg_out(struct type type, uint32_t oid, const struct row_format *format, struct text *to)
{
    struct type known;
    if (oid == 0) {
        ox_text_addc(to, '-');
        return;
    }
    if (type.id == TYPE_REGTYPE && type_from_oid(oid, &known)) {
        type_format(known, to);
        return;
    }
    const struct row_names *names = format->names;
    if (names == NULL || names->to_name == NULL || !names->to_name(names->self, type.id, oid, to))
        row_put_int(oid, to);
}

void
type_out_text(
    struct type type, const struct datum *v, const struct row_format *format, struct text *to)
{
    if (type.array) {
        array_out_text(type, v->s, format, to);
        return;
    }
    switch (type.id) {
    case TYPE_BOOL:
        ox_text_addc(to, v->b ? 't' : 'f');
        break;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_OID:
    case TYPE_XID:
        row_put_int(v->i, to);
        break;
    case TYPE_REGPROC:
    case TYPE_REGCLASS:
    case TYPE_REGTYPE:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
        reg_out(type, (uint32_t)v->i, format, to);
        break;
    case TYPE_FLOAT4:
        put_float(v->f, true, format->extra_float_digits, to);
        break;
    case TYPE_FLOAT8:
        put_float(v->f, false, format->extra_float_digits, to);
        break;
    case TYPE_NUMERIC:
        numeric_out(v->s, to);
        break;
    case TYPE_DATE:
        date_out(v->i, format, to);
        break;
    case TYPE_TIME:
        time_out(v->i, to);
        break;
    case TYPE_TIMESTAMP:
        timestamp_out(v->i, false, format, to);
        break;
    case TYPE_TIMESTAMPTZ:
        timestamp_out(v->i, true, format, to);
        break;
    case TYPE_INTERVAL: {
        struct interval span;
        memcpy(&span, v->s.ptr, sizeof(span));
        interval_out(&span, format, to);
        break;
    }
    case TYPE_UUID: {
        struct uuid id;
        char text[37];
        memcpy(&id, v->s.ptr, 16);
        ox_uuid_to_hex(&id, text);
        ox_text_add(to, text, 36);
        break;
    }
    case TYPE_BYTEA:
        bytea_out(v->s, format->bytea_escape, to);
        break;
    case TYPE_RECORD:
        record_out_text(v->s, format, to);
        break;
    case TYPE_CHAR:
        if (v->s.len > 0 && (uint8_t)v->s.ptr[0] >= 0x80) {
            ox_text_addf(to, "\\%03o", (uint8_t)v->s.ptr[0]);
            break;
        }
        __attribute__((fallthrough));
    default:
        ox_text_add(to, v->s.ptr, v->s.len);
    }
}

/* ---- checks ---- */

ox_code
row_check_text(struct str text, struct ox_err *err)
{
    if (text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL)
        return ox_fail(err, OX_CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x00");
    if (!ox_utf8_valid(text.ptr, text.len))
        return ox_fail(
            err, OX_CHARACTER_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\"");
    return OX_OK;
}

/* ---- columns -------------------------------------------------------------------------- */

void
vector_out_text(
    const struct vector *vec, uint32_t row, const struct row_format *format, struct text *to)
{
    if (vec->constant)
        row = 0;
    if (!vec->type.array) {
        switch (vec->type.id) {
        case TYPE_INT2:
        case TYPE_INT4:
        case TYPE_INT8:
            row_put_int(vec->i[row], to);
            return;
        case TYPE_TEXT:
        case TYPE_VARCHAR:
        case TYPE_JSON:
        case TYPE_JSONB:
            ox_text_add(to, vec->s[row].ptr, vec->s[row].len);
            return;
        case TYPE_TIMESTAMPTZ:
            timestamp_out(vec->i[row], true, format, to);
            return;
        default:
            break;
        }
    }
    struct datum value = vector_get(vec, row);
    type_out_text(vec->type, &value, format, to);
}

static void
vector_out_binary(const struct vector *vec, uint32_t row, struct text *to)
{
    struct datum value = vector_get(vec, row);
    type_out_binary(vec->type, &value, to);
}

void
vector_out_field(const struct vector *vec, uint32_t row, bool binary,
    const struct row_format *format, struct text *to)
{
    if (vec->constant)
        row = 0;
    char *head = ox_text_reserve(to, 4);
    if (vec->nulls != NULL && vec->nulls[row]) {
        memset(head, 0xFF, 4);
        to->len += 4;
        return;
    }
    size_t at = to->len;
    to->len += 4;
    if (binary)
        vector_out_binary(vec, row, to);
    else
        vector_out_text(vec, row, format, to);
    wire_store32(to->ptr + at, (uint32_t)(to->len - at - 4));
}
