# SPDX-License-Identifier: Apache-2.0
#
# Asks servers what chance says: requests over a few topics, producers and groups,
# most of them right, some slightly wrong. What comes next depends on the seed and
# on what was answered so far, so that of the same answers the same questions
# follow. With two servers both are asked the same, one after the other.
package Dice;
use strict;
use warnings;
use IPC::Open2;
use Oxbow;
use Time::HiRes qw(sleep);

# ports: of the servers; the answers of the first decide how it goes on.
sub new {
    my ($class, $seed, @ports) = @_;
    my $self = bless {state => $seed * 7919 + 1, said => [], differ => [], wires => []}, $class;
    for my $port (@ports) {
        my $pid = open2(my $out, my $in, "$Oxbow::BUILD/regress/wire/wire", '127.0.0.1', $port);
        push @{$self->{wires}}, {pid => $pid, in => $in, out => $out};
    }
    $self->tell('hide cluster_id host port throttle_time_ms error_message timestamp node_id '
        . 'log_append_time_ms last_timestamp transaction_start_time_ms heartbeat_interval_ms '
        . 'acquisition_lock_timeout_ms acknowledge_error_message');
    return $self;
}

# Ends the programs; what was asked and answered, as text.
sub done {
    my ($self) = @_;
    for my $wire (@{$self->{wires}}) {
        close $wire->{in};
        close $wire->{out};
        waitpid $wire->{pid}, 0;
    }
    return join '', map { "$_\n" } @{$self->{said}};
}

# ---- chance: the same everywhere ----

sub below {
    my ($self, $n) = @_;
    $self->{state} = ($self->{state} * 1103515245 + 12345) % 2147483648;
    return int($self->{state} / 65536) % $n;
}

sub one {
    my ($self, @of) = @_;
    return $of[$self->below(scalar @of)];
}

# True in so many of a hundred.
sub chance { my ($self, $percent) = @_; return $self->below(100) < $percent }

# One of weight => thing.
sub weighed {
    my ($self, @pairs) = @_;
    my $sum = 0;
    $sum += $pairs[2 * $_] for 0 .. $#pairs / 2;
    my $at = $self->below($sum);
    while (@pairs) {
        my ($weight, $thing) = splice @pairs, 0, 2;
        return $thing if ($at -= $weight) < 0;
    }
}

# ---- the servers ----

# Topics of name => partitions, before the game begins.
sub make_topics {
    my ($self, %partitions) = @_;
    for my $name (sort keys %partitions) {
        $self->ask(qq(quiet CreateTopics 4 {topics: [{name: "$name", num_partitions: $partitions{$name}, )
            . 'replication_factor: 1}], timeout_ms: 10000}');
    }
    $self->tell('wait 500');
}

# Until the group's coordinator answers, and that of the transactional id, if any.
sub meet_coordinators {
    my ($self, $group, $id) = @_;
    $self->ask("retry 15 FindCoordinator 4 {key_type: 0, coordinator_keys: [\"$group\"]}");
    $self->ask("retry 15 FindCoordinator 4 {key_type: 1, coordinator_keys: [\"$id\"]}") if defined $id;
    $self->tell('wait 300');
    $self->ask("retry 14,15,16 OffsetFetch 7 {group_id: \"$group\", topics: null}");
    # The first id of a new server is 0, which reads as none.
    $self->ask('retry 14,15,16 quiet InitProducerId 5 {transactional_id: null, transaction_timeout_ms: 60000}') if defined $id;
}

# A line that is not answered.
sub tell {
    my ($self, $line) = @_;
    for my $wire (@{$self->{wires}}) {
        print {$wire->{in}} "$line\n";
        $wire->{in}->flush;
    }
}

# A request; the answer of the first server, without what was asked.
sub ask {
    my ($self, $line) = @_;
    $self->tell($line);
    return $self->heard($line);
}

# Names of topics that are in no order, of which only the first may be said.
sub names {
    my ($text) = @_;
    return $text =~ /and (\d+) additional/ ? "3 and $1" : join ', ', sort split /, /, $text;
}

sub heard {
    my ($self, $line) = @_;
    my @answers = map { scalar readline $_->{out} } @{$self->{wires}};
    defined or $_ = 'nothing' for @answers;
    chomp @answers;
    s/^\w+ -?\d+: // for @answers;
    # Classic members of consumer groups have ids of another shape.
    s/(member_id|leader): "[\w-]{22}"/$1: "<uuid>"/g for @answers;
    # Sets are in no order, those in an assignment's bytes neither.
    s/(?<= assignment: )"(.*)"/length($1) . ' letters'/e for @answers;
    s/(?<=topic_names: \[)("[^\]]*)/join ', ', sort split m{, }, $1/ge for @answers;
    s/(?<=partitions: \[)(\d[\d, ]*)/join ', ', sort { $a <=> $b } split m{, }, $1/ge for @answers;
    # Groups of others who play with the same server.
    s/\{group_id: "(?!\Q$self->{groups}\E)[^"]*", protocol_type: [^{}]*\}(?:, )?//g, s/, (?=\])//g
        for defined $self->{groups} ? @answers : ();
    s/(?<=topics are missing: )([^"]*)/names($1)/ge for @answers;
    # Whether a share group's partition without records is named is a matter of time.
    s/\{partition_index: \d+, error_code: 0, error_message: [^,]*, acknowledge_error_code: 0, [^{}]*\{[^{}]*\}, records: "", acquired_records: \[\]\}(?:, )?//g
        for @answers;
    s/\{topic_id: [^,]*, partitions: \[\]\}(?:, )?//g, s/, (?=\])//g
        for $line =~ /^ShareFetch/ ? @answers : ();
    push @{$self->{said}}, $line, "    $answers[0]";
    push @{$self->{differ}}, "$line\n  first  $answers[0]\n  second $answers[1]"
        if @answers > 1 && $answers[0] ne $answers[1];
    return $answers[0];
}

# What the answer has in such a field first, or undef.
sub field {
    my ($answer, $name) = @_;
    return $answer =~ /\b$name: ("?)([^",}\]]*)\1/ ? $2 : undef;
}

1;
