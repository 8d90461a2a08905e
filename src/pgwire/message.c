/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of messages: one type byte, an int32 length that counts itself, then
 * fields in network order. */
#include <stdio.h>

#include "pgwire/pgwire_int.h"

enum { OUT_KEPT = 128 };

size_t
pg_begin(struct text *text, char type)
{
    ox_text_addc(text, type);
    size_t begin = text->len;
    pg_put32(text, 0);
    return begin;
}

void
pg_end(struct text *text, size_t begin)
{
    wire_store32(text->ptr + begin, (uint32_t)(text->len - begin));
}

void
pg_put16(struct text *text, int16_t value)
{
    char bytes[2];
    wire_store16(bytes, (uint16_t)value);
    ox_text_add(text, bytes, sizeof(bytes));
}

void
pg_put32(struct text *text, int32_t value)
{
    char bytes[4];
    wire_store32(bytes, (uint32_t)value);
    ox_text_add(text, bytes, sizeof(bytes));
}

void
pg_put_cstr(struct text *text, const char *s)
{
    ox_text_add(text, s, strlen(s) + 1);
}

void
pg_put_str(struct text *text, struct str s)
{
    ox_text_add(text, s.ptr, s.len);
    ox_text_addc(text, '\0');
}

void
pg_send(struct pg_conn *pg)
{
    conn_write(pg->conn, pg->out.ptr, pg->out.len);
    ox_text_clear(&pg->out);
    /* Sessions are silent for long: what they keep for the next message is little. */
    if (pg->out.cap > OUT_KEPT)
        ox_text_fini(&pg->out);
}

struct str
pg_get_cstr(struct wire_in *in)
{
    const uint8_t *end = in->failed ? NULL : memchr(in->at, 0, wire_left(in));
    if (end == NULL) {
        in->failed = true;
        in->at = in->end;
        return OX_STR("");
    }
    struct str s = ox_str_n(in->at, (size_t)(end - in->at));
    in->at = end + 1;
    return s;
}

static void
put_field(struct text *text, char field, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    ox_text_addc(text, field);
    pg_put_cstr(text, value);
}

void
pg_error(struct pg_conn *pg, const char *severity, const struct ox_err *err)
{
    bool is_error = strcmp(severity, "ERROR") == 0 || strcmp(severity, "FATAL") == 0;
    struct text *text = &pg->out;
    char number[16];
    size_t begin = pg_begin(text, is_error ? 'E' : 'N');
    put_field(text, 'S', severity);
    put_field(text, 'V', severity);
    put_field(text, 'C', err->code == OX_OK ? "00000" : ox_code_facts(err->code)->sqlstate);
    put_field(text, 'M', err->message[0] ? err->message : ox_code_facts(err->code)->message);
    put_field(text, 'D', err->detail);
    put_field(text, 'H', err->hint);
    put_field(text, 'W', err->context);
    if (err->position > 0) {
        snprintf(number, sizeof(number), "%d", err->position);
        put_field(text, 'P', number);
    }
    if (err->file != NULL) {
        const char *slash = strrchr(err->file, '/');
        snprintf(number, sizeof(number), "%d", err->line);
        put_field(text, 'F', slash ? slash + 1 : err->file);
        put_field(text, 'L', number);
    }
    ox_text_addc(text, '\0');
    pg_end(text, begin);
    pg_send(pg);
}

void
pg_fatal(struct pg_conn *pg, const struct ox_err *err)
{
    pg->state = PG_CLOSING;
    pg_error(pg, "FATAL", err);
    conn_close_after_write(pg->conn);
}

void
pg_ready(struct pg_conn *pg, char status)
{
    size_t begin = pg_begin(&pg->out, 'Z');
    ox_text_addc(&pg->out, status);
    pg_end(&pg->out, begin);
    pg_send(pg);
    pg_idle_begin(pg);
}

void
pg_simple(struct pg_conn *pg, char type)
{
    pg_end(&pg->out, pg_begin(&pg->out, type));
    pg_send(pg);
}
