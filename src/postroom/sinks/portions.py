"""A batch in portions: so many files at a time as may be open, and one bad message fails alone."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from postroom.sinks.base import Delivery, Item
from postroom.sinks.files import cannot_write

__all__ = ["take_in_portions"]

_MOST_FILES: Final = 256
"""Files and directories open at the same time: a process often may have 1,024, sockets included."""

_ONE_MESSAGE = frozenset(
    {
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ENOTEMPTY,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.EILSEQ,
        errno.ELOOP,
    }
)
"""Errors that concern one file and its name, not the place as a whole."""
_BELOW = frozenset({errno.EACCES, errno.EPERM, errno.ENOENT, errno.EEXIST})
"""Errors that concern one message where its own facts say in which directory it lies."""


Take = Callable[[Sequence[Item]], list[Delivery]]


def take_in_portions(
    take: Take, items: Sequence[Item], root: Path, *, files: Callable[[Item], int]
) -> list[Delivery]:
    """Take a batch, so much of it at a time as may be open; ``files`` says how many an item needs.

    When one message's file cannot be written, its portion is halved until that one is found, and it
    alone is failed.  Raises as :func:`cannot_write` when the place as a whole is the trouble.
    """
    return [one for portion in _portions(items, files) for one in _one_by_one(take, portion, root)]


def _portions(items: Sequence[Item], files: Callable[[Item], int]) -> Iterator[list[Item]]:
    portion: list[Item] = []
    total = 0
    for item in items:
        total += files(item)
        if portion and total > _MOST_FILES:
            yield portion
            portion, total = [], files(item)
        portion.append(item)
    if portion:
        yield portion


def _one_by_one(take: Take, items: Sequence[Item], root: Path) -> list[Delivery]:
    try:
        return take(items)
    except OSError as error:
        if not _concerns_one(error, items, root):
            raise cannot_write(root, error) from error
        if len(items) == 1:
            return [Delivery(items[0].ledger, error=f"cannot be written: {error.strerror}")]
    half = len(items) // 2
    return [*_one_by_one(take, items[:half], root), *_one_by_one(take, items[half:], root)]


def _concerns_one(error: OSError, items: Sequence[Item], root: Path) -> bool:
    """Whether another message may be taken all the same."""
    if error.errno in _BELOW and any(item.below for item in items):
        return os.access(root, os.W_OK | os.X_OK)
    return error.errno in _ONE_MESSAGE
