"""``list-email``: the messages of a folder, or those that meet a search."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, Field

from postroom.clock import rfc3339
from postroom.errors import InvalidValue
from postroom.fields import field
from postroom.jobs.commands.base import Bench, ReadAgain, Result
from postroom.jobs.commands.reading import InFolder

__all__ = ["ListEmail"]

NEWEST: Final = 50
"""Messages that are listed where neither a limit nor a search is given."""


def _understood(text: str) -> str:
    """A search is read before anything is opened: one that is not understood is told when it is saved."""
    from postroom.connections.criteria import parse_criteria  # the help of a verb needs none of it

    try:
        parse_criteria(text or "all")
    except InvalidValue as error:
        raise ValueError(error.sentence.removeprefix(f"{error.field}: ")) from None
    return text


class ListEmail(InFolder):
    """The newest messages of a folder, or those that meet a search, newest first."""

    name: ClassVar[str] = "list-email"
    rights: ClassVar[tuple[str, ...]] = ("read",)
    about: ClassVar[str] = "The newest messages of a folder, or those that meet a search."
    gives: ClassVar[dict[str, str]] = {
        "items": "Of each message: id, received, from (the name, or else the address), address "
        "(that of the author), to (its recipients, as from), subject, size (bytes; null on Microsoft "
        "365, which does not tell it), "
        "flags, message_id.",
        "ids": "The ids of the same messages.",
        "count": "How many there are.",
        "next": "Give it as after for the messages behind these; nothing where there are none.",
    }
    read_again: ClassVar[ReadAgain] = {"search": "search"}

    search: Annotated[str, AfterValidator(_understood)] = field(
        "",
        label="Search",
        help="Such as: unseen from:ann not has:attachment since:2026-01-31",
        metavar="WORDS",
    )
    limit: Annotated[int, Field(ge=0)] | None = field(
        None,
        label="Limit",
        help=f"The newest of them; 0: all. When it is not said, {NEWEST}, and of a search all.",
        metavar="N",
    )
    after: str = field(
        "",
        label="After",
        help="Go on behind the message of this id: what the page before gave as next.",
        metavar="ID",
    )

    async def run(self, bench: Bench) -> Result:
        """List them.  Raises InvalidValue for a search that is not understood, NotThere."""
        limit = self.limit if self.limit is not None else 0 if self.search else NEWEST
        box = await self.box(bench)
        found = await box.lines(
            self.search, folder=self.folder, limit=limit and limit + 1, after=self.after
        )
        items = [_line(one) for one in (found[:limit] if limit else found)]
        return {
            "items": items,
            "ids": [one["id"] for one in items],
            "count": len(items),
            "next": items[-1]["id"] if len(found) > len(items) else None,
        }

    def plan(self) -> str:
        """Of what."""
        which = f"the messages that meet {self.search!r}" if self.search else "the newest messages"
        return f"list {which} in {self.folder} ({self.via})"


def _line(given: dict[str, Any]) -> dict[str, Any]:
    received = given["received"]
    return {**given, "received": None if received is None else rfc3339(received)}
