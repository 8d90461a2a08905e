#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Consumer groups of librdkafka, across a server that is killed: see
# 050_groups.py, which prints the TAP.
use strict;
use warnings;
use Oxbow;

my $python = (grep { -x $_ && !system("$_ -c 'import confluent_kafka' 2>/dev/null") }
    qw(/usr/bin/python3 /usr/local/bin/python3))[0];
unless ($python) {
    print "1..0 # SKIP no confluent-kafka for Python\n";
    exit;
}
my $ox = Oxbow->start or die 'no server';
my $failed = 0;
for my $phase (qw(before after)) {
    my ($status, $out) = $ox->command('', 'timeout', '120', $python,
        "$Oxbow::TOP/regress/client/050_groups.py", $ox->kafka, $phase);
    print $out;
    $failed ||= $status;
    $ox->restart('KILL') or die 'no server after it was killed' if $phase eq 'before';
}
print "1..14\n";
exit 1 if $failed || $ox->stop;
