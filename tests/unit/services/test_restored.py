"""What a restore makes of the outbox, and how held messages are let go together."""

from __future__ import annotations

import pytest

from postroom.db import Claim
from postroom.errors import Refused
from postroom.protocols.base import Outcome
from postroom.services import outbox, settle
from postroom.services.held import AT_ONCE, shift_held
from postroom.services.restored import RESTORED, Kept, keep_back
from tests.unit.services.desk import Desk, service_of


async def restore(desk: Desk) -> Kept:
    return await desk.db.write(lambda tx: keep_back(tx, now=desk.clock))


async def one(desk: Desk, state: str) -> tuple[str, Claim | None]:
    """An item in a state, as work brings it there."""
    item = await desk.add("a@x.example", "b@x.example")
    if state == "queued":
        return item, None
    if state in ("held", "cancelled"):
        await desk.shift(item, state)
        return item, None
    [claim] = await desk.claim()
    if state == "claimed":
        return item, claim
    await desk.submitting(claim)
    answers = {"deferred": (250, 450), "sent": (250, 250), "failed": (250, 550)}
    if state in answers:
        a, b = answers[state]
        await desk.settle(claim, desk.answered(claim, a=a, b=b))
    elif state.startswith("ambiguous"):
        await desk.settle(claim, Outcome(claim.id, "ambiguous", [], None))
    return item, claim


@pytest.mark.parametrize(
    ("before", "after", "recipients"),
    [
        ("queued", "held", ["queued", "queued"]),
        ("claimed", "held", ["queued", "queued"]),
        ("deferred", "held", ["sent", "deferred"]),
        ("submitting", "ambiguous", ["ambiguous", "ambiguous"]),
        ("ambiguous", "ambiguous", ["ambiguous", "ambiguous"]),
        ("sent", "sent", ["sent", "sent"]),
        ("failed", "failed", ["sent", "failed"]),
        ("cancelled", "cancelled", ["cancelled", "cancelled"]),
    ],
)
async def test_f21_what_was_not_final_waits_for_a_person(
    desk: Desk, before: str, after: str, recipients: list[str]
) -> None:
    """F21: nothing of a restored outbox is sent by itself; what is final stays as it is."""
    item, _ = await one(desk, before)
    was = await desk.show(item)
    assert was.state == before
    await restore(desk)
    found = await desk.show(item)
    assert (found.state, await desk.states(item)) == (after, recipients)
    assert found.reason == (RESTORED if after == "held" else found.reason)
    assert found.finished == (after != "held")
    if was.finished:
        assert found == was
    assert await desk.claim(later=1e7) == []
    await desk.die("me")
    await desk.sit("other")
    assert await desk.claim("other", later=1e7) == []


async def test_a_message_in_doubt_is_not_tried_again_by_itself(desk: Desk) -> None:
    """`resend` would look for it and send it again; the other room may have done that."""
    desk.service = service_of(on_ambiguous="resend")
    item, _ = await one(desk, "ambiguous")
    assert not (await desk.show(item)).finished
    assert await restore(desk) == Kept(0, 1)
    assert (await desk.show(item)).finished
    retried = await desk.shift(item, "queued")  # a person may
    assert retried.state == "queued"


async def test_what_was_being_sent_says_why_it_is_in_doubt(desk: Desk) -> None:
    item, _ = await one(desk, "submitting")
    assert await restore(desk) == Kept(0, 1)
    found = await desk.show(item)
    assert "when the backup was made" in found.reason
    assert found.recipients[0].reply == found.reason
    [tried] = await desk.db.read(lambda tx: outbox.attempts(tx, item))
    assert (tried["outcome"], found.attempts) == ("ambiguous", 1)


async def test_a_worker_of_the_other_room_settles_nothing_here(desk: Desk) -> None:
    """Its claim of before the backup has fallen, though its name and its rows are known here."""
    item, claim = await one(desk, "submitting")
    assert claim is not None
    await restore(desk)
    with pytest.raises(Refused) as caught:
        await desk.settle(claim, desk.answered(claim, a=250, b=250))
    assert caught.value.code == "claim_lost"
    with pytest.raises(Refused):
        await desk.submitting(claim)
    await desk.db.write(lambda tx: settle.unmark(tx, [claim], owner="me"))
    assert (await desk.show(item)).state == "ambiguous"


async def test_an_idempotency_key_still_names_the_same_message(desk: Desk) -> None:
    item = await desk.add(key="order-1", content=b"one\r\n")
    await restore(desk)
    assert await desk.add(key="order-1", content=b"one\r\n") == item
    with pytest.raises(Refused) as caught:
        await desk.add(key="order-1", content=b"another\r\n")
    assert caught.value.code == "idempotency_conflict"


async def test_what_somebody_held_before_is_not_let_go_with_the_rest(desk: Desk) -> None:
    mine, restored = await desk.add(), await desk.add()
    await desk.shift(mine, "held")
    await restore(desk)
    assert (await desk.show(mine)).reason == "said so"
    gone = await desk.db.write(
        lambda tx: shift_held(tx, "queued", reason="", service=None, restored=True)
    )
    assert gone == [restored]
    assert [one.id for one in await desk.claim()] == [restored]
    assert (await desk.show(mine)).state == "held"


async def test_held_messages_go_by_service_and_not_all_in_one_transaction(desk: Desk) -> None:
    for _ in range(AT_ONCE + 1):
        await desk.add()
    await restore(desk)

    async def go(service: str) -> int:
        return len(
            await desk.db.write(
                lambda tx: shift_held(tx, "queued", reason="", service=service, restored=False)
            )
        )

    assert await go("another") == 0
    assert [await go("Orders-Out") for _ in range(3)] == [AT_ONCE, 1, 0]
