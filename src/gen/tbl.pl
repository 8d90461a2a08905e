#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Turns the tables of catalog/ into C.
#
# usage: tbl.pl KIND TABLE OUTPUT
#
# All tables share one format: '#' starts a comment line, blank lines are
# skipped, columns are separated by blanks, a column that holds blanks is
# quoted with "..." and the last column is free text to the end of the line.
# KIND picks the emitter in src/gen/tbl_KIND.pm, which exports columns() (the
# number of columns) and emit($rows, $out): rows are array references whose
# last element is the line number. A bad row fails the build with file:line.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;

my ($kind, $table, $output) = @ARGV;
die "usage: tbl.pl KIND TABLE OUTPUT\n" unless defined $output;
require "tbl_$kind.pm";
my $emitter = "tbl_$kind";

sub split_row {
    my ($line, $count) = @_;
    my @cells;
    while (@cells < $count - 1 && $line =~ s/^(?:"((?:[^"\\]|\\.)*)"|(\S+))\s*//) {
        push @cells, defined $1 ? $1 : $2;
    }
    $line =~ s/\s+$//;
    push @cells, $line;
    return @cells;
}

open my $in, '<', $table or die "$table: $!\n";
my @rows;
my $count = $emitter->columns;
while (my $line = <$in>) {
    chomp $line;
    next if $line =~ /^\s*(#|$)/;
    my @cells = split_row($line, $count);
    die "$table:$.: expected $count columns, found " . scalar(@cells) . "\n" if @cells != $count;
    push @rows, [@cells, $.];
}
close $in;

(my $short = $table) =~ s{.*/(catalog/)}{$1};
my $notice = "Generated from $short. Do not edit.";
my $text = $output =~ /\.md$/ ? "<!-- $notice -->\n" : "/* $notice */\n";
$text .= $emitter->emit(\@rows, $table, $output);
open my $out, '>', "$output.tmp" or die "$output.tmp: $!\n";
print $out $text;
close $out or die "$output.tmp: $!\n";
rename "$output.tmp", $output or die "$output: $!\n";
