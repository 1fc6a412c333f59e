"""The submissions of one run that are not on the wire yet, and the outcomes that are known already."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from postroom.errors import PostroomError, WireError
from postroom.protocols.base import Outcome, Submission
from postroom.protocols.smtp.machine import Capabilities
from postroom.protocols.smtp.transaction import Transaction, prepare

__all__ = ["Waiting"]


class Waiting:
    """Gives one message after another that this server can take."""

    def __init__(
        self, submissions: Sequence[Submission], server: Capabilities, room: int | None
    ) -> None:
        """``room`` is how many more messages this connection may carry; None: any number."""
        self.known: deque[Outcome] = deque()
        self.taken = 0
        self._room = room
        self._server = server
        self._submissions = deque(submissions)

    def __bool__(self) -> bool:
        return bool(self._submissions or self.known)

    async def take(self, *, ask: bool) -> Transaction | None:
        """The next message that fits this server; the outcomes of others are known at once.

        With ``ask`` its ``before_data`` is awaited, and one that it refuses is passed over.
        """
        while self._submissions:
            if self._room is not None and self.taken >= self._room:
                self.give_up(_full())
                return None
            made = prepare(self._submissions.popleft(), self._server)
            if isinstance(made, Outcome):
                self.known.append(made)
            elif not ask or await self.allowed(made):
                self.taken += 1
                return made
        return None

    async def allowed(self, made: Transaction) -> bool:
        """Await ``before_data``; what it refuses (a lost claim) is not sent, and known."""
        if made.submission.before_data is None:
            return True
        try:
            await made.submission.before_data()
        except PostroomError as error:
            self.known.append(Outcome(made.submission.id, "untouched", [], error))
            return False
        return True

    def give_up(self, error: WireError) -> None:
        """All that wait stay untouched."""
        self.known.extend(Outcome(s.id, "untouched", [], error) for s in self._submissions)
        self._submissions.clear()


def _full() -> WireError:
    return WireError(
        "The server takes no more messages on this connection.",
        code="deferred",
        hint="The rest goes over a new connection.",
        step="send",
        temporary=True,
        worn_out=True,
    )
