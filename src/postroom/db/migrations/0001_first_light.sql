-- First light: what a room holds.  One text for SQLite and PostgreSQL, in PostgreSQL's words for
-- types; migrate.py says what SQLite calls them (IDENTITY is an id that the database gives).
-- Instants are seconds since 1970; JSON is text; name_key is the name without regard to case.

CREATE TABLE room (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- ------------------------------------------------------------------ vault (sealed: all there is)
CREATE TABLE vault_keys (
    id TEXT PRIMARY KEY,
    term BIGINT NOT NULL UNIQUE,
    state TEXT NOT NULL,               -- active, retired
    created_at DOUBLE PRECISION NOT NULL
);
CREATE TABLE vault_key_wraps (
    vault_key TEXT NOT NULL REFERENCES vault_keys (id),
    kek TEXT NOT NULL,
    wrapped BYTEA NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (vault_key, kek)
);
CREATE TABLE keks (                    -- the key-encryption keys that open the room; never a key
    id TEXT PRIMARY KEY,
    source TEXT NOT NULL,              -- where it was when it was added
    created_at DOUBLE PRECISION NOT NULL,
    kit_at DOUBLE PRECISION            -- when its recovery kit was written; NULL: there is none
);
CREATE TABLE data_keys (
    id TEXT PRIMARY KEY,
    vault_key TEXT NOT NULL REFERENCES vault_keys (id),
    wrapped BYTEA NOT NULL,
    created_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX data_keys_by_vault_key ON data_keys (vault_key);
CREATE TABLE sealed (
    kind TEXT NOT NULL,                -- credential, hint, audit-key
    record TEXT NOT NULL,
    version BIGINT NOT NULL,
    field TEXT NOT NULL,
    data_key TEXT NOT NULL REFERENCES data_keys (id),
    blob BYTEA NOT NULL,
    PRIMARY KEY (kind, record, version, field)
);
CREATE INDEX sealed_by_data_key ON sealed (data_key);

-- ------------------------------------------------------------------ audit
CREATE TABLE audit (
    stream TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    noun TEXT NOT NULL,
    name TEXT NOT NULL,
    detail TEXT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (stream, seq)
);
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_name ON audit (noun, name, at);

-- ------------------------------------------------------------------ credentials and connections
CREATE TABLE credentials (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    description TEXT NOT NULL,
    expires_at TEXT,
    rotate_after TEXT,
    version BIGINT NOT NULL,           -- the current one; 0 until details are given
    created_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL
);
CREATE TABLE credential_versions (
    credential TEXT NOT NULL REFERENCES credentials (id),
    version BIGINT NOT NULL,
    plain TEXT NOT NULL,               -- JSON of the fields that are not sealed
    secrets TEXT NOT NULL,             -- JSON list of the names of the fields that are
    destinations TEXT NOT NULL,        -- JSON list of canonical lines, sorted
    typed_by TEXT NOT NULL,
    typed_at DOUBLE PRECISION NOT NULL,
    presented_at DOUBLE PRECISION,     -- last success; NULL until the first
    destroyed_at DOUBLE PRECISION,
    PRIMARY KEY (credential, version)
);
CREATE TABLE connections (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,                -- JSON of the declared fields
    created_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    used_at DOUBLE PRECISION,
    used_by TEXT
);
CREATE TABLE connection_events (
    id IDENTITY PRIMARY KEY,
    connection TEXT NOT NULL,          -- its name in lower case
    since DOUBLE PRECISION NOT NULL,
    at DOUBLE PRECISION NOT NULL,      -- the last of so many times
    times BIGINT NOT NULL,
    actor TEXT NOT NULL,
    side TEXT NOT NULL,                -- incoming, outgoing; empty for both
    event TEXT NOT NULL,               -- opened, signed in, failed, restarted
    step TEXT NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX connection_events_newest ON connection_events (connection, id);
CREATE TABLE variables (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL
);
CREATE TABLE allowed_environment (
    name TEXT PRIMARY KEY
);

-- ------------------------------------------------------------------ sources
CREATE TABLE sources (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    store TEXT NOT NULL,               -- names the mailbox in ledger keys; another mailbox, another store
    mailbox TEXT NOT NULL,             -- host and user of that mailbox; empty until the first collection
    state TEXT NOT NULL,               -- what it is doing, for people
    state_since DOUBLE PRECISION NOT NULL,
    note TEXT NOT NULL,                -- the last error, as a sentence; empty when all is well
    last_message_at DOUBLE PRECISION,
    failures BIGINT NOT NULL,
    successes BIGINT NOT NULL,
    failed_at DOUBLE PRECISION,
    due_at DOUBLE PRECISION NOT NULL,
    owner TEXT,                        -- the claim: see db/claims.py
    epoch BIGINT NOT NULL
);
CREATE INDEX sources_due ON sources (due_at);
CREATE TABLE cursors (
    source TEXT NOT NULL REFERENCES sources (id),
    store TEXT NOT NULL,
    folder TEXT NOT NULL,
    uidvalidity BIGINT NOT NULL,       -- 0 where the wire has none
    cursor TEXT NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    swept_at DOUBLE PRECISION NOT NULL, -- when it was last asked which messages are still there
    swept_to BIGINT NOT NULL,          -- the ledger id it came to; 0: through
    PRIMARY KEY (source, store, folder)
);
CREATE TABLE ledger (
    id IDENTITY PRIMARY KEY,
    source TEXT NOT NULL REFERENCES sources (id),
    store TEXT NOT NULL,
    folder TEXT NOT NULL,
    message TEXT NOT NULL,             -- the wire's own key in that folder
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    size BIGINT NOT NULL,
    received_at DOUBLE PRECISION,
    subject TEXT NOT NULL,
    sender TEXT NOT NULL,
    message_id TEXT NOT NULL,
    sha256 BYTEA,
    delivered_to TEXT NOT NULL,
    after_due TEXT NOT NULL,           -- done, error or ignored: the action on the server still to do
    due_at DOUBLE PRECISION NOT NULL,  -- not read before
    retries BIGINT NOT NULL,           -- how often the sink has refused it and it was tried again
    gone_at DOUBLE PRECISION,          -- since when it is known to be no longer in the folder
    first_seen_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    UNIQUE (source, store, folder, message)
);
CREATE INDEX ledger_open ON ledger (source, state, id);
CREATE INDEX ledger_after ON ledger (source, after_due) WHERE after_due <> '';
CREATE INDEX ledger_gone ON ledger (source, received_at) WHERE gone_at IS NOT NULL;
CREATE INDEX ledger_forget ON ledger (gone_at) WHERE gone_at IS NOT NULL;

-- ------------------------------------------------------------------ services and the outbox
CREATE TABLE services (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    held BIGINT NOT NULL               -- 1: an operator holds the whole queue
);
CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    service TEXT NOT NULL,             -- name of the service, or credential:NAME for an implicit one
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    message_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    sender TEXT NOT NULL,              -- MAIL FROM
    size BIGINT NOT NULL,
    utf8 BIGINT NOT NULL,
    idempotency_key TEXT,
    digest BYTEA NOT NULL,             -- of the request, to tell a repeat from a conflict
    attempts BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    queued_at DOUBLE PRECISION NOT NULL, -- when it was last put into the queue: giving up counts from here
    updated_at DOUBLE PRECISION NOT NULL,
    finished_at DOUBLE PRECISION,
    due_at DOUBLE PRECISION NOT NULL,
    owner TEXT,                        -- the claim: see db/claims.py
    epoch BIGINT NOT NULL
);
-- what is not finished, in the order it is claimed, and counted for a service's queue size
CREATE INDEX outbox_due ON outbox (due_at, id) WHERE finished_at IS NULL;
CREATE INDEX outbox_waiting ON outbox (service, finished_at) WHERE finished_at IS NULL;
CREATE INDEX outbox_by_service ON outbox (service, created_at);
CREATE UNIQUE INDEX outbox_by_key ON outbox (service, idempotency_key);
CREATE TABLE outbox_recipients (
    item TEXT NOT NULL REFERENCES outbox (id),
    position BIGINT NOT NULL,
    address TEXT NOT NULL,
    state TEXT NOT NULL,
    code BIGINT NOT NULL,
    enhanced TEXT NOT NULL,
    reply TEXT NOT NULL,
    PRIMARY KEY (item, position)
);
CREATE TABLE outbox_attempts (
    item TEXT NOT NULL REFERENCES outbox (id),
    attempt BIGINT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    outcome TEXT NOT NULL,
    said TEXT NOT NULL,
    PRIMARY KEY (item, attempt)
);
CREATE TABLE outbox_content (
    item TEXT PRIMARY KEY REFERENCES outbox (id),
    content BYTEA NOT NULL
);

CREATE TABLE sent_copies (               -- copies for the Sent folder, of messages that were sent
    id TEXT PRIMARY KEY REFERENCES outbox (id),
    service TEXT NOT NULL,
    state TEXT NOT NULL,               -- waiting, kept, failed, none
    said TEXT NOT NULL,                -- why it failed or waits
    attempts BIGINT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    due_at DOUBLE PRECISION NOT NULL,
    owner TEXT,                        -- the claim: see db/claims.py
    epoch BIGINT NOT NULL
);
CREATE INDEX sent_copies_due ON sent_copies (due_at, id) WHERE state = 'waiting';

-- ------------------------------------------------------------------ the fleet
CREATE TABLE workers (
    owner TEXT PRIMARY KEY,
    pid BIGINT NOT NULL,
    host TEXT NOT NULL,
    kek TEXT NOT NULL DEFAULT '',      -- the id of the key it opened the room with
    started_at DOUBLE PRECISION NOT NULL,
    heartbeat_at DOUBLE PRECISION NOT NULL
);
CREATE TABLE limits (
    name TEXT PRIMARY KEY,
    tokens DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL
);
