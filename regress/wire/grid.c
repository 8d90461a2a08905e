/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "grid.h"
#include "wire_text.h"

enum { PATH_MAX_LEN = 256, LONG_NAME = 250 };

/* The request as it is being changed. */
struct grid {
    const struct msg_api *api;
    void *request;
    int version;
    const char *leave;
    char path[PATH_MAX_LEN];
};

static void walk(struct grid *grid, const struct msg_struct *st, char *at);

static bool
left_alone(const struct grid *grid, const char *name)
{
    size_t len = strlen(name);
    for (const char *word = grid->leave; word != NULL; word = strchr(word, ',')) {
        word += *word == ',';
        if (strncmp(word, name, len) == 0 && (word[len] == ',' || word[len] == '@' || word[len] == '\0'))
            return true;
    }
    return false;
}

static void
ask(struct grid *grid, const char *value)
{
    printf("%s %d %s=%s: %s\n", grid->api->name, grid->version, grid->path, value,
        wire_ask(grid->api, grid->version, grid->request));
}

/* Has the bytes at `at` be these while it asks. */
static void
ask_with(struct grid *grid, void *at, const void *bytes, size_t len, const char *value)
{
    char kept[sizeof(struct msg_int8s)];
    ox_assert(len <= sizeof(kept));
    memcpy(kept, at, len);
    if (memcmp(at, bytes, len) == 0)
        return;
    memcpy(at, bytes, len);
    ask(grid, value);
    memcpy(at, kept, len);
}

static void
vary_number(struct grid *grid, void *at, size_t size)
{
    static const struct {
        const char *word;
        int64_t value;
    } numbers[] = {{"-1", -1}, {"0", 0}, {"-2", -2}, {"7", 7}};
    int64_t most = size == 8 ? INT64_MAX : (INT64_C(1) << (size * 8 - 1)) - 1, least = -most - 1;
    for (size_t i = 0; i < ox_count(numbers); i++)
        ask_with(grid, at, &numbers[i].value, size, numbers[i].word);
    ask_with(grid, at, &most, size, "most");
    ask_with(grid, at, &least, size, "least");
}

static void
vary_string(struct grid *grid, struct str *at, bool nullable)
{
    char *name = ox_arena_alloc(&text_arena, LONG_NAME);
    memset(name, 'n', LONG_NAME);
    const struct {
        const char *word;
        struct str value;
    } strings[] = {{"empty", OX_STR("")}, {"unknown", OX_STR("no-such")},
        {"odd", OX_STR("a b/c")}, {"long", ox_str_n(name, LONG_NAME)}, {"null", OX_STR_NULL}};
    /* what it has already, wherever that stands, is not asked again */
    for (size_t i = 0; i < ox_count(strings) - !nullable; i++)
        if (!ox_str_eq(strings[i].value, *at) ||
            (strings[i].value.ptr == NULL) != (at->ptr == NULL))
            ask_with(grid, at, &strings[i].value, sizeof(*at), strings[i].word);
}

static void
vary_value(struct grid *grid, const struct msg_field *field, bool nullable, char *at)
{
    static const struct uuid zero, other = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    switch ((enum msg_kind)field->kind) {
    case MSG_BOOL:
        ask_with(grid, at, &(bool){!*(bool *)at}, sizeof(bool), *(bool *)at ? "false" : "true");
        break;
    case MSG_UUID:
        ask_with(grid, at, &zero, sizeof(zero), "zero");
        ask_with(grid, at, &other, sizeof(other), "unknown");
        break;
    case MSG_STRING:
    case MSG_BYTES:
        vary_string(grid, (struct str *)(void *)at, nullable);
        break;
    case MSG_RECORDS:
        ask_with(grid, at, &(struct msg_records){0}, sizeof(struct str), "null");
        break;
    case MSG_FLOAT64:
        ask_with(grid, at, &(double){-1}, sizeof(double), "-1");
        ask_with(grid, at, &(double){0}, sizeof(double), "0");
        break;
    case MSG_STRUCT:
        walk(grid, field->sub, at);
        break;
    default:
        vary_number(grid, at, msg_kind_size(field));
        break;
    }
}

/* None, null, the first twice; then inside the first. */
static void
vary_array(struct grid *grid, const struct msg_field *field, bool nullable, char *at)
{
    struct msg_int8s *array = (struct msg_int8s *)(void *)at, kept = *array;
    size_t size = msg_kind_size(field);
    if (kept.count != 0)
        ask_with(grid, at, &(struct msg_int8s){NULL, 0}, sizeof(kept), "empty");
    if (nullable && kept.count >= 0)
        ask_with(grid, at, &(struct msg_int8s){NULL, -1}, sizeof(kept), "null");
    if (kept.count <= 0)
        return;
    char *twice = ox_arena_alloc(&text_arena, size * 2);
    memcpy(twice, kept.at, size);
    memcpy(twice + size, kept.at, size);
    ask_with(grid, at, &(struct msg_int8s){(void *)twice, 2}, sizeof(kept), "twice");
    size_t len = strlen(grid->path);
    snprintf(grid->path + len, sizeof(grid->path) - len, ".0");
    vary_value(grid, field, false, (char *)kept.at);
    grid->path[len] = '\0';
}

static void
vary_pointer(struct grid *grid, const struct msg_field *field, char *at)
{
    void *inside = *(void **)(void *)at;
    if (inside == NULL)
        return;
    ask_with(grid, at, &(void *){NULL}, sizeof(void *), "null");
    walk(grid, field->sub, inside);
}

static void
walk(struct grid *grid, const struct msg_struct *st, char *at)
{
    size_t len = strlen(grid->path);
    for (unsigned i = 0; i < st->field_count; i++) {
        const struct msg_field *field = &st->fields[i];
        bool nullable = grid->version >= field->null_from && grid->version <= field->null_to;
        if (grid->version < field->from || grid->version > field->to ||
            left_alone(grid, field->name))
            continue;
        snprintf(grid->path + len, sizeof(grid->path) - len, "%s%s", len ? "." : "", field->name);
        if (field->flags & MSG_ARRAY)
            vary_array(grid, field, nullable, at + field->offset);
        else if (field->flags & MSG_POINTER)
            vary_pointer(grid, field, at + field->offset);
        else
            vary_value(grid, field, nullable, at + field->offset);
        grid->path[len] = '\0';
    }
}

/* Neighbours that answer the same stand on one line. */
static void
all_versions(const struct msg_api *api, const void *request, int first)
{
    const char *last = NULL;
    for (int version = first; version <= api->request->to + 1; version++) {
        const char *answer =
            version <= api->request->to ? wire_ask(api, version, request) : NULL;
        if (last != NULL && (answer == NULL || strcmp(answer, last) != 0)) {
            printf("%s %d", api->name, first);
            if (first < version - 1)
                printf("..%d", version - 1);
            printf(": %s\n", last);
            first = version;
        }
        last = answer;
    }
}

void
grid_run(const struct msg_api *api, void *request, const char *leave)
{
    struct grid grid = {.api = api, .request = request, .version = api->request->to,
        .leave = leave};
    const char *from = strchr(leave, '@');
    all_versions(api, request, from != NULL ? atoi(from + 1) : api->request->from);
    walk(&grid, api->request->top, request);
}
