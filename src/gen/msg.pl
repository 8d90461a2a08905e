#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Turns the messages of grammar/ into C: plain structs and the tables that
# base/msg.c interprets.
#
# usage: msg.pl SET OUTPUT FILE.msg...     OUTPUT ends in .h or .c
#        msg.pl --dump FILE.msg...         one line a field, for comparisons
#
# A .msg file holds messages. '#' starts a comment, indentation is by four.
#
#   api 0 Produce  versions 3-13  flexible 9+     request and response follow
#   request
#       name  type[]?1+  8+  = -1  tag 0  flat
#   response
#       ...
#   record OffsetCommitKey  versions 0  flexible none     one message
#       ...
#
# A field is a name and a type; then, as needed: the versions that carry it
# (default: those of what stands around it), its default, its tag. [] makes an
# array, ? lets it be null, ?1+ in those versions only. name[] and name{} open
# an array of structs and a struct, whose fields follow, indented. flat: a
# string with an int16 length in flexible versions too.
use strict;
use warnings;

my %kinds = (
    bool => ['bool', 'MSG_BOOL', 1, 'bools'], int8 => ['int8_t', 'MSG_INT8', 1, 'int8s'],
    int16 => ['int16_t', 'MSG_INT16', 2, 'int16s'], int32 => ['int32_t', 'MSG_INT32', 4, 'int32s'],
    int64 => ['int64_t', 'MSG_INT64', 8, 'int64s'], uint16 => ['uint16_t', 'MSG_UINT16', 2],
    uint32 => ['uint32_t', 'MSG_UINT32', 4], float64 => ['double', 'MSG_FLOAT64', 8],
    uuid => ['struct uuid', 'MSG_UUID', 16, 'uuids'],
    string => ['struct str', 'MSG_STRING', 'string', 'strs'],
    bytes => ['struct str', 'MSG_BYTES', 'bytes'],
    records => ['struct msg_records', 'MSG_RECORDS', 'bytes']);
my ($file, $line_no);

sub bad { die "$file:$line_no: $_[0]\n" }

# "3", "3-5", "3+" within [from, to] -> [from, to]
sub range {
    my ($text, $within) = @_;
    my ($from, $to) =
          $text =~ /^(\d+)\+$/ ? ($1, $within->[1])
        : $text =~ /^(\d+)-(\d+)$/ ? ($1, $2)
        : $text =~ /^(\d+)$/ ? ($1, $1)
        : bad("\"$text\" is not a range of versions");
    bad("versions $text are outside $within->[0]-$within->[1]")
        if $from < $within->[0] || $to > $within->[1] || $from > $to;
    return [$from, $to];
}

sub snake {
    my $name = shift;
    $name =~ s/([a-z0-9])([A-Z])/$1_$2/g;
    return lc $name;
}

sub parse_field {
    my ($text, $outer) = @_;
    my %field = (line => $line_no, tag => -1, null => undef);
    my $null;
    if ($text =~ s/^([a-z][a-z0-9_]*)(\[\]|\{\})(?:(\?)(\d\S*)?)?(?=\s|$)\s*//) {
        @field{qw(name kind array)} = ($1, 'struct', $2 eq '[]');
        $null = $4 // '' if $3;
        $field{fields} = [];
    } elsif ($text =~ s/^([a-z][a-z0-9_]*)\s+([a-z0-9]+)(\[\])?(?:(\?)(\d\S*)?)?(?=\s|$)\s*//) {
        @field{qw(name kind array)} = ($1, $2, defined $3);
        $null = $5 // '' if $4;
        bad("there is no type \"$2\"") unless $kinds{$2};
        bad("no array of $2") if $3 && !$kinds{$2}[3];
    } else {
        bad("\"$text\" is not a field");
    }
    $field{versions} = $text =~ s/^(\d[\d+-]*)\s*// ? range($1, $outer) : $outer;
    $field{null} = length $null ? range($null, $field{versions}) : $field{versions}
        if defined $null;
    if ($text =~ s/^=\s*(\S+)\s*//) {
        $field{default} = $1;
        bad("default $1 does not fit") unless $1 eq 'null' ? defined $null : $1 =~ /^(true|-?\d+)$/;
    }
    $field{tag} = $1 if $text =~ s/^tag\s+(\d+)\s*//;
    $field{flat} = $text =~ s/^flat\s*//;
    bad("cannot make sense of \"$text\"") if length $text;
    return \%field;
}

