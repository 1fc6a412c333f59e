"""Rooms for measuring: made anew for each run, and the fresh processes that work in them."""

from __future__ import annotations

import asyncio
import compileall
import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from postroom.app import Room, open_room
from postroom.secret import Secret
from postroom.settings import Settings

__all__ = [
    "ROOT",
    "Place",
    "Scratch",
    "collecting_room",
    "compiled",
    "listing_room",
    "resolving_room",
    "sending_room",
    "timed",
    "work",
]

ROOT = Path(__file__).parents[2]


class Scratch:
    """New directories below ``parent``, removed when each is left, or all at the end.

    ext4 looks twice at every inode that was deleted in the last minutes before it gives it out
    anew, so ten thousand files that are removed between two runs make the next run slower, ours
    and the peer's: on a disk nothing is removed before the end.
    """

    def __init__(self, parent: Path, *, at_once: bool) -> None:
        self._parent = parent
        self._at_once = at_once
        self._made: list[Path] = []

    @contextlib.contextmanager
    def new(self) -> Iterator[Path]:
        """A directory of its own."""
        path = Path(tempfile.mkdtemp(prefix="bench-", dir=self._parent))
        self._made.append(path)
        try:
            yield path
        finally:
            if self._at_once:
                self.clear()

    def clear(self) -> None:
        """Remove what was made."""
        while self._made:
            shutil.rmtree(self._made.pop(), ignore_errors=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A room and what lies beside it, in one directory of a file system that is to be measured."""

    base: Path

    @property
    def settings(self) -> Settings:
        """Where the room and its key are."""
        return Settings(self.base / "room", f"file:{self.base / 'keys' / 'room.key'}")

    @property
    def options(self) -> list[str]:
        """The same for a command line."""
        return ["--room", str(self.settings.room), "--kek", str(self.settings.kek)]


async def _opened(place: Place) -> Room:
    return await open_room(place.settings, make=True)


def collecting_room(
    place: Place, port: int, user: str, password: str, *, protocol: str = "imap", trust: str = ""
) -> None:
    """A room with the source ``bench``, into a directory beside the room.

    In the clear; with ``trust`` (the PEM text of an authority) over TLS.
    """

    async def make() -> None:
        room = await _opened(place)
        await room.credentials.create(
            "login", "password", details={"user_name": user, "password": Secret(password)}
        )
        incoming: dict[str, Any] = {
            "protocol": protocol,
            "host": "127.0.0.1",
            "port": str(port),
            "auth": {"type": "secret", "credential": "login"},
        }
        if trust:
            details: dict[str, Any] = {"certificate": trust}
            await room.credentials.create("authority", "trusted_certificate", details=details)
            incoming |= {"security": "tls", "trust": "authority"}
        else:
            incoming |= {"security": "none", "cleartext_sign_in": True}
        await room.connections.add({"name": "bench", "incoming": incoming})
        sink = {"type": "directory", "path": str(place.base / "sink")}
        await room.sources.add({"name": "bench", "connection": "bench", "sink": sink})
        await room.close()

    asyncio.run(make())


def sending_room(place: Place, port: int, queue_size: int) -> None:
    """A room with a service over plain SMTP without sign-in, and a credential for programs."""

    async def make() -> None:
        room = await _opened(place)
        outgoing = {
            "protocol": "smtp",
            "host": "127.0.0.1",
            "port": str(port),
            "security": "none",
            "auth": {"type": "none"},
        }
        await room.connections.add({"name": "bench", "outgoing": outgoing})
        service = {"name": "bench-out", "connection": "bench", "queue_size": queue_size}
        await room.services.add(service)
        handed = {"value": Secret("what a program is handed")}
        await room.credentials.create("bench-handed", "secret", details=handed, programs=True)
        await room.close()

    asyncio.run(make())


def listing_room(place: Place, count: int) -> None:
    """A room with so many credentials, of three types."""

    async def one(room: Room, number: int) -> None:
        secret = {"password": Secret(f"the password with number {number}"), "user_name": "ada"}
        kind, details = (
            ("password", secret),
            ("secret", {"value": Secret(f"the value with number {number}")}),
            ("smtp", {"host": f"smtp{number % 7}.example.com", "tls": True, **secret}),
        )[number % 3]
        name = f"c{number:05}"
        await room.credentials.create(
            name, kind, description=f"Of a bench, {name}", details=details
        )

    async def make() -> None:
        room = await _opened(place)
        for first in range(0, count, 500):
            numbers = range(first, min(count, first + 500))
            await asyncio.gather(*(one(room, number) for number in numbers))
        await room.close()

    asyncio.run(make())


def resolving_room(place: Place) -> None:
    """A room with the credential ``login``."""

    async def make() -> None:
        room = await _opened(place)
        details = {"user_name": "bench", "password": Secret("correct horse battery")}
        await room.credentials.create("login", "password", details=details)
        await room.close()

    asyncio.run(make())


def compiled() -> None:
    """Keep the byte code of the package beside it, as installing it would.

    Where ``PYTHONDONTWRITEBYTECODE`` is set every process compiles what was changed last anew, and
    a command takes half as long again.
    """
    compileall.compile_dir(ROOT / "src", quiet=2)


def work(place: Place, task: str, **values: Any) -> dict[str, float]:
    """Run one task of :mod:`tests.bench.work` in a fresh process; gives what it measured.

    ``process`` is added: seconds of the process as a whole, from its start to its end.
    """
    words = [sys.executable, "-m", "tests.bench.work", task, *place.options]
    seconds, out = timed([*words, "--values", json.dumps(values)])
    found: dict[str, float] = json.loads(out)
    return {**found, "process": seconds}


def timed(words: list[str], *, env: Mapping[str, str] | None = None) -> tuple[float, str]:
    """Run a command to its end; gives its seconds and its standard output.

    Raises RuntimeError with what it said when it fails.
    """
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    whole = {**os.environ, "PYTHONPATH": paths, **(env or {})}
    began = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, env=whole, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{words[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return seconds, done.stdout
