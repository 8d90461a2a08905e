/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs statements: one at a time, without blocking the loop.
 *
 *     TASK_NONE --start--> TASK_ROWS, FETCH, ANALYZE, DDL, COPY_* --end--> TASK_NONE
 *
 * session_pump() moves the task until it ends, the source parks (exec's wake()
 * pumps again) or the client is full (sql_resume() does). The end of a task is
 * session_complete() or session_fail(), called once; in a simple Query the next
 * statement follows then.
 *
 * Transactions: 'I' none, 'T' in a block that BEGIN opened, 'E' failed. A
 * statement outside a block is its own transaction; so is a simple Query of
 * several statements (implicit_block). A block may write once; its INSERT is
 * appended by COMMIT (hold.c). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/stop.h"
#include "sql/commands.h"
#include "sql/session.h"
#include "sql/syscat.h"

/* ---- Server, session ------------------------------------------------------------- */

static int64_t
wall_us(const struct env *env)
{
    return row_us_from_unix_ms(env_wall_ms(env));
}

int64_t
session_wall_us(const struct sql_session *sess)
{
    return wall_us(sess->server->env);
}

static bool
name_to_oid(void *self, int kind, struct str name, uint32_t *oid)
{
    return syscat_name_to_oid(self, kind, name, oid);
}

static bool
oid_to_name(void *self, int kind, uint32_t oid, struct text *to)
{
    return syscat_oid_to_name(self, kind, oid, to);
}

static bool
oid_to_comment(void *self, uint32_t oid, struct text *to)
{
    const struct meta_view *view = engine_view(self);
    for (uint32_t i = 0; i < view->topic_count; i++) {
        const struct meta_topic *topic = meta_view_topic_at(view, i);
        if (topic->oid == oid && topic->comment.ptr != NULL) {
            ox_text_add(to, topic->comment.ptr, topic->comment.len);
            return true;
        }
    }
    return false;
}

static struct str
oid_to_schema(void *self, uint32_t oid)
{
    for (uint32_t i = 0; i < syscat_relation_count; i++)
        if (syscat_relations[i].oid == oid)
            return ox_str(syscat_relations[i].schema);
    const struct meta_view *view = engine_view(self);
    for (uint32_t i = 0; i < view->topic_count; i++) {
        const struct meta_topic *topic = meta_view_topic_at(view, i);
        if (topic->oid == oid)
            return topic->internal ? OX_STR("oxbow_internal") : OX_STR("public");
    }
    return OX_STR_NULL;
}

static int64_t
topic_bytes(struct engine *engine, const struct meta_topic *topic)
{
    int64_t bytes = 0;
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        struct partition *part = replica_partition(engine_replica(engine), &topic->id, (int32_t)i);
        struct plog *log = part != NULL ? partition_log(part) : NULL;
        bytes += log != NULL ? (int64_t)plog_bytes(log) : 0;
    }
    return bytes;
}

static bool
oid_to_size(void *self, uint32_t oid, int64_t *bytes)
{
    const struct meta_view *view = engine_view(self);
    *bytes = 0;
    bool found = oid == 0;
    for (uint32_t i = 0; i < view->topic_count; i++) {
        const struct meta_topic *topic = meta_view_topic_at(view, i);
        if (oid == 0 || topic->oid == oid)
            *bytes += topic_bytes(self, topic);
        found |= topic->oid == oid;
    }
    for (uint32_t i = 0; i < syscat_relation_count && !found; i++)
        found = syscat_relations[i].oid == oid;
    return found;
}

static bool
oid_to_definition(void *self, uint32_t oid, struct text *to)
{
    (void)self;
    for (uint32_t i = 0; i < syscat_relation_count; i++)
        if (syscat_relations[i].oid == oid) {
            ox_text_adds(to, syscat_relations[i].sql);
            return true;
        }
    return false;
}

ox_code
sql_server_new(const struct sql_server_config *config, const struct env *env,
    struct sql_server **out, struct ox_err *err)
{
    (void)err;
    struct sql_server *server = ox_calloc(1, sizeof(*server));
    server->config = *config;
    server->env = env;
    server->started_us = wall_us(env);
    server->names = (struct row_names){name_to_oid, oid_to_name, oid_to_comment,
        oid_to_schema, oid_to_size, oid_to_definition, config->engine};
    snprintf(server->version, sizeof(server->version), "PostgreSQL %s",
        config->version != NULL ? config->version : "16.3");
    ox_lock_init(&server->lock, LOCK_CATALOG_POOL);
    *out = server;
    return OX_OK;
}

void
sql_server_free(struct sql_server *server)
{
    if (server == NULL)
        return;
    for (int i = 0; i < server->idle_count; i++)
        catalog_db_close(server->idle[i]);
    ox_lock_fini(&server->lock);
    ox_free(server);
}

static char *
dup_str(struct str s)
{
    char *copy = ox_calloc(1, s.len + 1);
    memcpy(copy, s.len ? s.ptr : "", s.len);
    return copy;
}