sub read_file {
    my @messages;
    my ($message, $flexible, $versions, @stack);
    ($file) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    while (my $line = <$in>) {
        $line_no = $.;
        chomp $line;
        $line =~ s/\s*#.*//;
        next if $line !~ /\S/;
        $line =~ s/^( *)//;
        my $depth = length($1) / 4;
        if ($depth == 0 && $line =~ /^(?:api\s+(\d+)|record)\s+([A-Z]\w*)
                \s+versions\s+(\S+)\s+flexible\s+(\S+)\s*$/x) {
            my ($key, $name, $flex) = ($1, $2, $4);
            $versions = range($3, [0, 254]);
            $flexible = $flex eq 'none' ? 255 : $flex =~ /^(\d+)\+$/ ? $1 : bad("flexible N+ or none");
            $message = {key => $key, name => $name, versions => $versions, flexible => $flexible,
                fields => [], file => $file, part => ''};
            @stack = ($message);
            push @messages, $message unless defined $key;
        } elsif ($depth == 0 && $line =~ /^(request|response)$/) {
            bad("$1 outside an api") unless $message && defined $message->{key};
            my $part = {%$message, fields => [], part => $1};
            push @messages, $part;
            @stack = ($part);
        } else {
            bad("bad indentation") if $depth != int $depth || $depth < 1 || $depth > @stack;
            $#stack = $depth - 1;
            bad("not inside a struct") unless $stack[-1]{fields};
            my $field = parse_field($line, $stack[-1]{versions});
            bad("\"$field->{name}\" is there twice")
                if grep { $_->{name} eq $field->{name} } @{$stack[-1]{fields}};
            bad("records cannot be in what is tagged") # it is gone through twice
                if $field->{kind} eq 'records' && grep { ($_->{tag} // -1) >= 0 } @stack, $field;
            push @{$stack[-1]{fields}}, $field;
            push @stack, $field if $field->{fields};
        }
    }
    return @messages;
}

# ---- what a struct needs on the wire, at least, in one version ----

sub field_min {
    my ($field, $version, $flexible) = @_;
    my $flex = $version >= $flexible;
    return $flex ? 1 : 4 if $field->{array};
    if ($field->{kind} eq 'struct') {
        return 1 if $field->{null} && $version >= $field->{null}[0];
        return struct_min($field, $version, $flexible);
    }
    my $min = $kinds{$field->{kind}}[2];
    return $min if $min =~ /^\d/;
    return $flex && !$field->{flat} ? 1 : $min eq 'string' ? 2 : 4;
}

sub struct_min {
    my ($st, $version, $flexible) = @_;
    my $sum = $version >= $flexible ? 1 : 0;
    for my $field (@{$st->{fields}}) {
        next if $field->{tag} >= 0 || $version < $field->{versions}[0]
            || $version > $field->{versions}[1];
        $sum += field_min($field, $version, $flexible);
    }
    return $sum;
}

sub struct_min_any {
    my ($st, $flexible) = @_;
    my $least;
    for my $version ($st->{versions}[0] .. $st->{versions}[1]) {
        my $min = struct_min($st, $version, $flexible);
        $least = $min if !defined $least || $min < $least;
    }
    return $least;
}

# ---- C ----

# Tagged fields last, by rising tag.
sub ordered {
    my @fields = @{$_[0]{fields}};
    return ((grep { $_->{tag} < 0 } @fields),
        sort { $a->{tag} <=> $b->{tag} } grep { $_->{tag} >= 0 } @fields);
}

sub c_struct {
    my ($st, $name) = @_;
    my $text = '';
    for my $field (grep { $_->{fields} } @{$st->{fields}}) {
        $text .= c_struct($field, "${name}_$field->{name}");
    }
    $text .= "struct $name {\n";
    for my $field (@{$st->{fields}}) {
        my $type = $field->{fields} ? "struct ${name}_$field->{name}" : $kinds{$field->{kind}}[0];
        if ($field->{array} && $field->{fields}) {
            $text .= "    struct {\n        $type *at;\n        int32_t count;\n    } $field->{name};\n";
        } elsif ($field->{array}) {
            $text .= "    struct msg_$kinds{$field->{kind}}[3] $field->{name};\n";
        } else {
            my $star = $field->{fields} && $field->{null} ? '*' : '';
            $text .= "    $type $star$field->{name};\n";
        }
    }
    $text .= "    char empty;\n" unless @{$st->{fields}};
    return "$text};\n";
}

sub c_declarations {
    my ($st, $name) = @_;
    my $text = '';
    $text .= c_declarations($_, "${name}_$_->{name}") for grep { $_->{fields} } @{$st->{fields}};
    return $text . "extern const struct msg_struct ${name}_layout;\n"
        . "static inline void\n${name}_init(struct $name *msg)\n{\n"
        . "    msg_init(&${name}_layout, msg);\n}\n";
}

sub c_functions {
    my $name = shift;
    return <<"END";
extern const struct msg_type ${name}_type;
static inline bool
${name}_decode(struct wire_in *in, int version, struct arena *arena, struct $name *out)
{
    return msg_decode(&${name}_type, in, version, arena, out);
}
static inline void
${name}_encode(const struct $name *msg, int version, struct wire_out *out)
{
    msg_encode(&${name}_type, msg, version, out, NULL);
}
static inline size_t
${name}_size(const struct $name *msg, int version)
{
    return msg_size(&${name}_type, msg, version);
}
static inline void
${name}_print(const struct $name *msg, int version, struct text *out)
{
    msg_print(&${name}_type, msg, version, out);
}

END
}

sub c_table {
    my ($st, $name, $flexible) = @_;
    my $text = '';
    $text .= c_table($_, "${name}_$_->{name}", $flexible) for grep { $_->{fields} } @{$st->{fields}};
    my @fields = ordered($st);
    if (@fields) {
        $text .= "static const struct msg_field ${name}_fields[] = {\n";
        for my $field (@fields) {
            my @flags;
            my $default = $field->{default} // 0;
            push @flags, 'MSG_ARRAY' if $field->{array};
            push @flags, 'MSG_DEFAULT_NULL' if $default eq 'null';
            push @flags, 'MSG_FLAT' if $field->{flat};
            push @flags, 'MSG_POINTER' if $field->{fields} && !$field->{array} && $field->{null};
            $default = $default eq 'null' ? 0 : $default eq 'true' ? 1 : $default;
            $default = 'INT64_MIN' if $default eq '-9223372036854775808';
            my @null = $field->{null} ? @{$field->{null}} : (255, 0);
            $text .= sprintf "    {\"%s\", %s, %s, offsetof(struct %s, %s), %s, %s, %d, %d, %d, %d, %d},\n",
                $field->{name}, $field->{fields} ? "&${name}_$field->{name}_layout" : 'NULL', $default,
                $name, $field->{name}, $field->{fields} ? 'MSG_STRUCT' : $kinds{$field->{kind}}[1],
                @flags ? join(' | ', @flags) : 0, @{$field->{versions}}, @null, $field->{tag};
        }
        $text .= "};\n";
    }
    my $plain = grep { $_->{tag} < 0 } @fields;
    return $text . sprintf "const struct msg_struct %s_layout = {%s, %d, %d, sizeof(struct %s), %d};\n\n",
        $name, @fields ? "${name}_fields" : 'NULL', scalar @fields, $plain, $name,
        struct_min_any($st, $flexible);
}

sub c_name {
    my $message = shift;
    return snake($message->{name}) . ($message->{part} ? "_$message->{part}" : '');
}

sub dump_fields {
    my ($st, $path) = @_;
    for my $field (ordered($st)) {
        my $here = "$path.$field->{name}";
        print join("\t", $here, $field->{kind} . ($field->{array} ? '[]' : ''),
            join('-', @{$field->{versions}}), $field->{null} ? join('-', @{$field->{null}}) : 'none',
            $field->{default} // '', $field->{tag}, $field->{flat} ? 'flat' : ''), "\n";
        dump_fields($field, $here) if $field->{fields};
    }
}

if (@ARGV && $ARGV[0] eq '--dump') {
    shift;
    for my $message (map { read_file($_) } @ARGV) {
        my $name = $message->{name} . ucfirst $message->{part};
        print join("\t", $name, $message->{key} // '', join('-', @{$message->{versions}}),
            $message->{flexible}), "\n";
        dump_fields($message, $name);
    }
    exit;
}

my ($set, $output, @files) = @ARGV;
die "usage: msg.pl SET OUTPUT FILE.msg...\n" unless @files;
my @messages = map { read_file($_) } sort @files;
my %seen;
for my $message (@messages) {
    die "$message->{file}: \"$message->{name}\" is declared twice\n" if $seen{c_name($message)}++;
}
my $text = "/* Generated from the messages of grammar/$set. Do not edit. */\n";
my %apis;
push @{$apis{$_->{key}}}, $_ for grep { defined $_->{key} } @messages;
my $api_count = keys %apis;
if ($output =~ /\.h$/) {
    my $guard = uc "GEN_${set}_GEN_H";
    $text .= "#ifndef $guard\n#define $guard\n\n#include \"base/msg.h\"\n\n";
    for my $message (@messages) {
        my $name = c_name($message);
        $text .= "/* $message->{name}" . ($message->{part} ? " $message->{part}" : '') . " */\n"
            . c_struct($message, $name) . c_declarations($message, $name) . c_functions($name);
    }
    $text .= "enum { \U$set\E_MSG_COUNT = " . scalar(@messages) . " };\n"
        . "extern const struct msg_type *const ${set}_msgs[\U$set\E_MSG_COUNT];\n";
    $text .= "/* By rising key. */\nenum { \U$set\E_API_COUNT = $api_count };\n"
        . "extern const struct msg_api ${set}_apis[\U$set\E_API_COUNT];\n" if $api_count;
    $text .= "\n#endif\n";
} else {
    $text .= "#include \"gen/$set.gen.h\"\n\n";
    for my $message (@messages) {
        my $name = c_name($message);
        $text .= c_table($message, $name, $message->{flexible});
        $text .= sprintf "const struct msg_type %s_type = {\"%s\", &%s_layout, %d, %d, %d};\n\n", $name,
            $message->{name} . ucfirst $message->{part}, $name, @{$message->{versions}},
            $message->{flexible};
    }
    $text .= "const struct msg_type *const ${set}_msgs[\U$set\E_MSG_COUNT] = {\n"
        . join('', map { '    &' . c_name($_) . "_type,\n" } @messages) . "};\n";
    if ($api_count) {
        $text .= "\nconst struct msg_api ${set}_apis[\U$set\E_API_COUNT] = {\n";
        for my $key (sort { $a <=> $b } keys %apis) {
            my ($request, $response) = @{$apis{$key}};
            die "$request->{file}: api $key needs one request and one response\n"
                unless @{$apis{$key}} == 2 && $response->{part} eq 'response';
            $text .= sprintf "    {%d, \"%s\", &%s_type, &%s_type},\n", $key, $request->{name},
                c_name($request), c_name($response);
        }
        $text .= "};\n";
    }
}
open my $out, '>', "$output.tmp" or die "$output.tmp: $!\n";
print $out $text;
close $out or die "$output.tmp: $!\n";
rename "$output.tmp", $output or die "$output: $!\n";
