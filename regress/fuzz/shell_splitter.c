/* SPDX-License-Identifier: Apache-2.0
 *
 * What people type and what servers answer: any text through the splitter, line
 * by line, and as the cells of a table in each format. */
#include "config.h"

#include <stdlib.h>

#include "shell/print.h"
#include "shell/splitter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char *
lookup(void *arg, struct str name, enum split_quote quote)
{
    (void)arg;
    (void)quote;
    if (name.len == 1)
        return ox_strdup("a :b 'c");
    return name.len == 2 ? ox_strdup(";\\x $$") : NULL;
}

static void
split(struct str text)
{
    struct splitter sp;
    struct text query;
    splitter_init(&sp, lookup, NULL);
    ox_text_init(&query, NULL);
    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        struct str line = ox_str_n(text.ptr, end ? (size_t)(end - text.ptr) : text.len);
        enum split_prompt prompt;
        enum split_result result;
        splitter_line(&sp, line);
        while ((result = splitter_next(&sp, &query, &prompt)) == SPLIT_SEMICOLON ||
               result == SPLIT_BACKSLASH) {
            if (result == SPLIT_SEMICOLON)
                ox_text_clear(&query);
            else
                splitter_skip(&sp, splitter_rest(&sp).len / 2);
        }
        text.ptr += line.len + (end != NULL);
        text.len -= line.len + (end != NULL);
    }
    splitter_fini(&sp);
    ox_text_fini(&query);
}

static void
print(const char *text)
{
    const char *headers[] = {"a", text}, *cells[] = {text, "b", NULL, text};
    struct print_table table = {.columns = 2, .rows = 2, .headers = headers, .cells = cells};
    struct print_opts opts;
    FILE *out = fopen("/dev/null", "w");
    print_opts_init(&opts);
    opts.columns = 20;
    for (int i = 0; out && i < FORMAT_COUNT * 2; i++) {
        opts.format = (enum print_format)(i / 2);
        opts.expanded = i % 2 ? EXPANDED_ON : EXPANDED_OFF;
        print_table(&table, &opts, out);
    }
    if (out)
        fclose(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len > 4096)
        return 0;
    char *text = malloc(len + 1);
    memcpy(text, data, len);
    text[len] = '\0';
    split(ox_str_n(text, len));
    print(text);
    free(text);
    return 0;
}
