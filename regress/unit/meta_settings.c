/* SPDX-License-Identifier: Apache-2.0 */
#include "meta_help.h"

static struct meta *meta;

static const struct meta_config_fact *
fact_of(int resource, const char *name, const char *setting)
{
    static struct meta_config_fact none;
    const struct meta_view *view = meta_view_get(meta);
    struct meta_config_fact *facts;
    size_t count;
    ox_code code = meta_config_describe(view, resource, ox_str(name), &arena, &facts, &count,
        &err);
    meta_view_put(view);
    for (size_t i = 0; code == OX_OK && i < count; i++)
        if (strcmp(facts[i].name, setting) == 0)
            return &facts[i];
    return &none;
}

static void
test_sources(void)
{
    const struct meta_config_fact *fact = fact_of(META_RESOURCE_TOPIC, "t", "segment.bytes");
    is_str(fact->value.ptr, "2097152", "a topic has the server's static value");
    is_int(fact->source, META_SOURCE_STATIC, "and says so");
    is_str(fact->synonyms[0].name, "log.segment.bytes", "under the server's name");
    is_int(fact->synonym_count, 2, "with the default behind it");
    is_str(fact->synonyms[1].value.ptr, "1073741824", "as the table has it");
    alter(meta, META_RESOURCE_BROKER, "", "log.segment.bytes", "3145728", META_CONFIG_SET);
    fact = fact_of(META_RESOURCE_TOPIC, "t", "segment.bytes");
    is_int(fact->source, META_SOURCE_BROKER_DEFAULT, "ALTER SYSTEM is before the file");
    alter(meta, META_RESOURCE_BROKER, "1", "log.segment.bytes", "4194304", META_CONFIG_SET);
    fact = fact_of(META_RESOURCE_TOPIC, "t", "segment.bytes");
    is_int(fact->source, META_SOURCE_BROKER, "this broker's before all brokers'");
    alter(meta, META_RESOURCE_TOPIC, "t", "segment.bytes", "5242880", META_CONFIG_SET);
    fact = fact_of(META_RESOURCE_TOPIC, "t", "segment.bytes");
    is_int(fact->source, META_SOURCE_TOPIC, "and the topic's first");
    is_int(fact->synonym_count, 5, "all of them are listed");
    const struct meta_view *view = meta_view_get(meta);
    is_int(meta_view_topic(view, OX_STR("t"))->config->segment_bytes, 5242880, "and obeyed");
    is_int(view->topic_default->segment_bytes, 4194304, "as is the default");
    is_int(view->settings->log_segment_bytes, 4194304, "of the server");
    meta_view_put(view);
    alter(meta, META_RESOURCE_TOPIC, "t", "segment.bytes", NULL, META_CONFIG_DELETE);
    fact = fact_of(META_RESOURCE_TOPIC, "t", "segment.bytes");
    is_str(fact->value.ptr, "4194304", "what is deleted falls back");
}

