/* SPDX-License-Identifier: Apache-2.0
 *
 * A value of a setting has three forms:
 *
 *   text, as a person or a Kafka client writes it    "7 days", "1GiB", "on"
 *     | param_canonical()
 *   canonical text, which is kept and compared       "604800000", "1073741824", "true"
 *     | param_store()   ^ param_load()
 *   a typed field of the scope's struct, which code obeys
 *
 * The rows are generated from catalog/params.tbl; nothing here has state. */
#include "base/param.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* Names are compared without case; '.', '-' and '_' are one character. */
static bool
name_is(struct str name, const char *known)
{
    if (known == NULL || strlen(known) != name.len)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char a = (char)tolower((unsigned char)name.ptr[i]), b = known[i];
        a = a == '.' || a == '-' ? '_' : a;
        b = b == '.' ? '_' : b;
        if (a != b)
            return false;
    }
    return true;
}

static bool
row_is_named(const struct param *param, struct str name)
{
    if (name_is(name, param->name) || name_is(name, param->kafka_name))
        return true;
    for (const char *const *alias = param->aliases; alias != NULL && *alias != NULL; alias++)
        if (name_is(name, *alias))
            return true;
    return false;
}

const struct param *
param_find(enum param_scope scope, struct str name)
{
    const struct param_table *table = &param_tables[scope];
    if (name.ptr == NULL)
        return NULL;
    for (int i = 0; i < table->count; i++)
        if (row_is_named(&table->rows[i], name))
            return &table->rows[i];
    return NULL;
}

const struct param *
param_at(enum param_scope scope, int index)
{
    ox_assert(index >= 0 && index < param_tables[scope].count);
    return &param_tables[scope].rows[index];
}

int
param_count(enum param_scope scope)
{
    return param_tables[scope].count;
}

int
param_kafka_type(const struct param *param)
{
    switch (param->type) {
    case PARAM_BOOL:
        return 1;
    case PARAM_STRING:
    case PARAM_ENUM:
        return 2;
    case PARAM_INT:
        return param->has_max && param->max == INT16_MAX ? 4 : 3; /* SHORT, INT */
    case PARAM_LONG:
        return 5;
    case PARAM_DOUBLE:
        return 6;
    case PARAM_LIST:
    case PARAM_SET:
        return 7;
    case PARAM_PASSWORD:
        return 9;
    }
    return 0;
}

const char *
param_wire_name(const struct param *param)
{
    return param->kafka_name != NULL ? param->kafka_name : param->name;
}

static struct str
trim(struct str s)
{
    while (s.len > 0 && isspace((unsigned char)s.ptr[0]))
        s.ptr++, s.len--;
    while (s.len > 0 && isspace((unsigned char)s.ptr[s.len - 1]))
        s.len--;
    return s;
}

size_t
param_list_items(struct str value, struct arena *arena, struct str **out)
{
    size_t count = 0;
    *out = NULL;
    if (trim(value).len == 0)
        return 0;
    for (size_t i = 0; i < value.len; i++)
        count += value.ptr[i] == ',';
    struct str *items = ox_arena_array(arena, struct str, ++count);
    size_t n = 0, from = 0;
    for (size_t i = 0; i <= value.len; i++) {
        if (i < value.len && value.ptr[i] != ',')
            continue;
        items[n++] = trim(ox_str_n(value.ptr + from, i - from));
        from = i + 1;
    }
    *out = items;
    return n;
}

static ox_code
bad_value(const struct param *param, struct str value, struct ox_err *err)
{
    static const char *const kinds[] = {"boolean", "32-bit integer", "64-bit integer", "number",
        "string", "list", "password", "choice", "list of choices"};
    ox_code code = ox_fail(err, OX_INVALID_CONFIG, "invalid value \"%.*s\" for setting \"%s\"",
        OX_STR_ARG(value), param_wire_name(param));
    if (strcmp(param->range, "-") != 0)
        ox_detail(err, "The value is a %s of %s.", kinds[param->type], param->range);
    else
        ox_detail(err, "The value is a %s.", kinds[param->type]);
    return code;
}

struct unit_word {
    const char *word;
    enum param_unit unit;
    double factor;
};

