/* SPDX-License-Identifier: Apache-2.0 */
#include "base/param.h"

#include "tap.h"

static struct arena arena;

static const char *
canonical(enum param_scope scope, const char *name, enum param_syntax syntax, const char *value)
{
    struct str out;
    const struct param *param = param_find(scope, ox_str(name));
    if (param == NULL)
        return "no such setting";
    if (param_canonical(param, syntax, ox_str(value), &arena, &out, NULL) != OX_OK)
        return "refused";
    return ox_str_dup(&arena, out).ptr;
}

static void
test_names(void)
{
    const struct param *param = param_find(PARAM_SCOPE_TOPIC, OX_STR("retention.ms"));
    ok(param != NULL && param->index == PARAM_TOPIC_RETENTION_MS, "Kafka's name finds the row");
    ok(param == param_find(PARAM_SCOPE_TOPIC, OX_STR("RETENTION_MS")), "so does Oxbow's");
    ok(param_find(PARAM_SCOPE_SERVER, OX_STR("broker.id")) ==
           param_at(PARAM_SCOPE_SERVER, PARAM_SERVER_NODE_ID),
        "an alias finds its row");
    ok(param_find(PARAM_SCOPE_TOPIC, OX_STR("node.id")) == NULL, "scopes are kept apart");
    ok(param_find(PARAM_SCOPE_TOPIC, OX_STR("")) == NULL, "the empty name is no setting");
    is_int(param->synonym_count, 3, "retention.ms has three server settings behind it");
    is_int(param_kafka_type(param), 5, "and is a LONG to Kafka");
}

static void
test_values(void)
{
    enum param_scope t = PARAM_SCOPE_TOPIC;
    is_str(canonical(t, "retention.ms", PARAM_KAFKA, "1000"), "1000", "a plain number");
    is_str(canonical(t, "retention.ms", PARAM_KAFKA, " 7 "), "7", "blanks are cut");
    is_str(canonical(t, "retention.ms", PARAM_KAFKA, "7 days"), "refused", "no units for Kafka");
    is_str(canonical(t, "retention.ms", PARAM_PEOPLE, "7 days"), "604800000", "people may");
    is_str(canonical(t, "retention.ms", PARAM_PEOPLE, "1d 12h"), "129600000", "in parts, too");
    is_str(canonical(t, "retention.ms", PARAM_PEOPLE, "7 GB"), "refused", "of the right kind");
    is_str(canonical(t, "retention.ms", PARAM_KAFKA, "-2"), "refused", "below the range");
    is_str(canonical(t, "retention.ms", PARAM_KAFKA, "99999999999999999999"), "refused",
        "past 64 bits");
    is_str(canonical(t, "segment.bytes", PARAM_PEOPLE, "64MiB"), "67108864", "sizes");
    is_str(canonical(t, "segment.bytes", PARAM_PEOPLE, "4GiB"), "refused", "past 32 bits");
    is_str(canonical(t, "compression.gzip.level", PARAM_KAFKA, "-1"), "-1", "the extra value");
    is_str(canonical(t, "compression.gzip.level", PARAM_KAFKA, "0"), "refused", "the hole");
    is_str(canonical(t, "cleanup.policy", PARAM_KAFKA, "delete, compact"), "delete,compact",
        "a set keeps its order");
    is_str(canonical(t, "cleanup.policy", PARAM_KAFKA, "delete,shred"), "refused",
        "an unknown choice");
    is_str(canonical(t, "cleanup.policy", PARAM_KAFKA, ""), "", "an empty set");
    is_str(canonical(t, "message.timestamp.type", PARAM_KAFKA, "createtime"), "refused",
        "choices are spelt exactly by Kafka");
    is_str(canonical(t, "message.timestamp.type", PARAM_PEOPLE, "createtime"), "CreateTime",
        "people may fold case");
    is_str(canonical(t, "preallocate", PARAM_KAFKA, "TRUE"), "true", "booleans fold case");
    is_str(canonical(t, "preallocate", PARAM_KAFKA, "on"), "refused", "and have two words");
    is_str(canonical(t, "preallocate", PARAM_PEOPLE, "on"), "true", "people have more");
    is_str(canonical(t, "remote.storage.enable", PARAM_KAFKA, "true"), "refused",
        "what is not served is refused");
    is_str(canonical(t, "min.cleanable.dirty.ratio", PARAM_KAFKA, "0.25"), "0.25", "a double");
    is_str(canonical(t, "min.cleanable.dirty.ratio", PARAM_KAFKA, "0.0001"), "1.0E-4",
        "a small one");
    is_str(canonical(t, "min.cleanable.dirty.ratio", PARAM_KAFKA, "1"), "1.0",
        "printed as Java prints it");
    is_str(canonical(t, "min.cleanable.dirty.ratio", PARAM_KAFKA, "nan"), "refused", "no NaN");
}

static void
test_struct(void)
{
    struct topic_config config;
    param_defaults(PARAM_SCOPE_TOPIC, &config);
    is_int(config.retention_ms, 604800000, "defaults fill the struct");
    is_int(config.cleanup_policy, TOPIC_CLEANUP_POLICY_DELETE, "sets are bits");
    is_int(config.compression_type, TOPIC_COMPRESSION_TYPE_PRODUCER, "enums are indices");
    is_int(config.message_timestamp_type, TOPIC_MESSAGE_TIMESTAMP_TYPE_CREATE_TIME, "CamelCase");
    ok(config.min_cleanable_dirty_ratio == 0.5, "doubles");
    const struct param *policy = param_find(PARAM_SCOPE_TOPIC, OX_STR("cleanup_policy"));
    param_store(policy, OX_STR("compact,delete"), &config, NULL);
    is_int(config.cleanup_policy, 3, "both");
    is_str(param_load(policy, &config, &arena).ptr, "compact,delete", "and back");
    for (int scope = 0; scope < PARAM_SCOPE_COUNT; scope++) {
        union {
            struct server_config server;
            struct topic_config topic;
            struct group_config group;
            struct client_metrics_config client_metrics;
            struct feature_config feature;
            struct session_config session;
        } any;
        param_defaults((enum param_scope)scope, &any);
        bool same = true, canon = true;
        for (int i = 0; i < param_count((enum param_scope)scope); i++) {
            const struct param *param = param_at((enum param_scope)scope, i);
            struct str out = OX_STR_NULL;
            same &= ox_str_eq(param_load(param, &any, &arena), ox_str(param->fallback));
            canon &= param->fallback == NULL ||
                (param_canonical(param, PARAM_KAFKA, ox_str(param->fallback), &arena, &out,
                     NULL) == OX_OK && ox_str_is(out, param->fallback));
        }
        ok(same, "every default reads back as the table has it");
        ok(canon, "every default is in range and canonical");
    }
}

int
main(void)
{
    ox_arena_init(&arena);
    test_names();
    test_values();
    test_struct();
    ox_arena_fini(&arena);
    return done();
}
