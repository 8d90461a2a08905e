/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes that are measured: started, asked for their CPU time and memory, and
 * stopped; sockets to them. Whatever was started dies with this process. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/env.h"
#include "tool/bench.h"

enum { CHILDREN_MAX = 64 };

static pid_t children[CHILDREN_MAX];

_Noreturn void
die(const char *what)
{
    fprintf(stderr, "oxbench: %s: %s\n", what, strerror(errno));
    exit(1);
}

double
now_s(void)
{
    return (double)env_mono_ns(env_os()) / 1e9;
}

/* ---- sockets ---- */

int
connect_to(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    inet_pton(AF_INET, opt.host, &at.sin_addr);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        die("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

void
read_full(int fd, void *to, size_t len)
{
    for (char *at = to; len > 0;) {
        ssize_t got = recv(fd, at, len, 0);
        if (got <= 0)
            die("connection lost");
        at += got;
        len -= (size_t)got;
    }
}

void
write_full(int fd, const void *from, size_t len)
{
    for (const char *at = from; len > 0;) {
        ssize_t got = send(fd, at, len, MSG_NOSIGNAL);
        if (got <= 0)
            die("connection lost");
        at += got;
        len -= (size_t)got;
    }
}

/* ---- a network of our own ---- */

bool
own_network(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    if (unshare(CLONE_NEWNET) != 0)
        return false;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) != 0)
        die("loopback");
    close(fd);
    /* A network of its own may use what the machine allows everybody. */
    fd = open("/proc/sys/net/ipv4/tcp_congestion_control", O_WRONLY);
    bool good = fd >= 0 && (write(fd, "cubic\n", 6) == 6 || write(fd, "reno\n", 5) == 5);
    if (fd >= 0)
        close(fd);
    return good;
}

/* ---- processes ---- */

static void
note_child(pid_t pid, pid_t other)
{
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (children[i] == other) {
            children[i] = pid;
            return;
        }
}

void
targets_kill(void)
{
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (children[i] > 0)
            kill(children[i], SIGKILL);
}

static void
make_dir(struct target *target)
{
    if (target->dir[0] != '\0')
        return;
    snprintf(target->dir, sizeof(target->dir), "%s/oxbench.XXXXXX", opt.scratch);
    if (mkdtemp(target->dir) == NULL)
        die(target->dir);
}

static void
exec_server(const struct target *target, int out)
{
    char dir[300];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, 1);
    snprintf(dir, sizeof(dir), "%s/data", target->dir);
    execl(target->path, "oxbow", "-D", dir, "-c", "kafka_port=0", "-c", "sql_port=0", "-c",
        "http_port=0", "-c", "log_segment_delete_delay_ms=0", "-c",
        "log_retention_check_interval_ms=300", "-c", "message_max_bytes=16777216",
        "-c", "max_connections_per_ip=10000", "-c", "log_level=warn", (char *)NULL);
    _exit(127);
}

double
target_start(struct target *target, const char *path)
{
    int out[2];
    char line[512];
    target->path = path;
    make_dir(target);
    if (pipe(out) != 0)
        die("pipe");
    double start = now_s();
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0)
        exec_server(target, out[1]);
    close(out[1]);
    note_child(pid, 0);
    FILE *from = fdopen(out[0], "r");
    if (fgets(line, sizeof(line), from) == NULL ||
        sscanf(line, "oxbow ready node=%*d kafka=%*[0-9.]:%d sql=%*[0-9.]:%d", &target->kafka_port,
            &target->sql_port) != 2) {
        fprintf(stderr, "oxbench: %s did not start\n", path);
        exit(1);
    }
    double elapsed = now_s() - start;
    fclose(from);
    target->pid = pid;
    return elapsed;
}

static int
remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    return remove(path);
}

static void
remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void
target_stop(struct target *target, bool keep)
{
    if (target->pid > 0 && !target->foreign) {
        kill(target->pid, target->path != NULL ? SIGTERM : SIGKILL);
        waitpid(target->pid, NULL, 0);
        note_child(0, target->pid);
        target->pid = 0;
    }
    if (!keep && target->dir[0] != '\0') {
        remove_tree(target->dir);
        target->dir[0] = '\0';
    }
}

pid_t
target_fork(void)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        memset(children, 0, sizeof(children));
    } else {
        note_child(pid, 0);
    }
    return pid;
}

/* ---- what the kernel says of them ---- */

uint64_t
target_cpu_ns(const struct target *target)
{
    struct timespec used;
    clockid_t clock;
    if (target->pid == 0 || clock_getcpuclockid(target->pid, &clock) != 0 ||
        clock_gettime(clock, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

size_t
target_rss(const struct target *target, bool anonymous)
{
    char path[64], line[256];
    unsigned long kib, found = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)target->pid);
    FILE *in = target->pid != 0 ? fopen(path, "r") : NULL;
    while (in != NULL && fgets(line, sizeof(line), in) != NULL)
        if (sscanf(line, anonymous ? "RssAnon: %lu kB" : "VmRSS: %lu kB", &kib) == 1)
            found = kib;
    if (in != NULL)
        fclose(in);
    return (size_t)found * 1024;
}
