#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Runs every libFuzzer target for OX_FUZZ_SECONDS from its seeds and from what
# earlier runs learned (kept in the build folder). What a target dies of is kept
# in BUILD/fuzz-found/; it becomes a seed once it is mended.
use strict;
use warnings;
use Test::More;
use File::Path qw(make_path);

my ($top, $build) = ($ENV{OX_TOP}, $ENV{OX_BUILD});
my $seconds = $ENV{OX_FUZZ_SECONDS} // 20;
my @targets = grep { -f && -x } glob "$build/regress/fuzz/*";
plan skip_all => 'needs a build with --enable-fuzz' unless @targets;
@targets = grep { $ENV{OX_FUZZ_TARGETS} =~ /\b\Q$_\E\b/ } map { m{([^/]+)$} } @targets
    if $ENV{OX_FUZZ_TARGETS};

for my $path (@targets) {
    my ($name) = $path =~ m{([^/]+)$};
    my $seeds = "$top/regress/fuzz/seed/$name";
    my $corpus = "$build/fuzz-corpus/$name";
    my $found = "$build/fuzz-found";
    make_path($corpus, $found);
    my @words = ("$build/regress/fuzz/$name", "-max_total_time=$seconds", '-timeout=10',
        '-rss_limit_mb=1536', '-print_final_stats=1', "-artifact_prefix=$found/$name-", $corpus);
    push @words, $seeds if -d $seeds;
    my $pid = open(my $out, '-|') // die "fork: $!";
    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT or die;
        exec @words or POSIX::_exit(127);
    }
    my @lines = <$out>;
    close $out;
    my $status = $?;
    my ($runs) = map { /number_of_executed_units: (\d+)/ ? $1 : () } @lines;
    ok($status == 0, "$name: " . ($runs // '?') . " inputs in $seconds s");
    diag(join '', @lines > 60 ? @lines[-60 .. -1] : @lines) if $status != 0;
}
done_testing;
