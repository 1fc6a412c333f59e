"""What a secret is bound to: rows of a database that somebody edits by hand do not open."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from postroom.audit import highest_version, verify
from postroom.audit.record import HIGHEST
from postroom.credentials import Opened
from postroom.credentials.history import History
from postroom.db import Tx
from postroom.errors import Refused, Unreadable
from tests.unit.vault.rooms import ALICE, LINE, OTHER, Room, make_room

SECRET = "hunter2hunter2"


async def test_swapped_rows_open_neither(room: Room) -> None:
    """T1: the sealed values of two records exchanged, with and without their data keys."""
    for name in ("one", "two", "three"):
        await room.login(name, f"{SECRET}-{name}")
    one, two = room.id("one"), room.id("two")
    blobs = {
        row["record"]: row["blob"]
        for row in await room.sql("SELECT record, blob FROM sealed WHERE kind = 'credential'")
    }
    for mine, other in ((one, two), (two, one)):
        await room.sql("UPDATE sealed SET blob = :blob WHERE kind = 'credential' AND record = :id",
                       blob=blobs[other], id=mine)  # fmt: skip
    for name in ("one", "two"):
        with pytest.raises(Unreadable, match=name):
            await room.open(name)
    # and with the data key that each of the blobs names
    for old, new in ((one, "x"), (two, one), ("x", two)):
        await room.sql("UPDATE sealed SET record = :new WHERE kind = 'credential' "
                       "AND record = :old", old=old, new=new)  # fmt: skip
    for name, blob in (("one", blobs[one]), ("two", blobs[two])):
        await room.sql("UPDATE sealed SET blob = :blob WHERE kind = 'credential' AND record = :id",
                       blob=blob, id=room.id(name))  # fmt: skip
        with pytest.raises(Unreadable, match=name):
            await room.open(name)
    assert await room.password("three") == f"{SECRET}-three"


async def test_swapped_fields_open_neither(room: Room) -> None:
    """T2: a value moved to another field of the same record, under the same data key."""
    await room.save("app", {"one": "first value here", "two": "second value here"}, type="generic",
                    used_lines=[LINE])  # fmt: skip
    await room.sql("UPDATE sealed SET field = field || '-' WHERE kind = 'credential'")
    await room.sql("UPDATE sealed SET field = CASE field WHEN 'one-' THEN 'two' ELSE 'one' END "
                   "WHERE kind = 'credential'")  # fmt: skip
    with pytest.raises(Unreadable):
        await room.open("app")


async def test_an_old_value_under_the_new_number_does_not_open(room: Room) -> None:
    """T3a: the blob and the data key of version 1 copied over version 3."""
    for number in (1, 2, 3):
        await room.login("acme", f"{SECRET}-{number}")
    await room.sql(
        "UPDATE sealed SET (blob, data_key) = (SELECT o.blob, o.data_key FROM sealed o "
        "WHERE o.kind = 'credential' AND o.version = 1) "
        "WHERE kind = 'credential' AND version = 3")  # fmt: skip
    with pytest.raises(Unreadable):
        await room.open("acme")


async def test_a_version_put_back_is_refused_also_after_a_restart(room: Room) -> None:
    """T3b, T3c: the audit record knows a higher version than the one that is current."""
    for number in (1, 2, 3):
        await room.login("acme", f"{SECRET}-{number}")
    await room.open("acme")
    await room.sql("UPDATE credentials SET version = 1")
    with pytest.raises(Unreadable, match="put back to version 1"):
        await room.open("acme")
    again = await room.restarted()
    with pytest.raises(Unreadable, match="put back to version 1"):
        await again.open("acme")
    with pytest.raises(Unreadable):  # nor is the old secret carried into a new version
        await again.save("acme", {"user_name": "eve"}, used_lines=[LINE])
    await again.login("acme", "typed anew here")
    assert await again.password("acme") == "typed anew here"
    assert again.db.read_now(lambda tx: again.store.get(tx, "acme").version) == 4
    await again.sql("DELETE FROM audit WHERE action = 'set'")
    assert again.db.read_now(lambda tx: verify(tx, again.mac))
    await again.db.close()


async def test_a_version_saved_by_another_process_is_known_here_at_once(room: Room) -> None:
    """T3: what this process knew of versions is forgotten as soon as another one has written."""
    await room.login("acme", f"{SECRET}-1")
    await room.open("acme")
    elsewhere = await make_room(room.db.path.parent.parent)
    await elsewhere.login("acme", f"{SECRET}-2")
    await elsewhere.db.close()
    await room.sql("UPDATE credentials SET version = 1")
    with pytest.raises(Unreadable, match="knows version 2"):
        await room.open("acme")


async def test_openings_in_one_commit_ask_the_audit_record_once(room: Room) -> None:
    """Sixty-four that open at once share the look at what is the highest version."""
    await room.login("acme", SECRET)
    asked: list[str] = []

    def counting(tx: Tx) -> Opened:
        asked.extend(key for key, _ in tx.kept)
        return room.store.open(tx, "acme", line=LINE, actor=ALICE, purpose="sign-in")

    await asyncio.gather(*(room.db.write(counting) for _ in range(64)))
    assert asked.count(HIGHEST) == 63
    await room.login("acme", f"{SECRET} two")
    known = partial(highest_version, mac=room.mac, record=room.id("acme"), name="acme")
    assert await room.db.write(known) == 2


HIDDEN = {
    "the columns": ["UPDATE audit SET version = 1 WHERE record IS NOT NULL"],
    "no columns": ["UPDATE audit SET version = NULL, record = NULL"],
    "the columns, and a row before": [
        "UPDATE audit SET version = 1 WHERE record IS NOT NULL",
        "UPDATE audit SET position = 900 WHERE action = 'create'",
        "UPDATE audit SET detail = replace(detail, '3', '1') WHERE action = 'open'",
    ],
}


@pytest.mark.parametrize("name", HIDDEN)
async def test_the_columns_beside_the_rows_lower_no_version(room: Room, name: str) -> None:
    """T3: what is believed is what a row whose code fits states, whatever is edited beside it."""
    for number in (1, 2, 3):
        await room.login("acme", f"{SECRET}-{number}")
    await room.open("acme")
    await room.sql("UPDATE credentials SET version = 1")
    for statement in HIDDEN[name]:
        await room.sql(statement)
    with pytest.raises(Unreadable, match="knows version 3"):
        await room.open("acme")


async def test_rows_that_were_hidden_for_an_opening_are_told_when_they_are_back(room: Room) -> None:
    """T3, T92: without the rows the old version opens; its own row then tells of it for good."""
    for number in (1, 2):
        await room.login("acme", f"{SECRET}-{number}")
        room = await room.restarted()
    await room.login("other", SECRET)
    rows = await room.sql("SELECT * FROM audit WHERE version = 2")
    copy = await room.sql("SELECT * FROM audit WHERE stream = :s", s=rows[0]["stream"])
    await room.sql("DELETE FROM audit WHERE stream = :s", s=rows[0]["stream"])
    await room.sql("UPDATE credentials SET version = 1")
    await room.open("acme")
    await room.sql("UPDATE credentials SET version = 2")
    for row in copy:
        values = dict(row)
        names = ", ".join(f":{key}" for key in values)
        await room.sql(f"INSERT INTO audit VALUES ({names})", **values)
    [found] = room.db.read_now(lambda tx: verify(tx, room.mac))
    assert "knows version 1 of the credential" in found
    assert "version 2 was known" in found


async def test_no_other_change_makes_a_version_that_was_put_back_the_known_one(room: Room) -> None:
    """T3: whatever is written down about the record later states the highest version it had."""
    for number in (1, 2, 3):
        await room.login("acme", f"{SECRET}-{number}")
    await room.sql("UPDATE credentials SET version = 1")
    await room.db.write(lambda tx: room.store.change(tx, "acme", actor=ALICE, description="new"))
    await room.db.write(
        lambda tx: room.store.unreadable(tx, "acme", actor=ALICE, purpose="x", why="y")
    )
    history = History(room.keyring, room.recorder, room.store)
    await room.db.write(lambda tx: history.destroy(tx, "acme", 2, actor=ALICE))
    with pytest.raises(Unreadable, match="knows version 3"):
        await room.open("acme")


async def test_a_number_is_never_used_twice(room: Room) -> None:
    """T3: the rows of version 2 removed by hand; the next one is 3, so old blobs stay shut."""
    for number in (1, 2):
        await room.login("acme", f"{SECRET}-{number}")
    await room.sql("UPDATE credentials SET version = 1")
    await room.sql("DELETE FROM credential_versions WHERE version = 2")
    await room.sql("DELETE FROM sealed WHERE version = 2")
    saved = await room.login("acme", f"{SECRET}-new")
    assert saved.credential.version == 3


async def test_a_repointed_host_opens_nothing(room: Room) -> None:
    """T4: the destinations edited, then the fields too, as somebody with the file can."""
    values = {"host": "smtp.example.com", "tls": True, "user_name": "u", "password": SECRET}
    saved = await room.save("mail", values, type="smtp")
    (line,) = saved.credential.destinations
    elsewhere = line.replace("smtp.example.com", "127.0.0.2")
    await room.sql("UPDATE credential_versions SET plain = replace(plain, 'smtp.example.com', "
                   "'127.0.0.2')")  # fmt: skip
    with pytest.raises(Refused) as caught:
        await room.open("mail", elsewhere)
    assert caught.value.code == "destination_not_bound"
    assert caught.value.facts == {"line": elsewhere, "bound": [line]}
    await room.sql("UPDATE credential_versions SET destinations = replace(destinations, "
                   "'smtp.example.com', '127.0.0.2')")  # fmt: skip
    with pytest.raises(Unreadable):
        await room.open("mail", elsewhere)


async def test_an_added_destination_opens_nothing(room: Room) -> None:
    """T4: one more line in the list is another list."""
    await room.login("acme", SECRET)
    await room.sql("UPDATE credential_versions SET destinations = :both",
                   both=f'["{OTHER}", "{LINE}"]')  # fmt: skip
    for line in (LINE, OTHER):
        with pytest.raises(Unreadable):
            await room.open("acme", line)


async def test_swapped_names_open_neither(room: Room) -> None:
    """T5: the name is bound, so no record can take the place of another."""
    for name in ("one", "two"):
        await room.login(name, f"{SECRET}-{name}")
    for old, new in (("one", "x"), ("two", "one"), ("x", "two")):
        await room.sql("UPDATE credentials SET name = :new, name_key = :new WHERE name = :old",
                       old=old, new=new)  # fmt: skip
    for name in ("one", "two"):
        with pytest.raises(Unreadable):
            await room.open(name)


async def test_another_type_in_the_row_opens_nothing(room: Room) -> None:
    """T5: the type is bound too."""
    await room.save("acme", {"value": SECRET}, type="secret", used_lines=[LINE])
    await room.sql("UPDATE credentials SET type = 'generic'")
    with pytest.raises(Unreadable):
        await room.open("acme")


async def test_one_damaged_record_hides_no_other(room: Room) -> None:
    """T17: fifty records, one of them damaged in each place where it can be."""
    for number in range(50):
        await room.login(f"c{number:02}", f"{SECRET}-{number:04}")
    damaged = {"c01": "sealed", "c02": "hint", "c03": "plain", "c04": "type"}
    ids = {name: room.id(name) for name in damaged}
    await room.sql("UPDATE sealed SET blob = CAST(substr(blob, 1, 60) || x'00' || "
                   "substr(blob, 62) AS BLOB) "
                   "WHERE kind = 'credential' AND record = :id", id=ids["c01"])  # fmt: skip
    await room.sql("UPDATE sealed SET blob = zeroblob(99) WHERE kind = 'hint' AND record = :id",
                   id=ids["c02"])  # fmt: skip
    await room.sql("UPDATE credential_versions SET plain = '[' WHERE credential = :id",
                   id=ids["c03"])  # fmt: skip
    await room.sql("UPDATE credentials SET type = 'nonsense', expires_at = 'x' WHERE id = :id",
                   id=ids["c04"])  # fmt: skip
    listed = {one.name: one for one in room.db.read_now(room.store.all)}
    assert len(listed) == 50
    assert listed["c01"].fields["password"] == "****0001"
    assert listed["c02"].fields["password"] == "**** (unreadable)"
    assert listed["c03"].state == listed["c04"].state == "unreadable"
    assert listed["c03"].fields == listed["c04"].plain == {}
    for name in ("c01", "c03", "c04"):
        with pytest.raises(Unreadable, match=name):
            await room.open(name)
    for name in sorted(set(listed) - set(damaged)):
        assert await room.password(name) == f"{SECRET}-{int(name[1:]):04}"


async def test_a_damaged_secret_can_be_entered_again(room: Room) -> None:
    await room.login("acme", SECRET)
    await room.sql("UPDATE sealed SET blob = zeroblob(150) WHERE kind = 'credential'")
    with pytest.raises(Unreadable):
        await room.save("acme", {"user_name": "somebody"}, used_lines=[LINE])
    await room.save("acme", {"password": "another secret"}, used_lines=[LINE])
    assert await room.password("acme") == "another secret"
