"""The veil: why no server answers is not told to whoever might ask for every port (T59).

What is told depends on what failed.  Where nothing has spoken yet - the port is closed or filtered, or
something else listens there - the error knows the one sentence that is told to others than
administrators (``nobody``).  It stands in front of whatever is stored of that failure, and :func:`cut`
leaves nothing behind it.  A name that is not found and a certificate that is not trusted are told: the
first is no port, and the second has to be looked at.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

from postroom.errors import NoServer, SignInError, WireError
from postroom.net.dial import Step

__all__ = ["HOLD_SECONDS", "Veiled", "behind", "cut", "opened", "parted", "unanswered"]

T = TypeVar("T")

Veiled = Literal["", "words", "time"]
"""For whom a server is asked: for whoever is told everything, for what is written down and read by others
too, for somebody who waits and must not tell closed from filtered by the time it takes either."""

HOLD_SECONDS: Final = 20.0
"""When it is told that there is no server: later than a connection is refused, than one is waited
for in vain, and than most servers greet that are slow on purpose."""
_OF_A_PORT: Final = ("resolve", "connect", "proxy", "tls")
"""Steps after which nobody knows yet whether what answers is a mail server."""
_BEFORE: Final = (*_OF_A_PORT, "greeting")
"""Steps that fail where nothing has spoken as one."""
_TOLD: Final = ("host_unknown", "address_refused", "deferred", "rejected", "refused")
"""Codes that say nothing of a port, or that a server has answered with."""
_NOBODY: Final = re.compile(r"No ((?:mail )?server) answers at (\S+?)\.(?=\s|$)")


def unanswered(error: WireError, where: str, *, what: str = "mail server") -> None:
    """Note on an error that nothing has spoken at ``where``, if it is of that kind."""
    told = error.code in _TOLD or error.code.startswith("certificate_")
    if not told and error.nobody is None and not isinstance(error, SignInError | NoServer):
        error.nobody = NoServer(where, what=what)


def cut(text: str) -> str:
    """What is told of a stored sentence to whoever is no administrator."""
    found = _NOBODY.search(text)
    if found is None:
        return text
    return f"{text[: found.start()]}{NoServer(found[2], what=found[1])}"


def parted(text: str) -> tuple[NoServer | None, str]:
    """A stored sentence as the two that it was made of; without the first where a server had spoken."""
    found = _NOBODY.match(text)
    if found is None:
        return None, text
    return NoServer(found[2], what=found[1]), text[found.end() :].strip()


async def opened(
    opening: Callable[[Callable[[Step], None]], Awaitable[T]],
    where: str,
    on_step: Callable[[Step], None] | None,
    veiled: Veiled,
) -> T:
    """Open a mail server by ``opening``, which tells its steps.

    Behind the veil they are kept back until something speaks as a mail server.  A port that is closed,
    one that is filtered and one where something else listens end alike then: in NoServer, after
    :data:`HOLD_SECONDS` where the time counts too.
    """
    return await _Veil(where, on_step, veiled).over(opening)


async def behind(asked: Awaitable[T], where: str, veiled: Veiled) -> T:
    """What is asked of a web server: its errors know whether it has answered."""
    if not veiled:
        return await asked
    return await _Veil(where, None, veiled, what="server").over(lambda _heard: asked)


class _Veil:
    def __init__(
        self,
        where: str,
        tell: Callable[[Step], None] | None,
        veiled: Veiled,
        *,
        what: str = "mail server",
    ) -> None:
        loop = asyncio.get_running_loop()
        self._nobody = NoServer(where, what=what)
        self._where = where
        self._tell = tell or (lambda _step: None)
        self._veiled = bool(veiled)
        self._until = loop.time() + HOLD_SECONDS if veiled == "time" else None
        self._kept: list[Step] = []
        self._spoken = False
        self._limit: asyncio.Timeout | None = None

    async def over(self, opening: Callable[[Callable[[Step], None]], Awaitable[T]]) -> T:
        cause = None
        try:
            async with asyncio.timeout_at(self._until) as self._limit:
                try:
                    found = await opening(self._heard)
                finally:
                    self._limit = None
            self._lift()
            return found
        except WireError as error:
            if not self._spoken and error.step in _BEFORE:
                unanswered(error, self._where)
            if error.nobody is not None:
                error.nobody = self._nobody  # as of one that is cut off
            if not self._veiled or error.nobody is None:
                self._lift()
                raise
            cause = error
        except TimeoutError:
            if self._spoken or self._until is None:
                raise
        if self._until is not None:
            await asyncio.sleep(self._until - asyncio.get_running_loop().time())
        raise self._nobody from cause

    def _heard(self, step: Step) -> None:
        """A step has ended well: it is told of now, or when the veil is lifted."""
        self._kept.append(step)
        self._spoken = self._spoken or step.name not in _OF_A_PORT
        if self._spoken or not self._veiled:
            self._lift()

    def _lift(self) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(None)
        self._limit = None
        while self._kept:
            self._tell(self._kept.pop(0))
