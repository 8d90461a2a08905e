/* SPDX-License-Identifier: Apache-2.0
 *
 * Time zones from the system's TZif files. A zone is read once, kept for the
 * life of the process and immutable; the cache is a list under a lock.
 * Invariants: 1. transitions rise; 2. type indexes are below type_count;
 * 3. after the last transition the POSIX rule in the footer applies. */
#include "row/row.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/lock.h"

struct zone_type {
    int32_t offset; /* seconds east */
    bool dst;
    char abbrev[12];
};

struct zone_rule {
    char kind; /* 'J' Julian 1-365, 'N' day 0-365, 'M' month.week.day */
    int month, week, day;
    int32_t time; /* seconds after local midnight */
};

struct timezone {
    struct timezone *next;
    char name[64];
    uint32_t count, type_count;
    int64_t *when; /* Unix seconds */
    uint8_t *which;
    struct zone_type *types;
    uint32_t first; /* type before the first transition */
    bool has_rule, has_dst;
    struct zone_type std, dst;
    struct zone_rule start, end;
};

enum { ZONES_MAX = 4096, OFFSET_MAX = 26 * 3600 };

static struct timezone *zones;
static uint32_t zone_count;
static struct lock zones_lock;
static pthread_once_t zones_once = PTHREAD_ONCE_INIT;

/* ---- calendar -------------------------------------------------------------- */

