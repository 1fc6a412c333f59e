"""Pages of a folder: so many of its messages, newest first, behind one that was listed before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from postroom.errors import NotThere
from postroom.protocols.base import Summary
from postroom.protocols.newest import Newest

__all__ = ["behind", "newest_behind"]

_AT_FIRST: Final = 1000
"""So many are asked for where an id is looked for: one request on Graph."""
_TIMES: Final = 10


def behind(ids: Sequence[str], *, limit: int, after: str, folder: str) -> Sequence[str]:
    """Of the ids of messages, the oldest first, the newest that are older than ``after`` (empty: of all).

    ``limit`` 0: every one of them.  Raises NotThere.
    """
    if after:
        if after not in ids:
            raise _gone(after, folder)
        ids = ids[: ids.index(after)]
    return ids[-limit:] if limit else ids


async def newest_behind(
    store: Newest, *, limit: int, after: str, folder: str, headers: Sequence[str]
) -> list[Summary]:
    """The same, newest first, of a store that lists the newest alone: no further back than is needed."""
    if not after:
        return await store.newest(limit, headers=headers)
    many = max(limit, _AT_FIRST) if limit else 0
    while True:
        found = await store.newest(many, headers=headers)
        at = next((n for n, each in enumerate(found, 1) if each.id == after), None)
        whole = not many or len(found) < many
        if at is not None and (whole or len(found) >= at + limit):
            return found[at : at + limit] if limit else found[at:]
        if whole:
            raise _gone(after, folder)
        many *= _TIMES


def _gone(after: str, folder: str) -> NotThere:
    return NotThere(
        f"No longer in {folder}, or never there: {after}; no page begins behind it.",
        hint="Ask again, from the newest message.",
        ids=[after],
    )
