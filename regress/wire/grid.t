#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The request grid, regress/wire/grid: each API in each version, and with each
# field wrong. Each script has a server of its own: its groups and topics are new.
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;
use Wire;

my $here = "$Oxbow::TOP/regress/wire/grid";
Wire::compare($here, sub { Oxbow->start }, \&KafkaJars::start_broker, $_)
    for map { m{([^/]+)\.wire$} } sort glob "$here/*.wire";
done_testing;
