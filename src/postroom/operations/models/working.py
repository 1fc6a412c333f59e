"""Models of sources, services, jobs and commands: what is defined, and what it is doing."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from postroom.jobs import job
from postroom.jobs.runs import Run
from postroom.operations.models.shown import Shown, Unreadable
from postroom.services import service
from postroom.sources import source
from postroom.sources.standing import Status

__all__ = [
    "Attempt",
    "Command",
    "Job",
    "JobLine",
    "LogLine",
    "Service",
    "ServiceLine",
    "Source",
    "Unattended",
]


class _OfSource(TypedDict):
    status: Status


class _OfService(TypedDict):
    waiting: int
    held: bool
    unsettled: int
    workers: int
    note: str


class _ServiceUnreadable(Unreadable, _OfService):
    """What is there and cannot be read, and what waits under it."""


class _Attempt(TypedDict):
    attempt: int
    at: dt.datetime
    outcome: str
    said: str


class _Unattended(TypedDict):
    service: str
    waiting: int
    note: str


class _OfJob(TypedDict):
    does: Literal["steps", "python", "command"]
    held: bool
    next_times: list[dt.datetime]
    last_run: Run | None
    runs: dict[str, int]
    warnings: NotRequired[list[str]]


class _LogLine(TypedDict):
    line: int
    at: dt.datetime
    level: str
    said: str


class _Parameter(TypedDict):
    name: str
    type: str
    needed: bool
    default: str
    about: str


class _Command(TypedDict):
    name: str
    about: str
    parameters: list[_Parameter]
    gives: dict[str, str]
    rights: list[str]


Source = Annotated[dict[str, Any], Shown(source.Source, _OfSource)]
Service = Annotated[dict[str, Any], Shown(service.Service, _OfService)]
ServiceLine = Annotated[dict[str, Any], Shown(service.Service, _OfService), _ServiceUnreadable]
Attempt = Annotated[dict[str, Any], _Attempt]
Unattended = Annotated[dict[str, Any], _Unattended]
Job = Annotated[dict[str, Any], Shown(job.Job, _OfJob)]
JobLine = Annotated[dict[str, Any], Shown(job.Job, _OfJob), Unreadable]
LogLine = Annotated[dict[str, Any], _LogLine]
Command = Annotated[dict[str, Any], _Command]
