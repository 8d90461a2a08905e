#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Kafka Connect: a file to a topic to a file. Standalone first, then one worker
# of a cluster, which keeps its state in topics and writes in transactions.
# argv: the words that start Java with it.
use strict;
use warnings;
use File::Temp qw(tempdir);
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Time::HiRes qw(sleep time);

$| = 1;
my @java = @ARGV;
my $NAME = $ENV{OX_NAME};
my $dir = tempdir('connect-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my ($count, $failed) = (0, 0);
my $pid;
print "# version ", "@java" =~ /connect-runtime-([\d.]+)\.jar/, "\n";

sub ok($$) {
    my ($good, $what) = @_;
    $count++;
    $failed++ unless $good;
    print $good ? '' : 'not ', "ok $count - $what\n";
}

sub slurp {
    open my $in, '<', $_[0] or return '';
    local $/;
    return scalar(<$in>) // '';
}

sub spew {
    my ($how, $path, $text) = @_;
    open my $out, $how, $path or die "$path: $!";
    print $out $text;
    close $out;
}

sub until {
    my ($condition) = @_;
    my $deadline = time + 180;
    sleep 0.1 while time < $deadline && !$condition->();
    return $condition->();
}

# ---- the worker ----

my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0) or die;
my $port = $socket->sockport;
close $socket;
my $connection = slurp($ENV{OX_PROPERTIES});
(my $security = $connection) =~ s/^bootstrap.*\n//m;
my $string = 'org.apache.kafka.connect.storage.StringConverter';
my $worker = $connection . join('', map { $security =~ s/^/$_./mgr } qw(producer consumer admin))
    . "key.converter=$string\nvalue.converter=$string\noffset.flush.interval.ms=500\n"
    . "listeners=http://127.0.0.1:$port\nplugin.discovery=hybrid_warn\n"
    . "connector.client.config.override.policy=All\n";

sub start {
    my ($class, @files) = @_;
    $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>>', "$dir/log" or die;
        open STDERR, '>&', \*STDOUT or die;
        exec @java, "org.apache.kafka.connect.cli.$class", @files or POSIX::_exit(127);
    }
}

sub stop {
    return unless $pid;
    kill 'TERM', $pid;
    my $deadline = time + 30;
    sleep 0.1 while waitpid($pid, POSIX::WNOHANG()) == 0 && time < $deadline;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    undef $pid;
}
END { my $status = $?; stop(); $? = $status }

my $http = HTTP::Tiny->new(timeout => 30);

# A call of its REST interface: the answer as data, undef unless it is good.
sub rest {
    my ($method, $path, $body) = @_;
    my $answer = $http->request($method, "http://127.0.0.1:$port$path", defined $body
        ? {headers => {'Content-Type' => 'application/json'}, content => encode_json($body)} : {});
    return undef unless $answer->{success};
    return length $answer->{content} ? decode_json($answer->{content}) : {};
}

sub running {
    my (@names) = @_;
    return &until(sub {
        for my $name (@names) {
            my $status = rest('GET', "/connectors/$name/status") or return 0;
            return 0 unless @{$status->{tasks}} && $status->{tasks}[0]{state} eq 'RUNNING';
        }
        return 1;
    });
}

sub connector {
    my ($kind, $name, %more) = @_;
    return {name => $name, 'connector.class' => "org.apache.kafka.connect.file.FileStream${kind}Connector",
        'tasks.max' => 1, %more};
}

sub properties { my ($c) = @_; return join '', map { "$_=$c->{$_}\n" } sort keys %$c }

sub lines { my ($word, $number) = @_; return join '', map { "$word $_\n" } 1 .. $number }

# ---- standalone ----

