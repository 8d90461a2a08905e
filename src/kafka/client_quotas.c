/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeClientQuotas and AlterClientQuotas. */
#include <stdlib.h>

#include "kafka/kafka_int.h"

typedef struct describe_client_quotas_response_entries entry_out;
typedef struct describe_client_quotas_response_entries_entity entity_out;
typedef struct describe_client_quotas_response_entries_values value_out;

enum { ENTITY_USER, ENTITY_CLIENT, ENTITY_IP, ENTITY_COUNT };
static const char *const entity_names[ENTITY_COUNT] = {"user", "client-id", "ip"};

static int
entity_type(struct str name)
{
    for (int i = 0; i < ENTITY_COUNT; i++)
        if (ox_str_is(name, entity_names[i]))
            return i;
    return -1;
}

/* ---- describe ---- */

struct wanted {
    bool named[ENTITY_COUNT];
    int8_t match[ENTITY_COUNT]; /* 0 this name, 1 the default, 2 any */
    struct str name[ENTITY_COUNT];
    bool strict;
};

static ox_code
read_filter(const struct describe_client_quotas_request *request, struct wanted *wanted,
    struct ox_err *err)
{
    wanted->strict = request->strict;
    for (int32_t i = 0; i < request->components.count; i++) {
        struct str name = request->components.at[i].entity_type;
        int type = entity_type(name);
        if (name.len == 0)
            return ox_fail(err, OX_INVALID_REQUEST, "Invalid empty entity type.");
        if (type < 0)
            return ox_fail(err, OX_UNSUPPORTED_VERSION, "Unsupported entity type %.*s",
                OX_STR_ARG(name));
        if (wanted->named[type])
            return ox_fail(err, OX_INVALID_REQUEST, "Entity type %.*s cannot appear more "
                "than once in the filter.", OX_STR_ARG(name));
        wanted->named[type] = true;
        wanted->match[type] = request->components.at[i].match_type;
        wanted->name[type] = request->components.at[i].match;
        if (wanted->match[type] < 0 || wanted->match[type] > 2)
            return ox_fail(err, OX_INVALID_REQUEST, "Unknown match type %d",
                wanted->match[type]);
        if (wanted->match[type] == 0 && wanted->name[type].ptr == NULL)
            return ox_fail(err, OX_INVALID_REQUEST, "Request specified MATCH_TYPE_EXACT, but set "
                "match string to null.");
        if (wanted->match[type] != 0 && wanted->name[type].ptr != NULL)
            return ox_fail(err, OX_INVALID_REQUEST, "Request specified MATCH_TYPE_%s, but also "
                "specified a match string.", wanted->match[type] == 1 ? "DEFAULT" : "SPECIFIED");
    }
    if (wanted->named[ENTITY_IP] && (wanted->named[ENTITY_USER] || wanted->named[ENTITY_CLIENT]))
        return ox_fail(err, OX_INVALID_REQUEST,
            "Invalid entity filter component combination. IP filter component should not be "
            "used with user or clientId filter component.");
    return OX_OK;
}

static bool
fits(const struct wanted *wanted, const struct str parts[ENTITY_COUNT])
{
    for (int i = 0; i < ENTITY_COUNT; i++) {
        if (!wanted->named[i]) {
            if (wanted->strict && parts[i].ptr != NULL)
                return false;
            continue;
        }
        if (parts[i].ptr == NULL ||
            (wanted->match[i] == 0 && !ox_str_eq(parts[i], wanted->name[i])) ||
            (wanted->match[i] == 1 && parts[i].len > 0))
            return false;
    }
    return true;
}

static bool
same_entity(const struct meta_quota *a, const struct meta_quota *b)
{
    return ox_str_eq(a->user, b->user) && ox_str_eq(a->client_id, b->client_id) &&
        ox_str_eq(a->ip, b->ip);
}

