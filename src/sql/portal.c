/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepared statements and portals. A statement keeps its syntax tree and the
 * types of its parameters; a portal is one use of it: parameters, a plan made
 * anew against today's topics, and the run. SQL cursors are portals with a name
 * of the user's, in the same namespace. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "sql/session.h"

/* ---- Binding ------------------------------------------------------------------- */

static void
on_bind_notice(void *arg, const char *message)
{
    session_notice(arg, "NOTICE", OX_OK, "%s", message);
}

void
bind_config_of(struct sql_session *sess, struct str text, struct type *param_types,
    uint32_t param_count, struct bind_config *out)
{
    *out = (struct bind_config){.session = sess->config.engine, .format = &sess->settings.format,
        .search_path = sess->settings.search_path, .text = text, .param_types = param_types,
        .param_count = param_count, .notice = on_bind_notice, .arg = sess};
}

/* Parameters whose type nothing told are text. */
static void
settle_params(struct type *types, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (types[i].id == TYPE_UNKNOWN)
            types[i] = TYPE(TYPE_TEXT);
}

static bool
is_query(const struct ast_stmt *ast)
{
    return ast->kind == AST_SELECT_STMT || ast->kind == AST_SUBSCRIBE_STMT ||
           ast->kind == AST_INSERT;
}

static ox_code
bind_query(struct sql_session *sess, struct str text, const struct ast_stmt *ast,
    struct type *types, uint32_t count, struct arena *arena, struct bound *out,
    struct ox_err *err)
{
    struct bind_config config;
    bind_config_of(sess, text, types, count, &config);
    ox_code code = ast->kind == AST_SELECT_STMT
                       ? bind_select(&config, ast->select, arena, out, err)
                   : ast->kind == AST_SUBSCRIBE_STMT
                       ? bind_subscribe(&config, ast->subscribe, arena, out, err)
                       : bind_insert(&config, ast->insert, arena, out, err);
    if (code == OX_OK)
        settle_params(types, count);
    return code;
}

/* ---- Statements ------------------------------------------------------------------ */

struct statement *
statement_find(struct sql_session *sess, struct str name)
{
    return ox_map_get(&sess->statements, name);
}

void
statement_put(struct statement *stmt)
{
    if (stmt == NULL || --stmt->refs > 0)
        return;
    ox_arena_fini(&stmt->arena);
    ox_free(stmt->name);
    ox_free(stmt);
}

void
statement_drop_all(struct sql_session *sess)
{
    uint32_t at = 0;
    struct map_entry *entry;
    while ((entry = ox_map_next(&sess->statements, &at)) != NULL) {
        struct statement *stmt = entry->value;
        ox_map_remove(&sess->statements, entry->key);
        statement_put(stmt);
    }
}

static ox_code
take_oids(struct statement *stmt, const uint32_t *oids, uint32_t oid_count, struct ox_err *err)
{
    uint32_t used = stmt->ast != NULL ? (uint32_t)stmt->ast->params : 0;
    stmt->param_count = used > oid_count ? used : oid_count;
    stmt->param_types = ox_arena_array(&stmt->arena, struct type, stmt->param_count + 1);
    for (uint32_t i = 0; i < stmt->param_count; i++) {
        stmt->param_types[i] = TYPE(TYPE_UNKNOWN);
        if (i < oid_count && oids[i] != 0 && !type_from_oid(oids[i], &stmt->param_types[i]))
            return ox_fail(err, OX_UNDEFINED_OBJECT, "type with OID %u is not served", oids[i]);
    }
    return OX_OK;
}

ox_code
statement_new(struct sql_session *sess, struct str name, struct str text, const uint32_t *oids,
    uint32_t oid_count, struct statement **out, struct ox_err *err)
{
    struct statement *stmt = ox_calloc(1, sizeof(*stmt));
    ox_arena_init(&stmt->arena);
    stmt->refs = 1;
    stmt->name = ox_calloc(1, name.len + 1);
    memcpy(stmt->name, name.len ? name.ptr : "", name.len);
    ox_code code = sql_parse(text, &stmt->arena, &stmt->parse, err);
    if (code == OX_OK && stmt->parse.stmts.count > 1)
        code = ox_fail(err, OX_SYNTAX_ERROR,
            "cannot insert multiple commands into a prepared statement");
    if (code == OX_OK && stmt->parse.stmts.count == 1)
        stmt->ast = ast_at(&stmt->parse.stmts, 0, struct ast_stmt);
    if (code == OX_OK)
        code = take_oids(stmt, oids, oid_count, err);
    if (code != OX_OK) {
        statement_put(stmt);
        return code;
    }
    stmt->made_us = session_wall_us(sess);
    *out = stmt;
    return OX_OK;
}

