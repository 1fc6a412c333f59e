"""``for_each``: the steps of each item, in order, and commands for many items done in one go.

A command that takes several ids (``Command.many``) is done once for up to BATCH of them, when its
step is the last of the body, or all that follow it can be done so too; when nothing in the body names
what it gives (what a batch gives is not of one item); and for items whose other parameters are the
same.  The items go through the steps before one by one; then the last steps are done for all of them,
one step after the other.  So each item has its steps in their order, its ``when`` is asked before,
and what an earlier item is to have is done before a later one ends the job; but up to BATCH items may
have gone through the first steps by then.

When a batch fails because some ids are not there (NotThere with the fact ``ids``), nothing of it was
touched, which is the contract of ``many``: it is done again without them, and only their items fail.
Any other error of a batch is the error of every item in it: what of it was done is not known, so it is
not done again.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from postroom.clock import monotonic
from postroom.errors import InvalidValue, NotThere, PostroomError
from postroom.jobs.commands import Command, Result
from postroom.jobs.prepared import Prepared
from postroom.jobs.values import Missing, Scope, Value

if TYPE_CHECKING:
    from postroom.jobs.interpreter import Interpreter

__all__ = ["BATCH", "Loop", "split"]

BATCH: Final = 500
"""Ids in one command, and items that wait for it."""
_HELD: Final = 16 << 20
"""Bytes, roughly, of what earlier steps gave for items that wait; then they are done."""
_ERRORS: Final = 100
"""Errors of items that a loop gives, the first ones."""


@dataclass
class _Entry:
    """An item under way: its scope, and the error of its present step."""

    at: int
    scope: Scope
    error: PostroomError | None = None


class _Call(NamedTuple):
    """What one item asks of a command that takes many ids."""

    entry: _Entry
    command: Command
    ids: list[str] | None
    """None: it does not go by ids, and is done alone."""


def split(body: Sequence[Prepared]) -> tuple[Sequence[Prepared], Sequence[Prepared]]:
    """The steps that each item goes through alone, and the last ones, done for many in one go."""
    named = {
        one.name.partition(".")[0]
        for step in body
        for one in step.all_references
        if one.prefix == "step"
    }
    first = len(body)
    while first and _takes_many(body[first - 1]) and body[first - 1].name not in named:
        first -= 1
    return body[:first], body[first:]


def _takes_many(step: Prepared) -> bool:
    return (
        step.command is not None
        and step.for_each is None
        and bool(step.command.many)
        and step.command.many in step.parameters
    )


class Loop:
    """One ``for_each`` at work."""

    def __init__(self, work: Interpreter, step: Prepared, listed: Value, scope: Scope) -> None:
        self._work = work
        self._step = step
        self._listed = listed
        self._scope = scope
        self._whole = bool(step.command) and work.wants_each(step)
        body = step.steps or (
            replace(step, name="", when=None, for_each=None, goes_on=False, instead=()),
        )
        self._each, self._together = (body, ()) if self._whole else split(body)
        self._base = 0  # of the shelf: what is below the items under way
        self._waiting: list[_Entry] = []
        self._done = 0
        self._failed = 0
        self._errors: list[dict[str, Any]] = []
        self._results: list[Any] = []

    async def run(self) -> tuple[Result, str]:
        """Go through the list; gives the result of the loop, and what the log says of it."""
        items, shelf = self._list(), self._work.shelf
        before = self._base = shelf.size
        for at, item in enumerate(items):
            await asyncio.sleep(0)  # items that only cost time, by their conditions, leave some
            await self._item(_Entry(at, self._scope.with_item(item, at)))
            if len(self._waiting) >= BATCH or shelf.size - self._base > _HELD:
                await self._flush()
            if not self._waiting:
                shelf.size = self._base
        await self._flush()
        shelf.size = before
        found: Result = {"count": self._done, "failed": self._failed, "errors": self._errors}
        if self._whole:
            found["results"] = self._results
        failed = f", {self._failed} failed" if self._failed else ""
        return found, f"{self._done} of {len(items)} done{failed}"

    def _list(self) -> Sequence[Any]:
        items = self._listed.fill(self._scope)
        if items is None:  # of a step that was passed by
            return ()
        if not isinstance(items, (list, tuple)):
            raise InvalidValue(self._listed.where, "it goes through a list, and that is none")
        return items

    async def _item(self, entry: _Entry) -> None:
        step = self._step
        try:
            if step.when and not step.when.holds(entry.scope):
                self._add(None)
                return
            if self._whole:
                [alone] = self._each
                self._add(await self._work.tried(alone, alone.made(alone.values(entry.scope))))
            else:
                await self._work.row(self._each, entry.scope)
        except PostroomError as error:
            try:
                await self._fail(entry, error)
            except PostroomError:
                await self._flush()  # what items before it are to have comes first
                raise
            return
        if self._together:
            self._waiting.append(entry)
        else:
            self._done += 1

    def _add(self, result: Any) -> None:
        """What one item gave, where a later step wants what each gave."""
        if self._whole:
            self._work.shelf.add(result, self._step.label)
            self._base = self._work.shelf.size
            self._results.append(result)

    async def _fail(self, entry: _Entry, error: PostroomError) -> None:
        """An item failed: what the step of the loop says of it; raises the error if it ends the job."""
        self._failed += 1
        if len(self._errors) < _ERRORS:
            self._errors.append({"item": entry.at, "error": error.as_json()})
        self._add(Missing(error=error.as_json()))
        await self._work.failed(self._step, error, entry.scope, entry.at)

    # ------------------------------------------------------------------ in one go

    async def _flush(self) -> None:
        """The last steps, for the items that wait; raises the error that ends the job, if one does."""
        live, self._waiting = self._waiting, []
        ended: PostroomError | None = None
        for step in self._together:
            await self._do(step, live)
            live, error = await self._settled(step, live)
            ended = error or ended
        self._done += len(live)
        if ended is not None:
            raise ended

    async def _do(self, step: Prepared, live: Sequence[_Entry]) -> None:
        """One step for all of them; those that failed have an error afterwards.

        Where an error ends the job nothing is done for the items behind it.
        """
        stops = not (step.goes_on or step.instead or self._step.goes_on or self._step.instead)
        calls: list[_Call] = []
        first: float = math.inf  # the item whose error ends the job
        for entry in live:
            try:
                if step.when is None or step.when.holds(entry.scope):
                    calls.append(_call(step, entry))
            except PostroomError as error:
                entry.error = error
                if stops:
                    first = entry.at
                    break
        for batch in _batches(calls):
            before = [one for one in batch if one.entry.at < first]
            await self._batch(step, before, stops=stops)
            if stops:
                first = min([first, *(one.entry.at for one in before if one.entry.error)])

    async def _batch(self, step: Prepared, calls: Sequence[_Call], *, stops: bool) -> None:
        """One command for all of them, and again without those whose ids are not there."""
        rest = calls
        while rest:
            began = monotonic()
            try:
                await self._work.tried(step, _merged(rest))
            except PostroomError as error:
                hit = _hit(error, rest)
                for one in hit or rest:
                    one.entry.error = error
                if not hit:
                    return
                end = hit[0].entry.at if stops else math.inf
                rest = [one for one in rest if not one.entry.error and one.entry.at < end]
                continue
            if len(rest) > 1:
                self._work.tell(
                    "info",
                    f"{step.label}: {len(rest)} items in one go, {monotonic() - began:.1f} s",
                )
            return

    async def _settled(
        self, step: Prepared, live: Sequence[_Entry]
    ) -> tuple[list[_Entry], PostroomError | None]:
        """The items that go on, and the error that ends the job: then only those before it go on."""
        on: list[_Entry] = []
        for entry in live:
            if entry.error is not None:
                try:
                    await self._handled(step, entry, entry.error)
                except PostroomError as error:
                    return on, error
            if entry.error is None:
                on.append(entry)
        return on, None

    async def _handled(self, step: Prepared, entry: _Entry, error: PostroomError) -> None:
        """What the step, and then the loop, say of an error; the entry keeps it if it ends there."""
        try:
            await self._work.failed(step, error, entry.scope)
        except PostroomError as raised:
            await self._fail(entry, raised)
        else:
            entry.error = None


def _call(step: Prepared, entry: _Entry) -> _Call:
    command = step.made(step.values(entry.scope))
    return _Call(entry, command, getattr(command, command.many))


def _batches(calls: Sequence[_Call]) -> Iterator[list[_Call]]:
    """Those that differ in their ids alone, up to BATCH ids, none of them twice."""
    alike: dict[str, list[_Call]] = {}
    for call in calls:
        if call.ids is None:
            yield [call]
            continue
        others = call.command.model_dump(mode="json", exclude={call.command.many})
        alike.setdefault(json.dumps(others, sort_keys=True, default=str), []).append(call)
    for group in alike.values():
        batch: list[_Call] = []
        ids: set[str] = set()
        for call in group:
            own = call.ids or ()
            if batch and (len(ids) + len(own) > BATCH or not ids.isdisjoint(own)):
                yield batch
                batch, ids = [], set()
            batch.append(call)
            ids.update(own)
        yield batch


def _merged(calls: Sequence[_Call]) -> Command:
    command = calls[0].command
    if len(calls) == 1:
        return command
    together = [each for one in calls for each in one.ids or ()]
    return command.model_copy(update={command.many: together})


def _hit(error: PostroomError, calls: Sequence[_Call]) -> list[_Call]:
    """Those whose ids an error says are not there; none: it says nothing of the kind."""
    missing = error.facts.get("ids") if isinstance(error, NotThere) else None
    if not isinstance(missing, (list, tuple)):
        return []
    return [one for one in calls if not set(missing).isdisjoint(one.ids or ())]
