# SPDX-License-Identifier: Apache-2.0
#
# Members of both protocols, dynamic and static, in groups that they move between
# the protocols; those who commit, look and delete beside them.
package Dice::Groups;
use strict;
use warnings;
use Dice;

# Kafka's settings under which it assigns at once, as Oxbow does.
our $SETTINGS = join "\n", map { ("group.$_.assignment.interval.ms=0",
    "group.$_.min.assignment.interval.ms=0", "group.$_.assignor.offload.enable=false") }
    'consumer', 'share', 'streams';

my %PARTITIONS = (ga => 4, gb => 3, gc => 1);
my $GROUP;

sub new {
    my ($class, $dice, $seed) = @_;
    $GROUP = "cg$seed";
    my $self = bless {dice => $dice, seed => $seed, classics => [], ids => {}}, $class;
    $self->{members} = [map { {id => "~$_->[0]", instance => $_->[1], epoch => -1, owned => {}, topics => []} }
        ['1', undef], ['2', undef], ['3', 'i3'], ['4', 'i3'], ['5', 'i5']];
    $self->begin;
    return $self;
}

sub topic { my ($self, $name) = @_; return "$name$self->{seed}" }

sub begin {
    my ($self) = @_;
    my $dice = $self->{dice};
    $dice->make_topics(map { $self->topic($_) => $PARTITIONS{$_} } keys %PARTITIONS);
    $dice->meet_coordinators($GROUP);
    $dice->tell('number topic_id');
    # In every fourth game assignments are 15 seconds apart: after the first there is none.
    $dice->ask("IncrementalAlterConfigs 1 {resources: [{resource_type: 32, resource_name: \"$GROUP\", "
        . 'configs: [{name: "consumer.assignment.interval.ms", config_operation: 0, value: "15000"}]}]}')
        if $self->{seed} =~ /^(\d+)/ && $1 % 4 == 3;
    my $count = 0;
    for my $name (sort keys %PARTITIONS) {
        $dice->ask('Metadata 12 {topics: [{name: "' . $self->topic($name) . '"}]}');
        $dice->tell("let T$name = topics.0.topic_id");
        $self->{ids}{$count++} = $name;
    }
}

# ---- the consumer protocol ----

# [{topic_id, partitions}] of {name => [partitions]}
sub spoken {
    my ($owned) = @_;
    return '[' . join(', ', map { "{topic_id: \"\$T$_\", partitions: [" . join(', ', @{$owned->{$_}}) . ']}' }
        sort keys %$owned) . ']';
}

sub assigned {
    my ($self, $answer) = @_;
    my %owned;
    $answer =~ /assignment: \{(.*)\}/ or return undef;
    my $text = $1;
    $owned{$self->{ids}{$1}} = [split /, /, $2] while $text =~ /topic_id: #(\d+), partitions: \[([\d, ]*)\]/g;
    return \%owned;
}

sub subscription {
    my ($self) = @_;
    my $dice = $self->{dice};
    my @topics = grep { $dice->chance(60) } sort keys %PARTITIONS;
    @topics = ('ga') unless @topics;
    push @topics, 'nope' if $dice->chance(5);
    return join ', ', map { '"' . $self->topic($_) . '"' } @topics;
}

sub join_consumer {
    my ($self, $member) = @_;
    my $dice = $self->{dice};
    my $rest = ', rebalance_timeout_ms: 60000, topic_partitions: []';
    # Kafka resolves patterns aside, and the answer does not wait for it.
    $rest .= $dice->chance(3) ? ', subscribed_topic_regex: "("' : ', subscribed_topic_names: [' . $self->subscription . ']';
    $rest .= ', server_assignor: "' . $dice->weighed(8, 'range', 1, 'nope') . '"' ;
    $rest .= ', rack_id: "r"' if $dice->chance(10);
    return $rest;
}

