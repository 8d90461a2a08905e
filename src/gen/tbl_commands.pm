# SPDX-License-Identifier: Apache-2.0
# commands.tbl: words, served, kind, hint.
package tbl_commands;
use strict;
use warnings;

sub columns { 4 }

sub emit {
    my ($class, $rows, $table, $output) = @_;
    my %seen;
    my $text = "#include \"sql/commands.h\"\n\n#include <stddef.h>\n\nconst struct sql_command sql_commands[] = {\n";
    for my $row (@$rows) {
        my ($words, $served, $kind, $hint, $line) = @$row;
        die "$table:$line: \"$words\" is declared twice\n" if $seen{$words}++;
        die "$table:$line: \"$words\" are not words\n" unless $words =~ /^[A-Z_]+( [A-Z]+){0,3}$/;
        die "$table:$line: served is yes, no or noop\n" unless $served =~ /^(yes|no|noop)$/;
        die "$table:$line: \"$kind\" is not a kind\n"
            unless $kind =~ /^(read|write|copy|definition|session|transaction)$/;
        $text .= sprintf "    {\"%s\", SQL_COMMAND_%s, SQL_KIND_%s, %s},\n", lc $words,
            uc $served, uc $kind, $hint eq '-' ? 'NULL' : "\"$hint\"";
    }
    return "$text};\nconst int sql_command_count = " . scalar(@$rows) . ";\n";
}

1;
