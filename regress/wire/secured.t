#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# As wire.t, with a listener that asks for logins and access rules that are
# enforced: regress/wire/secured/*.wire.
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;
use Wire;

my $here = "$Oxbow::TOP/regress/wire/secured";
my $dir = Oxbow::tmp() . "/secured-$$";
my @users = map { ('--add-scram', "SCRAM-SHA-256=[name=$_,password=$_-secret]") } qw(admin alice);
is(system("$Oxbow::BUILD/ox", 'format', $dir, @users), 0, 'users before the first start');
sub start {
    return Oxbow->start(dir => $dir, settings => {
        listeners => 'SASL_PLAINTEXT://127.0.0.1:0', 'sasl.enabled.mechanisms' => 'PLAIN,SCRAM-SHA-256',
        'super.users' => 'User:admin;User:ANONYMOUS', 'connections.max.reauth.ms' => 60000, 'delegation.token.secret.key' => 'of-the-tokens',
        'authorizer.class.name' => 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'});
}
sub kafka {
    return KafkaJars::start_broker(protocol => 'SASL_PLAINTEXT', format => \@users, settings => $KafkaJars::LOGINS . <<'END');
super.users=User:admin;User:ANONYMOUS
connections.max.reauth.ms=60000
delegation.token.secret.key=of-the-tokens
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
END
}
Wire::compare($here, \&start, \&kafka);
done_testing;
