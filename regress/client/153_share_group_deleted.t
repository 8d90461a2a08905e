#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A server that crashes amid deleting a share group, or its offsets of a topic, at each
# write to a log in turn: who subscribes afterwards reads the topic from its start, and
# who deletes again is obeyed. Needs a build with --enable-fault (./check --all makes one).
use strict;
use warnings;
use Clients;
use Oxbow;
use Test::More;
use Time::HiRes qw(sleep);

Clients::failpoints();

my $member = 'member_id: "' . 'm' x 22 . '"';
my $ox = Oxbow->start or die 'no server';

sub ask {
    my @lines = @_;
    my $text = $ox->wire('hide host port', 'retry 15 FindCoordinator 4 {key_type: 0, coordinator_keys: ["g"]}',
        'retry 14,15,16 OffsetFetch 7 {group_id: "g", topics: null}', @lines);
    note $text;
    return $text;
}

# Starts the server anew, with such failpoints.
sub again {
    my ($faults) = @_;
    $ox->stop;
    $ox->{env} = $faults ? {OX_FAULT => $faults} : {};
    $ox->run or die 'no server';
}

# Asks, and whether the server has crashed at it.
sub crashes_at {
    my ($line) = @_;
    return 0 unless ask($line) =~ /: closed$/m;
    for (1 .. 1000) {
        return 1 unless $ox->alive;
        sleep 0.01;
    }
    return 0;
}

# A member comes, reads what it has not yet read, and leaves: the keys.
sub keys_read {
    my $text = ask(qq(ShareGroupHeartbeat 1 {group_id: "g", $member, member_epoch: 0, subscribed_topic_names: ["s"]}),
        'wait 1500', 'Metadata 12 {topics: [{name: "s"}]}', 'let T = topics.0.topic_id',
        qq(ShareFetch 1 {group_id: "g", $member, share_session_epoch: 0, max_wait_ms: 2000, min_bytes: 1, max_bytes: 100000, )
            . 'max_records: 10, batch_size: 10, topics: [{topic_id: "$T", partitions: [{partition_index: 0}]}]}',
        qq(ShareAcknowledge 1 {group_id: "g", $member, share_session_epoch: 1, topics: [{topic_id: "\$T", partitions: )
            . '[{partition_index: 0, acknowledgement_batches: [{first_offset: 0, last_offset: 1, acknowledge_types: [1]}]}]}]}',
        qq(ShareGroupHeartbeat 1 {group_id: "g", $member, member_epoch: -1}));
    return join ' ', $text =~ /^ShareFetch 1: .*?records: "([^"]*)"/m, $text =~ /^ShareAcknowledge 1: .*?error_code: (-?\d+)/m;
}

$ox->sql('CREATE TOPIC s');
ask('quiet Produce 9 {acks: -1, timeout_ms: 5000, topic_data: [{name: "s", partition_data: [{index: 0, records: "a=1 b=2"}]}]}',
    'quiet IncrementalAlterConfigs 1 {resources: [{resource_type: 32, resource_name: "g", '
        . 'configs: [{name: "share.auto.offset.reset", config_operation: 0, value: "earliest"}]}]}', 'wait 500');
my $all = keys_read();
like($all, qr/a=1.*b=2.* 0$/, 'what there is to be read');
my $none = keys_read();
unlike($none, qr/=/, 'it is read once');

# Who deletes again may be told that there is nothing any more.
for my $kind (['the group', 'DeleteGroups 2 {groups_names: ["g"]}', qr/error_code: (?:0|69)\b/],
    ['its offsets', 'DeleteShareGroupOffsets 0 {group_id: "g", topics: [{topic_name: "s"}]}', qr/ error_code: (?:0|3)\b.*\]/]) {
    my ($what, $line, $done) = @$kind;
    my $crashes = 0;
    for my $append (1 .. 9) {
        again("coord.append=crash\@$append");
        my $crashed = crashes_at($line);
        again();
        # Nothing is noted before the first write: what was read stays read.
        is(keys_read(), $append > 1 ? $all : $none, "$what: after a crash at write $append") if $crashed;
        $crashes += $crashed;
        if (!$crashed) {
            is(keys_read(), $all, "$what: deleted, then read anew");
            last;
        }
        again("coord.append=crash\@$append");
        crashes_at($line);
        again();
        like(ask($line), qr/^Delete.*$done/m, "$what: deleted again");
        is(keys_read(), $all, "$what: and read anew");
    }
    cmp_ok($crashes, '>=', 2, "$what: $crashes crashes");
}

# What is being deleted may be of a topic that has gone meanwhile.
again('coord.append=crash@2');
ok(crashes_at('DeleteShareGroupOffsets 0 {group_id: "g", topics: [{topic_name: "s"}]}'), 'a crash amid deleting the offsets');
again();
$ox->sql('DROP TOPIC s');
like(ask('DeleteGroups 2 {groups_names: ["g"]}'), qr/^DeleteGroups .*error_code: 0\b/m, 'the group goes, although its topic has gone');
like(ask('DeleteGroups 2 {groups_names: ["g"]}'), qr/^DeleteGroups .*error_code: 69\b/m, 'and has gone');
ok($ox->alive, 'the server lives');
$ox->stop;
done_testing;
