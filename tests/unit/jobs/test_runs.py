"""Runs: begun, claimed, fenced, settled; one after the other, beside each other, killed, cancelled."""

from __future__ import annotations

import pytest

from postroom.db import Tx
from postroom.errors import NotThere, PostroomError, Refused
from postroom.jobs import claiming, runs, store
from postroom.jobs.claiming import KILLS
from postroom.jobs.runs import DEEPEST
from postroom.jobs.states import FINISHED, FOLLOWS, OPEN, may_follow
from tests.unit.jobs.desk import Desk


async def test_a_run_is_claimed_once_and_settled_with_its_result(desk: Desk) -> None:
    run = await desk.begin(await desk.job(), parameters={"day": "2027-01-31"})
    (claim,) = await desk.claim()
    assert await desk.claim("other") == []
    assert (await desk.show(run)).state == "running"
    await desk.settle(claim, "succeeded", result={"moved": 3})
    found = await desk.show(run)
    assert (found.state, found.result, found.attempts) == ("succeeded", {"moved": 3}, 1)
    assert found.parameters == {"day": "2027-01-31"}
    assert found.finished_at is not None


async def test_runs_of_a_job_come_one_after_the_other(desk: Desk) -> None:
    job = await desk.job()
    ids = [await desk.begin(job) for _ in range(3)]
    assert await desk.states() == ["queued", "waiting", "waiting"]
    for done in range(3):
        (claim,) = await desk.claim()
        assert claim.id == ids[done]
        assert await desk.claim("other") == []
        await desk.settle(claim, "failed" if done == 1 else "succeeded")
    assert await desk.states() == ["succeeded", "failed", "succeeded"]


async def test_runs_beside_each_other_are_all_due(desk: Desk) -> None:
    job = await desk.job(overlap="beside")
    for _ in range(3):
        await desk.begin(job)
    assert len(await desk.claim()) == 3


async def test_a_job_that_lets_runs_be_beside_each_other_now_frees_those_that_wait(
    desk: Desk,
) -> None:
    job = await desk.job()
    for _ in range(3):
        await desk.begin(job)
    changed = job.model_copy(update={"overlap": "beside"})
    await desk.db.write(lambda tx: claiming.unminded(tx, changed, now=desk.now))
    assert len(await desk.claim()) == 3


async def test_the_run_of_a_killed_worker_is_begun_anew_and_its_settle_is_fenced(
    desk: Desk,
) -> None:
    run = await desk.begin(await desk.job())
    (old,) = await desk.claim()
    await desk.gone()
    (new,) = await desk.claim("other")
    assert (new.id, new.row["attempts"]) == (run, 2)
    with pytest.raises(PostroomError) as lost:
        await desk.settle(old, "succeeded")
    assert lost.value.code == "claim_lost"
    assert (await desk.show(run)).state == "running"
    await desk.settle(new, "succeeded", "other")
    assert (await desk.show(run)).state == "succeeded"


async def test_a_job_can_say_that_a_killed_run_is_lost_and_the_next_one_begins(desk: Desk) -> None:
    job = await desk.job(if_killed="lost")
    run, following = await desk.begin(job), await desk.begin(job)
    await desk.claim()
    await desk.gone()
    assert await desk.claim("other") == []
    found = await desk.show(run)
    assert (found.state, found.code) == ("lost", "lost")
    (next_one,) = await desk.claim("other")
    assert next_one.id == following


async def test_a_run_that_kills_its_workers_is_not_begun_for_ever(desk: Desk) -> None:
    run = await desk.begin(await desk.job())
    for number in range(KILLS):
        assert len(await desk.claim(str(number))) == 1
        await desk.gone(str(number))
    assert await desk.claim("last") == []
    found = await desk.show(run)
    assert found.state == "failed"
    assert f"{KILLS} times" in found.reason


async def test_of_those_whose_worker_was_killed_one_is_done_at_a_time(desk: Desk) -> None:
    job = await desk.job(overlap="beside")
    for _ in range(5):
        await desk.begin(job)
    assert len(await desk.claim(limit=3)) == 3
    await desk.gone()
    taken = await desk.claim("other", limit=5)
    assert sorted(one.row["killed"] for one in taken) == [0, 0, 1]
    desk.now += 1
    assert await desk.claim("other", limit=5) == []
    (suspect,) = [one for one in taken if one.row["killed"]]
    await desk.settle(suspect, "succeeded", "other")
    desk.now += 1
    (following,) = await desk.claim("other", limit=5)
    assert following.row["attempts"] == 2


