-- So many requests at a time to one mailbox, whichever processes of the room ask there.  A gate is named
-- by a digest, so that nobody's address lies here.

CREATE TABLE gate_places (
    gate TEXT NOT NULL,
    owner TEXT NOT NULL,               -- a seat of workers; that of one who is gone counts no more
    held BIGINT NOT NULL,              -- places it has
    wanted BIGINT NOT NULL,            -- places it waits for besides; 0: it does not wait
    since DOUBLE PRECISION NOT NULL,   -- when it began to wait
    PRIMARY KEY (gate, owner)
);
CREATE TABLE gate_closings (
    gate TEXT PRIMARY KEY,
    closed_at DOUBLE PRECISION NOT NULL,
    closed_until DOUBLE PRECISION NOT NULL
);
