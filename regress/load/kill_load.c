/* SPDX-License-Identifier: Apache-2.0
 *
 * kill_load KAFKA_PORT SQL_PORT: a load on a server that is killed and started
 * again on the same ports, and the check that nothing acknowledged was lost.
 * Reads commands, a line each:
 *
 *   go      the load runs, through kills and starts
 *   calm    what is outstanding is finished; answers "calm" when all is quiet
 *   check   reads everything back (calm only); "fine ..." or "bad ...", in front
 *           of it a line "# ..." per problem
 *   look    the same from where the last one ended
 *   quit
 *
 * Checked of each partition: offsets without a hole; each record at the offset
 * that was acknowledged; each writer's records in order, none twice; none missing
 * that was acknowledged or once seen; at an offset where a reader saw a record,
 * still that one; of an idempotent writer all, without a gap. Of each committed
 * offset: not before what was acknowledged, not behind what was sent. Of the
 * catalog: as acknowledged. Both doors count the same. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load.h"

enum { GROUPS = 3, COMMIT = 8, COMMITTED = 7, FIND = 4, CALM_SECONDS = 120 };

struct load_slot load_slots[LOAD_SLOTS] = {
    {"kill_a", 0, NULL, 0, 0}, {"kill_a", 1, NULL, 0, 0}, {"kill_a", 2, NULL, 0, 0},
    {"kill_a", 3, NULL, 0, 0}, {"kill_b", 0, NULL, 0, 0}, {"kill_b", 1, NULL, 0, 0},
    {"kill_c", 0, NULL, 0, 0}, {"kill_lazy", 0, NULL, 0, 0}, {"kill_lazy", 1, NULL, 0, 0},
};
struct load_track load_tracks[LOAD_WRITERS][LOAD_SLOTS];
bool load_exact[LOAD_WRITERS] = {true, true, true, false, false, true, false, false};
_Atomic int load_problems;
int load_kafka_port, load_sql_port;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool calm = true, over;
static int idle, threads;

/* ---- control ---- */

