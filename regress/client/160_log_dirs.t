#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Several log directories: partitions are spread over them and move between them;
# one that fails, or cannot be opened, takes its partitions offline and nothing
# else. The disk fails by load/bad_disk.c, or is really not there.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use Oxbow qw(comes_true);
use Test::More;
use Time::HiRes qw(sleep time);

my $tmp = abs_path(tempdir('dirs-XXXXXX', DIR => Oxbow::tmp(), CLEANUP => 1));
my ($one, $two) = ("$tmp/a", "$tmp/b");
my %env = (Oxbow::shim('bad_disk'), OX_BAD_DISK => "$tmp/bad");
my $ox = Oxbow->start(dir => "$tmp/data", env => \%env,
    settings => {'log.dirs' => "$one,$two", log_level => 'info'}) or die 'no server';

sub spoil { Oxbow::spew("$tmp/bad", $_[0]) }

sub produce {
    my ($topic, $part, $records) = @_;
    my $answer = $ox->wire(qq(Produce 9 {acks: -1, timeout_ms: 15000, topic_data: [{name: "$topic",
        partition_data: [{index: $part, records: "$records"}]}]}) =~ s/\n\s*/ /gr);
    return $answer =~ /error_code: (-?\d+)/ ? $1 : $answer;
}

sub fetch {
    my ($topic, $part) = @_;
    return $ox->wire(qq(Fetch 12 {max_wait_ms: 100, min_bytes: 1, topics: [{topic: "$topic",
        partitions: [{partition: $part, fetch_offset: 0, partition_max_bytes: 100000}]}]}) =~ s/\n\s*/ /gr);
}

sub move {
    my ($version, $to, $topic, @parts) = @_;
    local $" = ', ';
    my $answer = $ox->wire("AlterReplicaLogDirs $version {dirs: [{path: \"$to\", topics: "
        . "[{name: \"$topic\", partitions: [@parts]}]}]}");
    return join ' ', $answer =~ /partition_index: \d+, error_code: (-?\d+)/g;
}

ok(-e "$_/meta.properties", 'a log directory has its identity') for $one, $two;
is($ox->sql('CREATE TOPIC x PARTITIONS 6'), '', 'a topic');
is(scalar(Oxbow::partitions_in($one, 'x')), 3, 'half of its partitions are in one directory');
is(scalar(Oxbow::partitions_in($two, 'x')), 3, 'half in the other');
is(produce('x', $_, "k=v$_ k=w$_"), 0, "partition $_ takes records") for 0 .. 5;
my $described = $ox->wire('DescribeLogDirs 4 {topics: [{topic: "x", partitions: [0, 1, 2, 3, 4, 5]}]}');
my $all = () = $described =~ /partition_index: \d+, partition_size: [1-9]\d*, offset_lag: 0, is_future_key: false/g;
is($all, 6, 'DescribeLogDirs finds all') or diag $described;
like($described, qr/log_dir: "\Q$_\E"/, 'and names the directory') for $one, $two;
unlike($described, qr/total_bytes: (?:-1|0)\b/, 'with its size');

# The same in SQL.
sub parts_sql {
    my ($folder, $topic) = @_;
    return split /\n/, $ox->sql("SELECT partition FROM oxbow.partitions WHERE topic = '$topic' AND log_dir = '$folder' ORDER BY 1");
}
is("@{[parts_sql($_, 'x')]}", "@{[Oxbow::partitions_in($_, 'x')]}", 'oxbow.partitions names it, too') for $one, $two;

