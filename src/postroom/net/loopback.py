"""A listener on this machine for one answer that a browser brings back (RFC 8252 section 7.3)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable
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
_OTHER: Final = "This belongs to no sign-in that was begun here, and nothing was done with it."
_PORTS: Final = 10  # ports that are tried where any will do
_AT_ONCE: Final = 50  # browsers and whoever else at the same time
_NO_SUCH_ADDRESS: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class Loopback:
    """Listens on the loopback interface of a redirect URI, on its port or a free one.

    It answers every request with a page that repeats nothing of it, and hears the first one that is
    sent to this very host and path and fits what is waited for: whoever else knows the port, another
    user of this machine or a web page in the browser, ends nothing and learns nothing.
    """

    def __init__(self, redirect_uri: str, *, back: str = "") -> None:
        """``back``: where the browser that brought the answer is sent (empty: it is told to close).

        Raises InvalidValue for an address that is not on this machine.
        """
        self._back = back
        parts = urlsplit(redirect_uri)
        if parts.scheme != "http" or parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise InvalidValue(
                "redirect_uri",
                "only http://localhost or http://127.0.0.1 is heard here; with --link any address "
                "does, since where the browser ends is pasted",
            )
        self._path = parts.path or "/"
        self._hosts = {"localhost": ["127.0.0.1", "::1"]}.get(parts.hostname, [parts.hostname])
        self._wanted = parts.port or 0
        self._name = parts.hostname
        self._servers: list[asyncio.Server] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._fits: Callable[[str], bool] = lambda _query: False
        self._heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.port = 0

    async def __aenter__(self) -> Self:
        for attempt in range(_PORTS):
            try:
                await self._listen()
                break
            except OSError as error:
                await self._close()
                if self._wanted or attempt == _PORTS - 1:
                    raise SignInError(
                        f"Nothing can be heard on port {self._wanted or 'any'}: {error.strerror}.",
                        hint="Free the port, or register a redirect URI without one.",
                    ) from None
        return self

    async def _listen(self) -> None:
        """Listen on every address of the name: what another user listens on, the browser may ask."""
        for host in self._hosts:
            try:
                server = await asyncio.start_server(
                    self._serve, host, self.port or self._wanted, limit=_HEAD
                )
            except OSError as error:
                if self._servers and error.errno in _NO_SUCH_ADDRESS:
                    continue  # a machine without IPv6: the browser finds the other
                raise
            self._servers.append(server)
            self.port = server.sockets[0].getsockname()[1]

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()
        self._heard.cancel()

    async def _close(self) -> None:
        servers, self._servers, self.port = self._servers, [], 0
        for server in servers:
            server.close()
        for writer in self._writers:  # since Python 3.12 the server waits for them
            writer.transport.abort()
        for server in servers:
            await server.wait_closed()

    async def query(self, seconds: float, fits: Callable[[str], bool]) -> str:
        """The first query that a browser brought and that ``fits``.

        Raises SignInError after so many seconds.
        """
        self._fits = fits
        try:
            return await asyncio.wait_for(asyncio.shield(self._heard), seconds)
        except TimeoutError:
            raise SignInError(
                f"Nobody signed in within {seconds / 60:.0f} minutes.",
                hint="Begin the sign-in again.",
            ) from None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= _AT_ONCE:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            found = self._query_in(head)
            status, text = (404, _NOTHING) if found is None else (200, _DONE)
            if found is not None and not self._fits(found):
                found, status, text = None, 400, _OTHER
            try:
                to = self._back if status == 200 else ""
                writer.write(_answer(303 if to else status, text, to))
                await writer.drain()
            finally:  # a browser that hangs up before it has read the page has brought it too
                if found is not None and not self._heard.done():
                    self._heard.set_result(found)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever it was, it was no answer
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _query_in(self, head: bytes) -> str | None:
        """The query of a request for our path, or None."""
        first, *fields = head.split(b"\r\n")
        hosts = [value.strip() for name, _, value in (one.partition(b":") for one in fields)
                 if name.lower() == b"host"]  # fmt: skip
        if hosts != [self._authority()]:
            return None  # a name of somebody else's that leads here, or none
        words = first.split(b" ")
        if len(words) != 3 or words[0] != b"GET" or not words[1].startswith(b"/"):
            return None
        path, mark, query = words[1].decode("ascii", "replace").partition("?")
        return query if mark and path == self._path else None

    def _authority(self) -> bytes:
        name = f"[{self._name}]" if ":" in self._name else self._name
        return (name if self.port == 80 else f"{name}:{self.port}").encode()


def _answer(status: int, text: str, to: str = "") -> bytes:
    page = _PAGE.format(text=text).encode()
    reason = {200: "OK", 303: "See Other", 400: "Bad Request"}.get(status, "Not Found")
    onward = f"Location: {to}\r\n" if to else ""
    head = (
        f"HTTP/1.1 {status} {reason}\r\n{onward}Content-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(page)}\r\nConnection: close\r\nCache-Control: no-store\r\n"
        "Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\r\n"
    )
    return head.encode("ascii") + page
