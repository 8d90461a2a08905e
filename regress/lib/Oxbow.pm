# SPDX-License-Identifier: Apache-2.0
#
# Starts real servers for tests and talks to them. A server listens on free
# ports of loopback, has a data directory of its own below the build folder and
# is stopped, at the latest, when the test ends.
package Oxbow;
use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use POSIX qw(WNOHANG);
use Test::Builder;
use Time::HiRes qw(time sleep);

our @EXPORT_OK = qw(slurp spew quiet comes_true comes_to);
our $TOP   = $ENV{OX_TOP}   // '.';
our $BUILD = $ENV{OX_BUILD} // 'build';
my @running;

# A port that nobody listens on and that no client is given by the system; tests that run
# beside each other begin to look at different ones.
my $next_port;
sub free_port {
    $next_port //= $$ * 16;
    for (1 .. 1000) {
        my $port = 20000 + $next_port++ % 12000;
        return $port if IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1',
            LocalPort => $port, ReuseAddr => 1);
    }
    die 'no free port';
}

# Oxbow->start(dir => DIR, settings => {name => value}, env => {...})
sub start {
    my ($class, %args) = @_;
    my $self = bless {
        dir      => $args{dir} // tempdir('oxbow-XXXXXX', DIR => tmp(), CLEANUP => 1),
        settings => $args{settings} // {},
        env      => $args{env} // {},
        words    => $args{words} // [], # of the command line
    }, $class;
    $self->{diag} = "$self->{dir}.diag";
    push @running, $self;
    return $self->run ? $self : undef;
}

sub tmp {
    my $tmp = "$BUILD/tmp";
    make_path($tmp);
    return $tmp;
}

# Starts the process and waits for its ready line.
sub run {
    my ($self) = @_;
    pipe(my $out, my $in) or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        close $out;
        open STDOUT, '>&', $in or die;
        open STDERR, '>>', $self->{diag} or die;
        open STDIN, '<', '/dev/null' or die;
        local @ENV{keys %{$self->{env}}} = values %{$self->{env}};
        my %set = (kafka_port => 0, sql_port => 0, http_port => 0,
            'group.initial.rebalance.delay.ms' => 0,
            'group.streams.initial.rebalance.delay.ms' => 0, %{$self->{settings}});
        my @set = map { ('-c', "$_=$set{$_}") } sort keys %set;
        exec "$BUILD/oxbow", '-D', $self->{dir}, @{$self->{words}}, @set or POSIX::_exit(127);
    }
    close $in;
    $self->{pid} = $pid;
    my $line = '';
    my $until = time + ($ENV{OX_START_TIMEOUT} // 60);
    while ($line !~ /\n/ && time < $until) {
        last unless IO::Select->new($out)->can_read($until - time);
        last unless sysread $out, $line, 1024, length $line;
    }
    close $out;
    if ($line =~ /^oxbow ready node=(\d+) kafka=(\S+):(\d+) sql=(\S+):(\d+) http=(\S+):(\d+) pid=(\d+)\n/) {
        @$self{qw(node kafka_port sql_port http_port)} = ($1, $3, $5, $7);
        return 1;
    }
    print STDERR "# server did not start: ", tail($self->{diag}), "\n";
    return 0;
}

sub tail {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    my @lines = <$in>;
    return join '', map { "# $_" } @lines > 20 ? @lines[-20 .. -1] : @lines;
}

# Ends the process in order; returns its exit status.
sub stop {
    my ($self, $signal) = @_;
    return undef unless $self->{pid};
    kill $signal // 'TERM', $self->{pid};
    my $until = time + 60;
    while (time < $until) {
        if (waitpid($self->{pid}, WNOHANG) > 0) {
            $self->{pid} = undef;
            return $?;
        }
        sleep 0.01;
    }
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    $self->{pid} = undef;
    return -1;
}

sub restart {
    my ($self, $signal) = @_;
    $self->stop($signal);
    return $self->run;
}

# Ends it and starts it again, twice, with clients at work in between.
sub restart_twice {
    my ($self, $signal) = @_;
    return 0 unless $self->restart($signal);
    sleep 2;
    return $self->restart($signal);
}

