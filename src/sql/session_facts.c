/* SPDX-License-Identifier: Apache-2.0
 *
 * What a session tells about itself: to everybody in pg_stat_activity, to its own
 * user in pg_prepared_statements, pg_cursors and pg_settings, and what its user
 * may do to a relation. Facts for SELECTs of catalog/views.tbl are JSON, an array
 * with an array for each row. */
#include <stdio.h>
#include <string.h>

#include "sql/session.h"
#include "sql/syscat.h"

/* ---- activity ---------------------------------------------------------------------- */

static bool
is_live(const struct sql_session *sess)
{
    return sess->portal != NULL && (sess->portal->live || sess->portal->bound.live);
}

static const char *
state_of(const struct sql_session *sess)
{
    if (sql_busy(sess))
        return is_live(sess) ? "streaming" : "active";
    return sess->status == 'T'   ? "idle in transaction"
           : sess->status == 'E' ? "idle in transaction (aborted)"
                                 : "idle";
}

enum { QUERY_SHOWN = 1024 }; /* bytes, as PostgreSQL's track_activity_query_size */

/* A session waits for its client, or, while something runs, for what it reads. */
static void
wait_of(const struct sql_session *sess, struct engine_activity *out)
{
    bool client = !sql_busy(sess) || sess->full || sess->task == TASK_COPY_IN;
    if (!client && !sess->parked && sess->task != TASK_DDL)
        return;
    out->wait_type = client ? "Client" : is_live(sess) ? "Activity" : "IO";
    out->wait = sess->full ? "ClientWrite" : client ? "ClientRead" : is_live(sess) ? "LogEnd" : "Engine";
}

static void
tell_activity(const void *of, struct engine_activity *out)
{
    const struct sql_session *sess = of;
    out->application = sess->settings.values[SET_APPLICATION_NAME];
    out->state = state_of(sess);
    wait_of(sess, out);
    out->query = sess->activity.query;
    out->xact_start_us = sess->now_us;
    out->query_start_us = sess->activity.query_start_us;
    out->state_change_us = sess->activity.changed_us;
}

void
session_active(struct sql_session *sess, struct str query)
{
    struct session_activity *now = &sess->activity;
    size_t len = OX_MIN(query.len, (size_t)QUERY_SHOWN - 1);
    if (len >= now->query_cap) {
        ox_free(now->query);
        now->query = ox_malloc(len + 1);
        now->query_cap = len + 1;
    }
    while (len < query.len && len > 0 && ((unsigned char)query.ptr[len] & 0xC0) == 0x80)
        len--;
    memcpy(now->query, query.len ? query.ptr : "", len);
    now->query[len] = '\0';
    now->query_start_us = now->changed_us = session_wall_us(sess);
}

void
session_idle(struct sql_session *sess)
{
    sess->activity.changed_us = session_wall_us(sess);
}

/* ---- privileges -------------------------------------------------------------------- */

static enum engine_op
op_of(const char *privilege)
{
    static const struct {
        const char *name;
        enum engine_op op;
    } ops[] = {{"SELECT", ENGINE_READ}, {"INSERT", ENGINE_WRITE}, {"DELETE", ENGINE_DELETE},
        {"TRUNCATE", ENGINE_DELETE}};
    for (size_t i = 0; i < ox_count(ops); i++)
        if (strcmp(privilege, ops[i].name) == 0)
            return ops[i].op;
    return ENGINE_ALTER;
}

static bool
is_allowed(struct engine_session *who, uint32_t oid, const char *privilege)
{
    const struct meta_view *view = engine_view(who->engine);
    enum engine_op op = op_of(privilege);
    for (uint32_t i = 0; i < view->topic_count; i++) {
        const struct meta_topic *topic = meta_view_topic_at(view, i);
        if (topic->oid == oid)
            return engine_allowed(who, ENGINE_TOPIC, topic->name, op);
    }
    for (uint32_t i = 0; i < syscat_relation_count; i++)
        if (syscat_relations[i].oid == oid && op == ENGINE_READ &&
            strcmp(syscat_relations[i].schema, "oxbow") != 0)
            return true;
    return engine_allowed(who, ENGINE_CLUSTER, OX_STR("kafka-cluster"),
        op == ENGINE_READ ? ENGINE_DESCRIBE : ENGINE_ALTER);
}

/* Another user is asked for as if it came from where the session came from. */
static bool
may(void *self, struct str user, uint32_t oid, const char *privilege)
{
    struct sql_session *sess = self;
    struct engine_session *own = sess->config.engine, other;
    if (user.ptr == NULL || ox_str_is(user, sess->user))
        return is_allowed(own, oid, privilege);
    engine_session_init(&other, own->engine, own->loop, own->door, own->listener, own->host,
        own->conn_id);
    snprintf(other.principal, sizeof(other.principal), "User:%.*s", OX_STR_ARG(user));
    bool allowed = is_allowed(&other, oid, privilege);
    engine_session_fini(&other);
    return allowed;
}

/* ---- rows -------------------------------------------------------------------------- */

