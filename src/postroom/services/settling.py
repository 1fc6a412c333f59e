"""Settling outcomes as they are known: those of a few milliseconds share one body and one commit."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Sequence
from typing import Final, NamedTuple, TypeVar

from postroom.clock import timestamp
from postroom.db import Claim, Database, Owe, Tx, write_or_owe
from postroom.errors import PostroomError, RoomError
from postroom.protocols.base import Outcome
from postroom.services import settle as rows
from postroom.services.service import Service

__all__ = ["Drained", "Settler", "all_of"]

T = TypeVar("T")

_MOST: Final = 8
_SECONDS: Final = 0.005
"""So many outcomes (over all lines of a connection together), or so long after the first of them,
are one commit.  What a killed process had not yet stored is ``ambiguous``, so both are small."""


@dataclasses.dataclass(slots=True)
class Drained:
    """What one pass did, and when the next row is due (seconds since 1970, None: nothing waits)."""

    sent: int = 0
    deferred: int = 0
    failed: int = 0
    ambiguous: int = 0
    next_due: float | None = None
    error: PostroomError | None = None

    @property
    def settled(self) -> int:
        """How many rows were tried."""
        return self.sent + self.deferred + self.failed + self.ambiguous


class _Known(NamedTuple):
    claim: Claim
    outcome: Outcome
    to: rows.Recipients
    service: Service


class Settler:
    """Settles the rows of one batch; :meth:`finish` returns when all are durable.

    What the server said of :attr:`owed` rows is known and could not be stored; the seat stores it as
    soon as the room can be written, and nobody may give these back meanwhile.
    """

    def __init__(
        self,
        db: Database,
        done: Drained,
        *,
        owner: str,
        lines: int = 1,
        owe: Owe | None = None,
        owed: set[str] | None = None,
    ) -> None:
        """``done`` is where the outcomes are counted; ``lines`` are open beside each other; ``owe``
        is the seat's, and into ``owed`` go the ids of such rows.
        """
        self._db = db
        self._owe = owe
        self.owed = set() if owed is None else owed
        self._most = _MOST // lines
        self._done = done
        self._owner = owner
        self._known: list[_Known] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: list[asyncio.Task[None]] = []

    def add(self, claim: Claim, outcome: Outcome, to: rows.Recipients, service: Service) -> None:
        """An outcome is known; ``to`` are the recipients as they were when it was claimed."""
        self._known.append(_Known(claim, outcome, to, service))
        if len(self._known) >= self._most:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SECONDS, self.flush)

    async def finish(self) -> None:
        """Settle the rest.  Raises what kept rows from being stored (a full disk)."""
        self.flush()
        await all_of(*self._writing)

    def flush(self) -> None:
        """Write what is known so far now: somebody else is about to, and a commit is shared."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._known:
            known, self._known = self._known, []
            self._writing.append(asyncio.create_task(self._write(known)))

    async def _write(self, known: Sequence[_Known]) -> None:
        def body(tx: Tx) -> dict[str, str]:
            now = timestamp()
            endings = [_ending(each, now) for each in known]
            return rows.settle(tx, endings, owner=self._owner, now=now)

        try:
            states = await write_or_owe(self._db, body, self._owe)
        except RoomError:
            if self._owe is not None:
                self.owed.update(each.claim.id for each in known)
            raise
        for each in known:
            state = states.get(each.claim.id)
            if state is None:  # another worker had taken it over and settled it
                continue
            setattr(self._done, state, getattr(self._done, state) + 1)
            if isinstance(each.outcome.error, PostroomError):
                self._done.error = self._done.error or each.outcome.error


async def all_of(*work: Awaitable[T]) -> list[T]:
    """Wait for all of it, whatever becomes of one; gives what each gave, or raises the first error."""
    tasks = [asyncio.ensure_future(each) for each in work]
    await asyncio.gather(*tasks, return_exceptions=True)
    return [task.result() for task in tasks]


def _ending(each: _Known, now: float) -> rows.Ending:
    wait = rows.backoff(each.service.retry, each.claim.row["attempts"] + 1)
    decisions = rows.decide(each.outcome, each.to.waiting)
    return rows.Ending(each.claim, decisions, each.to.states, now + wait, each.service)
