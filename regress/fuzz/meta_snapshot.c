/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes what a leader may send as a snapshot. The first byte chooses: the
 * header with its checksum, or the database behind it, which is restored into a
 * catalog and loaded. */
#include <stdlib.h>

#include "meta/meta_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct catalog_writer *
some_catalog(void)
{
    static struct catalog_writer *catalog;
    static char dir[] = "/tmp/fuzz_meta_XXXXXX";
    struct uuid incarnation = {{1}};
    struct ox_err err;
    if (catalog == NULL && mkdtemp(dir) != NULL)
        catalog_writer_open(env_os(), dir, OX_STR("fuzz"), &incarnation, &catalog, &err);
    ox_assert(catalog != NULL);
    return catalog;
}

static void
restore(const uint8_t *data, size_t len)
{
    struct catalog_writer *catalog = some_catalog();
    struct image image;
    struct ox_err err;
    meta_image_init(&image, meta_settings_statics_new(NULL, 0), 1);
    if (catalog_image_restore(catalog, data, len, &err) == OX_OK)
        catalog_writer_load(catalog, &image, &err);
    meta_image_fini(&image, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct snapshot_facts facts;
    struct ox_err err;
    if (len == 0)
        return 0;
    if (data[0] & 1)
        restore(data + 1, len - 1);
    else
        meta_snapshot_decode(data + 1, len - 1, &facts, &err);
    return 0;
}
