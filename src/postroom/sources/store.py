"""The rows of sources: their definitions and what they are doing right now."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Final

from postroom.clock import timestamp
from postroom.db import Conflict, Named, Row, Tx, is_living, workers
from postroom.errors import NotThere, WrongUse
from postroom.fields import shown
from postroom.sources import entries
from postroom.sources.source import Source
from postroom.sources.standing import Status, status_of

__all__ = [
    "add",
    "adopt",
    "delete",
    "failed",
    "find",
    "get",
    "hidden",
    "load_all",
    "mark",
    "replace",
    "row_of",
    "rows",
    "source_of",
    "status",
    "statuses",
    "succeeded",
    "touch",
    "unreadable",
    "wake",
]


_ROWS: Final = Named("source", Source)


def add(tx: Tx, source: Source) -> None:
    """Store a new source, due at once.  Raises Refused(``name_taken``)."""
    now = timestamp()
    try:
        tx.execute(
            "INSERT INTO sources (id, name, name_key, body, created_at, updated_at, store, mailbox, "
            "state, state_since, note, failures, successes, due_at, epoch) VALUES (:id, :name, "
            ":key, :body, :now, :now, :store, '', 'idle', :now, '', 0, 0, :now, 0)",
            id=secrets.token_hex(8),
            name=source.name,
            key=source.name.casefold(),
            body=_body(source),
            now=now,
            store=secrets.token_hex(8),
        )
    except Conflict:
        raise _ROWS.taken(source.name) from None


def replace(tx: Tx, source: Source) -> None:
    """Store a changed source under its name, due at once.  Raises NotThere."""
    row = row_of(tx, source.name)
    tx.execute(
        "UPDATE sources SET body = :body, updated_at = :now, due_at = :now WHERE id = :id",
        body=_body(source),
        now=timestamp(),
        id=row["id"],
    )


def adopt(tx: Tx, source: str, mailbox: str, *, same: bool = False) -> Row:
    """Remember which mailbox (host and user) a source collects from; gives its row.

    Another mailbox than before is another ``store``: nothing that is known of the old one may be
    taken for the new one's, so collecting begins at the source's start.  ``same`` says that it is
    the old one by another name.
    """
    row = tx.one("SELECT * FROM sources WHERE id = :id", id=source)
    if row is None:
        raise NotThere("The source was deleted meanwhile.")
    if row["mailbox"] == mailbox:
        return row
    keeps = same or not row["mailbox"]
    if not keeps:  # the old mailbox is not asked again: from here on it counts as gone
        tx.execute(
            "UPDATE ledger SET gone_at = :now WHERE source = :id AND gone_at IS NULL "
            "AND state NOT IN ('pending', 'acquired', 'delivered')",
            now=timestamp(),
            id=source,
        )
    tx.execute(
        "UPDATE sources SET mailbox = :mailbox, store = :store WHERE id = :id",
        id=source,
        mailbox=mailbox,
        store=row["store"] if keeps else secrets.token_hex(8),
    )
    return adopt(tx, source, mailbox)


def find(tx: Tx, name: str) -> Row | None:
    """The row of that name, or None."""
    return _ROWS.find(tx, name)


def row_of(tx: Tx, name: str) -> Row:
    """The row of a source.  Raises NotThere with the nearest name."""
    return _ROWS.row(tx, name)


def source_of(row: Row) -> Source:
    """The definition in a row.  Raises WrongUse(``room_error``) where nobody can read it any more."""
    return _ROWS.read(row)


def get(tx: Tx, name: str) -> Source:
    """The definition of a source.  Raises NotThere, and as :func:`source_of`."""
    return source_of(row_of(tx, name))


def load_all(tx: Tx) -> list[Source]:
    """Every definition that can be read, by name."""
    return _ROWS.all(tx)


def unreadable(tx: Tx) -> dict[str, WrongUse]:
    """The sources whose definition cannot be read any more, and why."""
    return _ROWS.unreadable(tx)


def rows(tx: Tx) -> list[Row]:
    """The row of every source, by name."""
    return _ROWS.rows(tx)


def hidden(tx: Tx) -> tuple[str, ...]:
    """The ids of the sources that are not there for whoever asks."""
    return tuple(row["id"] for row in _ROWS.hidden(tx))


def delete(tx: Tx, name: str) -> None:
    """Remove a source and all that it remembers.  Raises NotThere."""
    row = row_of(tx, name)
    entries.forget(tx, row["id"])
    tx.execute("DELETE FROM sources WHERE id = :id", id=row["id"])


def status(tx: Tx, name: str, *, told: Callable[[str], str] = str) -> Status:
    """What a source is doing and how many messages it knows in which state; ``told``: what is told of
    its note.
    """
    return _status(tx, row_of(tx, name), told, working=bool(workers(tx, now=timestamp())))


def statuses(tx: Tx, *, counted: bool = True, told: Callable[[str], str] = str) -> list[Status]:
    """The same of every source, by name; messages are ``counted``, or not: that reads the ledger."""
    working = bool(workers(tx, now=timestamp()))
    return [_status(tx, row, told, working=working, counted=counted) for row in rows(tx)]


def _status(
    tx: Tx, row: Row, told: Callable[[str], str], *, working: bool, counted: bool = True
) -> Status:
    now = timestamp()
    source: Source | WrongUse
    try:
        source = source_of(row)
    except WrongUse as error:  # a list shows every row, whatever is wrong with one
        source = error
    return status_of(
        row,
        source,
        note=told(row["note"]),
        owner=row["owner"] if is_living(tx, row["owner"], now=now) else None,
        counts=entries.counts(tx, row["id"]) if counted else {},
        working=working,
        waiting_since=entries.waiting_since(tx, row["id"]),
        now=now,
    )


def mark(
    tx: Tx, source: str, state: str, *, note: str = "", now: float, wake_at: float | None = None
) -> None:
    """Say what a source is doing since ``now``, which counts only when that is another state.

    ``wake_at`` is when whoever watches it looks again by itself.
    """
    tx.execute(
        "UPDATE sources SET state_since = CASE WHEN state = :state THEN state_since ELSE :now END, "
        "state = :state, note = :note, wake_at = :wake WHERE id = :id",
        wake=wake_at,
        id=source,
        state=state,
        note=note,
        now=now,
    )


def wake(tx: Tx, name: str) -> None:
    """Ask whoever owns the source to look now."""
    tx.execute(
        "UPDATE sources SET due_at = :now WHERE name_key = :key",
        now=timestamp(),
        key=name.casefold(),
    )


def touch(tx: Tx, name: str) -> None:
    """What the source rests on has changed: whoever watches it begins anew, and at once."""
    tx.execute(
        "UPDATE sources SET due_at = :now, updated_at = :now WHERE name_key = :key",
        now=timestamp(),
        key=name.casefold(),
    )


def succeeded(tx: Tx, source: str, *, delivered: bool, reset_after: int, now: float) -> None:
    """A pass went well: count it, and forget old failures once there were enough."""
    tx.execute(
        "UPDATE sources SET successes = successes + 1, "
        "failures = CASE WHEN successes + 1 >= :enough THEN 0 ELSE failures END, "
        "last_message_at = CASE WHEN :delivered THEN :now ELSE last_message_at END "
        "WHERE id = :id",
        id=source,
        enough=reset_after,
        delivered=int(delivered),
        now=now,
    )


def failed(tx: Tx, source: str, *, reset_after: float, now: float) -> int:
    """A pass failed; gives how many failures in a row that makes."""
    row = tx.one("SELECT failures, failed_at FROM sources WHERE id = :id", id=source)
    old = row["failures"] if row and now - (row["failed_at"] or 0) < reset_after else 0
    tx.execute(
        "UPDATE sources SET failures = :n, successes = 0, failed_at = :now WHERE id = :id",
        id=source,
        n=old + 1,
        now=now,
    )
    return int(old) + 1


def _body(source: Source) -> str:
    return json.dumps(shown(source), ensure_ascii=False)
