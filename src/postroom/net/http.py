"""The one way out for HTTP (RFC 9110, RFC 9112): one client an origin, over our own dialer.

httpcore2 keeps the connections and speaks the protocol; ``http_stream`` gives it sockets.  What a
browser would do is not done: no redirect is followed, no cookie kept, nothing decompressed, no
proxy or certificate taken from the environment.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Protocol, Self

import httpcore2

from postroom import clock
from postroom.errors import PostroomError, ProtocolError, WireError
from postroom.net.dial import Resolve
from postroom.net.http_log import tell, unheard
from postroom.net.http_message import Exchange, HttpAnswer, HttpLimits, Sized
from postroom.net.http_request import Made, Progress
from postroom.net.http_stream import Backend, OnStep
from postroom.net.origin import Origin, Url
from postroom.net.veil import unanswered
from postroom.secret import Scrubber, Secret, open_secrets

__all__ = ["HttpClient", "HttpClients", "Into", "OnExchange", "OnStep"]

OnExchange = Callable[[Exchange], None]
"""Hears of every exchange when it is over, failed ones too."""

KEEP: Final = 50.0  # seconds an idle connection is kept; servers usually close after 60 or more
LONGEST_SAID: Final = 300  # characters of a broken answer that an error repeats
_GONE = ("closed connection", "disconnected", "incomplete", "ConnectionClosed")
"""In httpcore2's and h11's words: the other side left before the answer was whole."""


class Into(Protocol):
    """Where a body goes: a file, or a spool of the wires."""

    def write(self, data: bytes, /) -> object: ...


class HttpClient:
    """Asks one origin, over connections that are kept open and shared by all who ask.

    It belongs to one event loop.  ``most`` is how many connections there are at once; who comes
    later waits.  ``resolve`` answers names in place of the system.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        limits: HttpLimits | None = None,
        most: int = 10,
        on_step: OnStep | None = None,
        on_exchange: OnExchange | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self.origin = origin
        self._limits = limits or HttpLimits()
        self._heard = on_exchange or (lambda _exchange: None)
        self._pool = httpcore2.AsyncConnectionPool(
            # httpcore2 wants a context and writes into it; this one trusts nobody and is not used
            ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            network_backend=Backend(origin, on_step, resolve),
            max_connections=most,
            keepalive_expiry=KEEP,
        )

    async def ask(
        self,
        method: str,
        url: str | Secret,
        *,
        headers: Mapping[str, str | Secret] | None = None,
        content: bytes | Secret | Sized | None = None,
        line: str = "",
        limits: HttpLimits | None = None,
        step: str = "request",
    ) -> HttpAnswer:
        """One exchange.  Every status from 200 to 299 and from 400 on is an answer.

        ``line`` is the destination that the secrets in it were opened for: this origin's ``line``
        or ``bearer_line``; needed as soon as a header, the content or the address is a Secret.

        Raises before anything is dialled: InvalidValue, Refused(``destination_not_bound``).
        Then WireError: ``host_unknown``, ``address_refused``, ``connect_refused``,
        ``connect_failed``, ``proxy_failed``, ``certificate_...``, ``tls_failed``, ``timed_out``,
        ``connection_lost``, ``too_large``, ``protocol_error`` (also for a redirect and for a
        compressed body).  Its fact ``sent`` says whether a byte of the request may have left.
        """
        made = Made(self.origin, method, url, headers or {}, content, line)
        return await self._exchange(made, None, limits or self._limits, step)

    async def save(
        self,
        url: str,
        into: Into,
        *,
        method: str = "GET",
        headers: Mapping[str, str | Secret] | None = None,
        content: bytes | Secret | Sized | None = None,
        line: str = "",
        limits: HttpLimits | None = None,
        step: str = "request",
    ) -> HttpAnswer:
        """One exchange, with a body of status 2xx written to ``into`` as it comes; others as :meth:`ask`.

        ``limits.body`` bounds what is written.  After an error ``into`` holds a part of it.
        """
        made = Made(self.origin, method, url, headers or {}, content, line)
        return await self._exchange(made, into, limits or self._limits, step)

    async def close(self) -> None:
        """Close every connection."""
        with unheard():
            await self._pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # ------------------------------------------------------------------- inside

    async def _exchange(
        self, made: Made, into: Into | None, limits: HttpLimits, step: str
    ) -> HttpAnswer:
        began, status = clock.monotonic(), 0
        try:
            with unheard():
                answer = await self._in_time(made, into, limits)
            status = answer.status
            return answer
        except PostroomError as error:
            status = error.facts.get("status", 0)
            if isinstance(error, WireError):
                error.step = error.step or step
                error.facts["sent"] = made.progress.sent
                if not made.progress.answered:
                    unanswered(error, made.url.where, what="server")
            raise
        finally:
            seconds = clock.monotonic() - began
            exchange = Exchange(made.method, made.url.where, made.url.path, status, seconds)
            tell(exchange)
            self._heard(exchange)

    async def _in_time(self, made: Made, into: Into | None, limits: HttpLimits) -> HttpAnswer:
        scope = asyncio.timeout(limits.total)
        try:
            async with scope:
                try:
                    return await self._once(made, into, limits)
                except WireError as error:
                    if error.code != "connection_lost" or not made.may_repeat:
                        raise
                made.progress = Progress()
                return await self._once(made, into, limits)
        except TimeoutError:
            if not scope.expired():
                raise
            raise WireError(
                f"{made.url.where} did not finish its answer within {limits.total:g} s.",
                code="timed_out",
                hint="Try again; if it stays so, the server is overloaded.",
                temporary=True,
            ) from None

    async def _once(self, made: Made, into: Into | None, limits: HttpLimits) -> HttpAnswer:
        try:
            response = await self._pool.handle_async_request(made.request(limits))
            try:
                headers = _checked(response, made.url, limits)
                stored = into if into is not None and 200 <= response.status < 300 else None
                body = await _body(response, headers, stored, limits, made)
            finally:
                await response.aclose()
        except (httpcore2.ProtocolError, httpcore2.NetworkError) as error:
            raise _translated(error, made.url) from error
        return HttpAnswer(response.status, headers, body)


