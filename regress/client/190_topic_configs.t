#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Every setting of a topic is obeyed, and at once when it changes: each row of the
# table observes a topic, changes the setting by IncrementalAlterConfigs and
# observes it again.
use strict;
use warnings;
use Oxbow qw(comes_to);
use Test::More;
use Time::HiRes qw(sleep time);

my $ox = Oxbow->start(settings => {'log.retention.check.interval.ms' => 200, log_cleaner_backoff_ms => 100,
    'super.users' => 'User:ANONYMOUS'}) or BAIL_OUT('no server');
our $topic;                  # of the row that runs
my $base = 1700000000000;    # the time of wire's records

sub until_is { my ($ask, $want, $name) = @_; comes_to($ask, $want, "$topic: $name") }

sub stays {
    my ($what, $want, $name) = @_;
    sleep 0.7; # several rounds of retention and of the cleaner
    is($what->(), $want, "$topic: $name");
}

sub create {
    my (%configs) = @_;
    my $parts = delete $configs{partitions} // 1;
    %configs = ('retention.ms' => -1, %configs); # wire's records are of long ago
    my $list = join ', ', map { qq({name: "$_", value: "$configs{$_}"}) } sort keys %configs;
    my $answer = $ox->wire(qq(CreateTopics 4 {topics: [{name: "$topic", num_partitions: $parts, replication_factor: 1, configs: [$list]}], timeout_ms: 20000}));
    like($answer, qr/error_code: 0/, "$topic: made");
}

