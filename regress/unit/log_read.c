/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads, cursors and times at random places, compared with a list of what was
 * appended; and record batches through builder and iterator. */
#include "log_helper.h"

#include "base/rand.h"

enum { BATCHES = 600 };

static struct {
    int64_t base, last, time;
    size_t bytes;
} list[BATCHES];
static int count;
static struct rand_state rng = {4711};

static void
fill(void)
{
    char value[2100];
    memset(value, 'v', sizeof(value));
    for (count = 0; count < BATCHES; count++) {
        int records = 1 + (int)ox_rand_below(&rng, 5);
        value[ox_rand_below(&rng, ox_rand_below(&rng, 8) ? 100 : 2000)] = '\0';
        struct slice batch = help_batch(&RECORD_BUILDER_PLAIN, records, wall, value);
        struct log_append append = {.leader_epoch = count / 100};
        list[count].bytes = batch.len;
        list[count].time = wall;
        if (help_send(batch, &append) != OX_OK)
            abort();
        list[count].base = append.base_offset;
        list[count].last = append.last_offset;
        memset(value, 'v', sizeof(value));
        wall += 10;
    }
}

static int
holder(int64_t offset)
{
    for (int i = 0; i < count; i++)
        if (list[i].last >= offset)
            return i;
    return count;
}

/* What plog_read should give: batches [*first, result). */
static int
expected(int64_t offset, int64_t end, size_t max, bool min_one, int *first)
{
    int i = holder(offset);
    size_t sum = 0;
    *first = i;
    while (i < count && list[i].last < end) {
        /* A range lies in one segment. */
        sum += list[i].bytes;
        if (sum > max && !(min_one && i == *first))
            break;
        i++;
    }
    return i;
}

static bool
read_once(void)
{
    int64_t log_end = plog_log_end(plog);
    int64_t offset = (int64_t)ox_rand_below(&rng, (uint64_t)log_end + 1);
    int bound = (int)ox_rand_below(&rng, BATCHES);
    int64_t end = ox_rand_below(&rng, 3) ? log_end : list[bound].base;
    size_t max = 1 + ox_rand_below(&rng, 8000);
    bool min_one = ox_rand_below(&rng, 2);
    struct log_range range;
    int first, last = expected(offset, end, max, min_one, &first);
    if (plog_read(plog, offset, end, max, min_one, &range, &err) != OX_OK)
        return false;
    if (offset >= end || last <= first) {
        bool empty = range.seg == NULL;
        log_range_put(&range);
        return empty;
    }
    if (range.seg == NULL)
        return false;
    size_t sum = 0;
    int i = first;
    while (i < last && list[i].base < range.next_offset)
        sum += list[i++].bytes;
    bool good = range.base_offset <= offset && sum == range.len && i > first;
    /* Less than could be had only at the end of a segment. */
    if (good && i < last) {
        struct log_range next;
        good = plog_read(plog, list[i].base, end, max, true, &next, &err) == OX_OK &&
               next.seg != range.seg;
        log_range_put(&next);
    }
    log_range_put(&range);
    return good;
}

static bool
cursor_once(int flags)
{
    int64_t log_end = plog_log_end(plog);
    int64_t from = (int64_t)ox_rand_below(&rng, (uint64_t)log_end);
    int64_t to = from + 1 + (int64_t)ox_rand_below(&rng, (uint64_t)(log_end - from));
    struct log_cursor *cursor;
    struct record_batch batch;
    bool more, good = true;
    int low = holder(from), high = holder(to - 1);
    int at = flags & LOG_CURSOR_BACKWARD ? high : low, steps = 0;
    if (log_cursor_open(plog, from, to, flags, &cursor, &err) != OX_OK)
        return false;
    while (good && log_cursor_next(cursor, &batch, &more, &err) == OX_OK && more) {
        good = at >= low && at <= high && batch.base_offset == list[at].base &&
               batch.bytes == list[at].bytes;
        at += flags & LOG_CURSOR_BACKWARD ? -1 : 1;
        steps++;
    }
    log_cursor_close(cursor);
    return good && steps == high - low + 1;
}

static bool
time_once(void)
{
    int64_t time = list[0].time - 5 + (int64_t)ox_rand_below(&rng, BATCHES * 10 + 20);
    int64_t want = -1, want_time = -1;
    struct log_timed_offset timed;
    for (int i = 0; i < count && want < 0; i++)
        for (int64_t k = list[i].base; k <= list[i].last && want < 0; k++)
            if (list[i].time + (k - list[i].base) >= time) {
                want = k;
                want_time = list[i].time + (k - list[i].base);
            }
    if (plog_offset_by_time(plog, time, INT64_MAX, &timed, &err) != OX_OK)
        return false;
    return timed.offset == want && timed.timestamp == want_time;
}

