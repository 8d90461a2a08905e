/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "server/server.h"

#include "tap.h"

static struct arena arena;
static struct ox_err err;
static struct server_listener found[SERVER_LISTENERS_MAX];
static size_t count;
static const char *keystore;
static int client_auth;

static ox_code
parse(const char *listeners, const char *advertised, bool insecure)
{
    static const char *const auth[] = {"none", "requested", "required"};
    const struct {
        int index;
        const char *value;
    } all[] = {{PARAM_SERVER_LISTENERS, listeners},
        {PARAM_SERVER_ADVERTISED_LISTENERS, advertised},
        {PARAM_SERVER_ALLOW_INSECURE, insecure ? "true" : "false"},
        {PARAM_SERVER_CONTROLLER_LISTENER_NAMES, "CONTROLLER"},
        {PARAM_SERVER_LISTENER_SECURITY_PROTOCOL_MAP,
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,INSIDE:PLAINTEXT,LOGIN:SASL_SSL,"
            "BARE:SASL_PLAINTEXT"},
        {PARAM_SERVER_SSL_KEYSTORE_LOCATION, keystore},
        {PARAM_SERVER_SSL_CLIENT_AUTH, auth[client_auth]}};
    struct meta_setting settings[ox_count(all)];
    size_t set = 0;
    for (size_t i = 0; i < ox_count(all); i++)
        if (all[i].value != NULL)
            settings[set++] = (struct meta_setting){
                .param = param_at(PARAM_SCOPE_SERVER, all[i].index), .value = all[i].value};
    ox_code code = server_listeners(meta_view_if_static(NULL, settings, set, &arena), &arena,
        found, &count, &err);
    if (code != OX_OK)
        printf("# %s\n", err.message);
    return code;
}

int
main(void)
{
    ox_arena_init(&arena);
    is_int(parse(NULL, NULL, false), OX_OK, "without settings");
    is_int(count, 1, "there is one listener");
    is_str(found[0].name, "PLAINTEXT", "PLAINTEXT");
    is_str(found[0].host, "127.0.0.1", "on loopback");
    is_int(found[0].port, 9092, "at kafka_port");
    is_int(parse("PLAINTEXT://:9092,CONTROLLER://:9093", "PLAINTEXT://localhost:9092", false),
        OX_OK, "Kafka's own server.properties");
    is_int(count, 1, "leaves the controller out");
    is_str(found[0].host, "127.0.0.1", "binds where the server listens");
    is_str(found[0].advertised_host, "localhost", "and advertises as told");
    is_int(parse("PLAINTEXT://127.0.0.1:0,INSIDE://[::1]:19092",
        "INSIDE://broker.example:29092", false), OX_OK, "two listeners");
    is_int(count, 2, "both are opened");
    is_str(found[1].host, "::1", "an IPv6 address");
    is_str(found[1].advertised_host, "broker.example", "has its advertised host");
    is_int(found[1].advertised_port, 29092, "and port");
    is_int(found[0].advertised_port, 0, "the other is advertised as bound");
    is_int(parse("PLAINTEXT://0.0.0.0:9092", NULL, false), OX_CONFIG_ERROR,
        "open to the world needs allow_insecure");
    is_int(parse("PLAINTEXT://0.0.0.0:9092", NULL, true), OX_OK, "which allows it");
    ok(strcmp(found[0].advertised_host, "0.0.0.0") != 0, "but nobody is told to connect to 0.0.0.0");
    is_int(parse("SSL://127.0.0.1:9093", NULL, false), OX_CONFIG_ERROR,
        "TLS needs a certificate");
    keystore = "some.pem";
    is_int(parse("SSL://127.0.0.1:9093", NULL, false), OX_OK, "TLS with one");
    is_int(parse("SSL://0.0.0.0:9093", NULL, false), OX_CONFIG_ERROR,
        "open to the world: encrypted, but nobody is known");
    client_auth = SERVER_SSL_CLIENT_AUTH_REQUIRED;
    is_int(parse("SSL://0.0.0.0:9093", NULL, false), OX_OK, "clients show certificates");
    client_auth = SERVER_SSL_CLIENT_AUTH_NONE;
    is_int(parse("LOGIN://0.0.0.0:9093", NULL, false), OX_OK, "encrypted, with logins");
    is_int(found[0].protocol, 3, "its protocol is SASL_SSL");
    is_int(parse("BARE://0.0.0.0:9093", NULL, false), OX_CONFIG_ERROR, "logins in clear");
    is_int(parse("BARE://0.0.0.0:9093", NULL, true), OX_OK, "if that is wanted");
    is_int(parse("OTHER://127.0.0.1:9093", NULL, false), OX_CONFIG_ERROR, "a name without protocol");
    is_int(parse("PLAINTEXT://127.0.0.1", NULL, false), OX_CONFIG_ERROR, "no port");
    is_int(parse("PLAINTEXT://127.0.0.1:99999", NULL, false), OX_CONFIG_ERROR, "a port too large");
    is_int(parse("127.0.0.1:9092", NULL, false), OX_CONFIG_ERROR, "no name");
    is_int(parse("://127.0.0.1:9092", NULL, false), OX_CONFIG_ERROR, "an empty name");
    is_int(parse("PLAINTEXT://127.0.0.1:1,PLAINTEXT://127.0.0.1:2", NULL, false),
        OX_CONFIG_ERROR, "a name twice");
    is_int(parse("PLAINTEXT://127.0.0.1:1", "INSIDE://x:1", false), OX_CONFIG_ERROR,
        "advertised but not bound");
    ox_arena_fini(&arena);
    return done();
}
