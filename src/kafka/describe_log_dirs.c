/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeLogDirs: the log directories, their space, the partitions in them and
 * those on their way into them. */
#include "kafka/kafka_int.h"

typedef struct describe_log_dirs_response_results dir_out;
typedef struct describe_log_dirs_response_results_topics topic_out;
typedef struct describe_log_dirs_response_results_topics_partitions part_out;

static void
add_part(struct kafka_request *req, const struct meta_topic *topic, int32_t index,
    const struct log_dir *dir, topic_out *out)
{
    struct partition *part =
        replica_partition(engine_replica(kafka_engine(req)), &topic->id, index);
    struct partition_state state;
    uint64_t bytes;
    int64_t end;
    if (part == NULL || partition_log(part) == NULL)
        return;
    partition_state(part, &state);
    if (plog_log_dir(partition_log(part)) == dir)
        out->partitions.at[out->partitions.count++] = (part_out){index,
            (int64_t)plog_bytes(partition_log(part)),
            OX_MAX(state.high_watermark - state.log_end, (int64_t)0), false};
    else if (partition_moving(part, &bytes, &end) == dir)
        out->partitions.at[out->partitions.count++] = (part_out){index, (int64_t)bytes,
            OX_MAX(state.log_end - end, (int64_t)0), true};
}

static void
add_topic(struct kafka_request *req, const struct meta_topic *topic,
    const struct msg_int32s *wanted, const struct log_dir *log_dir, dir_out *dir)
{
    topic_out *out = &dir->topics.at[dir->topics.count];
    int32_t count = wanted ? wanted->count : (int32_t)topic->partition_count;
    out->name = topic->name;
    out->partitions.at = kafka_array(req, part_out, count);
    for (int32_t i = 0; i < count; i++)
        add_part(req, topic, wanted ? wanted->at[i] : i, log_dir, out);
    if (out->partitions.count > 0)
        dir->topics.count++;
}

static void
fill_topics(struct kafka_request *req, const struct log_dir *log_dir, dir_out *dir)
{
    const struct describe_log_dirs_request *request = req->body;
    const struct meta_view *view = kafka_view(req);
    if (request->topics.count < 0) {
        dir->topics.at = kafka_array(req, topic_out, view->topic_count);
        for (uint32_t i = 0; i < view->topic_count; i++)
            add_topic(req, meta_view_topic_at(view, i), NULL, log_dir, dir);
        return;
    }
    dir->topics.at = kafka_array(req, topic_out, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++) {
        const struct meta_topic *topic = meta_view_topic(view, request->topics.at[i].topic);
        if (topic != NULL)
            add_topic(req, topic, &request->topics.at[i].partitions, log_dir, dir);
    }
}

/* Of a directory that failed nothing is known but that. */
static void
fill_dir(struct kafka_request *req, struct log_dir *log_dir, const char *path, dir_out *dir)
{
    struct log_dir_stats stats = {.offline = true};
    describe_log_dirs_response_results_init(dir);
    if (log_dir != NULL)
        log_dir_stats(log_dir, &stats);
    dir->log_dir = ox_str(path);
    dir->error_code = ox_code_kafka(stats.offline ? OX_STORAGE_ERROR : OX_OK);
    if (stats.offline)
        return;
    dir->total_bytes = (int64_t)stats.total_bytes;
    dir->is_cordoned = replica_dir_cordoned(engine_replica(kafka_engine(req)), path);
    dir->usable_bytes = (int64_t)stats.usable_bytes;
    fill_topics(req, log_dir, dir);
}

void
kafka_describe_log_dirs(struct kafka_request *req)
{
    struct replica *replica = engine_replica(kafka_engine(req));
    struct describe_log_dirs_response response;
    size_t dirs = 0, failed = 0;
    describe_log_dirs_response_init(&response);
    if (!kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, ENGINE_DESCRIBE)) {
        response.error_code = ox_code_kafka(OX_CLUSTER_AUTHORIZATION_FAILED);
        kafka_answer(req, &response);
        return;
    }
    while (replica_log_dir(replica, dirs) != NULL)
        dirs++;
    while (replica_failed_dir(replica, failed) != NULL)
        failed++;
    response.results.at = kafka_array(req, dir_out, dirs + failed);
    for (size_t i = 0; i < dirs; i++)
        fill_dir(req, replica_log_dir(replica, i), log_dir_path(replica_log_dir(replica, i)),
            &response.results.at[response.results.count++]);
    for (size_t i = 0; i < failed; i++)
        fill_dir(req, NULL, replica_failed_dir(replica, i),
            &response.results.at[response.results.count++]);
    kafka_answer(req, &response);
}
