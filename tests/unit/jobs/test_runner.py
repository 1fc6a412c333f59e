"""The runner: a run is done and settled, whatever becomes of it; its log is kept, and holds no secret."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postroom.db import Claim
from postroom.errors import InvalidValue, SignInError
from postroom.jobs import logbook, store
from postroom.jobs.claiming import Outcome
from postroom.jobs.logbook import MOST_LINES
from postroom.jobs.runner import RESULT_BYTES, Attempt, Do, Runner
from postroom.secret import Secret
from tests.unit.jobs.desk import Desk


async def run(desk: Desk, do: Do, **data: Any) -> tuple[Outcome | None, Claim]:
    await desk.begin(await desk.job(**data))
    (claim,) = await desk.claim()
    return await (await runner(desk, do)).run(claim, await job_of(desk)), claim


async def runner(desk: Desk, do: Do) -> Runner:
    return Runner(desk.db, owner=await desk.seat(), do=do)


async def job_of(desk: Desk) -> Any:
    return await desk.db.read(lambda tx: store.get(tx, "tidy"))


async def said(desk: Desk, run: str) -> list[str]:
    return [one["said"] for one in await desk.db.read(lambda tx: logbook.lines(tx, run))]


async def test_what_it_gives_and_keeps_and_says_is_there_afterwards(desk: Desk) -> None:
    async def do(attempt: Attempt) -> Any:
        attempt.log.say("info", "moved 3\nand more")
        attempt.kept["seen"] = 7
        return {"moved": 3}

    outcome, claim = await run(desk, do)
    assert outcome == Outcome("succeeded", result={"moved": 3})
    assert (await desk.show(claim.id)).result == {"moved": 3}
    assert await desk.db.read(lambda tx: store.kept(tx, "tidy")) == {"seen": 7}
    begins, *lines = await said(desk, claim.id)
    assert begins.startswith(f"Run {claim.id} of job tidy begins (manual, by local:test)")
    assert lines == ["moved 3", "and more", "Succeeded."]


async def test_a_failed_run_says_why_and_keeps_nothing(desk: Desk) -> None:
    async def do(attempt: Attempt) -> Any:
        attempt.kept["seen"] = 7
        raise SignInError("The server refused the sign-in.", hint="Type it again.")

    _, claim = await run(desk, do)
    found = await desk.show(claim.id)
    assert (found.state, found.code) == ("failed", "sign_in_failed")
    assert found.reason == "The server refused the sign-in. Type it again."
    assert await desk.db.read(lambda tx: store.kept(tx, "tidy")) == {}


@pytest.mark.parametrize("error", [InvalidValue("to", "is no folder"), KeyError("x")])
async def test_a_mistake_ends_the_run_and_not_its_worker(desk: Desk, error: Exception) -> None:
    async def do(attempt: Attempt) -> Any:
        raise error

    _, claim = await run(desk, do)
    assert (await desk.show(claim.id)).state == "failed"


async def test_a_run_that_fails_is_tried_again_after_waits_that_double(desk: Desk) -> None:
    async def do(attempt: Attempt) -> Any:
        raise SignInError("Not now.", temporary=True)

    retry = {"max": 2, "min": "10s", "max_wait": "15s"}
    outcome, claim = await run(desk, do, retry=retry)
    waits = []
    while outcome is not None and outcome.state == "queued":
        waits.append(round(outcome.again_at - desk.now, -1))
        desk.now = outcome.again_at + 0.1
        (claim,) = await desk.claim()
        outcome = await (await runner(desk, do)).run(claim, await job_of(desk))
        desk.now = max(desk.now, claim.row["started_at"])
    assert outcome is not None
    assert outcome.state == "failed"
    assert claim.row["attempts"] == 3
    lines = await said(desk, claim.id)
    assert sum("begins" in line for line in lines) == 3


async def test_what_is_wrong_with_the_request_is_not_tried_again(desk: Desk) -> None:
    async def do(attempt: Attempt) -> Any:
        raise InvalidValue("to", "is no folder")

    outcome, _ = await run(desk, do, retry={})
    assert outcome is not None
    assert outcome.state == "failed"


async def test_a_run_that_never_ends_is_ended(desk: Desk) -> None:
    async def do(attempt: Attempt) -> Any:
        await asyncio.sleep(3600)

    outcome, claim = await run(desk, do, limits={"time": "1s"})
    assert outcome is not None
    assert (outcome.state, outcome.code) == ("failed", "timed_out")
    assert "longer than 1s" in (await desk.show(claim.id)).reason


@pytest.mark.parametrize(
    ("if_killed", "by", "state"),
    [("again", "", "queued"), ("lost", "", "lost"), ("again", "local:ann", "cancelled")],
)
async def test_a_run_that_is_cut_short_is_settled_as_its_job_says(
    desk: Desk, if_killed: str, by: str, state: str
) -> None:
    begun = asyncio.Event()

    async def do(attempt: Attempt) -> Any:
        begun.set()
        await asyncio.sleep(3600)

    await desk.begin(await desk.job(if_killed=if_killed))
    (claim,) = await desk.claim()
    working = await runner(desk, do)
    doing = asyncio.create_task(working.run(claim, await job_of(desk)))
    await begun.wait()
    if by:
        working.end(claim.id, by)
    doing.cancel()
    await asyncio.wait([doing])
    assert (await desk.show(claim.id)).state == state


async def test_what_another_worker_has_taken_over_is_not_settled(desk: Desk) -> None:
    async def do(attempt: Attempt) -> Any:
        assert attempt.standing()
        await desk.gone()
        assert await desk.claim("other")
        assert not attempt.standing()
        return {}

    outcome, claim = await run(desk, do)
    assert outcome is None
    assert (await desk.show(claim.id)).state == "running"


async def test_no_open_secret_gets_into_the_log(desk: Desk) -> None:
    """T31: a secret that is said aloud is not kept."""
    secret = Secret("hunter2-canary-Ω")

    async def do(attempt: Attempt) -> Any:
        attempt.log.say("info", f"the password is {secret.reveal()}")
        attempt.log.say("info", f"in hexadecimal {secret.reveal_bytes().hex()}")

    _, claim = await run(desk, do)
    assert "the password is ****" in await said(desk, claim.id)
    assert "in hexadecimal ****" in await said(desk, claim.id)


async def test_a_log_is_bounded_and_says_so(desk: Desk) -> None:
    async def do(attempt: Attempt) -> Any:
        for _ in range(3):
            attempt.log.say("output", "line\n" * 5_000)
        attempt.log.say("output", "x" * 10_000_000)

    _, claim = await run(desk, do)
    count = await desk.db.read(
        lambda tx: tx.value("SELECT count(*) FROM run_log WHERE run = :r", r=claim.id)
    )
    assert count == MOST_LINES + 1
    last = await desk.db.read(
        lambda tx: tx.one("SELECT said FROM run_log ORDER BY line DESC LIMIT 1")
    )
    assert last is not None
    assert "more lines were not kept" in last["said"]


@pytest.mark.parametrize("result", ["x" * RESULT_BYTES, {1, 2}, float("nan")])
async def test_a_result_that_cannot_be_kept_fails_the_run(desk: Desk, result: Any) -> None:
    async def do(attempt: Attempt) -> Any:
        return result

    outcome, _ = await run(desk, do)
    assert outcome is not None
    assert (outcome.state, outcome.code) == ("failed", "invalid_value")
