/* SPDX-License-Identifier: Apache-2.0
 *
 * Statements on topics: CREATE, ALTER, DROP, TRUNCATE, DELETE, COMMENT ON TOPIC,
 * DESCRIBE, ALTER SYSTEM. Each is a list of steps, one engine call a step, run one after the
 * other; the first failure ends the statement. A worker derives the keys of a role's new
 * password before there are steps.
 *
 *   ddl_start [-> worker] -> step -> engine call --done--> next step ... -> session_complete */
#include <stdio.h>

#include "base/check.h"
#include "base/param.h"
#include "sql/session.h"

enum step_kind { STEP_CREATE, STEP_DELETE, STEP_PARTITIONS, STEP_CONFIG, STEP_COMMENT, STEP_TRUNCATE,
    STEP_SECURITY };

struct step {
    enum step_kind kind;
    struct str topic;
    int32_t number; /* partitions */
    int16_t replicas;
    struct engine_config_kv *configs;
    uint32_t config_count;
    struct engine_cut *cuts; /* of STEP_TRUNCATE: cut_count of them */
    uint32_t cut_count;
    struct str text;  /* a comment */
    int8_t resource;  /* of STEP_CONFIG */
    bool if_missing;  /* CREATE ... IF NOT EXISTS */
    const struct meta_security_change *changes; /* of STEP_SECURITY: change_count of them */
    uint32_t change_count;
};

/* What a worker does for CREATE and ALTER ROLE ... PASSWORD. */
struct derivation {
    struct pool_job job;
    struct ddl_task *task;
    const struct ast_stmt *stmt; /* lives as long as the session waits for it */
    struct roles_keys keys;
    ox_code code;
    struct ox_err err;
};

struct ddl_task {
    struct sql_session *sess; /* NULL: the session is gone, the answer is dropped */
    struct arena arena;
    const char *tag;
    struct step *steps;
    uint32_t count, at;
    size_t cap;
    struct engine_session *engine;
    bool running; /* an engine call is out */
    struct derivation *derivation; /* or NULL */
    union {
        struct engine_topic_create create;
        struct engine_topic_delete drop;
        struct engine_partitions_create partitions;
        struct engine_config_alter config;
        struct engine_topic_comment comment;
        struct engine_truncate truncate;
        struct engine_security security;
    } call;
};

static void run_steps(struct ddl_task *task);

/* ---- running ---- */

static void
task_free(struct ddl_task *task)
{
    struct derivation *derivation = task->derivation;
    if (derivation != NULL) {
        auth_wipe((void *)(uintptr_t)derivation->keys.password.ptr, derivation->keys.password.len);
        auth_wipe(derivation, sizeof(*derivation));
        ox_free(derivation);
    }
    ox_arena_fini(&task->arena);
    ox_free(task);
}

static void
task_end(struct ddl_task *task, const struct ox_err *err)
{
    struct sql_session *sess = task->sess;
    char tag[64];
    struct ox_err copy;
    snprintf(tag, sizeof(tag), "%s", task->tag);
    if (err != NULL)
        copy = *err;
    task_free(task);
    if (sess == NULL)
        return;
    sess->ddl = NULL;
    if (err != NULL)
        session_fail(sess, &copy);
    else
        session_complete(sess, tag);
}

static void
step_done(struct engine_admin *admin)
{
    struct ddl_task *task = ox_container_of((void *)admin, struct ddl_task, call);
    const struct step *step = &task->steps[task->at];
    struct ox_err err = admin->err;
    ox_code code = admin->code;
    task->running = false;
    engine_admin_fini(admin);
    if (code == OX_TOPIC_EXISTS && step->kind == STEP_CREATE && step->if_missing) {
        if (task->sess != NULL)
            session_notice(task->sess, "NOTICE", OX_TOPIC_EXISTS,
                "topic \"%.*s\" already exists, skipping", OX_STR_ARG(step->topic));
        code = OX_OK;
    }
    if (code != OX_OK || task->sess == NULL) {
        task_end(task, code != OX_OK ? &err : NULL);
        return;
    }
    task->at++;
    run_steps(task);
}

