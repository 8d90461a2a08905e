/* SPDX-License-Identifier: Apache-2.0
 *
 * Live facts as tables of SQLite: f_partitions, f_groups, f_connections, ... A
 * feed collects its rows when a scan opens, on a pool thread, then hands them
 * out; what belongs to a loop is collected by that loop (loop_each_sync).
 *
 * A row is an array of cells in the scan's arena. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/param.h"
#include "coord/coord.h"
#include "engine/metrics.h"
#include "exec/expr.h"
#include "net/net.h"
#include "sql/scan.h"
#include "sql/syscat.h"

enum { CELLS_MAX = 21 };

enum cell_kind { CELL_NULL, CELL_INT, CELL_DOUBLE, CELL_TEXT };

struct cell {
    enum cell_kind kind;
    int64_t i;
    double f;
    struct str s;
};

struct feed_rows {
    struct arena arena;
    struct cell (*rows)[CELLS_MAX];
    size_t count, cap;
    struct engine *engine;
};

struct feed_scan {
    struct catalog_scan scan;
    struct feed_rows rows;
    size_t at; /* of the next row */
};

/* One row; cells beyond those given are NULL. */
static struct cell *
add_row(struct feed_rows *rows)
{
    ox_arena_grow(&rows->arena, (void **)&rows->rows, &rows->cap, rows->count + 1,
        sizeof(rows->rows[0]));
    struct cell *row = rows->rows[rows->count++];
    memset(row, 0, sizeof(rows->rows[0]));
    return row;
}

static struct cell
cell_int(int64_t value)
{
    return (struct cell){.kind = CELL_INT, .i = value};
}

static struct cell
cell_text(struct feed_rows *rows, const char *text)
{
    if (text == NULL)
        return (struct cell){0};
    return (struct cell){.kind = CELL_TEXT, .s = ox_str_dup(&rows->arena, ox_str(text))};
}

static struct cell
cell_str(struct feed_rows *rows, struct str text)
{
    if (text.ptr == NULL)
        return (struct cell){0};
    return (struct cell){.kind = CELL_TEXT, .s = ox_str_dup(&rows->arena, text)};
}

/* Milliseconds since 1970 as microseconds since 2000; negative: unknown. */
static struct cell
cell_time(int64_t ms)
{
    return ms < 0 ? (struct cell){0} : cell_int(row_us_from_unix_ms(ms));
}

/* ---- partitions, segments, producers ---- */

static void
add_partition(struct partition *part, void *arg)
{
    struct feed_rows *rows = arg;
    struct partition_state state;
    struct plog *log = partition_log(part);
    partition_state(part, &state);
    struct cell *row = add_row(rows);
    row[0] = cell_text(rows, partition_topic(part));
    row[1] = cell_int(partition_index(part));
    row[2] = cell_int(state.log_start);
    row[3] = cell_int(state.high_watermark);
    row[4] = cell_int(state.last_stable);
    row[5] = cell_int(state.log_end);
    row[6] = cell_int(log != NULL ? (int64_t)plog_bytes(log) : 0);
    if (log != NULL) {
        struct arena arena;
        struct log_segment_facts *segments;
        size_t count;
        int64_t last = -1, first = -1;
        ox_arena_init(&arena);
        if (plog_segments(log, &arena, &segments, &count, NULL) == OX_OK && count > 0) {
            first = segments[0].first_timestamp;
            for (size_t i = 0; i < count; i++)
                last = OX_MAX(last, segments[i].max_timestamp);
        }
        row[7] = cell_time(first);
        row[8] = cell_time(last);
        ox_arena_fini(&arena);
    }
    if (state.fault != OX_OK)
        row[9] = cell_text(rows, ox_code_facts(state.fault)->message);
    if (log != NULL)
        row[10] = cell_text(rows, log_dir_path(plog_log_dir(log)));
}

static void
collect_partitions(struct feed_rows *rows)
{
    replica_each(engine_replica(rows->engine), add_partition, rows);
}

static void
add_segments(struct partition *part, void *arg)
{
    struct feed_rows *rows = arg;
    struct arena arena;
    struct log_segment_facts *segments;
    size_t count = 0;
    ox_arena_init(&arena);
    if (partition_log(part) != NULL &&
        plog_segments(partition_log(part), &arena, &segments, &count, NULL) != OX_OK)
        count = 0;
    for (size_t i = 0; i < count; i++) {
        struct cell *row = add_row(rows);
        row[0] = cell_text(rows, partition_topic(part));
        row[1] = cell_int(partition_index(part));
        row[2] = cell_int(segments[i].base_offset);
        row[3] = cell_int(segments[i].next_offset);
        row[4] = cell_int((int64_t)segments[i].bytes);
        row[5] = cell_time(segments[i].first_timestamp);
        row[6] = cell_time(segments[i].max_timestamp);
        row[7] = cell_int(segments[i].active);
    }
    ox_arena_fini(&arena);
}

static void
collect_segments(struct feed_rows *rows)
{
    replica_each(engine_replica(rows->engine), add_segments, rows);
}

