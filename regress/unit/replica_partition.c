/* SPDX-License-Identifier: Apache-2.0
 *
 * Partitions on real loops, metadata and files: appends that wait for the flush
 * (which a gate in the file layer holds back at will), readers that wait for
 * data, both when they give up and when their topic is dropped under them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/file.h"
#include "replica/replica.h"
#include "must.h"
#include "tap.h"

static char path[128];
static struct loop_group *loops;
static struct log_dir *dir;
static struct meta *meta;
static struct replica *replica;
static struct partition *part; /* held */

/* ---- a disk whose flushes of records wait at a gate ---- */

static struct file_system_ops gated_ops;
static struct file_system gated;
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_shut;

static ox_code
gated_sync(void *fs, const char *site, struct file *file, struct ox_err *err)
{
    pthread_mutex_lock(&gate_lock);
    while (gate_shut && (strcmp(site, "wal.sync") == 0 || strcmp(site, "log.sync") == 0))
        pthread_cond_wait(&gate_moved, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
    return file_system_os()->ops->sync(fs, site, file, err);
}

static bool no_way_back; /* partitions that were set aside stay there */

static ox_code
gated_rename(void *fs, const char *site, const char *from, const char *to, struct ox_err *err)
{
    if (no_way_back && strcmp(site, "plog.take_back") == 0)
        return ox_fail(err, OX_IO_ERROR, "no");
    return file_system_os()->ops->rename(fs, site, from, to, err);
}

static void
shut_gate(bool shut)
{
    pthread_mutex_lock(&gate_lock);
    gate_shut = shut;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate_lock);
}

/* ---- the world ---- */

static void
register_node(void)
{
    struct ox_err err;
    struct meta_command cmd = {.kind = META_BROKER_REGISTER};
    struct meta_listener listener = {OX_STR("PLAINTEXT"), OX_STR("127.0.0.1"), 9092, 0};
    cmd.broker_register.node_id = 1;
    cmd.broker_register.incarnation.bytes[0] = 1;
    cmd.broker_register.directory_id = *log_dir_id(dir);
    cmd.broker_register.listeners = &listener;
    cmd.broker_register.listener_count = 1;
    must(meta_propose_wait(meta, &cmd, NULL, &err), &err, "register");
}

static void
create_topic(const char *name, bool lazy)
{
    struct ox_err err;
    int32_t self = 1;
    struct meta_assignment assignment = {&self, 1};
    struct meta_config_change config = {.name = OX_STR("flush"), .value = OX_STR("lazy")};
    struct meta_command cmd = {.kind = META_TOPIC_CREATE};
    cmd.topic_create.name = ox_str(name);
    cmd.topic_create.assignments = &assignment;
    cmd.topic_create.partition_count = 1;
    cmd.topic_create.configs = &config;
    cmd.topic_create.config_count = lazy ? 1 : 0;
    must(meta_propose_wait(meta, &cmd, NULL, &err), &err, name);
}

static void
drop_topic(const char *name)
{
    struct ox_err err;
    struct meta_command cmd = {.kind = META_TOPIC_DELETE};
    cmd.topic_delete.name = ox_str(name);
    must(meta_propose_wait(meta, &cmd, NULL, &err), &err, name);
}

static ox_code
start_world(void)
{
    static struct env env;
    struct ox_err err;
    gated_ops = *file_system_os()->ops;
    gated_ops.sync = gated_sync;
    gated_ops.rename = gated_rename;
    gated = (struct file_system){&gated_ops, file_system_os()->self};
    env = *env_os();
    env.fs = &gated;
    struct loop_config config = {.count = 2, .pool_threads = 1};
    must(loop_group_start(&config, &env, &loops, &err), &err, "loops");
    struct meta_config meta_config = {.dir = path, .node_id = 1, .format = true};
    must(meta_open(&meta_config, &env, &meta, &err), &err, "metadata");
    struct log_dir_config dir_config;
    log_dir_config_init(&dir_config);
    dir_config.path = path;
    dir_config.node_id = -1;
    dir_config.reserve_bytes = 0;
    must(log_dir_open(&dir_config, &env, &dir, &err), &err, "log directory");
    struct replica_config replica_config = {.node_id = 1, .dirs = &dir, .dir_count = 1, .loops = loops,
        .housekeeping_ms = 300000};
    return replica_start(&replica_config, &env, meta, &replica, &err);
}

