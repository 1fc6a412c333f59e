"""The keyring: made once, opened by its keys alone, and bound to its room."""

from __future__ import annotations

import dataclasses
import functools
import shutil
from pathlib import Path

import pytest

from postroom.credentials import CredentialStore
from postroom.errors import Locked, Refused, Unreadable
from postroom.secret import Secret
from postroom.vault import Binding, Keyring
from postroom.vault.kek import kek_of
from tests.unit.vault.rooms import Room, make_room

BOUND = Binding("credential", "r1", "acme", "password", 1, ("imap://a:993",))


async def test_what_is_sealed_opens_with_the_same_binding_only(room: Room) -> None:
    def seal(tx) -> None:
        key = room.keyring.new_data_key(tx)
        room.keyring.seal(tx, key, BOUND, {"password": Secret("hunter2")})

    await room.db.write(seal)
    assert (
        room.db.read_now(lambda tx: room.keyring.open(tx, BOUND, "password")).reveal() == "hunter2"
    )
    for other in (
        Binding("credential", "r1", "acme2", "password", 1, ("imap://a:993",)),
        Binding("credential", "r1", "acme", "smtp", 1, ("imap://a:993",)),
        Binding("credential", "r1", "acme", "password", 1, ("imap://b:993",)),
        Binding("credential", "r1", "acme", "password", 1, ()),
        Binding("credential", "r1", "acme", "password", 1, ("imap://a:993", "imap://b:993")),
    ):
        with pytest.raises(Unreadable):
            room.db.read_now(functools.partial(room.keyring.open, binding=other, field="password"))
    with pytest.raises(Unreadable, match="is not there"):
        room.db.read_now(lambda tx: room.keyring.open(tx, BOUND, "passwords"))


async def test_a_keyring_is_made_once(room: Room) -> None:
    with pytest.raises(Refused, match="nothing was made"):
        await room.db.write(
            lambda tx: Keyring.create(tx, room.start.room_id, kek_of(Secret(bytes(32))))
        )
    assert len(await room.sql("SELECT id FROM vault_keys")) == 1


async def test_a_row_of_another_room_does_not_open(tmp_path: Path) -> None:
    """T6: the same record of another room, with its data key, under the same KEK even."""
    first = await make_room(tmp_path / "one")
    await first.login("acme", "hunter2hunter2")
    # the second room is made from the same key file, and gets the records of the first
    (tmp_path / "two" / "keys").mkdir(parents=True)
    shutil.copy2(first.key_file, tmp_path / "two" / "keys" / "room.key")
    second = await make_room(tmp_path / "two")
    await second.login("acme", "another secret")
    for table in ("sealed", "data_keys"):
        rows = [dict(row) for row in await first.sql(f"SELECT * FROM {table}")]
        if table == "data_keys":
            vault_key = (await second.sql("SELECT id FROM vault_keys"))[0][0]
            for row in rows:
                await second.sql(
                    "INSERT INTO data_keys VALUES (:id, :vault_key, :wrapped, :created_at)",
                    **(row | {"vault_key": vault_key}),
                )
    blob = (await first.sql("SELECT blob, data_key FROM sealed WHERE kind = 'credential'"))[0]
    await second.sql(
        "UPDATE sealed SET blob = :blob, data_key = :key WHERE kind = 'credential'",
        blob=blob["blob"],
        key=blob["data_key"],
    )
    with pytest.raises(Unreadable):
        await second.open("acme")
    await first.db.close()
    await second.db.close()


async def test_every_flipped_byte_of_the_wrapped_keys_is_noticed(room: Room) -> None:
    """T7: in the database, through the ways that people use; also by who has opened it before."""
    await room.login("acme", "hunter2hunter2")
    await room.open("acme")
    await room.db.write(
        lambda tx: tx.execute(
            "UPDATE data_keys SET wrapped = zeroblob(length(wrapped)) WHERE id = "
            "(SELECT data_key FROM sealed WHERE kind = 'credential')"
        )
    )
    with pytest.raises(Unreadable):
        await room.open("acme")
    await room.sql("UPDATE vault_key_wraps SET wrapped = zeroblob(length(wrapped))")
    kek = kek_of(Secret(_key_of(room)))
    with pytest.raises(Locked, match="damaged"):
        room.db.read_now(lambda tx: Keyring.unlock(tx, room.start.room_id, kek))


async def test_a_second_kek_opens_the_same_keyring(room: Room) -> None:
    await room.login("acme", "hunter2hunter2")
    second = kek_of(Secret(b"2" * 32))
    await room.db.write(lambda tx: room.keyring.terms.add_kek(tx, second))
    keyring = room.db.read_now(lambda tx: Keyring.unlock(tx, room.start.room_id, second))
    store = CredentialStore(keyring, room.recorder)
    assert await dataclasses.replace(room, store=store).password("acme") == "hunter2hunter2"


async def test_a_data_key_that_the_hints_are_pointed_at_is_destroyed_all_the_same(
    room: Room,
) -> None:
    """T23: who can write to the database keeps no destroyed version's key that way."""
    await room.login("acme", "correct horse 1")
    [row] = await room.sql("SELECT data_key FROM sealed WHERE kind = 'credential'")
    await room.login("acme", "correct horse 2")
    await room.sql("UPDATE room SET value = :id WHERE key = 'hints_key'", id=row["data_key"])
    await room.db.write(lambda tx: room.keyring.destroy(tx, "credential", room.id("acme"), 1))
    assert await room.sql("SELECT 1 FROM data_keys WHERE id = :id", id=row["data_key"]) == []


async def test_destroying_a_version_drops_its_data_key_and_no_other(room: Room) -> None:
    await room.login("acme", "hunter2hunter2")
    await room.login("other", "hunter3hunter3")
    before = {row[0] for row in await room.sql("SELECT id FROM data_keys")}
    used = (
        await room.sql(
            "SELECT data_key FROM sealed WHERE kind = 'credential' AND record = :id",
            id=room.id("acme"),
        )
    )[0][0]
    await room.db.write(lambda tx: room.keyring.destroy(tx, "credential", room.id("acme"), 1))
    after = {row[0] for row in await room.sql("SELECT id FROM data_keys")}
    assert before - after == {used}
    assert await room.password("other") == "hunter3hunter3"


async def test_hints_survive_the_last_hint(room: Room) -> None:
    """The key of the hints stays when the only record with hints goes."""
    await room.login("acme", "hunter2hunter2")
    await room.db.write(lambda tx: room.store.delete(tx, "acme", actor="local:alice"))
    again = await room.restarted()
    saved = await again.login("acme", "hunter2hunter4")
    assert saved.credential.fields["password"] == "****ter4"
    await again.db.close()


def _key_of(room: Room) -> bytes:
    import base64

    return base64.b64decode(room.key_file.read_text().splitlines()[-1])
