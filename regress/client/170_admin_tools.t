#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Kafka's command-line tools of administration. With OX_KAFKA_ORACLE=1 the same
# questions go to a Kafka broker first.
use strict;
use warnings;
use File::Temp qw(tempfile);
use Oxbow;
use KafkaJars;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'no kafka-tools' unless KafkaJars::classpath('kafka-tools');
plan skip_all => 'no kafka' unless KafkaJars::classpath('kafka_2.13');
my $tools = 'org.apache.kafka.tools';
my $server;

# A tool of the artifact; what it prints, without the noise of its libraries.
sub run {
    my ($artifact, $class, @words) = @_;
    my @first = $class =~ /ClusterTool/ ? shift @words : ();
    my @command = KafkaJars::java($artifact, $class, @first, '--bootstrap-server', $server, @words);
    my $pid = open(my $out, '-|') // die "fork: $!";
    if ($pid == 0) {
        open STDIN, '<', '/dev/null' or die;
        open STDERR, '>&', \*STDOUT or die;
        exec @command or POSIX::_exit(127);
    }
    local $/;
    my $text = <$out> // '';
    close $out;
    $text =~ s/^.*SLF4J.*\n//mg;
    return $text;
}

sub tool { my ($class, @words) = @_; return run('kafka-tools', "$tools.$class", @words) }
sub configs { return run('kafka_2.13', 'kafka.admin.ConfigCommand', @_) }

sub file {
    my ($content) = @_;
    my ($handle, $path) = tempfile(DIR => Oxbow::tmp(), UNLINK => 1);
    print $handle $content;
    close $handle;
    return $path;
}

