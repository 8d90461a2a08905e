/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions as programs run by Pike's method: all threads step
 * through the text together, so that time is the product of text and program
 * and no pattern can blow up. Of the matches that start leftmost the longest is
 * taken, or the shortest when the first quantifier is a lazy one, as in
 * PostgreSQL; groups are those of the preferred thread.
 *
 * Invariants: 1. a list holds an instruction once; 2. its order is the threads'
 * preference; 3. threads of an earlier start stand before those of a later one. */
#include "exec/regex.h"
#include "base/stop.h"

#include <stdlib.h>

#include "exec/expr_int.h"

enum { REPEAT_MAX = 255, PROGRAM_MAX = 50000, GROUPS_MAX = 100, DEPTH_MAX = 200 };
enum { NODES_MAX = 4 * PROGRAM_MAX }; /* with so many the program is too long, or almost empty */
#define NO_JUMP UINT32_MAX

enum op {
    OP_CHAR,
    OP_ANY,
    OP_NOT_NEWLINE,
    OP_CLASS,
    OP_SPLIT,
    OP_JUMP,
    OP_SAVE,
    OP_LINE_START,
    OP_LINE_END,
    OP_TEXT_START,
    OP_TEXT_END,
    OP_WORD_EDGE,
    OP_NOT_WORD_EDGE,
    OP_WORD_START,
    OP_WORD_END,
    OP_MATCH
};

struct inst {
    enum op op;
    uint32_t x, y; /* character, class, targets, slot */
};

struct range {
    uint32_t low, high;
};

struct class
{
    struct range *ranges;
    size_t cap;
    uint32_t count;
    bool negate, word, not_word, space, not_space, digit, not_digit, fold;
};

/* ---- tree -------------------------------------------------------------------------
 *
 * What stands beside each other, and alternatives, are lists along `right`: only groups
 * go deep, of which there are DEPTH_MAX in each other. */

enum node_kind {
    NODE_EMPTY,
    NODE_CHAR,
    NODE_ANY,
    NODE_CLASS,
    NODE_ASSERT,
    NODE_CONCAT,
    NODE_ALT,
    NODE_REPEAT,
    NODE_GROUP
};

struct node {
    enum node_kind kind;
    uint32_t value; /* character, class index, assertion op, group number (0: not capturing) */
    int min, max;   /* of a repeat; max -1: no end */
    bool lazy;
    struct node *left, *right;
};

struct thread_list {
    uint32_t *pcs;
    uint32_t *sparse;
    size_t *saves; /* slots per entry */
    uint32_t count;
};

struct regex {
    struct inst *program;
    size_t cap;
    uint32_t count;
    struct class *classes;
    size_t class_cap;
    uint32_t class_count, groups, slots;
    int flags;
    bool shortest, anchored;
    bool literal; /* the whole pattern is plain bytes */
    struct str bytes;
    bool first[256]; /* bytes a match may start with */
    bool any_first;
    struct thread_list lists[2];
    size_t *scratch;
    uint32_t *stack; /* of add_thread: pc, or slot to restore */
    size_t *stack_old;
};

struct parser {
    const char *at, *end;
    struct regex *re;
    struct arena *arena;
    struct ox_err *err;
    int depth;
    uint32_t nodes;
    bool failed;
};

static struct node *parse_alternatives(struct parser *p);

static struct node *
bad(struct parser *p, const char *why)
{
    if (!p->failed)
        ox_fail(p->err, OX_INVALID_REGULAR_EXPRESSION, "invalid regular expression: %s", why);
    p->failed = true;
    return NULL;
}

static struct node *
unserved(struct parser *p, const char *what)
{
    if (!p->failed)
        ox_fail(p->err, OX_FEATURE_NOT_SUPPORTED, "%s", what);
    p->failed = true;
    return NULL;
}

static struct node *
node_new(struct parser *p, enum node_kind kind, uint32_t value)
{
    struct node *node = ox_arena_new(p->arena, struct node);
    if (++p->nodes > NODES_MAX)
        bad(p, "regular expression is too complex");
    node->kind = kind;
    node->value = value;
    return node;
}

/* Puts next behind the last one of a list that begins in what *last pointed to at first. */
static void
chain(struct parser *p, enum node_kind kind, struct node ***last, struct node *next)
{
    struct node **slot = *last;
    if (*slot == NULL) {
        *slot = next;
        return;
    }
    struct node *both = node_new(p, kind, 0);
    both->left = *slot;
    both->right = next;
    *slot = both;
    *last = &both->right;
}

