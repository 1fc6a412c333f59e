"""A page: so many items of a longer list, and where the ones behind them begin."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

from postroom.errors import InvalidValue

__all__ = ["MOST", "PAGE", "Page", "check_page", "cut"]

T = TypeVar("T")

PAGE: Final = 100
"""Items of a page from afar, where an operation says nothing else."""
MOST: Final = 1000
"""Items of one page, at the most."""
_ID: Final = re.compile("[0-9a-f]{21,22}")
"""Of an outbox item, of a run."""
_PLACE: Final = re.compile(r"([0-9]{1,9})\.([0-9a-f]{16})")
_KEYS: Final = ("id", "name", "account", "label", "version", "credential", "grantee", "noun")
"""What tells items of a list apart, as far as they have it."""


class Page(list[T]):
    """The items; ``next`` is what ``after`` of the same call is for the next page, None at the end."""

    def __init__(self, items: Iterable[T] = (), *, next: int | str | None = None) -> None:
        super().__init__(items)
        self.next = next


def check_page(limit: int, after: str | None = None) -> None:
    """Raise InvalidValue for a page without items, and for an ``after`` that is no id of the room."""
    if limit < 1:
        raise InvalidValue("limit", "give a number from 1 on")
    if after is not None and not _ID.fullmatch(after):
        raise InvalidValue("after", "give the whole id, as the list has it")


def cut(items: Sequence[T], *, limit: int | None, after: str | None = None) -> Page[T]:
    """A page of a list that is looked up whole; ``limit`` None is all that is behind ``after``.

    ``next`` names the last item, and where it stood: the next page begins behind it, wherever it stands
    by then, and in the same place where it is gone.  Raises InvalidValue for what no page said.
    """
    begin = _behind(items, after) if after else 0
    page = items[begin:] if limit is None else items[begin : begin + limit]
    end = begin + len(page)
    more = bool(page) and end < len(items)
    return Page(page, next=f"{end}.{_digest(page[-1])}" if more else None)


def _behind(items: Sequence[Any], after: str) -> int:
    found = _PLACE.fullmatch(after)
    if found is None:
        raise InvalidValue("after", "give what the page before said as next")
    place, digest = int(found[1]), found[2]
    if 0 < place <= len(items) and _digest(items[place - 1]) == digest:
        return place
    there = (at for at, one in enumerate(items, 1) if _digest(one) == digest)
    return next(there, place)


def _digest(item: Any) -> str:
    fields = item if isinstance(item, dict) else {key: getattr(item, key, None) for key in _KEYS}
    known = [str(fields.get(key)) for key in _KEYS]
    told = repr(known if set(known) - {"None"} else item)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]
