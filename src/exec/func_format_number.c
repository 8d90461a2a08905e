/* SPDX-License-Identifier: Apache-2.0
 *
 * to_char and to_number of numbers: a picture of digits, signs and separators is
 * read once for what it holds and once to write. */
#include "exec/expr_int.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

struct picture {
    int before, after; /* digits */
    int decimals;      /* of the number: a float has no more than it can tell apart */
    int zero_at;       /* first 0 before the point, -1 none */
    int last_zero;     /* last 0 after the point, counted from it */
    bool point, fill, sign_s, s_first, minus, plus, sg, pr, roman, roman_lower, exponent;
    int shift; /* digits after V */
};

static bool
at_word(struct str f, size_t i, const char *word)
{
    size_t len = strlen(word);
    return f.len - i >= len && ox_str_ieq(ox_str_n(f.ptr + i, len), ox_str_n(word, len));
}

static void
count_digit(struct picture *p, char c, bool shifting)
{
    if (shifting) {
        p->shift++;
        p->before++;
    } else if (p->point) {
        p->after++;
        if (c == '0')
            p->last_zero = p->after;
    } else {
        if (c == '0' && p->zero_at < 0)
            p->zero_at = p->before;
        p->before++;
    }
}

/* A keyword of several letters: how many bytes it has, 0 if there is none. */
static size_t
read_long_key(struct str f, size_t i, struct picture *p)
{
    const struct {
        const char *word;
        bool *flag;
    } keys[] = {{"EEEE", &p->exponent}, {"MI", &p->minus}, {"PL", &p->plus}, {"PR", &p->pr},
        {"SG", &p->sg}, {"RN", &p->roman}, {"TH", NULL}, {"FM", NULL}};
    for (size_t k = 0; k < ox_count(keys); k++) {
        if (!at_word(f, i, keys[k].word))
            continue;
        if (keys[k].flag != NULL)
            *keys[k].flag = true;
        p->fill &= strcmp(keys[k].word, "FM") != 0;
        p->roman_lower |= f.ptr[i] == 'r';
        return strlen(keys[k].word);
    }
    return 0;
}

static ox_code
read_picture(struct call *call, struct str f, struct picture *p)
{
    bool shifting = false;
    *p = (struct picture){.zero_at = -1, .fill = true};
    for (size_t i = 0; i < f.len; i++) {
        char c = f.ptr[i];
        size_t len;
        if (c == '"') {
            for (i++; i < f.len && f.ptr[i] != '"'; i++)
                ;
        } else if (c == '9' || c == '0') {
            if (p->pr)
                return call_fail(call, OX_SYNTAX_ERROR, "\"9\" must be ahead of \"PR\"");
            count_digit(p, c, shifting);
        } else if ((len = read_long_key(f, i, p)) > 0) {
            i += len - 1;
        } else if (c == '.' || c == 'D' || c == 'd') {
            if (p->point)
                return call_fail(call, OX_SYNTAX_ERROR, "multiple decimal points");
            p->point = true;
        } else if (c == 'S' || c == 's') {
            if (p->sign_s)
                return call_fail(call, OX_SYNTAX_ERROR, "cannot use \"S\" twice");
            p->sign_s = true;
            p->s_first = p->before + p->after == 0;
        }
        shifting |= c == 'V' || c == 'v';
    }
    return OX_OK;
}

