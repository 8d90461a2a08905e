/* SPDX-License-Identifier: Apache-2.0
 *
 * CREATE, ALTER and DROP ROLE, ALTER QUOTA, GRANT, REVOKE: words become changes of users and
 * access rules, the same that Kafka's administrative requests make.
 *
 *     SELECT READ   INSERT WRITE   USAGE READ (of a group)   TRUNCATE DELETE
 *     the names of Kafka's operations stand for themselves
 *
 *     ON [TOPIC | TABLE] t, ... | TOPIC PREFIX 'p' | ALL TABLES IN SCHEMA public |
 *        GROUP g, ... | GROUP PREFIX 'p' | TRANSACTIONAL ID 'x' | CLUSTER
 *
 * A role that may log in is a user; its principal is User:name. */
#include <stdio.h>

#include "base/check.h"
#include "row/datetime.h"
#include "sql/session.h"

/* ---- words ---- */

struct words {
    const struct ast_list *list;
    size_t at;
};

static const struct ast_word *
peek(const struct words *words)
{
    bool more = words->list != NULL && words->at < words->list->count;
    return more ? ast_at(words->list, words->at, struct ast_word) : NULL;
}

/* Takes the next word if it is this one. */
static bool
take(struct words *words, const char *text)
{
    const struct ast_word *word = peek(words);
    if (word == NULL || word->kind == 's' || !ox_str_ieq(word->text, ox_str(text)))
        return false;
    words->at++;
    return true;
}

static ox_code
unexpected(const struct words *words, struct ox_err *err)
{
    const struct ast_word *word = peek(words);
    if (word == NULL)
        return ox_fail(err, OX_SYNTAX_ERROR, "syntax error at end of input");
    ox_code code = ox_fail(err, OX_SYNTAX_ERROR, "syntax error at or near \"%.*s\"",
        OX_STR_ARG(word->text));
    if (err != NULL && word->pos >= 0)
        err->position = word->pos + 1;
    return code;
}

static struct meta_security_change *
add_change(struct roles_work *work, int kind)
{
    ox_arena_grow(work->arena, (void **)&work->changes, &work->cap, work->count + 1,
        sizeof(work->changes[0]));
    struct meta_security_change *change = &work->changes[work->count++];
    memset(change, 0, sizeof(*change));
    change->kind = (int8_t)kind;
    return change;
}

static ox_code
may_alter_cluster(const struct roles_work *work, const char *what, struct ox_err *err)
{
    if (engine_allowed(work->engine, ENGINE_CLUSTER, OX_STR("kafka-cluster"), ENGINE_ALTER))
        return OX_OK;
    return ox_fail(err, OX_INSUFFICIENT_PRIVILEGE, "permission denied to %s", what);
}

/* ---- roles ---- */

struct role_options {
    struct meta_role role;
    bool given; /* anything of the role itself */
    struct str password;
    bool password_given, quota_given;
};

ox_code
roles_keys_derive(struct roles_keys *keys, struct ox_err *err)
{
    ox_code code = OX_OK;
    for (int i = 0; i < ROLES_KEYS && code == OX_OK; i++)
        code = auth_keys_derive(META_SCRAM_SHA_256 + i, keys->password,
            ox_str_n(keys->salts[i], AUTH_SALT_LEN), AUTH_ITERATIONS, &keys->keys[i], err);
    return code;
}

