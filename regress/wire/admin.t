#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# As wire.t, for regress/wire/admin: administration. The Kafka broker that is
# asked has a plugin, so that it offers client telemetry.
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;
use Wire;

my $here = "$Oxbow::TOP/regress/wire/admin";
sub kafka {
    my $sink = KafkaJars::plugin('TelemetrySink') or return undef;
    return KafkaJars::start_broker(plugins => $sink, settings => 'metric.reporters=TelemetrySink');
}
Wire::compare($here, sub { Oxbow->start }, \&kafka);
done_testing;
