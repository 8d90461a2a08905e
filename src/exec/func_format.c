/* SPDX-License-Identifier: Apache-2.0
 *
 * to_char, to_timestamp, to_date, to_number: values by templates. A template is
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

static const char *
ordinal(int64_t n)
{
    int64_t a = n < 0 ? -n : n;
    if (a % 100 >= 11 && a % 100 <= 13)
        return "TH";
    return a % 10 == 1 ? "ST" : a % 10 == 2 ? "ND" : a % 10 == 3 ? "RD" : "TH";
}

static void
put_key(const struct moment *m, const struct keyword *k, const char *pattern, bool fill,
    struct text *to, bool *numeric, int64_t *number)
{
    const struct civil *c = &m->c;
    int64_t v = 0, year = m->interval ? c->year : c->year > 0 ? c->year : 1 - c->year;
    int width = 2, iso_year = 0, week = 0;
    size_t len = strlen(k->text);
    int wday = m->interval ? 0 : civil_weekday(m->days);
    if (!m->interval)
        civil_iso_week(m->days, &iso_year, &week);
    iso_year = iso_year > 0 || m->interval ? iso_year : 1 - iso_year;
    *numeric = true;
    switch (k->key) {
    case K_AM:
    case K_AM_DOTS: {
        bool pm = ((m->hours % 24) + 24) % 24 >= 12, lower = pattern[0] >= 'a';
        ox_text_adds(to, k->key == K_AM
                             ? (pm ? (lower ? "pm" : "PM") : (lower ? "am" : "AM"))
                             : (pm ? (lower ? "p.m." : "P.M.") : (lower ? "a.m." : "A.M.")));
        *numeric = false;
        return;
    }
    case K_BC:
    case K_BC_DOTS: {
        bool bc = c->year <= 0, lower = pattern[0] >= 'a';
        ox_text_adds(to, k->key == K_BC
                             ? (bc ? (lower ? "bc" : "BC") : (lower ? "ad" : "AD"))
                             : (bc ? (lower ? "b.c." : "B.C.") : (lower ? "a.d." : "A.D.")));
        *numeric = false;
        return;
    }
    case K_MONTH:
    case K_MON:
    case K_DAY:
    case K_DY: {
        bool month = k->key == K_MONTH || k->key == K_MON,
             shorted = k->key == K_MON || k->key == K_DY;
        char word[12];
        *numeric = false;
        if (month && c->month == 0)
            return;
        snprintf(word, sizeof(word), shorted ? "%.3s" : "%s",
            month ? month_names[c->month - 1] : day_names[wday]);
        size_t start = to->len;
        put_cased(to, word, pattern, len);
        while (!shorted && fill && to->len - start < 9)
            ox_text_addc(to, ' ');
        return;
    }
    case K_RM: {
        *numeric = false;
        if (c->month == 0)
            return;
        size_t start = to->len;
        for (const char *r = roman_months[c->month - 1]; *r; r++)
            ox_text_addc(to, pattern[0] >= 'a' ? (char)tolower((unsigned char)*r) : *r);
        while (fill && to->len - start < 4)
            ox_text_addc(to, ' ');
        return;
    }
    case K_TZ:
        *numeric = false;
        for (const char *z = m->zone != NULL ? m->zone : ""; *z; z++)
            ox_text_addc(to, pattern[0] >= 'a' ? (char)tolower((unsigned char)*z) : *z);
        return;
    case K_TZH:
    case K_OF: {
        *numeric = false;
        int32_t a = abs(m->offset);
        ox_text_addf(to, "%c%0*d", m->offset < 0 ? '-' : '+', 2, a / 3600);
        if (k->key == K_OF && a % 3600 != 0)
            ox_text_addf(to, ":%02d", a / 60 % 60);
        return;
    }
    case K_FX:
        *numeric = false;
        return;
    case K_TZM:
        v = abs(m->offset) / 60 % 60;
        break;
    case K_HH24:
        v = m->hours;
        break;
    case K_HH12:
        v = m->hours % 12 == 0 ? 12 : m->hours % 12;
        break;
    case K_MI:
        v = c->minute;
        break;
    case K_SS:
        v = c->second;
        break;
    case K_MS:
        v = c->us / 1000;
        width = 3;
        break;
    case K_US:
        v = c->us;
        width = 6;
        break;
    case K_FF: {
        static const int unit[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
        v = c->us / unit[k->arg];
        width = k->arg;
        fill = true;
        break;
    }
    case K_SSSSS:
        v = m->hours * 3600 + c->minute * 60 + c->second;
        width = 0;
        break;
    case K_Y_YYY:
        v = year;
        if (fill)
            ox_text_addf(to, "%lld,%03lld", (long long)(year / 1000), (long long)(year % 1000));
        else
            ox_text_addf(to, "%lld,%03lld", (long long)(year / 1000), (long long)(year % 1000));
        *number = v;
        return;
    case K_YYYY:
        v = year;
        width = year < 0 ? 5 : 4;
        break;
    case K_YYY:
        v = year % 1000;
        width = 3;
        break;
    case K_YY:
        v = year % 100;
        break;
    case K_Y:
        v = year % 10;
        width = 1;
        break;
    case K_IYYY:
        v = iso_year;
        width = 4;
        break;
    case K_IYY:
        v = iso_year % 1000;
        width = 3;
        break;
    case K_IY:
        v = iso_year % 100;
        break;
    case K_I:
        v = iso_year % 10;
        width = 1;
        break;
    case K_MM:
        v = c->month;
        break;
    case K_DDD:
        v = m->interval ? 0 : m->days - civil_to_days(c->year, 1, 1) + 1;
        width = 3;
        break;
    case K_IDDD:
        v = (week - 1) * 7 + (wday + 6) % 7 + 1;
        width = 3;
        break;
    case K_DD:
        v = c->day;
        break;
    case K_D:
        v = wday + 1;
        width = 1;
        break;
    case K_ID:
        v = wday == 0 ? 7 : wday;
        width = 1;
        break;
    case K_WW:
        v = m->interval ? 0 : (m->days - civil_to_days(c->year, 1, 1)) / 7 + 1;
        break;
    case K_W:
        v = (c->day - 1) / 7 + 1;
        width = 1;
        break;
    case K_IW:
        v = week;
        break;
    case K_CC:
        v = c->year > 0 ? (c->year + 99) / 100 : -((1 - c->year + 99) / 100);
        break;
    case K_J:
        v = m->days + 2451545;
        width = 0;
        break;
    case K_Q:
        v = (c->month - 1) / 3 + 1;
        width = 1;
        *numeric = true;
        break;
    default:
        break;
    }
    *number = v;
    if (v < 0 && fill)
        width++;
    ox_text_addf(to, "%0*lld", fill ? width : 0, (long long)v);
}

static void
format_moment(const struct moment *m, struct str f, struct text *to)
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
        bool numeric;
        int64_t number = 0;
        put_key(m, k, f.ptr + i, fill, to, &numeric, &number);
        i += strlen(k->text);
        if (numeric && f.len - i >= 2 && ox_str_ieq(ox_str_n(f.ptr + i, 2), OX_STR("TH"))) {
            const char *suffix = ordinal(number);
            bool lower = f.ptr[i] == 't';
            ox_text_addc(to, lower ? (char)tolower((unsigned char)suffix[0]) : suffix[0]);
            ox_text_addc(to, lower ? (char)tolower((unsigned char)suffix[1]) : suffix[1]);
            i += 2;
        }
    }
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
    format_moment(&m, args[1].s, &text);
    out->null = args[1].s.len == 0;
    out->s = ox_text_str(&text);
    return OX_OK;
}

/* ---- text to time -------------------- */

