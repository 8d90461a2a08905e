/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators and functions of regular expressions, SIMILAR TO among them. A
 * pattern is compiled once per call while it stays the same. */
#include "exec/expr_int.h"
#include "exec/regex.h"

struct cached {
    struct arena arena; /* of the compiled pattern */
    struct str pattern;
    int flags;
    struct regex *re;
};

static void
cached_free(void *arg)
{
    ox_arena_fini(&((struct cached *)arg)->arena);
}

static ox_code
pattern_of(struct call *call, struct str pattern, int flags, struct regex **re)
{
    struct cached *c = *call->state;
    if (c != NULL && c->re != NULL && c->flags == flags && ox_str_eq(c->pattern, pattern)) {
        *re = c->re;
        return OX_OK;
    }
    if (c == NULL) {
        struct arena *kept = call->expr != NULL ? &call->eval->kept : call->arena;
        c = ox_arena_new(kept, struct cached);
        ox_arena_init(&c->arena);
        ox_arena_on_free(kept, cached_free, c);
        *call->state = c;
    }
    ox_arena_reset(&c->arena);
    c->re = NULL;
    c->pattern = ox_str_dup(&c->arena, pattern);
    c->flags = flags;
    ox_code code = regex_compile(pattern, flags, &c->arena, re, call->err);
    if (code == OX_OK)
        c->re = *re;
    return code;
}

static ox_code
flags_of(struct call *call, struct str text, int *flags)
{
    for (size_t i = 0; i < text.len; i++)
        switch (text.ptr[i]) {
        case 'g':
            *flags |= REGEX_GLOBAL;
            break;
        case 'i':
            *flags |= REGEX_FOLD;
            break;
        case 'c':
            *flags &= ~REGEX_FOLD;
            break;
        case 'n':
        case 'm':
            *flags |= REGEX_NEWLINE;
            break;
        case 's':
            *flags &= ~REGEX_NEWLINE;
            break;
        case 'p':
            *flags = (*flags & ~REGEX_NEWLINE) | REGEX_DOT;
            break;
        case 'w':
            *flags = (*flags & ~REGEX_NEWLINE) | REGEX_ANCHORS;
            break;
        case 'x':
            *flags |= REGEX_EXPANDED;
            break;
        case 't':
            *flags &= ~REGEX_EXPANDED;
            break;
        case 'q':
            *flags |= REGEX_LITERAL;
            break;
        case 'e':
        case 'b':
            break;
        default:
            return call_fail(call, OX_INVALID_PARAMETER_VALUE,
                "invalid regular expression option: \"%c\"", text.ptr[i]);
        }
    return OX_OK;
}

static ox_code
compile_args(
    struct call *call, const struct datum *args, uint32_t flags_arg, int *flags, struct regex **re)
{
    *flags = 0;
    if (call->nargs > flags_arg) {
        ox_code code = flags_of(call, args[flags_arg].s, flags);
        if (code != OX_OK)
            return code;
    }
    return pattern_of(call, args[1].s, *flags & ~REGEX_GLOBAL, re);
}

static ox_code
no_global(struct call *call, int flags, const char *name)
{
    if (!(flags & REGEX_GLOBAL))
        return OX_OK;
    return call_fail(
        call, OX_INVALID_PARAMETER_VALUE, "%s() does not support the \"global\" option", name);
}

static size_t *
spans_for(struct call *call, const struct regex *re)
{
    return call_alloc(call, (regex_groups(re) + 1) * 2 * sizeof(size_t));
}

static size_t
next_char(struct str s, size_t at)
{
    if (at < s.len)
        for (at++; at < s.len && ((uint8_t)s.ptr[at] & 0xC0) == 0x80;)
            at++;
    else
        at++;
    return at;
}

/* ---- ~ and friends -------------------------------------------------------------------- */

static ox_code
match_column(struct call *call, const struct vector *args, const uint32_t *sel, uint32_t n,
    struct vector *out, int flags, bool negate)
{
    struct regex *re = NULL;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t r = sel[k];
        if (k == 0 || !args[1].constant) {
            ox_code code = pattern_of(call, AT(&args[1], s, r), flags, &re);
            if (code != OX_OK)
                return code;
        }
        out->b[r] = regex_search(re, AT(&args[0], s, r), 0, NULL) != negate;
    }
    return OX_OK;
}

