"""How the step-by-step test of a connection reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from postroom.cli import show
from postroom.cli.options import OPTIONS

__all__ = ["on_step", "show_report"]


def on_step() -> Callable[[str, Any], None] | None:
    """Prints each step as it ends; with ``--json`` there is one document at the end instead."""
    if OPTIONS.json:
        return None
    places: list[str] = []

    def tell(place: str, step: Any) -> None:
        if places[-1:] != [place]:
            places.append(place)
            print(f"{place}:")
        mark = "ok  " if step.ok else "FAIL"
        print(f"  {mark}  {step.name:<13}{step.ms:>8.1f} ms  {show.plain(step.detail)}".rstrip())

    return tell


def show_report(report: Any) -> int:
    """The end of a report: what failed and what to do; gives the exit status."""
    if OPTIONS.json:
        print(show.document(report.as_json()))
    else:
        for side in report.sides:
            if side.error is not None:
                _failure(side)
        if report.ok:
            print("Everything works; nothing was changed and nothing was sent.")
    error = report.error
    return 0 if error is None else int(error.exit_status)


def _failure(side: Any) -> None:
    error = side.error
    print(f"\n{side.place} failed: {show.plain(error.sentence)}")
    if getattr(error, "said", ""):
        print(f"  They said: {show.plain(error.said)}")
    print(
        "  Trying again later may help."
        if error.temporary
        else "  Trying again will not help until something changes."
    )
    if side.advice is not None:
        print(f"  What to do: {show.plain(side.advice.text)}")
        for command in side.advice.commands:
            print(f"    {show.plain(command)}")
    elif error.hint:
        print(f"  What to do: {show.plain(error.hint)}")
