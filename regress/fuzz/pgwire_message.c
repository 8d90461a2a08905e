/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of a PostgreSQL client, one behind the other as the door cuts them:
 * a type, a length, the inside. The session behind them is a fake that reads
 * every byte it is given and starts a COPY FROM STDIN for a Query that begins
 * with "C". */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "pgwire/pgwire_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct pg_conn pg;
static unsigned sum;

static void
touch(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        sum += (unsigned char)s.ptr[i];
}

static ox_code
verdict(struct str name, struct ox_err *err)
{
    touch(name);
    return name.len > 0 && name.ptr[0] == '!' ? ox_fail(err, OX_INVALID_REQUEST, "refused") : OX_OK;
}

/* ---- the session ---- */

void
sql_query(struct sql_session *sql, struct str text)
{
    touch(text);
    pg.copy_in = text.len > 0 && text.ptr[0] == 'C';
    pg.state = pg.copy_in ? PG_QUERY : PG_IDLE;
}

ox_code
sql_prepare(struct sql_session *sql, struct str name, struct str text, const uint32_t *types,
    uint32_t count, struct ox_err *err)
{
    touch(text);
    for (uint32_t i = 0; i < count; i++)
        sum += types[i];
    return verdict(name, err);
}

ox_code
sql_bind(struct sql_session *sql, struct str portal, struct str statement,
    const struct sql_param *params, uint32_t count, const int16_t *formats, uint32_t format_count,
    struct ox_err *err)
{
    touch(statement);
    for (uint32_t i = 0; i < count; i++)
        touch(params[i].value);
    for (uint32_t i = 0; i < format_count; i++)
        sum += (unsigned)formats[i];
    return verdict(portal, err);
}

static ox_code
describe(struct str name, struct sql_description *out, struct ox_err *err)
{
    out->has_result = name.len % 2;
    return verdict(name, err);
}

ox_code
sql_describe_statement(struct sql_session *sql, struct str name, struct sql_description *out,
    struct ox_err *err)
{
    return describe(name, out, err);
}

ox_code
sql_describe_portal(struct sql_session *sql, struct str name, struct sql_description *out,
    struct ox_err *err)
{
    return describe(name, out, err);
}

void
sql_execute(struct sql_session *sql, struct str portal, uint64_t max_rows)
{
    touch(portal);
    pg.state = PG_IDLE;
}

void sql_close_statement(struct sql_session *sql, struct str name) { touch(name); }
void sql_close_portal(struct sql_session *sql, struct str name) { touch(name); }
char sql_sync(struct sql_session *sql) { return 'I'; }
void sql_fail_transaction(struct sql_session *sql) {}
bool sql_busy(const struct sql_session *sql) { return false; }
int64_t sql_idle_limit_ms(const struct sql_session *sql, ox_code *code) { return 0; }

bool
sql_copy_data(struct sql_session *sql, struct str bytes)
{
    touch(bytes);
    return true;
}

void sql_copy_done(struct sql_session *sql) { pg.state = PG_IDLE; }

void
sql_copy_fail(struct sql_session *sql, struct str why)
{
    touch(why);
    pg.state = PG_IDLE;
}

/* ---- the connection ---- */

void pg_row_description(struct pg_conn *conn, const struct sql_result *result) {}
void conn_close(struct conn *conn) { pg.state = PG_CLOSING; }
void conn_close_after_write(struct conn *conn) { pg.state = PG_CLOSING; }
void conn_flush(struct conn *conn) {}
bool conn_output_waits(const struct conn *conn) { return false; }
void conn_pause(struct conn *conn) {}
void conn_write(struct conn *conn, const void *ptr, size_t len) { touch(ox_str_n(ptr, len)); }
void
loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns,
    void (*fn)(struct loop_timer *))
{
}
void loop_timer_stop(struct loop_timer *timer) {}

/* Each in memory of its own, so that a byte read behind it is seen. */
static void
deliver(const uint8_t *data, size_t len)
{
    struct buf *buf = ox_buf_new(len);
    memcpy(buf->ptr, data, len);
    pg_message(&pg, &(struct slice){buf, 0, len});
    ox_buf_put(buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    enum { HEAD = 5 };
    pg = (struct pg_conn){.state = PG_IDLE};
    ox_text_init(&pg.out, NULL);
    while (len >= HEAD && pg.state != PG_CLOSING) {
        size_t whole = (size_t)wire_load32(data + 1) + 1;
        if (whole < HEAD || whole > len)
            whole = len;
        deliver(data, whole);
        data += whole;
        len -= whole;
    }
    ox_text_fini(&pg.out);
    return 0;
}
