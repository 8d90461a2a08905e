#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Compares every field of grammar/kafka and grammar/disk with the specifications
# that ship inside Kafka's own jars: names, types, versions, nullable versions,
# defaults, tags, order. Skips where the jars cannot be had.
use strict;
use warnings;
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

my $top = $ENV{OX_TOP} // '.';
my $release = $ENV{OX_KAFKA_RELEASE} // '4.4.0';
my @jars = qw(kafka-clients kafka-metadata kafka-group-coordinator kafka-share-coordinator kafka-transaction-coordinator);

sub jar {
    my ($artifact) = @_;
    my $folder = "$ENV{HOME}/.m2/repository/org/apache/kafka/$artifact/$release";
    my $path = "$folder/$artifact-$release.jar";
    return $path if -e $path;
    my $get = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get';
    system("mvn -q -B $get -Dartifact=org.apache.kafka:$artifact:$release -Dtransitive=false "
            . '>/dev/null 2>&1');
    return -e $path ? $path : undef;
}

my %spec;
my $tmp = tempdir(CLEANUP => 1);
for my $artifact (@jars) {
    my $jar = jar($artifact) or plan skip_all => "no $artifact $release";
    system("cd $tmp && unzip -qo $jar 'common/*' || jar xf $jar common >/dev/null 2>&1");
}
for my $path (glob "$tmp/common/{message,metadata}/*.json") {
    open my $in, '<', $path or die "$path: $!";
    my $text = join '', map { s{^\s*//.*}{}; s{//[^"]*$}{\n}; $_ } <$in>;
    my $json = eval { JSON::PP->new->relaxed->decode($text) } or die "$path: $@";
    $spec{$json->{name}} = $json;
}
plan skip_all => 'no specifications in the jars' unless %spec;

sub snake {
    my $name = shift;
    $name =~ s/([A-Z]+)([A-Z][a-z])/$1_$2/g;
    $name =~ s/([a-z0-9])([A-Z])/$1_$2/g;
    return lc $name;
}

sub range {
    my ($text, $within) = @_;
    return undef if !defined $text || $text eq 'none';
    my ($from, $to) = $text =~ /^(\d+)\+$/ ? ($1, 1e6) : $text =~ /^(\d+)-(\d+)$/ ? ($1, $2)
        : ($text, $text);
    ($from, $to) = ($from < $within->[0] ? $within->[0] : $from, $to > $within->[1] ? $within->[1] : $to);
    return $from <= $to ? [$from, $to] : undef;
}

# The same line that msg.pl --dump prints.
sub dump_fields {
    my ($fields, $common, $valid, $path, $out) = @_;
    my @rows;
    for my $field (@$fields) {
        my $versions = range($field->{versions} // $field->{taggedVersions}, $valid) or next;
        push @rows, [$field, $versions];
    }
    my @ordered = ((grep { !defined $_->[0]{tag} } @rows),
        sort { $a->[0]{tag} <=> $b->[0]{tag} } grep { defined $_->[0]{tag} } @rows);
    for my $row (@ordered) {
        my ($field, $versions) = @$row;
        my ($type, $array) = $field->{type} =~ /^(\[\])?(.*)/ ? ($2, $1 // '') : ();
        my $inner = $type =~ /^[A-Z]/ ? $field->{fields} // $common->{$type} : undef;
        my $null = range($field->{nullableVersions}, $versions);
        my $default = exists $field->{default} ? $field->{default} // 'null' : '';
        $default = $default ? 'true' : '' if JSON::PP::is_bool($default);
        $default = '' if $default =~ /^(0|false)?$/;
        $default = hex($default) if $default =~ /^0x/;
        $default = '-' . hex(substr $default, 1) if $default =~ /^-0x/;
        my $here = $path . '.' . snake($field->{name});
        push @$out, join "\t", $here, ($inner ? 'struct' : $type) . ($array ? '[]' : ''),
            join('-', @$versions), $null ? join('-', @$null) : 'none', $default, $field->{tag} // -1,
            ($field->{flexibleVersions} // '') eq 'none' ? 'flat' : '';
        dump_fields($inner, $common, $versions, $here, $out) if $inner;
    }
}

my %ours;
my $name;
for my $line (`$^X $top/src/gen/msg.pl --dump $top/grammar/kafka/*.msg $top/grammar/disk/*.msg`) {
    chomp $line;
    my @cells = split /\t/, $line, -1;
    if (@cells == 4) {
        $name = $cells[0];
        $ours{$name} = {key => $cells[1], versions => $cells[2], flexible => $cells[3], fields => []};
    } else {
        push @{$ours{$name}{fields}}, $line;
    }
}

my ($fields, @wrong) = (0);
for my $message (sort keys %ours) {
    my $json = $spec{$message} or do { push @wrong, "$message is not Kafka's"; next };
    my $valid = range($json->{validVersions}, [0, 254]);
    my $flexible = $json->{flexibleVersions} eq 'none' ? 255 : $json->{flexibleVersions} =~ s/\+//r;
    push @wrong, "$message: versions $ours{$message}{versions}, Kafka " . join('-', @$valid)
        if $ours{$message}{versions} ne join '-', @$valid;
    push @wrong, "$message: flexible from $ours{$message}{flexible}, Kafka $flexible"
        if $ours{$message}{flexible} != $flexible;
    push @wrong, "$message: key $ours{$message}{key}, Kafka $json->{apiKey}"
        if length $ours{$message}{key} && $ours{$message}{key} != $json->{apiKey};
    my %common = map { $_->{name} => $_->{fields} } @{$json->{commonStructs} // []};
    my @theirs;
    dump_fields($json->{fields}, \%common, $valid, $message, \@theirs);
    my @mine = @{$ours{$message}{fields}};
    for my $i (0 .. (@theirs > @mine ? $#theirs : $#mine)) {
        $fields++;
        my ($mine, $theirs) = ($mine[$i] // 'nothing', $theirs[$i] // 'nothing');
        push @wrong, "$mine; Kafka: $theirs" if $mine ne $theirs;
    }
}
cmp_ok($fields, '>', 1000, 'fields were compared');
is_deeply(\@wrong, [], 'every field is as in Kafka ' . $release);
note(scalar(keys %ours), " messages, $fields fields");

# Every client-facing API that Kafka has, we have the words for.
my @missing = grep {
    my $json = $spec{$_};
    $_ =~ /Request$/ && $json->{validVersions} ne 'none' && !$ours{$_}
        && grep { $_ eq 'broker' } @{$json->{listeners} // []}
} sort keys %spec;
note("not in grammar/kafka (between brokers): @missing");
done_testing;
