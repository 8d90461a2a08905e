-- What keeps rows goes to files beyond work_mem: the same answers with little
-- memory as with much.
CREATE TOPIC spill PARTITIONS 2;
INSERT INTO spill (_key, _value) SELECT 'k' || g % 7001, repeat(chr(97 + g % 26), 20) FROM generate_series(1, 30000) g;

PREPARE answers AS
WITH l AS MATERIALIZED (SELECT _key AS k, _value AS v FROM spill),
     r AS MATERIALIZED (SELECT 'k' || g % 9001 AS k, repeat(chr(97 + g % 13), 20) AS v FROM generate_series(1, 40000) g)
SELECT 'union' AS what, count(*) AS rows, sum(length(k)) AS keys, min(k || v) AS least, max(k || v) AS most
    FROM (SELECT k, v FROM l UNION SELECT k, v FROM r) s
UNION ALL SELECT 'intersect', count(*), sum(length(k)), min(k || v), max(k || v)
    FROM (SELECT k, v FROM l INTERSECT SELECT k, v FROM r) s
UNION ALL SELECT 'intersect all', count(*), sum(length(k)), min(k || v), max(k || v)
    FROM (SELECT k, v FROM l INTERSECT ALL SELECT k, v FROM r) s
UNION ALL SELECT 'except', count(*), sum(length(k)), min(k || v), max(k || v)
    FROM (SELECT k, v FROM l EXCEPT SELECT k, v FROM r) s
UNION ALL SELECT 'except all', count(*), sum(length(k)), min(k || v), max(k || v)
    FROM (SELECT k, v FROM l EXCEPT ALL SELECT k, v FROM r) s
UNION ALL SELECT 'except all of keys', count(*), sum(length(k)), min(k), max(k)
    FROM (SELECT k FROM r EXCEPT ALL SELECT k FROM l) s
UNION ALL SELECT 'intersect all of keys', count(*), sum(length(k)), min(k), max(k)
    FROM (SELECT k FROM l INTERSECT ALL SELECT k FROM r) s
UNION ALL SELECT 'distinct', count(*), sum(length(k)), min(k || v), max(k || v)
    FROM (SELECT DISTINCT k, v FROM l) s
UNION ALL SELECT 'window', count(*), sum(n), min(k || v), max(k || v)
    FROM (SELECT k, v, row_number() OVER (PARTITION BY v ORDER BY k) AS n FROM l) s
UNION ALL SELECT 'join', count(*), sum(length(k)), min(k || v), max(k || v)
    FROM (SELECT l.k, r.v FROM l JOIN r ON l.k = r.k AND l.v = r.v) s
UNION ALL SELECT 'group', count(*), sum(n), min(k), max(k)
    FROM (SELECT k, count(*) AS n FROM r GROUP BY k) s;

SET work_mem = '256MB';
EXECUTE answers;
SET work_mem = '64kB';
EXECUTE answers;

-- NULLs are equal to each other, and rows that are wide go their way too
SELECT count(*), count(n), sum(length(w)) FROM
    (SELECT nullif(g % 5000, 0) AS n, repeat('w', 300) AS w FROM generate_series(1, 20000) g
     EXCEPT ALL SELECT nullif(g % 5000, 0), repeat('w', 300) FROM generate_series(1, 14999) g) s;

-- what a recursion works on: 60,000 wide rows a round
WITH RECURSIVE r(n, g, w) AS (
    SELECT 1, g, repeat('w', 200) FROM generate_series(1, 60000) g
    UNION ALL SELECT n + 1, g, w FROM r WHERE n < 3 AND g % 2 = 0)
SELECT n, count(*), sum(g), sum(length(w)) FROM r GROUP BY n ORDER BY n;

DEALLOCATE answers;
DROP TOPIC spill;
