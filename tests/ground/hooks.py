"""A web server over TLS that takes what webhooks post, and answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

from tests.ground.pki import Pki

__all__ = ["Hooks", "Request", "hooks"]


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The document in it."""
        return json.loads(self.body)


@dataclasses.dataclass(slots=True)
class Hooks:
    """The server: where it is, what came, and with which status it answers."""

    port: int = 0
    status: int = 204
    location: str = ""
    requests: list[Request] = dataclasses.field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"https://127.0.0.1:{self.port}"

    def said(self) -> list[tuple[str, str]]:
        """Event and sentence of each notice that came."""
        return [(one.json["event"], one.json["said"]) for one in self.requests if one.body]


@contextlib.asynccontextmanager
async def hooks(pki: Pki, variant: str = "good") -> AsyncIterator[Hooks]:
    """Serve on a port of its own, with the certificate of that variant."""
    found = Hooks()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            found.requests.append(Request(method, target, headers, body))
            more = f"Location: {found.location}\r\n" if found.location else ""
            length = "" if found.status == 204 else "Content-Length: 0\r\n"
            answer = f"HTTP/1.1 {found.status} X\r\n{more}{length}Connection: close\r\n\r\n"
            writer.write(answer.encode())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=pki.server_context(variant))
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await server.wait_closed()
