"""Opening the incoming side of a connection as a mailbox."""

from __future__ import annotations

from postroom.connections.mailbox import Mailbox
from postroom.connections.spool import Spools
from postroom.errors import Refused
from postroom.operations.desk import Desk

__all__ = ["open_mailbox"]


async def open_mailbox(desk: Desk, connection: str) -> Mailbox:
    """The mailbox of a connection.  Raises Refused when it has no incoming side, WireError."""
    effective = await desk.db.read(lambda tx: desk.resolver(tx).effective(connection))
    if effective.incoming is None:
        raise Refused(f"Connection {connection} has no incoming side.")
    store = await desk.opener.open_store(effective.name)
    return Mailbox(store, Spools(desk.data_dir / "spool"))
