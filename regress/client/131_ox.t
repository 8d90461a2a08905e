#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# ox: what it does to a directory whose server is stopped, and what it says to
# who calls it wrongly.
use strict;
use warnings;
use Oxbow;
use Test::More;

plan skip_all => 'ox is not built' unless -x "$Oxbow::BUILD/ox";

sub ox {
    my @words = map { s/'/'\\''/gr } @_;
    my $out = `$Oxbow::BUILD/ox @{[map { "'$_'" } @words]} 2>&1`;
    return ($? >> 8, $out);
}

sub says {
    my ($what, $status, $pattern, @words) = @_;
    my ($code, $out) = ox(@words);
    ok($code == $status && $out =~ $pattern, $what) or diag "exit $code: $out";
}

says('--help is an answer', 0, qr/^Usage: ox format DIR.*^Exit status/ms, '--help');
says('--version, too', 0, qr/^ox \d/, '--version');
says('nothing to do', 2, qr/no command is given.*ox --help/s);
says('a command that does not exist', 2, qr/no command "check"/, 'check');
says('an option that does not exist', 2, qr/--fast/, 'verify', '--fast');
says('a node that is no number', 2, qr/--node-id "x" is not a number/, 'format', '--node-id', 'x', 'd');
says('no directory', 2, qr/format takes one directory/, 'format');
says('no user', 2, qr/needs --add-scram or --superuser/, 'user', 'd');
says('a file of another kind', 2, qr/"tidy\.t" is not a \.log/, 'dump', 'tidy.t');

my $ox = Oxbow->start or die 'no server';
is($ox->sql(q{CREATE TOPIC t PARTITIONS 1; INSERT INTO t (_key, _value) VALUES ('k', 'tea'), ('l', 'rye')}), '', 'two records');
is($ox->stop, 0, 'the server stops in order');
my $dir = $ox->{dir};
my ($segment) = glob "$dir/t-0/*.log";
says('formatted once', 2, qr/formatted already/, 'format', $dir);
says('batches alone', 0, qr/baseOffset: 0 lastOffset: 1 count: 2/, 'dump', $segment);
says('records and what is in them', 0, qr/offset: 1 .*key: l payload: rye/, 'dump', '--values', $segment);
says('a partition', 0, qr/^1 batches, 2 records, \d+ bytes, 0 problems$/m, 'verify', "$dir/t-0");
says('all of a directory', 0, qr/ 0 problems$/m, 'verify', $dir);
says('a user of a directory that exists', 0, qr/^$/, 'user', $dir, '--add-scram', 'SCRAM-SHA-256=[name=ann,password=x]');

{
    my $begun = time;
    says('too many iterations', 2, qr/more than 16384 iterations/, 'user', $dir, '--add-scram',
        'SCRAM-SHA-256=[name=ann,password=x,iterations=30000000]');
    cmp_ok(time - $begun, '<', 8, '  are refused before they are done');
}
says('too few', 2, qr/fewer than 4096 iterations/, 'user', $dir, '--add-scram', 'SCRAM-SHA-256=[name=ann,password=x,iterations=4095]');

# As Kafka's tool has it: a double quote is taken off, a single one is part of the word.
my %words = (bob => [q{password='tea'}, q{'tea'}], eve => [q{password="rye"}, 'rye'],
    tom => ['password=one,salt=c2FsdHNhbHQ=,saltedpassword=AAAA', 'one']);
says("the password of $_", 0, qr/^$/, 'user', $dir, '--add-scram', "SCRAM-SHA-256=[name=$_,$words{$_}[0]]")
    for sort keys %words;

my $new = "$dir.new";
says('a word that is not known', 2, qr/not of the form/, 'format', $new, '--add-scram', 'SCRAM-SHA-256=[name=ann,pasword=x]');
says('fewer iterations than may be', 2, qr/fewer than 4096/, 'format', $new, '--add-scram', 'SCRAM-SHA-256=[name=ann,password=x,iterations=1]');
ok(!-e $new, 'leave nothing behind');
says('corrected', 0, qr/^formatted/, 'format', $new, '--add-scram', 'SCRAM-SHA-256=[name=ann,password=x]');

open my $file, '+<', $segment or die;
binmode $file;
seek $file, -2, 2;
print $file '~';
close $file;
says('a byte that is another', 1, qr/ [1-9]\d* problems$/m, 'verify', "$dir/t-0");
ok($ox->run, 'the server starts again');
is($ox->sql(q{SELECT name FROM oxbow.users WHERE name = 'ann'}), 'ann', 'and knows the user');
$ox->stop;
$ox->{settings}{sql_authentication} = 'scram';
ok($ox->run, 'passwords are asked for');
for my $user (sort keys %words) {
    local $ENV{PGPASSWORD} = $words{$user}[1];
    my ($status, $out) = $ox->command('', "$Oxbow::BUILD/oxsql", '-X', '-A', '-t', '-U', $user, '-c', 'SELECT current_user');
    is($out, "$user\n", "$user has logged in");
}
$ox->stop;
done_testing;