static ox_code
set_password(struct roles_work *work, struct str name, struct str password, struct ox_err *err)
{
    const struct meta_security *security = engine_view(work->engine->engine)->security;
    struct meta_scram scram;
    bool stored = false;
    for (int i = META_SCRAM_SHA_256; password.ptr == NULL && i <= META_SCRAM_SHA_512; i++)
        if (meta_security_scram(security, name, i) != NULL)
            add_change(work, META_SCRAM_DELETE)->scram =
                (struct meta_scram){.user = name, .mechanism = (int8_t)i};
    if (password.ptr == NULL)
        return OX_OK;
    if (password.len == 0)
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "password is empty");
    ox_code code = auth_scram_parse(name, password, work->arena, &scram, &stored, err);
    if (code != OX_OK)
        return code;
    if (stored) { /* the old password goes with the other mechanism */
        int other = META_SCRAM_SHA_256 + META_SCRAM_SHA_512 - scram.mechanism;
        add_change(work, META_SCRAM_PUT)->scram = scram;
        if (meta_security_scram(security, name, other) != NULL)
            add_change(work, META_SCRAM_DELETE)->scram =
                (struct meta_scram){.user = name, .mechanism = (int8_t)other};
        return OX_OK;
    }
    work->password = password;
    for (int i = 0; work->keys != NULL && i < ROLES_KEYS; i++)
        auth_scram_of_keys(name, META_SCRAM_SHA_256 + i, AUTH_ITERATIONS,
            ox_str_n(work->keys->salts[i], AUTH_SALT_LEN), &work->keys->keys[i], work->arena,
            &add_change(work, META_SCRAM_PUT)->scram);
    return OX_OK;
}

static ox_code
read_valid_until(struct roles_work *work, struct words *words, struct role_options *options,
    struct ox_err *err)
{
    const struct ast_word *word = peek(words);
    int64_t us;
    if (!take(words, "until") || (word = peek(words)) == NULL || word->kind != 's')
        return unexpected(words, err);
    words->at++;
    options->given = true;
    ox_code code = timestamp_in(word->text, true, &work->sess->settings.format, -1, &us, err);
    if (code == OX_OK) /* from microseconds since 2000 */
        options->role.valid_until_ms =
            us == TIME_INF ? -1 : OX_MAX(us / 1000 + INT64_C(946684800000), INT64_C(0));
    return code;
}

/* SET quota = number; RESET quota. */
static ox_code
read_quota(struct roles_work *work, struct words *words, const struct meta_quota *entity, bool set,
    struct ox_err *err)
{
    const struct ast_word *key = peek(words);
    struct meta_quota quota = *entity;
    if (key == NULL || key->kind != 'w')
        return unexpected(words, err);
    words->at++;
    quota.key = key->text;
    if (set && !take(words, "=") && !take(words, "to"))
        return unexpected(words, err);
    if (set) {
        const struct ast_word *number = peek(words);
        if (number == NULL || number->kind != 'n' || !ox_str_to_f64(number->text, &quota.value))
            return unexpected(words, err);
        words->at++;
    }
    ox_code code = engine_quota_check(&quota, set, err);
    if (code == OX_OK && set && quota.ip.len > 0 && !engine_is_address(quota.ip))
        code = ox_fail(err, OX_INVALID_REQUEST, "%.*s is not a valid IP or resolvable host.",
            OX_STR_ARG(quota.ip));
    if (code != OX_OK) {
        err->code = OX_INVALID_PARAMETER_VALUE;
        return err->code;
    }
    add_change(work, set ? META_QUOTA_SET : META_QUOTA_REMOVE)->quota = quota;
    return OX_OK;
}

static bool
read_flag(struct words *words, struct role_options *options)
{
    static const struct {
        const char *word;
        uint32_t flag;
        bool on;
    } flags[] = {{"login", META_ROLE_LOGIN, true}, {"nologin", META_ROLE_LOGIN, false},
        {"superuser", META_ROLE_SUPERUSER, true}, {"nosuperuser", META_ROLE_SUPERUSER, false},
        {"inherit", 0, true}, {"noinherit", 0, true}, {"nocreatedb", 0, true},
        {"nocreaterole", 0, true}, {"noreplication", 0, true}, {"nobypassrls", 0, true}};
    for (size_t i = 0; i < ox_count(flags); i++) {
        if (!take(words, flags[i].word))
            continue;
        options->role.flags = flags[i].on ? options->role.flags | flags[i].flag
                                          : options->role.flags & ~flags[i].flag;
        options->given = true;
        return true;
    }
    return false;
}

