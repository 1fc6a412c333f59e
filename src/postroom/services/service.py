"""The service: how messages are sent, declared once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final, Literal, Self

from pydantic import model_validator

from postroom.clock import timestamp
from postroom.credentials.types.addresses import Senders
from postroom.db import Conflict, Named, Row, Tx
from postroom.errors import WrongUse
from postroom.fields import Duration, Fields, Name, Rate, check_waits, field, shown

__all__ = [
    "Retry",
    "Service",
    "add",
    "delete",
    "find",
    "get",
    "held_names",
    "hold",
    "implicit",
    "load_all",
    "replace",
    "row_of",
    "sending",
    "spelled",
    "unreadable",
]


class Retry(Fields):
    """When a temporary failure is tried again: waits grow from ``min`` to ``max``."""

    min: Duration = field("1m", label="First wait")
    max: Duration = field("1h", label="Longest wait")
    for_: Duration = field(
        "5d", alias="for", label="Give up after", help="Counted from when the message was stored."
    )

    @model_validator(mode="after")
    def _at_some_distance(self) -> Self:
        check_waits(self)
        return self


class Service(Fields):
    """A service (DESIGN 4.4): a connection to send over, and how."""

    name: Name = field(label="Name")
    description: str = field("", label="Description")
    connection: str = field(
        label="Connection",
        refers_to="connection",
        help="A connection with an outgoing side, or credential:NAME for an smtp credential.",
    )
    worker_roles: list[str] = field(
        default_factory=list, label="Worker roles", help="Empty: any worker may send for it."
    )
    queue_size: int = field(
        1000, label="Send queue size", help="One more waiting message fails at once."
    )
    throttle: Rate | None = field(None, label="Throttle", help="At most so many in that time.")
    retry: Retry = field(default_factory=Retry, label="Retry")
    sent_copy: Literal["auto", "append", "server", "none"] = field(
        "auto",
        label="Copy of what was sent",
        help="append: into the Sent folder of the connection's IMAP side. server: it keeps one "
        "itself. none: no copy. auto: append, if there is an IMAP side that may be changed and the "
        "provider is not known to keep copies (Gmail and Microsoft do).",
    )
    on_ambiguous: Literal["hold", "resend"] = field(
        "hold",
        label="When in doubt",
        help="hold: a person decides. resend: look for it in the Sent folder of the connection's "
        "IMAP side; what is not there is sent again, with the same Message-ID.",
    )
    from_: str = field(
        "", alias="from", label="From", macro=True, help="The sender when a message names none."
    )
    allowed_senders: Senders = field(
        (),
        label="Allowed senders",
        help="Addresses, or *@DOMAIN. Empty: only the account's own address.",
    )

    @model_validator(mode="after")
    def _lets_something_through(self) -> Self:
        if self.queue_size < 1:
            raise ValueError("queue_size: at least 1, or nothing is ever stored")
        if self.throttle is not None and self.throttle.max < 1:
            raise ValueError("throttle.max: at least 1, or nothing is ever sent")
        return self


_ROWS: Final = Named("service", Service)


def implicit(name: str) -> Service:
    """The service of a connection or smtp credential that is used without one.

    ``name`` is what its outbox rows carry: ``connection:NAME`` or ``credential:NAME``, each with
    ``/MAILBOX`` where a command named one.
    """
    noun, _, bare = name.partition(":")
    return Service(name=bare.partition("/")[0], connection=bare if noun == "connection" else name)


def add(tx: Tx, service: Service) -> None:
    """Store a new service.  Raises Refused(``name_taken``)."""
    now = timestamp()
    try:
        tx.execute(
            "INSERT INTO services (id, name, name_key, body, created_at, updated_at, held) "
            "VALUES (:id, :name, :name_key, :body, :now, :now, 0)",
            id=service.name.casefold(),
            name=service.name,
            name_key=service.name.casefold(),
            body=_body(service),
            now=now,
        )
    except Conflict:
        raise _ROWS.taken(service.name) from None


def replace(tx: Tx, service: Service) -> None:
    """Store a changed service under its name.  Raises NotThere."""
    done = tx.execute(
        "UPDATE services SET body = :body, updated_at = :now WHERE name_key = :key",
        body=_body(service),
        now=timestamp(),
        key=service.name.casefold(),
    )
    if not done:
        spelled(tx, service.name)


def get(tx: Tx, name: str) -> Service:
    """The service of that name.  Raises NotThere with the nearest name, WrongUse if it is unreadable."""
    return _ROWS.read(_ROWS.row(tx, name))


def row_of(tx: Tx, name: str) -> Row:
    """The row of a service.  Raises NotThere with the nearest name."""
    return _ROWS.row(tx, name)


def find(tx: Tx, name: str) -> Service | None:
    """The service of that name, or None."""
    row = _ROWS.find(tx, name)
    return None if row is None else _ROWS.read(row)


def spelled(tx: Tx, name: str) -> str:
    """The name of a service as it was spelled first.  Raises NotThere with the nearest name."""
    return str(_ROWS.row(tx, name)["name"])


def load_all(tx: Tx) -> list[Service]:
    """Every service that can be read, by name."""
    return _ROWS.all(tx)


def sending(tx: Tx, names: Iterable[str]) -> dict[str, Service]:
    """Those of these services that are there, can be read and are not held, by name; and the
    implicit ones.
    """
    wanted = list(names)
    keys = json.dumps([name.casefold() for name in wanted if ":" not in name])
    found = {name: implicit(name) for name in wanted if ":" in name}
    found |= {one.name: one for one in _ROWS.of(tx.all(_SENDING[tx.dialect], keys=keys))}
    return found


_SENDING: Final = {
    "sqlite": "SELECT * FROM services WHERE held = 0 AND name_key IN "
    "(SELECT value FROM json_each(:keys))",
    "postgresql": "SELECT * FROM services WHERE held = 0 AND name_key IN "
    "(SELECT json_array_elements_text(CAST(:keys AS json)))",
}


def unreadable(tx: Tx) -> dict[str, WrongUse]:
    """The services that cannot be read any more, and why."""
    return _ROWS.unreadable(tx)


def delete(tx: Tx, name: str) -> None:
    """Remove a service.  Whether messages wait in its queue is asked above.  Raises NotThere."""
    spelled(tx, name)
    tx.execute("DELETE FROM services WHERE name_key = :key", key=name.casefold())


def hold(tx: Tx, name: str, *, held: bool) -> bool:
    """Stop sending through a service, or go on; gives whether that is a change.  Raises NotThere."""
    spelled(tx, name)
    done = tx.execute(
        "UPDATE services SET held = :held, updated_at = :now "
        "WHERE name_key = :key AND held <> :held",
        held=int(held),
        now=timestamp(),
        key=name.casefold(),
    )
    return bool(done)


def held_names(tx: Tx) -> frozenset[str]:
    """The services that an operator holds: they take messages and send none."""
    return frozenset(row["name"] for row in tx.all("SELECT name FROM services WHERE held = 1"))


def _body(service: Service) -> str:
    return json.dumps(shown(service), ensure_ascii=False)
