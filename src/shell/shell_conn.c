/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening, replacing and losing the connection. Defaults are Oxbow's (loopback,
 * port 9432, database oxbow) wherever neither an option, nor the environment,
 * nor a connection string says otherwise. */
#include "config.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "shell/shell.h"

static void
on_notice(void *arg, const char *message)
{
    shell_say(arg, message);
}

/* heap; NULL at end of file */
static char *
prompt_password(const char *prompt, bool echo)
{
    struct termios saved, quiet;
    FILE *tty = fopen("/dev/tty", "r+");
    FILE *from = tty ? tty : stdin, *to = tty ? tty : stderr;
    bool hide = !echo && tcgetattr(fileno(from), &saved) == 0;
    if (hide) {
        quiet = saved;
        quiet.c_lflag &= (tcflag_t)~ECHO;
        tcsetattr(fileno(from), TCSAFLUSH, &quiet);
    }
    fputs(prompt, to);
    fflush(to);
    char *line = input_file_line(from);
    if (hide) {
        tcsetattr(fileno(from), TCSAFLUSH, &saved);
        fputc('\n', to);
    }
    if (tty)
        fclose(tty);
    return line;
}

static const char *
default_user(void)
{
    struct passwd *entry = getpwuid(geteuid());
    return entry ? entry->pw_name : "oxbow";
}

static bool
is_conninfo(const char *dbname)
{
    return dbname && (strchr(dbname, '=') || strncmp(dbname, "postgresql://", 13) == 0 ||
                         strncmp(dbname, "postgres://", 11) == 0);
}

static PGconn *
try_connect(struct shell *sh, const struct conn_wish *wish, const char *password)
{
    const char *keys[16], *values[16];
    int n = 0;
    bool service = getenv("PGSERVICE") != NULL;
#define PARAM(key, value) (keys[n] = (key), values[n++] = (value))
    if (!service && !getenv("PGHOST") && !getenv("PGHOSTADDR"))
        PARAM("host", "127.0.0.1");
    if (!service && !getenv("PGPORT"))
        PARAM("port", "9432");
    if (!service && !getenv("PGUSER"))
        PARAM("user", default_user());
    if (!service && !getenv("PGDATABASE") && (!wish->dbname || is_conninfo(wish->dbname)))
        PARAM("dbname", "oxbow");
    if (wish->dbname)
        PARAM("dbname", wish->dbname);
    if (wish->host)
        PARAM("host", wish->host);
    if (wish->port)
        PARAM("port", wish->port);
    if (wish->user)
        PARAM("user", wish->user);
    if (password)
        PARAM("password", password);
    PARAM("fallback_application_name", "oxsql");
    if (!getenv("PGCLIENTENCODING"))
        PARAM("client_encoding", "UTF8");
    PARAM(NULL, NULL);
#undef PARAM
    (void)sh;
    return PQconnectdbParams(keys, values, 1);
}

/* libpq expands only the first "dbname" that is a connection string, and later plain values win
 * over it, so a string is connected to with its own values on top. */
static PGconn *
connect_once(struct shell *sh, const struct conn_wish *wish, const char *password)
{
    if (!is_conninfo(wish->dbname))
        return try_connect(sh, wish, password);
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(wish->dbname, &why);
    if (!options) {
        shell_error(sh, "%s", why ? why : "bad connection string");
        PQfreemem(why);
        return NULL;
    }
    const char *keys[64], *values[64];
    int n = 0;
    keys[n] = "host", values[n++] = getenv("PGHOST") ? getenv("PGHOST") : "127.0.0.1";
    keys[n] = "port", values[n++] = getenv("PGPORT") ? getenv("PGPORT") : "9432";
    keys[n] = "dbname", values[n++] = getenv("PGDATABASE") ? getenv("PGDATABASE") : "oxbow";
    for (PQconninfoOption *option = options; option->keyword && n < 56; option++)
        if (option->val) {
            keys[n] = option->keyword;
            values[n++] = option->val;
        }
    const char *const more[][2] = {{"host", wish->host}, {"port", wish->port},
        {"user", wish->user}, {"password", password}, {"fallback_application_name", "oxsql"},
        {"client_encoding", getenv("PGCLIENTENCODING") ? NULL : "UTF8"}};
    for (size_t i = 0; i < ox_count(more); i++)
        if (more[i][1]) {
            keys[n] = more[i][0];
            values[n++] = more[i][1];
        }
    keys[n] = values[n] = NULL;
    PGconn *conn = PQconnectdbParams(keys, values, 0);
    PQconninfoFree(options);
    return conn;
}

