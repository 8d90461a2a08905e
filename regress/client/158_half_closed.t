#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A SQL client that sends what it has to say, closes its side and reads: it gets all that it
# asked for, as from PostgreSQL, and then the end. One that is gone altogether looks the
# same until something is sent to it; its statement ends soon all the same.
use strict;
use warnings;
use Oxbow;
use Raw;
use Test::More;
use Time::HiRes qw(sleep time);

my $ox = Oxbow->start or die 'no server';
my $port = $ox->{sql_port};

# Sends that in a session, closes this side, reads nothing for a while, then everything to
# the end: the types of messages, runs of one type counted, without the parameters that
# tell whether anybody is there.
sub said {
    my ($bytes) = @_;
    my $socket = pg_dial($port) or die 'no session';
    send_all($socket, $bytes);
    shutdown $socket, 1;
    sleep 0.5;
    my ($all, $seen) = ('', '');
    while (1) {
        my $more = receive($socket, 1 << 20, 60);
        $all .= $more;
        last if length $more < 1 << 20;
    }
    my ($at, $type, %count, @runs) = (0);
    while ($at + 5 <= length $all) {
        my ($kind, $len) = unpack 'aN', substr $all, $at, 5;
        $at += 1 + $len;
        next if $kind eq 'S';
        push @runs, [$kind, 0] unless @runs && $runs[-1][0] eq $kind;
        $runs[-1][1]++;
    }
    return join('', map { $_->[1] > 1 ? "$_->[0]$_->[1]" : $_->[0] } @runs) . ($at == length $all ? '' : ', cut');
}
sub query { return pg_message('Q', "$_[0]\0") }
sub extended {
    return pg_message('P', "\0$_[0]\0" . pack 'n', 0) . pg_message('B', "\0\0" . pack 'nnn', 0, 0, 0)
        . pg_message('E', "\0" . pack 'N', 0) . pg_message('S', '');
}

# ---- what was asked for comes ----

my $wide = "SELECT repeat('x', 1000) FROM generate_series(1, 30000) g";
is(said(query('SELECT 1')), 'TDCZ', 'a row');
is(said(query($wide)), 'TD30000CZ', 'thirty megabytes, which nobody reads for a while');
is(said(query("COPY ($wide) TO STDOUT")), 'Hd30000cCZ', 'as much from COPY');
is(said(extended($wide)), '12D30000CZ', 'the same in the extended protocol');
is(said(query('SELECT pg_sleep(1)')), 'TDCZ', 'what takes a while');
is(said(query('SELECT pg_sleep(0.5)') . query('SELECT 2') . extended('SELECT 3')), 'TDCZTDCZ12DCZ', 'and what was sent behind it');
is(said(query("$wide LIMIT 3000") . query('SELECT 2') . pg_message('X', '')), 'TD3000CZTDCZ', 'also before a Terminate');
is(said(query('SELECT nothing')), 'EZ', 'an error');
$ox->sql('CREATE TOPIC halves');
is(said(query('COPY halves (_value) FROM STDIN') . pg_message('d', "v\n") x 20000 . pg_message('c', '')), 'GCZ', 'COPY takes what was sent');
is($ox->sql('SELECT count(*) FROM halves'), 20000, 'all of it');
is(said(query('COPY halves (_value) FROM STDIN') . pg_message('d', "v\n")), 'G', 'but without its end it takes nothing');
is($ox->sql('SELECT count(*) FROM halves'), 20000, 'indeed');

# ---- who is gone is not kept ----

sub sessions {
    my ($most) = @_;
    my ($count, $until) = (undef, time + 30);
    do {
        $count = $ox->sql(q(SELECT count(*) FROM oxbow.connections WHERE protocol = 'sql'));
        return $count if $count <= $most;
        sleep 0.2;
    } while time < $until;
    return $count;
}
is(sessions(1), 1, 'none of these sessions is left');
for my $how ('at once', 'its own side first') {
    my @gone = map { pg_dial($port) } 1 .. 4;
    my @endless = (query('SELECT pg_sleep(1000)'), query('SUBSCRIBE TO halves'), query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000000)) TO STDOUT"),
        extended('SELECT pg_sleep(1000)'));
    send_all($gone[$_], $endless[$_]) for 0 .. 3;
    sleep 0.5;
    if ($how ne 'at once') {
        shutdown $_, 1 for @gone;
        sleep 1;
        is(sessions(5), 5, 'who closed its own side is served');
    }
    close $_ for @gone;
    is(sessions(1), 1, "who goes, $how, is noticed");
}
is($ox->stop, 0, 'it stops in order');
done_testing;
