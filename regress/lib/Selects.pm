# SPDX-License-Identifier: Apache-2.0
#
# The files of regress/oracle/ about whole SELECTs, and their fixture.
package Selects;
use strict;
use warnings;
use Oxbow;
use Postgres;

sub path { return "$Oxbow::TOP/regress/oracle/$_[0]" }

sub lines {
    my ($name) = @_;
    open my $in, '<', path($name) or die "$name: $!";
    return grep { /./ && !/^#/ } map { s/\n//r } <$in>;
}

sub statements { return lines('selects.txt') }

# statement => transcript
sub answers {
    my ($name) = @_;
    my (%answers, $at);
    open my $in, '<', path($name) or return ();
    while (<$in>) {
        if (/^> (.*)\n/) {
            $at = $1;
            $answers{$at} = '';
        } elsif (defined $at) {
            $answers{$at} .= $_;
        }
    }
    return %answers;
}

# Tables in PostgreSQL, topics in Oxbow, with the same rows.
sub load {
    my ($conn, $oxbow) = @_;
    my (%rows, @tables);
    for my $line (lines('select_fixture.txt')) {
        my ($table, $time, $key, $value) = split /\t/, $line, -1;
        push @tables, $table unless $rows{$table};
        push @{$rows{$table}}, [$time, $key, $value];
    }
    $conn->query($_) for "SET TimeZone = 'Europe/Berlin'", "SET statement_timeout = '20s'";
    for my $table (@tables) {
        my $number = 0;
        my @values = map {
            my ($time, @texts) = @$_;
            my @cells = map { $_ eq '\N' ? 'NULL' : "'" . s/'/''/gr . "'" } @texts;
            $oxbow ? "('$time', $cells[0], $cells[1])" : '(0, ' . $number++ . ", '$time', $cells[0], $cells[1])";
        } @{$rows{$table}};
        my $columns = $oxbow ? '_timestamp, _key, _value' : '_partition, _offset, _timestamp, _key, _value';
        my $make = $oxbow ? "CREATE TOPIC $table PARTITIONS 1"
            : "CREATE TABLE $table (_partition int, _offset int8, _timestamp timestamptz, _key text, "
            . '_value text, _headers jsonb DEFAULT $$[]$$)';
        for my $text ($make, "INSERT INTO $table ($columns) VALUES " . join ', ', @values) {
            my ($answer) = $conn->query($text);
            die "$text: $answer->{error} $answer->{text}" if defined $answer->{error};
        }
    }
}

1;
