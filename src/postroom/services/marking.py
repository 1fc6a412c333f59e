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
"""Rows in one commit of marks, over all lines of a connection together.  A commit a row would halve
the rate; but each row that is marked before its turn becomes ``ambiguous``, not sent twice, when
this process is killed meanwhile."""


class Marks:
    """The marks of claims that are submitted one after the other, in this order."""

    def __init__(
        self, db: Database, claims: Sequence[Claim], *, owner: str, ahead: int = AHEAD
    ) -> None:
        self._db = db
        self._ahead = ahead
        self._owner = owner
        self._waiting = deque(claims)
        self._marking: asyncio.Task[None] | None = None
        self._answers: dict[str, PostroomError | None] = {}  # None: marked
        self._early: dict[str, Claim] = {}  # marked, and their turn has not come

    def marker(self, one: Claim) -> Callable[[], Awaitable[None]]:
        """What to await before DATA of this row; raises ``claim_lost``, or why nothing was saved."""

        async def mark() -> None:
            while one.id not in self._answers:
                await asyncio.shield(self._marking or self._begin())
            refused = self._answers[one.id]
            if refused is not None:
                raise refused
            self._early.pop(one.id, None)  # from here on it may be on the wire
            if self._waiting and self._marking is None and len(self._early) <= self._ahead // 2:
                self._begin()

        return mark

    def _begin(self) -> asyncio.Task[None]:
        self._marking = asyncio.create_task(self._mark_next())
        return self._marking

    async def _mark_next(self) -> None:
        group = [self._waiting.popleft() for _ in range(min(self._ahead, len(self._waiting)))]
        try:
            answers = await self._db.write(lambda tx: self._mark(tx, group))
        except PostroomError as error:
            answers = {one.id: error for one in group}
        self._answers |= answers
        self._early |= {one.id: one for one in group if answers[one.id] is None}
        self._marking = None

    def _mark(self, tx: Tx, group: Sequence[Claim]) -> dict[str, PostroomError | None]:
        now = timestamp()
        answers: dict[str, PostroomError | None] = {}
        for one in group:
            try:
                rows.mark_submitting(tx, one, owner=self._owner, now=now)
                answers[one.id] = None
            except Refused as error:
                answers[one.id] = error
        return answers

    async def finish(self) -> None:
        """At the end, also of a run that was cut short: what had no turn is only ``claimed`` again."""
        if self._marking is not None:
            await self._marking
        early = list(self._early.values())
        self._early.clear()
        if early:
            await self._db.write(lambda tx: rows.unmark(tx, early, owner=self._owner))
