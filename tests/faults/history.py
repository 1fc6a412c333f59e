"""What clients did, as they say it while they do it, and the checkers that judge it.

Every client writes one line when it begins a step (``invoke``) and one when it knows how it ended:
``ok`` (done), ``fail`` (certainly not done) or ``info`` (it may be either).  The lines go into one
pipe that the parent owns, so they survive the client, and their order is the order in time: what
stands before a line had happened when that line was written.  A step without an end is ``info``.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, Literal, Self

__all__ = ["Event", "History", "Kind", "Pen", "Step", "registers", "sets", "steps"]

Kind = Literal["invoke", "ok", "fail", "info"]
_PIPE_BUF: Final = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One line: which client, its step's number, what, to which key, with which value and version."""

    client: str
    step: int
    kind: Kind
    action: str
    key: str
    value: str | None = None
    version: int | None = None


class Pen:
    """Writes a client's lines: ``step = pen.invoke("write", key, value)``, then ``pen.ok(step)``."""

    def __init__(self, file: int, client: str) -> None:
        self._file = file
        self._client = client
        self._open: dict[int, Event] = {}
        self._last = 0

    def invoke(self, action: str, key: str, value: str | None = None) -> int:
        """A step begins."""
        self._last += 1
        self._open[self._last] = event = Event(
            self._client, self._last, "invoke", action, key, value
        )
        self._write(event)
        return self._last

    def ok(self, step: int, *, value: str | None = None, version: int | None = None) -> None:
        """It is done; ``value`` is what a read found."""
        self._end(step, "ok", value, version)

    def fail(self, step: int) -> None:
        """It is certainly not done."""
        self._end(step, "fail", None, None)

    def info(self, step: int) -> None:
        """Nobody knows."""
        self._end(step, "info", None, None)

    def _end(self, step: int, kind: Kind, value: str | None, version: int | None) -> None:
        begun = self._open.pop(step)
        found = begun.value if value is None else value
        self._write(dataclasses.replace(begun, kind=kind, value=found, version=version))

    def _write(self, event: Event) -> None:
        line = json.dumps(dataclasses.astuple(event)).encode() + b"\n"
        assert len(line) <= _PIPE_BUF, "a longer line could be torn by another client's"
        os.write(self._file, line)


class History:
    """The pipe, and what came out of it: ``with History() as history``; children get ``history.pen``."""

    def __init__(self) -> None:
        self._read, self.pen = os.pipe()
        self._lines: list[bytes] = []
        self._reader = threading.Thread(target=self._collect, name="history", daemon=True)
        self._ended = False

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.end()

    def end(self) -> list[Event]:
        """Every line, once all clients are gone; the pipe is closed."""
        if not self._ended:
            self._ended = True
            os.close(self.pen)
            self._reader.join()
            os.close(self._read)
        return [Event(*json.loads(line)) for line in self._lines]

    def _collect(self) -> None:
        with os.fdopen(os.dup(self._read), "rb") as file:
            self._lines.extend(file)


# ------------------------------------------------------------------ judging


@dataclasses.dataclass(slots=True)
class Step:
    """One step from its first line to its last; ``end`` is None while nobody knows."""

    begin: int
    event: Event
    end: int | None = None
    kind: Kind = "info"

    @property
    def told(self) -> str:
        """The step in words."""
        what = f"{self.event.action} {self.event.key} = {self.event.value!r}"
        return f"{what} ({self.kind}, {self.event.client} step {self.event.step})"


def steps(events: Sequence[Event]) -> list[Step]:
    """The steps of a history, in the order in which they began."""
    found: dict[tuple[str, int], Step] = {}
    for at, event in enumerate(events):
        place = (event.client, event.step)
        if event.kind == "invoke":
            found[place] = Step(at, event)
            continue
        step = found[place]
        step.end, step.kind, step.event = at, event.kind, event
    return list(found.values())


