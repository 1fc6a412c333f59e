"""A listener on this machine for one answer that a browser brings back (RFC 8252 section 7.3)."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from postroom.errors import InvalidValue, SignInError

__all__ = ["Loopback"]

_HEAD: Final = 32 * 1024
_HEAD_SECONDS: Final = 10.0
_PAGE: Final = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>Postroom</title>"
    "<style>body{{font:1.1rem/1.5 system-ui,sans-serif;margin:4rem auto;max-width:32rem}}</style>"
    "<p>{text}</p></html>"
)
_DONE: Final = "That is all. You can close this window and go back to the terminal."
_NOTHING: Final = "There is nothing here."


class Loopback:
    """Listens on the loopback interface of a redirect URI, on its port or a free one.

    It answers every request with a page that repeats nothing of it, and hears the first one for the
    path that is waited for.
    """

    def __init__(self, redirect_uri: str) -> None:
        """Raises InvalidValue for an address that is not on this machine."""
        parts = urlsplit(redirect_uri)
        if parts.scheme != "http" or parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise InvalidValue(
                "redirect_uri", "only http://localhost or http://127.0.0.1 is heard here"
            )
        self._path = parts.path or "/"
        self._hosts = {"localhost": ["127.0.0.1", "::1"]}.get(parts.hostname, [parts.hostname])
        self._wanted = parts.port or 0
        self._servers: list[asyncio.Server] = []
        self._heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.port = 0

    async def __aenter__(self) -> Self:
        for host in self._hosts:
            try:
                server = await asyncio.start_server(
                    self._serve, host, self.port or self._wanted, limit=_HEAD
                )
            except OSError as error:
                if self._servers:
                    continue  # a machine without IPv6: the browser finds the other
                raise SignInError(
                    f"Nothing can be heard on {host}, port {self._wanted}: {error.strerror}.",
                    hint="Free the port, or register a redirect URI without one.",
                ) from None
            self._servers.append(server)
            self.port = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.close()
            await server.wait_closed()
        self._heard.cancel()

    async def query(self, seconds: float) -> str:
        """The query that the browser brought.  Raises SignInError after so many seconds."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._heard), seconds)
        except TimeoutError:
            raise SignInError(
                f"Nobody signed in within {seconds / 60:.0f} minutes.",
                hint="Begin the sign-in again.",
            ) from None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            found = self._query_in(head)
            text = _NOTHING if found is None else _DONE
            writer.write(_answer(404 if found is None else 200, text))
            await writer.drain()
            if found is not None and not self._heard.done():
                self._heard.set_result(found)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever it was, it was no answer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _query_in(self, head: bytes) -> str | None:
        """The query of a request for our path, or None."""
        words = head.partition(b"\r\n")[0].split(b" ")
        if len(words) != 3 or words[0] != b"GET" or not words[1].startswith(b"/"):
            return None
        path, mark, query = words[1].decode("ascii", "replace").partition("?")
        return query if mark and path == self._path else None


def _answer(status: int, text: str) -> bytes:
    page = _PAGE.format(text=text).encode()
    reason = "OK" if status == 200 else "Not Found"
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(page)}\r\nConnection: close\r\nCache-Control: no-store\r\n"
        "Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\r\n"
    )
    return head.encode("ascii") + page
