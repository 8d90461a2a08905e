/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeAcls, CreateAcls, DeleteAcls. A type, pattern, operation or permission
 * of 0, which stands for what is not known, ends the connection, as a request that
 * cannot be read does; other numbers that nobody knows are refused, or match nothing. */
#include "kafka/kafka_int.h"

enum { RESOURCE_MAX = 7, PATTERN_MAX = 4, OPERATION_MAX = 15, PERMISSION_MAX = 3 };

static bool
is_known(int8_t number, int8_t max)
{
    return number >= 1 && number <= max;
}

static bool
pattern_known(int8_t resource, int8_t pattern)
{
    return is_known(resource, RESOURCE_MAX) && is_known(pattern, PATTERN_MAX);
}

static bool
entry_known(int8_t operation, int8_t permission)
{
    return is_known(operation, OPERATION_MAX) && is_known(permission, PERMISSION_MAX);
}

static bool
has_zero(int8_t resource, int8_t pattern, int8_t operation, int8_t permission)
{
    return resource == 0 || pattern == 0 || operation == 0 || permission == 0;
}

static ox_code
may(struct kafka_request *req, enum engine_op op, struct ox_err *err)
{
    if (!engine_authorizes(kafka_engine(req)))
        return ox_fail(err, OX_SECURITY_DISABLED, "No Authorizer is configured.");
    return kafka_may_cluster(req, op, err);
}

/* ---- DescribeAcls ---- */

typedef struct describe_acls_response_resources resource_out;
typedef struct describe_acls_response_resources_acls acl_out;

static bool
same_resource(const struct meta_acl *a, const struct meta_acl *b)
{
    return meta_acl_cmp_name(a, b->resource, b->pattern, b->name) == 0;
}

/* Rules are sorted by resource: what belongs together stands together. */
static void
list_acls(struct kafka_request *req, const struct auth_filter *filter,
    struct describe_acls_response *response)
{
    const struct meta_security *security = kafka_view(req)->security;
    const struct meta_acl *last = NULL;
    acl_out *rows = kafka_array(req, acl_out, security->acl_count);
    response->resources.at = kafka_array(req, resource_out, security->acl_count);
    for (uint32_t i = 0, at = 0; i < security->acl_count; i++) {
        const struct meta_acl *acl = &security->acls[i];
        if (!auth_filter_matches(filter, acl))
            continue;
        if (last == NULL || !same_resource(last, acl)) {
            resource_out *out = &response->resources.at[response->resources.count++];
            describe_acls_response_resources_init(out);
            out->resource_type = acl->resource;
            out->resource_name = acl->name;
            out->pattern_type = acl->pattern;
            out->acls.at = &rows[at];
        }
        last = acl;
        response->resources.at[response->resources.count - 1].acls.count++;
        rows[at++] = (acl_out){acl->principal, acl->host, acl->operation, acl->permission};
    }
}

void
kafka_describe_acls(struct kafka_request *req)
{
    const struct describe_acls_request *in = req->body;
    struct describe_acls_response response;
    struct ox_err err = {0};
    describe_acls_response_init(&response);
    if (has_zero(in->resource_type_filter, in->pattern_type_filter, in->operation,
            in->permission_type)) {
        kafka_answer_close(req);
        return;
    }
    bool known = pattern_known(in->resource_type_filter, in->pattern_type_filter) &&
                 entry_known(in->operation, in->permission_type);
    struct auth_filter filter = {in->resource_type_filter, in->pattern_type_filter,
        in->operation, in->permission_type, in->resource_name_filter, in->principal_filter,
        in->host_filter};
    ox_code code = may(req, ENGINE_DESCRIBE, &err);
    if (code == OX_OK && known)
        list_acls(req, &filter, &response);
    response.error_code = ox_code_kafka(code);
    response.error_message = code == OX_OK ? OX_STR("") : kafka_error_text(req, code, &err);
    kafka_answer(req, &response);
}

/* ---- CreateAcls ---- */

typedef struct create_acls_request_creations creation_in;

struct acl_rows {
    ox_code *codes;
    struct ox_err *errs;
};

static bool
principal_valid(struct str principal)
{
    const char *colon = principal.len > 0 ? memchr(principal.ptr, ':', principal.len) : NULL;
    return colon != NULL && colon != principal.ptr;
}

/* metadata.version 4.4-IV1 has networks as hosts. */
enum { NETWORKS_SINCE = 32 };

static ox_code
check_network(struct kafka_request *req, struct str host, struct ox_err *err)
{
    if (memchr(host.ptr, '/', host.len) == NULL)
        return OX_OK;
    if (kafka_feature(req, PARAM_FEATURE_METADATA_VERSION) < NETWORKS_SINCE)
        return ox_fail(err, OX_UNSUPPORTED_VERSION,
            "CIDR-based ACL host patterns require metadata version 4.4-IV1 or higher.");
    return auth_network_valid(host)
               ? OX_OK
               : ox_fail(err, OX_INVALID_REQUEST, "Invalid CIDR notation '%.*s'", OX_STR_ARG(host));
}

