#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The disk fills up: first below the reserve, then to the last byte. Produce and
# INSERT are refused with an error that tells, reads go on, the catalog stays as
# it is; a kill and a start in between; when space returns everything that was
# acknowledged is there and writing goes on. Needs a small file system of its own:
# a tmpfs, as root or in a user namespace.
use strict;
use warnings;
use Fcntl;
use File::Temp qw(tempdir);
use IO::Socket::INET;
use Oxbow qw(comes_true);
use Test::More;
use Time::HiRes qw(sleep time);

my $size = 1500; # MiB; the server keeps 256 in reserve, the load takes some hundred
my $mount = tempdir('full-XXXXXX', DIR => Oxbow::tmp());
if (system("mount -t tmpfs -o size=${size}m none $mount 2>/dev/null")) {
    rmdir $mount;
    if (!$ENV{OX_UNSHARED} && !system('unshare -rm true 2>/dev/null')) {
        $ENV{OX_UNSHARED} = 1;
        exec 'unshare', '-rm', $^X, (map { "-I$_" } @INC), $0;
    }
    plan skip_all => 'a tmpfs cannot be mounted';
}
my $filler = "$mount/filler";
my $ox = Oxbow->start(dir => "$mount/data") or die 'no server';
my $topic = 'brim';

# Leaves so many MiB; 0: takes what there is, byte by byte at last.
sub leave {
    my ($mib) = @_;
    open my $file, '>>', $filler or die "$filler: $!";
    my $block = "\0" x (1 << 20);
    while (free_bytes() > $mib << 20) {
        syswrite($file, $block) or last;
    }
    if ($mib == 0) {
        for my $len (65536, 4096, 1) {
            1 while syswrite $file, $block, $len;
        }
    }
    close $file;
}

sub free_bytes {
    my @line = split ' ', (`df --output=avail -k $mount`)[1];
    return $line[0] * 1024;
}

my @crc_table = map { my $c = $_; $c = $c & 1 ? 0x82f63b78 ^ ($c >> 1) : $c >> 1 for 1 .. 8; $c } 0 .. 255;
sub crc32c {
    my $crc = 0xffffffff;
    $crc = $crc_table[($crc ^ $_) & 255] ^ ($crc >> 8) for unpack 'C*', $_[0];
    return $crc ^ 0xffffffff;
}

# Produce 7, acks=all, one record; the error code and the offset.
sub produce {
    my ($value) = @_;
    my $record = pack('C C C C', 0, 0, 0, 1) . pack('C', 2 * length $value) . $value . pack('C', 0);
    $record = pack('C', 2 * length $record) . $record;
    my $now = int(time * 1000);
    my $body = pack('n N q> q> q> n N', 0, 0, $now, $now, -1, 0xffff, 0xffffffff) . pack('N', 1) . $record;
    my $batch = pack('q> N N C N', 0, length($body) + 9, 0xffffffff, 2, crc32c($body)) . $body;
    my $request = pack('n n N n', 0, 7, 1, 0xffff) . pack('n n N N n/a* N N', 0xffff, 0xffff, 20000, 1,
        $topic, 1, 0) . pack('N/a*', $batch);
    my $socket = IO::Socket::INET->new(PeerAddr => $ox->kafka, Timeout => 20) or return "no connection: $!";
    syswrite $socket, pack('N', length $request) . $request;
    my $answer = '';
    while (length $answer < 4 || length $answer < 4 + unpack('N', $answer)) {
        sysread $socket, $answer, 4096, length $answer or return 'connection closed';
    }
    # length, correlation, one topic: its name, one partition: index, code, offset
    return unpack 'n q>', substr $answer, 4 + 4 + 4 + 2 + length($topic) + 4 + 4, 10;
}

my $acked = 0;
sub write_some {
    my ($what) = @_;
    my ($code, $offset) = produce("value $acked");
    is($code, 0, "$what: produce is acknowledged") && $acked++;
    is($ox->sql("INSERT INTO $topic (_value) VALUES ('row') RETURNING _offset"), $acked,
        'INSERT, too') && $acked++;
}

sub refuses {
    my ($what) = @_;
    comes_true(sub { (produce('refused'))[0] ne '0' }, "$what: produce is refused");
    is((produce('refused'))[0], 56, 'with KAFKA_STORAGE_ERROR, which clients retry');
    like($ox->sql("\\set VERBOSITY verbose\nINSERT INTO $topic (_value) VALUES ('refused')"),
        qr/53100/, 'INSERT with SQLSTATE 53100');
}

