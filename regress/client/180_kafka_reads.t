#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Apache Kafka on what Oxbow wrote: its dump-log tool reads segments, indexes,
# snapshots and internal topics and finds no fault; its broker takes over topic
# directories, recovers them or trusts them, and serves the same records.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use KafkaJars;
use Oxbow qw(slurp);
use Test::More;

plan skip_all => 'no Kafka to be had' unless Oxbow::have('java') && KafkaJars::classpath('kafka_2.13')
    && KafkaJars::classpath('kafka-tools');
my $tmp = abs_path(tempdir('reads-XXXXXX', DIR => Oxbow::tmp(), CLEANUP => 1));
my $ox = Oxbow->start(dir => "$tmp/ours", settings => {offsets_topic_num_partitions => 2,
    transaction_state_log_num_partitions => 2, log_cleaner_backoff_ms => 100}) or BAIL_OUT('no server');

sub records {
    my ($topic, $part, $records, %more) = @_;
    my $version = $more{version} // 9;
    my $id = $more{id} ? qq("$more{id}") : 'null';
    return qq(Produce $version {transactional_id: $id, acks: -1, timeout_ms: 15000, topic_data: )
        . qq([{name: "$topic", partition_data: [{index: $part, records: "$records"}]}]});
}

my %topics = (
    many => "PARTITIONS 2 WITH (segment_bytes = 1048576, index_interval_bytes = 512)",
    codecs => 'PARTITIONS 1', txn => 'PARTITIONS 2', stamped => "WITH (message_timestamp_type = 'LogAppendTime')",
    cleaned => "WITH (cleanup_policy = 'compact', segment_ms = 50, min_cleanable_dirty_ratio = 0.01)",
    lz => "WITH (compression_type = 'lz4')", zs => "WITH (compression_type = 'zstd')",
    gz => "WITH (compression_type = 'gzip')", sn => "WITH (compression_type = 'snappy')",
    empty => 'PARTITIONS 1', cut => 'PARTITIONS 1',
);
my %parts = (map({ $_ => 1 } keys %topics), many => 2, txn => 2);
is($ox->sql("CREATE TOPIC $_ $topics{$_}"), '', "topic $_") for sort keys %topics;
is($ox->sql(join '', map { "INSERT INTO many (_key, _value) SELECT 'key ' || g, repeat('v', 500) || g "
    . "FROM generate_series(@{[$_ * 50 + 1]}, @{[$_ * 50 + 50]}) g;\n" } 0 .. 239), '', 'many records');
is($ox->sql("INSERT INTO $_ (_key, _value) SELECT 'key ' || g, 'value of the record with number ' || g FROM generate_series(1, 500) g"),
    '', "records of $_") for qw(lz zs gz sn stamped cut);
