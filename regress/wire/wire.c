/* SPDX-License-Identifier: Apache-2.0
 *
 * Speaks Kafka's protocol word by word: reads requests as text, sends them in
 * the version asked for, prints the answers. What a real Kafka broker printed is
 * kept in expected/, and Oxbow must print the same.
 *
 *   wire HOST PORT <script
 *
 *   Metadata 12 {topics: [{name: "t"}]}    send, print the answer
 *   retry 14,15 FindCoordinator 4 {...}    the same, again while such an error comes
 *   quiet Produce 9 {...}                  print the errors only; also behind retry
 *   await WORD DescribeAcls 3 {...}        the same, until the answer has this in it
 *   let M = member_id                      keep a value of the last answer: $M; of a
 *                                          number $M+1 and $M-1 too
 *   hide port host                         print * for these fields from now on
 *   number producer_id                     print a number for each value of these
 *   raw 0000000400120000                   send bytes, print what comes back
 *   on NAME                                another connection; "1" is the first
 *   send JoinGroup 5 {...}                 send only; get: print that answer later
 *   grid Fetch max_wait_ms,session_id {...}  in each version, then with each field
 *                                          wrong but these ("-": all; "-@4": from
 *                                          version 4 on)
 *   login NAME PASSWORD                    each connection from now on logs in so, by PLAIN
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
#include "grid.h"
#include "wire_text.h"

enum { ANSWER_MS = 15000, LET_MAX = 32, RETRIES = 300 };

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
static struct let {
    char *name, *value;
} lets[LET_MAX];
static int let_count;
static char login[256]; /* the request, or "" */

static void log_in(void);

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
        text_bad("no such host");
    on->sock = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    if (connect(on->sock, found->ai_addr, found->ai_addrlen) != 0) {
        perror("wire: connect");
        exit(2);
    }
    freeaddrinfo(found);
    if (login[0] != '\0')
        log_in();
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
    uint8_t *body = ox_arena_alloc(&text_arena, *len + 1);
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
    ox_text_init(&frame, &text_arena);
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
        text_bad("answer to another request");
    bool newer = version > api->request->to;
    last_version = newer ? 0 : version;
    if (last_version >= api->response->flexible && api->key != 18)
        wire_get8(&in);
    last_api = api;
    ox_free(last_response);
    last_response = ox_malloc(api->response->top->size);
    if (!msg_decode(api->response, &in, last_version, &text_arena, last_response))
        text_bad("answer does not decode");
    if (wire_left(&in) != 0)
        text_bad("bytes behind the answer");
    return true;
}

/* ---- the script ---- */

/* "+1" and the like behind a number. */
static bool
add_to(const char *number, const char **text, struct text *out)
{
    char *end;
    long long value = strtoll(number, &end, 10);
    if (*end != '\0' || end == number || (**text != '+' && **text != '-') ||
        !isdigit((unsigned char)(*text)[1]))
        return false;
    ox_text_addf(out, "%lld", value + strtoll(*text, &end, 10));
    *text = end;
    return true;
}

static char *
replace(const char *text, const char *from, const char *to)
{
    struct text out;
    ox_text_init(&out, &text_arena);
    size_t len = strlen(from);
    while (*text != '\0') {
        if (strncmp(text, from, len) == 0) {
            text += len;
            if (!add_to(to, &text, &out))
                ox_text_adds(&out, to);
        } else {
            ox_text_addc(&out, *text++);
        }
    }
    return out.ptr ? out.ptr : ox_arena_strdup(&text_arena, "");
}

