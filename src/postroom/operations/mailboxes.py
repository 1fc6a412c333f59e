"""Opening the incoming side of a connection, as a mailbox too; whoever asks may be under the veil (T59)."""

from __future__ import annotations

from postroom.connections.boxed import in_mailbox
from postroom.connections.mailbox import Mailbox
from postroom.connections.open import Signing
from postroom.connections.spool import Spools
from postroom.connections.turns import Waiting
from postroom.connections.veil import Veil
from postroom.db import Tx
from postroom.net.names import host_and_port
from postroom.operations.desk import Desk
from postroom.protocols.base import MessageStore

__all__ = ["open_mailbox", "open_store"]


async def open_mailbox(
    desk: Desk, connection: str, mailbox: str = "", *, patient: Waiting | None = None,
    veiled: bool = False,
) -> Mailbox:  # fmt: skip
    """The mailbox of a connection, or another that its sign-in may open (Microsoft 365).

    ``patient``: nobody sits and waits for it; ``veiled``: as for whoever is no administrator.

    Raises Refused when it has no incoming side or one
    mailbox alone, InvalidValue for one that its credential is not for, WireError.
    """
    name = in_mailbox(connection, mailbox)
    opened = await open_store(desk, name, patient=patient, veiled=veiled)
    return Mailbox(opened, Spools(desk.data_dir / "spool"))


async def open_store(
    desk: Desk, name: str, *, patient: Waiting | None = None, signing: Signing | None = None,
    veiled: bool = False,
) -> MessageStore:  # fmt: skip
    """The incoming side; why no mail server answers there is told to administrators alone.

    Takes and raises as ``Opener.open_store``, and raises NoServer.
    """
    if desk.person.unrestricted and not veiled:
        store: MessageStore = await desk.opener.open_store(name, patient=patient, signing=signing)
        return store
    veil, opened = Veil(), list[MessageStore]()

    def where(tx: Tx) -> str:
        side = desk.resolver(tx).effective(name).incoming
        return name if side is None else host_and_port(side.host, side.port)

    async def walked() -> None:
        opened.append(
            await desk.opener.open_store(
                name, patient=patient, on_step=lambda step: veil.heard(step.name, lambda: None)
            )
        )

    there = await desk.db.read(where)
    await veil.over(walked(), lambda: there)
    return opened[0]
