/* SPDX-License-Identifier: Apache-2.0
 *
 * Record batches from text and back, for tests that read what they wrote.
 *
 *   batches pack     lines to batches: "= CODEC PRODUCER EPOCH SEQUENCE TRANSACTIONAL" begins one
 *   batches unpack   batches to lines, each with its offset in front
 *
 * A record is a line TIMESTAMP tab KEY tab VALUE tab HEADERS; \N is null, headers are
 * NAME=VALUE or NAME (null), with commas between them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "log/record_batch.h"

static void
die(const char *why)
{
    fprintf(stderr, "batches: %s\n", why);
    exit(1);
}

/* ---- pack ---- */

static void
batch_end(struct record_builder *builder)
{
    struct slice slice;
    struct ox_err err;
    if (builder->count == 0)
        return;
    if (record_builder_finish(builder, &slice, &err) != OX_OK)
        die(err.message);
    fwrite(ox_slice_ptr(&slice), 1, slice.len, stdout);
    ox_buf_put(slice.buf);
}

static void
batch_begin(struct record_builder *builder, const char *line)
{
    struct record_builder_config config = RECORD_BUILDER_PLAIN;
    long long producer;
    int codec, epoch, sequence, transactional;
    if (sscanf(line, "= %d %lld %d %d %d", &codec, &producer, &epoch, &sequence, &transactional) != 5)
        die("no batch");
    config.codec = (enum ox_codec)codec;
    config.producer_id = producer;
    config.producer_epoch = (int16_t)epoch;
    config.base_sequence = sequence;
    config.transactional = transactional != 0;
    record_builder_begin(builder, &config);
}

static struct str
field(char **line)
{
    char *text = strsep(line, "\t");
    if (text == NULL)
        die("no record");
    return strcmp(text, "\\N") == 0 ? OX_STR_NULL : ox_str(text);
}

static void
add_line(struct record_builder *builder, char *line)
{
    struct record_header headers[16];
    int32_t count = 0;
    char *word;
    int64_t timestamp = strtoll(line, &line, 10);
    line++;
    struct str key = field(&line), value = field(&line);
    while (line != NULL && *line != '\0' && count < 16 && (word = strsep(&line, ",")) != NULL) {
        char *equals = strchr(word, '=');
        headers[count].value = equals != NULL ? ox_str(equals + 1) : OX_STR_NULL;
        if (equals != NULL)
            *equals = '\0';
        headers[count++].key = ox_str(word);
    }
    record_builder_add(builder, timestamp, key, value, headers, count);
}

static void
pack(void)
{
    struct record_builder builder;
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    record_builder_init(&builder);
    batch_begin(&builder, "= 0 -1 -1 -1 0");
    while ((len = getline(&line, &room, stdin)) > 0) {
        line[len - 1] = '\0';
        if (line[0] != '=') {
            add_line(&builder, line);
            continue;
        }
        batch_end(&builder);
        batch_begin(&builder, line);
    }
    batch_end(&builder);
    record_builder_fini(&builder);
    free(line);
}

/* ---- unpack ---- */

static void
print_field(struct str s, char after)
{
    if (s.ptr == NULL)
        fputs("\\N", stdout);
    else
        fwrite(s.ptr, 1, s.len, stdout);
    putchar(after);
}

static void
print_record(const struct record *record)
{
    struct wire_in in = record_headers(record);
    struct record_header header;
    printf("%lld\t%lld\t", (long long)record->offset, (long long)record->timestamp);
    print_field(record->key, '\t');
    print_field(record->value, '\t');
    for (int32_t i = 0; i < record->header_count && record_header_next(&in, &header); i++) {
        printf("%s%.*s%s", i == 0 ? "" : ",", OX_STR_ARG(header.key),
            header.value.ptr != NULL ? "=" : "");
        if (header.value.ptr != NULL)
            fwrite(header.value.ptr, 1, header.value.len, stdout);
    }
    putchar('\n');
}

static void
print_batch(const struct record_batch *batch, struct text *scratch)
{
    struct record_iter iter;
    struct record record;
    struct ox_err err;
    if (record_iter_init(&iter, batch, scratch, INT32_MAX, &err) != OX_OK)
        die(err.message);
    while (record_iter_next(&iter, &record))
        print_record(&record);
    if (iter.failed)
        die(iter.fault);
}

static void
unpack(void)
{
    struct arena arena;
    struct text all, scratch;
    char piece[65536];
    size_t n;
    ox_arena_init(&arena);
    ox_text_init(&all, &arena);
    ox_text_init(&scratch, &arena);
    while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0)
        ox_text_add(&all, piece, n);
    for (size_t at = 0; at < all.len;) {
        struct record_batch batch;
        struct ox_err err;
        if (record_batch_decode(all.ptr + at, all.len - at, &batch, &err) != OX_OK)
            die(err.message);
        if (!record_batch_is_control(&batch))
            print_batch(&batch, &scratch);
        at += batch.bytes;
    }
    ox_arena_fini(&arena);
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "pack") == 0)
        pack();
    else if (argc == 2 && strcmp(argv[1], "unpack") == 0)
        unpack();
    else
        die("pack or unpack?");
    return fflush(stdout) == 0 ? 0 : 1;
}
