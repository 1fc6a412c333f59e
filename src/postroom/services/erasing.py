"""Erasing a person from the outbox: whole messages that name them, once nothing more happens to them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from postroom.db import Row, Tx
from postroom.mail import Message

__all__ = ["AT_ONCE", "Stored", "erase", "stored"]

AT_ONCE: Final = 100
BYTES_AT_ONCE: Final = 1 << 20
"""Messages of one look, and bytes of them, unless the first alone has more: their content is read."""

Named = Callable[[str], bool]
"""Whether a text names whoever is meant."""


class Stored(NamedTuple):
    """A message of the outbox that names somebody; ``others`` is how many more recipients it has."""

    id: str
    service: str
    state: str
    subject: str
    finished: bool
    others: int
    since: float

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` shows it."""
        return {name: getattr(self, name) for name in ("id", "service", "state", "others")}


def stored(tx: Tx, after: str, named: Named) -> tuple[list[Stored], str]:
    """What of the next messages names somebody, and the id to go on after.

    They are :data:`AT_ONCE`, or fewer large ones.  That id is empty at the end.
    """
    rows = tx.all(
        "SELECT * FROM outbox WHERE id > :after ORDER BY id LIMIT :most", after=after, most=AT_ONCE
    )
    sizes = itertools.accumulate(row["size"] for row in rows)
    some = max(1, sum(size <= BYTES_AT_ONCE for size in sizes))
    found = [_stored(tx, row, named) for row in rows[:some] if _names(tx, row, named)]
    more = len(rows) == AT_ONCE or some < len(rows)
    return found, rows[:some][-1]["id"] if more else ""


def _stored(tx: Tx, row: Row, named: Named) -> Stored:
    to = tx.all("SELECT address FROM outbox_recipients WHERE item = :id", id=row["id"])
    return Stored(
        row["id"],
        row["service"],
        row["state"],
        row["subject"],
        row["finished_at"] is not None,
        sum(not named(each["address"]) for each in to),
        row["created_at"],
    )


def _names(tx: Tx, row: Row, named: Named) -> bool:
    return any(map(named, filter(None, _texts(tx, row))))


def _texts(tx: Tx, row: Row) -> Iterator[str]:
    """Everything that is kept of a message, what is quickly read first."""
    for name in ("sender", "subject", "reason", "message_id", "idempotency_key"):
        yield row[name]
    for each in tx.all(
        "SELECT address, reply FROM outbox_recipients WHERE item = :id", id=row["id"]
    ):
        yield from each
    for each in tx.all("SELECT said FROM outbox_attempts WHERE item = :id", id=row["id"]):
        yield each["said"]
    yield tx.value("SELECT said FROM sent_copies WHERE id = :id", id=row["id"])
    content = tx.value("SELECT content FROM outbox_content WHERE item = :id", id=row["id"])
    if content is not None:
        yield content.decode("utf-8", "replace")
        message = Message(content)  # a text in base64 names nobody before it is decoded
        yield message.text or ""
        yield message.html or ""


def erase(tx: Tx, item: str, named: Named) -> bool:
    """Remove one message if it is finished; True when it was.

    While its idempotency key still is to tell a repeated request (7 days), an empty row stays for
    that, unless the key itself names the person.
    """
    row = tx.one("SELECT * FROM outbox WHERE id = :id AND finished_at IS NOT NULL", id=item)
    if row is None:
        return False
    for statement in _PARTS:
        tx.execute(statement, id=item)
    if row["idempotency_key"] is None or named(row["idempotency_key"]):
        tx.execute("DELETE FROM outbox WHERE id = :id", id=item)
    else:
        tx.execute(
            "UPDATE outbox SET subject = '', sender = '', message_id = '', reason = 'erased', "
            "size = 0 WHERE id = :id",
            id=item,
        )
    return True


_PARTS: Final = (
    "DELETE FROM outbox_content WHERE item = :id",
    "DELETE FROM sent_copies WHERE id = :id",
    "DELETE FROM outbox_recipients WHERE item = :id",
    "DELETE FROM outbox_attempts WHERE item = :id",
)
