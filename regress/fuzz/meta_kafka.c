/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes the reader of Kafka's metadata records: the input is a list of values,
 * each behind its length as two bytes. */
#include "meta/meta_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct meta_kafka kafka;
    struct ox_err err;
    meta_kafka_init(&kafka, 1);
    while (len >= 2) {
        size_t want = (size_t)(data[0] << 8 | data[1]);
        size_t have = OX_MIN(want, len - 2);
        meta_kafka_replay(&kafka, ox_str_n(data + 2, have), &err);
        data += 2 + have;
        len -= 2 + have;
    }
    uint32_t at = 0;
    for (struct map_entry *e; (e = ox_map_next(&kafka.topics, &at)) != NULL;) {
        const struct meta_kafka_topic *topic = e->value;
        ox_assert(topic->partition_count <= topic->cap);
        for (uint32_t i = 0; i < topic->partition_count; i++)
            ox_assert(topic->partitions[i].leader_epoch >= -1);
    }
    meta_kafka_fini(&kafka);
    return 0;
}
