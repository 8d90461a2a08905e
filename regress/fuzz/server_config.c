/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration files: what is read of one can be stored, has its canonical
 * form, names no setting twice, and is the same when it is read again. */
#include <stdlib.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/env.h"
#include "base/file_sim.h"
#include "server/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
write_file(struct file_system *fs, const char *path, const uint8_t *data, size_t len)
{
    struct file *file;
    ox_code code = fs_open(fs, "test", path, FILE_WRITE | FILE_CREATE, &file, NULL);
    if (code == OX_OK && len > 0)
        code = file_pwrite(fs, "test", file, data, len, 0, NULL);
    ox_assert(code == OX_OK);
    fs_close(fs, file);
}

static void
check_setting(const struct meta_setting *setting, struct arena *arena,
    struct server_config *config)
{
    struct str again;
    struct str value = ox_str(setting->value);
    ox_assert((setting->param->change != PARAM_RESTART || setting->listener != NULL) &&
              !setting->fixed);
    ox_assert(param_canonical(setting->param, PARAM_PEOPLE, value, arena, &again, NULL) == OX_OK);
    ox_assert(ox_str_eq(value, again));
    ox_assert(param_store(setting->param, value, config, NULL) == OX_OK);
}

static bool
same(const struct meta_setting *a, const struct meta_setting *b)
{
    return a->param == b->param && (a->listener == NULL) == (b->listener == NULL) &&
        (a->listener == NULL || strcmp(a->listener, b->listener) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static FILE *nowhere;
    struct server_options options = {.config_file = "/oxbow.conf"};
    struct env env = *env_os();
    struct server_config config;
    struct meta_setting *first, *second;
    size_t count, again;
    if (nowhere == NULL) {
        nowhere = fopen("/dev/null", "w");
        for (int i = 0; i < ox_logger_count(); i++)
            ox_logger_set(i, ox_logger_level_find("FATAL", 5));
    }
    struct file_sim *sim = file_sim_new(1);
    env.fs = file_sim_fs(sim);
    options.env = &env;
    options.faults = nowhere;
    ox_arena_init(&options.arena);
    write_file(env.fs, options.config_file, data, len);
    ox_code code = server_options_reload(&options, &options.arena, &first, &count, NULL);
    ox_assert(server_options_reload(&options, &options.arena, &second, &again, NULL) == code);
    ox_assert(count == again);
    param_defaults(PARAM_SCOPE_SERVER, &config);
    for (size_t i = 0; i < count; i++) {
        check_setting(&first[i], &options.arena, &config);
        ox_assert(first[i].param == second[i].param);
        ox_assert(strcmp(first[i].value, second[i].value) == 0);
        for (size_t j = 0; j < i; j++)
            ox_assert(!same(&first[i], &first[j]));
    }
    ox_arena_fini(&options.arena);
    file_sim_free(sim);
    return 0;
}