# Moves.
my ($first) = Oxbow::partitions_in($one, 'x');
is(move(2, $two, 'x', $first), 0, 'a partition shall move');
comes_true(sub { -d "$two/x-$first" && !-d "$one/x-$first" }, 'it is in the other directory');
is(produce('x', $first, 'k=later'), 0, 'and takes records');
is("@{[parts_sql($two, 'x')]}", "@{[Oxbow::partitions_in($two, 'x')]}", 'oxbow.partitions follows');
like(fetch('x', $first), qr/k=v$first k=w$first.*k=later/, 'it has them all');
is(move(1, $two, 'x', $first), 0, 'to move where it is, is fine');
is(move(2, '/nowhere', 'x', 0, 1), '57 57', 'a directory that is none');
is(move(2, $one, 'x', 6, 99), '3 3', 'partitions that are none');
is(move(2, $one, 'nope', 0), '3', 'a topic that is none');
is(move(1, $one, 'x', $first), 0, 'back, in the older version');
comes_true(sub { -d "$one/x-$first" && !-d "$two/x-$first" }, 'it is back');
ok($ox->restart, 'a restart');
like(fetch('x', $first), qr/k=v$first k=w$first.*k=later/, 'it has them all');
is($ox->sql("CREATE TOPIC big PARTITIONS 1 WITH (segment_bytes = 1048576)"), '', 'a topic of many segments');
is($ox->sql("INSERT INTO big (_value) SELECT repeat('x', 1000) || g FROM generate_series(1, 8000) g"), '',
    'is filled');
my $home = -d "$one/big-0" ? $one : $two;
my $away = $home eq $one ? $two : $one;
is(move(2, $away, 'big', 0), 0, 'it moves');
is($ox->sql("INSERT INTO big (_value) SELECT repeat('y', 1000) || g FROM generate_series(1, 500) g"), '',
    'while it is filled');
comes_true(sub { -d "$away/big-0" && !-d "$home/big-0" }, 'it is in the other directory');
is($ox->sql("SELECT count(*), count(DISTINCT _value) FROM big"), '8500|8500', 'with all records');
is(move(2, $home, 'big', 0), 0, 'it moves again');
ok($ox->restart('KILL'), 'the server is killed meanwhile');
is($ox->sql("SELECT count(*), count(DISTINCT _value) FROM big"), '8500|8500', 'all records are there');
sub futures { return join ' ', glob "$tmp/[ab]/*-future" }
# The move has gone on: at its end both directories are there for a moment.
comes_true(sub { futures() eq '' && 1 == grep { -d "$_/big-0" } $one, $two }, 'in one directory, nothing is left of a move');

# Directories closed to new partitions.
sub cordon {
    my ($name, $op, $list) = @_;
    my $answer = $ox->wire(qq(IncrementalAlterConfigs 1 {resources: [{resource_type: 4, resource_name: "$name", configs: [)
        . qq({name: "cordoned.log.dirs", config_operation: $op, value: "$list"}]}]}));
    return join ' ', $answer =~ /error_code: (-?\d+), error_message: (?:"([^"]*)"|null)/;
}
sub cordoned { return join ' ', $ox->wire('DescribeLogDirs 5 {topics: []}') =~ /is_cordoned: (\w+)/g }
is(cordon('', 0, $one), '42 Cannot update these configs at default cluster level, broker id must be specified: [cordoned.log.dirs]',
    'not for all brokers');
is(cordon(1, 0, "$one,/nowhere"), '42 requirement failed: All entries in cordoned.log.dirs must be present in '
    . 'log.dirs or log.dir. Missing entries : /nowhere', 'no directory of ours');
is(cordon(1, 0, "/nowhere,$one,/elsewhere"), '42 requirement failed: All entries in cordoned.log.dirs must be present in '
    . 'log.dirs or log.dir. Missing entries : /nowhere,/elsewhere', 'all that are not are named');
is(cordon(1, 0, "$_,$_"), "42 Configuration 'cordoned.log.dirs' values must not be duplicated.", "\"$_\" twice")
    for $one, '/nowhere';
like($ox->sql("ALTER SYSTEM SET cordoned_log_dirs = '$one,/nowhere'"), qr/Invalid entry in cordoned.log.dirs: \/nowhere\./, 'in SQL');
is(cordoned(), 'false false', 'none is closed');
like(cordon(1, 0, $one), qr/^0/, 'one is closed');
is(cordoned(), 'true false', 'DescribeLogDirs tells');
is($ox->sql('CREATE TOPIC spread PARTITIONS 4'), '', 'a topic of four partitions');
is(scalar(Oxbow::partitions_in($one, 'spread')) . scalar(Oxbow::partitions_in($two, 'spread')), '04', 'lies in the other one');
is(move(2, $one, 'spread', 0), 39, 'none moves into the closed one');
like(produce('x', (Oxbow::partitions_in($one, 'x'))[0], 'k=closed'), qr/^0/, 'what is there takes records');
like(cordon(1, 2, $two), qr/^0/, 'the second is closed, too');
is(cordoned(), 'true true', 'all are');
my $all_closed = 'have all their log directories cordoned';
like($ox->wire('CreateTopics 4 {topics: [{name: "none", num_partitions: 1, replication_factor: 1}], timeout_ms: 10000}'),
    qr/error_code: 38.*$all_closed/, 'no topic can be made');