ox_code
sql_session_new(const struct sql_session_config *config, struct sql_session **out,
    struct ox_err *err)
{
    struct sql_session *sess = ox_calloc(1, sizeof(*sess));
    memset(err, 0, sizeof(*err));
    sess->config = *config;
    sess->server = config->server;
    sess->client = config->client;
    sess->loop = config->loop;
    sess->status = 'I';
    sess->user = dup_str(config->user);
    sess->database = dup_str(config->database);
    sess->started_us = session_wall_us(sess);
    ox_map_init(&sess->statements);
    ox_map_init(&sess->portals);
    sess->info = (struct session_info){.user = sess->user, .session_user = sess->user,
        .database = "oxbow", .version = config->server->version,
        .client_address = config->engine->host, .backend_pid = config->pid,
        .started_us = sess->started_us, .server_started_us = config->server->started_us};
    ox_code code = settings_init(sess, config, err);
    session_facts_init(sess);
    sess->settings.format.names = &sess->server->names;
    if (code != OX_OK) {
        sql_session_free(sess);
        return code;
    }
    *out = sess;
    return OX_OK;
}

static void
let_go(struct sql_session *sess)
{
    loop_timer_stop(&sess->timer);
    ddl_forget(sess);
    copy_forget(sess);
    hold_forget(sess);
    sess->task = TASK_NONE;
}

void
sql_session_free(struct sql_session *sess)
{
    if (sess == NULL)
        return;
    sess->config.engine->activity = NULL;
    let_go(sess);
    portal_drop(sess, sess->own);
    portal_drop_transaction(sess, false, true);
    statement_drop_all(sess);
    exec_snapshot_put(sess->snapshot);
    if (sess->in_query)
        ox_arena_fini(&sess->query_arena);
    settings_fini(sess);
    session_savepoints_keep(sess, 0);
    ox_free(sess->savepoints);
    ox_map_fini(&sess->statements);
    ox_map_fini(&sess->portals);
    ox_free(sess->user);
    ox_free(sess->database);
    ox_free(sess->activity.query);
    ox_free(sess);
}

void
sql_session_report(struct sql_session *sess)
{
    settings_report(sess);
}

const struct row_format *
sql_session_format(const struct sql_session *sess)
{
    return &sess->settings.format;
}

bool
sql_busy(const struct sql_session *sess)
{
    return sess->task != TASK_NONE || sess->in_query;
}

void
session_notice(struct sql_session *sess, const char *severity, ox_code code, const char *fmt, ...)
{
    const char *least = sess->settings.values[SET_CLIENT_MIN_MESSAGES];
    if (strcmp(least, "error") == 0 ||
        (strcmp(least, "warning") == 0 && strcmp(severity, "NOTICE") == 0))
        return;
    struct ox_err err = {.code = code};
    va_list args;
    va_start(args, fmt);
    vsnprintf(err.message, sizeof(err.message), fmt, args);
    va_end(args);
    sess->client->notice(sess->client, severity, &err);
}

/* ---- Transactions -------------------------------------------------------------------- */

ox_code
session_begin(struct sql_session *sess, bool explicit_block)
{
    if (sess->now_us == 0) {
        sess->now_us = session_wall_us(sess);
        sess->settings.format.now_us = sess->now_us;
    }
    if (explicit_block) {
        sess->explicit_block = true;
        sess->status = 'T';
    }
    return OX_OK;
}

/* All but the oldest so many go. */
void
session_savepoints_keep(struct sql_session *sess, size_t count)
{
    while (sess->savepoint_count > count)
        ox_free(sess->savepoints[--sess->savepoint_count].name);
}

/* The transaction is over: what lived in it goes. */
void
session_end(struct sql_session *sess, bool commit)
{
    if (sess->explicit_block || sess->implicit_block)
        portal_drop_transaction(sess, commit, false);
    sess->explicit_block = false;
    sess->implicit_block = false;
    sess->status = 'I';
    sess->writes = 0;
    hold_forget(sess);
    sess->hold_lost = false;
    sess->now_us = 0;
    exec_snapshot_put(sess->snapshot);
    sess->snapshot = NULL;
    session_savepoints_keep(sess, 0);
    settings_end(sess, commit);
}

ox_code
session_check_end(struct sql_session *sess, const struct ast_stmt *stmt, struct ox_err *err)
{
    if (!sess->explicit_block && stmt->transaction.chain)
        return ox_fail(err, OX_NO_ACTIVE_TRANSACTION,
            "%s AND CHAIN can only be used in transaction blocks",
            stmt->transaction.kind == AST_COMMIT ? "COMMIT" : "ROLLBACK");
    if (!sess->explicit_block)
        session_notice(sess, "WARNING", OX_NO_ACTIVE_TRANSACTION,
            "there is no transaction in progress");
    return OX_OK;
}

