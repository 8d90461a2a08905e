/* SPDX-License-Identifier: Apache-2.0
 *
 * Compaction against a model. Each seed writes records of few keys (plain ones,
 * tombstones, transactions that are committed, aborted or left open, every
 * codec), lets passes run with a buffer that is sometimes too small, cuts the
 * power at random operations, injects errors, restarts, and compares:
 *
 *   - offsets rise, and what is there is what was written at its offset
 *   - the newest record of each key is there, or it is a tombstone whose time
 *     has come, and then nothing older of the key is
 *   - below what a pass has done each key is there once, and nothing aborted
 *   - nothing above what a pass may look at is missing
 *   - every aborted record that is left is in the index of aborted transactions
 *   - the producers' sequences are those of their last batches
 *
 * OX_SEED=n runs one seed, OX_LONG=1 many. */
#include "base/check.h"
#include "base/rand.h"
#include "log_helper.h"

enum { KEYS = 24, OFFSETS_MAX = 6000, PIDS = 4, OPS = 160, CUTS = 3, RETENTION_MS = 4000 };

enum state { PLAIN, OPEN, COMMITTED, ABORTED, MARKER_COMMIT, MARKER_ABORT };

struct entry {
    int key, value; /* value -1: tombstone */
    int pid;        /* -1 none; 0, 1 idempotent; 2, 3 transactional */
    int32_t sequence;
    int64_t ts;
    enum state state;
    bool present;
};

static struct entry entries[OFFSETS_MAX];
static int64_t end;      /* of the model */
static int64_t attempted; /* as far as appends that failed would have gone */
static int64_t touched;  /* no pass was to look at anything from here on */
static uint64_t buffer_bytes;
static struct rand_state dice;
static int next_value;
static char problem[400];
static bool tracing;
static uint64_t seed, passes_seen, removed_seen, horizons_gone;

#define trace(...) (tracing ? (void)printf("# " __VA_ARGS__) : (void)0)

static bool
fail(const char *what, int64_t a, int64_t b)
{
    if (problem[0] == '\0')
        snprintf(problem, sizeof(problem), "seed %llu: %s (%lld, %lld)",
            (unsigned long long)seed, what, (long long)a, (long long)b);
    return false;
}

static uint32_t
roll(uint32_t n)
{
    return (uint32_t)ox_rand_below(&dice, n);
}

/* ---- writing ---- */

static int32_t
next_sequence(int pid)
{
    for (int64_t o = end; o-- > 0;)
        if (entries[o].pid == pid && entries[o].state < MARKER_COMMIT)
            return entries[o].sequence + 1;
    return 0;
}

static bool
txn_open(int pid)
{
    for (int64_t o = end; o-- > 0;)
        if (entries[o].pid == pid)
            return entries[o].state == OPEN;
    return false;
}

static size_t
value_text(int value, char text[600])
{
    int len = snprintf(text, 600, "value %d ", value);
    int more = value % 7 == 0 ? 500 : value % 60;
    memset(text + len, 'a' + value % 26, (size_t)more);
    return (size_t)(len + more);
}

static bool
send(struct slice batch, enum log_origin origin)
{
    struct log_append append = {.origin = origin, .flags = LOG_TXN_VERIFIED, .leader_epoch = 1};
    ox_code rc = help_send(batch, &append);
    if (rc == OX_OK && append.base_offset != end)
        return fail("append at another offset", append.base_offset, end);
    trace("append at %lld code %d\n", (long long)append.base_offset, rc);
    return rc == OX_OK;
}

