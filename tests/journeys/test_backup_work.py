"""Backup, restore and what follows, with workers at real servers: nothing is lost, nothing sent twice."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import postroom
from postroom.app import Room, open_room, restore_backup, verify_backup
from postroom.errors import RoomError
from postroom.operations.backup.manifest import Manifest
from postroom.services.restored import RESTORED
from postroom.settings import Settings
from tests.child import Child
from tests.ground import Ground
from tests.ground.faults import Rule, Stall
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import connect
from tests.journeys.incoming import Incoming, letter, soon
from tests.journeys.outgoing import NAME, Outgoing, message_ids
from tests.journeys.test_backup_create import database_of
from tests.journeys.test_security import CANARY, leaks
from tests.unit.test_docs import DOCS, blocks_of
from tests.unit.vault.samples import SAMPLES

PATIENCE = 60.0
ANSWER = b"250 2.0.0 Ok: queued"


@pytest.fixture
async def post(room: Room, ground: Ground) -> Outgoing:
    user = ground.user()
    await connect(room, ground, user)
    return Outgoing(room, ground, user, ground.user())


def worker(settings: Settings) -> Child:
    """A real worker on a room."""
    words = ("-m", "postroom", "worker", "--room", str(settings.room), "--kek", str(settings.kek))
    return Child(*words)


def states(settings: Settings) -> dict[str, str]:
    """The state of every outbox item, by Message-ID."""
    with sqlite3.connect(f"file:{settings.room / 'room.db'}?mode=ro", uri=True) as db:
        return dict(db.execute("SELECT message_id, state FROM outbox").fetchall())


def tables(db: sqlite3.Connection) -> dict[str, list[Any]]:
    """Every row of every table."""
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {
        name: sorted(db.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names
    }


def check_whole(manifest: Manifest, db: sqlite3.Connection) -> None:
    """Nothing in the copy is half there: SQLite, the manifest and the rows among themselves agree."""
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    found = tables(db)
    assert {name: len(rows) for name, rows in found.items()} == manifest.tables
    for part in ("outbox_recipients", "outbox_content"):
        assert manifest.tables[part] == manifest.tables["outbox"]
    heads = dict(db.execute("SELECT stream, max(seq) FROM audit GROUP BY stream").fetchall())
    assert heads == {stream: seq for stream, (seq, _) in manifest.heads.items()}


async def test_f21_backup_during_load_verify_restore_compare(
    post: Outgoing, settings: Settings, tmp_path: Path
) -> None:
    """F21: backups while a worker collects and sends; restored, the content is the same byte for byte
    and the outbox is held; let go, every message has arrived exactly once."""
    mailbox = Incoming(post.room, post.ground, post.user, tmp_path / "orders")
    await mailbox.source()
    await post.service(throttle={"max": 20, "per": "second"})
    count = 120
    post.ground.dovecot.fill(post.user, [letter(f"in{n}", size=2000) for n in range(300)])
    with worker(settings) as working:
        made = []
        for number in range(count):
            await post.store(subject=f"out{number}")
            if number % 40 == 39:
                made.append(await post.room.backup.create(tmp_path / f"{number}.tar"))
        await soon(lambda: "sent" in states(settings).values(), seconds=PATIENCE)
        made.append(await post.room.backup.create(tmp_path / "last.tar"))
        await soon(lambda: Counter(states(settings).values())["sent"] > 60, seconds=PATIENCE)
        assert working.stop() == 0
    for one in made:
        assert (await verify_backup(one.path, settings)).proof == "key"
        with database_of(one.path, tmp_path / one.path.stem) as db:
            check_whole(one.manifest, db)

    other = Settings(tmp_path / "restored", settings.kek)
    done = await restore_backup(tmp_path / "last.tar", other)
    assert done.held > 0
    with database_of(tmp_path / "last.tar", tmp_path / "was") as db:
        was = tables(db)
    with sqlite3.connect(other.room / "room.db") as db:
        now = tables(db)
    waits = {"queued", "claimed", "submitting", "deferred"}
    for name, rows in was.items():
        if name in ("audit", "room"):
            assert set(rows) <= set(now[name])
        elif name not in (
            "workers", "sources", "sent_copies", "ledger", "outbox", "outbox_recipients", "outbox_attempts",
        ):  # fmt: skip
            assert now[name] == rows, name
    assert len(now["ledger"]) == len(was["ledger"])
    assert len([row for row in was["outbox"] if row[2] in waits]) == done.held + done.ambiguous
    assert not waits & set(states(other).values())

    # a worker on the restored room collects, and sends nothing
    sent = {one for one, state in states(settings).items() if state == "sent"}
    await soon(lambda: len(set(message_ids(post.other))) == len(sent), seconds=PATIENCE)
    post.ground.dovecot.fill(post.user, [letter(f"new{n}") for n in range(5)])
    with worker(other) as working:
        await soon(lambda: len(mailbox.files()) == 305, seconds=PATIENCE)
        working.stop()
    assert len(message_ids(post.other)) == len(sent)

    # the operator ends what the other room has sent meanwhile, and lets the rest go
    restored = await open_room(other)
    twin = Outgoing(restored, post.ground, post.user, post.other)
    held = await restored.outbox.list(states=["held"], limit=1000)
    assert {each.reason for each in held} == {RESTORED}
    for each in held:
        if each.message_id in sent:
            await restored.outbox.cancel(each.id)
    for each in await restored.outbox.list(states=["ambiguous"], limit=1000):
        if each.message_id not in sent:
            await restored.outbox.retry(each.id)
    await restored.outbox.release_held(restored=True)
    while (await twin.drain()).next_due is not None:
        await asyncio.sleep(0.2)
    assert await restored.audit.verify() == []
    await restored.close()
    # what was stored after the backup is only in the room that was lost
    wanted = sent | set(states(other))
    await soon(lambda: len(set(message_ids(post.other))) >= len(wanted), seconds=PATIENCE)
    arrived = Counter(message_ids(post.other))
    assert set(arrived) == wanted
    assert max(arrived.values()) == 1


async def test_a_backup_of_a_message_on_the_wire_restores_it_in_doubt(
    post: Outgoing, settings: Settings, tmp_path: Path
) -> None:
    """What was `submitting` is ambiguous; the worker of the other room, which still runs where the
    restored room is now, settles nothing in it and ends with a sentence."""
    rule = Rule("to_client", Stall(6.0), before=ANSWER, connection=1)
    async with FaultProxy(post.ground.postfix.plain, rules=[rule]) as proxy:
        await post.through(proxy)
        item = await post.store()
        with worker(settings) as working:
            await soon(lambda: post.states() == {"submitting": 1}, seconds=PATIENCE)
            made = await post.room.backup.create(tmp_path / "room.tar")
            moved = settings.room.rename(tmp_path / "moved")
            done = await restore_backup(made.path, settings)
            assert (done.held, done.ambiguous) == (0, 1)
            assert await asyncio.to_thread(working.wait, PATIENCE) == 78
            said = [working.complaint() for _ in range(6)]
            assert any("was moved or replaced" in line for line in said), said
    assert list(states(settings).values()) == ["ambiguous"]
    assert list(states(Settings(moved)).values()) == ["sent"], "it is settled where it was claimed"
    with pytest.raises(RoomError, match="moved or replaced"):
        await asyncio.to_thread(post.room.desk.db.read_now, lambda tx: tx.value("SELECT 1"))
    again = await open_room(settings)
    found = await again.outbox.show(item)
    assert "when the backup was made" in found.reason
    await again.close()
    post.arrived(1)


async def test_a_restore_tells_of_a_worker_that_is_still_at_the_other_room(
    post: Outgoing, settings: Settings, tmp_path: Path
) -> None:
    made = await post.room.backup.create(tmp_path / "room.tar")
    with worker(settings) as working:
        await soon(lambda: len(list(settings.room.glob("seats/*"))) == 1, seconds=PATIENCE)
        done = await restore_backup(made.path, Settings(tmp_path / "twin", settings.kek))
        assert len(done.alive) == 1
        assert str(working.pid) in done.alive[0]
        working.stop()
    done = await restore_backup(made.path, Settings(tmp_path / "another", settings.kek))
    assert done.alive == []


async def test_t95_a_backup_without_its_key_shows_no_secret(room: Room, tmp_path: Path) -> None:
    """T95: a stolen backup: no canary in any of its encodings, in the file or the database in it."""
    canary = postroom.Secret(CANARY)
    details: dict[str, dict[str, Any]] = {
        "password": {"user_name": "u", "password": canary},
        "smtp": {"host": "smtp.example.com", "tls": True, "user_name": "u", "password": canary},
        "secret": {"value": canary},
        "generic": {"one": canary},
    }
    for kind, fields in details.items():
        await room.credentials.create(kind, kind, description="one", details=fields)
    await room.credentials.delete("secret")
    made = await room.backup.create(tmp_path / "room.tar")
    data = made.path.read_bytes()
    assert leaks(data) == []
    assert leaks(data.decode("latin-1").encode("utf-16le")) == []
    key = Path(str(room.settings.kek).removeprefix("file:")).read_text().splitlines()[-1]
    assert leaks(data, key) == []
    with database_of(made.path, tmp_path) as db:
        assert leaks("\n".join(db.iterdump()).encode()) == []


async def test_the_outbox_is_in_it_in_the_clear_and_create_says_so(
    post: Outgoing, settings: Settings, tmp_path: Path
) -> None:
    await post.service()
    await post.store(text="Nobody sealed this.\n")
    made = subprocess.run(
        [sys.executable, "-m", "postroom", "backup", "create", "--to", tmp_path / "room.tar",
         "--room", settings.room, "--kek", str(settings.kek)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "In it and not sealed: the content of 1 message of the outbox." in made.stderr
    assert "Not in it: the key." in made.stderr
    assert b"Nobody sealed this." in (tmp_path / "room.tar").read_bytes()


BEFORE = """\
set -eu
export HOME="$1/old" POSTROOM_ROOM="$1/old/room"
postroom keys kit --to "$1/safe/kit.txt"
postroom backup create --to "$1/safe/room.tar"
"""

AFTER = """\
set -eu
export POSTROOM_ROOM="$1/new/room" POSTROOM_KEK="file:$1/safe/kit.txt"
postroom backup restore "$1/safe/room.tar"
# a key of its own, since the kit goes back into the safe
postroom keys kek add "file:$1/new/keys/room.key" --make
export POSTROOM_KEK="file:$1/new/keys/room.key"
postroom keys status
"""


def drill_of_the_docs() -> str:
    """The script of docs/recovery.md, as it stands there."""
    [script] = [
        block.text for block in blocks_of(DOCS / "recovery.md") if block.text.startswith("set -eu")
    ]
    return script


def run_script(script: str, environ: dict[str, str], *words: Path) -> str:
    """Run it as the shell does; gives what it printed."""
    done = subprocess.run(
        ["sh", "-c", script, "drill", *words], env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_t96_the_drill_from_a_lost_machine_to_a_new_one(
    ground: Ground, tmp_path: Path
) -> None:
    """T96: backup, new host, recovery kit: every secret of all eight types opens, the outbox is held."""
    for name in ("old", "new", "safe"):
        (tmp_path / name).mkdir(mode=0o700)
    old = Settings(tmp_path / "old" / "room", f"file:{tmp_path / 'old' / 'keys' / 'room.key'}")
    room = await open_room(old, make=True)
    for kind, details in SAMPLES.items():
        await room.credentials.create(kind, kind, description="one of each", details=details)
    user = ground.user()
    await connect(room, ground, user)
    post = Outgoing(room, ground, user, ground.user())
    await post.service()
    item = await post.store()
    opened = {kind: await _open(room, kind) for kind in SAMPLES if kind != "trusted_certificate"}
    await room.close()

    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("XDG_", "POSTROOM_"))
    }
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    run_script(BEFORE, {**environ, "POSTROOM_KEK": str(old.kek)}, tmp_path)
    shutil.rmtree(tmp_path / "old")
    environ |= {"HOME": str(tmp_path / "new"), "TMPDIR": str(tmp_path / "new")}
    safe = tmp_path / "safe"
    told = run_script(drill_of_the_docs(), environ, safe / "kit.txt", safe / "room.tar")
    assert "made with the room's key" in told
    assert "1 message of the outbox is held" in told
    assert "Every sealed value of every record opens." in told
    assert "The audit record is whole." in told
    assert RESTORED in told
    assert list((tmp_path / "new").glob("tmp*")) == []
    assert {one.name for one in safe.iterdir()} == {"kit.txt", "room.tar"}, "nothing is left beside"
    run_script(AFTER, environ, tmp_path)

    new = Settings(tmp_path / "new" / "room", f"file:{tmp_path / 'new' / 'keys' / 'room.key'}")
    room = await open_room(new)
    assert {kind: await _open(room, kind) for kind in opened} == opened
    assert (await room.outbox.show(item)).state == "held"
    post = Outgoing(room, ground, user, post.other)
    assert (await post.drain()).settled == 0
    assert await room.outbox.release_held(service=NAME) == 1
    assert (await post.drain()).sent == 1
    await room.close()
    post.arrived(1)


async def _open(room: Room, credential: str) -> dict[str, Any]:
    """Every field of a credential, opened."""
    store = room.desk.credentials
    found = await room.desk.db.write(
        lambda tx: store.open(tx, credential, line=None, actor="test", purpose="a drill")
    )
    return {name: _plain(value) for name, value in dict(found.fields).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, postroom.Secret):
        return value.reveal()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if hasattr(value, "__pydantic_fields__"):
        return _plain(dict(value))
    return value
