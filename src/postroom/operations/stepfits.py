"""Whether the steps of a job can work over what they name, asked when the job is saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from postroom.connections.criteria import parse_criteria
from postroom.connections.direct import DIRECT
from postroom.db import Tx
from postroom.errors import PostroomError, Refused
from postroom.jobs.commands import (
    CopyEmail,
    DeleteEmail,
    FlagEmail,
    ForwardEmail,
    ListEmail,
    MoveEmail,
    ReplyEmail,
    SendEmail,
)
from postroom.jobs.commands.reading import InMailbox
from postroom.jobs.job import Job
from postroom.jobs.prepared import Prepared, prepare
from postroom.jobs.values import Scope
from postroom.operations.desk import Desk
from postroom.operations.outgoing import route_of
from postroom.operations.reads import reads_from

__all__ = ["check_fits"]

_CHANGES: Final = (CopyEmail, DeleteEmail, FlagEmail, MoveEmail)
_ANSWERS: Final = (ForwardEmail, ReplyEmail)


def check_fits(desk: Desk, tx: Tx, job: Job) -> None:
    """Refuse a step that no run could do over the connection, service or credential that it names.

    Only names and values that stand there are looked at: what a macro gives is seen by the run.  What is
    changed afterwards in a connection is told by the run too.  Raises InvalidValue, Refused
    (``not_supported``, ``read_only``), with the place.
    """
    for step in _all(prepare(job.steps)):
        if step.command is None:
            continue
        try:
            _check(desk, tx, step, _standing(step))
        except PostroomError as error:
            if error.code == "incomplete":  # it may be saved before, and the run tells
                continue
            error.sentence = f"job {job.name}: {step.where}: {error.sentence}"
            raise


def _all(steps: Sequence[Prepared]) -> Iterator[Prepared]:
    for step in steps:
        yield step
        yield from _all((*step.steps, *step.instead))


def _standing(step: Prepared) -> dict[str, Any]:
    """The parameters that have no macro in them."""
    values = step.parameters.items()
    return {name: value.fill(Scope()) for name, value in values if value.fixed}


def _check(desk: Desk, tx: Tx, step: Prepared, said: dict[str, Any]) -> None:
    command, via = step.acts, said.get("via")
    if issubclass(command, InMailbox) and via:
        name = reads_from(desk, tx, via)
        if not name.startswith(DIRECT):
            _check_side(desk, tx, name, command, said)
    if issubclass(command, _ANSWERS) and "send_via" in step.parameters:
        via = said.get("send_via") or via
    if issubclass(command, (SendEmail, *_ANSWERS)) and via:
        route = route_of(desk, tx, via)
        if not {"from", "mailbox"} & step.parameters.keys():
            route.sender(route.default_from)


def _check_side(desk: Desk, tx: Tx, name: str, command: type[Any], said: dict[str, Any]) -> None:
    effective = desk.resolver(tx).effective(name)
    side = effective.incoming
    if side is None:
        raise Refused(
            f"Connection {effective.name} has no incoming side, so no mail is read over it.",
            code="not_supported",
            hint=f"Give it one: postroom connection set {effective.name} --set incoming.protocol=imap ...",
        )
    if side.read_only and issubclass(command, _CHANGES):
        raise Refused(
            f"Connection {effective.name} is read-only, so nothing on the server is changed.",
            code="read_only",
            hint="Use another connection, or set incoming.read_only to false.",
        )
    if side.protocol == "pop3" and (what := _beyond_pop3(command, said)):
        raise Refused(
            f"Connection {effective.name} is POP3, and POP3 has {what}.",
            code="not_supported",
            hint="Use an IMAP connection for it.",
        )


def _beyond_pop3(command: type[Any], said: dict[str, Any]) -> str:
    """What is asked of POP3 that it has not (RFC 1939); empty: nothing."""
    if issubclass(command, MoveEmail | CopyEmail):
        return "no folders to move or copy to"
    if str(said.get("folder", "INBOX")).upper() != "INBOX":
        return "one folder, INBOX"
    searched = said.get("search") if issubclass(command, ListEmail) else None
    if issubclass(command, FlagEmail) or (searched and parse_criteria(searched).wants_flags):
        return "no flags"
    return ""
