# SPDX-License-Identifier: Apache-2.0
#
# Speaks both protocols byte by byte, wrongly where a test wants it: frames and
# record batches of Kafka's, messages of PostgreSQL's.
package Raw;
use strict;
use warnings;
use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);

# Memory of a build with AddressSanitizer says nothing.
our $ASAN = do {
    my $text = -e "$ENV{OX_BUILD}/config.h" && do { local (@ARGV, $/) = "$ENV{OX_BUILD}/config.h"; <> };
    $text && $text =~ /^#define OX_ASAN 1/m;
};

our @EXPORT = qw(dial closed_within send_all receive rss_kb framed kafka_header kafka_ask batch record
    varint crc32c produce_body produce_code create_topic pg_message pg_startup pg_dial pg_until
    pg_simple pg_error);

# A connection, not blocking for ever: every read has a deadline.
sub dial {
    my ($port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10);
    binmode $socket if $socket;
    return $socket;
}

# Writes all of it; false when the peer has closed.
sub send_all {
    my ($socket, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $at = 0;
    while ($at < length $bytes) {
        my $n = syswrite $socket, $bytes, length($bytes) - $at, $at;
        return 0 unless defined $n;
        $at += $n;
    }
    return 1;
}

# Up to len bytes; fewer when the peer closes or the time is over.
sub receive {
    my ($socket, $len, $seconds) = @_;
    my ($bytes, $until) = ('', time + ($seconds // 30));
    while (length $bytes < $len) {
        my $left = $until - time;
        last unless $left > 0 && IO::Select->new($socket)->can_read($left);
        my $n = sysread $socket, $bytes, $len - length $bytes, length $bytes;
        last unless $n;
    }
    return $bytes;
}

# Does the peer end the connection in that time? What it says before is read.
sub closed_within {
    my ($socket, $seconds) = @_;
    my $until = time + $seconds;
    while ((my $left = $until - time) > 0) {
        last unless IO::Select->new($socket)->can_read($left);
        my $n = sysread $socket, my $waste, 65536;
        return 1 unless $n;
    }
    return 0;
}

# Resident memory of a process.
sub rss_kb {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/status" or return 0;
    my ($kb) = map { /^VmRSS:\s+(\d+)/ } <$in>;
    return $kb;
}

# ---- Kafka ----

sub framed { return pack('N', length $_[0]) . $_[0] }

sub kafka_header {
    my ($api, $version, $id, $client) = @_;
    $client //= 'raw';
    return pack('nnN', $api, $version, $id) . pack('n/a', $client);
}

# The answer to one request, without length and correlation id; undef: closed.
sub kafka_ask {
    my ($socket, $api, $version, $body, $seconds) = @_;
    send_all($socket, framed(kafka_header($api, $version, 7) . $body)) or return undef;
    my $head = receive($socket, 4, $seconds);
    return undef if length $head < 4;
    my $answer = receive($socket, unpack('N', $head), $seconds);
    return substr $answer, 4;
}

my @crc_table = map {
    my $crc = $_;
    $crc = $crc & 1 ? ($crc >> 1) ^ 0x82F63B78 : $crc >> 1 for 1 .. 8;
    $crc;
} 0 .. 255;

sub crc32c {
    my ($bytes) = @_;
    my $crc = 0xFFFFFFFF;
    $crc = $crc_table[($crc ^ $_) & 255] ^ ($crc >> 8) for unpack 'C*', $bytes;
    return $crc ^ 0xFFFFFFFF;
}

sub varint {
    my ($value) = @_;
    my $raw = $value < 0 ? -2 * $value - 1 : 2 * $value;
    my $out = '';
    while ($raw > 127) {
        $out .= chr(($raw & 127) | 128);
        $raw >>= 7;
    }
    return $out . chr $raw;
}

sub record {
    my ($delta, $key, $value) = @_;
    my $body = "\0" . varint(0) . varint($delta)
        . (defined $key ? varint(length $key) . $key : varint(-1))
        . (defined $value ? varint(length $value) . $value : varint(-1)) . varint(0);
    return varint(length $body) . $body;
}

# A batch of record bytes as they stand: batch(bytes => ..., count, attributes,
# delta, now, magic, crc).
sub batch {
    my (%is) = @_;
    my $count = $is{count} // 1;
    my $now = $is{now} // int(time * 1000);
    my $rest = pack('nNq>q>q>nNN', $is{attributes} // 0, $is{delta} // $count - 1, $now, $now, -1,
        0xFFFF, 0xFFFFFFFF, $count) . $is{bytes};
    my $tail = pack('NCN', 0, $is{magic} // 2, $is{crc} // crc32c($rest)) . $rest;
    return pack('q>N', 0, $is{length} // length $tail) . $tail;
}

# Produce version 3: acks=-1, one partition.
sub produce_body {
    my ($topic, $records) = @_;
    return pack('n n N', 0xFFFF, 0xFFFF, 10000) . pack('N n/a N N N/a', 1, $topic, 1, 0, $records);
}

# The error code that Produce version 7 answers with, undef when closed.
sub produce_code {
    my ($socket, $topic, $records) = @_;
    my $answer = kafka_ask($socket, 0, 7, produce_body($topic, $records), 60) // return undef;
    my ($name, $code) = unpack 'x4 n/a x4 x4 s>', $answer;
    return $code;
}

# CreateTopics version 2, one partition; its error code.
sub create_topic {
    my ($socket, $name, %configs) = @_;
    my $body = pack('N n/a N n N', 1, $name, 1, 1, 0) . pack('N', scalar keys %configs)
        . join('', map { pack 'n/a n/a', $_, $configs{$_} } sort keys %configs)
        . pack('N C', 10000, 0);
    my $answer = kafka_ask($socket, 19, 2, $body) // return undef;
    my (undef, $code) = unpack 'x4 x4 n/a s>', $answer;
    return $code;
}

# ---- PostgreSQL ----

sub pg_message { return $_[0] . pack('N', 4 + length $_[1]) . $_[1] }

sub pg_startup {
    my (%with) = (user => 'oxbow', database => 'oxbow', @_);
    my $body = pack('N', 196608) . join('', map { "$_\0$with{$_}\0" } sort keys %with) . "\0";
    return pack('N', 4 + length $body) . $body;
}

# A session that is ready.
sub pg_dial {
    my ($port) = @_;
    my $socket = dial($port) or return undef;
    send_all($socket, pg_startup());
    my ($seen) = pg_until($socket, 'Z');
    return $seen =~ /Z$/ ? $socket : undef;
}

# Messages up to one of that type, or the end: the string of their types, then
# the messages as [type, body].
sub pg_until {
    my ($socket, $type, $seconds) = @_;
    my ($seen, @messages) = ('');
    while (1) {
        my $head = receive($socket, 5, $seconds);
        last if length $head < 5;
        my ($kind, $len) = unpack 'aN', $head;
        push @messages, [$kind, receive($socket, $len - 4, $seconds)];
        $seen .= $kind;
        last if $kind eq $type;
    }
    return ($seen, @messages);
}

# Fields of the first ErrorResponse among messages, or nothing.
sub pg_error {
    for my $message (@_) {
        next unless $message->[0] eq 'E';
        return map { substr($_, 0, 1) => substr($_, 1) } grep { length } split /\0/, $message->[1];
    }
    return ();
}

# A simple query: the types seen and the messages.
sub pg_simple {
    my ($socket, $text, $seconds) = @_;
    send_all($socket, pg_message('Q', "$text\0")) or return '';
    return pg_until($socket, 'Z', $seconds);
}

1;
