"""A mailbox on the real Dovecot and the source ``orders-in`` that collects it into a directory."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from postroom.app import Room
from postroom.clock import monotonic
from postroom.net.dial import Route
from postroom.net.tls import Tls
from postroom.protocols.base import MessageStore, SignIn, WireTarget
from postroom.protocols.imap import open_store
from postroom.secret import Secret
from postroom.sources.handing import Tally
from tests.ground import Ground, User, maildir

__all__ = ["Incoming", "letter", "soon"]

NAME = "orders-in"


def letter(subject: str, sender: str = "ada@partner.example", size: int = 0) -> bytes:
    """A small message, with a body of about ``size`` bytes."""
    body = "x" * 70 + "\r\n"
    head = (
        f"From: Ada <{sender}>\r\nSubject: {subject}\r\nMessage-ID: <{subject}@partner.example>\r\n"
    )
    return (head + "\r\n" + body * (size // 72 + 1)).encode()


async def soon(check: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait until it is so; AssertionError after that many seconds."""
    end = monotonic() + seconds
    while not check():
        assert monotonic() < end, f"not so within {seconds} s"
        await asyncio.sleep(0.02)


@dataclasses.dataclass
class Incoming:
    """One user's mailbox, the room that watches it, and where its messages go."""

    room: Room
    ground: Ground
    user: User
    sink: Path

    async def source(self, name: str = NAME, **fields: Any) -> None:
        """Define the source."""
        sink = {"type": "directory", "path": str(self.sink)}
        await self.room.sources.add({"name": name, "connection": "acme", "sink": sink, **fields})

    async def run(self, name: str = NAME) -> Tally:
        """Collect once."""
        tally = await self.room.collecting.run(name)
        assert tally is not None
        return tally

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Collect until the block is left; from when the first pass is over."""
        before = self.row()["successes"]
        task = asyncio.create_task(self.room.collecting.watch(NAME))
        try:
            await soon(lambda: task.done() or self.row()["successes"] > before)
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @contextlib.asynccontextmanager
    async def store(self) -> AsyncIterator[MessageStore]:
        """The same mailbox, opened by another mail program."""
        trust = Tls((self.ground.pki.ca.read_text(),))
        where = WireTarget(Route("127.0.0.1", self.ground.dovecot.imaps), "tls", trust)
        secret = Secret(self.user.password)
        store = await open_store(where, SignIn("password", self.user.address, secret))
        try:
            yield store
        finally:
            await store.close()

    def state(self) -> str:
        """What the source is doing."""
        found: str = self.row()["state"]
        return found

    def row(self) -> Any:
        """Its row."""
        return self.room.desk.db.read_now(
            lambda tx: tx.one("SELECT * FROM sources WHERE name_key = :n", n=NAME)
        )

    def counts(self, name: str = NAME) -> dict[str, int]:
        """How many messages are in which state."""
        rows = self.room.desk.db.read_now(
            lambda tx: tx.all(
                "SELECT l.state, count(*) AS n FROM ledger l JOIN sources s ON s.id = l.source "
                "WHERE s.name_key = :name GROUP BY l.state",
                name=name,
            )
        )
        return {row["state"]: row["n"] for row in rows}

    def fill(self, *messages: bytes, folder: str = "INBOX") -> None:
        """Put messages into a folder, past every protocol."""
        self.ground.dovecot.fill(self.user, messages, folder=folder)

    def files(self, sink: Path | None = None, folder: str = "INBOX") -> list[Path]:
        """The files of the sink, oldest uid first."""
        found = list(((sink or self.sink) / folder).glob("*.eml"))
        return sorted(found, key=lambda path: [int(n) for n in path.stem.split("-")])

    def subjects(self, sink: Path | None = None) -> list[str]:
        """The subjects of what was collected."""
        return [_subject(path.read_bytes()) for path in self.files(sink)]

    def there(self, folder: str = "INBOX") -> list[str]:
        """The subjects of what lies in a folder of the server, oldest first."""
        return [_subject(one) for one in maildir.read(self.user.maildir, folder)]

    def flags(self, folder: str = "INBOX") -> list[str]:
        """The Maildir flags of what lies in a folder (``S`` seen, ``F`` flagged)."""
        path = maildir.folder_path(self.user.maildir, folder)
        return sorted(
            file.name.partition(":2,")[2]
            for part in ("new", "cur")
            for file in (path / part).iterdir()
        )

    def renumber(self) -> None:
        """Give INBOX another UIDVALIDITY, as a server does whose index was rebuilt."""
        uids = self.user.maildir / "dovecot-uidlist"
        text = uids.read_text()
        owner = uids.stat()
        uids.write_text(re.sub(r" V(\d+)", lambda m: f" V{int(m[1]) + 1}", text, count=1))
        os.chown(uids, owner.st_uid, owner.st_gid)
        for index in self.user.maildir.glob("dovecot.index*"):
            index.unlink()

    def received(self, subject: str, instant: float) -> None:
        """Set when a message arrived (INTERNALDATE: Dovecot takes the file's time)."""
        for part in ("new", "cur"):
            for file in (self.user.maildir / part).glob("*"):
                if _subject(file.read_bytes()) == subject:
                    os.utime(file, (instant, instant))


def _subject(raw: bytes) -> str:
    found = re.search(rb"^Subject: (.*?)\r?$", raw, re.MULTILINE)
    return found[1].decode() if found else ""