static void
append_records(void)
{
    static const enum ox_codec codecs[] = {OX_CODEC_NONE, OX_CODEC_NONE, OX_CODEC_GZIP,
        OX_CODEC_SNAPPY, OX_CODEC_LZ4, OX_CODEC_ZSTD};
    struct record_builder_config with = RECORD_BUILDER_PLAIN;
    struct record_builder builder;
    struct slice out;
    int count = 1 + (int)roll(5), pid = (int)roll(PIDS + 2) - 2;
    if (end + count > OFFSETS_MAX)
        return;
    pid = pid < 0 ? -1 : pid;
    with.codec = codecs[roll(ox_count(codecs))];
    if (pid >= 0) {
        with.producer_id = 100 + pid;
        with.producer_epoch = 0;
        with.base_sequence = next_sequence(pid);
        with.transactional = pid >= 2;
    }
    record_builder_init(&builder);
    record_builder_begin(&builder, &with);
    for (int i = 0; i < count; i++) {
        char key[16], text[600];
        struct entry *entry = &entries[end + i];
        *entry = (struct entry){(int)roll(KEYS), roll(6) == 0 ? -1 : next_value++, pid,
            with.base_sequence + i, wall, pid >= 2 ? OPEN : PLAIN, false};
        int key_len = snprintf(key, sizeof(key), "key-%d", entry->key);
        size_t len = entry->value < 0 ? 0 : value_text(entry->value, text);
        record_builder_add(&builder, wall, ox_str_n(key, (size_t)key_len),
            entry->value < 0 ? OX_STR_NULL : ox_str_n(text, len), NULL, 0);
    }
    if (record_builder_finish(&builder, &out, &err) != OX_OK)
        abort();
    record_builder_fini(&builder);
    attempted = OX_MAX(attempted, end + count);
    if (send(out, LOG_FROM_CLIENT))
        end += count;
}

static void
end_txn(int pid, bool commit)
{
    struct slice marker;
    if (!txn_open(pid) || end == OFFSETS_MAX)
        return;
    if (record_batch_marker(100 + pid, 0, commit, 0, wall, &marker, &err) != OX_OK)
        abort();
    entries[end] = (struct entry){-1, -1, pid, -1, wall, commit ? MARKER_COMMIT : MARKER_ABORT,
        false};
    attempted = OX_MAX(attempted, end + 1);
    if (send(marker, LOG_FROM_COORDINATOR))
        end++;
}

/* What became of each record, from the markers. */
static void
decide(void)
{
    for (int64_t o = 0; o < end; o++)
        if (entries[o].pid >= 2 && entries[o].state < MARKER_COMMIT)
            entries[o].state = OPEN;
    for (int64_t o = 0; o < end; o++)
        if (entries[o].state >= MARKER_COMMIT)
            for (int64_t i = o; i-- > 0 &&
                 !(entries[i].pid == entries[o].pid && entries[i].state >= MARKER_COMMIT);)
                if (entries[i].pid == entries[o].pid)
                    entries[i].state = entries[o].state == MARKER_COMMIT ? COMMITTED : ABORTED;
}

/* ---- comparing ---- */

static bool
check_record(const struct record *record, const struct record_batch *batch)
{
    char key[16], text[600];
    int64_t o = record->offset;
    if (o >= end)
        return fail("a record nobody wrote", o, end);
    struct entry *entry = &entries[o];
    entry->present = true;
    if (record_batch_is_control(batch))
        return entry->state >= MARKER_COMMIT ? true : fail("a marker nobody wrote", o, 0);
    int key_len = snprintf(key, sizeof(key), "key-%d", entry->key);
    size_t len = entry->value < 0 ? 0 : value_text(entry->value, text);
    if (entry->state >= MARKER_COMMIT || !ox_str_eq(record->key, ox_str_n(key, (size_t)key_len)) ||
        (record->value.ptr == NULL) != (entry->value < 0) ||
        (entry->value >= 0 && !ox_str_eq(record->value, ox_str_n(text, len))))
        return fail("a record is not what was written", o, entry->value);
    if (record->timestamp != entry->ts)
        return fail("a record's time is not what was written", record->timestamp, entry->ts);
    return true;
}

