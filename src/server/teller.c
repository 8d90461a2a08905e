/* SPDX-License-Identifier: Apache-2.0
 *
 * Telling the cluster where this node listens, each time the settings make that
 * something else. What the quorum refuses, or cannot take at the moment, is told
 * again after a second, then two, four, ... a minute, until it is taken.
 *
 *   the settings say something else --> PROPOSED --taken--> told
 *                                        ^    \--refused--> AGAIN, at again_ns
 *                                        \--teller_tend()---/
 *
 * New settings are proposed by the meta thread, in their order, what failed by the
 * main thread. A retry that was made of older settings may thus be taken after newer
 * ones: its generation shows that, and what holds now is told once more.
 *
 * Invariants, under the lock (which has the rank of that of the listeners; neither is
 * taken under the other)
 *  1. told is what the cluster has, if nothing is under way and again_ns is 0
 *  2. again_ns is 0 unless there is something to tell again */
#include <string.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/lock.h"
#include "server/server.h"

#define SECOND_NS UINT64_C(1000000000)
enum { WAIT_MOST_S = 60 };

struct teller {
    struct teller_config config;
    struct lock lock; /* what follows */
    uint64_t generation; /* counts what the settings said */
    uint32_t under_way, failures;
    uint64_t again_ns;
    char *told;
};

/* One proposal. */
struct telling {
    struct meta_call call;
    struct teller *teller;
    uint64_t generation;
    char *text;
};

struct teller *
teller_new(const struct teller_config *config)
{
    struct teller *teller = ox_calloc(1, sizeof(*teller));
    teller->config = *config;
    ox_lock_init(&teller->lock, LOCK_KAFKA_DOORS);
    return teller;
}

void
teller_free(struct teller *teller)
{
    if (teller == NULL)
        return;
    ox_assert(teller->under_way == 0);
    ox_lock_fini(&teller->lock);
    ox_free(teller->told);
    ox_free(teller);
}

static char *
spell(const struct meta_command *cmd)
{
    struct text text;
    ox_text_init(&text, NULL);
    for (uint32_t i = 0; i < cmd->broker_register.listener_count; i++) {
        const struct meta_listener *at = &cmd->broker_register.listeners[i];
        ox_text_addf(&text, "%.*s %.*s %d %d\n", OX_STR_ARG(at->name), OX_STR_ARG(at->host),
            at->port, at->protocol);
    }
    char *copy = ox_strdup(text.ptr != NULL ? text.ptr : "");
    ox_text_fini(&text);
    return copy;
}

void
teller_told(struct teller *teller, const struct meta_command *cmd)
{
    ox_lock(&teller->lock);
    ox_free(teller->told);
    teller->told = spell(cmd);
    ox_unlock(&teller->lock);
}

static uint64_t
wait_ns(uint32_t failures)
{
    return OX_MIN(UINT64_C(1) << OX_MIN(failures - 1, 10u), (uint64_t)WAIT_MOST_S) * SECOND_NS;
}

static void
ended(struct telling *telling, ox_code code, const struct ox_err *err)
{
    struct teller *teller = telling->teller;
    uint64_t now = env_mono_ns(teller->config.env);
    ox_lock(&teller->lock);
    bool newest = telling->generation == teller->generation;
    teller->under_way--;
    if (code != OX_OK) {
        teller->failures++;
        teller->again_ns = now + wait_ns(teller->failures);
    } else if (newest) {
        char *old = teller->told;
        teller->told = telling->text;
        telling->text = old;
    }
    if (code == OX_OK) {
        teller->failures = 0;
        teller->again_ns = newest ? 0 : OX_MAX(now, UINT64_C(1));
    }
    ox_unlock(&teller->lock);
    if (code != OX_OK)
        ox_diag_err(OX_DIAG_WARN, "where this node listens was not told; it will be again", err);
    ox_free(telling->text);
    ox_free(telling);
}

static void
answered(struct meta_call *call)
{
    ended(ox_container_of(call, struct telling, call), call->code, &call->err);
}

static void
propose(struct teller *teller, const struct meta_command *cmd, char *text, uint64_t generation)
{
    struct telling *telling = ox_calloc(1, sizeof(*telling));
    struct ox_err err;
    telling->call.done = answered;
    telling->teller = teller;
    telling->generation = generation;
    telling->text = text;
    ox_code code = teller->config.propose(teller->config.arg, &telling->call, cmd, &err);
    if (code != OX_OK)
        ended(telling, code, &err);
}

/* settings NULL: as they are now, once more. */
static void
tell(struct teller *teller, const struct server_config *settings)
{
    struct arena arena;
    struct meta_command cmd;
    ox_lock(&teller->lock);
    teller->generation += settings != NULL;
    uint64_t generation = teller->generation;
    ox_unlock(&teller->lock);
    ox_arena_init(&arena);
    teller->config.make(teller->config.arg, settings, &arena, &cmd);
    char *text = spell(&cmd);
    ox_lock(&teller->lock);
    bool known = teller->under_way == 0 && teller->again_ns == 0 && teller->told != NULL &&
        strcmp(teller->told, text) == 0;
    teller->under_way += !known;
    ox_unlock(&teller->lock);
    if (known)
        ox_free(text);
    else
        propose(teller, &cmd, text, generation);
    ox_arena_fini(&arena);
}

void
teller_tell(struct teller *teller, const struct server_config *settings)
{
    tell(teller, settings);
}

void
teller_tend(struct teller *teller)
{
    uint64_t now = env_mono_ns(teller->config.env);
    ox_lock(&teller->lock);
    bool due = teller->under_way == 0 && teller->again_ns != 0 && now >= teller->again_ns;
    ox_unlock(&teller->lock);
    if (due)
        tell(teller, NULL);
}
