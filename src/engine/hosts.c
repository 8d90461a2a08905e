/* SPDX-License-Identifier: Apache-2.0
 *
 * Quotas of hosts that are named: which address each name stands for. As with
 * Kafka a name is looked up when its quota is read and not again until it changes
 * or the node starts; unlike there, one that cannot be found is looked for again.
 *
 *   AlterClientQuotas looks a name up before it is taken (client_quotas.c) --> KNOWN
 *   quotas changed: engine_hosts_tend() finds a new name --> SOUGHT --found--> KNOWN
 *                                    SOUGHT --not found, after AGAIN_NS--> SOUGHT
 *   the quota is gone --> forgotten
 *
 * Names are looked up by workers, which may take seconds. Who connects is compared
 * with what is known. The lock has the rank of that of the meters; neither is taken
 * under the other. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/lock.h"
#include "base/map.h"
#include "engine/engine_int.h"

enum { NAME_MAX_LEN = 253, AT_ONCE = 16 };
#define AGAIN_NS (UINT64_C(60) * 1000000000)

struct host {
    char address[ENGINE_ADDRESS_MAX]; /* "": sought */
    uint64_t again_ns;                /* when it is looked up, while it is sought */
    uint64_t seen;                    /* the version of the quotas that named it */
};

struct hosts {
    _Atomic uint32_t refs;  /* the engine; a look-up under way */
    _Atomic uint32_t known; /* names that have an address */
    _Atomic bool stopping;  /* what is not looked up yet will not be */
    struct lock lock;       /* what follows */
    struct map names;       /* struct host */
    uint64_t version;       /* of the quotas that were looked through, and 1 */
    bool busy;
};

struct lookup {
    struct engine_errand errand;
    struct hosts *hosts;
    const struct env *env;
    int count;
    struct {
        char name[NAME_MAX_LEN + 1], address[ENGINE_ADDRESS_MAX];
    } at[AT_ONCE];
};

void
engine_hosts_start(struct engine *engine)
{
    struct hosts *hosts = ox_calloc(1, sizeof(*hosts));
    atomic_store(&hosts->refs, 1);
    ox_lock_init(&hosts->lock, LOCK_QUOTAS);
    ox_map_init(&hosts->names);
    engine->hosts = hosts;
}

static void
hosts_put(struct hosts *hosts)
{
    struct map_entry *entry;
    uint32_t at = 0;
    if (atomic_fetch_sub(&hosts->refs, 1) != 1)
        return;
    while ((entry = ox_map_next(&hosts->names, &at)) != NULL)
        ox_free(entry->value);
    ox_map_fini(&hosts->names);
    ox_lock_fini(&hosts->lock);
    ox_free(hosts);
}

void
engine_hosts_quiesce(struct engine *engine)
{
    atomic_store(&engine->hosts->stopping, true);
}

bool
engine_hosts_stopping(const struct engine *engine)
{
    return atomic_load(&engine->hosts->stopping);
}

void
engine_hosts_stop(struct engine *engine)
{
    hosts_put(engine->hosts);
}

/* ---- looking up ---- */

bool
engine_is_address(struct str text)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t to[16];
    if (text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return inet_pton(AF_INET, copy, to) == 1 || inet_pton(AF_INET6, copy, to) == 1;
}

/* Letters, digits, - and _ between dots. *number: the last part has only digits, so that
 * it is an address in another spelling (10.1) or nothing. */
static bool
is_name(struct str text, bool *number)
{
    bool digits = false;
    *number = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool digit = c >= '0' && c <= '9', dot = c == '.';
        if (!digit && !dot && c != '-' && c != '_' && !((c | 32) >= 'a' && (c | 32) <= 'z'))
            return false;
        bool first = i == 0 || text.ptr[i - 1] == '.';
        digits = digit && (first || digits);
        *number = dot ? *number : digits;
    }
    return text.len > 0 && text.len <= NAME_MAX_LEN;
}

static bool
look_up(struct str name, char out[ENGINE_ADDRESS_MAX])
{
    char copy[NAME_MAX_LEN + 1];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    bool number;
    out[0] = 0;
    if (!is_name(name, &number))
        return false;
    memcpy(copy, name.ptr, name.len);
    copy[name.len] = 0;
    hints.ai_flags = number ? AI_NUMERICHOST : 0;
    if (getaddrinfo(copy, NULL, &hints, &found) != 0)
        return false;
    const struct addrinfo *best = found;
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next)
        if (at->ai_family == AF_INET) { /* first, as Java has it */
            best = at;
            break;
        }
    const void *address = best->ai_family == AF_INET
        ? (const void *)&((const struct sockaddr_in *)(const void *)best->ai_addr)->sin_addr
        : (const void *)&((const struct sockaddr_in6 *)(const void *)best->ai_addr)->sin6_addr;
    bool good = inet_ntop(best->ai_family, address, out, ENGINE_ADDRESS_MAX) != NULL;
    freeaddrinfo(found);
    return good;
}

bool
engine_host_look_up(struct engine *engine, struct str name, char out[ENGINE_ADDRESS_MAX])
{
    out[0] = 0;
    return !engine_hosts_stopping(engine) && look_up(name, out);
}

