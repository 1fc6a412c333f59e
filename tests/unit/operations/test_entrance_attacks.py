"""The entrance under attack: what changes while somebody comes in, old invitations, floods, port scans."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.access import ROLES, Person, throttle
from postroom.access.passwords import hash_password
from postroom.app import Room
from postroom.operations.people import People
from postroom.secret import Secret
from postroom.settings import Oidc
from tests.unit.operations.test_people import GOOD, OTHER, actions, refusal, spend

THIRD = "small lamp above bridge"


async def ann(room: Room) -> Any:
    await room.users.add("ann", "admin", password=Secret(GOOD))
    return await room.people.sign_in("ann", Secret(GOOD))


@pytest.mark.parametrize("what", ["password", "sessions"])
async def test_a_password_is_not_changed_over_what_happened_meanwhile(
    room: Room, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """T43: whoever was thrown out while the hash was made does not come back with it."""
    came = await ann(room)

    async def slowly(password: Secret) -> str:
        monkeypatch.undo()
        if what == "password":
            await room.users.set("ann", password=Secret(OTHER))
        else:
            await room.users.end_sessions("ann")
        return await hash_password(password)

    monkeypatch.setattr("postroom.operations.people.hash_password", slowly)
    with refusal("not_signed_in"):
        await room.people.change_password(came.cookie, Secret(GOOD), Secret(THIRD))
    with refusal("not_signed_in"):
        await room.people.sign_in("ann", Secret(THIRD))


@pytest.mark.parametrize("by", ["an administrator", "themselves", "disabling"])
async def test_an_invitation_is_void_once_it_is_not_needed(room: Room, by: str) -> None:
    """T43: a code that lies in some mailbox is no second password."""
    came = await ann(room)
    code = (await room.users.invite("ann"))["code"]
    assert await room.people.invited(code) == "ann"
    if by == "an administrator":
        await room.users.set("ann", password=Secret(OTHER))
    elif by == "themselves":
        await room.people.change_password(came.cookie, Secret(GOOD), Secret(OTHER))
    else:
        await room.users.add("bob", "admin", password=Secret(GOOD))
        await room.users.set("ann", disabled=True)
        await room.users.set("ann", disabled=False)
    with refusal("not_signed_in"):
        await room.people.accept(code, password=Secret(THIRD))


async def test_nobody_sends_us_to_the_provider_without_end(room: Room) -> None:
    """T44: each sign-in that is begun asks the provider; one address has so many of them."""
    door = People(room.desk, Oidc(issuer="https://127.0.0.1:1", client_id="x"))
    await spend(room, throttle.PEER, "192.0.2.1", but=0)
    with refusal("too_many"):
        await door.oidc_begin("https://room/sign-in/provider", peer="192.0.2.1")
    with pytest.raises(
        Exception, match=r"127\.0\.0\.1"
    ) as other:  # another address gets as far as that
        await door.oidc_begin("https://room/sign-in/provider", peer="192.0.2.2")
    assert getattr(other.value, "code", "") != "too_many"
    assert ("nobody", "too-many", "user", "") in await actions(room)


async def test_the_button_that_tests_is_no_port_scanner(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T59: ten tests a minute of whoever is no administrator, whatever is tested; then they wait."""
    monkeypatch.setattr("postroom.net.veil.HOLD_SECONDS", 0.05)
    await room.users.add("eve", "editor")
    await room.users.add("root", "admin")
    who = {row["name"]: row["id"] for row in await room.desk.db.read(_users)}
    eve = room.acting(Person("user:eve", "editor", ROLES["editor"], who["eve"]))
    root = room.acting(Person("user:root", "admin", ROLES["admin"], who["root"]))
    await room.connections.add(
        {"name": "acme", "outgoing": {"protocol": "smtp", "host": "127.0.0.1", "port": "1"}}
    )
    for port in range(10):
        await eve.connections.set("acme", {"outgoing": {"port": str(port + 1)}})
        assert not (await eve.connections.test("acme")).ok
    for attempt in (
        lambda: eve.connections.test("acme"),
        lambda: eve.connections.trust("acme", "outgoing", "00"),
        lambda: eve.accounts.attempt({"address": "a@example.com"}),
        lambda: eve.accounts.test({"address": "a@example.com"}),
        lambda: eve.accounts.connect({"address": "a@example.com"}),
        lambda: eve.credentials.test("none"),
        lambda: eve.notify.test(),
    ):
        with refusal("too_many") as refused:
            await attempt()
        assert 0 < refused.value.facts["retry_after"] <= 60
    for _ in range(12):
        await root.connections.test("acme")


def _users(tx: Any) -> list[Any]:
    found: list[Any] = tx.all("SELECT name, id FROM users")
    return found