#define REGEX_OP(NAME, FLAGS, NEGATE)                                                              \
    ox_code vec_##NAME(struct call *call, const struct vector *args, const uint32_t *sel,          \
        uint32_t n, struct vector *out)                                                            \
    {                                                                                              \
        return match_column(call, args, sel, n, out, FLAGS, NEGATE);                               \
    }
REGEX_OP(regex, 0, false)
REGEX_OP(iregex, REGEX_FOLD, false)
REGEX_OP(not_regex, 0, true)
REGEX_OP(not_iregex, REGEX_FOLD, true)

/* ---- functions --------------------------------------------------------------------------- */

static struct datum
group_text(struct str s, const size_t *spans, uint32_t group)
{
    if (spans[group * 2] == SIZE_MAX || spans[group * 2 + 1] == SIZE_MAX)
        return DATUM_NULL;
    return datum_str(ox_str_n(s.ptr + spans[group * 2], spans[group * 2 + 1] - spans[group * 2]));
}

static struct str
match_array(struct arena *arena, struct str s, const struct regex *re, const size_t *spans)
{
    uint32_t groups = regex_groups(re), count = groups > 0 ? groups : 1;
    struct datum *items = ox_arena_alloc(arena, count * sizeof(*items));
    for (uint32_t i = 0; i < count; i++)
        items[i] = group_text(s, spans, groups > 0 ? i + 1 : 0);
    return array_make(TYPE(TYPE_TEXT), items, count, arena);
}

ox_code
regex_match(struct call *call, const struct datum *args, struct datum *out)
{
    struct regex *re;
    int flags;
    ox_code code = compile_args(call, args, 2, &flags, &re);
    if (code == OX_OK)
        code = no_global(call, flags, "regexp_match");
    if (code != OX_OK)
        return code;
    size_t *spans = spans_for(call, re);
    out->null = !regex_search(re, args[0].s, 0, spans);
    if (!out->null)
        out->s = match_array(call->arena, args[0].s, re, spans);
    return OX_OK;
}

ox_code
regex_like(struct call *call, const struct datum *args, struct datum *out)
{
    struct regex *re;
    int flags;
    ox_code code = compile_args(call, args, 2, &flags, &re);
    if (code == OX_OK)
        code = no_global(call, flags, "regexp_like");
    if (code == OX_OK)
        out->b = regex_search(re, args[0].s, 0, NULL);
    return code;
}

static void
add_replacement(struct text *to, struct str by, struct str s, const size_t *spans, uint32_t groups)
{
    for (size_t i = 0; i < by.len; i++) {
        if (by.ptr[i] != '\\' || i + 1 == by.len) {
            ox_text_addc(to, by.ptr[i]);
            continue;
        }
        char c = by.ptr[++i];
        uint32_t group = c == '&' ? 0 : c >= '1' && c <= '9' ? (uint32_t)(c - '0') : UINT32_MAX;
        if (group == UINT32_MAX) {
            if (c != '\\')
                ox_text_addc(to, '\\');
            ox_text_addc(to, c);
        } else if (group <= groups) {
            struct datum d = group_text(s, spans, group);
            if (!d.null)
                ox_text_add(to, d.s.ptr, d.s.len);
        }
    }
}

ox_code
regex_replace(struct call *call, const struct datum *args, struct datum *out)
{
    struct regex *re;
    int flags;
    ox_code code = compile_args(call, args, 3, &flags, &re);
    if (code != OX_OK)
        return code;
    size_t *spans = spans_for(call, re), copied = 0, at = 0;
    struct str s = args[0].s;
    struct text text;
    ox_text_init(&text, call->arena);
    ox_text_reserve(&text, s.len);
    while (at <= s.len && regex_search(re, s, at, spans)) {
        ox_text_add(&text, s.ptr + copied, spans[0] - copied);
        add_replacement(&text, args[2].s, s, spans, regex_groups(re));
        if (CALL_ROOM(call, text.len) != OX_OK)
            return OX_PROGRAM_LIMIT_EXCEEDED;
        if (ox_stopped(100))
            return ox_stop_fail(call->err);
        copied = spans[1];
        at = spans[1] > spans[0] ? spans[1] : next_char(s, spans[1]);
        if (!(flags & REGEX_GLOBAL))
            break;
    }
    ox_text_add(&text, s.ptr + copied, s.len - copied);
    out->s = ox_text_str(&text);
    return OX_OK;
}