static void
begin_entry(struct kafka_request *req, const struct str parts[ENTITY_COUNT], entry_out *out)
{
    describe_client_quotas_response_entries_init(out);
    out->entity.at = kafka_array(req, entity_out, ENTITY_COUNT);
    for (int i = 0; i < ENTITY_COUNT; i++) {
        if (parts[i].ptr == NULL)
            continue;
        out->entity.at[out->entity.count++] = (entity_out){ox_str(entity_names[i]),
            parts[i].len > 0 ? parts[i] : OX_STR_NULL};
    }
}

static void
list_quotas(struct kafka_request *req, const struct wanted *wanted,
    struct describe_client_quotas_response *response)
{
    const struct meta_security *security = kafka_view(req)->security;
    const struct meta_quota *last = NULL;
    value_out *values = kafka_array(req, value_out, security->quota_count);
    response->entries.count = 0;
    response->entries.at = kafka_array(req, entry_out, security->quota_count);
    for (uint32_t i = 0; i < security->quota_count; i++) {
        const struct meta_quota *quota = &security->quotas[i];
        const struct str parts[ENTITY_COUNT] = {quota->user, quota->client_id, quota->ip};
        if (!fits(wanted, parts))
            continue;
        if (last == NULL || !same_entity(last, quota)) {
            entry_out *out = &response->entries.at[response->entries.count++];
            begin_entry(req, parts, out);
            out->values.at = &values[i];
        }
        last = quota;
        entry_out *out = &response->entries.at[response->entries.count - 1];
        out->values.at[out->values.count++] = (value_out){quota->key, quota->value};
    }
}

void
kafka_describe_client_quotas(struct kafka_request *req)
{
    struct describe_client_quotas_response response;
    struct wanted wanted = {0};
    struct ox_err err = {0};
    describe_client_quotas_response_init(&response);
    response.entries.count = -1;
    ox_code code = kafka_may_cluster(req, ENGINE_DESCRIBE_CONFIGS, &err);
    if (code == OX_OK)
        code = read_filter(req->body, &wanted, &err);
    if (code == OX_OK)
        list_quotas(req, &wanted, &response);
    response.error_code = ox_code_kafka(code);
    response.error_message = code == OX_OK ? OX_STR("") : kafka_error_text(req, code, &err);
    kafka_answer(req, &response);
}

/* ---- alter ---- */

typedef struct alter_client_quotas_request_entries alter_in;

enum { PARTS_MAX = 16, HOSTS_MAX = 16 };

/* Host names, looked up by a worker: it may take seconds. */
struct host_names {
    struct pool_job job;
    struct kafka_request *req;
    struct engine *engine;
    int count;
    struct {
        struct str name;
        char address[ENGINE_ADDRESS_MAX]; /* "": it has none */
    } at[HOSTS_MAX];
};

struct alter_quotas {
    struct host_names hosts;
    struct alter_entry {
        struct meta_quota entity;
        entity_out *parts; /* each type once, with the last name it was given */
        int32_t part_count;
        const char *text; /* as Kafka shows it */
        bool again;       /* named before: no row */
        ox_code code;
        struct ox_err err;
    } *entries;
};

static ox_code
read_parts(struct kafka_request *req, const alter_in *in, struct alter_entry *entry)
{
    entry->parts = kafka_array(req, entity_out, OX_MIN(in->entity.count, (int32_t)PARTS_MAX));
    for (int32_t i = 0; i < in->entity.count; i++) {
        struct str type = in->entity.at[i].entity_type;
        int32_t at = 0;
        while (at < entry->part_count && !ox_str_eq(entry->parts[at].entity_type, type))
            at++;
        if (at == PARTS_MAX)
            return ox_fail(&entry->err, OX_INVALID_REQUEST, "an entity has more than %d types",
                PARTS_MAX);
        entry->parts[at] = (entity_out){type, in->entity.at[i].entity_name};
        entry->part_count = OX_MAX(entry->part_count, at + 1);
    }
    return OX_OK;
}

/* In the order of Java's hashes: ip, client-id, user, then what is not known. */
static int
part_rank(const entity_out *part)
{
    int type = entity_type(part->entity_type);
    return type < 0 ? ENTITY_COUNT : ENTITY_COUNT - 1 - type;
}

