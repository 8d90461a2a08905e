/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON operators and functions. -> and ->> with a constant key take the lazy
 * finder; what changes a document parses it. Text on the left is looked into as
 * it is: what is not JSON yields NULL. */
#include "exec/expr_int.h"

#include <stdlib.h>

/* ---- reading ------------------------------------------------------------------------ */

/* A member or element found in a document, as the result type wants it. */
static ox_code
give_json(struct call *call, struct str value, struct datum *out)
{
    bool from_text = call->types[0].id == TYPE_TEXT;
    if (from_text && call->type.id == TYPE_JSONB && !(call->expr != NULL && call->expr->raw)) {
        struct text to;
        ox_text_init(&to, call->arena);
        if (jsonb_normalise(value, &to, NULL) != OX_OK) {
            out->null = true;
            return OX_OK;
        }
        value = ox_text_str(&to);
    }
    out->s = value;
    return OX_OK;
}

static ox_code
get_members(struct call *call, const struct vector *args, const uint32_t *sel, uint32_t n,
    struct vector *out, bool as_text)
{
    struct json_finder finder, *f = *call->state;
    if (f == NULL || !args[1].constant) {
        f = args[1].constant ? ox_arena_new(&call->eval->kept, struct json_finder) : &finder;
        if (args[1].constant) {
            json_finder_init(f, ox_str_dup(&call->eval->kept, args[1].s[0]));
            *call->state = f;
        }
    } else if (!ox_str_eq(f->key, args[1].s[0])) { /* a parameter that changed */
        json_finder_init(f, ox_str_dup(&call->eval->kept, args[1].s[0]));
    }
    uint8_t *nulls = out->nulls;
    uint32_t room = out->constant ? 1 : n > 0 ? sel[n - 1] + 1 : 1;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t r = sel[k];
        struct str value, doc = AT(&args[0], s, r);
        if (!args[1].constant)
            json_finder_init(f, args[1].s[r]);
        bool found = json_find(f, doc, &value);
        if (found && as_text) {
            if (value.ptr[0] != '"' || value.len < 2 || memchr(value.ptr, '\\', value.len) != NULL)
                found = json_as_text(value, call->arena, &value, NULL);
            else
                value = ox_str_n(value.ptr + 1, value.len - 2);
        } else if (found) {
            struct datum d = {.null = false};
            give_json(call, value, &d);
            found = !d.null;
            value = d.s;
        }
        out->s[r] = value;
        if (!found) {
            if (nulls == NULL)
                nulls = vector_nulls(out, room, call->arena);
            nulls[r] = 1;
        }
    }
    return OX_OK;
}

ox_code
vec_json_get(struct call *call, const struct vector *args, const uint32_t *sel, uint32_t n,
    struct vector *out)
{
    return get_members(call, args, sel, n, out, false);
}

ox_code
vec_json_get_text(struct call *call, const struct vector *args, const uint32_t *sel, uint32_t n,
    struct vector *out)
{
    return get_members(call, args, sel, n, out, true);
}

/* A jsonb scalar counts as an array of one. */
static bool
scalar_at(const struct call *call, const struct datum *args, struct str *value)
{
    enum json_kind kind = json_kind_of(args[0].s);
    *value = args[0].s;
    return call->types[0].id == TYPE_JSONB && kind != JSON_ARRAY && kind != JSON_OBJECT &&
           (args[1].i == 0 || args[1].i == -1);
}

ox_code
json_get_index(struct call *call, const struct datum *args, struct datum *out)
{
    struct str value;
    if (scalar_at(call, args, &value) || json_index(args[0].s, args[1].i, &value))
        return give_json(call, value, out);
    out->null = true;
    return OX_OK;
}

ox_code
json_get_index_text(struct call *call, const struct datum *args, struct datum *out)
{
    struct str value;
    out->null = !(scalar_at(call, args, &value) || json_index(args[0].s, args[1].i, &value)) ||
                !json_as_text(value, call->arena, &out->s, NULL);
    return OX_OK;
}

static bool
step_into(struct str *doc, struct str key)
{
    struct json_finder finder;
    switch (json_kind_of(*doc)) {
    case JSON_OBJECT:
        json_finder_init(&finder, key);
        return json_find(&finder, *doc, doc);
    case JSON_ARRAY: {
        int64_t index;
        return ox_str_to_i64(key, &index) && json_index(*doc, index, doc);
    }
    default:
        return false;
    }
}

