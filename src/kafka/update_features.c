/* SPDX-License-Identifier: Apache-2.0
 *
 * UpdateFeatures: levels of features, all or none. They are kept as settings of
 * META_RESOURCE_FEATURE; who asks for one is kafka_feature(). */
#include "kafka/kafka_int.h"

enum { UPGRADE = 1, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE };

typedef struct update_features_request_feature_updates update_in;
typedef struct update_features_response_results result_out;

struct update_features {
    struct engine_config_alter call; /* first: done() gets its head */
    struct kafka_request *req;
    struct engine_config_kv *changes;
};

int
kafka_feature(const struct kafka_request *req, int which)
{
    uint32_t protocols = engine_settings(kafka_engine(req))->group_coordinator_rebalance_protocols;
    bool off = (which == PARAM_FEATURE_GROUP_VERSION &&
                   !(protocols & SERVER_GROUP_COORDINATOR_REBALANCE_PROTOCOLS_CONSUMER)) ||
               (which == PARAM_FEATURE_STREAMS_VERSION &&
                   !(protocols & SERVER_GROUP_COORDINATOR_REBALANCE_PROTOCOLS_STREAMS));
    return off ? 0 : meta_feature_level(kafka_view(req), which);
}

/* Results of single features are of versions 0 and 1. */
static void
answer(struct kafka_request *req, ox_code code, const struct ox_err *err)
{
    const struct update_features_request *request = req->body;
    struct update_features_response response;
    update_features_response_init(&response);
    response.error_code = ox_code_kafka(code);
    response.error_message = kafka_error_text(req, code, err);
    if (code == OX_OK) {
        response.results.count = request->feature_updates.count;
        response.results.at = kafka_array(req, result_out, request->feature_updates.count);
        for (int32_t i = 0; i < request->feature_updates.count; i++)
            response.results.at[i] =
                (result_out){request->feature_updates.at[i].feature, 0, OX_STR("NONE")};
    }
    kafka_answer(req, &response);
}

static void
updated(struct engine_admin *admin)
{
    struct update_features *job = (struct update_features *)(void *)admin;
    answer(job->req, admin->code, &admin->err);
    engine_admin_fini(admin);
}

#define REFUSED \
    "The update failed for all features since the following feature had an error: "

static ox_code
refuse(struct ox_err *err, int level, struct str feature, const char *why)
{
    return ox_fail(err, OX_INVALID_UPDATE_VERSION,
        REFUSED "Invalid update version %d for feature %.*s. %s", level, OX_STR_ARG(feature), why);
}

/* Which metadata a lower level could not hold is not known here, so that none may
 * be chosen; the voters' own level never goes down. */
static ox_code
check_downgrade(const struct param *param, int upgrade_type, int now, int wanted,
    struct ox_err *err)
{
    if (upgrade_type == UPGRADE)
        return refuse(err, wanted, ox_str(param->kafka_name), "Can't downgrade the version of "
            "this feature without setting the upgrade type to either safe or unsafe downgrade.");
    if (param->index == PARAM_FEATURE_KRAFT_VERSION)
        return refuse(err, wanted, ox_str(param->kafka_name),
            "Can't downgrade the version of this feature.");
    if (param->index == PARAM_FEATURE_METADATA_VERSION)
        return ox_fail(err, OX_INVALID_UPDATE_VERSION, REFUSED "Unsupported metadata.version "
            "downgrade from %d to %d. %s", now, wanted, upgrade_type == SAFE_DOWNGRADE
                ? "Refusing to perform the requested downgrade because it might delete metadata "
                  "information."
                : "Unsafe metadata downgrade is not supported in this version.");
    return OX_OK;
}

static ox_code
check_update(struct kafka_request *req, const update_in *in, struct ox_err *err)
{
    const struct param *param = param_find(PARAM_SCOPE_FEATURE, in->feature);
    int type = req->version > 0      ? in->upgrade_type
               : in->allow_downgrade ? SAFE_DOWNGRADE
                                     : UPGRADE;
    int level = in->max_version_level;
    if (param == NULL || !ox_str_is(in->feature, param->kafka_name))
        return refuse(err, level, in->feature, ox_arena_printf(&req->arena, "Local controller %d "
            "does not support this feature.", kafka_view(req)->node_id));
    if (type < UPGRADE || type > UNSAFE_DOWNGRADE)
        return refuse(err, level, in->feature,
            "The controller does not support the given upgrade type.");
    if (level < 0)
        return refuse(err, level, in->feature, "A feature version cannot be less than 0.");
    if (level < (int)param->min || level > (int)param->max)
        return refuse(err, level, in->feature, ox_arena_printf(&req->arena, "Local controller %d "
            "only supports versions %d-%d", kafka_view(req)->node_id, (int)param->min,
            (int)param->max));
    int now = kafka_feature(req, param->index);
    return level < now ? check_downgrade(param, type, now, level, err) : OX_OK;
}

/* A feature that is named twice gets the last level. */
static void
add_change(struct kafka_request *req, struct update_features *job, const update_in *in)
{
    struct engine_config_kv *change = job->changes;
    struct engine_config_kv *end = job->changes + job->call.change_count;
    while (change < end && !ox_str_eq(change->name, in->feature))
        change++;
    job->call.change_count += change == end;
    *change = (struct engine_config_kv){in->feature,
        ox_str(ox_arena_printf(&req->arena, "%d", in->max_version_level)), META_CONFIG_SET};
}

void
kafka_update_features(struct kafka_request *req)
{
    const struct update_features_request *request = req->body;
    struct update_features *job = kafka_array(req, struct update_features, 1);
    struct ox_err err;
    job->req = req;
    job->changes =
        kafka_array(req, struct engine_config_kv, OX_MIN(request->feature_updates.count, 1000));
    ox_code code = kafka_may_cluster(req, ENGINE_ALTER, &err);
    if (code == OX_OK && request->feature_updates.count > 1000)
        code = ox_fail(&err, OX_INVALID_REQUEST, "more than 1000 features in a request");
    for (int32_t i = 0; code == OX_OK && i < request->feature_updates.count; i++) {
        code = check_update(req, &request->feature_updates.at[i], &err);
        if (code == OX_OK)
            add_change(req, job, &request->feature_updates.at[i]);
    }
    if (code != OX_OK || job->call.change_count == 0) {
        answer(req, code, &err);
        return;
    }
    job->call.admin.sess = req->sess;
    job->call.admin.done = updated;
    job->call.resource = META_RESOURCE_FEATURE;
    job->call.name = OX_STR(META_FEATURES);
    job->call.changes = job->changes;
    job->call.validate_only = request->validate_only;
    if (engine_config_alter(&job->call))
        updated(&job->call.admin);
}
