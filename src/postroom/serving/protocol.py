"""HTTP/1.1 as it comes in: whoever is slow, to ask or to read, is let go (RFC 9112; T50)."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["HEAD_BYTES", "HEAD_SECONDS", "TAKEN_SECONDS", "Impatient"]

HEAD_SECONDS: Final = 10.0
"""How long a request may take to its end of headers; uvicorn itself waits for ever."""
HEAD_BYTES: Final = 16 * 1024
TAKEN_SECONDS: Final = 60.0
"""How often it is looked whether a reader takes anything of what waits for them.  Between two looks they
have taken some, or are cut: uvicorn waits for ever, and closes only when all is written."""


class Impatient(H11Protocol):
    """As uvicorn's, with limits of time: on the head of a request, and on a reader who takes nothing."""

    _late: asyncio.TimerHandle | None = None
    _look: asyncio.TimerHandle | None = None
    _seen: tuple[int, ...] = ()
    """How far it was written and taken at the last look, if anything waited then."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        self._out = _Counted(transport)
        super().connection_made(self._out)  # type: ignore[arg-type]  # it has all of a transport
        self._wait()
        self._look = self.loop.call_later(TAKEN_SECONDS, self._looked)

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
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        """An answer that is still being taken is no silence; over TLS its rest would have 30 s."""
        if self._out.waiting:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        else:
            super().timeout_keep_alive_handler()

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

    def _looked(self) -> None:
        waiting = self._out.waiting
        seen = (self._out.written, *waiting) if waiting else ()
        if seen and seen == self._seen:
            self.transport.abort()
            return
        self._seen = seen
        self._look = self.loop.call_later(TAKEN_SECONDS, self._looked)


class _Counted:
    """A transport that knows how much was written, and how much of it waits."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.written = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """As a transport does."""
        self.written += len(data)
        self._transport.write(data)

    @property
    def waiting(self) -> tuple[int, ...]:
        """Bytes that wait to be sent, by floor: over TLS most wait below it.  Empty where none do."""
        below = getattr(getattr(self._transport, "_ssl_protocol", None), "_transport", None)
        found = tuple(
            one.get_write_buffer_size() for one in (self._transport, below) if one is not None
        )
        return found if any(found) else ()
