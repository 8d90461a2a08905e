/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscriptions by pattern. Clients write RE2 syntax; the C library has POSIX
 * extended expressions. The common part is translated (classes like \d, groups
 * that do not capture, the flag (?i), lazy repetition, which matches the same
 * names), the rest is refused: back references and large repetitions, which
 * would cost without bound, and Unicode classes, which topic names cannot need. */
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "coord/consumer_int.h"

enum { PATTERN_MAX = 1024, REPEAT_MAX = 1000, NAME_MAX_LEN = 249 };

struct topic_regex {
    regex_t regex;
};

struct translation {
    struct text out;
    const char *at, *end;
    const char *reason;
    int flags, repeats;
};

static void
translate_escape(struct translation *t)
{
    static const char specials[] = "\\.+*?()|[]{}^$-_/:,;<>=!@#%&~'\"`";
    char c = t->at < t->end ? *t->at++ : '\0';
    switch (c) {
    case 'd':
        ox_text_adds(&t->out, "[0-9]");
        return;
    case 'D':
        ox_text_adds(&t->out, "[^0-9]");
        return;
    case 'w':
        ox_text_adds(&t->out, "[0-9A-Za-z_]");
        return;
    case 'W':
        ox_text_adds(&t->out, "[^0-9A-Za-z_]");
        return;
    case 's':
        ox_text_adds(&t->out, "[ \t\n\f\r]");
        return;
    case 'S':
        ox_text_adds(&t->out, "[^ \t\n\f\r]");
        return;
    case 'A':
        ox_text_addc(&t->out, '^');
        return;
    case 'z':
        ox_text_addc(&t->out, '$');
        return;
    default:
        break;
    }
    if (c == '\0' || strchr(specials, c) == NULL) {
        t->reason = "an escape sequence is not supported";
        return;
    }
    if (strchr("\\.+*?()|[{^$", c) != NULL)
        ox_text_addc(&t->out, '\\');
    ox_text_addc(&t->out, c);
}

/* A bracket expression; escapes inside mean their character or class. */
static void
translate_class(struct translation *t)
{
    ox_text_addc(&t->out, '[');
    if (t->at < t->end && *t->at == '^')
        ox_text_addc(&t->out, *t->at++);
    bool first = true, hyphen = false;
    while (t->at < t->end && (first || *t->at != ']')) {
        char c = *t->at++;
        first = false;
        if (c == '[' && t->at < t->end && *t->at == ':') {
            t->reason = "named character classes are not supported";
            return;
        }
        if (c != '\\') {
            ox_text_addc(&t->out, c);
            continue;
        }
        c = t->at < t->end ? *t->at++ : '\0';
        if (c == 'd')
            ox_text_adds(&t->out, "0-9");
        else if (c == 'w')
            ox_text_adds(&t->out, "0-9A-Za-z_");
        else if (c == '-')
            hyphen = true;
        else if (c == '.' || c == '_' || c == '$' || c == '*' || c == '+' || c == '?')
            ox_text_addc(&t->out, c);
        else
            t->reason = "an escape sequence in a character class is not supported";
    }
    if (t->at == t->end) {
        t->reason = "a character class is not closed";
        return;
    }
    t->at++;
    if (hyphen)
        ox_text_addc(&t->out, '-'); /* last, it stands for itself */
    ox_text_addc(&t->out, ']');
}

static bool
skip(struct translation *t, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(t->end - t->at) < len || memcmp(t->at, text, len) != 0)
        return false;
    t->at += len;
    return true;
}

static void
translate_group(struct translation *t)
{
    if (t->at == t->end || *t->at != '?') {
        ox_text_addc(&t->out, '(');
    } else if (skip(t, "?:")) {
        ox_text_addc(&t->out, '(');
    } else if (skip(t, "?i)")) {
        t->flags |= REG_ICASE;
    } else if (skip(t, "?P<") || skip(t, "?<")) {
        while (t->at < t->end && *t->at != '>')
            t->at++;
        if (t->at == t->end) {
            t->reason = "a group's name is not closed";
            return;
        }
        t->at++;
        ox_text_addc(&t->out, '(');
    } else {
        t->reason = "flags of a group are not supported";
    }
}

