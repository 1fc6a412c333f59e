"""The changing half of the store in memory: flags, copy, move, delete, append, waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from postroom.protocols.memory.session import Session

__all__ = ["ChangeVerbs"]


class ChangeVerbs(Session):
    """The verbs that change something, wait for it, or leave."""

    async def flag(
        self, ids: Sequence[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Set and clear flags and keywords."""
        self._need("flags")
        self._change("flag")
        for message in self._those(ids):
            message.flags.update(add)
            message.flags.difference_update(remove)
            self._opened().touch(message)
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
        if self.features.exact_expunge:
            self._drop(ids)
            return True
        for message in self._those(ids):
            message.flags.add("deleted")
            self._opened().touch(message)
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

    def _copy(self, ids: Sequence[str], folder: str) -> dict[str, str]:
        self._server.find(folder)
        return {
            self._key(m.uid): self._server.put(
                m.content, folder, flags=tuple(m.flags), received=m.received
            )
            for m in self._those(ids)
        }

    def _drop(self, ids: Sequence[str]) -> None:
        folder = self._opened()
        for uid in self._uids(ids):
            if uid in folder.messages:
                folder.drop(uid)
        self._server.changed()
