/* SPDX-License-Identifier: Apache-2.0
 *
 * A simulated network: byte streams in memory between a server's net/ (env.net)
 * and peers that a test plays. When it disturbs, bytes arrive late and in pieces
 * of any size, reads and writes take part of what there is or are interrupted;
 * what arrives, and in which order, stays as TCP has it. A stream that one side
 * closes with bytes unread is reset, and what the other side had not read is
 * lost.
 *
 * One thread. Everything follows from the seed and the order of calls. */
#ifndef BASE_STREAM_SIM_H
#define BASE_STREAM_SIM_H

#include <stdbool.h>

#include "base/stream.h"

struct stream_sim;

struct stream_sim *stream_sim_new(uint64_t seed);
/* Peers that are still there are dropped; the server has closed its streams. */
void stream_sim_free(struct stream_sim *sim);
const struct stream_system *stream_sim_system(struct stream_sim *sim);
void stream_sim_disturb(struct stream_sim *sim, bool on);
/* Bytes a stream holds each way until the reader takes them; 64 KiB at first. */
void stream_sim_set_window(struct stream_sim *sim, size_t bytes);

/* Lets bytes arrive and calls the watchers of what is ready. sim: a struct
 * stream_sim, for loop_group_turn(). */
void stream_sim_poll(void *sim);

/* ---- peers ---- */

/* A stream, or -1: nobody listens there. */
int stream_sim_connect(struct stream_sim *sim, int port);
/* How many bytes fitted. */
size_t stream_sim_put(struct stream_sim *sim, int stream, const void *ptr, size_t len);
/* How many bytes there were. */
size_t stream_sim_get(struct stream_sim *sim, int stream, void *to, size_t len);
/* All is read and no more comes, or the stream was reset. */
bool stream_sim_ended(struct stream_sim *sim, int stream);
/* The peer goes; reset: at once, what it has put and nobody read is lost. */
void stream_sim_leave(struct stream_sim *sim, int stream, bool reset);

#endif