void
session_end_block(struct sql_session *sess, bool commit, bool chain)
{
    static const enum setting_id modes[] = {SET_TRANSACTION_ISOLATION, SET_TRANSACTION_READ_ONLY};
    char values[ox_count(modes)][32];
    bool same = sess->status != 'E';
    for (size_t i = 0; i < ox_count(modes); i++)
        snprintf(values[i], sizeof(values[i]), "%s", sess->settings.values[modes[i]]);
    session_end(sess, commit);
    if (!chain)
        return;
    session_begin(sess, true);
    for (size_t i = 0; same && i < ox_count(modes); i++)
        settings_set(sess, ox_str(i == 0 ? "transaction_isolation" : "transaction_read_only"),
            values[i], false, NULL);
}

static bool
in_block(const struct sql_session *sess)
{
    return sess->explicit_block || sess->implicit_block;
}

void
sql_fail_transaction(struct sql_session *sess)
{
    if (sess->explicit_block)
        sess->status = 'E';
    else
        session_end(sess, false);
}

int64_t
sql_idle_limit_ms(const struct sql_session *sess, ox_code *code)
{
    bool block = sess->status != 'I';
    *code = block ? OX_IDLE_IN_TRANSACTION : OX_IDLE_TIMEOUT;
    return block ? sess->settings.idle_block_ms : sess->settings.idle_session_ms;
}

char
sql_sync(struct sql_session *sess)
{
    if (!sess->explicit_block) {
        portal_drop_transaction(sess, true, false);
        session_end(sess, true);
    }
    session_idle(sess);
    return sess->status;
}

/* REPEATABLE READ and SERIALIZABLE see one state for the whole block. */
static struct exec_snapshot *
snapshot_of(struct sql_session *sess)
{
    const char *level = sess->settings.values[SET_TRANSACTION_ISOLATION];
    if (!sess->explicit_block || strncmp(level, "read", 4) == 0)
        return NULL;
    if (sess->snapshot == NULL)
        sess->snapshot = exec_snapshot_new();
    return sess->snapshot;
}

/* ---- Runs ------------------------------------------------------------------------------ */

static void
on_wake(void *arg)
{
    struct portal *portal = arg;
    struct sql_session *sess = portal->sess;
    if (sess->portal != portal || sess->task == TASK_NONE)
        return;
    sess->parked = false;
    session_pump(sess);
}

static void
on_notice(void *arg, const char *message)
{
    struct portal *portal = arg;
    session_notice(portal->sess, "NOTICE", OX_OK, "%s", message);
}

/* Connections on the catalog are slow to make and kept. On: pool threads. */
static ox_code
on_catalog_take(void *arg, struct catalog_db **out, struct ox_err *err)
{
    struct sql_server *server = arg;
    *out = NULL;
    ox_lock(&server->lock);
    if (server->idle_count > 0)
        *out = server->idle[--server->idle_count];
    ox_unlock(&server->lock);
    return *out != NULL ? OX_OK : syscat_connect(server->config.engine, out, err);
}

static void
on_catalog_give(void *arg, struct catalog_db *db)
{
    struct sql_server *server = arg;
    ox_lock(&server->lock);
    bool keep = server->idle_count < CATALOG_IDLE_MAX;
    if (keep)
        server->idle[server->idle_count++] = db;
    ox_unlock(&server->lock);
    if (!keep)
        catalog_db_close(db);
}

void
session_config_run(struct portal *portal, bool analyze, struct exec_config *out)
{
    struct sql_session *sess = portal->sess;
    const struct settings *set = &sess->settings;
    *out = (struct exec_config){.loop = sess->loop, .env = sess->server->env,
        .session = sess->config.engine, .params = portal->params,
        .param_types = portal->param_types,
        .param_count = portal->params != NULL ? portal->param_count : 0,
        .format = &set->format, .now_us = sess->now_us, .work_mem = (size_t)set->work_mem,
        .temp_dir = sess->server->config.temp_dir,
        .statement_timeout_ms = portal->bound.live || portal->cursor ? 0
                                                                     : set->statement_timeout_ms,
        .row_limit = (uint64_t)set->row_limit,
        .scan_bytes_limit = (uint64_t)set->scan_bytes_limit,
        .read_uncommitted = set->read_uncommitted, .acks = set->acks, .analyze = analyze,
        .snapshot = snapshot_of(sess), .catalog_take = on_catalog_take,
        .catalog_give = on_catalog_give, .catalog_arg = sess->server, .wake = on_wake,
        .notice = on_notice, .arg = portal, .session_info = &sess->info,
        .stop = sess->config.stop, .stop_soft = portal->cursor && portal->bound.live};
}

/* ---- Ends ------------------------------------------------------------------------------- */

static void query_loop(struct sql_session *sess);

static void
query_end(struct sql_session *sess)
{
    sess->in_query = false;
    ox_arena_fini(&sess->query_arena);
    if (!sess->explicit_block)
        session_end(sess, true);
    session_idle(sess);
    sess->client->ready(sess->client, sess->status);
}

