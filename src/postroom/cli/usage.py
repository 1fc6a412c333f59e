"""How usage reads: what refers to a record, what waits under it, and its last use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from postroom.cli import show
from postroom.cli.options import OPTIONS

__all__ = ["last_use", "show_usage", "uses"]

_NOTHING: Final = {
    "source": "No worker collects for source {name}, and it has finished every message it knows.",
    "service": "No message waits under service {name}.",
}


def show_usage(noun: str, name: str, usage: Any) -> None:
    """The answer of every ``usage`` verb."""
    found = usage.as_json()
    rows = found.pop("items")
    show.items(
        rows,
        (
            ("noun", "NOUN"),
            ("name", "NAME"),
            ("place", "WHERE"),
            ("via", "OF CONNECTION"),
            *((("number", "HOW MANY"),) if any(row["number"] > 1 for row in rows) else ()),
        ),
        empty=_NOTHING.get(noun, "{noun} {name} is not used anywhere.").format(
            noun=noun.capitalize(), name=name
        ),
        give=("name",),
        **found,
    )
    told = last_use(found)
    if told and not OPTIONS.json:
        print(show.said(f"Last used {told}."))


def last_use(found: Mapping[str, Any]) -> str:
    """``2026-01-31T09:05:00Z by local:ann (open the incoming side ...)``; empty when not known."""
    if not found["used_at"]:
        return ""
    by = f" by {found['used_by']}" if found["used_by"] else ""
    return f"{found['used_at']}{by}" + (f" ({found['used_for']})" if found["used_for"] else "")


def uses(usage: Iterable[Mapping[str, Any]]) -> list[str]:
    """Uses as a person reads them: ``connection acme (incoming.auth)``."""
    from postroom.operations.usage import Use  # loads the rooms: not for --help

    return [str(Use(**one)) for one in usage]
