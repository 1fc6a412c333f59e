"""The demo's second process: pymap (IMAP) and aiosmtpd (SMTP) over TLS, until its input ends.

Started by :mod:`postroom.cli.demo.servers` only.  One JSON line on standard input says what to
serve; one JSON line on standard output says the ports, or what is wrong.  After that the process
lives as long as its standard input: however the parent ends, the system closes that pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import hmac
import itertools
import json
import logging
import os
import secrets
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pymap.backend.maildir import Config
from pymap.backend.maildir.users import PasswordsFile, UsersFile
from pymap.concurrent import Subsystem
from pymap.imap import (  # type: ignore[attr-defined]  # the reader is of a library below pymap
    IMAPServer,
    ProxyProtocolReader,
)

from postroom.cli.demo.certificates import identity
from postroom.cli.demo.maildir import WholeLogin

__all__ = ["main"]

_SIZE_LIMIT = 64 * 1024 * 1024
_THREADS = 16
"""pymap works in threads; each client in IDLE holds one."""
_PATIENCE = 2.0
"""Seconds to wait for the servers of a demo that has just ended to let go of the directory."""
_log = logging.getLogger("postroom.demo")


class _Post:
    """aiosmtpd's handler: takes messages for the demo's own domain and delivers them."""

    def __init__(self, maildir: Path, user: str) -> None:
        self._maildir = maildir
        self._domain = user.rpartition("@")[2].lower()
        self._numbers = itertools.count(1)

    async def handle_MAIL(  # noqa: N802  # aiosmtpd finds the hook by this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender accepted"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.rpartition("@")[2].lower() != self._domain:
            return f"550 5.7.1 This demo takes messages for {self._domain} only"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Recipient accepted"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        name = self._deliver(envelope.mail_from or "", content)
        _log.info("accepted %d bytes as %s", len(content), name)
        return f"250 2.0.0 Delivered as {name}"

    def _deliver(self, sender: str, content: bytes) -> str:
        """One new file in the Maildir, complete from the moment it can be seen."""
        instant = time.time()
        name = (
            f"{int(instant)}.M{int(instant % 1 * 1_000_000):06d}"
            f"P{os.getpid()}Q{next(self._numbers)}.postroom-demo"
        )
        trace = (
            f"Return-Path: <{sender}>\r\n"
            f"Received: by localhost (Postroom demo) with ESMTPSA; {formatdate(instant)}\r\n"
        )
        draft = self._maildir / "tmp" / name
        draft.write_bytes(trace.encode() + content)
        draft.rename(self._maildir / "new" / name)
        return name


def _authenticator(user: str, password: str) -> Any:
    def check(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any
    ) -> AuthResult:
        right = isinstance(given, LoginPassword) and (
            hmac.compare_digest(given.login, user.encode())
            & hmac.compare_digest(given.password, password.encode())
        )
        _log.info("SMTP sign-in by AUTH %s: %s", mechanism, "yes" if right else "no")
        return AuthResult(success=right, handled=False)

    return check


class _Hashing:
    """How pymap keeps the password: its own way takes 0.2 s a sign-in, too long for a demo's."""

    def copy(self, **kwargs: Any) -> _Hashing:
        return self

    def hash(self, secret: str) -> str:
        return self._with(secrets.token_hex(16), secret)

    def verify(self, secret: str, hash: str) -> bool:
        return hmac.compare_digest(self._with(hash.partition("$")[0], secret), hash)

    def _with(self, salt: str, secret: str) -> str:
        digest = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt.encode(), 10_000)
        return f"{salt}${digest.hex()}"


async def _write_user(config: Config, user: str, password: str, maildir: Path) -> None:
    """The one user, in pymap's files."""
    base = config.base_dir
    async with UsersFile.with_write(base) as users:
        users.set(users.build_record(user, str(maildir)))
    kept = config.hash_context.hash(config.password_prep(password))
    async with PasswordsFile.with_write(base) as passwords:
        passwords.set(passwords.build_record(user, kept))


def _imap_config(base: Path) -> Config:
    files = identity(base / "tls")
    config = Config(
        Namespace(passlib_cfg=None, proxy_protocol=None),
        base_dir=str(base),
        layout="++",
        colon=None,
        host=None,
        port=0,
        cert_file=str(files.certificate),
        key_file=str(files.key),
        tls_enabled=False,  # this is STARTTLS; we are inside TLS already
        hash_context=_Hashing(),
        subsystem=Subsystem.for_threading(ThreadPoolExecutor(_THREADS)),
    )
    config.apply_context()
    return config


