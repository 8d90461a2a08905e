/* SPDX-License-Identifier: Apache-2.0
 *
 * Users, access rules, quotas and delegation tokens: one object of the view,
 * made anew by each command that changes it.
 *
 *     command: a list of changes        all of them are allowed, or none is done
 *       -> edit: the lists of the view, copied, each change made in turn
 *       -> rows of catalog.db, then the new object takes the old one's place
 *
 * Checking runs the same edit, so that a change may rely on those before it.
 *
 * Invariants
 *  1. every list is sorted and has no two rows with the same key
 *  2. bytes of salts and keys have the lengths of their mechanism's hash */
#include <math.h>
#include <stdlib.h>

#include "meta/meta_int.h"
#include "meta/queries.gen.h"

enum { NAME_MAX_LEN = 1024, CHANGES_MAX = 10000, SALT_MAX = 1024, LIST_MAX = 1000000 };

/* ---- Order --------------------------------------------------------------- */

static int
role_cmp(const void *a, const void *b)
{
    const struct meta_role *x = a, *y = b;
    return ox_str_cmp(x->name, y->name);
}

static int
scram_cmp(const void *a, const void *b)
{
    const struct meta_scram *x = a, *y = b;
    int order = ox_str_cmp(x->user, y->user);
    return order != 0 ? order : x->mechanism - y->mechanism;
}

int
meta_acl_cmp_name(const struct meta_acl *acl, int resource, int pattern, struct str name)
{
    if (acl->resource != resource)
        return acl->resource - resource;
    if (acl->pattern != pattern)
        return acl->pattern - pattern;
    return ox_str_cmp(acl->name, name);
}

static int
acl_cmp(const void *a, const void *b)
{
    const struct meta_acl *x = a, *y = b;
    int order = meta_acl_cmp_name(x, y->resource, y->pattern, y->name);
    if (order == 0)
        order = ox_str_cmp(x->principal, y->principal);
    if (order == 0)
        order = ox_str_cmp(x->host, y->host);
    if (order == 0)
        order = x->operation - y->operation;
    return order != 0 ? order : x->permission - y->permission;
}

static int
quota_cmp(const void *a, const void *b)
{
    const struct meta_quota *x = a, *y = b;
    int order = ox_str_cmp(x->user, y->user);
    if (order == 0)
        order = ox_str_cmp(x->client_id, y->client_id);
    if (order == 0)
        order = ox_str_cmp(x->ip, y->ip);
    return order != 0 ? order : ox_str_cmp(x->key, y->key);
}

static int
token_cmp(const void *a, const void *b)
{
    const struct meta_token *x = a, *y = b;
    return ox_str_cmp(x->id, y->id);
}

/* ---- Find ---------------------------------------------------------------- */

