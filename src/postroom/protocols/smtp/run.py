"""Submitting many messages over one connection: pipelined in groups (RFC 2920), or in lock-step.

Pipelined, one write holds the content of a message, its final dot and the next message's MAIL, RCPT
and DATA: one round trip a message.  While a group is on its way the next message is prepared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from postroom.errors import WireError
from postroom.protocols.base import Outcome, Reply, Submission
from postroom.protocols.content import chunks
from postroom.protocols.smtp import commands
from postroom.protocols.smtp.dialogue import Dialogue
from postroom.protocols.smtp.machine import Capabilities
from postroom.protocols.smtp.transaction import Transaction
from postroom.protocols.smtp.waiting import Waiting
from postroom.protocols.smtp.wireform import END, Stuffer, stuffed

__all__ = ["Run"]

# In the form of a reply, so that the many accepted MAIL and RCPT cost no parsing.
_ACCEPTED: Final = Reply("accepted", 250)
_GO: Final = Reply("accepted", 354)
_SHOWN: Final = 20
"""Messages of a run that are shown in the transcript; of the rest only the amount is."""


class Run:
    """One call of ``submit``: gives one outcome for each submission, whatever happens."""

    def __init__(
        self,
        dialogue: Dialogue,
        server: Capabilities,
        submissions: Sequence[Submission],
        room: int | None,
    ) -> None:
        """``room`` is how many more messages this connection may carry; None: any number."""
        self._dialogue = dialogue
        self._waiting = Waiting(submissions, server, room)
        self._current: Transaction | None = None
        self._following: Transaction | None = None
        self._reset = False  # the server still holds a transaction that was not ended
        self._pipelined = "PIPELINING" in server

    @property
    def sent(self) -> int:
        """How many messages were begun on the wire."""
        return self._waiting.taken

    @property
    def finished(self) -> bool:
        """Whether every outcome was given, so that the connection is between two messages."""
        return not (self._waiting or self._current or self._following)

    async def next(self) -> Outcome | None:
        """The next outcome; None when all were given."""
        known = self._waiting.known
        if not known:
            if self._dialogue.failure is not None:
                self._give_up(self._dialogue.failure)
            else:
                try:
                    await (self._pipelined_round() if self._pipelined else self._single_round())
                except WireError as error:
                    self._give_up(self._dialogue.dead(error))
        return known.popleft() if known else None

    def _give_up(self, error: WireError) -> None:
        """The connection is gone: say of each message how far it came."""
        for transaction in (self._current, self._following):
            if transaction is not None:
                self._waiting.known.append(transaction.outcome(error))
        self._current = self._following = None
        self._waiting.give_up(error)

    async def _take(self) -> Transaction | None:
        made = await self._waiting.take(ask=self._pipelined)
        if self.sent >= _SHOWN:
            self._dialogue.pump.transcript.quiet = True
        return made

    # ------------------------------------------------------------------ pipelined

    async def _pipelined_round(self) -> None:
        current = self._current
        if current is None:
            current = self._current = await self._take()
            if current is None:
                return
            self._put_group(current)
            self._dialogue.flush()
        self._following = await self._take()
        await self._read_group(current)
        if current.going:
            await self._put_content(current)
        elif current.hollow:
            self._dialogue.put(END)
        self._reset = current.opened and not current.going
        if self._following is not None:
            self._put_group(self._following)
        await self._read_end(current)
        self._waiting.known.append(current.outcome())
        self._current, self._following = self._following, None

    def _put_group(self, made: Transaction) -> None:
        if self._reset:
            self._dialogue.put(commands.RSET)
            made.resets = True
        self._dialogue.put(made.mail)
        for line in made.rcpts:
            self._dialogue.put(line)
        self._dialogue.put(commands.DATA)

    async def _read_group(self, made: Transaction) -> None:
        if made.resets:
            await self._read_reset()
        made.mail_said(await self._reply("mail"))
        for position, line in enumerate(made.rcpts):
            if line:
                made.rcpt_said(position, await self._reply("rcpt"))
        made.data_said(await self._reply("data"))

    # ------------------------------------------------------------------ lock-step

    async def _single_round(self) -> None:
        made = self._current = await self._take()
        if made is None:
            return
        if self._reset:
            self._dialogue.put(commands.RSET)
            await self._read_reset()
            self._reset = False
        made.mail_said(await self._ask(made.mail, "mail"))
        for position, line in enumerate(made.rcpts):
            if line and made.opened:
                made.rcpt_said(position, await self._ask(line, "rcpt"))
        if made.opened and made.wanted:
            if not await self._waiting.allowed(made):
                self._reset, self._current = True, None
                return
            made.data_said(await self._ask(commands.DATA, "data"))
        if made.going:
            await self._put_content(made)
        self._reset = made.opened and not made.going
        await self._read_end(made)
        self._waiting.known.append(made.outcome())
        self._current = None

    # ------------------------------------------------------------------ both

    async def _put_content(self, made: Transaction) -> None:
        """The content and its final dot; of a small one nothing is flushed yet."""
        await self._dialogue.drain()  # on a dead connection the message stays untouched
        if made.data is not None:
            self._dialogue.put_content(stuffed(made.data, tidy=made.examination.tidy))
        else:
            stuffer = Stuffer()
            for piece in chunks(made.submission.content):
                self._dialogue.put_content(stuffer.feed(piece))
                await self._dialogue.drain()
            self._dialogue.put_content(stuffer.end())
        if not await self._waiting.allowed(made):
            self._current = None  # its outcome is known
            raise _taken_back()
        # from here on the dot may be on its way, even if this process only thinks of flushing it
        made.dotted = True
        self._dialogue.put(END)

    async def _read_end(self, made: Transaction) -> None:
        if not (made.going or made.hollow):
            self._dialogue.flush()
            return
        made.end_said(await self._reply("end-of-data"))

    async def _ask(self, line: bytes, step: str) -> Reply:
        self._dialogue.put(line)
        return await self._reply(step)

    async def _read_reset(self) -> None:
        reply = self._dialogue.reply(await self._dialogue.answer("rset"), "rset")
        if reply.state in ("deferred", "rejected"):  # it cannot be refused (RFC 5321, 4.1.1.5):
            raise self._dialogue.closing(reply)  # Exim's 554 after its tenth, and it hangs up
        if reply.code // 100 != 2:
            raise self._dialogue.disordered(reply)

    async def _reply(self, step: str) -> Reply:
        """The reply to one command of the current message.

        421 decides that message (tried again) and ends the connection; 2yz to DATA and 3yz to
        anything else are answers out of step.
        """
        answer = await self._dialogue.answer(step, end_of_data=step == "end-of-data")
        kind = answer.code // 100
        if kind == 2 and step in ("mail", "rcpt"):
            return _ACCEPTED
        if answer.code == 354 and step == "data":
            return _GO
        reply = self._dialogue.reply(answer, step)
        if answer.code == 421 and self._current is not None:
            self._current.end_said(reply)
            raise self._dialogue.closing(reply)
        if kind == 3 or (kind == 2 and step != "end-of-data"):
            raise self._dialogue.disordered(reply)
        return reply


def _taken_back() -> WireError:
    """The message whose DATA has begun must not be sent: only a connection that ends says that."""
    return WireError(
        "A message was not ours to send any more, so the connection was ended.",
        code="connection_lost",
        hint="The rest goes over a new connection.",
        step="send",
        temporary=True,
        worn_out=True,
    )