static void
add_compaction(struct partition *part, void *arg)
{
    static const char *const states[] = {
        [LOG_COMPACT_IDLE] = "idle", [LOG_COMPACT_MAP] = "mapping", [LOG_COMPACT_COPY] = "copying"};
    struct feed_rows *rows = arg;
    struct log_compaction_facts facts;
    if (partition_log(part) == NULL)
        return;
    plog_compaction(partition_log(part), env_wall_ms(engine_env(rows->engine)), &facts);
    if (!facts.compacted && facts.passes == 0)
        return;
    struct cell *row = add_row(rows);
    row[0] = cell_text(rows, partition_topic(part));
    row[1] = cell_int(partition_index(part));
    row[2] = cell_text(rows, facts.uncleanable ? "failed" : states[facts.phase]);
    if (facts.phase != LOG_COMPACT_IDLE) {
        row[3] = cell_int((int64_t)facts.bytes_done);
        row[4] = cell_int((int64_t)facts.bytes_total);
    }
    if (facts.cleaned >= 0)
        row[5] = cell_int(facts.cleaned);
    row[6] = cell_int(facts.first_dirty);
    row[7] = cell_int(facts.limit);
    row[8] = cell_int((int64_t)facts.clean_bytes);
    row[9] = cell_int((int64_t)facts.dirty_bytes);
    row[10] = cell_int((int64_t)facts.passes);
    row[11] = cell_int((int64_t)facts.bytes_read);
    row[12] = cell_int((int64_t)facts.bytes_written);
    row[13] = cell_int((int64_t)facts.records_read);
    row[14] = cell_int((int64_t)facts.records_removed);
    row[15] = cell_time(facts.last_start_ms > 0 ? facts.last_start_ms : -1);
    row[16] = cell_time(facts.last_end_ms > 0 ? facts.last_end_ms : -1);
}

static void
collect_compaction(struct feed_rows *rows)
{
    replica_each(engine_replica(rows->engine), add_compaction, rows);
}

static void
add_producers(struct partition *part, void *arg)
{
    struct feed_rows *rows = arg;
    struct arena arena;
    struct log_producer_facts *producers;
    size_t count = 0;
    ox_arena_init(&arena);
    if (partition_log(part) != NULL)
        plog_producers(partition_log(part), &arena, &producers, &count);
    for (size_t i = 0; i < count; i++) {
        struct cell *row = add_row(rows);
        row[0] = cell_text(rows, partition_topic(part));
        row[1] = cell_int(partition_index(part));
        row[2] = cell_int(producers[i].producer_id);
        row[3] = cell_int(producers[i].producer_epoch);
        row[4] = cell_int(producers[i].last_sequence);
        row[5] = cell_time(producers[i].last_timestamp);
        if (producers[i].txn_start_offset >= 0)
            row[6] = cell_int(producers[i].txn_start_offset);
    }
    ox_arena_fini(&arena);
}

static void
collect_producers(struct feed_rows *rows)
{
    replica_each(engine_replica(rows->engine), add_producers, rows);
}

/* ---- groups: asked of the coordinators on a loop, waited for here ---- */

struct group_call {
    struct coord_snapshot_call snapshot;
    struct arena arena;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done;
};

static void
groups_known(struct coord_call *call)
{
    struct coord_snapshot_call *snapshot = ox_container_of(call, struct coord_snapshot_call, call);
    struct group_call *group = ox_container_of(snapshot, struct group_call, snapshot);
    pthread_mutex_lock(&group->lock);
    group->done = true;
    pthread_cond_signal(&group->wake);
    pthread_mutex_unlock(&group->lock);
}

struct group_ask {
    struct loop_msg msg;
    struct coord *coord;
    struct group_call *call;
};

static void
ask_groups(struct loop_msg *msg)
{
    struct group_ask *ask = ox_container_of(msg, struct group_ask, msg);
    coord_snapshot(ask->coord, &ask->call->snapshot);
}

static void
groups_ask(struct engine *engine, struct group_call *call, bool members, bool offsets)
{
    memset(call, 0, sizeof(*call));
    ox_arena_init(&call->arena);
    pthread_mutex_init(&call->lock, NULL);
    pthread_cond_init(&call->wake, NULL);
    call->snapshot.call.arena = &call->arena;
    call->snapshot.call.done = groups_known;
    call->snapshot.with_members = members;
    call->snapshot.with_offsets = offsets;
    struct group_ask ask = {{.fn = ask_groups}, engine_coord(engine), call};
    loop_post(loop_at(engine_loops(engine), 0), &ask.msg);
    pthread_mutex_lock(&call->lock);
    while (!call->done)
        loop_group_wait(engine_loops(engine), &call->wake, &call->lock);
    pthread_mutex_unlock(&call->lock);
}

static void
groups_release(struct group_call *call)
{
    pthread_mutex_destroy(&call->lock);
    pthread_cond_destroy(&call->wake);
    ox_arena_fini(&call->arena);
}

static void
collect_groups(struct feed_rows *rows)
{
    struct group_call call;
    groups_ask(rows->engine, &call, true, false);
    for (size_t i = 0; i < call.snapshot.group_count; i++) {
        const struct coord_snapshot_group *group = &call.snapshot.groups[i];
        struct cell *row = add_row(rows);
        row[0] = cell_str(rows, group->group_id);
        row[1] = cell_text(rows, group->type);
        row[2] = cell_text(rows, group->state);
        row[3] = cell_str(rows, group->protocol_type);
        row[4] = cell_str(rows, group->protocol);
        row[5] = cell_int(group->generation);
        for (size_t j = 0; j < group->member_count; j++)
            if (group->members[j].leader)
                row[6] = cell_str(rows, group->members[j].member_id);
        row[7] = cell_int(engine_node_id(rows->engine));
        row[8] = cell_int((int64_t)group->member_count);
    }
    groups_release(&call);
}

