"""Upgrade: rooms that earlier releases saved, opened by this one."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from postroom.app import DATABASE, open_room, upgrade_room
from postroom.cli import main
from postroom.db import SCHEMA, Seat, open_database
from postroom.db.upgrading import Upgraded
from postroom.errors import Locked, RoomError
from postroom.settings import Settings
from tests.child import Child
from tests.rooms.freeze import secrets_of, tokens_of
from tests.rooms.saved import contents, saved_room, secrets_then, tokens_then

SAVED = sorted(int(one.name) for one in Path(__file__).parents[1].glob("rooms/[0-9]*"))
NEW_COLUMNS = {
    "audit": {"position", "record", "version"},
    "credentials": {"programs", "restricted"},
    "credential_versions": {"holds"},
    "outbox": {"run"},
    "sources": {"wake_at"},
}
"""What migrations added to tables: left out where rows are compared."""


def schema(path: Path) -> int:
    with sqlite3.connect(path) as raw:
        number: int = raw.execute("PRAGMA user_version").fetchone()[0]
    raw.close()
    return number


def same(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> None:
    """Every row that was there is there, as it was; only the audit record may have more."""
    for table, rows in before.items():
        new = NEW_COLUMNS.get(table, set()).difference(*rows)
        plain = [{key: row[key] for key in row if key not in new} for row in after[table]]
        if table == "audit":
            plain = [row for row in plain if row in rows]
        assert sorted(plain, key=repr) == sorted(rows, key=repr), table


def copies(settings: Settings) -> list[Path]:
    return sorted(settings.room.glob("room-schema-*.db"))


def verb(settings: Settings, *words: str) -> int:
    return main([*words, "--room", str(settings.room), "--kek", str(settings.kek)])


# ------------------------------------------------------------------ what it keeps


@pytest.mark.parametrize("number", SAVED)
async def test_a_saved_room_is_upgraded_and_nothing_is_lost(number: int, tmp_path: Path) -> None:
    """F20: every secret of a room that a release saved opens; every row is there as it was."""
    settings = saved_room(number, tmp_path)
    before = contents(settings.room / DATABASE)
    done = await upgrade_room(settings)
    if number == SCHEMA:
        assert done is None
    else:
        assert done == Upgraded(number, SCHEMA, *copies(settings))
    same(before, contents(settings.room / DATABASE))
    room = await open_room(settings)
    assert await room.audit.verify() == []
    assert await secrets_of(room) == secrets_then(number)
    assert await tokens_of(room) == tokens_then(number)
    await room.keys.rotate()
    assert await tokens_of(room) == tokens_then(number)
    assert len(await room.versions.list("acme-login")) == 9
    assert (await room.keys.doctor())["ok"]
    await room.credentials.set("token", {"value": "another one"})
    await room.close()
    room = await open_room(settings)
    assert await room.audit.verify() == []
    await room.close()


async def test_the_copy_is_the_room_as_it_was_and_for_its_owner_only(tmp_path: Path) -> None:
    settings = saved_room(1, tmp_path)
    before = contents(settings.room / DATABASE)
    old = os.umask(0)
    try:
        done = await upgrade_room(settings)
    finally:
        os.umask(old)
    assert done is not None
    assert stat.S_IMODE(done.copy.stat().st_mode) == 0o600
    assert done.copy.parent == settings.room
    assert schema(done.copy) == 1
    assert contents(done.copy) == before
    assert {one.name for one in settings.room.iterdir()} == {DATABASE, done.copy.name}


async def test_the_upgrade_stands_in_the_record_and_versions_are_remembered(tmp_path: Path) -> None:
    """T3: a credential that is put back to an earlier version is refused after the upgrade too."""
    settings = saved_room(1, tmp_path)
    await upgrade_room(settings, actor="local:carol")
    room = await open_room(settings)
    [row] = await room.audit.list(noun="room")
    assert (row["actor"], row["action"]) == ("local:carol", "upgrade")
    assert (row["detail"]["from"], row["detail"]["to"]) == (1, SCHEMA)
    await room.close()
    with sqlite3.connect(settings.room / DATABASE) as raw:
        raw.execute("UPDATE credentials SET version = version - 1 WHERE name = 'acme-login'")
    raw.close()
    room = await open_room(settings)
    with pytest.raises(RoomError, match="put back to version 8"):
        await secrets_of(room)
    await room.close()


# ------------------------------------------------------------------ who does it, and who does not


def test_other_verbs_leave_an_older_room_alone_and_say_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 78, the sentence, and not a byte changed; ``init`` is no way round."""
    settings = saved_room(1, tmp_path)
    before = (settings.room / DATABASE).read_bytes()
    for words in (("credential", "list"), ("audit", "verify"), ("init",), ("export",)):
        assert verb(settings, *words) == 78
        said = capsys.readouterr().err
        assert "schema 1" in said
        assert f"needs {SCHEMA}" in said
        assert "postroom upgrade" in said
    assert (settings.room / DATABASE).read_bytes() == before
    assert copies(settings) == []


