"""Time: the one place that reads a clock, and the words for durations and instants (RFC 3339)."""

from __future__ import annotations

import datetime as dt
import re
import time

__all__ = [
    "LONGEST",
    "format_duration",
    "monotonic",
    "now",
    "parse_duration",
    "parse_instant",
    "rfc3339",
    "timestamp",
]

LONGEST = 365000 * 86400.0
"""The longest duration that is taken, in seconds: every instant that it leads to has a date."""
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")


def now() -> dt.datetime:
    """The present instant, in UTC, with its zone."""
    return dt.datetime.now(dt.UTC)


def timestamp() -> float:
    """The present instant in seconds since 1970: what the database stores and compares."""
    return time.time()


def monotonic() -> float:
    """Seconds on a clock that never jumps: for time-outs and measuring."""
    return time.monotonic()


def rfc3339(instant: dt.datetime | float) -> str:
    """An instant as people and JSON see it: ``2026-01-31T09:05:00Z`` (RFC 3339, UTC, seconds)."""
    if not isinstance(instant, dt.datetime):
        instant = dt.datetime.fromtimestamp(instant, dt.UTC)
    return instant.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``90s``, ``15m``, ``1h30m`` or ``5d``.

    Raises ValueError with a sentence when the text is no duration; a bare number has no unit and is
    refused, so that nobody guesses between seconds and minutes.
    """
    compact = text.strip().lower()
    parts = _PART.findall(compact)
    if not parts or _PART.sub("", compact).strip():
        raise ValueError("give a duration with a unit, such as 90s, 15m, 1h or 5d")
    seconds = float(sum(float(number) * _UNITS[unit] for number, unit in parts))
    if seconds > LONGEST:
        raise ValueError("give a duration of at most 365000d")
    return seconds


def parse_instant(text: str) -> float:
    """Seconds since 1970 of a duration back from now, a date or an instant (RFC 3339; UTC).

    Raises ValueError with a sentence when the text is none of these.
    """
    try:
        return timestamp() - parse_duration(text)
    except ValueError:
        pass
    try:
        found = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError("give a duration such as 1h or 5d, or a date such as 2027-01-31") from None
    return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()


def format_duration(seconds: float) -> str:
    """The shortest exact form of a duration: ``90s``, ``1h``, ``5d``, ``1500ms``."""
    thousandths = round(seconds * 1000)
    if thousandths % 1000:
        return f"{thousandths}ms"
    whole = thousandths // 1000
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole >= size and whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"
