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
        # what failed, and what to do, is told whole at the end
        spent = "" if step.name == "certificate" else f"{step.ms:.1f} ms"  # a part of tls
        head = f"  {'ok  ' if step.ok else 'FAIL'}  {step.name:<13}{spent:>11}  "
        detail = show.plain(step.detail) if step.ok else ""
        print(show.said(head + detail, indent=len(head)).rstrip(), flush=True)

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
            what = "one message was sent" if report.sent else "nothing was sent"
            print(f"Everything works; nothing was changed and {what}.")
    error = report.error
    return 0 if error is None else int(error.exit_status)


def _failure(side: Any) -> None:
    error = side.error
    print()
    print(show.said(f"{side.place} failed: {error.sentence}", indent=2))
    if getattr(error, "said", ""):
        print(show.said(f"  They said: {error.said}", indent=4))
    print(
        "  Trying again later may help."
        if error.temporary
        else "  Trying again will not help until something changes."
    )
    if side.advice is not None and side.advice.text:
        print(show.said(f"  What to do: {side.advice.text}", indent=4))
        for command in side.advice.commands:
            print(f"    {show.plain(command)}")
    elif error.hint:
        print(show.said(f"  What to do: {error.hint}", indent=4))
