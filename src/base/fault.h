/* SPDX-License-Identifier: Apache-2.0
 *
 * Failpoints. ox_fault("area.event") is 0, or the code to fail with when a test
 * programmed that point. Compiled in with --enable-fault only; otherwise it is
 * the constant 0. Programs come from the environment variable OX_FAULT or from
 * ox_fault_set(): "name=action[@n]", action one of an error name of errors.tbl,
 * delay:MS, crash; @n acts from the n-th hit, @n! at the n-th hit only, @n* at
 * every n-th. Names that no code has are refused. Hits of all points are counted,
 * programmed or not. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "base/err.h"
#include "config.h"
#include <stdint.h>

#ifdef OX_FAULT
ox_code ox_fault(const char *name);
ox_code ox_fault_set(const char *program, struct ox_err *err);
void ox_fault_clear(void);
/* The points that there are, in the order of their names; NULL behind the last. */
const char *ox_fault_site(int index);
/* Since the process started. */
uint64_t ox_fault_hits(const char *name);
#else
#define ox_fault(name) ((ox_code)OX_OK)
#endif

#endif
