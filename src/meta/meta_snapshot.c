/* SPDX-License-Identifier: Apache-2.0
 *
 * A snapshot of the metadata state: what raft stores, and sends to a node that
 * is too far behind, instead of old log entries.
 *
 *     "OXMS"  i16 version 1  i16 0  i64 raft index  16 bytes incarnation
 *     i16 length and bytes of the cluster id
 *     i32 length of the database  u32 CRC-32C of everything but these 4 bytes
 *     the catalog as a SQLite image
 *
 * Raft tells the receiver neither index nor cluster, so the header does. */
#include <raft.h>

#include "base/crc32c.h"
#include "meta/meta_int.h"

enum { SNAPSHOT_VERSION = 1, SNAPSHOT_BYTES_MAX = 1 << 30 };

static const char snapshot_magic[4] = {'O', 'X', 'M', 'S'};

static uint32_t
snapshot_crc(const void *head, size_t head_len, const void *database, size_t len)
{
    return ox_crc32c(ox_crc32c(0, head, head_len), database, len);
}

ox_code
meta_snapshot_encode(struct catalog_writer *catalog, const struct image *image, void **ptr,
    size_t *len, struct ox_err *err)
{
    struct text head;
    struct wire_out out = wire_out(&head);
    void *database;
    size_t database_len;
    ox_code code = catalog_writer_commit(catalog, image, err);
    if (code == OX_OK)
        code = catalog_image_take(catalog, &database, &database_len, err);
    if (code != OX_OK)
        return code;
    if (database_len > SNAPSHOT_BYTES_MAX) {
        catalog_image_free(database);
        return ox_fail(err, OX_LIMIT_EXCEEDED, "catalog of %zu bytes is too large", database_len);
    }
    ox_text_init(&head, NULL);
    wire_put_bytes(&out, snapshot_magic, 4);
    wire_put16(&out, SNAPSHOT_VERSION);
    wire_put16(&out, 0);
    wire_put64(&out, (int64_t)image->view.pub.index);
    wire_put_bytes(&out, image->incarnation.bytes, 16);
    wire_put16(&out, (int16_t)image->view.pub.cluster_id.len);
    wire_put_bytes(&out, image->view.pub.cluster_id.ptr, image->view.pub.cluster_id.len);
    wire_put32(&out, (int32_t)database_len);
    wire_put32(&out, (int32_t)snapshot_crc(head.ptr, head.len, database, database_len));
    *len = head.len + database_len;
    *ptr = raft_malloc((*len + 7) & ~(size_t)7);
    if (*ptr == NULL) {
        code = ox_fail_plain(err, OX_OUT_OF_MEMORY);
    } else {
        memcpy(*ptr, head.ptr, head.len);
        memcpy((char *)*ptr + head.len, database, database_len);
    }
    ox_text_fini(&head);
    catalog_image_free(database);
    return code;
}

ox_code
meta_snapshot_decode(const void *ptr, size_t len, struct snapshot_facts *out, struct ox_err *err)
{
    struct wire_in in = wire_in(ptr, len);
    const uint8_t *magic = wire_skip(&in, 4);
    bool known = magic != NULL && memcmp(magic, snapshot_magic, 4) == 0;
    known &= wire_get16(&in) == SNAPSHOT_VERSION;
    wire_get16(&in);
    out->index = (uint64_t)wire_get64(&in);
    const uint8_t *incarnation = wire_skip(&in, 16);
    int16_t id_len = wire_get16(&in);
    const uint8_t *id = id_len >= 0 && id_len <= META_CLUSTER_ID_MAX
        ? wire_skip(&in, (size_t)id_len)
        : NULL;
    int32_t database_len = wire_get32(&in);
    size_t head_len = (size_t)(in.at - (const uint8_t *)ptr);
    uint32_t crc = (uint32_t)wire_get32(&in);
    if (!known || in.failed || id == NULL || incarnation == NULL || database_len < 0 ||
        (size_t)database_len != wire_left(&in))
        return ox_fail(err, OX_DATA_CORRUPTED, "metadata snapshot has a bad header");
    if (snapshot_crc(ptr, head_len, in.at, (size_t)database_len) != crc)
        return ox_fail(err, OX_DATA_CORRUPTED, "metadata snapshot's checksum does not match");
    memcpy(out->incarnation.bytes, incarnation, 16);
    out->cluster_id = ox_str_n(id, (size_t)id_len);
    out->database = ox_str_n(in.at, (size_t)database_len);
    return OX_OK;
}