/* PostgreSQL's that would promise what there is not. */
static ox_code
refuse_option(struct words *words, struct ox_err *err)
{
    static const char *const refused[] = {"createdb", "createrole", "replication", "bypassrls",
        "connection", "in", "role", "admin", "sysid"};
    const struct ast_word *word = peek(words);
    for (size_t i = 0; i < ox_count(refused); i++)
        if (word->kind != 's' && ox_str_ieq(word->text, ox_str(refused[i])))
            return ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "option \"%s\" of a role is not "
                "supported", refused[i]);
    return unexpected(words, err);
}

static ox_code
read_options(struct roles_work *work, struct words *words, struct role_options *options,
    struct ox_err *err)
{
    take(words, "with");
    while (peek(words) != NULL) {
        ox_code code = OX_OK;
        if (read_flag(words, options))
            continue;
        take(words, "encrypted");
        if (take(words, "password")) {
            const struct ast_word *word = peek(words);
            options->password_given = true;
            if (word != NULL && word->kind == 's')
                options->password = word->text;
            else if (word == NULL || !ox_str_is(word->text, "null"))
                return unexpected(words, err);
            words->at++;
        } else if (take(words, "valid")) {
            code = read_valid_until(work, words, options, err);
        } else if (take(words, "set")) {
            code = read_quota(work, words, &(struct meta_quota){.user = options->role.name}, true,
                err);
            options->quota_given = true;
        } else if (take(words, "reset")) {
            code = read_quota(work, words, &(struct meta_quota){.user = options->role.name}, false,
                err);
            options->quota_given = true;
        } else {
            return refuse_option(words, err);
        }
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

static ox_code
check_role_rights(const struct roles_work *work, const struct role_options *options, bool create,
    uint32_t old_flags, struct ox_err *err)
{
    const char *self = work->engine->principal + 5;
    bool own = !create && !options->given && !options->quota_given &&
        ox_str_is(options->role.name, self);
    ox_code code = own ? OX_OK : may_alter_cluster(work, create ? "create role" : "alter role", err);
    bool super = ((options->role.flags | old_flags) & META_ROLE_SUPERUSER) != 0;
    if (code == OX_OK && super && !own && engine_authorizes(work->engine->engine) &&
        !engine_is_super(work->engine))
        code = ox_fail(err, OX_INSUFFICIENT_PRIVILEGE, "only super users may touch super users");
    return code;
}

/* The super user that there is without being made: who connects without a name. */
static bool
is_bootstrap(struct str name)
{
    return ox_str_is(name, "oxbow");
}

static ox_code
check_bootstrap(uint32_t lost, struct ox_err *err)
{
    if (lost == 0)
        return OX_OK;
    ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "permission denied to alter role");
    return ox_detail(err, "The bootstrap superuser must have the %s attribute.",
        lost & META_ROLE_SUPERUSER ? "SUPERUSER" : "LOGIN");
}

static ox_code
read_role(struct roles_work *work, const struct ast_stmt *stmt, bool create, struct ox_err *err)
{
    const struct meta_security *security = engine_view(work->engine->engine)->security;
    struct words words = {stmt->role.words, 0};
    struct str name = ast_at(stmt->role.names, 0, struct ast_token)->text;
    const struct meta_role *old = meta_security_role(security, name);
    struct role_options options = {.role = {.name = name, .valid_until_ms = -1}};
    bool bootstrap = is_bootstrap(name);
    uint32_t old_flags = old != NULL ? old->flags
                         : bootstrap ? META_ROLE_LOGIN | META_ROLE_SUPERUSER
                                     : 0;
    work->tag = create ? "CREATE ROLE" : "ALTER ROLE";
    if (old != NULL)
        options.role = *old;
    else if (bootstrap)
        options.role.flags = old_flags;
    else if (stmt->role.user || !create)
        options.role.flags = META_ROLE_LOGIN;
    ox_code code = read_options(work, &words, &options, err);
    if (code == OX_OK)
        code = check_role_rights(work, &options, create, old_flags, err);
    if (code != OX_OK)
        return code;
    bool known = old != NULL || bootstrap ||
        meta_security_scram(security, name, META_SCRAM_SHA_256) != NULL ||
        meta_security_scram(security, name, META_SCRAM_SHA_512) != NULL;
    if (bootstrap && !create)
        code = check_bootstrap(old_flags & ~options.role.flags, err);
    if (code != OX_OK)
        return code;
    if (create && known)
        return ox_fail(err, OX_DUPLICATE_OBJECT, "role \"%.*s\" already exists", OX_STR_ARG(name));
    if (!create && !known && !options.quota_given)
        return ox_fail(err, OX_UNDEFINED_OBJECT, "role \"%.*s\" does not exist", OX_STR_ARG(name));
    if (create || options.given) {
        struct meta_security_change *change = add_change(work, META_ROLE_PUT);
        change->mode = create ? META_PUT_NEW : META_PUT_ANY;
        change->role = options.role;
    }
    return options.password_given ? set_password(work, name, options.password, err) : OX_OK;
}

/* It would come back, and nobody else might be left to let users in. */
static ox_code
drop_bootstrap(const struct roles_work *work, struct str name, struct ox_err *err)
{
    if (ox_str_is(name, work->engine->principal + 5))
        return ox_fail(err, OX_OBJECT_IN_USE, "current user cannot be dropped");
    return ox_fail(err, OX_DEPENDENT_OBJECTS_EXIST,
        "cannot drop role %.*s because it is required by the database system", OX_STR_ARG(name));
}

static ox_code
drop_role(struct roles_work *work, const struct ast_stmt *stmt, struct ox_err *err)
{
    const struct meta_security *security = engine_view(work->engine->engine)->security;
    work->tag = "DROP ROLE";
    ox_code code = may_alter_cluster(work, "drop role", err);
    for (size_t i = 0; i < stmt->role.names->count && code == OX_OK; i++) {
        struct str name = ast_at(stmt->role.names, i, struct ast_token)->text;
        const struct meta_role *role = meta_security_role(security, name);
        size_t before = work->count;
        if (is_bootstrap(name))
            return drop_bootstrap(work, name, err);
        if (role != NULL && (role->flags & META_ROLE_SUPERUSER) != 0 &&
            engine_authorizes(work->engine->engine) && !engine_is_super(work->engine))
            return ox_fail(err, OX_INSUFFICIENT_PRIVILEGE, "only super users may touch super users");
        if (role != NULL)
            add_change(work, META_ROLE_DELETE)->role.name = name;
        for (int m = META_SCRAM_SHA_256; role == NULL && m <= META_SCRAM_SHA_512; m++)
            if (meta_security_scram(security, name, m) != NULL)
                add_change(work, META_SCRAM_DELETE)->scram =
                    (struct meta_scram){.user = name, .mechanism = (int8_t)m};
        if (work->count == before && stmt->role.if_exists)
            session_notice(work->sess, "NOTICE", OX_OK, "role \"%.*s\" does not exist, skipping",
                OX_STR_ARG(name));
        else if (work->count == before)
            code = ox_fail(err, OX_UNDEFINED_OBJECT, "role \"%.*s\" does not exist",
                OX_STR_ARG(name));
    }
    return code;
}

/* ---- quotas ---- */

/* USER name CLIENT name, or ADDRESS 'ip'; DEFAULT for a name: all that have no
 * quota of their own. */
static ox_code
read_entity(struct words *words, struct meta_quota *entity, struct ox_err *err)
{
    const struct {
        const char *word;
        struct str *part;
    } parts[] = {{"user", &entity->user}, {"client", &entity->client_id},
        {"address", &entity->ip}};
    for (;;) {
        size_t i = 0;
        take(words, ",");
        while (i < ox_count(parts) && !take(words, parts[i].word))
            i++;
        const struct ast_word *word = peek(words);
        if (i == ox_count(parts))
            break;
        if (word == NULL || parts[i].part->ptr != NULL)
            return unexpected(words, err);
        bool all = word->kind == 'k' && ox_str_is(word->text, "default");
        if (word->kind == 'k' && !all)
            return unexpected(words, err);
        *parts[i].part = all ? OX_STR("") : word->text;
        words->at++;
    }
    bool user = entity->user.ptr != NULL || entity->client_id.ptr != NULL;
    if (user == (entity->ip.ptr != NULL))
        return user ? ox_fail(err, OX_INVALID_PARAMETER_VALUE,
                          "an address has no quota together with a user or a client")
                    : unexpected(words, err);
    return OX_OK;
}

static ox_code
alter_quota(struct roles_work *work, const struct ast_stmt *stmt, struct ox_err *err)
{
    struct words words = {stmt->role.words, 0};
    struct meta_quota entity = {0};
    work->tag = "ALTER QUOTA";
    ox_code code = OX_OK;
    if (!engine_allowed(work->engine, ENGINE_CLUSTER, OX_STR("kafka-cluster"),
            ENGINE_ALTER_CONFIGS))
        code = ox_fail(err, OX_INSUFFICIENT_PRIVILEGE, "permission denied to alter quotas");
    take(&words, "for");
    if (code == OX_OK)
        code = read_entity(&words, &entity, err);
    if (code == OX_OK && peek(&words) == NULL)
        code = unexpected(&words, err);
    while (code == OX_OK && peek(&words) != NULL) {
        bool set = take(&words, "set");
        if (set || take(&words, "reset")) {
            do
                code = read_quota(work, &words, &entity, set, err);
            while (code == OX_OK && take(&words, ","));
        } else {
            code = unexpected(&words, err);
        }
    }
    return code;
}

/* ---- rights ---- */

enum { LISTED_MAX = 256 };

struct target {
    int8_t resource, pattern;
    struct str name;
};

struct grant {
    int8_t operations[32];
    size_t operation_count;
    bool all;
    struct target targets[LISTED_MAX];
    size_t target_count;
    struct str principals[LISTED_MAX];
    size_t principal_count;
};

static ox_code
read_rights(struct words words, struct grant *grant, struct ox_err *err)
{
    static const struct {
        const char *word;
        int8_t operation;
    } known[] = {{"select", ENGINE_READ}, {"insert", ENGINE_WRITE}, {"usage", ENGINE_READ},
        {"truncate", ENGINE_DELETE}, {"read", ENGINE_READ}, {"write", ENGINE_WRITE},
        {"create", ENGINE_CREATE}, {"delete", ENGINE_DELETE}, {"alter", ENGINE_ALTER},
        {"describe", ENGINE_DESCRIBE}, {"cluster_action", ENGINE_CLUSTER_ACTION},
        {"describe_configs", ENGINE_DESCRIBE_CONFIGS}, {"alter_configs", ENGINE_ALTER_CONFIGS},
        {"idempotent_write", ENGINE_IDEMPOTENT_WRITE}, {"two_phase_commit",
            ENGINE_TWO_PHASE_COMMIT}};
    if (take(&words, "all")) {
        take(&words, "privileges");
        grant->all = true;
        return peek(&words) == NULL ? OX_OK : unexpected(&words, err);
    }
    do {
        size_t i = 0;
        while (i < ox_count(known) && !take(&words, known[i].word))
            i++;
        const struct ast_word *word = peek(&words);
        if (i == ox_count(known) && word != NULL && word->kind != 'k')
            return ox_fail(err, OX_SYNTAX_ERROR, "unrecognized privilege type \"%.*s\"",
                OX_STR_ARG(word->text));
        if (i == ox_count(known) || grant->operation_count == ox_count(grant->operations))
            return unexpected(&words, err);
        grant->operations[grant->operation_count++] = known[i].operation;
    } while (take(&words, ","));
    return peek(&words) == NULL ? OX_OK : unexpected(&words, err);
}

static ox_code
add_target(struct grant *grant, int resource, int pattern, struct str name, struct ox_err *err)
{
    if (grant->target_count == LISTED_MAX)
        return ox_fail(err, OX_LIMIT_EXCEEDED, "more than %d objects are named", LISTED_MAX);
    grant->targets[grant->target_count++] =
        (struct target){(int8_t)resource, (int8_t)pattern, name};
    return OX_OK;
}

/* a, "b.c", public.d, 'e': names that need not exist yet. */
static ox_code
read_names(struct roles_work *work, struct words *words, struct grant *grant, int resource,
    struct ox_err *err)
{
    int pattern = take(words, "prefix") ? AUTH_PATTERN_PREFIXED : AUTH_PATTERN_LITERAL;
    do {
        const struct ast_word *word = peek(words);
        struct str name;
        if (word == NULL || (word->kind == 'k' && !ox_str_is(word->text, "*")))
            return unexpected(words, err);
        words->at++;
        name = word->text;
        while (take(words, ".")) {
            const struct ast_word *part = peek(words);
            if (part == NULL || part->kind == 'k')
                return unexpected(words, err);
            words->at++;
            name = ox_str_is(name, "public")
                       ? part->text
                       : ox_str(ox_arena_printf(work->arena, "%.*s.%.*s", OX_STR_ARG(name),
                             OX_STR_ARG(part->text)));
        }
        ox_code code = add_target(grant, resource, pattern, name, err);
        if (code != OX_OK)
            return code;
    } while (take(words, ","));
    return OX_OK;
}

static ox_code
read_targets(struct roles_work *work, struct words words, struct grant *grant,
    struct ox_err *err)
{
    ox_code code;
    if (take(&words, "all")) {
        if (!(take(&words, "tables") || take(&words, "topics")) || !take(&words, "in") ||
            !take(&words, "schema") || !take(&words, "public"))
            return unexpected(&words, err);
        code = add_target(grant, ENGINE_TOPIC, AUTH_PATTERN_LITERAL, OX_STR("*"), err);
    } else if (take(&words, "group")) {
        code = read_names(work, &words, grant, ENGINE_GROUP, err);
    } else if (take(&words, "cluster")) {
        code = add_target(grant, ENGINE_CLUSTER, AUTH_PATTERN_LITERAL, OX_STR("kafka-cluster"),
            err);
    } else if (take(&words, "transactional")) {
        if (!take(&words, "id"))
            return unexpected(&words, err);
        code = read_names(work, &words, grant, ENGINE_TRANSACTIONAL_ID, err);
    } else {
        if (!take(&words, "topic"))
            take(&words, "table");
        code = read_names(work, &words, grant, ENGINE_TOPIC, err);
    }
    return code != OX_OK || peek(&words) == NULL ? code : unexpected(&words, err);
}

static ox_code
read_principals(struct roles_work *work, struct words words, struct grant *grant,
    struct ox_err *err)
{
    do {
        take(&words, "role");
        const struct ast_word *word = peek(&words);
        if (word == NULL || word->kind == 'k' || grant->principal_count == LISTED_MAX)
            return unexpected(&words, err);
        words.at++;
        bool everybody = word->kind == 'w' && ox_str_is(word->text, "public");
        grant->principals[grant->principal_count++] = everybody
            ? OX_STR("User:*")
            : ox_str(ox_arena_printf(work->arena, "User:%.*s", OX_STR_ARG(word->text)));
    } while (take(&words, ","));
    if (take(&words, "with"))
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "WITH GRANT OPTION is not supported");
    take(&words, "cascade");
    take(&words, "restrict");
    return peek(&words) == NULL ? OX_OK : unexpected(&words, err);
}

