/* SPDX-License-Identifier: Apache-2.0
 *
 * COPY. Out: rows of a plan become lines (text, csv, json, raw) or binary tuples,
 * one message each. In: bytes become rows, which are fed to an INSERT that appends
 * as its batches fill.
 *
 *   out  run -> batch -> lines -> client, until the socket is full
 *   in   client -> bytes -> whole lines -> batch -> run, when it wants to be fed
 *
 * A batch that was fed borrows its arena until the run wants the next. */
#include <stdio.h>

#include "base/check.h"
#include "sql/copy.h"
#include "sql/session.h"

enum { IN_BYTES_MAX = 1024 * 1024, TUPLE_MAX = 64 * 1024 * 1024 };

static const char signature[11] = "PGCOPY\n\377\r\n";

struct copy_task {
    struct arena arena; /* options */
    struct copy_options with;
    bool in;
    struct text out;
    const struct batch *giving; /* rows the client had no room for, from giving_at on */
    uint32_t giving_at;
    /* In */
    struct text bytes;     /* not parsed yet, from `at` on */
    size_t at;
    struct arena rows;     /* of the batch that was fed */
    struct batch batch;
    bool eof, marker, header_seen, header_held, wants_more;
    bool starved;          /* what is at hand is not one whole row */
    size_t pump_at;        /* bytes at hand that are worth a look */
    uint64_t line, skipped;
    struct str line_text;  /* of the line at hand; null: binary */
    struct str column, field; /* at which it failed; null: the line as a whole */
    struct ox_err fault;   /* of the input; told once the run has ended */
};

/* ---- starting ---- */

static ox_code
bind_source(struct portal *portal, const struct ast_copy *ast, struct copy_task *task,
    struct ox_err *err)
{
    struct bind_config config;
    struct ast_token value = {.text = OX_STR("_value"), .pos = 0},
                     key = {.text = OX_STR("_key"), .pos = 0};
    void *items[2] = {&value, &key};
    struct ast_list raw = {items, 1, 1}, keyed = {items, 2, 2};
    const struct ast_list *columns = ast->columns;
    bool lines = task->with.kind == COPY_JSON || task->with.kind == COPY_RAW;
    bind_config_of(portal->sess, portal_source(portal), portal->param_types,
        portal->param_count, &config);
    if (ast->target.text.ptr != NULL || ast->program) {
        ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "COPY to and from files of the server is not served");
        return ox_hint(err, "Use COPY ... FROM STDIN or TO STDOUT, or the shell's \\copy.");
    }
    if (ast->from) {
        if (lines && columns != NULL && columns->count != 1)
            return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "this format fills one column");
        if (lines && columns == NULL)
            columns = task->with.key_path.ptr != NULL ? &keyed : &raw;
        return bind_copy_from(
            &config, ast->table, columns, ast->where, &portal->arena, &portal->bound, err);
    }
    if (ast->table != NULL)
        return bind_copy_to(&config, ast->table,
            task->with.kind == COPY_RAW && columns == NULL ? &raw : columns, &portal->arena,
            &portal->bound, err);
    return ast->subscribe != NULL
               ? bind_subscribe(&config, ast->subscribe, &portal->arena, &portal->bound, err)
               : bind_select(&config, ast->select, &portal->arena, &portal->bound, err);
}

static void
task_free(struct copy_task *task)
{
    ox_arena_fini(&task->arena);
    ox_arena_fini(&task->rows);
    ox_text_fini(&task->out);
    ox_text_fini(&task->bytes);
    ox_free(task);
}

static const struct plan_column *feed_columns(const struct portal *portal, uint32_t *count);
static void send_start(struct sql_session *sess, struct copy_task *task);

static ox_code
force_columns(struct portal *portal, struct copy_task *task, struct ox_err *err)
{
    uint32_t count = portal->bound.column_count;
    const struct plan_column *feed = task->in ? feed_columns(portal, &count) : NULL;
    struct str *names = ox_arena_array(&task->arena, struct str, count);
    for (uint32_t i = 0; i < count; i++)
        names[i] = task->in ? feed[i].name : portal->bound.columns[i].name;
    return copy_options_columns(&task->with, names, count, &task->arena, err);
}

