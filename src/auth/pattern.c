/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions of mapping rules, which people wrote for Java: literals,
 * ., classes, \d \w \s, ^ $, groups, |, and * + ? {m,n}, greedy or lazy. No back
 * references and no look-around.
 *
 * Compiled to a small program; matched by trying its branches in order of
 * preference. A branch that was tried at a place of the text before is not tried
 * again, since it failed: time is at most program times text.
 *
 *     CHAR SET ANY     take one byte
 *     SPLIT a b        try a, then b        SAVE n    note the position
 *     JUMP a           BEGIN END            assert    MATCH */
#include "auth/auth_int.h"

#include <string.h>

enum { PROGRAM_MAX = 4000, TEXT_MAX = 8192, DEPTH_MAX = 64, REPEAT_MAX = 200 };

enum op { OP_CHAR, OP_SET, OP_ANY, OP_SPLIT, OP_JUMP, OP_SAVE, OP_BEGIN, OP_END, OP_MATCH };

struct inst {
    uint8_t op;
    uint8_t c;
    int x, y; /* SPLIT, JUMP: targets relative to this one; SAVE: slot; SET: index */
};

struct pattern {
    struct inst *code;
    int count, cap, groups;
    uint8_t (*sets)[32];
    int set_count;
};

struct parser {
    struct pattern *p;
    struct str text;
    size_t at;
    int depth;
    struct ox_err *err;
    bool failed;
};

static void alternatives(struct parser *parser);

static void
refuse(struct parser *parser, const char *why)
{
    if (!parser->failed)
        ox_fail(parser->err, OX_INVALID_REGULAR_EXPRESSION, "regular expression \"%.*s\": %s",
            OX_STR_ARG(parser->text), why);
    parser->failed = true;
}

static int
emit(struct parser *parser, enum op op, int x, int y)
{
    struct pattern *p = parser->p;
    if (p->count >= PROGRAM_MAX) {
        refuse(parser, "it is too large");
        return 0;
    }
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->code = ox_realloc(p->code, (size_t)p->cap * sizeof(*p->code));
    }
    p->code[p->count] = (struct inst){.op = (uint8_t)op, .x = x, .y = y};
    return p->count++;
}

/* emit() may move the code. */
static void
emit_char(struct parser *parser, char c)
{
    int at = emit(parser, OP_CHAR, 0, 0);
    if (!parser->failed)
        parser->p->code[at].c = (uint8_t)c;
}

static bool
more(const struct parser *parser)
{
    return !parser->failed && parser->at < parser->text.len;
}

static char
peek(const struct parser *parser)
{
    return parser->text.ptr[parser->at];
}

/* ---- sets ---- */

static void
set_range(uint8_t set[32], int from, int to)
{
    for (int c = from; c <= to; c++)
        set[c / 8] |= (uint8_t)(1 << (c % 8));
}

/* \d \w \s and their opposites; false for any other letter. */
static bool
set_class(uint8_t set[32], char c)
{
    uint8_t one[32] = {0};
    switch (c | 0x20) {
    case 'd':
        set_range(one, '0', '9');
        break;
    case 'w':
        set_range(one, '0', '9');
        set_range(one, 'A', 'Z');
        set_range(one, 'a', 'z');
        set_range(one, '_', '_');
        break;
    case 's':
        set_range(one, '\t', '\r');
        set_range(one, ' ', ' ');
        break;
    default:
        return false;
    }
    for (int i = 0; i < 32; i++)
        set[i] |= (c & 0x20) != 0 ? one[i] : (uint8_t)~one[i];
    return true;
}

