select 'a;b' as x; select "a" from (select 1 as a) "x;y";
select $$a;b$$, $x$ $$;$y$ $x$ ; select $1 from (select 1) z;
select 'multi
line; string', E'esc\'; ' , e'a\\';
/* comment ; /* nested ; */ still; */ select 1; -- tail ; comment
select (1
+ 2);
select 1 \; select 2 \; select 3;
select 4 \g
select 5
\g
select 6 \p \g
\p
\r
select 7 \r
select 8;
\set foo 42
\set bar 'it''s'
\set ident 'we"ird'
\set rec 'select :rec'
select :foo, :'bar', :'foo', 1 as :"ident", :{?foo}, :{?nope}, '1'::text, array[1,2,3][1:2];
select ':foo', ":foo" from (select 1 as ":foo") z;
select :nope;
select :'nope';
:rec;
\set q 'select 11 as eleven;'
:q
\set g 'select 12 as twelve \\g'
:g
create function f() returns int language sql begin atomic select 1; select case when true then 2 end; end;
select f();
drop function f();
\echo a 'b c' "d e" :foo :'bar' `echo hi` \\ \echo next
\echo -n no newline
\echo
\echo 'x\ty\n' '\101\x42' ''''
\qecho q :foo
select 1 as a, 'two' as b \gset pre_
\echo :pre_a :pre_b
select 1 where false \gset
select 1 union select 2 \gset
select null as pre_a \gset
\echo :pre_a
select 'select 1 as x' union all select 'select 2 as y' \gexec
select 1 as a, 'x'::varchar(10) as b, now() as c, 1.5::numeric(10,2) as d \gdesc
create temp table gd(a int) \gdesc
select 1 as a, 2 as b \gx
select 1 as a, 2 as b \g (format=csv)
select 1 as a, 2 as b \g (format=unaligned fieldsep=, tuples_only=on)
select 1 as a, 2 as b \g | cat -n
select 1 as a
\g out.txt
\! cat out.txt
\if true
\echo yes
\else
\echo no
\endif
\if false
select 'no'; \echo bad
\elif 1
\echo elif
\if off
\echo inner
\else
\echo inner else
\endif
\else
\echo no
\endif
select
\if false
  'no'
\else
  'yes'
\endif
as v;
\endif
\else
\if maybe
\endif
\unset foo
\echo :foo
\set AUTOCOMMIT off
select 1;
\echo :AUTOCOMMIT
commit;
\set AUTOCOMMIT on
begin;
insert into nope values (1);
select 1;
rollback;
select 1/0;
\echo :ERROR :SQLSTATE :ROW_COUNT :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE
select 1 union select 2;
\echo :ERROR :SQLSTATE :ROW_COUNT
\errverbose
\set VERBOSITY verbose
select 1/0;
\set VERBOSITY terse
select 1/0;
\set VERBOSITY sqlstate
select 1/0;
\set VERBOSITY default
\set ON_ERROR_ROLLBACK on
begin;
select 1/0;
select 2;
commit;
\set ON_ERROR_ROLLBACK off
\d nope
\foo bar
\echo unterminated 'quote
\pset nope
\pset border
\set FETCH_COUNT 2
select i, repeat('x',i) from generate_series(1,5) i;
\a
select i from generate_series(1,5) i;
\a
\set FETCH_COUNT 0
\setenv FOO bar
\! echo $FOO
\getenv foo2 FOO
\echo :foo2
\encoding
\conninfo
\warn to stderr
\timing off
do $$ begin raise notice 'a notice'; raise warning 'w'; end $$;
\x on
\x off
\x auto
\t on
\t off
\a
\a
\f x
\H
\H
\C foo
\C
select 9
