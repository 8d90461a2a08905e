/* SPDX-License-Identifier: Apache-2.0
 *
 * What the quorum refuses is told again, ever later, and what holds now wins. */
#include <stdlib.h>

#include "base/check.h"
#include "base/diag.h"
#include "server/server.h"

#include "tap.h"

#define MS UINT64_C(1000000)

/* ---- a quorum and a clock in the test's hand ---- */

enum { WAITING_MAX = 8 };

static struct {
    uint64_t now;
    int port;      /* that the settings say */
    bool shut;     /* it takes no proposal at all */
    int proposed;  /* how many in all */
    int waiting;   /* not yet answered */
    struct {
        struct meta_call *call;
        int port;
    } queue[WAITING_MAX];
} world;

static uint64_t
mono(void *self)
{
    (void)self;
    return world.now;
}

static void
make(void *arg, const struct server_config *settings, struct arena *arena,
    struct meta_command *cmd)
{
    struct meta_listener *one = ox_arena_array(arena, struct meta_listener, 1);
    (void)arg;
    *one = (struct meta_listener){OX_STR("PLAINTEXT"), OX_STR("localhost"),
        (uint16_t)world.port, 0};
    *cmd = (struct meta_command){.kind = META_BROKER_REGISTER};
    cmd->broker_register.listeners = one;
    cmd->broker_register.listener_count = 1;
    (void)settings;
}

static ox_code
propose(void *arg, struct meta_call *call, const struct meta_command *cmd, struct ox_err *err)
{
    (void)arg;
    world.proposed++;
    if (world.shut)
        return ox_fail_plain(err, OX_LIMIT_EXCEEDED);
    world.queue[world.waiting].call = call;
    world.queue[world.waiting++].port = cmd->broker_register.listeners[0].port;
    return OX_OK;
}

/* Answers the oldest proposal; the port that it told. */
static int
answer(ox_code code)
{
    struct meta_call *call = world.queue[0].call;
    int port = world.queue[0].port;
    world.waiting--;
    memmove(world.queue, world.queue + 1, (size_t)world.waiting * sizeof(world.queue[0]));
    call->code = code;
    if (code != OX_OK)
        ox_fail_plain(&call->err, code);
    call->done(call);
    return port;
}

/* Proposals that the next milliseconds bring. */
static int
after(struct teller *teller, int ms)
{
    int before = world.proposed;
    world.now += (uint64_t)ms * MS;
    teller_tend(teller);
    return world.proposed - before;
}

static void
change(struct teller *teller, int port)
{
    static const struct server_config settings;
    world.port = port;
    teller_tell(teller, &settings);
}

/* ---- */

static void
check_refused(struct teller *teller)
{
    change(teller, 9092);
    is_int(world.proposed, 0, "what the cluster knows is not told");
    change(teller, 9093);
    is_int(world.proposed, 1, "something else is");
    is_int(after(teller, 100000), 0, "once, however long the answer takes");
    answer(OX_REQUEST_TIMED_OUT);
    is_int(after(teller, 900), 0, "refused, it is not told again at once");
    is_int(after(teller, 200), 1, "but after a second");
    answer(OX_NOT_CONTROLLER);
    is_int(after(teller, 1500), 0, "refused again, not after one second");
    is_int(after(teller, 600), 1, "but after two");
    world.shut = true;
    answer(OX_REQUEST_TIMED_OUT);
    is_int(after(teller, 4000), 1, "then four; what cannot even be proposed");
    is_int(after(teller, 7900), 0, "counts like what is refused");
    is_int(after(teller, 200), 1, "and waits eight");
    for (int i = 0; i < 10; i++)
        is_int(after(teller, 60000), 1, "a minute at most");
    world.shut = false;
    is_int(after(teller, 60000), 1, "at last");
    is_int(answer(OX_OK), 9093, "it is taken");
    is_int(after(teller, 600000), 0, "and told no more");
    change(teller, 9093);
    is_int(after(teller, 0), 0, "nor when the settings say the same");
}

static void
check_overtaken(struct teller *teller)
{
    int before = world.proposed;
    change(teller, 1);
    answer(OX_REQUEST_TIMED_OUT);
    change(teller, 2);
    is_int(world.proposed - before, 2, "new settings do not wait for what failed");
    is_int(answer(OX_OK), 2, "they are taken");
    is_int(after(teller, 600000), 0, "and what failed is forgotten");
    change(teller, 3);
    change(teller, 4);
    is_int(answer(OX_OK), 3, "two changes, one after the other");
    is_int(after(teller, 1000), 0, "while the newest is under way nothing is told");
    is_int(answer(OX_OK), 4, "it is the last");
    is_int(after(teller, 600000), 0, "and done");
    change(teller, 5);
    answer(OX_REQUEST_TIMED_OUT);
    after(teller, 1000);
    change(teller, 6); /* the retry, made of older settings, comes in behind it */
    world.queue[2] = world.queue[0];
    world.queue[0] = world.queue[1];
    world.queue[1] = world.queue[2];
    is_int(answer(OX_OK), 6, "what is new is taken");
    is_int(answer(OX_OK), 5, "then, late, what is old");
    is_int(after(teller, 1), 1, "so that it is told once more");
    is_int(answer(OX_OK), 6, "as it is now");
    is_int(after(teller, 600000), 0, "and that is all");
}

int
main(void)
{
    const struct env env = {.clock = {.mono_ns = mono}};
    const struct teller_config config = {&env, make, propose, NULL};
    struct teller *teller = teller_new(&config);
    struct arena arena;
    struct meta_command cmd;
    ox_diag_set_level(OX_DIAG_ERROR);
    ox_arena_init(&arena);
    world.now = MS;
    world.port = 9092;
    make(NULL, NULL, &arena, &cmd);
    teller_told(teller, &cmd);
    ox_arena_fini(&arena);
    check_refused(teller);
    check_overtaken(teller);
    teller_free(teller);
    return done();
}
