"""Writing and reading: durable before the answer, one body's failure is nobody else's."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from postroom.db import Conflict, Database, Tx, engine, open_database
from postroom.errors import RoomError
from tests.child import Child

INSERT = "INSERT INTO variables (name, value, updated_at) VALUES (:name, 'v', 0)"


def names(db: Database) -> set[str]:
    return {row["name"] for row in db.read_now(lambda tx: tx.all("SELECT name FROM variables"))}


def put(name: str) -> Callable[[Tx], int]:
    return lambda tx: tx.execute(INSERT, name=name)


async def test_many_bodies_share_one_commit(db: Database) -> None:
    """Bodies that wait at the same time are made durable together: one commit, many answers."""
    version = db.data_version()
    commits = 0
    await db.write(put("warm"))
    gate = threading.Event()
    first = asyncio.create_task(db.write(lambda tx: gate.wait(5)))
    await asyncio.sleep(0.05)
    rest = [asyncio.create_task(db.write(put(f"n{n}"))) for n in range(200)]
    await asyncio.sleep(0.05)
    gate.set()
    while not all(task.done() for task in rest):
        await asyncio.sleep(0)
        if (seen := db.data_version()) != version:
            version, commits = seen, commits + 1
    await first
    assert len(names(db)) == 201
    assert commits <= 3, "200 bodies must not be 200 commits"


async def test_a_failing_body_undoes_only_itself(db: Database) -> None:
    """Every body has a savepoint: what one raises comes back to it, its neighbours are saved."""

    def half(tx: Tx) -> None:
        tx.execute(INSERT, name="half")
        raise LookupError("no")

    gate = threading.Event()
    first = asyncio.create_task(db.write(lambda tx: gate.wait(5)))
    await asyncio.sleep(0.02)
    bodies: list[Callable[[Tx], object]] = [put("a"), half, put("b"), put("a"), put("c")]
    rest = [asyncio.create_task(db.write(body)) for body in bodies]
    await asyncio.sleep(0.02)
    gate.set()
    results = await asyncio.gather(first, *rest, return_exceptions=True)
    kinds = [type(one) for one in results[1:]]
    assert kinds == [int, LookupError, int, Conflict, int]
    assert names(db) == {"a", "b", "c"}


async def test_what_a_body_returns_comes_back(db: Database) -> None:
    """The value of a body is the answer; a read sees what was committed before."""
    assert await db.write(lambda tx: tx.execute(INSERT, name="x")) == 1
    assert await db.read(lambda tx: tx.value("SELECT value FROM variables")) == "v"
    assert await db.read(lambda tx: tx.one("SELECT 1 FROM variables WHERE name = 'y'")) is None


async def test_a_read_changes_nothing(db: Database) -> None:
    """A body given to ``read`` cannot write."""
    with pytest.raises(RoomError, match="cannot be written"):
        await db.read(lambda tx: tx.execute(INSERT, name="x"))
    assert names(db) == set()


async def test_a_read_sees_one_snapshot(db: Database) -> None:
    """What another thread commits meanwhile is not seen half way through a read."""
    other = open_database(db.path)

    def body(tx: Tx) -> list[int]:
        before = tx.value("SELECT count(*) FROM variables")
        asyncio.run(other.write(put("meanwhile")))
        return [before, tx.value("SELECT count(*) FROM variables")]

    assert await asyncio.to_thread(db.read_now, body) == [0, 0]
    assert names(db) == {"meanwhile"}
    await other.close()


async def test_closing_finishes_what_was_asked_for(tmp_path: Path) -> None:
    """Close answers every write that was queued before it; afterwards nothing is accepted."""
    db = open_database(tmp_path / "room.db", create=True)
    writes = [asyncio.create_task(db.write(put(f"n{n}"))) for n in range(50)]
    await asyncio.sleep(0)
    await db.close()
    await asyncio.gather(*writes)
    await db.close()
    with pytest.raises(RoomError, match="closed"):
        await db.write(put("late"))
    again = open_database(tmp_path / "room.db")
    assert len(names(again)) == 50
    await again.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from postroom.db import open_database

async def main():
    db = open_database(Path(sys.argv[1]))
    async def one(number):
        while True:
            name = f"n{number}"
            await db.write(lambda tx: tx.execute(
                "INSERT INTO variables (name, value, updated_at) VALUES (:n, 'v', 0)", n=name))
            print(name, flush=True)
            number += 8
    await asyncio.gather(*(one(n) for n in range(8)))

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """kill -9 between any two instructions: every acknowledged write is there (nothing lost)."""
    path = tmp_path / "room.db"
    await open_database(path, create=True).close()
    for round_ in range(4):
        with Child("-c", WRITER, str(path)) as writer:
            told = [writer.line()]
            await asyncio.sleep(0.02 + 0.013 * round_)
            writer.kill()
            told += writer.lines()
        db = open_database(path)
        assert set(told) <= names(db)
        assert await db.read(lambda tx: tx.value("PRAGMA integrity_check")) == "ok"
        await db.write(lambda tx: tx.execute("DELETE FROM variables"))
        await db.close()


async def test_commits_are_durable_and_deletions_wiped(db: Database) -> None:
    """WAL with FULL sync survives power loss; deleted secrets are overwritten (DESIGN 6)."""

    def pragmas(tx: Tx) -> tuple[object, ...]:
        asked = ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
        return tuple(tx.value(f"PRAGMA {name}") for name in asked)

    assert await db.write(pragmas) == ("wal", 2, 1, 1)


# ------------------------------------------------------------------ rooms that cannot be opened


def test_a_missing_room_says_how_to_make_one(tmp_path: Path) -> None:
    """Nothing is made without being told."""
    with pytest.raises(RoomError, match="postroom init") as missing:
        open_database(tmp_path / "room.db")
    assert missing.value.code == "room_missing"
    assert list(tmp_path.iterdir()) == []


async def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """Content of messages lies in it: mode 0600."""
    db = open_database(tmp_path / "room.db", create=True)
    await db.write(put("x"))
    for file in tmp_path.glob("room.db*"):
        assert file.stat().st_mode & 0o077 == 0
    await db.close()


@pytest.mark.parametrize(
    ("schema", "code", "hint"),
    [(99, "room_too_new", "Install the later release"), (0, "room_too_old", "postroom init")],
)
async def test_another_release_s_room_is_not_touched(
    tmp_path: Path, schema: int, code: str, hint: str
) -> None:
    """Newer or older: refused with the way on, exit 78, not a byte changed."""
    path = tmp_path / "room.db"
    await open_database(path, create=True).close()
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {schema}")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(RoomError, match=hint) as refused:
        open_database(path)
    assert (refused.value.code, refused.value.exit_status) == (code, 78)
    assert path.read_bytes() == before


async def test_making_a_room_where_a_newer_one_is(tmp_path: Path) -> None:
    """``init`` on a later release's room refuses too."""
    path = tmp_path / "room.db"
    await open_database(path, create=True).close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(RoomError, match="later release"):
        open_database(path, create=True)


