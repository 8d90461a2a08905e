-- raft.db: the durable part of consensus. Every table is written before
-- anything that depends on it is promised.

CREATE TABLE identity (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    format         INTEGER NOT NULL,
    cluster_id     TEXT NOT NULL,
    node_id        INTEGER NOT NULL,
    directory_id   BLOB NOT NULL,
    incarnation    BLOB NOT NULL
);

CREATE TABLE state (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    term           INTEGER NOT NULL,
    vote           INTEGER NOT NULL
);

CREATE TABLE entry (
    idx            INTEGER PRIMARY KEY,
    term           INTEGER NOT NULL,
    type           INTEGER NOT NULL,
    crc            INTEGER NOT NULL, -- CRC-32C of index, term, type and data
    data           BLOB NOT NULL
);

CREATE TABLE snapshot (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    idx            INTEGER NOT NULL,
    term           INTEGER NOT NULL,
    conf_idx       INTEGER NOT NULL,
    conf           BLOB NOT NULL,
    crc            INTEGER NOT NULL,
    data           BLOB NOT NULL
);