static int
new_set(struct parser *parser, const uint8_t set[32])
{
    struct pattern *p = parser->p;
    p->sets = ox_realloc(p->sets, (size_t)(p->set_count + 1) * sizeof(*p->sets));
    memcpy(p->sets[p->set_count], set, 32);
    return p->set_count++;
}

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* A byte of a class, after any backslash; -1: it was a whole class. */
static int
class_byte(struct parser *parser, uint8_t set[32])
{
    char c = peek(parser);
    parser->at++;
    if (c != '\\')
        return (uint8_t)c;
    if (!more(parser)) {
        refuse(parser, "it ends in a backslash");
        return -1;
    }
    c = peek(parser);
    parser->at++;
    if (set_class(set, c))
        return -1;
    if (is_letter(c))
        refuse(parser, "unknown escape");
    return (uint8_t)c;
}

static void
bracket(struct parser *parser)
{
    uint8_t set[32] = {0};
    bool negated = more(parser) && peek(parser) == '^', first = true;
    parser->at += negated;
    while (more(parser) && (peek(parser) != ']' || first)) {
        first = false;
        if (peek(parser) == '[' || peek(parser) == '&') {
            refuse(parser, "classes inside classes are not supported");
            return;
        }
        int from = class_byte(parser, set), to = from;
        if (from < 0)
            continue;
        if (parser->at + 1 < parser->text.len && peek(parser) == '-' &&
            parser->text.ptr[parser->at + 1] != ']') {
            parser->at++;
            to = class_byte(parser, set);
        }
        if (to < from)
            refuse(parser, "range out of order");
        else
            set_range(set, from, to);
    }
    if (!more(parser)) {
        refuse(parser, "[ without ]");
        return;
    }
    parser->at++;
    for (int i = 0; negated && i < 32; i++)
        set[i] = (uint8_t)~set[i];
    emit(parser, OP_SET, new_set(parser, set), 0);
}

/* ---- parts ---- */

static void
group(struct parser *parser)
{
    int slot = -1;
    if (++parser->depth > DEPTH_MAX) {
        refuse(parser, "it is nested too deeply");
        return;
    }
    if (more(parser) && peek(parser) == '?') {
        if (parser->at + 1 >= parser->text.len || parser->text.ptr[parser->at + 1] != ':') {
            refuse(parser, "only groups of the form (?: are supported");
            return;
        }
        parser->at += 2;
    } else if (parser->p->groups + 1 < PATTERN_GROUPS_MAX) {
        slot = ++parser->p->groups;
        emit(parser, OP_SAVE, slot * 2, 0);
    } else {
        refuse(parser, "it has too many groups");
    }
    alternatives(parser);
    if (!more(parser) || peek(parser) != ')') {
        refuse(parser, "( without )");
        return;
    }
    parser->at++;
    parser->depth--;
    if (slot > 0)
        emit(parser, OP_SAVE, slot * 2 + 1, 0);
}

static void
escape(struct parser *parser)
{
    uint8_t set[32] = {0};
    if (!more(parser)) {
        refuse(parser, "it ends in a backslash");
        return;
    }
    char c = peek(parser);
    parser->at++;
    if (set_class(set, c))
        emit(parser, OP_SET, new_set(parser, set), 0);
    else if (is_letter(c))
        refuse(parser, "unknown escape");
    else
        emit_char(parser, c);
}

static void
atom(struct parser *parser)
{
    char c = peek(parser);
    parser->at++;
    switch (c) {
    case '(':
        group(parser);
        return;
    case '[':
        bracket(parser);
        return;
    case '\\':
        escape(parser);
        return;
    case '.':
        emit(parser, OP_ANY, 0, 0);
        return;
    case '^':
        emit(parser, OP_BEGIN, 0, 0);
        return;
    case '$':
        emit(parser, OP_END, 0, 0);
        return;
    case '*':
    case '+':
    case '?':
    case '{':
        refuse(parser, "nothing to repeat");
        return;
    default:
        emit_char(parser, c);
    }
}

static int
number(struct parser *parser)
{
    int value = -1;
    while (more(parser) && peek(parser) >= '0' && peek(parser) <= '9') {
        value = OX_MAX(value, 0) * 10 + (peek(parser) - '0');
        parser->at++;
        if (value > REPEAT_MAX) {
            refuse(parser, "repetition is too large");
            return 0;
        }
    }
    return value;
}

