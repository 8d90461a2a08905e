#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Logins of every kind at both doors: TLS with certificates of every right and
# wrong kind, SASL, signed tokens, SCRAM with channel binding; what a user may do
# in SQL; certificates read again; failed logins delayed, counted, not told.
use strict;
use warnings;
use Clients;
use Cwd qw(abs_path);
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64url encode_base64);
use Oxbow qw(slurp spew quiet);
use KafkaJars;
use Test::More;
use Time::HiRes qw(time sleep);

plan skip_all => 'no openssl' unless Oxbow::have('openssl');
plan skip_all => 'no Python' unless -x '/usr/bin/python3';
my $dir = Oxbow::tmp() . "/security-$$";
mkdir $dir;
$dir = abs_path($dir);


# ---- certificates ----

sub authority {
    my ($name) = @_;
    quiet("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=$name' "
        . "-keyout $dir/$name.key -out $dir/$name.pem");
}

# certificate(name, subject, ca, extensions, further words)
my $serial = 1000;
sub certificate {
    my ($name, $subject, $ca, $extensions, $dates) = @_;
    $serial++;
    spew("$dir/$name.ext", $extensions // '');
    quiet("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '$subject' "
        . "-keyout $dir/$name.key -out $dir/$name.csr");
    spew("$dir/ca.conf", "[ca]\ndefault_ca=c\n[c]\ndatabase=$dir/index\nserial=$dir/serial\nnew_certs_dir=$dir\n"
        . "default_md=sha256\npolicy=p\nunique_subject=no\nrand_serial=no\n[p]\ncommonName=optional\n"
        . "organizationName=optional\norganizationalUnitName=optional\ncountryName=optional\n");
    spew("$dir/index", '');
    spew("$dir/serial", sprintf("%06x\n", $serial));
    $dates //= '-days 365';
    quiet("openssl ca -batch -notext -config $dir/ca.conf -cert $dir/$ca.pem -keyfile $dir/$ca.key $dates "
        . "-preserveDN -extfile $dir/$name.ext -in $dir/$name.csr -out $dir/$name.pem");
    spew("$dir/$name.store", slurp("$dir/$name.key") . slurp("$dir/$name.pem"));
}

authority($_) for qw(ca other);
my $server = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n";
my $client = "extendedKeyUsage=clientAuth\n";
certificate('server', '/CN=server', 'ca', $server);
certificate('ann', '/C=DE/O=Acme/OU=dev/CN=Ann', 'ca', $client);
certificate('stranger', '/CN=Ann', 'other', $client);
certificate('expired', '/O=Acme/CN=Ann', 'ca', $client, '-startdate 20200101000000Z -enddate 20210101000000Z');
certificate('future', '/O=Acme/CN=Ann', 'ca', $client, '-startdate 20900101000000Z -enddate 20910101000000Z');
certificate('usage', '/O=Acme/CN=Ann', 'ca', "extendedKeyUsage=serverAuth\n");
certificate('nameless', '/O=Nobody', 'ca', $client);
quiet("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=Ann' "
    . "-keyout $dir/self.key -out $dir/self.pem");
certificate('middle', '/CN=middle', 'ca', "basicConstraints=CA:FALSE\n");
certificate('under', '/O=Acme/CN=Ann', 'middle', $client);
spew("$dir/under.pem", slurp("$dir/under.pem") . slurp("$dir/middle.pem"));
certificate('sly', '/O=x,CN=root/CN=sly', 'ca', $client);
certificate('long', join('', map { "/OU=$_" . 'x' x 60 } 1 .. 5) . '/CN=long', 'ca', $client);
certificate('inner', '/CN=inner', 'ca', "basicConstraints=critical,CA:TRUE\n");
certificate('below', '/O=Acme/CN=Ann', 'inner', $client);

# ---- signed tokens ----

sub jwk {
    my ($name, $type) = @_;
    if ($type eq 'RSA') {
        quiet("openssl genrsa -out $dir/$name.pem 2048");
        my ($hex) = `openssl rsa -in $dir/$name.pem -noout -modulus 2>/dev/null` =~ /=([0-9A-F]+)/;
        return {kty => 'RSA', kid => $name, n => encode_base64url(pack 'H*', $hex), e => 'AQAB', use => 'sig'};
    }
    quiet("openssl ecparam -name prime256v1 -genkey -noout -out $dir/$name.pem");
    my $text = `openssl ec -in $dir/$name.pem -noout -text 2>/dev/null`;
    my ($hex) = $text =~ /pub:\s+((?:[0-9a-f:\s])+)ASN1/;
    $hex =~ s/[^0-9a-f]//g;
    return {kty => 'EC', crv => 'P-256', kid => $name, x => encode_base64url(pack 'H*', substr $hex, 2, 64),
        y => encode_base64url(pack 'H*', substr $hex, 66, 64)};
}

my $json = JSON::PP->new->canonical;
my %keys = map { $_->{kid} => $_ } jwk('rsa1', 'RSA'), jwk('ec1', 'EC'), jwk('rsa2', 'RSA');
sub write_keys { spew("$dir/jwks.json", $json->encode({keys => [@keys{@_}]})) }

sub token {
    my ($key, $claims, %header) = @_;
    my $alg = $key =~ /^ec/ ? 'ES256' : 'RS256';
    my $head = {alg => $alg, typ => 'JWT', kid => $key, %header};
    my $body = {sub => 'ann', iss => 'https://issuer.example', aud => ['oxbow', 'x'], iat => int time,
        exp => int(time) + 300, %$claims};
    delete $body->{$_} for grep { !defined $body->{$_} } keys %$body;
    my $data = join '.', map { encode_base64url($json->encode($_)) } $head, $body;
    spew("$dir/signed", $data);
    my $signature = `openssl dgst -sha256 -sign $dir/$key.pem $dir/signed`;
    if ($alg eq 'ES256') { # ASN.1 to the two numbers
        my ($r, $s) = map { substr("\0" x 32 . $_, -32) } unpack 'x2 x C/a x C/a', $signature;
        $signature = $r . $s;
    }
    return "$data." . encode_base64url($signature);
}

# ---- the server ----

my %port = map { $_ => Oxbow::free_port() } qw(SASL_PLAINTEXT SSL SASL_SSL MAYBE BOTH);
write_keys(qw(rsa1 ec1));
my @users = map { my $user = $_; map { ('--add-scram', "'$_=[name=$user,password=$user-secret]'") }
    qw(SCRAM-SHA-256 SCRAM-SHA-512) } qw(root ann ben);
is(system("$Oxbow::BUILD/ox format $dir/data @users >/dev/null"), 0, 'users before the first start');
my $mapping = 'RULE:^.*CN=([^,]+),.*O=Acme.*$/$1/L';
my $ox = Oxbow->start(dir => "$dir/data", settings => {
    listeners => join(',', "SASL_PLAINTEXT://127.0.0.1:$port{SASL_PLAINTEXT}", "SSL://127.0.0.1:$port{SSL}",
        "SASL_SSL://127.0.0.1:$port{SASL_SSL}", "MAYBE://127.0.0.1:$port{MAYBE}", "BOTH://127.0.0.1:$port{BOTH}"),
    'advertised.listeners' => "SSL://localhost:$port{SSL},MAYBE://away.example:1234",
    'listener.security.protocol.map' => 'SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,MAYBE:SSL,BOTH:SASL_SSL',
    'sasl.enabled.mechanisms' => 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    'listener.name.sasl_ssl.sasl.enabled.mechanisms' => 'SCRAM-SHA-512,PLAIN',
    'authorizer.class.name' => 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users' => 'User:root', 'ssl.keystore.location' => "$dir/server.store",
    'ssl.truststore.location' => "$dir/ca.pem", 'ssl.client.auth' => 'required',
    'listener.name.maybe.ssl.client.auth' => 'requested', 'listener.name.both.ssl.client.auth' => 'required',
    'ssl.principal.mapping.rules' => $mapping, 'listener.name.maybe.ssl.principal.mapping.rules' => 'DEFAULT',
    'sasl.oauthbearer.jwks.endpoint.url' => "file://$dir/jwks.json",
    'sasl.oauthbearer.jwks.endpoint.refresh.ms' => 1000,
    'sasl.oauthbearer.expected.audience' => 'oxbow,events', 'sasl.oauthbearer.expected.issuer' => 'https://issuer.example'})
    or die 'no server';

sub tls {
    my ($to, @words) = @_;
    my $out = `/usr/bin/python3 $Oxbow::TOP/regress/client/080_tls.py 127.0.0.1 $to $dir/ca.pem @words 2>&1`;
    chomp $out;
    return $out;
}
sub shows { my ($name) = @_; return ("cert=$dir/$name.pem", "key=$dir/$name.key") }

sub wire {
    my ($script) = @_;
    spew("$dir/script", $script);
    return `timeout 60 $Oxbow::BUILD/regress/wire/wire 127.0.0.1 $port{SASL_PLAINTEXT} <$dir/script 2>&1`;
}

# psql as somebody; (status, output)
sub psql {
    my ($conninfo, $sql, %env) = @_;
    local %ENV = (%ENV, PGCONNECT_TIMEOUT => 10, %env);
    delete @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)};
    spew("$dir/sql", $sql);
    my $out = `psql -X -A -t -q -v ON_ERROR_STOP=1 -v VERBOSITY=verbose 'host=127.0.0.1 port=$ox->{sql_port} dbname=oxbow $conninfo' -f $dir/sql 2>&1`;
    chomp $out;
    return ($? >> 8, $out);
}

