"""Workers that run jobs are killed and frozen again and again: F8, for runs.

Each job does two things that tell on it: a step job sends a message that is held under its run, and
a command job writes into a file that it began and that it ended, under a lock that two at once cannot
have.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from postroom.app import DATABASE, Room, open_room
from postroom.jobs.claiming import KILLS
from postroom.operations.shift import Shift
from postroom.settings import Settings
from tests.faults.children import Victim
from tests.faults.dose import dose
from tests.faults.history import Pen
from tests.faults.sending import posting
from tests.faults.stage import Stage
from tests.journeys.outgoing import NAME, Outgoing, message_ids

__all__ = ["frozen_workers", "killed_workers", "work"]

_LEVEL: Final = 12
"""So many runs wait when a worker starts: it is killed in the middle of them."""
_PLACES: Final = 4
_OPEN: Final = ("queued", "running")
_PROGRAM: Final = """
import fcntl, os, sys, time
run, trace = sys.argv[1:]
mine = os.open(f"{trace}.{run}", os.O_RDWR | os.O_CREAT)
try:
    fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
    said = f"begins {run}"
except OSError:
    said = f"clashes {run}"
out = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(out, f"{said}\\n".encode())
time.sleep(1.0 if int(run, 16) % 5 == 0 else 0.05)
os.write(out, f"ends {run}\\n".encode())
"""


async def work(pen: Pen, room: str, kek: str) -> None:
    """A client: runs jobs until it is killed, and sends nothing of what they send."""
    opened = await open_room(Settings(Path(room), kek))
    (await opened.desk.seat()).work(())
    print("ready", flush=True)
    await Shift(opened.running, roles=(), places=_PLACES).work()


class _Jobs:
    """Two jobs, their runs, and the workers that die."""

    def __init__(self, stage: Stage, post: Outgoing, mutant: str) -> None:
        self.stage, self.post, self.mutant = stage, post, mutant
        self.trace = stage.path / "trace"
        self.runs: dict[str, str] = {}
        self.changed: list[str] = []

    @property
    def room(self) -> Room:
        return self.post.room

    async def define(self) -> None:
        """A job that sends and one that runs a program; both many at a time."""
        await self.post.service(queue_size=100_000)
        to = self.post.other.address
        send = {"via": NAME, "to": to, "subject": "${param:number}", "text": "Text."}
        program = self.stage.path / "program.py"
        program.write_text(_PROGRAM)
        program.chmod(0o700)
        shared: dict[str, Any] = {"overlap": "beside", "retry": {"max": 3, "min": "1s"}}
        parameters = {"number": {"type": "number"}}
        # what is behind it gives a worker the time to be killed between storing and settling
        steps = [{"send-email": send}, {"list-email": {"via": "acme"}}]
        await self.room.jobs.add(
            {"name": "sends", "steps": steps, "parameters": parameters, **shared}
        )
        words = [sys.executable, str(program), "${run:id}", str(self.trace)]
        await self.room.jobs.add({"name": "writes", "command": words, **shared}, rebind=True)

    async def rounds(self, count: int, *, freeze: bool) -> None:
        """So many workers, each killed or frozen at some instant; what they left is then done."""
        with contextlib.ExitStack() as ends:
            frozen = []
            for _ in range(count):
                await self.fill()
                victim = Victim("tests.faults.running:work", *self.stage.where, mutant=self.mutant)
                ends.enter_context(victim)
                await asyncio.to_thread(victim.line)
                await asyncio.sleep(self.stage.chance.uniform(0.0, 0.6))
                if freeze:
                    await self._freeze(victim)
                    frozen.append(victim)
                else:
                    victim.kill()
            await self.finish(120 if freeze else 60, frozen)
            before = await self._ends()
            for victim in frozen:
                victim.thaw()
            if frozen:
                await asyncio.sleep(2.0)  # what they do now, they do in vain
                await self.finish(60)  # and what waited for them is done
            after = await self._ends()
            ended = {run for run, (state, *_) in before.items() if state not in _OPEN}
            self.changed = [run for run in ended if after.get(run) != before[run]]

    async def _ends(self) -> dict[str, tuple[str, float | None, int]]:
        found = await self.room.runs.list(limit=1_000_000)
        return {one.id: (one.state, one.finished_at, one.attempts) for one in found}

    async def _freeze(self, victim: Victim) -> None:
        """Freeze it while it writes nothing: in the middle of a write it would stop everybody."""
        while True:
            victim.freeze()
            await asyncio.sleep(0.05)
            room = sqlite3.connect(self.stage.settings.room / DATABASE, timeout=0.2)
            try:
                room.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                victim.thaw()
                await asyncio.sleep(0.01)
            else:
                return
            finally:
                room.close()

    async def fill(self) -> None:
        for name in ("sends", "writes"):
            counts = await self.counts(name)
            for _ in range(_LEVEL - counts.get("queued", 0) - counts.get("running", 0)):
                number = {"number": len(self.runs)} if name == "sends" else {}
                self.runs[await self.room.runs.begin(name, number)] = name

    async def counts(self, name: str) -> dict[str, int]:
        found: dict[str, int] = (await self.room.jobs.show(name))["runs"]
        return found

    async def finish(self, seconds: float, frozen: Sequence[Victim] = ()) -> None:
        """A worker that nobody kills does the rest, and the messages are sent.

        A run waits for one who was frozen while it began its program and holds its lock.
        """
        held = {run for victim in frozen for run in _locks(victim)}
        with Victim("tests.faults.running:work", *self.stage.where, mutant=self.mutant):
            async with asyncio.timeout(seconds):
                while {one.id for one in await self.room.runs.list(states=_OPEN)} - held:
                    await asyncio.sleep(0.1)
        await self.post.drain()
        await asyncio.to_thread(self.post.ground.postfix.idle)

    async def wrong(self) -> list[str]:
        """What is not as it must be: each run succeeded, and each did what it does once.

        One that was killed three times has failed; there may be a few of those.
        """
        found = await self.room.runs.list(limit=1_000_000)
        killed = {one.id for one in found if one.state == "failed" and one.code == "lost"}
        wrong = [f"run {one.id} ended {one.state}: {one.reason}" for one in found
                 if one.state != "succeeded" and one.id not in killed]  # fmt: skip
        kills = await self.room.desk.db.read(lambda tx: tx.all("SELECT id, killed FROM runs"))
        wrong += [f"run {row['id']} is lost and was killed {row['killed']} times" for row in kills
                  if row["id"] in killed and row["killed"] != KILLS]  # fmt: skip
        if len(killed) > len(found) / 2:  # a slow machine kills more of them before they get far
            wrong.append(f"{len(killed)} of {len(found)} runs were killed {KILLS} times")
        wrong += [f"run {run} was settled by a worker that had lost it" for run in self.changed]
        wrong += [f"run {run} is gone" for run in self.runs.keys() - {one.id for one in found}]
        done = self.runs.keys() - killed
        sent = sum(self.runs[run] == "sends" for run in done)
        arrived = message_ids(self.post.other)
        wrong += [
            f"{key} arrived {times} times" for key, times in Counter(arrived).items() if times > 1
        ]
        if len(arrived) != sent:
            wrong.append(f"{len(arrived)} messages arrived of {sent} runs that succeeded")
        lines = self.trace.read_text().split("\n")[:-1] if self.trace.exists() else []
        wrong += [f"two at once: {line}" for line in lines if line.startswith("clashes")]
        ended = {line.partition(" ")[2] for line in lines if line.startswith("ends")}
        wrong += [f"run {run} succeeded and never came to its end" for run in done
                  if self.runs[run] == "writes" and run not in ended]  # fmt: skip
        held = self.post.states()
        if set(held) - {"sent", "cancelled"}:
            wrong.append(f"messages ended {json.dumps(held)}")
        return wrong


def _locks(victim: Victim) -> set[str]:
    """The runs whose locks a process has open itself."""
    found = [str(fd.readlink()) for fd in Path(f"/proc/{victim.pid}/fd").iterdir()]
    return {Path(one).stem for one in found if one.endswith(".lock") and "/runs/" in one}


async def _scenario(stage: Stage, mutant: str, count: int, *, freeze: bool) -> list[str]:
    async with posting(stage) as post:
        jobs = _Jobs(stage, post, mutant)
        await jobs.define()
        await jobs.rounds(count, freeze=freeze)
        return await jobs.wrong()


async def killed_workers(stage: Stage, mutant: str = "") -> list[str]:
    """Killed at any instant: every run is done, sends once, and never runs twice at once."""
    return await _scenario(stage, mutant, dose(8, 150, 3_000), freeze=False)


async def frozen_workers(stage: Stage, mutant: str = "") -> list[str]:
    """Frozen for longer than the lease, and then thawed: the same."""
    return await _scenario(stage, mutant, dose(2, 6, 20), freeze=True)
