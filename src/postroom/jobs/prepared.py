"""Steps, read: their commands found, their macros and conditions parsed, each with its place.

What can be seen without a run is seen here; :mod:`postroom.jobs.checks` looks at the rest, and
:mod:`postroom.jobs.interpreter` does them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import create_model

from postroom.errors import InvalidValue, UnknownField
from postroom.fields import Fields, describe, nearest, parse
from postroom.jobs.commands import Command, command_named
from postroom.jobs.conditions import Condition, read_condition
from postroom.jobs.received import GUARDS
from postroom.jobs.step import Again, OnError, Step
from postroom.jobs.values import Scope, Value, read_value, written
from postroom.macros import Reference

__all__ = ["DEEPEST", "MOST", "Named", "Prepared", "prepare"]

DEEPEST: Final = 4
"""Steps in steps."""
MOST: Final = 200
"""Steps of a job, those within others too."""

_CHOOSING: Final = ("mailbox", "job")
"""Parameters of commands that choose whose mail it is, or what begins."""
Named = Callable[[str], type[Command]]
"""The command of a name; raises UnknownField."""


@dataclass(frozen=True)
class Prepared:
    """A step that was read.

    ``place`` is where it stands, such as ``steps.2.steps.0``; ``command`` is None for one that only
    has ``steps``; ``for_each`` is None for one that is done once.
    """

    place: str
    name: str
    command: type[Command] | None
    parameters: dict[str, Value]
    when: Condition | None
    for_each: Value | None
    steps: tuple[Prepared, ...]
    goes_on: bool  # on_error: continue
    again: Again | None
    instead: tuple[Prepared, ...]
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def acts(self) -> type[Command]:
        """Its command.  Raises LookupError for one that only has steps."""
        if self.command is None:
            raise LookupError(f"{self.place} has no command")
        return self.command

    @property
    def label(self) -> str:
        """How the log names it: ``steps.2 move-email``."""
        return f"{self.place} {self.command.name}" if self.command else self.place

    @property
    def where(self) -> str:
        """The place of its parameters: ``steps.2.move-email``."""
        return f"{self.place}.{self.command.name}" if self.command else self.place

    @property
    def references(self) -> Iterator[Reference]:
        """The macros of the step itself: of its condition, its list and its parameters."""
        yield from self.when.references if self.when else ()
        yield from self.for_each.references if self.for_each else ()
        for value in self.parameters.values():
            yield from value.references

    @property
    def all_references(self) -> Iterator[Reference]:
        """Those of the steps within it as well."""
        yield from self.references
        for step in (*self.steps, *self.instead):
            yield from step.all_references

    def values(self, scope: Scope) -> dict[str, Any]:
        """Its parameters with their macros looked up; raises as :meth:`Value.fill` does."""
        again = self.acts.read_again
        found = {}
        for name, value in self.parameters.items():
            if scope.passed_on and name in _CHOOSING:
                self._check_own(value)
            filled = value.fill(scope, GUARDS.get(again.get(name, "")))
            found[name] = filled if value.fixed else self._fitted(name, filled)
        return found

    def _check_own(self, value: Value) -> None:
        for one in value.references:
            if one.prefix == "param":
                raise InvalidValue(
                    value.where,
                    f"{one} was said by another job, which may have received it: it chooses no mailbox "
                    "and no job",
                )

    def made(self, values: dict[str, Any]) -> Command:
        """The command with these values.  Raises InvalidValue with the place of the parameter."""
        return _parsed(self.acts, values, self.where)

    def check_fixed(self) -> None:
        """Check what is known without a run: names, what is needed, and values without a macro.

        Raises UnknownField, InvalidValue.
        """
        fixed = {
            name: value.fill(Scope()) for name, value in self.parameters.items() if value.fixed
        }
        if len(fixed) == len(self.parameters):
            self.made(fixed)
            return
        open_ = self.parameters.keys() - fixed.keys()
        declared: dict[str, Any] = {}
        for name, info in self.acts.model_fields.items():
            later = name in open_ or info.alias in open_
            declared[name] = (Any, None) if later else (info.annotation, info)
        for name in open_ - self.fields.keys():
            fixed[name] = None  # a parameter that nobody declared is told as any other
        _parsed(create_model("Fixed", __base__=Fields, **declared), fixed, self.where)

    def _fitted(self, name: str, value: Any) -> Any:
        """What a macro gave, as its parameter wants it: written out for a text, one text as a list."""
        kind = self.fields.get(name)
        if kind == "text" and not isinstance(value, str):
            return written(value)
        if kind == "text or none" and not isinstance(value, str | None):
            return written(value)
        return [value] if kind == "texts" and isinstance(value, str) else value


M = TypeVar("M", bound=Fields)


def _parsed(model: type[M], values: dict[str, Any], where: str) -> M:
    """As ``parse``, with the place of the parameter: ``steps.2.move-email.to``."""
    try:
        return parse(model, values)
    except InvalidValue as error:
        place = f"{where}.{error.field}" if error.field else where
        said = error.sentence.removeprefix(f"{error.field}: ")
        raise InvalidValue(place, said, hint=error.hint) from None
    except UnknownField as error:
        raise UnknownField(f"{where}: {error.sentence}", hint=error.hint, field=where) from None


def prepare(steps: Sequence[Step], named: Named = command_named) -> tuple[Prepared, ...]:
    """Read the steps of a job.

    Raises UnknownField for a command that is none, InvalidValue for a macro, a condition or an
    arrangement of steps that cannot be; both with the place.
    """
    found = _row(steps, "steps", 1, named)
    if (count := sum(1 for _ in _each(found))) > MOST:
        raise InvalidValue("steps", f"a job has at most {MOST} steps, and these are {count}")
    return found


def _each(steps: Sequence[Prepared]) -> Iterator[Prepared]:
    for step in steps:
        yield step
        yield from _each((*step.steps, *step.instead))


def _row(steps: Sequence[Step], place: str, depth: int, named: Named) -> tuple[Prepared, ...]:
    if steps and depth > DEEPEST:
        raise InvalidValue(place, f"steps stand in each other at most {DEEPEST} deep")
    return tuple(_one(step, f"{place}.{at}", depth, named) for at, step in enumerate(steps))


def _one(step: Step, place: str, depth: int, named: Named) -> Prepared:
    _check_shape(step, place)
    command = _command(step, place, named)
    where = f"{place}.{command.name}" if command else place
    handled = step.on_error if isinstance(step.on_error, OnError) else OnError()
    return Prepared(
        place=place,
        name=step.name,
        command=command,
        parameters={
            key: read_value(value, f"{where}.{key}") for key, value in step.parameters.items()
        },
        when=read_condition(step.when, f"{place}.when") if step.when.strip() else None,
        for_each=None if step.for_each is None else _list(step.for_each, f"{place}.for_each"),
        steps=_row(step.steps, f"{place}.steps", depth + 1, named),
        goes_on=step.on_error == "continue",
        again=handled.retry,
        instead=_row(handled.steps, f"{place}.on_error.steps", depth + 1, named),
        fields=_kinds(command) if command else {},
    )


def _check_shape(step: Step, place: str) -> None:
    if step.command and step.steps:
        raise InvalidValue(
            place, f"it has {step.command} and steps; put {step.command} into the steps"
        )
    if not step.command and not step.steps:
        raise InvalidValue(place, "say what it does: a command, or steps with for_each")
    if step.steps and step.for_each is None:
        raise InvalidValue(f"{place}.steps", "steps within a step are for a for_each")
    if not isinstance(step.on_error, OnError):
        return
    if not step.on_error.retry and not step.on_error.steps:
        raise InvalidValue(f"{place}.on_error", "say what follows: {retry: ...} or {steps: [...]}")
    if step.on_error.retry and step.steps:
        raise InvalidValue(
            f"{place}.on_error.retry", "some of its steps are done by then; let each of them retry"
        )


def _command(step: Step, place: str, named: Named) -> type[Command] | None:
    if not step.command:
        return None
    try:
        return named(step.command)
    except UnknownField as error:
        hint, close = error.hint, nearest(step.command, Step.model_fields)
        if close and not hint.startswith("Did you mean"):
            hint = f"Did you mean {close}? {hint}"
        raise UnknownField(f"{place}: {error.sentence}", hint=hint, field=place) from None


def _list(value: Any, where: str) -> Value:
    read = read_value(value, where)
    whole = isinstance(read.node, tuple) and len(read.node) == 1
    if not whole and not (isinstance(read.node, list) and read.node):
        raise InvalidValue(where, "give a list, or one macro that has one: ${step:found.items}")
    return read


@functools.cache  # describing a declaration takes a thousand times longer than this dictionary
def _kinds(command: type[Command]) -> dict[str, str]:
    """What each parameter wants: ``text`` (``text or none``), ``texts`` for a list of them, else
    anything."""
    known = {one.name: one.type for one in describe(command)}
    found = {}
    for name, info in command.model_fields.items():
        public = info.alias or name
        parts = {info.annotation}
        if get_origin(info.annotation) in (Union, UnionType):
            parts = set(get_args(info.annotation))
        found[public] = "other"
        if known.get(public) == "text" and parts - {NoneType} == {str}:
            found[public] = "text or none" if NoneType in parts else "text"
        elif parts - {NoneType} == {list[str]}:
            found[public] = "texts"
    return found