static void
task_end(struct sql_session *sess)
{
    loop_timer_stop(&sess->timer);
    if (sess->task == TASK_FETCH && sess->portal != NULL && sess->portal->run != NULL)
        exec_run_time_limit(sess->portal->run, 0);
    sess->task = TASK_NONE;
    sess->parked = sess->full = false;
    sess->giving = NULL;
    sess->portal = NULL;
    /* A Query's portal is its own; an Execute's stays until closed. */
    portal_drop(sess, sess->own);
    sess->own = NULL;
}

/* The last statement of a Query commits what an earlier one wrote, before it is
 * answered: its answer tells whether that went well. */
static bool
commit_query(struct sql_session *sess, const char *tag)
{
    struct ox_err err = {0};
    if (!sess->in_query || sess->explicit_block || sess->held == NULL ||
        sess->query_next < sess->query_parse.stmts.count)
        return false;
    ox_code code = portal_new(sess, OX_STR_NULL, NULL, NULL, &sess->own, &err);
    if (code == OX_OK)
        code = hold_commit(sess, sess->own, false, tag, &err);
    if (code != OX_OK)
        session_fail(sess, &err);
    return true;
}

void
session_complete(struct sql_session *sess, const char *tag)
{
    char copy[64];
    snprintf(copy, sizeof(copy), "%s", tag);
    task_end(sess);
    if (commit_query(sess, copy))
        return;
    if (!in_block(sess) && !sess->extended && sess->status == 'I')
        session_end(sess, true);
    sess->client->complete(sess->client, copy);
    if (sess->in_query && !sess->in_loop)
        query_loop(sess);
}

void
session_fail(struct sql_session *sess, const struct ox_err *err)
{
    struct ox_err copy = *err;
    bool query = sess->in_query;
    /* Who waits for a cancel need not wait until a statement's memory is let go. */
    sess->client->failed(sess->client, &copy);
    if (copy.code == OX_CANCELED)
        sess->client->flush(sess->client);
    if (sess->task == TASK_HOLD) {
        hold_forget(sess);
        sess->hold_lost = true;
    }
    task_end(sess);
    sess->cancel_code = OX_OK;
    sql_fail_transaction(sess);
    if (!query)
        return;
    sess->query_next = sess->query_parse.stmts.count;
    if (!sess->in_loop)
        query_loop(sess);
}

/* ---- Rows ---------------------------------------------------------------------------------- */

static void
complete_rows(struct sql_session *sess)
{
    struct portal *portal = sess->portal;
    char tag[64];
    if (sess->task == TASK_FETCH)
        snprintf(tag, sizeof(tag), "%s %llu", sess->fetch->move ? "MOVE" : "FETCH",
            (unsigned long long)sess->sent);
    else if (portal->ast != NULL && portal->ast->kind == AST_INSERT)
        snprintf(tag, sizeof(tag), "INSERT 0 %llu",
            (unsigned long long)(sess->task == TASK_HOLD   ? hold_count(sess)
                                 : portal->run != NULL ? exec_run_rows(portal->run)
                                                       : 0));
    else if (portal->tag != NULL &&
             (strcmp(portal->tag, "SELECT") == 0 || strcmp(portal->tag, "SUBSCRIBE") == 0))
        snprintf(tag, sizeof(tag), "%s %llu", portal->tag, (unsigned long long)sess->sent);
    else
        snprintf(tag, sizeof(tag), "%s", portal->tag != NULL ? portal->tag : "SELECT");
    session_complete(sess, tag);
}

static void
rows_done(struct sql_session *sess)
{
    sess->portal->state = PORTAL_DONE;
    complete_rows(sess);
}

static void
rows_failed(struct sql_session *sess)
{
    struct portal *portal = sess->portal;
    struct ox_err err = *exec_run_err(portal->run);
    if (err.code == OX_CANCELED && sess->cancel_code != OX_OK)
        err.code = sess->cancel_code;
    bool canceled_fetch = sess->task == TASK_FETCH && err.code == OX_CANCELED && portal->live;
    if (!canceled_fetch)
        portal->state = PORTAL_FAILED;
    session_fail(sess, &err);
}

/* Whether a source that waits ends this FETCH or Execute already. */
static bool
wait_ends(struct sql_session *sess)
{
    uint64_t now = loop_now_ns(sess->loop);
    if (sess->task == TASK_FETCH && sess->fetch_live)
        return sess->sent > 0 || now >= sess->fetch_deadline_ns;
    if (sess->task == TASK_ROWS && sess->max_rows > 0 && sess->sent > 0 &&
        sess->settings.linger_ms >= 0) {
        if (sess->fetch_deadline_ns == UINT64_MAX)
            sess->fetch_deadline_ns = now + (uint64_t)sess->settings.linger_ms * 1000000;
        return now >= sess->fetch_deadline_ns;
    }
    return false;
}

