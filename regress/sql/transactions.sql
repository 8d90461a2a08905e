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
