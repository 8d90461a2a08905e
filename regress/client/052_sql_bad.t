#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The PostgreSQL door and what no good client sends: startup packets of wrong
# sorts, messages of wrong lengths, types, shapes and orders, statements that are
# too long, too deep or not text. Codes are those of PostgreSQL. The server goes
# on, and so does the connection wherever the next message can be found.
use strict;
use warnings;
use Oxbow;
use Raw;
use Test::More;

my $ox = Oxbow->start(settings => {login_timeout_ms => 2000, frame_timeout_ms => 2000}) or die 'no server';
my $port = $ox->{sql_port};
my $socket;

# ---- startup ----

# What comes back for these bytes on a connection of their own.
sub answers {
    my ($bytes) = @_;
    my $socket = dial($port);
    send_all($socket, $bytes);
    my ($seen, @messages) = pg_until($socket, 'Z', 10);
    return ($seen, pg_error(@messages));
}

sub refused {
    my ($bytes, $code, $sentence) = @_;
    my ($seen, %err) = answers($bytes);
    is($err{C}, $code, $sentence) or diag "$seen $err{M}";
    is($err{S}, 'FATAL', '  ends the connection');
}

sub packet { return pack('N', 4 + length $_[0]) . $_[0] }

refused(pack('NN', 0, 196608), '08P01', 'startup: length 0');
refused(pack('NN', 7, 196608), '08P01', 'startup: length 7');
refused(pack('NN', 10001, 196608), '08P01', 'startup: longer than 10000');
refused(pack('NN', 0x80000000, 196608), '08P01', 'startup: negative length');
refused("GET / HTTP/1.1\r\nHost: x\r\n\r\n", '08P01', 'an HTTP request');
refused("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'x' x 500, '08P01', 'a TLS hello');
refused("SSH-2.0-OpenSSH_9.2\r\n", '08P01', 'an SSH banner');
refused(packet(pack 'N', 131072), '0A000', 'protocol 2.0');
refused(packet(pack('N', 0x7fff0000) . "user\0a\0\0"), '0A000', 'protocol 32767.0');
refused(packet(pack('N', 196608) . "user\0oxbow\0"), '08P01', 'startup without its end');
refused(packet(pack('N', 196608) . "user\0oxbow"), '08P01', 'startup cut in a value');
refused(packet(pack('N', 196608) . "user\0oxbow\0\0more"), '08P01', 'startup with more behind its end');
refused(packet(pack('N', 196608) . "\0"), '28000', 'startup without a user');
refused(packet(pack('N', 196608)), '08P01', 'startup with nothing');
refused(packet(pack('N', 196608) . "user\0\xff\xfe\0\0"), '22021', 'a user that is not UTF-8');
refused(pg_startup(options => '-c nonsense'), '42601', 'options without a value');
refused(pg_startup(options => '-c no_such_setting=1'), '42704', 'a setting that does not exist');
refused(pg_startup(work_mem => 'much'), '22023', 'a bad value of a setting');
refused(pg_startup(replication => 'true'), '0A000', 'replication');
refused(pg_startup(map { ("s$_" => 1) } 1 .. 500), '54000', 'too many settings');

{
    my $socket = dial($port);
    send_all($socket, pack 'NN', 8, 80877103);
    is(receive($socket, 1), 'N', 'SSLRequest is answered');
    send_all($socket, pack 'NN', 8, 80877104);
    is(receive($socket, 1), 'N', 'then GSSENCRequest');
    send_all($socket, pg_startup());
    like((pg_until($socket, 'Z'))[0], qr/^R.*KZ$/, 'then it starts');
    $socket = dial($port);
    send_all($socket, pack 'NN', 8, 80877103);
    receive($socket, 1);
    send_all($socket, pack 'NN', 8, 80877103);
    my %err = pg_error((pg_until($socket, 'Z'))[1]);
    is($err{C}, '0A000', 'SSLRequest twice is refused');
    $socket = dial($port);
    send_all($socket, pack 'NNNN', 16, 80877102, 1, 12345);
    ok(closed_within($socket, 10), 'a cancel request with a wrong key is closed without a word');
    # at once, before the server has looked: the end, and no reset
    my $ends = 0;
    for (1 .. 10) {
        my $cancel = dial($port);
        send_all($cancel, pack 'NNNN', 16, 80877102, 1, 12345);
        $ends++ if (sysread($cancel, my $byte, 1) // -1) == 0;
    }
    is($ends, 10, 'cancel requests end without a reset');
    $socket = dial($port);
    send_all($socket, pack 'NN', 8, 80877102);
    ok(closed_within($socket, 10), 'one without a key too');
    my $silent = dial($port);
    my $slow = dial($port);
    send_all($slow, pack 'NN', 8, 80877103);
    receive($slow, 1);
    ok(closed_within($silent, 20), 'a client that never logs in is closed');
    ok(closed_within($slow, 20), 'one that only asked for encryption too');
}
{
    my ($seen) = answers(pg_startup() =~ s/\x00\x03\x00\x00/\x00\x03\x00\x09/r);
    like($seen, qr/^vR/, 'a newer minor version is told what is spoken');
    ($seen) = answers(pg_startup('_pq_.unknown' => 'x'));
    like($seen, qr/^vR/, 'an unknown protocol option too');
}

# ---- messages after login ----

$socket = pg_dial($port);
sub alive_and_well {
    my ($sentence) = @_;
    my ($seen, @messages) = pg_simple($socket, 'SELECT 1');
    is($seen, 'TDCZ', $sentence // '  and the connection is alive') or $socket = pg_dial($port);
}
# These bytes, then Sync where the protocol wants it: the error, and it lives.
sub wrong {
    my ($bytes, $code, $sentence) = @_;
    send_all($socket, $bytes . pg_message('S', ''));
    my ($seen, @messages) = pg_until($socket, 'Z', 30);
    my %err = pg_error(@messages);
    is($err{C}, $code, $sentence) or diag "$seen: ", $err{M} // '';
    like($seen, qr/^[^EZ]*EZ$/, '  once');
    alive_and_well();
}
my ($P, $B, $D, $E, $C) = map { my $type = $_; sub { pg_message($type, join '', @_) } } qw(P B D E C);
my $prepare = $P->("\0SELECT \$1::int\0", pack 'n', 0);
wrong($P->("\0SELECT 1\0"), '08P01', 'Parse without a count');
wrong($P->("\0SELECT 1"), '08P01', 'Parse without the end of its text');
wrong($P->("\0SELECT 1\0", pack 'n', 3), '08P01', 'Parse with fewer types than it says');
wrong($P->("\0SELECT 1\0", pack('n', 0), 'x'), '08P01', 'Parse with more behind its end');
wrong($P->("\0SELECT 1\0", pack 'n', 65535), '08P01', 'Parse of 65535 types that are not there');
wrong($P->("\0SELECT \$1\0", pack 'nN', 1, 999999), '42704', 'Parse with a type that does not exist');
wrong($P->("\0SELECT 1; SELECT 2\0", pack 'n', 0), '42601', 'Parse of two statements');
wrong($P->("\0SELECT \$0\0", pack 'n', 0), '42P02', 'Parse of parameter 0');
wrong($P->("\0SELECT \$99999999999\0", pack 'n', 0), '42P02', 'Parse of a parameter beyond all bounds');
wrong($P->("\0SELECT \$65536\0", pack 'n', 0), '42P02', 'Parse of parameter 65536');
wrong($P->("\0SELECT 'a\xff'\0", pack 'n', 0), '22021', 'Parse of what is not UTF-8');
wrong($B->("\0nothing\0", pack 'nnn', 0, 0, 0), '26000', 'Bind of a statement that does not exist');
wrong($prepare . $B->("\0\0", pack 'nnn', 0, 0, 0), '08P01', 'Bind without the parameter');
wrong($prepare . $B->("\0\0", pack 'nnN/aN/an', 0, 2, '1', '2', 0), '08P01', 'Bind with one too many');
wrong($prepare . $B->("\0\0", pack 'nnnnN/an', 2, 0, 0, 1, '1', 0), '08P01', 'Bind with two formats for one');
wrong($prepare . $B->("\0\0", pack 'nnnN/an', 1, 7, 1, '1', 0), '22023', 'Bind with format 7');
wrong($prepare . $B->("\0\0", pack 'nnN/ann', 0, 1, '1', 1, 9), '22023', 'Bind with result format 9');
wrong($prepare . $B->("\0\0", pack 'nnN/annnn', 0, 1, '1', 3, 0, 0, 0), '08P01', 'Bind with three result formats for one');
wrong($prepare . $B->("\0\0", pack('nnN/an', 0, 1, '1', 65535) . "\0\0" x 65535), '08P01', 'Bind with 65535 result formats');
wrong($prepare . $B->("\0\0", pack 'nnN', 0, 1, 0xFFFFFFFE), '08P01', 'Bind with length -2');
wrong($prepare . $B->("\0\0", pack 'nnN', 0, 1, 0x7FFFFFFF), '08P01', 'Bind with a length beyond the message');
wrong($prepare . $B->("\0\0", pack 'nn', 0, 65535), '08P01', 'Bind with 65535 parameters that are not there');
wrong($prepare . $B->("\0\0", pack 'nnN/an', 0, 1, 'x', 0), '22P02', 'Bind of a text that is no number');
wrong($prepare . $B->("\0\0", pack 'nnnN/an', 1, 1, 1, 'xy', 0), '22P03', 'Bind of two bytes for a binary int');
wrong($prepare . $B->("\0\0", pack 'nnnN/an', 1, 1, 1, 'toolong', 0), '22P03', 'Bind of seven');
wrong($P->("\0SELECT \$1::text\0", pack 'n', 0) . $B->("\0\0", pack 'nnN/an', 0, 1, "a\xff", 0), '22021', 'Bind of what is not UTF-8');
wrong($P->("\0SELECT \$1::text\0", pack 'n', 0) . $B->("\0\0", pack 'nnN/an', 0, 1, "a\0b", 0), '22021', 'Bind of a NUL in text');
wrong($E->("nothing\0", pack 'N', 0), '34000', 'Execute of a portal that does not exist');
wrong($E->("nothing\0"), '08P01', 'Execute without its row count');
wrong($E->("nothing\0", pack('N', 0), 'x'), '08P01', 'Execute with more behind its end');
wrong($P->("\0COPY (VALUES (1)) TO STDOUT\0", pack 'n', 0) . $B->("\0\0", pack 'nnn', 0, 0, 0)
    . $E->("\0", pack 'N', 0) x 2, '55000', 'Execute of a COPY that has run');
wrong($D->("Snothing\0"), '26000', 'Describe of a statement that does not exist');
wrong($D->("Pnothing\0"), '34000', 'Describe of a portal that does not exist');
wrong($D->("X\0"), '08P01', 'Describe of neither');
wrong($D->(''), '08P01', 'Describe of nothing');
wrong($D->("S"), '08P01', 'Describe without a name');
wrong($C->("X\0"), '08P01', 'Close of neither');
wrong($C->(''), '08P01', 'Close of nothing');
wrong($prepare . $B->("\0\0", pack 'nnN/an', 0, 1, '1', 0) . $E->("\0", pack 'N', 0) . $B->("\0no\0", pack 'nnn', 0, 0, 0), '26000', 'an error behind a result');

# Names that lead to themselves, or to what gives no rows.
my ($plain, $none) = (pack('n', 0), pack('nnn', 0, 0, 0));
wrong($P->("s\0EXECUTE s\0", $plain) . $D->("Ss\0"), '0A000', 'a statement that executes itself');
wrong($C->("Ss\0") . $P->("s\0EXECUTE t\0", $plain) . $P->("t\0EXECUTE s\0", $plain) . $B->("\0s\0", $none),
    '0A000', 'two that execute each other');
wrong($P->("e\0EXPLAIN EXECUTE e\0", $plain) . $B->("\0e\0", $none), '0A000', 'one that explains itself');
wrong($P->("\0$_ p\0", $plain) . $B->("p\0\0", $none) . $E->("p\0", pack 'N', 0), '55000', "$_ from its own portal")
    for 'FETCH', 'MOVE';
wrong($P->("\0$_\0", $plain) . $B->("g\0\0", $none) . $P->("\0FETCH g\0", $plain) . $B->("h\0\0", $none),
    '55000', "FETCH from a portal of $_")
    for 'BEGIN', 'EXPLAIN ANALYZE SELECT 1, 2', 'COPY (SELECT 1) TO STDOUT', 'CREATE TOPIC bad_portal', '';
{
    pg_simple($socket, 'BEGIN; DECLARE c CURSOR FOR SELECT 1, 2, 3, 4');
    send_all($socket, $P->("f\0FETCH c\0", $plain) . $B->("f\0f\0", $none) . pg_message('S', ''));
    is((pg_until($socket, 'Z'))[0], '12Z', 'a FETCH is bound');
    pg_simple($socket, 'CLOSE c; DECLARE c CURSOR FOR SELECT 1');
    send_all($socket, $E->("f\0", pack 'N', 0) . pg_message('S', ''));
    my ($seen, @messages) = pg_until($socket, 'Z');
    is({pg_error(@messages)}->{C}, '0A000', 'and its cursor is another by then');
    pg_simple($socket, 'ROLLBACK');
    alive_and_well();
    pg_simple($socket, 'CREATE TOPIC bad_wait');
    for my $timeout ('1 month', '2000000000 days') {
        pg_simple($socket, 'BEGIN; DECLARE w CURSOR FOR SUBSCRIBE bad_wait (_value) FROM LATEST');
        send_all($socket, pg_message('Q', "FETCH w WITH (timeout = '$timeout')\0"));
        select undef, undef, undef, 0.5;
        pg_simple(pg_dial($port), "INSERT INTO bad_wait (_value) VALUES ('x')");
        is((pg_until($socket, 'Z'))[0], 'TDCZ', "FETCH waits up to $timeout");
        pg_simple($socket, 'ROLLBACK');
    }
}

{
    send_all($socket, $C->("Snothing\0") . $C->("Pnothing\0") . pg_message('S', ''));
    is((pg_until($socket, 'Z'))[0], '33Z', 'Close of what does not exist is fine');
    send_all($socket, join '', map { pg_message($_, '') } qw(d c f H S S));
    is((pg_until($socket, 'Z'))[0], 'Z', 'COPY data outside of COPY is left alone');
    is((pg_until($socket, 'Z'))[0], 'Z', 'each Sync is answered');
    send_all($socket, $P->("\0SELECT 1\0", $plain) . $B->("\0\0", $none) . pg_message('Q', "SELECT 2\0")
            . $E->("\0", pack 'N', 0) . pg_message('S', '') . $B->("\0\0", $none) . pg_message('S', ''));
    is((pg_until($socket, 'Z'))[0], '12TDCZ', 'a Query behind Parse and Bind is answered');
    for (['34000', 'portal'], ['26000', 'statement']) {
        my ($seen, @messages) = pg_until($socket, 'Z');
        is({pg_error(@messages)}->{C}, $_->[0], "and closed the unnamed $_->[1]") or diag $seen;
    }
    send_all($socket, $P->("n\0SELECT 1\0", $plain) . pg_message('Q', "SELECT 2\0") . $B->("\0n\0", $none)
            . $C->("Sn\0") . pg_message('S', ''));
    is((pg_until($socket, 'Z'))[0], '1TDCZ', 'a Query behind a named statement');
    is((pg_until($socket, 'Z'))[0], '23Z', 'leaves that');
    my $long = 'n' x 100;
    send_all($socket, $P->("$long\0SELECT 1\0", pack 'n', 0) x 2 . $P->("\0SELECT 1\0", pack 'n', 0) . pg_message('S', ''));
    my ($seen, @messages) = pg_until($socket, 'Z');
    is($seen, '1EZ', 'a name taken; what follows is skipped up to Sync');
    my $many = 'SELECT ' . join '+', map { "\$$_\:\:int" } 1 .. 65535;
    send_all($socket, $P->("\0SELECT coalesce(" . join(',', map { "\$$_" } 1 .. 1600) . ")::text\0", pack 'n', 0)
            . $B->("\0\0", pack('nn', 0, 1600) . pack('N/a', 'x') x 1600, pack 'n', 0)
            . $E->("\0", pack 'N', 0) . pg_message('S', ''));
    ($seen, @messages) = pg_until($socket, 'Z', 60);
    is($seen, '12DCZ', '1600 parameters');
    send_all($socket, $P->("\0SELECT 1 WHERE 1 IN (" . join(',', map { "\$$_" } 1 .. 65535) . ")\0", pack 'n', 0)
            . $B->("\0\0", pack('nn', 0, 65535) . pack('N/a', '1') x 65535, pack 'n', 0)
            . $E->("\0", pack 'N', 0) . pg_message('S', ''));
    ($seen, @messages) = pg_until($socket, 'Z', 120);
    like($seen, qr/^12DCZ$|^EZ$/, '65535 parameters are taken or refused') or diag $seen, explain {pg_error(@messages)};
    alive_and_well();
    send_all($socket, pg_message('F', pack 'Nnnn', 1, 0, 0, 0));
    ($seen, @messages) = pg_until($socket, 'Z');
    is({pg_error(@messages)}->{C}, '0A000', 'function calls are not served');
    alive_and_well();
    send_all($socket, pg_message('Q', 'SELECT 1'));
    ($seen, @messages) = pg_until($socket, 'Z');
    is({pg_error(@messages)}->{C}, '08P01', 'Query without its end');
    send_all($socket, pg_message('Q', ''));
    ($seen, @messages) = pg_until($socket, 'Z');
    is({pg_error(@messages)}->{C}, '08P01', 'Query of nothing');
    send_all($socket, pg_message('Q', "SELECT 1\0SELECT 2\0"));
    ($seen, @messages) = pg_until($socket, 'Z');
    is({pg_error(@messages)}->{C}, '08P01', 'Query with a NUL inside');
    alive_and_well();
}

# Where the next message starts is not known: the end.
for (['Q' . pack('N', 3), 'a length below 4'], ['Q' . pack('N', 0x7fffffff), 'a length beyond all bounds'],
    ['Q' . pack('N', 0xffffffff), 'a negative length'], ['D' . pack('N', 20000), 'a long Describe'],
    ["\x01" . pack('N', 4), 'a type that is none'], ["GET / HTTP/1.1\r\n\r\n", 'HTTP'],
    ['p' . pack('N', 5) . "\0", 'a password nobody asked for'])
{
    my ($bytes, $sentence) = @$_;
    my $socket = pg_dial($port);
    send_all($socket, $bytes);
    my ($seen, @messages) = pg_until($socket, 'Z', 10);
    my %err = pg_error(@messages);
    is("$seen $err{S} $err{C}", 'E FATAL 08P01', $sentence);
}
{
    my $half = pg_dial($port);
    send_all($half, 'Q' . pack('N', 1000) . 'SELECT');
    my $asleep = pg_dial($port);
    ok(closed_within($half, 20), 'a message that does not come in is given up');
    is((pg_simple($asleep, 'SELECT 1'))[0], 'TDCZ', 'a session that is silent lives');
    my @partial = map { my $s = pg_dial($port); send_all($s, 'Q' . pack('N', 60 << 20) . 'x'); $s } 1 .. 100;
    my $before = rss_kb($ox->{pid});
    cmp_ok($before, '<', 600 * 1024, 'room is not set aside by a length alone') unless $Raw::ASAN;
}

# ---- COPY ----

is((pg_simple($socket, 'CREATE TOPIC bad_copy'))[0], 'CZ', 'a topic');
sub copying {
    send_all($socket, pg_message('Q', "COPY bad_copy (_key, _value) FROM STDIN\0"));
    is((pg_until($socket, 'G'))[0], 'G', 'COPY begins');
}
copying();
send_all($socket, pg_message('S', '') . pg_message('H', '') . pg_message('d', "k\tv\n") . pg_message('S', '') . pg_message('c', ''));
is((pg_until($socket, 'Z'))[0], 'CZ', 'Sync and Flush inside of COPY are left alone');
copying();
send_all($socket, pg_message('d', "k\tv\ttoo many\n") . pg_message('d', "k\tv\n") . pg_message('c', ''));
{
    my ($seen, @messages) = pg_until($socket, 'Z');
    is({pg_error(@messages)}->{C}, '22P04', 'a line with a column too many');
    alive_and_well();
}
copying();
send_all($socket, pg_message('d', "k\t\xff\xfe\n") . pg_message('c', ''));
{
    my ($seen, @messages) = pg_until($socket, 'Z');
    is({pg_error(@messages)}->{C}, '22021', 'a line that is not UTF-8');
    alive_and_well();
}

# What PostgreSQL 15 says of the data: '' is what it takes.
my $signature = "PGCOPY\n\xff\r\n\0";
for (['text', "k\rv\n", 'literal carriage return found in data'], ['text', "k\tv\r\n", ''],
    ['csv', "k,v\rk,v\r", 'unquoted carriage return found in data'], ['csv', "k,\"v\r\"\r\n", ''],
    ['binary', $signature . pack('NN', 0, 3) . 'ext' . pack('nN/aN/an', 2, 'k', 'v', 0xffff), ''],
    ['binary', $signature . pack('NNn', 5, 0, 0xffff), ''],
    ['binary', substr($signature, 0, 5), 'COPY file signature not recognized'],
    ['binary', $signature . pack('NNn', 1 << 16, 0, 0xffff), 'invalid COPY file header (WITH OIDS)'],
    ['binary', $signature . pack('NNn', 1 << 20, 0, 0xffff), 'unrecognized critical flags in COPY file header'],
    ['binary', $signature . pack('NN', 0, 0xffffffff), 'invalid COPY file header (missing length)'],
    ['binary', $signature . pack('NN', 0, 30) . 'ext', 'invalid COPY file header (wrong length)'],
    ['binary', $signature . pack('NNn', 0, 0, 0xffff) . 'more', 'received copy data after EOF marker']) {
    my ($format, $data, $want) = @$_;
    send_all($socket, pg_message('Q', "COPY bad_copy (_key, _value) FROM STDIN (FORMAT $format)\0"));
    pg_until($socket, 'G');
    send_all($socket, pg_message('d', $data) . pg_message('c', ''));
    my ($seen, @messages) = pg_until($socket, 'Z');
    my %err = pg_error(@messages);
    is_deeply([@err{'C', 'M'}], $want ? ['22P04', $want] : [undef, undef], "$format: " . ($want || 'well'));
}
pg_simple($socket, 'TRUNCATE bad_copy');
copying();
send_all($socket, pg_message('f', "changed my mind\0"));
{
    my ($seen, @messages) = pg_until($socket, 'Z');
    is({pg_error(@messages)}->{C}, '57014', 'CopyFail');
    alive_and_well();
}
copying();
send_all($socket, pg_message('Q', "SELECT 1\0"));
{
    my ($seen, @messages) = pg_until($socket, 'Z', 10);
    my %err = pg_error(@messages);
    is("$err{S} $err{C}", 'FATAL 08P01', 'a Query inside of COPY ends the connection');
    $socket = pg_dial($port);
    copying();
    close $socket;
    $socket = pg_dial($port);
    my ($count) = map { $_->[0] eq 'D' ? substr $_->[1], 6 : () } (pg_simple($socket, 'SELECT count(*) FROM bad_copy'))[1 .. 4];
    is($count, 0, 'what was not finished is not there');
}

# ---- errors at every position ----

# A word that fits nowhere, put before every word of a statement: the error says
# where, and the shell points at it.
{
    my @statements = (
        'SELECT a, count(*) FILTER (WHERE b > 1) AS n FROM bad_copy WHERE _key IN (1, 2) GROUP BY a HAVING count(*) > 1 ORDER BY n DESC LIMIT 5 OFFSET 1',
        'INSERT INTO bad_copy (_key, _value) VALUES (1, 2) RETURNING _offset',
        'CREATE TOPIC t PARTITIONS 3 WITH (retention_ms = 5)', 'ALTER TOPIC t SET (retention_ms = 5)', 'DROP TOPIC IF EXISTS t',
        'SUBSCRIBE bad_copy FROM OFFSET 5 UNTIL LATEST LIMIT 3',
        'COPY bad_copy (_key, _value) FROM STDIN WITH (FORMAT csv, HEADER)',
        'WITH x AS (SELECT 1) SELECT CASE WHEN x.a IS NULL THEN 1 ELSE 2 END FROM x JOIN y ON x.a = y.a',
        'SELECT CAST(a AS int), a::text, a[1] FROM (VALUES (1)) AS v (a)',
        'DECLARE c CURSOR FOR SELECT 1', 'SET work_mem = 100', 'EXPLAIN ANALYZE SELECT 1', 'PREPARE p (int) AS SELECT $1',
        'SELECT 1 UNION ALL SELECT 2 EXCEPT SELECT 3');
    my ($tried, @wrong) = (0);
    for my $statement (@statements) {
        my @words = split /(?<=[ (),])|(?=[(),])/, $statement;
        for my $at (0 .. @words) {
            my $before = join '', @words[0 .. $at - 1];
            my $text = "$before ]] " . join '', @words[$at .. $#words];
            my ($seen, @messages) = pg_simple($socket, $text, 30);
            my %err = pg_error(@messages);
            # What is served is not known by its first word alone.
            next if $at == 1 && $statement =~ /^(CREATE|ALTER|DROP)/ && $err{C} eq '0A000';
            my $good = $seen eq 'EZ' && $err{C} eq '42601' && $err{P} && $err{P} == length($before) + 2;
            push @wrong, "$text: $seen " . join ' ', map { "$_=" . ($err{$_} // '-') } qw(C P M) unless $good;
            $tried++;
        }
    }
    is(scalar @wrong, 0, "$tried statements with a word that fits nowhere: 42601 and where it is")
        or diag join "\n", @wrong > 12 ? @wrong[0 .. 11] : @wrong;
    alive_and_well();
    my (undef, $out) = $ox->command("SELECT 1 +\n  2 ]] 3;\n", "$Oxbow::BUILD/oxsql", '-X');
    like($out, qr/^ERROR:  syntax error at or near "\]".*^LINE 2: *2 \]\] 3;?\n +\^/ms, 'the shell shows the line and points at the word');
    my ($line, $caret) = $out =~ /^(LINE 2: .*)\n( +\^)/m;
    is(index($line // '', ']'), length($caret // '') - 1, 'exactly');
}

# ---- texts ----

sub sql_code {
    my ($text, $seconds) = @_;
    my ($seen, @messages) = pg_simple($socket, $text, $seconds // 120);
    my %err = pg_error(@messages);
    return $err{C} // ($seen =~ /Z$/ ? 'ok' : 'closed');
}
sub deep {
    my ($text, $sentence, $code) = @_;
    is(sql_code($text), $code // '54001', $sentence);
    alive_and_well();
}
for my $n (100_000) {
    deep('SELECT ' . '(' x $n . 1 . ')' x $n, 'parentheses');
    deep('SELECT ' . '(' x $n, 'parentheses that never close');
    deep('SELECT ' . 'CASE WHEN true THEN ' x $n . 1 . ' END' x $n, 'CASE');
    deep('SELECT ' . '(SELECT ' x $n . 1 . ')' x $n, 'sub-queries');
    deep('SELECT * FROM ' . '(SELECT * FROM ' x $n . 'bad_copy' . ') x' x $n, 'derived tables');
    deep('SELECT ' . 'ARRAY[' x $n . 1 . ']' x $n, 'array constructors');
    deep('SELECT ' . 'abs(' x $n . 1 . ')' x $n, 'function calls');
    deep('SELECT ' . 'NOT ' x $n . 'true', 'NOT');
    deep('SELECT ' . '- ' x $n . '1', 'signs');
    deep('SELECT 1' . ' + 1' x $n, 'sums', '54001');
    deep('SELECT true' . ' AND true' x $n, 'AND is flat', 'ok');
    deep("SELECT 'a'" . " || 'a'" x $n, 'concatenations', '54001');
    deep('SELECT 1' . '::int' x $n, 'casts');
    deep("SELECT '{}'::jsonb" . " -> 'a'" x $n, 'arrows');
    deep('SELECT 1' . ' UNION ALL SELECT 1' x $n, 'UNION');
    deep('SELECT * FROM bad_copy' . ' JOIN bad_copy ON true' x $n, 'joins');
    deep('WITH a AS (' x $n . 'SELECT 1' . ') SELECT 1' x $n, 'WITH');
    deep('SELECT ' . 'EXISTS (SELECT ' x $n . '1' . ')' x $n, 'EXISTS');
    deep('SELECT 1 IN (' x $n . '1' . ')' x $n, 'IN');
    deep('EXPLAIN ' x $n . 'SELECT 1', 'EXPLAIN', '42601');
    deep("SELECT '" . '[' x $n . "'::jsonb", 'JSON that never closes', '54001');
    deep("SELECT '" . '[' x $n . ']' x $n . "'::jsonb", 'JSON lists', '54001');
    deep("SELECT '" . '{"a":' x $n . '1' . '}' x $n . "'::jsonb", 'JSON objects', '54001');
    deep("SELECT '" . '{' x $n . '}' x $n . "'::int[]", 'array literals', '54000');
    deep("SELECT 'a' ~ '" . '(' x $n . 'a' . ')' x $n . "'", 'regular expressions', '2201B');
    deep("SELECT 'a' ~ '" . '(a|' x $n . 'a' . ')' x $n . "'", 'alternatives in regular expressions', '2201B');
    deep("SELECT 'a' LIKE '" . '%a' x $n . "'", 'LIKE', 'ok');
}
deep('SELECT 1 -- ' . '/*' x 100_000, 'a line comment', 'ok');
deep('/*' x 100_000 . ' SELECT 1', 'comments that never close', '42601');
deep('SELECT 1' . ',1' x 100_000, 'columns', '54011');
deep('SELECT * FROM bad_copy WHERE _offset IN (0' . ',1' x 100_000 . ')', 'a long list', 'ok');
deep('VALUES (1)' . ',(1)' x 100_000, 'rows of VALUES', 'ok');
deep('SELECT 1 IN (1' . ',1' x 8_000_000 . ')', '8 million parts', '54000');
deep("SELECT length(replace(repeat('a', 10000000), 'a', repeat('b', 1000)))", 'replace() to 10 GB', '54000');
deep("SELECT length(regexp_replace(repeat('a', 1000000), 'a', repeat('b', 1000), 'g'))", 'regexp_replace() to 1 GB', '54000');
deep("SELECT length(concat(" . join(',', ('x') x 50) . ")) FROM (SELECT repeat('a', 100000000) AS x) y", 'concat() to 5 GB', '54000');
deep("SELECT length(string_agg(x, '')) FROM (SELECT repeat('a', 10000000) AS x FROM generate_series(1, 1000)) y", 'string_agg() to 10 GB', '54000');
deep("SELECT count(x) FROM (SELECT repeat('a', 100000000 + (n % 2)::int) AS x FROM generate_series(1, 1000) n) y", 'a batch of 100 GB', '53200');
deep("SELECT length(" . 'quote_literal(' x 500 . "''''" . ')' x 500 . ")", 'quotes of quotes', '54000');
deep("SELECT array_length(array_agg(x), 1) FROM generate_series(1, 100000000) x", 'array_agg() of 100 million', '53200');
deep("SELECT length(array_to_string(array_fill('a'::text, ARRAY[1000000]), repeat(',', 1000)))", 'array_to_string() to 1 GB', '54000');
deep("SELECT length(format('%*s', 2000000000, 'x'))", 'a huge width', '54000');
deep('VALUES (1' . ',1' x 300_000 . ')' . ',(1)' x 300_000, 'rows of different width', '42601');
deep('VALUES (1' . ',1' x 1_000_000 . ')', 'a row too wide', '54011');
deep('SELECT * FROM (VALUES (1' . ',1' x 300_000 . ')' . ',(1)' x 300_000 . ') x', 'rows of different width in FROM', '42601');
deep('INSERT INTO bad_copy (_value) VALUES (1' . ',1' x 300_000 . ')' . ',(1)' x 300_000, 'rows of different width in INSERT', '42601');
deep(';' x 1_000_000, 'empty statements', 'ok');
deep('SELECT 1;' x 20_000, '20000 statements', 'ok');
deep("SELECT 'a' ~ 'a{1000}{1000}{1000}'", 'a huge regular expression', '2201B');
deep("SELECT repeat('x', 2000000000)", 'a huge text', '54000');
deep("SELECT lpad('x', 2000000000)", 'a huge padding', '54000');
deep("SELECT 1e1000000", 'a huge exponent', '22003');
deep("SELECT '1e1000000'::numeric", 'a huge exponent in numeric', '22003');
deep('SELECT ' . '9' x 200_000, 'a huge number', '22003');
deep('SELECT "' . 'x' x 1_000_000 . '"', 'a huge name', '42703');
deep("SELECT E'\\xff'", 'an escape that is not UTF-8', '22021');
deep("SELECT U&'\\d800'", 'half a surrogate', '22P02') if 0;
deep("SELECT E'\\000'", 'an escape of NUL', '22021');
deep("SELECT chr(0)", 'chr(0)', '54000');
deep("SELECT '\xc0\x80'", 'an overlong NUL', '22021');
deep("SELECT '\xed\xa0\x80'", 'a surrogate in UTF-8', '22021');
deep("SELECT '\xf4\x90\x80\x80'", 'beyond Unicode', '22021');
deep("SELECT '\xe2\x82'", 'a character cut off', '22021');
deep("SEL\xffECT", 'bytes between words', '22021');
deep("\x01\x02", 'control characters', '42601');
deep("SELECT 'never closed", 'a text that never closes', '42601');
deep('SELECT $tag$ never closed', 'a dollar text that never closes', '42601');
deep('SELECT "never closed', 'a name that never closes', '42601');
deep('SELECT ""', 'an empty name', '42601');
deep("SELECT '" . 'x' x (15 << 20) . "'", 'a text of 15 MiB', 'ok');
deep('SELECT ' . 'x' x (16 << 20), 'a statement over 16 MiB', '54000');
deep('SELECT 1' . ' ' x ((16 << 20) - 8), 'a statement of 16 MiB to the byte', 'ok');
deep('SELECT 1' . '+1' x (8 << 20), '16 MiB of sums', '54000');

ok($ox->alive, 'the server is alive');
is($ox->stop, 0, 'and stops in order');
done_testing;
