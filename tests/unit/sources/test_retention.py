"""What is forgotten, and what never is: by state, by time, and so much at once."""

from __future__ import annotations

import pytest

from postroom.db import Database
from postroom.sources import entries, ledger, retention
from postroom.sources.ledger import Seen
from postroom.sources.retention import KEEP_SECONDS, purge

NOW = 1_900_000_000.0


async def listed(db: Database, source: str, state: str, count: int = 1, due: str = "") -> None:
    seen = [Seen(f"7-{uid}", state, "", 1, None, after_due=due) for uid in range(count)]
    await db.write(
        lambda tx: ledger.record(
            tx, source, "s", "INBOX", seen, cursor="7-9", uidvalidity=7, now=1.0
        )
    )


async def gone(db: Database, seconds: float) -> None:
    await db.write(lambda tx: tx.execute("UPDATE ledger SET gone_at = :at", at=NOW - seconds))


@pytest.mark.parametrize(
    ("state", "due", "seconds", "forgotten"),
    [
        ("done", "", KEEP_SECONDS + 1, True),
        ("failed", "", KEEP_SECONDS + 1, True),
        ("ignored", "", KEEP_SECONDS + 1, True),
        ("held", "", KEEP_SECONDS + 1, True),
        ("vanished", "", KEEP_SECONDS + 1, True),
        ("done", "", KEEP_SECONDS - 1, False),
        ("pending", "", KEEP_SECONDS + 1, False),
        ("acquired", "", KEEP_SECONDS + 1, False),
        ("delivered", "done", KEEP_SECONDS + 1, False),
        ("ignored", "ignored", KEEP_SECONDS + 1, False),
    ],
)
async def test_what_is_forgotten(
    db: Database, source_id: str, state: str, due: str, seconds: float, forgotten: bool
) -> None:
    """Only what is finished and has been gone for 400 days."""
    await listed(db, source_id, state, due=due)
    await gone(db, seconds)
    assert await db.write(lambda tx: purge(tx, now=NOW)) == int(forgotten)
    left = await db.read(lambda tx: entries.counts(tx, source_id))
    assert left == ({} if forgotten else {state: 1})


async def test_what_is_not_known_to_be_gone_stays(db: Database, source_id: str) -> None:
    """However long ago it was seen first."""
    await listed(db, source_id, "done")
    assert await db.write(lambda tx: purge(tx, now=NOW)) == 0


async def test_so_much_at_once(
    db: Database, source_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many rows go in several small transactions, so that nobody waits for one."""
    monkeypatch.setattr(retention, "PURGE_ROWS", 3)
    await listed(db, source_id, "done", count=7)
    await gone(db, KEEP_SECONDS + 1)
    assert [await db.write(lambda tx: purge(tx, now=NOW)) for _ in range(4)] == [3, 3, 1, 0]
