#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Requests that name one thing often, or many things of which each might be set beside each
# of another kind: what they take goes by their own size and by that of what they ask for.
use strict;
use warnings;
use MIME::Base64 qw(decode_base64);
use Oxbow;
use Raw;
use Test::More;
use Time::HiRes qw(sleep time);

my $dir = Oxbow::tmp() . "/often-$$";
my @users = map { ('--add-scram', "SCRAM-SHA-256=[name=$_,password=$_-secret]") } qw(admin alice);
is(system("$Oxbow::BUILD/ox", 'format', $dir, @users), 0, 'users before the first start');
my $ox = Oxbow->start(dir => $dir, settings => {
    listeners => 'SASL_PLAINTEXT://127.0.0.1:0', 'sasl.enabled.mechanisms' => 'PLAIN', memory_limit => 150 << 20,
    'super.users' => 'User:admin;User:ANONYMOUS', 'group.initial.rebalance.delay.ms' => 0,
    'delegation.token.secret.key' => 'of-the-tokens',
    'authorizer.class.name' => 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'}) or die 'no server';

sub login {
    my ($name) = @_;
    my $socket = dial($ox->{kafka_port}) or die 'no connection';
    kafka_ask($socket, 17, 1, pack 'n/a', 'PLAIN');
    kafka_ask($socket, 36, 0, pack 'N/a', "\0$name\0$name-secret");
    return $socket;
}

# Answers, and how many MiB more the server had at the most meanwhile.
sub costs {
    my ($socket, $api, $version, $body) = @_;
    my $peak = sub {
        open my $in, '<', "/proc/$ox->{pid}/status" or return 0;
        my ($kb) = map { /^VmHWM:\s+(\d+)/ } <$in>;
        return $kb;
    };
    if (open my $out, '>', "/proc/$ox->{pid}/clear_refs") {
        print $out "5\n";
        close $out;
    }
    my $before = $peak->();
    my $answer = kafka_ask($socket, $api, $version, $body, 120);
    return ($answer, int(($peak->() - $before) / 1024));
}
sub mib_now {
    open my $in, '<', "/proc/$ox->{pid}/status" or return 0;
    my ($kb) = map { /^VmRSS:\s+(\d+)/ } <$in>;
    return int($kb / 1024);
}
sub at_most {
    my ($mib, $most, $sentence) = @_;
    note "$mib MiB";
    cmp_ok($mib, '<', $most, $sentence) unless $Raw::ASAN;
}

# As flexible versions write counts.
sub varint_of {
    my ($value) = @_;
    my $out = '';
    for (; $value > 127; $value >>= 7) { $out .= chr($value & 127 | 128) }
    return $out . chr $value;
}

my ($admin, $alice) = map { login($_) } qw(admin alice);

# ---- rules and filters ----

{
    my $rules = join '', map { pack 'C n/a C n/a n/a C C', 2, "t$_", 3, 'User:alice', '*', 3, 3 } 1 .. 200;
    kafka_ask($admin, 30, 1, pack('N', 200) . $rules);
    my $filter = sub { pack 'C n/a C s> s> C C', 2, $_[0], 3, -1, -1, 1, 1 };
    my ($answer, $mib) = costs($admin, 31, 1, pack('N', 5000) . join '', map { $filter->("none$_") } 1 .. 5000);
    is(unpack('x4 N', $answer), 5000, 'DeleteAcls with many filters that match nothing');
    at_most($mib, 60, 'sets nothing aside for them');
    ($answer) = costs($admin, 31, 1, pack('N', 2) . $filter->('t7') x 2);
    is(join(' ', unpack 'x4 N (s> s> N (s> s> C n/a C n/a n/a C C))2', $answer), join(' ', 2, (0, -1, 1, 0, -1, 2, 't7', 3, 'User:alice', '*', 3, 3) x 2), 'a rule that two filters match is in the rows of both');
    ($answer) = costs($admin, 31, 1, pack('N', 1) . $filter->('t7'));
    is(join(' ', unpack 'x4 N s> s> N', $answer), '1 0 -1 0', 'and gone');
}

# ---- tokens and owners ----

{
    kafka_ask($admin, 38, 1, pack('N n/a n/a q>', 1, 'User', 'alice', -1)) for 1 .. 100;
    my ($answer, $mib) = costs($alice, 41, 1, pack('N', 40_000) . join '', map { pack 'n/a n/a', 'User', "nobody-at-all-of-that-name-$_" } 1 .. 40_000);
    is(join(' ', unpack 'n N', $answer), '0 0', 'DescribeDelegationToken of many owners who have none');
    at_most($mib, 60, 'keeps each of them once');
    ($answer) = costs($alice, 41, 1, pack('N n/a n/a', 1, 'User', $_)), is(join(' ', unpack 'n N', $answer), '0 100', "tokens of which $_ is owner or renewer") for qw(admin alice);
}

# ---- one group, named often ----

{
    my ($code, $member, $big) = (-1, '', 'x' x 200_000);
    for my $try (1 .. 300) {
        kafka_ask($admin, 10, 0, pack 'n/a', 'g');
        my $answer = kafka_ask($admin, 11, 1, pack('n/a N N n/a n/a N n/a N/a', 'g', 300_000, 300_000, '', 'consumer', 1, 'range', $big));
        ($code, $member) = unpack 's> x4 n/x n/x n/a', $answer;
        last if $code == 0;
        sleep 0.1;
    }
    is($code, 0, 'a member joins a group with much to say');
    is(unpack('s>', kafka_ask($admin, 14, 0, pack('n/a N n/a N n/a N/a', 'g', 1, $member, 1, $member, 'y'))), 0, 'and is given something');
    my ($answer) = costs($admin, 15, 0, pack('N n/a n/a n/a', 3, qw(g none g)));
    my $row = pack('n n/a n/a n/a n/a N n/a', 0, 'g', 'Stable', 'consumer', 'range', 1, $member);
    is(substr($answer, 4, length $row), $row, 'DescribeGroups shows it');
    my $len = (length($answer) - 4 - 2 - 2 - 4 - 2 - 4 - 2 - 2 - 4) / 2;
    is(substr($answer, -$len), substr($answer, 4, $len), 'and again where it is named again');
    (undef, my $mib) = costs($admin, 15, 0, pack('N', 2000) . pack('n/a', 'g') x 2000);
    at_most($mib, 250, 'two thousand times it is read but once; the answer ends where memory does');
}

# ---- coordinators of many, of whom there is none yet ----

{
    $admin = login('admin'); # the other connection ended with the answer
    my $proposed = sub {
        my $http = dial($ox->{http_port});
        send_all($http, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        return receive($http, 1 << 22, 30) =~ /^oxbow_meta_proposals_total\S* (\d+)/m ? $1 : undef;
    };
    my $find = sub {
        return kafka_ask($admin, 10, 4, "\0\1" . varint_of(1 + @_) . join('', map { pack 'C a*', 1 + length, $_ } @_) . "\0");
    };
    my $before = $proposed->();
    my $answer = $find->(map { "txn-$_" } 100 .. 599);
    my $row = sub { pack('C a* N C N n', 8, $_[0], 0xffffffff, 1, 0xffffffff, 15) };
    is(index($answer, $row->('txn-100')) > 0 && index($answer, $row->('txn-599')) > 0, 1,
        'FindCoordinator of many while their topic is not there: COORDINATOR_NOT_AVAILABLE for each');
    for (1 .. 300) {
        last if index($find->('txn-100'), $row->('txn-100')) < 0;
        sleep 0.1;
    }
    is(index($find->('txn-100'), $row->('txn-100')), -1, 'it is made on the way');
    my $more = $proposed->() - $before;
    note "$more proposals";
    cmp_ok($more, '<', 50, 'once, not for each of them');
}

# ---- all offsets of one group, named often ----

{
    my $some = 'm' x 4000;
    kafka_ask($admin, 19, 2, pack('N n/a N n N N', 1, 'wide', 50, 1, 0, 0) . pack 'N C', 10_000, 0);
    my $parts = join '', map { pack 'N q> n/a', $_, 7, $some } 0 .. 49;
    my $code = -1;
    for my $try (1 .. 300) {
        my $answer = kafka_ask($admin, 8, 2, pack('n/a N n/a q> N n/a N', 'o', 0xffffffff, '', -1, 1, 'wide', 50) . $parts);
        $code = unpack 'x4 n/x x4 x4 s>', $answer;
        last if $code == 0;
        sleep 0.1;
    }
    is($code, 0, 'a group commits offsets with much to say of them');
    my $of = sub { pack('C a* C C', 1 + length $_[0], $_[0], 0, 0) };
    my $ask = sub { "\0" . varint_of(1 + @_) . join('', map { $of->($_) } @_) . "\0\0" };
    my ($answer) = costs($admin, 9, 8, $ask->('o', 'none', 'o'));
    my $rows = substr $answer, 1 + 4 + 1;
    my $len = (length($rows) - (1 + 4 + 1 + 2 + 1) - 1) / 2;
    cmp_ok($len, '>', 50 * 4000, 'OffsetFetch shows all of them');
    is(substr($rows, 0, $len), substr($rows, -1 - $len, $len), 'and again where it is named again');
    (undef, my $mib) = costs($admin, 9, 8, $ask->(('o') x 2000));
    at_most($mib, 250, 'two thousand times they are read but once');
}

# ---- a long name of many partitions; alice has no right to anything ----

my ($long, $many) = ('x' x 30_000, 8000);
{
    my ($answer, $mib) = costs($alice, 2, 1, pack('N N n/a N', 0xffffffff, 1, $long, $many) . join '', map { pack 'N q>', $_, -1 } 1 .. $many);
    is(length $answer, 4 + 2 + length($long) + 4 + 22 * $many, 'ListOffsets of a long name answers for each partition');
    at_most($mib, 60, 'in little memory');
    ($answer) = costs($alice, 2, 1, pack('N N', 0xffffffff, 3)
        . join '', map { pack('n/a N N q> N q>', $_->[0], 2, $_->[1], -1, $_->[2], -1) } ['t', 0, 1], ['u', 0, 1], ['t', 1, 2]);
    is(join(' ', unpack 'x4 n/a N (N s> x16)2 n/a N (N s> x16)2 n/a N N s>', $answer), 't 2 0 29 1 42 u 2 0 29 1 29 t 1 2 29', 'what is named in two places of one topic is refused');
}
{
    my $topics = pack('N n/a N', 1, $long, $many) . join '', map { pack 'N q> q> N', $_, 0, -1, 1000 } 1 .. $many;
    my ($answer, $mib) = costs($alice, 1, 7, pack('N N N N C N N', 0xffffffff, 0, 1, 1 << 20, 0, 0, 0) . $topics . pack 'N', 0);
    my ($code, $id) = unpack 'x4 n N', $answer;
    is("$code $id", '0 0', 'a name that no topic can have is in no fetch session');
    at_most($mib, 60, 'and is not kept with each partition');
    ($answer) = costs($alice, 1, 7, pack('N N N N C N N', 0xffffffff, 0, 1, 1 << 20, 0, 0, 0) . pack('N n/a N N q> q> N N', 1, 't', 1, 0, 0, -1, 1000, 0));
    ($code, $id) = unpack 'x4 n N', $answer;
    is($code, 0, 'another one has a session');
    cmp_ok($id, '>', 0, 'with a number');
    ($answer) = costs($alice, 1, 7, pack('N N N N C N N', 0xffffffff, 0, 1, 1 << 20, 0, $id, 1) . pack('N N n/a N N', 0, 1, $long, 1, 0));
    is(unpack('x4 n', $answer), 0, 'which does not have what it is to forget');
    ($answer) = costs($alice, 1, 7, pack('N N N N C N N', 0xffffffff, 0, 1, 1 << 20, 0, $id, 2) . $topics . pack 'N', 0);
    is(unpack('x4 n', $answer), 70, 'and ends when it is to have such a name: FETCH_SESSION_ID_NOT_FOUND');
}

# ---- a share session of partitions that there are not ----

{
    my $fetch = sub {
        my ($topic, $group, $parts, $member) = @_;
        $parts //= 5000;
        $member //= 'memb';
        return "\0" . varint_of(1 + length $group) . $group . varint_of(5) . $member . pack('N6', 0, 0, 1, 1 << 20, 100, 100) . varint_of(2)
            . $topic x 16 . varint_of(1 + $parts) . join('', map { pack 'N C C', $_, 1, 0 } 1 .. $parts) . "\0\1\0";
    };
    $admin = login('admin');
    my ($answer, $mib) = costs($admin, 78, 1, $fetch->('a', $long));
    is(join(' ', unpack 'x5 n', $answer), 0, 'ShareFetch of many partitions of no topic');
    cmp_ok(() = ($answer =~ /\0\x64/g), '>=', 5000, 'tells of each');
    at_most($mib, 130, 'and remembers some');
    my $before;
    for ('A' .. 'Z') {
        kafka_ask($admin, 78, 1, $fetch->($_, 'y' x 3000), 120);
        $before //= mib_now();
    }
    at_most(mib_now() - $before, 60, 'and not those of before');
    kafka_ask($admin, 78, 1, $fetch->(chr(65 + $_), 'z' x 3000, 1000, "me$_"), 120) for 10 .. 39;
    at_most(mib_now() - $before, 90, 'of many sessions not more than so much');
    my $begun = time;
    ($answer) = costs($admin, 78, 1, $fetch->('a', 'g', 150_000));
    note sprintf '%.1f s', time - $begun;
    cmp_ok(() = ($answer =~ /\0\x64/g), '>=', 150_000, 'of many more each is told of');
    cmp_ok(time - $begun, '<', 15, 'and soon');
}
# ---- a share session of many partitions ----

{
    my $server = Oxbow->start() or die 'no server';
    my $made = $server->wire('quiet CreateTopics 4 {topics: [{name: "w", num_partitions: 5000, replication_factor: 1}], timeout_ms: 60000}',
        'Metadata 12 {topics: [{name: "w"}]}');
    my ($id) = $made =~ /topic_id: "?([\w-]{22})/;
    $id = decode_base64($id =~ tr{_-}{/+}r . '==');
    my $socket = dial($server->{kafka_port});
    my $epoch = 0;
    my $fetch = sub {
        my ($read, $forget) = @_;
        my $list = sub { @_ > 0 ? varint_of(2) . $id . varint_of(1 + @_) . join('', @_) . "\0" : "\1" };
        my $begun = time;
        my $answer = kafka_ask($socket, 78, 1, "\0" . varint_of(2) . 'g' . varint_of(5) . 'memb' . pack('N6', $epoch++, 0, 1, 1 << 20, 100, 100)
            . $list->(map { pack 'N C C', $_, 1, 0 } @$read) . $list->(map { pack 'N', $_ } @$forget) . "\0", 120);
        is(unpack('x5 n', $answer), 0, 'ShareFetch of ' . @$read . ' partitions that forgets ' . @$forget);
        return time - $begun;
    };
    my @none = (9999) x 250_000;
    $fetch->([0], []);
    my $few = $fetch->([], \@none);
    $fetch->([0 .. 4999], []);
    my $much = $fetch->([], \@none);
    note sprintf '%.2f s, %.2f s', $few, $much;
    cmp_ok($much, '<', 4 * $few + 0.1, 'what is forgotten is not looked for among all that the session has');
    is($server->stop, 0, 'that server stops in order');
}
ok(login('alice'), 'the server serves');
is($ox->stop, 0, 'it stops in order');
done_testing;
