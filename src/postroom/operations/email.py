"""Operations on the outbox as those who send see it: store, send, follow, dispatch.

What dispatches is loaded by the functions that do so: a program that only leaves
a message in the outbox should not wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING

from postroom.clock import monotonic, timestamp
from postroom.connections.boxed import in_mailbox
from postroom.db import Tx
from postroom.errors import PostroomError
from postroom.mail import Draft
from postroom.operations.desk import Desk
from postroom.operations.outgoing import is_small, route_of, write_out
from postroom.operations.untold import item_told
from postroom.services import answered, outbox
from postroom.services import service as services
from postroom.services.outbox import Item

if TYPE_CHECKING:
    from postroom.services.dispatcher import Dispatcher, Drained

__all__ = ["Email"]

POLL_SECONDS = 0.2
"""How often a waiting caller looks whether another process has sent its message."""


COPY_SECONDS = 15.0
"""For so long a process that has sent something tries to put the copy into the Sent folder."""


class Email:
    """Sending."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # ------------------------------------------------------------------ send

    async def send(
        self, via: str, draft: Draft, *, wait: float = 60.0, idempotency_key: str | None = None,
        mailbox: str = "",
    ) -> Item:  # fmt: skip
        """Store a message and send it; gives the item as it is after at most ``wait`` seconds.

        The caller's own process sends it through the same queue and throttle as everybody's.
        An item that is not finished by then stays in the outbox and is sent by a worker.
        """
        return await self.follow(
            await self.store(via, draft, idempotency_key=idempotency_key, mailbox=mailbox),
            wait=wait,
        )

    async def follow(self, item: str, *, wait: float = 60.0) -> Item:
        """Send a stored message now; gives the item as it is after at most ``wait`` seconds.

        What is on the wire by then is finished in the background.
        """
        deadline = monotonic() + wait
        while True:
            found, held = await self._desk.db.read(lambda tx: _seen(tx, item))
            parked = found.state == "queued" and found.reason and found.due_at > timestamp()
            waits = held or parked or found.state in ("held", "deferred", "ambiguous")
            if found.finished or waits or monotonic() >= deadline:
                if found.sent_copy is not None and found.sent_copy.state == "waiting":
                    self._copy_later(found)
                return item_told(self._desk, found)
            if found.due_at <= timestamp():
                with contextlib.suppress(PostroomError):  # stored it is, and the next look tells
                    await self.dispatch([found.service], item=item, within=deadline - monotonic())
            await asyncio.sleep(min(POLL_SECONDS, max(0.0, deadline - monotonic())))

    async def store(
        self,
        via: str,
        draft: Draft,
        *,
        idempotency_key: str | None = None,
        mailbox: str = "",
        run: str = "",
        run_epoch: int | None = None,
        once_in: float = 0.0,
    ) -> str:
        """Store a message durably in the outbox and return at once; gives the item's id.

        ``mailbox``: from another than the own one of a connection or credential (Microsoft 365).
        ``run``: it is held under that run, whose attempt's claim says ``run_epoch``
        (:func:`postroom.services.outbox.add`).  ``once_in``: of an automatic answer, refused where the
        same mailbox has answered its recipient within so many seconds
        (:func:`postroom.services.answered.check`).
        """
        name = in_mailbox(via, mailbox)
        route = await self._desk.db.read(lambda tx: route_of(self._desk, tx, name))
        # before the transaction, and off the event loop where it takes its time: large attachments
        write = functools.partial(write_out, route, draft, repeatable=idempotency_key is not None)
        parcel, digest = write() if is_small(draft) else await asyncio.to_thread(write)

        def body(tx: Tx) -> str:
            now = timestamp()
            for address in parcel.recipients if once_in else ():
                answered.check(tx, parcel.sender, address, once_in=once_in, now=now)
            item = outbox.add(
                tx,
                route.service,
                parcel,
                name=route.row_name,
                actor=self._desk.actor,
                idempotency_key=idempotency_key,
                digest=digest,
                run=run,
                run_epoch=run_epoch,
            )
            for address in parcel.recipients if once_in else ():
                answered.mark(tx, parcel.sender, address, item=item, once_in=once_in, now=now)
            return item

        return await self._desk.write(body)

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
        from postroom.services.dispatcher import Drained

        dispatcher = await self.dispatcher()
        draining = asyncio.create_task(dispatcher.drain(names, item=item, roles=roles))
        try:
            done, _ = await asyncio.wait([draining], timeout=within)
        except asyncio.CancelledError:
            draining.cancel()  # it finishes the message on the wire and puts the rest back
            await asyncio.wait([draining])
            raise
        if not done and within is not None:
            draining.cancel()  # as above, and nobody waits for it
            self._desk.background.add(draining)
            draining.add_done_callback(self._desk.background.discard)
            return Drained()
        return await draining

    async def copy(
        self, names: list[str] | None = None, *, item: str = "", roles: tuple[str, ...] = ()
    ) -> PostroomError | None:
        """Put copies of sent messages into Sent folders, those that are due; gives the first error."""
        return await (await self.dispatcher()).copy(names, item=item, roles=roles)

    def _copy_later(self, item: Item) -> None:
        """The copy of what this process has sent, without anybody waiting for it."""

        async def soon() -> None:
            with contextlib.suppress(
                PostroomError, TimeoutError
            ):  # the row says it; a worker tries
                async with asyncio.timeout(COPY_SECONDS):
                    await self.copy([item.service], item=item.id)

        task = asyncio.create_task(soon())
        self._desk.background.add(task)
        task.add_done_callback(self._desk.background.discard)

    async def copies_due(self) -> float | None:
        """When the next copy for a Sent folder is due (seconds since 1970), or None."""
        due: float | None = await self._desk.db.read(
            lambda tx: tx.value("SELECT min(due_at) FROM sent_copies WHERE state = 'waiting'")
        )
        return due

    async def dispatcher(self) -> Dispatcher:
        """What sends for this process.

        Raises why the room is locked, if it is: nothing is sent that cannot be written down.
        """
        if self._desk.locked is not None:
            raise self._desk.locked
        from postroom.connections.turns import patiently
        from postroom.operations import sentfolder
        from postroom.services.dispatcher import Dispatcher

        # what is stored is sent by the room, whoever waits for it
        desk = self._desk.root or self._desk
        seat, opener = await desk.seat(), desk.opener
        return Dispatcher(
            desk.db,
            owner=seat.owner,
            open_transport=functools.partial(opener.open_transport, patient=patiently),
            roles_of=desk.roles_of,
            look=functools.partial(sentfolder.look, desk),
            copies=functools.partial(sentfolder.copy_wanted, desk),
            open_sent=functools.partial(sentfolder.opened, desk),
            on_lost=lambda name, error: opener.failed(name, "outgoing", error),
            owe=seat.owe,
        )

    def seconds_until(self, due: float | None) -> float:
        """How long until an instant; an hour when there is none."""
        return 3600.0 if due is None else max(0.0, due - timestamp())

    async def purge(self) -> None:
        """Remove what the outbox need not keep any longer, some at a time: senders come in between."""
        from postroom.services import (
            ofrun,
            retention,
        )  # what only stores and sends needs none of it

        await self._desk.write(lambda tx: ofrun.tidy(tx, now=timestamp()))
        while await self._desk.write(lambda tx: retention.purge(tx, now=timestamp())) >= (
            retention.PURGE_ROWS
        ):
            pass


def _seen(tx: Tx, item: str) -> tuple[Item, bool]:
    """An item, and whether an operator holds all that its service sends."""
    found = outbox.show(tx, item)
    return found, found.service in services.held_names(tx)
