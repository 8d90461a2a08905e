/* SPDX-License-Identifier: Apache-2.0
 *
 * Builds every object from the disk up, hands each its settings, and takes all
 * down in reverse order:
 *
 *   directory -> loops -> metadata (lock, identity) -> log directory ->
 *   partitions -> engine -> doors (bound, not yet served) -> registration -> serve
 *
 * Stopping: no new connections; the engine refuses new work; connections close;
 * doors, engine, partitions (clean), metadata, log directory (write-ahead log
 * emptied, clean mark), loops. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/diag.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/limits.h"
#include "coord/coord.h"
#include "kafka/kafka.h"
#include "pgwire/pgwire.h"
#include "server/server.h"

struct server {
    const struct env *env;
    const struct server_options *options;
    char *temp_dir, *pid_path;
    struct loop_group *loops;
    struct net *net;
    struct log_dir **log_dirs;    /* those that were opened */
    const char **failed_dirs;     /* those that could not be */
    size_t log_dir_count, failed_dir_count;
    _Atomic size_t offline_dirs;
    struct meta *meta;
    struct replica *replica;
    struct engine *engine;
    struct arena arena;
    struct kafka_doors *doors;
    struct uuid incarnation;
    struct teller *teller;
    _Atomic bool registered; /* from here on the teller is asked */
    struct server_certificates *sql_certificates;
    struct auth_mapping *sql_mapping;
    struct pgwire_door *pgwire;
    struct http_door *http;
    int sql_port, http_port;
    const char *http_address;
    _Atomic bool offline;
    struct ox_err offline_err;
};

/* ---- disk ---- */

/* What may lie in a directory that is to become ours: settings, certificates,
 * notes; and the traces of a start that did not come far. */
static bool
may_be_there(const struct file_name *name)
{
    static const char *const dirs[] = {"lost+found", "tmp"};
    static const char *const endings[] = {".conf", ".properties", ".pem", ".crt", ".key", ".p12",
        ".jks", ".json", ".jwks", ".lock", ".log", ".pid", ".diag"};
    if (name->name[0] == '.')
        return true;
    for (size_t i = 0; name->is_dir && i < ox_count(dirs); i++)
        if (strcmp(name->name, dirs[i]) == 0)
            return true;
    const char *dot = strrchr(name->name, '.');
    for (size_t i = 0; !name->is_dir && dot != NULL && i < ox_count(endings); i++)
        if (strcmp(dot, endings[i]) == 0)
            return true;
    return false;
}

/* A directory of something else is left alone. Ours has an identity; so has one
 * of Kafka's, which is opened. */
static ox_code
check_dir(struct server *server, struct ox_err *err)
{
    static const char *const ours[] = {"meta.properties", "raft.db", "catalog.db"};
    struct file_system *fs = server->env->fs;
    const char *dir = server->options->dir;
    struct arena arena;
    struct file_name *names;
    struct file_stat st;
    size_t count = 0;
    ox_arena_init(&arena);
    ox_code code = fs_list(fs, dir, &arena, &names, &count, err);
    for (size_t i = 0; code == OX_OK && i < ox_count(ours); i++)
        if (fs_stat(fs, ox_arena_printf(&arena, "%s/%s", dir, ours[i]), &st, NULL) == OX_OK)
            count = 0;
    for (size_t i = 0; code == OX_OK && i < count; i++)
        if (!may_be_there(&names[i])) {
            code = ox_fail(err, OX_IDENTITY_MISMATCH,
                "directory \"%s\" belongs to something else: it holds \"%s\"", dir, names[i].name);
            ox_hint(err, "A data directory is new, empty or was made by Oxbow or Apache Kafka.");
        }
    ox_arena_fini(&arena);
    return code == OX_FILE_NOT_FOUND ? OX_OK : code;
}

/* The name of the data directory outlives a power cut before anything in it is
 * promised to. Who did not make it may lack the right to: that is not our fault. */
static ox_code
sync_parent(struct file_system *fs, const char *dir, ox_code made, struct ox_err *err)
{
    struct text parent;
    struct str path = ox_str(dir);
    ox_text_init(&parent, NULL);
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    while (path.len > 0 && path.ptr[path.len - 1] != '/')
        path.len--;
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    ox_text_addf(&parent, "%.*s", OX_STR_ARG(path.len > 0 ? path : OX_STR(".")));
    ox_code code = fs_sync_dir(fs, "server.mkdir", parent.ptr, made == OX_OK ? err : NULL);
    ox_text_fini(&parent);
    return made == OX_OK ? code : made;
}

