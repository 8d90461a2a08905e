/* SPDX-License-Identifier: Apache-2.0
 *
 * to_char of times, to_timestamp, to_date: values by templates. A template is
 * read from left to right; the longest keyword that stands there wins, all else
 * is literal. Names of months and days are English. */
#include "exec/expr_int.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum key {
    K_NONE,
    K_AM,
    K_AM_DOTS,
    K_BC,
    K_BC_DOTS,
    K_CC,
    K_DAY,
    K_DDD,
    K_DD,
    K_DY,
    K_D,
    K_FF,
    K_FX,
    K_HH24,
    K_HH12,
    K_IDDD,
    K_ID,
    K_IW,
    K_IYYY,
    K_IYY,
    K_IY,
    K_I,
    K_J,
    K_MI,
    K_MM,
    K_MONTH,
    K_MON,
    K_MS,
    K_OF,
    K_Q,
    K_RM,
    K_SSSSS,
    K_SS,
    K_TZH,
    K_TZM,
    K_TZ,
    K_US,
    K_WW,
    K_W,
    K_Y_YYY,
    K_YYYY,
    K_YYY,
    K_YY,
    K_Y,
};

struct keyword {
    const char *text;
    enum key key;
    uint8_t arg; /* digits of FF */
};

/* Longer ones first where one begins another. */
static const struct keyword keywords[] = {{"A.M.", K_AM_DOTS, 0}, {"P.M.", K_AM_DOTS, 0},
    {"AM", K_AM, 0}, {"PM", K_AM, 0}, {"A.D.", K_BC_DOTS, 0}, {"B.C.", K_BC_DOTS, 0},
    {"AD", K_BC, 0}, {"BC", K_BC, 0}, {"CC", K_CC, 0}, {"DAY", K_DAY, 0}, {"DDD", K_DDD, 0},
    {"DD", K_DD, 0}, {"DY", K_DY, 0}, {"D", K_D, 0}, {"FF1", K_FF, 1}, {"FF2", K_FF, 2},
    {"FF3", K_FF, 3}, {"FF4", K_FF, 4}, {"FF5", K_FF, 5}, {"FF6", K_FF, 6}, {"FX", K_FX, 0},
    {"HH24", K_HH24, 0}, {"HH12", K_HH12, 0}, {"HH", K_HH12, 0}, {"IDDD", K_IDDD, 0},
    {"ID", K_ID, 0}, {"IW", K_IW, 0}, {"IYYY", K_IYYY, 0}, {"IYY", K_IYY, 0}, {"IY", K_IY, 0},
    {"I", K_I, 0}, {"J", K_J, 0}, {"MI", K_MI, 0}, {"MM", K_MM, 0}, {"MONTH", K_MONTH, 0},
    {"MON", K_MON, 0}, {"MS", K_MS, 0}, {"OF", K_OF, 0}, {"Q", K_Q, 0}, {"RM", K_RM, 0},
    {"SSSSS", K_SSSSS, 0}, {"SSSS", K_SSSSS, 0}, {"SS", K_SS, 0}, {"TZH", K_TZH, 0},
    {"TZM", K_TZM, 0}, {"TZ", K_TZ, 0}, {"US", K_US, 0}, {"WW", K_WW, 0}, {"W", K_W, 0},
    {"Y,YYY", K_Y_YYY, 0}, {"YYYY", K_YYYY, 0}, {"YYY", K_YYY, 0}, {"YY", K_YY, 0}, {"Y", K_Y, 0}};

static const struct keyword *
keyword_at(struct str f, size_t at)
{
    const struct keyword *best = NULL;
    size_t best_len = 0;
    for (size_t i = 0; i < ox_count(keywords); i++) {
        size_t len = strlen(keywords[i].text);
        if (len > best_len && f.len - at >= len &&
            ox_str_ieq(ox_str_n(f.ptr + at, len), ox_str_n(keywords[i].text, len))) {
            best = &keywords[i];
            best_len = len;
        }
    }
    return best;
}