/* Every right on every object for everybody named. */
static ox_code
add_rules(struct roles_work *work, const struct grant *grant, bool revoke, struct ox_err *err)
{
    const int8_t all = AUTH_OP_ALL;
    size_t count = grant->all ? 1 : grant->operation_count;
    const int8_t *operations = grant->all ? &all : grant->operations;
    for (size_t t = 0; t < grant->target_count; t++) {
        const struct target *target = &grant->targets[t];
        for (size_t o = 0; o < count; o++) {
            if (!auth_operation_fits(target->resource, operations[o]))
                return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
                    "this privilege is not one of \"%.*s\"", OX_STR_ARG(target->name));
            for (size_t p = 0; p < grant->principal_count; p++)
                add_change(work, revoke ? META_ACL_REMOVE : META_ACL_ADD)->acl =
                    (struct meta_acl){target->resource, target->pattern, operations[o],
                        AUTH_ALLOW, target->name, grant->principals[p], OX_STR("*")};
        }
    }
    return OX_OK;
}

/* REVOKE ALL takes away each right that was granted one by one. */
static void
revoke_all(struct roles_work *work, const struct grant *grant)
{
    const struct meta_security *security = engine_view(work->engine->engine)->security;
    for (uint32_t i = 0; i < security->acl_count; i++) {
        const struct meta_acl *acl = &security->acls[i];
        bool named = false, held = false;
        for (size_t t = 0; t < grant->target_count; t++)
            named |= meta_acl_cmp_name(acl, grant->targets[t].resource,
                         grant->targets[t].pattern, grant->targets[t].name) == 0;
        for (size_t p = 0; p < grant->principal_count; p++)
            held |= ox_str_eq(acl->principal, grant->principals[p]);
        if (named && held && acl->permission == AUTH_ALLOW)
            add_change(work, META_ACL_REMOVE)->acl = *acl;
    }
}

