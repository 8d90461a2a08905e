#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The newest Java client, through Kafka's own command-line tools.
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;

plan skip_all => 'no kafka-tools' unless KafkaJars::classpath('kafka-tools');
my $ox = Oxbow->start or die 'no server';
my $tools = 'org.apache.kafka.tools';

sub run {
    my ($input, $class, @words) = @_;
    my ($status, $out) = $ox->command($input,
        KafkaJars::java('kafka-tools', "$tools.$class", '--bootstrap-server', $ox->kafka, @words));
    $out =~ s/^.*SLF4J.*\n//mg;
    $out =~ s/^\s*\n//mg;
    return $out;
}

my $out = run('', 'TopicCommand', qw(--create --topic jt --partitions 3 --config retention.ms=100000));
like($out, qr/Created topic jt/, 'create a topic');
like(run('', 'TopicCommand', qw(--create --topic jt)), qr/already exists/, 'only once');
$out = run('', 'TopicCommand', qw(--describe --topic jt));
like($out, qr/PartitionCount: 3\s+ReplicationFactor: 1\s+Configs: min.insync.replicas=1,retention.ms=100000/, 'describe it');
like($out, qr/Partition: 2\s+Leader: 1\s+Replicas: 1\s+Isr: 1/, 'its partitions');

my $lines = join '', map { "line $_\n" } 1 .. 1000;
run($lines, 'ConsoleProducer', qw(--topic jt));
$out = run('', 'consumer.ConsoleConsumer', qw(--topic jt --from-beginning --max-messages 1000
    --group jg --timeout-ms 20000));
is(join('', sort grep { /^line/ } split /^/m, $out), join('', sort split /^/m, $lines),
    'what the console produced, the console consumed');

my @group = qw(consumer.group.ConsumerGroupCommand --group jg);
$out = run('', @group, '--describe');
is(scalar(() = $out =~ /^jg\s+jt\s+\d\s+\d+\s+\d+\s+0\s/mg), 3, 'the group has no lag');
like(run('', @group, qw(--describe --state)), qr/Empty\s+0/, 'and no members');
like(run('', @group, qw(--reset-offsets --to-earliest --topic jt --execute)),
    qr/jg\s+jt\s+0\s+0/, 'reset its offsets');
like(run('', @group, qw(--delete-offsets --topic jt)), qr/jt\s+0\s+Successful/, 'delete them');
like(run('', @group, '--delete'), qr/successful/, 'delete the group');
like(run('', @group, '--describe'), qr/does not exist|not found/i, 'it is gone');

$out = run('', 'consumer.ConsoleConsumer', qw(--topic jt --from-beginning --max-messages 1000
    --group j848 --timeout-ms 20000 --command-property group.protocol=consumer));
is(scalar(() = $out =~ /^line /mg), 1000, 'a group of the consumer protocol');
like(run('', 'GroupsCommand', '--list'), qr/j848\s+Consumer\s+consumer/, 'listed as such');

$out = run('', 'GetOffsetShell', qw(--topic jt --time -1));
my $sum = 0;
$sum += $_ for $out =~ /^jt:\d:(\d+)$/mg;
is($sum, 1000, 'latest offsets');
like(run('', 'ClusterTool', 'cluster-id'), qr/unrecognized|Cluster ID/, 'cluster id');
like(run('', 'LogDirsCommand', qw(--describe --topic-list jt)), qr/"partition":"jt-2","size":\d+/,
    'log directories');
$out = run('', 'ProducerPerformance', qw(--topic jt --num-records 20000 --record-size 100
    --throughput -1 --command-property compression.type=zstd));
like($out, qr/^20000 records sent/m, 'an idempotent producer with zstd');
like(run('', 'BrokerApiVersionsCommand'), qr/Produce\(0\): 0 to 13 \[usable: 13\]/, 'api versions');
run('', 'TopicCommand', qw(--alter --topic jt --partitions 5));
like(run('', 'TopicCommand', qw(--describe --topic jt)), qr/PartitionCount: 5/, 'more partitions');

$ox->stop;
my ($log) = glob "$ox->{dir}/jt-0/*.log $ox->{dir}/*/jt-0/*.log";
my ($status, $dump) = $ox->command('', KafkaJars::java('kafka-tools', "$tools.DumpLogSegments",
    '--deep-iteration', '--files', $log));
like($dump, qr/isvalid: true|crc: \d+/, 'Kafka reads our segments');
unlike($dump, qr/isvalid: false|exception/i, 'and finds nothing wrong');
done_testing;