static uint32_t
class_new(struct parser *p)
{
    struct regex *re = p->re;
    ox_arena_grow(
        p->arena, (void **)&re->classes, &re->class_cap, re->class_count + 1, sizeof(*re->classes));
    memset(&re->classes[re->class_count], 0, sizeof(*re->classes));
    re->classes[re->class_count].fold = (re->flags & REGEX_FOLD) != 0;
    return re->class_count++;
}

static void
class_add(struct parser *p, struct class *class, uint32_t low, uint32_t high)
{
    ox_arena_grow(
        p->arena, (void **)&class->ranges, &class->cap, class->count + 1, sizeof(*class->ranges));
    class->ranges[class->count++] = (struct range){low, high};
}

static bool
class_letter(struct class *class, char letter)
{
    switch (letter) {
    case 'd':
        class->digit = true;
        return true;
    case 'D':
        class->not_digit = true;
        return true;
    case 'w':
        class->word = true;
        return true;
    case 'W':
        class->not_word = true;
        return true;
    case 's':
        class->space = true;
        return true;
    case 'S':
        class->not_space = true;
        return true;
    default:
        return false;
    }
}

static inline bool
is_space(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0x2028 || c == 0x2029 ||
           c == 0x3000 || (c >= 0x2000 && c <= 0x200A && c != 0x2007) || c == 0x1680;
}

static inline bool
is_word(uint32_t c)
{
    return c == '_' || text_is_word(c);
}

static bool
class_has(const struct class *class, uint32_t c)
{
    if ((class->word && is_word(c)) || (class->not_word && !is_word(c)) ||
        (class->space && is_space(c)) || (class->not_space && !is_space(c)) ||
        (class->digit && c >= '0' && c <= '9') || (class->not_digit && !(c >= '0' && c <= '9')))
        return true;
    for (uint32_t i = 0; i < class->count; i++)
        if (c >= class->ranges[i].low && c <= class->ranges[i].high)
            return true;
    return false;
}

static bool
class_matches(const struct class *class, uint32_t c)
{
    bool found = class_has(class, c);
    if (!found && class->fold)
        found = class_has(class, text_fold(c, false)) || class_has(class, text_fold(c, true));
    return found != class->negate;
}

/* Hexadecimal digits: so many, or for 255 one and more. */
static bool
hex_escape(struct parser *p, int digits, uint32_t *c)
{
    uint64_t v = 0;
    int n = 0;
    for (; n < digits && p->at < p->end; n++, p->at++) {
        char h = *p->at;
        int d = h >= '0' && h <= '9'                 ? h - '0'
                : (h | 32) >= 'a' && (h | 32) <= 'f' ? (h | 32) - 'a' + 10
                                                     : -1;
        if (d < 0)
            break;
        v = (v << 4 | (uint64_t)d) & 0xFFFFFFFF;
    }
    *c = (uint32_t)v;
    return n > 0 && (digits == 255 || n == digits) && v <= 0x10FFFF;
}

/* \n, \x41, \u0041 and the like; the backslash was read. */
static bool
char_escape(struct parser *p, uint32_t *c)
{
    static const struct {
        char letter, stands_for;
    } letters[] = {{'a', 7}, {'b', 8}, {'B', '\\'}, {'e', 27}, {'f', 12}, {'n', 10}, {'r', 13},
        {'t', 9}, {'v', 11}, {'0', 0}};
    char e = *p->at++;
    size_t len;
    for (size_t i = 0; i < ox_count(letters); i++)
        if (e == letters[i].letter) {
            *c = (uint8_t)letters[i].stands_for;
            return true;
        }
    switch (e) {
    case 'c':
        if (p->at >= p->end)
            return false;
        *c = (uint32_t)(*p->at++ & 31);
        return true;
    case 'u':
        return hex_escape(p, 4, c);
    case 'U':
        return hex_escape(p, 8, c);
    case 'x':
        return hex_escape(p, 255, c);
    default:
        break;
    }
    if ((e >= 'a' && e <= 'z') || (e >= 'A' && e <= 'Z') || (e >= '0' && e <= '9'))
        return false;
    p->at--;
    *c = ox_utf8_get(p->at, p->end, &len);
    p->at += len;
    return true;
}

