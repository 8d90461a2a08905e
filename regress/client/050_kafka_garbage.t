#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Requests of real clients with bytes changed, cut short, glued together, sent to
# a running server and often not waited for: it must go on serving.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Oxbow;
use Test::More;

my $ox = Oxbow->start or die 'no server';
my $rounds = $ENV{OX_LONG} ? 200 : 25;
srand 20261121;

my @frames;
for my $path (sort glob "$Oxbow::TOP/regress/wire/frames/*") {
    open my $in, '<:raw', $path or die "$path: $!";
    local $/;
    push @frames, scalar <$in>;
}

sub dial { return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ox->{kafka_port}) }

sub framed { return pack('N', length $_[0]) . $_[0] }

sub changed {
    my ($bytes) = @_;
    for (1 .. 1 + int rand 3) {
        # The first four bytes name the API and version: mostly left alone.
        my $at = rand() < 0.1 ? int rand length $bytes : 8 + int rand(length($bytes) - 8);
        substr($bytes, $at, 1) = chr int rand 256 if $at < length $bytes;
    }
    $bytes = substr $bytes, 0, 8 + int rand(length($bytes) - 8) if rand() < 0.2;
    return $bytes;
}

# ApiVersions 0 on a new connection.
sub serves {
    my $socket = dial() or return 0;
    print $socket framed(pack 'nnNn', 18, 0, 77, 0);
    $socket->flush;
    return 0 unless IO::Select->new($socket)->can_read(10);
    sysread $socket, my $answer, 8;
    return length $answer == 8 && unpack('x4N', $answer) == 77;
}

ok(serves(), 'the server serves');
for my $round (1 .. $rounds) {
    for my $frame (@frames) {
        my $socket = dial() or next;
        my $bytes = framed(changed($frame));
        $bytes .= framed(changed($frames[rand @frames])) if rand() < 0.3;
        $bytes = pack('N', int rand 2**32) . substr $bytes, 4 if rand() < 0.05;
        local $SIG{PIPE} = 'IGNORE';
        syswrite $socket, $bytes;
        sysread $socket, my $answer, 65536
            if rand() < 0.2 && IO::Select->new($socket)->can_read(0.02);
        close $socket;
    }
    last unless $ox->alive;
}
ok($ox->alive, scalar(@frames) * $rounds . ' broken requests later it is alive');
ok(serves(), 'and serves');

my $garbage = dial();
syswrite $garbage, join '', map { chr int rand 256 } 1 .. 5000;
my @silent = map { dial() } 1 .. 200;
syswrite $_, "\0\0" for @silent;
ok(serves(), 'with 200 connections that never finish their length');
close $_ for @silent;
is($ox->stop, 0, 'it stops in order');
done_testing;
