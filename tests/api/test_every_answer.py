"""Every door asked so that it succeeds, by somebody of every role: what is answered, and to whom."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from postroom.access import throttle
from postroom.app import Room
from tests.api.asking import Client
from tests.api.story import CANARY, MAY, Teller, story, wanted
from tests.ground import Ground

pytestmark = pytest.mark.bares(
    "file", "log", "error", why="tokens of the tests; what was typed is searched for in answers"
)
ELSEWHERE = {
    "POST /connections/{name}/sign-in": "web/test_signing_in, test_oauth",
    "DELETE /connections/{name}/sign-in": "web/test_signing_in, test_oauth",
}
"""Doors that succeed where an authorization server runs; here they are asked, and refuse."""


async def doors(client: Client) -> set[str]:
    """Every door of the document."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", [*MAY])
async def test_every_door_that_succeeds_shows_no_secret_and_asks_for_its_right(
    client: Client, room: Room, ground: Ground, role: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T25: typed secrets, stored ones, those that a mail server was given; in headers, documents,
    streams and errors; in every dress.  Rights by what a door does, not by the table that it is made of.
    """
    often = throttle.Limit("sign-in test", 1_000_000, 60.0)
    monkeypatch.setattr("postroom.access.throttle.TESTS", often)
    user = ground.user()
    form, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        form, kind, serialization.NoEncryption()
    ).decode()  # fmt: skip
    teller = Teller(client, role, [CANARY, user.password, pem.splitlines()[1]])
    try:
        await story(teller, room, ground, user, pem)
    finally:  # what went wrong first says why the story ended
        assert teller.wrong == [], json.dumps(teller.wrong, indent=1, default=str)
    assert teller.searched > 300
    assert await doors(client) - teller.succeeded == ELSEWHERE.keys()


async def test_the_document_says_the_right_that_is_asked_for(client: Client) -> None:
    """T25: the same rule for what the document tells."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    for path, methods in paths.items():
        for method, told in methods.items():
            # whose right is another with each command, and with a session than with a token
            if path not in ("/commands/{name}", "/tokens"):
                assert told["x-right"] in wanted(f"{method.upper()} {path}"), (method, path)