static bool
named_class(struct parser *p, struct class *class, struct str name)
{
    static const struct {
        const char *name;
        const char *ranges;
    } names[] = {{"digit", "09"}, {"lower", "az"}, {"upper", "AZ"}, {"xdigit", "09afAF"},
        {"blank", "  \t\t"}, {"cntrl", "\001\037\177\177"}, {"print", " ~"}, {"graph", "!~"},
        {"punct", "!/:@[`{~"}, {"ascii", "\001\177"}};
    if (ox_str_is(name, "alnum") || ox_str_is(name, "word") || ox_str_is(name, "alpha")) {
        class_add(p, class, 'a', 'z');
        class_add(p, class, 'A', 'Z');
        if (!ox_str_is(name, "alpha"))
            class_add(p, class, '0', '9');
        if (ox_str_is(name, "word"))
            class->word = true;
        class_add(p, class, 0xAA, 0x24F);
        class_add(p, class, 0x250, 0x1FFF);
        class_add(p, class, 0x2C00, 0x2DFF);
        class_add(p, class, 0x3040, 0xD7FF);
        return true;
    }
    if (ox_str_is(name, "space")) {
        class->space = true;
        return true;
    }
    for (size_t i = 0; i < ox_count(names); i++)
        if (ox_str_is(name, names[i].name)) {
            for (const char *r = names[i].ranges; *r; r += 2)
                class_add(p, class, (uint8_t)r[0], (uint8_t)r[1]);
            return true;
        }
    return false;
}

/* [:alpha:], [=a=], [.a.] inside of brackets. */
static bool
bracket_name(struct parser *p, struct class *class)
{
    char kind = p->at[1];
    const char *name = p->at + 2, *stop = name;
    while (stop + 1 < p->end && !(stop[0] == kind && stop[1] == ']'))
        stop++;
    if (stop + 1 >= p->end)
        return bad(p, "brackets [] not balanced");
    p->at = stop + 2;
    if (kind == ':')
        return named_class(p, class, ox_str_n(name, (size_t)(stop - name))) ||
               bad(p, "invalid character class");
    size_t len;
    uint32_t c = ox_utf8_get(name, stop, &len);
    if (len != (size_t)(stop - name))
        return bad(p, "invalid collating element");
    class_add(p, class, c, c);
    return true;
}

/* The end of a range; the '-' was read. */
static bool
bracket_high(struct parser *p, uint32_t *high)
{
    size_t len;
    if (*p->at == '\\' && p->at + 1 < p->end) {
        p->at++;
        return char_escape(p, high) || bad(p, "invalid escape \\ sequence");
    }
    if (*p->at == '[' && p->at + 1 < p->end && p->at[1] == '.') {
        *high = ox_utf8_get(p->at + 2, p->end, &len);
        p->at = OX_MIN(p->at + 4 + len, p->end);
        return true;
    }
    *high = ox_utf8_get(p->at, p->end, &len);
    p->at += len;
    return true;
}

/* A character, a range, \w and the like. */
static bool
bracket_item(struct parser *p, struct class *class)
{
    uint32_t low, high;
    size_t len;
    if (*p->at == '\\' && p->at + 1 < p->end) {
        p->at++;
        if (class_letter(class, *p->at)) {
            p->at++;
            return true;
        }
        if (!char_escape(p, &low))
            return bad(p, "invalid escape \\ sequence");
    } else {
        low = ox_utf8_get(p->at, p->end, &len);
        p->at += len;
    }
    high = low;
    if (p->at + 1 < p->end && *p->at == '-' && p->at[1] != ']') {
        p->at++;
        if (!bracket_high(p, &high))
            return false;
        if (high < low)
            return bad(p, "invalid character range");
    }
    class_add(p, class, low, high);
    return true;
}

static struct node *
parse_bracket(struct parser *p)
{
    uint32_t index = class_new(p);
    struct class class = p->re->classes[index];
    if (p->at < p->end && *p->at == '^') {
        class.negate = true;
        p->at++;
        if (p->re->flags & (REGEX_NEWLINE | REGEX_DOT))
            class_add(p, &class, '\n', '\n');
    }
    for (bool first = true;; first = false) {
        if (p->at >= p->end)
            return bad(p, "brackets [] not balanced");
        if (*p->at == ']' && !first)
            break;
        bool named = *p->at == '[' && p->at + 1 < p->end &&
                     (p->at[1] == ':' || p->at[1] == '=' || p->at[1] == '.');
        if (!(named ? bracket_name(p, &class) : bracket_item(p, &class)))
            return NULL;
    }
    p->at++;
    p->re->classes[index] = class;
    return node_new(p, NODE_CLASS, index);
}

static struct node *
char_node(struct parser *p, uint32_t c)
{
    if ((p->re->flags & REGEX_FOLD) && text_fold(c, true) != text_fold(c, false)) {
        uint32_t index = class_new(p);
        struct class class = p->re->classes[index];
        class_add(p, &class, text_fold(c, false), text_fold(c, false));
        class_add(p, &class, text_fold(c, true), text_fold(c, true));
        class.fold = false;
        p->re->classes[index] = class;
        return node_new(p, NODE_CLASS, index);
    }
    return node_new(p, NODE_CHAR, c);
}