/* One element of a text array. */
static void
add_assigned(struct text *out, struct str name, char between, int32_t number, const char *note)
{
    ox_text_adds(out, out->len > 1 ? ",\"" : "\"");
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '"' || name.ptr[i] == '\\')
            ox_text_addc(out, '\\');
        ox_text_addc(out, name.ptr[i]);
    }
    ox_text_addf(out, "%c%d%s\"", between, number, note);
}

/* What a member has: partitions (topic-1), or tasks of a streams group (0_1). Returns
 * how many, without tasks that only stand by. */
static int64_t
list_assigned(const struct coord_snapshot_member *member, struct text *out)
{
    static const char *const notes[COORD_TASK_KINDS] = {[COORD_STANDBY] = " (standby)",
        [COORD_WARMUP] = " (warm-up)"};
    int64_t count = 0;
    ox_text_addc(out, '{');
    for (size_t i = 0; i < member->assigned_count; i++) {
        const struct coord_offset_topic *topic = &member->assigned[i];
        for (size_t j = 0; j < topic->partition_count; j++, count++)
            add_assigned(out, topic->name, '-', topic->partitions[j].partition, "");
    }
    for (int kind = 0; member->tasks != NULL && kind < COORD_TASK_KINDS; kind++)
        for (size_t i = 0; i < member->tasks[kind].count; i++) {
            const struct coord_task_ids *tasks = &member->tasks[kind].at[i];
            count += kind == COORD_ACTIVE ? (int64_t)tasks->partition_count : 0;
            for (int32_t j = 0; j < tasks->partition_count; j++)
                add_assigned(out, tasks->subtopology, '_', tasks->partitions[j],
                    notes[kind] != NULL ? notes[kind] : "");
        }
    ox_text_addc(out, '}');
    return count;
}

static void
collect_members(struct feed_rows *rows)
{
    struct group_call call;
    groups_ask(rows->engine, &call, true, false);
    for (size_t i = 0; i < call.snapshot.group_count; i++) {
        const struct coord_snapshot_group *group = &call.snapshot.groups[i];
        for (size_t j = 0; j < group->member_count; j++) {
            const struct coord_snapshot_member *member = &group->members[j];
            struct text assigned;
            ox_text_init(&assigned, &rows->arena);
            int64_t count = list_assigned(member, &assigned);
            struct cell *row = add_row(rows);
            row[0] = cell_str(rows, group->group_id);
            row[1] = cell_str(rows, member->member_id);
            row[2] = cell_str(rows, member->instance_id);
            row[3] = cell_str(rows, member->client_id);
            row[4] = cell_str(rows, member->client_host);
            row[5] = cell_int(count);
            row[6] = cell_str(rows, ox_text_str(&assigned));
        }
    }
    groups_release(&call);
}

static void
collect_offsets(struct feed_rows *rows)
{
    struct group_call call;
    groups_ask(rows->engine, &call, false, true);
    for (size_t i = 0; i < call.snapshot.group_count; i++) {
        const struct coord_snapshot_group *group = &call.snapshot.groups[i];
        for (size_t j = 0; j < group->topic_count; j++)
            for (size_t k = 0; k < group->topics[j].partition_count; k++) {
                const struct coord_offset *part = &group->topics[j].partitions[k];
                struct cell *row = add_row(rows);
                row[0] = cell_str(rows, group->group_id);
                row[1] = cell_str(rows, group->topics[j].name);
                row[2] = cell_int(part->partition);
                row[3] = cell_int(part->offset);
                row[4] = cell_str(rows, part->metadata);
                row[5] = cell_time(part->commit_ms);
            }
    }
    groups_release(&call);
}

/* ---- share groups: where each stands, asked of all at once ---- */

struct share_asks {
    struct loop_msg msg;
    struct coord *coord;
    struct share_ask {
        struct coord_share_offsets_call call; /* first */
        struct arena arena;
        struct share_asks *all;
    } *at;
    size_t count, pending; /* under the lock; one more while they are started */
    pthread_mutex_t lock;
    pthread_cond_t wake;
};

static void
share_asks_less(struct share_asks *asks)
{
    pthread_mutex_lock(&asks->lock);
    if (--asks->pending == 0)
        pthread_cond_signal(&asks->wake);
    pthread_mutex_unlock(&asks->lock);
}

static void
share_known(struct coord_call *call)
{
    share_asks_less(((struct share_ask *)(void *)call)->all);
}

static void
ask_shares(struct loop_msg *msg)
{
    struct share_asks *asks = ox_container_of(msg, struct share_asks, msg);
    for (size_t i = 0; i < asks->count; i++)
        coord_share_offsets(asks->coord, &asks->at[i].call);
    share_asks_less(asks);
}

