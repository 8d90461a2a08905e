#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Listeners that come and go while the server runs, over Kafka's protocol, SQL and a
# configuration file that is read again; what is set for one of them alone.
use strict;
use warnings;
use Oxbow qw(comes_to);
use Raw;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'no openssl' unless Oxbow::have('openssl');
my $dir = Oxbow::tmp() . "/listeners-$$";
mkdir $dir or die $!;
for my $name (qw(one two)) {
    system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=$name' "
        . "-keyout $dir/$name.key -out $dir/$name.crt 2>/dev/null && cat $dir/$name.key $dir/$name.crt >$dir/$name.pem") == 0 or die;
}

my %port = map { $_ => Oxbow::free_port() } qw(MAIN EXTRA SASL SECURE MOVED FILE);
sub list { return join ',', map { "$_://127.0.0.1:$port{$_}" } @_ }
my $map = 'MAIN:PLAINTEXT,EXTRA:PLAINTEXT,SASL:SASL_PLAINTEXT,SECURE:SSL,MOVED:PLAINTEXT,FILE:PLAINTEXT';
my $file = "$dir/oxbow.properties";
sub file {
    open my $out, '>', $file or die $!;
    print $out map { "$_\n" } @_;
    close $out;
}
file('listeners=' . list('MAIN'), "listener.security.protocol.map=$map", 'inter.broker.listener.name=MAIN');
my $ox = Oxbow->start(words => ['--config', $file], settings => {sql_authentication => 'trust'}) or BAIL_OUT('no server');

# Error code and text of a change of this broker's settings: name, operation, value, ...
sub alter {
    my @changes;
    while (my ($name, $op, $value) = splice @_, 0, 3) {
        push @changes, qq({name: "$name", config_operation: $op, value: ) . (defined $value ? qq("$value") : 'null') . '}';
    }
    my $answer = $ox->wire('IncrementalAlterConfigs 1 {resources: [{resource_type: 4, resource_name: "1", configs: ['
        . join(', ', @changes) . ']}]}');
    return $answer =~ /error_code: (-?\d+), error_message: (?:null|"(.*?)", resource)/ ? $1 . (defined $2 ? " $2" : '') : $answer;
}

sub described {
    my ($name) = @_;
    my $answer = $ox->wire(qq(DescribeConfigs 4 {resources: [{resource_type: 4, resource_name: "1", configuration_keys: ["$name"]}], include_synonyms: true}));
    return $answer =~ /value: ("[^"]*"|null), .*?config_source: (\d)/ ? "$1 $2" : $answer;
}

# An answer to ApiVersions on a new connection, which is given back.
sub speaks {
    my ($name) = @_;
    my $socket = dial($port{$name}) or return undef;
    send_all($socket, framed(pack('nnNn/a', 18, 0, 1, 'live')));
    return length(receive($socket, 8, 20)) == 8 ? $socket : undef;
}

# Names, hosts and ports of the listeners as they are told on one of them.
sub told {
    my ($name) = @_;
    my $out = `$Oxbow::BUILD/regress/wire/wire 127.0.0.1 $port{$name} <<'END'\nDescribeCluster 0 {}\nEND`;
    return $out =~ /host: "([^"]*)", port: (\d+)/ ? "$1:$2" : $out;
}

# ---- one more, one less ----
my $main = speaks('MAIN');
ok($main, 'the listener of the start');
ok(!speaks('EXTRA'), 'the other is not there');
is(alter('listeners', 0, list('MAIN', 'EXTRA')), 0, 'one more');
my $extra = speaks('EXTRA');
ok($extra, 'serves when the change is answered');
comes_to(sub { told('EXTRA') }, "127.0.0.1:$port{EXTRA}", 'its clients are told to come there');
is(told('MAIN'), "127.0.0.1:$port{MAIN}", 'and those of the first to the first');
is(described('listeners'), '"' . list('MAIN', 'EXTRA') . '" 2', 'DescribeConfigs');
ok($ox->restart, 'a restart');
ok(speaks('EXTRA'), 'keeps it, over what the file says');
$extra = speaks('EXTRA');
$main = speaks('MAIN');
is(alter('listeners', 0, list('MAIN')), 0, 'one less');
ok(closed_within($extra, 20), 'its connections are closed');
ok(!speaks('EXTRA'), 'nobody is let in');
send_all($main, framed(pack('nnNn/a', 18, 0, 2, 'live')));
is(length receive($main, 8, 20), 8, 'connections of the other go on');

