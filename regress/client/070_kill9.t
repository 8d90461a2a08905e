#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The server is killed under load, at random moments, and started again on its
# directory; then everything that was acknowledged must be there: see
# load/kill_load.c. A round is a kill or two and a check; OX_ROUNDS sets how
# many (2; 50 with OX_LONG), OX_KILLS and OX_RECORDS how many kills and
# acknowledged records there are to be at least, OX_SEED when kills come. With
# OX_POWER each kill is a power cut: what had not been flushed is lost, by page, as
# chance has it (load/power.c, load/power_cut.c); OX_POWER=lazy leaves a topic
# lazily flushed, and must fail: the check sees what is lost.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use Oxbow;
use Test::More;
use Time::HiRes qw(sleep time);

my $program = "$Oxbow::BUILD/regress/load/kill_load";
plan skip_all => 'kill_load is not built' unless -x $program;
my $rounds = $ENV{OX_ROUNDS} // ($ENV{OX_LONG} ? 50 : 2);
my ($kills_min, $records_min) = ($ENV{OX_KILLS} // 0, $ENV{OX_RECORDS} // 0);
my $patience = 1800; # seconds; ten million records are read back
my $seed = $ENV{OX_SEED} // time ^ $$;
srand $seed;
diag "OX_SEED=$seed" if $ENV{OX_ROUNDS};
print "# OX_SEED=$seed\n";

# Ports that stay the same: the producers come back to them.
my ($kafka, $sql) = (Oxbow::free_port(), Oxbow::free_port());
my $dir = tempdir('kill9-XXXXXX', DIR => Oxbow::tmp());
my $journal = abs_path($dir) . '.power';
my %env;
%env = (Oxbow::shim('power'), OX_POWER_LOG => $journal, OX_POWER_DIR => abs_path($dir)) if $ENV{OX_POWER};
my $ox = Oxbow->start(dir => abs_path($dir), env => \%env, settings => {kafka_port => $kafka, sql_port => $sql})
    or die 'no server';

my $undone = 0;
sub cut_power {
    return unless $ENV{OX_POWER};
    my $said = `$Oxbow::BUILD/regress/load/power_cut $journal @{[int rand 1e9]} $dir`;
    BAIL_OUT("power_cut: $said") unless $? == 0 && $said =~ /^(\d+) bytes/;
    $undone += $1;
}

pipe(my $from_load, my $load_out) or die "pipe: $!";
pipe(my $load_in, my $to_load) or die "pipe: $!";
my $load = fork // die "fork: $!";
if ($load == 0) {
    close $from_load;
    close $to_load;
    open STDIN, '<&', $load_in or die;
    open STDOUT, '>&', $load_out or die;
    exec $program, $kafka, $sql or POSIX::_exit(127);
}
close $load_out;
close $load_in;

# Reads to a line that answers; problems on the way are shown.
my $buffer = '';
sub answer {
    my ($pattern, $seconds) = @_;
    my $until = time + $seconds;
    while (time < $until) {
        while ($buffer =~ s/^([^\n]*)\n//) {
            my $line = $1;
            return $line if $line =~ $pattern;
            diag $line;
        }
        IO::Select->new($from_load)->can_read($until - time) or last;
        sysread $from_load, $buffer, 65536, length $buffer or return 'the load is gone';
    }
    return 'no answer';
}

sub command { syswrite $to_load, "$_[0]\n" }

is(answer(qr/^ready/, 60), 'ready', 'the load is ready');
my ($slowest, $kills) = (0, 0);
my $records = 0;
for (my $round = 1; $round <= $rounds || $kills < $kills_min || $records < $records_min; $round++) {
    command('go');
    for (0 .. int rand 2) {
        sleep 0.05 + rand(rand() < 0.3 ? 1.5 : 0.5);
        kill 'KILL', $ox->{pid};
        waitpid $ox->{pid}, 0;
        $ox->{pid} = undef;
        $kills++;
        cut_power();
        my $begun = time;
        $ox->run or BAIL_OUT('the server does not start after it was killed');
        my $took = time - $begun;
        $slowest = $took if $took > $slowest;
    }
    # Where records are behind kills, the load runs on: fewer rounds read all of it.
    my $behind = $kills_min && $records / ($records_min || 1) < $kills / $kills_min;
    sleep($records_min && $behind ? 2 : rand 0.3);
    command('calm');
    is(answer(qr/^(?:calm|bad)/, $patience), 'calm', "round $round: producers get their answers")
        or last;
    # Everything is read again now and then, and at the end; in between what came
    # since the last time, and that what was there before still ends where it did.
    command($records < 200_000 || $round % 16 == 0 ? 'check' : 'look');
    like(my $found = answer(qr/^(?:fine|bad)/, $patience), qr/^fine/,
        'all that was acknowledged is there');
    print "# $found\n";
    $records = $1 if $found =~ /(\d+) records/;
    last unless $found =~ /^fine/;
}
printf "# %d kills, %d records, slowest start %.2f s%s\n", $kills, $records, $slowest,
    $ENV{OX_POWER} ? ", $undone bytes taken back" : '';
is($ox->stop, 0, 'the server stops in order');
unlink $journal;
ok($ox->run, 'and starts');
command('check');
like(my $all = answer(qr/^(?:fine|bad)/, $patience), qr/^fine/, 'with everything');
print "# $all\n";
command('quit');
waitpid $load, 0;
is($?, 0, 'the load ends well');
is($ox->stop, 0, 'the server stops');
if (Test::More->builder->is_passing) {
    File::Path::remove_tree($dir);
    unlink "$dir.diag", $journal;
} else {
    diag "kept: $dir and $dir.diag";
}
done_testing;