static PGconn *
connect_with_password(struct shell *sh, const struct conn_wish *wish)
{
    char *password = NULL;
    PGconn *conn = NULL;
    if (sh->password == PASSWORD_ALWAYS)
        password = prompt_password("Password: ", false);
    for (int attempt = 0; attempt < 2; attempt++) {
        conn = connect_once(sh, wish, password);
        if (!conn || PQstatus(conn) == CONNECTION_OK || !PQconnectionNeedsPassword(conn) || password ||
            sh->password == PASSWORD_NEVER)
            break;
        struct text prompt;
        ox_text_init(&prompt, NULL);
        ox_text_addf(&prompt, "Password for user %s: ", PQuser(conn));
        PQfinish(conn);
        conn = NULL;
        password = prompt_password(prompt.ptr, false);
        ox_text_fini(&prompt);
    }
    if (password)
        explicit_bzero(password, strlen(password));
    free(password);
    return conn;
}

static void
adopt(struct shell *sh, PGconn *conn)
{
    PQfinish(sh->conn);
    PQfinish(sh->dead);
    sh->conn = conn;
    sh->dead = NULL;
    PQsetNoticeProcessor(conn, on_notice, sh);
    const char *version = PQparameterStatus(conn, "server_version");
    sh->oxbow = version && strcasestr(version, "oxbow") != NULL;
    conn_settings(sh);
    conn_variables(sh);
    complete_forget(sh);
}

bool
conn_open(struct shell *sh, const struct conn_wish *wish)
{
    PGconn *conn = connect_with_password(sh, wish);
    if (!conn)
        return false;
    if (PQstatus(conn) != CONNECTION_OK) {
        const char *why = PQerrorMessage(conn);
        shell_error(sh, "%s", why);
        PQfinish(conn);
        return false;
    }
    adopt(sh, conn);
    return true;
}

/* Tells libpq what VERBOSITY and SHOW_CONTEXT say, and the printer the encoding. */
void
conn_settings(struct shell *sh)
{
    static const PGVerbosity verbosities[] = {
        PQERRORS_DEFAULT, PQERRORS_VERBOSE, PQERRORS_TERSE, PQERRORS_SQLSTATE};
    static const PGContextVisibility contexts[] = {
        PQSHOW_CONTEXT_NEVER, PQSHOW_CONTEXT_ERRORS, PQSHOW_CONTEXT_ALWAYS};
    if (!sh->conn)
        return;
    PQsetErrorVerbosity(sh->conn, verbosities[sh->vars.set.verbosity]);
    PQsetErrorContextVisibility(sh->conn, contexts[sh->vars.set.show_context]);
    if (PQstatus(sh->conn) == CONNECTION_OK && PQclientEncoding(sh->conn) >= 0)
        sh->print.encoding = PQclientEncoding(sh->conn);
}

void
conn_variables(struct shell *sh)
{
    char number[16];
    PGconn *conn = sh->conn;
    snprintf(number, sizeof(number), "%d", conn ? PQserverVersion(conn) : 0);
    const char *const rows[][2] = {{"DBNAME", conn ? PQdb(conn) : NULL},
        {"USER", conn ? PQuser(conn) : NULL}, {"HOST", conn ? PQhost(conn) : NULL},
        {"PORT", conn ? PQport(conn) : NULL},
        {"ENCODING", conn ? pg_encoding_to_char(PQclientEncoding(conn)) : NULL},
        {"SERVER_VERSION_NAME", conn ? PQparameterStatus(conn, "server_version") : NULL},
        {"SERVER_VERSION_NUM", conn ? number : NULL}};
    for (size_t i = 0; i < ox_count(rows); i++)
        vars_set(&sh->vars, rows[i][0], rows[i][1], NULL);
}