/* Under the lock. */
static void
learn(struct hosts *hosts, struct host *host, const char *address)
{
    if (host->address[0] == 0)
        atomic_fetch_add(&hosts->known, 1);
    snprintf(host->address, sizeof(host->address), "%s", address);
}

static struct host *
host_of(struct hosts *hosts, struct str name)
{
    struct host *host = ox_map_get(&hosts->names, name);
    if (host == NULL) {
        host = ox_calloc(1, sizeof(*host));
        ox_map_put(&hosts->names, name, host);
    }
    return host;
}

void
engine_host_learn(struct engine *engine, struct str name, const char *address)
{
    struct hosts *hosts = engine->hosts;
    ox_lock(&hosts->lock);
    struct host *host = host_of(hosts, name);
    learn(hosts, host, address);
    host->seen = hosts->version; /* forgotten unless the next change names it */
    ox_unlock(&hosts->lock);
}

bool
engine_host_is(struct engine *engine, struct str name, struct str address)
{
    struct hosts *hosts = engine->hosts;
    if (atomic_load_explicit(&hosts->known, memory_order_relaxed) == 0)
        return false;
    ox_lock(&hosts->lock);
    const struct host *host = ox_map_get(&hosts->names, name);
    bool same = host != NULL && ox_str_is(address, host->address);
    ox_unlock(&hosts->lock);
    return same;
}

/* ---- names that quotas bring ---- */

/* Where no server of names answers each takes seconds, for which a stop waits. */
static void
lookup_work(struct pool_job *job)
{
    struct lookup *lookup = ox_container_of(job, struct lookup, errand.job);
    for (int i = 0; i < lookup->count && !atomic_load(&lookup->hosts->stopping); i++)
        look_up(ox_str(lookup->at[i].name), lookup->at[i].address);
}

static void
lookup_done(struct pool_job *job)
{
    struct lookup *lookup = ox_container_of(job, struct lookup, errand.job);
    struct hosts *hosts = lookup->hosts;
    uint64_t now = env_mono_ns(lookup->env);
    ox_lock(&hosts->lock);
    for (int i = 0; i < lookup->count; i++) {
        struct host *host = ox_map_get(&hosts->names, ox_str(lookup->at[i].name));
        if (host != NULL && lookup->at[i].address[0] != 0)
            learn(hosts, host, lookup->at[i].address);
        else if (host != NULL)
            host->again_ns = now + AGAIN_NS;
    }
    hosts->busy = false;
    ox_unlock(&hosts->lock);
    for (int i = 0; i < lookup->count && !atomic_load(&hosts->stopping); i++)
        if (lookup->at[i].address[0] == 0)
            ox_warn("the quota of a host is not in force: its name is not known", "host=\"%s\"",
                lookup->at[i].name);
    hosts_put(hosts);
    ox_free(lookup);
}

/* Under the lock: the names are those of the quotas. */
static void
take_names(struct hosts *hosts, const struct meta_security *security)
{
    struct map_entry *entry;
    uint32_t at = 0;
    hosts->version = security->version + 1;
    for (uint32_t i = 0; i < security->quota_count; i++) {
        struct str name = security->quotas[i].ip;
        if (name.len > 0 && name.len <= NAME_MAX_LEN && !engine_is_address(name))
            host_of(hosts, name)->seen = hosts->version;
    }
    while ((entry = ox_map_next(&hosts->names, &at)) != NULL) {
        struct host *host = entry->value;
        if (host->seen == hosts->version)
            continue;
        atomic_fetch_sub(&hosts->known, host->address[0] != 0);
        ox_map_remove(&hosts->names, entry->key);
        ox_free(host);
    }
}

/* Under the lock: what it is time to look up, or NULL. */
static struct lookup *
due(struct hosts *hosts, const struct env *env)
{
    struct lookup *lookup = NULL;
    struct map_entry *entry;
    uint32_t at = 0;
    uint64_t now = env_mono_ns(env);
    while ((entry = ox_map_next(&hosts->names, &at)) != NULL) {
        const struct host *host = entry->value;
        if (host->address[0] != 0 || now < host->again_ns)
            continue;
        if (lookup == NULL)
            lookup = ox_calloc(1, sizeof(*lookup));
        memcpy(lookup->at[lookup->count++].name, entry->key.ptr, entry->key.len);
        if (lookup->count == AT_ONCE)
            break;
    }
    return lookup;
}

void
engine_hosts_tend(struct engine *engine, const struct meta_view *view)
{
    struct hosts *hosts = engine->hosts;
    struct lookup *lookup = NULL;
    ox_lock(&hosts->lock);
    if (hosts->version != view->security->version + 1)
        take_names(hosts, view->security);
    if (!hosts->busy)
        lookup = due(hosts, engine->env);
    hosts->busy |= lookup != NULL;
    ox_unlock(&hosts->lock);
    if (lookup == NULL)
        return;
    atomic_fetch_add(&hosts->refs, 1);
    lookup->hosts = hosts;
    lookup->env = engine->env;
    engine_errand_send(engine, &lookup->errand, lookup_work, lookup_done);
}
