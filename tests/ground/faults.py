"""What the fault proxy can do to a connection, and when."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.ground.transcript import Direction
from tests.ground.wire import How

if TYPE_CHECKING:
    from tests.ground.proxy import Pump

__all__ = [
    "Action",
    "Call",
    "Cut",
    "Delay",
    "Drop",
    "Insert",
    "Replace",
    "Rule",
    "Stall",
    "Throttle",
    "Truncate",
    "UpgradeTls",
    "Watch",
]


class Action(ABC):
    """Something to do in one direction of one connection."""

    @abstractmethod
    async def run(self, pump: Pump, rule: Rule | None) -> None:
        """Do it, with all bytes before that point delivered."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When to act: `after` that many bytes or that pattern, or `before` a pattern passes.

    With neither, at the start of the connection. `nth` counts occurrences of the pattern; `again`
    acts at each later one too. `connection` (from 1) names one connection; None is each.
    """

    direction: Direction
    action: Action
    after: bytes | int = 0
    before: bytes = b""
    nth: int = 1
    again: bool = False
    connection: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant, with ValueError."""
        if self.before and self.after:
            raise ValueError("a rule acts after or before, not both")
        if isinstance(self.action, (Replace, UpgradeTls)) and not self.before:
            raise ValueError(f"{type(self.action).__name__} needs a rule with before=b'...'")


class Watch:
    """The eye of one rule on one direction: finds its patterns across any split of the bytes."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.pattern = rule.before or (rule.after if isinstance(rule.after, bytes) else b"")
        self.hits: list[int] = []
        self._floor = 0
        self._count = 0
        self._done = not self.pattern
        if isinstance(rule.after, int) and not rule.before:
            self.hits.append(rule.after)

    def scan(self, window: bytes, base: int) -> None:
        """Note the places to act at, as offsets in the stream; `window` begins at `base`."""
        while not self._done:
            at = window.find(self.pattern, max(0, self._floor - base))
            if at < 0:
                self._floor = max(self._floor, base + len(window) - len(self.pattern) + 1)
                return
            self._floor = base + at + len(self.pattern)
            self._count += 1
            if self._count >= self.rule.nth:
                self.hits.append(base + at if self.rule.before else self._floor)
                self._done = not self.rule.again

    def hold(self, pending: bytes) -> int:
        """How many bytes at the end may be the beginning of what must not pass yet."""
        if self._done or not self.rule.before:
            return 0
        for size in range(min(len(self.pattern) - 1, len(pending)), 0, -1):
            if pending.endswith(self.pattern[:size]):
                return size
        return 0


@dataclass(frozen=True, slots=True)
class Call(Action):
    """Await something of the test's own (a kill, a second session) before anything else passes."""

    what: Callable[[], Awaitable[None]]

    async def run(self, pump: Pump, rule: Rule | None) -> None:
        """Await it."""
        await self.what()


@dataclass(frozen=True, slots=True)
class Cut(Action):
    """End the connection on both sides: `rst` or `fin` (`eof`: FIN without TLS's close_notify)."""

    how: How = "rst"

    async def run(self, pump: Pump, rule: Rule | None) -> None:
        """Never returns: the connection's end cancels it."""
        pump.connection.end(self.how)
        await asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True)
class Stall(Action):
    """Deliver nothing for `seconds`; without a number until the connection ends."""

    seconds: float | None = None

    async def run(self, pump: Pump, rule: Rule | None) -> None:
        """Wait."""
        if self.seconds is None:
            await asyncio.get_running_loop().create_future()
        else:
            await asyncio.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Delay(Action):
    """From here on deliver each byte `seconds` after it came (latency; nothing is slower)."""

    seconds: float

    async def run(self, pump: Pump, rule: Rule | None) -> None:
        """Set it."""
        pump.delay = self.seconds


@dataclass(frozen=True, slots=True)
class Throttle(Action):
    """From here on deliver at most that many bytes a second."""

    bytes_per_second: float

    async def run(self, pump: Pump, rule: Rule | None) -> None:
        """Set it."""
        pump.rate = self.bytes_per_second


@dataclass(frozen=True, slots=True)
class Drop(Action):
    """Swallow the next `count` bytes; without a number all that follow."""

    count: int | None = None

    async def run(self, pump: Pump, rule: Rule | None) -> None:
        """Set it."""
        pump.dropping = math.inf if self.count is None else self.count


@dataclass(frozen=True, slots=True)
class Truncate(Action):
    """The receiver sees the end here; the sender notices nothing (RFC 8446 section 6.1 if eof)."""

    how: How = "eof"

    async def run(self, pump: Pump, rule: Rule | None) -> None:
        """End that direction and swallow the rest."""
        await pump.finish(self.how)
        pump.dropping = math.inf


@dataclass(frozen=True, slots=True)
class Insert(Action):
    """Deliver bytes that nobody sent."""

    data: bytes

    async def run(self, pump: Pump, rule: Rule | None) -> None:
        """Send them."""
        await pump.sink.send(self.data)


@dataclass(frozen=True, slots=True)
class Replace(Action):
    """Deliver these bytes where the rule's `before` pattern stood."""

    data: bytes

    async def run(self, pump: Pump, rule: Rule | None) -> None:
        """Send ours, swallow theirs."""
        assert rule is not None
        await pump.sink.send(self.data)
        pump.dropping = len(rule.before)


@dataclass(frozen=True, slots=True)
class UpgradeTls(Action):
    """STARTTLS through the proxy: for a rule on to_client, `before` the server's go-ahead line.

    Takes the line up to its CRLF, passes it on and turns both sides to TLS, so that the
    transcript goes on in the clear. Needs `tls` and `upstream_tls` of a proxy with starttls=True.
    """

    async def run(self, pump: Pump, rule: Rule | None) -> None:
        """Shake hands on both sides."""
        await pump.connection.upgrade(pump)
