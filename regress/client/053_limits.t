#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Every limit of catalog/limits.tbl is met once and then shown by oxbow.limits and
# by the metrics to have been met; memory is accounted for, and its limit makes
# statements and large requests wait or fail and nothing else.
use strict;
use warnings;
use Oxbow;
use Raw;
use Test::More;
use Time::HiRes qw(sleep time);

my %set = (socket_request_max_bytes => 20 << 20, max_connections => 60, max_connections_per_ip => 50,
    max_connections_logging_in => 5, login_timeout_ms => 1500, frame_timeout_ms => 1000, write_timeout_ms => 1500,
    connections_max_idle_ms => 3000, max_message_bytes => 8 << 20, loops => 1);
my $ox = Oxbow->start(settings => {map { ($_ eq 'max_message_bytes' ? 'message_max_bytes' : $_) => $set{$_} } keys %set}) or die 'no server';
my ($kafka, $sql) = @$ox{qw(kafka_port sql_port)};
my $session = pg_dial($sql);
my $client = pack 'n/a', 'limits';
sub api_versions { return framed(pack('nnN', 18, 0, 1) . $client) }

sub rows {
    my ($text) = @_;
    my ($seen, @messages) = pg_simple($session, $text);
    return map { my @cells = unpack 'x2(N/a)*', $_->[1]; \@cells } grep { $_->[0] eq 'D' } @messages;
}
# The types of messages, and the SQLSTATE if there was one.
sub answer {
    my ($socket, $text) = @_;
    my ($seen, @messages) = pg_simple($socket, $text, 120);
    my %err = pg_error(@messages);
    return $err{C} // ($seen =~ /Z$/ ? 'ok' : 'closed');
}
sub met { my ($row) = rows("SELECT met FROM oxbow.limits WHERE name = '$_[0]'"); return $row->[0] }
sub meets {
    my ($name, $sentence) = @_;
    my $until = time + 30;
    my $met;
    do { $met = met($name); sleep 0.1 if !$met } while !$met && time < $until;
    cmp_ok($met, '>', 0, "$name: $sentence");
}

my %limit = map { $_->[0] => $_ } rows("SELECT name, value, coalesce(setting, ''), coalesce(met, -1) FROM oxbow.limits");
cmp_ok(scalar keys %limit, '>', 20, 'limits are listed');
is($limit{$_->[0]}[1], $set{$_->[1]}, "$_->[0] is the setting $_->[1]")
    for ['kafka_frame', 'socket_request_max_bytes'], ['connections', 'max_connections'], ['connections_per_ip', 'max_connections_per_ip'],
    ['connections_logging_in', 'max_connections_logging_in'], ['login_time', 'login_timeout_ms'], ['frame_time', 'frame_timeout_ms'],
    ['write_time', 'write_timeout_ms'], ['idle_time', 'connections_max_idle_ms'], ['batch', 'max_message_bytes'];
is(join(' ', sort map { $_->[0] } grep { $_->[3] > 0 } values %limit), '', 'none was met yet');
is(answer($session, 'CREATE TOPIC big'), 'ok', 'a topic');
is(create_topic(dial($kafka), 'small', 'max.message.bytes' => 1000), 0, 'and one for small batches');

# ---- frames and messages ----

