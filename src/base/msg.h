/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages declared in grammar/: one decoder and one encoder, driven by tables
 * that src/gen/msg.pl makes from the .msg files. For each message X the
 * generated header has a plain struct X and the inline functions X_decode,
 * X_encode, X_size, X_init, X_print, which call what stands here.
 *
 * In memory: strings and bytes are struct str (ptr NULL is null) that point into
 * the input; arrays are { at, count } (count -1 is null) in the caller's arena;
 * a nullable struct is a pointer, any other struct stands inline. What a version
 * does not carry has its default after decoding and is left out when encoding. */
#ifndef BASE_MSG_H
#define BASE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/wire.h"

/* No array of a message may have more elements. */
enum { MSG_ARRAY_MAX = LIMIT_ARRAY_ELEMENTS_VALUE };

/* ---- fields of generated structs ---- */

#define MSG_ARRAY_OF(name, type) \
    struct name {                \
        type *at;                \
        int32_t count;           \
    }
MSG_ARRAY_OF(msg_bools, bool);
MSG_ARRAY_OF(msg_int8s, int8_t);
MSG_ARRAY_OF(msg_int16s, int16_t);
MSG_ARRAY_OF(msg_int32s, int32_t);
MSG_ARRAY_OF(msg_int64s, int64_t);
MSG_ARRAY_OF(msg_uuids, struct uuid);
MSG_ARRAY_OF(msg_strs, struct str);

/* Record batches: bytes here, or (splice not NULL) splice_len bytes that the
 * encoder leaves out and whoever sends puts in, e.g. from a file. */
struct msg_records {
    struct str bytes;
    const void *splice;
    size_t splice_len;
};

/* ---- generated tables ---- */

enum msg_kind {
    MSG_BOOL,
    MSG_INT8,
    MSG_INT16,
    MSG_INT32,
    MSG_INT64,
    MSG_UINT16,
    MSG_UINT32,
    MSG_FLOAT64,
    MSG_UUID,
    MSG_STRING,
    MSG_BYTES,
    MSG_RECORDS,
    MSG_STRUCT,
};

enum msg_flags {
    MSG_ARRAY = 1,
    MSG_DEFAULT_NULL = 2,
    MSG_FLAT = 4,    /* a string with int16 length in flexible versions too */
    MSG_POINTER = 8, /* a struct that may be null */
};

struct msg_struct;

struct msg_field {
    const char *name;
    const struct msg_struct *sub; /* MSG_STRUCT */
    int64_t initial;              /* default of a number */
    uint16_t offset;
    uint8_t kind, flags;
    uint8_t from, to;           /* versions that carry it */
    uint8_t null_from, null_to; /* versions in which it may be null */
    int8_t tag;                 /* -1: not tagged */
};

struct msg_struct {
    const struct msg_field *fields; /* tagged ones last, by rising tag */
    uint16_t field_count, plain_count;
    uint32_t size;     /* in memory */
    uint16_t wire_min; /* bytes, at least, in any version */
};

struct msg_type {
    const char *name;
    const struct msg_struct *top;
    uint8_t from, to;
    uint8_t flexible; /* first flexible version; 255: none */
};

struct msg_api {
    int16_t key;
    const char *name;
    const struct msg_type *request, *response;
};

/* ---- decoding ---- */

/* Fills *out. Counts are checked against the bytes left and against the arena's
 * cap before anything is reserved; unknown tagged fields are skipped. False (and
 * in->failed) for whatever is not a well-formed message; *out is then not to be
 * used. Bytes behind the message are left in `in`. */
bool msg_decode(const struct msg_type *type, struct wire_in *in, int version,
    struct arena *arena, void *out);

/* ---- encoding ---- */

/* Where bytes are to be put in: before the byte at pos of the text. */
struct msg_splice {
    size_t pos;
    const void *splice;
    size_t len;
};
struct msg_splices {
    struct arena *arena;
    struct msg_splice *at;
    size_t count, cap;
    /* A text of more bytes is not gone on with when memory is over its limit; 0: it is. Then
     * `cut` is set: what was written is of no use, all splices are listed all the same. */
    size_t most;
    bool cut;
};

/* Writes the message; out->len grows by its length, splices included. splices
 * may be NULL for a message that has none. Null where the version has no null
 * is written as empty. */
void msg_encode(const struct msg_type *type, const void *msg, int version,
    struct wire_out *out, struct msg_splices *splices);
size_t msg_size(const struct msg_type *type, const void *msg, int version);

/* Bytes in memory of one value: of an element, where the field is an array. */
size_t msg_kind_size(const struct msg_field *field);

/* Stores a value (not an array) in a field's type: bool whether it is not 0, a double, else
 * its low bits. False where the field holds no number; *to is then as before. */
bool msg_set_number(const struct msg_field *field, void *to, int64_t value);

/* Sets every field to its default. */
void msg_init(const struct msg_struct *st, void *out);

/* The fields of that version as text, in the manner of JSON. For diagnostics and
 * tests: bytes are shown by their length. */
void msg_print(const struct msg_type *type, const void *msg, int version, struct text *out);

#endif
