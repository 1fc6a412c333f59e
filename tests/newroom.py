"""A new room for a test: made once in this process, and put down as files from then on.

Every copy has the id and the keys of the first, and shares nothing else with it. A test that wants two
rooms which do not know each other, or is about making one, makes it by ``open_room(..., make=True)``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from postroom.app import DATABASE, open_room
from postroom.db import open_database
from postroom.settings import Settings

__all__ = ["new_database", "new_room"]


class _Made(NamedTuple):
    """The files of a room that nobody has used."""

    database: bytes
    key: bytes


def new_room(settings: Settings) -> None:
    """Put a new room, and its key, where the settings say; the key is to be in a file."""
    assert settings.kek is not None
    kind, _, key = settings.kek.partition(":")
    assert kind == "file", settings.kek
    made = _made()
    settings.room.mkdir(mode=0o700, parents=True)
    _put(settings.room / DATABASE, made.database)
    with contextlib.closing(sqlite3.connect(settings.room / DATABASE, isolation_level=None)) as raw:
        raw.execute(
            "UPDATE keks SET source = ?", (settings.kek,)
        )  # a room remembers where its key was
    Path(key).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _put(Path(key), made.key)


def new_database(path: Path) -> None:
    """Put the database of a room without keys there: its schema, and nothing in it."""
    _put(path, _schema())


def _put(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        path.chmod(0o600)
        file.write(data)


@functools.cache
def _made() -> _Made:
    with tempfile.TemporaryDirectory(prefix="postroom-new-") as folder:
        key = Path(folder, "keys", "room.key")
        settings = Settings(Path(folder, "room"), f"file:{key}")

        async def make() -> None:
            await (await open_room(settings, make=True)).close()

        _run(make)
        left = {each.name for each in Path(folder).rglob("*") if each.is_file()}
        assert left == {DATABASE, key.name}, left  # or a copy of the two is not the room
        return _Made((settings.room / DATABASE).read_bytes(), key.read_bytes())


@functools.cache
def _schema() -> bytes:
    with tempfile.TemporaryDirectory(prefix="postroom-new-") as folder:
        path = Path(folder, DATABASE)

        async def make() -> None:
            await open_database(path, create=True).close()

        _run(make)
        return path.read_bytes()


def _run(make: Callable[[], Coroutine[None, None, None]]) -> None:
    """In a thread: whoever wants a room may be within a loop, or not."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(make())).result()