@pytest.mark.parametrize("damage", [b"this is no database at all, sorry", b"\0" * 4096])
def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path, damage: bytes) -> None:
    """Not a stack trace: a sentence, and the file stays as it is."""
    path = tmp_path / "room.db"
    path.write_bytes(damage)
    with pytest.raises(RoomError):
        open_database(path)
    assert path.read_bytes() == damage


async def test_damage_found_later_is_said_too(tmp_path: Path) -> None:
    """A page that was overwritten: the read that meets it fails with the sentence."""
    path = tmp_path / "room.db"
    db = open_database(path, create=True)
    await db.write(put("x"))
    await db.close()
    with sqlite3.connect(path) as raw:
        [page] = raw.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'variables'"
        ).fetchone()
    raw.close()
    data = bytearray(path.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(data)
    broken = open_database(path)
    with pytest.raises(RoomError, match="damaged"):
        await broken.read(lambda tx: tx.all("SELECT * FROM variables"))
    await broken.close()


LOCKER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(60)
"""


async def test_a_busy_room_names_who_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "Locked" is temporary (exit 75) and says which process it is; then the room works again."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.2)
    path = tmp_path / "room.db"
    db = open_database(path, create=True)
    await db.write(put("before"))
    with Child("-c", LOCKER, str(path)) as holder:
        assert holder.line() == "locked"
        with pytest.raises(RoomError, match=f"process {holder.pid}\\)") as busy:
            await db.write(put("during"))
        assert (busy.value.code, busy.value.exit_status) == ("room_busy", 75)
        assert names(db) == {"before"}, "reading goes on"
    await db.write(put("after"))
    assert names(db) == {"before", "after"}
    await db.close()


async def test_a_full_disk_says_so_and_saves_nothing_of_the_batch(db: Database) -> None:
    """SQLite gives up on the whole transaction: everybody in it hears that nothing was saved."""
    pages = await db.write(lambda tx: tx.value("PRAGMA page_count"))
    await db.write(lambda tx: tx.value(f"PRAGMA max_page_count = {pages}"))
    big = "x" * 100_000

    def fill(tx: Tx) -> None:
        tx.execute("INSERT INTO variables (name, value, updated_at) VALUES ('big', :v, 0)", v=big)

    with pytest.raises(RoomError, match="disk") as full:
        await db.write(fill)
    assert (full.value.code, full.value.temporary) == ("room_full", True)
    await db.write(lambda tx: tx.value(f"PRAGMA max_page_count = {pages + 1000}"))
    await db.write(fill)
    assert names(db) == {"big"}


async def test_a_trigger_that_is_put_in_while_the_room_is_open_stops_every_write(
    db: Database,
) -> None:
    """T93: it could take audit rows away; every write is refused until it is gone."""
    await db.write(put("before"))
    other = sqlite3.connect(db.path)
    other.execute("CREATE TRIGGER t AFTER INSERT ON variables BEGIN DELETE FROM variables; END")
    other.commit()
    for _ in range(2):
        with pytest.raises(RoomError, match="put a trigger named 't'"):
            await db.write(put("while"))
    other.execute("DROP TRIGGER t")
    other.commit()
    other.close()
    await db.write(put("after"))
    assert names(db) == {"before", "after"}


async def test_a_closed_room_says_so_whatever_is_asked(db: Database) -> None:
    """Also where this thread had read from it before."""
    assert db.data_version() == db.data_version()
    assert names(db) == set()
    await db.close()
    for ask in (lambda: names(db), db.data_version):
        with pytest.raises(RoomError, match="The room is closed"):
            ask()


async def test_a_version_that_cannot_be_asked_for_is_an_error_of_the_room(db: Database) -> None:
    """Not one of SQLite's, which nobody above knows."""
    db.data_version()
    db._opened[0].close()
    db._readers.connection = sqlite3.connect(db.path.parent / "other.db")
    (db.path.parent / "other.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(RoomError):
        db.data_version()


async def test_damage_that_is_met_behind_the_first_row_is_a_sentence(tmp_path: Path) -> None:
    """What gives the first row looks for the second: that too ends as an error of the room."""
    db = open_database(tmp_path / "room.db", create=True)
    for letter in "ab":
        await db.write(
            lambda tx: tx.execute(  # one row fills a page
                "INSERT INTO variables (name, value, updated_at) VALUES (:name, :value, 0)",
                name=letter,  # noqa: B023
                value=letter * 3500,  # noqa: B023
            )
        )
    await db.close()
    data = bytearray((tmp_path / "room.db").read_bytes())
    page = data.index(b"b" * 3500) // 4096 * 4096
    data[page : page + 8] = b"\xff" * 8
    (tmp_path / "room.db").write_bytes(data)
    db = open_database(tmp_path / "room.db")
    try:
        for read in (Tx.one, Tx.value):
            with pytest.raises(RoomError, match="damaged"):
                await db.read(lambda tx: read(tx, "SELECT value FROM variables"))  # noqa: B023
    finally:
        await db.close()
