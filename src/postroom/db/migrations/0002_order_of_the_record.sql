-- The audit record gets an order of its own: the order of writing, over all streams, which no clock
-- decides.  A position is part of the code of every row from here on; the rows before keep the codes
-- they have.  And a row that states the version of a record says so in columns: the highest version
-- that was ever known is then one step in an index, whatever the clock was.

CREATE TABLE audit_in_order (
    position IDENTITY PRIMARY KEY,
    stream TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    noun TEXT NOT NULL,
    name TEXT NOT NULL,
    detail TEXT NOT NULL,
    mac BYTEA NOT NULL,
    record TEXT,                       -- the id and the version that the detail states; NULL: none
    version BIGINT,
    UNIQUE (stream, seq)
);
INSERT INTO audit_in_order (stream, seq, at, actor, action, noun, name, detail, mac)
    SELECT stream, seq, at, actor, action, noun, name, detail, mac FROM audit ORDER BY WRITTEN;
DROP TABLE audit;
ALTER TABLE audit_in_order RENAME TO audit;
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_name ON audit (noun, name, position);
CREATE INDEX audit_by_record ON audit (record, version) WHERE record IS NOT NULL;
