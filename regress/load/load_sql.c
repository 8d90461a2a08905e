/* SPDX-License-Identifier: Apache-2.0
 *
 * The load of the SQL door: INSERTs, and a thread that makes, changes, fills,
 * empties and drops topics and changes a setting. Of each object of the catalog
 * at most one change is outstanding; when the connection goes before it is
 * answered, the object is as before or as after, never anything else. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { ROWS_MAX = 20, OBJECTS = 4, PARTITIONS_MAX = 5 };

static PGconn *
dial(PGconn *conn)
{
    char words[128];
    if (conn != NULL && PQstatus(conn) == CONNECTION_OK)
        return conn;
    PQfinish(conn);
    snprintf(words, sizeof(words),
        "host=127.0.0.1 port=%d user=oxbow dbname=oxbow connect_timeout=10", load_sql_port);
    conn = PQconnectdb(words);
    if (PQstatus(conn) != CONNECTION_OK)
        load_wait_ms(5);
    return conn;
}

/* What a failed statement says: the server went away, its disk is full, or (said,
 * as a problem) something else. */
static void
explain(PGconn *conn, const char *text, const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    if (PQstatus(conn) == CONNECTION_OK && state != NULL && strncmp(state, "57P0", 4) != 0 &&
        strcmp(state, "53100") != 0)
        load_bad("%s: %.60s: %s", state, text, PQresultErrorMessage(res));
}

/* ---- INSERT ---- */

struct insert {
    int slots[ROWS_MAX];
    int64_t numbers[ROWS_MAX];
    int count;
};

static void
make_insert(struct insert *insert, int writer, struct rand_state *rng, struct text *sql)
{
    int first = (int)ox_rand_below(rng, LOAD_SLOTS);
    const char *topic = load_slots[first].topic;
    insert->count = 1 + (int)ox_rand_below(rng, ROWS_MAX);
    ox_text_clear(sql);
    ox_text_addf(sql, "INSERT INTO %s (_partition, _key, _value) VALUES ", topic);
    for (int i = 0; i < insert->count; i++) {
        int slot = (first + (int)ox_rand_below(rng, 2)) % LOAD_SLOTS;
        if (strcmp(load_slots[slot].topic, topic) != 0)
            slot = first;
        insert->slots[i] = slot;
        insert->numbers[i] = load_track_add(&load_tracks[writer][slot]);
        ox_text_addf(sql, "%s(%d, 'k', '%d:%d:%lld:%.*s')", i ? ", " : "",
            load_slots[slot].partition, writer, slot, (long long)insert->numbers[i],
            (int)ox_rand_below(rng, 60),
            "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh");
    }
    ox_text_addf(sql, " RETURNING _partition, _offset, _value");
}

/* The rows name themselves: they need not come in the order of VALUES. */
static void
take_rows(const struct insert *insert, int writer, const PGresult *res)
{
    if (PQntuples(res) != insert->count)
        load_bad("INSERT of %d rows returns %d", insert->count, PQntuples(res));
    for (int i = 0; i < PQntuples(res); i++) {
        int found = -1;
        for (int k = 0; k < insert->count && found < 0; k++) {
            int64_t code = load_code(ox_str(PQgetvalue(res, i, 2)), insert->slots[k]);
            if (code >= 0 && load_code_number(code) == insert->numbers[k])
                found = k;
        }
        if (found < 0 || atoi(PQgetvalue(res, i, 0)) != load_slots[insert->slots[found]].partition)
            load_bad("INSERT returns a row that it was not given: %s", PQgetvalue(res, i, 2));
        else
            load_tracks[writer][insert->slots[found]].known[insert->numbers[found]] =
                strtoll(PQgetvalue(res, i, 1), NULL, 10);
    }
}

void *
load_write_sql(void *arg)
{
    int writer = (int)(intptr_t)arg;
    struct rand_state rng;
    struct insert insert;
    struct text sql;
    PGconn *conn = NULL;
    ox_rand_seed(&rng, (uint64_t)writer + 100);
    ox_text_init(&sql, NULL);
    while (load_go_on()) {
        conn = dial(conn);
        if (PQstatus(conn) != CONNECTION_OK)
            continue;
        make_insert(&insert, writer, &rng, &sql);
        PGresult *res = PQexec(conn, sql.ptr);
        if (PQresultStatus(res) == PGRES_TUPLES_OK)
            take_rows(&insert, writer, res);
        else
            explain(conn, sql.ptr, res);
        PQclear(res);
        load_wait_ms((int)ox_rand_below(&rng, 4));
    }
    PQfinish(conn);
    ox_text_fini(&sql);
    return NULL;
}