static const struct unit_word unit_words[] = {
    {"b", PARAM_BYTES, 1}, {"kb", PARAM_BYTES, 1024}, {"kib", PARAM_BYTES, 1024},
    {"mb", PARAM_BYTES, 1048576}, {"mib", PARAM_BYTES, 1048576},
    {"gb", PARAM_BYTES, 1073741824}, {"gib", PARAM_BYTES, 1073741824},
    {"tb", PARAM_BYTES, 1099511627776}, {"tib", PARAM_BYTES, 1099511627776},
    {"ms", PARAM_MS, 1}, {"s", PARAM_MS, 1e3}, {"sec", PARAM_MS, 1e3}, {"second", PARAM_MS, 1e3},
    {"seconds", PARAM_MS, 1e3}, {"min", PARAM_MS, 6e4}, {"minute", PARAM_MS, 6e4},
    {"minutes", PARAM_MS, 6e4}, {"h", PARAM_MS, 36e5}, {"hour", PARAM_MS, 36e5},
    {"hours", PARAM_MS, 36e5}, {"d", PARAM_MS, 864e5}, {"day", PARAM_MS, 864e5},
    {"days", PARAM_MS, 864e5}, {"w", PARAM_MS, 6048e5}, {"week", PARAM_MS, 6048e5},
    {"weeks", PARAM_MS, 6048e5},
};

/* "7 days", "1.5GiB", "7d 12h": amounts with units, added up. */
static bool
parse_amount(const struct param *param, struct str value, double *out)
{
    const char *at = value.ptr, *end = value.ptr + value.len;
    double sum = 0;
    int parts = 0;
    while (at < end) {
        char number[32], word[16];
        size_t n = 0, w = 0;
        while (at < end && (isdigit((unsigned char)*at) || *at == '.') && n < sizeof(number) - 1)
            number[n++] = *at++;
        number[n] = 0;
        while (at < end && *at == ' ')
            at++;
        while (at < end && isalpha((unsigned char)*at) && w < sizeof(word) - 1)
            word[w++] = (char)tolower((unsigned char)*at++);
        word[w] = 0;
        while (at < end && *at == ' ')
            at++;
        double amount;
        if (n == 0 || w == 0 || !ox_str_to_f64(ox_str_n(number, n), &amount))
            return false;
        const struct unit_word *unit = NULL;
        for (size_t i = 0; i < ox_count(unit_words); i++)
            if (strcmp(unit_words[i].word, word) == 0)
                unit = &unit_words[i];
        enum param_unit wanted = param->unit == PARAM_SECONDS ? PARAM_MS : param->unit;
        if (unit == NULL || unit->unit != wanted)
            return false;
        sum += amount * unit->factor / (param->unit == PARAM_SECONDS ? 1e3 : 1);
        parts++;
    }
    *out = sum;
    return parts > 0;
}

static bool
in_range(const struct param *param, double value)
{
    if (param->has_also && value == param->also)
        return true;
    return (!param->has_min || value >= param->min) && (!param->has_max || value <= param->max);
}

static ox_code
canonical_integer(const struct param *param, enum param_syntax syntax, struct str value,
    struct arena *arena, struct str *out, struct ox_err *err)
{
    int64_t number;
    double amount;
    if (!ox_str_to_i64(value, &number)) {
        if (syntax != PARAM_PEOPLE || param->unit == PARAM_PLAIN ||
            !parse_amount(param, value, &amount) || amount > 9.2e18 || amount != floor(amount))
            return bad_value(param, value, err);
        number = (int64_t)amount;
    }
    if (param->type == PARAM_INT && (number < INT32_MIN || number > INT32_MAX))
        return bad_value(param, value, err);
    if (!in_range(param, (double)number))
        return bad_value(param, value, err);
    *out = ox_str(ox_arena_printf(arena, "%lld", (long long)number));
    return OX_OK;
}

/* As Java prints a double: always a point, the shortest digits that read back, 1.0E7 for what is
   ten million or more or less than a thousandth. */
