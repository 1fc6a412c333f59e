"""What a core made of the bytes: events that wait to be taken, and after them the end."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from postroom.errors import WireError
from postroom.protocols.transcript import Transcript

__all__ = ["Bell", "Core", "Inbox"]

MOST_EVENTS: Final = 8192  # not taken yet: a million tiny lines must not become a million objects
LINE_FEED: Final = 10


class Core(Protocol):
    """A protocol without input and output.  It is fed any split of the bytes."""

    def receive(self, data: memoryview, /) -> list[Any]:
        """The events these bytes complete, in order.  The memory is reused: copy what is kept.

        Raises ProtocolError.
        """

    def eof(self) -> list[Any]:
        """The other side closed in good order.  May raise ProtocolError."""


class Bell:
    """Wakes the one task that waits for it."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[bool] | None = None

    def ring(self) -> None:
        """Wake the waiting task, if there is one."""
        _settle(self._future, True)

    async def wait(self, until: float) -> bool:
        """Wait for a ring; False when the loop's clock reaches ``until`` first."""
        loop = asyncio.get_running_loop()
        self._future = future = loop.create_future()
        timer = loop.call_at(until, _settle, future, False)
        try:
            rang: bool = await future
            return rang
        finally:
            timer.cancel()
            self._future = None


def _settle(future: asyncio.Future[bool] | None, rang: bool) -> None:
    if future is not None and not future.done():
        future.set_result(rang)


class Inbox:
    """The events of one connection, in order.  ``error`` is set once, when it ends, and is told
    after the events before it; ``bell`` rings for both.
    """

    __slots__ = (
        "_core", "_fed", "_most_bytes", "_transcript", "_where", "at_line_end", "bell", "error",
        "events", "last",
    )  # fmt: skip

    def __init__(self, core: Core, where: str, transcript: Transcript, most_bytes: int) -> None:
        self._core = core
        self._where = where
        self._transcript = transcript
        self._most_bytes = most_bytes
        self._fed = 0  # bytes given to the core since events were taken last
        self.at_line_end = True  # whether the last bytes ended a line
        self.bell = Bell()
        self.events: list[Any] = []
        self.last: Any = None  # the last event taken
        self.error: BaseException | None = None

    def feed(self, data: memoryview) -> None:
        """Let the core read these bytes (at least one).  Raises what it raises."""
        self._transcript.received(data)
        self.at_line_end = data[-1] == LINE_FEED
        self._fed += len(data)
        events = self._core.receive(data)
        if not events:
            return
        if self.events:
            self.events += events
        else:
            self.events = events
        self.bell.ring()

    @property
    def full(self) -> bool:
        """Whether events have to be taken before more is read.

        Bytes fed stand for bytes held; what is part of no event yet does not count, since only
        reading on completes it (and the core's own limits hold for it).
        """
        if not self.events:
            return False
        return self._fed > self._most_bytes or len(self.events) > MOST_EVENTS

    def take(self) -> list[Any]:
        """The events that wait, at least one."""
        events, self.events = self.events, []
        self.last = events[-1]
        self._fed = 0
        return events

    def finish(self) -> None:
        """The other side closed in good order: the core's last events, then the loss."""
        self.events += self._core.eof()
        self.end(self.lost("closed the connection"))

    def end(self, error: BaseException) -> None:
        """Nothing comes after this.  The first reason given stays."""
        if self.error is None:
            self.error = error
        self.bell.ring()

    def lost(self, what: str) -> WireError:
        """The error of a connection that ended, with the last words of the other side."""
        said = self._transcript.last_said().rstrip(".")
        return WireError(
            f"{self._where} {what}{f' after saying: {said}' if said else ''}.",
            code="connection_lost",
            hint="Try again; if it stays so, the server's log says why."
            if said
            else "Try again. A server that wants no more connections from one address does this.",
            temporary=True,
            said=said,
        )
