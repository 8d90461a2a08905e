/* SPDX-License-Identifier: Apache-2.0
 *
 * Access rules: hosts that are networks, and what may be done to some resource
 * of a type. */
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "base/check.h"

#include "tap.h"

enum { TOPIC = 2, WRITE = 4 };

static void
check_networks(void)
{
    static const struct {
        const char *network, *host;
        bool has;
    } rows[] = {
        {"10.0.0.0/8", "10.200.3.4", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"192.168.1.77/24", "192.168.1.0", true},
        {"192.168.1.77/24", "192.168.1.255", true},
        {"192.168.1.77/24", "192.168.2.1", false},
        {"192.168.1.128/25", "192.168.1.127", false},
        {"192.168.1.128/25", "192.168.1.128", true},
        {"10.1.2.3/32", "10.1.2.3", true},
        {"10.1.2.3/32", "10.1.2.2", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "::1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::/0", "10.0.0.1", false},
        {"::1/128", "::1", true},
        {"10.0.0.0/8", "nobody", false},
    };
    for (size_t i = 0; i < ox_count(rows); i++)
        is_int(auth_network_has(ox_str(rows[i].network), ox_str(rows[i].host)), rows[i].has,
            rows[i].network);
    static const char *const bad[] = {"10.0.0.1", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
        "10.0.0/8", "/8", "10.0.0.0/8/8", "2001:db8::/129", "a/8", "10.0.0.0/+8", ""};
    for (size_t i = 0; i < ox_count(bad); i++)
        ok(!auth_network_valid(ox_str(bad[i])), bad[i]);
}

static struct meta_acl
rule(int permission, int pattern, const char *name, const char *host)
{
    return (struct meta_acl){TOPIC, (int8_t)pattern, WRITE, (int8_t)permission, ox_str(name),
        OX_STR("User:ann"), ox_str(host)};
}

static int
by_name(const void *a, const void *b)
{
    const struct meta_acl *x = a, *y = b;
    return meta_acl_cmp_name(x, y->resource, y->pattern, y->name);
}

static bool
any(struct meta_acl *rules, uint32_t count, const char *host)
{
    struct meta_security security = {.acls = rules, .acl_count = count};
    struct auth_question question = {OX_STR("User:ann"), ox_str(host), TOPIC, WRITE, OX_STR_NULL};
    return auth_ask_any(&security, &question);
}

static void
check_any(void)
{
    enum { LITERAL = AUTH_PATTERN_LITERAL, PREFIXED = AUTH_PATTERN_PREFIXED };
    struct meta_acl none[1], one[] = {rule(AUTH_ALLOW, PREFIXED, "a-", "*")};
    ok(!any(none, 0, "10.0.0.1"), "nothing is allowed without a rule");
    ok(any(one, 1, "10.0.0.1"), "a prefix is enough, whatever topics there are");
    struct meta_acl all[] = {one[0], rule(AUTH_DENY, LITERAL, "*", "*")};
    ok(!any(all, 2, "10.0.0.1"), "but not when all is denied");
    struct meta_acl wider[] = {one[0], rule(AUTH_DENY, PREFIXED, "a", "*")};
    ok(!any(wider, 2, "10.0.0.1"), "or a prefix of the prefix");
    struct meta_acl narrower[] = {one[0], rule(AUTH_DENY, PREFIXED, "a-b", "*")};
    ok(any(narrower, 2, "10.0.0.1"), "one that is longer leaves something");
    struct meta_acl same[] = {rule(AUTH_ALLOW, LITERAL, "a", "*"), rule(AUTH_DENY, LITERAL, "a", "*")};
    ok(!any(same, 2, "10.0.0.1"), "the same name");
    struct meta_acl wild[] = {rule(AUTH_ALLOW, LITERAL, "*", "*"), rule(AUTH_DENY, PREFIXED, "a", "*")};
    ok(any(wild, 2, "10.0.0.1"), "all names but some");
    struct meta_acl near[] = {rule(AUTH_ALLOW, LITERAL, "a", "10.0.0.0/24")};
    ok(any(near, 1, "10.0.0.9") && !any(near, 1, "10.0.1.9"), "from a network only");
}

static void
check_ask(void)
{
    struct meta_acl rules[] = {rule(AUTH_ALLOW, AUTH_PATTERN_LITERAL, "a", "10.0.0.0/8"),
        rule(AUTH_DENY, AUTH_PATTERN_LITERAL, "a", "10.9.0.0/16")};
    qsort(rules, ox_count(rules), sizeof(rules[0]), by_name);
    struct meta_security security = {.acls = rules, .acl_count = ox_count(rules)};
    static const struct {
        const char *host;
        enum auth_answer answer;
    } rows[] = {{"10.1.1.1", AUTH_IS_ALLOWED}, {"10.9.1.1", AUTH_IS_DENIED},
        {"192.168.0.1", AUTH_IS_DENIED}};
    for (size_t i = 0; i < ox_count(rows); i++) {
        struct auth_question question = {OX_STR("User:ann"), ox_str(rows[i].host), TOPIC, WRITE,
            OX_STR("a")};
        is_int(auth_ask(&security, &question), rows[i].answer, rows[i].host);
    }
}

/* A rule that was written for Kafka names an address as Java prints it. */
static void
check_spellings(void)
{
    static const struct {
        const char *rule, *host;
        enum auth_answer answer;
    } rows[] = {{"0:0:0:0:0:0:0:1", "::1", AUTH_IS_DENIED},
        {"2001:db8:0:0:0:0:0:9", "2001:db8::9", AUTH_IS_DENIED},
        {"2001:DB8::9", "2001:db8::9", AUTH_IS_DENIED},
        {"2001:db8:0:0:0:0:0:9", "2001:db8::8", AUTH_IS_ALLOWED},
        {"10.0.0.1", "10.0.0.1", AUTH_IS_DENIED}, {"10.0.0.1", "10.0.0.2", AUTH_IS_ALLOWED},
        {"::ffff:10.0.0.1", "10.0.0.1", AUTH_IS_DENIED},
        {"0:0:0:0:0:ffff:a00:1", "10.0.0.1", AUTH_IS_DENIED},
        {"::ffff:10.0.0.1", "10.0.0.2", AUTH_IS_ALLOWED},
        {"::10.0.0.1", "10.0.0.1", AUTH_IS_ALLOWED}};
    for (size_t i = 0; i < ox_count(rows); i++) {
        struct meta_acl rules[] = {rule(AUTH_ALLOW, AUTH_PATTERN_LITERAL, "a", "*"),
            rule(AUTH_DENY, AUTH_PATTERN_LITERAL, "a", rows[i].rule)};
        struct meta_security security = {.acls = rules, .acl_count = ox_count(rules)};
        struct auth_question question = {OX_STR("User:ann"), ox_str(rows[i].host), TOPIC, WRITE,
            OX_STR("a")};
        is_int(auth_ask(&security, &question), rows[i].answer, rows[i].rule);
    }
}

int
main(void)
{
    check_networks();
    check_spellings();
    check_any();
    check_ask();
    return done();
}
