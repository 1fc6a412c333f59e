"""What every verb of the store in memory stands on: the server, the open folder, its ids."""

from __future__ import annotations

from collections.abc import Sequence

from postroom.errors import FolderError, WireError
from postroom.protocols.base import Features
from postroom.protocols.memory.server import MemoryFolder, MemoryMessage, MemoryServer

__all__ = ["Session"]


class Session:
    """A connection to a MemoryServer, and the folder it has open."""

    def __init__(self, server: MemoryServer) -> None:
        self.features: Features = server.features
        self._server = server
        self._folder: MemoryFolder | None = None
        self._read_only = True
        self._closed = False
        self._seen: tuple[int, ...] = ()

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
        if not getattr(self.features, feature):
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
                    ids=[key],
                )
            uids.append(int(uid))
        return uids

    def _those(self, ids: Sequence[str]) -> list[MemoryMessage]:
        messages = self._opened().messages
        return [messages[uid] for uid in self._uids(ids) if uid in messages]
