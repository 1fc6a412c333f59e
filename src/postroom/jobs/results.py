"""What steps gave: how much of it a run holds at a time, and what of it is kept with the run."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from postroom.errors import Refused
from postroom.fields import format_size

__all__ = ["KEPT", "Report", "Shelf", "shortened", "weight"]

KEPT: Final = 64 << 20
"""Bytes, roughly, of what steps gave and later steps name: more ends the run with a sentence."""
_WRITTEN: Final = 64 << 10
"""Bytes of the result of one step that are kept with the run, as JSON."""
_IN_ALL: Final = 160 << 10
"""Of all its steps: what comes after is named, and left out."""
_CUTS: Final = ((4096, 100), (200, 20), (80, 5))
"""Characters of a text and entries of a list or record: the first that fit into _WRITTEN."""
_DEEPEST: Final = 8
_TOO_LARGE: Final = "(too large to be kept)"


class Report:
    """What is kept with a run of what its named steps gave; ``steps`` is JSON."""

    def __init__(self) -> None:
        self.steps: dict[str, Any] = {}
        self._size = 0

    def add(self, name: str, result: Any) -> None:
        """Keep what a step gave, cut; the later one of two of a name."""
        cut = shortened(result)
        size = _bytes(cut)
        if self._size + size > _IN_ALL:
            cut, size = _TOO_LARGE, len(_TOO_LARGE)
        self._size += size
        self.steps[name] = cut


class Shelf:
    """Counts what a run holds; ``size`` may be set back to what it was when something is let go."""

    def __init__(self, most: int = KEPT) -> None:
        self.size = 0
        self._most = most

    def add(self, value: Any, label: str) -> None:
        """Count a value that is held from now on.  Raises Refused when it is too much."""
        self.size += weight(value)
        if self.size > self._most:
            raise Refused(
                f"{label}: what the steps of this run gave, and later ones name, is more than "
                f"{format_size(self._most)} together.",
                hint="Give list-email a limit, or read and use messages one by one in a for_each.",
            )


def weight(value: Any) -> int:
    """Roughly the bytes that a value takes; what is in it counts, at any depth."""
    total, rest = 0, [value]
    while rest:
        one = rest.pop()
        total += 64
        if isinstance(one, (str, bytes)):
            total += len(one)
        elif isinstance(one, Mapping):
            rest += one.keys()
            rest += one.values()
        elif isinstance(one, (list, tuple)):
            rest += one
    return total


def shortened(value: Any) -> Any:
    """A value as it is kept with a run: long texts and lists cut, and said so; at most 64 KiB."""
    for text, entries in _CUTS:
        with contextlib.suppress(_TooMuch):
            return _Cut(text, entries).cut(value, 0)
    return _TOO_LARGE


def _bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


P = TypeVar("P")


class _TooMuch(Exception):
    """What is cut is still more than is kept."""


class _Cut:
    """Cuts texts to so many characters, lists and records to so many entries, all to _WRITTEN."""

    def __init__(self, text: int, entries: int) -> None:
        self._text = text
        self._entries = entries
        self._left = _WRITTEN

    def cut(self, value: Any, depth: int) -> Any:
        if isinstance(value, (Mapping, list, tuple)):
            return self._several(value, depth)
        plain = value is None or isinstance(value, int) or _finite(value)
        return self._counted(value) if plain else self._short(str(value))

    def _several(self, value: Mapping[Any, Any] | Sequence[Any], depth: int) -> Any:
        if depth >= _DEEPEST:
            return self._counted("(and what is in it)")
        left = len(value) - self._entries
        more = [self._counted(f"(and {left} more)")] if left > 0 else []
        self._counted(None)
        if isinstance(value, Mapping):
            some = islice(value.items(), self._entries)
            kept = {self._short(str(key)): self.cut(each, depth + 1) for key, each in some}
            return {**kept, **dict.fromkeys(more)}
        return [*(self.cut(each, depth + 1) for each in islice(value, self._entries)), *more]

    def _short(self, text: str) -> str:
        cut = len(text) - self._text
        return self._counted(text if cut <= 0 else f"{text[: self._text]} (and {cut} more)")

    def _counted(self, value: P) -> P:
        self._left -= _bytes(value) + 4  # what stands around it
        if self._left < 0:
            raise _TooMuch
        return value


def _finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)
