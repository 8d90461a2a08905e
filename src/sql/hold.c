/* SPDX-License-Identifier: Apache-2.0
 *
 * An INSERT inside BEGIN ... COMMIT, or followed by other statements in one simple
 * Query, which commits at its end. Its rows are computed at once, so that
 * errors and the count come with the INSERT, and held in memory; COMMIT
 * appends them and answers when they are as durable as synchronous_commit asks.
 * ROLLBACK forgets them: nothing was appended.
 *
 *   INSERT: TASK_HOLD runs the input of the plan into held->batches
 *   COMMIT, or the end of the Query: TASK_COMMIT feeds them to the same insert node over a PLAN_FEED
 *
 * An INSERT ... RETURNING cannot wait, since offsets are only known after the
 * append; it and COPY FROM append at once, and a later ROLLBACK says so. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "sql/session.h"

enum { HELD_BYTES_MAX = 64 * 1024 * 1024 };

struct held_batch {
    struct held_batch *next;
    struct batch batch;
};

struct held {
    struct arena arena;
    struct plan_insert insert; /* as it was bound; strings in the arena */
    struct plan_column *columns; /* of the rows */
    uint32_t column_count;
    struct held_batch *first, **last, *next; /* next: to be fed */
    uint64_t rows;
    enum insert_acks acks;
    struct plan_root root; /* of COMMIT */
    struct exec_run *run;
    bool fed_end, chain;
    char tag[64]; /* of the statement that commits */
};

void
hold_forget(struct sql_session *sess)
{
    struct held *held = sess->held;
    sess->held = NULL;
    if (held == NULL)
        return;
    exec_run_free(held->run);
    ox_arena_fini(&held->arena);
    ox_free(held);
}

/* May this INSERT wait for COMMIT? */
bool
hold_wanted(const struct sql_session *sess, const struct portal *portal)
{
    bool last = sess->in_query && sess->query_next == sess->query_parse.stmts.count;
    return (sess->explicit_block || (sess->implicit_block && !last)) && portal->ast->kind == AST_INSERT &&
           portal->bound.column_count == 0 && portal->bound.root.plan->kind == PLAN_INSERT;
}

ox_code
hold_start(struct sql_session *sess, struct portal *portal, struct ox_err *err)
{
    struct plan_insert *insert = (struct plan_insert *)portal->bound.root.plan;
    struct held *held = ox_calloc(1, sizeof(*held));
    const struct plan *input = insert->plan.input;
    hold_forget(sess);
    ox_arena_init(&held->arena);
    held->last = &held->first;
    held->insert = *insert;
    held->insert.topic.name = ox_str_dup(&held->arena, insert->topic.name);
    held->acks = sess->settings.acks;
    held->column_count = input->column_count;
    held->columns = ox_arena_array(&held->arena, struct plan_column, input->column_count + 1);
    for (uint32_t i = 0; i < input->column_count; i++) {
        held->columns[i] = input->columns[i];
        held->columns[i].name = ox_str_dup(&held->arena, input->columns[i].name);
    }
    sess->held = held;
    portal->bound.root.plan = insert->plan.input;
    ox_code code = plan_root_finish(&portal->bound.root, err);
    return code == OX_OK ? portal_start(portal, false, err) : code;
}

/* Copy a batch's rows. Fails: OX_PROGRAM_LIMIT_EXCEEDED */
ox_code
hold_rows(struct sql_session *sess, const struct batch *batch, struct ox_err *err)
{
    struct held *held = sess->held;
    uint32_t count = batch->sel != NULL ? batch->sel_count : batch->count;
    if (count == 0)
        return OX_OK;
    struct held_batch *kept = ox_arena_new(&held->arena, struct held_batch);
    kept->batch = (struct batch){.count = count, .sel_count = count, .ncols = batch->ncols,
        .cols = ox_arena_array(&held->arena, struct vector, batch->ncols + 1)};
    for (uint32_t c = 0; c < batch->ncols; c++) {
        struct vector *to = &kept->batch.cols[c];
        vector_init(to, batch->cols[c].type, count, &held->arena);
        vector_nulls(to, count, &held->arena);
        for (uint32_t i = 0; i < count; i++) {
            struct datum value = vector_get(&batch->cols[c], batch->sel ? batch->sel[i] : i);
            vector_set(to, i,
                value.null ? value : datum_copy(batch->cols[c].type, value, &held->arena));
        }
    }
    *held->last = kept;
    held->last = &kept->next;
    held->rows += count;
    if (held->arena.used > HELD_BYTES_MAX)
        return ox_fail(err, OX_PROGRAM_LIMIT_EXCEEDED,
            "a transaction holds at most %d MiB of rows until COMMIT", HELD_BYTES_MAX >> 20);
    return OX_OK;
}

uint64_t
hold_count(const struct sql_session *sess)
{
    return sess->held->rows;
}

/* ---- COMMIT ---------------------------------------------------------------------- */

static void
on_wake(void *arg)
{
    struct sql_session *sess = arg;
    if (sess->task != TASK_COMMIT)
        return;
    sess->parked = false;
    session_pump(sess);
}

ox_code
hold_commit(struct sql_session *sess, struct portal *portal, bool chain, const char *tag,
    struct ox_err *err)
{
    struct held *held = sess->held;
    snprintf(held->tag, sizeof(held->tag), "%s", tag);
    struct plan_insert *node = plan_insert_new(&held->arena,
        plan_feed_new(&held->arena, held->columns, held->column_count), &held->insert.topic, NULL,
        0);
    node->key = held->insert.key;
    node->value = held->insert.value;
    node->headers = held->insert.headers;
    node->timestamp = held->insert.timestamp;
    node->partition = held->insert.partition;
    held->root = (struct plan_root){.plan = &node->plan, .arena = &held->arena};
    held->next = held->first;
    held->chain = chain;
    ox_code code = plan_root_finish(&held->root, err);
    struct exec_config config;
    session_config_run(portal, false, &config);
    config.acks = held->acks;
    config.params = NULL;
    config.param_count = 0;
    config.statement_timeout_ms = 0;
    config.stop = NULL; /* what COMMIT has begun it ends */
    config.wake = on_wake;
    config.notice = NULL;
    config.arg = sess;
    if (code == OX_OK)
        code = exec_run_new(&held->root, &config, &held->run, err);
    if (code != OX_OK)
        return code;
    sess->task = TASK_COMMIT;
    sess->parked = sess->full = false;
    session_pump(sess);
    return OX_OK;
}

void
hold_step(struct sql_session *sess)
{
    struct held *held = sess->held;
    struct batch *batch;
    struct ox_err err;
    bool chain = held->chain;
    char tag[64];
    switch (exec_run_next(held->run, 0, &batch)) {
    case EXEC_ROWS:
        break;
    case EXEC_PARK:
        if (!exec_run_wants_feed(held->run) || held->fed_end) {
            sess->parked = true;
        } else if (held->next != NULL) {
            struct held_batch *next = held->next;
            held->next = next->next;
            exec_run_feed(held->run, &next->batch);
        } else {
            held->fed_end = true;
            exec_run_feed(held->run, NULL);
        }
        break;
    case EXEC_DONE:
        memcpy(tag, held->tag, sizeof(tag));
        session_end_block(sess, true, chain);
        session_complete(sess, tag);
        break;
    case EXEC_FAIL:
        err = *exec_run_err(held->run);
        session_end(sess, false);
        session_fail(sess, &err);
        break;
    }
}
