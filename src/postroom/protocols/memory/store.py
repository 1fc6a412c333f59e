"""base.MessageStore in memory: ids, cursors and refusals as the IMAP store has them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

from postroom.errors import FolderError
from postroom.protocols.base import (
    Changes,
    Content,
    Fetched,
    Folder,
    FolderState,
    OpenSpool,
    Page,
    SignIn,
    Since,
    Summary,
)
from postroom.protocols.content import Held, chunks
from postroom.protocols.imap.resync import read_cursor, write_cursor
from postroom.protocols.memory.changes import ChangeVerbs
from postroom.protocols.memory.search import matches
from postroom.protocols.memory.server import MemoryMessage, MemoryServer
from postroom.protocols.pop3.headers import header_block, pick

__all__ = ["MemoryStore", "open_store"]

_BATCH = 100


class MemoryStore(ChangeVerbs):
    """A MemoryServer seen by one session."""

    async def folders(self) -> list[Folder]:
        """Every folder; without the feature, INBOX."""
        found = [folder.folder for folder in self._server.folders.values()]
        return found if self.features.folders else found[:1]

    async def create(self, folder: str) -> None:
        """Create the folder and what is above it unless it is there."""
        if folder.upper() != "INBOX":
            self._need("folders")
            self._server.make(folder)

    async def open(
        self, folder: str, *, read_only: bool = True, since: Mapping[str, Since] | None = None
    ) -> FolderState:
        """Open a folder by name or special use.  Raises FolderError(``folder_missing``)."""
        self._reach("open")
        found = self._server.find(folder)
        if not self.features.folders and found.folder.name != "INBOX":
            raise FolderError(f"There is no folder {folder}.", code="folder_missing")
        self._folder, self._read_only = found, read_only
        self._seen = self._version
        return FolderState(
            found.folder.name,
            found.uidvalidity,
            len(found.messages),
            self._cursor(found.uidnext - 1),
            read_only,
            found.modseq if self._server.qresync else 0,
            self._changes((since or {}).get(found.folder.name)),
        )

    def _cursor(self, uid: int) -> str:
        return write_cursor(uid, self._opened().modseq if self._server.qresync else 0)

    def _changes(self, since: Since | None) -> Changes | None:
        folder = self._opened()
        if since is None or since.uidvalidity != folder.uidvalidity:
            return None
        last, modseq = read_cursor(since.cursor)
        if not modseq or not self._server.qresync or folder.modseq < modseq:
            return Changes(self._cursor(last))
        return Changes(
            self._cursor(last),
            [self._key(uid) for uid, at in folder.gone.items() if at > modseq and uid <= last],
            {
                self._key(uid): frozenset(message.flags)
                for uid, message in folder.messages.items()
                if message.modseq > modseq and uid <= last
            },
        )

    async def newer(
        self, cursor: str, *, headers: Sequence[str] = (), page: int = 500
    ) -> AsyncGenerator[Page, None]:
        """What has a uid above ``cursor``, page by page."""
        self._reach("list")
        last, _ = read_cursor(cursor)
        found = [m for uid, m in self._opened().messages.items() if uid > last]
        for start in range(0, len(found), page):
            part = found[start : start + page]
            yield Page([self._summary(m, headers) for m in part], self._cursor(part[-1].uid))

    async def arrivals(self, cursor: str, spool: OpenSpool) -> AsyncGenerator[Page, None]:
        """What has a uid above ``cursor``, with its contents."""
        self._need("arrivals")
        async for page in self.newer(cursor, page=_BATCH):
            async for batch in self.fetch([one.id for one in page.summaries], spool):
                page.contents |= {one.id: one.content for one in batch}
            yield page

    async def summaries(self, ids: Sequence[str], *, headers: Sequence[str] = ()) -> list[Summary]:
        """The summaries of these messages that are still there."""
        self._reach("list")
        return [self._summary(message, headers) for message in self._those(ids)]

    async def fetch(
        self, ids: Sequence[str], spool: OpenSpool
    ) -> AsyncGenerator[list[Fetched], None]:
        """The messages in the order asked, in batches."""
        self._uids(ids)
        for start in range(0, len(ids), _BATCH):
            batch = []
            for key in ids[start : start + _BATCH]:
                self._reach("fetch")
                message = next(iter(self._those([key])), None)
                batch.append(Fetched(key, None if message is None else self._read(message, spool)))
            yield batch

    async def read_headers(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The header block of each message that is there."""
        self._reach("list")
        return {self._key(m.uid): header_block(m.content) for m in self._those(ids)}

    async def search(self, criteria: str) -> list[str]:
        """Ids that match; the common part of IMAP's SEARCH.  Raises InvalidValue."""
        self._need("search")
        self._reach("list")
        messages = list(self._opened().messages.values())
        return [self._key(m.uid) for m in matches(criteria, messages)]

    def _read(self, message: MemoryMessage, spool: OpenSpool) -> Content:
        if len(message.content) <= self._server.limits.in_memory:
            return Held(message.content)
        target = spool(len(message.content))
        for piece in chunks(Held(message.content)):
            target.write(piece)
        return target.finish()

    def _summary(self, message: MemoryMessage, headers: Sequence[str]) -> Summary:
        return Summary(
            self._key(message.uid),
            message.uid,
            len(message.content),
            frozenset(message.flags),
            message.received,
            pick(header_block(message.content), headers) if headers else b"",
        )


async def open_store(server: MemoryServer, sign_in: SignIn | None = None) -> MemoryStore:
    """Connect and sign in.  Raises what the server was told to raise, and SignInError."""
    server.enter(sign_in or SignIn())
    return MemoryStore(server)
