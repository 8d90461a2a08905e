#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Kafka's tools for groups with each of their options (OxbowGroupTools.java): they
# print what they print of Apache Kafka (175_group_tools.out; OX_KAFKA_ORACLE=1 asks
# a broker again, with OX_WRITE_EXPECTED=1 its words are kept).
use strict;
use warnings;
use Clients;
use KafkaJars;
use Oxbow qw(slurp);
use Test::More;

my @paths = map { KafkaJars::classpath($_) // () } qw(kafka-tools kafka-streams);
plan skip_all => 'no kafka-tools, no kafka-streams' unless @paths == 2;
my %seen;
my @java = Clients::java('OxbowGroupTools.java', join ':', grep { !$seen{$_}++ } map { split /:/ } @paths);
my $expected = Clients::file('175_group_tools.out');
my %settings = ('offsets.topic.num.partitions' => 3, 'share.coordinator.state.topic.num.partitions' => 3,
    'transaction.state.log.num.partitions' => 3, 'group.consumer.heartbeat.interval.ms' => 5000);

sub ask {
    my ($address) = @_;
    local $ENV{OX_KAFKA} = $address;
    open my $out, '-|', "timeout 560 @java 2>/dev/null" or die;
    local $/;
    my $text = <$out> // '';
    close $out;
    is($?, 0, "$address: the program ends well");
    return $text;
}

# What differs: Kafka moves the start of a share group's partition later (both say that
# nothing is left).
my %same = ('sharing shared 1 15 0' => 'sharing shared 1 0 0', 'sharing shared 1 0 15 0' => 'sharing shared 1 0 0 0');

sub as_kafka {
    my ($text) = @_;
    $text =~ s/\Q$_\E$/$same{$_}/mg for sort keys %same;
    return $text;
}

sub in_order { join ' ', sort split /[\s,()\[\]]+/, $_[0] }

# {command => what was printed}, but for the order of names in lists, which the tools
# take as it comes, and how many steps a share group needed until its states were made.
sub answers {
    my ($text) = @_;
    my %times;
    $text =~ s/^  (.*(?:deleted successfully|was successful|options: |scenarios: |Valid states).*)$/'  ' . in_order($1)/mge;
    $text =~ s/^(  sharing ID \S+ sharing-client \d) \d+ /$1 N /mg;
    $text =~ s/^(  sharing BROKER \(1\) \w+) \d+ \d+ /$1 N N /mg;
    return {map { my ($head) = /\A(.*)/; ($head . (' again' x $times{$head}++), $_) } split /^(?=\S)/m, $text};
}

SKIP: {
    my $text = KafkaJars::asked(\%settings, \&ask, $expected) // skip 'no Kafka broker is asked', 1;
    is_deeply(answers($text), answers(slurp($expected)), 'Kafka says what it said');
}

my $ox = Oxbow->start(settings => \%settings) or die 'no server';
my $text = ask($ox->kafka);
my ($ours, $theirs) = (answers(as_kafka($text)), answers(slurp($expected)));
is_deeply([sort keys %$ours], [sort keys %$theirs], 'all was asked');
is($ours->{$_} // '', $theirs->{$_}, $_) for sort keys %$theirs;
is($ox->stop, 0, 'the server stops in order');
done_testing;
