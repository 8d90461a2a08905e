/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/store.h"

void
store_init(struct store *store, struct exec_run *run, const struct type *types, uint32_t ncols,
    size_t memory)
{
    rows_init(&store->rows, types, ncols);
    spill_init(&store->spill, run, types, ncols);
    store->spilling = false;
    store->memory = memory;
}

void
store_fini(struct store *store)
{
    rows_fini(&store->rows);
    spill_fini(&store->spill);
    store->spilling = false;
}

bool
store_add(struct store *store, const struct batch *batch)
{
    if (!store->spilling) {
        rows_add_batch(&store->rows, batch);
        store->spilling = store->rows.bytes > store->memory;
        return true;
    }
    return spill_add(&store->spill, batch->cols, batch->sel, 0,
        batch->sel != NULL ? batch->sel_count : batch->count);
}

bool
store_end(struct store *store)
{
    return spill_flush(&store->spill);
}

void
store_reader_init(struct store_reader *reader, struct store *store)
{
    *reader = (struct store_reader){.store = store, .spill = spill_reader(&store->spill)};
}

void
store_reader_fini(struct store_reader *reader)
{
    chunk_free(reader->chunk);
    reader->chunk = NULL;
}

bool
store_read(struct store_reader *reader, const struct batch **out)
{
    struct store *store = reader->store;
    *out = NULL;
    if (reader->chunk_at < store->rows.chunk_count) {
        *out = &store->rows.chunks[reader->chunk_at++]->batch;
        return true;
    }
    chunk_free(reader->chunk);
    reader->chunk = NULL;
    if (!store->spilling)
        return true;
    if (!spill_read(&reader->spill, &reader->chunk))
        return false;
    if (reader->chunk != NULL)
        *out = &reader->chunk->batch;
    return true;
}
