/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions of strings. Positions count characters, strings are UTF-8. Case
 * mapping is that of Unicode's simple mappings (towupper and towlower of the
 * C.UTF-8 locale). */
#include "exec/expr_int.h"

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <wctype.h>

enum { TEXT_MAX = EVAL_VALUE_MAX };

static inline size_t
char_len(uint8_t c)
{
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/* Bytes that the first n characters take. */
static size_t
skip_chars(struct str s, size_t n)
{
    size_t at = 0;
    while (n > 0 && at < s.len) {
        at += char_len((uint8_t)s.ptr[at]);
        n--;
    }
    return OX_MIN(at, s.len);
}

static locale_t unicode;
static pthread_once_t unicode_once = PTHREAD_ONCE_INIT;

static void
unicode_init(void)
{
    unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

uint32_t
text_fold(uint32_t c, bool upper)
{
    if (c < 0x80)
        return upper ? (c >= 'a' && c <= 'z' ? c - 32 : c) : (c >= 'A' && c <= 'Z' ? c + 32 : c);
    pthread_once(&unicode_once, unicode_init);
    if (unicode == (locale_t)0)
        return c;
    return upper ? (uint32_t)towupper_l((wint_t)c, unicode)
                 : (uint32_t)towlower_l((wint_t)c, unicode);
}

bool
text_is_word(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    pthread_once(&unicode_once, unicode_init);
    return unicode != (locale_t)0 && iswalnum_l((wint_t)c, unicode);
}

/* ---- lengths ---------------------------------------------------------------------- */

ox_code
text_length(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = (int64_t)ox_utf8_count(args[0].s.ptr, args[0].s.len);
    return OX_OK;
}

static struct str
unpad(struct str s)
{
    while (s.len > 0 && s.ptr[s.len - 1] == ' ')
        s.len--;
    return s;
}

ox_code
bpchar_length(struct call *call, const struct datum *args, struct datum *out)
{
    struct str s = unpad(args[0].s);
    out->i = (int64_t)ox_utf8_count(s.ptr, s.len);
    return OX_OK;
}

ox_code
bpchar_to_text(struct call *call, const struct datum *args, struct datum *out)
{
    out->s = unpad(args[0].s);
    return OX_OK;
}

ox_code
bytes_length(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = (int64_t)args[0].s.len;
    return OX_OK;
}

ox_code
bytes_bits(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = (int64_t)args[0].s.len * 8;
    return OX_OK;
}

/* ---- casts ---------------------------------------------------------------------------- */

ox_code
text_to_name(struct call *call, const struct datum *args, struct datum *out)
{
    return type_in_text(
        TYPE(TYPE_NAME), args[0].s, &row_format_default, call->arena, out, call->err);
}

ox_code
text_to_char1(struct call *call, const struct datum *args, struct datum *out)
{
    return type_in_text(
        TYPE(TYPE_CHAR), args[0].s, &row_format_default, call->arena, out, call->err);
}

ox_code
char1_to_text(struct call *call, const struct datum *args, struct datum *out)
{
    struct text text;
    ox_text_init(&text, call->arena);
    type_out_text(TYPE(TYPE_CHAR), &args[0], &row_format_default, &text);
    out->s = ox_text_str(&text);
    return OX_OK;
}

ox_code
text_to_reg(struct call *call, const struct datum *args, struct datum *out)
{
    return type_in_text(call->type, args[0].s, call_format(call), call->arena, out, call->err);
}

ox_code
char_to_int(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = args[0].s.len > 0 ? (int8_t)args[0].s.ptr[0] : 0;
    return OX_OK;
}

ox_code
int_to_char(struct call *call, const struct datum *args, struct datum *out)
{
    if (args[0].i < INT8_MIN || args[0].i > INT8_MAX)
        return call_fail(call, OX_NUMERIC_VALUE_OUT_OF_RANGE, "\"char\" out of range");
    char *to = call_alloc(call, 1);
    to[0] = (char)args[0].i;
    out->s = ox_str_n(to, args[0].i != 0);
    return OX_OK;
}

/* ---- joining ---------------------------------------------------------------------------- */

ox_code
text_concat(struct call *call, const struct datum *args, struct datum *out)
{
    size_t a = args[0].s.len, b = args[1].s.len;
    char *to = call_alloc(call, a + b);
    memcpy(to, args[0].s.ptr, a);
    memcpy(to + a, args[1].s.ptr, b);
    out->s = ox_str_n(to, a + b);
    return OX_OK;
}

/* As concat() shows a value: text output, but t and f for booleans. */
static void
add_value(struct call *call, struct type type, const struct datum *value, struct text *to)
{
    type_out_text(type, value, call_format(call), to);
}

ox_code
text_concat_any(struct call *call, const struct datum *args, struct datum *out)
{
    struct text text;
    ox_text_init(&text, call->arena);
    for (int i = 0; i < 2; i++) {
        if (call->types[i].id == TYPE_BOOL && !call->types[i].array)
            ox_text_adds(&text, args[i].b ? "true" : "false"); /* through the cast to text */
        else
            add_value(call, call->types[i], &args[i], &text);
    }
    out->s = ox_text_str(&text);
    return OX_OK;
}

ox_code
text_concat_all(struct call *call, const struct datum *args, struct datum *out)
{
    const struct datum *items;
    const struct type *types;
    uint32_t count;
    struct text text;
    call_items(call, args, 0, &items, &types, &count);
    ox_text_init(&text, call->arena);
    for (uint32_t i = 0; i < count; i++) {
        if (!items[i].null)
            add_value(call, types[i], &items[i], &text);
        if (CALL_ROOM(call, text.len) != OX_OK)
            return OX_PROGRAM_LIMIT_EXCEEDED;
    }
    out->s = ox_text_str(&text);
    return OX_OK;
}

ox_code
text_concat_ws(struct call *call, const struct datum *args, struct datum *out)
{
    const struct datum *items;
    const struct type *types;
    uint32_t count;
    struct text text;
    bool any = false;
    if (args[0].null) {
        out->null = true;
        return OX_OK;
    }
    call_items(call, args, 1, &items, &types, &count);
    ox_text_init(&text, call->arena);
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].null)
            continue;
        if (any)
            ox_text_add(&text, args[0].s.ptr, args[0].s.len);
        any = true;
        add_value(call, types[i], &items[i], &text);
        if (CALL_ROOM(call, text.len) != OX_OK)
            return OX_PROGRAM_LIMIT_EXCEEDED;
    }
    out->s = ox_text_str(&text);
    return OX_OK;
}

