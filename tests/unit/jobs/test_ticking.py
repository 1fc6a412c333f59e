"""Schedules: when runs begin, what was missed, changes of the clock, and what several workers do."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from postroom.db import Tx
from postroom.errors import InvalidValue
from postroom.jobs import runs, store
from postroom.jobs.job import Job
from postroom.jobs.ticking import AT_ONCE, LATE_SECONDS, tick
from tests.unit.jobs.desk import Desk, job_of


def at(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


async def due(desk: Desk, name: str, instant: float) -> None:
    await desk.db.write(lambda tx: store.put_off(tx, store.row_of(tx, name), instant))


async def ticked(desk: Desk) -> int:
    return await desk.db.write(lambda tx: tick(tx, now=desk.now, actor="postroom"))


async def next_at(desk: Desk, name: str = "tidy") -> float:
    found: float = (await desk.db.read(lambda tx: store.row_of(tx, name)))["next_at"]
    return found


async def scheduled(desk: Desk, **data: Any) -> Job:
    job = await desk.job(**data)
    await due(desk, job.name, desk.now)
    return job


async def test_a_time_begins_one_run_with_the_defaults_and_sets_the_next(desk: Desk) -> None:
    await scheduled(
        desk, schedule={"every": "15m"}, parameters={"days": {"type": "number", "default": 3}}
    )
    assert await ticked(desk) == 1
    assert await ticked(desk) == 0
    (run,) = await desk.db.read(
        lambda tx: runs.listed(tx, job="tidy", states=(), since=None, limit=9)
    )
    assert (run.cause, run.parameters) == ("schedule", {"days": 3})
    assert await next_at(desk) == desk.now + 900


async def test_a_fixed_rate_does_not_drift(desk: Desk) -> None:
    await scheduled(desk, schedule={"every": "10s"})
    began = desk.now
    for late in (0.4, 10.9, 20.2):
        desk.now = began + late
        await ticked(desk)
        assert (await next_at(desk) - began) % 10 == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(("misfire", "count"), [("once", 1), ("skip", 0), ("all", 9)])
async def test_what_passed_while_nobody_was_there(desk: Desk, misfire: str, count: int) -> None:
    await scheduled(desk, schedule={"every": "1m", "misfire": misfire}, overlap="beside")
    desk.now += 8 * 60 + 5
    while await ticked(desk):
        pass
    assert len(await desk.states()) == count
    assert desk.now < await next_at(desk) <= desk.now + 60


async def test_a_time_that_is_a_little_late_is_kept(desk: Desk) -> None:
    await scheduled(desk, schedule={"every": "1h", "misfire": "skip"})
    desk.now += LATE_SECONDS - 1
    await ticked(desk)
    assert await desk.states() == ["queued"]


async def test_ten_thousand_missed_times_become_runs_some_at_a_time(desk: Desk) -> None:
    await scheduled(desk, schedule={"every": "1s", "misfire": "all"}, overlap="beside")
    desk.now += 10_000
    assert await ticked(desk) == AT_ONCE
    assert len(await desk.states()) == AT_ONCE
    while await ticked(desk):
        pass
    assert len(await desk.states()) == 10_001
    assert len(await desk.claim(limit=8)) == 8


async def test_a_run_that_is_still_at_work_is_waited_for_or_the_time_passes_by(desk: Desk) -> None:
    for name, overlap in (("waits", "queue"), ("skips", "skip")):
        await scheduled(desk, name=name, schedule={"every": "1m"}, overlap=overlap)
    await ticked(desk)
    assert len(await desk.claim()) == 2
    for name in ("waits", "skips"):
        await due(desk, name, desk.now)
    await ticked(desk)
    found = await desk.db.read(lambda tx: runs.listed(tx, job=None, states=(), since=None, limit=9))
    assert sorted((one.job, one.state) for one in found) == [
        ("skips", "running"), ("waits", "running"), ("waits", "waiting"),
    ]  # fmt: skip


async def test_a_held_job_lets_its_times_pass(desk: Desk) -> None:
    await scheduled(desk, schedule={"every": "1m"})
    await desk.db.write(lambda tx: store.hold(tx, "tidy", held=True))
    await ticked(desk)
    assert await desk.states() == []
    assert await next_at(desk) > desk.now


async def test_one_job_that_cannot_be_read_stops_no_other(desk: Desk) -> None:
    await scheduled(desk, name="broken", schedule={"every": "1m"})
    await scheduled(desk, name="well", schedule={"every": "1m"})

    def spoil(tx: Tx) -> None:
        tx.execute('UPDATE jobs SET body = \'{"name": "broken", "x": 1}\' WHERE name = \'broken\'')

    await desk.db.write(spoil)
    await ticked(desk)
    found = await desk.db.read(lambda tx: runs.listed(tx, job=None, states=(), since=None, limit=9))
    assert [one.job for one in found] == ["well"]


@pytest.mark.parametrize(
    ("table", "after", "times"),
    [
        # 2027-03-28: from 02:00 to 03:00 in Berlin there is no half past two; it comes at 03:00 then
        ("30 2 * * *", "2027-03-27T12:00+01:00", ["2027-03-28T03:00+02:00", "2027-03-29T02:30+02:00"]),
        # 2027-10-31: half past two comes twice, and counts once
        ("30 2 * * *", "2027-10-30T12:00+02:00", ["2027-10-31T02:30+02:00", "2027-11-01T02:30+01:00"]),
        # what runs every ten minutes runs every ten minutes of the real time
        ("*/30 * * * *", "2027-10-31T02:20+02:00",
         ["2027-10-31T02:30+02:00", "2027-10-31T02:00+01:00", "2027-10-31T02:30+01:00"]),
    ],
)  # fmt: skip
def test_changes_of_the_clock(table: str, after: str, times: list[str]) -> None:
    schedule = job_of(schedule={"cron": table, "timezone": "Europe/Berlin"}).schedule
    assert schedule is not None
    found, instant = [], at(after)
    for _ in times:
        instant = schedule.after(instant)
        found.append(instant)
    assert found == [at(text) for text in times]


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({"cron": "61 * * * *"}, "five fields"),
        ({"cron": "0 0 30 2 *"}, "bad day-of-month"),
        ({"cron": "* * * * *", "timezone": "Europe/Berlim"}, "no time zone"),
        ({"every": "0s"}, "one second is the shortest"),
        ({}, "give one of every"),
        ({"every": "1h", "cron": "* * * * *"}, "give one of every"),
    ],
)
def test_schedules_that_cannot_be(schedule: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        job_of(schedule=schedule)


async def test_another_schedule_begins_anew_and_the_same_goes_on(desk: Desk) -> None:
    job = await scheduled(desk, schedule={"every": "1h"})
    await due(desk, "tidy", 123.0)
    await desk.db.write(lambda tx: store.replace(tx, job.model_copy(update={"description": "x"})))
    assert await next_at(desk) == 123.0
    other = job_of(schedule={"every": "2h"})
    await desk.db.write(lambda tx: store.replace(tx, other))
    assert await next_at(desk) == pytest.approx(desk.now + 7200, abs=60)
