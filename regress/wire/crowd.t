#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Three hundred members at once, each on a connection of its own: a classic group in one
# generation, then in the next with one more; a group of the new protocol until all have
# what they should. With OX_KAFKA_ORACLE=1 the same is asked of a Kafka broker.
use strict;
use warnings;
use KafkaJars;
use Oxbow;
use Raw;
use Test::More;
use Time::HiRes qw(sleep time);

use constant {JOIN => 11, BEAT => 12, LEAVE => 13, SYNC => 14, CONSUMER_BEAT => 68};
my $CROWD = 300;

sub text { return pack 'n/a*', $_[0] }
sub compact { return varint_of(1 + length $_[0]) . $_[0] }

sub varint_of {
    my ($value) = @_;
    my $out = '';
    while ($value > 127) {
        $out .= chr(($value & 127) | 128);
        $value >>= 7;
    }
    return $out . chr $value;
}

# Asks on all sockets, one body each, then reads all answers.
sub ask_all {
    my ($sockets, $api, $version, $bodies) = @_;
    for my $i (0 .. $#$sockets) {
        send_all($sockets->[$i], framed(kafka_header($api, $version, 7) . $bodies->[$i])) or return ();
    }
    return map { answer($_) } @$sockets;
}

sub answer {
    my ($socket) = @_;
    my $head = receive($socket, 4, 120);
    return '' if length $head < 4;
    return substr receive($socket, unpack('N', $head), 30), 4;
}

# How often each came, as text.
sub counted {
    my %count;
    $count{$_}++ for @_;
    return join ', ', map { "$count{$_} times $_" } sort keys %count;
}

# ---- the classic protocol ----

sub join_body {
    my ($group, $id, $i) = @_;
    return text($group) . pack('NN', 30000, 60000) . text($id) . text('consumer')
        . pack('N', 1) . text('range') . pack('N/a*', "m$i");
}

sub joined {
    my ($bytes) = @_;
    my ($code, $generation, $protocol, $leader, $id, $members) = unpack 'x4 n N n/a n/a n/a N', $bytes;
    return {code => $code, generation => $generation, id => $id, leads => $leader eq $id, members => $members};
}

sub told {
    my (@of) = @_;
    return (counted(map { "code $_->{code}, generation $_->{generation}" } @of),
        counted(map { $_->{leads} ? "a leader of $_->{members}" : 'a follower' } @of));
}

