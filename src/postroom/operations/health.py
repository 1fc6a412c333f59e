"""Operations for who watches the room: whether it is ready, and its figures for Prometheus."""

from __future__ import annotations

import asyncio
import builtins
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from postroom.access import Person
from postroom.access.grants import any_restricted
from postroom.clock import monotonic, timestamp
from postroom.db import SCHEMA, Tx, is_full, workers
from postroom.errors import PostroomError
from postroom.operations.desk import Desk, acting
from postroom.operations.sight import grantee_of, hidden_credentials

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["Check", "Health"]

DISK_SECONDS: Final = 10.0
"""How long an answer about the disk holds: it is tried, with a file, and anybody may ask."""
LOOK_SECONDS: Final = 5.0
"""How long any other answer holds: whoever asks more often gets the same."""


ENDS_SECONDS: Final = 600.0
"""How often credentials are looked through: there may be ten thousand, and days are counted."""


class Check(NamedTuple):
    """One thing that has to be right, and why it is not."""

    name: str
    ok: bool
    why: str = ""


class Health:
    """What monitoring asks."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._disk: tuple[float, bool] | None = None
        self._seen: tuple[float, dict[str, Any]] | None = None
        self._figures: dict[str, tuple[float, bytes]] = {}
        self._next_end: dict[frozenset[str], tuple[float, int | None]] = {}
        self._counting = asyncio.Lock()

    async def ready(self) -> models.Ready:
        """``ok``, and ``checks``: each with its name, whether it is right, and why not.

        room: it can be read, and is where it was; schema; key: it is not locked; disk: it takes more;
        worker: one lives.  No secret is in it, and nothing of the room's content.
        """
        if self._seen is None or monotonic() > self._seen[0] + LOOK_SECONDS:
            checks = [*self._room(), self._key(), await self._space()]
            ok = all(one.ok for one in checks)
            self._seen = (monotonic(), {"ok": ok, "checks": [one._asdict() for one in checks]})
        return self._seen[1]

    async def counts(self) -> dict[str, int]:
        """How many there are of each noun, of those that are there for whoever asks."""
        return await self._desk.db.read(_counts)

    async def metrics(self, person: Person | None = None) -> bytes:
        """The figures of the room and of this process, as Prometheus reads them (text format 0.0.4).

        ``person``: without the names of what is not there for them.
        """
        from postroom.operations.metrics import figures  # only who is watched loads the library

        desk = self._desk if person is None else acting(self._desk, person)
        key = grantee_of(desk.person) if self._desk.db.read_now(any_restricted) else ""
        async with self._counting:  # two who scrape at once are answered by one look
            for old in [
                k for k, (at, _) in self._figures.items() if monotonic() > at + LOOK_SECONDS
            ]:
                del self._figures[old]
            if key not in self._figures:
                made = await asyncio.to_thread(lambda: figures(desk, self._days_left(desk)))
                self._figures[key] = (monotonic(), made)
            return self._figures[key][1]

    def _days_left(self, desk: Desk) -> int | None:
        """To the next end of anything in a credential that is there for whoever asks; None: nothing ends."""
        key = desk.db.read_now(hidden_credentials)
        for old in [k for k, (at, _) in self._next_end.items() if monotonic() > at + ENDS_SECONDS]:
            del self._next_end[old]
        if key not in self._next_end:
            found = desk.db.read_now(lambda tx: desk.credentials.all(tx, ending=True))
            days = [due.days for one in found for due in one.due[:1]]
            self._next_end[key] = (monotonic(), min(days, default=None))
        return self._next_end[key][1]

    def _room(self) -> builtins.list[Check]:
        db = self._desk.db
        if db.failed is not None:
            return [Check("room", ok=False, why=str(db.failed))]
        if not db.in_place():
            return [Check("room", ok=False, why="The room is not at its place any more.")]
        try:
            schema, count = db.read_now(_looked)
        except PostroomError as error:
            return [Check("room", ok=False, why=error.sentence)]
        right = schema == SCHEMA
        told = "" if right else f"The room has schema {schema}; this release needs {SCHEMA}."
        nobody = "" if count else "No worker runs: nothing is collected, sent or run by itself."
        return [
            Check("room", ok=True),
            Check("schema", ok=right, why=told),
            Check("worker", ok=bool(count), why=nobody),
        ]

    def _key(self) -> Check:
        locked = self._desk.locked
        return Check("key", ok=locked is None, why="" if locked is None else locked.sentence)

    async def _space(self) -> Check:
        if self._disk is None or monotonic() > self._disk[0] + DISK_SECONDS:
            full = await asyncio.to_thread(is_full, Path(self._desk.data_dir))
            self._disk = (monotonic(), full)
        full = self._disk[1]
        return Check("disk", ok=not full, why="The disk of the room is full." if full else "")


_COUNT: Final = {
    "credentials": "SELECT count(*) FROM credentials",
    "connections": "SELECT count(*) FROM connections",
    "sources": "SELECT count(*) FROM sources",
    "services": "SELECT count(*) FROM services",
    "jobs": "SELECT count(*) FROM jobs",
}
_ROWS: Final = {
    "credentials": "SELECT name FROM credentials",
    "connections": "SELECT name, body FROM connections",
    "sources": "SELECT name, body FROM sources",
    "services": "SELECT name, body FROM services",
    "jobs": "SELECT name, body FROM jobs",
}
"""Of each noun what tells whether a row is there for somebody."""


def _counts(tx: Tx) -> dict[str, int]:
    if tx.sight is None:
        return {noun: tx.value(_COUNT[noun]) for noun in _COUNT}
    return {
        nouns: sum(not tx.hides(nouns.removesuffix("s"), row) for row in tx.all(_ROWS[nouns]))
        for nouns in _ROWS
    }


def _looked(tx: Tx) -> tuple[int, int]:
    return tx.value("PRAGMA user_version"), len(workers(tx, now=timestamp()))