struct reading {
    struct call *call;
    struct str s;
    size_t at;
    int64_t year, month, day, doy, hour, minute, second, ms, us, julian, tz_hour, tz_minute,
        iso_year, iso_week, iso_day, century, week;
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

static bool
read_key(struct reading *r, const struct keyword *k, bool adjacent)
{
    static const char *const halves[] = {"A.M.", "P.M.", "AM", "PM"}, *const eras[] = {"A.D.",
                                                                          "B.C.", "AD", "BC"};
    int index;
    int64_t v;
    size_t digits = 0, any = adjacent ? 0 : 9;
    while (r->at < r->s.len && r->s.ptr[r->at] == ' ')
        r->at++;
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
    case K_MONTH:
    case K_MON:
        if (!(k->key == K_MONTH && read_word(r, month_names, 12, 0, &index)) &&
            !read_word(r, month_names, 12, 3, &index))
            return false;
        r->month = index + 1;
        return true;
    case K_RM:
        if (!read_word(r, roman_months, 12, 0, &index))
            return false;
        r->month = index + 1;
        return true;
    case K_DAY:
        return read_word(r, day_names, 7, 0, &index);
    case K_DY:
        return read_word(r, day_names, 7, 3, &index);
    case K_HH24:
        return read_int(r, OX_MAX(2, any), &r->hour, NULL);
    case K_HH12:
        r->hour12 = true;
        return read_int(r, OX_MAX(2, any), &r->hour, NULL);
    case K_MI:
        return read_int(r, OX_MAX(2, any), &r->minute, NULL);
    case K_SS:
        return read_int(r, OX_MAX(2, any), &r->second, NULL);
    case K_MS:
    case K_US:
    case K_FF: {
        size_t max = k->key == K_MS ? 3 : k->key == K_US ? 6 : k->arg;
        if (!read_int(r, OX_MAX(max, any), &v, &digits))
            return false;
        for (; digits < 6; digits++)
            v *= 10;
        for (; digits > 6; digits--)
            v /= 10;
        if (k->key == K_MS)
            r->ms = v;
        else
            r->us = v;
        return true;
    }
    case K_SSSSS:
        if (!read_int(r, 9, &v, NULL))
            return false;
        r->hour = v / 3600;
        r->minute = v / 60 % 60;
        r->second = v % 60;
        return true;
    case K_Y_YYY: {
        int64_t thousands;
        if (!read_int(r, 9, &thousands, NULL) || r->at >= r->s.len || r->s.ptr[r->at] != ',')
            return false;
        r->at++;
        if (!read_int(r, 3, &v, NULL))
            return false;
        r->year = thousands * 1000 + v;
        r->has_year = true;
        r->year_digits = 4;
        return true;
    }
    case K_YYYY:
    case K_YYY:
    case K_YY:
    case K_Y: {
        size_t width = k->key == K_YYYY ? 4 : k->key == K_YYY ? 3 : k->key == K_YY ? 2 : 1;
        if (!read_int(r, OX_MAX(width, any), &r->year, &digits))
            return false;
        r->has_year = true;
        r->year_digits = (int)digits;
        if (k->key != K_YYYY && digits < 4) { /* nearest to 2020 */
            if (digits <= 2)
                r->year += r->year < 70 ? 2000 : 1900;
            else if (digits == 3)
                r->year += r->year < 520 ? 2000 : 1000;
        } else if (k->key == K_YYYY && digits < 4 && r->year < 100 && digits <= 2) {
            r->year += r->year < 70 ? 2000 : 1900;
        }
        return true;
    }
    case K_IYYY:
        r->has_iso = true;
        return read_int(r, OX_MAX(4, any), &r->iso_year, NULL);
    case K_IW:
        r->has_iso = true;
        return read_int(r, OX_MAX(2, any), &r->iso_week, NULL);
    case K_ID:
        r->has_iso = true;
        return read_int(r, 1, &r->iso_day, NULL);
    case K_D:
        return read_int(r, 1, &v, NULL);
    case K_MM:
        return read_int(r, OX_MAX(2, any), &r->month, NULL);
    case K_DD:
        return read_int(r, OX_MAX(2, any), &r->day, NULL);
    case K_DDD:
        r->has_doy = true;
        return read_int(r, OX_MAX(3, any), &r->doy, NULL);
    case K_WW:
        return read_int(r, OX_MAX(2, any), &r->week, NULL);
    case K_W:
    case K_Q:
        return read_int(r, 1, &v, NULL);
    case K_CC:
        return read_int(r, OX_MAX(2, any), &r->century, NULL);
    case K_J:
        r->has_julian = true;
        return read_int(r, 9, &r->julian, NULL);
    case K_TZH:
        r->has_zone = true;
        r->tz_negative = r->at < r->s.len && r->s.ptr[r->at] == '-';
        if (!read_int(r, 2, &r->tz_hour, NULL))
            return false;
        r->tz_hour = r->tz_hour < 0 ? -r->tz_hour : r->tz_hour;
        return true;
    case K_TZM:
        r->has_zone = true;
        return read_int(r, 2, &r->tz_minute, NULL);
    case K_FX:
        return true;
    default:
        return true;
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
moment_days(struct reading *r, struct str s, int64_t *days)
{
    int64_t year = r->has_year ? r->year : 0;
    if (r->has_julian) {
        *days = r->julian - 2451545;
        return OX_OK;
    }
    if (r->has_iso && r->iso_year != 0) {
        int64_t jan4 = civil_to_days(r->iso_year, 1, 4),
                monday = jan4 - (civil_weekday(jan4) + 6) % 7;
        *days = monday + (OX_MAX(r->iso_week, 1) - 1) * 7 + (r->iso_day > 0 ? r->iso_day - 1 : 0);
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
    if (r->has_doy) {
        *days = civil_to_days(year, 1, 1) + r->doy - 1;
        return OX_OK;
    }
    if (r->week > 0 && r->month == 1 && r->day == 1) {
        *days = civil_to_days(year, 1, 1) + (r->week - 1) * 7;
        return OX_OK;
    }
    if (!civil_valid(
            year, (int)OX_MIN(OX_MAX(r->month, 0), 99), (int)OX_MIN(OX_MAX(r->day, 0), 99)) ||
        year > 5874897)
        return call_fail(r->call, OX_DATETIME_FIELD_OVERFLOW,
            "date/time field value out of range: \"%.*s\"", OX_STR_ARG(s));
    *days = civil_to_days(year, (int)r->month, (int)r->day);
    return OX_OK;
}

ox_code
format_to_date(struct call *call, const struct datum *args, struct datum *out)
{
    struct reading r;
    ox_code code = read_moment(call, args[0].s, args[1].s, &r);
    return code != OX_OK ? code : moment_days(&r, args[0].s, &out->i);
}

ox_code
format_to_timestamp(struct call *call, const struct datum *args, struct datum *out)
{
    struct reading r;
    int64_t days;
    ox_code code = read_moment(call, args[0].s, args[1].s, &r);
    if (code == OX_OK)
        code = moment_days(&r, args[0].s, &days);
    if (code != OX_OK)
        return code;
    if (r.hour12) {
        if (r.hour < 1 || r.hour > 12) {
            call_fail(call, OX_INVALID_DATETIME_FORMAT,
                "hour \"%lld\" is invalid for the 12-hour clock", (long long)r.hour);
            ox_hint(call->err, "Use the 24-hour clock, or give an hour between 1 and 12.");
            return OX_INVALID_DATETIME_FORMAT;
        }
        if (r.pm && r.hour < 12)
            r.hour += 12;
        else if (!r.pm && r.hour == 12)
            r.hour = 0;
    }
    if (r.hour > 24 || r.minute > 59 || r.second > 59 || r.hour < 0 || r.minute < 0 ||
        r.second < 0 || days > 106751983)
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW,
            "date/time field value out of range: \"%.*s\"", OX_STR_ARG(args[0].s));
    out->i = days * US_DAY + r.hour * US_HOUR + r.minute * US_MIN + r.second * US_SEC + r.ms + r.us;
    if (r.has_zone) {
        int64_t offset = (r.tz_hour * 3600 + r.tz_minute * 60) * US_SEC;
        out->i -= r.tz_negative ? -offset : offset;
    } else {
        out->i = timezone_to_utc(call_format(call)->tz, out->i);
    }
    return timestamp_check(out->i, call->err);
}

/* ---- numbers -----------------------------------------------------------------------------------
 */

struct picture {
    int before, after; /* digits */
    int zero_at;       /* first 0 before the point, -1 none */
    int last_zero;     /* last 0 after the point, counted from it */
    bool point, fill, sign_s, s_first, minus, plus, sg, pr, roman, roman_lower, exponent, blank;
    int shift; /* digits after V */
};

static bool
at_word(struct str f, size_t i, const char *word)
{
    size_t len = strlen(word);
    return f.len - i >= len && ox_str_ieq(ox_str_n(f.ptr + i, len), ox_str_n(word, len));
}

static ox_code
read_picture(struct call *call, struct str f, struct picture *p)
{
    bool shifting = false;
    *p = (struct picture){.zero_at = -1, .fill = true};
    for (size_t i = 0; i < f.len; i++) {
        char c = f.ptr[i];
        if (c == '"') {
            for (i++; i < f.len && f.ptr[i] != '"'; i++)
                ;
        } else if (c == '9' || c == '0') {
            if (p->pr)
                return call_fail(call, OX_SYNTAX_ERROR, "\"9\" must be ahead of \"PR\"");
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
        } else if (at_word(f, i, "FM")) {
            p->fill = false;
            i++;
        } else if (at_word(f, i, "EEEE")) {
            p->exponent = true;
            i += 3;
        } else if (at_word(f, i, "MI")) {
            p->minus = true;
            i++;
        } else if (at_word(f, i, "PL")) {
            p->plus = true;
            i++;
        } else if (at_word(f, i, "PR")) {
            p->pr = true;
            i++;
        } else if (at_word(f, i, "SG")) {
            p->sg = true;
            i++;
        } else if (at_word(f, i, "RN")) {
            p->roman = true;
            p->roman_lower = c == 'r';
            i++;
        } else if (at_word(f, i, "TH")) {
            i++;
        } else if (c == '.' || c == 'D' || c == 'd') {
            if (p->point)
                return call_fail(call, OX_SYNTAX_ERROR, "multiple decimal points");
            p->point = true;
        } else if (c == 'S' || c == 's') {
            if (p->sign_s)
                return call_fail(call, OX_SYNTAX_ERROR, "cannot use \"S\" twice");
            p->sign_s = true;
            p->s_first = p->before + p->after == 0;
        } else if (c == 'V' || c == 'v') {
            shifting = true;
        } else if (c == 'B' || c == 'b') {
            p->blank = true;
        }
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

/* digits: without sign, "123.45" with p->after decimals, or NULL: overflow. */
static void
put_number(
    struct str f, const struct picture *p, bool negative, const char *digits, struct text *to)
{
    const char *dot = digits != NULL ? strchr(digits, '.') : NULL;
    int have = digits == NULL ? p->before : dot != NULL ? (int)(dot - digits) : (int)strlen(digits);
    bool over = digits == NULL;
    int at = 0, after = 0, keep = p->after;
    if (!p->fill && !over && p->after > 0) { /* FM drops zeros that nobody asked for */
        size_t len = strlen(digits);
        while (keep > p->last_zero && keep > 0 && digits[len - 1] == '0')
            keep--, len--;
    }
    if (!over && have == 1 && digits[0] == '0' && (p->after > 0 || p->before == 0) &&
        (p->fill || keep > 0 || p->before == 0)) {
        digits++;
        have = 0;
    }
    bool own_sign = p->sign_s || p->minus || p->sg || p->pr;
    int first = p->before - have;
    if (p->zero_at >= 0 && p->zero_at < first)
        first = p->zero_at;
    bool begun = false, signed_now = false;
    const char *decimals = over ? NULL : digits + have + 1;
    for (size_t i = 0; i < f.len; i++) {
        char c = f.ptr[i];
        bool digit = c == '9' || c == '0';
        /* the sign stands right before the first thing shown */
        bool shows = (digit && at >= first && at < p->before) ||
                     ((c == '.' || c == 'D' || c == 'd') && !begun) || (digit && at >= p->before);
        if (shows && !signed_now) {
            signed_now = true;
            if (p->pr && negative)
                ox_text_addc(to, '<');
            else if (p->pr && p->fill)
                ox_text_addc(to, ' ');
            else if (p->sign_s && p->s_first)
                ox_text_addc(to, negative ? '-' : '+');
            else if (!own_sign && negative)
                ox_text_addc(to, '-');
            else if (!own_sign && p->fill)
                ox_text_addc(to, ' ');
        }
        if (c == '"') {
            for (i++; i < f.len && f.ptr[i] != '"'; i++)
                ox_text_addc(to, f.ptr[i]);
        } else if (digit && at < p->before) {
            if (over)
                ox_text_addc(to, '#');
            else if (at >= p->before - have)
                ox_text_addc(to, digits[at - (p->before - have)]);
            else if (at >= first)
                ox_text_addc(to, '0');
            else if (p->fill)
                ox_text_addc(to, ' ');
            begun |= at >= first;
            at++;
        } else if (digit) {
            if (over)
                ox_text_addc(to, '#');
            else if (after < keep)
                ox_text_addc(to, decimals[after]);
            after++;
        } else if (c == '.' || c == 'D' || c == 'd') {
            if (p->fill || keep > 0 || over || p->last_zero > 0 || p->after > 0)
                ox_text_addc(to, '.');
            begun = true;
        } else if (c == ',' || c == 'G' || c == 'g') {
            if (begun)
                ox_text_addc(to, ',');
            else if (p->fill)
                ox_text_addc(to, ' ');
        } else if (at_word(f, i, "FM") || at_word(f, i, "RN")) {
            i++;
        } else if (at_word(f, i, "MI")) {
            if (negative || p->fill)
                ox_text_addc(to, negative ? '-' : ' ');
            i++;
        } else if (at_word(f, i, "PL")) {
            if (!negative || p->fill)
                ox_text_addc(to, negative ? ' ' : '+');
            i++;
        } else if (at_word(f, i, "SG")) {
            ox_text_addc(to, negative ? '-' : '+');
            i++;
        } else if (at_word(f, i, "PR")) {
            if (negative)
                ox_text_addc(to, '>');
            else if (p->fill)
                ox_text_addc(to, ' ');
            i++;
        } else if (at_word(f, i, "TH")) {
            if (!negative && !p->point && !over) {
                const char *suffix = ordinal(strtoll(have > 0 ? digits : "0", NULL, 10) % 1000);
                bool lower = c == 't';
                ox_text_addc(to, lower ? (char)tolower((unsigned char)suffix[0]) : suffix[0]);
                ox_text_addc(to, lower ? (char)tolower((unsigned char)suffix[1]) : suffix[1]);
            }
            i++;
        } else if (c == 'S' || c == 's') {
            if (!p->s_first)
                ox_text_addc(to, negative ? '-' : '+');
        } else if (c == 'V' || c == 'v' || c == 'B' || c == 'b') {
            continue;
        } else if (c == 'L' || c == 'l') {
            if (p->fill)
                ox_text_addc(to, ' ');
        } else {
            ox_text_addc(to, c);
        }
    }
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
    ox_text_init(&text, call->arena);
    ox_text_reserve(&text, 1);
    ox_text_init(&digits, call->arena);
    if (id == TYPE_INT4 || id == TYPE_INT8)
        num = numeric_from_i64(args[0].i, call->arena);
    else if (id != TYPE_NUMERIC)
        num = numeric_from_f64(args[0].f, id == TYPE_FLOAT4 ? 6 : 15, call->arena);
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
        negative = negative && numeric_sign(num) != 0;
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
