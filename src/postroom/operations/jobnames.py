"""What the steps of jobs name: connections, services, credentials; that they are there, and who uses what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from postroom.connections import store as connections
from postroom.connections.boxed import parted
from postroom.db import Tx
from postroom.errors import InvalidValue, NotThere, PostroomError
from postroom.fields import nearest
from postroom.jobs import store
from postroom.jobs.checks import names_used
from postroom.jobs.commands import RunJob, command_named
from postroom.jobs.commands.base import any_files
from postroom.jobs.job import Job
from postroom.jobs.step import OnError, Step
from postroom.operations.desk import Desk
from postroom.services import service as services

__all__ = [
    "Naming",
    "all_namings",
    "check_names",
    "check_no_circle",
    "jobs_begun",
    "namings",
    "rights_of",
    "touches_files",
]  # fmt: skip

_NOUNS: Final = ("connection", "service", "credential")


class Naming(NamedTuple):
    """A job that names something, and where: ``steps.0.send-email.via``."""

    job: str
    place: str


def check_names(desk: Desk, tx: Tx, job: Job) -> None:
    """Raise NotThere for a name in the steps of a job that nothing has; with the nearest."""
    for used in names_used(job.steps, expand=desk.expander(tx)):
        name, _ = parted(used.name)
        noun, _, bare = name.rpartition(":")
        if not any(_exists(desk, tx, each, bare) for each in ([noun] if noun else _NOUNS)):
            close = nearest(bare, _all_names(desk, tx))
            raise NotThere(
                f"job {job.name}: {used.place}: there is no {noun or 'connection, service or credential'} "
                f"called {bare!r}.",
                hint=f"Did you mean {close}?" if close else "",
            )


def check_no_circle(tx: Tx, job: Job) -> None:
    """Raise NotThere for a job that steps begin, InvalidValue where that begins this one in turn.

    Only names that stand there are seen; what a run decides ends after so many runs above each other.
    """
    for name in jobs_begun(job.steps):
        if name.casefold() != job.name.casefold():
            store.spelled(tx, name)
    begins = {one.name.casefold(): jobs_begun(one.steps) for one in store.load_all(tx)}
    begins[job.name.casefold()] = jobs_begun(job.steps)
    way = [job.name]

    def walk(name: str) -> bool:
        for following in begins.get(name.casefold(), ()):
            if following.casefold() == job.name.casefold():
                return True
            if following.casefold() not in [one.casefold() for one in way]:
                way.append(following)
                if walk(following):
                    return True
                way.pop()
        return False

    if walk(job.name):
        told = " begins ".join([*way, job.name])
        raise InvalidValue(f"job {job.name}: steps", f"go round in a circle: {told}")


def jobs_begun(steps: Sequence[Step]) -> list[str]:
    """The jobs that steps begin, where their names stand there."""
    found: list[str] = []
    for step in steps:
        if step.command and command_named(step.command) is RunJob:
            name = step.parameters.get("job")
            found += [name] if isinstance(name, str) and "${" not in name else []
        within = step.on_error.steps if isinstance(step.on_error, OnError) else []
        found += jobs_begun([*step.steps, *within])
    return found


def touches_files(steps: Sequence[Step]) -> bool:
    """Whether a step reads or writes files of the machine that a run is done on."""
    for step in steps:
        within = step.on_error.steps if isinstance(step.on_error, OnError) else []
        if touches_files([*step.steps, *within]):
            return True
        if step.command and any_files(command_named(step.command), step.parameters):
            return True
    return False


def rights_of(steps: Sequence[Step]) -> frozenset[str]:
    """What somebody has to be permitted to do these steps themselves."""
    found: set[str] = set()
    for step in steps:
        within = step.on_error.steps if isinstance(step.on_error, OnError) else []
        found |= rights_of([*step.steps, *within])
        if step.command:
            found |= set(command_named(step.command).rights)
    return frozenset(found)


def namings(tx: Tx, noun: str, name: str) -> Iterator[Naming]:
    """The jobs whose steps name a record of that noun; a name without a noun may mean any of them."""
    key = name.casefold()
    return (naming for bare, naming in all_namings(tx, noun) if bare == key)


def all_namings(tx: Tx, noun: str) -> Iterator[tuple[str, Naming]]:
    """The same of every record of that noun, by its casefolded name."""
    for job in store.load_all(tx):
        try:
            found = names_used(job.steps)
        except PostroomError:  # saved before a rule changed: it does nothing
            continue
        for used in found:
            said, _, bare = parted(used.name)[0].rpartition(":")
            if said in ("", noun):
                yield bare.casefold(), Naming(job.name, used.place)


def _exists(desk: Desk, tx: Tx, noun: str, name: str) -> bool:
    if noun == "service":
        return services.find(tx, name) is not None
    if noun == "connection":
        return connections.exists(tx, name)
    return noun == "credential" and desk.credentials.exists(tx, name)


def _all_names(desk: Desk, tx: Tx) -> list[str]:
    found = [one.name for one in services.load_all(tx)]
    found += [one.name for one in connections.load_all(tx)]
    return found + [one.name for one in desk.credentials.all(tx, hints=False)]
