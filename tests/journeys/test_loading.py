"""What a short command loads: not the parts that only other commands need, or it would be slow."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from postroom.app import open_room
from postroom.secret import Secret
from postroom.settings import Settings
from tests.unit.house import lists

_LISTED = (
    "import json, sys\nfrom postroom.cli import main\nstatus = main()\n"
    "print(json.dumps(sorted(sys.modules)), file=sys.stderr)\nsys.exit(status)"
)
_SEND = ["send", "--via", "out", "--from", "a@example.com", "--to", "b@example.com", "--subject"]
_SIDE = {"host": "127.0.0.1", "port": "9", "security": "none"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a room that has a connection and a service called ``out``."""
    base = tmp_path_factory.mktemp("loading")

    async def make() -> None:
        room = await open_room(Settings(base / "room", f"file:{base / 'room.key'}"), make=True)
        await room.connections.add({"name": "out", "outgoing": {"protocol": "smtp", **_SIDE}})
        await room.services.add({"name": "out-service", "connection": "out"})
        fields = {"value": Secret("Canary-" + "loading-0a1b2c3d")}
        await room.credentials.create("crm", "secret", details=fields, programs=True)
        await room.close()

    asyncio.run(make())
    return base


@pytest.mark.parametrize(
    ("words", "not_loaded"),
    [
        ([*_SEND, "Hello", "--text", "Hello.", "--forget"], lists.NOT_TO_STORE),
        (["outbox", "list"], lists.NOT_TO_STORE),
        (["outbox", "hold", "x"], lists.NOT_TO_STORE),
        (["exec", "--credential", "crm", "--", "true"], lists.NOT_TO_EXEC),
        (["source", "run", "orders", "--once"], lists.NOT_TO_COLLECT),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_a_short_command_loads_what_it_needs(
    place: Path, words: list[str], not_loaded: tuple[str, ...]
) -> None:
    room = ["--room", str(place / "room"), "--kek", f"file:{place / 'room.key'}"]
    done = subprocess.run(
        [sys.executable, "-c", _LISTED, words[0], *room, *words[1:]],
        env=os.environ | {"PYTHONPATH": "src"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert "postroom.app" in loaded, done.stderr  # it came as far as the room
    assert loaded.isdisjoint(not_loaded), sorted(loaded & set(not_loaded))
