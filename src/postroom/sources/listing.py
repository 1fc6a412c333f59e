"""Listing: what is newer than the cursor is judged and recorded, page by page."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from postroom.clock import timestamp
from postroom.db import Claim, Database, Row
from postroom.mail.headers import read_date
from postroom.protocols.base import FolderState, MessageStore, Page, Summary
from postroom.sources import cursors, ledger, renumbered
from postroom.sources.beginning import BEFORE_START, mark_of
from postroom.sources.cursors import Cursor
from postroom.sources.ledger import Seen
from postroom.sources.reading import HEADERS, header_texts
from postroom.sources.returning import Place, Returning
from postroom.sources.settling import Write
from postroom.sources.source import Source, Start
from postroom.sources.verdict import Facts, judge, needs_headers, returned

if TYPE_CHECKING:
    from postroom.sources.arriving import Arriving
    from postroom.sources.handing import Tally

__all__ = ["Lister"]

PAGE = 500
LIST_SECONDS = 3600.0
"""How often a POP3 mailbox is listed although its count and size are what they were."""
ANEW = "collected before the server numbered the folder anew"


class Lister:
    """Brings the ledger up to what the folder holds."""

    def __init__(self, db: Database, claim: Claim, source: Source, write: Write) -> None:
        self._db = db
        self._id = claim.id
        self._store_id: str = claim.row["store"]
        self._source = source
        self._write = write
        self._before: float = claim.row["created_at"]
        # set while a folder is listed whose UIDVALIDITY has changed: its old cursor and rows
        self._old: Cursor | None = None
        self._again: dict[tuple[str, int], deque[Row]] = {}

    async def run(
        self,
        store: MessageStore,
        folder: FolderState,
        tally: Tally,
        alive: Callable[[], None],
        arriving: Arriving,
    ) -> None:
        """Record everything after the cursor; the cursor moves with each page that is recorded.

        ``alive`` is called after each page.  Where nothing stands against it, messages come with
        their listing, and are handed over by ``arriving``.
        """
        self._alive = alive
        self._tally = tally
        self._store = store
        before = await self._db.read(
            lambda tx: cursors.cursor_of(tx, self._id, self._store_id, folder.name)
        )
        cursor = await self._start(folder, before)
        if cursor is None:
            await self._skip_present(store, folder)
        elif not (store.features.snapshot and _seems_same(before, folder)):
            marked = before is not None and before.reading
            listed = False
            if await self._may_arrive(store, folder, before, cursor):
                coming = _coming(folder, cursor)
                cursor = await arriving.run(store, folder, cursor, coming, alive)
                listed = _at_end(folder, cursor)
                marked = not listed
            if not listed and await self._list(store, folder, cursor) == cursor and marked:
                # nothing is behind the mark: what was there is gone, and nobody is to blame
                await self.save(folder, [], cursor)
        await self._retire(folder)

    async def arrived(self, folder: FolderState, page: Page) -> list[Row]:
        """Record messages that came with their contents; gives the rows of those to hand over."""
        returning = Returning(self._db, self._source, self._write, self._place(folder))
        came_back = await returning.entries(self._store, page.summaries)
        reading = not _at_end(folder, page.cursor)
        return await self._record(
            folder, page.summaries, came_back, page.cursor, arrived=True, reading=reading
        )

    async def save(
        self, folder: FolderState, seen: list[Seen], cursor: str, *, reading: bool = False
    ) -> list[Row]:
        """Record what was judged, and the cursor; see :func:`ledger.record`."""
        old = self._old
        return await self._write(
            lambda tx: ledger.record(
                tx,
                self._id,
                self._store_id,
                folder.name,
                seen,
                cursor=old.text if old else cursor,
                uidvalidity=old.uidvalidity if old else folder.uidvalidity,
                stable_time=self._source.stable_time,
                reading=reading,
                now=timestamp(),
            )
        )

    async def _may_arrive(
        self, store: MessageStore, folder: FolderState, before: Cursor | None, cursor: str
    ) -> bool:
        """Whether nothing is to be judged or sorted before a message is read, and nothing waits.

        Not after a pass that died with what had come so, or lost its connection: then who is to
        blame has to be found.
        """
        source = self._source
        if (
            not store.features.arrivals
            or (before is not None and before.reading)
            or self._old is not None
            or self._wants_headers(store)
            or source.max_size is not None
            or source.order != "server"
            or source.throttle is not None
            or source.stable_time
            or source.clearance
            or _at_end(folder, cursor)
        ):
            return False
        return not await self._db.read(
            lambda tx: ledger.waits(tx, self._id, folder.name, now=timestamp(), fresh=True)
        )

    async def _list(self, store: MessageStore, folder: FolderState, cursor: str) -> str:
        """List what is behind the cursor; gives the one it came to."""
        wanted = HEADERS if self._wants_headers(store) else ()
        returning = Returning(self._db, self._source, self._write, self._place(folder))
        known = await returning.known() if store.features.snapshot else {}
        present: set[str] = set()
        listing = () if store.features.snapshot else wanted
        async for page in store.newer(cursor, headers=listing, page=PAGE):
            others = await returning.others(known, page.summaries)
            fresh = [one for one in page.summaries if one.id not in known or one.id in others]
            present |= {one.id for one in page.summaries}
            await returning.reopen(known, [one for one in page.summaries if one.id not in others])
            if fresh and wanted and not listing:
                fresh = await store.summaries([one.id for one in fresh], headers=wanted)
            for one in fresh:
                one.id = others.get(one.id, one.id)
            cursor = page.cursor
            self._alive()
            came_back = await returning.entries(store, fresh)
            await self._record(folder, fresh, came_back, cursor)
        await returning.left([row["id"] for key, row in known.items() if key not in present])
        if store.features.snapshot:
            # only now: what was not listed to its end is listed again
            await self.save(folder, [], folder.next_cursor)
        if self._old is not None:
            # only now is the cursor of the new UIDVALIDITY: a crash before begins at the beginning
            self._old, self._again = None, {}
            await self.save(folder, [], cursor)
        return cursor

    async def _retire(self, folder: FolderState) -> None:
        """Everything is listed: nothing of an older UIDVALIDITY or mailbox is to be asked for."""
        place = (self._id, self._store_id, folder.name, folder.uidvalidity)
        if await self._db.read(lambda tx: renumbered.retirable(tx, *place)):
            await self._write(lambda tx: renumbered.retire(tx, *place, now=timestamp()))

    async def _start(self, folder: FolderState, before: Cursor | None) -> str | None:
        """The cursor to go on from; None means "what is there now does not count"."""
        if before is None:
            return None if self._source.begins == "new" else ""
        if folder.uidvalidity and before.uidvalidity != folder.uidvalidity:
            self._old = before
            await self._reseed(folder)
            return ""
        cursor = before.text
        if _set_back(cursor, folder):
            return ""
        if folder.changes is not None and folder.changes.cursor != cursor:
            # what changed is in the ledger by now; the next pass need not hear of it again
            cursor = folder.changes.cursor
            await self.save(folder, [], cursor, reading=before.reading)
        return cursor

    async def _reseed(self, folder: FolderState) -> None:
        """The server numbered the folder anew: what was collected already must not come again.

        Message-ID and size tell it, as often as they were recorded; whatever does not match is
        collected, since twice is better than never.
        """
        rows = await self._db.read(
            lambda tx: renumbered.old_messages(
                tx, self._id, self._store_id, folder.name, folder.uidvalidity
            )
        )
        for row in rows:
            self._again.setdefault((row["message_id"], row["size"]), deque()).append(row)

    async def _skip_present(self, store: MessageStore, folder: FolderState) -> None:
        """``start: new``: begin behind what is there."""
        mark = await mark_of(store, folder, page=PAGE)
        await self.save(folder, [*mark.present], mark.cursor)

    def _place(self, folder: FolderState) -> Place:
        return Place(self._id, self._store_id, folder.name)

    def _wants_headers(self, store: MessageStore) -> bool:
        return (
            needs_headers(self._source)
            # POP3 does not say when a message arrived; its Date field does
            or (store.features.snapshot and self._source.order != "server")
            or isinstance(self._source.begins, Start)
            or bool(self._again)
        )

    async def _record(
        self,
        folder: FolderState,
        summaries: list[Summary],
        came_back: dict[str, int],
        cursor: str,
        *,
        arrived: bool = False,
        reading: bool = False,
    ) -> list[Row]:
        judged = [self._judge(each, came_back.get(each.id), arrived) for each in summaries]
        rows = await self.save(folder, judged, cursor, reading=reading)
        states = Counter(one.state for one in judged)
        self._tally.listed += states["pending"] + states["acquired"]
        self._tally.ignored += states["ignored"]
        self._tally.held += states["held"]
        return rows

    def _judge(self, summary: Summary, entry: int | None, arrived: bool) -> Seen:
        texts = header_texts(summary.headers) if summary.headers else {}
        subject, sender = texts.get("subject", ""), texts.get("from", "")
        message_id = texts.get("message-id", "")
        received = summary.received or read_date(texts.get("date", ""))
        instant = received.timestamp() if received else None
        state, reason, due = self._decide(
            Facts(sender, subject, summary.size, instant),
            self._again.get((message_id, summary.size)),
            entry,
        )
        if arrived and state == "pending":
            state = "acquired"
        return Seen(
            summary.id, state, reason, summary.size, instant, subject, sender, message_id, due
        )

    def _decide(
        self, facts: Facts, same: deque[Row] | None, entry: int | None
    ) -> tuple[str, str, str]:
        """The state, its reason and the after-action due.

        ``same`` are its old rows, if any; ``entry`` is what it was before it came back.
        """
        if same:
            old = same.popleft()
            return old["state"], ANEW, old["after_due"]
        new_only = self._old is not None and self._source.begins == "new"
        if new_only and facts.received is not None and facts.received < self._before:
            # no row was recorded for what was there; its date tells, where it has one
            return "ignored", BEFORE_START, ""
        verdict = judge(self._source, facts)
        if entry is not None:
            verdict = returned(self._source, verdict, entry)
        if verdict.state == "skip":
            return "ignored", verdict.reason, ""
        acts = verdict.state == "ignored" and self._source.action("ignored") != "keep"
        return verdict.state, verdict.reason, "ignored" if acts else ""


def _set_back(cursor: str, folder: FolderState) -> bool:
    """Whether the server's next number is below what it listed: what comes would go unseen.

    It may not be (RFC 9051, 2.3.1.1), but for a row that never was.  Listing anew repairs it: what
    the ledger knows stays as it is.
    """
    return bool(folder.uidvalidity) and _last_uid(folder.next_cursor) < _last_uid(cursor)


def _at_end(folder: FolderState, cursor: str) -> bool:
    """Whether there is nothing behind the cursor, as far as the server said."""
    return _last_uid(cursor) >= _last_uid(folder.next_cursor)


def _coming(folder: FolderState, cursor: str) -> int:
    """How many messages are behind the cursor, at most: numbers that are gone leave gaps."""
    return min(folder.exists, _last_uid(folder.next_cursor) - _last_uid(cursor))


def _seems_same(before: Cursor | None, folder: FolderState) -> bool:
    """Whether a folder that is listed as a whole can be passed over, for LIST_SECONDS at most.

    One message may have gone and another of the same size come.
    """
    return (
        before is not None
        and before.text == folder.next_cursor
        and 0 <= timestamp() - before.updated_at < LIST_SECONDS
    )


def _last_uid(cursor: str) -> int:
    """What a cursor begins with where there is a UIDVALIDITY; see :class:`base.MessageStore`."""
    return int(cursor.partition("/")[0] or 0)