ox_code
copy_start(struct sql_session *sess, struct portal *portal, struct ox_err *err)
{
    const struct ast_copy *ast = portal->ast->copy;
    struct copy_task *task = ox_calloc(1, sizeof(*task));
    ox_arena_init(&task->arena);
    ox_arena_init(&task->rows);
    ox_text_init(&task->out, NULL);
    ox_text_init(&task->bytes, NULL);
    task->in = ast->from;
    ox_code code = copy_options_read(&task->with, ast, portal_source(portal), &task->arena, err);
    if (code == OX_OK)
        code = bind_source(portal, ast, task, err);
    if (code == OX_OK && !task->in && task->with.kind == COPY_RAW &&
        portal->bound.column_count != 1)
        code = ox_fail(err, OX_INVALID_PARAMETER_VALUE, "COPY in raw format takes one column");
    if (code == OX_OK)
        code = force_columns(portal, task, err);
    if (code == OX_OK)
        code = portal_start(portal, false, err);
    if (code != OX_OK) {
        task_free(task);
        return code;
    }
    sess->copy = task;
    sess->portal = portal;
    sess->task = task->in ? TASK_COPY_IN : TASK_COPY_OUT;
    send_start(sess, task);
    copy_pump(sess);
    return OX_OK;
}

void
copy_forget(struct sql_session *sess)
{
    if (sess->copy != NULL)
        task_free(sess->copy);
    sess->copy = NULL;
}

static const struct plan_column *
feed_columns(const struct portal *portal, uint32_t *count)
{
    const struct plan *feed = portal->bound.root.plan;
    while (feed->kind != PLAN_FEED)
        feed = feed->input;
    *count = feed->column_count;
    return feed->columns;
}

static void
send_start(struct sql_session *sess, struct copy_task *task)
{
    struct sql_copy copy = {task->with.kind == COPY_BINARY, sess->portal->bound.column_count};
    if (task->in) {
        feed_columns(sess->portal, &copy.columns);
        sess->client->copy_in_begin(sess->client, &copy);
        return;
    }
    if (task->with.kind == COPY_JSON)
        copy.columns = 1;
    sess->client->copy_out_begin(sess->client, &copy);
    ox_text_clear(&task->out);
    if (task->with.kind == COPY_BINARY) {
        ox_text_add(&task->out, signature, sizeof(signature));
        ox_text_add(&task->out, "\0\0\0\0\0\0\0\0", 8); /* leaves with the first tuple */
        task->header_held = true;
    } else if (task->with.format.header && task->with.kind != COPY_JSON && task->with.kind != COPY_RAW) {
        struct str *names = ox_arena_array(&task->arena, struct str, copy.columns);
        for (uint32_t i = 0; i < copy.columns; i++)
            names[i] = sess->portal->bound.columns[i].name;
        copy_out_header(names, copy.columns, &task->with.format, &task->out);
        sess->client->copy_out_data(sess->client, ox_text_str(&task->out));
    }
}

/* ---- out ---- */

static void
json_line(struct copy_task *task, const struct portal *portal, const struct batch *batch,
    uint32_t row, const struct row_format *format)
{
    ox_text_addc(&task->out, '{');
    for (uint32_t i = 0; i < batch->ncols; i++) {
        struct datum value = vector_get(&batch->cols[i], row);
        if (i > 0)
            ox_text_addc(&task->out, ',');
        json_quote(portal->bound.columns[i].name, &task->out);
        ox_text_addc(&task->out, ':');
        if (value.null)
            ox_text_adds(&task->out, "null");
        else
            json_from_datum(batch->cols[i].type, &value, format, &task->out);
    }
    ox_text_adds(&task->out, "}\n");
}

static void
binary_tuple(struct copy_task *task, const struct batch *batch, uint32_t row,
    const struct row_format *format)
{
    char count[2];
    wire_store16(count, (uint16_t)batch->ncols);
    ox_text_add(&task->out, count, sizeof(count));
    for (uint32_t i = 0; i < batch->ncols; i++)
        vector_out_field(&batch->cols[i], row, true, format, &task->out);
}

