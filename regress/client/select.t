#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The SELECTs of regress/oracle/selects.txt over the same rows in Oxbow and in
# PostgreSQL: names and types of columns, values and SQLSTATEs must be the same.
# PostgreSQL's answers are recorded; where a PostgreSQL 15 is installed it is
# asked again, so that the record is known to be true.
use strict;
use warnings;
use Selects;
use Test::More;

my %want = Selects::answers('select_answers.txt');
my %known = map { $_ => 1 } Selects::lines('select_differences.txt');
my @statements = Selects::statements();

my $ox = Oxbow->start or die 'no server';
my $conn = Postgres::connect($ox->{sql_port}, 'oxbow');
Selects::load($conn, 1);
my @same;
for my $text (@statements) {
    my $got = $conn->transcript($text);
    my $is = defined $want{$text} && $got eq $want{$text};
    if ($known{$text}) {
        push @same, $text if $is;
        next;
    }
    ok($is, $text) or diag("PostgreSQL:\n" . ($want{$text} // "not recorded\n") . "Oxbow:\n$got");
}
is_deeply(\@same, [], 'known differences differ');
delete @known{@statements};
is_deeply([sort keys %known], [], 'and are asked');
is($ox->stop, 0, 'the server stops in order');

SKIP: {
    my ($pg, $why) = Postgres::start();
    skip $why, 1 unless $pg;
    skip "PostgreSQL $pg->{version} may answer in other ways than 15", 1 unless $pg->{version} == 15;
    my $other = Postgres::connect($pg->{port}, 'oxbow');
    Selects::load($other, 0);
    my @changed = grep { $other->transcript($_) ne ($want{$_} // '') } @statements;
    is_deeply(\@changed, [], 'the record is what PostgreSQL answers');
}
done_testing;
