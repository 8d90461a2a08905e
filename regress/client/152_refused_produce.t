#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# What a coordinator refuses is not written, in either protocol of transactions:
# servers that write it all the same, by failpoints, are told from one that is
# sound. The clients of 150_exactly_once.t seldom send such a Produce; these do.
# Needs a build with --enable-fault (./check --all makes one).
use strict;
use warnings;
use Clients;
use Oxbow;
use Test::More;

Clients::failpoints();

sub server {
    my @faults = @_;
    my $ox = Oxbow->start(env => {OX_FAULT => join ',', @faults}) or die 'no server';
    $ox->sql('CREATE TOPIC refused PARTITIONS 2');
    return $ox;
}

sub produce {
    my ($version, $part, $records) = @_;
    return qq(Produce $version {transactional_id: "t", acks: -1, timeout_ms: 15000, topic_data: )
        . qq([{name: "refused", partition_data: [{index: $part, records: "$records"}]}]});
}

my @begin = ('retry 15 FindCoordinator 4 {key_type: 1, coordinator_keys: ["t"]}', 'wait 500',
    'retry 14 InitProducerId 5 {transactional_id: "t", transaction_timeout_ms: 600000}', 'let P = producer_id',
    'hide base_offset host port');

# The error of the last Produce, and where the partition ends for those who read
# everything and for those who read what is committed.
sub outcome {
    my ($ox, $part, @lines) = @_;
    my @ends = map { qq(ListOffsets 7 {replica_id: -1, isolation_level: $_, topics: )
        . qq([{name: "refused", partitions: [{partition_index: $part, timestamp: -1}]}]}) } 0, 1;
    my $text = $ox->wire(@begin, @lines, @ends);
    my @codes = $text =~ /^Produce \d+: .*?error_code: (-?\d+)/mg;
    my @offsets = $text =~ /^ListOffsets 7: .*?\boffset: (-?\d+)/mg;
    note $text;
    return "$codes[-1]: @offsets";
}

# The transaction before is being ended and cannot be: its marker is not taken.
my @next = (produce(12, 0, 'txn:seq:$P/0/0:a=1'),
    'EndTxn 5 {transactional_id: "t", producer_id: $P, producer_epoch: 0, committed: true}',
    produce(12, 1, 'txn:seq:$P/1/0:b=2'));
my @stuck = 'coord.marker=not_leader';
my $ox = server(@stuck);
is(outcome($ox, 1, @next), '51: 0 0', 'during the end of a transaction the next one writes nothing');
$ox->stop;
$ox = server(@stuck, 'txn.wrong_enlisting=unknown_server_error');
is(outcome($ox, 1, @next), '0: 1 0', 'a server that does not mind is noticed: a record of no transaction');
$ox->stop;

# A partition that was not added, in the first protocol.
my @alone = (produce(11, 1, 'txn:seq:$P/0/0:c=3'),
    'EndTxn 4 {transactional_id: "t", producer_id: $P, producer_epoch: 0, committed: true}');
$ox = server();
is(outcome($ox, 1, @alone), '120: 0 0', 'a partition that was not added takes nothing');
$ox->stop;
$ox = server('txn.wrong_enlisting=unknown_server_error');
is(outcome($ox, 1, @alone), '48: 0 0', '... and refuses by itself what came through');
$ox->stop;
$ox = server('txn.wrong_enlisting=unknown_server_error', 'txn.wrong_guard=unknown_server_error');
is(outcome($ox, 1, @alone), '0: 1 0', 'without that the transaction hangs');
$ox->stop;
done_testing;
