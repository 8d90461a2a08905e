#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A CancelRequest ends a statement at once, whatever it is at: each of these runs
# for many seconds, is cancelled after a while, and answers 57014. The times from the
# request to the answer are shown, beside those of a round trip; bounds that a busy
# machine keeps are asserted. So does statement_timeout end it.
use strict;
use warnings;
use IO::Select;
use Oxbow;
use Postgres;
use Test::More;
use Time::HiRes qw(sleep time);

# Seconds: what the server may compute, and what may pass on a machine that does much else.
use constant {COMPUTED => 0.5, BOUND => 5};

# An expression of g, for one row after the other.
sub each_row {
    my ($expr) = @_;
    return "SELECT sum(n) FROM generate_series(1, 1000000) i, LATERAL (SELECT $expr AS n FROM generate_series(i, i) AS s(g)) t";
}

my $list = join ',', map { $_ * 3 } 1 .. 1_500_000;
# kind => statement; "work_mem=N;" before it sets that.
my @kinds = (
    'sleep'               => 'SELECT pg_sleep(100)',
    'series'              => 'SELECT count(*) FROM generate_series(1, 100000000000) g',
    'scan, filter'        => 'SELECT count(*) FROM c, generate_series(1, 1000000) g WHERE (_value || g::text) ~ \'z+y\'',
    'nested loop'         => 'SELECT * FROM c a, c b WHERE length(a._key) + length(b._key) < 0',
    'hash join'           => 'SELECT count(*) FROM c a JOIN c b ON length(a._key) = length(b._key)'
        . ' WHERE a._key || b._key = \'x\'',
    'hash build'          => 'SELECT count(*) FROM generate_series(1, 5) a JOIN generate_series(1, 500000000) b ON a = b',
    'semi join'           => 'SELECT count(*) FROM c a WHERE EXISTS (SELECT 1 FROM c b WHERE a._key || b._key = \'x\')',
    'sort'                => 'work_mem=1GB;SELECT g FROM generate_series(1, 12000000) g ORDER BY (g::bigint * 7919) % 1000003',
    'sort of text'        => 'work_mem=1GB;SELECT g FROM generate_series(1, 3000000) g ORDER BY md5(g::text)',
    'sort, spilled'       => 'work_mem=1MB;SELECT g FROM generate_series(1, 100000000) g ORDER BY md5(g::text)',
    'group'               => 'work_mem=1GB;SELECT g, count(*) FROM generate_series(1, 10000000) g GROUP BY g HAVING count(*) > 1',
    'group, spilled'      => 'work_mem=1MB;SELECT g, count(*) FROM generate_series(1, 100000000) g GROUP BY g HAVING count(*) > 1',
    'count distinct'      => 'work_mem=1GB;SELECT count(DISTINCT g) FROM generate_series(1, 100000000) g',
    'cube'                => 'SELECT g % 1000, g % 999, g % 998, count(*) FROM generate_series(1, 100000000) g GROUP BY CUBE (1, 2, 3)',
    'ordered aggregate'   => 'work_mem=1GB;SELECT length(string_agg(g::text, \',\' ORDER BY md5(g::text))) FROM generate_series(1, 10000000) g',
    'string_agg'          => 'SELECT length(string_agg(g::text, \',\')) FROM generate_series(1, 1000000000) g',
    'array_agg'           => 'SELECT cardinality(array_agg(g)) FROM generate_series(1, 1000000000) g',
    'window'              => 'work_mem=1GB;SELECT sum(g) OVER (ORDER BY g ROWS BETWEEN 100000 PRECEDING AND 100000 FOLLOWING)'
        . ' FROM generate_series(1, 3000000) g',
    'window, one frame'   => 'work_mem=1GB;SELECT max(g::text) OVER (PARTITION BY g % 2 ORDER BY g ROWS BETWEEN 50000 PRECEDING AND'
        . ' CURRENT ROW EXCLUDE CURRENT ROW) FROM generate_series(1, 1000000) g',
    'distinct'            => 'SELECT count(*) FROM (SELECT DISTINCT g FROM generate_series(1, 1000000000) g) s',
    'except'              => 'work_mem=1GB;SELECT g FROM generate_series(1, 10000000) g EXCEPT SELECT g FROM generate_series(1, 1000000000) g',
    'recursive'           => 'WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r',
    'recursive, distinct' => 'work_mem=1GB;WITH RECURSIVE r(n) AS (VALUES (1) UNION SELECT n + 1 FROM r) SELECT max(n) FROM r',
    'correlated'          => 'SELECT (SELECT count(*) FROM generate_series(1, 1000000) h WHERE h % 7 = g % 7) FROM generate_series(1, 100000) g',
    'scalar sub-query'    => 'SELECT (SELECT count(*) FROM generate_series(1, 100000000000) h)',
    'lateral'             => 'SELECT count(*) FROM generate_series(1, 1000000) g, LATERAL (SELECT count(*) FROM generate_series(1, 100000 + g)) s',
    'regular expression'  => each_row('(repeat(\'ab\', 20000000 + g) ~ \'(a|b|ab|ba)*(aa|bb)(a|b)*c\')::int'),
    'regexp_replace'      => each_row('length(regexp_replace(repeat(\'ab\', 10000000 + g), \'[a-c]b\', \'xyz\', \'g\'))'),
    'regexp_matches'      => 'SELECT count(*) FROM regexp_matches(repeat(\'ab \', 20000000), \'(\w+)\', \'g\')',
    'regexp_split'        => each_row('cardinality(regexp_split_to_array(repeat(\'ab \', 2000000 + g), \' \'))'),
    'repeat'              => each_row('length(repeat(\'xy\', 60000000 + g))'),
    'replace'             => each_row('length(replace(repeat(\'xy\', 20000000 + g), \'xy\', \'a\'))'),
    'translate'           => each_row('length(translate(repeat(\'xy\', 20000000 + g), \'abcdefghxy\', \'kkkkkkkkkk\'))'),
    'upper, reverse'      => each_row('length(reverse(upper(repeat(\'xy\', 10000000 + g))))'),
    'like'                => each_row('(repeat(\'xy\', 30000000 + g) LIKE \'%y%y%y%y%y%z%y%x%\')::int'),
    'sha512'              => each_row('length(sha512(repeat(\'xy\', 30000000 + g)::bytea))'),
    'split'               => each_row('cardinality(string_to_array(repeat(\'x,\', 3000000 + g), \',\'))'),
    'array_to_string'     => each_row('length(array_to_string(string_to_array(repeat(\'x,\', 2000000 + g), \',\'), \'-\'))'),
    'power'               => each_row('length(((12345.678 + g)::numeric ^ 3000.5)::text)'),
    'factorial'           => each_row('length((factorial(30000) + g)::text)'),
    'exp, ln'             => each_row('ln(exp(5000.5::numeric + g % 900))'),
    'long division'       => each_row('length(div((\'1\' || repeat(\'7\', 100000 + g))::numeric, (\'3\' || repeat(\'1\', 50000))::numeric)::text)'),
    'long product'        => each_row('length((repeat(\'7\', 60000 + g)::numeric * repeat(\'9\', 60000)::numeric)::text)'),
    'gcd'                 => each_row('length(gcd((\'1\' || repeat(\'7\', 20000 + g))::numeric, (\'3\' || repeat(\'1\', 19000))::numeric)::text)'),
    'arrays'              => 'SELECT (SELECT array_agg(g) FROM generate_series(1, 300000) g) <@ (SELECT array_agg(g)'
        . ' FROM generate_series(300000, 1, -1) g)',
    'percentile'          => 'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY (g * 7919) % 1000003) FROM generate_series(1::bigint, 4000000) g',
    'array_remove'        => each_row('cardinality(array_remove((SELECT array_agg(h) FROM generate_series(1, 1000000) h), g::int))'),
    'to_json'             => each_row('length(to_json(repeat(\'"\', 30000000 + g))::text)'),
    'json'                => each_row('json_array_length((\'[\' || repeat(\'1,\', 10000000 + g) || \'1]\')::json)'),
    'jsonb'               => each_row('jsonb_array_length((\'[\' || repeat(\'{"a":1,"b":[2]},\', 300000 + g) || \'1]\')::jsonb)'),
    'json field'          => each_row('length((\'{"a":[\' || repeat(\'1,\', 20000000 + g) || \'1]}\')::json->>\'a\')'),
    'json_agg'            => 'SELECT length(json_agg(g)::text) FROM generate_series(1, 1000000000) g',
    'json path'           => each_row('jsonb_array_length(jsonb_path_query_array((\'[\' || repeat(\'{"a":1},\', 200000 + g)'
        . ' || \'1]\')::jsonb, \'$[*] ? (@.a > 3)\'))'),
    'long list'           => "SELECT count(*) FROM generate_series(1, 1000000000) g WHERE -g IN ($list)",
    'many statements'     => join(';', ('SELECT 1') x 300000),
    'catalog'             => 'SELECT count(*) FROM pg_attribute a, pg_attribute b, pg_attribute c, pg_attribute d',
    'explain analyze'     => 'EXPLAIN ANALYZE SELECT g FROM generate_series(1, 10000000000) g',
    'rows'                => 'SELECT g FROM generate_series(1, 10000000000) g',
    'wide rows'           => 'SELECT repeat(\'x\', 5000000) FROM generate_series(1, 10000000000) g',
    'copy out'            => 'COPY (SELECT g FROM generate_series(1, 10000000000) g) TO STDOUT',
    'copy in'             => 'COPY c (_key, _value) FROM STDIN',
    'insert'              => 'INSERT INTO c (_value) SELECT json_build_object(\'i\', g) FROM generate_series(1, 10000000000) g',
    'subscribe'           => 'SUBSCRIBE c WHERE _key = \'nobody\'',
);

