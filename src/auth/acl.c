/* SPDX-License-Identifier: Apache-2.0
 *
 * Access rules. A question meets three kinds of rules: for the literal name, for
 * the literal name "*", and for every prefix of the name. Rules are sorted by
 * name, so the prefixes are found by searching backwards: a rule that is no
 * prefix shares only so much with the name, and what is longer than that need
 * not be looked at.
 *
 * A rule that denies and fits beats all that allow. To be allowed to read,
 * write, delete or alter is to be allowed to describe; to be denied them is not. */
#include "auth/auth_int.h"

#include <string.h>

enum { READ = 3, WRITE, CREATE, DELETE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS,
    ALTER_CONFIGS, IDEMPOTENT_WRITE, CREATE_TOKENS, DESCRIBE_TOKENS, TWO_PHASE_COMMIT };

#define BIT(op) (UINT32_C(1) << (op))

uint32_t
auth_operations(int resource)
{
    static const uint32_t of[8] = {
        [2] = BIT(READ) | BIT(WRITE) | BIT(CREATE) | BIT(DESCRIBE) | BIT(DELETE) | BIT(ALTER) |
              BIT(DESCRIBE_CONFIGS) | BIT(ALTER_CONFIGS),
        [3] = BIT(READ) | BIT(DESCRIBE) | BIT(DELETE) | BIT(DESCRIBE_CONFIGS) |
              BIT(ALTER_CONFIGS),
        [4] = BIT(CREATE) | BIT(CLUSTER_ACTION) | BIT(DESCRIBE_CONFIGS) | BIT(ALTER_CONFIGS) |
              BIT(IDEMPOTENT_WRITE) | BIT(ALTER) | BIT(DESCRIBE),
        [5] = BIT(DESCRIBE) | BIT(WRITE) | BIT(TWO_PHASE_COMMIT),
        [6] = BIT(DESCRIBE),
        [7] = BIT(CREATE_TOKENS) | BIT(DESCRIBE_TOKENS),
    };
    return resource >= 2 && resource <= 7 ? of[resource] : 0;
}

bool
auth_operation_fits(int resource, int operation)
{
    return operation == AUTH_OP_ALL ||
        (operation > 2 && operation < 32 && (auth_operations(resource) & BIT(operation)) != 0);
}

static bool
fits_principal(const struct meta_acl *acl, const struct auth_question *question)
{
    return (ox_str_eq(acl->principal, question->principal) ||
               ox_str_is(acl->principal, "User:*")) &&
           (ox_str_eq(acl->host, question->host) || ox_str_is(acl->host, "*") ||
               auth_address_same(acl->host, question->host) ||
               auth_network_has(acl->host, question->host));
}

static bool
fits_operation(const struct meta_acl *acl, int operation)
{
    if (acl->operation == operation || acl->operation == AUTH_OP_ALL)
        return true;
    if (acl->permission != AUTH_ALLOW)
        return false;
    if (operation == DESCRIBE)
        return acl->operation == READ || acl->operation == WRITE || acl->operation == DELETE ||
            acl->operation == ALTER;
    return operation == DESCRIBE_CONFIGS && acl->operation == ALTER_CONFIGS;
}

struct verdict {
    bool any, allowed, denied;
};