class HttpClients:
    """The clients of one process: one for each origin, opened when first asked for."""

    def __init__(self, *, limits: HttpLimits | None = None, most: int = 10) -> None:
        self._limits = limits
        self._most = most
        self._open: dict[Origin, HttpClient] = {}

    def to(self, origin: Origin) -> HttpClient:
        """The client of this origin; another trust, proxy or policy is another client."""
        client = self._open.get(origin)
        if client is None:
            client = HttpClient(origin, limits=self._limits, most=self._most)
            self._open[origin] = client
        return client

    async def close(self) -> None:
        """Close every connection of every client; they may be asked again."""
        for client in list(self._open.values()):
            await client.close()


# --------------------------------------------------------------------------- the answer


def _checked(response: httpcore2.Response, url: Url, limits: HttpLimits) -> dict[str, str]:
    """The header fields, if the answer is one that we take."""
    if sum(len(name) + len(value) + 4 for name, value in response.headers) > limits.head:
        raise _too_large(url, "header fields", limits.head)
    headers: dict[str, str] = {}
    for raw, value in response.headers:
        name, text = raw.decode("ascii").lower(), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    status = response.status
    if not 200 <= status < 300 and status < 400:
        raise _redirected(url, status, headers)
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise ProtocolError(
            f"{url.where} compressed its answer though it was asked not to; it was not read.",
            hint="A proxy in between may do that.",
            status=status,
        )
    return headers


def _redirected(url: Url, status: int, headers: Mapping[str, str]) -> ProtocolError:
    said = "" if status < 300 else "Redirects are never followed, since secrets would follow. "
    return ProtocolError(
        f"{url.where} answered {status} to {url.path}, which leads elsewhere.",
        hint=f"{said}Check the address in the settings: it has to be the final one.",
        # a sign-in page of a network, or of a server that is being worked on, goes away again
        temporary=True,
        status=status,
    )


async def _body(
    response: httpcore2.Response,
    headers: Mapping[str, str],
    into: Into | None,
    limits: HttpLimits,
    made: Made,
) -> bytes:
    said = headers.get("content-length", "")
    if said.isdigit() and int(said) > limits.body and made.method != "HEAD":
        raise _too_large(made.url, "body", limits.body)
    kept, size = bytearray(), 0
    async for chunk in response.aiter_stream():
        size += len(chunk)
        if size > limits.body:
            raise _too_large(made.url, "body", limits.body)
        if into is None:
            kept += chunk
        else:
            into.write(chunk)
    return bytes(kept)


def _too_large(url: Url, what: str, most: int) -> ProtocolError:
    return ProtocolError(
        f"The {what} of the answer from {url.where} is longer than {most} bytes; it was not read.",
        code="too_large",
        hint="Check the address; if it is right, ask for less at once.",
    )


def _translated(error: Exception, url: Url) -> WireError:
    """What httpcore2 found, as one of our errors; its words hold bytes of the other side."""
    text = str(error)
    if isinstance(error, httpcore2.NetworkError) or any(part in text for part in _GONE):
        return WireError(
            f"{url.where} closed the connection before its answer was complete.",
            code="connection_lost",
            temporary=True,
        )
    if "too long" in text:
        return ProtocolError(
            f"The header fields of the answer from {url.where} are too long; they were not read.",
            code="too_large",
        )
    return ProtocolError(
        f"{url.where} did not answer as a web server does.",
        hint="Check the address and its port.",
        said=Scrubber(open_secrets()).text(text)[:LONGEST_SAID],
    )
