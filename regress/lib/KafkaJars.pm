# SPDX-License-Identifier: Apache-2.0
#
# Kafka's own programs, from Maven's repository: its command-line tools, and a
# whole broker to compare with.
package KafkaJars;
use strict;
use warnings;
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep);
use Clients;
use Oxbow;

# The newest that Maven has: 4.4.0 of the broker and of the client, 4.3.1 of what is released
# apart from them (tools, streams, connect).
our %RELEASE = ('kafka_2.13' => '4.4.0', 'kafka-clients' => '4.4.0');

sub release { return $ENV{OX_KAFKA_RELEASE} // $RELEASE{$_[0]} // '4.3.1' }

# The class path of org.apache.kafka:ARTIFACT, or undef where it cannot be had.
sub classpath {
    my ($artifact, $release) = @_;
    my $api = 'kafka-tools-api';
    return Clients::jars("org.apache.kafka:$artifact:" . ($release // release($artifact)),
        "org.apache.kafka:$api:" . release($api));
}

# A folder with the class of regress/wire/CLASS.java, a plugin of the broker, or
# undef.
sub plugin {
    my ($class) = @_;
    my $path = classpath('kafka_2.13');
    return undef unless $path && Oxbow::have('javac');
    my $folder = Clients::cache("plugin-$class");
    my @words = ('javac', '-nowarn', '-cp', $path, '-d', $folder,
        "$Oxbow::TOP/regress/wire/$class.java");
    return system("@words >$folder/out 2>&1") == 0 ? $folder : undef;
}

# Settings of a broker with a SASL_PLAINTEXT listener that knows admin and alice,
# by PLAIN (NAME-secret) and by SCRAM.
our $LOGINS = <<'END';
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_admin="admin-secret" user_alice="alice-secret";
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
security.inter.broker.protocol=SASL_PLAINTEXT
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="admin-secret";
END

# A Kafka broker of its own, empty; {port, pid}, or undef. protocol: of its
# listener; settings: further lines of its configuration; format:
# further words for its format tool; plugins: a folder of classes; data: its log
# directories, joined by commas, used as they are if they are formatted.
sub start_broker {
    my (%args) = @_;
    my $protocol = $args{protocol} // 'PLAINTEXT';
    my $settings = $args{settings} // '';
    my @format = map { "'$_'" } @{$args{format} // []};
    my $path = classpath('kafka_2.13') or return undef;
    $path = "$args{plugins}:$path" if $args{plugins};
    my ($port, $controller) = (Oxbow::free_port(), Oxbow::free_port());
    my $dir = tempdir('kafka-XXXXXX', DIR => Oxbow::tmp(), CLEANUP => 1);
    my $data = $args{data} // "$dir/data";
    my ($first) = split /,/, $data;
    open my $conf, '>', "$dir/server.properties" or die;
    print $conf <<"END";
process.roles=broker,controller
node.id=1
controller.quorum.voters=1\@127.0.0.1:$controller
listeners=$protocol://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=$protocol://127.0.0.1:$port
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.streams.initial.rebalance.delay.ms=0
$settings
END
    close $conf;
    my @java = ('java', '-Xmx500m', '-XX:TieredStopAtLevel=1', '-cp', $path);
    my $id = 'XOhlI5VeSUehk2xuAwvbFg';
    -e "$first/meta.properties" or system("@java kafka.tools.StorageTool format -t $id -c $dir/server.properties @format >$dir/out 2>&1") == 0
        or return undef;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>>', "$dir/out" or die;
        open STDERR, '>&', \*STDOUT or die;
        exec @java, 'kafka.Kafka', "$dir/server.properties" or POSIX::_exit(127);
    }
    for (1 .. 1800) {
        return {pid => $pid, port => $port, dir => $dir} if answers($port) && sleep 1;
        return undef if waitpid($pid, POSIX::WNOHANG()) > 0;
        sleep 0.1;
    }
    stop_broker({pid => $pid});
    return undef;
}

# Whether ApiVersions is answered: requests are served when the broker has begun.
sub answers {
    my ($port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or return 0;
    print $socket pack 'NnnNn', 10, 18, 0, 7, 0xffff;
    $socket->flush;
    return IO::Select->new($socket)->can_read(60) && sysread $socket, my $some, 100;
}

sub stop_broker {
    my ($kafka) = @_;
    kill 'TERM', $kafka->{pid};
    waitpid $kafka->{pid}, 0;
}

# What ask(address) says of a broker with these settings; undef where none is asked
# (OX_KAFKA_ORACLE) or to be had. With OX_WRITE_EXPECTED it becomes the file's text.
sub asked {
    my ($settings, $ask, $expected) = @_;
    return undef unless $ENV{OX_KAFKA_ORACLE};
    my $kafka = start_broker(settings => join '', map { "$_=$settings->{$_}\n" } sort keys %$settings) or return undef;
    my $text = $ask->("127.0.0.1:$kafka->{port}");
    stop_broker($kafka);
    Oxbow::spew($expected, $text) if $ENV{OX_WRITE_EXPECTED};
    return $text;
}

# The words that run a class of the tools.
sub java {
    my ($artifact, $class, @words) = @_;
    return ('timeout', '90', 'java', '-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp',
        classpath($artifact, release('kafka-tools')), $class, @words);
}

1;
