#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# What a server does not start with: directories that are not its own or that it
# cannot write, ports that are taken, settings that make no sense, all of which
# are told at once. What it found stays as it was.
use strict;
use warnings;
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use Oxbow;
use Test::More;

my $tmp = tempdir('start-XXXXXX', DIR => Oxbow::tmp(), CLEANUP => 1);
my @ports = map { ('-c', "${_}_port=0") } qw(kafka sql http);

# A start that must fail: its exit status, what it said.
sub start {
    my @words = @_;
    my $pid = open(my $out, '-|') // die "fork: $!";
    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT or die;
        exec 'timeout', 60, @words or POSIX::_exit(127);
    }
    my $text = do { local $/; <$out> } // '';
    close $out;
    return ($? >> 8, $text);
}
sub oxbow { return start("$Oxbow::BUILD/oxbow", @_) }

sub write_file {
    my ($path, $text) = @_;
    open my $to, '>:raw', $path or die "$path: $!";
    print $to $text;
    close $to;
    return $path;
}

sub refuses {
    my ($sentence, $status, $pattern, @words) = @_;
    my ($got, $text) = oxbow(@words);
    is($got, $status, $sentence);
    like($text, $pattern, '  and says why');
    unlike($text, qr/oxbow ready/, '  and is not ready');
    return $text;
}

# ---- directories ----

sub listing { return join ' ', sort map { s{.*/}{}r } glob "$_[0]/* $_[0]/.l* $_[0]/.k*" }

mkdir "$tmp/mail";
mkdir "$tmp/mail/inbox";
write_file("$tmp/mail/notes.txt", 'hello');
refuses('a directory with something else in it', 1, qr{directory "\S+mail" belongs to something else}, '-D', "$tmp/mail", @ports);
is(listing("$tmp/mail"), 'inbox notes.txt', '  which stays as it was');

make_path(map { "$tmp/pg/$_" } qw(base global pg_wal));
write_file("$tmp/pg/PG_VERSION", "15\n");
refuses('a directory of PostgreSQL', 1, qr/belongs to something else/, '-D', "$tmp/pg", @ports);
is(listing("$tmp/pg"), 'PG_VERSION base global pg_wal', '  which stays as it was');

make_path("$tmp/parts/t-0");
write_file("$tmp/parts/t-0/partition.metadata", "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAZg\n");
write_file("$tmp/parts/t-0/00000000000000000000.log", '');
refuses('partitions whose identity is gone', 1, qr/belongs to something else: it holds "t-0"/, '-D', "$tmp/parts", @ports);

write_file("$tmp/file", '');
refuses('a file', 2, qr/Not a directory/, '-D', "$tmp/file", @ports);
refuses('a directory below a file', 2, qr/Not a directory/, '-D', "$tmp/file/data", @ports);
refuses('a directory below none', 1, qr/could not create directory "\S+no\/data": No such file/, '-D', "$tmp/no/data", @ports);
refuses('a directory without a name', 1, qr/could not create directory ""/, '-D', '', @ports);
symlink "$tmp/loop", "$tmp/loop";
refuses('a link to itself', 2, qr/symbolic links/, '-D', "$tmp/loop", @ports);

SKIP: {
    mkdir "$tmp/ro", 0755;
    chmod 0755, $tmp;
    my @as = $> != 0 ? () : ('setpriv', '--reuid', 65534, '--regid', 65534, '--clear-groups');
    skip 'another user cannot be become', 5 if @as && (start(@as, "$Oxbow::BUILD/oxbow", '--version'))[0] != 0;
    chmod 0555, "$tmp/ro";
    my ($status, $text) = start(@as, "$Oxbow::BUILD/oxbow", '-D', "$tmp/ro", @ports);
    is($status, 1, 'a directory that cannot be written');
    like($text, qr/Permission denied/, '  and says why');
    is(listing("$tmp/ro"), '', '  which stays empty');
    chmod 0000, "$tmp/ro";
    ($status, $text) = start(@as, "$Oxbow::BUILD/oxbow", '-D', "$tmp/ro", @ports);
    isnt($status, 0, 'one that cannot be read');
    like($text, qr/Permission denied/, '  and says why');
    chmod 0755, "$tmp/ro";
}

# ---- a directory that is served, and another node's ----

my $ox = Oxbow->start(dir => "$tmp/data") or die 'no server';
is($ox->sql('CREATE TOPIC kept'), '', 'a server with a topic');
refuses('its directory', 1, qr/in use|locked|another/i, '-D', "$tmp/data", @ports);
refuses("its $_ port", 1, qr/cannot listen on 127\.0\.0\.1 port $ox->{"${_}_port"}: Address already in use\n.*set ${_}_port/, '-D',
    "$tmp/other", @ports, '-c', "${_}_port=" . $ox->{"${_}_port"}) for qw(kafka sql http);