/* The columns a statement will give, and its parameters' types, by binding it once. */
ox_code
statement_describe(struct sql_session *sess, struct statement *stmt, struct ox_err *err)
{
    if (stmt->described || stmt->ast == NULL)
        return OX_OK;
    struct portal *portal;
    ox_code code = portal_new(sess, OX_STR_NULL, stmt, stmt->ast, &portal, err);
    if (code != OX_OK)
        return code;
    code = portal_plan(portal, err);
    if (code == OX_OK) {
        stmt->has_result = portal->has_result;
        stmt->column_count = portal->result.count;
        stmt->columns = ox_arena_array(&stmt->arena, struct sql_column, portal->result.count + 1);
        for (uint32_t i = 0; i < stmt->column_count; i++) {
            stmt->columns[i] = portal->result.columns[i];
            stmt->columns[i].name = ox_str_dup(&stmt->arena, portal->result.columns[i].name);
        }
        memcpy(stmt->param_types, portal->param_types,
            stmt->param_count * sizeof(*stmt->param_types));
        stmt->described = true;
    }
    portal_drop(sess, portal);
    return code;
}

/* ---- Portals ------------------------------------------------------------------------ */

struct portal *
portal_find(struct sql_session *sess, struct str name)
{
    return ox_map_get(&sess->portals, name);
}

/* name null: not listed. */
ox_code
portal_new(struct sql_session *sess, struct str name, struct statement *stmt,
    const struct ast_stmt *ast, struct portal **out, struct ox_err *err)
{
    if (name.ptr != NULL && name.len > 0 && portal_find(sess, name) != NULL)
        return ox_fail(err, OX_DUPLICATE_CURSOR, "cursor \"%.*s\" already exists",
            OX_STR_ARG(name));
    if (name.len > 0 && sess->portals.count >= LIMIT_SQL_PORTALS_VALUE) {
        limit_met(LIMIT_SQL_PORTALS);
        return ox_fail(err, OX_PROGRAM_LIMIT_EXCEEDED, "a session has at most %d open cursors",
            LIMIT_SQL_PORTALS_VALUE);
    }
    struct portal *portal = ox_calloc(1, sizeof(*portal));
    ox_arena_init(&portal->arena);
    portal->sess = sess;
    portal->made_us = session_wall_us(sess);
    portal->ast = ast;
    portal->stmt = stmt;
    portal->in_transaction = sess->explicit_block;
    portal->savepoints = sess->savepoint_count;
    if (stmt != NULL) {
        stmt->refs++;
        portal->param_count = stmt->param_count;
        portal->param_types = ox_arena_copy(&portal->arena, stmt->param_types,
            (stmt->param_count + 1) * sizeof(*stmt->param_types));
    } else {
        portal->param_types = ox_arena_array(&portal->arena, struct type, 1);
    }
    if (name.ptr != NULL) {
        portal->name = ox_calloc(1, name.len + 1);
        memcpy(portal->name, name.len ? name.ptr : "", name.len);
        struct portal *old = ox_map_remove(&sess->portals, name);
        if (old != NULL)
            portal_drop(sess, old);
        ox_map_put(&sess->portals, name, portal);
    }
    *out = portal;
    return OX_OK;
}

void
portal_drop(struct sql_session *sess, struct portal *portal)
{
    if (portal == NULL)
        return;
    if (portal->name != NULL && ox_map_get(&sess->portals, ox_str(portal->name)) == portal)
        ox_map_remove(&sess->portals, ox_str(portal->name));
    if (sess->portal == portal)
        sess->portal = NULL;
    if (sess->own == portal)
        sess->own = NULL;
    exec_run_free(portal->run);
    statement_put(portal->stmt);
    statement_put(portal->explained);
    ox_arena_fini(&portal->arena);
    ox_free(portal->name);
    ox_free(portal);
}

void
portal_drop_transaction(struct sql_session *sess, bool commit, bool all)
{
    uint32_t at = 0;
    struct map_entry *entry;
    while ((entry = ox_map_next(&sess->portals, &at)) != NULL) {
        struct portal *portal = entry->value;
        bool keep = portal->hold && (commit || !portal->in_transaction) && !all;
        if (!keep) {
            portal_drop(sess, portal);
            continue;
        }
        portal->in_transaction = false;
        portal->savepoints = 0;
    }
}

