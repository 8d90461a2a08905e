# SPDX-License-Identifier: Apache-2.0
#
# Producers, with and without transactions, two of which share a transactional id;
# those who read, look and administer beside them.
package Dice::Txn;
use strict;
use warnings;
use Dice;

# Names end in the seed: a server may be asked with several.
my (%PARTITIONS, @PLACES, @GROUPS, @IDS);

sub new {
    my ($class, $dice, $seed) = @_;
    %PARTITIONS = ("ra$seed" => 3, "rb$seed" => 1);
    @PLACES = map { my $topic = $_; map { [$topic, $_] } 0 .. $PARTITIONS{$topic} - 1 } sort keys %PARTITIONS;
    @GROUPS = ("rg$seed", "rh$seed");
    @IDS = ("tx$seed", "ty$seed", "tz$seed");
    my @makers = map { {name => $_->[0], id => $_->[1], known => 0, epoch => -1, next => {}} }
        ['A', $IDS[0]], ['B', $IDS[0]], ['C', $IDS[1]], ['D', undef];
    my $self = bless {dice => $dice, makers => \@makers, values => 0}, $class;
    $self->begin;
    return $self;
}

sub begin {
    my ($self) = @_;
    my $dice = $self->{dice};
    for my $topic (sort keys %PARTITIONS) {
        $dice->ask("quiet CreateTopics 4 {topics: [{name: \"$topic\", num_partitions: "
            . "$PARTITIONS{$topic}, replication_factor: 1, configs: [{name: \"retention.ms\", value: \"-1\"}]}], timeout_ms: 10000}");
    }
    $dice->tell('wait 500');
    for my $key (map { [0, $_] } @GROUPS) {
        $dice->ask("retry 15 FindCoordinator 4 {key_type: 0, coordinator_keys: [\"$key->[1]\"]}");
    }
    for my $id (@IDS[0, 1]) {
        $dice->ask("retry 15 FindCoordinator 4 {key_type: 1, coordinator_keys: [\"$id\"]}");
    }
    $dice->tell('wait 500');
    $dice->ask("retry 14,16 DescribeTransactions 0 {transactional_ids: [\"$_\"]}") for @IDS[0, 1];
    $dice->ask("retry 14,15,16 OffsetFetch 7 {group_id: \"$_\", topics: null}") for @GROUPS;
    # The first id of a new server is 0, which reads as none.
    $dice->ask('retry 14,15,16 quiet InitProducerId 5 {transactional_id: null, transaction_timeout_ms: 60000}');
    $dice->tell('number producer_id');
    $dice->tell('hide topic_id');
    for my $topic (sort keys %PARTITIONS) {
        my $answer = $dice->ask("quiet Metadata 12 {topics: [{name: \"$topic\"}]}");
        $dice->tell('let T' . substr($topic, 0, 2) . ' = topics.0.topic_id');
    }
}

sub quoted { my ($id) = @_; return defined $id ? "\"$id\"" : 'null' }

# The epoch to send: mostly the right one. future: it may be one that is not yet; with
# what is produced Kafka remembers it, and refuses more than it has to.
sub epoch {
    my ($self, $maker, $future) = @_;
    my $dice = $self->{dice};
    return $maker->{epoch} unless $dice->chance(8);
    return $maker->{epoch} + $dice->one(-1, -1, $future ? (1, 5) : ());
}

sub producer {
    my ($self, $maker) = @_;
    my $dice = $self->{dice};
    my @known = grep { $_->{known} } @{$self->{makers}};
    return "\$P$maker->{name}" unless $dice->chance(4);
    return $dice->chance(20) || !@known ? 424242 : '$P' . $dice->one(@known)->{name};
}

sub id {
    my ($self, $maker) = @_;
    my $dice = $self->{dice};
    return $maker->{id} // $IDS[2] unless $dice->chance(3);
    return $dice->one(@IDS);
}

# A known maker with a transactional id, or undef.
sub maker {
    my ($self, $any) = @_;
    my @known = grep { $_->{known} && ($any || defined $_->{id}) } @{$self->{makers}};
    return @known ? $self->{dice}->one(@known) : undef;
}