def test_the_verb_upgrades_once_and_says_where_the_copy_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = saved_room(1, tmp_path)
    assert verb(settings, "upgrade") == 0
    said = capsys.readouterr().out
    assert f"from schema 1 to {SCHEMA}" in said
    assert str(copies(settings)[0]) in said
    assert verb(settings, "upgrade") == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert len(copies(settings)) == 1
    assert verb(settings, "credential", "list") == 0


def test_a_worker_upgrades_when_it_starts(tmp_path: Path) -> None:
    settings = saved_room(1, tmp_path)
    words = ("worker", "--role", "none", "--room", str(settings.room), "--kek", str(settings.kek))
    with Child("-m", "postroom", *words) as worker:
        said = worker.complaint()
        assert "upgraded from schema 1" in said
        assert str(copies(settings)[0]) in said
        assert "Working for" in worker.complaint()
        assert worker.stop() in (0, 143)
    assert schema(settings.room / DATABASE) == SCHEMA


def test_a_newer_room_is_never_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """F20: a downgrade is refused with both numbers, by every verb, and by upgrade and worker."""
    settings = saved_room(1, tmp_path)
    with sqlite3.connect(settings.room / DATABASE) as raw:
        raw.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    raw.close()
    before = (settings.room / DATABASE).read_bytes()
    for words in (("upgrade",), ("worker",), ("init",), ("credential", "list")):
        assert verb(settings, *words) == 78
        said = capsys.readouterr().err
        assert f"schema {SCHEMA + 1}" in said
        assert f"knows {SCHEMA}" in said
    assert (settings.room / DATABASE).read_bytes() == before
    assert copies(settings) == []


async def test_a_room_that_its_key_does_not_open_is_not_upgraded(tmp_path: Path) -> None:
    """What cannot be recorded is not done; the release that made it can still open it."""
    settings = saved_room(1, tmp_path)
    (tmp_path / "room.key").rename(tmp_path / "elsewhere.key")
    with pytest.raises(Locked):
        await upgrade_room(settings)
    assert schema(settings.room / DATABASE) == 1
    assert copies(settings) == []


# ------------------------------------------------------------------ who is in the way

OLD_WORKER = """
import fcntl, os, sqlite3, sys, time
room = sys.argv[1]
os.makedirs(room + "/seats", exist_ok=True)
lock = open(room + "/seats/here-1-01234567.lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
connection = sqlite3.connect(room + "/room.db", isolation_level=None)
connection.execute("INSERT INTO workers VALUES ('here-1-01234567', ?, 'here', '', 0, 0)", (os.getpid(),))
connection.close()
print("working", flush=True)
time.sleep(60)
"""
HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("SELECT count(*) FROM credentials").fetchone()
print("open", flush=True)
time.sleep(60)
"""


async def test_a_worker_of_the_earlier_release_is_named(tmp_path: Path) -> None:
    """It would go on with tables that are not there any more: exit 75, and nothing is changed."""
    settings = saved_room(1, tmp_path)
    with Child("-c", OLD_WORKER, str(settings.room)) as worker:
        assert worker.line() == "working"
        with pytest.raises(RoomError, match=f"process {worker.pid} ") as refused:
            await upgrade_room(settings)
    assert refused.value.exit_status == 75
    assert schema(settings.room / DATABASE) == 1
    assert copies(settings) == []
    assert await upgrade_room(settings) is not None  # its seat is left, and holds nobody up


async def test_a_program_that_only_has_it_open_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library of the earlier release has no seat; SQLite's own lock on the file tells."""
    monkeypatch.setattr("postroom.db.upgrading.OTHERS_SECONDS", 0.3)
    settings = saved_room(1, tmp_path)
    with Child("-c", HOLDER, str(settings.room / DATABASE)) as holder:
        assert holder.line() == "open"
        with pytest.raises(RoomError, match=f"process {holder.pid} ") as refused:
            await upgrade_room(settings)
        assert refused.value.exit_status == 75
    assert schema(settings.room / DATABASE) == 1
    assert await upgrade_room(settings) is not None


async def test_a_command_that_ends_soon_is_waited_for(tmp_path: Path) -> None:
    settings = saved_room(1, tmp_path)
    with Child("-c", HOLDER, str(settings.room / DATABASE)) as holder:
        assert holder.line() == "open"
        task = asyncio.create_task(upgrade_room(settings))
        await asyncio.sleep(0.5)
        assert not task.done()
        holder.kill()
        assert await task is not None


