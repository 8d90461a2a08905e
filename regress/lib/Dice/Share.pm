# SPDX-License-Identifier: Apache-2.0
#
# Members of a share group, each on a connection of its own: they come and go, fetch and
# acknowledge in every way, let locks run out; producers, transactions and changes of
# the group's settings and offsets beside them.
package Dice::Share;
use strict;
use warnings;
use Dice;

# Kafka's settings under which locks may be short.
our %SETTINGS = ('group.share.min.record.lock.duration.ms' => 1000);

# Nobody reads sd and se. Which partition of several a member gets depends on the topic's random
# id, as long as all members read the same topics: so each reads one more, which there is not.
my %PARTITIONS = (sa => 2, sb => 1, sc => 1, sd => 1, se => 5);
# How settings of the group are changed, and what they may be.
my %VALUES = (
    'share.auto.offset.reset' => ['earliest', 'latest', 'by_duration:PT1H', 'by_duration:-PT1S', 'never'],
    'share.isolation.level' => ['read_committed', 'read_uncommitted', 'read_anything'],
    'share.delivery.count.limit' => [2, 3, 5, 1, 11],
    'share.partition.max.record.locks' => [100, 200, 2000, 99],
    'share.renew.acknowledge.enable' => ['true', 'false'],
    'share.record.lock.duration.ms' => [60000, 30000, 999, 60001],
);

sub new {
    my ($class, $dice, $seed) = @_;
    my $self = bless {dice => $dice, seed => $seed, group => "sg$seed", values => 0, ids => {}, next => {},
        held => {}, open => {}, groups => 0}, $class;
    $self->{members} = [map { {name => $_, id => 'm' x 21 . $_, beats => 0, session => -1} } qw(A Q g)];
    $self->begin;
    return $self;
}

sub topic { my ($self, $name) = @_; return "$name$self->{seed}" }

# Questions go by the member's connection.
sub ask_as {
    my ($self, $member, $line) = @_;
    $self->{dice}->tell("on $member->{name}");
    my $answer = $self->{dice}->ask($line);
    $self->{dice}->tell('on 1');
    return $answer;
}

sub make_topic {
    my ($self, $name) = @_;
    $self->{dice}->ask('quiet CreateTopics 4 {topics: [{name: "' . $self->topic($name)
        . "\", num_partitions: $PARTITIONS{$name}, replication_factor: 1}], timeout_ms: 10000}");
    $self->{dice}->tell('wait 500');
    $self->{dice}->ask('retry 3 quiet Metadata 12 {topics: [{name: "' . $self->topic($name) . '"}]}');
    $self->{dice}->ask('Metadata 12 {topics: [{name: "' . $self->topic($name) . '"}]}');
    $self->{dice}->tell("let T$name = topics.0.topic_id");
    $self->{ids}{keys %{$self->{ids}}} = $name;
    delete @{$self->{next}}{grep { /^$name/ } keys %{$self->{next}}};
    delete @{$self->{held}}{grep { /^$name/ } keys %{$self->{held}}};
}

sub configure {
    my ($self, $group, $name, $value) = @_;
    my $answer = $self->{dice}->ask('IncrementalAlterConfigs 1 {resources: [{resource_type: 32, resource_name: '
        . "\"$group\", configs: [{name: \"$name\", config_operation: 0, value: \"$value\"}]}]}");
    $self->{dice}->tell('wait 300');
    return $answer;
}

sub begin {
    my ($self) = @_;
    my $dice = $self->{dice};
    $dice->meet_coordinators($self->{group}, "st$self->{seed}");
    $dice->tell('number topic_id producer_id');
    # Kafka notes the start later than the records that moved it.
    $dice->tell('hide start_offset lag');
    $self->make_topic($_) for sort keys %PARTITIONS;
    $dice->ask("retry 14,16 InitProducerId 4 {transactional_id: \"st$self->{seed}\", transaction_timeout_ms: 60000}");
    $dice->tell('let P = producer_id');
    $self->configure($self->{group}, 'share.auto.offset.reset', 'earliest');
    $self->configure($self->{group}, 'share.record.lock.duration.ms', 60000);
    # The states of the partitions are made before anybody reads.
    $dice->ask("quiet ShareGroupHeartbeat 1 {group_id: \"$self->{group}\", member_id: \"first\", member_epoch: 0, "
        . 'subscribed_topic_names: [' . join(', ', map { '"' . $self->topic($_) . '"' } sort keys %PARTITIONS) . ']}');
    $dice->tell('wait 5000');
    $dice->ask("quiet ShareGroupHeartbeat 1 {group_id: \"$self->{group}\", member_id: \"first\", member_epoch: -1}");
    $self->warm_all;
}

