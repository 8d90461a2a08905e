/* SPDX-License-Identifier: Apache-2.0
 *
 * Every expression of regress/oracle/answers.txt is parsed, bound and run, and
 * must give what PostgreSQL gave: the same text, or the same SQLSTATE. Lines of
 * differences.txt are known and documented to differ. With an argument "-v"
 * every difference is shown as a diagnostic line. */
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "engine/engine.h"
#include "exec/exec.h"
#include "sql/bind.h"

#include "tap.h"

static struct row_format format;

static const char *
state_of(ox_code code)
{
    return ox_code_facts(code)->sqlstate;
}

static ox_code
run_select(struct str sql, struct arena *arena, struct text *answer, struct ox_err *err)
{
    struct ast_parse parse;
    struct bound bound;
    static const char *const path[] = {"public", NULL};
    ox_code code = sql_parse(sql, arena, &parse, err);
    if (code != OX_OK)
        return code;
    struct ast_stmt *stmt = parse.stmts.count == 1 ? parse.stmts.items[0] : NULL;
    if (stmt == NULL || stmt->kind != AST_SELECT_STMT)
        return OX_SYNTAX_ERROR;
    struct bind_config config = {.format = &format, .search_path = path, .text = sql};
    if ((code = bind_select(&config, stmt->select, arena, &bound, err)) != OX_OK)
        return code;
    struct exec_config exec = {
        .env = env_os(), .format = &format, .now_us = format.now_us, .work_mem = 64 << 20};
    struct exec_run *run;
    if ((code = exec_run_new(&bound.root, &exec, &run, err)) != OX_OK)
        return code;
    struct batch *batch;
    enum exec_status status = exec_run_next(run, 0, &batch);
    if (status == EXEC_ROWS) {
        uint32_t row = batch->sel != NULL ? batch->sel[0] : 0;
        if (vector_null(&batch->cols[0], row)) {
            ox_text_addc(answer, '~');
        } else {
            ox_text_addc(answer, '=');
            vector_out_text(&batch->cols[0], row, &format, answer);
        }
    } else if (status == EXEC_FAIL) {
        *err = *exec_run_err(run);
        code = err->code;
    }
    exec_run_free(run);
    return code;
}

static void
escape(struct text *to, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '\\')
            ox_text_adds(to, "\\\\");
        else if (c == '\n')
            ox_text_adds(to, "\\n");
        else if (c == '\t')
            ox_text_adds(to, "\\t");
        else
            ox_text_addc(to, c);
    }
}

/* Our answer to the expression in the form of answers.txt. */
static void
answer_of(struct str expr, struct text *out, struct ox_err *err)
{
    struct arena arena;
    struct text sql, raw;
    ox_arena_init(&arena);
    ox_text_init(&sql, &arena);
    ox_text_init(&raw, &arena);
    ox_text_addf(&sql, "SELECT %.*s", OX_STR_ARG(expr));
    memset(err, 0, sizeof(*err));
    ox_code code = run_select(ox_text_str(&sql), &arena, &raw, err);
    if (code != OX_OK)
        ox_text_addf(out, "!%s", state_of(code));
    else
        escape(out, ox_text_str(&raw));
    ox_arena_fini(&arena);
}

static FILE *
open_file(const char *name)
{
    char path[512];
    const char *dir = getenv("srcdir");
    snprintf(path, sizeof(path), "%s/regress/oracle/%s", dir != NULL ? dir : ".", name);
    FILE *file = fopen(path, "r");
    for (int up = 0; file == NULL && up < 3; up++) {
        snprintf(path, sizeof(path), "%sregress/oracle/%s",
            up == 0   ? "../"
            : up == 1 ? "../../"
                      : "",
            name);
        file = fopen(path, "r");
    }
    return file;
}

static void
load_differences(struct map *known)
{
    char line[4096];
    FILE *file = open_file("differences.txt");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '#' && line[0] != '\0')
            ox_map_put(known, ox_str(line), known);
    }
    if (file != NULL)
        fclose(file);
}

int
main(int argc, char **argv)
{
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    static char line[65536];
    int total = 0, same = 0, differ = 0, stale = 0;
    struct map known;
    ox_map_init(&known);
    load_differences(&known);
    format = row_format_default;
    format.tz = timezone_find(OX_STR("Europe/Berlin"));
    FILE *file = open_file("answers.txt");
    ok(file != NULL, "answers.txt is there");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *tab = strchr(line, '\t');
        if (tab == NULL)
            continue;
        *tab = '\0';
        struct text got;
        struct ox_err err;
        ox_text_init(&got, NULL);
        ox_text_adds(&got, "");
        if (verbose && argc > 2)
            fprintf(stderr, "%s\n", line);
        answer_of(ox_str(line), &got, &err);
        total++;
        bool match = ox_str_is(ox_text_str(&got), tab + 1);
        bool listed = ox_map_get(&known, ox_str(line)) != NULL;
        same += match;
        if (!match && !listed) {
            differ++;
            if (verbose || differ <= 20)
                printf("# %s\n#   PostgreSQL %s\n#   here       %.*s  %s\n", line, tab + 1,
                    OX_STR_ARG(ox_text_str(&got)), err.message);
        }
        stale += match && listed;
        ox_text_fini(&got);
    }
    printf("# %d expressions, %d as PostgreSQL, %d differ unexpectedly, %d listed but equal\n",
        total, same, differ, stale);
    ok(total > 3000, "thousands of expressions were compared");
    is_int(differ, 0, "all answers are PostgreSQL's, but for the known differences");
    if (file != NULL)
        fclose(file);
    ox_map_fini(&known);
    return done();
}
