#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A topic is dropped and made again while readers of both doors hold it: a
# subscription, a cursor, a Kafka consumer that waits. The new topic is another
# one, the readers hear of it, the server goes on; a clean stop leaves Kafka's
# directory.
use strict;
use warnings;
use IO::Socket::INET;
use Oxbow;
use Test::More;
use Time::HiRes qw(sleep);

my $ox = Oxbow->start or die 'no server';
my $rounds = $ENV{OX_LONG} ? 40 : 6;

# A program that runs beside the test, its output in a file.
my @beside;
sub beside {
    my ($input, @words) = @_;
    my $out = Oxbow::tmp() . "/beside.$$." . scalar @beside;
    pipe(my $from, my $to) or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        close $to;
        @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} = ('127.0.0.1', $ox->{sql_port}, 'oxbow', 'oxbow');
        open STDIN, '<&', $from or die;
        open STDOUT, '>', $out or die;
        open STDERR, '>&', \*STDOUT or die;
        exec @words or POSIX::_exit(127);
    }
    close $from;
    syswrite $to, $input;
    my $it = {pid => $pid, out => $out, to => $to};
    push @beside, $it;
    return $it;
}

sub said {
    my ($it) = @_;
    open my $in, '<', $it->{out} or return '';
    local $/;
    return scalar(<$in>) // '';
}

sub until_said {
    my ($it, $pattern) = @_;
    for (1 .. 600) {
        return 1 if said($it) =~ $pattern;
        sleep 0.05;
    }
    diag "said: ", said($it);
    return 0;
}

sub end {
    my ($it) = @_;
    close $it->{to};
    kill 'TERM', $it->{pid};
    waitpid $it->{pid}, 0;
    unlink $it->{out};
}

# DeleteTopics 1; returns the error code.
sub delete_topic {
    my ($name) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => $ox->kafka) or return "no connection: $!";
    my $body = pack('nnNn', 20, 1, 7, 0xffff) . pack('N n/a* N', 1, $name, 30000);
    syswrite $socket, pack('N', length $body) . $body;
    my $answer = '';
    while (length $answer < 4 || length $answer < 4 + unpack('N', $answer)) {
        sysread $socket, $answer, 4096, length $answer or return 'connection closed';
    }
    # length, correlation, throttle time, one topic: its name, its code
    return unpack 'n', substr $answer, 4 + 4 + 4 + 4 + 2 + length $name, 2;
}

my @oxsql = ("$Oxbow::BUILD/oxsql", '-X', '-A', '-t');
for my $round (1 .. $rounds) {
    my $topic = 'gone';
    is($ox->sql("CREATE TOPIC $topic PARTITIONS 2"), '', "$round: the topic is made");
    is($ox->sql("INSERT INTO $topic (_partition, _value) VALUES (0, 'a$round'), (1, 'b$round');"
            . "SELECT _offset, _value FROM $topic ORDER BY _partition"), "0|a$round\n0|b$round",
        'it has what was inserted, from offset 0');
    my $subscriber = beside("SUBSCRIBE $topic FROM EARLIEST;\n", @oxsql);
    my $cursor = beside("BEGIN;\nDECLARE c CURSOR FOR SUBSCRIBE $topic FROM EARLIEST;\n"
            . "FETCH 1 FROM c;\n", @oxsql);
    my $consumer = Oxbow::have('kcat')
        ? beside('', 'kcat', '-b', $ox->kafka, '-C', '-u', '-t', $topic, '-o', 'beginning', '-X',
            'topic.metadata.refresh.interval.ms=200') : undef;
    ok(until_said($subscriber, qr/[ab]$round/), 'a subscription reads it');
    ok(until_said($cursor, qr/[ab]$round/), 'a cursor reads it');
    ok(!$consumer || until_said($consumer, qr/[ab]$round/), 'a consumer reads it');
    if ($round % 2) {
        is($ox->sql("DROP TOPIC $topic"), '', 'it is dropped');
    } else {
        is(delete_topic($topic), 0, 'it is deleted');
    }
    # At once, while the three still hold it.
    is($ox->sql("CREATE TOPIC $topic PARTITIONS 2"), '', 'it is made again');
    is($ox->sql("SELECT count(*) FROM $topic"), '0', 'and is empty');
    is($ox->sql("INSERT INTO $topic (_partition, _value) VALUES (0, 'new') RETURNING _offset"),
        '0', 'and begins at 0');
    syswrite $cursor->{to}, "FETCH 5 FROM c WITH (timeout = '100ms');\n\\echo after\n";
    ok(until_said($cursor, qr/after/), 'the cursor is answered');
    ok(until_said($subscriber, qr/ERROR/), 'the subscription hears that its topic is gone');
    like($ox->sql("SUBSCRIBE $topic FROM EARLIEST UNTIL LATEST"), qr/^0\|0\|[^\n]*\|new\|[^\n]*$/,
        'a new subscription reads the new topic');
    end($_) for grep { $_ } $subscriber, $cursor, $consumer;
    is($ox->sql("DROP TOPIC $topic"), '', 'and is dropped');
    ok($ox->alive, 'the server lives') or last;
}

# Dropped, made and filled just before the power goes.
$ox->sql("CREATE TOPIC again; INSERT INTO again (_value) SELECT 'x' FROM generate_series(1, 50)");
$ox->restart or die 'no server';
$ox->sql("DROP TOPIC again; CREATE TOPIC again; INSERT INTO again (_value) VALUES ('y'), ('z')");
$ox->restart('KILL') or die 'no server';
is($ox->sql('SELECT _offset, _value FROM again ORDER BY _offset'), "0|y\n1|z",
    'a topic that was made again is whole after a kill');

is($ox->stop, 0, 'the server stops in order');
opendir my $dir, $ox->{dir} or die "$ox->{dir}: $!";
my @names = sort grep { !/^\.\.?$/ } readdir $dir;
is_deeply([grep { /^oxbow-wal-|^tmp$|\.tmp$|^oxbow\.pid$/ } @names], [],
    'no write-ahead log, no temporary folder is left') or diag "@names";
ok(scalar(grep { $_ eq '.kafka_cleanshutdown' } @names), 'the clean mark is there');
$ox->run or die 'no server';
opendir $dir, $ox->{dir} or die "$ox->{dir}: $!";
is_deeply([grep { /-(?:delete|stray)$/ } readdir $dir], [],
    'directories that were being deleted are gone after a start');
is($ox->stop, 0, 'the server stops again');
done_testing;
