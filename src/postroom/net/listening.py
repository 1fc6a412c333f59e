"""The way in: listening sockets, and the TLS context of a server (TLS 1.2 and 1.3, RFC 9325)."""

from __future__ import annotations

import errno
import functools
import ipaddress
import os
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from postroom.errors import InvalidValue, RoomError

__all__ = ["CUT_AT_ONCE", "Counted", "ServerTls", "is_loopback", "listen"]

CUT_AT_ONCE: Final = 100


class Counted(socket.socket):
    """Listens, and keeps so many connections at a time, in all and of one place; others are cut.

    They count from when they are taken, before anything is said: a TLS handshake is one as well.
    """

    def limit(self, *, most: int, of_one: int, place: Callable[[str], str]) -> None:
        """``place`` is what an address counts under; empty: many come over it, and it has no limit."""
        self._most, self._of_one, self._place = most, of_one, place
        self._kept: Counter[str] = Counter()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that is kept.  Raises as a socket does where none waits, and after
        ``CUT_AT_ONCE`` that are cut: whoever listens has others to see to."""
        for _ in range(CUT_AT_ONCE):
            made, peer = super().accept()
            place = self._place(str(peer[0]))
            if self._kept.total() < self._most and not (
                place and self._kept[place] >= self._of_one
            ):
                self._kept[place] += 1
                return _Kept.of(made, self._kept, place), peer
            made.close()
        raise BlockingIOError


class _Kept(socket.socket):
    """A connection that counts until it is closed."""

    @classmethod
    def of(cls, made: socket.socket, kept: Counter[str], place: str) -> _Kept:
        own = cls(made.family, made.type, made.proto, fileno=made.detach())
        own._left = functools.partial(_left, kept, place)
        return own

    _left: Callable[[], None] | None = None

    def close(self) -> None:
        """It counts no more."""
        left, self._left = self._left, None
        super().close()
        if left is not None:
            left()


def _left(kept: Counter[str], place: str) -> None:
    kept[place] -= 1
    if not kept[place]:  # addresses that were here once are not remembered
        del kept[place]


def listen(host: str, port: int) -> Counted:
    """A socket that listens on an address of this machine; port 0 is a free one.

    Raises InvalidValue for what is no address, RoomError where the port is taken or not permitted.
    """
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        raise InvalidValue("host", f"{host!r} is no address; give one such as 127.0.0.1") from None
    # named as TCP, or asyncio would not turn Nagle's algorithm off, and each answer wait 40 ms
    made = Counted(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        made.listen(512)
    except OSError as error:
        made.close()
        taken = error.errno == errno.EADDRINUSE
        raise RoomError(
            f"Port {port} of {host} is taken by another program."
            if taken
            else f"Port {port} of {host} cannot be listened on: {os.strerror(error.errno or 0)}.",
            hint="Choose another one with --port.",
        ) from None
    made.setblocking(False)
    return made


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class ServerTls:
    """A server's certificate and key, from files; read again when they have changed on the disk."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """``certificate`` is a PEM chain, leaf first; ``key`` its PEM key.  Raises InvalidValue."""
        self._files = (certificate, key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        self.context.set_alpn_protocols(["http/1.1"])
        self._seen = self._times()
        self._load(self.context)

    def renew(self) -> bool:
        """Whether the files had changed and are in use now.  Raises InvalidValue; the old ones stay."""
        times = self._times()
        if times == self._seen:
            return False
        self._seen = times
        self._load(
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        )  # half a pair must not take the old one's place
        self._load(self.context)
        return True

    def _times(self) -> list[float]:
        try:
            return [path.stat().st_mtime for path in self._files]
        except OSError as error:
            raise InvalidValue("cert", f"{error.filename} cannot be read") from None

    def _load(self, context: ssl.SSLContext) -> None:
        certificate, key = self._files
        try:
            context.load_cert_chain(certificate, key, password=_no_passphrase)
        except (OSError, ssl.SSLError) as error:
            told = error.strerror or getattr(error, "reason", "") or "not understood"
            raise InvalidValue(
                "cert",
                f"{certificate} and {key} are not a certificate chain and its key without a "
                f"passphrase, both PEM ({told})",
            ) from None


def _no_passphrase() -> str:
    return ""  # or OpenSSL would ask on the terminal