static struct node *
parse_escape(struct parser *p)
{
    static const struct {
        char letter;
        enum op op;
    } asserts[] = {{'A', OP_TEXT_START}, {'Z', OP_TEXT_END}, {'y', OP_WORD_EDGE},
        {'Y', OP_NOT_WORD_EDGE}, {'m', OP_WORD_START}, {'M', OP_WORD_END}};
    uint32_t c;
    if (p->at >= p->end)
        return bad(p, "invalid escape \\ sequence");
    for (size_t i = 0; i < ox_count(asserts); i++)
        if (*p->at == asserts[i].letter) {
            p->at++;
            return node_new(p, NODE_ASSERT, asserts[i].op);
        }
    struct class probe = {0};
    if (class_letter(&probe, *p->at)) {
        uint32_t index = class_new(p);
        class_letter(&p->re->classes[index], *p->at++);
        return node_new(p, NODE_CLASS, index);
    }
    if (*p->at >= '1' && *p->at <= '9')
        return unserved(p, "back references in regular expressions are not supported");
    if (!char_escape(p, &c))
        return bad(p, "invalid escape \\ sequence");
    return char_node(p, c);
}

/* What stands in parentheses; the first was read. */
static struct node *
parse_group(struct parser *p)
{
    bool capture = true;
    if (p->at + 1 < p->end && *p->at == '?') {
        if (p->at[1] == '=' || p->at[1] == '!' || p->at[1] == '<')
            return unserved(p, "look-around in regular expressions is not supported");
        if (p->at[1] != ':')
            return bad(p, "quantifier operand invalid");
        p->at += 2;
        capture = false;
    }
    if (++p->depth > DEPTH_MAX || (capture && p->re->groups >= GROUPS_MAX))
        return bad(p, "regular expression is too complex");
    struct node *node = node_new(p, NODE_GROUP, capture ? ++p->re->groups : 0);
    node->left = parse_alternatives(p);
    p->depth--;
    if (p->failed)
        return NULL;
    if (p->at >= p->end || *p->at != ')')
        return bad(p, "parentheses () not balanced");
    p->at++;
    return node;
}

static struct node *
parse_atom(struct parser *p)
{
    size_t len;
    char c = *p->at;
    switch (c) {
    case '(':
        p->at++;
        return parse_group(p);
    case '[':
        p->at++;
        return parse_bracket(p);
    case '.':
        p->at++;
        return node_new(p, NODE_ANY, 0);
    case '^':
        p->at++;
        return node_new(p, NODE_ASSERT,
            p->re->flags & (REGEX_NEWLINE | REGEX_ANCHORS) ? OP_LINE_START : OP_TEXT_START);
    case '$':
        p->at++;
        return node_new(p, NODE_ASSERT,
            p->re->flags & (REGEX_NEWLINE | REGEX_ANCHORS) ? OP_LINE_END : OP_TEXT_END);
    case '\\':
        p->at++;
        return parse_escape(p);
    case '*':
    case '+':
    case '?':
        return bad(p, "quantifier operand invalid");
    case '{':
        if (p->at + 1 < p->end && p->at[1] >= '0' && p->at[1] <= '9')
            return bad(p, "quantifier operand invalid");
        break;
    default:
        break;
    }
    uint32_t code = ox_utf8_get(p->at, p->end, &len);
    p->at += len;
    return char_node(p, code);
}

static bool
parse_bounds(struct parser *p, int *min, int *max)
{
    int v[2] = {0, -1};
    p->at++;
    for (int i = 0; i < 2; i++) {
        bool any = false;
        int n = 0;
        for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++, any = true)
            n = OX_MIN(n * 10 + (*p->at - '0'), 100000);
        if (any)
            v[i] = n;
        else if (i == 0)
            return false;
        if (i == 0 && p->at < p->end && *p->at == ',') {
            p->at++;
            continue;
        }
        if (i == 0)
            v[1] = v[0];
        break;
    }
    if (p->at >= p->end || *p->at != '}')
        return false;
    p->at++;
    *min = v[0];
    *max = v[1];
    return *min <= REPEAT_MAX && *max <= REPEAT_MAX && (*max < 0 || *min <= *max);
}

static void
skip_expanded(struct parser *p)
{
    while ((p->re->flags & REGEX_EXPANDED) && p->at < p->end) {
        if (is_space((uint8_t)*p->at))
            p->at++;
        else if (*p->at == '#')
            while (p->at < p->end && *p->at != '\n')
                p->at++;
        else
            break;
    }
}