static void
admin_prepare(struct ddl_task *task, struct engine_admin *admin)
{
    memset(&task->call, 0, sizeof(task->call));
    admin->sess = task->engine;
    admin->done = step_done;
}

/* Starts one step; true: it is finished already. */
static bool
start_step(struct ddl_task *task, const struct step *step)
{
    switch (step->kind) {
    case STEP_CREATE:
        admin_prepare(task, &task->call.create.admin);
        task->call.create.name = step->topic;
        task->call.create.partitions = step->number;
        task->call.create.replication_factor = step->replicas;
        task->call.create.configs = step->configs;
        task->call.create.config_count = step->config_count;
        return engine_topic_create(&task->call.create);
    case STEP_DELETE:
        admin_prepare(task, &task->call.drop.admin);
        task->call.drop.name = step->topic;
        return engine_topic_delete(&task->call.drop);
    case STEP_PARTITIONS:
        admin_prepare(task, &task->call.partitions.admin);
        task->call.partitions.name = step->topic;
        task->call.partitions.count = step->number;
        return engine_partitions_create(&task->call.partitions);
    case STEP_CONFIG:
        admin_prepare(task, &task->call.config.admin);
        task->call.config.resource = step->resource;
        task->call.config.name = step->topic;
        task->call.config.changes = step->configs;
        task->call.config.change_count = step->config_count;
        return engine_config_alter(&task->call.config);
    case STEP_COMMENT:
        admin_prepare(task, &task->call.comment.admin);
        task->call.comment.name = step->topic;
        task->call.comment.text = step->text;
        return engine_topic_comment(&task->call.comment);
    case STEP_TRUNCATE:
        admin_prepare(task, &task->call.truncate.admin);
        task->call.truncate.cuts = step->cuts;
        task->call.truncate.cut_count = step->cut_count;
        return engine_truncate(&task->call.truncate);
    case STEP_SECURITY:
        admin_prepare(task, &task->call.security.admin);
        task->call.security.changes = step->changes;
        task->call.security.change_count = step->change_count;
        return engine_security(&task->call.security);
    }
    ox_unreachable();
}

static void
run_steps(struct ddl_task *task)
{
    if (task->at == task->count) {
        task_end(task, NULL);
        return;
    }
    task->running = true;
    if (start_step(task, &task->steps[task->at]))
        step_done((struct engine_admin *)&task->call);
}

/* ---- making steps ---- */

static struct step *
add_step(struct ddl_task *task, enum step_kind kind, struct str topic)
{
    ox_arena_grow(&task->arena, (void **)&task->steps, &task->cap, task->count + 1,
        sizeof(*task->steps));
    struct step *step = &task->steps[task->count++];
    *step = (struct step){.kind = kind, .topic = ox_str_dup(&task->arena, topic), .number = -1,
        .replicas = -1, .text = OX_STR_NULL, .resource = META_RESOURCE_TOPIC};
    return step;
}

static void
add_config(struct ddl_task *task, struct step *step, struct str name, struct str value, int8_t op)
{
    struct engine_config_kv *configs =
        ox_arena_array(&task->arena, struct engine_config_kv, step->config_count + 1);
    for (uint32_t i = 0; i < step->config_count; i++)
        configs[i] = step->configs[i];
    configs[step->config_count++] = (struct engine_config_kv){ox_str_dup(&task->arena, name),
        ox_str_dup(&task->arena, value), op};
    step->configs = configs;
}

