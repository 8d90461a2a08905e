#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Listeners are added and removed, loops too, while connections come and go on all of
# them: nobody of the others is hurt, and nothing is left behind.
use strict;
use warnings;
use IO::Socket::INET;
use Oxbow;
use Raw;
use Test::More;
use Time::HiRes qw(sleep time);

my %port = map { $_ => Oxbow::free_port() } qw(MAIN A B C);
my $ox = Oxbow->start(settings => {listeners => "MAIN://127.0.0.1:$port{MAIN}", 'num.network.threads' => 2,
    'listener.security.protocol.map' => 'MAIN:PLAINTEXT,A:PLAINTEXT,B:PLAINTEXT,C:SASL_PLAINTEXT',
    'advertised.listeners' => "MAIN://127.0.0.1:$port{MAIN}"}) or die 'no server';
my $rounds = $ENV{OX_LONG} ? 200 : 40;

# Asks one after the other on new connections, some of which are kept a while: 0 when none
# failed that must not.
sub visitor {
    my ($must, @names) = @_;
    my $until = time + 300;
    my ($failed, @kept) = (0);
    while (time < $until && kill 0, getppid()) {
        my $socket = dial($port{$names[rand @names]});
        my $good = $socket && send_all($socket, framed(pack('nnNn/a', 18, 0, 1, 'load'))) && length(receive($socket, 8, 20)) == 8;
        $failed++ if $must && !$good;
        push @kept, $socket if $good;
        splice @kept, rand @kept, 1 while @kept > 8;
        last if -e "$ox->{dir}.over";
    }
    return $failed;
}
my @visitors;
for my $who (['must', 'MAIN'], ['must', 'MAIN'], ['may', 'A', 'B', 'C'], ['may', 'A', 'B', 'C', 'MAIN']) {
    my ($must, @names) = @$who;
    my $pid = fork // die $!;
    push(@visitors, $pid), next if $pid;
    require POSIX;
    POSIX::_exit(visitor($must eq 'must', @names) ? 1 : 0);
}

my $main = dial($port{MAIN}) or die 'no connection';
sub ask {
    my ($op, $name, $value) = @_;
    my $configs = pack 'n/a C n/a', $name, $op, $value;
    my $body = pack('N C n/a N', 1, 4, '1', 1) . $configs . pack('C', 0);
    send_all($main, framed(pack('nnNn/a', 44, 0, 7, 'load') . $body));
    my $answer = receive($main, unpack('N', receive($main, 4, 60) || return 'closed'), 60);
    return unpack 'x4 x4 x4 n', $answer;
}
my %codes;
for my $round (1 .. $rounds) {
    my @there = grep { $_ eq 'MAIN' || rand() < 0.5 } qw(MAIN A B C);
    $codes{ask(0, 'listeners', join ',', map { "$_://127.0.0.1:$port{$_}" } @there)}++;
    $codes{ask(0, 'num.network.threads', 2 + int rand 3)}++ if $round % 3 == 0;
    $codes{ask(0, 'listener.name.a.max.connections', 1 + int rand 9)}++ if $round % 4 == 0;
}
is(join(' ', map { "$_: $codes{$_}" } sort keys %codes), '0: ' . ($rounds + int($rounds / 3) + int($rounds / 4)), 'every change is taken');
is(ask(0, 'listeners', "MAIN://127.0.0.1:$port{MAIN}"), 0, 'all go');
open my $over, '>', "$ox->{dir}.over" or die $!;
for my $pid (@visitors) {
    waitpid $pid, 0;
    is($?, 0, 'a visitor of the listener that stays was always served, others as far as they could be');
}
sub open_ones { return $ox->sql("SELECT count(*) FROM oxbow.connections WHERE protocol = 'kafka'") }
for (1 .. 100) {
    last if open_ones() eq '1';
    sleep 0.1;
}
is(open_ones(), 1, 'their connections are gone');
ok(!dial($port{$_}), "$_ does not listen") for qw(A B C);
is($ox->stop, 0, 'the server stops in order');
unlink "$ox->{dir}.over";
done_testing;
