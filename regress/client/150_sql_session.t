#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Limits of a session that only a client on its own connection sees: sessions
# that idle are ended, statements that take too long, the notice of another
# database's name; portals, and tokens of subscriptions.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep);
use Oxbow;
use Postgres;
use Raw;

plan skip_all => 'psql is not installed' unless Oxbow::have('psql');
my $server = Oxbow->start or BAIL_OUT('the server does not start');

sub psql {
    my ($script, %args) = @_;
    my (undef, $out) = $server->command($script, qw(psql -X -q -A -t -v VERBOSITY=verbose -d),
        $args{database} // 'oxbow');
    return $out;
}

like(psql("SET idle_in_transaction_session_timeout = 100;\nBEGIN;\n\\! sleep 1\nSELECT 1;\n"),
    qr/FATAL:  25P03/, 'a session that idles in a block is ended');
like(psql("SET idle_in_transaction_session_timeout = 100;\n\\! sleep 1\nSELECT 'alive';\n"),
    qr/^alive$/m, 'outside of a block it may');
like(psql("SET idle_session_timeout = '100ms';\n\\! sleep 1\nSELECT 1;\n"),
    qr/FATAL:  57P05/, 'unless idle_session_timeout says no');
like(psql("SET idle_in_transaction_session_timeout = '1min';\nBEGIN;\nSELECT 'in time';\nCOMMIT;\n"),
    qr/^in time$/m, 'who is quick is not ended');
psql("CREATE TOPIC idle;\n");
psql("SET idle_in_transaction_session_timeout = 100;\nBEGIN;\nINSERT INTO idle (_value) VALUES ('lost');\n"
    . "\\! sleep 1\nCOMMIT;\n");
is(psql("SELECT count(*) FROM idle;\n"), "0\n", 'and wrote nothing');
like(psql("SET statement_timeout = '100ms';\nSELECT pg_sleep(30);\n"), qr/57014/,
    'a statement that takes too long is cancelled');
like(psql("SET statement_timeout = '200ms';\nSELECT count(*) FROM generate_series(1, 1000000000);\n"),
    qr/57014/, 'also one that computes');
my ($long, $begun) = (join(',', 2 .. 300000), time);
like(psql("SET statement_timeout = '500ms';\nSELECT * FROM pg_sleep(60) WHERE 1 NOT IN ($long);\n"), qr/57014/,
    'also one that takes long to plan, and then waits');
cmp_ok(time - $begun, '<', 50, 'and in time');
like(psql("SELECT current_database();\n", database => 'shop'), qr/NOTICE.*"shop"/s,
    'another database name is noticed');

# What pg_stat_activity says of others.
sub states {
    my $conn = Postgres::connect($server->{sql_port}, 'oxbow');
    my ($answer) = $conn->query('SELECT state, wait_event, query FROM pg_stat_activity '
            . 'WHERE pid <> pg_backend_pid() ORDER BY 1');
    return [map { s/\t/|/gr } @{$answer->{rows}}];
}

sub becomes {
    my ($want, $sentence) = @_;
    my $got;
    for (1 .. 200) {
        $got = states();
        last if "@$got" eq "@$want";
        sleep 0.1;
    }
    is_deeply($got, $want, $sentence);
}

my $first = Postgres::connect($server->{sql_port}, 'oxbow');
my $second = Postgres::connect($server->{sql_port}, 'oxbow');
$first->query('BEGIN');
$second->query('SELECT 1');
becomes(['idle|ClientRead|SELECT 1', 'idle in transaction|ClientRead|BEGIN'],
    'who idles, and who does in a transaction');
$first->query('nonsense');
becomes(['idle|ClientRead|SELECT 1', 'idle in transaction (aborted)|ClientRead|nonsense'],
    'or in one that failed');
$first->query('ROLLBACK');
my $text = 'SUBSCRIBE idle FROM EARLIEST';
print {$second->{socket}} 'Q' . pack('N', 5 + length $text) . "$text\0";
$second->{socket}->flush;
becomes(['idle|ClientRead|ROLLBACK', "streaming|LogEnd|$text"], 'a subscription streams');
close $_->{socket} for $first, $second;

# A portal that is taken in pieces, and one that is not.
my $raw = pg_dial($server->{sql_port}) or BAIL_OUT('no session');
sub bound {
    return pg_message('P', "\0$_[0]\0" . pack 'n', 0) . pg_message('B', "p\0\0" . pack 'nnn', 0, 0, 0);
}
sub some { return pg_message('E', "p\0" . pack 'N', $_[0]) }
sub told { send_all($raw, join '', @_, pg_message('S', '')); return pg_until($raw, 'Z', 30) }
pg_simple($raw, "SET statement_timeout = '500ms'");
pg_simple($raw, 'BEGIN');
is((told(bound('SELECT g FROM generate_series(1, 10) g'), some(3)))[0], '12DDDsZ', 'three rows of a portal');
sleep 0.8;
is((told(some(3)))[0], 'DDDsZ', 'statement_timeout does not count what the client does with them');
pg_simple($raw, 'ROLLBACK');
my ($seen, @messages) = told(bound('SELECT count(*) FROM generate_series(1, 1000000000) g'), some(3));
is({pg_error(@messages)}->{C}, '57014', 'but what an Execute takes');
($seen, @messages) = told(bound("INSERT INTO idle (_value) VALUES ('once')"), some(0), some(0));
is($seen, '12CEZ', 'an INSERT is executed once');
is({pg_error(@messages)}->{C}, '55000', 'as PostgreSQL says');
is(psql("SELECT count(*) FROM idle;\n"), "1\n", 'and done once');

# From a token comes what was not sent before it, however slow the query is.
psql("CREATE TOPIC slow PARTITIONS 1;\nINSERT INTO slow (_value) SELECT g::text FROM generate_series(0, 799) g;\n");
for (['IN THE MIDDLE OF A BATCH', '(SELECT count(*) FROM generate_series(1, 3000) g WHERE g = slow._offset AND g % 100 = 99) > 0'],
    ['BESIDE ANOTHER SCAN', '(SELECT count(*) FROM tail($$idle$$, 1) t WHERE t._offset <> slow._offset % 100 - 99) = 0']) {
    my ($what, $where) = @$_;
    my @sent = map { [split /\|/, $_, -1] } split /\n/, psql("SUBSCRIBE (SELECT _offset FROM slow WHERE $where) FROM EARLIEST UNTIL LATEST "
        . "WITH (progress = true, heartbeat = '0s');\n");
    my ($given, @wrong) = (0);
    for my $row (@sent) {
        $given = $row->[2] + 1 if $row->[0] eq 'f';
        my ($from) = psql("SUBSCRIBE slow (_offset) WHERE _offset % 100 = 99 FROM TOKEN '$row->[1]' UNTIL LATEST;\n") =~ /^(.*)$/m;
        my $want = $given == 800 ? '' : 99 + 100 * int($given / 100);
        push @wrong, "after $given: $from" if ($from // '') ne $want;
    }
    is(scalar(grep { $_->[0] eq 'f' } @sent), 8, 'eight rows ' . lc $what);
    is_deeply(\@wrong, [], 'and all tokens are good');
}

# Every relation of the catalog can be read.
my $conn = Postgres::connect($server->{sql_port}, 'oxbow');
my ($views) = $conn->query("SELECT format('%I.%I', schemaname, viewname) FROM pg_views");
ok(@{$views->{rows}} > 150, 'the catalog is large');
my @unread = grep { ($conn->query("SELECT * FROM $_"))[0]{error} } @{$views->{rows}};
is_deeply(\@unread, [], 'and can be read');
is($server->stop, 0, 'and the server stops in order');
done_testing;
