/* SPDX-License-Identifier: Apache-2.0
 *
 * An interpreter of message tables. A field takes some nanoseconds, which is
 * nothing beside the bytes that the big messages carry; in return every message
 * in every version runs through the same hundred lines.
 *
 * Encodings, as Kafka defines them:
 *               plain                     flexible versions
 *   string      int16 length, -1 null     uvarint length + 1, 0 null
 *   bytes       int32 length, -1 null     the same
 *   array       int32 count, -1 null      uvarint count + 1, 0 null
 *   struct      its fields                its fields, then the tagged section
 *   null struct                           int8 -1, or 1 and the struct
 * The tagged section is a count, then for each field that differs from its
 * default: tag, length, bytes. */
#include "base/msg.h"

#include "base/check.h"

struct decoder {
    struct wire_in *in;
    struct arena *arena;
    int version;
    bool flexible;
};

static bool
carried(const struct msg_field *field, int version)
{
    return version >= field->from && version <= field->to;
}

static bool
nullable(const struct msg_field *field, int version)
{
    return version >= field->null_from && version <= field->null_to;
}

size_t
msg_kind_size(const struct msg_field *field)
{
    static const uint8_t sizes[] = {[MSG_BOOL] = sizeof(bool), [MSG_INT8] = 1, [MSG_INT16] = 2,
        [MSG_INT32] = 4, [MSG_INT64] = 8, [MSG_UINT16] = 2, [MSG_UINT32] = 4, [MSG_FLOAT64] = 8,
        [MSG_UUID] = 16, [MSG_STRING] = sizeof(struct str), [MSG_BYTES] = sizeof(struct str),
        [MSG_RECORDS] = sizeof(struct msg_records)};
    return field->kind == MSG_STRUCT ? field->sub->size : sizes[field->kind];
}

bool
msg_set_number(const struct msg_field *field, void *to, int64_t value)
{
    switch (field->kind) {
    case MSG_BOOL:
        *(bool *)to = value != 0;
        break;
    case MSG_INT8:
        *(int8_t *)to = (int8_t)value;
        break;
    case MSG_INT16:
    case MSG_UINT16:
        *(int16_t *)to = (int16_t)value;
        break;
    case MSG_INT32:
    case MSG_UINT32:
        *(int32_t *)to = (int32_t)value;
        break;
    case MSG_INT64:
        *(int64_t *)to = value;
        break;
    case MSG_FLOAT64:
        *(double *)to = (double)value;
        break;
    default:
        return false;
    }
    return true;
}

/* ---- defaults ---- */

static void
init_field(const struct msg_field *field, void *at)
{
    if (field->flags & MSG_ARRAY) {
        struct msg_int8s *array = at;
        array->at = NULL;
        array->count = field->flags & MSG_DEFAULT_NULL ? -1 : 0;
        return;
    }
    if (msg_set_number(field, at, field->initial))
        return;
    switch (field->kind) {
    case MSG_UUID:
        memset(at, 0, sizeof(struct uuid));
        break;
    case MSG_STRING:
    case MSG_BYTES:
        *(struct str *)at = field->flags & MSG_DEFAULT_NULL ? OX_STR_NULL : OX_STR("");
        break;
    case MSG_RECORDS:
        *(struct msg_records *)at = (struct msg_records){.bytes = OX_STR_NULL};
        break;
    case MSG_STRUCT:
        if (field->flags & MSG_POINTER)
            *(void **)at = NULL;
        else
            msg_init(field->sub, at);
        break;
    default:
        ox_unreachable();
    }
}

void
msg_init(const struct msg_struct *st, void *out)
{
    for (unsigned i = 0; i < st->field_count; i++)
        init_field(&st->fields[i], (char *)out + st->fields[i].offset);
}

/* ---- decoding ---- */

static bool decode_struct(struct decoder *dec, const struct msg_struct *st, char *out);

static bool
refuse(struct decoder *dec)
{
    dec->in->failed = true;
    dec->in->at = dec->in->end;
    return false;
}

/* A length or count; -1 is null, which Java readers also take what is below for.
 * A string is never longer than its old form could be. */
static int64_t
get_length(struct decoder *dec, bool flexible, bool short_length)
{
    int64_t len = flexible       ? (int64_t)wire_get_uvarint(dec->in) - 1
                  : short_length ? wire_get16(dec->in)
                                 : wire_get32(dec->in);
    if (dec->in->failed)
        return -2;
    if (len > (short_length ? INT16_MAX : INT32_MAX))
        refuse(dec);
    return len < -1 ? -1 : len;
}