static void
quote_ident(struct str s, struct text *to)
{
    bool plain = s.len > 0 && (s.ptr[0] == '_' || (s.ptr[0] >= 'a' && s.ptr[0] <= 'z'));
    for (size_t i = 0; i < s.len && plain; i++) {
        char c = s.ptr[i];
        plain = c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    }
    static const char reserved[] = " all analyse analyze and any array as asc asymmetric "
                                   "authorization binary both case cast check collate "
                                   "collation column concurrently constraint create cross "
                                   "current_catalog current_date current_role "
                                   "current_schema current_time current_timestamp current_user "
                                   "default deferrable desc distinct do else end "
                                   "except false fetch for foreign freeze from full grant group "
                                   "having ilike in initially inner intersect "
                                   "into is isnull join lateral leading left like limit localtime "
                                   "localtimestamp natural not notnull null "
                                   "offset on only or order outer overlaps placing primary "
                                   "references returning right select session_user "
                                   "similar some symmetric table tablesample then to trailing true "
                                   "union unique user using variadic verbose "
                                   "when where window with between bigint bit boolean char "
                                   "character coalesce dec decimal exists extract "
                                   "float greatest grouping inout int integer interval least "
                                   "national nchar none normalize nullif numeric "
                                   "out overlay position precision real row setof smallint "
                                   "substring time timestamp treat trim values "
                                   "varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest "
                                   "xmlnamespaces xmlparse xmlpi xmlroot "
                                   "xmlserialize xmltable ";
    char word[68];
    if (plain && s.len < 64) {
        snprintf(word, sizeof(word), " %.*s ", OX_STR_ARG(s));
        plain = strstr(reserved, word) == NULL;
    }
    if (plain) {
        ox_text_add(to, s.ptr, s.len);
        return;
    }
    ox_text_addc(to, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"')
            ox_text_addc(to, '"');
        ox_text_addc(to, s.ptr[i]);
    }
    ox_text_addc(to, '"');
}

static void
quote_literal(struct str s, struct text *to)
{
    bool slash = s.len > 0 && memchr(s.ptr, '\\', s.len) != NULL;
    ox_text_adds(to, slash ? "E'" : "'");
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\'' || s.ptr[i] == '\\')
            ox_text_addc(to, s.ptr[i]);
        ox_text_addc(to, s.ptr[i]);
    }
    ox_text_addc(to, '\'');
}

ox_code
text_quote_ident(struct call *call, const struct datum *args, struct datum *out)
{
    struct text text;
    ox_text_init(&text, call->arena);
    quote_ident(args[0].s, &text);
    out->s = ox_text_str(&text);
    return OX_OK;
}

ox_code
text_quote_any(struct call *call, const struct datum *args, struct datum *out)
{
    struct text value, text;
    ox_text_init(&value, call->arena);
    ox_text_init(&text, call->arena);
    if (call->types[0].id == TYPE_BOOL)
        ox_text_adds(&value, args[0].b ? "true" : "false");
    else
        add_value(call, call->types[0], &args[0], &value);
    quote_literal(ox_text_str(&value), &text);
    out->s = ox_text_str(&text);
    return OX_OK;
}

