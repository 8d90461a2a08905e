/* SPDX-License-Identifier: Apache-2.0
 *
 * Users of PLAIN in a setting, as Kafka's brokers have them:
 *
 *     org.apache.kafka.common.security.plain.PlainLoginModule required
 *         username="broker" password="..." user_ann="ann-secret" user_ben="...";
 *
 * Words are cut as Java's StreamTokenizer cuts them there: words of letters, digits and
 * . - _ $ that do not begin with a digit, . or -; texts in " or ' with C's escapes; what
 * follows a slash on its line and what stands between slash-star and star-slash is a
 * comment. A word that begins like a number is none, so such passwords are quoted.
 *
 * Nothing is kept: a login reads the text again, which is short, and holds one word of
 * it at a time, which is wiped. Errors never quote the text. */
#include "auth/auth_int.h"

#include <openssl/crypto.h>
#include <string.h>

enum { WORD_MAX = 1100, END = -1, NUMBER = -2, WORD = -3 };

static const struct str plain_module =
    {"org.apache.kafka.common.security.plain.PlainLoginModule", 55};

struct jaas {
    const char *at, *end;
    int type; /* END, NUMBER, WORD, a quote, or the character itself */
    bool has_text, too_long;
    char text[WORD_MAX];
    size_t len;
};

static int
peek(const struct jaas *jaas)
{
    return jaas->at < jaas->end ? (unsigned char)*jaas->at : END;
}

static int
take(struct jaas *jaas)
{
    return jaas->at < jaas->end ? (unsigned char)*jaas->at++ : END;
}

static bool
is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool
is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c >= 128;
}

static bool
goes_on(int c)
{
    return is_letter(c) || is_digit(c) || c == '.' || c == '-';
}

static void
add(struct jaas *jaas, int c)
{
    if (jaas->len < sizeof(jaas->text))
        jaas->text[jaas->len++] = (char)c;
    else
        jaas->too_long = true;
}

static void
skip_line(struct jaas *jaas)
{
    while (peek(jaas) != END && peek(jaas) != '\n' && peek(jaas) != '\r')
        jaas->at++;
}

/* Behind the slash: a star stands there. */
static void
skip_comment(struct jaas *jaas)
{
    jaas->at++;
    const char *close = memmem(jaas->at, (size_t)(jaas->end - jaas->at), "*/", 2);
    jaas->at = close != NULL ? close + 2 : jaas->end;
}

/* The first character of the next token; blanks and comments are passed over. */
static int
first_of_token(struct jaas *jaas)
{
    for (;;) {
        int c = take(jaas);
        if (c == '/' && peek(jaas) == '*')
            skip_comment(jaas);
        else if (c == '/')
            skip_line(jaas);
        else if (c == END || c > ' ')
            return c;
    }
}

/* What stands for the character after a backslash. */
static void
take_escape(struct jaas *jaas)
{
    static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
    int c = take(jaas);
    if (c == END)
        return;
    const char *letter = strchr(from, c);
    if (c < '0' || c > '7') {
        add(jaas, letter != NULL && c != 0 ? to[letter - from] : c);
        return;
    }
    int value = c - '0', most = c <= '3' ? 2 : 1;
    for (int i = 0; i < most && peek(jaas) >= '0' && peek(jaas) <= '7'; i++)
        value = value * 8 + take(jaas) - '0';
    if (value < 128) {
        add(jaas, value);
        return;
    }
    add(jaas, 0xC0 | value >> 6);
    add(jaas, 0x80 | (value & 0x3F));
}

static void
take_quoted(struct jaas *jaas, int quote)
{
    while (peek(jaas) != END && peek(jaas) != quote && peek(jaas) != '\n' && peek(jaas) != '\r') {
        int c = take(jaas);
        if (c == '\\')
            take_escape(jaas);
        else
            add(jaas, c);
    }
    if (peek(jaas) == quote)
        jaas->at++;
}

/* c is its first character: a digit, . or -. A lone - is itself. */
static int
take_number(struct jaas *jaas, int c)
{
    bool dot = c == '.';
    if (c == '-' && !is_digit(peek(jaas)) && peek(jaas) != '.')
        return '-';
    while (is_digit(peek(jaas)) || (peek(jaas) == '.' && !dot))
        dot |= take(jaas) == '.';
    return NUMBER;
}

