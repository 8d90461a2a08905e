-- SUBSCRIBE: every shape, with an end
CREATE TOPIC sub PARTITIONS 1;
CREATE TOPIC sub3 PARTITIONS 3;
INSERT INTO sub (_key, _value, _timestamp) SELECT 'k' || g % 2, g::text, timestamptz '2024-01-01 00:00+00' + g * interval '1 hour' FROM generate_series(0, 7) g;
INSERT INTO sub3 (_partition, _value) SELECT g % 3, g::text FROM generate_series(0, 8) g;
SUBSCRIBE sub UNTIL LATEST LIMIT 2;
SUBSCRIBE TO sub (_offset, _value) FROM EARLIEST UNTIL LATEST;
SUBSCRIBE sub (_offset) FROM LATEST UNTIL LATEST;
SUBSCRIBE sub (_offset) FROM OFFSET 5 UNTIL LATEST;
SUBSCRIBE sub (_offset) FROM OFFSET 2 UNTIL OFFSET 4;
SUBSCRIBE sub (_offset) FROM OFFSETS '{0: 6}' UNTIL LATEST;
SUBSCRIBE sub (_offset, _timestamp) FROM TIMESTAMP '2024-01-01 05:30+00' UNTIL LATEST;
SUBSCRIBE sub (_offset) FROM EARLIEST UNTIL TIMESTAMP '2024-01-01 02:00+00';
SUBSCRIBE sub (_offset) FROM LAST 3 ROWS UNTIL LATEST;
SUBSCRIBE sub (_offset) FROM LAST 3 UNTIL LATEST;
SUBSCRIBE sub (_offset) FROM EARLIEST UNTIL IDLE INTERVAL '100 milliseconds' LIMIT 3;
SUBSCRIBE sub (_offset) FROM OFFSET 7 UNTIL IDLE INTERVAL '50 milliseconds';
SUBSCRIBE sub (_offset, _key) WHERE _key = 'k1' UNTIL LATEST;
SUBSCRIBE sub WHERE _value::int > 5 FROM EARLIEST LIMIT 1;
SUBSCRIBE (SELECT _value::int * 2 AS twice FROM sub WHERE _offset > 4) UNTIL LATEST;
SUBSCRIBE (SELECT _key, count(*) FROM sub GROUP BY 1) UNTIL LATEST;
SUBSCRIBE sub3 (_partition, _offset, _value) UNTIL LATEST PARTITIONS (1);
COPY (SUBSCRIBE sub3 (_partition, _offset, _value) UNTIL LATEST PARTITIONS (2)) TO STDOUT;
SUBSCRIBE sub3 (_value) UNTIL OFFSETS '{0: 1, 1: 0, 2: 0}';
SELECT _partition, count(*) FROM subscribe('sub3', start => 'earliest', stop => 'latest') GROUP BY 1 ORDER BY 1;
SELECT _offset, _value FROM subscribe('sub', start => 'earliest', stop => 'latest') WHERE _offset < 3 ORDER BY 1;
COPY (SUBSCRIBE sub (_offset, _value) FROM OFFSET 6 UNTIL LATEST) TO STDOUT;
COPY (SUBSCRIBE sub (_offset, _value) FROM OFFSET 6 UNTIL LATEST) TO STDOUT (FORMAT csv, HEADER);
COPY (SUBSCRIBE sub (_offset, _value) FROM OFFSET 6 UNTIL LATEST) TO STDOUT (FORMAT json);
BEGIN;
DECLARE s CURSOR FOR SUBSCRIBE sub (_offset) FROM EARLIEST UNTIL LATEST;
FETCH 3 FROM s;
FETCH ALL FROM s;
FETCH 1 FROM s;
COMMIT;
SELECT _offset FROM tail('sub', 2) ORDER BY 1;
-- the newest are counted before a condition chooses among them
SELECT _offset FROM tail('sub', 3) WHERE _key = 'k1' ORDER BY 1;
SELECT _offset FROM tail('sub', 3) WHERE _offset IN (0, 7);
SELECT _offset FROM tail('sub', 3) WHERE _timestamp < '2024-01-01 07:00+00' ORDER BY 1;
SUBSCRIBE sub (_offset) WHERE _key = 'k0' FROM LAST 3 ROWS UNTIL LATEST;
EXPLAIN (COSTS off) SUBSCRIBE sub (_offset) WHERE _key = 'k0' FROM LAST 3 ROWS UNTIL LATEST;
-- a token says where to go on
BEGIN;
DECLARE p CURSOR FOR SUBSCRIBE sub (_offset) FROM OFFSET 5 WITH (progress = true);
FETCH 1 FROM p \gset
\echo :_progress
FETCH 1 FROM p \gset
\echo :_progress :_offset
COMMIT;
SUBSCRIBE sub (_offset) FROM TOKEN :'_token' UNTIL LATEST;
-- errors
\set VERBOSITY verbose
SUBSCRIBE nothing UNTIL LATEST;
SUBSCRIBE sub (nothing) UNTIL LATEST;
SUBSCRIBE sub FROM OFFSET 99 UNTIL LATEST;
SUBSCRIBE sub FROM OFFSET -1 UNTIL LATEST;
SUBSCRIBE sub FROM TOKEN 'rubbish' UNTIL LATEST;
SELECT * FROM subscribe('sub', start => 'AaBb-cDdEe', stop => 'latest');
SUBSCRIBE sub FROM OFFSETS 'rubbish' UNTIL LATEST;
SUBSCRIBE sub UNTIL LATEST WITH (nothing = 1);
SUBSCRIBE sub GROUP 'g' UNTIL LATEST;
SUBSCRIBE sub FROM EARLIEST UNTIL LATEST LIMIT -1;
-- progress of a query and in FROM
CREATE TOPIC subp PARTITIONS 2;
INSERT INTO subp (_partition, _key, _value) VALUES (0, 'a', '1'), (0, 'b', '2'), (1, 'c', '3'), (0, 'd', '4');
SELECT _progress, _partition, _offset, _key FROM subscribe('subp', start => 'earliest', stop => 'latest', progress => true);
SELECT _progress, _key FROM subscribe('subp', start => 'earliest', stop => 'latest', progress => true) s WHERE _progress OR _key > 'b';
SELECT count(*) FROM subscribe('subp', start => 'earliest', stop => 'latest', progress => false);
BEGIN;
DECLARE p CURSOR FOR SUBSCRIBE (SELECT _key, _value::int * 2 AS twice FROM subp WHERE _value::int <> 2) FROM EARLIEST PARTITIONS (0) LIMIT 1 WITH (progress = true);
FETCH p \gset
\echo :_progress
FETCH p \gset
\echo :_progress :_key :twice
COMMIT;
SUBSCRIBE subp (_key) FROM TOKEN :'_token' UNTIL LATEST PARTITIONS (0);
SUBSCRIBE (SELECT _key FROM subp WHERE _key > 'a') FROM EARLIEST UNTIL LATEST PARTITIONS (1);
SUBSCRIBE (SELECT _key, count(*) FROM subp GROUP BY 1) UNTIL LATEST WITH (progress = true);
SUBSCRIBE (SELECT _key FROM subp LIMIT 1) UNTIL LATEST WITH (progress = true);
SUBSCRIBE (SELECT a._key FROM subp a, generate_series(1,2)) UNTIL LATEST WITH (progress = true);
SUBSCRIBE (SELECT _key, generate_series(1,2) FROM subp) UNTIL LATEST WITH (progress = true);
SUBSCRIBE (SELECT row_number() OVER () FROM subp) UNTIL LATEST WITH (progress = true);
SELECT * FROM subscribe('nope', progress => true);
SELECT * FROM subscribe('subp', progress => 5);
SUBSCRIBE subp (_offset) FROM LAST 1 UNTIL LATEST PARTITIONS (0);
SELECT count(*) FROM subscribe('subp', start => 'last 1', stop => 'latest') WHERE _partition = 0;
SELECT count(*) > 0 FROM subscribe('subp', start => 'last 1 hour', stop => 'latest');
SUBSCRIBE subp UNTIL LATEST PARTITIONS (0, 99);
SUBSCRIBE (SELECT _key FROM subp) UNTIL LATEST PARTITIONS (2-99);
SUBSCRIBE subp UNTIL LATEST WITH (nope = 1);
SUBSCRIBE subp UNTIL LATEST WITH (heartbeat);
SELECT _offset FROM subp EMIT CHANGES LIMIT 0;
DROP TOPIC subp;
DROP TOPIC sub, sub3;
-- times at the ends of what there is, and of what can be said
CREATE TOPIC edges PARTITIONS 2;
INSERT INTO edges (_partition, _value, _timestamp) VALUES (0, 'a', '2024-01-03 00:00+00'), (0, 'b', '2024-01-01 00:00+00'), (0, 'c', '2024-01-04 00:00+00'), (1, 'd', '2024-01-02 00:00+00'), (1, 'e', '1970-01-01 00:00+00'), (1, 'f', '2024-01-05 00:00+00');
INSERT INTO edges (_value, _timestamp) VALUES ('g', '294276-12-31 00:00+00');
SUBSCRIBE edges (_partition, _value) FROM TIMESTAMP 'infinity' UNTIL LATEST;
SELECT _partition, _value FROM subscribe('edges', start => 'last 170000000 years', stop => 'latest') ORDER BY 1, _offset;
SELECT count(*) FROM edges WHERE _timestamp >= 'infinity';
SELECT count(*) FROM edges WHERE _timestamp > '-infinity';
SELECT _partition, _value, _timestamp FROM subscribe('edges', start => 'last 2', stop => 'latest') ORDER BY 1, _offset;
SELECT _partition, _value FROM subscribe('edges', start => 'last 4', stop => 'latest') ORDER BY 1, _offset;
SELECT _partition, _value FROM subscribe('edges', start => 'last 5', stop => 'latest') ORDER BY 1, _offset;
DROP TOPIC edges;
CREATE TOPIC edges5 PARTITIONS 5;
INSERT INTO edges5 (_partition, _value, _timestamp) SELECT g % 5, g::text, timestamptz '2024-01-01 00:00+00' + (g * 7 % 40) * interval '1 hour' FROM generate_series(0, 39) g;
SELECT _partition, array_agg(_value ORDER BY _offset) FROM subscribe('edges5', start => 'last 3', stop => 'latest') GROUP BY 1 ORDER BY 1;
SELECT _partition, array_agg(_value ORDER BY _offset) FROM subscribe('edges5', start => 'last 9', stop => 'latest') GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM subscribe('edges5', start => 'last 0', stop => 'latest');
SELECT _partition, chosen FROM (SELECT _partition, count(*) AS chosen FROM (SELECT _partition FROM edges5 ORDER BY _timestamp DESC, _offset DESC, _partition LIMIT 9) AS newest GROUP BY 1) AS places ORDER BY 1;
DROP TOPIC edges5;