sub warm_all {
    my ($self) = @_;
    for my $name (qw(sa sb sc)) {
        $self->warm(map { [$name, $_] } 0 .. $PARTITIONS{$name} - 1);
    }
}

# Kafka answers as soon as the first of several partitions is loaded; one that is not may
# be missing. So they are read one by one before. What was had goes back.
sub warm {
    my ($self, @places) = @_;
    my $dice = $self->{dice};
    my $head = "{group_id: \"$self->{group}\", member_id: \"mmmmmmmmmmmmmmmmmmmmmw\", share_session_epoch:";
    for my $place (@places) {
        my ($name, $partition) = @$place;
        $dice->ask("ShareFetch 1 $head 0, max_wait_ms: 500, min_bytes: 1, max_bytes: 1000000, max_records: 1, batch_size: 1, "
            . "topics: [{topic_id: \"\$T$name\", partitions: [{partition_index: $partition}]}]}");
        $dice->ask("ShareFetch 1 $head -1, max_wait_ms: 0, min_bytes: 0, max_bytes: 0, max_records: 0, batch_size: 0}");
        $dice->tell('wait 200');
    }
}

# ---- what is written ----

sub place {
    my ($self) = @_;
    my $name = $self->{dice}->one('sa', 'sa', 'sb', 'sc');
    return ($name, $self->{dice}->below($PARTITIONS{$name}));
}

sub produce {
    my ($self) = @_;
    my $dice = $self->{dice};
    my ($name, $partition) = $self->place;
    my $count = $dice->weighed(4, 1, 4, 3, 2, 7, 1, 60);
    my $txn = $dice->chance(35);
    my $text = join ' ', map { 'k=' . ++$self->{values} } 1 .. $count;
    my ($id, $head) = ('null', '');
    if ($txn) {
        $dice->ask("AddPartitionsToTxn 3 {v3_and_below_transactional_id: \"st$self->{seed}\", v3_and_below_producer_id: \$P, "
            . 'v3_and_below_producer_epoch: 0, v3_and_below_topics: [{name: "' . $self->topic($name) . "\", partitions: [$partition]}]}")
            unless $self->{open}{"$name$partition"}++;
        my $seq = $self->{next}{"$name$partition"} // 0;
        $self->{next}{"$name$partition"} = $seq + $count;
        ($id, $head) = ("\"st$self->{seed}\"", "txn:seq:\$P/0/$seq:");
    }
    $head .= $dice->one('gzip:', 'lz4:') if $dice->chance(10);
    $dice->ask("retry 51 Produce 9 {transactional_id: $id, acks: -1, timeout_ms: 5000, topic_data: [{name: \"" . $self->topic($name)
        . "\", partition_data: [{index: $partition, records: \"$head$text\"}]}]}");
}

sub end {
    my ($self) = @_;
    my $dice = $self->{dice};
    return unless %{$self->{open}};
    $self->{open} = {};
    $dice->ask("EndTxn 3 {transactional_id: \"st$self->{seed}\", producer_id: \$P, producer_epoch: 0, committed: "
        . $dice->one('true', 'false', 'false') . '}');
    $dice->tell('wait 300');
}

# ---- members ----

sub beat {
    my ($self) = @_;
    my $dice = $self->{dice};
    my $member = $dice->one(@{$self->{members}});
    my ($epoch, $rest) = ($member->{beats}, '');
    if ($epoch == 0 || $dice->chance(15)) {
        my @topics = grep { $dice->chance(60) } sort keys %PARTITIONS;
        @topics = ('sa') unless @topics;
        $rest = ', subscribed_topic_names: [' . join(', ', map { '"' . $self->topic($_) . '"' } @topics, "no$member->{name}") . ']';
        $rest .= ', rack_id: "r"' if $dice->chance(10);
    }
    $epoch = $dice->one(-1, -1, 0, -2, $epoch + 1, $epoch - 1, $epoch - 2) if $epoch > 0 && $dice->chance(18);
    my $answer = $self->ask_as($member, "ShareGroupHeartbeat 1 {group_id: \"$self->{group}\", member_id: \"$member->{id}\", "
        . "member_epoch: $epoch$rest}");
    $dice->tell('wait 400'); # for the states of new partitions
    my $code = Dice::field($answer, 'error_code');
    if ($code eq '0') {
        $member->{beats} = Dice::field($answer, 'member_epoch');
        $member->{beats} = 0 if $member->{beats} < 0;
    } elsif ($code =~ /^(25|110)$/) {
        $member->{beats} = 0;
    }
}