static ox_code
make_dirs(struct server *server, struct ox_err *err)
{
    struct file_system *fs = server->env->fs;
    const char *dirs[] = {server->options->dir, server->temp_dir};
    ox_code checked = check_dir(server, err);
    if (checked != OX_OK)
        return checked;
    for (size_t i = 0; i < ox_count(dirs); i++) {
        ox_code code = fs_mkdir(fs, "server.mkdir", dirs[i], err);
        if (code != OX_OK && code != OX_FILE_EXISTS)
            return code;
        if (i == 0)
            code = sync_parent(fs, dirs[i], code, err);
        if (code != OX_OK && code != OX_FILE_EXISTS)
            return code;
    }
    return OX_OK;
}

/* What statements left, also when the server was killed. */
static void
empty_temp_dir(struct server *server)
{
    struct arena arena;
    struct file_name *names;
    size_t count;
    ox_arena_init(&arena);
    if (fs_list(server->env->fs, server->temp_dir, &arena, &names, &count, NULL) == OX_OK)
        for (size_t i = 0; i < count; i++)
            fs_unlink(server->env->fs, "server.temp",
                ox_arena_printf(&arena, "%s/%s", server->temp_dir, names[i].name), NULL);
    ox_arena_fini(&arena);
}

/* One of several: its partitions are lost, the server goes on. */
static void
log_dir_offline(void *arg, const struct ox_err *err)
{
    struct server *server = arg;
    ox_diag_err(OX_DIAG_ERROR, "a log directory is offline", err);
    if (atomic_fetch_add(&server->offline_dirs, 1) + 1 < server->log_dir_count)
        return;
    server->offline_err = *err;
    atomic_store(&server->offline, true);
}

/* The metadata says who the directory is; the partition logs check it. */
static ox_code
open_meta(struct server *server, struct ox_err *err)
{
    const struct server_options *options = server->options;
    struct meta_config config = {.dir = options->dir, .node_id = -1, .format = true,
        .settings = options->settings, .setting_count = options->setting_count};
    for (size_t i = 0; i < options->setting_count; i++)
        if (options->settings[i].param->index == PARAM_SERVER_NODE_ID)
            config.node_id = options->config.node_id;
    return meta_open(&config, server->env, &server->meta, err);
}

/* The data directory may have been a log directory, and be one no more: then it must hold
 * no partitions. */
static ox_code
check_no_partitions(struct server *server, struct ox_err *err)
{
    const char *dir = server->options->dir;
    struct arena arena;
    struct file_name *names;
    struct file_stat st;
    size_t count = 0;
    ox_arena_init(&arena);
    ox_code code = fs_list(server->env->fs, dir, &arena, &names, &count, err);
    bool found = false; /* others' directories, which cannot be looked into, hold none */
    for (size_t i = 0; i < count && code == OX_OK && !found; i++)
        found = names[i].is_dir && strcmp(names[i].name, "__cluster_metadata-0") != 0 &&
                fs_stat(server->env->fs, ox_arena_printf(&arena, "%s/%s/partition.metadata", dir,
                    names[i].name), &st, NULL) == OX_OK;
    if (found) {
        code = ox_fail(err, OX_CONFIG_ERROR, "data directory \"%s\" holds partitions, and "
            "\"log_dirs\" does not name it", dir);
        ox_hint(err, "Name it first in log_dirs; its partitions can be moved then.");
    }
    ox_arena_fini(&arena);
    return code;
}

/* Where partitions are: log_dirs, or the data directory itself. */
static ox_code
log_dir_paths(struct server *server, struct str **out, size_t *count, struct ox_err *err)
{
    const struct server_options *options = server->options;
    *out = ox_arena_array(&server->arena, struct str, 1);
    **out = ox_str(options->dir);
    *count = 1;
    if (options->config.log_dirs == NULL || options->config.log_dirs[0] == '\0')
        return OX_OK;
    *count = param_list_items(ox_str(options->config.log_dirs), &server->arena, out);
    bool has_data_dir = false;
    for (size_t i = 0; i < *count; i++)
        has_data_dir |= ox_str_is((*out)[i], options->dir);
    return has_data_dir ? OX_OK : check_no_partitions(server, err);
}