ox_code
text_quote_literal(struct call *call, const struct datum *args, struct datum *out)
{
    return text_quote_any(call, args, out);
}

ox_code
text_quote_nullable(struct call *call, const struct datum *args, struct datum *out)
{
    if (!args[0].null)
        return text_quote_any(call, args, out);
    out->s = OX_STR("NULL");
    return OX_OK;
}

/* format(): %s %I %L %%, with positions "n$", "-" and widths. */
struct format_work {
    struct call *call;
    struct str format;
    size_t at; /* in it */
    const struct datum *items;
    const struct type *types;
    uint32_t count, next; /* of the items; the one that comes next */
    struct text text;
};

struct format_spec {
    char kind;
    bool left;
    int64_t width;
};

/* Digits, at most nine of them. False: there is none. */
static bool
spec_number(struct format_work *work, int64_t *number)
{
    size_t start = work->at;
    for (*number = 0; work->at < work->format.len && *number < 100000000; work->at++) {
        char c = work->format.ptr[work->at];
        if (c < '0' || c > '9')
            break;
        *number = *number * 10 + (c - '0');
    }
    return work->at > start;
}

static inline bool
spec_meets(struct format_work *work, char c)
{
    bool there = work->at < work->format.len && work->format.ptr[work->at] == c;
    work->at += there;
    return there;
}

static ox_code
spec_too_few(struct format_work *work)
{
    return call_fail(work->call, OX_INVALID_PARAMETER_VALUE, "too few arguments for format()");
}

/* What stands behind a '%': work->next is the item that it shows. */
static ox_code
spec_read(struct format_work *work, struct format_spec *spec)
{
    int64_t number = 0, position = 0;
    bool digits = spec_number(work, &number);
    if (digits && spec_meets(work, '$')) {
        if ((position = number) == 0)
            return call_fail(work->call, OX_INVALID_PARAMETER_VALUE,
                "format specifies argument 0, but arguments are numbered from 1");
        digits = false;
        number = 0;
    }
    spec->left = false;
    while (!digits && spec_meets(work, '-'))
        spec->left = true;
    if (!digits && spec_meets(work, '*')) {
        if (work->next >= work->count)
            return spec_too_few(work);
        const struct datum *width = &work->items[work->next++];
        number = width->null ? 0 : width->i;
    } else if (!digits) {
        spec_number(work, &number);
    }
    spec->width = number < 0 ? -number : number;
    spec->left |= number < 0;
    if (position > 0)
        work->next = (uint32_t)position - 1;
    if (work->at >= work->format.len)
        return call_fail(
            work->call, OX_INVALID_PARAMETER_VALUE, "unterminated format() type specifier");
    spec->kind = work->format.ptr[work->at++];
    if (spec->kind != 's' && spec->kind != 'I' && spec->kind != 'L')
        return call_fail(work->call, OX_INVALID_PARAMETER_VALUE,
            "unrecognized format() type specifier \"%c\"", spec->kind);
    return work->next < work->count ? OX_OK : spec_too_few(work);
}

static void
add_blanks(struct text *text, int64_t count)
{
    while (count-- > 0)
        ox_text_addc(text, ' ');
}

static ox_code
spec_show(struct format_work *work, const struct format_spec *spec)
{
    struct call *call = work->call;
    const struct datum *item = &work->items[work->next];
    struct text value, shown;
    ox_text_init(&value, call->arena);
    ox_text_init(&shown, call->arena);
    if (!item->null)
        add_value(call, work->types[work->next], item, &value);
    work->next++;
    if (spec->kind == 'I' && item->null)
        return call_fail(call, OX_NULL_VALUE_NOT_ALLOWED,
            "null values cannot be formatted as an SQL identifier");
    if (spec->kind == 'I')
        quote_ident(ox_text_str(&value), &shown);
    else if (spec->kind == 'L' && item->null)
        ox_text_adds(&shown, "NULL");
    else if (spec->kind == 'L')
        quote_literal(ox_text_str(&value), &shown);
    struct str s = ox_text_str(spec->kind == 's' ? &value : &shown);
    int64_t pad = spec->width - (int64_t)ox_utf8_count(s.ptr, s.len);
    if (pad > TEXT_MAX)
        return call_fail(call, OX_PROGRAM_LIMIT_EXCEEDED, "requested length too large");
    add_blanks(&work->text, spec->left ? 0 : pad);
    ox_text_add(&work->text, s.ptr, s.len);
    add_blanks(&work->text, spec->left ? pad : 0);
    return CALL_ROOM(call, work->text.len);
}

