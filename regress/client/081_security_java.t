#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The Java client's logins: SCRAM, PLAIN, signed tokens, delegation tokens, mTLS;
# logging in again on the same connection; rules, users and quotas through Kafka's
# own tools.
use strict;
use warnings;
use Cwd qw(abs_path);
use MIME::Base64 qw(encode_base64url);
use Oxbow qw(slurp spew quiet);
use KafkaJars;
use Test::More;

plan skip_all => 'no kafka-tools' unless KafkaJars::classpath('kafka-tools');
plan skip_all => 'no openssl' unless Oxbow::have('openssl');
my $dir = Oxbow::tmp() . "/security-java-$$";
mkdir $dir;
$dir = abs_path($dir);


# ---- certificates and a signed token ----

quiet("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=ca -keyout $dir/ca.key -out $dir/ca.pem");
for my $name (qw(server ann)) {
    spew("$dir/ext", $name eq 'server' ? 'subjectAltName=IP:127.0.0.1' : 'extendedKeyUsage=clientAuth');
    quiet("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=Acme/CN=$name -keyout $dir/$name.key -out $dir/$name.csr");
    quiet("openssl x509 -req -in $dir/$name.csr -CA $dir/ca.pem -CAkey $dir/ca.key -CAcreateserial -days 30 -extfile $dir/ext -out $dir/$name.pem");
    quiet("openssl pkcs8 -topk8 -nocrypt -in $dir/$name.key -out $dir/$name.p8");
    spew("$dir/$name.store", slurp("$dir/$name.p8") . slurp("$dir/$name.pem"));
}
quiet("openssl genrsa -out $dir/rsa.pem 2048");
my ($modulus) = `openssl rsa -in $dir/rsa.pem -noout -modulus 2>/dev/null` =~ /=([0-9A-F]+)/;
my $n = encode_base64url(pack 'H*', $modulus);
spew("$dir/jwks.json", qq({"keys":[{"kty":"RSA","kid":"k","n":"$n","e":"AQAB"}]}));
my $data = join '.', map { encode_base64url($_) } '{"alg":"RS256","kid":"k"}',
    sprintf('{"sub":"ann","iat":%d,"exp":%d}', time, time + 3600);
spew("$dir/signed", $data);
spew("$dir/token.jwt", "$data." . encode_base64url(scalar `openssl dgst -sha256 -sign $dir/rsa.pem $dir/signed`));

# ---- the server ----

my %port = map { $_ => Oxbow::free_port() } qw(SASL SSL);
my @users = map { my $user = $_; map { ('--add-scram', "'$_=[name=$user,password=$user-secret]'") }
    qw(SCRAM-SHA-256 SCRAM-SHA-512) } qw(root ann);
quiet("$Oxbow::BUILD/ox format $dir/data @users");
my $ox = Oxbow->start(dir => "$dir/data", settings => {
    listeners => "SASL://127.0.0.1:$port{SASL},SSL://127.0.0.1:$port{SSL}",
    'listener.security.protocol.map' => 'SASL:SASL_PLAINTEXT,SSL:SSL',
    'sasl.enabled.mechanisms' => 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    'authorizer.class.name' => 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users' => 'User:root', 'ssl.keystore.location' => "$dir/server.store",
    'ssl.truststore.location' => "$dir/ca.pem", 'ssl.client.auth' => 'required',
    'ssl.principal.mapping.rules' => 'RULE:^CN=(.*?),O=Acme$/$1/',
    'connections.max.reauth.ms' => 3000, 'delegation.token.secret.key' => 'of-the-tokens',
    'sasl.oauthbearer.allow.unverified.audience' => 'true', 'sasl.oauthbearer.allow.unverified.issuer' => 'true',
    'sasl.oauthbearer.jwks.endpoint.url' => "file://$dir/jwks.json"}) or die 'no server';

