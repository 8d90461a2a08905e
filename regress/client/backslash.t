#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# psql's backslash commands at Oxbow and at PostgreSQL: the same text where both
# hold the same things, the same titles and columns where they do not.
use strict;
use warnings;
use Postgres;
use Test::More;

plan skip_all => 'psql is not installed' unless Oxbow::have('psql');
my ($version) = `psql --version` =~ /(\d+)\./;
plan skip_all => "psql $version asks in another way than psql 15" unless $version == 15;
my ($pg, $why) = Postgres::start();
plan skip_all => $why unless $pg;
plan skip_all => "PostgreSQL $pg->{version} answers in another way than 15" unless $pg->{version} == 15;
my $ox = Oxbow->start or die 'no server';
$ENV{PGTZ} = 'UTC';
my %port = (Oxbow => $ox->{sql_port}, PostgreSQL => $pg->{port});

sub psql {
    my ($server, $script, @options) = @_;
    local @ENV{qw(PGHOST PGUSER PGDATABASE)} = qw(127.0.0.1 oxbow oxbow);
    my ($status, $out) = $ox->command($script, 'env', "PGPORT=$port{$server}", 'PGHOST=127.0.0.1',
        'PGUSER=oxbow', 'PGDATABASE=oxbow', 'timeout', '60', 'stdbuf', '-oL', 'psql', '-X', @options);
    $out =~ s/\b$port{$server}\b/PORT/g;
    return $out;
}

psql('Oxbow', "CREATE TOPIC things PARTITIONS 1; COMMENT ON TOPIC things IS 'some';\n");
psql('PostgreSQL', <<'END');
CREATE TABLE things (_partition int, _offset int8, _timestamp timestamptz, _key text, _value text,
    _headers jsonb);
COMMENT ON TABLE things IS 'some';
END

# What each of the commands prints, all in one session: it starts slowly.
sub session {
    my ($server, @commands) = @_;
    my $out = psql($server, join('', map { "$_\n\\echo @@@\n" } @commands));
    return map { s/^\n//r } split /^\@\@\@\n/m, $out, -1;
}

# The same to the byte.
my $copy = Oxbow::tmp() . "/backslash.$$";
my @scripts = ('\d', '\d things', '\dt', '\dt things', '\dt nothing', '\d nothing', '\d no.such.thing.x',
    '\dv', '\di', '\ds', '\dm', '\dE', '\dp', '\dp things', '\z', '\du', '\dg', '\conninfo', '\dD', '\dT', '\df', '\da',
    '\dy', '\des', '\det', '\dew', '\dRp', '\dRs', '\dX', '\drds', '\ddp', '\dP', '\dl', '\dc', '\dO',
    '\sf no_such', '\sv no_such', '\encoding', '\echo :DBNAME :USER :PORT :ENCODING',
    "SELECT 1 AS a, 'x'::text AS b, now() AS c, 1.5 AS d, ARRAY[1] AS e, 'y'::varchar(3) AS f \\gdesc",
    "SELECT _key, _offset AS o FROM things \\gdesc", "DELETE FROM things WHERE false \\gdesc",
    "SELECT * FROM (VALUES ('r1','c1',1),('r1','c2',2),('r2','c1',3)) v(a,b,c) \\crosstabview",
    "SELECT * FROM (VALUES ('r1','c1',1),('r1','c1',2)) v(a,b,c) \\crosstabview",
    "SELECT 1 AS a \\gset x_\n\\echo :x_a", "SELECT 'SELECT 1 AS b', 'SELECT 2 AS c' \\gexec",
    "SELECT 1 AS a \\gx", "SELECT 1 AS a \\g (format=csv)", "SELECT 1 \\; SELECT 2 \\;\nSELECT 3;",
    '\dt *.things', '\d public.things', '\dt pub*.th*', '\d things*',
    "SELECT 1/0;\n\\errverbose",
    "\\set AUTOCOMMIT off\nSELECT 1 AS a;\n\\echo :ERROR :ROW_COUNT :SQLSTATE\nROLLBACK;",
    "\\copy (SELECT g, 'x' FROM generate_series(1, 3) g) TO '$copy'\n\\! cat $copy",
    "\\copy (SELECT g FROM generate_series(1, 3) g) TO STDOUT WITH (FORMAT csv, HEADER)",
    "\\copy things (_key, _value) FROM '$copy'", "SELECT _key, _value FROM things ORDER BY 1;",
    "\\copy things (_key, _value) FROM STDIN\na\tb\tc\n\\.\n\\echo :SQLSTATE",
    "\\copy things FROM '/no/such/file'",
    "\\timing off\n\\pset null '-'\nSELECT NULL AS n;", "SELECT \$1::int AS x;");
# Those that only describe go together, what sets something on its own.
my @plain = grep { /^\\(?:d|z|sf|sv|conninfo|encoding|echo)/ && !/\n/ } @scripts;
{
    my @want = session('PostgreSQL', @plain);
    my @got = session('Oxbow', @plain);
    is(scalar @got, scalar @want, 'as many answers as questions');
    is($got[$_], $want[$_], $plain[$_]) for 0 .. $#plain;
}
for my $script (grep { my $s = $_; !grep { $_ eq $s } @plain } @scripts) {
    my ($want, $got) = map { my $t = psql($_, "$script\n"); $t =~ s/^LOCATION: .*\n//mg; $t } qw(PostgreSQL Oxbow);
    is($got, $want, $script =~ s/\n.*//sr);
}
unlink $copy;

# Titles and columns.
sub shape {
    my ($text) = @_;
    my @lines = split /\n/, $text;
    my ($rule) = grep { $lines[$_] =~ /^[-+]+$/ } 0 .. $#lines;
    return $text unless defined $rule;
    s/\s+/ /g, s/^ | $//g for @lines;
    return join "\n", @lines[0 .. $rule - 1];
}
my @shaped = ('\d+', '\d+ things', '\dt+', '\l', '\l+', '\du+', '\dn', '\dn+', '\df lower', '\df+ lower', '\dT int4',
    '\dT+ int4', '\dTS', '\dvS', '\dtS', '\dS things', '\d pg_user', '\da sum', '\db', '\db+', '\dA', '\dA+', '\dL',
    '\dLS', '\dd', '\do', '\doS', '\dC', '\dconfig work_mem', '\dOS', '\dv+ pg_catalog.pg_user', '\di+',
    '\dfS', '\daS', '\dx', '\dF', '\dFd', '\dFp', '\dFt');
{
    my @want = map { shape($_) } session('PostgreSQL', @shaped);
    my @got = map { shape($_) } session('Oxbow', @shaped);
    is($got[$_], $want[$_], "$shaped[$_]: titles and columns") for 0 .. $#shaped;
}
like(psql('Oxbow', "\\sf upper\n"), qr/^CREATE OR REPLACE FUNCTION pg_catalog\.upper\(text\)\n RETURNS text\n LANGUAGE internal\n/,
    '\sf');
like(psql('Oxbow', "\\sv oxbow.lag\n"), qr/^CREATE OR REPLACE VIEW oxbow\.lag AS\n/, '\sv');
my $watched = do {
    local @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} = ('127.0.0.1', $port{Oxbow}, 'oxbow', 'oxbow');
    `printf 'SELECT 5 AS w \\\\watch 0.1\n' | timeout -s INT 2 psql -X 2>&1`;
};
cmp_ok(scalar(() = $watched =~ /\(every 0\.1s\)\n\n w \n---\n 5\n/g), '>=', 3, '\watch repeats') or diag $watched;
is($ox->stop, 0, 'the server stops in order');
done_testing;
