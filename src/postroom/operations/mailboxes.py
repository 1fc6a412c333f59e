"""Opening the incoming side of a connection as a mailbox."""

from __future__ import annotations

from postroom.connections.mailbox import Mailbox
from postroom.connections.spool import Spools
from postroom.connections.turns import Waiting
from postroom.operations.desk import Desk

__all__ = ["open_mailbox"]


async def open_mailbox(desk: Desk, connection: str, *, patient: Waiting | None = None) -> Mailbox:
    """The mailbox of a connection; ``patient``: nobody sits and waits for it.

    Raises Refused when it has no incoming side, WireError.
    """
    opened = await desk.opener.open_store(connection, patient=patient)
    return Mailbox(opened, Spools(desk.data_dir / "spool"))