async def test_a_run_that_is_tried_again_waits_for_its_time_and_keeps_others_waiting(
    desk: Desk,
) -> None:
    job = await desk.job()
    run, behind = await desk.begin(job), await desk.begin(job)
    (claim,) = await desk.claim()
    await desk.settle(claim, "queued", reason="the server is away", again_at=desk.now + 60)
    assert await desk.claim() == []
    assert (await desk.show(behind)).state == "waiting"
    desk.now += 61
    (again,) = await desk.claim()
    assert (again.id, again.row["attempts"]) == (run, 2)


async def test_cancelling_ends_at_once_what_nobody_has_begun_and_asks_for_the_rest(
    desk: Desk,
) -> None:
    job = await desk.job()
    first, second = await desk.begin(job), await desk.begin(job)
    (claim,) = await desk.claim()

    await desk.db.write(lambda tx: runs.cancel(tx, second, actor="local:ann", now=desk.now))
    await desk.db.write(lambda tx: runs.cancel(tx, first, actor="local:ann", now=desk.now))
    assert await desk.states() == ["running", "cancelled"]
    owner = await desk.seat()
    wanted = await desk.db.read(lambda tx: claiming.wanted_ended(tx, owner))
    assert wanted == {first: "local:ann"}
    await desk.settle(claim, "cancelled", reason="by local:ann")
    with pytest.raises(Refused, match="it is cancelled"):
        await desk.db.write(lambda tx: runs.cancel(tx, first, actor="local:ann", now=desk.now))


async def test_a_killed_run_that_somebody_cancels_is_not_begun_again(desk: Desk) -> None:
    run = await desk.begin(await desk.job())
    await desk.claim()
    await desk.db.write(lambda tx: runs.cancel(tx, run, actor="local:ann", now=desk.now))
    await desk.gone()
    assert await desk.claim("other") == []
    assert (await desk.show(run)).state == "cancelled"


async def test_jobs_that_begin_each_other_end(desk: Desk) -> None:
    job = await desk.job(overlap="beside")
    above = await desk.begin(job)
    for _ in range(DEEPEST):
        above = await desk.begin(job, cause="job", above=above)
    with pytest.raises(Refused, match="go on for ever"):
        await desk.begin(job, cause="job", above=above)


async def test_runs_of_a_deleted_job_are_cancelled(desk: Desk) -> None:
    await desk.begin(await desk.job())
    await desk.db.write(lambda tx: store.delete(tx, "tidy"))
    assert await desk.db.write(lambda tx: runs.orphans(tx, now=desk.now)) == 1
    assert await desk.states() == ["cancelled"]


async def test_finished_runs_are_kept_as_long_as_their_job_says(desk: Desk) -> None:
    job = await desk.job(keep="1d")
    for _ in range(2):
        await desk.begin(job)
        (claim,) = await desk.claim()
        await desk.settle(claim, "succeeded")

    async def purged() -> int:
        return await desk.db.write(
            lambda tx: runs.purge(tx, {"tidy": job.keep}, default=9e9, now=desk.now)
        )

    await desk.begin(job)
    desk.now += 86390
    assert await purged() == 0
    desk.now += 20
    assert await purged() == 2
    assert await desk.states() == ["queued"]


async def test_ten_thousand_waiting_runs_are_taken_as_quickly_as_one(desk: Desk) -> None:
    job = await desk.job()

    def many(tx: Tx) -> None:
        for _ in range(10_000):
            runs.add(tx, job, cause="manual", parameters={}, actor="a", now=desk.now)

    await desk.db.write(many)
    (claim,) = await desk.claim()
    plan = await desk.db.read(
        lambda tx: [
            row["detail"]
            for row in tx.all(
                "EXPLAIN QUERY PLAN SELECT id FROM runs WHERE job_key = 'tidy' AND finished_at IS "
                "NULL AND state = 'waiting' ORDER BY id LIMIT 1"
            )
        ]
    )
    assert "runs_open" in plan[0]
    await desk.settle(claim, "succeeded")
    assert len(await desk.claim()) == 1


def test_the_table_of_states_is_whole() -> None:
    assert set(FOLLOWS) == {*OPEN, *FINISHED}
    assert all(not FOLLOWS[state] for state in FINISHED)
    assert may_follow("running", "lost")
    assert not may_follow("waiting", "running")


async def test_a_run_is_found_by_the_beginning_of_its_id(desk: Desk) -> None:
    run = await desk.begin(await desk.job())
    assert (await desk.show(run[:12])).id == run
    with pytest.raises(NotThere, match="no run 'zz'"):
        await desk.show("zz")
