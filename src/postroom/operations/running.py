"""Operations of workers on jobs: schedules tick, runs are claimed, done and tidied away."""

from __future__ import annotations

import asyncio
import builtins
import functools
from collections.abc import Sequence
from typing import Final

from postroom.clock import timestamp
from postroom.db import Claim, Seat, Tx, write_or_owe
from postroom.jobs import claiming, messages, runs, store
from postroom.jobs.job import Job
from postroom.jobs.runlock import sweep
from postroom.jobs.runner import Runner
from postroom.jobs.ticking import AT_ONCE, tick
from postroom.operations.collecting import has_role
from postroom.operations.desk import Desk
from postroom.operations.doing import RUNS, do_in

__all__ = ["Running"]

PURGE_ROUNDS: Final = 50
KEEP_SECONDS: Final = 30 * 86400.0
"""For so long the runs of a job that is gone are kept."""


class Running:
    """Running jobs, in this process."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._runner: Runner | None = None

    async def tick(self) -> None:
        """Begin what schedules ask for."""
        actor = "postroom"
        while await self._desk.write(lambda tx: tick(tx, now=timestamp(), actor=actor)) >= AT_ONCE:
            pass

    async def due(self, roles: Sequence[str]) -> float | None:
        """When something is due next, a schedule or a run (seconds since 1970), or None."""

        def body(tx: Tx) -> float | None:
            names = [job.name for job in self._mine(tx, roles)]
            found = (store.next_due(tx), claiming.next_due(tx, now=timestamp(), jobs=names))
            return min((each for each in found if each is not None), default=None)

        return await self._desk.db.read(body)

    async def end(self, run: str) -> None:
        """Say that the actor ends a run that this process does, before its task is cancelled."""
        (await self._doing()).end(run, self._desk.actor)

    async def do(self, claim: Claim, job: Job) -> None:
        """Do a claimed run; cancelled, it is settled as its job says."""
        await (await self._doing()).run(claim, job)

    async def give_back(self, running: Sequence[Claim]) -> None:
        """Free those of these runs of which nothing was begun yet when the task for them ended."""
        seat = await self._desk.seat()

        def body(tx: Tx) -> None:
            for one in claiming.RUNS.standing(tx, running, owner=seat.owner):
                claiming.settle(tx, one, _again(), owner=seat.owner, now=timestamp())

        if running:
            await write_or_owe(self._desk.db, body, seat.owe)

    async def wanted_ended(self, running: Sequence[Claim]) -> set[str]:
        """Those of this process's runs that somebody wants to end, or that another worker has."""
        runner, seat = await self._doing(), await self._desk.seat()

        def body(tx: Tx) -> tuple[dict[str, str], set[str]]:
            standing = {one.id for one in claiming.RUNS.standing(tx, running, owner=seat.owner)}
            return claiming.wanted_ended(tx, seat.owner), {one.id for one in running} - standing

        ended, lost = await self._desk.db.read(body)
        for run, by in ended.items():
            runner.end(run, by)
        return (set(ended) & {one.id for one in running}) | lost

    async def tidy(self) -> None:
        """Remove runs, and messages of runs, that need not be kept any longer; end those whose job is
        gone; remove what programs left whose worker and guard were both killed.
        """
        await asyncio.to_thread(sweep, self._desk.data_dir / RUNS)

        def body(tx: Tx) -> int:
            keep = {job.name.casefold(): job.keep for job in store.load_all(tx)}
            now = timestamp()
            gone = runs.orphans(tx, now=now) + messages.purge(tx, now=now)
            return gone + runs.purge(tx, keep, default=KEEP_SECONDS, now=now)

        for _ in range(PURGE_ROUNDS):
            if not await self._desk.write(body):
                break

    async def claim(
        self, *, most: int, roles: Sequence[str], run: str = ""
    ) -> builtins.list[tuple[Claim, Job]]:
        """Take runs that are due, or that one ``run``, of jobs that these roles may run."""
        if self._desk.locked is not None:
            raise self._desk.locked
        seat = await self._desk.seat()
        await seat.remove_dead()  # what they had is free at once, not after the lease

        def body(tx: Tx) -> builtins.list[tuple[Claim, Job]]:
            mine = {job.name.casefold(): job for job in self._mine(tx, roles)}
            taken = claiming.claim(
                tx, owner=seat.owner, now=timestamp(), limit=most, jobs=mine.values(), run=run
            )
            return [(one, mine[one.row["job_key"]]) for one in taken]

        taking = asyncio.ensure_future(self._desk.db.write(body))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:  # it is written all the same, and nobody hears of it
            taking.add_done_callback(functools.partial(_let_go_of, seat))
            raise

    def _mine(self, tx: Tx, roles: Sequence[str]) -> builtins.list[Job]:
        """The jobs that are not held and that these roles may run."""
        held = store.held_names(tx)
        return [
            job
            for job in store.load_all(tx)
            if job.name not in held and has_role(job.worker_roles, roles)
        ]

    async def _doing(self) -> Runner:
        if self._runner is None:
            seat = await self._desk.seat()
            self._runner = Runner(
                self._desk.db,
                owner=seat.owner,
                do=functools.partial(do_in, self._desk),
                owe=seat.owe,
            )
        return self._runner


def _let_go_of(seat: Seat, taking: asyncio.Future[builtins.list[tuple[Claim, Job]]]) -> None:
    """Whoever was to do them was cancelled; they are free as soon as that can be written."""
    if taking.cancelled() or taking.exception() is not None:
        return

    def release(claim: Claim, tx: Tx) -> None:
        claiming.settle(tx, claim, _again(), owner=seat.owner, now=timestamp())

    for claim, _ in taking.result():
        seat.owe(functools.partial(release, claim))


def _again() -> claiming.Outcome:
    """How a run ends that was taken and not begun."""
    return claiming.Outcome("queued", "its worker was stopped", again_at=timestamp())