{
    my $socket = dial($kafka);
    send_all($socket, pack 'N', (20 << 20) + 1);
    ok(closed_within($socket, 10), 'a request too large is closed');
    meets('kafka_frame', 'counted');
    $socket = dial($kafka);
    send_all($socket, framed(pack('nnN', 3, 0, 1) . $client . pack('N', 1_000_001) . "\0\1x" x 1_000_001));
    ok(closed_within($socket, 10), 'an array of too many elements is closed');
    meets('array_elements', 'counted');
    $socket = dial($kafka);
    send_all($socket, framed(pack('nnN', 18, 3, 1) . $client . "\0" . "\2x\2y" . "\x91\x4e" . "\x63\0" x 10001));
    ok(closed_within($socket, 10), 'too many tagged fields are closed');
    meets('tagged_fields', 'counted');
    is(produce_code($socket = dial($kafka), 'small', batch(bytes => record(0, undef, 'x' x 2000))), 10, 'a batch too large: MESSAGE_TOO_LARGE');
    meets('batch', 'counted');
    my $many = sub {
        my $body = "\0" . varint(0) . varint(0) . varint(-1) . varint(1) . 'v' . varint($_[0]) . (varint(1) . 'h' . varint(-1)) x $_[0];
        return batch(bytes => varint(length $body) . $body);
    };
    is(produce_code($socket, 'big', $many->(1001)), 87, 'a record with too many headers: INVALID_RECORD');
    is(produce_code($socket, 'big', $many->(1000)), 0, 'a thousand are not too many');
    meets('record_headers', 'counted');
    my $headers = sub { return "INSERT INTO big (_value, _headers) SELECT 'x', ('{' || string_agg('\"h' || n || '\": \"v\"', ',') || '}')::json FROM generate_series(1, $_[0]) n" };
    is(answer($session, $headers->(1000)), 'ok', 'SQL may write as many');
    is(answer($session, $headers->(1001)), '54000', 'and no more');
    my $wide = kafka_ask($socket, 19, 2, pack('N', 3) . join('', map { pack('n/a N n N N', $_, 3500, 1, 0, 0) } qw(w1 w2 w3)) . pack('N C', 10000, 0));
    is(join(' ', unpack 'x4 x4 (n/x s> n/x)3', $wide), '44 44 44', 'partitions too many for a request: POLICY_VIOLATION, none is made');
    meets('partitions_created', 'counted');
    my $produce = framed(kafka_header(0, 7, 7) . produce_body('big', batch(bytes => record(0, 'k', 'v'))));
    send_all($socket, $produce x 2000);
    meets('requests_under_way', 'reading stops');
    my $bytes = receive($socket, 2000 * 49, 60);
    is(length($bytes) % 2000, 0, 'all are answered');
    my $each = length($bytes) / 2000;
    send_all($socket, framed(kafka_header(0, 7, 7) . produce_body('big', batch(bytes => record(0, 'k', 'v' x 900_000)))) x 30);
    meets('bytes_under_way', 'reading stops');
    is(length receive($socket, 30 * $each, 60), 30 * $each, 'all of them, too');
}
{
    my $socket = dial($sql);
    send_all($socket, pack 'NN', 10001, 196608);
    ok(closed_within($socket, 10), 'a startup packet too long is closed');
    meets('pg_startup', 'counted');
    $socket = pg_dial($sql);
    send_all($socket, 'Q' . pack 'N', 65 << 20);
    ok(closed_within($socket, 10), 'a message too long is closed');
    meets('pg_message', 'counted');
    is(answer($session, 'SELECT ' . 'x' x (16 << 20)), '54000', 'a text too long is refused');
    meets('sql_text', 'counted');
    is(answer($session, 'SELECT ' . '(' x 5000 . 1 . ')' x 5000), '54001', 'nesting too deep is refused');
    meets('sql_nesting', 'counted');
    is(answer($session, "SELECT length(repeat('x', 200000000))"), '54000', 'a value too large is refused');
    is(answer($session, "SELECT length(concat(x, x)) FROM (SELECT repeat('x', 100000000) AS x) y"), '54000', 'another');
    meets('sql_value', 'counted');
    my $many = pg_dial($sql);
    send_all($many, join '', map { pg_message('P', "s$_\0SELECT 1\0\0\0") } 1 .. 1001);
    send_all($many, pg_message('S', ''));
    my ($seen, @messages) = pg_until($many, 'Z', 60);
    is({pg_error(@messages)}->{C}, '54000', 'a prepared statement too many is refused');
    is(answer($many, 'PREPARE one_more AS SELECT 1'), '54000', 'by PREPARE too');
    is(answer($many, 'DEALLOCATE s7; PREPARE one_more AS SELECT 1'), 'ok', 'and there is room when one goes');
    meets('sql_statements', 'counted');
    send_all($many, pg_message('Q', "BEGIN\0") . join '', map { pg_message('B', "p$_\0s1\0\0\0\0\0\0\0") } 1 .. 1001);
    send_all($many, pg_message('S', ''));
    pg_until($many, 'Z', 60);
    ($seen, @messages) = pg_until($many, 'Z', 60);
    is({pg_error(@messages)}->{C}, '54000', 'a portal too many is refused');
    meets('sql_portals', 'counted');
    $many = pg_dial($sql);
    is(answer($many, 'BEGIN; ' . join '; ', map { "DECLARE c$_ CURSOR FOR SUBSCRIBE big" } 1 .. 64), 'ok', '64 subscriptions of a session');
    is(answer($many, 'DECLARE one_more CURSOR FOR SELECT 1'), 'ok', 'others may be opened beside them');
    is(answer($many, 'CLOSE c7; DECLARE again CURSOR FOR SUBSCRIBE big'), 'ok', 'and another one when one goes');
    is(answer($many, 'DECLARE too_many CURSOR FOR SUBSCRIBE big'), '54000', 'one too many is refused');
    meets('sql_subscriptions', 'counted');
}

# ---- connections and time ----

