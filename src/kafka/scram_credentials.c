/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeUserScramCredentials and AlterUserScramCredentials. Of a user either
 * all changes are made or none. */
#include "kafka/kafka_int.h"

typedef struct describe_user_scram_credentials_response_results described_out;
typedef struct describe_user_scram_credentials_response_results_credential_infos info_out;

/* ---- describe ---- */

static void
add_infos(struct kafka_request *req, struct str user, described_out *out)
{
    const struct meta_security *security = kafka_view(req)->security;
    out->credential_infos.at = kafka_array(req, info_out, 2);
    for (int i = META_SCRAM_SHA_256; i <= META_SCRAM_SHA_512; i++) {
        const struct meta_scram *scram = meta_security_scram(security, user, i);
        if (scram != NULL)
            out->credential_infos.at[out->credential_infos.count++] =
                (info_out){scram->mechanism, scram->iterations};
    }
}

static void
describe_one(struct kafka_request *req, struct str user, bool doubled, described_out *out)
{
    struct ox_err err = {0};
    ox_code code = OX_OK;
    describe_user_scram_credentials_response_results_init(out);
    out->user = user;
    add_infos(req, user, out);
    if (doubled)
        code = ox_fail(&err, OX_DUPLICATE_RESOURCE,
            "Cannot describe SCRAM credentials for the same user twice in a single request: %.*s",
            OX_STR_ARG(user));
    else if (out->credential_infos.count == 0)
        code = ox_fail(&err, OX_RESOURCE_NOT_FOUND,
            "Attempt to describe a user credential that does not exist: %.*s", OX_STR_ARG(user));
    if (code != OX_OK)
        out->credential_infos.count = 0;
    out->error_code = ox_code_kafka(code);
    out->error_message = code == OX_OK ? OX_STR("") : kafka_error_text(req, code, &err);
}

static void
describe_all(struct kafka_request *req, struct describe_user_scram_credentials_response *response)
{
    const struct meta_security *security = kafka_view(req)->security;
    response->results.at = kafka_array(req, described_out, security->scram_count);
    for (uint32_t i = 0; i < security->scram_count; i++)
        if (i == 0 || !ox_str_eq(security->scrams[i].user, security->scrams[i - 1].user))
            describe_one(req, security->scrams[i].user, false,
                &response->results.at[response->results.count++]);
}

void
kafka_describe_user_scram_credentials(struct kafka_request *req)
{
    const struct describe_user_scram_credentials_request *request = req->body;
    struct describe_user_scram_credentials_response response;
    int32_t count = request->users.count;
    struct ox_err err = {0};
    describe_user_scram_credentials_response_init(&response);
    ox_code code = kafka_may_cluster(req, ENGINE_DESCRIBE, &err);
    if (code == OX_OK && count <= 0) {
        describe_all(req, &response);
    } else if (code == OX_OK) {
        struct str *names = kafka_array(req, struct str, count);
        for (int32_t i = 0; i < count; i++)
            names[i] = request->users.at[i].name;
        const uint8_t *doubles = kafka_doubles(req, names, count);
        response.results.at = kafka_array(req, described_out, count);
        for (int32_t i = 0; i < count; i++)
            if (doubles[i] != KAFKA_AGAIN)
                describe_one(req, names[i], doubles[i] == KAFKA_FIRST_OF_MANY,
                    &response.results.at[response.results.count++]);
    }
    response.error_code = ox_code_kafka(code);
    response.error_message = code == OX_OK ? OX_STR("") : kafka_error_text(req, code, &err);
    kafka_answer(req, &response);
}

/* ---- alter ---- */

struct user_row {
    struct str name;
    ox_code code;
    struct ox_err err;
    bool named;
};

struct alter_scram {
    struct user_row *users;
    int32_t count;
};

static struct user_row *
user_of(struct alter_scram *all, struct map *by_name, struct str name)
{
    struct user_row *row = ox_map_get(by_name, name);
    if (row == NULL) {
        row = &all->users[all->count++];
        row->name = name;
        ox_map_put(by_name, name, row);
    }
    return row;
}

