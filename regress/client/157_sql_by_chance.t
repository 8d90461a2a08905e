#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# SQL by chance: every function, operator, cast and aggregate of catalog/functions.tbl
# with values at the edges of their types, and the statements of regress/sql with words
# exchanged, simple and extended. The server lives, says nothing of sanitizers and
# assertions, answers each statement, and no error is an internal one (XX000).
#   OX_LONG=1          many seeds
#   OX_SEEDS="1 2 3"   these
# A failure tells seed, number and statement; statements before it may be part of it.
use strict;
use warnings;
use utf8;
use Dice;
use Encode qw(encode_utf8);
use Oxbow qw(slurp);
use Raw;
use Test::More;

my $calls = 2500; # of each sort, for a seed
my @seeds = split ' ', $ENV{OX_SEEDS} // ($ENV{OX_LONG} ? join ' ', 1 .. 10 : 1);
# What would end the server or the session, change rights or quotas under the test, or only wait.
my $not = qr/sleep|quota|terminate|cancel|shutdown|alter\s+system|(alter|drop)\s+(role|user)|authorization/i;

# ---- values ----

my @table = (
    ['int2', -32768, 32767, 0, -1, 7],
    ['int4', -2147483648, 2147483647, 0, -1, 1, 5, 65536],
    ['int8', '-9223372036854775808', '9223372036854775807', 0, -1, 3],
    ['float4', 'nan', 'inf', '-inf', '3.4e38', '1e-45', 0, -1.5],
    ['float8', 'nan', 'inf', '-inf', '1.7e308', '5e-324', 0, -2.5, 0.5],
    ['numeric', 'nan', 'infinity', '-infinity', '1e1000', '1e-500', 0, 2, '0.0000000000000000000000001',
        '-99999999999999999999.999999999'],
    ['bool', 'true', 'false'],
    ['text', '', 'a', 'abc def', 'x' x 1000, "é中\x{1F600}", '%s %I %L %1$s %-10s %*s', '([a-z]+)', '((((',
        '(a|b)*' x 50, '.*.*.*.*', '{"a":[1,2,null]}', '2024-01-01', '$.a[*] ? (@ > 1)', 'FM999G999D99S',
        'YYYY-MM-DD HH24:MI:SS.US TZ', '9999999.99', '\x00ff', 'g', 'day', 'epoch', 'hex', 'utf8', '-1',
        '{1,2,NULL}', '+infinity', '1 day', 'sha256', 'Europe/Berlin', 'pg_class'],
    ['bytea', '', '\x00', '\xff00ff', '\x' . '00' x 300],
    ['date', 'infinity', '-infinity', '4714-11-24 BC', '5874897-12-31', '2024-02-29'],
    ['timestamp', 'infinity', '-infinity', '4714-11-24 BC', '294276-12-31 23:59:59.999999', '2024-02-29 12:00'],
    ['timestamptz', 'infinity', '-infinity', '4714-11-24 00:00+00 BC', '294276-12-31 23:59:59.999999+00',
        '2024-02-29 12:00+00'],
    ['time', '00:00', '24:00', '23:59:59.999999'],
    ['timetz', '00:00+00'],
    ['interval', '178000000 years', '-178000000 years', 0, '2147483647 days', '-2147483648 days',
        '1 month -1 day', '2562047788:00:54.775807', '1 us'],
    ['uuid', '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    (map { [$_, '{}', '[]', 'null', '1e400', '"x"', '{"a":{"b":[1,2,{"c":null}]}}', '[' x 500 . ']' x 500] }
        'json', 'jsonb'),
    ['oid', 0, 4294967295, 1259, 16384],
    ['name', 'a', '', 'n' x 63],
    ['char', 'a', ''],
    ['bpchar', 'a ', '', 'abc       '],
    ['varchar', 'a', ''],
    ['regclass', 'pg_class', 0, 99999],
    ['regtype', 'int4', 0],
    (map { [$_, 0] } 'regproc', 'regrole', 'regnamespace', 'xid'),
    ['text[]', '{}', '{a,NULL}', '{a,b,c}', '{{a,b},{c,d}}', '{0,-1,99}'],
    ['int4[]', '{}', '{1,NULL}', '{2147483647,-2147483648}', '{{1,2},{3,4}}', '[5:7]={1,2,3}',
        '[2147483646:2147483647]={1,2}'],
    ['float8[]', '{0,0.5,1}', '{nan,2,-1}'],
);
my %values;
for my $row (@table) {
    my ($type, @texts) = @$row;
    my $name = $type eq 'char' ? '"char"' : $type;
    $values{$type} = [map { "'$_'::$name" } @texts];
    push @{$values{$type}}, "NULL::$name";
}
$values{record} = ["ROW(1, 'a')", 'ROW(NULL, 2.5)', 'ROW()'];
my @elements = ('1', "'a'::text", 'NULL::int', '2.5::numeric', "'a'");
$values{$_} = \@elements for 'anyelement', 'anynonarray', 'anycompatible';
$values{any} = [@elements, @{$values{json}}];
$values{$_} = [@{$values{'text[]'}}, @{$values{'int4[]'}}, 'ARRAY[1.5, 2]', 'NULL']
    for 'anyarray', 'anycompatiblearray';

