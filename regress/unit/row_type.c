/* SPDX-License-Identifier: Apache-2.0
 *
 * Types by name and modifier, saving and loading, COPY lines, time zones. What
 * values look like is compared with PostgreSQL in exec_oracle.c. */
#include "row/row.h"

#include "tap.h"

static const char *
parsed(const char *name)
{
    static char out[128];
    struct type type;
    struct ox_err err = {0};
    struct text text;
    if (type_parse(ox_str(name), &type, &err) != OX_OK) {
        snprintf(out, sizeof(out), "!%s", ox_code_facts(err.code)->sqlstate);
        return out;
    }
    ox_text_init(&text, NULL);
    type_format(type, &text);
    snprintf(out, sizeof(out), "%s", text.ptr);
    ox_text_fini(&text);
    return out;
}

static void
test_names(void)
{
    is_str(parsed("int4"), "integer", "a short name");
    is_str(parsed("VARCHAR(10)"), "character varying(10)", "a length");
    is_str(parsed("numeric(8,2)[]"), "numeric(8,2)[]", "an array with modifiers");
    is_str(parsed("timestamp(3) with time zone"), "timestamp(3) with time zone",
        "a precision in the middle");
    is_str(parsed("char"), "character(1)", "char is one character");
    is_str(parsed("\"char\""), "\"char\"", "but not in quotes");
    is_str(parsed("_text"), "text[]", "an array by its internal name");
    is_str(parsed("nosuch"), "!42704", "a name nobody knows");
    is_str(parsed("int4(3)"), "!42601", "a modifier where none is taken");
    is_str(parsed("varchar(0)"), "!22023", "a length out of range");
    struct type type;
    ok(type_from_oid(1184, &type) && type.id == TYPE_TIMESTAMPTZ && !type.array, "by OID");
    ok(type_from_oid(1007, &type) && type.id == TYPE_INT4 && type.array, "an array by OID");
    ok(!type_from_oid(0, &type), "0 is no type");
}

static void
test_binary(void)
{
    static const struct {
        uint16_t id;
        const char *text, *hex;
    } rows[] = {{TYPE_BOOL, "t", "01"}, {TYPE_INT2, "-2", "fffe"}, {TYPE_INT4, "258", "00000102"},
        {TYPE_INT8, "-1", "ffffffffffffffff"}, {TYPE_FLOAT8, "1.5", "3ff8000000000000"},
        {TYPE_FLOAT4, "1.5", "3fc00000"},
        {TYPE_NUMERIC, "-12345.678",
            "00030001400000030001092"
            "91a7c"},
        {TYPE_NUMERIC, "0.00", "0000000000000002"}, {TYPE_NUMERIC, "NaN", "00000000c0000000"},
        {TYPE_DATE, "2000-01-02", "00000001"},
        {TYPE_TIMESTAMPTZ, "2000-01-01 00:00:01+00", "00000000000f4240"},
        {TYPE_INTERVAL, "1 mon 2 days 00:00:03", "00000000002dc6c00000000200000001"},
        {TYPE_JSONB, "{\"a\":1}", "017b2261223a20317d"},
        {TYPE_UUID, "00112233-4455-6677-8899-aabbccddeeff", "00112233445566778899aabbccddeeff"},
        {TYPE_BYTEA, "\\x00ff", "00ff"}};
    struct arena arena;
    ox_arena_init(&arena);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct datum value, back;
        struct text binary, text;
        char hex[128] = "";
        ox_text_init(&binary, &arena);
        ox_text_init(&text, &arena);
        ok(type_in_text(TYPE(rows[i].id), ox_str(rows[i].text), &row_format_default, &arena, &value,
               NULL) == OX_OK,
            rows[i].text);
        type_out_binary(TYPE(rows[i].id), &value, &binary);
        for (size_t k = 0; k < binary.len && k < 60; k++)
            snprintf(hex + k * 2, 3, "%02x", (uint8_t)binary.ptr[k]);
        is_str(hex, rows[i].hex, "has PostgreSQL's bytes");
        ok(type_in_binary(TYPE(rows[i].id), ox_text_str(&binary), &arena, &back, NULL) == OX_OK &&
                datum_equal(TYPE(rows[i].id), &value, &back),
            "and is read back");
        struct wire_out out = wire_out(&text);
        datum_save(TYPE(rows[i].id), &value, &out);
        struct wire_in in = wire_in(text.ptr, text.len);
        ok(datum_load(TYPE(rows[i].id), &in, &arena, &back, NULL) == OX_OK && wire_left(&in) == 0 &&
                datum_equal(TYPE(rows[i].id), &value, &back),
            "and survives a spill");
        ok(type_in_binary(TYPE(rows[i].id), OX_STR("\x01\x02\x03"), &arena, &back, NULL) != OX_OK ||
                type_len(TYPE(rows[i].id)) < 0,
            "three bytes are refused where the length is fixed");
    }
    ox_arena_fini(&arena);
}

static void
test_copy(void)
{
    struct copy_format copy;
    struct str line, fields[4];
    struct arena arena;
    uint32_t count;
    bool last;
    ox_arena_init(&arena);
    copy_format_init(&copy, true);
    struct str input = OX_STR("a,\"b\nc\"\"d\",,\"\"\nrest");
    size_t used = copy_next_line(&copy, input, false, &line, &last);
    is_int(used, 15, "a CSV line with a newline inside quotes");
    ok(copy_split_line(&copy, line, &arena, fields, 4, &count, NULL) == OX_OK && count == 4,
        "has four fields");
    ok(ox_str_is(fields[1], "b\nc\"d"), "quotes are taken off");
    ok(fields[2].ptr == NULL && fields[3].ptr != NULL,
        "nothing is null, a quoted nothing is empty");
    is_int(copy_next_line(&copy, OX_STR("rest"), false, &line, &last), 0, "half a line waits");
    is_int(
        copy_next_line(&copy, OX_STR("rest"), true, &line, &last), 4, "unless the input is over");
    copy_format_init(&copy, false);
    ok(copy_split_line(&copy, OX_STR("a\\tb\t\\N\t\\x41\\102"), &arena, fields, 4, &count, NULL) ==
                OX_OK &&
            count == 3,
        "text format");
    ok(ox_str_is(fields[0], "a\tb") && fields[1].ptr == NULL && ox_str_is(fields[2], "AB"),
        "escapes and nulls");
    copy_next_line(&copy, OX_STR("\\.\n"), false, &line, &last);
    ok(last, "\\. ends the data");
    ox_arena_fini(&arena);
}

static void
test_zones(void)
{
    const struct timezone *berlin = timezone_find(OX_STR("Europe/Berlin"));
    const char *abbrev;
    ok(berlin != NULL && berlin == timezone_find(OX_STR("europe/berlin")),
        "names are found whatever their case, and cached");
    is_int(timezone_offset(berlin, 0, &abbrev), 3600, "winter");
    is_str(abbrev, "CET", "its name");
    is_int(timezone_offset(
               berlin, 4102444800LL * 1000000 - ROW_EPOCH_UNIX_S * 1000000 + 180LL * US_DAY, NULL),
        7200, "a summer far behind the table, by the rule");
    ok(timezone_find(OX_STR("Nowhere/City")) == NULL, "a zone that is not there");
    ok(timezone_find(OX_STR("../etc/passwd")) == NULL, "a path is no zone");
    is_int(timezone_offset(timezone_find(OX_STR("<+03>-03")), 0, NULL), 10800, "POSIX form");
}

int
main(void)
{
    test_names();
    test_binary();
    test_copy();
    test_zones();
    return done();
}
