"""Figures beside their peers: medians and ratios of repeated runs, as a table for people."""

from __future__ import annotations

import dataclasses
import operator
import re
import statistics
from collections.abc import Callable, Sequence
from typing import Literal

__all__ = ["Figure", "Samples", "table"]

Better = Literal["rate", "time", "memory", "small memory", "count"]
"""What a sample is: so many a second, milliseconds, megabytes, kilobytes, or so many."""

_UNITS: dict[Better, str] = {
    "rate": "/s", "time": " ms", "memory": " MB", "small memory": " KB", "count": "",
}  # fmt: skip
_AIM = re.compile(
    r"(?:time )?(?P<sign>[<>]=?|) ?(?P<number>[\d.,]*\d) ?(?P<unit>x|/s|ms more|ms|s|MB|KB|)(?:,|$)"
)
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "": operator.eq,
}  # fmt: skip
_HEAD = ("what", "Postroom", "beside it, in the same run", "ratio", "aim")


@dataclasses.dataclass(frozen=True, slots=True)
class Samples:
    """One thing measured once a run, in the order of the runs."""

    name: str
    values: list[float]

    def shown(self, kind: Better) -> str:
        """The median, with as many digits as it deserves."""
        middle = statistics.median(self.values)
        return f"{middle:,.{0 if middle >= 20 else 1}f}{_UNITS[kind]}"


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, of us and of one peer; without a peer it stands alone.

    ``as_time`` tells a ratio of rates as how many times the peer's time we take.  ``aim`` is
    ``faster`` (than the peer), a number that it has to be, or a bound of our value or of the ratio:
    ``< 200 ms``, ``>= 10,000/s``, ``<= 20 ms more`` (than the peer), ``time <= 2.5 x``.
    """

    what: str
    kind: Better
    ours: list[float]
    peer: Samples | None = None
    aim: str = ""
    as_time: bool = False

    def ratio(self) -> float | None:
        """The median of the ratios of the single runs: other load on the machine hits both."""
        if self.peer is None:
            return None
        pairs = list(zip(self.ours, self.peer.values, strict=True))
        if self.kind == "rate" and self.as_time:
            return statistics.median(theirs / ours for ours, theirs in pairs)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    def missed(self) -> bool:
        """Whether there is an aim, and the medians do not meet it.  Raises ValueError for one that
        is no aim.
        """
        if not self.aim:
            return False
        ours, ratio = statistics.median(self.ours), self.ratio() or 0.0
        if self.aim == "faster":
            return ratio <= 1
        found = _AIM.match(self.aim)
        if found is None:
            raise ValueError(f"{self.aim!r} is no aim")
        sign, number, unit = found["sign"], float(found["number"].replace(",", "")), found["unit"]
        value = ours
        if unit == "x":
            value = ratio
        elif unit == "ms more" and self.peer is not None:
            value = ours - statistics.median(self.peer.values)
        elif unit == "s":
            value = ours / 1000
        return not _SIGNS[sign](value, number)

    def row(self) -> tuple[str, ...]:
        """The cells of the table."""
        ratio = self.ratio()
        said = ""
        if ratio is not None:
            times = "its time" if self.as_time or self.kind == "time" else ""
            times = times or ("its rate" if self.kind == "rate" else "its memory")
            said = f"{ratio:.{2 if ratio < 10 else 0}f} x {times}"
        beside = f"{self.peer.name}: {self.peer.shown(self.kind)}" if self.peer else ""
        aim = f"{self.aim}: missed" if self.missed() else self.aim
        return (self.what, Samples("", self.ours).shown(self.kind), beside, said, aim)


def table(figures: Sequence[Figure]) -> str:
    """A Markdown table, its columns aligned so that it reads well in a terminal too."""
    rows = [_HEAD, *(figure.row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [_line(row, widths) for row in rows]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "| " + " | ".join(cells) + " |"
