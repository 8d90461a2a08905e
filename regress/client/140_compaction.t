#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Compaction while the server runs: the newest record of each key stays, progress
# is seen in oxbow.compaction and in the metrics, settings are obeyed live, a
# kill loses nothing, and group offsets outlive it.
use strict;
use warnings;
use Oxbow qw(comes_to);
use Test::More;
use Time::HiRes qw(sleep time);

my $ox = Oxbow->start(settings => {log_cleaner_backoff_ms => 100}) or die 'no server';

sub counts { my ($sql, $want, $name) = @_; comes_to(sub { $ox->sql($sql) }, $want, $name) }

is($ox->sql(q{CREATE TOPIC c PARTITIONS 1 WITH (cleanup_policy = 'compact', segment_ms = 50,
    min_cleanable_dirty_ratio = 0.01, delete_retention_ms = 500)}), '', 'a compacted topic');
for my $round (1 .. 5) {
    is($ox->sql("INSERT INTO c (_key, _value) SELECT 'k' || g, 'round $round of ' || g
        FROM generate_series(1, 200) g"), '', "round $round");
    sleep 0.1;
}
is($ox->sql("INSERT INTO c (_key, _value) VALUES ('k7', NULL)"), '', 'a tombstone');
sleep 0.1;
is($ox->sql("INSERT INTO c (_key, _value) VALUES ('last', 'x')"), '', 'one more segment');
counts('SELECT count(*), min(_offset) >= 800 FROM c', '201|t', 'one record of each key is left');
is($ox->sql("SELECT count(*) FROM c WHERE _value::text LIKE '%round 5%'"), 199, 'the newest ones');
is($ox->sql("SELECT _offset FROM c WHERE _key = 'k7'"), 1000, 'the tombstone is there');
is($ox->sql('SELECT state, cleaned_offset = dirty_end, passes > 0, removed_records >= 800,
    last_end >= last_start FROM oxbow.compaction WHERE topic = \'c\''), 'idle|t|t|t|t',
    'what the view says');
cmp_ok($ox->sql("SELECT value::int8 FROM oxbow.metrics WHERE name = 'oxbow_compaction_removed_records_total'"),
    '>=', 800, 'what the metrics say');
sleep 0.6;
for my $i (1 .. 2) {
    $ox->sql("INSERT INTO c (_key, _value) VALUES ('last', 'y')");
    sleep 0.1;
}
counts("SELECT count(*) FROM c WHERE _key = 'k7'", 0, 'the tombstone goes after its time');

# Settings are live: a topic becomes a compacted one, and is not any more.
is($ox->sql("CREATE TOPIC d WITH (segment_ms = 50)"), '', 'a topic that is not compacted');
for my $value (1 .. 3) {
    $ox->sql("INSERT INTO d (_key, _value) VALUES ('a', '$value')");
    sleep 0.1;
}
sleep 0.5;
is($ox->sql('SELECT count(*) FROM d'), 3, 'keeps all');
is($ox->sql("ALTER TOPIC d SET (cleanup_policy = 'compact,delete', min_cleanable_dirty_ratio = 0.01)"),
    '', 'it is altered');
counts('SELECT count(*) FROM d', 2, 'and compacted');
is($ox->sql("ALTER SYSTEM SET log_cleaner_enable = false"), '', 'the cleaner is switched off');
for my $value (4 .. 6) {
    $ox->sql("INSERT INTO d (_key, _value) VALUES ('a', '$value')");
    sleep 0.1;
}
sleep 0.5;
is($ox->sql('SELECT count(*) FROM d'), 5, 'nothing is compacted');
is($ox->sql("ALTER SYSTEM SET log_cleaner_enable = true"), '', 'and on again');
counts('SELECT count(*) FROM d', 2, 'it works again');

# A limit of bytes per second makes passes wait, and is lifted while one waits.
sub metric { return $ox->sql("SELECT value FROM oxbow.metrics WHERE name = '$_[0]'") }
is($ox->sql("CREATE TOPIC w WITH (cleanup_policy = 'compact', segment_ms = 50, min_cleanable_dirty_ratio = 0.01)"),
    '', 'a topic with larger records');
is($ox->sql("ALTER SYSTEM SET log_cleaner_io_max_bytes_per_second = 20000"), '', 'a limit');
for my $round (1 .. 3) {
    $ox->sql("INSERT INTO w (_key, _value) SELECT 'k' || g % 10, repeat(md5(g::text || '$round'), 30) FROM generate_series(1, 150) g");
    sleep 0.1;
}
my $until = time + 60;
sleep 0.1 while metric('oxbow_compaction_throttled_seconds_total') < 1 && time < $until;
cmp_ok(metric('oxbow_compaction_throttled_seconds_total'), '>=', 1, 'passes wait for it');
is($ox->sql("ALTER SYSTEM RESET log_cleaner_io_max_bytes_per_second"), '', 'no limit');
$ox->sql("INSERT INTO w (_key, _value) VALUES ('last', 'x')");
counts("SELECT count(*) < 170 FROM w", 't', 'the topic is compacted');

# A kill, with passes at work.
my $want = $ox->sql("SELECT sum(_offset), count(*) FROM c");
ok($ox->restart('KILL'), 'killed and started again');
is($ox->sql("SELECT count(*) FROM (SELECT DISTINCT _key FROM c WHERE _value IS NOT NULL) k"), 200,
    'every key is there');
is($ox->sql("SELECT count(*) FROM oxbow.partitions WHERE fault IS NOT NULL"), 0, 'nothing is damaged');
is($ox->restart, 1, 'a clean restart');
is($ox->sql("SELECT count(*) FROM (SELECT DISTINCT _key FROM c WHERE _value IS NOT NULL) k"), 200,
    'every key is there');
is($ox->stop, 0, 'stopped');
my @left = glob "$ox->{dir}/c-0/*.cleaned $ox->{dir}/c-0/*.swap";
is("@left", '', 'no file is left over');
ok(-e "$ox->{dir}/cleaner-offset-checkpoint", "Kafka's checkpoint of the cleaner is there");
done_testing();
