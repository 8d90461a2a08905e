/* SPDX-License-Identifier: Apache-2.0
 *
 * Speaks Kafka's protocol word by word: reads requests as text, sends them in
 * the version asked for, prints the answers. What a real Kafka broker printed is
 * kept in expected/, and Oxbow must print the same.
 *
 *   wire HOST PORT <script
 *
 *   Metadata 12 {topics: [{name: "t"}]}    send, print the answer
 *   retry 15 FindCoordinator 4 {...}       the same, again while that error comes
 *   quiet Produce 9 {...}                  print the errors only
 *   let M = member_id                      keep a value of the last answer: $M
 *   hide port host                         print * for these fields from now on
 *   raw 0000000400120000                   send bytes, print what comes back
 *   on NAME                                another connection; "1" is the first
 *   send JoinGroup 5 {...}                 send only; get: print that answer later
 *   client NAME                            client id of what follows; "-": null
 *   close | wait MS | # comment
 *
 * Fields that are not given have their defaults; keys need no quotes. A string
 * for a field of bytes is taken as it is, for records it describes a batch:
 * "k=v k2=v2", with codec:, seq:PID/EPOCH/SEQ:, or a fault (badcrc:, control:,
 * magic1:, two:, base5:, cut:) in front; at:POS/HEX: writes bytes into the batch
 * before its checksum is made. Answers print batches the same way. */
#include <ctype.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/msg.h"
#include "gen/kafka.gen.h"
#include "log/record_batch.h"

enum { PATCHES_MAX = 8, PATCH_BYTES_MAX = 32 };
enum { ANSWER_MS = 15000, HIDE_MAX = 64, LET_MAX = 32, RETRIES = 100 };

static struct arena arena; /* of one line */
static const char *host, *port;
static struct link {
    char name[16];
    int sock; /* -1: not connected */
    const struct msg_api *sent; /* by "send", not yet got */
    int sent_version;
    int32_t sent_id;
} links[8] = {{.name = "1", .sock = -1}}, *on = &links[0];
static int link_count = 1;
static int32_t correlation = 0;
static char client_name[256] = "wire"; /* "-": null */
static char *hidden[HIDE_MAX];
static int hidden_count;
static struct let {
    char *name, *value;
} lets[LET_MAX];
static int let_count;
static const char *at; /* in the text being parsed */
static int line_no;

static _Noreturn void
bad(const char *what)
{
    fprintf(stderr, "wire: line %d: %s near \"%.30s\"\n", line_no, what, at ? at : "");
    exit(2);
}

/* ---- text to struct ---- */

static void
blanks(void)
{
    while (isspace((unsigned char)*at) || *at == ',')
        at++;
}

static bool
take(const char *word)
{
    blanks();
    size_t len = strlen(word);
    if (strncmp(at, word, len) != 0)
        return false;
    at += len;
    return true;
}

static struct str
parse_string(void)
{
    struct text out;
    ox_text_init(&out, &arena);
    if (!take("\""))
        bad("a string is expected");
    for (; *at != '"'; at++) {
        if (*at == '\0')
            bad("a string does not end");
        if (*at == '\\' && at[1] == 'x') {
            unsigned byte;
            if (sscanf(at + 2, "%2x", &byte) != 1)
                bad("\\x wants two digits");
            ox_text_addc(&out, (char)byte);
            at += 3;
        } else {
            ox_text_addc(&out, *at == '\\' ? *++at : *at);
        }
    }
    at++;
    return ox_str_dup(&arena, ox_text_str(&out));
}

static size_t
kind_size(const struct msg_field *field)
{
    static const uint8_t sizes[] = {[MSG_BOOL] = sizeof(bool), [MSG_INT8] = 1, [MSG_INT16] = 2,
        [MSG_INT32] = 4, [MSG_INT64] = 8, [MSG_UINT16] = 2, [MSG_UINT32] = 4, [MSG_FLOAT64] = 8,
        [MSG_UUID] = 16, [MSG_STRING] = sizeof(struct str), [MSG_BYTES] = sizeof(struct str),
        [MSG_RECORDS] = sizeof(struct msg_records)};
    return field->kind == MSG_STRUCT ? field->sub->size : sizes[field->kind];
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
            bad("at:POS/HEX: is expected");
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
            bad("a patch beyond the end of the batch");
        memcpy(batch + patches[i].pos, patches[i].bytes, patches[i].len);
    }
    if (count > 0)
        record_batch_seal(batch, len);
}