my $free = Oxbow::free_port();
refuses('one port for two doors', 1, qr/cannot listen on 127\.0\.0\.1 port (\d+)/, '-D', "$tmp/other",
    '-c', "kafka_port=$free", '-c', "sql_port=$free", '-c', 'http_port=0');
refuses('an address that is not ours', 1, qr/cannot listen on 192\.0\.2\.1/, '-D', "$tmp/other", @ports,
    '-c', 'listen_address=192.0.2.1', '-c', 'allow_insecure=on');
refuses('an address open to all without a login', 1, qr/not (?:on )?a loopback address/, '-D', "$tmp/other", @ports,
    '-c', 'listen_address=0.0.0.0');
is($ox->sql('SELECT name FROM oxbow.topics WHERE name = \'kept\''), 'kept', 'the first goes on');
is($ox->stop, 0, 'and stops');
refuses('another node id', 1, qr/node/, '-D', "$tmp/data", @ports, '-c', 'node_id=7');
{
    my $text = do { local (@ARGV, $/) = "$tmp/data/meta.properties"; <> };
    write_file("$tmp/data/meta.properties", $text =~ s/cluster\.id=\S+/cluster.id=AAAAAAAAAAAAAAAAAAAAZg/r);
    refuses('a directory of another cluster', 1, qr/cluster|identity|belongs/i, '-D', "$tmp/data", @ports);
    write_file("$tmp/data/meta.properties", "nonsense\0\xff\n");
    refuses('an identity that is nonsense', 1, qr/meta\.properties/, '-D', "$tmp/data", @ports);
    write_file("$tmp/data/meta.properties", $text);
}
ok($ox->run, 'with what was there it starts');
is($ox->sql('SELECT name FROM oxbow.topics WHERE name = \'kept\''), 'kept', 'and has its topic');
is($ox->stop, 0, 'and stops');

# ---- settings ----

my $conf = write_file("$tmp/bad.conf", <<'END');
kafka_port = x
# a comment
sql_port=70000
nothing here
no_such = 1
log.retention.ms = abc
some.name.of.kafka = 1
= 5
loops = 1e9
log_level = loud
log.cleaner.enable = perhaps
work_mem = 1MB
max_connections = 99999999999999999999
fetch.max.bytes = 3 parsecs
super.users = User:ann; admin
max.connections.per.ip.overrides = 127.0.0.1:5, foo
END
my $text = refuses('a file of faults', 2, qr/the configuration has 14 faults/, '-D', "$tmp/new", '--config', $conf);
for ([1, 'kafka_port: invalid value "x".*0\.\.65535'], [3, '"sql_port".*0\.\.65535'],
    [4, 'expected name = value, found "nothing here"'], [5, 'there is no setting "no_such"'], [6, '"log.retention.ms"'],
    [8, 'expected name = value'], [9, '"1e9"'], [10, '"loud".*debug\|info\|warn\|error'], [11, '"log.cleaner.enable"'],
    [12, 'there is no setting "work_mem"'], [13, '99999999999999999999'], [14, 'parsecs'],
    [15, '"admin", which is no principal'], [16, '"foo" is not an address'])
{
    my ($line, $pattern) = @$_;
    like($text, qr/\Q$conf\E:$line: .*$pattern|\Q$conf\E:$line: $pattern/, "  line $line among them");
}
like($text, qr/ignored.*names="some.name.of.kafka"/, '  a name of Kafka\'s without a meaning is a warning');
ok(!-e "$tmp/new", '  and nothing was made');

refuses('faults on the command line', 2, qr/-c: .*"99999".*-c: .*"x".*nonsense.*-c: .*"loud".*has 4 faults/s, '-D', "$tmp/new",
    map { ('-c', $_) } qw(kafka_port=99999 sql_port=x nonsense=1 log_level=loud));
refuses('a name that is nearly one', 2, qr/there is no setting "max_conections"\. Perhaps you meant "max_connections"\./, '-D', "$tmp/new",
    '-c', 'max_conections=5');
like(refuses('a name with dots that is none', 2, qr/has 1 fault$/m, '-D', "$tmp/new", '-c', 'max.conections=5', '-c', 'sql_port=x'),
    qr/ignored file=-c names="max\.conections"/, '  is a warning on the command line, too');