/* A directory whose disk does not work is left out; who else has it locked, or
 * whose it is, is for a person to settle. */
static ox_code
open_log_dir(struct server *server, struct str path, struct ox_err *err)
{
    struct log_dir_config config;
    log_dir_config_init(&config);
    config.path = ox_arena_strndup(&server->arena, path.ptr, path.len);
    config.cluster_id = meta_identity(server->meta)->cluster_id;
    config.node_id = meta_identity(server->meta)->node_id;
    config.threads = !server->options->by_hand;
    config.on_offline = log_dir_offline;
    config.arg = server;
    ox_code code =
        log_dir_open(&config, server->env, &server->log_dirs[server->log_dir_count], err);
    if (code == OX_OK) {
        server->log_dir_count++;
    } else if (code != OX_LOCK_HELD && code != OX_IDENTITY_MISMATCH) {
        ox_diag_err(OX_DIAG_ERROR, "a log directory cannot be opened", err);
        server->failed_dirs[server->failed_dir_count++] = config.path;
        code = OX_OK;
    }
    return code;
}

static ox_code
open_log_dirs(struct server *server, struct ox_err *err)
{
    struct str *paths;
    size_t count;
    ox_code code = log_dir_paths(server, &paths, &count, err);
    if (code != OX_OK)
        return code;
    server->log_dirs = ox_arena_array(&server->arena, struct log_dir *, count);
    server->failed_dirs = ox_arena_array(&server->arena, const char *, count);
    for (size_t i = 0; i < count && code == OX_OK; i++)
        code = open_log_dir(server, paths[i], err);
    return code == OX_OK && server->log_dir_count == 0 ? err->code : code;
}

static ox_code
open_storage(struct server *server, struct ox_err *err)
{
    const struct server_options *options = server->options;
    ox_code code = open_meta(server, err);
    if (code == OX_OK)
        code = open_log_dirs(server, err);
    if (code != OX_OK)
        return code;
    struct replica_config replica_config = {.node_id = meta_identity(server->meta)->node_id,
        .dirs = server->log_dirs, .dir_count = server->log_dir_count,
        .failed = server->failed_dirs, .failed_count = server->failed_dir_count,
        .loops = server->loops,
        .housekeeping_ms = options->config.log_retention_check_interval_ms};
    return replica_start(&replica_config, server->env, server->meta, &server->replica, err);
}

/* ---- doors ---- */

/* What "auto" means: who asks for logins anywhere asks for them here. */
static enum pgwire_login
sql_login(struct server *server, const struct meta_view *view)
{
    const struct server_config *config = &server->options->config;
    switch (config->sql_authentication) {
    case SERVER_SQL_AUTHENTICATION_TRUST:
        return PGWIRE_TRUST;
    case SERVER_SQL_AUTHENTICATION_SCRAM:
        return PGWIRE_SCRAM;
    case SERVER_SQL_AUTHENTICATION_PASSWORD:
        return PGWIRE_PASSWORD;
    case SERVER_SQL_AUTHENTICATION_CERT:
        return PGWIRE_CERT;
    }
    bool asked = config->authorizer_class_name[0] != 0 ||
        (!server_is_loopback(config->listen_address) && !config->allow_insecure);
    asked |= kafka_doors_ask(server->doors, view);
    return asked ? PGWIRE_AUTO : PGWIRE_TRUST;
}

/* What to do about a port that somebody else has. */
static ox_code
hint_port(ox_code code, const char *setting, struct ox_err *err)
{
    if (code == OX_ADDRESS_IN_USE)
        ox_hint(err, "Stop the program that listens there, or set %s to another port; 0 takes a "
            "free one.", setting);
    return code;
}