static bool
read_all(void)
{
    struct log_cursor *cursor;
    struct record_batch batch;
    struct record_iter iter;
    struct record record;
    struct text scratch;
    bool more, good = true;
    int64_t last = -1;
    ox_text_init(&scratch, NULL);
    for (int64_t o = 0; o < end; o++)
        entries[o].present = false;
    ox_code rc = log_cursor_open(plog, 0, INT64_MAX, 0, &cursor, &err);
    if (rc != OX_OK)
        return fail(err.message, rc, 0);
    while (good && (rc = log_cursor_next(cursor, &batch, &more, &err)) == OX_OK && more) {
        if (!record_batch_crc_ok(&batch))
            good = fail("a wrong checksum", batch.base_offset, 0);
        if (record_iter_init(&iter, &batch, &scratch, 1 << 20, &err) != OX_OK)
            good = fail(err.message, batch.base_offset, 0);
        while (good && record_iter_next(&iter, &record)) {
            if (record.offset <= last || record.offset > record_batch_last_offset(&batch))
                good = fail("offsets do not rise", record.offset, last);
            last = record.offset;
            good = good && check_record(&record, &batch);
        }
        if (good && iter.failed)
            good = fail(iter.fault, batch.base_offset, 0);
        last = record_batch_last_offset(&batch);
    }
    log_cursor_close(cursor);
    ox_text_fini(&scratch);
    return good && rc != OX_OK ? fail(err.message, rc, 0) : good;
}

static bool
counts(const struct entry *entry)
{
    return entry->state == PLAIN || entry->state == COMMITTED;
}

static bool
check_keys(int64_t stable)
{
    for (int key = 0; key < KEYS; key++) {
        int64_t newest = -1;
        for (int64_t o = 0; o < stable; o++)
            if (entries[o].key == key && counts(&entries[o]))
                newest = o;
        if (newest < 0 || entries[newest].present)
            continue;
        if (entries[newest].value >= 0)
            return fail("the newest record of a key is gone", newest, key);
        if (wall - entries[newest].ts < RETENTION_MS)
            return fail("a tombstone went too soon", newest, wall - entries[newest].ts);
        horizons_gone++;
        for (int64_t o = 0; o < newest; o++)
            if (entries[o].key == key && counts(&entries[o]) && entries[o].present)
                return fail("a record outlives its tombstone", o, newest);
    }
    return true;
}

/* After a pass: its part holds nothing it should have left out. */
static bool
check_cleaned(int64_t cleaned)
{
    int64_t seen[KEYS];
    memset(seen, -1, sizeof(seen));
    for (int64_t o = 0; o < cleaned; o++) {
        const struct entry *entry = &entries[o];
        if (!entry->present || entry->state >= MARKER_COMMIT)
            continue;
        if (entry->state == ABORTED)
            return fail("an aborted record is left", o, cleaned);
        if (seen[entry->key] >= 0)
            return fail("an older record of a key is left", seen[entry->key], o);
        seen[entry->key] = o;
    }
    return true;
}

static bool
check_aborted(int64_t stable)
{
    struct arena arena;
    struct log_aborted_txn *txns;
    size_t count;
    bool good = true;
    ox_arena_init(&arena);
    if (plog_aborted_txns(plog, 0, stable, &arena, &txns, &count, &err) != OX_OK)
        good = fail(err.message, 0, 0);
    for (int64_t o = 0; o < stable && good; o++) {
        bool found = entries[o].state != ABORTED || !entries[o].present;
        for (size_t i = 0; i < count && !found; i++)
            found = txns[i].producer_id == 100 + entries[o].pid && txns[i].first_offset <= o &&
                    txns[i].last_offset >= o;
        if (!found)
        {
            for (size_t i = 0; i < count; i++)
                trace("aborted %lld: %lld to %lld\n", (long long)txns[i].producer_id,
                    (long long)txns[i].first_offset, (long long)txns[i].last_offset);
            good = fail("an aborted record is not in the index", o, stable);
        }
    }
    ox_arena_fini(&arena);
    return good;
}

static bool
check_producers(void)
{
    struct arena arena;
    struct log_producer_facts *facts;
    size_t count;
    bool found[PIDS] = {false}, good = true;
    ox_arena_init(&arena);
    plog_producers(plog, &arena, &facts, &count);
    for (size_t i = 0; i < count && good; i++) {
        int pid = (int)(facts[i].producer_id - 100);
        found[pid] = true;
        if (facts[i].last_sequence + 1 != next_sequence(pid))
            good = fail("a producer's sequence is wrong", facts[i].last_sequence,
                next_sequence(pid) - 1);
        if (good && (facts[i].txn_start_offset >= 0) != txn_open(pid))
            good = fail("a producer's transaction is wrong", pid, facts[i].txn_start_offset);
    }
    for (int pid = 0; pid < PIDS && good; pid++)
        if (!found[pid] && next_sequence(pid) > 0)
            good = fail("a producer is forgotten", pid, next_sequence(pid));
    ox_arena_fini(&arena);
    return good;
}

