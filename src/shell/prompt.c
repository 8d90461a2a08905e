/* SPDX-License-Identifier: Apache-2.0
 *
 * The prompt, from PROMPT1..3 with psql's % escapes. */
#include "config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shell/shell.h"

static char transaction_mark(PGconn *conn);

/* "[local]" for a socket, else the host, short form up to the first dot. */
static void
add_host(struct text *out, PGconn *conn, bool whole)
{
    const char *host = conn ? PQhost(conn) : "";
    if (!*host || *host == '/')
        ox_text_adds(out, "[local]");
    else if (whole || isdigit((unsigned char)*host))
        ox_text_adds(out, host);
    else
        ox_text_add(out, host, strcspn(host, "."));
}

static void
add_program_output(struct text *out, const char *command, size_t len)
{
    char line[512] = "";
    char *copy = strndup(command, len);
    fflush(stdout);
    FILE *pipe = popen(copy, "r");
    if (pipe) {
        if (!fgets(line, sizeof(line), pipe))
            line[0] = '\0';
        pclose(pipe);
    }
    free(copy);
    line[strcspn(line, "\n")] = '\0';
    ox_text_adds(out, line);
}

static void
add_status(struct shell *sh, struct text *out, enum split_prompt status)
{
    if (status != PROMPT_READY) {
        if (status != (enum split_prompt)'>')
            ox_text_addc(out, (char)status);
    } else if (!script_active(sh)) {
        ox_text_addc(out, '@');
    } else if (!sh->conn) {
        ox_text_addc(out, '!');
    } else {
        ox_text_addc(out, sh->vars.set.singleline ? '^' : '=');
    }
}

/* One escape, p behind the '%'; returns where it ends. */
static const char *
add_escape(struct shell *sh, struct text *out, const char *p, enum split_prompt status)
{
    PGconn *conn = sh->conn;
    const char *end;
    switch (*p) {
    case '/':
        ox_text_adds(out, conn ? PQdb(conn) : "");
        break;
    case '~':
        ox_text_adds(out, conn && strcmp(PQdb(conn), PQuser(conn)) == 0 ? "~" : conn ? PQdb(conn) : "");
        break;
    case 'M':
    case 'm':
        add_host(out, conn, *p == 'M');
        break;
    case '>':
        ox_text_adds(out, conn ? PQport(conn) : "");
        break;
    case 'n':
        ox_text_adds(out, conn ? PQuser(conn) : "");
        break;
    case 'p':
        if (conn)
            ox_text_addf(out, "%d", PQbackendPID(conn));
        break;
    case '#': {
        const char *super = conn ? PQparameterStatus(conn, "is_superuser") : NULL;
        ox_text_addc(out, super && strcmp(super, "on") == 0 ? '#' : '>');
        break;
    }
    case 'R':
        add_status(sh, out, status);
        break;
    case 'x':
        if (transaction_mark(conn))
            ox_text_addc(out, transaction_mark(conn));
        break;
    case 'l':
        ox_text_addf(out, "%lu", sh->statement_line);
        break;
    case '[': /* libedit's marks of text without width */
    case ']':
        ox_text_addc(out, '\1');
        break;
    case ':':
        end = strchr(p + 1, ':');
        if (end) {
            const char *value = vars_get_str(&sh->vars, ox_str_n(p + 1, (size_t)(end - p - 1)));
            ox_text_adds(out, value ? value : "");
            return end + 1;
        }
        break;
    case '`':
        end = strchr(p + 1, '`');
        if (end) {
            add_program_output(out, p + 1, (size_t)(end - p - 1));
            return end + 1;
        }
        break;
    default:
        if (*p >= '0' && *p <= '7') {
            char *after;
            ox_text_addc(out, (char)strtol(p, &after, 8));
            return after;
        }
        ox_text_addc(out, *p);
    }
    return p + 1;
}

static char
transaction_mark(PGconn *conn)
{
    if (!conn)
        return '?';
    switch (PQtransactionStatus(conn)) {
    case PQTRANS_IDLE:
        return 0;
    case PQTRANS_ACTIVE:
    case PQTRANS_INTRANS:
        return '*';
    case PQTRANS_INERROR:
        return '!';
    default:
        return '?';
    }
}

const char *
prompt_text(struct shell *sh, enum split_prompt status)
{
    static struct text out;
    const char *pattern = status == PROMPT_READY                    ? sh->vars.set.prompt1
                          : status == (enum split_prompt)'>' ? sh->vars.set.prompt3
                                                              : sh->vars.set.prompt2;
    size_t width_before = out.len;
    ox_text_clear(&out);
    ox_text_adds(&out, "");
    if (!pattern)
        return out.ptr;
    for (const char *p = pattern; *p;) {
        if (p[0] == '%' && p[1] == 'w') { /* as wide as the prompt before */
            print_spaces(&out, (int)width_before);
            ox_text_adds(&out, "");
            p += 2;
        } else if (p[0] == '%' && p[1]) {
            p = add_escape(sh, &out, p + 1, status);
        } else {
            ox_text_addc(&out, *p++);
        }
    }
    return out.ptr;
}