ox_code
text_format(struct call *call, const struct datum *args, struct datum *out)
{
    struct format_work work = {.call = call, .format = args[0].s};
    struct format_spec spec = {0};
    if (args[0].null) {
        out->null = true;
        return OX_OK;
    }
    call_items(call, args, 1, &work.items, &work.types, &work.count);
    ox_text_init(&work.text, call->arena);
    ox_text_reserve(&work.text, 1);
    while (work.at < work.format.len) {
        char c = work.format.ptr[work.at++];
        if (c != '%') {
            ox_text_addc(&work.text, c);
            continue;
        }
        if (work.at >= work.format.len)
            return call_fail(
                call, OX_INVALID_PARAMETER_VALUE, "unterminated format() type specifier");
        if (spec_meets(&work, '%')) {
            ox_text_addc(&work.text, '%');
            continue;
        }
        ox_code code = spec_read(&work, &spec);
        if (code == OX_OK)
            code = spec_show(&work, &spec);
        if (code != OX_OK)
            return code;
    }
    out->s = ox_text_str(&work.text);
    return OX_OK;
}

/* ---- case -------------------- */

static void
map_case(struct call *call, struct str s, int mode, struct datum *out)
{
    bool ascii = true;
    for (size_t i = 0; i < s.len; i++)
        ascii &= (uint8_t)s.ptr[i] < 0x80;
    uint32_t step = 0;
    char *to = call_alloc(call, ascii ? s.len : s.len * 2 + 4);
    size_t n = 0;
    bool in_word = false;
    for (size_t i = 0; i < s.len && !ox_stopped_at(++step);) {
        size_t len;
        uint32_t c = ox_utf8_get(s.ptr + i, s.ptr + s.len, &len);
        bool upper = mode == 1 || (mode == 2 && !in_word);
        n += ox_utf8_put(to + n, text_fold(c, upper));
        in_word = text_is_word(c);
        i += len;
    }
    out->s = ox_str_n(to, n);
}

ox_code
text_lower(struct call *call, const struct datum *args, struct datum *out)
{
    map_case(call, args[0].s, 0, out);
    return OX_OK;
}

ox_code
text_upper(struct call *call, const struct datum *args, struct datum *out)
{
    map_case(call, args[0].s, 1, out);
    return OX_OK;
}

ox_code
text_initcap(struct call *call, const struct datum *args, struct datum *out)
{
    map_case(call, args[0].s, 2, out);
    return OX_OK;
}

/* ---- parts -------------------- */

static ox_code
span_of(struct call *call, const struct datum *args, int64_t *from, int64_t *count)
{
    int64_t start = args[1].i, stop = INT64_MAX;
    if (call->nargs > 2) {
        if (args[2].i < 0)
            return ox_fail_plain(call->err, OX_SUBSTRING_ERROR);
        stop = start + args[2].i;
    }
    *from = OX_MAX(start, 1) - 1;
    *count = stop == INT64_MAX ? TEXT_MAX : OX_MAX(stop - 1 - *from, 0);
    return OX_OK;
}

ox_code
text_substring(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t from = 0, count = 0;
    ox_code code = span_of(call, args, &from, &count);
    if (code != OX_OK)
        return code;
    struct str s = args[0].s;
    size_t start = skip_chars(s, (size_t)from);
    s = ox_str_n(s.ptr + start, s.len - start);
    s.len = skip_chars(s, (size_t)count);
    out->s = s;
    return OX_OK;
}

ox_code
bytes_substring(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t from = 0, count = 0;
    ox_code code = span_of(call, args, &from, &count);
    if (code != OX_OK)
        return code;
    size_t start = OX_MIN((size_t)from, args[0].s.len);
    out->s = ox_str_n(args[0].s.ptr + start, OX_MIN((size_t)count, args[0].s.len - start));
    return OX_OK;
}

ox_code
text_left(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t n = args[1].i, chars = (int64_t)ox_utf8_count(args[0].s.ptr, args[0].s.len);
    n = n < 0 ? OX_MAX(chars + n, 0) : n;
    out->s = ox_str_n(args[0].s.ptr, skip_chars(args[0].s, (size_t)n));
    return OX_OK;
}

ox_code
text_right(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t n = args[1].i, chars = (int64_t)ox_utf8_count(args[0].s.ptr, args[0].s.len);
    int64_t drop = n < 0 ? -n : OX_MAX(chars - n, 0);
    size_t at = skip_chars(args[0].s, (size_t)drop);
    out->s = ox_str_n(args[0].s.ptr + at, args[0].s.len - at);
    return OX_OK;
}

static const char *
find(struct str s, struct str what)
{
    return what.len == 0 ? s.ptr : s.len == 0 ? NULL : memmem(s.ptr, s.len, what.ptr, what.len);
}

ox_code
text_strpos(struct call *call, const struct datum *args, struct datum *out)
{
    const char *at = find(args[0].s, args[1].s);
    out->i =
        at == NULL ? 0 : (int64_t)ox_utf8_count(args[0].s.ptr, (size_t)(at - args[0].s.ptr)) + 1;
    return OX_OK;
}

