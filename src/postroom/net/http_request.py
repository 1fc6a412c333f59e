"""A request as it goes out over HTTP: checked, bound to its destination, revealed when written."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpcore2

from postroom.errors import InvalidValue, Refused, WireError
from postroom.net.http_message import HttpLimits, Sized
from postroom.net.origin import Origin, Url
from postroom.secret import Secret

__all__ = ["Made", "Progress"]

_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "cookie",
     "upgrade", "te", "trailer", "expect", "proxy-authorization"}
)  # fmt: skip
"""Header fields that say how the exchange works; nobody else writes them."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_VALUE = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")


class Progress:
    """How far httpcore2 came with a request, as its trace tells."""

    def __init__(self) -> None:
        self.fresh = self.sent = self.answered = False

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.started":
            self.fresh = True
        elif event == "http11.send_request_headers.started":
            self.sent = True
        elif event == "http11.receive_response_headers.complete":
            self.answered = True


class Made:
    """A request that was checked; secrets in it are revealed as they are written."""

    def __init__(
        self,
        origin: Origin,
        method: str,
        url: str | Secret,
        headers: Mapping[str, str | Secret],
        content: bytes | Secret | Sized | None,
        line: str,
    ) -> None:
        if not _TOKEN.fullmatch(method):
            raise InvalidValue("method", "this is no HTTP method.")
        self.method = method
        hidden = isinstance(url, Secret)
        asked = origin.url(url.reveal() if isinstance(url, Secret) else url)
        self.url: Url = asked._replace(hidden=hidden)
        self.content = content
        self.progress = Progress()
        secret = hidden or any(isinstance(value, Secret) for value in (content, *headers.values()))
        if (line or secret) and line not in (origin.line, origin.bearer_line):
            raise Refused(
                f"The secret was not opened for {origin.line}; it is not sent there.",
                code="destination_not_bound",
                line=origin.line,
            )
        self._headers = [
            (b"Host", self.url.authority.encode("ascii")),
            (b"Accept-Encoding", b"identity"),
            (b"User-Agent", b"postroom"),
            *(_header(name, value) for name, value in headers.items()),
        ]
        if (length := _length(content)) is not None:
            self._headers.append((b"Content-Length", b"%d" % length))

    @property
    def may_repeat(self) -> bool:
        """Whether it may be asked once more: a kept connection was closed as it was about to be
        used, nothing came back, and asking twice changes nothing (RFC 9110 section 9.2.2).
        """
        reading = self.method in ("GET", "HEAD") and self.content is None
        return reading and not self.progress.fresh and not self.progress.answered

    def request(self, limits: HttpLimits) -> httpcore2.Request:
        """The same for httpcore2."""
        url = self.url
        scheme = b"https" if url.secure else b"http"
        request = httpcore2.Request(
            self.method,
            httpcore2.URL(scheme=scheme, host=url.host, port=url.port, target=url.target),
            content=_chunks(self.content),
            extensions={
                "timeout": {
                    "connect": limits.connect_timeout,
                    "read": limits.reply_timeout,
                    "write": limits.reply_timeout,
                },
                "trace": self.progress,
            },
        )
        request.headers = _Headers(self._headers)
        return request


class _Headers(list[Any]):
    """Header fields for h11, which goes through them when it writes: secrets are revealed then."""

    def __iter__(self) -> Any:
        for name, value in super().__iter__():
            yield name, value.reveal_bytes() if isinstance(value, Secret) else value


def _header(name: str, value: str | Secret) -> tuple[bytes, bytes | Secret]:
    if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
        raise InvalidValue("headers", f"{name!r} cannot be given as a header field.")
    try:
        raw = value.reveal_bytes() if isinstance(value, Secret) else value.encode("ascii")
    except UnicodeEncodeError:
        raw = b"\n"
    if not _VALUE.fullmatch(raw):
        raise InvalidValue(
            "headers", f"the value of {name} may hold visible ASCII characters and spaces alone."
        )
    return name.encode("ascii"), value if isinstance(value, Secret) else raw


def _length(content: bytes | Secret | Sized | None) -> int | None:
    if isinstance(content, Sized):
        return content.length
    if isinstance(content, Secret):
        return len(content.reveal_bytes())
    return None if content is None else len(content)


async def _chunks(content: bytes | Secret | Sized | None) -> AsyncIterator[bytes]:
    if isinstance(content, Secret):
        yield content.reveal_bytes()
    elif isinstance(content, Sized):
        sent = 0
        async for chunk in content.chunks:
            sent += len(chunk)
            if sent > content.length:
                break
            yield chunk
        if sent != content.length:
            raise WireError(
                "What was to be sent is longer or shorter than was said; it was not sent whole.",
                hint="The file changed meanwhile. Try again.",
                temporary=True,
                step="send",
            )
    elif content:
        yield content
