"""A database with a seat that lives, and jobs in few words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postroom.db import Database, open_database
from tests.unit.jobs.desk import Desk

__all__ = ["db", "desk"]


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty room's database."""
    opened = open_database(tmp_path / "room.db", create=True)
    yield opened
    await opened.close()


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    """Seats, jobs and runs of that database."""
    made = Desk(db)
    yield made
    await made.close()
