#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Quotas: which one holds for whom, how long a client is told to wait, that it is
# made to wait, what a Fetch over its quota gives, partitions, connections. With
# OX_KAFKA_ORACLE the same questions are asked of a Kafka broker.
use strict;
use warnings;
use IO::Socket::INET;
use Oxbow;
use KafkaJars;
use Test::More;
use Time::HiRes qw(time sleep);

my @users = qw(admin ann ben cleo dora eve);
my $login = sub { qq(SaslHandshake 1 {mechanism: "PLAIN"}\nSaslAuthenticate 2 {auth_bytes: "\\x00$_[0]\\x00$_[0]-secret"}\n) };

# The answers to a script, by line, of one user.
sub ask {
    my ($port, $user, $script) = @_;
    my $path = Oxbow::tmp() . "/quotas.$$";
    open my $to, '>', $path or die "$path: $!";
    print $to $login->($user), $script;
    close $to;
    my @lines = grep { !/^Sasl/ } `timeout 120 $Oxbow::BUILD/regress/wire/wire 127.0.0.1 $port <$path 2>&1`;
    unlink $path;
    return @lines;
}

sub entity {
    my (%of) = @_;
    return join ', ', map { my $name = defined $of{$_} ? qq("$of{$_}") : 'null';
        qq({entity_type: "$_", entity_name: $name}) } sort keys %of;
}