static void
begin_row(struct text *to)
{
    ox_text_adds(to, to->len > 1 ? ",[" : "[");
}

static void
add_cell(struct text *to, const char *value, bool last)
{
    if (value != NULL)
        json_quote(ox_str(value), to);
    else
        ox_text_adds(to, "null");
    ox_text_addc(to, last ? ']' : ',');
}

static void
add_types(struct text *to, const struct type *types, const struct sql_column *columns,
    uint32_t count)
{
    ox_text_adds(to, "\"{");
    for (uint32_t i = 0; i < count; i++)
        ox_text_addf(to, "%s%u", i > 0 ? "," : "", type_oid(types != NULL ? types[i] : columns[i].type));
    ox_text_adds(to, "}\",");
}

static void
prepared_rows(struct sql_session *sess, struct text *to)
{
    uint32_t at = 0;
    struct map_entry *entry;
    struct ox_err err;
    while ((entry = ox_map_next(&sess->statements, &at)) != NULL) {
        struct statement *stmt = entry->value;
        if (stmt->name[0] == '\0')
            continue;
        statement_describe(sess, stmt, &err); /* one that fails has no types */
        begin_row(to);
        add_cell(to, stmt->name, false);
        json_quote(stmt->parse.text, to);
        ox_text_addf(to, ",%lld,", (long long)stmt->made_us);
        add_types(to, stmt->param_types, NULL, stmt->param_count);
        add_types(to, NULL, stmt->columns, stmt->has_result ? stmt->column_count : 0);
        ox_text_addf(to, "%d]", stmt->from_sql);
    }
}

static void
cursor_rows(struct sql_session *sess, struct text *to)
{
    uint32_t at = 0;
    struct map_entry *entry;
    while ((entry = ox_map_next(&sess->portals, &at)) != NULL) {
        const struct portal *portal = entry->value;
        if (portal->name == NULL || portal->name[0] == '\0')
            continue;
        begin_row(to);
        add_cell(to, portal->name, false);
        json_quote(portal_source(portal), to);
        ox_text_addf(to, ",%d,%d,0,%lld]", portal->hold,
            portal->formats != NULL && portal->result.count > 0 && portal->formats[0] == 1,
            (long long)portal->made_us);
    }
}

/* "a|b c" as an array of text. */
static const char *
choices_of(const char *choices, struct arena *arena)
{
    struct text text;
    if (choices == NULL)
        return NULL;
    ox_text_init(&text, arena);
    ox_text_adds(&text, "{\"");
    for (const char *c = choices; *c != '\0'; c++)
        if (*c == '|')
            ox_text_adds(&text, "\",\"");
        else
            ox_text_addc(&text, *c);
    ox_text_adds(&text, "\"}");
    ox_text_addc(&text, '\0');
    return ox_text_str(&text).ptr;
}

static void
setting_rows(struct sql_session *sess, struct text *to)
{
    struct setting_state state;
    struct arena arena;
    ox_arena_init(&arena);
    for (int i = 0; settings_state(sess, i, &arena, &state); i++) {
        char least[24] = "", most[24] = "";
        if (state.number) {
            snprintf(least, sizeof(least), "%lld", (long long)state.min);
            snprintf(most, sizeof(most), "%lld", (long long)state.max);
        }
        begin_row(to);
        add_cell(to, state.name, false);
        add_cell(to, state.value, false);
        add_cell(to, state.unit, false);
        add_cell(to, state.doc, false);
        add_cell(to, state.fixed ? "internal" : "user", false);
        add_cell(to, state.type, false);
        add_cell(to, state.source, false);
        add_cell(to, state.number ? least : NULL, false);
        add_cell(to, state.number ? most : NULL, false);
        add_cell(to, choices_of(state.choices, &arena), false);
        add_cell(to, state.fallback, false);
        add_cell(to, state.reset, true);
    }
    ox_arena_fini(&arena);
}

/* Who asks, and whether everybody's statements may be shown. */
static void
self_row(struct sql_session *sess, struct text *to)
{
    bool all = engine_allowed(sess->config.engine, ENGINE_CLUSTER, OX_STR("kafka-cluster"),
        ENGINE_ALTER);
    begin_row(to);
    add_cell(to, sess->user, false);
    ox_text_addf(to, "%d]", all);
}

static void
give_facts(void *self, struct str what, struct text *to)
{
    static const struct {
        const char *name;
        void (*rows)(struct sql_session *sess, struct text *to);
    } facts[] = {{"prepared", prepared_rows}, {"cursors", cursor_rows},
        {"settings", setting_rows}, {"self", self_row}};
    ox_text_addc(to, '[');
    for (size_t i = 0; i < ox_count(facts); i++)
        if (ox_str_is(what, facts[i].name))
            facts[i].rows(self, to);
    ox_text_addc(to, ']');
}

void
session_facts_init(struct sql_session *sess)
{
    sess->info.may = may;
    sess->info.facts = give_facts;
    sess->config.engine->activity_of = sess;
    sess->config.engine->activity = tell_activity;
    session_idle(sess);
}
