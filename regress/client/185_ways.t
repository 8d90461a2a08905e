#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Every way out of the log gives the same records. Topics are filled by chance: batches of
# 1 to 5000 records, all codecs, values of 0 bytes to 1 MiB, nulls and headers, transactions
# that commit, abort and stay open, DeleteRecords, small segments, compaction. What each way of
# reading gives is compared with what was produced. OX_LONG=1 tries more seeds, for two minutes or OX_SECONDS; OX_SEEDS="17 18"
# those.
use strict;
use warnings;
use File::Temp qw(tempdir);
use MIME::Base64 qw(decode_base64url);
use Oxbow qw(slurp spew);
use Postgres;
use Raw;
use Test::More;
use Time::HiRes qw(sleep time);

my $files = tempdir('ways-XXXXXX', DIR => Oxbow::tmp(), CLEANUP => 1);
my $ox = Oxbow->start(settings => {log_cleaner_backoff_ms => 100, transaction_state_log_num_partitions => 1})
    or BAIL_OUT('no server');
my $kafka = dial($ox->{kafka_port});
my $sql = Postgres::connect($ox->{sql_port}, 'oxbow');
my ($seed, $topic);

sub chance { return int rand $_[0] }
sub pick { return $_[rand @_] }

# Requests whose coordinator or partition is not there yet are asked again.
sub retried {
    my ($what, $code) = @_;
    for (1 .. 300) {
        my ($error, @rest) = $code->();
        return @rest if $error == 0;
        die "$what: error $error" unless grep { $error == $_ } 3, 5, 6, 7, 14, 15, 16, 51, 78;
        sleep 0.05;
    }
    die "$what: no answer in time";
}