static bool
walk_array(struct str *doc, struct str path)
{
    struct array_view view;
    array_view(path, &view);
    for (uint32_t i = 0; i < view.count; i++) {
        struct datum key = array_get(&view, i);
        if (key.null || !step_into(doc, key.s))
            return false;
    }
    return true;
}

ox_code
json_path(struct call *call, const struct datum *args, struct datum *out)
{
    struct str doc = args[0].s;
    if (walk_array(&doc, args[1].s))
        return give_json(call, doc, out);
    out->null = true;
    return OX_OK;
}

ox_code
json_path_text(struct call *call, const struct datum *args, struct datum *out)
{
    struct str doc = args[0].s;
    out->null = !walk_array(&doc, args[1].s) || !json_as_text(doc, call->arena, &out->s, NULL);
    return OX_OK;
}

static bool
walk_args(struct call *call, const struct datum *args, struct str *doc)
{
    *doc = args[0].s;
    if (call->expr != NULL && call->expr->variadic)
        return walk_array(doc, args[1].s);
    for (uint32_t i = 1; i < call->nargs; i++)
        if (!step_into(doc, args[i].s))
            return false;
    return true;
}

ox_code
json_extract(struct call *call, const struct datum *args, struct datum *out)
{
    out->null = !walk_args(call, args, &out->s);
    return OX_OK;
}

ox_code
json_extract_text(struct call *call, const struct datum *args, struct datum *out)
{
    struct str doc;
    out->null = !walk_args(call, args, &doc) || !json_as_text(doc, call->arena, &out->s, NULL);
    return OX_OK;
}

ox_code
json_typeof(struct call *call, const struct datum *args, struct datum *out)
{
    static const char *const names[] = {[JSON_NULL] = "null",
        [JSON_STRING] = "string",
        [JSON_NUMBER] = "number",
        [JSON_FALSE] = "boolean",
        [JSON_TRUE] = "boolean",
        [JSON_ARRAY] = "array",
        [JSON_OBJECT] = "object"};
    out->s = ox_str(names[json_kind_of(args[0].s)]);
    return OX_OK;
}

ox_code
json_valid(struct call *call, const struct datum *args, struct datum *out)
{
    out->b = json_validate(args[0].s, NULL) == OX_OK;
    return OX_OK;
}

static ox_code
tree(struct call *call, struct datum doc, struct json_node **out)
{
    return json_parse(doc.s, call->types[0].id == TYPE_JSONB, call->arena, out, call->err);
}

ox_code
json_array_length(struct call *call, const struct datum *args, struct datum *out)
{
    struct json_node *node;
    ox_code code = tree(call, args[0], &node);
    if (code != OX_OK)
        return code;
    if (node->kind == JSON_OBJECT)
        return call_fail(
            call, OX_INVALID_PARAMETER_VALUE, "cannot get array length of a non-array");
    if (node->kind != JSON_ARRAY)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE, "cannot get array length of a scalar");
    out->i = node->count;
    return OX_OK;
}

/* ---- jsonb predicates ------------------------------------------------------------------ */

static ox_code
contains(struct call *call, struct str a, struct str b, struct datum *out)
{
    struct json_node *x, *y;
    ox_code code = json_parse(a, true, call->arena, &x, call->err);
    if (code == OX_OK)
        code = json_parse(b, true, call->arena, &y, call->err);
    if (code == OX_OK)
        out->b = json_node_contains(x, y);
    return code;
}

ox_code
jsonb_contains(struct call *call, const struct datum *args, struct datum *out)
{
    return contains(call, args[0].s, args[1].s, out);
}

ox_code
jsonb_contained(struct call *call, const struct datum *args, struct datum *out)
{
    return contains(call, args[1].s, args[0].s, out);
}

static bool
has_key(const struct json_node *node, struct str key)
{
    if (node->kind == JSON_OBJECT)
        return json_node_get(node, key) != NULL;
    if (node->kind == JSON_STRING)
        return ox_str_eq(node->text, key);
    for (uint32_t i = 0; node->kind == JSON_ARRAY && i < node->count; i++)
        if (node->items[i]->kind == JSON_STRING && ox_str_eq(node->items[i]->text, key))
            return true;
    return false;
}

ox_code
jsonb_exists(struct call *call, const struct datum *args, struct datum *out)
{
    struct json_node *node;
    ox_code code = tree(call, args[0], &node);
    if (code == OX_OK)
        out->b = has_key(node, args[1].s);
    return code;
}

