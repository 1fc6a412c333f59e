"""``postroom backup create``: during load, whole or not at all, and without the key."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postroom.app import Room, open_room
from postroom.operations.backup.archive import Archive
from postroom.operations.backup.manifest import proven
from postroom.settings import Settings
from tests.child import Child
from tests.journeys.conftest import Cli


def names(directory: Path) -> list[str]:
    """What is in a directory, hidden things too."""
    return sorted(path.name for path in directory.iterdir())


def database_of(backup: Path, to: Path) -> sqlite3.Connection:
    """The database of a backup, taken out by an ordinary tar and opened for reading alone."""
    with tarfile.open(backup, "r:") as tar:
        tar.extract("room.db", to, filter="data")
    return sqlite3.connect(f"file:{to / 'room.db'}?mode=ro&immutable=1", uri=True)


def test_one_private_file_says_what_is_in_it(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    cli("variable", "set", "PLACE", "Lille")
    made = cli("backup", "create", "--to", str(place / "room.tar"), "--json")
    assert made.status == 0, made.err
    assert names(place) == ["room.tar"]
    assert stat.S_IMODE((place / "room.tar").stat().st_mode) == 0o600
    with tarfile.open(place / "room.tar") as tar:
        read = tar.extractfile("manifest.json")
        assert read is not None
        manifest = json.load(read)
    status = cli("keys", "status", "--json").json
    assert manifest["room"] == status["room"] == made.json["room"]
    assert manifest["keks"] == status["kek_ids"]
    assert manifest["epoch"] == 1
    assert manifest["tables"]["variables"] == 1
    assert manifest["database"]["sha256"] == made.json["sha256"]
    with database_of(place / "room.tar", tmp_path / "out") as db:
        assert db.execute("SELECT value FROM variables").fetchall() == [("Lille",)]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    [row] = cli("audit", "list", "--noun", "backup", "--json").json["items"]
    assert (row["action"], row["name"]) == ("create", "room.tar")
    assert row["detail"]["sha256"] == manifest["database"]["sha256"]


def test_a_directory_gets_a_name_of_room_and_time(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    assert cli("backup", "create", "--to", str(place)).status == 0
    [name] = names(place)
    assert name.startswith("postroom-")
    assert name.endswith("Z.tar")


def test_what_is_refused_leaves_nothing(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    (place / "there").write_text("mine")
    (place / "link").symlink_to(place / "nowhere")
    inside = cli.settings.room / "backup.tar"
    for to, said in (
        (place / "there", "is there already; nothing was written"),
        (place / "link", "is there already; nothing was written"),
        (place / "no" / "backup.tar", "there is no directory"),
        (inside, "is in the room's directory"),
    ):
        refused = cli("backup", "create", "--to", str(to))
        assert refused.status == 2
        assert said in refused.err
    assert names(place) == ["link", "there"]
    assert (place / "there").read_text() == "mine"
    assert not inside.exists()


def test_a_locked_room_makes_none_that_nobody_could_prove(cli: Cli, tmp_path: Path) -> None:
    Path(str(cli.settings.kek).removeprefix("file:")).unlink()
    refused = cli("backup", "create", "--to", str(tmp_path / "backup.tar"))
    assert refused.status == 78
    assert "wants the key" in refused.err
    assert not (tmp_path / "backup.tar").exists()


def test_a_damaged_room_is_said_instead_of_copied(cli: Cli, tmp_path: Path) -> None:
    cli("variable", "set", "PLACE", "Lille")
    file = cli.settings.room / "room.db"
    with sqlite3.connect(file) as db:
        root = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_variables_1'"
        ).fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    with file.open("r+b") as raw:  # an index that does not belong to its table
        raw.seek((root - 1) * size + 3)
        raw.write(b"\0\0")
    refused = cli("backup", "create", "--to", str(tmp_path / "backup.tar"))
    assert refused.status == 78
    assert "damaged" in refused.err
    assert not (tmp_path / "backup.tar").exists()


async def test_f21_a_backup_is_one_moment_while_writers_go_on(room: Room, tmp_path: Path) -> None:
    """F21: during load: nobody waits for the backup, and it is torn nowhere."""
    await room.desk.db.write(
        lambda tx: tx.many(
            "INSERT INTO variables (name, value, updated_at) VALUES (:name, :value, 0)",
            [{"name": f"fill{n:05}", "value": "x" * 3000} for n in range(8000)],
        )
    )
    done = 0

    async def pairs() -> None:
        """Two rows at the two ends of the table that always say the same."""
        nonlocal done
        while True:
            value = str(done)
            await room.desk.db.write(
                lambda tx: tx.many(
                    "INSERT INTO variables (name, value, updated_at) VALUES (:name, :value, 0) "
                    "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    [{"name": name, "value": value} for name in ("aaa", "zzz")],  # noqa: B023
                )
            )
            done += 1

    writing = asyncio.create_task(pairs())
    during: list[int] = []
    try:
        for number in range(3):
            before = done
            made = await room.backup.create(tmp_path / f"{number}.tar")
            during.append(done - before)
            with database_of(made.path, tmp_path / str(number)) as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                values = db.execute(
                    "SELECT value FROM variables WHERE name IN ('aaa', 'zzz')"
                ).fetchall()
                assert len(set(values)) <= 1
                # what was committed before the backup began is in it, wherever SQLite keeps it
                assert before == 0 or int(values[0][0]) >= before - 1
                assert made.manifest.tables["variables"] == 8000 + len(values)
    finally:
        writing.cancel()
    assert all(count > 0 for count in during), during


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Gives an empty disk of so many KiB; the one before it is gone."""
    place = tmp_path / "small"
    place.mkdir()

    def mounted(size: int) -> Path:
        os.system(f"umount {place} 2>/dev/null")
        if os.geteuid() or os.system(f"mount -t tmpfs -o size={size}k tmpfs {place}"):
            pytest.skip("a tmpfs cannot be mounted here")
        return place

    yield mounted
    os.system(f"umount {place} 2>/dev/null")