sub reads {
    my ($what) = @_;
    my $count = $ox->sql("SELECT count(*) FROM $topic");
    # What was written just before the disk was seen to be full may be there.
    ok($count =~ /^\d+$/ && $count >= $acked, "$what: everything acknowledged can be read")
        or diag "$count, acknowledged $acked";
    like($ox->sql("SUBSCRIBE $topic FROM EARLIEST UNTIL LATEST LIMIT 1"), qr/value 0/, 'a subscription reads');
    is($ox->sql("SELECT name FROM oxbow.topics WHERE name NOT LIKE ALL (ARRAY['\\_%', 'kill%', 'cat%'])"
            . " ORDER BY name"), $topic,
        'the catalog is as it was');
    $acked = $count if $count =~ /^\d+$/;
}

is($ox->sql("CREATE TOPIC $topic PARTITIONS 1"), '', 'a topic is made');
write_some('space is there') for 1 .. 3;
my $big = 'x' x 1000;
is($ox->sql("INSERT INTO $topic (_value) SELECT '$big' FROM generate_series(1, 2000)"), '', 'and filled');
$acked += 2000;

leave(200);
refuses('below the reserve');
reads('below the reserve');
is($ox->sql('CREATE TOPIC small'), '', 'the reserve is there for the catalog');
is($ox->sql('DROP TOPIC small'), '', 'and to drop');
$ox->restart('KILL') or BAIL_OUT('the server does not start with a full disk');
reads('killed and started below the reserve');
refuses('after that');
unlink $filler;
comes_true(sub { my ($code) = produce("value $acked"); $acked++ if $code eq '0'; $code eq '0' },
    'produce goes on when space returns');
reads('space returned');
write_some('space returned');

leave(0);
refuses('not a byte is left');
reads('not a byte is left');
like($ox->sql("\\set VERBOSITY verbose\nCREATE TOPIC none"), qr/53100/, 'a topic cannot be made, and it is said why');
reads('after that');
ok($ox->alive, 'the server lives');
unlink $filler;
comes_true(sub { $ox->sql('CREATE TOPIC later') eq '' }, 'topics can be made when space returns');
is($ox->sql('DROP TOPIC later'), '', 'and dropped');
comes_true(sub { my ($code) = produce("value $acked"); $acked++ if $code eq '0'; $code eq '0' },
    'produce goes on');
write_some('in the end');

leave(0);
refuses('not a byte is left again');
$ox->stop('KILL');
my $started = $ox->run;
ok($started, 'killed with a full disk, it starts');
if ($started) {
    reads('then');
    unlink $filler;
} else {
    unlink $filler;
    $ox->run or BAIL_OUT('it does not start with space, neither');
}
comes_true(sub { my ($code) = produce("value $acked"); $acked++ if $code eq '0'; $code eq '0' },
    'and writes once space returns');
reads('in the end');

# The last byte goes while producers are at work: nothing acknowledged is lost.
SKIP: {
    my $load = "$Oxbow::BUILD/regress/load/kill_load";
    skip 'kill_load is not built', 2 unless -x $load;
    pipe(my $from, my $out) or die "pipe: $!";
    pipe(my $in, my $to) or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        close $from;
        close $to;
        open STDIN, '<&', $in or die;
        open STDOUT, '>&', $out or die;
        exec $load, @$ox{qw(kafka_port sql_port)} or POSIX::_exit(127);
    }
    close $out;
    close $in;
    is(scalar(<$from>), "ready\n", 'a load is ready');
    for my $round (1 .. 3) {
        syswrite $to, "go\n";
        sleep 0.5;
        leave(0);
        sleep 1;
        unlink $filler;
    }
    syswrite $to, "calm\ncheck\nquit\n";
    my @said = <$from>;
    like($said[-1], qr/^fine/, 'filled up three times under load, nothing is lost, nothing twice')
        or diag @said;
    waitpid $pid, 0;
    print "# $said[-1]";
}
is($ox->stop, 0, 'the server stops in order');
$ox->run or BAIL_OUT('no start after that');
reads('after a clean stop');
$ox->stop;
system 'umount', '-l', $mount;
rmdir $mount;
done_testing;