my $dice;
sub one { return $dice->one(@_) }
sub chance { return $dice->chance(@_) }

# ---- calls of functions ----

my @functions = grep { @$_ > 3 && $_->[1] !~ $not } map { [split] }
    grep { !/^#/ } split /\n/, slurp("$Oxbow::TOP/catalog/functions.tbl");

# A value for each argument of such a row: "int4,text?,*any".
sub arguments {
    my ($spec) = @_;
    my @values;
    for my $arg ($spec eq '-' ? () : split /,/, $spec) {
        my ($type) = $arg =~ /^\*?(.*?)\??$/;
        last if $arg =~ /\?$/ && chance(50);
        push @values, one(@{$values{$type} // ['NULL']}) for 1 .. ($arg =~ /^\*|\*$/ ? one(0, 1, 2, 5) : 1);
    }
    return @values;
}

sub call {
    my ($kind, $name, $spec) = @{one(@functions)};
    my @args = arguments($spec);
    my $args = join ', ', @args;
    my $quoted = $name =~ /^\w+$/ && $name ne 'char' ? $name : qq("$name");
    my $over = one('OVER (ORDER BY g)', 'OVER (ORDER BY g ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)');
    return "SELECT * FROM $quoted($args) LIMIT 20" if $kind eq 's';
    return "SELECT $quoted($args) $over FROM generate_series(1, 5) g" if $kind eq 'w';
    return "SELECT $quoted(" . one('', 'DISTINCT ') . "$args) " . one('', 'FILTER (WHERE g > 1)', $over)
        . ' FROM generate_series(1, 4) g' if $kind eq 'a';
    my $value = $kind eq 'f' ? "$quoted($args)"
        : $kind eq 'o' ? (@args == 2 ? "$args[0] $name $args[1]" : "$name $args")
        : "($args)::$quoted";
    return "SELECT $value" if chance(70);
    return "SELECT g, $value, ($value)::text FROM generate_series(1, 3) g ORDER BY 2";
}

# ---- statements with words exchanged ----

my @statements;
for my $path (sort glob "$Oxbow::TOP/regress/sql/*.sql") {
    (my $text = slurp($path)) =~ s/^(\\|--).*$//mg;
    utf8::decode($text);
    push @statements, map { [/'(?:[^']|'')*'|[A-Za-z_]\w*|\d+(?:\.\d+)?|\s+|./gs] }
        grep { /\S/ && length $_ < 600 } split /;\s*\n/, $text;
}
# What the others ask; of each name the first.
my @definitions = grep { /^\s*create\s/i && !/$not/ } map { encode_utf8(join '', @$_) } @statements;
my @words = grep { /\S/ } map { @$_ } @statements;
my @odd = ('NULL', '-1', '0', '2147483648', '9223372036854775807', '-9223372036854775808', "''", "'infinity'",
    '1e400', "'{}'", 'ARRAY[]::int[]', "'1000 years'", '(SELECT NULL)', '(SELECT 1 WHERE false)', '$1', '*',
    '()', '1/0', "'\\x'", "interval '2147483647 days'");

sub mutant {
    my @text = @{one(@statements)};
    for (1 .. one(0, 1, 1, 2)) {
        my $at = $dice->below(scalar @text);
        my @literals = grep { $text[$_] =~ /^['\d]/ } 0 .. $#text;
        my $roll = $dice->below(100);
        if ($roll < 85 && @literals) { $text[one(@literals)] = one(@odd) }
        elsif ($roll < 88) { splice @text, $at, 1 }
        elsif ($roll < 92) { $text[$at] = one(@words) }
        elsif ($roll < 94) { splice @text, $at, 0, ' ', one(@words), ' ' }
        elsif ($roll < 96) {
            my @other = @{one(@statements)};
            splice @text, $at, @text - $at, ' ', @other[$dice->below(scalar @other) .. $#other];
        }
        else { splice @text, $at, 0, one(@odd) }
        @text = ('SELECT 1') unless @text;
    }
    my $text = join '', @text;
    $text =~ s/(\s(until|limit)\b.*)?$/ UNTIL LATEST/is if $text =~ /subscribe/i;
    return $text;
}

# ---- sessions ----

sub session {
    my ($ox) = @_;
    my $socket = pg_dial($ox->{sql_port}) or return undef;
    pg_simple($socket, "SET $_") for 'statement_timeout = 500', 'row_limit = 2000', 'idle_session_timeout = 0';
    return $socket;
}

# The messages of a statement: simple, or extended with a value for $1 and a portal that is
# asked twice (in the midst of COPY FROM STDIN that would end the connection).
sub messages {
    my ($text) = @_;
    my $bytes = encode_utf8($text);
    return pg_message('Q', "$bytes\0") if chance(70);
    my $values = $text =~ /\$1/ ? pack('n n N/a', 0, 1, '1') : pack('nn', 0, 0);
    my $again = $text =~ /from\s+stdin/i ? '' : pg_message('E', "p\0" . pack 'N', 0);
    return pg_message('P', "\0$bytes\0" . pack 'n', 0) . pg_message('D', "S\0")
        . pg_message('B', "p\0\0" . $values . pack('nn', 1, one(0, 1))) . pg_message('D', "Pp\0")
        . pg_message('E', "p\0" . pack 'N', one(0, 1, 7)) . $again . pg_message('S', '');
}

# What became of it: a SQLSTATE, '' without an error, undef without an answer; and whether
# the connection goes on. What may wait for rows for ever is left after a second.
sub outcome {
    my ($socket, $text) = @_;
    my $bytes = messages($text);
    my $live = $text =~ /subscribe|emit/i;
    my $code = '';
    send_all($socket, $bytes) or return (undef, 0);
    while (1) {
        my $head = receive($socket, 5, $live ? 1 : 60);
        return ($code || ($live ? '' : undef), 0) if length $head < 5;
        my ($kind, $len) = unpack 'aN', $head;
        my $body = receive($socket, $len - 4, 60);
        $code = {pg_error([$kind, $body])}->{C} // 'XX' if $kind eq 'E';
        send_all($socket, pg_message('d', "1\t2\n") . pg_message('c', '')
            . ($bytes =~ /^P/ ? pg_message('S', '') : '')) if $kind eq 'G';
        return ($code, 1) if $kind eq 'Z';
    }
}

sub play {
    my ($sort, $next, $seed) = @_;
    $dice = Dice->new($seed);
    my $ox = Oxbow->start or die 'no server';
    my ($socket, @wrong, %codes) = session($ox);
    pg_simple($socket, $_) for $sort eq 'statements' ? @definitions : ();
    for my $n (1 .. $calls) {
        my $text = $n % 7 ? $next->() : 'ROLLBACK';
        next if $text =~ $not;
        $socket = session($ox) if !$socket || $n % 100 == 0;
        my ($code, $open) = $socket ? outcome($socket, $text) : ();
        $codes{$code // 'none'}++;
        push @wrong, "seed $seed, $n: " . ($code // 'no answer') . encode_utf8(": $text")
            if !defined $code || $code =~ /^XX/;
        undef $socket if !$open || $text =~ /timeout|row_limit|reset|discard/i; # its limits hold no more
        last unless defined $code && $ox->alive;
    }
    is_deeply(\@wrong, [], "$sort, seed $seed: all are answered, none with an internal error");
    note join ' ', map { ($_ || 'good') . "=$codes{$_}" } sort keys %codes;
    is($ox->stop, 0, "$sort, seed $seed: the server stops in order");
    my @said = grep { /Sanitizer|runtime error|[Aa]ssert|check failed/ } split /\n/, slurp($ox->{diag});
    is_deeply(\@said, [], "$sort, seed $seed: nothing of sanitizers and assertions");
}

for my $seed (@seeds) {
    play('functions', \&call, $seed);
    play('statements', \&mutant, $seed);
}
done_testing;
