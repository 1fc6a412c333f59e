"""The SMTP transport: an open, signed-in connection that submits (RFC 6409, RFC 5321)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence

from postroom.errors import WireError
from postroom.protocols.base import Outcome, SignIn, Submission, WireTarget
from postroom.protocols.pump import Pump
from postroom.protocols.smtp import commands
from postroom.protocols.smtp.dialogue import Dialogue
from postroom.protocols.smtp.machine import Capabilities
from postroom.protocols.smtp.opening import OnStep, open_dialogue
from postroom.protocols.smtp.run import Run

__all__ = ["SmtpTransport", "open_transport"]


class SmtpTransport:
    """base.Transport over SMTP."""

    def __init__(self, dialogue: Dialogue, server: Capabilities) -> None:
        self.capabilities = server
        self.max_size = server.size
        self._dialogue = dialogue
        self._sent = 0

    @property
    def max_messages(self) -> int:
        """How many messages one connection may carry (LIMITS, RFC 9422); 0: not said."""
        return self.capabilities.messages

    @property
    def pump(self) -> Pump:
        """The connection: steps, peer, transcript."""
        return self._dialogue.pump

    async def submit(self, submissions: Sequence[Submission]) -> AsyncGenerator[Outcome, None]:
        """Submit in order, pipelined where the server offers it; one outcome for each.

        A loop that is left early ends the connection: a message may be half sent.
        """
        room = self.max_messages - self._sent if self.max_messages else None
        run = Run(self._dialogue, self.capabilities, submissions, room)
        try:
            if self._dialogue.failure is None:
                with contextlib.suppress(WireError):  # the run says it of every message
                    await self._dialogue.listen("send")
            while (outcome := await run.next()) is not None:
                yield outcome
        finally:
            self._sent += run.sent
            self._dialogue.pump.transcript.quiet = False
            if not run.finished:
                self.abandon()

    async def check(self) -> None:
        """One round trip (NOOP); raises WireError when the connection is gone."""
        dialogue = self._dialogue
        if dialogue.failure is not None:
            raise dialogue.failure
        await dialogue.listen("send")
        reply = dialogue.reply(await dialogue.ask(commands.NOOP, "send"), "send")
        if reply.code in (421, 554):  # 554: Exim after ten commands that are not about a message
            raise dialogue.closing(reply)

    async def try_sender(self, address: str) -> None:
        """MAIL FROM and RSET: would this sender be let in?  Nothing is sent (the doctor asks).

        Raises WireError (``rejected`` or ``deferred``) with what the server said, and InvalidValue.
        """
        await self.check()
        line = commands.mail(address, utf8=not address.isascii())
        reply = self._dialogue.reply(await self._dialogue.ask(line, "mail"), "mail")
        await self._dialogue.ask(commands.RSET, "rset")
        if reply.state != "accepted":
            raise self._dialogue.refused("does not let this sender in", reply)

    async def close(self) -> None:
        """QUIT and close; errors while saying goodbye are nobody's business."""
        if self._dialogue.failure is None:
            with contextlib.suppress(WireError), self._dialogue.pump.within(2.0):
                await self._dialogue.ask(commands.QUIT, "close")
        await self._dialogue.pump.close()

    def abandon(self) -> None:
        """Close at once, without a word.  Never raises."""
        self._dialogue.dead(
            WireError("The connection was given up.", code="connection_lost", temporary=True)
        )


async def open_transport(
    target: WireTarget, sign_in: SignIn, *, hello: str = "", on_step: OnStep | None = None
) -> SmtpTransport:
    """Dial, secure, greet and sign in.

    ``hello`` is the name said in EHLO (a host name or an address literal; default
    ``[127.0.0.1]``, which says nothing about this machine).  ``on_step`` hears of each step as it
    ends: resolve, connect, proxy, tls, greeting, ehlo, sign-in.  Raises InvalidValue before
    anything is dialled, DialError, TlsError, SignInError, ProtocolError and other WireErrors.
    """
    dialogue, server = await open_dialogue(target, sign_in, hello, on_step)
    return SmtpTransport(dialogue, server)
