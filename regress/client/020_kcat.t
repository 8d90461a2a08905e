#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# librdkafka through kcat: metadata, produce and consume with every codec, an
# idempotent producer, offsets by time, a group.
use strict;
use warnings;
use Oxbow;
use Test::More;

plan skip_all => 'no kcat' unless Oxbow::have('kcat');
my $ox = Oxbow->start or die 'no server';
my @kcat = ('timeout', '30', 'kcat', '-b', $ox->kafka);

sub kcat { return $ox->command(shift, @kcat, @_) }

my ($status, $out) = kcat('', '-L');
is($status, 0, 'metadata');
like($out, qr/broker 1 at 127\.0\.0\.1:\d+ \(controller\)/, 'names the broker');

my $lines = join '', map { "line $_\n" } 1 .. 5000;
for my $codec (qw(none gzip snappy lz4 zstd)) {
    ($status, $out) = kcat($lines, '-P', '-t', "codec-$codec", '-z', $codec);
    is($status, 0, "produce, $codec") or diag $out;
    ($status, $out) = kcat('', '-C', '-q', '-e', '-t', "codec-$codec");
    ok($out eq $lines, "consume, $codec");
}

($status, $out) = kcat($lines, '-P', '-t', 'exact', '-X', 'enable.idempotence=true', '-X', 'acks=all');
is($status, 0, 'an idempotent producer') or diag $out;
($status, $out) = kcat('', '-C', '-q', '-e', '-t', 'exact');
ok($out eq $lines, 'wrote everything once, in order');

kcat("k1:v1\nk2:v2\n", '-P', '-t', 'keyed', '-K:', '-H', 'h=1', '-X', 'acks=0');
($status, $out) = kcat('', '-C', '-q', '-e', '-t', 'keyed', '-f', '%o %k=%s %h\n');
is($out, "0 k1=v1 h=1\n1 k2=v2 h=1\n", 'keys, headers, acks=0');
($status, $out) = kcat('', '-Q', '-t', 'keyed:0:-1');
like($out, qr/keyed \[0\] offset 2/, 'latest offset');
($status, $out) = kcat('', '-Q', '-t', 'keyed:0:0');
like($out, qr/keyed \[0\] offset 0/, 'offset by time');
($status, $out) = kcat('', '-C', '-q', '-e', '-t', 'keyed', '-o', '1', '-f', '%s\n');
is($out, "v2\n", 'from an offset');

($status, $out) = kcat('', '-q', '-e', '-X', 'auto.offset.reset=earliest', '-G', 'readers', 'exact', 'keyed');
is(scalar(() = $out =~ /^line /mg), 5000, 'a group reads two topics');
($status, $out) = kcat('', '-q', '-e', '-X', 'auto.offset.reset=earliest', '-G', 'readers', 'exact', 'keyed');
unlike($out, qr/^line /m, 'and goes on from what it committed');

is($ox->stop, 0, 'the server stops in order');
done_testing;
