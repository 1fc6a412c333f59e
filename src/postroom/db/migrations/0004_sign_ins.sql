-- Sign-ins at authorization servers, and what came of them.  The tokens themselves lie in sealed.

CREATE TABLE sign_ins (
    id TEXT PRIMARY KEY,               -- of the grant: authority, client, account
    authority TEXT NOT NULL,
    client_id TEXT NOT NULL,
    account TEXT NOT NULL,             -- who is to sign in; empty: the client itself, or whoever comes
    flow TEXT NOT NULL,
    identity TEXT NOT NULL,            -- who did, as the server named it; empty: it did not say
    state TEXT NOT NULL,               -- waiting, signed in, sign-in required
    note TEXT NOT NULL,                -- the last failure, as a sentence; empty when all is well
    proof TEXT NOT NULL,               -- which of the client's secrets worked last, by its label
    version BIGINT NOT NULL,           -- of the refresh token; 0: there was never one
    destinations TEXT NOT NULL,        -- JSON list of canonical lines, sorted: where its tokens may go
    signed_in_at DOUBLE PRECISION,
    signed_in_by TEXT NOT NULL,
    refreshed_at DOUBLE PRECISION,     -- when a token came last
    failures BIGINT NOT NULL,
    due_at DOUBLE PRECISION NOT NULL,  -- when a token is to be fetched, or fetching it tried again
    owner TEXT,                        -- the claim: see db/claims.py
    epoch BIGINT NOT NULL
);
CREATE INDEX sign_ins_free ON sign_ins (due_at) WHERE owner IS NULL;
CREATE TABLE access_tokens (
    sign_in TEXT NOT NULL REFERENCES sign_ins (id),
    scopes TEXT NOT NULL,              -- as they were asked for, separated by spaces
    version BIGINT NOT NULL,
    granted TEXT NOT NULL,             -- what the server gave; empty: it did not say
    destinations TEXT NOT NULL,
    obtained_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (sign_in, scopes)
);
CREATE TABLE authorities (             -- what discovery found, pinned
    authority TEXT NOT NULL,
    way TEXT NOT NULL,                 -- the line it was asked by: trust and proxy
    endpoints TEXT NOT NULL,           -- JSON
    discovered_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (authority, way)
);
