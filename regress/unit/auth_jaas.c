/* SPDX-License-Identifier: Apache-2.0
 *
 * Each text has been given to the class of Apache Kafka 4.4 that reads it. */
#include <string.h>

#include "auth/auth.h"

#include "tap.h"

#define MODULE "org.apache.kafka.common.security.plain.PlainLoginModule "

static void
check_users(void)
{
    static const struct {
        const char *text, *user, *password;
        bool knows;
    } rows[] = {
        {MODULE "required user_ann=\"ann-secret\" user_ben='b';", "ann", "ann-secret", true},
        {MODULE "required user_ann=\"ann-secret\" user_ben='b';", "ben", "b", true},
        {MODULE "required user_ann=\"ann-secret\" user_ben='b';", "ben", "ann-secret", false},
        {MODULE "required user_ann=\"ann-secret\";", "an", "ann-secret", false},
        {MODULE "required user_ann=\"ann-secret\";", "ann", "ann-secre", false},
        {MODULE "REQUIRED\n user_ann = word-2.x_$ ;", "ann", "word-2.x_$", true},
        {MODULE "required username=\"u\" password=\"p\";", "u", "p", false},
        {MODULE "required user_ann=\"a\" user_ann=\"b\";", "ann", "a", false},
        {MODULE "required user_ann=\"a\" user_ann=\"b\";", "ann", "b", true},
        {MODULE "required \"user_a n\"=\"b\";", "a n", "b", true},
        {MODULE "required user_ann=\"\\\"a\\t\\101\\18\\q\\\\\";", "ann", "\"a\tA\0018q\\", true},
        {MODULE "required user_ann=\"\\377\";", "ann", "\xC3\xBF", true},
        {MODULE "required user_\xC3\xA9='\xC3\xBC';", "\xC3\xA9", "\xC3\xBC", true},
        {MODULE "required // user_ann='x'\n user_ann='y' /* user_ann='z' */;", "ann", "y", true},
        {MODULE "required user_ann='y / z' / the rest;\n ;", "ann", "y / z", true},
        {MODULE "required user_ann='y // z';", "ann", "y // z", true},
        {MODULE "required user_ann='';", "ann", "", true},
        {MODULE "required user_ann=\"cut\n;", "ann", "cut", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        is_int(auth_jaas_knows(ox_str(rows[i].text), ox_str(rows[i].user),
            ox_str(rows[i].password)), rows[i].knows, rows[i].text);
}

static void
check_refused(void)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "Login module not specified in JAAS config"},
        {" // nothing\n", "Login module not specified in JAAS config"},
        {MODULE, "Login module control flag is not available in the JAAS config"},
        {MODULE "'';", "Invalid login module control flag in JAAS config"},
        {MODULE "always user_ann='b';", "Invalid login module control flag in JAAS config"},
        {MODULE "required user_ann='secret'", "JAAS config entry not terminated by semi-colon"},
        {MODULE "required user_ann;", "Value not specified for a key in JAAS config"},
        {MODULE "required user_ann=;", "Value not specified for a key in JAAS config"},
        {MODULE "required user_ann=", "Value not specified for a key in JAAS config"},
        {MODULE "required user_ann=12;", "Value not specified for a key in JAAS config"},
        {MODULE "required user_ann=-a;", "Value not specified for a key in JAAS config"},
        {MODULE "required user_ann=a secret;", "Value not specified for a key in JAAS config"},
        {MODULE "required; " MODULE "required;",
            "JAAS config property contains 2 login modules, should be 1 module"},
        {"com.example.Secret required;", "The JAAS config names a login module that is not there"},
    };
    struct ox_err err;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        err.message[0] = 0;
        is_int(auth_jaas_check(ox_str(rows[i].text), &err), OX_INVALID_CONFIG, rows[i].text);
        is_str(err.message, rows[i].why, "and why");
    }
    is_int(auth_jaas_check(ox_str(MODULE "required;"), &err), OX_OK, "no users at all");
    is_int(auth_jaas_check(ox_str(MODULE "required;;"), &err), OX_INVALID_CONFIG, "too much");
}

int
main(void)
{
    check_users();
    check_refused();
    return done();
}