like($ox->wire('CreateTopics 4 {topics: [{name: "none", num_partitions: -1, replication_factor: -1, assignments: [{partition_index: 0, broker_ids: [1]}]}], timeout_ms: 10000}'),
    qr/error_code: 39.*all its log directories are cordoned/, 'wherever it shall lie');
like($ox->wire('CreatePartitions 1 {topics: [{name: "spread", count: 5, assignments: null}], timeout_ms: 10000}'), qr/error_code: 38/, 'nor partitions');
like($ox->sql('CREATE TOPIC none'), qr/$all_closed/, 'in SQL neither');
like(cordon(1, 0, '*'), qr/^0/, 'all by one sign');
ok($ox->restart, 'a restart');
is(cordoned(), 'true true', 'keeps them closed');
like(cordon(1, 1, ''), qr/^0/, 'none is closed');
is(cordoned(), 'false false', 'again');
is($ox->sql('CREATE TOPIC spread2 PARTITIONS 4'), '', 'a topic can be made');

# A move that a stop has interrupted goes on, in what was copied.
is($ox->stop, 0, 'stopped');
($home, $away) = -d "$one/big-0" ? ($one, $two) : ($two, $one);
my $future = "$away/big-0." . 'ab' x 16 . '-future';
my ($stray, $twice) = map { "$away/$_-future" } 'x-0.' . 'cd' x 16, 'big-77.' . 'ef' x 16;
my $second = "$away/big-0." . 'ff' x 16 . '-future';
make_path($future, $second, $stray, $twice);
copy("$home/big-0/partition.metadata", $_) or die for $future, $second, $twice;
my @segments = glob "$home/big-0/*.log";
copy($segments[0], $future) or die;
copy($segments[1], $future) or die;
truncate "$future/" . ($segments[1] =~ s{.*/}{}r), 500_000 or die;
my $inode = (stat "$future/" . ($segments[0] =~ s{.*/}{}r))[1];
open my $junk, '>', "$future/00000000000000000077.log" or die;
print $junk 'x' x 1000;
close $junk;
ok($ox->run, 'started with a move that is half done');
comes_true(sub { -d "$away/big-0" && !-d "$home/big-0" }, 'it is finished');
is((stat "$away/big-0/" . ($segments[0] =~ s{.*/}{}r))[1], $inode, 'in the files that were there');
ok(!-e "$away/big-0/00000000000000000077.log", 'without those of no segment');
is($ox->sql("SELECT count(*), count(DISTINCT _value) FROM big"), '8500|8500', 'with all records');
is(futures(), '', 'what belongs to no partition was removed');
is(move(2, $home, 'big', 0), 0, 'a move is asked for');
comes_true(sub { futures() ne '' || -d "$home/big-0" }, 'and noted down');
ok($ox->restart, 'a restart');
comes_true(sub { -d "$home/big-0" && !-d "$away/big-0" }, 'it is done all the same');
is($ox->sql("SELECT count(*), count(DISTINCT _value) FROM big"), '8500|8500', 'with all records');
is(futures(), '', 'nothing is left of it');

# Groups whose coordinator's partition is in each of the directories.
sub commit {
    my ($group) = @_;
    my $answer = $ox->wire("FindCoordinator 4 {key_type: 0, coordinator_keys: [\"$group\"]}",
        qq(OffsetCommit 8 {group_id: "$group", generation_id_or_member_epoch: -1, member_id: "", topics: )
            . qq([{name: "x", partitions: [{partition_index: 0, committed_offset: 1, committed_leader_epoch: -1}]}]}));
    return $answer =~ /.*error_code: (-?\d+)/s ? $1 : $answer;
}
comes_true(sub { commit('g1') eq '0' }, 'a group commits');
my %of = (a => [], b => []);
for my $i (1 .. 20) {
    my $hash = 0;
    $hash = ($hash * 31 + ord) & 0xffffffff for split //, "g$i";
    my $part = ($hash & 0x7fffffff) % 50;
    push @{$of{-d "$one/__consumer_offsets-$part" ? 'a' : 'b'}}, "g$i";
}
is(commit($_), 0, "group $_ commits") for $of{a}[0], $of{b}[0];

