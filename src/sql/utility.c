/* SPDX-License-Identifier: Apache-2.0
 *
 * Statements that are done at once: settings, transactions, prepared statements,
 * cursors; and those whose result is a few lines of text: SHOW, EXPLAIN. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "sql/session.h"

/* ---- Values of SET and of options -------------------------------------------------- */

ox_code
utility_text(const struct ast_expr *value, struct text *to)
{
    switch (value->kind) {
    case AST_BOOL:
        ox_text_adds(to, value->flag ? "on" : "off");
        return OX_OK;
    case AST_INTEGER:
    case AST_NUMBER:
    case AST_STRING:
        ox_text_add(to, value->text.ptr, value->text.len);
        return OX_OK;
    case AST_COLUMN:
        ox_text_add(to, value->name->parts[0].ptr, value->name->parts[0].len);
        for (uint32_t i = 1; i < value->name->count; i++)
            ox_text_addf(to, ".%.*s", OX_STR_ARG(value->name->parts[i]));
        return OX_OK;
    case AST_CAST:
        return utility_text(value->a, to);
    default:
        return OX_INVALID_PARAMETER_VALUE;
    }
}

static ox_code
run_set(struct sql_session *sess, const struct ast_stmt *stmt, struct ox_err *err)
{
    if (stmt->set.values == NULL)
        return settings_set(sess, stmt->set.name, NULL, stmt->set.local, err);
    struct text text;
    ox_text_init(&text, NULL);
    ox_code code = OX_OK;
    for (size_t i = 0; i < stmt->set.values->count && code == OX_OK; i++) {
        if (i > 0)
            ox_text_adds(&text, ", ");
        code = utility_text(ast_at(stmt->set.values, i, struct ast_expr), &text);
    }
    if (code != OX_OK)
        ox_fail(err, code, "invalid value for parameter \"%.*s\"", OX_STR_ARG(stmt->set.name));
    else
        code = settings_set(sess, stmt->set.name, text.ptr != NULL ? text.ptr : "",
            stmt->set.local, err);
    ox_text_fini(&text);
    return code;
}

static ox_code
run_reset(struct sql_session *sess, const struct ast_stmt *stmt, struct ox_err *err)
{
    if (!stmt->set.all)
        return settings_set(sess, stmt->set.name, NULL, false, err);
    settings_reset_all(sess);
    return OX_OK;
}

/* ---- Transactions -------------------------------------------------------------------- */