# The answer names who the maker is from now on.
sub became {
    my ($self, $maker, $answer) = @_;
    my $dice = $self->{dice};
    $maker->{epoch} = Dice::field($answer, 'producer_epoch');
    $maker->{known} = 1;
    ($maker->{next}, $maker->{most}) = ({}, {});
    $dice->tell("let P$maker->{name} = producer_id");
}

# ---- what may come ----

sub init {
    my ($self) = @_;
    my $dice = $self->{dice};
    my $maker = $dice->one(@{$self->{makers}});
    my $version = $dice->one(0 .. 5);
    my $bump = '';
    $bump = ", producer_id: " . $self->producer($maker) . ", producer_epoch: " . $self->epoch($maker, 1)
        if $version >= 3 && $maker->{known} && $dice->chance(50);
    my $timeout = $dice->chance(5) ? $dice->one(0, -1, 900001) : 60000;
    my $answer = $dice->ask("retry 51 InitProducerId $version {transactional_id: " . quoted($maker->{id})
        . ", transaction_timeout_ms: $timeout$bump}");
    $self->became($maker, $answer) if Dice::field($answer, 'error_code') eq '0';
    $dice->tell('wait 200');
}

sub places {
    my ($self) = @_;
    my $dice = $self->{dice};
    return ['nope', 0] if $dice->chance(2);
    return [$PLACES[0][0], 7] if $dice->chance(2);
    my @places = ($dice->one(@PLACES));
    push @places, $dice->one(grep { "@$_" ne "@{$places[0]}" } @PLACES) if $dice->chance(25);
    return sort { "@$a" cmp "@$b" } @places;
}

# topics: [...] of the places, each with what a sub says of it.
sub topics {
    my ($name, $rows, $each, @places) = @_;
    my %rows;
    push @{$rows{$_->[0]}}, $each->($_) for @places;
    return join ', ', map { "{$name: \"$_\", $rows: [" . join(', ', @{$rows{$_}}) . ']}' } sort keys %rows;
}

sub add_partitions {
    my ($self) = @_;
    my $dice = $self->{dice};
    my $maker = $self->maker or return;
    my ($version, $topics) = ($dice->one(0 .. 5), topics('name', 'partitions', sub { $_[0][1] }, $self->places));
    my $who = 'transactional_id: "' . $self->id($maker) . '", producer_id: ' . $self->producer($maker)
        . ', producer_epoch: ' . $self->epoch($maker, 1);
    if ($version < 4) {
        $who =~ s/(transactional_id|producer_id|producer_epoch)/v3_and_below_$1/g;
        $dice->ask("retry 51 AddPartitionsToTxn $version {$who, v3_and_below_topics: [$topics]}");
    } else {
        my $verify = $dice->one('true', 'true', 'false');
        $dice->ask("retry 51 AddPartitionsToTxn $version {transactions: [{$who, verify_only: $verify, topics: [$topics]}]}");
    }
}

