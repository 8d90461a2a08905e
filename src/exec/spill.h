/* SPDX-License-Identifier: Apache-2.0
 *
 * Temporary files: chunks of rows written one after the other and read back in
 * that order. The file has no name as soon as it is open, so that nothing is
 * left behind however the server ends. */
#ifndef EXEC_SPILL_H
#define EXEC_SPILL_H

#include "exec/rows.h"

struct exec_run;

struct spill {
    struct exec_run *run;
    struct file *file; /* NULL until the first write */
    struct rows tail;  /* rows not yet written */
    uint64_t len;      /* bytes in the file */
    uint64_t count;    /* rows in all */
};

/* types are borrowed for the life of the spill. */
void spill_init(struct spill *spill, struct exec_run *run, const struct type *types,
    uint32_t ncols);
void spill_fini(struct spill *spill);
/* False: run_err() is set (OX_DISK_FULL, OX_WORK_MEM_EXCEEDED without a temp_dir,
 * OX_LIMIT_EXCEEDED over temp_bytes_max). */
bool spill_add(struct spill *spill, const struct vector *cols, const uint32_t *sel, uint32_t from,
    uint32_t n);
bool spill_flush(struct spill *spill); /* after the last add, before reading */

/* Write a chunk by itself and tell where it is: a spill_reader with that pos reads it back. */
bool spill_chunk(struct spill *spill, const struct batch *batch, uint64_t *pos);

struct spill_reader {
    struct spill *spill;
    uint64_t pos;
};

static inline struct spill_reader
spill_reader(struct spill *spill)
{
    return (struct spill_reader){spill, 0};
}

/* The next chunk, given to the caller (chunk_free); NULL in *out at the end. */
bool spill_read(struct spill_reader *reader, struct chunk **out);

#endif
