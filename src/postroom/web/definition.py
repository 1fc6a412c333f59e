"""Definitions of sources, services and jobs as forms: what a form says, as operations take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from postroom.errors import InvalidValue
from postroom.operations.declared import nouns
from postroom.web.controls import Control

__all__ = ["check_path", "fields_of", "groups", "of_new", "one_schedule"]


def of_new(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a form says of a new record: without what was left empty."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            value = of_new(value)
        if value not in (None, "", [], {}):
            found[name] = value
    return found


def groups(
    noun: str, drawn: Sequence[Control], titles: Sequence[tuple[str, str, Sequence[str]]]
) -> list[tuple[str, str, list[Control]]]:
    """The controls of a noun under titles: (title, a sentence, the fields or groups of fields).

    Raises LookupError for a field that stands under none: each is to be found in the page.
    """
    left = {one.name: one for one in drawn}
    found = []
    for title, about, names in titles:
        here = [one for one in left.values() if _within(one.name, names)]
        for one in here:
            del left[one.name]
        found.append((title, about, here))
    if left:
        raise LookupError(f"{noun}: {', '.join(left)} stands under no title")
    return found


def one_schedule(kind: str, every: str, cron: str, timezone: str) -> dict[str, Any]:
    """A schedule out of a choice: ``push``, ``every`` or ``cron``, with what it is not said as well, so
    that nothing of the one before stays.

    Raises InvalidValue for what the choice leaves open.
    """
    if kind == "every" and not every:
        raise InvalidValue("schedule.every", "say how often, such as 60s or 15m")
    if kind == "cron" and not cron:
        raise InvalidValue("schedule.cron", "give five fields: minute hour day month weekday")
    return {
        "every": every if kind == "every" else None,
        "cron": cron if kind == "cron" else "",
        "timezone": timezone or "UTC",
    }


def check_path(path: str, field: str) -> None:
    """Raise InvalidValue for a place that is not said from the root: a page stands in no directory."""
    if path and not path.startswith(("/", "~", "$")):
        raise InvalidValue(field, "give the whole path on the server, such as /var/mail/orders")


def _within(name: str, names: Sequence[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in names)


def fields_of(noun: str) -> Any:
    """The declaration of a noun."""
    return nouns()[noun]
