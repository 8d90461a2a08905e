create temp table w(id int, "long name" text, n numeric, t text);
insert into w select i, repeat('word ', i*3), i*1000.5, repeat('日本', i*2) || E'\nsecond ' || repeat('x',i*5) from generate_series(1,6) i;
\pset format wrapped
\pset columns 40
select * from w;
\pset border 2
select * from w;
\pset border 0
select * from w;
\pset border 1
\pset columns 60
select * from w;
\x
select * from w;
\pset columns 30
select * from w;
\pset border 2
select * from w;
\pset border 0
select * from w;
\pset border 1
\pset linestyle unicode
select * from w;
\pset columns 20
select * from w;
\x
select * from w;
\pset border 2
select * from w;
\pset columns 10
select * from w;
\x auto
\pset format aligned
\pset columns 40
select * from w;
select 1;
