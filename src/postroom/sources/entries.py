"""The ledger as operators see it: entries, counts, and opening finished messages again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from postroom.clock import rfc3339
from postroom.db import Tx
from postroom.macros import Template
from postroom.sources.naming import Told, display_name

__all__ = ["STATES", "Entry", "counts", "find", "forget", "release", "reset"]


STATES: Final = (
    "pending",
    "held",
    "acquired",
    "delivered",
    "done",
    "ignored",
    "failed",
    "vanished",
)
"""What a message can be; the ledger's own docstring says what each means."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A ledger row as people see it."""

    id: int
    name: str
    folder: str
    message: str
    state: str
    reason: str
    attempts: int
    retries: int
    size: int
    received_at: float | None
    subject: str
    sender: str
    delivered_to: str

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` shows it."""
        shown = dataclasses.asdict(self)
        shown["received_at"] = None if self.received_at is None else rfc3339(self.received_at)
        return shown


def counts(tx: Tx, source: str) -> dict[str, int]:
    """How many messages are in each state."""
    return {
        row["state"]: row["n"]
        for row in tx.all(
            "SELECT state, count(*) AS n FROM ledger WHERE source = :source GROUP BY state",
            source=source,
        )
    }


def find(
    tx: Tx, source: str, name: Template, *, states: Sequence[str] = (), limit: int = 50
) -> list[Entry]:
    """Ledger rows, newest first, called as ``name`` says; ``states`` empty means all."""
    rows = tx.all(
        "SELECT * FROM ledger WHERE source = :source "
        "AND (:states = '' OR instr(:states, ',' || state || ',') > 0) "
        "ORDER BY id DESC LIMIT :limit",
        source=source,
        states=f",{','.join(states)}," if states else "",
        limit=limit,
    )
    return [
        Entry(
            id=row["id"],
            name=display_name(name, Told.of(row)),
            folder=row["folder"],
            message=row["message"],
            state=row["state"],
            reason=row["reason"],
            attempts=row["attempts"],
            retries=row["retries"],
            size=row["size"],
            received_at=row["received_at"],
            subject=row["subject"],
            sender=row["sender"],
            delivered_to=row["delivered_to"],
        )
        for row in rows
    ]


def release(tx: Tx, source: str, ids: Sequence[int] | None, *, now: float) -> int:
    """Let held messages (None: all of them) be processed; gives how many there were."""
    wanted = None if ids is None else f",{','.join(map(str, ids))},"
    return tx.execute(
        "UPDATE ledger SET state = 'pending', reason = '', attempts = 0, retries = 0, updated_at = :now "
        "WHERE source = :source AND state = 'held' "
        "AND (:ids IS NULL OR instr(:ids, ',' || id || ',') > 0)",
        source=source,
        ids=wanted,
        now=now,
    )


def reset(tx: Tx, source: str, ids: Sequence[int] | None, *, now: float) -> int:
    """Process messages again that are finished, failed or held (None: all); gives how many."""
    wanted = None if ids is None else f",{','.join(map(str, ids))},"
    return tx.execute(
        "UPDATE ledger SET state = 'pending', reason = '', attempts = 0, retries = 0, after_due = '', "
        "gone_at = NULL, updated_at = :now WHERE source = :source AND state NOT IN ('pending', 'acquired') "
        "AND (:ids IS NULL OR instr(:ids, ',' || id || ',') > 0)",
        source=source,
        ids=wanted,
        now=now,
    )


def forget(tx: Tx, source: str) -> None:
    """Remove everything a source remembers: it will collect from its start again."""
    tx.execute("DELETE FROM ledger WHERE source = :source", source=source)
    tx.execute("DELETE FROM cursors WHERE source = :source", source=source)
