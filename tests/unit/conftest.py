"""Fixtures of the pure rooms: the database of a room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postroom.db import Database, open_database
from tests.newroom import new_database

__all__ = ["db"]


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty room's database."""
    new_database(tmp_path / "room.db")
    opened = open_database(tmp_path / "room.db")
    yield opened
    await opened.close()