static ox_code
exists_many(struct call *call, const struct datum *args, bool all, struct datum *out)
{
    struct json_node *node;
    struct array_view view;
    ox_code code = tree(call, args[0], &node);
    if (code != OX_OK)
        return code;
    array_view(args[1].s, &view);
    out->b = all;
    for (uint32_t i = 0; i < view.count; i++) {
        struct datum key = array_get(&view, i);
        if (!key.null && has_key(node, key.s) != all) {
            out->b = !all;
            break;
        }
    }
    return OX_OK;
}

ox_code
jsonb_exists_any(struct call *call, const struct datum *args, struct datum *out)
{
    return exists_many(call, args, false, out);
}

ox_code
jsonb_exists_all(struct call *call, const struct datum *args, struct datum *out)
{
    return exists_many(call, args, true, out);
}

/* ---- changing ---------------------------------------------------------------------------- */

static ox_code
give_tree(struct call *call, const struct json_node *node, struct datum *out)
{
    struct text to;
    ox_text_init(&to, call->arena);
    json_write(node, &to);
    out->s = ox_text_str(&to);
    return OX_OK;
}

static void
remove_at(struct json_node *node, uint32_t i)
{
    for (; i + 1 < node->count; i++) {
        node->items[i] = node->items[i + 1];
        if (node->kind == JSON_OBJECT)
            node->keys[i] = node->keys[i + 1];
    }
    node->count--;
}

static void
remove_key(struct json_node *node, struct str key)
{
    for (uint32_t i = node->count; i-- > 0;)
        if (node->kind == JSON_OBJECT
                ? ox_str_eq(node->keys[i], key)
                : node->items[i]->kind == JSON_STRING && ox_str_eq(node->items[i]->text, key))
            remove_at(node, i);
}

static ox_code
container(struct call *call, const struct json_node *node)
{
    if (node->kind == JSON_OBJECT || node->kind == JSON_ARRAY)
        return OX_OK;
    return call_fail(call, OX_INVALID_PARAMETER_VALUE, "cannot delete from scalar");
}

ox_code
jsonb_delete_key(struct call *call, const struct datum *args, struct datum *out)
{
    struct json_node *node;
    ox_code code = tree(call, args[0], &node);
    if (code == OX_OK)
        code = container(call, node);
    if (code != OX_OK)
        return code;
    remove_key(node, args[1].s);
    return give_tree(call, node, out);
}

ox_code
jsonb_delete_keys(struct call *call, const struct datum *args, struct datum *out)
{
    struct json_node *node;
    struct array_view view;
    ox_code code = tree(call, args[0], &node);
    if (code == OX_OK)
        code = container(call, node);
    if (code != OX_OK)
        return code;
    array_view(args[1].s, &view);
    for (uint32_t i = 0; i < view.count; i++) {
        struct datum key = array_get(&view, i);
        if (!key.null)
            remove_key(node, key.s);
    }
    return give_tree(call, node, out);
}

ox_code
jsonb_delete_index(struct call *call, const struct datum *args, struct datum *out)
{
    struct json_node *node;
    ox_code code = tree(call, args[0], &node);
    if (code == OX_OK)
        code = container(call, node);
    if (code != OX_OK)
        return code;
    if (node->kind == JSON_OBJECT)
        return call_fail(
            call, OX_INVALID_PARAMETER_VALUE, "cannot delete from object using integer index");
    int64_t i = args[1].i < 0 ? args[1].i + node->count : args[1].i;
    if (i >= 0 && i < node->count)
        remove_at(node, (uint32_t)i);
    return give_tree(call, node, out);
}

enum edit { EDIT_SET, EDIT_INSERT_BEFORE, EDIT_INSERT_AFTER, EDIT_DELETE };

struct editor {
    struct call *call;
    struct array_view path;
    struct json_node *value;
    enum edit edit;
    bool create;
};