static void
add_share_offsets(struct feed_rows *rows, const struct coord_share_offsets_call *call)
{
    for (size_t i = 0; call->call.code == OX_OK && i < call->topic_count; i++)
        for (size_t j = 0; j < call->topics[i].partition_count; j++) {
            const struct coord_share_partition *part = &call->topics[i].partitions[j];
            if (part->code != OX_OK)
                continue;
            struct cell *row = add_row(rows);
            row[0] = cell_str(rows, call->group_id);
            row[1] = cell_str(rows, call->topics[i].name);
            row[2] = cell_int(part->partition);
            if (part->start_offset >= 0)
                row[3] = cell_int(part->start_offset);
            if (part->complete >= 0)
                row[4] = cell_int(part->complete);
        }
}

static void
collect_share_offsets(struct feed_rows *rows)
{
    struct group_call groups;
    groups_ask(rows->engine, &groups, false, false);
    struct share_asks asks = {.msg.fn = ask_shares, .coord = engine_coord(rows->engine)};
    asks.at = ox_arena_array(&groups.arena, struct share_ask, groups.snapshot.group_count + 1);
    for (size_t i = 0; i < groups.snapshot.group_count; i++) {
        if (strcmp(groups.snapshot.groups[i].type, "share") != 0)
            continue;
        struct share_ask *ask = &asks.at[asks.count++];
        *ask = (struct share_ask){.all = &asks};
        ox_arena_init(&ask->arena);
        ask->call = (struct coord_share_offsets_call){.op = COORD_SHARE_DESCRIBE,
            .group_id = groups.snapshot.groups[i].group_id, .call.arena = &ask->arena,
            .call.done = share_known};
    }
    asks.pending = asks.count + 1;
    pthread_mutex_init(&asks.lock, NULL);
    pthread_cond_init(&asks.wake, NULL);
    loop_post(loop_at(engine_loops(rows->engine), 0), &asks.msg);
    pthread_mutex_lock(&asks.lock);
    while (asks.pending > 0)
        loop_group_wait(engine_loops(rows->engine), &asks.wake, &asks.lock);
    pthread_mutex_unlock(&asks.lock);
    for (size_t i = 0; i < asks.count; i++) {
        add_share_offsets(rows, &asks.at[i].call);
        ox_arena_fini(&asks.at[i].arena);
    }
    pthread_mutex_destroy(&asks.lock);
    pthread_cond_destroy(&asks.wake);
    groups_release(&groups);
}

/* ---- connections ---- */

/* Microseconds since 2000; 0: there is none. */
static struct cell
cell_us(int64_t us)
{
    return us == 0 ? (struct cell){0} : cell_int(us);
}

static void
add_activity(struct feed_rows *rows, const struct engine_session *sess, struct cell *row)
{
    struct engine_activity now = {0};
    sess->activity(sess->activity_of, &now);
    row[0] = cell_text(rows, now.application);
    row[1] = cell_text(rows, now.state);
    row[2] = cell_text(rows, now.wait_type);
    row[3] = cell_text(rows, now.wait);
    row[4] = cell_us(now.xact_start_us);
    row[5] = cell_us(now.query_start_us);
    row[6] = cell_us(now.state_change_us);
    row[7] = cell_text(rows, now.query);
}

static void
add_connection(struct conn *conn, const struct conn_facts *facts, void *arg)
{
    struct feed_rows *rows = arg;
    const struct engine_session *sess = facts->session;
    struct cell *row = add_row(rows);
    row[0] = cell_int((int64_t)facts->id);
    row[1] = cell_text(rows, facts->protocol);
    if (sess != NULL) {
        row[2] = cell_text(rows, sess->principal);
        row[3] = cell_text(rows, sess->client_id);
        row[4] = cell_text(rows, sess->software);
        row[9] = cell_int((int64_t)atomic_load(&sess->requests));
    }
    row[5] = cell_text(rows, facts->peer_host);
    row[6] = cell_int(facts->peer_port);
    row[7] = cell_int(facts->loop_index);
    row[8] = cell_time(facts->opened_ms);
    row[10] = cell_int((int64_t)facts->bytes_in);
    row[11] = cell_int((int64_t)facts->bytes_out);
    row[20] = cell_int(sess != NULL && sess->encrypted);
    if (sess != NULL && sess->activity != NULL)
        add_activity(rows, sess, &row[12]);
}

static void
add_connections(struct loop *loop, void *arg)
{
    struct feed_rows *rows = arg;
    net_each_conn(engine_net(rows->engine), loop, add_connection, rows);
}

static void
collect_connections(struct feed_rows *rows)
{
    loop_each_sync(engine_loops(rows->engine), add_connections, rows);
}

/* ---- what clients tell about themselves ---- */

static void
collect_client_metrics(struct feed_rows *rows)
{
    size_t count;
    const struct engine_client_metric *metrics =
        engine_telemetry_list(rows->engine, &rows->arena, &count);
    for (size_t i = 0; i < count; i++) {
        struct cell *row = add_row(rows);
        char id[23];
        ox_uuid_to_base64(&metrics[i].client, id);
        row[0] = cell_text(rows, id);
        row[1] = cell_text(rows, metrics[i].client_id);
        row[2] = cell_text(rows, metrics[i].software);
        row[3] = cell_text(rows, metrics[i].host);
        row[4] = cell_str(rows, metrics[i].name);
        row[5] = cell_str(rows, metrics[i].attributes);
        row[6] = cell_text(rows, metrics[i].kind);
        row[7] = cell_str(rows, metrics[i].unit);
        row[8] = (struct cell){.kind = CELL_DOUBLE, .f = metrics[i].value};
        if (strcmp(metrics[i].kind, "histogram") == 0 || strcmp(metrics[i].kind, "summary") == 0)
            row[9] = cell_int((int64_t)metrics[i].count);
        row[10] = cell_time(metrics[i].updated_ms);
    }
}

