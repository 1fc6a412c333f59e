"""Claims go by the indexes of free rows and of owners, however long the queue is."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.db import Database, Queue, Tx
from postroom.services.copies import COPIES
from postroom.services.doubts import DOUBTS
from postroom.services.settle import OUTBOX
from postroom.sources.collector import SOURCES

VALUES: dict[str, Any] = {
    "owner": "a", "gone": "b", "now": 0.0, "limit": 9, "oldest_heartbeat": 0.0, "names": '["s"]',
}  # fmt: skip


@pytest.mark.parametrize(
    ("queue", "free", "owned"),
    [
        (SOURCES, "sources_free", "sources_owned"),
        (OUTBOX, "outbox_free", "outbox_owned"),
        (DOUBTS, "outbox_free", "outbox_owned"),
        (COPIES, "sent_copies_due", "sent_copies_owned"),
    ],
)
async def test_a_claim_reads_the_queue_in_its_order(
    db: Database, queue: Queue, free: str, owned: str
) -> None:
    """The plans name these indexes and sort nothing: a claim costs what it takes, not the queue."""
    texts = queue._texts["sqlite"]

    def planned(tx: Tx, text: str) -> list[str]:
        return [row["detail"] for row in tx.all(f"EXPLAIN QUERY PLAN {text}", item="", **VALUES)]

    def plans(tx: Tx) -> list[list[str]]:
        return [planned(tx, text) for text in (texts.claim, texts.take_over, texts.gone)]

    claim, take_over, gone = await db.read(plans)
    assert any(f"USING INDEX {free} (due_at<?)" in one for one in claim), claim
    assert any(f"USING INDEX {owned} (owner=? AND due_at<?)" in one for one in take_over), take_over
    assert sum(f"INDEX {owned} (owner>?)" in one for one in gone) == 2, gone
    assert not any("TEMP B-TREE" in one for one in claim + take_over + gone)
