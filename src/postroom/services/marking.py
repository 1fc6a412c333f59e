"""Marking rows ``submitting``: a few share one commit, durable before the first of them begins DATA."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from postroom.clock import timestamp
from postroom.db import Claim, Database, Tx
from postroom.errors import PostroomError, Refused
from postroom.services import settle as rows

__all__ = ["AHEAD", "Marks"]

AHEAD: Final = 8
"""Rows in one commit of marks.  A commit a row would halve the rate; but each row that is marked
before its turn becomes ``ambiguous``, not sent twice, when this process is killed meanwhile."""


class Marks:
    """The marks of claims that are submitted one after the other, in this order."""

    def __init__(self, db: Database, claims: Sequence[Claim], *, owner: str) -> None:
        self._db = db
        self._owner = owner
        self._waiting = deque(claims)
        self._marking: asyncio.Task[None] | None = None
        self._marked: dict[str, Claim] = {}  # marked, their turn has not come
        self._refused: dict[str, PostroomError] = {}

    def marker(self, one: Claim) -> Callable[[], Awaitable[None]]:
        """What to await before DATA of this row; raises ``claim_lost``, or why nothing was saved."""

        async def mark() -> None:
            while one.id not in self._marked and one.id not in self._refused:
                await self._next()
            refused = self._refused.get(one.id)
            if refused is not None:
                raise refused
            del self._marked[one.id]  # from here on it may be on the wire
            if len(self._marked) <= AHEAD // 2 and self._marking is None:
                self._begin()

        return mark

    async def _next(self) -> None:
        if self._marking is None:
            self._begin()
        if self._marking is not None:
            await asyncio.shield(self._marking)

    def _begin(self) -> None:
        if self._waiting:
            self._marking = asyncio.create_task(self._mark_next())

    async def _mark_next(self) -> None:
        group = [self._waiting.popleft() for _ in range(min(AHEAD, len(self._waiting)))]
        try:
            refused = await self._db.write(lambda tx: self._mark(tx, group))
        except PostroomError as error:
            refused = {one.id: error for one in group}
        self._refused |= refused
        self._marked |= {one.id: one for one in group if one.id not in refused}
        self._marking = None

    def _mark(self, tx: Tx, group: Sequence[Claim]) -> dict[str, PostroomError]:
        now = timestamp()
        refused: dict[str, PostroomError] = {}
        for one in group:
            try:
                rows.mark_submitting(tx, one, owner=self._owner, now=now)
            except Refused as error:
                refused[one.id] = error
        return refused

    async def undo(self) -> None:
        """After a run that was cut short: what never had its turn is only ``claimed`` again."""
        if self._marking is not None:
            await self._marking
        left = list(self._marked.values())
        self._marked.clear()
        if left:
            await self._db.write(lambda tx: rows.unmark(tx, left, owner=self._owner))
