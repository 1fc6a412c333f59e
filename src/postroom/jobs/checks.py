"""What can be said of steps when their job is saved: names, order, parameters; and whom they name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from postroom.errors import InvalidValue
from postroom.fields import check_name, describe, nearest
from postroom.jobs.commands import RunJob, command_named
from postroom.jobs.conditions import Condition
from postroom.jobs.job import Job
from postroom.jobs.prepared import Named, Prepared, prepare
from postroom.jobs.received import NO_CODE, code_word
from postroom.jobs.step import Step
from postroom.jobs.values import MESSAGE, RECEIVED, RUN, Expand, Scope, Value, read_value
from postroom.macros import SETTING, STEPS, Reference

__all__ = ["NameUsed", "check_steps", "check_words", "names_used", "settings_used"]

EVERY: Final = frozenset({"count", "failed", "errors"})
"""What a ``for_each`` gives."""
_NAMING: Final = ("via", "send_via", "connection", "credential", "service")
"""Parameters that name a record; others say so by ``refers_to``."""


class NameUsed(NamedTuple):
    """A connection, service or credential that a step names, and where: ``steps.2.move-email.via``."""

    place: str
    name: str


def check_steps(job: Job, *, expand: Expand | None = None, named: Named = command_named) -> None:
    """Check the steps of a job before it is saved.

    Every command and parameter is known and has a value it can have, as far as that is seen without
    a run; names of steps are there once; a macro stands for a parameter of the job, or a part of what
    an earlier step gives; ``${item}`` stands in a ``for_each``.  ``expand`` is asked for the macros of
    the room, so that unknown ones are told.  Raises UnknownField and InvalidValue with the place, and
    what ``expand`` raises.
    """
    steps = prepare(job.steps, named)
    _Checker(job, expand).row(steps, {}, items="none")


def check_words(job: Job, *, expand: Expand | None = None) -> None:
    """Check the words of a ``command`` job: what its macros stand for; the program is named outright,
    and no message says what a shell does.

    Raises InvalidValue with the place, and what ``expand`` raises.
    """
    checker = _Checker(job, expand)
    words = job.command.words if job.command else ()
    code = code_word(words)
    for at, word in enumerate(words):
        value = read_value(word, f"command.words.{at}")
        if not at and not value.fixed:
            raise InvalidValue(value.where, "is the program: it is named, and no macro chooses it")
        checker.macros(value, {}, items="none")
        if at == code and (
            one := next((x for x in value.references if x.prefix in RECEIVED), None)
        ):
            raise InvalidValue(value.where, f"{one}: {NO_CODE}")


def names_used(
    steps: Sequence[Step], *, expand: Expand | None = None, named: Named = command_named
) -> list[NameUsed]:
    """Every connection, service and credential that steps name, in order.

    With ``expand`` names that come from the room's variables are among them; without, they are left
    out.  Nothing else may name one, see :func:`check_steps`.  Raises as :func:`prepare` does.
    """
    found: list[NameUsed] = []
    for step in _all(prepare(steps, named)):
        for value in _naming(step):
            if value.fixed or (expand and all(one.prefix in SETTING for one in value.references)):
                name = value.fill(Scope(expand=expand) if expand else Scope())
                if isinstance(name, str) and name:
                    found.append(NameUsed(value.where, name))
    return found


def settings_used(job: Job) -> dict[str, list[Reference]]:
    """The macros of the room in a job, by where they stand: ``steps.2.send-email.to``,
    ``command.words.1``.  Raises as :func:`prepare` does."""
    words = job.command.words if job.command else ()
    values = [read_value(word, f"command.words.{at}") for at, word in enumerate(words)]
    read: list[Value | Condition | None] = [*values]
    for step in _all(prepare(job.steps)):
        read += [step.when, step.for_each, *step.parameters.values()]
    found = {}
    for one in read:
        if one is not None and (
            used := [each for each in one.references if each.prefix in SETTING]
        ):
            found[one.where] = used
    return found


def _all(steps: Sequence[Prepared]) -> Iterator[Prepared]:
    for step in steps:
        yield step
        yield from _all((*step.steps, *step.instead))


def _naming(step: Prepared) -> list[Value]:
    """Its parameters that name a record."""
    if step.command is None:
        return []
    refer = {one.name for one in describe(step.command) if one.refers_to}
    return [value for name, value in step.parameters.items() if name in _NAMING or name in refer]


Gives = Mapping[str, frozenset[str]]
"""What may be asked of each step that came before, by its name."""
Items = Literal["none", "ours", "received"]
"""What the items of the ``for_each`` around a step are: said in the job, or what may have come from
outside."""


@dataclass
class _Checker:
    job: Job
    expand: Expand | None

    def __post_init__(self) -> None:
        self._names: dict[str, str] = {}

    def row(self, steps: Sequence[Prepared], before: Gives, *, items: Items) -> None:
        """Steps in order; each sees the names before it."""
        seen = dict(before)
        for step in steps:
            self._one(step, seen, items=items)
            if step.name:
                seen[step.name] = _gives(step)

    def _one(self, step: Prepared, seen: Gives, *, items: Items) -> None:
        self._check_name(step)
        if step.command:
            step.check_fixed()
        inside = _items(step, items)
        if step.for_each:
            self.macros(step.for_each, seen, items=items)
        if step.when:
            for one in step.when.references:
                self._macro(one, step.when.where, seen, items=inside)
        for value in step.parameters.values():
            self.macros(value, seen, items=inside)
        _check_choices(step, inside)
        self.row(step.steps, seen, items=inside)
        failed = {step.name: frozenset({"error"})} if step.name else {}
        self.row(step.instead, {**seen, **failed}, items=inside)

    def _check_name(self, step: Prepared) -> None:
        if not step.name:
            return
        where = f"{step.place}.name"
        try:
            check_name(step.name)
        except ValueError as error:
            raise InvalidValue(where, str(error)) from None
        if "." in step.name:
            raise InvalidValue(where, "a step has no dot in its name: ${step:NAME.FIELD} has one")
        if other := self._names.get(step.name.casefold()):
            raise InvalidValue(where, f"{other} is called {step.name} already")
        self._names[step.name.casefold()] = step.place

    def macros(self, value: Value, seen: Gives, *, items: Items) -> None:
        """Every macro of a value stands for something."""
        for one in value.references:
            self._macro(one, value.where, seen, items=items)

    def _macro(self, one: Reference, where: str, seen: Gives, *, items: Items) -> None:
        if one.prefix == "item" and items == "none":
            raise InvalidValue(where, f"{one} stands only in a for_each")
        if one.prefix == "param":
            _known(one, one.name, self.job.parameters, where, "parameter of this job")
        elif one.prefix == "run":
            _known(one, one.name, RUN, where, "fact of a run")
        elif one.prefix == "message":
            _known(one, one.name, MESSAGE, where, "fact of a message")
        elif one.prefix == "step":
            _check_result(one, where, seen, self._names)
        elif one.prefix in SETTING and self.expand:
            self.expand(str(one), where)


def _gives(step: Prepared) -> frozenset[str]:
    if step.for_each:
        return EVERY | ({"results"} if step.command else set())
    caught = {"error"} if step.goes_on or step.instead else set()
    return frozenset(step.acts.gives) | caught


def _check_result(one: Reference, where: str, seen: Gives, names: Mapping[str, str]) -> None:
    name, *path = one.name.split(".")
    if name not in seen:
        if name.casefold() in names:
            raise InvalidValue(where, f"{one}: {name} is no earlier step whose result is seen here")
        _known(one, name, seen, where, "earlier step")
    if path:
        _known(one, path[0], sorted(seen[name]), where, f"result of {name}")


def _items(step: Prepared, around: Items) -> Items:
    if step.for_each is None:
        return around
    prefixes = {one.prefix for one in step.for_each.references}
    received = prefixes & {"step", "message"} or ("item" in prefixes and around == "received")
    return "received" if received else "ours"


def _check_choices(step: Prepared, items: Items) -> None:
    """Who says whose secret is used, whose mail is read and which job begins."""
    for value in _naming(step):
        _check_chosen(value, "which connection or credential is used", SETTING)
    ours = STEPS - RECEIVED | ({"item"} if items == "ours" else set())
    if mailbox := step.parameters.get("mailbox"):
        _check_chosen(mailbox, "whose mailbox it is", ours)
    if (job := step.parameters.get("job")) and step.acts is RunJob:
        _check_chosen(job, "which job begins", ours)


def _check_chosen(value: Value, what: str, allowed: Collection[str]) -> None:
    """What was received does not choose whose secret is used, or which job begins; for a secret it is
    not said when a job is begun either: that would be a grant."""
    for one in value.references:
        if one.prefix not in allowed:
            raise InvalidValue(
                value.where, f"{one} may not say {what}; name it, or use a variable of the room"
            )


def _known(
    one: Reference, name: str, known: Mapping[str, object] | Sequence[str], where: str, what: str
) -> None:
    if name in known:
        return
    close = nearest(name, known)
    there = ", ".join(known)
    meant = (
        f"did you mean {close}?" if close else f"there is {there}." if there else "there is none."
    )
    raise InvalidValue(where, f"{one}: there is no {what} called {name!r}; {meant}")
