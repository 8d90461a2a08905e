#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# What a member of a share group may read is asked with each fetch: rights that it loses
# or gets while its session is open count, as with Kafka.
use strict;
use warnings;
use Oxbow;
use Test::More;

my $dir = Oxbow::tmp() . "/rights-$$";
my @users = map { ('--add-scram', "SCRAM-SHA-256=[name=$_,password=$_-secret]") } qw(admin alice);
is(system("$Oxbow::BUILD/ox", 'format', $dir, @users), 0, 'users before the first start');
my $ox = Oxbow->start(dir => $dir, settings => {
    listeners => 'SASL_PLAINTEXT://127.0.0.1:0', 'sasl.enabled.mechanisms' => 'PLAIN',
    'super.users' => 'User:admin;User:ANONYMOUS',
    'authorizer.class.name' => 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'}) or die 'no server';

sub login { return ('SaslHandshake 1 {mechanism: "PLAIN"}', "SaslAuthenticate 2 {auth_bytes: \"\\x00$_[0]\\x00$_[0]-secret\"}") }

sub fetch {
    my ($member, $epoch, $wait) = @_;
    return "ShareFetch 1 {group_id: \"g\", member_id: \"$member\", share_session_epoch: $epoch, max_wait_ms: $wait, "
        . 'min_bytes: 1, max_bytes: 1000000, max_records: 100, batch_size: 100'
        . ($epoch == 0 ? ', topics: [{topic_id: "$T", partitions: [{partition_index: 0}]}]' : '') . '}';
}

sub produce {
    return "quiet Produce 9 {acks: -1, timeout_ms: 5000, topic_data: [{name: \"t\", partition_data: [{index: 0, records: \"$_[0]\"}]}]}";
}

sub grant {
    my ($type, $name) = @_;
    return "quiet CreateAcls 3 {creations: [{resource_type: $type, resource_name: \"$name\", resource_pattern_type: 3, "
        . 'principal: "User:alice", host: "*", operation: 3, permission_type: 3}]}';
}

my $revoke = 'quiet DeleteAcls 3 {filters: [{resource_type_filter: 2, resource_name_filter: "t", pattern_type_filter: 3, '
    . 'principal_filter: "User:alice", host_filter: null, operation: 1, permission_type: 1}]}';
my ($a, $b, $c) = map { 'm' x 21 . $_ } qw(a b c);
my $text = $ox->wire('hide host port', login('admin'),
    'quiet CreateTopics 4 {topics: [{name: "t", num_partitions: 1, replication_factor: 1}], timeout_ms: 10000}',
    'retry 3 Metadata 12 {topics: [{name: "t"}]}', 'let T = topics.0.topic_id',
    'retry 15 FindCoordinator 4 {key_type: 0, coordinator_keys: ["g"]}', 'retry 14,15,16 OffsetFetch 7 {group_id: "g", topics: null}',
    'quiet IncrementalAlterConfigs 1 {resources: [{resource_type: 32, resource_name: "g", configs: '
        . '[{name: "share.auto.offset.reset", config_operation: 0, value: "earliest"}]}]}',
    grant(3, 'g'), grant(2, 't'),
    "quiet ShareGroupHeartbeat 1 {group_id: \"g\", member_id: \"$a\", member_epoch: 0, subscribed_topic_names: [\"t\"]}",
    'wait 2000', produce('a=1'), 'on 2', login('alice'), '# reads', fetch($b, 0, 9000),
    'on 1', $revoke, produce('b=2'), 'wait 1000', 'on 2', '# lost', fetch($b, 1, 500),
    'on 1', grant(2, 't'), 'wait 1000', 'on 2', '# got again', fetch($b, 2, 9000),
    'on 1', $revoke, 'wait 1000', 'on 2', '# none yet', fetch($c, 0, 500),
    'on 1', grant(2, 't'), produce('c=3'), 'wait 1000', 'on 2', '# got later', fetch($c, 1, 9000));
note $text;

sub said {
    my ($after) = @_;
    my ($line) = $text =~ /^# \Q$after\E\n(.*)$/m;
    return join ' ', ($line // '') =~ /partition_index: 0, (error_code: \d+)/, ($line // '') =~ /records: "(\[.*?)"/;
}

is(said('reads'), 'error_code: 0 [0 a=1]', 'who may read does');
is(said('lost'), 'error_code: 29', 'and not any more when the right is lost');
is(said('got again'), 'error_code: 0 [1 b=2]', 'but when it is got again');
is(said('none yet'), 'error_code: 29', 'a session without the right');
is(said('got later'), 'error_code: 0 [2 c=3]', 'reads when it is got');
is($ox->stop, 0, 'the server stops in order');
done_testing;