for my $round (1 .. 4) {
    $ox->sql("INSERT INTO cleaned (_key, _value) SELECT 'k' || g, 'round $round' FROM generate_series(1, 50) g");
    select undef, undef, undef, 0.1;
}
$ox->sql("INSERT INTO cleaned (_key, _value) VALUES ('k3', NULL)");
select undef, undef, undef, 0.1;
$ox->sql("INSERT INTO cleaned (_key, _value) VALUES ('last', 'x')");
my $left = 0;
for (1 .. 100) {
    last if ($left = $ox->sql('SELECT count(*) FROM cleaned')) == 51;
    select undef, undef, undef, 0.1;
}
is($left, 51, 'one topic is compacted');
my $said = $ox->wire(
    map({ records('codecs', 0, "${_}a=1 b=2 c=3") } '', 'gzip:', 'snappy:', 'lz4:', 'zstd:'),
    'DeleteRecords 1 {topics: [{name: "cut", partitions: [{partition_index: 0, offset: 123}]}], timeout_ms: 5000}',
    'retry 15 FindCoordinator 4 {key_type: 0, coordinator_keys: ["g"]}', 'wait 500',
    'retry 16 OffsetCommit 8 {group_id: "g", generation_id_or_member_epoch: -1, member_id: "", topics: [{name: "many", partitions: [{partition_index: 0, committed_offset: 3, committed_leader_epoch: 0, committed_metadata: "here"}]}]}',
    'ConsumerGroupHeartbeat 1 {group_id: "modern", member_id: "m-1", member_epoch: 0, rebalance_timeout_ms: 60000, subscribed_topic_names: ["many"], server_assignor: "range", topic_partitions: []}',
    'ShareGroupHeartbeat 1 {group_id: "shared", member_id: "mmmmmmmmmmmmmmmmmmmmmm", member_epoch: 0, subscribed_topic_names: ["many"]}',
    'StreamsGroupHeartbeat 0 {group_id: "streams", member_id: "s-1", member_epoch: 0, rebalance_timeout_ms: 5000, active_tasks: [], standby_tasks: [], warmup_tasks: [], topology: {epoch: 0, subtopologies: [{subtopology_id: "0", source_topics: ["many"]}]}}',
    'JoinGroup 4 {group_id: "classic", session_timeout_ms: 30000, rebalance_timeout_ms: 8000, member_id: "", protocol_type: "consumer", protocols: [{name: "range", metadata: "a"}]}',
    'let A = member_id',
    'JoinGroup 4 {group_id: "classic", session_timeout_ms: 30000, rebalance_timeout_ms: 8000, member_id: "$A", protocol_type: "consumer", protocols: [{name: "range", metadata: "a"}]}',
    'SyncGroup 2 {group_id: "classic", generation_id: 1, member_id: "$A", assignments: [{member_id: "$A", assignment: "all"}]}',
    'retry 15 FindCoordinator 4 {key_type: 1, coordinator_keys: ["t-1", "t-2"]}', 'wait 500',
    'retry 14 InitProducerId 5 {transactional_id: "t-1", transaction_timeout_ms: 60000}', 'let P = producer_id',
    records('txn', 0, 'txn:seq:$P/0/0:done=1 done=2', id => 't-1', version => 12),
    'EndTxn 5 {transactional_id: "t-1", producer_id: $P, producer_epoch: 0, committed: true}', 'wait 500',
    records('txn', 1, 'txn:seq:$P/1/0:aborted=1', id => 't-1', version => 12),
    'EndTxn 5 {transactional_id: "t-1", producer_id: $P, producer_epoch: 1, committed: false}', 'wait 500',
    records('txn', 1, 'after=1'),
    'retry 14 InitProducerId 5 {transactional_id: "t-2", transaction_timeout_ms: 900000}', 'let O = producer_id',
    records('txn', 0, 'txn:seq:$O/0/0:open=1', id => 't-2', version => 12),
    'retry 14 InitProducerId 5 {transactional_id: null, transaction_timeout_ms: 60000}', 'let I = producer_id',
    records('codecs', 0, 'seq:$I/0/0:idem=0'), records('codecs', 0, 'seq:$I/0/1:idem=1 idem=2'));
is(join(' ', grep { $_ != 0 && $_ != 79 } $said =~ /error_code: (-?\d+)/g), '', 'groups and transactions') or diag $said;

# Every record of every partition, by requests of a bounded size.
my @hide = ('hide host port throttle_time_ms error_message leader_epoch session_id log_append_time_ms timestamp last_timestamp coordinator_epoch',
    'wait 500');
my @look = map { my $topic = $_; map { my $part = $_; (
    "ListOffsets 7 {replica_id: -1, isolation_level: 1, topics: [{name: \"$topic\", partitions: [{partition_index: $part, timestamp: -2}]}]}",
    "ListOffsets 7 {replica_id: -1, isolation_level: 1, topics: [{name: \"$topic\", partitions: [{partition_index: $part, timestamp: -1}]}]}",
    map({ "Fetch 11 {max_wait_ms: 100, min_bytes: 1, isolation_level: 1, session_epoch: -1, topics: [{topic: \"$topic\", partitions: [{partition: $part, fetch_offset: $_, partition_max_bytes: 100000}]}], rack_id: \"\"}" }
        $topic eq 'cut' ? (123, 300) : $topic eq 'many' ? map { $_ * 500 } 0 .. 9 : $topic eq 'empty' ? 0 : (0, 3)),
    ) } 0 .. $parts{$topic} - 1 } sort keys %topics;
