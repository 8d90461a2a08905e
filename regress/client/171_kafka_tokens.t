#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Delegation tokens that an Apache Kafka broker made: Oxbow on its directory, with the same
# secret, describes them alike, lets their owner log in, renews and ends them. And a clock
# that jumps: past a token's time it does not log in, before it it does again.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use KafkaJars;
use Oxbow qw(slurp spew);
use Test::More;

my $tmp = abs_path(tempdir('tokens-XXXXXX', DIR => Oxbow::tmp(), CLEANUP => 1));
my @users = map { ('--add-scram', "SCRAM-SHA-256=[name=$_,password=$_-secret]") } qw(admin alice);
my $kafka = KafkaJars::start_broker(protocol => 'SASL_PLAINTEXT', data => "$tmp/data", format => \@users,
    settings => $KafkaJars::LOGINS . "delegation.token.secret.key=of-the-tokens\n")
    or plan skip_all => 'no Kafka broker to be had';

sub ask {
    my ($port, @lines) = @_;
    my $plain = 'SaslAuthenticate 2 {auth_bytes: "\\x00alice\\x00alice-secret"}';
    spew("$tmp/script", join "\n", 'hide throttle_time_ms session_lifetime_ms', 'SaslHandshake 1 {mechanism: "PLAIN"}', $plain, @lines, '');
    return scalar `timeout 120 $Oxbow::BUILD/regress/wire/wire 127.0.0.1 $port <$tmp/script 2>&1`;
}
sub described { my ($line) = $_[0] =~ /^(DescribeDelegationToken.*)/m; return $line // $_[0] }

my $describe = 'DescribeDelegationToken 3 {owners: null}';
my $made = ask($kafka->{port}, map({ qq(CreateDelegationToken 3 {renewers: [$_], max_lifetime_ms: 3600000}) }
    '{principal_type: "User", principal_name: "admin"}', ''), 'wait 1500', $describe);
my $theirs = described($made);
my @ids = $theirs =~ /token_id: "([^"]+)"/g;
is(@ids, 2, 'a Kafka broker makes two tokens') or diag $made;
KafkaJars::stop_broker($kafka);

my %settings = (listeners => 'SASL_PLAINTEXT://127.0.0.1:0', 'sasl.enabled.mechanisms' => 'PLAIN,SCRAM-SHA-256',
    'delegation.token.secret.key' => 'of-the-tokens');
my $ox = Oxbow->start(dir => "$tmp/data", settings => {%settings}) or BAIL_OUT('no server');
is(described(ask($ox->{kafka_port}, $describe)), $theirs, 'Oxbow on its directory describes them with the same times and keys');

# The HMAC as the tools take it, in base64, from what the tool prints of the token.
sub run {
    my ($properties, $class, @words) = @_;
    spew("$tmp/client.properties", "security.protocol=SASL_PLAINTEXT\n$properties");
    my ($status, $out) = $ox->command('', KafkaJars::java('kafka-tools', "org.apache.kafka.tools.$class",
        '--bootstrap-server', $ox->kafka, '--command-config', "$tmp/client.properties", @words));
    return $out;
}
my $module = 'org.apache.kafka.common.security';
my $alice = "sasl.mechanism=PLAIN\nsasl.jaas.config=$module.plain.PlainLoginModule required username=\"alice\" password=\"alice-secret\";\n";
my $listed = run($alice, 'DelegationTokenCommand', '--describe', '--owner-principal', 'User:alice');
my ($hmac) = $listed =~ /^\Q$ids[0]\E\s+(\S+)/m;
ok($hmac, 'the tool lists them') or diag $listed;
sub with_token {
    return run("sasl.mechanism=SCRAM-SHA-256\nsasl.jaas.config=$module.scram.ScramLoginModule required "
        . "username=\"$ids[0]\" password=\"$hmac\" tokenauth=\"true\";\n", 'TopicCommand', '--list');
}
my $refused = qr/SaslAuthenticationException|Authentication failed/;
unlike(with_token(), $refused, 'and their owner logs in with one');
is($ox->stop, 0, 'the server stops in order');

for my $jump ([2 * 3600, 'two hours later it is over'], [0, 'when the clock is right again it is not']) {
    my %clock = $jump->[0] ? (Oxbow::shim('past_clock'), OX_CLOCK_AT => time + $jump->[0]) : ();
    $ox = Oxbow->start(dir => "$tmp/data", settings => {%settings}, env => \%clock) or BAIL_OUT('no server');
    my $out = with_token();
    $jump->[0] ? like($out, $refused, $jump->[1]) : unlike($out, $refused, $jump->[1]);
    is($ox->stop, 0, 'the server stops in order') if $jump->[0];
}
(my $admin = $alice) =~ s/alice/admin/g;
like(run($admin, 'DelegationTokenCommand', qw(--renew --renew-time-period 1800000 --hmac), $hmac), qr/Completed renew/, 'its renewer renews it');
like(run($alice, 'DelegationTokenCommand', qw(--renew --renew-time-period 1800000 --hmac), $hmac), qr/Completed renew/, 'renewed');
like(run($alice, 'DelegationTokenCommand', qw(--expire --expiry-time-period -1 --hmac), $hmac), qr/Completed expire/, 'ended');
like(with_token(), $refused, 'and no good any more');
is($ox->stop, 0, 'the server stops in order');
done_testing;
