#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Moves between log directories side by side: as many as
# num.replica.alter.log.dirs.threads says, which together copy no faster than their
# limit. One is cancelled, the server is killed, a topic is dropped, a disk fails, all
# while they are under way.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use Oxbow qw(comes_true);
use Test::More;
use Time::HiRes qw(sleep time);

my $tmp = abs_path(tempdir('moves-XXXXXX', DIR => Oxbow::tmp(), CLEANUP => 1));
my ($one, $two) = ("$tmp/a", "$tmp/b");
my %env = (Oxbow::shim('bad_disk'), OX_BAD_DISK => "$tmp/bad");
my $ox = Oxbow->start(dir => "$tmp/data", env => \%env,
    settings => {'log.dirs' => "$one,$two", log_level => 'info',
        'alter.log.dirs.replication.quota.window.size.seconds' => 60}) or BAIL_OUT('no server');
my $limit = 'replica.alter.log.dirs.io.max.bytes.per.second';
my $threads = 'num.replica.alter.log.dirs.threads';

sub spoil { Oxbow::spew("$tmp/bad", $_[0]) }

sub alter {
    my ($name, $value) = @_;
    my $answer = $ox->wire(qq(IncrementalAlterConfigs 1 {resources: [{resource_type: 4, resource_name: "1", configs: [)
        . qq({name: "$name", config_operation: 0, value: "$value"}]}]}));
    return $answer =~ /error_code: (-?\d+), error_message: (?:"([^"]*)"|null)/ ? join ' ', grep { defined } $1, $2 : $answer;
}

sub listed {
    my ($name) = @_;
    my $answer = $ox->wire(qq(DescribeConfigs 4 {resources: [{resource_type: 4, resource_name: "1", configuration_keys: ["$name"]}]}));
    return $answer =~ /value: (null|"[^"]*"), read_only: (\w+)/ ? "$1 $2" : $answer;
}

sub move {
    my ($to, $topic, @parts) = @_;
    local $" = ', ';
    my $answer = $ox->wire("AlterReplicaLogDirs 2 {dirs: [{path: \"$to\", topics: [{name: \"$topic\", partitions: [@parts]}]}]}");
    return join ' ', $answer =~ /partition_index: \d+, error_code: (-?\d+)/g;
}

# How much is copied of the partitions that move: partition => bytes.
sub copied {
    my ($topic) = @_;
    my $answer = $ox->wire("DescribeLogDirs 4 {topics: [{topic: \"$topic\", partitions: [0, 1, 2, 3]}]}");
    return $answer =~ /partition_index: (\d+), partition_size: (\d+), offset_lag: \d+, is_future_key: true/g;
}

# Partitions of which something is copied, and those that wait.
sub under_way {
    my %copied = copied(@_);
    return join ' ', sort grep { $copied{$_} > 0 } keys %copied;
}
sub waiting {
    my %copied = copied(@_);
    return join ' ', sort grep { $copied{$_} == 0 } keys %copied;
}
sub futures {
    my ($what) = @_;
    return join ' ', glob "$tmp/[ab]/$what.*-future";
}

sub fill {
    my ($topic, @parts) = @_;
    is($ox->sql("INSERT INTO $topic (_value, _partition) SELECT repeat('x', 2000) || g, $_ FROM generate_series(1, 2000) g"), '',
        "$topic-$_ gets four megabytes") for @parts;
}

is($ox->sql('CREATE TOPIC m PARTITIONS 4'), '', 'a topic');
my ($x, $y, $z, $w) = (Oxbow::partitions_in($one, 'm'), Oxbow::partitions_in($two, 'm'));
is(join(' ', sort $x, $y, $z, $w), '0 1 2 3', 'lies in both directories');
fill('m', 0 .. 3);
is(listed($threads), 'null true', 'how many move at a time is not set, and Kafka\'s clients do not set it');
like(alter($threads, 3), qr/^42 Cannot update these configs dynamically/, 'nor can they');
# A MiB and a half in ten minutes: the second piece of one move is over that, or the
# first of the second move.
is(alter($limit, 2_600), 0, 'moves may copy very little in a second');

# As many as there are directories.
is(move($two, 'm', $x), 0, 'a partition shall move');
is(move($one, 'm', $z), 0, 'one the other way');
is(move($two, 'm', $y), 0, 'and a third');
my $two_move = join ' ', sort $x, $z;
comes_true(sub { under_way('m') eq $two_move }, 'two are under way at once');
sleep 2;
is(under_way('m'), $two_move, 'they still are');
is(waiting('m'), $y, 'the third waits');
my %copied = copied('m');
cmp_ok($copied{$x} + $copied{$z}, '<=', 3 << 20, 'the limit is of both together') or diag explain \%copied;
like($ox->sql("ALTER SYSTEM SET num_replica_alter_log_dirs_threads = 0"), qr/invalid value "0"/, 'none at a time cannot be');
is($ox->sql("ALTER SYSTEM SET num_replica_alter_log_dirs_threads = 3"), '', 'three at a time');
is(listed($threads), '"3" true', 'which is listed');
comes_true(sub { under_way('m') eq join ' ', sort $x, $y, $z }, 'the third is under way');
is(waiting('m'), '', 'none waits');

