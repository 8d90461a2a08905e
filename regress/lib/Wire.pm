# SPDX-License-Identifier: Apache-2.0
#
# Scripts of a folder of regress/wire are sent to Oxbow, and what comes back is
# compared with what a Kafka broker answered (expected/NAME.out). Where Oxbow
# differs on purpose, allowed/NAME.out has its own line below a comment that says
# why. With OX_KAFKA_ORACLE=1 a broker is asked again, side by side; with
# OX_WRITE_EXPECTED=1 too, its answers are kept. What a broker answers may depend on
# how its threads come to run: where it differs a fresh one is asked the script, and
# only what differs from each of three is a difference.
package Wire;
use strict;
use warnings;
use Oxbow qw(slurp);
use KafkaJars;
use Test::More;

sub ask {
    my ($folder, $port, $script) = @_;
    my $limit = $ENV{OX_WIRE_TIMEOUT} // 300;
    return scalar `timeout $limit $Oxbow::BUILD/regress/wire/wire 127.0.0.1 $port <$folder/$script.wire 2>&1`;
}

# Lines that may be as they are: {line => 0 until it was seen}.
sub allowed {
    my ($folder, $script) = @_;
    return {map { $_ => 0 } grep { !/^(#|$)/ } split /\n/, slurp("$folder/allowed/$script.out")};
}

# Lines by what was asked, which stands before the first ": " (and how often before).
sub by_question {
    my ($text) = @_;
    my (%count, %answer, @order);
    for my $line (split /\n/, $text) {
        my ($question) = split /: /, $line;
        my $place = ($question // '') . ' #' . ++$count{$question // ''};
        $answer{$place} = $line;
        push @order, $place;
    }
    return (\%answer, \@order);
}

# The lines of got that are not those of want, with those.
sub differences {
    my ($got, $want, $allowed) = @_;
    my ($ours, $asked) = by_question($got);
    my ($theirs, $known) = by_question($want);
    my @differ;
    for my $place (@$asked, grep { !exists $ours->{$_} } @$known) {
        my ($our, $their) = ($ours->{$place} // 'nothing', $theirs->{$place} // 'nothing');
        next if $our eq $their || exists $allowed->{$our} && ++$allowed->{$our};
        next if $our eq 'nothing' && exists $allowed->{"not: $their"} && ++$allowed->{"not: $their"};
        push @differ, "$our\nexpected $their";
    }
    push @differ, map { "is allowed, but does not come: $_" } grep { !$allowed->{$_} } sort keys %$allowed;
    return @differ;
}

sub same {
    my ($got, $want, $allowed, $sentence) = @_;
    my @differ = differences($got, $want, $allowed);
    ok(!@differ, $sentence) or diag join "\n", @differ;
}

# One script of a broker that runs, and of fresh ones while it differs. Answers with
# the broker that runs then.
sub same_as_broker {
    my ($folder, $ours, $broker, $kafka, $script) = @_;
    for my $round (1 .. 3) {
        my @differ = differences($ours, ask($folder, $broker->{port}, $script), allowed($folder, $script));
        my $last = !@differ || $round == 3;
        ok(!@differ, "$script: as Kafka answers now") if $last;
        diag "$script, broker $round:\n", join "\n", @differ if @differ;
        return $broker if $last;
        KafkaJars::stop_broker($broker);
        $broker = $kafka->() or die 'no Kafka broker any more';
    }
}

# The scripts of the folder, one after the other against one server. start: starts
# Oxbow; kafka: starts a broker.
sub compare {
    my ($folder, $start, $kafka, @scripts) = @_;
    @scripts = map { m{([^/]+)\.wire$} } sort glob "$folder/*.wire" unless @scripts;
    my $ox = $start->() or die 'no server';
    my %ours = map { $_ => ask($folder, $ox->{kafka_port}, $_) } @scripts;
    for my $script (@scripts) {
        same($ours{$script}, slurp("$folder/expected/$script.out"), allowed($folder, $script),
            "$script: as Kafka answered");
    }
    is($ox->stop, 0, 'the server stops in order');
    return unless $ENV{OX_KAFKA_ORACLE};
SKIP: {
        my $broker = $kafka->() or skip 'no Kafka broker to be had', scalar @scripts;
        for my $script (@scripts) {
            if ($ENV{OX_WRITE_EXPECTED}) {
                open my $out, '>', "$folder/expected/$script.out" or die $!;
                print $out ask($folder, $broker->{port}, $script);
                next;
            }
            $broker = same_as_broker($folder, $ours{$script}, $broker, $kafka, $script);
        }
        KafkaJars::stop_broker($broker);
    }
}

1;
