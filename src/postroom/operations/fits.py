"""Whether a source or a service can work over the connection it names, asked when either is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from postroom.connections import store as connections
from postroom.connections.direct import DIRECT, DIRECT_TYPES
from postroom.connections.effective import Effective
from postroom.db import Tx
from postroom.errors import InvalidValue, Refused, UnknownField
from postroom.operations.desk import Desk
from postroom.operations.sentfolder import check_copy
from postroom.services import service as services

if TYPE_CHECKING:
    from postroom.jobs.job import Job
    from postroom.sources.source import Source

__all__ = ["check_handed", "check_incoming", "check_outgoing", "check_sink", "check_users"]

_OUTCOMES: Final[tuple[Literal["done", "error", "ignored"], ...]] = ("done", "error", "ignored")


def check_users(desk: Desk, tx: Tx, connection: str) -> None:
    """Refuse a change of a connection that leaves a source or a service without what it needs.

    Those of connections that extend it are asked too.  Raises Refused, which names the first.
    """
    from postroom.sources import store as sources  # who only sends needs none of it

    family = {name.casefold() for name in desk.resolver(tx).family(connection)}
    for source in sources.load_all(tx):
        if source.connection.casefold() in family:
            check_incoming(desk, tx, source)
    for service in services.load_all(tx):
        if service.connection.casefold() in family:
            check_outgoing(desk, tx, service.connection, f"service {service.name}")
            check_copy(desk, tx, service)


def check_incoming(desk: Desk, tx: Tx, source: Source) -> None:
    """Refuse a source whose connection cannot be read, or may not do what ``after`` says."""
    side = _effective(desk, tx, source.connection).incoming
    if side is None:
        raise Refused(
            f"Connection {source.connection} has no incoming side, which source {source.name} "
            "needs.",
            hint="Give it one: postroom connection set "
            f"{source.connection} --set incoming.protocol=imap ...",
        )
    actions = {outcome: source.action(outcome) for outcome in _OUTCOMES}
    if side.read_only and any(action != "keep" for action in actions.values()):
        raise Refused(
            f"Connection {source.connection} is read-only, so source {source.name} "
            "can change nothing on it.",
            code="read_only",
            hint="Use after: keep for done, error and ignored, or another connection.",
        )
    unable = next((one for one in actions.items() if one[1] not in ("keep", "delete")), None)
    if side.protocol == "pop3" and unable is not None:
        raise Refused(
            f"Source {source.name}: after.{unable[0]} is {unable[1]}, which POP3 cannot do: it has "
            "no folders and no flags.",
            code="not_supported",
            hint="Use keep or delete, or an IMAP connection.",
        )


def check_sink(tx: Tx, source: Source) -> None:
    """Refuse a source whose sink refers to what is not there, or does not take what is said to it."""
    try:
        source.sink.check(tx)
    except InvalidValue as error:
        told = error.sentence.partition(": ")[2]
        raise InvalidValue(f"source {source.name}: {error.field}", told) from None


def check_handed(tx: Tx, job: Job) -> None:
    """Refuse a change of a job after which a source cannot hand its messages to it any more."""
    from postroom.jobs.arguments import arguments  # as sources above
    from postroom.sources import store as sources

    for source in sources.load_all(tx):
        sink = source.sink
        if sink.type == "job" and sink.job.casefold() == job.name.casefold():
            try:
                arguments(job, sink.parameters)
            except (InvalidValue, UnknownField) as error:
                raise Refused(
                    f"Source {source.name} hands its messages to job {job.name}, and could not any more. "
                    f"{error}",
                    code="in_use",
                    hint="Change the source first, or give the parameter a default.",
                ) from None


def check_outgoing(desk: Desk, tx: Tx, connection: str, user: str) -> None:
    """Refuse a connection that cannot send for ``user``: not there, or without an outgoing side."""
    if connection.startswith(DIRECT):
        record = desk.credentials.get(tx, connection.removeprefix(DIRECT))
        if record.type not in DIRECT_TYPES:
            raise Refused(
                f"Credential {record.name} is not of type {' or '.join(DIRECT_TYPES)}, so nothing "
                "can be sent with it."
            )
        return
    if _effective(desk, tx, connection).outgoing is None:
        raise Refused(
            f"Connection {connection} has no outgoing side, which {user} needs.",
            hint="Give it one: postroom connection set "
            f"{connection} --set outgoing.protocol=smtp --set outgoing.host=...",
        )


def _effective(desk: Desk, tx: Tx, connection: str) -> Effective:
    """Also of a credential that is used directly."""
    direct = connection.startswith(DIRECT)
    return desk.resolver(tx).effective(
        connection if direct else connections.get(tx, connection).name
    )
