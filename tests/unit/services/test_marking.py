"""Marks and settling in groups: durable before DATA, and nothing in doubt that had no turn."""

from __future__ import annotations

import asyncio

import pytest

from postroom.db import Claim
from postroom.db.claims import LEASE_SECONDS
from postroom.errors import Refused
from postroom.services import marking
from postroom.services.marking import AHEAD, Marks
from postroom.services.settle import Recipients
from postroom.services.settling import Drained, Settler
from tests.unit.services.desk import Desk


async def claims(desk: Desk, count: int) -> list[Claim]:
    for number in range(count):
        await desk.add(f"r{number}@x.example")
    return await desk.claim()


async def states(desk: Desk, taken: list[Claim]) -> list[str]:
    return [(await desk.show(one.id)).state for one in taken]


async def test_a_row_is_durably_submitting_before_its_turn_begins(desk: Desk) -> None:
    taken = await claims(desk, 3 * AHEAD)
    marks = Marks(desk.db, taken, owner="me")
    for one in taken:
        await marks.marker(one)()
        assert (await desk.show(one.id)).state == "submitting"
    await marks.finish()
    assert set(await states(desk, taken)) == {"submitting"}


async def test_no_more_rows_are_marked_than_are_soon_on_the_wire(desk: Desk) -> None:
    taken = await claims(desk, 5 * AHEAD)
    marks = Marks(desk.db, taken, owner="me")
    await marks.marker(taken[0])()
    assert (await states(desk, taken)).count("submitting") <= AHEAD
    for one in taken[:AHEAD]:
        await marks.marker(one)()
    await marks.marker(taken[AHEAD])()
    assert (await states(desk, taken)).count("submitting") <= 3 * AHEAD


async def test_what_had_no_turn_is_not_in_doubt_when_a_run_is_cut_short(desk: Desk) -> None:
    taken = await claims(desk, AHEAD)
    marks = Marks(desk.db, taken, owner="me")
    await marks.marker(taken[0])()
    await marks.finish()
    assert await states(desk, taken) == ["submitting"] + ["claimed"] * (AHEAD - 1)


async def test_a_lost_claim_is_refused_alone(desk: Desk) -> None:
    """Another worker has taken one row of the group over: that one is not sent, the others are."""
    taken = await claims(desk, 3)
    await desk.db.write(
        lambda tx: tx.execute("UPDATE outbox SET epoch = epoch + 1 WHERE id = :id", id=taken[1].id)
    )
    marks = Marks(desk.db, taken, owner="me")
    await marks.marker(taken[0])()
    with pytest.raises(Refused) as caught:
        await marks.marker(taken[1])()
    assert caught.value.code == "claim_lost"
    await marks.marker(taken[2])()
    await marks.finish()
    assert await states(desk, taken) == ["submitting", "claimed", "submitting"]


async def test_a_mark_that_was_slept_over_is_not_believed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was frozen beyond its lease sends nothing that others have taken over."""
    taken = await claims(desk, 3)
    marks = Marks(desk.db, taken, owner="me")
    first, second, third = (marks.marker(one) for one in taken)
    await first()
    await desk.db.write(
        lambda tx: tx.execute("UPDATE outbox SET epoch = epoch + 1 WHERE id <> :id", id=taken[2].id)
    )
    await second()  # so fresh that nobody can have taken it
    for clock in ("monotonic", "timestamp"):
        with monkeypatch.context() as later:
            real = getattr(marking, clock)
            later.setattr(marking, clock, lambda real=real: real() + LEASE_SECONDS)
            with pytest.raises(Refused) as caught:
                await second()
            assert caught.value.code == "claim_lost"
            await third()
    await marks.finish()


async def test_without_marks_ahead_one_row_at_a_time_is_in_doubt(desk: Desk) -> None:
    taken = await claims(desk, 4)
    marks = Marks(desk.db, taken, owner="me", ahead=0)
    for turn, one in enumerate(taken):
        assert (await states(desk, taken)).count("submitting") == turn
        await marks.marker(one)()
        await asyncio.sleep(0.05)  # whatever it began beside would be done
    await marks.finish()


async def test_outcomes_settled_together_keep_their_own_states(desk: Desk) -> None:
    taken = await claims(desk, 3)
    done = Drained()
    settler = Settler(desk.db, done, owner="me")
    codes = {f"r{number}@x.example": code for number, code in enumerate((250, 450, 550))}
    for one in taken:
        item = await desk.show(one.id)
        address = item.recipients[0].address
        outcome = desk.answered(one, **{address.partition("@")[0]: codes[address]})
        settler.add(one, outcome, Recipients({address: 0}, {0: "queued"}), desk.service)
    await settler.finish()
    assert sorted(await states(desk, taken)) == ["deferred", "failed", "sent"]
    assert (done.sent, done.deferred, done.failed) == (1, 1, 1)