static const char *const roman_months[12] = {
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"};

/* ---- time to text ---------------------------------------------------------------------- */

struct moment {
    struct civil c;
    int64_t days, hours; /* hours of an interval may pass 23 */
    bool interval, zoned;
    int32_t offset;
    const char *zone;
};

/* The case of the keyword: MONTH, Month, month. */
static void
put_cased(struct text *to, const char *word, const char *pattern, size_t len)
{
    bool upper = pattern[0] >= 'A' && pattern[0] <= 'Z';
    bool second = len > 1 && pattern[1] >= 'A' && pattern[1] <= 'Z';
    for (size_t i = 0; word[i] != '\0'; i++) {
        bool up = i == 0 ? upper : upper && second;
        ox_text_addc(
            to, (char)(up ? toupper((unsigned char)word[i]) : tolower((unsigned char)word[i])));
    }
}

static void
put_as(struct text *to, const char *word, bool lower)
{
    for (; *word != '\0'; word++)
        ox_text_addc(to, lower ? (char)tolower((unsigned char)*word) : *word);
}

void
format_ordinal(int64_t n, bool lower, struct text *to)
{
    int64_t a = n < 0 ? -n : n, last = a % 100 >= 11 && a % 100 <= 13 ? 0 : a % 10;
    const char *suffix = last == 1 ? "ST" : last == 2 ? "ND" : last == 3 ? "RD" : "TH";
    put_as(to, suffix, lower);
}

static void
put_padded(struct text *to, size_t start, size_t width)
{
    while (to->len - start < width)
        ox_text_addc(to, ' ');
}

static void
put_name(const struct moment *m, const struct keyword *k, const char *pattern, bool fill,
    struct text *to)
{
    bool month = k->key == K_MONTH || k->key == K_MON, shorted = k->key == K_MON || k->key == K_DY;
    int day = m->interval ? 0 : civil_weekday(m->days);
    char word[12];
    size_t start = to->len;
    if (month && m->c.month == 0)
        return;
    snprintf(word, sizeof(word), shorted ? "%.3s" : "%s",
        month ? month_names[m->c.month - 1] : day_names[day]);
    put_cased(to, word, pattern, strlen(k->text));
    if (!shorted && fill)
        put_padded(to, start, 9);
}

/* From 1; an interval's months count backward below zero, and whole years end with one. */
static int
roman_month(const struct moment *m)
{
    if (m->c.month == 0)
        return m->c.year > 0 ? 12 : 1;
    return m->c.month > 0 ? m->c.month : 13 + m->c.month;
}

/* Keywords that show words. False: it is one of numbers. */
static bool
put_word(const struct moment *m, const struct keyword *k, const char *pattern, bool fill,
    struct text *to)
{
    bool lower = pattern[0] >= 'a', pm = m->hours % 24 >= 12, bc = m->c.year <= 0;
    size_t start = to->len;
    int32_t offset = abs(m->offset);
    switch (k->key) {
    case K_AM: put_as(to, pm ? "PM" : "AM", lower); break;
    case K_AM_DOTS: put_as(to, pm ? "P.M." : "A.M.", lower); break;
    case K_BC: put_as(to, bc ? "BC" : "AD", lower); break;
    case K_BC_DOTS: put_as(to, bc ? "B.C." : "A.D.", lower); break;
    case K_MONTH:
    case K_MON:
    case K_DAY:
    case K_DY: put_name(m, k, pattern, fill, to); break;
    case K_RM:
        if (m->c.month == 0 && m->c.year == 0)
            break;
        put_as(to, roman_months[roman_month(m) - 1], lower);
        if (fill)
            put_padded(to, start, 4);
        break;
    case K_TZ: put_as(to, m->zone != NULL ? m->zone : "", lower); break;
    case K_TZH:
    case K_OF:
        ox_text_addf(to, "%c%02d", m->offset < 0 ? '-' : '+', offset / 3600);
        if (k->key == K_OF && offset % 3600 != 0)
            ox_text_addf(to, ":%02d", offset / 60 % 60);
        break;
    case K_FX: break;
    case K_Q: return m->c.month == 0; /* no quarter */
    default: return false;
    }
    return true;
}

/* Of the clock. False: it is none of it. */
static bool
clock_number(const struct moment *m, const struct keyword *k, int64_t *v, int *width)
{
    static const int unit[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    const struct civil *c = &m->c;
    *width = 2;
    switch (k->key) {
    case K_TZM: *v = abs(m->offset) / 60 % 60; break;
    case K_HH24: *v = m->hours; break;
    case K_HH12: *v = m->hours % 12 == 0 ? 12 : m->hours % 12; break;
    case K_MI: *v = c->minute; break;
    case K_SS: *v = c->second; break;
    case K_MS: *v = c->us / 1000; *width = 3; break;
    case K_US: *v = c->us; *width = 6; break;
    case K_FF: *v = c->us / unit[k->arg]; *width = k->arg; break;
    case K_SSSSS: *v = m->hours * 3600 + c->minute * 60 + c->second; *width = 0; break;
    default: return false;
    }
    return true;
}

/* Of years. False: it is none of them. */
static bool
year_number(const struct moment *m, const struct keyword *k, int64_t *v, int *width)
{
    int64_t year = m->interval || m->c.year > 0 ? m->c.year : 1 - m->c.year;
    int iso_year = 0, week;
    if (!m->interval) {
        civil_iso_week(m->days, &iso_year, &week);
        iso_year = iso_year > 0 ? iso_year : 1 - iso_year;
    }
    switch (k->key) {
    case K_YYYY: *v = year; *width = 4; break;
    case K_YYY: *v = year % 1000; *width = 3; break;
    case K_YY: *v = year % 100; *width = 2; break;
    case K_Y: *v = year % 10; *width = 1; break;
    case K_IYYY: *v = iso_year; *width = 4; break;
    case K_IYY: *v = iso_year % 1000; *width = 3; break;
    case K_IY: *v = iso_year % 100; *width = 2; break;
    case K_I: *v = iso_year % 10; *width = 1; break;
    case K_CC:
        *v = m->interval       ? m->c.year / 100
             : m->c.year > 0 ? (m->c.year + 99) / 100
                               : -((1 - m->c.year + 99) / 100);
        *width = 2;
        break;
    default: return false;
    }
    return true;
}

/* Of days, weeks, months. */
static void
day_number(const struct moment *m, const struct keyword *k, int64_t *v, int *width)
{
    const struct civil *c = &m->c;
    int64_t doy = m->interval ? m->days - 1 : m->days - civil_to_days(c->year, 1, 1);
    int iso_year, week = 0, wday = m->interval ? 0 : civil_weekday(m->days);
    if (!m->interval)
        civil_iso_week(m->days, &iso_year, &week);
    *width = 2;
    switch (k->key) {
    case K_MM: *v = c->month; break;
    case K_DDD: *v = doy + 1; *width = 3; break;
    case K_IDDD: *v = (week - 1) * 7 + (wday + 6) % 7 + 1; *width = 3; break;
    case K_DD: *v = c->day; break;
    case K_D: *v = wday + 1; *width = 1; break;
    case K_ID: *v = wday == 0 ? 7 : wday; *width = 1; break;
    case K_WW: *v = doy / 7 + 1; break;
    case K_W: *v = (c->day - 1) / 7 + 1; *width = 1; break;
    case K_IW: *v = week; break;
    case K_J: *v = m->days + 2451545; *width = 0; break;
    case K_Q: *v = (c->month - 1) / 3 + 1; *width = 1; break;
    default: *v = 0; break;
    }
}

/* *numeric: a number was shown, which "TH" may follow. */
static void
put_key(const struct moment *m, const struct keyword *k, const char *pattern, bool fill,
    struct text *to, bool *numeric, int64_t *number)
{
    int width;
    *numeric = !put_word(m, k, pattern, fill, to);
    if (!*numeric)
        return;
    if (k->key == K_Y_YYY) {
        *number = m->interval || m->c.year > 0 ? m->c.year : 1 - m->c.year;
        ox_text_addf(to, "%lld,%03lld", (long long)(*number / 1000), (long long)(*number % 1000));
        return;
    }
    if (!clock_number(m, k, number, &width) && !year_number(m, k, number, &width))
        day_number(m, k, number, &width);
    fill |= k->key == K_FF;
    bool beside = k->key != K_DD && k->key != K_DDD && k->key != K_WW && k->key != K_MS &&
                  k->key != K_US && k->key != K_FF;
    width += *number < 0 && fill && beside; /* the sign stands beside the digits */
    ox_text_addf(to, "%0*lld", fill ? width : 0, (long long)*number);
}

/* What only a day of the calendar has. */
static bool
is_of_calendar(enum key key)
{
    switch (key) {
    case K_BC:
    case K_BC_DOTS:
    case K_TZ:
    case K_TZH:
    case K_TZM:
    case K_OF:
    case K_MONTH:
    case K_MON:
    case K_DAY:
    case K_DY:
    case K_D:
    case K_ID: return true;
    default: return false;
    }
}

static ox_code
format_moment(struct call *call, const struct moment *m, struct str f, struct text *to)
{
    for (size_t i = 0; i < f.len;) {
        bool fill = true;
        if (f.ptr[i] == '"') { /* literal text */
            for (i++; i < f.len && f.ptr[i] != '"'; i++) {
                if (f.ptr[i] == '\\' && i + 1 < f.len)
                    i++;
                ox_text_addc(to, f.ptr[i]);
            }
            i++;
            continue;
        }
        if (f.ptr[i] == '\\' && i + 1 < f.len && f.ptr[i + 1] == '"') {
            ox_text_addc(to, '"');
            i += 2;
            continue;
        }
        size_t start = i;
        while (f.len - i >= 2 && (ox_str_ieq(ox_str_n(f.ptr + i, 2), OX_STR("FM")) ||
                                     ox_str_ieq(ox_str_n(f.ptr + i, 2), OX_STR("TM")))) {
            fill &= (f.ptr[i] | 32) != 'f';
            i += 2;
        }
        const struct keyword *k = i < f.len ? keyword_at(f, i) : NULL;
        if (k == NULL) {
            i = start;
            ox_text_addc(to, f.ptr[i++]);
            continue;
        }
        if (m->interval && is_of_calendar(k->key)) {
            call_fail(call, OX_INVALID_DATETIME_FORMAT,
                "invalid format specification for an interval value");
            ox_hint(call->err, "Intervals are not tied to specific calendar dates.");
            return OX_INVALID_DATETIME_FORMAT;
        }
        bool numeric;
        int64_t number = 0;
        put_key(m, k, f.ptr + i, fill, to, &numeric, &number);
        i += strlen(k->text);
        if (numeric && f.len - i >= 2 && ox_str_ieq(ox_str_n(f.ptr + i, 2), OX_STR("TH"))) {
            format_ordinal(number, f.ptr[i] == 't', to);
            i += 2;
        }
    }
    return OX_OK;
}

ox_code
format_time(struct call *call, const struct datum *args, struct datum *out)
{
    struct moment m = {.interval = call->types[0].id == TYPE_INTERVAL,
        .zoned = call->types[0].id == TYPE_TIMESTAMPTZ};
    struct text text;
    ox_text_init(&text, call->arena);
    ox_text_reserve(&text, 1);
    if (m.interval) {
        struct interval v = datum_interval(&args[0]);
        m.c.year = v.months / 12;
        m.c.month = v.months % 12;
        m.c.day = v.days;
        m.hours = v.us / US_HOUR;
        m.c.minute = (int)(v.us / US_MIN % 60);
        m.c.second = (int)(v.us / US_SEC % 60);
        m.c.us = (int32_t)(v.us % US_SEC);
        m.days = (int64_t)v.months * 30 + v.days;
    } else {
        int64_t us = args[0].i;
        if (us == TIME_INF || us == TIME_NINF) {
            out->null = true;
            return OX_OK;
        }
        if (m.zoned) {
            m.offset = timezone_offset(call_format(call)->tz, us, &m.zone);
            us += m.offset * US_SEC;
        }
        civil_from_us(us, &m.c);
        m.days = us / US_DAY - (us % US_DAY < 0);
        m.hours = m.c.hour;
    }
    ox_code code = format_moment(call, &m, args[1].s, &text);
    out->null = args[1].s.len == 0;
    out->s = ox_text_str(&text);
    return code;
}

/* ---- text to time -------------------- */

struct reading {
    struct call *call;
    struct str s;
    size_t at;
    int64_t year, month, day, doy, hour, minute, second, ms, us, julian, tz_hour, tz_minute,
        iso_year, iso_week, iso_day, iso_doy, century, week, unused;
    bool has_year, has_doy, has_julian, has_zone, has_iso, pm, am, bc, hour12, tz_negative, has_tz;
    int year_digits;
    const struct timezone *tz;
};

static bool
read_int(struct reading *r, size_t max, int64_t *v, size_t *digits)
{
    while (r->at < r->s.len && r->s.ptr[r->at] == ' ')
        r->at++;
    bool minus = r->at < r->s.len && r->s.ptr[r->at] == '-';
    bool plus = r->at < r->s.len && r->s.ptr[r->at] == '+';
    size_t start = r->at + (minus || plus), n = 0;
    *v = 0;
    while (start + n < r->s.len && n < max && isdigit((unsigned char)r->s.ptr[start + n]))
        *v = *v * 10 + (r->s.ptr[start + n++] - '0');
    if (n == 0)
        return false;
    r->at = start + n;
    if (minus)
        *v = -*v;
    if (digits != NULL)
        *digits = n;
    return true;
}

static bool
read_word(struct reading *r, const char *const *words, int count, size_t cut, int *index)
{
    int best = -1;
    size_t best_len = 0;
    for (int i = 0; i < count; i++) {
        size_t len = cut > 0 ? OX_MIN(cut, strlen(words[i])) : strlen(words[i]);
        if (len > best_len && r->s.len - r->at >= len &&
            ox_str_ieq(ox_str_n(r->s.ptr + r->at, len), ox_str_n(words[i], len))) {
            best = i;
            best_len = len;
        }
    }
    r->at += best_len;
    *index = best;
    return best >= 0;
}

/* Names: of halves of the day, eras, months, days. */
static bool
read_name(struct reading *r, const struct keyword *k)
{
    static const char *const halves[] = {"A.M.", "P.M.", "AM", "PM"};
    static const char *const eras[] = {"A.D.", "B.C.", "AD", "BC"};
    int index;
    switch (k->key) {
    case K_AM:
    case K_AM_DOTS:
        if (!read_word(r, halves, 4, 0, &index))
            return false;
        r->pm = index % 2 == 1;
        r->am = !r->pm;
        r->hour12 = true;
        return true;
    case K_BC:
    case K_BC_DOTS:
        if (!read_word(r, eras, 4, 0, &index))
            return false;
        r->bc = index % 2 == 1;
        return true;
    case K_DAY: return read_word(r, day_names, 7, 0, &index);
    case K_DY: return read_word(r, day_names, 7, 3, &index);
    case K_RM:
        if (!read_word(r, roman_months, 12, 0, &index))
            return false;
        break;
    default:
        if (!(k->key == K_MONTH && read_word(r, month_names, 12, 0, &index)) &&
            !read_word(r, month_names, 12, 3, &index))
            return false;
    }
    r->month = index + 1;
    return true;
}

static bool
read_fraction(struct reading *r, const struct keyword *k, size_t any)
{
    size_t digits, max = k->key == K_MS ? 3 : k->key == K_US ? 6 : k->arg;
    int64_t v;
    if (!read_int(r, OX_MAX(max, any), &v, &digits))
        return false;
    for (; digits < (k->key == K_MS ? 3 : 6); digits++)
        v *= 10;
    *(k->key == K_MS ? &r->ms : &r->us) = k->key == K_MS ? v * 1000 : v;
    return true;
}

static bool
read_seconds_of_day(struct reading *r)
{
    int64_t v;
    if (!read_int(r, 9, &v, NULL))
        return false;
    r->hour = v / 3600;
    r->minute = v / 60 % 60;
    r->second = v % 60;
    return true;
}

/* "2,024" */
static bool
read_year_with_comma(struct reading *r)
{
    int64_t thousands, rest;
    if (!read_int(r, 9, &thousands, NULL) || r->at >= r->s.len || r->s.ptr[r->at] != ',')
        return false;
    r->at++;
    if (!read_int(r, 3, &rest, NULL))
        return false;
    r->year = thousands * 1000 + rest;
    r->has_year = true;
    r->year_digits = 4;
    return true;
}

/* Few digits mean the year nearest to 2020, but for YYYY. */
static bool
read_year(struct reading *r, const struct keyword *k, size_t any)
{
    size_t width = k->key == K_YYYY ? 4 : k->key == K_YYY ? 3 : k->key == K_YY ? 2 : 1, digits;
    if (!read_int(r, OX_MAX(width, any), &r->year, &digits))
        return false;
    r->has_year = true;
    r->year_digits = (int)digits;
    if (k->key == K_YYYY)
        return true;
    if (digits <= 2 && r->year < 100)
        r->year += r->year < 70 ? 2000 : 1900;
    else if (digits == 3)
        r->year += r->year < 520 ? 2000 : 1000;
    return true;
}

static bool
read_zone_hour(struct reading *r)
{
    r->has_zone = true;
    r->tz_negative = r->at < r->s.len && r->s.ptr[r->at] == '-';
    if (!read_int(r, 2, &r->tz_hour, NULL))
        return false;
    r->tz_hour = r->tz_hour < 0 ? -r->tz_hour : r->tz_hour;
    return true;
}

/* A number of so many digits, or of any when a non-digit follows in the template. */
static bool
read_number(struct reading *r, const struct keyword *k, size_t any)
{
    static const struct {
        enum key key;
        uint8_t digits;
        bool exact;
        size_t to;
    } numbers[] = {{K_HH24, 2, false, offsetof(struct reading, hour)},
        {K_HH12, 2, false, offsetof(struct reading, hour)},
        {K_MI, 2, false, offsetof(struct reading, minute)},
        {K_SS, 2, false, offsetof(struct reading, second)},
        {K_MM, 2, false, offsetof(struct reading, month)},
        {K_DD, 2, false, offsetof(struct reading, day)},
        {K_DDD, 3, false, offsetof(struct reading, doy)},
        {K_WW, 2, false, offsetof(struct reading, week)},
        {K_CC, 2, false, offsetof(struct reading, century)},
        {K_J, 9, true, offsetof(struct reading, julian)},
        {K_IYYY, 4, false, offsetof(struct reading, iso_year)},
        {K_IW, 2, false, offsetof(struct reading, iso_week)},
        {K_ID, 1, true, offsetof(struct reading, iso_day)},
        {K_IDDD, 3, false, offsetof(struct reading, iso_doy)},
        {K_TZM, 2, true, offsetof(struct reading, tz_minute)},
        {K_D, 1, true, offsetof(struct reading, unused)},
        {K_W, 1, true, offsetof(struct reading, unused)},
        {K_Q, 1, true, offsetof(struct reading, unused)}};
    for (size_t i = 0; i < ox_count(numbers); i++) {
        if (numbers[i].key != k->key)
            continue;
        size_t max = numbers[i].exact ? numbers[i].digits : OX_MAX(numbers[i].digits, any);
        return read_int(r, max, (int64_t *)((char *)r + numbers[i].to), NULL);
    }
    return true;
}

static bool
read_key(struct reading *r, const struct keyword *k, bool adjacent)
{
    size_t any = adjacent ? 0 : 9;
    while (r->at < r->s.len && r->s.ptr[r->at] == ' ')
        r->at++;
    switch (k->key) {
    case K_AM:
    case K_AM_DOTS:
    case K_BC:
    case K_BC_DOTS:
    case K_MONTH:
    case K_MON:
    case K_RM:
    case K_DAY:
    case K_DY: return read_name(r, k);
    case K_MS:
    case K_US:
    case K_FF: return read_fraction(r, k, any);
    case K_SSSSS: return read_seconds_of_day(r);
    case K_Y_YYY: return read_year_with_comma(r);
    case K_YYYY:
    case K_YYY:
    case K_YY:
    case K_Y: return read_year(r, k, any);
    case K_TZH: return read_zone_hour(r);
    default:
        r->hour12 |= k->key == K_HH12;
        r->has_iso |= k->key == K_IYYY || k->key == K_IW || k->key == K_ID || k->key == K_IDDD;
        r->has_doy |= k->key == K_DDD;
        r->has_julian |= k->key == K_J;
        r->has_zone |= k->key == K_TZM;
        return read_number(r, k, any);
    }
}

static ox_code
read_moment(struct call *call, struct str s, struct str f, struct reading *r)
{
    *r = (struct reading){.call = call, .s = s, .month = 1, .day = 1};
    for (size_t i = 0; i < f.len;) {
        while (f.len - i >= 2 && (ox_str_ieq(ox_str_n(f.ptr + i, 2), OX_STR("FM")) ||
                                     ox_str_ieq(ox_str_n(f.ptr + i, 2), OX_STR("TM"))))
            i += 2;
        if (i >= f.len || r->at >= s.len)
            break;
        if (f.ptr[i] == '"') {
            for (i++; i < f.len && f.ptr[i] != '"'; i++)
                r->at += r->at < s.len;
            i++;
            continue;
        }
        const struct keyword *k = keyword_at(f, i);
        if (k == NULL) {
            bool word = isalnum((unsigned char)f.ptr[i]) != 0;
            if (f.ptr[i] == ' ' || !word) { /* a separator takes separators */
                if (r->at < s.len && !isalnum((unsigned char)s.ptr[r->at]) &&
                    !((s.ptr[r->at] == '-' || s.ptr[r->at] == '+') && i + 1 < f.len &&
                        (f.ptr[i + 1] | 32) == 't' && f.ptr[i] == ' '))
                    r->at++;
            } else {
                r->at++;
            }
            i++;
            continue;
        }
        if (k->key == K_TZ || k->key == K_OF)
            return call_fail(call, OX_FEATURE_NOT_SUPPORTED,
                "formatting field \"%s\" is only supported in to_char", k->text);
        i += strlen(k->text);
        bool adjacent = i < f.len && (keyword_at(f, i) != NULL || isdigit((unsigned char)f.ptr[i]));
        if (!read_key(r, k, adjacent)) {
            call_fail(call, OX_INVALID_DATETIME_FORMAT, "invalid value \"%.*s\" for \"%s\"",
                (int)OX_MIN(s.len - OX_MIN(r->at, s.len), (size_t)10), s.ptr + OX_MIN(r->at, s.len),
                k->text);
            return OX_INVALID_DATETIME_FORMAT;
        }
        if (f.len - i >= 2 && ox_str_ieq(ox_str_n(f.ptr + i, 2), OX_STR("TH")) &&
            k->key != K_NONE) {
            r->at = OX_MIN(r->at + 2, s.len);
            i += 2;
        }
    }
    return OX_OK;
}

static ox_code
out_of_range(const struct reading *r)
{
    return call_fail(r->call, OX_DATETIME_FIELD_OVERFLOW,
        "date/time field value out of range: \"%.*s\"", OX_STR_ARG(r->s));
}

/* The hour, of 24 from here on, and what is smaller. */
static ox_code
check_clock(struct reading *r)
{
    if (r->hour12) {
        if (r->hour < 1 || r->hour > 12) {
            call_fail(r->call, OX_INVALID_DATETIME_FORMAT,
                "hour \"%lld\" is invalid for the 12-hour clock", (long long)r->hour);
            ox_hint(r->call->err, "Use the 24-hour clock, or give an hour between 1 and 12.");
            return OX_INVALID_DATETIME_FORMAT;
        }
        if (r->pm && r->hour < 12)
            r->hour += 12;
        else if (!r->pm && r->hour == 12)
            r->hour = 0;
    }
    if (r->hour > 23 || r->minute > 59 || r->second > 59 || r->hour < 0 || r->minute < 0 ||
        r->second < 0 || r->ms + r->us >= US_SEC || r->ms + r->us < 0)
        return out_of_range(r);
    if (r->tz_hour > 15 || r->tz_minute > 59)
        return call_fail(r->call, OX_TIME_ZONE_DISPLACEMENT,
            "time zone displacement out of range: \"%.*s\"", OX_STR_ARG(r->s));
    return OX_OK;
}

static ox_code
moment_days(struct reading *r, int64_t *days)
{
    int64_t year = r->has_year ? r->year : 0;
    if (r->has_julian) {
        *days = r->julian - 2451545;
        return OX_OK;
    }
    if (r->has_iso && r->iso_year != 0) {
        int64_t jan4 = civil_to_days(r->iso_year, 1, 4),
                monday = jan4 - (civil_weekday(jan4) + 6) % 7;
        *days = r->iso_doy > 0 ? monday + r->iso_doy - 1
                               : monday + (OX_MAX(r->iso_week, 1) - 1) * 7 +
                                     (r->iso_day > 0 ? r->iso_day - 1 : 0);
        return OX_OK;
    }
    if (!r->has_year && r->century != 0)
        year = (r->century - 1) * 100 + 1;
    if (r->bc)
        year = 1 - year;
    else if (r->has_year && year < 0)
        year += 1;
    else if (!r->has_year && r->century == 0)
        year = 0; /* year 1 BC, as to_date without a year */
    if (r->has_doy && r->doy != 0) {
        if (!r->has_year && !r->bc && r->century == 0)
            return call_fail(r->call, OX_INVALID_DATETIME_FORMAT,
                "cannot calculate day of year without year information");
        int64_t first = civil_to_days(year, 1, 1);
        if (r->doy < 0 || r->doy > civil_to_days(year + 1, 1, 1) - first)
            return out_of_range(r);
        *days = first + r->doy - 1;
        return OX_OK;
    }
    if (r->week > 0 && r->month == 1 && r->day == 1) {
        *days = civil_to_days(year, 1, 1) + (r->week - 1) * 7;
        return OX_OK;
    }
    r->month += r->month == 0; /* as if it were not there */
    r->day += r->day == 0;
    if (!civil_valid(
            year, (int)OX_MIN(OX_MAX(r->month, 0), 99), (int)OX_MIN(OX_MAX(r->day, 0), 99)) ||
        year > 5874897)
        return out_of_range(r);
    *days = civil_to_days(year, (int)r->month, (int)r->day);
    return OX_OK;
}

static ox_code
read_all(struct call *call, const struct datum *args, struct reading *r, int64_t *days)
{
    ox_code code = read_moment(call, args[0].s, args[1].s, r);
    if (code == OX_OK)
        code = check_clock(r);
    return code == OX_OK ? moment_days(r, days) : code;
}

ox_code
format_to_date(struct call *call, const struct datum *args, struct datum *out)
{
    struct reading r;
    return read_all(call, args, &r, &out->i);
}

ox_code
format_to_timestamp(struct call *call, const struct datum *args, struct datum *out)
{
    struct reading r;
    int64_t days;
    ox_code code = read_all(call, args, &r, &days);
    if (code != OX_OK)
        return code;
    if (days > 106751983)
        return out_of_range(&r);
    out->i = days * US_DAY + r.hour * US_HOUR + r.minute * US_MIN + r.second * US_SEC + r.ms + r.us;
    if (r.has_zone) {
        int64_t offset = (r.tz_hour * 3600 + r.tz_minute * 60) * US_SEC;
        out->i -= r.tz_negative ? -offset : offset;
    } else {
        out->i = timezone_to_utc(call_format(call)->tz, out->i);
    }
    return timestamp_check(out->i, call->err);
}
