"""The socket's end of the pump: an asyncio protocol that decrypts, feeds the core, queues events.

Nothing here waits.  Reading happens in buffers that all connections of a loop share, and TLS in
memory (:class:`postroom.net.tls.Channel`), so an idle connection stays small.
"""

from __future__ import annotations

import asyncio
import ssl
import weakref
from typing import Any, Final, Protocol, cast

from postroom.errors import PostroomError, WireError
from postroom.net.tls import FEED, RECORD, Channel, explain
from postroom.protocols.transcript import Transcript

__all__ = ["Bell", "Core", "Wire"]

READ: Final = 256 * 1024  # bytes read from the socket at once
HIGH_WATER: Final = 256 * 1024  # bytes waiting to be sent, above which drain() waits
MOST_EVENTS: Final = 8192  # not taken yet: a million tiny lines must not become a million objects


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


class _Buffers:
    """The read buffers of one event loop: filled and emptied within one call, so shared by all."""

    def __init__(self) -> None:
        self.wire = memoryview(bytearray(READ))
        self.plain = memoryview(bytearray(READ + RECORD))


_BUFFERS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Buffers]
_BUFFERS = weakref.WeakKeyDictionary()


class Wire(asyncio.BufferedProtocol):
    """One connection as asyncio sees it.  ``events`` wait to be taken; ``error`` is set once, at
    the end of the connection, and comes after the events before it.
    """

    # flake8 would not know: asyncio keeps one of these per idle connection, ten thousand of them
    __slots__ = (
        "_buffers", "_core", "_fed", "_most_bytes", "_transcript", "at_line_end", "channel",
        "error", "events", "gone", "last", "read_paused", "reading", "transport", "where",
        "write_paused", "writing",
    )  # fmt: skip

    def __init__(
        self,
        core: Core,
        where: str,
        transcript: Transcript,
        channel: Channel | None,
        most_bytes: int,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._buffers = _BUFFERS.get(loop) or _BUFFERS.setdefault(loop, _Buffers())
        self._core = core
        self._transcript = transcript
        self._most_bytes = most_bytes
        self._fed = 0  # bytes given to the core since events were taken last
        self.where = where
        self.channel = channel
        self.transport: asyncio.Transport | None = None
        self.events: list[Any] = []
        self.last: Any = None  # the last event taken
        self.error: BaseException | None = None
        self.at_line_end = True  # whether the last bytes in the clear ended a line
        self.reading, self.writing = Bell(), Bell()
        self.read_paused = self.write_paused = self.gone = False

    # ------------------------------------------------------------------- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER)
        if self.channel is not None:
            self.begin_tls(self.channel)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffers.wire

    def buffer_updated(self, nbytes: int) -> None:
        data = self._buffers.wire[:nbytes]
        channel = self.channel
        if channel is None:
            self.at_line_end = data[-1] == 10
            self._deliver(data)
            return
        try:
            self._decrypt(channel, data)
        except ssl.SSLError as error:
            self._tls_failed(channel, error)

    def eof_received(self) -> bool:
        channel = self.channel
        if channel is None or channel.closed:
            self._ended()
        elif channel.ready:
            # RFC 8446 section 6.1: without close-notify somebody may have cut it short
            self.fail(self.lost("cut the connection off"))
        else:
            self.fail(explain(EOFError(), self.where, None))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if self.error is None:
            if exc is not None and not isinstance(exc, OSError):
                self.error = exc  # not the wire's failure but a mistake in a core: shown as it is
            elif self.channel is not None and not self.channel.ready:
                self.error = explain(exc or EOFError(), self.where, None)
            else:
                self.error = self.lost("cut the connection off" if exc else "closed the connection")
        self.reading.ring()
        self.writing.ring()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        self.writing.ring()

    # ------------------------------------------------------------------- called by the pump

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send; encrypted where TLS is on.  Nothing leaves on a connection that is over."""
        if self.error is not None or self.transport is None:
            return
        if self.channel is None:
            self.transport.write(data)
            return
        try:
            self.transport.write(self.channel.encrypt(data))
        except ssl.SSLError as error:
            self._tls_failed(self.channel, error)

    def begin_tls(self, channel: Channel) -> None:
        """From here on every byte is TLS; ``reading`` rings when the handshake is over."""
        self.channel = channel
        try:
            self._shake(channel)
        except ssl.SSLError as error:
            self._tls_failed(channel, error)

    def take(self) -> list[Any]:
        """The events that wait, in order; reading goes on if it was paused."""
        events, self.events = self.events, []
        self.last = events[-1]
        self._fed = 0
        if self.read_paused and self.transport is not None and self.error is None:
            self.read_paused = False
            self.transport.resume_reading()
        return events

    def fail(self, error: BaseException) -> None:
        """End the connection at once; ``error`` is what the pump says from then on."""
        if self.error is None:
            self.error = error
        if self.transport is not None:
            self.transport.abort()
        self.reading.ring()
        self.writing.ring()

    def lost(self, what: str) -> WireError:
        """The error of a connection that ended, with the last words of the other side."""
        said = self._transcript.last_said()
        return WireError(
            f"{self.where} {what}{f' after saying: {said}' if said else ''}.",
            code="connection_lost",
            hint="Try again; if it stays so, the server's log says why.",
            temporary=True,
            said=said,
        )

    # ------------------------------------------------------------------- inside

    def _decrypt(self, channel: Channel, data: memoryview) -> None:
        plain, filled = self._buffers.plain, 0
        for start in range(0, len(data), FEED):
            channel.feed(data[start : start + FEED])
            if not channel.ready and not self._shake(channel):
                continue
            while count := channel.read_into(plain[filled:]):
                filled += count
                if filled >= READ:
                    self._deliver(plain[:filled])
                    filled = 0
            if self.error is not None:
                return
        if filled:
            self._deliver(plain[:filled])
        if answer := channel.outgoing():  # a new key, RFC 8446 section 4.6.3
            self._send(answer)
        if channel.closed:
            self._ended()

    def _shake(self, channel: Channel) -> bool:
        try:
            over = channel.handshake()
        finally:
            self._send(channel.outgoing())  # also the alert that says why we refuse
        if over:
            self.reading.ring()
        return over

    def _send(self, data: bytes) -> None:
        if data and self.transport is not None and self.error is None:
            self.transport.write(data)

    def _deliver(self, data: memoryview) -> None:
        self._transcript.received(data)
        try:
            events = self._core.receive(data)
        except PostroomError as error:
            self.fail(error)
            return
        self._fed += len(data)
        if not events:
            return
        if self.events:
            self.events += events
        else:
            self.events = events
        if self._fed > self._most_bytes or len(self.events) > MOST_EVENTS:
            self._pause()
        self.reading.ring()

    def _pause(self) -> None:
        if not self.read_paused and self.transport is not None and self.error is None:
            self.read_paused = True
            self.transport.pause_reading()
            self.writing.ring()  # who waits in drain() has to take events first

    def _ended(self) -> None:
        try:
            self.events += self._core.eof()
        except PostroomError as error:
            self.fail(error)
            return
        self.fail(self.lost("closed the connection"))

    def _tls_failed(self, channel: Channel, error: ssl.SSLError) -> None:
        self.fail(explain(error, self.where, None))