static struct node *
parse_piece(struct parser *p)
{
    struct node *atom = parse_atom(p);
    for (int n = 0; !p->failed; n++) {
        skip_expanded(p);
        int min, max;
        if (p->at >= p->end)
            return atom;
        if (*p->at == '*' || *p->at == '+' || *p->at == '?') {
            min = *p->at == '+';
            max = *p->at == '?' ? 1 : -1;
            p->at++;
        } else if (*p->at == '{' && p->at + 1 < p->end && p->at[1] >= '0' && p->at[1] <= '9') {
            if (!parse_bounds(p, &min, &max))
                return bad(p, "invalid repetition count(s)");
        } else {
            return atom;
        }
        if (n > 0 || atom->kind == NODE_ASSERT)
            return bad(p, "quantifier operand invalid");
        struct node *repeat = node_new(p, NODE_REPEAT, 0);
        repeat->left = atom;
        repeat->min = min;
        repeat->max = max;
        if (p->at < p->end && *p->at == '?') {
            repeat->lazy = true;
            p->at++;
        }
        atom = repeat;
    }
    return NULL;
}

static struct node *
parse_branch(struct parser *p)
{
    struct node *all = NULL, **last = &all;
    for (;;) {
        skip_expanded(p);
        if (p->failed)
            return NULL;
        if (p->at >= p->end || *p->at == '|' || (*p->at == ')' && p->depth > 0))
            return all != NULL ? all : node_new(p, NODE_EMPTY, 0);
        if (*p->at == ')')
            return bad(p, "parentheses () not balanced");
        struct node *piece = parse_piece(p);
        if (p->failed)
            return NULL;
        chain(p, NODE_CONCAT, &last, piece);
    }
}

static struct node *
parse_alternatives(struct parser *p)
{
    struct node *all = parse_branch(p), **last = &all;
    while (!p->failed && p->at < p->end && *p->at == '|') {
        p->at++;
        chain(p, NODE_ALT, &last, parse_branch(p));
    }
    return p->failed ? NULL : all;
}

/* Characters that mean themselves. */
static struct node *
parse_literal(struct parser *p)
{
    struct node *all = NULL, **last = &all;
    while (p->at < p->end && !p->failed) {
        size_t len;
        uint32_t c = ox_utf8_get(p->at, p->end, &len);
        p->at += len;
        chain(p, NODE_CONCAT, &last, char_node(p, c));
    }
    return all != NULL ? all : node_new(p, NODE_EMPTY, 0);
}

/* 1 longest, -1 shortest, 0 no preference */
static int
preference(const struct node *node)
{
    for (; node->kind == NODE_CONCAT; node = node->right) {
        int first = preference(node->left);
        if (first != 0)
            return first;
    }
    switch (node->kind) {
    case NODE_ALT:
        return 1;
    case NODE_GROUP:
        return preference(node->left);
    case NODE_REPEAT:
        if (node->min == node->max)
            return preference(node->left);
        return node->lazy ? -1 : 1;
    default:
        return 0;
    }
}

/* ---- program -------------------------------------------------------------------------- */

static uint32_t
emit(struct parser *p, enum op op, uint32_t x, uint32_t y)
{
    struct regex *re = p->re;
    if (re->count >= PROGRAM_MAX) {
        bad(p, "regular expression is too complex");
        return 0;
    }
    ox_arena_grow(p->arena, (void **)&re->program, &re->cap, re->count + 1, sizeof(*re->program));
    re->program[re->count] = (struct inst){op, x, y};
    return re->count++;
}

static void compile(struct parser *p, const struct node *node);

/* So often as it must be, then so often as it may: a split before each. */
static void
compile_repeat(struct parser *p, const struct node *node)
{
    struct regex *re = p->re;
    for (int i = 0; i < node->min && !p->failed; i++)
        compile(p, node->left);
    if (node->max < 0) {
        uint32_t split = emit(p, OP_SPLIT, 0, 0);
        compile(p, node->left);
        emit(p, OP_JUMP, split, 0);
        if (p->failed)
            return;
        re->program[split].x = node->lazy ? re->count : split + 1;
        re->program[split].y = node->lazy ? split + 1 : re->count;
        return;
    }
    uint32_t splits[REPEAT_MAX + 1];
    int n = 0;
    for (int i = node->min; i < node->max && !p->failed; i++) {
        splits[n++] = emit(p, OP_SPLIT, 0, 0);
        compile(p, node->left);
    }
    for (int i = 0; i < n && !p->failed; i++) {
        re->program[splits[i]].x = node->lazy ? re->count : splits[i] + 1;
        re->program[splits[i]].y = node->lazy ? splits[i] + 1 : re->count;
    }
}

/* A split before each but the last, and a jump behind each to the end of all. */
static void
compile_alternatives(struct parser *p, const struct node *node)
{
    struct regex *re = p->re;
    uint32_t jump = NO_JUMP;
    for (; node->kind == NODE_ALT; node = node->right) {
        uint32_t split = emit(p, OP_SPLIT, 0, 0), before = jump;
        re->program[split].x = re->count;
        compile(p, node->left);
        jump = emit(p, OP_JUMP, before, 0);
        if (p->failed)
            return;
        re->program[split].y = re->count;
    }
    compile(p, node);
    while (jump != NO_JUMP) {
        uint32_t before = re->program[jump].x;
        re->program[jump].x = re->count;
        jump = before;
    }
}

