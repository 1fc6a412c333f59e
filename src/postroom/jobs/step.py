"""A step of a job, declared: a command with its parameters, or steps of its own; when, and for what."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_serializer, model_validator

from postroom.errors import UnknownField
from postroom.fields import Duration, Fields, check_waits, field, made_absolute, nearest, shown
from postroom.jobs.commands import Command, command_named

__all__ = ["Again", "OnError", "Step"]

_OWN = ("name", "when", "for_each", "on_error", "steps")


class Again(Fields):
    """A step that failed is done again: so often, after waits that double."""

    max: int = field(3, label="At most so often")
    min: Duration = field("5s", label="First wait")
    max_wait: Duration = field("5m", label="Longest wait")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.max < 1:
            raise ValueError("max: at least 1")
        check_waits(self, longest="max_wait")
        return self


class OnError(Fields):
    """What follows a step that failed: it is done again, or other steps are done."""

    retry: Again | None = field(None, label="Retry", help="Then the job stops.")
    steps: list[Step] = field(
        default_factory=list, label="Steps", help="Done instead; then it goes on."
    )


_PATHS = ("directory", "path")
"""The kinds of parameters that begin where the room file of a job lies."""


def _from(base: Path, value: Any) -> Any:
    """A path, or each of a list of them, from ``base``; what is no text is left as it is."""
    if isinstance(value, list):
        return [_from(base, one) for one in value]
    return made_absolute(value, base) if isinstance(value, str) else value


def _meant(keys: list[Any]) -> str:
    """What beside a command was mistyped, if it looks like that."""
    near = [found for key in keys if (found := nearest(str(key), _OWN))]
    return f"; did you mean {near[0]}?" if near else ""


class Step(Fields):
    """One step.  As people write it, its command is a key of its own::

    {move-email: {via: acme, ids: "${step:found.ids}", to: Done}, name: moved, when: ...}
    """

    name: str = field("", label="Name", help="Later steps find its result as ${step:NAME.FIELD}.")
    command: str = field("", label="Command", help="Of postroom explain commands.")
    parameters: dict[str, Any] = field(default_factory=dict, label="Parameters")
    when: str = field("", label="When", help="Done only if that holds.")
    for_each: Any = field(None, label="For each", help="A list; ${item:FIELD} is one of it.")
    steps: list[Step] = field(default_factory=list, label="Steps", help="Of a for_each.")
    on_error: Literal["stop", "continue"] | OnError = field(
        "stop", label="On error", help="stop, continue, {retry: ...} or {steps: [...]}."
    )

    def resolved(self, base: Path) -> Step:
        """The same step, with the paths of its command made absolute from ``base``."""
        changes: dict[str, Any] = {"steps": [one.resolved(base) for one in self.steps]}
        if isinstance(self.on_error, OnError):
            instead = [one.resolved(base) for one in self.on_error.steps]
            changes["on_error"] = self.on_error.model_copy(update={"steps": instead})
        with contextlib.suppress(UnknownField):  # the checks tell of it
            if self.command:
                changes["parameters"] = self._parameters(command_named(self.command), base)
        return self.model_copy(update=changes)

    def _parameters(self, command: type[Command], base: Path) -> dict[str, Any]:
        """With absolute paths; one that may be empty, for the current directory, is ``base``."""
        given = {
            name: self.parameters.get(name, "")
            for name, kind in command.read_again.items()
            if kind in _PATHS
            and (name in self.parameters or command.model_fields[name].default == "")
        }
        return {**self.parameters, **{name: _from(base, value) for name, value in given.items()}}

    @model_validator(mode="before")
    @classmethod
    def _written(cls, data: Any) -> Any:
        """``{move-email: {...}, name: ...}`` as command and parameters."""
        if not isinstance(data, dict) or "command" in data:
            return data
        commands = [key for key in data if key not in _OWN]
        if len(commands) > 1:
            raise ValueError(
                f"a step has one command, not {' and '.join(map(str, commands))}{_meant(commands)}"
            )
        own = {key: data[key] for key in data if key in _OWN}
        if not commands:
            return own
        return {**own, "command": commands[0], "parameters": data[commands[0]] or {}}

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        found: dict[str, Any] = {self.command: self.parameters} if self.command else {}
        for name in ("name", "when", "for_each"):
            if value := getattr(self, name):
                found[name] = value
        if self.steps:
            found["steps"] = [shown(one) for one in self.steps]
        if self.on_error != "stop":
            found["on_error"] = (
                shown(self.on_error) if isinstance(self.on_error, OnError) else self.on_error
            )
        return found
