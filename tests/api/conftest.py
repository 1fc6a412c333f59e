"""Fixtures of the API's tests: a room behind its API, on loopback, and somebody of every role."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import uvicorn

from postroom.access import ROLES
from postroom.api import make_app
from postroom.app import Room
from postroom.secret import Secret
from tests.api.asking import Client
from tests.api.reader import Reader
from tests.web.posts import posted, pytest_runtest_makereport
from tests.web.site import PASSWORD

__all__ = [
    "Served", "client", "people", "posted", "pytest_runtest_makereport", "reader", "served", "tokens_of",
]  # fmt: skip


@pytest.fixture
async def people(room: Room) -> dict[str, str]:
    """A token of somebody of each role, named like it."""
    return await tokens_of(room)


async def tokens_of(room: Room) -> dict[str, str]:
    """Somebody of each role, and a token of each."""
    found = {}
    for role in ROLES:
        await room.users.add(role, role)
        found[role] = (await room.tokens.add("api", user=role))["token"]
    return found


@pytest.fixture
def client(room: Room, people: dict[str, str]) -> Client:
    """Asks the API of a new room, as its administrator."""
    return Client(make_app(room), people)


class Served(NamedTuple):
    """A room that is served: where, and a token of each role."""

    url: str
    tokens: dict[str, str]
    room: Room


@pytest.fixture
async def served(room: Room, people: dict[str, str]) -> AsyncIterator[Served]:
    """A room behind its API under uvicorn, mounted where it is in a served room."""
    api = make_app(room)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["path"].startswith("/api/v1"), scope["path"]
        await api({**scope, "root_path": "/api/v1"}, receive, send)

    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Served(f"http://127.0.0.1:{port}", people, room)
    server.should_exit = True
    server.force_exit = True
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def reader(room: Room) -> Reader:
    """An administrator who is signed in, in a browser without scripts, in this process."""
    first = await room.people.first_address()
    assert first is not None
    await room.people.accept(first, "root", Secret(PASSWORD))
    came = Reader(room)
    await came.sign_in("root")
    return came