static void
open_world(void)
{
    if (start_world() != OX_OK)
        exit(1);
    register_node();
}

static void
close_world(void)
{
    replica_quiesce(replica);
    loop_group_drain(loops);
    replica_stop(replica);
    log_dir_close(dir);
    meta_close(meta);
    loop_group_stop(loops);
}

/* ---- steps that run on a loop ---- */

static const char *find_name;

static void
find_part(struct loop *loop, void *arg)
{
    if (loop_index(loop) != 0)
        return;
    const struct meta_topic *topic = meta_view_topic(replica_view(replica), ox_str(find_name));
    struct partition *found = topic ? replica_partition(replica, &topic->id, 0) : NULL;
    part = found ? partition_hold(found) : NULL;
}

static void
use_topic(const char *name)
{
    partition_put(part);
    find_name = name;
    loop_each_sync(loops, find_part, NULL);
}

struct call {
    struct partition_append append;
    int home;
    bool now; /* partition_append() knew the outcome */
    _Atomic int answers;
    bool right_loop;
    int order;
};

static _Atomic int answer_number;

static void
append_done(struct partition_append *append)
{
    struct call *call = (struct call *)(void *)append;
    call->right_loop = loop_is(append->loop);
    call->order = atomic_fetch_add(&answer_number, 1);
    atomic_fetch_add(&call->answers, 1);
}

static struct slice
make_batch(int count)
{
    struct record_builder builder;
    struct slice out;
    struct ox_err err;
    record_builder_init(&builder);
    record_builder_begin(&builder, &RECORD_BUILDER_PLAIN);
    for (int i = 0; i < count; i++)
        record_builder_add(&builder, 1790000000000 + i, OX_STR("k"), OX_STR("value"), NULL, 0);
    must(record_builder_finish(&builder, &out, &err), &err, "batch");
    record_builder_fini(&builder);
    return out;
}

static void
start_append(struct loop *loop, void *arg)
{
    struct call *call = arg;
    if (loop_index(loop) != call->home)
        return;
    struct slice batch = make_batch(10);
    call->append.append.records = batch;
    call->append.append.now_ms = 1790000000000;
    call->append.loop = loop;
    call->append.done = append_done;
    call->now = partition_append(part, &call->append);
    ox_buf_put(batch.buf);
}

static void
append(struct call *call, int16_t acks, int home)
{
    call->home = home;
    call->append.acks = acks;
    if (call->append.current_leader_epoch == 0)
        call->append.current_leader_epoch = -1;
    loop_each_sync(loops, start_append, call);
}

static void
wait_answers(struct call *call)
{
    for (int i = 0; i < 6000 && atomic_load(&call->answers) == 0; i++)
        usleep(10000);
    loop_group_drain(loops);
}

struct reader {
    struct partition_waiter waiter;
    int home;
    bool waits, unwait;
    _Atomic int calls;
    bool right_loop;
};

static void
reader_called(struct partition_waiter *waiter)
{
    struct reader *reader = (struct reader *)(void *)waiter;
    reader->right_loop = loop_is(waiter->loop);
    atomic_fetch_add(&reader->calls, 1);
}

static void
start_reader(struct loop *loop, void *arg)
{
    struct reader *reader = arg;
    if (loop_index(loop) != reader->home)
        return;
    reader->waiter.loop = loop;
    reader->waiter.fn = reader_called;
    reader->waits = partition_wait(part, &reader->waiter);
}

static void
wait_for(struct reader *reader, int64_t offset, enum partition_isolation isolation, int home)
{
    reader->home = home;
    reader->waiter.offset = offset;
    reader->waiter.isolation = isolation;
    loop_each_sync(loops, start_reader, reader);
}

