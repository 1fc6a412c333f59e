"""Who asks for much and takes none of it: their place is another's after a time (T50)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

import pytest

from postroom.net.listening import Counted, listen
from postroom.serving import protocol
from postroom.serving.border import Receive, Scope, Send
from postroom.serving.serve import _config, _Server

MUCH = 16 * 1024 * 1024
"""More than the buffers of two sockets hold."""
HEAD = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"


class Much:
    """Answers with much: in one piece, or (``/pieces``) in many; how many were cut off."""

    def __init__(self) -> None:
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.under_way += 1
        try:
            many = 256 if scope["path"] == "/pieces" else 1
            length = [(b"content-length", str(MUCH).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": length})
            for left in range(many - 1, -1, -1):
                piece = {"type": "http.response.body", "body": bytes(MUCH // many)}
                await send({**piece, "more_body": left > 0})
        finally:
            self.under_way -= 1


@pytest.fixture
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Counted, Much]]:
    """As ``postroom serve`` serves, with another app and shorter patience."""
    monkeypatch.setattr(protocol, "TAKEN_SECONDS", 0.5)
    much = Much()
    with contextlib.closing(listen("127.0.0.1", 0)) as listening:
        listening.limit(most=50, of_one=50, place=lambda peer: peer)
        server = _Server(_config(much, None))
        serving = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield listening, much
        server.should_exit = True
        await serving


def asked(listening: Counted, path: bytes) -> socket.socket:
    """A connection over which somebody has asked, with little room for the answer."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect(listening.getsockname())
    line.setblocking(False)
    line.send(HEAD % path)
    return line


async def kept(listening: Counted, number: int, seconds: float = 15.0) -> None:
    """Wait until so many connections are kept."""
    end = time.monotonic() + seconds
    while listening._kept.total() != number:
        assert time.monotonic() < end, listening._kept
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("path", [b"whole", b"pieces"])
async def test_who_takes_nothing_holds_no_place(served: tuple[Counted, Much], path: bytes) -> None:
    """T50: whether the answer is written in one piece, or waits for them with each of many."""
    listening, much = served
    lines = [asked(listening, path) for _ in range(20)]
    try:
        await kept(listening, 20)
        await kept(listening, 0)
        assert much.under_way == 0
    finally:
        for line in lines:
            line.close()


async def test_a_byte_now_and_then_is_nothing(served: tuple[Counted, Much]) -> None:
    """T50"""
    listening, _ = served
    line = asked(listening, b"whole")
    await kept(listening, 1)

    async def trickle() -> None:
        while await asyncio.get_running_loop().sock_recv(line, 1):
            await asyncio.sleep(0.1)

    sipping = asyncio.create_task(trickle())
    try:
        await kept(listening, 0)
    finally:
        sipping.cancel()
        await asyncio.gather(sipping, return_exceptions=True)
        line.close()


@pytest.mark.parametrize("path", [b"whole", b"pieces"])
async def test_who_is_slow_and_goes_on_gets_all(served: tuple[Counted, Much], path: bytes) -> None:
    listening, _ = served
    line = asked(listening, path)
    got, begun = 0, time.monotonic()
    with contextlib.closing(line):
        while got < MUCH:
            read = len(await asyncio.get_running_loop().sock_recv(line, 1024 * 1024))
            assert read, f"cut after {got} bytes"
            got += read
            await asyncio.sleep(max(0.0, got / MUCH * 3 - (time.monotonic() - begun)))
    assert time.monotonic() - begun > 2
