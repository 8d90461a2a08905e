#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The example of doc/kafka/security.md, as it stands there: a shell runs each of
# its blocks in an empty folder, with other ports.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use Oxbow;
use Test::More;

Oxbow::have($_) or plan skip_all => "no $_" for qw(openssl kcat);
open my $in, '<', "$Oxbow::TOP/doc/kafka/security.md" or die;
my $text = do { local $/; <$in> };
my @blocks = $text =~ /^```sh\n(.*?)^```$/msg;
is(scalar @blocks, 4, 'its blocks');
my ($kafka, $sql, $http) = map { Oxbow::free_port() } 1 .. 3;
s/\b9092\b/$kafka/g, s/\b9432\b/$sql/g for @blocks;
$blocks[1] =~ s/^oxbow -D data$/oxbow -D data -c sql_port=$sql -c http_port=$http >ready 2>diag &\necho \$! >pid/m
    or die 'no server is started';

my $dir = tempdir('example-XXXXXX', DIR => Oxbow::tmp(), CLEANUP => 1);
my $ready = 'for i in $(seq 600); do grep -q ready ready && break; sleep 0.1; done';
open my $to, '>', "$dir/script" or die;
print $to join "\n", 'set -e', $blocks[0], $blocks[1], $ready, @blocks[2, 3];
close $to;
my $build = abs_path($Oxbow::BUILD);
delete @ENV{grep { /^PG/ } keys %ENV};
my $out = `cd $dir && PATH=$build:\$PATH timeout 120 bash script 2>&1`;
is($? >> 8, 0, 'all of them run') or diag $out;
like($out, qr/^tea$/m, 'the client reads what SQL wrote') or diag $out;
if (open my $file, '<', "$dir/pid") {
    chomp(my $pid = <$file>);
    kill 'TERM', $pid;
    for (1 .. 300) { last unless kill 0, $pid; select undef, undef, undef, 0.1 }
    ok(!kill(0, $pid), 'the server stops');
}
done_testing;