static void
trace_model(void)
{
    for (int64_t o = 0; tracing && o < end; o++)
        printf("#   %lld: key %d value %d producer %d state %d%s\n", (long long)o,
            entries[o].key, entries[o].value, entries[o].pid, (int)entries[o].state,
            entries[o].present ? " present" : "");
}

static void
trace_index(int64_t from, int64_t to)
{
    struct arena arena;
    struct log_aborted_txn *txns;
    struct log_segment_facts *segs;
    size_t count;
    if (!tracing)
        return;
    ox_arena_init(&arena);
    plog_aborted_txns(plog, from, to, &arena, &txns, &count, &err);
    for (size_t i = 0; i < count; i++)
        trace("aborted %lld: %lld to %lld\n", (long long)txns[i].producer_id,
            (long long)txns[i].first_offset, (long long)txns[i].last_offset);
    plog_segments(plog, &arena, &segs, &count, &err);
    for (size_t i = 0; i < count; i++)
        trace("segment %lld to %lld\n", (long long)segs[i].base_offset,
            (long long)segs[i].next_offset);
    ox_arena_fini(&arena);
}

static bool
check(int64_t cleaned)
{
    int64_t stable = plog_last_stable(plog);
    decide();
    if (!read_all())
        return false;
    for (int64_t o = touched; o < end; o++)
        if (!entries[o].present)
            return fail("a record is gone that no pass was to look at", o, touched);
    if (check_keys(stable) && check_cleaned(cleaned) && check_aborted(stable) &&
        check_producers())
        return true;
    trace_model();
    return false;
}

/* ---- a run ---- */

static void
clean(void)
{
    struct log_compaction_facts before, after;
    bool worked;
    plog_compaction(plog, wall, &before);
    touched = OX_MAX(touched, before.limit);
    trace_index(before.first_dirty, before.limit);
    ox_code rc = log_dir_clean_step(dir, buffer_bytes, wall, &worked, &err);
    plog_compaction(plog, wall, &after);
    trace("pass from %lld to %lld: code %d, worked %d, cleaned %lld\n",
        (long long)before.first_dirty, (long long)before.limit, rc, worked,
        (long long)after.cleaned);
    if (rc != OX_OK || !worked)
        return;
    passes_seen++;
    removed_seen += after.records_removed - before.records_removed;
    if (after.cleaned <= before.first_dirty)
        fail("a pass got nowhere", after.cleaned, before.first_dirty);
    check(after.cleaned);
}

static void
flush(void)
{
    if (log_dir_flush_step(dir, &err) == OX_OK)
        plog_set_high_watermark(plog, plog_flushed_end(plog));
}

static void
step(void)
{
    uint32_t what = roll(40);
    wall += roll(200);
    if (what < 24)
        append_records();
    else if (what < 29)
        end_txn(2 + (int)roll(2), roll(2));
    else if (what < 34)
        flush();
    else if (what == 34)
        plog_roll(plog, &err);
    else if (what == 35)
        log_dir_checkpoint_step(dir, &err);
    else if (what == 36)
        log_dir_purge(dir, wall);
    else
        clean();
}

static bool
open_log(void)
{
    return help_open("t") == OX_OK;
}

static void
drop_log(void)
{
    if (plog != NULL)
        plog_drop(plog);
    if (dir != NULL)
        log_dir_abandon(dir);
    plog = NULL;
    dir = NULL;
}

/* Opens after a cut, which may come again meanwhile. */
static bool
recover(int64_t flushed)
{
    for (int tries = 0;; tries++) {
        file_sim_restart(sim);
        if (tries < 3 && roll(3) == 0)
            file_sim_crash_at(sim, file_sim_ops(sim) + 1 + roll(12));
        plog = NULL;
        bool open = open_log();
        file_sim_crash_at(sim, 0);
        if (open && !file_sim_crashed(sim))
            break;
        if (!file_sim_crashed(sim))
            return fail(err.message, 0, 0);
        drop_log();
    }
    if (plog_fault(plog, &err) != OX_OK)
        return fail(err.message, 0, 0);
    if (plog_log_end(plog) < flushed)
        return fail("flushed records are lost", plog_log_end(plog), flushed);
    trace("open again, log end %lld, model's %lld\n", (long long)plog_log_end(plog),
        (long long)end);
    end = OX_MIN(OX_MAX(end, attempted), plog_log_end(plog));
    attempted = end;
    trace_index(0, end);
    plog_set_high_watermark(plog, plog_log_end(plog));
    return check(0);
}

