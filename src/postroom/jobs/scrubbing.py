"""Scrubbing what a program writes: secrets leave it also where they were written in two halves.

Pure: bytes in, bytes out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from postroom.secret import MASK, Scrubber, Secret

__all__ = ["Scrubbing", "clean", "holds_secret", "places"]

_MASKED = MASK.encode()
_FIRST = 4


class Scrubbing:
    """Scrubs a stream.  It holds back an end that may be the beginning of a secret, nothing else."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self.forms = Scrubber(secrets).forms
        self.longest = max(map(len, self.forms), default=0)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What may be passed on by now, scrubbed."""
        data = self._held + data
        marks = places(data, self.forms)
        cut = len(data) - _begun(data[-self.longest :].lower(), self.forms)
        for start, end in marks:
            if start < cut < end:
                cut = start
        self._held = data[cut:]
        return clean(data, [mark for mark in marks if mark[1] <= cut], 0, cut)

    def held(self) -> bytes:
        """What was held back, as it is; nothing is held any more."""
        held, self._held = self._held, b""
        return held

    def end(self) -> bytes:
        """The rest, scrubbed: nothing follows."""
        held = self.held()
        return clean(held, places(held, self.forms))


def holds_secret(value: Any, secrets: Iterable[Secret]) -> bool:
    """Whether a secret stands, in any form, in what is to be kept in the clear as JSON."""
    told = json.dumps(value, ensure_ascii=False, default=str)
    return Scrubber(secrets).text(told) != told


def places(data: bytes, forms: Sequence[bytes]) -> list[tuple[int, int]]:
    """Where secrets stand, from the first to the last; of those that overlap the longest."""
    lowered, found, taken = data.lower(), [], bytearray(len(data))
    for form in forms:
        at = lowered.find(form)
        while at >= 0:
            end = at + len(form)
            clear = taken.find(1, at, end) < 0
            if clear:
                found.append((at, end))
                taken[at:end] = b"\1" * len(form)
            at = lowered.find(form, end if clear else at + 1)
    return sorted(found)


def clean(
    data: bytes, marks: Sequence[tuple[int, int]], start: int = 0, end: int | None = None
) -> bytes:
    """The data from ``start`` to ``end``, with ``****`` where the marks are; one that begins earlier
    counts as a whole.
    """
    parts, at = [], start
    for first, last in marks:
        if last > start:
            parts.append(data[at:first])
            at = last
    return _MASKED.join([*parts, data[at : len(data) if end is None else end]])


def _begun(lowered: bytes, forms: Sequence[bytes]) -> int:
    """The length of the longest end that is the beginning of a form, and not all of it."""
    longest, size = 0, len(lowered)
    for form in forms:
        most = min(len(form) - 1, size)
        # of a private key every end would be compared with thousands of beginnings
        at = lowered.find(form[:_FIRST], size - most)
        while at >= 0 and not form.startswith(lowered[at:]):
            at = lowered.find(form[:_FIRST], at + 1)
        longest = max(longest, size - at if at >= 0 else 0)
        for length in range(min(_FIRST - 1, most), longest, -1):
            if lowered.endswith(form[:length]):
                longest = length
                break
    return longest