/* A setting of a topic as people write it: 7 days, '1GiB', on, lz4. */
static ox_code
add_option(struct ddl_task *task, struct step *step, const struct ast_option *option,
    struct ox_err *err)
{
    struct text text;
    struct str canonical;
    const struct param *param = param_find(PARAM_SCOPE_TOPIC, option->name);
    if (param == NULL) {
        ox_fail(err, OX_UNDEFINED_OBJECT, "there is no topic setting \"%.*s\"",
            OX_STR_ARG(option->name));
        ox_hint(err, "oxbow.configs lists the settings of topics.");
        return err->code;
    }
    ox_text_init(&text, &task->arena);
    ox_code code = OX_OK;
    if (option->value != NULL)
        code = utility_text(option->value, &text);
    else
        ox_text_adds(&text, "true");
    if (code == OX_OK)
        code = param_canonical(param, PARAM_PEOPLE, ox_text_str(&text), &task->arena, &canonical,
            err);
    else
        ox_fail(err, code, "value of \"%.*s\" is not a constant", OX_STR_ARG(option->name));
    if (code == OX_OK)
        add_config(task, step, ox_str(param_wire_name(param)), canonical, META_CONFIG_SET);
    return code;
}

static ox_code
constant_int(struct ddl_task *task, const struct ast_expr *expr, const char *what, int32_t *out,
    struct ox_err *err)
{
    struct bind_config config;
    struct datum value;
    bind_config_of(task->sess, OX_STR(""), NULL, 0, &config);
    ox_code code = bind_constant(&config, expr, TYPE(TYPE_INT4), &task->arena, &value, err);
    if (code == OX_OK && value.null)
        return ox_fail(err, OX_NULL_VALUE_NOT_ALLOWED, "number of %s must not be null", what);
    if (code == OX_OK)
        *out = (int32_t)value.i;
    return code;
}

static ox_code
add_retain(struct ddl_task *task, struct step *step, const struct ast_expr *age,
    const struct ast_expr *size, bool all, struct ox_err *err)
{
    struct bind_config config;
    struct datum value;
    char text[32];
    ox_code code = OX_OK;
    bind_config_of(task->sess, OX_STR(""), NULL, 0, &config);
    if (all) {
        add_config(task, step, OX_STR("retention.ms"), OX_STR("-1"), META_CONFIG_SET);
        add_config(task, step, OX_STR("retention.bytes"), OX_STR("-1"), META_CONFIG_SET);
    }
    if (age != NULL) {
        code = bind_constant(&config, age, TYPE(TYPE_INTERVAL), &task->arena, &value, err);
        if (code != OX_OK)
            return code;
        if (value.null)
            return ox_fail(err, OX_NULL_VALUE_NOT_ALLOWED, "RETAIN FOR must not be null");
        struct interval interval = datum_interval(&value);
        __int128 us = interval_length(&interval);
        if (us <= 0)
            return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "RETAIN FOR needs a positive interval");
        snprintf(text, sizeof(text), "%lld", (long long)((us + 999) / 1000));
        add_config(task, step, OX_STR("retention.ms"), ox_str(text), META_CONFIG_SET);
    }
    if (size != NULL) {
        struct ast_option option = {.name = OX_STR("retention_bytes"),
            .value = (struct ast_expr *)size};
        code = add_option(task, step, &option, err);
    }
    return code;
}

static ox_code
served_clauses(ox_code code, struct ox_err *err)
{
    ox_hint(err, "PARTITIONS, REPLICAS, RETAIN and WITH (...) are served.");
    return code;
}