static ox_code
set_modes(struct sql_session *sess, const struct ast_list *modes, bool session, struct ox_err *err)
{
    for (size_t i = 0; modes != NULL && i < modes->count; i++) {
        const struct ast_option *mode = ast_at(modes, i, struct ast_option);
        char name[64], value[64];
        snprintf(name, sizeof(name), "%s%.*s", session ? "default_" : "", OX_STR_ARG(mode->name));
        snprintf(value, sizeof(value), "%.*s", OX_STR_ARG(mode->value->text));
        ox_code code = settings_set(sess, ox_str(name), value, false, err);
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

static ox_code
run_begin(struct sql_session *sess, const struct ast_stmt *stmt, struct ox_err *err)
{
    if (sess->explicit_block)
        session_notice(sess, "WARNING", OX_ACTIVE_TRANSACTION,
            "there is already a transaction in progress");
    session_begin(sess, true);
    return set_modes(sess, stmt->transaction.modes, false, err);
}

static ox_code
run_end(struct sql_session *sess, const struct ast_stmt *stmt, const char **tag,
    struct ox_err *err)
{
    if (session_check_end(sess, stmt, err) != OX_OK)
        return err->code;
    bool committed = stmt->transaction.kind == AST_COMMIT && sess->status != 'E';
    if (!committed && sess->writes > 0 && sess->held == NULL && !sess->hold_lost)
        session_notice(sess, "WARNING", OX_ACTIVE_TRANSACTION,
            "the records of this transaction's COPY or INSERT ... RETURNING were appended when "
            "it ran and stay: rolling them back is not served yet");
    session_end_block(sess, committed, stmt->transaction.chain);
    *tag = committed ? "COMMIT" : "ROLLBACK";
    return OX_OK;
}

static ox_code
need_block(struct sql_session *sess, const char *what, struct ox_err *err)
{
    return sess->explicit_block
               ? OX_OK
               : ox_fail(err, OX_NO_ACTIVE_TRANSACTION,
                     "%s can only be used in transaction blocks", what);
}

static ox_code
add_savepoint(struct sql_session *sess, struct str name, struct ox_err *err)
{
    if (sess->savepoint_count == SAVEPOINTS_MAX)
        return ox_fail(err, OX_PROGRAM_LIMIT_EXCEEDED,
            "a transaction has at most %d savepoints", SAVEPOINTS_MAX);
    if (sess->savepoint_count == sess->savepoint_cap) {
        sess->savepoint_cap = OX_MAX(sess->savepoint_cap * 2, (size_t)8);
        sess->savepoints =
            ox_realloc(sess->savepoints, sess->savepoint_cap * sizeof(*sess->savepoints));
    }
    char *copy = ox_calloc(1, name.len + 1);
    memcpy(copy, name.ptr, name.len);
    sess->savepoints[sess->savepoint_count++] =
        (struct savepoint){copy, sess->writes, sess->settings.undo};
    return OX_OK;
}

/* ROLLBACK TO: the savepoints made after it go. */
static ox_code
back_to(struct portal *running, struct str name, bool release, struct ox_err *err)
{
    struct sql_session *sess = running->sess;
    ox_code code = need_block(sess, release ? "RELEASE SAVEPOINT" : "ROLLBACK TO SAVEPOINT", err);
    if (code != OX_OK)
        return code;
    size_t at = sess->savepoint_count;
    while (at > 0 && !ox_str_is(name, sess->savepoints[at - 1].name))
        at--;
    if (at == 0)
        return ox_fail(err, OX_UNDEFINED_SAVEPOINT, "savepoint \"%.*s\" does not exist",
            OX_STR_ARG(name));
    struct savepoint made = sess->savepoints[at - 1];
    session_savepoints_keep(sess, release ? at - 1 : at);
    portal_savepoint_end(sess, at, release, running);
    if (release)
        return OX_OK;
    settings_back_to(sess, made.undo);
    if (sess->writes > made.writes && sess->held == NULL && !sess->hold_lost)
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED,
            "records appended after the savepoint cannot be rolled back yet");
    if (sess->writes > made.writes) {
        hold_forget(sess);
        sess->hold_lost = false;
        sess->writes = made.writes;
    }
    sess->status = 'T';
    return OX_OK;
}

static ox_code
run_transaction(struct portal *portal, const char **tag, struct ox_err *err)
{
    struct sql_session *sess = portal->sess;
    const struct ast_stmt *stmt = portal->ast;
    struct str name = stmt->transaction.name;
    switch (stmt->transaction.kind) {
    case AST_BEGIN:
        *tag = "BEGIN";
        return run_begin(sess, stmt, err);
    case AST_COMMIT:
    case AST_ROLLBACK:
        return run_end(sess, stmt, tag, err);
    case AST_SAVEPOINT:
        *tag = "SAVEPOINT";
        if (need_block(sess, "SAVEPOINT", err) != OX_OK)
            return err->code;
        return add_savepoint(sess, name, err);
    case AST_RELEASE:
        *tag = "RELEASE";
        return back_to(portal, name, true, err);
    case AST_ROLLBACK_TO:
        *tag = "ROLLBACK";
        return back_to(portal, name, false, err);
    case AST_SET_TRANSACTION:
        *tag = "SET";
        if (!sess->explicit_block && !sess->implicit_block)
            session_notice(sess, "WARNING", OX_NO_ACTIVE_TRANSACTION,
                "SET TRANSACTION can only be used in transaction blocks");
        return set_modes(sess, stmt->transaction.modes, false, err);
    case AST_SET_SESSION_CHARACTERISTICS:
        *tag = "SET";
        return set_modes(sess, stmt->transaction.modes, true, err);
    }
    return OX_OK;
}

/* ---- Prepared statements, cursors --------------------------------------------------------- */

static ox_code
run_prepare(struct sql_session *sess, const struct ast_stmt *stmt, struct str text,
    struct ox_err *err)
{
    struct str name = stmt->prepare.name;
    const struct ast_list *types = stmt->prepare.types;
    uint32_t oids[256], count = types != NULL ? (uint32_t)types->count : 0;
    if (count > ox_count(oids))
        return ox_fail(err, OX_PROGRAM_LIMIT_EXCEEDED, "too many parameters");
    struct bind_config config;
    bind_config_of(sess, text, NULL, 0, &config);
    for (uint32_t i = 0; i < count; i++) {
        struct type type;
        ox_code code = bind_type(&config, ast_at(types, i, struct ast_type), &type, err);
        if (code != OX_OK)
            return code;
        oids[i] = type_oid(type);
    }
    /* Its text, from after AS: the statement outlives this one. */
    struct text part;
    ox_text_init(&part, NULL);
    ox_text_add(&part, text.ptr + stmt->pos, (size_t)(stmt->end - stmt->pos));
    /* PREPARE name [(types)] AS statement: parsed again, whole, and unwrapped. */
    struct statement *made;
    ox_code code = statement_find(sess, name) != NULL
                       ? ox_fail(err, OX_DUPLICATE_STATEMENT,
                             "prepared statement \"%.*s\" already exists", OX_STR_ARG(name))
                       : statement_room(sess, err);
    if (code == OX_OK)
        code = statement_new(sess, name, ox_text_str(&part), oids, count, &made, err);
    ox_text_fini(&part);
    if (code != OX_OK)
        return code;
    made->ast = made->ast->prepare.stmt;
    made->from_sql = true;
    code = statement_describe(sess, made, err);
    if (code != OX_OK) {
        statement_put(made);
        return code;
    }
    ox_map_put(&sess->statements, name, made);
    return OX_OK;
}

static ox_code
run_deallocate(struct sql_session *sess, const struct ast_stmt *stmt, const char **tag,
    struct ox_err *err)
{
    struct str name = stmt->execute.name;
    *tag = name.ptr == NULL ? "DEALLOCATE ALL" : "DEALLOCATE";
    if (name.ptr == NULL) {
        statement_drop_all(sess);
        return OX_OK;
    }
    if (statement_find(sess, name) == NULL)
        return ox_fail(err, OX_UNDEFINED_STATEMENT,
            "prepared statement \"%.*s\" does not exist", OX_STR_ARG(name));
    sql_close_statement(sess, name);
    return OX_OK;
}

/* A cursor keeps its own copy of the text. */
static ox_code
run_declare(struct sql_session *sess, const struct ast_stmt *stmt, struct str text,
    struct portal *from, struct ox_err *err)
{
    if (!stmt->declare.hold && !sess->explicit_block)
        return ox_fail(err, OX_NO_ACTIVE_TRANSACTION,
            "DECLARE CURSOR can only be used in transaction blocks");
    if (portal_find(sess, stmt->declare.name) != NULL)
        return ox_fail(err, OX_DUPLICATE_CURSOR, "cursor \"%.*s\" already exists",
            OX_STR_ARG(stmt->declare.name));
    struct statement *made;
    struct str own = ox_str_n(text.ptr + stmt->pos, (size_t)(stmt->end - stmt->pos));
    ox_code code = statement_new(sess, OX_STR(""), own, NULL, 0, &made, err);
    if (code != OX_OK)
        return code;
    struct ast_stmt *declared = made->ast;
    struct ast_stmt *query = ast_stmt_new(&made->parse,
        declared->declare.select != NULL ? AST_SELECT_STMT : AST_SUBSCRIBE_STMT, declared->pos);
    if (declared->declare.select != NULL)
        query->select = declared->declare.select;
    else
        query->subscribe = declared->declare.subscribe;
    query->params = declared->params;
    struct portal *portal;
    code = portal_new(sess, stmt->declare.name, made, query, &portal, err);
    statement_put(made);
    if (code != OX_OK)
        return code;
    if (from != NULL && from->param_count > 0) {
        portal->param_count = from->param_count;
        portal->param_types = ox_arena_copy(&portal->arena, from->param_types,
            (from->param_count + 1) * sizeof(struct type));
        portal->params = ox_arena_array(&portal->arena, struct datum, from->param_count + 1);
        for (uint32_t i = 0; from->params != NULL && i < from->param_count; i++)
            portal->params[i] = datum_copy(from->param_types[i], from->params[i], &portal->arena);
    }
    portal->cursor = true;
    portal->hold = stmt->declare.hold;
    if (stmt->declare.binary) {
        portal->format_code_count = 1;
        portal->format_codes = ox_arena_copy(&portal->arena, (int16_t[]){1}, sizeof(int16_t));
    }
    code = portal_plan(portal, err);
    if (code == OX_OK)
        code = portal_start(portal, false, err);
    if (code == OX_OK)
        exec_run_snapshot(portal->run);
    else
        portal_drop(sess, portal);
    return code;
}

static ox_code
run_close(struct sql_session *sess, const struct ast_stmt *stmt, const char **tag,
    struct ox_err *err)
{
    struct str name = stmt->execute.name;
    *tag = name.ptr == NULL ? "CLOSE CURSOR ALL" : "CLOSE CURSOR";
    if (name.ptr == NULL) {
        uint32_t at = 0;
        struct map_entry *entry;
        while ((entry = ox_map_next(&sess->portals, &at)) != NULL)
            if (((struct portal *)entry->value)->cursor)
                portal_drop(sess, entry->value);
        return OX_OK;
    }
    struct portal *portal = portal_find(sess, name);
    if (portal == NULL)
        return ox_fail(err, OX_UNDEFINED_CURSOR, "cursor \"%.*s\" does not exist",
            OX_STR_ARG(name));
    portal_drop(sess, portal);
    return OX_OK;
}

static ox_code
run_discard(struct sql_session *sess, const struct ast_stmt *stmt, const char **tag,
    struct ox_err *err)
{
    struct str what = stmt->execute.name;
    if (!ox_str_is(what, "all")) {
        *tag = ox_str_is(what, "plans")       ? "DISCARD PLANS"
               : ox_str_is(what, "sequences") ? "DISCARD SEQUENCES"
                                              : "DISCARD TEMP";
        return OX_OK;
    }
    *tag = "DISCARD ALL";
    if (sess->explicit_block)
        return ox_fail(err, OX_ACTIVE_TRANSACTION,
            "DISCARD ALL cannot run inside a transaction block");
    uint32_t at = 0;
    struct map_entry *entry;
    while ((entry = ox_map_next(&sess->portals, &at)) != NULL)
        if (((struct portal *)entry->value)->cursor)
            portal_drop(sess, entry->value);
    uint32_t from = 0;
    while ((entry = ox_map_next(&sess->statements, &from)) != NULL)
        if (((struct statement *)entry->value)->from_sql || entry->key.len > 0) {
            struct statement *old = ox_map_remove(&sess->statements, entry->key);
            statement_put(old);
        }
    settings_reset_all(sess);
    return OX_OK;
}

ox_code
utility_run(struct portal *portal, const char **tag, struct ox_err *err)
{
    struct sql_session *sess = portal->sess;
    const struct ast_stmt *stmt = portal->ast;
    switch (stmt->kind) {
    case AST_SET_VAR:
        *tag = "SET";
        return run_set(sess, stmt, err);
    case AST_RESET:
        *tag = "RESET";
        return run_reset(sess, stmt, err);
    case AST_DISCARD:
        return run_discard(sess, stmt, tag, err);
    case AST_TRANSACTION:
        return run_transaction(portal, tag, err);
    case AST_PREPARE:
        *tag = "PREPARE";
        return run_prepare(sess, stmt, portal_source(portal), err);
    case AST_DEALLOCATE:
        return run_deallocate(sess, stmt, tag, err);
    case AST_DECLARE:
        *tag = "DECLARE CURSOR";
        return run_declare(sess, stmt, portal_source(portal), portal, err);
    case AST_CLOSE:
        return run_close(sess, stmt, tag, err);
    case AST_LISTEN:
        *tag = "UNLISTEN";
        return OX_OK;
    case AST_NOOP:
        *tag = stmt->words.ptr;
        return OX_OK;
    default:
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "statement is not served yet");
    }
}

