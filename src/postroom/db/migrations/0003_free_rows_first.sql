-- A claim walks the rows that nobody owns, and nothing else: an index holds these alone, in the order
-- they are due.  A second one leads from owner to owner, to find those that are gone and what they
-- had.  The indexes of all that is due led past every row that was claimed already.

DROP INDEX sources_due;
CREATE INDEX sources_free ON sources (due_at) WHERE owner IS NULL;
CREATE INDEX sources_owned ON sources (owner, due_at) WHERE owner IS NOT NULL;
DROP INDEX outbox_due;
CREATE INDEX outbox_free ON outbox (due_at, id) WHERE owner IS NULL AND finished_at IS NULL;
CREATE INDEX outbox_owned ON outbox (owner, due_at, id) WHERE owner IS NOT NULL;
CREATE INDEX sent_copies_owned ON sent_copies (owner, due_at, id) WHERE owner IS NOT NULL;