/* $NAME in what is sent; the value as $NAME in what is printed. */
static char *
with_lets(const char *text, bool printed)
{
    char *out = ox_arena_strdup(&text_arena, text);
    for (int i = let_count - 1; i >= 0; i--) {
        char *name = ox_arena_printf(&text_arena, "$%s", lets[i].name);
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

static char *
shown(char *text)
{
    return without_uuids(with_lets(text, true));
}

static bool
has_error(const char *text, long code)
{
    return strstr(text, ox_arena_printf(&text_arena, "error_code: %ld,", code)) != NULL ||
           strstr(text, ox_arena_printf(&text_arena, "error_code: %ld}", code)) != NULL;
}

/* codes: "14,15 ..." */
static bool
has_one(const char *text, const char *codes)
{
    for (char *end; isdigit((unsigned char)*codes); codes = end + (*end == ','))
        if (has_error(text, strtol(codes, &end, 10)))
            return true;
    return false;
}

/* "Api WORD {...}" */
static void *
parse_call(const char *line, const struct msg_api **api_out, char word[static 256])
{
    char name[64];
    int used = 0;
    if (sscanf(line, "%63s %255s %n", name, word, &used) != 2)
        text_bad("API and version are expected");
    const struct msg_api *api = NULL;
    for (int i = 0; i < KAFKA_API_COUNT; i++)
        if (strcmp(kafka_apis[i].name, name) == 0)
            api = &kafka_apis[i];
    if (api == NULL)
        text_bad("no such API");
    text_at = with_lets(line + used, false);
    void *request = ox_arena_alloc0(&text_arena, api->request->top->size);
    text_blanks();
    if (*text_at != '\0')
        text_parse(api->request->top, request);
    else
        msg_init(api->request->top, request);
    *api_out = api;
    return request;
}

/* "Api VERSION {...}" */
static void *
parse_request(const char *line, const struct msg_api **api, int *version)
{
    char word[256];
    void *request = parse_call(line, api, word);
    *version = atoi(word);
    return request;
}

/* The connection is new. */
static void
log_in(void)
{
    const struct msg_api *api;
    int version;
    const char *const lines[] = {"SaslHandshake 1 {mechanism: \"PLAIN\"}", login};
    for (size_t i = 0; i < ox_count(lines); i++) {
        const void *request = parse_request(lines[i], &api, &version);
        wire_ask(api, version, request);
    }
}

static void
do_login(const char *line)
{
    char name[64], password[64];
    if (sscanf(line, "%63s %63s", name, password) != 2)
        text_bad("login NAME PASSWORD");
    snprintf(login, sizeof(login), "SaslAuthenticate 2 {auth_bytes: \"\\x00%s\\x00%s\"}", name,
        password);
}

static void
print_answer(void)
{
    struct text out;
    ox_text_init(&out, &text_arena);
    text_print(last_api->response->top, last_response, last_version, &out);
    printf("%s\n", shown(out.ptr));
}

static void
do_send(const char *line)
{
    if (on->sent != NULL)
        text_bad("an answer is still to be got");
    const void *request = parse_request(line, &on->sent, &on->sent_version);
    if (!say(on->sent, on->sent_version, request))
        text_bad("the connection is closed");
    on->sent_id = correlation;
}

static void
do_get(void)
{
    const struct msg_api *api = on->sent;
    if (api == NULL)
        text_bad("nothing was sent");
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
        text_bad("too many connections");
    on = &links[link_count++];
    on->sock = -1;
    snprintf(on->name, sizeof(on->name), "%.15s", name);
}

const char *
wire_ask(const struct msg_api *api, int version, const void *request)
{
    struct text out;
    bool answered = api->key != 0 || ((const struct produce_request *)request)->acks != 0;
    dial(); /* which may have asked for a login */
    bool good = say(api, version, request);
    if (good && !answered)
        return "no answer";
    if (!good || !hear(api, version, correlation)) {
        hang_up();
        return timed_out ? "silence" : "closed";
    }
    ox_text_init(&out, &text_arena);
    text_print(api->response->top, last_response, last_version, &out);
    return shown(out.ptr);
}

static void
do_grid(const char *line)
{
    char leave[256];
    const struct msg_api *api;
    void *request = parse_call(line, &api, leave);
    grid_run(api, request, leave);
}

static void
do_request(const char *line, const char *retry, bool quiet)
{
    const struct msg_api *api;
    int version;
    const void *request = parse_request(line, &api, &version);
    const char *answer = wire_ask(api, version, request);
    for (int round = 0; has_one(answer, retry) && round < RETRIES; round++) {
        usleep(100000);
        answer = wire_ask(api, version, request);
    }
    if (quiet && *answer == '{')
        answer = strstr(answer, "error_code: ") && !has_error(answer, 0) ? "failed" : "ok";
    printf("%s %d: %s\n", api->name, version, answer);
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

/* In place of what the name stood for before. value: becomes the let's. */
static void
keep_let(const char *name, char *value)
{
    int at = 0;
    while (at < let_count && strcmp(lets[at].name, name) != 0)
        at++;
    if (at == LET_MAX)
        text_bad("too many lets");
    if (at == let_count)
        lets[let_count++] = (struct let){ox_strdup(name), NULL};
    ox_free(lets[at].value);
    lets[at].value = value;
}

/* let NAME = field.0.field */
static void
do_let(const char *line)
{
    char name[32], path[256];
    if (last_api == NULL || sscanf(line, "%31s = %255s", name, path) != 2)
        text_bad("let NAME = path, after an answer");
    const struct msg_struct *st = last_api->response->top;
    const char *from = last_response;
    struct text out;
    ox_text_init(&out, &text_arena);
    for (char *word = strtok(path, "."); word != NULL; word = strtok(NULL, ".")) {
        const struct msg_field *field = NULL;
        for (unsigned i = 0; st != NULL && i < st->field_count; i++)
            if (strcmp(st->fields[i].name, word) == 0)
                field = &st->fields[i];
        if (field == NULL)
            text_bad("no such field");
        from += field->offset;
        if (field->flags & MSG_ARRAY) {
            const struct msg_int8s *array = (const struct msg_int8s *)(const void *)from;
            word = strtok(NULL, ".");
            int index = word ? atoi(word) : 0;
            if (index >= array->count)
                text_bad("no such element");
            from = (const char *)array->at + msg_kind_size(field) * (size_t)index;
        }
        st = field->sub;
        if (st == NULL && field->kind == MSG_BYTES)
            spell_bytes((const struct str *)(const void *)from, &out);
        else if (st == NULL)
            text_print_value(field, true, from, last_version, &out);
    }
    char *value = ox_strdup(out.ptr ? out.ptr : "");
    size_t len = strlen(value);
    if (len >= 2 && value[0] == '"') {
        memmove(value, value + 1, len - 2);
        value[len - 2] = '\0';
    }
    keep_let(name, value);
}

static void
do_raw(const char *hex)
{
    struct text bytes;
    unsigned byte;
    ox_text_init(&bytes, &text_arena);
    for (; *hex != '\0'; hex++) {
        if (isspace((unsigned char)*hex))
            continue;
        if (sscanf(hex, "%2x", &byte) != 1)
            text_bad("hexadecimal is expected");
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

/* CODES [quiet] Api VERSION {...} */
static void
do_retry(const char *codes)
{
    const char *line = codes + strspn(codes, "0123456789,");
    line += strspn(line, " ");
    bool quiet = strncmp(line, "quiet ", 6) == 0;
    do_request(line + (quiet ? 6 : 0), codes, quiet);
}

/* WORD Api VERSION {...} */
static void
do_await(const char *line)
{
    char word[64];
    int used = 0, version;
    const struct msg_api *api;
    if (sscanf(line, "%63s %n", word, &used) != 1)
        text_bad("a word is expected");
    const void *request = parse_request(line + used, &api, &version);
    int round = 0;
    while (strstr(wire_ask(api, version, request), word) == NULL && round++ < RETRIES)
        usleep(100000);
    if (round > RETRIES)
        printf("%s %d: %s does not come\n", api->name, version, word);
}

static void
do_line(char *line)
{
    if (strncmp(line, "let ", 4) == 0)
        do_let(line + 4);
    else if (strncmp(line, "hide ", 5) == 0)
        text_hide(line + 5);
    else if (strncmp(line, "number ", 7) == 0)
        text_number(line + 7);
    else if (strncmp(line, "raw ", 4) == 0)
        do_raw(line + 4);
    else if (strncmp(line, "wait ", 5) == 0)
        usleep((useconds_t)atoi(line + 5) * 1000);
    else if (strncmp(line, "client ", 7) == 0)
        snprintf(client_name, sizeof(client_name), "%.255s", line + 7);
    else if (strncmp(line, "login ", 6) == 0)
        do_login(line + 6);
    else if (strcmp(line, "close") == 0)
        hang_up();
    else if (strncmp(line, "on ", 3) == 0)
        do_on(line + 3);
    else if (strncmp(line, "send ", 5) == 0)
        do_send(line + 5);
    else if (strcmp(line, "get") == 0)
        do_get();
    else if (strncmp(line, "grid ", 5) == 0)
        do_grid(line + 5);
    else if (strncmp(line, "retry ", 6) == 0)
        do_retry(line + 6);
    else if (strncmp(line, "await ", 6) == 0)
        do_await(line + 6);
    else if (strncmp(line, "quiet ", 6) == 0)
        do_request(line + 6, "", true);
    else
        do_request(line, "", false);
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
    text_init();
    text_shown = shown;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        text_line++;
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
    text_fini();
    return 0;
}
