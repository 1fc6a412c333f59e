"""``postroom backup verify`` and ``restore``: only what is whole, with the key, where nothing is."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import postroom
from postroom.app import Room, open_room, restore_backup, verify_backup
from postroom.cli import main
from postroom.clock import rfc3339
from postroom.db.snapshot import open_copy
from postroom.errors import Locked, Refused, RoomError
from postroom.operations.backup.archive import Archive, write_archive
from postroom.operations.backup.manifest import Manifest, check_lines
from postroom.secret import Secret
from postroom.settings import Settings
from postroom.vault import audit_code, open_vault
from tests.child import Child
from tests.journeys.conftest import Answer, Cli
from tests.journeys.test_backup_create import names, small_disk
from tests.rooms.freeze import tokens_of
from tests.rooms.saved import contents, saved_room, tokens_then

__all__ = ["backup", "elsewhere", "small_disk"]


class Elsewhere:
    """Another machine: the command line with another room and only the key that is named."""

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.room = place / "restored"
        self._capsys = capsys

    def __call__(self, *words: str, kek: str = "") -> Answer:
        self._capsys.readouterr()
        key = ("--kek", kek) if kek else ()
        status = main([*words, "--room", str(self.room), *key])
        shown = self._capsys.readouterr()
        return Answer(status, shown.out, shown.err)


@pytest.fixture
def elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Elsewhere:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))
    monkeypatch.delenv("POSTROOM_KEK", raising=False)
    return Elsewhere(tmp_path, capsys)


@pytest.fixture
def backup(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A backup of a room with a secret in it, in a directory of its own."""
    monkeypatch.setenv("PW", "a password of its own")
    cli("credential", "add", "login", "--type", "password", "--user-name", "u@example.com",
        "--password-from-env", "PW")  # fmt: skip
    (tmp_path / "backups").mkdir()
    made = cli("backup", "create", "--to", str(tmp_path / "backups" / "room.tar"))
    assert made.status == 0, made.err
    return tmp_path / "backups" / "room.tar"


def rows(room: Path, sql: str) -> list[Any]:
    with sqlite3.connect(f"file:{room / 'room.db'}?mode=ro", uri=True) as db:
        return db.execute(sql).fetchall()


# ------------------------------------------------------------------ verify


def test_verify_says_what_it_could_prove(backup: Path, cli: Cli, elsewhere: Elsewhere) -> None:
    full = elsewhere("backup", "verify", str(backup), kek=str(cli.settings.kek))
    assert full.status == 0
    assert full.out.startswith("Whole, and made with the room's key")
    by_hash = elsewhere("backup", "verify", str(backup))
    assert by_hash.status == 0
    assert by_hash.out.startswith("Whole, by its SHA-256 alone.")
    assert "This room wants the key" in by_hash.out
    told = elsewhere("backup", "verify", str(backup), "--json").json
    assert (told["whole"], told["proof"]) == (True, "hash")
    assert told["tables"]["credentials"] == 1
    assert names(backup.parent) == ["room.tar"]
    assert not elsewhere.room.exists()


