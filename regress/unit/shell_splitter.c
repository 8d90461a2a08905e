/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "shell/splitter.h"
#include "tap.h"

static char *
lookup(void *arg, struct str name, enum split_quote quote)
{
    (void)arg;
    if (ox_str_is(name, "n"))
        return ox_strdup(quote == QUOTE_LITERAL ? "'42'" : quote == QUOTE_IDENT ? "\"42\"" : "42");
    if (ox_str_is(name, "loop"))
        return ox_strdup("a :loop b");
    if (ox_str_is(name, "two"))
        return ox_strdup("1; :n");
    if (ox_str_is(name, "slash"))
        return ox_strdup("5 \\gx");
    return NULL;
}

/* Runs lines (separated by '\n') through a splitter; the trace shows each statement in
 * brackets, each command as <rest>, and the prompt that each line ends with. */
static const char *
trace_of(const char *lines)
{
    static struct text trace;
    struct splitter sp;
    struct text query;
    splitter_init(&sp, lookup, NULL);
    ox_text_init(&query, NULL);
    ox_text_clear(&trace);
    ox_text_adds(&trace, "");
    for (const char *at = lines; *at;) {
        size_t len = strcspn(at, "\n");
        enum split_prompt prompt = PROMPT_READY;
        enum split_result result;
        splitter_line(&sp, ox_str_n(at, len));
        if (query.len > 0)
            ox_text_addc(&query, '\n');
        while ((result = splitter_next(&sp, &query, &prompt)) == SPLIT_SEMICOLON ||
               result == SPLIT_BACKSLASH) {
            if (result == SPLIT_SEMICOLON) {
                ox_text_addf(&trace, "[%s]", query.ptr);
                ox_text_clear(&query);
            } else {
                struct str rest = splitter_rest(&sp);
                ox_text_addf(&trace, "<%.*s>", OX_STR_ARG(rest));
                splitter_skip(&sp, rest.len);
            }
        }
        at += len + (at[len] == '\n');
        if (*at || prompt != PROMPT_READY)
            ox_text_addf(&trace, "%c", prompt);
    }
    if (query.len > 0)
        ox_text_addf(&trace, "{%s}", query.ptr);
    splitter_fini(&sp);
    ox_text_fini(&query);
    return trace.ptr;
}

int
main(void)
{
    is_str(trace_of("select 1; select 2;"), "[select 1;][select 2;]", "semicolons cut");
    is_str(trace_of("select 1\n+ 2;"), "-[select 1\n+ 2;]", "a statement spans lines");
    is_str(trace_of("select ';';"), "[select ';';]", "not inside of quotes");
    is_str(trace_of("select 'it''s;';"), "[select 'it''s;';]", "a doubled quote stays inside");
    is_str(trace_of("select 'a\nb;';"), "'[select 'a\nb;';]", "quotes span lines");
    is_str(trace_of("select \"a;\nb\";"), "\"[select \"a;\nb\";]", "quoted names too");
    is_str(trace_of("select E'a\\';b';"), "[select E'a\\';b';]", "E'' has escapes");
    is_str(trace_of("select 'a\\';select 1;"), "[select 'a\\';][select 1;]", "'' has none");
    is_str(trace_of("select $$a;$b$;\n$$;"), "$[select $$a;$b$;\n$$;]", "dollar quotes");
    is_str(trace_of("select $x$a;$$;$x$;"), "[select $x$a;$$;$x$;]", "tagged dollar quotes");
    is_str(trace_of("select $1;"), "[select $1;]", "a parameter opens no quote");
    is_str(trace_of("select a$b$c;"), "[select a$b$c;]", "nor a dollar inside of a name");
    is_str(trace_of("/* ; /* ; */\n; */ select 1;"), "*[/* ; /* ; */\n; */ select 1;]",
        "comments nest and span lines");
    is_str(trace_of("-- a;\nselect 1; -- b;"), "=[select 1;]", "line comments before a statement go");
    is_str(trace_of("select 1 -- b;\n;"), "-[select 1 -- b;\n;]", "inside they stay");
    is_str(trace_of("select (1;\n2);"), "([select (1;\n2);]", "parentheses hold semicolons");
    is_str(trace_of("select 1\\; select 2;"), "[select 1; select 2;]", "\\; does not cut");
    is_str(trace_of("\\d foo"), "<d foo>", "a command");
    is_str(trace_of("select 1 \\gx"), "<gx>-{select 1 }", "a command behind a statement");
    is_str(trace_of("select :n, :'n', :\"n\", :{?n}, :{?m};"),
        "[select 42, '42', \"42\", TRUE, FALSE;]", "variables");
    is_str(trace_of("select ':n', x::n, :m, a[1:2], b:=n;"),
        "[select ':n', x::n, :m, a[1:2], b:=n;]", "what only looks like variables");
    is_str(trace_of(":loop;"), "[a :loop b;]", "a variable does not expand itself");
    is_str(trace_of("select :two;"), "[select 1;][42;]", "a value may hold statements");
    is_str(trace_of("select :slash"), "<gx>-{select 5 }", "and commands");
    is_str(trace_of("create function f() begin atomic select case when 1 then 2 end; end; select 1;"),
        "[create function f() begin atomic select case when 1 then 2 end; end;][select 1;]",
        "bodies of functions hold semicolons");
    is_str(trace_of("begin; select 1;"), "[begin;][select 1;]", "BEGIN alone does not");
    is_str(trace_of("create or replace procedure p() begin\nselect 1; end;"),
        "-[create or replace procedure p() begin\nselect 1; end;]", "OR REPLACE PROCEDURE");
    is_str(trace_of("select 'open"), "'{select 'open}", "what never ends is kept");
    is_str(trace_of("   \n  "), "=", "blank lines are nothing");
    return done();
}