static size_t byte_of_char(struct str s, int64_t n);

/* regexp_replace(text, pattern, replacement, start, n, flags): the nth match from
 * a start, all for 0. */
ox_code
regex_replace_nth(struct call *call, const struct datum *args, struct datum *out)
{
    struct regex *re;
    int flags;
    struct str s = args[0].s;
    int64_t start = args[3].i, n = call->nargs > 4 ? args[4].i : 1, seen = 0;
    ox_code code = compile_args(call, args, 5, &flags, &re);
    if (code != OX_OK)
        return code;
    if (start <= 0 || n < 0)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE,
            "invalid value for parameter \"%s\": %lld", start <= 0 ? "start" : "n",
            (long long)(start <= 0 ? start : n));
    size_t *spans = spans_for(call, re), copied = 0;
    struct text text;
    ox_text_init(&text, call->arena);
    ox_text_reserve(&text, s.len);
    for (size_t at = byte_of_char(s, start); at <= s.len && regex_search(re, s, at, spans);) {
        at = spans[1] > spans[0] ? spans[1] : next_char(s, spans[1]);
        if (n > 0 && ++seen < n)
            continue;
        ox_text_add(&text, s.ptr + copied, spans[0] - copied);
        add_replacement(&text, args[2].s, s, spans, regex_groups(re));
        if (CALL_ROOM(call, text.len) != OX_OK)
            return OX_PROGRAM_LIMIT_EXCEEDED;
        if (ox_stopped(100))
            return ox_stop_fail(call->err);
        copied = spans[1];
        if (n > 0)
            break;
    }
    ox_text_add(&text, s.ptr + copied, s.len - copied);
    out->s = ox_text_str(&text);
    return OX_OK;
}

static size_t
byte_of_char(struct str s, int64_t n)
{
    size_t at = 0;
    for (; n > 1 && at < s.len; n--)
        at = next_char(s, at);
    return n > 1 ? SIZE_MAX : at;
}

ox_code
regex_count(struct call *call, const struct datum *args, struct datum *out)
{
    struct regex *re;
    int flags;
    ox_code code = compile_args(call, args, 3, &flags, &re);
    if (code == OX_OK)
        code = no_global(call, flags, "regexp_count");
    if (code != OX_OK)
        return code;
    if (call->nargs > 2 && args[2].i <= 0)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE,
            "invalid value for parameter \"%s\": %lld", "start", (long long)args[2].i);
    size_t *spans = spans_for(call, re),
           at = call->nargs > 2 ? byte_of_char(args[0].s, args[2].i) : 0;
    while (at <= args[0].s.len && regex_search(re, args[0].s, at, spans)) {
        out->i++;
        if (ox_stopped(100))
            return ox_stop_fail(call->err);
        at = spans[1] > spans[0] ? spans[1] : next_char(args[0].s, spans[1]);
    }
    return OX_OK;
}

/* The nth match from a start; false: none. Arguments: text, pattern, start, n. */
static ox_code
nth_match(struct call *call, const struct datum *args, uint32_t flags_arg, const char *name,
    struct regex **re, size_t **spans, bool *found)
{
    int flags;
    ox_code code = compile_args(call, args, flags_arg, &flags, re);
    if (code == OX_OK)
        code = no_global(call, flags, name);
    if (code != OX_OK)
        return code;
    int64_t start = call->nargs > 2 ? args[2].i : 1, n = call->nargs > 3 ? args[3].i : 1;
    if (start <= 0 || n <= 0)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE,
            "invalid value for parameter \"%s\": %lld", start <= 0 ? "start" : "n",
            (long long)(start <= 0 ? start : n));
    *spans = spans_for(call, *re);
    *found = false;
    for (size_t at = byte_of_char(args[0].s, start); at <= args[0].s.len && n > 0; n--) {
        if (ox_stopped(100))
            return ox_stop_fail(call->err);
        if (!regex_search(*re, args[0].s, at, *spans))
            return OX_OK;
        at = (*spans)[1] > (*spans)[0] ? (*spans)[1] : next_char(args[0].s, (*spans)[1]);
    }
    *found = n == 0;
    return OX_OK;
}

