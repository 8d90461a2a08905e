# SPDX-License-Identifier: Apache-2.0
# params.tbl: name, scope, type, default, range, change, kafka, doc.
# settings.gen.md is the manual's list. params.gen.h declares per scope an enum of indices, the constants of choices
# and the config struct; params.gen.c the table that param.c reads.
package tbl_params;
use strict;
use warnings;

sub columns { 8 }

my @scopes = qw(server topic group client_metrics feature session);
my %ctype = (
    bool => 'bool', int => 'int32_t', long => 'int64_t', double => 'double',
    string => 'const char *', list => 'const char *', password => 'const char *',
    enum => 'int', set => 'uint32_t',
);
my %unit = ('' => 'PLAIN', bytes => 'BYTES', ms => 'MS', s => 'SECONDS');

sub c_string { my $s = shift; $s =~ s/(["\\])/\\$1/g; return "\"$s\"" }

# The column "kafka": its own name, aliases, and the chain of server settings.
sub parse_kafka {
    my ($text, $where) = @_;
    my ($names, $chain) = split /</, $text, 2;
    my ($own, @aliases) = split /=/, $names;
    my @chain;
    for my $link (split /,/, $chain // '') {
        $link =~ /^([a-z0-9._]+)(?:\*(\d+))?$/ or die "$where: \"$link\" is not a server setting\n";
        push @chain, [$1, $2 // 1];
    }
    return ($own eq '-' ? undef : $own, \@aliases, \@chain);
}

sub parse_row {
    my ($cells, $table) = @_;
    my ($name, $scope, $type, $default, $range, $change, $kafka, $doc, $line) = @$cells;
    my $where = "$table:$line";
    die "$where: \"$name\" is not a name\n" unless $name =~ /^[a-z][a-z0-9_]*$/;
    die "$where: scope is one of @scopes\n" unless grep { $_ eq $scope } @scopes;
    my ($base, $unit) = split /:/, $type;
    die "$where: \"$type\" is not a type\n" unless $ctype{$base} && $unit{$unit // ''};
    die "$where: change is live, sql or restart\n" unless $change =~ /^(live|sql|restart)$/;
    die "$where: doc is a sentence\n" unless $doc =~ /\.$/;
    my ($own, $aliases, $chain) = parse_kafka($kafka, $where);
    my %row = (
        name => $name, scope => $scope, base => $base, unit => $unit{$unit // ''}, range => $range,
        default => $default eq '-' ? undef : $default, change => uc $change, kafka => $own,
        aliases => $aliases, chain => $chain, doc => $doc, where => $where, choices => [],
    );
    if ($base eq 'enum' || $base eq 'set' || ($base eq 'bool' && $range ne '-')) {
        die "$where: a type of choices needs them\n" if $range eq '-';
        $row{choices} = [split /\|/, $range];
    } elsif ($range ne '-') {
        $range =~ /^(?:(-?\d+)\|)?(-?[\d.]*?)\.\.(-?[\d.]*)$/ or die "$where: bad range\n";
        @row{qw(also low high)} = ($1, $2 eq '' ? undef : $2, $3 eq '' ? undef : $3);
    }
    return \%row;
}

sub choice_name {
    my $choice = shift;
    $choice =~ s/(?<=[a-z])(?=[A-Z])/_/g;
    $choice =~ tr/-/_/;
    return uc $choice;
}

sub emit_header {
    my $by_scope = shift;
    my $text = "#ifndef BASE_PARAMS_GEN_H\n#define BASE_PARAMS_GEN_H\n\n"
        . "#include <stdbool.h>\n#include <stdint.h>\n\nenum param_scope {\n"
        . join('', map { "    PARAM_SCOPE_\U$_,\n" } @scopes) . "    PARAM_SCOPE_COUNT\n};\n";
    for my $scope (@scopes) {
        my $rows = $by_scope->{$scope};
        $text .= "\nenum param_$scope {\n"
            . join('', map { "    PARAM_\U${scope}_$_->{name},\n" } @$rows)
            . "    PARAM_\U${scope}\E_COUNT\n};\n";
        for my $row (grep { @{$_->{choices}} && $_->{base} ne 'bool' } @$rows) {
            my $i = 0;
            $text .= "\nenum ${scope}_$row->{name} {\n" . join('', map {
                my $value = $row->{base} eq 'set' ? 1 << $i++ : $i++;
                "    \U${scope}_$row->{name}\E_" . choice_name($_) . " = $value,\n"
            } @{$row->{choices}}) . "};\n";
        }
        $text .= "\nstruct ${scope}_config {\n" . join('', map {
            my $type = $ctype{$_->{base}};
            "    $type" . ($type =~ /\*$/ ? '' : ' ') . "$_->{name}; /* $_->{doc} */\n"
        } @$rows) . "};\n";
    }
    return "$text\n#endif\n";
}

sub emit_row {
    my ($row, $index, $server) = @_;
    my $scope = $row->{scope};
    my $id = "${scope}_$row->{name}";
    my $pre = '';
    if (@{$row->{choices}}) {
        $pre .= "static const char *const choices_$id\[] = {"
            . join(', ', map { c_string($_) } @{$row->{choices}}) . ", NULL};\n";
    }
    if (@{$row->{aliases}}) {
        $pre .= "static const char *const aliases_$id\[] = {"
            . join(', ', map { c_string($_) } @{$row->{aliases}}) . ", NULL};\n";
    }
    if (@{$row->{chain}}) {
        my @links = map {
            (my $target = $_->[0]) =~ tr/./_/;
            die "$row->{where}: there is no server setting \"$_->[0]\"\n" unless $server->{$target};
            "{PARAM_SERVER_\U$target\E, $_->[1]}"
        } @{$row->{chain}};
        $pre .= "static const struct param_synonym synonyms_$id\[] = {" . join(', ', @links) . "};\n";
    }
    my %f = (
        name => c_string($row->{name}),
        scope => "PARAM_SCOPE_\U$scope",
        index => $index,
        type => "PARAM_\U$row->{base}",
        unit => "PARAM_$row->{unit}",
        change => "PARAM_$row->{change}",
        field => "offsetof(struct ${scope}_config, $row->{name})",
        range => c_string($row->{range}),
        doc => c_string($row->{doc}),
    );
    $f{kafka_name} = c_string($row->{kafka}) if defined $row->{kafka};
    $f{aliases} = "aliases_$id" if @{$row->{aliases}};
    $f{fallback} = c_string($row->{default}) if defined $row->{default};
    $f{choices} = "choices_$id" if @{$row->{choices}};
    if (defined $row->{low}) { $f{has_min} = 'true'; $f{min} = $row->{low} }
    if (defined $row->{high}) { $f{has_max} = 'true'; $f{max} = $row->{high} }
    if (defined $row->{also}) { $f{has_also} = 'true'; $f{also} = $row->{also} }
    if (@{$row->{chain}}) {
        $f{synonyms} = "synonyms_$id";
        $f{synonym_count} = scalar @{$row->{chain}};
    }
    return ($pre, "    {" . join(', ', map { ".$_ = $f{$_}" } sort keys %f) . "},\n");
}

my %titles = (
    server => 'Server', topic => 'Topic', group => 'Group',
    client_metrics => 'Client metrics subscription', feature => 'Feature', session => 'Session',
);

sub md_cell { my $s = shift; $s =~ s/([|<>])/\\$1/g; return $s }

# One table a scope, by name.
sub emit_manual {
    my $by_scope = shift;
    my $text = "# Settings\n\nEither name is accepted wherever a setting is named. Values may be"
        . " written with units\n(`7 days`, `1GiB`, `on`) in SQL and in the configuration file, and are"
        . " plain numbers to Kafka\nclients. *live* settings can be changed while the server runs"
        . " (`ALTER SYSTEM SET`, `ALTER TOPIC`,\nKafka's tools), *sql* settings too, but Kafka's clients"
        . " see them read-only as with Kafka, *restart* settings\nin the configuration file.\n";
    for my $scope (@scopes) {
        $text .= "\n## $titles{$scope}\n\n| name | Kafka's name | default | allowed | change | |\n"
            . "| --- | --- | --- | --- | --- | --- |\n";
        for my $row (sort { $a->{name} cmp $b->{name} } @{$by_scope->{$scope}}) {
            my $default = $row->{default} // 'unset';
            $default = "''" if $default eq '';
            my $range = $row->{range} eq '-' ? $row->{base} : $row->{range};
            my $kafka = join ', ', grep { defined } $row->{kafka}, @{$row->{aliases}};
            $text .= '| ' . join(' | ', map { md_cell($_) } $row->{name}, $kafka, $default, $range,
                lc $row->{change}, $row->{doc}) . " |\n";
        }
    }
    return $text;
}

sub emit {
    my ($class, $cells, $table, $output) = @_;
    my %by_scope = map { $_ => [] } @scopes;
    my (%seen, %server);
    for my $cell (@$cells) {
        my $row = parse_row($cell, $table);
        die "$row->{where}: \"$row->{name}\" is declared twice\n"
            if $seen{"$row->{scope} $row->{name}"}++;
        push @{$by_scope{$row->{scope}}}, $row;
        $server{$row->{name}} = 1 if $row->{scope} eq 'server';
    }
    return emit_header(\%by_scope) if $output =~ /\.h$/;
    return emit_manual(\%by_scope) if $output =~ /\.md$/;
    my $text = "#include \"base/param.h\"\n\n#include <stddef.h>\n\n";
    my $tables = '';
    for my $scope (@scopes) {
        my ($array, $index) = ('', 0);
        for my $row (@{$by_scope{$scope}}) {
            my ($pre, $line) = emit_row($row, $index++, \%server);
            $text .= $pre;
            $array .= $line;
        }
        $text .= "\nstatic const struct param rows_$scope\[] = {\n$array};\n\n";
        $tables .= "    {rows_$scope, PARAM_\U$scope\E_COUNT, sizeof(struct ${scope}_config)},\n";
    }
    return "$text" . "const struct param_table param_tables[PARAM_SCOPE_COUNT] = {\n$tables};\n";
}

1;
