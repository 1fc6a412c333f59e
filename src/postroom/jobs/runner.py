"""The runner: one attempt of a claimed run, from its first line of log to the transaction that ends it."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final

from postroom.clock import format_duration, timestamp
from postroom.db import Claim, Database, Owe, Tx, write_or_owe
from postroom.errors import InvalidValue, PostroomError, WrongUse
from postroom.jobs import claiming, runs, store
from postroom.jobs.claiming import Outcome
from postroom.jobs.job import Job
from postroom.jobs.logbook import Logbook, last_line
from postroom.jobs.runs import Run
from postroom.jobs.store import json_bytes
from postroom.log import about, logger, within
from postroom.tracing import span

__all__ = ["RESULT_BYTES", "Attempt", "Do", "Runner", "check_result"]

_log = logger("jobs")

RESULT_BYTES: Final = 256 * 1024
"""What is kept of what a run gives, as JSON."""
LOOK_AGAIN_SECONDS: Final = 1.0
STOPPED: Final = "its worker was stopped"


@dataclasses.dataclass(slots=True)
class Attempt:
    """What a run has while it is done.  ``kept`` is what its job keeps between runs, to be changed."""

    job: Job
    run: Run
    epoch: int
    log: Logbook
    kept: dict[str, Any]
    standing: Callable[[], bool]
    """Whether the run is still this worker's; asked before each command."""
    following: list[tuple[str, dict[str, Any]]] = dataclasses.field(default_factory=list)
    """The jobs that begin in the transaction in which it succeeds, with their parameters."""


Do = Callable[[Attempt], Awaitable[Any]]
"""Does what a job says, and gives the run's result (as JSON).  Raises PostroomError; cancelled, it ends
whatever it has begun before it returns."""