# What is there to be told of a classic group, as lines.
sub classic {
    my ($port) = @_;
    my @sockets = map { dial($port) } 0 .. $CROWD;
    my $last = pop @sockets;
    my $from = time;
    my @members = map { joined($_) } ask_all(\@sockets, JOIN, 3, [map { join_body('crowd', '', $_) } 0 .. $#sockets]);
    note sprintf 'joined after %.1f s', time - $from;
    my @said = told(@members);
    my $all = pack('N', $CROWD) . join '', map { text($_->{id}) . pack 'N/a*', "for $_->{id}" } @members;
    my @syncs = ask_all(\@sockets, SYNC, 1, [map { text('crowd') . pack('N', $_->{generation}) . text($_->{id})
        . ($_->{leads} ? $all : pack 'N', 0) } @members]);
    push @said, 'synced: ' . counted(map { my ($code, $what) = unpack 'x4 n N/a', $syncs[$_];
        "code $code, " . ($what eq "for $members[$_]{id}" ? 'what is its' : 'something else') } 0 .. $#syncs);
    my $beat = sub { return 'heartbeats: ' . counted(map { 'code ' . unpack 'x4 n', $_ }
        ask_all(\@sockets, BEAT, 1, [map { text('crowd') . pack('N', $_->{generation}) . text($_->{id}) } @members])) };
    push @said, $beat->();
    # One more
    send_all($last, framed(kafka_header(JOIN, 3, 7) . join_body('crowd', '', 'last')));
    sleep 1;
    push @said, $beat->();
    @members = map { joined($_) } ask_all(\@sockets, JOIN, 3, [map { join_body('crowd', $members[$_]{id}, $_) } 0 .. $#sockets]);
    push @said, told(@members, joined(answer($last)));
    push @said, 'left: ' . counted(map { 'code ' . unpack 'x4 n', $_ }
        ask_all(\@sockets, LEAVE, 1, [map { text('crowd') . text($_->{id}) } @members]));
    return @said;
}

# ---- the new protocol ----

sub beat_body {
    my ($id, $member, $topic) = @_;
    my $body = compact('throng') . compact($id) . pack('N', $member->{epoch} & 0xffffffff) . "\0\0";
    if ($member->{epoch} == 0) {
        $body .= pack('N', 60000) . varint_of(2) . compact('throng') . "\0" . varint_of(1);
    } else {
        my @own = @{$member->{own}};
        $body .= pack('N', 60000) . "\0\0" . (@own ? varint_of(2) . $topic . varint_of(1 + @own) . pack('N*', @own) . "\0"
            : varint_of(1));
    }
    return "\0$body\0"; # with the header's tags, and its own
}

# What the answer has changes the member; the topic's id is learned.
sub beaten {
    my ($member, $bytes, $topic) = @_;
    my ($code, $rest) = unpack 'x x4 n a*', $bytes;
    $member->{code} = $code;
    return if $code;
    for my $nullable (1, 2) {
        my $len = ord $rest;
        $rest = substr $rest, $len ? $len : 1;
    }
    ($member->{epoch}, my $there, $rest) = unpack 'N x4 c a*', $rest;
    return if $there < 0;
    my $topics = ord($rest) - 1;
    $member->{own} = [];
    return if $topics == 0;
    $$topic = substr $rest, 1, 16;
    # Not so many that their number takes two bytes, once all are there.
    my ($count, $shift, $at) = (0, 0, 17);
    while (1) {
        my $byte = ord substr $rest, $at++, 1;
        $count |= ($byte & 127) << $shift;
        $shift += 7;
        last if $byte < 128;
    }
    $member->{own} = [unpack 'N*', substr $rest, $at, 4 * ($count - 1)];
}

# The coordinator of both groups, and a topic for the second.
sub begin {
    my ($port) = @_;
    open my $wire, '|-', "$Oxbow::BUILD/regress/wire/wire 127.0.0.1 $port >/dev/null" or die;
    for my $group (qw(crowd throng)) {
        print $wire "retry 15 FindCoordinator 0 {key: \"$group\"}\nwait 500\n"
            . "retry 14,15,16 OffsetFetch 7 {group_id: \"$group\", topics: null}\n";
    }
    print $wire "CreateTopics 4 {topics: [{name: \"throng\", num_partitions: $CROWD, replication_factor: 1}], timeout_ms: 30000}\nwait 2000\n";
    close $wire;
}

sub modern {
    my ($port) = @_;
    my @sockets = map { dial($port) } 1 .. $CROWD;
    my @ids = map { sprintf 'member-%03d-xxxxxxxxxx', $_ } 1 .. $CROWD;
    my @members = map { {epoch => 0, own => []} } @ids;
    my ($topic, $rounds, $done) = ('', 0, 0);
    while (!$done && $rounds++ < 120) {
        my @answers = ask_all(\@sockets, CONSUMER_BEAT, 0, [map { beat_body($ids[$_], $members[$_], $topic) } 0 .. $#ids]);
        beaten($members[$_], $answers[$_], \$topic) for 0 .. $#ids;
        my %epochs = map { $_->{epoch} => 1 } @members;
        my %owned = map { $_ => 1 } map { @{$_->{own}} } @members;
        $done = keys %epochs == 1 && keys %owned == $CROWD && !grep { @{$_->{own}} != 1 } @members;
        sleep 0.25 unless $done;
    }
    note "$rounds rounds, epoch $members[0]{epoch}";
    my @said = (counted(map { "code $_->{code}, " . @{$_->{own}} . ' partitions' } @members),
        'epochs: ' . keys %{{map { $_->{epoch} => 1 } @members}});
    $_->{epoch} = -1 for @members;
    my @answers = ask_all(\@sockets, CONSUMER_BEAT, 0, [map { beat_body($ids[$_], $members[$_], $topic) } 0 .. $#ids]);
    push @said, 'left: ' . counted(map { 'code ' . unpack 'x x4 n', $_ } @answers);
    return @said;
}

my @wanted = ("$CROWD times code 0, generation 1", ($CROWD - 1) . " times a follower, 1 times a leader of $CROWD",
    "synced: $CROWD times code 0, what is its", "heartbeats: $CROWD times code 0", "heartbeats: $CROWD times code 27",
    ($CROWD + 1) . ' times code 0, generation 2', "$CROWD times a follower, 1 times a leader of " . ($CROWD + 1),
    "left: $CROWD times code 0",
    "$CROWD times code 0, 1 partitions", 'epochs: 1', "left: $CROWD times code 0");

sub crowd {
    my ($port, $who) = @_;
    begin($port);
    my @said = (classic($port), modern($port));
    is($said[$_], $wanted[$_], "$who: $wanted[$_]") for 0 .. $#wanted;
}

my $ox = Oxbow->start(settings => {'group.initial.rebalance.delay.ms' => 3000}) or BAIL_OUT('no server');
crowd($ox->{kafka_port}, 'Oxbow');
is($ox->stop, 0, 'the server stops in order');
SKIP: {
    skip 'no Kafka broker is asked', 1 unless $ENV{OX_KAFKA_ORACLE};
    my $kafka = KafkaJars::start_broker(settings => 'group.initial.rebalance.delay.ms=3000')
        or skip 'no Kafka broker to be had', 1;
    crowd($kafka->{port}, 'Kafka');
    KafkaJars::stop_broker($kafka);
}
done_testing;