def registers(events: Sequence[Event]) -> list[str]:
    """What is wrong with a history of records that have versions; nothing: an empty list.

    Actions are ``write`` and ``read``, whose ``ok`` says the version, and ``delete``, after which a
    key is not written again.  Asked of every key: two writes were not told the same version;
    versions never go back in time; what was read had been written, as that version, and had not
    failed; every write that was told ok was read afterwards, as itself or as something later; what
    was deleted is gone.
    """
    by_key: dict[str, list[Step]] = collections.defaultdict(list)
    for step in steps(events):
        by_key[step.event.key].append(step)
    wrong: list[str] = []
    for key, found in by_key.items():
        writes = [one for one in found if one.event.action == "write"]
        reads = [one for one in found if one.event.action == "read" and one.kind == "ok"]
        wrong += _twice(key, writes)
        versioned = [one for one in found if one.event.action in ("write", "read")]
        wrong += _backwards([one for one in versioned if one.kind == "ok"])
        wrong += _from_nowhere(writes, reads)
        wrong += _lost(key, writes, reads, [one for one in found if one.event.action == "delete"])
    return wrong


def _twice(key: str, writes: Iterable[Step]) -> list[str]:
    told: dict[int | None, Step] = {}
    wrong = []
    for one in writes:
        if one.kind == "ok" and (other := told.setdefault(one.event.version, one)) is not one:
            wrong.append(
                f"{key}: {other.told} and {one.told} are both version {one.event.version}."
            )
    return wrong


def _lost(key: str, writes: list[Step], reads: list[Step], deletes: list[Step]) -> list[str]:
    gone = [one.end for one in deletes if one.kind == "ok" and one.end is not None]
    if gone and any(one.begin > min(gone) for one in reads):
        return [f"{key} was deleted and could be read afterwards."]
    last = max((one.end or 0 for one in writes if one.kind == "ok"), default=-1)
    perhaps = any(one.kind != "fail" for one in deletes)
    if last < 0 or perhaps or any(one.begin > last for one in reads):
        return []
    return [f"{key} was written and could not be read afterwards."]


def _backwards(done: list[Step]) -> list[str]:
    """A step that began after another had ended sees a version that is not older."""
    wrong = []
    newest: Step | None = None
    ended = sorted(done, key=lambda one: one.end or 0)
    at = 0
    for one in sorted(done, key=lambda one: one.begin):
        while at < len(ended) and (ended[at].end or 0) < one.begin:
            if newest is None or (ended[at].event.version or 0) > (newest.event.version or 0):
                newest = ended[at]
            at += 1
        if newest is None:
            continue
        here, before = one.event.version or 0, newest.event.version or 0
        if here < before or (here == before and one.event.action == "write"):
            wrong.append(f"{one.told} is version {here}, after {newest.told} was version {before}.")
    return wrong


def _from_nowhere(writes: list[Step], reads: list[Step]) -> list[str]:
    wrong = []
    for one in reads:
        origin = [
            w for w in writes if w.event.value == one.event.value and w.begin < (one.end or 0)
        ]
        if not origin:
            wrong.append(f"{one.told}: nobody wrote that.")
        elif all(w.kind == "fail" for w in origin):
            wrong.append(f"{one.told}: that write had failed.")
        elif all(w.kind == "ok" and w.event.version != one.event.version for w in origin):
            wrong.append(f"{one.told} is version {one.event.version}, and was written as another.")
    return wrong


def sets(events: Sequence[Event], found: Collection[Any], *, action: str = "add") -> list[str]:
    """What is wrong with a set that clients add to (the key is the element), given what is there.

    Every element that was told ok is there; none is there twice, none that failed or that nobody
    added.  What ended as ``info`` may be there or not.
    """
    added = {one.event.key: one for one in steps(events) if one.event.action == action}
    there = collections.Counter(found)
    wrong = [f"{one.told} is lost." for key, one in added.items()
             if one.kind == "ok" and not there[key]]  # fmt: skip
    wrong += [f"{key} is there {times} times." for key, times in there.items() if times > 1]
    wrong += [f"{key} is there, and nobody added it." for key in there if key not in added]
    wrong += [f"{added[key].told} is there all the same." for key in there
              if key in added and added[key].kind == "fail"]  # fmt: skip
    return wrong