static bool
quantifier(struct parser *parser, int *min, int *max)
{
    char c = more(parser) ? peek(parser) : 0;
    if (c != '*' && c != '+' && c != '?' && c != '{')
        return false;
    parser->at++;
    *min = c == '+';
    *max = c == '?' ? 1 : -1;
    if (c != '{')
        return true;
    *min = number(parser);
    *max = *min;
    if (more(parser) && peek(parser) == ',') {
        parser->at++;
        *max = number(parser);
    }
    if (*min < 0 || !more(parser) || peek(parser) != '}' || (*max >= 0 && *max < *min)) {
        refuse(parser, "{ is not followed by a repetition");
        return false;
    }
    parser->at++;
    return true;
}

/* Move the code from `from` on by one, to make room. Targets are relative. */
static void
insert_at(struct parser *parser, int from, struct inst inst)
{
    emit(parser, OP_JUMP, 0, 0);
    if (parser->failed)
        return;
    struct inst *code = parser->p->code;
    memmove(code + from + 1, code + from, (size_t)(parser->p->count - from - 1) * sizeof(*code));
    code[from] = inst;
}

static struct inst
split(bool lazy, int enter, int leave)
{
    return (struct inst){.op = OP_SPLIT, .x = lazy ? leave : enter, .y = lazy ? enter : leave};
}

static void
copy_part(struct parser *parser, const struct inst *part, int len)
{
    for (int i = 0; i < len && !parser->failed; i++) {
        int at = emit(parser, OP_JUMP, 0, 0);
        if (!parser->failed)
            parser->p->code[at] = part[i];
    }
}

/* The atom from `from` on, again and again. */
static void
repeat(struct parser *parser, int from, int min, int max, bool lazy)
{
    int len = parser->p->count - from;
    struct inst *part = ox_malloc((size_t)OX_MAX(len, 1) * sizeof(*part));
    memcpy(part, parser->p->code + from, (size_t)len * sizeof(*part));
    parser->p->count = from;
    for (int i = 0; i < min && !parser->failed; i++)
        copy_part(parser, part, len);
    if (max < 0) {
        int begin = parser->p->count;
        copy_part(parser, part, len);
        insert_at(parser, begin, split(lazy, 1, len + 2));
        emit(parser, OP_JUMP, -(len + 1), 0);
    }
    for (int i = min; i < max && !parser->failed; i++) {
        int begin = parser->p->count, left = max - i;
        copy_part(parser, part, len);
        insert_at(parser, begin, split(lazy, 1, left * (len + 1)));
    }
    ox_free(part);
}

static void
sequence(struct parser *parser)
{
    while (more(parser) && peek(parser) != '|' && peek(parser) != ')') {
        int from = parser->p->count, min, max;
        atom(parser);
        if (parser->failed || !quantifier(parser, &min, &max))
            continue;
        bool lazy = more(parser) && peek(parser) == '?';
        parser->at += lazy;
        if (more(parser) && peek(parser) == '+')
            refuse(parser, "possessive repetition is not supported");
        else
            repeat(parser, from, min, max, lazy);
    }
}

/* a|b|c:  split(a, next) a jump(end)  split(b, next) b jump(end)  c */
static void
alternatives(struct parser *parser)
{
    int jumps[64], jump_count = 0, from = parser->p->count;
    sequence(parser);
    while (more(parser) && peek(parser) == '|') {
        parser->at++;
        if (jump_count == 64) {
            refuse(parser, "it has too many alternatives");
            return;
        }
        insert_at(parser, from, split(false, 1, parser->p->count - from + 2));
        jumps[jump_count++] = emit(parser, OP_JUMP, 0, 0);
        from = parser->p->count;
        sequence(parser);
    }
    for (int i = 0; i < jump_count && !parser->failed; i++)
        parser->p->code[jumps[i]].x = parser->p->count - jumps[i];
}

