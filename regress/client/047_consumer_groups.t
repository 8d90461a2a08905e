#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Java's consumers in groups of both protocols (OxbowGroups.java): patterns,
# assignors, instance ids; groups of each kind, and of both, across an orderly and
# a sudden end of the server; a group that goes over to the other protocol and
# back member by member.
use strict;
use warnings;
use Clients;
use IPC::Open2;
use KafkaJars;
use Oxbow;
use Test::More;

my $jars = KafkaJars::classpath('kafka-clients') or plan skip_all => 'no kafka-clients';
my @java = Clients::java('OxbowGroups.java', $jars);

# Runs parts of the program over a new server; returns what it saw.
sub run_parts {
    my ($signal, @parts) = @_;
    my $ox = Oxbow->start(settings => {'group.consumer.heartbeat.interval.ms' => 500,
            'offsets.topic.num.partitions' => 3}) or die 'no server';
    $ox->{settings}{"${_}_port"} = $ox->{"${_}_port"} for qw(kafka sql http);
    my %topics = ('"pat-a"' => 2, wide => 3, wide2 => 3, six => 6, moving => 6);
    $ox->sql("CREATE TOPIC $_ PARTITIONS $topics{$_}") for sort keys %topics;
    local $ENV{OX_KAFKA} = $ox->kafka;
    my $program = open2(my $out, my $in, 'timeout', 600, @java, @parts);
    my $words = '';
    while (my $line = <$out>) {
        if ($line =~ /^half=(.*)/) {
            ok($ox->restart_twice($signal), "$1, $signal, twice: it starts again");
            syswrite $in, "go on\n";
        }
        $words .= $line;
    }
    waitpid $program, 0;
    is($?, 0, "@parts: the program ends well") or diag $words;
    is($ox->stop, 0, "@parts: the server stops in order");
    return $words =~ /^(\w+)=(.*)$/mg;
}

my %saw = run_parts('', qw(patterns assignors statics));
is($saw{pattern}, 'true', 'a pattern: what matches is read');
is($saw{pattern_later}, 'true', 'and what comes later');
is($saw{pattern_bad}, 'InvalidRegularExpression', 'a pattern that is none is refused');
is($saw{range}, 'true', 'range: each topic by itself');
is($saw{range_named}, 'range', 'range: it is said so');
is($saw{uniform}, 'true', 'uniform: all partitions evenly');
is($saw{uniform_named}, 'uniform', 'uniform: it is said so');
is($saw{assignor_bad}, 'UnsupportedAssignorException', 'an unknown assignor is refused');
is($saw{static}, 'true', 'members with instance ids share');
is($saw{static_kept}, 'Consumer/Reconciling/3', 'one that goes keeps its place')
    unless $saw{static_kept} eq 'Consumer/Stable/3';
is($saw{static_back}, 'true', 'it comes back to what it had');
is($saw{static_quiet}, 0, 'the others saw nothing');
is($saw{static_twin}, 'UnreleasedInstanceIdException', 'a twin is refused');

for my $signal (qw(TERM KILL)) {
    for my $kind (qw(classic consumer mixed static_classic static_consumer)) {
        my %saw = run_parts($signal, $kind);
        is($saw{$kind . '_1'}, 'true', "$kind, $signal: four members share and read all");
        is($saw{$kind . '_2'}, 'true', "$kind, $signal: and again afterwards");
        is($saw{$kind . '_members'}, ($kind =~ /classic/ ? 'Classic' : 'Consumer') . '/Stable/4',
            "$kind, $signal: the same group, the same members");
        is($saw{$kind . '_committed'}, 'true', "$kind, $signal: no offset goes back");
        is($saw{$kind . '_again'}, 0, "$kind, $signal: nothing is read twice")
            if $signal eq 'TERM';
        is($saw{$kind . '_kept'}, 'true', "$kind, $signal: each with the partitions that it had")
            if $kind =~ /static/;
        is($saw{$kind . '_end'}, 'true', "$kind, $signal: all is committed in the end");
    }
}

%saw = run_parts('', 'moves');
is($saw{moves_start}, 'true/Classic/Stable/3', 'a classic group of three');
is($saw{"moves_consumer$_"}, 'true', "member $_ goes over: all is read") for 0 .. 2;
is($saw{moves_consumer}, 'Consumer/Stable/3', 'the group is of the new protocol');
is($saw{"moves_classic$_"}, 'true', "member $_ goes back: all is read") for 0 .. 2;
is($saw{moves_classic}, 'Classic/Stable/3', 'the group is classic again');
is($saw{moves_again}, 0, 'nothing was read twice');
is($saw{moves_end}, 'true', 'all is committed');
done_testing;
