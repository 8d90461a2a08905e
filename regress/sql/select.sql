-- SELECT: conditions, order, limits
CREATE TOPIC s PARTITIONS 1;
INSERT INTO s (_key, _value, _timestamp) VALUES
    ('a', '{"n": 1, "city": "Ulm", "tags": ["x", "y"]}', '2024-01-01 00:00:00+00'),
    ('b', '{"n": 2, "city": "Jena"}', '2024-01-02 00:00:00+00'),
    ('a', '{"n": 3, "city": null}', '2024-01-03 00:00:00+00'),
    (NULL, 'not json', '2024-01-04 00:00:00+00'),
    ('c', NULL, '2024-01-05 00:00:00+00'),
    ('b', '{"n": 2.50, "city": "Ulm", "deep": {"er": [10, 20, {"x": true}]}}', '2024-01-06 00:00:00+00');
SELECT _partition, _offset, _timestamp, _key, _value, _headers FROM s ORDER BY _offset;
SELECT * FROM s WHERE _offset = 2;
SELECT s.* FROM s WHERE _key = 'a' ORDER BY _offset DESC;
SELECT x._offset AS o, x._key k FROM s x WHERE x._key IS NOT NULL ORDER BY k, o DESC;
SELECT _offset FROM s WHERE _key IS NULL;
SELECT _offset FROM s WHERE _value IS NULL;
SELECT _offset FROM s WHERE _key <> 'a' ORDER BY 1;
SELECT _offset FROM s WHERE _offset BETWEEN 1 AND 3 ORDER BY 1;
SELECT _offset FROM s WHERE _offset IN (0, 5, 99) ORDER BY 1;
SELECT _offset FROM s WHERE _timestamp >= '2024-01-03' AND _timestamp < '2024-01-05' ORDER BY 1;
SELECT _offset FROM s WHERE _timestamp BETWEEN '2024-01-02' AND '2024-01-03' ORDER BY 1;
SELECT _offset FROM s ORDER BY _offset DESC LIMIT 2;
SELECT _offset FROM s ORDER BY _offset LIMIT 2 OFFSET 3;
SELECT _offset FROM s ORDER BY _offset OFFSET 4;
SELECT _offset FROM s ORDER BY _offset FETCH FIRST 2 ROWS ONLY;
SELECT _key FROM s ORDER BY _key FETCH FIRST 1 ROW WITH TIES;
SELECT _key, _offset FROM s ORDER BY _key NULLS FIRST, _offset DESC;
SELECT _key, _offset FROM s ORDER BY _key DESC, _offset;
SELECT DISTINCT _key FROM s ORDER BY _key;
SELECT DISTINCT ON (_key) _key, _offset FROM s ORDER BY _key, _offset DESC;
SELECT _offset, _value ->> 'city' AS city, _value -> 'n' AS n FROM s ORDER BY _offset;
SELECT _offset, _value #>> '{deep,er,1}' AS v, _value -> 'deep' -> 'er' -> 2 ->> 'x' AS x FROM s WHERE _offset = 5;
SELECT _offset FROM s WHERE (_value ->> 'n')::numeric >= 2 ORDER BY 1;
SELECT _value ->> 'city' AS city, count(*) FROM s GROUP BY 1 ORDER BY 1;
SELECT count(*), count(_value), count(DISTINCT _key), min(_offset), max(_offset), min(_timestamp), max(_timestamp) FROM s;
SELECT _offset, _size, _tombstone, _topic, _timestamp_type, _compression FROM s ORDER BY _offset;
SELECT count(*) FROM s WHERE _offset > 100;
SELECT count(*) FROM s WHERE false;
SELECT 1 FROM s LIMIT 0;
SELECT _offset FROM s LIMIT NULL;
VALUES (1, 'a'), (2, NULL);
CREATE TOPIC s3 PARTITIONS 3;
INSERT INTO s3 (_partition, _value) SELECT g % 3, g::text FROM generate_series(0, 10) g;
SELECT _offset, _value FROM s3 ORDER BY _offset DESC, _partition LIMIT 4;
SELECT _offset FROM s3 ORDER BY _offset DESC LIMIT 4;
SELECT _offset FROM s3 ORDER BY _offset;
SELECT _partition, _offset, _value FROM s3 WHERE _partition IN (0, 2) AND _offset > 1 ORDER BY 1, 2;
SELECT count(*), max(_offset) FROM s3 WHERE _partition = 2;
SELECT DISTINCT ON (_partition) _partition, _value FROM s3 ORDER BY _partition, _offset DESC;
DROP TOPIC s3;
TABLE s LIMIT 1;
SELECT 1 AS "Big", 2 AS "with space", 3;
SELECT;
-- errors
\set VERBOSITY verbose
SELECT nothing FROM s;
SELECT x._key FROM s;
SELECT * FROM s, s;
SELECT _key FROM s ORDER BY 2;
SELECT _key FROM s LIMIT -1;
SELECT _key FROM s LIMIT 'a';
SELECT _key FROM s WHERE _key;
SELECT _key, count(*) FROM s;
SELECT no_such(1);
SELECT 1 +;
SELEC 1;
SELECT 'unfinished
;
'
;
SELECT "";
SELECT * FROM no_schema.s;
SELECT DISTINCT ON (_key) _offset FROM s ORDER BY _offset;
SELECT _offset FROM s WHERE _offset = 'x';
SELECT (_value ->> 'city')::int FROM s WHERE _offset = 0;
-- Set-returning functions side by side, and their fields.
SELECT generate_series(1, 3) AS a, generate_series(10, 11) AS b;
SELECT (jsonb_each('{"a": 1, "b": [2]}')).key, (jsonb_each('{"a": 1, "b": [2]}')).value;
SELECT (x).*, x FROM (SELECT jsonb_each_text('{"a": 1}') AS x) t;
SELECT (information_schema._pg_expandarray(ARRAY['p', 'q'])).n;
SELECT (x).nothing FROM (SELECT jsonb_each_text('{"a": 1}') AS x) t;
SELECT setting FROM pg_settings WHERE name = 'default_transaction_isolation';
SELECT catcode, catdesc FROM pg_get_keywords() WHERE word = 'select';
SELECT pg_cancel_backend(-1);
DROP TOPIC s;