sub produce {
    my ($self) = @_;
    my $dice = $self->{dice};
    my $maker = $self->maker(1);
    my $version = $dice->weighed(2, 3, 2, 9, 3, 10, 4, 11, 8, 12, 3, 13);
    my @places = $self->places;
    my ($epoch, $producer, $plain) = (0, '', 1);
    if ($maker && !$dice->chance(6)) {
        ($epoch, $producer, $plain) = ($self->epoch($maker), "\$P$maker->{name}", 0);
        $producer = 424242 if $dice->chance(3);
    }
    # What Kafka remembers of a transaction that its coordinator refused it also holds
    # against batches outside of transactions; so those of D never are part of one.
    my $txn = !$plain && defined $maker->{id} && !$dice->chance(4);
    my $count = 1 + $dice->below(3);
    my $records = sub {
        my ($place) = @_;
        my $seq = $plain ? 0 : $maker->{next}{"@$place"} // 0;
        $seq = $dice->one(0, $seq - 1, $seq - $count, $txn ? () : ($seq + 1, $seq + 7)) if $dice->chance(8);
        # Kafka remembers the lowest sequence that a coordinator refused, and takes none above it.
        my $most = $plain ? undef : $maker->{most}{"@$place"};
        $seq = $most if defined $most && $seq > $most;
        $seq = 0 if $seq < 0;
        my $text = ($txn ? 'txn:' : '') . ($plain ? '' : "seq:$producer/$epoch/$seq:");
        $text .= $dice->one('gzip:', 'lz4:', 'zstd:', 'snappy:') if $dice->chance(10) && $version >= 7;
        return $text . join ' ', map { 'k=' . ++$self->{values} } 1 .. $count;
    };
    my $topics = topics($version < 13 ? 'name' : 'topic_id', 'partition_data',
        sub { "{index: $_[0][1], records: \"" . $records->($_[0]) . '"}' }, @places);
    $topics =~ s/topic_id: "(ra|rb)\w*"/topic_id: "\$T$1"/g;
    $topics =~ s/topic_id: "nope"/topic_id: "AAAAAAAAAAAAAAAAAAAAAQ"/g;
    my $id = $txn && !$dice->chance(3) ? '"' . $self->id($maker // {id => $IDS[2]}) . '"' : 'null';
    my $answer = $dice->ask("retry 19,51 Produce $version {transactional_id: $id, acks: -1, timeout_ms: 5000, "
        . "topic_data: [$topics]}");
    return if $plain || $answer !~ /responses/;
    # More than one place: which of them were written is not told by place; all or none then.
    my $refused = $answer =~ /error_code: (?!0\b)/;
    for my $place (@places) {
        my ($seq) = $topics =~ /index: $place->[1], records: "[^"]*seq:[^\/]*\/-?\d+\/(\d+):/;
        $maker->{next}{"@$place"} = $seq + $count unless $refused;
        next unless $txn;
        my $most = \$maker->{most}{"@$place"};
        $$most = !$refused ? undef : defined $$most && $$most < $seq ? $$most : $seq;
    }
}

sub add_offsets {
    my ($self) = @_;
    my $dice = $self->{dice};
    my $maker = $self->maker or return;
    my $version = $dice->one(0 .. 4);
    my $group = $dice->one(@GROUPS, @GROUPS, @GROUPS, '');
    $dice->ask("retry 51 AddOffsetsToTxn $version {transactional_id: \"" . $self->id($maker) . '", producer_id: '
        . $self->producer($maker) . ', producer_epoch: ' . $self->epoch($maker, 1) . ", group_id: \"$group\"}");
}

sub txn_offsets {
    my ($self) = @_;
    my $dice = $self->{dice};
    my $maker = $self->maker or return;
    my $version = $dice->weighed(1, 0, 1, 2, 2, 3, 2, 4, 6, 5);
    my $group = $dice->one(@GROUPS);
    my $offset = $dice->below(50);
    my $member = $version >= 3 && $dice->chance(5) ? ', generation_id_or_member_epoch: 3, member_id: "m"' : '';
    my $topics = topics('name', 'partitions',
        sub { "{partition_index: $_[0][1], committed_offset: $offset, committed_metadata: \"m$offset\"}" }, $self->places);
    $dice->ask("retry 51 TxnOffsetCommit $version {transactional_id: \"" . $self->id($maker)
        . "\", group_id: \"$group\", producer_id: " . $self->producer($maker) . ', producer_epoch: '
        . $self->epoch($maker, 1) . "$member, topics: [$topics]}");
}

sub end {
    my ($self) = @_;
    my $dice = $self->{dice};
    my $maker = $self->maker or return;
    my $version = $dice->weighed(1, 0, 1, 1, 2, 3, 4, 4, 12, 5);
    my $producer = $self->producer($maker);
    my $answer = $dice->ask("retry 51 EndTxn $version {transactional_id: \"" . $self->id($maker) . "\", producer_id: "
        . $producer . ', producer_epoch: ' . $self->epoch($maker, 1) . ', committed: ' . $dice->one('true', 'true', 'false') . '}');
    $self->became($maker, $answer) if $version >= 5 && Dice::field($answer, 'error_code') eq '0';
    $dice->tell('wait 200');
}

sub plain_offsets {
    my ($self) = @_;
    my $dice = $self->{dice};
    my $version = $dice->one(2, 5, 7, 8, 9);
    my $offset = $dice->below(50);
    my $group = $dice->one(@GROUPS);
    my $topics = topics('name', 'partitions',
        sub { "{partition_index: $_[0][1], committed_offset: $offset, committed_metadata: \"p\"}" }, $self->places);
    $dice->ask("OffsetCommit $version {group_id: \"$group\", generation_id_or_member_epoch: -1, member_id: \"\", topics: [$topics]}");
}

