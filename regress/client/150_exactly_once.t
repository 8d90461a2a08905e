#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Processors read a topic and write two others, with their offsets, in
# transactions, while processors and server are killed at random, and processors
# stopped so long that others take their place and they come back as zombies, the
# first of them when all is done, to write at any price.
# Then the rules of 150_exactly_once.py must hold. OX_SECONDS sets for how long
# (6; 90 with OX_LONG), OX_SEED what happens when; with OX_LONG a Java processor
# joins, which speaks the second transaction protocol. OX_MUTANT programs failpoints
# of the server, OX_MUTANT_LATE those with which it starts again for the last look.
use strict;
use warnings;
use Clients;
use KafkaJars;
use IO::Socket::INET;
use Oxbow;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

my @python = Clients::python(['confluent_kafka'], 'confluent-kafka');
my @part = (@python, Clients::file('150_exactly_once.py'));
my $long = $ENV{OX_LONG};
my $seconds = $ENV{OX_SECONDS} // ($long ? 90 : 6);
my $count = $seconds * 400;
my $seed = $ENV{OX_SEED} // int time ^ $$;
srand $seed;
print "# OX_SEED=$seed\n";

my @java;
if ($long || $ENV{OX_JAVA}) {
    my $jars = KafkaJars::classpath('kafka-clients');
    @java = Clients::java('OxbowEos.java', $jars) if $jars;
}

my $ox = Oxbow->start(env => $ENV{OX_MUTANT} ? {OX_FAULT => $ENV{OX_MUTANT}} : {},
    settings => {kafka_port => Oxbow::free_port(), sql_port => Oxbow::free_port(),
        'transaction.abort.timed.out.transaction.cleanup.interval.ms' => 500,
        'group.initial.rebalance.delay.ms' => 100, log_level => 'info'}) or die 'no server';
$ox->{settings}{kafka_port} = $ox->{kafka_port};
$ENV{OX_KAFKA} = $ox->kafka;
$ox->sql("CREATE TOPIC \"$_\" PARTITIONS 4") for qw(eos-in eos-a eos-b);

my $seen = Oxbow::tmp() . "/eos-seen.$$";
my $log = Oxbow::tmp() . "/eos-log.$$";
sub start {
    my @words = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    open STDOUT, '>>', $log or die;
    open STDERR, '>>', $log or die;
    exec @words or POSIX::_exit(127);
}

