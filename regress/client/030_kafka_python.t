#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# kafka-python: see 030_kafka_python.py, which prints the TAP.
use strict;
use warnings;
use Oxbow;

my $python = (grep { -x $_ && !system("$_ -c 'import kafka' 2>/dev/null") }
    qw(/usr/bin/python3 /usr/local/bin/python3))[0];
unless ($python) {
    print "1..0 # SKIP no kafka-python\n";
    exit;
}
my $ox = Oxbow->start or die 'no server';
my ($status, $out) = $ox->command('', 'timeout', '120', $python,
    "$Oxbow::TOP/regress/client/030_kafka_python.py", $ox->kafka);
print $out;
exit 1 if $status || $ox->stop;
