"""Operations on email itself: send through the outbox, and open a mailbox to read."""

from __future__ import annotations

import asyncio

from postroom.clock import monotonic, timestamp
from postroom.connections.mailbox import Mailbox
from postroom.connections.spool import Spools
from postroom.errors import Refused
from postroom.mail import AddressInput, Draft, Message, answers
from postroom.operations.desk import Desk
from postroom.operations.outgoing import route_of, write_out
from postroom.services import outbox
from postroom.services.dispatcher import Dispatcher, Drained
from postroom.services.outbox import Item

__all__ = ["Email"]

POLL_SECONDS = 0.2
"""How often a waiting caller looks whether another process has sent its message."""


class Email:
    """Sending and reading."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # ------------------------------------------------------------------ send

    async def send(
        self, via: str, draft: Draft, *, wait: float = 60.0, idempotency_key: str | None = None
    ) -> Item:
        """Store a message and send it; gives the item as it is after at most ``wait`` seconds.

        The caller's own process sends it through the same queue and throttle as everybody's.
        An item that is not finished by then stays in the outbox and is sent by a worker.
        """
        item = await self.store(via, draft, idempotency_key=idempotency_key)
        deadline = monotonic() + wait
        while True:
            found = await self._desk.db.read(lambda tx: outbox.show(tx, item))
            if found.finished or found.state in ("held", "deferred") or monotonic() >= deadline:
                return found
            if found.due_at <= timestamp():
                await self.dispatch([found.service], item=item, within=deadline - monotonic())
            await asyncio.sleep(min(POLL_SECONDS, max(0.0, deadline - monotonic())))

    async def store(self, via: str, draft: Draft, *, idempotency_key: str | None = None) -> str:
        """Store a message durably in the outbox and return at once; gives the item's id."""
        route = await self._desk.db.read(lambda tx: route_of(self._desk, tx, via))
        # off the event loop and before the transaction: encoding large attachments takes its time
        parcel, digest = await asyncio.to_thread(write_out, route, draft)
        return await self._desk.write(
            lambda tx: outbox.add(
                tx,
                route.service,
                parcel,
                name=route.row_name,
                actor=self._desk.actor,
                idempotency_key=idempotency_key,
                digest=digest,
            )
        )

    # ------------------------------------------------------------------ answer

    async def reply(
        self,
        via: str,
        message: Message,
        *,
        text: str,
        from_: str | None = None,
        to_all: bool = False,
        quote: bool = True,
    ) -> Draft:
        """The draft that answers a message through ``via``.  Raises as :func:`answers.reply`."""
        sender = from_ or await self._sender(via)
        return answers.reply(message, from_=sender, text=text, to_all=to_all, quote=quote)

    async def forward(
        self,
        via: str,
        message: Message,
        *,
        to: AddressInput,
        text: str = "",
        from_: str | None = None,
        as_attachment: bool = False,
    ) -> Draft:
        """The draft that passes a message on through ``via``."""
        sender = from_ or await self._sender(via)
        return answers.forward(message, from_=sender, to=to, text=text, as_attachment=as_attachment)

    async def _sender(self, via: str) -> str | None:
        """Whom a message through ``via`` is from when nobody says."""
        route = await self._desk.db.read(lambda tx: route_of(self._desk, tx, via))
        return route.default_from or route.own or None

    # ------------------------------------------------------------------ dispatch

    async def dispatch(
        self,
        names: list[str] | None = None,
        *,
        item: str = "",
        within: float | None = None,
        roles: tuple[str, ...] = (),
    ) -> Drained:
        """Send what is due now, in this process, for at most ``within`` seconds.

        What was being sent when the time ran out is finished first: a message in DATA is not cut.
        """
        dispatcher = await self.dispatcher()
        draining = asyncio.create_task(dispatcher.drain(names, item=item, roles=roles))
        try:
            done, _ = await asyncio.wait([draining], timeout=within)
        except asyncio.CancelledError:
            draining.cancel()  # it finishes the message on the wire and puts the rest back
            await asyncio.wait([draining])
            raise
        if not done and within is not None:
            self._desk.background.add(draining)
            draining.add_done_callback(self._desk.background.discard)
            return Drained()
        return await draining

    async def dispatcher(self) -> Dispatcher:
        """What sends for this process.

        Raises why the room is locked, if it is: nothing is sent that cannot be written down.
        """
        if self._desk.locked is not None:
            raise self._desk.locked
        seat = await self._desk.seat()
        return Dispatcher(
            self._desk.db,
            owner=seat.owner,
            open_transport=self._desk.opener.open_transport,
            roles_of=self._desk.roles_of,
            on_lost=lambda name, error: self._desk.opener.failed(name, "outgoing", error),
        )

    def seconds_until(self, due: float | None) -> float:
        """How long until an instant; an hour when there is none."""
        return 3600.0 if due is None else max(0.0, due - timestamp())

    async def purge(self) -> None:
        """Remove what the outbox need not keep any longer."""
        await self._desk.write(lambda tx: outbox.purge(tx, now=timestamp()))

    # ------------------------------------------------------------------ read

    async def mailbox(self, connection: str) -> Mailbox:
        """Open the incoming side of a connection: ``async with await email.mailbox("acme") as box``."""
        effective = await self._desk.db.read(
            lambda tx: self._desk.resolver(tx).effective(connection)
        )
        if effective.incoming is None:
            raise Refused(f"Connection {connection} has no incoming side.")
        store = await self._desk.opener.open_store(effective.name)
        return Mailbox(
            store, Spools(self._desk.data_dir / "spool"), read_only=effective.incoming.read_only
        )