# One back, others go on.
is($ox->sql("ALTER SYSTEM SET num_replica_alter_log_dirs_threads = 1"), '', 'one at a time');
is(move($one, 'm', $x), 0, 'the first shall stay');
comes_true(sub { futures("m-$x") eq '' }, 'nothing is left of its move');
is(under_way('m'), join(' ', sort $y, $z), 'the others go on');
my $before = futures("m-$y");
is(move($one, 'm', $y), 0, 'nor shall the third move');
is(move($two, 'm', $y), 0, 'or it shall');
is(move($two, 'm', $x), 0, 'as the first');
comes_true(sub { futures("m-$x") ne '' && futures("m-$y") !~ /^(\Q$before\E)?$/ }, 'both are noted down');
is(under_way('m'), $z, 'and wait: one is under way');
is(waiting('m'), join(' ', sort $x, $y), 'two wait');

# A crash.
ok($ox->restart('KILL'), 'the server is killed');
comes_true(sub { split(' ', under_way('m')) == 1 }, 'one is under way again');
sleep 1;
is(scalar(split ' ', under_way('m')), 1, 'one only');
is(scalar(split ' ', waiting('m')), 2, 'two wait');
is($ox->sql("ALTER SYSTEM RESET num_replica_alter_log_dirs_threads"), '', 'as many as there are directories');
comes_true(sub { split(' ', under_way('m')) == 2 }, 'two are under way');

# A topic that is dropped while it moves, or waits.
is($ox->sql('CREATE TOPIC d PARTITIONS 2'), '', 'another topic');
fill('d', 0, 1);
is(move($two, 'd', Oxbow::partitions_in($one, 'd')), 0, 'of which one partition shall move');
comes_true(sub { futures('d-*') ne '' }, 'is noted down');
is($ox->sql("ALTER SYSTEM SET num_replica_alter_log_dirs_threads = 4"), '', 'four at a time');
comes_true(sub { under_way('d') ne '' }, 'it is under way');
is($ox->sql("ALTER SYSTEM SET num_replica_alter_log_dirs_threads = 1"), '', 'one at a time');
is(move($one, 'd', Oxbow::partitions_in($two, 'd')), 0, 'the other one waits');
comes_true(sub { split(' ', futures('d-*')) == 2 }, 'and is noted down');
is($ox->sql('DROP TOPIC d'), '', 'the topic is dropped');
comes_true(sub { futures('d-*') eq '' }, 'nothing is left of its moves');
is($ox->sql("ALTER SYSTEM SET num_replica_alter_log_dirs_threads = 3"), '', 'three at a time');
comes_true(sub { under_way('m') eq join ' ', sort $x, $y, $z }, 'all others are under way');

# All to the end, beside records that come in.
is(alter($limit, 1_000_000_000), 0, 'more may be copied');
is($ox->sql("INSERT INTO m (_value, _partition) VALUES ('later', $_)"), '', "m-$_ takes a record") for 0 .. 3;
comes_true(sub { join(' ', Oxbow::partitions_in($one, 'm')) eq $z && futures('*') eq '' }, 'all moves are done');
is(join(' ', Oxbow::partitions_in($two, 'm')), join(' ', sort $x, $y, $w), 'they are where they shall be');
is($ox->sql('SELECT _partition, count(*), count(DISTINCT _value) FROM m GROUP BY _partition ORDER BY _partition'),
    join("\n", map { "$_|2001|2001" } 0 .. 3), 'with all records');

# A disk that fails amid moves to and from it, which are slow.
sub produce {
    my ($part) = @_;
    my $answer = $ox->wire(qq(Produce 9 {acks: -1, timeout_ms: 15000, topic_data: [{name: "m",
        partition_data: [{index: $part, records: "k=v"}]}]}) =~ s/\n\s*/ /gr);
    return $answer =~ /error_code: (-?\d+)/ ? $1 : $answer;
}
sub leader {
    my ($part) = @_;
    my $answer = $ox->wire('Metadata 9 {topics: [{name: "m"}]}');
    return $answer =~ /partition_index: $part, leader_id: (-?\d+)/ ? $1 : $answer;
}
is(alter($limit, 1), 0, 'moves may copy next to nothing');
is(move($one, 'm', $x), 0, 'one moves from the disk');
is(move($two, 'm', $z), 0, 'one to it');
comes_true(sub { under_way('m') eq join ' ', sort $x, $z }, 'both are under way');
spoil($two);
is(produce($w), 56, 'the disk fails');
comes_true(sub { leader($_) eq '-1' }, "m-$_ has no leader") for sort $x, $y, $w;
is(leader($z), 1, 'the one that was to move there has');
is(produce($z), 0, 'and takes records');
is($ox->stop, 0, 'stopped');
spoil('');
ok($ox->run, 'started with a disk that was repaired');
is(alter($limit, 1_000_000_000), 0, 'more may be copied');
comes_true(sub { join(' ', Oxbow::partitions_in($one, 'm')) eq $x && futures('*') eq '' }, 'the moves are done');
is(leader($_), 1, "m-$_ has a leader") for 0 .. 3;
is($ox->sql("SELECT count(*) FROM m WHERE _partition = $_ AND _value != 'v'"), 2001, "m-$_ has its records") for 0 .. 3;
is($ox->stop, 0, 'stopped');
done_testing;
