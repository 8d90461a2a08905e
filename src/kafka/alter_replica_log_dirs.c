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
struct answer {
    struct kafka_request *req;
    struct alter_replica_log_dirs_response response;
    struct map topics; /* name -> topic_out */
    struct map rows;   /* place of a topic_out and a partition -> its first part_out */
};

/* A topic for each name, with room for what is asked of it. */
static void
list_topics(struct answer *answer)
{
    const struct alter_replica_log_dirs_request *request = answer->req->body;
    struct alter_replica_log_dirs_response *response = &answer->response;
    int32_t topics = 0;
    for (int32_t d = 0; d < request->dirs.count; d++)
        topics += request->dirs.at[d].topics.count;
    response->results.at = kafka_array(answer->req, topic_out, topics);
    for (int32_t d = 0; d < request->dirs.count; d++)
        for (int32_t t = 0; t < request->dirs.at[d].topics.count; t++) {
            const topic_in *in = &request->dirs.at[d].topics.at[t];
            topic_out *out = ox_map_get(&answer->topics, in->name);
            if (in->partitions.count == 0) /* Kafka leaves it out */
                continue;
            if (out == NULL) {
                out = &response->results.at[response->results.count++];
                out->topic_name = in->name;
                ox_map_put(&answer->topics, in->name, out);
            }
            out->partitions.count += in->partitions.count;
        }
    for (int32_t i = 0; i < response->results.count; i++) {
        topic_out *out = &response->results.at[i];
        out->partitions.at = kafka_array(answer->req, part_out, out->partitions.count);
        out->partitions.count = 0;
    }
}

/* A partition that was answered already, for another directory: Kafka answers it
 * once, with what it was asked last. */
static part_out *
row_of(struct answer *answer, topic_out *out, int32_t index, bool first_dir)
{
    int64_t place = (int64_t)(out - answer->response.results.at) << 32 | (uint32_t)index;
    part_out *known = ox_map_get(&answer->rows, ox_key_i64(&place));
    if (!first_dir && known != NULL)
        return known;
    part_out *row = &out->partitions.at[out->partitions.count++];
    if (known == NULL)
        ox_map_put(&answer->rows, ox_key_i64(&place), row);
    return row;
}

void
kafka_alter_replica_log_dirs(struct kafka_request *req)
{
    const struct alter_replica_log_dirs_request *request = req->body;
    struct answer answer = {.req = req};
    bool may = kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, ENGINE_ALTER);
    alter_replica_log_dirs_response_init(&answer.response);
    ox_map_init(&answer.topics);
    ox_map_init(&answer.rows);
    list_topics(&answer);
    for (int32_t d = 0; d < request->dirs.count; d++) {
        const dir_in *dir = &request->dirs.at[d];
        for (int32_t t = 0; t < dir->topics.count; t++) {
            const topic_in *topic = &dir->topics.at[t];
            topic_out *out = ox_map_get(&answer.topics, topic->name);
            for (int32_t p = 0; p < topic->partitions.count; p++) {
                int32_t index = topic->partitions.at[p];
                ox_code code = may ? move_part(req, dir->path, topic->name, index)
                                   : OX_CLUSTER_AUTHORIZATION_FAILED;
                *row_of(&answer, out, index, d == 0 || !may) =
                    (part_out){index, ox_code_kafka(code)};
            }
        }
    }
    ox_map_fini(&answer.topics);
    ox_map_fini(&answer.rows);
    kafka_answer(req, &answer.response);
}
