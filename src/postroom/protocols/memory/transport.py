"""base.Transport in memory: it refuses and loses as the SMTP one does, from the same rules."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Sequence

from postroom.errors import PostroomError, WireError
from postroom.protocols.base import Envelope, Outcome, Reply, SignIn, Submission
from postroom.protocols.memory.server import MemoryServer, Submitted
from postroom.protocols.smtp.machine import Capabilities
from postroom.protocols.smtp.transaction import Transaction, prepare

__all__ = ["MemoryTransport", "open_transport"]

_ACCEPTED = Reply("accepted", 250, "2.0.0", "taken", "end-of-data")


class MemoryTransport:
    """base.Transport into a MemoryServer."""

    def __init__(self, server: MemoryServer) -> None:
        self.max_size = server.max_size
        self._server = server
        self._failure: WireError | None = None
        can: dict[str, tuple[str, ...]] = {name: () for name in server.extensions}  # noqa: C420
        if server.max_size:
            can["SIZE"] = (str(server.max_size),)
        self._can = Capabilities(can)

    async def submit(self, submissions: Sequence[Submission]) -> AsyncGenerator[Outcome, None]:
        """Submit in order; one outcome for each."""
        waiting = deque(submissions)
        while waiting:
            submission = waiting.popleft()
            if self._failure is not None:
                yield Outcome(submission.id, "untouched", [], self._failure)
                continue
            made = prepare(submission, self._can)
            yield made if isinstance(made, Outcome) else await self._submit(made)

    async def _submit(self, made: Transaction) -> Outcome:
        server, submission = self._server, made.submission
        error: PostroomError | None = None
        try:
            server.reach("mail")
            made.mail_said(_ACCEPTED)
            for position, address in enumerate(submission.envelope.recipients):
                server.reach("rcpt")
                made.rcpt_said(position, server.replies.get(address, _ACCEPTED))
            if made.wanted:
                if submission.before_data is not None:
                    await submission.before_data()
                server.reach("data")
                self._arrive(made)
                made.dotted = True
                server.reach("end-of-data")
                made.end_said(_ACCEPTED)
        except WireError as failure:
            self._failure = error = failure
        except PostroomError as refused:  # from before_data: this message only
            error = refused
        return made.outcome(error)

    def _arrive(self, made: Transaction) -> None:
        server, submission = self._server, made.submission
        taken = tuple(
            address
            for address, reply in zip(submission.envelope.recipients, made.replies, strict=True)
            if reply is None
        )
        content = submission.content.bytes()
        server.submitted.append(Submitted(Envelope(submission.envelope.sender, taken), content))
        if server.deliver:
            server.put(content)

    async def check(self) -> None:
        """Raises WireError when the connection is gone."""
        if self._failure is None:
            try:
                self._server.reach("check")
            except WireError as failure:
                self._failure = failure
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Say goodbye."""
        self.abandon()

    def abandon(self) -> None:
        """Close at once."""
        if self._failure is None:
            self._failure = WireError(
                "The connection is closed.", code="connection_lost", temporary=True
            )


async def open_transport(server: MemoryServer, sign_in: SignIn | None = None) -> MemoryTransport:
    """Connect and sign in.  Raises what the server was told to raise, and SignInError."""
    server.enter(sign_in or SignIn())
    return MemoryTransport(server)
