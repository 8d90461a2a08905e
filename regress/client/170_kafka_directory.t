#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Oxbow on a directory that Apache Kafka formatted and filled: topics with their
# ids, records, groups, offsets, transactions, users, rules, quotas, settings.
#
# kafka_directory.tar.gz is such a directory (Apache Kafka 4.3, KRaft, one node),
# kafka_directory.out what Kafka answered about it after a restart, and when; the
# server's clock is set back to then. With OX_LONG and
# Maven's jars both are made anew first, and Kafka looks at what Oxbow leaves;
# OX_KAFKA_RECORD=1 keeps them.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use KafkaJars;
use Oxbow qw(slurp);
use Test::More;
use Time::HiRes qw(sleep time);

my $here = abs_path("$Oxbow::TOP/regress/client");
my $tmp = abs_path(tempdir('kafkadir-XXXXXX', DIR => Oxbow::tmp(), CLEANUP => 1));
my $settings = <<'END';
offsets.topic.num.partitions=3
offsets.topic.segment.bytes=1048576
transaction.state.log.num.partitions=3
transaction.state.log.segment.bytes=1048576
share.coordinator.state.topic.num.partitions=2
metadata.log.max.record.bytes.between.snapshots=2000
log.cleaner.enable=true
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
super.users=User:ANONYMOUS
log.index.size.max.bytes=4096
END

sub records {
    my ($topic, $part, $records, %more) = @_;
    my $version = $more{version} // 9;
    my $id = $more{id} ? qq("$more{id}") : 'null';
    return qq(Produce $version {transactional_id: $id, acks: -1, timeout_ms: 15000, topic_data: )
        . qq([{name: "$topic", partition_data: [{index: $part, records: "$records"}]}]});
}

sub topic {
    my ($name, $parts, %configs) = @_;
    my $configs = join ', ', map { qq({name: "$_", value: "$configs{$_}"}) } sort keys %configs;
    return qq(CreateTopics 4 {topics: [{name: "$name", num_partitions: $parts, replication_factor: 1, configs: [$configs]}], timeout_ms: 15000});
}

sub alter {
    my ($type, $name, %configs) = @_;
    my $configs = join ', ', map { qq({name: "$_", config_operation: 0, value: "$configs{$_}"}) } sort keys %configs;
    return qq(IncrementalAlterConfigs 1 {resources: [{resource_type: $type, resource_name: "$name", configs: [$configs]}]});
}

