/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside row/. */
#ifndef ROW_ROW_INT_H
#define ROW_ROW_INT_H

#include "row/row.h"

/* array.c */
ox_code array_in_text(struct type type, struct str text, const struct row_format *format,
    struct arena *arena, struct datum *out, struct ox_err *err);
void array_out_text(
    struct type type, struct str packed, const struct row_format *format, struct text *to);
ox_code array_in_binary(
    struct type type, struct str bytes, struct arena *arena, struct datum *out, struct ox_err *err);
void array_out_binary(struct type type, struct str packed, struct text *to);
int array_compare(struct str a, struct str b);
uint64_t array_hash(struct str a, uint64_t seed);
void record_out_text(struct str packed, const struct row_format *format, struct text *to);
void record_out_binary(struct str packed, struct text *to);
int record_compare(struct str a, struct str b);
uint64_t record_hash(struct str a, uint64_t seed);

/* json.c */
int jsonb_compare(struct str a, struct str b);

/* csv.c */
void csv_quote_tail(const struct copy_format *copy, uint32_t column, size_t start, struct text *to);
size_t csv_line_end(const struct copy_format *copy, struct str input); /* SIZE_MAX: not there */
ox_code csv_split_line(const struct copy_format *copy, struct str line, struct arena *arena,
    struct str *fields, uint32_t fields_max, uint32_t *count, struct ox_err *err);

#endif