def test_a_key_that_was_named_and_does_not_fit_is_said(
    backup: Path, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    (tmp_path / "wrong.key").write_text("ab" * 32)
    (tmp_path / "wrong.key").chmod(0o600)
    for kek in (f"file:{tmp_path / 'wrong.key'}", f"file:{tmp_path / 'missing.key'}"):
        answer = elsewhere("backup", "verify", str(backup), kek=kek)
        assert answer.status == 78
        assert "wants" in answer.err


def test_verify_of_what_is_no_backup(elsewhere: Elsewhere, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("hello")
    answer = elsewhere("backup", "verify", str(tmp_path / "other"), "--json")
    assert (answer.status, answer.json["code"]) == (1, "backup_damaged")
    assert elsewhere("backup", "verify", str(tmp_path / "missing")).status == 2
    assert elsewhere("backup", "verify", str(tmp_path)).status == 2


def test_verify_where_nobody_can_write(backup: Path, cli: Cli, elsewhere: Elsewhere) -> None:
    backup.parent.chmod(0o500)
    answer = elsewhere("backup", "verify", str(backup), kek=str(cli.settings.kek))
    backup.parent.chmod(0o700)
    assert answer.status == 0


def tampered(backup: Path, to: Path, sql: str) -> None:
    """What somebody makes who has the backup and not the key: another database, hashes that fit."""
    with tarfile.open(backup) as tar:
        tar.extract("room.db", to.parent, filter="data")
    with sqlite3.connect(to.parent / "room.db") as db:
        assert db.execute(sql).rowcount
    db.close()
    with Archive(backup) as archive:
        told, check, at = Manifest.parse(archive.manifest), archive.check, archive.at

    def describe(size: int, sha256: str) -> tuple[bytes, bytes]:
        import dataclasses
        import hashlib

        text = dataclasses.replace(told, size=size, sha256=sha256).to_bytes()
        lines = check.decode().splitlines()
        lines[0] = f"sha256 {hashlib.sha256(text).hexdigest()}"
        return text, ("\n".join(lines) + "\n").encode()

    write_archive(to, to.parent / "room.db", describe, at=at)


def test_t95_a_backup_that_was_made_to_fit_is_refused_with_the_key(
    backup: Path, cli: Cli, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    """T95: the host of a connection edited in the backup, every hash made to fit."""
    evil = tmp_path / "evil.tar"
    tampered(backup, evil, "UPDATE credentials SET description = 'mine'")
    key = str(cli.settings.kek)
    assert elsewhere("backup", "verify", str(evil)).status == 0, "by hash alone it is whole"
    answer = elsewhere("backup", "verify", str(evil), "--json", kek=key)
    assert (answer.status, answer.json["code"]) == (1, "backup_damaged")
    answer = elsewhere("backup", "restore", str(evil), "--json", kek=key)
    assert (answer.status, answer.json["code"]) == (1, "backup_damaged")
    assert not elsewhere.room.exists()


# ------------------------------------------------------------------ restore


def test_a_restored_room_is_the_same_and_says_so(
    backup: Path, cli: Cli, elsewhere: Elsewhere
) -> None:
    """F21: everything that was in it is in it again, byte by byte, but what a restore changes."""
    key = str(cli.settings.kek)
    done = elsewhere("backup", "restore", str(backup), kek=key)
    assert done.status == 0, done.err
    assert "as it was at" in done.out
    assert names(elsewhere.room) == ["room.db"]
    assert stat.S_IMODE(elsewhere.room.stat().st_mode) == 0o700
    assert stat.S_IMODE((elsewhere.room / "room.db").stat().st_mode) == 0o600
    with tarfile.open(backup) as tar:
        tar.extract("room.db", elsewhere.room.parent, filter="data")
    changed = {"audit", "room", "workers"}
    for (table,) in rows(elsewhere.room, "SELECT name FROM sqlite_master WHERE type = 'table'"):
        was = rows(elsewhere.room.parent, f"SELECT * FROM {table}")
        now = rows(elsewhere.room, f"SELECT * FROM {table}")
        assert sorted(now) == sorted(was) or table in changed, table
        assert table == "workers" or set(was) <= set(now), table
    assert elsewhere("keys", "doctor", kek=key).status == 0
    assert elsewhere("audit", "verify", kek=key).status == 0
    [row, *_] = elsewhere("audit", "list", "--noun", "backup", "--json", kek=key).json["items"]
    assert (row["action"], row["name"], row["detail"]["epoch"]) == ("restore", "room.tar", 2)
    again = elsewhere(
        "backup", "create", "--to", str(backup.parent / "second.tar"), "--json", kek=key
    )
    assert again.json["epoch"] == 2


def test_an_existing_room_is_never_touched(backup: Path, cli: Cli) -> None:
    before = (cli.settings.room / "room.db").read_bytes()
    refused = cli("backup", "restore", str(backup), "--json")
    assert (refused.status, refused.json["code"]) == (1, "in_use")
    assert "There is a room" in refused.json["error"]
    assert "--room" in refused.json["hint"]
    assert (cli.settings.room / "room.db").read_bytes() == before


@pytest.mark.parametrize("what", ["a file in it", "a file", "nothing in it", "a disk"])
def test_only_an_empty_place_takes_a_room(
    backup: Path, cli: Cli, elsewhere: Elsewhere, what: str
) -> None:
    room = elsewhere.room
    if what == "a file":
        room.write_text("mine")
    else:
        room.mkdir(mode=0o700)
    if what == "a disk":
        (room / "lost+found").mkdir()
    if what == "a file in it":
        (room / "notes.txt").write_text("mine")
    answer = elsewhere("backup", "restore", str(backup), kek=str(cli.settings.kek))
    if what in ("nothing in it", "a disk"):
        assert answer.status == 0
    else:
        assert answer.status == {"a file": 78, "a file in it": 1}[what]
        assert what == "a file" or names(room) == ["notes.txt"]


def test_t96_without_the_key_the_id_and_the_ways_on_are_said(
    backup: Path, cli: Cli, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    """T96: exit 78, which key is wanted, where it is looked for, and what else would do."""
    wanted = cli("keys", "status", "--json").json["kek_ids"][0]
    missing = elsewhere("backup", "restore", str(backup))
    assert missing.status == 78
    for said in (wanted, str(tmp_path / "home"), "--kek", "POSTROOM_KEK", "recovery kit"):
        assert said in missing.err
    (tmp_path / "wrong.key").write_text("ab" * 32)
    (tmp_path / "wrong.key").chmod(0o600)
    wrong = elsewhere("backup", "restore", str(backup), kek=f"file:{tmp_path / 'wrong.key'}")
    assert wrong.status == 78
    assert wanted in wrong.err
    assert not elsewhere.room.exists()


def test_a_damaged_backup_leaves_nothing(
    backup: Path, cli: Cli, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    whole = backup.read_bytes()
    for at in (5000, 60_000, len(whole) - 2000):
        cut = tmp_path / "cut.tar"
        cut.write_bytes(whole[:at])
        assert elsewhere("backup", "restore", str(cut), kek=str(cli.settings.kek)).status == 1
        cut.write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
        assert elsewhere("backup", "restore", str(cut), kek=str(cli.settings.kek)).status == 1
        assert not elsewhere.room.exists()


def test_a_backup_of_a_later_release_says_so(
    backup: Path, cli: Cli, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    from postroom.db import migrate

    monkeypatch.setattr(migrate, "SCHEMA", 1)
    for verb in ("verify", "restore"):
        answer = elsewhere("backup", verb, str(backup), "--json", kek=str(cli.settings.kek))
        assert (answer.status, answer.json["code"]) == (78, "room_too_new")
    assert not elsewhere.room.exists()


@pytest.mark.parametrize("schema", [1, 5])
async def test_a_backup_of_an_earlier_release_is_restored_and_upgraded(
    schema: int, tmp_path: Path
) -> None:
    """The room that the release with this schema saved, as it could have backed it up."""
    old = saved_room(schema, tmp_path)
    before = contents(old.room / "room.db")
    db = open_copy(old.room / "room.db")
    start = await open_vault(db, old.kek)
    assert start.keyring is not None
    mac = db.read_now(partial(audit_code, start.keyring))
    await db.close()
    with sqlite3.connect(old.room / "room.db") as raw:
        raw.execute("PRAGMA journal_mode=DELETE")
    at = 1_800_000_000

    def describe(size: int, sha256: str) -> tuple[bytes, bytes]:
        told = Manifest(
            room=start.room_id, epoch=1, schema=schema, release="0.0.1", created_at=rfc3339(at),
            host="elsewhere", path="/srv/room", keks=[], vault_keys=[], size=size, sha256=sha256,
            tables={}, heads={},
        )  # fmt: skip
        return told.to_bytes(), check_lines(told.to_bytes(), mac)

    write_archive(tmp_path / "old.tar", old.room / "room.db", describe, at=at)
    assert (await verify_backup(tmp_path / "old.tar", old)).proof == "key"

    new = Settings(tmp_path / "new", old.kek)
    done = await restore_backup(tmp_path / "old.tar", new)
    assert done.manifest.schema == schema
    assert names(new.room) == ["room.db"]
    opened = await open_room(new)
    assert await opened.audit.verify() == []
    assert (await opened.keys.doctor())["ok"]
    assert await tokens_of(opened) == tokens_then(schema)
    told = await opened.audit.list(limit=100)
    assert {("upgrade", "room"), ("restore", "backup")} <= {(r["action"], r["noun"]) for r in told}
    await opened.close()
    after = contents(new.room / "room.db")
    for table in ("credentials", "sealed", "connections", "services", "outbox_content"):
        columns = set().union(*before[table])  # a migration may have added some
        there = [{key: row[key] for key in row if key in columns} for row in after[table]]
        assert there == before[table]
    waits = {"queued", "claimed", "submitting", "deferred"}
    assert waits & {row["state"] for row in before["outbox"]}
    assert not waits & {row["state"] for row in after["outbox"]}


def test_f4_a_full_disk_leaves_no_half_room(
    backup: Path, cli: Cli, elsewhere: Elsewhere, small_disk: Callable[[int], Path]
) -> None:
    """F4: no space at any point of a restore: exit 75, and nothing at the place of the room."""
    size = backup.stat().st_size // 1024
    for free in range(16, 6 * size, 72):
        place = small_disk(free)
        elsewhere.room = place / "room"
        done = elsewhere("backup", "restore", str(backup), "--json", kek=str(cli.settings.kek))
        if done.status == 0:
            break
        assert (done.status, done.json["code"]) == (75, "room_full"), done.out
        assert names(place) == []
    assert done.status == 0
    assert free > size
    assert elsewhere("keys", "doctor", kek=str(cli.settings.kek)).status == 0


def test_without_any_key_what_is_not_sealed_is_had_with_an_ordinary_tar(
    backup: Path, elsewhere: Elsewhere
) -> None:
    elsewhere.room.mkdir(mode=0o700)
    with tarfile.open(backup) as tar:
        tar.extract("room.db", elsewhere.room, filter="data")
    exported = elsewhere("export")
    assert exported.status == 0
    assert "u@example.com" in exported.out
    assert elsewhere("outbox", "list").status == 0
    assert elsewhere("keys", "status").status == 78


async def test_a_place_where_a_lost_room_was_is_no_rollback(
    room: Room, settings: Settings, tmp_path: Path
) -> None:
    """The head of the record that is kept outside is of the room that is gone: restoring accepts it."""
    made = await room.backup.create(tmp_path / "room.tar")
    for number in range(3):
        await room.variables.set(f"V{number}", "x")
    await room.close()
    shutil.rmtree(settings.room)
    await restore_backup(made.path, settings)
    opened = await open_room(settings)
    assert await opened.audit.verify() == []
    told = await opened.audit.list(noun="audit", checkpoints=True)
    assert any("restored from room.tar" in str(row["detail"]) for row in told)
    await opened.close()


_KILLED = """
import asyncio, itertools, os, signal, sys
from pathlib import Path
from postroom.app import restore_backup
from postroom.settings import Settings
from postroom.vault import audit_code, open_vault

backup, kek, places = sys.argv[1:]
for step in itertools.count(1):
    room = Path(places) / str(step)
    child = os.fork()
    if not child:
        left = step
        def hook(event, arguments):
            global left
            if event == "fcntl.flock" or any(str(room) in str(one) for one in arguments):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        asyncio.run(restore_backup(backup, Settings(room, kek)))
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        print(step, flush=True)
        break
"""


async def test_a_restore_that_is_killed_made_the_room_or_none(
    room: Room, settings: Settings, tmp_path: Path
) -> None:
    """Killed at any step: the whole restored room or no room, and the next restore goes through."""
    made = await room.backup.create(tmp_path / "room.tar")
    places = tmp_path / "places"
    places.mkdir()
    with Child("-c", _KILLED, str(made.path), str(settings.kek), str(places)) as child:
        steps = int(child.line())
    assert steps > 10
    for step in range(1, steps + 1):
        where = Settings(places / str(step), settings.kek)
        if not (where.room / "room.db").exists():
            assert step < steps
            await restore_backup(made.path, where)
        opened = await open_room(where)
        [row] = await opened.audit.list(noun="backup", limit=1)
        assert row["action"] == "restore"
        assert await opened.audit.verify() == []
        await opened.close()
        assert [one for one in names(where.room) if one != "room.db"] == [] or step < steps


def test_the_library_restores_too(
    backup: Path, cli: Cli, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    kek = str(cli.settings.kek)
    assert postroom.verify_backup(backup, kek=kek).proof == "key"
    with pytest.raises(Locked):
        postroom.verify_backup(backup, kek=f"file:{tmp_path / 'missing'}")
    done = postroom.restore_backup(backup, room=elsewhere.room, kek=kek)
    assert (done.epoch, done.held, done.alive) == (2, 0, [])
    with pytest.raises(Refused):
        postroom.restore_backup(backup, room=elsewhere.room, kek=kek)
    with postroom.open(elsewhere.room, kek=kek) as opened:
        assert [one["name"] for one in opened.credentials.list()] == ["login"]
        made = opened.backup.create(tmp_path / "third.tar")
        assert made.manifest.epoch == 2
    with pytest.raises(RoomError):
        postroom.open(tmp_path / "nowhere")


async def test_nothing_lets_anybody_in_that_was_given_before(
    room: Room, settings: Settings, tmp_path: Path
) -> None:
    """What was revoked or taken since the backup, because somebody had stolen it, does not come back."""
    password = Secret("a quite long pass phrase")
    await room.users.add("root", "admin", password=password)
    await room.users.add("new", "viewer")
    token = (await room.tokens.add("deploy", user="root", verbs=["view"]))["token"]
    cookie = (await room.people.sign_in("root", password)).cookie
    code = (await room.users.invite("new"))["code"]
    await room.backup.create(tmp_path / "room.tar")

    place = settings._replace(room=tmp_path / "restored")
    done = await restore_backup(tmp_path / "room.tar", place)
    assert (done.tokens, done.users) == (1, 2)
    restored = await open_room(place)
    for way in (
        restored.people.by_token(token),
        restored.people.session(cookie),
        restored.people.accept(code, "new", password),
    ):
        with pytest.raises(Refused) as refused:
            await way
        assert refused.value.code == "not_signed_in"
    came = await restored.people.sign_in("root", password)
    assert (await restored.people.session(came.cookie)).name == "root"
    (row,) = await restored.audit.list(noun="backup", action="restore")
    assert (row["detail"]["tokens"], row["detail"]["users"]) == (1, 2)
    await restored.close()
