"""What stands beside a secret in the clear is bound to it: edited in the database, nothing opens."""

from __future__ import annotations

import json
from typing import Any

import pytest

from postroom.audit import verify
from postroom.clock import timestamp
from postroom.credentials.checking import check_record
from postroom.credentials.history import History
from postroom.errors import Refused, Unreadable
from postroom.secret import Secret
from postroom.vault import Binding
from tests.unit.vault.rooms import ALICE, BOB, LINE, OTHER, Room

SECRET = "hunter2hunter2"
EDITS = {
    "user_name": "plain = replace(plain, 'acme@', 'boss@')",
    "a blank": "plain = plain || ' '",
    "typed_by": f"typed_by = '{BOB}'",
    "typed_at": "typed_at = typed_at + 0.001",
    "secrets": """secrets = '["password"] '""",
}


@pytest.mark.parametrize("edit", EDITS)
async def test_an_edited_field_beside_a_secret_opens_nothing(room: Room, edit: str) -> None:
    """T2, T4: who writes the database makes a password sign in for nobody else, nor renews its day."""
    await room.login("acme", SECRET)
    await room.login("other", SECRET)
    await room.sql(
        "UPDATE credential_versions SET " + EDITS[edit] + " WHERE credential = :id",
        id=room.id("acme"),
    )
    with pytest.raises(Unreadable, match="fields beside it were edited"):
        await room.open("acme")
    with pytest.raises(Unreadable):
        await room.save("acme", {"user_name": "x"}, used_lines=[LINE])
    with pytest.raises(Unreadable):
        await room.db.write(
            lambda tx: room.store.bind(tx, "acme", (LINE, OTHER), actor=ALICE, rebind=True)
        )
    found = await room.db.write(lambda tx: check_record(tx, room.keyring, "acme"))
    assert [one.version for one in found] == [1]
    assert await room.password("other") == SECRET
    await room.save("acme", {"user_name": "acme", "password": SECRET}, used_lines=[LINE])
    assert await room.password("acme") == SECRET  # entered again, it is well


async def test_an_edited_old_version_is_not_restored(room: Room) -> None:
    """T3: nor does a kept version bring an edited user name back."""
    await room.login("acme", SECRET)
    await room.save("acme", {"user_name": "later"}, used_lines=[LINE])
    history = History(room.keyring, room.recorder, room.store)

    def restore(tx: Any) -> int:
        return history.restore(tx, "acme", 1, actor=ALICE, used_lines=[LINE])

    await room.sql("UPDATE credential_versions SET plain = replace(plain, 'acme@', 'boss@') "
                   "WHERE version = 1")  # fmt: skip
    with pytest.raises(Unreadable):
        await room.db.write(restore)
    await room.sql("UPDATE credential_versions SET plain = replace(plain, 'boss@', 'acme@')")
    assert await room.db.write(restore) == 3
    await room.db.write(lambda tx: room.store.presented(tx, "acme", 3, timestamp()))
    with pytest.raises(Refused) as caught:  # a place that version did not know is asked about
        await room.db.write(
            lambda tx: history.restore(tx, "acme", 2, actor=ALICE, used_lines=[LINE, OTHER])
        )
    assert caught.value.code == "secret_reentry_required"


async def test_that_it_was_accepted_is_remembered_beside_the_row(room: Room) -> None:
    """T26: the row of a secret that was accepted made fresh again; the audit record knows better."""
    await room.login("acme", SECRET)
    await room.db.write(lambda tx: room.store.presented(tx, "acme", 1, timestamp()))
    await room.sql("UPDATE credential_versions SET presented_at = NULL")

    def bind(tx: Any) -> bool:
        return room.store.bind(tx, "acme", (LINE, OTHER), actor=ALICE, rebind=False)

    with pytest.raises(Refused) as caught:
        await room.db.write(bind)
    assert caught.value.code == "secret_reentry_required"
    await room.save("acme", {"user_name": "x"}, used_lines=[LINE])  # a new version of the same
    await room.sql("UPDATE credential_versions SET presented_at = NULL")
    with pytest.raises(Refused):
        await room.db.write(bind)
    await room.sql("DELETE FROM audit WHERE action = 'accepted'")
    assert room.db.read_now(lambda tx: verify(tx, room.mac))  # and a record without it shows
    await room.login("acme", "typed anew today")
    assert await room.db.write(bind)


async def test_it_is_written_down_once_that_a_secret_was_accepted(room: Room) -> None:
    await room.login("acme", SECRET)
    for _ in range(3):
        await room.db.write(lambda tx: room.store.presented(tx, "acme", 1, timestamp() + 999))
    rows = await room.sql("SELECT detail FROM audit WHERE action = 'accepted'")
    assert [json.loads(row["detail"])["accepted"] for row in rows] == [1]


async def sealed_as_before(room: Room, name: str) -> None:
    """The value of a record as the first rooms have it: bound to all but what lies beside it."""
    key = room.db.read_now(lambda tx: room.store.get(tx, name))
    bound = Binding("credential", key.id, name, "password", 1, (LINE,))

    def body(tx: Any) -> None:
        room.keyring.destroy(tx, "credential", key.id, 1)
        data_key = room.keyring.new_data_key(tx)
        room.keyring.seal(tx, data_key, bound, {"password": Secret(SECRET)})

    await room.db.write(body)


async def test_a_room_of_before_opens_and_is_bound_by_its_next_save(room: Room) -> None:
    """T8: old values open under their own rule; a value of today is not turned into one of them."""
    await room.login("acme", SECRET)
    await sealed_as_before(room, "acme")
    assert await room.password("acme") == SECRET
    assert not await room.db.write(lambda tx: check_record(tx, room.keyring, "acme"))
    # what nothing vouches for is no reason to be kind
    await room.sql("UPDATE credential_versions SET typed_at = :now", now=timestamp())
    with pytest.raises(Refused, match="is not bound to"):
        await room.db.write(
            lambda tx: room.store.bind(tx, "acme", (LINE, OTHER), actor=ALICE, rebind=False)
        )
    await room.save("acme", {"user_name": "acme@example.com "}, used_lines=[LINE, OTHER],
                    rebind=True)  # fmt: skip
    assert await room.password("acme") == SECRET
    await room.sql("UPDATE credential_versions SET plain = replace(plain, 'acme@', 'boss@') "
                   "WHERE version = 2")  # fmt: skip
    with pytest.raises(Unreadable):
        await room.open("acme")
