#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Turns named statements and schema files into C.
#
# usage: queries.pl OUTPUT QUERIES RAFT_SCHEMA SCHEMA...
#
# A statement follows its declaration, "-- name NAME(arguments) -> (columns)",
# and ends with a semicolon at the end of a line. The header declares a row
# struct and a function per statement, the C file defines them.
use strict;
use warnings;

my ($output, $queries, $raft, @schema) = @ARGV;
die "usage: queries.pl OUTPUT QUERIES RAFT_SCHEMA SCHEMA...\n" unless @schema;

my %ctype = (int => 'int64_t ', text => 'struct str ', blob => 'struct str ',
    real => 'double ');

sub slurp {
    my $path = shift;
    open my $in, '<', $path or die "$path: $!\n";
    local $/;
    return <$in>;
}

sub c_text {
    my $sql = shift;
    $sql =~ s/--[^\n]*//g;
    $sql =~ s/^\s+|\s+$//g;
    $sql =~ s/(["\\])/\\$1/g;
    return join "\n", map { "    \"$_\\n\"" } grep { /\S/ } map { s/\s+$//r } split /\n/, $sql;
}

sub parse_fields {
    my ($text, $where) = @_;
    return map {
        /^(\w+) (\w+)$/ && $ctype{$2} or die "$where: \"$_\" is not \"name type\"\n";
        {name => $1, type => $2}
    } split /,\s*/, $text;
}

my @statements;
my ($line, $open) = (0);
for (split /\n/, slurp($queries)) {
    $line++;
    if (/^-- name (\w+)\((.*?)\)(?: -> \((.*)\))?$/) {
        die "$queries:$line: the statement before is not closed\n" if $open;
        $open = {name => $1, sql => '', args => [parse_fields($2, "$queries:$line")],
            cols => defined $3 ? [parse_fields($3, "$queries:$line")] : undef};
        push @statements, $open;
    } elsif (/^--/ || /^\s*$/) {
        next;
    } elsif ($open) {
        $open->{sql} .= "$_\n";
        undef $open if /;\s*$/;
    } else {
        die "$queries:$line: statement without a name\n";
    }
}

sub declare {
    my $s = shift;
    my @args = ('struct queries *queries', map { $ctype{$_->{type}} . $_->{name} } @{$s->{args}});
    push @args, "ox_code (*row)(void *arg, const struct query_$s->{name} *row)", 'void *arg'
        if $s->{cols};
    return "query_$s->{name}(" . join(",\n    ", @args, 'struct ox_err *err') . ')';
}

sub emit_header {
    my $text = "#ifndef META_QUERIES_GEN_H\n#define META_QUERIES_GEN_H\n\n#include \"meta/queries.h\"\n\n"
        . "enum query_id {\n" . join('', map { "    QUERY_\U$_->{name},\n" } @statements)
        . "    QUERY_COUNT\n};\n\nextern const char *const query_texts[QUERY_COUNT];\n"
        . "extern const char *const query_names[QUERY_COUNT];\n"
        . "extern const char *const schema_raft;\n"
        . "enum { SCHEMA_CATALOG_COUNT = " . @schema . " };\n"
        . "extern const char *const schema_catalog[SCHEMA_CATALOG_COUNT];\n";
    for my $s (@statements) {
        $text .= "\n";
        $text .= "struct query_$s->{name} {\n"
            . join('', map { "    $ctype{$_->{type}}$_->{name};\n" } @{$s->{cols}}) . "};\n"
            if $s->{cols};
        $text .= "ox_code " . declare($s) . ";\n";
    }
    return "$text\n#endif\n";
}

sub emit_function {
    my $s = shift;
    my $id = "QUERY_\U$s->{name}";
    my $text = "\nox_code\n" . declare($s) . "\n{\n"
        . "    struct sqlite3_stmt *stmt;\n"
        . "    ox_code code = queries_start(queries, $id, &stmt, err);\n"
        . "    if (code != OX_OK)\n        return code;\n";
    my $at = 0;
    for my $arg (@{$s->{args}}) {
        $at++;
        $text .= "    queries_bind_$arg->{type}(stmt, $at, $arg->{name});\n";
    }
    if (!$s->{cols}) {
        return $text . "    return queries_run(queries, $id, stmt, err);\n}\n";
    }
    $text .= "    bool more;\n"
        . "    while ((code = queries_next(queries, $id, stmt, &more, err)) == OX_OK && more) {\n"
        . "        struct query_$s->{name} values = {\n";
    $at = 0;
    for my $col (@{$s->{cols}}) {
        $text .= "            .$col->{name} = queries_column_$col->{type}(stmt, $at),\n";
        $at++;
    }
    return $text . "        };\n        code = row(arg, &values);\n"
        . "        if (code != OX_OK)\n            break;\n    }\n"
        . "    queries_finish(stmt);\n    return code;\n}\n";
}

my $text = "/* Generated from catalog/. Do not edit. */\n";
if ($output =~ /\.h$/) {
    $text .= emit_header();
} else {
    $text .= "#include \"meta/queries.gen.h\"\n\n"
        . "const char *const query_texts[QUERY_COUNT] = {\n"
        . join('', map { "    [QUERY_\U$_->{name}\E] =\n" . c_text($_->{sql}) . ",\n" } @statements)
        . "};\n\nconst char *const query_names[QUERY_COUNT] = {\n"
        . join('', map { "    [QUERY_\U$_->{name}\E] = \"$_->{name}\",\n" } @statements) . "};\n\n"
        . "const char *const schema_raft =\n" . c_text(slurp($raft)) . ";\n\n"
        . "const char *const schema_catalog[SCHEMA_CATALOG_COUNT] = {\n"
        . join('', map { c_text(slurp($_)) . ",\n" } @schema) . "};\n"
        . join('', map { emit_function($_) } @statements);
}
open my $out, '>', "$output.tmp" or die "$output.tmp: $!\n";
print $out $text;
close $out or die "$output.tmp: $!\n";
rename "$output.tmp", $output or die "$output: $!\n";
