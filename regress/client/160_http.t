#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The HTTP door: its library is loaded for the first connection, and none of that
# is seen from outside: the port listens from the start, first answers are whole,
# a server stops in order whether it was asked or not.
use strict;
use warnings;
use IO::Socket::INET;
use Oxbow;
use Test::More;

my $ox = Oxbow->start or BAIL_OUT('no server');

sub asked {
    my ($request) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ox->{http_port},
        Timeout => 30) or die "no connection: $!";
    print $socket "$request HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    return $socket;
}

sub answer {
    my ($socket) = @_;
    local $/;
    return <$socket> // '';
}
sub ask { return answer(asked(@_)) }

sub libraries {
    open my $in, '<', "/proc/$ox->{pid}/maps" or return '';
    local $/;
    return <$in>;
}

unlike(libraries(), qr/libmicrohttpd|libcurl|libsnappy/, 'an idle server has not loaded them');
like(ask('GET /healthz'), qr{^HTTP/1.1 200 .*\r\n\r\nok\n$}s, 'the first request: healthy');
like(ask('GET /metrics'), qr{^HTTP/1.1 200 .*^oxbow_\w+.* \d}ms, 'metrics');
like(ask('HEAD /metrics'), qr{^HTTP/1.1 200 .*\r\n\r\n$}s, 'HEAD');
like(ask('GET /nothing'), qr{^HTTP/1.1 404 }, 'another path');
like(ask('POST /metrics'), qr{^HTTP/1.1 405 }, 'another method');
like(libraries(), qr/libmicrohttpd/, 'now it is loaded');
is($ox->stop, 0, 'it stops in order');
ok($ox->run, 'and starts again');
is($ox->stop, 0, 'a server that nobody asked stops in order');
SKIP: {
    skip 'no prlimit', 4 unless Oxbow::have('prlimit');
    $ox->run or BAIL_OUT('no server');
    my $free = 0;
    $free++ while -l "/proc/$ox->{pid}/fd/$free";
    is(system('prlimit', '--pid', $ox->{pid}, "--nofile=$free:"), 0, 'no descriptor is free');
    my $first = asked('GET /healthz');
    Oxbow::comes_to(sub { Oxbow::tail($ox->{diag}) =~ /HTTP is not served/ ? 1 : 0 }, 1, 'who asks first is not served');
    system('prlimit', '--pid', $ox->{pid}, '--nofile=1000:');
    like(answer($first), qr{^HTTP/1.1 200 }, 'until there are some');
    is($ox->stop, 0, 'the server stops in order');
}
done_testing;
