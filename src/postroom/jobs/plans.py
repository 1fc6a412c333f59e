"""The dry run of steps: what each would do, in sentences; nothing is executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from postroom.jobs.commands import command_named
from postroom.jobs.prepared import Named, Prepared, prepare
from postroom.jobs.step import Step
from postroom.jobs.values import Scope, Value, written
from postroom.macros import SETTING

__all__ = ["plan_steps"]

_LONGEST = 200


def plan_steps(steps: Sequence[Step], scope: Scope, *, named: Named = command_named) -> list[str]:
    """One line a step, in order, those within others indented.

    Parameters of the job and macros of the room are looked up; what only a run knows (what a step
    gives, an item, the message) stays the macro it is.  Raises as reading and filling do.
    """
    return list(_row(prepare(steps, named), scope, ""))


def _row(steps: Sequence[Prepared], scope: Scope, indent: str) -> Iterator[str]:
    for step in steps:
        yield f"{indent}{step.place}: {_sentence(step, scope)}"
        yield from _row(step.steps, scope, indent + "  ")
        if step.instead:
            yield f"{indent}  if that fails:"
            yield from _row(step.instead, scope, indent + "  ")


def _sentence(step: Prepared, scope: Scope) -> str:
    what = _command(step, scope) if step.command else "these steps"
    if step.for_each:
        what = f"for each of {_items(step.for_each, scope)}: {what}"
    if step.when:
        what = f"if {step.when.text}: {what}"
    if step.goes_on:
        what += "; if that fails, go on"
    if step.again:
        what += f"; up to {step.again.max} times again"
    return what


def _command(step: Prepared, scope: Scope) -> str:
    if all(_known(value) for value in step.parameters.values()):
        return step.made(step.values(scope)).plan()
    said = [f"{name}: {_said(value.shown(scope))}" for name, value in step.parameters.items()]
    return f"{step.acts.name} with {', '.join(said)}"


def _known(value: Value) -> bool:
    return all(one.prefix in SETTING | {"param"} for one in value.references)


def _items(value: Value, scope: Scope) -> str:
    shown = value.shown(scope)
    return f"{len(shown)} items" if isinstance(shown, list) else _said(shown)


def _said(value: Any) -> str:
    """A value on one line, and not longer than a person reads."""
    if isinstance(value, Mapping) or not isinstance(value, (str, list)):
        text = written(value)
    else:
        text = value if isinstance(value, str) else ", ".join(map(written, value))
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
