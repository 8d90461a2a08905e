/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "log/record_batch.h"
#include "wire_text.h"

enum { PATCHES_MAX = 8, PATCH_BYTES_MAX = 32, HIDE_MAX = 64, NUMBERED_MAX = 1000 };

struct arena text_arena;
const char *text_at;
int text_line;
char *(*text_shown)(char *row);
struct names {
    char *at[HIDE_MAX];
    int count;
};
static struct names hidden, numbered;
static char *values[NUMBERED_MAX]; /* of numbered fields, in the order they were seen */
static int value_count;

void
text_init(void)
{
    ox_arena_init(&text_arena);
}

void
text_fini(void)
{
    for (int i = 0; i < hidden.count; i++)
        ox_free(hidden.at[i]);
    for (int i = 0; i < numbered.count; i++)
        ox_free(numbered.at[i]);
    for (int i = 0; i < value_count; i++)
        ox_free(values[i]);
    ox_arena_fini(&text_arena);
}

void
text_bad(const char *what)
{
    fprintf(stderr, "wire: line %d: %s near \"%.30s\"\n", text_line, what, text_at ? text_at : "");
    exit(2);
}

static void
add_names(struct names *to, char *names)
{
    for (char *word = strtok(names, " "); word != NULL; word = strtok(NULL, " "))
        if (to->count < HIDE_MAX)
            to->at[to->count++] = ox_strdup(word);
}

void
text_hide(char *names)
{
    add_names(&hidden, names);
}

void
text_number(char *names)
{
    add_names(&numbered, names);
}

/* ---- text to struct ---- */

void
text_blanks(void)
{
    while (isspace((unsigned char)*text_at) || *text_at == ',')
        text_at++;
}

static bool
take(const char *word)
{
    text_blanks();
    size_t len = strlen(word);
    if (strncmp(text_at, word, len) != 0)
        return false;
    text_at += len;
    return true;
}

static struct str
parse_string(void)
{
    struct text out;
    ox_text_init(&out, &text_arena);
    if (!take("\""))
        text_bad("a string is expected");
    for (; *text_at != '"'; text_at++) {
        if (*text_at == '\0')
            text_bad("a string does not end");
        if (*text_at == '\\' && text_at[1] == 'x') {
            unsigned byte;
            if (sscanf(text_at + 2, "%2x", &byte) != 1)
                text_bad("\\x wants two digits");
            ox_text_addc(&out, (char)byte);
            text_at += 3;
        } else {
            ox_text_addc(&out, *text_at == '\\' ? *++text_at : *text_at);
        }
    }
    text_at++;
    return ox_str_dup(&text_arena, ox_text_str(&out));
}

/* at:POS/HEX: */
struct patch {
    size_t pos, len;
    uint8_t bytes[PATCH_BYTES_MAX];
};

static bool
parse_patch(const char **text, struct patch *patch)
{
    unsigned pos, byte;
    int used = 0;
    if (sscanf(*text, "at:%u/%n", &pos, &used) != 1 || used == 0)
        return false;
    *patch = (struct patch){.pos = pos};
    for (*text += used; **text != ':'; *text += 2) {
        if (patch->len == PATCH_BYTES_MAX || sscanf(*text, "%2x", &byte) != 1)
            text_bad("at:POS/HEX: is expected");
        patch->bytes[patch->len++] = (uint8_t)byte;
    }
    ++*text;
    return true;
}

/* The checksum follows: it lies in 17..20 and covers what is behind. */
static void
apply_patches(const struct patch *patches, int count, uint8_t *batch, size_t len)
{
    for (int i = 0; i < count; i++) {
        if (patches[i].pos + patches[i].len > len)
            text_bad("a patch beyond the end of the batch");
        memcpy(batch + patches[i].pos, patches[i].bytes, patches[i].len);
    }
    if (count > 0)
        record_batch_seal(batch, len);
}

/* What is asked of a batch besides its records. */
struct batch_wish {
    struct record_builder_config config;
    bool badcrc, magic1, two, base5, cut, odd;
    struct patch patches[PATCHES_MAX];
    int patch_count;
};