static ox_code
open_sql_door(struct server *server, const struct meta_view *view, struct ox_err *err)
{
    const struct server_config *config = &server->options->config;
    const char *address = config->listen_address;
    struct pgwire_door_config sql = {.engine = server->engine, .net = server->net,
        .address = address, .port = config->sql_port, .temp_dir = server->temp_dir,
        .login = sql_login(server, view), .tls_required = config->sql_ssl == SERVER_SQL_SSL_REQUIRE};
    bool safe = sql.login != PGWIRE_TRUST && sql.tls_required;
    if (!server_is_loopback(address) && !config->allow_insecure && !safe) {
        ox_fail(err, OX_CONFIG_ERROR, "listen_address \"%s\" is not a loopback address, and "
            "PostgreSQL connections are not encrypted and authenticated", address);
        return ox_hint(err, "Set sql_ssl=require with a certificate, or allow_insecure=on to "
            "accept that.");
    }
    ox_code code = auth_mapping_parse(config->ssl_principal_mapping_rules, &server->sql_mapping,
        err);
    bool wanted = config->sql_ssl != SERVER_SQL_SSL_OFF && server_has_certificate(config);
    if (code == OX_OK && sql.tls_required && !wanted)
        code = ox_fail(err, OX_CONFIG_ERROR,
            "sql_ssl is \"require\", but \"ssl.keystore.location\" is not set");
    if (code == OX_OK && wanted)
        code = server_certificates_new(server->env, config, NET_TLS_REQUESTED, "postgresql",
            &server->sql_certificates, err);
    if (code != OX_OK)
        return code;
    sql.mapping = server->sql_mapping;
    sql.tls = server_certificates_tls(server->sql_certificates);
    code = pgwire_door_open(&sql, &server->pgwire, &server->sql_port, err);
    return hint_port(code, "sql_port", err);
}

static ox_code
check_authorizer(const struct server_config *config, struct ox_err *err)
{
    const char *name = config->authorizer_class_name;
    if (name[0] == 0 || strcmp(name, "StandardAuthorizer") == 0 ||
        strcmp(name, "org.apache.kafka.metadata.authorizer.StandardAuthorizer") == 0)
        return OX_OK;
    return ox_fail(err, OX_CONFIG_ERROR, "\"authorizer.class.name\" is \"%s\", there is only "
        "org.apache.kafka.metadata.authorizer.StandardAuthorizer", name);
}

static ox_code
check_groups(const struct server_config *config, struct ox_err *err)
{
    struct arena arena;
    struct str *items;
    ox_code code = OX_OK;
    if (!(config->group_coordinator_rebalance_protocols &
            SERVER_GROUP_COORDINATOR_REBALANCE_PROTOCOLS_CLASSIC))
        return ox_fail(err, OX_CONFIG_ERROR,
            "\"group.coordinator.rebalance.protocols\" lacks classic");
    ox_arena_init(&arena);
    size_t count = param_list_items(ox_str(config->group_consumer_assignors), &arena, &items);
    for (size_t i = 0; i < count && code == OX_OK; i++)
        if (coord_assignor_find(items[i]) == COORD_ASSIGNOR_COUNT)
            code = ox_fail(err, OX_CONFIG_ERROR, "\"group.consumer.assignors\" names \"%.*s\", "
                "there are uniform and range", OX_STR_ARG(items[i]));
    if (count == 0)
        code = ox_fail(err, OX_CONFIG_ERROR, "\"group.consumer.assignors\" is empty");
    ox_arena_fini(&arena);
    return code;
}

/* Without what was set at run time; NULL: nothing was. */
static const struct meta_view *
as_configured(struct server *server, const struct meta_view *view, struct arena *arena)
{
    char name[16];
    snprintf(name, sizeof(name), "%d", view->node_id);
    if (meta_view_config(view, META_RESOURCE_BROKER, ox_str(name)) == NULL &&
        meta_view_config(view, META_RESOURCE_BROKER, OX_STR("")) == NULL)
        return NULL;
    return meta_view_if_static(NULL, server->options->settings, server->options->setting_count,
        arena);
}

static ox_code
open_doors(struct server *server, struct ox_err *err)
{
    const struct server_config *config = &server->options->config;
    struct kafka_doors_config doors = {server->env, server->engine, server->net, server->loops};
    const struct meta_view *view = meta_view_get(server->meta);
    struct arena arena;
    ox_arena_init(&arena);
    ox_code code = check_authorizer(config, err);
    if (code == OX_OK)
        code = hint_port(kafka_doors_open(&doors, view, as_configured(server, view, &arena),
            &server->doors, err), "kafka_port or listeners", err);
    ox_arena_fini(&arena);
    if (code == OX_OK)
        code = open_sql_door(server, view, err);
    meta_view_put(view);
    /* Metrics and health go out in clear and to anybody: on loopback alone. */
    bool open = server_is_loopback(config->listen_address) || config->allow_insecure;
    server->http_address = open ? config->listen_address : "127.0.0.1";
    if (code == OX_OK)
        code = hint_port(http_door_open(server->engine, server->http_address, config->http_port,
            &server->http, &server->http_port, err), "http_port", err);
    return code;
}

