"""Waiting for news in the open folder: IDLE (RFC 2177), renewed before a server gives up on it."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from postroom import clock
from postroom.errors import WireError
from postroom.protocols.imap import commands
from postroom.protocols.imap.opened import Opened
from postroom.protocols.imap.refusals import folder_refused
from postroom.protocols.imap.session import Pending

__all__ = ["IdleVerb"]

_JITTER: Final = 0.1  # of the renewal, so that many connections do not renew together
_PAUSE: Final = 5.0  # seconds, after a server ended IDLE on its own


class IdleVerb(Opened):
    """wait."""

    async def wait(self, timeout: float) -> bool:
        """True when something may have come; False after ``timeout`` seconds without.

        Raises WireError: ``not_supported`` without IDLE, ``connection_lost``, ``timed_out``.
        """
        self._opened()
        session = self._session
        if not session.can("IDLE"):
            raise WireError(
                "The server cannot tell of new messages (no IDLE).",
                code="not_supported",
                hint="Ask it at intervals instead.",
                step="folder",
            )
        end = clock.monotonic() + timeout
        while not session.news and (left := end - clock.monotonic()) > 0:
            renewal = self._limits.idle_renewal * (1 - _JITTER * random.random())  # noqa: S311
            await self._idle(min(left, renewal))
        news, session.news = session.news, False
        self._synced = self._synced or news
        return news

    async def _idle(self, seconds: float) -> None:
        """One IDLE of at most that long, or until there is news."""
        session = self._session
        until = clock.monotonic() + seconds
        pending = session.send(commands.idle())
        talking = False
        try:
            talking = await session.challenge(pending) is not None
            while talking and not session.news and pending.done is None:
                left = until - clock.monotonic()
                if left <= 0 or not await session.pump.ready(left):
                    break
                session.deal(await session.pump.next())
        except asyncio.CancelledError:
            self._leave(pending, talking)
            raise
        if pending.done is None:
            session.answer(b"DONE")
            done = await session.finish(pending)
        else:
            done = pending.done
            if done.state == "OK":
                await asyncio.sleep(min(_PAUSE, max(0.0, until - clock.monotonic())))
        if done.state != "OK":
            raise folder_refused(session, done, self._opened().name)

    def _leave(self, pending: Pending, talking: bool) -> None:
        """The task is cancelled: end IDLE, so that the next command is understood."""
        pending.drop()
        if talking and pending.done is None:
            self._session.answer(b"DONE")
        elif not talking:
            self._session.pump.abandon()  # DONE may not be sent before the go-ahead
