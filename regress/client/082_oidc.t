#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# librdkafka's own OIDC (sasl.oauthbearer.method=oidc): it asks a token endpoint (a few
# lines here) with client id and secret and logs in with what it gets; tokens that end
# while it runs are asked for anew.
use strict;
use warnings;
use IO::Socket::INET;
use JSON::PP;
use Matrix;
use MIME::Base64 qw(encode_base64url decode_base64);
use Oxbow qw(slurp spew quiet);
use Test::More;

my ($python, @words) = Matrix::pip_python('oidc.py', 'confluent-kafka-2.16.1', 'confluent-kafka==2.16.1');
plan skip_all => "no confluent-kafka: @words" unless $python;

my $dir = Oxbow::tmp() . "/oidc-$$";
mkdir $dir;
my $json = JSON::PP->new->canonical;
quiet("openssl genrsa -out $dir/key.pem 2048");
my ($modulus) = `openssl rsa -in $dir/key.pem -noout -modulus 2>/dev/null` =~ /=([0-9A-F]+)/;
spew("$dir/jwks.json", $json->encode({keys => [{kty => 'RSA', kid => 'k', use => 'sig', e => 'AQAB',
    n => encode_base64url(pack 'H*', $modulus)}]}));

sub token {
    my ($audience, $seconds) = @_;
    my $now = time;
    my $data = join '.', map { encode_base64url($json->encode($_)) } {alg => 'RS256', typ => 'JWT', kid => 'k'},
        {sub => 'robot', iss => 'https://issuer.example', aud => $audience, iat => $now, exp => $now + $seconds};
    spew("$dir/signed", $data);
    return "$data." . encode_base64url(scalar `openssl dgst -sha256 -sign $dir/key.pem $dir/signed`);
}

# What the token endpoint answers to Authorization; the client id chooses the token.
my %tokens = (robot => ['oxbow', 300], brief => ['oxbow', 8], stranger => ['elsewhere', 300]);
sub answer {
    my ($head, $body) = @_;
    my ($basic) = $head =~ /^Authorization: Basic (\S+)/mi;
    my ($id, $secret) = split /:/, decode_base64($basic // ''), 2;
    my $kind = $tokens{$id // ''};
    open my $log, '>>', "$dir/asked";
    print $log "$id $body\n";
    close $log;
    return ('401 Unauthorized', {error => 'invalid_client'}) if !$kind || $secret ne "$id-secret";
    return ('200 OK', {access_token => token(@$kind), token_type => 'Bearer', expires_in => $kind->[1]});
}

sub serve {
    my ($listen) = @_;
    $SIG{ALRM} = sub { exit };
    alarm 300;
    while (my $client = $listen->accept) {
        my ($head, $body) = ('', '');
        while (my $line = <$client>) { $head .= $line; last if $line eq "\r\n" }
        my ($len) = $head =~ /^Content-Length: (\d+)/mi;
        read $client, $body, $len if $len;
        my ($status, $value) = answer($head, $body);
        my $text = $json->encode($value);
        print $client "HTTP/1.1 $status\r\nContent-Type: application/json\r\nContent-Length: "
            . length($text) . "\r\nConnection: close\r\n\r\n$text";
        close $client;
    }
}

my $listen = IO::Socket::INET->new(Listen => 10, LocalAddr => '127.0.0.1', Proto => 'tcp') or die 'no socket';
my $endpoint = 'http://127.0.0.1:' . $listen->sockport . '/token';
my $child = fork // die 'fork';
if ($child == 0) {
    serve($listen);
    require POSIX;
    POSIX::_exit(0);
}
close $listen;

my $ox = Oxbow->start(settings => {listeners => 'SASL_PLAINTEXT://127.0.0.1:0',
    'sasl.enabled.mechanisms' => 'OAUTHBEARER', 'sasl.oauthbearer.jwks.endpoint.url' => "file://$dir/jwks.json",
    'sasl.oauthbearer.expected.audience' => 'oxbow', 'sasl.oauthbearer.expected.issuer' => 'https://issuer.example',
    'authorizer.class.name' => 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users' => 'User:robot;User:brief'}) or die 'no server';

sub client {
    my ($id, $secret, $seconds) = @_;
    my ($status, $out) = $ox->command('', qw(timeout 120), $python, @words, $ox->kafka, $endpoint, $id, $secret, $seconds);
    return join '', grep { /^(?:wrote|read) / } split /^/, $out; # without what the library tells
}
my $wrote = "wrote one yes\nwrote two yes\n";
my $out = client('robot', 'robot-secret', 0);
is($out, "${wrote}read one\nread two\n", 'a client with a token of the endpoint writes and reads');
like(slurp("$dir/asked"), qr/^robot .*grant_type=client_credentials.*scope=streams/m, 'which it asked for');
is(client('brief', 'brief-secret', 12), "${wrote}wrote three yes\nread one\nread two\nread three\n",
    'one whose token ends goes on with the next, on the same connection');
my $times = () = slurp("$dir/asked") =~ /^brief /mg;
cmp_ok($times, '>', 2, 'which it asked for anew');
unlike(slurp($ox->{diag}), qr/login failed/, 'and nothing was refused');
unlike(client('robot', 'guessed', 0), qr/yes/, 'a client whom the endpoint gives no token does not write');
unlike(client('stranger', 'stranger-secret', 0), qr/yes/, 'nor one with a token for another audience');
like(slurp($ox->{diag}), qr/login failed .*mechanism=OAUTHBEARER/, 'which the log tells');
kill 'TERM', $child;
waitpid $child, 0;
is($ox->stop, 0, 'the server stops in order');
done_testing;
