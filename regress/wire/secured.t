#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# As wire.t, with a listener that asks for logins and access rules that are
# enforced: regress/wire/secured/*.wire.
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;

my $here = "$Oxbow::TOP/regress/wire/secured";
my @scripts = map { m{([^/]+)\.wire$} } sort glob "$here/*.wire";

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/;
    return scalar <$in>;
}

sub ask {
    my ($port, $script) = @_;
    return scalar `timeout 120 $Oxbow::BUILD/regress/wire/wire 127.0.0.1 $port <$here/$script.wire 2>&1`;
}

sub same {
    my ($got, $want, $sentence) = @_;
    my @got = split /\n/, $got;
    my @want = split /\n/, $want;
    my @differ = grep { ($got[$_] // '') ne ($want[$_] // '') } 0 .. (@got > @want ? $#got : $#want);
    ok(!@differ, $sentence) or diag join "\n", map { ($got[$_] // 'nothing') . "\nexpected " . ($want[$_] // 'nothing') } @differ;
}

my $dir = Oxbow::tmp() . "/secured-$$";
my @users = map { ('--add-scram', "SCRAM-SHA-256=[name=$_,password=$_-secret]") } qw(admin alice);
is(system("$Oxbow::BUILD/ox", 'format', $dir, @users), 0, 'users before the first start');
my $ox = Oxbow->start(dir => $dir, settings => {
    listeners => 'SASL_PLAINTEXT://127.0.0.1:0', 'sasl.enabled.mechanisms' => 'PLAIN,SCRAM-SHA-256',
    'super.users' => 'User:admin;User:ANONYMOUS', 'connections.max.reauth.ms' => 60000, 'delegation.token.secret.key' => 'of-the-tokens',
    'authorizer.class.name' => 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'})
    or die 'no server';
my %answers = map { $_ => ask($ox->{kafka_port}, $_) } @scripts;
same($answers{$_}, slurp("$here/expected/$_.out"), "$_: as Kafka answered") for @scripts;
is($ox->stop, 0, 'the server stops in order');

SKIP: {
    skip 'no Kafka broker asked for', scalar @scripts unless $ENV{OX_KAFKA_ORACLE};
    my $kafka = KafkaJars::start_broker(protocol => 'SASL_PLAINTEXT', format => \@users, settings => <<'END')
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_admin="admin-secret" user_alice="alice-secret";
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
security.inter.broker.protocol=SASL_PLAINTEXT
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="admin-secret";
super.users=User:admin;User:ANONYMOUS
connections.max.reauth.ms=60000
delegation.token.secret.key=of-the-tokens
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
END
        or skip 'no Kafka broker to be had', scalar @scripts;
    for my $script (@scripts) {
        my $theirs = ask($kafka->{port}, $script);
        same($answers{$script}, $theirs, "$script: as Kafka answers now");
        if ($ENV{OX_WRITE_EXPECTED}) {
            mkdir "$here/expected";
            open my $out, '>', "$here/expected/$script.out" or die $!;
            print $out $theirs;
        }
    }
    KafkaJars::stop_broker($kafka);
}
done_testing;
