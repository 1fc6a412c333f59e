"""Arriving: messages that come together with their listing are recorded and handed over at once.

That is for a source that judges nothing before the body is there: one command brings all, and a row
of the ledger is written as ``acquired``, not first as ``pending``.  The attempt is counted before that:
the cursor is marked (:mod:`postroom.sources.cursors`) before the first byte is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from postroom.errors import PostroomError, WireError
from postroom.protocols.base import FolderState, MessageStore, OpenSpool, Page
from postroom.sinks import cannot_write
from postroom.sources.handing import Batch, Hands, discard

if TYPE_CHECKING:
    from postroom.sources.listing import Lister

__all__ = ["Arriving", "no_spool"]

MOST = 1000
MOST_BYTES: Final = 8 * 1024 * 1024


class Arriving:
    """Takes what came after a cursor, as long as it comes whole."""

    def __init__(self, lister: Lister, hands: Hands, open_spool: OpenSpool) -> None:
        self._lister = lister
        self._hands = hands
        self._open_spool = open_spool

    async def run(
        self,
        store: MessageStore,
        folder: FolderState,
        cursor: str,
        coming: int,
        alive: Callable[[], None],
    ) -> str:
        """Take all of it, ``coming`` messages at most; gives the cursor that it came to, which may
        be before the end.

        Raises WireError after what had come whole until then was taken.
        """
        await self._lister.save(folder, [], cursor, reading=True)
        self._hands.expect(coming)
        heap = Page([], cursor)
        size = 0
        try:
            async for page in store.arrivals(cursor, self._open_spool):
                alive()
                heap.summaries += page.summaries
                heap.contents |= page.contents
                heap.cursor = page.cursor
                size += sum(one.size for one in page.summaries)
                self._hands.arrived(len(page.summaries))
                if len(heap.summaries) >= MOST or size >= MOST_BYTES:
                    taken, heap, size = heap, Page([], heap.cursor), 0
                    await self._take(folder, taken)
        except WireError:
            await self._take(folder, heap)
            raise
        except BaseException as error:
            discard(heap.contents)
            if isinstance(error, OSError):
                raise no_spool(error) from error
            raise
        await self._take(folder, heap)
        self._hands.expect(0)  # what did not come is in a gap, or is listed now
        return heap.cursor

    async def _take(self, folder: FolderState, page: Page) -> None:
        """Record what has come, and give it to the sink."""
        if not page.summaries:
            return
        try:
            rows = await self._lister.arrived(folder, page)
        except BaseException:
            discard(page.contents)
            raise
        await self._hands.take(Batch(rows, page.contents))


def no_spool(error: OSError) -> PostroomError:
    """What it means when a large message cannot be kept while it arrives."""
    return cannot_write(Path(error.filename or "the spool directory"), error)
