"""The ledger as operators see it: entries, counts, and opening finished messages again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from postroom.clock import rfc3339
from postroom.db import Row, Tx
from postroom.macros import Template
from postroom.sources.naming import Told, display_name

__all__ = [
    "ERASED",
    "STATES",
    "Entry",
    "counts",
    "entry_of",
    "forget",
    "release",
    "reset",
    "waiting_since",
]


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
ERASED: Final = "erased"
"""The reason of a row whose person was erased: nothing but the key of its message is left."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A ledger row as people see it.  Instants are seconds since 1970.

    ``message`` is the wire's own key in the folder; ``delivered_to`` where the sink put it;
    ``gone_at`` since when it is known to be no longer on the server.
    """

    id: int
    source: str
    name: str
    state: str
    reason: str
    message_id: str
    sender: str
    subject: str
    received_at: float | None
    size: int
    delivered_to: str
    folder: str
    message: str
    attempts: int
    retries: int
    first_seen_at: float
    updated_at: float
    gone_at: float | None

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` shows it."""
        return {
            "from" if name == "sender" else name: rfc3339(value)
            if name.endswith("_at") and value is not None
            else value
            for name, value in dataclasses.asdict(self).items()
        }


_COLUMNS: Final = tuple(
    field.name for field in dataclasses.fields(Entry) if field.name not in ("source", "name")
)


def entry_of(row: Row, source: str, template: Template) -> Entry:
    """What people see of a row of that source; its template says what a message is called."""
    shown: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    return Entry(source=source, name=_called(row, template), **shown)


def _called(row: Row, template: Template) -> str:
    """The message's name; before it is read, nothing of it is known but its key on the server."""
    if row["subject"] or row["sender"] or row["message_id"]:
        return display_name(template, Told.of(row))
    when = f", received: {rfc3339(row['received_at'])}" if row["received_at"] is not None else ""
    if row["reason"] == ERASED:
        read = ERASED
    elif row["sha256"] is not None:
        read = "no subject, no sender"
    else:
        read = "not read yet" if row["state"] in ("pending", "acquired") else "not read"
    return f"{row['folder']} {row['message']} ({read}{when})"


def counts(tx: Tx, source: str) -> dict[str, int]:
    """How many messages are in each state, of those that some are in.

    One range of the index a state, counted without a look at what stands in it: half the time of
    grouping, and a list of sources waits for nothing else.
    """
    found = {state: tx.value(_IN_STATE, source=source, state=state) for state in sorted(STATES)}
    return {state: count for state, count in found.items() if count}


_IN_STATE: Final = "SELECT count(*) FROM ledger WHERE source = :source AND state = :state"


def waiting_since(tx: Tx, source: str) -> float | None:
    """When the oldest message came (seconds since 1970) that is not handed over yet; None: there is
    none.
    """
    found: float | None = tx.value(
        "SELECT min(coalesce(received_at, first_seen_at)) FROM ledger "
        "WHERE source = :source AND state IN ('pending', 'acquired')",
        source=source,
    )
    return found


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


def reset(
    tx: Tx, source: str, ids: Sequence[int] | None, *, states: Sequence[str] = (), now: float
) -> int:
    """Process messages again that are finished, failed or held (None: all, or those in one of these
    ``states``); gives how many.
    """
    wanted = None if ids is None else f",{','.join(map(str, ids))},"
    return tx.execute(
        "UPDATE ledger SET state = 'pending', reason = '', attempts = 0, retries = 0, after_due = '', "
        "gone_at = NULL, updated_at = :now WHERE source = :source AND state NOT IN ('pending', 'acquired') "
        "AND (:states = '' OR instr(:states, ',' || state || ',') > 0) "
        "AND (:ids IS NULL OR instr(:ids, ',' || id || ',') > 0)",
        source=source,
        states=f",{','.join(states)}," if states else "",
        ids=wanted,
        now=now,
    )


def forget(tx: Tx, source: str) -> None:
    """Remove everything a source remembers: it will collect from its start again."""
    tx.execute("DELETE FROM ledger WHERE source = :source", source=source)
    tx.execute("DELETE FROM cursors WHERE source = :source", source=source)