static void
compile(struct parser *p, const struct node *node)
{
    struct regex *re = p->re;
    for (; node->kind == NODE_CONCAT && !p->failed; node = node->right)
        compile(p, node->left);
    if (p->failed)
        return;
    switch (node->kind) {
    case NODE_EMPTY:
        break;
    case NODE_CHAR:
        emit(p, OP_CHAR, node->value, 0);
        break;
    case NODE_ANY:
        emit(p, re->flags & (REGEX_NEWLINE | REGEX_DOT) ? OP_NOT_NEWLINE : OP_ANY, 0, 0);
        break;
    case NODE_CLASS:
        emit(p, OP_CLASS, node->value, 0);
        break;
    case NODE_ASSERT:
        emit(p, (enum op)node->value, 0, 0);
        break;
    case NODE_CONCAT: /* is not left */
        break;
    case NODE_ALT:
        compile_alternatives(p, node);
        break;
    case NODE_GROUP:
        if (node->value > 0)
            emit(p, OP_SAVE, node->value * 2, 0);
        compile(p, node->left);
        if (node->value > 0)
            emit(p, OP_SAVE, node->value * 2 + 1, 0);
        break;
    case NODE_REPEAT:
        compile_repeat(p, node);
        break;
    }
}

/* Which bytes a match can start with: follows what consumes nothing. */
static void
find_first(struct regex *re, uint32_t pc, bool *seen)
{
    while (pc < re->count && !seen[pc]) {
        const struct inst *in = &re->program[pc];
        seen[pc] = true;
        switch (in->op) {
        case OP_SPLIT:
            find_first(re, in->x, seen);
            pc = in->y;
            continue;
        case OP_JUMP:
            pc = in->x;
            continue;
        case OP_CHAR: {
            char bytes[4];
            ox_utf8_put(bytes, in->x);
            re->first[(uint8_t)bytes[0]] = true;
            return;
        }
        case OP_CLASS:
            for (uint32_t c = 0; c < 128; c++)
                re->first[c] |= class_matches(&re->classes[in->x], c);
            for (int c = 128; c < 256; c++)
                re->first[c] = true;
            return;
        case OP_ANY:
        case OP_NOT_NEWLINE:
        case OP_MATCH:
            re->any_first = true;
            return;
        default:
            pc++;
        }
    }
}

static bool
plain(struct str pattern, int flags)
{
    if ((flags & REGEX_FOLD) || pattern.len == 0)
        return false;
    if (flags & REGEX_LITERAL)
        return true;
    for (size_t i = 0; i < pattern.len; i++)
        if (strchr("\\^$.[]|()*+?{}", pattern.ptr[i]) != NULL)
            return false;
    return !(flags & REGEX_EXPANDED);
}

static int
embedded_options(struct str *pattern, int flags)
{
    if (pattern->len > 3 && memcmp(pattern->ptr, "***", 3) == 0) {
        char kind = pattern->ptr[3];
        if (kind == ':' || kind == '=') {
            *pattern = ox_str_n(pattern->ptr + 4, pattern->len - 4);
            if (kind == '=')
                return flags | REGEX_LITERAL;
        }
    }
    if (pattern->len < 4 || memcmp(pattern->ptr, "(?", 2) != 0)
        return flags;
    const char *stop = memchr(pattern->ptr, ')', pattern->len);
    for (const char *at = pattern->ptr + 2; stop != NULL && at < stop; at++)
        if (*at < 'a' || *at > 'z')
            return flags;
    if (stop == NULL)
        return flags;
    for (const char *at = pattern->ptr + 2; at < stop; at++)
        switch (*at) {
        case 'i':
            flags |= REGEX_FOLD;
            break;
        case 'c':
            flags &= ~REGEX_FOLD;
            break;
        case 'n':
        case 'm':
            flags |= REGEX_NEWLINE;
            break;
        case 'p':
            flags |= REGEX_DOT;
            break;
        case 'w':
            flags |= REGEX_ANCHORS;
            break;
        case 's':
            flags &= ~REGEX_NEWLINE;
            break;
        case 'x':
            flags |= REGEX_EXPANDED;
            break;
        case 'q':
            flags |= REGEX_LITERAL;
            break;
        default:
            break;
        }
    *pattern = ox_str_n(stop + 1, pattern->len - (size_t)(stop + 1 - pattern->ptr));
    return flags;
}

