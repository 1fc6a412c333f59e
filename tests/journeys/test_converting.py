"""From passwords to OAuth: who should change, and a connection changed in place once it works."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from postroom.app import Room, open_room
from postroom.clock import timestamp
from postroom.db import Tx
from postroom.errors import PostroomError
from postroom.oauth.code import Pending
from postroom.operations.census import census
from postroom.operations.converting import Conversion
from postroom.operations.personal import How, Way
from postroom.secret import Secret
from tests.ground import Client, Ground, User
from tests.ground.oauth import OUTLOOK
from tests.journeys.conftest import Cli
from tests.journeys.oauth import CA, approving, browsing, register

CLIENT, DEVICE = "oauth_client_credentials", "oauth_device_flow"
CODE = "oauth_authorization_code"
APP_SCOPES = (f"{OUTLOOK}/.default",)
SCOPES = ("offline_access", f"{OUTLOOK}/IMAP.AccessAsUser.All", f"{OUTLOOK}/SMTP.Send")
TODAY = dt.date(2026, 11, 29)


@pytest.fixture
async def with_password(room: Room, ground: Ground, fresh_user: User) -> Room:
    """``acme`` with a password on the servers that take tokens too, used by a source and a service."""
    await room.credentials.create(
        CA, "trusted_certificate", details={"certificate": ground.pki.ca.read_text()}
    )
    await room.credentials.create(
        "login", "password",
        details={"user_name": fresh_user.address, "password": Secret(fresh_user.password)},
    )  # fmt: skip
    common = {"host": "localhost", "security": "tls", "trust": CA,
              "auth": {"type": "secret", "credential": "login"}}  # fmt: skip
    await room.connections.add({
        "name": "acme",
        "incoming": {"protocol": "imap", "port": str(ground.oauth_dovecot.imaps), **common},
        "outgoing": {"protocol": "smtp", "port": str(ground.oauth_postfix.tokens_tls), **common},
    })  # fmt: skip
    await room.services.add({"name": "orders-out", "connection": "acme"})
    return room


async def _app(room: Room, ground: Ground, client: Client, **fields: Any) -> None:
    await room.credentials.delete(CA, force=True)
    await register(room, ground, client, **fields)


async def _accepted(room: Room, name: str) -> None:
    """A server has taken it once: from then on it goes elsewhere only if somebody agrees."""

    def body(tx: Tx) -> None:
        version = room.desk.credentials.get(tx, name).version
        room.desk.credentials.presented(tx, name, version, timestamp())

    await room.desk.db.write(body)


async def test_an_application_takes_over_from_a_password(
    with_password: Room, ground: Ground, fresh_user: User
) -> None:
    room = with_password
    client = ground.oauth.client(mailbox=fresh_user.address)
    await _app(room, ground, client)
    await _accepted(room, "app")
    asked = Conversion(CLIENT, "app", scopes=APP_SCOPES)
    with pytest.raises(PostroomError) as caught:
        await room.converting.convert("acme", asked)
    assert caught.value.code == "secret_reentry_required"  # its tokens go to new places
    assert ground.oauth.counts(client) == {}
    done = await room.converting.convert("acme", asked, rebind=True)
    assert (len(done.tried), done.unused) == (2, ("login",))
    shown = await room.connections.show("acme")
    for place in ("incoming", "outgoing"):
        assert shown["effective"][place]["auth"]["type"] == CLIENT
        assert shown["effective"][place]["user"] == fresh_user.address
    assert [use["name"] for use in shown["usage"]] == ["orders-out"]
    store = await room.desk.opener.open_store("acme")
    await store.close()


async def test_a_person_takes_over_from_a_password(
    with_password: Room, ground: Ground, fresh_user: User
) -> None:
    room = with_password
    client = ground.oauth.client(public=True)
    await _app(room, ground, client, client_secrets=None)
    way = Way(approving(ground.oauth, fresh_user.address))
    done = await room.converting.convert(
        "acme", Conversion(DEVICE, "app", scopes=SCOPES), way, rebind=True
    )
    assert done.identity == fresh_user.address
    [row] = await room.signins.list()
    assert (row["state"], row["connections"]) == ("signed in", ["acme"])
    transport = await room.desk.opener.open_transport("acme")
    await transport.close()


@pytest.mark.parametrize("how", [None, "link"])
async def test_a_person_takes_over_in_a_browser_or_by_an_address(
    with_password: Room, ground: Ground, fresh_user: User, how: How | None
) -> None:
    """The authorization code: on this machine, or pasted by somebody who was sent the address."""
    room, visits, shown = with_password, list[asyncio.Task[Any]](), list[str]()
    client = ground.oauth.client(public=True, redirect_uris=["http://localhost"])
    await _app(room, ground, client, client_secrets=None)

    async def paste(pending: Pending) -> str:
        assert shown == [pending.url]
        return await asyncio.to_thread(ground.oauth.visit, pending.url, fresh_user.address)

    here = browsing(ground.oauth, fresh_user.address, visits)
    way = Way(lambda step: shown.append(step.url), how, paste) if how else Way(here)  # type: ignore[union-attr]  # of a code
    done = await room.converting.convert(
        "acme", Conversion(CODE, "app", scopes=SCOPES), way, rebind=True
    )
    await asyncio.gather(*visits)
    assert (done.auth, done.identity, done.unused) == (CODE, fresh_user.address, ("login",))
    store = await room.desk.opener.open_store("acme")
    await store.close()
    asked = ground.oauth.counts(client)
    assert (asked["token:authorization_code"], asked.get("device", 0)) == (1, 0)


@pytest.mark.parametrize("why", ["secret", "mail server", "somebody else", "denied"])
async def test_what_does_not_work_changes_nothing(
    with_password: Room, ground: Ground, fresh_user: User, why: str
) -> None:
    room = with_password
    person = why in ("somebody else", "denied")
    client = ground.oauth.client(
        mailbox=ground.user().address if why == "mail server" else fresh_user.address,
        public=person,
    )
    wrong: dict[str, Any] = {"client_secrets": {"one": {"value": "a-wrong-secret-0123456789"}}}
    public: dict[str, Any] = {"client_secrets": None}
    await _app(room, ground, client, **(wrong if why == "secret" else public if person else {}))
    before = await room.connections.show("acme")
    asked = Conversion(DEVICE, "app", scopes=SCOPES) if person else Conversion(
        CLIENT, "app", scopes=APP_SCOPES
    )  # fmt: skip
    who = "nobody" if why == "denied" else ground.user().address
    with pytest.raises(PostroomError) as caught:
        await room.converting.convert("acme", asked, Way(approving(ground.oauth, who)), rebind=True)
    assert "The connection was not changed." in caught.value.hint
    after = await room.connections.show("acme")
    for each in (before, after):
        for key in ("used_at", "used_by", "used_for"):
            each.pop(key, None)
    assert after == before
    assert await room.signins.list() == []
    store = await room.desk.opener.open_store("acme")  # the password works as before
    await store.close()


async def test_a_connection_that_changed_meanwhile_is_left_alone(
    with_password: Room, ground: Ground, fresh_user: User
) -> None:
    room = with_password
    client = ground.oauth.client(public=True)
    await _app(room, ground, client, client_secrets=None)
    tasks: list[asyncio.Task[Any]] = []

    def tell(step: Any) -> None:
        async def change() -> None:
            await room.connections.set("acme", {"description": "by somebody else"})
            await asyncio.to_thread(ground.oauth.approve, step.user_code, fresh_user.address)

        tasks.append(asyncio.create_task(change()))

    with pytest.raises(PostroomError, match="changed by somebody else"):
        await room.converting.convert(
            "acme", Conversion(DEVICE, "app", scopes=SCOPES), Way(tell), rebind=True
        )
    await asyncio.gather(*tasks)
    shown = await room.connections.show("acme")
    assert (shown["description"], shown["incoming"]["auth"]["type"]) == (
        "by somebody else",
        "secret",
    )


async def test_nothing_to_convert_says_where_to_look(with_password: Room) -> None:
    room = with_password
    await room.connections.add({"name": "child", "extends": "acme"})
    with pytest.raises(PostroomError) as caught:
        await room.converting.convert("child", Conversion(CLIENT, "app"))
    assert "postroom connection convert acme" in caught.value.hint
    with pytest.raises(PostroomError, match="There is no credential"):
        await room.converting.convert("acme", Conversion(CLIENT, "app"))


# ------------------------------------------------------------------ the census

HOSTS = {
    "google": ("imap.gmail.com", "smtp.gmail.com"),
    "exchange": ("outlook.office365.com", "smtp.office365.com"),
    "elsewhere": ("imap.example.com", "smtp.example.com"),
}


@pytest.fixture
async def counted(room: Room) -> Room:
    await room.credentials.create(
        "login", "password", details={"user_name": "ann@example.com", "password": Secret("x" * 12)}
    )
    auth = {"type": "secret", "credential": "login"}
    for name, (imap, smtp) in HOSTS.items():
        await room.connections.add({
            "name": name,
            "incoming": {"protocol": "imap", "host": imap, "auth": auth},
            "outgoing": {"protocol": "smtp", "host": smtp, "port": "587", "auth": auth},
        }, rebind=True)  # fmt: skip
    return room


async def test_the_census_finds_whoever_must_change(counted: Room) -> None:
    room = counted
    found = await census(room.desk, today=TODAY)
    told = {(one.name, one.side): (one.days > 0, one.due) for one in found.passwords}
    assert told == {
        ("google", "incoming"): (False, True),
        ("google", "outgoing"): (False, True),
        ("exchange", "incoming"): (False, True),
        ("exchange", "outgoing"): (True, True),
    }
    soon = await census(room.desk, within=30, today=TODAY)
    assert [one.side for one in soon.passwords if not one.due] == ["outgoing"]


async def test_an_app_password_that_works_is_not_due(counted: Room) -> None:
    room = counted
    await _accepted(room, "login")
    found = await census(room.desk, within=0, today=TODAY)
    assert {one.name for one in found.passwords if one.due} == {"exchange"}


def test_the_census_by_command_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = cli("connection", "census")
    assert (nothing.status, "Nothing signs in" in nothing.out) == (0, True)
    monkeypatch.setenv("A_PASSWORD", "canary-of-the-census")
    cli("credential", "add", "login", "--type", "password", "--user-name", "ann@gmail.com",
        "--password-from-env", "A_PASSWORD")  # fmt: skip
    cli("connection", "add", "ann", "--preset", "gmail", "--user", "ann@gmail.com",
        "--credential", "login")  # fmt: skip
    found = cli("connection", "census")
    assert found.status == 1
    assert "ann" in found.out
    advised = "postroom connection convert ann --auth oauth_authorization_code --credential APP"
    assert advised in found.err
    listed = cli("connection", "census", "--json").json
    assert (listed["due"], {one["provider"] for one in listed["items"]}) == (True, {"Google"})
    assert {one["convert"] for one in listed["items"]} == {advised}


def test_a_conversion_by_command_line(cli: Cli, ground: Ground, fresh_user: User) -> None:
    client = ground.oauth.client(mailbox=fresh_user.address)

    async def body() -> None:
        room = await open_room(cli.settings)
        try:
            await register(room, ground, client)
            await _accepted(room, "app")
            await room.credentials.create(
                "login", "password",
                details={"user_name": fresh_user.address, "password": Secret(fresh_user.password)},
            )  # fmt: skip
            await room.connections.add({"name": "acme", "incoming": {
                "protocol": "imap", "host": "localhost", "security": "tls", "trust": CA,
                "port": str(ground.oauth_dovecot.imaps),
                "auth": {"type": "secret", "credential": "login"},
            }})  # fmt: skip
        finally:
            await room.close()

    asyncio.run(body())
    words = ("connection", "convert", "acme", "--auth", CLIENT, "--credential", "app",
             "--scopes", APP_SCOPES[0])  # fmt: skip
    refused = cli(*words)
    assert refused.status == 1
    assert "--rebind" in refused.err
    done = cli(*words, "--rebind")
    assert done.status == 0, done.err
    assert "acme signs in by OAuth now: incoming localhost:" in done.out
    assert "postroom credential delete login" in done.err
    again = cli(*words, "--rebind")
    assert (again.status, "no side that signs in with a password" in again.err) == (1, True)
