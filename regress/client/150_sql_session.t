#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Limits of a session that only a client on its own connection sees: sessions
# that idle are ended, statements that take too long, and the notice of another
# database's name.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep);
use Oxbow;
use Postgres;

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

# Every relation of the catalog can be read.
my $conn = Postgres::connect($server->{sql_port}, 'oxbow');
my ($views) = $conn->query("SELECT format('%I.%I', schemaname, viewname) FROM pg_views");
ok(@{$views->{rows}} > 150, 'the catalog is large');
my @unread = grep { ($conn->query("SELECT * FROM $_"))[0]{error} } @{$views->{rows}};
is_deeply(\@unread, [], 'and can be read');
is($server->stop, 0, 'and the server stops in order');
done_testing;
