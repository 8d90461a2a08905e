#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# oxsql itself: options, exit codes, scripts, live rows, and a session on a
# terminal (through script(1)).
use strict;
use warnings;
use Test::More;
use Oxbow;
use IO::Select;
use IPC::Open2;
use Time::HiRes qw(time sleep);

my $oxsql = "$Oxbow::BUILD/oxsql";
plan skip_all => 'oxsql is not built' unless -x $oxsql;
plan skip_all => 'the server is not built' unless -x "$Oxbow::BUILD/oxbow";
my $server = Oxbow->start or plan skip_all => 'the server does not start';
my $home = Oxbow::tmp() . "/home.$$";
mkdir $home;
$ENV{HOME} = $home;

sub oxsql { return $server->command('', $oxsql, '-X', @_) }
$| = 1;
sub script { my ($text, @options) = @_; return $server->command($text, $oxsql, '-X', @options) }

my ($status, $out) = oxsql('-c', 'SELECT 1 AS one');
is($status, 0, '-c exits with 0');
is($out, " one \n-----\n   1\n(1 row)\n\n", 'and prints a table');
($status, $out) = oxsql('-c', 'SELEKT');
is($status, 1, 'a failing -c exits with 1');
like($out, qr/^ERROR: /, 'and says why');
($status, $out) = oxsql('-A', '-t', '-c', 'SELECT 1', '-c', 'SELECT 2');
is($out, "1\n2\n", '-c may be repeated');
($status, $out) = script("SELECT 1;\nSELEKT;\nSELECT 2;\n", '-At');
is($status, 0, 'a script goes on after an error');
like($out, qr/^1\n.*^2\n/ms, 'to its end');
($status, $out) = script("SELECT 1;\nSELEKT;\nSELECT 2;\n", '-At', '-v', 'ON_ERROR_STOP=1');
is($status, 3, 'not with ON_ERROR_STOP: 3');
unlike($out, qr/^2\n/m, 'it ends at once');
($status, $out) = oxsql('-f', '/nowhere/at.all');
is($status, 1, 'a missing file is 1');
{
    local $ENV{PGCONNECT_TIMEOUT} = 2;
    ($status, $out) = oxsql('-p', '1', '-c', 'SELECT 1');
    is($status, 2, 'no connection is 2');
}
($status, $out) = oxsql('--csv', '-c', "SELECT 1 AS a, 'x,y' AS b");
is($out, "a,b\n1,\"x,y\"\n", '--csv');
($status, $out) = oxsql('--json', '-c', "SELECT 1 AS a, 'x' AS b, true AS c, NULL::text AS d");
is($out, qq([{"a": 1, "b": "x", "c": true, "d": null}]\n), '--json');
($status, $out) = oxsql('-x', '-c', 'SELECT 1 AS a');
is($out, "-[ RECORD 1 ]\na | 1\n\n", '-x');
($status, $out) = script("\\set x 4\nSELECT :x + 1 AS n, :'x' AS t \\gset r_\n\\echo :r_t\n");
is($out, "4\n", 'variables and \gset');
($status, $out) = oxsql('-V');
like($out, qr/^oxsql \(Oxbow\) /, '-V');
($status, $out) = oxsql('--help');
like($out, qr/--csv/, '--help');
($status, $out) = oxsql('-c', '\h create topic');
like($out, qr/PARTITIONS/, '\h shows a synopsis');
($status, $out) = oxsql('-c', '\conninfo');
like($out, qr/database "oxbow".*port "$server->{sql_port}"/, '\conninfo');

# Topics
($status, $out) = script(<<'EOF', '-v', 'ON_ERROR_STOP=1', '-q');
CREATE TOPIC shell_demo PARTITIONS 1;
INSERT INTO shell_demo (_key, _value) VALUES ('a', '1'), ('b', '2'), ('c', '3');
EOF
is($status, 0, 'a topic to play with') or diag $out;
($status, $out) = oxsql('-c', '\dt');
like($out, qr/shell_demo/, '\dt lists it');
($status, $out) = oxsql('-c', '\dt+ shell*');
like($out, qr/Partitions.*shell_demo/s, '\dt+ with more');
($status, $out) = oxsql('-c', '\d shell_demo');
like($out, qr/Topic "public.shell_demo".*_offset.*Partitions: 1/s, '\d describes it') or diag $out;
($status, $out) = oxsql('-At', '-c', '\tail shell_demo 2');
like($out, qr/b\|2.*c\|3/s, '\tail shows the newest');
unlike($out, qr/a\|1/, 'and only those');
($status, $out) = oxsql('-c', '\lag');
is($status, 0, '\lag') or diag $out;
($status, $out) = oxsql('-c', '\groups');
is($status, 0, '\groups') or diag $out;
($status, $out) = oxsql('-c', '\config shell_demo');
like($out, qr/retention/, '\config shows settings') or diag $out;
($status, $out) = oxsql('-c', '\peek shell_demo 0 1');
like($out, qr/_value_bytes\s+1 bytes.*32/s, '\peek shows bytes') or diag $out;
($status, $out) = script("\\produce shell_demo\nk\tv\\t1\nalone\n\\.\n\\tail shell_demo 2\n", '-At');
like($out, qr/k\|v\\t1/, '\produce keeps backslashes') or diag $out;
like($out, qr/\|\|alone/, 'and takes values without key') or diag $out;
for my $list (qw(\l \du \dn \df \dv \dp \di)) {
    ($status, $out) = oxsql('-c', $list);
    is($status, 0, $list) or diag $out;
}
($status, $out) = oxsql('-E', '-c', '\lag');
like($out, qr/\*+ QUERY \*+\n.*oxbow\.lag/s, 'ECHO_HIDDEN shows queries');