static void
put_roman(int64_t n, bool lower, bool fill, struct text *to)
{
    static const struct {
        int value;
        const char *text;
    } parts[] = {{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"},
        {50, "L"}, {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"}};
    char text[24] = "";
    if (n < 1 || n > 3999) {
        ox_text_adds(to, "###############");
        return;
    }
    size_t len = 0;
    for (size_t i = 0; i < ox_count(parts); i++)
        for (; n >= parts[i].value; n -= parts[i].value)
            for (const char *c = parts[i].text; *c; c++)
                text[len++] = lower ? (char)tolower((unsigned char)*c) : *c;
    if (fill)
        for (size_t i = len; i < 15; i++)
            ox_text_addc(to, ' ');
    ox_text_add(to, text, len);
}

/* A number on its way into the text. */
struct writing {
    const struct picture *p;
    struct text *to;
    const char *digits, *decimals; /* without sign; decimals after the point */
    bool negative, over;           /* over: it does not fit, # is shown */
    int have, first;               /* digits before the point; place of the first that shows */
    int at, after, keep;           /* places so far, decimals so far and to show */
    bool begun, signed_now;
};

static void
writing_init(struct writing *w, const struct picture *p, bool negative, const char *digits,
    struct text *to)
{
    const char *dot = digits != NULL ? strchr(digits, '.') : NULL;
    *w = (struct writing){.p = p, .to = to, .digits = digits, .negative = negative,
        .over = digits == NULL, .keep = OX_MIN(p->after, p->decimals)};
    w->have = w->over ? p->before : dot != NULL ? (int)(dot - digits) : (int)strlen(digits);
    if (!p->fill && !w->over && p->after > 0) { /* FM drops zeros that nobody asked for */
        size_t len = strlen(digits) - (size_t)(p->after - w->keep);
        while (w->keep > p->last_zero && w->keep > 0 && digits[len - 1] == '0')
            w->keep--, len--;
    }
    if (!w->over && w->have == 1 && digits[0] == '0' && (p->after > 0 || p->before == 0) &&
        (p->fill || w->keep > 0 || p->before == 0)) {
        w->digits++;
        w->have = 0;
    }
    w->first = p->before - w->have;
    if (p->zero_at >= 0 && p->zero_at < w->first)
        w->first = p->zero_at;
    w->decimals = w->over ? NULL : w->digits + w->have + 1;
}

/* The sign stands right before the first thing shown. */
static void
put_sign(struct writing *w, char c)
{
    const struct picture *p = w->p;
    bool digit = c == '9' || c == '0', own = p->sign_s || p->minus || p->sg || p->pr;
    bool shows = (digit && (w->at >= w->first || w->at >= p->before)) ||
                 ((c == '.' || c == 'D' || c == 'd') && !w->begun);
    if (!shows || w->signed_now)
        return;
    w->signed_now = true;
    if (p->pr && w->negative)
        ox_text_addc(w->to, '<');
    else if (p->pr && p->fill)
        ox_text_addc(w->to, ' ');
    else if (p->sign_s && p->s_first)
        ox_text_addc(w->to, w->negative ? '-' : '+');
    else if (!own && w->negative)
        ox_text_addc(w->to, '-');
    else if (!own && p->fill)
        ox_text_addc(w->to, ' ');
}

static void
put_digit(struct writing *w)
{
    const struct picture *p = w->p;
    if (w->at < p->before) {
        if (w->over)
            ox_text_addc(w->to, '#');
        else if (w->at >= p->before - w->have)
            ox_text_addc(w->to, w->digits[w->at - (p->before - w->have)]);
        else if (w->at >= w->first)
            ox_text_addc(w->to, '0');
        else if (p->fill)
            ox_text_addc(w->to, ' ');
        w->begun |= w->at >= w->first;
        w->at++;
        return;
    }
    if (w->after < w->keep)
        ox_text_addc(w->to, w->over ? '#' : w->decimals[w->after]);
    w->after++;
}

/* Keywords of two letters; false: there is none. */
static bool
put_mark(struct writing *w, struct str f, size_t i)
{
    bool negative = w->negative, fill = w->p->fill;
    if (at_word(f, i, "FM") || at_word(f, i, "RN"))
        return true;
    if (at_word(f, i, "MI")) {
        if (negative || fill)
            ox_text_addc(w->to, negative ? '-' : ' ');
    } else if (at_word(f, i, "PL")) {
        if (!negative || fill)
            ox_text_addc(w->to, negative ? ' ' : '+');
    } else if (at_word(f, i, "SG")) {
        ox_text_addc(w->to, negative ? '-' : '+');
    } else if (at_word(f, i, "PR")) {
        if (negative || fill)
            ox_text_addc(w->to, negative ? '>' : ' ');
    } else if (at_word(f, i, "TH")) {
        if (!negative && !w->p->point && !w->over)
            format_ordinal(strtoll(w->have > 0 ? w->digits : "0", NULL, 10) % 1000,
                f.ptr[i] == 't', w->to);
    } else {
        return false;
    }
    return true;
}

/* digits: without sign, "123.45" with p->after decimals, or NULL: overflow. */
static void
put_number(
    struct str f, const struct picture *p, bool negative, const char *digits, struct text *to)
{
    struct writing w;
    writing_init(&w, p, negative, digits, to);
    for (size_t i = 0; i < f.len; i++) {
        char c = f.ptr[i];
        put_sign(&w, c);
        if (c == '"') {
            for (i++; i < f.len && f.ptr[i] != '"'; i++)
                ox_text_addc(to, f.ptr[i]);
        } else if (c == '9' || c == '0') {
            put_digit(&w);
        } else if (c == '.' || c == 'D' || c == 'd') {
            bool none = p->after > 0 && p->decimals == 0 && !w.over;
            if (!none && (p->fill || w.keep > 0 || w.over || p->last_zero > 0 || p->after > 0))
                ox_text_addc(to, '.');
            w.begun = true;
        } else if (c == ',' || c == 'G' || c == 'g') {
            if (w.begun || p->fill)
                ox_text_addc(to, w.begun ? ',' : ' ');
        } else if (put_mark(&w, f, i)) {
            i++;
        } else if (c == 'S' || c == 's') {
            if (!p->s_first)
                ox_text_addc(to, negative ? '-' : '+');
        } else if (c == 'L' || c == 'l') {
            if (p->fill)
                ox_text_addc(to, ' ');
        } else if (strchr("VvBb", c) == NULL) {
            ox_text_addc(to, c);
        }
    }
}

/* NaN at the place of the digits before the point, and infinity, have none: as PostgreSQL
 * writes them. False: the number has digits. */
static bool
put_special(struct str f, const struct picture *p, struct str num, struct text *to)
{
    if (numeric_scale(num) >= 0)
        return false;
    if (p->exponent) {
        ox_text_addc(to, ' ');
        for (size_t i = 0; i < f.len; i++)
            ox_text_addc(to, strchr("90E", f.ptr[i]) != NULL ? '#' : f.ptr[i]);
        return true;
    }
    if (!numeric_is_nan(num) || p->before < 3 || p->zero_at >= 0)
        return false;
    ox_text_addf(to, "%s%*s", p->sign_s ? "+" : p->fill ? " " : "", p->fill ? p->before : 0, "NaN");
    return true;
}

/* A float is rounded as it stands in memory, 2.675 down, and a half to the even digit; a
 * decimal of its shortest text would go up. */
static ox_code
number_of_float(struct call *call, double v, int precision, struct picture *p, struct str *num)
{
    if (!isfinite(v) || p->exponent || p->shift > 0) {
        *num = numeric_from_f64(v, precision, call->arena);
        return OX_OK;
    }
    struct text text;
    ox_text_init(&text, call->arena);
    ox_text_addf(&text, "%.0f", fabs(v));
    int room = precision - (int)OX_MIN(text.len, (size_t)precision);
    ox_text_clear(&text);
    p->decimals = OX_MIN(p->after, room);
    ox_text_addf(&text, "%.*f", p->decimals, v);
    return numeric_in(ox_text_str(&text), -1, call->arena, num, call->err);
}

ox_code
format_number(struct call *call, const struct datum *args, struct datum *out)
{
    struct picture p;
    struct text text, digits;
    struct str num = args[0].s;
    uint16_t id = call->types[0].id;
    ox_code code = read_picture(call, args[1].s, &p);
    if (code != OX_OK)
        return code;
    p.decimals = p.after;
    ox_text_init(&text, call->arena);
    ox_text_reserve(&text, 1);
    ox_text_init(&digits, call->arena);
    if (id == TYPE_INT4 || id == TYPE_INT8)
        num = numeric_from_i64(args[0].i, call->arena);
    else if (id != TYPE_NUMERIC)
        code = number_of_float(call, args[0].f, id == TYPE_FLOAT4 ? 6 : 15, &p, &num);
    if (code != OX_OK)
        return code;
    if (put_special(args[1].s, &p, num, &text)) {
        out->s = ox_text_str(&text);
        return OX_OK;
    }
    if (p.exponent) {
        double v = numeric_to_f64(num);
        ox_text_addf(&text, "%s%.*e", v >= 0 ? " " : "", p.after, v);
        out->s = ox_text_str(&text);
        return OX_OK;
    }
    if (p.roman) {
        int64_t n = 0;
        numeric_to_i64(num, &n, NULL);
        put_roman(n, p.roman_lower, p.fill, &text);
        out->s = ox_text_str(&text);
        return OX_OK;
    }
    bool over = numeric_scale(num) < 0, negative = numeric_sign(num) < 0;
    if (!over) {
        for (int i = 0; i < p.shift && code == OX_OK; i++)
            code =
                numeric_mul(num, numeric_from_i64(10, call->arena), call->arena, &num, call->err);
        num = numeric_round(numeric_abs(num, call->arena), p.after, call->arena);
        numeric_out(num, &digits);
        bool minus_zero = id == TYPE_FLOAT4 || id == TYPE_FLOAT8 ? signbit(args[0].f) != 0 : false;
        negative = numeric_sign(num) != 0 ? negative : minus_zero;
        size_t whole = strcspn(digits.ptr, ".");
        over = (int)whole > p.before && !(digits.ptr[0] == '0' && p.before == 0);
    }
    if (code != OX_OK)
        return code;
    put_number(args[1].s, &p, negative, over ? NULL : digits.ptr, &text);
    out->s = ox_text_str(&text);
    return OX_OK;
}

ox_code
format_to_number(struct call *call, const struct datum *args, struct datum *out)
{
    struct picture p;
    struct str s = args[0].s;
    char *to = call_alloc(call, s.len + 4);
    size_t n = 1;
    int before = 0, after = 0;
    bool negative = false, point = false;
    ox_code code = read_picture(call, args[1].s, &p);
    if (code == OX_OK && (p.exponent || p.roman))
        code = call_fail(call, OX_FEATURE_NOT_SUPPORTED, "\"%s\" not supported for input",
            p.exponent ? "EEEE" : "RN");
    if (code != OX_OK)
        return code;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '-' || c == '<') {
            negative = true;
        } else if (c == '.' && p.point && !point) {
            point = true;
            to[n++] = c;
        } else if (isdigit((unsigned char)c)) {
            if (point ? after++ < p.after : before++ < p.before)
                to[n++] = c;
        }
    }
    to[0] = negative ? '-' : '+';
    if (before + after == 0)
        return call_fail(call, OX_INVALID_TEXT_REPRESENTATION,
            "invalid input syntax for type numeric: \"%.*s\"", OX_STR_ARG(s));
    code = numeric_in(ox_str_n(to, n), -1, call->arena, &out->s, call->err);
    for (int i = 0; i < p.shift && code == OX_OK; i++)
        code =
            numeric_div(out->s, numeric_from_i64(10, call->arena), call->arena, &out->s, call->err);
    return code;
}
