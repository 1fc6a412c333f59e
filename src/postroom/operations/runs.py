"""Operations on runs: begun by a person, done here, followed, looked at, cancelled."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from postroom.clock import timestamp
from postroom.db import Tx
from postroom.errors import NotThere, PostroomError
from postroom.jobs import logbook, runs, store
from postroom.jobs.arguments import arguments
from postroom.jobs.runs import Run
from postroom.jobs.states import FINISHED, OPEN
from postroom.jobs.values import Scope
from postroom.operations.beginning import begin
from postroom.operations.desk import Desk, check_states, instant
from postroom.operations.doing import expander_now, plan_of
from postroom.operations.page import Page, check_page
from postroom.operations.running import Running

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["Runs"]

POLL_SECONDS: Final = 0.1
"""How often a follower looks whether another process has written something."""


class Runs:
    """What a person may do with the runs of jobs."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._running = Running(desk)

    async def begin(self, name: str, parameters: Mapping[str, Any] | None = None) -> str:
        """Make a run of a job, which a worker takes; gives its id.

        Raises UnknownField and InvalidValue for what the job does not take, Refused for a held job.
        """
        return await begin(self._desk, name, parameters or {})

    async def here(self, run: str, *, roles: Sequence[str] = ()) -> Run:
        """Do a run in this process once it is its turn, unless a worker does; gives it once it is over.

        A job for workers of a role that is not among ``roles`` is waited for.

        Raises Locked, and RoomError.
        """
        while True:
            for claim, job in await self._running.claim(run=run, most=1, roles=roles):
                await self._running.do(claim, job)
            found = await self.show(run)
            if found.finished:
                return found
            await asyncio.sleep(POLL_SECONDS)

    async def cancel_here(self, run: str, doing: asyncio.Task[Run]) -> None:
        """End a run that this process does, and wait until it is settled."""
        await self._running.end(run)
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
        after: str | None = None,
    ) -> Page[Run]:
        """Runs, newest first, of a job or of all: a page of them, behind the run ``after``, which is
        ``next`` of the page before.  Raises InvalidValue for a state there is not.
        """
        check_states(states, (*OPEN, *FINISHED))
        check_page(limit, after)
        begin = instant("since", since)

        def body(tx: Tx) -> Page[Run]:
            found = runs.listed(
                tx, job=job, states=states, since=begin, limit=limit + 1, after=after or ""
            )
            page = found[:limit]
            there = [run for run in page if _sees(tx, run)]
            if job is not None and not there:
                store.spelled(tx, job)  # nobody ever used the name, or it is hidden
            more = page[-1].id if len(found) > limit else None
            return Page(there, next=more)

        return await self._desk.db.read(body)

    async def show(self, run: str) -> Run:
        """One run, by its id or the beginning of it.  Raises NotThere."""
        return await self._desk.db.read(lambda tx: _shown(tx, run))

    async def log(self, run: str, *, after: int = 0, limit: int = 1000) -> Page[models.LogLine]:
        """Lines of a run's log behind line ``after``, a page of them: line, at, level, said."""
        check_page(limit)

        def body(tx: Tx) -> Page[dict[str, Any]]:
            rows = logbook.lines(tx, _shown(tx, run).id, after=after, limit=limit + 1)
            page = rows[:limit]
            more = page[-1]["line"] if len(rows) > limit else None
            return Page(logbook.lines_json(page), next=more)

        return await self._desk.db.read(body)

    async def cancel(self, run: str) -> Run:
        """End a run: at once where nobody has begun it, else within seconds.  Raises Refused."""
        actor = self._desk.actor

        def body(tx: Tx) -> Run:
            found = runs.cancel(tx, _shown(tx, run).id, actor=actor, now=timestamp())
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


def _shown(tx: Tx, run: str) -> Run:
    """One run, if its job is there for whoever asks; else as one that is not."""
    found = runs.show(tx, run)
    if not _sees(tx, found):
        raise NotThere(f"There is no run {run!r}.", hint="List them: postroom job runs")
    return found


def _sees(tx: Tx, run: Run) -> bool:
    """Whether the job of a run is there for whoever asks; one that was deleted is."""
    if tx.sight is None or store.find(tx, run.job) is not None:
        return True
    with tx.seen_by(None):
        return store.find(tx, run.job) is None
