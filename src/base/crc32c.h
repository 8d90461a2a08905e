/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC-32C (Castagnoli), as in Kafka's record batches; "123456789" gives
 * 0xE3069283. The fastest code that the CPU has is chosen at start-up:
 * carry-less multiplication, three interleaved crc32 chains, or a table. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Continue from crc (0 to start). Any thread. */
uint32_t ox_crc32c(uint32_t crc, const void *ptr, size_t len);

/* Use one way by name ("vpclmul", "crc32x3", "crc32", "table") from now on;
 * false where this CPU lacks it. For tests and benchmarks. */
bool ox_crc32c_use(const char *name);

#endif
