/* SPDX-License-Identifier: Apache-2.0
 *
 * Which function or operator a name means for given argument types, by
 * PostgreSQL's rules: an exact match wins; then, of those that implicit casts can
 * reach, the one with the most exact matches, the most preferred types, and what
 * unknown literals make most sense as. */
#include "exec/expr_int.h"

/* ---- by name ---- */

static int
name_compare(struct str a, const char *b)
{
    size_t len = strlen(b), n = OX_MIN(a.len, len);
    int c = memcmp(a.ptr, b, n);
    return c != 0 ? c : a.len < len ? -1 : a.len > len;
}

const struct func *
func_find(struct str name, uint32_t *count)
{
    uint32_t low = 0, high = func_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (name_compare(name, func_table[mid].name) > 0)
            low = mid + 1;
        else
            high = mid;
    }
    uint32_t end = low;
    while (end < func_count && name_compare(name, func_table[end].name) == 0)
        end++;
    *count = end - low;
    return end > low ? &func_table[low] : NULL;
}

/* ---- by types ---- */

enum { CANDIDATES_MAX = 128 };

struct type
func_declared(const struct func *func, uint32_t i)
{
    return func->args[i < func->nargs ? i : func->nargs - 1u];
}

static bool
arity_fits(const struct func *func, uint32_t nargs)
{
    if (func->kind == FUNC_CAST)
        return false;
    return nargs >= func->required && (nargs <= func->nargs || func->variadic);
}

static bool
is_preferred(struct type type)
{
    return !type.array && type_facts(type)->preferred;
}

static bool
preferred_for(struct type target, struct type input)
{
    return is_preferred(target) && type_category(target) == type_category(input);
}

bool
type_common(struct type a, struct type b, struct type *out)
{
    if (type_is_unknown(a) || type_same(a, b)) {
        *out = b;
        return true;
    }
    if (type_is_unknown(b)) {
        *out = a;
        return true;
    }
    if (type_category(a) != type_category(b))
        return false;
    if (!is_preferred(a) && cast_exists(a, b, CAST_IMPLICIT) &&
        !cast_exists(b, a, CAST_IMPLICIT)) {
        *out = b;
        return true;
    }
    *out = a;
    return true;
}

bool
func_deduce(const struct func *func, const struct type *types, uint32_t nargs, struct type *element,
    struct type *compatible)
{
    *element = *compatible = TYPE(TYPE_UNKNOWN);
    for (uint32_t i = 0; i < nargs; i++) {
        struct type want = func_declared(func, i), have = types[i];
        if (!type_is_polymorphic(want) || want.id == TYPE_ANY || type_is_unknown(have))
            continue;
        have.typmod = -1;
        if (type_wants_array(want)) {
            if (!have.array)
                return false;
            have = type_element(have);
        }
        bool loose = want.id == TYPE_ANYCOMPATIBLE || want.id == TYPE_ANYCOMPATIBLEARRAY;
        struct type *slot = loose ? compatible : element;
        if (type_is_unknown(*slot))
            *slot = have;
        else if (loose ? !type_common(*slot, have, slot) : !type_same(*slot, have))
            return false;
    }
    /* an array of arrays is no type */
    return !compatible->array || !(type_wants_array(func->result) && func->nargs > 0);
}

static uint32_t
keep_best(const struct func **list, uint32_t count, const uint32_t *score)
{
    uint32_t best = 0, n = 0;
    for (uint32_t i = 0; i < count; i++)
        best = OX_MAX(best, score[i]);
    for (uint32_t i = 0; i < count; i++)
        if (score[i] == best)
            list[n++] = list[i];
    return n;
}

/* What the candidates take for the unknown k-th argument: strings, if some do, else the
 * one category that all agree on; *preferred: its preferred type is among them. False:
 * they do not agree. */
static bool
agreed_category(const struct func *const *list, uint32_t count, uint32_t k, char *category,
    bool *preferred)
{
    bool conflict = false;
    *category = '\0';
    *preferred = false;
    for (uint32_t i = 0; i < count; i++) {
        struct type want = func_declared(list[i], k);
        char c = type_category(want);
        if (*category == '\0') {
            *category = c;
            *preferred = is_preferred(want);
        } else if (c == *category) {
            *preferred |= is_preferred(want);
        } else if (c == 'S') {
            *category = 'S';
            *preferred = is_preferred(want);
            conflict = false;
        } else if (*category != 'S') {
            conflict = true;
        }
    }
    return !conflict || *category == 'S';
}

