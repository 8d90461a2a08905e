/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterReplicaLogDirs: where partitions shall lie. The answer says that a move
 * was asked for; DescribeLogDirs shows how far it is. */
#include <stdio.h>

#include "kafka/kafka_int.h"

typedef struct alter_replica_log_dirs_request_dirs dir_in;
typedef struct alter_replica_log_dirs_request_dirs_topics topic_in;
typedef struct alter_replica_log_dirs_response_results topic_out;
typedef struct alter_replica_log_dirs_response_results_partitions part_out;

/* The directory of that path; what is wrong with it otherwise. */
static ox_code
find_dir(struct replica *replica, struct str path, struct log_dir **out)
{
    const char *failed;
    for (size_t i = 0; (*out = replica_log_dir(replica, i)) != NULL; i++)
        if (ox_str_is(path, log_dir_path(*out)))
            return log_dir_is_offline(*out) ? OX_STORAGE_ERROR : OX_OK;
    for (size_t i = 0; (failed = replica_failed_dir(replica, i)) != NULL; i++)
        if (ox_str_is(path, failed))
            return OX_STORAGE_ERROR;
    return OX_LOG_DIR_NOT_FOUND;
}

/* As Kafka, which would have no room for the name of the directory that it moves to. */
static bool
name_too_long(struct str topic_name, int32_t index)
{
    enum { FILE_NAME_MAX = 255, SUFFIX_LEN = 1 + 32 + 7 }; /* ".", an id, "-future" */
    return topic_name.len + (size_t)snprintf(NULL, 0, "-%d", index) + SUFFIX_LEN > FILE_NAME_MAX;
}

static ox_code
move_part(struct kafka_request *req, struct str path, struct str topic_name, int32_t index)
{
    struct replica *replica = engine_replica(kafka_engine(req));
    const struct meta_topic *topic = meta_view_topic(kafka_view(req), topic_name);
    struct log_dir *dir;
    if (name_too_long(topic_name, index))
        return OX_INVALID_TOPIC;
    ox_code code = find_dir(replica, path, &dir);
    if (code != OX_OK)
        return code;
    if (replica_dir_cordoned(replica, log_dir_path(dir)))
        return OX_INVALID_REPLICA_ASSIGNMENT;
    struct partition *part =
        topic != NULL ? replica_partition(replica, &topic->id, index) : NULL;
    if (part == NULL)
        return OX_UNKNOWN_TOPIC_OR_PARTITION;
    if (partition_log(part) == NULL || log_dir_is_offline(plog_log_dir(partition_log(part))))
        return OX_STORAGE_ERROR;
    partition_move(part, dir);
    return OX_OK;
}

/* Answers are by topic, requests by directory. */
static topic_out *
topic_of(struct kafka_request *req, struct alter_replica_log_dirs_response *response,
    struct str name, int32_t parts_max)
{
    for (int32_t i = 0; i < response->results.count; i++)
        if (ox_str_eq(response->results.at[i].topic_name, name))
            return &response->results.at[i];
    topic_out *out = &response->results.at[response->results.count++];
    out->topic_name = name;
    out->partitions.at = kafka_array(req, part_out, parts_max);
    return out;
}

/* A partition that was answered already, for another directory: Kafka answers it
 * once, with what it was asked last. */
static part_out *
row_of(topic_out *out, int32_t index, bool first_dir)
{
    for (int32_t i = 0; !first_dir && i < out->partitions.count; i++)
        if (out->partitions.at[i].partition_index == index)
            return &out->partitions.at[i];
    return &out->partitions.at[out->partitions.count++];
}

void
kafka_alter_replica_log_dirs(struct kafka_request *req)
{
    const struct alter_replica_log_dirs_request *request = req->body;
    struct alter_replica_log_dirs_response response;
    bool may = kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, ENGINE_ALTER);
    int32_t topics = 0, parts = 0;
    for (int32_t d = 0; d < request->dirs.count; d++)
        for (int32_t t = 0; t < request->dirs.at[d].topics.count; t++, topics++)
            parts += request->dirs.at[d].topics.at[t].partitions.count;
    alter_replica_log_dirs_response_init(&response);
    response.results.at = kafka_array(req, topic_out, topics);
    for (int32_t d = 0; d < request->dirs.count; d++) {
        const dir_in *dir = &request->dirs.at[d];
        for (int32_t t = 0; t < dir->topics.count; t++) {
            const topic_in *topic = &dir->topics.at[t];
            if (topic->partitions.count == 0) /* Kafka leaves it out */
                continue;
            topic_out *out = topic_of(req, &response, topic->name, parts);
            for (int32_t p = 0; p < topic->partitions.count; p++) {
                int32_t index = topic->partitions.at[p];
                ox_code code = may ? move_part(req, dir->path, topic->name, index)
                                   : OX_CLUSTER_AUTHORIZATION_FAILED;
                *row_of(out, index, d == 0 || !may) = (part_out){index, ox_code_kafka(code)};
            }
        }
    }
    kafka_answer(req, &response);
}