/* ---- settings, configs, metrics ---- */

static const char *
source_name(int source)
{
    switch (source) {
    case META_SOURCE_TOPIC: return "topic";
    case META_SOURCE_BROKER: return "node";
    case META_SOURCE_BROKER_DEFAULT: return "system";
    case META_SOURCE_STATIC: return "file";
    case META_SOURCE_CLIENT_METRICS: return "client metrics";
    case META_SOURCE_GROUP: return "group";
    default: return "default";
    }
}

static void
add_configs(struct feed_rows *rows, const struct meta_view *view, int resource,
    const char *kind, struct str name)
{
    struct meta_config_fact *facts;
    size_t count;
    struct arena arena;
    ox_arena_init(&arena);
    if (meta_config_describe(view, resource, name, &arena, &facts, &count, NULL) != OX_OK)
        count = 0;
    for (size_t i = 0; i < count; i++) {
        struct cell *row = add_row(rows);
        row[0] = cell_text(rows, kind);
        row[1] = cell_str(rows, name);
        row[2] = cell_text(rows, facts[i].name);
        row[3] = facts[i].sensitive ? (struct cell){0} : cell_str(rows, facts[i].value);
        row[4] = cell_text(rows, source_name(facts[i].source));
        row[5] = cell_int(facts[i].read_only);
        row[6] = cell_text(rows, facts[i].param != NULL ? facts[i].param->doc : NULL);
    }
    ox_arena_fini(&arena);
}

static void
collect_configs(struct feed_rows *rows)
{
    const struct meta_view *view = meta_view_get(engine_meta(rows->engine));
    for (uint32_t i = 0; i < view->topic_count; i++)
        add_configs(rows, view, META_RESOURCE_TOPIC, "topic", meta_view_topic_at(view, i)->name);
    char node[16];
    snprintf(node, sizeof(node), "%d", engine_node_id(rows->engine));
    add_configs(rows, view, META_RESOURCE_BROKER, "node", ox_str(node));
    meta_view_put(view);
}

static const char *
param_type_name(const struct param *param)
{
    switch (param->type) {
    case PARAM_BOOL: return "bool";
    case PARAM_INT:
    case PARAM_LONG: return "integer";
    case PARAM_DOUBLE: return "real";
    case PARAM_ENUM: return "enum";
    default: return "string";
    }
}

static void
collect_settings(struct feed_rows *rows)
{
    const struct meta_view *view = meta_view_get(engine_meta(rows->engine));
    struct meta_config_fact *facts;
    struct arena arena;
    size_t count;
    char node[16];
    snprintf(node, sizeof(node), "%d", engine_node_id(rows->engine));
    ox_arena_init(&arena);
    if (meta_config_describe(view, META_RESOURCE_BROKER, ox_str(node), &arena, &facts, &count,
            NULL) != OX_OK)
        count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct param *param = facts[i].param;
        struct cell *row = add_row(rows);
        row[0] = cell_text(rows, facts[i].of_listener ? facts[i].name : param->name);
        row[1] = facts[i].sensitive ? (struct cell){0} : cell_str(rows, facts[i].value);
        row[2] = cell_text(rows, source_name(facts[i].source));
        row[3] = cell_text(rows, param->change == PARAM_RESTART ? "restart" : "live");
        row[4] = cell_text(rows, facts[i].of_listener ? facts[i].name : param->kafka_name);
        row[5] = cell_text(rows, param->doc);
        row[6] = cell_text(rows, param_type_name(param));
        row[7] = cell_text(rows, param->fallback);
    }
    ox_arena_fini(&arena);
    meta_view_put(view);
}

static void
collect_session_settings(struct feed_rows *rows)
{
    struct setting_facts facts;
    for (uint32_t i = 0; settings_facts(i, &facts); i++) {
        struct cell *row = add_row(rows);
        row[0] = cell_text(rows, facts.name);
        row[1] = cell_text(rows, facts.fallback);
        row[2] = cell_text(rows, facts.type);
        row[3] = cell_text(rows, facts.doc);
        row[4] = cell_text(rows, facts.fixed ? "internal" : "user");
    }
}

static void
collect_keywords(struct feed_rows *rows)
{
    for (int i = 0; i < sql_keyword_count; i++) {
        char kind = sql_keywords[i].kind;
        struct cell *row = add_row(rows);
        row[0] = cell_text(rows, sql_keywords[i].word);
        row[1] = cell_text(rows, kind == 'r' ? "R" : "U");
        row[2] = cell_text(rows, kind == 'r' ? "reserved" : "unreserved");
    }
}

static void
add_metric(enum metric_id id, const char *labels, double value, void *arg)
{
    struct feed_rows *rows = arg;
    struct cell *row = add_row(rows);
    row[0] = cell_text(rows, metric_table[id].name);
    row[1] = cell_text(rows, labels);
    row[2] = cell_text(rows, metric_table[id].type);
    row[3] = (struct cell){.kind = CELL_DOUBLE, .f = value};
    row[4] = cell_text(rows, metric_table[id].help);
}

