"""The one pump under all wires: bytes between a socket and a pure protocol core, in asyncio.

It owns the connection, TLS, time-outs, back-pressure and the transcript; the core owns the protocol
and its limits on lines and literals.  Foreign errors are translated here and in ``wire``, once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, Final

from postroom import clock
from postroom.errors import PostroomError, ProtocolError, WireError
from postroom.net.certificates import (
    CertificateFacts,
    certificate_facts,
    handshake_timed_out,
    only_looked,
)
from postroom.net.dial import Dialed, Resolve, Step, dial
from postroom.net.names import canonical_host, host_and_port
from postroom.net.tls import Channel
from postroom.protocols.base import WireTarget
from postroom.protocols.inbox import Core, Inbox
from postroom.protocols.transcript import Transcript
from postroom.protocols.wire import HIGH_WATER, Wire
from postroom.secret import Scrubber

__all__ = ["Core", "PeerFacts", "Pump", "open_pump", "told"]


LONGEST_SAID: Final = 500  # characters; more is cut


class PeerFacts:
    """Who is on the other side: its address, and of TLS the version, cipher and certificate."""

    __slots__ = ("_der", "address", "cipher", "tls_version")

    def __init__(self, address: str) -> None:
        self.address = address
        self.tls_version = ""
        self.cipher = ""
        self._der: bytes | None = None

    @property
    def certificate(self) -> CertificateFacts | None:
        """The facts of its own certificate, read when asked for; None without TLS."""
        return None if self._der is None else certificate_facts(self._der)

    def learn(self, channel: Channel) -> None:
        """Note what the handshake showed."""
        self.tls_version, self.cipher = channel.version, channel.cipher
        self._der = channel.certificate()


async def open_pump(
    core: Core,
    target: WireTarget,
    *,
    scrubber: Scrubber | None = None,
    resolve: Resolve | None = None,
) -> Pump:
    """Dial the target and, with security ``tls``, speak TLS at once.

    Raises InvalidValue, DialError, TlsError; the facts of the last two hold the ``steps`` that
    succeeded, as lists of name, seconds and detail.
    """
    host = canonical_host(target.route.host)
    channel = Channel(target.tls, host) if target.security == "tls" else None
    dialed = await dial(target.route, timeout=target.limits.connect_timeout, resolve=resolve)
    pump = Pump(core, target, dialed, channel, scrubber or Scrubber())
    try:
        await pump.attach(dialed)
    except BaseException as error:
        pump.abandon()
        dialed.sock.close()
        if isinstance(error, PostroomError):
            error.facts["steps"] = [step.as_json() for step in pump.steps]
        raise
    return pump


class Pump:
    """An open connection under a core.  One task reads from it; another may write.

    ``step`` is the word (``greeting``, ``sign-in``, ...) that errors born here carry; its owner
    keeps it current.  After an error the connection is dead and every ``next`` raises that error.
    """

    def __init__(
        self,
        core: Core,
        target: WireTarget,
        dialed: Dialed,
        channel: Channel | None,
        scrubber: Scrubber,
    ) -> None:
        self.host = canonical_host(target.route.host)
        self.where = host_and_port(self.host, target.route.port)
        self.scrubber = scrubber
        self.transcript = Transcript(scrubber)
        self.peer = PeerFacts(dialed.address)
        self.steps: list[Step] = dialed.steps
        self.step = "greeting"
        self._target = target
        self._until: float | None = None
        self._inbox = Inbox(core, self.where, self.transcript, target.limits.in_flight)
        self._wire = Wire(self._inbox, self.where, channel)
        self._loop = asyncio.get_running_loop()

    async def attach(self, dialed: Dialed) -> None:
        """Take over the dialled socket and finish the TLS handshake, if there is to be one."""
        began = clock.monotonic()
        await self._loop.create_connection(lambda: self._wire, sock=dialed.sock)
        if self._wire.channel is not None:
            await self._finish_tls(self._wire.channel, began)

    # ------------------------------------------------------------------- talking

    def write(self, data: bytes | bytearray | memoryview, *, shown: bytes | None = None) -> None:
        """Queue bytes for the other side; never blocks.  On a dead connection it does nothing: the
        error comes with the next :meth:`next`.  The transcript holds ``shown`` in place of the
        data, if given.
        """
        self.transcript.sent(data if shown is None else shown)
        self._wire.write(data)

    async def drain(self) -> None:
        """Wait while more than 256 KiB are queued.

        Returns early when so many events wait that reading is paused: take them first, else both
        sides would wait for each other.  Raises WireError as :meth:`next` does.
        """
        wire, inbox = self._wire, self._inbox
        until = self._deadline(None)
        while self.queued > HIGH_WATER and inbox.error is None and not wire.read_paused:
            if not await wire.writing.wait(until):
                wire.fail(self._timed_out("take what was sent", None))
        if inbox.error is not None and not inbox.events:
            raise told(self, inbox.error)

    @property
    def queued(self) -> int:
        """Bytes written that the system has not taken yet."""
        transport = self._wire.transport
        return 0 if transport is None else transport.get_write_buffer_size()

    async def next(self, timeout: float | None = None) -> list[Any]:
        """Every event that is there, in order; waits until there is at least one.

        ``timeout`` (seconds, default ``limits.reply_timeout``) ends the connection when no event is
        complete by then, however many bytes dripped in.  Raises WireError ``timed_out`` or
        ``connection_lost`` (both temporary), TlsError, or the core's ProtocolError.
        """
        wire, inbox = self._wire, self._inbox
        if (self._until is not None and self._loop.time() >= self._until) or not (
            inbox.events or inbox.error is not None or await self.ready(timeout)
        ):
            inbox.events.clear()
            wire.fail(self._timed_out("answer", timeout))
        if inbox.error is not None and not inbox.events:
            raise told(self, inbox.error)
        return wire.take()

    async def ready(self, timeout: float | None = None) -> bool:
        """Whether :meth:`next` has something to say, waiting that long for it.  Unlike ``next`` it
        leaves the connection as it is when nothing comes: for IDLE.
        """
        inbox = self._inbox
        until = self._deadline(timeout)
        while not inbox.events and inbox.error is None:
            if not await inbox.bell.wait(until):
                return bool(inbox.events or inbox.error is not None)
        return True

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """A limit on all waiting inside the block together, so that endless answers end too."""
        before = self._until
        mine = self._loop.time() + seconds
        self._until = mine if before is None else min(mine, before)
        try:
            yield
        finally:
            self._until = before

    # ------------------------------------------------------------------- TLS

    async def start_tls(self, reply: object) -> None:
        """Speak TLS from here on, after the other side said yes to STARTTLS.

        ``reply`` is the event that said so, the very object: it must be the last one there is.
        Raises ProtocolError when anything, even part of a line, came behind it in the clear (RFC
        3207 section 6; what somebody between put there would be believed later); TlsError as
        :func:`open_pump`.
        """
        wire, inbox = self._wire, self._inbox
        if inbox.events or not inbox.at_line_end or reply is not inbox.last:
            error = ProtocolError(
                f"{self.where} sent more behind its answer to STARTTLS.",
                hint="Somebody may be changing what is sent; use security tls if the server has "
                "it, and ask its administrator.",
                step="tls",
            )
            inbox.events.clear()
            wire.fail(error)
            raise error
        if inbox.error is not None:
            raise told(self, inbox.error)
        began = clock.monotonic()
        channel = Channel(self._target.tls, self.host)
        wire.begin_tls(channel)
        await self._finish_tls(channel, began)

    async def _finish_tls(self, channel: Channel, began: float) -> None:
        wire, inbox = self._wire, self._inbox
        seconds = self._target.limits.connect_timeout
        until = self._loop.time() + seconds
        while not channel.ready and inbox.error is None:
            if not await inbox.bell.wait(until):
                wire.fail(handshake_timed_out(self.where, seconds))
        if channel.ready and self._target.tls.look_only:
            self.abandon()
            raise only_looked(self.where, channel.chain())
        if inbox.error is not None:
            raise told(self, inbox.error)
        self.peer.learn(channel)
        detail = f"{self.peer.tls_version} {self.peer.cipher}"
        self.steps.append(Step("tls", clock.monotonic() - began, detail, channel.certificate()))
        self.transcript.note(f"TLS begins: {detail}")

    # ------------------------------------------------------------------- the end

    async def close(self, timeout: float = 2.0) -> None:
        """Send what is queued, say close-notify, close.  Never raises; at most ``timeout`` s."""
        wire, inbox = self._wire, self._inbox
        transport = wire.transport
        if transport is None or wire.gone:
            return
        if inbox.error is None:
            if wire.channel is not None:
                transport.write(wire.channel.close())
            inbox.error = self._closed()
            transport.close()
        until = self._loop.time() + timeout
        while not wire.gone:
            if not await wire.writing.wait(until):
                transport.abort()
                return

    def abandon(self) -> None:
        """Close at once, without a word.  Never raises."""
        if self._inbox.error is None:
            self._wire.fail(self._closed())

    # ------------------------------------------------------------------- errors

    def _deadline(self, timeout: float | None) -> float:
        seconds = self._target.limits.reply_timeout if timeout is None else timeout
        until = self._loop.time() + seconds
        return until if self._until is None else min(until, self._until)

    def _closed(self) -> WireError:
        return WireError(
            f"The connection to {self.where} is closed.", code="connection_lost", temporary=True
        )

    def _timed_out(self, what: str, timeout: float | None) -> WireError:
        seconds = self._target.limits.reply_timeout if timeout is None else timeout
        return WireError(
            f"{self.where} did not {what} within {seconds:g} s.",
            code="timed_out",
            hint="Try again; if it stays so, the server is overloaded or something between stalls.",
            temporary=True,
            step=self.step,
            said=self.transcript.last_said(),
        )


def told(pump: Pump, error: BaseException) -> BaseException:
    """The error with the pump's step, and without this session's secrets.

    What was said is cut here, not by who read it: half a secret would not be found.
    """
    if isinstance(error, WireError):
        error.step = error.step or pump.step
        error.said = pump.scrubber.text(error.said)[:LONGEST_SAID]
        error.sentence = pump.scrubber.text(error.sentence)
        error.args = (error.sentence,)
    return error
