#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# What settings of the broker do that no other test looks at.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use Oxbow;
use Test::More;
use Time::HiRes qw(sleep time);

my $tmp = abs_path(tempdir('settings-XXXXXX', DIR => Oxbow::tmp(), CLEANUP => 1));
my ($one, $two) = ("$tmp/a", "$tmp/b");
my $ox = Oxbow->start(dir => "$tmp/data", settings => {'log.dirs' => "$one,$two", log_level => 'info',
    'num.recovery.threads.per.data.dir' => 2}) or BAIL_OUT('no server');

# Sets one of the broker's settings; error code and text.
sub alter {
    my ($name, $value) = @_;
    my $answer = $ox->wire(qq(IncrementalAlterConfigs 1 {resources: [{resource_type: 4, resource_name: "1", configs: [)
        . qq({name: "$name", config_operation: 0, value: "$value"}]}]}));
    return $answer =~ /error_code: (-?\d+), error_message: (?:"([^"]*)"|null)/ ? join ' ', grep { defined } $1, $2 : $answer;
}
sub diag_lines {
    my ($pattern) = @_;
    open my $in, '<', $ox->{diag} or die;
    return grep { /$pattern/ } <$in>;
}

# ---- num.recovery.threads.per.data.dir ----

is($ox->sql('CREATE TOPIC many PARTITIONS 40'), '', 'a topic of 40 partitions');
ok($ox->restart('KILL'), 'started after a crash');
like((diag_lines('partitions were opened'))[-1], qr/count=40 threads=4\b/, 'two threads for each directory recover them');
is(alter('num.recovery.threads.per.data.dir', 5),
    '42 Dynamic thread count update validation failed for num.recovery.threads.per.data.dir=5, value should not be greater than double the current value 2',
    'not more than double at a time');
is(alter('num.recovery.threads.per.data.dir', 0) =~ s/ .*//r, 42, 'nor none');
is(alter('num.recovery.threads.per.data.dir', 3), 0, 'one more');
ok($ox->restart('KILL'), 'started after another crash');
like((diag_lines('partitions were opened'))[-1], qr/count=40 threads=6\b/, 'uses six');
ok($ox->restart, 'after a clean stop');
like((diag_lines('partitions were opened'))[-1], qr/count=40 threads=3\b/, 'a thread takes sixteen: there is nothing to recover');

# ---- replica.alter.log.dirs.io.max.bytes.per.second ----

is($ox->sql('CREATE TOPIC heavy PARTITIONS 1'), '', 'a topic');
is($ox->sql("INSERT INTO heavy (_value) SELECT repeat('x', 2000) || g FROM generate_series(1, 6000) g"), '', 'of twelve megabytes');
sub where { return -d "$one/heavy-0" ? $one : $two }
my $from = where();
my $to = $from eq $one ? $two : $one;
is(alter('replica.alter.log.dirs.io.max.bytes.per.second', -1) =~ s/ .*//r, 42, 'less than nothing cannot be');
is(alter('replica.alter.log.dirs.io.max.bytes.per.second', 100_000), 0, 'moves may copy 100 kB in a second');
like($ox->wire('DescribeConfigs 4 {resources: [{resource_type: 4, resource_name: "1", configuration_keys: null}]}'),
    qr/replica.alter.log.dirs.io.max.bytes.per.second", value: "100000"/, 'which is listed now');
like($ox->wire(qq(AlterReplicaLogDirs 2 {dirs: [{path: "$to", topics: [{name: "heavy", partitions: [0]}]}]})),
    qr/error_code: 0/, 'it shall move');
sleep 3;
is(where(), $from, 'after three seconds it has not');
my ($copied) = $ox->wire('DescribeLogDirs 4 {topics: [{topic: "heavy", partitions: [0]}]}') =~ /partition_size: (\d+), offset_lag: \d+, is_future_key: true/;
cmp_ok($copied // 1e9, '<', 8_000_000, 'a part has been copied');
is($ox->sql("INSERT INTO heavy (_value) VALUES ('meanwhile')"), '', 'records are taken meanwhile');
is(alter('replica.alter.log.dirs.io.max.bytes.per.second', 1_000_000_000), 0, 'more may be copied');
my $until = time + 60;
sleep 0.1 while where() eq $from && time < $until;
is(where(), $to, 'it goes on at once');
is($ox->sql('SELECT count(*) FROM heavy'), 6001, 'with all records');

$ox->stop;
done_testing;
