"""Collectors that are killed between any two steps, and messages that kill them (F12, F18)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from postroom.app import open_room
from tests.faults.stage import Stage
from tests.journeys.conftest import connect
from tests.journeys.incoming import Incoming

__all__ = ["mailbox"]


@contextlib.asynccontextmanager
async def mailbox(stage: Stage) -> AsyncIterator[Incoming]:
    """A new room on the stage, and somebody's mailbox on Dovecot."""
    room = await open_room(stage.settings, make=True)
    try:
        ground = stage.ground()
        user = ground.user()
        await connect(room, ground, user)
        yield Incoming(room, ground, user, stage.path / "orders")
    finally:
        await room.close()