ox_code
regex_substr(struct call *call, const struct datum *args, struct datum *out)
{
    struct regex *re;
    size_t *spans;
    bool found;
    ox_code code = nth_match(call, args, 4, "regexp_substr", &re, &spans, &found);
    if (code != OX_OK)
        return code;
    int64_t group = call->nargs > 5 ? args[5].i : 0;
    if (group < 0)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE,
            "invalid value for parameter \"%s\": %lld", "subexpr", (long long)group);
    *out = found && group <= regex_groups(re) ? group_text(args[0].s, spans, (uint32_t)group)
                                              : DATUM_NULL;
    return OX_OK;
}

ox_code
regex_instr(struct call *call, const struct datum *args, struct datum *out)
{
    struct regex *re;
    size_t *spans;
    bool found;
    ox_code code = nth_match(call, args, 5, "regexp_instr", &re, &spans, &found);
    int64_t end = call->nargs > 4 ? args[4].i : 0;
    if (code == OX_OK && end != 0 && end != 1)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE,
            "invalid value for parameter \"%s\": %lld", "endoption", (long long)end);
    if (code == OX_OK && found)
        out->i = (int64_t)ox_utf8_count(args[0].s.ptr, spans[end]) + 1;
    return code;
}

/* Pieces between matches; an empty match at the ends or next to one splits nothing. */
static uint32_t
split(struct regex *re, struct str s, size_t *spans, struct arena *arena, struct datum **out)
{
    struct datum *items = NULL;
    size_t cap = 0, copied = 0, at = 0;
    uint32_t n = 0;
    while (at <= s.len && regex_search(re, s, at, spans)) {
        bool empty = spans[1] == spans[0];
        at = empty ? next_char(s, spans[1]) : spans[1];
        if (ox_stopped(100))
            break;
        if (empty && (spans[0] >= s.len || spans[0] == copied))
            continue;
        ox_arena_grow(arena, (void **)&items, &cap, n + 1, sizeof(*items));
        items[n++] = datum_str(ox_str_n(s.ptr + copied, spans[0] - copied));
        copied = spans[1];
    }
    ox_arena_grow(arena, (void **)&items, &cap, n + 1, sizeof(*items));
    items[n++] = datum_str(ox_str_n(s.ptr + copied, s.len - copied));
    *out = items;
    return n;
}

ox_code
regex_split(struct call *call, const struct datum *args, struct datum *out)
{
    struct regex *re;
    struct datum *items;
    int flags;
    ox_code code = compile_args(call, args, 2, &flags, &re);
    if (code == OX_OK)
        code = no_global(call, flags, "regexp_split_to_array");
    if (code != OX_OK)
        return code;
    uint32_t n = split(re, args[0].s, spans_for(call, re), call->arena, &items);
    out->s = array_make(TYPE(TYPE_TEXT), items, n, call->arena);
    return OX_OK;
}

/* ---- substring(s from pattern), SIMILAR TO ------------------------------------------------ */

ox_code
text_substring_regex(struct call *call, const struct datum *args, struct datum *out)
{
    struct regex *re;
    ox_code code = pattern_of(call, args[1].s, 0, &re);
    if (code != OX_OK)
        return code;
    size_t *spans = spans_for(call, re);
    *out = regex_search(re, args[0].s, 0, spans)
               ? group_text(args[0].s, spans, regex_groups(re) > 0)
               : DATUM_NULL;
    return OX_OK;
}

/* SQL's pattern as ours: anchored, % and _ for .* and . */
static ox_code
similar(struct call *call, struct str p, struct str escape, struct text *to)
{
    bool bracket = false;
    int marks = 0;
    if (escape.len > 1 && ox_utf8_count(escape.ptr, escape.len) > 1) {
        call_fail(call, OX_INVALID_ESCAPE_SEQUENCE, "invalid escape string");
        ox_hint(call->err, "Escape string must be empty or one character.");
        return OX_INVALID_ESCAPE_SEQUENCE;
    }
    ox_text_adds(to, "^(?:");
    for (size_t i = 0; i < p.len;) {
        if (escape.len > 0 && p.len - i >= escape.len &&
            memcmp(p.ptr + i, escape.ptr, escape.len) == 0) {
            i += escape.len;
            if (i >= p.len)
                break;
            if (p.ptr[i] == '"' && !bracket) { /* the part that substring() takes */
                ox_text_adds(to, marks == 0 ? "){1,1}?(" : "){1,1}(?:");
                if (++marks > 2)
                    return call_fail(call, OX_INVALID_PARAMETER_VALUE,
                        "SQL regular expression may not contain more than two escape-double-quote "
                        "separators");
            } else {
                ox_text_addc(to, '\\');
                ox_text_addc(to, p.ptr[i]);
            }
            i++;
            continue;
        }
        char c = p.ptr[i++];
        if (bracket) {
            if (c == '\\')
                ox_text_addc(to, '\\');
            ox_text_addc(to, c);
            bracket = c != ']';
        } else if (c == '[') {
            ox_text_addc(to, c);
            bracket = true;
        } else if (c == '%') {
            ox_text_adds(to, ".*");
        } else if (c == '_') {
            ox_text_addc(to, '.');
        } else if (c == '(') {
            ox_text_adds(to, "(?:");
        } else if (c == '\\' || c == '.' || c == '^' || c == '$') {
            ox_text_addc(to, '\\');
            ox_text_addc(to, c);
        } else {
            ox_text_addc(to, c);
        }
    }
    ox_text_adds(to, ")$");
    return OX_OK;
}

