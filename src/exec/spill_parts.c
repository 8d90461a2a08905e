/* SPDX-License-Identifier: Apache-2.0
 *
 * Files by hash of the operators that outgrew their memory. */
#include "exec/spill_parts.h"

void
spill_parts_init(struct spill_parts *parts, struct op *op, uint32_t sets)
{
    *parts = (struct spill_parts){.op = op, .count = sets * SPILL_PARTS};
    parts->filling = ox_arena_alloc0(&op->arena, parts->count * sizeof(struct spill_part *));
}

static void
part_free(struct spill_part *part)
{
    if (part == NULL)
        return;
    spill_fini(&part->left);
    spill_fini(&part->right);
    ox_free(part);
}

void
spill_parts_fini(struct spill_parts *parts)
{
    for (uint32_t i = 0; i < parts->count; i++)
        part_free(parts->filling[i]);
    part_free(parts->reading);
    for (struct spill_part *part = parts->full, *next; part != NULL; part = next) {
        next = part->next;
        part_free(part);
    }
    chunk_free(parts->chunk);
    *parts = (struct spill_parts){0};
}

static struct spill_part **
slot_of(const struct spill_parts *parts, uint64_t hash, uint32_t set)
{
    return &parts->filling[set * SPILL_PARTS + (hash >> (4 * parts->level)) % SPILL_PARTS];
}

struct spill_part *
spill_parts_find(const struct spill_parts *parts, uint64_t hash, uint32_t set)
{
    return *slot_of(parts, hash, set);
}

struct spill_part *
spill_parts_of(struct spill_parts *parts, uint64_t hash, uint32_t set, const struct type *left,
    uint32_t left_cols, const struct type *right, uint32_t right_cols)
{
    struct spill_part **slot = slot_of(parts, hash, set);
    if (*slot == NULL) {
        *slot = ox_calloc(1, sizeof(**slot));
        (*slot)->level = parts->level + 1;
        (*slot)->set = set;
        spill_init(&(*slot)->left, parts->op->run, left, left_cols);
        if (right != NULL)
            spill_init(&(*slot)->right, parts->op->run, right, right_cols);
        parts->op->counters->spill_parts++;
    }
    return *slot;
}

bool
spill_parts_next(struct spill_parts *parts, bool *more)
{
    for (uint32_t i = 0; i < parts->count; i++) {
        struct spill_part *part = parts->filling[i];
        if (part == NULL)
            continue;
        parts->filling[i] = NULL;
        part->next = parts->full;
        parts->full = part;
        if (!spill_flush(&part->left) || !spill_flush(&part->right))
            return false;
        parts->op->counters->spill_bytes += part->left.len + part->right.len;
    }
    part_free(parts->reading);
    parts->reading = parts->full;
    *more = parts->reading != NULL;
    if (*more) {
        parts->full = parts->reading->next;
        parts->level = parts->reading->level;
        spill_parts_rewind(parts, true);
    }
    return true;
}

void
spill_parts_rewind(struct spill_parts *parts, bool left)
{
    parts->reader = spill_reader(left ? &parts->reading->left : &parts->reading->right);
}

enum exec_status
spill_parts_read(struct spill_parts *parts, struct batch **out)
{
    struct exec_run *run = parts->op->run;
    if (!run_check(run))
        return EXEC_FAIL;
    if (run_over_budget(run))
        return EXEC_PARK;
    chunk_free(parts->chunk);
    parts->chunk = NULL;
    if (!spill_read(&parts->reader, &parts->chunk))
        return EXEC_FAIL;
    if (parts->chunk == NULL)
        return EXEC_DONE;
    *out = &parts->chunk->batch;
    return EXEC_ROWS;
}