static int
part_cmp(const void *a, const void *b)
{
    int order = part_rank(a) - part_rank(b);
    return order != 0 ? order : ox_str_cmp(((const entity_out *)a)->entity_type,
        ((const entity_out *)b)->entity_type);
}

/* How Kafka shows the entity, and a key that two entities never share. */
static struct str
describe_entity(struct kafka_request *req, struct alter_entry *entry)
{
    struct text shown, key;
    ox_text_init(&shown, &req->arena);
    ox_text_init(&key, &req->arena);
    if (entry->part_count > 1)
        qsort(entry->parts, (size_t)entry->part_count, sizeof(*entry->parts), part_cmp);
    for (int32_t i = 0; i < entry->part_count; i++) {
        const entity_out *part = &entry->parts[i];
        struct str name = part->entity_name.ptr != NULL ? part->entity_name : OX_STR("null");
        ox_text_addf(&shown, "%s%.*s=%.*s", i > 0 ? ", " : "", OX_STR_ARG(part->entity_type),
            OX_STR_ARG(name));
        ox_text_addf(&key, "%zu %zu %d ", part->entity_type.len, name.len,
            part->entity_name.ptr == NULL);
        ox_text_add(&key, part->entity_type.ptr, part->entity_type.len);
        ox_text_add(&key, name.ptr, name.len);
    }
    entry->text = ox_arena_printf(&req->arena, "ClientQuotaEntity(entries={%.*s})",
        OX_STR_ARG(ox_text_str(&shown)));
    return ox_text_str(&key);
}

static ox_code
read_entity(struct alter_entry *entry)
{
    struct meta_quota *out = &entry->entity;
    struct str *parts[ENTITY_COUNT] = {&out->user, &out->client_id, &out->ip};
    struct ox_err *err = &entry->err;
    if (entry->part_count == 0)
        return ox_fail(err, OX_INVALID_REQUEST, "Invalid empty client quota entity");
    for (int32_t i = 0; i < entry->part_count; i++) {
        struct str name = entry->parts[i].entity_name;
        int type = entity_type(entry->parts[i].entity_type);
        if (type < 0)
            return ox_fail(err, OX_INVALID_REQUEST, "Unhandled client quota entity type: %.*s",
                OX_STR_ARG(entry->parts[i].entity_type));
        if (name.ptr != NULL && name.len == 0)
            return ox_fail(err, OX_INVALID_REQUEST, "Empty %s not supported", entity_names[type]);
        *parts[type] = name.ptr != NULL ? name : OX_STR("");
    }
    if (out->ip.ptr != NULL && (out->user.ptr != NULL || out->client_id.ptr != NULL))
        return ox_fail(err, OX_INVALID_REQUEST, "Invalid quota entity combination, IP entity "
            "shouldnot be combined with User or ClientId");
    return OX_OK;
}

static int
host_at(const struct host_names *hosts, struct str name)
{
    for (int i = 0; i < hosts->count; i++)
        if (ox_str_eq(hosts->at[i].name, name))
            return i;
    return -1;
}

/* What is there may be taken away, whatever has become of the name. */
static bool
only_removes(struct kafka_request *req, const alter_in *in, struct str ip)
{
    const struct meta_security *security = kafka_view(req)->security;
    for (int32_t i = 0; i < in->ops.count; i++)
        if (!in->ops.at[i].remove)
            return false;
    for (uint32_t i = 0; i < security->quota_count; i++)
        if (ox_str_eq(security->quotas[i].ip, ip))
            return true;
    return false;
}

static ox_code
check_host(struct kafka_request *req, const struct host_names *hosts, const alter_in *in,
    struct alter_entry *entry)
{
    struct str ip = entry->entity.ip;
    if (ip.len == 0 || engine_is_address(ip) || only_removes(req, in, ip))
        return OX_OK;
    int at = host_at(hosts, ip);
    if (at < 0)
        return ox_fail(&entry->err, OX_INVALID_REQUEST, "more than %d host names in a request",
            HOSTS_MAX);
    if (hosts->at[at].address[0] != 0)
        return OX_OK;
    return ox_fail(&entry->err, OX_INVALID_REQUEST, "%.*s is not a valid IP or resolvable host.",
        OX_STR_ARG(ip));
}

