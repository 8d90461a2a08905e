\x
\pset border 2
select 1 as "a
b", 2 as "c", E'x\ny' as "dd
eee
f";
\pset border 0
select 1 as "a
b", 2 as "c", E'x\ny' as "dd
eee
f";
\pset linestyle unicode
select 1 as "a
b", 2 as "c", E'x\ny' as "dd
eee
f";
\pset border 1
\x
select generate_series(1, 3) as n \gx (border=2)