static void
collect_metrics(struct feed_rows *rows)
{
    engine_metrics_each(rows->engine, add_metric, rows);
}

static int64_t
setting_value(const struct server_config *config, const struct limit_facts *facts)
{
    const struct param *param = param_find(PARAM_SCOPE_SERVER, ox_str(facts->setting));
    if (param == NULL) /* a topic's: its default */
        param = param_find(PARAM_SCOPE_SERVER, OX_STR("message_max_bytes"));
    const char *field = (const char *)config + param->field;
    if (param->type == PARAM_LONG)
        return *(const int64_t *)(const void *)field;
    return *(const int32_t *)(const void *)field;
}

static void
collect_limits(struct feed_rows *rows)
{
    const struct meta_view *view = meta_view_get(engine_meta(rows->engine));
    for (int i = 0; i < LIMIT_COUNT; i++) {
        const struct limit_facts *facts = &limit_table[i];
        struct cell *row = add_row(rows);
        int64_t value = facts->setting != NULL ? setting_value(view->settings, facts) : facts->value;
        if (i == LIMIT_MEMORY)
            value = (int64_t)mem_limit();
        row[0] = cell_text(rows, facts->name);
        row[1] = cell_int(value);
        row[2] = cell_text(rows, facts->unit);
        row[3] = cell_text(rows, facts->setting);
        row[4] = cell_text(rows, facts->where);
        if (limit_counted((enum limit_id)i))
            row[5] = cell_int((int64_t)limit_times_met((enum limit_id)i));
        row[6] = cell_text(rows, facts->doc);
    }
    meta_view_put(view);
}

static void
collect_memory(struct feed_rows *rows)
{
    size_t sum = 0;
    for (int i = 0; i < MEM_CLASS_COUNT; i++) {
        struct cell *row = add_row(rows);
        size_t used = mem_used((enum mem_class)i);
        sum += used;
        row[0] = cell_text(rows, mem_class_name((enum mem_class)i));
        row[1] = cell_int((int64_t)used);
        row[2] = i == MEM_CACHE ? cell_int(0) : cell_int(1);
    }
    struct cell *row = add_row(rows);
    size_t heap = mem_heap();
    row[0] = cell_text(rows, "rest of the heap");
    row[1] = cell_int((int64_t)(heap > sum ? heap - sum : 0));
    row[2] = cell_int(0);
}

/* ---- time zones ---- */

static void
add_timezone(void *arg, const struct timezone_facts *facts)
{
    struct feed_rows *rows = arg;
    struct cell *row = add_row(rows);
    char offset[24];
    int32_t away = abs(facts->offset);
    snprintf(offset, sizeof(offset), "%s%02d:%02d:%02d", facts->offset < 0 ? "-" : "",
        away / 3600, away / 60 % 60, away % 60);
    row[0] = cell_text(rows, facts->name);
    row[1] = cell_text(rows, facts->abbrev);
    row[2] = cell_text(rows, offset);
    row[3] = cell_int(facts->dst);
}

static void
collect_timezones(struct feed_rows *rows)
{
    timezone_each(row_us_from_unix_ms(env_wall_ms(engine_env(rows->engine))), add_timezone, rows);
}

/* ---- what SQL itself is made of ---- */

static void
add_type(struct feed_rows *rows, struct type type)
{
    const struct type_facts *facts = type_facts(type);
    struct cell *row = add_row(rows);
    char text[80];
    snprintf(text, sizeof(text), "%s%s", type.array ? "_" : "", facts->name);
    row[0] = cell_int(type_oid(type));
    row[1] = cell_text(rows, text);
    row[2] = cell_int(type_len(type));
    row[3] = cell_text(rows, type_category(type) == 'P' ? "p" : "b");
    snprintf(text, sizeof(text), "%c", type_category(type));
    row[4] = cell_text(rows, text);
    row[5] = cell_int(!type.array && facts->preferred);
    row[6] = cell_int(type.array ? type_oid(type_element(type)) : 0);
    row[7] = cell_int(type.array ? 0 : facts->array_oid);
}

static void
collect_types(struct feed_rows *rows)
{
    for (int id = 0; id < TYPE_COUNT; id++) {
        struct type type = TYPE((uint16_t)id);
        if (type_oid(type) == 0)
            continue;
        add_type(rows, type);
        if (type_facts(type)->array_oid != 0)
            add_type(rows, type_array_of(type));
    }
}

static void
collect_functions(struct feed_rows *rows)
{
    static const char *const volatility[] = {"i", "s", "v"};
    for (uint32_t i = 0; i < func_count; i++) {
        const struct func *func = &func_table[i];
        if (func->kind == FUNC_OPERATOR || func->kind == FUNC_CAST)
            continue;
        struct text args;
        ox_text_init(&args, &rows->arena);
        ox_text_addc(&args, '{');
        for (uint8_t j = 0; j < func->nargs; j++)
            ox_text_addf(&args, "%s%u", j ? "," : "", type_oid(func->args[j]));
        ox_text_addc(&args, '}');
        struct cell *row = add_row(rows);
        row[0] = cell_int(func->oid);
        row[1] = cell_text(rows, func->name);
        row[2] = cell_text(rows, func->kind == FUNC_AGGREGATE ? "a"
                                 : func->kind == FUNC_WINDOW  ? "w"
                                                              : "f");
        row[3] = cell_int(func->strict);
        row[4] = cell_int(func->kind == FUNC_SET);
        row[5] = cell_text(rows, volatility[func->volatility]);
        row[6] = cell_int(func->nargs);
        row[7] = cell_int(type_oid(func->result));
        row[8] = (struct cell){.kind = CELL_TEXT, .s = ox_text_str(&args)};
    }
}

