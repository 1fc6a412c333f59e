"""The rows of runs: made, looked at, cancelled, removed; who waits behind whom."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from postroom.clock import rfc3339
from postroom.db import Row, Tx
from postroom.errors import NotThere, Refused
from postroom.jobs import store
from postroom.jobs.arguments import arguments
from postroom.jobs.job import Job
from postroom.jobs.states import FINISHED
from postroom.services import ofrun
from postroom.services.outbox import first_id, new_id

__all__ = [
    "DEEPEST",
    "Run",
    "add",
    "begin_next",
    "busy",
    "cancel",
    "counts",
    "failing",
    "follow_on",
    "listed",
    "may_follow_on",
    "open_count",
    "orphans",
    "purge",
    "refuse",
    "run_of",
    "show",
]

NEVER: Final = 1e15
"""The due time of a run that waits for another one: no clock comes there."""
DEEPEST: Final = 8
"""So many runs may stand above one, each begun by the next: a circle of jobs ends there."""
PURGE_ROWS: Final = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """A run as people see it.  Instants are seconds since 1970."""

    id: str
    job: str
    state: str
    reason: str
    cause: str
    parameters: Annotated[Mapping[str, Any], "As its job declares them."]
    above: str | None
    attempts: int
    created_by: str
    created_at: float
    started_at: float | None
    finished_at: float | None
    due_at: float | None  # of what waits for its time
    result: Annotated[Any, "What its last step, its function or its program gave."]
    code: str  # of what it failed for
    owner: str | None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINISHED

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` and the library show it."""
        shown = dataclasses.asdict(self)
        for key in ("created_at", "started_at", "finished_at", "due_at"):
            shown[key] = None if shown[key] is None else rfc3339(shown[key])
        return shown


def add(
    tx: Tx,
    job: Job,
    *,
    cause: str,
    parameters: Mapping[str, Any],
    actor: str,
    now: float,
    due: float | None = None,
    above: str | None = None,
) -> str:
    """Begin a run as soon as a worker takes it; gives its id.

    ``due`` is the time for which it is, if that is not ``now``.

    ``cause`` is manual, schedule, message or job; ``above`` the run that asks for it.  Unless its job
    lets runs be ``beside`` each other it waits for those before it.  Raises Refused where
    :data:`DEEPEST` runs stand above it.
    """
    depth = 0 if above is None else _below(tx, above, job.name)
    waits = job.overlap != "beside" and busy(tx, job.name)
    run = new_id(now)
    tx.execute(
        "INSERT INTO runs (id, job, job_key, state, reason, cause, parameters, above, depth, attempts, "
        "killed, created_by, created_at, result, error, cancelled_by, due_at, epoch) VALUES (:id, "
        ":job, :key, :state, '', :cause, :parameters, :above, :depth, 0, 0, :actor, :now, '', '', '', "
        ":due, 0)",
        id=run,
        job=job.name,
        key=job.name.casefold(),
        state="waiting" if waits else "queued",
        cause=cause,
        parameters=json.dumps(dict(parameters), ensure_ascii=False),
        above=above,
        depth=depth,
        actor=actor,
        now=now,
        due=NEVER if waits else now if due is None else due,
    )
    return run


def refuse(tx: Tx, run: str, reason: str, *, now: float) -> None:
    """End a run that was just added, and is not to be begun: it failed, and says why."""
    tx.execute(
        "UPDATE runs SET state = 'failed', reason = :reason, error = 'refused', finished_at = :now "
        "WHERE id = :id",
        reason=reason,
        now=now,
        id=run,
    )


def follow_on(
    tx: Tx, run: Run, following: Sequence[tuple[str, dict[str, Any]]], now: float
) -> None:
    """Begin the jobs that a run asked for; one that is gone meanwhile is passed over."""
    for name, values in following:
        row = store.find(tx, name)
        if row is not None:
            add(tx, store.job_of(row), cause="job", parameters=values, actor=run.created_by,
                now=now, above=run.id)  # fmt: skip


