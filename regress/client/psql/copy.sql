create temp table c(a int, b text);
copy c from stdin;
1	one
2	two\\x
\.
copy c to stdout;
copy c (a) from stdin csv;
3
4
\.
\copy c to 'c.txt'
\! cat c.txt
\copy c from 'c.txt'
select * from c order by 1,2;
\copy (select a, b from c where a < 3 order by 1) to stdout csv header
\copy c from program 'printf "7\tseven\n"'
\copy c to program 'sort | head -3'
copy c from stdin;
bad	x
\.
select count(*) from c;
\copy nope from '/tmp/none'
\copy c from '/tmp/none'
\copy c
\copy
copy c to stdout \g c2.txt
\! wc -l c2.txt
insert into c values (9,'r') returning a, b;
update c set a = a;
delete from c where a > 100;
create table shell_d(a int primary key, b text not null default 'x', c varchar(10) unique, d numeric(5,2) check (d > 0));
create table shell_e(a int references shell_d(a), g int generated always as (1) stored);
create view shell_v as select a, b from shell_d;
\d shell_d
\d shell_e
\d shell_v
\d
\dt
\dt shell_*
\dt nope
\dv
\di
\dm
\dn
drop view shell_v;
drop table shell_e, shell_d;
