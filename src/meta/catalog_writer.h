/* SPDX-License-Identifier: Apache-2.0
 *
 * The catalog as the meta thread writes it: catalog.db, one transaction a turn. */
#ifndef META_CATALOG_WRITER_H
#define META_CATALOG_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct catalog_writer;
struct env;
struct image;
struct meta_broker;
struct meta_config_set;
struct meta_partition;
struct meta_topic;
struct queries;

/* Open DIR/catalog.db. One that is missing, damaged or of another log is made
 * anew and empty: the log fills it again. */
ox_code catalog_writer_open(const struct env *env, const char *dir, struct str cluster_id,
    const struct uuid *incarnation, struct catalog_writer **out, struct ox_err *err);
/* Forget everything, as if it had been missing. */
ox_code catalog_writer_reset(struct catalog_writer *catalog, struct ox_err *err);
void catalog_writer_close(struct catalog_writer *catalog); /* NULL is allowed */
/* It turned out to be damaged: closing removes it, the next start makes it anew. */
void catalog_writer_condemn(struct catalog_writer *catalog);

/* Fill an empty image from the tables.
 * Fails:  OX_DATA_CORRUPTED when they contradict themselves */
ox_code catalog_writer_load(struct catalog_writer *catalog, struct image *image,
    struct ox_err *err);

/* Raft index that the tables account for. */
uint64_t catalog_writer_index(const struct catalog_writer *catalog);

/* An entry was applied; opens the transaction when there is none. */
ox_code catalog_writer_begin(struct catalog_writer *catalog, struct ox_err *err);
ox_code catalog_writer_commit(struct catalog_writer *catalog, const struct image *image,
    struct ox_err *err);
struct queries *catalog_writer_queries(struct catalog_writer *catalog);

ox_code catalog_partition_put(struct catalog_writer *catalog, uint32_t oid,
    const struct meta_partition *part, struct ox_err *err);
ox_code catalog_broker_put(struct catalog_writer *catalog, const struct meta_broker *broker,
    struct ox_err *err);
/* Make the rows of a resource equal to set (NULL: none). */
ox_code catalog_config_put(struct catalog_writer *catalog, int resource, struct str name,
    const struct meta_config_set *set, struct ox_err *err);

/* The whole database as bytes, freed with catalog_image_free(), and back. */
ox_code catalog_image_take(struct catalog_writer *catalog, void **ptr, size_t *len,
    struct ox_err *err);
void catalog_image_free(void *ptr);
ox_code catalog_image_restore(struct catalog_writer *catalog, const void *ptr, size_t len,
    struct ox_err *err);

#endif
