/* SPDX-License-Identifier: Apache-2.0
 *
 * SCAN_CATALOG: a query that SQLite answers. It runs on a pool thread, some
 * thousand rows at a time; the operator parks meanwhile. A subquery of an
 * expression must not park, and facts of other loops cannot be had on a loop at
 * all: what such subqueries scan is read before the plan starts (a scan has no
 * parameters of outer rows) and kept for the run.
 *
 *   IDLE --(next, no rows left)--> WORKING --(job done)--> IDLE
 *
 * While WORKING the pool owns what is under "the job's". */
#include "exec/exec_int.h"
#include "exec/store.h"
#include "meta/catalog.h"

enum { ROWS_PER_JOB = 8192 };

struct catalog_kept {
    struct op *op; /* NULL: not begun */
    struct type *types;
    struct store store;
    bool complete;
};

struct scan_catalog {
    struct op op;
    struct store_reader reader; /* of kept rows */
    bool reading;
    struct pool_job job;
    bool working, opened_job;
    volatile bool cancel;
    /* What the job is told, in an arena of its own: a cancelled statement's plan and
     * operators may go before the job is done. */
    struct arena own;
    struct str sql;
    uint32_t param_count, column_count;
    struct datum *params;
    struct type *param_types, *types;
    struct row_format format; /* without names: those are the session's */
    /* The job's. */
    struct catalog_db *db;
    struct catalog_stmt *stmt;
    struct rows rows;
    bool ended;
    struct ox_err err;
    ox_code code;
    struct arena arena; /* of one row's conversions */
    uint32_t give_at;   /* chunk */
    struct batch out;
};

static const struct plan_scan_catalog *
plan_of(const struct scan_catalog *scan)
{
    return (const struct plan_scan_catalog *)scan->op.plan;
}

static bool
take_params(struct scan_catalog *scan)
{
    const struct plan_scan_catalog *plan = plan_of(scan);
    scan->param_count = plan->param_count;
    scan->params = ox_arena_array(&scan->own, struct datum, plan->param_count + 1);
    scan->param_types = ox_arena_array(&scan->own, struct type, plan->param_count + 1);
    for (uint32_t i = 0; i < plan->param_count; i++) {
        scan->param_types[i] = plan->params[i]->type;
        if (!op_eval_one(&scan->op, plan->params[i], &scan->params[i]))
            return false;
        scan->params[i] = datum_copy(scan->param_types[i], scan->params[i], &scan->own);
    }
    return true;
}

static bool
catalog_open(struct op *op)
{
    struct scan_catalog *scan = (struct scan_catalog *)op;
    const struct plan_scan_catalog *plan = plan_of(scan);
    ox_assert(!scan->working);
    struct catalog_kept *kept = plan->kept ? &op->run->kept[plan->index] : NULL;
    scan->reading = kept != NULL && kept->complete;
    if (scan->reading) {
        store_reader_init(&scan->reader, &kept->store);
        return true;
    }
    if (op->run->config.catalog_take == NULL) {
        ox_fail(run_err(op->run), OX_FEATURE_NOT_SUPPORTED, "the catalog cannot be read here");
        return false;
    }
    scan->opened_job = true;
    scan->db = NULL;
    scan->stmt = NULL;
    scan->ended = scan->cancel = false;
    scan->code = OX_OK;
    scan->give_at = 0;
    ox_arena_init(&scan->arena);
    ox_arena_init(&scan->own);
    scan->column_count = op->plan->column_count;
    scan->types = plan_types(op->plan, &scan->own);
    rows_init(&scan->rows, scan->types, scan->column_count);
    scan->format = *op->run->eval.format;
    scan->format.names = NULL;
    scan->sql = ox_str_n(ox_arena_strndup(&scan->own, plan->sql.ptr, plan->sql.len), plan->sql.len);
    return take_params(scan);
}

/* Statement, connection and rows. */
static void
let_go(struct scan_catalog *scan)
{
    catalog_stmt_close(scan->stmt);
    scan->stmt = NULL;
    if (scan->db != NULL) {
        catalog_db_cancel_flag(scan->db, NULL);
        scan->op.run->config.catalog_give(scan->op.run->config.catalog_arg, scan->db);
    }
    scan->db = NULL;
    rows_fini(&scan->rows);
    ox_arena_fini(&scan->arena);
    ox_arena_fini(&scan->own);
}

