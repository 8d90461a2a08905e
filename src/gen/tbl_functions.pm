# SPDX-License-Identifier: Apache-2.0
# functions.tbl: functions.gen.h declares what the rows name; functions.gen.c
# is the table, sorted by name.
package tbl_functions;
use strict;
use warnings;

sub columns { 7 }

my %kinds = (f => 'FUNC_SCALAR', o => 'FUNC_OPERATOR', ci => 'FUNC_CAST', ca => 'FUNC_CAST',
    ce => 'FUNC_CAST', a => 'FUNC_AGGREGATE', w => 'FUNC_WINDOW', s => 'FUNC_SET');
my %contexts = (ci => 'CAST_IMPLICIT', ca => 'CAST_ASSIGNMENT', ce => 'CAST_EXPLICIT');
my %volatility = (i => 'FUNC_IMMUTABLE', s => 'FUNC_STABLE', v => 'FUNC_VOLATILE');

sub quote { my $s = shift; $s =~ s/(["\\])/\\$1/g; return "\"$s\"" }

sub type {
    my ($name) = @_;
    my $array = ($name =~ s/\[\]$//) ? 'true' : 'false';
    return sprintf "{TYPE_%s, %s, -1}", uc $name, $array;
}

sub emit {
    my ($class, $rows, $table, $output) = @_;
    my (%seen, %declared, @lines);
    my ($header, $oid) = ('', 16384);
    for my $row (@$rows) {
        my ($kind, $name, $args, $result, $flags, $fn, $vec, $line) = @$row;
        my $at = "$table:$line";
        die "$at: kind is f, o, ci, ca, ce, a, w or s\n" unless $kinds{$kind};
        die "$at: flags are i, s or v, then n for not strict\n" unless $flags =~ /^([isv])(n?)$/;
        my ($vol, $strict) = ($volatility{$1}, $2 eq 'n' ? 'false' : 'true');
        my @args = $args eq '-' ? () : split /,/, $args;
        die "$at: at most 7 arguments\n" if @args > 7;
        my ($required, $variadic) = (0, 'false');
        my @types;
        for my $arg (@args) {
            $variadic = 'true' if $arg =~ s/^\*//;
            $required++ unless $arg =~ s/\?$//;
            push @types, type($arg);
        }
        die "$at: \"$name($args)\" is declared twice\n" if $seen{"$kind $name($args)"}++;
        my ($f, $v, $agg, $set, $window) = ('NULL', 'NULL', 'NULL', 'NULL', '0');
        my $declare = sub {
            my ($symbol, $text) = @_;
            $header .= "$text\n" unless $declared{$symbol}++;
        };
        if ($kind eq 'a') {
            $agg = "&$fn";
            $declare->($fn, "extern const struct agg_func $fn;");
        } elsif ($kind eq 's') {
            $set = "&$fn";
            $declare->($fn, "extern const struct set_func $fn;");
        } elsif ($kind eq 'w') {
            $window = $fn;
        } else {
            die "$at: neither a row nor a column function\n" if $fn eq '-' && $vec eq '-';
            if ($fn ne '-') {
                $f = $fn;
                $declare->($fn, "ox_code $fn(struct call *call, const struct datum *args, struct datum *out);");
            }
            if ($vec ne '-') {
                $v = $vec;
                $declare->($vec, "ox_code $vec(struct call *call, const struct vector *args, const uint32_t *sel,\n"
                    . "    uint32_t n, struct vector *out);");
            }
        }
        my $types = @types ? '{' . join(', ', @types) . '}' : '{{0, false, 0}}';
        push @lines, [$name, sprintf "    {%s, %s, %d, %d, %s, %s, %s, %s,\n        %s, %s,\n        %s, %s, %s, %s, %s, %d},\n",
            quote($name), $kinds{$kind}, scalar @types, $required, $variadic, $strict, $vol,
            $contexts{$kind} // 'CAST_EXPLICIT', $types, type($result), $f, $v, $agg, $set, $window, $oid++];
    }
    return "#ifndef EXEC_FUNCTIONS_GEN_H\n#define EXEC_FUNCTIONS_GEN_H\n#include \"exec/agg.h\"\n\n$header#endif\n"
        if $output =~ /\.h$/;
    my $text = "#include \"exec/functions.gen.h\"\n#include \"exec/plan.h\"\n\nconst struct func func_table[] = {\n";
    $text .= $_->[1] for sort { $a->[0] cmp $b->[0] } @lines;
    return $text . "};\nconst uint32_t func_count = " . scalar(@lines) . ";\n";
}

1;
