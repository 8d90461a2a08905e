# SPDX-License-Identifier: Apache-2.0
# keywords.tbl: word, class.
# sql_words.gen.y opens the grammar: every word as a token, what falls back to
# IDENT, which words are names after all. keywords.gen.c is the scanner's sorted
# table.
package tbl_keywords;
use strict;
use warnings;

sub columns { 2 }

sub emit {
    my ($class, $rows, $table, $output) = @_;
    my (%seen, %words);
    my $last = '';
    for my $row (@$rows) {
        my ($word, $kind, $line) = @$row;
        die "$table:$line: \"$word\" is not a word\n" unless $word =~ /^[a-z_]+$/;
        die "$table:$line: \"$word\" is declared twice\n" if $seen{$word}++;
        die "$table:$line: class is free, apart or reserved\n"
            unless $kind =~ /^(free|apart|reserved)$/;
        push @{$words{$kind}}, $word;
    }
    return $class->grammar(\%words) if $output =~ /\.y$/;
    my $text = "#include \"sql/scan.h\"\n\n#include \"sql_parser.gen.h\"\n\n"
        . "const struct sql_keyword sql_keywords[] = {\n";
    for my $row (sort { $a->[0] cmp $b->[0] } @$rows) {
        $text .= sprintf "    {\"%s\", T_%s, '%s'},\n", $row->[0], uc $row->[0],
            substr $row->[1], 0, 1;
    }
    return "$text};\nconst int sql_keyword_count = " . scalar(@$rows) . ";\n";
}

sub grammar {
    my ($class, $words) = @_;
    my $list = sub { join ' ', map { uc } @{$_[0]} };
    my $text = "%fallback IDENT\n    " . $list->($words->{free}) . ".\n";
    $text .= "name(A) ::= $_(B). { A = B; }\n" for map { uc } @{$words->{apart}};
    $text .= "label(A) ::= $_(B). { A = B; }\n" for map { uc } @{$words->{reserved}};
    return $text;
}

1;