static ox_code
edit_at(struct editor *ed, struct json_node *node, uint32_t level)
{
    struct datum key = array_get(&ed->path, level);
    bool last = level + 1 == ed->path.count;
    if (key.null)
        return call_fail(
            ed->call, OX_NULL_VALUE_NOT_ALLOWED, "path element at position %u is null", level + 1);
    if (node->kind == JSON_OBJECT) {
        for (uint32_t i = 0; i < node->count; i++) {
            if (!ox_str_eq(node->keys[i], key.s))
                continue;
            if (!last)
                return edit_at(ed, node->items[i], level + 1);
            if (ed->edit == EDIT_DELETE)
                remove_at(node, i);
            else if (ed->edit == EDIT_SET)
                node->items[i] = ed->value;
            else
                return call_fail(
                    ed->call, OX_INVALID_PARAMETER_VALUE, "cannot replace existing key");
            return OX_OK;
        }
        if (last && ed->edit != EDIT_DELETE && ed->create) {
            json_node_add(node, key.s, ed->value, ed->call->arena);
            json_object_sort(node);
        }
        return OX_OK;
    }
    if (node->kind != JSON_ARRAY)
        return OX_OK;
    int64_t i;
    if (!ox_str_to_i64(key.s, &i))
        return call_fail(ed->call, OX_INVALID_TEXT_REPRESENTATION,
            "path element at position %u is not an integer: \"%.*s\"", level + 1,
            OX_STR_ARG(key.s));
    bool before_first = i < 0 && -i > (int64_t)node->count;
    if (i < 0)
        i = before_first ? -1 : i + node->count;
    if (i >= 0 && i < node->count && !last)
        return edit_at(ed, node->items[i], level + 1);
    if (!last)
        return OX_OK;
    if (i >= 0 && i < node->count && ed->edit == EDIT_DELETE) {
        remove_at(node, (uint32_t)i);
        return OX_OK;
    }
    if (i >= 0 && i < node->count && ed->edit == EDIT_SET) {
        node->items[i] = ed->value;
        return OX_OK;
    }
    if (ed->edit == EDIT_DELETE || !ed->create)
        return OX_OK;
    uint32_t at = before_first       ? 0
                  : i >= node->count ? node->count
                                     : (uint32_t)i + (ed->edit == EDIT_INSERT_AFTER);
    json_node_add(node, OX_STR_NULL, ed->value, ed->call->arena);
    memmove(node->items + at + 1, node->items + at, (node->count - 1 - at) * sizeof(*node->items));
    node->items[at] = ed->value;
    return OX_OK;
}

static ox_code
edit_doc(
    struct call *call, const struct datum *args, enum edit edit, bool create, struct datum *out)
{
    struct editor ed = {.call = call, .edit = edit, .create = create};
    struct json_node *node;
    ox_code code = tree(call, args[0], &node);
    if (code != OX_OK)
        return code;
    array_view(args[1].s, &ed.path);
    if (node->kind != JSON_OBJECT && node->kind != JSON_ARRAY)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE,
            edit == EDIT_DELETE ? "cannot delete path in scalar" : "cannot set path in scalar");
    if (edit != EDIT_DELETE)
        code = json_parse(args[2].s, true, call->arena, &ed.value, call->err);
    if (code == OX_OK && ed.path.count > 0 && (node->count > 0 || create))
        code = edit_at(&ed, node, 0);
    return code != OX_OK ? code : give_tree(call, node, out);
}

ox_code
jsonb_set(struct call *call, const struct datum *args, struct datum *out)
{
    return edit_doc(call, args, EDIT_SET, call->nargs < 4 || args[3].b, out);
}

/* What a null value does is the fifth argument. */
ox_code
jsonb_set_lax(struct call *call, const struct datum *args, struct datum *out)
{
    struct datum with[4] = {args[0], args[1], args[2], datum_bool(true)};
    bool create = call->nargs < 4 || args[3].b;
    struct str how = call->nargs > 4 && !args[4].null ? args[4].s : OX_STR("use_json_null");
    out->null = args[0].null || args[1].null || (call->nargs > 3 && args[3].null);
    if (out->null)
        return OX_OK;
    if (!args[2].null)
        return edit_doc(call, with, EDIT_SET, create, out);
    if (call->nargs > 4 && args[4].null)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE,
            "null_value_treatment must be \"delete_key\", \"return_target\", "
            "\"use_json_null\", or \"raise_exception\"");
    if (ox_str_is(how, "raise_exception"))
        return call_fail(call, OX_NULL_VALUE_NOT_ALLOWED, "JSON value must not be null");
    if (ox_str_is(how, "return_target")) {
        *out = args[0];
        return OX_OK;
    }
    with[2] = (struct datum){.s = OX_STR("null")};
    if (ox_str_is(how, "use_json_null"))
        return edit_doc(call, with, EDIT_SET, create, out);
    if (ox_str_is(how, "delete_key"))
        return edit_doc(call, with, EDIT_DELETE, false, out);
    return call_fail(call, OX_INVALID_PARAMETER_VALUE,
        "null_value_treatment must be \"delete_key\", \"return_target\", "
        "\"use_json_null\", or \"raise_exception\"");
}