/* Index of the first rule that is not less than (resource, pattern, name). */
static uint32_t
first_of(const struct meta_security *security, int resource, int pattern, struct str name)
{
    uint32_t low = 0, high = security->acl_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (meta_acl_cmp_name(&security->acls[mid], resource, pattern, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void
weigh_name(const struct meta_security *security, const struct auth_question *question,
    int pattern, struct str name, struct verdict *verdict)
{
    for (uint32_t i = first_of(security, question->resource, pattern, name);
         i < security->acl_count && !verdict->denied &&
         meta_acl_cmp_name(&security->acls[i], question->resource, pattern, name) == 0;
         i++) {
        const struct meta_acl *acl = &security->acls[i];
        verdict->any = true;
        if (!fits_principal(acl, question) || !fits_operation(acl, question->operation))
            continue;
        if (acl->permission == AUTH_DENY)
            verdict->denied = true;
        else
            verdict->allowed = true;
    }
}

static size_t
common(struct str a, struct str b)
{
    size_t len = OX_MIN(a.len, b.len), i = 0;
    while (i < len && a.ptr[i] == b.ptr[i])
        i++;
    return i;
}

static void
weigh_prefixes(const struct meta_security *security, const struct auth_question *question,
    struct verdict *verdict)
{
    struct str rest = question->name;
    while (rest.len > 0 && !verdict->denied) {
        /* The last rule at or before rest; longer names with rest as prefix come after. */
        uint32_t at = first_of(security, question->resource, AUTH_PATTERN_PREFIXED, rest);
        bool exact = at < security->acl_count &&
            meta_acl_cmp_name(&security->acls[at], question->resource, AUTH_PATTERN_PREFIXED,
                rest) == 0;
        if (exact) {
            weigh_name(security, question, AUTH_PATTERN_PREFIXED, rest, verdict);
            rest.len--;
            continue;
        }
        if (at == 0)
            return;
        const struct meta_acl *before = &security->acls[at - 1];
        if (before->resource != question->resource || before->pattern != AUTH_PATTERN_PREFIXED)
            return;
        rest.len = common(rest, before->name);
    }
}

enum auth_answer
auth_ask(const struct meta_security *security, const struct auth_question *question)
{
    struct verdict verdict = {false, false, false};
    weigh_name(security, question, AUTH_PATTERN_LITERAL, question->name, &verdict);
    if (!verdict.denied && !ox_str_is(question->name, "*"))
        weigh_name(security, question, AUTH_PATTERN_LITERAL, OX_STR("*"), &verdict);
    if (!verdict.denied)
        weigh_prefixes(security, question, &verdict);
    if (verdict.denied)
        return AUTH_IS_DENIED;
    if (verdict.allowed)
        return AUTH_IS_ALLOWED;
    return verdict.any ? AUTH_IS_DENIED : AUTH_NO_RULE;
}

/* Is what this rule allows taken away, whole, by one that denies? */
static bool
taken_away(const struct meta_security *security, const struct auth_question *question,
    const struct meta_acl *allow)
{
    for (uint32_t i = 0; i < security->acl_count; i++) {
        const struct meta_acl *acl = &security->acls[i];
        if (acl->resource != question->resource || acl->permission != AUTH_DENY ||
            !fits_principal(acl, question) || !fits_operation(acl, question->operation))
            continue;
        if (acl->pattern == AUTH_PATTERN_LITERAL
                ? ox_str_is(acl->name, "*") || (allow->pattern == AUTH_PATTERN_LITERAL &&
                                                   ox_str_eq(acl->name, allow->name))
                : !(allow->pattern == AUTH_PATTERN_LITERAL && ox_str_is(allow->name, "*")) &&
                      ox_str_starts(allow->name, acl->name))
            return true;
    }
    return false;
}

bool
auth_ask_any(const struct meta_security *security, const struct auth_question *question)
{
    for (uint32_t i = 0; i < security->acl_count; i++) {
        const struct meta_acl *acl = &security->acls[i];
        if (acl->resource == question->resource && acl->permission == AUTH_ALLOW &&
            fits_principal(acl, question) && fits_operation(acl, question->operation) &&
            !taken_away(security, question, acl))
            return true;
    }
    return false;
}

/* ---- filters ---- */

static bool
filter_name(const struct auth_filter *filter, const struct meta_acl *acl)
{
    if (filter->name.ptr == NULL)
        return filter->pattern <= AUTH_PATTERN_MATCH || filter->pattern == acl->pattern;
    switch (filter->pattern) {
    case AUTH_PATTERN_MATCH:
        if (acl->pattern == AUTH_PATTERN_PREFIXED)
            return ox_str_starts(filter->name, acl->name);
        return ox_str_eq(acl->name, filter->name) || ox_str_is(acl->name, "*");
    case AUTH_PATTERN_ANY:
        return ox_str_eq(acl->name, filter->name);
    default:
        return filter->pattern == acl->pattern && ox_str_eq(acl->name, filter->name);
    }
}

bool
auth_filter_matches(const struct auth_filter *filter, const struct meta_acl *acl)
{
    return (filter->resource == AUTH_ANY || filter->resource == acl->resource) &&
        filter_name(filter, acl) &&
        (filter->principal.ptr == NULL || ox_str_eq(filter->principal, acl->principal)) &&
        (filter->host.ptr == NULL || ox_str_eq(filter->host, acl->host)) &&
        (filter->operation == AUTH_ANY || filter->operation == acl->operation) &&
        (filter->permission == AUTH_ANY || filter->permission == acl->permission);
}
