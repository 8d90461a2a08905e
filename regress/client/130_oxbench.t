#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# oxbench works: every mode runs on little data for a moment and prints its
# figures. What they are is not looked at.
use strict;
use warnings;
use Oxbow;
use Test::More;

my $bench = "$Oxbow::BUILD/oxbench";
plan skip_all => 'oxbench was not built' if !-x $bench;

my %least = (produce => 1, budget => 4, round => 1, latency => 2, consume => 4, scan => 6,
    insert => 1, cancel => 14, start => 2, memory => 3);
for my $mode (sort keys %least) {
    my @words = ($bench, $mode, qw(--json --small --seconds 0.01 --slices 1 --rows 2000));
    push @words, qw(--record 100 --batch 16384 --connections 1 --acks -1) if $mode eq 'produce';
    my $pid = open my $from, '-|', @words or die "$bench: $!";
    my @lines = grep { /^\{"figure"/ } <$from>;
    close $from;
    my $code = $? >> 8;
    ok(($code == 0 || $code == 3) && @lines >= $least{$mode}, "oxbench $mode runs")
        or diag("exit $code, " . scalar(@lines) . ' figures');
    is(scalar(grep { !/"unit": "[^"]+", "value": [-0-9.e+]+/ } @lines), 0, '... and its figures are JSON');
}
is(system("$bench nonsense 2>/dev/null") >> 8, 2, 'an unknown mode is refused');
done_testing;
