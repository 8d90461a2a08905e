/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeLogDirs: the one log directory, its space, its partitions. */
#include "kafka/kafka_int.h"

typedef struct describe_log_dirs_response_results dir_out;
typedef struct describe_log_dirs_response_results_topics topic_out;
typedef struct describe_log_dirs_response_results_topics_partitions part_out;

static void
add_part(struct kafka_request *req, const struct meta_topic *topic, int32_t index,
    topic_out *out)
{
    struct partition *part =
        replica_partition(engine_replica(kafka_engine(req)), &topic->id, index);
    struct partition_state state;
    if (part == NULL || partition_log(part) == NULL)
        return;
    partition_state(part, &state);
    out->partitions.at[out->partitions.count++] = (part_out){index,
        (int64_t)plog_bytes(partition_log(part)),
        OX_MAX(state.high_watermark - state.log_end, (int64_t)0), false};
}

static void
add_topic(struct kafka_request *req, const struct meta_topic *topic,
    const struct msg_int32s *wanted, dir_out *dir)
{
    topic_out *out = &dir->topics.at[dir->topics.count];
    int32_t count = wanted ? wanted->count : (int32_t)topic->partition_count;
    out->name = topic->name;
    out->partitions.at = kafka_array(req, part_out, count);
    for (int32_t i = 0; i < count; i++)
        add_part(req, topic, wanted ? wanted->at[i] : i, out);
    if (out->partitions.count > 0)
        dir->topics.count++;
}

static void
fill_dir(struct kafka_request *req, dir_out *dir)
{
    const struct describe_log_dirs_request *request = req->body;
    const struct meta_view *view = kafka_view(req);
    struct log_dir *log_dir = replica_log_dir(engine_replica(kafka_engine(req)));
    struct log_dir_stats stats;
    log_dir_stats(log_dir, &stats);
    describe_log_dirs_response_results_init(dir);
    dir->log_dir = ox_str(log_dir_path(log_dir));
    dir->error_code = ox_code_kafka(stats.offline ? OX_STORAGE_ERROR : OX_OK);
    dir->total_bytes = (int64_t)stats.total_bytes;
    dir->usable_bytes = (int64_t)stats.usable_bytes;
    if (request->topics.count < 0) {
        dir->topics.at = kafka_array(req, topic_out, view->topic_count);
        for (uint32_t i = 0; i < view->topic_count; i++)
            add_topic(req, meta_view_topic_at(view, i), NULL, dir);
        return;
    }
    dir->topics.at = kafka_array(req, topic_out, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++) {
        const struct meta_topic *topic = meta_view_topic(view, request->topics.at[i].topic);
        if (topic != NULL)
            add_topic(req, topic, &request->topics.at[i].partitions, dir);
    }
}

void
kafka_describe_log_dirs(struct kafka_request *req)
{
    struct describe_log_dirs_response response;
    dir_out dir;
    describe_log_dirs_response_init(&response);
    if (kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, ENGINE_DESCRIBE)) {
        fill_dir(req, &dir);
        response.results.at = &dir;
        response.results.count = 1;
    } else {
        response.error_code = ox_code_kafka(OX_CLUSTER_AUTHORIZATION_FAILED);
    }
    kafka_answer(req, &response);
}
