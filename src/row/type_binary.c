/* SPDX-License-Identifier: Apache-2.0
 *
 * Values in PostgreSQL's binary form: big-endian numbers, microseconds since
 * 2000, or the bytes of the text. */
#include "base/wire.h"
#include "row/row.h"
#include "row/row_int.h"

static ox_code
bad_binary(struct ox_err *err)
{
    return ox_fail(err, OX_INVALID_BINARY_REPRESENTATION, "incorrect binary data format");
}

/* Types whose form is their bytes, or text. */
static ox_code
bytes_in_binary(
    struct type type, struct str bytes, struct arena *arena, struct datum *out, struct ox_err *err)
{
    switch (type.id) {
    case TYPE_UUID:
        if (bytes.len != 16)
            return bad_binary(err);
        out->s = bytes;
        return OX_OK;
    case TYPE_JSONB:
        if (bytes.len < 1 || bytes.ptr[0] != 1)
            return ox_fail(
                err, OX_INVALID_BINARY_REPRESENTATION, "unsupported jsonb version number");
        bytes = ox_str_n(bytes.ptr + 1, bytes.len - 1);
        if (row_check_text(bytes, err) != OX_OK)
            return OX_CHARACTER_NOT_IN_REPERTOIRE;
        return type_in_text(type, bytes, &row_format_default, arena, out, err);
    case TYPE_BYTEA:
        out->s = bytes;
        return OX_OK;
    case TYPE_VOID:
        out->s = OX_STR("");
        return OX_OK;
    case TYPE_CHAR:
        if (bytes.len != 1)
            return bad_binary(err);
        out->s = bytes.ptr[0] == '\0' ? OX_STR("") : bytes;
        return OX_OK;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_NAME:
    case TYPE_JSON:
    case TYPE_UNKNOWN:
        if (row_check_text(bytes, err) != OX_OK)
            return OX_CHARACTER_NOT_IN_REPERTOIRE;
        return type_in_text(type, bytes, &row_format_default, arena, out, err);
    default:
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED,
            "no binary input function available for type %s", type_table[type.id].sql);
    }
}

static double
get_float4(struct wire_in *in)
{
    int32_t bits = wire_get32(in);
    float f;
    memcpy(&f, &bits, sizeof(f));
    return (double)f;
}

static struct str
get_interval(struct wire_in *in, int32_t typmod, struct arena *arena)
{
    struct interval span = {.us = wire_get64(in)};
    span.days = wire_get32(in);
    span.months = wire_get32(in);
    interval_apply_typmod(&span, typmod);
    return ox_str_n(ox_arena_copy(arena, &span, sizeof(span)), sizeof(span));
}

ox_code
type_in_binary(
    struct type type, struct str bytes, struct arena *arena, struct datum *out, struct ox_err *err)
{
    memset(out, 0, sizeof(*out));
    if (type.array)
        return array_in_binary(type, bytes, arena, out, err);
    struct wire_in in = wire_in(bytes.ptr, bytes.len);
    switch (type.id) {
    case TYPE_BOOL:
        out->b = wire_get8(&in) != 0;
        break;
    case TYPE_INT2:
        out->i = wire_get16(&in);
        break;
    case TYPE_INT4:
        out->i = wire_get32(&in);
        break;
    case TYPE_INT8:
        out->i = wire_get64(&in);
        break;
    case TYPE_OID:
    case TYPE_XID:
    case TYPE_REGPROC:
    case TYPE_REGCLASS:
    case TYPE_REGTYPE:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
        out->i = (uint32_t)wire_get32(&in);
        break;
    case TYPE_FLOAT4:
        out->f = get_float4(&in);
        break;
    case TYPE_FLOAT8:
        out->i = wire_get64(&in); /* the same bits */
        break;
    case TYPE_NUMERIC: {
        ox_code code = numeric_from_wire(bytes, arena, &out->s, err);
        return code != OX_OK ? code
                             : numeric_apply_typmod(out->s, type.typmod, arena, &out->s, err);
    }
    case TYPE_DATE:
        out->i = wire_get32(&in);
        if (out->i != DATE_INF && out->i != DATE_NINF &&
            (out->i < DATE_MIN_DAYS || out->i >= DATE_END_DAYS))
            return ox_fail(err, OX_DATETIME_FIELD_OVERFLOW, "date out of range");
        break;
    case TYPE_TIME:
        out->i = timestamp_round(wire_get64(&in), type.typmod);
        if (out->i < 0 || out->i > US_DAY)
            return ox_fail(err, OX_DATETIME_FIELD_OVERFLOW, "time out of range");
        break;
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        out->i = timestamp_round(wire_get64(&in), type.typmod);
        if (timestamp_check(out->i, err) != OX_OK)
            return OX_DATETIME_FIELD_OVERFLOW;
        break;
    case TYPE_INTERVAL:
        out->s = get_interval(&in, type.typmod, arena);
        break;
    default:
        return bytes_in_binary(type, bytes, arena, out, err);
    }
    if (in.failed || wire_left(&in) != 0)
        return bad_binary(err);
    return OX_OK;
}

static void
put_float4(struct wire_out *out, double value)
{
    float f = (float)value;
    int32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    wire_put32(out, bits);
}

static void
put_interval(struct wire_out *out, struct str value)
{
    struct interval span;
    memcpy(&span, value.ptr, sizeof(span));
    wire_put64(out, span.us);
    wire_put32(out, span.days);
    wire_put32(out, span.months);
}

void
type_out_binary(struct type type, const struct datum *v, struct text *to)
{
    if (type.array) {
        array_out_binary(type, v->s, to);
        return;
    }
    struct wire_out out = wire_out(to);
    switch (type.id) {
    case TYPE_BOOL:
        wire_put8(&out, (int8_t)v->b);
        break;
    case TYPE_INT2:
        wire_put16(&out, (int16_t)v->i);
        break;
    case TYPE_INT4:
    case TYPE_DATE:
    case TYPE_OID:
    case TYPE_XID:
    case TYPE_REGPROC:
    case TYPE_REGCLASS:
    case TYPE_REGTYPE:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
        wire_put32(&out, (int32_t)v->i);
        break;
    case TYPE_INT8:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        wire_put64(&out, v->i);
        break;
    case TYPE_FLOAT4:
        put_float4(&out, v->f);
        break;
    case TYPE_FLOAT8:
        wire_put64(&out, v->i);
        break;
    case TYPE_NUMERIC:
        numeric_to_wire(v->s, to);
        break;
    case TYPE_INTERVAL:
        put_interval(&out, v->s);
        break;
    case TYPE_JSONB:
        wire_put8(&out, 1);
        wire_put_bytes(&out, v->s.ptr, v->s.len);
        break;
    case TYPE_CHAR:
        wire_put8(&out, v->s.len > 0 ? v->s.ptr[0] : 0);
        break;
    case TYPE_RECORD:
        record_out_binary(v->s, to);
        break;
    default:
        wire_put_bytes(&out, v->s.ptr, v->s.len);
    }
}
