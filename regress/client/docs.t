#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Every example of doc/sql and of README.md works: each block of SQL is run by
# oxsql, each block of shell commands that begins with "$ oxsql" too, against a
# fresh server. A block marked "text" right behind one of SQL is its exact
# output.
use strict;
use warnings;
use Test::More;
use Oxbow;

plan skip_all => 'the server is not built' unless -x "$Oxbow::BUILD/oxbow";
my $server = Oxbow->start or plan skip_all => 'the server does not start';

my $last = '';
for my $page (sort(glob "$Oxbow::TOP/doc/sql/*.md"), "$Oxbow::TOP/README.md") {
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
is($server->stop, 0, 'the server stops in order');
done_testing;
