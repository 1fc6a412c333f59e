"""Opening a socket: resolve once, check every address, connect in the order of RFC 8305.

Only addresses that were checked are dialled, so a name that changes its answer between check and
use (DNS rebinding) gains nothing.  No environment variable is read: a proxy is named in the route.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from postroom import clock
from postroom.errors import DialError, PostroomError
from postroom.net import failures, proxy
from postroom.net.addresses import refusal
from postroom.net.names import address_of, canonical_host, check_port

__all__ = ["Dialed", "Policy", "Resolve", "Route", "Step", "dial", "steps_before"]

Resolve = Callable[..., Awaitable[list[tuple[Any, ...]]]]
"""Called as ``resolve(host, port, type=..., proto=...)``; answers as ``loop.getaddrinfo`` does."""

STAGGER = 0.25  # seconds before the next address is tried beside the last, RFC 8305 section 8
MOST_ADDRESSES = 16  # a hostile name may resolve to hundreds


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be dialled.  Link-local, metadata, multicast and the like never are.

    ``public_only`` also refuses loopback, private, carrier-shared and reserved addresses.
    """

    public_only: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """Where to connect: host and TCP port, by which HTTP CONNECT proxy, under which policy."""

    host: str
    port: int
    proxy: tuple[str, int] | None = None
    policy: Policy = Policy()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of opening a connection: its name, how long it took, what came of it.

    ``certificate`` is the server's own in DER, of the step in which TLS began.
    """

    name: str
    seconds: float
    detail: str = ""
    certificate: bytes | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """The step as facts of an error and ``connection test`` show it: name, ok, ms, detail."""
        ms = round(self.seconds * 1000, 1)
        return {"name": self.name, "ok": True, "ms": ms, "detail": self.detail}


@dataclass(slots=True)
class Dialed:
    """A connected, non-blocking socket; the address it leads to; and the steps it took."""

    sock: socket.socket
    address: str
    steps: list[Step] = field(default_factory=list)


@dataclass(slots=True)
class _Progress:
    """Where a dial stands, for the sentence of a time-out."""

    step: str = "resolve"
    began: float = field(default_factory=clock.monotonic)
    steps: list[Step] = field(default_factory=list)
    failed: dict[str, OSError] = field(default_factory=dict)

    def done(self, detail: str) -> None:
        now = clock.monotonic()
        self.steps.append(Step(self.step, now - self.began, detail))
        self.began = now


async def dial(route: Route, *, timeout: float, resolve: Resolve | None = None) -> Dialed:
    """Connect within ``timeout`` seconds, all steps together.

    Raises InvalidValue for a host or port that cannot be, DialError for the rest: ``host_unknown``,
    ``address_refused``, ``connect_refused``, ``connect_failed``, ``timed_out``, ``proxy_failed``.
    Its facts hold ``steps`` (those that succeeded) and ``attempts`` (address and error of each).
    """
    host = canonical_host(route.host)
    port = check_port(route.port)
    progress = _Progress()
    try:
        async with asyncio.timeout(timeout):
            if route.proxy is None:
                return await _direct(host, port, route.policy, resolve, progress)
            return await _by_proxy(host, port, route.policy, route.proxy, resolve, progress)
    except TimeoutError:
        error = failures.timed_out(host, port, progress.step, timeout)
    except DialError as raised:
        error = raised
    error.facts["steps"] = [step.as_json() for step in progress.steps]
    if progress.failed:
        error.facts["attempts"] = {k: failures.reason(v) for k, v in progress.failed.items()}
    raise error


def steps_before(error: PostroomError) -> list[Step]:
    """The steps that went well before a dial failed, as its facts keep them."""
    found = error.facts.get("steps", ())
    return [Step(one["name"], one["ms"] / 1000, one["detail"]) for one in found]


async def _direct(
    host: str, port: int, policy: Policy, resolve: Resolve | None, progress: _Progress
) -> Dialed:
    progress.step = "resolve"
    addresses = await _resolve(host, port, policy, resolve)
    progress.done(", ".join(addresses))
    progress.step = "connect"
    sock, address = await _race(addresses, host, port, progress.failed)
    progress.done(address)
    return Dialed(sock, address, progress.steps)


async def _by_proxy(
    host: str,
    port: int,
    policy: Policy,
    named: tuple[str, int],
    resolve: Resolve | None,
    progress: _Progress,
) -> Dialed:
    """The operator named the proxy, so it may be private; the host behind it is still judged.

    With ``public_only`` the name is resolved here and the proxy is given the checked address.
    Otherwise the proxy resolves it, since often nothing else can.
    """
    beyond = host
    if policy.public_only or address_of(host) is not None:
        beyond = (await _resolve(host, port, policy, resolve))[0]
    by, by_port = canonical_host(named[0], field="proxy"), check_port(named[1])
    dialed = await _direct(by, by_port, Policy(), resolve, progress)
    progress.step = "proxy"
    try:
        await proxy.connect(dialed.sock, beyond, port, by, by_port)
    except BaseException:
        dialed.sock.close()
        raise
    progress.done(f"by {by}:{by_port}")
    return dialed


async def _resolve(host: str, port: int, policy: Policy, resolve: Resolve | None) -> list[str]:
    """The addresses to try, in order; all of them are permitted, or DialError."""
    literal = address_of(host)
    if literal is not None:
        found = [str(literal)]
    else:
        ask = resolve or asyncio.get_running_loop().getaddrinfo
        try:
            answers = await ask(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        except (OSError, UnicodeError) as error:
            raise failures.unresolved(host, error) from error
        found = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    if not found:
        raise failures.unresolved(host, None)
    for text in found:
        address = address_of(text)
        why = "not an address" if address is None else _refusal(address, text, policy)
        if why:
            raise failures.refused_address(host, port, text, why, mixed=len(found) > 1)
    return _interleaved(found)[:MOST_ADDRESSES]


def _refusal(address: Any, text: str, policy: Policy) -> str:
    return "link-local" if "%" in text else refusal(address, public_only=policy.public_only)


def _interleaved(addresses: list[str]) -> list[str]:
    """The families in turn, beginning with the one the resolver put first (RFC 8305 section 4)."""
    first_is_v6 = ":" in addresses[0]
    first = [a for a in addresses if (":" in a) == first_is_v6]
    second = [a for a in addresses if (":" in a) != first_is_v6]
    mixed: list[str] = []
    while first or second:
        mixed += first[:1] + second[:1]
        del first[:1], second[:1]
    return mixed


async def _race(
    addresses: list[str], host: str, port: int, failed: dict[str, OSError]
) -> tuple[socket.socket, str]:
    """The first address that connects wins; whatever else connected meanwhile is closed."""
    waiting = list(addresses)
    running: dict[asyncio.Task[socket.socket], str] = {}
    try:
        while waiting or running:
            if waiting:
                address = waiting.pop(0)
                running[asyncio.create_task(_connect(address, port))] = address
            done, _ = await asyncio.wait(
                running,
                timeout=STAGGER if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                error = task.exception()
                if error is None:
                    return task.result(), running.pop(task)
                if not isinstance(error, OSError):
                    raise error
                failed[running.pop(task)] = error
    finally:
        for task in running:
            task.add_done_callback(_close)
            task.cancel()
    raise failures.unreached(host, port, failed)


def _close(task: asyncio.Task[socket.socket]) -> None:
    """A loser of the race, which may have connected in the very moment it lost."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connect(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        _tune(sock)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _tune(sock: socket.socket) -> None:
    """No waiting for fuller packets; and a dead peer is noticed under an IDLE of 25 minutes."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 120), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
