-- conditions, prompts of errors, multi-line commands, odd input
\set ON_ERROR_ROLLBACK interactive
select 1 as "mixed Case", 'x' as x \gset
\echo :x :{?x} :{?y}
\if :{?x}
  \if false \else \echo nested \endif
\endif
\elif true
\endif
\echo `echo out; exit 0` '`' "dq :x" :"x"
\set v1 a b 'c d'
\echo :v1 [:v1] ':v1'
\set sql 'select ' :v1
\set
\unset v1
\echo :v1
select 'tab	in text' as t;
select E'\u00e4\u00df\u20ac' as "ümlaut", repeat('ü', 3);
select array[1,2], row(1,'a'), '{"a": [1, 2]}'::jsonb, '1 day'::interval, 'x'::bytea;
select 1::int2, 2::int8, 3.5::float4, 'NaN'::float8, 1e20::numeric, true, '2020-01-01'::date, '$1'::money, 5::oid;
select generate_series(1, 3) as n \g (format=unaligned recordsep=- footer=off)
select generate_series(1, 3) as "longer than the line above" \gx (border=2)
\pset tuples_only
\pset expanded auto
\pset expanded off
\pset tuples_only off
\pset pager off
\pset pager_min_lines 3
\pset columns
\pset fieldsep '\t'
\pset null
\pset title 'A title wider than the table that stands below it'
select 1;
\pset title
\o |sleep 0.2; cat
select 'piped';
\qecho to pipe
\o
\echo -n a
\echo b
\g
select 2 \g \echo after
select 3 \r \echo gone
select 4
  , 5 \p
;
\w |cat
select 1; select 2 \; select 3; select 4 \; select 1/0 \; select 5;
\echo :ROW_COUNT :ERROR :SQLSTATE
begin \; select 1/0;
select 1;
end;
set client_min_messages = debug1;
select 1;
reset client_min_messages;
do $$ begin raise notice 'n%', 1; raise exception 'failed' using detail = 'd', hint = 'h'; end $$;
\set SHOW_CONTEXT always
do $$ begin raise notice 'context'; end $$;
\set SHOW_CONTEXT never
do $$ begin raise exception 'none'; end $$;
\set ECHO queries
select 'echoed';
\set ECHO errors
select broken;
\set ECHO all
select 'all';
\set ECHO none
\set SINGLELINE on
select 'single line'
\set SINGLELINE off
\set SHOW_ALL_RESULTS off
select 1 \; select 2;
\set SHOW_ALL_RESULTS on
\set FETCH_COUNT 1
select 1 where false;
select generate_series(1, 4);
\x
select generate_series(1, 3);
\x
\pset format csv
select generate_series(1, 3);
\pset format unaligned
select generate_series(1, 3);
\pset format aligned
\set FETCH_COUNT 0
\x bogus
\cd /nowhere
\i /nowhere/file.sql
\c - - nohost.invalid