/* One message a row, as PostgreSQL sends them: clients count on it. */
static bool
send_rows(struct sql_session *sess, struct copy_task *task, const struct batch *batch,
    uint32_t from)
{
    const struct row_format *format = sql_session_format(sess);
    bool room = true;
    task->giving = NULL;
    for (uint32_t i = from; i < batch->sel_count && room; i++) {
        uint32_t row = batch->sel != NULL ? batch->sel[i] : i;
        if (!task->header_held)
            ox_text_clear(&task->out);
        task->header_held = false;
        if (task->with.kind == COPY_JSON) {
            json_line(task, sess->portal, batch, row, format);
        } else if (task->with.kind == COPY_BINARY) {
            binary_tuple(task, batch, row, format);
        } else if (task->with.kind == COPY_RAW) {
            if (!vector_null(&batch->cols[0], row))
                vector_out_text(&batch->cols[0], row, format, &task->out);
            ox_text_addc(&task->out, '\n');
        } else {
            copy_out_rows(batch, i, 1, SIZE_MAX, &task->with.format, format, &task->out);
        }
        room = sess->client->copy_out_data(sess->client, ox_text_str(&task->out));
        if (!room && i + 1 < batch->sel_count) {
            task->giving = batch;
            task->giving_at = i + 1;
        }
    }
    return room;
}

static void
finish(struct sql_session *sess, const struct ox_err *err, uint64_t rows)
{
    char tag[48];
    struct ox_err copy;
    if (err != NULL)
        copy = *err;
    copy_forget(sess);
    snprintf(tag, sizeof(tag), "COPY %llu", (unsigned long long)rows);
    if (err != NULL)
        session_fail(sess, &copy);
    else
        session_complete(sess, tag);
}

static void
pump_out(struct sql_session *sess, struct copy_task *task)
{
    struct exec_run *run = sess->portal->run;
    struct batch *batch;
    while (!sess->full) {
        if (task->giving != NULL && !exec_run_stopped(run)) {
            sess->full = !send_rows(sess, task, task->giving, task->giving_at);
            continue;
        }
        task->giving = NULL;
        switch (exec_run_next(run, 0, &batch)) {
        case EXEC_ROWS: sess->full = !send_rows(sess, task, batch, 0); break;
        case EXEC_PARK: sess->client->flush(sess->client); return;
        case EXEC_FAIL: finish(sess, exec_run_err(run), 0); return;
        case EXEC_DONE:
            if (task->with.kind == COPY_BINARY) {
                if (!task->header_held)
                    ox_text_clear(&task->out);
                ox_text_add(&task->out, "\377\377", 2);
                sess->client->copy_out_data(sess->client, ox_text_str(&task->out));
            }
            sess->client->copy_out_end(sess->client);
            finish(sess, NULL, exec_run_rows(run));
            return;
        }
    }
}

/* ---- in: bytes to rows ---- */

struct row_maker {
    struct copy_task *task;
    const struct plan_column *columns;
    uint32_t width, count;
    bool eof; /* the input at hand is the last */
    const struct row_format *format;
    struct ox_err *err;
};

static void
begin_batch(struct row_maker *maker)
{
    struct copy_task *task = maker->task;
    ox_arena_reset(&task->rows);
    task->batch.ncols = maker->width;
    task->batch.cols = ox_arena_array(&task->rows, struct vector, maker->width);
    for (uint32_t i = 0; i < maker->width; i++) {
        vector_init(&task->batch.cols[i], maker->columns[i].type, VECTOR_MAX, &task->rows);
        vector_nulls(&task->batch.cols[i], VECTOR_MAX, &task->rows);
    }
    maker->count = 0;
}

static ox_code
set_field(struct row_maker *maker, uint32_t column, struct str field)
{
    struct vector *vec = &maker->task->batch.cols[column];
    struct datum value = DATUM_NULL;
    ox_code code = OX_OK;
    if (field.ptr != NULL) {
        code = row_check_text(field, maker->err);
        if (code == OX_OK)
            code = type_in_text(vec->type, field, maker->format, &maker->task->rows, &value,
                maker->err);
    }
    if (code == OX_OK) {
        vector_set(vec, maker->count, value);
        return OX_OK;
    }
    maker->task->column = maker->columns[column].name;
    maker->task->field = field;
    return code;
}

static bool
find_member(struct str name, struct str doc, struct str *value)
{
    struct json_finder finder;
    json_finder_init(&finder, name);
    return json_find(&finder, doc, value);
}

