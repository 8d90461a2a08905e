/* SPDX-License-Identifier: Apache-2.0 */
#include "meta_help.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/rand.h"

enum { NAMES = 400, STEPS = 3000, READERS = 2 };

static atomic_bool stop;

/* Everything reachable agrees with itself. */
static bool
consistent(const struct meta_view *view)
{
    uint32_t partitions = 0;
    for (uint32_t i = 0; i < view->topic_count; i++) {
        const struct meta_topic *topic = meta_view_topic_at(view, i);
        if (meta_view_topic(view, topic->name) != topic ||
            meta_view_topic_by_id(view, &topic->id) != topic ||
            meta_view_topic_rank(view, topic->name) != i)
            return false;
        if (i > 0 && ox_str_cmp(meta_view_topic_at(view, i - 1)->name, topic->name) >= 0)
            return false;
        for (uint32_t j = 0; j < topic->partition_count; j++)
            if (topic->partitions[j]->index != (int32_t)j || topic->partitions[j]->isr[0] != 1)
                return false;
        partitions += topic->partition_count;
    }
    return partitions == view->partition_count;
}

/* Readers hold views for a while, in different orders, while they change. */
static void *
reader(void *arg)
{
    const struct meta_view *held[8] = {NULL};
    struct meta *meta = arg;
    struct rand_state rand;
    intptr_t good = 1;
    ox_rand_seed(&rand, (uint64_t)(uintptr_t)&rand);
    while (!atomic_load(&stop)) {
        uint64_t at = ox_rand_below(&rand, 8);
        meta_view_put(held[at]);
        held[at] = meta_view_get(meta);
        good &= consistent(held[at]);
        usleep(100);
    }
    for (int i = 0; i < 8; i++)
        meta_view_put(held[i]);
    return (void *)good;
}

static void
test_model(void)
{
    const char *dir = new_dir();
    struct meta *meta = start(dir, false);
    pthread_t threads[READERS];
    struct rand_state rand;
    uint8_t parts[NAMES] = {0};
    struct meta_assignment *assignments;
    bool same = true;
    char name[32];
    register_broker(meta, 1);
    const struct meta_view *view = meta_view_get(meta);
    meta_place(view, 0, 4, 1, 0, &arena, &assignments, NULL);
    meta_view_put(view);
    ox_rand_seed(&rand, 42);
    for (int i = 0; i < READERS; i++)
        pthread_create(&threads[i], NULL, reader, meta);
    for (int step = 0; step < STEPS; step++) {
        uint64_t at = ox_rand_below(&rand, NAMES);
        snprintf(name, sizeof(name), at % 3 ? "t%llu" : "t.%llu", (unsigned long long)at);
        struct meta_command cmd = {.kind = META_TOPIC_DELETE, .topic_delete = {ox_str(name),
            {{0}}}};
        struct meta_config_change change = {OX_STR("retention.ms"), ox_str("5"), META_CONFIG_SET};
        ox_code expected = OX_OK;
        uint8_t next = parts[at];
        switch (ox_rand_below(&rand, 4)) {
        case 0:
            expected = parts[at] ? OX_OK : OX_UNKNOWN_TOPIC_OR_PARTITION;
            next = 0;
            break;
        case 1:
            cmd = (struct meta_command){.kind = META_PARTITIONS_CREATE, .partitions_create = {
                .name = ox_str(name), .count = parts[at] + 1u, .assignments = assignments,
                .assignment_count = 1}};
            expected = parts[at] ? OX_OK : OX_UNKNOWN_TOPIC_OR_PARTITION;
            next = parts[at] ? parts[at] + 1 : 0;
            break;
        case 2:
            cmd = (struct meta_command){.kind = META_CONFIG_ALTER, .config_alter = {
                .resource = META_RESOURCE_TOPIC, .name = ox_str(name), .changes = &change,
                .change_count = 1}};
            expected = parts[at] ? OX_OK : OX_UNKNOWN_TOPIC_OR_PARTITION;
            break;
        case 3:
            cmd = (struct meta_command){.kind = META_TOPIC_CREATE, .topic_create = {
                .name = ox_str(name), .partition_count = 4, .assignments = assignments}};
            expected = parts[at] ? OX_TOPIC_EXISTS : OX_OK;
            next = parts[at] ? parts[at] : 4;
            break;
        }
        same &= meta_propose_wait(meta, &cmd, NULL, NULL) == expected;
        parts[at] = next;
    }
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++) {
        void *good;
        pthread_join(threads[i], &good);
        ok(good != NULL, "a reader only saw views that agree with themselves");
    }
    ok(same, "every command was answered as the model says");
    uint32_t wanted = 0;
    for (int i = 0; i < NAMES; i++)
        wanted += parts[i];
    view = meta_view_get(meta);
    is_int(view->partition_count, wanted, "and left what the model has");
    ok(consistent(view), "in order");
    meta_view_put(view);
    meta_close(meta);
    meta = start(dir, false);
    view = meta_view_get(meta);
    is_int(view->partition_count, wanted, "also after a restart");
    ok(consistent(view), "in order");
    meta_view_put(view);
    meta_close(meta);
    remove_dir(dir);
}

META_TESTS(test_model())