/* ---- telling the cluster where this node listens ---- */

/* A make function of the teller's: with what the settings advertise. */
static void
make_registration(void *arg, const struct server_config *settings, struct arena *arena,
    struct meta_command *cmd)
{
    struct server *server = arg;
    struct meta_listener *listeners;
    const struct meta_view *view = meta_view_get(server->meta);
    *cmd = (struct meta_command){.kind = META_BROKER_REGISTER};
    cmd->broker_register.node_id = meta_identity(server->meta)->node_id;
    cmd->broker_register.incarnation = server->incarnation;
    cmd->broker_register.directory_id = *log_dir_id(server->log_dirs[0]);
    cmd->broker_register.rack = ox_str(server->options->config.broker_rack);
    kafka_doors_tell(server->doors, settings != NULL ? settings : view->settings, arena,
        &listeners, &cmd->broker_register.listener_count);
    cmd->broker_register.listeners = listeners;
    meta_view_put(view);
}

static ox_code
propose_registration(void *arg, struct meta_call *call, const struct meta_command *cmd,
    struct ox_err *err)
{
    struct server *server = arg;
    return meta_propose(server->meta, call, cmd, err);
}

/* Needed before the first answer. */
static ox_code
register_broker(struct server *server, struct ox_err *err)
{
    const struct teller_config config = {server->env, make_registration, propose_registration,
        server};
    struct arena arena;
    struct meta_command cmd;
    env_random(server->env, &server->incarnation, sizeof(server->incarnation));
    server->teller = teller_new(&config);
    ox_arena_init(&arena);
    make_registration(server, NULL, &arena, &cmd);
    ox_code code = meta_propose_wait(server->meta, &cmd, NULL, err);
    if (code == OX_OK)
        teller_told(server->teller, &cmd);
    ox_arena_fini(&arena);
    atomic_store(&server->registered, code == OX_OK);
    return code;
}

static ox_code
write_pid_file(struct server *server, struct ox_err *err)
{
    struct server_doors doors;
    char text[512];
    server_doors(server, &doors);
    int len = snprintf(text, sizeof(text), "%d\nnode=%d\nkafka=%s\nsql=%s\nhttp=%s\n",
        (int)getpid(), doors.node_id, doors.kafka, doors.sql, doors.http);
    struct file *file;
    ox_code code = fs_open(server->env->fs, "server.pid", server->pid_path,
        FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file, err);
    if (code != OX_OK)
        return code;
    code = file_pwrite(server->env->fs, "server.pid", file, text, (size_t)len, 0, err);
    fs_close(server->env->fs, file);
    return code;
}

/* ---- limits of connections ---- */

enum { FILES_RESERVED = 64 };

/* Segments and metadata need descriptors too: a quarter of them stays free. */
static uint32_t
connections_that_fit(int64_t wanted)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
        return (uint32_t)wanted;
    int64_t have = (int64_t)files.rlim_cur, kept = OX_MAX(have / 4, (int64_t)FILES_RESERVED);
    return (uint32_t)OX_MIN(wanted, OX_MAX(have - kept, (int64_t)1));
}

static void
limits_of(const struct server_config *config, struct net_limits *limits)
{
    const uint64_t ms = 1000000;
    *limits = (struct net_limits){.conns_max = connections_that_fit(config->max_connections),
        .conns_per_ip_max = (uint32_t)config->max_connections_per_ip,
        .strangers_max = (uint32_t)config->max_connections_logging_in,
        .conns_rate_max = config->max_connection_creation_rate == INT32_MAX
                              ? 0
                              : (uint32_t)config->max_connection_creation_rate,
        .rate_samples = (uint32_t)config->quota_window_num,
        .rate_sample_ms = (uint64_t)config->quota_window_size_seconds * 1000,
        .idle_ns = (uint64_t)config->login_timeout_ms * ms, /* until login; doors raise it */
        .frame_ns = (uint64_t)config->frame_timeout_ms * ms,
        .write_stall_ns = (uint64_t)config->write_timeout_ms * ms,
        .out_max = LIMIT_OUTPUT_QUEUE_VALUE};
}

