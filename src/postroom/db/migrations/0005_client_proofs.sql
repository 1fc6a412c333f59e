-- What authorization servers said of each client secret and key pair, by its label.  No secret lies here.

CREATE TABLE client_proofs (
    credential TEXT NOT NULL REFERENCES credentials (id),
    label TEXT NOT NULL,               -- of the client secret; "certificate" of the key pair
    state TEXT NOT NULL,               -- next, current, fallback, refused
    worked_at DOUBLE PRECISION,        -- when a token came by it last; empty: never yet
    refused_at DOUBLE PRECISION,       -- when it was refused last
    why TEXT NOT NULL,                 -- the sentence of that refusal
    PRIMARY KEY (credential, label)
);
