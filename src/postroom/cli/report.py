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
        failures: dict[tuple[str, ...], list[Any]] = {}
        for side in report.sides:
            if side.error is not None:
                failures.setdefault(_told(side), []).append(side)
        for told, sides in failures.items():
            places = " and ".join(side.place for side in sides)
            _failure(places, told, temporary=sides[0].error.temporary)
        if report.ok:
            what = "one message was sent" if report.sent else "nothing was sent"
            print(f"Everything works; nothing was changed and {what}.")
    error = report.error
    return 0 if error is None else int(error.exit_status)


def _told(side: Any) -> tuple[str, ...]:
    """What is said of a failure: the sentence, what they said, what to do, and by which commands.

    Both sides may fail for one reason (a locked room): it is said once.
    """
    error, advice = side.error, side.advice
    said = str(getattr(error, "said", ""))
    if advice is not None and advice.text:
        return (error.sentence, said, advice.text, *advice.commands)
    return (error.sentence, said, error.hint)


def _failure(places: str, told: tuple[str, ...], *, temporary: bool) -> None:
    sentence, said, todo, *commands = told
    print()
    print(show.said(f"{places} failed: {sentence}", indent=2))
    if said:
        print(show.said(f"  They said: {said}", indent=4))
    print(
        "  Trying again later may help."
        if temporary
        else "  Trying again will not help until something changes."
    )
    if todo:
        print(show.said(f"  What to do: {todo}", indent=4))
    for command in commands:
        print(f"    {show.plain(command)}")
