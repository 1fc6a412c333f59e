-- Jobs: what is done with stored credentials and mail, and every execution of it.

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    held BIGINT NOT NULL,              -- 1: an operator holds it; its schedule passes by, nothing begins
    next_at DOUBLE PRECISION,          -- when its schedule is due; NULL: it has none
    kept TEXT NOT NULL                 -- what it keeps between runs, as JSON
);
CREATE INDEX jobs_due ON jobs (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE runs (
    id TEXT PRIMARY KEY,               -- ids sort as they were made
    job TEXT NOT NULL,                 -- the name: a run outlives its job
    job_key TEXT NOT NULL,
    state TEXT NOT NULL,               -- see jobs/states.py
    reason TEXT NOT NULL,
    cause TEXT NOT NULL,               -- manual, schedule, message, job
    parameters TEXT NOT NULL,          -- as JSON; none is secret
    above TEXT,                        -- the run that asked for it
    depth BIGINT NOT NULL,             -- how many stand above it
    attempts BIGINT NOT NULL,          -- how often it was begun
    killed BIGINT NOT NULL,            -- how often its worker was gone while it ran
    created_by TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    started_at DOUBLE PRECISION,       -- of its last attempt
    finished_at DOUBLE PRECISION,
    result TEXT NOT NULL,              -- as JSON; empty: none
    error TEXT NOT NULL,               -- the code of what it failed for; empty: it did not
    cancelled_by TEXT NOT NULL,        -- who wants it to end
    due_at DOUBLE PRECISION NOT NULL,
    owner TEXT,                        -- the claim: see db/claims.py
    epoch BIGINT NOT NULL
);
CREATE INDEX runs_free ON runs (due_at, id) WHERE owner IS NULL AND finished_at IS NULL;
CREATE INDEX runs_owned ON runs (owner, due_at, id) WHERE owner IS NOT NULL;
CREATE INDEX runs_open ON runs (job_key, state, id) WHERE finished_at IS NULL;
CREATE INDEX runs_of_job ON runs (job_key, id);
CREATE INDEX runs_finished ON runs (finished_at) WHERE finished_at IS NOT NULL;
CREATE TABLE run_log (
    run TEXT NOT NULL REFERENCES runs (id),
    line BIGINT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    level TEXT NOT NULL,               -- info, warning, error; output is what a program wrote
    said TEXT NOT NULL,
    PRIMARY KEY (run, line)
);
CREATE TABLE run_messages (
    run TEXT PRIMARY KEY REFERENCES runs (id),
    ledger BIGINT NOT NULL,            -- the id of the message in the ledger
    facts TEXT NOT NULL,               -- what its source knows of it, as JSON
    content BYTEA                      -- NULL: removed, some days after the run was over
);

-- A message that a run sends is held under it, and let go or cancelled in the transaction that settles
-- the run.
ALTER TABLE outbox ADD COLUMN run TEXT;
CREATE INDEX outbox_of_run ON outbox (run) WHERE run IS NOT NULL AND finished_at IS NULL;

-- Whom a machine has answered: not more often than its job says.
CREATE TABLE answered (
    mailbox TEXT NOT NULL,             -- whose answer it was
    sender BYTEA NOT NULL,             -- a hash of the address that was answered
    item TEXT NOT NULL,                -- the answer in the outbox: one that was cancelled is none
    at DOUBLE PRECISION NOT NULL,
    forget_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (mailbox, sender)
);
CREATE INDEX answered_old ON answered (forget_at);

-- When whoever watches a source looks at it again; NULL: the server says when.
ALTER TABLE sources ADD COLUMN wake_at DOUBLE PRECISION;

-- Programs may be handed what is in it (postroom exec).
ALTER TABLE credentials ADD COLUMN programs BIGINT NOT NULL DEFAULT 0;