sub look {
    my ($self) = @_;
    my $dice = $self->{dice};
    my ($topic, $partition) = @{$dice->one(@PLACES)};
    my ($group, $level) = ($dice->one(@GROUPS), $dice->one(0, 1));
    my $offset = $dice->one(0, 0, 0, $dice->below(20), $dice->below(60));
    my $stable = $dice->one('true', 'false');
    my $known = join ', ', 1 << 40, map { "\$P$_->{name}" } grep { $_->{known} } @{$self->{makers}};
    # Kafka finds what was deleted, or stops there and finds nothing.
    my $time = $self->{deleted} ? $dice->one(-1, -1, -2) : $dice->one(-1, -1, -2, -3, 0, 1700000000001);
    my $line = $dice->weighed(
        5, "Fetch 11 {replica_id: -1, max_wait_ms: 0, min_bytes: 1, max_bytes: 1000000, isolation_level: $level, session_id: 0, "
            . "session_epoch: -1, topics: [{topic: \"$topic\", partitions: [{partition: $partition, fetch_offset: $offset, "
            . 'partition_max_bytes: 100000, current_leader_epoch: -1}]}]}',
        3, "ListOffsets 7 {replica_id: -1, isolation_level: $level, topics: [{name: \"$topic\", partitions: [{partition_index: $partition, "
            . "current_leader_epoch: -1, timestamp: $time}]}]}",
        2, "DescribeProducers 0 {topics: [{name: \"$topic\", partition_indexes: [$partition]}]}",
        2, 'DescribeTransactions 0 {transactional_ids: ["' . join('", "', @IDS) . '"]}',
        1, 'ListTransactions ' . $dice->one(0, 1, 2) . ' {state_filters: [' . $dice->one('', '"Ongoing"', '"Empty"', '"CompleteCommit", "what"')
            . "], producer_id_filters: [$known]}",
        2, "DescribeGroups 6 {groups: [\"$group\"]}",
        2, "OffsetFetch 7 {group_id: \"$group\", topics: null, require_stable: $stable}",
        1, "OffsetFetch 8 {groups: [{group_id: \"$GROUPS[0]\", topics: null}, {group_id: \"$GROUPS[1]\", topics: null}], require_stable: $stable}",
    );
    $dice->ask($line);
}

sub administer {
    my ($self) = @_;
    my $dice = $self->{dice};
    my ($topic, $partition) = @{$dice->one(@PLACES)};
    my $group = $dice->one(@GROUPS);
    my $offset = $dice->one(-1, 0, $dice->below(10), $dice->below(40));
    my $maker = $self->maker(1) // {name => 'X', epoch => 0};
    my $producer = $maker->{known} ? "\$P$maker->{name}" : 999999;
    my $line = $dice->weighed(
        3, "DeleteRecords 2 {topics: [{name: \"$topic\", partitions: [{partition_index: $partition, offset: $offset}]}], timeout_ms: 5000}",
        2, "DeleteGroups 2 {groups_names: [\"$group\"]}",
        2, "OffsetDelete 0 {group_id: \"$group\", topics: [{name: \"$topic\", partitions: [{partition_index: $partition}]}]}",
        3, 'WriteTxnMarkers ' . $dice->one(1, 2) . " {markers: [{producer_id: $producer, producer_epoch: "
            . $self->epoch($maker, 1) . ', transaction_result: ' . $dice->one('true', 'false')
            . ", topics: [{name: \"$topic\", partition_indexes: [$partition]}], coordinator_epoch: " . $dice->one(0, 0, 0, -1) . '}]}',
    );
    my $answer = $dice->ask($line);
    $self->{deleted} ||= $line =~ /^DeleteRecords/ && $answer =~ /low_watermark: [1-9]/;
}

# One step.
sub step {
    my ($self) = @_;
    my $what = $self->{dice}->weighed(5, 'init', 8, 'add_partitions', 36, 'produce', 6, 'add_offsets',
        12, 'txn_offsets', 18, 'end', 5, 'plain_offsets', 25, 'look', 4, 'administer');
    $self->$what;
}

1;