static void
suspend(struct sql_session *sess)
{
    if (sess->task == TASK_FETCH) {
        complete_rows(sess);
        return;
    }
    exec_run_time_limit(sess->portal->run, 0);
    task_end(sess);
    sess->client->suspended(sess->client);
}

static void
rows_parked(struct sql_session *sess)
{
    if (wait_ends(sess)) {
        suspend(sess);
        return;
    }
    sess->parked = true;
    sess->client->flush(sess->client);
    if (sess->fetch_deadline_ns != UINT64_MAX)
        exec_run_wake_at(sess->portal->run, sess->fetch_deadline_ns);
}

static void
send_rows(struct sql_session *sess, const struct batch *batch, uint32_t at)
{
    const struct sql_result *result = sess->task == TASK_FETCH ? &sess->fetcher->result
                                                               : &sess->portal->result;
    sess->giving = NULL;
    if (sess->client->rows(sess->client, result, batch, &at))
        return;
    sess->full = true;
    if (at < batch->sel_count) {
        sess->giving = batch;
        sess->giving_at = at;
    }
}

static void
give_rows(struct sql_session *sess, struct batch *batch)
{
    struct portal *portal = sess->portal;
    uint64_t count = batch->sel != NULL ? batch->sel_count : batch->count;
    portal->rows += count;
    sess->sent += count;
    bool quiet = sess->task == TASK_ANALYZE || (sess->task == TASK_FETCH && sess->fetch->move);
    if (!quiet && count > 0)
        send_rows(sess, batch, 0);
}

static void analyze_done(struct sql_session *sess);

static void
hold_batch(struct sql_session *sess, const struct batch *batch)
{
    struct ox_err err = {0};
    if (hold_rows(sess, batch, &err) == OX_OK)
        return;
    sess->portal->state = PORTAL_FAILED;
    session_fail(sess, &err);
}

static void
step_rows(struct sql_session *sess)
{
    struct portal *portal = sess->portal;
    if (sess->giving != NULL && (portal->run == NULL || !exec_run_stopped(portal->run))) {
        send_rows(sess, sess->giving, sess->giving_at);
        return;
    }
    sess->giving = NULL;
    if (portal->state == PORTAL_DONE) {
        complete_rows(sess);
        return;
    }
    if (sess->max_rows > 0 && sess->sent >= sess->max_rows) {
        suspend(sess);
        return;
    }
    struct batch *batch;
    uint64_t want = sess->max_rows > 0 ? sess->max_rows - sess->sent : 0;
    switch (exec_run_next(portal->run, want, &batch)) {
    case EXEC_ROWS:
        if (sess->task == TASK_HOLD)
            hold_batch(sess, batch);
        else
            give_rows(sess, batch);
        break;
    case EXEC_DONE:
        if (sess->task == TASK_ANALYZE)
            analyze_done(sess);
        else
            rows_done(sess);
        break;
    case EXEC_PARK:
        rows_parked(sess);
        break;
    case EXEC_FAIL:
        rows_failed(sess);
        break;
    }
}

static void pump(struct sql_session *sess);

void
session_pump(struct sql_session *sess)
{
    if (sess->pumping)
        return;
    struct ox_stop *before = ox_stop_enter(sess->config.stop);
    if (sess->task == TASK_COPY_OUT || sess->task == TASK_COPY_IN)
        copy_pump(sess); /* goes as far as it can by itself */
    else
        pump(sess);
    ox_stop_leave(before);
}

static void
pump(struct sql_session *sess)
{
    sess->pumping = true;
    while (sess->task != TASK_NONE && !sess->full && !sess->parked) {
        if (sess->task == TASK_ROWS || sess->task == TASK_FETCH || sess->task == TASK_ANALYZE ||
            sess->task == TASK_HOLD)
            step_rows(sess);
        else if (sess->task == TASK_COMMIT)
            hold_step(sess);
        else
            break;
    }
    sess->pumping = false;
}

static void
run_rows(struct sql_session *sess, struct portal *portal, enum task_kind task, uint64_t max_rows)
{
    sess->portal = portal;
    sess->task = task;
    sess->max_rows = max_rows;
    sess->sent = 0;
    sess->parked = sess->full = false;
    sess->fetch_deadline_ns = UINT64_MAX;
    session_pump(sess);
}

/* ---- EXPLAIN ANALYZE ------------------------------------------------------------------------ */

static void
analyze_done(struct sql_session *sess)
{
    struct portal *portal = sess->portal;
    const int16_t *formats = portal->result.formats;
    utility_explain(portal, portal->run);
    exec_run_free(portal->run);
    portal->run = NULL;
    portal->result.formats = formats;
    portal->tag = "EXPLAIN";
    struct ox_err err;
    if (portal_start(portal, false, &err) != OX_OK) {
        session_fail(sess, &err);
        return;
    }
    sess->task = TASK_ROWS;
    sess->sent = 0;
}

