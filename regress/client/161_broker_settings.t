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
    'num.recovery.threads.per.data.dir' => 2, 'log.retention.check.interval.ms' => 300}) or BAIL_OUT('no server');

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
    '42 Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update validation failed for num.recovery.threads.per.data.dir=5, '
        . 'value should not be greater than double the current value 2 for configuration Invalid dynamic configuration',
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

# ---- *.coordinator.append.linger.ms, *.compression.codec, snapshots ----

sub commit {
    my ($group, $offset) = @_;
    my $answer = $ox->wire(qq(OffsetCommit 8 {group_id: "$group", topics: [{name: "heavy", partitions: [{partition_index: 0, committed_offset: $offset}]}]}));
    return $answer =~ /error_code: (-?\d+)/ ? $1 : $answer;
}
sub committed {
    my ($group) = @_;
    my $answer = $ox->wire(qq(OffsetFetch 8 {groups: [{group_id: "$group", topics: [{name: "heavy", partition_indexes: [0]}]}]}));
    return $answer =~ /committed_offset: (-?\d+)/ ? $1 : $answer;
}
sub codecs { return join ' ', sort split /\n/, $ox->sql("SELECT DISTINCT _compression FROM $_[0]") }
my $tries = 0;
$ox->wire('FindCoordinator 4 {key_type: 0, coordinator_keys: ["g1"]}');
sleep 0.2 while commit('g1', 1) != 0 && $tries++ < 100;
is(committed('g1'), 1, 'an offset is committed');
is(codecs('__consumer_offsets'), 'none', 'uncompressed');
is($ox->sql('ALTER SYSTEM SET offsets_topic_compression_codec = 4'), '', 'the fourth codec');
is(commit('g1', 2), 0, 'another one');
is(codecs('__consumer_offsets'), 'none zstd', 'goes into a batch of zstd');
is($ox->sql('ALTER SYSTEM SET group_coordinator_append_linger_ms = 3000'), '', 'batches wait for more records');
my $begin = time;
is(commit('g1', 3), 0, 'a commit');
cmp_ok(time - $begin, '>=', 2.9, 'waits');
is(commit('g2', 4), 0, 'so does another group');
is(committed($_->[0]), $_->[1], "what $_->[0] has committed") for ['g1', 3], ['g2', 4];
ok($ox->restart('KILL'), 'after a crash');
$tries = 0;
sleep 0.2 while committed('g1') ne '3' && $tries++ < 100;
is(committed($_->[0]), $_->[1], "$_->[0] has it") for ['g1', 3], ['g2', 4];
is($ox->sql('ALTER SYSTEM RESET group_coordinator_append_linger_ms'), '', 'nothing waits');
$begin = time;
is(commit('g1', 5), 0, 'a commit');
cmp_ok(time - $begin, '<', 2.9, 'does not wait');

# ---- producer.id.expiration.ms ----

sub producers {
    my $answer = $ox->wire('DescribeProducers 0 {topics: [{name: "heavy", partition_indexes: [0]}]}');
    return scalar(() = $answer =~ /last_sequence: /g);
}
sub idempotent {
    my ($value) = @_;
    return $ox->wire('retry 14,15,16 InitProducerId 5 {transactional_id: null, transaction_timeout_ms: 60000}', 'let P = producer_id',
        'Produce 9 {acks: -1, timeout_ms: 15000, topic_data: [{name: "heavy", partition_data: [{index: 0, '
            . qq(records: "seq:\$P/0/0:k=$value"}]}]}));
}
like(idempotent('a'), qr/Produce 9: .*error_code: 0/, 'an idempotent producer writes');
sleep 1;
is(producers(), 1, 'it is known');
is(alter('producer.id.expiration.ms', 500), 0, 'who is silent for half a second is forgotten');
$until = time + 60;
sleep 0.2 while producers() > 0 && time < $until;
is(producers(), 0, 'so it is, while the server runs');
is(alter('producer.id.expiration.ms', 3_600_000), 0, 'after an hour');
like(idempotent('b'), qr/Produce 9: .*error_code: 0/, 'another one writes');
ok($ox->restart('KILL'), 'after a crash');
sleep 1;
cmp_ok(producers(), '>', 0, 'it is still known');

$ox->stop;

# ---- defaults that come from other settings ----

sub described {
    my ($name) = @_;
    my $answer = $ox->wire(qq(DescribeConfigs 4 {resources: [{resource_type: 4, resource_name: "1", configuration_keys: ["$name"]}], include_synonyms: true}));
    my ($value, $source, $synonyms) = $answer =~ /name: "\Q$name\E", value: (.*?), read_only: \w+, config_source: (\d+), .*?synonyms: \[(.*?)\]/;
    return "$value $source $synonyms";
}
$ox = Oxbow->start(settings => {listen_address => '127.0.0.1'}) or BAIL_OUT('no server');
my $dir = abs_path($ox->{dir});
for my $case (['listeners', 'PLAINTEXT://127.0.0.1:0'], ['log.dirs', $dir]) {
    my ($name, $value) = @$case;
    is(described($name), qq("$value" 5 {name: "$name", value: "$value", source: 5}), "$name, as it is without being set");
}
is(described('advertised.listeners'), 'null 5 ', 'advertised.listeners is not set, as with Kafka');
$ox->stop;
done_testing;