# Sets, or deletes where the value is undef; returns the error.
sub set {
    my (%configs) = @_;
    my $list = join ', ', map { qq({name: "$_", config_operation: ) . (defined $configs{$_} ? 0 : 1)
        . ', value: ' . (defined $configs{$_} ? qq("$configs{$_}") : 'null') . '}' } sort keys %configs;
    my $answer = $ox->wire(qq(IncrementalAlterConfigs 1 {resources: [{resource_type: 2, resource_name: "$topic", configs: [$list]}]}));
    return $answer =~ /error_code: (-?\d+)/ ? $1 : $answer;
}

sub now_ms { return int(time * 1000) }

# Two patches in front of a batch: its first and its last time.
sub at_ms { return join '', map { sprintf 'at:%d/%016x:', $_, $_[0] } 27, 35 }

sub produce_answer {
    my ($records, %more) = @_;
    my $acks = $more{acks} // -1;
    my $part = $more{part} // 0;
    return $ox->wire(qq(Produce 9 {acks: $acks, timeout_ms: 15000, topic_data: [{name: "$topic", partition_data: [{index: $part, records: "$records"}]}]}));
}

sub produce {
    my $answer = produce_answer(@_);
    return $answer =~ /partition_responses: \[\{index: \d+, error_code: (-?\d+)/ ? $1 : $answer;
}

sub stored { # the batches as they are kept
    my $answer = $ox->wire(qq(Fetch 12 {max_wait_ms: 100, min_bytes: 1, topics: [{topic: "$topic", partitions: [{partition: 0, fetch_offset: 0, partition_max_bytes: 1000000}]}]}));
    return $answer =~ /records: "([^"]*)"/ ? $1 : $answer;
}

sub files {
    my ($kind, $part) = @_;
    $part //= 0;
    my @files = sort glob "$ox->{dir}/$topic-$part/*.$kind";
    return @files;
}

sub count_of { my @files = files(@_); return scalar @files }

sub fill { # so many records of so many bytes, each in a batch of its own
    my ($count, $bytes) = @_;
    my $text = 'v' x $bytes;
    my $sql = join '', map { "INSERT INTO $topic (_key, _value) VALUES ('k$_', '$text');\n" } 1 .. $count;
    is($ox->sql($sql), '', "$topic: filled");
}

sub bulk { # so many records of a KiB
    my ($count) = @_;
    is($ox->sql("INSERT INTO $topic (_key, _value) SELECT 'k' || g, repeat('x', 1000) || g FROM generate_series(1, $count) g"), '',
        "$topic: filled");
}

sub first_offset { return $ox->sql("SELECT log_start FROM oxbow.partitions WHERE topic = '$topic'") }
sub end_offset { return $ox->sql("SELECT log_end FROM oxbow.partitions WHERE topic = '$topic'") }
sub records { return $ox->sql("SELECT string_agg(_key, ' ' ORDER BY _offset) FROM $topic") }

my @rows = (
    'max.message.bytes' => sub {
        create();
        my $long = 'x' x 300;
        is(produce($long), 0, "$topic: a batch");
        is(set('max.message.bytes' => 200), 0, "$topic: set");
        is(produce($long), 10, "$topic: a larger batch is refused: MESSAGE_TOO_LARGE");
        is(produce('x'), 0, "$topic: a smaller one is not");
        is(set('max.message.bytes' => undef), 0, "$topic: deleted");
        is(produce($long), 0, "$topic: the default again");
    },
    'max.decompressed.message.bytes' => sub {
        create();
        my $long = 'x' x 300;
        is(produce("gzip:$long"), 0, "$topic: a compressed record");
        is(set('max.decompressed.message.bytes' => 200), 0, "$topic: set");
        is(produce("gzip:$long"), 87, "$topic: a larger one is refused: INVALID_RECORD");
        is(produce('gzip:x'), 0, "$topic: a smaller one is not");
        is(produce($long), 0, "$topic: nor one that is not compressed");
        is(set('max.decompressed.message.bytes' => undef), 0, "$topic: deleted");
        is(produce("gzip:$long"), 0, "$topic: the default again");
    },
    'message.timestamp.type' => sub {
        create();
        like(produce_answer('a=1'), qr/log_append_time_ms: -1/, "$topic: the producer's time");
        is(set('message.timestamp.type' => 'LogAppendTime'), 0, "$topic: set");
        my $before = now_ms();
        my ($time) = produce_answer('b=1') =~ /log_append_time_ms: (\d+)/;
        cmp_ok($time, '>=', $before - 1000, "$topic: the server's time");
        is($ox->sql("SELECT string_agg((extract(epoch FROM _timestamp) > 1750000000)::text, ',' ORDER BY _offset) FROM $topic"), 'false,true',
            "$topic: is kept");
        is(set('message.timestamp.type' => 'CreateTime'), 0, "$topic: set back");
        like(produce_answer('c=1'), qr/log_append_time_ms: -1/, "$topic: the producer's time");
    },
    'message.timestamp.before.max.ms' => sub {
        create();
        is(produce('old'), 0, "$topic: an old record");
        is(set('message.timestamp.before.max.ms' => 1000), 0, "$topic: set");
        is(produce('old'), 32, "$topic: is refused: INVALID_TIMESTAMP");
        is(produce(at_ms(now_ms()) . 'new'), 0, "$topic: a new one is not");
    },
    'message.timestamp.after.max.ms' => sub {
        create();
        is(produce(at_ms(now_ms() + 2 * 3600_000) . 'x'), 32, "$topic: two hours ahead: INVALID_TIMESTAMP");
        is(set('message.timestamp.after.max.ms' => 3 * 3600_000), 0, "$topic: set");
        is(produce(at_ms(now_ms() + 2 * 3600_000) . 'x'), 0, "$topic: is allowed");
        is(produce(at_ms(now_ms() + 4 * 3600_000) . 'x'), 32, "$topic: four are not");
    },
    'compression.type' => sub {
        create();
        produce($_) for 'a=plain', 'gzip:a=packed';
        for my $type (qw(gzip snappy lz4 zstd uncompressed producer)) {
            is(set('compression.type' => $type), 0, "$topic: $type");
            produce("lz4:a=$type");
        }
        is(stored(), '[0 a=plain] [1 gzip a=packed] [2 gzip a=gzip] [3 snappy a=snappy] [4 lz4 a=lz4] '
            . '[5 zstd a=zstd] [6 a=uncompressed] [7 lz4 a=producer]', "$topic: batches are packed anew");
    },
    map({ my ($type, $low, $high) = @$_; ("compression.$type.level" => sub {
        create('compression.type' => $type);
        my %bytes;
        for my $level ($low, $high) {
            is(set("compression.$type.level" => $level), 0, "$topic: $level");
            my $before = $ox->sql("SELECT size_bytes FROM oxbow.partitions WHERE topic = '$topic'");
            $ox->sql("INSERT INTO $topic (_value) SELECT md5((g % 97)::text) || md5((g % 89)::text) || g FROM generate_series(1, 3000) g");
            $bytes{$level} = $ox->sql("SELECT size_bytes FROM oxbow.partitions WHERE topic = '$topic'") - $before;
        }
        cmp_ok($bytes{$high}, '<', $bytes{$low}, "$topic: $high packs tighter than $low ($bytes{$high} $bytes{$low})");
    }) } ['gzip', 1, 9], ['lz4', 1, 12], ['zstd', -50, 15]),
    'segment.bytes' => sub {
        create();
        bulk(3000);
        is(count_of('log'), 1, "$topic: one segment");
        is(set('segment.bytes' => 1048576), 0, "$topic: set");
        bulk(3000);
        cmp_ok(count_of('log'), '>=', 3, "$topic: more of them");
        is(set('segment.bytes' => 1000), 40, "$topic: less than 1 MiB is refused: INVALID_CONFIG");
    },
    'segment.ms' => sub {
        create();
        produce(at_ms($base) . 'a');
        produce(at_ms($base + 60_000) . 'b');
        is(count_of('log'), 1, "$topic: one segment");
        is(set('segment.ms' => 30_000), 0, "$topic: set");
        produce(at_ms($base + 60_001) . 'c');
        is(count_of('log'), 2, "$topic: an old one is closed");
        produce(at_ms($base + 60_002) . 'd');
        is(count_of('log'), 2, "$topic: a new one is not");
    },
    'segment.jitter.ms' => sub {
        create('segment.ms' => 60_000, 'segment.jitter.ms' => 60_000, partitions => 24);
        for my $time ($base, $base + 30_000) {
            my $rows = join ', ', map { qq({index: $_, records: "@{[at_ms($time)]}x"}) } 0 .. 23;
            $ox->wire(qq(Produce 9 {acks: -1, timeout_ms: 15000, topic_data: [{name: "$topic", partition_data: [$rows]}]}));
        }
        my $closed = grep { count_of('log', $_) == 2 } 0 .. 23;
        ok($closed > 2 && $closed < 22, "$topic: some segments are closed earlier ($closed of 24)");
        is(set('segment.jitter.ms' => 0), 0, "$topic: set");
    },
    'index.interval.bytes' => sub {
        create();
        for my $interval (4096, 1, 1000000) {
            is(set('index.interval.bytes' => $interval, 'segment.ms' => undef), 0, "$topic: $interval");
            fill(20, 1000);
            set('segment.ms' => 1);
            sleep 0.01;
            fill(1, 10);
        }
        my @sizes;
        until_is(sub { @sizes = map { -s } files('index'); (grep { $_ } @sizes) >= 2 && $sizes[2] == 0 ? 1 : 0 }, 1, 'indexes');
        cmp_ok($sizes[1], '>=', 19 * 8, "$topic: an entry for each batch");
        cmp_ok($sizes[0], '<', $sizes[1], "$topic: fewer by default");
    },
    'segment.index.bytes' => sub {
        create('index.interval.bytes' => 1);
        fill(10, 100);
        is(count_of('log'), 1, "$topic: one segment");
        is(set('segment.index.bytes' => 24), 0, "$topic: set");
        fill(10, 100);
        cmp_ok(count_of('log'), '>=', 4, "$topic: a full index closes a segment");
    },
    'retention.ms' => sub {
        create('retention.ms' => -1);
        produce('a b c');
        stays(\&first_offset, 0, 'old records are kept');
        is(set('retention.ms' => 3600_000), 0, "$topic: set");
        until_is(\&first_offset, 3, 'and deleted');
        produce(at_ms(now_ms()) . 'new');
        stays(\&first_offset, 3, 'new ones are not');
    },
    'retention.bytes' => sub {
        create('segment.bytes' => 1048576);
        bulk(1000) for 1 .. 5;
        stays(\&first_offset, 0, 'everything is kept');
        is(set('retention.bytes' => 2000000), 0, "$topic: set");
        until_is(sub { first_offset() > 0 ? 1 : 0 }, 1, 'the oldest is deleted');
        my $left = $ox->sql("SELECT size_bytes FROM oxbow.partitions WHERE topic = '$topic'");
        ok($left >= 2000000 && $left < 4200000, "$topic: no more than that ($left)");
        is(set('retention.bytes' => -2), 0, "$topic: any negative value is no limit");
        $left = first_offset();
        bulk(1000) for 1 .. 3;
        stays(\&first_offset, $left, 'everything is kept');
    },
    'cleanup.policy' => sub {
        create('min.cleanable.dirty.ratio' => 0, 'segment.ms' => 1, 'retention.ms' => -1);
        produce($_) for 'a=1', 'a=2', 'nokey', 'b=1';
        sleep 0.01;
        produce(at_ms($base + 1000) . 'c=1');
        stays(sub { $ox->sql("SELECT count(*) FROM $topic") }, 5, 'delete keeps all keys');
        is(set('cleanup.policy' => 'compact'), 0, "$topic: compact");
        until_is(\&records, 'a b c', 'the newest of each key is left');
        is(produce('nokey'), 87, "$topic: a record without a key is refused: INVALID_RECORD");
        is(set('retention.ms' => 1000), 0, "$topic: retention");
        stays(\&records, 'a b c', 'does not count');
        is(set('cleanup.policy' => 'compact,delete'), 0, "$topic: compact,delete");
        until_is(sub { $ox->sql("SELECT count(*) FROM $topic") }, 0, 'now it does');
        is(set('cleanup.policy' => 'neither'), 40, "$topic: another is refused: INVALID_CONFIG");
    },
    'min.cleanable.dirty.ratio' => sub {
        create('cleanup.policy' => 'compact', 'segment.ms' => 1, 'min.cleanable.dirty.ratio' => 1);
        for (1 .. 4) { produce(at_ms($base + $_ * 100) . 'a=1') }
        stays(\&records, 'a a a a', 'no log is more than all dirty');
        is(set('min.cleanable.dirty.ratio' => '0.9'), 0, "$topic: set");
        until_is(\&records, 'a a', 'a log that is all dirty is compacted');
        produce(at_ms($base + 1000) . 'a=1');
        stays(\&records, 'a a a', 'one that is half dirty is not');
        is(set('min.cleanable.dirty.ratio' => '0.1'), 0, "$topic: set");
        until_is(\&records, 'a a', 'now it is');
    },
    'min.compaction.lag.ms' => sub {
        create('cleanup.policy' => 'compact', 'segment.ms' => 1, 'min.cleanable.dirty.ratio' => 0, 'min.compaction.lag.ms' => 3600_000);
        for (1 .. 3) { produce(at_ms(now_ms()) . 'a=1'); sleep 0.01 }
        stays(\&records, 'a a a', 'what is younger is left alone');
        is(set('min.compaction.lag.ms' => 0), 0, "$topic: set");
        until_is(\&records, 'a a', 'compacted');
    },
    'max.compaction.lag.ms' => sub {
        create('cleanup.policy' => 'compact', 'min.cleanable.dirty.ratio' => 1, 'segment.ms' => 1);
        for (1 .. 3) { produce(at_ms($base + $_ * 100) . 'a=1') }
        stays(\&records, 'a a a', 'never dirty enough');
        is(set('max.compaction.lag.ms' => 1), 0, "$topic: set");
        until_is(\&records, 'a a', 'compacted since records are older');
        is(set('min.compaction.lag.ms' => 5000), 40, "$topic: below min.compaction.lag.ms: INVALID_CONFIG");
    },
    'delete.retention.ms' => sub {
        for my $keep (3600_000, 0) {
            local $topic = "${topic}_$keep";
            create('cleanup.policy' => 'compact', 'min.cleanable.dirty.ratio' => 0, 'segment.ms' => 1, 'delete.retention.ms' => 7);
            is(set('delete.retention.ms' => $keep), 0, "$topic: set");
            produce(at_ms($base) . 'a=1 b=1 a=null');
            for (1 .. 6) { produce(at_ms($base + $_ * 100) . 'c=1'); sleep 0.3 }
            my $tombstone = sub { $ox->sql("SELECT count(*) FROM $topic WHERE _key = 'a'") };
            $keep ? stays($tombstone, 1, 'the tombstone stays') : until_is($tombstone, 0, 'the tombstone goes');
        }
    },
    'file.delete.delay.ms' => sub {
        create('segment.ms' => 1, 'retention.ms' => 1000);
        produce(at_ms($base) . 'a');
        until_is(\&first_offset, 1, 'deleted');
        until_is(sub { count_of('log.deleted') }, 1, 'the file waits'); # it is renamed a moment later
        is(set('file.delete.delay.ms' => 0), 0, "$topic: set");
        produce(at_ms($base + 1000) . 'b');
        until_is(\&first_offset, 2, 'deleted');
        until_is(sub { count_of('log.deleted') }, 1, 'the file of the second does not');
    },
    'preallocate' => sub {
        create('segment.bytes' => 1048576);
        produce('a');
        cmp_ok(-s (files('log'))[0], '<', 1000, "$topic: a segment grows");
        is(set('preallocate' => 'true', 'segment.ms' => 1), 0, "$topic: set");
        produce(at_ms($base + 1000) . 'b');
        is(-s (files('log'))[-1], 1048576, "$topic: the next one has its space at once");
        is($ox->sql("SELECT string_agg(_value, ' ' ORDER BY _offset) FROM $topic"), 'a b', "$topic: records are read");
        ok($ox->restart('KILL'), "$topic: killed");
        is($ox->sql("SELECT string_agg(_value, ' ' ORDER BY _offset) FROM $topic"), 'a b', "$topic: records are read");
        produce(at_ms($base + 1001) . 'c');
        is($ox->restart, 1, "$topic: a clean restart");
        cmp_ok(-s (files('log'))[-1], '<', 1000, "$topic: what is not used was given back");
        is($ox->sql("SELECT string_agg(_value, ' ' ORDER BY _offset) FROM $topic"), 'a b c', "$topic: records are read");
    },
    'flush.messages' => sub {
        create('flush' => 'lazy');
        my $flushes = sub { $ox->sql("SELECT value FROM oxbow.metrics WHERE name = 'oxbow_log_dir_flushes_total'") };
        my $before = $flushes->();
        produce('a') for 1 .. 5;
        is($flushes->(), $before, "$topic: a lazy topic is not flushed");
        is(set('flush.messages' => 1), 0, "$topic: set");
        produce('b');
        until_is(sub { $flushes->() > $before ? 1 : 0 }, 1, 'now it is');
    },
    'flush.ms' => sub {
        create('flush' => 'lazy');
        my $flushed = sub { $ox->sql("SELECT value FROM oxbow.metrics WHERE name = 'oxbow_log_dir_flushes_total'") };
        produce('a');
        my $before = $flushed->();
        stays($flushed, $before, 'a lazy topic is not flushed');
        is(set('flush.ms' => 10), 0, "$topic: set");
        until_is(sub { $flushed->() > $before ? 1 : 0 }, 1, 'now it is');
    },
    'flush' => sub {
        create();
        my $flushes = sub { $ox->sql("SELECT value FROM oxbow.metrics WHERE name = 'oxbow_log_dir_flushes_total'") };
        my $before = $flushes->();
        produce('a');
        cmp_ok($flushes->(), '>', $before, "$topic: acknowledged is flushed");
        is(set('flush' => 'lazy'), 0, "$topic: set");
        $before = $flushes->();
        produce('b');
        is($flushes->(), $before, "$topic: or not");
    },
    'min.insync.replicas' => sub {
        create();
        is(set('min.insync.replicas' => 2), 0, "$topic: set");
        is(produce('a'), 0, "$topic: no more than there are replicas, as Kafka reads it");
        is(set('min.insync.replicas' => 0), 40, "$topic: 0 is refused: INVALID_CONFIG");
    },
    # What has no effect on one node is kept and shown.
    map({ my ($name, $good, $bad) = @$_; ($name => sub {
        create();
        is(set($name => $good), 0, "$topic: set");
        like($ox->wire(qq(DescribeConfigs 4 {resources: [{resource_type: 2, resource_name: "$topic", configuration_keys: ["$name"]}]})),
            qr/name: "\Q$name\E", value: "\Q$good\E"/, "$topic: shown");
        is(set($name => $bad), 40, "$topic: \"$bad\" is refused: INVALID_CONFIG");
    }) } ['unclean.leader.election.enable', 'true', 'maybe'],
        ['leader.replication.throttled.replicas', '0:1', 'x:y:z'], ['follower.replication.throttled.replicas', '*', 'all'],
        ['local.retention.ms', 1000, -3], ['local.retention.bytes', 1000, -3],
        ['remote.copy.lag.ms', 1000, -2], ['remote.copy.lag.bytes', 1000, -2],
        ['errors.deadletterqueue.group.enable', 'true', 'maybe'],
        ['remote.log.copy.disable', 'false', 'maybe'], ['remote.log.delete.on.disable', 'false', 'maybe'],
        ['remote.storage.enable', 'false', 'true']),
);

my %done;
while (my ($name, $run) = splice @rows, 0, 2) {
    next if $ENV{OX_ROW} && $name !~ /$ENV{OX_ROW}/;
    ($topic = "c_$name") =~ tr{.}{_};
    $run->();
    $done{$name} = 1;
}

# The table has all of them.
unless ($ENV{OX_ROW}) {
    my @names = map { /^\S+ +topic .*? live +(\S+?)(?:<\S*)?(?: |$)/ ? $1 : () } do {
        open my $in, '<', "$Oxbow::TOP/catalog/params.tbl" or die;
        <$in>;
    };
    cmp_ok(scalar @names, '>', 30, 'settings of topics');
    s/^-$/flush/ for @names;
    is(join(' ', grep { !$done{$_} } @names), '', 'each is tried');
}

# Defaults come from the server's settings, and follow them.
$topic = 'c_defaults';
create();
is(produce('x' x 300), 0, 'a batch');
like($ox->wire('IncrementalAlterConfigs 1 {resources: [{resource_type: 4, resource_name: "", configs: [{name: "message.max.bytes", config_operation: 0, value: "200"}]}]}'),
    qr/error_code: 0/, "the broker's message.max.bytes");
is(produce('x' x 300), 10, 'is the default of the topic');
is(set('max.message.bytes' => 1000), 0, "the topic's own");
is(produce('x' x 300), 0, 'comes first');
is($ox->sql("SELECT count(*) FROM oxbow.partitions WHERE fault IS NOT NULL"), 0, 'nothing is damaged');
is($ox->stop, 0, 'stopped');
done_testing();
