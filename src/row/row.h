/* SPDX-License-Identifier: Apache-2.0
 *
 * Typed data: what a SQL value is, how it is read and written, compared and
 * hashed. Values travel as vectors (a column of a batch) or one by one as
 * datums. Semantics, text forms and binary forms are PostgreSQL's. */
#ifndef ROW_ROW_H
#define ROW_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/wire.h"
#include "row/datetime.h"
#include "row/json.h"
#include "row/numeric.h"
#include "row/types.gen.h" /* enum type_id, from catalog/types.tbl */

/* ---- types -------------------------------------------------------------- */

/* How a value lies in memory.
 * BOOL  uint8_t 0 or 1.
 * I64   int2/4/8, oid and reg*; date (days since 2000-01-01), time (us),
 *       timestamp and timestamptz (us since 2000-01-01 UTC). INT64_MIN and
 *       INT64_MAX are -infinity and infinity (date: INT32_MIN and INT32_MAX).
 * F64   float8; float4 rounded to float.
 * STR   text kinds (UTF-8, no NUL), bytea, json (as written), jsonb (PostgreSQL's
 *       output text: normalised), numeric (numeric.c), uuid (16 bytes), interval
 *       (struct interval), every array (array.c), record (array.c). */
enum phys { PHYS_BOOL, PHYS_I64, PHYS_F64, PHYS_STR };

struct type {
    uint16_t id;    /* enum type_id; of the element for an array */
    bool array;     /* one array type serves all dimensions */
    int32_t typmod; /* PostgreSQL's, -1 = none */
};

#define TYPE(ID) ((struct type){(ID), false, -1})
#define TYPE_ARRAY(ID) ((struct type){(ID), true, -1})

struct type_facts {
    const char *name;    /* pg_type.typname: int4 */
    const char *sql;     /* as format_type prints: integer */
    const char *aliases; /* separated by '|' */
    uint32_t oid, array_oid;
    int16_t len;   /* pg_type.typlen */
    char category; /* pg_type.typcategory */
    bool preferred;
    enum phys phys; /* of the element type */
};
extern const struct type_facts type_table[TYPE_COUNT];

static inline const struct type_facts *
type_facts(struct type type)
{
    return &type_table[type.id];
}

static inline enum phys
type_phys(struct type type)
{
    return type.array ? PHYS_STR : type_table[type.id].phys;
}

static inline bool
type_same(struct type a, struct type b) /* but for the typmod */
{
    return a.id == b.id && a.array == b.array;
}

static inline struct type
type_element(struct type type)
{
    return (struct type){type.id, false, type.typmod};
}

static inline struct type
type_array_of(struct type type)
{
    return (struct type){type.id, true, type.typmod};
}

uint32_t type_oid(struct type type);
int16_t type_len(struct type type);   /* as in RowDescription */
char type_category(struct type type); /* 'A' for arrays */
bool type_from_oid(uint32_t oid, struct type *out);
/* A name as a user writes it, in any alias, "int4[]" and "_int4" included,
 * folded to lower case already; no type modifier. */
bool type_from_name(struct str name, struct type *out);
/* "varchar(10)", "numeric(8,2)[]", "timestamp(3) with time zone" and so on.
 * Fails: OX_UNDEFINED_OBJECT, OX_INVALID_PARAMETER_VALUE */
ox_code type_parse(struct str text, struct type *out, struct ox_err *err);
/* The fields of an interval type, as PostgreSQL numbers them in its modifier:
 * these in the upper half, the precision in the lower one. */
enum interval_fields {
    INTERVAL_MONTH = 1 << 1,
    INTERVAL_YEAR = 1 << 2,
    INTERVAL_DAY = 1 << 3,
    INTERVAL_HOUR = 1 << 10,
    INTERVAL_MINUTE = 1 << 11,
    INTERVAL_SECOND = 1 << 12,
    INTERVAL_ALL_FIELDS = 0x7FFF,
    INTERVAL_FULL_PRECISION = 0xFFFF,
};
/* The modifiers of name(a, b): sets type->typmod. interval takes the precision,
 * or its fields and the precision. Fails: OX_INVALID_PARAMETER_VALUE,
 * OX_SYNTAX_ERROR (takes none) */
ox_code type_set_modifiers(
    struct type *type, const int32_t *mods, uint32_t count, struct ox_err *err);
/* As format_type(oid, typmod): "character varying(10)[]". */
void type_format(struct type type, struct text *to);
/* The same in the arena, for messages. */
const char *type_name(struct type type, struct arena *arena);

/* ---- values ------------------------------------------------------------- */

struct interval {
    int64_t us;
    int32_t days, months;
};

