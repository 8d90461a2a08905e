/* SPDX-License-Identifier: Apache-2.0
 *
 * One partition of a Fetch or a scan: authorise, find, pin a range. */
#include <string.h>

#include "base/check.h"
#include "engine/engine_int.h"

static ox_code
find_source(struct engine_session *sess, struct engine_read *read)
{
    const struct meta_topic *topic;
    ox_code code = engine_find_topic(sess, read->topic, &read->topic_id, ENGINE_READ, &topic,
        read->err);
    if (code != OX_OK)
        return code;
    code = engine_partition(sess, topic->name, NULL, read->partition, ENGINE_READ, &read->part,
        read->err);
    if (code == OX_NOT_LEADER) {
        const struct meta_partition *facts = meta_topic_partition(topic, read->partition);
        read->leader_id = facts->leader;
        read->leader_epoch = facts->leader_epoch;
    }
    return code;
}

void
engine_read(struct engine_session *sess, struct engine_read *read)
{
    struct engine_stats *stats = &sess->engine->stats;
    read->part = NULL;
    read->leader_id = read->leader_epoch = -1;
    memset(&read->range, 0, sizeof(read->range));
    read->code = find_source(sess, read);
    if (read->code != OX_OK)
        return;
    read->code = partition_read(read->part, read->offset, read->max_bytes, read->min_one,
        read->isolation, read->current_leader_epoch, &read->range, &read->state, read->err);
    atomic_fetch_add_explicit(&stats->reads, 1, memory_order_relaxed);
    if (read->code == OX_OK)
        atomic_fetch_add_explicit(&stats->read_bytes, read->range.len, memory_order_relaxed);
}