ox_code
bytes_position(struct call *call, const struct datum *args, struct datum *out)
{
    const char *at = find(args[0].s, args[1].s);
    out->i = at == NULL ? 0 : (int64_t)(at - args[0].s.ptr) + 1;
    return OX_OK;
}

ox_code
text_starts(struct call *call, const struct datum *args, struct datum *out)
{
    out->b = ox_str_starts(args[0].s, args[1].s);
    return OX_OK;
}

ox_code
text_replace(struct call *call, const struct datum *args, struct datum *out)
{
    struct str s = args[0].s;
    const char *at;
    struct text text;
    if (args[1].s.len == 0 || find(s, args[1].s) == NULL) {
        out->s = s;
        return OX_OK;
    }
    ox_text_init(&text, call->arena);
    while ((at = find(s, args[1].s)) != NULL) {
        if (ox_stopped(40 + (uint32_t)(at - s.ptr)))
            return ox_stop_fail(call->err);
        ox_text_add(&text, s.ptr, (size_t)(at - s.ptr));
        ox_text_add(&text, args[2].s.ptr, args[2].s.len);
        if (CALL_ROOM(call, text.len) != OX_OK)
            return OX_PROGRAM_LIMIT_EXCEEDED;
        size_t used = (size_t)(at - s.ptr) + args[1].s.len;
        s = ox_str_n(s.ptr + used, s.len - used);
    }
    ox_text_add(&text, s.ptr, s.len);
    out->s = ox_text_str(&text);
    return OX_OK;
}

ox_code
text_translate(struct call *call, const struct datum *args, struct datum *out)
{
    struct text text;
    ox_text_init(&text, call->arena);
    ox_text_reserve(&text, 1);
    for (size_t i = 0; i < args[0].s.len;) {
        if (ox_stopped(20 + (uint32_t)args[1].s.len))
            return ox_stop_fail(call->err);
        size_t len, from_len;
        uint32_t c = ox_utf8_get(args[0].s.ptr + i, args[0].s.ptr + args[0].s.len, &len);
        size_t k = 0, to = 0;
        bool found = false;
        for (; k < args[1].s.len; k += from_len) {
            if (ox_utf8_get(args[1].s.ptr + k, args[1].s.ptr + args[1].s.len, &from_len) == c) {
                found = true;
                break;
            }
            if (to < args[2].s.len)
                to += char_len((uint8_t)args[2].s.ptr[to]);
        }
        if (!found)
            ox_text_add(&text, args[0].s.ptr + i, len);
        else if (to < args[2].s.len)
            ox_text_add(&text, args[2].s.ptr + to, char_len((uint8_t)args[2].s.ptr[to]));
        i += len;
    }
    out->s = ox_text_str(&text);
    return OX_OK;
}

static bool
in_set(struct str set, const char *at, size_t len)
{
    for (size_t i = 0; i < set.len; i += char_len((uint8_t)set.ptr[i]))
        if (char_len((uint8_t)set.ptr[i]) == len && memcmp(set.ptr + i, at, len) == 0)
            return true;
    return false;
}

static struct str
trim(struct str s, struct str set, bool left, bool right)
{
    while (left && s.len > 0) {
        size_t len = char_len((uint8_t)s.ptr[0]);
        if (!in_set(set, s.ptr, len))
            break;
        s = ox_str_n(s.ptr + len, s.len - len);
    }
    while (right && s.len > 0) {
        size_t len = 1;
        while (len < s.len && ((uint8_t)s.ptr[s.len - len] & 0xC0) == 0x80)
            len++;
        if (!in_set(set, s.ptr + s.len - len, len))
            break;
        s.len -= len;
    }
    return s;
}

#define TRIM(NAME, LEFT, RIGHT)                                                                    \
    ox_code text_##NAME(struct call *call, const struct datum *args, struct datum *out)            \
    {                                                                                              \
        out->s = trim(args[0].s, call->nargs > 1 ? args[1].s : OX_STR(" "), LEFT, RIGHT);          \
        return OX_OK;                                                                              \
    }
TRIM(btrim, true, true)
TRIM(ltrim, true, false)
TRIM(rtrim, false, true)

static struct str
trim_bytes(struct str s, struct str set, bool left, bool right)
{
    while (left && s.len > 0 && set.len > 0 && memchr(set.ptr, s.ptr[0], set.len) != NULL)
        s = ox_str_n(s.ptr + 1, s.len - 1);
    while (right && s.len > 0 && set.len > 0 && memchr(set.ptr, s.ptr[s.len - 1], set.len) != NULL)
        s.len--;
    return s;
}

#define TRIM_BYTES(NAME, LEFT, RIGHT)                                                              \
    ox_code bytes_##NAME(struct call *call, const struct datum *args, struct datum *out)           \
    {                                                                                              \
        out->s = trim_bytes(args[0].s, args[1].s, LEFT, RIGHT);                                    \
        return OX_OK;                                                                              \
    }