refuses('-c without a value', 2, qr/expected name=value, found "loops"/, '-D', "$tmp/new", '-c', 'loops');
for my $line ('ssl.keystore.password topsecret', 'ssl_key_password: topsecret') {
    unlike(refuses('a secret in a line that assigns nothing', 2, qr/found "ssl[._a-z]+password"/, '-D', "$tmp/new", '--config',
        write_file("$tmp/secret.conf", "$line\n")), qr/topsecret/, '  is not told');
    unlike(refuses('on the command line', 2, qr/found "ssl[._a-z]+password"/, '-D', "$tmp/new", '-c', $line), qr/topsecret/,
        '  neither');
}
# As java.util.Properties has it: a colon or blanks stand for the equals sign.
like(refuses('assignments of a file of Java', 2, qr/has 5 faults/, '-D', "$tmp/new", '--config',
    write_file("$tmp/java.properties", "kafka_port: a=1\nsql_port b:2\nloops \t: c 3\nhttp_port=d\nssl.key.password topsecret\nlog_level\\:x y\n")),
    qr/properties:1: .*"a=1".*:2: .*"b:2".*:3: .*"c 3".*:4: .*"d".*:6: /s, '  with a colon, blanks, both');
refuses('a file that is not there', 2, qr/none\.conf": No such file/, '-D', "$tmp/new", '--config', "$tmp/none.conf");
refuses('a file that is a directory', 2, qr/directory/i, '-D', "$tmp/new", '--config', $tmp);
refuses('a file without end', 2, qr/longer than 4194304 bytes/, '-D', "$tmp/new", '--config', write_file("$tmp/big.conf", 'x' x 5_000_000));
refuses('bytes that are no text', 2, qr/bin\.conf:1: .*not valid text.*bin\.conf:2.*bin\.conf:3.*has 3 faults/s, '-D', "$tmp/new",
    '--config', write_file("$tmp/bin.conf", "kafka_port=0\0junk\n\xff\xfe=1\nlisten_address=\xff\n"));
refuses('listeners that are none', 1, qr/listener/i, '-D', "$tmp/new", @ports, '-c', "listeners=$_")
    for 'nonsense', 'PLAINTEXT://127.0.0.1:99999', 'WHAT://127.0.0.1:0', 'PLAINTEXT://127.0.0.1:0,PLAINTEXT://127.0.0.1:0',
    'SSL://127.0.0.1:0';
refuses('a certificate that is not there', 1, qr/none\.pem/, '-D', "$tmp/new", @ports, '-c', 'listeners=SSL://127.0.0.1:0',
    '-c', "ssl.keystore.location=$tmp/none.pem");
refuses('a certificate that is none', 1, qr/file/, '-D', "$tmp/new", @ports, '-c', 'listeners=SSL://127.0.0.1:0',
    '-c', "ssl.keystore.location=$tmp/file");
refuses('tokens that nobody could verify', 1, qr/sasl\.oauthbearer\.jwks\.endpoint\.url/, '-D', "$tmp/new", @ports,
    '-c', 'listeners=SASL_PLAINTEXT://127.0.0.1:0', '-c', 'sasl.enabled.mechanisms=OAUTHBEARER');
refuses('an authorizer that does not exist', 1, qr/authorizer\.class\.name/, '-D', "$tmp/new", @ports, '-c', 'authorizer.class.name=com.example.Mine');
refuses('no directory', 2, qr/no data directory is given/);
refuses('an option that does not exist', 2, qr/invalid option/, '-D', "$tmp/new", '-x');
refuses('a word too many', 2, qr/too many arguments/, '-D', "$tmp/new", 'serve');

# Too few descriptors: wherever they run out, a line says so, and with enough it starts.
my ($most, $signals, $said) = (12, 0, '');
for (; $most < 80 && $said !~ /oxbow ready/; $most++) {
    (my $status, $said) = start('bash', '-c', "ulimit -n $most; exec timeout 5 $Oxbow::BUILD/oxbow -D $tmp/few -c loops=1 @ports");
    $signals++ if $status > 128 || ($status == 1 && $said !~ /^oxbow: /m);
}
is($signals, 0, 'too few descriptors are told, not died of');
like($said, qr/oxbow ready/, '  with enough it starts') or diag $most;

# A reload takes all or nothing.
$ox = Oxbow->start(dir => "$tmp/live") or die 'no server';
write_file("$tmp/live/oxbow.conf", "max_connections = 77\nlog_level = loud\n");
kill 'HUP', $ox->{pid};
for (1 .. 100) {
    last if Oxbow::tail($ox->{diag}) =~ /not reloaded/;
    select undef, undef, undef, 0.1;
}
like(Oxbow::tail($ox->{diag}), qr/oxbow\.conf:2: .*"loud"/, 'a reload with a fault says the line');
is($ox->sql('SHOW max_connections'), '10000', 'and changes nothing');
write_file("$tmp/live/oxbow.conf", "max_connections = 77\n");
kill 'HUP', $ox->{pid};
for (1 .. 100) {
    last if $ox->sql('SHOW max_connections') eq '77';
    select undef, undef, undef, 0.1;
}
is($ox->sql('SHOW max_connections'), '77', 'without it the file holds');
is($ox->stop, 0, 'it stops in order');
done_testing;
