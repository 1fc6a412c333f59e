"""One person, one app, two services of Microsoft's: Graph and the wires of Exchange by one sign-in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import pytest

from postroom.app import Room
from postroom.errors import PostroomError
from tests.ground import Client, Ground, User
from tests.journeys.oauth import CA, approving, browsing, expire

GRAPH: Final = [f"https://graph.microsoft.com/{one}" for one in ("Mail.ReadWrite", "Mail.Send")]


async def both(room: Room, ground: Ground, user: User, flow: str, **settings: Any) -> Client:
    """Connections ``graph`` and ``wires``: of the same app and the same account."""
    client = ground.oauth.client(public=True, redirect_uris=["http://localhost"], **settings)
    await room.credentials.create(
        CA, "trusted_certificate", details={"certificate": ground.pki.ca.read_text()}
    )
    details = {
        "authority": ground.oauth.issuer, "client_id": client.id,
        "client_secrets": {"one": {"value": client.secret}},
    }  # fmt: skip
    await room.credentials.create("app", "msgraph", details=details)
    auth = {"type": flow, "credential": "app"}
    await room.connections.add({
        "name": "graph", "type": "microsoft365", "mailbox": user.address, "trust": CA,
        "auth": {**auth, "scopes": ["offline_access", *GRAPH]}, "graph_url": ground.oauth_graph.url,
    })  # fmt: skip
    side = {
        "host": "localhost", "security": "tls", "trust": CA, "user": user.address, "auth": auth,
    }  # fmt: skip
    await room.connections.add({
        "name": "wires",
        "incoming": {"protocol": "imap", "port": str(ground.oauth_dovecot.imaps), **side},
        "outgoing": {"protocol": "smtp", "port": str(ground.oauth_postfix.tokens_tls), **side},
    })  # fmt: skip
    return client


async def opens(room: Room) -> None:
    """Every side of both connections opens."""
    for name in ("graph", "wires"):
        store = await room.desk.opener.open_store(name)
        await store.close()
        transport = await room.desk.opener.open_transport(name)
        await transport.close()


def by_device(ground: Ground, user: User, _visits: list[asyncio.Task[Any]]) -> Any:
    """A person who types a code on another device."""
    return approving(ground.oauth, user.address)


def by_browser(ground: Ground, user: User, visits: list[asyncio.Task[Any]]) -> Any:
    """A person with a browser."""
    return browsing(ground.oauth, user.address, visits)


@pytest.mark.parametrize(
    ("flow", "person"),
    [("oauth_device_flow", by_device), ("oauth_authorization_code", by_browser)],
)
@pytest.mark.parametrize("name", ["graph", "wires"])
async def test_one_sign_in_serves_graph_and_the_wires(
    room: Room, ground: Ground, fresh_user: User, flow: str, person: Callable[..., Any], name: str
) -> None:
    """Entra gives a token for one service at a time (AADSTS28000); nobody signs in twice for that."""
    client = await both(room, ground, fresh_user, flow, rotation="strict")
    visits: list[asyncio.Task[Any]] = []
    [done] = await room.signins.sign_in(name, person(ground, fresh_user, visits))
    assert (done.connections, done.extra) == (("graph", "wires"), ())
    assert {one.split("/")[-1] for one in done.granted} > {"Mail.Send", "SMTP.Send"}
    # the person is asked for what the connection needs that they sign in for: they may have to consent
    first = next(one for one in done.granted if "/" in one)
    assert first.startswith("https://graph." if name == "graph" else "https://outlook.")
    await opens(room)
    await expire(room)
    await opens(room)
    [row] = await room.signins.list()
    assert row["state"] == "signed in"
    # a second one is tried at a mail server first: with the token that is for that server
    [again] = await room.signins.sign_in(name, person(ground, fresh_user, visits))
    assert again.identity == fresh_user.address
    await asyncio.gather(*visits)
    asked = ground.oauth.counts(client)
    assert asked.get("device", 0) + asked.get("token:authorization_code", 0) == 2, asked


async def test_a_right_of_the_second_service_that_is_missing_stores_nothing(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T90: each service is asked what it granted."""
    await both(room, ground, fresh_user, "oauth_device_flow", withhold=["SMTP.Send"])
    with pytest.raises(PostroomError, match=r"was not granted .*/SMTP\.Send;"):
        await room.signins.sign_in("graph", approving(ground.oauth, fresh_user.address))
    assert await room.signins.list() == []


async def test_a_second_service_that_nobody_consented_to_stores_nothing(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = await both(room, ground, fresh_user, "oauth_device_flow")
    ground.oauth.fault(
        "token:refresh_token", client=client, aadsts=65001, error="invalid_grant",
        text="The user or administrator has not consented to use the application.",
    )  # fmt: skip
    with pytest.raises(PostroomError, match="consent") as caught:
        await room.signins.sign_in("graph", approving(ground.oauth, fresh_user.address))
    assert caught.value.code == "sign_in_failed"
    assert "https://outlook.office.com/SMTP.Send is wanted too" in caught.value.hint
    assert await room.signins.list() == []
