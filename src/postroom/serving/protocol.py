"""HTTP/1.1 as it comes in: whoever is slow, or one of too many, is let go (RFC 9112; T50)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from postroom.access.throttle import peer_key

__all__ = ["AT_ONCE", "HEAD_BYTES", "HEAD_SECONDS", "OF_ONE", "Impatient", "impatient"]

AT_ONCE: Final = 200
"""Connections at the same time; more are told to come again (503), and twice as many are cut."""
OF_ONE: Final = 100
"""Those of one address, which may be that of a whole office: nobody takes every place alone."""

HEAD_SECONDS: Final = 10.0
"""How long a request may take to its end of headers; uvicorn itself waits for ever."""
HEAD_BYTES: Final = 16 * 1024


class Impatient(H11Protocol):
    """As uvicorn's, with a limit of time on the head of a request."""

    of_many: ClassVar[Callable[[str], bool]] = staticmethod(lambda _peer: False)
    """Whether many people come over that address: a proxy's."""
    place: str = ""
    """Where it comes from; empty where many come from."""
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request; one too many is cut."""
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        self.place = "" if type(self).of_many(peer) else peer_key(peer)
        if self._is_one_too_many():
            transport.abort()
        else:
            self._wait()

    def _is_one_too_many(self) -> bool:
        if len(self.connections) > 2 * AT_ONCE:
            return True
        places = [one.place for one in self.connections if isinstance(one, Impatient)]
        return bool(self.place) and places.count(self.place) > OF_ONE

    def data_received(self, data: bytes) -> None:
        """Wait on while a head is not whole."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.close()


def impatient(of_many: Callable[[str], bool]) -> type[Impatient]:
    """The protocol of a room that is served behind proxies, which ``of_many`` knows."""
    return type("Ours", (Impatient,), {"of_many": staticmethod(of_many)})
