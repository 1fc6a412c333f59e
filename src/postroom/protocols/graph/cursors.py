"""Cursors of Graph's delta, and the pages of one round: pure (Microsoft's "delta query")."""

from __future__ import annotations

import dataclasses
from typing import Any

from postroom.errors import ProtocolError
from postroom.protocols.graph.requests import id_of

__all__ = ["Cursor", "Leaf", "leaf_of"]


@dataclasses.dataclass(frozen=True, slots=True)
class Cursor:
    """How far a folder was listed: its id, and the link to go on from.

    ``link`` is the path and query of a nextLink or deltaLink, empty before the first round;
    ``after`` then says that what had been received by that time does not count, but for that of the
    very second, of which the messages in ``but`` were there.
    """

    folder: str
    link: str = ""
    after: str = ""
    but: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.link:
            return f"{self.folder} {self.link}"
        return " ".join((self.folder, f"@{self.after}", *self.but))

    @classmethod
    def read(cls, text: str) -> Cursor | None:
        """The cursor in a text; None for one of another kind, or none."""
        folder, _, rest = text.partition(" ")
        if rest.startswith("/"):
            return cls(folder, rest)
        if rest.startswith("@"):
            after, *but = rest[1:].split(" ")
            return cls(folder, "", after, tuple(but))
        return None

    def counts(self, row: dict[str, Any]) -> bool:
        """Whether a message came after the beginning (only asked without a link)."""
        received = str(row.get("receivedDateTime", ""))
        return received > self.after or (received == self.after and row["id"] not in self.but)


@dataclasses.dataclass(frozen=True, slots=True)
class Leaf:
    """One page of a round: messages that came or changed, ids that left, and the link to go on.

    ``last``: the round is over, and the link is for the next one.
    """

    rows: list[dict[str, Any]]
    gone: list[str]
    link: str
    last: bool


def leaf_of(said: dict[str, Any]) -> Leaf:
    """The page in an answer.  Raises ProtocolError."""
    link, last = said.get("@odata.nextLink"), False
    if link is None:
        link, last = said.get("@odata.deltaLink"), True
    values = said.get("value")
    if not isinstance(link, str) or not isinstance(values, list):
        raise ProtocolError(
            "Microsoft Graph gave a page of a listing without a link to go on from.",
            hint="Check graph_url.",
        )
    rows: dict[str, dict[str, Any]] = {}
    gone: dict[str, None] = {}
    for each in values:
        key = id_of(each)
        if "@removed" in each:
            rows.pop(key, None)
            gone[key] = None
        else:
            gone.pop(key, None)
            rows[key] = each
    return Leaf(list(rows.values()), list(gone), link, last)
