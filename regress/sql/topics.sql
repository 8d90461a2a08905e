-- Topics: made, changed, emptied, described, removed
\set VERBOSITY verbose
CREATE TOPIC t_one PARTITIONS 3 RETAIN FOR INTERVAL '7 days';
CREATE TOPIC t_one PARTITIONS 3;
CREATE TOPIC IF NOT EXISTS t_one;
CREATE TOPIC "t.two-dashes" WITH (cleanup.policy = 'compact', retention.bytes = 1000000);
SELECT name, partitions, cleanup_policy FROM oxbow.topics WHERE name LIKE 't%' ORDER BY name;
SELECT count(*) FROM t_one;
SELECT count(*) FROM "t.two-dashes";
SELECT count(*) FROM t_three;
-- names and numbers that are not valid
CREATE TOPIC "has space";
CREATE TOPIC "..";
CREATE TOPIC t_zero PARTITIONS 0;
CREATE TOPIC t_minus PARTITIONS -1;
CREATE TOPIC t_many REPLICAS 3;
CREATE TOPIC t_bad WITH (no.such.setting = 1);
CREATE TOPIC t_bad WITH (cleanup.policy = 'sometimes');
CREATE TOPIC t_bad WITH (retention.ms = 'soon');
CREATE TOPIC t_typed (id int8, name text);
CREATE TABLE t_table (id int8 PRIMARY KEY);
-- ALTER
ALTER TOPIC t_one ADD PARTITIONS 2;
ALTER TOPIC t_one ADD PARTITIONS 2147483647;
SELECT partitions FROM oxbow.topics WHERE name = 't_one';
ALTER TOPIC t_one SET PARTITIONS 6;
ALTER TOPIC t_one SET PARTITIONS 2;
ALTER TOPIC t_one RETAIN FOR INTERVAL '1 microsecond';
SELECT value FROM oxbow.configs WHERE object = 't_one' AND name = 'retention.ms';
ALTER TOPIC t_one RETAIN FOR INTERVAL '1 day' ;
ALTER TOPIC t_one SET (segment.bytes = 16777216, max.message.bytes = 2000);
ALTER TOPIC t_one SET (segment.bytes = 'big');
ALTER TOPIC t_one SET (no.such.setting = 1);
ALTER TOPIC t_none ADD PARTITIONS 1;
ALTER TOPIC IF EXISTS t_none ADD PARTITIONS 1;
SELECT partitions FROM oxbow.topics WHERE name = 't_one';
INSERT INTO t_one (_value) VALUES (repeat('x', 3000));
ALTER TOPIC t_one RESET (max.message.bytes);
INSERT INTO t_one (_key, _value) VALUES ('k', repeat('x', 3000));
SELECT length(_value) FROM t_one;
-- COMMENT, DESCRIBE
COMMENT ON TOPIC t_one IS 'it''s the first';
DESCRIBE t_one;
DESCRIBE TOPIC "t.two-dashes";
DESCRIBE t_none;
COMMENT ON TOPIC t_one IS NULL;
COMMENT ON TOPIC t_none IS 'x';
-- TRUNCATE keeps offsets
TRUNCATE t_one;
SELECT count(*) FROM t_one;
INSERT INTO t_one (_key, _value) VALUES ('k', 'after') RETURNING _offset;
TRUNCATE TOPIC t_none;

-- all of them or none
CREATE TOPIC t_few PARTITIONS 3;
CREATE TOPIC t_keys PARTITIONS 2 WITH (cleanup_policy = 'compact');
INSERT INTO t_few (_partition, _value) VALUES (0, 'a'), (1, 'b'), (1, 'c'), (2, 'd');
INSERT INTO t_keys (_key, _value) VALUES ('k', 'v');
TRUNCATE t_few, t_keys;
TRUNCATE t_few, t_none;
SELECT count(*) FROM t_few;
TRUNCATE t_few, t_few;
SELECT count(*) FROM t_few;
INSERT INTO t_few (_partition, _value) VALUES (0, 'e'), (1, 'f'), (2, 'g') RETURNING _partition, _offset;
DELETE FROM t_keys;
DROP TOPIC t_few, t_keys;
-- DROP
DROP TOPIC t_one, "t.two-dashes";
DROP TOPIC t_one;
DROP TOPIC IF EXISTS t_one;
SELECT name FROM oxbow.topics WHERE name LIKE 't%';
-- DELETE takes away the beginning of partitions
CREATE TOPIC del PARTITIONS 2;
INSERT INTO del (_value, _partition) SELECT g::text, g % 2 FROM generate_series(0, 19) g;
DELETE FROM del WHERE _partition = 0 AND _offset < 3;
DELETE FROM del WHERE _partition = 0 AND _offset < 3;
SELECT _partition, count(*), min(_offset) FROM del GROUP BY 1 ORDER BY 1;
DELETE FROM del WHERE _offset <= 4;
SELECT _partition, count(*), min(_offset) FROM del GROUP BY 1 ORDER BY 1;
DELETE FROM del WHERE _partition = 9;
DELETE FROM del WHERE _offset < NULL;
DELETE FROM del WHERE _partition = 0 AND _partition = 1;
DELETE FROM del WHERE _partition = -9223372036854775808;
DELETE FROM del WHERE _offset < 2 + 4 AND 1 > _partition;
DELETE FROM del WHERE _key = 'a';
DELETE FROM del WHERE _offset > 3;
DELETE FROM del WHERE _offset < 'x';
-- not rounded to other records
DELETE FROM del WHERE _offset <= 5.6;
DELETE FROM del WHERE _partition = 0.6;
DELETE FROM del WHERE _offset < 5.0;
DELETE FROM nothing;
CREATE TOPIC twice;
TRUNCATE twice, twice;
DROP TOPIC twice, twice;
DROP TOPIC twice;
BEGIN READ ONLY;
DELETE FROM del;
ROLLBACK;
DELETE FROM del WHERE _partition = 1 AND _offset < 100;
DELETE FROM del;
SELECT count(*) FROM del;
DROP TOPIC del;
-- counts from headers, when the log begins inside of a batch
CREATE TOPIC inside PARTITIONS 1;
INSERT INTO inside (_value) SELECT g::text FROM generate_series(0, 9) g;
INSERT INTO inside (_value) SELECT g::text FROM generate_series(10, 19) g;
DELETE FROM inside WHERE _offset < 4;
SELECT count(*), min(_offset), max(_offset) FROM inside;
SELECT count(*) FROM inside WHERE _offset < 6;
SELECT count(*), min(_offset), max(_offset) FROM inside WHERE _offset BETWEEN 3 AND 12;
SELECT count(_value), min(_offset), max(_offset) FROM inside;
DELETE FROM inside WHERE _offset < 10;
SELECT count(*), min(_offset) FROM inside;
DELETE FROM inside WHERE _offset <= 18;
SELECT count(*), min(_offset), max(_offset) FROM inside;
DROP TOPIC inside;
