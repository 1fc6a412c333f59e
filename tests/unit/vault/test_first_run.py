"""The first run and every later one: what is made, opened, or left alone."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import sys
from pathlib import Path

import pytest

import postroom
from postroom.db import Database, open_database
from postroom.errors import Locked
from postroom.vault import Keyring, open_vault
from postroom.vault.first_run import STEPS
from tests.unit.vault.rooms import ALICE, Room, make_room


def counts(db: Database) -> list[int]:
    tables = ("vault_keys", "vault_key_wraps", "data_keys", "sealed", "credentials", "audit")
    texts = [f"SELECT count(*) FROM {table}" for table in tables]
    return db.read_now(lambda tx: [tx.value(text) for text in texts])


def digest(db: Database) -> str:
    db.read_now(lambda tx: None)
    return "\n".join(
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(db.path.parent.iterdir())
        if not path.name.endswith("-shm")
    )


async def test_the_first_run_makes_and_the_next_opens(tmp_path: Path) -> None:
    room = await make_room(tmp_path)
    assert room.start.made
    again = await open_vault(room.db, f"file:{room.key_file}")
    assert again.locked is None
    assert not again.made
    assert again.room_id == room.start.room_id
    assert again.keyring is not None
    assert again.keyring.kek_id == room.keyring.kek_id
    await room.db.close()


async def test_a_wrong_key_locks_the_room_and_changes_nothing(room: Room) -> None:
    """T13, T18: exit 78, both ids in the sentence, the database as it was, ten times over."""
    await room.login("acme", "hunter2hunter2")
    other = room.key_file.with_name("other.key")
    other.write_text(base64.b64encode(b"x" * 32).decode())
    other.chmod(0o600)
    before, rows = digest(room.db), counts(room.db)
    for make in (False, True) * 5:
        start = await open_vault(room.db, f"file:{other}", make=make)
        assert start.keyring is None
        assert start.locked is not None
        assert start.locked.code == "key_wrong"
        assert start.locked.exit_status == 78
        assert room.keyring.kek_id in str(start.locked)
        assert start.locked.facts["given"] in str(start.locked)
    assert counts(room.db) == rows
    assert digest(room.db) == before
    assert await room.password("acme") == "hunter2hunter2"


async def test_a_missing_key_is_not_made_anew(room: Room) -> None:
    """T14: the keyring is there, so no key is made, whatever anybody was told."""
    room.key_file.rename(room.key_file.with_name("away"))
    for make in (False, True):
        start = await open_vault(room.db, f"file:{room.key_file}", make=make)
        assert start.locked is not None
        assert start.locked.code == "key_missing"
        assert room.keyring.kek_id in str(start.locked)
        assert str(room.key_file) in str(start.locked)
    assert not room.key_file.exists()
    assert counts(room.db)[0] == 1


async def test_nobody_makes_keys_without_being_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    db = open_database(tmp_path / "data" / "room.db", create=True)
    start = await open_vault(db, f"file:{tmp_path / 'k'}")
    assert start.locked is not None
    assert start.locked.hint == "Make them with: postroom init"
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]
    assert not db.read_now(Keyring.exists)
    await db.close()


async def test_a_first_run_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    """A key file without a keyring: the next init takes it and makes the rest."""
    (tmp_path / "data").mkdir()
    key = tmp_path / "k"
    key.write_text(base64.b64encode(b"k" * 32).decode())
    key.chmod(0o600)
    db = open_database(tmp_path / "data" / "room.db", create=True)
    start = await open_vault(db, f"file:{key}", make=True)
    assert start.made
    assert key.read_text() == base64.b64encode(b"k" * 32).decode()
    await db.close()


async def test_an_unsafe_key_file_is_not_used_to_make_a_room(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    key = tmp_path / "k"
    key.write_text(base64.b64encode(b"k" * 32).decode())
    key.chmod(0o644)
    db = open_database(tmp_path / "data" / "room.db", create=True)
    start = await open_vault(db, f"file:{key}", make=True)
    assert start.locked is not None
    assert start.locked.code == "key_unsafe"
    assert not db.read_now(Keyring.exists)
    await db.close()


async def test_a_room_made_with_a_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    db = open_database(tmp_path / "data" / "room.db", create=True)
    monkeypatch.setenv("POSTROOM_PASSPHRASE", "correct horse battery")
    made = await open_vault(db, "passphrase:", make=True)
    assert made.made
    assert (await open_vault(db, "passphrase:")).locked is None
    monkeypatch.setenv("POSTROOM_PASSPHRASE", "correct horse batteries")
    wrong = await open_vault(db, "passphrase:")
    assert wrong.locked is not None
    assert wrong.locked.code == "key_wrong"
    await db.write(
        lambda tx: tx.execute(
            "UPDATE room SET value = replace(value, '65536', '8') WHERE key = 'argon2id'"
        )
    )
    monkeypatch.setenv("POSTROOM_PASSPHRASE", "correct horse battery")
    weak = await open_vault(db, "passphrase:")
    assert weak.locked is not None, "T24: a lowered row must not be used"
    assert weak.locked.code == "key_unsafe"
    await db.close()


async def test_a_wrong_passphrase_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T18: ten of them, one told to make a room as well; the right one opens what there was."""
    (tmp_path / "data").mkdir()
    db = open_database(tmp_path / "data" / "room.db", create=True)
    monkeypatch.setenv("POSTROOM_PASSPHRASE", "correct horse battery")
    made = await open_vault(db, "passphrase:", make=True)
    before, rows = digest(db), counts(db)
    assert min(rows[:4]) >= 1
    for number in range(10):
        monkeypatch.setenv("POSTROOM_PASSPHRASE", f"correct horse batteries {number}")
        wrong = await open_vault(db, "passphrase:", make=number % 2 == 0)
        assert wrong.locked is not None
        assert wrong.locked.code == "key_wrong"
        assert counts(db) == rows
    assert digest(db) == before
    monkeypatch.setenv("POSTROOM_PASSPHRASE", "correct horse battery")
    again = await open_vault(db, "passphrase:")
    assert again.locked is None
    assert again.room_id == made.room_id
    await db.close()