# Error code, leader and leader epoch of a partition, as Metadata has it; the fetch of
# somebody who believes in an epoch.
sub leader {
    my ($part) = @_;
    my $answer = $ox->wire('Metadata 9 {topics: [{name: "x"}]}');
    return $answer =~ /error_code: (\d+), partition_index: $part, leader_id: (-?\d+), leader_epoch: (\d+)/
        ? "$1 $2 $3" : $answer;
}

sub fetch_as {
    my ($part, $epoch) = @_;
    my $answer = $ox->wire(qq(Fetch 12 {max_wait_ms: 100, min_bytes: 1, topics: [{topic: "x", partitions: [)
        . qq({partition: $part, current_leader_epoch: $epoch, fetch_offset: 0, partition_max_bytes: 100000}]}]}));
    return $answer =~ /partition_index: $part, error_code: (\d+)/ ? $1 : $answer;
}

# One fails while it is used.
my @bad = Oxbow::partitions_in($two, 'x');
my @good = Oxbow::partitions_in($one, 'x');
my ($epoch) = leader($bad[0]) =~ /^0 1 (\d+)$/;
is(leader($good[0]) =~ s/^0 1 //r, $epoch, 'partitions have a leader epoch');
is(fetch_as($bad[0], $epoch), 0, 'Fetch names it');
spoil($two);
is(produce('x', $bad[0], 'lost'), 56, 'a write to the disk that failed: KAFKA_STORAGE_ERROR');
is(produce('x', $_, 'lost'), 56, "partition $_ is offline") for @bad;
is(produce('x', $_, 'fine'), 0, "partition $_ is not") for @good;
comes_true(sub { fetch('x', $bad[0]) =~ /error_code: 56/ }, 'Fetch says so');
like(fetch('x', $good[0]), qr/=v$good[0].*fine/, 'and reads the others');
comes_true(sub { $ox->wire('Metadata 9 {topics: [{name: "x"}]}') =~
    /error_code: 5, partition_index: $bad[0], leader_id: -1, [^}]*isr_nodes: \[\], offline_replicas: \[1\]/ },
    'Metadata: no leader');
comes_true(sub { leader($_) eq '5 -1 ' . ($epoch + 1) }, "and a new leader epoch, partition $_") for @bad;
is(leader($good[0]), "0 1 $epoch", 'but not of the others');
is(fetch_as($bad[0], $epoch), 56, 'Fetch of the offline one: KAFKA_STORAGE_ERROR, whatever the epoch');
is($ox->sql("SELECT leader FROM oxbow.partitions WHERE topic = 'x' AND partition = $bad[0]"), '-1',
    'the catalog has no leader');
like($ox->wire('DescribeTopicPartitions 0 {topics: [{name: "x"}]}'),
    qr/error_code: 0, partition_index: $bad[0], leader_id: -1, [^}]*isr_nodes: \[\], eligible_leader_replicas: \[1\], last_known_elr: \[1\], offline_replicas: \[1\]/,
    'DescribeTopicPartitions: who may lead again');
like($ox->wire("ListOffsets 7 {replica_id: -1, topics: [{name: \"x\", partitions: [{partition_index: $bad[0], timestamp: -1}]}]}"),
    qr/error_code: 56/, 'ListOffsets: KAFKA_STORAGE_ERROR');
like($ox->wire('Metadata 9 {topics: [{name: "x"}]}'),
    qr/error_code: 0, partition_index: $good[0], leader_id: 1/, 'but for the others');
