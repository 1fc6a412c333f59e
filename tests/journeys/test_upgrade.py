"""Upgrade: rooms that earlier releases saved, opened by this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.app import open_room
from tests.rooms.freeze import secrets_of
from tests.rooms.saved import saved_room, secrets_then


@pytest.mark.parametrize("number", [1])
async def test_a_saved_room_opens_and_nothing_is_lost(number: int, tmp_path: Path) -> None:
    """F20: every secret of a room that a release saved opens, and its audit record is whole."""
    settings = saved_room(number, tmp_path)
    room = await open_room(settings)
    assert await room.audit.verify() == []
    assert await secrets_of(room) == secrets_then(number)
    assert len(await room.versions.list("acme-login")) == 9
    await room.close()