ox_code
regex_compile(
    struct str pattern, int flags, struct arena *arena, struct regex **out, struct ox_err *err)
{
    struct ox_err local;
    struct regex *re = ox_arena_new(arena, struct regex);
    if (err == NULL)
        err = &local;
    if (!(flags & REGEX_LITERAL))
        flags = embedded_options(&pattern, flags);
    pattern = ox_str_dup(arena, pattern);
    re->flags = flags;
    *out = re;
    if (plain(pattern, flags)) {
        re->literal = true;
        re->bytes = pattern;
        re->slots = 2;
        return OX_OK;
    }
    struct parser p = {.at = pattern.ptr, .end = pattern.ptr + pattern.len, .re = re,
        .arena = arena, .err = err};
    struct node *tree = flags & REGEX_LITERAL ? parse_literal(&p) : parse_alternatives(&p);
    if (!p.failed) {
        re->shortest = preference(tree) < 0;
        emit(&p, OP_SAVE, 0, 0);
        compile(&p, tree);
        emit(&p, OP_SAVE, 1, 0);
        emit(&p, OP_MATCH, 0, 0);
    }
    if (p.failed)
        return err->code;
    re->slots = (re->groups + 1) * 2;
    bool *seen = ox_arena_alloc0(arena, re->count);
    find_first(re, 0, seen);
    re->anchored = re->count > 1 && re->program[1].op == OP_TEXT_START;
    for (int i = 0; i < 2; i++) {
        re->lists[i].pcs = ox_arena_alloc0(arena, re->count * sizeof(uint32_t));
        re->lists[i].sparse = ox_arena_alloc0(arena, re->count * sizeof(uint32_t));
        re->lists[i].saves = ox_arena_alloc0(arena, (size_t)re->count * re->slots * sizeof(size_t));
    }
    re->scratch = ox_arena_alloc0(arena, re->slots * sizeof(size_t));
    re->stack = ox_arena_alloc0(arena, (re->count * 2 + 16) * sizeof(uint32_t));
    re->stack_old = ox_arena_alloc0(arena, (re->count * 2 + 16) * sizeof(size_t));
    return OX_OK;
}

uint32_t
regex_groups(const struct regex *re)
{
    return re->groups;
}

/* ---- running ----------------------------------------------------------------------------- */

struct place {
    size_t at, len;     /* of the character at hand; at == text.len: none */
    uint32_t before, c; /* characters around; 0 at the ends */
    bool start, end;
};

static bool
holds(enum op op, const struct place *place)
{
    bool w0 = !place->start && is_word(place->before), w1 = !place->end && is_word(place->c);
    switch (op) {
    case OP_TEXT_START:
        return place->start;
    case OP_TEXT_END:
        return place->end;
    case OP_LINE_START:
        return place->start || place->before == '\n';
    case OP_LINE_END:
        return place->end || place->c == '\n';
    case OP_WORD_EDGE:
        return w0 != w1;
    case OP_NOT_WORD_EDGE:
        return w0 == w1;
    case OP_WORD_START:
        return !w0 && w1;
    case OP_WORD_END:
        return w0 && !w1;
    default:
        return false;
    }
}

/* Adds pc and what it reaches without a character; re->scratch holds the saves. */
static void
add_thread(struct regex *re, struct thread_list *list, uint32_t start, const struct place *place)
{
    const uint32_t restore = 0x80000000u;
    uint32_t depth = 0;
    re->stack[depth++] = start;
    while (depth > 0) {
        uint32_t pc = re->stack[--depth];
        if (pc & restore) {
            re->scratch[pc & ~restore] = re->stack_old[depth];
            continue;
        }
        for (;;) {
            uint32_t at = list->sparse[pc];
            if (at < list->count && list->pcs[at] == pc)
                break;
            const struct inst *in = &re->program[pc];
            list->sparse[pc] = list->count;
            list->pcs[list->count] = pc;
            memcpy(list->saves + (size_t)list->count * re->slots, re->scratch,
                re->slots * sizeof(size_t));
            list->count++;
            if (in->op == OP_JUMP) {
                pc = in->x;
            } else if (in->op == OP_SPLIT) {
                re->stack[depth++] = in->y;
                pc = in->x;
            } else if (in->op == OP_SAVE) {
                re->stack[depth] = in->x | restore;
                re->stack_old[depth++] = re->scratch[in->x];
                re->scratch[in->x] = place->at;
                pc++;
            } else if (in->op >= OP_LINE_START && in->op <= OP_WORD_END && holds(in->op, place)) {
                pc++;
            } else {
                break;
            }
        }
    }
}