sub jaas { return "sasl.jaas.config=org.apache.kafka.common.security.$_[0]Module required $_[1];" }
sub scram {
    my ($user, $password, $mechanism, $more) = @_;
    return "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=" . ($mechanism // 'SCRAM-SHA-512') . "\n"
        . jaas('scram.ScramLogin', qq(username="$user" password="$password") . ($more // '')) . "\n";
}
my %client = (
    root => scram('root', 'root-secret'),
    scram256 => scram('ann', 'ann-secret', 'SCRAM-SHA-256'),
    scram512 => scram('ann', 'ann-secret'),
    wrong => scram('ann', 'guess'),
    plain => "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n"
        . jaas('plain.PlainLogin', 'username="ann" password="ann-secret"') . "\n",
    oauth => "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\n"
        . jaas('oauthbearer.OAuthBearerLogin', '') . "\n"
        . "sasl.login.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler\n"
        . "sasl.oauthbearer.token.endpoint.url=file://$dir/token.jwt\n",
    mtls => "security.protocol=SSL\nssl.keystore.type=PEM\nssl.keystore.location=$dir/ann.store\n"
        . "ssl.truststore.type=PEM\nssl.truststore.location=$dir/ca.pem\n",
);
$ENV{JAVA_TOOL_OPTIONS} = "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://$dir/token.jwt "
    . "-Dorg.apache.kafka.sasl.oauthbearer.allowed.files=$dir/token.jwt";

sub run {
    my ($who, $class, @words) = @_;
    spew("$dir/$who.properties", $client{$who});
    my $port = $who eq 'mtls' ? $port{SSL} : $port{SASL};
    my ($status, $out) = $ox->command('', KafkaJars::java($class =~ /^kafka\./ ? 'kafka_2.13' : 'kafka-tools',
        $class =~ /^kafka\./ ? $class : "org.apache.kafka.tools.$class", '--bootstrap-server', "127.0.0.1:$port",
        '--command-config', "$dir/$who.properties", @words));
    $out =~ s/^.*(?:SLF4J|Picked up).*\n//mg;
    return $out;
}

like(run('root', 'TopicCommand', qw(--create --topic jt --partitions 2)), qr/Created topic jt/, 'a super user makes a topic');
unlike(run('scram512', 'TopicCommand', '--list'), qr/^jt$/m, 'who has no right does not see it');
like(run('root', 'AclCommand', qw(--add --allow-principal User:ann --operation Read --operation Write --topic jt)),
    qr/Adding ACLs/, 'rules are made');
like(run('root', 'AclCommand', qw(--list --topic jt)), qr/principal=User:ann, host=\*, operation=WRITE, permissionType=ALLOW/,
    'and listed');
like(run($_, 'TopicCommand', '--list'), qr/^jt$/m, "$_ sees it") for qw(scram256 scram512 plain oauth mtls);
like(run('wrong', 'TopicCommand', '--list'), qr/SaslAuthenticationException|Authentication failed/, 'a wrong password');
like(run('scram512', 'TopicCommand', qw(--create --topic other)), qr/authoriz|permission denied/i, 'ann makes no topics');

# Each connection logs in again after at most three seconds.
for my $who (qw(scram512 oauth)) {
    my $out = run($who, 'ProducerPerformance', qw(--topic jt --num-records 700 --record-size 100 --throughput 100));
    like($out, qr/700 records sent/, "$who: seven seconds of producing with logins in between");
    unlike($out, qr/Exception/, "$who: without a failure");
}

# Delegation tokens.
my $out = run('scram512', 'DelegationTokenCommand', qw(--create --max-life-time-period -1 --renewer-principal User:root));
my ($id, $hmac) = $out =~ /^(\S+)\s+(\S+)\s+User:ann/m;
ok($hmac, 'a delegation token') or diag $out;
SKIP: {
    skip 'no token', 5 unless $hmac;
    $client{token} = scram($id, $hmac, 'SCRAM-SHA-256', ' tokenauth="true"');
    like(run('token', 'TopicCommand', '--list'), qr/^jt$/m, 'logs in as its owner');
    like(run('token', 'DelegationTokenCommand', qw(--create --max-life-time-period -1)), qr/not allowed|NotAllowed|not supported/i,
        'and makes no further ones');
    like(run('root', 'DelegationTokenCommand', qw(--renew --renew-time-period 3600000 --hmac), $hmac), qr/Completed renew/, 'renewed');
    like(run('scram512', 'DelegationTokenCommand', qw(--describe --owner-principal User:ann)), qr/\Q$id\E/, 'described');
    like(run('scram512', 'DelegationTokenCommand', qw(--expire --expiry-time-period -1 --hmac), $hmac), qr/Completed expire/, 'expired');
    like(run('token', 'TopicCommand', '--list'), qr/SaslAuthenticationException|Authentication failed/, 'and no good any more');
}

# Users and quotas.
like(run('root', 'kafka.admin.ConfigCommand', qw(--alter --entity-type users --entity-name eve --add-config SCRAM-SHA-512=[password=eve-secret])),
    qr/Completed updating/, 'a user is made');
$client{eve} = scram('eve', 'eve-secret');
unlike(run('eve', 'TopicCommand', '--list'), qr/Exception/, 'and logs in');
like(run('root', 'kafka.admin.ConfigCommand', qw(--alter --entity-type users --entity-name ann --add-config producer_byte_rate=20000)),
    qr/Completed updating/, 'a quota is set');
like(run('root', 'kafka.admin.ConfigCommand', qw(--describe --entity-type users --entity-name ann)), qr/producer_byte_rate=20000/, 'and shown');
my $begun = time;
$out = run('mtls', 'ProducerPerformance', qw(--topic jt --num-records 420 --record-size 1000 --throughput -1));
like($out, qr/420 records sent/, 'a producer over its quota');
ok(time - $begun >= 4, 'takes its time') or diag time - $begun;
is($ox->stop, 0, 'the server stops in order');
done_testing;