/* ---- the catalog ---- */

struct state {
    bool present;
    int partitions;
    int64_t retention_ms, rows;
};

/* A topic cat0, cat1, ...; after them one setting, in retention_ms. */
static struct {
    struct state now, then; /* then: what a change that is not answered makes of it */
    bool open;
} objects[OBJECTS + 1];
static int64_t changes;

static bool
same_state(const struct state *a, const struct state *b)
{
    if (a->present != b->present || !a->present)
        return a->present == b->present;
    return a->partitions == b->partitions && a->retention_ms == b->retention_ms &&
           a->rows == b->rows;
}

/* One value, or fallback when there is no row; -1 when it failed. */
static int64_t
ask(PGconn *conn, const char *sql, int column, int64_t fallback)
{
    PGresult *res = PQexec(conn, sql);
    int64_t value = -1;
    if (PQresultStatus(res) == PGRES_TUPLES_OK)
        value = PQntuples(res) == 1 ? strtoll(PQgetvalue(res, 0, column), NULL, 10) : fallback;
    else
        explain(conn, sql, res);
    PQclear(res);
    return value;
}

static bool
look(PGconn *conn, int i, struct state *out)
{
    char sql[256];
    memset(out, 0, sizeof(*out));
    if (i == OBJECTS) {
        out->present = true;
        out->retention_ms =
            ask(conn, "SELECT value FROM oxbow.settings WHERE name = 'log_retention_ms'", 0, -1);
        return out->retention_ms >= 0;
    }
    snprintf(sql, sizeof(sql),
        "SELECT partitions, retention_ms FROM oxbow.topics WHERE name = 'cat%d'", i);
    int64_t partitions = ask(conn, sql, 0, 0);
    if (partitions <= 0)
        return partitions == 0;
    out->present = true;
    out->partitions = (int)partitions;
    out->retention_ms = ask(conn, sql, 1, -1);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM cat%d", i);
    out->rows = ask(conn, sql, 0, -1);
    return out->retention_ms >= 0 && out->rows >= 0;
}

static void
say_state(int i, const char *what, const struct state *state)
{
    printf("# object %d %s: present %d, partitions %d, setting %lld, rows %lld\n", i, what,
        state->present, state->partitions, (long long)state->retention_ms, (long long)state->rows);
}

/* A TRUNCATE that was not answered may have emptied some of the partitions. */
static bool
partly_emptied(const struct state *now, const struct state *then, const struct state *seen)
{
    struct state rest = *now;
    rest.rows = seen->rows;
    return then->present && then->rows == 0 && seen->rows < now->rows && same_state(seen, &rest);
}

/* Which of the two it is now. */
static bool
settle(PGconn *conn, int i)
{
    struct state seen;
    if (!look(conn, i, &seen))
        return false;
    bool before = same_state(&seen, &objects[i].now);
    bool after = objects[i].open && (same_state(&seen, &objects[i].then) ||
        partly_emptied(&objects[i].now, &objects[i].then, &seen));
    if (!before && !after) {
        load_bad("object %d of the catalog is not as acknowledged", i);
        say_state(i, "is", &seen);
        say_state(i, "was", &objects[i].now);
        if (objects[i].open)
            say_state(i, "may be", &objects[i].then);
    }
    objects[i].now = seen;
    objects[i].open = false;
    return true;
}

