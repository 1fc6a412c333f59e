"""The veil over a test: why no mail server answers is not told to whoever might ask for every port (T59)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from postroom.errors import DialError, PostroomError, SignInError, WireError

__all__ = ["BEFORE", "HOLD_SECONDS", "NO_PORT", "NoServer", "Veil", "alike"]

T = TypeVar("T")

HOLD_SECONDS: Final = 20.0
"""When it is told that there is no mail server: later than a connection is refused, than one is waited
for in vain, and than most servers greet that are slow on purpose."""
_OF_A_PORT: Final = ("token", "resolve", "connect", "proxy", "tls")
"""Steps after which nobody knows yet whether what answers is a mail server."""
BEFORE: Final = (*_OF_A_PORT, "greeting")
"""Steps that fail where nothing has spoken as one."""
NO_PORT: Final = ("host_unknown", "address_refused")
"""Codes that say nothing of a port."""


class NoServer(DialError):
    """No mail server answered; the sentence, the step and the time are the same for every reason."""

    def __init__(self, where: str, *, what: str = "mail server") -> None:
        super().__init__(
            f"No {what} answers at {where}.",
            hint="Check host, port and security. Whether something else is there, or nothing, an "
            "administrator's test tells.",
            temporary=True,
        )


class Veil:
    """Over one side, until something there speaks as a mail server.

    Up to then its steps are kept back.  A port that is closed, one that is filtered and one where
    something else listens end alike, after :data:`HOLD_SECONDS`.  A name that is not found and a
    certificate that is not trusted are told: the first is no port, and the second has to be looked at.
    """

    def __init__(self) -> None:
        self._kept: list[Callable[[], None]] = []
        self._lifted = False
        self._limit: asyncio.Timeout | None = None

    def heard(self, name: str, show: Callable[[], None]) -> None:
        """A step has ended well; ``show`` tells of it, now or when the veil is lifted."""
        self._kept.append(show)
        if self._lifted or name not in _OF_A_PORT:
            self._lift()

    async def over(self, walked: Awaitable[None], where: Callable[[], str]) -> None:
        """Walk under the veil.  Raises NoServer, and what the walk raises once it is lifted."""
        until = asyncio.get_running_loop().time() + HOLD_SECONDS
        try:
            async with asyncio.timeout_at(until) as self._limit:
                try:
                    await walked
                finally:
                    self._limit = None
        except PostroomError as error:
            if self._lifted or _is_told(error):
                self._lift()
                raise
        except TimeoutError:
            if self._lifted:
                raise
        else:
            self._lift()
            return
        await asyncio.sleep(until - asyncio.get_running_loop().time())
        raise NoServer(where())

    def _lift(self) -> None:
        self._lifted = True
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(None)
        self._limit = None
        while self._kept:
            self._kept.pop(0)()


def _is_told(error: PostroomError) -> bool:
    return _says_no_port(error) or getattr(error, "step", "") not in BEFORE


def _says_no_port(error: PostroomError) -> bool:
    if not isinstance(error, WireError) or isinstance(error, SignInError):
        return True
    return error.code in NO_PORT or error.code.startswith("certificate_")


async def alike(asked: Coroutine[Any, Any, T], where: str) -> T:
    """What is asked of another server than one for mail; whatever keeps it from answering is NoServer,
    not before :data:`HOLD_SECONDS`."""
    loop = asyncio.get_running_loop()
    until = loop.time() + HOLD_SECONDS
    try:
        return await asked
    except PostroomError as error:
        if isinstance(error, NoServer) or _says_no_port(error):
            raise
    await asyncio.sleep(until - loop.time())
    raise NoServer(where, what="server")
