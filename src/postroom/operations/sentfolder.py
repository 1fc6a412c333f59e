"""The Sent folder of a connection: what a server has put there, which proves that it took it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from postroom.connections.mailbox import Mailbox
from postroom.db import Tx
from postroom.errors import FolderError
from postroom.mail import Message
from postroom.operations.desk import Desk
from postroom.operations.mailboxes import open_mailbox

__all__ = ["is_there", "look"]

SENT = "\\Sent"
"""The special use (RFC 6154); IMAP finds the folder, also by its customary names."""


async def look(desk: Desk, connection: str, message_ids: Sequence[str]) -> set[str]:
    """Which of these Message-IDs lie in the Sent folder; none where there is no such folder.

    Raises WireError and others when the folder could not be looked into.
    """
    if not await desk.db.read(lambda tx: _has_imap(desk, tx, connection)):
        return set()
    async with await open_mailbox(desk, connection) as mailbox:
        try:
            return {one for one in message_ids if await is_there(mailbox, one)}
        except FolderError as error:
            if error.code != "folder_missing":
                raise
            return set()


async def is_there(mailbox: Mailbox, message_id: str) -> bool:
    """Whether a message of exactly that Message-ID lies in the Sent folder.  Raises FolderError."""
    found = await mailbox.search(f"message-id:{shlex.quote(message_id)}", SENT)
    # a server compares a part of the field, RFC 9051, 6.4.4
    return any(Message(each.headers).message_id == message_id for each in found)


def _has_imap(desk: Desk, tx: Tx, connection: str) -> bool:
    if connection.startswith("credential:"):
        return False
    side = desk.resolver(tx).effective(connection).incoming
    return side is not None and side.protocol == "imap"
