/* SPDX-License-Identifier: Apache-2.0
 *
 * meta.properties, as Kafka writes it:
 *
 *     #
 *     #Sat Nov 21 10:00:00 UTC 2026
 *     cluster.id=base64
 *     directory.id=base64
 *     node.id=1
 *     version=1
 *
 * A directory that Kafka formatted is read as well (version 0 says broker.id and
 * has no directory.id). */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "meta/meta.h"

enum { PROPERTIES_MAX = 65536 };

static struct str
trim(struct str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s.ptr++, s.len--;
    while (s.len > 0 && strchr(" \t\r", s.ptr[s.len - 1]) != NULL)
        s.len--;
    return s;
}

/* One "name=value" line; what we do not know is left alone. */
static bool
take_property(struct str name, struct str value, struct meta_identity *out)
{
    int64_t number;
    if (ox_str_is(name, "cluster.id")) {
        if (value.len == 0 || value.len > META_CLUSTER_ID_MAX)
            return false;
        memcpy(out->cluster_id, value.ptr, value.len);
        out->cluster_id[value.len] = 0;
        return true;
    }
    if (ox_str_is(name, "node.id") || ox_str_is(name, "broker.id")) {
        if (!ox_str_to_i64(value, &number) || number < 0 || number > INT32_MAX)
            return false;
        out->node_id = (int32_t)number;
        return true;
    }
    if (ox_str_is(name, "directory.id"))
        return ox_uuid_from_base64(value, &out->directory_id);
    if (ox_str_is(name, "version"))
        return ox_str_is(value, "0") || ox_str_is(value, "1");
    return true;
}

static ox_code
parse(struct str text, const char *path, struct meta_identity *out, struct ox_err *err)
{
    int line = 0;
    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        struct str rest = ox_str_n(text.ptr, end != NULL ? (size_t)(end - text.ptr) : text.len);
        text.len -= rest.len + (end != NULL);
        text.ptr += rest.len + (end != NULL);
        line++;
        rest = trim(rest);
        if (rest.len == 0 || rest.ptr[0] == '#')
            continue;
        const char *eq = memchr(rest.ptr, '=', rest.len);
        size_t name_len = eq != NULL ? (size_t)(eq - rest.ptr) : rest.len;
        struct str value = eq != NULL ? trim(ox_str_n(eq + 1, rest.len - name_len - 1))
            : OX_STR("");
        if (!take_property(trim(ox_str_n(rest.ptr, name_len)), value, out))
            return ox_fail(err, OX_DATA_CORRUPTED, "\"%s\" line %d cannot be understood", path,
                line);
    }
    if (out->cluster_id[0] == 0 || out->node_id < 0)
        return ox_fail(err, OX_DATA_CORRUPTED, "\"%s\" names no cluster or no node", path);
    return OX_OK;
}

ox_code
meta_identity_read(struct file_system *fs, const char *dir, struct meta_identity *out,
    struct ox_err *err)
{
    struct arena arena;
    char *ptr;
    size_t len;
    memset(out, 0, sizeof(*out));
    out->node_id = -1;
    ox_arena_init(&arena);
    char *path = ox_arena_printf(&arena, "%s/meta.properties", dir);
    ox_code code = file_read_all(fs, path, PROPERTIES_MAX, &arena, &ptr, &len, err);
    if (code == OX_OK)
        code = parse(ox_str_n(ptr, len), path, out, err);
    ox_arena_fini(&arena);
    return code;
}

ox_code
meta_identity_write(struct file_system *fs, const char *dir, const struct meta_identity *identity,
    struct ox_err *err)
{
    char path[4200], text[512], directory[23];
    ox_uuid_to_base64(&identity->directory_id, directory);
    snprintf(path, sizeof(path), "%s/meta.properties", dir);
    int len = snprintf(text, sizeof(text),
        "#\ncluster.id=%s\ndirectory.id=%s\nnode.id=%d\nversion=1\n", identity->cluster_id,
        directory, identity->node_id);
    return file_replace(fs, "meta.identity", path, text, (size_t)len, err);
}