static bool
run_to_cut(void)
{
    file_sim_crash_at(sim, file_sim_ops(sim) + 1 + roll(400));
    if (roll(3) == 0)
        file_sim_fail(sim, NULL, 1 + roll(300), roll(4) == 0,
            roll(2) ? OX_IO_ERROR : OX_DISK_FULL);
    for (int i = 0; i < OPS && !file_sim_crashed(sim) && problem[0] == '\0'; i++)
        step();
    int64_t flushed = plog_flushed_end(plog);
    drop_log();
    file_sim_fail_clear(sim);
    return problem[0] == '\0' && recover(flushed);
}

static bool
restart_clean(void)
{
    help_close();
    plog = NULL;
    return open_log() ? check(0) : fail(err.message, 0, 0);
}

static void
begin(void)
{
    file_sim_free(sim);
    sim = file_sim_new(seed * 17 + 3);
    env.fs = file_sim_fs(sim);
    dir = NULL;
    plog = NULL;
    end = touched = attempted = 0;
    next_value = 0;
    problem[0] = '\0';
    ox_rand_seed(&dice, seed);
    random_state = seed;
    wall = 1000000;
    buffer_bytes = roll(2) ? 1 << 20 : 1;
    plog_config_init(&config);
    config.policy_compact = true;
    config.policy_delete = false;
    config.segment_bytes = 3000 + roll(4000);
    config.index_interval_bytes = 200;
    config.segment_ms = roll(2) ? 1500 : INT64_MAX;
    config.timestamp_after_max_ms = INT64_MAX;
    config.min_cleanable_dirty_ratio = roll(2) ? 0.01 : 0.4;
    config.delete_retention_ms = RETENTION_MS;
    config.file_delete_delay_ms = 100;
    config.min_compaction_lag_ms = roll(4) == 0 ? 700 : 0;
    config.max_compaction_lag_ms = roll(4) == 0 ? 2000 : INT64_MAX;
    config.producer_id_expiration_ms = INT64_MAX;
    config.max_message_bytes = 2900;
}

static bool
run_seed(void)
{
    begin();
    bool good = open_log();
    for (int cut = 0; cut < CUTS && good; cut++) {
        good = run_to_cut();
        for (int i = 0; i < OPS && good && problem[0] == '\0'; i++)
            step();
        good = good && problem[0] == '\0' && restart_clean();
        for (int i = 0; i < 3 && good && problem[0] == '\0'; i++) {
            wall += 2 * RETENTION_MS;
            flush();
            clean();
        }
    }
    drop_log();
    return good && problem[0] == '\0';
}

/* ---- what each rule does, one by one ---- */

static void
put(const char *key, const char *value)
{
    struct record_builder builder;
    struct slice out;
    struct log_append append = {.leader_epoch = 1};
    record_builder_init(&builder);
    record_builder_begin(&builder, &RECORD_BUILDER_PLAIN);
    record_builder_add(&builder, wall, ox_str(key), value ? ox_str(value) : OX_STR_NULL, NULL, 0);
    if (record_builder_finish(&builder, &out, &err) != OX_OK)
        abort();
    record_builder_fini(&builder);
    is_int(help_send(out, &append), OX_OK, "a record is appended");
}

static void
settle(void)
{
    plog_roll(plog, &err);
    log_dir_flush_step(dir, &err);
    plog_set_high_watermark(plog, plog_flushed_end(plog));
}

