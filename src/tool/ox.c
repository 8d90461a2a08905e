/* SPDX-License-Identifier: Apache-2.0
 *
 * ox: work on a data directory whose server is stopped: initialise it, give it
 * users, print its files, check them. --help says how.
 *
 * dump and verify only read. format and user open the metadata as the server
 * does, with its lock, and propose the commands that a running one would. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/env.h"
#include "base/file.h"
#include "base/wire.h"
#include "config.h"
#include "log/log.h"
#include "meta/meta.h"
#include "tool/ox.h"

struct options {
    const char *cluster_id;
    int32_t node_id;
    bool records, values;
    struct ox_users users;
};

static int
fail(const struct ox_err *err)
{
    fprintf(stderr, "ox: %s\n", err->message);
    if (err->detail[0] != '\0')
        fprintf(stderr, "detail: %s\n", err->detail);
    if (err->hint[0] != '\0')
        fprintf(stderr, "hint: %s\n", err->hint);
    return 2;
}

static const char help[] =
    "ox works on a data directory whose server is stopped.\n\n"
    "Usage: ox format DIR [--cluster-id ID] [--node-id N] [USER OPTION]...\n"
    "       ox user DIR USER OPTION...\n"
    "       ox dump FILE... [--records] [--values]\n"
    "       ox verify DIR...\n\n"
    "  format   initialise a data directory; the server does so itself if there is\n"
    "           nothing to be set before its first start\n"
    "  user     add users and passwords to a directory that is initialised\n"
    "  dump     print .log, .index, .timeindex, .txnindex and .snapshot files\n"
    "  verify   check every batch and index of partition directories, or of all\n"
    "           partitions of log directories\n\n"
    "  --cluster-id ID    id of the cluster (a new one)\n"
    "  --node-id N        number of the node (1)\n"
    "  --records          dump records, too, not only batches\n"
    "  --values           and their keys and values\n"
    "  --help, --version\n\n"
    "User options, which may be repeated:\n"
    "  --add-scram 'SCRAM-SHA-256=[name=NAME,password=PASSWORD]'\n"
    "                     a user's password, in the words of Kafka's kafka-storage\n"
    "  --superuser NAME   a user who may do everything\n\n"
    "Exit status: 0 if all is well, 1 if there are problems, 2 if it could not be done.\n";

/* Says what is wrong with the command line, and where to read more. */
static int misused(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int
misused(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("ox: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\nTry \"ox --help\".\n", stderr);
    va_end(args);
    return 2;
}

static bool
ends_with(const char *name, const char *suffix)
{
    size_t len = strlen(name), tail = strlen(suffix);
    return len >= tail && strcmp(name + len - tail, suffix) == 0;
}

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* ---- format ---- */

/* Metadata first: it makes the identity that the log directory then takes. */
static ox_code
format_directory(const char *path, const struct options *options,
    const struct meta_command *users, struct ox_err *err)
{
    const struct env *env = env_os();
    struct meta_config meta_config = {.dir = path, .node_id = options->node_id,
        .cluster_id = options->cluster_id, .format = true, .manual = true};
    struct log_dir_config log_config;
    struct log_dir *dir;
    struct meta *meta;
    ox_code rc = fs_mkdir(env->fs, "format.mkdir", path, err);
    if (rc != OX_OK && rc != OX_FILE_EXISTS)
        return rc;
    rc = meta_open(&meta_config, env, &meta, err);
    if (rc != OX_OK)
        return rc;
    log_dir_config_init(&log_config);
    log_config.path = path;
    log_config.cluster_id = meta_identity(meta)->cluster_id;
    log_config.node_id = options->node_id;
    log_config.threads = false;
    rc = log_dir_open(&log_config, env, &dir, err);
    if (rc == OX_OK) {
        rc = ox_users_put(meta, users, err);
        printf("formatted %s cluster.id=%s node.id=%d\n", path, log_dir_cluster_id(dir),
            log_dir_node_id(dir));
        log_dir_close(dir);
    }
    meta_close(meta);
    return rc;
}

static int
run_format(int count, char **args, const struct options *options)
{
    struct ox_err err;
    struct file_stat st;
    char path[4096];
    if (count != 1)
        return misused("format takes one directory");
    snprintf(path, sizeof(path), "%s/meta.properties", args[0]);
    if (fs_stat(file_system_os(), path, &st, NULL) == OX_OK) {
        fprintf(stderr, "ox: \"%s\" is formatted already\n", args[0]);
        return 2;
    }
    struct meta_command users;
    struct arena arena;
    ox_arena_init(&arena);
    ox_code rc = ox_users_read(env_os(), &options->users, &arena, &users, &err);
    if (rc == OX_OK) /* what is wrong in them leaves no directory behind */
        rc = format_directory(args[0], options, &users, &err);
    ox_arena_fini(&arena);
    return rc == OX_OK ? 0 : fail(&err);
}

static int
run_user(int count, char **args, const struct options *options)
{
    struct meta_config config = {.dir = count == 1 ? args[0] : "", .node_id = -1, .manual = true};
    struct meta_command users;
    struct arena arena;
    struct meta *meta;
    struct ox_err err;
    if (count != 1)
        return misused("user takes one directory");
    if (options->users.scram_count + options->users.superuser_count == 0)
        return misused("user needs --add-scram or --superuser");
    ox_arena_init(&arena);
    ox_code rc = ox_users_read(env_os(), &options->users, &arena, &users, &err);
    if (rc == OX_OK)
        rc = meta_open(&config, env_os(), &meta, &err);
    if (rc == OX_OK) {
        rc = ox_users_put(meta, &users, &err);
        meta_close(meta);
    }
    ox_arena_fini(&arena);
    return rc == OX_OK ? 0 : fail(&err);
}

/* ---- dump: segments ---- */

/* Text as it is, anything else as hexadecimal. */
static void
print_bytes(const char *name, struct str bytes)
{
    if (bytes.ptr == NULL) {
        printf(" %s: null", name);
        return;
    }
    bool plain = ox_utf8_valid(bytes.ptr, bytes.len);
    for (size_t i = 0; i < bytes.len && plain; i++)
        plain = (unsigned char)bytes.ptr[i] >= ' ';
    printf(" %s: ", name);
    if (plain) {
        printf("%.*s", OX_STR_ARG(bytes));
        return;
    }
    printf("\\x");
    for (size_t i = 0; i < bytes.len; i++)
        printf("%02x", (unsigned char)bytes.ptr[i]);
}

static void
print_headers(const struct record *record)
{
    struct wire_in in = record_headers(record);
    struct record_header header;
    printf(" headerKeys: [");
    for (int32_t i = 0; record_header_next(&in, &header); i++)
        printf("%s%.*s", i > 0 ? "," : "", OX_STR_ARG(header.key));
    printf("]");
}

static void
print_control(const struct record_batch *batch)
{
    struct control_record control;
    if (record_batch_control(batch, &control, NULL) != OX_OK)
        return;
    if (control.type == CONTROL_UNKNOWN)
        printf(" endTxnMarker: UNKNOWN");
    else
        printf(" endTxnMarker: %s coordinatorEpoch: %d",
            control.type == CONTROL_COMMIT ? "COMMIT" : "ABORT", control.coordinator_epoch);
}

static bool
print_records(const struct record_batch *batch, bool values, struct text *scratch)
{
    struct record_iter iter;
    struct record record;
    struct ox_err err;
    if (record_iter_init(&iter, batch, scratch, (size_t)1 << 30, &err) != OX_OK) {
        printf("| records cannot be read: %s\n", err.message);
        return false;
    }
    while (record_iter_next(&iter, &record)) {
        printf("| offset: %lld CreateTime: %lld keySize: %lld valueSize: %lld",
            (long long)record.offset, (long long)record.timestamp,
            record.key.ptr ? (long long)record.key.len : -1LL,
            record.value.ptr ? (long long)record.value.len : -1LL);
        if (batch->base_sequence >= 0)
            printf(" sequence: %lld",
                (long long)batch->base_sequence + (record.offset - batch->base_offset));
        print_headers(&record);
        if (record_batch_is_control(batch))
            print_control(batch);
        if (values) {
            print_bytes("key", record.key);
            print_bytes("payload", record.value);
        }
        printf("\n");
    }
    if (iter.failed)
        printf("| record %d is not valid: %s\n", iter.index, iter.fault);
    return !iter.failed;
}

static void
print_batch(const struct record_batch *batch, uint64_t pos, bool valid)
{
    printf("baseOffset: %lld lastOffset: %lld count: %d baseSequence: %d lastSequence: %d "
           "producerId: %lld producerEpoch: %d partitionLeaderEpoch: %d isTransactional: %s "
           "isControl: %s deleteHorizonMs: ",
        (long long)batch->base_offset, (long long)record_batch_last_offset(batch), batch->count,
        batch->base_sequence,
        batch->base_sequence < 0
            ? -1 : (int)(((uint32_t)batch->base_sequence + (uint32_t)batch->last_offset_delta) &
                         INT32_MAX),
        (long long)batch->producer_id, batch->producer_epoch, batch->leader_epoch,
        record_batch_is_transactional(batch) ? "true" : "false",
        record_batch_is_control(batch) ? "true" : "false");
    if (batch->attributes & RECORD_DELETE_HORIZON)
        printf("%lld", (long long)batch->base_timestamp);
    else
        printf("none");
    int codec = batch->attributes & RECORD_CODEC_MASK;
    printf(" position: %llu %s: %lld size: %zu magic: %d compresscodec: %s crc: %u isvalid: %s\n",
        (unsigned long long)pos,
        batch->attributes & RECORD_LOG_APPEND_TIME ? "LogAppendTime" : "CreateTime",
        (long long)batch->max_timestamp, batch->bytes, batch->magic,
        codec < OX_CODEC_COUNT ? ox_codec_name((enum ox_codec)codec) : "unknown", batch->crc,
        valid ? "true" : "false");
}

/* One batch at pos; false at the end of what can be read. */
static bool
dump_batch(struct file *file, uint64_t *pos, uint64_t size, const struct options *options,
    struct buf **buf, struct text *scratch, int *exit_code)
{
    struct file_system *fs = file_system_os();
    uint8_t header[RECORD_BATCH_HEADER];
    struct record_batch batch;
    struct ox_err err;
    size_t got;
    ox_code rc = fs_pread(fs, file, header, sizeof(header), *pos, &got, &err);
    if (rc == OX_OK)
        rc = record_batch_decode(header, got, &batch, &err);
    if (rc == OX_OK && batch.bytes > size - *pos)
        rc = ox_fail(&err, OX_CORRUPT_MESSAGE, "batch of %zu bytes is cut off", batch.bytes);
    if (rc != OX_OK) {
        printf("position: %llu: %s; %llu bytes are left\n", (unsigned long long)*pos, err.message,
            (unsigned long long)(size - *pos));
        *exit_code = 1;
        return false;
    }
    if (*buf == NULL || (*buf)->cap < batch.bytes) {
        ox_buf_put(*buf);
        *buf = ox_buf_new(batch.bytes);
    }
    if (fs_pread(fs, file, (*buf)->ptr, batch.bytes, *pos, &got, &err) != OX_OK)
        return *exit_code = fail(&err), false;
    bool valid = record_batch_check((*buf)->ptr, got, &batch, NULL) == OX_OK;
    print_batch(&batch, *pos, valid);
    if (options->records && valid)
        valid = print_records(&batch, options->values, scratch);
    if (!valid)
        *exit_code = 1;
    *pos += batch.bytes;
    return true;
}

static int
dump_segment(const char *path, const struct options *options)
{
    struct file_system *fs = file_system_os();
    struct file *file;
    struct ox_err err;
    struct text scratch;
    struct buf *buf = NULL;
    uint64_t size, pos = 0;
    int exit_code = 0;
    if (fs_open(fs, "dump.open", path, FILE_READ, &file, &err) != OX_OK)
        return fail(&err);
    ox_text_init(&scratch, NULL);
    printf("Dumping %s\nLog starting offset: %lld\n", path, strtoll(base_name(path), NULL, 10));
    if (fs_size(fs, file, &size, &err) != OX_OK)
        exit_code = fail(&err);
    else
        while (pos < size && dump_batch(file, &pos, size, options, &buf, &scratch, &exit_code))
            ;
    ox_buf_put(buf);
    ox_text_fini(&scratch);
    fs_close(fs, file);
    return exit_code;
}

/* ---- dump: the files beside it ---- */

static void
dump_index(struct wire_in *in, int64_t base)
{
    while (wire_left(in) >= 8) {
        uint32_t offset = (uint32_t)wire_get32(in), pos = (uint32_t)wire_get32(in);
        printf("offset: %lld position: %u\n", (long long)base + offset, pos);
    }
}

static void
dump_timeindex(struct wire_in *in, int64_t base)
{
    while (wire_left(in) >= 12) {
        int64_t timestamp = wire_get64(in);
        uint32_t offset = (uint32_t)wire_get32(in);
        printf("timestamp: %lld offset: %lld\n", (long long)timestamp, (long long)base + offset);
    }
}

static void
dump_txnindex(struct wire_in *in)
{
    while (wire_left(in) >= 34) {
        int version = wire_get16(in);
        int64_t producer = wire_get64(in), first = wire_get64(in), last = wire_get64(in),
                stable = wire_get64(in);
        printf("version: %d producerId: %lld firstOffset: %lld lastOffset: %lld "
               "lastStableOffset: %lld\n",
            version, (long long)producer, (long long)first, (long long)last, (long long)stable);
    }
}

static void
dump_snapshot(struct wire_in *in)
{
    int version = wire_get16(in);
    uint32_t crc = (uint32_t)wire_get32(in);
    int32_t count = wire_get32(in);
    printf("version: %d crc: %u producers: %d\n", version, crc, count);
    for (int32_t i = 0; i < count && wire_left(in) >= 46; i++) {
        int64_t id = wire_get64(in);
        int epoch = wire_get16(in);
        int32_t sequence = wire_get32(in);
        int64_t offset = wire_get64(in);
        int32_t delta = wire_get32(in);
        int64_t timestamp = wire_get64(in);
        int32_t coordinator = wire_get32(in);
        int64_t txn = wire_get64(in);
        printf("producerId: %lld producerEpoch: %d coordinatorEpoch: %d "
               "currentTxnFirstOffset: ",
            (long long)id, epoch, coordinator);
        if (txn < 0)
            printf("none");
        else
            printf("%lld", (long long)txn);
        printf(" lastTimestamp: %lld lastSequence: %d lastOffset: %lld offsetDelta: %d\n",
            (long long)timestamp, sequence, (long long)offset, delta);
    }
}

static int
dump_small(const char *path)
{
    struct arena arena;
    struct ox_err err;
    char *ptr;
    size_t len;
    int exit_code = 0;
    ox_arena_init(&arena);
    if (file_read_all(file_system_os(), path, (size_t)1 << 30, &arena, &ptr, &len, &err) !=
        OX_OK) {
        exit_code = fail(&err);
    } else {
        struct wire_in in = wire_in(ptr, len);
        int64_t base = strtoll(base_name(path), NULL, 10);
        printf("Dumping %s\n", path);
        if (ends_with(path, ".index"))
            dump_index(&in, base);
        else if (ends_with(path, ".timeindex"))
            dump_timeindex(&in, base);
        else if (ends_with(path, ".txnindex"))
            dump_txnindex(&in);
        else
            dump_snapshot(&in);
        if (in.failed || wire_left(&in) > 0) {
            printf("the file is cut off or too long: %zu bytes are left\n", wire_left(&in));
            exit_code = 1;
        }
    }
    ox_arena_fini(&arena);
    return exit_code;
}

static int
run_dump(int count, char **args, const struct options *options)
{
    int worst = 0;
    if (count == 0)
        return misused("dump takes files");
    for (int i = 0; i < count; i++) {
        int one = 2;
        if (ends_with(args[i], ".log"))
            one = dump_segment(args[i], options);
        else if (ends_with(args[i], "index") || ends_with(args[i], ".snapshot"))
            one = dump_small(args[i]);
        else
            fprintf(stderr,
                "ox: \"%s\" is not a .log, .index, .timeindex, .txnindex or .snapshot file\n",
                args[i]);
        worst = one > worst ? one : worst;
    }
    return worst;
}

/* ---- verify ---- */

static void
say(void *arg, const char *line)
{
    printf("%s/%s\n", (const char *)arg, line);
}

static bool
is_partition(const char *name)
{
    const char *dash = strrchr(name, '-');
    return dash != NULL && dash != name && dash[1] != '\0' &&
           strspn(dash + 1, "0123456789") == strlen(dash + 1);
}

static int
verify_one(const char *path, struct log_verify_result *total)
{
    struct log_verify_result result;
    struct ox_err err;
    if (log_verify_partition(env_os(), path, say, (void *)(uintptr_t)path, &result, &err) !=
        OX_OK)
        return fail(&err);
    total->batches += result.batches;
    total->records += result.records;
    total->bytes += result.bytes;
    total->problems += result.problems;
    return result.problems > 0;
}

/* A partition directory, or a log directory with partitions in it. */
static int
verify_path(const char *path, struct log_verify_result *total)
{
    struct arena arena;
    struct file_name *names;
    struct ox_err err;
    size_t count;
    int worst = 0;
    if (is_partition(base_name(path)))
        return verify_one(path, total);
    ox_arena_init(&arena);
    if (fs_list(file_system_os(), path, &arena, &names, &count, &err) != OX_OK)
        worst = fail(&err);
    else
        for (size_t i = 0; i < count; i++)
            if (names[i].is_dir && is_partition(names[i].name)) {
                int one =
                    verify_one(ox_arena_printf(&arena, "%s/%s", path, names[i].name), total);
                worst = one > worst ? one : worst;
            }
    ox_arena_fini(&arena);
    return worst;
}

static int
run_verify(int count, char **args)
{
    struct log_verify_result total = {0};
    int worst = 0;
    if (count == 0)
        return misused("verify takes directories");
    for (int i = 0; i < count; i++) {
        int one = verify_path(args[i], &total);
        worst = one > worst ? one : worst;
    }
    printf("%llu batches, %llu records, %llu bytes, %llu problems\n",
        (unsigned long long)total.batches, (unsigned long long)total.records,
        (unsigned long long)total.bytes, (unsigned long long)total.problems);
    return worst;
}

/* Done, or what makes the program end: 0 after --help, 2 after a mistake. */
enum { TAKEN = -1 };

static int
take_option(int option, const char *value, struct options *options)
{
    struct ox_users *users = &options->users;
    int64_t number;
    switch (option) {
    case 'c': options->cluster_id = value; return TAKEN;
    case 'n':
        if (!ox_str_to_i64(ox_str(value), &number) || number < 0 || number > INT32_MAX)
            return misused("--node-id \"%s\" is not a number from 0 to %d", value, INT32_MAX);
        options->node_id = (int32_t)number;
        return TAKEN;
    case 'S':
        if (users->scram_count == OX_USERS_MAX)
            return misused("there are more than %d --add-scram", OX_USERS_MAX);
        users->scram[users->scram_count++] = value;
        return TAKEN;
    case 'U':
        if (users->superuser_count == OX_USERS_MAX)
            return misused("there are more than %d --superuser", OX_USERS_MAX);
        users->superusers[users->superuser_count++] = value;
        return TAKEN;
    case 'r': options->records = true; return TAKEN;
    case 'v': options->records = options->values = true; return TAKEN;
    case 'h': fputs(help, stdout); return 0;
    case 'V': puts("ox " PACKAGE_VERSION); return 0;
    default: return misused("the options are not understood"); /* getopt has said which */
    }
}

int
main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"cluster-id", required_argument, NULL, 'c'},
        {"node-id", required_argument, NULL, 'n'},
        {"add-scram", required_argument, NULL, 'S'},
        {"superuser", required_argument, NULL, 'U'},
        {"records", no_argument, NULL, 'r'},
        {"values", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    struct options options = {.node_id = 1};
    int option;
    ox_diag_set_level(OX_DIAG_WARN);
    while ((option = getopt_long(argc, argv, "hV", long_options, NULL)) != -1) {
        int status = take_option(option, optarg, &options);
        if (status != TAKEN)
            return status;
    }
    if (optind >= argc)
        return misused("no command is given");
    const char *command = argv[optind++];
    if (strcmp(command, "format") == 0)
        return run_format(argc - optind, argv + optind, &options);
    if (strcmp(command, "user") == 0)
        return run_user(argc - optind, argv + optind, &options);
    if (strcmp(command, "dump") == 0)
        return run_dump(argc - optind, argv + optind, &options);
    if (strcmp(command, "verify") == 0)
        return run_verify(argc - optind, argv + optind);
    return misused("there is no command \"%s\"", command);
}