sub said {
    my ($text) = @_;
    my ($answer) = grep { defined $_->{error} } my @all = $sql->query($text);
    die "$text: $answer->{error} $answer->{text}" if $answer;
    return @{$all[-1]{rows} // []};
}

# ---- what is written ----

my $letters = join '', map { chr(97 + int rand 26) } 1 .. 1 << 20;
sub word { return substr $letters, chance(1000), $_[0] }

sub record_line {
    my ($topic, $big) = @_;
    my $key = !$topic->{compact} && chance(10) == 0 ? undef : chance(20) == 0 && !$topic->{compact} ? ''
        : 'k' . chance($topic->{keys});
    my $value = chance(12) == 0 ? undef : chance(12) == 0 ? '' : chance(2000) == 0 && $big ? word(chance(1 << 20))
        : chance(100) == 0 ? word(chance(5000)) : word(chance(60));
    my $headers = chance(5) ? '' : join ',', map { "h$_" . (chance(4) ? '=' . word(chance(9)) : '') } 1 .. 1 + chance(4);
    return ($topic->{start} + chance(1_000_000), $key // '\N', $value // '\N', $headers);
}

# One or more batches of a producer as bytes; what was given back is their records.
sub filter_through {
    my ($mode, $bytes) = @_;
    spew("$files/in", $bytes);
    system("$Oxbow::BUILD/regress/wire/batches $mode <$files/in >$files/out") == 0 or die "batches $mode";
    return slurp("$files/out");
}

sub produce {
    my ($topic, $part, $producer) = @_;
    my $count = pick(1, 1, 2, 5, 1 + chance(50), 1 + chance(300), 1 + chance(2000), chance(8) ? 10 : 1 + chance(5000));
    my $big = $count < 2000;
    my @records = map { [record_line($topic, $big)] } 1 .. $count;
    if (chance(25) == 0) {
        @records = @records[0 .. ($#records < 3 ? $#records : 3)];
        $records[0][2] = word((1 << 20) - chance(3));
    }
    # A batch must fit a segment, plain too.
    my $room = $topic->{segment} - 1000;
    @records = grep { ($room -= 30 + length "@$_") > 0 } @records;
    $count = @records or return;
    my $head = $producer ? "$producer->{id} $producer->{epoch} " . ($producer->{seq}{$part} // 0) . ' 1' : '-1 -1 -1 0';
    $producer->{seq}{$part} += $count if $producer;
    my $bytes = filter_through('pack', join '', '= ' . chance(5) . " $head\n", map { join("\t", @$_) . "\n" } @records);
    my $name = $producer ? pack('n/a', $producer->{name}) : pack('n', 0xFFFF);
    my ($base) = retried('Produce', sub {
        my $answer = kafka_ask($kafka, 0, 7, $name . pack('nN N n/a N N N/a', 0xFFFF, 30000, 1, $topic->{name}, 1, $part, $bytes), 60)
            // die 'Produce: closed';
        my (undef, undef, undef, undef, $error, $base) = unpack 'N n/a N N s> q>', $answer;
        return ($error, $base);
    });
    push @{$topic->{log}[$part]}, map { {offset => $base++, line => $_, state => $producer ? $producer->{state} : \'committed'} } @records;
}

sub begin {
    my ($topic, $name) = @_;
    kafka_ask($kafka, 10, 1, pack('n/a C', $name, 1));
    my ($id, $epoch) = retried('InitProducerId', sub {
        my (undef, $error, $id, $epoch) = unpack 'N s> q> s>', kafka_ask($kafka, 22, 1, pack('n/a N', $name, 600000)) // die;
        return ($error, $id, $epoch);
    });
    my $producer = {name => $name, id => $id, epoch => $epoch, state => \(my $state = 'open')};
    my $parts = $topic->{parts};
    retried('AddPartitionsToTxn', sub {
        my $answer = kafka_ask($kafka, 24, 0, pack('n/a q> n N n/a N N*', $name, $id, $epoch, 1, $topic->{name}, $parts, 0 .. $parts - 1)) // die;
        return (unpack 's>', substr $answer, -2);
    });
    return $producer;
}

sub end {
    my ($producer, $commit) = @_;
    retried('EndTxn', sub {
        my (undef, $error) = unpack 'N s>', kafka_ask($kafka, 26, 0, pack('n/a q> n C', $producer->{name}, $producer->{id}, $producer->{epoch}, $commit)) // die;
        return $error;
    });
    ${$producer->{state}} = $commit ? 'committed' : 'aborted';
}

sub fill {
    my ($topic) = @_;
    my (%open, $number);
    for (1 .. 15 + chance(40)) {
        my $part = chance($topic->{parts});
        if (chance(3)) {
            produce($topic, $part);
        } elsif (%open && chance(2)) {
            my $name = pick(sort keys %open);
            chance(3) ? produce($topic, $part, $open{$name}) : end(delete $open{$name}, chance(2));
        } else {
            my $name = "$topic->{name}-" . ++$number;
            $open{$name} = begin($topic, $name);
            produce($topic, $part, $open{$name});
        }
    }
    end($open{$_}, chance(2)) for grep { $topic->{compact} || chance(4) } sort keys %open;
    produce($topic, $_) for 0 .. $topic->{parts} - 1;
}

# ---- what is to be read ----

sub unpacked { return map { [split /\t/, $_, -1] } split /\n/, filter_through('unpack', $_[0]) }

# {partition}: rows [partition, offset, timestamp, key, value, headers] in order.
sub expected {
    my ($topic, $isolation) = @_;
    my @rows;
    for my $part (0 .. $topic->{parts} - 1) {
        for my $at (@{$topic->{log}[$part]}) {
            last if $isolation && ${$at->{state}} eq 'open';
            next if $isolation && ${$at->{state}} eq 'aborted' || $at->{offset} < ($topic->{from}[$part] // 0);
            push @rows, [$part, $at->{offset}, @{$at->{line}}];
        }
    }
    return \@rows;
}

sub short { return join '|', map { length > 40 ? substr($_, 0, 40) . '...' . length : $_ } @{$_[0] // []} }

my $checks = 0;
sub same {
    my ($got, $want, $what) = @_;
    $checks++;
    my $at = 0;
    $at++ while $at < @$got && $at < @$want && "@{$got->[$at]}" eq "@{$want->[$at]}";
    return if $at == @$got && $at == @$want;
    fail("seed $seed, $topic->{name}: $what");
    diag 'rows: ', scalar @$got, ', expected ', scalar @$want, "; first difference at $at:\n",
        short($got->[$at]), "\n", short($want->[$at]);
}

# Rows of all partitions in order; within each they came so.
sub in_order {
    my ($rows, $what) = @_;
    my @last;
    for my $row (@$rows) {
        fail("seed $seed: $what: partition $row->[0] goes back to $row->[1]") if $row->[1] <= ($last[$row->[0]] // -1);
        $last[$row->[0]] = $row->[1];
    }
    return by_place($rows);
}

sub by_place { return [sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] } @{$_[0]}] }

# ---- Kafka's ways ----

# What is visible of a fetched partition: its batches but those of aborted transactions.
sub visible {
    my ($bytes, $next, @aborted) = @_;
    my ($keep, %gone) = ('');
    @aborted = sort { $a->[1] <=> $b->[1] } @aborted;
    while (length $bytes >= 61) {
        my ($base, $len) = unpack 'q>N', $bytes;
        last if length $bytes < $len + 12;
        my $batch = substr $bytes, 0, $len + 12, '';
        my ($attributes, $delta) = unpack 'nN', substr $batch, 21;
        my $id = unpack 'q>', substr $batch, 43;
        $$next = $base + $delta + 1;
        $gone{(shift @aborted)->[0]} = 1 while @aborted && $aborted[0][1] < $$next;
        if ($attributes & 32) {
            delete $gone{$id} if unpack('n', substr $batch, 68) == 0;
        } elsif (!($attributes & 16) || !$gone{$id}) {
            $keep .= $batch;
        }
    }
    return $keep;
}

# A whole topic: {isolation, max, part_max, session}.
sub fetch_all {
    my ($topic, %how) = @_;
    my @next = map { $topic->{from}[$_] // 0 } 0 .. $topic->{parts} - 1;
    my @from = @next;
    my @bytes = ('') x @next;
    my ($session, $epoch, $idle, $rounds) = (0, $how{session} ? 0 : -1, 0, 0);
    my @told;
    while ($idle < 2) {
        die 'Fetch does not come to an end' if ++$rounds > 100000;
        my @ask = grep { $epoch <= 0 || $told[$_] != $next[$_] } 0 .. $#next;
        my $body = pack('N N N N C N N', 0xFFFFFFFF, 0, 1, $how{max}, $how{isolation}, $session, $epoch);
        $body .= @ask ? pack('N n/a N', 1, $topic->{name}, scalar @ask) : pack 'N', 0;
        $body .= pack 'N N q> q> N', $_, 0xFFFFFFFF, $next[$_], -1, $how{part_max} for @ask;
        $told[$_] = $next[$_] for @ask;
        my $answer = kafka_ask($kafka, 1, 11, $body . pack('N n', 0, 0), 60) // die 'Fetch: closed';
        (undef, my $error, my $given, my $topics) = unpack 'N s> N N', $answer;
        die "Fetch: error $error" if $error;
        if ($how{session}) {
            $session = $given;
            $epoch++;
        }
        my $at = 14;
        my $moved = 0;
        for (1 .. $topics) {
            my ($name, $count) = unpack 'n/a N', substr $answer, $at;
            $at += 6 + length $name;
            for (1 .. $count) {
                my ($part, $wrong, $high, $stable, $start, $n) = unpack 'N s> q> q> q> l>', substr $answer, $at;
                die "Fetch of partition $part: error $wrong" if $wrong;
                $at += 34;
                my @aborted;
                push @aborted, [unpack 'q> q>', substr $answer, $at + 16 * $_] for 0 .. $n - 1;
                $at += 16 * $n if $n > 0;
                my ($replica, $len) = unpack 'N N', substr $answer, $at;
                my $before = $next[$part];
                $bytes[$part] .= visible(substr($answer, $at + 8, $len), \$next[$part], @aborted);
                $moved += $next[$part] > $before;
                $at += 8 + $len;
            }
        }
        $idle = $moved ? 0 : $idle + 1;
    }
    return [map { my $part = $_; map { [$part, @$_] } grep { $_->[0] >= $from[$part] } unpacked($bytes[$part]) } 0 .. $#next];
}

sub kafka_ways {
    my ($topic) = @_;
    for my $isolation (0, 1) {
        my $want = expected($topic, $isolation);
        for my $limits ([1 << 26, 1 << 26], [1 << 20, pick(1, 1000, 50000)], [pick(1, 3000, 200000), 1 << 20]) {
            next if $topic->{bytes} > 2e6 && ($limits->[0] < 1000 || $limits->[1] < 1000);
            for my $session (0, 1) {
                same(fetch_all($topic, isolation => $isolation, max => $limits->[0], part_max => $limits->[1], session => $session),
                    $want, "Fetch, isolation $isolation, max_bytes $limits->[0], $limits->[1], session $session");
            }
        }
    }
}

# ---- a share group ----

sub compact { return chr(1 + length $_[0]) . $_[0] }

# An unsigned varint at $$at.
sub uvarint {
    my ($bytes, $at) = @_;
    my ($value, $shift) = (0, 0);
    for (;;) {
        my $byte = ord substr $$bytes, $$at++, 1;
        $value |= ($byte & 127) << $shift;
        return $value if $byte < 128;
        $shift += 7;
    }
}

# What a ShareFetch gave: [partition, its batches, [first, last] ...] for each partition.
sub acquired {
    my ($answer) = @_;
    my ($at, @given) = (1);
    my $take = sub { my ($how, $len) = @_; $at += $len; return unpack $how, substr $answer, $at - $len, $len };
    my $text = sub { my $len = uvarint(\$answer, \$at); return $len > 1 ? $take->("a*", $len - 1) : '' };
    my (undef, $error) = $take->('N s>', 6);
    my $why = $text->();
    die "ShareFetch: error $error $why" if $error;
    $take->('N', 4);
    for (2 .. uvarint(\$answer, \$at)) {
        $take->('a*', 16);
        for (2 .. uvarint(\$answer, \$at)) {
            my ($part, $wrong) = $take->('N s>', 6);
            $text->();
            my $refused = $take->('s>', 2);
            die "ShareFetch of $part: errors $wrong, $refused" if $wrong || $refused;
            $text->();
            $take->('a*', 9);
            my @one = ($part, $text->());
            for (2 .. uvarint(\$answer, \$at)) {
                push @one, [$take->('q> q>', 16)];
                $take->('a*', 3);
            }
            $take->('a', 1);
            push @given, \@one;
        }
        $take->('a', 1);
    }
    return @given;
}

# What one member is given and accepts, until nothing comes any more.
sub shared {
    my ($topic, $isolation) = @_;
    my ($group, $member, $parts) = ("$topic->{name}-$isolation", 'm' x 22, $topic->{parts});
    my $said = $ox->wire(qq(retry 15 FindCoordinator 4 {key_type: 0, coordinator_keys: ["$group"]}),
        qq(retry 14,15,16 OffsetFetch 7 {group_id: "$group", topics: null}), qq(Metadata 12 {topics: [{name: "$topic->{name}"}]}),
        qq(IncrementalAlterConfigs 1 {resources: [{resource_type: 32, resource_name: "$group", configs: )
            . qq([{name: "share.auto.offset.reset", config_operation: 0, value: "earliest"}, )
            . qq({name: "share.isolation.level", config_operation: 0, value: "read_) . ($isolation ? '' : 'un') . qq(committed"}]}]}));
    my ($id) = map { decode_base64url($_) } $said =~ /topic_id: "([^"]+)"/ or die $said;
    my $beat = sub {
        my ($epoch) = @_;
        my $names = $epoch ? "\0" : "\2" . compact($topic->{name});
        retried('ShareGroupHeartbeat', sub {
            return unpack 'x5 s>', kafka_ask($kafka, 76, 1, "\0" . compact($group) . compact($member) . pack('N', $epoch) . "\0$names\0") // die;
        });
    };
    $beat->(0);
    my ($epoch, $idle, %have, @rows) = (0, 0);
    my $until = time + 120;
    while ($idle < 3 && time < $until) {
        my $body = "\0" . compact($group) . compact($member) . pack('N6', $epoch, 300, 1, pick(100000, 1 << 22), pick(10, 500, 2000), pick(10, 500));
        my @told = $epoch ? grep { $have{$_} } 0 .. $parts - 1 : 0 .. $parts - 1;
        $body .= @told ? "\2$id" . chr(1 + @told) : "\1";
        for my $part (@told) {
            my @accept = @{delete $have{$part} // []};
            die 'too many ranges' if @accept > 120;
            $body .= pack('N', $part) . chr(1 + @accept) . join('', map { pack 'q> q> C C C', @$_, 2, 1, 0 } @accept) . "\0";
        }
        $body .= "\0" if @told;
        my $asked = time;
        my @given = acquired(kafka_ask($kafka, 78, 1, $body . "\1\0", 60) // die 'ShareFetch: closed');
        $epoch++;
        $idle++ if time - $asked > 0.28; # sooner: it passed over records of aborted transactions
        for my $one (@given) {
            my ($part, $bytes, @ranges) = @$one;
            next unless @ranges;
            $idle = 0;
            $have{$part} = \@ranges;
            for my $row (map { [$part, @$_] } unpacked($bytes)) {
                push @rows, $row if grep { $row->[1] >= $_->[0] && $row->[1] <= $_->[1] } @ranges;
            }
        }
    }
    $beat->(-1);
    return in_order(\@rows, 'ShareFetch');
}

# ---- the ways of SQL ----

my $columns = "_partition, _offset, (extract(epoch from _timestamp) * 1000)::int8, _key, _value, _headers";

sub headers_line {
    my ($json) = @_;
    return '' if $json eq '[]';
    return join ',', map { /"key": "(\w*)", "value": (?:null|"(\w*)")/ ? $1 . (defined $2 ? "=$2" : '') : "? $_" }
        split /\}, \{/, $json;
}

sub row { my @row = split /\t/, $_[0], -1; $row[5] = headers_line($row[5]) if ($row[5] // q()) =~ m{^\[}; return \@row }
sub rows { return [map { row($_) } said(@_)] }

# Rows of a COPY ... TO STDOUT.
sub copied {
    my ($text) = @_;
    my ($all, $wrong) = ('');
    $sql->send($text);
    for (;;) {
        my ($type, $body) = $sql->message;
        $all .= $body if $type eq 'd';
        $wrong = $body =~ s/\0/ /gr if $type eq 'E';
        last if $type eq 'Z';
    }
    die "$text: $wrong" if defined $wrong;
    return [map { row($_) } split /\n/, $all];
}

sub select_ways {
    my ($topic, $want) = @_;
    my $name = $topic->{name};
    same(by_place(in_order(rows("SELECT $columns FROM $name"), 'SELECT')), $want, 'SELECT');
    same(rows("SELECT $columns FROM $name ORDER BY _partition, _offset"), $want, 'SELECT in order');
    same(by_place(rows("SELECT $columns FROM $name ORDER BY _offset")), $want, 'SELECT merged');
    same(by_place(rows("SELECT $columns FROM $name ORDER BY _offset DESC")), $want, 'SELECT merged backward');
    same(by_place(rows("SELECT $columns FROM topics('$name')")), $want, 'topics()');
    same(by_place(rows("SELECT $columns FROM $name ORDER BY _timestamp, _offset")), $want, 'SELECT by time');
    same(by_place(rows("SELECT $columns FROM $name TABLESAMPLE SYSTEM (100)")), $want, 'TABLESAMPLE');
    same(by_place(rows("SELECT $columns FROM $name WHERE _partition IN (SELECT DISTINCT _partition FROM $name)")), $want, 'IN');
    same(in_order(copied("COPY (SELECT $columns FROM $name) TO STDOUT"), 'COPY'), $want, 'COPY');
    for (4, 9) {
        my $part = chance($topic->{parts});
        my @mine = grep { $_->[0] == $part } @$want;
        next unless @mine;
        my ($from, $to) = sort { $a <=> $b } map { $mine[rand @mine][1] } 1, 2;
        my $limit = 1 + chance(3000);
        my @range = grep { $_->[1] >= $from && $_->[1] <= $to } @mine;
        my $where = "WHERE _partition = $part AND _offset BETWEEN $from AND $to";
        same(rows("SELECT $columns FROM $name $where"), \@range, $where);
        same([reverse @{rows("SELECT $columns FROM $name $where ORDER BY _offset DESC")}], \@range, "$where backward");
        my $n = $limit < @range ? $limit : @range;
        same(rows("SELECT $columns FROM $name $where ORDER BY _offset LIMIT $limit"), [@range[0 .. $n - 1]], "$where limit $limit");
        same([reverse @{rows("SELECT $columns FROM $name $where ORDER BY _offset DESC LIMIT $limit")}], [@range[@range - $n .. $#range]],
            "$where backward, limit $limit");
        same(rows("SELECT $columns FROM read_topic('$name', partition => $part, from_offset => $from, to_offset => $to)"),
            [grep { $_->[1] < $to } @range], "read_topic $part $from $to");
        my ($early, $late) = sort { $a <=> $b } map { $want->[rand @$want][2] } 1, 2;
        $where = "WHERE _timestamp >= to_timestamp($early / 1000.0) AND _timestamp < to_timestamp($late / 1000.0)";
        same(by_place(rows("SELECT $columns FROM $name $where")), [grep { $_->[2] >= $early && $_->[2] < $late } @$want], $where);
        my $key = $want->[rand @$want][3];
        $where = $key eq '\N' ? 'WHERE _key IS NULL' : "WHERE _key = '$key'";
        same(by_place(rows("SELECT $columns FROM $name $where")), [grep { $_->[3] eq $key } @$want], $where);
        $where .= " AND _offset > $from AND _value IS NOT NULL";
        same(by_place(rows("SELECT $columns FROM $name $where")),
            [grep { $_->[3] eq $key && $_->[1] > $from && $_->[4] ne '\N' } @$want], $where);
    }
}

sub whole_ways {
    my ($topic, $want) = @_;
    my $name = $topic->{name};
    my (%sum, %keys);
    for my $row (@$want) {
        my $length = $row->[4] eq '\N' ? 0 : length $row->[4];
        my $at = $sum{$row->[0]} //= [$row->[0], 0, $row->[1], 0, 0, 0];
        $at->[1]++;
        $at->[3] = $row->[1];
        $at->[4] += $length;
        $at->[5] = $row->[2] if $row->[2] > $at->[5];
        my $key = $keys{$row->[3]} //= [$row->[3], 0, 0, 0];
        $key->[1]++;
        $key->[2] += $row->[1];
        $key->[3] = $length if $length > $key->[3];
    }
    my $ms = '(extract(epoch from max(_timestamp)) * 1000)::int8';
    same(rows("SELECT _partition, count(*), min(_offset), max(_offset), coalesce(sum(length(_value)), 0), $ms FROM $name GROUP BY 1 ORDER BY 1"),
        [map { $sum{$_} } sort { $a <=> $b } keys %sum], 'aggregates');
    same(rows("SELECT count(*) FROM $name"), [[scalar @$want]], 'count');
    for my $part (sort keys %sum) {
        same(rows("SELECT count(*), min(_offset), max(_offset), $ms FROM $name WHERE _partition = $part"), [[@{$sum{$part}}[1, 2, 3, 5]]], "of headers, $part");
    }
    for my $memory ('64kB', '64MB') {
        said("SET work_mem = '$memory'");
        same([sort { $a->[0] cmp $b->[0] } @{rows("SELECT _key, count(*), sum(_offset), coalesce(max(length(_value)), 0) FROM $name GROUP BY _key")}],
            [map { $keys{$_} } sort keys %keys], "GROUP BY _key, $memory");
        same(by_place(rows("SELECT $columns FROM $name ORDER BY _value DESC, _key")), $want, "ORDER BY _value, $memory");
        same(by_place(rows("SELECT a._partition, a._offset, (extract(epoch from b._timestamp) * 1000)::int8, b._key, a._value, b._headers FROM $name a "
            . 'JOIN ' . "$name b ON a._partition = b._partition AND a._offset = b._offset")), $want, "join, $memory");
        same(by_place(rows("SELECT DISTINCT $columns FROM $name")), $want, "DISTINCT, $memory");
        same(by_place(rows("WITH w AS MATERIALIZED (SELECT $columns FROM $name) SELECT * FROM w")), $want, "WITH, $memory");
        same(by_place([map { [@$_[0 .. 5]] } @{rows("SELECT $columns, row_number() OVER (PARTITION BY _key ORDER BY _offset) FROM $name")}]), $want, "window, $memory");
    }
    said('RESET work_mem');
}

sub subscribe_ways {
    my ($topic, $want) = @_;
    my $name = $topic->{name};
    my $from = "SUBSCRIBE (SELECT $columns FROM $name)";
    same(in_order(rows("$from FROM EARLIEST UNTIL LATEST"), 'SUBSCRIBE'), $want, 'SUBSCRIBE');
    same(in_order(copied("COPY ($from FROM EARLIEST UNTIL LATEST) TO STDOUT"), 'COPY SUBSCRIBE'), $want, 'COPY of SUBSCRIBE');
    same(in_order(rows("$from FROM EARLIEST LIMIT " . scalar @$want), 'SUBSCRIBE LIMIT'), $want, 'SUBSCRIBE LIMIT') if @$want;
    same(in_order(rows("SELECT $columns FROM subscribe('$name', start => 'earliest', stop => 'latest')"), 'subscribe()'), $want, 'subscribe()');
    my $all = expected($topic, 0);
    same(in_order(rows("$from FROM EARLIEST UNTIL LATEST WITH (isolation = uncommitted)"), 'uncommitted'), $all, 'SUBSCRIBE uncommitted')
        unless $topic->{compact};
    return unless @$want;
    for (1 .. 3) {
        my $offset = $want->[rand @$want][1];
        my $part = chance($topic->{parts});
        my @end = map { list_offset($topic, $_, -1, 0) } 0 .. $topic->{parts} - 1;
        same(in_order(rows("$from FROM OFFSET $offset UNTIL LATEST WITH (on_gap = earliest)"), 'FROM OFFSET'), [grep { $_->[1] >= $offset || $offset > $end[$_->[0]] } @$want], "FROM OFFSET $offset");
        same(rows("$from FROM OFFSET $offset UNTIL LATEST PARTITIONS ($part) WITH (on_gap = earliest)"), [grep { $_->[0] == $part && ($_->[1] >= $offset || $offset > $end[$part]) } @$want],
            "FROM OFFSET $offset, partition $part");
        my $n = 1 + chance(scalar @$want);
        for my $last (in_order(rows("$from FROM LAST $n ROWS UNTIL LATEST"), 'FROM LAST'), by_place(rows("SELECT $columns FROM tail('$name', $n)"))) {
            my %least;
            $least{$_->[0]} //= $_->[1] for @$last;
            same($last, [grep { defined $least{$_->[0]} && $_->[1] >= $least{$_->[0]} } @$want], "LAST $n");
            same([[scalar @$last]], [[$n]], "LAST $n, count");
        }
        my $key = $want->[rand @$want][3];
        my $where = $key eq '\N' ? '_key IS NULL' : "_key = '$key'";
        same(in_order(rows("SUBSCRIBE (SELECT $columns FROM $name WHERE $where) FROM EARLIEST UNTIL LATEST"), 'WHERE'), [grep { $_->[3] eq $key } @$want],
            "SUBSCRIBE WHERE $where");
        my $time = $want->[rand @$want][2];
        my @start = map { list_offset($topic, $_, $time) } 0 .. $topic->{parts} - 1;
        same(in_order(rows("$from FROM TIMESTAMP '" . (said("SELECT to_timestamp($time / 1000.0)"))[0] . "' UNTIL LATEST"), 'FROM TIMESTAMP'),
            [grep { $start[$_->[0]] >= 0 && $_->[1] >= $start[$_->[0]] } @$want], "FROM TIMESTAMP $time");
    }
    cursor_way($name, $want);
    token_way($name, $want);
}

# What was sent up to a token, and what comes from there, is all.
sub token_way {
    my ($name, $want) = @_;
    my @sent = map { [split /\t/, $_, -1] } said("SUBSCRIBE (SELECT $columns FROM $name) FROM EARLIEST UNTIL LATEST WITH (progress = true)");
    same(by_place([map { row(join "\t", @$_[2 .. 7]) } grep { $_->[0] eq 'f' } @sent]), $want, 'SUBSCRIBE with progress');
    my @places = grep { $sent[$_][0] eq 't' && $sent[$_][1] ne '\N' } 0 .. $#sent or return;
    my $at = pick(@places);
    my @before = map { row(join "\t", @$_[2 .. 7]) } grep { $_->[0] eq 'f' } @sent[0 .. $at];
    my $after = rows("SUBSCRIBE (SELECT $columns FROM $name) FROM TOKEN '$sent[$at][1]' UNTIL LATEST");
    same(by_place([@before, @$after]), $want, "FROM TOKEN $sent[$at][1]");
}

sub cursor_way {
    my ($name, $want) = @_;
    said('BEGIN');
    said("DECLARE c CURSOR FOR SELECT $columns FROM $name");
    my @got;
    for (;;) {
        my $some = rows('FETCH ' . (1 + chance(3000)) . ' FROM c');
        last unless @$some;
        push @got, @$some;
    }
    said('COMMIT');
    same(in_order(\@got, 'FETCH'), $want, 'a cursor');
}

# Where Kafka says that a time begins; -1: nowhere.
sub list_offset {
    my ($topic, $part, $time, $isolation) = @_;
    my $answer = kafka_ask($kafka, 2, 2, pack('N C N n/a N N q>', 0xFFFFFFFF, $isolation // 1, 1, $topic->{name}, 1, $part, $time)) // die;
    my (undef, undef, undef, undef, undef, $error, undef, $offset) = unpack 'N N n/a N N s> q> q>', $answer;
    die "ListOffsets: $error" if $error;
    return $offset;
}

# ---- a round ----

sub compacted {
    my ($topic) = @_;
    for (1 .. 2) {
        sleep 0.15;
        produce($topic, $_) for 0 .. $topic->{parts} - 1;
    }
    my $until = time + 10;
    sleep 0.2 while time < $until && join('', said("SELECT count(*) FROM oxbow.compaction WHERE topic = '$topic->{name}' AND passes > 0")) < $topic->{parts};
    said("ALTER TOPIC $topic->{name} SET (cleanup_policy = 'delete', retention_ms = -1)");
    sleep 0.5;
    # Nothing but what was produced, and the newest of each key.
    my %was;
    $was{"$_->[0] $_->[1]"} = $_ for @{expected($topic, 1)};
    my %newest = map { ("$_->[0] $_->[3]" => $_) } grep { $_->[4] ne '\N' } @{expected($topic, 1)};
    my $got = fetch_all($topic, isolation => 1, max => 1 << 26, part_max => 1 << 26);
    same($got, [map { $was{"$_->[0] $_->[1]"} // ['not produced'] } @$got], 'what compaction kept is what was produced');
    my %there = map { ("$_->[0] $_->[1]" => 1) } @$got;
    my %last = map { ("$_->[0] $_->[3]" => $_) } @{expected($topic, 1)};
    same([grep { !$there{"$_->[0] $_->[1]"} } grep { $_->[4] ne '\N' } map { $last{$_} } sort keys %last], [], 'the newest of each key is there');
    note 'compaction kept ', scalar @$got, ' of ', scalar keys %was;
    return $got;
}

sub round {
    srand $seed;
    $topic = {name => "ways$seed", parts => pick(1, 2, 3, 5), start => int(time * 1000) - 2_000_000, from => [], compact => chance(4) == 0,
        keys => pick(3, 50, 5000), segment => pick(1 << 20, 1 << 22, 1 << 30)};
    my $with = $topic->{compact} ? "cleanup_policy = 'compact', segment_ms = 100, min_cleanable_dirty_ratio = 0.01," : '';
    my $codec = pick('producer', 'producer', 'producer', 'lz4', 'zstd', 'gzip', 'snappy', 'uncompressed');
    said("CREATE TOPIC $topic->{name} PARTITIONS $topic->{parts} WITH ($with max_message_bytes = 16777216, compression_type = '$codec', "
        . "segment_bytes = $topic->{segment}, index_interval_bytes = " . pick(100, 4096, 65536) . ')');
    fill($topic);
    my $kept = $topic->{compact} ? compacted($topic) : undef;
    for my $part (0 .. $topic->{parts} - 1) {
        next if chance(3) || !@{$topic->{log}[$part]};
        my ($open) = grep { ${$_->{state}} eq 'open' } @{$topic->{log}[$part]};
        my $to = chance(1 + ($open // $topic->{log}[$part][-1])->{offset});
        said("DELETE FROM $topic->{name} WHERE _partition = $part AND _offset < $to");
        $topic->{from}[$part] = $to;
    }
    my $want = $kept ? [grep { $_->[1] >= ($topic->{from}[$_->[0]] // 0) } @$kept] : expected($topic, 1);
    $topic->{bytes} = 0;
    $topic->{bytes} += 70 + length $_->[4] for @{expected($topic, 0)};
    kafka_ways($topic) unless $kept;
    same(shared($topic, 1), $want, 'a share group');
    same(shared($topic, 0), expected($topic, 0), 'a share group, uncommitted') unless $kept;
    select_ways($topic, $want);
    whole_ways($topic, $want);
    subscribe_ways($topic, $want);
    my $rows = @$want;
    pass("seed $seed: $topic->{parts} partitions, $rows records" . ($kept ? ', compacted' : ''));
    said("DROP TOPIC $topic->{name}");
}

my $start = time;
for my $next (split ' ', $ENV{OX_SEEDS} // join ' ', $ENV{OX_LONG} ? map { int rand 1e9 } 1 .. 1000 : (4, 9)) {
    $seed = $next;
    last if time - $start > ($ENV{OX_LONG} ? $ENV{OX_SECONDS} // 120 : 60);
    eval { round(); 1 } or fail("seed $seed: $@");
}
note "$checks comparisons";
is($ox->stop, 0, 'the server stops in order');
done_testing;
