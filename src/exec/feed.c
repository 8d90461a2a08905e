/* SPDX-License-Identifier: Apache-2.0
 *
 * FEED: rows that the statement hands in (COPY FROM). Parks until it has some. */
#include "exec/exec_int.h"

struct feed {
    struct op op;
    const struct batch *given;
    bool ended;
    struct batch out;
};

static enum exec_status
feed_next(struct op *op, struct batch **out)
{
    struct feed *feed = (struct feed *)op;
    if (feed->given != NULL) {
        feed->out = *feed->given;
        feed->given = NULL;
        *out = &feed->out;
        return EXEC_ROWS;
    }
    return feed->ended ? EXEC_DONE : EXEC_PARK;
}

bool
feed_wants(const struct op *op)
{
    const struct feed *feed = (const struct feed *)op;
    return feed->given == NULL && !feed->ended;
}

void
feed_give(struct op *op, const struct batch *batch)
{
    struct feed *feed = (struct feed *)op;
    ox_assert(feed_wants(op));
    if (batch == NULL)
        feed->ended = true;
    else
        feed->given = batch;
}

const struct op_ops op_feed = {
    .size = sizeof(struct feed),
    .leaf = true,
    .next = feed_next,
};
