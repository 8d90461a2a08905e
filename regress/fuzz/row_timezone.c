/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of time zones, and rules of POSIX as people write them: what is taken
 * gives every moment an offset, the same each time, and a way back. The file's
 * reader has no door but names of zones: it is looked at from inside. */
#include "../../src/row/timezone.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_moments(const struct timezone *tz)
{
    static const int64_t moments[] = {0, 1, -211813488000000000, 9223371331199999999, 852076800000000,
        867718800000000, -3155673600000000};
    for (size_t i = 0; i < ox_count(moments); i++) {
        const char *abbrev, *again;
        int32_t offset = timezone_offset(tz, moments[i], &abbrev);
        ox_assert(timezone_offset(tz, moments[i], &again) == offset && abbrev == again);
        ox_assert(strlen(abbrev) < sizeof(tz->std.abbrev));
        if (moments[i] > -200000000000000000 && moments[i] < 9200000000000000000) {
            int64_t utc = timezone_to_utc(tz, moments[i]);
            ox_assert(timezone_to_utc(tz, moments[i]) == utc);
        }
    }
    for (uint32_t i = 0; i < tz->count; i++)
        ox_assert(tz->which[i] < tz->type_count && (i == 0 || tz->when[i - 1] < tz->when[i]));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct timezone file = {0}, rule = {0};
    char text[64];
    if (tzif_load(&file, data, len))
        check_moments(&file);
    size_t part = OX_MIN(len, sizeof(text) - 1);
    if (part > 0)
        memcpy(text, data, part);
    text[part] = '\0';
    if (posix_parse(&rule, text))
        check_moments(&rule);
    ox_free(file.when);
    ox_free(file.which);
    ox_free(file.types);
    return 0;
}