static void
limit_memory(const struct server_config *config)
{
    mem_set_limit(config->memory_limit > 0 ? (uint64_t)config->memory_limit
                                           : mem_default_limit());
}

static uint64_t
gate(void *arg, const char *host, uint64_t mono_ms, uint32_t *most)
{
    struct server *server = arg;
    return engine_quota_connect(server->engine, host, mono_ms, most);
}

/* Settings that change while the server runs and belong to no folder. */
static void
settings_changed(const struct meta_view *view, void *arg)
{
    struct server *server = arg;
    struct net_limits limits;
    limits_of(view->settings, &limits);
    net_set_limits(server->net, &limits);
    if (atomic_load(&server->registered) && kafka_doors_follow(server->doors, view))
        teller_tell(server->teller, view->settings);
    limit_memory(view->settings);
    loop_group_pool_resize(server->loops, view->settings->pool_threads);
    ox_diag_set_level((enum ox_diag_level)view->settings->log_level);
}

/* ---- life ---- */

/* What the logs' own threads do where there are some. */
static void
flush_logs(void *arg)
{
    struct server *server = arg;
    for (size_t i = 0; i < server->log_dir_count && server->options->by_hand; i++)
        log_dir_flush_step(server->log_dirs[i], NULL);
}

/* What the configuration alone says must make sense before there is a directory. */
static ox_code
check_listeners(struct server *server, struct ox_err *err)
{
    struct server_listener listeners[SERVER_LISTENERS_MAX];
    struct arena arena;
    size_t count;
    ox_arena_init(&arena);
    const struct meta_view *view = meta_view_if_static(NULL, server->options->settings,
        server->options->setting_count, &arena);
    ox_code code = server_listeners(view, &arena, listeners, &count, err);
    ox_arena_fini(&arena);
    return code;
}

static ox_code
start_all(struct server *server, struct ox_err *err)
{
    const struct server_config *config = &server->options->config;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct loop_config loop_config = {config->loops > 0 ? config->loops
                                                        : (int)OX_MAX(1, OX_MIN(cores, 64)),
        config->pool_threads, 20 * 1000, server->options->by_hand, flush_logs, server};
    struct net_limits limits;
    limits_of(config, &limits);
    limit_memory(config);
    ox_code code = check_groups(config, err);
    if (code != OX_OK)
        return code;
    if (limits.conns_max < (uint32_t)config->max_connections)
        ox_warn("fewer connections than \"max.connections\" fit the limit of open files",
            "connections=%u", limits.conns_max);
    code = check_listeners(server, err);
    if (code == OX_OK)
        code = make_dirs(server, err);
    if (code == OX_OK)
        code = loop_group_start(&loop_config, server->env, &server->loops, err);
    if (code != OX_OK)
        return code;
    server->net = net_new(server->loops, &limits);
    code = open_storage(server, err);
    if (code != OX_OK)
        return code;
    code = engine_check_cordoned(server->replica, ox_str(config->cordoned_log_dirs), err);
    if (code != OX_OK)
        return code;
    empty_temp_dir(server);
    meta_on_view(server->meta, settings_changed, server);
    struct engine_config engine_config = {.node_id = meta_identity(server->meta)->node_id,
        .loops = server->loops,
        .net = server->net,
        .meta = server->meta,
        .replica = server->replica};
    code = engine_start(&engine_config, server->env, &server->engine, err);
    if (code == OX_OK)
        code = open_doors(server, err);
    if (code == OX_OK)
        code = register_broker(server, err);
    if (code == OX_OK)
        code = write_pid_file(server, err);
    net_set_gate(server->net, gate, server);
    if (code == OX_OK)
        engine_set_broker_check(server->engine, kafka_doors_check, server->doors);
    if (code == OX_OK)
        net_start_accepting(server->net);
    return code;
}

ox_code
server_start(const struct server_options *options, struct server **out, struct ox_err *err)
{
    struct server *server = ox_calloc(1, sizeof(*server));
    struct text path;
    server->env = options->env != NULL ? options->env : env_os();
    server->options = options;
    ox_arena_init(&server->arena);
    ox_diag_set_level((enum ox_diag_level)options->config.log_level);
    ox_text_init(&path, NULL);
    ox_text_addf(&path, "%s/tmp", options->dir);
    server->temp_dir = path.ptr;
    ox_text_init(&path, NULL);
    ox_text_addf(&path, "%s/oxbow.pid", options->dir);
    server->pid_path = path.ptr;
    ox_code code = start_all(server, err);
    if (code != OX_OK) {
        server_stop(server);
        return code;
    }
    *out = server;
    return OX_OK;
}

