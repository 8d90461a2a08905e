/* SPDX-License-Identifier: Apache-2.0
 *
 * Who has a number hands it on: each_of_...() asks one source and calls fn for
 * every series. Nothing is kept here; counters belong to those who count. */
#include "engine/metrics.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "engine/engine_int.h"
#include "net/net.h"
#include "share/share.h"

typedef void (*metric_fn)(enum metric_id id, const char *labels, double value, void *arg);

static void
each_of_net(struct engine *engine, metric_fn fn, void *arg)
{
    struct net_stats stats;
    net_stats(engine->config.net, &stats);
    fn(METRIC_CONNECTIONS, "", (double)stats.open, arg);
    fn(METRIC_CONNECTIONS_ACCEPTED_TOTAL, "", (double)stats.accepted, arg);
    fn(METRIC_CONNECTIONS_REFUSED_TOTAL, "", (double)stats.refused, arg);
    fn(METRIC_NETWORK_RECEIVED_BYTES_TOTAL, "", (double)stats.bytes_in, arg);
    fn(METRIC_NETWORK_SENT_BYTES_TOTAL, "", (double)stats.bytes_out, arg);
}

static void
each_of_engine(struct engine *engine, metric_fn fn, void *arg)
{
    struct engine_stats *stats = &engine->stats;
    fn(METRIC_APPENDS_TOTAL, "", (double)atomic_load(&stats->appends), arg);
    fn(METRIC_APPEND_BYTES_TOTAL, "", (double)atomic_load(&stats->append_bytes), arg);
    fn(METRIC_APPEND_ERRORS_TOTAL, "", (double)atomic_load(&stats->append_errors), arg);
    fn(METRIC_READS_TOTAL, "", (double)atomic_load(&stats->reads), arg);
    fn(METRIC_READ_BYTES_TOTAL, "", (double)atomic_load(&stats->read_bytes), arg);
    fn(METRIC_LOGINS_TOTAL, "", (double)atomic_load(&stats->logins), arg);
    fn(METRIC_LOGINS_FAILED_TOTAL, "", (double)atomic_load(&stats->logins_failed), arg);
    fn(METRIC_QUOTA_THROTTLES_TOTAL, "", (double)atomic_load(&stats->throttles), arg);
    fn(METRIC_QUOTA_THROTTLED_SECONDS_TOTAL, "", (double)atomic_load(&stats->throttled_ms) / 1000,
        arg);
    fn(METRIC_TELEMETRY_PUSHES_TOTAL, "", (double)atomic_load(&stats->telemetry_pushes), arg);
    fn(METRIC_TELEMETRY_REFUSED_TOTAL, "", (double)atomic_load(&stats->telemetry_refused), arg);
}

static void
each_of_meta(struct engine *engine, metric_fn fn, void *arg)
{
    struct meta_stats stats;
    meta_stats(engine->config.meta, &stats);
    const struct meta_view *view = meta_view_get(engine->config.meta);
    fn(METRIC_TOPICS, "", view->topic_count, arg);
    fn(METRIC_PARTITIONS, "", view->partition_count, arg);
    meta_view_put(view);
    fn(METRIC_META_PROPOSALS_TOTAL, "", (double)stats.proposals, arg);
    fn(METRIC_META_APPLIED_INDEX, "", (double)stats.applied, arg);
    fn(METRIC_META_COMMIT_SECONDS_TOTAL, "", (double)stats.commit_ns_sum / 1e9, arg);
}

static void
each_of_compaction(struct engine *engine, metric_fn fn, void *arg)
{
    struct log_cleaner_stats stats;
    replica_cleaner_stats(engine->config.replica, &stats);
    fn(METRIC_COMPACTION_PASSES_TOTAL, "", (double)stats.passes, arg);
    fn(METRIC_COMPACTION_FAILURES_TOTAL, "", (double)stats.failures, arg);
    fn(METRIC_COMPACTION_RUNNING, "", stats.running, arg);
    fn(METRIC_COMPACTION_READ_BYTES_TOTAL, "", (double)stats.bytes_read, arg);
    fn(METRIC_COMPACTION_WRITTEN_BYTES_TOTAL, "", (double)stats.bytes_written, arg);
    fn(METRIC_COMPACTION_REMOVED_RECORDS_TOTAL, "", (double)stats.records_removed, arg);
    fn(METRIC_COMPACTION_THROTTLED_SECONDS_TOTAL, "", (double)stats.throttled_ms / 1000, arg);
}

/* Text in a label, as Prometheus quotes it. */
static const char *
group_label(struct arena *arena, struct str group_id)
{
    struct text text;
    ox_text_init(&text, arena);
    ox_text_adds(&text, "group=\"");
    for (size_t i = 0; i < group_id.len; i++) {
        char c = group_id.ptr[i];
        if (c == '\\' || c == '"' || c == '\n')
            ox_text_addc(&text, '\\');
        ox_text_addc(&text, c == '\n' ? 'n' : c);
    }
    ox_text_add(&text, "\"", 2); /* and the end */
    return text.ptr;
}