async def _serve(order: dict[str, Any], answer: int) -> None:
    base, user, password = Path(order["directory"]), order["user"], order["password"]
    maildir, host = base / "mailbox", order["address"]
    _tidy(base, maildir)
    config = _imap_config(base)
    await _write_user(config, user, password, maildir)
    loop = asyncio.get_running_loop()
    imap = ProxyProtocolReader(config.proxy_protocol).get_callback(
        IMAPServer(WholeLogin(config), config)
    )
    post, authenticator = _Post(maildir, user), _authenticator(user, password)

    def smtp() -> SMTP:
        # TLS is there from the first byte, which aiosmtpd does not see: it may offer AUTH at once
        return SMTP(
            post,
            loop=loop,
            hostname="localhost",
            data_size_limit=_SIZE_LIMIT,
            enable_SMTPUTF8=True,
            auth_require_tls=False,
            authenticator=authenticator,
        )

    tls = config.ssl_context
    last = _last_ports(base)
    servers = [
        await _listen(lambda port: asyncio.start_server(imap, host, port, ssl=tls), last[0]),
        await _listen(lambda port: loop.create_server(smtp, host, port, ssl=tls), last[1]),
    ]
    ports = [int(server.sockets[0].getsockname()[1]) for server in servers]
    (base / "ports.json").write_text(json.dumps(ports), "ascii")
    _say(answer, {"imap_port": ports[0], "smtp_port": ports[1]})
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _listen(
    make: Callable[[int], Awaitable[asyncio.base_events.Server]], port: int
) -> asyncio.base_events.Server:
    """Listen on the port of the last time, or on a free one if it is taken by now."""
    if port:
        with contextlib.suppress(OSError):
            return await make(port)
    return await make(0)


def _last_ports(base: Path) -> list[int]:
    try:
        imap, smtp = json.loads((base / "ports.json").read_text("ascii"))
        return [int(imap), int(smtp)]
    except (OSError, ValueError, TypeError):
        return [0, 0]


def _tidy(base: Path, maildir: Path) -> None:
    """Make what is missing; remove earlier users, and locks and drafts of servers killed."""
    for name in ("tmp", "new", "cur"):
        (maildir / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = base / "scratch"
    scratch.mkdir(exist_ok=True, mode=0o700)
    for stale in (*maildir.rglob("*.lock"), *base.glob("pymap-*"), *scratch.iterdir()):
        stale.unlink(missing_ok=True)
    # pymap renames its drafts into place, which a /tmp on another file system would not allow
    tempfile.tempdir = str(scratch)


def _hold(base: Path) -> bool:
    """Take the directory for this process alone; the lock falls when the process ends."""
    lock = os.open(base / "servers.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)


def _say(answer: int, told: dict[str, Any]) -> None:
    os.write(answer, json.dumps(told).encode() + b"\n")
    os.close(answer)


def _live_with_input() -> None:
    while os.read(0, 4096):  # not through sys.stdin: its lock would be held while Python ends
        pass
    # at once: no thread of pymap's may hold the process back, and every file is renamed into place
    os._exit(0)


def main() -> None:
    """Serve what the line on standard input says."""
    order = json.loads(sys.stdin.buffer.readline())
    # a thread, so that a busy loop cannot keep the process from seeing its parent end
    threading.Thread(target=_live_with_input, daemon=True).start()
    answer = os.dup(1)
    os.dup2(2, 1)
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s"
    )
    _log.setLevel(logging.INFO)
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # warns of itself at every sign-in
    # pymap reads these; without a name it would ask the resolver for one at every greeting
    os.environ["FQDN"] = "localhost"
    for name in ("CERT_FILE", "KEY_FILE"):
        os.environ.pop(name, None)
    # and it gives dates of the other half of the year with today's offset: an hour off
    os.environ["TZ"] = "UTC"
    time.tzset()
    if not _hold(Path(order["directory"])):
        _say(answer, {"error": "busy"})
        return
    asyncio.run(_serve(order, answer))


if __name__ == "__main__":
    main()