static ox_code
make_create(struct ddl_task *task, const struct ast_create_topic *ast, struct ox_err *err)
{
    const struct ast_name *name = ast->name;
    struct str topic = name->parts[name->count - 1];
    int32_t number = -1;
    task->tag = "CREATE TOPIC";
    if (ast->refused.text.len > 0)
        return served_clauses(ox_fail(err, OX_FEATURE_NOT_SUPPORTED,
                                  "CREATE TOPIC ... %.*s belongs to typed topics, which are not "
                                  "served yet", OX_STR_ARG(ast->refused.text)), err);
    if (ast->columns != NULL && ast->columns->count > 0) {
        ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "topics with declared columns are not supported");
        return ox_hint(err, "Create the topic without columns; read JSON fields with _value->>'field'.");
    }
    if (name->count > 1 && !ox_str_is(name->parts[name->count - 2], "public")) {
        struct text dotted;
        ox_text_init(&dotted, &task->arena);
        for (uint32_t i = 0; i < name->count; i++)
            ox_text_addf(&dotted, "%s%.*s", i ? "." : "", OX_STR_ARG(name->parts[i]));
        topic = ox_text_str(&dotted);
    }
    struct step *step = add_step(task, STEP_CREATE, topic);
    step->if_missing = ast->if_not_exists;
    ox_code code = OX_OK;
    if (ast->partitions != NULL)
        code = constant_int(task, ast->partitions, "partitions", &step->number, err);
    if (code == OX_OK && ast->partitions != NULL && step->number < 1)
        code = ox_fail(err, OX_INVALID_PARTITIONS, "a topic needs at least one partition");
    if (code == OX_OK && ast->replicas != NULL) {
        code = constant_int(task, ast->replicas, "replicas", &number, err);
        if (code == OX_OK && (number < 1 || number > INT16_MAX))
            code = ox_fail(err, OX_INVALID_REPLICATION_FACTOR,
                "number of replicas %d is not positive", number);
        step->replicas = (int16_t)number;
    }
    if (code == OX_OK)
        code = add_retain(task, step, ast->retain_for, ast->retain_size, ast->retain_all, err);
    for (size_t i = 0; ast->options != NULL && i < ast->options->count && code == OX_OK; i++)
        code = add_option(task, step, ast_at(ast->options, i, struct ast_option), err);
    return code;
}

/* The topic, or a notice with IF EXISTS (then *topic is NULL). */
static ox_code
find_topic(struct ddl_task *task, const struct ast_name *name, bool if_exists,
    const struct meta_topic **topic, struct ox_err *err)
{
    struct bind_config config;
    bind_config_of(task->sess, OX_STR(""), NULL, 0, &config);
    ox_code code = bind_topic(&config, name, topic, err);
    if (code != OX_OK && if_exists) {
        session_notice(task->sess, "NOTICE", OX_OK, "topic \"%.*s\" does not exist, skipping",
            OX_STR_ARG(name->parts[name->count - 1]));
        *topic = NULL;
        return OX_OK;
    }
    return code;
}

static ox_code
make_alter(struct ddl_task *task, const struct ast_alter_topic *ast, struct ox_err *err)
{
    const struct meta_topic *topic;
    task->tag = "ALTER TOPIC";
    ox_code code = find_topic(task, ast->name, ast->if_exists, &topic, err);
    if (code != OX_OK || topic == NULL)
        return code;
    struct step *step;
    switch (ast->kind) {
    case AST_ADD_PARTITIONS:
    case AST_SET_PARTITIONS:
        step = add_step(task, STEP_PARTITIONS, topic->name);
        code = constant_int(task, ast->number, "partitions", &step->number, err);
        if (code == OX_OK && ast->kind == AST_ADD_PARTITIONS) {
            if (step->number < 1)
                return ox_fail(err, OX_INVALID_PARTITIONS, "ADD PARTITIONS needs a positive number");
            step->number = (int32_t)OX_MIN(
                (int64_t)step->number + topic->partition_count, (int64_t)INT32_MAX);
        }
        return code;
    case AST_SET_OPTIONS:
        step = add_step(task, STEP_CONFIG, topic->name);
        for (size_t i = 0; i < ast->options->count && code == OX_OK; i++)
            code = add_option(task, step, ast_at(ast->options, i, struct ast_option), err);
        return code;
    case AST_RESET_OPTIONS:
        step = add_step(task, STEP_CONFIG, topic->name);
        for (size_t i = 0; i < ast->options->count; i++) {
            struct str name = ast_at(ast->options, i, struct ast_option)->name;
            const struct param *param = param_find(PARAM_SCOPE_TOPIC, name);
            if (param == NULL)
                return ox_fail(err, OX_UNDEFINED_OBJECT, "there is no topic setting \"%.*s\"",
                    OX_STR_ARG(name));
            add_config(task, step, ox_str(param_wire_name(param)), OX_STR_NULL,
                META_CONFIG_DELETE);
        }
        return OX_OK;
    case AST_RETAIN:
        step = add_step(task, STEP_CONFIG, topic->name);
        return add_retain(task, step, ast->retain_for, ast->retain_size, ast->retain_all, err);
    case AST_ALTER_REFUSED: break;
    }
    ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "ALTER TOPIC ... %.*s is not served yet",
        OX_STR_ARG(ast->refused.text));
    return ox_hint(err, "ADD PARTITIONS, SET PARTITIONS, SET (...), RESET (...) and RETAIN are served.");
}

