# SPDX-License-Identifier: Apache-2.0
# types.tbl: types.gen.h declares enum type_id; types.gen.c the table of facts.
package tbl_types;
use strict;
use warnings;

sub columns { 10 }

sub quote { my $s = shift; $s =~ s/(["\\])/\\$1/g; return "\"$s\"" }

sub emit {
    my ($class, $rows, $table, $output) = @_;
    my (%seen, %oids);
    my ($enum, $array) = ('', '');
    for my $row (@$rows) {
        my ($id, $name, $oid, $array_oid, $len, $category, $preferred, $phys, $aliases, $sql, $line)
            = @$row;
        die "$table:$line: type \"$id\" is declared twice\n" if $seen{$id}++;
        die "$table:$line: OID $oid is used twice\n" if $oids{$oid}++;
        die "$table:$line: phys is bool, i64, f64 or str\n" unless $phys =~ /^(bool|i64|f64|str)$/;
        die "$table:$line: preferred is yes or no\n" unless $preferred =~ /^(yes|no)$/;
        $aliases = '' if $aliases eq '-';
        $enum .= sprintf "    TYPE_%s,\n", uc $id;
        $array .= sprintf "    [TYPE_%s] = {%s, %s, %s, %d, %d, %d, '%s', %s, PHYS_%s},\n", uc $id,
            quote($name), quote($sql), quote($aliases), $oid, $array_oid, $len, $category,
            $preferred eq 'yes' ? 'true' : 'false', uc $phys;
    }
    return "enum type_id {\n    TYPE_NONE = 0,\n$enum    TYPE_COUNT\n};\n" if $output =~ /\.h$/;
    return "#include \"row/row.h\"\n\nconst struct type_facts type_table[TYPE_COUNT] = {\n"
        . "    [TYPE_NONE] = {\"none\", \"none\", \"\", 0, 0, 0, 'X', false, PHYS_STR},\n$array};\n";
}

1;