void
portal_savepoint_end(struct sql_session *sess, size_t number, bool release,
    const struct portal *running)
{
    uint32_t at = 0;
    struct map_entry *entry;
    while ((entry = ox_map_next(&sess->portals, &at)) != NULL) {
        struct portal *portal = entry->value;
        if (portal->savepoints < number || portal == running)
            continue;
        if (release)
            portal->savepoints = number - 1;
        else
            portal_drop(sess, portal);
    }
}

/* Format codes of Bind: none, one for all, or one each. */
static ox_code
spread_formats(struct portal *portal, struct ox_err *err)
{
    uint32_t count = portal->result.count, given = portal->format_code_count;
    if (given == 0 || count == 0)
        return OX_OK;
    if (given != 1 && given != count)
        return ox_fail(err, OX_PROTOCOL_VIOLATION,
            "bind message has %u result formats but query has %u columns", given, count);
    portal->formats = ox_arena_array(&portal->arena, int16_t, count);
    for (uint32_t i = 0; i < count; i++)
        portal->formats[i] = portal->format_codes[given == 1 ? 0 : i];
    portal->result.formats = portal->formats;
    return OX_OK;
}

struct str
portal_source(const struct portal *portal)
{
    return portal->stmt != NULL ? portal->stmt->parse.text : portal->sess->query_parse.text;
}

static ox_code
execute_args(struct portal *portal, const struct ast_list *args, struct statement *prepared,
    struct ox_err *err)
{
    uint32_t given = args != NULL ? (uint32_t)args->count : 0;
    if (given != prepared->param_count)
        return ox_fail(err, OX_SYNTAX_ERROR,
            "wrong number of parameters for prepared statement \"%s\"", prepared->name);
    struct datum *values = ox_arena_array(&portal->arena, struct datum, given + 1);
    struct bind_config config;
    bind_config_of(portal->sess, portal_source(portal), NULL, 0, &config);
    for (uint32_t i = 0; i < given; i++) {
        ox_code code = bind_constant(&config, ast_at(args, i, struct ast_expr),
            prepared->param_types[i], &portal->arena, &values[i], err);
        if (code != OX_OK)
            return code;
    }
    portal->params = values;
    portal->param_count = given;
    portal->param_types = ox_arena_copy(&portal->arena, prepared->param_types,
        (given + 1) * sizeof(struct type));
    return OX_OK;
}

ox_code
portal_execute(struct portal *portal, const struct ast_stmt *execute, struct statement **prepared,
    const struct ast_stmt **ast, struct ox_err *err)
{
    struct sql_session *sess = portal->sess;
    struct str name = execute->execute.name;
    struct statement *found = statement_find(sess, name);
    if (found == NULL || name.len == 0)
        return ox_fail(err, OX_UNDEFINED_STATEMENT, "prepared statement \"%.*s\" does not exist",
            OX_STR_ARG(name));
    /* Parse takes what PREPARE would not: such a one could execute itself. */
    const struct ast_stmt *inner = found->ast;
    if (inner != NULL && inner->kind == AST_EXPLAIN)
        inner = inner->explain->stmt;
    if (inner != NULL && inner->kind == AST_EXECUTE)
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED,
            "prepared statement \"%s\" is an EXECUTE itself", found->name);
    ox_code code = statement_describe(sess, found, err);
    if (code == OX_OK)
        code = execute_args(portal, execute->execute.args, found, err);
    if (code != OX_OK)
        return code;
    *prepared = found;
    *ast = found->ast != NULL && found->ast->kind == AST_PREPARE ? found->ast->prepare.stmt
                                                                 : found->ast;
    return OX_OK;
}

/* EXECUTE: the portal becomes one of the prepared statement. */
static ox_code
become_prepared(struct portal *portal, struct ox_err *err)
{
    struct statement *prepared;
    const struct ast_stmt *ast;
    ox_code code = portal_execute(portal, portal->ast, &prepared, &ast, err);
    if (code != OX_OK)
        return code;
    prepared->refs++;
    statement_put(portal->stmt);
    portal->stmt = prepared;
    portal->ast = ast;
    return OX_OK;
}