# Asks every tool; name is whose broker it is.
sub ask {
    my ($name) = @_;
    my $is = sub { my ($text, $regex, $sentence) = @_; like($text, $regex, "$name: $sentence") };

    tool('TopicCommand', qw(--create --topic at --replica-assignment), '1,1');
    $is->(tool('TopicCommand', qw(--describe --topic at)), qr/PartitionCount: 2\s+ReplicationFactor: 1/,
        'a topic with assigned replicas');
    $is->(tool('TopicCommand', qw(--create --topic at2 --replica-assignment 1:7)), qr/not.*registered|registered/i,
        'but not with brokers that are not there');
    tool('TopicCommand', qw(--alter --topic at --partitions 3 --replica-assignment), '1,1,1');
    $is->(tool('TopicCommand', qw(--describe --topic at)), qr/PartitionCount: 3/, 'and one more partition');

    # kafka-configs
    $is->(configs(qw(--alter --entity-type topics --entity-name at --add-config),
        'retention.ms=5000000,cleanup.policy=[compact,delete]'), qr/Completed updating config for topic at/,
        'settings of a topic');
    $is->(configs(qw(--describe --entity-type topics --entity-name at)),
        qr/cleanup.policy=compact,delete.*synonyms=\{DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete\}/,
        'with their synonyms');
    configs(qw(--alter --entity-type brokers --entity-default --add-config log.cleaner.threads=2));
    configs(qw(--alter --entity-type brokers --entity-name 1 --add-config log.cleaner.threads=3));
    $is->(configs(qw(--describe --entity-type brokers --entity-name 1)),
        qr/log.cleaner.threads=3 sensitive=false synonyms=\{DYNAMIC_BROKER_CONFIG:log.cleaner.threads=3, DYNAMIC_DEFAULT_BROKER_CONFIG:log.cleaner.threads=2, DEFAULT_CONFIG:log.cleaner.threads=1\}/,
        'settings of a broker');
    $is->(configs(qw(--describe --entity-type brokers --entity-default)), qr/log.cleaner.threads=2/,
        'and of all');
    $is->(configs(qw(--describe --entity-type brokers --entity-name 1 --all)),
        qr/num.partitions=1 sensitive=false/, 'all settings of a broker');
    $is->(configs(qw(--alter --entity-type brokers --entity-name 1 --add-config num.partitions=3)),
        qr/InvalidRequest|Cannot update|read-only/i, 'some are read-only');
    configs(qw(--alter --entity-type brokers --entity-name 1 --delete-config log.cleaner.threads));
    $is->(configs(qw(--alter --entity-type groups --entity-name ag --add-config consumer.session.timeout.ms=50000)),
        qr/Completed updating config for group ag/, 'settings of a group');
    $is->(configs(qw(--describe --entity-type groups --entity-name ag)),
        qr/consumer.session.timeout.ms=50000/, 'are shown');
    $is->(configs(qw(--alter --entity-type broker-loggers --entity-name 1 --add-config root=WARN)),
        qr/Completed updating config for broker-logger 1/, 'the level of a logger');
    $is->(configs(qw(--describe --entity-type broker-loggers --entity-name 1)), qr/root=WARN/, 'is shown');
    $is->(configs(qw(--describe --entity-type client-metrics)), qr/\A\s*\z/, 'no subscriptions yet');

    # kafka-client-metrics
    $is->(tool('ClientMetricsCommand', qw(--alter --name sub --metrics), 'org.apache.kafka.producer.',
        qw(--interval 1000 --match), 'client_software_name=apache-kafka-java'),
        qr/Altered client metrics config for sub/, 'a subscription to metrics of clients');
    $is->(tool('ClientMetricsCommand', '--list'), qr/^sub$/m, 'is listed');
    $is->(tool('ClientMetricsCommand', qw(--describe --name sub)), qr/interval.ms=1000/, 'and described');

    # kafka-features, which may be older than the levels that there are
    my $features = tool('FeatureCommand', 'describe');
    $is->($features, qr/Feature: metadata.version\s+SupportedMinVersion: 3.3-IV3\s+SupportedMaxVersion: (4.4-IV2|UNKNOWN 33)\s+FinalizedVersionLevel: \g1/,
        'features');
    $is->($features, qr/Feature: share.version\s+SupportedMinVersion: 0\s+SupportedMaxVersion: 2\s+FinalizedVersionLevel: 2/,
        'and their levels');
    $is->(tool('FeatureCommand', qw(downgrade --feature streams.version=0)), qr/streams.version was downgraded to 0/,
        'one goes down');
    $is->(tool('FeatureCommand', 'describe'), qr/streams.version.*FinalizedVersionLevel: 0/, 'and is down');
    $is->(tool('FeatureCommand', qw(upgrade --feature streams.version=1)), qr/streams.version was upgraded to 1/,
        'and up again');
    $is->(tool('FeatureCommand', qw(upgrade --feature streams.version=7)), qr/Could not upgrade|failed/,
        'not further');

    # kafka-metadata-quorum
    $is->(tool('MetadataQuorumCommand', qw(describe --status)), qr/LeaderId:\s+1\n.*CurrentVoters:\s+\[\{"id": 1/s,
        'the quorum');
    $is->(tool('MetadataQuorumCommand', qw(describe --replication)), qr/^1\s+\S+\s+\d+\s+0\s+.*Leader/m,
        'and its replica');

    # kafka-leader-election, kafka-reassign-partitions
    $is->(tool('LeaderElectionCommand', qw(--election-type preferred --topic at --partition 0)),
        qr/Valid replica already elected for partitions at-0/, 'an election that is not needed');
    $is->(tool('LeaderElectionCommand', qw(--election-type unclean --all-topic-partitions)), qr/\A\s*\z/,
        'nor one of all');
    my $plan = file('{"version":1,"partitions":[{"topic":"at","partition":0,"replicas":[1]}]}');
    $is->(tool('reassign.ReassignPartitionsCommand', '--reassignment-json-file', $plan, '--execute'),
        qr/Successfully started partition reassignment for at-0/, 'a reassignment');
    my $slow = tool('reassign.ReassignPartitionsCommand', '--reassignment-json-file', $plan, '--execute',
        qw(--throttle 1000000 --replica-alter-log-dirs-throttle 2000000));
    $is->($slow, qr/inter-broker throttle limit was set to 1000000 B\/s.*replica-alter-dir throttle limit was set to 2000000 B\/s.*Successfully started/s,
        'one with limits');
    $is->(configs(qw(--describe --entity-type brokers --entity-name 1)), qr/leader\.replication\.throttled\.rate=1000000 sensitive=false synonyms=\{DYNAMIC_BROKER_CONFIG:leader\.replication\.throttled\.rate=1000000\}/,
        'which are settings');
    $is->(tool('reassign.ReassignPartitionsCommand', '--reassignment-json-file', $plan, '--verify'),
        qr/Reassignment of partition at-0 is completed.*Clearing broker-level throttles/s, 'is complete, and its limits go');
    $is->(tool('reassign.ReassignPartitionsCommand', '--list'), qr/No partition reassignments found/, 'none is under way');
    my $topics = file('{"version":1,"topics":[{"topic":"at"}]}');
    $is->(tool('reassign.ReassignPartitionsCommand', '--topics-to-move-json-file', $topics, qw(--broker-list 1 --generate)),
        qr/Proposed partition reassignment configuration/, 'a plan for one');

    # the others
    $is->(tool('LogDirsCommand', qw(--describe --broker-list 1 --topic-list at)), qr/"partition":"at-2","size":0/,
        'log directories');
    my $versions = tool('BrokerApiVersionsCommand');
    $is->($versions, qr/ElectLeaders\(43\): 0 to 2 \[usable: 2\].*PushTelemetry\(72\): 0 \[usable: 0\].*AddRaftVoter\(80\): 0 to 1/s,
        'versions of APIs');
    $is->(tool('ClusterTool', 'unregister', '--id', '9'), qr/not currently registered|is not registered|not registered/i,
        'brokers that are not there do not leave');
    $is->(tool('ClusterTool', 'list-endpoints'), qr/^1\s+\S+\s+\d+\s+\S+\s+unfenced/m, 'end points');
    $is->(tool('GroupsCommand', '--list'), qr/GROUP|No groups|\A\s*\z/i, 'groups');
    return $versions;
}

my $theirs;
SKIP: {
    skip 'no Kafka broker is asked', 1 unless $ENV{OX_KAFKA_ORACLE};
    my $sink = KafkaJars::plugin('TelemetrySink') or skip 'no plugin to be had', 1;
    my $kafka = KafkaJars::start_broker(plugins => $sink, settings => 'metric.reporters=TelemetrySink')
        or skip 'no Kafka broker to be had', 1;
    $server = "127.0.0.1:$kafka->{port}";
    $theirs = ask('Kafka');
    KafkaJars::stop_broker($kafka);
}
my $ox = Oxbow->start or die 'no server';
$server = $ox->kafka;
my $ours = ask('Oxbow');
if ($theirs) {
    my @lists = map { join '', sort grep { /usable/ && !/UNKNOWN|ShareGroupState/ } split /^/m } $theirs, $ours;
    tr/,//d for @lists;
    is($lists[1], $lists[0], 'the same APIs in the same versions');
}

# A producer pushes its metrics while it runs, and when it ends.
$ox->sql('CREATE TOPIC measured');
tool('ProducerPerformance', qw(--topic measured --num-records 300 --record-size 10 --throughput 100));
my $pushed = $ox->sql("SELECT count(*) > 0 FROM oxbow.client_metrics WHERE metric LIKE 'org.apache.kafka.producer.%' AND software LIKE 'apache-kafka-java 4%'");
is($pushed, 't', 'metrics of a Java producer are in oxbow.client_metrics');
is($ox->sql("SELECT kind FROM oxbow.client_metrics WHERE metric = 'org.apache.kafka.producer.connection.creation.total' LIMIT 1"),
    'counter', 'of their kind');
my $http = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ox->{http_port}) or die;
print $http "GET /metrics HTTP/1.0\r\n\r\n";
my $metrics = join '', <$http>;
like($metrics, qr/^# TYPE org_apache_kafka_producer_connection_creation_total counter\norg_apache_kafka_producer_connection_creation_total\{client_instance_id="[\w-]{22}",client_id="[^"]*",client_software="apache-kafka-java 4[^"]*".*\} \d+$/m,
    'and under /metrics');
my $label = qr/[a-zA-Z_]\w*="(?:[^"\\]|\\[\\"n])*"/;
my (undef, $lines) = split /\r\n\r\n/, $metrics, 2;
is(join("\n", grep { !/^#|^[a-zA-Z_:][\w:]*(?:\{$label(?:,$label)*\})? (?:-?[0-9.]+(?:e[+-]?\d+)?|NaN|[+-]Inf)$/ } split /\n/, $lines),
    '', 'where each line is one that Prometheus reads');
like($metrics, qr/ NaN$/m, 'those with values that are no numbers, too');
is($ox->stop, 0, 'the server stops in order');
done_testing;