static void
stop_reader(struct loop *loop, void *arg)
{
    struct reader *reader = arg;
    if (loop_index(loop) == reader->home)
        partition_unwait(&reader->waiter);
}

static void
forget_append(struct loop *loop, void *arg)
{
    struct call *call = arg;
    if (loop_index(loop) == call->home)
        partition_append_forget(&call->append);
}

static int64_t
seen_by(enum partition_isolation isolation)
{
    struct partition_state state;
    partition_state(part, &state);
    return partition_visible_end(&state, isolation);
}

/* ---- tests ---- */

static void
test_flush(void)
{
    struct call one = {0}, all = {0}, second = {0};
    struct reader reader = {0}, replica_reader = {0}, early = {0};
    create_topic("t", false);
    use_topic("t");
    ok(part != NULL && partition_log(part) != NULL, "a new topic has an open partition");
    shut_gate(true);
    wait_for(&reader, 0, READ_UNCOMMITTED, 1);
    ok(reader.waits, "a reader waits for the first record");
    append(&one, 1, 0);
    ok(one.now && one.append.code == OX_OK && one.append.append.base_offset == 0,
        "acks=1 is answered at once");
    is_int(seen_by(READ_REPLICA), 10, "the log has it");
    is_int(seen_by(READ_UNCOMMITTED), 0, "readers do not see what is not flushed");
    wait_for(&replica_reader, 5, READ_REPLICA, 1);
    ok(!replica_reader.waits, "a replica does");
    append(&all, -1, 0);
    append(&second, -1, 1);
    loop_group_drain(loops);
    ok(!all.now && !second.now, "acks=all is not known yet");
    ok(atomic_load(&all.answers) == 0 && atomic_load(&reader.calls) == 0,
        "nobody hears anything while the flush goes on");
    shut_gate(false);
    wait_answers(&all);
    wait_answers(&second);
    ok(all.append.code == OX_OK && all.append.append.base_offset == 10 && all.right_loop,
        "the flush answers it, on its loop");
    ok(second.append.append.base_offset == 20 && second.right_loop, "and the other on the other");
    is_int(atomic_load(&reader.calls), 1, "the reader is called once");
    ok(reader.right_loop, "on its loop");
    is_int(seen_by(READ_UNCOMMITTED), 30, "the high watermark is the end of what is flushed");
    wait_for(&early, 10, READ_COMMITTED, 0);
    ok(!early.waits && atomic_load(&early.calls) == 0, "a reader does not wait for what is there");
}

static void
test_reads(void)
{
    struct log_range range;
    struct partition_state state;
    struct ox_err err;
    ox_code code = partition_read(part, 5, 1 << 20, true, READ_UNCOMMITTED, -1, &range, &state,
        &err);
    ok(code == OX_OK && range.len > 0 && range.base_offset == 0 && range.next_offset == 30,
        "a read gives whole batches, from the one that holds the offset");
    log_range_put(&range);
    code = partition_read(part, 30, 1 << 20, true, READ_UNCOMMITTED, -1, &range, &state, &err);
    ok(code == OX_OK && range.len == 0 && state.high_watermark == 30, "nothing at the end");
    is_int(partition_read(part, 31, 1, true, READ_UNCOMMITTED, -1, &range, &state, &err),
        OX_OFFSET_OUT_OF_RANGE, "behind the end is out of range");
    is_int(partition_read(part, 0, 1, true, READ_UNCOMMITTED, state.leader_epoch + 1, &range,
               &state, &err), OX_UNKNOWN_LEADER_EPOCH, "a newer epoch is not known");
    struct call newer = {.append.current_leader_epoch = state.leader_epoch + 1};
    append(&newer, -1, 0);
    ok(newer.now && newer.append.code == OX_UNKNOWN_LEADER_EPOCH, "nor to an append");
    int64_t low;
    is_int(partition_delete_records(part, 31, &low, &err), OX_OFFSET_OUT_OF_RANGE,
        "records above the high watermark cannot be deleted");
    struct reader below = {0};
    ok(partition_delete_records(part, 12, &low, &err) == OX_OK && low == 12, "others can");
    wait_for(&below, 3, READ_UNCOMMITTED, 0);
    ok(!below.waits, "a reader below the log start does not wait");
    is_int(partition_read(part, 3, 1, true, READ_UNCOMMITTED, -1, &range, &state, &err),
        OX_OFFSET_OUT_OF_RANGE, "it hears that its offset is gone");
}