/* One word in front of the records, if text begins with one. */
static bool
parse_wish(const char **text, struct batch_wish *wish)
{
    static const char *const codecs[] = {"none:", "gzip:", "snappy:", "lz4:", "zstd:"};
    const struct {
        const char *word;
        bool *flag;
    } flags[] = {{"badcrc:", &wish->badcrc}, {"magic1:", &wish->magic1}, {"two:", &wish->two},
        {"base5:", &wish->base5}, {"cut:", &wish->cut}, {"odd:", &wish->odd},
        {"control:", &wish->config.control}, {"txn:", &wish->config.transactional}};
    long long pid;
    int epoch, seq, used = 0;
    if (wish->patch_count < PATCHES_MAX && parse_patch(text, &wish->patches[wish->patch_count])) {
        wish->patch_count++;
        return true;
    }
    for (int i = 0; i < 5; i++)
        if (strncmp(*text, codecs[i], strlen(codecs[i])) == 0) {
            wish->config.codec = (enum ox_codec)i;
            *text += strlen(codecs[i]);
            return true;
        }
    for (size_t i = 0; i < ox_count(flags); i++)
        if (strncmp(*text, flags[i].word, strlen(flags[i].word)) == 0) {
            *flags[i].flag = true;
            *text += strlen(flags[i].word);
            return true;
        }
    if (sscanf(*text, "seq:%lld/%d/%d:%n", &pid, &epoch, &seq, &used) != 3 || used == 0)
        return false;
    wish->config.producer_id = pid;
    wish->config.producer_epoch = (int16_t)epoch;
    wish->config.base_sequence = seq;
    *text += used;
    return true;
}

/* "key=value value2 key3=null" */
static void
add_records(struct record_builder *builder, const char *text)
{
    int64_t timestamp = 1700000000000;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        const char *equals = memchr(text, '=', len);
        struct str key = OX_STR_NULL, value = ox_str_n(text, len);
        if (equals != NULL) {
            key = ox_str_n(text, (size_t)(equals - text));
            value = ox_str_n(equals + 1, len - key.len - 1);
            if (ox_str_is(value, "null"))
                value = OX_STR_NULL;
        }
        record_builder_add(builder, timestamp++, key, value, NULL, 0);
        text += len + (text[len] == ' ');
    }
}

/* What no builder makes. */
static void
spoil_batch(const struct batch_wish *wish, uint8_t *batch, size_t len)
{
    if (wish->odd) {
        wire_store32(batch + 57, 99); /* a record count that is a lie */
        record_batch_seal(batch, len);
    }
    apply_patches(wish->patches, wish->patch_count, batch, len);
    if (wish->badcrc)
        batch[20] ^= 1;
    if (wish->magic1)
        batch[16] = 1;
    if (wish->base5)
        batch[7] = 5;
}

/* A batch from its description. */
static struct str
build_records(struct str spec)
{
    struct batch_wish wish = {.config = RECORD_BUILDER_PLAIN};
    struct record_builder builder;
    const char *text = spec.ptr;
    struct slice slice;
    struct text out;
    struct ox_err err;
    while (parse_wish(&text, &wish))
        ;
    record_builder_init(&builder);
    wish.config.level = OX_CODEC_LEVEL_DEFAULT;
    record_builder_begin(&builder, &wish.config);
    add_records(&builder, text);
    ox_text_init(&out, &text_arena);
    if (record_builder_finish(&builder, &slice, &err) != OX_OK)
        text_bad(err.message);
    uint8_t *ptr = ox_slice_ptr(&slice);
    spoil_batch(&wish, ptr, slice.len);
    ox_text_add(&out, ptr, slice.len - wish.cut * 3);
    if (wish.two)
        ox_text_add(&out, ptr, slice.len);
    ox_buf_put(slice.buf);
    record_builder_fini(&builder);
    return ox_text_str(&out);
}

static double
parse_double(void)
{
    char *end;
    text_blanks();
    double value = strtod(text_at, &end);
    if (end == text_at)
        text_bad("a number is expected");
    text_at = end;
    return value;
}

static int64_t
parse_number(void)
{
    char *end;
    text_blanks();
    int64_t value = strtoll(text_at, &end, 0);
    if (end == text_at)
        text_bad("a number is expected");
    text_at = end;
    return value;
}

static void
parse_value(const struct msg_field *field, bool in_array, void *to)
{
    struct str s;
    bool null = take("null");
    switch (field->kind) {
    case MSG_BOOL:
        *(bool *)to = take("true") || (!take("false") && parse_number());
        break;
    case MSG_FLOAT64:
        *(double *)to = parse_double();
        break;
    case MSG_UUID:
        if (!ox_uuid_from_base64(parse_string(), to))
            text_bad("not a uuid");
        break;
    case MSG_STRING:
    case MSG_BYTES:
        *(struct str *)to = null ? OX_STR_NULL : parse_string();
        break;
    case MSG_RECORDS:
        s = null ? OX_STR_NULL : parse_string();
        ((struct msg_records *)to)->bytes = s.ptr && s.len ? build_records(s) : s;
        break;
    case MSG_STRUCT:
        if (!in_array && field->flags & MSG_POINTER) {
            *(void **)to = null ? NULL : ox_arena_alloc0(&text_arena, field->sub->size);
            to = *(void **)to;
        }
        if (!null)
            text_parse(field->sub, to);
        break;
    default:
        msg_set_number(field, to, parse_number());
        break;
    }
}