ox_code
pattern_compile(struct str text, struct pattern **out, struct ox_err *err)
{
    struct parser parser = {.text = text, .err = err};
    parser.p = ox_calloc(1, sizeof(*parser.p));
    if (text.len > 4096)
        refuse(&parser, "it is too long");
    else
        alternatives(&parser);
    if (!parser.failed && parser.at < text.len)
        refuse(&parser, ") without (");
    emit(&parser, OP_MATCH, 0, 0);
    if (parser.failed) {
        pattern_free(parser.p);
        return OX_INVALID_REGULAR_EXPRESSION;
    }
    *out = parser.p;
    return OX_OK;
}

void
pattern_free(struct pattern *pattern)
{
    if (pattern == NULL)
        return;
    ox_free(pattern->code);
    ox_free(pattern->sets);
    ox_free(pattern);
}

int
pattern_groups(const struct pattern *pattern)
{
    return pattern->groups;
}

/* ---- matching ---- */

struct branch {
    int pc, at; /* pc < 0: put old back into slot -pc - 1 */
    int old;
};

struct match {
    const struct pattern *p;
    struct str text;
    uint8_t *seen; /* a bit for each pc and place */
    struct branch *stack;
    size_t depth, cap;
    int *spans;
};

static void
push(struct match *m, int pc, int at, int old)
{
    if (m->depth == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 128;
        m->stack = ox_realloc(m->stack, m->cap * sizeof(*m->stack));
    }
    m->stack[m->depth++] = (struct branch){pc, at, old};
}

static bool
takes(const struct match *m, const struct inst *inst, int at)
{
    if ((size_t)at >= m->text.len)
        return false;
    uint8_t c = (uint8_t)m->text.ptr[at];
    if (inst->op == OP_CHAR)
        return c == inst->c;
    if (inst->op == OP_ANY)
        return c != '\n' && c != '\r';
    return (m->p->sets[inst->x][c / 8] & (1 << (c % 8))) != 0;
}

/* Follow one branch until it fails; true: the whole text matched. */
static bool
follow(struct match *m, int pc, int at)
{
    for (;;) {
        const struct inst *inst = &m->p->code[pc];
        size_t bit = (size_t)pc * (m->text.len + 1) + (size_t)at;
        if ((m->seen[bit / 8] & (1 << (bit % 8))) != 0)
            return false;
        m->seen[bit / 8] |= (uint8_t)(1 << (bit % 8));
        switch (inst->op) {
        case OP_SPLIT:
            push(m, pc + inst->y, at, 0);
            pc += inst->x;
            break;
        case OP_JUMP:
            pc += inst->x;
            break;
        case OP_SAVE:
            push(m, -inst->x - 1, 0, m->spans[inst->x]);
            m->spans[inst->x] = at;
            pc++;
            break;
        case OP_BEGIN:
            if (at != 0)
                return false;
            pc++;
            break;
        case OP_END:
            if ((size_t)at != m->text.len)
                return false;
            pc++;
            break;
        case OP_MATCH:
            return (size_t)at == m->text.len;
        default:
            if (!takes(m, inst, at))
                return false;
            pc++;
            at++;
        }
    }
}

bool
pattern_match(const struct pattern *pattern, struct str text, int spans[])
{
    struct match m = {.p = pattern, .text = text, .spans = spans};
    bool found = false;
    for (int i = 0; i < PATTERN_GROUPS_MAX * 2; i++)
        spans[i] = -1;
    if (text.len > TEXT_MAX)
        return false;
    m.seen = ox_calloc(1, ((size_t)pattern->count * (text.len + 1) + 7) / 8);
    push(&m, 0, 0, 0);
    while (m.depth > 0 && !found) {
        struct branch branch = m.stack[--m.depth];
        if (branch.pc < 0)
            spans[-branch.pc - 1] = branch.old;
        else
            found = follow(&m, branch.pc, branch.at);
    }
    spans[0] = found ? 0 : -1;
    spans[1] = found ? (int)text.len : -1;
    ox_free(m.seen);
    ox_free(m.stack);
    return found;
}