my $ox = Oxbow->start or die 'no server';
my $conn = Postgres::connect($ox->{sql_port}, 'oxbow');
$conn->query('CREATE TOPIC c PARTITIONS 2');
my ($loaded) = $conn->query('INSERT INTO c (_key, _value) SELECT \'k\' || g, json_build_object(\'i\', g, \'pad\','
        . ' repeat(\'x\', 60)) FROM generate_series(1, 200000) g');
ok(!$loaded->{error}, 'rows to work on') or diag $loaded->{text};

# Reads, and forgets, what comes until the time or the statement's end: that message.
sub read_until {
    my ($self, $until) = @_;
    my $select = IO::Select->new($self->{socket});
    my $bytes = \($self->{bytes} //= '');
    my $at = 0;
    while ((my $left = $until - time) > 0) {
        while (length($$bytes) - $at >= 5) {
            my ($type, $len) = unpack 'aN', substr $$bytes, $at, 5;
            last if length($$bytes) - $at <= $len;
            $at += $len + 1;
            next unless $type eq 'E' || $type eq 'Z';
            my $body = substr $$bytes, $at - $len + 4, $len - 4;
            $$bytes = substr $$bytes, $at;
            return ($type, $body);
        }
        $$bytes = substr $$bytes, $at;
        $at = 0;
        next unless $select->can_read($left);
        sysread($self->{socket}, $$bytes, 1 << 20, length $$bytes) or die 'the server is gone';
    }
    return ();
}

# What the server's threads have computed, in seconds: a busy machine does not add to it.
sub computed {
    my $ns = 0;
    for my $path (glob "/proc/$ox->{pid}/task/*/schedstat") {
        open my $in, '<', $path or next;
        $ns += (split ' ', <$in> // 0)[0];
    }
    return $ns / 1e9;
}

# Waits until the server is at what the session sent.
sub begun {
    my ($self) = @_;
    my $other = Postgres::connect($ox->{sql_port}, 'oxbow');
    for (1 .. 600) {
        my ($state) = $other->query("SELECT state FROM pg_stat_activity WHERE pid = " . unpack('N', $self->{key}));
        return if "@{$state->{rows}}" eq 'active';
        sleep 0.1;
    }
}

my (@times, @trips, @computed, @wrong);
sub measure {
    my ($kind, $text, $after) = @_;
    my $self = Postgres::connect($ox->{sql_port}, 'oxbow');
    $self->query("SET work_mem = '$1'") if $text =~ s/^work_mem=(\w+);//;
    my $begin = time;
    $self->query('SELECT 1');
    push @trips, time - $begin;
    $self->send($text);
    my ($type, $body) = read_until($self, time + $after);
    return "$kind: ended too early: " . ($body // '') =~ s/\0/ /gr if defined $type;
    my $before = computed();
    $begin = time;
    $self->cancel;
    ($type, $body) = read_until($self, $begin + 60);
    my $took = time - $begin;
    push @computed, [computed() - $before, $kind];
    return "$kind: no answer" unless defined $type;
    return "$kind: $body" unless $type eq 'E' && $body =~ /\0C57014\0/;
    push @times, [$took, $kind];
    ($type) = read_until($self, time + 60);
    return "$kind: not ready afterwards" unless ($type // '') eq 'Z';
    my ($again) = $self->query('SELECT 1');
    return "$kind: no answer afterwards" unless "@{$again->{rows} // []}" eq '1';
    return '';
}

sub ms { return sprintf '%.1f ms', $_[0] * 1000 }

my @only = @ARGV;
while (my ($kind, $text) = splice @kinds, 0, 2) {
    next if @only && !grep { $kind =~ /$_/ } @only;
    for my $after (0.1, 0.3) {
        my $wrong = measure($kind, $text, $after);
        push @wrong, $wrong if $wrong ne '';
    }
    if ($ENV{OX_SHOW}) {
        diag sprintf '%-22s %-20s computed %s', $kind,
            map { join ' ', map { ms($_->[0]) } grep { $_->[1] eq $kind } @$_ } \@times, \@computed;
    }
}
is_deeply(\@wrong, [], 'each statement is cancelled, and its session goes on');
@times = sort { $a->[0] <=> $b->[0] } @times;
@computed = sort { $a->[0] <=> $b->[0] } @computed;
@trips = sort { $a <=> $b } @trips;
diag sprintf 'from request to answer: p50 %s, p99 %s, max %s (%s); round trip: p50 %s, max %s',
    ms($times[@times / 2][0]), ms($times[@times * 0.99][0]), ms($times[-1][0]), $times[-1][1],
    ms($trips[@trips / 2]), ms($trips[-1]);
diag sprintf 'the server computes meanwhile: p50 %s, p99 %s, max %s (%s)', ms($computed[@computed / 2][0]),
    ms($computed[@computed * 0.99][0]), ms($computed[-1][0]), $computed[-1][1];
my @late = ((grep { $_->[0] > BOUND } @times), grep { $_->[0] > COMPUTED } @computed);
is_deeply([map { "$_->[1]: $_->[0] s" } @late], [], 'soon');
# statement_timeout is looked at in the same places.
my @overdue;
for my $text (each_row('length((factorial(30000) + g)::text)'), 'SELECT (SELECT count(*) FROM generate_series(1, 100000000000) h)',
    'SELECT repeat(\'ab\', 60000000) ~ \'(a|b|ab|ba)*(aa|bb)(a|b)*c\'', 'SELECT pg_sleep(100)',
    'SELECT g FROM generate_series(1, 100000000) g ORDER BY md5(g::text)') {
    last if @only;
    my $self = Postgres::connect($ox->{sql_port}, 'oxbow');
    $self->query('SET statement_timeout = 200');
    my $begin = time;
    my ($answer) = $self->query($text);
    my $took = time - $begin;
    push @overdue, "$text: $took s, " . ($answer->{error} // 'no error')
        unless ($answer->{error} // '') eq '57014' && $took >= 0.19 && $took < 0.2 + BOUND;
}
is_deeply(\@overdue, [], 'statement_timeout ends what computes');
is($ox->stop, 0, 'the server stops in order');
done_testing;
