TABLE t;
VALUES (1, 2), (3, DEFAULT);
SELECT E'a\
\u00e9\x41', $$ it's $$, $tag$ $$ $tag$, B'101', X'1F', U&'\0061', 'a'
 'b', 1e10, .5, 1_000, 0x1F, 1., $1;
SELECT c.relname OPERATOR(pg_catalog.~) '^(t)$' COLLATE pg_catalog.default FROM pg_catalog.pg_class c WHERE c.oid = 'x'::pg_catalog.regclass AND c.relkind IN ('r','p','');
SELECT a -> 'b' ->> 'c' = 'd', a @> b, a #>> '{x}', a || b, ~ 5, - a, + 1, @ -5, a<-1, a!=b, 5-1, a<@b;
SELECT /* nested /* comment */ here */ 1 -- end
INSERT INTO t VALUES (1), (2) RETURNING *;
INSERT INTO t AS x (a, b) SELECT 1, 2;
INSERT INTO t DEFAULT VALUES;
INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING;
COPY t FROM STDIN;
COPY t (a, b) FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER ',', NULL 'x', FORCE_NULL (a), FORCE_QUOTE *);
COPY t TO STDOUT CSV HEADER DELIMITER AS ';' FORCE QUOTE a, b;
COPY (SELECT 1) TO STDOUT (FORMAT binary);
COPY t FROM STDIN BINARY;
COPY t FROM '/etc/passwd';
