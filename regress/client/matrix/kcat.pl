#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# kcat.
use strict;
use warnings;
use IO::Handle;
use IO::Select;
use Time::HiRes qw(sleep time);

$| = 1;
my $NAME = $ENV{OX_NAME};
my $EACH = 50;
my ($count, $failed, $produced) = (0, 0, 0);
my @connection = ('-q', '-b', $ENV{OX_KAFKA}, '-X', "security.protocol=$ENV{OX_PROTOCOL}",
    '-X', "ssl.ca.location=$ENV{OX_CA}");
push @connection, '-X', "ssl.certificate.location=$ENV{OX_CERT}", '-X', "ssl.key.location=$ENV{OX_KEY}"
    if $ENV{OX_CERT};
push @connection, '-X', "sasl.mechanism=$ENV{OX_MECHANISM}", '-X', "sasl.username=$ENV{OX_USER}",
    '-X', "sasl.password=$ENV{OX_PASSWORD}" if $ENV{OX_MECHANISM};

sub ok($$) {
    my ($good, $what) = @_;
    $count++;
    $failed++ unless $good;
    print $good ? '' : 'not ', "ok $count - $what\n";
    return $good;
}

sub start {
    my ($mode, @words) = @_;
    my $pid = open(my $pipe, $mode) // die "fork: $!";
    return ($pid, $pipe) if $pid;
    exec 'timeout', '60', 'kcat', @connection, @words or die;
}

sub feed {
    my ($lines, @words) = @_;
    my ($pid, $to) = start('|-', @words);
    print $to @$lines;
    return close $to;
}

sub take {
    my (@words) = @_;
    my ($pid, $from) = start('-|', @words);
    my @lines = <$from>;
    close $from or print "# kcat ended with $?\n";
    chomp @lines;
    return @lines;
}

sub values_of {
    my ($word, $number) = @_;
    return [map { "k$_:$word$_\n" } 1 .. $number];
}

sub produce {
    my @common = ('-P', '-t', $NAME, '-K:', '-H', 'h=x');
    for my $codec (qw(none gzip snappy lz4 zstd)) {
        $produced += $EACH;
        ok(feed(values_of('v', $EACH), @common, '-X', "compression.codec=$codec", '-X', 'acks=all'),
            "produce: $codec");
    }
    $produced += $EACH;
    ok(feed(values_of('v', $EACH), @common, '-X', 'enable.idempotence=true'), 'produce: idempotent');
    $produced++;
    ok(feed(values_of('v', 1), @common, '-X', 'acks=0'), 'produce: acks=0');
}

sub ends { return take('-Q', map { ('-t', "$NAME:$_:-1") } 0 .. 2) }
sub sum { my $sum = 0; $sum += $_ for @_; return $sum }

