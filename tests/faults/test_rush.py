"""Very much is due in the moment in which a worker begins."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from postroom.app import open_room
from postroom.operations.collecting import OPENING
from postroom.secret import Secret
from tests.faults.children import Victim
from tests.faults.dose import dose, minutes
from tests.faults.gatekeeper import Gatekeeper
from tests.faults.sharing import multiply
from tests.faults.stage import Stage
from tests.journeys.incoming import soon

pytestmark = pytest.mark.timeout(minutes(4, 20, 30))

COUNT = dose(300, 2000, 10_000)


async def test_sources_that_are_all_due_are_begun_at_a_pace(stage: Stage, tmp_path: Path) -> None:
    """F23: each is collected once, and no more connections are being opened at any time than one
    host is meant to see."""
    async with Gatekeeper() as door:
        room = await open_room(stage.settings, make=True)
        await _define(room, door.port, tmp_path)
        await room.close()
        multiply(stage, COUNT)
        where = ("--room", stage.where[0], "--kek", stage.where[1])
        with Victim("postroom", "worker", *where) as worker, contextlib.closing(stage.sql()) as sql:
            done = "SELECT count(*) FROM sources WHERE successes > 0"
            seconds = 60 + COUNT / 5
            await soon(lambda: sql.execute(done).fetchone()[0] == COUNT, seconds=seconds)
            again = "SELECT count(*) FROM sources WHERE successes > 1"
            assert sql.execute(again).fetchone()[0] == 0, "somebody was asked twice"
            assert worker.status is None
    assert door.signed_in == COUNT
    assert 1 < door.most <= OPENING


async def _define(room: Any, port: int, path: Path) -> None:
    await room.credentials.create(
        "login", "password", details={"user_name": "ada", "password": Secret("secret of ada")}
    )
    await room.connections.add(
        {
            "name": "acme",
            "incoming": {
                "protocol": "imap",
                "host": "127.0.0.1",
                "port": str(port),
                "security": "none",
                "auth": {"type": "secret", "credential": "login"},
            },
        }
    )
    await room.sources.add(
        {
            "name": "one",
            "connection": "acme",
            "schedule": {"every": "1h"},
            "sink": {"type": "directory", "path": str(path / "sink")},
        }
    )