/* ---- SHOW, EXPLAIN, DESCRIBE: results of text ---------------------------------------------- */

/* SHOW TOPICS and the like are views of the catalog. */
static bool
show_view(struct str name, const char **column)
{
    static const struct {
        const char *name, *column;
    } views[] = {{"topics", "name"}, {"partitions", "topic"}, {"segments", "topic"},
        {"groups", "\"group\""}, {"group_members", "\"group\""}, {"group_offsets", "\"group\""},
        {"lag", "\"group\""}, {"connections", "principal"}, {"brokers", "host"},
        {"configs", "name"}, {"metrics", "name"}};
    for (size_t i = 0; i < ox_count(views); i++)
        if (ox_str_is(name, views[i].name)) {
            *column = views[i].column;
            return true;
        }
    return false;
}

static ox_code
plan_view(struct portal *portal, const char *column, struct ox_err *err)
{
    const struct ast_stmt *ast = portal->ast;
    struct text text;
    ox_text_init(&text, &portal->arena);
    ox_text_addf(&text, "SELECT * FROM oxbow.%.*s", OX_STR_ARG(ast->set.name));
    if (ast->set.values != NULL) {
        struct str like = ast_at(ast->set.values, 0, struct ast_expr)->text;
        ox_text_addf(&text, " WHERE %s LIKE '", column);
        for (size_t i = 0; i < like.len; i++)
            ox_text_addf(&text, like.ptr[i] == '\'' ? "''" : "%c", like.ptr[i]);
        ox_text_addc(&text, '\'');
    }
    struct ast_parse *parse = ox_arena_new(&portal->arena, struct ast_parse);
    ox_code code = sql_parse(ox_text_str(&text), &portal->arena, parse, err);
    if (code != OX_OK)
        return code;
    struct bind_config config;
    bind_config_of(portal->sess, ox_text_str(&text), NULL, 0, &config);
    code = bind_select(&config, ast_at(&parse->stmts, 0, struct ast_stmt)->select, &portal->arena,
        &portal->bound, err);
    portal->result = (struct sql_result){.columns = portal->bound.columns,
        .count = portal->bound.column_count};
    portal->has_result = true;
    return code;
}

