/* SPDX-License-Identifier: Apache-2.0
 *
 * The coordinators' host over real loops and partitions: second door of coord/,
 * for whoever builds the server (the engine).
 *
 *   host = coord_host_new(loops, replica, env);
 *   coord = coord_new(&config, host);
 *   coord_host_set(host, coord);
 *   ... coord_set_partitions, coord_elected ...
 *   coord_host_stop(host);
 *   coord_free(coord);
 *   coord_host_free(host);
 *
 * On: no loop. */
#ifndef COORD_HOST_H
#define COORD_HOST_H

#include "coord/coord.h"
#include "replica/replica.h"

struct coord_host *coord_host_new(struct loop_group *loops, struct replica *replica,
    const struct env *env);
/* For coord_new_txns(): ids come from meta, markers for group offsets go to
 * groups, which is stopped after. */
struct coord_host *coord_host_new_txns(struct loop_group *loops, struct replica *replica,
    const struct env *env, struct meta *meta, int32_t node_id, struct coord *groups);
/* For coord_new_states(). Groups that use it are stopped before. */
struct coord_host *coord_host_new_states(struct loop_group *loops, struct replica *replica,
    const struct env *env);
void coord_host_set(struct coord_host *host, struct coord *coord);
/* Writes a marker as a transaction coordinator would (WriteTxnMarkers); host is
 * one of transactions. On: any loop. Codes: OX_UNKNOWN_TOPIC_OR_PARTITION,
 * OX_NOT_LEADER, OX_INVALID_PRODUCER_EPOCH, OX_TRANSACTION_COORDINATOR_FENCED,
 * OX_REQUEST_TIMED_OUT, I/O codes. */
void coord_host_marker(struct coord_host *host, struct coord_marker *marker);
/* Stops the coordinators and waits until nothing of theirs is on a loop, in the
 * pool or in a partition any more. The loops run, replica/ is not closed. */
void coord_host_stop(struct coord_host *host);
void coord_host_free(struct coord_host *host); /* NULL is allowed */

#endif