static bool
decode_str(struct decoder *dec, const struct msg_field *field, bool in_array, struct str *out)
{
    bool flat = (field->flags & MSG_FLAT) != 0;
    int64_t len = get_length(dec, dec->flexible && !flat, field->kind == MSG_STRING);
    if (dec->in->failed)
        return false;
    if (len < 0) {
        *out = OX_STR_NULL;
        return (!in_array && nullable(field, dec->version)) || refuse(dec);
    }
    const uint8_t *ptr = wire_skip(dec->in, (size_t)len);
    *out = (struct str){(const char *)ptr, ptr ? (size_t)len : 0};
    return ptr != NULL;
}

/* What stands before a struct that may be null: a sign, but in a tagged field a
 * uvarint, 0 for null. */
static bool
is_null_struct(const struct msg_field *field, struct wire_in *in)
{
    return field->tag >= 0 ? wire_get_uvarint(in) == 0 : wire_get8(in) < 0;
}

/* One value that is no array. */
static bool
decode_value(struct decoder *dec, const struct msg_field *field, bool in_array, void *to)
{
    struct wire_in *in = dec->in;
    const uint8_t *bytes;
    switch ((enum msg_kind)field->kind) {
    case MSG_BOOL:
        *(bool *)to = wire_get8(in) != 0;
        break;
    case MSG_INT8:
        *(int8_t *)to = wire_get8(in);
        break;
    case MSG_INT16:
    case MSG_UINT16:
        *(int16_t *)to = wire_get16(in);
        break;
    case MSG_INT32:
    case MSG_UINT32:
        *(int32_t *)to = wire_get32(in);
        break;
    case MSG_INT64:
    case MSG_FLOAT64: {
        int64_t v = wire_get64(in);
        memcpy(to, &v, sizeof(v));
        break;
    }
    case MSG_UUID:
        if ((bytes = wire_skip(in, sizeof(struct uuid))) != NULL)
            memcpy(to, bytes, sizeof(struct uuid));
        break;
    case MSG_STRING:
    case MSG_BYTES:
        return decode_str(dec, field, in_array, to);
    case MSG_RECORDS:
        return decode_str(dec, field, in_array, &((struct msg_records *)to)->bytes);
    case MSG_STRUCT:
        if (in_array || !(field->flags & MSG_POINTER))
            return decode_struct(dec, field->sub, to);
        if (nullable(field, dec->version) && is_null_struct(field, in))
            return !in->failed;
        *(void **)to = ox_arena_alloc0(dec->arena, field->sub->size);
        return decode_struct(dec, field->sub, *(void **)to);
    }
    return !in->failed;
}

/* Bytes that one element takes on the wire, at least. */
static size_t
element_min(const struct decoder *dec, const struct msg_field *field)
{
    switch ((enum msg_kind)field->kind) {
    case MSG_STRUCT:
        return field->sub->wire_min;
    case MSG_STRING:
        return dec->flexible ? 1 : 2;
    case MSG_BYTES:
    case MSG_RECORDS:
        return dec->flexible ? 1 : 4;
    case MSG_BOOL:
        return 1;
    default:
        return msg_kind_size(field);
    }
}

static bool
decode_array(struct decoder *dec, const struct msg_field *field, struct msg_int8s *out)
{
    int64_t count = get_length(dec, dec->flexible, false);
    if (dec->in->failed)
        return false;
    out->at = NULL;
    out->count = (int32_t)count;
    if (count < 0)
        return nullable(field, dec->version) || refuse(dec);
    if (count == 0)
        return true;
    size_t size = msg_kind_size(field), need = (size_t)count * size;
    size_t fit = wire_left(dec->in) / OX_MAX(element_min(dec, field), (size_t)1);
    if (count > MSG_ARRAY_MAX || (size_t)count > fit || need > dec->arena->cap ||
        dec->arena->used > dec->arena->cap - need) {
        if (count > MSG_ARRAY_MAX && (size_t)count <= fit)
            limit_met(LIMIT_ARRAY_ELEMENTS);
        return refuse(dec);
    }
    char *at = ox_arena_alloc0(dec->arena, need);
    out->at = (int8_t *)at;
    for (int64_t i = 0; i < count; i++, at += size)
        if (!decode_value(dec, field, true, at))
            return false;
    return true;
}

static bool
decode_field(struct decoder *dec, const struct msg_field *field, void *at)
{
    return field->flags & MSG_ARRAY ? decode_array(dec, field, at)
                                    : decode_value(dec, field, false, at);
}

