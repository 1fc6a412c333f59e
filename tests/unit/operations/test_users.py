"""Users, tokens and grants, as the people who see to them have them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from postroom.access import ROLES, VERBS, Person
from postroom.app import Room
from postroom.errors import InvalidValue, NotThere, Refused
from postroom.secret import Secret

GOOD = "correct horse battery"


def refusal(code: str) -> Any:
    return pytest.raises(Refused, check=lambda error: error.code == code)


async def person(room: Room, name: str, role: str) -> Person:
    """A user who can sign in, as they ask."""
    kept = "$argon2id$v=19$m=65536,t=2,p=1$" + "A" * 22 + "$" + "A" * 43

    def body(tx: Any) -> str:
        tx.execute("UPDATE users SET password = :kept WHERE name = :name", kept=kept, name=name)
        return str(tx.value("SELECT id FROM users WHERE name = :name", name=name))

    await room.users.add(name, role)
    return Person(f"user:{name}", role, ROLES[role], await room.desk.db.write(body))


async def test_the_last_administrator_stays(room: Room) -> None:
    """Somebody can always let people in; an invitation that nobody took up does not count."""
    ann = room.acting(await person(room, "ann", "admin"))
    await ann.users.add("bob", "admin")
    for change in ({"role": "editor"}, {"disabled": True}):
        with pytest.raises(Refused, match="last administrator"):
            await ann.users.set("ann", **change)
    with pytest.raises(Refused, match="last administrator"):
        await ann.users.delete("ann")
    await person(room, "cat", "admin")
    await ann.users.set("ann", role="editor")
    assert (await room.users.show("ann"))["role"] == "editor"
    with pytest.raises(Refused, match="last administrator"):
        await room.users.delete("cat")


async def test_a_user_is_changed_and_that_is_recorded_without_the_password(room: Room) -> None:
    made = await room.users.add("bob", "viewer", address="bob@example.com", password=Secret(GOOD))
    assert (made["sign_in"], made["disabled"], made["signed_in_at"]) == (["password"], False, None)
    changed = await room.users.set("BOB", role="operator", address="")
    assert (changed["role"], changed["address"]) == ("operator", "")
    assert (await room.users.show("bob"))["rights"] == sorted(ROLES["operator"])
    for wrong in ({"role": "root"}, {"address": "bob"}, {"issuer": "https://id.example.com"}):
        with pytest.raises(InvalidValue):
            await room.users.set("bob", **wrong)  # type: ignore[arg-type]
    with refusal("name_taken"):
        await room.users.add("Bob", "viewer")
    with pytest.raises(NotThere, match="bop"):
        await room.users.show("bop")
    await room.users.delete("bob")
    assert await room.users.list() == []
    record = json.dumps(await room.audit.list(noun="user"))
    assert "argon2id" not in record
    assert [row["action"] for row in await room.audit.list(noun="user")] == ["delete", "set", "add"]


async def test_nobody_makes_somebody_who_may_more_than_they(room: Room) -> None:
    """A token that sees to people, and may nothing else, is no way to become an administrator."""
    ann = await person(room, "ann", "admin")
    part = room.acting(
        Person("token:x of ann", "admin", frozenset({"view", "users"}), ann.user, "t")
    )
    await part.users.add("bob", "viewer")
    for attempt in (
        part.users.add("eve", "admin"),
        part.users.set("bob", role="editor"),
        part.users.set("ann", password=Secret("quiet river under stone")),
        part.users.invite("ann"),
        part.users.delete("ann"),
        part.tokens.add("x", verbs=["edit"]),
    ):
        with refusal("not_permitted"):
            await attempt


@pytest.mark.parametrize("role", [role for role in ROLES if role != "admin"])
async def test_only_administrators_see_to_people(room: Room, role: str) -> None:
    acting = room.acting(await person(room, "bob", role))
    for attempt in (
        lambda: acting.users.list(),
        lambda: acting.users.add("eve", "viewer"),
        lambda: acting.users.set("bob", role="admin"),
        lambda: acting.grants.give("login", "user:bob"),
        lambda: acting.grants.open("login"),
    ):
        with refusal("not_permitted"):
            await attempt()
    with pytest.raises(AttributeError):
        await acting.people.first_address()


async def test_a_token_is_its_user_with_fewer_rights_and_shown_once(room: Room) -> None:
    """T45: what it may is never more than its user may, whatever becomes of them."""
    bob = room.acting(await person(room, "bob", "editor"))
    made = await bob.tokens.add("deploy", verbs=["send", "view"], expires_in="1h")
    token = made["token"]
    assert token.startswith("pr_")
    who = await room.people.by_token(token)
    assert who.actor == "token:deploy of bob"
    assert who.verbs == {"view", "send"}
    listed = await bob.tokens.list()
    assert [(one["name"], one["verbs"], one["state"]) for one in listed] == [
        ("deploy", ["view", "send"], "good")
    ]
    assert listed[0]["used_at"] is not None
    assert token not in json.dumps([listed, await room.audit.list(noun="token")])
    await room.users.set("bob", role="viewer")
    assert (await room.people.by_token(token)).verbs == {"view"}
    await room.users.set("bob", disabled=True)
    with refusal("not_signed_in"):
        await room.people.by_token(token)
    await room.users.set("bob", disabled=False)
    await bob.tokens.revoke(made["id"])
    with refusal("not_signed_in"):
        await room.people.by_token(token)
    refused = await room.audit.list(noun="token", action="refuse")
    assert [row["detail"]["why"] for row in refused] == ["revoked", "disabled"]


@pytest.mark.bares("file", why="what is kept there is tried as a token")
async def test_what_is_kept_of_a_token_is_no_token(room: Room) -> None:
    """T45: whoever has the file of the room cannot come in by what stands there."""
    bob = room.acting(await person(room, "bob", "editor"))
    token = (await bob.tokens.add("deploy"))["token"]
    [row] = await room.desk.db.read(lambda tx: tx.all("SELECT * FROM api_tokens"))
    kept = [row[name] for name in row.keys()]  # noqa: SIM118  # of a row
    for part in (token, token.removeprefix("pr_"), token[:20], token[-20:]):
        assert part not in str(kept)
        assert part.encode() not in b"".join(one for one in kept if isinstance(one, bytes))
    for one in kept:
        shown = one.hex() if isinstance(one, bytes) else str(one)
        for guess in (shown, f"pr_{shown}"):
            with refusal("not_signed_in"):
                await room.people.by_token(guess, peer=f"192.0.2.{len(shown)}")
    on_disk = b"".join(path.read_bytes() for path in room.settings.room.glob("room.db*"))
    assert b"deploy" in on_disk
    assert token[3:].encode() not in on_disk


async def test_what_is_no_token_is_refused_and_soon_too_often(room: Room) -> None:
    """T45: expired, truncated, another's end, and nothing at all; T44: not for ever."""
    bob = room.acting(await person(room, "bob", "editor"))
    one, two = [(await bob.tokens.add(name))["token"] for name in ("one", "two")]
    for wrong in ("", one[:-1], one[:-8] + two[-8:], one + "x", one.upper(), "pr_", "\ud800"):
        with refusal("not_signed_in"):
            await room.people.by_token(wrong, peer="192.0.2.1")
    await room.desk.db.write(lambda tx: tx.execute("UPDATE api_tokens SET expires_at = 1"))
    with refusal("not_signed_in"):
        await room.people.by_token(one, peer="192.0.2.1")
    codes = []
    for _ in range(40):
        with pytest.raises(Refused) as refused:
            await room.people.by_token("pr_x", peer="192.0.2.1")
        codes.append(refused.value.code)
    assert codes[0] == "not_signed_in"
    assert codes[-1] == "too_many"
    assert len(await room.audit.list(action="too-many", limit=50)) == 1


