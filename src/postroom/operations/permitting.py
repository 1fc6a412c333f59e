"""What somebody has to be permitted to save a definition: it does later what they might do themselves.

That holds for whatever it says by a variable too: who changes that changes the definition.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from postroom.access import VERBS, Person
from postroom.db import Tx
from postroom.errors import Refused
from postroom.jobs import store as jobs
from postroom.jobs.job import Job
from postroom.operations import usage
from postroom.operations.gate import check_files, check_may
from postroom.operations.jobnames import rights_of, touches_files
from postroom.operations.sight import check_may_change
from postroom.services import service as services
from postroom.sources import store as sources
from postroom.sources.source import Source

if TYPE_CHECKING:
    from postroom.notices.notification import Notify

__all__ = ["check_fed", "check_job", "check_notification", "check_runs_code", "check_source"]


def check_source(person: Person, source: Source, *, same_files: bool = False) -> None:
    """Raise Refused (``not_permitted``) unless they may hand messages on, begin the job of its sink, and
    write where it writes; ``same_files``: it writes there already, which somebody was permitted."""
    check_may(person, "read")
    if source.sink.type == "job":
        check_may(person, "use")
    if source.sink.place and not same_files:
        check_files(person, f"Source {source.name}")


def check_job(person: Person, job: Job) -> None:
    """Raise Refused (``not_permitted``) unless they may run its code, and do each of its steps."""
    check_runs_code(person, job)
    for right in sorted(rights_of(job.steps)):
        check_may(person, right)
    if touches_files(job.steps):
        check_files(person, f"Job {job.name}")


def check_runs_code(person: Person, job: Job) -> None:
    """Raise Refused unless it is somebody with the room's key, or an administrator: code runs with it."""
    if (job.python is not None or job.command is not None) and not person.unrestricted:
        raise Refused(
            f"Job {job.name} runs code, as the user of the worker: {person.actor} may not save it.",
            code="not_permitted",
            hint="An administrator may, or whoever works where the room is.",
        )


def check_notification(person: Person, one: Notify) -> None:
    """Raise Refused (``not_permitted``) unless they may run its program, or send what it sends."""
    if one.command and not person.unrestricted:
        raise Refused(
            f"Notification {one.name} runs a program, as the user of the worker: "
            f"{person.actor} may not save it.",
            code="not_permitted",
            hint="An administrator may, or whoever works where the room is.",
        )
    if one.service:
        check_may(person, "send")


def check_fed(person: Person, tx: Tx, variable: str) -> None:
    """Raise Refused (``not_permitted``) unless they may save whatever a variable stands in that is about
    to change; what works over a connection with it is that connection's.

    Asked before the change: what a job or a source is then told is no answer to what there is.
    """
    if person.verbs.issuperset(VERBS):
        return
    if usage.OUT_OF_SIGHT in usage.standing(tx, usage.of_variable, variable):
        raise Refused(
            f"Something that is not there for you uses variable {variable}; nothing was saved.",
            code="not_permitted",
            hint="Ask an administrator to make this change.",
        )
    places: dict[tuple[str, str], set[str]] = {}
    for use in usage.of_variable(tx, variable).uses:
        if not use.via:
            places.setdefault((use.noun, use.name), set()).add(use.place)
    for (noun, name), found in places.items():
        with _fed(variable, noun, name):
            if noun == "source":
                check_source(person, sources.get(tx, name), same_files="sink.path" not in found)
            elif noun == "service":
                check_may_change(tx, noun, services.row_of(tx, name))
            elif noun == "job":
                check_may_change(tx, noun, jobs.row_of(tx, name))
                check_job(person, jobs.get(tx, name))


@contextlib.contextmanager
def _fed(variable: str, noun: str, name: str) -> Iterator[None]:
    """What is refused for the sake of a definition names it."""
    try:
        yield
    except Refused as error:
        error.sentence = f"Variable {variable} stands in {noun} {name}. {error.sentence}"
        raise
