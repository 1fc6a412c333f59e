"""Runs as work: claimed by a worker, fenced, settled with what they sent; what killed workers had."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from postroom.db import Claim, Queue, Row, Tx
from postroom.jobs import logbook, runs
from postroom.jobs.job import Job
from postroom.services import ofrun

__all__ = ["KILLS", "RUNS", "Outcome", "claim", "next_due", "settle", "unminded", "wanted_ended"]

KILLS: Final = 3
"""A run whose worker was gone so often is not begun again: it may be what ends them."""
SUSPECT_SECONDS: Final = 0.2

RUNS: Final = Queue(
    "runs",
    ready="finished_at IS NULL AND (:run = '' OR id = :run)",
    order="due_at, id",
    among="job_key",
    taken="killed = killed + CASE WHEN state = 'running' THEN 1 ELSE 0 END, "
    "reason = CASE WHEN state = 'running' THEN 'killed' ELSE '' END, state = 'running'",
)


class Outcome(NamedTuple):
    """How an attempt ended: a state of the table, why, and what it gave.

    ``again_at`` is when it is tried again (then the state is ``queued``).
    """

    state: str
    reason: str = ""
    code: str = ""
    result: Any = None
    again_at: float = 0.0


def claim(
    tx: Tx, *, owner: str, now: float, limit: int, jobs: Iterable[Job], run: str = ""
) -> list[Claim]:
    """Take runs of these jobs that are due, or that one ``run``.

    Of one that is begun anew, what its last attempt had sent is cancelled in the same transaction.
    One whose worker was killed, and that is not to be begun anew, is settled in it.  Of those whose
    worker was killed an owner does one at a time: the one that is to blame takes few with it.
    """
    known = {job.name.casefold(): job for job in jobs}
    suspect = _has_suspect(tx, owner)
    taken = RUNS.claim(tx, owner=owner, now=now, limit=limit, names=known, run=run)
    begun = []
    for one in taken:
        ofrun.cancel(tx, one.id, reason="its run was begun anew", now=now)
        over = _not_again(one.row, known[one.row["job_key"]])
        if over is not None:
            settle(tx, one, over, owner=owner, now=now)
            logbook.add_line(
                tx, one.id, "error", f"{over.state.capitalize()}: {over.reason}", now=now
            )
        elif one.row["killed"] and suspect:
            _put_back(tx, one, owner=owner, due=now + SUSPECT_SECONDS)
        else:
            suspect = suspect or bool(one.row["killed"])
            begun.append(_begun(tx, one, now))
    return begun


def _begun(tx: Tx, claim: Claim, now: float) -> Claim:
    """A run that begins now: the attempt is counted."""
    tx.execute(
        "UPDATE runs SET attempts = attempts + 1, started_at = :now WHERE id = :id",
        now=now,
        id=claim.id,
    )
    row = tx.one("SELECT * FROM runs WHERE id = :id", id=claim.id)
    return claim if row is None else claim._replace(row=row)


def _has_suspect(tx: Tx, owner: str) -> bool:
    """Whether an owner does a run whose worker was killed."""
    found = tx.value("SELECT 1 FROM runs WHERE owner = :owner AND killed > 0 LIMIT 1", owner=owner)
    return found is not None


def _put_back(tx: Tx, claim: Claim, *, owner: str, due: float) -> None:
    """A run that was taken and is not begun: nothing of it has happened."""
    RUNS.release(tx, claim, owner=owner, due_at=due)
    tx.execute("UPDATE runs SET state = 'queued' WHERE id = :id", id=claim.id)


def _not_again(row: Row, job: Job) -> Outcome | None:
    """How a run ends that its job, or what became of it, keeps from being begun."""
    if row["cancelled_by"]:
        return Outcome("cancelled", f"by {row['cancelled_by']}")
    if row["reason"] != "killed":
        return None
    if job.if_killed == "lost":
        return Outcome("lost", "its worker was killed while it ran", "lost")
    if row["killed"] >= KILLS:
        return Outcome("failed", f"its worker was killed {KILLS} times while it ran", "lost")
    return None


def settle(tx: Tx, claim: Claim, outcome: Outcome, *, owner: str, now: float) -> None:
    """End an attempt: the run, what it sent, and whoever waits behind it, in one transaction.

    Raises ``claim_lost`` where another worker has taken it over: then nothing is changed.
    """
    RUNS.guard(tx, claim, owner=owner)
    again = outcome.state == "queued"
    tx.execute(
        "UPDATE runs SET state = :state, reason = :reason, error = :error, result = :result, "
        "owner = NULL, due_at = :due, finished_at = :finished WHERE id = :id",
        state=outcome.state,
        reason=outcome.reason,
        error=outcome.code,
        result="" if outcome.result is None else json.dumps(outcome.result, ensure_ascii=False),
        due=outcome.again_at if again else claim.row["due_at"],
        finished=None if again else now,
        id=claim.id,
    )
    if outcome.state == "succeeded":
        ofrun.let_go(tx, claim.id, now=now)
    else:
        reason = "its run is begun anew" if again else f"its run {_ended(outcome.state)}"
        ofrun.cancel(tx, claim.id, reason=reason, now=now)
    if not again:
        runs.begin_next(tx, claim.row["job_key"], now)


def _ended(state: str) -> str:
    return {"failed": "failed", "cancelled": "was cancelled", "lost": "was lost"}[state]


def unminded(tx: Tx, job: Job, *, now: float) -> None:
    """After a change of a job: runs that may be beside each other wait no longer."""
    if job.overlap == "beside":
        tx.execute(
            "UPDATE runs SET state = 'queued', due_at = :now WHERE job_key = :key "
            "AND finished_at IS NULL AND state = 'waiting'",
            key=job.name.casefold(),
            now=now,
        )


def wanted_ended(tx: Tx, owner: str) -> dict[str, str]:
    """Those of the owner's runs that somebody wants to end, and who that is."""
    rows = tx.all(
        "SELECT id, cancelled_by FROM runs WHERE owner = :owner AND cancelled_by <> ''", owner=owner
    )
    return {row["id"]: row["cancelled_by"] for row in rows}


def next_due(tx: Tx, *, now: float, jobs: Iterable[str]) -> float | None:
    """When the next run that nobody living has is due (seconds since 1970), or None."""
    keys = [name.casefold() for name in jobs]
    found = RUNS.next_due(tx, now=now, names=keys, run="")
    return None if found is None or found >= runs.NEVER else found