# ---- the request came by the listener that goes ----
is(alter('listeners', 0, list('MAIN', 'EXTRA')), 0, 'there again');
my $answer = do {
    local $ox->{kafka_port} = $port{EXTRA};
    alter('listeners', 0, list('MAIN'));
};
is($answer, 0, 'who removes the listener he came by is answered');

# ---- refused, and nothing is changed ----
my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die $!;
my $busy = $taken->sockport;
like(alter('listeners', 0, list('MAIN', 'EXTRA') . ",MOVED://127.0.0.1:$busy"), qr/^42 cannot listen on 127.0.0.1 port $busy/,
    'a port that somebody else has');
ok(!speaks('EXTRA'), 'the others of that change are not there');
is(described('listeners'), '"' . list('MAIN') . '" 2', 'nor in the settings');
like(alter('listeners', 0, list('EXTRA')), qr/^42 listener "MAIN" of "inter.broker.listener.name"/, 'the listener between brokers stays');
like(alter('listener.security.protocol.map', 0, 'MAIN:SASL_PLAINTEXT'), qr/^42 listener "MAIN" is open with PLAINTEXT/,
    'as does the protocol of one that is open');
like(alter('listeners', 0, list('MAIN') . ',EXTRA://0.0.0.0:0'), qr/^42 .*not on a loopback address/, 'open to the world');
like(alter('listeners', 0, list('MAIN', 'SECURE')), qr/^42 .*ssl.keystore.location/, 'no certificate');
is(alter('listeners', 0, list('MAIN', 'EXTRA')), 0, 'what was tried is free again');
is(alter('listeners', 0, list('MAIN') . ",MOVED://127.0.0.1:$port{EXTRA}"), 0, 'a port goes from one that is removed to a new one');
$port{MOVED} = $port{EXTRA};
ok(speaks('MOVED'), 'which serves');
my $far = IO::Socket::INET->new(LocalAddr => "127.0.0.2:$port{MOVED}", Listen => 1) or die $!;
like(alter('listeners', 0, list('MAIN') . ",EXTRA://127.0.0.2:$port{MOVED}"), qr/^42 cannot listen on 127.0.0.2 port $port{MOVED}/,
    'but not at another address, where somebody else has it');
ok(speaks('MOVED'), 'who has it keeps it');

# ---- TLS, with a certificate of its own ----
sub subject {
    my $out = `echo | timeout 20 openssl s_client -connect 127.0.0.1:$port{SECURE} 2>/dev/null`;
    return $out =~ /subject=.*?CN\s*=\s*(\w+)/ ? $1 : 'none';
}
is(alter('listener.name.secure.ssl.keystore.location', 0, "$dir/one.pem", 'listeners', 0, list('MAIN', 'SECURE')), 0,
    'a listener with TLS and its certificate in one change');
is(subject(), 'one', 'shows that');
like(alter('listener.name.secure.ssl.keystore.location', 0, "$dir/two.pem"),
    qr/^42 .*Keystore DistinguishedName does not match: existing=\{DN=\/CN=one\}, new=\{DN=\/CN=two\}/, 'a certificate of another subject is refused');
is(subject(), 'one', 'and not shown');
is(alter('listener.name.secure.ssl.keystore.location', 0, "$dir/two.pem", 'listener.name.secure.ssl.allow.dn.changes', 0, 'true'), 0,
    'unless ssl.allow.dn.changes allows it');
