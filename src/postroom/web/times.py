"""The next times of a schedule, as it is typed or saved; told in its own time zone."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Mapping
from typing import Any, Final

from postroom.clock import parse_duration, timestamp
from postroom.errors import InvalidValue
from postroom.fields.timetable import next_time

__all__ = ["next_times", "told"]

_SHOWN: Final = 3


def next_times(schedule: Mapping[str, Any], first: float | None = None) -> list[float]:
    """The next times (seconds since 1970) of a rate or a cron table; none for what has neither.

    ``first`` is when it is due, where that is known.  Raises InvalidValue with the field.
    """
    every, cron = schedule.get("every"), str(schedule.get("cron") or "")
    if not every and not cron:
        return []
    try:
        rate = parse_duration(every) if isinstance(every, str) and every else every or None
    except ValueError as error:
        raise InvalidValue("schedule.every", str(error)) from None
    zone = str(schedule.get("timezone") or "UTC")
    times = [] if first is None else [first]
    try:
        while len(times) < _SHOWN:
            last = times[-1] if times else timestamp()
            times.append(next_time(last, every=rate, cron=cron, timezone=zone))
    except ValueError as error:
        field, _, why = str(error).partition(": ")
        raise InvalidValue(f"schedule.{field}", why) from None
    return times


def told(instant: float, timezone: str = "") -> str:
    """A time as a clock on the wall of that zone shows it: ``Mon 2026-11-30 02:30 Europe/Berlin``."""
    zone = timezone or "UTC"
    return (
        f"{dt.datetime.fromtimestamp(instant, zoneinfo.ZoneInfo(zone)):%a %Y-%m-%d %H:%M:%S} {zone}"
    )