/* No connection any more, but its address is remembered. */
static void
give_up(struct shell *sh)
{
    PQfinish(sh->dead);
    sh->dead = sh->conn;
    sh->conn = NULL;
    conn_variables(sh);
}

/* A conninfo string or a new host starts afresh; else the current connection lends its values. */
bool
conn_switch(struct shell *sh, const struct conn_wish *wish)
{
    struct conn_wish full = *wish;
    PGconn *old = sh->conn ? sh->conn : sh->dead;
    if (old && !is_conninfo(wish->dbname)) {
        full.dbname = wish->dbname ? wish->dbname : PQdb(old);
        full.user = wish->user ? wish->user : PQuser(old);
        full.host = wish->host ? wish->host : PQhost(old);
        full.port = wish->port ? wish->port : PQport(old);
    }
    PGconn *conn = connect_with_password(sh, &full);
    if (!conn || PQstatus(conn) != CONNECTION_OK) {
        if (conn)
            shell_error(sh, "\\connect: %s", PQerrorMessage(conn));
        PQfinish(conn);
        if (sh->interactive && sh->conn)
            shell_say(sh, "Previous connection kept\n");
        else if (sh->conn)
            give_up(sh);
        return false;
    }
    bool moved = !old || strcmp(PQhost(conn), PQhost(old)) != 0 || strcmp(PQport(conn), PQport(old)) != 0;
    adopt(sh, conn);
    if (sh->vars.set.quiet)
        return true;
    if (moved)
        printf("You are now connected to database \"%s\" as user \"%s\" on host \"%s\" at port "
               "\"%s\".\n",
            PQdb(conn), PQuser(conn), PQhost(conn), PQport(conn));
    else
        printf("You are now connected to database \"%s\" as user \"%s\".\n", PQdb(conn), PQuser(conn));
    return true;
}

bool
conn_info_print(struct shell *sh)
{
    if (!sh->conn) {
        printf("You are currently not connected to a database.\n");
        return true;
    }
    const char *host = PQhost(sh->conn), *address = PQhostaddr(sh->conn);
    const char *db = PQdb(sh->conn), *user = PQuser(sh->conn), *port = PQport(sh->conn);
    if (host && host[0] == '/')
        printf("You are connected to database \"%s\" as user \"%s\" via socket in \"%s\" at port "
               "\"%s\".\n",
            db, user, host, port);
    else if (address && *address && strcmp(host, address) != 0)
        printf("You are connected to database \"%s\" as user \"%s\" on host \"%s\" (address \"%s\") "
               "at port \"%s\".\n",
            db, user, host, address, port);
    else
        printf("You are connected to database \"%s\" as user \"%s\" on host \"%s\" at port \"%s\".\n",
            db, user, host, port);
    if (PQsslInUse(sh->conn))
        printf("SSL connection (protocol: %s, cipher: %s, bits: %s, compression: %s)\n",
            PQsslAttribute(sh->conn, "protocol"), PQsslAttribute(sh->conn, "cipher"),
            PQsslAttribute(sh->conn, "key_bits"), "off");
    return true;
}

/* A script whose connection is lost ends; a person's is tried once more. */
bool
conn_alive(struct shell *sh)
{
    if (!sh->conn || PQstatus(sh->conn) == CONNECTION_OK)
        return sh->conn != NULL;
    if (!sh->interactive) {
        fprintf(stderr, "connection to server was lost\n");
        PQfinish(sh->conn);
        sh->conn = NULL;
        exit(EXIT_BADCONN);
    }
    fputs("The connection to the server was lost. Attempting reset: ", stderr);
    PQreset(sh->conn);
    if (PQstatus(sh->conn) != CONNECTION_OK) {
        fputs("Failed.\n", stderr);
        give_up(sh);
        return false;
    }
    fputs("Succeeded.\n", stderr);
    conn_settings(sh);
    complete_forget(sh);
    return true;
}

void
conn_banner(struct shell *sh)
{
    const char *version = PQparameterStatus(sh->conn, "server_version");
    printf("oxsql " PACKAGE_VERSION " (server %s%s)\nType \"help\" for help.\n\n",
        sh->oxbow ? "" : "PostgreSQL ", version ? version : "unknown");
}
