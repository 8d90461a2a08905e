#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Of a transaction that committed offsets compaction leaves in the end the bare header of its
# marker, for as long as the partition knows the producer: the group coordinator passes over
# it when it loads its groups.
use strict;
use warnings;
use Oxbow;
use Test::More;
use Time::HiRes qw(sleep);

my $ox = Oxbow->start(settings => {log_cleaner_backoff_ms => 100, 'offsets.topic.num.partitions' => 1}) or die 'no server';
my @meet = ('hide host port', 'retry 15 FindCoordinator 4 {key_type: 0, coordinator_keys: ["g"]}',
    'retry 14,15,16 OffsetFetch 7 {group_id: "g", topics: null}');
my $rows = 'topics: [{name: "t", partitions: [{partition_index: 0, committed_offset: %d}]}]';

$ox->sql('CREATE TOPIC t');
my $text = $ox->wire(@meet, 'number producer_id', 'retry 15 FindCoordinator 4 {key_type: 1, coordinator_keys: ["x"]}',
    'retry 14,15,16 InitProducerId 4 {transactional_id: "x", transaction_timeout_ms: 60000}', 'let P = producer_id',
    'AddOffsetsToTxn 3 {transactional_id: "x", producer_id: $P, producer_epoch: 0, group_id: "g"}',
    'TxnOffsetCommit 3 {transactional_id: "x", producer_id: $P, producer_epoch: 0, group_id: "g", ' . sprintf($rows, 5) . '}',
    'EndTxn 3 {transactional_id: "x", producer_id: $P, producer_epoch: 0, committed: true}',
    'IncrementalAlterConfigs 1 {resources: [{resource_type: 2, resource_name: "__consumer_offsets", configs: ['
        . join(', ', map { "{name: \"$$_[0]\", config_operation: 0, value: \"$$_[1]\"}" } ['segment.ms', 50],
            ['delete.retention.ms', 0], ['min.cleanable.dirty.ratio', '0.01']) . ']}]}');
like($text, qr/^EndTxn 3: .*?error_code: 0/m, 'a transaction commits an offset');
note $text;

# What a restart finds in the log.
sub dump_log { return `$Oxbow::BUILD/ox dump $ox->{dir}/__consumer_offsets-0/*.log` }

my $dump = '';
for my $i (1 .. 200) {
    $ox->wire(@meet, 'OffsetCommit 7 {group_id: "g", generation_id_or_member_epoch: -1, ' . sprintf($rows, 10 + $i) . '}');
    sleep 0.1;
    $dump = dump_log();
    last if $dump =~ /count: 0 .*isControl: true/;
}
like($dump, qr/count: 0 .*isControl: true/, 'in the end its marker is an empty batch') or note $dump;
my ($before) = $ox->wire(@meet) =~ /committed_offset: (\d+)/;
cmp_ok($before // 0, '>', 10, 'a later offset is committed');
ok($ox->restart, 'the server starts again');
my ($after) = $ox->wire(@meet) =~ /committed_offset: (\d+)/;
is($after, $before, 'and has it');

done_testing;
