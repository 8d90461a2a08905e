/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* vsnprintf that never leaves half a UTF-8 character at the cut. */
static void
format_cut(char *to, size_t size, const char *fmt, va_list args)
{
    int len = vsnprintf(to, size, fmt, args);
    if (len < (int)size)
        return;
    size_t end = size - 1, start = end;
    while (start > 0 && ((unsigned char)to[start - 1] & 0xC0) == 0x80)
        start--;
    if (start > 0) {
        unsigned char lead = (unsigned char)to[start - 1];
        size_t want = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        if (end - (start - 1) < want)
            to[start - 1] = '\0';
    }
}

static void
err_reset(struct ox_err *err, ox_code code, const char *file, int line)
{
    err->code = code;
    err->sys_errno = 0;
    err->position = 0;
    err->file = file;
    err->line = line;
    err->message[0] = err->detail[0] = err->hint[0] = err->context[0] = '\0';
}

ox_code
ox_fail_at(struct ox_err *err, ox_code code, const char *file, int line, const char *fmt, ...)
{
    if (err == NULL)
        return code;
    err_reset(err, code, file, line);
    if (fmt == NULL) {
        snprintf(err->message, sizeof(err->message), "%s", ox_code_facts(code)->message);
        return code;
    }
    va_list args;
    va_start(args, fmt);
    format_cut(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    return code;
}

static ox_code
code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return OX_DISK_FULL;
    case EMFILE:
    case ENFILE:
        return OX_TOO_MANY_FILES;
    case EROFS:
        return OX_READ_ONLY_FILE_SYSTEM;
    case ENOENT:
        return OX_FILE_NOT_FOUND;
    case EEXIST:
        return OX_FILE_EXISTS;
    case ENOMEM:
        return OX_OUT_OF_MEMORY;
    case EADDRINUSE:
        return OX_ADDRESS_IN_USE;
    case EACCES:
    case EPERM:
        return OX_INSUFFICIENT_PRIVILEGE;
    default:
        return OX_IO_ERROR;
    }
}

ox_code
ox_fail_errno_at(struct ox_err *err, int errnum, const char *file, int line, const char *fmt, ...)
{
    ox_code code = code_of_errno(errnum);
    if (err == NULL)
        return code;
    err_reset(err, code, file, line);
    err->sys_errno = errnum;
    va_list args;
    va_start(args, fmt);
    format_cut(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    size_t len = strlen(err->message);
    char reason[128];
    snprintf(err->message + len, sizeof(err->message) - len, ": %s",
        strerror_r(errnum, reason, sizeof(reason)));
    return code;
}

ox_code
ox_detail(struct ox_err *err, const char *fmt, ...)
{
    if (err == NULL)
        return OX_UNKNOWN_SERVER_ERROR;
    va_list args;
    va_start(args, fmt);
    format_cut(err->detail, sizeof(err->detail), fmt, args);
    va_end(args);
    return err->code;
}

ox_code
ox_hint(struct ox_err *err, const char *fmt, ...)
{
    if (err == NULL)
        return OX_UNKNOWN_SERVER_ERROR;
    va_list args;
    va_start(args, fmt);
    format_cut(err->hint, sizeof(err->hint), fmt, args);
    va_end(args);
    return err->code;
}

ox_code
ox_context(struct ox_err *err, const char *fmt, ...)
{
    if (err == NULL)
        return OX_UNKNOWN_SERVER_ERROR;
    va_list args;
    va_start(args, fmt);
    format_cut(err->context, sizeof(err->context), fmt, args);
    va_end(args);
    return err->code;
}

const struct ox_code_facts *
ox_code_facts(ox_code code)
{
    if (code < 0 || code >= OX_CODE_COUNT)
        code = OX_UNKNOWN_SERVER_ERROR;
    return &ox_code_table[code];
}