struct datum {
    bool null;
    union {
        uint8_t b;
        int64_t i;
        double f;
        struct str s;
    };
};

#define DATUM_NULL ((struct datum){.null = true})
static inline struct datum
datum_bool(bool b)
{
    return (struct datum){.b = b};
}
static inline struct datum
datum_i64(int64_t i)
{
    return (struct datum){.i = i};
}
static inline struct datum
datum_f64(double f)
{
    return (struct datum){.f = f};
}
static inline struct datum
datum_str(struct str s)
{
    return (struct datum){.s = s};
}
static inline struct interval
datum_interval(const struct datum *value)
{
    struct interval span;
    __builtin_memcpy(&span, value->s.ptr, sizeof(span));
    return span;
}

/* Copies what the value borrows into the arena. */
struct datum datum_copy(struct type type, struct datum value, struct arena *arena);
/* -1, 0, 1 by the type's btree order; neither may be null. Text is compared by
 * bytes (collation "C"). NaN is above all numbers and equals itself. */
int datum_compare(struct type type, const struct datum *a, const struct datum *b);
/* As IS NOT DISTINCT FROM: nulls are equal. */
bool datum_equal(struct type type, const struct datum *a, const struct datum *b);
/* Equal values (1.0 and 1.00, -0.0 and 0.0) hash alike; null has a hash too. */
uint64_t datum_hash(struct type type, const struct datum *value, uint64_t seed);
/* Whether the type has an order (all but json, record of such, void). */
bool type_orderable(struct type type);
bool type_hashable(struct type type);
/* Self-contained bytes for spill files and saved aggregate states. */
void datum_save(struct type type, const struct datum *value, struct wire_out *out);
ox_code datum_load(struct type type, struct wire_in *in, struct arena *arena, struct datum *out,
    struct ox_err *err);

/* ---- columns ------------------------------------------------------------ */

#define VECTOR_MAX 1024

struct vector {
    struct type type;
    bool constant;  /* entry 0 stands for every row */
    uint8_t *nulls; /* NULL: no row is null; else a byte a row, 1 = null */
    union {
        void *data;
        uint8_t *b;
        int64_t *i;
        double *f;
        struct str *s;
    };
};

/* Rows are numbered 0..count-1 in every column; only those in sel (rising) are
 * meant, the others hold garbage and must not be looked at. */
struct batch {
    uint32_t count; /* at most VECTOR_MAX */
    uint32_t ncols;
    struct vector *cols;
    uint32_t *sel;      /* NULL: all rows */
    uint32_t sel_count; /* with sel NULL equal to count */
};

/* Room for count rows (no nulls array) in the arena. */
void vector_init(struct vector *vec, struct type type, uint32_t count, struct arena *arena);
/* The nulls array, made (zeroed, count bytes) when there is none yet. */
uint8_t *vector_nulls(struct vector *vec, uint32_t count, struct arena *arena);
void vector_constant(struct vector *vec, struct type type, struct datum value, struct arena *arena);
void vector_set(
    struct vector *vec, uint32_t row, struct datum value); /* nulls array must exist for a null */

static inline bool
vector_null(const struct vector *vec, uint32_t row)
{
    return vec->nulls != NULL && vec->nulls[vec->constant ? 0 : row];
}

static inline struct datum
vector_get(const struct vector *vec, uint32_t row)
{
    struct datum d = {.null = false};
    if (vec->constant)
        row = 0;
    if (vec->nulls != NULL && vec->nulls[row]) {
        d.null = true;
        d.s = (struct str){NULL, 0};
        return d;
    }
    switch (type_phys(vec->type)) {
    case PHYS_BOOL:
        d.b = vec->b[row];
        break;
    case PHYS_I64:
        d.i = vec->i[row];
        break;
    case PHYS_F64:
        d.f = vec->f[row];
        break;
    case PHYS_STR:
        d.s = vec->s[row];
        break;
    }
    return d;
}

/* Entry k of to becomes from's entry row, which is not NULL; both are of the phys type. */
static inline void
vector_take(struct vector *to, enum phys phys, uint32_t k, const struct vector *from, uint32_t row)
{
    switch (phys) {
    case PHYS_BOOL:
        to->b[k] = from->b[row];
        break;
    case PHYS_I64:
    case PHYS_F64:
        to->i[k] = from->i[row];
        break;
    case PHYS_STR:
        to->s[k] = from->s[row];
        break;
    }
}

/* ---- text and binary forms ---------------------------------------------- */

enum { DATE_ISO, DATE_POSTGRES, DATE_SQL, DATE_GERMAN };
enum { DATE_MDY, DATE_DMY, DATE_YMD };
enum { INTERVAL_POSTGRES, INTERVAL_POSTGRES_VERBOSE, INTERVAL_SQL, INTERVAL_ISO };

