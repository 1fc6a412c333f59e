"""The Sent folder of a connection: what a server has put there, and the copies that we put there."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from postroom.connections.mailbox import Mailbox
from postroom.connections.providers import provider_of
from postroom.connections.turns import patiently
from postroom.db import Tx
from postroom.errors import FolderError, Refused, WrongUse
from postroom.mail import Message
from postroom.operations.desk import Desk
from postroom.operations.mailboxes import open_mailbox
from postroom.services.copies import wants_copy
from postroom.services.doubts import Evidence
from postroom.services.service import Service

__all__ = ["check_copy", "copy_wanted", "is_there", "look", "opened"]

SENT = "\\Sent"
"""The special use (RFC 6154); IMAP finds the folder, also by its customary names."""

DRAFTS = "\\Drafts"


async def look(desk: Desk, connection: str, message_ids: Sequence[str]) -> Mapping[str, Evidence]:
    """What the Sent folder says of these Message-IDs; nothing where there is no such folder.

    On Graph what is sent was a draft before: one that still is was not sent, and one that is neither
    there nor in Sent Items may be on its way.  Raises WireError and others when nobody could look.
    """
    protocol = await desk.db.read(lambda tx: _reads(desk, tx, connection))
    if protocol not in ("imap", "graph"):
        return {}
    found: dict[str, Evidence] = {}
    async with await open_mailbox(desk, connection, patient=patiently) as mailbox:
        for one in message_ids:
            if await _lies_in(mailbox, one, SENT):
                found[one] = "found"
            elif protocol == "graph" and not await _lies_in(mailbox, one, DRAFTS):
                found[one] = "unknown"
    return found


async def _lies_in(mailbox: Mailbox, message_id: str, folder: str) -> bool:
    try:
        return await is_there(mailbox, message_id, folder)
    except FolderError as error:
        if error.code != "folder_missing":
            raise
        return False


async def is_there(mailbox: Mailbox, message_id: str, folder: str = SENT) -> bool:
    """Whether a message of exactly that Message-ID lies in the folder.  Raises FolderError."""
    found = await mailbox.search(f"message-id:{shlex.quote(message_id)}", folder)
    # a server compares a part of the field, RFC 9051, 6.4.4
    return any(Message(each.headers).message_id == message_id for each in found)


@contextlib.asynccontextmanager
async def opened(
    desk: Desk, connection: str
) -> AsyncIterator[Callable[[str, bytes], Awaitable[None]]]:
    """The Sent folder, to put copies into: each once, marked as seen.  Raises PostroomError."""
    async with await open_mailbox(desk, connection, patient=patiently) as mailbox:

        async def put(message_id: str, content: bytes) -> None:
            if not await is_there(mailbox, message_id):
                await mailbox.append(content, SENT, flags=["seen"])

        yield put


def copy_wanted(desk: Desk, tx: Tx, service: Service) -> bool:
    """Whether copies of what this service sends are put into a Sent folder."""
    if service.sent_copy in ("none", "server") or service.connection.startswith("credential:"):
        return False
    try:
        effective = desk.resolver(tx).effective(service.connection)
    except WrongUse:  # a broken connection: nothing is sent over it either
        return False
    incoming, outgoing = effective.incoming, effective.outgoing
    provider = provider_of(outgoing.host) if outgoing else None
    return wants_copy(
        service.sent_copy,
        imap=incoming is not None and incoming.protocol == "imap",
        read_only=incoming is not None and incoming.read_only,
        kept=provider is not None and provider.keeps_copy,
    )


def check_copy(desk: Desk, tx: Tx, service: Service) -> None:
    """Refuse ``sent_copy: append`` where there is no folder to append to."""
    if service.sent_copy == "append" and _reads(desk, tx, service.connection) != "imap":
        raise Refused(
            f"{service.connection} has no IMAP side, so there is no Sent folder for copies.",
            code="not_supported",
            hint="Use sent_copy auto or none, or give the connection an incoming side.",
        )


def _reads(desk: Desk, tx: Tx, connection: str) -> str:
    """The protocol by which its mail is read; nothing where it is not."""
    side = desk.resolver(tx).effective(connection).incoming
    return side.protocol if side is not None else ""
