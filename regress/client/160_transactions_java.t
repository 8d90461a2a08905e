#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Transactions with Kafka's own producer and tools: list, describe, find and end
# one that nobody ends, and Kafka's reader of our files.
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;
use Time::HiRes qw(sleep);

plan skip_all => 'no kafka-tools' unless KafkaJars::classpath('kafka-tools');
my $ox = Oxbow->start or die 'no server';
my $tools = 'org.apache.kafka.tools';

sub words {
    my ($class, @words) = @_;
    return (KafkaJars::java('kafka-tools', "$tools.$class", '--bootstrap-server', $ox->kafka, @words));
}
sub run {
    my ($status, $out) = $ox->command('', words(@_));
    $out =~ s/^.*SLF4J.*\n//mg;
    return $out;
}

$ox->sql('CREATE TOPIC jx PARTITIONS 1');
my @load = qw(--topic jx --record-size 100 --throughput -1 --transactional-id jid);
my $out = run('ProducerPerformance', @load, qw(--num-records 5000 --transaction-duration-ms 50));
like($out, qr/^5000 records sent/m, 'a transactional producer');
my $ends = $ox->sql(q(SELECT high_watermark, last_stable FROM oxbow.partitions WHERE topic = 'jx'));
my ($high, $stable) = split /\|/, $ends;
ok($high > 5000 && $high == $stable, "markers are there, nothing is open: $ends");
$out = run('consumer.ConsoleConsumer', qw(--topic jx --from-beginning --max-messages 5000
    --isolation-level read_committed --timeout-ms 20000));
like($out, qr/Processed a total of 5000 messages/, 'read as committed');
like(run('TransactionsCommand', 'list'), qr/^jid\s+1\s+\d+\s+CompleteCommit/m, 'list');
$out = run('TransactionsCommand', qw(describe --transactional-id jid));
my ($id, $epoch) = $out =~ /^\d+\s+jid\s+(\d+)\s+(\d+)\s+CompleteCommit/m;
ok(defined $epoch && $epoch > 1, "describe: the second protocol, each end raised the epoch ($epoch)")
    or diag $out;
$out = run('TransactionsCommand', qw(describe-producers --topic jx --partition 0));
like($out, qr/^$id\s+$epoch\s+/m, 'describe-producers knows that epoch');

# A producer that dies with its transaction open.
my $pid = fork // die;
if ($pid == 0) {
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', '/dev/null';
    my @words = words('ProducerPerformance', qw(--topic jx --record-size 100 --throughput 50
        --num-records 100000 --transactional-id dead --transaction-duration-ms 600000
        --command-property linger.ms=0));
    exec @words[2 .. $#words] or POSIX::_exit(127);
}
for (1 .. 200) {
    ($high, $stable) = split /\|/, $ox->sql(q(SELECT high_watermark, last_stable FROM oxbow.partitions
        WHERE topic = 'jx'));
    last if $high > $stable + 20;
    sleep 0.1;
}
kill 'KILL', $pid;
waitpid $pid, 0;
ok($high > $stable, "a transaction is open from $stable on");
$out = run('TransactionsCommand', qw(describe-producers --topic jx --partition 0));
like($out, qr/^\d+\s+\d+\s+-?\d+\s+\d+\s+\d+\s+$stable\s*$/m, 'describe-producers says where it begins') or diag $out;
$out = run('TransactionsCommand', qw(list --duration-filter 1));
like($out, qr/^dead\s+1\s+\d+\s+Ongoing/m, 'list by duration') or diag $out;
like(run('TransactionsCommand', qw(list --transactional-id-pattern de.*)), qr/^dead /m, 'list by pattern');
unlike(run('TransactionsCommand', qw(find-hanging --broker-id 1 --max-transaction-timeout 0)),
    qr/^jx/m, 'it does not hang: its coordinator knows it');
run('TransactionsCommand', qw(abort --topic jx --partition 0 --start-offset), $stable);
my $now = $ox->sql(q(SELECT high_watermark = last_stable FROM oxbow.partitions WHERE topic = 'jx'));
is($now, 't', 'abort by hand frees the readers');
is($ox->sql('SELECT count(*) FROM jx'), 5000, 'and nothing of it is read');

$ox->stop;
my @dump = KafkaJars::java('kafka-tools', "$tools.DumpLogSegments");
my ($log) = grep { -s } glob "$ox->{dir}/__transaction_state-*/*.log $ox->{dir}/*/__transaction_state-*/*.log";
my ($status, $text) = $ox->command('', @dump, '--transaction-log-decoder', '--files', $log);
like($text, qr/"transactionalId":"(jid|dead)"/i, 'Kafka reads the keys of __transaction_state') or diag $text;
like($text, qr/"transactionStatus":[0-5]/i, 'and the values') or diag $text;
unlike($text, qr/could not|unknown|exception/i, 'without complaint');
my ($index) = grep { -s } glob "$ox->{dir}/jx-0/*.txnindex $ox->{dir}/*/jx-0/*.txnindex";
($status, $text) = $ox->command('', @dump, '--files', $index // 'none');
like($text, qr/producerId: \d+ firstOffset: $stable /i, 'the index of aborted transactions') or diag $text;
my ($snapshot) = grep { -s } glob "$ox->{dir}/jx-0/*.snapshot $ox->{dir}/*/jx-0/*.snapshot";
($status, $text) = $ox->command('', @dump, '--files', $snapshot // 'none');
like($text, qr/producerId: $id producerEpoch: $epoch/i, 'the snapshot of producers') or diag $text;
done_testing;
