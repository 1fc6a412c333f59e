"""The interpreter of steps: one after the other, with conditions, loops and what follows an error.

It decides; what it is handed does: ``execute`` a command, ``tell`` a line of the log, ``sleep``.

What a step gives is kept whole where another step names it, up to 64 MiB in all of a run; what nobody
names is dropped at once, and what the steps of a ``for_each`` gave with their item.  The result of a
run has what its named steps gave, cut to what a person reads (:mod:`postroom.jobs.results`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from postroom.clock import format_duration, monotonic
from postroom.errors import PostroomError, WrongUse
from postroom.jobs.commands import Command, Result, command_named
from postroom.jobs.loops import Loop
from postroom.jobs.prepared import Named, Prepared, prepare
from postroom.jobs.results import Report, Shelf
from postroom.jobs.step import Again, Step
from postroom.jobs.values import NO_ITEM, Missing, Scope

__all__ = ["Execute", "Interpreter", "Sleep", "Tell", "run_steps"]

Execute = Callable[[Command], Awaitable[Result]]
Tell = Callable[[str, str], None]
"""A level (``info``, ``warning``, ``error``) and one line."""
Sleep = Callable[[float], Awaitable[None]]

ENDS: Final = ("claim_lost",)
"""Codes of errors that no ``on_error`` catches: the run is not ours any more."""
WARNINGS: Final = 20
"""Lines of warning that one step writes into the log of a run; what follows is counted."""


async def run_steps(
    steps: Sequence[Step],
    scope: Scope,
    execute: Execute,
    tell: Tell,
    sleep: Sleep,
    *,
    named: Named = command_named,
) -> Result:
    """Do the steps of a job; gives what is kept of it with the run.

    That is ``done``, ``passed`` and ``failed`` (how many steps of the outermost were done, passed by
    because their ``when`` did not hold, and failed without ending the job) and ``steps``: what each
    named one gave.  Raises the error of the step that ended the job, with its ``place`` (and the
    number of the ``item``, from 0) in its sentence and among its facts; and whatever else
    ``execute`` raises, a cancellation first of all.
    """
    prepared = prepare(steps, named)
    work = Interpreter(prepared, execute, tell, sleep)
    try:
        await work.row(prepared, scope.within({}))
    except PostroomError as error:
        error.sentence = _placed(error)
        raise
    return {**work.tally, "steps": work.report.steps}


class Interpreter:
    """The steps of one run.  ``shelf`` counts what it holds of what they gave."""

    def __init__(
        self, steps: Sequence[Prepared], execute: Execute, tell: Tell, sleep: Sleep
    ) -> None:
        self.execute = execute
        self.tell = tell
        self.shelf = Shelf()
        self.report = Report()
        self.tally = {"done": 0, "passed": 0, "failed": 0}
        self._sleep = sleep
        self._warned: Counter[str] = Counter()
        self._asked = {
            (*one.name.split(".")[:2], "")[:2]
            for step in steps
            for one in step.all_references
            if one.prefix == "step"
        }
        self._wanted = {name for name, _ in self._asked}

    async def row(self, steps: Sequence[Prepared], scope: Scope) -> None:
        """Do steps in order; what they give is added to the results of the scope."""
        for step in steps:
            began = monotonic()
            try:
                if step.for_each is not None:
                    result, said = await Loop(self, step, step.for_each, scope).run()
                elif step.when and not step.when.holds(scope):
                    self._passed(step, scope)
                    continue
                else:
                    result = await self.tried(step, step.made(step.values(scope)))
                    said = f"done{_counts(result)}{_note(result)}"
                self.keep(step, result, scope)
            except PostroomError as error:
                await self.failed(step, error, scope)
                continue
            self._count("done", scope)
            if scope.item is NO_ITEM:
                self.tell("info", f"{step.label}: {said}, {monotonic() - began:.1f} s")

    async def tried(self, step: Prepared, command: Command) -> Result:
        """Execute a command, again and again if its step says so and it may help."""
        tries = 0
        while True:
            try:
                return await self.execute(command)
            except WrongUse:
                raise  # the same will be wrong tomorrow
            except PostroomError as error:
                if step.again is None or tries >= step.again.max or error.code in ENDS:
                    raise
                wait = _wait(step.again, tries)
                tries += 1
                self.warn(
                    step,
                    f"{error.reason} Tried again in {format_duration(wait)}, "
                    f"{tries} of {step.again.max}.",
                )
                await self._sleep(wait)

    async def failed(
        self, step: Prepared, error: PostroomError, scope: Scope, item: int | None = None
    ) -> None:
        """What its step says of an error: it goes on, does other steps, or raises the error."""
        at = "" if scope.number is None else f"item {scope.number}: "
        if error.code in ENDS or not (step.goes_on or step.instead):
            error.facts.setdefault("place", step.where)
            if item is not None:
                error.facts.setdefault("item", item)
            raise error
        self._count("failed", scope)
        missing = Missing(error=error.as_json())
        if step.goes_on:
            self.warn(step, f"{at}failed, and the job goes on: {error.reason}")
        else:
            self.warn(step, f"{at}failed, and other steps are done instead: {error.reason}")
            results = {**scope.results, step.name: missing} if step.name else scope.results
            await self.row(step.instead, scope.within(dict(results)))
        if item is None:
            self.keep(step, missing, scope)

    def keep(self, step: Prepared, result: Result, scope: Scope) -> None:
        """Hold what a step gave if another one names it, and what is kept of it with the run."""
        if not step.name:
            return
        if step.name in self._wanted:
            self.shelf.add(result, step.label)
            scope.results[step.name] = result
        if scope.item is NO_ITEM:
            self.report.add(step.name, result)

    def wants_each(self, step: Prepared) -> bool:
        """Whether a step names what each item of this loop gave."""
        return not self._asked.isdisjoint({(step.name, "results"), (step.name, "")})

    def warn(self, step: Prepared, text: str) -> None:
        """A warning of a step; of many only the first are written."""
        self._warned[step.place] += 1
        if self._warned[step.place] <= WARNINGS:
            self.tell("warning", f"{step.label}: {text}")
        elif self._warned[step.place] == WARNINGS + 1:
            self.tell("warning", f"{step.label}: further warnings of this step are not written")

    def _passed(self, step: Prepared, scope: Scope) -> None:
        self.keep(step, Missing(), scope)
        self._count("passed", scope)
        if scope.item is NO_ITEM:
            self.tell("info", f"{step.label}: passed by, {step.when.text if step.when else ''}")

    def _count(self, what: str, scope: Scope) -> None:
        if scope.item is NO_ITEM:
            self.tally[what] += 1


def _placed(error: PostroomError) -> str:
    """The sentence of what ended the job, with the place unless it names that itself."""
    place = str(error.facts.get("place", ""))
    item = error.facts.get("item")
    at = "" if item is None else f" (item {item})"
    step, _, last = place.rpartition(".")
    named = error.sentence.startswith(place if last.isdigit() else step) and not at
    return error.sentence if named else f"{place}{at}: {error.sentence}"


def _wait(again: Again, tries: int) -> float:
    return min(float(again.max_wait), float(again.min) * 2.0 ** min(tries, 32))


def _note(result: Result) -> str:
    """What a command says of what it did not do, for the log."""
    note = result.get("note")
    return f", {note.rstrip('.')}" if isinstance(note, str) and note else ""


def _counts(result: Result) -> str:
    """The numbers of a result, for the log: ``, count 3``."""
    numbers = [
        f", {name} {value}"
        for name, value in result.items()
        if isinstance(value, int) and not isinstance(value, bool)
    ]
    return "".join(numbers[:3])
