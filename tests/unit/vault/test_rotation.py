"""Rotation of the vault key: nothing forgotten, nothing lost, whoever comes between the steps."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room, open_room
from postroom.credentials.types import TYPES
from postroom.errors import Locked, PostroomError, RoomError
from postroom.operations.keys import rotating
from postroom.secret import Secret
from postroom.settings import Settings
from postroom.vault import rotation
from postroom.vault.terms import Terms
from tests.unit.vault.samples import SAMPLES


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "room", f"file:{tmp_path / 'keys' / 'room.key'}")


@pytest.fixture
async def room(settings: Settings) -> AsyncIterator[Room]:
    opened = await open_room(settings, make=True)
    yield opened
    await opened.close()


class Cut(Exception):
    """The end of a process, as far as the room can tell."""


def sql(room: Room, text: str, **values: Any) -> list[Any]:
    return room.desk.db.read_now(lambda tx: tx.all(text, **values))


async def add(room: Room, name: str, value: str) -> None:
    await room.credentials.create(name, "secret", details={"value": Secret(value)})


async def opened(room: Room, name: str) -> str:
    found: Any = await room.desk.db.write(
        lambda tx: room.desk.credentials.open(tx, name, line=None, actor="test", purpose="test")
    )
    return str(found.fields.value.reveal())


def terms_of(room: Room) -> Terms:
    return room.keys._start.opened().terms


def active(room: Room) -> str:
    return str(sql(room, "SELECT id FROM vault_keys WHERE state = 'active'")[0][0])


async def test_every_kind_of_sealed_thing_moves_and_no_trace_of_the_old_term_stays(
    room: Room, settings: Settings
) -> None:
    """T19, T23: every type, every kept version, hints, the audit key; then grep the file."""
    assert SAMPLES.keys() == {kind.type_name for kind in TYPES}, "a type that nobody rotates"
    for kind, details in SAMPLES.items():
        await room.credentials.create(f"a-{kind}", kind, details=details)
    for value in ("first of all", "second of all", "third of all!"):
        if value == "first of all":
            await add(room, "versions", value)
        else:
            await room.credentials.set("versions", {"value": Secret(value)})
    before = {each["name"]: await room.credentials.show(each["name"])
              for each in await room.credentials.list()}  # fmt: skip
    old = active(room)
    old_wraps = [bytes(row[0]) for row in sql(room, "SELECT wrapped FROM vault_key_wraps")]
    old_wraps += [bytes(row[0]) for row in sql(room, "SELECT wrapped FROM data_keys")]
    keys = len(sql(room, "SELECT id FROM data_keys"))

    done = await room.keys.rotate()
    assert done == rotating.Rotated(2, False, keys, [1], [], 0)
    assert active(room) != old
    assert {row[0] for row in sql(room, "SELECT DISTINCT vault_key FROM data_keys")} == {
        active(room)
    }
    # everything sealed is in these tables: a new one with blobs must be looked at here
    blobs = {
        row["name"]
        for row in sql(room, "SELECT name, sql FROM sqlite_schema WHERE type = 'table'")
        if "BLOB" in (row["sql"] or "")
    }
    assert blobs == {
        "vault_key_wraps", "data_keys", "sealed",  # keys and what they seal
        "audit", "ledger", "outbox", "outbox_content",  # codes, digests, content in the clear
        "answered", "run_messages",  # digests of whom was answered; what began a run
        "answers", "api_tokens", "invitations", "sessions",  # hashes of codes, and of requests
    }  # fmt: skip
    await room.close()

    again = await open_room(settings)
    assert again.desk.locked is None
    assert await again.audit.verify() == []
    for name, shown in before.items():
        assert await again.credentials.show(name) == shown
    assert await opened(again, "versions") == "third of all!"
    assert await again.keys.damaged() == []
    await again.close()
    files = [path for path in settings.room.iterdir() if path.name.startswith("room.db")]
    held = b"".join(path.read_bytes() for path in files)
    assert old.encode() not in held
    assert [at for at, wrap in enumerate(old_wraps) if wrap in held] == []


async def test_a_rotation_is_in_the_audit_record(room: Room) -> None:
    await add(room, "acme", "a secret of acme")
    await room.keys.rotate()
    told = [(row["action"], row["detail"]) for row in await room.audit.list(noun="keys")]
    made = {"term": 2, "vault_key": active(room)}
    assert told == [("destroy", {"term": 1, "rewrapped": 3}), ("rotate", made)]


@pytest.mark.parametrize("term", [1, 2, 99])
async def test_a_vault_key_that_was_rotated_away_and_put_back_is_refused(
    room: Room, settings: Settings, term: int
) -> None:
    """T20: whoever has a retired key and an old copy would read all that is sealed from then on."""
    await add(room, "acme", "a secret of acme")
    old = [dict(row) for row in sql(room, "SELECT * FROM vault_keys")]
    wraps = [dict(row) for row in sql(room, "SELECT * FROM vault_key_wraps")]
    await room.keys.rotate()

    def put_back(tx: Any) -> None:
        tx.execute("UPDATE vault_keys SET state = 'retired', term = 50 + term")
        tx.execute(
            "INSERT INTO vault_keys VALUES (:id, :term, 'active', :created_at)",
            id=old[0]["id"],
            created_at=old[0]["created_at"],
            term=term,
        )
        tx.execute(
            "INSERT INTO vault_key_wraps VALUES (:vault_key, :kek, :wrapped, :created_at)",
            **wraps[0],
        )

    await room.desk.db.write(put_back)
    for begun in (room, await open_room(settings)):
        with pytest.raises(Locked, match="an old vault key was put back") as caught:
            await add(begun, "fresh", "sealed after the rotation")
        assert caught.value.exit_status == 78
    locked = await open_room(settings)
    said = await locked.keys.doctor()
    assert "an old vault key was put back" in str(said["findings"])
    await locked.close()
    await begun.close()


def inserting(table: str, row: dict[str, Any]) -> str:
    return (
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"
    )


async def test_a_row_that_is_hidden_for_a_while_lets_nobody_seal_under_the_old_key(
    room: Room, settings: Settings
) -> None:
    """T20: the row of a rotation is away and comes back: no trace, and nothing was to be had by it.

    What tells is kept beside the room's key, also when a checkpoint is kept there meanwhile.
    """
    await add(room, "acme", "a secret of acme")
    [old] = [dict(row) for row in sql(room, "SELECT * FROM vault_keys")]
    [wrap] = [dict(row) for row in sql(room, "SELECT * FROM vault_key_wraps")]
    await room.keys.rotate()
    [told] = [dict(row) for row in sql(room, "SELECT * FROM audit WHERE action = 'rotate'")]
    await room.close()

    def hide(tx: Any) -> None:
        tx.execute("DELETE FROM audit WHERE action = 'rotate'")
        tx.execute("UPDATE vault_keys SET state = 'retired'")
        tx.execute(inserting("vault_keys", old), **old)
        tx.execute(inserting("vault_key_wraps", wrap), **wrap)

    def put_back(tx: Any) -> None:
        tx.execute(inserting("audit", told), **told)
        tx.execute("DELETE FROM vault_key_wraps WHERE vault_key = :id", id=old["id"])
        tx.execute("DELETE FROM vault_keys WHERE id = :id", id=old["id"])
        tx.execute("UPDATE vault_keys SET state = 'active'")

    running = await open_room(settings)
    await running.desk.db.write(hide)
    begun = await open_room(settings)
    await begun.variables.set("A", "1")
    for each in (running, begun):
        await each.audit.checkpoint()
        for sealing in (add(each, "fresh", "sealed after the rotation"), each.keys.rotate()):
            with pytest.raises(Locked, match="term 2 was made since") as caught:
                await sealing
            assert caught.value.exit_status == 78
        assert await opened(each, "acme") == "a secret of acme"
    await running.desk.db.write(put_back)
    assert await running.audit.verify() == []
    await add(running, "fresh", "sealed after the rotation")
    await running.close()
    await begun.close()


async def test_an_old_database_that_was_put_back_on_purpose_seals_when_that_is_said(
    room: Room, settings: Settings
) -> None:
    """T20, T92: it opens meanwhile; ``audit accept`` begins what is kept beside the key anew."""
    await add(room, "acme", "a secret of acme")
    await room.close()
    before = shutil.copy(settings.room / "room.db", settings.room.with_name("before.db"))
    rotated = await open_room(settings)
    await rotated.keys.rotate()
    await rotated.close()
    Path(before).replace(settings.room / "room.db")
    again = await open_room(settings)
    with pytest.raises(Locked, match="audit accept"):
        await add(again, "fresh", "a value")
    assert await opened(again, "acme") == "a secret of acme"
    await again.audit.accept("the disk broke")
    await add(again, "fresh", "a value")
    await again.keys.rotate()
    await again.close()


@pytest.mark.parametrize("steps", range(5))
async def test_an_interrupted_rotation_is_finished_by_the_next(room: Room, steps: int) -> None:
    """F5: cut between any two transactions; nothing is shut out meanwhile, no term is skipped."""
    for number in range(5):
        await add(room, f"c{number}", f"secret number {number}")
    write = room.desk.db.write
    left = [steps]

    async def cut(body: Any) -> Any:
        if not left[0]:
            raise Cut
        left[0] -= 1
        return await write(body)

    room.desk.db.write = cut  # type: ignore[method-assign]
    terms = terms_of(room)
    with pytest.raises(Cut):
        await rotating.rotate(room.desk, terms, [terms.kek], batch=3)
    room.desk.db.write = write  # type: ignore[method-assign]
    for number in range(5):
        assert await opened(room, f"c{number}") == f"secret number {number}"
    await add(room, "late", "came in between")
    done = await room.keys.rotate()
    assert (done.resumed, done.term, done.destroyed) == (steps > 0, 2, [1])
    assert await opened(room, "late") == "came in between"
    assert await room.keys.damaged() == []


# ------------------------------------------------------------------ forced interleaving


async def test_a_writer_with_a_stale_idea_of_the_active_term_is_refused(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: the same with the look outside the transaction, as a second dialect might do it; the
    insert asks again, at every stage of the rotation, and no row is left under a destroyed term."""
    await add(room, "acme", "a secret of acme")
    old = active(room)
    terms = terms_of(room)
    read = Terms.active

    async def late() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Terms, "active", lambda self, tx: old)
            with pytest.raises(RoomError) as caught:
                await add(room, "late", "written too late")
        assert (caught.value.code, caught.value.exit_status) == ("room_busy", 75)
        assert sql(room, "SELECT name FROM credentials WHERE name = 'late'") == []

    await room.desk.db.write(lambda tx: rotation.stage(tx, terms, [terms.kek]))
    await late()
    await room.keys.rotate()
    await late()
    assert Terms.active is read
    rows = sql(room, "SELECT 1 FROM data_keys WHERE vault_key = :old", old=old)
    assert rows == []
    await add(room, "late", "in time at last")