static ox_code
read_ops(const alter_in *in, struct alter_entry *entry, struct meta_security_change *changes,
    uint32_t *count)
{
    struct ox_err *err = &entry->err;
    for (int32_t i = 0; i < in->ops.count; i++) {
        struct meta_quota quota = entry->entity;
        quota.key = in->ops.at[i].key;
        quota.value = in->ops.at[i].value;
        ox_code code = engine_quota_check(&quota, !in->ops.at[i].remove, err);
        if (code != OX_OK)
            return code;
        changes[*count].kind = in->ops.at[i].remove ? META_QUOTA_REMOVE : META_QUOTA_SET;
        changes[(*count)++].quota = quota;
    }
    return OX_OK;
}

static void
altered(struct kafka_request *req, ox_code code, const struct ox_err *err)
{
    const struct alter_client_quotas_request *request = req->body;
    struct alter_quotas *all = req->state;
    struct alter_client_quotas_response response;
    for (int i = 0; i < all->hosts.count && code == OX_OK && !request->validate_only; i++)
        if (all->hosts.at[i].address[0] != 0)
            engine_host_learn(kafka_engine(req), all->hosts.at[i].name, all->hosts.at[i].address);
    alter_client_quotas_response_init(&response);
    response.entries.at = kafka_array(req, struct alter_client_quotas_response_entries,
        request->entries.count);
    response.entries.count = 0;
    for (int32_t i = 0; i < request->entries.count; i++) {
        struct alter_entry *entry = &all->entries[i];
        if (entry->again)
            continue;
        struct alter_client_quotas_response_entries *out =
            &response.entries.at[response.entries.count++];
        ox_code outcome = entry->code != OX_OK ? entry->code : code;
        out->error_code = ox_code_kafka(outcome);
        out->error_message =
            kafka_error_text(req, outcome, entry->code != OX_OK ? &entry->err : err);
        out->entity.count = entry->part_count;
        out->entity.at = kafka_array(req, struct alter_client_quotas_response_entries_entity,
            entry->part_count);
        for (int32_t p = 0; p < entry->part_count; p++) {
            out->entity.at[p].entity_type = entry->parts[p].entity_type;
            out->entity.at[p].entity_name = entry->parts[p].entity_name;
        }
    }
    kafka_answer(req, &response);
}

/* One setting twice, as Kafka words it, which takes it for the entity twice. */
static bool
ops_doubled(struct kafka_request *req, const alter_in *in)
{
    struct str *keys = kafka_array(req, struct str, in->ops.count);
    for (int32_t i = 0; i < in->ops.count; i++)
        keys[i] = in->ops.at[i].key;
    const uint8_t *doubles = kafka_doubles(req, keys, in->ops.count);
    for (int32_t i = 0; i < in->ops.count; i++)
        if (doubles[i] != KAFKA_ALONE)
            return true;
    return false;
}

/* Reads all entries. An entity named again is refused in the row of the first one, which
 * is carried out nevertheless, as with Kafka. */
