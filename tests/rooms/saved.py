"""Puts a saved room back as files, and reads what is in any room's database."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from postroom.app import DATABASE
from postroom.settings import Settings

__all__ = ["contents", "saved_room", "secrets_then", "tokens_then"]

HERE = Path(__file__).parent


def saved_room(number: int, directory: Path) -> Settings:
    """The room that the release with this schema number saved, in a directory of its own."""
    saved = HERE / f"{number:04}"
    room = directory / "room"
    room.mkdir(mode=0o700)
    connection = sqlite3.connect(room / DATABASE)
    connection.executescript("PRAGMA journal_mode = WAL;" + (saved / "room.sql").read_text("utf-8"))
    connection.close()
    (room / DATABASE).chmod(0o600)
    key = directory / "room.key"
    key.write_bytes((saved / "room.key").read_bytes())
    key.chmod(0o600)
    return Settings(room, f"file:{key}")


def secrets_then(number: int) -> dict[str, dict[str, str]]:
    """What its secrets were: credential, field, value."""
    text = (HERE / f"{number:04}" / "facts.json").read_text("utf-8")
    facts: dict[str, dict[str, str]] = json.loads(text)
    return facts


def tokens_then(number: int) -> dict[str, dict[str, str]]:
    """What its tokens were: account, which one, value; none of a release that had no sign-ins."""
    file = HERE / f"{number:04}" / "tokens.json"
    if not file.exists():
        return {}
    tokens: dict[str, dict[str, str]] = json.loads(file.read_text("utf-8"))
    return tokens


def contents(database: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, in an order that does not depend on how they are stored."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        return {
            table["name"]: sorted(
                map(dict, connection.execute(f"SELECT * FROM {table['name']}")), key=repr
            )
            for table in tables
        }
