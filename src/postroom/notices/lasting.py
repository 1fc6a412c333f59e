"""What lasts although this moment shows nothing of it, and the words for what was removed.

A source that is tried again is neither well nor failing: it is well when a pass has succeeded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final, cast

from postroom.connections.resolver import Resolver
from postroom.db import Row, Tx, is_living
from postroom.errors import PostroomError
from postroom.jobs import store as jobs
from postroom.notices.causes import STUCK_SECONDS, Found
from postroom.notices.notification import Cause
from postroom.notices.rows import Kept
from postroom.notices.things import NOTHING, Things, of_connection
from postroom.sources import store as sources
from postroom.sources.standing import FAILING

__all__ = ["gone", "still"]

_WELL: Final = ("idle", "listening")


def still(
    tx: Tx, resolver: Resolver, kept: Iterable[Kept], found: Collection[Found], *, now: float
) -> Iterator[Found]:
    """Those of ``kept`` that last, are not ``found`` at this moment, and are not known to be over."""
    there = {one.key for one in found}
    for one in kept:
        if one.over_at is not None or one.text("kind") != "source" or one.key in there:
            continue
        row = sources.find(tx, one.text("name"))
        if row is not None and not _is_well(tx, row, now):
            yield _as_noted(one, _things(resolver, row), broken=_fails(row))


def gone(tx: Tx, kept: Kept) -> str:
    """The sentence for a cause that is over because what it was about was removed; else nothing."""
    noun, name = kept.text("noun"), kept.text("name")
    find = {"source": sources.find, "job": jobs.find}.get(noun)
    return "" if find is None or find(tx, name) else f"{noun.capitalize()} {name} was deleted."


def _is_well(tx: Tx, row: Row, now: float) -> bool:
    late = row["due_at"] <= now - STUCK_SECONDS and not is_living(tx, row["owner"], now=now)
    return row["state"] in _WELL and not late


def _fails(row: Row) -> bool:
    return row["state"] in FAILING or bool(row["failures"] and not row["successes"])


def _things(resolver: Resolver, row: Row) -> Things:
    try:
        connection = sources.source_of(row).connection
    except PostroomError:
        return NOTHING
    return of_connection(resolver, connection, sides=("incoming",)).with_more(
        f"source:{row['name']}"
    )


def _as_noted(one: Kept, things: Things, *, broken: bool) -> Found:
    return Found(
        key=one.key,
        kind=cast("Cause", one.text("kind")),
        noun=one.text("noun"),
        name=one.text("name"),
        said=one.text("said"),
        over=one.text("over"),
        do=one.text("do"),
        stage=one.stage,
        things=things,
        broken=broken,
    )
