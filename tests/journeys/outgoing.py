"""The service ``orders-out`` over a real Postfix, straight or through a proxy that can harm it."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from postroom.app import Room
from postroom.clock import monotonic, timestamp
from postroom.mail import Draft
from postroom.services.outbox import Item
from postroom.services.settling import Drained
from tests.ground import Ground, User, maildir
from tests.ground.proxy import FaultProxy

__all__ = ["NAME", "Outgoing", "message_ids"]

NAME = "orders-out"


def message_ids(user: User) -> list[str]:
    """The Message-IDs that have arrived for that user, with repetitions."""
    found = [re.search(rb"^Message-ID: (\S+)", m, re.M | re.I) for m in maildir.read(user.maildir)]
    return sorted(one[1].decode() for one in found if one)


@dataclasses.dataclass
class Outgoing:
    """Who sends, the room, and somebody who receives."""

    room: Room
    ground: Ground
    user: User
    other: User

    async def service(self, **fields: Any) -> None:
        """Define the service; what fails is tried again after a second."""
        await self.room.services.add(
            {"name": NAME, "connection": "acme", "retry": {"min": "1s", "max": "1s"}, **fields}
        )

    async def through(self, proxy: FaultProxy, **fields: Any) -> None:
        """Define the service through a proxy, in the clear, so that its rules can read."""
        side = {"port": str(proxy.port), "security": "none", "trust": ""}
        await self.room.connections.set("acme", {"outgoing": side}, rebind=True)
        await self.service(**fields)

    def draft(self, *to: str, **fields: Any) -> Draft:
        """A message to the other user, or to these."""
        whole = {"from_": None, "subject": "Hello", "text": "Text.\n", **fields}
        return Draft(to=list(to) or [self.other.address], **whole)

    async def store(self, *to: str, **fields: Any) -> str:
        """Send and forget."""
        return await self.room.email.store(NAME, self.draft(*to, **fields))

    async def send(self, *to: str, **fields: Any) -> Item:
        """Send and wait."""
        return await self.room.email.send(NAME, self.draft(*to, **fields), wait=10.0)

    async def drain(self) -> Drained:
        """Send what is due now."""
        return await self.room.email.dispatch([NAME])

    async def show(self, item: str) -> Item:
        """An item as it is now."""
        return await self.room.outbox.show(item)

    def states(self) -> dict[str, int]:
        """How many items are in which state."""
        rows = self.room.desk.db.read_now(
            lambda tx: tx.all("SELECT state, count(*) AS n FROM outbox GROUP BY state")
        )
        return {row["state"]: row["n"] for row in rows}

    async def due(self, item: str) -> None:
        """Make it due now, as time would."""
        await self.room.desk.db.write(
            lambda tx: tx.execute("UPDATE outbox SET due_at = 0 WHERE id = :id", id=item)
        )

    def waiting(self) -> int:
        """How many items are not finished."""
        found: int = self.room.desk.db.read_now(
            lambda tx: tx.value("SELECT count(*) FROM outbox WHERE finished_at IS NULL")
        )
        return found

    def due_now(self) -> int:
        """How many of those are due, or with a worker, now."""
        found: int = self.room.desk.db.read_now(
            lambda tx: tx.value(
                "SELECT count(*) FROM outbox WHERE finished_at IS NULL AND due_at <= :now",
                now=timestamp(),
            )
        )
        return found

    async def all_due(self) -> None:
        """Make everything that waits due now, as time would."""
        await self.room.desk.db.write(
            lambda tx: tx.execute("UPDATE outbox SET due_at = 0 WHERE finished_at IS NULL")
        )

    def arrived(self, count: int = 1) -> list[bytes]:
        """What the other user has got, once it is that many; and not one more."""
        end = monotonic() + 10.0
        found = maildir.arrived(self.other.maildir, count, seconds=end - monotonic())
        assert len(found) == count
        return found
