"""The rows of jobs: their definitions, what they keep between runs, and when they are due."""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

from postroom.clock import timestamp
from postroom.db import Conflict, Named, Row, Tx
from postroom.errors import InvalidValue, WrongUse
from postroom.fields import shown
from postroom.jobs.job import Job

__all__ = [
    "KEPT_BYTES",
    "add",
    "check_kept",
    "delete",
    "due",
    "exists",
    "find",
    "get",
    "held_names",
    "hidden",
    "hold",
    "job_of",
    "json_bytes",
    "keep",
    "kept",
    "load_all",
    "next_due",
    "put_off",
    "replace",
    "row_of",
    "spelled",
    "unreadable",
]

KEPT_BYTES: Final = 64 * 1024
"""What a job may keep between its runs, as JSON."""

_ROWS: Final = Named("job", Job)


def add(tx: Tx, job: Job) -> None:
    """Store a new job.  Raises Refused(``name_taken``)."""
    now = timestamp()
    try:
        tx.execute(
            "INSERT INTO jobs (id, name, name_key, body, created_at, updated_at, held, next_at, kept) "
            "VALUES (:id, :name, :key, :body, :now, :now, 0, :next, '{}')",
            id=secrets.token_hex(8),
            name=job.name,
            key=job.name.casefold(),
            body=_body(job),
            now=now,
            next=_first(job, now),
        )
    except Conflict:
        raise _ROWS.taken(job.name) from None


def replace(tx: Tx, job: Job) -> None:
    """Store a changed job under its name; its schedule begins anew if it changed.  Raises NotThere."""
    row = row_of(tx, job.name)
    now = timestamp()
    try:
        same = job_of(row).schedule == job.schedule
    except WrongUse:  # nobody can read the old one any more
        same = False
    tx.execute(
        "UPDATE jobs SET body = :body, updated_at = :now, next_at = :next WHERE id = :id",
        body=_body(job),
        now=now,
        next=row["next_at"] if same else _first(job, now),
        id=row["id"],
    )


def delete(tx: Tx, name: str) -> None:
    """Remove a job; its runs stay.  Raises NotThere."""
    tx.execute("DELETE FROM jobs WHERE id = :id", id=row_of(tx, name)["id"])


def row_of(tx: Tx, name: str) -> Row:
    """The row of a job.  Raises NotThere with the nearest name."""
    return _ROWS.row(tx, name)


def job_of(row: Row) -> Job:
    """The definition in a row.  Raises WrongUse(``room_error``) where nobody can read it any more."""
    return _ROWS.read(row)


def get(tx: Tx, name: str) -> Job:
    """The job of that name.  Raises NotThere with the nearest name, and as :func:`job_of`."""
    return job_of(row_of(tx, name))


def find(tx: Tx, name: str) -> Row | None:
    """The row of that name, or None."""
    return _ROWS.find(tx, name)


def exists(tx: Tx, name: str) -> bool:
    """Whether there is a job of that name, without regard to case."""
    return find(tx, name) is not None


def spelled(tx: Tx, name: str) -> str:
    """The name of a job as it was spelled first.  Raises NotThere with the nearest name."""
    return str(row_of(tx, name)["name"])


def load_all(tx: Tx) -> list[Job]:
    """Every job that can be read, by name."""
    return _ROWS.all(tx)


def hidden(tx: Tx) -> str:
    """The keys of the jobs that are not there for whoever asks, each between line breaks."""
    return "".join(f"\n{row['name_key']}\n" for row in _ROWS.hidden(tx))


def unreadable(tx: Tx) -> dict[str, WrongUse]:
    """The jobs that cannot be read any more, and why."""
    return _ROWS.unreadable(tx)


def hold(tx: Tx, name: str, *, held: bool) -> bool:
    """Begin no run of a job, or go on; gives whether that is a change.  Raises NotThere."""
    row = row_of(tx, name)
    tx.execute(
        "UPDATE jobs SET held = :held, updated_at = :now WHERE id = :id",
        held=int(held),
        now=timestamp(),
        id=row["id"],
    )
    return bool(row["held"]) != held


def held_names(tx: Tx) -> frozenset[str]:
    """The jobs that an operator holds: they take runs and begin none."""
    return frozenset(row["name"] for row in tx.all("SELECT name FROM jobs WHERE held = 1"))


# ------------------------------------------------------------------ between runs


def kept(tx: Tx, name: str) -> dict[str, Any]:
    """What a job keeps between its runs; empty where there is no such job."""
    row = find(tx, name)
    found: dict[str, Any] = {} if row is None else json.loads(row["kept"])
    return found


def keep(tx: Tx, name: str, values: dict[str, Any]) -> None:
    """Keep these values for the next run.  Raises as :func:`check_kept`."""
    text = check_kept(values)
    tx.execute("UPDATE jobs SET kept = :text WHERE name_key = :key", text=text, key=name.casefold())


def check_kept(values: dict[str, Any]) -> str:
    """The JSON of what a job keeps.  Raises InvalidValue for what is no JSON, or too much (pure)."""
    try:
        size = json_bytes(values)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue("state", f"is kept as JSON: {error}") from None
    if size > KEPT_BYTES:
        raise InvalidValue("state", f"a job keeps at most {KEPT_BYTES // 1024} KiB between runs")
    return json.dumps(values, ensure_ascii=False)


def json_bytes(value: Any) -> int:
    """The bytes of a value as JSON.  Raises TypeError, ValueError and RecursionError for what is none,
    or holds half a character, which no database takes (pure).
    """
    try:
        return len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair, which is no character") from None


# ------------------------------------------------------------------ schedules


def due(tx: Tx, *, now: float, limit: int) -> list[Row]:
    """The jobs whose schedule is due, the one that waits longest first."""
    return tx.all(
        "SELECT * FROM jobs WHERE next_at <= :now ORDER BY next_at LIMIT :limit",
        now=now,
        limit=limit,
    )


def next_due(tx: Tx) -> float | None:
    """When the next schedule is due (seconds since 1970), or None."""
    found: float | None = tx.value("SELECT min(next_at) FROM jobs")
    return found


def put_off(tx: Tx, row: Row, next_at: float | None) -> None:
    """The schedule of a job is due again then."""
    tx.execute("UPDATE jobs SET next_at = :next WHERE id = :id", next=next_at, id=row["id"])


def _first(job: Job, now: float) -> float | None:
    return None if job.schedule is None else job.schedule.after(now)


def _body(job: Job) -> str:
    return json.dumps(shown(job), ensure_ascii=False)
