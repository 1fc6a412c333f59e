"""A database, and its outbox in the words of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postroom.db import Database, open_database
from tests.unit.services.desk import Desk

__all__ = ["db", "desk"]


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty room's database."""
    opened = open_database(tmp_path / "room.db", create=True)
    yield opened
    await opened.close()


@pytest.fixture
async def desk(db: Database) -> Desk:
    """The service ``orders-out`` and a seat ``me`` that lives."""
    made = Desk(db)
    await made.open()
    return made