static ox_code
plan_show(struct portal *portal, struct ox_err *err)
{
    struct sql_session *sess = portal->sess;
    const struct ast_stmt *ast = portal->ast;
    const char *column;
    portal->tag = "SHOW";
    if (!ast->set.all && show_view(ast->set.name, &column))
        return plan_view(portal, column, err);
    if (ast->set.all) {
        static const char *const titles[] = {"name", "setting", "description"};
        struct str cells[SETTINGS_MAX * 3];
        uint32_t rows = 0;
        const char *name, *value, *doc;
        while (settings_at(sess, (int)rows, &name, &value, &doc)) {
            cells[rows * 3] = ox_str(name);
            cells[rows * 3 + 1] = ox_str(value);
            cells[rows++ * 3 + 2] = ox_str(doc);
        }
        portal_texts(portal, titles, 3, cells, rows);
        return OX_OK;
    }
    const char *value;
    ox_code code = settings_get(sess, ast->set.name, &value, err);
    if (code != OX_OK) {
        const struct param *param = param_find(PARAM_SCOPE_SERVER, ast->set.name);
        if (param == NULL || param->type == PARAM_PASSWORD)
            return code;
        const struct server_config *config = engine_settings(sess->config.engine->engine);
        value = param_load(param, config, &portal->arena).ptr;
        memset(err, 0, sizeof(*err));
    }
    const char *title = settings_name(ast->set.name);
    if (title == NULL)
        title = ox_arena_printf(&portal->arena, "%.*s", OX_STR_ARG(ast->set.name));
    struct str cell = ox_str(value != NULL ? value : "");
    portal_texts(portal, &title, 1, &cell, 1);
    return OX_OK;
}

