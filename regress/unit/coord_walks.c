/* SPDX-License-Identifier: Apache-2.0
 *
 * Random walks of clients that obey the protocol: no partition has two owners,
 * all are read in the end, and a replay tells the same. With classic members
 * among them the group goes over and back. coord_walks SEED WALKS */
#include "coord_clients.h"

enum { WALKERS = 6 };

static struct rand_state rnd;

static uint64_t
below(uint64_t bound)
{
    return ox_rand_below(&rnd, bound);
}

static bool
has_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

/* No partition has two owners among those who think they are members. */
static void
check_owners(const struct client *clients)
{
    for (int i = 0; i < WALKERS; i++) {
        char words[256];
        snprintf(words, sizeof(words), "%s", clients[i].owned);
        for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
            for (int j = 0; j < WALKERS; j++)
                ox_assert(j == i || !has_word(clients[j].owned, word));
    }
}

/* What is gone from the answer is given up at once or later; what is new is
 * taken at once. */
static void
walk_one(struct client *client, bool eager)
{
    ox_code code = eager || below(2) ? full(client) : beat(client);
    if (code == OX_OK && strcmp(client->answer, "-") != 0 && (eager || below(3)))
        snprintf(client->owned, sizeof(client->owned), "%s", client->answer);
    if (code == OX_FENCED_MEMBER_EPOCH || code == OX_UNKNOWN_MEMBER_ID ||
        code == OX_GROUP_ID_NOT_FOUND) {
        client->owned[0] = '\0';
        client->epoch = 0;
    }
}

static void
compare_replay(void)
{
    struct group *now = group();
    sim_run(&sim);
    if (now != NULL && now->consumer == NULL)
        return; /* coord_random.c compares classic groups */
    struct sim other;
    sim_init(&other, &config, 0);
    other.log = sim.log;
    other.log_count = sim.log_count;
    memcpy(other.topics, sim.topics, sizeof(sim.topics));
    other.topic_count = sim.topic_count;
    sim_attach(&other, &config, 1, 0);
    struct group *then = group_find(&other.coord->shards[0], OX_STR("g"));
    ox_assert((now == NULL) == (then == NULL));
    if (now != NULL) {
        struct map_entry *entry;
        group_check(then);
        ox_assert(now->consumer->epoch == then->consumer->epoch);
        ox_assert(now->consumer->assignment_epoch == then->consumer->assignment_epoch);
        ox_assert(now->consumer->metadata_hash == then->consumer->metadata_hash);
        ox_assert(now->consumer->members.count == then->consumer->members.count);
        for (uint32_t at = 0; (entry = ox_map_next(&now->consumer->members, &at)) != NULL;) {
            const struct consumer_member *a = entry->value;
            const struct consumer_member *b = consumer_member_find(then, a->id);
            ox_assert(b != NULL);
            ox_assert(a->epoch == b->epoch && a->previous_epoch == b->previous_epoch);
            ox_assert(a->state == b->state);
            ox_assert(tpset_equal(&a->assigned, &b->assigned));
            ox_assert(tpset_equal(&a->revoking, &b->revoking));
            ox_assert(tpset_equal(&a->target, &b->target));
            for (uint32_t i = 0; i < a->assigned.count; i++)
                ox_assert(consumer_since(a, &a->assigned.at[i]) ==
                          consumer_since(b, &a->assigned.at[i]));
        }
    }
    other.log = NULL;
    sim_fini(&other);
}

static void
walk(uint64_t seed)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e", "f"};
    static const char *const subscriptions[] = {"t", "t u", "u"};
    struct client clients[WALKERS];
    int members = 0;
    ox_rand_seed(&rnd, seed);
    begin();
    for (int i = 0; i < WALKERS; i++)
        clients[i] = (struct client){.id = ids[i], .topics = "t u",
            .assignor = seed % 3 == 0 ? "range" : NULL};
    for (int i = 0; i < 400; i++) {
        struct client *client = &clients[below(WALKERS)];
        switch (below(12)) {
        case 0: /* leaves: gives everything up first */
            if (client->epoch > 0) {
                client->owned[0] = '\0';
                client->epoch = -1;
                beat(client);
                client->epoch = 0;
            }
            break;
        case 1: /* crashes: the server hears nothing until the session ends */
            if (below(4) == 0) {
                sim_advance(&sim, 46000);
                for (int j = 0; j < WALKERS; j++)
                    clients[j].owned[0] = '\0', clients[j].epoch = 0;
            }
            break;
        case 2:
            if (seed % 2 && client->epoch > 0)
                client->topics = subscriptions[below(3)];
            break;
        case 3:
            if (below(3) == 0)
                sim_set_topic(&sim, "t", 1 + (int32_t)below(9));
            break;
        case 4:
            if (below(5) == 0)
                compare_replay();
            break;
        case 5:
            if (below(10) == 0)
                restart();
            break;
        default:
            walk_one(client, false);
            break;
        }
        check_owners(clients);
        group();
    }
    for (int i = 0; i < WALKERS; i++)
        clients[i].topics = "t u";
    for (int round = 0; round < 12; round++)
        for (int i = 0; i < WALKERS; i++) {
            walk_one(&clients[i], true);
            check_owners(clients);
        }
    is_str(state(), "Stable", "left alone, the group becomes stable");
    int32_t total = 2;
    for (size_t i = 0; i < sim.topic_count; i++)
        if (ox_str_is(sim.topics[i].name, "t"))
            total += sim.topics[i].partition_count;
    for (int i = 0; i < WALKERS; i++)
        for (const char *at = clients[i].owned; *at; at += strcspn(at, " "), at += *at == ' ')
            members++;
    is_int(members, total, "and every partition is read");
    end();
}