def may_follow_on(tx: Tx, name: str, parameters: Mapping[str, Any], above: str) -> dict[str, Any]:
    """The parameters with which a job may be begun by a run.  Raises NotThere, Refused, InvalidValue."""
    job = store.get(tx, name)
    _below(tx, above, job.name)
    return arguments(job, parameters)


def _below(tx: Tx, above: str, job: str) -> int:
    """How many runs stand above one that this run begins.  Raises Refused where those are too many."""
    depth = 1 + int(tx.value("SELECT depth FROM runs WHERE id = :id", id=above) or 0)
    if depth > DEEPEST:
        raise Refused(
            f"Job {job} is not begun: {DEEPEST} runs stand above it, each begun by the one before. "
            "Jobs that begin each other go on for ever.",
        )
    return depth


# ------------------------------------------------------------------ end


def cancel(tx: Tx, run: str, *, actor: str, now: float) -> Run:
    """End a run: at once where nobody has begun it, else its worker is asked to.

    Raises NotThere, and Refused for one that is finished.
    """
    found = show(tx, run)
    if found.finished:
        raise Refused(f"Run {found.id} cannot be cancelled: it is {found.state}.")
    tx.execute("UPDATE runs SET cancelled_by = :actor WHERE id = :id", actor=actor, id=found.id)
    if found.state != "running":
        tx.execute(
            "UPDATE runs SET state = 'cancelled', reason = :reason, finished_at = :now WHERE id = :id",
            reason=f"by {actor}",
            now=now,
            id=found.id,
        )
        ofrun.cancel(tx, found.id, reason="its run was cancelled", now=now)
        begin_next(tx, found.job.casefold(), now)
    return show(tx, found.id)


def begin_next(tx: Tx, key: str, now: float) -> None:
    """Whoever waits first of a job is due, if no other run of it is."""
    busy = tx.value(
        "SELECT 1 FROM runs WHERE job_key = :key AND finished_at IS NULL "
        "AND state IN ('queued', 'running') LIMIT 1",
        key=key,
    )
    if busy is None:
        tx.execute(
            "UPDATE runs SET state = 'queued', due_at = :now WHERE id = (SELECT id FROM runs WHERE "
            "job_key = :key AND finished_at IS NULL AND state = 'waiting' ORDER BY id LIMIT 1)",
            key=key,
            now=now,
        )


# ------------------------------------------------------------------ look


_BEGIN: Final = (
    "SELECT * FROM runs WHERE id >= :run AND id < :end "
    "AND instr(:hidden, char(10) || job_key || char(10)) = 0 LIMIT 2"
)


def show(tx: Tx, run: str) -> Run:
    """One run by its id, or by the beginning of it when that is enough.  Raises NotThere."""
    rows = tx.all(_BEGIN, run=run, end=run + "\x7f", hidden="")
    if len(rows) > 1 and tx.sight is not None:  # those that are not there are not several
        rows = tx.all(_BEGIN, run=run, end=run + "\x7f", hidden=store.hidden(tx))
    if len(rows) != 1 or not run:
        raise NotThere(
            f"There is no run {run!r}." if not rows else f"Several runs begin with {run!r}.",
            hint="List them: postroom job runs",
        )
    return run_of(rows[0])


def listed(
    tx: Tx,
    *,
    job: str | None,
    states: Sequence[str],
    since: float | None,
    limit: int,
    after: str = "",
) -> list[Run]:
    """Runs, newest first: of a job (None: of all), in these states (empty: any), made since then,
    and before the run ``after``, where one is given."""
    rows = tx.all(
        "SELECT * FROM runs WHERE (:job IS NULL OR job_key = :job) AND id >= :since "
        "AND instr(:hidden, char(10) || job_key || char(10)) = 0 "
        "AND (:after = '' OR id < :after) "
        "AND (:states = '' OR instr(:states, ',' || state || ',') > 0) ORDER BY id DESC LIMIT :limit",
        job=None if job is None else job.casefold(),
        hidden=store.hidden(tx) if job is None else "",
        since="" if since is None else first_id(since),
        after=after,
        states=f",{','.join(states)}," if states else "",
        limit=limit,
    )
    return [run_of(row) for row in rows]


