"""Listing by the Graph store: rounds of the delta query, summaries, whole header blocks, search."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, Final

from postroom.errors import ProtocolError
from postroom.protocols.base import Page, Summary
from postroom.protocols.graph.cursors import Cursor, Leaf
from postroom.protocols.graph.described import HEADERS_KNOWN, SELECT, summary_of
from postroom.protocols.graph.folders import FolderVerbs
from postroom.protocols.graph.refusals import SyncLost

__all__ = ["ListingVerbs"]

_MOST: Final = 1000  # messages that Graph lists in one answer

_SAME_LINK: Final = 3
"""How often one link is followed in a round: a server that repeats one is asked again, not for ever."""


class ListingVerbs(FolderVerbs):
    """The verbs that list."""

    async def newer(
        self, cursor: str, *, headers: Sequence[str] = (), page: int = 500
    ) -> AsyncGenerator[Page, None]:
        """What came or changed after ``cursor``, as the delta query gives it, page by page.

        What changed comes again; the ledger knows it.  Within a page it is in the order of arrival.
        A folder that the server has forgotten the state of (410) is listed from its beginning.
        """
        start = Cursor.read(cursor)
        folder = self._folder().id
        begun = start if start is not None and start.folder == folder else Cursor(folder)
        given: set[str] = set()
        first = bool(begun.link)
        async for leaf in self._leaves(begun, cursor, page):
            link = self._requests.link(leaf.link)
            if leaf.last:
                self._link = link
            quiet, first = first and leaf.last and not (leaf.rows or leaf.gone), False
            if quiet:
                return  # nothing happened: the old link goes on being good
            rows = [
                row
                for row in leaf.rows
                if row["id"] not in given and (begun.link or not begun.after or begun.counts(row))
            ]
            given |= {str(row["id"]) for row in rows}
            yield Page(await self._described(rows, headers), str(Cursor(folder, link)))

    async def _leaves(self, begun: Cursor, cursor: str, page: int) -> AsyncIterator[Leaf]:
        link = begun.link or self._round()
        if self._held is not None and self._held[0] == cursor:
            held, self._held = self._held[1], None
            for leaf in held:
                yield leaf
            if held[-1].last:
                return
            link = self._requests.link(held[-1].link)
        followed: dict[str, int] = {}
        while True:
            followed[link] = followed.get(link, 0) + 1
            if followed[link] > _SAME_LINK:
                raise ProtocolError(
                    "Microsoft Graph leads from a page of a listing to the same page again.",
                    temporary=True,
                    step="folder",
                    hint="It goes on from there at the next try.",
                )
            try:
                leaf = await self._leaf(link, page)
            except SyncLost:
                if link == self._round():
                    raise
                link = self._round()
                continue
            yield leaf
            if leaf.last:
                return
            link = self._requests.link(leaf.link)

    async def _described(self, rows: list[dict[str, Any]], headers: Sequence[str]) -> list[Summary]:
        rows.sort(key=lambda row: str(row.get("receivedDateTime", "")))
        thin = [str(row["id"]) for row in rows if "receivedDateTime" not in row]
        known = all(name.lower() in HEADERS_KNOWN for name in headers)
        if thin or (headers and not known):
            wanted = [str(row["id"]) for row in rows] if not known else thin
            whole = {one.id: one for one in await self.summaries(wanted, headers=headers)}
            found = (whole.get(str(r["id"])) or summary_of(r, headers) for r in rows)
            return list(found)
        return [summary_of(row, headers) for row in rows]

    async def newest(self, limit: int, *, headers: Sequence[str] = ()) -> list[Summary]:
        """The newest messages, newest first, at most ``limit`` (0: all): one request for a thousand."""
        select = _selection(headers)
        query = {"$orderby": "receivedDateTime desc", "$select": select}
        query["$top"] = str(min(limit, _MOST) if limit else _MOST)
        rows = await self._listed(query, limit)
        return [summary_of(row, headers) for row in rows]

    async def summaries(self, ids: Sequence[str], *, headers: Sequence[str] = ()) -> list[Summary]:
        """The summaries of these messages that are still in the folder."""
        rows = await self._there(ids, _selection(headers), step="folder")
        return [summary_of(row, headers) for row in rows]


def _selection(headers: Sequence[str]) -> str:
    """What is asked of a message whose header fields are wanted."""
    known = all(name.lower() in HEADERS_KNOWN for name in headers)
    return SELECT if known else f"{SELECT},internetMessageHeaders"