static void
each_of_share_groups(struct engine *engine, metric_fn fn, void *arg)
{
    static const char *const types[SHARE_ACK_TYPES] = {"type=\"gap\"", "type=\"accept\"",
        "type=\"release\"", "type=\"reject\"", "type=\"renew\""};
    uint64_t acknowledged[SHARE_ACK_TYPES];
    struct arena arena;
    size_t count;
    share_acknowledged(engine->share, acknowledged);
    for (int i = SHARE_ACCEPT; i < SHARE_ACK_TYPES; i++)
        fn(METRIC_SHARE_ACKNOWLEDGEMENTS_TOTAL, types[i], (double)acknowledged[i], arg);
    ox_arena_init(&arena);
    struct dead_letter_count *dead = engine_dead_letter_counts(engine, &arena, &count);
    const char **labels = ox_arena_array(&arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        labels[i] = group_label(&arena, dead[i].group_id);
        fn(METRIC_DEAD_LETTERS_TOTAL, labels[i], (double)dead[i].records, arg);
    }
    for (size_t i = 0; i < count; i++)
        fn(METRIC_DEAD_LETTER_APPENDS_TOTAL, labels[i], (double)dead[i].appends, arg);
    for (size_t i = 0; i < count; i++)
        fn(METRIC_DEAD_LETTER_FAILURES_TOTAL, labels[i], (double)dead[i].failures, arg);
    ox_arena_fini(&arena);
}

static void
each_of_memory(metric_fn fn, void *arg)
{
    char labels[64];
    for (int i = 0; i < MEM_CLASS_COUNT; i++) {
        snprintf(labels, sizeof(labels), "class=\"%s\"", mem_class_name((enum mem_class)i));
        fn(METRIC_MEMORY_BYTES, labels, (double)mem_used((enum mem_class)i), arg);
    }
    fn(METRIC_MEMORY_BYTES, "class=\"heap\"", (double)mem_heap(), arg);
    fn(METRIC_MEMORY_LIMIT_BYTES, "", (double)mem_limit(), arg);
    for (int i = 0; i < LIMIT_COUNT; i++) {
        if (!limit_counted((enum limit_id)i))
            continue;
        snprintf(labels, sizeof(labels), "limit=\"%s\"", limit_table[i].name);
        fn(METRIC_LIMITS_MET_TOTAL, labels, (double)limit_times_met((enum limit_id)i), arg);
    }
}

/* One metric for all directories: a path is no label when it needs quoting. */
static void
each_of_log_dirs(struct engine *engine, metric_fn fn, void *arg)
{
    struct log_dir_stats stats[16];
    char labels[16][600];
    size_t count = 0;
    struct log_dir *dir;
    for (; count < 16 && (dir = replica_log_dir(engine->config.replica, count)) != NULL; count++) {
        const char *path = log_dir_path(dir);
        log_dir_stats(dir, &stats[count]);
        if (strlen(path) > 512 || strpbrk(path, "\"\\\n") != NULL)
            snprintf(labels[count], sizeof(labels[count]), "dir=\"%zu\"", count);
        else
            snprintf(labels[count], sizeof(labels[count]), "dir=\"%s\"", path);
    }
    for (size_t i = 0; i < count; i++)
        fn(METRIC_LOG_DIR_OFFLINE, labels[i], stats[i].offline, arg);
    for (size_t i = 0; i < count; i++)
        fn(METRIC_LOG_DIR_TOTAL_BYTES, labels[i], (double)stats[i].total_bytes, arg);
    for (size_t i = 0; i < count; i++)
        fn(METRIC_LOG_DIR_USABLE_BYTES, labels[i], (double)stats[i].usable_bytes, arg);
    for (size_t i = 0; i < count; i++)
        fn(METRIC_LOG_DIR_FLUSHES_TOTAL, labels[i],
            (double)(stats[i].wal_flushes + stats[i].direct_flushes), arg);
}

void
engine_metrics_each(struct engine *engine, metric_fn fn, void *arg)
{
    fn(METRIC_UP, "", 1, arg);
    each_of_net(engine, fn, arg);
    each_of_engine(engine, fn, arg);
    each_of_share_groups(engine, fn, arg);
    each_of_meta(engine, fn, arg);
    each_of_log_dirs(engine, fn, arg);
    each_of_compaction(engine, fn, arg);
    fn(METRIC_RESIDENT_MEMORY_BYTES, "", (double)mem_resident(), arg);
    each_of_memory(fn, arg);
    for (int i = 0; i < loop_running_count(engine->config.loops); i++) {
        char labels[32];
        snprintf(labels, sizeof(labels), "loop=\"%d\"", i);
        fn(METRIC_LOOP_LOAD_RATIO, labels, loop_load(loop_at(engine->config.loops, i)) / 1000.0,
            arg);
    }
}

struct text_arg {
    struct text *out;
    int last;
};

static void
print_metric(enum metric_id id, const char *labels, double value, void *arg)
{
    struct text_arg *to = arg;
    const struct metric_facts *facts = &metric_table[id];
    if (to->last != (int)id)
        ox_text_addf(to->out, "# HELP %s %s\n# TYPE %s %s\n", facts->name, facts->help,
            facts->name, facts->type);
    to->last = (int)id;
    ox_text_addf(to->out, "%s%s%s%s %.17g\n", facts->name, labels[0] ? "{" : "", labels,
        labels[0] ? "}" : "", value);
}

void
engine_metrics_text(struct engine *engine, struct text *out)
{
    struct text_arg arg = {out, -1};
    engine_metrics_each(engine, print_metric, &arg);
    engine_telemetry_text(engine, out);
}
