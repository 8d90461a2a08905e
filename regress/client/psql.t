#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# oxsql against psql: the scripts of regress/client/psql/ run through both
# programs on a PostgreSQL server of their own, and what they print, on both
# streams, and how they exit, must be the same to the byte.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use Test::More;
use Oxbow;

my $oxsql = abs_path("$Oxbow::BUILD/oxsql");
my ($bin) = grep { -x "$_/initdb" } reverse sort(glob '/usr/lib/postgresql/*/bin'), '/usr/bin', '/usr/local/bin';
plan skip_all => 'oxsql is not built' unless $oxsql && -x $oxsql;
plan skip_all => 'psql is not installed' unless Oxbow::have('psql');
plan skip_all => 'PostgreSQL is not installed' unless $bin;
my ($version) = `psql --version` =~ /(\d+)\./;
plan skip_all => "psql $version prints some things in another way than psql 15" unless $version == 15;
my @as = ();
if ($> == 0) { # the server refuses root
    plan skip_all => 'no user to run PostgreSQL' unless getpwnam('postgres') && Oxbow::have('setpriv');
    @as = qw(setpriv --reuid=postgres --regid=postgres --clear-groups);
}

my @control;
$SIG{TERM} = $SIG{INT} = sub { exit 1 };
my $dir = tempdir('oxsql-psql-XXXXXX', TMPDIR => 1, CLEANUP => 0);
chmod 0777, $dir;
my $port = 20000 + int rand 20000;
system(@as, 'sh', '-c', '"$0" "$@" >/dev/null', "$bin/initdb", '-D', "$dir/data", '-A', 'trust', '-U', 'postgres', '-E', 'UTF8',
    '--locale=C.UTF-8', '-N', '--no-instructions') == 0 or plan skip_all => 'initdb failed';
@control = (@as, "$bin/pg_ctl", '-D', "$dir/data", '-s', '-w', '-l', "$dir/diag");
system(@control, '-o', "-c port=$port -c unix_socket_directories=$dir -c fsync=off -c listen_addresses=127.0.0.1",
    'start') == 0 or plan skip_all => 'PostgreSQL does not start';

@ENV{qw(PGHOST PGPORT PGUSER PGDATABASE PGTZ LC_ALL HOME)} =
    ('127.0.0.1', $port, 'postgres', 'postgres', 'UTC', 'C.UTF-8', $dir);
delete @ENV{qw(PAGER COLUMNS PGPASSWORD)};

sub run_one {
    my ($program, $file, @options) = @_;
    my $from = grep({ $_ eq '-f' } @options) ? '/dev/null' : $file;
    my $code = system "cd $dir && $program -X @options >out 2>err <$from";
    my @text = map { open my $in, '<', "$dir/$_" or die; local $/; my $t = <$in> // ''; $t } qw(out err);
    for (@text) {
        s/^oxsql:/psql:/mg;
        s/\boxsql\b/psql/g;
        s/\bPID \d+/PID N/g;
        s/\bpg_temp_\d+\b/pg_temp_N/g; # as many servers there were before
        s/^(VERSION|VERSION_NAME|VERSION_NUM|PROMPT\d|HIDE_\w+) = .*\n//mg; # each has its own
        s/^VERSION.*\n//mg;
    }
    return (@text, $code >> 8);
}

# Older ones, such as 15.18, left the line above a record out of the width of expanded output.
my $old = !grep { $_ eq '| n | 1        |' } split /\n/, `psql -X -P border=2 -x -c 'select 1 as n'`;

for my $file (sort glob "$Oxbow::TOP/regress/client/psql/*.sql") {
    my $path = abs_path($file);
    (my $name = $file) =~ s{.*/}{};
    SKIP: {
        skip 'this psql makes the lines of expanded output too short', 1 if $old && $name eq 'expanded.sql';
        my @modes = (['read'], ['from a file', '-f', $path], ['echoed', '-a', '-f', $path],
            ['stopped', '-b', '-v', 'ON_ERROR_STOP=1', '-f', $path], ['quietly', '-q', '-A', '-t', '-f', $path]);
        for my $mode (@modes) {
            my ($how, @options) = @$mode;
            my @want = run_one('psql', $path, @options);
            my @got = run_one($oxsql, $path, @options);
            is($got[0], $want[0], "$name, $how: output");
            is($got[1], $want[1], "$name, $how: messages");
            is($got[2], $want[2], "$name, $how: exit code");
        }
    }
}

done_testing;

END {
    my $status = $?;
    if (@control) {
        system @control, '-m', 'immediate', 'stop';
        remove_tree($dir);
    }
    $? = $status;
}
