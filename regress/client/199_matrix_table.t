#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The page of clients and the table in README.md say what the matrix saw, and nothing that it saw failed.
use strict;
use warnings;
use Oxbow qw(slurp);
use Test::More;

is(slurp("$Oxbow::TOP/doc/kafka/clients.md"), scalar `perl $Oxbow::TOP/regress/client/matrix/table`,
    'doc/kafka/clients.md is of results.tsv');
my ($short) = slurp("$Oxbow::TOP/README.md") =~ /^<!-- clients: [^\n]*-->\n(.*?)^<!-- end -->/ms;
is($short // '', scalar `perl $Oxbow::TOP/regress/client/matrix/table -s`, 'so is the table in README.md');
my @rows = split /\n/, slurp("$Oxbow::TOP/regress/client/matrix/results.tsv");
ok(@rows > 100, 'there are results');
is_deeply([grep { /\tfailed\t/ } @rows], [], 'none failed');
done_testing;
