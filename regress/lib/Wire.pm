# SPDX-License-Identifier: Apache-2.0
#
# Scripts of a folder of regress/wire are sent to Oxbow, and what comes back is
# compared with what a Kafka broker answered (expected/NAME.out). Where Oxbow
# differs on purpose, allowed/NAME.out has its own line below a comment that says
# why. With OX_KAFKA_ORACLE=1 a broker is asked again, side by side; with
# OX_WRITE_EXPECTED=1 too, its answers are kept.
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

sub same {
    my ($got, $want, $allowed, $sentence) = @_;
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
    ok(!@differ, $sentence) or diag join "\n", @differ;
}

# The scripts of the folder, one after the other against one server. start: starts
# Oxbow; kafka: starts a broker.
sub compare {
    my ($folder, $start, $kafka, @scripts) = @_;
    @scripts = map { m{([^/]+)\.wire$} } sort glob "$folder/*.wire" unless @scripts;
    my $ox = $start->() or die 'no server';
    my %ours = map { $_ => ask($folder, $ox->{kafka_port}, $_) } @scripts;
    same($ours{$_}, slurp("$folder/expected/$_.out"), allowed($folder, $_),
        "$_: as Kafka answered") for @scripts;
    is($ox->stop, 0, 'the server stops in order');
    return unless $ENV{OX_KAFKA_ORACLE};
SKIP: {
        my $broker = $kafka->() or skip 'no Kafka broker to be had', scalar @scripts;
        for my $script (@scripts) {
            my $theirs = ask($folder, $broker->{port}, $script);
            same($ours{$script}, $theirs, allowed($folder, $script), "$script: as Kafka answers now");
            next unless $ENV{OX_WRITE_EXPECTED};
            open my $out, '>', "$folder/expected/$script.out" or die $!;
            print $out $theirs;
        }
        KafkaJars::stop_broker($broker);
    }
}

1;
