"""The smallest core there is, lines in and lines out, and a name server for tests."""

from __future__ import annotations

import socket
from typing import Any

from postroom.errors import ProtocolError

__all__ = ["Lines", "resolver"]


class Lines:
    """Each CRLF line is an event.  A line that says ``garbage`` breaks the protocol."""

    def __init__(self) -> None:
        self._rest = b""

    def receive(self, data: memoryview, /) -> list[Any]:
        *lines, self._rest = (self._rest + bytes(data)).split(b"\r\n")
        if b"garbage" in lines:
            raise ProtocolError("The server sent garbage.", said="garbage with secret-word in it")
        return lines

    def eof(self) -> list[Any]:
        return [b"(eof)"]


def resolver(*addresses: str) -> Any:
    """A name server that gives these addresses for every name."""

    async def resolve(host: str, port: int, **_hints: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses]

    return resolve
