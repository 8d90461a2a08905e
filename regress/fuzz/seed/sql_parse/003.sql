CREATE STREAM s WATERMARK FOR ts AS ts - INTERVAL '1 s' IDLE AFTER INTERVAL '5 s' AS SELECT k, sum(v) FROM hop(t, ts, INTERVAL '1 s', INTERVAL '5 s') GROUP BY k EMIT EVERY INTERVAL '2 s';
SELECT offsets, token, last, until, envelope, consume, subscribe FROM t;
SELECT offset FROM t;
SELECT key FROM t key;
SELECT extract(epoch FROM ts) FROM t LIMIT 10 OFFSET 5;
SELECT a FROM t UNION SELECT b FROM u ORDER BY a LIMIT 3;
SELECT a FROM
SELECT 1 + 2 * 3 ^ 4 % 5 - -6, 'a' || 'b', x::int4[], CAST(x AS numeric(8, 2)), date '2020-01-01', jsonb '{}';
SELECT a, a.b, a.b.c, t.*, count(*), count(DISTINCT a), sum(a) FILTER (WHERE b) FROM t;
SELECT NOT a AND b OR c IS NULL, a NOT IN (1, 2), a NOT LIKE 'x%' ESCAPE '!', a ILIKE 'x', a SIMILAR TO 'x', a BETWEEN 1 AND 2 AND b;
SELECT a BETWEEN SYMMETRIC 1 AND 2, a IS NOT DISTINCT FROM b, a IS NOT TRUE, a ISNULL, a NOTNULL;
SELECT (a, b) > (0, 100), ROW(1, 2), ROW(), (1, 2) IN (SELECT 1, 2), a = ANY ('{1,2}'), a <> ALL (SELECT 1), a ~ ANY (ARRAY['x']);
SELECT ARRAY[1, 2, 3], ARRAY[[1, 2], [3, 4]], a[1], a[1:2], a[:2], (ARRAY[1,2])[1], ARRAY(SELECT 1), (r).f, (r).*;
SELECT CASE WHEN a THEN 1 ELSE 2 END, CASE a WHEN 1 THEN 'x' END, coalesce(a, b), nullif(a, b), greatest(1, 2), least(1);
SELECT extract(epoch FROM now()), substring('abc' FROM 2 FOR 1), substring('abc', 2), position('b' IN 'abc'), trim(BOTH 'x' FROM 'xax'), trim(' a '), overlay('abc' PLACING 'x' FROM 2);
SELECT current_timestamp, current_date, current_user, localtimestamp(3), current_schema(), current_catalog;
