"""What a restore makes of sources: free to be claimed, and nothing in flight is lost or blamed."""

from __future__ import annotations

import pytest

from postroom.db import Database
from postroom.errors import Refused
from postroom.sources import cursors, store
from postroom.sources.collector import SOURCES
from postroom.sources.restored import begin_again
from tests.unit.sources.test_ledger import Book


async def test_what_was_being_handed_over_is_read_again_and_not_blamed(
    db: Database, source_id: str
) -> None:
    book = Book(db, source_id)
    await book.listed(range(1, 4))
    await book.listed([4], state="held")
    assert await book.take(most=2) == [1, 2]
    assert await db.write(lambda tx: begin_again(tx, now=9.0)) == 2
    assert [(await book.row(n))["state"] for n in range(1, 5)] == ["pending"] * 3 + ["held"]
    assert [(await book.row(n))["attempts"] for n in range(1, 4)] == [0, 0, 0]
    cursor = await db.read(lambda tx: cursors.cursor_of(tx, source_id, "store-1", "INBOX"))
    assert cursor is not None
    assert cursor.text == "7-4", "what came after the backup is behind it, and is listed again"
    assert await book.take() == [1, 2, 3]


async def test_a_worker_of_the_other_room_has_no_claim_here(db: Database, source_id: str) -> None:
    """Another one may claim at once, whatever the clock and the lease of the old one say."""
    for owner in ("old", "new"):
        await db.write(
            lambda tx: tx.execute(
                "INSERT INTO workers (owner, pid, host, started_at, heartbeat_at) "
                "VALUES (:owner, 1, 'here', 0, 1e12)",
                owner=owner,  # noqa: B023
            )
        )
    names = ["orders-in"]
    [old] = await db.write(
        lambda tx: SOURCES.claim(tx, owner="old", now=1e11, limit=5, names=names)
    )
    await db.write(lambda tx: begin_again(tx, now=9.0))
    with pytest.raises(Refused) as caught:
        await db.write(lambda tx: SOURCES.guard(tx, old, owner="old"))
    assert caught.value.code == "claim_lost"
    [new] = await db.write(
        lambda tx: SOURCES.claim(tx, owner="new", now=1e11, limit=5, names=names)
    )
    assert new.epoch > old.epoch + 1
    row = await db.read(lambda tx: store.row_of(tx, "orders-in"))
    assert row["state"] == "idle"
