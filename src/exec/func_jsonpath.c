/* SPDX-License-Identifier: Apache-2.0
 *
 * jsonb_path_*() and the operators @? and @@: a path, parsed once, over documents. */
#include "exec/expr_int.h"
#include "exec/functions.gen.h"
#include "exec/json_path.h"
#include "row/json.h"

struct kept_path {
    struct str text;
    struct json_path *path;
    struct arena arena;
};

static void
kept_free(void *arg)
{
    ox_arena_fini(&((struct kept_path *)arg)->arena);
}

static ox_code
path_of(struct call *call, struct str text, struct json_path **out)
{
    struct kept_path *kept = *call->state;
    if (kept != NULL && kept->path != NULL && ox_str_eq(kept->text, text)) {
        *out = kept->path;
        return OX_OK;
    }
    if (kept == NULL) {
        struct arena *arena = call->expr != NULL ? &call->eval->kept : call->arena;
        kept = ox_arena_new(arena, struct kept_path);
        ox_arena_init(&kept->arena);
        ox_arena_on_free(arena, kept_free, kept);
        *call->state = kept;
    }
    ox_arena_reset(&kept->arena);
    kept->path = NULL;
    kept->text = ox_str_dup(&kept->arena, text);
    ox_code code = json_path_parse(kept->text, &kept->arena, out, call->err);
    if (code == OX_OK)
        kept->path = *out;
    return code;
}

static ox_code
vars_of(const struct datum *args, uint32_t nargs, struct arena *arena, struct json_node **out,
    struct ox_err *err)
{
    *out = NULL;
    if (nargs < 3)
        return OX_OK;
    ox_code code = json_parse(args[2].s, true, arena, out, err);
    if (code == OX_OK && (*out)->kind != JSON_OBJECT)
        code = ox_fail(err, OX_INVALID_PARAMETER_VALUE, "\"vars\" argument is not an object");
    return code;
}

/* silent (the fourth argument, and the operators): what goes wrong gives nothing. */
static ox_code
query(struct call *call, const struct datum *args, bool silent, struct json_items *items,
    bool *gone)
{
    struct json_path *path;
    struct json_node *doc, *vars;
    *gone = false;
    ox_code code = path_of(call, args[1].s, &path);
    if (code == OX_OK)
        code = json_parse(args[0].s, true, call->arena, &doc, call->err);
    if (code == OX_OK)
        code = vars_of(args, call->nargs, call->arena, &vars, call->err);
    if (code != OX_OK)
        return code;
    silent |= call->nargs > 3 && args[3].b;
    code = json_path_query(path, doc, vars, call->arena, items, call->err);
    *gone = silent && code != OX_OK && code != OX_PROGRAM_LIMIT_EXCEEDED;
    return *gone ? OX_OK : code;
}

static struct str
node_str(struct arena *arena, const struct json_node *node)
{
    struct text to;
    ox_text_init(&to, arena);
    json_write(node, &to);
    return ox_text_str(&to);
}

static ox_code
exists(struct call *call, const struct datum *args, bool silent, struct datum *out)
{
    struct json_items items;
    bool gone;
    ox_code code = query(call, args, silent, &items, &gone);
    out->null = gone;
    out->b = code == OX_OK && !gone && items.count > 0;
    return code;
}

ox_code
jsonpath_exists(struct call *call, const struct datum *args, struct datum *out)
{
    return exists(call, args, false, out);
}

ox_code
jsonpath_exists_op(struct call *call, const struct datum *args, struct datum *out)
{
    return exists(call, args, true, out);
}

static ox_code
match(struct call *call, const struct datum *args, bool silent, struct datum *out)
{
    struct json_items items;
    bool gone;
    ox_code code = query(call, args, silent, &items, &gone);
    out->null = true;
    if (code != OX_OK || gone)
        return code;
    enum json_kind kind = items.count == 1 ? items.items[0]->kind : JSON_ARRAY;
    if (kind == JSON_TRUE || kind == JSON_FALSE)
        *out = datum_bool(kind == JSON_TRUE);
    else if (kind != JSON_NULL && !silent && !(call->nargs > 3 && args[3].b))
        return call_fail(call, OX_SINGLETON_JSON_ITEM_REQUIRED, "single boolean result is expected");
    return OX_OK;
}

ox_code
jsonpath_match(struct call *call, const struct datum *args, struct datum *out)
{
    return match(call, args, false, out);
}

ox_code
jsonpath_match_op(struct call *call, const struct datum *args, struct datum *out)
{
    return match(call, args, true, out);
}

ox_code
jsonpath_query_first(struct call *call, const struct datum *args, struct datum *out)
{
    struct json_items items;
    bool gone;
    ox_code code = query(call, args, false, &items, &gone);
    out->null = code != OX_OK || gone || items.count == 0;
    if (!out->null)
        out->s = node_str(call->arena, items.items[0]);
    return code;
}

ox_code
jsonpath_query_array(struct call *call, const struct datum *args, struct datum *out)
{
    struct json_items items;
    bool gone;
    struct text to;
    ox_code code = query(call, args, false, &items, &gone);
    if (code != OX_OK)
        return code;
    ox_text_init(&to, call->arena);
    ox_text_addc(&to, '[');
    for (uint32_t i = 0; !gone && i < items.count; i++) {
        ox_text_adds(&to, i > 0 ? ", " : "");
        json_write(items.items[i], &to);
    }
    ox_text_addc(&to, ']');
    out->s = ox_text_str(&to);
    return OX_OK;
}

/* ---- jsonb_path_query: a row for each item ---- */

struct path_set {
    struct json_items items;
    uint32_t at;
};

static ox_code
path_open(struct set_call *call, struct ox_err *err)
{
    struct path_set *set = ox_arena_new(call->arena, struct path_set);
    struct json_path *path;
    struct json_node *doc, *vars;
    call->state = set;
    ox_code code = json_path_parse(
        ox_str_dup(call->arena, call->args[1].s), call->arena, &path, err);
    if (code == OX_OK)
        code = json_parse(ox_str_dup(call->arena, call->args[0].s), true, call->arena, &doc, err);
    if (code == OX_OK)
        code = vars_of(call->args, call->nargs, call->arena, &vars, err);
    if (code != OX_OK)
        return code;
    bool silent = call->nargs > 3 && call->args[3].b;
    code = json_path_query(path, doc, vars, call->arena, &set->items, err);
    if (code != OX_OK)
        set->items.count = 0;
    return silent && code != OX_PROGRAM_LIMIT_EXCEEDED ? OX_OK : code;
}

static ox_code
path_next(struct set_call *call, struct datum *row, bool *end, struct ox_err *err)
{
    struct path_set *set = call->state;
    (void)err;
    *end = set->at >= set->items.count;
    if (!*end)
        row[0] = datum_str(node_str(call->row_arena, set->items.items[set->at++]));
    return OX_OK;
}

const struct set_func set_jsonpath_query = {path_open, path_next};
