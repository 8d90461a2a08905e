/* SPDX-License-Identifier: Apache-2.0
 *
 * _headers of an INSERT: JSON becomes the headers of a record, encoded as they go
 * into the batch.
 *
 *   {"name": "value", ...}     [{"key": "name", "value": "value"}, ...]
 *                              [{"key": "name", "bytes": "base64"}, ...]
 *
 * The text is validated once; then it is walked member by member, in order, and
 * no tree is built. A null value is a header whose value is null. */
#include "exec/insert_int.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/wire.h"
#include "row/row.h"

static void
blanks(struct str *s)
{
    while (
        s->len > 0 && (*s->ptr == ' ' || *s->ptr == '\t' || *s->ptr == '\n' || *s->ptr == '\r')) {
        s->ptr++;
        s->len--;
    }
}

static bool
skip(struct str *s, char c)
{
    blanks(s);
    if (s->len == 0 || *s->ptr != c)
        return false;
    s->ptr++;
    s->len--;
    return true;
}

/* The next value of valid JSON, up to the comma or bracket that ends it. */
static struct str
next_value(struct str *s)
{
    blanks(s);
    const char *start = s->ptr;
    int depth = 0;
    while (s->len > 0) {
        char c = *s->ptr;
        if (c == '"') {
            do {
                size_t step = *s->ptr == '\\' && s->len > 1 ? 2 : 1;
                s->ptr += step;
                s->len -= step;
            } while (s->len > 0 && *s->ptr != '"');
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (depth == 0 && (c == ',' || c == '}' || c == ']' || c == ':')) {
            break;
        } else if (c == '}' || c == ']') {
            depth--;
        }
        if (s->len > 0) {
            s->ptr++;
            s->len--;
        }
    }
    struct str value = {start, (size_t)(s->ptr - start)};
    while (value.len > 0 && (uint8_t)value.ptr[value.len - 1] <= ' ')
        value.len--;
    return value;
}

static ox_code
bad(struct ox_err *err, const char *what)
{
    ox_fail(err, OX_INVALID_PARAMETER_VALUE, "_headers %s", what);
    return ox_hint(
        err, "Give {\"name\": \"value\"} or [{\"key\": \"name\", \"value\": \"value\"}].");
}

static void
put(struct text *to, struct str key, struct str value)
{
    struct wire_out out = wire_out(to);
    wire_put_varint(&out, (int64_t)key.len);
    wire_put_bytes(&out, key.ptr, key.len);
    wire_put_varint(&out, value.ptr == NULL ? -1 : (int64_t)value.len);
    if (value.ptr != NULL)
        wire_put_bytes(&out, value.ptr, value.len);
}

/* {"key": ..., "value": ...} or {"key": ..., "bytes": base64}. */
static ox_code
element(struct str object, struct arena *arena, struct text *to, struct ox_err *err)
{
    struct json_finder find;
    struct str raw, key, value = OX_STR_NULL;
    if (object.len == 0 || json_kind_of(object) != JSON_OBJECT)
        return bad(err, "must hold objects with \"key\" and \"value\"");
    json_finder_init(&find, OX_STR("key"));
    if (!json_find(&find, object, &raw) || json_kind_of(raw) != JSON_STRING ||
        !json_as_text(raw, arena, &key, NULL))
        return bad(err, "has an element without a text \"key\"");
    json_finder_init(&find, OX_STR("bytes"));
    if (json_find(&find, object, &raw)) {
        struct str text;
        if (json_kind_of(raw) != JSON_STRING || !json_as_text(raw, arena, &text, NULL))
            return bad(err, "has \"bytes\" that are no text");
        char *bytes = ox_arena_alloc(arena, 3 * (text.len / 4) + 4);
        ptrdiff_t len = ox_base64_decode(bytes, text.ptr, text.len);
        if (len < 0)
            return bad(err, "has \"bytes\" that are not base64");
        value = ox_str_n(bytes, (size_t)len);
    } else {
        json_finder_init(&find, OX_STR("value"));
        if (json_find(&find, object, &raw) && !json_as_text(raw, arena, &value, NULL))
            value = OX_STR_NULL;
    }
    put(to, key, value);
    return OX_OK;
}

ox_code
insert_headers(
    struct str json, struct arena *arena, struct str *encoded, int32_t *count, struct ox_err *err)
{
    struct text to;
    ox_text_init(&to, arena);
    *count = 0;
    struct str rest = json;
    ox_code code = json_validate(json, err);
    if (code != OX_OK)
        return code;
    bool array = skip(&rest, '[');
    if (!array && !skip(&rest, '{'))
        return bad(err, "must be an object or an array");
    bool empty = skip(&rest, array ? ']' : '}');
    while (!empty) {
        if (*count == LIMIT_RECORD_HEADERS_VALUE) {
            limit_met(LIMIT_RECORD_HEADERS);
            return ox_fail(err, OX_PROGRAM_LIMIT_EXCEEDED, "a record has at most %d headers",
                LIMIT_RECORD_HEADERS_VALUE);
        }
        struct str item = next_value(&rest);
        if (array) {
            code = element(item, arena, &to, err);
            if (code != OX_OK)
                return code;
        } else {
            struct str key, value;
            if (!json_as_text(item, arena, &key, NULL) || !skip(&rest, ':'))
                return bad(err, "is not valid");
            if (!json_as_text(next_value(&rest), arena, &value, NULL))
                value = OX_STR_NULL;
            put(&to, key, value);
        }
        ++*count;
        if (!skip(&rest, ','))
            break;
    }
    *encoded = ox_text_str(&to);
    return OX_OK;
}