/* Rule of cached plans: the columns may not change under a prepared statement. */
static ox_code
check_columns(struct portal *portal, struct ox_err *err)
{
    const struct statement *stmt = portal->stmt;
    if (stmt == NULL || !stmt->described)
        return OX_OK;
    bool same = stmt->column_count == portal->bound.column_count;
    for (uint32_t i = 0; same && i < stmt->column_count; i++)
        same = type_same(stmt->columns[i].type, portal->bound.columns[i].type);
    return same ? OX_OK : ox_fail(err, OX_CACHED_PLAN_CHANGED,
                              "cached plan must not change result type");
}

/* A portal that follows a topic keeps its place, its waiter and what it has read. */
static ox_code
check_subscriptions(const struct portal *portal, struct ox_err *err)
{
    const struct map_entry *entry;
    uint32_t at = 0, others = 0;
    if (!portal->bound.live)
        return OX_OK;
    while ((entry = ox_map_next(&portal->sess->portals, &at)) != NULL)
        others += entry->value != portal && ((const struct portal *)entry->value)->bound.live;
    if (others < LIMIT_SQL_SUBSCRIPTIONS_VALUE)
        return OX_OK;
    limit_met(LIMIT_SQL_SUBSCRIPTIONS);
    return ox_fail(err, OX_PROGRAM_LIMIT_EXCEEDED, "a session has at most %d subscriptions",
        LIMIT_SQL_SUBSCRIPTIONS_VALUE);
}

static ox_code
plan_query(struct portal *portal, struct ox_err *err)
{
    ox_code code = bind_query(portal->sess, portal_source(portal), portal->ast,
        portal->param_types, portal->param_count, &portal->arena, &portal->bound, err);
    if (code == OX_OK)
        code = check_columns(portal, err);
    if (code == OX_OK)
        code = check_subscriptions(portal, err);
    if (code != OX_OK)
        return code;
    portal->tag = portal->ast->kind == AST_INSERT           ? "INSERT"
                  : portal->ast->kind == AST_SUBSCRIBE_STMT ? "SUBSCRIBE"
                                                            : "SELECT";
    portal->live = portal->ast->kind == AST_SUBSCRIBE_STMT;
    portal->writes = portal->ast->kind == AST_INSERT;
    portal->has_result = portal->bound.column_count > 0 || portal->ast->kind != AST_INSERT;
    portal->result = (struct sql_result){.columns = portal->bound.columns,
        .count = portal->bound.column_count};
    return OX_OK;
}

/* The portal that a FETCH takes rows from. Bind gives names to portals that have none, as of
 * a BEGIN, or of this very FETCH. */
ox_code
portal_cursor(struct sql_session *sess, struct str name, struct portal **out, struct ox_err *err)
{
    struct portal *portal = *out = portal_find(sess, name);
    if (portal == NULL)
        return ox_fail(err, OX_UNDEFINED_CURSOR, "cursor \"%.*s\" does not exist",
            OX_STR_ARG(name));
    enum ast_stmt_kind kind = portal->ast != NULL ? portal->ast->kind : AST_FETCH;
    if (portal->state == PORTAL_FAILED ||
        (kind != AST_SELECT_STMT && kind != AST_SUBSCRIBE_STMT && kind != AST_SHOW))
        return ox_fail(err, OX_OBJECT_NOT_IN_STATE, "cursor \"%.*s\" cannot be run",
            OX_STR_ARG(name));
    return OX_OK;
}

/* FETCH gives what its cursor gives. */
static ox_code
plan_fetch(struct portal *portal, struct ox_err *err)
{
    struct portal *cursor;
    ox_code code = portal_cursor(portal->sess, portal->ast->fetch->cursor, &cursor, err);
    if (code != OX_OK)
        return code;
    portal->has_result = !portal->ast->fetch->move;
    if (portal->has_result) {
        portal->result = (struct sql_result){.count = cursor->result.count};
        struct sql_column *columns = ox_arena_array(&portal->arena, struct sql_column,
            cursor->result.count + 1);
        for (uint32_t i = 0; i < cursor->result.count; i++) {
            columns[i] = cursor->result.columns[i];
            columns[i].name = ox_str_dup(&portal->arena, columns[i].name);
        }
        portal->result.columns = columns;
        if (portal->format_code_count == 0 && cursor->formats != NULL)
            portal->result.formats = ox_arena_copy(&portal->arena, cursor->formats,
                cursor->result.count * sizeof(int16_t));
    }
    return OX_OK;
}

