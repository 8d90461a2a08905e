/* SPDX-License-Identifier: Apache-2.0
 *
 * One request in every version, and in the newest one with every field wrong in
 * every way its type allows, one at a time. */
#ifndef WIRE_GRID_H
#define WIRE_GRID_H

#include "base/msg.h"

/* Sends the request and returns the answer as text, or what came instead of
 * one; in text_arena. Defined by wire.c. */
const char *wire_ask(const struct msg_api *api, int version, const void *request);

/* Asks and prints. Fields named in leave ("a,b"; "-": none) stay as they are;
 * "@4" behind it: from version 4 on. */
void grid_run(const struct msg_api *api, void *request, const char *leave);

#endif
