/* SPDX-License-Identifier: Apache-2.0
 *
 * The assignor of share groups against Apache Kafka 4.4's: share_assign.tbl has
 * walks of groups by chance (members come, go and read other topics, topics get
 * partitions), and what org.apache.kafka...SimpleAssignor gave at each step. The
 * walk goes on from Kafka's answer.
 *
 *   case
 *   topic ID PARTITIONS
 *   step PARTITIONS...                  of each topic, now
 *   member ID TOPIC,... TOPIC/PARTITION ...
 *
 * Another table may be given as the first argument. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coord/share_group.h"
#include "tap.h"

enum { TOPICS = 8, MEMBERS = 200, LINE = 65536 };

struct person {
    char id[64], subscribed[64];
    uint32_t topics[TOPICS], topic_count;
    struct tpset before, want;
    bool here;
};

static struct assign_topic topics[TOPICS];
static uint32_t topic_count, step_count, wrong;
static struct person people[MEMBERS], next[MEMBERS];
static uint32_t people_count, next_count;

static void
read_id(const char *text, struct uuid *out)
{
    for (int i = 0; i < 16; i++) {
        unsigned byte;
        sscanf(text + 2 * i, "%2x", &byte);
        out->bytes[i] = (uint8_t)byte;
    }
}

static struct person *
known(const char *id)
{
    for (uint32_t i = 0; i < people_count; i++)
        if (strcmp(people[i].id, id) == 0)
            return &people[i];
    return NULL;
}

static void
show(const char *what, const struct tpset *set)
{
    fprintf(stderr, "# %s", what);
    for (uint32_t i = 0; i < set->count; i++)
        fprintf(stderr, " %02x/%d", set->at[i].topic.bytes[0], set->at[i].partition);
    fprintf(stderr, "\n");
}

/* All that this step's members read, as the group's table has it. */
static uint32_t
read_topics(struct assign_topic *read, uint32_t *place)
{
    uint32_t count = 0;
    for (uint32_t t = 0; t < topic_count; t++) {
        bool any = false;
        for (uint32_t m = 0; m < next_count; m++)
            for (uint32_t i = 0; i < next[m].topic_count; i++)
                any |= next[m].topics[i] == t;
        place[t] = count;
        if (any)
            read[count++] = topics[t];
    }
    return count;
}

static void
end_step(void)
{
    struct assign_topic read[TOPICS];
    struct assign_member members[MEMBERS];
    struct tpset usable = {0};
    uint32_t place[TOPICS], indexes[MEMBERS][TOPICS];
    bool alike = true;
    if (next_count == 0)
        return;
    uint32_t count = read_topics(read, place);
    for (uint32_t t = 0; t < count; t++)
        for (int32_t p = 0; p < read[t].partition_count; p++)
            tpset_add(&usable, &read[t].id, p);
    tpset_sort(&usable);
    for (uint32_t m = 0; m < next_count; m++) {
        const struct person *before = known(next[m].id);
        static const struct tpset none;
        members[m] = (struct assign_member){.id = ox_str(next[m].id), .topics = indexes[m],
            .before = before != NULL ? &before->before : &none, .topic_count = next[m].topic_count};
        for (uint32_t i = 0; i < next[m].topic_count; i++)
            indexes[m][i] = place[next[m].topics[i]];
        alike = alike && strcmp(next[m].subscribed, next[0].subscribed) == 0;
    }
    assign_shares(read, count, &usable, members, next_count, alike);
    bool good = true;
    for (uint32_t m = 0; m < next_count; m++) {
        if (good && !tpset_equal(&members[m].target, &next[m].want) && wrong < 5) {
            fprintf(stderr, "# step %u, member %s, %s\n", step_count, next[m].id,
                alike ? "alike" : "different");
            show("got", &members[m].target);
            show("want", &next[m].want);
        }
        good = good && tpset_equal(&members[m].target, &next[m].want);
        tpset_fini(&members[m].target);
    }
    wrong += !good;
    step_count++;
    for (uint32_t i = 0; i < people_count; i++)
        tpset_fini(&people[i].before);
    memcpy(people, next, next_count * sizeof(*people));
    for (uint32_t m = 0; m < next_count; m++)
        people[m].before = next[m].want;
    people_count = next_count;
    next_count = 0;
    tpset_fini(&usable);
}

static void
end_case(void)
{
    end_step();
    for (uint32_t i = 0; i < people_count; i++)
        tpset_fini(&people[i].before);
    people_count = topic_count = 0;
}

static void
read_member(char *rest)
{
    struct person *person = &next[next_count++];
    char *word = strtok(rest, " ");
    *person = (struct person){0};
    snprintf(person->id, sizeof(person->id), "%s", word);
    snprintf(person->subscribed, sizeof(person->subscribed), "%s", strtok(NULL, " "));
    for (const char *at = person->subscribed; *at != '\0'; at += at[1] == ',' ? 2 : 1)
        person->topics[person->topic_count++] = (uint32_t)(*at - '0');
    while ((word = strtok(NULL, " ")) != NULL)
        tpset_add(&person->want, &topics[word[0] - '0'].id, atoi(word + 2));
    tpset_sort(&person->want);
}

static void
read_line(char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "case") == 0) {
        end_case();
    } else if (strncmp(line, "topic ", 6) == 0) {
        read_id(line + 6, &topics[topic_count].id);
        topics[topic_count++].partition_count = atoi(line + 39);
    } else if (strncmp(line, "step", 4) == 0) {
        end_step();
        char *at = line + 4;
        for (uint32_t t = 0; t < topic_count; t++)
            topics[t].partition_count = (int32_t)strtol(at, &at, 10);
    } else if (strncmp(line, "member ", 7) == 0) {
        read_member(line + 7);
    }
}

int
main(int argc, char **argv)
{
    static char line[LINE];
    const char *dir = getenv("srcdir");
    FILE *in = argc > 1 ? fopen(argv[1], "r") : NULL;
    for (int up = 0; in == NULL && up < 4; up++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%sregress/unit/share_assign.tbl",
            dir != NULL ? dir : ".", &"../../../"[9 - 3 * up]);
        in = fopen(path, "r");
    }
    if (!ok(in != NULL, "the table is there"))
        return done();
    while (fgets(line, sizeof(line), in) != NULL)
        read_line(line);
    end_case();
    fclose(in);
    ok(step_count > 100, "assignments were made");
    is_int(wrong, 0, "all of them are Kafka's");
    return done();
}