ox_code
jsonb_insert(struct call *call, const struct datum *args, struct datum *out)
{
    bool after = call->nargs > 3 && args[3].b;
    return edit_doc(call, args, after ? EDIT_INSERT_AFTER : EDIT_INSERT_BEFORE, true, out);
}

ox_code
jsonb_delete_path(struct call *call, const struct datum *args, struct datum *out)
{
    return edit_doc(call, args, EDIT_DELETE, false, out);
}

ox_code
jsonb_concat(struct call *call, const struct datum *args, struct datum *out)
{
    struct json_node *a, *b, *r;
    ox_code code = json_parse(args[0].s, true, call->arena, &a, call->err);
    if (code == OX_OK)
        code = json_parse(args[1].s, true, call->arena, &b, call->err);
    if (code != OX_OK)
        return code;
    bool objects = a->kind == JSON_OBJECT && b->kind == JSON_OBJECT;
    r = json_node_new(call->arena, objects ? JSON_OBJECT : JSON_ARRAY);
    const struct json_node *sides[2] = {a, b};
    for (int k = 0; k < 2; k++) {
        if (!objects && sides[k]->kind != JSON_ARRAY) {
            json_node_add(r, OX_STR_NULL, k == 0 ? a : b, call->arena);
            continue;
        }
        for (uint32_t i = 0; i < sides[k]->count; i++)
            json_node_add(
                r, objects ? sides[k]->keys[i] : OX_STR_NULL, sides[k]->items[i], call->arena);
    }
    if (objects)
        json_object_sort(r);
    return give_tree(call, r, out);
}

static void
strip_nulls(struct json_node *node)
{
    for (uint32_t i = node->count; i-- > 0;) {
        if (node->kind == JSON_OBJECT && node->items[i]->kind == JSON_NULL)
            remove_at(node, i);
        else
            strip_nulls(node->items[i]);
    }
}

static void
write_compact(const struct json_node *node, struct text *to)
{
    if (node->kind != JSON_ARRAY && node->kind != JSON_OBJECT) {
        json_write(node, to);
        return;
    }
    ox_text_addc(to, node->kind == JSON_ARRAY ? '[' : '{');
    for (uint32_t i = 0; i < node->count; i++) {
        if (i > 0)
            ox_text_addc(to, ',');
        if (node->kind == JSON_OBJECT) {
            json_quote(node->keys[i], to);
            ox_text_addc(to, ':');
        }
        write_compact(node->items[i], to);
    }
    ox_text_addc(to, node->kind == JSON_ARRAY ? ']' : '}');
}

ox_code
json_strip_nulls(struct call *call, const struct datum *args, struct datum *out)
{
    struct json_node *node;
    ox_code code = tree(call, args[0], &node);
    if (code != OX_OK)
        return code;
    strip_nulls(node);
    if (call->type.id == TYPE_JSONB)
        return give_tree(call, node, out);
    struct text to;
    ox_text_init(&to, call->arena);
    write_compact(node, &to);
    out->s = ox_text_str(&to);
    return OX_OK;
}

ox_code
jsonb_pretty(struct call *call, const struct datum *args, struct datum *out)
{
    struct json_node *node;
    struct text to;
    ox_code code = tree(call, args[0], &node);
    if (code != OX_OK)
        return code;
    ox_text_init(&to, call->arena);
    json_write_pretty(node, 0, &to);
    out->s = ox_text_str(&to);
    return OX_OK;
}

/* ---- building ------------------------------------------------------------------------------ */

static ox_code
finish_json(struct call *call, struct text *text, struct datum *out)
{
    out->s = ox_text_str(text);
    if (call->type.id != TYPE_JSONB)
        return OX_OK;
    struct text to;
    ox_text_init(&to, call->arena);
    ox_code code = jsonb_normalise(out->s, &to, call->err);
    out->s = ox_text_str(&to);
    return code;
}

