"""Messages of a run: held until it is over, let go or cancelled with it, and never by anybody else."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.clock import timestamp
from postroom.db import Tx
from postroom.errors import NotThere, Refused
from postroom.services import finding, ofrun, outbox
from postroom.services.finding import Wanted
from postroom.services.held import shift_held
from postroom.services.states import may_follow
from tests.unit.services.desk import Desk, parcel, service_of
from tests.unit.services.runs import begin_run, end_run

RUN = "run-1"


@pytest.fixture
async def run(desk: Desk) -> str:
    """A run of the job ``nightly``, at work."""
    await begin_run(desk.db, RUN, job="nightly")
    return RUN


async def send(desk: Desk, run: str, *, key: str | None = None, **more: Any) -> str:
    return await desk.db.write(
        lambda tx: outbox.add(
            tx, desk.service, parcel(), actor="job:nightly", idempotency_key=key, run=run, **more
        )
    )


async def let_go(desk: Desk, run: str = RUN) -> int:
    return await desk.db.write(lambda tx: ofrun.let_go(tx, run, now=desk.clock))


async def cancel(desk: Desk, run: str = RUN) -> int:
    return await desk.db.write(
        lambda tx: ofrun.cancel(tx, run, reason="run run-1 failed", now=desk.clock)
    )


async def test_nobody_sends_what_a_run_holds(desk: Desk, run: str) -> None:
    """It says until when, takes a place in the queue, and is in no worker's reach."""
    item = await send(desk, run)
    found = await desk.show(item)
    assert (found.state, found.run) == ("held", RUN)
    assert found.reason == "until run run-1 of job nightly is over"
    assert found.as_json()["run"] == RUN
    assert await desk.claim(later=1e9) == []
    desk.service = service_of(queue_size=1)
    with pytest.raises(Refused, match=r"queue .* is full .* they go when it is over"):
        await send(desk, run)


async def test_what_succeeded_is_let_go_at_once(desk: Desk, run: str) -> None:
    """Due now, and given up on from now: how long the run took counts for nothing."""
    item = await send(desk, run)
    beside = await desk.add()
    desk.clock += 3600
    assert await let_go(desk) == 1
    found = await desk.show(item)
    assert (found.state, found.reason, found.due_at, found.run) == ("queued", "", desk.clock, RUN)
    assert {one.id for one in await desk.claim()} == {item, beside}
    assert await let_go(desk) == 0
    assert may_follow("held", "queued")


async def test_what_did_not_succeed_is_never_sent(desk: Desk, run: str) -> None:
    """Row and recipients are cancelled, with the reason, and what others have stored stays."""
    item = await send(desk, run)
    beside = await desk.add()
    assert await cancel(desk) == 1
    found = await desk.show(item)
    assert (found.state, found.reason, found.finished) == ("cancelled", "run run-1 failed", True)
    assert await desk.states(item) == ["cancelled"]
    assert [one.id for one in await desk.claim()] == [beside]


async def test_what_was_let_go_is_not_cancelled_any_more(desk: Desk, run: str) -> None:
    """Nor is what an operator holds of it let go by a run that is over."""
    item = await send(desk, run)
    await let_go(desk)
    assert await cancel(desk) == 0
    await end_run(desk.db, run, "succeeded")
    await desk.shift(item, "held")
    assert await desk.db.write(lambda tx: ofrun.tidy(tx, now=desk.clock)) == 0
    assert (await desk.shift(item, "queued")).state == "queued"


async def test_a_key_of_an_attempt_that_was_cancelled_is_free(desk: Desk, run: str) -> None:
    """A run that is begun anew sends what its earlier attempt had stored; once, all in all."""
    first = await send(desk, run, key="report")
    assert await send(desk, run, key="report") == first
    await cancel(desk)
    second = await send(desk, run, key="report")
    assert second != first
    await let_go(desk)
    await end_run(desk.db, run, "succeeded")
    [claim] = await desk.claim()
    await desk.submitting(claim)
    await desk.settle(claim, desk.answered(claim, a=250))
    await begin_run(desk.db, "run-2", job="nightly")
    assert await send(desk, "run-2", key="report") == second  # sent it is: not once more