static void
read_entries(struct kafka_request *req, struct alter_quotas *all,
    struct meta_security_change *changes, uint32_t *change_count)
{
    const struct alter_client_quotas_request *request = req->body;
    int32_t count = request->entries.count;
    struct str *keys = kafka_array(req, struct str, count);
    for (int32_t i = 0; i < count; i++) {
        all->entries[i].code = read_parts(req, &request->entries.at[i], &all->entries[i]);
        keys[i] = describe_entity(req, &all->entries[i]);
    }
    const uint8_t *doubles = kafka_doubles(req, keys, count);
    for (int32_t i = 0; i < count; i++) {
        struct alter_entry *entry = &all->entries[i];
        const alter_in *in = &request->entries.at[i];
        uint32_t before = *change_count;
        bool twice = ops_doubled(req, in);
        entry->again = doubles[i] == KAFKA_AGAIN;
        if (entry->again)
            continue;
        if (entry->code == OX_OK && !twice)
            entry->code = read_entity(entry);
        if (entry->code == OX_OK && !twice)
            entry->code = check_host(req, &all->hosts, in, entry);
        if (entry->code == OX_OK && !twice)
            entry->code = read_ops(in, entry, changes, change_count);
        if (entry->code != OX_OK)
            *change_count = before;
        if (twice || doubles[i] == KAFKA_FIRST_OF_MANY)
            entry->code = ox_fail(&entry->err, OX_INVALID_REQUEST, "Ignoring duplicate entity %s",
                entry->text);
    }
}

static void
read_and_alter(struct kafka_request *req)
{
    const struct alter_client_quotas_request *request = req->body;
    int32_t total = 0;
    uint32_t change_count = 0;
    for (int32_t i = 0; i < request->entries.count; i++)
        total += OX_MAX(request->entries.at[i].ops.count, 0);
    struct meta_security_change *changes = kafka_array(req, struct meta_security_change, total);
    read_entries(req, req->state, changes, &change_count);
    kafka_change_security(req, changes, change_count, request->validate_only, altered);
}

/* All of it, with one error. */
static void
refuse(struct kafka_request *req, ox_code code, const struct ox_err *err)
{
    const struct alter_client_quotas_request *request = req->body;
    struct alter_quotas *all = req->state;
    for (int32_t i = 0; i < request->entries.count; i++)
        all->entries[i].code = read_parts(req, &request->entries.at[i], &all->entries[i]);
    altered(req, code, err);
}

static void
look_up_work(struct pool_job *job)
{
    struct host_names *hosts = ox_container_of(job, struct host_names, job);
    for (int i = 0; i < hosts->count; i++)
        engine_host_look_up(hosts->engine, hosts->at[i].name, hosts->at[i].address);
}

static void
look_up_done(struct pool_job *job)
{
    const struct host_names *hosts = ox_container_of(job, struct host_names, job);
    struct ox_err err;
    if (engine_hosts_stopping(hosts->engine))
        refuse(hosts->req, ox_fail_plain(&err, OX_SHUTTING_DOWN), &err);
    else
        read_and_alter(hosts->req);
}

/* Names that are no addresses, each once, as many as there is room for. */
static void
collect_hosts(const struct alter_client_quotas_request *request, struct host_names *hosts)
{
    for (int32_t i = 0; i < request->entries.count; i++) {
        const alter_in *in = &request->entries.at[i];
        for (int32_t p = 0; p < in->entity.count && hosts->count < HOSTS_MAX; p++) {
            struct str name = in->entity.at[p].entity_name;
            if (entity_type(in->entity.at[p].entity_type) == ENTITY_IP && name.len > 0 &&
                !engine_is_address(name) && host_at(hosts, name) < 0)
                hosts->at[hosts->count++].name = name;
        }
    }
}

void
kafka_alter_client_quotas(struct kafka_request *req)
{
    const struct alter_client_quotas_request *request = req->body;
    struct alter_quotas *all = kafka_array(req, struct alter_quotas, 1);
    struct ox_err err;
    all->entries = kafka_array(req, struct alter_entry, request->entries.count);
    req->state = all;
    ox_code code = kafka_may_cluster(req, ENGINE_ALTER_CONFIGS, &err);
    if (code != OX_OK) {
        refuse(req, code, &err);
        return;
    }
    collect_hosts(request, &all->hosts);
    if (all->hosts.count == 0) {
        read_and_alter(req);
        return;
    }
    all->hosts.req = req;
    all->hosts.engine = kafka_engine(req);
    all->hosts.job.work = look_up_work;
    all->hosts.job.done = look_up_done;
    loop_pool_submit(req->sess->loop, &all->hosts.job);
}
