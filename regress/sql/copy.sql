-- COPY
CREATE TOPIC cp PARTITIONS 1;
\set QUIET off
COPY cp (_key, _value) FROM STDIN;
k1	one
k2	tab\there and\\backslash
\N	no key
k4	\N
k5	
\.
COPY cp (_key, _value) FROM STDIN (FORMAT csv);
c1,"quoted, with ""quotes"" and
a new line"
c2,plain
,nokey
c4,
c5,""
\.
COPY cp (_key, _value) FROM STDIN (FORMAT csv, HEADER, DELIMITER ';', NULL 'nil', QUOTE '''');
key;value
d1;'a;b'
d2;nil
\.
COPY cp FROM STDIN (FORMAT json, KEY 'id');
{"id": "j1", "x": [1, 2]}
{"id": "j2", "x": null}
\.
COPY cp FROM STDIN (FORMAT raw);
raw line one\t not a tab
{"raw": "two"}
\.
COPY cp (_value, _headers, _timestamp) FROM STDIN;
full	{"h": "1"}	2024-05-06 07:08:09+00
\.
COPY (SELECT _offset, _key, _value FROM cp ORDER BY _offset) TO STDOUT;
COPY (SELECT _offset, _key, _value FROM cp ORDER BY _offset) TO STDOUT (FORMAT csv, HEADER);
COPY (SELECT _offset, _key, _value FROM cp WHERE _offset < 5 ORDER BY _offset) TO STDOUT (FORMAT csv, DELIMITER '|', NULL 'nil');
COPY cp TO STDOUT (FORMAT csv, FORCE_QUOTE *);
COPY (SELECT _offset, _key, _value FROM cp WHERE _offset IN (1, 3, 12) ORDER BY _offset) TO STDOUT (FORMAT json);
COPY (SELECT _value FROM cp WHERE _offset > 9 ORDER BY _offset) TO STDOUT (FORMAT raw);
COPY cp (_key, _value) TO STDOUT WITH (DELIMITER ',');
COPY (SELECT _headers, _timestamp FROM cp WHERE _value = 'full') TO STDOUT;
COPY (SUBSCRIBE cp (_value) FROM OFFSET 12 UNTIL LATEST) TO STDOUT;
COPY (VALUES (1, true, 1.50, '\x00ff'::bytea, ARRAY[1, NULL], NULL)) TO STDOUT;
COPY (VALUES (1, true, 1.50, '\x00ff'::bytea, ARRAY[1, NULL], NULL)) TO STDOUT CSV;
COPY (VALUES (1, true, 1.50, 'x "y"', ARRAY[1, NULL], '{"j": 1}'::jsonb)) TO STDOUT (FORMAT json);
\copy (SELECT _key FROM cp WHERE _offset < 2 ORDER BY _offset) TO STDOUT
-- errors
\set VERBOSITY verbose
COPY cp (_key, _value) FROM STDIN;
a	b
only one
c	d
\.
COPY cp (_key, _value) FROM STDIN;
a	b	c
\.
COPY cp (_key, _timestamp) FROM STDIN;
a	never
\.
COPY cp FROM STDIN (FORMAT json);
{"ok": 1}
{bad
\.
COPY cp (_key, _value) FROM STDIN (FORMAT csv);
a,"no end
\.
COPY cp FROM '/etc/passwd';
COPY cp TO PROGRAM 'cat';
COPY cp TO STDOUT (FORMAT xml);
COPY cp TO STDOUT (FORMAT csv, DELIMITER 'ab');
COPY cp TO STDOUT (FORMAT text, QUOTE '"');
COPY cp (_offset) FROM STDIN;
COPY nothing TO STDOUT;
COPY (SELECT 1 / 0) TO STDOUT;
SELECT count(*) FROM cp;
DROP TOPIC cp;
