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
    _waited: int | None = None
    """Bytes that had been taken at the last look, if others waited then; else None."""

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
        taken = self._out.taken if self._out.waits else None
        if taken is not None and taken == self._waited:
            self.transport.abort()
            return
        self._waited = taken
        self._look = self.loop.call_later(TAKEN_SECONDS, self._looked)


class _Counted:
    """A transport that knows how much of what was written has gone on."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._written = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """As a transport does."""
        self._written += len(data)
        self._transport.write(data)

    @property
    def waits(self) -> bool:
        """Whether something waits for its reader."""
        return self._transport.get_write_buffer_size() > 0

    @property
    def taken(self) -> int:
        """Bytes that went on to the system."""
        return self._written - self._transport.get_write_buffer_size()
