"""What several models have: a declaration as it is shown, the last use, what cannot be read."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple, TypedDict

from postroom.fields import Fields

__all__ = ["LastUse", "Shown", "Unreadable"]


class Shown(NamedTuple):
    """A declaration as it is shown (:func:`postroom.fields.shown`), and what is told ``beside`` it."""

    declared: type[Fields]
    beside: Any = None


class LastUse(TypedDict):
    """When something was used last, by whom and for what."""

    used_at: dt.datetime | None
    used_by: str
    used_for: str


class Unreadable(TypedDict):
    """What is there and cannot be read, and why."""

    name: str
    error: str
