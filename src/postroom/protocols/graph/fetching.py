"""Reading by the Graph store: whole messages as MIME, streamed into memory or a spool."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from postroom.protocols.base import Content, Fetched, OpenSpool, Spool
from postroom.protocols.content import Held
from postroom.protocols.graph.listing import ListingVerbs
from postroom.protocols.graph.refusals import gone, refusal
from postroom.protocols.graph.requests import quoted

__all__ = ["FetchVerb"]

_AT_ONCE: Final = 3  # of the four that are allowed: somebody else may want to move one
_CHECKED: Final = 20  # a batch
_HEAD: Final = 256 * 1024


class _Arriving:
    """The bytes of one message: in memory, and into a spool once they are too many for it."""

    def __init__(self, spool: OpenSpool, in_memory: int) -> None:
        self._open = spool
        self._most = in_memory
        self._small = bytearray()
        self._spool: Spool | None = None

    def write(self, data: bytes, /) -> None:
        if self._spool is None and len(self._small) + len(data) > self._most:
            self._spool = self._open(len(self._small) + len(data))
            self._spool.write(bytes(self._small))
            self._small.clear()
        if self._spool is None:
            self._small += data
        else:
            self._spool.write(data)

    def finish(self) -> Content:
        return Held(bytes(self._small)) if self._spool is None else self._spool.finish()

    def discard(self) -> None:
        if self._spool is not None:
            self._spool.discard()
        self._spool = None
        self._small.clear()


class _Head:
    """Keeps the header block and lets the rest go by."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.whole = False

    def write(self, data: bytes, /) -> None:
        if self.whole:
            return
        self.data += data
        at = self.data.find(b"\r\n\r\n")
        if at >= 0:
            del self.data[at + 4 :]
        self.whole = at >= 0 or len(self.data) > _HEAD


class FetchVerb(ListingVerbs):
    """The verbs that read messages."""

    async def fetch(
        self, ids: Sequence[str], spool: OpenSpool
    ) -> AsyncGenerator[list[Fetched], None]:
        """The messages in the order asked, a few at a time beside each other."""
        for start in range(0, len(ids), _CHECKED):
            part = ids[start : start + _CHECKED]
            rows = await self._there(part, "id,parentFolderId", step="fetch")
            there = {str(row["id"]) for row in rows}
            for at in range(0, len(part), _AT_ONCE):
                yield await self._together(part[at : at + _AT_ONCE], there, spool)

    async def _together(
        self, ids: Sequence[str], there: set[str], spool: OpenSpool
    ) -> list[Fetched]:
        tasks = [
            asyncio.create_task(self._value(one, spool)) if one in there else None for one in ids
        ]
        running = [task for task in tasks if task is not None]
        try:
            await asyncio.gather(*running)
        except BaseException:
            for task in running:
                task.cancel()
            ended = await asyncio.gather(*running, return_exceptions=True)
            for content in ended:
                if content is not None and not isinstance(content, BaseException):
                    content.discard()
            raise
        return [
            Fetched(one, task.result() if task is not None else None)
            for one, task in zip(ids, tasks, strict=True)
        ]

    async def _value(self, one: str, spool: OpenSpool) -> Content | None:
        tries: list[_Arriving] = []

        def into() -> _Arriving:
            for old in tries:
                old.discard()
            tries.append(_Arriving(spool, self._requests.limits.in_memory))
            return tries[-1]

        try:
            answer = await self._requests.save(f"messages/{quoted(one)}/$value", into, lets=(404,))
        except BaseException:
            with contextlib.suppress(IndexError):
                tries[-1].discard()
            raise
        if answer.status == 404:
            tries[-1].discard()
            if gone(answer):
                return None
            raise refusal(answer, step="fetch", late=True)
        return tries[-1].finish()

    async def read_headers(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The whole header block of each: Graph has no way to it but the message itself."""
        rows = await self._there(ids, "id,parentFolderId", step="fetch") if ids else []
        found: dict[str, bytes] = {}
        for row in rows:
            heads: list[_Head] = []

            def into(heads: list[_Head] = heads) -> _Head:
                heads.append(_Head())
                return heads[-1]

            one = str(row["id"])
            answer = await self._requests.save(f"messages/{quoted(one)}/$value", into, lets=(404,))
            if not self._left(answer, "fetch"):
                found[one] = bytes(heads[-1].data)
        return found
