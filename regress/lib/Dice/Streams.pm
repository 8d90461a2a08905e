# SPDX-License-Identifier: Apache-2.0
#
# Members of streams groups, in several processes, with topologies made by chance: they
# come with them, say which tasks they have and how far those are, leave, come back; those
# who commit, look, change settings and topics and delete beside them. A round is a group
# with one topology.
package Dice::Streams;
use strict;
use warnings;
use Dice;

# Kafka's settings under which sessions may be short.
our %SETTINGS = ('group.streams.min.session.timeout.ms' => 1000, 'group.streams.min.heartbeat.interval.ms' => 100);

my %PARTITIONS = (ua => 3, ub => 2, uc => 3, ud => 1);
my @KINDS = qw(active_tasks standby_tasks warmup_tasks);

sub new {
    my ($class, $dice, $seed) = @_;
    my $self = bless {dice => $dice, seed => $seed, round => 0, width => {%PARTITIONS}}, $class;
    my @processes = map { $self->word(20) } 1 .. 4;
    my @instances = (undef, undef, undef, undef, undef, 'i1', 'i1', 'i2');
    $self->{members} = [map { {id => $self->word(20), process => $dice->one(@processes), instance => $_, epoch => -1,
        tasks => {}, endpoint => -1, port => $dice->chance(40) ? 8000 + $dice->below(9) : 0} } @instances];
    $dice->{groups} = "tg${seed}x";
    $self->begin;
    return $self;
}

sub topic { my ($self, $name) = @_; return "$name$self->{seed}" }

# An id as clients make them.
sub word {
    my ($self, $size) = @_;
    my @letters = ('a' .. 'z', 'A' .. 'Z', 0 .. 9, '-', '_');
    return join '', map { $self->{dice}->one(@letters) } 1 .. $size;
}

sub begin {
    my ($self) = @_;
    my $dice = $self->{dice};
    $dice->make_topics(map { $self->topic($_) => $PARTITIONS{$_} } keys %PARTITIONS);
    $dice->meet_coordinators("tg$self->{seed}", "tt$self->{seed}");
    $dice->tell('number producer_id');
    $dice->ask("retry 14,16 InitProducerId 4 {transactional_id: \"tt$self->{seed}\", transaction_timeout_ms: 60000}");
    $dice->tell('let P = producer_id');
    $self->next_round;
}

# ---- topologies ----

sub quoted { return join ', ', map { "\"$_\"" } @_ }

sub internal {
    my ($self, $name, $partitions) = @_;
    my $dice = $self->{dice};
    my $text = "{name: \"$name\"";
    $text .= ", partitions: $partitions" if $partitions;
    $text .= ', replication_factor: 1' if $dice->chance(30);
    $text .= ', topic_configs: [{key: "cleanup.policy", value: "' . $dice->one('compact', 'delete') . '"}]' if $dice->chance(40);
    return "$text}";
}

# Subtopologies, each of which reads some topics and what others before it write. Kafka
# fails at members with end points when it cannot tell what the tasks are: they have them
# only where that cannot be.
sub topology {
    my ($self) = @_;
    my $dice = $self->{dice};
    my $parts = $dice->weighed(2, 1, 3, 2, 2, 3, 1, 4);
    my @topics = sort keys %PARTITIONS;
    my (@sinks, @parts);
    $self->{parts} = {};
    $self->{plain} = $dice->chance(60);
    for my $i (0 .. $parts - 1) {
        my @sources = grep { $dice->chance(40) } @topics;
        my @read = grep { $dice->chance(60) } @sinks;
        @sources = ($dice->one(@topics)) if @topics && !@sources && !@read;
        next unless @sources || @read;
        @topics = grep { my $topic = $_; !grep { $_ eq $topic } @sources } @topics;
        @sinks = grep { my $sink = $_; !grep { $_ eq $sink } @read } @sinks;
        my $text = $self->part($i, [map { $self->topic($_) } @sources], \@read);
        push @sinks, $text =~ /sink_topics: \[([^\]]*)\]/ ? $1 =~ /"([^"]*)"/g : ();
        push @parts, "{$text}";
    }
    return join ', ', @parts;
}

