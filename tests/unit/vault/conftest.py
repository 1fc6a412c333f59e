"""The room fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from postroom.settings import Settings
from tests.newroom import new_room
from tests.unit.vault.rooms import Room, make_room


@pytest_asyncio.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    """A new room of this test's own."""
    new_room(Settings(tmp_path / "data", f"file:{tmp_path / 'keys' / 'room.key'}"))
    made = await make_room(tmp_path)
    yield made
    await made.db.close()
