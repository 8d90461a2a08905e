/* SPDX-License-Identifier: Apache-2.0
 *
 * Which leader epoch began where: the file leader-epoch-checkpoint.
 *
 * 1. Epochs and start offsets both rise from entry to entry. */
#include "log/log_int.h"

#include "base/check.h"

void
leader_epochs_fini(struct leader_epochs *epochs)
{
    ox_free(epochs->entries);
    *epochs = (struct leader_epochs){0};
}

void
leader_epochs_add(struct leader_epochs *epochs, int32_t epoch, int64_t start)
{
    if (epoch < 0)
        return;
    if (epochs->count > 0 && epochs->entries[epochs->count - 1].epoch >= epoch)
        return;
    /* An epoch in which nothing was written gives way to the next. */
    while (epochs->count > 0 && epochs->entries[epochs->count - 1].start >= start)
        epochs->count--;
    if (epochs->count == epochs->cap) {
        epochs->cap = OX_MAX(epochs->cap * 2, 8u);
        epochs->entries =
            ox_realloc(epochs->entries, ox_size_mul(epochs->cap, sizeof(*epochs->entries)));
    }
    epochs->entries[epochs->count++] = (struct leader_epoch){epoch, start};
    epochs->dirty = true;
}

void
leader_epochs_cut_end(struct leader_epochs *epochs, int64_t end)
{
    while (epochs->count > 0 && epochs->entries[epochs->count - 1].start >= end) {
        epochs->count--;
        epochs->dirty = true;
    }
}

void
leader_epochs_cut_start(struct leader_epochs *epochs, int64_t start)
{
    uint32_t drop = 0;
    while (drop + 1 < epochs->count && epochs->entries[drop + 1].start <= start)
        drop++;
    if (epochs->count == 0 || (drop == 0 && epochs->entries[0].start >= start))
        return;
    memmove(epochs->entries, epochs->entries + drop,
        (epochs->count - drop) * sizeof(*epochs->entries));
    epochs->count -= drop;
    if (epochs->entries[0].start < start)
        epochs->entries[0].start = start;
    epochs->dirty = true;
}

int32_t
leader_epochs_of(const struct leader_epochs *epochs, int64_t offset)
{
    for (uint32_t i = epochs->count; i-- > 0;)
        if (epochs->entries[i].start <= offset)
            return epochs->entries[i].epoch;
    return -1;
}

void
leader_epochs_encode(const struct leader_epochs *epochs, struct text *out)
{
    ox_text_addf(out, "0\n%u\n", epochs->count);
    for (uint32_t i = 0; i < epochs->count; i++)
        ox_text_addf(out, "%d %lld\n", epochs->entries[i].epoch,
            (long long)epochs->entries[i].start);
}

ox_code
leader_epochs_decode(struct leader_epochs *epochs, struct str text, struct ox_err *err)
{
    struct str line;
    int64_t version, count;
    if (!log_next_line(&text, &line) || !ox_str_to_i64(line, &version) || version != 0 ||
        !log_next_line(&text, &line) || !ox_str_to_i64(line, &count) || count < 0)
        return ox_fail(err, OX_DATA_CORRUPTED, "leader epoch list has no valid head");
    for (int64_t i = 0; i < count; i++) {
        struct str epoch_text, start_text;
        int64_t epoch, start;
        if (!log_next_line(&text, &line) || !log_split_last(line, &epoch_text, &start_text) ||
            !ox_str_to_i64(epoch_text, &epoch) || !ox_str_to_i64(start_text, &start) ||
            epoch < 0 || epoch > INT32_MAX || start < 0)
            return ox_fail(err, OX_DATA_CORRUPTED, "leader epoch list is cut off or garbled");
        leader_epochs_add(epochs, (int32_t)epoch, start);
    }
    epochs->dirty = false;
    return OX_OK;
}