/* "offset:key=value ..." of all records. */
static const char *
content(void)
{
    static char text[500];
    struct log_cursor *cursor;
    struct record_batch batch;
    struct record_iter iter;
    struct record record;
    bool more;
    size_t len = 0;
    text[0] = '\0';
    if (log_cursor_open(plog, 0, INT64_MAX, 0, &cursor, &err) != OX_OK)
        return "?";
    while (log_cursor_next(cursor, &batch, &more, &err) == OX_OK && more) {
        if (batch.count == 0)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s[%lld]", len ? " " : "",
                (long long)record_batch_last_offset(&batch));
        record_iter_init(&iter, &batch, NULL, 0, &err);
        while (record_iter_next(&iter, &record))
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%lld:%.*s=%.*s",
                len ? " " : "", (long long)record.offset, OX_STR_ARG(record.key),
                (int)OX_MAX(record.value.len, 1u),
                record.value.ptr ? record.value.ptr : "-");
    }
    log_cursor_close(cursor);
    return text;
}

static bool
pass(void)
{
    bool worked;
    is_int(log_dir_clean_step(dir, 1 << 20, wall, &worked, &err), OX_OK, "a pass");
    return worked;
}

static void
start_rules(void)
{
    seed = 1;
    begin();
    config.segment_bytes = 1 << 20;
    config.segment_ms = INT64_MAX;
    config.min_compaction_lag_ms = 0;
    config.max_compaction_lag_ms = INT64_MAX;
    config.min_cleanable_dirty_ratio = 0.5;
    is_int(help_open("rules"), OX_OK, "open");
}

static void
test_rules(void)
{
    start_rules();
    put("a", "1");
    put("b", "2");
    put("a", "3");
    put("c", "4");
    ok(!pass(), "the active segment is not compacted");
    settle();
    ok(pass(), "a sealed one is");
    is_str(content(), "1:b=2 2:a=3 3:c=4", "the newest of each key is left");
    ok(!pass(), "once");
    put("b", NULL);
    ok(!pass(), "not the active one");
    settle();
    config.min_cleanable_dirty_ratio = 0.2;
    plog_set_config(plog, &config);
    ok(pass(), "a quarter of the log is dirty");
    is_str(content(), "2:a=3 3:c=4 4:b=-", "a tombstone stays, what it deletes goes");
    config.min_cleanable_dirty_ratio = 0.45;
    plog_set_config(plog, &config);
    wall += RETENTION_MS;
    put("c", "5");
    settle();
    ok(!pass(), "a third of the bytes is not dirty enough");
    put("c", "6");
    settle();
    put("d", "7");
    settle();
    ok(pass(), "more than half is");
    is_str(content(), "2:a=3 6:c=6 7:d=7", "the tombstone is gone");
    put("d", NULL);
    settle();
    help_close();
    is_int(help_open("rules"), OX_OK, "open again");
    struct log_compaction_facts facts;
    plog_compaction(plog, wall, &facts);
    is_int(facts.cleaned, 8, "how far it was compacted is remembered");
    is_int(facts.dirty_bytes > 0 && facts.clean_bytes > 0, true, "and what is dirty");
    help_close();
}

static void
test_lags(void)
{
    start_rules();
    config.min_compaction_lag_ms = 500;
    plog_set_config(plog, &config);
    put("a", "1");
    put("a", "2");
    settle();
    ok(!pass(), "too young for min.compaction.lag.ms");
    wall += 501;
    ok(pass(), "old enough");
    is_str(content(), "1:a=2", "compacted");
    config.min_compaction_lag_ms = 0;
    config.min_cleanable_dirty_ratio = 1;
    plog_set_config(plog, &config);
    put("a", "3");
    settle();
    ok(!pass(), "never dirty enough");
    config.max_compaction_lag_ms = 1000;
    plog_set_config(plog, &config);
    wall += 500;
    ok(!pass(), "not yet due by max.compaction.lag.ms");
    wall += 600;
    ok(pass(), "due");
    is_str(content(), "2:a=3", "compacted whatever the ratio");
    put("z", "1");
    wall += 1100;
    put("z", "2");
    is_int(plog_log_end(plog), 5, "two more records");
    struct arena arena;
    struct log_segment_facts *segs;
    size_t count;
    ox_arena_init(&arena);
    plog_segments(plog, &arena, &segs, &count, &err);
    is_int(segs[count - 1].base_offset, 4, "a segment closes when it is as old as that");
    ox_arena_fini(&arena);
    help_close();
}