/* The arguments of a VARIADIC "any" function: spread when an array was given as VARIADIC. */
void
call_items(struct call *call, const struct datum *args, uint32_t from, const struct datum **items,
    const struct type **types, uint32_t *count)
{
    *items = args + from;
    *types = call->types + from;
    *count = call->nargs > from ? call->nargs - from : 0;
    if (call->expr == NULL || !call->expr->variadic || *count != 1 || !call->types[from].array)
        return;
    struct array_view view = {0};
    if (!args[from].null)
        array_view(args[from].s, &view);
    struct datum *spread = ox_arena_alloc(call->arena, (view.count + 1) * sizeof(*spread));
    struct type *each = ox_arena_alloc(call->arena, (view.count + 1) * sizeof(*each));
    for (uint32_t i = 0; i < view.count; i++) {
        spread[i] = array_get(&view, i);
        each[i] = type_element(call->types[from]);
    }
    *items = spread;
    *types = each;
    *count = view.count;
}

ox_code
json_add_key(struct ox_err *err, struct type type, const struct datum *key,
    const struct row_format *format, struct text *to)
{
    if (key->null)
        return ox_fail(err, OX_NULL_VALUE_NOT_ALLOWED, "field name must not be null");
    if (type.array || type.id == TYPE_JSON || type.id == TYPE_JSONB || type.id == TYPE_RECORD)
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
            "key value must be scalar, not array, composite, or json");
    struct text name;
    ox_text_init(&name, NULL);
    type_out_text(type, key, format, &name);
    json_quote(ox_text_str(&name), to);
    ox_text_fini(&name);
    return OX_OK;
}

ox_code
json_build_object(struct call *call, const struct datum *args, struct datum *out)
{
    const struct datum *items;
    const struct type *types;
    uint32_t count;
    struct text text;
    call_items(call, args, 0, &items, &types, &count);
    if (count % 2 != 0)
        return call_fail(
            call, OX_INVALID_PARAMETER_VALUE, "argument list must have even number of elements");
    ox_text_init(&text, call->arena);
    ox_text_addc(&text, '{');
    for (uint32_t i = 0; i < count; i += 2) {
        if (i > 0)
            ox_text_adds(&text, ", ");
        ox_code code = json_add_key(NULL, types[i], &items[i], call_format(call), &text);
        if (code != OX_OK)
            return call_fail(call, OX_INVALID_PARAMETER_VALUE,
                code == OX_NULL_VALUE_NOT_ALLOWED
                    ? "argument %u: key must not be null"
                    : "argument %u: key value must be scalar, not array, composite, or json",
                i + 1);
        ox_text_adds(&text, " : ");
        json_from_datum(types[i + 1], &items[i + 1], call_format(call), &text);
        if (CALL_ROOM(call, text.len) != OX_OK)
            return OX_PROGRAM_LIMIT_EXCEEDED;
    }
    ox_text_addc(&text, '}');
    return finish_json(call, &text, out);
}

ox_code
json_build_array(struct call *call, const struct datum *args, struct datum *out)
{
    const struct datum *items;
    const struct type *types;
    uint32_t count;
    struct text text;
    call_items(call, args, 0, &items, &types, &count);
    ox_text_init(&text, call->arena);
    ox_text_addc(&text, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            ox_text_adds(&text, ", ");
        json_from_datum(types[i], &items[i], call_format(call), &text);
        if (CALL_ROOM(call, text.len) != OX_OK)
            return OX_PROGRAM_LIMIT_EXCEEDED;
    }
    ox_text_addc(&text, ']');
    return finish_json(call, &text, out);
}

ox_code
json_object_array(struct call *call, const struct datum *args, struct datum *out)
{
    struct array_view keys, values;
    struct text text;
    array_view(args[0].s, &keys);
    array_view(args[call->nargs - 1].s, &values);
    bool pairs = call->nargs == 1;
    if (pairs && keys.count % 2 != 0)
        return call_fail(call, OX_ARRAY_SUBSCRIPT_ERROR, "array must have even number of elements");
    if (!pairs && keys.count != values.count)
        return call_fail(call, OX_ARRAY_SUBSCRIPT_ERROR, "mismatched array dimensions");
    ox_text_init(&text, call->arena);
    ox_text_addc(&text, '{');
    for (uint32_t i = 0; i < keys.count; i += pairs ? 2 : 1) {
        struct datum key = array_get(&keys, i), value = array_get(&values, pairs ? i + 1 : i);
        if (key.null)
            return call_fail(
                call, OX_NULL_VALUE_NOT_ALLOWED, "null value not allowed for object key");
        if (i > 0)
            ox_text_adds(&text, ", ");
        json_quote(key.s, &text);
        ox_text_adds(&text, " : ");
        if (value.null)
            ox_text_adds(&text, "null");
        else
            json_quote(value.s, &text);
    }
    ox_text_addc(&text, '}');
    return finish_json(call, &text, out);
}

