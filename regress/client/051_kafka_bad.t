#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The Kafka door and what no good client sends: lengths that lie, frames cut at
# every byte, counts larger than the frame, nulls, versions and APIs that do not
# exist, batches that inflate to much more than they are, peers that are silent,
# half open or never read. Where a broker closes, so do we; OX_KAFKA_ORACLE=1 asks
# Apache Kafka the same. The server goes on, forgets what was refused and takes no
# memory for what was only announced.
use strict;
use warnings;
use Compress::Zlib ();
use Encode ();
use IO::Socket::INET;
use KafkaJars;
use Oxbow;
use Raw;
use Test::More;
use Time::HiRes qw(sleep time);

my $ox = Oxbow->start(settings => {frame_timeout_ms => 2000, write_timeout_ms => 3000}) or die 'no server';
my $port = $ox->{kafka_port};
my $client = pack 'n/a', 'bad';

sub api_versions { return framed(pack('nnN', 18, 0, 77) . $client) }

# A connection of its own that works.
sub serves {
    my $socket = dial($port) or return 0;
    send_all($socket, api_versions()) or return 0;
    my $answer = receive($socket, 8, 30);
    return length $answer == 8 && unpack('x4N', $answer) == 77;
}

# What a server does with these bytes: "closed", or the answer's error or size.
sub outcome {
    my ($port, $bytes, $seconds) = @_;
    my $socket = dial($port) or return 'no connection';
    send_all($socket, $bytes);
    my $head = receive($socket, 8, $seconds // 10);
    return length $head < 8 ? (closed_within($socket, 1) ? 'closed' : 'waits') : 'answered';
}

# ---- lengths and headers: closed, or still waiting for the rest ----

my $metadata = pack('nnN', 3, 1, 1) . $client;
my $flexible = pack('nnN', 3, 9, 1) . $client . "\0";
my @frames = (
    ['closed',   'length -1',                         pack('N', 0xffffffff)],
    ['closed',   'the smallest length',               pack('N', 0x80000000)],
    ['closed',   'a length beyond the limit',         pack('N', 104857601)],
    ['waits',    'a length at the limit',             pack('N', 104857600)],
    ['waits',    'two bytes of a length',             "\0\0"],
    ['closed',   'a frame of nothing',                framed('')],
    (map { ['closed', "a frame of $_ bytes", framed(substr $metadata, 0, $_)] } 1 .. 8, 9, 10, 12),
    ['closed',   'a client id beyond the frame',      framed(pack('nnNn', 3, 1, 1, 100) . 'x')],
    ['answered', 'a client id of length -2: null',          framed(pack('nnNn', 3, 1, 1, 0xfffe) . pack 'N', 0)],
    ['answered', 'a client id that is null',          framed(pack('nnNn', 3, 1, 1, 0xffff) . pack 'N', 0)],
    ['answered', 'a client id that is not UTF-8',     framed(pack('nnN', 3, 1, 1) . pack('n/a', "\xff\xfe") . pack 'N', 0)],
    ['closed',   'Metadata of 2^31-1 topics',         framed($metadata . pack 'N', 0x7fffffff)],
    ['closed',   'Metadata of 1000 topics, one there', framed($metadata . pack('N n/a', 1000, 't'))],
    ['answered', 'Metadata of -2 topics: null',          framed($metadata . pack 'N', 0xfffffffe)],
    ['closed',   'a topic whose name is null',        framed($metadata . pack 'Nn', 1, 0xffff)],
    ['closed',   'a topic whose name has length -2',  framed($metadata . pack 'Nn', 1, 0xfffe)],
    ['closed',   'a topic whose name is longer than the frame', framed($metadata . pack 'Nn', 1, 500)],
    ['closed',   'compact: 2^31 topics',              framed($flexible . "\xff\xff\xff\xff\x0f")],
    ['closed',   'compact: a count of six bytes',     framed($flexible . "\xff\xff\xff\xff\xff\x01")],
    ['closed',   'compact: a count that does not end', framed($flexible . "\xff\xff")],
    ['closed',   'compact: a name that is null',      framed($flexible . "\x02\0\0\1\0\0\0")],
    ['closed',   'compact: a name beyond the frame',  framed($flexible . "\x02\x7fx\0\1\0\0\0")],
    ['answered', 'compact: whole',                    framed($flexible . "\x02\x03zz\0\0\0\0\0")],
    ['answered', 'an unknown tagged field',           framed($flexible . "\x02\x03zz\0\0\0\0\1\x63\x02ab")],
    ['closed',   'a tagged field beyond the frame',   framed($flexible . "\x02\x03zz\0\0\0\0\1\x63\x7fab")],
    ['closed',   '2^28 tagged fields',                framed($flexible . "\x02\x03zz\0\0\0\0\xff\xff\xff\x7f")],
    ['closed',   'tagged fields cut short',           framed($flexible . "\x02\x03zz\0\0\0\0\2\x63\x02ab")],
    ['closed',   'an API that does not exist',        framed(pack('nnN', 1000, 0, 1) . $client)],
    ['closed',   'API -1',                            framed(pack('nnN', 0xffff, 0, 1) . $client)],
    ['closed',   'version -1',                        framed(pack('nnN', 3, 0xffff, 1) . $client)],
    ['closed',   'brokers\' business',                framed(pack('nnN', 62, 0, 1) . $client . "\0" x 50)],
    ['closed',   'Produce whose topics are null',     framed(pack('nnN', 0, 3, 1) . $client . pack 'nnNN', 0xffff, 1, 1000, 0xffffffff)],
    ['closed',   'Fetch whose topics are null',       framed(pack('nnN', 1, 4, 1) . $client . pack 'NNNNCN', 0xffffffff, 10, 1, 100, 0, 0xffffffff)],
    ['closed',   'JoinGroup without a group',         framed(pack('nnN', 11, 0, 1) . $client . pack 'nN', 0xffff, 10000)],
    ['closed',   'OffsetCommit with a null topic',    framed(pack('nnN', 8, 2, 1) . $client . pack('n/a N n q> N n', 'g', 1, 0, -1, 1, 0xffff) . pack 'N', 0)],
    ['closed',   'CreateTopics with a null list',     framed(pack('nnN', 19, 2, 1) . $client . pack 'NN', 0xffffffff, 1000)],
    ['closed',   'DeleteTopics with a null name',     framed(pack('nnN', 20, 1, 1) . $client . pack 'NnN', 1, 0xffff, 1000)],
    ['closed',   'HTTP',                              "GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ['closed',   'a TLS hello',                       "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'x' x 500],
    ['closed',   'an SSH banner',                     "SSH-2.0-OpenSSH_9.2\r\n"],
    ['waits',    'PostgreSQL\'s startup',             pg_startup()],
    ['closed',   'zeros behind a request',            framed('') . "\0" x 100],
);
for my $frame (@frames) {
    my ($want, $name, $bytes) = @$frame;
    is(outcome($port, $bytes, $want eq 'waits' ? 0.3 : 10), $want, $name);
}
ok(serves(), 'it serves');

# ---- every version of every API that is offered, and the two beside them ----

{
    my $socket = dial($port);
    send_all($socket, api_versions());
    my $answer = receive($socket, unpack 'N', receive($socket, 4));
    my (undef, $code, @rows) = unpack 'N n N/(nnn)', $answer;
    is($code, 0, 'the list of APIs');
    my ($beside, @bad) = (0);
    my %lowest = map { $rows[3 * $_] => $rows[3 * $_ + 1] } 0 .. @rows / 3 - 1;
    is($lowest{0}, 0, 'Produce is offered from version 0, or librdkafka would not compress');
    while (my ($key, $low, $high) = splice @rows, 0, 3) {
        for my $version ($low - 1, $high + 1, 0x7fff) {
            next if $version < 0 || $key == 18;
            my $got = outcome($port, framed(pack('nnN', $key, $version, 1) . $client . "\0" x 64));
            push @bad, "$key v$version: $got" if $got ne 'closed';
            $beside++;
        }
        # An empty body: refused, or answered where nothing is asked for.
        for my $version ($low .. $high) {
            my $got = outcome($port, framed(pack('nnN', $key, $version, 1) . $client), 10);
            push @bad, "$key v$version without a body: $got" if $got eq 'waits';
            $beside++;
        }
    }
    is("@bad", '', "$beside versions beside those offered are closed, bodies of nothing decided");
}

# ---- real requests, cut at every byte and with every count too large ----

{
    my ($sent, @waiting) = (0);
    for my $path (sort glob "$Oxbow::TOP/regress/wire/frames/*") {
        open my $in, '<:raw', $path or die "$path: $!";
        my $bytes = do { local $/; <$in> };
        my ($api, $version) = unpack 'nn', $bytes;
        next if $api == 11 || $api == 14; # may be parked, and rightly
        my @forms = map { substr $bytes, 0, $_ } 10 .. length($bytes) - 1;
        for my $at (10 .. length($bytes) - 4) {
            push @forms, substr($bytes, 0, $at) . "\x7f\xff\xff\xff" . substr $bytes, $at + 4;
            push @forms, substr($bytes, 0, $at) . "\xff\xff\xff\xfe" . substr $bytes, $at + 4;
        }
        for my $form (@forms) {
            my $socket = dial($port) or next;
            send_all($socket, framed($form));
            shutdown $socket, 1;
            closed_within($socket, 20) or push @waiting, "$path of " . length $form;
            $sent++;
        }
        last unless $ox->alive;
    }
    is("@waiting[0 .. ($#waiting < 3 ? $#waiting : 3)]", '', "$sent requests cut or with a count that lies: each is closed or answered");
}
ok(serves(), 'it serves');

# ---- pieces ----

{
    my $socket = dial($port);
    for my $byte (split //, api_versions() x 2) {
        send_all($socket, $byte);
        sleep 0.002;
    }
    my $len = unpack 'N', receive($socket, 4);
    receive($socket, $len);
    is(length receive($socket, $len + 4), $len + 4, 'two requests byte by byte get two answers');
    send_all($socket, api_versions() x 500);
    is(length receive($socket, 500 * ($len + 4)), 500 * ($len + 4), '500 requests in one piece get 500');
    send_all($socket, api_versions() . framed('') . api_versions());
    is(length receive($socket, 2 * ($len + 4)), $len + 4, 'what is behind a bad frame is not answered, what is before it is');
}

# ---- batches: codecs that inflate without end, checksums, magic ----

my $socket = dial($port);
is(create_topic($socket, 'bomb'), 0, 'a topic');
sleep 0.3;
sub produced {
    my ($records) = @_;
    my $code = produce_code($socket, 'bomb', $records);
    $socket = dial($port) unless defined $code;
    return $code // 'closed';
}
my $plain = record(0, 'k', 'v');
is(produced(batch(bytes => $plain)), 0, 'a batch as it should be');
is(produced(batch(bytes => $plain, crc => 1)), 2, 'a wrong checksum: CORRUPT_MESSAGE');
is(produced(batch(bytes => $plain, magic => 0)), 87, 'magic 0, with the checksum of another format: CORRUPT_MESSAGE');
is(produced(batch(bytes => $plain, magic => 3)), 2, 'magic 3');
is(produced(batch(bytes => $plain, count => 2)), 87, 'a record less than it says: INVALID_RECORD');
is(produced(batch(bytes => $plain, length => 1 << 30)), 87, 'a batch longer than the request');
is(produced(batch(bytes => $plain, attributes => 7)), 76, 'a codec that does not exist');

# One record whose value is all zeros, of so many MiB, as the batch's first bytes.
sub huge_record { # its bytes before the zeros, and their number
    my ($mib) = @_;
    my $value = $mib << 20;
    my $body = "\0" . varint(0) . varint(0) . varint(-1) . varint($value);
    return (varint(length($body) + $value + 1) . $body, $value + 1);
}
sub gzip_bomb {
    my ($head, $zeros) = huge_record($_[0]);
    my ($deflate) = Compress::Zlib::deflateInit(-WindowBits => 31, -Level => 9);
    my ($out) = $deflate->deflate($head);
    my $block = "\0" x (1 << 20);
    for (; $zeros > 0; $zeros -= length $block) {
        $block = substr $block, 0, $zeros if $zeros < length $block;
        $out .= ($deflate->deflate($block))[0];
    }
    return $out . ($deflate->flush)[0];
}
sub zstd_bomb { # a raw block, then blocks that repeat a byte
    my ($head, $zeros) = huge_record($_[0]);
    my $block = sub { substr pack('V', $_[2] << 3 | $_[1] << 1 | $_[0]), 0, 3 };
    my $out = "\x28\xb5\x2f\xfd\x00\x38" . $block->(0, 0, length $head) . $head; # window 128 KiB
    my $most = 128 << 10;
    while ($zeros > $most) {
        $out .= $block->(0, 1, $most) . "\0";
        $zeros -= $most;
    }
    return $out . $block->(1, 1, $zeros) . "\0";
}
sub lz4_bomb { # blocks of 64 KiB: one zero, then copies of it
    my ($head, $zeros) = huge_record($_[0]);
    my $frame = "\x04\x22\x4d\x18\x60\x40\x82"; # version 1, independent blocks, 64 KiB
    my $raw = pack('V', length($head) | 0x80000000) . $head;
    my $copies = sub {
        my ($len) = @_; # 1 literal, a match, 5 literals at the end
        my $match = $len - 6 - 4 - 15;
        my $block = "\x1f\0\x01\0" . "\xff" x int($match / 255) . chr($match % 255) . "\x50" . "\0" x 5;
        return pack('V', length $block) . $block;
    };
    my $out = $frame . $raw . $copies->(65536) x int($zeros / 65536);
    my $rest = $zeros % 65536;
    $out .= pack('V', $rest | 0x80000000) . "\0" x $rest if $rest;
    return $out . pack 'V', 0;
}
sub snappy_bomb { # a zero, then copies of 64
    my ($head, $zeros) = huge_record($_[0]);
    my $len = length($head) + $zeros;
    my $size = '';
    for (my $n = $len; ; $n >>= 7) {
        $size .= chr($n > 127 ? $n & 127 | 128 : $n);
        last if $n < 128;
    }
    my $literal = sub { chr((length($_[0]) - 1) << 2) . $_[0] };
    my $copies = int(($zeros - 1) / 64);
    return $size . $literal->($head . "\0") . (chr(63 << 2 | 2) . "\x01\0") x $copies
        . join '', map { $literal->("\0") } 1 .. $zeros - 1 - 64 * $copies;
}
my %bombs = (gzip => [1, \&gzip_bomb], snappy => [2, \&snappy_bomb], lz4 => [3, \&lz4_bomb], zstd => [4, \&zstd_bomb]);
for my $codec (sort keys %bombs) {
    my ($attribute, $make) = @{$bombs{$codec}};
    is(produced(batch(bytes => $make->(4), attributes => $attribute)), 0, "$codec: 4 MiB of zeros are taken");
    my $bytes = $make->($codec eq 'snappy' ? 20 : 300);
    next if length $bytes > 1_000_000 && $codec ne 'snappy';
    my $code = produced(batch(bytes => $bytes, attributes => $attribute));
    if ($codec eq 'snappy') { # by its form at most 21 times its size
        is($code, 0, 'snappy: 20 MiB');
    } else {
        is($code, 10, "$codec: " . (length($bytes) >> 10) . ' KiB that inflate to 300 MiB: MESSAGE_TOO_LARGE');
    }
}
is(produced(batch(bytes => "\xff\xff\xff\xff\x0f" . 'x' x 50, attributes => 2)), 2, 'snappy that says it is 4 GiB');
is(produced(batch(bytes => "\x28\xb5\x2f\xfd\x00\xf8" . 'x' x 50, attributes => 4)), 2, 'zstd with a window of 2 TiB');
is(produced(batch(bytes => "\x28\xb5\x2f\xfd\xe0" . "\xff" x 8 . 'x' x 50, attributes => 4)), 2, 'zstd that says it is 2^64-1 bytes');
is(produced(batch(bytes => $plain, attributes => $_)), 2, "attributes say codec $_, the bytes are plain") for 1 .. 4;
cmp_ok(rss_kb($ox->{pid}), '<', 500 * 1024, 'memory came back') unless $Raw::ASAN;
like($ox->sql('SELECT count(*) FROM bomb'), qr/^[67]$/, 'what was taken is there, in SQL too');

# ---- groups are spread as Java spreads them ----

{
    my @groups = ('plain', "gr\x{fc}\x{df}e", "\x{1F600}", "\x{1F600}\x{4e2d}" x 20, 'x' x 200);
    my $java = sub {
        use bytes;
        my $hash = 0;
        $hash = (31 * $hash + $_) & 0xffffffff for unpack 'n*', Encode::encode('UTF-16BE', $_[0]);
        return ($hash & 0x7fffffff) % 50;
    };
    my (@got, @want);
    for my $name (@groups) {
        my $group = Encode::encode('UTF-8', $name);
        my $code;
        for (1 .. 100) {
            kafka_ask($socket, 10, 0, pack 'n/a', $group);
            my $answer = kafka_ask($socket, 8, 2, pack('n/a N n q> N n/a N N q> n', $group, 0xffffffff, 0, -1, 1, 'bomb', 1, 0, 7, 0xffff));
            (undef, undef, $code) = unpack 'x4 n/a N x4 s>', $answer;
            last if $code == 0;
            sleep 0.1;
        }
        push @want, $java->($name) . ' 0';
        my $hex = unpack 'H*', $group;
        push @got, $ox->sql("SELECT DISTINCT _partition FROM \"__consumer_offsets\" WHERE encode(_key::bytea, 'hex') LIKE '%$hex%'") . " $code";
    }
    is("@got", "@want", 'the partition of a group is Java\'s hash of its UTF-16');
}

# ---- room is not set aside by a length ----

{
    my @partial = map { my $s = dial($port); send_all($s, pack('N', 100 << 20) . 'x' x 100); $s } 1 .. 200;
    ok(serves(), '200 connections announce 100 MiB each: it serves');
    cmp_ok(rss_kb($ox->{pid}), '<', 600 * 1024, 'and has not taken the memory') unless $Raw::ASAN;
    my @open = grep { !closed_within($_, 20) } @partial;
    is(scalar @open, 0, 'frames that do not come in are given up');
}

# ---- many of one, in one request: neither time nor memory by their square ----

sub peak_kb {
    open my $in, '<', "/proc/$ox->{pid}/status" or return 0;
    my ($kb) = map { /^VmHWM:\s+(\d+)/ } <$in>;
    return $kb;
}
{
    my ($many, $begun, $before) = (8000, time, peak_kb());
    my $topics = join '', map { pack 'n/a N N', "t$_", 1, 0 } 1 .. $many;
    my $answer = kafka_ask(dial($port), 34, 1, pack('N n/a N', 1, '/', $many) . $topics, 60) // '';
    is(unpack('x4N', $answer), $many, 'AlterReplicaLogDirs of many topics is answered for each');
    is(length $answer, 8 + length($topics) + 2 * $many, 'and each partition of them');
    cmp_ok(peak_kb() - $before, '<', 100 * 1024, 'in little memory') unless $Raw::ASAN;
    $many = 300_000;
    my $parts = pack 'N*', map { $_ % 100_000 } 1 .. $many;
    $answer = kafka_ask(dial($port), 34, 1, pack('N', 2) . (pack('n/a N n/a N', '/', 1, 't', $many) . $parts) x 2, 60) // '';
    is(unpack('x4N', $answer), 1, 'of many partitions in two directories, the topic is answered once');
    is(length $answer, 8 + 3 + 4 + 6 * $many, 'and what was asked twice in the second directory has its row already');
    my $configs = join '', map { pack 'n/a n/a', "c$_", '1' } 1 .. $many;
    $answer = kafka_ask(dial($port), 19, 2, pack('N n/a N n N N', 1, 'new', 1, 1, 0, $many) . $configs . pack('N C', 10000, 0), 60) // '';
    is(unpack('x4 x4 n/x n', $answer), 42, 'CreateTopics with many settings: INVALID_REQUEST');
    cmp_ok(time - $begun, '<', 60, 'all that in a short time');
    ok(serves(), 'and it serves');
}

# ---- half open, silent, not reading ----

{
    my $half = dial($port);
    send_all($half, api_versions());
    shutdown $half, 1;
    ok(closed_within($half, 20), 'a peer that shut down its side is closed');
    $half = dial($port);
    shutdown $half, 1;
    ok(closed_within($half, 20), 'one that never said anything too');
    my @silent = map { dial($port) } 1 .. 300;
    ok(serves(), '300 silent connections: it serves');
}
{
    my $big = record(0, undef, 'x' x 900_000);
    my @fill = map { produce_code($socket, 'bomb', batch(bytes => $big)) } 1 .. 8;
    is("@fill", '0 ' x 7 . '0', '8 MB to read');
    my $fetch = framed(pack('nnN', 1, 4, 1) . $client . pack('NNNNC', 0xffffffff, 100, 1, 50 << 20, 0)
            . pack('N n/a N N q> N', 1, 'bomb', 1, 0, 10, 50 << 20));
    my @deaf = map { dial($port) } 1 .. 20;
    for my $deaf (@deaf) {
        $deaf->blocking(0);
        syswrite $deaf, $fetch x 200;
    }
    ok(serves(), '20 clients ask for 200 times 8 MB and read nothing: it serves');
    sleep 1;
    cmp_ok(rss_kb($ox->{pid}), '<', 400 * 1024, 'answers are not piled up') unless $Raw::ASAN;
    sleep 4;
    my $closed = grep { my $s = $_; send_all($s, 'x'); sleep 0.01; !send_all($s, 'x') || $s->error || !defined getpeername $s } @deaf;
    my $until = time + 30;
    my $count;
    do { $count = $ox->sql("SELECT count(*) FROM oxbow.connections WHERE protocol = 'kafka'"); sleep 0.2 }
        while $count > 1 && time < $until;
    cmp_ok($count, '<=', 1, 'and they are closed after write_timeout_ms');
}

# ---- HTTP ----

for (['garbage', "\0\1\2\3\xff" x 100], ['a request line without end', 'GET /' . 'x' x 100_000],
    ['headers without end', "GET /metrics HTTP/1.1\r\n" . "X: y\r\n" x 50_000],
    ['a length that lies', "POST /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"],
    ['a negative length', "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"],
    ['a Kafka frame', api_versions()], ['a wrong method', "BREW /metrics HTTP/1.1\r\nHost: x\r\n\r\n"],
    ['a path upwards', "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"])
{
    my ($name, $bytes) = @$_;
    my $http = dial($ox->{http_port});
    send_all($http, $bytes);
    shutdown $http, 1;
    my $answer = receive($http, 4096, 3);
    unlike($answer, qr/^HTTP\S+ 2/, "HTTP: $name is not served");
}
{
    my @idle = map { dial($ox->{http_port}) } 1 .. 100;
    send_all($_, 'GET /met') for @idle;
    my $http = dial($ox->{http_port});
    ok($http && send_all($http, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") && receive($http, 65536, 10) =~ m{^HTTP/1.1 200},
        'HTTP: healthy beside 100 requests that do not come in');
}

# ---- too many ----

{
    my $few = Oxbow->start(settings => {max_connections => 20, max_connections_per_ip => 10, 'connections.max.idle.ms' => 1500})
        or die 'no server';
    my @open = map { dial($few->{kafka_port}) } 1 .. 30;
    my $answered = grep { send_all($_, api_versions()) && length receive($_, 8, 3) == 8 } @open;
    is($answered, 10, 'ten connections of one address, and no more');
    ok(closed_within($open[0], 20), 'a connection that is idle is closed');
    close $_ for @open;
    sleep 0.3;
    my $again = dial($few->{kafka_port});
    send_all($again, api_versions());
    is(length receive($again, 8, 20), 8, 'then there is room again');
    is($few->stop, 0, 'that server stops in order');
}
ok(serves(), 'the first serves');
ok($ox->alive, 'and is alive');

SKIP: {
    skip 'no Kafka broker asked for', scalar @frames unless $ENV{OX_KAFKA_ORACLE};
    my $kafka = KafkaJars::start_broker() or skip 'no Kafka broker to be had', scalar @frames;
    for my $frame (@frames) {
        my ($want, $name, $bytes) = @$frame;
        is(outcome($kafka->{port}, $bytes, $want eq 'waits' ? 0.3 : 10), $want, "Kafka: $name");
    }
    KafkaJars::stop_broker($kafka);
}
is($ox->stop, 0, 'it stops in order');
done_testing;
