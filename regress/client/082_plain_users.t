#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A server.properties with users of PLAIN, as Kafka's brokers take it: who gets in, what is
# refused at the start, and that passwords are not shown. With OX_KAFKA_ORACLE=1 a Kafka
# broker is asked the same.
use strict;
use warnings;
use KafkaJars;
use Oxbow qw(slurp spew);
use Raw;
use Test::More;

my $module = 'org.apache.kafka.common.security.plain.PlainLoginModule';
my $properties = <<"END";
# from a cluster of Kafka's
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.sasl_plaintext.plain.sasl.jaas.config=$module required \\
    username="admin" password="admin-secret" \\
    user_admin="admin-secret" \\
    user_ann="ann \\\\"# secret" user_b\\u0065n=ben-secret \\
    user_word="12" user_twice="one" user_twice="two";
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=\\
    org.apache.kafka.common.security.scram.ScramLoginModule required;
sasl.mechanism.inter.broker.protocol=PLAIN
END

my $file = Oxbow::tmp() . "/plain-users-$$.properties";
spew($file, $properties);

# Error code and text of a login.
sub login {
    my ($port, $user, $password, $authzid) = @_;
    my $socket = dial($port) or die "no connection";
    send_all($socket, framed(pack('nnNn/an/a', 17, 1, 1, 'users', 'PLAIN')));
    receive($socket, unpack('N', receive($socket, 4, 20)), 20);
    my $token = join "\0", $authzid // '', $user, $password;
    send_all($socket, framed(pack('nnNn/aN/a', 36, 1, 2, 'users', $token)));
    my ($id, $code, $len) = unpack 'Nnn', my $answer = receive($socket, unpack('N', receive($socket, 4, 20)), 20);
    return $len == 0 ? $code : "$code " . substr $answer, 8, $len;
}

my $wrong = '58 Authentication failed: Invalid username or password';
my @logins = (
    [admin => 'admin-secret', 0, 'the first user'],
    [ann => 'ann "# secret', 0, 'a password with a quote and a #'],
    [ben => 'ben-secret', 0, 'a word without quotes'],
    [word => '12', 0, 'digits in quotes'],
    [twice => 'two', 0, 'the last of two counts'],
    [twice => 'one', $wrong, 'and the first does not'],
    [ann => 'ann "# secre', $wrong, 'less than the password'],
    [ann => 'ann "# secret ', $wrong, 'more'],
    [an => 'ann "# secret', $wrong, 'another name'],
    [username => 'admin', $wrong, 'an option that is no user'],
    [root => 'root-secret', $wrong, 'nobody'],
);
sub logins {
    my ($port, $who) = @_;
    is(login($port, @$_[0, 1]), $$_[2], "$who: $$_[3]") for @logins;
    is(login($port, 'ben', 'ben-secret', 'ben'), 0, "$who: for himself");
    is(login($port, 'ben', 'ben-secret', 'ann'), '58 Authentication failed: Client requested an authorization id that is different from username',
        "$who: for somebody else");
    is(login($port, 'ben', ''), '58 Authentication failed: password not specified', "$who: no password");
}

SKIP: {
    skip 'no Kafka broker is asked', 1 unless $ENV{OX_KAFKA_ORACLE};
    my $kafka = KafkaJars::start_broker(protocol => 'SASL_PLAINTEXT', settings => $properties
        . qq(security.inter.broker.protocol=SASL_PLAINTEXT\nsasl.jaas.config=$module required username="admin" password="admin-secret";\n))
        or skip 'no Kafka broker to be had', 1;
    logins($kafka->{port}, 'Kafka');
    KafkaJars::stop_broker($kafka);
}