/* ---- FETCH -------------------- */

static ox_code
fetch_count(const struct portal *own, uint64_t *count, struct ox_err *err)
{
    const struct ast_fetch *fetch = own->ast->fetch;
    int64_t n = 1;
    if (fetch->direction == '*') {
        *count = 0;
        return OX_OK;
    }
    if (fetch->count != NULL && !ox_str_to_i64(fetch->count->text, &n)) {
        ox_fail(err, OX_SYNTAX_ERROR, "syntax error at or near \"%.*s\"",
            OX_STR_ARG(fetch->count->text));
        err->position = ast_position(portal_source(own), fetch->count->pos);
        return err->code;
    }
    if (fetch->direction != 'F' || n < 0)
        return ox_fail(err, OX_OBJECT_NOT_IN_STATE, "cursor can only scan forward");
    *count = (uint64_t)n;
    return OX_OK;
}

static ox_code
fetch_options(struct sql_session *sess, const struct ast_fetch *fetch, struct ox_err *err)
{
    for (size_t i = 0; fetch->options != NULL && i < fetch->options->count; i++) {
        const struct ast_option *option = ast_at(fetch->options, i, struct ast_option);
        struct bind_config config;
        struct datum value;
        struct arena arena;
        if (!ox_str_is(option->name, "timeout") || option->value == NULL)
            return ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "FETCH has no option \"%.*s\"",
                OX_STR_ARG(option->name));
        ox_arena_init(&arena);
        bind_config_of(sess, OX_STR(""), NULL, 0, &config);
        ox_code code = bind_constant(&config, option->value, TYPE(TYPE_INTERVAL), &arena, &value,
            err);
        struct interval interval = {0};
        if (code == OX_OK && !value.null)
            interval = datum_interval(&value);
        ox_arena_fini(&arena);
        if (code != OX_OK)
            return code;
        sess->fetch_deadline_ns =
            loop_now_ns(sess->loop) + (uint64_t)interval_wait_us(&interval) * 1000;
    }
    return OX_OK;
}

/* Since the FETCH was bound, its cursor's name may have gone to another. */
static bool
same_columns(const struct sql_result *a, const struct sql_result *b)
{
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = type_same(a->columns[i].type, b->columns[i].type);
    return same;
}

/* statement_timeout is of each FETCH and Execute: what a client does between them is its own. */
static void
limit_time(struct portal *portal)
{
    if (!portal->bound.live && portal->run != NULL)
        exec_run_time_limit(portal->run, portal->sess->settings.statement_timeout_ms);
}

static ox_code
start_fetch(struct sql_session *sess, struct portal *own, struct ox_err *err)
{
    const struct ast_fetch *fetch = own->ast->fetch;
    struct portal *cursor;
    uint64_t count = 0;
    memset(err, 0, sizeof(*err));
    ox_code code = portal_cursor(sess, fetch->cursor, &cursor, err);
    if (code == OX_OK && own->has_result && !same_columns(&own->result, &cursor->result))
        code = ox_fail_plain(err, OX_CACHED_PLAN_CHANGED);
    if (code == OX_OK)
        code = fetch_count(own, &count, err);
    if (code != OX_OK)
        return code;
    if (cursor->state == PORTAL_READY && cursor->run == NULL)
        code = portal_start(cursor, false, err);
    if (code != OX_OK)
        return code;
    sess->fetch = fetch;
    sess->fetcher = own;
    sess->fetch_live = cursor->live;
    sess->fetch_deadline_ns = UINT64_MAX;
    code = fetch_options(sess, fetch, err);
    if (code != OX_OK)
        return code;
    if (fetch->direction == 'F' && count == 0) {
        char tag[16];
        snprintf(tag, sizeof(tag), "%s 0", fetch->move ? "MOVE" : "FETCH");
        session_complete(sess, tag);
        return OX_OK;
    }
    uint64_t deadline = sess->fetch_deadline_ns;
    limit_time(cursor);
    sess->portal = cursor;
    sess->task = TASK_FETCH;
    sess->max_rows = count;
    sess->sent = 0;
    sess->parked = sess->full = false;
    sess->fetch_deadline_ns = deadline;
    session_pump(sess);
    return OX_OK;
}

/* ---- Start of a statement -------------------- */

static ox_code
check_write(struct sql_session *sess, const char *command, struct ox_err *err)
{
    if (sess->read_only)
        return ox_fail(err, OX_READ_ONLY_TRANSACTION,
            "cannot execute %s in a read-only transaction", command);
    if (in_block(sess) && sess->writes > 0) {
        ox_fail(err, OX_FEATURE_NOT_SUPPORTED,
            "a transaction may write once: transactions over several statements are not served "
            "yet");
        return ox_hint(err, "Write all rows with one INSERT, or COMMIT between them.");
    }
    sess->writes++;
    return OX_OK;
}