/* One step for all, so that they are done together. */
static void
add_truncate(struct ddl_task *task, struct engine_cut *cuts, uint32_t count)
{
    if (count == 0)
        return;
    struct step *step = add_step(task, STEP_TRUNCATE, OX_STR_NULL);
    step->cuts = cuts;
    step->cut_count = count;
}

static ox_code
make_drop(struct ddl_task *task, const struct ast_stmt *stmt, struct ox_err *err)
{
    bool truncate = stmt->kind == AST_TRUNCATE;
    task->tag = truncate ? "TRUNCATE TABLE" : "DROP TOPIC";
    size_t count = stmt->drop.names->count;
    uint32_t cut_count = 0;
    struct engine_cut *cuts = ox_arena_array(&task->arena, struct engine_cut, count);
    struct map seen; /* one that is named again */
    ox_code code = OX_OK;
    ox_map_init(&seen);
    for (size_t i = 0; i < count && code == OX_OK; i++) {
        const struct meta_topic *topic = NULL;
        code = find_topic(task, ast_at(stmt->drop.names, i, struct ast_name),
            stmt->drop.if_exists, &topic, err);
        if (code != OX_OK || topic == NULL || ox_map_put(&seen, topic->name, task) != NULL)
            continue;
        if (topic->internal)
            code = ox_fail(err, OX_INSUFFICIENT_PRIVILEGE, "topic \"%s\" is internal",
                topic->name.ptr);
        else if (truncate)
            cuts[cut_count++] = (struct engine_cut){ox_str_dup(&task->arena, topic->name), NULL, 0};
        else
            add_step(task, STEP_DELETE, topic->name);
    }
    ox_map_fini(&seen);
    if (code == OX_OK)
        add_truncate(task, cuts, cut_count);
    return code;
}

/* ---- DELETE: the beginnings of partitions ---- */

struct prefix {
    int64_t partition; /* INT64_MIN: of each */
    int64_t end;       /* the first offset that stays */
};

static ox_code
not_a_prefix(const struct ast_expr *where, struct ox_err *err)
{
    ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "DELETE takes away the beginning of a log only");
    err->position = where->pos + 1;
    return ox_hint(err,
        "Write DELETE FROM topic [WHERE [_partition = p AND] _offset < n]; a tombstone "
        "(INSERT with a key and a NULL value) deletes a key of a compacted topic.");
}

/* One of: _partition = p, _offset < n, _offset <= n. */
static ox_code
read_prefix(struct ddl_task *task, const struct ast_expr *where, struct prefix *out,
    struct ox_err *err)
{
    struct bind_config config;
    struct datum value, exact;
    if (where->kind != AST_OP || where->a == NULL || where->a->kind != AST_COLUMN ||
        where->a->name->count != 1)
        return not_a_prefix(where, err);
    struct str column = where->a->name->parts[0];
    bool partition = ox_str_is(column, "_partition") && ox_str_is(where->text, "=");
    bool less = ox_str_is(where->text, "<"), most = ox_str_is(where->text, "<=");
    if (!partition && !(ox_str_is(column, "_offset") && (less || most)))
        return not_a_prefix(where, err);
    bind_config_of(task->sess, OX_STR(""), NULL, 0, &config);
    ox_code code = bind_constant(&config, where->b, TYPE(TYPE_INT8), &task->arena, &value, err);
    if (code == OX_OK)
        code = bind_constant(&config, where->b, TYPE(TYPE_NUMERIC), &task->arena, &exact, err);
    if (code != OX_OK) {
        err->position = where->b->pos + 1;
        return code;
    }
    struct datum whole = datum_str(numeric_from_i64(value.null ? 0 : value.i, &task->arena));
    if (!value.null && datum_compare(TYPE(TYPE_NUMERIC), &exact, &whole) != 0)
        return not_a_prefix(where, err); /* rounded, it would be of other records */
    bool other = partition && (value.i < 0 || (out->partition >= 0 && out->partition != value.i));
    if (value.null || other)
        out->end = 0; /* true of no record */
    else if (partition)
        out->partition = value.i;
    else
        out->end = OX_MIN(out->end, most && value.i < INT64_MAX ? value.i + 1 : value.i);
    return OX_OK;
}