void
server_stop(struct server *server)
{
    bool served = server->http != NULL;
    if (server->meta != NULL) /* no listener comes or goes from here on */
        meta_off_view(server->meta, settings_changed, server);
    (void)ox_fault("server.stop");
    if (server->net != NULL)
        net_stop_accepting(server->net);
    if (server->engine != NULL)
        engine_quiesce(server->engine);
    if (server->replica != NULL)
        replica_quiesce(server->replica);
    kafka_doors_stop(server->doors);
    if (server->net != NULL)
        net_free(server->net);
    http_door_free(server->http);
    kafka_doors_free(server->doors);
    pgwire_door_free(server->pgwire);
    server_certificates_free(server->sql_certificates);
    auth_mapping_free(server->sql_mapping);
    if (server->engine != NULL)
        engine_stop(server->engine);
    if (server->loops != NULL)
        loop_group_drain(server->loops);
    if (server->replica != NULL)
        replica_stop(server->replica);
    if (server->log_dir_count > 0) { /* the directory is ours, no statement runs */
        empty_temp_dir(server);
        fs_rmdir(server->env->fs, "server.temp", server->temp_dir, NULL);
    }
    if (server->meta != NULL)
        meta_close(server->meta);
    teller_free(server->teller);
    if (server->loops != NULL)
        loop_group_drain(server->loops);
    if (server->engine != NULL) /* the catalog has given its last answers */
        engine_free(server->engine);
    for (size_t i = 0; i < server->log_dir_count; i++)
        log_dir_close(server->log_dirs[i]);
    if (server->loops != NULL)
        loop_group_stop(server->loops);
    if (served)
        fs_unlink(server->env->fs, "server.pid", server->pid_path, NULL);
    ox_arena_fini(&server->arena);
    ox_free(server->temp_dir);
    ox_free(server->pid_path);
    ox_free(server);
}

bool
server_turn(struct server *server, void (*ready)(void *arg), void *arg)
{
    return loop_group_turn(server->loops, ready, arg);
}

void
server_doors(const struct server *server, struct server_doors *out)
{
    const char *address = server->options->config.listen_address;
    out->node_id = meta_identity(server->meta)->node_id;
    kafka_doors_first(server->doors, out->kafka, sizeof(out->kafka));
    snprintf(out->sql, sizeof(out->sql), "%s:%d", address, server->sql_port);
    snprintf(out->http, sizeof(out->http), "%s:%d", server->http_address, server->http_port);
}

ox_code
server_health(struct server *server, struct ox_err *err)
{
    if (atomic_load(&server->offline)) {
        *err = server->offline_err;
        return err->code;
    }
    return meta_health(server->meta, err);
}

void
server_reload(struct server *server, const struct server_options *options)
{
    struct arena arena;
    struct ox_err err;
    struct meta_setting *settings;
    size_t count;
    ox_arena_init(&arena);
    const struct meta_view *now = meta_view_get(server->meta);
    ox_code code = server_options_reload(options, &arena, &settings, &count, &err);
    if (code == OX_OK)
        code = kafka_doors_check(server->doors, now,
            meta_view_if_static(now, settings, count, &arena), true, &err);
    if (code != OX_OK) {
        ox_diag_err(OX_DIAG_WARN, "the configuration was not reloaded", &err);
    } else {
        meta_reload(server->meta, settings, count);
        ox_info("configuration reloaded", "settings=%zu", count);
    }
    meta_view_put(now);
    ox_arena_fini(&arena);
}

void
server_tend(struct server *server)
{
    const struct meta_view *view = meta_view_get(server->meta);
    kafka_doors_tend(server->doors, view);
    teller_tend(server->teller);
    engine_logins_tend(server->engine);
    engine_tokens_tend(server->engine, view);
    engine_hosts_tend(server->engine, view);
    if (server->sql_certificates != NULL)
        server_certificates_watch(server->sql_certificates, view->settings);
    replica_tend(server->replica);
    ox_buf_tend_depot();
    mem_tend();
    meta_view_put(view);
}