my $salt = 'salt-of-16-bytes';
my $password = 'x' x 32;
my @fill = (
    topic('plain', 2), topic('packed', 1, 'compression.type' => 'lz4', 'segment.bytes' => 1048576),
    topic('keyed', 1, 'cleanup.policy' => 'compact', 'min.cleanable.dirty.ratio' => '0.1'),
    topic('stamped', 1, 'message.timestamp.type' => 'LogAppendTime', 'retention.ms' => -1),
    topic('txn', 2), topic('gone', 1, 'retention.bytes' => 12345), topic('short', 1), topic('eo', 1),
    'wait 1000',
    (map { records('plain', $_ % 2, "k$_=v$_ k$_=w$_") } 0 .. 9),
    records('plain', 0, 'gzip:gz=1 gz=2'), records('plain', 0, 'snappy:sn=1'),
    records('plain', 1, 'zstd:zs=1 zs=2 zs=3'), records('plain', 1, 'lz4:lz=1'),
    records('packed', 0, 'a=1 b=2 c=3'), records('keyed', 0, 'k=old k=new l=1 m=null'),
    records('stamped', 0, 'now=1'), records('short', 0, 'a b c d e f'),
    'DeleteRecords 1 {topics: [{name: "short", partitions: [{partition_index: 0, offset: 4}]}], timeout_ms: 5000}',
    records('gone', 0, 'x=y'), 'DeleteTopics 4 {topic_names: ["gone"], timeout_ms: 10000}',
    # Offsets of groups
    'retry 15 FindCoordinator 4 {key_type: 0, coordinator_keys: ["simple"]}', 'wait 1000',
    'retry 16 OffsetCommit 8 {group_id: "simple", generation_id_or_member_epoch: -1, member_id: "", topics: [{name: "plain", partitions: [{partition_index: 0, committed_offset: 3, committed_leader_epoch: 0, committed_metadata: "here"}, {partition_index: 1, committed_offset: 5, committed_leader_epoch: -1}]}]}',
    'JoinGroup 4 {group_id: "classic", session_timeout_ms: 30000, rebalance_timeout_ms: 8000, member_id: "", protocol_type: "consumer", protocols: [{name: "range", metadata: "a"}]}',
    'let A = member_id',
    'JoinGroup 4 {group_id: "classic", session_timeout_ms: 30000, rebalance_timeout_ms: 8000, member_id: "$A", protocol_type: "consumer", protocols: [{name: "range", metadata: "a"}]}',
    'SyncGroup 2 {group_id: "classic", generation_id: 1, member_id: "$A", assignments: [{member_id: "$A", assignment: "all"}]}',
    'OffsetCommit 8 {group_id: "classic", generation_id_or_member_epoch: 1, member_id: "$A", topics: [{name: "packed", partitions: [{partition_index: 0, committed_offset: 2, committed_leader_epoch: 0}]}]}',
    'LeaveGroup 1 {group_id: "classic", member_id: "$A"}',
    'ConsumerGroupHeartbeat 1 {group_id: "modern", member_id: "m-1", member_epoch: 0, rebalance_timeout_ms: 60000, subscribed_topic_names: ["plain"], server_assignor: "range", topic_partitions: []}',
    'let E = member_epoch',
    'OffsetCommit 9 {group_id: "modern", generation_id_or_member_epoch: $E, member_id: "m-1", topics: [{name: "plain", partitions: [{partition_index: 1, committed_offset: 7, committed_leader_epoch: 0}]}]}',
    # Transactions: committed, aborted, with offsets, and one that is open
    'retry 15 FindCoordinator 4 {key_type: 1, coordinator_keys: ["t-done", "t-open"]}', 'wait 1000',
    'retry 14 InitProducerId 5 {transactional_id: "t-done", transaction_timeout_ms: 60000}', 'let P = producer_id',
    'let Q = producer_epoch',
    records('txn', 0, 'txn:seq:$P/0/0:done=1 done=2', id => 't-done', version => 12),
    'TxnOffsetCommit 5 {transactional_id: "t-done", group_id: "eo", producer_id: $P, producer_epoch: 0, generation_id_or_member_epoch: -1, member_id: "", topics: [{name: "plain", partitions: [{partition_index: 0, committed_offset: 9, committed_leader_epoch: -1}]}]}',
    'EndTxn 5 {transactional_id: "t-done", producer_id: $P, producer_epoch: 0, committed: true}', 'wait 500',
    records('txn', 1, 'txn:seq:$P/1/0:aborted=1', id => 't-done', version => 12),
    'EndTxn 5 {transactional_id: "t-done", producer_id: $P, producer_epoch: 1, committed: false}', 'wait 500',
    records('txn', 1, 'after=1'),
    'InitProducerId 5 {transactional_id: "t-open", transaction_timeout_ms: 900000}', 'let O = producer_id',
    records('txn', 0, 'txn:seq:$O/0/0:open=1', id => 't-open', version => 12), records('txn', 0, 'behind=1'),
    'InitProducerId 5 {transactional_id: null, transaction_timeout_ms: 60000}', 'let I = producer_id',
    records('plain', 0, 'seq:$I/0/0:idem=0'), records('plain', 0, 'seq:$I/0/1:idem=1 idem=2'),
    # Users, rules, quotas, settings
    qq(AlterUserScramCredentials 0 {upsertions: [{name: "alice", mechanism: 1, iterations: 4096, salt: "$salt", salted_password: "$password"}, {name: "bob", mechanism: 2, iterations: 8192, salt: "$salt", salted_password: "$password$password"}, {name: "gone", mechanism: 1, iterations: 4096, salt: "$salt", salted_password: "$password"}]}),
    'AlterUserScramCredentials 0 {deletions: [{name: "gone", mechanism: 1}]}',
    'CreateAcls 3 {creations: [{resource_type: 2, resource_name: "plain", resource_pattern_type: 3, principal: "User:alice", host: "*", operation: 3, permission_type: 3}, {resource_type: 2, resource_name: "pa", resource_pattern_type: 4, principal: "User:bob", host: "10.1.2.3", operation: 4, permission_type: 2}, {resource_type: 4, resource_name: "kafka-cluster", resource_pattern_type: 3, principal: "User:gone", host: "*", operation: 8, permission_type: 3}]}',
    'DeleteAcls 3 {filters: [{resource_type_filter: 4, resource_name_filter: null, pattern_type_filter: 1, principal_filter: "User:gone", host_filter: null, operation: 1, permission_type: 1}]}',
    'AlterClientQuotas 1 {entries: [{entity: [{entity_type: "user", entity_name: "alice"}], ops: [{key: "producer_byte_rate", value: 1048576, remove: false}]}, {entity: [{entity_type: "user", entity_name: null}, {entity_type: "client-id", entity_name: "app"}], ops: [{key: "consumer_byte_rate", value: 2097152, remove: false}]}, {entity: [{entity_type: "ip", entity_name: "10.9.8.7"}], ops: [{key: "connection_creation_rate", value: 25, remove: false}]}]}',
    alter(2, 'plain', 'max.message.bytes' => 200000, 'retention.ms' => 86400000000),
    alter(4, '', 'log.retention.check.interval.ms' => 300000, 'message.max.bytes' => 2000000) =~ s/\{name: "log.retention.check[^}]*\}, //r,
    alter(32, 'classic', 'consumer.session.timeout.ms' => 50000),
    'CreatePartitions 2 {topics: [{name: "eo", count: 3, assignments: null}], timeout_ms: 5000}',
    'wait 1000',
    records('eo', 2, 'third=1'),
);

# What is asked of Kafka and of Oxbow, and must be alike.
my @hide = ('hide host port throttle_time_ms error_message coordinator_epoch leader_epoch committed_leader_epoch session_id node_id log_append_time_ms cluster_id controller_id listener_name log_start_offset timestamp offset_metadata client_host last_timestamp transaction_start_time_ms');
my @look = (@hide, 'wait 1500',
    'retry 16 OffsetFetch 8 {groups: [{group_id: "simple", topics: null}], require_stable: false}',
    'retry 16 DescribeTransactions 0 {transactional_ids: ["t-done"]}',
    'Metadata 12 {topics: [{name: "plain"}, {name: "packed"}, {name: "eo"}, {name: "__consumer_offsets"}]}',
    (map { my ($topic, $part) = @$_; map {
        "Fetch 11 {max_wait_ms: 100, min_bytes: 1, isolation_level: $_, session_epoch: -1, topics: [{topic: \"$topic\", partitions: [{partition: $part, fetch_offset: "
        . ($topic eq 'short' ? 4 : 0) . ', partition_max_bytes: 1000000}]}], rack_id: ""}' } 0, 1 }
        ['plain', 0], ['plain', 1], ['packed', 0], ['stamped', 0], ['txn', 0], ['txn', 1],
        ['short', 0], ['eo', 2]),
    (map { my $at = $_; "ListOffsets 7 {replica_id: -1, isolation_level: 1, topics: [{name: \"plain\", partitions: [{partition_index: 0, timestamp: $at}]}, {name: \"short\", partitions: [{partition_index: 0, timestamp: $at}]}, {name: \"txn\", partitions: [{partition_index: 0, timestamp: $at}, {partition_index: 1, timestamp: $at}]}]}" }
        -1, -2, -3, 1700000000001),
    'ListGroups 4 {}',
    (map { "OffsetFetch 8 {groups: [{group_id: \"$_\", topics: null}], require_stable: false}" } qw(simple classic modern eo none)),
    'DescribeGroups 5 {groups: ["classic", "simple"]}', 'ConsumerGroupDescribe 1 {group_ids: ["modern"]}',
    'DescribeTransactions 0 {transactional_ids: ["t-done", "t-open"]}', 'ListTransactions 0 {}',
    'DescribeProducers 0 {topics: [{name: "txn", partition_indexes: [0, 1]}, {name: "plain", partition_indexes: [0]}]}',
    'DescribeUserScramCredentials 0 {users: null}',
    'DescribeAcls 3 {resource_type_filter: 1, pattern_type_filter: 1, operation: 1, permission_type: 1}',
    'DescribeClientQuotas 1 {components: [], strict: false}',
    'DescribeConfigs 4 {resources: [{resource_type: 2, resource_name: "plain", configuration_keys: ["max.message.bytes", "retention.ms"]}, {resource_type: 2, resource_name: "keyed", configuration_keys: ["cleanup.policy", "min.cleanable.dirty.ratio"]}, {resource_type: 2, resource_name: "stamped", configuration_keys: ["message.timestamp.type", "retention.ms"]}, {resource_type: 32, resource_name: "classic", configuration_keys: ["consumer.session.timeout.ms"]}, {resource_type: 4, resource_name: "", configuration_keys: ["message.max.bytes"]}]}',
);

sub wire {
    my ($port, @lines) = @_;
    return bless({kafka_port => $port, sql_port => 0, http_port => 0}, 'Oxbow')->wire(@lines);
}

# Runs a Kafka on the directory for as long as $do does.
sub with_kafka {
    my ($data, $do) = @_;
    my $kafka = KafkaJars::start_broker(data => $data, settings => $settings) or return undef;
    my $answer = $do->($kafka->{port});
    KafkaJars::stop_broker($kafka);
    return $answer // '';
}

sub same {
    my ($got, $want, $sentence) = @_;
    my @got = split /\n/, $got;
    my @want = split /\n/, $want;
    my @differ = grep { ($got[$_] // '') ne ($want[$_] // '') } 0 .. (@got > @want ? $#got : $#want);
    ok(@want && !@differ, $sentence)
        or diag join "\n", map { ($got[$_] // 'nothing') . "\nexpected " . ($want[$_] // 'nothing') } @differ;
}

# Fresh, from Kafka itself.
my ($archive, $answers) = ("$here/kafka_directory.tar.gz", slurp("$here/kafka_directory.out"));
my $asked = $ENV{OX_KAFKA_RECORD} || $ENV{OX_LONG};
if ($asked && KafkaJars::classpath('kafka_2.13')) {
    my $filled = with_kafka("$tmp/kafka", sub { wire($_[0], @fill) }) or BAIL_OUT('no Kafka broker');
    print "# ", $filled =~ s/\n/\n# /gr, "\n" if $ENV{OX_KAFKA_RECORD};
    $answers = with_kafka("$tmp/kafka", sub { wire($_[0], @look) }) . "\nrecorded " . int(time) . "\n";
    system("tar -C $tmp/kafka -czf $tmp/new.tar.gz .") == 0 or BAIL_OUT('no archive');
    $archive = "$tmp/new.tar.gz";
    if ($ENV{OX_KAFKA_RECORD}) {
        copy($archive, "$here/kafka_directory.tar.gz") or die;
        open my $out, '>', "$here/kafka_directory.out" or die;
        print $out $answers;
        close $out;
    }
}

my ($recorded) = $answers =~ s/recorded (\d+)\n// ? $1 : 0;
my %env = (Oxbow::shim('past_clock'), OX_CLOCK_AT => $recorded);

make_path("$tmp/data");
is(system("tar -C $tmp/data -xzf $archive"), 0, 'a directory of Kafka');
my $before = `cd $tmp/data && find . -type f | sort | grep -v lock | xargs sha256sum`;
my %settings = (log_level => 'info', sql_authentication => 'trust', 'super.users' => 'User:ANONYMOUS;User:oxbow', 'allow.everyone.if.no.acl.found' => 'true',
    'authorizer.class.name' => 'org.apache.kafka.metadata.authorizer.StandardAuthorizer');

# It cannot be taken over while Kafka has it, nor by half.
my $pid = fork // die;
if ($pid == 0) {
    exec 'python3', '-c', 'import fcntl, sys, time
f = open(sys.argv[1], "a+b"); fcntl.lockf(f, fcntl.LOCK_EX); open(sys.argv[2], "w"); time.sleep(60)',
        "$tmp/data/.lock", "$tmp/locked";
}
my $until = time + 30;
sleep 0.05 while !-e "$tmp/locked" && time < $until;
ok(!Oxbow->start(dir => "$tmp/data", env => \%env), 'a directory that a Kafka server uses is left alone');
kill 'TERM', $pid;
waitpid $pid, 0;
ok(!-e "$tmp/data/raft.db", 'nothing was made');
is(`cd $tmp/data && find . -type f | grep -v catalog.db | grep -v meta.lock | sort | grep -v '\\.lock' | xargs sha256sum`,
    $before, 'nothing was changed');

my $ox = Oxbow->start(dir => "$tmp/data", settings => {%settings}, env => \%env) or BAIL_OUT('no server');
like(slurp("$ox->{diag}"), qr/the directory of a Kafka node was taken over/, 'taken over');
same($ox->wire(@look), $answers, 'all is as Kafka said');
is($ox->sql('SELECT count(*) FROM plain'), $ox->sql('SELECT sum(high_watermark - log_start) FROM oxbow.partitions WHERE topic = \'plain\''),
    'SQL reads it');
is($ox->sql("SELECT count(*) FROM oxbow.partitions WHERE fault IS NOT NULL"), 0, 'no partition has a fault');
is($ox->sql("SELECT string_agg(DISTINCT _value::text, ',' ORDER BY _value::text) FROM keyed WHERE _key = 'k'") =~ /new/, 1,
    'the compacted topic has its newest record');
unlike($ox->sql('SELECT string_agg(name, \',\') FROM oxbow.topics'), qr/gone/, 'a topic that was deleted is gone');

# It goes on from there.
my ($id) = $ox->wire('InitProducerId 5 {transactional_id: null, transaction_timeout_ms: 60000}') =~ /producer_id: (\d+)/;
my ($open) = $ox->wire('DescribeTransactions 0 {transactional_ids: ["t-open"]}') =~ /producer_id: (\d+)/;
cmp_ok($id, '>', $open, 'producer ids are not given twice');
like($ox->wire(records('plain', 0, 'new=1')), qr/error_code: 0/, 'a record is written');
my ($epoch) = $ox->wire('Metadata 12 {topics: [{name: "plain"}]}') =~ /leader_epoch: (\d+)/;
cmp_ok($epoch, '>', 0, 'in a later epoch of leaders');
like($ox->wire(qq(EndTxn 5 {transactional_id: "t-open", producer_id: $open, producer_epoch: 0, committed: true})),
    qr/error_code: 0/, 'the open transaction is committed');
$until = time + 30;
my $seen = '';
while ($seen !~ /done,done,open,behind/ && time < $until) {
    $seen = $ox->sql("SELECT string_agg(_key, ',' ORDER BY _offset) FROM txn WHERE _partition = 0");
    sleep 0.1;
}
is($seen, 'done,done,open,behind', 'and read');
like($ox->wire('OffsetCommit 8 {group_id: "simple", generation_id_or_member_epoch: -1, member_id: "", topics: [{name: "plain", partitions: [{partition_index: 0, committed_offset: 11, committed_leader_epoch: 0}]}]}'),
    qr/error_code: 0/, 'an offset is committed');
ok($ox->restart('KILL'), 'killed and started again');
like($ox->wire('retry 16 OffsetFetch 8 {groups: [{group_id: "simple", topics: null}], require_stable: false}'),
    qr/committed_offset: 11/, 'the offset is there');
like($ox->sql("SELECT string_agg(_value, ',') FROM plain WHERE _key = 'new'"), qr/1/, 'so is the record');
is($ox->sql("CREATE TOPIC fresh"), '', 'topics are made');
is($ox->sql("INSERT INTO fresh (_value) VALUES ('ours')"), '', 'and written');
is($ox->sql("DROP TOPIC stamped"), '', 'and dropped');
is($ox->stop, 0, 'stopped');
ok(-d "$tmp/data/__cluster_metadata-0", "Kafka's own metadata is still there");

# And back: Kafka goes on with the topics that it knew.
SKIP: {
    skip 'Kafka is not asked', 8 unless $asked && KafkaJars::classpath('kafka_2.13');
    my $theirs = with_kafka("$tmp/data", sub { wire($_[0], 'wait 2000', @hide, 'retry 16 OffsetFetch 8 {groups: [{group_id: "simple", topics: null}], require_stable: false}',
        'retry 6 Fetch 11 {max_wait_ms: 100, min_bytes: 1, isolation_level: 1, session_epoch: -1, topics: [{topic: "plain", partitions: [{partition: 0, fetch_offset: 0, partition_max_bytes: 1000000}]}], rack_id: ""}',
        'ListOffsets 7 {replica_id: -1, isolation_level: 1, topics: [{name: "txn", partitions: [{partition_index: 0, timestamp: -1}]}]}',
        records('plain', 0, 'kafka=again')) });
    like($theirs, qr/committed_offset: 11/, 'Kafka sees the offset that was committed here');
    like($theirs, qr/idem=1 idem=2.*new=1/, 'and the record that was written here');
    like($theirs, qr/error_code: 0, timestamp: \*, offset: 6/, 'and the transaction that was ended here');
    like($theirs, qr/Produce.*error_code: 0, base_offset: 17/, 'and writes behind it');
    ok($ox->run, 'and Oxbow again');
    like($ox->sql("SELECT string_agg(_key, ',' ORDER BY _offset) FROM plain WHERE _partition = 0"), qr/new,kafka$/,
        'reads what Kafka wrote');
    is($ox->sql('SELECT _value FROM fresh'), 'ours', 'and has the topics of its own');
    is($ox->stop, 0, 'stopped');
}

# A Kafka broker sets aside what it does not know. It comes back, also when another topic of
# that name has been made; but what Kafka changed in its metadata is not passed over.
my $stray = "$tmp/data/fresh-0." . 'ab' x 16 . '-stray';
rename "$tmp/data/fresh-0", $stray or die;
make_path("$tmp/data/fresh-0");
Oxbow::spew("$tmp/data/fresh-0/partition.metadata", "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABQ");
ok($ox->run, 'a partition that was set aside');
is($ox->sql("SELECT _value FROM fresh"), 'ours', 'is taken back');
like($ox->wire(records('fresh', 0, 'x=1')), qr/error_code: 0, base_offset: 1/, 'and goes on');
is(scalar(() = glob "$tmp/data/fresh-0.*-stray"), 1, 'what was in its place is aside now');
is($ox->stop, 0, 'stopped');
Oxbow::spew("$tmp/data/kafka.taken-over", slurp("$tmp/data/kafka.taken-over") =~ s/ \d+\n/ 1\n/r);
ok($ox->run, 'Kafka has run meanwhile, and changed nothing');
is($ox->stop, 0, 'stopped');
Oxbow::spew("$tmp/data/kafka.taken-over", slurp("$tmp/data/kafka.taken-over") =~ s/ \d+\ncontent=./ 1\ncontent=?/r);
ok(!$ox->run, 'it changed its metadata');
like(slurp($ox->{diag}), qr/a Kafka broker has changed its metadata in .*since the directory was taken over.*remove kafka.taken-over/s,
    'which is said');
unlink "$tmp/data/kafka.taken-over" or die;
ok($ox->run, 'what is to be done was decided');
is($ox->sql("SELECT count(*) FROM fresh"), 2, 'our metadata it is');
is($ox->stop, 0, 'stopped');

# A crash on the way begins anew.
remove_tree("$tmp/data");
make_path("$tmp/data/oxbow-takeover");
is(system("tar -C $tmp/data -xzf $archive"), 0, 'again');
open my $half, '>', "$tmp/data/oxbow-takeover/raft.db" or die;
print $half 'half';
close $half;
$ox = Oxbow->start(dir => "$tmp/data", settings => {%settings}, env => \%env) or BAIL_OUT('no server');
same($ox->wire(@look), $answers, 'what a crash left does not matter');
is($ox->stop, 0, 'stopped');
ok(!-e "$tmp/data/oxbow-takeover", 'nothing is left of it');

# Damage is refused, and nothing is made of it.
remove_tree("$tmp/data");
make_path("$tmp/data");
is(system("tar -C $tmp/data -xzf $archive"), 0, 'again');
my ($snapshot) = reverse sort glob "$tmp/data/__cluster_metadata-0/*.checkpoint";
if ($snapshot) {
    my $bytes = slurp($snapshot);
    substr($bytes, length($bytes) / 2, 1) ^= "\1";
    chmod 0600, $snapshot; # Kafka leaves it without write permission
    open my $out, '>', $snapshot or die;
    print $out $bytes;
    close $out;
    ok(!Oxbow->start(dir => "$tmp/data", settings => {%settings}, env => \%env), 'a damaged snapshot is refused');
    ok(!-e "$tmp/data/raft.db", 'nothing was made of it');
}
done_testing();