static ox_code
explain_format(struct ast_explain *explain, struct str value, struct ox_err *err)
{
    explain->json = ox_str_ieq(value, OX_STR("json"));
    if (explain->json || ox_str_ieq(value, OX_STR("text")))
        return OX_OK;
    if (!ox_str_ieq(value, OX_STR("xml")) && !ox_str_ieq(value, OX_STR("yaml")))
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
            "unrecognized value for EXPLAIN option \"format\": \"%.*s\"", OX_STR_ARG(value));
    return ox_fail(err, OX_FEATURE_NOT_SUPPORTED,
        "EXPLAIN (FORMAT %.*s) is not served; text and json are", OX_STR_ARG(value));
}

/* Options that ask for what is always shown, or that Oxbow has nothing to say about. */
static bool
explain_ignored(struct str name)
{
    static const char *const names[] = {"costs", "buffers", "settings", "wal", "generic_plan",
        "memory", "serialize"};
    for (size_t i = 0; i < ox_count(names); i++)
        if (ox_str_is(name, names[i]))
            return true;
    return false;
}

static ox_code
explain_options(struct ast_explain *explain, struct ox_err *err)
{
    for (size_t i = 0; explain->options != NULL && i < explain->options->count; i++) {
        const struct ast_option *option = ast_at(explain->options, i, struct ast_option);
        struct str value = option->value != NULL ? option->value->text : OX_STR("on");
        bool off = ox_str_ieq(value, OX_STR("off")) || ox_str_ieq(value, OX_STR("false")) ||
                   ox_str_is(value, "0");
        bool on = ox_str_ieq(value, OX_STR("on")) || ox_str_ieq(value, OX_STR("true")) ||
                  ox_str_is(value, "1");
        if (ox_str_is(option->name, "format")) {
            ox_code code = explain_format(explain, value, err);
            if (code != OX_OK)
                return code;
            continue;
        }
        if (!on && !off && !ox_str_is(option->name, "serialize"))
            return ox_fail(err, OX_SYNTAX_ERROR, "%.*s requires a Boolean value",
                OX_STR_ARG(option->name));
        if (ox_str_is(option->name, "analyze"))
            explain->analyze = on;
        else if (ox_str_is(option->name, "verbose"))
            explain->verbose = on;
        else if (ox_str_is(option->name, "timing"))
            explain->no_timing = off;
        else if (ox_str_is(option->name, "summary"))
            explain->summary = on, explain->no_summary = off;
        else if (!explain_ignored(option->name))
            return ox_fail(err, OX_SYNTAX_ERROR, "unrecognized EXPLAIN option \"%.*s\"",
                OX_STR_ARG(option->name));
    }
    return OX_OK;
}

