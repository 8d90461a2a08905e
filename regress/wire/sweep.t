#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# As wire.t, with a look at groups that may go every second:
# regress/wire/sweep/*.wire.
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;
use Wire;

my %settings = ('offsets.retention.check.interval.ms' => 1000);
Wire::compare("$Oxbow::TOP/regress/wire/sweep",
    sub { return Oxbow->start(settings => {%settings, 'group.initial.rebalance.delay.ms' => 0}) },
    sub { return KafkaJars::start_broker(settings => join '', map { "$_=$settings{$_}\n" } keys %settings) });
done_testing;
