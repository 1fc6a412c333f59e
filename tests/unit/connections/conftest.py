"""Fixtures for tests of connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.connections.rooms import SmallRoom, open_small_room

__all__ = ["room"]


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[SmallRoom]:
    async with open_small_room(tmp_path) as opened:
        yield opened
