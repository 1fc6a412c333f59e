"""A proxy before a served room: it takes TLS off, and says who asked and how, as a web server does."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterable
from typing import Final, Self

from tests.web.site import ELSEWHERE

__all__ = ["CALLER", "Front"]

CALLER: Final = "192.0.2.7"
"""Where every browser comes from, as this proxy says: no machine of this house (RFC 5737)."""


class Front:
    """``with Front(context) as front``: known as ``name``; asks the room on port ``room`` of this machine.

    One request a connection: what is between the two is never read, but for the head.
    """

    room: int

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.name = f"{ELSEWHERE}:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # closing alone would leave the thread waiting in accept
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._listening.accept()
                threading.Thread(target=self._pass, args=(line,), daemon=True).start()

    def _pass(self, line: socket.socket) -> None:
        # a browser leaves when it likes
        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(line, server_side=True) as caller,
            caller.makefile("rb") as asked,
        ):
            head: list[bytes] = []
            while (read := asked.readline()) != b"\r\n":
                if not read:  # opened for a request that never came
                    return
                head.append(read)
            with socket.create_connection(("127.0.0.1", self.room)) as room:
                room.sendall(b"".join(_told(head)) + b"\r\n" + asked.read(_length(head)))
                while data := room.recv(65536):
                    caller.sendall(data)


def _told(head: list[bytes]) -> Iterable[bytes]:
    """The head as the room gets it; what the caller says of themselves is replaced."""
    mine = (b"x-forwarded-", b"connection:")
    yield from (each for each in head if not each.lower().startswith(mine))
    yield f"X-Forwarded-For: {CALLER}\r\n".encode()
    yield b"X-Forwarded-Proto: https\r\nConnection: close\r\n"


def _length(head: list[bytes]) -> int:
    found = [each for each in head if each.lower().startswith(b"content-length:")]
    return int(found[0].partition(b":")[2]) if found else 0