static ox_code
refused(const struct ast_stmt *ast, struct ox_err *err)
{
    const char *hint = ast->command != NULL ? ast->command->hint : NULL;
    ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "%.*s is not served yet", OX_STR_ARG(ast->words));
    return ox_hint(err, "%s", hint != NULL ? hint : "Served are SELECT, SUBSCRIBE, INSERT, COPY, "
                                                    "EXPLAIN and statements on topics.");
}

static ox_code
start_rows(struct sql_session *sess, struct portal *portal, uint64_t max_rows, struct ox_err *err)
{
    bool again = portal->state == PORTAL_DONE && portal->writes && !portal->has_result;
    if (portal->state == PORTAL_FAILED || again)
        return ox_fail(err, OX_OBJECT_NOT_IN_STATE, "portal cannot be run");
    if (portal->state == PORTAL_ACTIVE)
        limit_time(portal);
    bool analyze = portal->ast->kind == AST_EXPLAIN && portal->ast->explain->analyze &&
                   portal->run == NULL && portal->state == PORTAL_READY;
    if (portal->writes && portal->run == NULL && portal->state == PORTAL_READY) {
        ox_code code = check_write(sess, "INSERT", err);
        if (code != OX_OK)
            return code;
    }
    bool hold = portal->state == PORTAL_READY && hold_wanted(sess, portal);
    if (portal->state == PORTAL_READY) {
        ox_code code = hold ? hold_start(sess, portal, err) : portal_start(portal, analyze, err);
        if (code != OX_OK)
            return code;
    }
    run_rows(sess, portal, hold ? TASK_HOLD : analyze ? TASK_ANALYZE : TASK_ROWS,
        hold ? 0 : max_rows);
    return OX_OK;
}

static bool
allowed_when_failed(const struct ast_stmt *ast)
{
    return ast->kind == AST_TRANSACTION &&
           (ast->transaction.kind == AST_COMMIT || ast->transaction.kind == AST_ROLLBACK ||
               ast->transaction.kind == AST_ROLLBACK_TO);
}

static ox_code
start_copy(struct sql_session *sess, struct portal *portal, struct ox_err *err)
{
    if (portal->state != PORTAL_READY) /* once; only rows are gone on with */
        return ox_fail(err, OX_OBJECT_NOT_IN_STATE, "portal cannot be run");
    ox_code code = portal->ast->copy->from ? check_write(sess, "COPY FROM", err) : OX_OK;
    return code == OX_OK ? copy_start(sess, portal, err) : code;
}

static ox_code
start_definition(struct sql_session *sess, const struct ast_stmt *ast, struct ox_err *err)
{
    if (sess->read_only)
        return ox_fail(err, OX_READ_ONLY_TRANSACTION,
            "cannot execute %s in a read-only transaction",
            ast->kind == AST_DELETE     ? "DELETE"
            : ast->kind == AST_TRUNCATE ? "TRUNCATE TABLE"
                                        : "a definition");
    sess->task = TASK_DDL;
    return ddl_start(sess, ast, err);
}

static ox_code
start_commit(struct sql_session *sess, struct portal *portal, struct ox_err *err)
{
    ox_code code = session_check_end(sess, portal->ast, err);
    if (code != OX_OK)
        return code;
    return hold_commit(sess, portal, portal->ast->transaction.chain, "COMMIT", err);
}

static ox_code
start(struct sql_session *sess, struct portal *portal, uint64_t max_rows, struct ox_err *err)
{
    const struct ast_stmt *ast = portal->ast;
    memset(err, 0, sizeof(*err));
    if (sess->status == 'E' && !allowed_when_failed(ast))
        return ox_fail_plain(err, OX_IN_FAILED_TRANSACTION);
    session_begin(sess, false);
    ox_code code = portal_plan(portal, err);
    if (code != OX_OK)
        return code;
    ast = portal->ast;
    if (ast == NULL)
        return session_complete(sess, ""), OX_OK;
    if (sess->in_query && portal->has_result && ast->kind != AST_COPY)
        sess->client->columns(sess->client, &portal->result);
    const char *tag = NULL;
    if (sess->held != NULL && sess->status != 'E' && ast->kind == AST_TRANSACTION &&
        ast->transaction.kind == AST_COMMIT)
        return start_commit(sess, portal, err);
    switch (ast->kind) {
    case AST_SELECT_STMT:
    case AST_SUBSCRIBE_STMT:
    case AST_INSERT:
    case AST_EXPLAIN:
    case AST_SHOW:
    case AST_DESCRIBE:
        return start_rows(sess, portal, max_rows, err);
    case AST_FETCH:
        return start_fetch(sess, portal, err);
    case AST_COPY:
        return start_copy(sess, portal, err);
    case AST_CREATE_TOPIC:
    case AST_ALTER_TOPIC:
    case AST_DROP_TOPIC:
    case AST_TRUNCATE:
    case AST_DELETE:
    case AST_COMMENT:
    case AST_ALTER_SYSTEM:
    case AST_CREATE_ROLE:
    case AST_ALTER_ROLE:
    case AST_DROP_ROLE:
    case AST_ALTER_QUOTA:
    case AST_GRANT:
    case AST_REVOKE:
        return start_definition(sess, ast, err);
    case AST_REFUSED:
        return refused(ast, err);
    default:
        code = utility_run(portal, &tag, err);
        if (code == OX_OK)
            session_complete(sess, tag);
        return code;
    }
}

