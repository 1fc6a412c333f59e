"""Ports on which no mail server answers, and the room as somebody with a role sees it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from postroom.app import Room
from postroom.secret import Secret

__all__ = ["HOLD", "closed", "filtered", "side_of", "somebody", "speaking"]

HOLD = 1.5
"""What stands in for :data:`postroom.net.veil.HOLD_SECONDS`."""


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


_HELD: Final[list[socket.socket]] = []


def closed() -> int:
    """A port where nobody listens; it stays ours, so that nobody else gets it meanwhile."""
    held = socket.socket()
    _HELD.append(held)
    held.bind(("127.0.0.1", 0))
    return int(held.getsockname()[1])


def side_of(port: int, security: str) -> dict[str, Any]:
    return {
        "protocol": "imap", "host": "127.0.0.1", "port": port, "security": security,
        "auth": {"type": "none"},
    }  # fmt: skip
