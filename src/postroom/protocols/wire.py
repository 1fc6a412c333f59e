"""The socket's end of the pump: an asyncio protocol that decrypts and feeds the inbox.

Nothing here waits.  Reading happens in buffers that all connections of a loop share, and TLS in
memory (:class:`postroom.net.tls.Channel`), so an idle connection stays small.
"""

from __future__ import annotations

import asyncio
import ssl
import weakref
from typing import Any, Final, cast

from postroom.errors import PostroomError
from postroom.net.tls import FEED, RECORD, Channel, explain
from postroom.protocols.inbox import Bell, Inbox

__all__ = ["HIGH_WATER", "Wire"]

READ: Final = 256 * 1024  # bytes read from the socket at once
HIGH_WATER: Final = 256 * 1024  # bytes waiting to be sent, above which drain() waits


class _Buffers:
    """The read buffers of one event loop: filled and emptied within one call, so shared by all."""

    def __init__(self) -> None:
        self.wire = memoryview(bytearray(READ))
        self.plain = memoryview(bytearray(READ + RECORD))


_BUFFERS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Buffers]
_BUFFERS = weakref.WeakKeyDictionary()


class Wire(asyncio.BufferedProtocol):
    """One connection as asyncio sees it; ``channel`` is its TLS, once it has begun."""

    __slots__ = (
        "_buffers", "_where", "channel", "gone", "inbox", "read_paused", "transport", "writing",
    )  # fmt: skip

    def __init__(self, inbox: Inbox, where: str, channel: Channel | None) -> None:
        loop = asyncio.get_running_loop()
        self._buffers = _BUFFERS.get(loop) or _BUFFERS.setdefault(loop, _Buffers())
        self._where = where
        self.inbox = inbox
        self.channel = channel
        self.transport: asyncio.Transport | None = None
        self.writing = Bell()  # rings when more may be written, and at the end
        self.read_paused = self.gone = False

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
        try:
            if self.channel is None:
                self._deliver(data)
            else:
                self._decrypt(self.channel, data)
        except ssl.SSLError as error:
            self.fail(_broken(error, self.channel, self.inbox, self._where))
        except PostroomError as error:
            self.fail(error)

    def eof_received(self) -> bool:
        channel = self.channel
        if channel is None:
            self._finish()
        elif channel.ready:
            # RFC 8446 section 6.1: without close-notify somebody may have cut it short
            self.fail(self.inbox.lost("cut the connection off"))
        else:
            self.fail(explain(EOFError(), self._where, None))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if exc is not None and not isinstance(exc, OSError):
            self.inbox.end(exc)  # not the wire's failure but a mistake in a core: shown as it is
        elif self.channel is not None and not self.channel.ready:
            self.inbox.end(explain(exc or EOFError(), self._where, None))
        else:
            what = "cut the connection off" if exc else "closed the connection"
            self.inbox.end(self.inbox.lost(what))
        self.writing.ring()

    def resume_writing(self) -> None:
        self.writing.ring()

    # ------------------------------------------------------------------- called by the pump

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send; encrypted where TLS is on.  Nothing leaves on a connection that is over."""
        if self.inbox.error is not None or self.transport is None:
            return
        if self.channel is None:
            self.transport.write(data)
            return
        try:
            self.transport.write(self.channel.encrypt(data))
        except ssl.SSLError as error:
            self.fail(explain(error, self._where, None))

    def begin_tls(self, channel: Channel) -> None:
        """From here on every byte is TLS; the inbox's bell rings when the handshake is over."""
        self.channel = channel
        try:
            self._shake(channel)
        except ssl.SSLError as error:
            self.fail(explain(error, self._where, None))

    def take(self) -> list[Any]:
        """The events that wait, at least one; reading goes on if it was paused."""
        events = self.inbox.take()
        if self.read_paused and self.transport is not None and self.inbox.error is None:
            self.read_paused = False
            self.transport.resume_reading()
        return events

    def fail(self, error: BaseException) -> None:
        """End the connection at once; ``error`` is what it says from then on."""
        self.inbox.end(error)
        if self.transport is not None:
            self.transport.abort()
        self.writing.ring()

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
        if filled:
            self._deliver(plain[:filled])
        if channel.closed:
            self._finish()
        elif (answer := channel.outgoing()) and self.transport is not None:
            self.transport.write(answer)  # a new key, RFC 8446 section 4.6.3

    def _shake(self, channel: Channel) -> bool:
        try:
            over = channel.handshake()
        finally:
            # with an error, this is the alert that tells the other side why
            if (data := channel.outgoing()) and self.transport is not None:
                self.transport.write(data)
        if over:
            self.inbox.bell.ring()
        return over

    def _deliver(self, data: memoryview) -> None:
        self.inbox.feed(data)
        if self.inbox.full and not self.read_paused and self.transport is not None:
            self.read_paused = True
            self.transport.pause_reading()
            self.writing.ring()  # who waits in drain() has to take events first

    def _finish(self) -> None:
        try:
            self.inbox.finish()
        except PostroomError as error:
            self.inbox.end(error)
        if self.transport is not None:
            self.transport.abort()
        self.writing.ring()


def _broken(
    error: ssl.SSLError, channel: Channel | None, inbox: Inbox, where: str
) -> PostroomError:
    """What it means.  After the handshake only an alert still speaks of that (TLS 1.3 refuses a
    client certificate so late); all else is a session that broke off, as when Exim says in the
    clear why it hangs up.  Not a byte of that is believed or shown.
    """
    begun = channel is not None and channel.ready
    if begun and "ALERT" not in (error.reason or ""):
        return inbox.lost("broke the TLS session off")
    return explain(error, where, None)