ox_code
json_to_json(struct call *call, const struct datum *args, struct datum *out)
{
    struct text text;
    ox_text_init(&text, call->arena);
    json_from_datum(call->types[0], &args[0], call_format(call), &text);
    return finish_json(call, &text, out);
}

/* ---- casts ------------------------------------------------------------------------------------
 */

ox_code
json_to_jsonb(struct call *call, const struct datum *args, struct datum *out)
{
    struct text to;
    ox_text_init(&to, call->arena);
    ox_code code = jsonb_normalise(args[0].s, &to, call->err);
    out->s = ox_text_str(&to);
    return code;
}

static ox_code
scalar_cast(struct call *call, struct str doc, bool number)
{
    static const char *const names[] = {[JSON_NULL] = "null",
        [JSON_STRING] = "string",
        [JSON_NUMBER] = "numeric",
        [JSON_FALSE] = "boolean",
        [JSON_TRUE] = "boolean",
        [JSON_ARRAY] = "array",
        [JSON_OBJECT] = "object"};
    enum json_kind kind = json_kind_of(doc);
    if (number ? kind == JSON_NUMBER : kind == JSON_TRUE || kind == JSON_FALSE)
        return OX_OK;
    return call_fail(call, OX_INVALID_PARAMETER_VALUE, "cannot cast jsonb %s to type %s",
        names[kind], type_facts(call->type)->sql);
}

ox_code
json_to_bool(struct call *call, const struct datum *args, struct datum *out)
{
    out->b = json_kind_of(args[0].s) == JSON_TRUE;
    return scalar_cast(call, args[0].s, false);
}

ox_code
json_to_num(struct call *call, const struct datum *args, struct datum *out)
{
    ox_code code = scalar_cast(call, args[0].s, true);
    return code != OX_OK ? code : numeric_in(args[0].s, -1, call->arena, &out->s, call->err);
}

ox_code
json_to_int(struct call *call, const struct datum *args, struct datum *out)
{
    struct datum num = {.null = false};
    ox_code code = json_to_num(call, args, &num);
    return code != OX_OK ? code : num_to_int(call, &num, out);
}

ox_code
json_to_float(struct call *call, const struct datum *args, struct datum *out)
{
    struct datum num = {.null = false};
    ox_code code = json_to_num(call, args, &num);
    return code != OX_OK ? code : num_to_float(call, &num, out);
}

/* ---- headers of a record ------------------------------------------------------------------------
 */

static ox_code
header_entries(struct call *call, const struct datum *args, struct json_node **node)
{
    ox_code code = json_parse(args[0].s, false, call->arena, node, call->err);
    if (code == OX_OK && (*node)->kind != JSON_ARRAY)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE,
            "headers are an array of objects with \"key\" and \"value\"");
    return code;
}

static const struct json_node *
header_value(const struct json_node *entry, struct str key, bool *binary)
{
    const struct json_node *name = json_node_get(entry, OX_STR("key"));
    if (name == NULL || name->kind != JSON_STRING || !ox_str_eq(name->text, key))
        return NULL;
    const struct json_node *bytes = json_node_get(entry, OX_STR("bytes"));
    *binary = bytes != NULL;
    return bytes != NULL ? bytes : json_node_get(entry, OX_STR("value"));
}

static struct str
decode64(struct call *call, struct str text)
{
    char *to = call_alloc(call, text.len + 3);
    ptrdiff_t len = ox_base64_decode(to, text.ptr, text.len);
    return ox_str_n(to, len < 0 ? 0 : (size_t)len);
}

static ox_code
last_header(struct call *call, const struct datum *args, bool as_bytes, struct datum *out)
{
    struct json_node *node;
    ox_code code = header_entries(call, args, &node);
    out->null = true;
    for (uint32_t i = 0; code == OX_OK && i < node->count; i++) {
        bool binary;
        const struct json_node *value = header_value(node->items[i], args[1].s, &binary);
        if (value == NULL)
            continue;
        out->null = value->kind != JSON_STRING || (binary && !as_bytes);
        if (!out->null)
            out->s = binary ? decode64(call, value->text) : value->text;
    }
    return code;
}

ox_code
header_last(struct call *call, const struct datum *args, struct datum *out)
{
    return last_header(call, args, false, out);
}

ox_code
header_last_bytes(struct call *call, const struct datum *args, struct datum *out)
{
    return last_header(call, args, true, out);
}