push @look, 'DescribeProducers 0 {topics: [{name: "txn", partition_indexes: [0, 1]}]}';
my $ours = $ox->wire(@hide, @look);
is($ox->stop, 0, 'stopped');

# The tool.
sub dump_log {
    my ($words, @files) = @_;
    local $" = ',';
    my @run = KafkaJars::java('kafka-tools', 'org.apache.kafka.tools.DumpLogSegments', @$words, '--files', "@files");
    $run[1] = 300;
    my $out = `@{[join ' ', @run]} 2>&1`;
    my $status = $?;
    $out =~ s/^SLF4J.*\n//mg;
    return ($status, $out);
}
my @logs = grep { !m{/__} } glob "$tmp/ours/*-[0-9]/*.log";
cmp_ok(scalar @logs, '>', 12, 'segments');
my ($status, $out) = dump_log(['--deep-iteration', '--print-data-log'], @logs);
is($status, 0, 'dump-log reads all segments') or diag substr $out, 0, 2000;
unlike($out, qr/isvalid: false|Found |Non-secutive|Exception|could not be/i, 'and finds no fault');
my $count = () = $out =~ /^\| offset: /mg;
cmp_ok($count, '>', 15000, "records ($count)");
like($out, qr/endTxnMarker: COMMIT/, 'a marker');
like($out, qr/compresscodec: $_/, "codec $_") for qw(none gzip snappy lz4 zstd);
for my $kind (qw(index timeindex txnindex)) {
    my @files = grep { -s $_ } glob "$tmp/ours/*-[0-9]/*.$kind";
    cmp_ok(scalar @files, '>', 0, "files of .$kind");
    ($status, $out) = dump_log($kind eq 'txnindex' ? [] : ['--index-sanity-check'], @files);
    is($status, 0, "dump-log reads .$kind") or diag substr $out, 0, 2000;
    unlike($out, qr/mismatch|Exception|out of order|failed|Indexed offset/i, "and finds no fault in .$kind") or diag $out;
    next if $kind eq 'txnindex';
    my @sane = $out =~ /passed sanity check/g;
    is(scalar @sane, scalar @files, "each .$kind is sound") or diag $out;
    ($status, $out) = dump_log(['--verify-index-only'], @files);
    unlike($out, qr/mismatch|Exception|out of order|Index offset/i, "entries of .$kind lead to their batches") or diag $out;
}
my @snapshots = glob "$tmp/ours/*-[0-9]/*.snapshot";
($status, $out) = dump_log([], @snapshots);
is($status, 0, 'dump-log reads producer snapshots');
like($out, qr/producerId: \d+ producerEpoch: \d+/, 'with their producers');
unlike($out, qr/Exception|corrupt/i, 'and finds no fault') or diag $out;
($status, $out) = dump_log(['--offsets-decoder', '--print-data-log'], grep { -s $_ } glob "$tmp/ours/__consumer_offsets-*/*.log");
is($status, 0, 'dump-log reads __consumer_offsets');
like($out, qr/"group":"g","topic":"many","partition":0.*"offset":3.*"metadata":"here"/, 'a committed offset');
like($out, qr/"groupId":"modern","memberId":"m-1".*"subscribedTopicNames":\["many"\].*"serverAssignor":"range"/, 'a member of the new protocol');
like($out, qr/"group":"classic".*"protocolType":"consumer","generation":1,"protocol":"range"/, 'a classic group');
like($out, qr/"type":"10","data":\{"groupId":"shared"/, 'a member of a share group');
like($out, qr/"type":"19","data":\{"groupId":"streams","memberId":"s-1"/, 'and one of a streams group');
unlike($out, qr/Could not decode|Exception|unknown/i, 'nothing is unknown') or diag $out;
($status, $out) = dump_log(['--share-group-state-decoder', '--print-data-log'], grep { -s $_ } glob "$tmp/ours/__share_group_state-*/*.log");
is($status, 0, 'dump-log reads __share_group_state');
like($out, qr/"groupId":"shared".*"partition":$_\}.*"snapshotEpoch":0/, "the state of partition $_") for 0, 1;
unlike($out, qr/Could not decode|Exception|unknown/i, 'nothing is unknown') or diag $out;
($status, $out) = dump_log(['--transaction-log-decoder', '--print-data-log'], grep { -s $_ } glob "$tmp/ours/__transaction_state-*/*.log");
is($status, 0, 'dump-log reads __transaction_state');
like($out, qr/"transactionalId":"t-1"/, 'a transaction');
unlike($out, qr/Could not decode|Exception|unknown/i, 'nothing is unknown') or diag $out;

# The broker: topics of the same names are made, then get our files.
sub take_ours {
    my ($data) = @_;
    for my $topic (sort keys %topics) {
        for my $part (0 .. $parts{$topic} - 1) {
            my ($from, $to) = ("$tmp/ours/$topic-$part", "$data/$topic-$part");
            unlink grep { !m{partition\.metadata$} } glob "$to/*";
            copy($_, $to) or die "$_: $!" for grep { !m{partition\.metadata$} } glob "$from/*";
        }
    }
}

sub checkpoints { # the lines of our topics, in front of Kafka's own
    my ($data, $name) = @_;
    my @ours = grep { my ($topic) = /^(\S+) \d+ \d+$/; $topic && $topics{$topic} } split /\n/, slurp("$tmp/ours/$name");
    my @theirs = grep { my ($topic) = /^(\S+) \d+ \d+$/; $topic && !$topics{$topic} } split /\n/, slurp("$data/$name");
    open my $out, '>', "$data/$name" or die;
    print $out join "\n", 0, scalar(@ours + @theirs), @ours, @theirs, '';
    close $out;
}

my @make = map { my $t = $_; my %c = map { s/'//gr } $topics{$t} =~ /(\w+) = ([^,)]+)/g;
    "CreateTopics 4 {topics: [{name: \"$t\", num_partitions: $parts{$t}, replication_factor: 1, configs: ["
    . join(', ', map { '{name: "' . tr/_/./r . "\", value: \"$c{$_}\"}" } sort keys %c) . ']}], timeout_ms: 20000}' } sort keys %topics;
for my $clean (0, 1) {
    my $data = "$tmp/kafka$clean";
    my $kafka = KafkaJars::start_broker(data => $data, settings => "log.cleaner.enable=false\n") or BAIL_OUT('no broker');
    my $wire = sub { bless({kafka_port => $kafka->{port}, sql_port => 0, http_port => 0}, 'Oxbow')->wire(@_) };
    my $made = $wire->(@make, 'wait 1500');
    is(() = $made =~ /error_code: 0/g, scalar @make, 'the same topics in Kafka') or diag $made;
    KafkaJars::stop_broker($kafka);
    take_ours($data);
    checkpoints($data, $_) for qw(log-start-offset-checkpoint replication-offset-checkpoint recovery-point-offset-checkpoint);
    unlink "$data/.kafka_cleanshutdown" unless $clean;
    unlink glob("$data/*/*.index"), glob("$data/*/*.timeindex") unless $clean;
    $kafka = KafkaJars::start_broker(data => $data, settings => "log.cleaner.enable=false\n") or BAIL_OUT('no broker');
    my $theirs = $wire->(@hide, @look);
    my @got = split /\n/, $theirs;
    my @want = split /\n/, $ours;
    my @differ = grep { ($got[$_] // '') ne ($want[$_] // '') } 0 .. (@got > @want ? $#got : $#want);
    ok(@want && !@differ, 'Kafka serves what Oxbow wrote, ' . ($clean ? 'trusting its indexes' : 'after its recovery'))
        or diag join "\n", map { substr($got[$_] // 'nothing', 0, 600) . "\nours " . substr($want[$_] // 'nothing', 0, 600) } @differ;
    like($wire->(records('many', 0, 'more=1')), qr/error_code: 0/, 'and writes behind it');
    KafkaJars::stop_broker($kafka);
    my $diag = slurp("$kafka->{dir}/out");
    unlike($diag, qr/Found a corrupted index|CorruptIndexException|CorruptSnapshotException|marking log .* as offline/i, 'without a complaint');
}
done_testing();
