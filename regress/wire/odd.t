#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# As wire.t, for regress/wire/odd: behaviours that brokers most often get wrong, and
# requests that contradict themselves.
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;
use Wire;

Wire::compare("$Oxbow::TOP/regress/wire/odd", sub { Oxbow->start }, \&KafkaJars::start_broker);
done_testing;
