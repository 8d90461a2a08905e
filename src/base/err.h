/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors. What can fail returns an ox_code (OX_OK is 0) and takes a
 * struct ox_err * as its last argument. The codes are the rows of
 * catalog/errors.tbl; each has one SQLSTATE and one Kafka number, so that both
 * doors word the same fault from the same row. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errors.gen.h"

typedef int ox_code;

/* One row of errors.tbl. */
struct ox_code_facts {
    const char *name;     /* as in errors.tbl, lower case */
    const char *sqlstate; /* five characters */
    int kafka;            /* error_code on Kafka's wire; -1 has no number there */
    bool retry;           /* the same request may succeed later */
    const char *message;  /* used when the failing call gives none */
};

extern const struct ox_code_facts ox_code_table[OX_CODE_COUNT];

/* A failure as a plain value: no allocation, copied freely between threads.
 * Texts are cut to their arrays, at a character boundary. */
struct ox_err {
    ox_code code;
    int sys_errno;     /* errno of the system call, 0 if none */
    int position;      /* 1-based character in the statement, 0 if none */
    int line;          /* of file, where the failure was raised */
    const char *file;  /* static */
    char message[320]; /* what failed, lower case, no full stop */
    char detail[320];  /* a sentence, or "" */
    char hint[256];    /* a sentence, or "" */
    char context[160]; /* where in the input: "COPY t, line 3", or "" */
};

/* Fill err (which may be NULL) and return code. A NULL fmt uses the code's
 * default message. Use the macros, which add file and line. */
ox_code ox_fail_at(struct ox_err *err, ox_code code, const char *file, int line, const char *fmt,
    ...) __attribute__((format(printf, 5, 6)));
#define ox_fail(err, code, ...) ox_fail_at((err), (code), __FILE__, __LINE__, __VA_ARGS__)
#define ox_fail_plain(err, code) ox_fail_at((err), (code), __FILE__, __LINE__, NULL)

/* As ox_fail, for a failed system call: picks the code from errnum (ENOSPC is
 * OX_DISK_FULL, EIO OX_IO_ERROR, ...) and appends ": strerror". */
ox_code ox_fail_errno_at(struct ox_err *err, int errnum, const char *file, int line,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
#define ox_fail_errno(err, errnum, ...) \
    ox_fail_errno_at((err), (errnum), __FILE__, __LINE__, __VA_ARGS__)

/* Add to a failure that was just raised. Return its code. err may be NULL. */
ox_code ox_detail(struct ox_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
ox_code ox_hint(struct ox_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
ox_code ox_context(struct ox_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Facts of a code; of OX_UNKNOWN_SERVER_ERROR for a value out of range. */
const struct ox_code_facts *ox_code_facts(ox_code code);

static inline int16_t
ox_code_kafka(ox_code code)
{
    return (int16_t)ox_code_facts(code)->kafka;
}

#endif