class Runner:
    """Does claimed runs for one process; ``owner`` is its seat."""

    def __init__(self, db: Database, *, owner: str, do: Do, owe: Owe | None = None) -> None:
        self._db = db
        self._owner = owner
        self._do = do
        self._owe = owe
        self._ends: dict[str, str] = {}

    def end(self, run: str, by: str) -> None:
        """Say who ends a run, before the task that does it is cancelled."""
        self._ends[run] = by

    async def run(self, claim: Claim, job: Job) -> Outcome | None:
        """Do a run and settle it; None where another worker has taken it over meanwhile.

        Never raises for what the job does.  Cancelled, the run is settled as its job says: begun anew
        by another worker, lost, or cancelled if somebody wanted that (:meth:`end`).
        """
        with within(job=job.name, run=claim.id), span("run", job=job.name):
            return await self._run(claim, job)

    async def _run(self, claim: Claim, job: Job) -> Outcome | None:
        run = runs.run_of(claim.row)
        first = 1 + await self._db.read(lambda tx: last_line(tx, run.id))
        kept = await self._db.read(lambda tx: store.kept(tx, job.name))
        try:
            async with Logbook(run.id, self._write, first=first) as log:
                attempt = Attempt(
                    job, run, claim.epoch, log, dict(kept), functools.partial(self._stands, claim)
                )
                log.say("info", _beginning(run))
                outcome = await self._attempt(attempt)
                log.say("info" if outcome.state == "succeeded" else "error", _ending(outcome))
        finally:
            self._ends.pop(run.id, None)
        return await self._settle(claim, attempt, outcome)

    async def _attempt(self, attempt: Attempt) -> Outcome:
        limit = attempt.job.limits.time
        clock = asyncio.timeout(limit)
        try:
            async with clock:
                result = await self._do(attempt)
            check_result(result)
            store.check_kept(attempt.kept)
            return Outcome("succeeded", result=result)
        except asyncio.CancelledError:
            return self._cut(attempt)
        except TimeoutError:
            said = (
                f"It ran longer than {format_duration(limit)} and was ended."
                if clock.expired()
                else "Something it waited for took too long."
            )
            return _failed(attempt, said, "timed_out", None)
        except PostroomError as error:
            return _failed(attempt, str(error), error.code, error)
        except Exception as error:  # noqa: BLE001  # a mistake of ours ends one run, and no worker
            _log.exception("run %s of job %s ended", attempt.run.id, attempt.job.name)
            said = f"A mistake of Postroom's: {type(error).__name__}. The worker's log has it."
            return _failed(attempt, said, "mistake", None)

    def _cut(self, attempt: Attempt) -> Outcome:
        """How a run ends that was cancelled, by a person or because its worker stops."""
        if by := self._ends.get(attempt.run.id):
            return Outcome("cancelled", f"by {by}")
        if attempt.job.if_killed == "lost":
            return Outcome("lost", f"{STOPPED} while it ran", "lost")
        return Outcome("queued", f"{STOPPED}; it is begun anew", again_at=timestamp())

    async def _settle(self, claim: Claim, attempt: Attempt, outcome: Outcome) -> Outcome | None:
        job = attempt.job

        def body(tx: Tx) -> Outcome:
            ended = outcome
            if outcome.state == "queued" and claiming.wanted_ended(tx, self._owner).get(claim.id):
                ended = Outcome("cancelled", outcome.reason)
            claiming.settle(tx, claim, ended, owner=self._owner, now=timestamp())
            if ended.state == "succeeded":
                store.keep(tx, job.name, attempt.kept)
                runs.follow_on(tx, attempt.run, attempt.following, timestamp())
            return ended

        try:
            settled = await write_or_owe(self._db, body, self._owe)
        except PostroomError as error:
            known = about(job=job.name, run=claim.id, code=error.code)
            _log.warning("run %s of job %s: %s", claim.id, job.name, error, extra=known)
            return None
        if settled.state in ("failed", "lost"):
            known = about(job=job.name, run=claim.id, code=settled.code)
            _log.warning("run %s of job %s: %s", claim.id, job.name, settled.reason, extra=known)
        return settled

    async def _write(self, body: Callable[[Tx], None]) -> None:
        await self._db.write(body)

    def _stands(self, claim: Claim) -> bool:
        return self._db.read_now(lambda tx: claiming.RUNS.holds(tx, claim, owner=self._owner))


def check_result(result: Any) -> None:
    """Raise InvalidValue for a result that cannot be kept: no JSON, or too much."""
    try:
        size = json_bytes(result)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue("result", f"is kept as JSON: {error}") from None
    if size > RESULT_BYTES:
        raise InvalidValue("result", f"is larger than {RESULT_BYTES // 1024} KiB")


def _failed(attempt: Attempt, said: str, code: str, error: PostroomError | None) -> Outcome:
    """Failed, or tried again where the job says so and it may help."""
    said = said.encode("utf-8", "replace").decode()  # half a character cannot be stored
    if (
        code == "claim_lost"
    ):  # its program is still being ended elsewhere, or it is not ours any more
        return Outcome("queued", said, again_at=timestamp() + LOOK_AGAIN_SECONDS)
    retry, made = attempt.job.retry, attempt.run.attempts
    if retry is None or made > retry.max or isinstance(error, WrongUse):
        return Outcome("failed", said, code)
    wait = min(retry.min * 2.0 ** (made - 1), retry.max_wait)
    return Outcome("queued", said, code, again_at=timestamp() + wait)


def _beginning(run: Run) -> str:
    again = f", attempt {run.attempts}" if run.attempts > 1 else ""
    again += "; its worker was killed before" if run.reason == "killed" else ""
    return f"Run {run.id} of job {run.job} begins ({run.cause}, by {run.created_by}){again}."


def _ending(outcome: Outcome) -> str:
    if outcome.state == "queued":
        wait = max(0.0, outcome.again_at - timestamp())
        return f"{outcome.reason} It is tried again in {format_duration(round(wait))}."
    return outcome.state.capitalize() + (f": {outcome.reason}" if outcome.reason else ".")