TRIM_BYTES(btrim, true, true)
TRIM_BYTES(ltrim, true, false)
TRIM_BYTES(rtrim, false, true)

static ox_code
pad(struct call *call, const struct datum *args, bool left, struct datum *out)
{
    struct str s = args[0].s, fill = call->nargs > 2 ? args[2].s : OX_STR(" ");
    int64_t want = OX_MAX(args[1].i, 0), have = (int64_t)ox_utf8_count(s.ptr, s.len);
    if (want > TEXT_MAX / 4)
        return call_fail(call, OX_PROGRAM_LIMIT_EXCEEDED, "requested length too large");
    if (have >= want || fill.len == 0) {
        out->s = ox_str_n(s.ptr, skip_chars(s, (size_t)want));
        return OX_OK;
    }
    struct text text;
    ox_text_init(&text, call->arena);
    if (!left)
        ox_text_add(&text, s.ptr, s.len);
    for (size_t at = 0; have < want && !ox_stopped_at((size_t)have); have++) {
        size_t len = char_len((uint8_t)fill.ptr[at]);
        ox_text_add(&text, fill.ptr + at, len);
        at = at + len >= fill.len ? 0 : at + len;
    }
    if (left)
        ox_text_add(&text, s.ptr, s.len);
    out->s = ox_text_str(&text);
    return OX_OK;
}

ox_code
text_lpad(struct call *call, const struct datum *args, struct datum *out)
{
    return pad(call, args, true, out);
}

ox_code
text_rpad(struct call *call, const struct datum *args, struct datum *out)
{
    return pad(call, args, false, out);
}

enum { REPEAT_PIECE = 1 << 20 };

ox_code
text_repeat(struct call *call, const struct datum *args, struct datum *out)
{
    uint64_t n = (uint64_t)OX_MAX(args[1].i, 0), len = args[0].s.len;
    if (n * len > TEXT_MAX)
        return call_fail(call, OX_PROGRAM_LIMIT_EXCEEDED, "requested length too large");
    char *to = call_alloc(call, n * len + 1);
    if (n * len > 0)
        memcpy(to, args[0].s.ptr, len);
    /* What is there doubles, by whole texts, up to pieces of a size. */
    uint64_t most = OX_MAX(REPEAT_PIECE / OX_MAX(len, (uint64_t)1), (uint64_t)1) * len;
    for (uint64_t done = len; done < n * len && !ox_stopped((uint32_t)(most / 4));) {
        uint64_t piece = OX_MIN(OX_MIN(done, n * len - done), most);
        memcpy(to + done, to, piece);
        done += piece;
    }
    out->s = ox_str_n(to, n * len);
    return OX_OK;
}

ox_code
text_reverse(struct call *call, const struct datum *args, struct datum *out)
{
    struct str s = args[0].s;
    char *to = call_alloc(call, s.len + 1);
    uint32_t step = 0;
    for (size_t i = 0; i < s.len && !ox_stopped_at(++step);) {
        size_t len = OX_MIN(char_len((uint8_t)s.ptr[i]), s.len - i);
        memcpy(to + s.len - i - len, s.ptr + i, len);
        i += len;
    }
    out->s = ox_str_n(to, s.len);
    return OX_OK;
}

ox_code
text_split_part(struct call *call, const struct datum *args, struct datum *out)
{
    struct str s = args[0].s, by = args[1].s;
    int64_t n = args[2].i, count = 1;
    if (n == 0)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE, "field position must not be zero");
    out->s = OX_STR("");
    if (s.len == 0)
        return OX_OK;
    if (by.len == 0) {
        if (n == 1 || n == -1)
            out->s = s;
        return OX_OK;
    }
    if (n < 0) {
        const char *at;
        for (struct str rest = s; (at = find(rest, by)) != NULL; count++) {
            if (ox_stopped(30))
                return ox_stop_fail(call->err);
            size_t used = (size_t)(at - rest.ptr) + by.len;
            rest = ox_str_n(rest.ptr + used, rest.len - used);
        }
        n += count + 1;
        if (n < 1)
            return OX_OK;
    }
    for (;;) {
        const char *at = find(s, by);
        if (ox_stopped(30))
            return ox_stop_fail(call->err);
        if (--n == 0) {
            out->s = ox_str_n(s.ptr, at == NULL ? s.len : (size_t)(at - s.ptr));
            return OX_OK;
        }
        if (at == NULL)
            return OX_OK;
        size_t used = (size_t)(at - s.ptr) + by.len;
        s = ox_str_n(s.ptr + used, s.len - used);
    }
}