# quota(port, {user => .., 'client-id' => ..}, key => value or undef)
sub quota {
    my ($port, $of, %keys) = @_;
    my $ops = join ', ', map { my $remove = defined $keys{$_} ? 'false' : 'true';
        my $value = $keys{$_} // 0; qq({key: "$_", value: $value, remove: $remove}) } sort keys %keys;
    my $entity = entity(%$of);
    my ($line) = ask($port, 'admin', "quiet AlterClientQuotas 1 {entries: [{entity: [$entity], ops: [$ops]}]}\nwait 300\n");
    return $line =~ /: ok/;
}

sub told { return $_[0] =~ /throttle_time_ms: (\d+)/ ? $1 : -1 }

sub near {
    my ($got, $want, $sentence, $slack) = @_;
    ok(abs($got - $want) <= ($slack // 90), $sentence) or diag "$got, expected about $want";
}

my $value = 'x' x 40000;
my $produce = qq(Produce 9 {acks: 1, timeout_ms: 5000, topic_data: [{name: "q", partition_data: [{index: 0, records: "k=$value"}]}]}\n);

# What 40 KB in one request are told to wait under a rate: over the bound for the
# ten whole samples that count as measured.
sub wait_for { return 40100 * 1000 / $_[0] - 10000 }

sub precedence {
    my ($port, $who) = @_;
    my @set = ([{user => 'ann', 'client-id' => 'c1'}, 3950], [{user => 'ann', 'client-id' => undef}, 3880],
        [{user => 'ben'}, 3810], [{user => undef, 'client-id' => 'c1'}, 3740],
        [{user => undef, 'client-id' => undef}, 3670], [{user => undef}, 3600],
        [{'client-id' => 'c7'}, 3530], [{'client-id' => undef}, 3460]);
    ok(quota($port, $_->[0], producer_byte_rate => $_->[1]), "$who: a quota is set") for @set;
    my $check = sub {
        my ($user, $client, $rate, $sentence) = @_;
        my ($line) = ask($port, $user, "client $client\n$produce");
        near(told($line // ''), wait_for($rate), "$who: $sentence");
    };
    $check->('ann', 'c1', 3950, 'user and client id come first');
    $check->('ann', 'c2', 3880, 'then the user with the default client id');
    $check->('ben', 'c2', 3810, 'then the user');
    $check->('cleo', 'c1', 3740, 'then the default user with the client id');
    $check->('cleo', 'c3', 3670, 'then the default user with the default client id');
    quota($port, $_, producer_byte_rate => undef) for $set[3][0], $set[4][0];
    $check->('dora', 'c4', 3600, 'then the default user');
    quota($port, $set[5][0], producer_byte_rate => undef);
    $check->('eve', 'c7', 3530, 'then the client id');
    $check->('eve', 'c8', 3460, 'then the default client id');
    quota($port, $_->[0], producer_byte_rate => undef) for @set;
    my ($line) = ask($port, 'ann', "client c1\n$produce");
    is(told($line), 0, "$who: without quotas nobody waits");
}

sub muting {
    my ($port, $who) = @_;
    quota($port, {user => 'ann'}, producer_byte_rate => 3700);
    my $begun = time;
    my @lines = ask($port, 'ann', "client m1\n${produce}ApiVersions 0 {}\n");
    my $took = 1000 * (time - $begun);
    near(told($lines[0]), wait_for(3700), "$who: the first answer tells the time");
    ok($took >= told($lines[0]) - 20, "$who: the connection is muted that long") or diag $took;
    # The same user from another connection shares the meter.
    @lines = ask($port, 'ann', "client m2\n$produce");
    ok(told($lines[0]) > 8000, "$who: two clients of a user share its quota") or diag $lines[0];
    quota($port, {user => 'ann'}, producer_byte_rate => undef);
}

# Nobody waits for answers to acks=0: what is sent before the end counts all the same.
sub leaving {
    my ($port, $who) = @_;
    my $end = sub {
        my ($line) = ask($port, 'admin', qq(ListOffsets 7 {replica_id: -1, topics: [{name: "q", partitions: [{partition_index: 0, timestamp: -1}]}]}\n));
        return $line =~ /\boffset: (\d+)/ ? $1 : -1;
    };
    my $before = $end->();
    quota($port, {user => 'cleo'}, producer_byte_rate => 3700);
    my $silent = $produce =~ s/acks: 1/acks: 0/r;
    my $small = $silent =~ s/x{39700}//r;
    ask($port, 'cleo', "client l1\n$silent" . $small x 8);
    my $until = time + 60;
    sleep 0.2 while $end->() < $before + 9 && time < $until;
    is($end->() - $before, 9, "$who: what was sent without waiting for answers is written, though the client has left");
    quota($port, {user => 'cleo'}, producer_byte_rate => undef);
}

sub fetching {
    my ($port, $who) = @_;
    my $few = 'y' x 9900;
    my $batch = qq(Produce 9 {acks: 1, timeout_ms: 5000, topic_data: [{name: "f", partition_data: [{index: 0, records: "k=$few"}]}]}\n);
    my @made = ask($port, 'admin', 'quiet ' . $batch x 1 . ('quiet ' . $batch) x 9);
    quota($port, {user => 'ben'}, consumer_byte_rate => 5000);
    my $fetch = qq(Fetch 11 {replica_id: -1, max_wait_ms: 100, min_bytes: 1, max_bytes: 30000, session_id: 0, session_epoch: -1, topics: [{topic: "f", partitions: [{partition: 0, fetch_offset: 0, partition_max_bytes: 30000}]}]}\n);
    my @lines = ask($port, 'ben', $fetch x 2);
    is(told($lines[0]), 0, "$who: 30 KB are below the quota");
    like($lines[0], qr/records: .*yyy/, "$who: and come");
    near(told($lines[1]), 2000, "$who: 30 KB more are over it", 400);
    unlike($lines[1], qr/yyy/, "$who: and do not come");
    $fetch =~ s/30000/200000/g;
    @lines = ask($port, 'cleo', $fetch);
    my $all = () = $lines[0] =~ /yyyyyyyyyy/g;
    quota($port, {user => 'dora'}, consumer_byte_rate => 5000);
    @lines = ask($port, 'dora', $fetch);
    ok(told($lines[0]) < 500, "$who: a Fetch asks for no more than ten seconds of its quota") or diag told($lines[0]);
    quota($port, {user => $_}, consumer_byte_rate => undef) for qw(ben dora);
}

# After fetching(): its topic, by a share group. Kafka answers without records, which
# the member has in hand all the same.
sub sharing {
    my ($port) = @_;
    my $who = 'group_id: "qs", member_id: "mmmmmmmmmmmmmmmmmmmmmm"';
    my $fetch = qq(ShareFetch 1 {$who, share_session_epoch: %d, max_wait_ms: 500, min_bytes: 1, )
        . 'max_bytes: 200000, max_records: 9, batch_size: 9, topics: [{topic_id: "$T", '
        . "partitions: [{partition_index: 0}]}]}\n";
    my ($reset) = ask($port, 'admin', qq(IncrementalAlterConfigs 1 {resources: [{resource_type: 32, )
        . qq(resource_name: "qs", configs: [{name: "share.auto.offset.reset", config_operation: 0, )
        . qq(value: "earliest"}]}]}\n));
    quota($port, {user => 'ben'}, consumer_byte_rate => 500);
    my @lines = ask($port, 'ben', qq(Metadata 12 {topics: [{name: "f"}]}\nlet T = topics.0.topic_id\n)
        . qq(retry 14,15,16 FindCoordinator 4 {key_type: 0, coordinator_keys: ["qs"]}\n)
        . qq(retry 14,15,16 ShareGroupHeartbeat 1 {$who, member_epoch: 0, subscribed_topic_names: ["f"]}\n)
        . "wait 3000\nShareGroupHeartbeat 1 {$who, member_epoch: 1}\n"
        . sprintf($fetch, 0));
    my ($answer) = grep { /^ShareFetch/ } @lines;
    ok(told($answer // '') > 3000, 'ShareFetch: its bytes count') or diag "$reset @lines";
    like($answer, qr/yyy/, 'ShareFetch: they come');
    quota($port, {user => 'ben'}, consumer_byte_rate => undef);
}

sub mutating {
    my ($port, $who) = @_;
    my $create = sub { qq(CreateTopics $_[0] {topics: [{name: "$_[1]", num_partitions: $_[2], replication_factor: 1}], timeout_ms: 5000}\n) };
    quota($port, {user => 'eve'}, controller_mutation_rate => 1);
    my @lines = ask($port, 'eve', $create->(7, 'm1', 13) . $create->(7, 'm2', 1));
    like($lines[0], qr/error_code: 0/, "$who: what goes over is done");
    is(told($lines[0]), 0, "$who: without a wait");
    like($lines[1], qr/error_code: 89/, "$who: the next one is refused");
    ok(told($lines[1]) > 500 && told($lines[1]) <= 2000, "$who: until the bucket has something again") or diag $lines[1];
    @lines = ask($port, 'eve', $create->(5, 'm3', 2));
    like($lines[0], qr/error_code: 0/, "$who: an old client is served");
    ok(told($lines[0]) > 500, "$who: and waits") or diag $lines[0];
    quota($port, {user => 'eve'}, controller_mutation_rate => undef);
}

sub requests {
    my ($port, $who) = @_;
    quota($port, {user => 'dora'}, request_percentage => "0.00001");
    my @lines = ask($port, 'dora', qq(Metadata 8 {topics: null}\n) x 2);
    my ($most) = sort { $b <=> $a } map { told($_) } @lines;
    ok($most > 0 && $most <= 1000, "$who: request time is measured, a wait is a second at most") or diag @lines;
    my $silent = qq(Produce 9 {acks: 0, timeout_ms: 5000, topic_data: [{name: "q", partition_data: [{index: 0, records: "k=v"}]}]}\n);
    @lines = ask($port, 'dora', $silent x 20 . qq(Metadata 8 {topics: null}\n));
    like($lines[-1], qr/^Metadata 8: \{throttle/, "$who: requests without answers are counted too");
    quota($port, {user => 'dora'}, request_percentage => undef);
}

sub connections {
    my ($port, $who) = @_;
    sleep 1;
    quota($port, {ip => '127.0.0.1'}, connection_creation_rate => 2);
    my ($served, @sockets) = (0);
    my $begun = time;
    for (1 .. 30) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or next;
        print $socket pack('NnnNn', 10, 18, 0, 7, -1 & 0xffff);
        $socket->flush;
        push @sockets, $socket;
    }
    my $closed = 0;
    for my $socket (@sockets) {
        my $mask = '';
        vec($mask, fileno $socket, 1) = 1;
        select($mask, undef, undef, 5);
        my $got = sysread $socket, my $bytes, 100;
        $served++ if $got;
        $closed++ unless $got;
    }
    my $took = time - $begun;
    ok($served >= 17 && $served <= 23, "$who: ten seconds' worth of connections are served") or diag "$served in $took s";
    is($served + $closed, 30, "$who: the others are closed");
    close $_ for @sockets;
    sleep 2;
    for (1 .. 20) { # until one is let in
        last if quota($port, {ip => '127.0.0.1'}, connection_creation_rate => undef);
        sleep 1;
    }
}

sub all {
    my ($port, $who) = @_;
    ask($port, 'admin', qq(quiet CreateTopics 4 {topics: [{name: "q", num_partitions: 1, replication_factor: 1}, {name: "f", num_partitions: 1, replication_factor: 1}], timeout_ms: 10000}\nwait 500\n));
    precedence($port, $who);
    muting($port, $who);
    leaving($port, $who);
    fetching($port, $who);
    sharing($port) if $who eq 'Oxbow';
    mutating($port, $who);
    requests($port, $who);
    connections($port, $who);
}

my $dir = Oxbow::tmp() . "/quotas-$$";
my @made = map { ('--add-scram', "SCRAM-SHA-256=[name=$_,password=$_-secret]") } @users;
is(system("$Oxbow::BUILD/ox format $dir @made >/dev/null"), 0, 'users before the first start');
my $ox = Oxbow->start(dir => $dir, settings => {listeners => 'SASL_PLAINTEXT://127.0.0.1:0',
    'sasl.enabled.mechanisms' => 'PLAIN'}) or die 'no server';
all($ox->{kafka_port}, 'Oxbow');
is($ox->stop, 0, 'the server stops in order');

# The bucket of mutations holds as much as the settings say: 2 x 1, not 11.
$ox = Oxbow->start(dir => $dir, settings => {listeners => 'SASL_PLAINTEXT://127.0.0.1:0',
    'sasl.enabled.mechanisms' => 'PLAIN', 'controller.quota.window.num' => 2,
    'controller.quota.window.size.seconds' => 1}) or die 'no server';
quota($ox->{kafka_port}, {user => 'eve'}, controller_mutation_rate => 1);
my @small = ask($ox->{kafka_port}, 'eve', join '', map {
    qq(CreateTopics 7 {topics: [{name: "b$_", num_partitions: 5, replication_factor: 1}], timeout_ms: 5000}\n) } 1, 2);
like($small[0], qr/error_code: 0/, 'a small bucket of mutations: what goes over is done');
like($small[1], qr/error_code: 89/, 'a small bucket of mutations: the next one is refused');
is($ox->stop, 0, 'the server stops in order');

SKIP: {
    skip 'no Kafka broker asked for', 1 unless $ENV{OX_KAFKA_ORACLE};
    my $plain = join ' ', map { qq(user_$_="$_-secret") } @users;
    my $kafka = KafkaJars::start_broker(protocol => 'SASL_PLAINTEXT', format => \@made, settings => <<"END")
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required $plain;
security.inter.broker.protocol=SASL_PLAINTEXT
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="admin-secret";
END
        or skip 'no Kafka broker to be had', 1;
    all($kafka->{port}, 'Kafka');
    KafkaJars::stop_broker($kafka);
}
done_testing;
