/* SPDX-License-Identifier: Apache-2.0
 *
 * max.connections.per.ip.overrides: addresses are compared, not their spelling. Names of
 * quotas: looked up by a worker, but for a server that stops. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "engine/engine_int.h"

#include "tap.h"

#define NONE (-1)

static void
check_hosts(void)
{
    static const struct {
        const char *list, *host;
        int most; /* or NONE */
    } rows[] = {
        {"", "10.0.0.1", NONE},
        {"10.0.0.1:5", "10.0.0.1", 5},
        {"10.0.0.1:0", "10.0.0.1", 0},
        {"10.0.0.10:5", "10.0.0.1", NONE},
        {"110.0.0.1:5", "10.0.0.1", NONE},
        {"10.0.0.2:5,10.0.0.1:6", "10.0.0.1", 6},
        {"10.0.0.2:5, 10.0.0.1:6", "10.0.0.1", 6},
        {"10.0.0.1:6 ,10.0.0.2:5", "10.0.0.1", 6},
        {"10.0.0.1:2147483647", "10.0.0.1", 2147483647},
        {"::1:5", "::1", 5},
        {"[::1]:5", "::1", 5},
        {"0:0:0:0:0:0:0:1:5", "::1", 5},
        {"::1:5:7", "::1", NONE},
        {"::1:5:7", "::1:5", 7},
        {"10.0.0.2:5,2001:DB8::00ff:7", "2001:db8::ff", 7},
        {"[::ffff:10.0.0.1]:5", "10.0.0.1", 5},
        {"[::ffff:10.0.0.1]:5", "10.0.0.2", NONE},
    };
    for (size_t i = 0; i < ox_count(rows); i++) {
        char sentence[128];
        snprintf(sentence, sizeof(sentence), "%s among \"%s\"", rows[i].host, rows[i].list);
        is_int((int32_t)engine_override_of(ox_str(rows[i].list), ox_str(rows[i].host)),
            rows[i].most, sentence);
    }
}

static void
check_lists(void)
{
    static const struct {
        const char *list;
        ox_code code;
    } rows[] = {
        {"", OX_OK},
        {"10.0.0.1:5,[::1]:6,0:0:0:0:0:0:0:1:7", OX_OK},
        {"10.0.0.1", OX_INVALID_CONFIG},
        {"10.0.0.1:", OX_INVALID_CONFIG},
        {"10.0.0.1:-1", OX_INVALID_CONFIG},
        {"10.0.0.1:2147483648", OX_INVALID_CONFIG},
        {"10.0.0.1:5,,", OX_INVALID_CONFIG},
        {"[10.0.0.1]:5", OX_INVALID_CONFIG},
        {"[]:5", OX_INVALID_CONFIG},
        {":5", OX_INVALID_CONFIG},
    };
    for (size_t i = 0; i < ox_count(rows); i++)
        is_int(engine_check_overrides(ox_str(rows[i].list), NULL), rows[i].code, rows[i].list);
}

static void
check_names(bool stopping)
{
    const struct loop_config config = {.count = 1, .pool_threads = 1, .by_hand = true};
    const struct meta_quota quota = {.ip = OX_STR("localhost"),
        .key = OX_STR("connection_creation_rate"), .value = 1};
    const struct meta_security security = {.version = 1, .quotas = &quota, .quota_count = 1};
    const struct meta_view view = {.security = &security};
    struct engine engine = {.env = env_os()};
    struct ox_err err;
    if (loop_group_start(&config, engine.env, &engine.config.loops, &err) != OX_OK)
        abort();
    engine_hosts_start(&engine);
    if (stopping)
        engine_hosts_quiesce(&engine);
    engine_hosts_tend(&engine, &view);
    loop_group_drain(engine.config.loops);
    is_int(engine_host_is(&engine, OX_STR("localhost"), OX_STR("127.0.0.1")), !stopping,
        stopping ? "a name is not looked up when the server stops" : "a name is looked up");
    char address[ENGINE_ADDRESS_MAX];
    is_int(engine_host_look_up(&engine, OX_STR("localhost"), address), !stopping,
        stopping ? "nor is one in a request" : "and so is one in a request");
    engine_hosts_stop(&engine);
    loop_group_stop(engine.config.loops);
}

int
main(void)
{
    check_hosts();
    check_lists();
    check_names(false);
    check_names(true);
    return done();
}
