"""The store: names, versions, masks, locked rooms, and what is written down."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from postroom.audit import rows, verify
from postroom.errors import (
    InvalidValue,
    NotThere,
    Refused,
    UnknownField,
    WrongUse,
)
from postroom.secret import Secret, open_secrets
from tests.unit.vault.rooms import ALICE, LINE, OTHER, Room

SECRET = "hunter2hunter2"


async def create(room: Room, name: str, type: str = "password", **more: Any):
    return await room.db.write(
        lambda tx: room.store.create(tx, actor=ALICE, name=name, type=type, **more)
    )


# ---------------------------------------------------------------------------- names


async def test_names_are_unique_without_regard_to_case(room: Room) -> None:
    """T29: making a record never changes one."""
    await room.login("Acme", SECRET)
    for name in ("Acme", "acme", "ACME"):
        with pytest.raises(Refused) as caught:
            await create(room, name, "secret")
        assert caught.value.code == "name_taken"
    assert await room.password("aCmE") == SECRET
    assert room.db.read_now(lambda tx: room.store.get(tx, "ACME")).name == "Acme"


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 65, "ä", "a/b", "a\n"])
async def test_names_that_are_none(room: Room, name: str) -> None:
    with pytest.raises(InvalidValue, match="name"):
        await create(room, name)


async def test_a_type_that_is_none_names_the_nearest(room: Room) -> None:
    with pytest.raises(InvalidValue, match="did you mean password"):
        await create(room, "a", "pasword")


async def test_a_record_that_is_not_there(room: Room) -> None:
    with pytest.raises(NotThere):
        await room.open("nobody")


# ---------------------------------------------------------------------------- complete or not


async def test_two_steps_and_what_is_missing_between_them(room: Room) -> None:
    made = await create(room, "acme", description=" Orders ", expires_at="2031-01-31")
    assert (made.state, made.missing, made.version) == ("incomplete", ["user_name", "password"], 0)
    assert made.description == "Orders"
    assert made.expires_at == dt.date(2031, 1, 31)
    half = await room.save("acme", {"user_name": "u"})
    assert half.credential.missing == ["password"]
    with pytest.raises(Refused) as caught:
        await room.open("acme", None)
    assert caught.value.code == "incomplete"
    assert caught.value.facts["missing"] == ["password"]
    done = await room.save("acme", {"password": SECRET})
    assert done.credential.state == "complete"


async def test_a_date_that_is_none(room: Room) -> None:
    with pytest.raises(InvalidValue, match="expires_at"):
        await create(room, "acme", expires_at="tomorrow")


async def test_an_expiry_that_has_passed_is_a_warning_and_no_refusal(room: Room) -> None:
    await create(room, "acme", expires_at="2020-01-31", rotate_after=dt.date(2020, 1, 1))
    await room.login("acme", SECRET)
    opened = await room.open("acme")
    assert len(opened.credential.warnings) == 2
    assert "should have been replaced" in opened.credential.warnings[0]
    assert "expired" in opened.credential.warnings[1]
    assert opened.credential.warnings[1].endswith(" days ago, on 2020-01-31.")


# ---------------------------------------------------------------------------- saving


async def test_omitted_and_empty_keep_and_null_clears(room: Room) -> None:
    await room.login("acme", SECRET)
    await room.save("acme", {"user_name": "v", "password": ""}, used_lines=[LINE])
    assert await room.password("acme") == SECRET
    await room.save("acme", {"user_name": "w"}, used_lines=[LINE])
    assert await room.password("acme") == SECRET
    cleared = await room.save("acme", {"password": None}, used_lines=[LINE])
    assert cleared.credential.missing == ["password"]
    await room.login("acme", SECRET)
    assert (await room.save("acme", {}, clear=["password"])).credential.missing == ["password"]


async def test_no_change_makes_no_version(room: Room) -> None:
    await room.login("acme", SECRET)
    same = await room.login("acme", SECRET)
    assert same.credential.version == 1
    assert (await room.save("acme", {}, used_lines=[LINE])).credential.version == 1
    assert (await room.login("acme", SECRET + "x")).credential.version == 2


@pytest.mark.parametrize("mask", ["****", "****ter2", "********wxyz", "******", " ****ter2 "])
async def test_a_mask_never_becomes_the_secret(room: Room, mask: str) -> None:
    """T30: read it, send it back: refused, and the stored value is what it was."""
    await room.login("acme", SECRET)
    with pytest.raises(WrongUse) as caught:
        await room.save("acme", {"password": mask}, used_lines=[LINE])
    assert caught.value.code == "masked_value_submitted"
    assert await room.password("acme") == SECRET


async def test_every_mask_that_is_shown_is_refused(room: Room, pair: tuple[Secret, str]) -> None:
    """T30: fingerprints too, and in a map by label."""
    values = {
        "client_id": "c", "tenant_id": "example.com", "certificate": pair[1],
        "private_key": pair[0], "client_secrets": {"2026a": {"value": "~value~of~a~secret~"}},
    }  # fmt: skip
    saved = await room.save("app", values, type="msgraph")
    fields = saved.credential.fields
    assert fields["private_key"].startswith("**** (fingerprint ")
    assert fields["client_secrets"] == {"2026a": {"value": "****ret~"}}
    assert fields["certificate"].startswith("CN=test.example.com, valid until ")
    for field in ("private_key", "client_secrets"):
        with pytest.raises(WrongUse) as caught:
            await room.save("app", {field: fields[field]})
        assert caught.value.code == "masked_value_submitted"
    await room.sql("UPDATE sealed SET blob = zeroblob(99) WHERE kind = 'hint'")
    shown = room.db.read_now(lambda tx: room.store.get(tx, "app")).fields["private_key"]
    with pytest.raises(WrongUse):
        await room.save("app", {"private_key": shown})


@pytest.mark.parametrize(("typed", "kept", "note"), [
    (" hunter2hunter2\t", SECRET, "white space around"),
    ("\u00a0hunter2hunter2\u00a0", SECRET, "white space around"),
    ("\u200bhunter2hunter2\ufeff", SECRET, "white space around"),
    ("hunter2hunter2\n", SECRET, "line break at its end"),
    ("hunter2 hunter2", "hunter2 hunter2", ""),
])  # fmt: skip
async def test_pasted_secrets_lose_what_surrounds_them_and_this_is_said(
    room: Room, typed: str, kept: str, note: str
) -> None:
    saved = await room.login("acme", typed)
    assert await room.password("acme") == kept
    assert [note in one for one in saved.notes] == ([True] if note else [])


async def test_a_field_that_is_none_names_the_nearest(room: Room) -> None:
    with pytest.raises(UnknownField) as caught:
        await room.save("acme", {"pasword": SECRET})
    assert caught.value.hint == "Did you mean password?"
    assert SECRET not in str(caught.value)


async def test_nothing_of_a_refused_save_stays(room: Room) -> None:
    await room.login("acme", SECRET)
    before = await room.sql("SELECT count(*) FROM sealed")
    with pytest.raises(InvalidValue):
        await room.save("m", {"host": "smtp.example.com", "port": 99999}, type="smtp")
    assert (await room.sql("SELECT count(*) FROM sealed"))[0][0] == before[0][0]
    assert not room.db.read_now(lambda tx: room.store.exists(tx, "m"))
    # the same save, put right, in the same process
    await room.save("m", {"host": "smtp.example.com", "port": "587"}, type="smtp")


async def test_a_save_that_was_undone_can_be_made_again(room: Room) -> None:
    """A dry run undoes everything; then the same happens for good."""

    class Undo(Exception):
        pass

    await room.login("acme", SECRET)

    def dry(tx) -> None:
        values = {"password": "another secret"}
        room.store.set_details(tx, "acme", values, actor=ALICE, used_lines=[LINE])
        raise Undo

    for _ in range(2):
        with pytest.raises(Undo):
            await room.db.write(dry)
    await room.save("acme", {"password": "another secret"}, used_lines=[LINE])
    assert await room.password("acme") == "another secret"
    assert room.db.read_now(lambda tx: verify(tx, room.mac)) == []


# ---------------------------------------------------------------------------- versions


async def test_the_last_five_versions_are_kept(room: Room) -> None:
    for number in range(8):
        await room.login("acme", f"{SECRET}-{number}")
    kept = await room.sql("SELECT version FROM sealed WHERE kind = 'credential' ORDER BY version")
    assert [row[0] for row in kept] == [4, 5, 6, 7, 8]
    hints = await room.sql("SELECT version FROM sealed WHERE kind = 'hint' ORDER BY version")
    assert [row[0] for row in hints] == [4, 5, 6, 7, 8]
    keys = await room.sql("SELECT DISTINCT data_key FROM sealed WHERE kind = 'credential'")
    assert len(keys) == 5
    # five, the key of the hints and the audit key's
    assert len(await room.sql("SELECT id FROM data_keys")) == 7


async def test_another_type_destroys_the_old_fields(room: Room) -> None:
    """T29: no secret is carried over, of no version."""
    for number in range(3):
        await room.login("acme", f"{SECRET}-{number}")
    change = room.store.change
    changed = await room.db.write(lambda tx: change(tx, "acme", actor=ALICE, type="secret"))
    assert (changed.type, changed.state, changed.fields) == ("secret", "incomplete", {})
    assert await room.sql("SELECT 1 FROM sealed WHERE kind = 'credential'") == []
    back = await room.db.write(lambda tx: change(tx, "acme", actor=ALICE, type="password"))
    assert back.fields == {}
    await room.login("acme", "a new secret")
    assert await room.password("acme") == "a new secret"


async def test_description_and_dates_change_beside_the_secret(room: Room) -> None:
    await room.login("acme", SECRET)
    changed = await room.db.write(
        lambda tx: room.store.change(
            tx, "acme", actor=ALICE, description="New", expires_at="2031-01-31"
        )
    )
    assert (changed.description, str(changed.expires_at)) == ("New", "2031-01-31")
    assert changed.version == 1
    cleared = await room.db.write(
        lambda tx: room.store.change(tx, "acme", actor=ALICE, expires_at=None)
    )
    assert (cleared.description, cleared.expires_at) == ("New", None)
    assert await room.password("acme") == SECRET


async def test_a_deleted_record_leaves_no_key_and_a_new_one_starts_anew(room: Room) -> None:
    """T29: the same name later is another record."""
    await room.login("acme", SECRET)
    await room.login("acme", SECRET + "2")
    await room.db.write(lambda tx: room.store.delete(tx, "acme", actor=ALICE))
    assert await room.sql("SELECT 1 FROM sealed WHERE kind <> 'audit-key'") == []
    assert len(await room.sql("SELECT 1 FROM data_keys")) == 2
    with pytest.raises(NotThere):
        await room.open("acme")
    made = await create(room, "acme")
    assert (made.version, made.fields) == (0, {})
    await room.login("acme", "another secret")
    assert await room.password("acme") == "another secret"


# ---------------------------------------------------------------------------- written down


async def test_every_change_and_every_opening_is_written_down_without_a_secret(
    room: Room,
) -> None:
    await room.login("acme", SECRET)
    await room.open("acme")
    await room.login("acme", SECRET + "-canary")
    await room.db.write(lambda tx: room.store.bind(tx, "acme", [OTHER], actor=ALICE, rebind=True))
    await room.db.write(lambda tx: room.store.delete(tx, "acme", actor=ALICE))
    found = room.db.read_now(lambda tx: rows(tx, noun="credential", name="acme"))
    assert [row["action"] for row in reversed(found)] == [
        "create", "set", "open", "set", "bind", "delete"]  # fmt: skip
    opened = found[3]["detail"]
    assert (opened["line"], opened["purpose"], opened["version"]) == (LINE, "sign-in", 1)
    assert found[2]["detail"]["changed"] == ["password"]
    assert found[1]["detail"]["added"] == [OTHER]
    assert SECRET not in str(found)
    assert room.db.read_now(lambda tx: verify(tx, room.mac)) == []


async def test_a_refused_opening_opens_nothing_and_a_list_opens_no_secret(room: Room) -> None:
    """T98: hints are sealed apart."""
    for number in range(20):
        await room.login(f"c{number}", f"a-secret-nobody-sees-{number:04}")
    import gc

    gc.collect()
    before = len(open_secrets())
    listed = room.db.read_now(room.store.all)
    assert [one.fields["password"] for one in listed[:2]] == ["****0000", "****0001"]
    with pytest.raises(Refused):
        await room.open("c1", OTHER)
    assert len(open_secrets()) <= before


async def test_plain_columns_hold_no_secret(room: Room) -> None:
    """T31 in small: nothing outside ``sealed`` and ``data_keys`` has it, in any file of the room."""
    await room.save("app", {"key": "canary-canary-0001", "url": {"value": "https://x", "plain": True}},
                    type="generic", used_lines=[LINE])  # fmt: skip
    await room.open("app")
    await room.db.close()
    for path in room.db.path.parent.parent.rglob("*"):
        if path.is_file():
            assert b"canary" not in path.read_bytes(), path
    assert b"https://x" in room.db.path.read_bytes()
