"""The shift of a worker: what schedules ask for is begun, and as many runs as it has places for are done."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from postroom.clock import timestamp
from postroom.db import Claim
from postroom.errors import PostroomError
from postroom.jobs.job import Job
from postroom.log import about, logger
from postroom.operations.running import Running

__all__ = ["PLACES", "Shift"]

PLACES: Final = 8
"""Runs that one worker does at the same time, unless it is told otherwise."""
LOOK_SECONDS: Final = 0.5
"""How often it looks for runs that another process has made, and for those that somebody cancels."""
SOONEST: Final = 0.01
BROKEN_SECONDS: Final = 5.0

_log = logger("jobs")


class Shift:
    """Does runs until it is cancelled; then those that it has are settled as their jobs say."""

    def __init__(self, running: Running, *, roles: Sequence[str], places: int = PLACES) -> None:
        self._running = running
        self._roles = roles
        self._places = places
        self._tasks: dict[asyncio.Task[bool], Claim] = {}

    async def work(self) -> None:
        """Tick, take and do.  Never raises for what a job does or a room that is busy."""
        try:
            while True:
                try:
                    wait = await self._turn()
                except (
                    PostroomError
                ) as error:  # a full disk, a busy room: the next look may be better
                    _log.warning("jobs: %s", error, extra=about(code=error.code))
                    wait = BROKEN_SECONDS
                await self._rest(wait)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._free([*self._tasks.values()])

    async def _turn(self) -> float:
        """One look; gives how long nothing is to be done, as far as is known by now."""
        await self._end_unwanted()
        due = await self._running.due(self._roles)
        if due is not None and due <= timestamp():
            await self._running.tick()
            free = self._places - len(self._tasks)
            for claim, job in (
                await self._running.claim(roles=self._roles, most=free) if free else ()
            ):
                task = asyncio.create_task(self._do(claim, job), name=f"run {claim.id}")
                self._tasks[task] = claim
            if len(self._tasks) >= self._places:  # whoever ends first makes a place
                return LOOK_SECONDS
            due = await self._running.due(self._roles)
        wait = LOOK_SECONDS if due is None else due - timestamp()
        return min(LOOK_SECONDS, max(SOONEST, wait))

    async def _rest(self, seconds: float) -> None:
        """Until something is due, or a run has ended."""
        if not self._tasks:
            await asyncio.sleep(seconds)
            return
        done, _ = await asyncio.wait(
            self._tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        ended = {task: self._tasks.pop(task) for task in done}
        # settled it is, unless it was cancelled before it had begun, or the room could not be read
        await self._free([claim for task, claim in ended.items() if not _settled(task)])

    async def _free(self, claims: Sequence[Claim]) -> None:
        with contextlib.suppress(PostroomError):  # it is owed, then
            await self._running.give_back(claims)

    async def _end_unwanted(self) -> None:
        if not self._tasks:
            return
        unwanted = await self._running.wanted_ended(list(self._tasks.values()))
        for task, claim in self._tasks.items():
            if claim.id in unwanted:
                task.cancel()

    async def _do(self, claim: Claim, job: Job) -> bool:
        try:
            await self._running.do(claim, job)
            return True
        except PostroomError as error:  # not of the job: of a room that cannot be written
            _log.warning("run %s of job %s: %s", claim.id, job.name, error)
        except Exception:  # noqa: BLE001  # the other runs go on
            _log.exception("run %s of job %s ended", claim.id, job.name)
        return False


def _settled(task: asyncio.Task[bool]) -> bool:
    return not task.cancelled() and task.result()
