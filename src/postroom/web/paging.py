"""Lists that are asked for page by page: the ways to the next one and back to the beginning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from postroom.errors import InvalidValue
from postroom.web.visit import Visit

__all__ = ["MANY", "Ways", "number_of", "ways"]

MANY: Final = 50
"""Rows of one page."""


class Ways(NamedTuple):
    """Addresses: of the first page, where this is another one, and of the next, where there is one."""

    first: str
    next: str


def ways(visit: Visit, kept: Mapping[str, str], found: Any) -> Ways:
    """The ways from a page of a list; ``kept`` is its filter, ``found`` what the operation gave."""
    path = visit.request.url.path
    first = f"{path}?{urlencode(kept)}" if kept else path
    behind = getattr(found, "next", None)
    return Ways(
        first if visit.query("after") else "",
        f"{path}?{urlencode({**kept, 'after': behind})}" if behind else "",
    )


def number_of(text: str, field: str = "after") -> int | None:
    """The number in an address, such as that of what a page begins behind; None for an empty text.

    Raises InvalidValue.
    """
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidValue(field, "is a number")
    return int(text)