static void
collect_relations(struct feed_rows *rows)
{
    for (uint32_t i = 0; i < syscat_relation_count; i++) {
        const struct syscat_relation *relation = &syscat_relations[i];
        struct cell *row = add_row(rows);
        row[0] = cell_int(relation->oid);
        row[1] = cell_text(rows, relation->schema);
        row[2] = cell_text(rows, relation->name);
        row[3] = cell_int(relation->schema_oid);
        row[4] = cell_int(relation->column_count);
        row[5] = cell_text(rows, relation->sql);
    }
}

/* name, type oid, len, attnum, notnull, sql type, type name */
static void
describe_column(struct feed_rows *rows, struct cell *row, struct str name, struct type type,
    int attnum)
{
    struct text sql;
    struct cell type_row;
    ox_text_init(&sql, &rows->arena);
    type_format(type, &sql);
    row[0] = cell_str(rows, name);
    row[1] = cell_int(type_oid(type));
    row[2] = cell_int(type_len(type));
    row[3] = cell_int(attnum);
    row[4] = cell_int(0);
    row[5] = (struct cell){.kind = CELL_TEXT, .s = ox_text_str(&sql)};
    char text[80];
    snprintf(text, sizeof(text), "%s%s", type.array ? "_" : "", type_facts(type)->name);
    type_row = cell_text(rows, text);
    row[6] = type_row;
}

static void
collect_columns(struct feed_rows *rows)
{
    for (uint32_t i = 0; i < syscat_relation_count; i++)
        for (uint32_t j = 0; j < syscat_relations[i].column_count; j++) {
            const struct plan_column *column = &syscat_relations[i].columns[j];
            struct cell *row = add_row(rows);
            describe_column(rows, row, column->name, column->type, (int)j + 1);
            row[7] = cell_int(syscat_relations[i].oid);
        }
}

static void
collect_topic_columns(struct feed_rows *rows)
{
    static const enum scan_column shown[] = {SCAN_PARTITION, SCAN_OFFSET, SCAN_TIMESTAMP,
        SCAN_KEY, SCAN_VALUE, SCAN_HEADERS};
    int hidden = (int)ox_count(shown);
    for (size_t i = 0; i < ox_count(shown); i++)
        describe_column(rows, add_row(rows), plan_scan_column_name(shown[i]),
            plan_scan_column_type(shown[i]), (int)i + 1);
    for (int what = 0; what < SCAN_COLUMN_COUNT; what++) {
        bool is_shown = false;
        for (size_t i = 0; i < ox_count(shown); i++)
            is_shown |= (int)shown[i] == what;
        if (!is_shown)
            describe_column(rows, add_row(rows), plan_scan_column_name((enum scan_column)what),
                plan_scan_column_type((enum scan_column)what), -(hidden++ + 10));
    }
}

/* ---- the tables ---- */

struct feed_def {
    const char *name, *columns;
    void (*collect)(struct feed_rows *rows);
    bool asks_loops; /* and waits for them: not on a loop */
};

