#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Servers with one rule of transactions broken, by a failpoint: each must be
# noticed by 150_exactly_once.t. Needs a build with --enable-fault.
use strict;
use warnings;
use Clients;
use Oxbow;

my %mutants = (
    'txn.wrong_aborted_list' => 'Fetch does not say what was aborted',
    'txn.wrong_last_stable' => 'readers of committed records see open transactions',
    'txn.wrong_offsets' => 'offsets of aborted transactions count, of committed ones do not',
    'txn.wrong_offsets@7!' => 'the same, once',
    'txn.wrong_marker' => 'what is committed is marked as aborted',
    'txn.wrong_marker@9!' => 'the same, in one partition',
    'txn.wrong_marker_lost@11!' => 'a partition gets no marker',
    'txn.wrong_fencing' => 'a coordinator does not look at epochs',
);
my $config = "$Oxbow::BUILD/config.h";
open my $in, '<', $config or Clients::skip('no config.h');
Clients::skip('not built with --enable-fault') unless grep { /^#define OX_FAULT 1/ } <$in>;
Clients::python(['confluent_kafka'], 'confluent-kafka');
print '1..', scalar(keys %mutants), "\n";
my ($at, $missed) = (0, 0);
for my $mutant (sort keys %mutants) {
    my ($name, $when) = $mutant =~ /^([^@]+)(.*)$/;
    my ($seen, $rules) = (0, '');
    for my $round (1 .. 4) { # an unlucky round may show nothing
        local $ENV{OX_MUTANT} = "$name=unknown_server_error$when";
        local $ENV{OX_SECONDS} = 8 * $round;
        my @lines = `$^X -I$Oxbow::TOP/regress/lib $Oxbow::TOP/regress/client/150_exactly_once.t 2>&1`;
        my @broken = map { /^not ok \d+ - (.*)/ ? $1 : () } @lines;
        next unless @broken;
        ($seen, $rules) = (1, join '; ', @broken);
        last;
    }
    printf "%s %d - %s\n# %s\n", $seen ? 'ok' : 'not ok', ++$at, $mutants{$mutant}, $rules;
    $missed++ unless $seen;
}
exit($missed ? 1 : 0);
