"""Credentials that end are looked through a few at a time, and each of them is told of."""

from __future__ import annotations

import datetime as dt

import pytest

from postroom.app import Room
from postroom.operations import telling


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6])
async def test_each_credential_that_ends_is_told_of(
    room: Room, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """As many as are looked at once, and more and fewer; the next look says the same again."""
    monkeypatch.setattr(telling, "AT_ONCE", 2)
    soon = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=5)).isoformat()
    names = [f"{'aB'[n % 2]}-{n}" for n in range(count)]
    for name in names:
        await room.credentials.create(name, "secret", expires_at=soon)
    await room.credentials.create("lasts", "secret")
    for _ in range(2):
        await room.telling.round()
        told = await room.notify.notices()
        assert sorted(one["name"] for one in told if one["cause"] == "expiry") == sorted(names)
        await room.desk.write(lambda tx: tx.execute("UPDATE duties SET due_at = 0"))
        room.telling._ends = None
