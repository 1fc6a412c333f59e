"""Timetables: the next time of a cron table in a time zone, or of a fixed rate."""

from __future__ import annotations

import datetime as dt
import zoneinfo

__all__ = ["next_time"]


def next_time(instant: float, *, every: float | None, cron: str, timezone: str) -> float:
    """The first time after ``instant`` (both in seconds since 1970) of one of the two.

    A time of the day that a change of the clock skips comes right after the gap, one that the change
    repeats comes once.  Raises ValueError for what is no cron table and for a time zone nobody knows.
    """
    if every is not None:
        return instant + every
    from cronsim import CronSim, CronSimError  # only for those that have a table

    try:
        zone = zoneinfo.ZoneInfo(timezone)
        return next(CronSim(cron, dt.datetime.fromtimestamp(instant, zone))).timestamp()
    except CronSimError as error:
        why = str(error).lower()  # such as "bad minute", "bad day-of-month"
        raise ValueError(f"cron: {why}; give five fields, such as */5 * * * *") from None
    except StopIteration:
        raise ValueError("cron: there is no such day, in any year") from None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"timezone: there is no time zone {timezone!r}") from None