async def test_nobody_makes_a_token_that_may_more(room: Room) -> None:
    bob = room.acting(await person(room, "bob", "operator"))
    for wrong, code in (
        ({"verbs": ["edit"]}, "not_permitted"),
        ({"verbs": ["view", "users"]}, "not_permitted"),
        ({"verbs": ["everything"]}, "invalid_value"),
        ({"verbs": []}, "invalid_value"),
        ({"expires_in": "5y"}, "invalid_value"),
        ({"expires_in": "400d"}, "invalid_value"),
        ({"expires_in": "0s"}, "invalid_value"),
        ({"user": "ann"}, "not_permitted"),  # and there is no ann yet
    ):
        with pytest.raises((Refused, InvalidValue, NotThere)) as refused:
            await bob.tokens.add("x", **wrong)
        assert refused.value.code == code, wrong
    await person(room, "ann", "viewer")
    with refusal("not_permitted"):
        await bob.tokens.add("x", user="ann")
    with refusal("not_permitted"):
        await bob.tokens.list("ann")
    with pytest.raises(InvalidValue, match="whose token"):
        await room.tokens.add("x")
    assert (await room.tokens.add("x", user="ann"))["verbs"] == ["view"]


async def test_a_token_makes_none_that_lasts_longer(room: Room) -> None:
    """Revoking one that was stolen is not undone by another that it made."""
    ann = room.acting(await person(room, "ann", "admin"))
    bob = room.acting(await person(room, "bob", "editor"))
    theirs = await room.people.by_token((await bob.tokens.add("one"))["token"])
    with refusal("not_permitted"):
        await room.acting(theirs).tokens.add("two")
    one = await ann.tokens.add("one", expires_in="1h")
    two = await room.acting(await room.people.by_token(one["token"])).tokens.add("two")
    assert two["expires_at"] == one["expires_at"]


