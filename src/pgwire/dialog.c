/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of a session, simple and extended protocol. One message at a time:
 * while a statement runs the connection is paused, so that pipelined messages
 * wait in the socket and answers keep their order. A COPY FROM STDIN lets
 * messages through.
 *
 *   PG_IDLE --Query--> PG_QUERY --ready--> PG_IDLE
 *   PG_IDLE --Execute--> PG_EXECUTE --complete, suspended, empty, failed--> PG_IDLE
 *
 * After an error in the extended protocol everything up to Sync is skipped. A
 * message whose inside is wrong is such an error: where it ends is known. */
#include "base/check.h"
#include "pgwire/pgwire_int.h"

static void
extended_error(struct pg_conn *pg, const struct ox_err *err)
{
    pg->skip_to_sync = true;
    sql_fail_transaction(pg->sql);
    pg_error(pg, "ERROR", err);
}

static void
bad_message(struct pg_conn *pg, const char *name)
{
    struct ox_err err;
    ox_fail(&err, OX_PROTOCOL_VIOLATION, "invalid %s message", name);
    extended_error(pg, &err);
}

/* An error outside of the extended protocol. */
static void
simple_error(struct pg_conn *pg, const struct ox_err *err)
{
    sql_fail_transaction(pg->sql);
    pg_error(pg, "ERROR", err);
    pg_ready(pg, sql_sync(pg->sql));
}

/* Nothing is read until the statement has ended or asks for input. */
static void
wait_for_statement(struct pg_conn *pg)
{
    if ((pg->state == PG_QUERY || pg->state == PG_EXECUTE) && !pg->copy_in && !pg->paused) {
        pg->paused = true;
        conn_pause(pg->conn);
    }
}

static void
on_query(struct pg_conn *pg, struct wire_in *in)
{
    struct ox_err err;
    struct str text = pg_get_cstr(in);
    if (in->failed || wire_left(in) != 0) {
        ox_fail(&err, OX_PROTOCOL_VIOLATION, "invalid Query message");
        simple_error(pg, &err);
        return;
    }
    pg->state = PG_QUERY;
    sql_query(pg->sql, text);
    wait_for_statement(pg);
}

static void
on_parse(struct pg_conn *pg, struct wire_in *in)
{
    struct ox_err err;
    struct str name = pg_get_cstr(in), text = pg_get_cstr(in);
    uint16_t count = (uint16_t)wire_get16(in);
    const uint8_t *oids = wire_skip(in, (size_t)count * 4);
    if (in->failed || wire_left(in) != 0) {
        bad_message(pg, "Parse");
        return;
    }
    struct arena arena;
    ox_arena_init(&arena);
    uint32_t *list = ox_arena_array(&arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++)
        list[i] = wire_load32(oids + i * 4);
    if (sql_prepare(pg->sql, name, text, list, count, &err) == OX_OK)
        pg_simple(pg, '1');
    else
        extended_error(pg, &err);
    ox_arena_fini(&arena);
}

/* Format codes as Bind has them: a count and as many int16. Fails with err set
 * for one that is neither text nor binary. */
static uint32_t
get_formats(struct wire_in *in, struct arena *arena, int16_t **formats, struct ox_err *err)
{
    uint16_t count = (uint16_t)wire_get16(in);
    if (wire_left(in) < (size_t)count * 2)
        in->failed = true;
    if (in->failed)
        return 0;
    *formats = ox_arena_array(arena, int16_t, count);
    for (uint32_t i = 0; i < count; i++) {
        (*formats)[i] = wire_get16(in);
        if ((*formats)[i] < 0 || (*formats)[i] > 1)
            ox_fail(err, OX_INVALID_PARAMETER_VALUE, "unsupported format code: %d",
                (*formats)[i]);
    }
    return count;
}

