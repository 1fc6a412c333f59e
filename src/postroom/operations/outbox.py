"""Operations on the outbox: what an operator may see of stored messages and do with them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from postroom.db import Tx
from postroom.errors import NotThere, Refused
from postroom.operations.desk import Desk, check_states
from postroom.services import outbox
from postroom.services.contents import content_of
from postroom.services.held import shift_held
from postroom.services.outbox import Item
from postroom.services.states import FOLLOWS

__all__ = ["Outbox"]


class Outbox:
    """What an operator may do with stored messages."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list(
        self, *, service: str | None = None, states: Sequence[str] = (), limit: int = 50
    ) -> list[Item]:
        """Items, newest first.  Raises InvalidValue for a state there is none of."""
        check_states(states, FOLLOWS)
        return await self._desk.db.read(
            lambda tx: outbox.find(tx, service=service, states=states, limit=limit)
        )

    async def waiting(self, service: str | None = None) -> int:
        """How many messages are sent as soon as they are due; held ones do not count."""
        states = await self._desk.db.read(lambda tx: outbox.waiting(tx, service))
        return sum(states.get(state, 0) for state in ("queued", "deferred"))

    async def show(self, item: str) -> Item:
        """One item by its id or the beginning of it.  Raises NotThere."""
        return await self._desk.db.read(lambda tx: outbox.show(tx, item))

    async def attempts(self, item: str) -> builtins.list[dict[str, Any]]:
        """Every attempt that was made for an item."""
        return await self._desk.db.read(lambda tx: outbox.attempts(tx, item))

    async def content(self, item: str) -> bytes:
        """The exact bytes of an item.  Raises NotThere once they were removed."""

        def body(tx: Tx) -> bytes | None:
            return content_of(tx, outbox.show(tx, item).id)

        found = await self._desk.db.read(body)
        if found is None:
            raise NotThere(
                f"The content of outbox item {item} has been removed.",
                hint="It is kept for 7 days after a message is finished.",
            )
        return found

    async def hold(self, item: str) -> Item:
        """Keep a waiting message back."""
        return await self._shift(item, "hold", "held", "held by an operator")

    async def release(self, item: str) -> Item:
        """Let a held message go."""
        return await self._shift(item, "release", "queued", "", only=("held",))

    async def retry(self, item: str) -> Item:
        """Try a failed, deferred or ambiguous message again, for those who have not got it."""
        return await self._shift(
            item, "retry", "queued", "", only=("failed", "deferred", "ambiguous")
        )

    async def cancel(self, item: str) -> Item:
        """Take a message out of the queue for good."""
        return await self._shift(item, "cancel", "cancelled", "cancelled by an operator")

    async def release_held(self, *, service: str | None = None, restored: bool = False) -> int:
        """Let every held message of a service (None: of all) go; gives how many.

        ``restored``: only those that a restore holds, not what somebody held before.
        """
        return await self._shift_held("release", "queued", "", service, restored=restored)

    async def cancel_held(self, *, service: str | None = None, restored: bool = False) -> int:
        """Take every held message of a service out of the queue for good, as :meth:`release_held`.

        Of a service that is held itself, also what waits: a mass of mail that is not to be sent.
        """
        why = "cancelled by an operator"
        return await self._shift_held("cancel", "cancelled", why, service, restored=restored)

    async def _shift_held(
        self, verb: str, state: str, reason: str, service: str | None, *, restored: bool
    ) -> int:
        def body(tx: Tx) -> int:
            ids = shift_held(
                tx, state, reason=reason, service=service, restored=restored,
                waiting=verb == "cancel",
            )  # fmt: skip
            if ids:
                self._desk.record(tx, verb, "outbox", service or "every service", items=ids)
            return len(ids)

        done = 0
        while found := await self._desk.write(body):
            done += found
        return done

    async def _shift(
        self, item: str, verb: str, state: str, reason: str, *, only: Sequence[str] = ()
    ) -> Item:
        def body(tx: Tx) -> Item:
            before = outbox.show(tx, item)
            if only and before.state not in only:
                raise Refused(
                    f"Outbox item {before.id} is {before.state}; {verb} is for what is "
                    f"{' or '.join(only)}."
                )
            found = outbox.shift(tx, item, state, reason=reason)
            self._desk.record(tx, verb, "outbox", found.id, service=found.service)
            return found

        return await self._desk.write(body)
