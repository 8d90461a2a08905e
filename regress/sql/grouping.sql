-- GROUPING SETS, ROLLUP, CUBE
SELECT n % 2, count(*) FROM generate_series(1,10) n GROUP BY ROLLUP (1) ORDER BY 1;
SELECT a, b, count(*), grouping(a, b) FROM (VALUES (1,2),(1,3),(2,2)) v(a,b) GROUP BY CUBE (a, b) ORDER BY 4, 1, 2;
SELECT a, b, c, sum(d), grouping(a), grouping(b,c), grouping(c,b,a) FROM (VALUES (1,2,3,4),(1,3,3,5),(2,2,1,7),(NULL,1,1,1)) v(a,b,c,d) GROUP BY GROUPING SETS ((a, b), ROLLUP (c, (a, b)), ()) ORDER BY 1, 2, 3, 4, 5, 6, 7;
SELECT a, count(*) FROM (VALUES (1),(2)) v(a) GROUP BY a, ROLLUP (a) ORDER BY 1, 2;
SELECT a, count(*) FROM (VALUES (1),(2)) v(a) GROUP BY DISTINCT a, ROLLUP (a), GROUPING SETS ((), (a)) ORDER BY 1, 2;
SELECT a, count(*), grouping(a) FROM (VALUES (1),(2)) v(a) WHERE a > 5 GROUP BY ROLLUP (a);
SELECT count(*) FROM (VALUES (1),(2)) v(a) WHERE a > 5 GROUP BY GROUPING SETS ((), ());
SELECT count(*) FROM (VALUES (1),(2)) v(a) WHERE a > 5 GROUP BY ();
SELECT a, b, count(*) FROM (VALUES (1,2)) v(a,b) GROUP BY (a, b);
SELECT a + 1, grouping(a + 1), sum(a) FROM (VALUES (1),(2),(2)) v(a) GROUP BY ROLLUP (a + 1) HAVING grouping(a + 1) = 0 ORDER BY a + 1 DESC;
SELECT a, grouping(a), rank() OVER (PARTITION BY grouping(a) ORDER BY sum(b) DESC) FROM (VALUES (1, 5),(2, 7)) v(a, b) GROUP BY ROLLUP (a) ORDER BY 2, 3;
SELECT grouping(b) FROM (VALUES (1, 5)) v(a, b) GROUP BY a;
SELECT grouping(a) FROM (VALUES (1, 5)) v(a, b);
SELECT b FROM (VALUES (1, 5)) v(a, b) GROUP BY ROLLUP (a);
SELECT a FROM (VALUES (1, 5)) v(a, b) WHERE grouping(a) = 0 GROUP BY a;
SELECT grouping(a) FROM (VALUES (1, 5)) v(a, b) GROUP BY a;
SELECT CASE WHEN grouping(a) = 1 THEN 'all' ELSE a::text END AS who, count(DISTINCT b), string_agg(b::text, ',' ORDER BY b DESC) FROM (VALUES (1, 5),(1, 6),(2, 5)) v(a, b) GROUP BY ROLLUP (a) ORDER BY grouping(a), 1;
SELECT a, b, c, count(*) FROM (VALUES (1, 5, 3),(1, 6, 4),(2, 5, 4)) v(a, b, c) GROUP BY CUBE (a, (b, c)) ORDER BY 1, 2, 3;