void
load_bad(const char *format, ...)
{
    va_list args;
    if (atomic_fetch_add(&load_problems, 1) >= 20)
        return;
    pthread_mutex_lock(&lock);
    va_start(args, format);
    printf("# ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    pthread_mutex_unlock(&lock);
}

bool
load_go_on(void)
{
    pthread_mutex_lock(&lock);
    idle++;
    pthread_cond_broadcast(&changed);
    while (calm && !over)
        pthread_cond_wait(&changed, &lock);
    idle--;
    bool go = !over;
    pthread_mutex_unlock(&lock);
    return go;
}

bool
load_calming(void)
{
    pthread_mutex_lock(&lock);
    bool is = calm;
    pthread_mutex_unlock(&lock);
    return is;
}

void
load_wait_ms(int ms)
{
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

static void
set_calm(bool to)
{
    pthread_mutex_lock(&lock);
    calm = to;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static bool
wait_calm(void)
{
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CALM_SECONDS;
    pthread_mutex_lock(&lock);
    while (idle < threads && rc == 0)
        rc = pthread_cond_timedwait(&changed, &lock, &until);
    bool all = idle == threads;
    pthread_mutex_unlock(&lock);
    return all;
}

int64_t
load_track_add(struct load_track *track)
{
    if (track->count == track->cap) {
        track->cap = track->cap ? track->cap * 2 : 1024;
        track->known = realloc(track->known, (size_t)track->cap * sizeof(track->known[0]));
    }
    track->known[track->count] = LOAD_UNKNOWN;
    return track->count++;
}

/* ---- committed offsets ---- */

static struct {
    int64_t acked, sent;
} commits[GROUPS][4];

static bool
commit_some(struct load_link *link, int group, struct rand_state *rng)
{
    struct offset_commit_request_topics_partitions parts[4];
    struct offset_commit_request_topics topic;
    struct offset_commit_request request;
    struct offset_commit_response response;
    char name[32];
    offset_commit_request_topics_init(&topic);
    offset_commit_request_init(&request);
    snprintf(name, sizeof(name), "kill-%d", group);
    for (int i = 0; i < 4; i++) {
        offset_commit_request_topics_partitions_init(&parts[i]);
        parts[i].partition_index = i;
        commits[group][i].sent += 1 + (int64_t)ox_rand_below(rng, 3);
        parts[i].committed_offset = commits[group][i].sent;
        parts[i].committed_metadata = ox_str("m");
    }
    topic.name = ox_str("kill_a");
    topic.partitions.at = parts;
    topic.partitions.count = 4;
    request.group_id = ox_str(name);
    request.generation_id_or_member_epoch = -1;
    request.member_id = ox_str("");
    request.topics.at = &topic;
    request.topics.count = 1;
    if (!load_call(link, 8, COMMIT, &request, &response))
        return false;
    if (response.topics.count != 1 || response.topics.at[0].partitions.count != 4)
        return false;
    for (int i = 0; i < 4; i++) {
        int code = response.topics.at[0].partitions.at[i].error_code;
        if (code == 0)
            commits[group][i].acked = commits[group][i].sent;
        else if (code < 14 || code > 16) /* loading, not available, not here */
            load_bad("OffsetCommit answers %d", code);
    }
    return true;
}

static bool
find_coordinator(struct load_link *link)
{
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    struct str key = ox_str("kill-0");
    find_coordinator_request_init(&request);
    request.coordinator_keys.at = &key;
    request.coordinator_keys.count = 1;
    return load_call(link, 10, FIND, &request, &response);
}

static void *
commit_offsets(void *arg)
{
    struct load_link link;
    struct rand_state rng;
    load_link_init(&link);
    ox_rand_seed(&rng, 300);
    while (load_go_on()) {
        bool good = link.fd >= 0 ||
                    (load_dial(&link, load_kafka_port) && find_coordinator(&link));
        if (!good || !commit_some(&link, (int)ox_rand_below(&rng, GROUPS), &rng))
            load_hang_up(&link);
        load_wait_ms((int)ox_rand_below(&rng, 6));
    }
    load_hang_up(&link);
    ox_arena_fini(&link.arena);
    return NULL;
}

static bool
check_group(struct load_link *link, int group, bool *again)
{
    int32_t numbers[4] = {0, 1, 2, 3};
    struct offset_fetch_request_topics topic;
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    char name[32];
    offset_fetch_request_topics_init(&topic);
    offset_fetch_request_init(&request);
    snprintf(name, sizeof(name), "kill-%d", group);
    topic.name = ox_str("kill_a");
    topic.partition_indexes.at = numbers;
    topic.partition_indexes.count = 4;
    request.group_id = ox_str(name);
    request.topics.at = &topic;
    request.topics.count = 1;
    if (!load_call(link, 9, COMMITTED, &request, &response))
        return false;
    *again = response.error_code >= 14 && response.error_code <= 16;
    if (*again)
        return true;
    if (response.error_code != 0 || response.topics.count != 1)
        return false;
    for (int32_t i = 0; i < response.topics.at[0].partitions.count; i++) {
        const struct offset_fetch_response_topics_partitions *part =
            &response.topics.at[0].partitions.at[i];
        int64_t acked = commits[group][part->partition_index].acked;
        int64_t sent = commits[group][part->partition_index].sent;
        int64_t got = part->committed_offset < 0 ? 0 : part->committed_offset;
        if (got < acked || got > sent)
            load_bad("group %s, partition %d: offset %lld is committed, acknowledged was %lld, "
                     "sent %lld", name, part->partition_index, (long long)got, (long long)acked,
                (long long)sent);
        commits[group][part->partition_index].acked = got; /* seen: for ever */
    }
    return true;
}

static void
check_groups(struct load_link *link)
{
    for (int group = 0; group < GROUPS; group++) {
        bool again = true;
        for (int tries = 0; again && tries < 1000; tries++) {
            if (!check_group(link, group, &again)) {
                load_bad("offsets of group %d cannot be read", group);
                return;
            }
            if (again)
                load_wait_ms(20);
        }
        if (again)
            load_bad("group %d stays in loading", group);
    }
}

/* ---- a reader beside the load ---- */

static void
see(void *arg, int s, int64_t offset, int64_t code)
{
    struct load_slot *slot = &load_slots[s];
    if (offset < slot->seen_count) {
        if (slot->seen[offset] != code)
            load_bad("%s-%d: at offset %lld is another record than before", slot->topic,
                slot->partition, (long long)offset);
        return;
    }
    if (slot->seen_count == slot->seen_cap) {
        slot->seen_cap = slot->seen_cap ? slot->seen_cap * 2 : 1024;
        slot->seen = realloc(slot->seen, (size_t)slot->seen_cap * sizeof(slot->seen[0]));
    }
    slot->seen[slot->seen_count++] = code;
}

static void *
read_beside(void *arg)
{
    struct load_link link;
    load_link_init(&link);
    for (int slot = 0; load_go_on(); slot = (slot + 1) % LOAD_SLOTS) {
        int64_t offset = load_slots[slot].seen_count, end;
        if (link.fd < 0 && !load_dial(&link, load_kafka_port))
            load_wait_ms(5);
        else if (!load_read(&link, slot, &offset, &end, see, NULL))
            load_hang_up(&link);
        load_wait_ms(1);
    }
    load_hang_up(&link);
    ox_arena_fini(&link.arena);
    return NULL;
}

/* ---- the check ---- */

struct check {
    int64_t next[LOAD_WRITERS]; /* the number that may come next */
    int64_t records, offset;
};

/* Where the last check of each partition ended. */
static struct check checked[LOAD_SLOTS];

static bool
must_be_there(int64_t known)
{
    return known >= 0 || known == LOAD_SOMEWHERE;
}

/* Numbers of a writer from *next to end were passed over. */
static void
pass_over(int writer, int s, int64_t *next, int64_t end)
{
    struct load_track *track = &load_tracks[writer][s];
    for (; *next < end; (*next)++) {
        if (load_exact[writer] || must_be_there(track->known[*next]))
            load_bad("%s-%d: record %lld of writer %d is lost, it was %s", load_slots[s].topic,
                load_slots[s].partition, (long long)*next, writer,
                must_be_there(track->known[*next]) ? "acknowledged or seen" : "sent until answered");
        track->known[*next] = LOAD_ABSENT;
    }
}

static void
check_record(void *arg, int s, int64_t offset, int64_t code)
{
    struct check *check = arg;
    const struct load_slot *slot = &load_slots[s];
    check->records++;
    see(NULL, s, offset, code);
    if (code < 0) {
        load_bad("%s-%d: a record at offset %lld that nobody wrote", slot->topic, slot->partition,
            (long long)offset);
        return;
    }
    int writer = load_code_writer(code);
    int64_t number = load_code_number(code), *next = &check->next[writer];
    struct load_track *track = &load_tracks[writer][s];
    if (number >= track->count) {
        load_bad("%s-%d: record %lld of writer %d was never sent", slot->topic, slot->partition,
            (long long)number, writer);
        return;
    }
    if (number < *next) {
        load_bad("%s-%d: record %lld of writer %d is there twice or out of order, at offset %lld",
            slot->topic, slot->partition, (long long)number, writer, (long long)offset);
        return;
    }
    pass_over(writer, s, next, number);
    *next = number + 1;
    if (track->known[number] == LOAD_ABSENT ||
        (track->known[number] >= 0 && track->known[number] != offset))
        load_bad("%s-%d: record %lld of writer %d is at offset %lld, %s %lld", slot->topic,
            slot->partition, (long long)number, writer, (long long)offset,
            track->known[number] >= 0 ? "acknowledged was" : "but had not been there",
            (long long)track->known[number]);
    track->known[number] = offset;
}

static int64_t
check_slot(struct load_link *link, int slot)
{
    struct check check = checked[slot];
    int64_t offset = check.offset, end = INT64_MAX;
    while (offset < end) {
        int64_t before = offset;
        if (!load_read(link, slot, &offset, &end, check_record, &check) ||
            (offset == before && offset < end)) {
            load_bad("%s-%d cannot be read at offset %lld", load_slots[slot].topic,
                load_slots[slot].partition, (long long)offset);
            return check.records;
        }
    }
    check.offset = offset;
    if (end < load_slots[slot].seen_count)
        load_bad("%s-%d ends at %lld, but was seen up to %lld", load_slots[slot].topic,
            load_slots[slot].partition, (long long)end, (long long)load_slots[slot].seen_count);
    for (int writer = 0; writer < LOAD_WRITERS; writer++)
        pass_over(writer, slot, &check.next[writer], load_tracks[writer][slot].count);
    checked[slot] = check;
    return check.records;
}

static void
check_all(void)
{
    static const char *const topics[] = {"kill_a", "kill_b", "kill_c", "kill_lazy"};
    struct load_link link;
    int64_t records = 0, rows = 0, bytes_of_slots[LOAD_SLOTS];
    load_link_init(&link);
    if (!load_dial(&link, load_kafka_port))
        load_bad("no connection");
    for (int slot = 0; slot < LOAD_SLOTS && link.fd >= 0; slot++)
        records += bytes_of_slots[slot] = check_slot(&link, slot);
    if (link.fd >= 0)
        check_groups(&link);
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
        rows += load_sql_count(topics[i]);
    if (rows != records)
        load_bad("SQL counts %lld records, Kafka reads %lld", (long long)rows, (long long)records);
    int64_t changes = load_check_catalog(), offsets = 0;
    for (int group = 0; group < GROUPS; group++)
        offsets += commits[group][0].acked;
    load_hang_up(&link);
    ox_arena_fini(&link.arena);
    printf("%s %d problems, %lld records, %lld changes of the catalog, offsets to %lld\n",
        load_problems ? "bad" : "fine", load_problems, (long long)records, (long long)changes,
        (long long)offsets);
}

/* ---- main ---- */

static void
start(pthread_t *thread, void *(*fn)(void *), intptr_t arg)
{
    threads++;
    if (pthread_create(thread, NULL, fn, (void *)arg) != 0)
        abort();
}

static void
obey(void)
{
    char line[64];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (strcmp(line, "go\n") == 0) {
            set_calm(false);
        } else if (strcmp(line, "calm\n") == 0) {
            set_calm(true);
            printf("%s\n", wait_calm() ? "calm" : "bad: it does not become calm");
        } else if (strcmp(line, "look\n") == 0) {
            check_all();
        } else if (strcmp(line, "check\n") == 0) {
            memset(checked, 0, sizeof(checked));
            check_all();
        } else {
            break;
        }
        fflush(stdout);
    }
}

int
main(int argc, char **argv)
{
    pthread_t all[LOAD_WRITERS + 3];
    int count = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: kill_load KAFKA_PORT SQL_PORT\n");
        return 2;
    }
    load_kafka_port = atoi(argv[1]);
    load_sql_port = atoi(argv[2]);
    if (!load_make_topics())
        return 1;
    for (int i = 0; i < LOAD_WRITERS; i++)
        start(&all[count++], i < 6 ? load_write_kafka : load_write_sql, i);
    start(&all[count++], load_change_catalog, 0);
    start(&all[count++], commit_offsets, 0);
    start(&all[count++], read_beside, 0);
    printf("ready\n");
    fflush(stdout);
    obey();
    pthread_mutex_lock(&lock);
    over = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < count; i++)
        pthread_join(all[i], NULL);
    return load_problems ? 1 : 0;
}