/* The parameters of COPY (query) and the like are found too. */
ox_code
portal_plan(struct portal *portal, struct ox_err *err)
{
    if (portal->planned || portal->ast == NULL)
        return OX_OK;
    memset(err, 0, sizeof(*err));
    ox_code code = portal->ast->kind == AST_EXECUTE ? become_prepared(portal, err) : OX_OK;
    if (code != OX_OK || portal->ast == NULL)
        return code;
    if (is_query(portal->ast))
        code = plan_query(portal, err);
    else if (portal->ast->kind == AST_FETCH)
        code = plan_fetch(portal, err);
    else
        code = utility_plan(portal, err);
    if (code == OX_OK)
        code = spread_formats(portal, err);
    portal->planned = code == OX_OK;
    return code;
}

ox_code
portal_start(struct portal *portal, bool analyze, struct ox_err *err)
{
    struct exec_config config;
    session_config_run(portal, analyze, &config);
    ox_code code = exec_run_new(&portal->bound.root, &config, &portal->run, err);
    if (code == OX_OK)
        portal->state = PORTAL_ACTIVE;
    return code;
}

void
portal_texts(struct portal *portal, const char *const *names, uint32_t columns,
    const struct str *cells, uint32_t rows)
{
    struct arena *arena = &portal->arena;
    uint32_t made = rows > 0 ? rows : 1;
    struct expr **exprs = ox_arena_array(arena, struct expr *, (size_t)made * columns);
    struct str *titles = ox_arena_array(arena, struct str, columns);
    struct sql_column *out = ox_arena_array(arena, struct sql_column, columns);
    for (uint32_t i = 0; i < made * columns; i++) {
        struct datum value = DATUM_NULL;
        if (i < rows * columns && cells[i].ptr != NULL)
            value = datum_str(ox_str_dup(arena, cells[i]));
        exprs[i] = expr_const(arena, TYPE(TYPE_TEXT), value, 0);
    }
    for (uint32_t i = 0; i < columns; i++) {
        titles[i] = ox_str(ox_arena_strdup(arena, names[i]));
        out[i] = (struct sql_column){.name = titles[i], .type = TYPE(TYPE_TEXT)};
    }
    struct plan *plan = plan_values_new(arena, exprs, made, columns, titles);
    if (rows == 0)
        plan = plan_limit_new(arena, plan,
            expr_const(arena, TYPE(TYPE_INT8), datum_i64(0), 0), NULL);
    portal->bound = (struct bound){.root = {.plan = plan, .arena = arena}, .columns = out,
        .column_count = columns};
    struct ox_err err;
    plan_root_finish(&portal->bound.root, &err);
    portal->has_result = true;
    portal->result = (struct sql_result){.columns = out, .count = columns};
}

/* ---- The extended protocol -------------------------------------------------------------- */

static ox_code
refuse_in_failed(struct sql_session *sess, const struct ast_stmt *ast, struct ox_err *err)
{
    if (sess->status != 'E' || ast == NULL || ast->kind == AST_TRANSACTION)
        return OX_OK;
    return ox_fail_plain(err, OX_IN_FAILED_TRANSACTION);
}

ox_code
statement_room(const struct sql_session *sess, struct ox_err *err)
{
    if (sess->statements.count < LIMIT_SQL_STATEMENTS_VALUE)
        return OX_OK;
    limit_met(LIMIT_SQL_STATEMENTS);
    return ox_fail(err, OX_PROGRAM_LIMIT_EXCEEDED,
        "a session has at most %d prepared statements", LIMIT_SQL_STATEMENTS_VALUE);
}

ox_code
sql_prepare(struct sql_session *sess, struct str name, struct str text, const uint32_t *oids,
    uint32_t oid_count, struct ox_err *err)
{
    memset(err, 0, sizeof(*err));
    session_time_limit(sess);
    if (name.len > 0 && statement_find(sess, name) != NULL)
        return ox_fail(err, OX_DUPLICATE_STATEMENT,
            "prepared statement \"%.*s\" already exists", OX_STR_ARG(name));
    struct statement *stmt;
    ox_code code = name.len > 0 ? statement_room(sess, err) : OX_OK;
    if (code == OX_OK)
        code = statement_new(sess, name, text, oids, oid_count, &stmt, err);
    if (code != OX_OK)
        return code;
    code = refuse_in_failed(sess, stmt->ast, err);
    /* What can be bound now is, so that errors come with Parse. */
    if (code == OX_OK && stmt->ast != NULL && is_query(stmt->ast))
        code = statement_describe(sess, stmt, err);
    if (code != OX_OK) {
        statement_put(stmt);
        return code;
    }
    settle_params(stmt->param_types, stmt->param_count);
    struct statement *old = ox_map_put(&sess->statements, name.ptr != NULL ? name : OX_STR(""),
        stmt);
    statement_put(old);
    return OX_OK;
}