/* Consumers and classic members in one group, which goes over and back. */

enum { OLD = 3 };

static void
check_mixed(const struct client *clients, const struct classic *olds)
{
    struct client all[WALKERS];
    memset(all, 0, sizeof(all));
    for (int i = 0; i < WALKERS - OLD; i++)
        strcpy(all[i].owned, clients[i].owned);
    for (int i = 0; i < OLD; i++)
        strcpy(all[WALKERS - OLD + i].owned, olds[i].owned);
    check_owners(all);
}

static struct sim_sync *old_syncs[OLD];

static void
walk_old(struct classic *client, struct sim_sync **sync)
{
    if (*sync != NULL) {
        if (!(*sync)->done)
            return;
        sync_end(client, *sync);
        *sync = NULL;
        if (client->code != OX_OK)
            client->generation = -1;
    }
    if (client->join != NULL) {
        if (join_look(client))
            *sync = sync_begin(client);
        return;
    }
    if (client->id[0] == '\0' || client->generation < 0) {
        join_begin(client);
        return;
    }
    ox_code code = classic_beat(client);
    if (code == OX_UNKNOWN_MEMBER_ID)
        client->id[0] = client->owned[0] = '\0';
    else if (code == OX_REBALANCE_IN_PROGRESS || code == OX_ILLEGAL_GENERATION)
        join_begin(client);
}

static void
walk_mixed(uint64_t seed)
{
    static const char *const ids[] = {"a", "b", "c"};
    struct client clients[WALKERS];
    struct classic olds[OLD];
    int went_over = 0, went_back = 0;
    bool was = false;
    ox_rand_seed(&rnd, seed);
    begin();
    memset(olds, 0, sizeof(olds));
    memset(clients, 0, sizeof(clients));
    memset(old_syncs, 0, sizeof(old_syncs));
    for (int i = 0; i < OLD; i++)
        clients[i] = (struct client){.id = ids[i], .topics = "t u"};
    for (int i = 0; i < 600; i++) {
        int who = (int)below(OLD);
        uint64_t what = below(20);
        if (what < 10) {
            walk_old(&olds[who], &old_syncs[who]);
        } else if (what < 15) {
            if (clients[who].epoch > 0 || below(6) == 0)
                walk_one(&clients[who], below(2));
        } else if (what == 15 && clients[who].epoch > 0) {
            clients[who].owned[0] = '\0';
            clients[who].epoch = -1;
            beat(&clients[who]);
            clients[who].epoch = 0;
        } else if (what == 16 && olds[who].id[0] && olds[who].join == NULL &&
                   old_syncs[who] == NULL && below(3) == 0) {
            classic_leave(&olds[who]);
        } else if (what == 17 && below(4) == 0) {
            sim_set_topic(&sim, "t", 1 + (int32_t)below(9));
        } else if (what == 18) {
            sim_advance(&sim, below(2000));
        }
        check_mixed(clients, olds);
        const struct group *now = group();
        bool is = now != NULL && now->consumer != NULL;
        went_over += is && !was;
        went_back += !is && was;
        was = is;
    }
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < OLD; i++) {
            walk_old(&olds[i], &old_syncs[i]);
            walk_one(&clients[i], true);
            check_mixed(clients, olds);
        }
        sim_advance(&sim, 1000);
    }
    if (strcmp(state(), "Stable") != 0)
        printf("# %s\n", state());
    is_str(state(), "Stable", "mixed: left alone, the group becomes stable");
    int32_t total = 2, owned = 0;
    for (size_t i = 0; i < sim.topic_count; i++)
        if (ox_str_is(sim.topics[i].name, "t"))
            total += sim.topics[i].partition_count;
    for (int i = 0; i < OLD; i++) {
        for (const char *at = clients[i].owned; *at; at += strcspn(at, " "), at += *at == ' ')
            owned++;
        for (const char *at = olds[i].owned; *at; at += strcspn(at, " "), at += *at == ' ')
            owned++;
    }
    is_int(owned, total, "mixed: and every partition is read");
    printf("# went over %d times, back %d times\n", went_over, went_back);
    sim_detach(&sim);
    for (int i = 0; i < OLD; i++) {
        if (olds[i].join != NULL)
            sim_join_free(olds[i].join);
        if (old_syncs[i] != NULL)
            sim_sync_free(old_syncs[i]);
    }
    ox_arena_fini(&sim.arena);
}

int
main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    int walks = argc > 2 ? atoi(argv[2]) : 30;
    clients_start();
    for (int i = 0; i < walks; i++) {
        printf("# seed %llu\n", (unsigned long long)(seed + (uint64_t)i));
        fflush(stdout);
        walk(seed + (uint64_t)i);
        walk_mixed(seed + (uint64_t)i);
    }
    return done();
}