def test_the_table_never_makes_where_a_keyring_is() -> None:
    assert {step for (keyring, _, _), step in STEPS.items() if keyring} == {"locked", "open"}
    assert {step for (_, _, make), step in STEPS.items() if not make} == {"locked", "open"}


RACER = """
import asyncio, sys
from pathlib import Path
from postroom.db import open_database
from postroom.vault import open_vault

async def main():
    base = Path(sys.argv[1])
    db = open_database(base / "data" / "room.db")
    print("ready", flush=True)
    sys.stdin.readline()
    start = await open_vault(db, f"file:{base / 'keys' / 'room.key'}", make=True)
    await db.close()
    print(start.locked or start.keyring.kek_id, start.made, flush=True)

asyncio.run(main())
"""


async def test_eight_processes_start_at_once(tmp_path: Path) -> None:
    """T15: one key file, one keyring, and all eight open it."""
    (tmp_path / "data").mkdir()
    await open_database(tmp_path / "data" / "room.db", create=True).close()
    pipe = asyncio.subprocess.PIPE
    racers = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            RACER,
            str(tmp_path),
            stdin=pipe,
            stdout=pipe,
            env=os.environ | {"PYTHONPATH": str(Path(postroom.__file__).parents[1])},
        )
        for _ in range(8)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert await racer.stdout.readline() == b"ready\n"
    answers = await asyncio.gather(*(racer.communicate(b"go\n") for racer in racers))
    said = [out.decode().split() for out, _ in answers]
    assert len({words[0] for words in said}) == 1, said
    assert sorted(words[1] for words in said) == ["False"] * 7 + ["True"]
    db = open_database(tmp_path / "data" / "room.db")
    assert db.read_now(lambda tx: tx.value("SELECT count(*) FROM vault_keys")) == 1
    await db.close()


async def test_a_locked_room_lists_and_refuses_the_rest(room: Room) -> None:
    """T18: nothing is deleted, nothing is opened, and the sentence says what to do."""
    from postroom.credentials import CredentialStore

    await room.login("acme", "hunter2hunter2")
    reason = Locked("The key is on holiday.", code="key_missing")
    store = CredentialStore(None, None, locked=reason)
    listed = room.db.read_now(store.all)
    assert [one.name for one in listed] == ["acme"]
    assert listed[0].fields == {"user_name": "acme@example.com", "password": "****"}
    for body in (
        lambda tx: store.open(tx, "acme", line=None, actor=ALICE, purpose="x"),
        lambda tx: store.set_details(tx, "acme", {"password": "x" * 12}, actor=ALICE),
        lambda tx: store.create(tx, actor=ALICE, name="b", type="secret"),
        lambda tx: store.delete(tx, "acme", actor=ALICE),
    ):
        with pytest.raises(Locked, match="on holiday"):
            await room.db.write(body)
