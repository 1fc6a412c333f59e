"""The rows of notifications: their definitions, and how each was used last."""

from __future__ import annotations

import json
import secrets
from typing import Final

from postroom.clock import timestamp
from postroom.db import Conflict, Named, Row, Tx
from postroom.errors import WrongUse
from postroom.fields import shown
from postroom.notices.notification import Notify

__all__ = [
    "add", "delete", "get", "load_all", "replace", "row_of", "rows", "spelled", "unreadable", "used",
]  # fmt: skip

_ROWS: Final = Named("notification", Notify)


def add(tx: Tx, one: Notify, *, by: str = "") -> None:
    """Store a new notification; ``by`` is the id of the user who saves it, of an administrator nothing.

    Raises Refused(``name_taken``).
    """
    try:
        tx.execute(
            "INSERT INTO notifications (id, name, name_key, body, created_at, updated_at, saved_by) "
            "VALUES (:id, :name, :key, :body, :now, :now, :by)",
            id=secrets.token_hex(8),
            name=one.name,
            key=one.name.casefold(),
            body=_body(one),
            now=timestamp(),
            by=by,
        )
    except Conflict:
        raise _ROWS.taken(one.name) from None


def replace(tx: Tx, one: Notify, *, by: str = "") -> None:
    """Store a changed notification under its name; ``by`` as of :func:`add`.  Raises NotThere."""
    done = tx.execute(
        "UPDATE notifications SET body = :body, updated_at = :now, saved_by = :by "
        "WHERE name_key = :key",
        by=by,
        body=_body(one),
        now=timestamp(),
        key=one.name.casefold(),
    )
    if not done:
        spelled(tx, one.name)


def get(tx: Tx, name: str) -> Notify:
    """The notification of that name.  Raises NotThere with the nearest name, WrongUse if it is
    unreadable.
    """
    return _ROWS.read(_ROWS.row(tx, name))


def row_of(tx: Tx, name: str) -> Row:
    """The row of a notification.  Raises NotThere."""
    return _ROWS.row(tx, name)


def rows(tx: Tx) -> list[Row]:
    """The row of every notification, by name."""
    return _ROWS.rows(tx)


def spelled(tx: Tx, name: str) -> str:
    """The name as it was spelled first.  Raises NotThere with the nearest name."""
    return str(_ROWS.row(tx, name)["name"])


def load_all(tx: Tx) -> list[Notify]:
    """Every notification that can be read, by name."""
    return _ROWS.all(tx)


def unreadable(tx: Tx) -> dict[str, WrongUse]:
    """The notifications that cannot be read any more, and why."""
    return _ROWS.unreadable(tx)


def delete(tx: Tx, name: str) -> None:
    """Remove a notification.  Raises NotThere."""
    spelled(tx, name)
    tx.execute("DELETE FROM notifications WHERE name_key = :key", key=name.casefold())


def used(tx: Tx, name: str, *, outcome: str, now: float | None) -> None:
    """Note that it was used (None: it was not, after all), and what came of that, as a sentence."""
    tx.execute(
        "UPDATE notifications SET used_at = COALESCE(:now, used_at), outcome = :outcome "
        "WHERE name_key = :key",
        now=now,
        outcome=outcome,
        key=name.casefold(),
    )


def _body(one: Notify) -> str:
    return json.dumps(shown(one), ensure_ascii=False)