/* "$.a.b", or the name of a member, or "a.b" when there is no member of that name. */
static bool
find_key(struct str path, struct str doc, struct str *value)
{
    bool steps = ox_str_starts(path, OX_STR("$."));
    if (steps)
        path = ox_str_n(path.ptr + 2, path.len - 2);
    else if (find_member(path, doc, value))
        return true;
    for (;;) {
        const char *dot = memchr(path.ptr, '.', path.len);
        size_t len = dot != NULL ? (size_t)(dot - path.ptr) : path.len;
        if (!find_member(ox_str_n(path.ptr, len), doc, &doc))
            return false;
        *value = doc;
        if (dot == NULL)
            return true;
        path = ox_str_n(dot + 1, path.len - len - 1);
    }
}

static ox_code
json_row(struct row_maker *maker, struct str line)
{
    struct copy_task *task = maker->task;
    ox_code code = json_validate(line, maker->err);
    if (code == OX_OK)
        code = set_field(maker, 0, line);
    if (code != OX_OK || task->with.key_path.ptr == NULL)
        return code;
    struct str value, key = OX_STR_NULL;
    if (find_key(task->with.key_path, line, &value) && !json_as_text(value, &task->rows, &key, NULL))
        key = OX_STR_NULL;
    return set_field(maker, 1, key);
}

static ox_code
line_row(struct row_maker *maker, struct str line)
{
    struct copy_task *task = maker->task;
    if (task->with.kind == COPY_RAW)
        return set_field(maker, 0, line);
    if (task->with.kind == COPY_JSON)
        return json_row(maker, line);
    struct str fields[16];
    uint32_t count = 0;
    ox_code code = copy_split_line(&task->with.format, line, &task->rows, fields, maker->width, &count,
        maker->err);
    if (code == OX_OK && count < maker->width)
        code = ox_fail(maker->err, OX_BAD_COPY_FILE_FORMAT, "missing data for column \"%.*s\"",
            OX_STR_ARG(maker->columns[count].name));
    for (uint32_t i = 0; i < count && code == OX_OK; i++)
        code = set_field(maker, i, fields[i]);
    return code;
}

/* Lines end with \n or \r\n; the last may have no end. psql sends the "\." that ended
 * the data in a script: it is no JSON, and no raw value when nothing follows. */
static size_t
next_line(const struct row_maker *maker, struct str input, struct str *line, bool *last)
{
    const struct copy_task *task = maker->task;
    *last = false;
    if (task->with.kind == COPY_TEXT || task->with.kind == COPY_CSV)
        return copy_next_line(&task->with.format, input, maker->eof, line, last);
    const char *end = input.len ? memchr(input.ptr, '\n', input.len) : NULL;
    if (end == NULL && !(maker->eof && input.len > 0))
        return 0;
    size_t len = end != NULL ? (size_t)(end - input.ptr) : input.len, used = len + (end != NULL);
    *line = ox_str_n(input.ptr, len);
    if (len > 0 && line->ptr[len - 1] == '\r')
        line->len--;
    if (ox_str_is(*line, "\\.")) {
        if (task->with.kind == COPY_RAW && used == input.len && !maker->eof)
            return 0; /* what follows tells */
        *last = task->with.kind == COPY_JSON || used == input.len;
    }
    return used;
}

/* HEADER match: the first line must be the names of the columns. */
static ox_code
match_header(struct row_maker *maker, struct str line)
{
    struct copy_task *task = maker->task;
    struct str fields[16];
    uint32_t count = 0;
    ox_code code = copy_split_line(&task->with.format, line, &task->rows, fields,
        (uint32_t)(sizeof(fields) / sizeof(fields[0])), &count, maker->err);
    if (code == OX_OK && count != maker->width)
        return ox_fail(maker->err, OX_BAD_COPY_FILE_FORMAT,
            "wrong number of fields in header line: got %u, expected %u", count, maker->width);
    for (uint32_t i = 0; i < count && code == OX_OK; i++)
        if (!ox_str_eq(fields[i], maker->columns[i].name))
            code = ox_fail(maker->err, OX_BAD_COPY_FILE_FORMAT,
                "column name mismatch in header line field %u: got \"%.*s\", expected \"%.*s\"",
                i + 1, OX_STR_ARG(fields[i]), OX_STR_ARG(maker->columns[i].name));
    return code;
}

