# SPDX-License-Identifier: Apache-2.0
#
# A PostgreSQL server of a test's own, and a small client of its protocol that
# tells what an answer is made of: names, type oids, values, SQLSTATE.
package Postgres;
use strict;
use warnings;
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use Oxbow;

my @control;
my $running;

# {port}, or (undef, reason).
sub start {
    my ($bin) = grep { -x "$_/initdb" } reverse sort(glob '/usr/lib/postgresql/*/bin');
    return (undef, 'PostgreSQL is not installed') unless $bin;
    my @as = ();
    if ($> == 0) { # the server refuses root
        return (undef, 'no user to run PostgreSQL')
            unless getpwnam('postgres') && Oxbow::have('setpriv');
        @as = qw(setpriv --reuid=postgres --regid=postgres --clear-groups);
    }
    my $dir = tempdir('oxbow-postgres-XXXXXX', TMPDIR => 1);
    chmod 0777, $dir;
    my $port = 20000 + int rand 20000;
    system(@as, 'sh', '-c', 'cd / && "$0" "$@" >/dev/null', "$bin/initdb", '-D', "$dir/data", '-A', 'trust',
        '-U', 'oxbow', '-E', 'UTF8', '--lc-collate=C', '--lc-ctype=C.UTF-8', '-N', '--no-instructions') == 0
        or return (undef, 'initdb failed');
    @control = (@as, "$bin/pg_ctl", '-D', "$dir/data", '-s', '-w', '-l', "$dir/diag");
    system(@control, '-o', "-c port=$port -c unix_socket_directories=$dir -c fsync=off "
            . '-c listen_addresses=127.0.0.1', 'start') == 0 or return (undef, 'PostgreSQL does not start');
    my ($version) = `$bin/postgres --version` =~ /(\d+)/;
    $running = $dir;
    Postgres::connect($port, 'postgres')->query('CREATE DATABASE oxbow');
    return {port => $port, dir => $dir, version => $version};
}



# A connection as oxbow; dies when there is none.
sub connect {
    my ($port, $database) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!";
    my $self = bless {socket => $socket}, __PACKAGE__;
    my $start = pack('N', 196608) . "user\0oxbow\0database\0$database\0\0";
    print $socket pack('N', 4 + length $start) . $start;
    $socket->flush;
    $self->answers;
    return $self;
}

sub message {
    my ($self) = @_;
    my ($head, $body) = ('', '');
    while (length $head < 5) {
        sysread($self->{socket}, $head, 5 - length $head, length $head) or die 'the server is gone';
    }
    my ($type, $len) = unpack 'aN', $head;
    while (length $body < $len - 4) {
        sysread($self->{socket}, $body, $len - 4 - length $body, length $body) or die 'the server is gone';
    }
    return ($type, $body);
}

# Up to ReadyForQuery: [{columns => "name:oid ...", rows => [text]} or {error => SQLSTATE}].
sub answers {
    my ($self) = @_;
    my ($columns, @rows, @answers);
    for (;;) {
        my ($type, $body) = $self->message;
        if ($type eq 'T') {
            my ($count, $at, @names) = (unpack('n', $body), 2);
            for (1 .. $count) {
                my $name = unpack 'Z*', substr $body, $at;
                $at += length($name) + 1;
                push @names, "$name:" . unpack 'N', substr $body, $at + 6, 4;
                $at += 18;
            }
            $columns = join ' ', @names;
        } elsif ($type eq 'D') {
            my ($count, $at, @values) = (unpack('n', $body), 2);
            for (1 .. $count) {
                my $len = unpack 'l>', substr $body, $at, 4;
                $at += 4;
                my $value = $len < 0 ? '\N' : substr $body, $at, $len;
                $value =~ s/\\/\\\\/g if $len >= 0;
                $value =~ s/\n/\\n/g;
                $value =~ s/\t/\\t/g;
                push @values, $value;
                $at += $len if $len > 0;
            }
            push @rows, join "\t", @values;
        } elsif ($type eq 'K') {
            $self->{key} = $body;
        } elsif ($type eq 'C' || $type eq 'I') {
            push @answers, {columns => $columns, rows => [@rows]};
            ($columns, @rows) = ();
        } elsif ($type eq 'E') {
            my ($state) = $body =~ /\0C([^\0]*)\0/;
            push @answers, {error => $state, text => $body =~ /\0M([^\0]*)\0/ ? $1 : ''};
            ($columns, @rows) = ();
        } elsif ($type eq 'Z') {
            return @answers;
        }
    }
}

# Say it; answers() takes what is answered.
sub send {
    my ($self, $text) = @_;
    my $socket = $self->{socket};
    print $socket 'Q' . pack('N', 5 + length $text) . "$text\0";
    $socket->flush;
}

sub query {
    my ($self, $text) = @_;
    $self->send($text);
    return $self->answers;
}

# A CancelRequest for what the connection runs.
sub cancel {
    my ($self) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{socket}->peerport)
        or die "connect: $!";
    print $socket pack('NN', 16, 80877102) . $self->{key};
    $socket->flush;
    close $socket;
}

# The one value that a statement of one row and column answers, in binary form:
# (oid, hexadecimal digits, or "NULL", or "! SQLSTATE"). Parameters are [oid, bytes].
sub binary {
    my ($self, $text, @params) = @_;
    my $message = sub { $_[0] . pack('N', 4 + length $_[1]) . $_[1] };
    my $values = join '', map { pack('N', length $_->[1]) . $_->[1] } @params;
    my $socket = $self->{socket};
    print $socket $message->('P', "\0$text\0" . pack('n N*', scalar @params, map { $_->[0] } @params))
        . $message->('B', "\0\0" . pack('nnn', 1, 1, scalar @params) . $values . pack('nn', 1, 1))
        . $message->('D', "P\0") . $message->('E', "\0\0\0\0\0") . $message->('S', '');
    $socket->flush;
    my ($oid, $answer) = (0, '');
    for (;;) {
        my ($type, $body) = $self->message;
        return ($oid, $answer) if $type eq 'Z';
        $oid = unpack 'N', $body =~ /^..[^\0]*\0.{6}(.{4})/s ? $1 : '' if $type eq 'T';
        $answer = unpack('l>', substr $body, 2) < 0 ? 'NULL' : unpack 'H*', substr $body, 6 if $type eq 'D';
        ($oid, $answer) = (0, $body =~ /\0C([^\0]*)/ ? "! $1" : '!') if $type eq 'E';
    }
}

# What a statement answers, as lines.
sub transcript {
    my ($self, $text) = @_;
    my $out = '';
    for my $answer ($self->query($text)) {
        if (defined $answer->{error}) {
            $out .= "! $answer->{error}\n";
            next;
        }
        my @rows = @{$answer->{rows}};
        @rows = sort @rows unless $text =~ /\bORDER BY\b/i;
        $out .= '= ' . ($answer->{columns} // '') . "\n" . join '', map { "$_\n" } @rows;
    }
    return $out;
}

sub stop {
    return unless @control;
    system @control, '-m', 'immediate', 'stop';
    @control = ();
    remove_tree($running);
}

END {
    my $status = $?;
    stop();
    $? = $status;
}

1;
