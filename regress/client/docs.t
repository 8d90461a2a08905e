#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Every example of doc/sql, doc/manual and README.md works: each block of SQL is
# run by oxsql against a fresh server. A block marked "text" right behind one of
# SQL is its exact output. And doc/manual/views.md names every system view with
# all of its columns.
use strict;
use warnings;
use Test::More;
use Oxbow;

plan skip_all => 'the server is not built' unless -x "$Oxbow::BUILD/oxbow";
my $server = Oxbow->start or plan skip_all => 'the server does not start';

my $last = '';
for my $page (sort(glob "$Oxbow::TOP/doc/{sql,manual}/*.md"), "$Oxbow::TOP/README.md") {
    next unless -e $page;
    open my $in, '<', $page or die "$page: $!";
    local $/;
    my $text = <$in>;
    close $in;
    (my $name = $page) =~ s{^\Q$Oxbow::TOP\E/}{};
    my $number = 0;
    while ($text =~ /^```sql\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/msg) {
        my ($sql, $want) = ($1, $2);
        $number++;
        my ($status, $out) = $server->command($sql, "$Oxbow::BUILD/oxsql", '-X', '-v',
            'ON_ERROR_STOP=1', ($want ? '-q' : ()));
        is($status, 0, "$name, example $number") or diag $out;
        next unless defined $want;
        s/[ \t]+$//mg, s/\n+\z/\n/ for $out, $want;
        is($out, $want, "$name, output of example $number");
    }
    ok($number, "$name has an example") if $name =~ m{^doc/sql/};
}

# A view's part of the page goes from its name at the beginning of a line to the next.
my %part;
{
    my $text = Oxbow::slurp("$Oxbow::TOP/doc/manual/views.md");
    $part{$1} = $2 while $text =~ /^`oxbow\.(\w+)`(.*?)(?=^`oxbow\.|^## |\z)/msg;
}
my %columns;
for (split /\n/, $server->sql(q{SELECT relname, attname FROM pg_class c JOIN pg_attribute ON attrelid = c.oid
    JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'oxbow' AND attnum > 0}))
{
    my ($view, $column) = split /\|/;
    push @{$columns{$view}}, $column;
}
is_deeply([sort keys %part], [sort keys %columns], 'doc/manual/views.md has every system view');
for my $view (sort keys %columns) {
    my @lost = grep { ($part{$view} // '') !~ /`$_`/ } @{$columns{$view}};
    is("@lost", '', "and all columns of oxbow.$view");
}
is($server->stop, 0, 'the server stops in order');
done_testing;
