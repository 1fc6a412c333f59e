"""Templates: everything that is put into a page is escaped, and what is not there is an error."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import jinja2

from postroom.clock import now, rfc3339
from postroom.web.certified import amiss
from postroom.web.hints import in_page, linked
from postroom.web.navigation import NAVIGATION
from postroom.web.settled import settings
from postroom.web.statics import HTMX, static
from postroom.web.times import told

__all__ = ["ENVIRONMENT", "ago", "counted", "lasting", "moment"]


def moment(value: float | str | dt.date | None) -> dt.datetime | None:
    """A time of the operations (seconds, RFC 3339, a date) as a time in UTC; None for nothing."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float):
        return dt.datetime.fromtimestamp(value, dt.UTC)
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    if not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)


def ago(value: float | str | dt.date | None) -> str:
    """How far from now a time is, in words: ``3 minutes ago``, ``in 2 days``."""
    then = moment(value)
    if then is None:
        return "never"
    seconds = (now() - then).total_seconds()
    size = abs(seconds)
    if size < 5:
        return "just now"
    return f"{lasting(size)} ago" if seconds > 0 else f"in {lasting(size)}"


def lasting(seconds: float) -> str:
    """How long something takes, in words: ``3 minutes``."""
    for each, word in ((86400 * 365, "year"), (86400 * 30, "month"), (86400, "day"),
                       (3600, "hour"), (60, "minute")):  # fmt: skip
        if seconds >= each:
            return counted(round(seconds / each), word)
    return counted(round(seconds), "second")


def counted(number: int, word: str, words: str = "") -> str:
    """``1 message``, ``3 messages``."""
    return f"{number:,} {word if number == 1 else words or f'{word}s'}"


def _exact(value: float | str | dt.date | None) -> str:
    then = moment(value)
    return "" if then is None else rfc3339(then)


def _day(value: float | str | dt.date | None) -> str:
    """A time to the minute, as a person writes it down: ``2026-03-01 14:05 UTC``."""
    then = moment(value)
    return "" if then is None else then.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _written(value: Any) -> str:
    """A value of a setting as a person reads it."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_written(one)}" for key, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_written(one) for one in value)
    return str(value)


def _told_values(detail: Mapping[str, Any] | None) -> str:
    """What a record of the audit says besides who, what and when; without what is empty."""
    return _written(
        {key: one for key, one in (detail or {}).items() if one not in (None, "", [], {})}
    )


_BOUND: Final = {
    "security=tls": "TLS", "security=starttls": "STARTTLS", "security=none": "not encrypted",
    "name=unchecked": "the server's name is not checked",
}  # fmt: skip


def _bound(line: str) -> tuple[str, str]:
    """A destination as a person reads it: where, and how it is known there; what is usual is left out."""
    place, *rest = line.split(";")
    said = []
    for one in rest:
        key, _, value = one.partition("=")
        if key == "trust" and value != "system":
            said.append(f"the certificate {value.removeprefix('sha256:')[:12]}…")
        elif key == "proxy" and value != "none":
            said.append(f"through {value}")
        elif one in _BOUND:
            said.append(_BOUND[one])
    return place, ", ".join(said)


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "ago": ago,
        "bound": _bound,
        "day": _day,
        "counted": counted,
        "exact": _exact,
        "on_the_wall": told,
        "in_page": in_page,
        "lasting": lasting,
        "linked": linked,
        "told_values": _told_values,
        "written": _written,
    }
    made.globals |= {
        "amiss": amiss,
        "settings_of": settings,
        "navigation": NAVIGATION,
        "static": static,
        "htmx": HTMX,
    }
    return made


ENVIRONMENT: Final = _environment()
"""The one environment of every page."""