static void
translate_repeat(struct translation *t, char c)
{
    ox_text_addc(&t->out, c);
    if (c == '{') {
        int number = 0, most = 1;
        for (; t->at < t->end && *t->at != '}'; t->at++) {
            if (*t->at >= '0' && *t->at <= '9')
                number = OX_MIN(number * 10 + (*t->at - '0'), REPEAT_MAX + 1);
            else if (*t->at == ',')
                number = 0;
            else
                t->reason = "a repetition is not well-formed";
            most = OX_MAX(most, number);
            ox_text_addc(&t->out, *t->at);
        }
        /* They may be nested: bound what they would unfold to. */
        t->repeats = OX_MIN(OX_MAX(t->repeats, 1) * most, REPEAT_MAX + 1);
        if (t->repeats > REPEAT_MAX)
            t->reason = "repetitions are too many";
        if (t->at == t->end)
            t->reason = "a repetition is not closed";
        else
            ox_text_addc(&t->out, *t->at++);
    }
    if (t->at < t->end && *t->at == '?')
        t->at++; /* lazy: the same names match */
}

static void
translate(struct translation *t)
{
    ox_text_adds(&t->out, "^(");
    while (t->at < t->end && t->reason == NULL) {
        char c = *t->at++;
        switch (c) {
        case '\\':
            translate_escape(t);
            break;
        case '[':
            translate_class(t);
            break;
        case '(':
            translate_group(t);
            break;
        case '*':
        case '+':
        case '?':
        case '{':
            translate_repeat(t, c);
            break;
        case '\0':
            t->reason = "a zero byte";
            break;
        default:
            ox_text_addc(&t->out, c);
            break;
        }
    }
    ox_text_adds(&t->out, ")$");
}

struct topic_regex *
topic_regex_new(struct str pattern, const char **reason)
{
    struct translation t = {.at = pattern.ptr, .end = pattern.ptr + pattern.len};
    struct topic_regex *regex = NULL;
    if (pattern.len > PATTERN_MAX) {
        *reason = "the pattern is too long";
        return NULL;
    }
    ox_text_init(&t.out, NULL);
    translate(&t);
    if (t.reason == NULL) {
        regex = ox_calloc(1, sizeof(*regex));
        if (regcomp(&regex->regex, t.out.ptr, REG_EXTENDED | REG_NOSUB | t.flags) != 0) {
            t.reason = "the pattern is not well-formed";
            ox_free(regex);
            regex = NULL;
        }
    }
    ox_text_fini(&t.out);
    *reason = t.reason;
    return regex;
}

bool
topic_regex_match(const struct topic_regex *regex, struct str topic)
{
    char space[NAME_MAX_LEN + 1];
    char *name = topic.len > NAME_MAX_LEN ? ox_malloc(topic.len + 1) : space;
    memcpy(name, topic.ptr, topic.len);
    name[topic.len] = '\0';
    bool matches = regexec(&regex->regex, name, 0, NULL, 0) == 0;
    if (name != space)
        ox_free(name);
    return matches;
}

void
topic_regex_free(struct topic_regex *regex)
{
    if (regex == NULL)
        return;
    regfree(&regex->regex);
    ox_free(regex);
}

struct coord_pattern *
coord_pattern_new(struct str pattern, const char **reason)
{
    return (struct coord_pattern *)topic_regex_new(pattern, reason);
}

bool
coord_pattern_matches(const struct coord_pattern *pattern, struct str name)
{
    return topic_regex_match((const struct topic_regex *)pattern, name);
}

void
coord_pattern_free(struct coord_pattern *pattern)
{
    topic_regex_free((struct topic_regex *)pattern);
}
