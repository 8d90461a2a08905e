#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Java's share consumer, two members, with a restart and a kill -9 of the server
# on the way; then Kafka's tool for share groups.
use strict;
use warnings;
use Clients;
use KafkaJars;
use Oxbow;
use Test::More;
use Time::HiRes qw(sleep);

my $jars = KafkaJars::classpath('kafka-clients') or plan skip_all => 'no kafka-clients';
my @java = Clients::java('OxbowShare.java', $jars);

# Runs the members over a new topic; ends the server by the signal at half.
sub share {
    my ($topic, $signal) = @_;
    my $ox = Oxbow->start(settings => {'group.share.record.lock.duration.ms' => 3000,
            'share.coordinator.state.topic.num.partitions' => 3}) or die 'no server';
    $ox->{settings}{"${_}_port"} = $ox->{"${_}_port"} for qw(kafka sql http);
    $ox->sql("CREATE TOPIC $topic PARTITIONS 3");
    $ox->sql("INSERT INTO $topic (_key, _value) SELECT 'k' || i, i::text"
        . ' FROM generate_series(1, 1500) i');
    local @ENV{qw(OX_KAFKA OX_TOPIC)} = ($ox->kafka, $topic);
    open my $out, '-|', @java, 1500 or die;
    my $words = '';
    while (my $line = <$out>) {
        if ($line eq "half\n") {
            like($ox->sql(q{SELECT count(*), sum(partitions), count(DISTINCT assigned) > 0}
                    . q{ FROM oxbow.group_members}), qr/^2\|[1-6]\|t$/, 'SQL knows who has what')
                or diag $ox->sql('SELECT * FROM oxbow.group_members');
            my $who = $ox->sql('SELECT member_id FROM oxbow.group_members ORDER BY 1');
            ok($ox->restart($signal), "$signal at half: it starts again");
            is($ox->sql('SELECT member_id FROM oxbow.group_members ORDER BY 1'), $who,
                'the members of the group are those that were there');
            sleep 2;
            ok($ox->restart($signal), 'and a second time');
        }
        $words .= $line;
    }
    close $out;
    my %saw = $words =~ /(\w+)=(\d+)/g;
    is($saw{done}, 1500, 'every record was acknowledged, once or after it came again')
        or diag $words;
    is($saw{again}, 0, 'none that was confirmed came again');
    is($saw{released}, 214, 'those that were released ...');
    is($saw{second}, 214, '... came a second time and said so') if $signal eq 'TERM';
    is($saw{rejected}, 136, 'some were rejected');
    my (undef, $text) = $ox->command('', KafkaJars::java('kafka-tools',
        'org.apache.kafka.tools.consumer.group.ShareGroupCommand', '--bootstrap-server',
        $ox->kafka, qw(--describe --group shared)));
    is(scalar(() = $text =~ /^shared\s+$topic\s+\d\s+\d+\s+0\s*$/mg), 3, 'no lag') or diag $text;
    is($ox->sql('SELECT "group", topic, count(*), sum(committed), sum(log_end), sum(lag) FROM oxbow.lag'
            . ' GROUP BY 1, 2'), "shared|$topic|3|1500|1500|0", 'nor in SQL');
    $ox->sql("INSERT INTO $topic (_partition, _value) SELECT 0, 'x' FROM generate_series(1, 5)");
    is($ox->sql('SELECT sum(log_end), sum(lag) FROM oxbow.lag'), '1505|5', 'what comes later is lag');
    is($ox->sql('SELECT "group", type, protocol_type FROM oxbow.groups'), 'shared|share|share',
        'SQL knows what kind of group it is');
    is($ox->stop, 0, 'the server stops in order');
}

share('orderly', 'TERM');
share('killed', 'KILL');
done_testing;
