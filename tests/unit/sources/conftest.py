"""A database with one source in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postroom.db import Database, open_database
from postroom.sources import store
from tests.unit.sources.definitions import source_of

__all__ = ["db", "source_id"]


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty room's database."""
    opened = open_database(tmp_path / "room.db", create=True)
    yield opened
    await opened.close()


@pytest.fixture
async def source_id(db: Database) -> str:
    """The id of the source ``orders-in``."""
    await db.write(lambda tx: store.add(tx, source_of()))
    found: str = await db.read(lambda tx: store.row_of(tx, "Orders-In")["id"])
    return found
