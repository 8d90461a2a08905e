#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The SQL files of regress/sql/, in the order of regress/sql/schedule, on one
# server: what the shell prints must be regress/expected/NAME.out to the byte.
#   OX_SQL="joins copy"   only these
#   OX_SQL_ACCEPT=1       writes what was printed below BUILD/tmp/results/ and,
#                         to be read before it is committed, to expected/
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Path qw(make_path);
use Test::More;
use Oxbow;

my $oxsql = abs_path("$Oxbow::BUILD/oxsql");
plan skip_all => 'oxsql is not built' unless $oxsql && -x $oxsql;
my $top = abs_path("$Oxbow::TOP/regress");
my $results = abs_path(Oxbow::tmp()) . '/results';
make_path($results);

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or return undef;
    local $/;
    return scalar <$in>;
}

sub spew {
    my ($path, $text) = @_;
    open my $to, '>', $path or die "$path: $!";
    print $to $text;
    close $to or die "$path: $!";
}

my @names = split ' ', $ENV{OX_SQL} // '';
unless (@names) {
    open my $in, '<', "$top/sql/schedule" or die "schedule: $!";
    while (<$in>) {
        s/#.*//;
        push @names, split;
    }
    my %named = map { $_ => 1 } @names;
    for my $path (glob "$top/sql/*.sql") {
        my ($name) = $path =~ m{([^/]+)\.sql$};
        ok(0, "$name.sql is not in the schedule") unless $named{$name};
    }
}

my $server = Oxbow->start or BAIL_OUT('the server does not start');
@ENV{qw(PGTZ PGCLIENTENCODING LC_ALL HOME)} = ('UTC', 'UTF8', 'C.UTF-8', $results);
delete @ENV{qw(PAGER COLUMNS PGOPTIONS)};
for my $name (@names) {
    # The statement that hangs ends the test, not the suite.
    my ($status, $out) = $server->command(slurp("$top/sql/$name.sql"),
        'timeout', $ENV{OX_SQL_TIMEOUT} // 120, $oxsql, '-X', '-a', '-q');
    $out =~ s/^LOCATION: .*\n//mg; # moves with every change of the source
    spew("$results/$name.out", $out);
    spew("$top/expected/$name.out", $out) if $ENV{OX_SQL_ACCEPT};
    my $want = slurp("$top/expected/$name.out");
    my $same = defined $want && $want eq $out && $status == 0;
    ok($same, $name);
    next if $same;
    diag("exit status $status") if $status;
    diag(scalar `diff -u "$top/expected/$name.out" "$results/$name.out" 2>&1 | head -200`);
    last unless ok($server->alive, "the server is alive after $name");
}
ok($server->alive, 'the server lived through all of it');
is($server->stop, 0, 'and stops in order');
done_testing;