static const struct feed_def defs[] = {
    {"f_partitions", "topic text, partition int4, log_start int8, high_watermark int8, "
                     "last_stable int8, log_end int8, bytes int8, first_ts int8, last_ts int8, "
                     "fault text, log_dir text",
        collect_partitions, false},
    {"f_segments", "topic text, partition int4, base_offset int8, next_offset int8, bytes int8, "
                   "first_ts int8, max_ts int8, active int4",
        collect_segments, false},
    {"f_compaction", "topic text, partition int4, state text, bytes_done int8, bytes_total int8, "
                     "cleaned_offset int8, first_dirty int8, dirty_end int8, clean_bytes int8, "
                     "dirty_bytes int8, passes int8, read_bytes int8, written_bytes int8, "
                     "read_records int8, removed_records int8, last_start int8, last_end int8",
        collect_compaction, false},
    {"f_producers", "topic text, partition int4, producer_id int8, producer_epoch int4, "
                    "last_sequence int4, last_ts int8, txn_start int8",
        collect_producers, false},
    {"f_groups", "group_id text, type text, state text, protocol_type text, protocol text, "
                 "generation int4, leader text, coordinator int4, members int4",
        collect_groups, true},
    {"f_group_members", "group_id text, member_id text, static_id text, client_id text, "
                        "host text, partitions int4, assigned text",
        collect_members, true},
    {"f_group_offsets", "group_id text, topic text, partition int4, committed int8, "
                        "metadata text, committed_at int8",
        collect_offsets, true},
    {"f_share_offsets", "group_id text, topic text, partition int4, start_offset int8, "
                        "complete int8",
        collect_share_offsets, true},
    {"f_connections", "id int8, protocol text, principal text, client_id text, software text, "
                      "host text, port int4, loop int4, opened int8, requests int8, "
                      "bytes_in int8, bytes_out int8, application text, state text, "
                      "wait_type text, wait text, xact_start int8, query_start int8, "
                      "state_change int8, query text, encrypted int4",
        collect_connections, true},
    {"f_client_metrics", "client_instance_id text, client_id text, software text, host text, "
                         "metric text, attributes text, kind text, unit text, value float8, "
                         "count int8, updated int8",
        collect_client_metrics, false},
    {"f_configs", "resource text, object text, name text, value text, source text, "
                  "read_only int4, doc text",
        collect_configs, false},
    {"f_settings", "name text, value text, source text, change text, kafka_name text, doc text, "
                   "type text, fallback text",
        collect_settings, false},
    {"f_session_settings", "name text, value text, type text, doc text, context text",
        collect_session_settings, false},
    {"f_keywords", "word text, code text, doc text", collect_keywords, false},
    {"f_metrics", "name text, labels text, type text, value float8, help text",
        collect_metrics, false},
    {"f_limits", "name text, value int8, unit text, setting text, protocol text, met int8, "
                 "doc text",
        collect_limits, false},
    {"f_timezones", "name text, abbrev text, utc_offset text, is_dst int4", collect_timezones,
        false},
    {"f_memory", "class text, bytes int8, limited int4", collect_memory, false},
    {"f_types", "oid int8, name text, len int4, kind text, category text, preferred int4, "
                "element int8, array_oid int8",
        collect_types, false},
    {"f_functions", "oid int8, name text, kind text, strict int4, is_set int4, volatility text, "
                    "nargs int4, result int8, args text",
        collect_functions, false},
    {"f_relations", "oid int8, schema text, name text, schema_oid int8, columns int4, "
                    "definition text",
        collect_relations, false},
    {"f_columns", "name text, type int8, len int4, attnum int4, not_null int4, sql_type text, "
                  "type_name text, relation_oid int8",
        collect_columns, false},
    {"f_topic_columns", "name text, type int8, len int4, attnum int4, not_null int4, "
                        "sql_type text, type_name text",
        collect_topic_columns, false},
};

/* A feed needs its definition and the engine. */
struct feed_arg {
    struct catalog_feed feed;
    const struct feed_def *def;
    struct engine *engine;
};

static ox_code
feed_open(struct catalog_scan *base, void *arg, struct ox_err *err)
{
    struct feed_scan *scan = (struct feed_scan *)base;
    struct feed_arg *feed = arg;
    ox_arena_init(&scan->rows.arena);
    scan->rows.engine = feed->engine;
    scan->rows.rows = NULL;
    scan->rows.count = scan->rows.cap = 0;
    scan->at = 0;
    /* Scans are on the pool, or their rows are kept (exec/scan_catalog.c). */
    if (feed->def->asks_loops && loop_self() != NULL)
        return ox_fail(err, OX_UNKNOWN_SERVER_ERROR, "\"%s\" is read on a loop", feed->def->name);
    feed->def->collect(&scan->rows);
    return OX_OK;
}

static ox_code
feed_next(struct catalog_scan *base, bool *row, struct ox_err *err)
{
    struct feed_scan *scan = (struct feed_scan *)base;
    *row = scan->at < scan->rows.count;
    scan->at += *row;
    return OX_OK;
}

static void
feed_column(struct catalog_scan *base, int at, struct catalog_call *call)
{
    struct feed_scan *scan = (struct feed_scan *)base;
    const struct cell *cell = &scan->rows.rows[scan->at - 1][at];
    switch (cell->kind) {
    case CELL_NULL: catalog_result_null(call); break;
    case CELL_INT: catalog_result_int(call, cell->i); break;
    case CELL_DOUBLE: catalog_result_double(call, cell->f); break;
    case CELL_TEXT: catalog_result_text(call, cell->s); break;
    }
}

static void
feed_close(struct catalog_scan *base)
{
    struct feed_scan *scan = (struct feed_scan *)base;
    ox_arena_fini(&scan->rows.arena);
}

/* Feeds outlive connections: one set a process and engine, never freed before. */
static struct feed_arg *
feeds_of(struct engine *engine)
{
    void **slot = engine_attachment(engine);
    void *none = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    if (none != NULL)
        return none;
    struct feed_arg *feeds = ox_calloc(ox_count(defs), sizeof(*feeds));
    for (size_t i = 0; i < ox_count(defs); i++) {
        feeds[i].def = &defs[i];
        feeds[i].engine = engine;
        feeds[i].feed = (struct catalog_feed){.name = defs[i].name,
            .columns = defs[i].columns, .scan_len = sizeof(struct feed_scan), .open = feed_open,
            .next = feed_next, .column = feed_column, .close = feed_close, .arg = &feeds[i]};
    }
    if (!__atomic_compare_exchange_n(slot, &none, feeds, false, __ATOMIC_ACQ_REL,
            __ATOMIC_ACQUIRE)) {
        ox_free(feeds);
        return none;
    }
    return feeds;
}

ox_code
syscat_connect(struct engine *engine, struct catalog_db **out, struct ox_err *err)
{
    struct feed_arg *feeds = feeds_of(engine);
    ox_code code = catalog_db_open(engine_meta(engine), out, err);
    for (size_t i = 0; i < ox_count(defs) && code == OX_OK; i++) {
        code = catalog_db_feed(*out, &feeds[i].feed, err);
        if (code != OX_OK)
            catalog_db_close(*out);
    }
    return code;
}
