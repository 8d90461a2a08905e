/* SPDX-License-Identifier: Apache-2.0
 *
 * A frame as the Kafka door gets it: header, then the body of the API and version
 * that the header names. */
#include <stddef.h>
#include <stdint.h>

#include "base/msg.h"
#include "gen/kafka.gen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct wire_in in = wire_in(data, len);
    struct request_header header;
    struct arena arena;
    int16_t key = wire_get16(&in), version = wire_get16(&in);
    const struct msg_api *api = NULL;
    for (int i = 0; i < KAFKA_API_COUNT && !in.failed; i++)
        if (kafka_apis[i].key == key)
            api = &kafka_apis[i];
    if (api == NULL || version < api->request->from || version > api->request->to)
        return 0;
    ox_arena_init(&arena);
    arena.cap = len * 16 + (1 << 20);
    in = wire_in(data, len);
    void *body = ox_arena_alloc(&arena, api->request->top->size);
    if (request_header_decode(&in, version >= api->request->flexible ? 2 : 1, &arena, &header))
        (void)msg_decode(api->request, &in, version, &arena, body);
    ox_arena_fini(&arena);
    return 0;
}
