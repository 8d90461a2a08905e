#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Every API of catalog/apis.tbl is tried with the rights that it needs, and
# without each of them (regress/wire/rights.tbl). With OX_KAFKA_ORACLE a Kafka
# broker is tried too, and must say the same.
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;

my %resource = (topic => [2, 't'], group => [3, 'g'], cluster => [4, 'kafka-cluster'],
    transactional_id => [5, 'x'], delegation_token => [6, '*'], user => [7, 'User:root']);
my %operation = (read => 3, write => 4, create => 5, delete => 6, alter => 7, describe => 8,
    cluster_action => 9, describe_configs => 10, alter_configs => 11, idempotent_write => 12,
    create_tokens => 13, describe_tokens => 14, two_phase_commit => 15);
my $refused = qr{(?<!config_)error_code: (?:29|30|31|53|65)\b};

sub lines { my ($path) = @_; open my $in, '<', $path or die "$path: $!"; return grep { !/^#|^\s*$/ } <$in> }

my (@cases, %tried);
for (lines("$Oxbow::TOP/regress/wire/rights.tbl")) {
    chomp;
    if (/^! (.*)/) {
        push @cases, {step => $1};
        next;
    }
    my ($api, $needs, $request, $text) = split /\s*\|\s*/;
    my ($name) = $api =~ /^(\w+)/;
    my @needs = split ' ', $needs;
    push @cases, {api => $api, needs => \@needs, request => $request, text => $text};
    $tried{$name}{join ':', (split /:/)[0, 1]} = 1 for @needs;
}
for (lines("$Oxbow::TOP/catalog/apis.tbl")) {
    my (undef, $name, undef, undef, @needs) = split;
    next if "@needs" eq '-' && !$tried{$name};
    is(join(' ', sort keys %{$tried{$name} // {}}), join(' ', sort grep { $_ ne '-' } @needs),
        "$name: the tries are those of its row");
}

sub acl {
    my ($need) = @_;
    my ($op, $kind, @rest) = split /:/, $need;
    my ($type, $name) = @{$resource{$kind} or die "$need"};
    $name = join ':', @rest if @rest;
    return qq({resource_type: $type, resource_name: "$name", resource_pattern_type: 3, principal: "User:ann", host: "*", operation: $operation{$op}, permission_type: 3});
}

# For each try: the rights that are given, and whether that is enough.
sub tries {
    my ($case) = @_;
    my @needs = @{$case->{needs}};
    my @tries = map { my $without = $_; {given => [grep { $_ ne $without } @needs], without => $without} } @needs;
    return (@tries, {given => \@needs});
}

sub script {
    my $filter = 'resource_type_filter: 1, resource_name_filter: null, pattern_type_filter: 1, '
        . 'principal_filter: "User:ann", host_filter: null, operation: 1, permission_type: 1';
    my $login = sub { qq(SaslHandshake 1 {mechanism: "PLAIN"}\nSaslAuthenticate 2 {auth_bytes: "\\x00$_[0]\\x00$_[0]-secret"}\n) };
    my $out = "hide hmac\n" . $login->("root") . <<'END';
quiet CreateTopics 5 {topics: [{name: "t", num_partitions: 1, replication_factor: 1}], timeout_ms: 10000}
wait 500
Metadata 12 {topics: [{name: "t"}]}
let T = topics.0.topic_id
retry 15 FindCoordinator 3 {key: "g", key_type: 0}
retry 15 FindCoordinator 3 {key: "x", key_type: 1}
retry 16 DescribeGroups 4 {groups: ["g"]}
retry 14 DescribeGroups 4 {groups: ["g"]}
retry 16 OffsetCommit 8 {group_id: "g", topics: [{name: "t", partitions: [{partition_index: 0, committed_offset: 1}]}]}
retry 14 InitProducerId 4 {transactional_id: "x", transaction_timeout_ms: 1000}
retry 16 InitProducerId 4 {transactional_id: "x", transaction_timeout_ms: 1000}
quiet CreateDelegationToken 3 {renewers: [], max_lifetime_ms: 1000000}
END
    for my $i (0 .. $#cases) {
        my $n = 0;
        $out .= "on 1\nquiet $cases[$i]{step}\n" if $cases[$i]{step};
        for my $try ($cases[$i]{step} ? () : tries($cases[$i])) {
            my $rules = join ', ', map { acl($_) } @{$try->{given}};
            $out .= "on 1\nquiet CreateAcls 3 {creations: [$rules]}\nawait User:ann DescribeAcls 3 {$filter}\n" if $rules;
            # A broker closes what it was silent on.
            my $again = $out !~ /^on 2$/m || $cases[$i]{api} =~ /ScramCredentials/;
            $out .= "on 2\n" . ($again ? "close\n" . $login->('ann') : '') . "# try $i $n\n$cases[$i]{api} $cases[$i]{request}\n# end\n";
            $out .= "on 1\nquiet DeleteAcls 3 {filters: [{$filter}]}\nawait [] DescribeAcls 3 {$filter}\n" if $rules;
            $n++;
        }
    }
    return $out;
}

sub run {
    my ($port, $who) = @_;
    my $path = Oxbow::tmp() . "/rights.$$";
    open my $to, '>', $path or die "$path: $!";
    print $to script();
    close $to;
    my $out = `timeout 900 $Oxbow::BUILD/regress/wire/wire 127.0.0.1 $port <$path 2>&1`;
    unlink $path;
    my %said = $out =~ /^# try (\d+ \d+)\n(.*?)\n# end$/msg;
    for my $i (0 .. $#cases) {
        my ($case, $n, $wrong) = ($cases[$i], 0, '');
        next if $case->{step};
        # Kafka looks at the topics that a member was assigned, which takes it a while.
        next if $who eq 'Kafka' && $case->{api} =~ /^ShareGroupDescribe/;
        for my $try (tries($case)) {
            my $said = $said{"$i $n"} // 'no answer';
            my $denied = defined $case->{text} ? index($said, $case->{text}) < 0 : $said =~ $refused;
            my $want = defined $try->{without};
            $denied = $want if $who eq 'Kafka' && $said =~ /: (?:silence|closed)$/; # e.g. DescribeUserScramCredentials
            $wrong .= ($want ? "without $try->{without}" : 'with all of them') . ": $said\n" if !!$denied ne !!$want;
            $n++;
        }
        ok($wrong eq '', "$who: $case->{api} needs @{$case->{needs}}") or diag $wrong;
    }
    diag $out unless %said;
}

my $dir = Oxbow::tmp() . "/rights-$$";
my @users = map { ('--add-scram', "SCRAM-SHA-256=[name=$_,password=$_-secret]") } qw(root ann);
is(system("$Oxbow::BUILD/ox format $dir @users >/dev/null"), 0, 'users before the first start');
my $ox = Oxbow->start(dir => $dir, settings => {
    listeners => 'SASL_PLAINTEXT://127.0.0.1:0', 'sasl.enabled.mechanisms' => 'PLAIN',
    'super.users' => 'User:root', 'delegation.token.secret.key' => 'of-the-tokens',
    'authorizer.class.name' => 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'})
    or die 'no server';
run($ox->{kafka_port}, 'Oxbow');
is($ox->stop, 0, 'the server stops in order');

SKIP: {
    skip 'no Kafka broker asked for', 1 unless $ENV{OX_KAFKA_ORACLE};
    my $kafka = KafkaJars::start_broker(protocol => 'SASL_PLAINTEXT', format => \@users, settings => <<'END')
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_root="root-secret" user_ann="ann-secret";
security.inter.broker.protocol=SASL_PLAINTEXT
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="root" password="root-secret";
super.users=User:root;User:ANONYMOUS
delegation.token.secret.key=of-the-tokens
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
END
        or skip 'no Kafka broker to be had', 1;
    run($kafka->{port}, 'Kafka');
    KafkaJars::stop_broker($kafka);
}
done_testing;
