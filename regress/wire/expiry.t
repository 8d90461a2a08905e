#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# As secured.t, with sessions that end after a second and a half, and tokens that are
# looked at every two:
# regress/wire/expiry/*.wire.
use strict;
use warnings;
use Oxbow;
use KafkaJars;
use Test::More;
use Wire;

my $here = "$Oxbow::TOP/regress/wire/expiry";
my $dir = Oxbow::tmp() . "/expiry-$$";
my @users = map { ('--add-scram', "SCRAM-SHA-256=[name=$_,password=$_-secret]") } qw(admin alice);
is(system("$Oxbow::BUILD/ox", 'format', $dir, @users), 0, 'users before the first start');
sub start {
    return Oxbow->start(dir => $dir, settings => {listeners => 'SASL_PLAINTEXT://127.0.0.1:0',
        'sasl.enabled.mechanisms' => 'PLAIN,SCRAM-SHA-256', 'connections.max.reauth.ms' => 1500,
        'delegation.token.secret.key' => 'of-the-tokens', 'delegation.token.expiry.check.interval.ms' => 2000});
}
sub kafka {
    return KafkaJars::start_broker(protocol => 'SASL_PLAINTEXT', format => \@users, settings => $KafkaJars::LOGINS . <<'END');
connections.max.reauth.ms=1500
delegation.token.secret.key=of-the-tokens
delegation.token.expiry.check.interval.ms=2000
END
}
Wire::compare($here, \&start, \&kafka);
done_testing;
