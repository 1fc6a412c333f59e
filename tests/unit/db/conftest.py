"""An empty room's database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postroom.db import Database, open_database

__all__ = ["db"]


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    """A new room.db."""
    opened = open_database(tmp_path / "room.db", create=True)
    yield opened
    await opened.close()
