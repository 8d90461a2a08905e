/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeClientQuotas and AlterClientQuotas. */
#include "kafka/kafka_int.h"

typedef struct describe_client_quotas_response_entries entry_out;
typedef struct describe_client_quotas_response_entries_entity entity_out;
typedef struct describe_client_quotas_response_entries_values value_out;

enum { ENTITY_USER, ENTITY_CLIENT, ENTITY_IP, ENTITY_COUNT };
static const char *const entity_names[ENTITY_COUNT] = {"user", "client-id", "ip"};

static int
entity_type(struct str name)
{
    for (int i = 0; i < ENTITY_COUNT; i++)
        if (ox_str_is(name, entity_names[i]))
            return i;
    return -1;
}

/* ---- describe ---- */

struct wanted {
    bool named[ENTITY_COUNT];
    int8_t match[ENTITY_COUNT]; /* 0 this name, 1 the default, 2 any */
    struct str name[ENTITY_COUNT];
    bool strict;
};

static ox_code
read_filter(const struct describe_client_quotas_request *request, struct wanted *wanted,
    struct ox_err *err)
{
    wanted->strict = request->strict;
    for (int32_t i = 0; i < request->components.count; i++) {
        struct str name = request->components.at[i].entity_type;
        int type = entity_type(name);
        if (name.len == 0)
            return ox_fail(err, OX_INVALID_REQUEST, "Unexpected empty entity type");
        if (type < 0)
            return ox_fail(err, OX_UNSUPPORTED_VERSION, "Custom entity type '%.*s' not supported",
                OX_STR_ARG(name));
        if (wanted->named[type])
            return ox_fail(err, OX_INVALID_REQUEST, "Duplicate filter component type '%.*s'",
                OX_STR_ARG(name));
        wanted->named[type] = true;
        wanted->match[type] = request->components.at[i].match_type;
        wanted->name[type] = request->components.at[i].match;
        if (wanted->match[type] < 0 || wanted->match[type] > 2)
            return ox_fail(err, OX_INVALID_REQUEST, "Unexpected match type: %d",
                wanted->match[type]);
        if ((wanted->match[type] == 0) != (wanted->name[type].ptr != NULL))
            return ox_fail(err, OX_INVALID_REQUEST,
                "Request specified a match type that does not fit its match");
    }
    if (wanted->named[ENTITY_IP] && (wanted->named[ENTITY_USER] || wanted->named[ENTITY_CLIENT]))
        return ox_fail(err, OX_INVALID_REQUEST,
            "Invalid entity filter component combination, IP filter component should not be "
            "used with user or clientId filter component.");
    return OX_OK;
}

static bool
fits(const struct wanted *wanted, const struct str parts[ENTITY_COUNT])
{
    for (int i = 0; i < ENTITY_COUNT; i++) {
        if (!wanted->named[i]) {
            if (wanted->strict && parts[i].ptr != NULL)
                return false;
            continue;
        }
        if (parts[i].ptr == NULL ||
            (wanted->match[i] == 0 && !ox_str_eq(parts[i], wanted->name[i])) ||
            (wanted->match[i] == 1 && parts[i].len > 0))
            return false;
    }
    return true;
}

static bool
same_entity(const struct meta_quota *a, const struct meta_quota *b)
{
    return ox_str_eq(a->user, b->user) && ox_str_eq(a->client_id, b->client_id) &&
        ox_str_eq(a->ip, b->ip);
}

static void
begin_entry(struct kafka_request *req, const struct str parts[ENTITY_COUNT], entry_out *out)
{
    describe_client_quotas_response_entries_init(out);
    out->entity.at = kafka_array(req, entity_out, ENTITY_COUNT);
    for (int i = 0; i < ENTITY_COUNT; i++) {
        if (parts[i].ptr == NULL)
            continue;
        out->entity.at[out->entity.count++] = (entity_out){ox_str(entity_names[i]),
            parts[i].len > 0 ? parts[i] : OX_STR_NULL};
    }
}

static void
list_quotas(struct kafka_request *req, const struct wanted *wanted,
    struct describe_client_quotas_response *response)
{
    const struct meta_security *security = kafka_view(req)->security;
    const struct meta_quota *last = NULL;
    value_out *values = kafka_array(req, value_out, security->quota_count);
    response->entries.count = 0;
    response->entries.at = kafka_array(req, entry_out, security->quota_count);
    for (uint32_t i = 0; i < security->quota_count; i++) {
        const struct meta_quota *quota = &security->quotas[i];
        const struct str parts[ENTITY_COUNT] = {quota->user, quota->client_id, quota->ip};
        if (!fits(wanted, parts))
            continue;
        if (last == NULL || !same_entity(last, quota)) {
            entry_out *out = &response->entries.at[response->entries.count++];
            begin_entry(req, parts, out);
            out->values.at = &values[i];
        }
        last = quota;
        entry_out *out = &response->entries.at[response->entries.count - 1];
        out->values.at[out->values.count++] = (value_out){quota->key, quota->value};
    }
}

void
kafka_describe_client_quotas(struct kafka_request *req)
{
    struct describe_client_quotas_response response;
    struct wanted wanted = {0};
    struct ox_err err = {0};
    describe_client_quotas_response_init(&response);
    response.entries.count = -1;
    ox_code code = kafka_may_cluster(req, ENGINE_DESCRIBE_CONFIGS, &err);
    if (code == OX_OK)
        code = read_filter(req->body, &wanted, &err);
    if (code == OX_OK)
        list_quotas(req, &wanted, &response);
    response.error_code = ox_code_kafka(code);
    response.error_message = kafka_error_text(req, code, &err);
    kafka_answer(req, &response);
}

