"""Ticking: what the schedules of jobs ask for now becomes runs, in the transaction that puts them off."""

from __future__ import annotations

import math
from typing import Final

from postroom.db import Row, Tx
from postroom.errors import WrongUse
from postroom.jobs import runs, store
from postroom.jobs.job import Job, Schedule

__all__ = ["AT_ONCE", "LATE_SECONDS", "tick"]

LATE_SECONDS: Final = 30.0
"""A time that passed so long ago was missed: no worker was there to keep it."""
AT_ONCE: Final = 200
"""Runs, and jobs, of one transaction: nobody else waits for long, and no clock makes more at a time."""


def tick(tx: Tx, *, now: float, actor: str) -> int:
    """Begin what is due of the schedules; gives how many there were to see to.

    Once it gives less than :data:`AT_ONCE` nothing is due any more.  Two workers that tick at the same
    time see to each schedule once: it is put off in the same transaction.
    """
    rows = store.due(tx, now=now, limit=AT_ONCE)
    left = AT_ONCE
    for row in rows:
        if left <= 0:
            break
        left -= _one(tx, row, now=now, most=left, actor=actor)
    return AT_ONCE - left


def _one(tx: Tx, row: Row, *, now: float, most: int, actor: str) -> int:
    """See to one job whose schedule is due; gives how much of a transaction that took."""
    try:
        job = store.job_of(row)
    except WrongUse:  # its list says so; whoever mends it sets the schedule anew
        store.put_off(tx, row, None)
        return 1
    if job.schedule is None:
        store.put_off(tx, row, None)
        return 1
    times, following = _times(job.schedule, row["next_at"], now, most)
    store.put_off(tx, row, following)
    for due in times:
        if not row["held"] and not (job.overlap == "skip" and runs.busy(tx, job.name)):
            values = _defaults(job)
            runs.add(tx, job, cause="schedule", parameters=values, actor=actor, now=now, due=due)
    return max(1, len(times))


def _times(schedule: Schedule, due: float, now: float, most: int) -> tuple[list[float], float]:
    """The times that are to be kept now, and the next one after them (pure)."""
    late = now - due > LATE_SECONDS
    if not late or schedule.misfire == "once":
        return [due], _after(schedule, due, now)
    if schedule.misfire == "skip":
        return [], _after(schedule, due, now)
    times: list[float] = []
    following = due
    while following <= now and len(times) < most:
        times.append(following)
        following = _after(schedule, due, following)
    return times, following


def _after(schedule: Schedule, due: float, instant: float) -> float:
    """The first time after an instant; at a fixed rate they are counted from ``due``, without drift."""
    if schedule.every is None:
        return schedule.after(instant)
    passed = math.floor((instant - due) / schedule.every)
    return due + (max(0, passed) + 1) * schedule.every


def _defaults(job: Job) -> dict[str, object]:
    return {name: one.default for name, one in job.parameters.items()}