static void
parse_array(const struct msg_field *field, struct msg_int8s *out)
{
    enum { MAX = 4096 };
    *out = (struct msg_int8s){NULL, -1};
    if (take("null"))
        return;
    if (!take("["))
        text_bad("an array is expected");
    size_t size = msg_kind_size(field);
    out->at = ox_arena_alloc0(&text_arena, size * MAX);
    for (out->count = 0; !take("]"); out->count++)
        parse_value(field, true, (char *)out->at + size * (size_t)out->count);
}

void
text_parse(const struct msg_struct *st, char *to)
{
    msg_init(st, to);
    if (!take("{"))
        text_bad("{ is expected");
    while (!take("}")) {
        take("\"");
        size_t len = strspn(text_at, "abcdefghijklmnopqrstuvwxyz0123456789_");
        const struct msg_field *field = NULL;
        for (unsigned i = 0; i < st->field_count; i++)
            if (strlen(st->fields[i].name) == len && memcmp(st->fields[i].name, text_at, len) == 0)
                field = &st->fields[i];
        if (field == NULL)
            text_bad("no such field");
        text_at += len;
        take("\"");
        if (!take(":"))
            text_bad(": is expected");
        if (field->flags & MSG_ARRAY)
            parse_array(field, (struct msg_int8s *)(void *)(to + field->offset));
        else
            parse_value(field, false, to + field->offset);
    }
}

/* ---- struct to text ---- */


static bool
is_among(const struct names *names, const char *name)
{
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->at[i], name) == 0)
            return true;
    return false;
}

/* #0 for the first value of all that was printed so, ...; what is none as it is. */
static void
print_numbered(const char *value, struct text *out)
{
    static const char *const none[] = {"-1", "0", "\"\"", "null"};
    bool is_none = false;
    for (size_t i = 0; i < ox_count(none); i++)
        is_none |= strcmp(value, none[i]) == 0;
    if (is_none) {
        ox_text_adds(out, value);
        return;
    }
    int at = 0;
    while (at < value_count && strcmp(values[at], value) != 0)
        at++;
    if (at == NUMBERED_MAX)
        text_bad("too many values of numbered fields");
    if (at == value_count)
        values[value_count++] = ox_strdup(value);
    ox_text_addf(out, "#%d", at);
}

static void
print_string(struct str s, struct text *out)
{
    if (s.ptr == NULL) {
        ox_text_adds(out, "null");
        return;
    }
    ox_text_addc(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 32 || c == 127)
            ox_text_addf(out, "\\x%02x", c);
        else
            ox_text_addc(out, (char)c);
    }
    ox_text_addc(out, '"');
}

/* {name:value ...}, nothing if there are none. */
static void
print_headers(const struct record *record, struct text *out)
{
    struct wire_in in = record_headers(record);
    struct record_header header;
    for (int32_t i = 0; i < record->header_count && record_header_next(&in, &header); i++)
        ox_text_addf(out, "%s%.*s:%.*s", i == 0 ? "{" : " ", OX_STR_ARG(header.key),
            OX_STR_ARG(header.value));
    if (record->header_count > 0)
        ox_text_addc(out, '}');
}

static void
print_batch(const struct record_batch *batch, struct text *out)
{
    struct record_iter iter;
    struct record record;
    struct text scratch;
    ox_text_init(&scratch, &text_arena);
    ox_text_addf(out, "%s[%lld%s%s", out->ptr[out->len - 1] == '"' ? "" : " ",
        (long long)batch->base_offset, batch->attributes & RECORD_CODEC_MASK ? " " : "",
        batch->attributes & RECORD_CODEC_MASK ? ox_codec_name(record_batch_codec(batch)) : "");
    if (batch->producer_id >= 0)
        ox_text_addf(out, " seq %d", batch->base_sequence);
    if (record_iter_init(&iter, batch, &scratch, 1 << 20, NULL) == OX_OK)
        while (record_iter_next(&iter, &record)) {
            ox_text_addc(out, ' ');
            if (record.key.ptr != NULL)
                ox_text_addf(out, "%.*s=", OX_STR_ARG(record.key));
            ox_text_addf(out, "%.*s", (int)record.value.len, record.value.ptr ? record.value.ptr : "null");
            print_headers(&record, out);
        }
    ox_text_addc(out, ']');
}

