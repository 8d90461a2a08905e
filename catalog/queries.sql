-- Named statements. Each becomes a C function query_NAME(queries, arguments,
-- err), and one with a result calls a function for each row. Arguments bind in
-- order; int is int64_t, text and blob are struct str, where null is NULL.

-- The catalog

-- name state_get() -> (cluster_id text, incarnation blob, applied_index int, oid_next int, producer_id_next int)
SELECT cluster_id, incarnation, applied_index, oid_next, producer_id_next FROM meta_state;

-- name state_put(cluster_id text, incarnation blob, applied_index int, oid_next int, producer_id_next int)
INSERT OR REPLACE INTO meta_state VALUES (1, ?, ?, ?, ?, ?);

-- name state_advance(applied_index int, oid_next int, producer_id_next int)
UPDATE meta_state SET applied_index = ?, oid_next = ?, producer_id_next = ?;

-- name topics() -> (oid int, id blob, name text, internal int, created_ms int, created_index int, changed_index int, owner text, comment text)
SELECT oid, id, name, internal, created_ms, created_index, changed_index, owner, comment FROM topic ORDER BY oid;

-- name topic_insert(oid int, id blob, name text, internal int, created_ms int, created_index int, owner text, comment text)
INSERT INTO topic (oid, id, name, internal, created_ms, created_index, changed_index, owner, comment)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8);

-- name topic_touch(changed_index int, oid int)
UPDATE topic SET changed_index = ? WHERE oid = ?;

-- name topic_comment(comment text, changed_index int, oid int)
UPDATE topic SET comment = ?, changed_index = ? WHERE oid = ?;

-- name topic_delete(oid int)
DELETE FROM topic WHERE oid = ?;

-- name partitions() -> (topic_oid int, partition int, leader int, leader_epoch int, partition_epoch int, recovery int, replicas text, isr text, directories blob, log_start_min int)
SELECT topic_oid, partition, leader, leader_epoch, partition_epoch, recovery, replicas, isr, directories, log_start_min
FROM partition ORDER BY topic_oid, partition;

-- name partition_put(topic_oid int, partition int, leader int, leader_epoch int, partition_epoch int, recovery int, replicas text, isr text, directories blob, log_start_min int)
INSERT OR REPLACE INTO partition VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name partitions_delete(topic_oid int)
DELETE FROM partition WHERE topic_oid = ?;

-- name configs() -> (resource int, name text, key text, value text)
SELECT resource, name, key, value FROM config ORDER BY resource, name, key;

-- name config_put(resource int, name text, key text, value text)
INSERT OR REPLACE INTO config VALUES (?, ?, ?, ?);

-- name config_delete(resource int, name text, key text)
DELETE FROM config WHERE resource = ? AND name = ? AND key = ?;

-- name configs_delete(resource int, name text)
DELETE FROM config WHERE resource = ? AND name = ?;

-- name brokers() -> (node_id int, epoch int, incarnation blob, directory_id blob, rack text, fenced int, in_shutdown int, registered_ms int)
SELECT node_id, epoch, incarnation, directory_id, rack, fenced, in_shutdown, registered_ms FROM broker ORDER BY node_id;

-- name broker_put(node_id int, epoch int, incarnation blob, directory_id blob, rack text, fenced int, in_shutdown int, registered_ms int)
INSERT OR REPLACE INTO broker VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name listeners() -> (node_id int, name text, host text, port int, protocol int)
SELECT node_id, name, host, port, protocol FROM broker_listener ORDER BY node_id, position;

-- name listener_put(node_id int, position int, name text, host text, port int, protocol int)
INSERT OR REPLACE INTO broker_listener VALUES (?, ?, ?, ?, ?, ?);

-- name listeners_delete(node_id int)
DELETE FROM broker_listener WHERE node_id = ?;

-- name roles() -> (name text, flags int, valid_until_ms int, oid int)
SELECT name, flags, valid_until_ms, oid FROM role;

-- name role_put(name text, flags int, valid_until_ms int, oid int)
INSERT OR REPLACE INTO role VALUES (?, ?, ?, ?);

