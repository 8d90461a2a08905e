#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The n-th allocation fails, or all from the n-th on, of the server's own code or of
# its libraries (SQLite, TLS, codecs), while clients write and read through both
# doors. Either the server answers as before, or it stops and says why; whatever
# it did, all that was acknowledged is there. Memory fails by load/bad_memory.c.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use Oxbow;
use POSIX qw(WNOHANG);
use Raw;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'a sanitizer has an allocator of its own'
    if do { local (@ARGV, $/) = "$Oxbow::BUILD/config.h"; <> } =~ /^#define OX_(?:ASAN|TSAN) 1/m;

my $tmp = abs_path(tempdir('memory-XXXXXX', DIR => Oxbow::tmp(), CLEANUP => 1));
my %mode = (off => 0, own => 1, libraries => 2);
sub arm {
    my ($mode, $from, $to) = @_;
    open my $file, '+<', "$tmp/control" or die "$tmp/control: $!";
    syswrite $file, pack('l l q q q', $mode{$mode}, 0, $from // 0, $to // 0, 0);
    close $file;
}
sub failed {
    open my $file, '<', "$tmp/control" or die;
    sysread $file, my $bytes, 32;
    return (unpack 'l l q q q', $bytes)[1, 4];
}

{
    open my $file, '>', "$tmp/control" or die;
    print $file "\0" x 4096;
}
my $ox = Oxbow->start(dir => "$tmp/data", settings => {loops => 1},
    env => {Oxbow::shim('bad_memory'), OX_BAD_MEMORY => "$tmp/control"}) or die 'no server';
my $session = pg_dial($ox->{sql_port});
pg_simple($session, 'CREATE TOPIC t');

my ($number, %acked) = (0);
# Each door writes and reads a little; how much was answered well.
sub script {
    my ($seconds) = @_;
    my $good = 0;
    my $kafka = dial($ox->{kafka_port}) or return 0;
    for (1 .. 3) {
        my $value = 'k' . ++$number;
        my $code = kafka_ask($kafka, 0, 7, produce_body('t', batch(bytes => record(0, undef, $value))), $seconds) // last;
        (undef, $code) = unpack 'x4 n/a x4 x4 s>', $code;
        next if !defined $code || $code != 0;
        $acked{$value} = 1;
        $good++;
    }
    my $fetch = kafka_ask($kafka, 1, 4, pack('NNNNC', 0xffffffff, 100, 1, 1 << 20, 0) . pack('N n/a N N q> N', 1, 't', 1, 0, 0, 1 << 20), $seconds);
    $good++ if defined $fetch;
    my $sql = pg_dial($ox->{sql_port}) or return $good;
    for my $text ((map { 'INSERT INTO t (_value) VALUES (\'s' . ($number + $_) . '\')' } 1 .. 3), "CREATE TOPIC x$number",
        'SELECT _offset, upper(_value) FROM t ORDER BY _value LIMIT 100', "DROP TOPIC x$number") {
        my ($seen, @messages) = pg_simple($sql, $text, $seconds);
        next unless $seen =~ /C.*Z$/ && $seen !~ /E/;
        $acked{$1} = 1 if $text =~ /'(s\d+)'/;
        $good++;
    }
    $number += 3;
    return $good;
}

# What the server said since it was asked last.
my $heard = 0;
sub said {
    open my $in, '<', $ox->{diag} or return '';
    seek $in, $heard, 0;
    local $/;
    return <$in> // '';
}

# What the process ended with, if it did; it may be on its way: once a second it
# looks whether its metadata and logs are well.
sub ended {
    my $until = time + 60;
    while (time < $until) {
        if (waitpid($ox->{pid}, WNOHANG) > 0) {
            $ox->{pid} = undef;
            return $?;
        }
        my $probe = pg_dial($ox->{sql_port});
        return undef if $probe && (pg_simple($probe, 'SELECT 1', 10))[0] =~ /Z$/
            && said() !~ /metadata stopped|is offline/;
        sleep 0.1;
    }
    return undef;
}

# What it ends with in the next seconds, if it does.
sub ends_within {
    my $until = time + $_[0];
    while (time < $until) {
        if (waitpid($ox->{pid}, WNOHANG) > 0) {
            $ox->{pid} = undef;
            return $?;
        }
        sleep 0.1;
    }
    return undef;
}

sub missing {
    my $probe = pg_dial($ox->{sql_port}) or return 'no session';
    my ($seen, @messages) = pg_simple($probe, 'SELECT _value FROM t', 60);
    my %there = map { my ($value) = unpack 'x2 N/a', $_->[1]; $value => 1 } grep { $_->[0] eq 'D' } @messages;
    return join ' ', grep { !$there{$_} } sort keys %acked;
}

is(script(60), 10, 'with memory all is answered');
my %count = (own => 0, libraries => 0);
for my $mode (sort keys %count) {
    arm($mode, 1 << 40, 1 << 40);
    script(60);
    $count{$mode} = (failed())[1];
}
arm('off');
cmp_ok($count{own}, '>', 50, "$count{own} allocations of our own in it");
cmp_ok($count{libraries}, '>', 50, "$count{libraries} of libraries");

my $many = $ENV{OX_LONG} ? 150 : 12;
my ($stops, $lived, $failures) = (0, 0, 0);
for my $mode (qw(libraries own)) {
    for my $i (0 .. $many - 1) {
        my $n = 1 + int($count{$mode} * $i / $many);
        my $on = $i % 3 == 2;
        $heard = -s $ox->{diag};
        arm($mode, $n, $on ? 1 << 40 : $n);
        my $good = script(3);
        my ($failed) = failed();
        arm('off');
        $failures += $failed;
        my $name = ($on ? 'all from the ' : 'the ') . "$n. of $mode";
        my $status = ended();
        # What failed may be met only by what comes next.
        my $answered = defined $status ? 0 : script(60);
        $status = ends_within(20) if !defined $status && $answered != 10;
        if (defined $status) {
            $stops++;
            my $said = said();
            ok(($status & 127) != 11 && $said =~ /out of memory|cannot go on/,
                "$name: stops and says why") or diag("status $status\n$said");
            ok($ox->run, '  and starts again') or BAIL_OUT('no server');
        } else {
            $lived++;
            if (!ok($ox->alive, "$name: the server lives") && !$ox->run) {
                BAIL_OUT('no server');
            }
            is($answered, 10, '  and answers all when there is memory') or diag("$good before");
        }
        is(missing(), '', '  all that was acknowledged is there');
    }
}
cmp_ok($failures, '>', $many, "$failures allocations failed; $stops stops, $lived times it went on");
cmp_ok(scalar keys %acked, '>', 10 * $many, scalar(keys %acked) . ' writes were acknowledged');
is($ox->stop, 0, 'and it stops in order');
done_testing;