static void
compare(const char *when)
{
    int reads = 0, forward = 0, headers = 0, backward = 0, times = 0;
    printf("# %s\n", when);
    for (int i = 0; i < 2000; i++)
        reads += read_once();
    is_int(reads, 2000, "reads give what they should");
    for (int i = 0; i < 200; i++) {
        forward += cursor_once(0);
        headers += cursor_once(LOG_CURSOR_HEADERS);
        backward += cursor_once(LOG_CURSOR_BACKWARD);
        times += time_once();
    }
    is_int(forward, 200, "cursors forward do");
    is_int(headers, 200, "cursors over headers do");
    is_int(backward, 200, "cursors backward do");
    is_int(times, 200, "offsets are found by time");
}

/* A cursor that waits for more, as a subscription does. */
static void
test_follow(void)
{
    struct log_cursor *cursor;
    struct record_batch batch;
    bool more;
    int64_t end = plog_log_end(plog), seen = 0;
    ok(log_cursor_open(plog, end, end, 0, &cursor, &err) == OX_OK, "a cursor at the end");
    for (int i = 0; i < 50; i++) {
        if (log_cursor_next(cursor, &batch, &more, &err) != OX_OK || more)
            break;
        help_append(3, "a value that comes later");
        if (i % 7 == 0)
            plog_roll(plog, &err);
        log_cursor_extend(cursor, plog_log_end(plog));
        while (log_cursor_next(cursor, &batch, &more, &err) == OX_OK && more)
            seen += batch.count;
    }
    is_int(seen, 150, "sees what comes, over rolls");
    log_cursor_close(cursor);
}

static void
test_records(void)
{
    struct record_builder builder;
    struct slice out;
    struct record_batch batch;
    struct record_iter iter;
    struct record record;
    struct record_header header,
        headers[2] = {{OX_STR("first"), OX_STR("1")}, {OX_STR(""), OX_STR_NULL}};
    record_builder_init(&builder);
    is_int(record_builder_finish(&builder, &out, &err), OX_INVALID_RECORD, "an empty batch");
    record_builder_begin(&builder, &RECORD_BUILDER_PLAIN);
    record_builder_add(&builder, 5000, OX_STR("key"), OX_STR("value"), headers, 2);
    record_builder_add(&builder, 4000, OX_STR_NULL, OX_STR(""), NULL, 0);
    record_builder_add(&builder, 9000, OX_STR(""), OX_STR_NULL, NULL, 0);
    ok(record_builder_finish(&builder, &out, &err) == OX_OK, "a batch is built");
    ok(record_batch_check(ox_slice_ptr(&out), out.len, &batch, &err) == OX_OK, "it is valid");
    ok(batch.base_timestamp == 5000 && batch.max_timestamp == 9000 && batch.count == 3, "its head");
    record_iter_init(&iter, &batch, NULL, 0, &err);
    ok(record_iter_next(&iter, &record) && ox_str_is(record.key, "key") &&
        ox_str_is(record.value, "value") && record.timestamp == 5000 && record.header_count == 2,
        "the first record");
    struct wire_in in = record_headers(&record);
    ok(record_header_next(&in, &header) && ox_str_is(header.key, "first") &&
        ox_str_is(header.value, "1") && record_header_next(&in, &header) &&
        header.value.ptr == NULL && !record_header_next(&in, &header) && !in.failed,
        "with its headers");
    ok(record_iter_next(&iter, &record) && record.key.ptr == NULL && record.value.ptr != NULL &&
        record.value.len == 0 && record.timestamp == 4000 && record.offset == 1,
        "an older one with a null key");
    ok(record_iter_next(&iter, &record) && record.key.ptr != NULL && record.value.ptr == NULL,
        "one with a null value");
    ok(!record_iter_next(&iter, &record) && !iter.failed, "and no more");
    ox_buf_put(out.buf);
    record_builder_fini(&builder);
}

int
main(void)
{
    help_init();
    config.segment_bytes = 20000;
    config.index_interval_bytes = 500;
    test_records();
    help_open("read");
    fill();
    compare("as written");
    log_dir_checkpoint_step(dir, &err);
    compare("after a checkpoint");
    help_close();
    help_open("read");
    compare("after a clean stop");
    help_kill();
    ox_diag_set_level(OX_DIAG_ERROR);
    help_open("read");
    compare("after a kill");
    test_follow();
    help_close();
    file_sim_free(sim);
    return done();
}