sub part {
    my ($self, $i, $sources, $read) = @_;
    my $dice = $self->{dice};
    my $id = $dice->chance(90) ? $i : "s$i";
    my $odd = !$self->{plain};
    push @$sources, $self->topic('nope') if $odd && $dice->chance(5);
    my @written = map { "$self->{group}-r$i$_" } 1 .. $dice->weighed(3, 0, 3, 1, 1, 2);
    push @$read, "$self->{group}-rx$i" if $odd && $dice->chance(4);
    my @source_rows = map { $self->internal($_, $odd && $dice->chance(30) ? $dice->one(1, 3, 5) : 0) } @$read;
    my @changelogs = map { $self->internal("$self->{group}-c$i$_", $odd && $dice->chance(1) ? 3 : 0) }
        1 .. $dice->weighed(4, 0, 4, 1, 1, 2);
    my $text = "subtopology_id: \"$id\"";
    $text .= ', source_topics: [' . quoted(@$sources) . ']' if @$sources;
    $text .= ', repartition_sink_topics: [' . quoted(@written) . ']' if @written;
    $text .= ', repartition_source_topics: [' . join(', ', @source_rows) . ']' if @source_rows;
    $text .= ', state_changelog_topics: [' . join(', ', @changelogs) . ']' if @changelogs;
    if ($odd && @$sources + @$read > 1 && $dice->chance(50)) {
        my @with = grep { $dice->chance(70) } 0 .. $#$sources;
        my @and = grep { $dice->chance(70) } 0 .. $#$read;
        push @with, 7 if $dice->chance(2);
        $text .= ', copartition_groups: [{source_topics: [' . join(', ', @with) . '], repartition_source_topics: ['
            . join(', ', @and) . ']}]';
    }
    $self->{parts}{$id} = 3;
    return $text;
}

sub next_round {
    my ($self) = @_;
    my $dice = $self->{dice};
    $self->leave($_) for grep { $_->{epoch} >= 0 || defined $_->{instance} } @{$self->{members}};
    $dice->ask("StreamsGroupDescribe 1 {group_ids: [\"$self->{group}\"]}") if $self->{group};
    $dice->ask("DeleteGroups 2 {groups_names: [\"$self->{group}\"]}") if $self->{group};
    $self->{group} = "tg$self->{seed}x" . ++$self->{round};
    $self->{subtopologies} = $self->topology;
    $self->{topology_epoch} = $dice->one(0, 3);
    $self->{steps} = 0;
    $self->configure('streams.num.standby.replicas', $dice->one(1, 1, 2)) if $dice->chance(50);
    if ($dice->chance(10)) { # a classic group was there before
        $dice->ask("OffsetCommit 8 {group_id: \"$self->{group}\", generation_id_or_member_epoch: -1, member_id: \"\", topics: [{name: \""
            . $self->topic('ua') . '", partitions: [{partition_index: 0, committed_offset: 1}]}]}');
    }
}

sub configure {
    my ($self, $name, $value) = @_;
    $self->{dice}->ask('IncrementalAlterConfigs 1 {resources: [{resource_type: 32, resource_name: '
        . "\"$self->{group}\", configs: [{name: \"$name\", config_operation: 0, value: \"$value\"}]}]}");
    $self->{dice}->tell('wait 300');
}

# ---- members ----

# {kind => {subtopology => [partitions]}} of an answer, or undef.
sub assigned {
    my ($answer) = @_;
    my %tasks;
    for my $kind (@KINDS) {
        $answer =~ /\b$kind: \[(.*?\])\]|\b$kind: (\[\])/ or return undef;
        my $text = $1 // '';
        $tasks{$kind}{$1} = [split /, /, $2] while $text =~ /subtopology_id: "(\w+)", partitions: \[([\d, ]*)\]/g;
    }
    return \%tasks;
}

sub spoken {
    my ($of) = @_;
    return '[' . join(', ', map { "{subtopology_id: \"$_\", partitions: [" . join(', ', @{$of->{$_}}) . ']}' } sort keys %$of) . ']';
}