$described = $ox->wire('DescribeLogDirs 4 {}');
like($described, qr/error_code: 56, log_dir: "\Q$two\E", topics: \[\]/, 'DescribeLogDirs: KAFKA_STORAGE_ERROR');
like($described, qr/error_code: 0, log_dir: "\Q$one\E"/, 'and the other one');
is(move(2, $two, 'x', $good[0]), 56, 'nothing moves there');
is(move(2, $one, 'x', $bad[0]), 56, 'nor from there');
is(commit($of{a}[0]), 0, 'a group of the good directory commits');
like(commit($of{b}[0]), qr/^(15|16)$/, 'one of the other has no coordinator');
is($ox->sql('CREATE TOPIC fresh PARTITIONS 4'), '', 'topics are made');
is(scalar(Oxbow::partitions_in($one, 'fresh')), 4, 'in the good directory');
is(produce('fresh', 3, 'fine'), 0, 'and used');
like($ox->sql("INSERT INTO x (_value, _partition) VALUES ('sql', $bad[0])"), qr/58030|OX|storage|disk|offline/i,
    'SQL is told');
ok($ox->alive, 'the server lives');

# The disk is well again.
is($ox->stop, 0, 'stopped');
spoil('');
ok($ox->run, 'started with a disk that was repaired');
is(leader($_), '0 1 ' . ($epoch + 2), "partition $_ has a leader, elected anew") for @bad;
is(fetch_as($bad[0], $epoch), 74, 'who has missed that: FENCED_LEADER_EPOCH');
is(fetch_as($bad[0], $epoch + 2), 0, 'who has not, reads');
is(fetch_as($bad[0], $epoch + 3), 75, 'UNKNOWN_LEADER_EPOCH');
is(produce('x', $_, 'again'), 0, "partition $_ takes records") for 0 .. 5;
like(fetch('x', $_), qr/=v$_/, "partition $_ has what was acknowledged") for 0 .. 5;
like($ox->wire("OffsetForLeaderEpoch 4 {replica_id: -1, topics: [{topic: \"x\", partitions: [{partition: $bad[0], "
    . "current_leader_epoch: -1, leader_epoch: " . ($epoch + 2) . "}]}]}"), qr/leader_epoch: @{[$epoch + 2]}\b/,
    'the log knows the new epoch');
is(commit($_), 0, "group $_ commits") for $of{a}[0], $of{b}[0];

# It cannot be opened at all.
is($ox->stop, 0, 'stopped');
rename $two, "$two.gone" or die;
open my $file, '>', $two or die;
close $file;
ok($ox->run, 'started without one of the directories');
is(produce('x', $bad[0], 'lost'), 56, 'its partitions are offline');
is(produce('x', $good[0], 'fine'), 0, 'the others are not');
like($ox->wire('DescribeLogDirs 4 {}'), qr/error_code: 56, log_dir: "\Q$two\E", topics: \[\]/, 'DescribeLogDirs says so');
like($ox->wire('Metadata 9 {topics: [{name: "x"}]}'),
    qr/error_code: 5, partition_index: $bad[0], leader_id: -1/, 'Metadata says so');
is(leader($bad[0]), '5 -1 ' . ($epoch + 3), 'with a new leader epoch');
is($ox->sql('CREATE TOPIC other PARTITIONS 2'), '', 'topics are made');
is($ox->sql('DROP TOPIC fresh'), '', 'and dropped');
is($ox->stop, 0, 'stopped');
unlink $two;
rename "$two.gone", $two or die;
ok($ox->run, 'started with both');
is(leader($bad[0]), '0 1 ' . ($epoch + 4), 'they have a leader again');
is(produce('x', $_, 'again'), 0, "partition $_ takes records") for 0 .. 5;
like(fetch('x', $_), qr/=v$_/, "partition $_ has its records") for 0 .. 5;

# It goes away while it is used.
rename $two, "$two.gone" or die;
comes_true(sub { $ox->wire('DescribeLogDirs 4 {}') =~ /error_code: 56, log_dir: "\Q$two\E"/ },
    'a directory that disappears is noticed');
is(produce('x', $good[0], 'fine'), 0, 'the others go on');
rename "$two.gone", $two or die;
# And the last one.
spoil($one);
produce('x', $good[0], 'lost');
my $until = time + 60;
sleep 0.1 while $ox->alive && time < $until;
ok(!$ox->alive, 'without any directory the server ends');
$ox->{pid} = undef;
spoil('');
ok($ox->run, 'and starts when the disks are well');
is(produce('x', $_, 'again'), 0, "partition $_ takes records") for 0 .. 5;
is($ox->stop, 0, 'stopped');
done_testing();