async def test_the_proof_is_inside_the_destroying_transaction(room: Room) -> None:
    """T19: a term that something is still under is not destroyed, however often one asks."""
    await add(room, "acme", "a secret of acme")
    terms = terms_of(room)
    await room.desk.db.write(lambda tx: rotation.stage(tx, terms, [terms.kek]))
    assert await room.desk.db.write(rotation.destroy_unused) == []
    assert await opened(room, "acme") == "a secret of acme"


async def test_what_changed_since_it_was_read_is_not_overwritten(room: Room) -> None:
    """T19: compare-and-swap - a destroyed data key stays destroyed, one swap is not done twice."""
    await add(room, "acme", "a secret of acme")
    await add(room, "gone", "a secret that goes")
    terms = terms_of(room)
    await room.desk.db.write(lambda tx: rotation.stage(tx, terms, [terms.kek]))
    found = room.desk.db.read_now(lambda tx: rotation.rewrap(tx, terms, "", 100))
    assert found is not None
    await room.credentials.delete("gone")
    first = await room.desk.db.write(lambda tx: rotation.swap(tx, found.swaps))
    assert first == len(found.swaps) - 1
    assert await room.desk.db.write(lambda tx: rotation.swap(tx, found.swaps)) == 0
    assert await opened(room, "acme") == "a secret of acme"