/* ---- Simple protocol -------------------- */

static void
query_one(struct sql_session *sess)
{
    const struct ast_stmt *ast = ast_at(&sess->query_parse.stmts, sess->query_next++,
        struct ast_stmt);
    struct ox_err err = {0};
    struct portal *portal;
    /* After a COMMIT inside the Query its rest is the next transaction. */
    sess->implicit_block |= sess->query_parse.stmts.count > 1 && !sess->explicit_block;
    ox_code code = OX_OK;
    if (ast->params > 0 && ast->kind != AST_PREPARE) {
        code = ox_fail(&err, OX_UNDEFINED_PARAMETER, "there is no parameter $%.*s",
            OX_STR_ARG(ast->first_param.text));
        err.position = ast_position(sess->query_parse.text, ast->first_param.pos);
    }
    if (code == OX_OK)
        code = portal_new(sess, OX_STR_NULL, NULL, ast, &portal, &err);
    if (code == OX_OK) {
        sess->own = portal;
        sess->extended = false;
        code = start(sess, portal, 0, &err);
    }
    if (code != OX_OK)
        session_fail(sess, &err);
}

static void
query_loop(struct sql_session *sess)
{
    sess->in_loop = true;
    while (sess->in_query && sess->task == TASK_NONE &&
           sess->query_next < sess->query_parse.stmts.count)
        query_one(sess);
    sess->in_loop = false;
    if (sess->in_query && sess->task == TASK_NONE)
        query_end(sess);
}

/* statement_timeout, for what computes before there is a run. */
void
session_time_limit(struct sql_session *sess)
{
    struct ox_stop *stop = sess->config.stop;
    int64_t ms = sess->settings.statement_timeout_ms;
    if (stop != NULL)
        stop->deadline_ns = ms > 0 ? env_mono_ns(sess->server->env) + (uint64_t)ms * 1000000 : 0;
}

void
sql_query(struct sql_session *sess, struct str text)
{
    struct ox_err err = {0};
    ox_assert(!sql_busy(sess));
    session_time_limit(sess);
    ox_arena_init(&sess->query_arena);
    sess->in_query = true;
    session_active(sess, text);
    sess->query_next = 0;
    sess->extended = false;
    sql_close_statement(sess, OX_STR(""));
    ox_code code = sql_parse(text, &sess->query_arena, &sess->query_parse, &err);
    if (code == OX_OK && sess->query_parse.stmts.count > 0)
        sql_close_portal(sess, OX_STR(""));
    if (code != OX_OK) {
        sess->query_parse.stmts.count = 0;
        sess->in_loop = true;
        session_fail(sess, &err);
        sess->in_loop = false;
    } else if (sess->query_parse.stmts.count == 0) {
        sess->client->empty(sess->client);
    }
    query_loop(sess);
}

/* ---- Extended protocol -------------------- */

void
sql_execute(struct sql_session *sess, struct str name, uint64_t max_rows)
{
    struct ox_err err = {0};
    struct portal *portal = portal_find(sess, name);
    ox_assert(!sql_busy(sess));
    session_time_limit(sess);
    sess->extended = true;
    if (portal == NULL) {
        ox_fail(&err, OX_UNDEFINED_CURSOR, "portal \"%.*s\" does not exist", OX_STR_ARG(name));
        session_fail(sess, &err);
        return;
    }
    if (portal->ast == NULL) {
        sess->client->empty(sess->client);
        return;
    }
    session_active(sess, portal_source(portal));
    ox_code code = start(sess, portal, max_rows, &err);
    if (code != OX_OK)
        session_fail(sess, &err);
}

/* ---- While something runs -------------------- */

void
sql_resume(struct sql_session *sess)
{
    sess->full = false;
    session_pump(sess);
}

void
sql_cancel(struct sql_session *sess, ox_code code)
{
    if (sess->task == TASK_NONE || sess->task == TASK_DDL || sess->task == TASK_COMMIT)
        return;
    sess->cancel_code = code;
    if (sess->portal != NULL && sess->portal->run != NULL)
        exec_run_cancel(sess->portal->run, code, sess->task != TASK_FETCH || !sess->portal->live);
    if (sess->task == TASK_COPY_IN) {
        struct ox_err err = {0};
        ox_fail_plain(&err, code);
        copy_forget(sess);
        session_fail(sess, &err);
        return;
    }
    if (sess->full) {
        sess->full = false;
        session_pump(sess);
    }
}
