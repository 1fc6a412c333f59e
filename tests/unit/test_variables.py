"""Variables of the room and the environment variables that macros may read."""

from __future__ import annotations

import pytest

from postroom.db import Database
from postroom.errors import InvalidValue, NotThere, Refused
from postroom.variables import store


async def test_set_get_and_delete(db: Database) -> None:
    assert await db.write(lambda tx: store.set_variable(tx, "MAIL_HOST", "imap.example.com"))
    assert not await db.write(lambda tx: store.set_variable(tx, "MAIL_HOST", "imap.example.com"))
    assert await db.write(lambda tx: store.set_variable(tx, "MAIL_HOST", "other.example.com"))
    assert await db.read(store.all_variables) == {"MAIL_HOST": "other.example.com"}
    with pytest.raises(NotThere, match="Did you mean MAIL_HOST"):
        await db.read(lambda tx: store.get_variable(tx, "MAIL_HOTS"))
    await db.write(lambda tx: store.delete_variable(tx, "MAIL_HOST"))
    with pytest.raises(NotThere):
        await db.write(lambda tx: store.delete_variable(tx, "MAIL_HOST"))


async def test_two_names_do_not_differ_in_case_alone(db: Database) -> None:
    await db.write(lambda tx: store.set_variable(tx, "Host", "a"))
    with pytest.raises(Refused) as caught:
        await db.write(lambda tx: store.set_variable(tx, "HOST", "b"))
    assert caught.value.code == "name_taken"


@pytest.mark.parametrize(
    ("name", "value"),
    [("a b", "x"), ("", "x"), ("a}", "x"), ("a", "x\r\ny"), ("a", "\0"), ("a", "x" * 1025)],
)
async def test_refused(db: Database, name: str, value: str) -> None:
    with pytest.raises(InvalidValue):
        await db.write(lambda tx: store.set_variable(tx, name, value))


async def test_the_environment_is_closed_until_it_is_opened(db: Database) -> None:
    assert await db.read(store.allowed_environment) == frozenset()
    assert await db.write(lambda tx: store.allow_environment(tx, "MAIL_HOST"))
    assert not await db.write(lambda tx: store.allow_environment(tx, "MAIL_HOST"))
    assert await db.read(store.allowed_environment) == {"MAIL_HOST"}
    assert await db.write(lambda tx: store.forbid_environment(tx, "MAIL_HOST"))
    assert not await db.write(lambda tx: store.forbid_environment(tx, "MAIL_HOST"))


@pytest.mark.parametrize("name", ["", "1A", "A B", "A=B", "A-B"])
async def test_no_name_of_an_environment_variable(db: Database, name: str) -> None:
    with pytest.raises(InvalidValue):
        await db.write(lambda tx: store.allow_environment(tx, name))