async def test_a_damaged_data_key_stops_nothing_but_the_destruction(room: Room) -> None:
    """T17, T19: it might be mended from a backup, so its term stays; the others have moved."""
    for name in ("acme", "hurt", "well"):
        await add(room, name, f"a secret of {name}")
    hurt = (await room.credentials.get("hurt")).id
    await room.desk.db.write(
        lambda tx: tx.execute(
            "UPDATE data_keys SET wrapped = zeroblob(length(wrapped)) WHERE id = "
            "(SELECT data_key FROM sealed WHERE kind = 'credential' AND record = :hurt)",
            hurt=hurt,
        )
    )
    done = await room.keys.rotate()
    assert (done.term, done.destroyed, done.kept, done.damaged) == (2, [], [1], 1)
    assert await opened(room, "acme") == "a secret of acme"
    assert [one["name"] for one in await room.keys.damaged()] == ["hurt"]
    await room.credentials.delete("hurt")
    assert (await room.keys.rotate()).destroyed == [1]


async def test_rotations_at_the_same_time_end_in_one_new_term(
    room: Room, settings: Settings
) -> None:
    """F5: two processes rotate, a third writes; there is one term in the end, and all opens."""
    for number in range(30):
        await add(room, f"c{number}", f"secret number {number}")
    second, third = await open_room(settings), await open_room(settings)
    terms = terms_of(second)

    async def write() -> None:
        for number in range(10):
            await add(third, f"d{number}", f"secret number {number}")

    await asyncio.gather(
        room.keys.rotate(), rotating.rotate(second.desk, terms, [terms.kek], batch=2), write()
    )
    await room.keys.rotate()
    assert room.desk.db.read_now(rotation.retired) == []
    for number in range(30):
        assert await opened(third, f"c{number}") == f"secret number {number}"
    assert await room.keys.damaged() == []
    await second.close()
    await third.close()


async def test_a_locked_room_cannot_be_rotated(room: Room, settings: Settings) -> None:
    """T13: with another key nothing is staged."""
    await add(room, "acme", "a secret of acme")
    await room.close()
    key = Path(str(settings.kek).removeprefix("file:"))
    key.rename(key.with_suffix(".away"))
    locked = await open_room(settings)
    with pytest.raises(PostroomError) as caught:
        await locked.keys.rotate()
    assert caught.value.exit_status == 78
    assert len(sql(locked, "SELECT id FROM vault_keys")) == 1
    await locked.close()
