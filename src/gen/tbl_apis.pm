# SPDX-License-Identifier: Apache-2.0
# apis.tbl: key, api, served, offered, needs. apis.gen.h declares the handlers;
# apis.gen.c is the table that dispatch.c and api_versions.c read.
package tbl_apis;
use strict;
use warnings;

sub columns { 5 }

sub range {
    my ($text, $where) = @_;
    return ($1, $2 // $1) if $text =~ /^(\d+)(?:-(\d+))?$/ && (!defined $2 || $2 >= $1);
    die "$where: \"$text\" is not a range of versions\n";
}

sub snake {
    my $name = shift;
    $name =~ s/([a-z0-9])([A-Z])/$1_$2/g;
    return lc $name;
}

sub emit {
    my ($class, $rows, $table, $output) = @_;
    my ($protos, $array, $list, $last) = ('', '', '', -1);
    for my $row (@$rows) {
        my ($key, $api, $served, $offered, $needs, $line) = @$row;
        die "$table:$line: keys must rise\n" unless $key =~ /^\d+$/ && $key > $last;
        $last = $key;
        my @served = range($served, "$table:$line");
        my @offered = $offered eq '-' ? @served : range($offered, "$table:$line");
        my $name = snake($api);
        $list .= " \\\n    X(kafka_$name)";
        $protos .= "void kafka_$name(struct kafka_request *req);\n";
        $array .= sprintf "    {%d, \"%s\", %d, %d, %d, %d, kafka_%s, &%s_request_type, "
            . "&%s_response_type, \"%s\"},\n", $key, $api, @served, @offered, $name, $name, $name,
            $needs;
    }
    my $count = @$rows;
    return "#ifndef KAFKA_APIS_GEN_H\n#define KAFKA_APIS_GEN_H\n\nstruct kafka_request;\n"
        . "enum { KAFKA_SERVED_COUNT = $count };\n\n$protos\n"
        . "/* Every handler's name. */\n#define KAFKA_HANDLERS(X)$list\n\n#endif\n" if $output =~ /\.h$/;
    return "#include \"kafka/kafka_int.h\"\n\n"
        . "const struct kafka_api kafka_served[KAFKA_SERVED_COUNT] = {\n$array};\n";
}

1;
