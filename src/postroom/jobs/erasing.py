"""Erasing a person from runs: the message that began one, what it gave, and lines of its log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from postroom.db import Row, Tx
from postroom.mail import Message

__all__ = ["AT_ONCE", "KnownRun", "erase", "known"]

AT_ONCE: Final = 20
"""Runs of one look: their messages and logs are read."""
ERASED: Final = "erased"
_TEXTS: Final = ("parameters", "result", "reason")

Named = Callable[[str], bool]
"""Whether a text names whoever is meant."""


class KnownRun(NamedTuple):
    """A run that names somebody; ``since`` is when it was begun (seconds since 1970)."""

    id: str
    job: str
    state: str
    finished: bool
    since: float

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` shows it."""
        return {name: getattr(self, name) for name in ("id", "job", "state")}


def known(tx: Tx, after: str, named: Named) -> tuple[list[KnownRun], str]:
    """What of the next :data:`AT_ONCE` runs names somebody, and the id to go on after; empty at the end."""
    rows = tx.all(
        "SELECT * FROM runs WHERE id > :after ORDER BY id LIMIT :most", after=after, most=AT_ONCE
    )
    found = [
        KnownRun(
            row["id"], row["job"], row["state"], row["finished_at"] is not None, row["created_at"]
        )
        for row in rows
        if any(map(named, filter(None, _texts(tx, row))))
    ]
    return found, rows[-1]["id"] if len(rows) == AT_ONCE else ""


def _texts(tx: Tx, row: Row) -> Iterator[str]:
    """Everything that is kept of a run, what is quickly read first."""
    for name in _TEXTS:
        yield row[name]
    for line in tx.all("SELECT said FROM run_log WHERE run = :id", id=row["id"]):
        yield line["said"]
    kept = tx.one("SELECT facts, content FROM run_messages WHERE run = :id", id=row["id"])
    if kept is None:
        return
    yield kept["facts"]
    if kept["content"] is not None:
        yield kept["content"].decode("utf-8", "replace")
        message = Message(kept["content"])  # a text in base64 names nobody before it is decoded
        yield message.text or ""
        yield message.html or ""


def erase(tx: Tx, run: str, named: Named) -> bool:
    """Take away what a finished run has of somebody; True when it was finished.

    The message that began it goes as a whole; that there was a run, when and how it ended, stays.
    """
    row = tx.one("SELECT * FROM runs WHERE id = :id AND finished_at IS NOT NULL", id=run)
    if row is None:
        return False
    tx.execute("DELETE FROM run_messages WHERE run = :id", id=run)
    lines = tx.all("SELECT line, said FROM run_log WHERE run = :id", id=run)
    tx.many(
        "UPDATE run_log SET said = :said WHERE run = :id AND line = :line",
        [{"id": run, "line": one["line"], "said": ERASED} for one in lines if named(one["said"])],
    )
    tx.execute(
        "UPDATE runs SET parameters = :parameters, result = :result, reason = :reason WHERE id = :id",
        id=run,
        parameters="{}" if named(row["parameters"]) else row["parameters"],
        result="" if named(row["result"]) else row["result"],
        reason=ERASED if named(row["reason"]) else row["reason"],
    )
    return True
