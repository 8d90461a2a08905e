create temp table w(id int, "long name" text, n numeric, t text, b bool, j jsonb);
insert into w values (1,'hello',1.5,E'multi\nline',true,'{"a":1}'),(2,'日本語テキスト',-3,E'tab\there',false,null),(3,null,null,E'\r\x01ctrl',null,'[1,2]'),(4,'é e\u0301 combining',12345.678,'<b>&"q"',true,'"s"');
select * from w;
\x
select * from w;
\x
\pset border 0
select * from w;
\x
select * from w;
\x
\pset border 2
select * from w;
\x
select * from w;
\x
\pset border 3
select * from w;
\pset border 1
\pset linestyle unicode
select * from w;
\x
select * from w;
\x
\pset border 2
select * from w;
\x
select * from w;
\x
\pset border 0
select * from w;
\x
select * from w;
\x
\pset border 1
\pset linestyle ascii
\t
select * from w;
\pset border 2
select * from w;
\x
select * from w;
\pset border 1
select * from w;
\x
\t
\a
select * from w;
\x
select * from w;
\x
\t
select * from w;
\x
select * from w;
\x
\t
\f ','
\pset recordsep '|\n'
select * from w;
\pset fieldsep_zero
\pset recordsep_zero
select * from w;
\x
select * from w;
\x
\pset format csv
select * from w;
\x
select * from w;
\x
\t
select * from w;
\t
\pset csv_fieldsep ';'
select * from w;
\H
select * from w;
\x
select * from w;
\t
select * from w;
\x
select * from w;
\t
\C 'my title'
select * from w;
\pset format aligned
select * from w;
\x
select * from w;
\x
\pset format unaligned
select * from w;
\x
select * from w;
\x
\pset title
\pset format aligned
\pset null '(null)'
select * from w;
\pset footer off
select * from w;
\pset footer on
select * from w where false;
\x
select * from w where false;
\t
select * from w where false;
\x
select * from w where false;
\t
\a
select * from w where false;
\t
select * from w where false;
\x
select * from w where false;
\t
select * from w where false;
\x
\a
select;
select from w;
select '' as "";
select 1 as "a
b", 2 as "c", 3 as "dd
eee
f";
\x
select 1 as "a
b", 2 as "c", 3 as "dd
eee
f";
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
