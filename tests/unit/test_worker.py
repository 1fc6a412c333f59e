"""The worker when our own side breaks: what fails by itself stops nothing else, and is given back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.clock import monotonic, timestamp
from postroom.mail import Draft
from postroom.worker import Worker


async def until(true: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until it is so."""
    end = monotonic() + seconds
    while not true():
        assert monotonic() < end, "it did not come true"
        await asyncio.sleep(0.02)


async def ended(worker: asyncio.Task[None]) -> None:
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


async def test_what_cannot_be_finished_keeps_nothing_else_from_being_tidied(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """A rotation that cannot go on is told in the log; what killed processes left is removed."""
    await room.desk.db.write(lambda tx: tx.execute("UPDATE vault_keys SET state = 'retired'"))
    left = room.desk.data_dir / "spool" / "left"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half a message")
    long_ago = timestamp() - 30 * 86400
    os.utime(left, (long_ago, long_ago))
    with caplog.at_level(logging.WARNING, "postroom"):
        worker = asyncio.create_task(Worker(room).run())
        await until(lambda: not left.exists())
        await ended(worker)
    assert any("no active vault key" in line for line in caplog.messages), caplog.messages


@pytest.mark.parametrize("where", ["before it is watched", "in a pass"])
async def test_a_source_that_our_own_mistake_stops_is_given_back(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Whoever claims it next may know better; nothing of the mistake's words stands on the source."""
    await room.connections.add(
        {"name": "acme", "incoming": {"protocol": "imap", "host": "127.0.0.1", "port": "1"}}
    )
    sink = {"type": "directory", "path": str(tmp_path / "mail")}
    await room.sources.add({"name": "orders-in", "connection": "acme", "sink": sink})

    async def mistaken(claim: Any, progress: Any = None) -> Any:
        raise LookupError("words that nobody has looked at")

    if where == "in a pass":
        monkeypatch.setattr("postroom.sources.watcher.Watcher._pass", mistaken)
    else:
        monkeypatch.setattr(room.collecting, "watcher", mistaken)

    def row() -> Any:
        return room.desk.db.read_now(lambda tx: tx.one("SELECT * FROM sources"))

    worker = asyncio.create_task(Worker(room).run())
    await until(lambda: row()["epoch"] == 1 and row()["owner"] is None)
    await ended(worker)
    assert (row()["state"], row()["due_at"] > timestamp()) == ("failed", True)
    assert row()["note"] == "Postroom made a mistake with this source. Its log says which."


class Silent:
    """A server that takes connections and says nothing until it ends."""

    def __init__(self) -> None:
        self.taken: list[asyncio.StreamWriter] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken.append(writer)
        await reader.read()

    async def listen(self) -> str:
        """Gives the port."""
        self._server = await asyncio.start_server(self.take, "127.0.0.1", 0)
        return str(self._server.sockets[0].getsockname()[1])

    def end(self) -> None:
        self._server.close()
        for writer in self.taken:
            writer.transport.abort()


@pytest.fixture
async def silent(room: Room) -> AsyncIterator[Silent]:
    """Such a server, and the connection ``acme`` to it."""
    server = Silent()
    side = {"host": "127.0.0.1", "port": await server.listen(), "security": "none"}
    await room.connections.add(
        {
            "name": "acme",
            "incoming": {"protocol": "imap", **side},
            "outgoing": {"protocol": "smtp", **side},
        }
    )
    yield server
    server.end()


@contextlib.contextmanager
def unwritable(room: Room) -> Iterator[None]:
    """Meanwhile every write is refused, as where the disk is full or somebody changed the tables."""
    with contextlib.closing(sqlite3.connect(room.desk.db.path, isolation_level=None)) as other:
        other.execute("CREATE TRIGGER foreign_one AFTER UPDATE ON variables BEGIN SELECT 1; END")
        try:
            yield
        finally:
            other.execute("DROP TRIGGER foreign_one")


@pytest.mark.parametrize("table", ["sources", "outbox"])
async def test_what_could_not_be_given_back_is_when_the_room_can_be_written(
    room: Room,
    silent: Silent,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    table: str,
) -> None:
    """Else it would be this worker's as long as it lives, and nobody would work on it."""
    monkeypatch.setattr("postroom.db.seats.HEARTBEAT_SECONDS", 0.1)
    if table == "sources":
        sink = {"type": "directory", "path": str(tmp_path / "mail")}
        await room.sources.add({"name": "orders-in", "connection": "acme", "sink": sink})
    else:
        await room.services.add({"name": "orders-out", "connection": "acme"})
        message = Draft(from_="a@x.example", to="b@x.example", subject="x", text="x")
        await room.email.store("orders-out", message)

    def row() -> Any:
        return room.desk.db.read_now(lambda tx: tx.one(f"SELECT * FROM {table}"))

    worker = asyncio.create_task(Worker(room).run())
    try:
        await until(lambda: silent.taken)
        with unwritable(room):
            silent.end()
            await until(lambda: any("Somebody put a trigger" in one for one in caplog.messages))
            assert row()["owner"]
        await until(lambda: row()["owner"] is None or row()["epoch"] > 1)
    finally:
        await ended(worker)


@pytest.mark.parametrize("body", ["{", '{"connection": "acme", "field": 1}'])
async def test_a_source_that_cannot_be_read_is_in_nobodys_way(
    room: Room, silent: Silent, tmp_path: Path, body: str
) -> None:
    """Somebody edited its row, or it is of another release: it says so, and the others are collected."""
    for name in ("broken", "whole"):
        sink = {"type": "directory", "path": str(tmp_path / name)}
        watched = {"input": name}
        await room.sources.add(
            {"name": name, "connection": "acme", "sink": sink, "folders": watched}
        )
    await room.desk.db.write(
        lambda tx: tx.execute("UPDATE sources SET body = :b WHERE name = 'broken'", b=body)
    )

    def state(name: str) -> Any:
        return room.desk.db.read_now(
            lambda tx: tx.value("SELECT state FROM sources WHERE name = :name", name=name)
        )

    worker = asyncio.create_task(Worker(room).run())
    try:
        await until(lambda: (state("broken"), state("whole")) == ("failed", "connecting"))
        assert not worker.done()
    finally:
        await ended(worker)


@pytest.mark.parametrize("at", ["the claim", "the watcher"])
async def test_a_source_claimed_for_somebody_who_was_cancelled_is_free_again(
    room: Room, silent: Silent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """The process lives, so nobody else could ever take it."""
    monkeypatch.setattr("postroom.db.seats.HEARTBEAT_SECONDS", 0.1)
    sink = {"type": "directory", "path": str(tmp_path / "mail")}
    await room.sources.add({"name": "orders-in", "connection": "acme", "sink": sink})
    await room.desk.seat()

    def row() -> Any:
        return room.desk.db.read_now(lambda tx: tx.one("SELECT * FROM sources"))

    work: asyncio.Task[Any]
    if at == "the claim":
        work = asyncio.create_task(room.collecting.claim(["orders-in"], 1))
    else:
        [claim] = await room.collecting.claim(["orders-in"], 1)
        work = asyncio.create_task(room.collecting.watcher(claim))
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await until(lambda: row()["epoch"] == 1 and row()["owner"] is None)
