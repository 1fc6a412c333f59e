"""Operations on the ledgers of sources: list and search, release, reset."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

from postroom.clock import timestamp
from postroom.db import Row, Tx
from postroom.errors import WrongUse
from postroom.macros import Template
from postroom.operations.desk import Desk, check_states, instant
from postroom.operations.page import Page, check_page
from postroom.sources import entries, searching, store
from postroom.sources.entries import STATES, Entry
from postroom.sources.searching import Search
from postroom.sources.source import Source

__all__ = ["Ledger"]


class Ledger:
    """What an operator may do with what sources remember."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list(
        self,
        name: str | None = None,
        *,
        states: Sequence[str] = (),
        ids: Sequence[int] = (),
        message_id: str = "",
        from_: str = "",
        subject: str = "",
        since: str | None = None,
        until: str | None = None,
        limit: int = 50,
        after: int | None = None,
        oldest: bool = False,
    ) -> Page[Entry]:
        """What a source (None: every source) remembers, newest first, or ``oldest`` first.

        ``message_id`` is exact, with angle brackets or without; ``from_`` is part of the From field;
        ``subject`` are words that all stand in the subject.  ``since`` and ``until`` bound when a
        message was received: a duration back from now (``1h``, ``5d``), a date or an instant.
        ``next`` of the page is ``after`` of the call for the following one, None at the end: a
        ledger id, so that nothing that comes in meanwhile moves a page.

        Raises InvalidValue for a state that there is not, a time that is none, a limit below 1;
        NotThere for no such source.
        """
        check_states(states, STATES)
        check_page(limit)
        search = Search(
            tuple(states), tuple(ids), message_id, from_, subject,
            instant("since", since), instant("until", until),
        )  # fmt: skip
        called = await self._desk.db.read(lambda tx: self._sources(tx, name))
        source = next(iter(called)) if name is not None else None
        search = dataclasses.replace(search, hidden=await self._desk.db.read(store.hidden))
        found, more = await searching.find(
            self._desk.db, source, search, limit=limit, after=after, oldest=oldest
        )
        return Page(
            (
                entries.entry_of(row, *called[row["source"]])
                for row in found
                if row["source"] in called  # not one that was made a moment ago
            ),
            next=more,
        )

    def _sources(self, tx: Tx, name: str | None) -> dict[str, tuple[str, Template]]:
        """The name of a source (None: of each), and what it calls messages, by its id."""
        templates = self._desk.templates(tx)
        rows: Sequence[Row] = store.rows(tx) if name is None else [store.row_of(tx, name)]
        return {
            row["id"]: (
                row["name"],
                templates(_name_template(row), f"source {row['name']}: name_template"),
            )
            for row in rows
        }

    async def counts(self, name: str) -> dict[str, int]:
        """How many messages are in each state."""
        return await self._desk.db.read(lambda tx: entries.counts(tx, store.row_of(tx, name)["id"]))

    async def release(self, name: str, ids: Sequence[int] | None = None) -> int:
        """Let held messages be processed (None: all of them)."""
        return await self._open_again("release", name, ids, entries.release)

    async def reset(
        self, name: str, ids: Sequence[int] | None = None, *, states: Sequence[str] = ()
    ) -> int:
        """Process messages again (None: all of them), where ``states`` are given those in one of them."""
        check_states(states, STATES)
        again = functools.partial(entries.reset, states=states)
        return await self._open_again("reset", name, ids, again)

    async def _open_again(
        self, verb: str, name: str, ids: Sequence[int] | None, change: Callable[..., int]
    ) -> int:

        def body(tx: Tx) -> int:
            row = store.row_of(tx, name)
            count = change(tx, row["id"], ids, now=timestamp())
            store.wake(tx, name)
            self._desk.record(tx, verb, "source", row["name"], messages=count)
            return count

        return await self._desk.write(body)


def _name_template(row: Row) -> str:
    """What a source calls its messages; that of the default where its settings cannot be read."""
    try:
        return store.source_of(row).name_template
    except WrongUse:
        return str(Source.model_fields["name_template"].default)
