"""The POP3 message store: one folder, INBOX, whose ids are UIDLs (RFC 1939).

POP3 shows what was there when the session began: whoever polls opens a store for each poll.  What
:meth:`Pop3Store.delete` marks is deleted by :meth:`Pop3Store.close` (QUIT) and by nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

from postroom.errors import FolderError, WireError
from postroom.protocols.base import (
    Features,
    Fetched,
    Folder,
    FolderState,
    OpenSpool,
    Page,
    SignIn,
    Since,
    Summary,
    WireTarget,
)
from postroom.protocols.pop3.fetch import Fetching
from postroom.protocols.pop3.headers import header_block, pick
from postroom.protocols.pop3.listing import Listed, read_listing, read_stat
from postroom.protocols.pop3.opening import OnStep, open_session
from postroom.protocols.pop3.session import Session
from postroom.protocols.pop3.unsupported import Unsupported
from postroom.protocols.pump import Pump

__all__ = ["Pop3Store", "open_store"]

INBOX = "INBOX"


class Pop3Store(Unsupported):
    """base.MessageStore over POP3."""

    features = Features(
        folders=False,
        flags=False,
        move=False,
        copy=False,
        append=False,
        search=False,
        snapshot=True,
        push=False,
        exact_expunge=True,
    )

    def __init__(self, session: Session, target: WireTarget) -> None:
        self._session = session
        self._limits = target.limits
        self._stat = (0, 0)
        self._read_only = True
        self._listed: dict[str, Listed] | None = None
        self._marked = 0  # deletions that QUIT will make happen

    @property
    def pump(self) -> Pump:
        """The connection: steps, peer, transcript."""
        return self._session.pump

    @property
    def capabilities(self) -> frozenset[str]:
        """What the server announced after the sign-in; empty without CAPA."""
        return frozenset(self._session.capabilities or ())

    async def folders(self) -> list[Folder]:
        """The one there is."""
        return [Folder(INBOX)]

    async def open(
        self, folder: str, *, read_only: bool = True, since: Mapping[str, Since] | None = None
    ) -> FolderState:
        """Open INBOX (STAT).  Raises FolderError(``folder_missing``) for any other name.

        The cursor is the count and the bytes of all messages: as long as both are what they were,
        there is hardly anything new.  Nothing else is told of the time ``since``.
        """
        if folder.upper() != INBOX:
            raise FolderError(
                f"POP3 has one folder only, INBOX, and no {folder!r}.",
                hint="Use IMAP for other folders.",
            )
        self._session.pump.step = "folder"
        self._stat = await read_stat(self._session)
        self._read_only = read_only
        count, size = self._stat
        return FolderState(INBOX, 0, count, f"{count} {size}", read_only)

    async def newer(
        self, cursor: str, *, headers: Sequence[str] = (), page: int = 500
    ) -> AsyncGenerator[Page, None]:
        """Everything, every time, in the server's order.

        Raises FolderError when the server has no UIDL (``not_supported``) or gives one twice.
        """
        ids = list(await self._index())
        for start in range(0, len(ids), page):
            yield Page(await self.summaries(ids[start : start + page], headers=headers), "")

    async def summaries(self, ids: Sequence[str], *, headers: Sequence[str] = ()) -> list[Summary]:
        """Those of these messages that are there."""
        index = await self._index()
        found = [Summary(key, size=index[key].size) for key in ids if key in index]
        if headers:
            blocks = await self.read_headers([summary.id for summary in found])
            for summary in found:
                summary.headers = pick(blocks.get(summary.id, b""), headers)
        return found

    async def fetch(
        self, ids: Sequence[str], spool: OpenSpool
    ) -> AsyncGenerator[list[Fetched], None]:
        """The messages in the order asked, in batches as they arrive (RETR, pipelined)."""
        fetching = Fetching(self._session, self._limits, await self._index(), ids, spool)
        try:
            while not fetching.finished:
                batch = await fetching.batch()
                if batch:
                    yield batch
        finally:
            fetching.stop()

    async def read_headers(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The header block of each message that is there (TOP n 0)."""
        index = await self._index()
        there = [key for key in ids if key in index]
        blocks: dict[str, bytes] = {}
        lines = [b"TOP %d 0" % index[key].number for key in there]
        position = 0
        async for answer in self._session.many(lines, "headers"):
            if not answer.ok and not blocks:
                raise self._session.refused("give headers alone (TOP)", answer)
            if answer.ok:
                blocks[there[position]] = header_block(answer.data)
            position += 1
        return blocks

    async def delete(self, ids: Sequence[str]) -> bool:
        """Mark for deletion (DELE); only :meth:`close` makes it happen.  Always True.

        Raises FolderError when the folder was opened read-only or the server refuses.
        """
        if self._read_only:
            raise FolderError("INBOX was opened read-only; nothing was deleted.", code="read_only")
        index = await self._index()
        there = [key for key in ids if key in index]
        refused: WireError | None = None
        position = 0
        lines = [b"DELE %d" % index[key].number for key in there]
        async for answer in self._session.many(lines):
            if answer.ok:
                del index[there[position]]
                self._marked += 1
            else:
                refused = refused or self._session.refused("delete a message", answer)
            position += 1
        if refused is not None:
            raise refused
        return True

    async def check(self) -> bool:
        """STAT: True if it differs from when INBOX was opened.

        Most servers show one snapshot per session, so a new store sees more than this does.
        """
        present = await read_stat(self._session)
        return self._marked == 0 and present != self._stat

    async def close(self) -> None:
        """QUIT: deletions happen now.

        Raises WireError when some are pending and the server did not confirm them: they may not
        have happened.  Without any, errors while saying goodbye are nobody's business.
        """
        session = self._session
        session.pump.step = "close"
        try:
            with session.pump.within(self._limits.reply_timeout if self._marked else 2.0):
                answer = await session.ask(b"QUIT")
            if self._marked and not answer.ok:
                raise session.refused("delete everything that was marked", answer)
        except WireError:
            if self._marked:
                raise
        finally:
            self._marked = 0
            await session.pump.close()

    def abandon(self) -> None:
        """Close at once: nothing that was marked is deleted.  Never raises."""
        self._session.pump.abandon()

    async def _index(self) -> dict[str, Listed]:
        if self._listed is None:
            self._session.pump.step = "folder"
            self._listed = await read_listing(self._session)
        self._session.pump.step = "fetch"
        return self._listed


async def open_store(
    target: WireTarget, sign_in: SignIn, *, on_step: OnStep | None = None
) -> Pop3Store:
    """Dial, secure and sign in.

    ``on_step`` hears of resolve, connect, (proxy), tls, greeting, capabilities and sign-in as they
    end, also of those before a failure.  Raises InvalidValue before anything is dialled, DialError,
    TlsError, ProtocolError, SignInError.
    """
    return Pop3Store(await open_session(target, sign_in, on_step), target)
