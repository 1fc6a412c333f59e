"""Migrations: numbered files of text that bring a room's schema to this release's number."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from importlib import resources
from typing import Final, NamedTuple

from postroom.errors import RoomError

__all__ = ["SCHEMA", "check_schema", "make_schema", "migrate", "schema_of"]

SCHEMA: Final = 8
"""The schema number this release reads and writes."""


class _Migration(NamedTuple):
    """One numbered step: ``0001_first_light.sql``."""

    number: int
    name: str
    text: str


def _load() -> list[_Migration]:
    found = []
    for entry in resources.files("postroom.db").joinpath("migrations").iterdir():
        if match := re.fullmatch(r"(\d{4})_(\w+)\.sql", entry.name):
            found.append(_Migration(int(match[1]), match[2], entry.read_text("utf-8")))
    return sorted(found)


def schema_of(connection: sqlite3.Connection) -> int:
    """The schema number of an open database; 0 for an empty one."""
    number: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return number


def check_schema(connection: sqlite3.Connection, *, older: bool = False) -> int:
    """The schema number of a room that this release may open; with ``older`` of an earlier one too.

    Raises RoomError: ``room_too_new``, which is never touched, or ``room_too_old``.
    """
    number = schema_of(connection)
    if number > SCHEMA:
        raise RoomError(
            f"This room was made by a later release (schema {number}, this one knows {SCHEMA}).",
            code="room_too_new",
            hint="Install the later release; nothing was changed.",
        )
    if number == 0:
        raise RoomError(
            f"This room was not finished (schema 0; this release needs {SCHEMA}).",
            code="room_too_old",
            hint="Finish it with: postroom init",
        )
    if number < SCHEMA and not older:
        raise RoomError(
            f"This room was made by an earlier release (schema {number}; this one needs {SCHEMA}). "
            "A worker upgrades it when it starts; a copy is kept.",
            code="room_too_old",
            hint="Upgrade it with: postroom upgrade",
        )
    return number


def make_schema(connection: sqlite3.Connection) -> None:
    """Make the tables of a new room, all of them or none; a room that has some is left as it is."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if schema_of(connection) == 0:  # another process may have been faster
            for step in _load():
                _take(connection, step)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # where a write fails SQLite has given up on all of it
            connection.execute("ROLLBACK")
        raise


def migrate(connection: sqlite3.Connection, last: Callable[[], None]) -> None:
    """Bring an older room to :data:`SCHEMA`, a transaction a step.

    Each step commits with its number, so whatever ends the process, the next call goes on from
    there.  ``last`` is called in the transaction of the last step.  Foreign keys are checked at the
    end of a step, not in it: a step may rebuild a table that others refer to.
    """
    connection.execute("PRAGMA foreign_keys=OFF")
    for step in _load():
        if step.number <= schema_of(connection):
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            _take(connection, step)
            if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise RoomError(
                    f"The room's tables do not fit together after step {step.number} "
                    f"({step.name}); it was undone.",
                    hint="Restore the room from a backup, or go on with the earlier release.",
                )
            if step.number == SCHEMA:
                last()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _take(connection: sqlite3.Connection, step: _Migration) -> None:
    for statement in _statements(step.text):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {step.number}")


_SQLITE: Final = {
    "IDENTITY": "INTEGER",
    "BIGINT": "INTEGER",
    "DOUBLE PRECISION": "REAL",
    "BYTEA": "BLOB",
    "WRITTEN": "rowid",  # rows in the order they were inserted
}


def _statements(text: str) -> list[str]:
    """The statements of a step in SQLite's words; tables are STRICT, so a type is a type."""
    bare = re.sub(r"--[^\n]*", "", text)
    for portable, own in _SQLITE.items():
        bare = re.sub(rf"\b{portable}\b", own, bare)
    return [
        f"{part} STRICT" if part.startswith("CREATE TABLE") else part
        for part in map(str.strip, bare.split(";"))
        if part
    ]