/* The last batch of a producer stays, empty. */
static void
test_producer(void)
{
    struct record_builder_config with = RECORD_BUILDER_PLAIN;
    struct log_append append = {.leader_epoch = 1};
    start_rules();
    with.producer_id = 7;
    with.producer_epoch = 0;
    with.base_sequence = 0;
    is_int(help_send(help_batch(&with, 1, wall, "1"), &append), OX_OK, "a producer's batch");
    put("key", "2");
    settle();
    ok(pass(), "compacted");
    is_str(content(), "[0] 1:key=2", "its header is left");
    help_close();
    is_int(help_open("rules"), OX_OK, "open again");
    append = (struct log_append){.leader_epoch = 1};
    is_int(help_send(help_batch(&with, 1, wall, "1"), &append), OX_OK, "the same batch again");
    ok(append.duplicate && append.base_offset == 0, "is known");
    with.base_sequence = 1;
    append = (struct log_append){.leader_epoch = 1};
    is_int(help_send(help_batch(&with, 1, wall, "1"), &append), OX_OK, "the next one");
    settle();
    put("key", "4");
    settle();
    ok(pass(), "compacted");
    is_str(content(), "[2] 3:key=4", "only its last batch is remembered");
    help_close();
}

/* ---- several logs, and settings that change under a pass ---- */

static struct plog *
open_other(struct log_dir *in, const char *topic)
{
    struct plog_args args = {.topic = topic, .partition = 0, .config = config};
    struct plog *other;
    memset(args.topic_id.bytes, 6, 16);
    return plog_open(in, &args, &other, &err) == OX_OK ? other : NULL;
}

/* A log that is wholly dirty, and one of which a part is clean. */
static struct plog *
open_two(void)
{
    start_rules();
    struct plog *clean = plog, *dirty = open_other(dir, "dirty");
    put("a", "1");
    put("a", "2");
    settle();
    pass();
    put("a", "333333333333333333333333333333333333333333333333");
    put("a", "444444444444444444444444444444444444444444444444");
    settle();
    plog = dirty;
    put("a", "1");
    put("a", "2");
    settle();
    plog = clean;
    return dirty;
}

static uint64_t
passes_of(struct plog *log)
{
    struct log_compaction_facts facts;
    plog_compaction(log, wall, &facts);
    return facts.passes;
}

static void
test_failing(void)
{
    struct plog *dirty = open_two();
    bool worked;
    file_sim_fail(sim, "compact.write", 1, false, OX_IO_ERROR);
    is_int(log_dir_clean_step(dir, 1 << 20, wall, &worked, &err), OX_IO_ERROR,
        "the dirtier log cannot be compacted");
    ok(pass() && passes_of(plog) == 2 && passes_of(dirty) == 0, "then the other one comes first");
    ok(pass() && passes_of(dirty) == 1, "before it is tried again");
    plog_close(dirty);
    help_close();
}

static bool
clean_meanwhile(void *arg)
{
    uint64_t *passes = arg;
    bool worked;
    if (log_dir_clean_step(dir, 1 << 20, wall, &worked, &err) == OX_OK && worked)
        ++*passes;
    return true;
}

static void
test_moving(void)
{
    struct log_dir_config other_config = dir_config;
    struct log_dir *there;
    struct plog *dirty = open_two();
    uint64_t passes = 0;
    other_config.path = "/other";
    is_int(log_dir_open(&other_config, &env, &there, &err), OX_OK, "another directory");
    is_int(plog_move(dirty, there, clean_meanwhile, &passes, &err), OX_OK,
        "the dirtier log moves there");
    ok(passes == 1 && passes_of(plog) == 2, "the other one is compacted meanwhile");
    plog_close(dirty);
    help_close();
    log_dir_close(there);
}

static struct file_system_ops hooked_ops;
static ox_code (*real_pwritev)(void *fs, const char *site, struct file *file,
    const struct iovec *iov, int count, uint64_t pos, struct ox_err *err);

/* Somebody changes cleanup.policy while a pass is at work. */
static ox_code
pwritev_and_alter(void *fs, const char *site, struct file *file, const struct iovec *iov,
    int count, uint64_t pos, struct ox_err *e)
{
    if (strcmp(site, "compact.write") == 0) {
        config.policy_compact = false;
        config.policy_delete = true;
        plog_set_config(plog, &config);
    }
    return real_pwritev(fs, site, file, iov, count, pos, e);
}

