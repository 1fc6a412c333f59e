"""What the Graph store changes: flags, moves, copies, deletes; and waiting for a change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from postroom.clock import monotonic
from postroom.errors import WireError
from postroom.protocols.base import OpenSpool, Page
from postroom.protocols.graph.fetching import FetchVerb
from postroom.protocols.graph.requests import Single, id_of, quoted

__all__ = ["ChangeVerbs"]

POLL_SECONDS: Final = 10.0
"""How often a folder that is waited for is asked about, one request each."""

_NOT_SET: Final = frozenset({"answered", "deleted", "draft", "seen", "flagged"})
"""Flags that are no categories; ``answered`` is Exchange's own business and left alone."""


class ChangeVerbs(FetchVerb):
    """The verbs that change something, or wait for it."""

    poll_seconds = POLL_SECONDS

    async def flag(
        self, ids: Sequence[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """isRead, flag, and keywords as categories; one batch to read, one to write for twenty."""
        self._writable()
        rows = await self._there(ids, "id,parentFolderId,categories", step="folder")
        patches = []
        for row in rows:
            if body := _patch(row, add, remove):
                patches.append(Single("PATCH", f"messages/{quoted(str(row['id']))}", body))
        for answer in await self._requests.batch(patches, step="folder"):
            self._left(answer, "folder")

    async def copy(self, ids: Sequence[str], folder: str) -> dict[str, str]:
        """Copy; gives the new id of each."""
        self._folder()
        return await self._to("copy", ids, folder)

    async def move(self, ids: Sequence[str], folder: str) -> dict[str, str]:
        """Move; a message keeps its id wherever it lies in the mailbox."""
        self._writable()
        return await self._to("move", ids, folder)

    async def _to(self, verb: str, ids: Sequence[str], folder: str) -> dict[str, str]:
        target = await self._find(folder)
        there = await self._there(ids, "id,parentFolderId", step="folder")
        found = [str(row["id"]) for row in there]
        body = {"destinationId": target.id}
        asked = [Single("POST", f"messages/{quoted(one)}/{verb}", body) for one in found]
        answers = await self._requests.batch(asked, step="folder")
        return {
            one: id_of(answer.json())
            for one, answer in zip(found, answers, strict=True)
            if not self._left(answer, "folder")
        }

    async def delete(self, ids: Sequence[str]) -> bool:
        """To Deleted Items; from there, for good as far as a mailbox shows."""
        self._writable()
        there = await self._there(ids, "id,parentFolderId", step="folder")
        asked = [Single("DELETE", f"messages/{quoted(str(row['id']))}") for row in there]
        for answer in await self._requests.batch(asked, step="folder"):
            self._left(answer, "folder")
        return True

    def arrivals(self, cursor: str, spool: OpenSpool) -> AsyncIterator[Page]:
        """Raises WireError(``not_supported``): contents come one by one."""
        raise WireError(
            "Microsoft Graph gives no contents along with a listing.", code="not_supported"
        )

    async def append(self, folder: str, message: bytes, *, flags: Sequence[str] = ()) -> str:
        """Raises WireError(``not_supported``): it would lie there as a draft."""
        raise self._no_append()

    async def wait(self, timeout: float) -> bool:
        """Ask about the open folder every few seconds until something changed."""
        until = monotonic() + timeout
        while True:
            left = until - monotonic()
            if left <= 0:
                return False
            await asyncio.sleep(min(left, self.poll_seconds))
            if until - monotonic() > 0 and await self._news():
                return True

    async def check(self) -> bool:
        """One request: is there something new in the open folder?"""
        return await self._news()


def _patch(row: dict[str, Any], add: Sequence[str], remove: Sequence[str]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for names, on in ((remove, False), (add, True)):
        if "seen" in names:
            body["isRead"] = on
        if "flagged" in names:
            body["flag"] = {"flagStatus": "flagged" if on else "notFlagged"}
    before = [str(name) for name in row.get("categories") or ()]
    kept = [name for name in before if name not in remove]
    after = kept + [name for name in add if name not in _NOT_SET and name not in kept]
    if after != before:
        body["categories"] = after
    return body