{
    my $half = dial($kafka);
    send_all($half, "\0\0\0\x20" . 'x');
    my $idle = dial($kafka);
    my @strangers = map { dial($sql) } 1 .. 8;
    my $closed = grep { closed_within($_, 0.3) } @strangers;
    cmp_ok($closed, '>=', 3, 'connections that have not logged in: no more than five');
    meets('connections_logging_in', 'counted');
    ok(closed_within($half, 20), 'a frame that does not come in is closed');
    meets('frame_time', 'counted');
    meets('login_time', 'counted');
    ok(closed_within($idle, 20), 'an idle connection is closed');
    meets('idle_time', 'counted');
    my @many = map { dial($kafka) } 1 .. 55;
    meets('connections_per_ip', 'counted');
    close $_ for @many;
    sleep 0.3;
}
{
    is(answer($session, "INSERT INTO big (_value) SELECT repeat('x', 1000000) FROM generate_series(1, 12)"), 'ok', '12 MB');
    my $fetch = framed(pack('nnN', 1, 4, 1) . $client . pack('NNNNC', 0xffffffff, 100, 1, 50 << 20, 0)
            . pack('N n/a N N q> N', 1, 'big', 1, 0, 0, 50 << 20));
    my $deaf = dial($kafka);
    $deaf->blocking(0);
    syswrite $deaf, $fetch x 50;
    meets('output_queue', 'answers wait, requests are not read');
    meets('write_time', 'a client that reads nothing is closed');
}
is(answer($session, 'ALTER SYSTEM SET max_connections = 3'), 'ok', 'settings are live');
{
    my @more = map { dial($kafka) } 1 .. 6;
    meets('connections', 'counted');
}
is(answer($session, 'ALTER SYSTEM SET max_connections = 60'), 'ok', 'and back');

# ---- memory ----

my %class = map { @$_ } rows('SELECT class, bytes FROM oxbow.memory');
my $sum = 0;
$sum += $_ for values %class;
is(join(' ', sort keys %class), 'cache connections coordinators logs metadata other requests rest of the heap statements', 'memory has classes');
cmp_ok($class{statements}, '>', 0, 'statements have some');
my $rss = rss_kb($ox->{pid}) * 1024;
if ($class{'rest of the heap'} > 0) { # a sanitizer's malloc does not tell
    cmp_ok($sum, '<', $rss * 1.15, 'their sum is no more than what is resident');
    cmp_ok($sum, '>', 1 << 20, 'and what the server needs at the least: the rest is the program and what malloc keeps');
}
my $grow = 'SELECT count(*) FROM (SELECT repeat(\'x\', 1000) || n AS x FROM generate_series(1, 20000) n ORDER BY 1) y';
is(answer($session, $grow), 'ok', '20 MB are sorted');
is(answer($session, 'ALTER SYSTEM SET memory_limit = 3000000'), 'ok', 'memory_limit is 3 MB');
is((rows("SELECT value FROM oxbow.limits WHERE name = 'memory'"))[0][0], 3000000, 'and shown');
is(answer($session, $grow), '53200', 'now it is refused');
is(answer($session, 'SELECT 1'), 'ok', 'small statements go on');
meets('memory', 'counted');
{
    my $of = sub { pack('N', $_[0]) . pack('C n/a N', 4, '1', 0xffffffff) x $_[0] . "\1" };
    my $met = met('memory');
    is(kafka_ask(dial($kafka), 32, 1, $of->(3000), 60), undef, 'all settings three thousand times are more than there is memory for');
    cmp_ok(met('memory'), '>', $met, 'which is counted');
    like(kafka_ask(dial($kafka), 32, 1, $of->(1), 60), qr/log\.retention\.ms/, 'once is not');
}
is(answer($session, 'ALTER SYSTEM SET memory_limit = 400000'), 'ok', 'memory_limit is 400 kB');
{
    my $socket = dial($kafka);
    my $held = dial($kafka); # a request that takes what there is
    send_all($held, pack('N', 15 << 20) . 'x' x 1_000_000);
    send_all($socket, pack('N', 15 << 20) . 'x' x 9_000_000);
    ok(closed_within($socket, 20), 'a large request for which there is no memory is not read and given up');
    my $small = dial($kafka);
    send_all($small, api_versions());
    is(length receive($small, 8), 8, 'small requests go on');
}
is(answer($session, 'ALTER SYSTEM RESET memory_limit'), 'ok', 'without it');
is(answer($session, $grow), 'ok', 'all goes on');

# ---- the same in the metrics ----

{
    my $http = dial($ox->{http_port});
    send_all($http, "GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n");
    my $text = receive($http, 1 << 20, 10);
    like($text, qr/^oxbow_memory_bytes\{class="$_"\} \d+$/m, "memory of $_ is a metric") for qw(connections requests statements cache heap);
    like($text, qr/^oxbow_limits_met_total\{limit="$_"\} [1-9]\d*$/m, "$_ is a metric")
        for qw(kafka_frame array_elements sql_nesting connections memory write_time);
    like($text, qr/^oxbow_resident_memory_bytes [1-9]\d+$/m, 'resident memory is a metric');
}
my @never = map { $_->[0] } rows('SELECT name FROM oxbow.limits WHERE met = 0 ORDER BY name');
is("@never", 'disk_reserve fetch_session_partitions inflated_batch kafka_frame_before_login',
    'the others are met elsewhere (080, unit/kafka_frame, 051, wire/secured)');
ok($ox->alive, 'the server is alive');
is($ox->stop, 0, 'and stops in order');
done_testing;
