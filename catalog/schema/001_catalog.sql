-- The catalog: what the metadata log says, as tables. The meta thread is the
-- only writer; applied_index and the rows it accounts for commit together.
-- Lists of node ids are PostgreSQL array literals: {1,2,3}.

CREATE TABLE meta_state (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    cluster_id     TEXT NOT NULL,
    incarnation    BLOB NOT NULL,    -- of the log; a log begun anew has another
    applied_index  INTEGER NOT NULL,
    oid_next       INTEGER NOT NULL,
    producer_id_next INTEGER NOT NULL
);

CREATE TABLE topic (
    oid            INTEGER PRIMARY KEY,
    id             BLOB NOT NULL UNIQUE,
    name           TEXT NOT NULL UNIQUE,
    internal       INTEGER NOT NULL,
    created_ms     INTEGER NOT NULL,
    created_index  INTEGER NOT NULL,
    changed_index  INTEGER NOT NULL,
    owner          TEXT,
    comment        TEXT
);

CREATE TABLE partition (
    topic_oid       INTEGER NOT NULL,
    partition       INTEGER NOT NULL,
    leader          INTEGER NOT NULL,
    leader_epoch    INTEGER NOT NULL,
    partition_epoch INTEGER NOT NULL,
    recovery        INTEGER NOT NULL,
    replicas        TEXT NOT NULL,
    isr             TEXT NOT NULL,
    directories     BLOB NOT NULL,   -- 16 bytes a replica
    PRIMARY KEY (topic_oid, partition)
) WITHOUT ROWID;

CREATE TABLE config (
    resource       INTEGER NOT NULL, -- 2 topic, 4 broker, 16 client metrics, 32 group
    name           TEXT NOT NULL,
    key            TEXT NOT NULL,
    value          TEXT NOT NULL,
    PRIMARY KEY (resource, name, key)
) WITHOUT ROWID;

CREATE TABLE broker (
    node_id        INTEGER PRIMARY KEY,
    epoch          INTEGER NOT NULL,
    incarnation    BLOB NOT NULL,
    directory_id   BLOB NOT NULL,
    rack           TEXT,
    fenced         INTEGER NOT NULL,
    in_shutdown    INTEGER NOT NULL,
    registered_ms  INTEGER NOT NULL
);

CREATE TABLE broker_listener (
    node_id        INTEGER NOT NULL,
    position       INTEGER NOT NULL,
    name           TEXT NOT NULL,
    host           TEXT NOT NULL,
    port           INTEGER NOT NULL,
    protocol       INTEGER NOT NULL,
    PRIMARY KEY (node_id, position)
) WITHOUT ROWID;
