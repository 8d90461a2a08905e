#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Turns catalog/views.tbl into the table of catalog relations that sql/syscat.c
# serves.
#
# usage: views.pl VIEWS TYPES OUTPUT
#
# A relation is a header "view SCHEMA.NAME (column type, ...)" and the SELECT
# below it, up to its semicolon; without one it is empty for ever. Types are
# checked against types.tbl. Oids are given by schema and order.
use strict;
use warnings;

my ($views, $types, $output) = @ARGV;
die "usage: views.pl VIEWS TYPES OUTPUT\n" unless defined $output;

my %type;
open my $in, '<', $types or die "$types: $!\n";
while (<$in>) {
    next if /^\s*(#|$)/;
    my ($id) = split;
    $type{$id} = 1;
}
close $in;

my %next_oid = (pg_catalog => 12100, information_schema => 12600, oxbow => 12800);
my %schema_oid = (pg_catalog => 11, information_schema => 12000, oxbow => 12001);
# Oids that programs know by heart.
my %known = ('pg_catalog.pg_type' => 1247, 'pg_catalog.pg_attribute' => 1249,
    'pg_catalog.pg_proc' => 1255, 'pg_catalog.pg_class' => 1259,
    'pg_catalog.pg_namespace' => 2615, 'pg_catalog.pg_database' => 1262);

my @relations;
open $in, '<', $views or die "$views: $!\n";
while (my $line = <$in>) {
    next if $line =~ /^\s*(--|$)/;
    if ($line =~ /^view (\w+)\.(\w+) \((.*)\)\s*$/) {
        my ($schema, $name, $list) = ($1, $2, $3);
        die "$views:$.: no schema \"$schema\"\n" unless $next_oid{$schema};
        my @columns;
        for my $column (split /,\s*/, $list) {
            my ($quoted, $type, $array) = $column =~ /^("?\w+"?) "?(\w+)"?(\[\])?$/
                or die "$views:$.: column \"$column\" cannot be read\n";
            die "$views:$.: there is no type \"$type\"\n" unless $type{$type};
            $quoted =~ s/"//g;
            push @columns, [$quoted, $type, $array ? 1 : 0];
        }
        my $oid = $known{"$schema.$name"} // $next_oid{$schema}++;
        push @relations, {schema => $schema, name => $name, columns => \@columns, oid => $oid, sql => ''};
        next;
    }
    die "$views:$.: expected a view\n" unless @relations;
    $relations[-1]{sql} .= $line;
}
close $in;

sub literal {
    my ($text) = @_;
    $text =~ s/([\\"])/\\$1/g;
    return join "\n", map { qq(        "$_ ") } split /\n/, $text;
}

my $text = "/* Generated from catalog/views.tbl. Do not edit. */\n#include \"sql/syscat.h\"\n\n";
my $table = '';
for my $relation (@relations) {
    my $id = "columns_$relation->{schema}_$relation->{name}";
    my @columns = @{$relation->{columns}};
    $text .= "static const struct plan_column $id\[] = {\n";
    for my $column (@columns) {
        my ($name, $type, $array) = @$column;
        $text .= sprintf "    {{\"%s\", %d}, {TYPE_%s, %s, -1}},\n", $name, length $name, uc $type,
            $array ? 'true' : 'false';
    }
    $text .= "};\n";
    (my $sql = $relation->{sql}) =~ s/;\s*$//;
    # The SELECT's columns take the names of the header.
    my $names = join ', ', map { qq("$_->[0]") } @columns;
    my $name = "v_$relation->{schema}_$relation->{name}";
    my $body = $sql =~ /\S/ ? $sql
        : 'SELECT ' . join(', ', ('NULL') x @columns) . ' WHERE 0';
    my $query = "WITH $name($names) AS ($body) SELECT * FROM $name";
    $table .= sprintf "    {\"%s\", \"%s\",\n%s,\n     %s, %d, %d, %d},\n", $relation->{schema},
        $relation->{name}, literal($query), $id, scalar @columns, $relation->{oid},
        $schema_oid{$relation->{schema}};
}
$text .= "\nconst struct syscat_relation syscat_relations[] = {\n$table};\n"
    . "const uint32_t syscat_relation_count = " . scalar(@relations) . ";\n";
open my $out, '>', "$output.tmp" or die "$output.tmp: $!\n";
print $out $text;
close $out or die "$output.tmp: $!\n";
rename "$output.tmp", $output or die "$output: $!\n";