ox_code
text_similar_escape(struct call *call, const struct datum *args, struct datum *out)
{
    struct text text;
    out->null = args[0].null || (call->nargs > 1 && args[1].null);
    if (out->null)
        return OX_OK;
    ox_text_init(&text, call->arena);
    ox_code code = similar(call, args[0].s, call->nargs > 1 ? args[1].s : OX_STR("\\"), &text);
    out->s = ox_text_str(&text);
    return code;
}

ox_code
text_substring_similar(struct call *call, const struct datum *args, struct datum *out)
{
    struct regex *re;
    struct text text;
    ox_text_init(&text, call->arena);
    ox_code code = similar(call, args[1].s, args[2].s, &text);
    if (code == OX_OK)
        code = pattern_of(call, ox_text_str(&text), 0, &re);
    if (code != OX_OK)
        return code;
    size_t *spans = spans_for(call, re);
    *out = regex_search(re, args[0].s, 0, spans)
               ? group_text(args[0].s, spans, regex_groups(re) > 0)
               : DATUM_NULL;
    return OX_OK;
}

/* ---- sets ---------------------------------------------------------------------------------- */

struct matches {
    struct str s;
    struct regex *re;
    size_t *spans, at;
    bool global, done;
    struct datum *items;
    uint32_t count, next;
};

static ox_code
matches_open(struct set_call *set, struct ox_err *err)
{
    struct matches *m = ox_arena_new(set->arena, struct matches);
    struct call call = {.err = err};
    int flags = 0;
    set->state = m;
    ox_code code = set->nargs > 2 ? flags_of(&call, set->args[2].s, &flags) : OX_OK;
    if (code == OX_OK)
        code = regex_compile(set->args[1].s, flags & ~REGEX_GLOBAL, set->arena, &m->re, err);
    if (code != OX_OK)
        return code;
    m->s = ox_str_dup(set->arena, set->args[0].s);
    m->global = (flags & REGEX_GLOBAL) != 0;
    m->spans = ox_arena_alloc(set->arena, (regex_groups(m->re) + 1) * 2 * sizeof(size_t));
    return OX_OK;
}

static ox_code
matches_next(struct set_call *set, struct datum *row, bool *end, struct ox_err *err)
{
    struct matches *m = set->state;
    *end = m->done || m->at > m->s.len || !regex_search(m->re, m->s, m->at, m->spans);
    if (*end)
        return OX_OK;
    *row = datum_str(match_array(set->row_arena, m->s, m->re, m->spans));
    m->at = m->spans[1] > m->spans[0] ? m->spans[1] : next_char(m->s, m->spans[1]);
    m->done = !m->global;
    return OX_OK;
}

const struct set_func set_regex_matches = {matches_open, matches_next};

static ox_code
split_open(struct set_call *set, struct ox_err *err)
{
    ox_code code = matches_open(set, err);
    struct matches *m = set->state;
    if (code == OX_OK && m->global)
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
            "regexp_split_to_table() does not support the \"global\" option");
    if (code == OX_OK)
        m->count = split(m->re, m->s, m->spans, set->arena, &m->items);
    return code;
}

static ox_code
split_next(struct set_call *set, struct datum *row, bool *end, struct ox_err *err)
{
    struct matches *m = set->state;
    *end = m->next >= m->count;
    if (!*end)
        *row = m->items[m->next++];
    return OX_OK;
}

const struct set_func set_regex_split = {split_open, split_next};
