"""Stored contents: large ones go in and come out some at a time, and are the same bytes."""

from __future__ import annotations

import contextlib
import io
import random
import sqlite3

import pytest

from postroom.db import Database
from postroom.errors import NotThere
from postroom.services.contents import StoredContent, content_of
from tests.unit.services.desk import Desk

LARGE = random.Random(7).randbytes(5_300_001)  # anything


async def _stored(desk: Desk, db: Database) -> str:
    return await desk.add("a@x.example", content=LARGE)


async def test_a_large_content_is_read_wherever_it_is_asked_for(desk: Desk, db: Database) -> None:
    item = await _stored(desk, db)
    assert db.read_now(lambda tx: content_of(tx, item)) == LARGE
    with StoredContent(db, item, len(LARGE)).open() as file:
        assert file.read() == LARGE
        assert file.read(1) == b""
        for at in (5_299_990, 0, 2_097_151, 4_194_304, len(LARGE), len(LARGE) + 9):
            file.seek(at)
            assert file.read(70_000) == LARGE[at : at + 70_000]
        file.seek(-3, io.SEEK_END)
        assert file.read() == LARGE[-3:]


async def test_while_it_is_read_nothing_is_kept_from_being_written(
    desk: Desk, db: Database
) -> None:
    """No transaction is open between two pieces; what was removed meanwhile is said."""
    item = await _stored(desk, db)
    with StoredContent(db, item, len(LARGE)).open() as file:
        assert file.read(1000) == LARGE[:1000]
        await db.write(
            lambda tx: tx.execute("DELETE FROM outbox_content WHERE item = :item", item=item)
        )
        with contextlib.closing(sqlite3.connect(db.path)) as other:
            busy, *_ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert busy == 0
        with pytest.raises(NotThere):
            file.read()