my %listeners = (listeners => 'PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:' . Oxbow::free_port());
my ($port) = $listeners{listeners} =~ /(\d+)$/;
my $ox = Oxbow->start(words => ['--config', $file], settings => {%listeners, sql_authentication => 'trust'}) or BAIL_OUT('no server');
is($ox->sql("CREATE ROLE root LOGIN PASSWORD 'root-secret'"), '', 'a user of the catalog');
logins($port, 'Oxbow');
is($ox->sql('CREATE ROLE ben NOLOGIN'), '', 'a role that may not log in');
is(login($port, 'ben', 'ben-secret'), $wrong, 'does not, whatever the setting says');
is($ox->sql('DROP ROLE ben'), '', 'without it');
is(login($port, 'ben', 'ben-secret'), 0, 'he does');
unlike($ox->wire('DescribeConfigs 4 {resources: [{resource_type: 4, resource_name: "1", configuration_keys: null}], include_synonyms: true}')
    . $ox->sql('SHOW ALL') . slurp($ox->{diag}), qr/-secret|# secret/, 'no password is shown or written');
$ox->stop;

# For all listeners; changed while the server runs.
my %all = (%listeners, sql_authentication => 'trust', 'sasl.enabled.mechanisms' => 'PLAIN',
    'plain.sasl.jaas.config' => qq($module required user_ann="one";));
$ox = Oxbow->start(settings => \%all) or BAIL_OUT('no server');
is(login($port, 'ann', 'one'), 0, 'users of all listeners');
is($ox->sql(qq(ALTER SYSTEM SET plain_sasl_jaas_config = '$module required user_ann="two" user_ben="b";')), '', 'others');
is(login($port, 'ann', 'one'), $wrong, 'the old password is not taken');
is(login($port, @$_), 0, "the new one of $$_[0] is") for [qw(ann two)], [qw(ben b)];
like($ox->sql(qq(ALTER SYSTEM SET plain_sasl_jaas_config = '$module required user_ann="two"')),
    qr/JAAS config entry not terminated by semi-colon/, 'what cannot be read is refused');
is(login($port, 'ann', 'two'), 0, 'and changes nothing');
$ox->stop;

# Of one listener, over Kafka's protocol.
sub alter {
    my ($op, $jaas) = @_;
    my $value = defined $jaas ? '"' . $jaas =~ s/"/\\"/gr . '"' : 'null';
    my $answer = $ox->wire('IncrementalAlterConfigs 1 {resources: [{resource_type: 4, resource_name: "1", configs: '
        . qq([{name: "listener.name.sasl_plaintext.plain.sasl.jaas.config", config_operation: $op, value: $value}]}]}));
    return $answer =~ /error_code: (-?\d+), error_message: (?:"((?:[^"\\]|\\.)*)"|null)/ ? join ' ', grep { defined } $1, $2 : $answer;
}
$ox = Oxbow->start(settings => \%all) or BAIL_OUT('no server');
is(alter(0, qq($module required user_ann="own-secret";)), 0, 'users of one listener');
is(login($port, 'ann', 'one'), $wrong, 'are there instead of those of all');
is(login($port, 'ann', 'own-secret'), 0, 'at once');
like(alter(0, qq($module required user_ann="hidden-word")), qr/^4[02] .*JAAS config entry not terminated by semi-colon/,
    'what cannot be read is refused');
is(login($port, 'ann', 'own-secret'), 0, 'and changes nothing');
my $shown = $ox->wire('DescribeConfigs 4 {resources: [{resource_type: 4, resource_name: "1", configuration_keys: null}], include_synonyms: true}');
ok($shown =~ /name: "listener.name.sasl_plaintext.plain.sasl.jaas.config", value: null, read_only: true, config_source: 2, is_sensitive: true/,
    'DescribeConfigs lists it');
ok($shown !~ /own-secret/, 'without what it holds');
ok($ox->restart, 'a restart');
is(login($port, 'ann', 'own-secret'), 0, 'keeps them');
is(alter(1), 0, 'none of its own');
is(login($port, 'ann', 'one'), 0, 'those of all again');
$ox->stop;

# What keeps a server from starting.
for (['required user_ann="hidden-word"', 'JAAS config entry not terminated by semi-colon'],
    ['required user_ann=;', 'Value not specified for a key in JAAS config'],
    ['always;', 'Invalid login module control flag in JAAS config']) {
    my ($jaas, $why) = @$_;
    my $refused = `$Oxbow::BUILD/oxbow -D ${\Oxbow::tmp()}/plain-users-$$ -c 'listener.name.sasl_plaintext.plain.sasl.jaas.config=$module $jaas' 2>&1`;
    like($refused, qr/\Q$why/, $why);
    unlike($refused, qr/hidden-word/, 'without the text');
}
unlink $file;
done_testing;
