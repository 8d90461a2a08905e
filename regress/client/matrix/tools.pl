#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Kafka's own command-line tools. argv: the words that start Java with them.
use strict;
use warnings;
use File::Temp qw(tempfile);

$| = 1;
my @java = @ARGV;
my $NAME = $ENV{OX_NAME};
my ($count, $failed) = (0, 0);
my $tools = 'org.apache.kafka.tools';
my $class_path = (grep { $java[$_ - 1] eq '-cp' } 1 .. $#java)[0];
my $release = $java[$class_path] =~ /kafka-tools-(\d+)\.(\d+)[^:]*\.jar/ ? $1 : 0;
print "# version ", $java[$class_path] =~ /kafka-tools-([\d.]+)\.jar/, "\n";

sub ok($$;$) {
    my ($good, $what, $text) = @_;
    $count++;
    $failed++ unless $good;
    print $good ? '' : 'not ', "ok $count - $what\n";
    print map { "# $_\n" } split /\n/, $text // '' unless $good;
}

# Runs a tool; its connection is in a file that most take as --command-config.
sub tool {
    my ($input, $class, @words) = @_;
    my $option = '--command-config';
    $option = '--producer.config' if $class eq 'ConsoleProducer' || $class eq 'ProducerPerformance';
    $option = '--consumer.config' if $class =~ /ConsoleConsumer|ConsumerPerformance/;
    my @server = ('--bootstrap-server', $ENV{OX_KAFKA});
    push @words, '--timeout', 60000 if $class =~ /ConsumerGroupCommand/; # 5 s otherwise
    @server = () if $class eq 'ProducerPerformance';
    my ($in, $path) = tempfile(UNLINK => 1);
    print $in $input;
    close $in;
    my $pid = open(my $out, '-|') // die "fork: $!";
    if ($pid == 0) {
        open STDIN, '<', $path or die;
        open STDERR, '>&', \*STDOUT or die;
        my $package = $class eq 'ConsoleProducer' && $release < 4 ? 'kafka.tools' : $tools;
        exec 'timeout', '90', @java, "$package.$class", @server, $option, $ENV{OX_PROPERTIES}, @words or die;
    }
    local $/;
    my $text = <$out> // '';
    close $out;
    $text =~ s/^.*(SLF4J|StatusLogger|deprecated).*\n//mg;
    return $text;
}

my $topic = "$NAME-tools";
my $group = "$NAME-g";
my $out = tool('', 'TopicCommand', '--create', '--topic', $topic, qw(--partitions 3 --config retention.ms=1000000));
ok($out =~ /Created topic/, 'admin: kafka-topics --create', $out);
my @lines = map { "k$_:line $_" } 1 .. 300;
$out = tool(join("\n", @lines) . "\n", 'ConsoleProducer', '--topic', $topic, qw(--property parse.key=true
    --property key.separator=:));
ok($out !~ /Exception|ERROR/, 'produce: kafka-console-producer', $out);
$out = tool('', 'ProducerPerformance', '--topic', $topic, qw(--num-records 5000 --record-size 100
    --throughput -1 --transactional-id), "$NAME-id", qw(--transaction-duration-ms 100));
ok($out =~ /^5000 records sent/m, 'transactions: kafka-producer-perf-test', $out);
$out = tool('', 'consumer.ConsoleConsumer', '--topic', $topic, qw(--from-beginning --timeout-ms 30000
    --max-messages 5300 --isolation-level read_committed --property print.key=true --property key.separator=:),
    '--group', $group);
my %seen = map { $_ => 1 } split /\n/, $out;
ok(!(grep { !$seen{$_} } @lines), 'consume: kafka-console-consumer', substr $out, -500);
ok($out =~ /Processed a total of 5300 messages/, 'transactions: read_committed', substr $out, -500);
$out = tool('', 'consumer.group.ConsumerGroupCommand', '--describe', '--group', $group);
ok((() = $out =~ /^\Q$group\E\s+\Q$topic\E\s+\d\s+\d+\s+\d+\s+\d+/mg) == 3,
    'groups: kafka-consumer-groups --describe', $out);
$out = tool('', 'consumer.group.ConsumerGroupCommand', '--reset-offsets', '--to-earliest', '--execute',
    '--all-topics', '--group', $group);
ok((() = $out =~ /\Q$topic\E\s+\d\s+0\b/g) == 3, 'groups: kafka-consumer-groups --reset-offsets', $out);
$out = tool('', 'consumer.group.ConsumerGroupCommand', '--delete', '--group', $group);
ok($out =~ /successful/, 'groups: kafka-consumer-groups --delete', $out);
$out = tool('', 'TransactionsCommand', 'list');
ok($out =~ /\Q$NAME\E-id\s/, 'transactions: kafka-transactions list', $out);
$out = tool('', 'TopicCommand', '--describe', '--topic', $topic);
ok($out =~ /PartitionCount: 3.*Configs:.*retention.ms=1000000/, 'admin: kafka-topics --describe', $out);
$out = tool('', 'GetOffsetShell', '--topic', $topic);
ok((() = $out =~ /^\Q$topic\E:\d:\d+$/mg) == 3, 'admin: kafka-get-offsets', $out);
my @configs = ('--entity-type', 'topics', '--entity-name', $topic);
if (grep { -e && /kafka_2\.13/ } split /:/, $java[$class_path]) {
    $tools = 'kafka.admin';
    $out = tool('', 'ConfigCommand', '--alter', @configs, '--add-config', 'retention.ms=7000000');
    $out .= tool('', 'ConfigCommand', '--describe', @configs);
    ok($out =~ /Completed.*retention.ms=7000000/s, 'admin: kafka-configs', $out);
    $tools = 'org.apache.kafka.tools' if $release >= 4;
    $out = tool('', 'AclCommand', '--add', '--allow-principal', 'User:nobody', '--operation', 'Read', '--topic', $topic);
    ok($out =~ /operation=READ, permissionType=ALLOW/, 'admin: kafka-acls', $out);
    $tools = 'org.apache.kafka.tools';
}
$out = tool('', 'TopicCommand', '--delete', '--topic', $topic);
ok(tool('', 'TopicCommand', '--list') !~ /^\Q$topic\E$/m, 'admin: kafka-topics --delete', $out);
print "1..$count\n";
exit($failed ? 1 : 0);
