"""How the tests of IMAP open a store and ask the oracle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import imapclient

from postroom.net.dial import Route, Step
from postroom.net.tls import Tls
from postroom.protocols.base import Content, Limits, Security, SignIn, Spool, WireTarget
from postroom.protocols.imap import ImapStore, open_store
from postroom.secret import Secret
from tests.ground import Ground, User

__all__ = ["Spooled", "Spools", "collect", "listing", "opened", "oracle", "sign_in", "target"]


def target(
    ground: Ground | None,
    port: int,
    security: Security = "none",
    *,
    host: str = "localhost",
    limits: Limits | None = None,
    in_clear: bool = True,
) -> WireTarget:
    trust = () if ground is None else (ground.pki.ca.read_text(),)
    return WireTarget(
        Route(host, port), security, Tls(trust), limits or Limits(), sign_in_without_tls=in_clear
    )


def sign_in(user: User) -> SignIn:
    return SignIn("password", user.address, Secret(user.password))


@contextlib.asynccontextmanager
async def opened(
    ground: Ground,
    user: User,
    *,
    port: int = 0,
    security: Security = "none",
    limits: Limits | None = None,
    on_step: Callable[[Step], None] | None = None,
    folder: str = "",
    read_only: bool = False,
) -> AsyncIterator[ImapStore]:
    """A signed-in store, its folder open if one is named."""
    where = target(ground, port or ground.dovecot.imap, security, limits=limits)
    store = await open_store(where, sign_in(user), on_step=on_step)
    try:
        if folder:
            await store.open(folder, read_only=read_only)
        yield store
    finally:
        await store.close()


@contextlib.contextmanager
def oracle(ground: Ground, user: User, folder: str = "INBOX") -> Iterator[Any]:
    """imapclient, signed in, with the folder open."""
    client = imapclient.IMAPClient("127.0.0.1", ground.dovecot.imap, ssl=False)
    client.login(user.address, user.password)
    client.select_folder(folder)
    try:
        yield client
    finally:
        client.logout()


async def listing(store: ImapStore, cursor: str = "", **options: Any) -> list[str]:
    """The ids of what is newer."""
    return [row.id async for page in store.newer(cursor, **options) for row in page.summaries]


async def collect(store: ImapStore, ids: list[str], spools: Spools) -> dict[str, bytes | None]:
    """The messages as bytes; None for what is gone."""
    found: dict[str, bytes | None] = {}
    async for batch in store.fetch(ids, spools):
        for fetched in batch:
            assert fetched.id not in found
            content = fetched.content
            found[fetched.id] = None if content is None else content.bytes()
        await asyncio.sleep(0)
    return found


class Spooled:
    """A spool in a file that counts what it is given."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("wb")
        self.largest = 0
        self.state = "open"

    def write(self, data: bytes | memoryview, /) -> int:
        self.largest = max(self.largest, len(data))
        return self.file.write(data)

    def finish(self) -> Content:
        self.file.close()
        self.state = "finished"
        return _File(self.path)

    def discard(self) -> None:
        self.file.close()
        self.state = "discarded"


class _File:
    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def bytes(self) -> bytes:
        return self.path.read_bytes()

    def open(self) -> Any:
        return self.path.open("rb")

    def discard(self) -> None:
        self.path.unlink()


class Spools:
    """Opens spools in a folder and remembers them with the sizes that were announced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[tuple[int, Spooled]] = []

    def __call__(self, size: int) -> Spool:
        spool = Spooled(self.folder / f"spool-{len(self.made)}")
        self.made.append((size, spool))
        return spool
