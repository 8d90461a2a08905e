/* SPDX-License-Identifier: Apache-2.0
 *
 * Record bytes: counted buffers. The bytes of a buf are written by whoever
 * made it and are immutable once shared. get and put may be called on any
 * thread. Large buffers come from a cache so that a hot path does not fault in
 * fresh pages for each request. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct buf {
    _Atomic uint32_t refs;
    uint16_t size_class; /* of the cache; UINT16_MAX: plain malloc */
    uint16_t mem;        /* enum mem_class */
    size_t cap;          /* bytes at ptr */
    uint8_t *ptr;
};

/* A buffer of at least cap bytes with one reference. */
struct buf *ox_buf_new_as(size_t cap, enum mem_class mem);
#define ox_buf_new(cap) ox_buf_new_as((cap), MEM_HERE)
struct buf *ox_buf_get(struct buf *buf);
void ox_buf_put(struct buf *buf); /* NULL is allowed */
/* Frees what this thread and the depot keep for later: after a busy time. */
void ox_buf_trim(void);
/* Once a second: frees what this thread keeps, the depot keeps, and nobody needed
 * since the last call. */
void ox_buf_tend(void);
void ox_buf_tend_depot(void);

/* A run of bytes inside a buf. Borrows or owns a reference, as each use says. */
struct slice {
    struct buf *buf;
    size_t pos, len;
};

static inline uint8_t *
ox_slice_ptr(const struct slice *slice)
{
    return slice->buf->ptr + slice->pos;
}

#endif
