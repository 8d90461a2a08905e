#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# How long a ShareFetch waits, beside what regress/wire/share_bytes.wire has: one whose
# connection has gone takes no records; one that is refused for want of sessions is told
# so when its time is up; what goes on in another segment is enough at once. And that a
# group gets past an aborted batch of more records than it may have in hand.
use strict;
use warnings;
use Oxbow;
use Test::More;
use Time::HiRes qw(time);

my $ox = Oxbow->start(settings => {'group.share.max.share.sessions' => 2}) or die 'no server';
my @head = ('hide host port cluster_id records', 'retry 15 FindCoordinator 4 {key_type: 0, coordinator_keys: ["g"]}',
    'retry 14,15,16 OffsetFetch 7 {group_id: "g", topics: null}', 'Metadata 12 {topics: [{name: "t"}]}',
    'let T = topics.0.topic_id');

sub ask {
    my @lines = @_;
    my $begun = time;
    my $text = $ox->wire(@head, @lines);
    note substr $text, 0, 4000;
    return ($text, time - $begun);
}

sub fetch {
    my ($member, $epoch, $wait, $bytes, $partition) = @_;
    return "ShareFetch 1 {group_id: \"g\", member_id: \"$member\", share_session_epoch: $epoch, max_wait_ms: $wait, "
        . "min_bytes: $bytes, max_bytes: 5000000, max_records: 100, batch_size: 100"
        . ($epoch == 0 ? ", topics: [{topic_id: \"\$T\", partitions: [{partition_index: $partition}]}]" : '') . '}';
}

sub produce {
    my ($partition, $text) = @_;
    return "quiet Produce 9 {acks: -1, timeout_ms: 5000, topic_data: [{name: \"t\", partition_data: "
        . "[{index: $partition, records: \"$text\"}]}]}";
}

my ($a, $b, $c) = map { 'm' x 21 . $_ } qw(a b c);
$ox->wire('quiet CreateTopics 4 {topics: [{name: "t", num_partitions: 3, replication_factor: 1, '
    . 'configs: [{name: "segment.bytes", value: "1048576"}]}], timeout_ms: 10000}');
ask('quiet IncrementalAlterConfigs 1 {resources: [{resource_type: 32, resource_name: "g", configs: '
        . '[{name: "share.auto.offset.reset", config_operation: 0, value: "earliest"}]}]}',
    "quiet ShareGroupHeartbeat 1 {group_id: \"g\", member_id: \"$a\", member_epoch: 0, subscribed_topic_names: [\"t\"]}",
    'wait 2000');

# The session goes on through another connection; the first one's call waits when it is cut.
my ($text) = ask('on old', 'send ' . fetch($a, 0, 60000, 1, 0), 'wait 500', 'on 1', fetch($a, 0, 0, 1, 0), 'on old', 'close',
    'on 1', 'wait 500', produce(0, 'k=v'), 'wait 500', fetch($a, 1, 3000, 1));
like((split /\n/, $text)[-1], qr/first_offset: 0, last_offset: 0/, 'nobody reads for a connection that has gone');

my ($refused, $took) = ask(fetch($a, 0, 0, 1, 1), fetch($b, 0, 0, 1, 1), fetch($c, 0, 2000, 1, 1));
like($refused, qr/ShareFetch 1: .*error_code: 133\b/, 'there are sessions enough');
cmp_ok($took, '>', 1.9, 'which is said when the time is up');

my $big = 'x' x 15000;
($text, $took) = ask((map { produce(2, "k=$big") } 1 .. 90), fetch($a, 0, 60000, 3000000, 2));
my ($last) = $text =~ /first_offset: 0, last_offset: (\d+),/;
cmp_ok($last // 99, '<', 89, 'a segment is enough, if another follows');
cmp_ok($took, '<', 50, 'at once');

my $aborted = join ' ', map { "k$_=v" } 1 .. 150;
@head = ('hide host port cluster_id', 'retry 15 FindCoordinator 4 {key_type: 0, coordinator_keys: ["h"]}',
    'retry 14,15,16 OffsetFetch 7 {group_id: "h", topics: null}', 'Metadata 12 {topics: [{name: "u"}]}', 'let T = topics.0.topic_id');
$ox->wire('quiet CreateTopics 4 {topics: [{name: "u", num_partitions: 1, replication_factor: 1}], timeout_ms: 10000}');
($text) = ask('retry 15 FindCoordinator 4 {key_type: 1, coordinator_keys: ["x"]}', 'number producer_id',
    'retry 14,15,16 quiet InitProducerId 4 {transactional_id: "x", transaction_timeout_ms: 60000}', 'let P = producer_id',
    'AddPartitionsToTxn 3 {v3_and_below_transactional_id: "x", v3_and_below_producer_id: $P, v3_and_below_producer_epoch: 0, v3_and_below_topics: [{name: "u", partitions: [0]}]}',
    'Produce 9 {transactional_id: "x", acks: -1, timeout_ms: 5000, topic_data: [{name: "u", partition_data: [{index: 0, '
        . "records: \"txn:seq:\$P/0/0:$aborted\"}]}]}",
    'EndTxn 3 {transactional_id: "x", producer_id: $P, producer_epoch: 0, committed: false}',
    'retry 51 Produce 9 {acks: -1, timeout_ms: 5000, topic_data: [{name: "u", partition_data: [{index: 0, records: "later=1"}]}]}',
    'quiet IncrementalAlterConfigs 1 {resources: [{resource_type: 32, resource_name: "h", configs: ['
        . join(', ', map { "{name: \"share.$_->[0]\", config_operation: 0, value: \"$_->[1]\"}" } ['auto.offset.reset', 'earliest'],
            ['isolation.level', 'read_committed'], ['partition.max.record.locks', 100]) . ']}]}',
    "quiet ShareGroupHeartbeat 1 {group_id: \"h\", member_id: \"$a\", member_epoch: 0, subscribed_topic_names: [\"u\"]}", 'wait 2000',
    map { fetch($a, $_, 500, 1, 0) =~ s/"g"/"h"/r } 0 .. 4);
like($text, qr/later=1.*first_offset: 15[01], last_offset: 151/, 'what is aborted and larger than what may be in hand is passed over');
is($ox->stop, 0, 'the server stops in order');
done_testing;
