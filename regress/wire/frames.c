/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that kcat (librdkafka), kafka-python and the Java client really sent,
 * one a file of frames/ (without the length): each must decode whole, and encode
 * to the same bytes. */
#include <dirent.h>
#include <stdlib.h>

#include "gen/kafka.gen.h"
#include "../unit/tap.h"

enum { FRAME_MAX = 65536 };

static const struct msg_api *
find_api(int key)
{
    for (int i = 0; i < KAFKA_API_COUNT; i++)
        if (kafka_apis[i].key == key)
            return &kafka_apis[i];
    return NULL;
}

static const char *
check(const uint8_t *bytes, size_t len)
{
    static struct arena arena;
    struct text again;
    struct request_header header;
    if (len < 8)
        return "is too short";
    const struct msg_api *api = find_api((int16_t)wire_load16(bytes));
    int version = (int16_t)wire_load16(bytes + 2);
    if (api == NULL || version < api->request->from || version > api->request->to)
        return "is of no API that we know";
    ox_arena_init(&arena);
    int header_version = version >= api->request->flexible ? 2 : 1;
    struct wire_in in = wire_in(bytes, len);
    void *request = ox_arena_alloc(&arena, api->request->top->size);
    const char *wrong = NULL;
    if (!request_header_decode(&in, header_version, &arena, &header))
        wrong = "has a bad header";
    else if (!msg_decode(api->request, &in, version, &arena, request))
        wrong = "does not decode";
    else if (wire_left(&in) != 0)
        wrong = "has bytes left over";
    if (wrong == NULL) {
        ox_text_init(&again, &arena);
        struct wire_out out = wire_out(&again);
        request_header_encode(&header, header_version, &out);
        msg_encode(api->request, request, version, &out, NULL);
        if (again.len != len || memcmp(again.ptr, bytes, len) != 0)
            wrong = "encodes to other bytes";
    }
    ox_arena_fini(&arena);
    return wrong;
}

int
main(void)
{
    static uint8_t bytes[FRAME_MAX];
    char path[2048];
    const char *top = getenv("OX_TOP");
    int count = 0;
    snprintf(path, sizeof(path), "%s/regress/wire/frames", top ? top : ".");
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/regress/wire/frames/%.200s", top ? top : ".", entry->d_name);
        FILE *file = fopen(path, "rb");
        size_t len = file ? fread(bytes, 1, sizeof(bytes), file) : 0;
        if (file != NULL)
            fclose(file);
        const char *wrong = check(bytes, len);
        if (wrong != NULL)
            printf("# %s %s\n", entry->d_name, wrong);
        ok(wrong == NULL, entry->d_name);
        count++;
    }
    if (dir != NULL)
        closedir(dir);
    if (count == 0) {
        printf("1..0 # SKIP no frames\n");
        return 0;
    }
    return done();
}
