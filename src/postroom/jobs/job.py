"""The job: what is done with stored credentials and mail, when, and with which limits, declared once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from postroom.clock import timestamp
from postroom.fields import (
    Duration,
    Fields,
    Name,
    Size,
    check_name,
    field,
    made_absolute,
    next_time,
)
from postroom.jobs.handover import HandOver
from postroom.jobs.step import Again, Step

__all__ = ["HandOver", "Job", "Limits", "Parameter", "Program", "Python", "Schedule"]

_CALL: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class Schedule(Fields):
    """When a job begins: at a fixed rate, or by a cron table in a time zone."""

    every: Duration | None = field(None, label="Every", help="A fixed rate, such as 15m.")
    cron: str = field("", label="Cron", help="Five fields: minute hour day month weekday.")
    timezone: str = field("UTC", label="Time zone", help="For cron; a name such as Europe/Berlin.")
    misfire: Literal["once", "skip", "all"] = field(
        "once",
        label="Missed times",
        help="What passed while no worker ran: one run for all of it, none, or one run each.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.every is None) == (not self.cron):
            raise ValueError('give one of every: 15m, cron: "30 2 * * *"')
        if self.every is not None and self.every < 1:
            raise ValueError("every: one second is the shortest")
        self.after(timestamp())
        return self

    def after(self, instant: float) -> float:
        """The next time to begin after ``instant``; both in seconds since 1970."""
        return next_time(instant, every=self.every, cron=self.cron, timezone=self.timezone)


class Parameter(Fields):
    """What may be said when a job is begun; without a default it must be."""

    type: Literal["text", "number", "yes or no", "date", "list"] = field("text", label="Type")
    description: str = field("", label="Description")
    default: Any = field(None, label="Default", help="Without one it must be given.")


class Limits(Fields):
    """How much a program may take; a step is no program, and only ``time`` is for it too."""

    time: Duration = field("1h", label="Time", help="Of a whole run; then it is ended.")
    memory: Size = field("1GiB", label="Memory", help="Of a program and all that it started.")
    output: Size = field(
        "1MiB", label="Output", help="What is kept of what it writes: its beginning and its end."
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.time < 1:
            raise ValueError("time: one second is the shortest")
        if self.memory < 16 << 20:
            raise ValueError("memory: 16MiB is the least that a program can begin with")
        return self


class Python(Fields):
    """A function that is given a ``context``: of a module, or of a script file."""

    call: str = field("", label="Function", help="module:function, as Python imports it.")
    file: str = field(
        "", label="Script", help="A file; its function is called main, or named here."
    )
    function: str = field("main", label="Function of the script")
    sha256: str = field(
        "", label="Content", help="The SHA-256 of the script: taken when it is saved, never typed."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.call) == bool(self.file):
            raise ValueError("give one of call: module:function, file: PATH")
        if self.call and not _CALL.fullmatch(self.call):
            raise ValueError("call: give module:function, such as reports:nightly")
        if not self.function.isidentifier():
            raise ValueError("function: is not the name of a function")
        return self


class Program(Fields):
    """A program: its words (no shell looks at them), and how it is handed what it was granted."""

    words: list[str] = field(label="Command", help="The program and its arguments.", default=...)
    hand_over: HandOver = field(default_factory=HandOver, label="Hand over")
    directory: str = field(
        "", label="Working directory", help="Empty: one of its own, removed after."
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.words or not self.words[0].strip():
            raise ValueError("words: name a program")
        if any("\0" in word for word in self.words):
            raise ValueError("words: a NUL cannot stand in an argument")
        return self


def _python(value: object) -> object:
    """``reports:nightly`` and ``./report.py`` for the groups they stand for."""
    if not isinstance(value, str):
        return value
    return {"file": value} if value.endswith(".py") else {"call": value}


def _program(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(
            "give a list of words, such as [./report.sh, --all]; no shell looks at them"
        )
    return {"words": value} if isinstance(value, list) else value


def _named(names: dict[str, Parameter]) -> dict[str, Parameter]:
    for name in names:
        check_name(name)
    return names


class Job(Fields):
    """A job (DESIGN 4.5)."""

    name: Name = field(label="Name")
    description: str = field("", label="Description")
    parameters: Annotated[dict[str, Parameter], AfterValidator(_named)] = field(
        default_factory=dict, label="Parameters", help="NAME: {type: text, default: ...}"
    )
    schedule: Schedule | None = field(None, label="Schedule", help="None: it is begun by hand.")
    overlap: Literal["queue", "skip", "beside"] = field(
        "queue",
        label="Overlap",
        help="When one of it is still at work: queue waits for it, skip passes the time of its "
        "schedule by, beside runs beside it.",
    )
    credentials: list[str] = field(
        default_factory=list,
        label="Credentials",
        help="Those whose fields a python or command job is handed.",
    )
    worker_roles: list[str] = field(
        default_factory=list, label="Worker roles", help="Empty: any worker may run it."
    )
    steps: list[Step] = field(
        default_factory=list, label="Steps", help="Built-in commands, in order."
    )
    python: Annotated[Python | None, BeforeValidator(_python)] = field(
        None, label="Python", help="module:function, or a file that ends in .py."
    )
    command: Annotated[Program | None, BeforeValidator(_program)] = field(
        None, label="Command", help="A program and its arguments, as a list."
    )
    limits: Limits = field(default_factory=Limits, label="Limits")
    retry: Again | None = field(None, label="Retry", help="A run that failed is begun anew.")
    if_killed: Literal["again", "lost"] = field(
        "again",
        label="If its worker is killed",
        help="again: the run is begun anew. lost: it is marked as lost, and nothing follows.",
    )
    keep: Duration = field(
        "30d", label="Keep", help="How long finished runs and their logs are kept."
    )

    def resolved(self, base: Path) -> Job:
        """The same job, with paths made absolute from ``base`` (the room file's directory).

        A program that is named without a slash is looked for where programs are.
        """
        changes: dict[str, Any] = {"steps": [one.resolved(base) for one in self.steps]}
        if self.python is not None and self.python.file:
            file = made_absolute(self.python.file, base)
            changes["python"] = self.python.model_copy(update={"file": file})
        if self.command is not None:
            first, *rest = self.command.words
            words = [made_absolute(first, base) if "/" in first else first, *rest]
            directory = self.command.directory and made_absolute(self.command.directory, base)
            changes["command"] = self.command.model_copy(
                update={"words": words, "directory": directory}
            )
        return self.model_copy(update=changes)

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        given = [one for one in ("steps", "python", "command") if getattr(self, one)]
        if len(given) != 1:
            raise ValueError(
                f"a job does one of steps, python and command, not {' and '.join(given)}"
                if given
                else "say what it does: steps, python or command"
            )
        if self.credentials and self.steps:
            raise ValueError(
                "credentials: are for python and command; what a step names is granted by that"
            )
        return self
