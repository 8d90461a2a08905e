#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# What any client sees: regress/wire/*.wire, as Apache Kafka answers.
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;
use Wire;

Wire::compare("$Oxbow::TOP/regress/wire", sub { Oxbow->start }, \&KafkaJars::start_broker);
done_testing;
