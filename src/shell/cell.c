/* SPDX-License-Identifier: Apache-2.0
 *
 * A cell's text as lines of known width. Widths come from libpq, so that they
 * agree with psql's on every terminal. */
#include "config.h"

#include <libpq-fe.h>
#include <string.h>

#include "shell/print.h"

/* One character at ptr: its bytes, its columns, and in spelled (8 bytes) how it is written if not
 * as it is. column is where it stands, for tabs. */
struct glyph {
    size_t len;
    int width;
    size_t spelled_len;
};

static struct glyph
glyph_at(const char *ptr, size_t len, int encoding, int column, char spelled[16])
{
    struct glyph glyph = {(size_t)PQmblen(ptr, encoding), -1, 0};
    if (glyph.len > len)
        glyph.len = 1; /* cut off within a character: libpq may not look at it */
    else
        glyph.width = PQdsplen(ptr, encoding);
    if (glyph.len == 1 && *ptr == '\r') {
        glyph.width = 2;
        glyph.spelled_len = (size_t)snprintf(spelled, 16, "\\r");
    } else if (glyph.len == 1 && *ptr == '\t') {
        glyph.width = 8 - column % 8;
        memset(spelled, ' ', 8);
        glyph.spelled_len = (size_t)glyph.width;
    } else if (glyph.len == 1 && glyph.width < 0) {
        glyph.width = 4;
        glyph.spelled_len = (size_t)snprintf(spelled, 16, "\\x%02X", (unsigned char)*ptr);
    } else if (glyph.width < 0) {
        const unsigned char *u = (const unsigned char *)ptr;
        unsigned code = glyph.len == 2   ? (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu)
                        : glyph.len == 3 ? (u[0] & 0x0fu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu)
                                         : 0xfffd;
        glyph.width = 6;
        glyph.spelled_len = (size_t)snprintf(spelled, 16, "\\u%04X", code & 0xffff);
    }
    return glyph;
}

void
cell_measure(const char *text, int encoding, int *width, size_t *lines)
{
    size_t len = strlen(text);
    int column = 0;
    char spelled[16];
    *width = 0;
    *lines = 1;
    for (size_t i = 0; i < len;) {
        if (text[i] == '\n') {
            (*lines)++;
            column = 0;
            i++;
            continue;
        }
        if (text[i] >= ' ' && text[i] < 0x7f) {
            column++;
            i++;
        } else {
            struct glyph glyph = glyph_at(text + i, len - i, encoding, column, spelled);
            column += glyph.width;
            i += glyph.len;
        }
        if (column > *width)
            *width = column;
    }
}

struct cell
cell_format(struct arena *arena, const char *text, int encoding)
{
    struct cell cell = {NULL, 1, 0};
    size_t len = strlen(text), at = 0;
    struct text out;
    char spelled[16];
    for (size_t i = 0; i < len; i++)
        cell.count += text[i] == '\n';
    cell.lines = ox_arena_array(arena, struct cell_line, cell.count);
    ox_text_init(&out, arena);
    ox_text_reserve(&out, len + 1);
    size_t start = 0;
    int column = 0;
    for (size_t i = 0; i <= len;) {
        if (i == len || text[i] == '\n') {
            ox_text_addc(&out, '\0');
            cell.lines[at].len = out.len - 1 - start;
            cell.lines[at].width = column;
            if (column > cell.width)
                cell.width = column;
            start = out.len;
            column = 0;
            at++;
            i++;
            continue;
        }
        if (text[i] >= ' ' && text[i] < 0x7f) {
            ox_text_addc(&out, text[i++]);
            column++;
            continue;
        }
        struct glyph glyph = glyph_at(text + i, len - i, encoding, column, spelled);
        ox_text_add(&out, glyph.spelled_len ? spelled : text + i,
            glyph.spelled_len ? glyph.spelled_len : glyph.len);
        column += glyph.width;
        i += glyph.len;
    }
    start = 0;
    for (size_t i = 0; i < cell.count; i++) {
        cell.lines[i].ptr = out.ptr + start;
        start += cell.lines[i].len + 1;
    }
    return cell;
}

size_t
cell_fit(const char *ptr, size_t len, int encoding, int *width)
{
    size_t at = 0;
    int column = 0;
    while (at < len) {
        size_t step = (size_t)PQmblen(ptr + at, encoding);
        int wide = step <= len - at ? PQdsplen(ptr + at, encoding) : 1;
        if (step > len - at)
            step = 1;
        if (wide < 0)
            wide = 0;
        if (at > 0 && column + wide > *width)
            break;
        column += wide;
        at += step;
    }
    *width = column;
    return at;
}
