"""Claims of the outbox go by the index of what is due, however long the queue is."""

from __future__ import annotations

from postroom.db import Database, Queue, Tx
from postroom.services.doubts import DOUBTS
from postroom.services.settle import OUTBOX


async def test_a_claim_reads_the_queue_in_its_order(db: Database) -> None:
    """The plan names ``outbox_due`` and sorts nothing: a claim costs what it takes, not the queue."""
    values = {"owner": "a", "now": 0.0, "limit": 9, "oldest_heartbeat": 0.0, "names": '["s"]'}

    def planned(tx: Tx, queue: Queue) -> list[str]:
        text = f"EXPLAIN QUERY PLAN {queue._texts['sqlite'].claim}"
        return [row["detail"] for row in tx.all(text, item="", **values)]

    for plan in db.read_now(lambda tx: [planned(tx, queue) for queue in (OUTBOX, DOUBTS)]):
        assert any("USING INDEX outbox_due" in one for one in plan), plan
        assert not any("TEMP B-TREE" in one for one in plan), plan