# ---- TLS ----

like(tls($port{SSL}, shows('ann')), qr/^served TLSv1.3/, 'TLS 1.3 with a certificate');
like(tls($port{SSL}, shows('ann'), 'max=1.2'), qr/^served TLSv1.2/, 'TLS 1.2');
like(tls($port{SSL}, shows('ann'), 'max=1.1', 'min=1.0', 'ciphers=ALL:@SECLEVEL=0'), qr/^refused/, 'not TLS 1.1');
like(tls($port{SSL}), qr/^refused/, 'not without a certificate');
like(tls($port{SASL_SSL}), qr/^served/, 'a listener whose clients log in asks for none');
like(tls($port{BOTH}), qr/^refused/, 'but where it says so itself');
like(tls($port{BOTH}, shows('stranger')), qr/^refused/, 'and not for any');
like(tls($port{BOTH}, shows('ann')), qr/^served/, 'there a certificate comes before the login');
like(tls($port{SSL}, shows($_->[0])), qr/^refused/, "not with $_->[1]")
    for ['stranger', 'one of another authority'], ['expired', 'an expired one'], ['future', 'one of the future'],
        ['usage', 'one for servers'], ['self', 'a self-signed one'], ['under', 'one signed by no authority'],
        ['nameless', 'one that no rule names'];
