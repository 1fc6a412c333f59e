"""A way through an HTTP proxy: CONNECT (RFC 9110 section 9.3.6)."""

from __future__ import annotations

import asyncio
import socket

from postroom.errors import DialError
from postroom.net.names import host_and_port

__all__ = ["connect"]

LONGEST_REPLY = 16 * 1024


async def connect(sock: socket.socket, host: str, port: int, proxy: str, proxy_port: int) -> None:
    """Ask the proxy behind ``sock`` for a tunnel; afterwards ``sock`` leads to host and port.

    Raises DialError(``proxy_failed``): temporary for 5xx and a lost connection, else permanent.
    """
    loop = asyncio.get_running_loop()
    where = host_and_port(host, port)
    by = host_and_port(proxy, proxy_port)
    request = f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode("ascii")
    try:
        await loop.sock_sendall(sock, request)
        head = await _head(loop, sock)
    except OSError as error:
        raise _failed(f"The connection to the proxy {by} was lost.", temporary=True) from error
    status, said = _status(head)
    if status is None:
        raise _failed(f"The proxy {by} did not answer as an HTTP proxy does.")
    if not 200 <= status < 300:
        raise _failed(
            f"The proxy {by} did not open a way to {where}: it answered {status}.",
            temporary=status >= 500,
            said=said,
        )


async def _head(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bytes:
    """The reply's head, read byte by byte: what follows it is the mail server's first word."""
    head = bytearray()
    while not head.endswith((b"\r\n\r\n", b"\n\n")):
        if len(head) >= LONGEST_REPLY:
            return b""  # no answer of a proxy
        byte = await loop.sock_recv(sock, 1)
        if not byte:
            raise ConnectionResetError
        head += byte
    return bytes(head)


def _status(head: bytes) -> tuple[int | None, str]:
    line = head.split(b"\n", 1)[0].strip().decode("latin-1")
    parts = line.split(" ", 2)
    known = len(parts) >= 2 and parts[0].startswith("HTTP/1.") and parts[1].isascii()
    if not known or not parts[1].isdigit() or len(parts[1]) != 3:
        return None, line[:200]
    return int(parts[1]), line[:200]


def _failed(sentence: str, *, temporary: bool = False, said: str = "") -> DialError:
    return DialError(
        sentence,
        code="proxy_failed",
        hint="Check the proxy's address, and that it permits CONNECT to this host and port.",
        temporary=temporary,
        step="proxy",
        said=said,
    )