static uint64_t
mono_ns(const struct portal *portal)
{
    return env_mono_ns(portal->sess->server->env);
}

void
utility_explain(struct portal *portal, const struct exec_run *run)
{
    static const char *const title[] = {"QUERY PLAN"};
    const struct ast_explain *explain = portal->ast->explain;
    struct explain_form form = {.verbose = explain->verbose, .json = explain->json,
        .timing = !explain->no_timing,
        .summary = explain->summary || (run != NULL && !explain->no_summary),
        .plan_ns = explain->plan_ns};
    if (run != NULL)
        form.run_ns = mono_ns(portal) - explain->start_ns;
    struct text text;
    ox_text_init(&text, &portal->arena);
    explain_plan(&portal->bound, run, &form, &text);
    if (form.json) {
        struct str all = ox_text_str(&text);
        portal_texts(portal, title, 1, &all, 1);
        ((struct sql_column *)(uintptr_t)portal->result.columns)->type = TYPE(TYPE_JSON);
        return;
    }
    struct str *lines = NULL;
    size_t cap = 0;
    uint32_t count = 0;
    const char *c = text.ptr != NULL ? text.ptr : "";
    while (*c != '\0') {
        size_t len = strcspn(c, "\n");
        ox_arena_grow(&portal->arena, (void **)&lines, &cap, count + 1, sizeof(*lines));
        lines[count++] = ox_str_n(c, len);
        c += len + (c[len] == '\n');
    }
    portal_texts(portal, title, 1, lines, count);
}

