/* SPDX-License-Identifier: Apache-2.0
 *
 * Coordinators on the real thing: loops, metadata, partitions, files. A group
 * and its offsets survive a clean stop, and a process that is killed. */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/file.h"
#include "coord/host.h"
#include "log/log.h"
#include "must.h"
#include "tap.h"

enum { PARTITIONS = 8, GROUPS = 20 };

struct world {
    struct loop_group *loops;
    struct log_dir *dir;
    struct meta *meta;
    struct replica *replica;
    struct coord_host *host;
    struct coord *coord;
};

static char path[256];

static void
create_topics(struct world *world)
{
    static const char *const names[] = {"__consumer_offsets", "t"};
    struct ox_err err;
    int32_t self = 1;
    struct meta_assignment assignments[PARTITIONS];
    for (int i = 0; i < PARTITIONS; i++)
        assignments[i] = (struct meta_assignment){&self, 1};
    struct meta_command broker = {.kind = META_BROKER_REGISTER};
    struct meta_listener listener = {OX_STR("PLAINTEXT"), OX_STR("127.0.0.1"), 9092, 0};
    broker.broker_register.node_id = 1;
    broker.broker_register.incarnation.bytes[0] = 1;
    broker.broker_register.directory_id = *log_dir_id(world->dir);
    broker.broker_register.listeners = &listener;
    broker.broker_register.listener_count = 1;
    must(meta_propose_wait(world->meta, &broker, NULL, &err), &err, "register");
    for (int i = 0; i < 2; i++) {
        struct meta_command cmd = {.kind = META_TOPIC_CREATE};
        cmd.topic_create.name = ox_str(names[i]);
        cmd.topic_create.assignments = assignments;
        cmd.topic_create.partition_count = PARTITIONS;
        ox_code code = meta_propose_wait(world->meta, &cmd, NULL, &err);
        if (code != OX_TOPIC_EXISTS)
            must(code, &err, names[i]);
    }
}

static void
open_world(struct world *world, int32_t epoch)
{
    struct ox_err err;
    struct coord_config config;
    const struct env *env = env_os();
    memset(world, 0, sizeof(*world));
    struct loop_config loops = {.count = 2, .pool_threads = 2};
    must(loop_group_start(&loops, env, &world->loops, &err), &err, "loops");
    struct log_dir_config dir;
    log_dir_config_init(&dir);
    dir.path = path;
    dir.node_id = -1;
    dir.threads = true;
    dir.reserve_bytes = 0;
    struct meta_config meta = {.dir = path, .node_id = 1, .format = true};
    must(meta_open(&meta, env, &world->meta, &err), &err, "metadata");
    must(log_dir_open(&dir, env, &world->dir, &err), &err, "log directory");
    struct replica_config replica = {.node_id = 1, .dirs = &world->dir, .dir_count = 1, .loops = world->loops,
        .housekeeping_ms = 300000};
    must(replica_start(&replica, env, world->meta, &world->replica, &err), &err, "partitions");
    create_topics(world);
    coord_config_init(&config);
    config.initial_rebalance_delay_ms = 0;
    world->host = coord_host_new(world->loops, world->replica, env);
    world->coord = coord_new(&config, world->host);
    coord_host_set(world->host, world->coord);
    coord_set_partitions(world->coord, PARTITIONS);
    for (int32_t i = 0; i < PARTITIONS; i++)
        coord_elected(world->coord, i, epoch);
}

static void
close_world(struct world *world)
{
    coord_host_stop(world->host);
    replica_quiesce(world->replica);
    coord_free(world->coord);
    coord_host_free(world->host);
    loop_group_drain(world->loops);
    replica_stop(world->replica);
    log_dir_close(world->dir);
    meta_close(world->meta);
    loop_group_stop(world->loops);
}

/* ---- calls from this thread: started on a loop, waited for ---- */

struct wait {
    struct loop_msg msg;
    struct world *world;
    struct coord_call *call;
    void (*start)(struct wait *wait);
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool finished;
};

static struct wait *waiting; /* one call at a time */

static void
finished(struct coord_call *call)
{
    pthread_mutex_lock(&waiting->mutex);
    waiting->finished = true;
    pthread_cond_signal(&waiting->cond);
    pthread_mutex_unlock(&waiting->mutex);
}

