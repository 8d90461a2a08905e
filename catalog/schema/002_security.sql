-- Who may log in, what they may do, how much they may use.

CREATE TABLE role (
    name           TEXT PRIMARY KEY,
    flags          INTEGER NOT NULL, -- 1 may log in, 2 super user
    valid_until_ms INTEGER NOT NULL, -- of its passwords; -1 for ever
    oid            INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE scram (
    user           TEXT NOT NULL,
    mechanism      INTEGER NOT NULL, -- 1 SHA-256, 2 SHA-512
    iterations     INTEGER NOT NULL,
    salt           BLOB NOT NULL,
    stored_key     BLOB NOT NULL,
    server_key     BLOB NOT NULL,
    PRIMARY KEY (user, mechanism)
) WITHOUT ROWID;

CREATE TABLE acl (                   -- numbers as on Kafka's wire
    resource       INTEGER NOT NULL,
    pattern        INTEGER NOT NULL,
    name           TEXT NOT NULL,
    principal      TEXT NOT NULL,
    host           TEXT NOT NULL,
    operation      INTEGER NOT NULL,
    permission     INTEGER NOT NULL,
    PRIMARY KEY (resource, pattern, name, principal, host, operation, permission)
) WITHOUT ROWID;

CREATE TABLE quota (                 -- '-': not part of the entity; '=' the default
    user           TEXT NOT NULL,    -- '=name' otherwise
    client_id      TEXT NOT NULL,
    ip             TEXT NOT NULL,
    key            TEXT NOT NULL,
    value          REAL NOT NULL,
    PRIMARY KEY (user, client_id, ip, key)
) WITHOUT ROWID;

CREATE TABLE token (
    id             TEXT PRIMARY KEY,
    owner          TEXT NOT NULL,
    requester      TEXT NOT NULL,
    renewers       TEXT NOT NULL,    -- principals, a line each
    issue_ms       INTEGER NOT NULL,
    expiry_ms      INTEGER NOT NULL,
    max_ms         INTEGER NOT NULL
) WITHOUT ROWID;
