"""A database with one source in it."""

from __future__ import annotations

import pytest

from postroom.db import Database
from postroom.sources import store
from tests.unit.sources.definitions import source_of

__all__ = ["source_id"]


@pytest.fixture
async def source_id(db: Database) -> str:
    """The id of the source ``orders-in``."""
    await db.write(lambda tx: store.add(tx, source_of()))
    found: str = await db.read(lambda tx: store.row_of(tx, "Orders-In")["id"])
    return found