static ox_code
check_creation(struct kafka_request *req, const creation_in *in, struct ox_err *err)
{
    if (in->resource_type == ENGINE_CLUSTER &&
        !ox_str_eq(in->resource_name, KAFKA_CLUSTER_NAME))
        return ox_fail(err, OX_INVALID_REQUEST,
            "The only valid name for the CLUSTER resource is kafka-cluster");
    if (in->resource_name.len == 0)
        return ox_fail(err, OX_INVALID_REQUEST, "Invalid empty resource name");
    if (!is_known(in->resource_type, RESOURCE_MAX))
        return ox_fail(err, OX_INVALID_REQUEST, "Invalid resourceType UNKNOWN");
    if (!is_known(in->resource_pattern_type, PATTERN_MAX))
        return ox_fail(err, OX_INVALID_REQUEST, "Invalid patternType UNKNOWN");
    if (!is_known(in->operation, OPERATION_MAX))
        return ox_fail(err, OX_INVALID_REQUEST, "Invalid operation UNKNOWN");
    if (!is_known(in->permission_type, PERMISSION_MAX))
        return ox_fail(err, OX_INVALID_REQUEST, "Invalid permissionType UNKNOWN");
    if (in->resource_type == AUTH_ANY || in->resource_pattern_type < AUTH_PATTERN_LITERAL ||
        in->operation == AUTH_ANY || in->permission_type == AUTH_ANY)
        return ox_fail(err, OX_UNKNOWN_SERVER_ERROR, "an access rule must name one type, "
            "pattern, operation and permission"); /* the number that Kafka answers */
    if (!principal_valid(in->principal))
        return ox_fail(err, OX_INVALID_REQUEST, "Could not parse principal from `%.*s` (no "
            "colon is present separating the principal type from the principal name)",
            OX_STR_ARG(in->principal));
    if (in->host.len == 0)
        return ox_fail(err, OX_INVALID_REQUEST, "Host pattern cannot be null or empty");
    return check_network(req, in->host, err);
}

static void
created(struct kafka_request *req, ox_code code, const struct ox_err *err)
{
    const struct create_acls_request *request = req->body;
    struct acl_rows *rows = req->state;
    struct create_acls_response response;
    create_acls_response_init(&response);
    response.results.count = request->creations.count;
    response.results.at =
        kafka_array(req, struct create_acls_response_results, response.results.count);
    for (int32_t i = 0; i < response.results.count; i++) {
        bool own = rows->codes[i] != OX_OK;
        ox_code outcome = own ? rows->codes[i] : code;
        response.results.at[i].error_code = ox_code_kafka(outcome);
        response.results.at[i].error_message = outcome == OX_OK ? OX_STR("")
            : outcome == OX_UNKNOWN_SERVER_ERROR
                ? OX_STR_NULL /* of exceptions that say nothing */
                : kafka_error_text(req, outcome, own ? &rows->errs[i] : err);
    }
    kafka_answer(req, &response);
}

static struct meta_acl
acl_of(const creation_in *in)
{
    return (struct meta_acl){in->resource_type, in->resource_pattern_type, in->operation,
        in->permission_type, in->resource_name, in->principal, in->host};
}

void
kafka_create_acls(struct kafka_request *req)
{
    const struct create_acls_request *request = req->body;
    int32_t count = request->creations.count;
    struct acl_rows *rows = kafka_array(req, struct acl_rows, 1);
    struct meta_security_change *changes =
        kafka_array(req, struct meta_security_change, count);
    struct ox_err err;
    uint32_t change_count = 0;
    rows->codes = kafka_array(req, ox_code, count);
    rows->errs = kafka_array(req, struct ox_err, count);
    req->state = rows;
    for (int32_t i = 0; i < count; i++) {
        const creation_in *in = &request->creations.at[i];
        if (has_zero(in->resource_type, in->resource_pattern_type, in->operation,
                in->permission_type)) {
            kafka_answer_close(req);
            return;
        }
    }
    ox_code code = may(req, ENGINE_ALTER, &err);
    for (int32_t i = 0; i < count && code == OX_OK; i++) {
        rows->codes[i] = check_creation(req, &request->creations.at[i], &rows->errs[i]);
        if (rows->codes[i] != OX_OK)
            continue;
        changes[change_count].kind = META_ACL_ADD;
        changes[change_count++].acl = acl_of(&request->creations.at[i]);
    }
    if (code != OX_OK)
        created(req, code, &err);
    else
        kafka_change_security(req, changes, change_count, false, created);
}