/* Days since 1970-01-01 of a proleptic Gregorian date. */
static int64_t
unix_days(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400, doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int64_t
year_of(int64_t unix_s)
{
    int64_t days = unix_s / 86400 - (unix_s % 86400 < 0);
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097, doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    return yoe + era * 400 + (mp >= 10);
}

static int64_t
rule_day(const struct zone_rule *rule, int64_t year)
{
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int64_t jan1 = unix_days(year, 1, 1);
    if (rule->kind == 'J')
        return jan1 + rule->day - 1 + (leap && rule->day >= 60);
    if (rule->kind == 'N')
        return jan1 + rule->day;
    int64_t first = unix_days(year, rule->month, 1);
    int wday = (int)(((first + 4) % 7 + 7) % 7);
    int64_t day = first + (rule->day - wday + 7) % 7 + (rule->week - 1) * 7;
    int64_t next =
        rule->month == 12 ? unix_days(year + 1, 1, 1) : unix_days(year, rule->month + 1, 1);
    while (day >= next)
        day -= 7;
    return day;
}

/* ---- POSIX rules: "CET-1CEST,M3.5.0,M10.5.0/3" ---------------------------------- */

static const char *
posix_name(const char *at, char *to)
{
    size_t n = 0;
    if (*at == '<') {
        for (at++; *at && *at != '>'; at++)
            if (n < 11)
                to[n++] = *at;
        if (*at++ != '>')
            return NULL;
    } else {
        for (; isalpha((unsigned char)*at); at++)
            if (n < 11)
                to[n++] = *at;
        if (n < 3)
            return NULL;
    }
    to[n] = '\0';
    return at;
}

static const char *
posix_time(const char *at, int32_t *seconds)
{
    int sign = 1;
    if (*at == '-' || *at == '+')
        sign = *at++ == '-' ? -1 : 1;
    if (!isdigit((unsigned char)*at))
        return NULL;
    int32_t part[3] = {0, 0, 0};
    for (int i = 0; i < 3; i++) {
        while (isdigit((unsigned char)*at) && part[i] < 1000)
            part[i] = part[i] * 10 + (*at++ - '0');
        if (*at != ':' || i == 2)
            break;
        at++;
    }
    if (part[0] > 167 || part[1] > 59 || part[2] > 59)
        return NULL;
    *seconds = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
    return at;
}

static const char *
posix_rule(const char *at, struct zone_rule *rule)
{
    char *end;
    rule->time = 7200;
    if (*at == 'M') {
        rule->kind = 'M';
        if (sscanf(at, "M%2d.%1d.%1d", &rule->month, &rule->week, &rule->day) != 3)
            return NULL;
        if (rule->month < 1 || rule->month > 12 || rule->week < 1 || rule->week > 5 ||
            rule->day > 6)
            return NULL;
        at++;
        while (isdigit((unsigned char)*at) || *at == '.')
            at++;
    } else {
        rule->kind = 'N';
        if (*at == 'J') {
            rule->kind = 'J';
            at++;
        }
        long day = strtol(at, &end, 10);
        if (end == at || day < 0 || day > 366)
            return NULL;
        rule->day = (int)day;
        at = end;
    }
    if (*at == '/')
        at = posix_time(at + 1, &rule->time);
    return at;
}

/* Without a rule for DST, the United States' applies, as in PostgreSQL. */
static bool
posix_parse(struct timezone *tz, const char *at)
{
    int32_t offset;
    if ((at = posix_name(at, tz->std.abbrev)) == NULL || (at = posix_time(at, &offset)) == NULL)
        return false;
    tz->std.offset = -offset;
    tz->has_rule = true;
    if (*at == '\0')
        return true;
    if ((at = posix_name(at, tz->dst.abbrev)) == NULL)
        return false;
    tz->dst.dst = tz->has_dst = true;
    tz->dst.offset = tz->std.offset + 3600;
    if (*at != ',' && *at != '\0') {
        if ((at = posix_time(at, &offset)) == NULL)
            return false;
        tz->dst.offset = -offset;
    }
    if (*at == '\0')
        at = ",M3.2.0,M11.1.0";
    if (*at++ != ',' || (at = posix_rule(at, &tz->start)) == NULL)
        return false;
    if (*at++ != ',' || (at = posix_rule(at, &tz->end)) == NULL)
        return false;
    return *at == '\0';
}

static const struct zone_type *
rule_type(const struct timezone *tz, int64_t unix_s)
{
    if (!tz->has_dst)
        return &tz->std;
    int64_t year = year_of(unix_s + tz->std.offset);
    int64_t start = rule_day(&tz->start, year) * 86400 + tz->start.time - tz->std.offset;
    int64_t end = rule_day(&tz->end, year) * 86400 + tz->end.time - tz->dst.offset;
    bool dst = start < end ? unix_s >= start && unix_s < end : !(unix_s >= end && unix_s < start);
    return dst ? &tz->dst : &tz->std;
}

/* ---- TZif ------------------------------------------------------------------------ */

static bool
tzif_body(struct timezone *tz, struct wire_in *in, bool wide, bool keep)
{
    const uint8_t *head = wire_skip(in, 44);
    if (head == NULL || memcmp(head, "TZif", 4) != 0)
        return false;
    uint32_t utc = wire_load32(head + 20), std = wire_load32(head + 24);
    uint32_t leap = wire_load32(head + 28), times = wire_load32(head + 32);
    uint32_t types = wire_load32(head + 36), chars = wire_load32(head + 40);
    if (times > 10000 || types > 256 || types == 0 || chars > 2048 || leap > 10000 || utc > types ||
        std > types)
        return false;
    const uint8_t *when = wire_skip(in, (size_t)times * (wide ? 8 : 4));
    const uint8_t *which = wire_skip(in, times);
    const uint8_t *type = wire_skip(in, (size_t)types * 6);
    const uint8_t *names = wire_skip(in, chars);
    wire_skip(in, (size_t)leap * (wide ? 12 : 8));
    wire_skip(in, std);
    wire_skip(in, utc);
    if (in->failed)
        return false;
    if (!keep)
        return true;
    tz->count = times;
    tz->type_count = types;
    tz->when = ox_calloc(times + 1, sizeof(*tz->when));
    tz->which = ox_calloc(times + 1, 1);
    tz->types = ox_calloc(types, sizeof(*tz->types));
    for (uint32_t i = 0; i < times; i++) {
        tz->when[i] =
            wide ? (int64_t)wire_load64(when + i * 8) : (int32_t)wire_load32(when + i * 4);
        tz->which[i] = which[i];
        if (which[i] >= types || (i > 0 && tz->when[i] <= tz->when[i - 1]))
            return false;
    }
    tz->first = UINT32_MAX;
    for (uint32_t i = 0; i < types; i++) {
        tz->types[i].offset = (int32_t)wire_load32(type + i * 6);
        if (tz->types[i].offset > OFFSET_MAX || tz->types[i].offset < -OFFSET_MAX)
            return false;
        tz->types[i].dst = type[i * 6 + 4] != 0;
        uint32_t name = type[i * 6 + 5];
        for (uint32_t k = 0; k < 11 && name + k < chars && names[name + k] != 0; k++)
            tz->types[i].abbrev[k] = (char)names[name + k];
        if (!tz->types[i].dst && tz->first == UINT32_MAX)
            tz->first = i;
    }
    tz->first = 0;
    return true;
}

static bool
tzif_load(struct timezone *tz, const uint8_t *bytes, size_t len)
{
    struct wire_in in = wire_in(bytes, len);
    if (len < 44)
        return false;
    bool wide = bytes[4] >= '2';
    if (!tzif_body(tz, &in, false, !wide))
        return false;
    if (!wide)
        return true;
    if (!tzif_body(tz, &in, true, true))
        return false;
    char footer[128];
    size_t n = wire_left(&in);
    if (n >= 2 && in.at[0] == '\n') {
        size_t k = 0;
        for (size_t i = 1; i < n && in.at[i] != '\n' && k < sizeof(footer) - 1; i++)
            footer[k++] = (char)in.at[i];
        footer[k] = '\0';
        if (k > 0 && !posix_parse(tz, footer))
            tz->has_rule = false;
    }
    return true;
}

static const struct zone_type *
zone_type(const struct timezone *tz, int64_t unix_s)
{
    if (tz->count == 0 || (tz->has_rule && unix_s >= tz->when[tz->count - 1]))
        return tz->has_rule ? rule_type(tz, unix_s) : &tz->types[tz->first];
    if (unix_s < tz->when[0])
        return &tz->types[tz->first];
    uint32_t low = 0, high = tz->count - 1;
    while (low < high) {
        uint32_t mid = (low + high + 1) / 2;
        if (tz->when[mid] <= unix_s)
            low = mid;
        else
            high = mid - 1;
    }
    return &tz->types[tz->which[low]];
}

/* ---- the cache --------------------------------------------------------------------- */

static void
zones_init(void)
{
    ox_lock_init(&zones_lock, LOCK_TIMEZONES);
}

/* A file below the zone folder, at most so long; NULL: there is none. */
static uint8_t *
read_below(const char *name, size_t len_max, size_t *len)
{
    char path[256];
    const char *dir = getenv("TZDIR");
    snprintf(path, sizeof(path), "%s/%s", dir ? dir : "/usr/share/zoneinfo", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    uint8_t *bytes = ox_malloc(len_max);
    *len = 0;
    for (ssize_t n; *len < len_max && (n = read(fd, bytes + *len, len_max - *len)) > 0;)
        *len += (size_t)n;
    close(fd);
    return bytes;
}

static bool
zone_read_file(struct timezone *tz, const char *name)
{
    if (strstr(name, "..") != NULL || name[0] == '/' || name[0] == '\0' || name[0] == '.')
        return false;
    size_t len;
    uint8_t *bytes = read_below(name, 65536, &len);
    bool ok = bytes != NULL && tzif_load(tz, bytes, len);
    ox_free(bytes);
    return ok;
}

/* Abbreviations that are the same offset all year. */
static const struct {
    const char *name;
    int hours;
    const char *abbrev;
} fixed[] = {
    {"utc", 0, "UTC"},
    {"z", 0, "UTC"},
    {"zulu", 0, "UTC"},
    {"gmt", 0, "GMT"},
    {"ut", 0, "UTC"},
    {"est", -5, "EST"},
    {"edt", -4, "EDT"},
    {"cst", -6, "CST"},
    {"cdt", -5, "CDT"},
    {"mst", -7, "MST"},
    {"mdt", -6, "MDT"},
    {"pst", -8, "PST"},
    {"pdt", -7, "PDT"},
    {"cet", 1, "CET"},
    {"cest", 2, "CEST"},
    {"bst", 1, "BST"},
    {"eet", 2, "EET"},
    {"eest", 3, "EEST"},
    {"wet", 0, "WET"},
    {"west", 1, "WEST"},
    {"msk", 3, "MSK"},
    {"jst", 9, "JST"},
    {"kst", 9, "KST"},
    {"hst", -10, "HST"},
    {"akst", -9, "AKST"},
    {"akdt", -8, "AKDT"},
    {"aest", 10, "AEST"},
    {"nzst", 12, "NZST"},
};

/* "europe/paris" finds Europe/Paris: each part capitalised, then as it is. */
static bool
zone_read(struct timezone *tz, struct str name)
{
    char text[64], capital[64];
    snprintf(text, sizeof(text), "%.*s", OX_STR_ARG(name));
    bool start = true;
    for (size_t i = 0; i <= name.len; i++) {
        char c = text[i];
        capital[i] = (char)(start ? toupper((unsigned char)c) : tolower((unsigned char)c));
        start = c == '/' || c == '_' || c == '-';
    }
    if (zone_read_file(tz, text) || zone_read_file(tz, capital)) {
        snprintf(tz->name, sizeof(tz->name), "%s", text);
        return true;
    }
    for (size_t i = 0; i < ox_count(fixed); i++)
        if (ox_str_ieq(name, ox_str(fixed[i].name))) {
            tz->has_rule = true;
            tz->std.offset = fixed[i].hours * 3600;
            snprintf(tz->std.abbrev, sizeof(tz->std.abbrev), "%s", fixed[i].abbrev);
            return true;
        }
    char upper[64];
    for (size_t i = 0; i <= name.len; i++)
        upper[i] = (char)toupper((unsigned char)text[i]);
    if (strchr(text, '/') == NULL && zone_read_file(tz, upper))
        return true;
    /* "+05:30" is east of Greenwich here (ISO); "<+03>-03" and "EST5EDT" are POSIX. */
    if (text[0] == '+' || text[0] == '-') {
        int32_t offset;
        const char *end = posix_time(text, &offset);
        if (end == NULL || *end != '\0')
            return false;
        tz->has_rule = true;
        tz->std.offset = offset;
        int32_t a = abs(offset);
        if (a % 3600)
            snprintf(tz->std.abbrev, sizeof(tz->std.abbrev), "%c%02d:%02d", offset < 0 ? '-' : '+',
                a / 3600 % 100, a / 60 % 60);
        else
            snprintf(tz->std.abbrev, sizeof(tz->std.abbrev), "%c%02d", offset < 0 ? '-' : '+',
                a / 3600 % 100);
        return true;
    }
    return posix_parse(tz, text);
}

static void
zone_fini(struct timezone *tz)
{
    ox_free(tz->when);
    ox_free(tz->which);
    ox_free(tz->types);
}

const struct timezone *
timezone_find(struct str name)
{
    if (name.len == 0 || name.len > 60 || memchr(name.ptr, '\0', name.len) != NULL)
        return NULL;
    pthread_once(&zones_once, zones_init);
    ox_lock(&zones_lock);
    struct timezone *tz = zones;
    while (tz != NULL && !ox_str_ieq(ox_str(tz->name), name))
        tz = tz->next;
    bool full = zone_count >= ZONES_MAX;
    ox_unlock(&zones_lock);
    if (tz != NULL || full)
        return tz;
    tz = ox_calloc(1, sizeof(*tz));
    snprintf(tz->name, sizeof(tz->name), "%.*s", OX_STR_ARG(name));
    if (!zone_read(tz, name)) {
        zone_fini(tz);
        ox_free(tz);
        return NULL;
    }
    ox_lock(&zones_lock);
    tz->next = zones; /* a race leaves a twin, which is harmless */
    zones = tz;
    zone_count++;
    ox_unlock(&zones_lock);
    return tz;
}

const struct timezone *
timezone_find_spoken(struct str name)
{
    char posix[64];
    for (size_t i = 0; i < ox_count(fixed); i++)
        if (ox_str_ieq(name, ox_str(fixed[i].name))) {
            snprintf(posix, sizeof(posix), "<%s>%d", fixed[i].abbrev, -fixed[i].hours);
            return timezone_find(ox_str(posix));
        }
    if (name.len == 0 || name.len >= sizeof(posix) || (name.ptr[0] != '+' && name.ptr[0] != '-'))
        return timezone_find(name);
    snprintf(posix, sizeof(posix), "%c%.*s", name.ptr[0] == '+' ? '-' : '+', (int)name.len - 1,
        name.ptr + 1);
    return timezone_find(ox_str(posix));
}

/* One line of tzdata.zi: "Z name ..." is a zone, "L target name" another name of one. */
static bool
zone_of_line(const char *line, char name[64])
{
    char target[64];
    if (line[0] == 'Z' && sscanf(line, "Z %63s", name) == 1)
        return true;
    return line[0] == 'L' && sscanf(line, "L %63s %63s", target, name) == 2;
}

/* They are not kept: there are hundreds. */
void
timezone_each(int64_t us, void (*fn)(void *arg, const struct timezone_facts *facts), void *arg)
{
    enum { LIST_MAX = 1 << 20 };
    size_t len;
    char *list = (char *)read_below("tzdata.zi", LIST_MAX, &len);
    if (list == NULL)
        return;
    list[OX_MIN(len, (size_t)LIST_MAX - 1)] = '\0';
    char *rest = list;
    for (char *line; (line = strtok_r(rest, "\n", &rest)) != NULL;) {
        struct timezone tz = {0};
        char name[64];
        if (zone_of_line(line, name) && zone_read_file(&tz, name)) {
            const struct zone_type *type =
                zone_type(&tz, floor_div(us, 1000000) + ROW_EPOCH_UNIX_S);
            struct timezone_facts facts = {name, type->abbrev, type->offset, type->dst};
            fn(arg, &facts);
        }
        zone_fini(&tz);
    }
    ox_free(list);
}

int32_t
timezone_offset(const struct timezone *tz, int64_t us, const char **abbrev)
{
    if (tz == NULL) {
        if (abbrev != NULL)
            *abbrev = "UTC";
        return 0;
    }
    const struct zone_type *type = zone_type(tz, floor_div(us, 1000000) + ROW_EPOCH_UNIX_S);
    if (abbrev != NULL)
        *abbrev = type->abbrev;
    return type->offset;
}

int64_t
timezone_to_utc(const struct timezone *tz, int64_t local_us)
{
    if (tz == NULL)
        return local_us;
    /* Offsets before and after a possible transition near this wall time. */
    const int64_t day = 86400LL * 1000000;
    int64_t before = timezone_offset(tz, local_us - day, NULL) * 1000000LL;
    int64_t after = timezone_offset(tz, local_us + day, NULL) * 1000000LL;
    if (before == after) {
        int64_t utc = local_us - before;
        if (timezone_offset(tz, utc, NULL) * 1000000LL == before)
            return utc;
    }
    int64_t a = local_us - before, b = local_us - after;
    bool a_ok = timezone_offset(tz, a, NULL) * 1000000LL == before;
    bool b_ok = timezone_offset(tz, b, NULL) * 1000000LL == after;
    if (a_ok && !b_ok)
        return a;
    if (b_ok && !a_ok)
        return b;
    if (!a_ok) /* a gap: the clock was already moved: standard time's reading */
        return a;
    /* A fold: standard time, which is the later reading. */
    return OX_MAX(a, b);
}
