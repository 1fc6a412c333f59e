"""Opening the incoming side of a connection as a mailbox."""

from __future__ import annotations

from postroom.connections.boxed import in_mailbox
from postroom.connections.mailbox import Mailbox
from postroom.connections.spool import Spools
from postroom.connections.turns import Waiting
from postroom.operations.desk import Desk

__all__ = ["open_mailbox"]


async def open_mailbox(
    desk: Desk, connection: str, mailbox: str = "", *, patient: Waiting | None = None
) -> Mailbox:
    """The mailbox of a connection, or another that its sign-in may open (Microsoft 365).

    ``patient``: nobody sits and waits for it.  Raises Refused when it has no incoming side or one
    mailbox alone, InvalidValue for one that its credential is not for, WireError.
    """
    name = in_mailbox(connection, mailbox)
    opened = await desk.opener.open_store(name, patient=patient)
    return Mailbox(opened, Spools(desk.data_dir / "spool"))
