"""Jobs and runs of a database, in the words of these tests."""

from __future__ import annotations

from typing import Any

from postroom.clock import timestamp
from postroom.db import Claim, Database, Seat
from postroom.fields import parse
from postroom.jobs import claiming, runs, store
from postroom.jobs.claiming import Outcome
from postroom.jobs.job import Job
from postroom.jobs.runs import Run

__all__ = ["STEPS", "Desk", "job_of"]

STEPS = [{"move-email": {"via": "acme", "ids": ["1"], "to": "Done"}}]


def job_of(name: str = "tidy", **data: Any) -> Job:
    """A job with one step, and whatever else is said."""
    steps = {} if {"python", "command"} & data.keys() else {"steps": STEPS}
    return parse(Job, {"name": name, **steps, **data})


class Desk:
    """Makes jobs and runs, claims and settles them, for workers that have a seat."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.now = timestamp()
        self._seats: dict[str, Seat] = {}

    async def close(self) -> None:
        for seat in self._seats.values():
            await seat.__aexit__()

    async def seat(self, who: str = "me") -> str:
        """The owner's word of a living worker."""
        if who not in self._seats:
            self._seats[who] = await Seat(self.db).__aenter__()
        return self._seats[who].owner

    async def gone(self, who: str = "me") -> None:
        """Make a worker one that was killed: its seat is there no more, its claims are."""
        owner = await self.seat(who)
        await self.db.write(lambda tx: tx.execute("DELETE FROM workers WHERE owner = :o", o=owner))

    async def job(self, name: str = "tidy", **data: Any) -> Job:
        job = job_of(name, **data)
        await self.db.write(lambda tx: store.add(tx, job))
        return job

    async def begin(self, job: Job, **data: Any) -> str:
        said: dict[str, Any] = {
            "cause": "manual",
            "parameters": {},
            "actor": "local:test",
            "now": self.now,
        } | data
        return await self.db.write(lambda tx: runs.add(tx, job, **said))

    async def claim(self, who: str = "me", *, limit: int = 10, run: str = "") -> list[Claim]:
        owner = await self.seat(who)
        return await self.db.write(
            lambda tx: claiming.claim(
                tx, owner=owner, now=self.now, limit=limit, jobs=store.load_all(tx), run=run
            )
        )

    async def settle(self, claim: Claim, state: str, who: str = "me", **data: Any) -> None:
        owner, outcome = await self.seat(who), Outcome(state, **data)
        await self.db.write(
            lambda tx: claiming.settle(tx, claim, outcome, owner=owner, now=self.now)
        )

    async def show(self, run: str) -> Run:
        return await self.db.read(lambda tx: runs.show(tx, run))

    async def states(self) -> list[str]:
        """The states of every run, oldest first."""
        return [
            row["state"]
            for row in await self.db.read(lambda tx: tx.all("SELECT state FROM runs ORDER BY id"))
        ]