sub standalone {
    my $topic = "$NAME-file";
    my $source = connector('Source', "$NAME-source", file => "$dir/in", topic => $topic);
    my $sink = connector('Sink', "$NAME-sink", file => "$dir/out", topics => $topic,
        'consumer.override.metadata.max.age.ms' => 1000);
    spew('>', "$dir/worker", $worker . "offset.storage.file.filename=$dir/offsets\n");
    spew('>', "$dir/source", properties($source));
    spew('>', "$dir/sink", properties($sink));
    my $text = lines('line', 500);
    spew('>', "$dir/in", $text);
    my @files = map { "$dir/$_" } qw(worker source sink);
    start('ConnectStandalone', @files);
    ok(running("$NAME-source", "$NAME-sink"), 'admin: it starts both connectors');
    ok(&until(sub { slurp("$dir/out") eq $text }), 'consume: the file comes out as it went in');
    $text .= lines('more', 100);
    spew('>>', "$dir/in", lines('more', 100));
    ok(&until(sub { slurp("$dir/out") eq $text }), 'produce: and what is added to it');
    ok(&until(sub {
        my $offsets = rest('GET', "/connectors/$NAME-sink/offsets") or return 0;
        return ($offsets->{offsets}[0]{offset}{kafka_offset} // 0) == 600;
    }), 'groups: the offsets of its group');
    stop();
    $text .= lines('again', 100);
    spew('>>', "$dir/in", lines('again', 100));
    start('ConnectStandalone', @files);
    ok(&until(sub { length slurp("$dir/out") >= length $text }) && slurp("$dir/out") eq $text,
        'groups: it goes on where it was stopped');
    ok(defined rest('PUT', "/connectors/$NAME-sink/stop") && &until(sub {
        return (rest('GET', "/connectors/$NAME-sink/status") // {connector => {state => ''}})->{connector}{state} eq 'STOPPED';
    }), 'admin: stop a connector');
    ok(&until(sub { defined rest('DELETE', "/connectors/$NAME-sink/offsets") }), 'groups: reset its offsets');
    rest('PUT', "/connectors/$NAME-sink/resume");
    ok(&until(sub { slurp("$dir/out") eq $text . $text }), 'groups: it reads all again');
    stop();
}

# ---- a cluster of one, exactly once ----

sub distributed {
    my $topic = "$NAME-once";
    my $storage = join '', map { "$_.storage.topic=$NAME-$_\n$_.storage.replication.factor=1\n" }
        qw(config offset status);
    spew('>', "$dir/cluster", $worker . $storage . "group.id=$NAME-cluster\n"
        . "offset.storage.partitions=2\nstatus.storage.partitions=2\nexactly.once.source.support=enabled\n"
        . "heartbeat.interval.ms=300\nsession.timeout.ms=6000\n");
    my $text = lines('once', 500);
    spew('>', "$dir/in2", $text);
    start('ConnectDistributed', "$dir/cluster");
    ok(&until(sub { defined rest('GET', '/connectors') }), 'groups: a worker forms a cluster');
    my $source = connector('Source', "$NAME-once", file => "$dir/in2", topic => $topic,
        'exactly.once.support' => 'required', 'topic.creation.default.partitions' => 1,
        'topic.creation.default.replication.factor' => 1,
        'topic.creation.default.cleanup.policy' => 'compact,delete');
    my $sink = connector('Sink', "$NAME-twice", file => "$dir/out2", topics => $topic,
        'consumer.override.isolation.level' => 'read_committed',
        'consumer.override.metadata.max.age.ms' => 1000);
    ok(&until(sub {
        defined rest('PUT', "/connectors/$NAME-once/config", $source) && defined rest('PUT', "/connectors/$NAME-twice/config", $sink);
    }), 'admin: connectors are made');
    ok(running("$NAME-once", "$NAME-twice") && &until(sub { slurp("$dir/out2") eq $text }),
        'transactions: a source writes exactly once');
    stop();
    $text .= lines('more', 100);
    spew('>>', "$dir/in2", lines('more', 100));
    start('ConnectDistributed', "$dir/cluster");
    ok(&until(sub { length slurp("$dir/out2") >= length $text }) && slurp("$dir/out2") eq $text,
        'transactions: and goes on after a restart with what its topics hold');
    stop();
}

standalone();
distributed();
print slurp("$dir/log") =~ s/^/# /mgr if $failed;
print "1..$count\n";
exit($failed ? 1 : 0);
