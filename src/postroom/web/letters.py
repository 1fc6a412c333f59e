"""Letters: messages that somebody has just opened, for as long as their page asks for its parts.

What is in memory is given only to who still may read it there: that is asked each time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from postroom.clock import monotonic
from postroom.web.reading import Letter

__all__ = ["Letters"]

SECONDS: Final = 60.0
BYTES: Final = 32 * 1024 * 1024
"""In all; a message that is larger than that is read anew each time."""


class _Kept(NamedTuple):
    letter: Letter
    until: float


class Letters:
    """Messages by who opened them and where they are; nobody gets what somebody else has opened."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, ...], _Kept] = OrderedDict()

    async def get(
        self,
        key: tuple[str, ...],
        fetch: Callable[[], Awaitable[Letter]],
        check: Callable[[], Awaitable[None]],
    ) -> Letter:
        """The message of that key; ``key`` begins with who asks.  Raises as ``fetch`` does, and before
        it gives one from memory as ``check`` does."""
        self._forget()
        if (found := self._kept.get(key)) is not None:
            await check()
            return found.letter
        letter = await fetch()
        self._kept[key] = _Kept(letter, monotonic() + SECONDS)
        self._kept.move_to_end(key)
        asyncio.get_running_loop().call_later(SECONDS, self._forget)
        self._forget()
        return letter

    def _forget(self) -> None:
        now = monotonic()
        for key in [key for key, one in self._kept.items() if one.until < now]:
            del self._kept[key]
        while sum(one.letter.size for one in self._kept.values()) > BYTES:
            self._kept.popitem(last=False)