def test_f4_a_full_disk_leaves_no_half_file(
    cli: Cli, small_disk: Callable[[int], Path], tmp_path: Path
) -> None:
    """F4: no space at any write of a backup: one sentence, exit 75, and nothing left behind."""
    size = (cli.settings.room / "room.db").stat().st_size // 1024
    said = set()
    for free in range(16, 3 * size, 56):
        place = small_disk(free)
        made = cli("backup", "create", "--to", str(place / "backup.tar"), "--json")
        if made.status == 0:
            break
        assert (made.status, made.json["code"]) == (75, "room_full"), made.out
        said.add(made.json["error"].partition(":")[0])
        assert names(place) == []
    assert made.status == 0
    assert free > size
    assert names(place) == ["backup.tar"]
    assert len(said) == 2  # there was no space for the copy, and then none for the archive


async def test_a_stop_in_the_middle_leaves_nothing(room: Room, tmp_path: Path) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def tell(done: int, total: int) -> None:
        loop.call_soon_threadsafe(begun.set)

    making = asyncio.create_task(room.backup.create(place, tell=tell))
    await asyncio.wait_for(begun.wait(), 10)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert names(place) == []


_KILLED = """
import asyncio, itertools, os, signal, sys
from pathlib import Path
from postroom.app import open_room
from postroom.settings import Settings

async def main(room, kek, place, step):
    opened = await open_room(Settings(Path(room), kek))
    left = step
    def come():
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def hook(event, arguments):
        # whatever touches the directory of the backup, and what has only a descriptor of it
        if event == "fcntl.flock" or any(str(place) in str(one) for one in arguments):
            come()
    sys.addaudithook(hook)
    await opened.backup.create(place / "backup.tar", tell=lambda *_: come())
    await opened.close()

room, kek, places = sys.argv[1:]
for step in itertools.count(1):
    place = Path(places) / str(step)
    place.mkdir()
    child = os.fork()
    if not child:
        asyncio.run(main(room, kek, place, step))
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        print(step, flush=True)
        break
"""


async def test_a_kill_at_any_step_leaves_no_file_that_verifies(room: Room, tmp_path: Path) -> None:
    """Until a backup is finished there is none; what was left is removed by the next one."""
    mac = room.backup._mac
    assert mac is not None
    settings = room.settings
    with Child("-c", _KILLED, str(settings.room), str(settings.kek), str(tmp_path)) as child:
        steps = int(child.line())
    assert steps > 10
    recorded = {row["detail"]["path"] for row in await room.audit.list(noun="backup", limit=1000)}
    for step in range(1, steps + 1):
        place = tmp_path / str(step)
        to = place / "backup.tar"
        if to.exists():  # it has its name: then it is whole, and written down
            with Archive(to) as archive:
                assert proven(archive.manifest, archive.check, mac) == "key"
            assert str(to) in recorded
            to.unlink()
        else:
            assert step < steps
        await room.backup.create(to)
        assert names(place) == ["backup.tar"]


async def test_two_at_a_time_do_not_remove_each_others_work(room: Room, tmp_path: Path) -> None:
    other = await open_room(Settings(room.settings.room, room.settings.kek))
    made = await asyncio.gather(
        *(one.backup.create(tmp_path / f"{n}.tar") for n, one in enumerate([room, other] * 4))
    )
    await other.close()
    assert len({one.path for one in made}) == 8