static void
print_records(struct str bytes, struct text *out)
{
    if (bytes.ptr == NULL) {
        ox_text_adds(out, "null");
        return;
    }
    ox_text_addc(out, '"');
    while (bytes.len > 0) {
        struct record_batch batch;
        if (record_batch_decode(bytes.ptr, bytes.len, &batch, NULL) != OX_OK ||
            batch.bytes > bytes.len)
            break;
        print_batch(&batch, out);
        bytes.ptr += batch.bytes;
        bytes.len -= batch.bytes;
    }
    ox_text_addc(out, '"');
}

void
text_print_value(const struct msg_field *field, bool in_array, const void *from, int version,
    struct text *out)
{
    char uuid[23];
    switch ((enum msg_kind)field->kind) {
    case MSG_BOOL:
        ox_text_adds(out, *(const bool *)from ? "true" : "false");
        break;
    case MSG_INT8:
        ox_text_addf(out, "%d", *(const int8_t *)from);
        break;
    case MSG_INT16:
    case MSG_UINT16:
        ox_text_addf(out, "%d", *(const int16_t *)from);
        break;
    case MSG_INT32:
    case MSG_UINT32:
        ox_text_addf(out, "%d", *(const int32_t *)from);
        break;
    case MSG_INT64:
        ox_text_addf(out, "%lld", (long long)*(const int64_t *)from);
        break;
    case MSG_FLOAT64:
        ox_text_addf(out, "%g", *(const double *)from);
        break;
    case MSG_UUID:
        ox_uuid_to_base64(from, uuid);
        ox_text_addf(out, "\"%s\"", uuid);
        break;
    case MSG_STRING:
    case MSG_BYTES:
        print_string(*(const struct str *)from, out);
        break;
    case MSG_RECORDS:
        print_records(((const struct msg_records *)from)->bytes, out);
        break;
    case MSG_STRUCT:
        if (!in_array && field->flags & MSG_POINTER)
            from = *(const void *const *)from;
        if (from == NULL)
            ox_text_adds(out, "null");
        else
            text_print(field->sub, from, version, out);
        break;
    }
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Arrays of structs are printed in the order of their text: which order a server
 * lists things in is its own affair. */
static void
print_array(const struct msg_field *field, const struct msg_int8s *array, int version,
    struct text *out)
{
    if (array->count < 0) {
        ox_text_adds(out, "null");
        return;
    }
    size_t size = msg_kind_size(field);
    char **rows = ox_arena_alloc(&text_arena, sizeof(*rows) * ((size_t)array->count + 1));
    for (int32_t i = 0; i < array->count; i++) {
        struct text row;
        ox_text_init(&row, &text_arena);
        text_print_value(field, true, (const char *)array->at + size * (size_t)i, version, &row);
        rows[i] = text_shown != NULL && field->kind == MSG_STRUCT ? text_shown(row.ptr) : row.ptr;
    }
    if (field->kind == MSG_STRUCT)
        qsort(rows, (size_t)array->count, sizeof(*rows), by_text);
    ox_text_addc(out, '[');
    for (int32_t i = 0; i < array->count; i++)
        ox_text_addf(out, "%s%s", i ? ", " : "", rows[i]);
    ox_text_addc(out, ']');
}

void
text_print(const struct msg_struct *st, const char *from, int version, struct text *out)
{
    const char *before = "{";
    for (unsigned i = 0; i < st->field_count; i++) {
        const struct msg_field *field = &st->fields[i];
        if (version < field->from || version > field->to)
            continue;
        ox_text_addf(out, "%s%s: ", before, field->name);
        before = ", ";
        if (is_among(&hidden, field->name)) {
            ox_text_addc(out, '*');
            continue;
        }
        if (is_among(&numbered, field->name) && !(field->flags & MSG_ARRAY)) {
            struct text value;
            ox_text_init(&value, &text_arena);
            text_print_value(field, false, from + field->offset, version, &value);
            print_numbered(value.ptr, out);
            continue;
        }
        if (field->flags & MSG_ARRAY)
            print_array(field, (const struct msg_int8s *)(const void *)(from + field->offset),
                version, out);
        else
            text_print_value(field, false, from + field->offset, version, out);
    }
    ox_text_adds(out, *before == '{' ? "{}" : "}");
}