my %did;     # what happened, counted
my $obeyed = 0; # late ends that were
my %running; # name -> pid
my @names = map { "eos-$_" } 1 .. 2;
push @names, 'eos-java' if @java;
sub begin {
    my ($name) = @_;
    $running{$name} = $name eq 'eos-java' ? start(@java, $name) : start(@part, 'process', $name);
}
my @zombies;
sub finish {
    my ($pid, $signal) = @_;
    kill 'CONT', $pid;
    kill $signal, $pid;
    my $until = time + 40;
    sleep 0.02 while waitpid($pid, WNOHANG) == 0 && time < $until;
    kill 'KILL', $pid;
    waitpid $pid, 0;
}
sub is_ready { # it holds its transactional id: nobody else does
    my ($name) = @_;
    open my $in, '<', $log or die;
    return grep { /^ready \Q$name\E $running{$name}$/ } <$in>;
}
sub haunt { # those whose place is taken write, and commit what they have written
    for (1 .. 300) {
        tend();
        last if !grep { !is_ready($_) } @names;
        sleep 0.1;
    }
    late_ends($_) for @names;
    for my $zombie (@zombies) {
        my ($pid, undef, $name) = @$zombie;
        next if $name eq 'eos-java';
        kill $_, $pid for 'USR2', 'CONT';
        for (1 .. 150) {
            last if waitpid($pid, WNOHANG) != 0;
            sleep 0.1;
        }
    }
}
sub late_ends { # EndTxn of those who had the transactional id before
    my ($name) = @_;
    my ($pid, $epoch) = $ox->wire(qq(DescribeTransactions 0 {transactional_ids: ["$name"]}))
        =~ /producer_id: (\d+), producer_epoch: (\d+)/ or return;
    my $end = qq(EndTxn 3 {transactional_id: "$name", producer_id: $pid, committed: true, producer_epoch: ) . ($epoch - 1) . '}';
    my @codes = $epoch > 0 ? $ox->wire(($end, 'wait 30') x 10) =~ /error_code: (\d+)/g : ();
    $did{'late ends'} += @codes;
    $obeyed += grep { $_ eq '0' } @codes;
}
sub tend { # those that gave up begin anew
    waitpid($running{$_}, WNOHANG) != 0 and begin($_) for keys %running;
    tend_server();
}
sub tend_server { # failpoints may make it crash
    revive() if waitpid($ox->{pid}, WNOHANG) != 0;
}
sub revive {
    $did{'servers killed'}++;
    $ox->{pid} = undef;
    $ox->run or die 'no server';
}

# Somebody had their ids before them.
$ox->wire(map { ("retry 14,15,16 FindCoordinator 4 {key_type: 1, coordinator_keys: [\"$_\"]}",
    "retry 14,15,16 InitProducerId 3 {transactional_id: \"$_\", transaction_timeout_ms: 8000}") } @names);
my $filler = start(@part, 'fill', $count);
my $watcher = start(@part, 'watch', $seen);
begin($_) for @names;
my $until = time + $seconds;
sleep 2;
while (time < $until) {
    sleep 0.3 + rand 1;
    tend();
    my $name = $names[rand @names];
    my $what = $did{zombies} ? rand : 0.8;
    $name = $names[0] unless $did{zombies};
    if ($what < 0.4) {
        $did{'processors killed'}++;
        kill 'KILL', $running{$name};
        waitpid $running{$name}, 0;
        begin($name);
    } elsif ($what < 0.7) {
        kill 'KILL', $ox->{pid};
        waitpid $ox->{pid}, 0;
        revive();
    } elsif ($what < 0.9) {
        $did{'zombies'}++;
        kill 'STOP', $running{$name};
        push @zombies, [$running{$name}, @zombies ? time + 1 + rand 8 : 'inf', $name];
        begin($name);
    }
    for my $zombie (grep { $_->[1] && $_->[1] < time } @zombies) {
        kill 'CONT', $zombie->[0];
        $zombie->[1] = 0;
    }
    is_ready($_) and late_ends($_) for @names;
}
waitpid $filler, 0;
print "# ", join(', ', map { "$did{$_} $_" } sort keys %did), "\n";

# However slow the machine is: as long as there is progress.
my ($lag, $least, $still) = ('unknown', 1e9, time);
while (time < $still + 60) {
    tend();
    $lag = `@part lag 2>/dev/null`;
    last if $lag =~ /^0$/;
    ($least, $still) = ($lag, time) if $lag =~ /^\d+$/ && $lag < $least;
    sleep 0.5;
}
if ($lag !~ /^0$/) { # where are they?
    kill 'USR1', $_ for map({ $_->[0] } @zombies), values %running;
    sleep 1;
}
haunt();
finish($_->[0], 'KILL') for @zombies;
finish($_, 'TERM') for values %running;
sleep 2;
finish($watcher, 'TERM');
# What killed processors left open times out.
for (1 .. 60) {
    tend_server();
    last if $ox->sql('SELECT count(*) FROM oxbow.partitions WHERE topic LIKE \'eos-_\' '
            . 'AND last_stable < high_watermark') eq '0';
    sleep 0.5;
}
if ($ENV{OX_MUTANT_LATE}) {
    $ox->stop;
    $ox->{env} = {OX_FAULT => $ENV{OX_MUTANT_LATE}};
    $ox->run or die 'no server';
}
# A client that is told nonsense by a broken server may never end.
my $patience = 60 + 4 * $seconds;
my @lines = `timeout -k 5 $patience @part check $count $seen 2>&1`;
my ($tests, $failed) = (0, 0);
sub say_ok {
    my ($good, $what) = @_;
    printf "%s %d - %s\n", $good ? 'ok' : 'not ok', ++$tests, $what;
    $failed++ unless $good;
}
say_ok(scalar($lag =~ /^0$/), 'all input is processed');
for my $line (@lines) {
    if ($line =~ /^(ok|not ok) - (.*)/) { say_ok($1 eq 'ok', $2) } else { print $line =~ /^#/ ? $line : "# $line" }
}
my $reads = $ox->sql('SELECT count(*) FROM "eos-a"');
my $last = $ox->sql('SELECT count(*) FROM oxbow.partitions WHERE topic LIKE \'eos-_\' AND last_stable < high_watermark');
say_ok($reads eq $count, 'SQL reads as many, and nothing aborted') or print "# $reads of $count\n";
say_ok($did{'late ends'} && !$obeyed, 'late ends are refused') or print "# $obeyed\n";
say_ok($last eq '0', 'no transaction hangs') or print "# $last\n";
say_ok($ox->stop eq '0', 'the server stops in order');
say_ok($tests > 21, 'all rules were looked at');
if ($failed) {
    print "# OX_SEED=$seed $log\n", Oxbow::tail($ox->{diag});
} else {
    unlink $log, $seen;
}
print "1..$tests\n";
exit($failed ? 1 : 0);
