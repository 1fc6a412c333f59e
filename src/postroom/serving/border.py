"""The border: what every request meets before API or page, and what every answer carries.

Limits on bodies, the names under which the room is served, the headers of trusted proxies, and the
headers that protect a page (OWASP ASVS 5.0 V3.4; T46, T50, T53).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import secrets
import traceback
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from postroom.clock import monotonic
from postroom.errors import InvalidValue
from postroom.log import about, logger, within
from postroom.tracing import span

__all__ = ["App", "Border", "Limits", "Receive", "Scope", "Send", "is_within", "networks"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ANY_NAME: Final = ("/healthz", "/readyz", "/metrics")
"""Asked by programs that know an address only, and answered without a word about anybody."""
BODY_BYTES: Final = 1024 * 1024
MESSAGE_BYTES: Final = 48 * 1024 * 1024
"""What a request may bring that carries a message: 35 MB of it in base64."""
LARGE_AT_ONCE: Final = 2
"""Bodies of more than ``BODY_BYTES`` that are read and answered at a time; others wait on the wire, for
``TURN_SECONDS`` at most."""
TURN_SECONDS: Final = 60.0
CARRY_MESSAGES: Final = ("/api/v1/commands/", "/compose")
BODY_SECONDS: Final = 60.0
TARGET_BYTES: Final = 8 * 1024
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS: Final = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cache-control": b"no-store",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
"""An answer that says one of these itself keeps its own."""
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
_FRAMES: Final = 8
_log = logger("serve")


class Limits:
    """How much a body may be, and how long it may take."""

    def __init__(self, *, body: int = BODY_BYTES, message: int = MESSAGE_BYTES) -> None:
        self._body = body
        self._message = message

    def of(self, path: str) -> int:
        """The most bytes of a request to this path."""
        return self._message if path.startswith(CARRY_MESSAGES) else self._body


class _TooMuch(BaseException):
    """The body is larger than permitted, or came too slowly: the status says which.

    No ``Exception``: the API and the page answer every one of those, as a mistake of their own.
    """

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Border:
    """``Border(app, names=..., proxies=...)``: an ASGI app around the others.

    ``names`` are the Host headers under which the room is served, in lower case, with their port
    where it is not the usual one; any other is refused, so that no page of another site reaches it by
    a name of its own.  ``proxies`` are the networks whose forwarding headers are believed.
    """

    def __init__(
        self,
        app: App,
        *,
        names: Sequence[str],
        proxies: Sequence[Network] = (),
        limits: Limits | None = None,
    ) -> None:
        self._app = app
        self._names = frozenset(names)
        self._proxies = tuple(proxies)
        self._limits = limits or Limits()
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return  # no websockets, and nothing to start or stop
        request = secrets.token_hex(8)
        with within(request=request):
            await self._answer(scope, receive, send, request)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request: str) -> None:
        begun = monotonic()
        peer = str((scope.get("client") or ("",))[0])
        headers = _headers(scope)
        self._forwarded(scope, headers, peer)
        scope["postroom.request"] = request
        told: list[int] = []

        async def answer(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                told.append(message["status"])
                message = {**message, "headers": self._protected(scope, message, request)}
            await send(message)

        wrong = self._wrong(scope, headers)
        if wrong is not None:
            await _refuse(answer, scope, wrong)
        else:
            try:
                with span("request", method=scope["method"], door=_door(scope["path"])):
                    async with contextlib.AsyncExitStack() as ends:
                        await self._app(scope, self._limited(scope, receive, ends), answer)
            except _TooMuch as too_much:
                if not told:
                    await _refuse(answer, scope, too_much.status)
            except Exception as error:  # noqa: BLE001  # else the web server prints it, unscrubbed
                where = "".join(traceback.format_tb(error.__traceback__)[-_FRAMES:])
                said = (scope["method"], scope["path"], type(error).__name__, where)
                _log.error("mistake: %s %s: %s\n%s", *said)  # its text may hold what was typed
                if not told:
                    await _refuse(answer, scope, HTTPStatus.INTERNAL_SERVER_ERROR)
        _log.info(  # without what follows a "?": it may be an address that works once
            "%s %s %s", scope["method"], scope["path"], told[0] if told else 0,
            extra=about(peer=str((scope.get("client") or ("",))[0]),
                        ms=f"{(monotonic() - begun) * 1000:.1f}"),
        )  # fmt: skip

    # ------------------------------------------------------------------ what comes in

    def _forwarded(self, scope: Scope, headers: dict[bytes, list[bytes]], peer: str) -> None:
        """Believe a trusted proxy who asks, and how; from anybody else the headers are gone."""
        given = [headers.pop(name, []) for name in (b"x-forwarded-for", b"x-forwarded-proto")]
        scope["headers"] = [
            (name, value)
            for name, value in scope["headers"]
            if not name.startswith((b"x-forwarded-", b"forwarded"))
        ]
        if not self._trusts(peer):
            return
        hops = [hop.strip() for line in given[0] for hop in line.decode("latin-1").split(",")]
        # the nearest first: what stands before it, anybody may have written
        for hop in reversed(hops):
            if not _is_address(hop):
                break
            scope["client"] = (hop, 0)
            if not self._trusts(hop):
                break
        if given[1][-1:] in ([b"https"], [b"http"]):
            scope["scheme"] = given[1][-1].decode()

    def _trusts(self, peer: str) -> bool:
        return is_within(peer, self._proxies)

    def _wrong(self, scope: Scope, headers: dict[bytes, list[bytes]]) -> HTTPStatus | None:
        """The status of a request that is refused by its head alone."""
        host = headers.get(b"host", [])
        named = len(host) == 1 and host[0].decode("latin-1").lower() in self._names
        if not named and scope["path"] not in ANY_NAME:
            return HTTPStatus.MISDIRECTED_REQUEST
        if b"content-length" in headers and b"transfer-encoding" in headers:
            # two readers may find two ends (RFC 9112, 6.1; smuggling)
            return HTTPStatus.BAD_REQUEST
        if len(scope["raw_path"] or b"") + len(scope["query_string"]) > TARGET_BYTES:
            return HTTPStatus.REQUEST_URI_TOO_LONG
        if headers.get(b"content-encoding"):
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE  # a few bytes can unpack to gigabytes
        if (length := headers.get(b"content-length")) and (
            not length[0].isdigit() or int(length[0]) > self._limits.of(scope["path"])
        ):
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return HTTPStatus.NOT_FOUND if _is_odd(scope) else None

    def _limited(self, scope: Scope, receive: Receive, ends: contextlib.AsyncExitStack) -> Receive:
        """The body, up to its limits; one of the large has its turn until ``ends``."""
        most, until = self._limits.of(scope["path"]), monotonic() + BODY_SECONDS
        read, whole, turn = 0, False, False

        async def limited() -> MutableMapping[str, Any]:
            nonlocal read, whole, turn, until
            if whole:  # what comes now is only that they have gone
                return await receive()
            try:
                async with asyncio.timeout(max(0.0, until - monotonic())):
                    message = await receive()
            except TimeoutError:
                raise _TooMuch(HTTPStatus.REQUEST_TIMEOUT) from None
            read += len(message.get("body", b""))
            if read > most:
                raise _TooMuch(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            if read > BODY_BYTES and not turn:
                until += await self._turn(ends)
                turn = True
            whole = not message.get("more_body", False)
            return message

        return limited

    async def _turn(self, ends: contextlib.AsyncExitStack) -> float:
        """Wait for one of the turns that large bodies have; gives for how long."""
        begun = monotonic()
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await ends.enter_async_context(self._large)
        except TimeoutError:  # it is not they who were slow
            raise _TooMuch(HTTPStatus.SERVICE_UNAVAILABLE) from None
        return monotonic() - begun

    # ------------------------------------------------------------------ what goes out

    def _protected(
        self, scope: Scope, message: MutableMapping[str, Any], request: str
    ) -> list[tuple[bytes, bytes]]:
        headers = [
            (bytes(name).lower(), bytes(value)) for name, value in message.get("headers", [])
        ]
        said = {name for name, _ in headers}
        headers += [(name, value) for name, value in _ALWAYS.items() if name not in said]
        if scope["scheme"] == "https":
            headers.append(_HSTS)
        return [*headers, (b"x-request-id", request.encode())]


def networks(given: Sequence[str]) -> list[Network]:
    """Networks such as ``10.0.0.0/8`` or ``127.0.0.1``.  Raises InvalidValue."""
    found: list[Network] = []
    for text in given:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            raise InvalidValue(
                "trusted-proxy", f"{text!r} is neither an address nor a network such as 10.0.0.0/8"
            ) from None
    return found


def is_within(peer: str, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of these networks."""
    return _is_address(peer) and any(ipaddress.ip_address(peer) in one for one in networks)