ox_code
header_all(struct call *call, const struct datum *args, struct datum *out)
{
    struct json_node *node;
    ox_code code = header_entries(call, args, &node);
    if (code != OX_OK)
        return code;
    struct datum *items = call_alloc(call, (node->count + 1) * sizeof(*items));
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->count; i++) {
        bool binary;
        const struct json_node *value = header_value(node->items[i], args[1].s, &binary);
        if (value == NULL)
            continue;
        bool null = value->kind != JSON_STRING || binary;
        items[n++] = null ? DATUM_NULL : datum_str(value->text);
    }
    out->s = array_make(TYPE(TYPE_TEXT), items, n, call->arena);
    return OX_OK;
}

/* ---- set-returning
 * --------------------------------------------------------------------------------- */

struct json_set {
    struct json_node *node;
    uint32_t at;
};

static ox_code
set_open_kind(struct set_call *call, enum json_kind kind, struct ox_err *err)
{
    struct json_set *set = ox_arena_new(call->arena, struct json_set);
    call->state = set;
    ox_code code =
        json_parse(call->args[0].s, call->types[0].id == TYPE_JSONB, call->arena, &set->node, err);
    if (code != OX_OK || set->node->kind == kind)
        return code;
    bool scalar = set->node->kind != JSON_ARRAY && set->node->kind != JSON_OBJECT;
    if (kind == JSON_ARRAY)
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "cannot extract elements from %s",
            scalar ? "a scalar" : "an object");
    return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "cannot call %s on %s", call->func->name,
        scalar ? "a scalar" : "an array");
}

static ox_code
set_open_object(struct set_call *call, struct ox_err *err)
{
    return set_open_kind(call, JSON_OBJECT, err);
}

static ox_code
set_open_array(struct set_call *call, struct ox_err *err)
{
    return set_open_kind(call, JSON_ARRAY, err);
}

static struct datum
node_json(struct set_call *call, const struct json_node *node)
{
    if (call->types[0].id != TYPE_JSONB)
        return datum_str(node->raw);
    struct text to;
    ox_text_init(&to, call->row_arena);
    json_write(node, &to);
    return datum_str(ox_text_str(&to));
}

static struct datum
node_text(struct set_call *call, const struct json_node *node)
{
    if (node->kind == JSON_NULL)
        return DATUM_NULL;
    return node->kind == JSON_STRING ? datum_str(node->text) : node_json(call, node);
}

static bool
set_more(struct set_call *call, struct json_set **set, uint32_t *i, bool *end)
{
    *set = call->state;
    *end = (*set)->at >= (*set)->node->count;
    *i = (*set)->at++;
    return !*end;
}

static ox_code
keys_next(struct set_call *call, struct datum *row, bool *end, struct ox_err *err)
{
    struct json_set *set;
    uint32_t i;
    if (set_more(call, &set, &i, end))
        row[0] = datum_str(set->node->keys[i]);
    return OX_OK;
}

static ox_code
elements_next(struct set_call *call, struct datum *row, bool *end, struct ox_err *err)
{
    struct json_set *set;
    uint32_t i;
    if (set_more(call, &set, &i, end))
        row[0] = node_json(call, set->node->items[i]);
    return OX_OK;
}

static ox_code
elements_text_next(struct set_call *call, struct datum *row, bool *end, struct ox_err *err)
{
    struct json_set *set;
    uint32_t i;
    if (set_more(call, &set, &i, end))
        row[0] = node_text(call, set->node->items[i]);
    return OX_OK;
}

static ox_code
each_next(struct set_call *call, struct datum *row, bool *end, struct ox_err *err)
{
    struct json_set *set;
    uint32_t i;
    if (set_more(call, &set, &i, end)) {
        row[0] = datum_str(set->node->keys[i]);
        row[1] = node_json(call, set->node->items[i]);
    }
    return OX_OK;
}

static ox_code
each_text_next(struct set_call *call, struct datum *row, bool *end, struct ox_err *err)
{
    struct json_set *set;
    uint32_t i;
    if (set_more(call, &set, &i, end)) {
        row[0] = datum_str(set->node->keys[i]);
        row[1] = node_text(call, set->node->items[i]);
    }
    return OX_OK;
}

const struct set_func set_json_keys = {set_open_object, keys_next};
const struct set_func set_json_elements = {set_open_array, elements_next};
const struct set_func set_json_elements_text = {set_open_array, elements_text_next};
const struct set_func set_json_each = {set_open_object, each_next};
const struct set_func set_json_each_text = {set_open_object, each_text_next};
