"""One SMTP connection as a dialogue: lines out, answers in, in order (RFC 5321, 4.5.3.2)."""

from __future__ import annotations

from collections import deque

from postroom.errors import ProtocolError, WireError
from postroom.protocols.base import Limits, Reply
from postroom.protocols.pump import Pump
from postroom.protocols.smtp.machine import Answer
from postroom.protocols.smtp.replies import explain, reply_of

__all__ = ["Dialogue", "said"]

END_OF_DATA = 10
"""The answer to the final dot may take ten times as long as others: RFC 5321, 4.5.3.2.6 asks for
ten minutes, because giving up sooner makes duplicates (RFC 1047)."""


class Dialogue:
    """The pump with what SMTP needs: writes are gathered, answers are taken one by one."""

    def __init__(self, pump: Pump, limits: Limits) -> None:
        self.pump = pump
        self.failure: WireError | None = None
        """Why this connection is good for nothing any more; None while it is alive."""
        self._timeout = limits.reply_timeout
        self._answers: deque[Answer] = deque()
        self._out: list[bytes] = []
        self._shown: list[bytes] = []

    def put(self, line: bytes) -> None:
        """Add a command to what :meth:`flush` writes in one go."""
        self._out.append(line)
        self._shown.append(line)

    def put_content(self, data: bytes) -> None:
        """Add content, of which the transcript keeps nothing."""
        self._out.append(data)

    def put_secret(self, line: bytes, shown: bytes) -> None:
        """Add a line that the transcript shows as another."""
        self._out.append(line)
        self._shown.append(shown)

    def flush(self) -> None:
        """Hand what was gathered to the socket."""
        if self._out:
            data, shown = b"".join(self._out), b"".join(self._shown)
            self._out, self._shown = [], []
            self.pump.write(data, shown=shown)

    async def drain(self) -> None:
        """Flush, and wait until the socket took most of it.

        Raises WireError on a dead connection.
        """
        self.flush()
        try:
            await self.pump.drain()
        except WireError as error:
            raise self.dead(error) from None

    async def answer(self, step: str, *, end_of_data: bool = False) -> Answer:
        """The next answer; ``step`` names it in errors.

        Raises WireError, and remembers that as the end of this connection.
        """
        self.flush()
        self.pump.step = step
        while not self._answers:
            timeout = self._timeout * END_OF_DATA if end_of_data else self._timeout
            try:
                self._answers.extend(await self.pump.next(timeout))
            except WireError as error:
                raise self.dead(error) from None
        return self._answers.popleft()

    async def ask(self, command: bytes, step: str) -> Answer:
        """Write one command and wait for its answer; raises as :meth:`answer`."""
        self.put(command)
        return await self.answer(step)

    async def listen(self, step: str) -> None:
        """Between two messages: an answer to nothing we asked is the server's farewell (421).

        Raises WireError for that, and ProtocolError when it is anything else: all order is lost.
        """
        if not self._answers and not await self.pump.ready(0):
            return
        reply = self.reply(await self.answer(step), step)
        raise self.closing(reply) if reply.code == 421 else self.disordered(reply)

    def reply(self, answer: Answer, step: str) -> Reply:
        """The answer as a Reply, scrubbed of this session's secrets."""
        return reply_of(answer, step, self.pump.scrubber.text)

    def closing(self, reply: Reply) -> WireError:
        """The server said 421: nothing more is to be had on this connection."""
        return self.dead(
            WireError(
                f"{self.pump.where} is closing the connection.",
                code="connection_lost",
                hint="Try again; if it stays so, it may limit how much one connection sends.",
                step=reply.step,
                said=said(reply),
                temporary=True,
                worn_out=True,
            )
        )

    def disordered(self, reply: Reply) -> WireError:
        """A reply that cannot stand here."""
        return self.dead(
            ProtocolError(
                f"{self.pump.where} answered something that was not asked.",
                hint="Somebody may be changing what is sent, or the server is broken.",
                step=reply.step,
                said=said(reply),
            )
        )

    def refused(self, what: str, reply: Reply) -> WireError:
        """The server said no to a step that nothing goes on without; ``what`` says which."""
        sentence, hint = explain(reply)
        temporary = reply.state == "deferred"
        return WireError(
            f"{self.pump.where} {what}: {sentence[0].lower()}{sentence[1:]}",
            code="deferred" if temporary else "rejected",
            hint=hint,
            step=reply.step,
            said=said(reply),
            temporary=temporary,
        )

    async def start_tls(self, answer: Answer) -> None:
        """TLS from here on; ``answer`` must be the last thing the server said in the clear."""
        await self.pump.start_tls(None if self._answers else answer)

    def dead(self, error: WireError) -> WireError:
        """Remember why, close at once, and give the error back to be raised."""
        if self.failure is None:
            self.failure = error
        self.pump.abandon()
        return error


def said(reply: Reply) -> str:
    """The reply as one line of text: ``550 5.1.1 Nobody of that name here``."""
    return " ".join(filter(None, (str(reply.code), reply.enhanced, reply.text)))
