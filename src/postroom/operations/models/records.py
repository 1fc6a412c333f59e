"""Models of what records tell of themselves (``as_json``) beside their fields."""

from __future__ import annotations

import datetime as dt
from typing import Final, NotRequired, TypedDict

from postroom.connections.report import Report, SideReport
from postroom.operations.census import Password
from postroom.operations.usage import Usage, Use
from postroom.services.outbox import Item

__all__ = ["BESIDE"]


class _OfReport(TypedDict):
    ok: bool
    connection: NotRequired[str]
    credential: NotRequired[str]


class _OfSide(TypedDict):
    ok: bool
    side: str
    commands: NotRequired[list[str]]


class _OfItem(TypedDict):
    next_attempt_at: dt.datetime | None


class _OfUsage(TypedDict):
    items: list[Use]


class _OfPassword(TypedDict):
    convert: str


BESIDE: Final = {
    Report: _OfReport,
    SideReport: _OfSide,
    Item: _OfItem,
    Usage: _OfUsage,
    Password: _OfPassword,
}