static void
choose(int i, struct rand_state *rng, char sql[256])
{
    struct state *now = &objects[i].now, *then = &objects[i].then;
    int64_t days = 30 + (int64_t)ox_rand_below(rng, 300);
    *then = *now;
    if (i == OBJECTS) {
        then->retention_ms = days * 86400000;
        snprintf(sql, 256, "ALTER SYSTEM SET log_retention_ms = %lld",
            (long long)then->retention_ms);
        return;
    }
    if (!now->present) {
        *then = (struct state){true, 1 + (int)ox_rand_below(rng, 2), days * 86400000, 0};
        snprintf(sql, 256, "CREATE TOPIC cat%d PARTITIONS %d WITH (retention.ms = %lld)", i,
            then->partitions, (long long)then->retention_ms);
        return;
    }
    switch (ox_rand_below(rng, now->partitions < PARTITIONS_MAX ? 8 : 7)) {
    case 0:
        then->retention_ms = days * 86400000;
        snprintf(sql, 256, "ALTER TOPIC cat%d SET (retention.ms = %lld)", i,
            (long long)then->retention_ms);
        return;
    case 1:
        then->rows = 0;
        snprintf(sql, 256, "TRUNCATE TOPIC cat%d", i);
        return;
    case 2:
        then->present = false;
        snprintf(sql, 256, "DROP TOPIC cat%d", i);
        return;
    case 7:
        then->partitions++;
        snprintf(sql, 256, "ALTER TOPIC cat%d ADD PARTITIONS 1", i);
        return;
    default: { /* into one partition: all rows or none */
        int rows = 1 + (int)ox_rand_below(rng, 9);
        then->rows += rows;
        snprintf(sql, 256,
            "INSERT INTO cat%d (_partition, _value) SELECT %d, 'v' FROM generate_series(1, %d)", i,
            (int)ox_rand_below(rng, (uint64_t)now->partitions), rows);
    }
    }
}

static void
change(PGconn *conn, int i, struct rand_state *rng)
{
    char sql[256];
    choose(i, rng, sql);
    objects[i].open = true;
    PGresult *res = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(res);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        objects[i].now = objects[i].then;
        objects[i].open = false;
        changes++;
    } else {
        explain(conn, sql, res);
    }
    PQclear(res);
}

void *
load_change_catalog(void *arg)
{
    struct rand_state rng;
    PGconn *conn = NULL;
    ox_rand_seed(&rng, 200);
    while (load_go_on()) {
        int i = (int)ox_rand_below(&rng, OBJECTS + 1);
        conn = dial(conn);
        if (PQstatus(conn) != CONNECTION_OK || (objects[i].open && !settle(conn, i)))
            continue;
        change(conn, i, &rng);
        load_wait_ms((int)ox_rand_below(&rng, 8));
    }
    PQfinish(conn);
    return NULL;
}

int64_t
load_check_catalog(void)
{
    PGconn *conn = dial(NULL);
    for (int i = 0; i <= OBJECTS; i++)
        if (!settle(conn, i))
            load_bad("object %d of the catalog cannot be looked at: %s", i, PQerrorMessage(conn));
    PQfinish(conn);
    return changes;
}

int64_t
load_sql_count(const char *topic)
{
    char sql[128];
    PGconn *conn = dial(NULL);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", topic);
    int64_t count = ask(conn, sql, 0, -1);
    PQfinish(conn);
    return count;
}

bool
load_make_topics(void)
{
    static const char *const statements[] = {
        "CREATE TOPIC kill_a PARTITIONS 4 WITH (segment.bytes = 1048576)",
        "CREATE TOPIC kill_b PARTITIONS 2 WITH (segment.bytes = 2097152, compression.type = 'zstd')",
        "CREATE TOPIC kill_c PARTITIONS 1",
        "CREATE TOPIC kill_lazy PARTITIONS 2 WITH (flush = 'lazy', segment.bytes = 1048576)",
    };
    PGconn *conn = dial(NULL);
    bool good = PQstatus(conn) == CONNECTION_OK;
    /* A lazy topic may lose what it acknowledged when the power is cut. */
    const char *power = getenv("OX_POWER");
    bool cuts = power != NULL && strcmp(power, "lazy") != 0;
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]) && good; i++) {
        bool lazy = strstr(statements[i], "lazy'") != NULL;
        PGresult *res = PQexec(conn, cuts && lazy
            ? "CREATE TOPIC kill_lazy PARTITIONS 2 WITH (segment.bytes = 1048576)" : statements[i]);
        good = PQresultStatus(res) == PGRES_COMMAND_OK;
        if (!good)
            load_bad("%s: %s", statements[i], PQresultErrorMessage(res));
        PQclear(res);
    }
    if (good)
        good = look(conn, OBJECTS, &objects[OBJECTS].now);
    PQfinish(conn);
    return good;
}
