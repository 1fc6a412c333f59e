"""Opening the incoming side of a connection as a mailbox."""

from __future__ import annotations

from postroom.connections.mailbox import Mailbox
from postroom.connections.spool import Spools
from postroom.operations.desk import Desk

__all__ = ["open_mailbox"]


async def open_mailbox(desk: Desk, connection: str) -> Mailbox:
    """The mailbox of a connection.  Raises Refused when it has no incoming side, WireError."""
    return Mailbox(await desk.opener.open_store(connection), Spools(desk.data_dir / "spool"))