# What a member may say at its epoch.
sub goes_on {
    my ($self, $member) = @_;
    my $dice = $self->{dice};
    my $rest = '';
    my %owned = %{$member->{owned}};
    if ($dice->chance(55)) {
        %owned = (%owned, gb => [0, 2]) if $dice->chance(5);
        delete $owned{ga} if $dice->chance(5);
        $rest .= ', rebalance_timeout_ms: 60000, topic_partitions: ' . spoken(\%owned);
    }
    $rest .= ', subscribed_topic_names: [' . $self->subscription . ']' if $dice->chance(15);
    $rest .= ', server_assignor: "range"' if $dice->chance(5);
    return $rest;
}

sub beat {
    my ($self) = @_;
    my $dice = $self->{dice};
    my $member = $dice->one(@{$self->{members}});
    my ($epoch, $rest) = ($member->{epoch}, '');
    if ($epoch < 0 || $dice->chance(5)) {
        # Oxbow goes on with what classic members hold when the group went back and comes over
        # again before they joined, Kafka with what they were to hold.
        $self->{over} = !(grep { $_->{epoch} > 0 } @{$self->{members}}) && grep { $_->{behind} } @{$self->{classics}};
        return if $self->{over};
        ($epoch, $rest) = (0, $self->join_consumer($member));
    } elsif ($dice->chance(8)) {
        $epoch = defined $member->{instance} ? $dice->one(-1, -2) : $dice->one(-1, -1, -1, -2);
    } else {
        $epoch += $dice->one(-1, 1, 3) if $dice->chance(6);
        $rest = $self->goes_on($member);
    }
    my $instance = defined $member->{instance} ? ", instance_id: \"$member->{instance}\"" : '';
    my $answer = $dice->ask('ConsumerGroupHeartbeat ' . $dice->one(1, 1, 1, 0)
        . " {group_id: \"$GROUP\", member_id: \"$member->{id}\", member_epoch: $epoch$instance$rest}");
    my $code = Dice::field($answer, 'error_code');
    if ($code eq '0') {
        $member->{epoch} = Dice::field($answer, 'member_epoch');
        $member->{owned} = $self->assigned($answer) // $member->{owned};
        $member->{owned} = {} if $member->{epoch} < 0;
        $self->{moved} ||= $epoch <= 0 || $rest =~ /subscribed/;
        $self->moved if $epoch >= 0;
    } elsif ($code =~ /^(25|82|110|111|69|68)$/) {
        ($member->{epoch}, $member->{owned}) = (-1, {});
    }
}

# A new assignment may ask classic members to give something up.
sub moved {
    my ($self, $by) = @_;
    return unless delete $self->{moved};
    $_->{behind} = 1 for grep { !$by || $_ != $by } @{$self->{classics}};
}

# ---- the classic protocol ----

# A consumer's subscription, as bytes: version 1 with what it owns.
sub metadata {
    my ($self, @topics) = @_;
    my $bytes = pack 'n N', 1, scalar @topics;
    $bytes .= pack 'n/a*', $self->topic($_) for @topics;
    $bytes .= pack 'N N', 0xffffffff, 0;
    return join '', map { sprintf '\\x%02x', ord } split //, $bytes;
}

# Partitions of ga, as an assignment's bytes; data: of the assignor.
sub part {
    my ($self, $data, @partitions) = @_;
    my $bytes = pack 'n N n/a*', 1, 1, $self->topic('ga');
    $bytes .= pack 'N N*', scalar @partitions, @partitions;
    $bytes .= pack 'N/a*', $data;
    return join '', map { sprintf '\\x%02x', ord } split //, $bytes;
}