ox_code
text_overlay(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t from = args[2].i;
    int64_t count =
        call->nargs > 3 ? args[3].i : (int64_t)ox_utf8_count(args[1].s.ptr, args[1].s.len);
    if (from <= 0)
        return ox_fail_plain(call->err, OX_SUBSTRING_ERROR);
    struct str s = args[0].s;
    size_t a = skip_chars(s, (size_t)(from - 1)),
           b = skip_chars(s, (size_t)OX_MAX(from - 1 + count, 0));
    struct text text;
    ox_text_init(&text, call->arena);
    ox_text_add(&text, s.ptr, a);
    ox_text_add(&text, args[1].s.ptr, args[1].s.len);
    ox_text_add(&text, s.ptr + b, s.len - b);
    out->s = ox_text_str(&text);
    return OX_OK;
}

/* ---- characters ----------------------------------------------------------------------------- */

ox_code
text_ascii(struct call *call, const struct datum *args, struct datum *out)
{
    size_t len;
    out->i =
        args[0].s.len == 0 ? 0 : ox_utf8_get(args[0].s.ptr, args[0].s.ptr + args[0].s.len, &len);
    return OX_OK;
}

ox_code
text_chr(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t c = args[0].i;
    if (c == 0)
        return call_fail(call, OX_PROGRAM_LIMIT_EXCEEDED, "null character not permitted");
    if (c < 0)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE, "character number must be positive");
    if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
        return call_fail(call, OX_PROGRAM_LIMIT_EXCEEDED,
            "requested character too large for encoding: %lld", (long long)c);
    char *to = call_alloc(call, 4);
    out->s = ox_str_n(to, ox_utf8_put(to, (uint32_t)c));
    return OX_OK;
}

ox_code
int_to_hex(struct call *call, const struct datum *args, struct datum *out)
{
    char *to = call_alloc(call, 20);
    uint64_t v = call->types[0].id == TYPE_INT4 ? (uint32_t)args[0].i : (uint64_t)args[0].i;
    out->s = ox_str_n(to, (size_t)snprintf(to, 20, "%llx", (unsigned long long)v));
    return OX_OK;
}

static int
hex_run(struct str s, size_t at, int n, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < n; i++) {
        if (at + (size_t)i >= s.len)
            return -1;
        char c = s.ptr[at + (size_t)i];
        int d = c >= '0' && c <= '9'                 ? c - '0'
                : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                     : -1;
        if (d < 0)
            return -1;
        *code = *code << 4 | (uint32_t)d;
    }
    return n;
}

ox_code
text_unistr(struct call *call, const struct datum *args, struct datum *out)
{
    struct str s = args[0].s;
    char *to = call_alloc(call, s.len * 2 + 4);
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        uint32_t code;
        if (s.ptr[i] != '\\') {
            to[n++] = s.ptr[i++];
        } else if (i + 1 < s.len && s.ptr[i + 1] == '\\') {
            to[n++] = '\\';
            i += 2;
        } else {
            char kind = i + 1 < s.len ? s.ptr[i + 1] : '\0';
            int skip = kind == 'u' || kind == 'U' || kind == '+' ? 2 : 1;
            int want = kind == 'U' ? 8 : kind == '+' ? 6 : 4;
            if (hex_run(s, i + (size_t)skip, want, &code) < 0)
                return call_fail(call, OX_SYNTAX_ERROR, "invalid Unicode escape");
            if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
                return call_fail(call, OX_SYNTAX_ERROR, "invalid Unicode escape value");
            n += ox_utf8_put(to + n, code);
            i += (size_t)(skip + want);
        }
    }
    out->s = ox_str_n(to, n);
    return OX_OK;
}

ox_code
text_parse_ident(struct call *call, const struct datum *args, struct datum *out)
{
    struct str s = args[0].s;
    struct datum parts[16];
    uint32_t count = 0;
    for (size_t i = 0; i <= s.len && count < 16;) {
        char *to = call_alloc(call, s.len + 1);
        size_t n = 0;
        if (i < s.len && s.ptr[i] == '"') {
            for (i++; i < s.len; i++) {
                if (s.ptr[i] == '"' && (i + 1 == s.len || s.ptr[i + 1] != '"'))
                    break;
                i += s.ptr[i] == '"';
                to[n++] = s.ptr[i];
            }
            if (i++ >= s.len)
                n = 0;
        } else {
            for (; i < s.len && (s.ptr[i] == '_' || s.ptr[i] == '$' || (uint8_t)s.ptr[i] >= 0x80 ||
                                    text_is_word((uint8_t)s.ptr[i]));
                 i++)
                to[n++] = (char)text_fold((uint8_t)s.ptr[i], false);
        }
        if (n == 0 || (i < s.len && s.ptr[i] != '.'))
            return call_fail(call, OX_INVALID_PARAMETER_VALUE,
                "string is not a valid identifier: \"%.*s\"", OX_STR_ARG(s));
        parts[count++] = datum_str(ox_str_n(to, n));
        if (i++ >= s.len)
            break;
    }
    out->s = array_make(TYPE(TYPE_TEXT), parts, count, call->arena);
    return OX_OK;
}

/* ---- LIKE ---------------------------------------------------------------------------------- */

