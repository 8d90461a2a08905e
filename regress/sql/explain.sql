-- EXPLAIN: what is pushed to the scan, and what is not
CREATE TOPIC e PARTITIONS 4;
INSERT INTO e (_key, _value) SELECT 'k' || g, g::text FROM generate_series(1, 100) g;
EXPLAIN SELECT * FROM e;
EXPLAIN SELECT * FROM e WHERE _partition = 2;
EXPLAIN SELECT * FROM e WHERE _partition IN (1, 3) AND _offset >= 10 AND _offset < 20;
EXPLAIN SELECT * FROM e WHERE _offset BETWEEN 3 AND 5;
EXPLAIN SELECT * FROM e WHERE _timestamp >= '2024-01-01 00:00+00' AND _timestamp < '2024-02-01 00:00+00';
EXPLAIN SELECT * FROM e WHERE _key = 'k7';
EXPLAIN SELECT * FROM e WHERE _key LIKE 'k7%';
EXPLAIN SELECT * FROM e WHERE _value ->> 'x' = 'needle';
EXPLAIN SELECT * FROM e LIMIT 5;
EXPLAIN SELECT * FROM e ORDER BY _offset DESC LIMIT 5;
EXPLAIN SELECT * FROM e WHERE _partition = 0 ORDER BY _offset DESC LIMIT 5;
EXPLAIN SELECT count(*) FROM e;
EXPLAIN SELECT count(*), max(_offset) FROM e WHERE _partition = 1;
EXPLAIN SELECT min(_value) FROM e;
EXPLAIN SELECT _partition, count(*) FROM e GROUP BY 1;
EXPLAIN SELECT * FROM e WHERE _offset + 0 = 3;
EXPLAIN SELECT * FROM e WHERE _offset = 3 OR _key = 'a';
EXPLAIN SELECT a._key FROM e a JOIN e b ON a._key = b._key WHERE a._partition = 1;
EXPLAIN SELECT _key, sum(_value::int) FROM e GROUP BY 1 HAVING sum(_value::int) > 3 ORDER BY 2 DESC;
EXPLAIN INSERT INTO e (_value) SELECT 'x' FROM generate_series(1, 3);
EXPLAIN SUBSCRIBE e FROM EARLIEST;
EXPLAIN SELECT nothing FROM e;
-- lists, OR, rows
EXPLAIN SELECT * FROM e WHERE _partition = ANY('{1,2}') AND _offset = ANY(ARRAY[1,2]) AND _key = ANY('{a,b}');
SELECT count(*) FROM e WHERE _partition = ANY('{1,NULL,2}') AND _offset = ANY(ARRAY[1,2]);
SELECT count(*) FROM e WHERE _partition = ANY('{}');
SELECT count(*) FROM e WHERE _key = ANY('{k1,k2,zz}');
EXPLAIN SELECT * FROM e WHERE (_partition = 1 AND _offset > 5) OR (_partition = 2 AND _offset BETWEEN 3 AND 10);
SELECT _partition, count(*), min(_offset) FROM e WHERE (_partition = 1 AND _offset > 5) OR (_partition = 2 AND _offset BETWEEN 3 AND 10) GROUP BY 1 ORDER BY 1;
EXPLAIN SELECT * FROM e WHERE (_partition, _offset) > (1, 5);
SELECT (SELECT count(*) FROM e WHERE (_partition, _offset) > (1, 5)) = (SELECT count(*) FROM e WHERE _partition > 1 OR (_partition = 1 AND _offset > 5)) AS same;
SELECT (SELECT count(*) FROM e WHERE (0, 5) >= (_partition, _offset)) = (SELECT count(*) FROM e WHERE _partition = 0 AND _offset <= 5) AS same;
EXPLAIN SELECT * FROM e WHERE (_partition, _offset) = (1, 5);
-- why not
EXPLAIN SELECT * FROM e WHERE _key LIKE 'k7%' AND _timestamp::date = '2020-01-01' AND _offset <> 5 AND _partition NOT IN (1) AND _offset > 1.5 AND date_trunc('day', _timestamp) > '2020-01-01' AND _key > 'a';
EXPLAIN SELECT * FROM e WHERE _timestamp IN ('2020-01-01', '2020-01-02');
EXPLAIN (VERBOSE) SELECT _offset FROM e WHERE _timestamp < '2030-01-01' AND _key = 'k';
-- forms
EXPLAIN (FORMAT JSON) SELECT _key, count(*) FROM e WHERE _partition = 1 AND EXISTS (SELECT 1 FROM oxbow.topics t WHERE t.name = e._key) GROUP BY ROLLUP (_key) ORDER BY 2 DESC LIMIT 3;
EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) SELECT count(*) FROM (VALUES (1), (2)) v(a) WHERE a > 1;
EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON, BUFFERS) VALUES (1);
EXPLAIN WITH c AS MATERIALIZED (SELECT * FROM e) SELECT (SELECT count(*) FROM c), (SELECT c._key FROM c WHERE c._offset = e._partition LIMIT 1) FROM e LIMIT 1;
EXPLAIN SELECT sum(_offset) OVER (PARTITION BY _partition ORDER BY _offset DESC) FROM e;
EXPLAIN SELECT * FROM e TABLESAMPLE BERNOULLI (10) REPEATABLE (3);
EXPLAIN SUBSCRIBE e FROM OFFSET 10 UNTIL TIMESTAMP '2030-01-01' LIMIT 5;
EXPLAIN SUBSCRIBE e;
EXPLAIN (FORMAT XML) SELECT 1;
EXPLAIN (FORMAT foo) SELECT 1;
EXPLAIN (foo) SELECT 1;
EXPLAIN (ANALYZE maybe) SELECT 1;

-- prepared statements
PREPARE ep (int, text) AS SELECT * FROM e WHERE _partition = $1 AND _key = $2;
PREPARE ei (text) AS INSERT INTO e (_value) VALUES ($1);
EXPLAIN EXECUTE ep (1, 'k7');
EXPLAIN VERBOSE EXECUTE ep (1, 'k7');
EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) EXECUTE ep (2, 'k1');
EXPLAIN EXECUTE ei ('x');
EXPLAIN EXECUTE ep (1);
EXPLAIN EXECUTE ep ('x', 'k7');
EXPLAIN EXECUTE nobody;
BEGIN READ ONLY;
EXPLAIN ANALYZE EXECUTE ei ('x');
ROLLBACK;
DEALLOCATE ep;
DROP TOPIC e;
