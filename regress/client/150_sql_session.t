#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Limits of a session that only a client on its own connection sees: sessions
# that idle are ended, statements that take too long, and the notice of another
# database's name.
use strict;
use warnings;
use Test::More;
use Oxbow;

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
like(psql("SELECT current_database();\n", database => 'shop'), qr/NOTICE.*"shop"/s,
    'another database name is noticed');
is($server->stop, 0, 'and the server stops in order');
done_testing;
