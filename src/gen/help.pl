#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Turns the pages of doc/sql into the text behind \h.
#
# usage: help.pl OUTPUT PAGE.md...
#
# A page has one shape: "# COMMAND", a line that says what it does, then the
# sections "## Synopsis" (one fenced block), "## Description", "## Parameters",
# "## Notes", "## Errors", "## Example", "## Differences from PostgreSQL", in
# this order; Synopsis, Description and Example must be there.
use strict;
use warnings;

my ($output, @pages) = @ARGV;
die "usage: help.pl OUTPUT PAGE.md...\n" unless defined $output;

my @order = ('Synopsis', 'Description', 'Parameters', 'Notes', 'Errors', 'Example',
    'Differences from PostgreSQL');
my %must = map { $_ => 1 } qw(Synopsis Description Example);

sub c_string {
    my ($text) = @_;
    my @lines = split /(?<=\n)/, $text;
    for (@lines) {
        s/([\\"])/\\$1/g;
        s/\n/\\n/g;
        $_ = "\"$_\"";
    }
    return @lines ? join "\n        ", @lines : '""';
}

my %found;
for my $page (@pages) {
    next if $page =~ m{/README\.md$};
    open my $in, '<', $page or die "$page: $!\n";
    local $/;
    my $text = <$in>;
    close $in;
    $text =~ /\A# ([A-Z][A-Z ]*)\n\n([^\n#]+)\n/ or die "$page:1: expected \"# COMMAND\", a blank line, a summary\n";
    my ($name, $summary) = ($1, $2);
    my $at = 0;
    my %has;
    while ($text =~ /^## (.+)$/mg) {
        my $heading = $1;
        my ($place) = grep { $order[$_] eq $heading } 0 .. $#order;
        die "$page: \"## $heading\" is no section of a command page\n" unless defined $place;
        die "$page: \"## $heading\" stands in the wrong place\n" if $place < $at;
        $at = $place;
        $has{$heading} = 1;
    }
    $has{$_} or die "$page: section \"## $_\" is missing\n" for sort keys %must;
    $text =~ /^## Synopsis\n\n```[a-z]*\n(.*?)^```$/ms or die "$page: the synopsis is one fenced block\n";
    die "$page: \"$name\" is described twice\n" if $found{$name};
    $found{$name} = [$summary, $1];
}

my $code = "/* Generated from doc/sql. Do not edit. */\n#include \"shell/shell.h\"\n\n"
    . "const struct help_page help_pages[] = {\n";
for my $name (sort keys %found) {
    my ($summary, $synopsis) = @{ $found{$name} };
    $code .= sprintf "    {\"%s\",\n        %s,\n        %s},\n", $name, c_string($summary), c_string($synopsis);
}
$code .= "    {NULL, NULL, NULL},\n};\n";
open my $out, '>', "$output.tmp" or die "$output.tmp: $!\n";
print $out $code;
close $out or die "$output.tmp: $!\n";
rename "$output.tmp", $output or die "$output: $!\n";
