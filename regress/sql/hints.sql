-- What is said when a name is wrong, or PostgreSQL's and not served
CREATE TOPIC hints PARTITIONS 1;
CREATE TOPIC "Hints.V1" PARTITIONS 1;
INSERT INTO hints (_key, _value) VALUES ('a', '1');
-- the nearest name
SELECT _ofset FROM hints;
SELECT h._kee FROM hints h;
SELECT _ofset FROM hints a, hints b;
SELECT hints._key FROM hints h;
SELECT hints.* FROM hints h;
SELECT nobody._key FROM hints;
SELECT quitedifferent FROM hints;
SELECT * FROM hint;
SELECT * FROM elsewhere.hints;
SELECT _key FROM hInTs;
SELECT * FROM "hints.v1";
SELECT * FROM pg_clas;
SELECT lenght('a');
SELECT ifnull(1, 2);
SELECT nextval('s');
SELECT wibblewobble(1);
SELECT length(1);
SELECT * FROM hints WHERE _key = "a";
SHOW wrk_mem;
SET statement_timout = 1;
-- what PostgreSQL has
\set VERBOSITY verbose
SELECT '10:00+02'::timetz;
SELECT '101'::bit(3), B'101';
SELECT '1.2.3.4'::inet;
SELECT '[1,2)'::int4range;
SELECT 'a'::jsonpath;
SELECT 'a'::nowhere;
SELECT rank(2) WITHIN GROUP (ORDER BY _offset) FROM hints;
WITH x AS (INSERT INTO hints (_key) VALUES ('a') RETURNING *) SELECT * FROM x;
WITH x AS MATERIALIZED (DELETE FROM hints RETURNING *) SELECT * FROM x;
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SEARCH DEPTH FIRST BY n SET o SELECT * FROM t;
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) CYCLE n SET c USING p SELECT * FROM t;
SELECT * FROM hints LIMIT 5, 10;
SELECT * INTO x FROM hints;
SELECT 'x' IS JSON;
SELECT 'x' IS NORMALIZED;
SELECT 1 INTO;
SELECT (INSERT);
SELECT , 1;
\set VERBOSITY default
SELECT pg_size_bytes('12 MB'), pg_size_bytes('1.5kB'), pg_size_bytes('-7'), pg_blocking_pids(1), pg_relation_is_updatable('hints', true);
SELECT pg_size_bytes('1 XB');
DROP TOPIC hints, "Hints.V1";
