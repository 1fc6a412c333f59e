"""The changing half of the store in memory: flags, copy, move, delete, append, waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from postroom.errors import FolderError, WireError
from postroom.protocols.memory.server import MemoryFolder, MemoryMessage, MemoryServer

__all__ = ["Changes"]


class Changes:
    """What every verb stands on, and the verbs that change something."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._folder: MemoryFolder | None = None
        self._read_only = True
        self._closed = False
        self._seen: tuple[int, ...] = ()

    async def flag(
        self, ids: Sequence[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Set and clear flags and keywords."""
        self._need("flags")
        self._change("flag")
        for message in self._those(ids):
            message.flags.update(add)
            message.flags.difference_update(remove)
        self._server.changed()

    async def copy(self, ids: Sequence[str], folder: str) -> dict[str, str]:
        """Copy; gives the new id of each."""
        self._need("copy")
        self._reach("copy")
        return self._copy(ids, folder)

    async def move(self, ids: Sequence[str], folder: str) -> dict[str, str]:
        """Move; gives the new id of each."""
        self._need("move")
        self._change("move")
        new = self._copy(ids, folder)
        self._drop(ids)
        return new

    async def delete(self, ids: Sequence[str]) -> bool:
        """Delete these; without ``exact_expunge`` they are flagged and left, and it says False."""
        self._change("delete")
        if self._server.features.exact_expunge:
            self._drop(ids)
            return True
        for message in self._those(ids):
            message.flags.add("deleted")
        return False

    async def append(self, folder: str, message: bytes, *, flags: Sequence[str] = ()) -> str:
        """Put a message into a folder; gives its id."""
        self._need("append")
        self._reach("append")
        return self._server.put(message, folder, flags=flags)

    async def wait(self, timeout: float) -> bool:
        """Wait for an arrival or a departure in the open folder."""
        self._need("push")
        if self._version != self._seen:
            self._seen = self._version
            return True
        loop, rung = asyncio.get_running_loop(), asyncio.Event()
        leave = self._server.listen(lambda: loop.call_soon_threadsafe(rung.set))
        try:
            async with asyncio.timeout(timeout):
                while self._version == self._seen:
                    await rung.wait()
                    rung.clear()
        except TimeoutError:
            return False
        finally:
            leave()
        self._seen = self._version
        return True

    async def check(self) -> bool:
        """Is there something new in the open folder?"""
        self._reach("check")
        news, self._seen = self._version != self._seen, self._version
        return news

    async def close(self) -> None:
        """Say goodbye."""
        self._reach("close")
        self._closed = True

    def abandon(self) -> None:
        """Close at once."""
        self._closed = True

    # ------------------------------------------------------------------ inside

    @property
    def _version(self) -> tuple[int, ...]:
        folder = self._opened()
        return (folder.uidnext, len(folder.messages))

    def _reach(self, step: str) -> None:
        if self._closed:
            raise WireError("The connection is closed.", code="connection_lost", temporary=True)
        try:
            self._server.reach(step)
        except WireError:
            self._closed = True
            raise

    def _change(self, step: str) -> None:
        self._reach(step)
        if self._read_only:
            raise FolderError("The folder was opened read-only.", code="read_only")

    def _need(self, feature: str) -> None:
        if not getattr(self._server.features, feature):
            raise FolderError(f"This server has no {feature}.", code="not_supported")

    def _opened(self) -> MemoryFolder:
        if self._folder is None:
            raise FolderError("No folder is open.", hint="Open one first.")
        return self._folder

    def _key(self, uid: int) -> str:
        return f"{self._opened().uidvalidity}-{uid}"

    def _uids(self, ids: Sequence[str]) -> list[int]:
        folder = self._opened()
        uids = []
        for key in ids:
            validity, _, uid = key.partition("-")
            if validity != str(folder.uidvalidity) or not uid.isdecimal():
                raise FolderError(
                    f"Some of these ids are not of the folder {folder.folder.name} as it is now.",
                    code="not_found",
                )
            uids.append(int(uid))
        return uids

    def _those(self, ids: Sequence[str]) -> list[MemoryMessage]:
        messages = self._opened().messages
        return [messages[uid] for uid in self._uids(ids) if uid in messages]

    def _copy(self, ids: Sequence[str], folder: str) -> dict[str, str]:
        self._server.find(folder)
        return {
            self._key(m.uid): self._server.put(
                m.content, folder, flags=tuple(m.flags), received=m.received
            )
            for m in self._those(ids)
        }

    def _drop(self, ids: Sequence[str]) -> None:
        for uid in self._uids(ids):
            self._opened().messages.pop(uid, None)
        self._server.changed()
