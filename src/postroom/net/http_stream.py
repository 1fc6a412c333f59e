"""How httpcore2 comes to a socket: dialled by ``dial``, verified by ``tls``, never by itself.

Whatever goes wrong here is raised as the house's own error, which httpcore2 passes through.  One
exception: a write that fails is told to httpcore2, because the server may have answered before it
hung up, and that answer says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final

import httpcore2

from postroom import clock
from postroom.errors import DialError, PostroomError, TlsError, WireError
from postroom.net.certificates import explain, handshake_timed_out
from postroom.net.dial import Resolve, Route, Step, dial, steps_before
from postroom.net.names import address_of, host_and_port
from postroom.net.origin import Origin
from postroom.net.tls import FEED, RECORD, Channel

__all__ = ["Backend", "OnStep", "Stream"]

OnStep = Callable[[Step], None]
"""Hears of each step of opening a connection as it ends, also of those before a failure."""

READ: Final = 64 * 1024  # bytes taken from a socket at once
WRITE: Final = 64 * 1024  # bytes given to a socket at once: each has its own time
_CHECK = "Check the address in the settings, and any proxy or firewall on the way."


class Backend(httpcore2.AsyncNetworkBackend):
    """Opens connections to one origin and to nothing else."""

    def __init__(self, origin: Origin, on_step: OnStep | None, resolve: Resolve | None) -> None:
        self._origin = origin
        self._tell = on_step or (lambda _step: None)
        self._resolve = resolve

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Stream:
        """A connected stream.  Raises DialError with a hint that speaks of web addresses."""
        origin = self._origin
        if (host, port) != (origin.host, origin.port):
            raise AssertionError("a client asks its own origin only")  # checked by Origin.url
        route = Route(origin.host, origin.port, origin.proxy, origin.policy)
        resolve = self._resolve if origin.secure else self._only_here
        try:
            dialed = await dial(route, timeout=timeout or 20.0, resolve=resolve)
        except DialError as error:
            for step in steps_before(error):
                self._tell(step)
            if error.code in ("connect_refused", "timed_out"):
                error.hint = _CHECK
            raise
        for step in dialed.steps:
            self._tell(step)
        return Stream(dialed.sock, origin, dialed.steps, self._tell)

    async def _only_here(self, host: str, port: int, **hints: Any) -> list[tuple[Any, ...]]:
        """In the clear a name is asked only if it leads to this machine (RFC 6761, 6.3)."""
        ask = self._resolve or asyncio.get_running_loop().getaddrinfo
        answers = await ask(host, port, **hints)
        for answer in answers:
            address = address_of(str(answer[4][0]))
            if address is None or not address.is_loopback:
                raise DialError(
                    f"{host} leads to {answer[4][0]}, which is not this machine; in the clear "
                    "nothing else is asked.",
                    code="address_refused",
                    hint="Use https://.",
                    step="resolve",
                )
        return answers

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> Stream:
        """Never: every way out goes by ``dial``."""
        raise AssertionError("no origin is a unix socket")

    async def sleep(self, seconds: float) -> None:
        """Wait; httpcore2 does between attempts, which it is told not to make."""
        await asyncio.sleep(seconds)


class Stream(httpcore2.AsyncNetworkStream):
    """A socket under httpcore2, in the clear until :meth:`start_tls`."""

    def __init__(
        self, sock: socket.socket, origin: Origin, steps: list[Step], tell: OnStep
    ) -> None:
        self._sock = sock
        self._origin = origin
        self._steps = steps
        self._tell = tell
        self._where = host_and_port(origin.host, origin.port)
        self._channel: Channel | None = None
        self._raw = memoryview(b"")  # arrived and not decrypted yet
        self._early = b""  # decrypted by the look at an idle connection
        self._plain = memoryview(bytearray())
        self._loop = asyncio.get_running_loop()

    # ------------------------------------------------------------------- called by httpcore2

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> Stream:
        """Shake hands as the origin says; the context that httpcore2 holds is not used.

        Raises TlsError, whose facts hold the steps that succeeded.
        """
        began = clock.monotonic()
        try:
            channel = Channel(self._origin.tls, self._origin.host)
            async with asyncio.timeout(timeout):
                await self._shake(channel)
        except BaseException as error:
            self._sock.close()
            told = self._untrusted(error, timeout or 0.0)
            if told is error:
                raise
            raise told from error
        self._channel, self._plain = channel, memoryview(bytearray(RECORD))
        detail = f"{channel.version} {channel.cipher}"
        self._tell(Step("tls", clock.monotonic() - began, detail, channel.certificate()))
        return self

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """At most that many bytes; none at the end.  Raises WireError, TlsError."""
        if self._early:
            early, self._early = self._early[:max_bytes], self._early[max_bytes:]
            return early
        try:
            async with asyncio.timeout(timeout):
                if self._channel is None:
                    return await self._loop.sock_recv(self._sock, min(max_bytes, READ))
                return await self._read_tls(self._channel, max_bytes)
        except TimeoutError:
            raise self._timed_out("answer", timeout) from None
        except ssl.SSLError as error:
            raise self._broken(error) from error
        except OSError as error:
            raise self._lost() from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it; ``timeout`` is for each piece of :data:`WRITE` bytes."""
        view = memoryview(buffer)
        try:
            for start in range(0, len(view), WRITE):
                piece = view[start : start + WRITE]
                ready = piece if self._channel is None else self._channel.encrypt(piece)
                async with asyncio.timeout(timeout):
                    await self._loop.sock_sendall(self._sock, ready)
        except TimeoutError:
            raise self._timed_out("take what was sent", timeout) from None
        except ssl.SSLError as error:
            raise self._broken(error) from error
        except OSError as error:
            raise httpcore2.WriteError(str(error)) from error

    async def aclose(self) -> None:
        """Say close-notify without waiting, and close."""
        if self._channel is not None and self._sock.fileno() >= 0:
            with contextlib.suppress(OSError):
                self._sock.send(self._channel.close())
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        """``is_readable``: whether an idle connection is over, asked before it is used again."""
        return self._is_over() if info == "is_readable" else None

    # ------------------------------------------------------------------- inside

    async def _shake(self, channel: Channel) -> None:
        while True:
            try:
                over = channel.handshake()
            finally:
                # with an error, this is the alert that tells the other side why
                if data := channel.outgoing():
                    await self._loop.sock_sendall(self._sock, data)
            if over:
                return
            data = await self._loop.sock_recv(self._sock, FEED)
            if not data:
                raise EOFError
            channel.feed(memoryview(data))

    async def _read_tls(self, channel: Channel, most: int) -> bytes:
        while True:
            if plain := self._decrypt(channel, most):
                return plain
            if channel.closed:
                return b""
            if answer := channel.outgoing():  # a new key, RFC 8446 section 4.6.3
                await self._loop.sock_sendall(self._sock, answer)
            data = await self._loop.sock_recv(self._sock, READ)
            if not data:
                # RFC 8446 section 6.1: without close-notify somebody may have cut it short
                raise ConnectionResetError
            self._raw = memoryview(data)

    def _decrypt(self, channel: Channel, most: int) -> bytes:
        parts, got = [], 0
        while got < most:
            if count := channel.read_into(self._plain[: most - got]):
                parts.append(bytes(self._plain[:count]))
                got += count
            elif self._raw and not channel.closed:
                channel.feed(self._raw[:FEED])
                self._raw = self._raw[FEED:]
            else:
                break
        return b"".join(parts)

    def _is_over(self) -> bool:
        """Bytes that nobody asked for, or the end.  A session ticket (RFC 8446, 4.6.1) is neither,
        though the socket is readable then.
        """
        try:
            data = self._sock.recv(READ)
        except BlockingIOError:
            return bool(self._early)
        except OSError:
            return True
        if not data or self._channel is None:
            return True
        self._raw = memoryview(data)
        with contextlib.suppress(ssl.SSLError):
            self._early += self._decrypt(self._channel, READ)
            return bool(self._early) or self._channel.closed
        return True

    # ------------------------------------------------------------------- errors

    def _untrusted(self, error: BaseException, seconds: float) -> BaseException:
        """What a failed handshake means, and what to do about it for a web address."""
        told: PostroomError
        if isinstance(error, TimeoutError):
            told = handshake_timed_out(self._where, seconds)
        elif isinstance(error, ssl.SSLError | OSError | EOFError):
            told = explain(error, self._where, None)
        elif isinstance(error, TlsError):
            told = error
        else:
            return error
        if told.code in ("tls_failed", "timed_out"):
            told.hint = _CHECK
        elif told.code == "certificate_name":
            told.hint = "Use a host the certificate names."
        told.facts["steps"] = [step.as_json() for step in self._steps]
        return told

    def _broken(self, error: ssl.SSLError) -> PostroomError:
        """After the handshake only an alert still speaks of it: TLS 1.3 refuses a client
        certificate so late.  All else is a session that broke off.
        """
        if "ALERT" not in (error.reason or ""):
            return self._lost()
        return explain(error, self._where, None)

    def _lost(self) -> WireError:
        return WireError(
            f"{self._where} cut the connection off.", code="connection_lost", temporary=True
        )

    def _timed_out(self, what: str, seconds: float | None) -> WireError:
        return WireError(
            f"{self._where} did not {what} within {seconds:g} s.",
            code="timed_out",
            hint="Try again; if it stays so, the server is overloaded or something between stalls.",
            temporary=True,
        )
