/* SPDX-License-Identifier: Apache-2.0
 *
 * FindCoordinator: the leader of the partition of __consumer_offsets that a
 * group hashes to, of __transaction_state for a transactional id, or of
 * __share_group_state for a partition of a share group. The topic
 * is made when somebody first asks; until it is there the answer is
 * COORDINATOR_NOT_AVAILABLE, and the client asks again. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

enum { KEY_GROUP, KEY_TRANSACTION, KEY_SHARE };

typedef struct find_coordinator_response_coordinators row;

static ox_code
fail(struct kafka_request *req, row *out, ox_code code, const char *why)
{
    out->node_id = -1;
    out->port = -1;
    out->host = OX_STR("");
    out->error_code = ox_code_kafka(code);
    out->error_message = why != NULL ? ox_str(why) : kafka_error_text(req, code, NULL);
    return code;
}

/* name: the coordinators' topic, the same one for all keys of a request. */
static ox_code
find_in(struct kafka_request *req, const char *name, const struct coord *coord, struct str key,
    bool *missing, row *out)
{
    const struct meta_topic *topic = meta_view_topic(kafka_view(req), ox_str(name));
    int32_t index = coord_find(coord, key);
    if (topic == NULL) {
        if (!*missing)
            kafka_auto_create(req, ox_str(name));
        *missing = true;
        return fail(req, out, OX_COORDINATOR_NOT_AVAILABLE, NULL);
    }
    const struct meta_partition *part = meta_topic_partition(topic, index);
    const struct meta_listener *endpoint = part ? kafka_endpoint(req, part->leader) : NULL;
    if (endpoint == NULL)
        return fail(req, out, OX_COORDINATOR_NOT_AVAILABLE, NULL);
    out->node_id = part->leader;
    out->host = endpoint->host;
    out->port = endpoint->port;
    return OX_OK;
}

static ox_code
find_group(struct kafka_request *req, struct str group_id, bool *missing, row *out)
{
    if (!kafka_may(req, ENGINE_GROUP, group_id, ENGINE_DESCRIBE))
        return fail(req, out, OX_GROUP_AUTHORIZATION_FAILED, NULL);
    return find_in(req, "__consumer_offsets", engine_coord(kafka_engine(req)), group_id,
        missing, out);
}

static ox_code
find_transaction(struct kafka_request *req, struct str transactional_id, bool *missing, row *out)
{
    if (!kafka_may(req, ENGINE_TRANSACTIONAL_ID, transactional_id, ENGINE_DESCRIBE))
        return fail(req, out, OX_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, NULL);
    return find_in(req, "__transaction_state", engine_txns(kafka_engine(req)), transactional_id,
        missing, out);
}

/* GROUP:TOPIC_ID:PARTITION */
static bool
is_state_key(struct str key)
{
    const char *last = memrchr(key.ptr, ':', key.len);
    const char *first = last != NULL ? memrchr(key.ptr, ':', (size_t)(last - key.ptr)) : NULL;
    struct uuid topic_id;
    int64_t partition;
    if (first == NULL)
        return false;
    return ox_uuid_from_base64(ox_str_n(first + 1, (size_t)(last - first - 1)), &topic_id) &&
           ox_str_to_i64(ox_str_n(last + 1, key.len - (size_t)(last + 1 - key.ptr)),
               &partition) &&
           partition >= INT32_MIN && partition <= INT32_MAX;
}

/* The key is GROUP:TOPIC_ID:PARTITION; brokers ask, for states of share groups. */
static ox_code
find_state(struct kafka_request *req, struct str key, bool *missing, row *out)
{
    if (!kafka_may(req, ENGINE_CLUSTER, OX_STR("kafka-cluster"), ENGINE_CLUSTER_ACTION))
        return fail(req, out, OX_CLUSTER_AUTHORIZATION_FAILED, NULL);
    if (!is_state_key(key))
        return fail(req, out, OX_INVALID_REQUEST, "the key is GROUP:TOPIC_ID:PARTITION");
    return find_in(req, "__share_group_state", engine_states(kafka_engine(req)), key, missing,
        out);
}

static void
find(struct kafka_request *req, struct str key, bool *missing, row *out)
{
    const struct find_coordinator_request *request = req->body;
    find_coordinator_response_coordinators_init(out);
    out->key = key;
    out->error_message = req->version >= 4 ? OX_STR("") : OX_STR("NONE");
    switch (request->key_type) {
    case KEY_GROUP:
        find_group(req, key, missing, out);
        break;
    case KEY_TRANSACTION:
        find_transaction(req, key, missing, out);
        break;
    case KEY_SHARE:
        if (req->version >= 6)
            find_state(req, key, missing, out);
        else
            fail(req, out, OX_INVALID_REQUEST, NULL);
        break;
    default:
        fail(req, out, OX_INVALID_REQUEST, NULL);
        break;
    }
}

void
kafka_find_coordinator(struct kafka_request *req)
{
    const struct find_coordinator_request *request = req->body;
    struct find_coordinator_response response;
    find_coordinator_response_init(&response);
    bool missing = false;
    int32_t count = req->version >= 4 ? request->coordinator_keys.count : 1;
    row *rows = kafka_array(req, row, count);
    for (int32_t i = 0; i < count; i++)
        find(req, req->version >= 4 ? request->coordinator_keys.at[i] : request->key, &missing,
            &rows[i]);
    if (req->version >= 4) {
        response.coordinators.at = rows;
        response.coordinators.count = count;
    } else {
        response.error_code = rows->error_code;
        response.error_message = rows->error_message;
        response.node_id = rows->node_id;
        response.host = rows->host;
        response.port = rows->port;
    }
    kafka_answer(req, &response);
}