static struct sql_param *
get_params(struct wire_in *in, struct arena *arena, const int16_t *formats, uint32_t format_count,
    uint32_t *count, struct ox_err *err)
{
    *count = (uint16_t)wire_get16(in);
    if (wire_left(in) < (size_t)*count * 4)
        in->failed = true;
    if (in->failed)
        return NULL;
    if (format_count > 1 && format_count != *count) {
        ox_fail(err, OX_PROTOCOL_VIOLATION,
            "bind message has %u parameter formats but %u parameters", format_count, *count);
        return NULL;
    }
    struct sql_param *params = ox_arena_array(arena, struct sql_param, *count);
    for (uint32_t i = 0; i < *count; i++) {
        int32_t len = wire_get32(in);
        if (len < -1)
            in->failed = true;
        else if (len >= 0)
            params[i].value = ox_str_n(wire_skip(in, (size_t)len), (size_t)len);
        params[i].binary = format_count == 1 ? formats[0] == 1
                                             : format_count > 1 && formats[i] == 1;
    }
    return params;
}

static void
on_bind(struct pg_conn *pg, struct wire_in *in)
{
    struct ox_err err = {0};
    struct arena arena;
    int16_t *param_formats = NULL, *formats = NULL;
    uint32_t count = 0;
    ox_arena_init(&arena);
    struct str portal = pg_get_cstr(in), statement = pg_get_cstr(in);
    uint32_t param_format_count = get_formats(in, &arena, &param_formats, &err);
    struct sql_param *params =
        get_params(in, &arena, param_formats, param_format_count, &count, &err);
    uint32_t format_count = err.code == OX_OK ? get_formats(in, &arena, &formats, &err) : 0;
    if (err.code != OX_OK)
        extended_error(pg, &err);
    else if (in->failed || wire_left(in) != 0)
        bad_message(pg, "Bind");
    else if (sql_bind(pg->sql, portal, statement, params, count, formats, format_count, &err) ==
             OX_OK)
        pg_simple(pg, '2');
    else
        extended_error(pg, &err);
    ox_arena_fini(&arena);
}

static void
send_parameters(struct pg_conn *pg, const struct sql_description *description)
{
    size_t begin = pg_begin(&pg->out, 't');
    pg_put16(&pg->out, (int16_t)description->param_count);
    for (uint32_t i = 0; i < description->param_count; i++)
        pg_put32(&pg->out, (int32_t)description->params[i]);
    pg_end(&pg->out, begin);
    pg_send(pg);
}

static void
on_describe(struct pg_conn *pg, struct wire_in *in)
{
    struct ox_err err;
    struct sql_description description = {0};
    int8_t kind = wire_get8(in);
    struct str name = pg_get_cstr(in);
    if (in->failed || wire_left(in) != 0 || (kind != 'S' && kind != 'P')) {
        bad_message(pg, "Describe");
        return;
    }
    ox_code code = kind == 'S' ? sql_describe_statement(pg->sql, name, &description, &err)
                               : sql_describe_portal(pg->sql, name, &description, &err);
    if (code != OX_OK) {
        extended_error(pg, &err);
        return;
    }
    if (kind == 'S')
        send_parameters(pg, &description);
    if (description.has_result)
        pg_row_description(pg, &description.result);
    else
        pg_simple(pg, 'n');
}

static void
on_execute(struct pg_conn *pg, struct wire_in *in)
{
    struct str portal = pg_get_cstr(in);
    int32_t max_rows = wire_get32(in);
    if (in->failed || wire_left(in) != 0) {
        bad_message(pg, "Execute");
        return;
    }
    pg->state = PG_EXECUTE;
    sql_execute(pg->sql, portal, max_rows > 0 ? (uint64_t)max_rows : 0);
    wait_for_statement(pg);
}

static void
on_close(struct pg_conn *pg, struct wire_in *in)
{
    int8_t kind = wire_get8(in);
    struct str name = pg_get_cstr(in);
    if (in->failed || wire_left(in) != 0 || (kind != 'S' && kind != 'P')) {
        bad_message(pg, "Close");
        return;
    }
    if (kind == 'S')
        sql_close_statement(pg->sql, name);
    else
        sql_close_portal(pg->sql, name);
    pg_simple(pg, '3');
}

static void
on_sync(struct pg_conn *pg)
{
    pg->skip_to_sync = false;
    pg_ready(pg, sql_sync(pg->sql));
}