/* Index of the first row that is not less than key; *found: it is equal. */
static uint32_t
rank(const void *rows, uint32_t count, size_t size, const void *key,
    int (*cmp)(const void *, const void *), bool *found)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (cmp((const char *)rows + mid * size, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *found = low < count && cmp((const char *)rows + low * size, key) == 0;
    return low;
}

const struct meta_role *
meta_security_role(const struct meta_security *security, struct str name)
{
    struct meta_role key = {.name = name};
    bool found;
    uint32_t at = rank(security->roles, security->role_count, sizeof(key), &key, role_cmp, &found);
    return found ? &security->roles[at] : NULL;
}

const struct meta_scram *
meta_security_scram(const struct meta_security *security, struct str user, int mechanism)
{
    struct meta_scram key = {.user = user, .mechanism = (int8_t)mechanism};
    bool found;
    uint32_t at = rank(security->scrams, security->scram_count, sizeof(key), &key, scram_cmp,
        &found);
    return found ? &security->scrams[at] : NULL;
}

const struct meta_token *
meta_security_token(const struct meta_security *security, struct str id)
{
    struct meta_token key = {.id = id};
    bool found;
    uint32_t at = rank(security->tokens, security->token_count, sizeof(key), &key, token_cmp,
        &found);
    return found ? &security->tokens[at] : NULL;
}

/* ---- The object ---------------------------------------------------------- */

/* One allocation: the head, the rows, their strings. at NULL: only counting. */
struct pack {
    char *base;
    size_t at;
};

static void
pack_str(struct pack *pack, struct str *s)
{
    if (s->ptr == NULL)
        return;
    if (pack->base != NULL) {
        char *to = pack->base + pack->at;
        memcpy(to, s->ptr, s->len);
        to[s->len] = 0;
        s->ptr = to;
    }
    pack->at += s->len + 1;
}

static void *
pack_rows(struct pack *pack, const void *rows, uint32_t count, size_t size)
{
    size_t at = pack->at;
    pack->at += (ox_size_mul(count, size) + 15) & ~(size_t)15;
    if (pack->base == NULL)
        return (void *)(uintptr_t)rows;
    if (count > 0)
        memcpy(pack->base + at, rows, count * size);
    return pack->base + at;
}

/* Strings are packed through copies, so that counting changes nothing. */
static void
pack_all(struct pack *pack, const struct meta_security *from)
{
    struct meta_security to = *from;
    pack->at = (sizeof(to) + 15) & ~(size_t)15;
    struct meta_role *roles = pack_rows(pack, from->roles, from->role_count, sizeof(*roles));
    struct meta_scram *scrams = pack_rows(pack, from->scrams, from->scram_count, sizeof(*scrams));
    struct meta_acl *acls = pack_rows(pack, from->acls, from->acl_count, sizeof(*acls));
    struct meta_quota *quotas = pack_rows(pack, from->quotas, from->quota_count, sizeof(*quotas));
    struct meta_token *tokens = pack_rows(pack, from->tokens, from->token_count, sizeof(*tokens));
    bool write = pack->base != NULL;
    for (uint32_t i = 0; i < from->role_count; i++) {
        struct meta_role row = roles[i];
        pack_str(pack, &row.name);
        if (write)
            roles[i] = row;
    }
    for (uint32_t i = 0; i < from->scram_count; i++) {
        struct meta_scram row = scrams[i];
        pack_str(pack, &row.user);
        pack_str(pack, &row.salt);
        pack_str(pack, &row.stored_key);
        pack_str(pack, &row.server_key);
        if (write)
            scrams[i] = row;
    }
    for (uint32_t i = 0; i < from->acl_count; i++) {
        struct meta_acl row = acls[i];
        pack_str(pack, &row.name);
        pack_str(pack, &row.principal);
        pack_str(pack, &row.host);
        if (write)
            acls[i] = row;
    }
    for (uint32_t i = 0; i < from->quota_count; i++) {
        struct meta_quota row = quotas[i];
        pack_str(pack, &row.user);
        pack_str(pack, &row.client_id);
        pack_str(pack, &row.ip);
        pack_str(pack, &row.key);
        if (write)
            quotas[i] = row;
    }
    for (uint32_t i = 0; i < from->token_count; i++) {
        struct meta_token row = tokens[i];
        pack_str(pack, &row.id);
        pack_str(pack, &row.owner);
        pack_str(pack, &row.requester);
        pack_str(pack, &row.renewers);
        if (write)
            tokens[i] = row;
    }
    if (!write)
        return;
    to.roles = roles;
    to.scrams = scrams;
    to.acls = acls;
    to.quotas = quotas;
    to.tokens = tokens;
    memcpy(pack->base, &to, sizeof(to));
}

const struct meta_security *
meta_security_new(const struct meta_security *from)
{
    struct pack pack = {NULL, 0};
    pack_all(&pack, from);
    pack.base = ox_malloc(pack.at);
    pack_all(&pack, from);
    return (void *)pack.base;
}

/* ---- Changes ------------------------------------------------------------- */

/* The lists while they are being changed; capacity for one more a change. */
struct edit {
    struct meta_role *roles;
    struct meta_scram *scrams;
    struct meta_acl *acls;
    struct meta_quota *quotas;
    struct meta_token *tokens;
    struct meta_security now; /* counts */
    uint32_t oid_next;
    struct ox_err *err;
};

static void *
copy_rows(struct arena *arena, const void *rows, uint32_t count, uint32_t more, size_t size)
{
    char *copy = ox_arena_alloc(arena, ox_size_mul((size_t)count + more + 1, size));
    if (count > 0)
        memcpy(copy, rows, count * size);
    return copy;
}

/* Put a row in its place, or over the one with its key. */
static void
put_row(void *rows, uint32_t *count, size_t size, const void *row,
    int (*cmp)(const void *, const void *))
{
    bool found;
    uint32_t at = rank(rows, *count, size, row, cmp, &found);
    char *to = (char *)rows + at * size;
    if (!found) {
        memmove(to + size, to, (*count - at) * size);
        ++*count;
    }
    memcpy(to, row, size);
}

static bool
drop_row(void *rows, uint32_t *count, size_t size, const void *row,
    int (*cmp)(const void *, const void *))
{
    bool found;
    uint32_t at = rank(rows, *count, size, row, cmp, &found);
    char *to = (char *)rows + at * size;
    if (!found)
        return false;
    memmove(to, to + size, (*count - at - 1) * size);
    --*count;
    return true;
}

static ox_code
check_name(struct str name, const char *what, bool empty, struct ox_err *err)
{
    if (name.ptr == NULL || (name.len == 0 && !empty))
        return ox_fail(err, OX_INVALID_REQUEST, "%s is empty", what);
    if (name.len > NAME_MAX_LEN)
        return ox_fail(err, OX_LIMIT_EXCEEDED, "%s is longer than %d bytes", what, NAME_MAX_LEN);
    if (memchr(name.ptr, 0, name.len) != NULL || !ox_utf8_valid(name.ptr, name.len))
        return ox_fail(err, OX_INVALID_REQUEST, "%s is not valid UTF-8 text", what);
    return OX_OK;
}

static ox_code
edit_role(struct edit *edit, const struct meta_security_change *change)
{
    struct meta_role row = change->role;
    bool found;
    ox_code code = check_name(row.name, "name of a role", false, edit->err);
    if (code != OX_OK)
        return code;
    uint32_t at = rank(edit->roles, edit->now.role_count, sizeof(row), &row, role_cmp, &found);
    if (change->kind == META_ROLE_DELETE) {
        if (!found)
            return ox_fail(edit->err, OX_UNDEFINED_OBJECT, "role \"%.*s\" does not exist",
                OX_STR_ARG(row.name));
        drop_row(edit->roles, &edit->now.role_count, sizeof(row), &row, role_cmp);
        for (int8_t i = META_SCRAM_SHA_256; i <= META_SCRAM_SHA_512; i++)
            drop_row(edit->scrams, &edit->now.scram_count, sizeof(struct meta_scram),
                &(struct meta_scram){.user = row.name, .mechanism = i}, scram_cmp);
        return OX_OK;
    }
    if (found && change->mode == META_PUT_NEW)
        return ox_fail(edit->err, OX_DUPLICATE_OBJECT, "role \"%.*s\" already exists",
            OX_STR_ARG(row.name));
    if (!found && change->mode == META_PUT_OLD)
        return ox_fail(edit->err, OX_UNDEFINED_OBJECT, "role \"%.*s\" does not exist",
            OX_STR_ARG(row.name));
    row.oid = found ? edit->roles[at].oid : edit->oid_next++;
    put_row(edit->roles, &edit->now.role_count, sizeof(row), &row, role_cmp);
    return OX_OK;
}

static ox_code
edit_scram(struct edit *edit, const struct meta_security_change *change)
{
    const struct meta_scram *row = &change->scram;
    struct ox_err *err = edit->err;
    size_t hash = row->mechanism == META_SCRAM_SHA_256 ? 32 : 64;
    if (row->mechanism != META_SCRAM_SHA_256 && row->mechanism != META_SCRAM_SHA_512)
        return ox_fail(err, OX_UNSUPPORTED_SASL_MECHANISM, "SCRAM mechanism %d is not known",
            row->mechanism);
    if (row->user.len == 0)
        return ox_fail(err, OX_UNACCEPTABLE_CREDENTIAL, "user name is empty");
    ox_code code = check_name(row->user, "user name", false, err);
    if (code != OX_OK)
        return code;
    if (change->kind == META_SCRAM_DELETE) {
        if (!drop_row(edit->scrams, &edit->now.scram_count, sizeof(*row), row, scram_cmp))
            return ox_fail(err, OX_RESOURCE_NOT_FOUND, "user \"%.*s\" has no such password",
                OX_STR_ARG(row->user));
        return OX_OK;
    }
    if (row->iterations < META_ITERATIONS_MIN)
        return ox_fail(err, OX_UNACCEPTABLE_CREDENTIAL, "fewer than %d iterations",
            META_ITERATIONS_MIN);
    if (row->iterations > META_ITERATIONS_MAX)
        return ox_fail(err, OX_UNACCEPTABLE_CREDENTIAL, "more than %d iterations",
            META_ITERATIONS_MAX);
    if (row->salt.len == 0 || row->salt.len > SALT_MAX)
        return ox_fail(err, OX_UNACCEPTABLE_CREDENTIAL, "salt is not 1 to %d bytes", SALT_MAX);
    if (row->stored_key.len != hash || row->server_key.len != hash)
        return ox_fail(err, OX_UNACCEPTABLE_CREDENTIAL, "keys are not those of the mechanism");
    put_row(edit->scrams, &edit->now.scram_count, sizeof(*row), row, scram_cmp);
    return OX_OK;
}

static ox_code
edit_acl(struct edit *edit, const struct meta_security_change *change)
{
    const struct meta_acl *row = &change->acl;
    ox_code code = check_name(row->name, "resource name", false, edit->err);
    if (code == OX_OK)
        code = check_name(row->principal, "principal", false, edit->err);
    if (code == OX_OK)
        code = check_name(row->host, "host", false, edit->err);
    if (code != OX_OK)
        return code;
    if (row->resource < 2 || row->resource > 7 || row->pattern < 3 || row->pattern > 4 ||
        row->operation < 2 || row->operation > 15 || row->permission < 2 || row->permission > 3)
        return ox_fail(edit->err, OX_INVALID_REQUEST, "access rule has numbers out of range");
    if (change->kind == META_ACL_ADD)
        put_row(edit->acls, &edit->now.acl_count, sizeof(*row), row, acl_cmp);
    else
        drop_row(edit->acls, &edit->now.acl_count, sizeof(*row), row, acl_cmp);
    return OX_OK;
}

static ox_code
edit_quota(struct edit *edit, const struct meta_security_change *change)
{
    const struct meta_quota *row = &change->quota;
    struct str names[3] = {row->user, row->client_id, row->ip};
    if ((row->ip.ptr != NULL) == (row->user.ptr != NULL || row->client_id.ptr != NULL))
        return ox_fail(edit->err, OX_INVALID_REQUEST, "quota is for no entity, or for a mixed one");
    ox_code code = check_name(row->key, "name of the quota", false, edit->err);
    for (int i = 0; i < 3 && code == OX_OK; i++)
        if (names[i].ptr != NULL)
            code = check_name(names[i], "name of the entity", true, edit->err);
    if (code != OX_OK)
        return code;
    if (change->kind == META_QUOTA_REMOVE) {
        drop_row(edit->quotas, &edit->now.quota_count, sizeof(*row), row, quota_cmp);
        return OX_OK;
    }
    if (!(row->value > 0) || !isfinite(row->value))
        return ox_fail(edit->err, OX_INVALID_REQUEST, "quota is not larger than 0");
    put_row(edit->quotas, &edit->now.quota_count, sizeof(*row), row, quota_cmp);
    return OX_OK;
}

static ox_code
edit_token(struct edit *edit, const struct meta_security_change *change)
{
    const struct meta_token *row = &change->token;
    ox_code code = check_name(row->id, "token id", false, edit->err);
    if (code != OX_OK)
        return code;
    if (change->kind == META_TOKEN_DELETE) {
        drop_row(edit->tokens, &edit->now.token_count, sizeof(*row), row, token_cmp);
        return OX_OK;
    }
    code = check_name(row->owner, "owner of a token", false, edit->err);
    if (code == OX_OK)
        code = check_name(row->requester, "requester of a token", false, edit->err);
    if (code != OX_OK)
        return code;
    if (row->renewers.ptr == NULL || row->renewers.len > 65536 ||
        !ox_utf8_valid(row->renewers.ptr, row->renewers.len))
        return ox_fail(edit->err, OX_INVALID_REQUEST, "renewers of a token are not valid");
    put_row(edit->tokens, &edit->now.token_count, sizeof(*row), row, token_cmp);
    return OX_OK;
}

static ox_code
edit_one(struct edit *edit, const struct meta_security_change *change)
{
    switch (change->kind) {
    case META_ROLE_PUT:
    case META_ROLE_DELETE:
        return edit_role(edit, change);
    case META_SCRAM_PUT:
    case META_SCRAM_DELETE:
        return edit_scram(edit, change);
    case META_ACL_ADD:
    case META_ACL_REMOVE:
        return edit_acl(edit, change);
    case META_QUOTA_SET:
    case META_QUOTA_REMOVE:
        return edit_quota(edit, change);
    case META_TOKEN_PUT:
    case META_TOKEN_DELETE:
        return edit_token(edit, change);
    }
    return ox_fail(edit->err, OX_INVALID_REQUEST, "change %d of users or rules is not known",
        change->kind);
}

static ox_code
edit_all(struct edit *edit, const struct meta_security *from, const struct meta_command *cmd,
    struct arena *arena, struct ox_err *err)
{
    uint32_t count = cmd->security.change_count;
    if (count > CHANGES_MAX)
        return ox_fail(err, OX_LIMIT_EXCEEDED, "more than %d changes in a request", CHANGES_MAX);
    edit->now = *from;
    edit->err = err;
    edit->roles = copy_rows(arena, from->roles, from->role_count, count, sizeof(*edit->roles));
    edit->scrams = copy_rows(arena, from->scrams, from->scram_count, count,
        sizeof(*edit->scrams));
    edit->acls = copy_rows(arena, from->acls, from->acl_count, count, sizeof(*edit->acls));
    edit->quotas = copy_rows(arena, from->quotas, from->quota_count, count,
        sizeof(*edit->quotas));
    edit->tokens = copy_rows(arena, from->tokens, from->token_count, count,
        sizeof(*edit->tokens));
    for (uint32_t i = 0; i < count; i++) {
        ox_code code = edit_one(edit, &cmd->security.changes[i]);
        if (code != OX_OK)
            return code;
    }
    if (edit->now.acl_count > LIST_MAX || edit->now.quota_count > LIST_MAX ||
        edit->now.scram_count > LIST_MAX || edit->now.role_count > LIST_MAX ||
        edit->now.token_count > LIST_MAX)
        return ox_fail(err, OX_LIMIT_EXCEEDED, "more than %d rules, users or quotas", LIST_MAX);
    edit->now.roles = edit->roles;
    edit->now.scrams = edit->scrams;
    edit->now.acls = edit->acls;
    edit->now.quotas = edit->quotas;
    edit->now.tokens = edit->tokens;
    return OX_OK;
}

ox_code
meta_security_check(const struct view *view, const struct meta_command *cmd, struct arena *arena,
    struct ox_err *err)
{
    struct edit edit = {0};
    return edit_all(&edit, view->pub.security, cmd, arena, err);
}

/* ---- Rows ---------------------------------------------------------------- */

/* As the quota table writes a part of an entity. */
static struct str
quota_part(struct str part, struct arena *arena)
{
    if (part.ptr == NULL)
        return OX_STR("-");
    return ox_str(ox_arena_printf(arena, "=%.*s", OX_STR_ARG(part)));
}

static struct str
quota_unpart(struct str part)
{
    return part.len > 0 && part.ptr[0] == '=' ? ox_str_n(part.ptr + 1, part.len - 1)
                                              : OX_STR_NULL;
}

static ox_code
write_row(struct queries *queries, const struct edit *edit,
    const struct meta_security_change *change, struct arena *arena, struct ox_err *err)
{
    const struct meta_scram *scram = &change->scram;
    const struct meta_acl *acl = &change->acl;
    const struct meta_quota *quota = &change->quota;
    const struct meta_token *token = &change->token;
    switch (change->kind) {
    case META_ROLE_PUT: {
        const struct meta_role *role = meta_security_role(&edit->now, change->role.name);
        if (role == NULL)
            return OX_OK; /* a later change of the command took it out again */
        return query_role_put(queries, role->name, role->flags, role->valid_until_ms, role->oid,
            err);
    }
    case META_ROLE_DELETE: {
        ox_code code = query_role_delete(queries, change->role.name, err);
        for (int i = META_SCRAM_SHA_256; i <= META_SCRAM_SHA_512 && code == OX_OK; i++)
            code = query_scram_delete(queries, change->role.name, i, err);
        return code;
    }
    case META_SCRAM_PUT:
        return query_scram_put(queries, scram->user, scram->mechanism, scram->iterations,
            scram->salt, scram->stored_key, scram->server_key, err);
    case META_SCRAM_DELETE:
        return query_scram_delete(queries, scram->user, scram->mechanism, err);
    case META_ACL_ADD:
        return query_acl_put(queries, acl->resource, acl->pattern, acl->name, acl->principal,
            acl->host, acl->operation, acl->permission, err);
    case META_ACL_REMOVE:
        return query_acl_delete(queries, acl->resource, acl->pattern, acl->name, acl->principal,
            acl->host, acl->operation, acl->permission, err);
    case META_QUOTA_SET:
        return query_quota_put(queries, quota_part(quota->user, arena),
            quota_part(quota->client_id, arena), quota_part(quota->ip, arena), quota->key,
            quota->value, err);
    case META_QUOTA_REMOVE:
        return query_quota_delete(queries, quota_part(quota->user, arena),
            quota_part(quota->client_id, arena), quota_part(quota->ip, arena), quota->key, err);
    case META_TOKEN_PUT:
        return query_token_put(queries, token->id, token->owner, token->requester,
            token->renewers, token->issue_ms, token->expiry_ms, token->max_ms, err);
    case META_TOKEN_DELETE:
        return query_token_delete(queries, token->id, err);
    }
    ox_unreachable();
}

static void
replace(struct image *image, const struct meta_security *with)
{
    meta_image_retire(image, image->view.pub.security);
    image->view.pub.security = meta_security_new(with);
    image->changed = true;
}

ox_code
meta_security_apply(struct image *image, struct queries *queries, uint64_t index,
    const struct meta_command *cmd, struct arena *arena, struct ox_err *err)
{
    struct edit edit = {.oid_next = image->oid_next};
    ox_code code = edit_all(&edit, image->view.pub.security, cmd, arena, err);
    ox_assert(code == OX_OK);
    for (uint32_t i = 0; i < cmd->security.change_count && code == OX_OK; i++)
        code = write_row(queries, &edit, &cmd->security.changes[i], arena, err);
    if (code != OX_OK)
        return code;
    edit.now.version = index;
    image->oid_next = edit.oid_next;
    replace(image, &edit.now);
    return OX_OK;
}

/* ---- Load ---------------------------------------------------------------- */

struct rows {
    struct arena *arena;
    void *at;
    size_t cap;
    uint32_t count;
};

static void *
next_row(struct rows *rows, size_t size)
{
    ox_arena_grow(rows->arena, &rows->at, &rows->cap, rows->count + 1, size);
    void *row = (char *)rows->at + rows->count++ * size;
    memset(row, 0, size);
    return row;
}

static ox_code
load_role(void *arg, const struct query_roles *row)
{
    struct rows *rows = arg;
    struct meta_role *role = next_row(rows, sizeof(*role));
    *role = (struct meta_role){ox_str_dup(rows->arena, row->name), (uint32_t)row->flags,
        row->valid_until_ms, (uint32_t)row->oid};
    return OX_OK;
}

static ox_code
load_scram(void *arg, const struct query_scrams *row)
{
    struct rows *rows = arg;
    struct meta_scram *scram = next_row(rows, sizeof(*scram));
    *scram = (struct meta_scram){ox_str_dup(rows->arena, row->user), (int8_t)row->mechanism,
        (int32_t)row->iterations, ox_str_dup(rows->arena, row->salt),
        ox_str_dup(rows->arena, row->stored_key), ox_str_dup(rows->arena, row->server_key)};
    return OX_OK;
}

static ox_code
load_acl(void *arg, const struct query_acls *row)
{
    struct rows *rows = arg;
    struct meta_acl *acl = next_row(rows, sizeof(*acl));
    *acl = (struct meta_acl){(int8_t)row->resource, (int8_t)row->pattern, (int8_t)row->operation,
        (int8_t)row->permission, ox_str_dup(rows->arena, row->name),
        ox_str_dup(rows->arena, row->principal), ox_str_dup(rows->arena, row->host)};
    return OX_OK;
}

static ox_code
load_quota(void *arg, const struct query_quotas *row)
{
    struct rows *rows = arg;
    struct meta_quota *quota = next_row(rows, sizeof(*quota));
    *quota = (struct meta_quota){quota_unpart(ox_str_dup(rows->arena, row->user)),
        quota_unpart(ox_str_dup(rows->arena, row->client_id)),
        quota_unpart(ox_str_dup(rows->arena, row->ip)), ox_str_dup(rows->arena, row->key),
        row->value};
    return OX_OK;
}

static ox_code
load_token(void *arg, const struct query_tokens *row)
{
    struct rows *rows = arg;
    struct meta_token *token = next_row(rows, sizeof(*token));
    *token = (struct meta_token){ox_str_dup(rows->arena, row->id),
        ox_str_dup(rows->arena, row->owner), ox_str_dup(rows->arena, row->requester),
        ox_str_dup(rows->arena, row->renewers), row->issue_ms, row->expiry_ms, row->max_ms};
    return OX_OK;
}

static void *
sorted(struct rows *rows, size_t size, int (*cmp)(const void *, const void *))
{
    if (rows->count > 1)
        qsort(rows->at, rows->count, size, cmp);
    return rows->at;
}

ox_code
meta_security_load(struct image *image, struct queries *queries, struct arena *arena,
    struct ox_err *err)
{
    struct rows roles = {arena, NULL, 0, 0}, scrams = roles, acls = roles, quotas = roles,
        tokens = roles;
    ox_code code = query_roles(queries, load_role, &roles, err);
    if (code == OX_OK)
        code = query_scrams(queries, load_scram, &scrams, err);
    if (code == OX_OK)
        code = query_acls(queries, load_acl, &acls, err);
    if (code == OX_OK)
        code = query_quotas(queries, load_quota, &quotas, err);
    if (code == OX_OK)
        code = query_tokens(queries, load_token, &tokens, err);
    if (code != OX_OK)
        return code;
    struct meta_security all = {.version = 1, .role_count = roles.count,
        .scram_count = scrams.count, .acl_count = acls.count, .quota_count = quotas.count,
        .token_count = tokens.count, .roles = sorted(&roles, sizeof(struct meta_role), role_cmp),
        .scrams = sorted(&scrams, sizeof(struct meta_scram), scram_cmp),
        .acls = sorted(&acls, sizeof(struct meta_acl), acl_cmp),
        .quotas = sorted(&quotas, sizeof(struct meta_quota), quota_cmp),
        .tokens = sorted(&tokens, sizeof(struct meta_token), token_cmp)};
    replace(image, &all);
    return OX_OK;
}
