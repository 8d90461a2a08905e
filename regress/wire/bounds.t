#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Groups at their bounds, regress/wire/bounds/*.wire: full ones, settings, offsets that a
# minute ends; and between the protocols under each policy (policy.wire).
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;
use Wire;

my $here = "$Oxbow::TOP/regress/wire/bounds";
my %settings = ('group.max.size' => 3, 'group.consumer.max.size' => 2, 'group.share.max.size' => 2,
    'group.streams.max.size' => 2, 'offsets.retention.minutes' => 1, 'offsets.retention.check.interval.ms' => 1000,
    'group.streams.initial.rebalance.delay.ms' => 0);
$settings{"group.$_.min.session.timeout.ms"} = 6000 for qw(consumer share streams);
$settings{"group.$_.assignment.interval.ms"} = 0 for qw(consumer share streams);
# Kafka would assign a little later otherwise.
my $at_once = join "\n", map { "group.$_.assignor.offload.enable=false" } qw(consumer share streams);

sub kafka {
    my (%with) = @_;
    delete $with{'group.streams.initial.rebalance.delay.ms'};
    return KafkaJars::start_broker(settings => join "\n", $at_once, map { "$_=$with{$_}" } sort keys %with);
}

my @scripts = ('settings', 'sizes', $ENV{OX_LONG} || $ENV{OX_KAFKA_ORACLE} ? 'expire' : ());
Wire::compare($here, sub { Oxbow->start(settings => \%settings) }, sub { kafka(%settings) }, @scripts);

for my $policy (qw(disabled upgrade downgrade bidirectional)) {
    my %with = ('group.consumer.migration.policy' => $policy, 'group.consumer.assignment.interval.ms' => 0);
    my $ox = Oxbow->start(settings => \%with) or die 'no server';
    my $ours = Wire::ask($here, $ox->{kafka_port}, 'policy');
    is($ox->stop, 0, 'the server stops in order');
    my $same = sub {
        my ($wanted, $sentence) = @_;
        my @differ = Wire::differences($ours, $wanted, {});
        ok(!@differ, $sentence) or diag join "\n", @differ;
    };
    if ($ENV{OX_KAFKA_ORACLE} && (my $broker = kafka(%with))) {
        my $theirs = Wire::ask($here, $broker->{port}, 'policy');
        KafkaJars::stop_broker($broker);
        $same->($theirs, "$policy: as Kafka answers now");
        if ($ENV{OX_WRITE_EXPECTED}) {
            open my $out, '>', "$here/expected/policy-$policy.out" or die $!;
            print $out $theirs;
        }
    }
    $same->(Oxbow::slurp("$here/expected/policy-$policy.out"), "$policy: as Kafka answered");
}
done_testing;
