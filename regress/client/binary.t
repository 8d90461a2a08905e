#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Values in PostgreSQL's binary form: the expressions of regress/oracle/ have the
# same type and bytes as at a PostgreSQL 15, and the same bytes sent as a
# parameter come back.
use strict;
use warnings;
use Selects;
use Test::More;

my ($pg, $why) = Postgres::start();
plan skip_all => $why unless $pg;
plan skip_all => "PostgreSQL $pg->{version} answers in another way than 15" unless $pg->{version} == 15;
my $ox = Oxbow->start or die 'no server';
my %conn = (pg => Postgres::connect($pg->{port}, 'oxbow'), ox => Postgres::connect($ox->{sql_port}, 'oxbow'));
$_->query("SET TimeZone = 'UTC'") for values %conn;

# A bitmap of nulls that no element needs; a scale of zeros.
my %known = map { $_ => 1 } Selects::lines('differences.txt'), '(array[null,0,0]::int[])[2:2]';
# Types of one process only: reg*, records, void, unknown.
my %fleeting = map { $_ => 1 } 24, 26, 705, 2202 .. 2206, 2249, 2278, 2287, 4089, 4096;
my ($count, $sent, %types) = (0, 0);
my (@differ, @lost);
for my $expression (Selects::lines('expressions.txt')) {
    next if $known{$expression};
    my ($want_oid, $want) = $conn{pg}->binary("SELECT $expression");
    my ($oid, $got) = $conn{ox}->binary("SELECT $expression");
    $count++;
    push @differ, "$expression: $want_oid $want, not $oid $got" if "$oid $got" ne "$want_oid $want";
    next if $want !~ /^[0-9a-f]*$/ || $fleeting{$want_oid};
    my ($back_oid, $back) = $conn{ox}->binary('SELECT $1', [$want_oid, pack 'H*', $want]);
    $sent++;
    $types{$want_oid} = 1;
    push @lost, "$expression: $want_oid $want comes back as $back_oid $back" if "$back_oid $back" ne "$want_oid $want";
}
is(join("\n", @differ), '', "$count expressions in binary form");
is(join("\n", @lost), '', "$sent parameters in binary form, of " . keys(%types) . ' types');
cmp_ok(scalar(keys %types), '>=', 20, 'types');
is($ox->stop, 0, 'the server stops in order');
done_testing;