static ox_code
truncate_topic(const char *name, int64_t start)
{
    const struct meta_view *view = meta_view_get(meta);
    struct meta_cut cut = {meta_view_topic(view, ox_str(name))->id, &start, 1};
    struct meta_command cmd = {.kind = META_TRUNCATE, .truncate = {&cut, 1}};
    ox_code code = meta_propose_wait(meta, &cmd, NULL, NULL);
    meta_view_put(view);
    return code;
}

static void
test_truncate(void)
{
    struct partition_state state;
    struct call first = {0}, second = {0};
    create_topic("cut", false);
    use_topic("cut");
    append(&first, -1, 0);
    if (!first.now)
        wait_answers(&first);
    partition_state(part, &state);
    int64_t end = state.log_end;
    is_int(truncate_topic("cut", end - 1), OX_OK, "the metadata says where the log begins");
    partition_state(part, &state);
    is_int(state.log_start, end - 1, "and by its answer it does");
    is_int(truncate_topic("cut", end - 2), OX_OK, "an offset below it");
    partition_state(part, &state);
    is_int(state.log_start, end - 1, "changes nothing");
    append(&second, -1, 0);
    if (!second.now)
        wait_answers(&second);
    partition_state(part, &state);
    ok(state.high_watermark > end && state.log_start == end - 1, "it goes on at its end");
}

static void
test_giving_up(void)
{
    struct call late = {.append.timeout_ns = 30000000}, gone = {0}, after = {0};
    struct reader reader = {0};
    shut_gate(true);
    append(&late, -1, 0);
    append(&gone, -1, 1);
    wait_for(&reader, 30, READ_UNCOMMITTED, 0);
    loop_each_sync(loops, forget_append, &gone);
    loop_each_sync(loops, stop_reader, &reader);
    wait_answers(&late);
    is_int(late.append.code, OX_REQUEST_TIMED_OUT, "an append gives up when its time is over");
    append(&after, -1, 0);
    shut_gate(false);
    wait_answers(&after);
    is_int(atomic_load(&late.answers), 1, "and is answered once");
    ok(atomic_load(&gone.answers) == 0 && atomic_load(&reader.calls) == 0,
        "who was forgotten hears nothing");
    is_int(seen_by(READ_UNCOMMITTED), 60, "their records stay");
}

static void
test_order(void)
{
    static struct call calls[20];
    bool ordered = true;
    shut_gate(true);
    int first = atomic_load(&answer_number);
    for (int i = 0; i < 20; i++)
        append(&calls[i], -1, 0);
    shut_gate(false);
    for (int i = 0; i < 20; i++) {
        wait_answers(&calls[i]);
        ordered &= calls[i].order == first + i && calls[i].append.append.base_offset == 60 + i * 10;
    }
    ok(ordered, "appends are answered in the order of their offsets");
}

static void
test_lazy(void)
{
    struct call call = {0};
    create_topic("lazy", true);
    use_topic("lazy");
    shut_gate(true);
    append(&call, -1, 0);
    ok(call.now && call.append.code == OX_OK, "with flush=lazy acks=all is answered at once");
    is_int(seen_by(READ_UNCOMMITTED), 10, "and readers see it");
    shut_gate(false);
}