sub owned {
    my ($self, $member) = @_;
    my $dice = $self->{dice};
    my %tasks = %{$member->{tasks}};
    if ($dice->chance(5)) {
        my $kind = $dice->one(@KINDS);
        my %of = %{$tasks{$kind} // {}};
        my $part = $dice->one(sort keys %{$self->{parts}});
        if ($dice->chance(50)) {
            delete $of{$part};
        } else {
            $of{$part} = [$dice->one(0, 1, 2, 9)];
        }
        $tasks{$kind} = \%of;
    }
    $tasks{standby_tasks} = {nope => [0]} if $dice->chance(1);
    my @kinds = $dice->chance(2) ? ($KINDS[0], $KINDS[1]) : @KINDS;
    return join '', map { ", $_: " . spoken($tasks{$_} // {}) } @kinds;
}

sub offsets {
    my ($self) = @_;
    my $dice = $self->{dice};
    my @rows;
    for my $part (sort keys %{$self->{parts}}) {
        push @rows, "{subtopology_id: \"$part\", partition: $_, offset: " . $dice->one(0, 5, 10, 100) . '}'
            for grep { $dice->chance(40) } 0 .. 2;
    }
    push @rows, $rows[0] if @rows && $dice->chance(3);
    return '[' . join(', ', @rows) . ']';
}

sub more {
    my ($self, $member) = @_;
    my $dice = $self->{dice};
    my $text = '';
    $text .= ", user_endpoint: {host: \"h\", port: $member->{port}}" if $member->{port} && $self->{plain} && $dice->chance(80);
    $text .= ', client_tags: [{key: "z", value: "' . $dice->one(1, 2) . '"}]' if $dice->chance(15);
    $text .= ', rack_id: "' . $dice->one('r1', 'r2') . '"' if $dice->chance(8);
    return $text;
}

sub joining {
    my ($self, $member) = @_;
    my $dice = $self->{dice};
    my $epoch = $self->{topology_epoch};
    my $subtopologies = $self->{subtopologies};
    if ($dice->chance(6)) {
        $epoch += $dice->one(-1, 1);
        $subtopologies =~ s/\{key: "cleanup.policy", value: "\w+"\}//;
    } elsif ($dice->chance(3)) {
        $subtopologies = "{subtopology_id: \"0\", source_topics: [\"" . $self->topic('ud') . '"]}';
    }
    my $text = ", process_id: \"$member->{process}\", topology: {epoch: $epoch, subtopologies: [$subtopologies]}";
    $text .= ', rebalance_timeout_ms: 60000' unless $dice->chance(1);
    $text .= join '', map { ", $_: []" } $dice->chance(1) ? $KINDS[0] : @KINDS;
    return $text . $self->more($member);
}

sub going_on {
    my ($self, $member) = @_;
    my $dice = $self->{dice};
    my $text = $dice->chance(65) ? $self->owned($member) : '';
    $text .= $self->more($member) if $dice->chance(6);
    $text .= ", process_id: \"" . ($member->{process} = $dice->one(@{$self->{members}})->{process}) . '"' if $dice->chance(2);
    $text .= ", topology: {epoch: $self->{topology_epoch}, subtopologies: [$self->{subtopologies}]}" if $dice->chance(1);
    return $text;
}

# Whether another has the member's instance id. Kafka would refuse this one, and yet take
# the other's tasks.
sub held {
    my ($self, $member) = @_;
    return defined $member->{instance} && grep { $_ != $member && $_->{epoch} >= 0 && defined $_->{instance}
        && $_->{instance} eq $member->{instance} } @{$self->{members}};
}

sub beat {
    my ($self) = @_;
    my $dice = $self->{dice};
    my @there = grep { $_->{epoch} >= 0 } @{$self->{members}};
    my $member = @there && $dice->chance(70) ? $dice->one(@there) : $dice->one(@{$self->{members}});
    my ($epoch, $rest) = ($member->{epoch}, '');
    return $self->look if $self->held($member);
    return $self->leave($member) if $epoch >= 0 && $dice->chance(7);
    if ($epoch < 0 || $dice->chance(3)) {
        ($epoch, $rest) = (0, $self->joining($member));
    } else {
        $epoch += $dice->one(-1, -1, 1, 3) if $dice->chance(6);
        $rest = $self->going_on($member);
    }
    $rest .= ', task_offsets: ' . $self->offsets if $dice->chance(12);
    $rest .= ', task_end_offsets: ' . $self->offsets if $dice->chance(6);
    $rest .= ', shutdown_application: true' if $epoch > 0 && $dice->chance(1);
    $rest .= ", instance_id: \"$member->{instance}\"" if defined $member->{instance};
    my $endpoint = $dice->chance(10) ? $dice->one(-1, 0, 9) : $member->{endpoint};
    my $answer = $dice->ask('StreamsGroupHeartbeat ' . $dice->one(0, 1, 1)
        . " {group_id: \"$self->{group}\", member_id: \"$member->{id}\", member_epoch: $epoch, endpoint_information_epoch: $endpoint$rest}");
    $self->told($member, $answer);
}

sub told {
    my ($self, $member, $answer) = @_;
    my $dice = $self->{dice};
    my $code = Dice::field($answer, 'error_code');
    if ($code eq '0') {
        $member->{epoch} = Dice::field($answer, 'member_epoch');
        $member->{endpoint} = Dice::field($answer, 'endpoint_information_epoch');
        $member->{tasks} = assigned($answer) // $member->{tasks};
        # Kafka makes internal topics after the answer.
        $dice->tell('wait 2500') if $answer =~ /status_code: 3/;
    } elsif ($code =~ /^(25|82|110|69)$/) {
        ($member->{epoch}, $member->{tasks}) = (-1, {});
    }
}

sub leave {
    my ($self, $member) = @_;
    my $dice = $self->{dice};
    my $instance = defined $member->{instance} ? ", instance_id: \"$member->{instance}\"" : '';
    my $epoch = $instance ? $dice->one(-1, -2) : $dice->one(-1, -1, -1, -1, -2);
    $epoch = -1 if ($self->{steps} // 0) < 0;
    my $shutdown = $dice->chance(2) ? ', shutdown_application: true' : '';
    $dice->ask("StreamsGroupHeartbeat 1 {group_id: \"$self->{group}\", member_id: \"$member->{id}\", member_epoch: $epoch$instance$shutdown}")
        if $self->{group};
    ($member->{epoch}, $member->{tasks}, $member->{endpoint}) = (-1, {}, -1);
}

# ---- beside them ----

# As whom to commit: {epoch, member}.
sub committer {
    my ($self) = @_;
    my $dice = $self->{dice};
    my @of = map { "$_->{epoch}, member_id: \"$_->{id}\"" } grep { $_->{epoch} >= 0 } @{$self->{members}};
    push @of, '-1, member_id: ""' if !@of || $dice->chance(15);
    push @of, '3, member_id: "who"' if $dice->chance(8);
    my $who = $dice->one(@of);
    $who =~ s/^(-?\d+)/$1 + $dice->one(-1, -1, -2, 1)/e if $dice->chance(30);
    return $who;
}

sub place {
    my ($self) = @_;
    my $name = $self->{dice}->one(sort keys %PARTITIONS);
    return ($self->topic($name), $self->{dice}->below($PARTITIONS{$name}));
}

sub commit {
    my ($self) = @_;
    my $dice = $self->{dice};
    my ($topic, $partition) = $self->place;
    my $who = $self->committer;
    my $rows = "topics: [{name: \"$topic\", partitions: [{partition_index: $partition, committed_offset: " . $dice->below(90)
        . ', committed_metadata: "c"}]}]}';
    if ($dice->chance(70)) {
        $dice->ask('OffsetCommit ' . $dice->one(7, 8, 9, 9, 9, 9) . " {group_id: \"$self->{group}\", "
            . "generation_id_or_member_epoch: $who, $rows");
        return;
    }
    my $producer = "transactional_id: \"tt$self->{seed}\", producer_id: \$P, producer_epoch: 0";
    $dice->ask("AddOffsetsToTxn 3 {$producer, group_id: \"$self->{group}\"}");
    $dice->ask("TxnOffsetCommit 3 {$producer, group_id: \"$self->{group}\", generation_id_or_member_epoch: $who, $rows");
    $self->look if $dice->chance(30);
    $dice->ask("EndTxn 3 {$producer, committed: " . $dice->one('true', 'false') . '}');
    $dice->tell('wait 300');
}

sub look {
    my ($self) = @_;
    my $dice = $self->{dice};
    my $who = $self->committer;
    $who =~ s/^(-?\d+), (.*)/$2, member_epoch: $1/;
    my ($topic, $partition) = $self->place;
    my $version = $dice->one(0, 1, 1);
    $dice->ask($dice->weighed(
        12, "StreamsGroupDescribe $version {group_ids: [\"$self->{group}\"]}",
        1, "StreamsGroupDescribe 1 {group_ids: [\"$self->{group}\", \"none\"], include_topology_description: true}",
        1, "DescribeGroups 6 {groups: [\"$self->{group}\"]}",
        1, "ConsumerGroupDescribe 1 {group_ids: [\"$self->{group}\"]}",
        2, "OffsetFetch 7 {group_id: \"$self->{group}\", topics: null}",
        3, "OffsetFetch 9 {groups: [{group_id: \"$self->{group}\", $who, topics: [{name: \"$topic\", partition_indexes: [$partition]}]}]}",
        2, 'ListGroups 5 {types_filter: ["streams"]}',
        1, 'ListGroups 5 {types_filter: ["streams"], states_filter: ["' . $dice->one('Stable', 'Reconciling', 'NotReady', 'empty') . '"]}',
        2, "OffsetDelete 0 {group_id: \"$self->{group}\", topics: [{name: \"$topic\", partitions: [{partition_index: $partition}]}]}",
        1, "DeleteGroups 2 {groups_names: [\"$self->{group}\"]}",
        1, "Heartbeat 3 {group_id: \"$self->{group}\", generation_id: 1, member_id: \"m\"}",
        1, "ConsumerGroupHeartbeat 1 {group_id: \"$self->{group}\", member_id: \"m\", member_epoch: 1}",
        1, "ShareGroupHeartbeat 1 {group_id: \"$self->{group}\", member_id: \"m\", member_epoch: 1}"));
}

sub settings {
    my ($self) = @_;
    my $dice = $self->{dice};
    $self->configure($dice->weighed(4, ['streams.num.standby.replicas', $dice->one(0, 1, 2, 3)],
        1, ['streams.heartbeat.interval.ms', $dice->one(500, 99, 15001)],
        1, ['streams.assignor.name', $dice->one('sticky', 'highly_available')])->@*);
}

# Members that say nothing more are removed.
sub silence {
    my ($self) = @_;
    my $dice = $self->{dice};
    $self->configure('streams.heartbeat.interval.ms', 500);
    $self->configure('streams.session.timeout.ms', 1000);
    $self->beat for 1 .. 1 + $dice->below(3);
    $dice->tell('wait 2500');
    $dice->ask("StreamsGroupDescribe 1 {group_ids: [\"$self->{group}\"]}");
    $self->configure('streams.session.timeout.ms', 45000);
}

# Wider sources: the group notices, and may find that they do not fit any more.
sub widen {
    my ($self) = @_;
    my $name = $self->{dice}->one(sort keys %PARTITIONS);
    return if $self->{width}{$name} > 4;
    my $count = ++$self->{width}{$name};
    $self->{dice}->ask('CreatePartitions 3 {topics: [{name: "' . $self->topic($name) . "\", count: $count}], timeout_ms: 10000}");
    $self->{dice}->tell('wait 1000');
}

sub step {
    my ($self) = @_;
    return $self->next_round if ++$self->{steps} > 45 || $self->{steps} > 4 && $self->{dice}->chance(1);
    my $what = $self->{dice}->weighed(70, 'beat', 10, 'commit', 15, 'look', 2, 'settings', 1, 'silence', 1, 'widen');
    $self->$what;
}

1;
