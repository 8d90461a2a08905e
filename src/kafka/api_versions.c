/* SPDX-License-Identifier: Apache-2.0
 *
 * ApiVersions: what is served. A request in a version that we do not know is
 * answered in version 0 with UNSUPPORTED_VERSION and our range of this one API,
 * and the client asks again. Features and their levels are those of
 * catalog/params.tbl and UpdateFeatures. */
#include <stdio.h>

#include "kafka/kafka_int.h"

static bool
alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? */
static bool
software_valid(struct str s)
{
    if (s.len == 0 || !alphanumeric(s.ptr[0]) || !alphanumeric(s.ptr[s.len - 1]))
        return false;
    for (size_t i = 1; i < s.len; i++)
        if (!alphanumeric(s.ptr[i]) && s.ptr[i] != '-' && s.ptr[i] != '.')
            return false;
    return true;
}

/* What says who asks is well formed; who says a cluster says a node of it. */
static bool
valid(const struct kafka_request *req, const struct api_versions_request *request)
{
    if (req->version >= 5 && (request->cluster_id.ptr == NULL) != (request->node_id == -1))
        return false;
    return req->version < 3 || (software_valid(request->client_software_name) &&
                                   software_valid(request->client_software_version));
}

/* Version 5 may say whom it means to reach; null: nobody in particular (KIP-1242). */
static bool
meant_for_us(struct kafka_request *req, const struct api_versions_request *request)
{
    const struct meta_view *view = kafka_view(req);
    return request->cluster_id.ptr == NULL ||
           (ox_str_eq(request->cluster_id, view->cluster_id) && request->node_id == view->node_id);
}

static void
list_apis(struct kafka_request *req, struct api_versions_response *response, bool only_this)
{
    response->api_keys.at =
        kafka_array(req, struct api_versions_response_api_keys, KAFKA_SERVED_COUNT);
    for (int i = 0; i < KAFKA_SERVED_COUNT; i++) {
        const struct kafka_api *api = &kafka_served[i];
        if (!only_this || api == req->api)
            response->api_keys.at[response->api_keys.count++] =
                (struct api_versions_response_api_keys){api->key, api->offered_from,
                    api->offered_to};
    }
}

/* A feature that may be at level 0 is kept from clients that stumble over it;
 * one that is at level 0 is not finalized. */
static void
list_features(struct kafka_request *req, struct api_versions_response *response)
{
    typedef struct api_versions_response_supported_features supported;
    typedef struct api_versions_response_finalized_features finalized;
    response->supported_features.at = kafka_array(req, supported, PARAM_FEATURE_COUNT);
    response->finalized_features.at = kafka_array(req, finalized, PARAM_FEATURE_COUNT);
    for (int i = 0; i < PARAM_FEATURE_COUNT; i++) {
        const struct param *param = param_at(PARAM_SCOPE_FEATURE, i);
        struct str name = ox_str(param->kafka_name);
        int16_t level = (int16_t)meta_feature_level(kafka_view(req), i);
        if (param->min > 0 || req->version >= 4)
            response->supported_features.at[response->supported_features.count++] =
                (supported){name, (int16_t)param->min, (int16_t)param->max};
        if (level > 0)
            response->finalized_features.at[response->finalized_features.count++] =
                (finalized){name, level, level};
    }
}

void
kafka_api_versions(struct kafka_request *req)
{
    const struct api_versions_request *request = req->body;
    struct api_versions_response response;
    api_versions_response_init(&response);
    if (request == NULL) {
        response.error_code = ox_code_kafka(OX_UNSUPPORTED_VERSION);
        list_apis(req, &response, true);
        kafka_answer_version(req, &response, 0);
        return;
    }
    if (!valid(req, request)) {
        response.error_code = ox_code_kafka(OX_INVALID_REQUEST);
        kafka_answer(req, &response);
        return;
    }
    if (!meant_for_us(req, request)) {
        response.error_code = ox_code_kafka(OX_REBOOTSTRAP_REQUIRED);
        kafka_answer(req, &response);
        return;
    }
    if (req->version >= 3)
        snprintf(req->sess->software, sizeof(req->sess->software), "%.*s %.*s",
            OX_STR_ARG(request->client_software_name),
            OX_STR_ARG(request->client_software_version));
    list_apis(req, &response, false);
    list_features(req, &response);
    response.finalized_features_epoch = (int64_t)kafka_view(req)->index;
    kafka_answer(req, &response);
}