static ox_code
read_prefixes(struct ddl_task *task, const struct ast_expr *where, struct prefix *out,
    struct ox_err *err)
{
    *out = (struct prefix){INT64_MIN, INT64_MAX};
    if (where == NULL)
        return OX_OK;
    if (where->kind != AST_AND)
        return read_prefix(task, where, out, err);
    for (size_t i = 0; i < where->list->count; i++) {
        ox_code code = read_prefix(task, ast_at(where->list, i, struct ast_expr), out, err);
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

static ox_code
make_delete(struct ddl_task *task, const struct ast_stmt *stmt, struct ox_err *err)
{
    const struct meta_topic *topic;
    struct prefix prefix;
    int64_t count = 0;
    ox_code code = find_topic(task, stmt->delete.name, false, &topic, err);
    if (code == OX_OK)
        code = read_prefixes(task, stmt->delete.where, &prefix, err);
    if (code != OX_OK)
        return code;
    if (topic->internal)
        return ox_fail(err, OX_INSUFFICIENT_PRIVILEGE, "topic \"%s\" is internal", topic->name.ptr);
    struct engine_cut *cut = ox_arena_new(&task->arena, struct engine_cut);
    int64_t *starts = ox_arena_array(&task->arena, int64_t, topic->partition_count);
    *cut = (struct engine_cut){ox_str_dup(&task->arena, topic->name), starts,
        topic->partition_count};
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        struct partition_state state;
        starts[i] = -1;
        struct partition *part = replica_partition(
            engine_replica(task->engine->engine), &topic->id, (int32_t)i);
        if (part == NULL || (prefix.partition != INT64_MIN && prefix.partition != (int64_t)i))
            continue;
        partition_state(part, &state);
        int64_t end = OX_MIN(prefix.end, state.high_watermark);
        if (end <= state.log_start)
            continue;
        starts[i] = end;
        count += end - state.log_start;
    }
    add_truncate(task, cut, count > 0);
    task->tag = ox_arena_printf(&task->arena, "DELETE %lld", (long long)count);
    return OX_OK;
}

static ox_code
make_comment(struct ddl_task *task, const struct ast_stmt *stmt, struct ox_err *err)
{
    const struct meta_topic *topic;
    task->tag = "COMMENT";
    ox_code code = find_topic(task, stmt->comment.name, false, &topic, err);
    if (code == OX_OK)
        add_step(task, STEP_COMMENT, topic->name)->text =
            ox_str_dup(&task->arena, stmt->comment.text);
    return code;
}

static ox_code
make_alter_system(struct ddl_task *task, const struct ast_stmt *stmt, struct ox_err *err)
{
    struct text text;
    struct str canonical;
    task->tag = "ALTER SYSTEM";
    struct step *step = add_step(task, STEP_CONFIG, OX_STR(""));
    step->resource = META_RESOURCE_BROKER;
    if (stmt->set.all)
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "ALTER SYSTEM RESET ALL is not supported");
    struct str listener = OX_STR_NULL;
    const struct param *param = param_find(PARAM_SCOPE_SERVER, stmt->set.name);
    if (param == NULL)
        param = meta_listener_param(stmt->set.name, &listener);
    if (param == NULL)
        return ox_fail(err, OX_UNDEFINED_OBJECT, "unrecognized configuration parameter \"%.*s\"",
            OX_STR_ARG(stmt->set.name));
    struct str name = listener.ptr != NULL ? stmt->set.name : ox_str(param_wire_name(param));
    if (param->change == PARAM_RESTART && listener.ptr == NULL) {
        ox_fail(err, OX_CANT_CHANGE_RUNTIME_PARAM,
            "parameter \"%s\" cannot be changed without restarting the server", param->name);
        return ox_hint(err, "Set it in oxbow.conf.");
    }
    if (stmt->set.values == NULL) {
        add_config(task, step, name, OX_STR_NULL, META_CONFIG_DELETE);
        return OX_OK;
    }
    ox_text_init(&text, &task->arena);
    ox_code code = OX_OK;
    for (size_t i = 0; i < stmt->set.values->count && code == OX_OK; i++) {
        if (i > 0)
            ox_text_addc(&text, ',');
        code = utility_text(ast_at(stmt->set.values, i, struct ast_expr), &text);
    }
    if (code != OX_OK)
        return ox_fail(err, code, "value of \"%s\" is not a constant", param->name);
    code = param_canonical(param, PARAM_PEOPLE, ox_text_str(&text), &task->arena, &canonical, err);
    if (code == OX_OK)
        add_config(task, step, name, canonical, META_CONFIG_SET);
    return code;
}

