"""Listing: what is newer, summaries, header blocks, search (RFC 9051, 6.4.4 and 6.4.5)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Final

from postroom.errors import ProtocolError, WireError
from postroom.protocols.base import Page, Summary
from postroom.protocols.imap import commands
from postroom.protocols.imap.commands import flag_set
from postroom.protocols.imap.frames import Chunk, Large
from postroom.protocols.imap.opened import Opened
from postroom.protocols.imap.refusals import folder_refused
from postroom.protocols.imap.responses import WHOLE, Event, Fetch, Search
from postroom.protocols.imap.resync import read_cursor, write_cursor
from postroom.protocols.imap.session import Pending
from postroom.protocols.imap.sets import Ranges, count, cut, members

__all__ = ["ListingVerbs"]

_KNOWN_SIZES: Final = 100_000  # remembered for the pipeline of fetch; beyond that it guesses
_SLACK: Final = 100_000  # more matches than this above the number of messages are a lie
_SPARE: Final = 8 * 1024  # bytes of a header block that are kept whatever else the page holds


class _Rows:
    """Takes FETCH events; keeps a summary or a header block of each uid.

    A header block that came as a stream is cut after its last whole line; all blocks of one page
    together stay below ``budget`` bytes and 8 KiB each.
    """

    def __init__(
        self, uids: Collection[int] | None, prefix: str, in_memory: int, budget: int
    ) -> None:
        self.summaries: dict[int, Summary] = {}
        self._uids = uids  # those asked for; None: whatever comes
        self._prefix = prefix
        self._in_memory = in_memory
        self._budget = budget
        self._streaming = False
        self._pieces: list[bytes] = []
        self._room = 0

    def take(self, event: Event) -> bool:
        """The next event of the listing."""
        if isinstance(event, Fetch):
            return self._row(event)
        if isinstance(event, Chunk) and self._streaming:
            if self._room > 0:
                self._pieces.append(event.data[: self._room])
                self._room -= len(event.data)
            return True
        if isinstance(event, Large):
            self._streaming = event.item not in WHOLE
            if self._streaming:
                self._pieces.clear()
                self._room = self._in_memory
            return self._streaming
        return False

    def _row(self, fetch: Fetch) -> bool:
        uid = fetch.uid
        known = self.summaries.get(uid)
        if known is not None and fetch.size < 0 and fetch.header is None:
            if fetch.flags is not None:  # they were changed meanwhile
                known.flags = flag_set(fetch.flags)
            return True
        if not uid or (fetch.size < 0 and fetch.header is None and fetch.received is None):
            return False  # not asked for
        if self._uids is not None and uid not in self._uids:
            return False  # the next page's
        flags = flag_set(fetch.flags) if fetch.flags else _NO_FLAGS
        size = max(fetch.size, 0)
        self.summaries[uid] = Summary(
            f"{self._prefix}{uid}", uid, size, flags, fetch.received, self._header(fetch.header)
        )
        return True

    def _header(self, header: bytes | Large | None) -> bytes:
        if header is None:
            return b""
        if isinstance(header, Large):
            header = _whole_lines(b"".join(self._pieces), self._in_memory)
            self._pieces.clear()
        if len(header) > max(self._budget, _SPARE):
            header = _whole_lines(header, max(self._budget, _SPARE))
        self._budget -= len(header)
        return header


_NO_FLAGS: Final[frozenset[str]] = frozenset()


def _whole_lines(block: bytes, limit: int) -> bytes:
    return block[: block.rfind(b"\r\n", 0, limit) + 2]


class ListingVerbs(Opened):
    """newer, summaries, read_headers, search."""

    async def newer(
        self, cursor: str, *, headers: Sequence[str] = (), page: int = 500
    ) -> AsyncIterator[Page]:
        """What has a uid above ``cursor``, in pages; see base.MessageStore.

        ``cursor`` begins with the last uid seen; empty stands for 0.  The next page
        is already under way when one is given out; other verbs may be used in between.

        Raises WireError, InvalidValue.
        """
        last, _ = read_cursor(cursor)
        state = self._opened()
        if not await self._anything_newer(last):
            return
        windows: list[list[int] | None] = [None]
        if self._at_most(last) > page:
            found = [uid for uid in await self._search(f"UID {last + 1}:*") if uid > last]
            found.sort()
            windows = [found[start : start + page] for start in range(0, len(found), page)]
        waiting: tuple[_Rows, list[Pending]] | None = None
        for index in range(len(windows) + 1):
            self._still(state)
            following = self._ask(windows[index], headers, last) if index < len(windows) else None
            if waiting is not None:
                rows = await self._listed(*waiting)
                uids = sorted(uid for uid in rows if uid > last)
                if uids:
                    last = uids[-1]
                    self._remember(rows)
                    yield Page([rows[uid] for uid in uids], write_cursor(last, state.modseq))
            waiting = following

    async def summaries(self, ids: Sequence[str], *, headers: Sequence[str] = ()) -> list[Summary]:
        """The summaries of these messages that are still there, in the order asked."""
        uids = self._uids(ids)
        rows: dict[int, Summary] = {}
        for start in range(0, len(uids), 500):
            rows |= await self._listed(*self._ask(uids[start : start + 500], headers))
        self._remember(rows)
        return [rows[uid] for uid in uids if uid in rows]

    async def read_headers(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The whole header block of each message that is still there.

        A block larger than ``Limits.in_memory`` is cut after a whole line.
        """
        uids = self._uids(ids)
        read: dict[str, bytes] = {}
        for start in range(0, len(uids), 100):
            part = uids[start : start + 100]
            rows = _Rows(set(part), self._prefix, self._limits.in_memory, self._limits.literal)
            flight = [
                self._session.send(commands.fetch_headers(portion), rows.take)
                for portion in cut(part)
            ]
            read |= {r.id: r.headers for r in (await self._listed(rows, flight)).values()}
        return {key: read[key] for key in ids if key in read}

    async def search(self, criteria: str) -> list[str]:
        """Ids that match a SEARCH program in ASCII.  Raises InvalidValue, WireError."""
        self._opened()
        return [f"{self._prefix}{uid}" for uid in await self._search(criteria)]

    async def check(self) -> bool:
        """One round trip (NOOP): may there be something new?  Raises WireError."""
        state = self._opened()
        await self._ok(commands.plain("NOOP"), state.name)
        news = self._session.news
        self._synced, self._session.news = news, False
        return news

    # ---------------------------------------------------------------- inside

    async def _anything_newer(self, last: int) -> bool:
        """Whether there may be something above this uid, as the server says now."""
        session = self._session
        if not self._synced:
            await self.check()
        self._synced = session.news = False
        return bool(session.exists) and not (self._uidnext_holds() and last + 1 >= self._uidnext)

    def _uidnext_holds(self) -> bool:
        return bool(self._uidnext) and self._counts == self._session.counts

    def _at_most(self, last: int) -> int:
        """How many messages above this uid there can be."""
        exists = self._session.exists
        return min(exists, self._uidnext - 1 - last) if self._uidnext_holds() else exists

    def _ask(
        self, uids: list[int] | None, headers: Sequence[str], last: int = 0
    ) -> tuple[_Rows, list[Pending]]:
        """Send for the summaries of these uids; None: of all above ``last``."""
        wanted = None if uids is None else set(uids)
        rows = _Rows(wanted, self._prefix, self._limits.in_memory, self._limits.in_flight)
        # n:* gives the last message even when it is older
        portions = [f"{last + 1}:*"] if uids is None else cut(uids)
        return rows, [
            self._session.send(commands.fetch_summaries(portion, headers), rows.take)
            for portion in portions
        ]

    async def _listed(self, rows: _Rows, flight: list[Pending]) -> dict[int, Summary]:
        transcript = self._session.pump.transcript
        before, transcript.quiet = transcript.quiet, True  # headers are people's
        try:
            for pending in flight:
                done = await self._session.finish(pending)
                if done.state != "OK":
                    raise folder_refused(self._session, done, self._opened().name)
        finally:
            transcript.quiet = before
        return rows.summaries

    def _remember(self, rows: dict[int, Summary]) -> None:
        if len(self._sizes) > _KNOWN_SIZES:
            self._sizes.clear()
        self._sizes.update((uid, row.size) for uid, row in rows.items())

    async def _search(self, criteria: str) -> list[int]:
        found: Ranges = []

        def take(event: Event) -> bool:
            if isinstance(event, Search):
                found.extend(event.ranges)
                if len(found) > self._session.exists + _SLACK:
                    raise ProtocolError("The server found more messages than there are.")
            return isinstance(event, Search)

        extended = self._session.can("ESEARCH")
        done = await self._session.run(commands.search(criteria, extended=extended), take)
        if done.state == "BAD" or done.code in {"BADCHARSET", "CANNOT"}:
            raise WireError(
                "The server does not understand this search.",
                code="invalid_value",
                hint="Write an IMAP search program, such as: UNSEEN SINCE 1-Jan-2026.",
                step="folder",
                said=self._session.said(done),
            )
        if done.state != "OK":
            raise folder_refused(self._session, done, self._opened().name)
        if count(found) > self._session.exists + _SLACK:
            raise ProtocolError("The server found more messages than there are.")
        return members(found)
