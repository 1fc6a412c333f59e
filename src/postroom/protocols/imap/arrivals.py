"""Listing and reading in one: what is newer comes with its contents, one command a window.

It saves what a listing costs by itself: a round trip, and half of the work on a small message.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from postroom.protocols.base import Fetched, OpenSpool, Page
from postroom.protocols.imap import commands
from postroom.protocols.imap.fetch import Bodies, FetchVerb, InOrder, Pipeline
from postroom.protocols.imap.listing import ListingVerbs
from postroom.protocols.imap.resync import read_cursor, write_cursor

__all__ = ["ArrivalVerb"]

_SLICE: Final = 10_000  # messages whose ids are held at once
_NEAR: Final = 100  # uids that are asked for without looking which of them there are
_FIRST_GUESS: Final = 16 * 1024  # bytes of a message, before any was seen
_SMALLEST: Final = 1024  # what a message takes at least, here and there


class ArrivalVerb(ListingVerbs, FetchVerb):
    """arrivals."""

    async def arrivals(self, cursor: str, spool: OpenSpool) -> AsyncGenerator[Page, None]:
        """What has a uid above ``cursor``, with its contents; see base.MessageStore.

        Ends before the first uid that does not come whole and with its summary: whether it is gone,
        or kept back, or told in another way is for a listing to say.

        Raises WireError, InvalidValue.
        """
        last, _ = read_cursor(cursor)
        state = self._opened()
        if not await self._anything_newer(last):
            return
        uids = await self._above(last)
        self._typical = _FIRST_GUESS
        for start in range(0, len(uids), _SLICE):
            part = uids[start : start + _SLICE]
            ids = [f"{self._prefix}{uid}" for uid in part]
            order = InOrder(ids)
            bodies = Bodies(dict(zip(part, ids, strict=True)), spool)
            pipeline = Pipeline(
                self._session,
                bodies,
                self._windows(part),
                self._limits.in_flight,
                commands.fetch_whole,
                strict=True,
            )
            try:
                async with contextlib.aclosing(self._come(pipeline, order, state)) as coming:
                    async for batch in coming:
                        page = _page(batch)
                        if page.summaries:
                            last = page.summaries[-1].uid
                            page.cursor = write_cursor(last, state.modseq)
                            self._learn(page)
                            yield page
                        if len(page.summaries) < len(batch):
                            return
            finally:
                order.discard()
            if last < part[-1]:
                return

    async def _above(self, last: int) -> Sequence[int]:
        """The uids above ``last``, or those that are worth asking for."""
        if self._uidnext_holds():
            # as many messages as uids: there is no hole
            dense = self._session.exists == self._uidnext - 1
            if dense or self._uidnext - 1 - last <= _NEAR:
                return range(last + 1, self._uidnext)
        return sorted(uid for uid in await self._search(f"UID {last + 1}:*") if uid > last)

    def _learn(self, page: Page) -> None:
        """Messages are much like those before them: windows are cut by that."""
        mean = sum(one.size for one in page.summaries) // len(page.summaries)
        self._typical = max(_SMALLEST, mean, (self._typical + mean) // 2)


def _page(batch: list[Fetched]) -> Page:
    """What came whole and with its summary, up to the first that did not."""
    page = Page([], "")
    for one in batch:
        if one.summary is None:
            break
        page.summaries.append(one.summary)
        page.contents[one.id] = one.content
    for one in batch[len(page.summaries) :]:
        if one.content is not None:
            one.content.discard()
    return page