struct timezone;

/* Answers of the catalog that reg* types need. NULL functions: numbers only. */
struct row_names {
    /* kind is TYPE_REGCLASS, _REGTYPE, _REGNAMESPACE, _REGROLE or _REGPROC. */
    bool (*to_oid)(void *self, int kind, struct str name, uint32_t *oid);
    bool (*to_name)(void *self, int kind, uint32_t oid, struct text *to);
    /* The comment on a relation; false: none. May be NULL. */
    bool (*to_comment)(void *self, uint32_t oid, struct text *to);
    /* The schema of a relation; nothing: there is no such. May be NULL. */
    struct str (*to_schema)(void *self, uint32_t oid);
    /* Bytes of a relation's log, of all with 0; false: there is no such. May be NULL. */
    bool (*to_size)(void *self, uint32_t oid, int64_t *bytes);
    /* The text of a view; false: it is none. May be NULL. */
    bool (*to_definition)(void *self, uint32_t oid, struct text *to);
    void *self;
};

struct row_format {
    uint8_t date_style, date_order, interval_style;
    bool bytea_escape;
    int8_t extra_float_digits;     /* 1 = shortest exact */
    const struct timezone *tz;     /* of the session; NULL = UTC */
    int64_t now_us;                /* for 'now', 'today' */
    const struct row_names *names; /* may be NULL */
};
extern const char *const month_names[12];
extern const char *const day_names[7];
extern const struct row_format row_format_default; /* ISO, MDY, UTC, digits 1 */

/* Read a value from its text form; bytes are borrowed where the form is the
 * value (text), so text must live as long as the datum: pass a copy otherwise.
 * Checks UTF-8 and NUL only through row_check_text, which callers do on input
 * from the wire. Applies the typmod as an explicit input does (error on overlong).
 * Fails: OX_INVALID_TEXT_REPRESENTATION, OX_NUMERIC_VALUE_OUT_OF_RANGE, ... */
ox_code type_in_text(struct type type, struct str text, const struct row_format *format,
    struct arena *arena, struct datum *out, struct ox_err *err);
/* Append the text form. The value is not null. */
void type_out_text(
    struct type type, const struct datum *value, const struct row_format *format, struct text *to);
/* PostgreSQL's wire forms. in borrows bytes as above. */
ox_code type_in_binary(
    struct type type, struct str bytes, struct arena *arena, struct datum *out, struct ox_err *err);
void type_out_binary(struct type type, const struct datum *value, struct text *to);
/* UTF-8 without NUL. Fails: OX_CHARACTER_NOT_IN_REPERTOIRE */
ox_code row_check_text(struct str text, struct ox_err *err);
/* Decimal digits; shortest exact (extra_digits > 0) or rounded floats. */
void row_put_int(int64_t value, struct text *to);

/* Column-wise writers for hot paths: row is not null. */
void vector_out_text(
    const struct vector *vec, uint32_t row, const struct row_format *format, struct text *to);
/* A pgwire column: int32 length (-1 = null) and the text or binary form. */
void vector_out_field(const struct vector *vec, uint32_t row, bool binary,
    const struct row_format *format, struct text *to);

/* ---- time zones (timezone.c) -------------------------------------------- */

/* An IANA name, "UTC", "+05:30", "<+03>-03", POSIX abbreviations; NULL: unknown.
 * Tables are cached for the life of the process. Any thread. */
const struct timezone *timezone_find(struct str name);
/* A zone as times and AT TIME ZONE name it: an abbreviation is one offset all year,
 * "+02" is west of Greenwich as POSIX has it. */
const struct timezone *timezone_find_spoken(struct str name);
struct timezone_facts {
    const char *name, *abbrev;
    int32_t offset; /* seconds east */
    bool dst;
};
/* Each zone that the system names, as it is at that time. Reads hundreds of files. */
void timezone_each(int64_t us, void (*fn)(void *arg, const struct timezone_facts *facts),
    void *arg);
/* Seconds east of UTC at a UTC instant (us since 2000); abbrev may be NULL. */
int32_t timezone_offset(const struct timezone *tz, int64_t us, const char **abbrev);
/* Local wall time (us since 2000) to UTC, PostgreSQL's choice in gaps and folds. */
int64_t timezone_to_utc(const struct timezone *tz, int64_t local_us);

#define ROW_EPOCH_UNIX_S 946684800LL /* 2000-01-01 in Unix seconds */
static inline int64_t
row_us_from_unix_ms(int64_t ms)
{
    return ms * 1000 - ROW_EPOCH_UNIX_S * 1000000;
}

