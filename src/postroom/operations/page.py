"""A page: so many items of a longer list, and where the ones behind them begin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

__all__ = ["Page"]

T = TypeVar("T")


class Page(list[T]):
    """The items; ``next`` is what ``after`` of the same call is for the next page, None at the end."""

    def __init__(self, items: Iterable[T] = (), *, next: int | str | None = None) -> None:
        super().__init__(items)
        self.next = next
