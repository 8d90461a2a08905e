/* SPDX-License-Identifier: Apache-2.0
 *
 * ListConfigResources: what has settings. Topics and brokers always have; groups
 * and subscriptions to client metrics once some were set. Version 0 is the old
 * ListClientMetricsResources. */
#include "kafka/kafka_int.h"

typedef struct list_config_resources_response_config_resources row_out;

static const int8_t listable[] = {META_RESOURCE_TOPIC, META_RESOURCE_BROKER,
    META_RESOURCE_BROKER_LOGGER, META_RESOURCE_CLIENT_METRICS, META_RESOURCE_GROUP};

static bool
is_listable(int8_t type)
{
    return memchr(listable, type, sizeof(listable)) != NULL;
}

/* No types are all types. */
static bool
wanted(const struct kafka_request *req, int8_t type)
{
    const struct list_config_resources_request *request = req->body;
    if (req->version == 0)
        return type == META_RESOURCE_CLIENT_METRICS;
    if (request->resource_types.count == 0)
        return true;
    for (int32_t i = 0; i < request->resource_types.count; i++)
        if (request->resource_types.at[i] == type)
            return true;
    return false;
}

static void
list(struct kafka_request *req, struct list_config_resources_response *response)
{
    const struct meta_view *view = kafka_view(req);
    size_t most = (size_t)view->topic_count + 2 * (size_t)view->broker_count + view->config_count;
    row_out *rows = kafka_array(req, row_out, most);
    int32_t count = 0;
    for (uint32_t i = 0; wanted(req, META_RESOURCE_TOPIC) && i < view->topic_count; i++)
        rows[count++] = (row_out){meta_view_topic_at(view, i)->name, META_RESOURCE_TOPIC};
    for (uint32_t i = 0; i < view->broker_count; i++) {
        struct str id =
            ox_str(ox_arena_printf(&req->arena, "%d", view->brokers[i]->node_id));
        if (wanted(req, META_RESOURCE_BROKER))
            rows[count++] = (row_out){id, META_RESOURCE_BROKER};
        if (wanted(req, META_RESOURCE_BROKER_LOGGER))
            rows[count++] = (row_out){id, META_RESOURCE_BROKER_LOGGER};
    }
    for (uint32_t i = 0; i < view->config_count; i++) {
        const struct meta_config_set *set = view->configs[i];
        bool named = set->resource == META_RESOURCE_CLIENT_METRICS ||
                     set->resource == META_RESOURCE_GROUP;
        if (named && set->count > 0 && wanted(req, set->resource))
            rows[count++] = (row_out){set->name, set->resource};
    }
    response->config_resources.at = rows;
    response->config_resources.count = count;
}

void
kafka_list_config_resources(struct kafka_request *req)
{
    const struct list_config_resources_request *request = req->body;
    struct list_config_resources_response response;
    list_config_resources_response_init(&response);
    ox_code code = kafka_may_cluster(req, ENGINE_DESCRIBE_CONFIGS, NULL);
    for (int32_t i = 0; code == OX_OK && i < request->resource_types.count; i++)
        if (!is_listable(request->resource_types.at[i]))
            code = OX_UNSUPPORTED_VERSION;
    response.error_code = ox_code_kafka(code);
    if (code == OX_OK)
        list(req, &response);
    kafka_answer(req, &response);
}