static void
catalog_close(struct op *op)
{
    struct scan_catalog *scan = (struct scan_catalog *)op;
    if (scan->reading)
        store_reader_fini(&scan->reader);
    if (!scan->opened_job)
        return;
    scan->opened_job = false;
    scan->cancel = true;
    if (!scan->working)
        let_go(scan);
    /* else job_done() does, and the run stays until then. */
}

/* ---- on the pool -------------------------------------------------------------------- */

static bool
is_text(struct type type)
{
    switch (type.array ? TYPE_VOID : type.id) {
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_NAME:
    case TYPE_CHAR:
    case TYPE_JSON:
    case TYPE_UNKNOWN:
        return true;
    default:
        return false;
    }
}

static void
bind_params(struct scan_catalog *scan)
{
    for (uint32_t i = 0; i < scan->param_count; i++) {
        struct type type = scan->param_types[i];
        const struct datum *value = &scan->params[i];
        int at = (int)i + 1;
        if (value->null) {
            catalog_bind_null(scan->stmt, at);
        } else if (type_phys(type) == PHYS_BOOL) {
            catalog_bind_int(scan->stmt, at, value->b);
        } else if (type_phys(type) == PHYS_I64) {
            catalog_bind_int(scan->stmt, at, value->i);
        } else if (type_phys(type) == PHYS_F64) {
            catalog_bind_double(scan->stmt, at, value->f);
        } else if (is_text(type)) {
            catalog_bind_text(scan->stmt, at, value->s);
        } else if (!type.array && type.id == TYPE_BYTEA) {
            catalog_bind_blob(scan->stmt, at, value->s);
        } else {
            struct text text;
            ox_text_init(&text, &scan->arena);
            type_out_text(type, value, &scan->format, &text);
            catalog_bind_text(scan->stmt, at, ox_text_str(&text));
        }
    }
}

static ox_code
column_value(struct scan_catalog *scan, uint32_t i, struct datum *out)
{
    struct type type = scan->types[i];
    enum catalog_type given = catalog_column_type(scan->stmt, (int)i);
    *out = (struct datum){.null = given == CATALOG_NULL};
    if (out->null)
        return OX_OK;
    bool number = given == CATALOG_INT || given == CATALOG_DOUBLE;
    switch (type_phys(type)) {
    case PHYS_BOOL:
        if (number) {
            out->b = catalog_column_int(scan->stmt, (int)i) != 0;
            return OX_OK;
        }
        break;
    case PHYS_I64:
        if (number) {
            out->i = catalog_column_int(scan->stmt, (int)i);
            return OX_OK;
        }
        break;
    case PHYS_F64:
        if (number) {
            out->f = catalog_column_double(scan->stmt, (int)i);
            return OX_OK;
        }
        break;
    case PHYS_STR:
        if (given == CATALOG_BLOB && !type.array &&
            (type.id == TYPE_BYTEA || type.id == TYPE_UUID)) {
            out->s = catalog_column_blob(scan->stmt, (int)i);
            if (type.id == TYPE_BYTEA || out->s.len == 16)
                return OX_OK;
        }
        break;
    }
    struct str text = catalog_column_text(scan->stmt, (int)i);
    if (is_text(type)) {
        out->s = text;
        return OX_OK;
    }
    return type_in_text(type, text, &scan->format, &scan->arena, out, &scan->err);
}

static ox_code
begin(struct scan_catalog *scan)
{
    const struct exec_config *config = &scan->op.run->config;
    ox_code code = config->catalog_take(config->catalog_arg, &scan->db, &scan->err);
    if (code != OX_OK) {
        scan->db = NULL;
        return code;
    }
    catalog_db_cancel_flag(scan->db, &scan->cancel);
    code = catalog_stmt_prepare(scan->db, scan->sql, &scan->stmt, NULL, &scan->err);
    if (code != OX_OK)
        return code;
    if (scan->stmt == NULL || catalog_column_count(scan->stmt) < (int)scan->column_count)
        return ox_fail(
            &scan->err, OX_UNKNOWN_SERVER_ERROR, "catalog query gives fewer columns than planned");
    bind_params(scan);
    return OX_OK;
}

