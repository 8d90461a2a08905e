/* SPDX-License-Identifier: Apache-2.0
 *
 * When there are more connections than the node may have, because an exempt listener
 * took some or the number was lowered, those that were silent longest are closed, as far
 * as their listeners wait for room and are not exempt.
 *
 * One message visits the loops in turn, three times, for up to SHED_MAX connections:
 *
 *   LOOK    on each loop: the oldest so far
 *   CLOSE   each loop closes those that are its own
 *   SETTLE  they are counted out by now; if there are still too many: again
 *
 * Invariant: the fields of `shed` belong to who sent the message or has it. */
#include "base/check.h"
#include "base/limits.h"
#include "net/net_int.h"

static void visit(struct loop_msg *msg);

static uint32_t
excess(const struct net *net)
{
    uint32_t open = atomic_load(&net->open) > UINT32_MAX ? UINT32_MAX
                                                         : (uint32_t)atomic_load(&net->open);
    uint32_t most = NET_LIMIT(net, conns_max);
    return open > most ? open - most : 0;
}

static void
go_to(struct net *net, int index)
{
    net->shed.at = index;
    loop_post(loop_at(net->loops, index), &net->shed.msg);
}

void
net_shed(struct net *net)
{
    struct shed *shed = &net->shed;
    if (excess(net) == 0 || atomic_exchange(&shed->running, true))
        return;
    if (atomic_load(&shed->stopped)) {
        atomic_store(&shed->running, false);
        return;
    }
    shed->count = 0;
    shed->wanted = OX_MIN(excess(net), (uint32_t)SHED_MAX);
    shed->phase = SHED_LOOK;
    shed->msg.fn = visit;
    go_to(net, 0);
}

/* Keeps the oldest, oldest first. */
static void
offer(void *arg, uint64_t id, uint64_t last_ns)
{
    struct shed *shed = arg;
    uint32_t at = shed->count;
    while (at > 0 && shed->oldest[at - 1].last_ns > last_ns)
        at--;
    if (at >= shed->wanted)
        return;
    if (shed->count < shed->wanted)
        shed->count++;
    for (uint32_t i = shed->count - 1; i > at; i--)
        shed->oldest[i] = shed->oldest[i - 1];
    shed->oldest[at] = (struct shed_one){id, last_ns, shed->at};
}

static void
close_own(struct net *net)
{
    const struct shed *shed = &net->shed;
    for (uint32_t i = 0; i < shed->count; i++)
        if (shed->oldest[i].loop == shed->at) {
            limit_met(LIMIT_CONNECTIONS);
            conn_close_id(&net->per_loop[shed->at], shed->oldest[i].id);
        }
}

static void
visit(struct loop_msg *msg)
{
    struct net *net = ox_container_of(msg, struct net, shed.msg);
    struct shed *shed = &net->shed;
    if (shed->phase == SHED_LOOK)
        conn_each_idle(&net->per_loop[shed->at], offer, shed);
    else if (shed->phase == SHED_CLOSE)
        close_own(net);
    if (!atomic_load(&shed->stopped) && shed->at + 1 < loop_running_count(net->loops)) {
        go_to(net, shed->at + 1);
        return;
    }
    bool found = shed->count > 0;
    if (!atomic_load(&shed->stopped) && found && shed->phase != SHED_SETTLE) {
        shed->phase++;
        go_to(net, 0);
        return;
    }
    atomic_store(&shed->running, false);
    if (found)
        net_shed(net);
}

void
net_shed_stop(struct net *net)
{
    atomic_store(&net->shed.stopped, true);
    while (atomic_load(&net->shed.running))
        loop_group_drain(net->loops);
}
