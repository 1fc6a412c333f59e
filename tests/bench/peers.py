"""The peers: a raw IMAP socket, mbsync, smtplib, smtp-source, and what the disk itself can do."""

from __future__ import annotations

import contextlib
import os
import shutil
import smtplib
import socket
import sqlite3
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from pathlib import Path

from tests.bench.rooms import timed
from tests.ground.daemons import unavailable

__all__ = [
    "commit_rate",
    "files_rate",
    "mbsync",
    "mbsync_config",
    "program",
    "raw_imap",
    "smtp_sink",
    "smtp_source",
    "smtplib_bytes",
    "smtplib_messages",
    "sync_rate",
]

_MBSYNC = """\
FSync {fsync}

IMAPAccount bench
Host 127.0.0.1
Port {port}
User {user}
Pass {password}
AuthMechs LOGIN
SSLType None

IMAPStore far
Account bench

MaildirStore near
Inbox {base}/mail/INBOX
Path {base}/mail/

Channel bench
Far :far:
Near :near:
Patterns INBOX
Create Near
Sync Pull New
SyncState {base}/state/
"""


def program(name: str) -> str:
    """The path of a peer's program; raises Unavailable, which names its Debian package."""
    package = "isync" if name == "mbsync" else "postfix"
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is None:
        raise unavailable(f"{name} is missing: apt-get install {package}")
    return path


# ---------------------------------------------------------------- collecting


def raw_imap(port: int, user: str, password: str, *, tls: ssl.SSLContext | None = None) -> float:
    """Seconds to sign in, EXAMINE and fetch every body with one command, throwing all away."""
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        wire: socket.socket = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        if tls is not None:
            wire = stack.enter_context(tls.wrap_socket(wire, server_hostname="127.0.0.1"))
        wire.sendall(
            b'a LOGIN "%s" "%s"\r\nb EXAMINE INBOX\r\nc UID FETCH 1:* (UID BODY.PEEK[])\r\n'
            % (user.encode(), password.encode())
        )
        buffer = bytearray(256 * 1024)
        tail = b""
        while count := wire.recv_into(buffer):
            tail = (tail + bytes(buffer[max(0, count - 200) : count]))[-200:]
            if b"\r\nc OK" in tail and tail.endswith(b"\r\n"):
                return time.perf_counter() - began
    raise RuntimeError(f"the server did not give the messages: {tail!r}")


def mbsync_config(base: Path, port: int, user: str, password: str, *, fsync: bool = False) -> Path:
    """A configuration of the channel ``bench``, below ``base``."""
    config = base / "mbsyncrc"
    config.write_text(
        _MBSYNC.format(
            fsync="yes" if fsync else "no", port=port, user=user, password=password, base=base
        )
    )
    config.chmod(0o600)
    return config


def mbsync(base: Path, port: int, user: str, password: str, *, fsync: bool, count: int) -> float:
    """Seconds of mbsync as a process, into a new Maildir below ``base``."""
    (base / "mail").mkdir(parents=True)
    (base / "state").mkdir()
    config = mbsync_config(base, port, user, password, fsync=fsync)
    seconds, _ = timed([program("mbsync"), "-q", "-c", str(config), "bench"])
    found = sum(1 for part in ("new", "cur") for _ in (base / "mail/INBOX" / part).iterdir())
    if found != count:
        raise RuntimeError(f"mbsync wrote {found} of {count} messages")
    return seconds


# ---------------------------------------------------------------- sending


@contextlib.contextmanager
def smtp_sink(folder: Path) -> Iterator[int]:
    """Postfix's smtp-sink, which takes everything and keeps nothing; gives its port."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
    user = ["-u", "nobody"] if os.getuid() == 0 else []  # it insists as root
    with (folder / "smtp-sink.log").open("ab") as log:
        server = subprocess.Popen(
            [program("smtp-sink"), *user, f"127.0.0.1:{port}", "100"], stdout=log, stderr=log
        )
    try:
        _wait_for(port, server)
        yield port
    finally:
        server.kill()
        server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as wire:
            wire.recv(1)
            return
        if server.poll() is not None:
            break
        time.sleep(0.01)
    raise RuntimeError("smtp-sink does not answer")


def smtplib_bytes(port: int, contents: Sequence[bytes]) -> float:
    """Seconds of smtplib's ``sendmail`` for bytes that are ready, on one open connection."""
    with smtplib.SMTP("127.0.0.1", port) as wire:
        wire.ehlo()
        began = time.perf_counter()
        for number, content in enumerate(contents):
            wire.sendmail("bench@example.com", [f"reader{number}@example.com"], content)
        return time.perf_counter() - began


def smtplib_messages(port: int, texts: Sequence[str]) -> float:
    """Seconds of the usual loop: an EmailMessage each, ``send_message``, one open connection."""
    with smtplib.SMTP("127.0.0.1", port) as wire:
        wire.ehlo()
        began = time.perf_counter()
        for number, text in enumerate(texts):
            message = EmailMessage()
            message["From"] = "bench@example.com"
            message["To"] = f"reader{number}@example.com"
            message["Subject"] = f"Order {number}"
            message.set_content(text)
            wire.send_message(message)
        return time.perf_counter() - began


def smtp_source(port: int, count: int, size: int) -> float:
    """Seconds of Postfix's smtp-source with 8 sessions, each kept open."""
    words = ["-d", "-s", "8", "-m", str(count), "-l", str(size), f"127.0.0.1:{port}"]
    return timed([program("smtp-source"), *words])[0]


# ---------------------------------------------------------------- the disk


def sync_rate(folder: Path, count: int = 1000) -> float:
    """How often a second the disk takes 4 KiB durably: pwrite and fdatasync in a file that is there."""
    block = b"x" * 4096
    path = folder / "sync-rate"
    file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        os.write(file, block * 256)
        os.fsync(file)
        began = time.perf_counter()
        for number in range(count):
            os.pwrite(file, block, number % 256 * 4096)
            os.fdatasync(file)
        return count / (time.perf_counter() - began)
    finally:
        os.close(file)
        path.unlink()


def commit_rate(folder: Path, rows: int = 64, commits: int = 100) -> float:
    """Rows a second of a bare SQLite loop: so many INSERTs, one durable commit, and again."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, name TEXT, body TEXT)")
    body = "x" * 120
    began = time.perf_counter()
    for _ in range(commits):
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(rows):
            connection.execute("INSERT INTO bare (name, body) VALUES (?, ?)", ("bench", body))
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    connection.close()
    return rows * commits / seconds


def files_rate(folder: Path, content: bytes, count: int) -> float:
    """Files a second of the plain loop: create, write, fdatasync, close."""
    place = folder / "bare"
    place.mkdir()
    began = time.perf_counter()
    for number in range(count):
        file = os.open(place / f"{number}.eml", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        os.write(file, content)
        os.fdatasync(file)
        os.close(file)
    return count / (time.perf_counter() - began)
