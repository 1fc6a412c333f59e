"""Seats: what somebody wrote into the table of workers is never believed to be a file of ours."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import subprocess
import threading
from pathlib import Path

import pytest

from postroom.db import Database, Seat, Tx, open_database
from postroom.db.seats import living
from postroom.errors import RoomError


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


async def test_where_no_seat_can_be_taken_it_is_a_sentence(db: Database) -> None:
    """The place is not what it should be: no bare error of the system."""
    (db.path.parent / "seats").write_text("a file")
    with pytest.raises(RoomError, match="seats cannot be written") as caught:
        await Seat(db).__aenter__()
    assert (caught.value.code, caught.value.exit_status) == ("room_error", 78)


async def test_a_disk_without_room_for_one_more_file_is_full(tmp_path: Path) -> None:
    """Bytes are free, and no inode: worth trying again once there is space."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m,nr_inodes=12", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("only root may mount a small file system")
    try:
        db = open_database(disk / "room.db", create=True)
        await db.write(lambda tx: tx.execute("DELETE FROM workers"))
        try:
            with contextlib.suppress(OSError):
                for number in range(20):
                    (disk / f"file-{number}").touch()
            with pytest.raises(RoomError, match="disk that holds the room is full") as caught:
                await Seat(db).__aenter__()
            assert (caught.value.code, caught.value.exit_status) == ("room_full", 75)
        finally:
            await db.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


async def test_who_asks_whether_a_process_lives_does_not_keep_it_from_its_seat(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question locks the file too, shared and for a moment: it is waited for."""
    monkeypatch.setattr("postroom.db.seats.secrets.token_hex", lambda size: "0" * 2 * size)
    owner = Seat(db).owner
    file = db.path.parent / "seats" / f"{owner}.lock"
    file.parent.mkdir()
    with file.open("w") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        done = threading.Timer(0.2, lambda: fcntl.flock(asking, fcntl.LOCK_UN))
        done.start()
        async with Seat(db) as seat:
            assert living(db.path.parent, seat.owner)
        done.join()


async def test_a_mistake_does_not_stop_the_heart(
    db: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the log with its trace; the seat stays ours, and the rest of what is owed is written."""
    monkeypatch.setattr("postroom.db.seats.HEARTBEAT_SECONDS", 0.01)

    def mistake(tx: Tx) -> None:
        raise LookupError("of ours")

    paid = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with Seat(db) as seat:
        seat.owe(mistake)
        seat.owe(lambda tx: loop.call_soon_threadsafe(paid.set))
        await asyncio.wait_for(paid.wait(), 5.0)
        monkeypatch.setattr(seat, "remove_dead", mistaken := _Mistaken())
        await asyncio.wait_for(mistaken.twice.wait(), 5.0)
    assert "of ours" in caplog.text
    assert "goes on" in caplog.text


class _Mistaken:
    """Fails each time, and knows when it was the second time."""

    def __init__(self) -> None:
        self.count = 0
        self.twice = asyncio.Event()

    async def __call__(self) -> int:
        self.count += 1
        if self.count > 1:
            self.twice.set()
        raise LookupError("of ours")
