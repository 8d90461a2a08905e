#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Each setting that Apache Kafka's DescribeConfigs lists (expected/config_names.out)
# is listed by Oxbow, or doc/kafka/configs.md says why not; and it says so of no
# other. With OX_KAFKA_ORACLE=1 and OX_WRITE_EXPECTED=1 Kafka is asked again.
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;
use Wire;

my $list = "$Oxbow::TOP/regress/wire/expected/config_names.out";

# {broker => {name => its place}, topic =>, group =>}
sub names {
    my ($port) = @_;
    my %names;
    my %types = (broker => [4, 1], topic => [2, 'cn'], group => [32, 'cn']);
    my $script = 'quiet CreateTopics 4 {topics: [{name: "cn", num_partitions: 1, '
        . "replication_factor: 1}], timeout_ms: 10000}\nwait 1000\n"
        . join '', map { qq(DescribeConfigs 1 {resources: [{resource_type: $types{$_}[0], )
            . qq(resource_name: "$types{$_}[1]", configuration_keys: null}]}\n) } sort keys %types;
    open my $in, '>', Oxbow::tmp() . '/config_names.wire' or die;
    print $in $script;
    close $in;
    my $wire = "$Oxbow::BUILD/regress/wire/wire 127.0.0.1 $port";
    my @answers = grep { /^DescribeConfigs/ } `$wire <$Oxbow::BUILD/tmp/config_names.wire`;
    for my $type (sort keys %types) {
        my $answer = shift(@answers) // '';
        $names{$type}{$1} = 1 while $answer =~ /\{name: "([^"]+)", value: /g;
    }
    return \%names;
}

if ($ENV{OX_KAFKA_ORACLE} && $ENV{OX_WRITE_EXPECTED} && (my $kafka = KafkaJars::start_broker())) {
    my $names = names($kafka->{port});
    KafkaJars::stop_broker($kafka);
    open my $out, '>', $list or die;
    for my $type (sort keys %$names) {
        print $out "$type $_\n" for sort keys %{$names->{$type}};
    }
}

# Names, with * for anything, of the table in the document.
my ($table) = Wire::slurp("$Oxbow::TOP/doc/kafka/configs.md") =~ /does not\n.*?\n\| ---[^\n]*\n(.*?)\n\n/s;
my %excused = map { $_ => 0 } map { /`([^`]+)`/g } map { (split /\|/)[1] } split /\n/, $table;

my $ox = Oxbow->start or BAIL_OUT('no server');
my $ours = names($ox->{kafka_port});
my (@missing, %count);
for my $line (split /\n/, Wire::slurp($list)) {
    my ($type, $name) = split / /, $line;
    $count{$type}++;
    next if $ours->{$type}{$name};
    my @why = grep { my $pattern = join '.*', map { quotemeta } split /\*/, $_, -1;
        $name =~ /^$pattern$/ } keys %excused;
    $excused{$_}++ for @why;
    push @missing, $line unless @why;
}
cmp_ok($count{$_} // 0, '>', 10, "Kafka's settings of a $_") for qw(broker topic group);
is("@missing", '', 'each is listed, or the document says why it is not');
is(join(' ', grep { !$excused{$_} } sort keys %excused), '', 'which speaks of no others');
$ox->stop;
done_testing;
