"""Jobs: how late a schedule begins one, and what many runs that are due at once take."""

from __future__ import annotations

import asyncio
from typing import Any

from postroom.app import Room, open_room
from postroom.db import Tx
from postroom.jobs import runs, store
from tests.bench.collecting import Say
from tests.bench.figures import Figure
from tests.bench.rooms import Place, Scratch, sending_room, work

__all__ = ["jobbing"]

_TIMES = 10


def jobbing(count: int, repeats: int, disk: Scratch, say: Say) -> list[Figure]:
    """Figures of a schedule, and of ``count`` runs that are due at once."""
    late: list[float] = []
    rates: list[float] = []
    grown: list[float] = []
    for repeat in range(repeats):
        with disk.new() as base:
            place = Place(base)
            sending_room(place, 9, 1_000_000)
            asyncio.run(_defined(place, count))
            late.append(work(place, "schedule", times=_TIMES)["worst_ms"])
            found = work(place, "due", count=count)
            rates.append(count / found["seconds"])
            grown.append(found["grown_mb"])
        say(
            f"jobs, run {repeat + 1}: {late[-1]:.0f} ms after its time, {rates[-1]:.0f} runs/s with "
            f"{grown[-1]:.1f} MB more"
        )
    return [
        Figure(f"a scheduled step job begins, the latest of {_TIMES}", "time", late, aim="< 100 ms"),
        Figure(f"{count:,} runs due at once, 8 at a time", "rate", rates),
        Figure("the same, memory more than at the start", "memory", grown, aim="< 20 MB"),
    ]  # fmt: skip


async def _defined(place: Place, count: int) -> None:
    """A job on a schedule and one with so many runs, both held."""
    room = await open_room(place.settings)
    send: dict[str, Any] = {
        "via": "bench-out", "from": "bench@example.com", "to": "a@example.com", "subject": "Hello",
        "text": "Hello.",
    }  # fmt: skip
    steps = [{"send-email": send}]
    await room.jobs.add({"name": "often", "schedule": {"every": "1s"}, "steps": steps})
    await room.jobs.add({"name": "due", "overlap": "beside", "steps": steps})
    await _held(room, "often", "due")

    def fill(tx: Tx) -> None:
        job = store.get(tx, "due")
        for number in range(count):
            runs.add(tx, job, cause="manual", parameters={}, actor="bench", now=number / 1000)

    await room.desk.write(fill)
    await room.close()


async def _held(room: Room, *names: str) -> None:
    for name in names:
        await room.jobs.hold(name)
