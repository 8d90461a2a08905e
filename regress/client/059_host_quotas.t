#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Quotas of hosts that are named: the name is looked up when the quota is made and
# when the node starts, kept as it was given, and holds for the address.
use strict;
use warnings;
use IO::Socket::INET;
use Oxbow;
use Test::More;
use Time::HiRes qw(sleep time);

my $ox = Oxbow->start(settings => {'quota.window.num' => 2, 'quota.window.size.seconds' => 1})
    or BAIL_OUT('no server');

# A connection too many is closed: then it is asked again.
sub ask {
    my ($request) = @_;
    my $answer;
    for (1 .. 60) {
        $answer = $ox->wire($request);
        last if $answer =~ /: \{/;
        sleep 0.5;
    }
    return $answer;
}

# By host, code and text.
sub alter {
    my ($hosts, $rate, $only_look) = @_;
    my $op = defined $rate ? "value: $rate, remove: false" : 'value: 0, remove: true';
    my $entries = join ', ', map { qq({entity: [{entity_type: "ip", entity_name: "$_"}], ops: [{key: "connection_creation_rate", $op}]}) } @$hosts;
    my $answer = ask("AlterClientQuotas 1 {entries: [$entries], validate_only: " . ($only_look ? 'true' : 'false') . '}');
    my %said;
    $said{$3} = defined $2 ? "$1 $2" : $1
        while $answer =~ /error_code: (-?\d+), error_message: (?:"([^"]*)"|null), entity: \[\{entity_type: "ip", entity_name: "([^"]*)"/g;
    return \%said;
}

# How many of so many connections, made at once, are served.
sub served {
    my ($count) = @_;
    my @sockets = grep { defined } map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ox->{kafka_port}) } 1 .. $count;
    my $served = 0;
    for (@sockets) {
        syswrite $_, pack('NnnNn', 10, 18, 0, 7, 0xffff);
    }
    for (@sockets) {
        my $mask = '';
        vec($mask, fileno $_, 1) = 1;
        select($mask, undef, undef, 20);
        $served++ if sysread $_, my $bytes, 100;
    }
    return $served;
}

is(served(10), 10, 'without a quota all connections are served');
is_deeply(alter(['localhost'], 1, 1), {localhost => 0}, 'a host, looked at alone');
is(served(10), 10, 'changes nothing');
my $none = 'is not a valid IP or resolvable host.';
my @not = ('no such host', '300.1.1.1', '1.2.3.4.5', '10.0.0.0/8', 'x' x 260);
is_deeply(alter(\@not, 1), {map { $_ => "42 $_ $none" } @not}, 'hosts that are none');
my $many = alter([map { "not $_" } 1 .. 17], 1);
is($many->{'not 16'}, "42 not 16 $none", 'sixteen names are looked up');
is($many->{'not 17'}, '42 more than 16 host names in a request', 'and no more');
is_deeply(alter(['localhost', '10.1'], 1), {localhost => 0, '10.1' => 0}, 'a host, and an address in another spelling');
cmp_ok(served(10), '<', 8, 'holds for its address');
sub described {
    my $answer = ask('DescribeClientQuotas 1 {components: [{entity_type: "ip", match_type: 2, match: null}], strict: true}');
    return join ' ', sort $answer =~ /entity_name: "([^"]+)"/g;
}
is(described(), '10.1 localhost', 'both are shown as they were given');
ok($ox->restart, 'a restart');
my $until = time + 60;
my $after = 10;
while ($after == 10 && time < $until) {
    sleep 2.5; # what is served in two seconds counts no more
    $after = served(10);
}
cmp_ok($after, '<', 8, 'finds the name again');
is_deeply(alter(['localhost'], undef), {localhost => 0}, 'the quota goes');
is(served(10), 10, 'and holds no more');
is(described(), '10.1', 'the other one is left');
is($ox->stop, 0, 'the server stops in order');
done_testing;
