/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside kafka/: what the handlers of group protocols have in common. */
#ifndef KAFKA_GROUP_CALLS_H
#define KAFKA_GROUP_CALLS_H

#include "coord/coord.h"
#include "kafka/kafka_int.h"

/* ---- describing groups ---- */

/* Ask for every group named, once, but those that this request may not see; off where
 * the protocol's feature (enum param_feature) is at level 0. Calls finish() when all
 * are in. */
void kafka_describe_modern(struct kafka_request *req, const struct msg_strs *group_ids,
    enum coord_modern kind, int feature, void (*finish)(struct kafka_request *req));

/* In finish(): an array of the response, its rows of `size` bytes in the order of the
 * names asked for, and their number. fill() makes the row of each group once; one that
 * is named again has a copy. */
void *kafka_described_rows(struct kafka_request *req, size_t size,
    void (*fill)(struct kafka_request *req, const struct coord_modern_call *call, void *row),
    int32_t *count);

/* "Group G not found." for OX_GROUP_ID_NOT_FOUND, else null. */
struct str kafka_group_text(struct kafka_request *req, ox_code code, struct str group_id);

/* Partitions with the names of their topics, as all descriptions have them. */
typedef struct consumer_group_describe_response_groups_members_assignment_topic_partitions
    kafka_named_partitions;
kafka_named_partitions *kafka_named_rows(struct kafka_request *req,
    const struct coord_topic_partitions *from, size_t count);
/* May this request see every topic of them? */
bool kafka_may_see(struct kafka_request *req, const struct coord_topic_partitions *topics,
    size_t count);

/* ---- members' calls ---- */

/* How the coordinator is told who calls: "" for null, "/10.0.0.1". */
struct str kafka_client_id(const struct kafka_request *req);
struct str kafka_client_host(struct kafka_request *req);

/* Who asks, for engine_allowed_of() on other loops: the connection may log in anew meanwhile.
 * NULL: there are no rules, everybody may. */
const struct engine_session *kafka_session_copy(struct kafka_request *req);

/* The names a heartbeat subscribes to: NULL when it gives none ("as before"),
 * never NULL when it gives an empty list. */
const struct str *kafka_names_given(const struct msg_strs *names, size_t *count);

/* The assignment in a heartbeat's answer. */
typedef struct consumer_group_heartbeat_response_assignment kafka_assignment;
kafka_assignment *kafka_assignment_row(struct kafka_request *req,
    const struct coord_topic_partitions *from, size_t count);

/* Tasks of a streams group, in heartbeats and descriptions. */
typedef struct streams_group_heartbeat_response_active_tasks kafka_tasks;
kafka_tasks *kafka_task_rows(struct kafka_request *req, const struct coord_tasks *from,
    int32_t *count);

/* What is wrong with a heartbeat: the coordinator's words, or the code's. */
struct str kafka_heartbeat_text(struct kafka_request *req, ox_code code, struct str message);

#endif