# What a member may say of records that it has, or of others.
sub batches {
    my ($self, $member, $key, @types) = @_;
    my $dice = $self->{dice};
    my @held = @{$self->{held}{$key}{$member->{name}} // []};
    my $row = @held && !$dice->chance(6) ? $dice->one(@held) : [$dice->below(20), 0];
    my ($first, $last) = @$row;
    $last = $first if $last < $first;
    if ($dice->chance(40)) {
        my $size = $last - $first + 1;
        $first += $dice->below($size);
        $last = $first + $dice->below($last - $first + 1);
    }
    $last += $dice->one(1, 5) if $dice->chance(4);
    ($first, $last) = ($last + 1, $first) if $dice->chance(1);
    my $count = $last - $first + 1;
    my @said = $count > 1 && $count < 8 && $dice->chance(35) ? map { $dice->one(@types) } 1 .. $count : $dice->one(@types);
    push @said, 1 if $dice->chance(1);
    $said[0] = $dice->one(7, -1) if $dice->chance(1);
    my $text = "{first_offset: $first, last_offset: $last, acknowledge_types: [" . join(', ', @said) . ']}';
    $text .= ', {first_offset: ' . ($last + 1) . ', last_offset: ' . ($last + 1) . ', acknowledge_types: [' . $dice->one(@types) . ']}'
        if $dice->chance(10);
    return $text;
}

# What was acquired is noted: {place => {member => [[first, last]]}}.
sub acquired {
    my ($self, $member, $answer) = @_;
    my ($name, $key);
    while ($answer =~ /topic_id: #(\d+)|partition_index: (\d+)|\{first_offset: (\d+), last_offset: (\d+), delivery/g) {
        $name = $self->{ids}{$1} if defined $1;
        $key = "$name$2" if defined $2;
        push @{$self->{held}{$key}{$member->{name}}}, [$3, $4] if defined $3;
    }
    for my $of (values %{$self->{held}}) {
        shift @{$of->{$member->{name}}} while @{$of->{$member->{name}} // []} > 5;
    }
}

sub session_epoch {
    my ($self, $member) = @_;
    my $dice = $self->{dice};
    return $member->{session} unless $dice->chance(4);
    return $dice->one(-1, 0, $member->{session} + 1, $member->{session} - 1);
}

sub outcome {
    my ($self, $member, $epoch, $answer) = @_;
    my $code = Dice::field($answer, 'error_code');
    if ($code eq '0') {
        $member->{session} = $epoch < 0 ? -1 : $epoch + 1;
    } elsif ($code =~ /^(122|123|133)$/) {
        $member->{session} = -1;
    }
}

sub fetch {
    my ($self, %with) = @_;
    my $dice = $self->{dice};
    my $member = $with{member} // $dice->one(@{$self->{members}});
    my $version = $dice->one(1, 2, 2);
    my $epoch = $member->{session} < 0 ? 0 : $self->session_epoch($member);
    my (%topics, $topics);
    if ($epoch == 0) {
        my %places;
        for (1 .. $dice->weighed(6, 1, 2, 2, 1, 3)) {
            my ($name, $partition) = $self->place;
            $places{"$name$partition"} = [$name, $partition];
        }
        $member->{places} = [map { $places{$_} } sort keys %places];
        push @{$topics{$_->[0]}}, "{partition_index: $_->[1]}" for @{$member->{places}};
    } elsif ($epoch > 0 && $dice->chance(8)) {
        my ($name, $partition) = $self->place;
        push @{$member->{places}}, [$name, $partition]
            unless grep { $_->[0] eq $name && $_->[1] == $partition } @{$member->{places}};
        $topics{$name} = ["{partition_index: $partition}"];
    } elsif ($dice->chance(25)) {
        my ($name, $partition) = @{$dice->one(@{$member->{places}})};
        # Records that are given back may be had again at once or a little later.
        my $batches = $dice->chance(80) ? $self->batches($member, "$name$partition", 1, 1, 3) : '';
        $topics{$name} = ["{partition_index: $partition, acknowledgement_batches: [$batches]}"];
    }
    my @named = sort keys %topics;
    $topics = join ', ', map { "{topic_id: \"\$T$_\", partitions: [" . join(', ', @{$topics{$_}}) . ']}' } @named;
    my $gone = '';
    if ($epoch > 0 && $dice->chance(5)) {
        my ($name, $partition) = $self->place;
        $gone = ", forgotten_topics_data: [{topic_id: \"\$T$name\", partitions: [$partition]}]";
    }
    my $most = $dice->weighed(2, 1, 3, 2, 3, 5, 3, 500, $epoch > 0 ? (1, 0) : ());
    # Of several that gave records in one answer the topics' random ids say who is first next time.
    $most = 1 if $most > 1 && @{$member->{places}} > 1;
    my $size = $dice->one(1, 2, 3, 10, 500);
    my $bytes = $dice->weighed(5, 1, 1, 0, 1, 150, 1, 100000);
    my $mode = $version >= 2 ? ', share_acquire_mode: ' . $dice->one(0, 1) : '';
    my $answer = $self->ask_as($member, "ShareFetch $version {group_id: \"$self->{group}\", member_id: \"$member->{id}\", "
        . "share_session_epoch: $epoch, max_wait_ms: 200, min_bytes: $bytes, max_bytes: 1000000, max_records: $most, "
        . "batch_size: $size$mode, topics: [$topics]$gone}");
    $self->acquired($member, $answer);
    $self->outcome($member, $epoch, $answer);
}

sub acknowledge {
    my ($self) = @_;
    my $dice = $self->{dice};
    my @with = grep { $_->{session} >= 0 } @{$self->{members}};
    return $self->fetch unless @with;
    my $member = $dice->one(@with);
    my ($name, $partition) = $dice->chance(8) ? $self->place : @{$dice->one(@{$member->{places}})};
    my $key = "$name$partition";
    my $version = $dice->one(1, 2, 2);
    my $renew = $version >= 2 && $dice->chance(25);
    my @types = (1, 1, 1, 2, 2, 2, 3, $dice->chance(10) ? 0 : 1, $renew || $dice->chance(2) ? 4 : 2);
    @types = (4) if $renew && $dice->chance(60);
    my $batches = $self->batches($member, $key, @types);
    my $epoch = $self->session_epoch($member);
    my $answer = $self->ask_as($member, "ShareAcknowledge $version {group_id: \"$self->{group}\", member_id: \"$member->{id}\", "
        . "share_session_epoch: $epoch" . ($renew ? ', is_renew_ack: true' : '')
        . ", topics: [{topic_id: \"\$T$name\", partitions: [{partition_index: $partition, acknowledgement_batches: [$batches]}]}]}");
    $self->outcome($member, $epoch, $answer);
}

# A fetch whose locks run out, if they are not renewed.
sub run_out {
    my ($self) = @_;
    my $dice = $self->{dice};
    $self->configure($self->{group}, 'share.record.lock.duration.ms', 1000);
    $self->fetch for 1 .. 1 + $dice->below(2);
    $dice->tell('wait 2500');
    $self->configure($self->{group}, 'share.record.lock.duration.ms', 60000);
}

sub hang_up {
    my ($self) = @_;
    my $member = $self->{dice}->one(@{$self->{members}});
    $self->{dice}->tell($_) for "on $member->{name}", 'close', 'on 1', 'wait 500';
    $member->{session} = -1;
    $self->warm_all; # with the last session Kafka forgets what it had loaded
}

# ---- beside them ----

sub settings {
    my ($self) = @_;
    my $name = $self->{dice}->one(sort keys %VALUES);
    $self->configure($self->{group}, $name, $self->{dice}->one(@{$VALUES{$name}}));
}

# A group that reads a partition for the first time.
sub other_group {
    my ($self) = @_;
    my $dice = $self->{dice};
    my ($name, $partition) = $self->place;
    my $group = "so$self->{seed}x" . ++$self->{groups};
    $self->configure($group, 'share.auto.offset.reset', $dice->one('earliest', 'latest', 'by_duration:PT1H'));
    my $committed = $dice->chance(50);
    $self->configure($group, 'share.isolation.level', 'read_committed') if $committed;
    my $start = $dice->one(-1, -1, 2);
    $start = -1 if $committed; # Kafka fails over an aborted batch that begins before the start
    $dice->ask("InitializeShareGroupState 0 {group_id: \"$group\", topics: [{topic_id: \"\$T$name\", "
        . "partitions: [{partition: $partition, state_epoch: 0, start_offset: $start}]}]}");
    my $head = "{group_id: \"$group\", member_id: \"mmmmmmmmmmmmmmmmmmmmmw\", share_session_epoch:";
    my $rest = 'max_wait_ms: 700, min_bytes: 1, max_bytes: 1000000, max_records: 20, batch_size: 20';
    $dice->ask("ShareFetch 1 $head 0, $rest, topics: [{topic_id: \"\$T$name\", partitions: [{partition_index: $partition}]}]}");
    $dice->ask("ShareFetch 1 $head 1, $rest}") if $dice->chance(30);
    $dice->ask("ShareFetch 1 $head -1, max_wait_ms: 0, min_bytes: 0, max_bytes: 0, max_records: 0, batch_size: 0}");
}

# All members leave the group, and its offsets are set.
sub set_offsets {
    my ($self) = @_;
    my $dice = $self->{dice};
    for my $member (@{$self->{members}}) {
        next if $member->{beats} == 0 || $dice->chance(10);
        $self->ask_as($member, "ShareGroupHeartbeat 1 {group_id: \"$self->{group}\", member_id: \"$member->{id}\", member_epoch: -1}");
        $member->{beats} = 0;
    }
    my ($name, $partition) = $dice->chance(40) ? $self->place : ('sd', 0);
    my $topic = $self->topic($name);
    my $offset = $dice->one(0, 1, $dice->below(30), 400, -1);
    $partition = 9 if $dice->chance(4);
    $dice->ask($dice->weighed(
        3, "AlterShareGroupOffsets 0 {group_id: \"$self->{group}\", topics: [{topic_name: \"$topic\", partitions: "
            . "[{partition_index: $partition, start_offset: $offset}]}]}",
        1, "DeleteShareGroupOffsets 0 {group_id: \"$self->{group}\", topics: [{topic_name: \"$topic\"}]}"));
    $dice->tell('wait 300');
}

sub delete_topic {
    my ($self) = @_;
    my $dice = $self->{dice};
    return if %{$self->{open}};
    $dice->ask('DeleteTopics 4 {topic_names: ["' . $self->topic('sc') . '"], timeout_ms: 10000}');
    $dice->tell('wait 700');
    # Kafka looks for what sessions still name by the topic's name, and finds the new one.
    for my $member (grep { $_->{session} >= 0 } @{$self->{members}}) {
        $member->{session} = -1 if grep { $_->[0] eq 'sc' } @{$member->{places}};
    }
    $self->make_topic('sc');
    $dice->tell('wait 1000');
    $self->warm(['sc', 0]);
}

sub look {
    my ($self) = @_;
    my $dice = $self->{dice};
    my ($name, $partition) = $self->place;
    my $topic = $self->topic($name);
    $dice->ask($dice->weighed(
        5, "ShareGroupDescribe 1 {group_ids: [\"$self->{group}\"]}",
        3, 'DescribeShareGroupOffsets ' . $dice->one(0, 1) . " {groups: [{group_id: \"$self->{group}\", topics: null}]}",
        1, "DescribeShareGroupOffsets 1 {groups: [{group_id: \"$self->{group}\", topics: [{topic_name: \"$topic\", partitions: [$partition]}]}]}",
        2, "DescribeConfigs 4 {resources: [{resource_type: 32, resource_name: \"$self->{group}\", configuration_keys: "
            . '["share.delivery.count.limit", "share.isolation.level", "share.auto.offset.reset"]}]}',
        2, "DeleteRecords 2 {topics: [{name: \"$topic\", partitions: [{partition_index: $partition, offset: "
            . $dice->below(12) . '}]}], timeout_ms: 5000}'));
}

sub step {
    my ($self) = @_;
    my $what = $self->{dice}->weighed(16, 'beat', 20, 'produce', 4, 'end', 40, 'fetch', 40, 'acknowledge', 2, 'run_out',
        2, 'hang_up', 4, 'settings', 2, 'other_group', 2, 'set_offsets', 1, 'delete_topic', 8, 'look');
    $self->$what;
}

1;