ox_code
sql_describe_statement(struct sql_session *sess, struct str name, struct sql_description *out,
    struct ox_err *err)
{
    struct statement *stmt = statement_find(sess, name);
    if (stmt == NULL)
        return ox_fail(err, OX_UNDEFINED_STATEMENT,
            "prepared statement \"%.*s\" does not exist", OX_STR_ARG(name));
    ox_code code = refuse_in_failed(sess, stmt->ast, err);
    if (code == OX_OK)
        code = statement_describe(sess, stmt, err);
    if (code != OX_OK)
        return code;
    stmt->param_oids = ox_arena_array(&stmt->arena, uint32_t, stmt->param_count + 1);
    for (uint32_t i = 0; i < stmt->param_count; i++)
        stmt->param_oids[i] = type_oid(stmt->param_types[i]);
    *out = (struct sql_description){.params = stmt->param_oids, .param_count = stmt->param_count,
        .has_result = stmt->has_result,
        .result = {.columns = stmt->columns, .count = stmt->column_count}};
    return OX_OK;
}

static ox_code
read_param(struct sql_session *sess, struct portal *portal, const struct sql_param *param,
    uint32_t index, struct ox_err *err)
{
    struct datum *to = &portal->params[index];
    if (param->value.ptr == NULL) {
        *to = DATUM_NULL;
        return OX_OK;
    }
    struct type type = portal->param_types[index];
    struct str value = ox_str_dup(&portal->arena, param->value);
    ox_code code = OX_OK;
    if (!param->binary || (type.id == TYPE_TEXT && !type.array))
        code = row_check_text(value, err);
    if (code == OX_OK)
        code = param->binary
                   ? type_in_binary(type, value, &portal->arena, to, err)
                   : type_in_text(type, value, &sess->settings.format, &portal->arena, to, err);
    return code;
}

ox_code
sql_bind(struct sql_session *sess, struct str name, struct str statement,
    const struct sql_param *params, uint32_t param_count, const int16_t *formats,
    uint32_t format_count, struct ox_err *err)
{
    memset(err, 0, sizeof(*err));
    session_time_limit(sess);
    struct statement *stmt = statement_find(sess, statement);
    if (stmt == NULL)
        return ox_fail(err, OX_UNDEFINED_STATEMENT,
            "prepared statement \"%.*s\" does not exist", OX_STR_ARG(statement));
    ox_code code = refuse_in_failed(sess, stmt->ast, err);
    if (code != OX_OK)
        return code;
    if (param_count != stmt->param_count)
        return ox_fail(err, OX_PROTOCOL_VIOLATION,
            "bind message supplies %u parameters, but prepared statement \"%s\" requires %u",
            param_count, stmt->name, stmt->param_count);
    struct portal *portal;
    code = portal_new(sess, name.ptr != NULL ? name : OX_STR(""), stmt, stmt->ast, &portal, err);
    if (code != OX_OK)
        return code;
    portal->params = ox_arena_array(&portal->arena, struct datum, param_count + 1);
    for (uint32_t i = 0; i < param_count && code == OX_OK; i++)
        code = read_param(sess, portal, &params[i], i, err);
    portal->format_code_count = format_count;
    portal->format_codes = ox_arena_copy(&portal->arena, formats != NULL ? formats : (int16_t[]){0},
        (format_count ? format_count : 1) * sizeof(int16_t));
    if (code == OX_OK && portal->ast != NULL)
        code = portal_plan(portal, err);
    if (code != OX_OK)
        portal_drop(sess, portal);
    return code;
}

ox_code
sql_describe_portal(struct sql_session *sess, struct str name, struct sql_description *out,
    struct ox_err *err)
{
    struct portal *portal = portal_find(sess, name);
    if (portal == NULL)
        return ox_fail(err, OX_UNDEFINED_CURSOR, "portal \"%.*s\" does not exist",
            OX_STR_ARG(name));
    ox_code code = portal_plan(portal, err);
    if (code != OX_OK)
        return code;
    *out = (struct sql_description){.has_result = portal->has_result, .result = portal->result};
    return OX_OK;
}

void
sql_close_statement(struct sql_session *sess, struct str name)
{
    statement_put(ox_map_remove(&sess->statements, name));
}

void
sql_close_portal(struct sql_session *sess, struct str name)
{
    portal_drop(sess, portal_find(sess, name));
}
