"""The polling time-out: ends a poll that makes no progress, however long one that does takes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from postroom.clock import format_duration
from postroom.errors import WireError
from postroom.protocols.base import Content, OpenSpool, Spool

__all__ = ["Deadline"]


class Deadline:
    """``async with Deadline(60) as deadline``: raises WireError 60 s after the last :meth:`alive`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            raise WireError(
                f"The poll made no progress for {format_duration(self._seconds)}.",
                code="timed_out",
                temporary=True,
                hint="If the server is only slow, give the source a longer polling_timeout.",
            ) from None

    def alive(self) -> None:
        """There was progress: the time begins anew."""
        if not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Time does not count meanwhile: it is not the server that is waited for."""
        if not self._timeout.expired():
            self._timeout.reschedule(None)
        try:
            yield
        finally:
            self.alive()

    def watched(self, open_spool: OpenSpool) -> OpenSpool:
        """Spools as ``open_spool`` makes them: every piece of a large message is progress."""
        return lambda size: _Watched(self, open_spool(size))


class _Watched:
    """A spool whose writes are progress."""

    def __init__(self, deadline: Deadline, spool: Spool) -> None:
        self._deadline = deadline
        self._spool = spool

    def write(self, data: bytes | memoryview, /) -> object:
        self._deadline.alive()
        return self._spool.write(data)

    def finish(self) -> Content:
        return self._spool.finish()

    def discard(self) -> None:
        self._spool.discard()