/* ---- DeleteAcls ---- */

typedef struct delete_acls_request_filters filter_in;
typedef struct delete_acls_response_filter_results filter_out;
typedef struct delete_acls_response_filter_results_matching_acls match_out;

static void
deleted(struct kafka_request *req, ox_code code, const struct ox_err *err)
{
    const struct delete_acls_request *request = req->body;
    struct delete_acls_response *response = req->state;
    response->filter_results.count = request->filters.count;
    for (int32_t i = 0; i < request->filters.count && code == OX_OK; i++)
        if (response->filter_results.at[i].error_code == 0)
            response->filter_results.at[i].error_message = OX_STR_NULL;
    for (int32_t i = 0; i < request->filters.count && code != OX_OK; i++) {
        filter_out *out = &response->filter_results.at[i];
        delete_acls_response_filter_results_init(out);
        out->error_code = ox_code_kafka(code);
        out->error_message = kafka_error_text(req, code, err);
    }
    kafka_answer(req, response);
}

/* What the filters have matched so far: each rule goes once, and its words are kept once,
 * however many filters match it. They outlive the call: the view may go before the answer. */
struct acl_matches {
    match_out **rows; /* of each rule of the view; NULL: none yet */
    struct meta_security_change *changes;
    uint32_t change_count;
};

static match_out *
new_match(struct kafka_request *req, const struct meta_acl *acl, struct acl_matches *all)
{
    match_out *row = kafka_array(req, match_out, 1);
    delete_acls_response_filter_results_matching_acls_init(row);
    row->error_message = OX_STR_NULL;
    row->resource_type = acl->resource;
    row->resource_name = ox_str_dup(&req->arena, acl->name);
    row->pattern_type = acl->pattern;
    row->principal = ox_str_dup(&req->arena, acl->principal);
    row->host = ox_str_dup(&req->arena, acl->host);
    row->operation = acl->operation;
    row->permission_type = acl->permission;
    all->changes[all->change_count].kind = META_ACL_REMOVE;
    all->changes[all->change_count++].acl = *acl;
    return row;
}

static void
match(struct kafka_request *req, const struct auth_filter *filter, filter_out *out,
    struct acl_matches *all)
{
    const struct meta_security *security = kafka_view(req)->security;
    size_t cap = 0;
    for (uint32_t i = 0; i < security->acl_count; i++) {
        const struct meta_acl *acl = &security->acls[i];
        size_t count = (size_t)out->matching_acls.count;
        if (!auth_filter_matches(filter, acl))
            continue;
        if (all->rows[i] == NULL)
            all->rows[i] = new_match(req, acl, all);
        ox_arena_grow(&req->arena, (void **)&out->matching_acls.at, &cap, count + 1,
            sizeof(match_out));
        out->matching_acls.at[out->matching_acls.count++] = *all->rows[i];
    }
}

void
kafka_delete_acls(struct kafka_request *req)
{
    const struct delete_acls_request *request = req->body;
    struct delete_acls_response *response = kafka_array(req, struct delete_acls_response, 1);
    int32_t count = request->filters.count;
    uint32_t acl_count = kafka_view(req)->security->acl_count;
    struct acl_matches all = {.change_count = 0};
    struct ox_err err;
    delete_acls_response_init(response);
    response->filter_results.at = kafka_array(req, filter_out, count);
    req->state = response;
    for (int32_t i = 0; i < count; i++) {
        const filter_in *in = &request->filters.at[i];
        if (has_zero(in->resource_type_filter, in->pattern_type_filter, in->operation,
                in->permission_type)) {
            kafka_answer_close(req);
            return;
        }
    }
    ox_code code = may(req, ENGINE_ALTER, &err);
    if (code != OX_OK) {
        deleted(req, code, &err);
        return;
    }
    all.rows = kafka_array(req, match_out *, acl_count);
    all.changes = kafka_array(req, struct meta_security_change, acl_count);
    for (int32_t i = 0; i < count; i++) {
        const filter_in *in = &request->filters.at[i];
        filter_out *out = &response->filter_results.at[i];
        struct auth_filter filter = {in->resource_type_filter, in->pattern_type_filter,
            in->operation, in->permission_type, in->resource_name_filter, in->principal_filter,
            in->host_filter};
        delete_acls_response_filter_results_init(out);
        bool pattern = pattern_known(in->resource_type_filter, in->pattern_type_filter);
        if (pattern && entry_known(in->operation, in->permission_type)) {
            match(req, &filter, out, &all);
            continue;
        }
        out->error_code = ox_code_kafka(OX_INVALID_REQUEST);
        out->error_message = pattern ? OX_STR("Unknown entryFilter.")
                                     : OX_STR("Unknown patternFilter.");
    }
    kafka_change_security(req, all.changes, all.change_count, false, deleted);
}