static const struct msg_field *
find_tag(const struct msg_struct *st, uint32_t tag, int version)
{
    for (unsigned i = st->plain_count; i < st->field_count; i++)
        if ((uint32_t)st->fields[i].tag == tag && carried(&st->fields[i], version))
            return &st->fields[i];
    return NULL;
}

static bool
decode_tagged(struct decoder *dec, const struct msg_struct *st, char *out)
{
    struct wire_in *in = dec->in;
    uint32_t count = wire_get_uvarint(in);
    if (count > LIMIT_TAGGED_FIELDS_VALUE) {
        limit_met(LIMIT_TAGGED_FIELDS);
        return refuse(dec);
    }
    for (uint32_t i = 0; i < count && !in->failed; i++) {
        uint32_t tag = wire_get_uvarint(in), len = wire_get_uvarint(in);
        const uint8_t *bytes = wire_skip(in, len);
        const struct msg_field *field = find_tag(st, tag, dec->version);
        if (bytes == NULL || field == NULL)
            continue;
        struct wire_in inside = wire_in(bytes, len);
        dec->in = &inside;
        bool good = decode_field(dec, field, out + field->offset) && wire_left(&inside) == 0;
        dec->in = in;
        if (!good)
            return refuse(dec);
    }
    return !in->failed;
}

static bool
decode_struct(struct decoder *dec, const struct msg_struct *st, char *out)
{
    for (unsigned i = 0; i < st->plain_count; i++) {
        const struct msg_field *field = &st->fields[i];
        if (!carried(field, dec->version))
            init_field(field, out + field->offset);
        else if (!decode_field(dec, field, out + field->offset))
            return false;
    }
    for (unsigned i = st->plain_count; i < st->field_count; i++)
        init_field(&st->fields[i], out + st->fields[i].offset);
    return !dec->flexible || decode_tagged(dec, st, out);
}

bool
msg_decode(const struct msg_type *type, struct wire_in *in, int version, struct arena *arena,
    void *out)
{
    ox_assert(version >= type->from && version <= type->to);
    struct decoder dec = {in, arena, version, version >= type->flexible};
    memset(out, 0, type->top->size);
    return !in->failed && decode_struct(&dec, type->top, out) && !in->failed;
}

/* ---- encoding ---- */

struct encoder {
    struct wire_out *out;
    struct msg_splices *splices;
    int version;
    bool flexible;
};

static void encode_struct(struct encoder *enc, const struct msg_struct *st, const char *in);

static void
put_length(struct encoder *enc, bool flexible, bool short_length, int64_t len)
{
    if (flexible)
        wire_put_uvarint(enc->out, (uint64_t)(len + 1));
    else if (short_length)
        wire_put16(enc->out, (int16_t)len);
    else
        wire_put32(enc->out, (int32_t)len);
}

static void
encode_str(struct encoder *enc, const struct msg_field *field, bool in_array, struct str s)
{
    bool flexible = enc->flexible && !(field->flags & MSG_FLAT);
    bool short_length = field->kind == MSG_STRING;
    if (s.ptr == NULL && !in_array && nullable(field, enc->version)) {
        put_length(enc, flexible, short_length, -1);
        return;
    }
    size_t len = s.ptr ? s.len : 0;
    if (!flexible && short_length)
        len = OX_MIN(len, (size_t)INT16_MAX);
    put_length(enc, flexible, short_length, (int64_t)len);
    wire_put_bytes(enc->out, s.ptr, len);
}

static void
encode_records(struct encoder *enc, const struct msg_field *field,
    const struct msg_records *records)
{
    if (records->splice == NULL) {
        encode_str(enc, field, false, records->bytes);
        return;
    }
    put_length(enc, enc->flexible, false, (int64_t)records->splice_len);
    enc->out->len += records->splice_len;
    struct msg_splices *splices = enc->splices;
    const struct text *text = enc->out->text;
    if (text == NULL && (splices == NULL || !splices->cut))
        return;
    ox_assert(splices != NULL);
    ox_arena_grow(splices->arena, (void **)&splices->at, &splices->cap, splices->count + 1,
        sizeof(*splices->at));
    splices->at[splices->count++] =
        (struct msg_splice){text != NULL ? text->len : 0, records->splice, records->splice_len};
}

/* From here on nothing is written, if it became too much. */
static void
look_at_length(struct encoder *enc)
{
    struct msg_splices *splices = enc->splices;
    if (splices == NULL || splices->most == 0 || enc->out->text == NULL ||
        enc->out->text->len <= splices->most || !mem_over())
        return;
    splices->cut = true;
    enc->out->text = NULL;
}