/* ---- alter ---- */

typedef struct alter_client_quotas_request_entries alter_in;

struct alter_quotas {
    ox_code *codes;
    struct ox_err *errs;
};

static ox_code
read_entity(const alter_in *in, struct meta_quota *out, struct ox_err *err)
{
    struct str *parts[ENTITY_COUNT] = {&out->user, &out->client_id, &out->ip};
    if (in->entity.count <= 0)
        return ox_fail(err, OX_INVALID_REQUEST, "Invalid empty client quota entity");
    for (int32_t i = 0; i < in->entity.count; i++) {
        struct str name = in->entity.at[i].entity_name;
        int type = entity_type(in->entity.at[i].entity_type);
        if (type < 0)
            return ox_fail(err, OX_INVALID_REQUEST, "Unhandled client quota entity type: %.*s",
                OX_STR_ARG(in->entity.at[i].entity_type));
        if (name.ptr != NULL && name.len == 0)
            return ox_fail(err, OX_INVALID_REQUEST, "Empty %s not supported", entity_names[type]);
        if (parts[type]->ptr != NULL)
            return ox_fail(err, OX_INVALID_REQUEST, "%s is named twice", entity_names[type]);
        *parts[type] = name.ptr != NULL ? name : OX_STR("");
    }
    if (out->ip.ptr != NULL && (out->user.ptr != NULL || out->client_id.ptr != NULL))
        return ox_fail(err, OX_INVALID_REQUEST, "Invalid quota entity combination, IP entity "
            "should not be combined with User or ClientId");
    return OX_OK;
}

static ox_code
read_ops(const alter_in *in, struct meta_quota *entity, struct meta_security_change *changes,
    uint32_t *count, struct ox_err *err)
{
    for (int32_t i = 0; i < in->ops.count; i++) {
        struct meta_quota quota = *entity;
        for (int32_t j = 0; j < i; j++)
            if (ox_str_eq(in->ops.at[j].key, in->ops.at[i].key))
                return ox_fail(err, OX_INVALID_REQUEST, "quota %.*s is changed twice",
                    OX_STR_ARG(in->ops.at[i].key));
        quota.key = in->ops.at[i].key;
        quota.value = in->ops.at[i].value;
        ox_code code = engine_quota_check(&quota, !in->ops.at[i].remove, err);
        if (code != OX_OK)
            return code;
        changes[*count].kind = in->ops.at[i].remove ? META_QUOTA_REMOVE : META_QUOTA_SET;
        changes[(*count)++].quota = quota;
    }
    return OX_OK;
}

static void
altered(struct kafka_request *req, ox_code code, const struct ox_err *err)
{
    const struct alter_client_quotas_request *request = req->body;
    struct alter_quotas *all = req->state;
    struct alter_client_quotas_response response;
    alter_client_quotas_response_init(&response);
    response.entries.count = request->entries.count;
    response.entries.at = kafka_array(req, struct alter_client_quotas_response_entries,
        response.entries.count);
    for (int32_t i = 0; i < response.entries.count; i++) {
        struct alter_client_quotas_response_entries *out = &response.entries.at[i];
        const alter_in *in = &request->entries.at[i];
        ox_code outcome = all->codes[i] != OX_OK ? all->codes[i] : code;
        out->error_code = ox_code_kafka(outcome);
        out->error_message =
            kafka_error_text(req, outcome, all->codes[i] != OX_OK ? &all->errs[i] : err);
        out->entity.count = in->entity.count;
        out->entity.at = kafka_array(req, struct alter_client_quotas_response_entries_entity,
            in->entity.count);
        for (int32_t j = 0; j < in->entity.count; j++) {
            out->entity.at[j].entity_type = in->entity.at[j].entity_type;
            out->entity.at[j].entity_name = in->entity.at[j].entity_name;
        }
    }
    kafka_answer(req, &response);
}

void
kafka_alter_client_quotas(struct kafka_request *req)
{
    const struct alter_client_quotas_request *request = req->body;
    struct alter_quotas *all = kafka_array(req, struct alter_quotas, 1);
    int32_t count = request->entries.count, total = 0;
    struct ox_err err;
    uint32_t change_count = 0;
    all->codes = kafka_array(req, ox_code, count);
    all->errs = kafka_array(req, struct ox_err, count);
    req->state = all;
    for (int32_t i = 0; i < count; i++)
        total += OX_MAX(request->entries.at[i].ops.count, 0);
    struct meta_security_change *changes = kafka_array(req, struct meta_security_change, total);
    ox_code code = kafka_may_cluster(req, ENGINE_ALTER_CONFIGS, &err);
    if (code != OX_OK) {
        altered(req, code, &err);
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        struct meta_quota entity = {0};
        uint32_t before = change_count;
        all->codes[i] = read_entity(&request->entries.at[i], &entity, &all->errs[i]);
        if (all->codes[i] == OX_OK)
            all->codes[i] = read_ops(&request->entries.at[i], &entity, changes, &change_count,
                &all->errs[i]);
        if (all->codes[i] != OX_OK)
            change_count = before;
    }
    kafka_change_security(req, changes, change_count, request->validate_only, altered);
}
