"""Commands over a mailbox in memory, and what does steps with them, in the words of these tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from postroom.errors import FolderError, NotThere, PostroomError, UnknownField
from postroom.fields import field, nearest, parse
from postroom.jobs.commands import Bench, Command, MoveEmail, Result
from postroom.jobs.interpreter import run_steps
from postroom.jobs.job import Job
from postroom.jobs.step import Step
from postroom.jobs.values import Scope

__all__ = ["COMMANDS", "Flag", "List", "Note", "Read", "Work", "job_with", "named", "steps_of"]


class List(Command):
    name: ClassVar[str] = "list"
    about: ClassVar[str] = "List what is there."
    gives: ClassVar[dict[str, str]] = {"items": "Each.", "count": "How many."}

    via: str = field(label="Via")
    limit: int = field(50, label="Limit")

    async def run(self, bench: Bench) -> Result:
        raise NotImplementedError

    def plan(self) -> str:
        return f"list up to {self.limit} of {self.via}"


class Read(Command):
    name: ClassVar[str] = "read"
    about: ClassVar[str] = "Read one."
    gives: ClassVar[dict[str, str]] = {"subject": "Of it.", "text": "Of it."}

    id: str = field(label="Message")

    async def run(self, bench: Bench) -> Result:
        raise NotImplementedError

    def plan(self) -> str:
        return f"read {self.id}"


class Note(Command):
    name: ClassVar[str] = "note"
    about: ClassVar[str] = "Write something down."
    gives: ClassVar[dict[str, str]] = {"said": "What."}

    text: str = field(label="Text")
    more: Any = field(None, label="More")

    async def run(self, bench: Bench) -> Result:
        raise NotImplementedError

    def plan(self) -> str:
        return f"note {self.text!r}"


class Flag(Command):
    name: ClassVar[str] = "flag"
    about: ClassVar[str] = "Flag messages."
    gives: ClassVar[dict[str, str]] = {"count": "How many."}
    many: ClassVar[str] = "ids"

    ids: list[str] = field(label="Messages")
    with_: str = field("seen", label="Flag", alias="with")

    async def run(self, bench: Bench) -> Result:
        raise NotImplementedError

    def plan(self) -> str:
        return f"flag {len(self.ids)}"


COMMANDS: tuple[type[Command], ...] = (List, Read, Note, Flag, MoveEmail)


def named(name: str) -> type[Command]:
    for one in COMMANDS:
        if one.name == name:
            return one
    close = nearest(name, [one.name for one in COMMANDS])
    raise UnknownField(f"There is no command {name!r}.", hint=f"Did you mean {close}?")


def job_with(*steps: Mapping[str, Any], **more: Any) -> Job:
    return parse(Job, {"name": "tidy", "steps": list(steps), **more})


def steps_of(*steps: Mapping[str, Any]) -> list[Step]:
    return job_with(*steps).steps


class Work:
    """A mailbox of so many messages; what was done is in ``wire``, what was said in ``said``.

    ``fails`` is asked of every command, and gives the error that it is to raise, if any.
    """

    def __init__(
        self,
        count: int = 3,
        *,
        parameters: Mapping[str, Any] | None = None,
        variables: Mapping[str, str] | None = None,
        message: Mapping[str, Any] | None = None,
        fails: Callable[[Command], PostroomError | None] = lambda command: None,
    ) -> None:
        self.inbox = {str(at): f"Subject {at}" for at in range(count)}
        self.moved: dict[str, list[str]] = {}
        self.flagged: list[str] = []
        self.noted: list[Any] = []
        self.wire: list[Command] = []
        self.said: list[tuple[str, str]] = []
        self.waited: list[float] = []
        self._fails = fails
        table = variables or {}

        def expand(text: str, where: str) -> str:
            name = text[2:-1].partition(":")[2]
            if name not in table:
                raise UnknownField(f"{where}: there is no variable {name!r}")
            return table[name]

        self.scope = Scope(
            parameters=parameters or {},
            run={"id": "r1", "job": "tidy", "started": "2026-01-31T09:05:00Z", "attempt": 1},
            message=message,
            expand=expand,
        )

    async def run(self, *steps: Mapping[str, Any]) -> Any:
        return await run_steps(
            steps_of(*steps), self.scope, self.execute, self._tell, self._sleep, named=named
        )

    def _tell(self, level: str, text: str) -> None:
        self.said.append((level, text))

    async def _sleep(self, seconds: float) -> None:
        self.waited.append(seconds)

    async def execute(self, command: Command) -> Result:
        self.wire.append(command)
        if error := self._fails(command):
            raise error
        if isinstance(command, List):
            items = [{"id": key, "subject": subject} for key, subject in self.inbox.items()]
            return {"items": items[: command.limit], "count": len(items[: command.limit])}
        if isinstance(command, Read):
            self._there([command.id])
            return {"subject": self.inbox[command.id], "text": f"Text of {command.id}"}
        if isinstance(command, Note):
            self.noted.append(command.text if command.more is None else command.more)
            return {"said": command.text}
        if isinstance(command, Flag):
            self._there(command.ids)
            self.flagged += command.ids
            return {"count": len(command.ids)}
        if isinstance(command, MoveEmail):
            if command.to == "Nowhere":
                raise FolderError("There is no folder Nowhere.")
            self._there(command.ids)
            for key in command.ids:
                del self.inbox[key]
                self.moved.setdefault(command.to, []).append(key)
            return {"count": len(command.ids), "ids": {}}
        raise NotImplementedError

    def _there(self, ids: Sequence[str]) -> None:
        if missing := [one for one in ids if one not in self.inbox]:
            raise NotThere(f"No longer there: {', '.join(missing[:5])}", ids=missing)

    @property
    def warnings(self) -> list[str]:
        return [text for level, text in self.said if level == "warning"]
