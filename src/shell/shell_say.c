/* SPDX-License-Identifier: Apache-2.0
 *
 * The shell's complaints, and its signal: Ctrl-C sets a flag and cancels the
 * statement under way. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shell/shell.h"

volatile sig_atomic_t shell_interrupted;
static PGcancel *volatile cancel_target;

static void
message(struct shell *sh, const char *level, const char *fmt, va_list args)
{
    struct text text;
    ox_text_init(&text, NULL);
    ox_text_addvf(&text, fmt, args);
    while (text.len > 0 && text.ptr[text.len - 1] == '\n')
        text.ptr[--text.len] = '\0';
    fflush(stdout);
    if (sh->in_name)
        fprintf(stderr, "%s:%s:%lu: %s: ", sh->program, sh->in_name, sh->line, level);
    else if (!sh->conn && !sh->in)
        fprintf(stderr, "%s: %s: ", sh->program, level);
    fprintf(stderr, "%s\n", text.len ? text.ptr : "");
    ox_text_fini(&text);
}

void
shell_error(struct shell *sh, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    message(sh, "error", fmt, args);
    va_end(args);
}

void
shell_warn(struct shell *sh, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    message(sh, "warning", fmt, args);
    va_end(args);
}

void
shell_say(struct shell *sh, const char *text)
{
    size_t len = strlen(text);
    fflush(stdout);
    if (sh->in_name)
        fprintf(stderr, "%s:%s:%lu: ", sh->program, sh->in_name, sh->line);
    fputs(text, stderr);
    if (len == 0 || text[len - 1] != '\n')
        fputc('\n', stderr);
}

/* Async-signal-safe: PQcancel is documented to be. */
static void
on_interrupt(int signo)
{
    int saved = errno;
    char why[256];
    (void)signo;
    shell_interrupted = 1;
    if (cancel_target) {
        static const char sent[] = "Cancel request sent\n", failed[] = "Could not send cancel request: ";
        if (PQcancel(cancel_target, why, sizeof(why))) {
            (void)!write(STDERR_FILENO, sent, sizeof(sent) - 1);
        } else {
            (void)!write(STDERR_FILENO, failed, sizeof(failed) - 1);
            (void)!write(STDERR_FILENO, why, strlen(why));
        }
    }
    errno = saved;
}

void
shell_signals(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL); /* no SA_RESTART: a read at the prompt must end */
}

void
shell_cancel_arm(PGconn *conn)
{
    PGcancel *old = cancel_target;
    cancel_target = NULL;
    if (old)
        PQfreeCancel(old);
    if (conn)
        cancel_target = PQgetCancel(conn);
}
