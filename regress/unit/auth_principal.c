/* SPDX-License-Identifier: Apache-2.0
 *
 * Subjects as Java 17 prints them (X500Principal.getName()), and their common names. */
#include <stdlib.h>

#include "auth/auth.h"
#include "base/check.h"

#include "tap.h"

static const struct {
    const char *der, *name, *common;
} rows[] = {
    {"3022310a3008060355040a1301783114300806035504031301623008060355040b130161",
        "CN=b+OU=a,O=x", "b"},
    {"3033310a3008060355040a1301783125300806035504031301623008060355040b130161300f060a0992268993f2"
     "2c640101130163", "CN=b+OU=a+UID=c,O=x", "b"},
    {"302e310b3009060355040613024445310d300b060355040a13046c6561643110300e06035504030c07612c623d63"
     "2364", "CN=a\\,b\\=c\\#d,O=lead,C=DE", "a,b=c#d"},
    {"300e310c300a06035504031303613d62", "CN=a\\=b", "a=b"},
    {"301b310c300a060355040b0c03615c62310b300906035504030c022378", "CN=\\#x,OU=a\\\\b", "#x"},
    {"303931133011060a0992268993f22c6401191603666f6f3112301006092a864886f70d0109011603784079310e30"
     "0c06035504030c05c3a4e4b8ad",
        "CN=\xc3\xa4\xe4\xb8\xad,1.2.840.113549.1.9.1=#1603784079,DC=foo", "\xc3\xa4\xe4\xb8\xad"},
    {"303b310b3009060355040713026c6f310b30090603550408130273743110300e06035504090c07733b743c753e76"
     "310d300b0603550403130461202062", "CN=a  b,STREET=s\\;t\\<u\\>v,ST=st,L=lo", "a  b"},
    {"3010310e300c06035504030c05206c656164", "CN=\\ lead", " lead"},
    {"3010310e300c06035504030c057461696c20", "CN=tail\\ ", "tail "},
    {"30123110300e06035504030c07202074776f2020", "CN=\\ \\ two\\ \\ ", "  two  "},
    {"300e310c300a06035504030c03610062", "CN=a\\00b", NULL},
    {"300c310a300806035504030c0123", "CN=\\#", "#"},
    {"300e310c300a06035504030c03610962", "CN=a\tb", "a\tb"},
    {"300c310a3008060355040a0c0161", "O=a", NULL},
    {"3000", "", NULL},
};

int
main(void)
{
    for (size_t i = 0; i < ox_count(rows); i++) {
        uint8_t der[256];
        size_t len = strlen(rows[i].der) / 2;
        struct text text;
        bool has;
        for (size_t b = 0; b < len; b++)
            der[b] = (uint8_t)strtoul((char[]){rows[i].der[2 * b], rows[i].der[2 * b + 1], 0}, NULL,
                16);
        ox_text_init(&text, NULL);
        ok(auth_dn_print(der, len, &text, NULL) == OX_OK, "a subject");
        is_str(text.ptr != NULL ? text.ptr : "", rows[i].name, "as Java prints it");
        ox_text_fini(&text);
        ox_text_init(&text, NULL);
        ok(auth_dn_common_name(der, len, &text, &has, NULL) == OX_OK, "its common name");
        if (rows[i].common != NULL)
            is_str(text.ptr != NULL ? text.ptr : "", rows[i].common, "is as it is");
        else
            ok(!has || strlen(text.ptr) < text.len, "it has none, or nobody's");
        ox_text_fini(&text);
        ok(len < 4 || auth_dn_print(der, len - 1, &text, NULL) == OX_INVALID_REQUEST,
            "cut short it is none");
        ok(len < 4 || auth_dn_common_name(der, len - 1, &text, &has, NULL) == OX_INVALID_REQUEST,
            "and has none");
        ox_text_fini(&text);
    }
    return done();
}
