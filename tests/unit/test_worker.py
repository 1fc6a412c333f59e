"""The worker when our own side breaks: what fails by itself stops nothing else, and is given back."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.clock import monotonic, timestamp
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


async def test_a_source_that_our_own_mistake_stops_is_given_back(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever claims it next may know better; nothing of the mistake's words stands on the source."""
    await room.connections.add(
        {"name": "acme", "incoming": {"protocol": "imap", "host": "127.0.0.1", "port": "1"}}
    )
    sink = {"type": "directory", "path": str(tmp_path / "mail")}
    await room.sources.add({"name": "orders-in", "connection": "acme", "sink": sink})

    async def mistaken(claim: Any, progress: Any = None) -> Any:
        raise LookupError("words that nobody has looked at")

    monkeypatch.setattr(room.collecting, "watcher", mistaken)

    def row() -> Any:
        return room.desk.db.read_now(lambda tx: tx.one("SELECT * FROM sources"))

    worker = asyncio.create_task(Worker(room).run())
    await until(lambda: row()["epoch"] == 1 and row()["owner"] is None)
    await ended(worker)
    assert (row()["state"], row()["due_at"] > timestamp()) == ("failed", True)
    assert row()["note"] == "Postroom made a mistake with this source. Its log says which."