-- name role_delete(name text)
DELETE FROM role WHERE name = ?;

-- name scrams() -> (user text, mechanism int, iterations int, salt blob, stored_key blob, server_key blob)
SELECT user, mechanism, iterations, salt, stored_key, server_key FROM scram;

-- name scram_put(user text, mechanism int, iterations int, salt blob, stored_key blob, server_key blob)
INSERT OR REPLACE INTO scram VALUES (?, ?, ?, ?, ?, ?);

-- name scram_delete(user text, mechanism int)
DELETE FROM scram WHERE user = ? AND mechanism = ?;

-- name acls() -> (resource int, pattern int, name text, principal text, host text, operation int, permission int)
SELECT resource, pattern, name, principal, host, operation, permission FROM acl;

-- name acl_put(resource int, pattern int, name text, principal text, host text, operation int, permission int)
INSERT OR REPLACE INTO acl VALUES (?, ?, ?, ?, ?, ?, ?);

-- name acl_delete(resource int, pattern int, name text, principal text, host text, operation int, permission int)
DELETE FROM acl WHERE resource = ? AND pattern = ? AND name = ? AND principal = ? AND host = ? AND operation = ?
AND permission = ?;

-- name quotas() -> (user text, client_id text, ip text, key text, value real)
SELECT user, client_id, ip, key, value FROM quota;

-- name quota_put(user text, client_id text, ip text, key text, value real)
INSERT OR REPLACE INTO quota VALUES (?, ?, ?, ?, ?);

-- name quota_delete(user text, client_id text, ip text, key text)
DELETE FROM quota WHERE user = ? AND client_id = ? AND ip = ? AND key = ?;

-- name tokens() -> (id text, owner text, requester text, renewers text, issue_ms int, expiry_ms int, max_ms int)
SELECT id, owner, requester, renewers, issue_ms, expiry_ms, max_ms FROM token;

-- name token_put(id text, owner text, requester text, renewers text, issue_ms int, expiry_ms int, max_ms int)
INSERT OR REPLACE INTO token VALUES (?, ?, ?, ?, ?, ?, ?);

-- name token_delete(id text)
DELETE FROM token WHERE id = ?;

-- raft.db

-- name raft_identity() -> (format int, cluster_id text, node_id int, directory_id blob, incarnation blob)
SELECT format, cluster_id, node_id, directory_id, incarnation FROM identity;

-- name raft_identity_put(format int, cluster_id text, node_id int, directory_id blob, incarnation blob)
INSERT INTO identity VALUES (1, ?, ?, ?, ?, ?);

-- name raft_state() -> (term int, vote int)
SELECT term, vote FROM state;

-- name raft_state_put(term int, vote int)
INSERT OR REPLACE INTO state VALUES (1, ?, ?);

-- name raft_last() -> (idx int)
SELECT max(coalesce((SELECT max(idx) FROM entry), 0), coalesce((SELECT max(idx) FROM snapshot), 0));

-- name raft_entry_bounds() -> (first int, last int, bytes int)
SELECT coalesce(min(idx), 0), coalesce(max(idx), 0), coalesce(sum((length(data) + 7) / 8 * 8), 0) FROM entry;

-- name raft_entries() -> (idx int, term int, type int, crc int, data blob)
SELECT idx, term, type, crc, data FROM entry ORDER BY idx;

-- name raft_entry_put(idx int, term int, type int, crc int, data blob)
INSERT INTO entry VALUES (?, ?, ?, ?, ?);

-- name raft_entries_delete_from(idx int)
DELETE FROM entry WHERE idx >= ?;

-- name raft_entries_delete_to(idx int)
DELETE FROM entry WHERE idx <= ?;

-- name raft_snapshot() -> (idx int, term int, conf_idx int, conf blob, crc int, data blob)
SELECT idx, term, conf_idx, conf, crc, data FROM snapshot;

-- name raft_snapshot_put(idx int, term int, conf_idx int, conf blob, crc int, data blob)
INSERT OR REPLACE INTO snapshot VALUES (1, ?, ?, ?, ?, ?, ?);