static void
job_work(struct pool_job *job)
{
    struct scan_catalog *scan = ox_container_of(job, struct scan_catalog, job);
    uint32_t ncols = scan->column_count;
    if (scan->db == NULL) {
        scan->code = begin(scan);
        if (scan->code != OX_OK)
            return;
    }
    struct datum *row = ox_malloc((ncols + 1) * sizeof(*row));
    for (int n = 0; n < ROWS_PER_JOB && scan->code == OX_OK && !scan->ended; n++) {
        bool more;
        scan->code = catalog_stmt_step(scan->stmt, &more, &scan->err);
        scan->ended = !more;
        if (scan->code != OX_OK || !more)
            break;
        ox_arena_reset(&scan->arena);
        for (uint32_t i = 0; i < ncols && scan->code == OX_OK; i++)
            scan->code = column_value(scan, i, &row[i]);
        if (scan->code == OX_OK)
            rows_add_datums(&scan->rows, row);
    }
    ox_free(row);
}

/* ---- on the loop ----------------------------------------------------------------------- */

static void
job_done(struct pool_job *job)
{
    struct scan_catalog *scan = ox_container_of(job, struct scan_catalog, job);
    struct exec_run *run = scan->op.run;
    scan->working = false;
    if (!scan->opened_job)
        let_go(scan);
    else
        run_wake(run);
    run_release(run);
}

static enum exec_status
next_kept(struct scan_catalog *scan, struct batch **out)
{
    const struct batch *chunk;
    if (!store_read(&scan->reader, &chunk))
        return EXEC_FAIL;
    if (chunk == NULL)
        return EXEC_DONE;
    scan->out = *chunk;
    *out = &scan->out;
    return EXEC_ROWS;
}

static enum exec_status
catalog_next(struct op *op, struct batch **out)
{
    struct scan_catalog *scan = (struct scan_catalog *)op;
    if (scan->reading)
        return next_kept(scan, out);
    for (;;) {
        if (scan->working)
            return EXEC_PARK;
        if (scan->give_at < scan->rows.chunk_count) {
            scan->out = scan->rows.chunks[scan->give_at++]->batch;
            *out = &scan->out;
            return EXEC_ROWS;
        }
        if (scan->code != OX_OK) {
            *run_err(op->run) = scan->err;
            return EXEC_FAIL;
        }
        if (scan->ended)
            return EXEC_DONE;
        rows_fini(&scan->rows);
        scan->give_at = 0;
        if (op->run->sync_depth > 0 || op->run->config.loop == NULL) {
            job_work(&scan->job);
            continue;
        }
        scan->working = true;
        run_hold(op->run);
        scan->job.work = job_work;
        scan->job.done = job_done;
        loop_pool_submit(op->run->config.loop, &scan->job);
    }
}

/* ---- before the plan ------------------------------------------------------------------- */

static enum exec_status
keep_rows(struct exec_run *run, const struct plan *plan, struct catalog_kept *kept)
{
    if (kept->op == NULL) {
        kept->op = op_new(run, plan, NULL);
        kept->types = plan_types(plan, &run->arena);
        store_init(&kept->store, run, kept->types, plan->column_count, run->config.work_mem);
    }
    if (!kept->op->opened && !op_open(kept->op))
        return EXEC_FAIL;
    for (;;) {
        struct batch *in;
        enum exec_status status = op_next(kept->op, &in);
        if (status == EXEC_DONE)
            break;
        if (status != EXEC_ROWS)
            return status;
        if (!store_add(&kept->store, in))
            return EXEC_FAIL;
    }
    if (!store_end(&kept->store))
        return EXEC_FAIL;
    op_close(kept->op);
    kept->complete = true;
    return EXEC_DONE;
}

enum exec_status
catalog_prepare(struct exec_run *run)
{
    const struct plan_root *root = run->root;
    if (run->kept == NULL)
        run->kept = ox_arena_alloc0(&run->arena, (root->kept_count + 1) * sizeof(*run->kept));
    while (run->kept_ready < root->kept_count) {
        enum exec_status status =
            keep_rows(run, &root->kept[run->kept_ready]->plan, &run->kept[run->kept_ready]);
        if (status != EXEC_DONE)
            return status;
        run->kept_ready++;
    }
    return EXEC_DONE;
}

void
catalog_kept_fini(struct exec_run *run)
{
    for (uint32_t i = 0; run->kept != NULL && i < run->root->kept_count; i++) {
        if (run->kept[i].op == NULL)
            continue;
        op_close(run->kept[i].op);
        store_fini(&run->kept[i].store);
    }
}

const struct op_ops op_scan_catalog = {
    .size = sizeof(struct scan_catalog),
    .leaf = true,
    .open = catalog_open,
    .next = catalog_next,
    .close = catalog_close,
};