static void
test_policy_changes(void)
{
    struct file_system hooked;
    bool worked;
    start_rules();
    help_close();
    hooked_ops = *env.fs->ops;
    real_pwritev = hooked_ops.pwritev;
    hooked_ops.pwritev = pwritev_and_alter;
    hooked = (struct file_system){&hooked_ops, env.fs->self};
    env.fs = &hooked;
    is_int(help_open("rules"), OX_OK, "open");
    put("a", "1");
    put("a", "2");
    settle();
    is_int(log_dir_clean_step(dir, 1 << 20, wall, &worked, &err), OX_CANCELED,
        "a pass ends when the log is not to be compacted any more");
    is_str(content(), "0:a=1 1:a=2", "all is still there");
    ok(!pass(), "and there is no other");
    help_close();
    env.fs = file_sim_fs(sim);
}

/* ---- what Kafka's cleaner leaves ---- */

static void
empty_segment(int64_t base)
{
    static const char *const derived[] = {"index", "timeindex"};
    char name[128];
    struct file *file;
    snprintf(name, sizeof(name), "/data/rules-0/%020lld.log", (long long)base);
    if (fs_open(env.fs, "test", name, FILE_READ | FILE_WRITE, &file, &err) != OX_OK ||
        fs_truncate(env.fs, "test", file, 0, &err) != OX_OK)
        abort();
    fs_close(env.fs, file);
    for (size_t i = 0; i < ox_count(derived); i++) {
        snprintf(name, sizeof(name), "/data/rules-0/%020lld.%s", (long long)base, derived[i]);
        fs_unlink(env.fs, "test", name, &err);
    }
}

/* A segment of which it left nothing, before or behind others. */
static void
test_empty_segments(void)
{
    start_rules();
    for (int i = 0; i < 4; i++) {
        put("a", "1");
        put("b", "2");
        settle();
    }
    put("c", "3");
    help_close();
    empty_segment(0);
    empty_segment(4);
    empty_segment(6);
    is_int(help_open("rules"), OX_OK, "a log with empty segments opens");
    is_str(content(), "2:a=1 3:b=2 8:c=3", "what is between them is read");
    ok(pass(), "it is compacted");
    is_str(content(), "2:a=1 3:b=2 8:c=3", "as any other");
    struct log_compaction_facts facts;
    plog_compaction(plog, wall, &facts);
    is_int(facts.cleaned, 8, "up to the active segment");
    put("a", "4");
    put("a", "5");
    put("a", "6");
    put("a", "7");
    settle();
    put("d", "5");
    help_close();
    is_int(help_open("rules"), OX_OK, "it opens again");
    plog_compaction(plog, wall, &facts);
    is_int(facts.cleaned, 8, "knows how far it was compacted");
    ok(pass(), "and goes on");
    is_str(content(), "3:b=2 8:c=3 12:a=7 13:d=5", "with what was written since");
    help_close();
}

int
main(void)
{
    const char *one = getenv("OX_SEED");
    help_init();
    ox_diag_set_level(one ? OX_DIAG_INFO : OX_DIAG_ERROR + 1);
    if (one == NULL) {
        test_rules();
        test_lags();
        test_producer();
        test_failing();
        test_moving();
        test_policy_changes();
        test_empty_segments();
    }
    tracing = one != NULL;
    uint64_t first = one ? strtoull(one, NULL, 10) : 1;
    uint64_t count = one ? 1 : getenv("OX_LONG") ? 8000 : 150;
    int bad = 0;
    for (seed = first; seed < first + count && bad < 10; seed++)
        if (!run_seed()) {
            printf("# %s\n", problem);
            bad++;
        }
    is_int(bad, 0, "compacted logs are what the model says");
    printf("# %llu passes removed %llu records, tombstones gone %llu times\n",
        (unsigned long long)passes_seen, (unsigned long long)removed_seen,
        (unsigned long long)horizons_gone);
    ok(one != NULL || (passes_seen > 100 && removed_seen > 1000 && horizons_gone > 10),
        "passes did something");
    file_sim_free(sim);
    return done();
}
