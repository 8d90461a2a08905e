/* SPDX-License-Identifier: Apache-2.0
 *
 * Metadata: brokers as clients of this listener reach them, topics, leaders.
 * Everything comes from the metadata view; nothing waits. A topic that does not
 * exist may be created on the way: that is started, and this answer still says
 * UNKNOWN_TOPIC_OR_PARTITION, as Kafka's does; clients ask again. */
#include "kafka/kafka_int.h"

typedef struct metadata_response_topics topic_row;
typedef struct metadata_response_topics_partitions partition_row;

/* ---- auto-creation: outlives the request ---- */

struct auto_create {
    struct engine_topic_create create;
    struct kafka_conn *kc;
    char name[256];
};

static void
auto_create_end(struct auto_create *job)
{
    struct kafka_conn *kc = job->kc;
    engine_admin_fini(&job->create.admin);
    ox_free(job);
    kafka_conn_put(kc);
}

static void
auto_create_done(struct engine_admin *admin)
{
    auto_create_end((struct auto_create *)(void *)admin);
}

ox_code
kafka_auto_create(struct kafka_request *req, struct str name)
{
    struct auto_create *job = ox_calloc(1, sizeof(*job));
    memcpy(job->name, name.ptr, name.len); /* valid, so at most 249 bytes */
    job->kc = req->kc;
    kafka_conn_hold(req->kc);
    job->create.admin.sess = req->sess;
    job->create.admin.done = auto_create_done;
    job->create.name = ox_str_n(job->name, name.len);
    job->create.partitions = -1;
    job->create.replication_factor = -1;
    bool finished = meta_topic_is_internal(name)
                        ? engine_internal_topic(&job->create, job->create.name)
                        : engine_topic_create(&job->create);
    ox_code code = OX_UNKNOWN_TOPIC_OR_PARTITION;
    if (finished && (job->create.admin.code == OX_TOPIC_AUTHORIZATION_FAILED ||
                        job->create.admin.code == OX_INVALID_TOPIC ||
                        job->create.admin.code == OX_INVALID_REPLICATION_FACTOR))
        code = job->create.admin.code;
    if (finished)
        auto_create_end(job);
    return code;
}

/* ---- rows ---- */

static struct msg_int32s
int32s(const int32_t *at, uint32_t count)
{
    return (struct msg_int32s){(int32_t *)(uintptr_t)at, (int32_t)count};
}

/* Of the replicas in sync those whose log directory works, as Kafka's controller
 * takes the others out. */
static struct msg_int32s
in_sync(struct kafka_request *req, const struct meta_topic *topic,
    const struct meta_partition *part)
{
    struct msg_int32s out = int32s(part->isr, part->isr_count);
    if (!kafka_replica_offline(req, topic, part, part->leader))
        return out;
    out = (struct msg_int32s){kafka_array(req, int32_t, part->isr_count), 0};
    for (uint32_t i = 0; i < part->isr_count; i++)
        if (!kafka_replica_offline(req, topic, part, part->isr[i]))
            out.at[out.count++] = part->isr[i];
    return out;
}

static struct msg_int32s
offline(struct kafka_request *req, const struct meta_topic *topic,
    const struct meta_partition *part)
{
    struct msg_int32s out = {NULL, 0};
    for (uint32_t i = 0; i < part->replica_count; i++) {
        if (!kafka_replica_offline(req, topic, part, part->replicas[i]))
            continue;
        if (out.at == NULL)
            out.at = kafka_array(req, int32_t, part->replica_count);
        out.at[out.count++] = part->replicas[i];
    }
    return out;
}

static ox_code
leader_fault(struct kafka_request *req, const struct meta_topic *topic,
    const struct meta_partition *part)
{
    const struct meta_broker *broker = meta_view_broker(kafka_view(req), part->leader);
    if (kafka_replica_offline(req, topic, part, part->leader))
        return OX_LEADER_NOT_AVAILABLE;
    if (meta_broker_listener(broker, ox_str(req->sess->listener)) == NULL)
        return req->version >= 6 ? OX_LISTENER_NOT_FOUND : OX_LEADER_NOT_AVAILABLE;
    return OX_OK;
}

static void
fill_topic(struct kafka_request *req, const struct meta_topic *topic, topic_row *row)
{
    const struct metadata_request *request = req->body;
    row->name = topic->name;
    row->topic_id = topic->id;
    row->is_internal = topic->internal;
    if (request->include_topic_authorized_operations)
        row->topic_authorized_operations =
            engine_allowed_mask(req->sess, ENGINE_TOPIC, topic->name);
    row->partitions.count = (int32_t)topic->partition_count;
    row->partitions.at = kafka_array(req, partition_row, topic->partition_count);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const struct meta_partition *part = topic->partitions[i];
        ox_code fault = leader_fault(req, topic, part);
        row->partitions.at[i] = (partition_row){
            .error_code = ox_code_kafka(fault),
            .partition_index = part->index,
            .leader_id = fault == OX_OK ? part->leader : -1,
            .leader_epoch = part->leader_epoch,
            .replica_nodes = int32s(part->replicas, part->replica_count),
            .isr_nodes = in_sync(req, topic, part),
            .offline_replicas = offline(req, topic, part),
        };
    }
}

