"""A web server of the standard library over TLS, and what tests say to it and read from it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from postroom.net.dial import Policy
from postroom.net.http_message import HttpLimits
from postroom.net.origin import Origin
from postroom.net.tls import Tls
from tests.ground.pki import Pki

__all__ = ["LIMITS", "WebServer", "connect_proxy", "origin", "trusting", "web_server"]

LIMITS = HttpLimits(connect_timeout=5, reply_timeout=5, total=20)


def trusting(pki: Pki) -> Tls:
    """Trusts the test CA alone."""
    return Tls(trust=(pki.ca.read_text(),))


def origin(server: Any, tls: Tls, *, host: str = "localhost", **more: Any) -> Origin:
    """The origin of a scripted server or of the one below."""
    return Origin(
        host, server.port, tls, more.pop("proxy", None), more.pop("policy", Policy()), **more
    )


@contextlib.asynccontextmanager
async def connect_proxy() -> AsyncIterator[tuple[int, list[bytes]]]:
    """An HTTP proxy that does CONNECT, to this machine alone; gives its port and what it was told."""
    told: list[bytes] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        told.append(head)
        port = int(head.split(b" ")[1].rpartition(b":")[2])
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], told
    finally:
        server.close()


class _Handler(BaseHTTPRequestHandler):
    """Echoes what it was told, makes bodies of any size, counts connections."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: WebServer

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def log_message(self, *_: Any) -> None: ...

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        hashed, left = hashlib.sha256(), length
        kept = b""
        while left:
            piece = self.rfile.read(min(left, 65536))
            hashed.update(piece)
            kept, left = (kept + piece)[:10_000], left - len(piece)
        self.server.seen.append((self.command, self.path, dict(self.headers), kept))
        self._answer(f"{length} {hashed.hexdigest()}".encode())

    def do_PUT(self) -> None:
        self.do_POST()

    def do_GET(self) -> None:
        self.server.seen.append((self.command, self.path, dict(self.headers), b""))
        name, _, value = self.path.lstrip("/").partition("/")
        if name == "bytes":
            self._bytes(int(value))
        elif name == "status":
            self._answer(b"it is so", status=int(value))
        elif name == "cookie":
            self._answer(b"", {"Set-Cookie": "session=canary-cookie"})
        elif name == "hangup":
            self.close_connection = True
            self._answer(b"the last one")
        else:
            self._answer(b"hello")

    def do_DELETE(self) -> None:
        self.do_GET()

    def _answer(self, body: bytes, more: dict[str, str] | None = None, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for key, value in (more or {}).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def _bytes(self, count: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(count))
        self.end_headers()
        piece = bytes(range(256)) * 256
        for start in range(0, count, len(piece)):
            self.wfile.write(piece[: count - start])


class WebServer(ThreadingHTTPServer):
    """``seen`` holds method, path, header fields and the first bytes of each request."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port: int = self.server_address[1]
        self.connections = self.closed = 0
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        if context is not None:
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; it is counted once the client can see it."""
        super().shutdown_request(request)
        self.closed += 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is nothing to print."""


@contextlib.contextmanager
def web_server(context: ssl.SSLContext | None) -> Iterator[WebServer]:
    """A running server, in the clear without a context."""
    with WebServer(context) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