/* A batch from its description. */
static struct str
build_records(struct str spec)
{
    static const char *const codecs[] = {"none:", "gzip:", "snappy:", "lz4:", "zstd:"};
    struct record_builder_config config = RECORD_BUILDER_PLAIN;
    struct record_builder builder;
    bool badcrc = false, magic1 = false, two = false, base5 = false, cut = false, odd = false;
    struct patch patches[PATCHES_MAX];
    int patch_count = 0;
    const char *text = spec.ptr;
    for (bool more = true; more;) {
        more = patch_count < PATCHES_MAX && parse_patch(&text, &patches[patch_count]);
        patch_count += more;
        for (int i = 0; i < 5; i++)
            if (strncmp(text, codecs[i], strlen(codecs[i])) == 0) {
                config.codec = (enum ox_codec)i;
                text += strlen(codecs[i]);
                more = true;
            }
        const struct {
            const char *word;
            bool *flag;
        } flags[] = {{"badcrc:", &badcrc}, {"magic1:", &magic1}, {"two:", &two},
            {"base5:", &base5}, {"cut:", &cut}, {"control:", &config.control}, {"odd:", &odd},
            {"txn:", &config.transactional}};
        for (size_t i = 0; i < ox_count(flags); i++)
            if (strncmp(text, flags[i].word, strlen(flags[i].word)) == 0) {
                *flags[i].flag = true;
                text += strlen(flags[i].word);
                more = true;
            }
        long long pid;
        int epoch, seq, used = 0;
        if (sscanf(text, "seq:%lld/%d/%d:%n", &pid, &epoch, &seq, &used) == 3 && used > 0) {
            config.producer_id = pid;
            config.producer_epoch = (int16_t)epoch;
            config.base_sequence = seq;
            text += used;
            more = true;
        }
    }
    record_builder_init(&builder);
    config.level = OX_CODEC_LEVEL_DEFAULT;
    record_builder_begin(&builder, &config);
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
        record_builder_add(&builder, timestamp++, key, value, NULL, 0);
        text += len + (text[len] == ' ');
    }
    struct slice slice;
    struct text out;
    struct ox_err err;
    ox_text_init(&out, &arena);
    if (record_builder_finish(&builder, &slice, &err) != OX_OK)
        bad(err.message);
    uint8_t *ptr = ox_slice_ptr(&slice);
    if (odd)
        wire_store32(ptr + 57, 99); /* a record count that is a lie */
    if (odd)
        record_batch_seal(ptr, slice.len);
    apply_patches(patches, patch_count, ptr, slice.len);
    if (badcrc)
        ptr[20] ^= 1;
    if (magic1)
        ptr[16] = 1;
    if (base5)
        ptr[7] = 5;
    ox_text_add(&out, ptr, slice.len - cut * 3);
    if (two)
        ox_text_add(&out, ptr, slice.len);
    ox_buf_put(slice.buf);
    record_builder_fini(&builder);
    return ox_text_str(&out);
}

static void parse_struct(const struct msg_struct *st, char *to);

static double
parse_double(void)
{
    char *end;
    blanks();
    double value = strtod(at, &end);
    if (end == at)
        bad("a number is expected");
    at = end;
    return value;
}

static int64_t
parse_number(void)
{
    char *end;
    blanks();
    int64_t value = strtoll(at, &end, 0);
    if (end == at)
        bad("a number is expected");
    at = end;
    return value;
}

