/* SPDX-License-Identifier: Apache-2.0
 *
 * From bytes to a handler: which API, which version, which header; and what all
 * handlers share. The table is catalog/apis.tbl. */
#include "kafka/kafka_int.h"

static const struct kafka_api *
find_api(int16_t key)
{
    size_t low = 0, high = KAFKA_SERVED_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (kafka_served[middle].key == key)
            return &kafka_served[middle];
        if (kafka_served[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool
kafka_request_decode(struct kafka_request *req)
{
    struct wire_in in = wire_in(ox_slice_ptr(&req->frame) + 4, req->frame.len - 4);
    int16_t key = wire_get16(&in);
    req->version = wire_get16(&in);
    req->correlation_id = wire_get32(&in);
    req->api = find_api(key);
    if (in.failed || req->api == NULL)
        return false;
    bool newer = req->version > req->api->to;
    if (req->version < req->api->from || (newer && key != 18))
        return false;
    in = wire_in(ox_slice_ptr(&req->frame) + 4, req->frame.len - 4);
    struct request_header header;
    /* The header's two versions begin alike; of an ApiVersions request that is
     * too new nothing else is looked at. */
    int header_version = req->version >= req->api->request->flexible && !newer ? 2 : 1;
    if (!request_header_decode(&in, header_version, &req->arena, &header))
        return false;
    req->client_id = header.client_id;
    if (newer)
        return true;
    req->body = ox_arena_alloc(&req->arena, req->api->request->top->size);
    return msg_decode(req->api->request, &in, req->version, &req->arena, req->body);
}

/* ---- for handlers ---- */

static void
arena_end(void *arg)
{
    ox_arena_fini(arg);
}

struct arena *
kafka_arena(struct kafka_request *req)
{
    struct arena *arena = kafka_array(req, struct arena, 1);
    ox_arena_init(arena);
    ox_arena_on_free(&req->arena, arena_end, arena);
    return arena;
}

const struct meta_listener *
kafka_endpoint(struct kafka_request *req, int32_t node_id)
{
    const struct meta_broker *broker = meta_view_broker(kafka_view(req), node_id);
    if (broker == NULL || broker->fenced)
        return NULL;
    return meta_broker_listener(broker, ox_str(req->sess->listener));
}

bool
kafka_replica_offline(struct kafka_request *req, const struct meta_topic *topic,
    const struct meta_partition *part, int32_t node_id)
{
    const struct meta_view *view = kafka_view(req);
    const struct meta_broker *broker = meta_view_broker(view, node_id);
    if (broker == NULL || broker->fenced)
        return true;
    struct replica *replica = engine_replica(kafka_engine(req));
    if (node_id != replica_node_id(replica))
        return false;
    struct partition *own = replica_partition(replica, &topic->id, part->index);
    return own != NULL && partition_offline(own);
}

ox_code
kafka_may_subscribe(struct kafka_request *req, struct str group_id, const struct str *topics,
    int32_t count)
{
    if (!kafka_may(req, ENGINE_GROUP, group_id, ENGINE_READ))
        return OX_GROUP_AUTHORIZATION_FAILED;
    for (int32_t i = 0; i < count; i++)
        if (!kafka_may(req, ENGINE_TOPIC, topics[i], ENGINE_DESCRIBE))
            return OX_TOPIC_AUTHORIZATION_FAILED;
    return OX_OK;
}

ox_code
kafka_epoch_check(int32_t believed, const struct partition_state *state)
{
    if (believed == -1 || believed == state->leader_epoch)
        return OX_OK;
    return believed < state->leader_epoch ? OX_FENCED_LEADER_EPOCH : OX_UNKNOWN_LEADER_EPOCH;
}

int32_t *
kafka_firsts(struct kafka_request *req, const struct str *keys, int32_t count)
{
    int32_t *firsts = kafka_array(req, int32_t, OX_MAX(count, 0));
    struct map seen;
    if (count <= 1)
        return firsts; /* as a rule */
    ox_map_init(&seen);
    for (int32_t i = 0; i < count; i++) {
        const int32_t *first = ox_map_get(&seen, keys[i]);
        firsts[i] = first != NULL ? *first : i;
        if (first == NULL)
            ox_map_put(&seen, keys[i], &firsts[i]);
    }
    ox_map_fini(&seen);
    return firsts;
}

uint8_t *
kafka_doubles(struct kafka_request *req, const struct str *keys, int32_t count)
{
    uint8_t *doubles = kafka_array(req, uint8_t, count);
    struct map seen;
    if (count < 2)
        return doubles;
    ox_map_init(&seen);
    for (int32_t i = 0; i < count; i++) {
        uint8_t *first = ox_map_get(&seen, keys[i]);
        if (first == NULL) {
            ox_map_put(&seen, keys[i], &doubles[i]);
            continue;
        }
        *first = KAFKA_FIRST_OF_MANY;
        doubles[i] = KAFKA_AGAIN;
    }
    ox_map_fini(&seen);
    return doubles;
}
