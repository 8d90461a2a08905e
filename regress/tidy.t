#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Checks of the tree itself: layers, homes of libraries, names, sizes.
use strict;
use warnings;
use File::Find;
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

# Time, randomness, files, sockets and memory are asked for in base/, loop/ and net/
# alone: what the compiled code needs of the C library says so. HTTP has a library
# with sockets of its own; zones of time are the system's files, not ours.
my $system = qr/clock_gettime|gettimeofday|time|clock|nanosleep|usleep|sleep|localtime_r?|gmtime_r?|mktime|timegm|
    rand|rand_r|random|srand|getrandom|drand48|arc4random|
    (?:open|openat|creat|pread|pwrite|preadv|pwritev|stat|lstat|fstat|readdir|fopen|ftruncate|truncate|mmap)(?:64)?|
    read|write|close|readv|writev|fsync|fdatasync|rename|unlink|mkdir|rmdir|opendir|fread|fclose|getline|munmap|mkstemp|mkdtemp|tmpfile|
    socket|socketpair|bind|listen|accept4?|connect|send|sendmsg|sendto|recv|recvmsg|recvfrom|sendfile|shutdown|poll|select|epoll_\w+|pipe2?|
    malloc|calloc|realloc|free|strdup|strndup|asprintf|vasprintf|posix_memalign|aligned_alloc|memalign/x;
my %known = ('src/server/http.o' => qr/socket|bind|listen|accept4|poll|pipe2|close/, 'src/row/timezone.o' => qr/open|open64|read|close/);
my @objects = $ENV{OX_BUILD} ? grep { !m{/(base|loop|net|shell|tool)/} } glob "$ENV{OX_BUILD}/src/*/*.o" : ();
SKIP: {
    skip 'nothing is built, or no nm', 1 if !@objects || !`nm --version 2>&1`;
    my @calls;
    open my $nm, '-|', 'nm', '-A', '-u', @objects or die "nm: $!";
    while (<$nm>) {
        my ($name, $call) = m{(src/[^/]+/[^/:]+\.o):\s+U (\w+)} or next;
        push @calls, "$name: $call"
            if $call =~ /^(?:$system)$/ && !($known{$name} && $call =~ /^(?:$known{$name})$/);
    }
    close $nm;
    is_deeply(\@calls, [], 'the system is asked in base/, loop/ and net/ alone');
}

# Documents name files that exist: from the top, from beside the document, from src/ or
# regress/, or by the last part alone. A stem in capitals (X.msg, NNN_name.t) stands for any;
# what is generated is not looked for.
my (%is_file, %is_name, @documents);
find({no_chdir => 1, wanted => sub {
    my $path = $File::Find::name =~ s{^\./}{}r;
    return if !-f $path;
    $is_file{$path} = 1;
    $is_name{$path =~ s{.*/}{}r} = 1;
    push @documents, $path if $path =~ /\.md$/;
}}, grep { -e } qw(src regress doc grammar catalog README.md Makefile.am configure.ac check quickstart));
my (@lost, @dead);
for my $path (sort @documents) {
    my ($folder) = $path =~ m{^(.*)/};
    my @roots = ('', 'src/', 'regress/', defined $folder ? "$folder/" : ());
    my $words = slurp($path);
    while ($words =~ m{(?<![\w/.*-])((?:[\w.+-]+/)*[\w+-]+\.(?:c|h|t|pl|pm|msg|tbl|sql|re|y|md|py|go|js|java|wire|am|mk|ac))(?![\w*.-]*\w)}g) {
        my $name = $1;
        next if $name =~ m{\.gen\.|^\.\./} || ($name =~ m{(?:^|[/_])([A-Z]+)[_.]} && $1 ne 'README');
        next if grep { $is_file{"$_$name"} } @roots;
        push @lost, "$path: $name" unless $name !~ m{/} && $is_name{$name};
    }
    while ($words =~ /\]\(([^)#:]+)(?:#[^)]*)?\)/g) {
        push @dead, "$path: $1" unless -e $1 || defined $folder && -e "$folder/$1";
    }
}
is_deeply(\@lost, [], 'documents name files that exist');
is_deeply(\@dead, [], 'links lead somewhere');

my @bare = grep { -d && !-e "$_/README.md" } glob "src/*";
is_deeply(\@bare, [], 'every folder has its README') or diag("missing: @bare");

done_testing;