like(tls($port{MAYBE}), qr/^served/, 'where it is only requested, none is needed');
like(tls($port{MAYBE}, shows('stranger')), qr/^refused/, 'but a wrong one is not taken for none');
like(tls($port{SASL_PLAINTEXT}), qr/^refused/, 'a hello in the wrong place');
{
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port{SSL}) or die;
    print $socket pack 'NnnNn', 10, 18, 0, 7, -1 & 0xffff;
    $socket->flush;
    my $got = sysread $socket, my $bytes, 100;
    ok(!$got || $bytes =~ /^\x15\x03/, 'a request in clear gets an alert or the end');
    $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port{SSL}) or die;
    print $socket "\x16\x03\x01\x00\x05\x01\x00\x00\xff\xff" . "x" x 500;
    $socket->flush;
    $got = sysread $socket, $bytes, 100;
    ok(!$got || $bytes =~ /^\x15\x03/, 'a broken hello too');
}
ok($ox->alive, 'the server is alive');

# ---- who is who ----

SKIP: {
    skip 'no kcat', 8 unless Oxbow::have('kcat');
    my $kcat = sub {
        my ($listener, @words) = @_;
        my $out = `timeout 20 kcat -L -m 8 -b 127.0.0.1:$port{$listener} -X ssl.ca.location=$dir/ca.pem @words 2>&1`;
        return $out;
    };
    my @cert = ('-X security.protocol=ssl', "-X ssl.certificate.location=$dir/ann.pem", "-X ssl.key.location=$dir/ann.key");
    like($kcat->('SSL', @cert), qr/broker 1 at localhost:$port{SSL}/, 'mTLS; the listener is advertised by its own name');
    like($kcat->('MAYBE', '-X security.protocol=ssl'), qr/broker 1 at away.example:1234/, 'another one elsewhere');
    for my $mechanism (qw(PLAIN SCRAM-SHA-256 SCRAM-SHA-512)) {
        my @login = ("-X sasl.mechanism=$mechanism", '-X sasl.username=ann', '-X sasl.password=ann-secret');
        like($kcat->('SASL_PLAINTEXT', '-X security.protocol=sasl_plaintext', @login),
            qr/broker 1 at 127.0.0.1:$port{SASL_PLAINTEXT}/, "$mechanism in clear");
        my $over = $kcat->('SASL_SSL', '-X security.protocol=sasl_ssl', @login);
        $mechanism eq 'SCRAM-SHA-256' ? unlike($over, qr/broker 1/, 'a listener has mechanisms of its own')
            : like($over, qr/broker 1 at 127.0.0.1:$port{SASL_SSL}/, "$mechanism over TLS");
    }
}

