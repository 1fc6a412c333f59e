"""Facts that a page shows beside what was asked for: when it ends, where it is from, whose mail it is."""

from __future__ import annotations

import datetime as dt
import functools
import re
from typing import TYPE_CHECKING, Any

import pytest

from postroom.net.mx import mail_exchangers
from postroom.secret import Secret
from tests.api.reader import Reader
from tests.journeys.oauth import connect as connect_app
from tests.journeys.oauth import register
from tests.unit.net.test_mx import server

if TYPE_CHECKING:
    from postroom.app import Room
    from tests.ground import Ground


async def app(room: Room, name: str, days: int) -> None:
    """The record of an app, whose one secret ends in so many days."""
    ends = (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).date().isoformat()
    details: dict[str, Any] = {
        "authority": "https://login.example.com", "client_id": "c",
        "token_endpoint": "https://login.example.com/t",
        "client_secrets": {"one": {"value": Secret(f"the secret of {name}"), "valid_until": ends}},
    }  # fmt: skip
    await room.credentials.create(name, "oauth_client", details=details)


def row(text: str, name: str, end: str) -> str:
    """What is read between a name and the next one."""
    return text.partition(f" {name} ")[2].partition(f" {end} ")[0]


async def test_the_list_says_how_many_days_each_is_good(reader: Reader, room: Room) -> None:
    for name, days in (("a-late", 200), ("b-soon", 20), ("c-over", -3)):
        await app(room, name, days)
    await room.credentials.create("d-none", "generic", details={"key": Secret("a quiet secret")})
    await reader.go("/credentials")
    late, soon, over = (
        row(reader.text, *pair)
        for pair in (("a-late", "b-soon"), ("b-soon", "c-over"), ("c-over", "d-none"))
    )
    # what is seen at a glance, and the sentence below it
    assert re.search(r"\b(200|199) days .*\bin \1 days\b", late), late
    assert re.search(r"\b(20|19) days .*\bin \1 days\b", soon), soon
    assert " ended " in over, over
    assert "no date" in reader.text.partition(" d-none ")[2]
    await reader.go("/credentials?only=ending")
    assert "b-soon" in reader.text
    assert "a-late" not in reader.text


async def test_the_overview_says_what_ends_soon_and_leads_there(reader: Reader, room: Room) -> None:
    await app(room, "late", 200)
    await app(room, "soon", 5)
    await reader.go("/")
    assert "Ends: soon: " in reader.text, reader.text
    said = reader.text.partition("Ends: soon: ")[2][:160]
    assert "in 5 days" in said or "in 4 days" in said, said
    assert "Ends: late" not in reader.text
    (way,) = [each for each in reader.offered if each.to == "/credentials/soon"]
    assert way.label.startswith("Give it a new one")


async def test_what_is_inherited_says_from_where(reader: Reader, room: Room) -> None:
    """From the parent, and from the parent's own where it has it from there; what is its own says nothing."""
    side = {"protocol": "imap", "host": "imap.example.com", "security": "starttls"}
    await room.connections.add({"name": "grandmother", "incoming": side})
    await room.connections.add(
        {"name": "mother", "extends": "grandmother", "incoming": {"host": "127.0.0.1"}}
    )
    await room.connections.add({"name": "child", "extends": "mother"})
    await reader.go("/connections/child")
    server, _, rest = reader.text.partition("Server imap://")[2].partition(" Security ")
    assert server.endswith("inherited from mother"), server
    assert rest.startswith("STARTTLS, required inherited from grandmother"), rest[:80]
    await reader.go("/connections/mother")
    server, _, rest = reader.text.partition("Server imap://")[2].partition(" Security ")
    assert "inherited" not in server, server
    assert rest.startswith("STARTTLS, required inherited from grandmother"), rest[:80]
    await reader.go("/connections/child/edit")
    leads = {each.href for each in reader.offered if each.label in ("mother", "grandmother")}
    assert {"/connections/mother", "/connections/grandmother"} <= leads
    assert "from mother" in reader.text
    assert "from grandmother" in reader.text


async def test_whose_mail_it_is_is_found_by_who_takes_it(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a real name server: the domain says nothing of a provider."""
    googles = b"\x05aspmx\x01l\x06google\x03com\x00"
    monkeypatch.setattr("tests.unit.net.test_mx.ONE", googles)
    async with server() as names:
        asks = functools.partial(mail_exchangers, servers=[names])
        monkeypatch.setattr("postroom.operations.accounts.mail_exchangers", asks)
        await reader.go("/connect?address=ann@example.com")
    assert "Gmail and Google Workspace, by where its mail goes." in reader.text, reader.text
    assert "Client id" in reader.text  # its way to sign in is offered first


async def test_a_code_stands_beside_the_address_where_it_is_typed(
    reader: Reader, room: Room, ground: Ground
) -> None:
    """A link to the provider's page, as the provider says it."""
    client = ground.oauth.client()
    await register(room, ground, client)
    await connect_app(room, ground, ground.user(), "oauth_device_flow")
    await reader.go("/connections/acme")
    await reader.press("Sign in now")
    await reader.press("Begin")
    while "on any device" not in reader.text:
        assert reader.path.startswith("/works/"), reader.text
        await reader.go(reader.path)
    (link,) = [each for each in reader.offered if each.href.startswith(ground.oauth.issuer[:20])]
    assert link.label == link.href
    assert f"Open {link.href} on any device" in reader.text
    await reader.press("Stop it")
