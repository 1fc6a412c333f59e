"""Searching the ledger: by what people know of a message, some rows at a time, the newest first."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Final

from postroom.db import Database, Row, Tx

__all__ = ["Search", "find", "matches"]

_FIRST: Final = 256
"""Ids of the first look; each that follows has twice as many, for what is sought is rare then."""
_MOST: Final = 16_384
"""Ids of one look: a read ends within some hundredths of a second, however long the ledger is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Search:
    """What is asked for; what is left out is not asked.

    ``sender`` is part of the From field, ``subject`` words that all stand in the subject, both
    whatever the case.  ``since`` and ``until`` bound when it was received, or first seen where the
    server does not say; seconds since 1970.  ``ids`` are ledger ids.  ``hidden`` are ids of sources
    that are not there for whoever asks.
    """

    states: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    message_id: str = ""
    sender: str = ""
    subject: str = ""
    since: float | None = None
    until: float | None = None
    hidden: tuple[str, ...] = ()


def matches(search: Search, row: Row) -> bool:
    """Whether the words that are asked for stand in a row (pure)."""
    if search.sender and search.sender.casefold() not in row["sender"].casefold():
        return False
    subject = row["subject"].casefold() if search.subject else ""
    return all(word in subject for word in search.subject.casefold().split())


async def find(
    db: Database,
    source: str | None,
    search: Search,
    *,
    limit: int,
    after: int | None = None,
    oldest: bool = False,
) -> tuple[list[Row], int | None]:
    """Rows of a source's ledger (its id; None: of all), the newest first or the ``oldest``.

    ``after`` is the id that the page before ended with; what comes in meanwhile moves no page.
    Gives besides the id to go on after, None at the end.
    """
    lowest, highest = await db.read(_ends)
    if after is not None:
        lowest, highest = (after + 1, highest) if oldest else (lowest, after - 1)
    if search.ids:
        lowest, highest = max(lowest, min(search.ids)), min(highest, max(search.ids))
    found: list[int] = []
    for low, high in _windows(lowest, highest, oldest=oldest):
        await asyncio.sleep(0)  # the looks of a long ledger are for others to come between
        found += await db.read(_look(source, search, low, high, oldest=oldest))
        if len(found) > limit:
            break
    page = found[:limit]
    rows = await db.read(lambda tx: [_row(tx, one) for one in page])
    there = [row for row in rows if row is not None]  # not what was forgotten meanwhile
    return there, page[-1] if len(found) > limit else None


def _row(tx: Tx, id: int) -> Row | None:
    return tx.one("SELECT * FROM ledger WHERE id = :id", id=id)


def _windows(lowest: int, highest: int, *, oldest: bool) -> Iterator[tuple[int, int]]:
    size = _FIRST
    while lowest <= highest:
        if oldest:
            yield lowest, min(highest, lowest + size - 1)
            lowest += size
        else:
            yield max(lowest, highest - size + 1), highest
            highest -= size
        size = min(_MOST, 2 * size)


def _ends(tx: Tx) -> tuple[int, int]:
    first = tx.value("SELECT min(id) FROM ledger")
    last = tx.value("SELECT max(id) FROM ledger")
    return (0, -1) if first is None else (first, last)


_BETWEEN: Final = (
    "SELECT id, sender, subject FROM ledger WHERE id BETWEEN :low AND :high "
    "AND (:source IS NULL OR source = :source) "
    "AND (:hidden = '' OR instr(:hidden, ',' || source || ',') = 0) "
    "AND (:states = '' OR instr(:states, ',' || state || ',') > 0) "
    "AND (:ids = '' OR instr(:ids, ',' || id || ',') > 0) "
    "AND (:message_id = '' OR message_id IN (:message_id, '<' || :message_id || '>')) "
    "AND (:since IS NULL OR coalesce(received_at, first_seen_at) >= :since) "
    "AND (:until IS NULL OR coalesce(received_at, first_seen_at) < :until) "
    "AND (:sender = '' OR sender LIKE :sender ESCAPE '!' OR sender GLOB '*[^ -~]*') "
    "AND (:subject = '' OR subject LIKE :subject ESCAPE '!' OR subject GLOB '*[^ -~]*') "
    "ORDER BY id"
)


def _like(text: str) -> str:
    """A pattern that everything fits that :func:`matches` may say yes to, of texts in ASCII: LIKE knows
    no other letters (sqlite.org/lang_expr.html#like), and these are what a text is full of.
    """
    if not text.isascii():
        return "%"
    escaped = re.sub(r"([!%_])", r"!\1", text)
    return f"%{escaped}%"


def _look(
    source: str | None, search: Search, low: int, high: int, *, oldest: bool
) -> Callable[[Tx], list[int]]:
    """The ids that fit: whole rows of a long ledger would take ten times as long to read."""

    def body(tx: Tx) -> list[int]:
        rows = tx.all(
            _BETWEEN,
            low=low,
            high=high,
            source=source,
            hidden=f",{','.join(search.hidden)}," if search.hidden else "",
            states=f",{','.join(search.states)}," if search.states else "",
            ids=f",{','.join(map(str, search.ids))}," if search.ids else "",
            message_id=search.message_id.strip().removeprefix("<").removesuffix(">"),
            sender=_like(search.sender) if search.sender else "",
            subject=_like(max(search.subject.split(), key=len, default=""))
            if search.subject
            else "",
            since=search.since,
            until=search.until,
        )
        ids = [row["id"] for row in rows if matches(search, row)]
        return ids if oldest else ids[::-1]

    return body
