#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# As wire.t, for listeners that come and go while the broker runs, and for what is
# set for one of them alone: regress/wire/listeners/*.wire.
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;
use Wire;

my $here = "$Oxbow::TOP/regress/wire/listeners";
my %own = ('listener.name.plaintext.max.connections' => 500, 'num.network.threads' => 4,
    'sasl.enabled.mechanisms' => 'SCRAM-SHA-256');
sub start {
    my $port = Oxbow::free_port();
    return Oxbow->start(settings => {listeners => "PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:0",
        'advertised.listeners' => "PLAINTEXT://127.0.0.1:$port", 'controller.listener.names' => 'CONTROLLER',
        'inter.broker.listener.name' => 'PLAINTEXT',
        'listener.security.protocol.map' => 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT',
        %own});
}
sub kafka {
    return KafkaJars::start_broker(settings => join "\n", map { "$_=$own{$_}" } sort keys %own);
}
Wire::compare($here, \&start, \&kafka);
done_testing;