# COPY both ways
($status, $out) = script("COPY shell_demo (_key, _value) FROM STDIN;\nx\t10\ny\t11\n\\.\n"
    . "COPY (SELECT _key, _value FROM shell_demo WHERE _key IN ('x', 'y') ORDER BY _offset) TO STDOUT;\n");
is($out, "COPY 2\nx\t10\ny\t11\n", 'COPY in and out');
($status, $out) = script("\\o | head -1 >/dev/null\nSELECT 1;\nSELECT 2 \\g | cat >/dev/null\n"
    . "SELECT generate_series(1, 100000);\n" x 2 . "\\o\n\\echo still here\n", '-At');
ok($status == 0 && $out =~ /still here/, 'one pipe that ends leaves the shell to those that are open') or diag $status;
($status, $out) = script("\\copy (SELECT generate_series(1, 200000)) to program 'head -1 >/dev/null'\n\\echo still here\n", '-At');
ok($status == 0 && $out =~ /could not write COPY data: .*still here/s, 'nor does the program of \copy end it') or diag "$status $out";
{
    local $ENV{OXSQL_EDITOR} = 'stat -c %a';
    ($status, $out) = script("SELECT 'secret'\n\\e\n");
    like($out, qr/^600$/m, 'what is edited nobody else can read');
}
my $file = Oxbow::tmp() . "/copy.$$";
($status, $out) = oxsql('-c', "\\copy (select _value from shell_demo order by _offset limit 2) to '$file'");
is($out, "COPY 2\n", '\copy');
for my $open (q{'}, qq{'$file}, q{program '}) {
    ($status, $out) = oxsql('-c', "\\copy shell_demo from $open");
    ok($status == 1 && $out =~ /parse error at end of line/, "\\copy from $open: a quote that does not end");
}
open my $in, '<', $file or die;
is(join('', <$in>), "1\n2\n", 'wrote the file');
close $in;
unlink $file;

# A line from a filehandle within some seconds.
sub line_of {
    my ($from, $seconds) = @_;
    my ($line, $until) = ('', time + $seconds);
    while (time < $until && $line !~ /\n/) {
        next unless IO::Select->new($from)->can_read(0.1);
        sysread($from, $line, 1, length $line) or last;
    }
    return $line;
}

# Live rows in a pipe come one by one.
{
    local @ENV{qw(PGHOST PGPORT PGUSER)} = ('127.0.0.1', $server->{sql_port}, 'oxbow');
    my $pid = open2(my $rows, my $to, $oxsql, '-X', '-At', '-c', 'SUBSCRIBE shell_demo (_value) FROM LATEST');
    sleep 0.7;
    for my $value ('live 1', 'live 2') {
        oxsql('-q', '-c', "INSERT INTO shell_demo (_value) VALUES ('$value')");
        is(line_of($rows, 10), "$value\n", "\"$value\" comes while the statement runs");
    }
    kill 'INT', $pid;
    waitpid $pid, 0;
    is($? >> 8, 1, 'an interrupted -c exits with 1');
}

# A terminal.
SKIP: {
    skip 'script(1) is not installed', 9 unless Oxbow::have('script');
    local @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE TERM PAGER)} =
        ('127.0.0.1', $server->{sql_port}, 'oxbow', 'oxbow', 'dumb', 'cat');
    # Ctrl-C reaches the shell around oxsql too; dash would end by it.
    my $pid = open2(my $from, my $to, 'script', '-qfc',
        "trap : INT; $oxsql -X; echo left with \$?; read line", '/dev/null');
    my $screen = '';
    my $wait = sub {
        my ($pattern, $sentence) = @_;
        my $until = time + 10;
        while (time < $until && $screen !~ $pattern) {
            next unless IO::Select->new($from)->can_read(0.1);
            sysread($from, $screen, 4096, length $screen) or last;
        }
        like($screen, $pattern, $sentence) or diag $screen;
        $screen = '';
    };
    my $type = sub { syswrite $to, $_[0] };
    $wait->(qr/oxbow=> /, 'the prompt');
    $type->("select 'a\n");
    $wait->(qr/oxbow'> /, 'an open quote');
    $type->("b' as x;\n");
    $wait->(qr/\(1 row\).*oxbow=> /s, 'a statement of two lines');
    $type->("begin;\n");
    $wait->(qr/oxbow=\*> /, 'a transaction');
    $type->("rollback;\n");
    $wait->(qr/oxbow=> /, 'its end');
    $type->("\\follow shell_demo 1\n");
    $wait->(qr/live 2/, '\follow shows the last record');
    oxsql('-q', '-c', "INSERT INTO shell_demo (_value) VALUES ('followed')");
    $wait->(qr/followed/, 'and the next as it comes');
    $type->("\cC");
    $wait->(qr/oxbow=> /, 'Ctrl-C returns to the prompt');
    $type->("\\q\n");
    $wait->(qr/left with 0/, '\q leaves');
    $type->("\n");
    waitpid $pid, 0;
}

is(scalar(() = oxsql('-q', '-c', 'DROP TOPIC shell_demo')), 2, 'done');
is($server->stop, 0, 'the server stops in order');
system 'rm', '-rf', $home;
done_testing;