/* ON_ERROR ignore passes over rows whose values have not their columns' form. */
static bool
skips(struct row_maker *maker)
{
    struct copy_task *task = maker->task;
    bool form = task->column.ptr != NULL || task->with.kind == COPY_JSON;
    if (!task->with.skip_bad || !form)
        return false;
    *maker->err = (struct ox_err){0};
    task->column = OX_STR_NULL;
    task->skipped++;
    return true;
}

static ox_code
make_lines(struct row_maker *maker, struct str input, size_t *used)
{
    struct copy_task *task = maker->task;
    ox_code code = OX_OK;
    *used = 0;
    while (code == OX_OK && maker->count < VECTOR_MAX && !task->marker) {
        struct str line, rest = ox_str_n(input.ptr + *used, input.len - *used);
        bool last;
        size_t len = next_line(maker, rest, &line, &last);
        if (len == 0)
            break;
        *used += len;
        task->line++;
        if (last) {
            task->marker = true;
            break;
        }
        if (task->with.format.header && !task->header_seen) {
            task->header_seen = true;
            task->line_text = line;
            code = task->with.header_match ? match_header(maker, line) : OX_OK;
            continue;
        }
        if (line.len == 0 && task->with.kind == COPY_JSON)
            continue;
        task->line_text = line;
        code = line_row(maker, line);
        maker->count += code == OX_OK;
        if (code != OX_OK && skips(maker))
            code = OX_OK;
    }
    return code;
}

/* ---- in: binary ---- */

static ox_code
binary_row(struct row_maker *maker, struct wire_in *in, bool *whole)
{
    struct copy_task *task = maker->task;
    *whole = false;
    int16_t count = wire_get16(in);
    if (in->failed)
        return OX_OK;
    if (count == -1) {
        task->marker = true;
        *whole = true;
        return OX_OK;
    }
    if (count != (int16_t)maker->width)
        return ox_fail(maker->err, OX_BAD_COPY_FILE_FORMAT,
            "row field count is %d, expected %u", count, maker->width);
    for (uint32_t i = 0; i < maker->width; i++) {
        int32_t len = wire_get32(in);
        struct datum value = DATUM_NULL;
        if (len < -1 || len > TUPLE_MAX)
            return ox_fail(maker->err, OX_BAD_COPY_FILE_FORMAT, "invalid field size");
        const uint8_t *bytes = len >= 0 ? wire_skip(in, (size_t)len) : NULL;
        if (in->failed)
            return OX_OK;
        if (len >= 0) {
            ox_code code = type_in_binary(maker->columns[i].type, ox_str_n(bytes, (size_t)len),
                &task->rows, &value, maker->err);
            if (code != OX_OK)
                return code;
        }
        vector_set(&task->batch.cols[i], maker->count, value);
    }
    *whole = true;
    return OX_OK;
}

/* Signature, flags, and an extension that is passed over. *len 0: more must come. */
static ox_code
binary_header(const struct row_maker *maker, struct str input, size_t *len)
{
    enum { HEADER = 19 };
    static const uint32_t with_oids = 0x00010000, critical = 0xFFFF0000;
    const char *wrong = NULL;
    *len = 0;
    uint32_t flags = input.len < HEADER ? 0 : wire_load32(input.ptr + 11);
    int64_t extension = input.len < HEADER ? 0 : (int32_t)wire_load32(input.ptr + 15);
    if (memcmp(input.ptr, signature, OX_MIN(input.len, sizeof(signature))) != 0 ||
        (maker->eof && input.len < sizeof(signature)))
        return ox_fail(maker->err, OX_BAD_COPY_FILE_FORMAT, "COPY file signature not recognized");
    if ((flags & with_oids) != 0)
        wrong = "invalid COPY file header (WITH OIDS)";
    else if ((flags & critical) != 0)
        wrong = "unrecognized critical flags in COPY file header";
    else if (extension < 0)
        wrong = "invalid COPY file header (missing length)";
    else if (maker->eof && (int64_t)input.len < HEADER + extension)
        wrong = "invalid COPY file header (wrong length)";
    else if ((int64_t)input.len >= HEADER + extension)
        *len = HEADER + (size_t)extension;
    return wrong == NULL ? OX_OK : ox_fail(maker->err, OX_BAD_COPY_FILE_FORMAT, "%s", wrong);
}

