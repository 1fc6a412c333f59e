"""Tokens are revoked where the record says, as at Google: there is no discovery that would say it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postroom.app import Room
from postroom.errors import PostroomError
from tests.ground import Client, Ground, User
from tests.ground.proxy import FaultProxy
from tests.journeys.oauth import approving, browsing, connect, register


def named(ground: Ground, revoked_at: str = "") -> dict[str, str]:
    """The endpoints as a record names them."""
    found = {
        "token_endpoint": "token",
        "device_authorization_endpoint": "devicecode",
        "authorization_endpoint": "authorize",
    }
    urls = {name: ground.oauth.endpoint(path) for name, path in found.items()}
    return urls | {"revocation_endpoint": revoked_at or ground.oauth.endpoint("revoke")}


async def made(room: Room, ground: Ground, user: User, revoked_at: str = "") -> Client:
    """A client with a secret that the server wants to see, and a connection of a person's."""
    client = ground.oauth.client(redirect_uris=["http://localhost"])
    await register(room, ground, client, **named(ground, revoked_at))
    await connect(room, ground, user, "oauth_authorization_code")
    return client


async def signs_in(room: Room, ground: Ground, user: User) -> None:
    visits: list[asyncio.Task[Any]] = []
    try:
        await room.signins.sign_in("acme", browsing(ground.oauth, user.address, visits))
    finally:
        await asyncio.gather(*visits)


async def test_signing_out_revokes_where_the_record_says(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = await made(room, ground, fresh_user)
    await signs_in(room, ground, fresh_user)
    assert await room.signins.sign_out("acme")
    assert ground.oauth.counts(client)["revoke"] >= 1


async def test_another_origin_that_the_record_names_is_a_destination_of_its_own(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T86: nothing but what a person wrote down, and that is part of what seals the tokens."""
    async with FaultProxy(ground.oauth.port) as proxy:
        elsewhere = ground.oauth.endpoint("revoke").replace(
            f":{ground.oauth.port}/", f":{proxy.port}/"
        )
        client = await made(room, ground, fresh_user, elsewhere)
        line = f"https://localhost:{proxy.port};"
        record = await room.credentials.show("app")
        assert [one for one in record["destinations"] if one.startswith(line)]
        other = ground.user()
        with pytest.raises(PostroomError, match="was expected"):
            await signs_in(room, ground, other)  # whose tokens are given back
        given_back = ground.oauth.counts(client)["revoke"]
        assert given_back >= 1
        await signs_in(room, ground, fresh_user)
        assert await room.signins.sign_out("acme")
        assert ground.oauth.counts(client)["revoke"] > given_back
        opened = [one for one in (await room.audit.list()) if line in str(one)]
        assert {(one["noun"], one["action"]) for one in opened} >= {
            ("credential", "open"), ("sign-in", "open"),
        }  # fmt: skip


async def test_a_new_place_for_revoking_is_asked_about(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T26 for tokens: whoever signed in agreed to other places."""
    client = ground.oauth.client(public=True)
    await register(room, ground, client, client_secrets=None, **named(ground))
    await connect(room, ground, fresh_user, "oauth_device_flow")
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    evil = {"revocation_endpoint": "https://evil.test/revoke"}
    with pytest.raises(PostroomError) as caught:
        await room.credentials.set("app", details=evil)
    assert caught.value.code == "secret_reentry_required"
    assert "https://evil.test:443" in str(caught.value)