async def test_two_runs_with_one_key(desk: Desk, run: str) -> None:
    """The second is told to wait: nothing may hang on a message that can still be cancelled."""
    await send(desk, run, key="report")
    await begin_run(desk.db, "run-2", job="nightly")
    with pytest.raises(Refused, match="held under run run-1, which is not over") as told:
        await send(desk, "run-2", key="report")
    assert told.value.temporary
    await cancel(desk)
    await send(desk, "run-2", key="report")


async def test_whoever_asks_outside_of_a_run_gets_it_sent(desk: Desk, run: str) -> None:
    """Told "stored", a person need not know that a run had stored the same: it goes, whatever follows."""
    item = await send(desk, run, key="report")
    again = await desk.db.write(
        lambda tx: outbox.add(tx, desk.service, parcel(), actor="ann", idempotency_key="report")
    )
    assert again == item
    assert await cancel(desk) == 0
    assert [one.id for one in await desk.claim()] == [item]


async def test_an_operator_may_cancel_and_not_let_go(desk: Desk, run: str) -> None:
    """The sentence names run and job; a mass release passes it by, a mass cancel does not."""
    item, other = await send(desk, run), await send(desk, run)
    with pytest.raises(Refused, match="held until run run-1 of job nightly is over") as told:
        await desk.shift(item, "queued")
    assert "postroom job log run-1" in told.value.hint
    assert (await desk.shift(other, "cancelled")).state == "cancelled"

    def mass(state: str) -> Any:
        return lambda tx: shift_held(tx, state, reason="", service=None, restored=False)

    held = await desk.add()
    await desk.shift(held, "held")
    assert await desk.db.write(mass("queued")) == [held]
    assert await desk.db.read(lambda tx: ofrun.waiting(tx, None)) == 1
    assert await desk.db.read(lambda tx: ofrun.waiting(tx, "another")) == 0
    assert await desk.db.write(mass("cancelled")) == [item]
    assert await let_go(desk) == 0


async def test_an_attempt_that_was_taken_over_sends_nothing(desk: Desk, run: str) -> None:
    """A worker that was thought dead comes back, and its message would be a second one."""
    await send(desk, run, run_epoch=1)
    await begin_run(desk.db, RUN, job="nightly", epoch=2)
    with pytest.raises(Refused, match="begun anew elsewhere") as told:
        await send(desk, run, run_epoch=1)
    assert told.value.code == "claim_lost"
    await send(desk, run, run_epoch=2)


async def test_nothing_is_sent_under_a_run_that_is_over(desk: Desk, run: str) -> None:
    await end_run(desk.db, run, "failed")
    with pytest.raises(Refused, match="is over"):
        await send(desk, run)
    with pytest.raises(NotThere, match="no run 'run-9'"):
        await send(desk, "run-9")


@pytest.mark.parametrize(
    ("ended", "state", "reason"),
    [
        ("succeeded", "queued", ""),
        ("failed", "cancelled", "run run-1 is gone; it is failed"),
        ("lost", "cancelled", "run run-1 is gone; it is lost"),
        (None, "cancelled", "run run-1 is gone; whether it succeeded is not known"),
    ],
)
async def test_nothing_hangs_on_a_run_that_is_gone(
    desk: Desk, run: str, ended: str | None, state: str, reason: str
) -> None:
    """Should a run ever end without its messages, the hourly tidying ends them as it did."""
    item = await send(desk, run)
    await end_run(desk.db, run, ended)
    assert await desk.db.write(lambda tx: ofrun.tidy(tx, now=desk.clock)) == 1
    found = await desk.show(item)
    assert (found.state, found.reason) == (state, reason)


async def test_tidying_leaves_a_run_at_work_alone(desk: Desk, run: str) -> None:
    await send(desk, run)
    assert await desk.db.write(lambda tx: ofrun.tidy(tx, now=timestamp() + 1e9)) == 0


async def test_the_messages_of_a_run_are_found(desk: Desk, run: str) -> None:
    """By its id or the beginning of it, also once they were let go."""
    item = await send(desk, run)
    await desk.add()
    await let_go(desk)

    def body(tx: Tx) -> list[str]:
        return [one.id for one in finding.find(tx, Wanted(run="run")).items]

    assert await desk.db.read(body) == [item]