static int
next(struct jaas *jaas)
{
    int c = first_of_token(jaas);
    jaas->len = 0;
    jaas->has_text = c == '"' || c == '\'' || is_letter(c);
    jaas->type = c;
    if (c == '"' || c == '\'') {
        take_quoted(jaas, c);
    } else if (is_letter(c)) {
        add(jaas, c);
        while (goes_on(peek(jaas)))
            add(jaas, take(jaas));
        jaas->type = WORD;
    } else if (is_digit(c) || c == '.' || c == '-') {
        jaas->type = take_number(jaas, c);
    }
    return jaas->type;
}

static struct str
text_of(const struct jaas *jaas)
{
    return ox_str_n(jaas->text, jaas->len);
}

static ox_code
bad(struct ox_err *err, const char *why)
{
    return ox_fail(err, OX_INVALID_CONFIG, "%s", why);
}

/* MODULE FLAG, of which the module's name is the current token. */
static ox_code
take_module(struct jaas *jaas, struct ox_err *err)
{
    static const char *const flags[] = {"required", "requisite", "sufficient", "optional"};
    bool known = false;
    if (!jaas->has_text || !ox_str_eq(text_of(jaas), plain_module)) {
        bad(err, "The JAAS config names a login module that is not there");
        return ox_hint(err, "Users of PLAIN are options user_NAME of "
            "org.apache.kafka.common.security.plain.PlainLoginModule.");
    }
    next(jaas);
    if (!jaas->has_text)
        return bad(err, "Login module control flag is not available in the JAAS config");
    for (size_t i = 0; i < ox_count(flags); i++)
        known |= ox_str_ieq(text_of(jaas), ox_str(flags[i]));
    return known ? OX_OK : bad(err, "Invalid login module control flag in JAAS config");
}

/* =VALUE; the key was the current token. */
static ox_code
take_value(struct jaas *jaas, struct ox_err *err)
{
    if (next(jaas) != '=' || next(jaas) == END || !jaas->has_text)
        return bad(err, "Value not specified for a key in JAAS config");
    if (jaas->too_long)
        return bad(err, "A word of the JAAS config is too long");
    return OX_OK;
}

/* The whole text. Where an option is user_USER, *same says whether its value is
 * password; of several the last one counts. A null user: nobody is looked for. */
static ox_code
read_all(struct jaas *jaas, struct str user, struct str password, bool *same, struct ox_err *err)
{
    int modules = 0;
    ox_code code = OX_OK;
    while (code == OX_OK && next(jaas) != END) {
        modules++;
        code = take_module(jaas, err);
        while (code == OX_OK && next(jaas) != END && jaas->type != ';') {
            bool his = user.ptr != NULL && jaas->has_text && jaas->len == user.len + 5 &&
                memcmp(jaas->text, "user_", 5) == 0 &&
                memcmp(jaas->text + 5, user.ptr, user.len) == 0;
            code = take_value(jaas, err);
            if (code == OX_OK && his)
                *same = jaas->len == password.len &&
                    CRYPTO_memcmp(jaas->text, password.ptr, password.len) == 0;
        }
        if (code == OX_OK && jaas->type != ';')
            code = bad(err, "JAAS config entry not terminated by semi-colon");
    }
    if (code == OX_OK && modules != 1)
        code = ox_fail(err, OX_INVALID_CONFIG, modules == 0
            ? "Login module not specified in JAAS config"
            : "JAAS config property contains %d login modules, should be 1 module", modules);
    return code;
}

ox_code
auth_jaas_check(struct str text, struct ox_err *err)
{
    struct jaas jaas = {.at = text.ptr, .end = text.ptr + text.len};
    ox_code code = read_all(&jaas, OX_STR_NULL, OX_STR_NULL, NULL, err);
    auth_wipe(&jaas, sizeof(jaas));
    return code;
}

bool
auth_jaas_knows(struct str text, struct str user, struct str password)
{
    struct jaas jaas = {.at = text.ptr, .end = text.ptr + text.len};
    struct ox_err err;
    bool same = false;
    ox_code code = read_all(&jaas, user, password, &same, &err);
    auth_wipe(&jaas, sizeof(jaas));
    return code == OX_OK && same;
}
