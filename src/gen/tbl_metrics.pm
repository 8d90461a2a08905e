# SPDX-License-Identifier: Apache-2.0
# metrics.tbl: name, type, help. Emits enum metric_id and the table of facts.
package tbl_metrics;
use strict;
use warnings;

sub columns { 3 }

sub emit {
    my ($class, $rows, $table, $output) = @_;
    my ($enum, $array) = ('', '');
    for my $row (@$rows) {
        my ($name, $type, $help, $line) = @$row;
        die "$table:$line: type is counter or gauge\n" unless $type =~ /^(counter|gauge)$/;
        die "$table:$line: a counter's name ends in _total\n"
            if ($type eq 'counter') != ($name =~ /_total$/);
        (my $id = uc $name) =~ s/^OXBOW_/METRIC_/;
        $enum .= "    $id,\n";
        $array .= qq(    [$id] = {"$name", "$type", "$help"},\n);
    }
    return "enum metric_id {\n$enum    METRIC_COUNT\n};\n" if $output =~ /\.h$/;
    return "#include \"engine/metrics.h\"\n\n"
        . "const struct metric_facts metric_table[METRIC_COUNT] = {\n$array};\n";
}

1;