/* A user that is named twice gets nothing, whatever the mechanisms. */
static void
name_mechanism(struct user_row *row, int mechanism)
{
    if (row->code != OX_OK && !row->named)
        return;
    if (row->name.len == 0)
        row->code = ox_fail(&row->err, OX_UNACCEPTABLE_CREDENTIAL, "Username must not be empty");
    else if (mechanism != META_SCRAM_SHA_256 && mechanism != META_SCRAM_SHA_512)
        row->code = ox_fail(&row->err, OX_UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism");
    else if (row->named)
        row->code = ox_fail(&row->err, OX_DUPLICATE_RESOURCE,
            "A user credential cannot be altered twice in the same request");
    else
        row->named = true;
}

/* As at the other door: whoever could set a super user's password would be one. */
static void
check_super(struct kafka_request *req, struct user_row *row)
{
    const struct meta_role *role = meta_security_role(kafka_view(req)->security, row->name);
    if (row->code == OX_OK && role != NULL && (role->flags & META_ROLE_SUPERUSER) != 0 &&
        engine_authorizes(kafka_engine(req)) && !engine_is_super(req->sess))
        row->code = ox_fail(&row->err, OX_CLUSTER_AUTHORIZATION_FAILED,
            "only super users may touch super users");
}

typedef struct alter_user_scram_credentials_request_upsertions upsertion_in;
typedef struct alter_user_scram_credentials_request_deletions deletion_in;

static void
check_deletion(struct kafka_request *req, const deletion_in *in, struct user_row *row)
{
    name_mechanism(row, in->mechanism);
    check_super(req, row);
    if (row->code == OX_OK &&
        meta_security_scram(kafka_view(req)->security, in->name, in->mechanism) == NULL)
        row->code = ox_fail(&row->err, OX_RESOURCE_NOT_FOUND,
            "Attempt to delete a user credential that does not exist");
}

static void
check_upsertion(struct kafka_request *req, const upsertion_in *in, struct user_row *row,
    struct meta_scram *out)
{
    struct auth_keys keys;
    name_mechanism(row, in->mechanism);
    check_super(req, row);
    if (row->code == OX_OK && in->iterations < 4096)
        row->code = ox_fail(&row->err, OX_UNACCEPTABLE_CREDENTIAL, "Too few iterations");
    if (row->code == OX_OK && in->iterations > 16384)
        row->code = ox_fail(&row->err, OX_UNACCEPTABLE_CREDENTIAL, "Too many iterations");
    if (row->code == OX_OK)
        row->code = auth_keys_of_salted(in->mechanism, in->salted_password, &keys, &row->err);
    if (row->code != OX_OK)
        return;
    *out = (struct meta_scram){.user = in->name, .mechanism = in->mechanism,
        .iterations = in->iterations, .salt = in->salt,
        .stored_key = ox_str_n(ox_arena_copy(&req->arena, keys.stored_key, keys.len), keys.len),
        .server_key = ox_str_n(ox_arena_copy(&req->arena, keys.server_key, keys.len), keys.len)};
    auth_wipe(&keys, sizeof(keys));
    auth_wipe((void *)(uintptr_t)in->salted_password.ptr, in->salted_password.len);
}

static void
altered(struct kafka_request *req, ox_code code, const struct ox_err *err)
{
    struct alter_scram *all = req->state;
    struct alter_user_scram_credentials_response response;
    alter_user_scram_credentials_response_init(&response);
    response.results.count = all->count;
    response.results.at = kafka_array(req,
        struct alter_user_scram_credentials_response_results, all->count);
    for (int32_t i = 0; i < all->count; i++) {
        const struct user_row *row = &all->users[i];
        ox_code outcome = row->code != OX_OK ? row->code : code;
        response.results.at[i].user = row->name;
        response.results.at[i].error_code = ox_code_kafka(outcome);
        response.results.at[i].error_message =
            kafka_error_text(req, outcome, row->code != OX_OK ? &row->err : err);
    }
    kafka_answer(req, &response);
}

static void
collect(struct kafka_request *req, struct alter_scram *all)
{
    const struct alter_user_scram_credentials_request *request = req->body;
    int32_t deletions = request->deletions.count, upsertions = request->upsertions.count;
    int32_t total = deletions + upsertions;
    struct user_row **rows = kafka_array(req, struct user_row *, total);
    struct meta_security_change *changes = kafka_array(req, struct meta_security_change, total);
    struct map by_name;
    uint32_t count = 0;
    ox_map_init(&by_name);
    for (int32_t i = 0; i < total; i++)
        rows[i] = user_of(all, &by_name, i < deletions ? request->deletions.at[i].name
                                                       : request->upsertions.at[i - deletions].name);
    ox_map_fini(&by_name);
    struct ox_err err;
    ox_code code = kafka_may_cluster(req, ENGINE_ALTER, &err);
    if (code != OX_OK) {
        altered(req, code, &err);
        return;
    }
    for (int32_t i = 0; i < deletions; i++)
        check_deletion(req, &request->deletions.at[i], rows[i]);
    for (int32_t i = 0; i < upsertions; i++)
        check_upsertion(req, &request->upsertions.at[i], rows[deletions + i],
            &changes[deletions + i].scram);
    for (int32_t i = 0; i < total; i++) {
        struct meta_security_change change = changes[i];
        if (rows[i]->code != OX_OK)
            continue;
        change.kind = i < deletions ? META_SCRAM_DELETE : META_SCRAM_PUT;
        if (i < deletions)
            change.scram = (struct meta_scram){.user = rows[i]->name,
                .mechanism = request->deletions.at[i].mechanism};
        changes[count++] = change;
    }
    kafka_change_security(req, changes, count, false, altered);
}

void
kafka_alter_user_scram_credentials(struct kafka_request *req)
{
    const struct alter_user_scram_credentials_request *request = req->body;
    struct alter_scram *all = kafka_array(req, struct alter_scram, 1);
    all->users = kafka_array(req, struct user_row,
        request->deletions.count + request->upsertions.count);
    req->state = all;
    collect(req, all);
}
