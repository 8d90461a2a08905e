#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A word count with Kafka Streams, exactly once, under the classic protocol of
# groups and under that of streams groups, with a restart and a kill -9 of the
# server on the way; then Kafka's tool for streams groups.
use strict;
use warnings;
use Clients;
use File::Temp qw(tempdir);
use KafkaJars;
use Oxbow;
use Test::More;

my $jars = KafkaJars::classpath('kafka-streams') or plan skip_all => 'no kafka-streams';
my @java = Clients::java('OxbowStreams.java', $jars);

sub count_words {
    my ($protocol, $signal) = @_;
    my $ox = Oxbow->start(settings => {'group.streams.heartbeat.interval.ms' => 500,
            'offsets.topic.num.partitions' => 3, 'transaction.state.log.num.partitions' => 3})
        or die 'no server';
    $ox->{settings}{"${_}_port"} = $ox->{"${_}_port"} for qw(kafka sql http);
    $ox->sql("CREATE TOPIC $_ PARTITIONS 2") for 'lines', '"counts-out"';
    local @ENV{qw(OX_KAFKA OX_PROTOCOL OX_STATE)} =
        ($ox->kafka, $protocol, tempdir('streams-XXXXXX', DIR => Oxbow::tmp(), CLEANUP => 1));
    open my $out, '-|', "timeout 600 @java 2>$ENV{OX_STATE}/diag" or die;
    my $words = '';
    while (my $line = <$out>) {
        if ($line =~ /^half/) {
            is($ox->sql(q{SELECT sum(partitions) > 0 AND min(assigned::text) ~ '_[01]' FROM}
                    . q{ oxbow.group_members}), 't', 'SQL knows who has which tasks')
                or diag $ox->sql('SELECT * FROM oxbow.group_members') if $protocol eq 'streams';
            my $ids = 'SELECT member_id FROM oxbow.group_members WHERE "group" LIKE \'count-%\' ORDER BY 1';
            my $who = $ox->sql($ids);
            ok($ox->restart($signal), "$protocol, $signal at half: it starts again");
            is($ox->sql($ids), $who, "$protocol, $signal: the members of the group are those that were there");
            sleep 2;
            ok($ox->restart($signal), "$protocol, $signal: and a second time");
        }
        $words .= $line;
    }
    close $out;
    my %saw = $words =~ /^(\w+)=(.*)$/mg;
    is($saw{"part$_"}, 'true', "$protocol: part $_ is counted whole") or diag $words for 1 .. 4;
    is($saw{torn}, 0, "$protocol: every count once, in order");
    is($saw{both}, 'true', "$protocol: two instances run");
    is($saw{places}, '[7001, 7002]', "$protocol: queries are told of both ...");
    is($saw{alone}, '[7002]', "$protocol: ... and of the one that is left");
    is($saw{type}, $protocol eq 'classic' ? 'Classic/Stable' : 'Streams/Stable',
        "$protocol: the group is of its kind");
    is($ox->sql(q{SELECT count(*) FROM oxbow.topics WHERE name LIKE 'count-%'}), 2,
        "$protocol: its repartition topic and its changelog are there");
    if ($protocol eq 'streams') {
        is($saw{topology}, 2, 'streams: the group is described');
        my (undef, $text) = $ox->command('', KafkaJars::java('kafka-tools',
            'org.apache.kafka.tools.streams.StreamsGroupCommand', '--bootstrap-server',
            $ox->kafka, qw(--describe --state --group count-streams)));
        like($text, qr/^count-streams\s.*\sEmpty\s/m, 'streams: the tool sees it');
    }
    is($ox->stop, 0, "$protocol: the server stops in order");
}

count_words('streams', 'TERM');
count_words('streams', 'KILL');
count_words('classic', 'TERM');
count_words('classic', 'KILL');
done_testing;
