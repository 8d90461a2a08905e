/* SPDX-License-Identifier: Apache-2.0
 *
 * What Kafka's metadata records leave when they are replayed. The files around
 * them are read by client/170_kafka_directory.t, from a real Kafka. */
#include "gen/disk.gen.h"
#include "meta/meta_int.h"

#include "tap.h"

static struct meta_kafka kafka;
static struct ox_err err;

static ox_code
replay(uint32_t kind, uint32_t version, const struct msg_type *type, const void *record)
{
    struct text text;
    ox_text_init(&text, NULL);
    struct wire_out out = wire_out(&text);
    wire_put_uvarint(&out, 1);
    wire_put_uvarint(&out, kind);
    wire_put_uvarint(&out, version);
    if (type != NULL)
        msg_encode(type, record, (int)OX_MIN(version, type->to), &out, NULL);
    else
        wire_put8(&out, 0); /* no tagged fields */
    ox_code code = meta_kafka_replay(&kafka, ox_text_str(&text), &err);
    ox_text_fini(&text);
    return code;
}
#define REPLAY(kind, version, name, ...) \
    replay(kind, version, &name##_type, &(struct name){__VA_ARGS__})

static const struct uuid id = {{9}};

static struct meta_kafka_topic *
topic_of(void)
{
    return ox_map_get(&kafka.topics, ox_str_n(id.bytes, 16));
}

static void
test_topics(void)
{
    int32_t own[] = {1}, two[] = {1, 2};
    meta_kafka_init(&kafka, 1);
    is_int(REPLAY(2, 0, topic_record, OX_STR("t"), id), OX_OK, "a topic");
    is_int(REPLAY(3, 2, partition_record, .partition_id = 1, .topic_id = id,
               .replicas = {own, 1}, .leader = 1, .leader_epoch = 4,
               .eligible_leader_replicas = {NULL, -1}, .last_known_elr = {NULL, -1}),
        OX_OK, "a partition");
    is_int(topic_of()->partition_count, 2, "and the one before it");
    is_int(topic_of()->partitions[0].leader_epoch, -1, "which is not known");
    ok(!topic_of()->partitions[1].foreign, "it is ours");
    struct partition_change_record change = {.partition_id = 1, .topic_id = id, .leader = -2,
        .isr = {NULL, -1}, .replicas = {NULL, -1}, .removing_replicas = {NULL, -1},
        .adding_replicas = {NULL, -1}, .leader_recovery_state = -1, .directories = {NULL, -1},
        .eligible_leader_replicas = {NULL, -1}, .last_known_elr = {NULL, -1}};
    is_int(replay(5, 2, &partition_change_record_type, &change), OX_OK, "a change");
    is_int(topic_of()->partitions[1].leader_epoch, 4, "of no leader");
    change.leader = -1;
    change.replicas = (struct msg_int32s){two, 2};
    is_int(replay(5, 2, &partition_change_record_type, &change), OX_OK, "another");
    is_int(topic_of()->partitions[1].leader_epoch, 5, "of the leader");
    ok(topic_of()->partitions[1].foreign, "and of the replicas");
    change.partition_id = 7;
    is_int(replay(5, 2, &partition_change_record_type, &change), OX_DATA_CORRUPTED,
        "a change of a partition that is none");
    is_int(REPLAY(4, 0, config_record, 2, OX_STR("t"), OX_STR("retention.ms"), OX_STR("1")), OX_OK,
        "a setting");
    is_int(kafka.configs.count, 1, "is there");
    is_int(REPLAY(12, 0, feature_level_record, OX_STR("share.version"), 1), OX_OK, "a feature");
    is_int(REPLAY(12, 0, feature_level_record, OX_STR("share.version"), 0), OX_OK, "goes down");
    is_int(kafka.configs.count, 2, "and is kept");
    is_int(REPLAY(9, 0, remove_topic_record, id), OX_OK, "the topic is removed");
    ok(topic_of() == NULL && kafka.configs.count == 1, "with its setting");
    is_int(REPLAY(9, 0, remove_topic_record, id), OX_DATA_CORRUPTED, "once");
    meta_kafka_fini(&kafka);
}

static void
test_transactions(void)
{
    meta_kafka_init(&kafka, 1);
    is_int(replay(23, 0, NULL, NULL), OX_OK, "a transaction begins");
    is_int(REPLAY(2, 0, topic_record, OX_STR("t"), id), OX_OK, "a topic in it");
    ok(topic_of() == NULL, "does not count yet");
    is_int(replay(23, 0, NULL, NULL), OX_DATA_CORRUPTED, "there is one at a time");
    is_int(replay(25, 0, NULL, NULL), OX_OK, "it is aborted");
    ok(topic_of() == NULL, "nothing remains");
    is_int(replay(24, 0, NULL, NULL), OX_DATA_CORRUPTED, "no transaction ends");
    replay(23, 0, NULL, NULL);
    REPLAY(2, 0, topic_record, OX_STR("t"), id);
    is_int(replay(24, 0, NULL, NULL), OX_OK, "another ends");
    ok(topic_of() != NULL, "its topic is there");
    meta_kafka_fini(&kafka);
}

static void
test_refusals(void)
{
    meta_kafka_init(&kafka, 1);
    is_int(replay(99, 0, NULL, NULL), OX_UNSUPPORTED_VERSION, "an unknown type");
    is_int(REPLAY(2, 1, topic_record, OX_STR("t"), id), OX_UNSUPPORTED_VERSION,
        "an unknown version");
    is_int(meta_kafka_replay(&kafka, OX_STR("\x02\x02"), &err), OX_DATA_CORRUPTED,
        "an unknown frame");
    is_int(meta_kafka_replay(&kafka, OX_STR("\x01\x02"), &err), OX_DATA_CORRUPTED, "no frame");
    is_int(replay(20, 0, NULL, NULL), OX_OK, "what says nothing is passed over");
    meta_kafka_fini(&kafka);
}

static void
test_security(void)
{
    struct client_quota_record_entity entity = {OX_STR("user"), OX_STR_NULL};
    meta_kafka_init(&kafka, 1);
    is_int(REPLAY(11, 0, user_scram_credential_record, OX_STR("a"), 1, OX_STR("s"), OX_STR("k"),
               OX_STR("v"), 4096),
        OX_OK, "a user");
    is_int(REPLAY(22, 0, remove_user_scram_credential_record, OX_STR("a"), 2), OX_OK,
        "of another mechanism");
    is_int(kafka.scrams.count, 1, "stays");
    REPLAY(22, 0, remove_user_scram_credential_record, OX_STR("a"), 1);
    is_int(kafka.scrams.count, 0, "and goes");
    is_int(REPLAY(14, 0, client_quota_record, {&entity, 1}, OX_STR("x"), 5, false), OX_OK,
        "a quota");
    uint32_t at = 0;
    struct meta_quota *quota = ox_map_next(&kafka.quotas, &at)->value;
    ok(quota->user.ptr != NULL && quota->user.len == 0 && quota->ip.ptr == NULL,
        "of the default user");
    REPLAY(14, 0, client_quota_record, {&entity, 1}, OX_STR("x"), 0, true);
    is_int(kafka.quotas.count, 0, "is taken back");
    REPLAY(18, 0, access_control_entry_record, id, 2, OX_STR("t"), 3, OX_STR("User:a"),
        OX_STR("*"), 3, 3);
    is_int(kafka.acls.count, 1, "a rule");
    REPLAY(19, 0, remove_access_control_entry_record, id);
    is_int(kafka.acls.count, 0, "is taken back by its id");
    meta_kafka_fini(&kafka);
}

int
main(void)
{
    test_topics();
    test_transactions();
    test_refusals();
    test_security();
    return done();
}
