"""Nobody finds open ports with the test button: what is no mail server is told alike."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from postroom.app import Room
from postroom.connections import veil
from postroom.secret import Secret
from tests.ground.handed import hand_out
from tests.journeys.conftest import Account

HOLD = 1.5


async def somebody(room: Room, role: str) -> Room:
    """The room as somebody with that role sees it."""
    await room.users.add(role, role)
    made = await room.tokens.add("test", user=role)
    return room.acting(await room.people.by_token(Secret(made["token"])))


@contextlib.asynccontextmanager
async def speaking(greeting: bytes) -> AsyncIterator[int]:
    """A port where something listens that is no mail server; without a greeting it is silent."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(greeting)
            await reader.read()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@contextlib.contextmanager
def filtered() -> Iterator[int]:
    """A port that answers nothing: the queue of those who want to connect is full."""
    with contextlib.ExitStack() as held:
        listening = held.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(8):
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(listening.getsockname())
        yield listening.getsockname()[1]


def closed() -> int:
    """A port where nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def side_of(port: int, security: str) -> dict[str, Any]:
    return {
        "protocol": "imap", "host": "127.0.0.1", "port": port, "security": security,
        "auth": {"type": "none"},
    }  # fmt: skip


async def seen(room: Room, port: int, security: str) -> tuple[str, float]:
    """All that a test tells of a port, without the port itself, and how long it took."""
    steps: list[Any] = []
    begun = asyncio.get_running_loop().time()
    report = await room.connections.test(
        "scan", on_step=lambda place, step: steps.append((place, step.as_json()))
    )
    spent = asyncio.get_running_loop().time() - begun
    [logged] = await room.connections.log("scan", limit=1)
    del logged["since"], logged["at"]
    told = json.dumps([report.as_json(), steps, logged], default=str)
    return re.sub(rf"\b{port}\b", "PORT", told), spent


@pytest.mark.parametrize("security", ["none", "tls", "starttls"])
async def test_closed_filtered_and_open_are_told_alike(
    room: Room, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    """T59: to whoever may test and edit; an administrator hears what it is."""
    monkeypatch.setattr(veil, "HOLD_SECONDS", HOLD)
    editor, admin = await somebody(room, "editor"), await somebody(room, "admin")
    await room.connections.add({"name": "scan", "incoming": side_of(closed(), security)})
    found, spent, codes = {}, {}, set()
    async with speaking(b"SSH-2.0-OpenSSH_9.2\r\n") as shell, speaking(b"") as silent:
        with filtered() as unanswered:
            ports = {"closed": closed(), "ssh": shell, "silent": silent, "filtered": unanswered}
            for kind, port in ports.items():
                await editor.connections.set("scan", {"incoming": {"port": port}})
                found[kind], spent[kind] = await seen(editor, port, security)
            for kind in ("closed", "ssh"):
                await admin.connections.set("scan", {"incoming": {"port": ports[kind]}})
                error = (await admin.connections.test("scan")).error
                assert error is not None
                codes.add(error.code)
    assert "No mail server answers at 127.0.0.1:PORT." in found["closed"]
    assert len(set(found.values())) == 1, found
    assert all(HOLD <= each < HOLD + 1 for each in spent.values()), spent
    assert len(codes) == 2
    assert "connect_refused" in codes


async def test_connecting_an_account_tells_no_more_of_a_port_than_a_test_does(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T59: where a source begins is looked up at its server, and what came of that is not said."""
    monkeypatch.setattr(veil, "HOLD_SECONDS", HOLD)
    editor = await somebody(room, "editor")
    await room.jobs.add({"name": "handle", "command": ["true"]})
    spent: dict[str, float] = {}
    with filtered() as unanswered:
        for kind, port in (("closed", closed()), ("filtered", unanswered)):
            data = {
                "name": kind, "address": "a@example.com", "job": "handle",
                "password": hand_out("the password of nobody"),
                "incoming": {"host": "127.0.0.1", "port": str(port), "security": "tls"},
                "outgoing": {"protocol": "none"}, "send": False,
            }  # fmt: skip
            begun = asyncio.get_running_loop().time()
            await editor.accounts.connect(data)
            spent[kind] = asyncio.get_running_loop().time() - begun
    assert all(HOLD <= each < HOLD + 1 for each in spent.values()), spent


async def test_an_editor_sees_all_of_a_server_that_is_one(account: Account) -> None:
    """T59: the veil is lifted by a greeting."""
    editor = await somebody(account.room, "editor")
    name = (await account.room.connections.list())[0]["name"]
    report = await editor.connections.test(name)
    assert report.ok
    assert {"greeting", "sign-in"} <= {step.name for step in report.steps}
