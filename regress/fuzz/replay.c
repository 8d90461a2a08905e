/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands in for libFuzzer where there is none: feeds a target its seeds, and
 * each seed a few hundred times with bytes changed by a seeded generator. The
 * target's name is the program's, behind "fuzz_"; regress/fuzz/seed/NAME holds
 * its seeds. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { SEED_MAX = 1 << 20, ROUNDS = 400 };

static struct rand_state rng = {20261121};

static void
run(const uint8_t *data, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1); /* so that ASan sees a read past it */
    if (len > 0)
        memcpy(exact, data, len);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

static void
run_changed(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len + 1);
    for (int round = 0; round < ROUNDS && len > 0; round++) {
        memcpy(copy, data, len);
        size_t used = ox_rand_below(&rng, 4) ? len : 1 + ox_rand_below(&rng, len);
        for (uint64_t n = ox_rand_below(&rng, 4); n > 0; n--)
            copy[ox_rand_below(&rng, used)] = (uint8_t)ox_rand(&rng);
        run(copy, used);
    }
    free(copy);
}

static int
run_folder(const char *path)
{
    static uint8_t bytes[SEED_MAX];
    char name[2048];
    int count = 0;
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        FILE *file = fopen(name, "rb");
        if (file == NULL)
            continue;
        size_t len = fread(bytes, 1, sizeof(bytes), file);
        fclose(file);
        run(bytes, len);
        run_changed(bytes, len);
        count++;
    }
    if (dir != NULL)
        closedir(dir);
    return count;
}

int
main(int argc, char **argv)
{
    char path[1024];
    const char *target = strstr(argv[0], "fuzz_"), *top = getenv("OX_TOP");
    snprintf(path, sizeof(path), "%s/regress/fuzz/seed/%s", top ? top : ".",
        target ? target + 5 : "");
    int count = run_folder(argc > 1 ? argv[1] : path);
    run((const uint8_t *)"", 0);
    if (count == 0)
        printf("1..0 # SKIP no seeds in %s\n", path);
    else
        printf("ok 1 - %d seeds and what they change into\n1..1\n", count);
    return 0;
}