static void
derive_work(struct pool_job *job)
{
    struct derivation *derivation = ox_container_of(job, struct derivation, job);
    derivation->code = roles_keys_derive(&derivation->keys, &derivation->err);
}

static ox_code make_security(struct ddl_task *task, const struct ast_stmt *stmt,
    struct ox_err *err);

/* Rights and roles may be others than before. */
static void
derive_done(struct pool_job *job)
{
    struct derivation *derivation = ox_container_of(job, struct derivation, job);
    struct ddl_task *task = derivation->task;
    struct ox_err err = derivation->err;
    ox_code code = derivation->code;
    if (code == OX_OK && task->sess != NULL)
        code = make_security(task, derivation->stmt, &err);
    if (code != OX_OK || task->sess == NULL)
        task_end(task, code != OX_OK ? &err : NULL);
    else
        run_steps(task);
}

static void
derive_keys(struct ddl_task *task, const struct ast_stmt *stmt, struct str password)
{
    struct derivation *derivation = ox_calloc(1, sizeof(*derivation));
    const struct env *env = engine_env(task->engine->engine);
    derivation->job.work = derive_work;
    derivation->job.done = derive_done;
    derivation->task = task;
    derivation->stmt = stmt;
    derivation->keys.password = ox_str_dup(&task->arena, password);
    env_random(env, derivation->keys.salts, sizeof(derivation->keys.salts));
    task->derivation = derivation;
}

static ox_code
make_security(struct ddl_task *task, const struct ast_stmt *stmt, struct ox_err *err)
{
    struct derivation *derivation = task->derivation;
    struct roles_work work = {.sess = task->sess, .engine = task->engine, .arena = &task->arena,
        .keys = derivation != NULL ? &derivation->keys : NULL};
    ox_code code = roles_read(&work, stmt, err);
    task->tag = work.tag;
    if (code == OX_OK && derivation == NULL && work.password.len > 0)
        derive_keys(task, stmt, work.password);
    else if (code == OX_OK && work.count > 0) {
        struct step *step = add_step(task, STEP_SECURITY, OX_STR(""));
        step->changes = work.changes;
        step->change_count = (uint32_t)work.count;
    }
    return code;
}

static ox_code
make_steps(struct ddl_task *task, const struct ast_stmt *stmt, struct ox_err *err)
{
    switch (stmt->kind) {
    case AST_CREATE_TOPIC: return make_create(task, stmt->create_topic, err);
    case AST_ALTER_TOPIC: return make_alter(task, stmt->alter_topic, err);
    case AST_DROP_TOPIC:
    case AST_TRUNCATE: return make_drop(task, stmt, err);
    case AST_DELETE: return make_delete(task, stmt, err);
    case AST_COMMENT: return make_comment(task, stmt, err);
    case AST_ALTER_SYSTEM: return make_alter_system(task, stmt, err);
    case AST_CREATE_ROLE:
    case AST_ALTER_ROLE:
    case AST_DROP_ROLE:
    case AST_ALTER_QUOTA:
    case AST_GRANT:
    case AST_REVOKE: return make_security(task, stmt, err);
    default: ox_unreachable();
    }
}