static void
start_msg(struct loop_msg *msg)
{
    struct wait *wait = ox_container_of(msg, struct wait, msg);
    wait->start(wait);
}

/* From a loop that is sometimes the shard's home and sometimes not. */
static void
run_call(struct world *world, struct coord_call *call, struct arena *arena,
    void (*start)(struct wait *wait))
{
    static int turn;
    struct wait wait = {.world = world, .call = call, .start = start};
    ox_arena_init(arena);
    call->arena = arena;
    call->done = finished;
    pthread_mutex_init(&wait.mutex, NULL);
    pthread_cond_init(&wait.cond, NULL);
    waiting = &wait;
    wait.msg.fn = start_msg;
    loop_post(loop_at(world->loops, turn++ % 2), &wait.msg);
    pthread_mutex_lock(&wait.mutex);
    while (!wait.finished)
        pthread_cond_wait(&wait.cond, &wait.mutex);
    pthread_mutex_unlock(&wait.mutex);
}

static void
start_join(struct wait *wait)
{
    coord_join(wait->world->coord, ox_container_of(wait->call, struct coord_join_call, call));
}

static void
start_sync(struct wait *wait)
{
    coord_sync(wait->world->coord, ox_container_of(wait->call, struct coord_sync_call, call));
}

static void
start_beat(struct wait *wait)
{
    coord_heartbeat(wait->world->coord,
        ox_container_of(wait->call, struct coord_heartbeat_call, call));
}

static void
start_commit(struct wait *wait)
{
    coord_offset_commit(wait->world->coord,
        ox_container_of(wait->call, struct coord_offset_commit_call, call));
}

static void
start_fetch(struct wait *wait)
{
    coord_offset_fetch(wait->world->coord,
        ox_container_of(wait->call, struct coord_offset_fetch_call, call));
}

static void
start_list(struct wait *wait)
{
    coord_list(wait->world->coord, ox_container_of(wait->call, struct coord_list_call, call));
}

static char member_id[128];
static int32_t generation;

static void
join_and_sync(struct world *world)
{
    struct arena arena;
    struct coord_join_protocol protocol = {OX_STR("range"), OX_STR("meta")};
    struct coord_join_call join = {.version = 3, .group_id = OX_STR("g"), .member_id = OX_STR(""),
        .client_id = OX_STR("cli"), .client_host = OX_STR("/h"),
        .protocol_type = OX_STR("consumer"), .protocols = &protocol, .protocol_count = 1,
        .session_timeout_ms = 30000, .rebalance_timeout_ms = 60000};
    run_call(world, &join.call, &arena, start_join);
    is_int(join.call.code, OX_OK, "joins");
    generation = join.generation;
    snprintf(member_id, sizeof(member_id), "%.*s", OX_STR_ARG(join.out_member_id));
    ox_arena_fini(&arena);
    struct coord_sync_assignment own = {ox_str(member_id), OX_STR("assigned")};
    struct coord_sync_call sync = {.group_id = OX_STR("g"), .member_id = ox_str(member_id),
        .generation = generation, .assignments = &own, .assignment_count = 1};
    run_call(world, &sync.call, &arena, start_sync);
    is_int(sync.call.code, OX_OK, "syncs");
    ox_arena_fini(&arena);
}

static ox_code
sync_again(struct world *world, char assignment[32])
{
    struct arena arena;
    struct coord_sync_call sync = {.group_id = OX_STR("g"), .member_id = ox_str(member_id),
        .generation = generation};
    run_call(world, &sync.call, &arena, start_sync);
    snprintf(assignment, 32, "%.*s", OX_STR_ARG(sync.assignment));
    ox_arena_fini(&arena);
    return sync.call.code;
}

static ox_code
beat(struct world *world)
{
    struct arena arena;
    struct coord_heartbeat_call call = {.group_id = OX_STR("g"), .member_id = ox_str(member_id),
        .generation = generation};
    run_call(world, &call.call, &arena, start_beat);
    ox_arena_fini(&arena);
    return call.call.code;
}

