"""What a name means where mail is read, and what to say where it is the name of another thing."""

from __future__ import annotations

from postroom.connections import store as connections
from postroom.connections.direct import DIRECT, DIRECT_TYPES
from postroom.credentials.record import Credential
from postroom.db import Tx
from postroom.errors import InvalidValue, NotThere, Refused
from postroom.operations.desk import Desk
from postroom.services import service as services

__all__ = ["check_tested", "reads_from"]


def reads_from(desk: Desk, tx: Tx, via: str) -> str:
    """What ``via`` names to read mail from, with its noun: ``connection:acme``, ``credential:app``.

    Raises NotThere, Refused (``not_supported``) for a service and for a credential that cannot be read,
    InvalidValue where it is the name of both.
    """
    noun, _, name = via.rpartition(":")
    if noun == "service" or (not noun and not connections.exists(tx, name)):
        service = services.find(tx, name)
        if service is not None:
            raise Refused(
                f"{service.name} is a service: it sends, and reading is for its connection.",
                code="not_supported",
                hint=f"Use its connection: --via {service.connection}",
            )
    there = noun in ("", "credential") and desk.credentials.exists(tx, name)
    record = desk.credentials.get(tx, name) if there else None
    reads = record is not None and record.type == "msgraph"
    if record is not None and not reads and (noun or not connections.exists(tx, name)):
        raise _not_read(tx, record)
    direct = not noun and reads
    if direct and connections.exists(tx, name):
        raise InvalidValue(
            "via", f"{name} is the name of several things; say connection:{name} or {DIRECT}{name}"
        )
    if noun == "credential" or direct:
        return DIRECT + desk.credentials.get(tx, name).name
    if noun not in ("", "connection"):
        raise NotThere(
            f"There is no {noun} to read from.", hint="Say connection:NAME or credential:NAME."
        )
    return f"connection:{connections.get(tx, name).name}"


def check_tested(desk: Desk, tx: Tx, name: str) -> None:
    """Raise Refused for the name of a credential or a service that is none of a connection."""
    if ":" in name or "/" in name or connections.exists(tx, name):
        return
    if (service := services.find(tx, name)) is not None:
        raise Refused(
            f"{service.name} is a service, not a connection.",
            code="not_supported",
            hint=f"Test the connection it sends over: postroom connection test {service.connection}",
        )
    if not desk.credentials.exists(tx, name):
        return
    record = desk.credentials.get(tx, name)
    used = [f"postroom connection test {one}" for one in _used_by(tx, record)]
    if record.type in DIRECT_TYPES:
        hint = f"Test it: postroom connection test {DIRECT}{record.name}"
    elif used:
        hint = f"Test what uses it: {' or '.join(used)}"
    else:
        hint = "No connection uses it yet; name it in one, and test that."
    raise Refused(
        f"{record.name} is a credential of type {record.type}, not a connection.",
        code="not_supported",
        hint=hint,
    )


def _not_read(tx: Tx, record: Credential) -> Refused:
    """What to say of a credential that no mail is read with."""
    used = _used_by(tx, record)
    does = "it sends, and no mail is read with it" if record.type in DIRECT_TYPES else "no mailbox"
    return Refused(
        f"{record.name} is a credential of type {record.type}: {does}.",
        code="not_supported",
        hint=f"Use a connection that signs in with it: --via {' or --via '.join(used)}"
        if used
        else "Mail is read over a connection with an incoming side; make one: postroom connection add NAME "
        "--set incoming.protocol=imap ...",
    )


def _used_by(tx: Tx, record: Credential) -> list[str]:
    """The connections that sign in with it."""
    from postroom.operations import usage  # only who is mistaken needs it

    uses = usage.of_credential(tx, record.name).uses
    return sorted({use.name for use in uses if use.noun == "connection"})
