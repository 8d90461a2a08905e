-- What drivers, ORMs and shells ask the catalog when they start or look around.
CREATE TOPIC tools PARTITIONS 1;
COMMENT ON TOPIC tools IS 'looked at';
-- which types are arrays, of what: by the function that receives them
SELECT t.typname, p.proname = 'array_recv' AS is_array, e.typname AS element
FROM pg_type t LEFT JOIN pg_proc p ON p.oid = t.typreceive
     LEFT JOIN pg_type e ON e.oid = t.typelem AND p.proname = 'array_recv'
WHERE t.typname IN ('int4', '_int4', 'jsonb', '_timestamptz', 'record') ORDER BY t.oid;
SELECT t.typname FROM pg_type t LEFT JOIN pg_range r ON r.rngtypid = t.oid
     LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE (c.relkind IS NULL OR c.relkind = 'c') AND t.typcategory = 'B' AND r.rngsubtype IS NULL ORDER BY 1;
-- functions, but for triggers
SELECT count(*) > 100 FROM pg_proc WHERE prorettype::regtype <> 'trigger'::regtype AND prokind = 'f';
SELECT 'event_trigger'::regtype, 2275::regtype, 'internal'::regtype::oid;
-- a relation and its columns
SELECT c.relname, c.relkind, obj_description(c.oid, 'pg_class'), pg_table_is_visible(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (current_schemas(false)) AND c.relname = 'tools';
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
       col_description(a.attrelid, a.attnum)
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = '"tools"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;
SELECT column_name, ordinal_position, is_nullable, data_type, udt_name, numeric_precision, numeric_scale,
       datetime_precision, identity_generation, generation_expression, is_updatable
FROM information_schema.columns WHERE table_name = 'tools' ORDER BY 2;
SELECT table_name, table_type, is_insertable_into FROM information_schema.tables WHERE table_name = 'tools';
-- keys, indexes, sequences, triggers, rules: there are none, and the question is understood
SELECT c.conname, ARRAY(SELECT attname FROM unnest(c.conkey) WITH ORDINALITY k(num, at)
     JOIN pg_attribute a ON a.attnum = k.num AND a.attrelid = c.conrelid ORDER BY k.at)
FROM pg_constraint c WHERE c.conrelid = 'tools'::regclass;
SELECT i.indexrelid, k.key, k.option FROM pg_index i, unnest(i.indkey, i.indoption) WITH ORDINALITY k(key, option, at)
WHERE i.indrelid = 'tools'::regclass;
SELECT pg_stat_get_numscans(i.indexrelid) FROM pg_index i;
SELECT conname FROM pg_constraint WHERE confrelid IN (SELECT pg_partition_ancestors('tools'));
SELECT count(*) FROM information_schema.triggers;
SELECT count(*) FROM information_schema.check_constraints;
SELECT count(*) FROM information_schema.domains;
SELECT count(*) FROM information_schema.element_types;
SELECT count(*) FROM information_schema.parameters;
SELECT count(*) FROM pg_sequences;
SELECT count(*) FROM pg_rules;
SELECT count(*) FROM pg_policies;
SELECT count(*) FROM pg_publication_tables;
SELECT count(*) FROM pg_available_extensions;
SELECT count(*) FROM pg_user_mappings;
SELECT count(*) FROM pg_stat_user_indexes;
SELECT relname, n_live_tup FROM pg_stat_all_tables WHERE relname = 'tools';
SELECT catalog_name, character_set_name FROM information_schema.information_schema_catalog_name,
     information_schema.character_sets;
SELECT usename, datname FROM pg_stat_activity WHERE pid = pg_backend_pid();
-- sizes: what the log holds
INSERT INTO tools (_value) VALUES (repeat('x', 1000));
SELECT pg_table_size('tools') > 1000, pg_relation_size('tools') = pg_total_relation_size('tools'), pg_indexes_size('tools');
SELECT pg_database_size(current_database()) >= pg_table_size('tools'), pg_table_size('pg_class'), pg_relation_size(0::oid);
SHOW timezone;
SHOW INTERVALSTYLE;
DROP TOPIC tools;
-- the session's own: prepared statements, cursors, settings, activity
PREPARE tools_p(int) AS SELECT $1 + 1 AS a, 'x'::text;
SELECT name, statement, parameter_types, result_types, from_sql, prepare_time <= now() FROM pg_prepared_statements;
DEALLOCATE tools_p;
BEGIN;
DECLARE tools_c CURSOR WITH HOLD FOR SELECT 1;
SELECT name, statement, is_holdable, is_binary, is_scrollable FROM pg_cursors;
SELECT state, xact_start IS NOT NULL AS in_transaction, query LIKE 'SELECT state%' AS this FROM pg_stat_activity WHERE pid = pg_backend_pid();
SELECT (SELECT count(*) FROM pg_cursors) AS cursors, EXISTS (SELECT 1 FROM pg_stat_activity) AS active, (SELECT count(*) FROM pg_prepared_statements) AS prepared;
COMMIT;
CLOSE tools_c;
SET work_mem = '7MB';
SET statement_timeout = '5s';
SELECT name, setting, unit, source, vartype, min_val, boot_val, reset_val FROM pg_settings WHERE name IN ('work_mem', 'statement_timeout') ORDER BY 1;
SELECT name, setting, enumvals FROM pg_settings WHERE name = 'transaction_isolation';
RESET ALL;
SELECT setting FROM pg_settings WHERE name = 'work_mem';
SELECT name, utc_offset FROM pg_timezone_names WHERE name IN ('Asia/Kolkata', 'UTC') ORDER BY 1;
SELECT datname, numbackends > 0 AS some FROM pg_stat_database;
SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid();
-- rights
CREATE TOPIC tools PARTITIONS 1;
SELECT has_table_privilege('tools', 'select, INSERT with grant option'), has_table_privilege('oxbow', 'tools'::regclass, 'DELETE'), has_table_privilege(0, 'SELECT');
SELECT has_table_privilege('nowhere', 'SELECT');
SELECT has_table_privilege('tools', 'LOOK');
SELECT has_any_column_privilege('tools', 'SELECT'), has_column_privilege('tools', '_key', 'SELECT');
SELECT has_schema_privilege('public', 'USAGE'), has_database_privilege('oxbow', 'CONNECT'), has_type_privilege('int4', 'USAGE'), has_parameter_privilege('work_mem', 'SET');
SELECT has_schema_privilege('nowhere', 'USAGE');
SELECT has_database_privilege('nowhere', 'CONNECT');
SELECT has_sequence_privilege('tools', 'USAGE');
SELECT grantee, privilege_type, is_grantable FROM information_schema.table_privileges WHERE table_name = 'tools' ORDER BY 2;
SELECT count(*) > 0 FROM information_schema.role_table_grants;
DROP TOPIC tools;
-- settings of the server as settings of a session are asked
SELECT current_setting('num_partitions'), current_setting('nothing.of.the.kind', true);
SELECT count(*) FROM pg_settings WHERE current_setting(name, true) IS NULL AND setting IS NOT NULL;
\dconfig num_part*
\dx
