"""When a message arrived: INTERNALDATE (RFC 9051, 2.3.3), read fast and forgivingly."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

__all__ = ["instant"]

_MONTHS: Final = {
    month: number
    for number, month in enumerate(
        (b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec").lower().split(), start=1
    )
}
_ZONES: dict[bytes, dt.timezone] = {b"+0000": dt.UTC}
_INSTANT: Final = re.compile(rb" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d{4})")


def instant(text: bytes) -> dt.datetime | None:
    """INTERNALDATE (``17-Jul-1996 02:44:25 -0700``) with its zone; None if it is no date."""
    match = _INSTANT.fullmatch(text)
    if not match:
        return None
    day, month, year, hour, minute, second, zone = match.groups()
    try:
        return dt.datetime(
            int(year),
            _MONTHS[month.lower()],
            int(day),
            int(hour),
            int(minute),
            min(int(second), 59),  # a leap second
            tzinfo=_ZONES.get(zone) or _zone(zone),
        )
    except (ValueError, KeyError):
        return None


def _zone(text: bytes) -> dt.timezone:
    minutes = int(text[1:3]) * 60 + int(text[3:5])
    zone = dt.timezone(dt.timedelta(minutes=-minutes if text.startswith(b"-") else minutes))
    if len(_ZONES) < 100:
        _ZONES[text] = zone
    return zone
