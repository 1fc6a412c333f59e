"""The room fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.unit.vault.rooms import Room, make_room


@pytest_asyncio.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    """A new room of this test's own."""
    made = await make_room(tmp_path)
    yield made
    await made.db.close()