static ox_code
make_tuples(struct row_maker *maker, struct str input, size_t *used)
{
    struct copy_task *task = maker->task;
    ox_code code = OX_OK;
    *used = 0;
    if (!task->header_seen) {
        code = binary_header(maker, input, used);
        if (code != OX_OK || *used == 0)
            return code;
        task->header_seen = true;
    }
    while (maker->count < VECTOR_MAX && !task->marker) {
        struct wire_in in = wire_in(input.ptr + *used, input.len - *used);
        bool whole;
        code = binary_row(maker, &in, &whole);
        if (code != OX_OK || !whole)
            break;
        *used = (size_t)(in.at - (const uint8_t *)input.ptr);
        task->line++;
        maker->count += !task->marker;
    }
    if (code == OX_OK && task->marker && *used < input.len)
        code = ox_fail(maker->err, OX_BAD_COPY_FILE_FORMAT,
            "received copy data after EOF marker");
    if (code == OX_OK && maker->eof && !task->marker && *used < input.len &&
        maker->count < VECTOR_MAX)
        code = ox_fail(maker->err, OX_BAD_COPY_FILE_FORMAT, "unexpected EOF in COPY data");
    return code;
}

/* ---- in: feeding the run ---- */

/* As PostgreSQL words it; long lines and values are cut. */
static void
say_where(const struct ast_copy *ast, struct copy_task *task)
{
    struct str shown = task->column.ptr != NULL ? task->field : task->line_text;
    unsigned long long line = (unsigned long long)task->line;
    const char *cut = shown.len > 60 ? "..." : "";
    char where[80];
    struct str table = ast->table->parts[ast->table->count - 1];
    snprintf(where, sizeof(where), "COPY %.*s, line %llu", (int)OX_MIN(table.len, 48), table.ptr,
        line);
    shown.len = OX_MIN(shown.len, 60);
    if (task->column.ptr != NULL)
        ox_context(&task->fault, "%s, column %.*s: \"%.*s%s\"", where, OX_STR_ARG(task->column),
            OX_STR_ARG(shown), cut);
    else if (shown.ptr != NULL)
        ox_context(&task->fault, "%s: \"%.*s%s\"", where, OX_STR_ARG(shown), cut);
    else
        ox_context(&task->fault, "%s", where);
}

static ox_code
take_rows(struct row_maker *maker, struct str bytes, bool whole, size_t *used)
{
    struct copy_task *task = maker->task;
    begin_batch(maker);
    maker->eof = task->eof && whole;
    struct str kept = ox_str_n(ox_arena_copy(&task->rows, bytes.ptr, bytes.len), bytes.len);
    return task->with.kind == COPY_BINARY ? make_tuples(maker, kept, used)
                                          : make_lines(maker, kept, used);
}

/* The next rows, from a copy of their bytes that lives as long as the batch.
 * False: there are none (yet). */
static bool
make_rows(struct sql_session *sess, struct copy_task *task)
{
    struct row_maker maker = {.task = task, .format = sql_session_format(sess),
        .err = &task->fault};
    struct str all = ox_str_n(task->bytes.ptr + task->at, task->bytes.len - task->at);
    size_t used, most = OX_MIN(all.len, (size_t)IN_BYTES_MAX * 4);
    maker.columns = feed_columns(sess->portal, &maker.width);
    ox_code code = take_rows(&maker, ox_str_n(all.ptr, most), most == all.len, &used);
    if (code == OX_OK && used == 0 && most < all.len) /* a row is longer than that */
        code = take_rows(&maker, all, true, &used);
    task->at += used;
    if (task->at == task->bytes.len) {
        ox_text_clear(&task->bytes);
        task->at = 0;
    }
    if (code != OX_OK) {
        task->fault.code = code;
        say_where(sess->portal->ast->copy, task);
    }
    task->batch.count = task->batch.sel_count = maker.count;
    task->batch.sel = NULL;
    return maker.count > 0;
}

static bool
input_ended(const struct copy_task *task)
{
    return task->marker || task->fault.code != OX_OK ||
           (task->eof && task->at == task->bytes.len);
}

