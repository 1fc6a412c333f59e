"""A look at the certificates of a server that begins with TLS, trusted or not; for the doctor."""

from __future__ import annotations

import asyncio
import socket

from postroom.net.certificates import (
    CertificateFacts,
    certificate_facts,
    explain,
    handshake_timed_out,
)
from postroom.net.dial import Resolve, Route, dial
from postroom.net.names import canonical_host
from postroom.net.tls import FEED, Channel, Tls

__all__ = ["inspect"]


async def inspect(
    route: Route, *, timeout: float, resolve: Resolve | None = None
) -> list[CertificateFacts]:
    """The certificates the server sends, its own first; nothing is verified and nothing is sent.

    The connection ends with the handshake.  A server that begins in plain text (STARTTLS) is looked
    at through the pump, by ``Tls(look_only=True)``.  Raises DialError, TlsError.
    """
    dialed = await dial(route, timeout=timeout, resolve=resolve)
    with dialed.sock:
        try:
            async with asyncio.timeout(timeout):
                return await _look(dialed.sock, canonical_host(route.host))
        except TimeoutError:
            raise handshake_timed_out(route.host, timeout) from None
        except OSError as error:  # ssl errors are among them
            raise explain(error, route.host, None) from error


async def _look(sock: socket.socket, host: str) -> list[CertificateFacts]:
    loop = asyncio.get_running_loop()
    channel = Channel(Tls(look_only=True), host)
    while not channel.handshake():
        await loop.sock_sendall(sock, channel.outgoing())
        data = await loop.sock_recv(sock, FEED)
        if not data:
            raise ConnectionResetError
        channel.feed(memoryview(data))
    return [certificate_facts(der) for der in channel.chain()]