is(subject(), 'two', 'is shown at once');
like(alter('listener.name.secure.ssl.keystore.location', 0, "$dir/none.pem"), qr/^42 /, 'a file that is not there is refused');
is(subject(), 'two', 'nothing is changed');
is(alter('listener.name.secure.ssl.keystore.password', 0, 'hidden-word'), 0, 'a password');
is(described('listener.name.secure.ssl.keystore.password'), 'null 2', 'is not shown');
like(alter('ssl.keystore.location', 0, "$dir/one.pem"), qr/^42 .*only per-listener/, 'as with Kafka not for all listeners');
ok($ox->restart, 'a restart');
is(subject(), 'two', 'keeps what is set for one listener');
is(alter('listener.name.secure.ssl.truststore.location', 0, "$dir/one.crt", 'listener.name.secure.ssl.client.auth', 0, 'required'), 0,
    'clients show certificates');
like(`echo | timeout 20 openssl s_client -tls1_2 -connect 127.0.0.1:$port{SECURE} 2>&1`, qr/alert/, 'from now on');

# ---- mechanisms ----
sub handshake {
    my $socket = dial($port{SASL}) or return 'closed';
    send_all($socket, framed(pack('nnNn/an/a', 17, 1, 1, 'live', 'NONE')));
    my ($id, $code, @names) = unpack 'Nn N/(n/a)', receive($socket, unpack('N', receive($socket, 4, 20)), 20);
    return "@names";
}
is(alter('listeners', 0, list('MAIN', 'SASL')), 0, 'a listener with logins');
is(handshake(), 'SCRAM-SHA-256 SCRAM-SHA-512', 'has the mechanisms of all');
is(alter('listener.name.sasl.sasl.enabled.mechanisms', 0, 'PLAIN'), 0, 'its own');
is(handshake(), 'PLAIN', 'are offered');
is(alter('listener.name.sasl.sasl.enabled.mechanisms', 1, undef), 0, 'taken away');
is(handshake(), 'SCRAM-SHA-256 SCRAM-SHA-512', 'those of all again');
like(alter('listener.name.sasl.num.partitions', 0, '3'), qr/^40 /, 'a setting that no listener has alone');

# ---- how many connections ----
is(alter('listener.name.sasl.max.connections', 0, '2'), 0, 'two connections at most');
my @few = map { dial($port{SASL}) } 1 .. 3;
send_all($_, framed(pack('nnNn/a', 18, 0, 1, 'live'))) for @few;
is(length receive($_, 8, 20), 8, 'two are served') for @few[0, 1];
is(length receive($few[2], 8, 0.5), 0, 'the third waits');
is(alter('listener.name.sasl.max.connections', 0, '3'), 0, 'three');
is(length receive($few[2], 8, 20), 8, 'it is served');

