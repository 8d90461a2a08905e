#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Servers with one thing broken, by failpoints: for each rule of 150_exactly_once.t
# there is one that must break it. Needs a build with --enable-fault (./check --all
# makes one); OX_MUTANTS names some of them.
use strict;
use warnings;
use Clients;
use Oxbow;

# Programs of failpoints, what is wrong with such a server, and the rules that must be
# seen broken; "late": only when the end is looked at.
my @mutants = (
    ['txn.wrong_aborted_list', 'Fetch does not say what was aborted',
        'nothing aborted is read', 'none is out of order'],
    ['txn.wrong_last_stable', 'readers of committed records see open transactions',
        'a live reader saw what stays, in that order'],
    ['txn.wrong_offsets', 'offsets of aborted transactions count, of committed ones do not',
        'the group is at the end'],
    ['txn.wrong_marker', 'what is committed is marked as aborted', 'none is lost'],
    ['txn.wrong_marker@9!', 'the same, in one partition', 'no transaction is torn'],
    ['txn.wrong_marker_lost@11', 'partitions get no markers', 'no transaction hangs'],
    ['txn.wrong_fencing', 'a coordinator does not look at epochs', 'late ends are refused'],
    ['txn.wrong_fencing txn.wrong_epoch txn.wrong_guard txn.wrong_sequence',
        'nobody looks at epochs', 'no zombie wrote, transactions are in order'],
    ['txn.wrong_recovery coord.marker=not_leader@3* txn.markers_again=crash@20',
        'a crash after a decision forgets it', 'none is lost'],
    ['fetch.wrong_offset', 'Fetch begins behind what was asked for', 'none is lost'],
    ['fetch.wrong_partition', 'Fetch answers with records of another partition',
        'key, value and partition are right'],
    ['coord.wrong_replay', 'offsets of before are those of a group after a restart',
        'committed offsets never go back'],
    ['kafka.wrong_end@40!', 'the end of a partition is for once told too low',
        'what committed readers may read never shrinks'],
    ['coord.append=not_coordinator@600', 'a coordinator takes no more commits',
        'all input is processed'],
    ['late exec.wrong_aborted', 'SQL reads what was aborted',
        'SQL reads as many, and nothing aborted'],
    ['late fetch.wrong_uncommitted', 'readers of uncommitted records miss some',
        'what is committed is there uncommitted too'],
    ['late fetch.wrong_offset@3*', 'readers miss something now and then',
        'the input is whole', 'read again, it is the same'],
    ['late server.stop=crash', 'a stop is a crash', 'the server stops in order'],
);

Clients::failpoints();
Clients::python(['confluent_kafka'], 'confluent-kafka');
@mutants = grep { $_->[0] =~ /$ENV{OX_MUTANTS}/ } @mutants if $ENV{OX_MUTANTS};

# The rules that this server breaks: {rule => 1}, of "topic: rule" the rule.
sub broken_rules {
    my ($program, $seconds) = @_;
    my $late = $program =~ s/^late //;
    my @points = map { /=/ ? $_ : s/^([^@]+)/$1=unknown_server_error/r } split ' ', $program;
    local $ENV{OX_MUTANT} = $late ? '' : join ',', @points;
    local $ENV{OX_MUTANT_LATE} = $late ? join ',', @points : '';
    local $ENV{OX_SECONDS} = $seconds;
    local $ENV{OX_LONG} = '';
    my @lines = `$^X -I$Oxbow::TOP/regress/lib $Oxbow::TOP/regress/client/150_exactly_once.t 2>&1`;
    return map { /^not ok \d+ - (?:eos-\w: )?(.*)/ ? ($1 => 1) : () } @lines;
}

print '1..', scalar(@mutants), "\n";
my ($at, $missed) = (0, 0);
for my $mutant (@mutants) {
    my ($program, $what, @rules) = @$mutant;
    my %broken;
    for my $round (1 .. 4) { # an unlucky round may show nothing
        %broken = broken_rules($program, 8 * $round);
        last if !grep { !$broken{$_} } @rules;
    }
    my @held = grep { !delete $broken{$_} } @rules;
    printf "%s %d - %s breaks: %s\n", @held ? 'not ok' : 'ok', ++$at, $what, join '; ', @rules;
    print "# held: $_\n" for @held;
    print "# and $_\n" for sort keys %broken;
    $missed++ if @held;
}
exit($missed ? 1 : 0);
