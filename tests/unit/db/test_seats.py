"""Seats: what somebody wrote into the table of workers is never believed to be a file of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.db import Database, Seat
from postroom.db.seats import living


@pytest.mark.parametrize(
    "owner",
    [
        "{victim}/yarn",
        "../victim/yarn",
        "h-1-01234567/../../victim/yarn",
        "a\0b-1-01234567",
        "x" * 5000 + "-1-01234567",
        "host-1-0123456\n",
        "",
    ],
)
async def test_a_row_that_is_no_seat_of_ours_touches_no_file(
    db: Database, tmp_path: Path, owner: str
) -> None:
    """T99: the row is removed; a file it points to stays."""
    victim = tmp_path / "victim"
    victim.mkdir()
    files = [victim / "yarn.lock", tmp_path / "seats" / ".lock"]
    files[1].parent.mkdir()
    for file in files:
        file.write_text("precious")
    owner = owner.format(victim=victim)
    room = db.path.parent
    await db.write(
        lambda tx: tx.execute(
            "INSERT INTO workers (owner, pid, host, started_at, heartbeat_at) "
            "VALUES (:owner, 1, 'h', 0, 0)",
            owner=owner,
        )
    )
    async with Seat(db) as seat:
        left = await db.read(lambda tx: [row["owner"] for row in tx.all("SELECT * FROM workers")])
        assert left == [seat.owner]
        assert living(room, seat.owner)
    assert [file.read_text() for file in files] == ["precious"] * 2


@pytest.mark.parametrize("host", ["a/../b", "ünlich", "x" * 300, ""])
async def test_a_seat_is_taken_whatever_the_host_calls_itself(
    db: Database, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    async with Seat(db) as one:
        assert living(db.path.parent, one.owner)
        async with Seat(db) as two:
            assert await two.remove_dead() == 0
