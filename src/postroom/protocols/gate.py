"""A gate: so many requests at a time to one mailbox, and none before the other side wants any."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from postroom.clock import monotonic

__all__ = ["Crowded", "Gate"]


class Crowded(Exception):
    """No place came free in time; nothing was asked."""


class Gate:
    """Shared by all who ask for one app and mailbox in this process; of one event loop.

    Exchange Online takes four requests at a time from one app to one mailbox, and answers 429 to
    more (Microsoft's "Outlook service limits").
    """

    def __init__(self, width: int = 4) -> None:
        self.width = width
        self._free = width
        self._changed = asyncio.Condition()
        self._closed_until = 0.0

    @contextlib.asynccontextmanager
    async def passing(self, places: int, *, until: float) -> AsyncIterator[None]:
        """Wait for so many free places (at most ``width``) and hold them.

        ``until`` is an instant of the monotonic clock.  Raises Crowded when none came free before.
        """
        try:
            async with asyncio.timeout(max(0.0, until - monotonic())), self._changed:
                await self._changed.wait_for(lambda: self._free >= places)
                self._free -= places
        except TimeoutError:
            raise Crowded from None
        try:
            yield
        finally:
            self._free += places
            async with self._changed:
                self._changed.notify_all()

    async def close_for(self, seconds: float) -> None:
        """Nobody asks for so long: the other side said so."""
        self._closed_until = max(self._closed_until, monotonic() + seconds)

    @property
    def closed_for(self) -> float:
        """Seconds until somebody may ask again; 0.0: now."""
        return max(0.0, self._closed_until - monotonic())
