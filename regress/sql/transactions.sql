-- Transactions
\set VERBOSITY verbose
CREATE TOPIC x PARTITIONS 1;
BEGIN;
INSERT INTO x (_value) VALUES ('in a block');
COMMIT;
SELECT _value FROM x;
BEGIN;
SELECT 1 / 0;
SELECT 1;
COMMIT;
SELECT 'after';
BEGIN;
SELECT nothing;
INSERT INTO x (_value) VALUES ('never');
ROLLBACK;
-- a second write in a block
BEGIN;
INSERT INTO x (_value) VALUES ('first');
INSERT INTO x (_value) VALUES ('second');
ROLLBACK;
-- read only
BEGIN READ ONLY;
INSERT INTO x (_value) VALUES ('never');
ROLLBACK;
-- topics in a block
BEGIN;
CREATE TOPIC x_block;
ROLLBACK;
-- words without a block
COMMIT;
ROLLBACK;
BEGIN;
BEGIN;
COMMIT;
START TRANSACTION ISOLATION LEVEL REPEATABLE READ;
SHOW transaction_isolation;
SELECT count(*) FROM x;
END;
SAVEPOINT s;
BEGIN;
SAVEPOINT s;
SELECT 1 / 0;
ROLLBACK TO SAVEPOINT s;
SELECT 'again';
RELEASE s;
RELEASE s;
ROLLBACK;
-- several statements in one message are one transaction
SELECT 1 \; SELECT 2;
INSERT INTO x (_value) VALUES ('m1') \; INSERT INTO x (_value) VALUES ('m2');
SELECT 1 \; SELECT 1 / 0 \; SELECT 3;
LOCK TABLE x;
SELECT _value FROM x ORDER BY _offset;
DROP TOPIC x;
-- what a message of several statements writes
CREATE TOPIC tx PARTITIONS 2;
INSERT INTO tx (_value) VALUES ('m1')\; SELECT 1/0\; INSERT INTO tx (_value) VALUES ('m2');
SELECT count(*) FROM tx;
INSERT INTO tx (_value) VALUES ('m1')\; INSERT INTO tx (_value) VALUES ('m2');
SELECT count(*) FROM tx;
INSERT INTO tx (_value) VALUES ('m1')\; SELECT 'ok';
SELECT count(*) FROM tx;
SELECT 'ok'\; INSERT INTO tx (_value) VALUES ('m2');
SELECT count(*) FROM tx;
INSERT INTO tx (_value) VALUES ('m3')\; COMMIT\; SELECT 1/0;
SELECT count(*) FROM tx;
INSERT INTO tx (_value) VALUES ('m4')\; BEGIN\; SELECT 1;
SELECT count(*) FROM tx;
COMMIT;
SELECT count(*) FROM tx;
INSERT INTO tx (_value) VALUES ('m5')\; BEGIN\; SELECT 1\; ROLLBACK;
SELECT count(*) FROM tx;
INSERT INTO tx (_value) VALUES ('m6')\; ROLLBACK\; SELECT 2;
SELECT count(*) FROM tx;
INSERT INTO tx (_value) VALUES ('m7')\; SET work_mem = '2MB'\; SHOW work_mem;
SELECT count(*) FROM tx;
INSERT INTO tx (_value) VALUES ('m8')\; CREATE TOPIC tx2;
SELECT count(*) FROM tx;
INSERT INTO tx (_value) VALUES ('m9')\; SELECT i FROM generate_series(1,3) i\; DROP TOPIC tx2;
SELECT count(*) FROM tx;
BEGIN; SAVEPOINT a; SAVEPOINT b; SAVEPOINT a; RELEASE a; ROLLBACK TO b; ROLLBACK TO a; RELEASE a; RELEASE b; ROLLBACK;
BEGIN; SAVEPOINT s; INSERT INTO tx (_value) VALUES ('x'); ROLLBACK TO s; INSERT INTO tx (_value) VALUES ('y'); COMMIT;
SELECT _value FROM tx WHERE _value IN ('x','y');
BEGIN; SAVEPOINT s; INSERT INTO tx (_value) VALUES ('z') RETURNING _value; ROLLBACK TO s; ROLLBACK;
INSERT INTO tx (_value) VALUES ('n1')\; COMMIT\; INSERT INTO tx (_value) VALUES ('n2')\; SELECT 1/0;
SELECT count(*) FROM tx WHERE _value LIKE 'n%';
DROP TOPIC tx;
