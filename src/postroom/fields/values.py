"""Types of values: names, durations, sizes, dates, patterns and rates, with their units."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from postroom.clock import LONGEST, format_duration, parse_duration
from postroom.fields.declare import Fields, field

__all__ = [
    "Date",
    "Duration",
    "Name",
    "Rate",
    "Regex",
    "Size",
    "check_name",
    "check_waits",
    "format_size",
    "made_absolute",
    "parse_size",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(text: str) -> str:
    """A name as every noun uses it.  Raises ValueError with the rule."""
    if not _NAME.fullmatch(text):
        reason = "has a space in it" if " " in text.strip() else "is not a name"
        raise ValueError(
            f"{reason}: use 1 to 64 letters, digits, dots, underscores and hyphens, "
            "beginning with a letter or digit"
        )
    return text


Name = Annotated[str, AfterValidator(check_name)]
"""``[A-Za-z0-9][A-Za-z0-9._-]{0,63}``, unique without regard to case within its noun."""


def _duration(value: object) -> object:
    if isinstance(value, str):
        return parse_duration(value)
    if not isinstance(value, float):
        raise ValueError("give a duration with a unit, such as 90s, 15m, 1h or 5d")
    return value


def _in_bounds_of_time(seconds: float) -> float:
    if not 0 <= seconds <= LONGEST:  # nor what is no number
        raise ValueError("give a duration of at most 365000d, which is not negative")
    return seconds


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    AfterValidator(_in_bounds_of_time),
    PlainSerializer(format_duration, return_type=str),
]
"""Seconds in Python, ``90s 15m 1h 5d`` everywhere else; from 0 to 1,000 years."""


def check_waits(fields: Fields, first: str = "min", longest: str = "max") -> None:
    """Waits grow from the one field to the other.  Raises ValueError that names the wrong one."""
    least, most = getattr(fields, first), getattr(fields, longest)
    if least < 1:
        raise ValueError(f"{first}: one second is the shortest wait")
    if most < least:
        raise ValueError(
            f"{longest}: {format_duration(most)} is shorter than {first}, which is "
            f"{format_duration(least)}; give at least that, or a smaller {first}"
        )


_SIZES = {
    "": 1,
    "b": 1,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "kb": 1000,
    "mb": 1000_000,
    "gb": 1000_000_000,
}


def parse_size(text: str) -> int:
    """Bytes of a size such as ``2MiB``, ``500KiB`` or ``1048576``.  Raises ValueError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if not match or match[2].lower() not in _SIZES:
        raise ValueError("give a size such as 500KiB, 2MiB or 1GiB")
    size = float(match[1]) * _SIZES[match[2].lower()]
    return int(min(size, _LARGEST + 1.0))


def format_size(size: int) -> str:
    """The shortest exact form of a size in bytes: ``2MiB``, ``500KiB``, ``1001``."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def _size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


def _in_bounds(size: int) -> int:
    if not 0 <= size <= _LARGEST:
        raise ValueError("give a size of at most 1048576GiB, which is not negative")
    return size


_LARGEST = 1 << 50
Size = Annotated[
    int,
    BeforeValidator(_size),
    AfterValidator(_in_bounds),
    PlainSerializer(format_size, return_type=str),
]
"""Bytes in Python, ``2MiB`` everywhere else; from 0 to a pebibyte."""


def made_absolute(path: str, base: Path) -> str:
    """A path as it is stored: from ``base``, unless it begins with a macro that says from where."""
    return path if path.startswith("${") else str(base / Path(path).expanduser())


def _date(value: object) -> object:
    if isinstance(value, str):
        try:
            return dt.date.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("give a date such as 2027-01-31") from None
    return value


Date = Annotated[dt.date, BeforeValidator(_date)]
"""A calendar date, ``2027-01-31``."""


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return value


Regex = Annotated[str, AfterValidator(_regex)]
"""A regular expression in Python's syntax, matched anywhere, without regard to case."""


class Rate(Fields):
    """So many in so much time: ``{max: 30, per: minute}``."""

    max: int = field(label="At most", help="How many in that time", default=...)
    per: Literal["second", "minute", "hour"] = field("minute", label="Per")

    @property
    def seconds(self) -> float:
        """The length of ``per`` in seconds."""
        return {"second": 1.0, "minute": 60.0, "hour": 3600.0}[self.per]