/* 1 yes, 0 no, -1 the pattern ends in its escape. Backtracks to the last % only. */
static int
like(struct str s, struct str p, bool fold)
{
    size_t si = 0, pi = 0, star = SIZE_MAX, back = 0;
    uint32_t looks = 0;
    while (si < s.len && !ox_stopped_at(++looks)) {
        size_t slen = char_len((uint8_t)s.ptr[si]);
        if (pi < p.len && p.ptr[pi] == '%') {
            star = ++pi;
            back = si;
            continue;
        }
        bool same = false;
        size_t step = 0;
        if (pi < p.len && p.ptr[pi] == '_') {
            same = true;
            step = 1;
        } else if (pi < p.len) {
            size_t at = pi;
            if (p.ptr[at] == '\\' && ++at >= p.len)
                return -1;
            size_t plen = char_len((uint8_t)p.ptr[at]);
            same = plen == slen && at + plen <= p.len && memcmp(p.ptr + at, s.ptr + si, slen) == 0;
            if (!same && fold) {
                size_t x, y;
                same = text_fold(ox_utf8_get(p.ptr + at, p.ptr + p.len, &x), false) ==
                       text_fold(ox_utf8_get(s.ptr + si, s.ptr + s.len, &y), false);
            }
            step = at - pi + plen;
        }
        if (same) {
            pi += step;
            si += slen;
        } else if (star != SIZE_MAX) {
            back += char_len((uint8_t)s.ptr[back]);
            si = back;
            pi = star;
        } else {
            return 0;
        }
    }
    while (pi < p.len && p.ptr[pi] == '%')
        pi++;
    return pi == p.len;
}

/* %word% with nothing special inside is a search. */
static bool
simple_search(struct str p, struct str *word)
{
    if (p.len < 3 || p.ptr[0] != '%' || p.ptr[p.len - 1] != '%')
        return false;
    *word = ox_str_n(p.ptr + 1, p.len - 2);
    for (size_t i = 0; i < word->len; i++)
        if (word->ptr[i] == '%' || word->ptr[i] == '_' || word->ptr[i] == '\\')
            return false;
    return true;
}

static ox_code
like_column(struct call *call, const struct vector *args, const uint32_t *sel, uint32_t n,
    struct vector *out, bool fold, bool negate)
{
    struct str word;
    bool search = !fold && args[1].constant && simple_search(args[1].s[0], &word);
    for (uint32_t k = 0; k < n; k++) {
        struct str s = AT(&args[0], s, sel[k]);
        int match = search ? find(s, word) != NULL : like(s, AT(&args[1], s, sel[k]), fold);
        if (s.len > 4096 && ox_stopped((uint32_t)OX_MIN(s.len, (size_t)INT32_MAX)))
            break;
        if (match < 0)
            return call_fail(call, OX_INVALID_ESCAPE_SEQUENCE,
                "LIKE pattern must not end with escape character");
        out->b[sel[k]] = (match != 0) != negate;
    }
    return OX_OK;
}

#define LIKE_OP(NAME, FOLD, NEGATE)                                                                \
    ox_code vec_##NAME(struct call *call, const struct vector *args, const uint32_t *sel,          \
        uint32_t n, struct vector *out)                                                            \
    {                                                                                              \
        return like_column(call, args, sel, n, out, FOLD, NEGATE);                                 \
    }
LIKE_OP(like, false, false)
LIKE_OP(not_like, false, true)
LIKE_OP(ilike, true, false)
LIKE_OP(not_ilike, true, true)

/* LIKE ... ESCAPE 'x': the pattern with backslash as its escape. */
ox_code
text_like_escape(struct call *call, const struct datum *args, struct datum *out)
{
    struct str p = args[0].s, e = args[1].s;
    char *to = call_alloc(call, p.len * 2 + 1);
    size_t n = 0;
    if (e.len > 0 && skip_chars(e, 1) != e.len) {
        call_fail(call, OX_INVALID_ESCAPE_SEQUENCE, "invalid escape string");
        ox_hint(call->err, "Escape string must be empty or one character.");
        return OX_INVALID_ESCAPE_SEQUENCE;
    }
    for (size_t i = 0; i < p.len;) {
        size_t len = char_len((uint8_t)p.ptr[i]);
        if (e.len > 0 && len == e.len && memcmp(p.ptr + i, e.ptr, len) == 0) {
            to[n++] = '\\';
            i += len;
            if (i < p.len) {
                len = char_len((uint8_t)p.ptr[i]);
                memcpy(to + n, p.ptr + i, len);
                n += len;
                i += len;
            }
            continue;
        }
        if (p.ptr[i] == '\\' && !(e.len == 1 && e.ptr[0] == '\\'))
            to[n++] = '\\';
        memcpy(to + n, p.ptr + i, len);
        n += len;
        i += len;
    }
    out->s = ox_str_n(to, n);
    return OX_OK;
}