ox_code
ddl_start(struct sql_session *sess, const struct ast_stmt *stmt, struct ox_err *err)
{
    struct ddl_task *task = ox_calloc(1, sizeof(*task));
    ox_arena_init(&task->arena);
    task->sess = sess;
    task->engine = sess->config.engine;
    ox_code code = make_steps(task, stmt, err);
    if (code != OX_OK) {
        task_free(task);
        return code;
    }
    if (sess->explicit_block)
        session_notice(sess, "WARNING", OX_ACTIVE_TRANSACTION,
            "%s takes effect at once and is not rolled back", task->tag);
    sess->ddl = task;
    sess->task = TASK_DDL;
    if (task->derivation != NULL)
        loop_pool_submit(sess->loop, &task->derivation->job);
    else
        run_steps(task);
    return OX_OK;
}

void
ddl_forget(struct sql_session *sess)
{
    if (sess->ddl != NULL)
        sess->ddl->sess = NULL; /* the call that is out ends it */
    sess->ddl = NULL;
}

/* ---- DESCRIBE TOPIC: the CREATE TOPIC that makes it ---- */

static void
describe_quoted(struct str value, struct text *out)
{
    ox_text_addc(out, '\'');
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\'')
            ox_text_addc(out, '\'');
        ox_text_addc(out, value.ptr[i]);
    }
    ox_text_addc(out, '\'');
}

static void
describe_options(const struct meta_topic *topic, struct text *out)
{
    const struct meta_config_set *own = topic->own;
    for (uint32_t i = 0; own != NULL && i < own->count; i++) {
        const struct meta_config_item *item = &own->items[i];
        ox_text_addf(out, "%s\n    %s = ", i ? "," : "\nWITH (",
            item->param != NULL ? item->param->name : item->name.ptr);
        describe_quoted(item->value, out);
    }
    if (own != NULL && own->count > 0)
        ox_text_adds(out, "\n)");
}

ox_code
ddl_describe(struct portal *portal, struct ox_err *err)
{
    static const char *const names[] = {"Create Topic"};
    struct bind_config config;
    const struct meta_topic *topic;
    struct text text;
    bind_config_of(portal->sess, portal_source(portal), NULL, 0, &config);
    ox_code code = bind_topic(&config, ast_at(portal->ast->drop.names, 0, struct ast_name),
        &topic, err);
    if (code != OX_OK)
        return code;
    ox_text_init(&text, &portal->arena);
    bool plain = true;
    for (size_t i = 0; i < topic->name.len; i++)
        plain &= topic->name.ptr[i] == '_' ||
                 (topic->name.ptr[i] >= 'a' && topic->name.ptr[i] <= 'z') ||
                 (i > 0 && topic->name.ptr[i] >= '0' && topic->name.ptr[i] <= '9');
    ox_text_addf(&text, plain ? "CREATE TOPIC %s" : "CREATE TOPIC \"%s\"", topic->name.ptr);
    ox_text_addf(&text, "\nPARTITIONS %u\nREPLICAS %u", topic->partition_count,
        topic->partitions[0]->replica_count);
    describe_options(topic, &text);
    ox_text_addc(&text, ';');
    if (topic->comment.ptr != NULL) {
        ox_text_addf(&text, plain ? "\nCOMMENT ON TOPIC %s IS " : "\nCOMMENT ON TOPIC \"%s\" IS ",
            topic->name.ptr);
        describe_quoted(topic->comment, &text);
        ox_text_addc(&text, ';');
    }
    struct str *cell = ox_arena_new(&portal->arena, struct str);
    *cell = ox_text_str(&text);
    portal_texts(portal, names, 1, cell, 1);
    return OX_OK;
}