sub join_classic {
    my ($self) = @_;
    my $dice = $self->{dice};
    my ($classic) = @{$self->{classics}} && $dice->chance(70) ? $dice->one(@{$self->{classics}}) : ();
    my $new = !$classic;
    return if $new && @{$self->{classics}} >= 3;
    # Without members of the consumer protocol it would wait for the others to join again.
    my $modern = grep { $_->{epoch} > 0 } @{$self->{members}};
    return if !$modern && grep { !$classic || $_ != $classic } @{$self->{classics}};
    if ($new) {
        my $number = ++$self->{joined};
        $classic = {let => "C" . ('A' .. 'Z')[$number % 26], known => 0, generation => -1,
            instance => $dice->chance(35) || $self->{loose} ? 's' . $dice->below(2) : undef};
    }
    my $version = $dice->one(2, 4, 5, 6, 7, 9);
    $version = $dice->one(5, 7, 9) if defined $classic->{instance};
    my $id = $classic->{known} ? "\$$classic->{let}" : '';
    my $instance = defined $classic->{instance} ? ", group_instance_id: \"$classic->{instance}\"" : '';
    my @topics = $dice->chance(70) ? ('ga') : ('ga', 'gb');
    my $names = $dice->weighed(6, ['range'], 2, ['range', 'roundrobin'], 1, ['roundrobin'], 1, ['other']);
    my $protocols = join ', ', map { "{name: \"$_\", metadata: \"" . $self->metadata(@topics) . '"}' } @$names;
    my $type = $dice->chance(4) ? 'connect' : 'consumer';
    my $answer = $dice->ask("JoinGroup $version {group_id: \"$GROUP\", session_timeout_ms: 45000, rebalance_timeout_ms: 60000, "
        . "member_id: \"$id\"$instance, protocol_type: \"$type\", protocols: [$protocols]}");
    my $code = Dice::field($answer, 'error_code');
    if ($code eq '0' || $code eq '79') {
        $dice->tell("let $classic->{let} = member_id");
        # Kafka may tell the id before it has written the new group.
        $dice->tell('wait 20') if $code eq '79';
        $classic->{known} = 1;
        $classic->{generation} = Dice::field($answer, 'generation_id');
        push @{$self->{classics}}, $classic if $new;
        $self->{moved} ||= $code eq '0';
        $self->moved($classic);
        $classic->{leads} = $answer =~ /members: \[\{/;
        $classic->{follows} = $code eq '0' && !$classic->{leads} && $answer !~ /leader: ""/;
        # Assignors go by the ids of dynamic members, which are random: there is one of them.
        $self->{loose} ||= !defined $classic->{instance};
    } elsif ($code =~ /^(25|82)$/) {
        @{$self->{classics}} = grep { $_ != $classic } @{$self->{classics}};
    }
    $self->sync($classic) if $code eq '0';
}

sub sync {
    my ($self, $classic) = @_;
    my $dice = $self->{dice};
    my $version = $dice->one(2, 3, 5);
    my $generation = $classic->{generation} + ($dice->chance(4) ? 1 : 0);
    my $next = 0;
    my $data = $dice->chance(5) ? 'mine' : '';
    my $parts = $classic->{leads} ? join ', ', map { "{member_id: \"\$$_->{let}\", assignment: \""
        . ($dice->chance(4) ? 'what' : $self->part($data, $next++)) . '"}' } grep { $_->{known} } @{$self->{classics}} : '';
    return if $classic->{follows}; # it would wait for its leader
    my $instance = $version >= 3 && defined $classic->{instance} ? ", group_instance_id: \"$classic->{instance}\"" : '';
    my $answer = $dice->ask("SyncGroup $version {group_id: \"$GROUP\", generation_id: $generation, member_id: \"\$$classic->{let}\"$instance, assignments: [$parts]}");
    $classic->{behind} = 0 if Dice::field($answer, 'error_code') eq '0';
}

sub beat_classic {
    my ($self) = @_;
    my $dice = $self->{dice};
    return $self->join_classic unless @{$self->{classics}};
    my $classic = $dice->one(@{$self->{classics}});
    my $generation = $classic->{generation} + ($dice->chance(6) ? $dice->one(-1, 1) : 0);
    my $instance = defined $classic->{instance} ? ", group_instance_id: \"$classic->{instance}\"" : '';
    my $answer = $dice->ask('Heartbeat ' . ($instance ? 3 : $dice->one(0 .. 4))
        . " {group_id: \"$GROUP\", generation_id: $generation, member_id: \"\$$classic->{let}\"$instance}");
    my $code = Dice::field($answer, 'error_code');
    @{$self->{classics}} = grep { $_ != $classic } @{$self->{classics}} if $code =~ /^(25|82)$/;
}

sub leave_classic {
    my ($self) = @_;
    my $dice = $self->{dice};
    return unless @{$self->{classics}};
    my $classic = $dice->one(@{$self->{classics}});
    my $answer;
    if (defined $classic->{instance} && $dice->chance(50)) {
        $answer = $dice->ask("LeaveGroup 4 {group_id: \"$GROUP\", members: [{member_id: \"\", group_instance_id: \"$classic->{instance}\"}]}");
    } elsif ($dice->chance(50)) {
        $answer = $dice->ask("LeaveGroup 5 {group_id: \"$GROUP\", members: [{member_id: \"\$$classic->{let}\", reason: \"dice\"}, {member_id: \"who\"}]}");
    } else {
        $answer = $dice->ask("LeaveGroup 1 {group_id: \"$GROUP\", member_id: \"\$$classic->{let}\"}");
    }
    @{$self->{classics}} = grep { $_ != $classic } @{$self->{classics}};
    $self->{loose} = 0 if !defined $classic->{instance} && $answer !~ /error_code: (?!0\b)(?!25.*"who")/;
}

# ---- beside them ----

# As whom to commit: {generation, member, instance}.
sub committer {
    my ($self) = @_;
    my $dice = $self->{dice};
    my @of = ('-1, member_id: ""');
    push @of, map { "$_->{epoch}, member_id: \"$_->{id}\"" } grep { $_->{epoch} >= 0 } @{$self->{members}};
    push @of, map { "$_->{generation}, member_id: \"\$$_->{let}\"" } @{$self->{classics}};
    push @of, '3, member_id: "who"' if $dice->chance(10);
    my $who = $dice->one(@of);
    $who =~ s/^(-?\d+)/$1 + $dice->one(-1, 1)/e if $dice->chance(10);
    return $who;
}

sub commit {
    my ($self) = @_;
    my $dice = $self->{dice};
    my ($name, $offset) = ($dice->one(sort keys %PARTITIONS), $dice->below(90));
    my $partition = $dice->below($PARTITIONS{$name});
    $dice->ask('OffsetCommit ' . $dice->one(2, 5, 7, 8, 9, 9, 9) . " {group_id: \"$GROUP\", generation_id_or_member_epoch: "
        . $self->committer . ', topics: [{name: "' . $self->topic($name)
        . "\", partitions: [{partition_index: $partition, committed_offset: $offset, committed_metadata: \"c\"}]}]}");
}

sub look {
    my ($self) = @_;
    my $dice = $self->{dice};
    my $who = $self->committer;
    $who =~ s/^(-?\d+), (.*)/$2, member_epoch: $1/;
    my $topic = $self->topic($dice->one(sort keys %PARTITIONS));
    $dice->ask($dice->weighed(
        5, "ConsumerGroupDescribe 1 {group_ids: [\"$GROUP\"]}",
        3, 'DescribeGroups ' . $dice->one(5, 6) . " {groups: [\"$GROUP\"]}",
        2, "OffsetFetch 7 {group_id: \"$GROUP\", topics: null}",
        2, "OffsetFetch 9 {groups: [{group_id: \"$GROUP\", $who, topics: null}]}",
        1, "OffsetDelete 0 {group_id: \"$GROUP\", topics: [{name: \"$topic\", partitions: [{partition_index: 0}]}]}",
        1, "DeleteGroups 2 {groups_names: [\"$GROUP\"]}"));
}

sub step {
    my ($self) = @_;
    my $what = $self->{dice}->weighed(50, 'beat', 8, 'join_classic', 8, 'beat_classic', 3, 'leave_classic', 10, 'commit', 16, 'look');
    $self->$what;
}

1;