# ---- threads ----
sub loops { return scalar grep { (do { local (@ARGV, $/) = $_; <> } // '') =~ /^oxbow-loop/ } glob "/proc/$ox->{pid}/task/*/comm" }
my $loops = loops();
is(alter('num.network.threads', 0, 2 * $loops), 0, 'twice as many loops');
comes_to(\&loops, 2 * $loops, 'run');
like(alter('num.network.threads', 0, 4 * $loops + 1), qr/^42 /, 'more than twice as many at once are refused');
ok(speaks('MAIN'), 'connections go on') for 1 .. 4;
is(alter('num.network.threads', 0, $loops), 0, 'half of them');
ok(speaks('MAIN'), 'connections go on') for 1 .. 4;
is(described('num.network.threads'), qq("$loops" 2), 'DescribeConfigs');
is(alter('listener.name.main.num.network.threads', 0, 2 * $loops), 0, 'more for one listener');
ok(speaks('MAIN'), 'connections go on') for 1 .. 4;

# ---- the file, read again ----
is(alter('listeners', 1, undef), 0, 'what the file says');
ok(!speaks('SASL'), 'holds again');
sub reload { kill 'HUP', $ox->{pid} }
file('listeners=' . list('MAIN', 'FILE'), "listener.security.protocol.map=$map", 'inter.broker.listener.name=MAIN',
    'advertised.listeners=MAIN://elsewhere.example:77', 'listener.name.file.max.connections=1');
reload();
comes_to(sub { told('MAIN') }, 'elsewhere.example:77', 'advertised.listeners of the file');
ok(speaks('FILE'), 'a listener of the file');
is(described('listener.name.file.max.connections'), '"1" 4', 'with a setting of its own');
file('listeners=' . list('MAIN') . ",FILE://127.0.0.1:$port{FILE},MOVED://127.0.0.1:$busy", "listener.security.protocol.map=$map",
    'advertised.listeners=MAIN://nowhere.example:78');
reload();
my $diag = sub { do { local (@ARGV, $/) = $ox->{diag}; <> } };
for (1 .. 200) {
    last if $diag->() =~ /not reloaded/;
    sleep 0.1;
}
like($diag->(), qr/not reloaded.*port $busy/, 'a file that asks for a port of somebody else is not taken');
is(told('MAIN'), 'elsewhere.example:77', 'no part of it');
file('listeners=' . list('MAIN'), "listener.security.protocol.map=$map");
my $held = speaks('FILE') // speaks('FILE');
reload();
comes_to(sub { told('MAIN') }, "127.0.0.1:$port{MAIN}", 'nothing is advertised any more');
ok(!speaks('FILE'), 'and the listener is gone');

# ---- SQL ----
is($ox->sql("ALTER SYSTEM SET listeners = '" . list('MAIN', 'EXTRA') . "'"), '', 'ALTER SYSTEM');
ok(speaks('EXTRA'), 'opens one');
like($ox->sql("ALTER SYSTEM SET listeners = '" . list('MAIN') . ",EXTRA://127.0.0.1:$port{EXTRA},MOVED://127.0.0.1:$busy'"),
    qr/cannot listen on 127.0.0.1 port $busy/, 'a port that somebody else has');
is($ox->sql('ALTER SYSTEM SET listener.name.extra.max.connections = 7'), '', 'a setting of one listener');
is($ox->sql("SELECT value FROM oxbow.settings WHERE name = 'listener.name.extra.max.connections'"), '7', 'is listed');
is(described('listener.name.extra.max.connections'), '"7" 3', 'and told to Kafka\'s clients');
is($ox->sql('ALTER SYSTEM RESET listener.name.extra.max.connections'), '', 'taken away');
is($ox->sql("SELECT value FROM oxbow.settings WHERE name = 'listener.name.extra.max.connections'"), '', 'it is not');
like($ox->sql('ALTER SYSTEM SET listener.name.extra.num.partitions = 7'), qr/unrecognized/, 'one that no listener has alone');
is($ox->sql('ALTER SYSTEM RESET listeners'), '', 'and back');
ok(!speaks('EXTRA'), 'it is closed');

# ---- what was set at run time and cannot be at a start ----
is(alter('listeners', 0, list('MAIN', 'EXTRA')), 0, 'one more');
is($ox->stop, 0, 'the server stops in order');
my $squatter = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$port{EXTRA}", Listen => 1, ReuseAddr => 1) or die $!;
ok($ox->run, 'it starts all the same');
ok(speaks('MAIN'), 'with the listeners of the file');
like($diag->(), qr/set at run time cannot be.*port $port{EXTRA}/, 'and says so');
close $squatter;
is(alter('listeners', 0, list('MAIN', 'EXTRA', 'FILE')), 0, 'the next change');
ok(speaks($_), "opens $_") for qw(EXTRA FILE);
is($ox->stop, 0, 'the server stops in order');
done_testing;
