/* SPDX-License-Identifier: Apache-2.0
 *
 * oxbench: timed loads, each figure beside a reference measured in the same run.
 *
 * What it can measure is the table of modes below, which --help prints.
 *
 * oxbench starts a server of its own (the program beside it, or --server) on a
 * new directory below --scratch, in a network of its own where it may; with
 * --kafka-port and --sql-port it uses one that runs. --against PROGRAM takes
 * another build of the server as the reference. Machines are shared and noisy:
 * quote ratios. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "tool/bench.h"

struct bench_options opt = {.host = "127.0.0.1", .topic = "oxbench", .depth = 5, .rows = 1000000,
    .seconds = 0.15, .slices = 11, .scale = 1, .warm = 10};
struct target ours = {.name = "oxbow"}, against = {.name = "other build"};

static char beside[512];

static const struct {
    const char *name;
    void (*run)(void);
    const char *help;
} modes[] = {
    {"produce", bench_produce, "batches built before, over sockets; beside a null server"},
    {"budget", bench_budget, "the server's CPU for a record, a request, a GB"},
    {"round", bench_round, "a durable request over 64 partitions; beside one fdatasync"},
    {"latency", bench_latency, "produce at a tenth of the peak; beside the null server"},
    {"consume", bench_consume, "Fetch; beside sendfile of the same segment file"},
    {"clients", bench_clients, "librdkafka; beside its own mock cluster"},
    {"scan", bench_scan, "SQL over a topic of JSON records; COPY in and out"},
    {"insert", bench_insert, "single-row INSERTs of many sessions"},
    {"cancel", bench_cancel, "from a CancelRequest to the error"},
    {"start", bench_start, "from exec to the ready line; size of the program"},
    {"memory", bench_memory, "idle server, idle subscribers, growth under load"},
    {"beside", bench_beside, "every load beside another broker that runs"},
    {"soak", bench_soak, "a mixed load for --seconds; how memory grows"},
};

static void
usage(FILE *to)
{
    fputs("oxbench measures a server of its own, each figure beside a reference of the same run.\n\n"
          "Usage: oxbench targets|MODE... [OPTION]...\n\n"
          "Modes:\n"
          "  targets            all but beside and soak\n",
        to);
    for (size_t i = 0; i < ox_count(modes); i++)
        fprintf(to, "  %-17s  %s\n", modes[i].name, modes[i].help);
    fputs("\nOptions (and what holds without them):\n"
          "  --server PROGRAM   oxbow to start (the one beside oxbench)\n"
          "  --against PROGRAM  another build of it, measured in turn as the reference\n"
          "  --kafka-port N --sql-port N   use a server that runs on 127.0.0.1 instead\n"
          "  --pid N            process of that server: its CPU time is measured\n"
          "  --scratch DIR      where directories and files are made (TMPDIR or /tmp)\n"
          "  --seconds S        length of a slice (0.15)\n"
          "  --slices N         slices of each side (11)\n"
          "  --record N --batch N --connections N --acks N --lazy 0|1\n"
          "                     produce: only the lines of its matrix with these, in bytes (all)\n"
          "  --depth N          requests in flight on a connection (5)\n"
          "  --rows N           records in the topic that SQL reads (1000000)\n"
          "  --small            little data, to see that it works\n"
          "  --json             a line of JSON for each figure\n"
          "\nOptions of beside:\n"
          "  --other-port N --other-pid N --other-name NAME   the other broker\n"
          "  --tls-port N --other-tls-port N --ca FILE        TLS listeners of both\n"
          "  --only PART        codecs, partitions, transactions, tls, connections or latency\n"
          "  --scale F          times the number of records (1)\n"
          "  --warm S           seconds of load before the first slice (10)\n"
          "  --large            5,000 partitions too\n"
          "  --fill MB          nothing but this much data on each, which stays\n"
          "  --many             nothing but a topic of 5,000 partitions, which stays\n"
          "\nExit status: 0 if all that has a target reached it, 3 if not, 2 for a mistake.\n",
        to);
}

static void
find_server(void)
{
    ssize_t len = readlink("/proc/self/exe", beside, sizeof(beside) - 8);
    if (len < 0)
        die("/proc/self/exe");
    beside[len] = '\0';
    char *name = strrchr(beside, '/');
    strcpy(name + 1, "oxbow");
    opt.server = beside;
}

static int
find_mode(const char *name)
{
    for (size_t i = 0; i < ox_count(modes); i++)
        if (strcmp(modes[i].name, name) == 0)
            return (int)i;
    return -1;
}

static bool
is_all(const char *word)
{
    return strcmp(word, "targets") == 0 || strcmp(word, "all") == 0;
}

static void
on_signal(int number)
{
    targets_kill();
    _exit(128 + number);
}

static bool
take_option(int option, const char *value)
{
    switch (option) {
    case 'k': ours.kafka_port = atoi(value); break;
    case 's': ours.sql_port = atoi(value); break;
    case 'S': opt.server = value; break;
    case 'A': opt.against = value; break;
    case 'T': opt.scratch = value; break;
    case 'r': opt.record = atoi(value); break;
    case 'b': opt.batch = (size_t)atol(value); break;
    case 'c': opt.connections = atoi(value); break;
    case 'd': opt.depth = atoi(value); break;
    case 'a': opt.acks = atoi(value); break;
    case 'l':
        opt.lazy = atoi(value) != 0;
        opt.lazy_set = true;
        break;
    case 'n': opt.slices = atoi(value); break;
    case 'R': opt.rows = atoi(value); break;
    case 't': opt.seconds = atof(value); break;
    case 'p': ours.pid = atoi(value); break;
    case 'K': against.kafka_port = atoi(value); break;
    case 'P': against.pid = atoi(value); break;
    case 'N': against.name = value; break;
    case 'x': ours.tls_port = atoi(value); break;
    case 'X': against.tls_port = atoi(value); break;
    case 'C': opt.ca = value; break;
    case 'o': opt.only = value; break;
    case 'e': opt.scale = atof(value); break;
    case 'w': opt.warm = atof(value); break;
    case 'F': opt.fill_mb = atof(value); break;
    case 'L': opt.large = true; break;
    case 'y': opt.many = true; break;
    case 'j': opt.json = true; break;
    case 'm': opt.small = true; break;
    default: return false;
    }
    return true;
}

static bool
take_options(int argc, char **argv)
{
    static const struct option longs[] = {{"kafka-port", 1, NULL, 'k'}, {"sql-port", 1, NULL, 's'},
        {"server", 1, NULL, 'S'}, {"against", 1, NULL, 'A'}, {"scratch", 1, NULL, 'T'},
        {"record", 1, NULL, 'r'}, {"batch", 1, NULL, 'b'}, {"connections", 1, NULL, 'c'},
        {"depth", 1, NULL, 'd'}, {"acks", 1, NULL, 'a'}, {"lazy", 1, NULL, 'l'},
        {"slices", 1, NULL, 'n'}, {"rows", 1, NULL, 'R'}, {"seconds", 1, NULL, 't'},
        {"pid", 1, NULL, 'p'}, {"other-port", 1, NULL, 'K'}, {"other-pid", 1, NULL, 'P'},
        {"other-name", 1, NULL, 'N'}, {"tls-port", 1, NULL, 'x'},
        {"other-tls-port", 1, NULL, 'X'}, {"ca", 1, NULL, 'C'}, {"only", 1, NULL, 'o'},
        {"scale", 1, NULL, 'e'}, {"warm", 1, NULL, 'w'}, {"large", 0, NULL, 'L'},
        {"fill", 1, NULL, 'F'}, {"many", 0, NULL, 'y'},
        {"json", 0, NULL, 'j'}, {"small", 0, NULL, 'm'}, {"help", 0, NULL, 'h'}, {0}};
    int option;
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (option == 'h') {
            usage(stdout);
            exit(0);
        }
        if (!take_option(option, optarg))
            return false;
    }
    ours.foreign = ours.pid != 0;
    against.foreign = against.pid != 0;
    bool all = argc == optind + 1 && is_all(argv[optind]);
    for (int i = optind; i < argc && !all; i++)
        if (find_mode(argv[i]) < 0) {
            fprintf(stderr, "oxbench: there is no mode \"%s\"\n", argv[i]);
            return false;
        }
    if (optind == argc)
        fprintf(stderr, "oxbench: no mode is given\n");
    return optind < argc;
}

static void
start_servers(void)
{
    if (ours.kafka_port != 0 || ours.sql_port != 0)
        return;
    bool alone = own_network();
    if (!opt.json)
        printf("%s, %ld cores, %s\n", opt.server, sysconf(_SC_NPROCESSORS_ONLN),
            alone ? "a network of its own, not paced" : "the machine's own loopback");
    target_start(&ours, opt.server);
    if (opt.against != NULL)
        target_start(&against, opt.against);
}

int
main(int argc, char **argv)
{
    const char *temp = getenv("TMPDIR");
    opt.scratch = temp != NULL ? temp : "/tmp";
    find_server();
    if (!take_options(argc, argv)) {
        fprintf(stderr, "Try \"oxbench --help\".\n");
        return 2;
    }
    if (opt.small)
        opt.rows = OX_MIN(opt.rows, 20000);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    atexit(targets_kill);
    start_servers();
    report_open();
    for (size_t i = 0; i < ox_count(modes); i++)
        for (int j = optind; j < argc; j++)
            if ((is_all(argv[j]) && modes[i].run != bench_soak && modes[i].run != bench_beside) ||
                strcmp(argv[j], modes[i].name) == 0) {
                modes[i].run();
                break;
            }
    int missed = report_close();
    target_stop(&against, false);
    target_stop(&ours, ours.path == NULL);
    return missed > 0 ? 3 : 0;
}