# ---- signed tokens ----

sub bearer {
    my ($token, $words) = @_;
    $words //= '';
    my $out = wire(qq(SaslHandshake 1 {mechanism: "OAUTHBEARER"}\n)
        . qq(SaslAuthenticate 2 {auth_bytes: "n,$words,\\x01auth=Bearer $token\\x01\\x01"}\n));
    return $out =~ /^SaslAuthenticate 2: \{error_code: 0, error_message: "", auth_bytes: "", session_lifetime_ms: (\d+)/m ? $1 : -1;
}

for (1 .. 50) { # the keys are read by a worker
    last if bearer(token('rsa1', {})) > 0;
    sleep 0.2;
}
my $lifetime = bearer(token('rsa1', {}));
ok($lifetime > 250000 && $lifetime <= 300000, 'RS256; the session ends with the token') or diag $lifetime;
ok(bearer(token('ec1', {})) > 0, 'ES256');
ok(bearer(token('rsa1', {aud => $_})) > 0, "a single audience, $_") for 'oxbow', 'events';
ok(bearer(token('rsa1', {}), 'a=ann') > 0, 'an authorization id that agrees');
is(bearer(token('rsa1', {}), 'a=root'), -1, 'not one that does not');
is(bearer(token('rsa1', $_->[0])), -1, "refused: $_->[1]")
    for [{exp => int(time) - 100}, 'expired'], [{exp => undef}, 'without expiry'], [{aud => 'other'}, 'another audience'],
        [{aud => 'oxbow,events'}, 'the list of audiences taken for one'], [{aud => ''}, 'an empty audience'],
        [{aud => undef}, 'no audience'], [{iss => 'https://evil.example'}, 'another issuer'], [{sub => undef}, 'no subject'],
        [{sub => ''}, 'an empty subject'], [{nbf => int(time) + 1000}, 'not yet valid'], [{exp => 'soon'}, 'an expiry in words'];
is(bearer(token('rsa2', {})), -1, 'refused: an unknown key');
is(bearer(token('rsa1', {}, kid => 'ec1')), -1, 'refused: a key of another kind');
is(bearer(token('rsa1', {}, alg => 'none')), -1, 'refused: algorithm none');
is(bearer(token('rsa1', {}, alg => 'HS256')), -1, 'refused: HMAC with a public key');
my $good = token('rsa1', {});
is(bearer(substr($good, 0, -8) . 'AAAAAAAA'), -1, 'refused: a signature that is not its own');
(my $changed = $good) =~ s/\.([^.]+)\./'.' . encode_base64url($json->encode({sub => 'root', exp => int(time) + 100})) . '.'/e;
is(bearer($changed), -1, 'refused: other claims under its signature');
is(bearer((split /\./, $good)[0] . '.' . (split /\./, $good)[1] . '.'), -1, 'refused: no signature');
is(bearer($_), -1, 'refused: garbage') for '', '..', 'a.b.c', 'x' x 5000;
write_keys(qw(rsa2));
for (1 .. 100) {
    last if bearer(token('rsa2', {})) > 0;
    sleep 0.2;
}
ok(bearer(token('rsa2', {})) > 0, 'new keys are read from the file');
is(bearer(token('rsa1', {})), -1, 'and the old ones hold no more');

# The same from a URL.
my $http = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => 0) or die;
my $child = fork // die;
if ($child == 0) {
    while (my $peer = $http->accept) {
        sysread $peer, my $request, 4096;
        my $body = $json->encode({keys => [$keys{ec1}]});
        print $peer "HTTP/1.0 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
        close $peer;
    }
    POSIX::_exit(0);
}
my $url = 'http://127.0.0.1:' . $http->sockport . '/keys';
my $root = 'user=root password=root-secret sslmode=verify-ca sslrootcert=' . "$dir/ca.pem";
SKIP: {
    skip 'no psql', 1 unless Oxbow::have('psql');
    my ($status, $out) = psql($root, "ALTER SYSTEM SET sasl_oauthbearer_jwks_endpoint_url = '$url';");
    is($status, 0, 'the place of the keys changes while running') or diag $out;
    for (1 .. 100) {
        last if bearer(token('ec1', {})) > 0;
        sleep 0.2;
    }
    ok(bearer(token('ec1', {})) > 0, 'keys from a URL');

    # Whose tokens they are.
    sub set { my ($status, $out) = psql($root, "ALTER SYSTEM SET sasl_oauthbearer_$_[0] = '$_[1]';"); return $status ? $out : '' }
    my $others = token('ec1', {aud => 'others', iss => 'https://evil.example'});
    is(set('expected_audience', ''), '', 'no audience is expected');
    ok(bearer(token('ec1', {})) <= 0, 'then no token is taken');
    is(set('allow_unverified_audience', 'true'), '', 'but where any audience will do');
    ok(bearer(token('ec1', {aud => 'others'})) > 0, 'all are');
    ok(bearer($others) <= 0, 'from the issuer');
    is(set('expected_issuer', ''), '', 'no issuer is expected');
    ok(bearer(token('ec1', {})) <= 0, 'then no token is taken');
    is(set('allow_unverified_issuer', 'true'), '', 'but where any issuer will do');
    ok(bearer($others) > 0, 'those of all are');

    # Keys that cannot be fetched are asked for again.
    kill 'KILL', $child;
    waitpid $child, 0;
    my $port = Oxbow::free_port();
    is(set('jwks_endpoint_url', "http://127.0.0.1:$port/keys"), '', 'nobody is there');
    bearer(token('ec1', {}));
    my $late = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1) or die;
    my $asked = IO::Select->new($late)->can_read(60);
    ok($asked, 'who comes later is asked without a login');
}
kill 'KILL', $child;
waitpid $child, 0;

