/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/auth_int.h"

#include "tap.h"

static struct arena arena;
static struct ox_err err;

static void
check_final(void)
{
    struct scram_final final;
    ok(scram_final_parse(OX_STR("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), &final),
        "the client's last message of RFC 7677");
    ok(ox_str_is(final.binding, "biws"), "binding");
    ok(ox_str_is(final.nonce, "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"), "nonce");
}

int
main(void)
{
    ox_arena_init(&arena);
    check_final();
    ox_arena_fini(&arena);
    (void)err;
    return done();
}
