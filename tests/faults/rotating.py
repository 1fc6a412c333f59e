"""Scenarios of the vault key's rotation: killed beside writers, frozen while others go on."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable

from postroom.app import open_room
from tests.faults.children import Victim, until_dead, until_frozen
from tests.faults.dose import dose
from tests.faults.history import History, Pen, registers
from tests.faults.stage import Stage
from tests.faults.storing import look, made, ready

__all__ = ["frozen_writer", "killed_rotations", "late_destroyer", "late_swap"]

WRITER = "tests.faults.clients:writer"
ROTATOR = "tests.faults.clients:rotator"
ONCE = "tests.faults.clients:rotate_once"
STORY = "tests.faults.clients:rotations"
STAGED = "postroom.vault.rotation:rewrap before"
DESTROYING = "postroom.operations.desk:Desk.write before 3"
"""Staging and one swap are written; in the third transaction a rotation would destroy."""


async def killed_rotations(stage: Stage, mutant: str = "") -> list[str]:
    """A rotation without end and two writers, all three killed at random times, over and over."""
    await made(stage)
    wrong: list[str] = []
    rotated = 0
    with History() as history:
        pen = Pen(history.pen, "parent")
        for run in range(dose(6, 60, 5000)):
            start = functools.partial(Victim, history=history, mutant=mutant)
            with (
                start(ROTATOR, *stage.where) as rotator,
                start(WRITER, *stage.where, "a,b,c", run, name=f"one {run}") as one,
                start(WRITER, *stage.where, "c,d,e", run, name=f"two {run}") as two,
            ):
                await ready(rotator, one, two)
                await asyncio.sleep(stage.chance.uniform(0.05, 0.5))
                for victim in stage.chance.sample([rotator, one, two], 3):
                    victim.kill()
                    await asyncio.sleep(stage.chance.uniform(0, 0.03))
                rotated += rotator.lines().count("rotated")
            wrong += await look(stage, pen)
        wrong += await look(stage, pen, finish=True)
        if not rotated:
            wrong.append("No rotation ever came to its end: the rounds are too short.")
        return wrong + registers(history.end())


async def frozen_writer(stage: Stage, mutant: str = "") -> list[str]:
    """A writer stands still between its look at the active term and its commit, and a rotation wants
    to begin a term and to destroy one: it waits, and the writer's secret opens afterwards."""
    await made(stage)
    spot = "postroom.vault.terms:Terms.active after 2"  # the first is that of opening the room
    with History() as history:
        with Victim(STORY, *stage.where, "a", history=history, mutant=mutant,
                    spot=spot, stop=True) as writer:  # fmt: skip
            await until_frozen(writer)
            with Victim(ONCE, *stage.where, mutant=mutant) as rotating:
                await ready(rotating)
                await asyncio.sleep(0.5)
                waits = rotating.status is None
                wrong = [] if waits else ["The rotation did not wait for a writer."]
                writer.thaw()
                for victim in (writer, rotating):
                    if await until_dead(victim) or victim.status:
                        wrong.append(f"It ended badly: {victim.complaints()}")
        wrong += await look(stage, Pen(history.pen, "parent"), finish=True)
        return wrong + registers(history.end())


async def late_destroyer(stage: Stage, mutant: str = "") -> list[str]:
    """A rotation stands still before it destroys what it has seen unused.  Another one destroys that
    and begins the next term; the first one comes back when everything is under a term that is
    retired, and destroys nothing."""

    async def others(first: Victim) -> list[str]:
        with Victim(ONCE, *stage.where, mutant=mutant) as second:  # finishes what the first began
            await until_dead(second)
        with Victim(ONCE, *stage.where, spot=STAGED, mutant=mutant) as third:
            assert await until_dead(third)
        return await _comes_back(first)

    return await _late(stage, mutant, DESTROYING, others)


async def late_swap(stage: Stage, mutant: str = "") -> list[str]:
    """A rotation stands still with data keys that it has wrapped anew and not written.  Others
    rotate on, and its term is retired; what it writes when it comes back changes nothing."""

    async def others(first: Victim) -> list[str]:
        with Victim(ONCE, *stage.where, mutant=mutant) as second:
            await until_dead(second)
        with Victim(ONCE, *stage.where, spot=DESTROYING, stop=True, mutant=mutant) as third:
            await until_frozen(third)  # the first one's term is unused, and still there
            before = await _data_keys(stage)
            wrong = await _comes_back(first)
            if await _data_keys(stage) != before:
                wrong.append("What was wrapped for the term of yesterday was written.")
            return wrong

    return await _late(stage, mutant, "postroom.vault.rotation:rewrap after", others)


async def _late(
    stage: Stage, mutant: str, spot: str, others: Callable[[Victim], Awaitable[list[str]]]
) -> list[str]:
    """A rotation stands still at a spot while others do something and let it come back."""
    with History() as history:
        await _filled(stage, history)
        with Victim(ONCE, *stage.where, spot=spot, stop=True, mutant=mutant) as first:
            await until_frozen(first)
            wrong = await others(first)
        wrong += await look(stage, Pen(history.pen, "parent"), finish=True)
        return wrong + registers(history.end())


async def _comes_back(victim: Victim) -> list[str]:
    victim.thaw()
    if await until_dead(victim) or victim.status:
        return [f"The one that was late ended badly: {victim.complaints()}"]
    return []


async def _filled(stage: Stage, history: History) -> None:
    """A room with a few credentials that have seen rotations."""
    await made(stage)
    with Victim(STORY, *stage.where, "a", history=history) as victim:
        assert not await until_dead(victim), victim.complaints()
        assert victim.status == 0, victim.complaints()
    room = await open_room(stage.settings)
    assert len(await room.credentials.list()) == 5
    await room.close()


async def _data_keys(stage: Stage) -> list[tuple[str, str, bytes]]:
    room = await open_room(stage.settings)
    rows = room.desk.db.read_now(lambda tx: tx.all("SELECT * FROM data_keys ORDER BY id"))
    await room.close()
    return [(row["id"], row["vault_key"], row["wrapped"]) for row in rows]