static void
encode_value(struct encoder *enc, const struct msg_field *field, bool in_array, const void *from)
{
    struct wire_out *out = enc->out;
    const void *sub = from;
    switch ((enum msg_kind)field->kind) {
    case MSG_BOOL:
        wire_put8(out, *(const bool *)from);
        break;
    case MSG_INT8:
        wire_put8(out, *(const int8_t *)from);
        break;
    case MSG_INT16:
    case MSG_UINT16:
        wire_put16(out, *(const int16_t *)from);
        break;
    case MSG_INT32:
    case MSG_UINT32:
        wire_put32(out, *(const int32_t *)from);
        break;
    case MSG_INT64:
    case MSG_FLOAT64: {
        int64_t v;
        memcpy(&v, from, sizeof(v));
        wire_put64(out, v);
        break;
    }
    case MSG_UUID:
        wire_put_bytes(out, from, sizeof(struct uuid));
        break;
    case MSG_STRING:
    case MSG_BYTES:
        encode_str(enc, field, in_array, *(const struct str *)from);
        break;
    case MSG_RECORDS:
        encode_records(enc, field, from);
        break;
    case MSG_STRUCT:
        if (!in_array && field->flags & MSG_POINTER) {
            sub = *(const void *const *)from;
            if (nullable(field, enc->version))
                wire_put8(out, sub ? 1 : field->tag >= 0 ? 0 : -1);
            if (sub == NULL)
                break;
        }
        encode_struct(enc, field->sub, sub);
        break;
    }
}

static void
encode_field(struct encoder *enc, const struct msg_field *field, const void *from)
{
    if (!(field->flags & MSG_ARRAY)) {
        encode_value(enc, field, false, from);
        return;
    }
    const struct msg_int8s *array = from;
    if (array->count < 0 && nullable(field, enc->version)) {
        put_length(enc, enc->flexible, false, -1);
        return;
    }
    int32_t count = OX_MAX(array->count, 0);
    put_length(enc, enc->flexible, false, count);
    size_t size = msg_kind_size(field);
    const char *at = (const char *)array->at;
    for (int32_t i = 0; i < count; i++, at += size) {
        look_at_length(enc);
        encode_value(enc, field, true, at);
    }
}

static bool
is_default(const struct msg_field *field, const void *from)
{
    if (field->flags & MSG_ARRAY) {
        int32_t count = ((const struct msg_int8s *)from)->count;
        return count == (field->flags & MSG_DEFAULT_NULL ? -1 : 0);
    }
    switch ((enum msg_kind)field->kind) {
    case MSG_BOOL:
        return *(const bool *)from == (field->initial != 0);
    case MSG_INT8:
        return *(const int8_t *)from == (int8_t)field->initial;
    case MSG_INT16:
    case MSG_UINT16:
        return *(const int16_t *)from == (int16_t)field->initial;
    case MSG_INT32:
    case MSG_UINT32:
        return *(const int32_t *)from == (int32_t)field->initial;
    case MSG_INT64:
        return *(const int64_t *)from == field->initial;
    case MSG_FLOAT64:
        return false;
    case MSG_UUID:
        return ox_uuid_is_zero(from);
    case MSG_STRING:
    case MSG_BYTES: {
        const struct str *s = from;
        return field->flags & MSG_DEFAULT_NULL ? s->ptr == NULL : s->len == 0;
    }
    case MSG_RECORDS:
        return false;
    case MSG_STRUCT:
        if (field->flags & MSG_POINTER)
            return *(const void *const *)from == NULL;
        for (unsigned i = 0; i < field->sub->field_count; i++) {
            const struct msg_field *inner = &field->sub->fields[i];
            if (!is_default(inner, (const char *)from + inner->offset))
                return false;
        }
        return true;
    }
    return false;
}

static void
encode_tagged(struct encoder *enc, const struct msg_struct *st, const char *in)
{
    uint32_t count = 0;
    for (unsigned i = st->plain_count; i < st->field_count; i++)
        count += carried(&st->fields[i], enc->version) &&
                 !is_default(&st->fields[i], in + st->fields[i].offset);
    wire_put_uvarint(enc->out, count);
    for (unsigned i = st->plain_count; count > 0 && i < st->field_count; i++) {
        const struct msg_field *field = &st->fields[i];
        const char *from = in + field->offset;
        if (!carried(field, enc->version) || is_default(field, from))
            continue;
        struct wire_out counted = wire_out(NULL), *out = enc->out;
        enc->out = &counted;
        encode_field(enc, field, from);
        enc->out = out;
        wire_put_uvarint(out, (uint64_t)field->tag);
        wire_put_uvarint(out, counted.len);
        encode_field(enc, field, from);
    }
}

