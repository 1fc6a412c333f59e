"""The audit record as people see it: listed, verified, put back, unavailable, and written to by strangers."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from postroom import clock, log
from postroom.app import DATABASE, Room, open_room
from postroom.db import engine
from postroom.errors import RoomError
from postroom.secret import Secret
from postroom.settings import Settings, settings_of
from postroom.worker import Worker
from tests.child import Child
from tests.journeys.conftest import Cli
from tests.unit.db.test_engine import LOCKER


@pytest.fixture
def filled(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A room with a credential of two versions and a variable."""
    monkeypatch.setenv("ACME_PASSWORD", "correct horse battery 1")
    words = ("--type", "password", "--user-name", "a@example.com")
    given = ("--password-from-env", "ACME_PASSWORD")
    assert cli("credential", "add", "acme", *words, *given).status == 0
    monkeypatch.setenv("ACME_PASSWORD", "correct horse battery 2")
    assert cli("credential", "set", "acme", *given).status == 0
    assert cli("variable", "set", "MAIL_HOST", "imap.example.com").status == 0
    return cli


def sql(cli: Cli, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """What somebody with the database file can do."""
    with sqlite3.connect(cli.settings.room / DATABASE) as raw:
        rows = raw.execute(statement, values).fetchall()
    raw.close()
    return rows


def saved(cli: Cli) -> Path:
    """A copy of the database file: yesterday's."""
    copy = cli.settings.room.with_name("yesterday.db")
    sql(cli, "VACUUM INTO ?", str(copy))
    return copy


def put_back(cli: Cli, copy: Path) -> None:
    for file in cli.settings.room.glob("room.db*"):
        file.unlink()
    shutil.copy(copy, cli.settings.room / DATABASE)


# ------------------------------------------------------------------ list


FILTERS = {
    ("--noun", "variable"): [("set", "MAIL_HOST")],
    ("--name", "ACME", "--action", "create"): [("create", "acme")],
    ("--actor", "local:nobody"): [],
    ("--since", "1h", "--limit", "1"): [("set", "MAIL_HOST")],
    ("--since", "2020-01-31", "--noun", "credential"): [
        ("set", "acme"), ("set", "acme"), ("create", "acme")],
    ("--since", "2099-01-31"): [],
}  # fmt: skip


@pytest.mark.parametrize("words", FILTERS)
def test_the_list_is_filtered(filled: Cli, words: tuple[str, ...]) -> None:
    found = filled("audit", "list", "--json", *words).json["items"]
    assert [(row["action"], row["name"]) for row in found] == FILTERS[words]


def test_a_filter_that_means_nothing_is_refused(filled: Cli) -> None:
    assert filled("audit", "list", "--since", "yesterday").status == 2
    wrong = filled("audit", "list", "--noun", "credentials")
    assert wrong.status == 2
    assert "credential" in wrong.err


def test_more_than_the_limit_is_said(filled: Cli) -> None:
    some = filled("audit", "list", "--limit", "2", "--json").json
    assert len(some["items"]) == 2
    said = f"There are more than these 2: go on with --after {some['next']}"
    assert said in filled("audit", "list", "--limit", "2").err
    after = ("--after", str(some["next"]))
    rest = filled("audit", "list", "--limit", "2", *after, "--json").json
    whole = filled("audit", "list", "--limit", "4", "--json").json
    assert some["items"] + rest["items"] == whole["items"]
    assert (rest["next"], whole["next"]) == (None, None)
    assert filled("audit", "list").err == ""


def test_the_newest_is_first_whatever_the_clock_says(filled: Cli) -> None:
    """F22: listed in the order of writing, not by instants that a clock made."""
    sql(filled, "UPDATE audit SET at = at - 900000 WHERE noun = 'variable'")
    assert filled("audit", "list", "--json").json["items"][0]["name"] == "MAIL_HOST"


# ------------------------------------------------------------------ verify (T92)


def test_verify_says_that_it_is_whole_and_where_its_head_is(filled: Cli) -> None:
    answer = filled("audit", "verify")
    assert (answer.status, answer.out) == (0, "The audit record is whole.\n")
    assert answer.err == ""
    kept = filled("audit", "verify", "--json").json["kept"]
    assert Path(kept["path"]).parent == Path(str(filled.settings.kek).partition(":")[2]).parent
    assert kept["at"] is not None


EDITS = {
    "edit": "UPDATE audit SET name = 'other' WHERE noun = 'variable'",
    "delete": "DELETE FROM audit WHERE action = 'create'",
    "insert": "INSERT INTO audit (stream, seq, at, actor, action, noun, name, detail, mac) "
              "SELECT stream, 99, at, actor, action, noun, name, detail, mac FROM audit LIMIT 1",
    "reorder": "UPDATE audit SET position = 1000 - position",
    "truncate": "DELETE FROM audit WHERE position > 4",
    "all of it": "DELETE FROM audit",
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_what_somebody_did_to_it_is_told(filled: Cli, name: str) -> None:
    """T92: edit, delete, insert, reorder, truncate, by SQL; exit 1 and a sentence."""
    sql(filled, EDITS[name])
    answer = filled("audit", "verify")
    assert answer.status == 1, answer.out
    assert "stream" in answer.out


def test_yesterday_s_database_is_told_without_being_asked_to(filled: Cli) -> None:
    """T92: restore yesterday's database.  The head beside the key tells; it can be accepted."""
    copy = saved(filled)
    assert filled("variable", "set", "MAIL_HOST", "mail.example.com").status == 0
    put_back(filled, copy)
    answer = filled("audit", "verify")
    assert answer.status == 1
    assert "put back to an earlier state" in answer.out
    assert filled("variable", "set", "OTHER", "x").status == 0
    assert filled("audit", "verify").status == 1, "what is written later does not cover it up"
    refused = filled("audit", "accept", "--why", "the disk broke")
    assert refused.status == 2
    assert "--yes" in refused.err
    assert filled("audit", "accept", "--why", "the disk broke", "--yes").status == 0
    assert filled("audit", "verify").status == 0
    [row] = filled("audit", "list", "--action", "accept", "--json").json["items"]
    assert row["detail"]["why"] == "the disk broke"


def test_a_restored_backup_is_no_database_put_back(filled: Cli, tmp_path: Path) -> None:
    """T92: restoring to the same place begins the head anew, and the record says so; later ones count."""
    backup = tmp_path / "room.tar"
    assert filled("backup", "create", "--to", str(backup)).status == 0
    assert filled("variable", "set", "MAIL_HOST", "mail.example.com").status == 0
    filled.settings.room.rename(tmp_path / "broken")
    done = filled("backup", "restore", str(backup))
    assert done.status in (0, 3), done.err
    answer = filled("audit", "verify")
    assert (answer.status, answer.err) == (0, ""), answer.out
    [row] = filled("audit", "list", "--action", "accept", "--json").json["items"]
    assert row["detail"]["why"] == "restored from room.tar"
    copy = saved(filled)
    assert filled("variable", "set", "MAIL_HOST", "mx.example.com").status == 0
    put_back(filled, copy)
    assert filled("audit", "verify").status == 1


def test_a_head_on_another_machine_tells_too(filled: Cli, tmp_path: Path) -> None:
    """T92: the file beside the key is gone as well; what was carried away tells."""
    copy = saved(filled)
    filled("variable", "set", "MAIL_HOST", "mail.example.com")
    away = tmp_path / "away" / "head.json"
    away.parent.mkdir()
    assert filled("audit", "heads", "--to", str(away)).status == 0
    assert away.stat().st_mode & 0o077 == 0
    assert filled("audit", "verify", "--heads", str(away)).status == 0
    put_back(filled, copy)
    Path(filled("audit", "verify", "--json").json["kept"]["path"]).unlink()
    alone = filled("audit", "verify")
    assert alone.status == 0
    assert "cannot be told" in alone.err, "it says what it cannot know"
    answer = filled("audit", "verify", "--heads", str(away))
    assert answer.status == 1
    assert "put back to an earlier state" in answer.out
    away.write_text(away.read_text().replace('"seq": ', '"seq": 1'))
    assert filled("audit", "verify", "--heads", str(away)).status == 78
    assert filled("audit", "verify", "--heads", str(copy)).status == 2


async def test_a_worker_vouches_every_minute(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ends of all streams are stated while it runs, also of processes that were killed."""
    monkeypatch.setattr("postroom.worker.CHECKPOINT_SECONDS", 0.05)
    room = await open_room(settings, make=True)
    await room.variables.set("A", "1")
    room.desk.checkpoints = None  # killed: no last checkpoint
    await room.close()
    room = await open_room(settings)
    worker = asyncio.create_task(Worker(room).run())
    head = room.audit.kept
    while (await head())["at"] is None:
        await asyncio.sleep(0.02)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    await room.desk.db.write(lambda tx: tx.execute("DELETE FROM audit WHERE name = 'A'"))
    assert any("its end is missing" in one for one in await room.audit.verify())
    await room.close()


# ------------------------------------------------------------------ unavailable (T93)


async def _open(room: Room) -> None:
    store = room.desk.credentials
    await room.desk.write(
        lambda tx: store.open(tx, "acme", line=None, actor="local:test", purpose="a test")
    )


async def _closed(room: Room, why: str) -> None:
    """Nothing is opened and nothing is changed without its row, for that reason; reading works."""
    with pytest.raises(RoomError, match=why):
        await _open(room)
    with pytest.raises(RoomError, match=why):
        await room.credentials.set("acme", {"password": Secret("another one")})
    with pytest.raises(RoomError, match=why):
        await room.variables.set("NEW", "x")
    assert (await room.credentials.show("acme"))["version"] == 2
    assert len(await room.credentials.list()) == 1
    assert await room.variables.list() == {"MAIL_HOST": "imap.example.com"}
    assert len(await room.audit.list(noun="credential")) == 3


async def test_a_full_disk_closes_what_must_be_recorded(filled: Cli) -> None:
    """T93: disk full.  SQLite is told that the file may not grow: what the disk would say."""
    room = await open_room(filled.settings)
    await room.desk.db.write(lambda tx: tx.value("PRAGMA max_page_count = 1"))

    def count(noun: str) -> int:
        rows = "SELECT count(*) FROM audit WHERE :noun IN (noun, action)"
        return int(room.desk.db.read_now(lambda tx: tx.value(rows, noun=noun)))

    opened = await _until_refused(lambda: _open(room))
    assert count("open") == opened, "every opening that succeeded has its row, and no other"
    names = iter(range(500))
    kept = await _until_refused(lambda: room.variables.set(f"V{next(names)}", "x" * 900))
    assert count("variable") == 1 + kept
    assert len(await room.variables.list()) == 1 + kept
    with pytest.raises(RoomError, match="full"):
        await room.credentials.set("acme", {"password": Secret("another one")})
    assert (await room.credentials.show("acme"))["version"] == 2
    assert len(await room.audit.list(noun="credential", limit=5)) == 5
    await room.close()


async def _until_refused(call: Callable[[], Awaitable[object]]) -> int:
    """How often it succeeded before the disk was full."""
    done = 0
    while True:
        try:
            await call()
        except RoomError as error:
            if error.code == "room_full":
                return done
            raise
        done += 1


async def test_a_locked_database_closes_what_must_be_recorded(
    filled: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T93: table locked.  Exit 75, the process that holds it, and metadata is shown all the same."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    with Child("-c", LOCKER, str(filled.settings.room / DATABASE)) as holder:
        assert holder.line() == "locked"
        room = await open_room(filled.settings)
        await _closed(room, f"process {holder.pid}")
        await room.close()


def test_reading_verbs_work_while_the_database_is_locked(
    filled: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T93: reads of metadata work, with their own exit status; a change ends with 75."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    with Child("-c", LOCKER, str(filled.settings.room / DATABASE)) as holder:
        assert holder.line() == "locked"
        for noun in ("credential", "audit"):
            listed = filled(noun, "list")
            assert (listed.status, listed.err) == (0, ""), "what writes no row has none to close"
        assert filled("variable", "set", "NEW", "x").status == 75


@pytest.mark.parametrize("how", ["DROP TABLE audit", "ALTER TABLE audit RENAME TO elsewhere"])
async def test_a_missing_table_closes_what_must_be_recorded(filled: Cli, how: str) -> None:
    """T93: nothing is opened unrecorded, and it is a sentence, not a stack trace."""
    sql(filled, how)
    room = await open_room(filled.settings)
    with pytest.raises(RoomError, match="not as this release made them"):
        await room.variables.set("NEW", "x")
    assert await room.variables.list() == {"MAIL_HOST": "imap.example.com"}
    await room.close()


TRIGGER = "CREATE TRIGGER quiet BEFORE INSERT ON audit BEGIN SELECT RAISE(IGNORE); END"


async def test_a_trigger_that_swallows_rows_opens_nothing(filled: Cli) -> None:
    """T93: put there while a process runs: the row that was not written is missed at once."""
    room = await open_room(filled.settings)
    sql(filled, TRIGGER)
    await _closed(room, "a trigger named 'quiet'")
    await room.close()


def test_a_room_with_a_trigger_is_not_opened(filled: Cli) -> None:
    """T93: found before anything is done; every verb says its name."""
    sql(filled, TRIGGER)
    answer = filled("credential", "list")
    assert answer.status == 78
    assert "'quiet'" in answer.err


# ------------------------------------------------------------------ injected (T94)

EVIL = "a\nb\r\x1b[31m\u202egnp.exe\u2028c\x00d"
ESCAPES = ("\x1b", "\u202e", "\u2028", "\x00", "\r")


def test_what_is_in_the_record_reaches_no_terminal_as_it_is(filled: Cli) -> None:
    """T94: rows that somebody wrote with line ends and escapes: one line each, nothing to obey."""
    sql(filled, "UPDATE audit SET actor = ?, name = ? WHERE noun = 'variable'", EVIL, EVIL)
    sql(filled, "UPDATE audit SET detail = ? WHERE action = 'create'", json.dumps({"x": EVIL}))
    sql(filled, "UPDATE audit SET detail = ? WHERE action = 'set'", "{no json" + EVIL)
    listed = filled("audit", "list")
    assert listed.status == 0
    assert len(listed.out.splitlines()) == 5, "a heading and four rows"
    plain = filled("audit", "list", "--json").out
    verified = filled("audit", "verify")
    assert verified.status == 1
    for text in (listed.out, plain, verified.out, verified.err):
        assert not [char for char in ESCAPES if char in text]
    assert json.loads(plain)["items"][0]["actor"] == EVIL, "programs get it, escaped"


@pytest.mark.parametrize("words", [
    ("credential", "add", EVIL, "--type", "password"),
    ("variable", "set", EVIL, "x"),
    ("audit", "list", "--noun", EVIL),
    ("audit", "list", "--since", EVIL),
    ("credential", "show", EVIL),
    (EVIL,),
    ("audit", EVIL),
])  # fmt: skip
def test_an_error_says_the_name_on_one_line(filled: Cli, words: tuple[str, ...]) -> None:
    """T94: what was typed comes back in the error escaped; nothing of it is stored."""
    answer = filled(*words)
    assert answer.status == 2
    assert not [char for char in ESCAPES if char in answer.err + answer.out]
    assert "\nb" not in answer.err
    assert filled("audit", "list", "--json").json["items"][0]["name"] == "MAIL_HOST"


@pytest.mark.parametrize("shape", [log.TextFormatter, log.JsonFormatter])
def test_a_log_line_is_one_line(shape: type[logging.Formatter]) -> None:
    """T94: as text and as JSON, with the exception that carries it as well."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(shape())
    logger = logging.Logger("postroom.test")  # noqa: LOG001  # one of this test's own
    logger.addHandler(handler)
    try:
        raise RoomError(f"The server said {EVIL}")
    except RoomError:
        logger.exception("source %s ended", EVIL)
    text = stream.getvalue()
    assert len(text.splitlines()) == 1
    assert not [char for char in ESCAPES if char in text]


# ------------------------------------------------------------------ retired


async def test_what_is_older_than_it_is_kept_goes_and_the_rest_verifies(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as POSTROOM_AUDIT_KEEP says, by process; then a checkpoint says that it went."""
    monkeypatch.setenv("POSTROOM_AUDIT_KEEP", "30d")
    kept = settings_of(room=settings.room, kek=settings.kek)
    real = clock.timestamp
    for name, age in (("OLD", 40.0), ("YOUNG", 20.0)):
        monkeypatch.setattr(
            "postroom.audit.record.timestamp", lambda age=age: real() - age * 86400.0
        )
        room = await open_room(kept, make=True)
        await room.variables.set(name, "x")
        await room.close()
    monkeypatch.setattr("postroom.audit.record.timestamp", real)
    room = await open_room(kept)
    assert await room.audit.retire() == 1
    assert [row["name"] for row in await room.audit.list(noun="variable")] == ["YOUNG"]
    assert await room.audit.retire() == 0
    await room.close()
    room = await open_room(kept)
    assert await room.audit.verify() == []
    await room.close()


@pytest.mark.parametrize("text", ["1s", "400", "never", "6d"])
def test_a_time_to_keep_that_would_empty_the_record_is_refused(
    filled: Cli, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("POSTROOM_AUDIT_KEEP", text)
    answer = filled("audit", "list")
    assert answer.status == 78
    assert "POSTROOM_AUDIT_KEEP" in answer.err
