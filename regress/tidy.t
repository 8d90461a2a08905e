#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Checks of the tree itself: layers, homes of libraries, names, sizes.
use strict;
use warnings;
use Test::More;

my $top = $ENV{OX_TOP} // '.';
chdir $top or die "$top: $!";
my @folders = qw(base gen loop row log net meta auth replica coord share engine exec sql kafka pgwire server);
my %rank = map { $folders[$_] => $_ } 0 .. $#folders;
my @sources = grep { !/\.gen\./ } glob('src/*/*.c src/*/*.h');

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!";
    local $/;
    return scalar <$in>;
}
my %text = map { $_ => slurp($_) } @sources;

sub strays {
    my ($pattern, $allowed) = @_;
    return grep { $_ !~ $allowed && do { (my $code = $text{$_}) =~ s{/\*.*?\*/}{}gs; $code =~ $pattern } }
        sort keys %text;
}

# A folder includes itself and the folders before it; the two doors never meet.
my @wrong;
for my $path (sort keys %text) {
    my ($folder) = $path =~ m{^src/([^/]+)/};
    while ($text{$path} =~ /^#include "([a-z]+)\/[^"]+"/mg) {
        my $other = $1;
        next if $other eq $folder;
        push @wrong, "$path includes $other/"
            if !exists $rank{$other}
            || ($folder =~ /^(shell|tool)$/ ? 0 : $rank{$other} > ($rank{$folder} // 99))
            || ($folder eq 'shell' && $other ne 'base')
            || ($folder eq 'pgwire' && $other eq 'kafka');
    }
}
is_deeply(\@wrong, [], 'folders include only those before them');

my @homes = (
    [qr/\bsqlite3_\w+\s*\(/, qr{^src/meta/(catalog|raft_store|vfs|queries|sqlite)}, 'sqlite3_* lives in meta/'],
    [qr/\braft_(?!store|node|io_|id\b)\w+\s*\(/, qr{^src/meta/}, 'raft_* lives in meta/'],
    [qr/\bSSL_\w+\s*\(/, qr{^src/net/tls}, 'SSL_* lives in net/tls.c'],
    [qr/\buv_\w+\s*\(/, qr{^src/(loop|net)/}, 'uv_* lives in loop/ and net/'],
    [qr/\bZSTD_\w+\s*\(/, qr{^src/base/codec\.c$}, 'ZSTD_* lives in base/codec.c'],
    [qr/\bdlopen\s*\(/, qr{^src/(base/late|engine/module)\.c$}, 'dlopen lives in base/late.c and engine/module.c'],
    [qr/(?<![\w.>])(malloc|calloc|realloc)\s*\(/, qr{^src/(base|meta/raft|shell|tool)}, 'malloc lives in base/'],
    [qr/\b(clock_gettime|gettimeofday)\s*\(/, qr{^src/(base|loop|shell|tool)/}, 'clocks live in base/'],
    [qr/(?<![\w>.])(rand|random|srand)\s*\(\s*\)/, qr{^src/base/}, 'randomness lives in base/'],
);
for my $home (@homes) {
    my ($pattern, $allowed, $sentence) = @$home;
    is_deeply([strays($pattern, $allowed)], [], $sentence);
}

my %seen;
my @twice = grep { my ($name) = m{([^/]+)$}; $seen{$name}++ } sort keys %text;
is_deeply(\@twice, [], 'no two source files share a name');

my @headless = grep { $text{$_} !~ m{\A/\* SPDX-License-Identifier: Apache-2\.0} } sort keys %text;
is_deeply(\@headless, [], 'every source names its licence first');

my @marks = grep { $text{$_} =~ /\b(TODO|FIXME|XXX)\b/ } sort keys %text;
is_deeply(\@marks, [], 'nothing is left to do');

my @wide;
for my $path (sort keys %text) {
    my $number = 0;
    for my $line (split /\n/, $text{$path}) {
        $number++;
        push @wide, "$path:$number" if length($line) > 110;
    }
}
is_deeply(\@wide, [], 'lines are short');

my @bare = grep { !-e "$_/README.md" } glob "src/*";
is_deeply(\@bare, [], 'every folder has its README') or diag("missing: @bare");

done_testing;