static void
encode_struct(struct encoder *enc, const struct msg_struct *st, const char *in)
{
    for (unsigned i = 0; i < st->plain_count; i++)
        if (carried(&st->fields[i], enc->version))
            encode_field(enc, &st->fields[i], in + st->fields[i].offset);
    if (enc->flexible)
        encode_tagged(enc, st, in);
}

void
msg_encode(const struct msg_type *type, const void *msg, int version, struct wire_out *out,
    struct msg_splices *splices)
{
    ox_assert(version >= type->from && version <= type->to);
    struct encoder enc = {out, splices, version, version >= type->flexible};
    encode_struct(&enc, type->top, msg);
}

size_t
msg_size(const struct msg_type *type, const void *msg, int version)
{
    struct wire_out out = wire_out(NULL);
    msg_encode(type, msg, version, &out, NULL);
    return out.len;
}

/* ---- printing ---- */

static void print_struct(const struct msg_struct *st, const char *from, int version,
    struct text *out);

static void
print_value(const struct msg_field *field, bool in_array, const void *from, int version,
    struct text *out)
{
    const struct str *s = from;
    char uuid[23];
    switch ((enum msg_kind)field->kind) {
    case MSG_BOOL:
        ox_text_adds(out, *(const bool *)from ? "true" : "false");
        break;
    case MSG_INT8:
        ox_text_addf(out, "%d", *(const int8_t *)from);
        break;
    case MSG_INT16:
        ox_text_addf(out, "%d", *(const int16_t *)from);
        break;
    case MSG_UINT16:
        ox_text_addf(out, "%u", *(const uint16_t *)from);
        break;
    case MSG_INT32:
        ox_text_addf(out, "%d", *(const int32_t *)from);
        break;
    case MSG_UINT32:
        ox_text_addf(out, "%u", *(const uint32_t *)from);
        break;
    case MSG_INT64:
        ox_text_addf(out, "%lld", (long long)*(const int64_t *)from);
        break;
    case MSG_FLOAT64:
        ox_text_addf(out, "%.17g", *(const double *)from);
        break;
    case MSG_UUID:
        ox_uuid_to_base64(from, uuid);
        ox_text_addf(out, "\"%s\"", uuid);
        break;
    case MSG_STRING:
        if (s->ptr == NULL)
            ox_text_adds(out, "null");
        else
            ox_text_addf(out, "\"%.*s\"", OX_STR_ARG(*s));
        break;
    case MSG_BYTES:
    case MSG_RECORDS:
        if (s->ptr == NULL)
            ox_text_adds(out, "null");
        else
            ox_text_addf(out, "\"%zu bytes\"", s->len);
        break;
    case MSG_STRUCT:
        if (!in_array && field->flags & MSG_POINTER)
            from = *(const void *const *)from;
        if (from == NULL)
            ox_text_adds(out, "null");
        else
            print_struct(field->sub, from, version, out);
        break;
    }
}

static void
print_field(const struct msg_field *field, const void *from, int version, struct text *out)
{
    if (!(field->flags & MSG_ARRAY)) {
        print_value(field, false, from, version, out);
        return;
    }
    const struct msg_int8s *array = from;
    if (array->count < 0) {
        ox_text_adds(out, "null");
        return;
    }
    ox_text_addc(out, '[');
    for (int32_t i = 0; i < array->count; i++) {
        ox_text_adds(out, i ? ", " : "");
        print_value(field, true,
            (const char *)array->at + (size_t)i * msg_kind_size(field), version, out);
    }
    ox_text_addc(out, ']');
}

static void
print_struct(const struct msg_struct *st, const char *from, int version, struct text *out)
{
    const char *before = "{";
    for (unsigned i = 0; i < st->field_count; i++) {
        const struct msg_field *field = &st->fields[i];
        if (!carried(field, version))
            continue;
        ox_text_addf(out, "%s\"%s\": ", before, field->name);
        print_field(field, from + field->offset, version, out);
        before = ", ";
    }
    ox_text_adds(out, *before == '{' ? "{}" : "}");
}

void
msg_print(const struct msg_type *type, const void *msg, int version, struct text *out)
{
    print_struct(type->top, msg, version, out);
}