def _headers(scope: Scope) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name, []).append(value)
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_odd(scope: Scope) -> bool:
    """Whether a path is another one than it looks (T52): dots, doubled or coded slashes, parameters."""
    raw = bytes(scope["raw_path"] or scope["path"].encode()).lower()
    if any(part in raw for part in (b"//", b"%2f", b"%5c", b"\\", b";", b"%00", b"%2e%2e")):
        return True
    return any(part in (".", "..") for part in scope["path"].split("/"))


def _door(path: str) -> str:
    """Where a request goes, without what it names: ``/api/v1/credentials``, ``/sources``."""
    parts = path.split("/")
    return "/".join(parts[: 4 if path.startswith("/api/") else 2])[:_LONGEST_DOOR]


_LONGEST_DOOR: Final = 64


async def _refuse(send: Send, scope: Scope, status: HTTPStatus) -> None:
    """A problem (RFC 9457), or a sentence for whoever wants a page."""
    said = _SAYS.get(status, status.phrase)
    problem = {"type": "about:blank", "title": said, "status": int(status), "code": "refused"}
    body = json.dumps(problem).encode()
    kind = b"application/problem+json"
    if not scope["path"].startswith("/api/"):
        body, kind = f"{said}\n".encode(), b"text/plain; charset=utf-8"
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", str(int(TURN_SECONDS)).encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})


_SAYS: Final = {
    HTTPStatus.BAD_REQUEST: "The request is not understood.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "This is a mistake of Postroom's. The log has more.",
    HTTPStatus.MISDIRECTED_REQUEST: "The room is not served under this name; see --name of postroom serve.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request is too large.",
    HTTPStatus.REQUEST_TIMEOUT: "The request took too long to arrive.",
    HTTPStatus.REQUEST_URI_TOO_LONG: "The address is too long.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Other large requests are under way. Send it again in a minute.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "Compressed requests are not taken.",
    HTTPStatus.NOT_FOUND: "There is nothing here.",
}