static void
parse_value(const struct msg_field *field, bool in_array, void *to)
{
    struct str s;
    bool null = take("null");
    switch ((enum msg_kind)field->kind) {
    case MSG_BOOL:
        *(bool *)to = take("true") || (!take("false") && parse_number());
        break;
    case MSG_INT8:
        *(int8_t *)to = (int8_t)parse_number();
        break;
    case MSG_INT16:
    case MSG_UINT16:
        *(int16_t *)to = (int16_t)parse_number();
        break;
    case MSG_INT32:
    case MSG_UINT32:
        *(int32_t *)to = (int32_t)parse_number();
        break;
    case MSG_INT64:
        *(int64_t *)to = parse_number();
        break;
    case MSG_FLOAT64:
        *(double *)to = parse_double();
        break;
    case MSG_UUID:
        if (!ox_uuid_from_base64(parse_string(), to))
            bad("not a uuid");
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
            *(void **)to = null ? NULL : ox_arena_alloc0(&arena, field->sub->size);
            to = *(void **)to;
        }
        if (!null)
            parse_struct(field->sub, to);
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
        bad("an array is expected");
    size_t size = kind_size(field);
    out->at = ox_arena_alloc0(&arena, size * MAX);
    for (out->count = 0; !take("]"); out->count++)
        parse_value(field, true, (char *)out->at + size * (size_t)out->count);
}

static void
parse_struct(const struct msg_struct *st, char *to)
{
    msg_init(st, to);
    if (!take("{"))
        bad("{ is expected");
    while (!take("}")) {
        take("\"");
        size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789_");
        const struct msg_field *field = NULL;
        for (unsigned i = 0; i < st->field_count; i++)
            if (strlen(st->fields[i].name) == len && memcmp(st->fields[i].name, at, len) == 0)
                field = &st->fields[i];
        if (field == NULL)
            bad("no such field");
        at += len;
        take("\"");
        if (!take(":"))
            bad(": is expected");
        if (field->flags & MSG_ARRAY)
            parse_array(field, (struct msg_int8s *)(void *)(to + field->offset));
        else
            parse_value(field, false, to + field->offset);
    }
}

/* ---- struct to text ---- */

static void print_struct(const struct msg_struct *st, const char *from, int version,
    struct text *out);