static void
test_kafka_shape(void)
{
    const struct meta_config_fact *fact = fact_of(META_RESOURCE_TOPIC, "t", "retention.ms");
    is_str(fact->value.ptr, "604800000", "retention.ms by default");
    is_int(fact->source, META_SOURCE_DEFAULT, "is the default");
    is_int(fact->synonym_count, 0, "without synonyms, as Kafka shows it");
    fact = fact_of(META_RESOURCE_TOPIC, "t", "segment.ms");
    is_str(fact->value.ptr, "7200000", "hours in the file become milliseconds");
    fact = fact_of(META_RESOURCE_BROKER, "1", "node.id");
    ok(fact->read_only, "node.id is read only");
    fact = fact_of(META_RESOURCE_BROKER, "1", "log.segment.bytes");
    ok(!fact->read_only, "log.segment.bytes is not");
    fact = fact_of(META_RESOURCE_BROKER, "", "log.segment.bytes");
    is_str(fact->value.ptr, "3145728", "the cluster's default by itself");
    ok(fact_of(META_RESOURCE_BROKER, "", "node.id")->name == NULL, "lists what was set only");
    fact = fact_of(META_RESOURCE_GROUP, "g", "consumer.session.timeout.ms");
    is_str(fact->value.ptr, "45000", "a group has settings");
    alter(meta, META_RESOURCE_GROUP, "g", "consumer.session.timeout.ms", "50000",
        META_CONFIG_SET);
    fact = fact_of(META_RESOURCE_GROUP, "g", "consumer.session.timeout.ms");
    is_int(fact->source, META_SOURCE_GROUP, "that can be set");
    alter(meta, META_RESOURCE_CLIENT_METRICS, "m", "metrics", "org.apache,a", META_CONFIG_SET);
    fact = fact_of(META_RESOURCE_CLIENT_METRICS, "m", "metrics");
    is_int(fact->source, META_SOURCE_CLIENT_METRICS, "so has a metrics subscription");
    const struct meta_view *view = meta_view_get(meta);
    struct meta_config_fact *facts;
    size_t count;
    is_int(meta_config_describe(view, META_RESOURCE_TOPIC, OX_STR("nope"), &arena, &facts, &count,
        &err), OX_UNKNOWN_TOPIC_OR_PARTITION, "no such topic");
    is_int(meta_config_describe(view, META_RESOURCE_BROKER, OX_STR("2"), &arena, &facts, &count,
        &err), OX_INVALID_REQUEST, "another broker");
    is_int(meta_config_describe(view, 8, OX_STR("1"), &arena, &facts, &count, &err),
        OX_INVALID_REQUEST, "no such kind of resource");
    meta_view_put(view);
}

static void
test_reload(void)
{
    struct meta_setting settings[] = {
        {param_find(PARAM_SCOPE_SERVER, OX_STR("num.partitions")), "9", NULL, false},
        {param_find(PARAM_SCOPE_SERVER, OX_STR("log.retention.bytes")), "77", NULL, false},
        {param_find(PARAM_SCOPE_SERVER, OX_STR("log.roll.hours")), "5", NULL, false},
        {param_find(PARAM_SCOPE_SERVER, OX_STR("message.max.bytes")), "5", NULL, false},
    };
    const struct meta_view *view;
    meta_reload(meta, settings, 4);
    for (int i = 0; i < 1000; i++) {
        view = meta_view_get(meta);
        if (view->settings->num_partitions == 9)
            break;
        meta_view_put(view);
        view = NULL;
        usleep(1000);
    }
    ok(view != NULL, "the file's new settings are in force");
    if (view == NULL)
        return;
    is_int(meta_view_topic(view, OX_STR("t"))->config->retention_bytes, 77, "for topics, too");
    is_int(view->settings->log_roll_hours, 2, "what needs a restart stays");
    is_int(view->settings->message_max_bytes, 2000, "the command line wins");
    meta_view_put(view);
}

static void
test_all(void)
{
    const char *dir = new_dir();
    struct meta_setting settings[] = {
        {param_find(PARAM_SCOPE_SERVER, OX_STR("log.segment.bytes")), "2097152", NULL, false},
        {param_find(PARAM_SCOPE_SERVER, OX_STR("log.roll.hours")), "2", NULL, false},
        {param_find(PARAM_SCOPE_SERVER, OX_STR("message.max.bytes")), "2000", NULL, true},
    };
    struct meta_config config = {.dir = dir, .node_id = 1, .format = true, .settings = settings,
        .setting_count = 3};
    is_int(meta_open(&config, env_os(), &meta, &err), OX_OK, "opens with settings of its own");
    register_broker(meta, 1);
    create(meta, "t", 1, NULL, NULL);
    test_sources();
    test_kafka_shape();
    test_reload();
    meta_close(meta);
    remove_dir(dir);
}

META_TESTS(test_all())
