# SPDX-License-Identifier: Apache-2.0
# errors.tbl: name, sqlstate, Kafka code, retry, default message.
# errors.gen.h declares enum ox_codes; errors.gen.c the table that err.c reads.
package tbl_errors;
use strict;
use warnings;

sub columns { 5 }

sub emit {
    my ($class, $rows, $table, $output) = @_;
    my %seen;
    my ($enum, $array) = ('', '');
    for my $row (@$rows) {
        my ($name, $state, $kafka, $retry, $message, $line) = @$row;
        die "$table:$line: error \"$name\" is declared twice\n" if $seen{$name}++;
        die "$table:$line: \"$state\" is not a SQLSTATE\n" unless $state =~ /^[0-9A-Z]{5}$/;
        die "$table:$line: \"$kafka\" is not a Kafka error code\n" unless $kafka =~ /^-?\d+$/;
        die "$table:$line: retry is yes or no\n" unless $retry =~ /^(yes|no)$/;
        $enum .= sprintf "    OX_%s,\n", uc $name;
        $array .= sprintf "    [OX_%s] = {\"%s\", \"%s\", %d, %s, \"%s\"},\n", uc $name, $name,
            $state, $kafka, $retry eq 'yes' ? 'true' : 'false', $message;
    }
    return "enum ox_codes {\n    OX_OK = 0,\n$enum    OX_CODE_COUNT\n};\n" if $output =~ /\.h$/;
    return "#include \"base/err.h\"\n\nconst struct ox_code_facts ox_code_table[OX_CODE_COUNT] = {\n"
        . "    [OX_OK] = {\"ok\", \"00000\", 0, false, \"success\"},\n$array};\n";
}

1;
