"""Two mail servers nobody here wrote, for as long as a block of code: IMAP and SMTP on loopback.

Both speak TLS from the first byte (RFC 8314), with a certificate of a little authority that the
room is to be told to trust.  They run in a process of their own that ends with this one, however
this one ends.  What they have to say goes to ``servers.log`` in the demo's directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import postroom
from postroom.errors import Refused, RoomError

__all__ = ["DemoServers", "check_extra", "demo_servers"]

ADDRESS = "127.0.0.1"
_START = 20.0
_END = 3.0
"""Seconds for the servers to start, and to end when asked."""


@dataclass(frozen=True)
class DemoServers:
    """Where the servers are.  ``ca_pem`` is the text of the authority's certificate."""

    address: str
    imap_port: int
    smtp_port: int
    ca_pem: str
    user: str
    directory: Path
    pid: int

    @property
    def maildir(self) -> Path:
        """The mailbox that both servers share."""
        return self.directory / "mailbox"

    @property
    def log(self) -> Path:
        """What the servers printed."""
        return self.directory / "servers.log"


def check_extra() -> None:
    """Raise Refused, with the command to type, unless pymap and aiosmtpd are installed."""
    missing = [name for name in ("pymap", "aiosmtpd") if find_spec(name) is None]
    if missing:
        raise Refused(
            "The demo needs two servers that are not installed.",
            hint="In the clone: make demo, or pip install '.[demo]'",
            code="not_supported",
            missing=missing,
        )


@contextlib.asynccontextmanager
async def demo_servers(directory: Path, user: str, password: str) -> AsyncIterator[DemoServers]:
    """IMAP and SMTP over ``directory / "mailbox"``, where ``user`` (an address) signs in.

    The Maildir is used as it is, or made empty; see :func:`postroom.cli.demo.mailbox.fill`.  The
    certificate, and the ports if they are free, are those of the last time.  SMTP takes messages
    for any address of the user's domain and puts them into the same mailbox; it refuses others.
    Raises Refused when the extra is missing or another demo uses the directory, RoomError when the
    servers do not start.
    """
    check_extra()
    directory = _made(directory)
    process = await _start(directory)
    try:
        # the password goes through the pipe: never in argv, never in the environment
        order = {
            "directory": str(directory), "user": user, "password": password, "address": ADDRESS,
        }  # fmt: skip
        told = await _ask(process, order, directory)
        yield DemoServers(
            address=ADDRESS,
            imap_port=told["imap_port"],
            smtp_port=told["smtp_port"],
            ca_pem=(directory / "tls" / "ca.pem").read_text("ascii"),
            user=user,
            directory=directory,
            pid=process.pid,
        )
    finally:
        await _end(process)


def _made(directory: Path) -> Path:
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return directory


async def _start(directory: Path) -> asyncio.subprocess.Process:
    package = str(Path(postroom.__file__).parents[1])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    log = os.open(
        directory / "servers.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
    )
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "postroom.cli.demo.serving",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
            env=os.environ | {"PYTHONPATH": path},
            # Ctrl-C is for the parent: it ends its own work first, while the servers still answer
            start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(log)


async def _ask(
    process: asyncio.subprocess.Process, order: dict[str, Any], directory: Path
) -> dict[str, Any]:
    assert process.stdin is not None  # noqa: S101  # made with pipes above
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(json.dumps(order).encode() + b"\n")
    try:
        with contextlib.suppress(ConnectionError):  # the answer, or its absence, says more
            await process.stdin.drain()
        line = await asyncio.wait_for(process.stdout.readline(), _START)
    except TimeoutError:
        line = b""
    told: dict[str, Any] = json.loads(line) if line else {}
    if told.get("error") == "busy":
        raise Refused(
            f"Another demo is running in {directory}.",
            hint="Wait until it ends, or give this one another directory.",
        )
    if "imap_port" not in told:
        raise RoomError(
            "The demo's mail servers did not start.",
            hint=f"What they said stands at the end of {directory / 'servers.log'}.",
        )
    return told


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close the pipe the servers live by; end them if that is not enough."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _END)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