static ox_code
read_grant(struct roles_work *work, const struct ast_stmt *stmt, bool revoke, struct ox_err *err)
{
    struct grant *grant = ox_arena_new(work->arena, struct grant);
    work->tag = revoke ? "REVOKE" : "GRANT";
    if (stmt->grant.on == NULL)
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "roles are not members of roles");
    ox_code code = may_alter_cluster(work, revoke ? "revoke privileges" : "grant privileges", err);
    if (code == OX_OK)
        code = read_rights((struct words){stmt->grant.rights, 0}, grant, err);
    if (code == OX_OK)
        code = read_targets(work, (struct words){stmt->grant.on, 0}, grant, err);
    if (code == OX_OK)
        code = read_principals(work, (struct words){stmt->grant.whom, 0}, grant, err);
    if (code == OX_OK && !engine_authorizes(work->engine->engine))
        session_notice(work->sess, "NOTICE", OX_OK,
            "access rules are not enforced while \"authorizer.class.name\" is empty");
    if (code == OX_OK && revoke && grant->all)
        revoke_all(work, grant);
    else if (code == OX_OK)
        code = add_rules(work, grant, revoke, err);
    return code;
}

ox_code
roles_read(struct roles_work *work, const struct ast_stmt *stmt, struct ox_err *err)
{
    switch (stmt->kind) {
    case AST_CREATE_ROLE: return read_role(work, stmt, true, err);
    case AST_ALTER_ROLE: return read_role(work, stmt, false, err);
    case AST_DROP_ROLE: return drop_role(work, stmt, err);
    case AST_ALTER_QUOTA: return alter_quota(work, stmt, err);
    case AST_GRANT: return read_grant(work, stmt, false, err);
    case AST_REVOKE: return read_grant(work, stmt, true, err);
    default: ox_unreachable();
    }
}