static void
topic_by_name(struct kafka_request *req, struct str name, topic_row *row)
{
    const struct metadata_request *request = req->body;
    ox_code code = OX_UNKNOWN_TOPIC_OR_PARTITION;
    const struct meta_topic *topic = meta_view_topic(kafka_view(req), name);
    row->name = name;
    if (!kafka_may(req, ENGINE_TOPIC, name, ENGINE_DESCRIBE)) {
        code = OX_TOPIC_AUTHORIZATION_FAILED;
    } else if (topic != NULL) {
        fill_topic(req, topic, row);
        return;
    } else if (meta_topic_name_check(name, NULL) != OX_OK) {
        code = OX_INVALID_TOPIC;
    } else if ((req->version < 4 || request->allow_auto_topic_creation) &&
               engine_settings(kafka_engine(req))->auto_create_topics_enable) {
        code = kafka_auto_create(req, name);
    }
    row->error_code = ox_code_kafka(code);
    if (request->include_topic_authorized_operations && code != OX_TOPIC_AUTHORIZATION_FAILED)
        row->topic_authorized_operations = engine_allowed_mask(req->sess, ENGINE_TOPIC, name);
    row->is_internal = code == OX_UNKNOWN_TOPIC_OR_PARTITION && meta_topic_is_internal(name);
}

static void
topic_by_id(struct kafka_request *req, const struct uuid *id, topic_row *row)
{
    const struct meta_topic *topic = meta_view_topic_by_id(kafka_view(req), id);
    row->name = OX_STR_NULL;
    row->topic_id = *id;
    if (topic == NULL)
        row->error_code = ox_code_kafka(OX_UNKNOWN_TOPIC_ID);
    else if (!kafka_may(req, ENGINE_TOPIC, topic->name, ENGINE_DESCRIBE))
        row->error_code = ox_code_kafka(OX_TOPIC_AUTHORIZATION_FAILED);
    else
        fill_topic(req, topic, row);
}

static topic_row *
add_row(struct metadata_response *response)
{
    topic_row *row = &response->topics.at[response->topics.count++];
    metadata_response_topics_init(row);
    return row;
}

static void
list_all(struct kafka_request *req, struct metadata_response *response)
{
    const struct meta_view *view = kafka_view(req);
    response->topics.at = kafka_array(req, topic_row, view->topic_count);
    for (uint32_t i = 0; i < view->topic_count; i++) {
        const struct meta_topic *topic = meta_view_topic_at(view, i);
        if (kafka_may(req, ENGINE_TOPIC, topic->name, ENGINE_DESCRIBE))
            fill_topic(req, topic, add_row(response));
    }
}

/* Ids and null names exist from version 12 on. */
static bool
request_valid(struct kafka_request *req, bool *by_id)
{
    const struct metadata_request *request = req->body;
    *by_id = false;
    for (int32_t i = 0; i < request->topics.count; i++) {
        bool id = !ox_uuid_is_zero(&request->topics.at[i].topic_id);
        bool named = request->topics.at[i].name.ptr != NULL;
        if (req->version < 12 && (id || !named))
            return false;
        if (!id && !named)
            return false;
        *by_id |= id;
    }
    return true;
}

static void
refuse_all(struct kafka_request *req, struct metadata_response *response)
{
    const struct metadata_request *request = req->body;
    response->topics.at = kafka_array(req, topic_row, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++) {
        topic_row *row = add_row(response);
        row->name = request->topics.at[i].name;
        row->topic_id = request->topics.at[i].topic_id;
        row->error_code = ox_code_kafka(OX_INVALID_REQUEST);
    }
    response->brokers.count = 0;
    response->controller_id = -1;
}

static void
list_asked(struct kafka_request *req, struct metadata_response *response)
{
    const struct metadata_request *request = req->body;
    bool by_id;
    if (!request_valid(req, &by_id)) {
        refuse_all(req, response);
        return;
    }
    struct map seen;
    ox_map_init(&seen);
    response->topics.at = kafka_array(req, topic_row, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++) {
        const struct metadata_request_topics *asked = &request->topics.at[i];
        struct str key = by_id ? ox_str_n(asked->topic_id.bytes, sizeof(asked->topic_id.bytes))
                               : asked->name;
        if (by_id && ox_uuid_is_zero(&asked->topic_id))
            continue;
        if (request->topics.count > 1 && ox_map_put(&seen, key, &seen) != NULL)
            continue;
        if (by_id)
            topic_by_id(req, &asked->topic_id, add_row(response));
        else
            topic_by_name(req, asked->name, add_row(response));
    }
    ox_map_fini(&seen);
}

static void
list_brokers(struct kafka_request *req, struct metadata_response *response)
{
    const struct meta_view *view = kafka_view(req);
    response->brokers.at =
        kafka_array(req, struct metadata_response_brokers, view->broker_count);
    for (uint32_t i = 0; i < view->broker_count; i++) {
        const struct meta_broker *broker = view->brokers[i];
        const struct meta_listener *endpoint = kafka_endpoint(req, broker->node_id);
        if (endpoint != NULL)
            response->brokers.at[response->brokers.count++] = (struct metadata_response_brokers){
                broker->node_id, endpoint->host, endpoint->port, broker->rack};
    }
}

void
kafka_metadata(struct kafka_request *req)
{
    const struct metadata_request *request = req->body;
    const struct meta_view *view = kafka_view(req);
    struct metadata_response response;
    metadata_response_init(&response);
    list_brokers(req, &response);
    response.cluster_id = view->cluster_id;
    response.controller_id = view->controller_id;
    if (request->include_cluster_authorized_operations)
        response.cluster_authorized_operations =
            kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, ENGINE_DESCRIBE)
                ? engine_allowed_mask(req->sess, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME)
                : 0;
    if (request->topics.count < 0 || (req->version == 0 && request->topics.count == 0))
        list_all(req, &response);
    else
        list_asked(req, &response);
    kafka_answer(req, &response);
}
