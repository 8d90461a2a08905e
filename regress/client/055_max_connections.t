#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# max.connections, of the node and of a listener: one more than that waits until
# another is closed or the number is raised; the listener between brokers does not
# wait for the node: those of others that were silent longest are closed for it.
use strict;
use warnings;
use KafkaJars;
use Oxbow;
use Raw;
use Test::More;
use Time::HiRes qw(sleep time);

my %port = map { $_ => Oxbow::free_port() } qw(MAIN OWN INTER);
my $ox = Oxbow->start(settings => {
    listeners => join(',', map { "$_://127.0.0.1:$port{$_}" } sort keys %port),
    'listener.security.protocol.map' => join(',', map { "$_:PLAINTEXT" } sort keys %port),
    'inter.broker.listener.name' => 'INTER', 'max.connections' => 10,
    'listener.name.own.max.connections' => 2, 'listener.name.inter.max.connections' => 4}) or die 'no server';

# A connection that has sent a request; whether it is answered.
sub call {
    my $socket = dial($port{$_[0]}) or die "no connection to $_[0]";
    send_all($socket, framed(pack('nnNn/a', 18, 0, 1, 'few')));
    return $socket;
}
sub answered { return length receive($_[0], 8, $_[1]) == 8 }
sub waits { return !answered($_[0], 0.5) && !closed_within($_[0], 0.1) }

# One after the other, so that it is known who was silent longest.
sub served {
    my ($listener, $count, $sentence) = @_;
    return map { my $socket = call($listener); ok(answered($socket, 20), $sentence); $socket } 1 .. $count;
}

my @own = served('OWN', 2, 'a listener with a number of its own serves so many');
my $third = call('OWN');
ok(waits($third), 'one more waits');
my $session = pg_dial($ox->{sql_port});
my @main = served('MAIN', 7, 'another listener serves');
my $eighth = call('MAIN');
ok(waits($eighth), 'until the node has as many as it may: one more waits');
ok(waits($third), 'the other one still does');
my @inter = served('INTER', 4, 'those of the listener between brokers do not wait for the node');
ok(closed_within($_, 20), 'as many that were silent longest are closed') for @own, splice @main, 0, 2;
ok(!closed_within($_, 0.1), 'no others') for @main, @inter;
@own = ();
ok(waits($_), 'nobody comes in for them') for $third, $eighth;
close $_ for $third, $eighth;
my $fifth = call('INTER');
ok(waits($fifth), 'but for their own number');
close shift @inter;
ok(answered($fifth, 20), 'one is closed: the next is served');
push @inter, $fifth;
for (1 .. 10) { # who gave up waiting may have been let in, and somebody closed for him
    $eighth = call('MAIN');
    last unless answered($eighth, 1);
    push @main, $eighth;
}
@main = grep { !closed_within($_, 0.1) } @main;
$third = call('OWN');
ok(waits($_), 'a place of its own does not help where the node has none') for $third, $eighth;
pg_simple($session, 'ALTER SYSTEM SET max_connections = 40');
ok(answered($eighth, 20), 'the number is raised: who waited is served');
ok(answered($third, 20), 'on each listener');
push @own, $third;
pg_simple($session, 'ALTER SYSTEM SET max_connections = 10');
ok(closed_within($_, 20), 'lowered: who was silent longest is closed') for splice @main, 0, 2;
my $later = call('MAIN');
ok(waits($later), 'new ones wait');
ok(!closed_within($_, 0.1), 'the others stay') for $eighth, $third, @main, @inter;
close $_ for @own, @inter, splice @main, 0, 3;
ok(answered($later, 20), 'until enough are closed');
my ($seen, @messages) = pg_simple($session, "SELECT met > 0 FROM oxbow.limits WHERE name = 'connections'");
is(join('', map { unpack 'x2 N/a', $_->[1] } grep { $_->[0] eq 'D' } @messages), 't', 'that was counted');

# Many that come and go while the listener is full.
close $_ for @main, $eighth, $later;
for (1 .. 200) {
    my @few = map { call('OWN') } 1 .. 3;
    close $few[$_ % 2];
    $few[$_ % 2] = undef;
    ok(0, "round $_: one was forgotten"), last if grep { !answered($_, 30) } grep { defined } @few;
}
ok(answered(call('OWN'), 20), 'nobody is forgotten');
is($ox->stop, 0, 'the server stops in order, with some that wait');
done_testing;
