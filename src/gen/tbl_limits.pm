# SPDX-License-Identifier: Apache-2.0
# limits.tbl: name, value, unit, where, doc. Emits enum limit_id, LIMIT_NAME_VALUE
# of those that are fixed, and the table of facts.
package tbl_limits;
use strict;
use warnings;

sub columns { 5 }

my %factor = (KiB => 1 << 10, MiB => 1 << 20);

sub emit {
    my ($class, $rows, $table, $output) = @_;
    my ($enum, $values, $array) = ('', '', '');
    for my $row (@$rows) {
        my ($name, $value, $unit, $where, $doc, $line) = @$row;
        die "$table:$line: unit is bytes, count or ms\n" unless $unit =~ /^(bytes|count|ms)$/;
        die "$table:$line: where is both, kafka, sql or http\n" unless $where =~ /^(both|kafka|sql|http)$/;
        my $id = 'LIMIT_' . uc $name;
        my ($fixed, $setting) = (-1, 'NULL');
        if ($value =~ /^(\d+)(KiB|MiB)?$/) {
            $fixed = $1 * ($2 ? $factor{$2} : 1);
            $values .= "    ${id}_VALUE = $fixed,\n";
        } else {
            die "$table:$line: a value is a number or a setting\n" unless $value =~ /^[a-z_]+$/;
            $setting = qq("$value");
        }
        $enum .= "    $id,\n";
        $array .= qq(    [$id] = {"$name", $setting, $fixed, "$unit", "$where", "$doc"},\n);
    }
    return "enum limit_id {\n$enum    LIMIT_COUNT\n};\n\nenum {\n$values};\n" if $output =~ /\.h$/;
    return "#include \"base/limits.h\"\n\nconst struct limit_facts limit_table[LIMIT_COUNT] = {\n$array};\n";
}

1;
