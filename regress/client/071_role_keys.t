#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Keys of a new password take milliseconds: a worker derives them, and the loop with all its
# sessions goes on meanwhile. What is read then is what holds then.
use strict;
use warnings;
use Oxbow;
use Raw;
use Test::More;

my $ox = Oxbow->start(settings => {loops => 1}) or die 'no server';
my $port = $ox->{sql_port};
my ($one, $other) = map { pg_dial($port) } 1 .. 2;

# Nanoseconds that threads of a name have computed.
sub spent {
    my %spent = (pool => 0, loop => 0);
    for my $task (glob "/proc/$ox->{pid}/task/*") {
        my ($name) = Oxbow::slurp("$task/comm") =~ /^oxbow-(pool|loop)/ or next;
        $spent{$name} += (split ' ', Oxbow::slurp("$task/schedstat"))[0];
    }
    return \%spent;
}
sub answer {
    my ($seen, @messages) = @_;
    my %err = pg_error(@messages);
    return $err{C} // join ' ', map { $_->[1] =~ s/\0$//r } grep { $_->[0] eq 'C' } @messages;
}
sub asked { return answer(pg_simple(@_, 60)) }

SKIP: {
    skip 'the system does not tell how long threads compute', 1 if !-r '/proc/self/schedstat';
    my $before = spent();
    asked($one, "CREATE ROLE many_$_ PASSWORD 'secret-$_'") for 1 .. 30;
    my $after = spent();
    my %took = map { $_ => ($after->{$_} - $before->{$_}) / 1e6 } keys %$after;
    cmp_ok($took{pool}, '>', $took{loop}, 'the loop does not derive keys') or diag explain \%took;
}

is(asked($one, "CREATE USER two_a PASSWORD 'x'; ALTER USER two_a PASSWORD 'y'; SELECT 1"), 'CREATE ROLE ALTER ROLE SELECT 1',
    'statements of one query, one after the other');
is(asked($one, "CREATE USER two_a PASSWORD 'x'; SELECT 1"), '42710', 'a user that exists is refused');
is(asked($one, "ALTER USER nobody PASSWORD 'x'"), '42704', 'so is one that does not');

# Prepared and executed; a second time its words are still there.
send_all($one, pg_message('P', "s\0ALTER USER two_a PASSWORD 'z'\0" . pack 'n', 0)
        . join('', map { pg_message('B', "\0s\0" . pack 'n3', 0, 0, 0) . pg_message('E', "\0" . pack 'N', 0) } 1 .. 2)
        . pg_message('C', "Ss\0") . pg_message('S', ''));
is(answer(pg_until($one, 'Z', 60)), 'ALTER ROLE ALTER ROLE', 'a prepared statement');

# Two sessions make the same user at the same time.
send_all($_, pg_message('Q', "CREATE USER race PASSWORD 'x'\0")) for $one, $other;
is(join(' ', sort map { answer(pg_until($_, 'Z', 60)) } $one, $other), '42710 CREATE ROLE', 'one of two makes the user');

# Who asked may be gone.
for my $n (1 .. 20) {
    my $gone = pg_dial($port);
    send_all($gone, pg_message('Q', "ALTER USER two_a PASSWORD 'gone-$n'\0"));
    close $gone;
}
is(asked($other, "SELECT rolname FROM pg_roles WHERE rolname = 'two_a'"), 'SELECT 1', 'the server goes on without who asked');
is(asked($other, "DROP USER two_a"), 'DROP ROLE', 'and lets the user go');
ok($ox->alive, 'it lives');
is($ox->stop, 0, 'and stops in order');
done_testing;