def run_of(row: Row) -> Run:
    """What people see of a row."""
    waits = row["state"] == "queued"
    return Run(
        id=row["id"],
        job=row["job"],
        state=row["state"],
        reason=row["reason"],
        cause=row["cause"],
        parameters=json.loads(row["parameters"]),
        above=row["above"],
        attempts=row["attempts"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        due_at=row["due_at"] if waits else None,
        result=json.loads(row["result"]) if row["result"] else None,
        code=row["error"],
        owner=row["owner"],
    )


def failing(tx: Tx, *, since: float) -> list[Run]:
    """Of each job whose last run of those that begin by themselves failed, or that had one fail since
    then: the last that did.  What somebody began by hand, they look at themselves."""
    return [run_of(row) for row in tx.all(_FAILING, since=first_id(since))]


_ITSELF: Final = "job_key = j.name_key AND cause IN ('schedule', 'message')"
_FAILING: Final = (
    f"SELECT r.* FROM jobs AS j JOIN runs AS r ON r.id = coalesce("
    f"(SELECT id FROM runs WHERE {_ITSELF} AND id >= :since AND state IN ('failed', 'lost') "
    f"ORDER BY id DESC LIMIT 1), "
    f"(SELECT id FROM runs WHERE {_ITSELF} AND state IN ('succeeded', 'failed', 'lost') "
    "ORDER BY id DESC LIMIT 1)) WHERE r.state <> 'succeeded' ORDER BY j.name_key"
)


def busy(tx: Tx, job: str) -> bool:
    """Whether a run of a job is not finished."""
    found = tx.value(
        "SELECT 1 FROM runs WHERE job_key = :key AND finished_at IS NULL LIMIT 1",
        key=job.casefold(),
    )
    return found is not None


def open_count(tx: Tx, job: str) -> int:
    """How many runs of a job are not finished."""
    count: int = tx.value(
        "SELECT count(*) FROM runs WHERE job_key = :key AND finished_at IS NULL", key=job.casefold()
    )
    return count


def counts(tx: Tx, job: str) -> dict[str, int]:
    """How many runs of a job there are, by state."""
    rows = tx.all(
        "SELECT state, count(*) AS n FROM runs WHERE job_key = :key GROUP BY state ORDER BY state",
        key=job.casefold(),
    )
    return {row["state"]: row["n"] for row in rows}


# ------------------------------------------------------------------ retention


def purge(tx: Tx, keep: Mapping[str, float], *, default: float, now: float) -> int:
    """Remove finished runs and their logs, some at a time; gives how many.

    ``keep`` says for how many seconds, by the casefolded name of the job; ``default`` for jobs that
    are gone.
    """
    rows = tx.all(
        "SELECT id, job_key, finished_at FROM runs WHERE finished_at < :now ORDER BY finished_at "
        "LIMIT :most",
        now=now - min([default, *keep.values()]),
        most=PURGE_ROWS * 10,
    )
    old = [
        {"id": row["id"]}
        for row in rows
        if row["finished_at"] < now - keep.get(row["job_key"], default)
    ][:PURGE_ROWS]
    for text in (
        "DELETE FROM run_log WHERE run = :id",
        "DELETE FROM run_messages WHERE run = :id",
        "DELETE FROM runs WHERE id = :id",
    ):
        tx.many(text, old)
    return len(old)


def orphans(tx: Tx, *, now: float) -> int:
    """End the runs that are not finished and whose job is gone; gives how many."""
    rows = tx.all(
        "SELECT id FROM runs WHERE finished_at IS NULL AND owner IS NULL "
        "AND job_key NOT IN (SELECT name_key FROM jobs) LIMIT :most",
        most=PURGE_ROWS,
    )
    for row in rows:
        tx.execute(
            "UPDATE runs SET state = 'cancelled', reason = 'its job is gone', finished_at = :now "
            "WHERE id = :id",
            now=now,
            id=row["id"],
        )
        ofrun.cancel(tx, row["id"], reason="its run was cancelled", now=now)
    return len(rows)
