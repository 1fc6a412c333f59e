"""Submitting claimed rows over one open connection, and what is left for a new one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from postroom.clock import timestamp
from postroom.db import Claim, Database, Owe, Tx, write_or_owe
from postroom.errors import Refused, RoomError
from postroom.protocols.base import Envelope, Outcome, Submission, Transport
from postroom.services import contents
from postroom.services import settle as rows
from postroom.services.marking import AHEAD, Marks
from postroom.services.service import Service
from postroom.services.settling import Drained, Settler, all_of

__all__ = ["Line", "give_back", "worn_out"]

HELD: Final = 1 << 20
"""Bytes of contents that are read together with the claims of a batch."""

_Loaded = tuple[dict[str, rows.Recipients], dict[str, bytes]]


def worn_out(outcome: Outcome) -> bool:
    """Whether the server may have had enough of this connection, not of this message (pure).

    Servers limit the messages of one connection: they announce it (LIMITS, RFC 9422), say 421, or
    4yz to MAIL.
    """
    if outcome.state == "untouched":
        return bool(getattr(outcome.error, "facts", {}).get("worn_out"))
    if outcome.state != "answered":
        return False
    replies = [each.reply for each in outcome.recipients]
    return any(one.code == 421 for one in replies) or all(
        one.state == "deferred" and one.step == "mail" for one in replies
    )


async def give_back(
    db: Database,
    claims: Sequence[Claim],
    by_name: Mapping[str, Service],
    *,
    owner: str,
    owe: Owe | None = None,
) -> int:
    """Claims of which nothing is known: free again, or in doubt if DATA may have begun.

    Gives how many are in doubt; of those that are settled nothing is changed.
    """

    def body(tx: Tx) -> int:
        now = timestamp()
        return sum(
            rows.give_back(tx, one, owner=owner, now=now, service=by_name[one.row["service"]])
            for one in claims
        )

    return await write_or_owe(db, body, owe) if claims else 0


class Line:
    """One open connection and the messages that go over it.

    ``stopping`` tells whether a service is held or this process about to end: no further message of
    it is begun then.
    """

    def __init__(
        self,
        db: Database,
        transport: Transport,
        *,
        owner: str,
        stopping: Callable[[str], bool],
        owe: Owe | None = None,
    ) -> None:
        self._db = db
        self._owner = owner
        self._owe = owe
        self.owed: set[str] = set()  # rows of which something is known that is not stored yet
        self._stopping = stopping
        self.transport = transport
        self._carried = False
        self.alive = True
        self.lost: Exception | None = None  # why it is no longer

    async def submit(
        self, claims: Sequence[Claim], by_name: Mapping[str, Service], done: Drained, lines: int = 1
    ) -> list[Claim]:
        """Submit a batch, settling each row as it is known; ``lines`` do so beside each other.

        Gives the rows that a new connection would take: still claimed, untried, in order.
        """
        by_id = {one.id: one for one in claims}
        resend = any(by_name[one.row["service"]].on_ambiguous == "resend" for one in claims)
        ahead = 0 if resend else AHEAD // lines  # what is marked and not begun would be sent twice
        settler = Settler(
            self._db, done, owner=self._owner, lines=lines, owe=self._owe, owed=self.owed
        )
        marks = Marks(self._db, claims, owner=self._owner, ahead=ahead, beside=settler.flush)
        to, held = await self._db.read(lambda tx: _loaded(tx, claims))
        submissions = [self._submission(one, to[one.id], held.get(one.id), marks) for one in claims]
        aside: list[Outcome] = []

        def settle(outcome: Outcome) -> None:
            one = by_id.pop(outcome.id)
            settler.add(one, outcome, to[one.id], by_name[one.row["service"]])

        try:
            async for outcome in self.transport.submit(submissions):
                self.lost = self.lost or outcome.error
                self.alive = self.lost is None
                service = by_id[outcome.id].row["service"]
                if outcome.state == "untouched" and self._stopping(service):
                    continue
                if worn_out(outcome):
                    aside.append(outcome)
                    continue
                claim = by_id[outcome.id]
                settle(outcome)
                if by_name[claim.row["service"]].on_ambiguous == "resend":
                    # durable before the next content goes out: killed, one message is sent twice
                    await settler.finish()
                if any(each.reply.state == "accepted" for each in outcome.recipients):
                    self._carried = True
                    # it takes others: what it refused before was meant for that message
                    for refused in [each for each in aside if each.state == "answered"]:
                        settle(refused)
                        aside.remove(refused)
            while aside and not self._carried:  # a new connection would be told the same
                settle(aside.pop(0))
        except BaseException:
            self.transport.abandon()
            aside.clear()
            raise
        finally:
            rest = [by_id.pop(outcome.id) for outcome in aside]
            try:
                await all_of(marks.finish(), settler.finish())
            finally:
                left = list(by_id.values())
                done.ambiguous += await give_back(self._db, left, by_name, owner=self._owner)
        if rest:
            self.alive = False
            await self._unmark(rest, by_name)
        return rest

    async def _unmark(self, rest: Sequence[Claim], by_name: Mapping[str, Service]) -> None:
        """No DATA of these began; where that cannot be written now, they are owed as free again."""

        def body(tx: Tx) -> None:
            rows.unmark(tx, rest, owner=self._owner)

        def free(tx: Tx) -> None:
            body(tx)
            now = timestamp()
            for one in rest:
                service = by_name[one.row["service"]]
                rows.give_back(tx, one, owner=self._owner, now=now, service=service)

        try:
            await self._db.write(body)
        except RoomError:
            if self._owe is not None:
                self._owe(free)
                self.owed.update(one.id for one in rest)
            raise

    def _unless_stopping(
        self, one: Claim, mark: Callable[[], Awaitable[None]]
    ) -> Callable[[], Awaitable[None]]:
        begun = False

        async def marked() -> None:
            nonlocal begun
            if not begun and self._stopping(one.row["service"]):
                raise Refused("No further message is begun.", temporary=True)
            await mark()
            begun = True

        return marked

    def _submission(
        self, one: Claim, to: rows.Recipients, held: bytes | None, marks: Marks
    ) -> Submission:
        return Submission(
            id=one.id,
            envelope=Envelope(one.row["sender"], tuple(to.waiting)),
            content=contents.StoredContent(self._db, one.id, one.row["size"], held),
            before_data=self._unless_stopping(one, marks.marker(one)),
            utf8=bool(one.row["utf8"]),
            again=one.row["attempts"] > 0 or one.epoch > 1,
        )


def _loaded(tx: Tx, claims: Sequence[Claim]) -> _Loaded:
    """To whom the claims of a batch go, and the contents of the first of them, in two statements."""
    small, room = [], HELD
    for one in claims:
        room -= one.row["size"]
        if room < 0:
            break
        small.append(one.id)
    return rows.recipients_of(tx, [one.id for one in claims]), contents.contents_of(tx, small)