sub consume {
    for (1 .. 50) { # nobody said that acks=0 has arrived
        last if sum(map { /offset (\d+)/ } ends()) == $produced;
        select undef, undef, undef, 0.1;
    }
    my @lines = take('-C', '-t', $NAME, '-o', 'beginning', '-e', '-f', "%p %o %k %h %s\n");
    ok((grep { /^\d \d+ k(\d+) h=x v\1$/ } @lines) == $produced && @lines == $produced,
        'consume: everything');
    my ($line) = take('-C', '-t', $NAME, '-p', 0, '-o', 3, '-c', 1, '-f', "%o\n");
    ok(($line // '') eq '3', 'consume: seek');
    ($line) = take('-C', '-t', $NAME, '-p', 0, '-o', -1, '-c', 1, '-f', "%o\n");
    my @ends = ends();
    ok(sum(map { /offset (\d+)/ } @ends) == $produced, 'consume: ends of the partitions');
    my ($end) = map { /\[0\] offset (\d+)/ } @ends;
    ok($line == $end - 1, 'consume: the last one');
    ok((take('-Q', '-t', "$NAME:0:1"))[0] =~ /offset 0/, 'consume: offsets by time');
}

# A member of a group: what it prints is kept as it comes.
sub member {
    my ($group) = @_;
    my ($pid, $pipe) = start('-|', '-X', 'auto.offset.reset=earliest', '-X', 'heartbeat.interval.ms=300',
        '-X', 'session.timeout.ms=6000', '-u', '-f', "%p %o\n", '-G', $group, $NAME);
    return {pid => $pid, pipe => $pipe, text => ''};
}

sub until {
    my ($condition, @members) = @_;
    my $deadline = time + 40;
    my $select = IO::Select->new(map { $_->{pipe} } @members);
    while (time < $deadline && !$condition->()) {
        for my $pipe ($select->can_read(0.05)) {
            my ($who) = grep { $_->{pipe} == $pipe } @members;
            sysread $pipe, $who->{text}, 65536, length $who->{text} or $select->remove($pipe);
        }
    }
    return $condition->();
}

sub seen {
    my %seen;
    $seen{$_}++ for map { $_->{text} =~ /^(\d+ \d+)\n/mg } @_;
    return scalar keys %seen;
}

sub leave {
    my ($who) = @_;
    kill 'INT', $who->{pid};
    close $who->{pipe};
}

sub groups {
    my $group = "$NAME-g";
    my $one = member($group);
    ok(&until(sub { seen($one) == $produced }, $one), 'groups: one member reads all');
    my $two = member($group);
    my $end = time + 30;
    my $more = 0;
    while (time < $end && !seen($two)) {
        feed(values_of('v', 10), '-P', '-t', $NAME, '-K:', '-H', 'h=x');
        $more += 10;
        &until(sub { seen($one, $two) == $produced + $more }, $one, $two);
    }
    $produced += $more;
    ok(seen($two) > 0, 'groups: two share');
    ok(seen($one, $two) == $produced, 'groups: all is read');
    leave($two);
    feed(values_of('v', 10), '-P', '-t', $NAME, '-K:', '-H', 'h=x');
    $produced += 10;
    ok(&until(sub { seen($one, $two) == $produced }, $one), 'groups: one takes over');
    leave($one);
    feed(values_of('v', 1), '-P', '-t', $NAME, '-K:', '-H', 'h=x');
    my $three = member($group);
    ok(&until(sub { seen($three) > 0 }, $three) && seen($three) == 1,
        'groups: a new member begins where they ended');
    leave($three);
}

sub transactions {
    my $topic = "$NAME-tx";
    my @common = ('-P', '-t', $topic, '-K:', '-X', "transactional.id=$NAME-id");
    feed(values_of('first', 1), '-P', '-t', $topic, '-K:');    # makes the topic
    ok(feed(values_of('yes', 10), @common), 'transactions: commit');
    my ($pid, $to) = start('|-', @common, '-X', 'linger.ms=0');
    print $to map { "k:no" . ('-' x 1000) . "\n" } 1 .. 5000;    # it sends by the megabyte
    $to->flush;
    my $deadline = time + 30;
    my $there = 0;
    while ($there < 10 && time < $deadline) {
        $there = grep { /^no/ } take('-C', '-t', $topic, '-o', 'beginning', '-e',
            '-X', 'isolation.level=read_uncommitted', '-f', "%s\n");
    }
    kill 'INT', $pid;
    sleep 0.7;    # before its input ends, which would commit
    close $to;
    ok($there >= 10, 'transactions: read_uncommitted');
    ok(feed(values_of('yes', 10), @common), 'transactions: abort and go on');
    my @lines = take('-C', '-t', $topic, '-o', 'beginning', '-e', '-X', 'isolation.level=read_committed',
        '-f', "%s\n");
    my ($yes, $no) = (scalar(grep { /^yes/ } @lines), scalar(grep { /^no/ } @lines));
    ok($yes == 20 && $no == 0 && @lines == 21, 'transactions: read_committed')
        or print "# $yes committed, $no aborted, ", scalar @lines, " in all\n";
}

print "# version ", (`kcat -V 2>&1` =~ /Version (\S+)/)[0], "\n";
produce();
consume();
groups();
transactions();
my ($metadata) = join "\n", take('-L', '-J', '-t', $NAME);
if (ok($metadata =~ /"topic":"\Q$NAME\E"/, 'admin: metadata')) {
    print "# admin is metadata only\n";
}
print "1..$count\n";
exit($failed ? 1 : 0);