/* ---- COPY (text.c, csv.c) ----------------------------------------------- */

struct copy_format {
    bool csv;
    char delimiter, quote, escape; /* defaults: '\t' or ',', '"', '"' */
    struct str null;               /* "\\N" or "" */
    bool header;
    const uint8_t *force_quote;    /* per column, NULL = none */
    const uint8_t *force_not_null; /* per column, NULL = none */
    const uint8_t *force_null;
};
void copy_format_init(struct copy_format *format, bool csv);
/* Append the selected rows as COPY lines. At most `rows` of the selection from
 * position `from`; returns how many were written (stops after len_max bytes). */
uint32_t copy_out_rows(const struct batch *batch, uint32_t from, uint32_t rows, size_t len_max,
    const struct copy_format *copy, const struct row_format *format, struct text *to);
void copy_out_header(
    const struct str *names, uint32_t count, const struct copy_format *copy, struct text *to);
/* Splits a byte stream into lines. Bytes of one line at a time: returns the
 * number of bytes the next whole line takes (with its end) or 0 when more input
 * is needed (at `eof` the rest is the line). CSV lines may hold quoted newlines;
 * *line is without the end of line. *last is set for the text format's "\.". */
size_t copy_next_line(
    const struct copy_format *copy, struct str input, bool eof, struct str *line, bool *last);
/* Fields of one line; unescaped bytes are borrowed from line or live in the
 * arena. A NULL str is a null. Fails: OX_BAD_COPY_FILE_FORMAT (also when there
 * are more than fields_max) */
ox_code copy_split_line(const struct copy_format *copy, struct str line, struct arena *arena,
    struct str *fields, uint32_t fields_max, uint32_t *count, struct ox_err *err);

/* ---- JSON (json.c) ------------------------------------------------------ */

/* Finds one top-level member of an object text without parsing the rest; of equal
 * keys the last. On text that is not JSON it either finds nothing or
 * something; it never reads outside. */
struct json_finder {
    struct str key; /* borrowed */
    bool plain;     /* no byte of key needs an escape */
    bool wide;      /* AVX2 */
};
void json_finder_init(struct json_finder *finder, struct str key);
/* *value is the raw text of the member's value (a string with its quotes). */
bool json_find(const struct json_finder *finder, struct str doc, struct str *value);
/* The i-th element of an array text; negative counts from the end. */
bool json_index(struct str doc, int64_t index, struct str *value);
enum json_kind json_kind_of(struct str value); /* by its first byte */
/* A raw value as ->> gives it: unescaped string, raw text, false for null.
 * *valid (may be NULL) is false when the string's escapes are broken. */
bool json_as_text(struct str value, struct arena *arena, struct str *out, bool *valid);
/* Full check of a JSON text. Fails: OX_INVALID_TEXT_REPRESENTATION */
ox_code json_validate(struct str text, struct ox_err *err);
/* jsonb's normal form (keys sorted and unique, numbers canonical), appended. */
ox_code jsonb_normalise(struct str text, struct text *to, struct ox_err *err);
/* A JSON string literal with its quotes, appended. */
void json_quote(struct str s, struct text *to);
/* Any value as JSON, as to_json() does. */
void json_from_datum(
    struct type type, const struct datum *value, const struct row_format *format, struct text *to);

/* ---- arrays and records (array.c) ---------------------------------------- */

#define ARRAY_DIMS_MAX 6

struct array_view {
    uint32_t ndim, count;
    struct type element;
    int32_t len[ARRAY_DIMS_MAX], lower[ARRAY_DIMS_MAX];
    const uint8_t *nulls; /* NULL: none */
    const void *values;   /* 8 bytes each, or offsets[count + 1] and bytes */
    const char *bytes;
};
void array_view(struct str packed, struct array_view *out);
struct datum array_get(const struct array_view *view, uint32_t i); /* borrows */
/* A one-dimensional array; lower bound 1; count 0 gives '{}'. */
struct str array_make(
    struct type element, const struct datum *items, uint32_t count, struct arena *arena);

/* Of any shape: count is the product of len[0..ndim). */
struct str array_make_dims(struct type element, const struct datum *items, uint32_t count,
    uint32_t ndim, const int32_t *len, const int32_t *lower, struct arena *arena);

struct record_view {
    uint32_t count;
    const struct str *names; /* ptr NULL: f1, f2, ... */
    const struct type *types;
    const struct datum *values;
};
/* A record's bytes hold everything but borrow nothing. */
struct str record_make(const struct record_view *fields, struct arena *arena);
void record_view(struct str packed, struct arena *arena, struct record_view *out);

#endif
