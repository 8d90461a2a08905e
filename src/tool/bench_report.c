/* SPDX-License-Identifier: Apache-2.0
 *
 * Alternating slices, and the table: a figure, its reference of the same run,
 * the ratio, what is to be reached, and whether it was. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "tool/bench.h"

static int rows, missed;

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double
median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(*values), compare_doubles);
    return count == 0      ? 0
           : count % 2 == 1 ? values[count / 2]
                            : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* CPU clocks may step by the tick of the kernel: a slice that used none of one counts as a
 * microsecond, so that figures a CPU second stay numbers. */
static double
one_slice(struct target *target, void *arg, slice_fn fn, double *cpu)
{
    uint64_t before = target_cpu_ns(target);
    double value = fn(target, arg);
    *cpu = target->pid != 0 ? OX_MAX((double)(target_cpu_ns(target) - before), 1e3) : 0;
    return value;
}

void
measure(struct target *a, void *arg_a, struct target *b, void *arg_b, slice_fn fn,
    struct pair *out)
{
    double values[2][BENCH_SLICES_MAX], cpu[2][BENCH_SLICES_MAX], ratios[BENCH_SLICES_MAX];
    int count = OX_MIN(OX_MAX(opt.slices, 1), (int)BENCH_SLICES_MAX);
    /* The first slice warms up caches, connections and files. */
    for (int i = -1; i < count; i++) {
        int at = OX_MAX(i, 0);
        values[0][at] = one_slice(a, arg_a, fn, &cpu[0][at]);
        if (b != NULL)
            values[1][at] = one_slice(b, arg_b, fn, &cpu[1][at]);
        ratios[at] = b != NULL && values[1][at] > 0 ? values[0][at] / values[1][at] : 0;
    }
    *out = (struct pair){.ours = median(values[0], count),
        .reference = b != NULL ? median(values[1], count) : 0,
        .ratio = b != NULL ? median(ratios, count) : 0,
        .ours_cpu_ns = median(cpu[0], count),
        .reference_cpu_ns = b != NULL ? median(cpu[1], count) : 0};
}

/* ---- the table ---- */

static void
format_value(char *to, size_t len, double value, const char *unit)
{
    static const struct {
        double least;
        const char *prefix;
    } scales[] = {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}, {1e-3, "m"}, {1e-6, "u"}, {1e-9, "n"}};
    size_t i = value == 0 ? 3 : 0;
    while (value != 0 && i + 1 < ox_count(scales) && value < scales[i].least * 0.9995)
        i++;
    value /= scales[i].least;
    snprintf(to, len, "%.*f %s%s", value < 10 ? 2 : value < 100 ? 1 : 0, value, scales[i].prefix,
        unit);
}

void
report_open(void)
{
    rows = missed = 0;
    if (!opt.json)
        printf("%-52s %12s %12s  %-18s %6s %14s\n", "figure", "oxbow", "reference", "", "ratio",
            "to reach");
}

static bool
reached(const struct pair *pair, enum target_kind kind, double wanted)
{
    switch (kind) {
    case REACH_RATIO: return pair->ratio >= wanted;
    case REACH_AT_LEAST: return pair->ours >= wanted;
    case REACH_AT_MOST: return pair->ours <= wanted;
    default: return true;
    }
}

static void
print_row(const char *name, const char *unit, const struct pair *pair, const char *reference,
    enum target_kind kind, double wanted)
{
    char value[32], other[32] = "", ratio[16] = "", goal[48] = "", number[32];
    format_value(value, sizeof(value), pair->ours, unit);
    if (reference != NULL)
        format_value(other, sizeof(other), pair->reference, unit);
    if (pair->ratio > 0)
        snprintf(ratio, sizeof(ratio), "%.2f", pair->ratio);
    if (kind == REACH_RATIO) {
        snprintf(goal, sizeof(goal), ">= %.2f", wanted);
    } else if (kind != REACH_NOTHING) {
        format_value(number, sizeof(number), wanted, unit);
        snprintf(goal, sizeof(goal), "%s %s", kind == REACH_AT_LEAST ? ">=" : "<=", number);
    }
    printf("%-52s %12s %12s  %-18s %6s %14s  %s\n", name, value, other,
        reference != NULL ? reference : "", ratio, goal,
        kind == REACH_NOTHING ? "" : reached(pair, kind, wanted) ? "reached" : "MISSED");
}

static void
print_json(const char *name, const char *unit, const struct pair *pair, const char *reference,
    enum target_kind kind, double wanted)
{
    static const char *const kinds[] = {"none", "ratio", "at_least", "at_most"};
    printf("{\"figure\": \"%s\", \"unit\": \"%s\", \"value\": %.6g", name, unit, pair->ours);
    if (reference != NULL)
        printf(", \"reference\": %.6g, \"reference_name\": \"%s\"", pair->reference, reference);
    if (pair->ratio > 0)
        printf(", \"ratio\": %.4f", pair->ratio);
    if (kind != REACH_NOTHING)
        printf(", \"target\": %.6g, \"target_kind\": \"%s\", \"reached\": %s", wanted, kinds[kind],
            reached(pair, kind, wanted) ? "true" : "false");
    printf("}\n");
}

static void
add_row(const char *unit, const struct pair *pair, const char *reference, enum target_kind kind,
    double wanted, const char *name, va_list args)
{
    char text[128];
    vsnprintf(text, sizeof(text), name, args);
    rows++;
    missed += !reached(pair, kind, wanted);
    (opt.json ? print_json : print_row)(text, unit, pair, reference, kind, wanted);
    fflush(stdout);
}

void
report(const char *unit, const struct pair *pair, const char *reference, enum target_kind kind,
    double wanted, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    add_row(unit, pair, reference, kind, wanted, name, args);
    va_end(args);
}

void
report_value(const char *unit, double value, enum target_kind kind, double wanted,
    const char *name, ...)
{
    struct pair pair = {.ours = value};
    va_list args;
    va_start(args, name);
    add_row(unit, &pair, NULL, kind, wanted, name, args);
    va_end(args);
}

void
report_note(const char *format, ...)
{
    va_list args;
    if (opt.json)
        return;
    va_start(args, format);
    printf("    ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

int
report_close(void)
{
    if (!opt.json)
        printf("%d figures, %d missed\n", rows, missed);
    return missed;
}
