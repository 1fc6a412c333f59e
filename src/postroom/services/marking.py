"""Marking rows ``submitting``: a few share one commit, durable before the first of them begins DATA."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from postroom.clock import monotonic, timestamp
from postroom.db import Claim, Database, Tx
from postroom.db.claims import HEARTBEAT_SECONDS, LEASE_SECONDS, claim_lost
from postroom.errors import PostroomError
from postroom.services import settle as rows

__all__ = ["AHEAD", "Marks"]

AHEAD: Final = 8
"""Rows in one commit of marks, over all lines of a connection together.  A commit a row would halve
the rate; but each row that is marked before its turn becomes ``ambiguous``, not sent twice, when
this process is killed meanwhile."""

BELIEVED: Final = LEASE_SECONDS - 2 * HEARTBEAT_SECONDS
"""Seconds for which a mark is believed: before anybody can have taken the row from a frozen process."""


class _Mark(NamedTuple):
    """The answer for a row, and when it was given on both clocks (the lease goes by the second)."""

    refused: PostroomError | None
    steady: float
    wall: float

    @property
    def stands(self) -> bool:
        passed = max(monotonic() - self.steady, abs(timestamp() - self.wall))
        return self.refused is not None or passed <= BELIEVED


class Marks:
    """The marks of claims that are submitted one after the other, in this order.

    With ``ahead`` 0 each row is marked when its turn comes.  ``beside`` is called when marks are
    about to be written: what else waits to be written then shares their commit.
    """

    def __init__(
        self,
        db: Database,
        claims: Sequence[Claim],
        *,
        owner: str,
        ahead: int = AHEAD,
        beside: Callable[[], None] = lambda: None,
    ) -> None:
        self._db = db
        self._beside = beside
        self._ahead = ahead
        self._owner = owner
        self._waiting = deque(claims)
        self._marking: asyncio.Task[None] | None = None
        self._answers: dict[str, _Mark] = {}
        self._early: dict[str, Claim] = {}  # marked, and their turn has not come

    def marker(self, one: Claim) -> Callable[[], Awaitable[None]]:
        """What to await before DATA of this row, and again before its final dot.

        A mark that this process may have slept over is made again.  Raises ``claim_lost``, or why
        nothing was saved.
        """

        async def mark() -> None:
            while one.id not in self._answers or not self._answers[one.id].stands:
                again = not self._ahead or one.id in self._answers
                await asyncio.shield(self._marking or self._begin([one] if again else self._next()))
            refused = self._answers[one.id].refused
            if refused is not None:
                raise refused
            self._early.pop(one.id, None)  # from here on it may be on the wire
            few = len(self._early) <= self._ahead // 2
            if self._ahead and self._waiting and self._marking is None and few:
                self._begin(self._next())

        return mark

    def _next(self) -> list[Claim]:
        return [self._waiting.popleft() for _ in range(min(self._ahead, len(self._waiting)))]

    def _begin(self, group: Sequence[Claim]) -> asyncio.Task[None]:
        self._beside()  # before the task: what it begins comes to the database in the same turn
        self._marking = asyncio.create_task(self._mark_all(group))
        return self._marking

    async def _mark_all(self, group: Sequence[Claim]) -> None:
        try:
            answers = await self._db.write(lambda tx: self._mark(tx, group))
        except PostroomError as error:
            answers = {one.id: _answer(error) for one in group}
        self._early |= {
            one.id: one
            for one in group
            if answers[one.id].refused is None and one.id not in self._answers
        }
        self._answers |= answers
        self._marking = None

    def _mark(self, tx: Tx, group: Sequence[Claim]) -> dict[str, _Mark]:
        ours = rows.mark_submitting(tx, group, owner=self._owner, now=timestamp())
        marked = {one.id for one in ours}
        return {one.id: _answer(None if one.id in marked else claim_lost()) for one in group}

    async def finish(self) -> None:
        """At the end, also of a run that was cut short: what had no turn is only ``claimed`` again."""
        if self._marking is not None:
            await self._marking
        early = list(self._early.values())
        self._early.clear()
        if early:
            await self._db.write(lambda tx: rows.unmark(tx, early, owner=self._owner))


def _answer(refused: PostroomError | None = None) -> _Mark:
    return _Mark(refused, monotonic(), timestamp())
