#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# What changes about listeners while the server runs: the mechanisms of SASL,
# and where clients are told to go.
use strict;
use warnings;
use KafkaJars;
use Oxbow qw(comes_to);
use Raw;
use Test::More;

my %port = map { $_ => Oxbow::free_port() } qw(SASL_PLAINTEXT OWN);
my $ox = Oxbow->start(settings => {
    listeners => "PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:$port{SASL_PLAINTEXT},OWN://127.0.0.1:$port{OWN}",
    sql_authentication => 'trust',
    'listener.security.protocol.map' => 'PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,OWN:SASL_PLAINTEXT',
    'sasl.oauthbearer.allow.unverified.audience' => 'true',
    'sasl.oauthbearer.allow.unverified.issuer' => 'true',
    'listener.name.own.sasl.enabled.mechanisms' => 'SCRAM-SHA-256'}) or die 'no server';

# Error code and mechanisms of SaslHandshake.
sub handshake {
    my ($listener, $mechanism) = @_;
    my $socket = dial($port{$listener}) or die "no connection to $listener";
    send_all($socket, framed(pack('nnNn/an/a', 17, 1, 1, 'live', $mechanism)));
    my $len = unpack 'N', receive($socket, 4, 20);
    my ($id, $code, @names) = unpack 'Nn N/(n/a)', receive($socket, $len, 20);
    return "$code @names";
}

# Error code and text of a change of one of the broker's settings.
sub alter {
    my ($op, $name, $value) = @_;
    my $answer = $ox->wire(qq(IncrementalAlterConfigs 1 {resources: [{resource_type: 4, resource_name: "1", configs: [)
        . qq({name: "$name", config_operation: $op, value: "$value"}]}]}));
    return $answer =~ /error_code: (-?\d+)/ ? $1 : $answer;
}

my $both = 'SCRAM-SHA-256 SCRAM-SHA-512';
is(handshake('SASL_PLAINTEXT', 'PLAIN'), "33 $both", 'a mechanism that is not offered');
is(handshake('SASL_PLAINTEXT', 'SCRAM-SHA-512'), "0 $both", 'one that is');
is(alter(0, 'sasl.enabled.mechanisms', 'SCRAM-SHA-512,PLAIN'), 0, 'others are offered from now on');
is(handshake('SASL_PLAINTEXT', 'PLAIN'), '0 PLAIN SCRAM-SHA-512', 'at once');
is(handshake('SASL_PLAINTEXT', 'SCRAM-SHA-256'), '33 PLAIN SCRAM-SHA-512', 'instead of those before');
is(handshake('OWN', 'PLAIN'), '33 SCRAM-SHA-256', 'a listener that has its own keeps them');
is(alter(2, 'sasl.enabled.mechanisms', 'OAUTHBEARER'), 42, 'tokens without a place of keys are refused');
is(handshake('SASL_PLAINTEXT', 'OAUTHBEARER'), '33 PLAIN SCRAM-SHA-512', 'and not offered');
is($ox->sql("ALTER SYSTEM SET sasl_oauthbearer_jwks_endpoint_url = 'file:///nowhere/keys.json'"), '', 'the place is told');
is(alter(2, 'sasl.enabled.mechanisms', 'OAUTHBEARER'), 0, 'one more');
is(handshake('SASL_PLAINTEXT', 'OAUTHBEARER'), '0 PLAIN SCRAM-SHA-512 OAUTHBEARER', 'is offered too');
is(alter(3, 'sasl.enabled.mechanisms', 'PLAIN'), 0, 'one less');
is(handshake('SASL_PLAINTEXT', 'PLAIN'), '33 SCRAM-SHA-512 OAUTHBEARER', 'is not');
like($ox->wire('DescribeConfigs 4 {resources: [{resource_type: 4, resource_name: "1", configuration_keys: ["sasl.enabled.mechanisms"]}]}'),
    qr/value: "SCRAM-SHA-512,OAUTHBEARER", read_only: false/, 'DescribeConfigs');
isnt(alter(0, 'sasl.enabled.mechanisms', 'GSSAPI'), 0, 'one that is not served is refused');
like($ox->sql("ALTER SYSTEM SET sasl_enabled_mechanisms = ''"), qr/nobody could log in/, 'none at all too');
is(handshake('SASL_PLAINTEXT', 'OAUTHBEARER'), '0 SCRAM-SHA-512 OAUTHBEARER', 'nothing has changed');
ok($ox->restart, 'a restart');
is(handshake('SASL_PLAINTEXT', 'PLAIN'), '33 SCRAM-SHA-512 OAUTHBEARER', 'keeps them');
is(alter(1, 'sasl.enabled.mechanisms', ''), 0, 'what the configuration says again');
is(handshake('SASL_PLAINTEXT', 'PLAIN'), "33 $both", 'is offered');

# Host and port of the broker in Metadata.
sub told {
    my $answer = $ox->wire('Metadata 9 {topics: []}');
    return $answer =~ /host: "([^"]*)", port: (\d+)/ ? "$1:$2" : $answer;
}

my $bound = "127.0.0.1:$ox->{kafka_port}";
is(told(), $bound, 'clients are told what is bound');
is($ox->sql("ALTER SYSTEM SET advertised_listeners = 'PLAINTEXT://elsewhere.example:1234,OWN://[2001:db8::1]:99'"), '',
    'others are advertised');
comes_to(\&told, 'elsewhere.example:1234', 'clients are told');
like($ox->wire('DescribeCluster 0 {}'), qr/host: "elsewhere.example", port: 1234/, 'everywhere');
like($ox->wire('FindCoordinator 3 {key: "g", key_type: 0}'), qr/(?:elsewhere.example", port: 1234|error_code: 15)/,
    'also those of a group');
is(alter(0, 'advertised.listeners', 'PLAINTEXT://other.example:1'), 42, "as with Kafka's brokers it is read-only to its clients");
like($ox->sql("ALTER SYSTEM SET advertised_listeners = '$_'"), qr/not a listener|no listener|not in "listeners"/, "\"$_\" is refused")
    for 'NOPE://x:1', 'PLAINTEXT', 'PLAINTEXT://x', 'PLAINTEXT://x:66000', '://x:1';
is(told(), 'elsewhere.example:1234', 'nothing has changed');
ok($ox->restart, 'a restart');
is(told(), 'elsewhere.example:1234', 'keeps it');
is($ox->sql("ALTER SYSTEM SET advertised_listeners = 'PLAINTEXT://:77'"), '', 'only the port');
comes_to(\&told, '127.0.0.1:77', 'the host is the bound one');
is($ox->sql('ALTER SYSTEM RESET advertised_listeners'), '', 'back to the configuration');
comes_to(\&told, "127.0.0.1:$ox->{kafka_port}", 'clients are told what is bound');

is($ox->stop, 0, 'the server stops in order');
done_testing;
