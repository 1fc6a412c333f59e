"""Operations on the ledger of a source: list, release, reset."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from postroom.clock import timestamp
from postroom.db import Tx
from postroom.operations.desk import Desk, check_states
from postroom.sources import entries, store
from postroom.sources.entries import STATES, Entry

__all__ = ["Ledger"]


class Ledger:
    """What an operator may do with what a source remembers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list(
        self, name: str, *, states: Sequence[str] = (), limit: int = 50
    ) -> builtins.list[Entry]:
        """What the source remembers, newest first.  Raises InvalidValue for no such state."""
        check_states(states, STATES)

        def body(tx: Tx) -> builtins.list[Entry]:
            row = store.row_of(tx, name)
            template = self._desk.templates(tx)(
                store.source_of(row).name_template, f"source {row['name']}: name_template"
            )
            return entries.find(tx, row["id"], template, states=states, limit=limit)

        return await self._desk.db.read(body)

    async def counts(self, name: str) -> dict[str, int]:
        """How many messages are in each state."""
        return await self._desk.db.read(lambda tx: entries.counts(tx, store.row_of(tx, name)["id"]))

    async def release(self, name: str, ids: Sequence[int] | None = None) -> int:
        """Let held messages be processed (None: all of them)."""
        return await self._open_again("release", name, ids)

    async def reset(self, name: str, ids: Sequence[int] | None = None) -> int:
        """Process messages again (None: all of them)."""
        return await self._open_again("reset", name, ids)

    async def _open_again(self, verb: str, name: str, ids: Sequence[int] | None) -> int:
        change = entries.release if verb == "release" else entries.reset

        def body(tx: Tx) -> int:
            row = store.row_of(tx, name)
            count = change(tx, row["id"], ids, now=timestamp())
            store.wake(tx, name)
            self._desk.record(tx, verb, "source", row["name"], messages=count)
            return count

        return await self._desk.write(body)