/* False: nothing to feed before more bytes come. */
static bool
feed(struct sql_session *sess, struct copy_task *task)
{
    struct exec_run *run = sess->portal->run;
    if (task->fault.code == OX_OK && !task->marker && make_rows(sess, task)) {
        exec_run_feed(run, &task->batch);
        return true;
    }
    if (task->fault.code == OX_OK && task->bytes.len - task->at > TUPLE_MAX)
        ox_fail(&task->fault, OX_PROGRAM_LIMIT_EXCEEDED, "a row is longer than %d bytes", TUPLE_MAX);
    if (input_ended(task) || task->eof) {
        exec_run_feed(run, NULL);
        return true;
    }
    return false;
}

static void
ask_for_more(struct sql_session *sess, struct copy_task *task)
{
    if (task->wants_more &&
        (task->starved || task->bytes.len - task->at < IN_BYTES_MAX / 2)) {
        task->wants_more = false;
        sess->client->copy_in_more(sess->client);
    }
}

/* The statement has failed, but the client may still be sending: its messages are
 * skipped by the door. */
static void
end_in(struct sql_session *sess, struct copy_task *task, const struct ox_err *failure)
{
    struct exec_run *run = sess->portal->run;
    struct ox_err err;
    if (failure == NULL && task->fault.code == OX_OK) {
        if (task->skipped > 0)
            session_notice(sess, "NOTICE", OX_OK, "%llu row%s skipped due to data type incompatibility",
                (unsigned long long)task->skipped, task->skipped == 1 ? " was" : "s were");
        finish(sess, NULL, exec_run_rows(run));
        return;
    }
    err = failure != NULL && task->fault.code == OX_OK ? *failure : task->fault;
    uint64_t durable = failure != NULL ? exec_run_rows_durable(run) : exec_run_rows(run);
    if (durable > 0) {
        char detail[sizeof(err.detail)];
        snprintf(detail, sizeof(detail), "%.250s%s%llu row%s written before.", err.detail,
            err.detail[0] ? " " : "", (unsigned long long)durable,
            durable == 1 ? " was" : "s were");
        ox_detail(&err, "%s", detail);
    }
    finish(sess, &err, 0);
}

static void
pump_in(struct sql_session *sess, struct copy_task *task)
{
    struct exec_run *run = sess->portal->run;
    struct batch *batch;
    for (;;) {
        switch (exec_run_next(run, 0, &batch)) {
        case EXEC_ROWS: break;
        case EXEC_DONE: end_in(sess, task, NULL); return;
        case EXEC_FAIL: end_in(sess, task, exec_run_err(run)); return;
        case EXEC_PARK:
            if (!exec_run_wants_feed(run) || !feed(sess, task)) {
                task->starved = exec_run_wants_feed(run);
                ask_for_more(sess, task);
                return;
            }
        }
    }
}

void
copy_pump(struct sql_session *sess)
{
    struct copy_task *task = sess->copy;
    if (task == NULL)
        return;
    if (task->in)
        pump_in(sess, task);
    else
        pump_out(sess, task);
}

bool
sql_copy_data(struct sql_session *sess, struct str data)
{
    struct copy_task *task = sess->copy;
    if (task == NULL || !task->in || task->marker || task->fault.code != OX_OK)
        return true;
    if (task->at > 0 && task->bytes.len + data.len > task->bytes.cap) {
        memmove(task->bytes.ptr, task->bytes.ptr + task->at, task->bytes.len - task->at);
        task->bytes.len -= task->at;
        task->at = 0;
    }
    ox_text_add(&task->bytes, data.ptr, data.len);
    if (task->bytes.len - task->at >= OX_MAX(task->pump_at, (size_t)64 * 1024)) {
        task->starved = false;
        copy_pump(sess);
        if (sess->copy != task) /* it failed */
            return true;
        task->pump_at = task->starved ? (task->bytes.len - task->at) * 2 : 0;
    }
    task->wants_more = !task->starved && task->bytes.len - task->at > IN_BYTES_MAX;
    return !task->wants_more;
}

void
sql_copy_done(struct sql_session *sess)
{
    if (sess->copy == NULL)
        return;
    sess->copy->eof = true;
    copy_pump(sess);
}

void
sql_copy_fail(struct sql_session *sess, struct str message)
{
    struct copy_task *task = sess->copy;
    if (task == NULL)
        return;
    ox_fail(&task->fault, OX_QUERY_CANCELED_COPY, "COPY from stdin failed: %.*s",
        OX_STR_ARG(message));
    struct ox_err err = task->fault;
    finish(sess, &err, 0);
}
