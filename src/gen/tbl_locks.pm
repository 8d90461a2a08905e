# SPDX-License-Identifier: Apache-2.0
# locks.tbl: rank, name, protects. Emits enum lock_rank.
package tbl_locks;
use strict;
use warnings;

sub columns { 3 }

sub emit {
    my ($class, $rows, $table) = @_;
    my ($last, $enum) = (0, '');
    for my $row (@$rows) {
        my ($rank, $name, $protects, $line) = @$row;
        die "$table:$line: ranks must rise\n" unless $rank =~ /^\d+$/ && $rank > $last;
        $last = $rank;
        $enum .= sprintf "    LOCK_%s = %d, /* %s */\n", uc $name, $rank, $protects;
    }
    return "enum lock_rank {\n$enum};\n";
}

1;
