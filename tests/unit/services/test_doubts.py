"""Rows in doubt of a service that says resend: the ruling, and what it makes of a row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import pytest

from postroom.db import Database
from postroom.errors import PostroomError, WireError
from postroom.protocols.base import Outcome, Recipient
from postroom.services import outbox
from postroom.services.doubts import Evidence, Ruling, resolve, rule
from postroom.services.settling import Drained
from tests.unit.services.desk import Desk, reply, service_of

LOST = WireError("The connection was lost.", code="connection_lost", temporary=True)
DOWN = WireError("Nobody listens there.", code="connect_refused", temporary=True)


@pytest.mark.parametrize(
    ("evidence", "accepted", "over", "ruling"),
    [
        ("found", False, False, "sent"),
        ("found", False, True, "sent"),  # however late
        ("absent", False, False, "resend"),
        ("absent", False, True, "hold"),  # not for ever
        ("found", True, False, "resend"),  # the copy may be of the time it was taken for others
        ("found", True, True, "hold"),
        ("unknown", False, False, "wait"),
        ("unknown", True, False, "wait"),
        ("unknown", False, True, "hold"),
    ],
)
def test_the_ruling(evidence: Evidence, accepted: bool, over: bool, ruling: Ruling) -> None:
    """Found: sent. Not there: again. Not known: look again. With ``hold`` always a person."""
    assert rule("resend", evidence, accepted=accepted, over=over) == ruling
    assert rule("hold", evidence, accepted=accepted, over=over) == "hold"


class Doubtful:
    """One row in doubt whose service says resend, and a Sent folder."""

    def __init__(self, desk: Desk, there: Collection[str] | PostroomError = ()) -> None:
        desk.service = service_of(on_ambiguous="resend", retry={"min": "1s", "max": "1s"})
        self.desk = desk
        self.there = there
        self.told: Evidence = "found"
        self.done = Drained()

    async def make(self, *to: str, outcome: Callable[[str], Outcome] | None = None) -> str:
        item = await self.desk.add(*(to or ("a@x.example",)))
        [one] = await self.desk.claim()
        await self.desk.submitting(one)
        made = outcome(one.id) if outcome else Outcome(one.id, "ambiguous", [], LOST)
        assert await self.desk.settle(one, made) == "ambiguous"
        return item

    async def look(self, connection: str, message_ids: Sequence[str]) -> Mapping[str, Evidence]:
        if isinstance(self.there, PostroomError):
            raise self.there
        return dict.fromkeys(self.there, self.told)

    async def resolve(self) -> int:
        """As if its time had come."""
        await self.desk.db.write(lambda tx: tx.execute("UPDATE outbox SET due_at = 0"))
        named = {"orders-out": self.desk.service}
        return await resolve(
            self.desk.db, "acme", named, owner="me", item="", look=self.look, done=self.done
        )


async def test_what_was_found_is_sent_and_says_why(desk: Desk, db: Database) -> None:
    """The row and its recipient are sent, with the reason and an attempt."""
    doubt = Doubtful(desk, there=["<1@acme.example>"])
    item = await doubt.make()
    before = await desk.show(item)
    assert (before.state, before.finished) == ("ambiguous", False)
    assert await desk.claim(later=100) == [], "never sent before somebody has looked"
    assert await doubt.resolve() == 0
    found = await desk.show(item)
    assert (found.state, found.recipients[0].state, found.finished) == ("sent", "sent", True)
    assert "Sent folder" in found.reason
    assert [one["outcome"] for one in db.read_now(lambda tx: outbox.attempts(tx, item))] == [
        "ambiguous", "sent",
    ]  # fmt: skip
    assert doubt.done.sent == 1


async def test_what_is_not_there_is_due_again(desk: Desk) -> None:
    """For those in doubt and those that still wait; who was refused is not asked again."""
    doubt = Doubtful(desk)
    refused = [Recipient("b@x.example", reply(550)), Recipient("c@x.example", reply(450))]
    item = await doubt.make(
        "a@x.example", "b@x.example", "c@x.example",
        outcome=lambda one: Outcome(one, "ambiguous", refused, LOST),
    )  # fmt: skip
    assert await desk.states(item) == ["ambiguous", "failed", "deferred"]
    assert await doubt.resolve() == 1
    assert await desk.states(item) == ["deferred", "failed", "deferred"]
    [again] = await desk.claim(later=10)
    assert await desk.settle(again, desk.answered(again, a=250, c=250)) == "failed"


async def test_evidence_that_says_nothing_is_looked_for_again(desk: Desk) -> None:
    doubt = Doubtful(desk, there=["<1@acme.example>"])
    doubt.told = "unknown"
    item = await doubt.make()
    assert await doubt.resolve() == 0
    found = await desk.show(item)
    assert (found.state, found.finished) == ("ambiguous", False)
    assert "neither in the Sent folder nor among the drafts" in found.reason


async def test_a_copy_of_an_earlier_time_proves_nothing(desk: Desk) -> None:
    """Taken for one recipient first, in doubt for the other: the copy in Sent is of the first."""
    doubt = Doubtful(desk, there=["<1@acme.example>"])
    await desk.add("a@x.example", "b@x.example")
    [one] = await desk.claim()
    await desk.settle(one, desk.answered(one, a=250, b=450))
    [one] = await desk.claim(later=3600)
    await desk.settle(one, Outcome(one.id, "ambiguous", [], LOST))
    assert await doubt.resolve() == 1


async def test_what_could_not_be_looked_for_waits(desk: Desk) -> None:
    """Nothing is sent, the reason is said, and somebody looks again; in the end a person decides."""
    doubt = Doubtful(desk, there=DOWN)
    item = await doubt.make()
    assert await doubt.resolve() == 0
    found = await desk.show(item)
    assert (found.state, found.finished) == ("ambiguous", False)
    assert "Nobody listens there." in found.reason
    assert doubt.done.error is DOWN
    await desk.db.write(lambda tx: tx.execute("UPDATE outbox SET queued_at = 0"))
    assert await doubt.resolve() == 0
    found = await desk.show(item)
    assert (found.state, found.finished, doubt.done.ambiguous) == ("ambiguous", True, 1)


async def test_a_service_that_changed_its_mind_leaves_it_to_a_person(desk: Desk) -> None:
    """Set to hold while a row waits to be looked for: it is held at once."""
    doubt = Doubtful(desk)
    item = await doubt.make()
    desk.service = service_of()
    assert await doubt.resolve() == 0
    assert (await desk.show(item)).finished


async def test_a_dead_sender_s_row_is_looked_for_too(desk: Desk) -> None:
    """Taken over while ``submitting``: in doubt, and looked for as any other."""
    doubt = Doubtful(desk)
    item = await desk.add("a@x.example")
    await desk.sit("other")
    [one] = await desk.claim("other")
    await desk.submitting(one, "other")
    await desk.die("other")
    assert await desk.take() == ([], 1)
    assert not (await desk.show(item)).finished
    assert await doubt.resolve() == 1
