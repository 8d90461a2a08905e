/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "shell/vars.h"
#include "tap.h"

#include "base/arena.h"

static struct text why;

static const char *
complaint(struct vars *vars, const char *name, const char *value)
{
    ox_text_clear(&why);
    ox_text_adds(&why, "");
    return vars_set(vars, name, value, &why) ? "ok" : why.ptr;
}

int
main(void)
{
    struct vars vars;
    bool flag = false;
    vars_init(&vars);
    is_str(vars_get(&vars, "AUTOCOMMIT"), "on", "defaults are there");
    is_int(vars.set.autocommit, 1, "typed too");
    is_str(vars.set.prompt1, "%/%R%x> ", "and texts");
    is_str(complaint(&vars, "x", "1"), "ok", "any name may be set");
    is_str(vars_get(&vars, "x"), "1", "and read");
    is_str(complaint(&vars, "x", NULL), "ok", "and unset");
    ok(vars_get(&vars, "x") == NULL, "then it is gone");
    is_str(complaint(&vars, "a b", "1"), "invalid variable name: \"a b\"", "names are checked");
    is_str(complaint(&vars, "AUTOCOMMIT", "maybe"),
        "unrecognized value \"maybe\" for \"AUTOCOMMIT\": Boolean expected", "Booleans are checked");
    is_int(vars.set.autocommit, 1, "a bad value changes nothing");
    is_str(complaint(&vars, "AUTOCOMMIT", "FAL"), "ok", "prefixes do");
    is_int(vars.set.autocommit, 0, "in any case");
    is_str(complaint(&vars, "ON_ERROR_STOP", ""), "ok", "an empty Boolean");
    is_int(vars.set.on_error_stop, 1, "means on");
    is_str(complaint(&vars, "ECHO", "loud"),
        "unrecognized value \"loud\" for \"ECHO\"\nAvailable values are: none, errors, queries, all.",
        "choices are named");
    is_str(complaint(&vars, "ECHO", "QUERIES"), "ok", "choices in any case");
    is_int(vars.set.echo, ECHO_QUERIES, "land as a number");
    is_str(complaint(&vars, "ECHO_HIDDEN", "1"), "ok", "a Boolean may stand for a choice");
    is_int(vars.set.echo_hidden, HIDDEN_ON, "on");
    is_str(complaint(&vars, "FETCH_COUNT", "many"),
        "invalid value \"many\" for \"FETCH_COUNT\": integer expected", "integers are checked");
    is_str(complaint(&vars, "FETCH_COUNT", NULL), "ok", "unset of a steering variable");
    is_str(vars_get(&vars, "FETCH_COUNT"), "0", "gives its default");
    ok(vars_parse_bool("tru", &flag) && flag, "tru is true");
    ok(!vars_parse_bool("o", &flag), "o is not clear");
    ok(!vars_parse_bool("", &flag), "nothing is no Boolean");
    ok(vars_name_ok(OX_STR("a_1")) && !vars_name_ok(OX_STR("a-b")) && !vars_name_ok(OX_STR("")),
        "names are letters, digits, underscores");
    size_t count;
    const char **names = vars_names(&vars, &count);
    bool sorted = true;
    for (size_t i = 1; i < count; i++)
        sorted = sorted && strcmp(names[i - 1], names[i]) < 0;
    ok(count > 10 && sorted, "names come in order");
    ox_free(names);
    vars_fini(&vars);
    ox_text_fini(&why);
    return done();
}
