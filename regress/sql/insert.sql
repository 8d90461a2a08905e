-- INSERT and what it returns
CREATE TOPIC i_one PARTITIONS 1;
CREATE TOPIC i_four PARTITIONS 4;
INSERT INTO i_one (_key, _value) VALUES ('a', '1'), ('b', '2') RETURNING _partition, _offset, _key, _value;
INSERT INTO i_one (_value) VALUES ('no key') RETURNING *, _topic, _size, _tombstone \gset
\echo :_offset :_value :_topic :_size :_tombstone
INSERT INTO i_one VALUES ('value alone') RETURNING _offset, _key, _value;
INSERT INTO i_one VALUES ('k', 'v') RETURNING _offset, _key, _value;
INSERT INTO i_one (_key, _value) VALUES ('dead', NULL) RETURNING _offset, _tombstone;
INSERT INTO i_one (_key, _value, _headers, _timestamp) VALUES
    ('h', 'x', '{"a": "1", "b": "2"}', '2024-02-29 12:00:00+00'),
    ('h', 'y', '[{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]', '2024-02-29 12:00:00.123+00')
    RETURNING _offset, _headers, _timestamp;
INSERT INTO i_one (_key, _value) SELECT 'n' || g, g::text FROM generate_series(1, 5) g RETURNING _offset, _key;
INSERT INTO i_one (_key_bytes, _value_bytes) VALUES ('\x00ff', '\xdeadbeef') RETURNING _key, _value, _value_bytes;
INSERT INTO i_one (_key, _value) SELECT _key, upper(_value) FROM i_one WHERE _key IN ('a', 'k') ORDER BY _offset RETURNING _value;
SELECT _offset, _key, _value, _tombstone FROM i_one ORDER BY _offset;
SELECT max(_offset), count(*), count(_value) FROM i_one;
-- the partitions that a Java client picks
INSERT INTO i_four (_key, _value) SELECT 'key-' || g, g::text FROM generate_series(0, 9) g;
SELECT _partition, array_agg(_key ORDER BY _key) FROM i_four GROUP BY 1 ORDER BY 1;
INSERT INTO i_four (_key, _value, _partition) VALUES ('key-0', 'put', 3) RETURNING _partition;
INSERT INTO i_four (_value, _partition) VALUES ('x', 4);
INSERT INTO i_four (_value, _partition) VALUES ('x', -1);
-- errors
\set VERBOSITY verbose
INSERT INTO i_none (_value) VALUES ('x');
INSERT INTO i_one (_offset) VALUES (1);
INSERT INTO i_one (nothing) VALUES (1);
INSERT INTO i_one (_key, _value) VALUES ('a');
INSERT INTO i_one (_key) VALUES ('a', 'b');
INSERT INTO i_one (_key, _key) VALUES ('a', 'b');
INSERT INTO i_one (_value, _timestamp) VALUES ('a', 'never');
INSERT INTO i_one (_value) VALUES ('a') ON CONFLICT DO NOTHING;
INSERT INTO i_one (_value, _headers) VALUES ('a', '3');
INSERT INTO i_one (_value) SELECT (1 / (g - 2))::text FROM generate_series(1, 3) g;
UPDATE i_one SET _value = 'x';
SELECT count(*) FROM i_one;
DROP TOPIC i_one, i_four;