async def test_ones_own_tokens_are_ones_own(room: Room) -> None:
    """T48: another's token is not there, neither to see nor to revoke."""
    ann = room.acting(await person(room, "ann", "admin"))
    bob = room.acting(await person(room, "bob", "viewer"))
    hers = await ann.tokens.add("hers")
    with pytest.raises(NotThere) as other:
        await bob.tokens.revoke(hers["id"])
    with pytest.raises(NotThere) as none:
        await bob.tokens.revoke("0" * 16)
    assert str(other.value).replace(hers["id"], "0" * 16) == str(none.value)
    assert await bob.tokens.list() == []
    his = await bob.tokens.add("his")
    assert {one["name"] for one in await ann.tokens.list()} == {"hers", "his"}
    assert [one["name"] for one in await ann.tokens.list("bob")] == ["his"]
    assert (await ann.tokens.revoke(his["id"]))["state"] == "revoked"


async def test_grants_are_given_and_taken_by_name(room: Room) -> None:
    await person(room, "bob", "operator")
    await room.credentials.create(
        "login", "password", details={"user_name": "x", "password": Secret(GOOD)}
    )
    assert await room.grants.restrict("login")
    assert not await room.grants.restrict("login")
    assert await room.grants.give("Login", "user:BOB")
    assert not await room.grants.give("login", "user:bob")
    assert [
        (one["credential"], one["grantee"], one["restricted"]) for one in await room.grants.list()
    ] == [("login", "user:bob", True)]
    for wrong, error in (
        ("bob", InvalidValue),
        ("user:", InvalidValue),
        ("role:admin", InvalidValue),
    ):
        with pytest.raises(error):
            await room.grants.give("login", wrong)
    for missing in ("user:eve", "service:none", "job:none"):
        with pytest.raises(NotThere):
            await room.grants.give("login", missing)
    assert await room.grants.take("login", "user:bob")
    assert not await room.grants.take("login", "user:bob")
    await room.grants.give("login", "user:bob")
    assert await room.grants.open("login")
    await room.users.delete("bob")
    assert await room.grants.list("login") == []
    rows = await room.audit.list(noun="grant", limit=20)
    assert [row["action"] for row in reversed(rows)] == ["restrict", "give", "take", "give", "open"]
    await person(room, "bob", "operator")
    await room.grants.give("login", "user:bob")
    await room.credentials.delete("login")
    assert await room.grants.list() == []


def test_every_right_is_a_right_of_somebody() -> None:
    assert ROLES["admin"] == set(VERBS)
