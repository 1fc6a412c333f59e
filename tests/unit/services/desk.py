"""The outbox in the words of these tests: store, claim, submit, settle, without a wire."""

from __future__ import annotations

from typing import Any

from postroom.clock import timestamp
from postroom.db import Claim, Database, Tx
from postroom.db.claims import claim_lost
from postroom.fields import parse
from postroom.protocols.base import Outcome, Recipient, Reply
from postroom.services import outbox, settle
from postroom.services import service as services
from postroom.services.held import shift_held
from postroom.services.outbox import Item, Parcel
from postroom.services.service import Service

__all__ = ["Desk", "parcel", "reply", "service_of"]


def service_of(**fields: Any) -> Service:
    """A service with these fields; the rest is its defaults."""
    return parse(Service, {"name": "orders-out", "connection": "acme", **fields}, where="service")


def parcel(*to: str, content: bytes = b"Subject: x\r\n\r\nbody\r\n") -> Parcel:
    """A message to these addresses."""
    return Parcel(content, "orders@acme.example", to or ("a@x.example",), "<1@acme.example>", "x")


def reply(code: int, text: str = "") -> Reply:
    """A server's reply."""
    state = {2: "accepted", 4: "deferred", 5: "rejected"}[code // 100]
    return Reply(state, code, f"{code // 100}.0.0", text or f"said {code}")  # type: ignore[arg-type]


class Desk:
    """One service and its rows; everything is done as the owner ``me`` unless said otherwise."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.service = service_of()
        self.clock = timestamp()

    async def open(self) -> None:
        await self.db.write(lambda tx: services.add(tx, self.service))
        await self.sit("me")

    async def sit(self, owner: str) -> None:
        await self.db.write(
            lambda tx: tx.execute(
                "INSERT INTO workers (owner, pid, host, started_at, heartbeat_at) "
                "VALUES (:owner, 1, 'here', 0, 1e12)",
                owner=owner,
            )
        )

    async def die(self, owner: str) -> None:
        await self.db.write(lambda tx: tx.execute("DELETE FROM workers WHERE owner = :o", o=owner))

    async def add(self, *to: str, key: str | None = None, content: bytes = b"x\r\n") -> str:
        return await self.db.write(
            lambda tx: outbox.add(
                tx, self.service, parcel(*to, content=content), actor="test", idempotency_key=key
            )
        )

    async def claim(
        self, owner: str = "me", *, later: float = 1.0, limit: int = 100
    ) -> list[Claim]:
        return (await self.take(owner, later=later, limit=limit)).claims

    async def take(
        self, owner: str = "me", *, later: float = 1.0, limit: int = 100
    ) -> settle.Taken:
        return await self.db.write(
            lambda tx: settle.claim(
                tx,
                owner=owner,
                now=self.clock + later,
                services={"orders-out": self.service},
                limit=limit,
            )
        )

    async def submitting(self, one: Claim, owner: str = "me") -> None:
        def body(tx: Tx) -> list[Claim]:
            return settle.mark_submitting(tx, [one], owner=owner, now=self.clock)

        if not await self.db.write(body):
            raise claim_lost()

    async def settle(
        self, one: Claim, outcome: Outcome, *, owner: str = "me", later: float = 1.0
    ) -> str:
        def body(tx: Tx) -> str:
            to = settle.recipients_of(tx, [one.id])[one.id]
            now = self.clock + later
            decisions = settle.decide(outcome, to.waiting)
            ending = settle.Ending(one, decisions, to.states, now + 60, self.service)
            states = settle.settle(tx, [ending], owner=owner, now=now)
            if not states:
                raise claim_lost()
            return states[one.id]

        return await self.db.write(body)

    async def show(self, item: str) -> Item:
        return await self.db.read(lambda tx: outbox.show(tx, item))

    async def shift(self, item: str, state: str) -> Item:
        return await self.db.write(lambda tx: outbox.shift(tx, item, state, reason="said so"))

    async def held_waiting(self) -> list[str]:
        """Cancel what is held and what waits under held services; gives the ids."""
        return await self.db.write(
            lambda tx: shift_held(
                tx, "cancelled", reason="said so", service=None, restored=False, waiting=True
            )
        )

    async def states(self, item: str) -> list[str]:
        return [one.state for one in (await self.show(item)).recipients]

    def answered(self, one: Claim, **codes: int) -> Outcome:
        """Each recipient ``NAME@x.example`` answered with a code."""
        return Outcome(
            one.id, "answered", [Recipient(f"{n}@x.example", reply(c)) for n, c in codes.items()]
        )
