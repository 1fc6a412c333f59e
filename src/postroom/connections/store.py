"""Rows of connections: names, bodies as JSON, who refers to what, and when one was last used."""

from __future__ import annotations

import functools
import json
from typing import Any, NamedTuple

from postroom.clock import timestamp
from postroom.connections import events
from postroom.connections.connection import Connection
from postroom.db import Conflict, Row, Tx
from postroom.errors import NotThere, Refused
from postroom.fields import nearest, parse, shown

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
        raise Refused(
            f"There is a connection called {connection.name} already.",
            code="name_taken",
            hint=f"Change it with: postroom connection set {connection.name}",
        ) from None


def replace(tx: Tx, connection: Connection) -> None:
    """Store a changed connection; its name stays spelled as it was.  Raises NotThere."""
    done = tx.execute(
        "UPDATE connections SET body = :body, updated_at = :now WHERE name_key = :key",
        body=_body(connection), now=timestamp(), key=connection.name.casefold(),
    )  # fmt: skip
    if not done:
        raise _not_there(tx, connection.name)


def get(tx: Tx, name: str) -> Connection:
    """The connection of that name, in any case.  Raises NotThere with the nearest name."""
    row = tx.one("SELECT name, body FROM connections WHERE name_key = :key", key=name.casefold())
    if row is None:
        raise _not_there(tx, name)
    return _connection(row)


def exists(tx: Tx, name: str) -> bool:
    """Whether there is a connection of that name."""
    return (
        tx.one("SELECT 1 FROM connections WHERE name_key = :key", key=name.casefold()) is not None
    )


def load_all(tx: Tx) -> list[Connection]:
    """Every connection, by name."""
    rows = tx.all("SELECT name, body FROM connections ORDER BY name_key")
    return [_connection(row) for row in rows]


def delete(tx: Tx, name: str) -> None:
    """Remove a connection; those that extend it keep it.  What else uses it is asked above.

    Raises NotThere, Refused(``in_use``).
    """
    connection = get(tx, name)
    if children := extending(tx, name):
        raise Refused(
            f"Connection {connection.name} is extended by {', '.join(children)}.",
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
        for place, side in connection.sides().items():
            named = {
                "auth": side.auth.credential if side.auth else "",
                "trust": side.trust or "",
                "client_certificate": side.client_certificate or "",
            }
            found += [
                (credential.casefold(), Reference("connection", connection.name, f"{place}.{part}"))
                for part, credential in named.items()
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
    row = tx.one(
        "SELECT used_at, used_by FROM connections WHERE name_key = :key", key=name.casefold()
    )
    if row is None:
        raise _not_there(tx, name)
    return LastUse(row["used_at"], row["used_by"] or "")


def _body(connection: Connection) -> str:
    body = shown(connection)
    del body["name"]  # the column has it, spelled as it was first
    return json.dumps(body, ensure_ascii=False)


def _connection(row: Row) -> Connection:
    return _parsed(row["name"], row["body"])


@functools.lru_cache(1024)  # by the very text: one that was changed is another
def _parsed(name: str, text: str) -> Connection:
    body: dict[str, Any] = json.loads(text)
    return parse(Connection, body | {"name": name}, where=f"connection {name}")


def _not_there(tx: Tx, name: str) -> NotThere:
    close = nearest(name, [row["name"] for row in tx.all("SELECT name FROM connections")])
    return NotThere(
        f"There is no connection called {name!r}.",
        hint=f"Did you mean {close}?" if close else "List them: postroom connection list",
    )
