"""Turns at the doors of servers: how many connections this process opens to one at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Final

from postroom.connections.effective import EffectiveSide

__all__ = ["OPENING", "SPARE", "Door", "Turns", "Waiting", "patiently"]

OPENING: Final = 16
"""Connections to one server that one process opens at the same time; one that is open counts no
more."""

SPARE: Final = 4
"""Of these, as many are left to those for whom somebody sits and waits: before a server that does
not answer thousands of sources may stand in line, and a person is to hear of it at once."""

Waiting = Callable[[], AbstractContextManager[None]]
"""What to be in while others have their turn."""


def patiently() -> AbstractContextManager[None]:
    """For what nobody sits and waits for, and no clock runs."""
    return contextlib.nullcontext()


class Door:
    """The door of one server.  Of one event loop."""

    def __init__(self) -> None:
        self._line = asyncio.Semaphore(OPENING - SPARE)
        self._turns = asyncio.Semaphore(OPENING)

    @contextlib.asynccontextmanager
    async def in_line(self, waiting: Waiting) -> AsyncIterator[None]:
        """What is patient stands in line, before its secrets are opened and its token is fetched."""
        with waiting():
            await self._line.acquire()
        try:
            yield
        finally:
            self._line.release()

    @contextlib.asynccontextmanager
    async def opening(self, waiting: Waiting = patiently) -> AsyncIterator[None]:
        """A turn to open a connection."""
        with waiting():
            await self._turns.acquire()
        try:
            yield
        finally:
            self._turns.release()


class Turns:
    """Finds the door of a side: a host and a port, for a server that does not answer is in nobody's
    way, not even in that of another server of the same host.
    """

    def __init__(self) -> None:
        self._doors: weakref.WeakValueDictionary[tuple[str, int], Door] = (
            weakref.WeakValueDictionary()
        )

    def at(self, side: EffectiveSide) -> Door:
        """The same one for as long as anybody has it."""
        where = (side.host, side.port)
        door = self._doors.get(where)
        if door is None:
            door = self._doors[where] = Door()
        return door