/* While a COPY FROM STDIN takes input. Flush and Sync are ignored there. */
static void
on_copy_message(struct pg_conn *pg, int8_t type, struct wire_in *in)
{
    struct ox_err err;
    switch (type) {
    case 'd':
        if (!sql_copy_data(pg->sql, ox_str_n(in->at, wire_left(in))) && !pg->paused &&
            pg->copy_in) {
            pg->paused = true;
            conn_pause(pg->conn);
        }
        break;
    case 'c':
        pg->copy_in = false;
        sql_copy_done(pg->sql);
        wait_for_statement(pg);
        break;
    case 'f':
        pg->copy_in = false;
        sql_copy_fail(pg->sql, pg_get_cstr(in));
        wait_for_statement(pg);
        break;
    case 'H':
    case 'S':
        break;
    case 'X':
        conn_close(pg->conn);
        break;
    default:
        ox_fail(&err, OX_PROTOCOL_VIOLATION,
            "unexpected message type 0x%02X during COPY from stdin", (unsigned)(uint8_t)type);
        pg_fatal(pg, &err);
    }
}

void
pg_unknown_type(struct pg_conn *pg, uint8_t type)
{
    struct ox_err err;
    ox_fail(&err, OX_PROTOCOL_VIOLATION, "invalid frontend message type %d", type);
    pg_fatal(pg, &err);
}

static void
on_function_call(struct pg_conn *pg)
{
    struct ox_err err;
    ox_fail(&err, OX_FEATURE_NOT_SUPPORTED, "the function call protocol is not supported");
    ox_hint(&err, "Call the function in a SELECT.");
    simple_error(pg, &err);
}

/* Answers to what came before it go out first. */
static void
on_terminate(struct pg_conn *pg)
{
    if (conn_output_waits(pg->conn))
        conn_close_after_write(pg->conn);
    else
        conn_close(pg->conn);
}

static void
idle_too_long(struct loop_timer *timer)
{
    struct pg_conn *pg = ox_container_of(timer, struct pg_conn, idle);
    struct ox_err err = {0};
    ox_code code;
    if (pg->state == PG_CLOSING || sql_busy(pg->sql) || sql_idle_limit_ms(pg->sql, &code) <= 0)
        return;
    ox_fail_plain(&err, code);
    pg_fatal(pg, &err);
}

void
pg_idle_begin(struct pg_conn *pg)
{
    ox_code code;
    int64_t limit_ms = sql_idle_limit_ms(pg->sql, &code);
    loop_timer_stop(&pg->idle);
    if (limit_ms > 0)
        loop_timer_start(pg->engine.loop, &pg->idle, (uint64_t)limit_ms * 1000000, idle_too_long);
}

static void
take_message(struct pg_conn *pg, const struct slice *message)
{
    struct wire_in in = wire_in(ox_slice_ptr(message), message->len);
    int8_t type = wire_get8(&in);
    wire_get32(&in);
    if (pg->copy_in) {
        on_copy_message(pg, type, &in);
        return;
    }
    if (pg->skip_to_sync && type != 'S' && type != 'X')
        return;
    switch (type) {
    case 'Q': on_query(pg, &in); break;
    case 'P': on_parse(pg, &in); break;
    case 'B': on_bind(pg, &in); break;
    case 'D': on_describe(pg, &in); break;
    case 'E': on_execute(pg, &in); break;
    case 'C': on_close(pg, &in); break;
    case 'S': on_sync(pg); break;
    case 'H': conn_flush(pg->conn); break;
    case 'F': on_function_call(pg); break;
    case 'X': on_terminate(pg); break;
    case 'd': /* the rest of a COPY that failed */
    case 'c':
    case 'f': break;
    default: pg_unknown_type(pg, (uint8_t)type);
    }
}

void
pg_settle(struct pg_conn *pg)
{
    if (pg->state != PG_QUERY && pg->state != PG_EXECUTE)
        ox_stop_end(&pg->stop);
}

void
pg_message(struct pg_conn *pg, const struct slice *message)
{
    loop_timer_stop(&pg->idle);
    if (ox_stop_serial(&pg->stop) == 0)
        ox_stop_begin(&pg->stop);
    struct ox_stop *before = ox_stop_enter(&pg->stop);
    take_message(pg, message);
    ox_stop_leave(before);
    pg_settle(pg);
}
