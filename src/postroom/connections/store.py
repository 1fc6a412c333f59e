"""Rows of connections: names, bodies as JSON, who refers to what, and when one was last used."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from postroom.clock import timestamp
from postroom.connections import events
from postroom.connections.connection import Connection
from postroom.db import Conflict, Named, Tx
from postroom.errors import Refused, WrongUse
from postroom.fields import shown

__all__ = [
    "LastUse",
    "Reference",
    "create",
    "credentials_named",
    "delete",
    "exists",
    "extending",
    "get",
    "last_use",
    "load_all",
    "record_use",
    "referring_to_credential",
    "replace",
    "spelled",
    "unreadable",
]


class Reference(NamedTuple):
    """Who refers to a record: ``("connection", "acme", "incoming.auth")``."""

    noun: str
    name: str
    place: str


class LastUse(NamedTuple):
    """When a connection was last opened (seconds since 1970) and by whom; None and empty: never."""

    at: float | None
    by: str


_ROWS: Final = Named("connection", Connection)


def create(tx: Tx, connection: Connection) -> None:
    """Store a new connection.  Raises Refused(``name_taken``)."""
    now = timestamp()
    try:
        tx.execute(
            "INSERT INTO connections (id, name, name_key, body, created_at, updated_at) "
            "VALUES (:key, :name, :key, :body, :now, :now)",
            key=connection.name.casefold(), name=connection.name, body=_body(connection), now=now,
        )  # fmt: skip
    except Conflict:
        raise _ROWS.taken(connection.name) from None


def replace(tx: Tx, connection: Connection) -> None:
    """Store a changed connection; its name stays spelled as it was.  Raises NotThere."""
    done = tx.execute(
        "UPDATE connections SET body = :body, updated_at = :now WHERE name_key = :key",
        body=_body(connection), now=timestamp(), key=connection.name.casefold(),
    )  # fmt: skip
    if not done:
        spelled(tx, connection.name)


def get(tx: Tx, name: str) -> Connection:
    """The connection of that name, in any case.

    Raises NotThere with the nearest name, WrongUse(``room_error``) where nobody can read it any more.
    """
    return _ROWS.read(_ROWS.row(tx, name))


def exists(tx: Tx, name: str) -> bool:
    """Whether there is a connection of that name."""
    return _ROWS.find(tx, name) is not None


def spelled(tx: Tx, name: str) -> str:
    """The name as it was spelled first.  Raises NotThere with the nearest name."""
    return str(_ROWS.row(tx, name)["name"])


def load_all(tx: Tx) -> list[Connection]:
    """Every connection that can be read, by name."""
    return _ROWS.all(tx)


def unreadable(tx: Tx) -> dict[str, WrongUse]:
    """The connections that cannot be read any more, and why."""
    return _ROWS.unreadable(tx)


def delete(tx: Tx, name: str) -> None:
    """Remove a connection; those that extend it keep it.  What else uses it is asked above.

    Raises NotThere, Refused(``in_use``).
    """
    found = spelled(tx, name)
    if children := extending(tx, name):
        raise Refused(
            f"Connection {found} is extended by {', '.join(children)}.",
            code="in_use",
            hint="Change or delete those first.",
        )
    events.forget(tx, name)
    tx.execute("DELETE FROM connections WHERE name_key = :key", key=name.casefold())


def extending(tx: Tx, name: str) -> list[str]:
    """The connections that inherit from this one directly."""
    key = name.casefold()
    return [each.name for each in load_all(tx) if each.extends.casefold() == key]


def referring_to_credential(tx: Tx, name: str) -> list[Reference]:
    """Every place that names this credential: sign-in, trust, client certificate."""
    key = name.casefold()
    return [reference for credential, reference in credentials_named(tx) if credential == key]


def credentials_named(tx: Tx) -> list[tuple[str, Reference]]:
    """Every credential that a connection names, casefolded, with the place that names it."""
    found = []
    for connection in load_all(tx):
        for place, part in connection.parts().items():
            named = {
                "auth": part.auth.credential if part.auth else "",
                "trust": part.trust or "",
                "client_certificate": getattr(part, "client_certificate", "") or "",
            }
            found += [
                (
                    credential.casefold(),
                    Reference("connection", connection.name, f"{place}.{field}".lstrip(".")),
                )
                for field, credential in named.items()
                if credential
            ]
    return found


def record_use(tx: Tx, name: str, *, by: str) -> None:
    """Note that the connection was opened now, by this actor."""
    tx.execute(
        "UPDATE connections SET used_at = :now, used_by = :by WHERE name_key = :key",
        now=timestamp(), by=by, key=name.casefold(),
    )  # fmt: skip


def last_use(tx: Tx, name: str) -> LastUse:
    """When it was last opened and by whom.  Raises NotThere."""
    row = _ROWS.row(tx, name)
    return LastUse(row["used_at"], row["used_by"] or "")


def _body(connection: Connection) -> str:
    body = shown(connection)
    del body["name"]  # the column has it, spelled as it was first
    return json.dumps(body, ensure_ascii=False)
