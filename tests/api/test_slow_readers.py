"""Who asks for much and takes none of it: their place is another's after a time (T50)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import ssl
import time
from collections.abc import AsyncIterator

import pytest

from postroom.net.listening import Counted, listen
from postroom.serving import protocol
from postroom.serving.border import Receive, Scope, Send
from postroom.serving.serve import _config, _Server
from tests.ground import Pki

MUCH = 16 * 1024 * 1024
"""More than the buffers of two sockets hold."""


class Much:
    """Answers with much: in one piece, or (``/pieces``) in many; how many have asked, how many wait."""

    def __init__(self) -> None:
        self.asked = 0
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
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


@dataclasses.dataclass
class Served:
    """As ``postroom serve`` serves, with another app and shorter patience."""

    listening: Counted
    much: Much
    trust: ssl.SSLContext | None

    async def ask(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Ask over a connection that has little room for the answer."""
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(self.listening.getsockname())
        name = "localhost" if self.trust else None
        reader, writer = await asyncio.open_connection(
            sock=line, ssl=self.trust, server_hostname=name, limit=4096
        )
        writer.write(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return reader, writer

    async def lets_go(self, number: int, seconds: float = 20.0) -> None:
        """Wait until so many have asked, and no connection is kept."""
        end = time.monotonic() + seconds
        while self.much.asked < number or self.listening._kept.total():
            assert time.monotonic() < end, self.listening._kept
            await asyncio.sleep(0.02)


@pytest.fixture(params=["plain", "tls"])
async def served(
    request: pytest.FixtureRequest, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Served]:
    monkeypatch.setattr(protocol, "TAKEN_SECONDS", 0.5)
    monkeypatch.setattr("asyncio.constants.SSL_SHUTDOWN_TIMEOUT", 0.5)  # it is 30
    much, tls = Much(), request.param == "tls"
    config = _config(much, None)
    config.timeout_keep_alive = 1
    config.ssl = pki.server_context("good") if tls else None
    trust = ssl.create_default_context(cafile=str(pki.ca)) if tls else None
    with contextlib.closing(listen("127.0.0.1", 0)) as listening:
        listening.limit(most=50, of_one=50, place=lambda peer: peer)
        server = _Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield Served(listening, much, trust)
        server.should_exit = True
        await serving


@pytest.mark.parametrize("path", ["whole", "pieces"])
async def test_who_takes_nothing_holds_no_place(served: Served, path: str) -> None:
    """T50: whether the answer is written in one piece, or waits for them with each of many."""
    lines = [await served.ask(path) for _ in range(20)]
    try:
        await served.lets_go(20)
        assert served.much.under_way == 0
    finally:
        for _, writer in lines:
            writer.transport.abort()


async def test_a_byte_now_and_then_is_nothing(served: Served) -> None:
    """T50"""
    reader, writer = await served.ask("whole")

    async def trickle() -> None:
        while await reader.read(1):
            await asyncio.sleep(0.1)

    sipping = asyncio.create_task(trickle())
    try:
        await served.lets_go(1)
    finally:
        sipping.cancel()
        await asyncio.gather(sipping, return_exceptions=True)
        writer.transport.abort()


@pytest.mark.parametrize("path", ["whole", "pieces"])
async def test_who_is_slow_and_goes_on_gets_all(served: Served, path: str) -> None:
    """Also when it takes longer than a connection may be silent between two requests."""
    reader, writer = await served.ask(path)
    got, begun = 0, time.monotonic()
    while got < MUCH:
        read = len(await reader.read(1024 * 1024))
        assert read, f"cut after {got} bytes"
        got += read
        await asyncio.sleep(max(0.0, got / MUCH * 4 - (time.monotonic() - begun)))
    assert time.monotonic() - begun > 3
    writer.transport.abort()
