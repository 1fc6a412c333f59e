"""Migrations: numbered files of text that bring a room's schema to this release's number."""

from __future__ import annotations

import re
import sqlite3
from importlib import resources
from typing import NamedTuple

from postroom.errors import RoomError

__all__ = ["SCHEMA", "migrate", "schema_of"]


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


SCHEMA = 1
"""The schema number this release reads and writes."""


def schema_of(connection: sqlite3.Connection) -> int:
    """The schema number of an open database; 0 for an empty one."""
    number: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return number


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an empty or older database to :data:`SCHEMA`, one transaction a step.

    Raises RoomError(``room_too_new``) for a database of a later release, which is never touched.
    """
    if schema_of(connection) > SCHEMA:
        raise RoomError(
            f"This room was made by a later release (schema {schema_of(connection)}, this one "
            f"knows {SCHEMA}).",
            code="room_too_new",
            hint="Install the later release; nothing was changed.",
        )
    for step in _load():
        if step.number <= schema_of(connection):
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            if step.number > schema_of(connection):  # another process may have been faster
                for statement in _statements(step.text):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {step.number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


_SQLITE = {"IDENTITY": "INTEGER", "BIGINT": "INTEGER", "DOUBLE PRECISION": "REAL", "BYTEA": "BLOB"}


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