sub alive {
    my ($self) = @_;
    return 0 unless $self->{pid};
    return 1 if waitpid($self->{pid}, WNOHANG) == 0;
    $self->{pid} = undef;
    return 0;
}

sub kafka { return "127.0.0.1:$_[0]{kafka_port}" }

# Runs a command; returns (exit status, stdout and stderr together).
sub command {
    my ($self, $input, @words) = @_;
    local %ENV = (%ENV, PGHOST => '127.0.0.1', PGPORT => $self->{sql_port}, PGUSER => 'oxbow',
        PGDATABASE => 'oxbow', PGCONNECT_TIMEOUT => 10, OX_KAFKA => $self->kafka,
        OX_HTTP => "127.0.0.1:$self->{http_port}");
    my $path = tmp() . "/input.$$";
    open my $to, '>', $path or die "$path: $!";
    print $to $input // '';
    close $to;
    my $pid = open(my $out, '-|') // die "fork: $!";
    if ($pid == 0) {
        open STDIN, '<', $path or die;
        open STDERR, '>&', \*STDOUT or die;
        exec @words or POSIX::_exit(127);
    }
    local $/;
    my $text = <$out> // '';
    close $out;
    my $status = $? >> 8;
    unlink $path;
    return ($status, $text);
}

# A statement through oxsql, unaligned, without headers; dies on failure.
sub sql {
    my ($self, $text) = @_;
    my ($status, $out) = $self->command($text, "$BUILD/oxsql", '-X', '-A', '-t', '-q', '-v',
        'ON_ERROR_STOP=1');
    chomp $out;
    return $status == 0 ? $out : "ERROR($status): $out";
}

# Lines for wire/wire.c, which speaks Kafka's protocol; returns what it prints.
sub wire {
    my ($self, @lines) = @_;
    my ($status, $out) = $self->command(join('', map { "$_\n" } @lines), 'timeout', '120',
        "$BUILD/regress/wire/wire", '127.0.0.1', $self->{kafka_port});
    chomp $out;
    return $out;
}

# The environment of a server with regress/load/NAME.c between it and the system.
sub shim {
    my ($name) = @_;
    my $path = "$BUILD/regress/load/$name.so";
    die "$path is not built: make check-programs\n" unless -e $path;
    return (LD_PRELOAD => abs_path($path),
        ASAN_OPTIONS => 'verify_asan_link_order=0:' . ($ENV{ASAN_OPTIONS} // ''));
}

# All of a file; nothing of one that is not there.
sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/;
    return scalar <$in> // '';
}

sub spew {
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!";
    print $out $text;
    close $out or die "$path: $!";
}

# Tests that what is asked becomes true, or $want, within a minute.
sub comes_true {
    my ($ask, $name) = @_;
    my $until = time + 60;
    my $good;
    sleep 0.1 while !($good = $ask->()) && time < $until;
    return Test::Builder->new->ok($good, $name);
}

sub comes_to {
    my ($ask, $want, $name) = @_;
    my $until = time + 60;
    my $got;
    sleep 0.05 while ($got = $ask->()) ne $want && time < $until;
    return Test::Builder->new->is_eq($got, $want, $name);
}

# Which partitions of a topic are in the log directory, from the lowest on.
sub partitions_in {
    my ($folder, $topic) = @_;
    my @parts = sort { $a <=> $b } map { /-(\d+)$/ } grep { /-\d+$/ } glob "$folder/$topic-*";
    return @parts;
}

# A command that must work; what it says goes nowhere.
sub quiet { system("@_ >/dev/null 2>&1") == 0 or die "@_" }

# Was that folder configured with --enable-fault, and the server built?
sub has_failpoints {
    my ($build) = @_;
    open my $in, '<', "$build/config.h" or return 0;
    return -x "$build/oxbow" && grep { /^#define OX_FAULT 1/ } <$in>;
}

sub have {
    my ($program) = @_;
    return grep { -x "$_/$program" } split /:/, $ENV{PATH};
}

END {
    my $status = $?;
    $_->stop for grep { $_->{pid} } @running;
    $? = $status;
}

1;
