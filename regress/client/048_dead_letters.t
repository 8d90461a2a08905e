#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Dead-letter queues of share groups, with Java's share consumer
# (OxbowDeadLetters.java): what stands in them is what Apache Kafka wrote there
# (048_dead_letters.out; OX_KAFKA_ORACLE=1 asks a broker again, with
# OX_WRITE_EXPECTED=1 its words are kept); then sudden ends of the server while
# records are given up: none is lost.
use strict;
use warnings;
use Clients;
use KafkaJars;
use Oxbow qw(slurp);
use Test::More;

my $jars = KafkaJars::classpath('kafka-clients') or plan skip_all => 'no kafka-clients';
my @java = Clients::java('OxbowDeadLetters.java', $jars);
my $expected = Clients::file('048_dead_letters.out');
my %settings = ('group.share.min.record.lock.duration.ms' => 1000,
    'share.coordinator.state.topic.num.partitions' => 3, 'offsets.topic.num.partitions' => 3);

# What the program saw of the rules, through a broker.
sub rules {
    my ($address) = @_;
    local $ENV{OX_KAFKA} = $address;
    open my $out, '-|', 'timeout', 500, @java, 'rules' or die;
    local $/;
    my $text = <$out> // '';
    close $out;
    is($?, 0, "$address: the program ends well");
    return $text;
}

# What was said, by line. Whether an acknowledgement is late depends on time: the
# member may have been given the records again while it slept.
sub by_line {
    my ($said) = @_;
    $said =~ s/^(g\.late got \{[^}]*\}).*/$1/mg;
    return [split /\n/, $said];
}

SKIP: {
    my $text = KafkaJars::asked(\%settings, \&rules, $expected) // skip 'no Kafka broker is asked', 1;
    is_deeply(by_line($text), by_line(slurp($expected)), 'Kafka says what it said');
}

# What /metrics has of a name: {labels => value}.
sub metrics {
    my ($ox, $name) = @_;
    my (undef, $text) = $ox->command('', 'curl', '-s', "http://127.0.0.1:$ox->{http_port}/metrics");
    return {$text =~ /^$name\{(\S+)\} (\S+)$/mg};
}

my $ox = Oxbow->start(settings => \%settings) or die 'no server';
my $text = rules($ox->kafka);
is_deeply(by_line($text), by_line(slurp($expected)), 'the queues are as Kafka writes them')
    or diag $text;
my %queued = $text =~ /^queue dlq\.(\w+): ([1-9]\d*)$/mg;
is_deeply(metrics($ox, 'oxbow_dead_letters_total'),
    {'group="g.unfit"' => 0, map { (qq(group="g.$_") => $queued{$_}) } keys %queued},
    'metrics count them');
is_deeply(metrics($ox, 'oxbow_dead_letter_failures_total'),
    {'group="g.unfit"' => 2, map { (qq(group="g.$_") => 0) } keys %queued}, 'and what could not be written');
my $acknowledged = metrics($ox, 'oxbow_share_acknowledgements_total');
cmp_ok($acknowledged->{qq(type="$_")}, '>', 5, "and acknowledgements: $_") for qw(accept release reject);
is($ox->stop, 0, 'the server stops in order');

for my $signal (qw(TERM KILL)) {
    my $number = 1500;
    $ox = Oxbow->start(settings => \%settings) or die 'no server';
    $ox->{settings}{"${_}_port"} = $ox->{"${_}_port"} for qw(kafka sql http);
    local $ENV{OX_KAFKA} = $ox->kafka;
    open my $out, '-|', 'timeout', 500, @java, 'long', $number or die;
    my $words = '';
    while (my $line = <$out>) {
        ok($ox->restart($signal), "$signal, $1: it starts again") if $line =~ /^part (\d)/;
        $words .= $line;
    }
    close $out;
    my %saw = $words =~ /(\w+)=(\d+)/g;
    is($saw{start}, $number, "$signal: the group is done with everything") or diag $words;
    is($saw{given}, 357, "$signal: of what was given up ...");
    is($saw{lost}, 0, "$signal: ... nothing is lost");
    is($saw{wrongly}, 0, "$signal: and nothing else is in the queue");
    is($saw{strange}, 0, "$signal: each with the key and the value of its record");
    is($saw{twice}, 0, "$signal: none is there twice") if $signal eq 'TERM';
    note "twice: $saw{twice}";
    is($ox->stop, 0, "$signal: the server stops in order");
}
done_testing;