# ---- the PostgreSQL door ----

SKIP: {
    skip 'no psql', 1 unless Oxbow::have('psql');
    my $ca = "sslrootcert=$dir/ca.pem";
    my $who = 'SELECT current_user';
    is_deeply([psql("user=ann password=ann-secret sslmode=verify-full $ca channel_binding=require", $who)], [0, 'ann'],
        'SCRAM bound to the channel');
    is_deeply([psql("user=ann password=ann-secret sslmode=disable", $who)], [0, 'ann'], 'SCRAM in clear');
    like((psql("user=ann password=ann-secret sslmode=disable channel_binding=require", $who))[1],
        qr/channel binding/, 'a binding needs a channel');
    like((psql("user=ann password=wrong sslmode=require", $who))[1], qr/password authentication failed for user "ann"/,
        'a wrong password');
    like((psql("user=nobody password=wrong sslmode=require", $who))[1],
        qr/password authentication failed for user "nobody"/, 'nobody gets the same words');
    is_deeply([psql("user=ann sslmode=verify-full $ca sslcert=$dir/ann.pem sslkey=$dir/ann.key", $who)], [0, 'ann'],
        'a certificate that a rule names');
    like((psql("user=root sslmode=verify-full $ca sslcert=$dir/ann.pem sslkey=$dir/ann.key", $who))[1],
        qr/password|authentication/, 'is nobody else');
    like((psql("user=Ann sslmode=verify-ca $ca sslcert=$dir/stranger.pem sslkey=$dir/stranger.key", $who))[1],
        qr/certificate|alert|SSL/, 'a certificate of another authority');
    my $sly = "sslmode=verify-full $ca sslcert=$dir/sly.pem sslkey=$dir/sly.key";
    is_deeply([psql("user=sly $sly", $who)], [0, 'sly'], 'a certificate by its common name');
    is((psql("user=root $sly", $who))[0], 2, 'which is not what another part of its subject says');

    # A name too long for a principal is nobody's: cut, it would be somebody else's.
    my ($most, $more) = ('m' x 250, 'm' x 251);
    is((psql($root, "CREATE ROLE \"$_\" LOGIN PASSWORD 'secret';"))[0], 0, 'a role with a name of ' . length) for $most, $more;
    is((psql("user=$most password=secret sslmode=require", $who))[0], 0, 'logs in');
    is((psql("user=$more password=secret sslmode=require", $who))[0], 2, 'one byte more does not');
    like(slurp($ox->{diag}), qr/login failed .*mechanism=SCRAM-SHA-256 user="?m{251}/, 'which is written down');
    like(tls($port{MAYBE}, shows('long')), qr/^refused/, 'nor a certificate with such a subject');

    # What a user may do: the same as at the other door.
    is((psql($root, "CREATE TOPIC open; CREATE TOPIC shut; INSERT INTO open (_value) VALUES ('o'); INSERT INTO shut (_value) VALUES ('s');"))[0], 0, 'the super user may everything');
    my $ann = "user=ann password=ann-secret sslmode=require";
    my $denied = sub { my ($sql, $sentence) = @_; my ($status, $out) = psql($ann, $sql);
        ok($status != 0 && $out =~ /42501|29000|permission denied|not authorized/i, "ann: $sentence is denied") or diag "$status $out" };
    my $allowed = sub { my ($sql, $want, $sentence) = @_; my ($status, $out) = psql($ann, $sql);
        ok($status == 0 && $out eq $want, "ann: $sentence") or diag "$status $out" };
    $denied->('SELECT _value FROM open', 'SELECT');
    $denied->("INSERT INTO open (_value) VALUES ('x')", 'INSERT');
    $denied->('SUBSCRIBE open UNTIL LATEST', 'SUBSCRIBE');
    $denied->('COPY open TO STDOUT', 'COPY TO');
    $denied->('TRUNCATE open', 'TRUNCATE');
    $denied->('DROP TOPIC open', 'DROP TOPIC');
    $denied->('CREATE TOPIC mine', 'CREATE TOPIC');
    $denied->('ALTER TOPIC open ADD PARTITIONS 1', 'ALTER TOPIC');
    $denied->("ALTER TOPIC open SET (retention.ms = 1000)", 'ALTER TOPIC SET');
    $denied->("COMMENT ON TOPIC open IS 'x'", 'COMMENT');
    $denied->('ALTER SYSTEM SET num_partitions = 2', 'ALTER SYSTEM');
    $denied->("CREATE ROLE x", 'CREATE ROLE');
    $denied->("ALTER ROLE root PASSWORD 'x'", 'the password of another');
    $denied->('DROP ROLE ben', 'DROP ROLE');
    $denied->('GRANT ALL ON open TO ann', 'GRANT');
    $denied->('ALTER QUOTA FOR USER ann SET producer_byte_rate = 1', 'ALTER QUOTA');
    $denied->('SELECT * FROM oxbow.acls', 'a look at rules');
    $denied->('SELECT * FROM oxbow.users', 'a look at users');
    $denied->('SELECT * FROM oxbow.topics', 'a look at topics');
    is((psql($root, 'GRANT SELECT ON open TO ann; GRANT INSERT ON TOPIC PREFIX \'o\' TO ann'))[0], 0, 'root grants');
    $allowed->('SELECT _value FROM open', 'o', 'reads what was granted');
    $allowed->("INSERT INTO open (_value) VALUES ('p')", '', 'writes it');
    $denied->('SELECT _value FROM shut', 'another topic');
    $allowed->("SELECT has_table_privilege('open', 'SELECT'), has_table_privilege('open', 'INSERT'), has_table_privilege('open', 'DELETE'), has_table_privilege('shut', 'SELECT,INSERT'), has_table_privilege('root', 'shut', 'SELECT')",
        't|t|f|f|t', 'and privileges are what may be done');
    $allowed->("SELECT bool_or(query = '<insufficient privilege>') FROM pg_stat_activity WHERE usename <> 'ann'", '', "nobody else's statements are shown");
    $denied->('SELECT o._value FROM open o JOIN shut s ON true', 'a join with another topic');
    my $fetch = qq(SaslHandshake 1 {mechanism: "PLAIN"}\nSaslAuthenticate 2 {auth_bytes: "\\x00ann\\x00ann-secret"}\n)
        . qq(Fetch 11 {replica_id: -1, max_wait_ms: 10, min_bytes: 1, max_bytes: 1000, session_epoch: -1, topics: [{topic: "%s", partitions: [{partition: 0, fetch_offset: 0, partition_max_bytes: 1000}]}]}\n);
    like(wire(sprintf $fetch, 'open'), qr/error_code: 0, high_watermark: 2/, 'the grant holds at the Kafka door');
    like(wire(sprintf $fetch, 'shut'), qr/partition_index: 0, error_code: 29/, 'and what was not granted does not');
    is((psql($root, 'REVOKE ALL ON open FROM ann'))[0], 0, 'root revokes');
    $denied->('SELECT _value FROM open', 'SELECT again');
    is((psql($ann, "ALTER USER ann PASSWORD 'new-secret'"))[0], 0, 'a user changes his own password');
    is((psql($ann, $who))[0], 2, 'the old one is no good');
    is_deeply([psql("user=ann password=new-secret sslmode=require", $who)], [0, 'ann'], 'the new one is');
    like(wire(qq(SaslHandshake 1 {mechanism: "PLAIN"}\nSaslAuthenticate 2 {auth_bytes: "\\x00ann\\x00new-secret"}\n)),
        qr/^SaslAuthenticate 2: \{error_code: 0/m, 'at both doors');
    # Over a quota a statement rests.
    my $long = 'q' x 30000;
    psql($root, "INSERT INTO shut (_value) VALUES ('$long'); ALTER QUOTA FOR USER root SET consumer_byte_rate = 2000;");
    my $started = time;
    my ($slow, $read) = psql($root, "SELECT length(_value) FROM shut WHERE _offset = 1;\nSELECT 1;\n");
    my $took = time - $started;
    ok($slow == 0 && $read eq "30000\n1", 'a SELECT over its quota gives its rows') or diag $read;
    ok($took >= 4 && $took < 30, 'and the session rests') or diag $took;
    psql($root, 'ALTER QUOTA FOR USER root RESET consumer_byte_rate;');
    my ($had, $throttles) = psql($root, "SELECT value > 0 FROM oxbow.metrics WHERE name = 'oxbow_quota_throttles_total'");
    is($throttles, 't', 'which is counted');

    # Who may alter users does not become a super user by it, at neither door.
    is((psql($root, "CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'boss-secret'; CREATE ROLE clerk LOGIN PASSWORD 'clerk-secret'; GRANT ALTER ON CLUSTER TO clerk;"))[0],
        0, 'a super user, and a clerk who may alter users');
    is((psql('user=clerk password=clerk-secret sslmode=require', "ALTER ROLE boss PASSWORD 'mine';"))[0], 3, 'not in SQL');
    my $salted = '0123456789abcdef0123456789abcdef';
    my $clerks = wire(qq(SaslHandshake 1 {mechanism: "PLAIN"}\nSaslAuthenticate 2 {auth_bytes: "\\x00clerk\\x00clerk-secret"}\n)
        . join '', map { "AlterUserScramCredentials 0 $_\n" }
            map({ qq({upsertions: [{name: "$_", mechanism: 1, iterations: 4096, salt: "saltsalt", salted_password: "$salted"}]}) } 'boss', 'mate'),
            '{deletions: [{name: "boss", mechanism: 2}]}');
    is_deeply([$clerks =~ /^AlterUserScramCredentials.*?results: \[\{user: "(\w+)", error_code: (\d+)/mg], ['boss', 31, 'mate', 0, 'boss', 31],
        'nor with the Kafka protocol') or diag $clerks;
    is((psql('user=boss password=boss-secret sslmode=require', $who))[0], 0, 'whose password is what it was');

    # Without LOGIN nobody gets in, by no means.
    psql($root, 'ALTER ROLE ann NOLOGIN;');
    my $cert_login = "user=ann sslmode=verify-full $ca sslcert=$dir/ann.pem sslkey=$dir/ann.key";
    is((psql($cert_login, $who))[0], 2, 'a role without LOGIN, not with its certificate');
    like(tls($port{SSL}, shows('ann')), qr/^refused/, 'at neither door');
    psql($root, 'ALTER ROLE ann LOGIN;');
    is((psql($cert_login, $who))[0], 0, 'with LOGIN again');
    is((psql($root, "ALTER ROLE ben VALID UNTIL '2001-01-01'"))[0], 0, 'a password may end');
    is((psql('user=ben password=ben-secret sslmode=require', $who))[0], 2, 'and then it is refused');
}

# ---- failing ----

my $begun = time;
my $failed = wire(qq(SaslHandshake 1 {mechanism: "PLAIN"}\nSaslAuthenticate 2 {auth_bytes: "\\x00root\\x00guess-me"}\n));
like($failed, qr/error_code: 58/, 'a failed login');
ok(time - $begun >= 0.1, 'is answered after a delay');
my $metrics = `curl -s http://127.0.0.1:$ox->{http_port}/metrics`;
like($metrics, qr/^oxbow_login\w*fail\w*(?:\{[^}]*\})? [1-9]/m, 'is counted') or diag join "\n", grep { /login/ } split /\n/, $metrics;
my $log = slurp($ox->{diag});
like($log, qr/login failed.*user="?root/, 'is written down');
wire(qq(SaslHandshake 1 {mechanism: "PLAIN"}\nSaslAuthenticate 2 {auth_bytes: "\\x00one\\x0aforged\\x1b[2J\\x00guess-me"}\n));
like(slurp($ox->{diag}), qr/user="one forged\?\[2J"/, 'on one line, whatever the name is');
for (['expired', 'certificate has expired'], ['usage', 'unsuitable certificate purpose'], ['', 'peer did not return a certificate']) {
    my ($name, $reason) = @$_;
    sleep 1.1; # five a second are written down
    tls($port{SSL}, $name ? shows($name) : ());
    my $told = qr/login failed door=kafka host=127\.0\.0\.1 mechanism=SSL .*reason="TLS handshake failed: $reason"/;
    for (1 .. 50) { last if slurp($ox->{diag}) =~ $told; sleep 0.1 }
    like(slurp($ox->{diag}), $told, "so is a handshake that was refused: $reason");
}
unlike($log, qr/guess-me|ann-secret|new-secret|root-secret|eyJ/, 'without secrets');

# ---- certificates are read again ----

my ($old) = tls($port{MAYBE}) =~ /(\S+)$/;
certificate('server', '/CN=server', 'ca', $server);
my $now = $old;
for (1 .. 100) {
    ($now) = tls($port{MAYBE}) =~ /(\S+)$/;
    last if $now ne $old;
    sleep 0.3;
}
isnt($now, $old, 'a renewed certificate is shown without restart');
certificate('server', '/CN=another', 'ca', $server);
sleep 2;
is((tls($port{MAYBE}) =~ /(\S+)$/)[0], $now, 'one of another subject is not');
like(slurp($ox->{diag}), qr/Keystore DistinguishedName does not match: existing=\{DN=\/CN=server\}, new=\{DN=\/CN=another\}/, 'and is told');
certificate('server', '/CN=server', 'ca', "subjectAltName=DNS:elsewhere.example\nextendedKeyUsage=serverAuth\n");
sleep 2;
is((tls($port{MAYBE}) =~ /(\S+)$/)[0], $now, 'nor one that lacks an alternative name');
like(slurp($ox->{diag}), qr/Keystore SubjectAltNames do not match/, 'which is told too');
certificate('server', '/CN=another', 'ca', $server);
psql($root, 'ALTER SYSTEM SET ssl_allow_dn_changes = on;');
my ($other, $sql) = ($now, $now);
for (1 .. 100) {
    ($other) = tls($port{MAYBE}) =~ /(\S+)$/;
    ($sql) = tls($ox->{sql_port}, 'pg=1') =~ /(\S+)$/;
    last if $other ne $now && $sql ne $now;
    sleep 0.3;
}
like($other, qr/^[0-9A-F]{10,}$/, 'ssl.allow.dn.changes lets another subject in');
isnt($other, $now, 'which is shown');
$now = $other;
spew("$dir/server.store", "no certificate\n");
sleep 2;
is((tls($port{MAYBE}) =~ /(\S+)$/)[0], $now, 'a broken file changes nothing');
like(slurp($ox->{diag}), qr/certificates were not read again/, 'and is told');
is((tls($ox->{sql_port}, 'pg=1') =~ /(\S+)$/)[0], $now, 'the PostgreSQL door has the renewed one');
like(tls($ox->{sql_port}, 'pg=1', 'alpn=http/1.1'), qr/^refused/, 'and no other protocol');
is($ox->stop, 0, 'the server stops in order');

# As with Java, a store may hold an authority that is not its own root.
certificate('server', '/CN=server', 'ca', $server);
$ox = Oxbow->start(settings => {listeners => "PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:$port{SSL}",
    'ssl.keystore.location' => "$dir/server.store", 'ssl.truststore.location' => "$dir/inner.pem",
    'ssl.client.auth' => 'required'}) or die 'no server';
like(tls($port{SSL}, shows('below')), qr/^served/, 'a certificate of the authority in the store');
like(tls($port{SSL}, shows('ann')), qr/^refused/, 'none of its superior');
is($ox->stop, 0, 'the server stops in order');
done_testing;
