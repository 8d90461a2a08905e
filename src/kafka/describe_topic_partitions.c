/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeTopicPartitions: metadata in pages. Topics come by rising name; a page
 * ends after so many partitions and gives a cursor where the next one starts.
 * Topics that may not be described come last. */
#include <stdlib.h>

#include "kafka/kafka_int.h"

typedef struct describe_topic_partitions_response_topics topic_row;
typedef struct describe_topic_partitions_response_topics_partitions partition_row;

static int
by_name(const void *a, const void *b)
{
    return ox_str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Names from the cursor on, sorted, each once. */
static struct str *
names_asked(struct kafka_request *req, uint32_t *count)
{
    const struct describe_topic_partitions_request *request = req->body;
    const struct meta_view *view = kafka_view(req);
    struct str from = request->cursor ? request->cursor->topic_name : OX_STR("");
    struct str *names;
    *count = 0;
    if (request->topics.count == 0) {
        uint32_t rank = meta_view_topic_rank(view, from);
        names = kafka_array(req, struct str, view->topic_count - rank);
        for (; rank < view->topic_count; rank++)
            names[(*count)++] = meta_view_topic_at(view, rank)->name;
        return names;
    }
    names = kafka_array(req, struct str, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++)
        names[i] = request->topics.at[i].name;
    qsort(names, (size_t)request->topics.count, sizeof(*names), by_name);
    for (int32_t i = 0; i < request->topics.count; i++)
        if (ox_str_cmp(names[i], from) >= 0 &&
            (*count == 0 || !ox_str_eq(names[i], names[*count - 1])))
            names[(*count)++] = names[i];
    return names;
}

static struct msg_int32s
int32s(const int32_t *at, uint32_t count)
{
    return (struct msg_int32s){(int32_t *)(uintptr_t)at, (int32_t)count};
}

static void
fill_partition(struct kafka_request *req, const struct meta_topic *topic,
    const struct meta_partition *part, partition_row *row)
{
    describe_topic_partitions_response_topics_partitions_init(row);
    bool alive = !kafka_replica_offline(req, topic, part, part->leader);
    bool reachable = alive && kafka_endpoint(req, part->leader) != NULL;
    row->error_code = ox_code_kafka(reachable || !alive ? OX_OK : OX_LISTENER_NOT_FOUND);
    row->partition_index = part->index;
    row->leader_id = reachable ? part->leader : -1;
    row->leader_epoch = part->leader_epoch;
    row->replica_nodes = int32s(part->replicas, part->replica_count);
    row->isr_nodes.at = kafka_array(req, int32_t, part->isr_count);
    row->eligible_leader_replicas.at = kafka_array(req, int32_t, part->isr_count);
    row->last_known_elr.at = row->eligible_leader_replicas.at;
    row->isr_nodes.count = row->eligible_leader_replicas.count = row->last_known_elr.count = 0;
    for (uint32_t i = 0; i < part->isr_count; i++) {
        bool gone = kafka_replica_offline(req, topic, part, part->isr[i]);
        struct msg_int32s *to = gone ? &row->eligible_leader_replicas : &row->isr_nodes;
        to->at[to->count++] = part->isr[i];
    }
    row->last_known_elr.count = row->eligible_leader_replicas.count;
    row->offline_replicas.at = kafka_array(req, int32_t, part->replica_count);
    for (uint32_t i = 0; i < part->replica_count; i++)
        if (kafka_replica_offline(req, topic, part, part->replicas[i]))
            row->offline_replicas.at[row->offline_replicas.count++] = part->replicas[i];
}

/* Adds partitions from first on; true when the page is full before the last. */
static bool
fill_topic(struct kafka_request *req, const struct meta_topic *topic, int32_t first,
    int32_t *room, topic_row *row, int32_t *next)
{
    row->topic_id = topic->id;
    row->is_internal = topic->internal;
    row->topic_authorized_operations = engine_allowed_mask(req->sess, ENGINE_TOPIC, topic->name);
    int32_t left = OX_MAX((int32_t)topic->partition_count - first, 0);
    row->partitions.count = OX_MIN(left, *room);
    row->partitions.at = kafka_array(req, partition_row, row->partitions.count);
    for (int32_t i = 0; i < row->partitions.count; i++)
        fill_partition(req, topic, topic->partitions[first + i], &row->partitions.at[i]);
    *room -= row->partitions.count;
    *next = first + row->partitions.count;
    return left > row->partitions.count;
}

static bool
cursor_valid(const struct describe_topic_partitions_request *request)
{
    if (request->cursor == NULL)
        return true;
    if (request->cursor->partition_index < 0)
        return false;
    for (int32_t i = 0; i < request->topics.count; i++)
        if (ox_str_eq(request->topics.at[i].name, request->cursor->topic_name))
            return true;
    return request->topics.count == 0;
}

static topic_row *
add_row(struct describe_topic_partitions_response *response, struct str name)
{
    topic_row *row = &response->topics.at[response->topics.count++];
    describe_topic_partitions_response_topics_init(row);
    row->name = name;
    return row;
}

/* The response has no error field of its own: each topic carries it. */
static void
refuse(struct kafka_request *req)
{
    const struct describe_topic_partitions_request *request = req->body;
    struct describe_topic_partitions_response response;
    describe_topic_partitions_response_init(&response);
    response.topics.at = kafka_array(req, topic_row, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++)
        add_row(&response, request->topics.at[i].name)->error_code =
            ox_code_kafka(OX_INVALID_REQUEST);
    if (request->topics.count == 0)
        kafka_answer_close(req);
    else
        kafka_answer(req, &response);
}

void
kafka_describe_topic_partitions(struct kafka_request *req)
{
    const struct describe_topic_partitions_request *request = req->body;
    if (!cursor_valid(request)) {
        refuse(req);
        return;
    }
    int32_t limit = engine_settings(kafka_engine(req))->max_request_partition_size_limit;
    int32_t room = OX_MAX(OX_MIN(request->response_partition_limit, limit), 1), next = 0;
    uint32_t count;
    struct str *names = names_asked(req, &count);
    struct describe_topic_partitions_response response;
    describe_topic_partitions_response_init(&response);
    response.topics.at = kafka_array(req, topic_row, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct meta_topic *topic = meta_view_topic(kafka_view(req), names[i]);
        if (!kafka_may(req, ENGINE_TOPIC, names[i], ENGINE_DESCRIBE))
            continue;
        if (topic == NULL) {
            bool valid = meta_topic_name_check(names[i], NULL) == OX_OK;
            topic_row *row = add_row(&response, names[i]);
            row->error_code =
                ox_code_kafka(valid ? OX_UNKNOWN_TOPIC_OR_PARTITION : OX_INVALID_TOPIC);
            row->topic_authorized_operations =
                engine_allowed_mask(req->sess, ENGINE_TOPIC, names[i]);
            continue;
        }
        bool resumed = request->cursor && ox_str_eq(names[i], request->cursor->topic_name);
        bool full = room == 0;
        if (!full)
            full = fill_topic(req, topic, resumed ? request->cursor->partition_index : 0, &room,
                add_row(&response, names[i]), &next);
        else
            next = 0;
        if (full) {
            response.next_cursor =
                kafka_array(req, struct describe_topic_partitions_response_next_cursor, 1);
            response.next_cursor->topic_name = names[i];
            response.next_cursor->partition_index = next;
            break;
        }
    }
    for (int32_t i = 0; i < request->topics.count; i++)
        if (!kafka_may(req, ENGINE_TOPIC, request->topics.at[i].name, ENGINE_DESCRIBE) &&
            response.topics.count < (int32_t)count)
            add_row(&response, request->topics.at[i].name)->error_code =
                ox_code_kafka(OX_TOPIC_AUTHORIZATION_FAILED);
    kafka_answer(req, &response);
}