static inline bool
consumes(const struct regex *re, const struct inst *in, uint32_t c)
{
    switch (in->op) {
    case OP_CHAR:
        return in->x == c;
    case OP_ANY:
        return true;
    case OP_NOT_NEWLINE:
        return c != '\n';
    case OP_CLASS:
        return class_matches(&re->classes[in->x], c);
    default:
        return false;
    }
}

static struct place
place_at(struct str text, size_t at, uint32_t before)
{
    struct place place = {.at = at, .before = before, .start = at == 0, .end = at >= text.len};
    if (!place.end)
        place.c = ox_utf8_get(text.ptr + at, text.ptr + text.len, &place.len);
    return place;
}

static uint32_t
char_before(struct str text, size_t at)
{
    size_t len, start = at;
    if (at == 0)
        return 0;
    do
        start--;
    while (start > 0 && ((uint8_t)text.ptr[start] & 0xC0) == 0x80);
    return ox_utf8_get(text.ptr + start, text.ptr + text.len, &len);
}

/* Steps of threads, and bytes passed over, between two looks whether it is still wanted. */
enum { WORK_UNLOOKED = 8192, LEAP_MAX = 1 << 20 };

static bool
search_literal(const struct regex *re, struct str text, size_t from, size_t *spans)
{
    const char *at = text.len - from >= re->bytes.len
                         ? memmem(text.ptr + from, text.len - from, re->bytes.ptr, re->bytes.len)
                         : NULL;
    if (at != NULL && spans != NULL) {
        spans[0] = (size_t)(at - text.ptr);
        spans[1] = spans[0] + re->bytes.len;
    }
    return at != NULL;
}

/* Nothing is under way: the next place, no farther than a leap, where a match can start. */
static size_t
next_start(const struct regex *re, struct str text, size_t at)
{
    size_t to = at, far = OX_MIN(text.len, at + LEAP_MAX);
    while (to < far && !re->first[(uint8_t)text.ptr[to]])
        to++;
    while (to == far && to < text.len && ((uint8_t)text.ptr[to] & 0xC0) == 0x80)
        to++, far++;
    return OX_MIN(to, text.len);
}

struct best {
    bool matched;
    size_t start, end;
};

/* Every thread of now takes the character at place, into next, or has matched. False:
 * somebody only wanted to know whether one does. */
static bool
step_threads(struct regex *re, struct str text, const struct place *place,
    const struct thread_list *now, struct thread_list *next, struct best *best, size_t *spans)
{
    struct place after = place_at(text, place->at + place->len, place->c);
    next->count = 0;
    for (uint32_t i = 0; i < now->count; i++) {
        uint32_t pc = now->pcs[i];
        const struct inst *in = &re->program[pc];
        const size_t *saves = now->saves + (size_t)i * re->slots;
        if (best->matched && saves[0] != SIZE_MAX && saves[0] > best->start)
            continue;
        if (in->op == OP_MATCH) {
            bool better = !best->matched || saves[0] < best->start ||
                          (saves[0] == best->start &&
                              (re->shortest ? place->at < best->end : place->at > best->end));
            if (spans == NULL) {
                best->matched = true;
                return false;
            }
            if (better) {
                *best = (struct best){true, saves[0], place->at};
                memcpy(spans, saves, re->slots * sizeof(size_t));
            }
        } else if (!place->end && consumes(re, in, place->c)) {
            memcpy(re->scratch, saves, re->slots * sizeof(size_t));
            add_thread(re, next, pc + 1, &after);
        }
    }
    return true;
}

bool
regex_search(struct regex *re, struct str text, size_t from, size_t *spans)
{
    if (re->literal)
        return search_literal(re, text, from, spans);
    struct thread_list *now = &re->lists[0], *next = &re->lists[1];
    struct best best = {0};
    now->count = 0;
    uint32_t before = char_before(text, from), work = 0;
    for (size_t at = from;;) {
        if (ox_unlikely((work += now->count + 1) > WORK_UNLOOKED)) {
            work = 0;
            if (ox_stopped(WORK_UNLOOKED * 10))
                return false;
        }
        if (now->count == 0 && (best.matched || (re->anchored && at > 0)))
            break;
        if (now->count == 0 && !re->any_first) {
            size_t to = next_start(re, text, at);
            work += (uint32_t)(to - at) / 16;
            if (to != at)
                before = char_before(text, to);
            at = to;
        }
        struct place place = place_at(text, at, before);
        if (!best.matched) {
            for (uint32_t i = 0; i < re->slots; i++)
                re->scratch[i] = SIZE_MAX;
            add_thread(re, now, 0, &place);
        }
        if (!step_threads(re, text, &place, now, next, &best, spans))
            return true;
        struct thread_list *swap = now;
        now = next;
        next = swap;
        if (place.end || (best.matched && re->shortest))
            break;
        before = place.c;
        at += place.len;
    }
    return best.matched;
}
