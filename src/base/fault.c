/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs are few and short: a fixed table, searched by name under a mutex. The
 * registry of points is made from the sources (src/gen/faults.pl).
 * Only test builds pay for it. */
#include "base/fault.h"

#ifdef OX_FAULT

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/faults.gen.h"
#include "base/str.h"

enum { PROGRAMS_MAX = 32, NAME_MAX_LEN = 64 };
enum action { ACT_FAIL, ACT_DELAY, ACT_CRASH };

struct program {
    char name[NAME_MAX_LEN];
    enum action action;
    ox_code code;       /* ACT_FAIL */
    int64_t delay_ms;   /* ACT_DELAY */
    int64_t from, hits; /* acts from this hit on; hits so far */
    char how; /* '!': at that hit only, '*': at its multiples, 0: from it on */
};

static struct program programs[PROGRAMS_MAX];
static uint64_t site_hits[ox_count(fault_sites)];
static int program_count;
static pthread_mutex_t fault_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fault_once = PTHREAD_ONCE_INIT;

static bool
parse_action(struct str text, struct program *program)
{
    struct str delay = OX_STR("delay:");
    if (ox_str_is(text, "crash")) {
        program->action = ACT_CRASH;
        return true;
    }
    if (ox_str_starts(text, delay)) {
        program->action = ACT_DELAY;
        return ox_str_to_i64(ox_str_n(text.ptr + delay.len, text.len - delay.len),
                   &program->delay_ms) &&
               program->delay_ms >= 0;
    }
    program->action = ACT_FAIL;
    for (ox_code code = 1; code < OX_CODE_COUNT; code++)
        if (ox_str_is(text, ox_code_facts(code)->name)) {
            program->code = code;
            return true;
        }
    return false;
}

/* Its place in the registry, or -1. */
static int
site_find(const char *name)
{
    for (size_t i = 0; i < ox_count(fault_sites); i++)
        if (strcmp(fault_sites[i], name) == 0)
            return (int)i;
    return -1;
}

/* name=action[@n[!|*]] */
static bool
parse_program(struct str text, struct program *program)
{
    const char *equals = memchr(text.ptr, '=', text.len);
    if (equals == NULL || equals == text.ptr || equals - text.ptr >= NAME_MAX_LEN)
        return false;
    *program = (struct program){.from = 1};
    memcpy(program->name, text.ptr, (size_t)(equals - text.ptr));
    if (site_find(program->name) < 0)
        return false;
    struct str action = ox_str_n(equals + 1, (size_t)(text.ptr + text.len - equals - 1));
    const char *at = memchr(action.ptr, '@', action.len);
    if (at != NULL) {
        struct str hit = ox_str_n(at + 1, (size_t)(action.ptr + action.len - at - 1));
        action.len = (size_t)(at - action.ptr);
        char last = hit.len > 0 ? hit.ptr[hit.len - 1] : '\0';
        program->how = last == '!' || last == '*' ? last : '\0';
        hit.len -= program->how != '\0';
        if (!ox_str_to_i64(hit, &program->from) || program->from < 1)
            return false;
    }
    return parse_action(action, program);
}

static ox_code
add_programs(const char *list, struct ox_err *err)
{
    for (const char *at = list; *at != '\0';) {
        size_t len = strcspn(at, ",; ");
        if (len > 0) {
            if (program_count == PROGRAMS_MAX)
                return ox_fail(err, OX_LIMIT_EXCEEDED, "more than %d failpoints", PROGRAMS_MAX);
            if (!parse_program(ox_str_n(at, len), &programs[program_count]))
                return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "failpoint \"%.*s\" is not valid",
                    (int)len, at);
            program_count++;
        }
        at += len + (at[len] != '\0');
    }
    return OX_OK;
}

static void
read_environment(void)
{
    const char *list = getenv("OX_FAULT");
    struct ox_err err;
    if (list != NULL && add_programs(list, &err) != OX_OK) {
        fprintf(stderr, "OX_FAULT: %s\n", err.message);
        exit(2);
    }
}

ox_code
ox_fault_set(const char *program, struct ox_err *err)
{
    pthread_once(&fault_once, read_environment);
    pthread_mutex_lock(&fault_mutex);
    ox_code code = add_programs(program, err);
    pthread_mutex_unlock(&fault_mutex);
    return code;
}

void
ox_fault_clear(void)
{
    pthread_once(&fault_once, read_environment);
    pthread_mutex_lock(&fault_mutex);
    program_count = 0;
    pthread_mutex_unlock(&fault_mutex);
}

const char *
ox_fault_site(int index)
{
    return index >= 0 && (size_t)index < ox_count(fault_sites) ? fault_sites[index] : NULL;
}

uint64_t
ox_fault_hits(const char *name)
{
    int site = site_find(name);
    pthread_mutex_lock(&fault_mutex);
    uint64_t hits = site >= 0 ? site_hits[site] : 0;
    pthread_mutex_unlock(&fault_mutex);
    return hits;
}

static bool
acts_now(const struct program *program)
{
    return program->how == '!'   ? program->hits == program->from
           : program->how == '*' ? program->hits % program->from == 0
                                 : program->hits >= program->from;
}

ox_code
ox_fault(const char *name)
{
    pthread_once(&fault_once, read_environment);
    struct program act = {.action = ACT_FAIL, .code = OX_OK};
    int site = site_find(name);
    ox_assert(site >= 0);
    pthread_mutex_lock(&fault_mutex);
    site_hits[site]++;
    for (int i = 0; i < program_count; i++) {
        struct program *program = &programs[i];
        if (strcmp(program->name, name) != 0)
            continue;
        program->hits++;
        if (acts_now(program))
            act = *program;
    }
    pthread_mutex_unlock(&fault_mutex);
    if (act.action == ACT_CRASH)
        _exit(137);
    if (act.action == ACT_DELAY) {
        struct timespec wait = {act.delay_ms / 1000, act.delay_ms % 1000 * 1000000};
        nanosleep(&wait, NULL);
        return OX_OK;
    }
    return act.code;
}

#endif
