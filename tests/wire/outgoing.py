"""What the tests of sending share: targets, messages, a file as content, smtp-sink."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from postroom.net.dial import Route
from postroom.net.tls import Tls
from postroom.protocols.base import (
    Content,
    Envelope,
    Limits,
    Outcome,
    Security,
    SignIn,
    Submission,
    Transport,
    WireTarget,
)
from postroom.protocols.content import Held
from postroom.secret import Secret
from tests.ground import Pki, Unavailable, User

__all__ = [
    "FileContent",
    "message",
    "password",
    "send",
    "sink",
    "states",
    "submission",
    "target",
]

HOST = "127.0.0.1"


def target(
    port: int,
    security: Security,
    pki: Pki | None = None,
    *,
    cleartext: bool = False,
    reply_timeout: float = 10.0,
    host: str = HOST,
) -> WireTarget:
    """A target on loopback that trusts the test CA."""
    tls = Tls((pki.ca.read_text(),)) if pki is not None else Tls()
    limits = Limits(reply_timeout=reply_timeout, connect_timeout=5.0)
    return WireTarget(Route(host, port), security, tls, limits, cleartext)


def password(user: User) -> SignIn:
    """How that user signs in."""
    return SignIn("password", user.address, Secret(user.password))


def message(subject: str = "Hello", body: str = "Text.\r\n") -> bytes:
    """A small message with CRLF lines."""
    return f"From: a@ground.test\r\nTo: b@ground.test\r\nSubject: {subject}\r\n\r\n{body}".encode()


def submission(
    number: int | str, sender: str, *recipients: str, content: bytes | Content | None = None
) -> Submission:
    """A submission whose subject is its id."""
    content = message(f"number {number}") if content is None else content
    held = Held(content) if isinstance(content, bytes) else content
    return Submission(str(number), Envelope(sender, recipients), held)


async def send(transport: Transport, *submissions: Submission) -> list[Outcome]:
    """All outcomes."""
    return [outcome async for outcome in transport.submit(submissions)]


def states(outcome: Outcome) -> list[tuple[str, int, str]]:
    """State, code and step of each recipient."""
    return [(r.reply.state, r.reply.code, r.reply.step) for r in outcome.recipients]


class FileContent:
    """A base.Content in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def open(self) -> IO[bytes]:
        return self.path.open("rb")

    def bytes(self) -> bytes:
        return self.path.read_bytes()

    def discard(self) -> None:
        self.path.unlink()


@contextlib.contextmanager
def sink() -> Iterator[int]:
    """Postfix's smtp-sink: it takes everything and throws it away.  Gives its port."""
    program = shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None:
        raise Unavailable("smtp-sink is missing: apt-get install postfix")
    with socket.socket() as held:  # bound and not listening: nobody else is given that port
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((HOST, 0))
        port = int(held.getsockname()[1])
        process = subprocess.Popen([program, "-u", "nobody", f"{HOST}:{port}", "256"])
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection((HOST, port)) as client:
                    client.recv(1)
                    break
                time.sleep(0.02)
            yield port
        finally:
            process.kill()
            process.wait()
