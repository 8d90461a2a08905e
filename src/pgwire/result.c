/* SPDX-License-Identifier: Apache-2.0
 *
 * The session's client: turns results into messages. Rows go from column vectors
 * straight to DataRow bytes; a full socket stops the statement, which goes on
 * when the connection has drained. */
#include <stdio.h>

#include "base/check.h"
#include "pgwire/pgwire_int.h"

static struct pg_conn *
of_client(struct sql_client *client)
{
    return ox_container_of(client, struct pg_conn, client);
}

/* Statement ended or takes input again: read on. */
static void
resume_reading(struct pg_conn *pg)
{
    if (pg->paused) {
        pg->paused = false;
        conn_resume(pg->conn);
    }
}

static void
on_notice(struct sql_client *client, const char *severity, const struct ox_err *err)
{
    pg_error(of_client(client), severity, err);
}

static void
on_parameter(struct sql_client *client, const char *name, const char *value)
{
    struct pg_conn *pg = of_client(client);
    if (strcmp(name, "application_name") == 0) { /* what Kafka calls client id */
        snprintf(pg->engine.client_id, sizeof(pg->engine.client_id), "%s", value);
        engine_quota_changed(&pg->engine);
    }
    size_t begin = pg_begin(&pg->out, 'S');
    pg_put_cstr(&pg->out, name);
    pg_put_cstr(&pg->out, value);
    pg_end(&pg->out, begin);
    pg_send(pg);
}

void
pg_row_description(struct pg_conn *pg, const struct sql_result *result)
{
    struct text *out = &pg->out;
    size_t begin = pg_begin(out, 'T');
    pg_put16(out, (int16_t)result->count);
    for (uint32_t i = 0; i < result->count; i++) {
        const struct sql_column *column = &result->columns[i];
        pg_put_str(out, column->name);
        pg_put32(out, (int32_t)column->table_oid);
        pg_put16(out, column->attnum);
        pg_put32(out, (int32_t)type_oid(column->type));
        pg_put16(out, type_len(column->type));
        pg_put32(out, column->type.typmod);
        pg_put16(out, result->formats != NULL ? result->formats[i] : 0);
    }
    pg_end(out, begin);
    pg_send(pg);
}

static void
on_columns(struct sql_client *client, const struct sql_result *result)
{
    pg_row_description(of_client(client), result);
}

static bool
on_rows(struct sql_client *client, const struct sql_result *result, const struct batch *batch,
    uint32_t *at)
{
    struct pg_conn *pg = of_client(client);
    const struct row_format *format = sql_session_format(pg->sql);
    struct text *out = &pg->out;
    while (*at < batch->sel_count && !conn_full(pg->conn)) {
        uint32_t i = (*at)++, row = batch->sel != NULL ? batch->sel[i] : i;
        size_t begin = pg_begin(out, 'D');
        pg_put16(out, (int16_t)result->count);
        for (uint32_t col = 0; col < result->count; col++)
            vector_out_field(&batch->cols[col], row,
                result->formats != NULL && result->formats[col] == 1, format, out);
        pg_end(out, begin);
        if (out->len > 64 * 1024)
            pg_send(pg);
    }
    pg_send(pg);
    return !conn_full(pg->conn);
}

static void
on_flush(struct sql_client *client)
{
    conn_flush(of_client(client)->conn);
}

/* CopyInResponse and CopyOutResponse have one shape. */
static void
send_copy_begin(struct pg_conn *pg, char type, const struct sql_copy *copy)
{
    size_t begin = pg_begin(&pg->out, type);
    ox_text_addc(&pg->out, copy->binary ? 1 : 0);
    pg_put16(&pg->out, (int16_t)copy->columns);
    for (uint32_t i = 0; i < copy->columns; i++)
        pg_put16(&pg->out, copy->binary ? 1 : 0);
    pg_end(&pg->out, begin);
    pg_send(pg);
}

static void
on_copy_out_begin(struct sql_client *client, const struct sql_copy *copy)
{
    send_copy_begin(of_client(client), 'H', copy);
}

static bool
on_copy_out_data(struct sql_client *client, struct str data)
{
    struct pg_conn *pg = of_client(client);
    uint8_t head[5] = {'d'};
    wire_store32(head + 1, (uint32_t)data.len + 4);
    conn_write(pg->conn, head, sizeof(head));
    conn_write(pg->conn, data.ptr, data.len);
    return !conn_full(pg->conn);
}

static void
on_copy_out_end(struct sql_client *client)
{
    pg_simple(of_client(client), 'c');
}

static void
on_copy_in_begin(struct sql_client *client, const struct sql_copy *copy)
{
    struct pg_conn *pg = of_client(client);
    pg->copy_in = true;
    send_copy_begin(pg, 'G', copy);
    resume_reading(pg);
}

static void
on_copy_in_more(struct sql_client *client)
{
    resume_reading(of_client(client));
}

/* The statement is over: an Execute reads on, a Query waits for ready(). */
static void
statement_ended(struct pg_conn *pg)
{
    pg->copy_in = false;
    if (pg->state == PG_EXECUTE) {
        pg->state = PG_IDLE;
        resume_reading(pg);
        pg_settle(pg);
    }
}

static void
on_complete(struct sql_client *client, const char *tag)
{
    struct pg_conn *pg = of_client(client);
    size_t begin = pg_begin(&pg->out, 'C');
    pg_put_cstr(&pg->out, tag);
    pg_end(&pg->out, begin);
    pg_send(pg);
    statement_ended(pg);
}

static void
on_suspended(struct sql_client *client)
{
    pg_simple(of_client(client), 's');
    statement_ended(of_client(client));
}

static void
on_empty(struct sql_client *client)
{
    pg_simple(of_client(client), 'I');
    statement_ended(of_client(client));
}

static void
on_failed(struct sql_client *client, const struct ox_err *err)
{
    struct pg_conn *pg = of_client(client);
    if (pg->state == PG_EXECUTE)
        pg->skip_to_sync = true;
    pg_error(pg, "ERROR", err);
    statement_ended(pg);
}

static void
on_ready(struct sql_client *client, char status)
{
    struct pg_conn *pg = of_client(client);
    ox_assert(pg->state == PG_QUERY);
    pg->state = PG_IDLE;
    pg->copy_in = false;
    pg_ready(pg, status);
    resume_reading(pg);
    pg_settle(pg);
}

void
pg_client_init(struct pg_conn *pg)
{
    pg->client = (struct sql_client){
        .notice = on_notice,
        .parameter = on_parameter,
        .columns = on_columns,
        .rows = on_rows,
        .flush = on_flush,
        .copy_out_begin = on_copy_out_begin,
        .copy_out_data = on_copy_out_data,
        .copy_out_end = on_copy_out_end,
        .copy_in_begin = on_copy_in_begin,
        .copy_in_more = on_copy_in_more,
        .complete = on_complete,
        .suspended = on_suspended,
        .empty = on_empty,
        .failed = on_failed,
        .ready = on_ready,
        .cancel = pg_cancel,
    };
}
