"""Operations that run jobs: begun by a person, claimed by a worker, done here, looked at, cancelled."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import functools
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from postroom.clock import timestamp
from postroom.db import Claim, Seat, Tx
from postroom.errors import PostroomError, Refused
from postroom.jobs import logbook, messages, runs, store
from postroom.jobs.arguments import arguments
from postroom.jobs.job import Job
from postroom.jobs.runner import Runner
from postroom.jobs.runs import Run
from postroom.jobs.states import FINISHED, OPEN
from postroom.jobs.ticking import AT_ONCE, tick
from postroom.jobs.values import Scope
from postroom.operations.collecting import has_role
from postroom.operations.desk import Desk, check_states, instant
from postroom.operations.doing import do_in, expander_now, plan_of

__all__ = ["Running"]

POLL_SECONDS: Final = 0.1
"""How often a follower looks whether another process has written something."""
PURGE_ROUNDS: Final = 50
KEEP_SECONDS: Final = 30 * 86400.0
"""For so long the runs of a job that is gone are kept."""


class Running:
    """Running jobs, in this process and in workers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._runner: Runner | None = None

    # ------------------------------------------------------------------ for people

    async def begin(self, name: str, parameters: Mapping[str, Any] | None = None) -> str:
        """Make a run of a job, which a worker takes; gives its id.

        Raises UnknownField and InvalidValue for what the job does not take, Refused for a held job.
        """
        actor = self._desk.actor

        def body(tx: Tx) -> str:
            row = store.row_of(tx, name)
            if row["held"]:
                raise Refused(
                    f"Job {row['name']} is held: nothing of it begins.",
                    hint=f"Let it go: postroom job release {row['name']}",
                )
            job = store.job_of(row)
            values = arguments(job, parameters or {})
            run = runs.add(tx, job, cause="manual", parameters=values, actor=actor, now=timestamp())
            self._desk.record(tx, "run", "job", job.name, run=run)
            return run

        return await self._desk.write(body)

    async def here(self, run: str) -> Run:
        """Do a run in this process once it is its turn, unless a worker does; gives it once it is over.

        Raises Locked, and RoomError.
        """
        while True:
            for claim, job in await self._claim(run=run, most=1):
                await self.do(claim, job)
            found = await self.show(run)
            if found.finished:
                return found
            await asyncio.sleep(POLL_SECONDS)

    async def cancel_here(self, run: str, doing: asyncio.Task[Run]) -> None:
        """End a run that this process does, and wait until it is settled."""
        (await self._doing()).end(run, self._desk.actor)
        with contextlib.suppress(PostroomError):  # nobody has begun it: then it never will be
            await self.cancel(run)
        doing.cancel()
        await asyncio.wait([doing])

    async def follow(
        self, run: str, *, until: asyncio.Task[Any] | None = None
    ) -> AsyncIterator[builtins.list[dict[str, Any]]]:
        """The lines of a run's log, as they are written, until it is finished; some at a time.

        ``until``: no longer than that takes.
        """
        seen = 0
        while True:
            # asked first: then no line comes any more
            over = (await self.show(run)).finished or (until is not None and until.done())
            while lines := await self.log(run, after=seen):
                seen = lines[-1]["line"]
                yield lines
            if over:
                return
            await asyncio.sleep(POLL_SECONDS)

    async def list(
        self,
        job: str | None = None,
        *,
        states: Sequence[str] = (),
        since: str | None = None,
        limit: int = 50,
    ) -> builtins.list[Run]:
        """Runs, newest first, of a job or of all.  Raises InvalidValue for a state there is not."""
        check_states(states, (*OPEN, *FINISHED))
        begin = instant("since", since)

        def body(tx: Tx) -> builtins.list[Run]:
            found = runs.listed(tx, job=job, states=states, since=begin, limit=limit)
            if job is not None and not found:
                store.spelled(tx, job)  # a name that nobody ever used
            return found

        return await self._desk.db.read(body)

    async def show(self, run: str) -> Run:
        """One run, by its id or the beginning of it.  Raises NotThere."""
        return await self._desk.db.read(lambda tx: runs.show(tx, run))

    async def log(self, run: str, *, after: int = 0) -> builtins.list[dict[str, Any]]:
        """Lines of a run's log behind line ``after``, at most 1,000: line, at, level, said."""

        def body(tx: Tx) -> builtins.list[dict[str, Any]]:
            return logbook.lines_json(logbook.lines(tx, runs.show(tx, run).id, after=after))

        return await self._desk.db.read(body)

    async def cancel(self, run: str) -> Run:
        """End a run: at once where nobody has begun it, else within seconds.  Raises Refused."""
        actor = self._desk.actor

        def body(tx: Tx) -> Run:
            found = runs.cancel(tx, run, actor=actor, now=timestamp())
            self._desk.record(tx, "cancel", "run", found.id, job=found.job)
            return found

        return await self._desk.write(body)

    async def plan(
        self, name: str, parameters: Mapping[str, Any] | None = None
    ) -> builtins.list[str]:
        """What a run would do, a line a step; nothing is done.  Raises as :meth:`begin`."""

        def body(tx: Tx) -> builtins.list[str]:
            job = store.get(tx, name)
            scope = Scope(
                parameters=arguments(job, parameters or {}),
                expand=expander_now(tx, self._desk.environ),
            )
            return plan_of(job, scope)

        return await self._desk.db.read(body)

    # ------------------------------------------------------------------ for workers

    async def tick(self) -> None:
        """Begin what schedules ask for."""
        actor = "postroom"
        while await self._desk.write(lambda tx: tick(tx, now=timestamp(), actor=actor)) >= AT_ONCE:
            pass

    async def due(self, roles: Sequence[str]) -> float | None:
        """When something is due next, a schedule or a run (seconds since 1970), or None."""

        def body(tx: Tx) -> float | None:
            names = [job.name for job in self._mine(tx, roles)]
            found = (store.next_due(tx), runs.next_due(tx, now=timestamp(), jobs=names))
            return min((each for each in found if each is not None), default=None)

        return await self._desk.db.read(body)

    async def take(self, roles: Sequence[str], most: int) -> builtins.list[tuple[Claim, Job]]:
        """Take runs that are due and that a worker with these roles may do."""
        return await self._claim(roles=roles, most=most)

    async def do(self, claim: Claim, job: Job) -> None:
        """Do a claimed run; cancelled, it is settled as its job says."""
        await (await self._doing()).run(claim, job)

    async def wanted_ended(self, running: Sequence[Claim]) -> set[str]:
        """Those of this process's runs that somebody wants to end, or that another worker has."""
        runner, seat = await self._doing(), await self._desk.seat()

        def body(tx: Tx) -> tuple[dict[str, str], set[str]]:
            standing = {one.id for one in runs.RUNS.standing(tx, running, owner=seat.owner)}
            return runs.wanted_ended(tx, seat.owner), {one.id for one in running} - standing

        ended, lost = await self._desk.db.read(body)
        for run, by in ended.items():
            runner.end(run, by)
        return (set(ended) & {one.id for one in running}) | lost

    async def tidy(self) -> None:
        """Remove runs, and messages of runs, that need not be kept any longer; end those whose job is
        gone.
        """

        def body(tx: Tx) -> int:
            keep = {job.name.casefold(): job.keep for job in store.load_all(tx)}
            now = timestamp()
            gone = runs.orphans(tx, now=now) + messages.purge(tx, now=now)
            return gone + runs.purge(tx, keep, default=KEEP_SECONDS, now=now)

        for _ in range(PURGE_ROUNDS):
            if not await self._desk.write(body):
                break

    async def _claim(
        self, *, most: int, roles: Sequence[str] | None = None, run: str = ""
    ) -> builtins.list[tuple[Claim, Job]]:
        if self._desk.locked is not None:
            raise self._desk.locked
        seat = await self._desk.seat()
        await seat.remove_dead()  # what they had is free at once, not after the lease

        def body(tx: Tx) -> builtins.list[tuple[Claim, Job]]:
            mine = {job.name.casefold(): job for job in self._mine(tx, roles)}
            taken = runs.claim(
                tx, owner=seat.owner, now=timestamp(), limit=most, jobs=mine.values(), run=run
            )
            return [(one, mine[one.row["job_key"]]) for one in taken]

        claiming = asyncio.ensure_future(self._desk.db.write(body))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:  # it is written all the same, and nobody hears of it
            claiming.add_done_callback(functools.partial(_let_go_of, seat))
            raise

    def _mine(self, tx: Tx, roles: Sequence[str] | None) -> builtins.list[Job]:
        """The jobs that may be begun here; without ``roles`` any that is not held."""
        held = store.held_names(tx)
        return [
            job
            for job in store.load_all(tx)
            if job.name not in held and (roles is None or has_role(job.worker_roles, roles))
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


def _let_go_of(seat: Seat, claiming: asyncio.Future[builtins.list[tuple[Claim, Job]]]) -> None:
    """Whoever was to do them was cancelled; they are free as soon as that can be written."""
    if claiming.cancelled() or claiming.exception() is not None:
        return

    def release(claim: Claim, tx: Tx) -> None:
        runs.settle(tx, claim, again, owner=seat.owner, now=timestamp())

    again = runs.Outcome("queued", "its worker was stopped", again_at=timestamp())
    for claim, _ in claiming.result():
        seat.owe(functools.partial(release, claim))
