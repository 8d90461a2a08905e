#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The registry of failpoints: every ox_fault("...") of the sources that are given,
# as a sorted list.
use strict;
use warnings;

my ($output, @sources) = @ARGV;
my %sites;
for my $path (@sources) {
    open my $in, '<', $path or die "$path: $!\n";
    my $text = do { local $/; <$in> };
    $text =~ s{/\*.*?\*/}{}gs;
    while ($text =~ /\box_fault\(\s*"([^"]*)"/g) {
        my $name = $1;
        die "$path: a failpoint is called area.event, not \"$name\"\n" unless $name =~ /^[a-z]+\.[a-z_]+$/ && length $name < 64;
        $sites{$name} = 1;
    }
}
open my $out, '>', $output or die "$output: $!\n";
print $out "/* Made by src/gen/faults.pl from the sources. */\n";
print $out "static const char *const fault_sites[] = {\n", (map { "    \"$_\",\n" } sort keys %sites), "};\n";
close $out or die "$output: $!\n";