async def test_two_that_upgrade_at_the_same_time(tmp_path: Path) -> None:
    """One does it, the others wait and go on; there is one copy, and one row in the record."""
    settings = saved_room(1, tmp_path)
    words = ("upgrade", "--json", "--room", str(settings.room), "--kek", str(settings.kek))
    children = [Child("-m", "postroom", *words) for _ in range(4)]
    said = [child.line() for child in children]
    assert [child.wait() for child in children] == [0, 0, 0, 0]
    for child in children:
        child.__exit__(None, None, None)
    assert sum('"upgraded": true' in line for line in said) == 1
    assert len(copies(settings)) == 1
    room = await open_room(settings)
    assert len(await room.audit.list(noun="room")) == 1
    assert await room.audit.verify() == []
    await room.close()


# ------------------------------------------------------------------ killed in the middle

KILLED = """
import asyncio, os, shutil, signal, sqlite3, sys
from pathlib import Path
from postroom.app import upgrade_room
from postroom.db import upgrading
from postroom.settings import Settings

class Counting(sqlite3.Connection):
    left = -1  # statements until the process is killed; -1: not yet counted

    def execute(self, *arguments):
        if Counting.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        Counting.left -= 1 if Counting.left > 0 else 0
        return super().execute(*arguments)

connect, alone = sqlite3.connect, upgrading._alone
sqlite3.connect = lambda *given, **options: connect(*given, factory=Counting, **options)

def upgrade(room, kek, number):
    async def counted(path):
        connection = await alone(path)
        Counting.left = number
        return connection
    upgrading._alone = counted
    asyncio.run(upgrade_room(Settings(room, kek)))

saved, kek = Path(sys.argv[1]), sys.argv[2]
status = number = 1
while status != 0:  # a process for each statement that it is killed before
    room = saved.with_name(f"killed-{number}")
    shutil.copytree(saved, room)
    child = os.fork()
    if child == 0:
        upgrade(room, kek, number)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(room, status, flush=True)
    number += 1
"""


@pytest.mark.parametrize(("number", "statements"), [(1, 30), (2, 15)])
async def test_killed_before_any_statement_it_goes_on_or_is_as_it_was(
    number: int, statements: int, tmp_path: Path
) -> None:
    """F20: kill -9 before each statement of the upgrade in turn; then it is upgraded, data equal."""
    saved = saved_room(number, tmp_path)
    before = contents(saved.room / DATABASE)
    with Child("-c", KILLED, str(saved.room), str(saved.kek)) as child:
        assert child.wait(90) == 0
        ended = [line.rsplit(" ", 1) for line in child.lines()]
    assert [status for _, status in ended] == ["-9"] * (len(ended) - 1) + ["0"]
    assert len(ended) > statements, "the kills did not reach the steps"
    for place, _ in ended:
        settings = Settings(Path(place), saved.kek)
        assert number <= schema(settings.room / DATABASE) <= SCHEMA
        await upgrade_room(settings)
        assert schema(settings.room / DATABASE) == SCHEMA
        same(before, contents(settings.room / DATABASE))
        assert not list(settings.room.glob("*.upgrade-copy"))
        room = await open_room(settings)
        assert await room.audit.verify() == []
        assert len(await room.audit.list(noun="room")) == 1
        known = await room.audit.list(noun="credential", name="acme-login")
        assert "remember" in {row["action"] for row in known}, "versions are not known any more"
        assert await secrets_of(room) == secrets_then(number)
        await room.close()


@pytest.mark.parametrize("number", [number for number in SAVED if number < SCHEMA])
async def test_a_last_step_that_fails_is_undone(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F20: rolled back, the copy removed where the room is as it was, and the next attempt works."""
    settings = saved_room(number, tmp_path)
    before = contents(settings.room / DATABASE)

    def failing(*arguments: Any) -> None:
        raise RoomError("The disk that holds the room is full; nothing was saved.")

    with monkeypatch.context() as patch:
        patch.setattr("postroom.operations.upgrading.carry_versions", failing)
        with pytest.raises(RoomError, match="full"):
            await upgrade_room(settings)
    assert schema(settings.room / DATABASE) == SCHEMA - 1
    same(before, contents(settings.room / DATABASE))
    assert len(copies(settings)) == (number < SCHEMA - 1), "steps before the last one stand"
    assert await upgrade_room(settings) is not None


async def test_a_new_room_has_what_an_upgraded_one_has(tmp_path: Path) -> None:
    """The same tables and indexes, whichever way a room came to this schema."""
    settings = saved_room(1, tmp_path)
    await upgrade_room(settings)
    await open_database(tmp_path / "new.db", create=True).close()

    def shape(path: Path) -> set[str]:
        with sqlite3.connect(path) as raw:
            rows = raw.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
        raw.close()
        return {re.sub(r'\s+|"', "", sql) for (sql,) in rows}

    assert shape(settings.room / DATABASE) == shape(tmp_path / "new.db")


async def test_a_living_seat_of_this_release_is_no_reason(tmp_path: Path) -> None:
    """A room that has the schema is not looked at twice: workers start beside each other."""
    settings = saved_room(1, tmp_path)
    await upgrade_room(settings)
    db = open_database(settings.room / DATABASE)
    async with Seat(db):
        assert await upgrade_room(settings) is None
    await db.close()