/* EXPLAIN EXECUTE shows what the prepared statement would do with these parameters. */
static ox_code
explain_execute(struct portal *portal, const struct ast_stmt **inner, struct ox_err *err)
{
    struct statement *prepared;
    ox_code code = portal_execute(portal, *inner, &prepared, inner, err);
    if (code != OX_OK)
        return code;
    if (*inner == NULL || ((*inner)->kind != AST_SELECT_STMT &&
                              (*inner)->kind != AST_SUBSCRIBE_STMT && (*inner)->kind != AST_INSERT))
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED,
            "prepared statement \"%s\" has no plan to show", prepared->name);
    prepared->refs++;
    statement_put(portal->explained);
    portal->explained = prepared;
    return OX_OK;
}

static ox_code
plan_explain(struct portal *portal, struct ox_err *err)
{
    struct ast_explain *explain = portal->ast->explain;
    ox_code code = explain_options(explain, err);
    uint64_t start_ns = mono_ns(portal);
    if (code != OX_OK)
        return code;
    struct sql_session *sess = portal->sess;
    struct bind_config config;
    const struct ast_stmt *inner = explain->stmt;
    if (inner->kind == AST_EXECUTE)
        code = explain_execute(portal, &inner, err);
    if (code != OX_OK)
        return code;
    bind_config_of(sess, portal->explained != NULL ? portal->explained->parse.text
                                                   : portal_source(portal),
        portal->param_types, portal->param_count, &config);
    config.notice = NULL;
    code = inner->kind == AST_SELECT_STMT
               ? bind_select(&config, inner->select, &portal->arena, &portal->bound, err)
           : inner->kind == AST_SUBSCRIBE_STMT
               ? bind_subscribe(&config, inner->subscribe, &portal->arena, &portal->bound, err)
               : bind_insert(&config, inner->insert, &portal->arena, &portal->bound, err);
    if (code != OX_OK)
        return code;
    explain->start_ns = mono_ns(portal);
    explain->plan_ns = explain->start_ns - start_ns;
    portal->tag = "EXPLAIN";
    if (explain->analyze) {
        portal->writes = inner->kind == AST_INSERT;
        struct sql_column *column = ox_arena_new(&portal->arena, struct sql_column);
        *column = (struct sql_column){.name = OX_STR("QUERY PLAN"),
            .type = TYPE(explain->json ? TYPE_JSON : TYPE_TEXT)};
        portal->has_result = true;
        portal->result = (struct sql_result){.columns = column, .count = 1};
        return OX_OK;
    }
    utility_explain(portal, NULL);
    return OX_OK;
}

ox_code
utility_plan(struct portal *portal, struct ox_err *err)
{
    switch (portal->ast->kind) {
    case AST_SHOW:
        return plan_show(portal, err);
    case AST_EXPLAIN:
        return plan_explain(portal, err);
    case AST_DESCRIBE:
        return ddl_describe(portal, err);
    default:
        return OX_OK;
    }
}
