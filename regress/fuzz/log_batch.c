/* SPDX-License-Identifier: Apache-2.0
 *
 * A record batch of unknown origin: header, checksum, walk, records, headers,
 * control record; as it is, and with its checksum put right so that what lies
 * behind it is reached. Walk and iteration must agree. */
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "log/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { INFLATED_MAX = 1 << 20 };

static size_t
iterate(const struct record_iter *start)
{
    struct record_iter iter = *start;
    struct record record;
    size_t count = 0, sum = 0;
    while (record_iter_next(&iter, &record)) {
        struct wire_in in = record_headers(&record);
        struct record_header header;
        while (record_header_next(&in, &header))
            sum += header.key.len + header.value.len;
        for (size_t i = 0; i < record.key.len; i += 64)
            sum += (uint8_t)record.key.ptr[i];
        for (size_t i = 0; i < record.value.len; i += 64)
            sum += (uint8_t)record.value.ptr[i];
        count++;
    }
    return sum == SIZE_MAX ? 0 : count;
}

static void
look_at(const struct record_batch *batch)
{
    struct text scratch;
    struct record_iter iter;
    struct record_walk walk;
    struct control_record control;
    struct ox_err err;
    ox_text_init(&scratch, NULL);
    if (record_iter_init(&iter, batch, &scratch, INFLATED_MAX, &err) == OX_OK) {
        size_t count = iterate(&iter);
        ox_code rc = record_walk(&iter, &walk, &err);
        if (rc == OX_OK)
            ox_assert(count == (size_t)walk.count);
        ox_assert(scratch.len <= INFLATED_MAX);
    }
    ox_text_fini(&scratch);
    (void)record_batch_control(batch, &control, &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct record_batch batch;
    if (record_batch_check(data, len, &batch, NULL) == OX_OK)
        look_at(&batch);
    if (len < RECORD_BATCH_HEADER)
        return 0;
    struct buf *copy = ox_buf_new(len);
    memcpy(copy->ptr, data, len);
    copy->ptr[16] = 2;
    wire_store32(copy->ptr + 8, (uint32_t)(len - RECORD_BATCH_PREFIX));
    record_batch_seal(copy->ptr, len);
    ox_assert(record_batch_check(copy->ptr, len, &batch, NULL) == OX_OK);
    look_at(&batch);
    ox_buf_put(copy);
    return 0;
}
