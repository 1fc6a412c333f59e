"""Parts of pages that ask for themselves anew: nobody's session lasts on for it, and trouble ends it not."""

from __future__ import annotations

import pytest

from postroom.app import Room
from postroom.db import Tx
from postroom.errors import Refused
from tests.api.test_page_attacks import Enter, enter

__all__ = ["enter"]

LIVE = {"hx-request": "true", "postroom-live": "yes"}
pytestmark = pytest.mark.bares("file", "log", why="what was typed is searched for in answers")


async def test_a_page_that_stands_open_is_no_use_of_a_session(enter: Enter, room: Room) -> None:
    """T44: two hours without use, though the overview asks for its news all the time."""
    admin = await enter("admin")

    def hour_ago(tx: Tx) -> None:
        tx.execute("UPDATE sessions SET seen_at = seen_at - 3600")

    def seen(tx: Tx) -> float:
        return float(tx.value("SELECT seen_at FROM sessions"))

    await room.desk.db.write(hour_ago)
    before = await room.desk.db.read(seen)
    assert (await admin.get("/services", **LIVE)).status_code == 200
    assert await room.desk.db.read(seen) == before
    assert (await admin.get("/services")).status_code == 200
    assert await room.desk.db.read(seen) > before


async def test_a_part_that_failed_for_a_while_asks_again_by_itself(
    enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await enter("admin")
    refused = Refused("The room is busy.", code="room_busy", temporary=True)

    async def busy(_: object) -> None:
        raise refused

    with monkeypatch.context() as patch:
        patch.setattr("postroom.operations.services.Services.list", busy)
        told = await admin.get("/services", **LIVE)
        assert "The room is busy." in told.text
        assert 'hx-get="/services" hx-trigger="every 15s"' in told.text
        refused.temporary = False
        assert "every" not in (await admin.get("/services", **LIVE)).text
    again = await admin.get("/services", **LIVE)
    assert 'hx-get="/services" hx-trigger="every 5s"' in again.text