static struct str
print_double(double value, struct arena *arena)
{
    char digits[32], text[400];
    if (isinf(value))
        return ox_str(value > 0 ? "Infinity" : "-Infinity");
    for (int precision = 0; precision < 17; precision++) {
        snprintf(digits, sizeof(digits), "%.*e", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    char *e = strchr(digits, 'e');
    int exponent = atoi(e + 1), places = (int)(e - digits) - (value < 0) - 2;
    *e = '\0';
    if (value == 0 || (exponent >= -3 && exponent < 7)) {
        int after = places < 0 ? -exponent : places - exponent;
        snprintf(text, sizeof(text), "%.*f", after < 1 ? 1 : after, value);
    } else {
        snprintf(text, sizeof(text), "%s%sE%d", digits, places < 0 ? ".0" : "", exponent);
    }
    return ox_str(ox_arena_strdup(arena, text));
}

static int
choice_index(const struct param *param, enum param_syntax syntax, struct str value)
{
    for (int i = 0; param->choices[i] != NULL; i++)
        if (ox_str_is(value, param->choices[i]) ||
            (syntax == PARAM_PEOPLE && ox_str_ieq(value, ox_str(param->choices[i]))))
            return i;
    return -1;
}

static ox_code
canonical_bool(const struct param *param, enum param_syntax syntax, struct str value,
    struct str *out, struct ox_err *err)
{
    static const char *const yes[] = {"true", "on", "yes", "1", "t", "y"};
    static const char *const no[] = {"false", "off", "no", "0", "f", "n"};
    int words = syntax == PARAM_PEOPLE ? (int)ox_count(yes) : 1;
    *out = OX_STR_NULL;
    for (int i = 0; i < words; i++) {
        if (ox_str_ieq(value, ox_str(yes[i])))
            *out = OX_STR("true");
        if (ox_str_ieq(value, ox_str(no[i])))
            *out = OX_STR("false");
    }
    if (out->ptr == NULL || (param->choices != NULL && choice_index(param, PARAM_KAFKA, *out) < 0))
        return bad_value(param, value, err);
    return OX_OK;
}

/* Items in the order given, each once. */
static ox_code
canonical_set(const struct param *param, enum param_syntax syntax, struct str value,
    struct arena *arena, struct str *out, struct ox_err *err)
{
    struct str *items;
    size_t count = param_list_items(value, arena, &items);
    struct text text;
    uint32_t seen = 0;
    ox_text_init(&text, arena);
    for (size_t i = 0; i < count; i++) {
        int choice = choice_index(param, syntax, items[i]);
        if (choice < 0)
            return bad_value(param, value, err);
        if (seen & 1u << choice)
            continue;
        seen |= 1u << choice;
        if (text.len > 0)
            ox_text_addc(&text, ',');
        ox_text_adds(&text, param->choices[choice]);
    }
    *out = ox_text_str(&text);
    return OX_OK;
}

static struct str
canonical_list(struct str value, struct arena *arena)
{
    struct str *items;
    size_t count = param_list_items(value, arena, &items);
    struct text text;
    ox_text_init(&text, arena);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            ox_text_addc(&text, ',');
        ox_text_add(&text, items[i].ptr, items[i].len);
    }
    return ox_text_str(&text);
}

ox_code
param_canonical(const struct param *param, enum param_syntax syntax, struct str value,
    struct arena *arena, struct str *out, struct ox_err *err)
{
    double number;
    int choice;
    if (value.ptr == NULL)
        return ox_fail(err, OX_INVALID_CONFIG, "setting \"%s\" needs a value",
            param_wire_name(param));
    if (memchr(value.ptr, 0, value.len) != NULL || !ox_utf8_valid(value.ptr, value.len))
        return ox_fail(err, OX_INVALID_CONFIG, "value of setting \"%s\" is not valid text",
            param_wire_name(param));
    struct str trimmed = trim(value);
    switch (param->type) {
    case PARAM_BOOL:
        return canonical_bool(param, syntax, trimmed, out, err);
    case PARAM_INT:
    case PARAM_LONG:
        return canonical_integer(param, syntax, trimmed, arena, out, err);
    case PARAM_DOUBLE:
        if (!ox_str_to_f64(trimmed, &number) || isnan(number) || !in_range(param, number))
            return bad_value(param, value, err);
        *out = print_double(number, arena);
        return OX_OK;
    case PARAM_ENUM:
        choice = choice_index(param, syntax, trimmed);
        if (choice < 0)
            return bad_value(param, value, err);
        *out = ox_str(param->choices[choice]);
        return OX_OK;
    case PARAM_SET:
        return canonical_set(param, syntax, trimmed, arena, out, err);
    case PARAM_LIST:
        *out = canonical_list(trimmed, arena);
        return OX_OK;
    case PARAM_STRING:
    case PARAM_PASSWORD:
        *out = ox_str_dup(arena, value);
        return OX_OK;
    }
    return bad_value(param, value, err);
}

static void
store_unset(const struct param *param, void *field)
{
    switch (param->type) {
    case PARAM_BOOL:
        *(bool *)field = false;
        break;
    case PARAM_INT:
        *(int32_t *)field = INT32_MIN;
        break;
    case PARAM_LONG:
        *(int64_t *)field = INT64_MIN;
        break;
    case PARAM_DOUBLE:
        *(double *)field = -INFINITY;
        break;
    case PARAM_ENUM:
        *(int *)field = -1;
        break;
    case PARAM_SET:
        *(uint32_t *)field = 0;
        break;
    case PARAM_STRING:
    case PARAM_LIST:
    case PARAM_PASSWORD:
        *(const char **)field = NULL;
        break;
    }
}

static bool
store_set(const struct param *param, struct str value, uint32_t *bits)
{
    size_t from = 0;
    *bits = 0;
    if (value.len == 0)
        return true;
    for (size_t i = 0; i <= value.len; i++) {
        if (i < value.len && value.ptr[i] != ',')
            continue;
        int choice = choice_index(param, PARAM_KAFKA, ox_str_n(value.ptr + from, i - from));
        if (choice < 0)
            return false;
        *bits |= 1u << choice;
        from = i + 1;
    }
    return true;
}

ox_code
param_store(const struct param *param, struct str value, void *config, struct ox_err *err)
{
    void *field = (char *)config + param->field;
    int64_t number;
    int choice;
    if (value.ptr == NULL) {
        store_unset(param, field);
        return OX_OK;
    }
    switch (param->type) {
    case PARAM_BOOL:
        *(bool *)field = ox_str_is(value, "true");
        return OX_OK;
    case PARAM_INT:
        if (!ox_str_to_i64(value, &number) || number < INT32_MIN || number > INT32_MAX)
            return bad_value(param, value, err);
        *(int32_t *)field = (int32_t)number;
        return OX_OK;
    case PARAM_LONG:
        if (!ox_str_to_i64(value, (int64_t *)field))
            return bad_value(param, value, err);
        return OX_OK;
    case PARAM_DOUBLE:
        if (!ox_str_to_f64(value, (double *)field))
            return bad_value(param, value, err);
        return OX_OK;
    case PARAM_ENUM:
        choice = choice_index(param, PARAM_KAFKA, value);
        if (choice < 0)
            return bad_value(param, value, err);
        *(int *)field = choice;
        return OX_OK;
    case PARAM_SET:
        return store_set(param, value, field) ? OX_OK : bad_value(param, value, err);
    case PARAM_STRING:
    case PARAM_LIST:
    case PARAM_PASSWORD:
        *(const char **)field = value.ptr;
        return OX_OK;
    }
    return bad_value(param, value, err);
}

static struct str
load_set(const struct param *param, uint32_t bits, struct arena *arena)
{
    struct text text;
    ox_text_init(&text, arena);
    for (int i = 0; param->choices[i] != NULL; i++) {
        if ((bits & 1u << i) == 0)
            continue;
        if (text.len > 0)
            ox_text_addc(&text, ',');
        ox_text_adds(&text, param->choices[i]);
    }
    return ox_text_str(&text);
}

struct str
param_load(const struct param *param, const void *config, struct arena *arena)
{
    const void *field = (const char *)config + param->field;
    switch (param->type) {
    case PARAM_BOOL:
        return *(const bool *)field ? OX_STR("true") : OX_STR("false");
    case PARAM_INT:
        if (*(const int32_t *)field == INT32_MIN)
            return OX_STR_NULL;
        return ox_str(ox_arena_printf(arena, "%d", *(const int32_t *)field));
    case PARAM_LONG:
        if (*(const int64_t *)field == INT64_MIN)
            return OX_STR_NULL;
        return ox_str(ox_arena_printf(arena, "%lld", (long long)*(const int64_t *)field));
    case PARAM_DOUBLE:
        return print_double(*(const double *)field, arena);
    case PARAM_ENUM:
        if (*(const int *)field < 0)
            return OX_STR_NULL;
        return ox_str(param->choices[*(const int *)field]);
    case PARAM_SET:
        return load_set(param, *(const uint32_t *)field, arena);
    case PARAM_STRING:
    case PARAM_LIST:
    case PARAM_PASSWORD:
        return ox_str(*(const char *const *)field);
    }
    return OX_STR_NULL;
}

void
param_defaults(enum param_scope scope, void *config)
{
    memset(config, 0, param_tables[scope].config_len);
    for (int i = 0; i < param_tables[scope].count; i++) {
        const struct param *param = &param_tables[scope].rows[i];
        ox_code code = param_store(param, ox_str(param->fallback), config, NULL);
        ox_assert(code == OX_OK);
    }
}