static ox_code
commit(struct world *world, int group, int64_t at)
{
    struct arena arena;
    char name[16];
    struct coord_offset offset = {.partition = group % PARTITIONS, .offset = at,
        .leader_epoch = -1, .metadata = OX_STR("note")};
    struct coord_offset_topic topic = {OX_STR("t"), &offset, 1};
    snprintf(name, sizeof(name), "group-%d", group);
    struct coord_offset_commit_call call = {.tells_epochs = true, .group_id = ox_str(name),
        .member_id = OX_STR(""), .generation = -1, .retention_ms = -1, .topics = &topic,
        .topic_count = 1};
    run_call(world, &call.call, &arena, start_commit);
    ox_arena_fini(&arena);
    return offset.code;
}

/* While a shard loads, come back. */
static int64_t
fetch(struct world *world, int group)
{
    struct arena arena;
    char name[16];
    struct coord_offset offset;
    struct coord_offset_topic topic = {OX_STR("t"), &offset, 1};
    snprintf(name, sizeof(name), "group-%d", group);
    for (;;) {
        struct coord_offset_fetch_call call = {.group_id = ox_str(name), .member_epoch = -1,
            .topics = &topic, .topic_count = 1};
        offset = (struct coord_offset){.partition = group % PARTITIONS};
        run_call(world, &call.call, &arena, start_fetch);
        ox_arena_fini(&arena);
        if (call.call.code != OX_COORDINATOR_LOAD_IN_PROGRESS)
            return offset.offset;
    }
}

static size_t
list(struct world *world)
{
    struct arena arena;
    struct coord_list_call call = {0};
    run_call(world, &call.call, &arena, start_list);
    ox_arena_fini(&arena);
    return call.call.code == OX_OK ? call.group_count : 0;
}

static void
fill(struct world *world, int64_t at)
{
    int good = 0;
    for (int i = 0; i < GROUPS; i++)
        good += commit(world, i, at + i) == OX_OK;
    is_int(good, GROUPS, "every group's commit is taken");
}

static void
check_filled(struct world *world, int64_t at)
{
    int good = 0;
    for (int i = 0; i < GROUPS; i++)
        good += fetch(world, i) == at + i;
    is_int(good, GROUPS, "every group's offset is there");
}

/* ---- tests ---- */

static void
test_clean(void)
{
    struct world world;
    char assignment[32];
    open_world(&world, 0);
    is_int(fetch(&world, 0), -1, "nothing at first");
    fill(&world, 100);
    check_filled(&world, 100);
    join_and_sync(&world);
    is_int(beat(&world), OX_OK, "beats");
    is_int(list(&world), GROUPS + 1, "all are listed");
    close_world(&world);

    open_world(&world, 0);
    check_filled(&world, 100);
    is_int(sync_again(&world, assignment), OX_OK, "the member is still in its generation");
    is_str(assignment, "assigned", "with its assignment");
    is_int(beat(&world), OX_OK, "and beats");
    is_int(list(&world), GROUPS + 1, "all are listed again");
    close_world(&world);
}

static int
child(void)
{
    struct world world;
    open_world(&world, 0);
    for (int i = 0; i < GROUPS; i++)
        if (fetch(&world, i) != 100 + i || commit(&world, i, 500 + i) != OX_OK)
            _exit(2);
    kill(getpid(), SIGKILL);
    return 1;
}

static void
test_killed(void)
{
    struct world world;
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(child());
    waitpid(pid, &status, 0);
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a process commits and is killed");
    open_world(&world, 0);
    check_filled(&world, 500);
    is_int(beat(&world), OX_OK, "the member is there too");
    close_world(&world);
}

static void
remove_all(const char *dir)
{
    char name[1024];
    DIR *handle = opendir(dir);
    for (struct dirent *entry; handle != NULL && (entry = readdir(handle)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(name, sizeof(name), "%s/%s", dir, entry->d_name);
        if (unlink(name) != 0)
            remove_all(name);
    }
    if (handle != NULL)
        closedir(handle);
    rmdir(dir);
}

int
main(void)
{
    const char *tmp = getenv("TMPDIR");
    ox_diag_set_level(OX_DIAG_ERROR);
    snprintf(path, sizeof(path), "%s/oxbow-coord-XXXXXX", tmp ? tmp : "/tmp");
    if (mkdtemp(path) == NULL) {
        printf("Bail out! no directory for the test\n");
        return 1;
    }
    test_clean();
    test_killed();
    remove_all(path);
    return done();
}
