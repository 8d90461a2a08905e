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
COPY (SELECT _offset, _key, _value FROM cp WHERE _offset IN (1, 3, 12) ORDER BY _offset) TO STDOUT (FORMAT json);
COPY (SELECT _value FROM cp WHERE _offset > 9 ORDER BY _offset) TO STDOUT (FORMAT raw);
COPY cp (_key, _value) TO STDOUT WITH (DELIMITER ',');
COPY (SELECT _headers, _timestamp FROM cp WHERE _value = 'full') TO STDOUT;
COPY (SUBSCRIBE cp (_value) FROM OFFSET 12 UNTIL LATEST) TO STDOUT;
COPY (VALUES (1, true, 1.50, '\x00ff'::bytea, ARRAY[1, NULL], NULL)) TO STDOUT;
COPY (VALUES (1, true, 1.50, '\x00ff'::bytea, ARRAY[1, NULL], NULL)) TO STDOUT CSV;
COPY (VALUES (1, true, 1.50, 'x "y"', ARRAY[1, NULL], '{"j": 1}'::jsonb)) TO STDOUT (FORMAT json);
\copy (SELECT _key FROM cp WHERE _offset < 2 ORDER BY _offset) TO STDOUT
-- PostgreSQL's other options, both ways
CREATE TOPIC cpo PARTITIONS 1;
COPY cpo (_key, _value) FROM STDIN WITH CSV HEADER;
k,v
a,"x ""q"" y"
b,
\.
COPY cpo (_key, _value) FROM STDIN (FORMAT csv, HEADER match);
_key,_value
d,1
\.
COPY cpo (_key, _value) FROM STDIN (FORMAT csv, FORCE_NULL (_value), FORCE_NOT_NULL (_key));
,""
\.
COPY cpo (_key, _value) FROM STDIN CSV FORCE NULL _value;
f,""
\.
COPY cpo (_key, _value) FROM STDIN (FORMAT csv) WHERE _key > 'b' AND _value <> '9';
a,1
c,2
d,9
\.
COPY cpo (_key, _timestamp) FROM STDIN (ON_ERROR ignore);
t1	2024-01-01 00:00Z
t2	never
t3	2024-01-02 00:00Z
\.
COPY cpo FROM STDIN (FORMAT json, KEY '$.user.name', ON_ERROR ignore);
{"user": {"name": "bob"}}
{"user": "x"}
{no
\.
COPY cpo FROM STDIN (FORMAT json, KEY 'user.name');
{"user": {"name": "ann"}, "user.name": "first"}
{"user": {"name": "eve"}}
\.
COPY cpo FROM STDIN (FORMAT raw);
raw line
\.
COPY cpo (_key, _value) TO STDOUT (FORMAT csv, FORCE_QUOTE *);
COPY cpo (_key, _value) TO STDOUT (FORMAT csv, FORCE_QUOTE (_key), NULL 'N', DELIMITER ';', QUOTE '''', ESCAPE '\');
COPY cpo (_key, _value) FROM STDIN (FORMAT csv, HEADER match);
k,v
d,1
\.
COPY cpo (_key, _value) FROM STDIN (FORMAT csv, HEADER match);
_key
d
\.
COPY cpo (_key, _value) FROM STDIN (ON_ERROR ignore);
a	b	c
\.
COPY cpo FROM STDIN (HEADER perhaps);
COPY cpo TO STDOUT (HEADER match);
COPY cpo TO STDOUT (FORMAT json, HEADER);
COPY cpo TO STDOUT (FORCE_QUOTE *);
COPY cpo FROM STDIN (FORMAT csv, FORCE_QUOTE *);
COPY cpo TO STDOUT (FORMAT csv, FORCE_NULL (_key));
COPY cpo (_key) TO STDOUT (FORMAT csv, FORCE_QUOTE (_value));
COPY cpo (_key) TO STDOUT (FORMAT csv, FORCE_QUOTE 'x');
COPY cpo TO STDOUT (ON_ERROR ignore);
COPY cpo FROM STDIN (ON_ERROR perhaps);
COPY cpo (_key) FROM STDIN WHERE _value = 'x';
COPY cpo (_key) FROM STDIN WHERE count(*) > 1;
DROP TOPIC cpo;

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
-- options that are wrong
CREATE TOPIC cpw PARTITIONS 1;
COPY (SELECT 1) FROM STDIN;
COPY (SUBSCRIBE cpw) FROM STDIN;
COPY cpw TO STDOUT (FORMAT nope);
COPY cpw TO STDOUT (FORMT csv);
COPY cpw TO STDOUT (FREEZE);
COPY cpw TO STDOUT (FORMAT csv, FORMAT text);
COPY cpw TO STDOUT (DELIMITER 'ab');
COPY cpw TO STDOUT (DELIMITER E'\n');
COPY cpw TO STDOUT (DELIMITER 'x');
COPY cpw TO STDOUT (NULL E'\n');
COPY cpw TO STDOUT (DELIMITER ',', NULL 'a,b');
COPY cpw TO STDOUT (FORMAT csv, QUOTE 'ab');
COPY cpw TO STDOUT (FORMAT csv, QUOTE ',');
COPY cpw TO STDOUT (FORMAT csv, NULL '""');
COPY cpw TO STDOUT (FORMAT text, QUOTE '"');
COPY cpw TO STDOUT (FORMAT binary, DELIMITER ',');
COPY cpw TO STDOUT (FORMAT binary, NULL 'x');
COPY cpw TO STDOUT (FORMAT binary, HEADER);
COPY cpw TO STDOUT (FORMAT json, DELIMITER ',');
COPY cpw TO STDOUT (ENCODING 'latin1');
COPY (SELECT 'a''b"c') TO STDOUT (FORMAT csv, QUOTE '''');
-- a delimiter that the texts of numbers and times hold is escaped there, too
COPY (SELECT -1, -1.5, -2.5::float8, timestamp '2020-01-02 03:04:05', time '01:02:03', date '2020-01-01',
    uuid '00000000-0000-0000-0000-000000000001', array[-1.5, 2], interval '1 day 02:03') TO STDOUT (DELIMITER '-');
COPY (SELECT -1, timestamp '2020-01-02 03:04:05', time '01:02:03', interval '1 day 02:03') TO STDOUT (DELIMITER ':');
COPY (SELECT timestamptz '2020-01-02 03:04:05+00', interval '1 day 02:03', -1) TO STDOUT (DELIMITER ' ');
COPY (SELECT array[1.5, 2], array['00000000-0000-0000-0000-000000000001'::uuid, null]) TO STDOUT (DELIMITER ',');
-- quoted nothing is null by the one, unquoted nothing is empty by the other
COPY cpw (_key, _value) FROM STDIN (FORMAT csv, FORCE_NULL (_key, _value), FORCE_NOT_NULL (_key));
"",""
,
x,x
\.
COPY (SELECT _key, _value FROM cpw ORDER BY _offset) TO STDOUT (NULL 'nil');
DROP TOPIC cpw;
