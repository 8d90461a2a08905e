/* SPDX-License-Identifier: Apache-2.0
 *
 * WriteTxnMarkers: ends a transaction in the partitions named. Coordinators send
 * it to the leaders of other nodes, and an administrator to end one that hangs. */
#include "kafka/kafka_int.h"

typedef struct write_txn_markers_request_markers marker_in;
typedef struct write_txn_markers_request_markers_topics topic_in;
typedef struct write_txn_markers_response_markers marker_out;
typedef struct write_txn_markers_response_markers_topics topic_out;
typedef struct write_txn_markers_response_markers_topics_partitions part_out;

struct write_markers {
    struct kafka_wait wait;
    struct write_marker {
        struct engine_marker call; /* first: done() gets this */
        struct write_markers *all;
    } *markers; /* of all markers, topics, partitions, in order */
};

static void finish(struct kafka_request *req);

static void
written(struct engine_marker *call)
{
    struct write_marker *marker = (struct write_marker *)(void *)call;
    kafka_wait_done(&marker->all->wait);
}

static size_t
count_all(const struct write_txn_markers_request *request)
{
    size_t count = 0;
    for (int32_t m = 0; m < request->markers.count; m++)
        for (int32_t t = 0; t < request->markers.at[m].topics.count; t++)
            count += (size_t)request->markers.at[m].topics.at[t].partition_indexes.count;
    return count;
}

static void
start(struct kafka_request *req, const marker_in *in, struct str topic, int32_t partition,
    struct write_marker *marker)
{
    marker->call.sess = req->sess;
    marker->call.topic = topic;
    marker->call.partition = partition;
    marker->call.producer_id = in->producer_id;
    marker->call.producer_epoch = in->producer_epoch;
    marker->call.coordinator_epoch = in->coordinator_epoch;
    marker->call.commit = in->transaction_result;
    marker->call.txn_version = req->version >= 2 ? in->transaction_version : 0;
    marker->call.done = written;
    marker->all->wait.pending++;
    engine_marker(&marker->call);
}

void
kafka_write_txn_markers(struct kafka_request *req)
{
    const struct write_txn_markers_request *request = req->body;
    struct write_markers *all = kafka_array(req, struct write_markers, 1);
    all->markers = kafka_array(req, struct write_marker, count_all(request));
    req->state = all;
    kafka_wait_init(&all->wait, req, finish);
    bool may = kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, ENGINE_ALTER) ||
               kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, ENGINE_CLUSTER_ACTION);
    struct write_marker *marker = all->markers;
    for (int32_t m = 0; m < request->markers.count; m++) {
        const marker_in *in = &request->markers.at[m];
        for (int32_t t = 0; t < in->topics.count; t++) {
            const topic_in *topic = &in->topics.at[t];
            for (int32_t p = 0; p < topic->partition_indexes.count; p++, marker++) {
                marker->all = all;
                marker->call.code = !may ? OX_CLUSTER_AUTHORIZATION_FAILED
                                    : in->producer_id < 0 || in->producer_epoch < 0
                                        ? OX_UNKNOWN_SERVER_ERROR
                                        : OX_OK;
                if (marker->call.code == OX_OK)
                    start(req, in, topic->name, topic->partition_indexes.at[p], marker);
            }
        }
    }
    kafka_wait_done(&all->wait);
}

static void
finish(struct kafka_request *req)
{
    const struct write_txn_markers_request *request = req->body;
    const struct write_markers *all = req->state;
    const struct write_marker *marker = all->markers;
    struct write_txn_markers_response response;
    write_txn_markers_response_init(&response);
    response.markers.at = kafka_array(req, marker_out, request->markers.count);
    for (int32_t m = 0; m < request->markers.count; m++) {
        const marker_in *in = &request->markers.at[m];
        marker_out *out = &response.markers.at[response.markers.count];
        out->producer_id = in->producer_id;
        out->topics.at = kafka_array(req, topic_out, in->topics.count);
        for (int32_t t = 0; t < in->topics.count; t++) {
            if (in->topics.at[t].partition_indexes.count == 0) /* Kafka leaves it out */
                continue;
            topic_out *topic = &out->topics.at[out->topics.count++];
            topic->name = in->topics.at[t].name;
            topic->partitions.count = in->topics.at[t].partition_indexes.count;
            topic->partitions.at = kafka_array(req, part_out, topic->partitions.count);
            for (int32_t p = 0; p < topic->partitions.count; p++, marker++)
                topic->partitions.at[p] = (part_out){in->topics.at[t].partition_indexes.at[p],
                    ox_code_kafka(marker->call.code)};
        }
        response.markers.count += out->topics.count > 0;
    }
    kafka_answer(req, &response);
}