/* Drop under an append and readers that wait; at once a topic of that name. */
static void
test_drop(void)
{
    struct call waiting = {0}, late = {0}, fresh = {0};
    struct reader reader = {0}, again = {0};
    struct log_range range;
    struct partition_state state;
    struct ox_err err;
    use_topic("t");
    struct partition *old = partition_hold(part);
    ok(partition_read(old, 100, 1 << 20, true, READ_UNCOMMITTED, -1, &range, &state, &err) ==
            OX_OK && range.len > 0, "a range is out");
    shut_gate(true);
    append(&waiting, -1, 0);
    wait_for(&reader, 265, READ_UNCOMMITTED, 1);
    ok(!waiting.now && reader.waits, "an append and a reader wait");
    /* The flush that runs must end before the directory may go. */
    shut_gate(false);
    wait_answers(&waiting);
    ok(waiting.append.code == OX_OK, "the append is answered");
    reader = (struct reader){0};
    wait_for(&reader, 1000, READ_UNCOMMITTED, 1);
    ok(reader.waits, "the reader waits for more");
    drop_topic("t");
    loop_group_drain(loops);
    is_int(atomic_load(&reader.calls), 1, "the reader hears of the drop");
    partition_state(old, &state);
    is_int(state.fault, OX_UNKNOWN_TOPIC_OR_PARTITION, "and finds why");
    wait_for(&again, 1000, READ_UNCOMMITTED, 1);
    ok(!again.waits, "it cannot wait again");
    append(&late, -1, 0);
    ok(late.now && late.append.code == OX_UNKNOWN_TOPIC_OR_PARTITION, "appends are refused");
    struct log_range none;
    is_int(partition_read(old, 0, 1, true, READ_UNCOMMITTED, -1, &none, &state, &err),
        OX_UNKNOWN_TOPIC_OR_PARTITION, "and reads");
    create_topic("t", false);
    use_topic("t");
    ok(part != NULL && part != old, "a topic of that name is another partition");
    append(&fresh, -1, 1);
    if (!fresh.now)
        wait_answers(&fresh);
    ok(fresh.append.code == OX_OK && fresh.append.append.base_offset == 0, "it begins at 0");
    void *bytes = malloc(range.len);
    ok(log_range_pread(&range, bytes, &err) == OX_OK, "the range of the old one is still good");
    free(bytes);
    log_range_put(&range);
    partition_put(old);
    is_int(seen_by(READ_UNCOMMITTED), 10, "the new one lives on without it");
}

static void
test_shutdown(void)
{
    struct reader reader = {0};
    wait_for(&reader, 10, READ_UNCOMMITTED, 0);
    replica_quiesce(replica);
    loop_group_drain(loops);
    is_int(atomic_load(&reader.calls), 1, "waiters hear of a stop");
    struct partition_state state;
    partition_state(part, &state);
    is_int(state.fault, OX_SHUTTING_DOWN, "and why");
}

/* Kafka sets aside what it does not know. */
static void
test_aside(void)
{
    struct call call = {0};
    char from[160], to[224];
    create_topic("aside", false);
    use_topic("aside");
    append(&call, -1, 0);
    if (!call.now)
        wait_answers(&call);
    partition_put(part);
    part = NULL;
    close_world();
    snprintf(from, sizeof(from), "%s/aside-0", path);
    snprintf(to, sizeof(to), "%s/aside-0.000102030405060708090a0b0c0d0e0f-stray", path);
    is_int(rename(from, to), 0, "a partition is set aside");
    no_way_back = true;
    is_int(start_world(), OX_IO_ERROR, "a start that cannot take it back fails");
    close_world();
    ok(access(from, F_OK) != 0, "and leaves nothing empty in its place");
    no_way_back = false;
    open_world();
    use_topic("aside");
    is_int(seen_by(READ_UNCOMMITTED), 10, "the next one has it");
}

int
main(void)
{
    char command[160];
    snprintf(path, sizeof(path), "/tmp/oxbow-partition-%d", (int)getpid());
    ox_diag_set_level(OX_DIAG_ERROR);
    if (mkdir(path, 0700) != 0)
        return 1;
    open_world();
    test_aside();
    test_flush();
    test_reads();
    test_truncate();
    use_topic("t");
    test_giving_up();
    test_order();
    test_lazy();
    test_drop();
    test_shutdown();
    partition_put(part);
    close_world();
    snprintf(command, sizeof(command), "rm -rf %s", path);
    if (system(command) != 0)
        return 1;
    return done();
}
