#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# As wire.t, for regress/wire/admin: administration. The Kafka broker that is
# asked has a plugin, so that it offers client telemetry.
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;

my $here = "$Oxbow::TOP/regress/wire/admin";
my @scripts = map { m{([^/]+)\.wire$} } sort glob "$here/*.wire";

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/;
    return scalar <$in>;
}

sub ask {
    my ($port, $script) = @_;
    return scalar `timeout 120 $Oxbow::BUILD/regress/wire/wire 127.0.0.1 $port <$here/$script.wire 2>&1`;
}

sub same {
    my ($got, $want, $sentence) = @_;
    my @got = split /\n/, $got;
    my @want = split /\n/, $want;
    my @differ = grep { ($got[$_] // '') ne ($want[$_] // '') } 0 .. (@got > @want ? $#got : $#want);
    ok(!@differ, $sentence) or diag join "\n", map { ($got[$_] // 'nothing') . "\nexpected " . ($want[$_] // 'nothing') } @differ;
}

my $ox = Oxbow->start or die 'no server';
my %answers = map { $_ => ask($ox->{kafka_port}, $_) } @scripts;
same($answers{$_}, slurp("$here/expected/$_.out"), "$_: as Kafka answered") for @scripts;
is($ox->stop, 0, 'the server stops in order');

SKIP: {
    skip 'no Kafka broker asked for', scalar @scripts unless $ENV{OX_KAFKA_ORACLE};
    my $sink = KafkaJars::plugin('TelemetrySink');
    my $kafka = $sink && KafkaJars::start_broker(plugins => $sink,
        settings => 'metric.reporters=TelemetrySink')
        or skip 'no Kafka broker to be had', scalar @scripts;
    for my $script (@scripts) {
        my $theirs = ask($kafka->{port}, $script);
        same($answers{$script}, $theirs, "$script: as Kafka answers now");
        if ($ENV{OX_WRITE_EXPECTED}) {
            open my $out, '>', "$here/expected/$script.out" or die $!;
            print $out $theirs;
        }
    }
    KafkaJars::stop_broker($kafka);
}
done_testing;
