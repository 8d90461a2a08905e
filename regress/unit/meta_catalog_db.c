/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/catalog.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "meta/meta.h"
#include "meta/sqlite.h"
#include "tap.h"

static struct ox_err err;
static struct catalog_db *db;

/* First column of the first row, or the failure's name. */
static const char *
query(const char *sql)
{
    static char answer[256];
    struct catalog_stmt *stmt;
    bool row = false;
    ox_code code = catalog_stmt_prepare(db, ox_str(sql), &stmt, NULL, &err);
    if (code == OX_OK)
        code = catalog_stmt_step(stmt, &row, &err);
    if (code != OX_OK)
        snprintf(answer, sizeof(answer), "%s", ox_code_facts(code)->name);
    else if (!row)
        snprintf(answer, sizeof(answer), "no row");
    else if (catalog_column_type(stmt, 0) == CATALOG_NULL)
        snprintf(answer, sizeof(answer), "null");
    else
        snprintf(answer, sizeof(answer), "%.*s", OX_STR_ARG(catalog_column_text(stmt, 0)));
    catalog_stmt_close(stmt);
    return answer;
}

/* A feed: the numbers 1 .. n. */
struct numbers {
    struct catalog_scan scan;
    int64_t at, last;
};

static int open_scans, last_number = 3;

static ox_code
numbers_open(struct catalog_scan *scan, void *arg, struct ox_err *why)
{
    struct numbers *numbers = (void *)scan;
    numbers->last = last_number;
    if (numbers->last < 0)
        return ox_fail(why, OX_INVALID_PARAMETER_VALUE, "no negative numbers");
    open_scans++;
    return OX_OK;
}

static ox_code
numbers_next(struct catalog_scan *scan, bool *row, struct ox_err *why)
{
    struct numbers *numbers = (void *)scan;
    *row = ++numbers->at <= numbers->last;
    return OX_OK;
}

static void
numbers_column(struct catalog_scan *scan, int at, struct catalog_call *call)
{
    struct numbers *numbers = (void *)scan;
    catalog_result_int(call, numbers->at);
}

static void
numbers_close(struct catalog_scan *scan)
{
    open_scans--;
}

static const struct catalog_feed numbers_feed = {.name = "numbers", .columns = "n int8",
    .scan_len = sizeof(struct numbers), .open = numbers_open, .next = numbers_next,
    .column = numbers_column, .close = numbers_close};

static void
test_statements(void)
{
    is_str(query("SELECT cluster_id FROM catalog.meta_state"), "test-cluster", "reads the catalog");
    is_str(query("SELECT host FROM broker_listener"), "localhost", "by bare name, too");
    is_str(query("UPDATE catalog.meta_state SET applied_index = 0"), "insufficient_privilege",
        "but does not write it");
    is_str(query("DROP TABLE catalog.topic"), "insufficient_privilege", "nor drop it");
    is_str(query("ATTACH 'x' AS y"), "insufficient_privilege", "nor attach files");
    is_str(query("PRAGMA writable_schema=1"), "insufficient_privilege", "nor PRAGMA");
    is_str(query("SELECT load_extension('x')"), "insufficient_privilege", "nor load code");
    is_str(query("SELECT 1 FROM nowhere"), "undefined_table", "errors have codes: table");
    is_str(query("SELECT x FROM topic"), "undefined_column", "column");
    is_int(err.position, 8, "and a position");
    is_str(query("SELECT f(1)"), "undefined_function", "function");
    is_str(query("SELEC"), "syntax_error", "syntax");
    is_int(catalog_db_feed(db, &numbers_feed, &err), OX_OK, "a fed table");
    is_str(query("SELECT sum(n) FROM numbers"), "6", "gives its rows");
    is_str(query("SELECT sum(b.n) FROM numbers a JOIN numbers b ON b.n <= a.n"), "10",
        "in a join, too");
    last_number = -1;
    is_str(query("SELECT * FROM numbers"), "invalid_parameter_value",
        "its failure keeps its code");
    is_int(open_scans, 0, "every scan was closed");
    volatile bool cancel = true;
    catalog_db_cancel_flag(db, &cancel);
    last_number = 1000000;
    is_str(query("SELECT count(*) FROM numbers"), "canceled", "can be cancelled");
    cancel = false;
    last_number = 10;
    is_str(query("SELECT count(*) FROM numbers"), "10", "and goes on");
}

static atomic_bool answered;

static void
on_answer(struct meta_call *call)
{
    answered = true;
}

/* A reader that met a header half written takes the writer's lock for a moment. */
static void
test_busy(struct meta *meta, const struct meta_command *cmd, const char *dir)
{
    char path[64];
    struct sqlite3 *other;
    struct meta_call call = {.done = on_answer};
    snprintf(path, sizeof(path), "%s/catalog.db", dir);
    is_int(meta_sqlite_open(env_os(), path, SQLITE_OLD, &other, &err), OX_OK, "a connection");
    is_int(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK, "that locks");
    is_int(meta_propose(meta, &call, cmd, &err), OX_OK, "a command");
    usleep(100000);
    sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
    meta_sqlite_close(other);
    while (!answered)
        usleep(1000);
    is_int(call.code, OX_OK, "waits for the lock");
    is_int(meta_health(meta, &err), OX_OK, "and the node lives");
}

int
main(void)
{
    char dir[] = "/tmp/meta_catalog_XXXXXX", command[256];
    struct meta_config config = {.dir = mkdtemp(dir), .node_id = 1, .format = true,
        .cluster_id = "test-cluster"};
    struct meta *meta;
    struct meta_listener listener = {OX_STR("PLAINTEXT"), OX_STR("localhost"), 9092, 0};
    struct meta_command cmd = {.kind = META_BROKER_REGISTER, .broker_register = {.node_id = 1,
        .listeners = &listener, .listener_count = 1}};
    if (meta_open(&config, env_os(), &meta, &err) != OX_OK) {
        printf("Bail out! %s\n", err.message);
        return 1;
    }
    meta_propose_wait(meta, &cmd, NULL, &err);
    is_int(catalog_db_open(meta, &db, &err), OX_OK, "a connection opens");
    test_statements();
    catalog_db_close(db);
    test_busy(meta, &cmd, dir);
    meta_close(meta);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command) != 0 ? 1 : done();
}
