/* SPDX-License-Identifier: Apache-2.0
 *
 * oxbow: reads its options, starts the server, prints one line when it serves,
 * and waits for signals. SIGTERM and SIGINT stop it in order, SIGHUP rereads the
 * configuration file. Once a second certificates are looked at. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/diag.h"
#include "server/server.h"

static void
print_failure(const struct ox_err *err)
{
    fprintf(stderr, "oxbow: %s\n", err->message);
    if (err->detail[0])
        fprintf(stderr, "oxbow: detail: %s\n", err->detail);
    if (err->hint[0])
        fprintf(stderr, "oxbow: hint: %s\n", err->hint);
}

/* As many descriptors as the system grants: one a connection and segment. */
static void
raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void
block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGIO, SIG_IGN); /* a lease is asked for by others: see fs_alone() */
}

/* Until somebody asks for the end; returns the exit status. */
static int
wait_for_end(struct server *server, const struct server_options *options, const sigset_t *set)
{
    for (;;) {
        const struct timespec second = {1, 0};
        struct ox_err err;
        int signal_number = sigtimedwait(set, NULL, &second);
        if (signal_number == SIGHUP)
            server_reload(server, options);
        else if (signal_number == SIGTERM || signal_number == SIGINT)
            return 0;
        else if (server_health(server, &err) == OX_OK) {
            server_tend(server);
        } else {
            ox_diag_err(OX_DIAG_ERROR, "the node cannot go on", &err);
            return 1;
        }
    }
}

int
main(int argc, char **argv)
{
    struct server_options options;
    struct ox_err err = {0};
    sigset_t set;
    block_signals(&set);
    raise_file_limit();
    if (server_options_read(argc, argv, &options, &err) != OX_OK) {
        print_failure(&err);
        server_options_fini(&options);
        return 2;
    }
    struct server *server;
    if (server_start(&options, &server, &err) != OX_OK) {
        print_failure(&err);
        server_options_fini(&options);
        return 1;
    }
    struct server_doors doors;
    server_doors(server, &doors);
    printf("oxbow ready node=%d kafka=%s sql=%s http=%s pid=%d\n", doors.node_id, doors.kafka,
        doors.sql, doors.http, (int)getpid());
    fflush(stdout);
    int status = wait_for_end(server, &options, &set);
    server_stop(server);
    server_options_fini(&options);
    return status;
}