/* Unknown literals are taken for what the candidates agree on, if they do. */
static uint32_t
keep_category(const struct func **list, uint32_t count, const struct type *types, uint32_t nargs)
{
    const struct func *kept[CANDIDATES_MAX];
    char category[CALL_ARGS_MAX];
    bool preferred[CALL_ARGS_MAX];
    uint32_t n = 0;
    for (uint32_t k = 0; k < nargs; k++)
        if (type_is_unknown(types[k]) &&
            !agreed_category(list, count, k, &category[k], &preferred[k]))
            return count;
    for (uint32_t i = 0; i < count; i++) {
        bool keep = true;
        for (uint32_t k = 0; k < nargs && keep; k++) {
            struct type want = func_declared(list[i], k);
            if (type_is_unknown(types[k]))
                keep = type_category(want) == category[k] && (!preferred[k] || is_preferred(want));
        }
        if (keep)
            kept[n++] = list[i];
    }
    if (n == 0)
        return count;
    memcpy(list, kept, n * sizeof(const struct func *));
    return n;
}

/* All known arguments are of one type: the unknown ones are taken for that. */
static uint32_t
keep_known(const struct func **list, uint32_t count, const struct type *types, uint32_t nargs)
{
    struct type known = TYPE(TYPE_NONE);
    const struct func *found = NULL;
    for (uint32_t k = 0; k < nargs; k++) {
        if (type_is_unknown(types[k]))
            continue;
        if (known.id != TYPE_NONE && !type_same(known, types[k]))
            return count;
        known = types[k];
    }
    if (known.id == TYPE_NONE)
        return count;
    for (uint32_t i = 0; i < count; i++) {
        struct type all[CALL_ARGS_MAX], element, compatible;
        for (uint32_t k = 0; k < nargs; k++)
            all[k] = known;
        bool fits = func_deduce(list[i], all, nargs, &element, &compatible);
        for (uint32_t k = 0; k < nargs && fits; k++)
            fits = cast_exists(known, func_declared(list[i], k), CAST_IMPLICIT);
        if (fits && found != NULL)
            return count;
        found = fits ? list[i] : found;
    }
    if (found == NULL)
        return count;
    list[0] = found;
    return 1;
}

/* Those with the most exact matches, then with the most preferred types; then what
 * unknown literals may be. 1 left, or more when ambiguous. */
static uint32_t
select_candidate(const struct func **list, uint32_t count, const struct type *types, uint32_t nargs)
{
    uint32_t score[CANDIDATES_MAX], unknowns = 0;
    for (uint32_t k = 0; k < nargs; k++)
        unknowns += type_is_unknown(types[k]);
    for (int preferred = 0; preferred <= 1 && count > 1; preferred++) {
        for (uint32_t i = 0; i < count; i++) {
            score[i] = 0;
            for (uint32_t k = 0; k < nargs; k++)
                score[i] += !type_is_unknown(types[k]) &&
                            (type_same(func_declared(list[i], k), types[k]) ||
                                (preferred && preferred_for(func_declared(list[i], k), types[k])));
        }
        count = keep_best(list, count, score);
    }
    if (count > 1 && unknowns > 0)
        count = keep_category(list, count, types, nargs);
    if (count > 1 && unknowns > 0)
        count = keep_known(list, count, types, nargs);
    return count;
}

const struct func *
func_choose(struct str name, const struct type *types, uint32_t nargs, bool operators,
    bool *ambiguous)
{
    uint32_t count, n = 0;
    const struct func *rows = func_find(name, &count), *list[CANDIDATES_MAX];
    *ambiguous = false;
    if (nargs > CALL_ARGS_MAX)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        if ((rows[i].kind == FUNC_OPERATOR) != operators || !arity_fits(&rows[i], nargs))
            continue;
        bool exact = true;
        for (uint32_t k = 0; k < nargs && exact; k++)
            exact = type_same(func_declared(&rows[i], k), types[k]);
        if (exact)
            return &rows[i];
    }
    if (operators && nargs == 2 && type_is_unknown(types[0]) != type_is_unknown(types[1])) {
        struct type same = type_is_unknown(types[0]) ? types[1] : types[0];
        for (uint32_t i = 0; i < count; i++)
            if (rows[i].kind == FUNC_OPERATOR && rows[i].nargs == 2 &&
                type_same(rows[i].args[0], same) && type_same(rows[i].args[1], same))
                return &rows[i];
    }
    for (uint32_t i = 0; i < count && n < CANDIDATES_MAX; i++) {
        if ((rows[i].kind == FUNC_OPERATOR) != operators || !arity_fits(&rows[i], nargs))
            continue;
        struct type element, compatible;
        bool fits = func_deduce(&rows[i], types, nargs, &element, &compatible);
        for (uint32_t k = 0; k < nargs && fits; k++)
            fits = cast_exists(types[k], func_declared(&rows[i], k), CAST_IMPLICIT);
        if (fits)
            list[n++] = &rows[i];
    }
    if (n > 1)
        n = select_candidate(list, n, types, nargs);
    *ambiguous = n > 1;
    return n == 1 ? list[0] : NULL;
}

const struct func *
func_resolve(struct str name, const struct type *types, uint32_t nargs)
{
    bool ambiguous;
    return func_choose(name, types, nargs, false, &ambiguous);
}
