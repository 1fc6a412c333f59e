"""Unchanged: a change is made only while a definition is what somebody saw, in the same transaction.

A tag is the SHA-256 of what ``show`` gives, without what changes by itself (states, counts, last use).
It is compared by the writer, before the change, with what ``show`` gives in that transaction: nobody
else's change comes in between.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Final, TypeVar

from postroom.db import Tx
from postroom.errors import Refused
from postroom.operations.desk import Desk

__all__ = ["PASSING", "only_unchanged", "tag_of"]

T = TypeVar("T")
PASSING: Final = frozenset(
    {
        "usage", "used_at", "used_by", "used_for", "presented_at", "waiting", "workers", "note",
        "unsettled", "status", "due", "warnings", "runs", "last_run", "next_run", "next", "tried",
        "next_times", "held", "outcome", "sessions", "tokens", "signed_in_at",
    }
)  # fmt: skip
"""Of what ``show`` gives: what is no part of the definition."""


def tag_of(document: Any) -> str:
    """The tag of what ``show`` gave, as a document has it."""
    if isinstance(document, dict):
        document = {key: each for key, each in document.items() if key not in PASSING}
    text = json.dumps(document, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def only_unchanged(
    desk: Desk, show: Callable[[Desk], Coroutine[Any, Any, Any]], wanted: Collection[str]
) -> None:
    """Let this desk change something only while ``show`` gives what one of these tags was made of.

    ``show`` is asked with a desk that reads in the transaction of the change.  Empty: while it is
    there at all.  Then changing raises Refused (``changed_since``).
    """

    def check(tx: Tx) -> None:
        looking = dataclasses.replace(desk, before=None)
        looking.db = _InTransaction(tx)  # type: ignore[assignment]  # it reads, and no more
        found = tag_of(_now(show(looking)))
        if wanted and found not in wanted:
            raise Refused(
                "It was changed since you looked at it.",
                code="changed_since",
                hint="Look at it again, and make your change to what is there now.",
            )

    desk.before = check


class _InTransaction:
    """Reads what a transaction sees that is open already."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def read(self, body: Callable[[Tx], T]) -> T:
        return body(self._tx)

    def read_now(self, body: Callable[[Tx], T]) -> T:
        return body(self._tx)


def _now(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        coroutine.close()
    raise RuntimeError("looking at a definition waited for something")
