-- People, what they may, and how they come in; and what they are told.

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,                -- see access/rights.py
    address TEXT NOT NULL,             -- an email address; empty: none
    password TEXT NOT NULL,            -- argon2id in PHC form; empty: no sign-in by password
    issuer TEXT NOT NULL,              -- of the OpenID Connect provider; empty: not signed in that way
    subject TEXT NOT NULL,             -- how that provider calls them
    disabled BIGINT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    created_by TEXT NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    signed_in_at DOUBLE PRECISION
);
CREATE UNIQUE INDEX users_by_subject ON users (issuer, subject) WHERE subject <> '';

-- One-time addresses: the first administrator, an invitation, a password to be chosen anew.
CREATE TABLE invitations (
    hash BYTEA PRIMARY KEY,            -- SHA-256 of what the address carries
    user_id TEXT REFERENCES users (id),  -- NULL: whoever opens it becomes the first administrator
    expires_at DOUBLE PRECISION NOT NULL
);

CREATE TABLE sessions (
    hash BYTEA PRIMARY KEY,            -- SHA-256 of what the cookie carries
    user_id TEXT NOT NULL REFERENCES users (id),
    created_at DOUBLE PRECISION NOT NULL,
    seen_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    proved_at DOUBLE PRECISION NOT NULL,  -- when they last proved who they are: asked anew before what cannot be undone
    agent TEXT NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id);

CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY,
    hash BYTEA NOT NULL UNIQUE,        -- SHA-256 of the token
    user_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    verbs TEXT NOT NULL,               -- as JSON: never more than its user may
    created_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    used_at DOUBLE PRECISION,
    revoked_at DOUBLE PRECISION
);
CREATE INDEX api_tokens_of_user ON api_tokens (user_id);

-- Who may see and use a credential that is restricted; one that is not is everybody's whose role says so.
ALTER TABLE credentials ADD COLUMN restricted BIGINT NOT NULL DEFAULT 0;
CREATE TABLE grants (
    credential TEXT NOT NULL REFERENCES credentials (id),
    grantee TEXT NOT NULL,             -- user:ID, service:NAME or job:NAME, names in lower case
    granted_by TEXT NOT NULL,
    granted_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (credential, grantee)
);

-- The answers to requests that carried an Idempotency-Key: the same again is answered the same.
CREATE TABLE answers (
    key BYTEA PRIMARY KEY,             -- SHA-256 of who asked, and of their key
    request BYTEA NOT NULL,            -- SHA-256 of what was asked
    status BIGINT,                     -- NULL: it is being done
    body TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL
);
CREATE INDEX answers_old ON answers (at);

-- Whom the room tells what a person has to know, and what it has told.
CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    used_at DOUBLE PRECISION,          -- when something went over it last, or was to
    outcome TEXT NOT NULL DEFAULT '',  -- what came of that, as a sentence; empty: never used
    saved_by TEXT NOT NULL DEFAULT ''  -- who saved it last, by the id of their user; empty: an administrator
);
CREATE TABLE notices (
    cause TEXT PRIMARY KEY,            -- such as: source stuck orders-in
    said TEXT NOT NULL,
    since DOUBLE PRECISION NOT NULL,
    told_over TEXT NOT NULL,           -- the ways it went, as JSON
    over_at DOUBLE PRECISION           -- when it was over; NULL: it lasts
);

-- What one process of the fleet does for all of them, under a claim: see db/claims.py.
CREATE TABLE duties (
    id TEXT PRIMARY KEY,
    due_at DOUBLE PRECISION NOT NULL,
    owner TEXT,
    epoch BIGINT NOT NULL
);
CREATE INDEX duties_free ON duties (due_at) WHERE owner IS NULL;
CREATE INDEX duties_owned ON duties (owner, due_at) WHERE owner IS NOT NULL;
INSERT INTO duties (id, due_at, epoch) VALUES ('tell', 0, 0);

-- Of a version that was sealed anew: the first one that holds the same.
ALTER TABLE credential_versions ADD COLUMN holds BIGINT;

-- What a list of ten thousand credentials looks for: the clients of OAuth, and who trusts a certificate.
CREATE INDEX credentials_by_type ON credentials (type, name_key);
CREATE INDEX credential_versions_trusting ON credential_versions (credential, version)
    WHERE instr(plain, '"trust"') > 0;