static bool
is_hidden(const char *name)
{
    for (int i = 0; i < hidden_count; i++)
        if (strcmp(hidden[i], name) == 0)
            return true;
    return false;
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

static void
print_batch(const struct record_batch *batch, struct text *out)
{
    struct record_iter iter;
    struct record record;
    struct text scratch;
    ox_text_init(&scratch, &arena);
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

static void
print_value(const struct msg_field *field, bool in_array, const void *from, int version,
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
            print_struct(field->sub, from, version, out);
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
    size_t size = kind_size(field);
    char **rows = ox_arena_alloc(&arena, sizeof(*rows) * ((size_t)array->count + 1));
    for (int32_t i = 0; i < array->count; i++) {
        struct text row;
        ox_text_init(&row, &arena);
        print_value(field, true, (const char *)array->at + size * (size_t)i, version, &row);
        rows[i] = row.ptr;
    }
    if (field->kind == MSG_STRUCT)
        qsort(rows, (size_t)array->count, sizeof(*rows), by_text);
    ox_text_addc(out, '[');
    for (int32_t i = 0; i < array->count; i++)
        ox_text_addf(out, "%s%s", i ? ", " : "", rows[i]);
    ox_text_addc(out, ']');
}

static void
print_struct(const struct msg_struct *st, const char *from, int version, struct text *out)
{
    const char *before = "{";
    for (unsigned i = 0; i < st->field_count; i++) {
        const struct msg_field *field = &st->fields[i];
        if (version < field->from || version > field->to)
            continue;
        ox_text_addf(out, "%s%s: ", before, field->name);
        before = ", ";
        if (is_hidden(field->name))
            ox_text_addc(out, '*');
        else if (field->flags & MSG_ARRAY)
            print_array(field, (const struct msg_int8s *)(const void *)(from + field->offset),
                version, out);
        else
            print_value(field, false, from + field->offset, version, out);
    }
    ox_text_adds(out, *before == '{' ? "{}" : "}");
}

/* ---- the wire ---- */

static void
hang_up(void)
{
    if (on->sock >= 0)
        close(on->sock);
    on->sock = -1;
}

static void
dial(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    if (on->sock >= 0)
        return;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        bad("no such host");
    on->sock = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    if (connect(on->sock, found->ai_addr, found->ai_addrlen) != 0) {
        perror("wire: connect");
        exit(2);
    }
    freeaddrinfo(found);
}

static bool
send_all(const void *ptr, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(on->sock, ptr, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        ptr = (const char *)ptr + sent;
        len -= (size_t)sent;
    }
    return true;
}

static bool timed_out; /* the last receive: neither bytes nor an end */

static bool
receive_all(void *ptr, size_t len, int wait_ms)
{
    timed_out = false;
    while (len > 0) {
        struct pollfd poll_fd = {on->sock, POLLIN, 0};
        if (poll(&poll_fd, 1, wait_ms) != 1) {
            timed_out = true;
            return false;
        }
        ssize_t got = recv(on->sock, ptr, len, 0);
        if (got <= 0)
            return false;
        ptr = (char *)ptr + got;
        len -= (size_t)got;
    }
    return true;
}

/* The body of one answer, without its length; NULL when the connection ended. */
static uint8_t *
receive_frame(size_t *len, int wait_ms)
{
    uint8_t prefix[4];
    if (!receive_all(prefix, 4, wait_ms))
        return NULL;
    *len = wire_load32(prefix);
    uint8_t *body = ox_arena_alloc(&arena, *len + 1);
    return receive_all(body, *len, wait_ms) ? body : NULL;
}

static const struct msg_api *last_api;
static int last_version;
static void *last_response;

/* False when the connection is closed. */
static bool
say(const struct msg_api *api, int version, const void *request)
{
    struct text frame;
    ox_text_init(&frame, &arena);
    struct wire_out out = wire_out(&frame);
    struct request_header header = {api->key, (int16_t)version, ++correlation,
        strcmp(client_name, "-") == 0 ? OX_STR_NULL : ox_str(client_name)};
    wire_put32(&out, 0);
    int known = OX_MIN(version, api->request->to);
    request_header_encode(&header, known >= api->request->flexible ? 2 : 1, &out);
    msg_encode(api->request, request, known, &out, NULL);
    wire_store32(frame.ptr, (uint32_t)(frame.len - 4));
    dial();
    return send_all(frame.ptr, frame.len);
}

/* The answer into last_response; false when the connection was closed instead. */
static bool
hear(const struct msg_api *api, int version, int32_t id)
{
    size_t len;
    uint8_t *body = receive_frame(&len, ANSWER_MS);
    if (body == NULL) {
        hang_up();
        return false;
    }
    struct wire_in in = wire_in(body, len);
    if (wire_get32(&in) != id)
        bad("answer to another request");
    bool newer = version > api->request->to;
    last_version = newer ? 0 : version;
    if (last_version >= api->response->flexible && api->key != 18)
        wire_get8(&in);
    last_api = api;
    ox_free(last_response);
    last_response = ox_malloc(api->response->top->size);
    if (!msg_decode(api->response, &in, last_version, &arena, last_response))
        bad("answer does not decode");
    if (wire_left(&in) != 0)
        bad("bytes behind the answer");
    return true;
}

/* ---- the script ---- */

static char *
replace(const char *text, const char *from, const char *to)
{
    struct text out;
    ox_text_init(&out, &arena);
    size_t len = strlen(from);
    while (*text != '\0') {
        if (strncmp(text, from, len) == 0) {
            ox_text_adds(&out, to);
            text += len;
        } else {
            ox_text_addc(&out, *text++);
        }
    }
    return out.ptr ? out.ptr : ox_arena_strdup(&arena, "");
}

/* $NAME in what is sent; the value as $NAME in what is printed. */
static char *
with_lets(const char *text, bool printed)
{
    char *out = ox_arena_strdup(&arena, text);
    for (int i = let_count - 1; i >= 0; i--) {
        char *name = ox_arena_printf(&arena, "$%s", lets[i].name);
        if (!printed)
            out = replace(out, name, lets[i].value);
        else if (strlen(lets[i].value) > 4)
            out = replace(out, lets[i].value, name);
    }
    return out;
}

/* Member ids end in a uuid that is new each time. */
static char *
without_uuids(char *text)
{
    static const char shape[] = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";
    enum { LEN = sizeof(shape) - 1 };
    for (char *start = text; *start != '\0'; start++) {
        int i = 0;
        while (i < LEN && (shape[i] == '-' ? start[i] == '-' : isxdigit((unsigned char)start[i])))
            i++;
        if (i == LEN) {
            memcpy(start, "<uuid>", 6);
            memmove(start + 6, start + LEN, strlen(start + LEN) + 1);
        }
    }
    return text;
}

static bool
has_error(const char *text, long code)
{
    return strstr(text, ox_arena_printf(&arena, "error_code: %ld,", code)) != NULL ||
           strstr(text, ox_arena_printf(&arena, "error_code: %ld}", code)) != NULL;
}

/* "Api VERSION {...}" */
static void *
parse_request(const char *line, const struct msg_api **api_out, int *version)
{
    char name[64];
    int used = 0;
    if (sscanf(line, "%63s %d %n", name, version, &used) != 2)
        bad("API and version are expected");
    const struct msg_api *api = NULL;
    for (int i = 0; i < KAFKA_API_COUNT; i++)
        if (strcmp(kafka_apis[i].name, name) == 0)
            api = &kafka_apis[i];
    if (api == NULL)
        bad("no such API");
    at = with_lets(line + used, false);
    void *request = ox_arena_alloc0(&arena, api->request->top->size);
    blanks();
    if (*at != '\0')
        parse_struct(api->request->top, request);
    else
        msg_init(api->request->top, request);
    *api_out = api;
    return request;
}

static void
print_answer(void)
{
    struct text out;
    ox_text_init(&out, &arena);
    print_struct(last_api->response->top, last_response, last_version, &out);
    printf("%s\n", without_uuids(with_lets(out.ptr, true)));
}

static void
do_send(const char *line)
{
    if (on->sent != NULL)
        bad("an answer is still to be got");
    const void *request = parse_request(line, &on->sent, &on->sent_version);
    if (!say(on->sent, on->sent_version, request))
        bad("the connection is closed");
    on->sent_id = correlation;
}

static void
do_get(void)
{
    const struct msg_api *api = on->sent;
    if (api == NULL)
        bad("nothing was sent");
    on->sent = NULL;
    printf("%s %d: ", api->name, on->sent_version);
    if (hear(api, on->sent_version, on->sent_id))
        print_answer();
    else
        printf("%s\n", timed_out ? "silence" : "closed");
}

static void
do_on(const char *name)
{
    for (int i = 0; i < link_count; i++)
        if (strcmp(links[i].name, name) == 0) {
            on = &links[i];
            return;
        }
    if (link_count == (int)ox_count(links))
        bad("too many connections");
    on = &links[link_count++];
    on->sock = -1;
    snprintf(on->name, sizeof(on->name), "%.15s", name);
}

static void
do_request(const char *line, long retry, bool quiet)
{
    const struct msg_api *api;
    int version;
    const void *request = parse_request(line, &api, &version);
    bool answered = api->key != 0 || ((const struct produce_request *)request)->acks != 0;
    printf("%s %d: ", api->name, version);
    for (int round = 0;; round++) {
        struct text out;
        ox_text_init(&out, &arena);
        bool good = say(api, version, request);
        if (!answered) {
            printf("no answer\n");
            return;
        }
        if (!good || !hear(api, version, correlation)) {
            printf("%s\n", timed_out ? "silence" : "closed");
            return;
        }
        print_struct(api->response->top, last_response, last_version, &out);
        if (retry > 0 && has_error(out.ptr, retry) && round < RETRIES) {
            usleep(100000);
            continue;
        }
        if (!quiet)
            printf("%s\n", without_uuids(with_lets(out.ptr, true)));
        else
            printf("%s\n", strstr(out.ptr, "error_code: ") && !has_error(out.ptr, 0) ? "failed" : "ok");
        return;
    }
}

/* In a way that can be sent again. */
static void
spell_bytes(const struct str *bytes, struct text *out)
{
    ox_text_addc(out, '"');
    for (size_t i = 0; i < bytes->len; i++)
        ox_text_addf(out, "\\x%02x", (unsigned char)bytes->ptr[i]);
    ox_text_addc(out, '"');
}

/* let NAME = field.0.field */
static void
do_let(const char *line)
{
    char name[32], path[256];
    if (last_api == NULL || sscanf(line, "%31s = %255s", name, path) != 2)
        bad("let NAME = path, after an answer");
    const struct msg_struct *st = last_api->response->top;
    const char *from = last_response;
    struct text out;
    ox_text_init(&out, &arena);
    for (char *word = strtok(path, "."); word != NULL; word = strtok(NULL, ".")) {
        const struct msg_field *field = NULL;
        for (unsigned i = 0; st != NULL && i < st->field_count; i++)
            if (strcmp(st->fields[i].name, word) == 0)
                field = &st->fields[i];
        if (field == NULL)
            bad("no such field");
        from += field->offset;
        if (field->flags & MSG_ARRAY) {
            const struct msg_int8s *array = (const struct msg_int8s *)(const void *)from;
            word = strtok(NULL, ".");
            int index = word ? atoi(word) : 0;
            if (index >= array->count)
                bad("no such element");
            from = (const char *)array->at + kind_size(field) * (size_t)index;
        }
        st = field->sub;
        if (st == NULL && field->kind == MSG_BYTES)
            spell_bytes((const struct str *)(const void *)from, &out);
        else if (st == NULL)
            print_value(field, true, from, last_version, &out);
    }
    if (let_count == LET_MAX)
        bad("too many lets");
    char *value = ox_strdup(out.ptr ? out.ptr : "");
    size_t len = strlen(value);
    if (len >= 2 && value[0] == '"') {
        memmove(value, value + 1, len - 2);
        value[len - 2] = '\0';
    }
    lets[let_count++] = (struct let){ox_strdup(name), value};
}

static void
do_raw(const char *hex)
{
    struct text bytes;
    unsigned byte;
    ox_text_init(&bytes, &arena);
    for (; *hex != '\0'; hex++) {
        if (isspace((unsigned char)*hex))
            continue;
        if (sscanf(hex, "%2x", &byte) != 1)
            bad("hexadecimal is expected");
        ox_text_addc(&bytes, (char)byte);
        hex++;
    }
    dial();
    size_t len;
    bool sent = send_all(bytes.ptr, bytes.len);
    uint8_t *body = sent ? receive_frame(&len, 3000) : NULL;
    printf("raw: ");
    if (body == NULL) {
        printf("%s\n", timed_out ? "silence" : "closed");
        hang_up();
        return;
    }
    for (size_t i = 0; i < len; i++)
        printf("%02x", body[i]);
    printf("\n");
}

static void
do_hide(char *names)
{
    for (char *word = strtok(names, " "); word != NULL; word = strtok(NULL, " "))
        if (hidden_count < HIDE_MAX)
            hidden[hidden_count++] = ox_strdup(word);
}

static void
do_line(char *line)
{
    char *end = NULL;
    if (strncmp(line, "let ", 4) == 0)
        do_let(line + 4);
    else if (strncmp(line, "hide ", 5) == 0)
        do_hide(line + 5);
    else if (strncmp(line, "raw ", 4) == 0)
        do_raw(line + 4);
    else if (strncmp(line, "wait ", 5) == 0)
        usleep((useconds_t)atoi(line + 5) * 1000);
    else if (strncmp(line, "client ", 7) == 0)
        snprintf(client_name, sizeof(client_name), "%.255s", line + 7);
    else if (strcmp(line, "close") == 0)
        hang_up();
    else if (strncmp(line, "on ", 3) == 0)
        do_on(line + 3);
    else if (strncmp(line, "send ", 5) == 0)
        do_send(line + 5);
    else if (strcmp(line, "get") == 0)
        do_get();
    else if (strncmp(line, "retry ", 6) == 0) {
        long code = strtol(line + 6, &end, 10);
        do_request(end, code, false);
    } else if (strncmp(line, "quiet ", 6) == 0)
        do_request(line + 6, 0, true);
    else
        do_request(line, 0, false);
}

int
main(int argc, char **argv)
{
    static char line[1 << 16];
    if (argc != 3) {
        fprintf(stderr, "usage: wire HOST PORT <script\n");
        return 2;
    }
    host = argv[1];
    port = argv[2];
    ox_arena_init(&arena);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line_no++;
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#')
            printf("%s\n", line);
        else if (line[0] != '\0')
            do_line(line);
    }
    for (int i = 0; i < link_count; i++) {
        on = &links[i];
        hang_up();
    }
    ox_free(last_response);
    for (int i = 0; i < let_count; i++) {
        ox_free(lets[i].name);
        ox_free(lets[i].value);
    }
    for (int i = 0; i < hidden_count; i++)
        ox_free(hidden[i]);
    ox_arena_fini(&arena);
    return 0;
}
