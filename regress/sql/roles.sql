-- Users, rights and quotas: the same that Kafka's requests make.

CREATE TOPIC roles_a;
CREATE ROLE roles_team;
CREATE USER roles_ann PASSWORD 'ann-secret' VALID UNTIL '2099-01-01 00:00:00+00';
CREATE ROLE roles_ben WITH LOGIN PASSWORD 'ben-secret';
SELECT name, login, superuser, mechanisms, valid_until FROM oxbow.users WHERE name LIKE 'roles_%' ORDER BY name;
SELECT rolname, rolsuper, rolcanlogin FROM pg_roles WHERE rolname LIKE 'roles_%' ORDER BY 1;
SELECT usename FROM pg_user WHERE usename LIKE 'roles_%' ORDER BY 1;
ALTER ROLE roles_team LOGIN;
ALTER USER roles_ann PASSWORD NULL;
ALTER USER roles_ben PASSWORD 'SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0$c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=:c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=';
SELECT name, login, mechanisms FROM oxbow.users WHERE name LIKE 'roles_%' ORDER BY name;

-- rights
GRANT SELECT, INSERT ON roles_a TO roles_ann;
GRANT READ ON TOPIC PREFIX 'roles_' TO roles_ann, roles_ben;
GRANT USAGE ON GROUP g1, g2 TO roles_ann;
GRANT ALL ON ALL TABLES IN SCHEMA public TO roles_team;
GRANT WRITE ON TRANSACTIONAL ID 'tx' TO roles_ben;
GRANT DESCRIBE, ALTER ON CLUSTER TO roles_team;
GRANT SELECT ON roles_a TO PUBLIC;
SELECT resource, pattern, name, principal, operation, permission FROM oxbow.acls ORDER BY 1, 2, 3, 4, 5;
REVOKE INSERT ON roles_a FROM roles_ann;
REVOKE ALL ON GROUP g1, g2 FROM roles_ann;
REVOKE ALL PRIVILEGES ON ALL TABLES IN SCHEMA public FROM roles_team;
REVOKE WRITE ON TRANSACTIONAL ID 'tx' FROM roles_ben;
REVOKE DESCRIBE, ALTER ON CLUSTER FROM roles_team;
REVOKE SELECT ON roles_a FROM PUBLIC;
REVOKE READ ON TOPIC PREFIX 'roles_' FROM roles_ann, roles_ben;
SELECT resource, name, principal, operation FROM oxbow.acls ORDER BY 1, 2, 3, 4;
REVOKE ALL ON roles_a FROM roles_ann;
SELECT count(*) FROM oxbow.acls;

-- quotas
ALTER ROLE roles_ann SET producer_byte_rate = 1000000 SET consumer_byte_rate TO 2000000;
ALTER QUOTA FOR USER roles_ann CLIENT 'app' SET request_percentage = 12.5;
ALTER QUOTA FOR USER DEFAULT SET controller_mutation_rate = 10, producer_byte_rate = 5000;
ALTER QUOTA FOR CLIENT DEFAULT SET consumer_byte_rate = 6000;
ALTER QUOTA FOR ADDRESS '10.1.2.3' SET connection_creation_rate = 20;
SELECT * FROM oxbow.quotas ORDER BY 1, 2, 3, 4;
SELECT rolconfig FROM pg_roles WHERE rolname = 'roles_ann';
ALTER ROLE roles_ann RESET producer_byte_rate RESET consumer_byte_rate;
ALTER QUOTA FOR USER roles_ann CLIENT 'app' RESET request_percentage;
ALTER QUOTA FOR USER DEFAULT RESET controller_mutation_rate, producer_byte_rate;
ALTER QUOTA FOR CLIENT DEFAULT RESET consumer_byte_rate;
ALTER QUOTA FOR ADDRESS '10.1.2.3' RESET connection_creation_rate;
SELECT count(*) FROM oxbow.quotas;

-- the super user that there is from the beginning
ALTER ROLE oxbow PASSWORD 'oxbow-secret';
SELECT rolname, rolsuper, rolcanlogin, oid FROM pg_roles WHERE rolname = 'oxbow';
SELECT name, mechanisms FROM oxbow.users WHERE name = 'oxbow';
ALTER ROLE oxbow PASSWORD NULL;
SELECT count(*) FROM oxbow.users WHERE name = 'oxbow';

-- wrong
\set VERBOSITY verbose
CREATE ROLE roles_team;
CREATE ROLE oxbow;
CREATE USER oxbow PASSWORD 'x';
ALTER ROLE oxbow NOLOGIN;
ALTER ROLE oxbow NOSUPERUSER;
DROP ROLE oxbow;
DROP ROLE IF EXISTS roles_team, oxbow;
\connect - roles_team
DROP ROLE roles_none, oxbow;
DROP ROLE oxbow;
\connect - oxbow
CREATE USER roles_new PASSWORD '';
CREATE USER roles_new PASSWORD;
CREATE USER roles_new FLY;
CREATE ROLE roles_new CREATEDB;
ALTER ROLE roles_none PASSWORD 'x';
DROP ROLE roles_none;
DROP ROLE IF EXISTS roles_none;
GRANT roles_team TO roles_ann;
GRANT FLY ON roles_a TO roles_ann;
GRANT WRITE ON GROUP g TO roles_ann;
GRANT SELECT ON roles_a TO roles_ann WITH GRANT OPTION;
GRANT SELECT ON TO roles_ann;
ALTER ROLE roles_ann SET producer_byte_rate = 0;
ALTER ROLE roles_ann SET producer_byte_rate = 1.5;
ALTER ROLE roles_ann SET work_mem = 5;
ALTER QUOTA FOR ADDRESS 'here' SET connection_creation_rate = 20;
ALTER QUOTA FOR ADDRESS '10.1.2.3' SET producer_byte_rate = 20;
ALTER QUOTA FOR ADDRESS '10.1.2.3' USER roles_ann SET connection_creation_rate = 20;
ALTER QUOTA FOR USER roles_ann;
\set VERBOSITY default

DROP USER roles_ann, roles_ben;
DROP ROLE roles_team;
SELECT count(*) FROM oxbow.users WHERE name LIKE 'roles_%';
DROP TOPIC roles_a;
