"""Every route, every role, a canary: generated from the OpenAPI document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from postroom.access import ROLES
from postroom.app import Room
from tests.api.asking import Client

CANARY = "canary-7Qz0vKp3mXw9LrTs"
NAMES = {
    "name": "acme", "version": "1", "item": "0" * 21, "run": "0" * 21, "label": "one",
    "id": "0" * 12, "grantee": "user:viewer",
}  # fmt: skip


async def operations(client: Client) -> list[tuple[str, str, dict[str, Any]]]:
    document = (await client.get("/openapi.json")).json()
    return [
        (method.upper(), path, told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]


def address(path: str) -> str:
    for name, value in NAMES.items():
        path = path.replace(f"{{{name}}}", value)
    return path


async def furnish(room: Room) -> None:
    """One record of everything that may hold a secret, each with the canary."""
    await room.credentials.create(
        "acme", "password", details={"user_name": "ann", "password": CANARY}
    )
    await room.credentials.create("other", "secret", details={"value": CANARY})
    await room.credentials.create(
        "server", "smtp",
        details={"host": "127.0.0.1", "port": "1", "user_name": "a", "password": CANARY},
    )  # fmt: skip
    await room.credentials.create(
        "app", "oauth_client",
        details={
            "authority": "https://127.0.0.1:1", "client_id": "x",
            "client_secrets": {"one": {"value": CANARY}},
        },
    )  # fmt: skip
    side = {"host": "127.0.0.1", "port": "1", "auth": {"type": "secret", "credential": "acme"}}
    await room.connections.add(
        {
            "name": "acme", "type": "standard",
            "incoming": {"protocol": "imap", **side}, "outgoing": {"protocol": "smtp", **side},
        }
    )  # fmt: skip
    await room.services.add(
        {
            "name": "acme",
            "connection": "acme",
            "from": "ann@example.com",
            "allowed_senders": ["ann@example.com"],
        }
    )
    await room.variables.add("acme", "value")


@pytest.mark.bares(
    "file", "log", why="typed secrets are sealed; what was typed is searched for in answers"
)
@pytest.mark.parametrize("role", [*ROLES, None])
async def test_every_route_keeps_its_right_and_shows_no_secret(
    client: Client, room: Room, role: str | None
) -> None:
    """T25, T55: who has the right is answered, who has not is refused; the canary is in no answer."""
    await furnish(room)
    for method, path, told in await operations(client):
        if method == "DELETE" or path in ("/events", "/keys/rotate", "/connections/{name}/sign-in"):
            continue  # what is deleted cannot be asked for any more; a stream does not end
        answer = await client.ask(
            method, address(path), json=None if method == "GET" else {}, as_=role
        )
        said = answer.content + json.dumps(answer.headers).encode()
        assert CANARY.encode() not in said, path
        assert answer.status_code != 500, (path, answer.text)
        if role is None:
            assert answer.status_code == 401, path
        elif told["x-right"] not in ROLES[role]:
            assert answer.status_code == 403, path
            assert answer.json()["code"] == "not_permitted"
        else:
            assert answer.status_code not in (401, 403), (path, answer.text)


async def test_every_door_stands_in_the_document(client: Client) -> None:
    from postroom.operations.doors import DOORS

    found = {(method, path) for method, path, _ in await operations(client)}
    assert {(one.http, one.path) for one in DOORS} <= found


@pytest.mark.parametrize("role", ["viewer", "auditor", "operator"])
async def test_deleting_wants_its_right(client: Client, room: Room, role: str) -> None:
    """T25: the routes that delete, asked by those who may not."""
    await furnish(room)
    for method, path, told in await operations(client):
        if method == "DELETE" and told["x-right"] not in ROLES[role]:
            answer = await client.delete(address(path), as_=role)
            assert answer.status_code == 403, path
    assert len(await room.credentials.list()) == 4
